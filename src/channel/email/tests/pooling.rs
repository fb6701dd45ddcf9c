//! Connections: reused, capped, replaced when stale, closed when idle or worn.

use std::time::Duration;

use tokio::time::Instant;

use super::server::{Act, Fake, Tls};
use super::{cx, driver, page, send, to};
use crate::channel::{Channel, SendContext};
use crate::model::ErrorKind;

/// Lets other tasks run until `done`; the work they wait for is local.
async fn until(done: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if done() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came to that");
}

#[tokio::test]
async fn a_session_is_reused_and_worn_out_ones_are_replaced() {
    let fake = Fake::kind(Tls::Never).await;
    let driver = driver(fake.port, "tls: none\nconnections: 1");
    for _ in 0..3 {
        assert!(send(&driver, &["a@x.org"]).await[0].1.is_ok());
    }
    assert_eq!(fake.log(|log| (log.connections, log.mails.len())), (1, 3));
    let many: Vec<String> = (0..210).map(|i| format!("r{i}@x.org")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(send(&driver, &many).await.iter().all(|(_, r)| r.is_ok()));
    assert_eq!(fake.log(|log| (log.connections, log.mails.len(), log.max_open)), (3, 213, 1), "a hundred mails each, one open at a time");
    assert_eq!(fake.log(|log| log.quits), 2);
}

#[tokio::test]
async fn the_cap_is_hard_and_channels_of_one_outlet_share_it() {
    let fake = Fake::kind(Tls::Never).await;
    let one = driver(fake.port, "tls: none\nconnections: 2");
    let two = driver(fake.port, "tls: none\nconnections: 2");
    let many: Vec<String> = (0..40).map(|i| format!("r{i}@x.org")).collect();
    let recipients = to(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let (page, cx) = (page(), cx());
    let sends = (0..6).map(|i| if i % 2 == 0 { one.send(&page, &recipients, &cx) } else { two.send(&page, &recipients, &cx) });
    for results in futures_util::future::join_all(sends).await {
        assert_eq!(results.iter().map(|(i, _)| *i).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
        assert!(results.iter().all(|(_, r)| r.is_ok()));
    }
    assert_eq!(fake.log(|log| (log.mails.len(), log.max_open)), (240, 2));
}

#[tokio::test]
async fn all_connections_busy_until_the_deadline() {
    let fake = Fake::start(Tls::Never, |turn| (turn.stage == "mail").then_some(Act::Stall)).await;
    let driver = driver(fake.port, "tls: none\nconnections: 1");
    let (page, cx, a) = (page(), cx(), to(&["a@x.org"]));
    let mut first = driver.send(&page, &a, &cx);
    tokio::select! {
        _ = &mut first => panic!("the server did not stall"),
        () = fake.stalled.notified() => {}
    }
    // From here on the clock jumps to the next timer: the end of a direct call, then of the first attempt.
    tokio::time::pause();
    let hurried = SendContext { deadline: Instant::now() + Duration::from_secs(1), direct: true, ..cx.clone() };
    let second = driver.send(&page, &a, &hurried).await;
    let first = first.await;
    assert!(first[0].1.as_ref().is_err_and(|e| e.summary.contains("MAIL FROM")));
    let busy = second[0].1.as_ref().unwrap_err();
    assert_eq!(busy.kind, ErrorKind::Transient);
    assert!(busy.summary.contains("`connections`"), "{busy}");
}

#[tokio::test]
async fn a_stale_session_is_replaced_once_within_the_attempt() {
    // The first connection takes one mail, then it is gone in either of the two ways that servers have.
    let ways: [fn() -> Act; 2] = [|| Act::Drop, || Act::Say("421 4.4.2 idle timeout")];
    for way in ways {
        let fake = Fake::start(Tls::Never, move |turn| (turn.stage == "mail" && turn.connection == 1 && turn.mail == 2).then(way)).await;
        let driver = driver(fake.port, "tls: none");
        assert!(send(&driver, &["a@x.org"]).await[0].1.is_ok());
        assert!(send(&driver, &["b@x.org"]).await[0].1.is_ok());
        assert_eq!(fake.log(|log| (log.connections, log.mails.len())), (2, 2));
    }
    // A server that always closes is not hammered: the new connection's refusal is final.
    let fake = Fake::start(Tls::Never, |turn| (turn.stage == "mail" && (turn.connection > 1 || turn.mail > 1)).then_some(Act::Drop)).await;
    let driver = driver(fake.port, "tls: none");
    assert!(send(&driver, &["a@x.org"]).await[0].1.is_ok());
    assert_eq!(send(&driver, &["b@x.org"]).await[0].1.as_ref().unwrap_err().kind, ErrorKind::Transient);
    assert_eq!(fake.log(|log| log.connections), 2);
}

#[tokio::test]
async fn idle_sessions_are_asked_before_use_and_closed_in_time() {
    let fake = Fake::start(Tls::Never, |turn| (turn.stage == "noop" && turn.connection == 1).then_some(Act::Drop)).await;
    let driver = driver(fake.port, "tls: none");
    assert!(send(&driver, &["a@x.org"]).await[0].1.is_ok());
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    assert!(send(&driver, &["b@x.org"]).await[0].1.is_ok());
    assert_eq!(fake.log(|log| (log.connections, log.commands.iter().filter(|c| *c == "NOOP").count())), (2, 1));
    assert!(send(&driver, &["c@x.org"]).await[0].1.is_ok());
    assert_eq!(fake.log(|log| (log.connections, log.quits)), (2, 0), "no question after so short a rest");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    until(|| fake.log(|log| log.quits == 1)).await;
}
