//! The platform descriptor: what the other rooms know about a platform without knowing its wire.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{FieldSpec, Mentions, Page, PlatformIds, Size, UnixMs};

/// At most `count` sends in any rolling `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Sends.
    pub count: u32,
    /// The rolling window.
    pub window: Duration,
}

/// A platform's documented pace, per outlet.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// All of these hold at once; empty when the platform documents none. As documented: the margin is added by the pacer.
    pub limits: &'static [Limit],
    /// Messages a month, where the platform counts them.
    pub per_month: Option<u32>,
    /// By how many hours the clock by which its months begin is ahead of UTC.
    pub month_zone: i8,
    /// What one recipient gets at most, where that is counted: of SMS and calls. The vendor's documented limits, or else our own.
    pub per_recipient: &'static [Limit],
    /// The page that documents the numbers.
    pub source: &'static str,
}

impl Pace {
    /// The clock of vendors in China, who count by calendar months (<http://www.dingtalk.com/qidian/help-detail-1061621972.html>).
    pub const CHINA: i8 = 8;
}

/// What to do when a request was written and no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAmbiguous {
    /// Send again: the platform suppresses a repeat, or a duplicate does no harm.
    Retry,
    /// Never send again by itself (voice, SMS): the outcome is `unknown` and the fallback is taken.
    Never,
}

/// How a platform's messages reach those whom a route mentions, for one way of naming them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ping {
    /// The message pings them.
    Inside,
    /// Formatted text cannot, so a short text message beside it does.
    Beside,
    /// Nothing can: the message names them, and says that it pings nobody.
    Named,
    /// It needs none: a mail or a call reaches its own recipients, and means nobody else.
    Needless,
}

/// How a message of a platform reaches one person whom `people:` of the configuration describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is sent to the mobile number.
    Mobile,
    /// It is sent to the mail address.
    Email,
    /// It is sent to the id that the person has under this key.
    Id(&'static str),
    /// A message to the channel's own recipients mentions the person: by the id under this key, else by the mobile number where the platform pings those.
    Mention(&'static str),
    /// The channel's receiver decides who is notified.
    Nobody,
}

/// How it pings everybody, mobile numbers, user ids and groups, and how it reaches one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pings {
    /// Everybody in the room.
    pub all: Ping,
    /// Mobile numbers.
    pub mobiles: Ping,
    /// User ids.
    pub users: Ping,
    /// Groups of users.
    pub groups: Ping,
    /// One person, in an escalation.
    pub person: Reach,
}

impl Pings {
    /// No mention means anything to it.
    pub const NEEDLESS: Pings = Pings::of(Ping::Needless, Ping::Needless, Ping::Needless, Ping::Needless);
    /// It pings nobody.
    pub const NAMED: Pings = Pings::of(Ping::Named, Ping::Named, Ping::Named, Ping::Named);

    /// In the order of the fields.
    pub const fn of(all: Ping, mobiles: Ping, users: Ping, groups: Ping) -> Self {
        Self { all, mobiles, users, groups, person: Reach::Nobody }
    }

    /// The same, of a platform whose messages reach one person like this.
    pub const fn reaching(self, person: Reach) -> Self {
        Self { person, ..self }
    }

    /// Whether a message goes to people themselves, and mentions nobody.
    pub const fn writes_to_people(&self) -> bool {
        matches!(self.person, Reach::Mobile | Reach::Email | Reach::Id(_))
    }

    /// Whether a message can ping mobile numbers.
    pub const fn pings_mobiles(&self) -> bool {
        matches!(self.mobiles, Ping::Inside | Ping::Beside)
    }

    /// Those of `mentions` whom it reaches in one of these ways.
    pub fn pick(&self, mentions: &Mentions, ways: &[Ping]) -> Mentions {
        let some = |way: Ping, who: &Vec<String>| if ways.contains(&way) { who.clone() } else { Vec::new() };
        Mentions {
            all: mentions.all && ways.contains(&self.all),
            mobiles: some(self.mobiles, &mentions.mobiles),
            users: some(self.users, &mentions.users),
            groups: some(self.groups, &mentions.groups),
            ..Mentions::default()
        }
    }
}

/// How a platform reports the final status of what it took: whether the SMS came, whether somebody answered the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalWord {
    /// Its answer is its last word.
    Answer,
    /// It only queues, and says later.
    Later(Later),
    /// It only queues, and never says more.
    Never,
}

impl FinalWord {
    /// Whether nobody can be asked, and the platform only says it to the channel's callback address.
    pub const fn only_calls_back(self) -> bool {
        matches!(self, FinalWord::Later(Later { ask: None, calls_back: true, .. }))
    }
}

/// A last word that comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Later {
    /// How it is asked for; `None`: it comes by itself, to the channel's callback address.
    pub ask: Option<Ask>,
    /// Whether it also (or only) comes to the channel's callback address, where `external_url` is set.
    pub calls_back: bool,
    /// After this it is not waited for any more.
    pub within: Duration,
    /// Whether what still rings can be cancelled ([`Channel::cancel`](super::Channel::cancel)).
    pub cancels: bool,
}

/// When a platform is asked for its last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// For the first time, after the message was taken.
    pub first: Duration,
    /// Not sooner than this after the time before. It grows with the message's age.
    pub every: Duration,
    /// But at least this often.
    pub most: Duration,
}

impl FinalWord {
    /// In words, for the table of platforms; empty for one whose answer is its last word.
    pub fn in_words(self) -> String {
        match self {
            FinalWord::Answer => String::new(),
            FinalWord::Never => "final word: none; `sent` means queued by the vendor".into(),
            FinalWord::Later(later) => {
                let how = match (later.ask.is_some(), later.calls_back) {
                    (true, true) => "asked for, or called back,",
                    (true, false) => "asked for",
                    (false, _) => "only called back, where `external_url` is set,",
                };
                format!("final word: {how} within {}", crate::model::format_duration(later.within))
            }
        }
    }
}

