//! Processes on one store, with escalations and a rota, in injected time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use indexmap::IndexMap;
use jiff::civil::date;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::channel::{Called, Limit, LivingMode};
use crate::delivery::press::Deed;
use crate::delivery::steps::{EscalationPlan, PeoplePlan, StepCondition, StepPeople, StepPlan, StepTarget, Team};
use crate::delivery::{AllowancePlan, Clock, Engine, EngineOptions, EngineParts, Person, PersonName, Quiet, Rota, Rotation, maintenance, testing};
use crate::metrics::{Format, Metrics};
use crate::model::{Alert, Event, IncidentId, Mentions, Recipient, Severity, Status, UnixMs, Verb, Word};
use crate::route::{ByLabel, Destinations, Matcher, Op, RouteSpec, Tree};
use crate::store::{ActOn, Actor, Author, DeliveryFilter, DeliveryRow, PressKey, QueryStore, ReceiptStore as _, State, TimelineKind};

use super::exchange::{Exchange, Line};
use super::life::Disk;
use super::paused::Paused;
use super::plan::{BEGIN, QUIET, quiet};
use super::platform::{LIVING, MAIL, PHONE, VOICE};
use super::{Dice, World};

/// A store, and what outlives the processes on it.
pub struct Scene {
    pub exchange: Arc<Exchange>,
    folder: tempfile::TempDir,
    pub now: UnixMs,
    /// The rota of the night.
    pub rota: Rota,
    /// Who has quiet hours, in which nothing but what is critical reaches them.
    pub quiet: Option<&'static str>,
    /// Further rotas, each with an escalation and a route of its name: a call to who is on call, then a mail to eve.
    pub offices: Vec<Rota>,
    /// The quiet hours of people.
    pub hours: Vec<(&'static str, Quiet)>,
    /// What `voice` and its recipients get at most, and its fallback.
    pub phone: Option<(AllowancePlan, Vec<String>)>,
    /// What `voice` and its recipient get at most as a robot, which counts messages and not recipients, and its fallback. It merges what waits for ten minutes.
    pub robot: Option<(AllowancePlan, Vec<String>)>,
    /// How many calls `voice` makes in a minute, where it is not as many as its platform allows.
    pub per_minute: Option<u32>,
    /// A channel with `disabled: true`.
    pub disabled: Option<&'static str>,
    /// Who steps by name are for in place of somebody, as after a reload.
    pub instead: Option<(&'static str, &'static str)>,
    /// Whether `db` has another first step, for what is critical, and `call` a second one, as after a reload.
    pub grown: bool,
}

pub struct Process {
    pub engine: Arc<Engine>,
    pub store: Arc<Paused>,
    metrics: Arc<Metrics>,
    presses: Mutex<u64>,
}

fn step(minutes: u64, channel: &str, to: &str) -> StepPlan {
    let target = StepTarget { channel: channel.into(), recipients: vec![Recipient::new(to)], mentions: None };
    StepPlan {
        after: Duration::from_secs(60 * minutes),
        to: Destinations::default(),
        targets: vec![target],
        people: StepPeople::Named(vec![to.into()]),
        when: StepCondition::default(),
    }
}

/// A rota whose handoff is five minutes after the beginning; on its day it is the first one's turn.
fn night_rota() -> Rota {
    Rota {
        name: "night".into(),
        zone: TimeZone::UTC,
        rotation: Rotation::Daily,
        first: date(2026, 11, 20),
        handoff: jiff::civil::time(3, 5, 0, 0),
        people: ["ann", "bob"].map(PersonName::from).to_vec(),
        tell: None,
    }
}

/// A step to whom a turn names.
fn at(minutes: u64, channel: &str, (people, mentions): (StepPeople, Mentions)) -> StepPlan {
    let target = StepTarget { channel: channel.into(), recipients: Vec::new(), mentions: Some(mentions) };
    StepPlan { after: Duration::from_secs(60 * minutes), to: Destinations::default(), targets: vec![target], people, when: StepCondition::default() }
}

fn turn(rota: &str, next: bool) -> (StepPeople, Mentions) {
    let name = Some(rota.to_owned());
    if next {
        (StepPeople::Next(rota.into()), Mentions { next: name, ..Mentions::default() })
    } else {
        (StepPeople::OnCall(rota.into()), Mentions { oncall: name, ..Mentions::default() })
    }
}

impl Scene {
    pub fn new() -> Self {
        let folder =
            tempfile::Builder::new().prefix("wf-model").tempdir_in(if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" });
        let folder = folder.expect("a folder");
        Self {
            exchange: Arc::default(),
            folder,
            now: BEGIN,
            rota: night_rota(),
            quiet: None,
            offices: Vec::new(),
            hours: Vec::new(),
            phone: None,
            robot: None,
            per_minute: None,
            disabled: None,
            instead: None,
            grown: false,
        }
    }

    /// A process that lives until `work` ends, and then crashes.
    pub fn live<T>(&mut self, work: impl AsyncFnOnce(&Process) -> T) -> T {
        self.live_on(tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true), work)
    }

