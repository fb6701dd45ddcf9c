//! The bytes of mails: headers, threads, bodies, and what cannot be smuggled into them.

use super::{Plain, config, cx, page, to};
use crate::channel::email::address::mailbox;
use crate::channel::email::message::{MailTemplate, Sender, with_status};
use crate::channel::email::types::ThreadBy;
use crate::channel::{Channel, Living, LivingMode, PlatformConfig, SendContext, email};
use crate::model::{ErrorKind, MessageStatus, Page, Recipient, Severity, UnixMs};

fn sender() -> Sender {
    Sender {
        from: mailbox("值班 Watchfire <w@example.com>").unwrap(),
        reply_to: Some(mailbox("help@example.com").unwrap()),
        to: vec![mailbox("On call <ops@example.org>").unwrap()],
        cc: Vec::new(),
        thread: ThreadBy::Group,
        signer: None,
    }
}

fn write(sender: &Sender, page: &Page, cx: &SendContext, to: &str) -> String {
    let mail = MailTemplate::new(sender, page, cx).unwrap().to(&Recipient::new(to)).unwrap();
    String::from_utf8(mail.bytes).unwrap()
}

/// Header lines, unfolded.
fn headers(mail: &str) -> Vec<String> {
    mail.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
}

fn header(mail: &str, name: &str) -> Option<String> {
    headers(mail).iter().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
}

#[test]
fn a_whole_mail() {
    let mail = write(&sender(), &page(), &cx(), "ops@example.org");
    let boundary = mail.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    let id = header(&mail, "Message-ID").unwrap();
    let root = header(&mail, "References").unwrap();
    let expected = format!(
        "Date: Tue, 24 Nov 2026 08:00:00 +0000\r\n\
         From: =?utf-8?b?5YC854+tIFdhdGNoZmlyZQ==?= <w@example.com>\r\n\
         Reply-To: help@example.com\r\n\
         To: \"On call\" <ops@example.org>\r\n\
         Subject: [FIRING] DiskFull db-1\r\n\
         Message-ID: {id}\r\n\
         In-Reply-To: {root}\r\n\
         References: {root}\r\n\
         Auto-Submitted: auto-generated\r\n\
         X-Auto-Response-Suppress: All\r\n\
         X-Alert-Status: firing\r\n\
         X-Alert-Severity: critical\r\n\
         X-Alert-Group: {}\r\n\
         X-Priority: 1\r\n\
         Importance: high\r\n\
         Priority: urgent\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/alternative;\r\n boundary=\"{boundary}\"\r\n\
         \r\n\
         --{boundary}\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 7bit\r\n\
         \r\n\
         disk is full\r\n\
         --{boundary}\r\n\
         Content-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: 7bit\r\n\
         \r\n\
         <p>disk is full</p>\r\n\
         --{boundary}--\r\n",
        root.trim_start_matches("<alert-").trim_end_matches("@example.com>"),
    );
    assert_eq!(mail, expected);
    assert!(id.starts_with('<') && id.ends_with("@example.com>"), "{id}");
}

#[test]
fn a_second_try_gives_the_same_mail_and_nothing_else_does() {
    let (sender, page, first) = (sender(), page(), cx());
    let again = SendContext { attempt: 2, ..first.clone() };
    assert_eq!(write(&sender, &page, &first, "ops@example.org"), write(&sender, &page, &again, "ops@example.org"));
    let other_key = SendContext { idempotency_key: "k-2".into(), ..first.clone() };
    let ids = [(&first, "ops@example.org"), (&first, "b@example.org"), (&other_key, "ops@example.org")]
        .map(|(cx, to)| header(&write(&sender, &page, cx, to), "Message-ID").unwrap());
    assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2], "{ids:?}");
}

