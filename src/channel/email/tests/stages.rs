//! What the server says (or does not say) at each stage, and what the queue gets.

use std::time::Duration;

use super::server::{Act, Fake, Tls, Turn};
use super::{driver, driver_at, fail, send};
use crate::channel::email::driver::Driver;
use crate::channel::{Channel, Probe};
use crate::model::ErrorKind::{self, Ambiguous, Misconfigured, Rejected, Transient};
use crate::model::SendError;

const LOGIN: &str = "username: w\npassword: hunter22";

/// Acts at a stage; who refuses EHLO refuses HELO.
fn at(stage: &'static str, act: fn() -> Act) -> impl Fn(&Turn<'_>) -> Option<Act> + Send + Sync + 'static {
    move |turn| (turn.stage == stage || (stage == "ehlo" && turn.stage == "helo")).then(act)
}

/// Runs until the server stalls, then lets the deadline pass.
async fn fail_stalled(fake: &Fake, driver: &Driver) -> SendError {
    let mut attempt = std::pin::pin!(fail(driver));
    tokio::select! {
        error = &mut attempt => panic!("it ended before the server stalled: {error}"),
        () = fake.stalled.notified() => {}
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11 * 60)).await;
    attempt.await
}

#[tokio::test]
async fn replies_at_every_stage() {
    type Row = (&'static str, fn() -> Act, ErrorKind, Option<&'static str>);
    let table: [Row; 24] = [
        ("banner", || Act::Say("421 4.3.2 too busy"), Transient, Some("421 4.3.2")),
        ("banner", || Act::Say("554 5.7.1 blocked"), Misconfigured, Some("554 5.7.1")),
        ("banner", || Act::Say("HTTP/1.1 400 Bad Request"), Misconfigured, Some("protocol")),
        ("banner", || Act::Drop, Transient, Some("closed")),
        ("ehlo", || Act::Say("421 later"), Transient, Some("421")),
        ("ehlo", || Act::Say("550 5.7.1 who are you"), Misconfigured, Some("550 5.7.1")),
        ("ehlo", || Act::Drop, Transient, Some("closed")),
        ("auth", || Act::Say("454 4.7.0 try later"), Transient, Some("454 4.7.0")),
        ("auth", || Act::Say("535 5.7.8 bad credentials hunter22"), Misconfigured, Some("535 5.7.8")),
        ("auth", || Act::Say("534 5.7.9 app password needed"), Misconfigured, Some("534 5.7.9")),
        ("auth", || Act::Drop, Transient, Some("closed")),
        ("mail", || Act::Say("451 4.3.0 local error"), Transient, Some("451 4.3.0")),
        ("mail", || Act::Say("550 5.7.60 not allowed to send as"), Misconfigured, Some("550 5.7.60")),
        ("mail", || Act::Say("552 5.3.4 too big"), Rejected, Some("552 5.3.4")),
        ("mail", || Act::Drop, Transient, Some("closed")),
        ("rcpt", || Act::Say("450 4.2.0 greylisted"), Transient, Some("450 4.2.0")),
        ("rcpt", || Act::Say("550-5.1.1 no such\r\n550 5.1.1 user here"), Rejected, Some("550 5.1.1")),
        ("data", || Act::Say("451 4.3.0 error"), Transient, Some("451 4.3.0")),
        ("data", || Act::Say("250 what"), Transient, Some("250")),
        ("data", || Act::Drop, Transient, Some("closed")),
        ("dot", || Act::Say("452 4.3.1 no space"), Transient, Some("452 4.3.1")),
        ("dot", || Act::Say("554 5.7.1 spam"), Rejected, Some("554 5.7.1")),
        ("dot", || Act::Drop, Ambiguous, Some("closed")),
        ("dot", || Act::Say("gibberish"), Ambiguous, Some("protocol")),
    ];
    for (i, (stage, act, kind, code)) in table.into_iter().enumerate() {
        let fake = Fake::start(Tls::Implicit, at(stage, act)).await;
        let error = fail(&driver(fake.port, &format!("tls: implicit\n{LOGIN}"))).await;
        assert_eq!((error.kind, error.code.as_deref()), (kind, code), "row {i}: {error:?}");
        assert!(error.summary.contains(&format!("localhost:{}", fake.port)), "{}", error.summary);
        assert!(!format!("{error:?}").contains("hunter22"), "{error:?}");
        assert!(fake.mails().is_empty());
    }
}

