//! Messages that live, in injected time: whatever crashes, is refused, lost or deleted on the way, in the end every message shows what its incident is
//! (I12, I14), and every alert was shown. People ack, snooze, unack and close; every end of an ack rings while its incident goes on. Random lives of one
//! process, seeded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::channel::{CellResult, Channel, LivingMode, SendContext};
use crate::delivery::press::Deed;
use crate::delivery::{Clock, Engine, EngineOptions, EngineParts};
use crate::ingest::short_fingerprint;
use crate::metrics::Metrics;
use crate::model::{Alert, ErrorKind, Event, MessageStatus, Page, PlatformIds, Receipt, Recipient, SendError, Status, UnixMs, Verb};
use crate::store::{
    ActOn, Actor, Author, DeliveryFilter, DeliveryRow, IncidentDetail, IncidentFilter, IncidentState, MaintenanceStore, PressKey, QueryStore, State,
};

use super::life::Disk;
use super::paused::Paused;
use super::plan::BEGIN;
use super::platform::LIVING;
use super::{Dice, World, seeds};

/// The only channel.
const CHANNEL: &str = "free";

/// A message in the room.
#[derive(Debug, Clone)]
struct Post {
    card: bool,
    status: MessageStatus,
    text: String,
}

/// What the platform keeps.
#[derive(Debug, Default)]
struct Room {
    posts: BTreeMap<u64, Post>,
    next: u64,
    /// Posts whose answer nobody received.
    lost: BTreeSet<u64>,
    /// What any text of it showed, ever.
    shown: BTreeSet<String>,
}

struct Bot {
    room: Mutex<Room>,
    dice: Mutex<Dice>,
    /// Faults in a thousand requests.
    trouble: Mutex<u64>,
}

impl Bot {
    fn fault(&self) -> Option<u64> {
        let mut dice = self.dice.lock().unwrap();
        let trouble = *self.trouble.lock().unwrap();
        dice.permille(trouble).then(|| dice.below(6))
    }

    fn post(&self, page: &Page) -> u64 {
        let mut room = self.room.lock().unwrap();
        room.next += 1;
        let id = room.next;
        let text = page.field("text").to_owned();
        room.shown.extend(uids(&text));
        room.posts.insert(id, Post { card: page.facts.form.is_card(), status: page.facts.status, text });
        id
    }

    async fn wait(&self) {
        let wait = self.dice.lock().unwrap().below(400);
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }

    async fn deliver(&self, page: &Page, reply_to: Option<&PlatformIds>) -> Result<Receipt, SendError> {
        self.wait().await;
        let fault = self.fault();
        match fault {
            Some(0 | 1) => return Err(SendError::new(ErrorKind::Transient, "HTTP 502")),
            Some(2) => return Err(SendError::new(ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(20)) }, "too fast")),
            _ => {}
        }
        if let Some(parent) = reply_to.map(id_of)
            && !self.room.lock().unwrap().posts.contains_key(&parent)
        {
            return Err(SendError::new(ErrorKind::Rejected, "the message to answer was deleted").gone());
        }
        let id = self.post(page);
        // Until the answer is there it may be lost: by a fault, or because the process dies.
        self.room.lock().unwrap().lost.insert(id);
        self.wait().await;
        if matches!(fault, Some(3)) {
            return Err(SendError::new(ErrorKind::Ambiguous, "the connection was closed before the answer"));
        }
        self.room.lock().unwrap().lost.remove(&id);
        Ok(Receipt { ids: PlatformIds::one("id", id.to_string()), code: "ok".into(), answer: String::new() })
    }

    /// Somebody tidies up.
    fn delete_some(&self, dice: &mut Dice) {
        self.room.lock().unwrap().posts.retain(|_, _| !dice.permille(300));
    }
}

#[async_trait]
impl Channel for Arc<Bot> {
    fn body(&self, page: &Page) -> serde_json::Value {
        crate::channel::kit::shown(&page.fields)
    }

    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        assert_eq!(to.len(), 1);
        vec![(0, self.deliver(page, cx.reply_to.as_ref()).await)]
    }

    async fn update(&self, ids: &PlatformIds, page: &Page, _: &Recipient, _: &SendContext) -> Result<Receipt, SendError> {
        self.wait().await;
        match self.fault() {
            Some(0 | 1) => return Err(SendError::new(ErrorKind::Transient, "HTTP 502")),
            Some(2) => return Err(SendError::new(ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(20)) }, "too fast")),
            Some(3) => return Err(SendError::new(ErrorKind::Rejected, "the text is not allowed")),
            _ => {}
        }
        let id = id_of(ids);
        let mut room = self.room.lock().unwrap();
        let text = page.field("text").to_owned();
        room.shown.extend(uids(&text));
        let Some(post) = room.posts.get_mut(&id) else { return Err(SendError::new(ErrorKind::Rejected, "deleted").gone()) };
        assert!(post.card, "a reply is never edited: {post:?}");
        (post.status, post.text) = (page.facts.status, text);
        Ok(Receipt { ids: ids.clone(), code: "ok".into(), answer: String::new() })
    }
}

