//! Plays a sequence: each line is a step of a sender, a person, a platform or the process, and takes a minute; one with `&` at its end takes none, with `&2` two
//! seconds.
//! Lines with `>` say what people then saw.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::channel::{Limit, LivingMode};
use crate::delivery::plan::IncidentsPlan;
use crate::delivery::press::Deed;
use crate::delivery::steps::{EscalationPlan, StepCondition, StepPeople, StepPlan, StepTarget};
use crate::delivery::{Clock, Engine, EngineOptions, EngineParts, maintenance, testing};
use crate::metrics::Metrics;
use crate::model::{Alert, Event, IncidentId, Mentions, Recipient, SenderKind, Status, UnixMs, Verb};
use crate::route::{Destinations, RouteSpec, Tree};
use crate::store::{ActOn, Actor, Author, DeliveryFilter, IncidentFilter, PressKey, QueryStore, ShownIn, State, TimelineKind};

use super::super::life::Disk;
use super::super::paused::Paused;
use super::super::plan::BEGIN;
use super::super::platform::{LIVING, ONCE};
use super::super::{Dice, World};
use super::room::{Line, Mood, Rooms, crowd, press, short};

const MINUTE: Duration = Duration::from_secs(60);
/// What a slow platform allows.
const SLOW: Limit = Limit { count: 1, window: Duration::from_secs(120) };
/// More lines than these are counted.
const CROWD: usize = 50;

/// What outlives the processes of a sequence.
pub struct Stage {
    rooms: Arc<Mutex<Rooms>>,
    folder: tempfile::TempDir,
    now: UnixMs,
    setup: Setup,
    /// Of each sender and group, by the alert's name: when it began, while it fires.
    starts: BTreeMap<String, UnixMs>,
    /// The states of the incidents, as they were shown last.
    states: BTreeMap<IncidentId, String>,
    /// What timelines said of channels that edit nothing any more.
    lost: BTreeSet<String>,
    presses: u64,
}

/// What the configuration says.
#[derive(Debug, Clone, Copy)]
struct Setup {
    living: LivingMode,
    /// Whether messages can be edited once, and not answered.
    once: bool,
    /// Whether `chat` has its second name.
    renamed: bool,
    /// Whether `free` is in it.
    has_free: bool,
    /// How many messages a month the platform of `chat` allows.
    per_month: Option<u32>,
    /// Whether `chat` takes one message in two minutes, and merges what waits.
    slow: bool,
    /// After how long `voice` calls somebody; everything goes to `chat` then.
    calls_after: Option<Duration>,
}

struct Process {
    engine: Arc<Engine>,
    store: Arc<Paused>,
    clock: Clock,
}

/// Plays `script` and compares what happened with what it says.
pub fn play(script: &str) {
    let folder = if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
    let mut stage = Stage {
        rooms: Arc::default(),
        folder: tempfile::Builder::new().prefix("wf-sequence").tempdir_in(folder).expect("a folder"),
        now: BEGIN,
        setup: Setup { living: LivingMode::Edit, once: false, renamed: false, has_free: true, per_month: None, slow: false, calls_after: None },
        starts: BTreeMap::new(),
        states: BTreeMap::new(),
        lost: BTreeSet::new(),
        presses: 0,
    };
    let lines: Vec<&str> = script.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let steps: Vec<&str> = lines.iter().copied().filter(|line| !line.starts_with('>')).collect();
    let mut played = Vec::new();
    for life in steps.split(|step| *step == "crash") {
        if !played.is_empty() {
            played.push("crash".to_owned());
        }
        played.extend(stage.live(life));
    }
    let wanted = lines.join("\n");
    let played = played.join("\n");
    assert!(wanted == played, "what happened:\n{}", indented(&played));
}

fn indented(played: &str) -> String {
    let indent = |line: &str| if line.starts_with('>') { format!("            {line}\n") } else { format!("        {line}\n") };
    played.lines().map(indent).collect()
}