    /// The same in real time.
    pub fn live_in_real_time<T>(&mut self, work: impl AsyncFnOnce(&Process) -> T) -> T {
        self.live_on(tokio::runtime::Builder::new_multi_thread().enable_all(), work)
    }

    fn live_on<T>(&mut self, runtime: &mut tokio::runtime::Builder, work: impl AsyncFnOnce(&Process) -> T) -> T {
        let runtime = runtime.build().expect("a runtime");
        let (done, lived) = runtime.block_on(async {
            let store = Arc::new(Paused::new(Disk::File(self.folder.path().to_owned()).open().await, self.now));
            let clock = Clock::runtime(self.now);
            *self.exchange.clock.lock().unwrap() = Some(clock.clone());
            let begun = clock.instant();
            let process = self.start(&store, &clock).await;
            let done = work(&process).await;
            (done, begun.elapsed())
        });
        drop(runtime);
        self.now = self.now + lived + 1000;
        done
    }

    async fn start(&self, store: &Arc<Paused>, clock: &Clock) -> Process {
        let mut plan = World::new(&mut Dice::new(1)).plan(false, "a");
        for (name, platform, living) in [("free", &LIVING, LivingMode::Edit), ("voice", &VOICE, LivingMode::New), ("mail", &MAIL, LivingMode::New)] {
            let channel = plan.channels.get_mut(name).and_then(Arc::get_mut).expect("a channel that nobody else has");
            (channel.driver, channel.platform, channel.content.living) = (Arc::new(Line(self.exchange.clone(), name)), platform, living);
            channel.fallback = Vec::new();
            channel.disabled = self.disabled == Some(name);
        }
        if let Some((allowance, fallback)) = &self.phone {
            let voice = plan.channels.get_mut("voice").and_then(Arc::get_mut).expect("a channel that nobody else has");
            (voice.platform, voice.allowance, voice.fallback) = (&PHONE, allowance.clone(), fallback.clone());
            (voice.rate_limit, voice.recipients) = (None, ["ann", "bob"].map(Recipient::new).to_vec());
        }
        if let Some((allowance, fallback)) = &self.robot {
            let voice = plan.channels.get_mut("voice").and_then(Arc::get_mut).expect("a channel that nobody else has");
            (voice.allowance, voice.fallback, voice.digest) = (allowance.clone(), fallback.clone(), Some(Duration::from_secs(600)));
        }
        if let Some(count) = self.per_minute {
            let voice = plan.channels.get_mut("voice").and_then(Arc::get_mut).expect("a channel that nobody else has");
            voice.rate_limit = Some(vec![Limit { count, window: Duration::from_secs(60) }]);
        }
        let mut db = EscalationPlan { steps: vec![step(5, "voice", "ann"), step(10, "mail", "bob"), step(20, "voice", "bob")] };
        let web = EscalationPlan { steps: vec![step(2, "mail", "carol")] };
        let (on_call, next) = (|rota: &str| turn(rota, false), |rota: &str| turn(rota, true));
        let night = EscalationPlan { steps: vec![at(2, "voice", on_call("night")), at(6, "voice", on_call("night")), at(10, "mail", next("night"))] };
        let nobody = EscalationPlan { steps: vec![at(5, "voice", on_call("later")), step(50, "mail", "bob")] };
        let only = |when: StepCondition, one: StepPlan| StepPlan { when, ..one };
        let critical = StepCondition { severity: Some(Severity::Critical), ..StepCondition::default() };
        let awake = StepCondition { mute: vec![Arc::new(quiet())], ..StepCondition::default() };
        let some = EscalationPlan {
            steps: vec![only(critical.clone(), step(2, "mail", "ann")), only(awake.clone(), step(5, "mail", "bob")), step(30, "mail", "carol")],
        };
        let late = EscalationPlan { steps: vec![step(5, "voice", "ann"), only(awake, step(20, "mail", "bob"))] };
        let mut by_mail_and_call = step(5, "mail", "ann");
        by_mail_and_call.targets.extend(step(5, "voice", "ann").targets);
        let grave = EscalationPlan { steps: vec![only(critical.clone(), by_mail_and_call)] };
        let severe = EscalationPlan { steps: vec![step(5, "mail", "ann"), only(critical.clone(), step(6, "mail", "bob"))] };
        db.steps.splice(0..0, self.grown.then(|| only(critical, step(3, "mail", "carol"))));
        let again =
            EscalationPlan { steps: vec![step(5, "voice", "ann"), step(6, "voice", "ann"), step(7, "voice", "ann"), step(10, "mail", "bob")] };
        let mut call = EscalationPlan { steps: vec![step(5, "voice", "ann")] };
        call.steps.extend(self.grown.then(|| step(20, "mail", "bob")));
        let soon = EscalationPlan { steps: vec![StepPlan { after: Duration::from_secs(6), ..step(1, "mail", "ann") }] };
        let many = EscalationPlan { steps: vec![step(5, "mail", "ann")] };
        let mut pair = step(5, "voice", "ann");
        pair.targets[0].recipients.push(Recipient::new("bob"));
        pair.people = StepPeople::Named(["ann", "bob"].map(PersonName::from).to_vec());
        let both = EscalationPlan { steps: vec![pair, step(10, "mail", "carol")] };
        let sure = EscalationPlan { steps: vec![step(5, "voice", "ann"), step(10, "mail", "bob")] };
        let owner = StepPeople::Owner { label: "owner".into(), default: Box::new(StepPeople::OnCall("night".into())) };
        let asked = owner.later().expect("it is found when the step is sent");
        let by_label = ByLabel { label: "team".into(), channels: [("db".to_owned(), vec!["voice".into()])].into() };
        let mut by_team = step(10, "voice", "bob");
        by_team.targets.extend(step(10, "mail", "bob").targets);
        by_team.to = Destinations { default: vec!["mail".into()], by_label: Some(Arc::new(by_label)) };
        let team = Mentions { people: vec!["team".into()], ..Mentions::default() };
        let teams = EscalationPlan { steps: vec![step(5, "voice", "ann"), at(20, "voice", (StepPeople::Named(vec!["team".into()]), team))] };
        let owners = EscalationPlan { steps: vec![step(5, "voice", "ann"), at(20, "voice", (owner.clone(), asked.clone()))] };
        let owned = EscalationPlan { steps: vec![at(6, "voice", (owner, asked)), by_team] };
        let mut escalations = IndexMap::from([
            ("owned".into(), owned),
            ("teams".into(), teams),
            ("owners".into(), owners),
            ("some".into(), some),
            ("many".into(), many),
            ("late".into(), late),
            ("severe".into(), severe),
            ("sure".into(), sure),
            ("call".into(), call),
            ("again".into(), again),
            ("soon".into(), soon),
            ("both".into(), both),
            ("grave".into(), grave),
            ("db".into(), db),
            ("web".into(), web),
            ("night".into(), night),
            ("nobody".into(), nobody),
        ]);
        let office = |rota: &Rota| EscalationPlan { steps: vec![at(2, "voice", on_call(&rota.name)), step(4, "mail", "eve")] };
        escalations.extend(self.offices.iter().map(|rota| (rota.name.clone(), office(rota))));
        if let Some((of, to)) = self.instead {
            let targets = escalations.values_mut().flat_map(|one| &mut one.steps).flat_map(|step| &mut step.targets);
            let recipients = targets.flat_map(|target| &mut target.recipients).filter(|one| **one == Recipient::new(of));
            recipients.for_each(|one| *one = Recipient::new(to));
        }
        let hours = || Quiet { intervals: vec![Arc::new(quiet())], unless: Severity::Critical };
        let person = |name: &str| {
            let own = self.hours.iter().find(|(of, _)| *of == name).map(|(_, hours)| hours.clone());
            let quiet = own.or_else(|| self.quiet.filter(|quiet| *quiet == name).map(|_| hours()));
            Person { name: name.into(), full_name: None, language: None, email: None, mobile: Some(name.into()), ids: Default::default(), quiet }
        };
        let later = Rota { name: "later".into(), first: date(2027, 11, 20), tell: None, ..night_rota() };
        let rotas = [self.rota.clone(), later];
        plan.people = PeoplePlan {
            people: ["ann", "bob", "carol", "eve"].map(person).into_iter().collect(),
            teams: [("team".into(), Team { people: vec!["bob".into()], ..Team::default() })].into(),
            rotas: rotas.into_iter().chain(self.offices.iter().cloned()).map(|rota| (rota.name.clone(), rota)).collect(),
            escalations,
            ..PeoplePlan::default()
        };
        let routes = self.routes();
        let root = RouteSpec { name: "route".into(), to: Destinations::to(["free"]), escalation: Some("db".into()), routes, ..RouteSpec::default() };
        plan.tree = Tree::compile(root, &[(QUIET.to_owned(), Arc::new(quiet()))].into()).expect("a tree");
        let (metrics, options) = (Arc::new(Metrics::new()), EngineOptions::default());
        let parts = EngineParts { store: store.clone(), plan: Arc::new(plan), clock: clock.clone(), metrics: metrics.clone(), node: "a", options };
        let (engine, alarms) = Engine::new(parts);
        let engine = Arc::new(engine);
        engine.start().await.expect("the engine starts");
        tokio::spawn(maintenance::run(engine.clone(), alarms, CancellationToken::new()));
        Process { engine, store: store.clone(), metrics, presses: Mutex::default() }
    }

