//! Platform drivers: one folder per platform, one attempt per call.
//!
//! A driver knows its platform's wire and nothing else: no queue, no retry, no clock of its own, no rate limit. A new platform is one folder here
//! and one word in [`registry`]'s list. The folder holds the driver and its tests, a default template per field (`text.hbs`), an example for
//! routes.yaml (`example.yaml`) and the platform's answers with the class that each must get (`refusals.yaml`). Tests walk the list and name what
//! a platform lacks: its fake under `tests/it/support/fakes/`, its goldens, its page under `docs/platforms/`.

pub mod descriptor;
pub mod directory;
pub mod kit;
pub mod press;
pub mod registry;
pub mod token;

pub mod alertmanager;
mod aliyun;
mod dingtalk;
mod dingtalk_app;
mod dingtalk_call;
mod dingtalk_card;
mod discord;
mod email;
mod feishu;
mod log;
mod pagerduty;
pub mod preset;
mod slack;
mod teams;
mod telegram;
mod tencent;
mod twilio;
mod webhook;
mod wecom;
mod wecom_bot;
mod wecom_card;
mod wecom_robot;
mod zulip;

use aliyun::{sms as aliyun_sms, voice as aliyun_voice};
use tencent::{sms as tencent_sms, voice as tencent_voice};
use twilio::{sms as twilio_sms, voice as twilio_voice};

pub use descriptor::{Ask, Attempts, FinalWord, Later, Limit, Living, LivingMode, OnAmbiguous, Pace, Platform, Reach};
pub use directory::{Address, Directory};
pub use email::plain_address;
pub use press::{Command, Kept, ListenContext, ListenEnd, Listener, Press, PressAnswer, PressCall, PressReply, PressWay, Presser, Presses};
pub use registry::{ChannelConfig, PLATFORMS, platform};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use crate::model::{
    ErrorKind, Mentions, MessageId, OutletKey, OwnLinks, Page, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError, Word,
};

/// What became of one recipient of an attempt: its place in the `to` that was passed, and the platform's word.
pub type CellResult = (usize, Result<Receipt, SendError>);

/// What a driver knows about the attempt besides the page.
#[derive(Debug, Clone)]
pub struct SendContext {
    /// Wall-clock time of the attempt, for signatures and dates.
    pub now: Timestamp,
    /// When the attempt is given up, unless the driver has more [`Channel::response_grace`]; the caller enforces both.
    pub deadline: Instant,
    /// The message this page belongs to.
    pub message: MessageId,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Whether an earlier try of this page to one of its recipients got no answer: it may have been delivered.
    pub unanswered: bool,
    /// The same for every try of one page of one generation of a message, different for any other: `msgUuid`, `Message-ID`, `webhook-id`.
    pub idempotency_key: String,
    /// Context of the trace that the message belongs to (W3C `traceparent`); empty when there is none.
    pub traceparent: String,
    /// Whether this is a synchronous direct call (its caller may write a platform's own links into the text).
    pub direct: bool,
    /// The channel's callback address, for platforms that tell their last word there; empty when this server's address is not known.
    pub callback: String,
    /// The channel's press address, for calls that offer keys ([`PressWay::Phone`]); empty where the vendor could not reach it.
    pub press: String,
    /// The message that [`Channel::send`] answers in its thread; `None`: a message of its own. Only set where [`Channel::living`] has replies.
    pub reply_to: Option<PlatformIds>,
    /// The links of several recipients, for a driver that writes a message to each of them.
    pub own: OwnLinks,
}

