//! The same with messages that live: incidents that begin, grow and end, and buttons that people press, while the process is killed. Afterwards nothing is lost,
//! every press was answered, and no message shows an outage that is over, but for those whose first answer a kill cut off: nobody knows their ids.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Spread, free_port, kills, serve, up};
use crate::support::app::alert;
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::telegram::Telegram;
use crate::support::serial::turn;

const CHAT: i64 = -1001;
/// Senders, each with one incident at a time.
const SENDERS: usize = 8;
/// The pause between two reports of an incident.
const PAUSE: Duration = Duration::from_millis(250);
/// A message is stored so long after its answer, on a slow disk, too.
const STORED_WITHIN: Duration = Duration::from_millis(500);
/// How long a request may be on its way to the platform.
const ON_ITS_WAY: Duration = Duration::from_millis(100);
/// A platform takes its time.
const SLOW: Fault = Fault::Delay(Duration::from_millis(5));
/// A process lives longer than that, so that most messages come long before its end.
const LIFE: Duration = Duration::from_millis(2000);
/// Everything is up to date so long after the last kill, on a slow machine.
const CONVERGED_WITHIN: Duration = Duration::from_secs(120);

/// What a sender reports of an incident, one after the other: an alert, another one, a repeat, the end of the first, the end of all.
const REPORTS: [[Option<&str>; 2]; 5] = [
    [Some("firing"), None],
    [Some("firing"), Some("firing")],
    [Some("firing"), Some("firing")],
    [Some("resolved"), Some("firing")],
    [Some("resolved"), Some("resolved")],
];

fn body(group: &str, states: [Option<&str>; 2]) -> Value {
    let all_over = states.iter().flatten().all(|state| *state == "resolved");
    let mut body = alert(group, group, if all_over { "resolved" } else { "firing" });
    let first = body["alerts"][0].clone();
    let each = states.iter().zip(["a", "b"]).filter_map(|(state, letter)| {
        let name = format!("uid-{group}-{letter}");
        let mut one = first.clone();
        (one["status"], one["fingerprint"], one["labels"]["alertname"]) = ((*state)?.into(), name.clone().into(), name.into());
        one["endsAt"] = if *state == Some("resolved") { "2026-11-24T03:00:00Z" } else { "0001-01-01T00:00:00Z" }.into();
        Some(one)
    });
    body["alerts"] = each.collect();
    body["commonLabels"] = json!({ "severity": "critical" });
    body
}