impl Stage {
    /// One process: what was played, with what people saw after each step. It ends wherever it is.
    fn live(&mut self, steps: &[&str]) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let (played, lived) = runtime.block_on(async {
            let process = self.start().await;
            let begun = process.clock.instant();
            let mut played = Vec::new();
            if self.now != BEGIN {
                tokio::time::sleep(MINUTE).await;
                played.extend(self.seen(&process).await);
            }
            for step in steps {
                self.step(&process, step).await;
                played.push((*step).to_owned());
                played.extend(self.seen(&process).await);
            }
            (played, begun.elapsed())
        });
        drop(runtime);
        self.now = self.now + lived + 1000;
        played
    }

    async fn start(&self) -> Process {
        let store = Arc::new(Paused::new(Disk::File(self.folder.path().to_owned()).open().await, self.now));
        let clock = Clock::runtime(self.now);
        let parts = EngineParts {
            store: store.clone(),
            plan: Arc::new(self.plan()),
            clock: clock.clone(),
            metrics: Arc::new(Metrics::new()),
            node: "a",
            options: EngineOptions::default(),
        };
        let (engine, alarms) = Engine::new(parts);
        let engine = Arc::new(engine);
        engine.start().await.expect("the engine starts");
        tokio::spawn(maintenance::run(engine.clone(), alarms, CancellationToken::new()));
        Process { engine, store, clock }
    }

    fn plan(&self) -> crate::delivery::plan::Plan {
        let world = World::new(&mut Dice::new(1));
        world.shape.lock().unwrap().renamed = self.setup.renamed;
        let mut plan = world.plan(false, if self.setup.renamed { "b" } else { "a" });
        let chat = if self.setup.renamed { "talk" } else { "chat" };
        let platform = if self.setup.once { &ONCE } else { &LIVING };
        for (name, room, living) in [(chat, "chat", self.setup.living), ("free", "free", LivingMode::Edit)] {
            let channel = plan.channels.get_mut(name).and_then(Arc::get_mut).expect("a channel that nobody else has");
            (channel.driver, channel.platform, channel.rate_limit) = (Arc::new(Line(self.rooms.clone(), room)), platform, None);
            channel.content.living = living;
            channel.content.mentions = Mentions { users: vec!["team".into()], ..Mentions::default() };
        }
        let channel = plan.channels.get_mut(chat).and_then(Arc::get_mut).expect("nobody else has it");
        channel.allowance.per_month = self.setup.per_month;
        if self.setup.slow {
            (channel.rate_limit, channel.digest) = (Some(vec![SLOW]), Some(Duration::ZERO));
        }
        if !self.setup.has_free {
            plan.channels.shift_remove("free");
        }
        if let Some(after) = self.setup.calls_after {
            self.call(&mut plan, chat, after);
        }
        // Shorter than in earnest: the time between is played, too.
        plan.incidents = IncidentsPlan {
            repeat: 5 * MINUTE,
            reopen_within: 5 * MINUTE,
            stale_after: 16 * MINUTE,
            remind_after: 9 * MINUTE,
            ack_expires: 12 * MINUTE,
        };
        (plan.external_url, plan.link_key) = ("https://w.example.com".into(), crate::model::Secret::new("a key of sequences"));
        plan
    }

    /// One step of an escalation, of all that fires.
    fn call(&self, plan: &mut crate::delivery::plan::Plan, chat: &str, after: Duration) {
        let voice = plan.channels.get_mut("voice").and_then(Arc::get_mut).expect("a channel that nobody else has");
        (voice.driver, voice.platform, voice.rate_limit) = (Arc::new(Line(self.rooms.clone(), "voice")), &LIVING, None);
        voice.content.living = LivingMode::New;
        let target = StepTarget { channel: "voice".into(), recipients: vec![Recipient::new("ann")], mentions: None };
        let step = StepPlan {
            after,
            to: Destinations::default(),
            targets: vec![target],
            people: StepPeople::Named(vec!["ann".into()]),
            when: StepCondition::default(),
        };
        plan.people.escalations.insert("soon".into(), EscalationPlan { steps: vec![step] });
        let root = RouteSpec { name: "route".into(), to: Destinations::to([chat]), escalation: Some("soon".into()), ..RouteSpec::default() };
        plan.tree = Tree::compile(root, &Default::default()).expect("a tree");
    }

    async fn step(&mut self, process: &Process, step: &str) {
        let (step, takes) = match step.rsplit_once(" &") {
            Some((step, "")) => (step, Duration::from_millis(10)),
            Some((step, seconds)) => (step, Duration::from_secs(seconds.parse().expect("seconds"))),
            None => (step, MINUTE),
        };
        let words: Vec<&str> = step.split_whitespace().collect();
        let (verb, rest) = words.split_first().expect("a step");
        let option = |name: &str| rest.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        match *verb {
            "report" => self.report(process, rest).await,
            // Each in a group of its own.
            "many" => {
                let (count, sign) = rest[0].strip_prefix('-').map_or((rest[0], ""), |count| (count, "-"));
                let (count, begun) = count.split_at(count.find('@').unwrap_or(count.len()));
                for n in 0..count.parse::<u32>().expect("a number") {
                    let (alert, group) = (format!("{sign}disk{n}{begun}"), format!("group=g{n}"));
                    self.report(process, &[&alert, &group]).await;
                }
            }
            "rest" => {}
            "clock" => process.clock.jump(rest[0].parse::<i64>().expect("minutes") * 60_000),
            "busy" => process.store.make_busy(rest[0], option("after").map_or(1, |calls| calls.parse().expect("calls")), 3),
            "why" => self.why(process).await,
            "wait" => return tokio::time::sleep(MINUTE * rest[0].parse::<u32>().expect("minutes")).await,
            "ack" | "unack" | "snooze" | "close" => {
                let on = option("on").map_or(1, |number| number.parse().expect("a number"));
                self.press(process, verb, IncidentId(on), option("by").unwrap_or("ann"), option("seen")).await;
            }
            "buttons" | "newest-edits" => self.rooms.lock().unwrap().set(verb),
            "press" => {
                self.presses += 1;
                let said = press(&process.engine, &self.rooms, rest[0].parse().expect("a number"), self.presses).await;
                self.rooms.lock().unwrap().log.push(said);
            }
            // All messages, or the one of that number in `chat`.
            "delete" => match rest.first() {
                Some(number) => _ = self.rooms.lock().unwrap().posts.remove(&("chat", number.parse().expect("a number"))),
                None => self.rooms.lock().unwrap().posts.clear(),
            },
            "mode" => {
                self.setup.living = [LivingMode::Edit, LivingMode::Reply, LivingMode::New, LivingMode::Off]
                    .into_iter()
                    .find(|mode| format!("{mode:?}").eq_ignore_ascii_case(rest[0]))
                    .expect("a mode");
                self.reload(process).await;
            }
            "once" => {
                (self.setup.once, self.rooms.lock().unwrap().once) = (true, true);
                self.reload(process).await;
            }
            "rename" => {
                self.setup.renamed = !self.setup.renamed;
                self.reload(process).await;
            }
            "remove" | "restore" => {
                self.setup.has_free = *verb == "restore";
                self.reload(process).await;
            }
            "month" => {
                self.setup.per_month = Some(rest[0].parse().expect("messages"));
                self.reload(process).await;
            }
            "slow" => {
                self.setup.slow = true;
                self.reload(process).await;
            }
            "call" => {
                self.setup.calls_after = Some(Duration::from_secs(rest[0].parse().expect("seconds")));
                self.reload(process).await;
            }
            "room" => {
                let moods = [
                    ("works", Mood::Works),
                    ("down", Mood::Down),
                    ("edits-too-fast", Mood::EditsTooFast),
                    ("edits-refused", Mood::EditsRefused),
                    ("loses-answer", Mood::LosesAnswer),
                    ("never-answers", Mood::NeverAnswers),
                ];
                self.rooms.lock().unwrap().mood = moods.into_iter().find(|(name, _)| *name == rest[0]).expect("a mood").1;
                // Retries and their jitter take some minutes.
                tokio::time::sleep(MINUTE * option("minutes").map_or(0, |text| text.parse().expect("minutes"))).await;
            }
            _ => panic!("no step: {step}"),
        }
        tokio::time::sleep(takes).await;
    }

    /// Says why the newest delivery that was not sent was not.
    async fn why(&self, process: &Process) {
        let filter = DeliveryFilter { states: vec![State::Skipped], limit: 1, ..DeliveryFilter::default() };
        let rows = process.store.list_deliveries(&filter).await.expect("the deliveries");
        let why = rows.first().map(|row| format!("{} skipped: {}", row.channel, row.reason.as_deref().unwrap_or_default()));
        self.rooms.lock().unwrap().log.extend(why);
    }

    async fn reload(&self, process: &Process) {
        process.engine.reload(Arc::new(self.plan())).await.expect("a reload");
    }

    /// `report disk db:critical -web mail>free [group=g] [from=am] [to=ops] [left-out=N] [reason=all_alerts_resolved] [kind=grafana]`: a leading `-` is over.
    async fn report(&mut self, process: &Process, words: &[&str]) {
        let mut event = Event { source: "am".into(), receiver: "ops".into(), group_key: "g".into(), ..testing::event(Vec::new()) };
        for word in words {
            match word.split_once('=') {
                Some(("group", key)) => event.group_key = if key == "none" { String::new() } else { key.into() },
                Some(("from", source)) => event.source = source.into(),
                Some(("to", receiver)) => event.receiver = receiver.into(),
                Some(("left-out", count)) => event.truncated = count.parse().expect("a number"),
                Some(("reason", reason)) => event.reason = reason.replace('_', " "),
                Some(("kind", "grafana")) => event.kind = SenderKind::Grafana,
                Some(("kind", "direct")) => event.kind = SenderKind::Direct,
                Some(other) => panic!("no such option: {other:?}"),
                None => {}
            }
        }
        for word in words.iter().filter(|word| !word.contains('=')) {
            let alert = self.alert(process, word, &event.source);
            event.alerts.push(alert);
        }
        let fires = event.alerts.iter().any(|alert| alert.status == Status::Firing);
        event.status = if fires { Status::Firing } else { Status::Resolved };
        process.engine.accept(event, None).await.expect("it is accepted");
    }

    fn alert(&mut self, process: &Process, word: &str, source: &str) -> Alert {
        let (word, over) = word.strip_prefix('-').map_or((word, false), |word| (word, true));
        let (word, channel) = word.split_once('>').unwrap_or((word, "chat"));
        let (word, begun) = word.split_once('@').map_or((word, None), |(word, minute)| (word, Some(minute)));
        let (name, severity) = word.split_once(':').unwrap_or((word, "warning"));
        let mut alert = testing::alert(name, severity, if over { Status::Resolved } else { Status::Firing });
        alert.labels.extend([("to", channel), ("pages", "no"), ("quiet", "no")].map(|(label, value)| (label.into(), value.into())));
        if name == "TestAlert" {
            alert.labels.insert("instance".into(), "Grafana".into());
        }
        let key = format!("{source} {name}");
        let now = process.clock.wall();
        let begun = begun.map(|minute| BEGIN + MINUTE * minute.parse::<u32>().expect("a minute"));
        let start = begun.unwrap_or_else(|| *self.starts.entry(key.clone()).or_insert(now));
        alert.starts_at = Some(start.timestamp());
        if over {
            self.starts.remove(&key);
        }
        let mut rooms = self.rooms.lock().unwrap();
        if !rooms.names.iter().any(|known| known == name) {
            rooms.names.push(name.to_owned());
        }
        alert
    }

    /// `seen=chat`: only what the message on that channel shows.
    async fn press(&mut self, process: &Process, verb: &str, on: IncidentId, name: &str, seen: Option<&str>) {
        self.presses += 1;
        let deed = Deed {
            press: PressKey { platform: "api".into(), event_id: self.presses.to_string() },
            verb: Verb::ALL.into_iter().find(|one| one.as_str() == verb).expect("a verb"),
            span: 5 * MINUTE,
            by: Actor { id: format!("person:{name}"), name: name.into(), via: "API".into() },
            author: Author::default(),
        };
        let shown = seen.map(|room| ShownIn { channel: room.into(), version: 0, formed_at: process.clock.wall(), pressed: None, begun: vec![] });
        let acted = process.engine.act(deed, vec![ActOn { incident: on, shown }]).await.expect("it is stored");
        let said = acted.results.iter().map(|(id, result)| format!("{verb} for #{id}: {}", short(result)));
        self.rooms.lock().unwrap().log.extend(said);
    }

    /// What people saw since the last step, and how the incidents are now.
    async fn seen(&mut self, process: &Process) -> Vec<String> {
        let mut seen: Vec<String> = std::mem::take(&mut self.rooms.lock().unwrap().log);
        // Channels do not wait for each other, and an edit does not wait for a retry: what rings comes first here, of each channel.
        seen.sort_by_key(|line| (!line.contains(" for #"), line.split(' ').next().map(str::to_owned), line.contains(" edits ")));
        seen.dedup();
        let rows = process.store.list_deliveries(&DeliveryFilter { limit: 5000, ..DeliveryFilter::default() }).await.expect("the deliveries");
        let lost = rows.iter().filter(|row| !matches!(row.state, State::Sent | State::Skipped | State::Waiting));
        seen.extend(lost.map(|row| format!("{} {}: {}", row.channel, row.state.as_str(), row.reason.clone().unwrap_or_default())));
        assert!(rows.iter().all(|row| row.state != State::Skipped || row.reason.is_some()), "nothing ends without a reason");
        let found = process.store.list_incidents(&IncidentFilter { limit: 500, ..IncidentFilter::default() }).await.expect("the incidents");
        for one in found.iter().rev() {
            let detail = process.store.get_incident(one.id).await.expect("an incident").expect("it is there");
            let by: Vec<&str> = detail.incident.acks.list.iter().map(|ack| ack.by.name.as_str()).collect();
            let by = if by.is_empty() { String::new() } else { format!(", {} on it", by.join(" and ")) };
            let state = format!("{}{by}", detail.incident.state.as_str());
            if self.states.insert(one.id, state.clone()).as_ref() != Some(&state) {
                seen.push(format!("#{} {state}", one.id));
            }
            for row in detail.timeline.iter().filter(|row| row.kind == TimelineKind::Lost) {
                let line = format!("#{} lost on {}", one.id, row.channel);
                if self.lost.insert(line.clone()) {
                    seen.push(line);
                }
            }
        }
        if seen.len() > CROWD {
            seen = crowd(&seen);
        }
        seen.into_iter().map(|line| format!("> {}", line.trim_end())).collect()
    }
}
