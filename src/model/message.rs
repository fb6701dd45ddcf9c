//! Messages on their way to a platform: pages made of rendered fields and of facts.

use crate::model::UnixMs;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::form::{Form, IncidentFacts, MessageStatus};
use super::id::DeliveryId;
use super::language::Language;
use super::recipient::Recipient;
use super::severity::Severity;

/// How a value is escaped when it is put into a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Escape {
    /// Nothing is special (plain text; SMS; e-mail text part; e-mail subject).
    None,
    /// HTML (`& < > " '`).
    Html,
    /// Slack mrkdwn: `& < >` as entities, and `* _ ~` and back quotes made harmless.
    SlackMrkdwn,
    /// DingTalk markdown: markup and `@` made harmless with zero-width characters.
    DingTalkMarkdown,
    /// WeCom markdown: markup, `<font>`, `<@user>` made harmless.
    WeComMarkdown,
    /// WeCom text: only `<a href>` is special.
    WeComText,
    /// Feishu / Lark card markdown (entities for `< > * _ ~` and back quotes).
    LarkMarkdown,
    /// Telegram HTML: `& < >` only.
    TelegramHtml,
    /// Discord markdown (backslashes; mentions made harmless).
    DiscordMarkdown,
    /// Zulip markdown: no escape exists; markup and mentions made harmless with zero-width characters.
    ZulipMarkdown,
    /// Adaptive-card markdown of Microsoft Teams.
    TeamsMarkdown,
    /// CommonMark as Mattermost, Rocket.Chat, Gotify and ntfy read it.
    Markdown,
    /// Spoken text in XML (TwiML): XML entities, control characters dropped.
    Xml,
}

/// One field that a platform's messages have; rendered by a template of that name.
#[derive(Debug, Clone, Copy)]
pub struct FieldSpec {
    /// The field's name: `title`, `text`, `html`, `subject`.
    pub name: &'static str,
    /// How values are escaped in it.
    pub escape: Escape,
    /// Whether a message without it (or with an empty one) is refused by the platform.
    pub required: bool,
    /// Whether it is one line: line breaks in the rendered text become spaces.
    pub single_line: bool,
    /// The built-in template (Handlebars), which the user's `templates/<platform>/default.<name>.hbs` replaces.
    pub template: &'static str,
}

/// The links by which the recipients of a page act: the page holds one that they share, and each of them has one that is as long.
#[derive(Debug, Clone, Default)]
pub struct OwnLinks {
    /// The path of the one that the page holds.
    pub shared: String,
    /// The path of each recipient's own.
    pub own: Vec<(Recipient, String)>,
}

impl OwnLinks {
    /// The page as this recipient gets it; `None`: as it is.
    pub fn page(&self, page: &Page, to: &Recipient) -> Option<Page> {
        let (_, own) = self.own.iter().find(|(recipient, _)| recipient == to)?;
        let mut page = page.clone();
        page.fields.values_mut().for_each(|text| *text = text.replace(&self.shared, own));
        Some(page)
    }
}

/// Whom a message pings. Each platform reads the parts it knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mentions {
    /// Everybody in the room.
    pub all: bool,
    /// Mobile numbers (DingTalk, WeCom robot).
    pub mobiles: Vec<String>,
    /// User ids as the platform names them (DingTalk userId, WeCom userid, Slack `U…`, Feishu open_id, Discord id, Teams UPN).
    pub users: Vec<String>,
    /// Groups as the platform names them (Slack `S…`, Discord role id).
    pub groups: Vec<String>,
    /// People and teams, by their names in `people:` and `teams:`; of a team with a rota who is on call in it. Mails, SMS, calls and WeCom applications
    /// reach them in place of the channel's own recipients, other messages mention them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// The same for the person or team that this label of the alert names: `owner`. Where it names nobody whom the channel reaches, `oncall` and `next`
    /// count in their place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Who is on call in this rota when the message is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oncall: Option<String>,
    /// Who is on call next in this rota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Mentions {
    /// Whether nobody is pinged.
    pub fn is_empty(&self) -> bool {
        !self.all && self.mobiles.is_empty() && self.users.is_empty() && self.groups.is_empty() && !self.has_people()
    }

    /// Whether it names people of the configuration, whose addresses are found when the message is sent.
    pub fn has_people(&self) -> bool {
        !self.people.is_empty() || self.oncall.is_some() || self.next.is_some()
    }

    /// The same for an alert whose label names this person or team; `None`: nobody.
    pub fn of_owner(&self, owner: Option<&str>) -> Self {
        let Some(owner) = owner else { return Self { label: None, ..self.clone() } };
        let mut own = Self { label: None, oncall: None, next: None, ..self.clone() };
        if !own.people.iter().any(|name| name == owner) {
            own.people.push(owner.to_owned());
        }
        own
    }
}

/// What a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// What to do about it.
    Runbook,
    /// The dashboard.
    Dashboard,
    /// The panel.
    Panel,
    /// Opens a new silence.
    Silence,
    /// The rule or expression that raised it.
    Source,
    /// The list of everything in this message.
    Details,
}

/// A link button or line. Its label is already in the message's language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What it leads to.
    pub kind: LinkKind,
    /// Its text.
    pub label: String,
    /// Where it leads: an absolute http(s) URL, nothing else.
    pub url: String,
}