/// Reports incidents, each step until it is taken, until `over`; the one in flight is brought to its end.
async fn send(client: reqwest::Client, port: u16, sender: usize, over: Arc<AtomicBool>, reported: Arc<Mutex<BTreeSet<String>>>) {
    for n in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let group = format!("{sender}x{n:04}");
        for states in REPORTS {
            let body = body(&group, states);
            loop {
                let sent = client.post(format!("http://127.0.0.1:{port}/webhook")).json(&body).send().await;
                if sent.is_ok_and(|answer| answer.status().is_success()) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            reported.lock().unwrap().extend(body["alerts"].as_array().unwrap().iter().map(|one| one["fingerprint"].as_str().unwrap().to_owned()));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Somebody presses the first button of the newest message that has one; returns the press.
fn press(fake: &Fake<Telegram>) -> Option<String> {
    let now = fake.clock.now();
    fake.with(|telegram| {
        let (id, post) = telegram.transcript.all().filter(|(_, post)| post.extra.contains("callback_data")).last()?;
        let number = id.rsplit('/').next()?.parse().ok()?;
        let whole: Value = serde_json::from_str(&post.extra).ok()?;
        let label = whole[3]["inline_keyboard"][0][0]["text"].as_str()?.to_owned();
        Some(telegram.press(CHAT, number, &label, now).0)
    })
}

/// The cards that show something of an incident as if it went on, or a button: when each was posted, and its text.
fn not_over(fake: &Fake<Telegram>) -> Vec<(u64, String)> {
    fake.with(|telegram| {
        // What says that very many are edited one after the other is about no incident.
        let cards = telegram.transcript.all().filter(|(_, post)| post.parent.is_none() && !post.text.contains("messages are about incidents"));
        let stale = cards.filter(|(_, post)| !post.text.contains('✅') || post.extra.contains("callback_data"));
        stale.map(|(_, post)| (post.posted_ms, post.text.clone())).collect()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kills_no_message_shows_an_outage_that_is_over() {
    let _turn = turn().await;
    watchfire::channel::kit::install_crypto();
    let kills = kills();
    let fake = Fake::start(Telegram::new("1:token", &["-1001"])).await;
    fake.unpaced();
    // A bot that is down for a while answers later: here, too.
    fake.with(|telegram| telegram.updates.answered_within = Duration::from_secs(3600));
    fake.rec.track("uid-");
    fake.rec.count_only(true);
    fake.faults.always(SLOW);
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:{port}\" }}\nstore: sqlite:watchfire.db\nchannels:\n  tg: {{ telegram: {{ token: \"1:token\", chat: {CHAT}, buttons: true, api_base: \"{}\" }}, rate_limit: off }}\nroute: {{ to: [tg] }}\n",
        fake.url()
    );
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let (over, reported): (Arc<AtomicBool>, Arc<Mutex<BTreeSet<String>>>) = Default::default();
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    let senders: Vec<_> = (0..SENDERS).map(|sender| tokio::spawn(send(client.clone(), port, sender, over.clone(), reported.clone()))).collect();
    let (mut spread, mut presses, mut killed) = (Spread::new(), Vec::new(), Vec::new());
    while killed.len() < kills {
        tokio::time::sleep(LIFE).await;
        for _ in 0..=spread.next() % 8 {
            tokio::time::sleep(Duration::from_millis(50 + spread.next() % 150)).await;
            presses.extend(press(&fake).map(|press| (press, fake.clock.now().mono_ms)));
        }
        // What the platform takes from here on it answers to nobody. What it answered before is stored meanwhile, so all that a kill may leave behind is
        // what is in flight. To the store a message whose answer was read, but not stored, is the same as one whose answer was not read.
        let held = fake.clock.now().mono_ms;
        fake.faults.always_on("Message", Fault::HangAfter);
        tokio::time::sleep(STORED_WITHIN).await;
        // While something is on its way, where it can be; the poll for presses always is.
        fake.rec.wait(Duration::from_secs(1), |rec| rec.under_way() > 1).await;
        child.kill().unwrap();
        child.wait().unwrap();
        killed.push((held, fake.clock.now().mono_ms));
        assert!(fake.rec.wait(Duration::from_secs(10), |rec| rec.under_way() == 0).await, "the platform notices");
        fake.faults.always(SLOW);
        child = serve(folder.path(), port);
        tokio::select! {
            () = up(&client, port) => {}
            () = tokio::time::sleep(Duration::from_secs(30)) => {
                let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
                panic!("it did not start again: {:?}\n{log}", child.try_wait());
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let near = |at: u64, before: Duration| killed.iter().any(|(held, end)| at + before.as_millis() as u64 >= *held && at <= *end);
    let cut_off = |posted: u64| near(posted, ON_ITS_WAY);
    // What a kill cuts off after the press is stored is its answer: the act is done, and the message shows it.
    let answered = |(press, at): &(String, u64)| near(*at, STORED_WITHIN) || fake.with(|telegram| telegram.updates.shown.contains_key(press));
    let end = tokio::time::Instant::now() + CONVERGED_WITHIN;
    let is_missing = |uid: &String| !fake.rec.seen().contains_key(uid);
    loop {
        let behind = not_over(&fake).iter().any(|(posted, _)| !cut_off(*posted));
        let open = !presses.iter().all(answered) || reported.lock().unwrap().iter().any(is_missing);
        if !(behind || open) || tokio::time::Instant::now() > end {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut open: Vec<Value> = Vec::new();
    for state in ["firing", "acked", "snoozed"] {
        let url = format!("http://127.0.0.1:{port}/api/v1/incidents?state={state}");
        let listed: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        open.extend(listed["incidents"].as_array().unwrap().iter().cloned());
    }
    let in_flight = fake.rec.unread();
    child.kill().unwrap();
    child.wait().unwrap();
    let lost: Vec<String> = reported.lock().unwrap().iter().filter(|uid| is_missing(uid)).cloned().collect();
    let silent = presses.iter().filter(|press| !answered(press)).count();
    let (left, behind): (Vec<_>, Vec<_>) = not_over(&fake).into_iter().partition(|(posted, _)| cut_off(*posted));
    let posted = fake.with(|telegram| telegram.transcript.posted());
    let cards = |posted: &dyn Fn(u64) -> bool| fake.with(|telegram| telegram.transcript.all().filter(|(_, post)| posted(post.posted_ms)).count());
    let apart = cards(&|at| !cut_off(at));
    println!(
        "kills {}, alerts {}, messages {posted}, cards apart from a kill {apart}, presses {}, in flight at a kill {in_flight}, left as they were {}",
        killed.len(),
        reported.lock().unwrap().len(),
        presses.len(),
        left.len()
    );
    assert!(posted > 4 * kills as u64 && presses.len() >= kills, "too little load to mean anything: {posted}, {}", presses.len());
    assert!(apart > posted as usize / 3, "most messages were sent too shortly before a kill to mean anything: {apart} of {posted}");
    assert!(lost.is_empty(), "lost {lost:?}");
    assert!(open.is_empty(), "{open:#?}");
    assert_eq!(silent, 0, "of {} presses", presses.len());
    assert!(behind.is_empty(), "{} messages show what is over: {:#?}", behind.len(), &behind[..behind.len().min(5)]);
    assert!(in_flight >= killed.len() / 2, "too little was in flight to mean anything: {in_flight}");
    assert!(left.len() <= in_flight, "{} are left, {in_flight} were in flight: {left:#?}", left.len());
}
