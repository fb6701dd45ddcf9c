//! The mail server against its RFCs: by hand on a socket, and with lettre through TLS and AUTH.

use std::time::Duration;

use lettre::message::MultiPart;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::support::fakes::smtp::mime::{Mail, decode_words};
use crate::support::fakes::{Act, Security, Smtp, SmtpOptions, Stage, Verdict};

/// A client that types.
struct Typist(BufReader<TcpStream>);

impl Typist {
    async fn connect(server: &Smtp) -> Self {
        Self(BufReader::new(TcpStream::connect(server.addr()).await.unwrap()))
    }

    /// The next whole reply (all its lines); empty when the connection is over.
    async fn reply(&mut self) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.unwrap_or(0) == 0 {
                return all;
            }
            let more = line.as_bytes().get(3) == Some(&b'-');
            all.push_str(&line);
            if !more {
                return all;
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.reply().await
    }

    async fn code(&mut self, line: &str) -> u16 {
        self.say(line).await.get(..3).and_then(|c| c.parse().ok()).unwrap_or(0)
    }
}

async fn plain() -> Smtp {
    Smtp::start(SmtpOptions { max_size: 2000, max_recipients: 2, smtputf8: false, ..SmtpOptions::default().security(Security::Plain) }).await
}

fn message(subject: &str) -> Message {
    let body = MultiPart::alternative_plain_html("负载 > 9\n.\nend".to_owned(), "<p>负载 &gt; 9</p>".to_owned());
    let (from, to) = ("Wächter <w@example.com>".parse().unwrap(), "ops@example.com".parse().unwrap());
    Message::builder().from(from).to(to).subject(subject).multipart(body).unwrap()
}

