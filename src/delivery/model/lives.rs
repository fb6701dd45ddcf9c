//! One message through several processes: which ends count as crashes at it, and what a wall clock that was set back delays.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::channel::{CellResult, Channel, SendContext};
use crate::delivery::policy::MAX_BACKOFF;
use crate::delivery::self_alert::SelfAlert;
use crate::delivery::{Clock, Engine, EngineOptions, EngineParts, cluster, maintenance, testing};
use crate::metrics::{Format, Metrics};
use crate::model::{ErrorKind, LaneId, Page, PlatformIds, Receipt, Recipient, SendError, Status, UnixMs};
use crate::store::{LeaseRequest, OutletStore, State};

use super::life::Disk;
use super::paused::Paused;
use super::plan::BEGIN;
use super::{Dice, World};

/// What the platform does with a message.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Taken,
    Failed(ErrorKind),
    /// None for as long as anybody waits.
    Nothing,
}

/// A platform whose answer is set by the test.
struct Platform {
    answer: Mutex<Answer>,
    /// Pages that came, and the text of the last.
    came: AtomicUsize,
    text: Mutex<String>,
}

#[async_trait]
impl Channel for Arc<Platform> {
    fn body(&self, page: &Page) -> serde_json::Value {
        crate::channel::kit::shown(&page.fields)
    }

    async fn send(&self, page: &Page, to: &[Recipient], _: &SendContext) -> Vec<CellResult> {
        self.came.fetch_add(1, Ordering::SeqCst);
        page.field("text").clone_into(&mut self.text.lock().unwrap());
        let answer = *self.answer.lock().unwrap();
        let results = (0..to.len()).map(|place| match answer {
            Answer::Taken => (place, Ok(Receipt { ids: PlatformIds::default(), code: "ok".into(), answer: String::new() })),
            Answer::Failed(kind) => (place, Err(SendError::new(kind, "not now"))),
            Answer::Nothing => (place, Err(SendError::new(ErrorKind::Ambiguous, "no answer"))),
        });
        let results = results.collect();
        if matches!(answer, Answer::Nothing) {
            std::future::pending::<()>().await;
        }
        results
    }
}

/// A store on disk, the platform, and the clocks: true time, and what the wall clock is ahead of it.
struct Scene {
    world: World,
    folder: tempfile::TempDir,
    platform: Arc<Platform>,
    channel: &'static str,
    truth: UnixMs,
    ahead: i64,
    /// Where alarms go, if anywhere.
    alarms_to: Option<&'static str>,
}

/// A process that lives.
struct Process {
    engine: Arc<Engine>,
    store: Arc<Paused>,
    clock: Clock,
}

impl Scene {
    fn new(channel: &'static str, answer: Answer) -> Self {
        Self {
            world: World::new(&mut Dice::new(1)),
            folder: tempfile::tempdir().expect("a folder"),
            platform: Arc::new(Platform { answer: answer.into(), came: AtomicUsize::new(0), text: Mutex::default() }),
            channel,
            truth: UnixMs::EPOCH,
            ahead: BEGIN - UnixMs::EPOCH,
            alarms_to: None,
        }
    }

    /// Runs a process until `work` is done. What it does not stop itself ends as by a crash.
    fn live<T>(&mut self, node: &str, work: impl AsyncFnOnce(&Self, Process) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let (done, took) = runtime.block_on(async {
            let store = Arc::new(Paused::new(Disk::File(self.folder.path().to_owned()).open().await, self.truth));
            let clock = Clock::runtime(self.truth + self.ahead);
            let begun = clock.instant();
            let process = self.start(node, &store, &clock).await;
            let done = work(self, process).await;
            (done, begun.elapsed().as_millis() as i64)
        });
        drop(runtime);
        self.truth += took + 1000;
        done
    }

    async fn start(&self, node: &str, store: &Arc<Paused>, clock: &Clock) -> Process {
        let (process, _alarms) = self.begin(node, store, clock).await;
        process.send_from_now_on();
        process
    }

    /// A process that accepts what comes, and in which nobody sends yet.
    async fn begin(&self, node: &str, store: &Arc<Paused>, clock: &Clock) -> (Process, mpsc::Receiver<SelfAlert>) {
        let mut plan = self.world.plan(false, "a");
        let channel = plan.channels.get_mut(self.channel).and_then(Arc::get_mut).expect("a channel that nobody else has");
        channel.driver = Arc::new(self.platform.clone());
        channel.timeout = Duration::from_secs(3600);
        plan.self_monitoring.to = self.alarms_to.map(str::to_owned).into_iter().collect();
        let options = EngineOptions { leased: true, ..EngineOptions::default() };
        let (engine, alarms) = Engine::new(EngineParts {
            store: store.clone(),
            plan: Arc::new(plan),
            clock: clock.clone(),
            metrics: Arc::new(Metrics::new()),
            node,
            options,
        });
        let engine = Arc::new(engine);
        engine.start().await.expect("the engine starts");
        (Process { engine, store: store.clone(), clock: clock.clone() }, alarms)
    }

