//! What one recipient's answer means for the others of a mail.

use super::server::{Act, Fake, Tls};
use super::{driver, send};
use crate::model::ErrorKind::{self, Misconfigured, Rejected};

#[tokio::test]
async fn a_limit_stops_the_batch_and_a_mailbox_does_not() {
    let fake = Fake::start(Tls::Never, |turn| (turn.stage == "mail" && turn.mail == 2).then_some(Act::Say("550 Sender frequency limited"))).await;
    let results = send(&driver(fake.port, "tls: none"), &["a@x.org", "b@x.org", "c@x.org"]).await;
    assert!(results[0].1.is_ok());
    for (_, result) in &results[1..] {
        let error = result.as_ref().unwrap_err();
        assert_eq!(error.kind, ErrorKind::RateLimited { retry_after: None });
        assert!(error.summary.contains("Sender frequency limited"), "the server's words are reported: {error}");
    }
    assert_eq!(fake.log(|log| log.commands.iter().filter(|c| c.starts_with("MAIL")).count()), 2, "a client asked to slow down does");
}

/// What one mailbox says of its own limit, as cPanel does, is nobody else's.
#[tokio::test]
async fn a_full_mailbox_with_the_words_of_a_limit_holds_nobody_else_up() {
    for said in ["552 5.2.2 Mailbox is full / Blocks limit exceeded / Inode limit exceeded", "552 Mailbox has exceeded its quota limit"] {
        let fake = Fake::start(Tls::Never, move |turn| (turn.stage == "rcpt" && turn.mail == 1).then_some(Act::Say(said))).await;
        let results = send(&driver(fake.port, "tls: none"), &["full@x.org", "b@x.org"]).await;
        let error = results[0].1.as_ref().unwrap_err();
        assert_eq!((error.kind, error.recipient, results[1].1.is_ok()), (Rejected, true, true), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_nobody_verified_is_the_recipients_own_unless_the_sender_is_named() {
    const SAID: &str = "554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: ";
    for (named, kind, delivered) in [("b@x.org", Rejected, [true, false, true]), ("w@example.com, b@x.org", Misconfigured, [true, false, false])] {
        let said: &'static str = format!("{SAID}{named}").leak();
        let fake = Fake::start(Tls::Never, move |turn| (turn.stage == "dot" && turn.mail == 2).then_some(Act::Say(said))).await;
        let results = send(&driver(fake.port, "tls: none"), &["a@x.org", "b@x.org", "c@x.org"]).await;
        assert_eq!([0, 1, 2].map(|place: usize| results[place].1.is_ok()), delivered, "{named}");
        let error = results[1].1.as_ref().unwrap_err();
        assert_eq!((error.kind, error.recipient), (kind, kind == Rejected), "{error}");
        assert!(error.summary.contains("verify them"), "{error}");
    }
}

/// Nothing arrives before somebody verifies it: what waits is sent then.
#[tokio::test]
async fn an_address_that_nobody_verified_holds_a_channel_that_has_no_other() {
    const SAID: &str =
        "554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: ops@example.org";
    let fake = Fake::start(Tls::Never, |turn| (turn.stage == "dot").then_some(Act::Say(SAID))).await;
    let results = send(&driver(fake.port, "tls: none"), &["ops@example.org"]).await;
    let error = results[0].1.as_ref().unwrap_err();
    assert_eq!((error.kind, error.recipient), (Misconfigured, false), "{error}");
}