/// What can be done with a message that a platform accepted, and what is done unless the channel says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Living {
    /// Whether a message can be changed ([`Channel::update`](super::Channel::update)). An edit makes no sound and pings nobody, on any platform.
    pub edit: bool,
    /// Whether a message can be answered in its thread ([`SendContext::reply_to`](super::SendContext::reply_to)).
    pub reply: bool,
    /// Whether edits count against the pace of messages; else they have a limit of their own.
    pub edits_counted: bool,
    /// The id that an edit uses up, where a message can be changed once and only with this id. That edit is kept for who is on it, or for its end.
    pub spends: Option<&'static str>,
    /// What a channel does by default.
    pub default: LivingMode,
}

/// What a channel does with an incident that goes on, beside its first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LivingMode {
    /// The first message is edited; what is news is a reply, or a new message where there are no replies.
    Edit,
    /// What is news is a reply to the first message, which stays as it is.
    Reply,
    /// What is news is a new message that names the first one.
    New,
    /// Every notification of the sender is a message.
    Off,
}

impl Living {
    /// Messages can be neither edited nor answered.
    pub const NEW: Living = Living { edit: false, reply: false, edits_counted: false, spends: None, default: LivingMode::New };
    /// The same, and every notification is a message: the receiver keeps incidents itself, or wants each notification.
    pub const OFF: Living = Living { default: LivingMode::Off, ..Living::NEW };

    /// Whether a message with these ids can still be changed, where messages can.
    pub fn may_change(&self, ids: &PlatformIds) -> bool {
        self.spends.is_none_or(|name| ids.get(name).is_some())
    }

    /// In words, for the table of platforms; empty where messages can be neither edited nor answered.
    pub const fn in_words(self) -> &'static str {
        match (self.edit, self.reply) {
            (true, true) => "edit, reply",
            (true, false) if self.spends.is_some() => "one edit",
            (true, false) => "edit",
            (false, true) => "reply",
            (false, false) => "",
        }
    }
}

/// How many attempts an outlet makes at once, and for how many recipients each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// How many may be in flight at once per outlet.
    pub concurrency: usize,
    /// How many recipients one may carry (1 for voice).
    pub batch: usize,
}

impl Attempts {
    /// One at a time, to one recipient.
    pub const ONE: Attempts = Attempts { concurrency: 1, batch: 1 };
}

/// What the other rooms know about a platform. Start from [`Platform::BASE`] and name what differs.
pub struct Platform {
    /// Key in routes.yaml, module name, folder of the user's templates, metric label; snake_case.
    pub name: &'static str,
    /// How people call it: `DingTalk group robot (钉钉)`.
    pub title: &'static str,
    /// One line for the table of platforms.
    pub about: &'static str,
    /// The vendor's documentation.
    pub docs: &'static str,
    /// The fields its messages have.
    pub fields: &'static [FieldSpec],
    /// The size of a page as the platform counts it: the encoded body where it limits that, against the tightest limit.
    pub measure: &'static (dyn Fn(&Page) -> Size + Send + Sync),
    /// The limit in words, with its source URL, for the table.
    pub limit: &'static str,
    /// The documented pace.
    pub pace: Pace,
    /// How many attempts it makes at once, and for how many recipients each.
    pub attempts: Attempts,
    /// What to do with an unknown outcome.
    pub on_ambiguous: OnAmbiguous,
    /// Whether resolved alerts are sent unless the channel or route says otherwise (not for voice, SMS and calls).
    pub resolved_by_default: bool,
    /// How it pings those whom a route mentions.
    pub pings: Pings,
    /// How it reports the final status of what it took.
    pub word: FinalWord,
    /// What can be done with its messages later, at best; a channel may have less ([`Channel::living`](super::Channel::living)).
    pub living: Living,
    /// One channel or more as under `channels:` in routes.yaml, with `##` explanations: the examples of the shipped routes.yaml
    /// and of `watchfire init`.
    pub example: &'static str,
}

impl Platform {
    /// The name in a few words, as the way by which somebody acted: `WeCom`.
    pub fn brand(&self) -> &'static str {
        self.title.split([' ', '(']).next().unwrap_or(self.title)
    }

    /// Whether its vendor counts what each recipient gets: SMS and calls.
    pub fn counts_recipients(&self) -> bool {
        !self.pace.per_recipient.is_empty()
    }

    /// The month of a time, `2026-11`, as its vendor counts what an account sends.
    pub fn month(&self, at: UnixMs) -> String {
        (at + i64::from(self.pace.month_zone) * 3_600_000).timestamp().strftime("%Y-%m").to_string()
    }

    /// What holds for most platforms: one message at a time to one recipient, sent again when the answer is lost, resolved alerts too, no
    /// documented pace, and an answer that is the last word. Name, texts, fields, size and example are the platform's own.
    pub const BASE: Platform = Platform {
        name: "",
        title: "",
        about: "",
        docs: "",
        fields: &[],
        measure: &|_| Size::bytes(0, 0),
        limit: "",
        pace: Pace { limits: &[], per_month: None, month_zone: 0, per_recipient: &[], source: "" },
        attempts: Attempts::ONE,
        on_ambiguous: OnAmbiguous::Retry,
        resolved_by_default: true,
        pings: Pings::NEEDLESS,
        word: FinalWord::Answer,
        living: Living::NEW,
        example: "",
    };
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").field("name", &self.name).finish_non_exhaustive()
    }
}
