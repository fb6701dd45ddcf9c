//! From a page to the bytes of one mail per recipient: headers that thread, mark and cannot be injected into, and a text + HTML body.
//! Pure: time comes with the attempt, ids come from the idempotency key, so a second try has the same Message-ID. Knows no wire.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, Message, MultiPart, MultiPartKind, SinglePart, header};
use lettre::{Address, message};
use serde_json::{Value, json};

use super::address;
use super::dkim::Signer;
use super::types::ThreadBy;
use crate::channel::SendContext;
use crate::model::{ErrorKind, Form, MessageStatus, Page, Recipient, SendError, Severity, UnixMs, hash_hex};

/// The longest subject, in characters; longer ones end in `…`. Phones show some forty, and a header line may not pass 998 octets.
const MAX_SUBJECT: usize = 250;

/// The most addresses that a direct call may show in `To` or `Cc`.
const MAX_SHOWN: usize = 100;

/// Who writes, and what holds for every mail of a channel.
#[derive(Debug)]
pub(super) struct Sender {
    /// `From`, and the envelope's sender.
    pub from: Mailbox,
    /// `Reply-To`.
    pub reply_to: Option<Mailbox>,
    /// `To` as configured, for a recipient's display name.
    pub to: Vec<Mailbox>,
    /// `Cc`, shown to everybody.
    pub cc: Vec<Mailbox>,
    /// Which mails share a thread.
    pub thread: ThreadBy,
    /// Signs with DKIM.
    pub signer: Option<Signer>,
}

/// One page as a template, before it is addressed.
pub(super) struct MailTemplate<'a> {
    sender: &'a Sender,
    from: Mailbox,
    shown_to: Option<Vec<Mailbox>>,
    cc: Vec<Mailbox>,
    subject: String,
    body: Body,
    date: SystemTime,
    key: &'a str,
    root: Option<String>,
    alert: Vec<(&'static str, String)>,
}

/// The parts, encoded once for all recipients.
enum Body {
    Single(SinglePart),
    Both(SinglePart, SinglePart),
}

/// One mail, ready for an envelope of one recipient.
#[derive(Debug)]
pub(super) struct Mail {
    /// The envelope's sender.
    pub from: Address,
    /// The envelope's only recipient.
    pub to: Address,
    /// The Message-ID, with its angle brackets.
    pub id: String,
    /// Headers and body, CRLF line ends.
    pub bytes: Vec<u8>,
    /// Whether an address in it needs SMTPUTF8.
    pub utf8: bool,
}

fn refused(what: impl std::fmt::Display) -> SendError {
    SendError::new(ErrorKind::Rejected, format!("the mail cannot be written: {what}"))
}

impl<'a> MailTemplate<'a> {
    /// Reads a page. Fields: `subject`, `text`, `html`; a direct call may add `from`, `to` and `cc` (comma-separated; they are what the headers
    /// show, the envelope goes to the recipients of the attempt only). Errors are of kind `Rejected`: the page can never be sent.
    pub(super) fn new(sender: &'a Sender, page: &Page, cx: &'a SendContext) -> Result<Self, SendError> {
        let from = match page.field("from") {
            "" => with_status(&sender.from, page.field("status")),
            text => address::mailbox(text).map_err(|f| refused(format!("`from`: {}; {}", f.what, f.help)))?,
        };
        let shown = |field: &str| -> Result<Option<Vec<Mailbox>>, SendError> {
            let text = page.field(field);
            if text.trim().is_empty() {
                return Ok(None);
            }
            let list = address::mailboxes(text).map_err(|f| refused(format!("`{field}`: {}; {}", f.what, f.help)))?;
            if list.len() > MAX_SHOWN {
                return Err(refused(format!("`{field}` shows {} addresses; at most {MAX_SHOWN} are allowed", list.len())));
            }
            Ok(Some(list))
        };
        let facts = &page.facts;
        let domain = sender.from.email.domain();
        Ok(Self {
            from,
            shown_to: shown("to")?,
            cc: shown("cc")?.unwrap_or_else(|| sender.cc.clone()),
            subject: subject([page.field("subject"), &facts.title]),
            body: Body::new(page.field("text"), page.field("html"))?,
            date: header_date(cx.now),
            key: &cx.idempotency_key,
            root: thread_root(sender.thread, &facts.thread, facts.formed_at).map(|id| format!("<{id}@{domain}>")),
            alert: if cx.direct { Vec::new() } else { alert_headers(page) },
            sender,
        })
    }