    /// A route for each escalation, by a label of its name.
    fn routes(&self) -> Vec<RouteSpec> {
        let is = |label: &str| vec![Matcher::new(label, Op::Equal, "yes").expect("a matcher")];
        let below = |label: &str| RouteSpec { name: label.into(), matchers: is(label), ..RouteSpec::default() };
        let mut routes = vec![
            RouteSpec { escalation: Some("web".into()), ..below("web") },
            RouteSpec { escalation: Some("night".into()), ..below("night") },
            RouteSpec { escalation: Some("some".into()), ..below("some") },
            RouteSpec { escalation: Some("many".into()), ..below("many") },
            RouteSpec { escalation: Some("late".into()), ..below("late") },
            RouteSpec { escalation: Some("severe".into()), ..below("severe") },
            RouteSpec { escalation: Some("sure".into()), ..below("sure") },
            RouteSpec { escalation: Some("call".into()), ..below("call") },
            RouteSpec { escalation: Some("again".into()), ..below("again") },
            RouteSpec { escalation: Some("soon".into()), ..below("soon") },
            RouteSpec { escalation: Some("both".into()), ..below("both") },
            RouteSpec { escalation: Some("grave".into()), ..below("grave") },
            RouteSpec { escalation: Some("nobody".into()), ..below("nobody") },
            RouteSpec { escalation: Some("owned".into()), ..below("owned") },
            RouteSpec { escalation: Some("teams".into()), ..below("teams") },
            RouteSpec { escalation: Some("owners".into()), ..below("owners") },
            RouteSpec { mute_time_intervals: vec![QUIET.into()], ..below("muted") },
        ];
        routes.extend(self.offices.iter().map(|rota| RouteSpec { escalation: Some((&*rota.name).into()), ..below(&rota.name) }));
        routes
    }