#[tokio::test]
async fn silence_before_the_dot_is_transient_and_after_it_ambiguous() {
    for (stage, kind, words) in [
        ("banner", Transient, "tls: implicit"),
        ("ehlo", Transient, "EHLO"),
        ("auth", Transient, "AUTH"),
        ("mail", Transient, "MAIL FROM"),
        ("rcpt", Transient, "RCPT TO"),
        ("data", Transient, "DATA"),
        ("dot", Ambiguous, "may have been delivered"),
    ] {
        let fake = Fake::start(Tls::Never, at(stage, || Act::Stall)).await;
        let error = fail_stalled(&fake, &driver(fake.port, &format!("tls: none\n{LOGIN}"))).await;
        assert_eq!(error.kind, kind, "{stage}: {error}");
        assert!(error.summary.contains(words), "{stage}: {error}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let port = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = fail(&driver_at("127.0.0.1", port, "tls: none")).await;
    assert_eq!(error.kind, Transient);
    assert!(error.summary.contains("while connecting"), "{error}");
}

#[tokio::test]
async fn tls_from_the_first_byte_and_after_starttls() {
    for (tls, mode) in [(Tls::Implicit, "implicit"), (Tls::Starttls, "starttls"), (Tls::Starttls, "opportunistic")] {
        let fake = Fake::kind(tls).await;
        let driver = driver(fake.port, &format!("tls: {mode}\n{LOGIN}"));
        let results = send(&driver, &["ops@example.org"]).await;
        let receipt = results[0].1.as_ref().unwrap();
        assert_eq!((receipt.code.as_str(), receipt.answer.as_str()), ("250", "2.0.0 Ok: queued as 4XYZ"));
        let mails = fake.mails();
        assert_eq!((mails[0].tls, mails[0].user.as_str()), (true, "\0w\0hunter22"), "{mode}");
        assert!(matches!(driver.probe().await, Probe::Ok));
        assert_eq!(fake.mails().len(), 1, "a probe sends nothing");
    }
}

#[tokio::test]
async fn starttls_that_is_stripped_broken_or_tampered_with_sends_nothing() {
    let fake = Fake::kind(Tls::Never).await;
    let error = fail(&driver(fake.port, LOGIN)).await;
    assert_eq!(error.kind, Misconfigured);
    assert!(error.summary.contains("does not offer STARTTLS"), "{error}");
    assert!(fake.log(|log| !log.commands.iter().any(|c| c.starts_with("AUTH") || c.starts_with("MAIL"))));

    let fake = Fake::start(Tls::Starttls, at("starttls", || Act::Say("454 4.7.0 not now"))).await;
    assert_eq!(fail(&driver(fake.port, LOGIN)).await.kind, Transient);

    let fake = Fake::start(Tls::Starttls, at("starttls", || Act::Say("220 go\r\n250-AUTH PLAIN\r\n250 evil"))).await;
    let error = fail(&driver(fake.port, LOGIN)).await;
    assert_eq!(error.kind, Misconfigured);
    assert!(error.summary.contains("tampering"), "{error}");
}

#[tokio::test]
async fn a_password_never_travels_in_clear_unless_asked_for() {
    let fake = Fake::kind(Tls::Never).await;
    let error = fail(&driver(fake.port, &format!("tls: opportunistic\n{LOGIN}"))).await;
    assert_eq!(error.kind, Misconfigured);
    assert!(fake.log(|log| !log.commands.iter().any(|c| c.starts_with("AUTH"))));
    assert!(send(&driver(fake.port, "tls: opportunistic"), &["ops@example.org"]).await[0].1.is_ok());
    assert!(send(&driver(fake.port, &format!("tls: none\n{LOGIN}")), &["ops@example.org"]).await[0].1.is_ok());
    assert_eq!(fake.mails()[1].user, "\0w\0hunter22");
}

#[tokio::test]
async fn certificates_are_checked() {
    let fake = Fake::kind(Tls::Implicit).await;
    let wrong_name = fail(&driver_at("127.0.0.1", fake.port, "tls: implicit")).await;
    assert_eq!(wrong_name.kind, Misconfigured);
    assert!(wrong_name.summary.contains("another name"), "{wrong_name}");

    let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), other.cert.pem()).unwrap();
    let yaml = format!("{{ server: 'localhost:{}', tls: implicit, from: w@x.org, to: [o@x.org], ca_file: {} }}", fake.port, file.path().display());
    let unknown = fail(&super::config(&yaml).driver(&super::Plain, false).map_err(|p| format!("{p:?}")).unwrap().0).await;
    assert_eq!(unknown.kind, Misconfigured);
    assert!(unknown.summary.contains("not known here") && unknown.summary.contains("ca_file"), "{unknown}");

    let plain = Fake::kind(Tls::Never).await;
    let not_tls = fail(&driver(plain.port, "tls: implicit")).await;
    assert_eq!(not_tls.kind, Misconfigured);
    assert!(not_tls.summary.contains("tls: starttls"), "{not_tls}");
    assert!(fake.mails().is_empty() && plain.mails().is_empty());
}