/// A configured destination that can be tried.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Makes exactly one attempt to send `page` to the recipients `to`, and answers with one result for each of them. Within it a driver may
    /// refresh a token once on the platform's token codes, re-sign once on an "invalid timestamp" answer, send again what was refused for its
    /// buttons, with the links in the text, then without any, or for reading the same as another message, with a mark of its own, and delete a reply that the platform posted outside its thread; nothing more.
    ///
    /// A reply whose first message is gone is refused with [`SendError::gone`]: the caller posts a new message.
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult>;

    /// What can be done with its messages later: what the `platform`'s descriptor says, or less where the configuration decides it.
    fn living(&self, platform: &Platform) -> Living {
        platform.living
    }

    /// Edits the message with these ids, so that it shows `page`; only called where [`Channel::living`] has edits, or [`Channel::keeps_incidents`]. One attempt, as `send`. It may be repeated
    /// without harm: an edit that changes nothing is a success, and a lost answer is `Transient`. [`SendError::gone`]: the message is gone, too old, or
    /// not ours; the caller posts a new one. The receipt has the ids of the message. Where [`Living::spends`] names one of them, a success uses it up.
    async fn update(&self, ids: &PlatformIds, page: &Page, to: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        let _ = (ids, page, to, cx);
        Err(SendError::new(ErrorKind::Rejected, "this channel cannot edit a message; `living: new` posts what is news as new messages"))
    }

    /// The least time between two edits of one message: its readers want to read it, and some platforms count edits by the month.
    fn edit_interval(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// What `send` posts for a page, to be looked at: its JSON, the fields of its form as an object, or a mail's headers and parts. Without what is
    /// secret or differs from one recipient and attempt to another: addresses, keys, ids, signatures.
    fn body(&self, page: &Page) -> Value;

    /// How long after the deadline an attempt may still wait for an answer, where the platform's standard grants it minutes (mail). Zero: not at all.
    /// `direct`: a caller waits, for a while.
    fn response_grace(&self, direct: bool) -> std::time::Duration {
        let _ = direct;
        std::time::Duration::ZERO
    }

    /// Against what the platform's limits count a message to these recipients.
    fn counted(&self, to: &[Recipient]) -> Counted {
        let _ = to;
        Counted::Outlet
    }

    /// Asks the platform what became of something it took earlier; `None`: it cannot say yet. One question; it changes nothing on the platform.
    /// Only asked where the descriptor says so ([`FinalWord`]).
    async fn receipt(&self, sent: &Sent<'_>) -> Result<Option<Word>, SendError> {
        let _ = sent;
        Ok(None)
    }

    /// Cancels something that the platform took earlier and that still rings; `false`: it rings no more. Only asked where the descriptor says so
    /// ([`FinalWord`]).
    async fn cancel(&self, sent: &Sent<'_>) -> Result<bool, SendError> {
        let _ = sent;
        Ok(false)
    }

    /// Whether its texts are plain, though other channels of its platform write markup.
    fn is_plain(&self) -> bool {
        false
    }

    /// Whether what it sends is a call: it rings, and is not begun once somebody is on all that it is about.
    fn calls(&self) -> bool {
        false
    }

    /// Reads what came to the channel's callback address, after checking that the platform sent it: at least one report, or the error that says why it is
    /// not believed.
    fn called_back(&self, call: &Callback<'_>) -> Result<Vec<Called>, String> {
        let _ = call;
        Err("this platform calls nobody back".into())
    }

    /// How presses of its buttons reach this server; `None`: they do not, and its messages have no buttons
    /// ([`IncidentFacts::buttons`](crate::model::IncidentFacts::buttons)).
    fn press_way(&self) -> Option<PressWay> {
        None
    }

    /// Reads what came to the channel's press address, after checking that the platform sent it. The error says why it is not believed. Only called
    /// where [`Channel::press_way`] is [`PressWay::Callback`] or [`PressWay::Phone`].
    fn pressed(&self, call: &Callback<'_>) -> Result<PressCall, String> {
        let _ = call;
        Err("this channel takes no presses by callback".into())
    }

    /// The HTTP answer to a press that came to the channel's press address with this `call`.
    fn press_reply(&self, call: &Callback<'_>, answer: &PressAnswer) -> PressReply {
        let _ = (call, answer);
        PressReply::EMPTY
    }

    /// The HTTP answer to a call whose person wants to hear `page` again ([`PressCall::Again`]).
    fn said_again(&self, call: &Callback<'_>, page: &Page) -> PressReply {
        let _ = (call, page);
        PressReply::EMPTY
    }

    /// Whether the platform keeps an incident for each group of alerts, which the end of the group closes: then a group is one page of its own, never
    /// part of a digest, and only [`Facts::over`](crate::model::Facts::over) closes. Every notification is sent; what people do between two of them is reported by
    /// [`Channel::update`].
    fn keeps_incidents(&self) -> bool {
        false
    }

    /// Whether it reads the alerts as Alertmanager would send them ([`Facts::payload`](crate::model::Facts::payload)); they cost time. Then it lists all of them.
    fn wants_raw_payload(&self) -> bool {
        false
    }

    /// How many pages a message may have at most, whatever the configuration allows: each is paid for, or rings.
    fn max_pages(&self) -> usize {
        if self.keeps_incidents() { 1 } else { usize::MAX }
    }

    /// The ids of people that it has looked up; `None`: it looks nobody up.
    fn directory(&self) -> Option<&Directory> {
        None
    }

    /// Asks the platform for the id of the person with this mail address or mobile number; `None`: it knows nobody of it. One question. Only asked where
    /// [`PlatformConfig::looks_up`] names the kind of address.
    async fn look_up(&self, address: &str, deadline: Instant) -> Result<Option<String>, SendError> {
        let _ = (address, deadline);
        Ok(None)
    }

    /// Checks the credentials without sending anything.
    async fn probe(&self) -> Probe {
        Probe::Unsupported
    }

    /// Checks, as far as the platform says it, whether accepted credentials may do what this channel does; the error names what they lack. A platform that
    /// says nothing is no error. It shows nobody anything. Only `check --online` and the console ask.
    async fn may_deliver(&self) -> Result<(), SendError> {
        Ok(())
    }
}