fn id_of(ids: &PlatformIds) -> u64 {
    ids.get("id").and_then(|id| id.parse().ok()).expect("an id of this platform")
}

fn uids(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.starts_with("uidG")).map(str::to_owned)
}

/// What the sender knows: of each group its alerts by name, with their start and whether they fire.
type Groups = BTreeMap<u64, BTreeMap<String, (UnixMs, bool)>>;

struct Story {
    bot: Arc<Bot>,
    groups: Groups,
    next: u64,
    /// Alerts that were accepted as firing.
    fired: BTreeSet<String>,
    folder: tempfile::TempDir,
    now: UnixMs,
}

impl Story {
    /// The group changes: an alert ends, or another one begins.
    fn change(&mut self, group: u64, dice: &mut Dice) {
        let alerts = self.groups.entry(group).or_default();
        for (_, fires) in alerts.values_mut() {
            *fires &= !dice.permille(300);
        }
        if dice.permille(600) || alerts.is_empty() {
            self.next += 1;
            alerts.insert(format!("uidG{group}N{}", self.next), (UnixMs(BEGIN.0 + self.next as i64 * 1000), true));
        }
    }

    /// What the sender says of it: the whole group. What is over is said once.
    fn event(&mut self, group: u64) -> Event {
        let alerts = self.groups.entry(group).or_default();
        let body = alerts.iter().map(|(name, (start, fires))| {
            let mut alert = Alert {
                status: if *fires { Status::Firing } else { Status::Resolved },
                fingerprint: name.clone(),
                starts_at: Some(start.timestamp()),
                ..Alert::default()
            };
            alert.labels.insert("alertname".into(), name.clone());
            alert.labels.insert("severity".into(), if name.len() % 2 == 0 { "critical" } else { "warning" }.into());
            alert
        });
        let body: Vec<Alert> = body.collect();
        let fires = body.iter().any(|alert| alert.status == Status::Firing);
        alerts.retain(|_, (_, fires)| *fires);
        Event {
            source: "model".into(),
            receiver: "r".into(),
            group_key: format!("g{group}"),
            status: if fires { Status::Firing } else { Status::Resolved },
            alerts: body,
            ..Event::default()
        }
    }

    async fn report(&mut self, engine: &Engine, group: u64) {
        let event = self.event(group);
        if event.alerts.is_empty() {
            return;
        }
        let fired: Vec<String> = event.alerts.iter().filter(|a| a.status == Status::Firing).map(|a| a.fingerprint.clone()).collect();
        engine.accept(event, Some(&[CHANNEL.to_owned()])).await.expect("it is accepted");
        self.fired.extend(fired);
    }

    /// Somebody does something about one of the newest incidents.
    async fn act(&mut self, engine: &Engine, store: &Paused, dice: &mut Dice) {
        let found = store.list_incidents(&IncidentFilter { limit: 6, ..IncidentFilter::default() }).await.expect("the incidents");
        let Some(incident) = found.get(dice.below(found.len().max(1) as u64) as usize) else { return };
        let verb = [Verb::Ack, Verb::Ack, Verb::Ack, Verb::Snooze, Verb::Unack, Verb::Close][dice.below(6) as usize];
        self.next += 1;
        let name = ["Anna", "Bob"][dice.below(2) as usize];
        let deed = Deed {
            press: PressKey { platform: "api".into(), event_id: self.next.to_string() },
            verb,
            span: Duration::from_secs(60 + dice.below(120)),
            by: Actor { id: format!("credential:{name}"), name: name.into(), via: "API".into() },
            author: Author::default(),
        };
        let acted = engine.act(deed, vec![ActOn { incident: incident.id, shown: None }]).await.expect("it is stored");
        assert!(!acted.repeated && !acted.results.is_empty(), "{acted:?}");
    }