    fn came(&self) -> usize {
        self.platform.came.load(Ordering::SeqCst)
    }

    /// Waits until one more page came than `before`; how long that took.
    async fn arrival(&self, clock: &Clock, before: usize, within: Duration) -> Duration {
        let begun = clock.instant();
        while self.came() == before {
            assert!(clock.instant() - begun < within, "nothing came within {within:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        clock.instant() - begun
    }
}

impl Process {
    fn send_from_now_on(&self) {
        tokio::spawn(cluster::run(self.engine.clone(), CancellationToken::new()));
    }

    async fn accept(&self, channel: &str) -> LaneId {
        let event = testing::event(vec![testing::alert("Poison", "critical", Status::Firing)]);
        let accepted = self.engine.accept(event, Some(&[channel.to_owned()])).await.expect("it is accepted");
        accepted.deliveries[0].lane
    }

    async fn wait_for(&self, state: State) {
        loop {
            let rows =
                crate::store::QueryStore::list_deliveries(&*self.store, &crate::store::DeliveryFilter { limit: 9, ..Default::default() }).await;
            if rows.expect("the deliveries").iter().all(|row| row.state == state) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// How a process ends while the platform has the message and has not answered.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Killed,
    /// Told to stop, and cut off by its deadline.
    Stopped,
}

/// What is sent after these ends, each of another of two nodes than the one before.
fn sent_after(ends: &[End]) -> String {
    let mut scene = Scene::new("free", Answer::Nothing);
    for (place, end) in ends.iter().enumerate() {
        scene.live(["a", "b"][place % 2], async |scene, process| {
            if place == 0 {
                process.accept("free").await;
            }
            scene.arrival(&process.clock, place, Duration::from_secs(30)).await;
            if *end == End::Stopped {
                let stopped = process.engine.stop(process.clock.instant() + Duration::from_secs(2)).await;
                assert!(!stopped, "the deadline cuts it off");
            }
        });
    }
    *scene.platform.answer.lock().unwrap() = Answer::Taken;
    scene.live("c", async |scene, process| {
        scene.arrival(&process.clock, ends.len(), Duration::from_secs(30)).await;
        process.wait_for(State::Sent).await;
    });
    scene.platform.text.lock().unwrap().clone()
}

#[test]
fn two_nodes_that_die_in_turn_at_one_message_send_it_in_short() {
    let text = sent_after(&[End::Killed; 3]);
    assert!(!text.contains("Sent in short"), "{text}");
    let text = sent_after(&[End::Killed; 4]);
    assert!(text.contains("Sent in short"), "{text}");
}

#[test]
fn a_stop_that_cuts_a_message_off_is_no_death() {
    let text = sent_after(&[End::Stopped; 6]);
    assert!(!text.contains("Sent in short"), "{text}");
    let text = sent_after(&[End::Killed, End::Stopped, End::Killed, End::Stopped, End::Killed, End::Stopped]);
    assert!(!text.contains("Sent in short"), "who stops has survived it: {text}");
}

/// A node that has run for long takes over from one that died: it suspects what it finds, though it was accepted since it started.
#[test]
fn a_node_that_takes_over_from_a_dead_one_counts_from_its_first_start() {
    let mut scene = Scene::new("free", Answer::Nothing);
    let lane = scene.live("b", async |scene, process| {
        process.engine.stop(process.clock.instant() + Duration::from_secs(2)).await;
        let (now, plan) = (process.clock.wall(), process.engine.shared.plan.load_full());
        let claim = LeaseRequest { outlet: plan.channels["free"].outlet.clone(), node: "a".into(), now, lease_until: now + 8000, window_start: now };
        crate::store::ClusterStore::claim_outlet(&*process.store, claim).await.expect("a claim").expect("it is free");
        // The other node starts, and has run for a while when the message comes; its owner lives no more.
        let other = scene.start("b", &process.store, &process.clock).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let lane = other.accept("free").await;
        scene.arrival(&process.clock, 0, Duration::from_secs(30)).await;
        lane
    });
    let starts = scene.live("c", async |_, process| process.store.mark_lanes_started(&[lane]).await.expect("a mark"));
    assert!(starts[0].starts >= 2, "its start was counted before this one: {starts:?}");
}

/// What is due and nobody works on makes `/-/ready` say so, and a metric, for as long as it is so.
#[test]
fn what_nobody_sends_makes_the_server_unready_until_somebody_does() {
    let mut scene = Scene::new("free", Answer::Taken);
    scene.live("a", async |scene, running| {
        let store = running.store.clone();
        running.engine.stop(running.clock.instant() + Duration::from_secs(2)).await;
        let (process, alarms) = scene.begin("b", &store, &running.clock).await;
        tokio::spawn(maintenance::run(process.engine.clone(), alarms, CancellationToken::new()));
        let stalled = || {
            let all = process.engine.metrics().write(Format::Text);
            let of_channel = |line: &&str| line.starts_with("watchfire_stalled_deliveries{") && line.contains(r#"channel="free""#);
            all.lines().find(of_channel).map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned()).expect("the series")
        };
        process.accept("free").await;
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert_eq!((process.engine.stalled(), stalled()), (vec![], "0".to_owned()), "it was due just now");
        tokio::time::sleep(Duration::from_secs(40)).await;
        let told = process.engine.stalled().join("; ");
        assert!(told.starts_with("1 of `free` are due since ") && told.ends_with("nobody works on them: no node owns its outlet"), "{told}");
        assert_eq!(stalled(), "1");
        process.send_from_now_on();
        scene.arrival(&process.clock, 0, Duration::from_secs(30)).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!((process.engine.stalled(), stalled()), (vec![], "0".to_owned()));
    });
}

/// A worker that panics is restarted, which is counted, and sends what comes next.
#[test]
fn a_worker_that_panics_is_restarted_and_counted() {
    let mut scene = Scene::new("free", Answer::Taken);
    scene.live("a", async |scene, process| {
        process.accept("free").await;
        scene.arrival(&process.clock, 0, Duration::from_secs(30)).await;
        process.wait_for(State::Sent).await;
        (0..process.engine.shared.outlets.all().len()).for_each(|which| process.engine.crash_a_worker(which));
        tokio::time::sleep(Duration::from_secs(5)).await;
        let text = process.engine.metrics().write(Format::Text);
        let counted = text.lines().any(|line| line.starts_with(r#"watchfire_task_restarts_total{what="worker"}"#) && !line.ends_with(" 0"));
        assert!(counted, "{text}");
        let event = testing::event(vec![testing::alert("Later", "critical", Status::Firing)]);
        process.engine.accept(event, Some(&["free".to_owned()])).await.expect("it is accepted");
        scene.arrival(&process.clock, 1, Duration::from_secs(60)).await;
    });
}

/// What is in flight when a process begins to stop may end after that, and badly.
#[test]
fn an_alarm_that_is_raised_while_a_process_stops_is_stored() {
    let mut scene = Scene { alarms_to: Some("mail"), ..Scene::new("free", Answer::Taken) };
    scene.live("a", async |scene, running| {
        let store = running.store.clone();
        running.engine.stop(running.clock.instant() + Duration::from_secs(2)).await;
        let (process, alarms) = scene.begin("b", &store, &running.clock).await;
        let cancel = CancellationToken::new();
        let maintenance = tokio::spawn(maintenance::run(process.engine.clone(), alarms, cancel.clone()));
        cancel.cancel();
        tokio::time::sleep(Duration::from_secs(1)).await;
        process.engine.shared.telemetry.raise(SelfAlert::disk("it is full"));
        process.engine.stop(process.clock.instant() + Duration::from_secs(2)).await;
        maintenance.await.expect("it ends with the engine");
        let rows = crate::store::QueryStore::list_deliveries(&*store, &crate::store::DeliveryFilter { limit: 9, ..Default::default() }).await;
        let to: Vec<String> = rows.expect("the deliveries").into_iter().map(|row| row.channel).collect();
        assert_eq!(to, ["mail"]);
    });
}

/// However far the clock is set back while a try waits and no process runs, it is made within the longest back-off.
#[test]
fn a_try_that_waits_when_the_clock_is_set_back_is_made_within_the_longest_back_off() {
    let minute = Duration::from_secs(60);
    for (channel, kind) in [
        ("free", ErrorKind::Transient),
        ("mail", ErrorKind::Transient),
        ("mail", ErrorKind::Ambiguous),
        ("free", ErrorKind::RateLimited { retry_after: Some(minute) }),
        ("mail", ErrorKind::RateLimited { retry_after: Some(minute) }),
        ("chat", ErrorKind::RateLimited { retry_after: Some(minute) }),
        ("free", ErrorKind::Misconfigured),
    ] {
        for back in [4, 59, 600] {
            let mut scene = Scene::new(channel, Answer::Failed(kind));
            scene.live("a", async |scene, process| {
                process.accept(channel).await;
                scene.arrival(&process.clock, 0, minute).await;
                // Its outcome is recorded.
                tokio::time::sleep(Duration::from_millis(50)).await;
            });
            *scene.platform.answer.lock().unwrap() = Answer::Taken;
            scene.ahead -= back * 60_000;
            scene.live("a", async |scene, process| {
                let took = scene.arrival(&process.clock, 1, MAX_BACKOFF + minute).await;
                assert!(took <= MAX_BACKOFF + Duration::from_secs(10), "{channel}, {kind:?}, set back by {back} min: {took:?}");
                process.wait_for(State::Sent).await;
            });
        }
    }
}