    /// The mail for one recipient. `To` shows that recipient only, unless the page says what to show; somebody who is in `Cc` finds himself there.
    pub(super) fn to(&self, recipient: &Recipient) -> Result<Mail, SendError> {
        let named = address::mailbox(recipient.expose())
            .map_err(|f| SendError::new(ErrorKind::Rejected, format!("{recipient} is not a mail address: {}; {}", f.what, f.help)).of_recipient())?;
        let to = named.email.clone();
        let id =
            format!("<{}.{}@{}>", hash_hex(&["page", self.key]), hash_hex(&["recipient", self.key, to.as_ref()]), self.sender.from.email.domain());
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.clone()]).map_err(refused)?;
        let mut builder = Message::builder().envelope(envelope).date(self.date).mailbox(header::From::from(Mailboxes::from(self.from.clone())));
        if let Some(reply_to) = &self.sender.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        builder = match &self.shown_to {
            Some(list) => builder.mailbox(header::To::from(Mailboxes::from(list.clone()))),
            // The empty group of RFC 5322, appendix A.1.3: some filters score a mail without `To`.
            None if self.cc.iter().any(|m| m.email == to) => builder.raw_header(raw("To", "undisclosed-recipients:;".into())),
            None => builder.to(self.sender.to.iter().find(|m| m.email == to && named.name.is_none()).cloned().unwrap_or(named)),
        };
        if !self.cc.is_empty() {
            builder = builder.mailbox(header::Cc::from(Mailboxes::from(self.cc.clone())));
        }
        builder = builder.subject(self.subject.clone()).message_id(Some(id.clone()));
        if let Some(root) = &self.root {
            builder = builder.in_reply_to(root.clone()).references(root.clone());
        }
        // RFC 3834 and its Exchange counterpart: no vacation notice answers an alert.
        builder = builder.raw_header(raw("Auto-Submitted", "auto-generated".into())).raw_header(raw("X-Auto-Response-Suppress", "All".into()));
        for (name, value) in &self.alert {
            builder = builder.raw_header(raw(name, value.clone()));
        }
        let mut message = match &self.body {
            Body::Single(part) => builder.singlepart(part.clone()),
            Body::Both(text, html) => builder.multipart(
                // The boundary is derived, not random: a second try has the same bytes. Nobody who writes the body can know the key.
                MultiPart::builder()
                    .kind(MultiPartKind::Alternative)
                    .boundary(format!("=_{}{}", hash_hex(&["boundary", self.key]), hash_hex(&["boundary", self.key, &id])))
                    .singlepart(text.clone())
                    .singlepart(html.clone()),
            ),
        }
        .map_err(refused)?;
        if let Some(signer) = &self.sender.signer {
            signer.sign(&mut message);
        }
        let shown = self.shown_to.iter().flatten().chain(&self.cc).chain(&self.sender.reply_to).chain([&self.from]);
        let utf8 = address::needs_utf8(&to) || shown.into_iter().any(|m| address::needs_utf8(&m.email));
        Ok(Mail { from: self.from.email.clone(), to, id, bytes: message.formatted(), utf8 })
    }
}

/// What a reader sees of a page's mail: headers and parts.
pub(super) fn shown(sender: &Sender, page: &Page) -> Value {
    let from = with_status(&sender.from, page.field("status"));
    let cc: Vec<String> = sender.cc.iter().map(ToString::to_string).collect();
    let subject = subject([page.field("subject"), &page.facts.title]);
    json!({ "from": from.to_string(), "cc": cc.join(", "), "subject": subject, "text": page.field("text"), "html": page.field("html") })
}

/// The sender, with the status before its name.
pub(super) fn with_status(from: &Mailbox, status: &str) -> Mailbox {
    let name =
        [&one_line(status), from.name.as_deref().unwrap_or_default()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
    Mailbox { name: (!name.is_empty()).then_some(name), email: from.email.clone() }
}

fn raw(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

/// A text in one line, without control characters.
fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first of the texts that says something, as one line of at most [`MAX_SUBJECT`] characters without control characters.
fn subject(texts: [&str; 2]) -> String {
    let mut line = texts.iter().map(|t| one_line(t)).find(|t| !t.is_empty()).unwrap_or_else(|| "(no subject)".into());
    if let Some((cut, _)) = line.char_indices().nth(MAX_SUBJECT) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// `Date` knows the years 1970 to 9999.
fn header_date(now: jiff::Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(now.as_second().clamp(0, 253_402_300_799) as u64)
}

/// The id of the mail that every mail of a group answers. That mail never existed: so the thread holds together whichever mail came first.
fn thread_root(by: ThreadBy, thread: &str, formed_at: UnixMs) -> Option<String> {
    if thread.is_empty() {
        return None;
    }
    let group = hash_hex(&["thread", thread]);
    match by {
        ThreadBy::Off => None,
        ThreadBy::Group => Some(format!("alert-{group}")),
        ThreadBy::Day => {
            let day = formed_at.timestamp().strftime("%Y%m%d");
            Some(format!("alert-{group}-{day}"))
        }
    }
}

/// What mail rules and mail clients read: status, severity, group, and a high priority for what is critical and still fires.
fn alert_headers(page: &Page) -> Vec<(&'static str, String)> {
    let facts = &page.facts;
    if facts.form == Form::Note {
        return Vec::new();
    }
    let mut headers = vec![("X-Alert-Status", facts.status.as_str().to_owned())];
    headers.extend(facts.severity.map(|severity| ("X-Alert-Severity", severity.as_str().to_owned())));
    if !facts.thread.is_empty() {
        headers.push(("X-Alert-Group", hash_hex(&["thread", &facts.thread])));
    }
    if facts.severity == Some(Severity::Critical) && facts.status == MessageStatus::Firing {
        headers.extend([("X-Priority", "1".to_owned()), ("Importance", "high".to_owned()), ("Priority", "urgent".to_owned())]);
    }
    headers
}

impl Body {
    fn new(text: &str, html: &str) -> Result<Self, SendError> {
        let plain = |text: &str| SinglePart::plain(clean(text));
        let rich = |html: &str| SinglePart::html(clean(html));
        match (text.trim().is_empty(), html.trim().is_empty()) {
            (true, true) => Err(refused("it has neither text nor HTML")),
            (false, true) => Ok(Body::Single(plain(text))),
            (true, false) => Ok(Body::Single(rich(html))),
            (false, false) => Ok(Body::Both(plain(text), rich(html))),
        }
    }
}

/// Every line end becomes CRLF (a bare CR or LF is how mail is smuggled past a server), control characters other than tabs go.
fn clean(text: &str) -> message::MaybeString {
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push_str("\r\n");
            }
            '\n' => out.push_str("\r\n"),
            '\t' => out.push('\t'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.into()
}