#[tokio::test]
async fn ways_to_log_in() {
    for (auth, offer, user) in [
        ("login", "250-x\r\n250 AUTH LOGIN PLAIN", "\0w\0hunter22"),
        ("plain", "250-x\r\n250 AUTH LOGIN PLAIN", "\0w\0hunter22"),
        ("auto", "250-x\r\n250 AUTH LOGIN", "\0w\0hunter22"),
    ] {
        let fake = Fake::start(Tls::Implicit, move |turn| (turn.stage == "ehlo").then_some(Act::Say(offer))).await;
        assert!(send(&driver(fake.port, &format!("tls: implicit\nauth: {auth}\n{LOGIN}")), &["ops@example.org"]).await[0].1.is_ok(), "{auth}");
        assert_eq!(fake.mails()[0].user, user, "{auth}");
    }
    let fake = Fake::start(Tls::Implicit, |turn| match turn.stage {
        "ehlo" => Some(Act::Say("250-x\r\n250 AUTH XOAUTH2")),
        "auth" => Some(Act::Say("535 5.7.8 token expired")),
        _ => None,
    })
    .await;
    let error = fail(&driver(fake.port, &format!("tls: implicit\nauth: xoauth2\n{LOGIN}"))).await;
    assert_eq!((error.kind, error.detail.as_deref()), (Misconfigured, Some("5.7.8 token expired")));

    for offer in ["250-x\r\n250 AUTH CRAM-MD5", "250-x\r\n250 AUTH=CRAM-MD5 GSSAPI"] {
        let fake = Fake::start(Tls::Implicit, move |turn| (turn.stage == "ehlo").then_some(Act::Say(offer))).await;
        let driver = driver(fake.port, "tls: implicit\nusername: tim\npassword: tanstaaftanstaaf");
        assert!(send(&driver, &["ops@example.org"]).await[0].1.is_ok(), "{offer}");
        assert_eq!(fake.mails()[0].user, "tim b913a602c7eda7a495b4e6e7334d3890", "the answer of RFC 2195");
    }
    let fake = Fake::start(Tls::Implicit, |turn| match turn.stage {
        "ehlo" => Some(Act::Say("250-x\r\n250 AUTH PLAIN LOGIN")),
        "auth" if turn.arg.starts_with("PLAIN") => Some(Act::Say("504 5.5.4 unrecognized authentication type")),
        _ => None,
    })
    .await;
    assert!(send(&driver(fake.port, &format!("tls: implicit\n{LOGIN}")), &["ops@example.org"]).await[0].1.is_ok(), "LOGIN where PLAIN is not known");
    let fake = Fake::start(Tls::Implicit, |turn| (turn.stage == "ehlo").then_some(Act::Say("250 x"))).await;
    assert!(send(&driver(fake.port, &format!("tls: implicit\n{LOGIN}")), &["ops@example.org"]).await[0].1.is_ok(), "a relay without logins");
    assert_eq!(fake.mails()[0].user, "");

    let fake = Fake::start(Tls::Implicit, |turn| (turn.stage == "ehlo").then_some(Act::Say("250-x\r\n250 AUTH GSSAPI"))).await;
    let error = fail(&driver(fake.port, &format!("tls: implicit\n{LOGIN}"))).await;
    assert_eq!(error.kind, Misconfigured);
    assert!(error.summary.contains("no way to log in"), "{error}");
}

#[tokio::test]
async fn a_bad_login_is_tried_once_for_all_recipients() {
    let fake = Fake::start(Tls::Implicit, at("auth", || Act::Say("535 5.7.8 no"))).await;
    let driver = driver(fake.port, &format!("tls: implicit\n{LOGIN}"));
    let results = send(&driver, &["a@x.org", "b@x.org", "c@x.org"]).await;
    assert!(results.iter().all(|(_, r)| r.as_ref().is_err_and(|e| e.kind == Misconfigured)));
    assert_eq!(fake.log(|log| log.connections), 1, "a locked account is not locked harder");
    assert!(matches!(driver.probe().await, Probe::Failed(e) if e.code.as_deref() == Some("535 5.7.8")));
}

