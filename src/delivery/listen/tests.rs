//! Listeners that end as a script says, in paused time.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::tz::TimeZone;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::channel::{CellResult, Channel, ListenContext, ListenEnd, LivingMode, Platform, Press, PressAnswer, Presser, Presses, SendContext};
use crate::delivery::clock::Clock;
use crate::delivery::core::{EngineOptions, EngineParts};
use crate::delivery::outlet::OutletState;
use crate::delivery::people::ActionsPlan;
use crate::delivery::plan::{ChannelPlan, ContentPlan, IncidentsPlan, Legacy, MessagesPlan, RetentionPlan, SelfMonitoringPlan, SendersPlan};
use crate::delivery::self_alert::{SelfAlert, SelfAlertKind};
use crate::delivery::steps::PeoplePlan;
use crate::metrics::{Format, Metrics};
use crate::model::{ErrorKind, Language, OutletKey, Page, PlatformIds, Recipient, Secret, SendError, SeverityScale, Shown, UnixMs};
use crate::route::{Destinations, RouteSpec, Tree};
use crate::store::{SqliteOptions, SqliteStore};
use crate::template::TemplateRegistry;

static PLATFORM: Platform = Platform { name: "log", ..Platform::BASE };

/// How one connection goes.
enum Step {
    /// It is connected for so long, or never is.
    Ends(Option<Duration>, ListenEnd),
    Panics,
}

#[derive(Default)]
struct Script {
    exclusive: bool,
    steps: Mutex<VecDeque<Step>>,
    opened: Mutex<Vec<Instant>>,
    open: AtomicUsize,
    presses: Mutex<Option<Arc<dyn Presses>>>,
}

impl Script {
    fn new(steps: impl IntoIterator<Item = Step>) -> Arc<Self> {
        Arc::new(Self { steps: Mutex::new(steps.into_iter().collect()), ..Self::default() })
    }

    fn opened(&self) -> usize {
        self.opened.lock().unwrap().len()
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// A connection, until it is dropped.
struct Open<'a>(&'a Script);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Listener for Script {
    fn exclusive(&self) -> bool {
        self.exclusive
    }

    async fn listen(&self, cx: &ListenContext) -> ListenEnd {
        self.opened.lock().unwrap().push(Instant::now());
        self.open.fetch_add(1, Ordering::SeqCst);
        let _open = Open(self);
        *self.presses.lock().unwrap() = Some(cx.presses.clone());
        let step = self.steps.lock().unwrap().pop_front();
        match step {
            Some(Step::Ends(lasts, end)) => {
                if let Some(lasts) = lasts {
                    cx.connected.send_replace(true);
                    tokio::time::sleep(lasts).await;
                }
                end
            }
            Some(Step::Panics) => panic!("scripted"),
            None => {
                cx.connected.send_replace(true);
                std::future::pending().await
            }
        }
    }
}

struct Driver(Arc<Script>);

#[async_trait]
impl Channel for Driver {
    async fn send(&self, _: &Page, _: &[Recipient], _: &SendContext) -> Vec<CellResult> {
        Vec::new()
    }

    fn body(&self, _: &Page) -> Value {
        Value::Null
    }