    /// Whom which channel reached in which minute, of those that only steps use.
    pub fn steps(&self) -> Vec<(i64, &'static str, String)> {
        let reached = self.exchange.reached.lock().unwrap();
        reached.iter().filter(|one| one.channel != "free").map(|one| (one.minute, one.channel, one.to.clone())).collect()
    }

    /// How often the channel of the routes was notified.
    pub fn notified(&self) -> usize {
        self.exchange.reached.lock().unwrap().iter().filter(|one| one.channel == "free").count()
    }
}

impl Process {
    pub fn now(&self) -> UnixMs {
        self.engine.shared.clock.wall()
    }

    pub async fn report(&self, group: &str, alerts: &[(&str, &str, Status)]) -> IncidentId {
        let labelled = |(name, label, status): &(&str, &str, Status)| {
            let mut alert = testing::alert(name, "warning", *status);
            alert.labels.insert((*label).into(), "yes".into());
            alert
        };
        self.report_all(group, alerts.iter().map(labelled).collect()).await
    }

    pub async fn report_all(&self, group: &str, alerts: Vec<Alert>) -> IncidentId {
        let event = Event { group_key: group.into(), ..testing::event(alerts) };
        let accepted = self.engine.accept(event, None).await.expect("it is accepted");
        accepted.deliveries[0].incident.expect("it belongs to an incident")
    }

