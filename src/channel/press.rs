//! Presses of buttons: what a platform says of one, who takes it, and what keeps a connection open over which presses come.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::StatusCode;
use tokio::sync::watch;

use crate::model::{PlatformIds, Recipient, SendError, UnixMs, Verb};

/// A pressed button, as its platform reported it and proved that it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Press {
    /// The platform's id of the event: the same press under the same id counts once. At most 200 characters.
    pub event_id: String,
    /// The button's value ([`ButtonValue`](crate::model::ButtonValue)), or a command in the same words.
    pub value: String,
    /// The message that it is part of, as the platform names it, by the same ids as in a receipt; none where it does not say.
    pub message: PlatformIds,
    /// Who pressed it.
    pub by: Presser,
}

/// Who pressed a button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presser {
    /// The platform's id of the person.
    pub id: String,
    /// The name that the platform shows; may be empty.
    pub name: String,
    /// Whether the person belongs to another organisation than the channel: such a press is refused.
    pub foreign: bool,
}

impl Presser {
    /// Who has a phone number, as E.164. Shown without most of it, unless the configuration knows the person.
    pub fn of_number(number: &Recipient) -> Self {
        Self { id: number.expose().to_owned(), name: number.masked(), foreign: false }
    }
}

/// What the person who pressed is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PressAnswer {
    /// One or two short sentences in the channel's language, plain text; at most 200 characters, as Telegram shows
    /// (<https://core.telegram.org/bots/api#answercallbackquery>), unless there is an address in it.
    pub text: String,
    /// Whether what was asked for holds now; otherwise the text says why not.
    pub done: bool,
}

/// Takes presses.
#[async_trait]
pub trait Presses: Send + Sync {
    /// Does what a press asks for, and stores it, before it returns. It takes at most two seconds: when the store is down the answer says so.
    async fn press(&self, press: Press) -> PressAnswer;
}

/// How presses of a channel's buttons reach this server.
#[derive(Clone)]
pub enum PressWay {
    /// Over a connection that this server opens: no public address is needed. Channels of one credential return the same `Arc`
    /// ([`HttpClients::shared`](super::kit::HttpClients::shared)): one connection serves them all, also across reloads.
    Listener(Arc<dyn Listener>),
    /// By requests of the platform to `<external_url>/press/<channel>`.
    Callback,
    /// By keys in a call, or by a text message that answers one: the vendor reports them to the same address, where it reaches this server. A message by phone
    /// keeps its link beside that.
    Phone,
}

/// What a listener works with.
pub struct ListenContext {
    /// Who takes the presses.
    pub presses: Arc<dyn Presses>,
    /// Set to true once the platform's first frame or answer was seen, not when the handshake ended; to false when the connection is lost.
    pub connected: watch::Sender<bool>,
}

/// Why a connection ended.
#[derive(Debug)]
pub enum ListenEnd {
    /// The platform closed it as part of its usual life: opened again at once.
    Closed,
    /// It was lost or refused: opened again after a pause that grows, or after what a rate limit asks for; a `Misconfigured` error is tried rarely.
    Lost(SendError),
    /// Another connection took its place, and the platform allows only one: the caller looks whether it may still listen.
    Replaced,
}

/// Keeps a connection open over which presses come.
#[async_trait]
pub trait Listener: Send + Sync {
    /// Whether the platform lets only one connection of these credentials listen: then only the owner of the outlet does. Else every node listens, and
    /// each press reaches one of them.
    fn exclusive(&self) -> bool {
        false
    }

    /// Opens one connection and reads from it until it ends. It is cancelled by being dropped. What goes on over one connection, such as a new one
    /// beside the old one that the platform is about to close, happens within.
    async fn listen(&self, cx: &ListenContext) -> ListenEnd;
}

/// What came to a channel's press address.
pub enum PressCall {
    /// The platform checks the address, or says something that needs no action: this is the answer.
    Answer(PressReply),
    /// A press.
    Press(Press),
    /// The person in a call wants to hear it again: the call of this button's value ([`Channel::said_again`](super::Channel::said_again)).
    Again(String),
    /// A command in a text message.
    Command(Command),
    /// Somebody did something about an incident that the platform keeps.
    Kept(Kept),
}

/// What somebody did at a platform about an incident that it keeps ([`Channel::keeps_incidents`](super::Channel::keeps_incidents)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The platform's id of the event.
    pub event_id: String,
    /// What was done.
    pub verb: Verb,
    /// The incident's key there, which is the one that it was reported with ([`IncidentFacts::key`](crate::model::IncidentFacts::key)).
    pub key: String,
    /// When it was done, by the platform's clock: what began later is not meant.
    pub occurred_at: UnixMs,
    /// Who did it: a person of the platform's account.
    pub by: Presser,
}

/// A command in a text message that somebody sent in answer to one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The platform's id of the text message.
    pub event_id: String,
    /// What is to be done; `None`: the text is no command.
    pub verb: Option<Verb>,
    /// The number of the incident, where the text names one; else what was last sent to this person is meant.
    pub incident: Option<i64>,
    /// Who sent it: the id is the phone number, as E.164.
    pub by: Presser,
}

/// An HTTP answer to a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PressReply {
    /// The status.
    pub status: StatusCode,
    /// `application/json`, `text/plain`, `text/xml`; ignored where the body is empty.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl PressReply {
    /// 200 without a body.
    pub const EMPTY: PressReply = PressReply { status: StatusCode::OK, content_type: "text/plain", body: String::new() };
}