/// Unrendered facts about a message that drivers build structure from: colour, buttons, thread, pings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Facts {
    /// Firing while any of it fires, and while alerts that the sender left out may fire.
    pub status: MessageStatus,
    /// Whether nothing of its group fires any more, so that an incident about it may be closed. A message about the end of some alerts is `resolved`
    /// while others of their group go on.
    #[serde(default)]
    pub over: bool,
    /// The most severe severity among the firing alerts (else among all); `None` where none of them claims one that is known. Older stored pages say
    /// `warning` then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// One plain line that names it, unescaped: for headings and plain subjects.
    pub title: String,
    /// The same with what a person wrote about it, unescaped: for notifications.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preview: String,
    /// A picture of what fires: an absolute http(s) URL; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Short name/value pairs worth a field of their own, unescaped, most useful first.
    pub pairs: Vec<(String, String)>,
    /// Links, most useful first.
    pub links: Vec<Link>,
    /// Whom to ping.
    pub mentions: Mentions,
    /// Stable text per group of alerts, receiver and channel: threads e-mails. Empty for digests.
    pub thread: String,
    /// The incident that it belongs to.
    #[serde(default, skip_serializing_if = "IncidentFacts::is_empty")]
    pub incident: IncidentFacts,
    /// What it is. Stored pages may say `note` in its place.
    #[serde(default, alias = "note", skip_serializing_if = "Form::is_card")]
    pub form: Form,
    /// When it was formed, Unix milliseconds UTC.
    pub formed_at: UnixMs,
    /// The words' language.
    pub language: Language,
    /// The alerts as the sender sent them (Alertmanager v4 JSON), for the generic webhook and PagerDuty; `None` elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
}

impl Facts {
    /// The severity that decides colour and priority: what claims none ranks as a warning.
    pub fn rank(&self) -> Severity {
        self.severity.unwrap_or_default()
    }

    /// What a tap on the message opens, of the addresses of at most `most` characters: the page with all of it, else the first that begins no silence.
    pub fn opens(&self, most: usize) -> Option<&Link> {
        let short = || self.links.iter().filter(move |link| link.url.chars().count() <= most);
        short().find(|link| link.kind == LinkKind::Details).or_else(|| short().find(|link| link.kind != LinkKind::Silence))
    }
}

/// A JSON object as text: made once, stored and sent as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Payload(Box<RawValue>);

impl Payload {
    /// What is not an object, or cannot be written as JSON, is none.
    pub fn of(value: &impl Serialize) -> Option<Self> {
        serde_json::value::to_raw_value(value).ok().filter(|raw| raw.get().starts_with('{')).map(Self)
    }

    /// The object's text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// Which alerts a page names or counts: indices into the event of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Coverage {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Alerts of the delivery's event that this page shows.
    pub named: Vec<u32>,
    /// How many more of its alerts this page only counts.
    pub counted: u32,
}

/// One platform request's worth of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Page {
    /// Rendered fields by name. Direct calls may add fields a driver reads as overrides (`from`, `cc`, `agent_id`).
    pub fields: BTreeMap<String, String>,
    /// Unrendered facts.
    pub facts: Facts,
    /// This page's number, from 1.
    pub number: u16,
    /// How many pages the message has.
    pub total: u16,
    /// Whether the fields are plain text (direct calls, the built-in fallback): drivers then send their plain kind, escaped as it needs.
    #[serde(default)]
    pub plain: bool,
    /// Whether nobody has to act on it at once: it mentions nobody, or somebody is on all of it that fires. It does not ring until somebody acknowledges it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
    /// The alerts it covers.
    #[serde(default)]
    pub coverage: Vec<Coverage>,
    /// Why somebody whom it should mention is not, for `explain`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<String>,
}

impl Page {
    /// The only page of a message of plain text.
    pub fn of_text(fields: BTreeMap<String, String>, facts: Facts) -> Self {
        Self { fields, facts, number: 1, total: 1, plain: true, quiet: false, coverage: Vec::new(), missed: Vec::new() }
    }

    /// A field's text, or an empty string.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// A page's size as its platform counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// What the page takes, of the constraint it comes nearest to breaking.
    pub used: usize,
    /// What that constraint allows.
    pub max: usize,
    /// What is counted: `bytes` or `characters`.
    pub unit: &'static str,
}

impl Size {
    /// A size in bytes.
    pub fn bytes(used: usize, max: usize) -> Self {
        Self { used, max, unit: "bytes" }
    }

    /// A size in characters.
    pub fn characters(used: usize, max: usize) -> Self {
        Self { used, max, unit: "characters" }
    }

    /// Whether it fits.
    pub fn fits(self) -> bool {
        self.used <= self.max
    }

    /// The tighter of two sizes: the one that uses the larger share of what it may.
    pub fn tighter(self, other: Size) -> Size {
        if other.used * self.max > self.used * other.max { other } else { self }
    }
}

/// How a message came together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// One delivery.
    Single,
    /// Several deliveries of one lane: per alert the latest status.
    Fold,
    /// Deliveries of several lanes, because they could not leave one by one.
    Digest,
}

impl MessageKind {
    /// The name in SQL and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageKind::Single => "single",
            MessageKind::Fold => "fold",
            MessageKind::Digest => "digest",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [MessageKind::Single, MessageKind::Fold, MessageKind::Digest].into_iter().find(|kind| kind.as_str() == name)
    }
}