    /// Something that ann does by the API.
    pub fn deed(&self, verb: Verb, span: Duration) -> Deed {
        let number = {
            let mut presses = self.presses.lock().unwrap();
            *presses += 1;
            *presses
        };
        let event_id = format!("{}-{number}", self.engine.shared.clock.wall());
        let press = PressKey { platform: "api".into(), event_id };
        let by = Actor { id: "person:ann".into(), name: "ann".into(), via: "API".into() };
        Deed { press, verb, span, by, author: Author::default() }
    }

    pub async fn press(&self, verb: Verb, on: IncidentId, span: Duration) {
        self.engine.act(self.deed(verb, span), vec![ActOn { incident: on, shown: None }]).await.expect("it is stored");
    }

    /// Time passes in which nobody answers a call of `voice`, where its vendor reports later what became of it: no report comes just at the end, nor in whole
    /// seconds, at which processes are killed.
    pub async fn nobody_answers(&self, span: Duration) {
        let end = self.now() + span;
        loop {
            tokio::time::sleep(end.since(self.now()).min(Duration::from_millis(7321))).await;
            if self.now() >= end {
                return;
            }
            let plan = self.engine.plan();
            for to in ["ann", "bob"] {
                let calls = self.store.receipts_to(&Recipient::new(to), &["voice".to_owned()], 99).await.expect("the receipts");
                for call in calls {
                    let word = Word { reached: false, code: "busy".into(), detail: "nobody answered".into() };
                    let called = Called { platform_id: call.platform_id, recipient: None, word: Some(word), key: None };
                    self.engine.handle_callback(&plan.channels["voice"], &called).await.expect("it is stored");
                }
            }
        }
    }

    /// The steps of an incident, by the order in which they were made: how each ended, and why.
    pub async fn ends(&self, of: IncidentId) -> Vec<(State, String)> {
        let rows = self.store.list_deliveries(&DeliveryFilter { limit: 500, ..DeliveryFilter::default() }).await.expect("the deliveries");
        let mut steps: Vec<&DeliveryRow> = rows.iter().filter(|row| row.incident == Some(of) && row.channel != "free").collect();
        steps.sort_by_key(|row| (row.born_at, row.id));
        steps.into_iter().map(|row| (row.state, row.reason.clone().unwrap_or_default())).collect()
    }

    pub async fn escalated(&self, of: IncidentId) -> Vec<String> {
        let detail = self.store.get_incident(of).await.expect("the store").expect("it is there");
        detail.timeline.into_iter().filter(|row| row.kind == TimelineKind::Escalated).map(|row| row.text).collect()
    }

    /// Whether metrics have this line.
    pub fn shows(&self, line: &str) -> bool {
        self.metrics.write(Format::Text).lines().any(|one| one == line)
    }

    /// How often this alarm was raised; of any kind where it is empty.
    pub fn alarms(&self, name: &str) -> u64 {
        let text = self.metrics.write(Format::Text);
        let begins = format!("watchfire_self_alerts_total{{what=\"{name}");
        let counts = text.lines().filter(|line| line.starts_with(&begins)).filter_map(|line| line.rsplit_once(' '));
        counts.filter_map(|(_, count)| count.parse::<u64>().ok()).sum()
    }

    pub fn counted(&self, result: &str) -> String {
        let text = self.metrics.write(Format::Text);
        let begins = format!("watchfire_escalation_steps_total{{result=\"{result}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&begins)).unwrap_or_default().to_owned()
    }
}

pub fn owned(steps: &[(i64, &'static str, &str)]) -> Vec<(i64, &'static str, String)> {
    steps.iter().map(|(minute, channel, to)| (*minute, *channel, (*to).to_owned())).collect()
}
