//! Pace, clock, tokens, recorder and the script of faults.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::raw::{http, post};
use crate::support::fakes::recorder::words_with;
use crate::support::fakes::{Answer, Call, Fake, Fault, Faults, Limiter, Pace, Platform, Recorder, TokenState, Tokens, Verdict};

/// Takes everything; the body is the text.
struct Echo;

impl Platform for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }
    fn answer(&mut self, call: &Call) -> Answer {
        Answer::json(200, &serde_json::json!({ "ok": true, "padding": "0123456789" })).accepted("ok", String::from_utf8_lossy(&call.body))
    }
}

const MINUTE: u64 = 60_000;

#[test]
fn a_rolling_window_is_not_a_calendar_minute() {
    let mut window = Limiter::new(Pace::per(20, Duration::from_secs(60)));
    for i in 0..20 {
        assert!(window.take("r", 50_000 + i).is_ok());
    }
    // 70 s is another calendar minute, but within 60 s of all twenty.
    assert_eq!(window.take("r", 70_000), Err(Duration::from_millis(40_000)));
    assert!(window.take("other", 70_000).is_ok());
    assert!(window.take("r", 50_000 + MINUTE).is_ok(), "the oldest has left the window");
    assert!(window.take("r", 50_000 + MINUTE).is_err(), "but only one has");
}

#[test]
fn a_breach_locks_for_the_penalty_and_scaling_shortens_both() {
    let rule = Pace::Rolling { limit: 2, window: Duration::from_secs(60), penalty: Duration::from_secs(600) };
    let mut window = Limiter::new(rule);
    assert!(window.take("r", 0).is_ok() && window.take("r", 1).is_ok());
    assert_eq!(window.take("r", 2), Err(Duration::from_secs(600)));
    assert!(window.take("r", 599_000).is_err(), "the window is empty by now, the penalty is not over");
    assert!(window.take("r", 600_003).is_ok());
    window.set(rule.faster(600.0));
    assert!(window.take("r", 0).is_ok() && window.take("r", 1).is_ok());
    assert_eq!(window.take("r", 2), Err(Duration::from_secs(1)));
    window.set(Pace::Off);
    assert!((0..1000).all(|_| window.take("r", 0).is_ok()));
}

#[test]
fn a_bucket_gives_its_burst_and_then_the_rate() {
    let mut bucket = Limiter::new(Pace::Bucket { every: Duration::from_secs(1), burst: 3 });
    assert!((0..3).all(|_| bucket.take("c", 0).is_ok()));
    assert_eq!(bucket.take("c", 0), Err(Duration::from_secs(1)));
    assert!(bucket.take("c", 1000).is_ok());
    assert!(bucket.take("c", 1001).is_err());
    assert!((0..3).all(|_| bucket.take("c", 60_000).is_ok()));
}

#[test]
fn tokens_stay_the_same_until_they_expire_or_are_revoked() {
    let mut desk = Tokens::new("t-");
    let (first, life) = desk.issue("app", 0);
    assert_eq!((desk.issue("app", 1000).0.as_str(), life), (first.as_str(), 7200));
    assert_eq!((desk.calls, desk.issued), (2, 1));
    assert_eq!(desk.check(&first, 7_199_999), TokenState::Good("app".into()));
    assert_eq!(desk.check(&first, 7_200_000), TokenState::Expired);
    assert_eq!(desk.check("made up", 0), TokenState::Invalid);
    desk.revoke_all(&TokenState::Invalid);
    assert_eq!(desk.check(&first, 1), TokenState::Invalid);
    let (second, _) = desk.issue("app", 2);
    assert_ne!(second, first);
    assert_eq!(desk.check(&second, 3), TokenState::Good("app".into()));
}

#[test]
fn the_lottery_is_the_same_for_the_same_seed() {
    let draw = |seed| {
        let faults = Faults::default();
        faults.lottery(seed, &[(0.2, Fault::Reset), (0.3, Fault::Html(502))]);
        (0..1000).map(|_| faults.next("/")).collect::<Vec<_>>()
    };
    let first = draw(7);
    assert_eq!(first, draw(7));
    assert_ne!(first, draw(8));
    let resets = first.iter().flatten().filter(|f| **f == Fault::Reset).count();
    assert!((150..250).contains(&resets), "{resets} of 1000 at 20 %");
    assert!((420..580).contains(&first.iter().flatten().count()));
}

#[test]
fn faults_are_read_from_words() {
    assert_eq!("delay:200ms".parse(), Ok(Fault::Delay(Duration::from_millis(200))));
    assert_eq!("status:429:30".parse(), Ok(Fault::Status(429, Some(30))));
    assert_eq!("status:503".parse(), Ok(Fault::Status(503, None)));
    assert_eq!("down:1.5s".parse(), Ok(Fault::Down(Duration::from_millis(1500))));
    assert!("sttus:503".parse::<Fault>().is_err() && "delay:soon".parse::<Fault>().is_err());
}

#[test]
fn marks_are_whole_words() {
    assert_eq!(words_with("a wf-1, wf-12; (wf-1) xwf-3.", "wf-"), ["wf-1", "wf-12", "wf-3"]);
}