    /// Once all is quiet, each end of an ack has rung in the room, unless somebody is on all of it again.
    async fn has_rung(&self, engine: &Engine, store: &Paused, clock: &Clock) {
        // Every snooze and every ack ends in this time, and so does what was held because an earlier end had rung.
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(60)).await;
            wake(engine, store, clock).await;
        }
        let (_, details) = self.quiet(store, clock).await;
        for detail in details.iter().filter(|detail| detail.incident.state == IncidentState::Firing) {
            let Some(unacked) = &detail.incident.acks.unacked else { continue };
            let rang = detail.anchors.iter().map(|anchor| anchor.rang.version).max().expect("its channel was notified");
            assert!(rang >= unacked.version, "the end of an ack did not ring: {detail:#?}");
        }
    }

    /// One life: a process that starts, is sent reports, and dies wherever it is; the last one goes on until everything is quiet.
    fn live(&mut self, dice: &mut Dice, last: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let lived = runtime.block_on(async {
            let store = Arc::new(Paused::new(Disk::File(self.folder.path().to_owned()).open().await, self.now));
            let clock = Clock::runtime(self.now);
            let begun = clock.instant();
            self.take_stock(&store).await;
            let engine = self.start(&store, &clock).await;
            *self.bot.trouble.lock().unwrap() = if last { 0 } else { [0, 100, 400][dice.below(3) as usize] };
            for _ in 0..10 + dice.below(40) {
                let longest = [200, 4_000, 20_000][dice.below(3) as usize];
                tokio::time::sleep(Duration::from_millis(dice.below(longest))).await;
                if dice.permille(60) {
                    self.bot.delete_some(dice);
                }
                if dice.permille(250) {
                    self.act(&engine, &store, dice).await;
                }
                wake(&engine, &store, &clock).await;
                let group = dice.below(4);
                self.change(group, dice);
                self.report(&engine, group).await;
            }
            if last {
                self.has_rung(&engine, &store, &clock).await;
                for group in 0..4 {
                    self.groups.entry(group).or_default().values_mut().for_each(|(_, fires)| *fires = false);
                    self.report(&engine, group).await;
                }
                self.settle(&store, &clock).await;
                engine.stop(clock.instant() + Duration::from_secs(15)).await;
            }
            begun.elapsed()
        });
        // Every task ends wherever it is: that is the crash.
        drop(runtime);
        self.now = self.now + lived + 1000;
    }

    /// What was posted, and whose outcome was not stored when the process died, is lost: at most what was in flight.
    async fn take_stock(&self, store: &Paused) {
        let mut known: BTreeSet<u64> = BTreeSet::new();
        for incident in store.list_incidents(&IncidentFilter { limit: 500, ..IncidentFilter::default() }).await.expect("the incidents") {
            let detail = store.get_incident(incident.id).await.expect("an incident").expect("it is there");
            known.extend(detail.anchors.iter().filter(|anchor| !anchor.ids.is_empty()).map(|anchor| id_of(&anchor.ids)));
        }
        let mut room = self.bot.room.lock().unwrap();
        let unknown = |(id, post): &(&u64, &Post)| post.card && !known.contains(id) && !room.lost.contains(id);
        let cut: Vec<u64> = room.posts.iter().filter(unknown).map(|(id, _)| *id).collect();
        assert!(cut.len() <= 2, "more than were in flight: {cut:?}");
        room.lost.extend(cut);
    }

    async fn start(&self, store: &Arc<Paused>, clock: &Clock) -> Arc<Engine> {
        let mut plan = World::new(&mut Dice::new(1)).plan(false, "a");
        let channel = plan.channels.get_mut(CHANNEL).and_then(Arc::get_mut).expect("a channel that nobody else has");
        (channel.driver, channel.platform, channel.content.living) = (Arc::new(self.bot.clone()), &LIVING, LivingMode::Edit);
        (plan.incidents.remind_after, plan.incidents.ack_expires) = (Duration::from_secs(90), Duration::from_secs(240));
        plan.incidents.repeat = Duration::from_secs(600);
        // One page each: what a card does not name is behind its link.
        plan.external_url = "https://w.example.com".into();
        let (engine, _alarms) = Engine::new(EngineParts {
            store: store.clone(),
            plan: Arc::new(plan),
            clock: clock.clone(),
            metrics: Arc::new(Metrics::new()),
            node: "a",
            options: EngineOptions::default(),
        });
        let engine = Arc::new(engine);
        engine.start().await.expect("the engine starts");
        engine
    }

    /// Waits until every delivery is final and every message shows what its incident is.
    async fn quiet(&self, store: &Paused, clock: &Clock) -> (Vec<DeliveryRow>, Vec<IncidentDetail>) {
        let begun = clock.instant();
        loop {
            tokio::time::sleep(Duration::from_secs(30)).await;
            let rows = store.list_deliveries(&DeliveryFilter { limit: 5000, ..DeliveryFilter::default() }).await.expect("the deliveries");
            let found = store.list_incidents(&IncidentFilter { limit: 500, ..IncidentFilter::default() }).await.expect("the incidents");
            let mut details = Vec::new();
            for incident in &found {
                details.push(store.get_incident(incident.id).await.expect("an incident").expect("it is there"));
            }
            let dirty = |detail: &IncidentDetail| detail.anchors.iter().any(|anchor| anchor.is_dirty(detail.incident.version));
            let behind: Vec<_> = details.iter().filter(|detail| dirty(detail)).collect();
            let open = rows.iter().filter(|row| !row.state.is_final()).count();
            if open == 0 && behind.is_empty() {
                return (rows, details);
            }
            assert!(begun.elapsed() < Duration::from_secs(6 * 3600), "{open} deliveries wait, these are behind: {behind:#?}");
        }
    }

    /// Waits until all is quiet, then looks at what people see.
    async fn settle(&self, store: &Paused, clock: &Clock) {
        let (last, details) = self.quiet(store, clock).await;
        let odd: Vec<_> = last.iter().filter(|row| !matches!(row.state, State::Sent | State::Skipped | State::Dead)).collect();
        assert!(odd.is_empty(), "{odd:#?}");
        assert!(last.iter().all(|row| row.state == State::Sent || row.reason.is_some()), "nothing ends without a reason");
        let anchors = || details.iter().flat_map(|detail| &detail.anchors);
        let known: BTreeSet<u64> = anchors().filter(|anchor| !anchor.ids.is_empty()).map(|anchor| id_of(&anchor.ids)).collect();
        let over: BTreeSet<u64> = anchors().flat_map(|anchor| &anchor.notified).filter(|one| one.over).map(|one| one.fingerprint).collect();
        let room = self.bot.room.lock().unwrap();
        for (id, post) in room.posts.iter().filter(|(id, _)| known.contains(id)) {
            assert_ne!(post.status, MessageStatus::Firing, "post {id} is red after the end: {post:#?}");
        }
        // A card that no anchor knows is one whose answer was lost, or one that a newer one took the place of.
        let red: Vec<_> = room.posts.iter().filter(|(_, post)| post.card && post.status == MessageStatus::Firing).collect();
        let unknown: Vec<_> = red.iter().filter(|(id, _)| !room.lost.contains(id) && !known.contains(id)).collect();
        assert!(unknown.is_empty(), "red cards that are not edited, and whose answers were received: {unknown:#?}");
        // What came and went while it waited may be a number on its card.
        let counted = |uid: &&String| !room.shown.contains(*uid) && !over.contains(&short_fingerprint(uid));
        let missed: Vec<&String> = self.fired.iter().filter(counted).collect();
        let about = |row: &&DeliveryRow| missed.iter().any(|uid| row.title.contains(uid.as_str()));
        let rows: Vec<_> = last.iter().filter(about).collect();
        assert!(missed.is_empty(), "never shown to anybody: {missed:?}: {rows:#?}");
    }
}

/// What maintenance does for acks.
async fn wake(engine: &Engine, store: &Paused, clock: &Clock) {
    let woken = store.wake_incidents(clock.wall(), 100).await.expect("the store works");
    engine.shared.notify_rings(&woken.rings);
}

#[test]
fn every_message_of_an_incident_shows_what_it_is_whatever_happened() {
    for seed in seeds(3) {
        println!("seed {seed} (WATCHFIRE_SEED={seed} runs it alone)");
        let mut dice = Dice::new(seed);
        let bot = Bot { room: Mutex::default(), dice: Mutex::new(Dice::new(seed + 1)), trouble: Mutex::new(0) };
        let folder =
            tempfile::Builder::new().prefix("wf-model").tempdir_in(if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" });
        let folder = folder.expect("a folder");
        let mut story = Story { bot: Arc::new(bot), groups: Groups::new(), next: 0, fired: BTreeSet::new(), folder, now: BEGIN };
        let lives = 1 + seed % 4;
        for life in 0..lives {
            story.live(&mut dice, life + 1 == lives);
        }
    }
}