#[tokio::test]
async fn one_bad_mailbox_of_three_blocks_nobody() {
    let fake = Fake::start(Tls::Never, |turn| (turn.stage == "rcpt" && turn.arg.contains("gone@")).then_some(Act::Say("550 5.1.1 unknown"))).await;
    let results = send(&driver(fake.port, "tls: none"), &["a@x.org", "gone@x.org", "c@x.org"]).await;
    assert_eq!(results.iter().map(|(i, r)| (*i, r.is_ok())).collect::<Vec<_>>(), [(0, true), (1, false), (2, true)]);
    assert_eq!(results[1].1.as_ref().unwrap_err().kind, Rejected);
    let mails = fake.mails();
    assert_eq!(mails.iter().map(|m| m.to.as_str()).collect::<Vec<_>>(), ["TO:<a@x.org>", "TO:<c@x.org>"]);
    assert_eq!(fake.log(|log| log.connections), 1, "the session goes on after a refusal");
    assert!(!mails[0].data.contains("c@x.org"), "recipients do not see each other");
    assert_eq!(fake.log(|log| log.commands.iter().filter(|c| *c == "RSET").count()), 1);
}

#[tokio::test]
async fn a_recipient_that_makes_the_server_stall_does_not_use_up_the_others_time() {
    let fake = Fake::start(Tls::Never, |turn| (turn.stage == "rcpt" && turn.arg.contains("slow@")).then_some(Act::Stall)).await;
    let driver = driver(fake.port, "tls: none");
    let mut attempt = std::pin::pin!(send(&driver, &["slow@x.org", "b@x.org"]));
    // Passed over after half of the channel's time-out; then, when nobody waits any more, given what the RFC grants.
    for patience in [Duration::from_secs(5), Duration::from_secs(301)] {
        tokio::select! {
            _ = &mut attempt => panic!("it ended before the server stalled"),
            () = fake.stalled.notified() => {}
        }
        tokio::time::pause();
        tokio::time::advance(patience).await;
        tokio::time::resume();
    }
    let results = attempt.await;
    assert_eq!(results[0].1.as_ref().unwrap_err().kind, Transient);
    assert!(results[1].1.is_ok(), "{:?}", results[1]);
    assert_eq!(fake.mails().len(), 1);
}

#[tokio::test]
async fn what_comes_late_comes() {
    // A greeting after four minutes and a confirmation after nine: within what the RFC grants, beyond the channel's time-out.
    for (stage, minutes) in [("banner", 4), ("ehlo", 4), ("rcpt", 4), ("dot", 9)] {
        let late = Duration::from_secs(60 * minutes);
        let fake = Fake::start(Tls::Never, move |turn| (turn.stage == stage).then_some(Act::Late(late))).await;
        let driver = driver(fake.port, "tls: none");
        let mut attempt = std::pin::pin!(send(&driver, &["ops@example.org"]));
        tokio::select! {
            result = &mut attempt => panic!("it ended before the answer: {result:?}"),
            () = fake.stalled.notified() => {}
        }
        tokio::time::pause();
        tokio::time::advance(late).await;
        tokio::time::resume();
        assert!(attempt.await[0].1.is_ok(), "{stage}");
        assert_eq!(fake.log(|log| (log.connections, log.mails.len())), (1, 1), "{stage}: sent once");
    }
}

#[tokio::test]
async fn slow_recipients_are_all_served_in_the_end() {
    let fake = Fake::start(Tls::Never, |turn| (turn.stage == "rcpt").then_some(Act::Late(Duration::from_secs(20)))).await;
    let driver = driver(fake.port, "tls: none");
    let mut attempt = std::pin::pin!(send(&driver, &["a@x.org", "b@x.org", "c@x.org"]));
    let results = loop {
        tokio::select! {
            results = &mut attempt => break results,
            () = fake.stalled.notified() => {}
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(20)).await;
        tokio::time::resume();
    };
    assert!(results.iter().all(|(_, r)| r.is_ok()), "{results:?}");
    assert_eq!(fake.mails().len(), 3);
}