/// Against what a platform's limits count a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// Against the outlet: every message counts. Of a platform that counts by recipient, one to a group of which it is not known who is in it.
    Outlet,
    /// Against each of these recipients by itself.
    Recipients(Vec<Recipient>),
}

/// Something that a platform took, whose last word is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// Whom it was for.
    pub recipient: &'a Recipient,
    /// The platform's id of it.
    pub platform_id: &'a str,
    /// When it was taken.
    pub at: Timestamp,
    /// Wall-clock time of the question.
    pub now: Timestamp,
    /// When the question is given up.
    pub deadline: Instant,
}

/// A request to a channel's callback address.
#[derive(Debug, Clone, Copy)]
pub struct Callback<'a> {
    /// The address as the platform was given it.
    pub url: &'a str,
    /// Its headers.
    pub headers: &'a reqwest::header::HeaderMap,
    /// Its body.
    pub body: &'a [u8],
    /// Wall-clock time when it came, for windows against replay.
    pub now: Timestamp,
}

/// What a callback says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The platform's id of what it is about.
    pub platform_id: String,
    /// Whom it was for, as far as the callback says so: the number, or digits that it ends with.
    pub recipient: Option<String>,
    /// Its last word; `None` when it says something else.
    pub word: Option<Word>,
    /// The key that the person pressed in the call.
    pub key: Option<String>,
}

/// The outcome of a probe.
#[derive(Debug, Clone)]
pub enum Probe {
    /// The platform accepts the credentials.
    Ok,
    /// It does not.
    Failed(SendError),
    /// The platform has no harmless way to ask.
    Unsupported,
}

/// One mistake in a channel's configuration, at a path below the channel (`dingtalk.secret`, `email.to[2]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path below the channel's own mapping.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Problem {
    /// A problem at a path below the channel.
    pub fn new(path: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), help: help.into() }
    }
}

/// Resolves secret sources to values; `check --without-secrets`, `route` and `render` use one that returns placeholders.
pub trait SecretReader: Send + Sync {
    /// The value, or one sentence that says what is missing (`environment variable DING_TOKEN is not set`); never the value itself.
    fn read(&self, source: &SecretSource) -> Result<Secret, String>;

    /// Whether the values are the real ones. A reader of placeholders answers `false`; drivers then do not check a value's form
    /// (a key that does not parse, a certificate file that holds none).
    fn real(&self) -> bool {
        true
    }
}

/// What a platform's configuration is built with.
pub struct BuildContext<'a> {
    /// The channel's name, for messages.
    pub channel: &'a str,
    /// Total time one attempt may take.
    pub timeout: Duration,
    /// Proxy URL for HTTP platforms (`http://`, `https://`, `socks5://`), possibly with credentials.
    pub proxy: Option<Secret>,
    /// Resolves secrets.
    pub secrets: &'a dyn SecretReader,
    /// Shared HTTP clients, one per distinct transport setting.
    pub http: &'a kit::HttpClients,
    /// The presets there are.
    pub presets: &'a preset::PresetRegistry,
}

/// A platform's configuration block in routes.yaml (`dingtalk: { ... }`).
pub trait PlatformConfig: std::fmt::Debug {
    /// Everything wrong with it that can be seen without secrets and without I/O; paths start with the platform's key.
    fn check(&self) -> Vec<Problem>;

    /// What will hardly do what is meant, and is no mistake, on a channel that sends what is over or does not.
    fn doubts(&self, _sends_resolved: bool) -> Vec<Problem> {
        Vec::new()
    }

    /// Whom it sends to: one entry per cell (an address, a number, a user), or a single one for a room.
    fn recipients(&self) -> Vec<Recipient>;

    /// Whom its messages ping unless a route says otherwise.
    fn mentions(&self) -> Mentions {
        Mentions::default()
    }

    /// Whether the platform has messages of plain text beside its markdown or cards (`format: text`).
    fn takes_text(&self) -> bool {
        false
    }

    /// By what the ids of people are looked up who have none in `people:`, in order; empty: they are not.
    fn looks_up(&self) -> &'static [Address] {
        &[]
    }

    /// Messages a month that the account may send, where that is not what the platform's descriptor says.
    fn per_month(&self) -> Option<u32> {
        None
    }

    /// Builds the driver and names the outlet (platform + the credential that the platform's limit counts).
    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>>;
}

/// A driver ready to send.
pub struct Built {
    /// The driver.
    pub channel: Arc<dyn Channel>,
    /// What its pace, pause and hold belong to.
    pub outlet: OutletKey,
    /// The descriptor that holds in place of the block's own (presets have one each).
    pub descriptor: Option<&'static Platform>,
}
