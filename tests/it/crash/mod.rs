//! The real process, killed with SIGKILL under load: every 2xx is delivered or dead-lettered, counted from the senders' own ledger and the fake's recordings.
//!
//! `WATCHFIRE_KILLS=200 cargo test --test it crash -- --nocapture` is the long run.

mod living;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::app::alert;
use crate::support::fakes::call::Verdict;
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::slack::{Room, Slack};
use crate::support::serial::turn;

pub(crate) fn serve(folder: &Path, port: u16) -> Child {
    let log = std::fs::File::create(folder.join("server.log")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_watchfire"))
        .args(["serve", "--no-watch", "--listen", &format!("127.0.0.1:{port}")])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// A port below those of outgoing connections (`net.ipv4.ip_local_port_range`): while a server is down, a client that asks for it again and again would
/// sooner or later take its port, or connect to itself.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    loop {
        let port = 12_000 + (std::process::id() as usize * 61 + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if std::net::TcpListener::bind(("127.0.0.1", port as u16)).is_ok() {
            return port as u16;
        }
    }
}

pub(crate) async fn up(client: &reqwest::Client, port: u16) {
    for _ in 0..2400 {
        if client.get(format!("http://127.0.0.1:{port}/-/ready")).send().await.is_ok_and(|r| r.status() == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the server did not come up");
}

/// How often the process is killed.
fn kills() -> usize {
    std::env::var("WATCHFIRE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(2)
}

/// Senders, each with a lane of its own.
const SENDERS: usize = 64;
/// A kill counts only while so many requests and sends are in flight.
const REQUESTS: usize = 50;
const SENDS: usize = 1;
/// Every other process sends so many messages before it is killed, so that what is repeated can be a small share; those between are killed as they begin.
const LIFE: u64 = 80;
/// What a sender waits meanwhile: what piles up must be worked off at the end.
const CALM: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_alert_is_lost_to_sigkill() {
    let _turn = turn().await;
    watchfire::channel::kit::install_crypto();
    let kills = kills();
    let fake = Fake::start(Slack::new("xoxb-test-token").channel("C0123", "#ops", Room::Open).unpaced()).await;
    fake.rec.track("uid-");
    fake.rec.count_only(true);
    // A platform takes its time: without it no send would be in flight at the instant of a kill.
    fake.faults.always(Fault::Delay(Duration::from_millis(15)));
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    // Every notification is a message, so that each alert is named by the one that first carries it. What lives is tried beside it.
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:{port}\" }}\nstore: sqlite:watchfire.db\nchannels:\n  ops: {{ slack: {{ token: xoxb-test-token, channel: C0123, api_base: \"{}\" }}, rate_limit: off, living: off }}\nroute: {{ to: [ops] }}\n",
        fake.url()
    );
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let ledger: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let (in_flight, over, calm) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    let mut senders = Vec::new();
    for lane in 0..SENDERS {
        let (client, ledger, in_flight, over, calm) = (client.clone(), ledger.clone(), in_flight.clone(), over.clone(), calm.clone());
        senders.push(tokio::spawn(async move {
            let mut n = 0;
            while !over.load(Ordering::Relaxed) {
                n += 1;
                let uid = format!("uid-{lane:02}-{n:06}");
                let mut body = alert(&format!("lane{lane}"), &uid, "firing");
                body["alerts"][0]["fingerprint"] = uid.clone().into();
                in_flight.fetch_add(1, Ordering::Relaxed);
                let sent = client.post(format!("http://127.0.0.1:{port}/webhook")).json(&body).send().await;
                in_flight.fetch_sub(1, Ordering::Relaxed);
                match sent {
                    Ok(response) if response.status().is_success() => {
                        ledger.lock().unwrap().insert(uid);
                        if calm.load(Ordering::Relaxed) {
                            tokio::time::sleep(CALM).await;
                        }
                    }
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        }));
    }
    let mut counted = 0;
    let mut spread = Spread::new();
    while counted < kills {
        if counted % 2 == 0 {
            calm.store(true, Ordering::Relaxed);
            let sent = fake.rec.count(Verdict::Accepted);
            fake.rec.wait(Duration::from_secs(60), |rec| rec.count(Verdict::Accepted) >= sent + LIFE).await;
            calm.store(false, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(100 + spread.next() % 400)).await;
        for _ in 0..2000 {
            if in_flight.load(Ordering::Relaxed) >= REQUESTS && fake.rec.under_way() >= SENDS {
                counted += 1;
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        child = serve(folder.path(), port);
        up(&client, port).await;
    }
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    fake.faults.clear();
    let acknowledged = ledger.lock().unwrap().clone();
    let all_seen = |r: &crate::support::fakes::recorder::Recorder| {
        let seen = r.seen();
        acknowledged.iter().all(|uid| seen.contains_key(uid))
    };
    // As long as something arrives, the backlog of all those restarts is being worked off; ten quiet seconds mean that what is missing is lost.
    let (mut arrived, mut quiet) = (0, 0);
    while !all_seen(&fake.rec) && quiet < 100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = fake.rec.total();
        quiet = if now == arrived { quiet + 1 } else { 0 };
        arrived = now;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let seen = fake.rec.seen();
    let lost: Vec<_> = acknowledged.iter().filter(|uid| !seen.contains_key(*uid)).collect();
    let twice = seen.values().filter(|s| s.times > 1).count();
    let (messages, repeated) = (fake.rec.count(Verdict::Accepted), fake.rec.repeated());
    println!(
        "kills {counted}, acknowledged {}, lost {}, in more than one message {twice}; messages {messages}, of them repeated {repeated}",
        acknowledged.len(),
        lost.len()
    );
    assert!(acknowledged.len() > 20 * kills, "too little load to mean anything: {}", acknowledged.len());
    assert!(lost.is_empty(), "lost {}: {:?}", lost.len(), &lost[..lost.len().min(20)]);
    in_order(&fake.rec.seen_order());
    // At a kill one message may have left without its record; it carries at most what one read takes of a lane.
    let bound = (kills + 1) * 200;
    assert!(twice <= bound, "{twice} alerts came more than once; at most {bound} were in flight");
    assert!(repeated as u64 * 20 <= messages, "{repeated} of {messages} messages were repeated; at most 5 % may be");
}

/// Numbers that differ from run to run.
struct Spread(u64);

impl Spread {
    fn new() -> Self {
        Self(0x2545_F491_4F6C_DD1D ^ u64::from(std::process::id()))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Every sender's alerts came first in the order in which it sent them.
fn in_order(order: &[String]) {
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for uid in order {
        let (lane, _) = uid.rsplit_once('-').unwrap();
        let before = last.insert(lane, uid).unwrap_or("");
        assert!(before < uid.as_str(), "{uid} came after {before}");
    }
}