#[test]
fn mails_of_one_group_hang_on_one_root() {
    let root = |thread: ThreadBy, group: &str, formed_at: i64, key: &str| {
        let sender = Sender { thread, ..sender() };
        let mut page = page();
        page.facts.thread = group.into();
        page.facts.formed_at = UnixMs(formed_at);
        let mail = write(&sender, &page, &SendContext { idempotency_key: key.into(), ..cx() }, "ops@example.org");
        assert_eq!(header(&mail, "In-Reply-To"), header(&mail, "References"));
        header(&mail, "References")
    };
    let day = 86_400_000;
    let base = root(ThreadBy::Group, "g", 0, "a").unwrap();
    assert_eq!(root(ThreadBy::Group, "g", 9 * day, "b").unwrap(), base);
    assert_ne!(root(ThreadBy::Group, "other", 0, "a").unwrap(), base);
    assert_eq!(root(ThreadBy::Day, "g", 1, "a"), root(ThreadBy::Day, "g", day - 1, "b"));
    assert_ne!(root(ThreadBy::Day, "g", 1, "a"), root(ThreadBy::Day, "g", day, "b"));
    assert!(root(ThreadBy::Day, "g", 1_764_000_000_000, "a").unwrap().ends_with("-20251124@example.com>"));
    assert_eq!(root(ThreadBy::Off, "g", 0, "a"), None);
    assert_eq!(root(ThreadBy::Group, "", 0, "a"), None, "a digest belongs to no group");
}

#[test]
fn a_mail_answers_unless_it_has_no_thread() {
    let living = |more: &str| {
        let yaml = format!("server: localhost:25\ntls: none\nfrom: w@example.com\nto: [ops@example.org]\n{more}");
        let (driver, _) = config(&yaml).driver(&Plain, false).map_err(|problems| format!("{problems:?}")).unwrap();
        driver.living(&email::DESCRIPTOR)
    };
    let whole = living("");
    assert!(whole.reply && !whole.edit && whole.default == LivingMode::Reply);
    assert_eq!(living("thread: day"), whole);
    assert_eq!(living("thread: 'off'"), Living::NEW);
}

#[test]
fn priority_only_for_what_is_critical_and_fires() {
    for (severity, status, urgent) in [
        (Severity::Critical, MessageStatus::Firing, true),
        (Severity::Critical, MessageStatus::Resolved, false),
        (Severity::Error, MessageStatus::Firing, false),
    ] {
        let mut page = page();
        (page.facts.severity, page.facts.status) = (Some(severity), status);
        let mail = write(&sender(), &page, &cx(), "ops@example.org");
        assert_eq!(header(&mail, "Importance").is_some(), urgent);
        assert_eq!(header(&mail, "X-Alert-Status").as_deref(), Some(status.as_str()));
    }
}

#[test]
fn nothing_gets_into_the_headers() {
    let mut page = page();
    page.fields.insert("subject".into(), "Disk\r\nBcc: evil@example.net\r\n\r\n<b>\u{85}full\u{0}".into());
    page.facts.thread = "g\r\nBcc: evil@example.net".into();
    let mail = write(&sender(), &page, &cx(), "ops@example.org");
    assert_eq!(header(&mail, "Subject").as_deref(), Some("Disk Bcc: evil@example.net <b> full"));
    assert!(!headers(&mail).iter().any(|line| line.starts_with("Bcc")), "{mail}");
    for (field, text) in [("from", "a@x.org\r\nBcc: e@x.org"), ("cc", "A\nB <a@x.org>"), ("cc", "nobody"), ("to", "a@x.org\0")] {
        let mut page = page.clone();
        page.fields.insert(field.into(), text.into());
        let error = MailTemplate::new(&sender(), &page, &cx()).err().expect(text);
        assert_eq!(error.kind, ErrorKind::Rejected);
        assert!(error.summary.contains(&format!("`{field}`")), "{error}");
    }
    let error = MailTemplate::new(&sender(), &page, &cx()).unwrap().to(&Recipient::new("a@x.org>\r\nDATA")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Rejected);
}

#[test]
fn subjects_of_any_language_and_length() {
    let subject = |text: &str| {
        let mut page = page();
        page.fields.insert("subject".into(), text.into());
        let mail = write(&sender(), &page, &cx(), "ops@example.org");
        assert!(mail.lines().all(|line| line.len() <= 998), "{mail}");
        assert!(mail.is_ascii());
        header(&mail, "Subject").unwrap()
    };
    assert_eq!(subject("磁盘已满"), "=?utf-8?b?56OB55uY5bey5ruh?=");
    assert_eq!(subject(&"x".repeat(250)), "x".repeat(250));
    assert!(subject(&"x".repeat(5000)).len() < 500);
    assert!(subject(&"告警".repeat(5000)).len() < 2000);
    assert_eq!(subject(" \t "), "(no subject)");
}

