//! The domain's words as types: alerts, events, messages, outcomes, secrets, durations, severities.
//! No I/O, no clock and no runtime; everything here is a value.

mod alert;
mod button;
mod decode;
mod duration;
mod finding;
mod form;
mod id;
mod language;
mod message;
mod outcome;
mod platform_ids;
mod recipient;
mod secret;
mod severity;
mod shown;
mod time;
mod title;
mod unreadable;
mod url;
mod word;
pub mod yaml;

pub use alert::{ALL_RESOLVED, Alert, CHANNEL_LABEL, Event, Extra, Labels, Note, SenderKind, Status};
pub use button::{Button, ButtonValue, MAX_BUTTON_VALUE, Verb};
pub use decode::{decode_guess, is_mostly_utf8};
pub use duration::{DurationError, format_duration, humanize, parse_duration};
pub use finding::{Finding, Level, Place, Span};
pub use form::{Form, IncidentFacts, MessageStatus};
pub use id::{AttemptId, DeliveryId, EventId, IncidentId, LaneId, MessageId, OutletKey, hash_hex};
pub use language::Language;
pub use message::{Coverage, Escape, Facts, FieldSpec, Link, LinkKind, Mentions, MessageKind, OwnLinks, Page, Payload, Size};
pub use outcome::{ErrorKind, Receipt, SendError};
pub use platform_ids::PlatformIds;
pub use recipient::Recipient;
pub use secret::{Secret, SecretSource, scrub};
pub use severity::{Severity, SeverityScale};
pub use shown::{NameRules, Shown};
pub use time::UnixMs;
pub use title::{instance_label, title};
pub use unreadable::unreadable;
pub use url::{encoded_in_url, url_len};
pub use word::Word;