#[test]
fn the_recorder_counts_what_it_no_longer_keeps() {
    let rec = Recorder::default();
    rec.track("wf-");
    let taken = |text: &str| Answer::text(200, "ok").accepted(0, text);
    for i in 0..5u64 {
        let mut call = Call::new("POST", "/");
        call.now.mono_ms = i * 1000;
        rec.push(&call, &taken(&format!("wf-{}", i / 2)), 200, None);
    }
    rec.count_only(true);
    rec.push(&Call::new("POST", "/"), &Answer::text(200, "no").refused(7), 200, None);
    assert_eq!((rec.total(), rec.all().len(), rec.count(Verdict::Accepted), rec.count_code("7")), (6, 5, 5, 1));
    assert_eq!(rec.seen_order(), ["wf-0", "wf-1", "wf-2"]);
    assert_eq!((rec.seen()["wf-1"].times, rec.seen()["wf-1"].first_ms), (2, 2000));
    assert_eq!((rec.busiest(Duration::from_secs(2)), rec.busiest(Duration::from_millis(2001))), (2, 3));
    assert_eq!(rec.counts_json()["codes"]["accepted/0"], 5);
}

#[tokio::test]
async fn each_fault_does_to_the_connection_what_it_says() {
    let fake = Fake::start(Echo).await;
    let addr = fake.addr();
    for (fault, handled) in [(Fault::CloseBefore, false), (Fault::CloseAfter, true), (Fault::Reset, false), (Fault::ResetAfter, true)] {
        let before = fake.rec.count(Verdict::Accepted);
        fake.faults.push(fault.clone());
        let error = post(addr, "/x", "hello").await.err().map(|e| e.kind());
        let expected = if matches!(fault, Fault::Reset | Fault::ResetAfter) { ErrorKind::ConnectionReset } else { ErrorKind::UnexpectedEof };
        assert_eq!(error, Some(expected), "{fault:?}");
        assert_eq!(fake.rec.count(Verdict::Accepted) - before, u64::from(handled), "{fault:?}");
        assert_eq!(fake.rec.last().map(|r| r.status), Some(0));
    }
    fake.faults.extend([Fault::Html(502), Fault::Status(429, Some(30)), Fault::Truncate, Fault::Cut, Fault::Huge(200_000), Fault::WrongType]);
    let html = post(addr, "/", "").await.unwrap();
    assert!(html.status == 502 && html.head.contains("text/html") && html.body.contains("<html>"));
    let slow = post(addr, "/", "").await.unwrap();
    assert!(slow.status == 429 && slow.head.contains("retry-after: 30"));
    let half = post(addr, "/", "").await.unwrap();
    assert!(half.status == 200 && serde_json::from_str::<serde_json::Value>(&half.body).is_err());
    let cut = post(addr, "/", "").await.unwrap();
    let declared: usize = cut.head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    assert!(cut.body.len() < declared, "{} of {declared}", cut.body.len());
    assert!(post(addr, "/", "").await.unwrap().body.len() > 200_000);
    assert!(post(addr, "/", "").await.unwrap().head.contains("application/octet-stream"));
    assert_eq!(fake.rec.count(Verdict::Faulted), 4);
    assert_eq!(fake.faults.waiting(), 0);
}

#[tokio::test]
async fn hang_delay_and_drip_take_their_time() {
    let fake = Fake::start(Echo).await;
    for (n, fault, verdict) in [(1, Fault::Hang, Verdict::Faulted), (2, Fault::HangAfter, Verdict::Accepted)] {
        fake.faults.push(fault);
        let mut request = tokio::spawn(post(fake.addr(), "/", "x"));
        assert!(fake.rec.wait(Duration::from_secs(10), |r| r.total() == n).await);
        assert!(tokio::time::timeout(Duration::from_millis(30), &mut request).await.is_err(), "no answer comes");
        assert_eq!(fake.rec.count(verdict), 1);
        request.abort();
    }
    let start = Instant::now();
    fake.faults.push(Fault::Delay(Duration::from_millis(60)));
    assert_eq!(post(fake.addr(), "/", "x").await.unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(60));
    fake.faults.push_on("/slow", Fault::Drip(Duration::from_millis(3)));
    let start = Instant::now();
    post(fake.addr(), "/fast", "x").await.unwrap();
    assert_eq!(fake.faults.waiting(), 1, "the fault waits for its path");
    post(fake.addr(), "/slow", "x").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(90), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_fake_that_is_down_refuses_connections_and_comes_back_on_its_port() {
    let fake = Fake::start(Echo).await;
    let addr = fake.addr();
    fake.down();
    tokio::task::yield_now().await;
    let refused = loop {
        // The listener closes in its own task; until then a connection may still be queued.
        match post(addr, "/", "x").await.err().map(|e| e.kind()) {
            Some(ErrorKind::ConnectionRefused) => break true,
            Some(_) => tokio::task::yield_now().await,
            None => break false,
        }
    };
    assert!(refused);
    fake.up().await.unwrap();
    assert_eq!(post(addr, "/", "x").await.unwrap().status, 200);
    fake.faults.push(Fault::Down(Duration::from_millis(20)));
    assert!(post(addr, "/", "x").await.is_err());
    let back = tokio::time::timeout(Duration::from_secs(5), async {
        while http(addr, "GET", "/", &[], "").await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    assert!(back.await.is_ok());
}

#[tokio::test]
async fn waiting_ends_when_the_messages_are_there() {
    let fake = Fake::start(Echo).await;
    let waiting = fake.rec.clone();
    let task = tokio::spawn(async move { waiting.wait_accepted(2, Duration::from_secs(10)).await.len() });
    post(fake.addr(), "/", "one").await.unwrap();
    post(fake.addr(), "/?q=%E4%B8%AD+x", "two").await.unwrap();
    assert_eq!(task.await.unwrap(), 2);
    let last = fake.rec.last().unwrap();
    assert_eq!((last.text.as_str(), last.call.param("q"), last.call.header("host")), ("two", Some("中 x"), Some("fake")));
    assert_eq!(fake.rec.records_json()[1]["query"][0][0], "q");
    assert!(fake.rec.wait_accepted(3, Duration::from_millis(20)).await.len() == 2, "returns what there is when time is over");
}