#[test]
fn bodies_that_need_encoding() {
    let mut page = page();
    page.fields.insert("text".into(), "磁盘已满\n.\rlone CR\r\n\u{7}bell\ttab".into());
    page.fields.insert("html".into(), format!("<p>{}</p>\n", "long ".repeat(1000)));
    let mail = write(&sender(), &page, &cx(), "ops@example.org");
    assert!(mail.is_ascii() && mail.split("\r\n").all(|line| line.len() <= 76 + 20), "{mail}");
    assert!(!mail.replace("\r\n", "").contains(['\r', '\n']), "a bare CR or LF is how mail is smuggled");
    use base64::Engine;
    let encoded = mail.split("base64\r\n\r\n").nth(1).unwrap().split("\r\n--").next().unwrap().replace("\r\n", "");
    let text = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()).unwrap();
    assert_eq!(text, "磁盘已满\r\n.\r\nlone CR\r\nbell\ttab");
    assert!(mail.contains("Content-Transfer-Encoding: quoted-printable"));
}

#[test]
fn text_alone_html_alone_and_neither() {
    let only = |field: &str| {
        let mut page = page();
        page.fields.retain(|name, _| name == "subject" || name == field);
        MailTemplate::new(&sender(), &page, &cx()).map(|l| String::from_utf8(l.to(&Recipient::new("a@x.org")).unwrap().bytes).unwrap())
    };
    assert_eq!(header(&only("text").unwrap(), "Content-Type").as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(header(&only("html").unwrap(), "Content-Type").as_deref(), Some("text/html; charset=utf-8"));
    assert_eq!(only("nothing").unwrap_err().kind, ErrorKind::Rejected);
}

#[test]
fn direct_calls_choose_what_is_shown() {
    let cx = SendContext { direct: true, ..cx() };
    let mut page = page();
    page.facts = Default::default();
    for (field, text) in [("from", "App <app@example.com>"), ("to", "a@x.org, b@x.org"), ("cc", "\"Doe, J\" <c@x.org>")] {
        page.fields.insert(field.into(), text.into());
    }
    let sender = sender();
    let template = MailTemplate::new(&sender, &page, &cx).unwrap();
    let mail = template.to(&Recipient::new("c@x.org")).unwrap();
    assert_eq!((mail.from.to_string(), mail.to.to_string()), ("app@example.com".into(), "c@x.org".into()));
    let mail = String::from_utf8(mail.bytes).unwrap();
    assert_eq!(header(&mail, "From").as_deref(), Some("App <app@example.com>"));
    assert_eq!(header(&mail, "To").as_deref(), Some("a@x.org, b@x.org"));
    assert_eq!(header(&mail, "Cc").as_deref(), Some("=?utf-8?b?RG9lLCBK?= <c@x.org>"));
    assert!(!mail.contains("X-Alert-") && !mail.contains("References") && !mail.contains("Importance"), "{mail}");
}

#[test]
fn a_recipient_may_have_a_name() {
    for (to, shown) in [
        ("Zhang San <a@example.com>", "\"Zhang San\" <a@example.com>"),
        ("张三<a@example.com>", "=?utf-8?b?5byg5LiJ?= <a@example.com>"),
        ("<a@example.com>", "a@example.com"),
        ("ops@example.org", "\"On call\" <ops@example.org>"),
    ] {
        let mail = MailTemplate::new(&sender(), &page(), &cx()).unwrap().to(&Recipient::new(to)).unwrap();
        assert!(!mail.to.to_string().contains('<'), "the envelope has the address alone");
        assert_eq!(header(&String::from_utf8(mail.bytes).unwrap(), "To").as_deref(), Some(shown));
    }
    let error = MailTemplate::new(&sender(), &page(), &cx()).unwrap().to(&Recipient::new("a@example.com>")).unwrap_err();
    assert!(error.recipient && error.kind == ErrorKind::Rejected, "{error}");
}

#[test]
fn who_is_in_cc_finds_himself_there() {
    let sender = Sender { cc: vec![mailbox("Boss <boss@example.org>").unwrap()], ..sender() };
    let seen = |to: &str| {
        let mail = write(&sender, &page(), &cx(), to);
        (header(&mail, "To").unwrap(), header(&mail, "Cc").unwrap())
    };
    assert_eq!(seen("ops@example.org"), ("\"On call\" <ops@example.org>".into(), "Boss <boss@example.org>".into()));
    assert_eq!(seen("boss@example.org"), ("undisclosed-recipients:;".into(), "Boss <boss@example.org>".into()));
    let config =
        config("{ server: 'mx.example.com:587', from: w@x.org, to: ['O <ops@x.org>', ops@x.org, Ops@X.org, b@x.org], cc: [c@x.org, b@x.org] }");
    assert_eq!(config.recipients(), to(&["ops@x.org", "b@x.org", "c@x.org"]));
}

#[test]
fn the_status_stands_before_the_senders_name() {
    let seen = |from: &str, status: &str| with_status(&mailbox(from).unwrap(), status).name.unwrap_or_default();
    assert_eq!(seen("Watchfire <w@example.org>", "🔴 Critical\r\nBcc: x@example.org"), "🔴 Critical Bcc: x@example.org · Watchfire");
    assert_eq!(seen("w@example.org", "✅ resolved"), "✅ resolved");
    assert_eq!(seen("Watchfire <w@example.org>", ""), "Watchfire");
    let mut page = page();
    page.fields.extend([("status".to_owned(), "🔴 Critical".to_owned()), ("from".to_owned(), "app@example.org".to_owned())]);
    let own = header(&write(&sender(), &page, &cx(), "ops@example.org"), "From");
    assert_eq!(own.as_deref(), Some("app@example.org"), "a direct send names its own sender");
}

#[test]
fn the_card_counts_what_is_rendered() {
    let size = (email::DESCRIPTOR.measure)(&page());
    assert_eq!((size.used, size.max), ("<p>disk is full</p>".len(), 90_000), "clients cut HTML long before servers refuse a mail");
    let plain = Page { fields: [("text".to_owned(), "x".repeat(100))].into(), ..Page::default() };
    assert_eq!((email::DESCRIPTOR.measure)(&plain), crate::model::Size::bytes(100, 1 << 20));
}

#[test]
fn dates_at_the_ends_of_time() {
    for (now, date) in [(jiff::Timestamp::MIN, "Thu, 01 Jan 1970 00:00:00 +0000"), (jiff::Timestamp::MAX, "Thu, 30 Dec 9999")] {
        let mail = write(&sender(), &page(), &SendContext { now, ..cx() }, "ops@example.org");
        assert!(header(&mail, "Date").unwrap().starts_with(date), "{mail}");
    }
}

proptest::proptest! {
    #[test]
    fn no_input_breaks_out_of_its_place(subject in ".*", text in "(?s).*", html in "(?s).*", name in "[^<>@]*", thread in "(?s).*") {
        const NAMES: [&str; 18] = [
            "Date", "From", "Reply-To", "To", "Cc", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "X-Auto-Response-Suppress",
            "X-Alert-Status", "X-Alert-Severity", "X-Alert-Group", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Importance",
        ];
        let mut page = page();
        page.facts.severity = Some(Severity::Error);
        page.facts.thread = thread;
        for (field, value) in [("subject", subject), ("text", text), ("html", html), ("cc", format!("{name} <c@x.org>"))] {
            page.fields.insert(field.into(), value);
        }
        let sender = sender();
        let cx = cx();
        match MailTemplate::new(&sender, &page, &cx).and_then(|template| template.to(&Recipient::new("ops@example.org"))) {
            Err(error) => proptest::prop_assert_eq!(error.kind, ErrorKind::Rejected),
            Ok(mail) => {
                let mail = String::from_utf8(mail.bytes).unwrap();
                proptest::prop_assert!(mail.is_ascii());
                proptest::prop_assert!(!mail.replace("\r\n", "").contains(['\r', '\n', '\0']));
                proptest::prop_assert!(mail.split("\r\n").all(|line| line.len() <= 998));
                for line in headers(&mail) {
                    let name = line.split(':').next().unwrap();
                    proptest::prop_assert!(NAMES.contains(&name), "{}", line);
                }
            }
        }
    }
}