fn client(server: &Smtp, security: Security, user: Option<(&str, &str)>, mechanism: Mechanism) -> AsyncSmtpTransport<Tokio1Executor> {
    let root = Certificate::from_pem(server.tls.ca_pem.as_bytes()).unwrap();
    let tls = TlsParameters::builder("localhost".to_owned()).add_root_certificate(root).build_rustls().unwrap();
    let tls = match security {
        Security::Plain => Tls::None,
        Security::StartTls => Tls::Required(tls),
        Security::Implicit => Tls::Wrapper(tls),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(server.addr().port()).tls(tls);
    if let Some((name, password)) = user {
        builder = builder.credentials(Credentials::new(name.into(), password.into())).authentication(vec![mechanism]);
    }
    builder.timeout(Some(Duration::from_secs(5))).build()
}

#[tokio::test]
async fn the_dialogue_follows_the_rfc() {
    let server = plain().await;
    let mut c = Typist::connect(&server).await;
    assert!(c.reply().await.starts_with("220 "));
    assert_eq!(c.code("MAIL FROM:<a@example.com>").await, 503);
    let ehlo = c.say("EHLO me").await;
    for word in ["250-PIPELINING", "250-SIZE 2000", "250-8BITMIME", "250 ENHANCEDSTATUSCODES"] {
        assert!(ehlo.contains(word), "{ehlo}");
    }
    assert!(!ehlo.contains("STARTTLS") && !ehlo.contains("AUTH") && !ehlo.contains("SMTPUTF8"));
    for (line, code) in [
        ("EHLO", 501),
        ("FOO", 500),
        ("AUTH PLAIN", 504),
        ("STARTTLS", 503),
        ("RCPT TO:<b@example.com>", 503),
        ("DATA", 554),
        ("MAIL FROM: a@example.com", 501),
        ("MAIL FROM:<a@example.com> SIZE=2001", 552),
        ("MAIL FROM:<ä@example.com>", 553),
        ("MAIL FROM:<a@example.com> SIZE=2000 BODY=8BITMIME", 250),
        ("MAIL FROM:<a@example.com>", 503),
        ("RCPT TO:<nobody>", 504),
        ("RCPT TO:<b@example.com>", 250),
        ("rcpt to:<c@example.com>", 250),
        ("RCPT TO:<d@example.com>", 452),
        ("DATA", 354),
        ("Subject: =?utf-8?B?6K2m5oql?=\r\n\r\n..dot\r\n.", 250),
        ("NOOP", 250),
        ("RSET", 250),
        ("QUIT", 221),
    ] {
        assert_eq!(c.code(line).await, code, "{line}");
    }
    assert_eq!(c.reply().await, "");
    let mail = &server.rec.accepted()[0];
    assert_eq!(
        (mail.to.as_slice(), mail.call.param("mail_from")),
        (&["b@example.com".to_owned(), "c@example.com".into()][..], Some("a@example.com"))
    );
    assert_eq!((mail.text.as_str(), mail.call.header("subject")), ("警报\n.dot\n", Some("警报")));
    assert_eq!(server.dialogue().last().map(String::as_str), Some("1: QUIT"));
}

#[tokio::test]
async fn sizes_lines_and_line_feeds_are_checked_at_the_end() {
    let server = plain().await;
    let mut c = Typist::connect(&server).await;
    c.reply().await;
    c.say("EHLO me").await;
    let long = "x".repeat(999);
    let lines = vec!["y".repeat(900); 3].join("\r\n");
    let bodies = [(long.as_str(), 500), (lines.as_str(), 552), ("a\nb", 550), ("ümlaut", 250)];
    for (body, code) in bodies {
        c.say("MAIL FROM:<a@example.com>").await;
        c.say("RCPT TO:<b@example.com>").await;
        assert_eq!(c.code("DATA").await, 354);
        assert_eq!(c.code(&format!("\r\n{body}\r\n.")).await, code, "{body:.20}");
    }
    assert_eq!(server.rec.accepted()[0].notes, ["8bit_undeclared"]);
    assert_eq!(server.rec.count(Verdict::Refused), 3);
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let server = plain().await;
    let mut c = Typist::connect(&server).await;
    c.reply().await;
    c.say("EHLO me").await;
    let first = c.say("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA").await;
    assert!(first.starts_with("250 2.1.0") && c.reply().await.starts_with("250 2.1.5") && c.reply().await.starts_with("354"));
    assert_eq!(c.code("Subject: x\r\n\r\nhello\r\n.").await, 250);
}

#[tokio::test]
async fn lettre_delivers_through_each_protection_and_mechanism() {
    for security in [Security::Plain, Security::StartTls, Security::Implicit] {
        for mechanism in [Mechanism::Plain, Mechanism::Login] {
            let server = Smtp::start(SmtpOptions::default().security(security).user("w@example.com", "päss")).await;
            let client = client(&server, security, Some(("w@example.com", "päss")), mechanism);
            client.send(message("[P1] 数据库 db-1 down 数据库数据库数据库数据库数据库数据库数据库")).await.unwrap();
            let record = &server.rec.accepted()[0];
            let tls = (security != Security::Plain).to_string();
            assert_eq!((record.call.param("user"), record.call.param("tls")), (Some("w@example.com"), Some(tls.as_str())));
            let mail = &server.mails()[0];
            assert_eq!(mail.subject(), "[P1] 数据库 db-1 down 数据库数据库数据库数据库数据库数据库数据库");
            assert_eq!((mail.text().as_str(), mail.html().as_str()), ("负载 > 9\n.\nend", "<p>负载 &gt; 9</p>"));
            assert_eq!(
                (mail.containers.as_slice(), mail.header("from")),
                (&["multipart/alternative".to_owned()][..], Some("Wächter <w@example.com>"))
            );
        }
    }
}

#[tokio::test]
async fn credentials_tls_and_certificates_are_enforced() {
    let server = Smtp::start(SmtpOptions::default().user("u", "right")).await;
    let code = |e: lettre::transport::smtp::Error| e.status().map(u16::from);
    let wrong = client(&server, Security::StartTls, Some(("u", "wrong")), Mechanism::Plain).send(message("x")).await.unwrap_err();
    assert_eq!(code(wrong), Some(535));
    let none = client(&server, Security::StartTls, None, Mechanism::Plain).send(message("x")).await.unwrap_err();
    assert_eq!(code(none), Some(530));
    let clear = client(&server, Security::Plain, None, Mechanism::Plain).send(message("x")).await.unwrap_err();
    assert_eq!(code(clear), Some(530));
    let other = Smtp::start(SmtpOptions { names: &["elsewhere.test"], ..SmtpOptions::default() }).await;
    let misnamed = client(&other, Security::StartTls, None, Mechanism::Plain).send(message("x")).await.unwrap_err();
    assert!(misnamed.status().is_none(), "the client must not get past the certificate: {misnamed:?}");
    assert!(std::fs::read_to_string(server.tls.ca_file()).unwrap().contains("BEGIN CERTIFICATE"));
}

#[tokio::test]
async fn each_stage_can_be_scripted() {
    let server = Smtp::start(SmtpOptions::default().security(Security::Plain)).await;
    let client = client(&server, Security::Plain, None, Mechanism::Plain);
    for (stage, reply) in [(Stage::Connect, 421), (Stage::Connect, 554), (Stage::Mail, 451), (Stage::Data, 452), (Stage::Body, 554)] {
        server.once(stage, Act::Reply(reply, "5.0.0 scripted"));
        let error = client.send(message("x")).await.unwrap_err();
        assert_eq!(error.status().map(u16::from), Some(reply), "{stage:?}");
    }
    server.script(Stage::Rcpt, Some("ops@example.com"), Act::Reply(550, "5.1.1 no such user"), Some(1));
    server.script(Stage::Rcpt, Some("other@example.com"), Act::Reply(450, "4.7.1 greylisted"), None);
    assert_eq!(client.send(message("x")).await.unwrap_err().status().map(u16::from), Some(550));
    assert_eq!(server.rec.total(), 6, "each refusal stands in the book");
    client.send(message("now it goes")).await.unwrap();
    for (act, taken) in [(Act::Close, 1), (Act::Reset, 1), (Act::TakeThenClose, 2)] {
        server.once(Stage::Body, act.clone());
        assert!(client.send(message("x")).await.is_err());
        assert_eq!(server.rec.count(Verdict::Accepted), taken, "{act:?}");
    }
}

#[tokio::test]
async fn a_mail_server_goes_down_and_comes_back() {
    let server = Smtp::start(SmtpOptions::default().security(Security::Plain)).await;
    let client = client(&server, Security::Plain, None, Mechanism::Plain);
    server.down();
    assert!(client.send(message("x")).await.is_err());
    server.up().await.unwrap();
    client.send(message("x")).await.unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[test]
fn headers_and_parts_are_decoded() {
    assert_eq!(decode_words("=?utf-8?Q?a=3Db_c?= =?UTF-8?B?6K2m?= plain =?broken"), "a=b c警 plain =?broken");
    let raw = "Subject: one\r\n two\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\nskip\r\n--b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n\
        --c\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E8=AD=A6 a=\r\nb=3D\r\n--c\r\n\
        Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\neA==\r\n--c--\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <i>\r\n\r\nP\r\n--b--\r\n";
    let mail = Mail::parse(raw.as_bytes());
    assert_eq!((mail.subject(), mail.text().as_str(), mail.html().as_str()), ("one two", "警 ab=", "<b>x"));
    assert_eq!((mail.containers.join(" ").as_str(), mail.parts[2].header("content-id")), ("multipart/mixed multipart/alternative", Some("<i>")));
}