    fn press_way(&self) -> Option<PressWay> {
        Some(PressWay::Listener(self.0.clone()))
    }
}

/// Says whose presses it takes.
struct Says(Arc<str>);

#[async_trait]
impl Presses for Says {
    async fn press(&self, press: Press) -> PressAnswer {
        PressAnswer { text: format!("{} on {}", press.value, self.0), done: true }
    }
}

fn plan(channels: &[(&str, &Arc<Script>)]) -> Arc<Plan> {
    let channel = |(name, script): &(&str, &Arc<Script>)| {
        let plan = ChannelPlan {
            name: (*name).into(),
            platform: &PLATFORM,
            outlet: OutletKey::new("log", name),
            driver: Arc::new(Driver((*script).clone())),
            recipients: vec![Recipient::new("x")],
            content: ContentPlan {
                plain: false,
                template: "default".into(),
                language: Language::En,
                send_resolved: true,
                looks_up: &[],
                mentions: Default::default(),
                living: LivingMode::Off,
                actions: ActionsPlan::default(),
                max_pages: 1,
            },
            rate_limit: None,
            digest: None,
            timeout: Duration::from_secs(10),
            max_age: Duration::from_secs(3600),
            fallback: Vec::new(),
            fallback_after: None,
            allowance: Default::default(),
            disabled: false,
            previous_names: Vec::new(),
        };
        ((*name).to_owned(), Arc::new(plan))
    };
    let root = RouteSpec { name: "route".into(), to: Destinations::to(["ops"]), ..RouteSpec::default() };
    Arc::new(Plan {
        hash: "hash".into(),
        channels: channels.iter().map(channel).collect(),
        tree: Tree::compile(root, &Default::default()).expect("a tree"),
        templates: Arc::new(TemplateRegistry::compile(&[], Vec::new()).0),
        scale: SeverityScale::default(),
        messages: MessagesPlan { time_zone: TimeZone::UTC, shown: Shown::default() },
        external_url: String::new(),
        link_key: Secret::new("key"),
        senders: SendersPlan::default(),
        legacy: Legacy::default(),
        self_monitoring: SelfMonitoringPlan::default(),
        incidents: IncidentsPlan::default(),
        retention: RetentionPlan::default(),
        heartbeats: Vec::new(),
        people: PeoplePlan::default(),
    })
}

struct Running {
    engine: Arc<Engine>,
    alarms: mpsc::Receiver<SelfAlert>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

/// An engine whose listeners run, in paused time.
async fn run_with(plan: Arc<Plan>, leased: bool, start: bool) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open_async(SqliteOptions::new(folder.path().join("s.db"))).await.unwrap());
    let clock = Clock::runtime(UnixMs(1_790_000_000_000));
    let options = EngineOptions { leased, ..EngineOptions::default() };
    let (engine, alarms) = Engine::new(EngineParts { store, plan: plan.clone(), clock, metrics: Arc::new(Metrics::new()), node: "n", options });
    let engine = Arc::new(engine);
    if start {
        engine.start().await.unwrap();
        for channel in plan.channels.values() {
            while !engine.outlet_state(&channel.outlet).owned {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    tokio::time::pause();
    let cancel = CancellationToken::new();
    let presses: PressesOf = Arc::new(|channel| Arc::new(Says(channel.name.clone())));
    let task = tokio::spawn(super::run(engine.clone(), presses, cancel.clone()));
    Running { engine, alarms, cancel, task, _folder: folder }
}

async fn run(plan: Arc<Plan>) -> Running {
    run_with(plan, false, false).await
}

impl Running {
    fn series(&self) -> Vec<String> {
        let text = self.engine.metrics().write(Format::OpenMetrics);
        text.lines().filter(|line| line.starts_with("watchfire_listener_connected{")).map(str::to_owned).collect()
    }

    /// What a reload does, without its workers.
    fn reload(&self, plan: Arc<Plan>) {
        self.engine.shared.plan.store(plan);
    }
}

async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn lost() -> Step {
    Step::Ends(None, ListenEnd::Lost(SendError::new(ErrorKind::Transient, "no route to the platform")))
}

#[tokio::test]
async fn a_lost_connection_is_opened_again_and_what_is_shown_follows() {
    let script = Script::new([lost(), lost(), Step::Ends(Some(Duration::from_secs(100)), ListenEnd::Closed)]);
    let running = run(plan(&[("ops", &script)])).await;
    after(1).await;
    let state = running.engine.listener_state("ops").unwrap();
    assert_eq!((state.connected, state.error.as_deref()), (false, Some("no route to the platform")));
    assert_eq!(running.series(), [r#"watchfire_listener_connected{channel="ops"} 0"#]);
    after(5).await;
    assert_eq!(running.engine.listener_state("ops"), Some(ListenerState { connected: true, error: None }));
    assert_eq!(running.series(), [r#"watchfire_listener_connected{channel="ops"} 1"#]);
    after(100).await;
    let opened = script.opened.lock().unwrap().clone();
    let gaps: Vec<u64> = opened.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_millis() as u64).collect();
    assert!((500..=1000).contains(&gaps[0]) && (1000..=2000).contains(&gaps[1]), "{gaps:?}");
    assert!((100_000..100_500).contains(&gaps[2]) && gaps.len() == 3, "a usual end is followed at once: {gaps:?}");
    assert_eq!(running.engine.listener_state("nobody"), None);
}

#[tokio::test]
async fn channels_of_one_credential_share_a_connection_and_reloads_keep_what_stays() {
    let (one, two, three) = (Script::new([]), Script::new([]), Script::new([]));
    let running = run(plan(&[("a", &one), ("b", &one), ("c", &two)])).await;
    after(2).await;
    assert_eq!((one.opened(), two.opened()), (1, 1));
    assert_eq!(running.series().len(), 3);
    let press = |id: &str| Press {
        event_id: id.into(),
        value: "ack".into(),
        message: PlatformIds::default(),
        by: Presser { id: "U1".into(), name: "Ann".into(), foreign: false },
    };
    let presses = one.presses.lock().unwrap().clone().unwrap();
    assert_eq!(presses.press(press("1")).await.text, "ack on a");

    // `a` is gone, `c` has other credentials, `d` is new.
    running.reload(plan(&[("b", &one), ("c", &three), ("d", &one)]));
    after(2).await;
    assert_eq!((one.opened(), one.open(), two.open(), three.open()), (1, 1, 0, 1));
    assert_eq!(presses.press(press("2")).await.text, "ack on b");
    let shown: Vec<String> = running.series();
    assert!(shown.len() == 3 && shown.iter().all(|line| !line.contains("\"a\"") && line.ends_with(" 1")), "{shown:?}");

    running.reload(plan(&[]));
    after(2).await;
    assert_eq!((one.open(), three.open(), running.series().len()), (0, 0, 0));
    assert_eq!(running.engine.listener_state("b"), None);
    assert!(!presses.press(press("3")).await.done);
}

#[tokio::test]
async fn an_exclusive_one_listens_on_the_owner_of_its_outlet_only() {
    let script = Arc::new(Script { exclusive: true, ..Script::default() });
    let elsewhere = run_with(plan(&[("ops", &script)]), true, false).await;
    after(30).await;
    assert_eq!((script.opened(), elsewhere.series().len()), (0, 0));
    assert_eq!(elsewhere.engine.listener_state("ops"), None);
    tokio::time::resume();

    let here = run_with(plan(&[("ops", &script)]), false, true).await;
    after(2).await;
    assert_eq!((script.opened(), script.open()), (1, 1));
    assert!(here.engine.listener_state("ops").unwrap().connected);
}

#[tokio::test]
async fn an_exclusive_one_goes_with_its_outlet_from_node_to_node() {
    let script = Arc::new(Script { exclusive: true, ..Script::default() });
    let shared = plan(&[("ops", &script)]);
    let one = run_with(shared.clone(), true, false).await;
    tokio::time::resume();
    let two = run_with(shared, true, false).await;
    let own = |node: &Running, owned: bool| {
        let mailbox = node.engine.shared.outlets.get(&OutletKey::new("log", "ops")).unwrap();
        mailbox.show(OutletState { owned, ..OutletState::default() });
    };
    for (place, (owner, other)) in [(&one, &two), (&two, &one), (&one, &two)].into_iter().enumerate() {
        // Nobody has it for a while.
        own(other, false);
        after(30).await;
        assert_eq!((script.open(), script.opened()), (0, place));
        own(owner, true);
        after(2).await;
        assert_eq!((script.open(), script.opened()), (1, place + 1));
        assert!(owner.engine.listener_state("ops").unwrap().connected);
        assert_eq!((other.engine.listener_state("ops"), other.series().len()), (None, 0));
    }
}

#[tokio::test]
async fn five_minutes_without_a_connection_raise_one_alarm_that_ends_with_it() {
    let refused = || Step::Ends(None, ListenEnd::Lost(SendError::new(ErrorKind::Misconfigured, "invalid_auth")));
    let script = Script::new([refused(), refused(), refused()]);
    let mut running = run(plan(&[("ops", &script), ("more", &script)])).await;
    after(295).await;
    assert_eq!(script.opened(), 1, "bad credentials are tried seldom");
    assert!(running.alarms.try_recv().is_err());
    after(400).await;
    let alarm = running.alarms.try_recv().unwrap();
    assert_eq!((alarm.name(), alarm.channel()), ("WatchfireListenerLost", "ops"));
    let said = alarm.event(UnixMs(0), UnixMs(0), Language::En).alerts.remove(0).annotations;
    assert!(said["summary"].contains("ops and of 1 more") && said["description"].contains("invalid_auth"), "{said:?}");
    assert!(running.alarms.try_recv().is_err(), "one alarm");
    after(300).await;
    assert!(running.engine.listener_state("more").unwrap().connected);
    assert_eq!(running.alarms.try_recv().unwrap(), SelfAlert::resolved(SelfAlertKind::ListenerLost, "ops"));
}

#[tokio::test]
async fn a_panic_is_counted_and_followed_by_the_next_connection() {
    let script = Script::new([Step::Panics]);
    let running = run(plan(&[("ops", &script)])).await;
    after(5).await;
    assert!(running.engine.listener_state("ops").unwrap().connected);
    let text = running.engine.metrics().write(Format::OpenMetrics);
    assert!(text.contains(r#"task_restarts_total{what="listener"} 1"#), "{text}");
}

#[tokio::test]
async fn a_stop_ends_the_connections() {
    let script = Script::new([]);
    let mut running = run(plan(&[("ops", &script)])).await;
    after(2).await;
    assert_eq!(script.open(), 1);
    running.cancel.cancel();
    (&mut running.task).await.unwrap();
    assert_eq!((script.open(), running.engine.listener_state("ops"), running.series().len()), (0, None, 0));
}