#[tokio::test]
async fn replies_are_bytes_at_every_stage() {
    let table: [(&str, &'static [u8]); 12] = [
        ("banner", b"220\r\n"),
        ("banner", b"220-welcome\n220 \xbb\xb6\xd3\xad\n"),
        ("ehlo", b"250\n"),
        ("ehlo", b"250-x\nhello there\n250 SIZE\n"),
        ("mail", b"250\n"),
        ("mail", b"250 Gr\xf6\xdfe\r\n"),
        ("rcpt", b"250-2.1.5\r\n250 \xca\xd5\xbc\xfe\xc8\xcb ok\r\n"),
        ("data", b"354\n"),
        ("dot", b"250\r\n"),
        ("dot", b"250 2.0.0 Gr\xf6\xdfe ok\r\n"),
        ("dot", b"250 \xd3\xca\xbc\xfe\xd2\xd1\xbd\xd3\xca\xd5\n"),
        ("dot", b"250-2.0.0 ok\r\nqueued as\r\n250 2.0.0 4711\r\n"),
    ];
    for (i, (stage, bytes)) in table.into_iter().enumerate() {
        let fake = Fake::start(Tls::Never, move |turn| (turn.stage == stage).then_some(Act::Bytes(bytes))).await;
        let results = send(&driver(fake.port, "tls: none"), &["ops@example.org"]).await;
        let receipt = results[0].1.as_ref().unwrap_or_else(|e| panic!("row {i}: {e:?}"));
        match i {
            9 => assert_eq!(receipt.answer, "2.0.0 Größe ok"),
            10 => assert_eq!(receipt.answer, "邮件已接收"),
            11 => assert_eq!(receipt.answer, "2.0.0 ok queued as 4711"),
            _ => {}
        }
    }
    let fake = Fake::start(Tls::Never, at("rcpt", || Act::Bytes(b"550 \xd3\xca\xcf\xe4\xb2\xbb\xb4\xe6\xd4\xda\n"))).await;
    let error = fail(&driver(fake.port, "tls: none")).await;
    assert_eq!((error.kind, error.recipient, error.detail.as_deref()), (Rejected, true, Some("邮箱不存在")));
    assert!(error.summary.contains("邮箱不存在"), "{error}");
}

#[tokio::test]
async fn helo_where_ehlo_is_refused() {
    for refusal in ["500 what?", "502 5.5.1 not implemented", "554 5.7.1 no ESMTP", "550 no"] {
        let fake = Fake::start(Tls::Never, move |turn| (turn.stage == "ehlo").then_some(Act::Say(refusal))).await;
        assert!(send(&driver(fake.port, &format!("tls: none\n{LOGIN}")), &["ops@example.org"]).await[0].1.is_ok(), "{refusal}");
        assert!(fake.log(|log| log.commands.iter().any(|c| c.starts_with("HELO "))));
    }
    let fake = Fake::start(Tls::Starttls, |turn| (turn.stage == "ehlo").then_some(Act::Say("502 no"))).await;
    assert!(fail(&driver(fake.port, LOGIN)).await.summary.contains("does not offer STARTTLS"), "a password never travels in clear for that");
    let fake = Fake::start(Tls::Never, |turn| match turn.stage {
        "ehlo" => Some(Act::Say("502 no")),
        "helo" => Some(Act::Say("501 5.5.2 bad name")),
        _ => None,
    })
    .await;
    assert_eq!(fail(&driver(fake.port, "tls: none")).await.code.as_deref(), Some("501 5.5.2"));
}

#[tokio::test]
async fn a_session_that_cannot_be_reset_is_not_used_again() {
    let fake = Fake::start(Tls::Never, |turn| match turn.stage {
        "rcpt" if turn.connection == 1 => Some(Act::Say("550 5.1.1 unknown")),
        "rset" => Some(Act::Say("421 4.3.0 bye")),
        _ => None,
    })
    .await;
    let results = send(&driver(fake.port, "tls: none"), &["gone@x.org", "b@x.org"]).await;
    assert_eq!(results[0].1.as_ref().unwrap_err().kind, Rejected, "the recipient's own answer counts");
    assert!(results[1].1.is_ok());
    assert_eq!(fake.log(|log| log.connections), 2);
}

#[tokio::test]
async fn international_addresses_need_smtputf8() {
    let fake = Fake::kind(Tls::Never).await;
    let results = send(&driver(fake.port, "tls: none"), &["运维@例子.com", "ops@例子.com", "not an address"]).await;
    let refused = results[0].1.as_ref().unwrap_err();
    assert_eq!(refused.kind, Rejected);
    assert!(refused.summary.contains("SMTPUTF8"), "{refused}");
    assert_eq!(results[2].1.as_ref().unwrap_err().kind, Rejected);
    assert_eq!(fake.mails()[0].to, "TO:<ops@xn--fsqu00a.com>", "an international domain alone needs nothing");

    let fake = Fake::start(Tls::Never, |turn| (turn.stage == "ehlo").then_some(Act::Say("250-x\r\n250-8BITMIME\r\n250 SMTPUTF8"))).await;
    assert!(send(&driver(fake.port, "tls: none"), &["运维@例子.com"]).await[0].1.is_ok());
    let mail = &fake.mails()[0];
    assert_eq!(mail.from, "FROM:<w@example.com> SMTPUTF8 BODY=8BITMIME");
    assert!(mail.data.contains("To: 运维@xn--fsqu00a.com\r\n"), "{}", mail.data);
}
