//! A preset file: a platform that one templated request describes. Static headers, one JSON or form body, what the answer means; no conditions
//! and no loops: what needs them is a driver of its own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::model::ErrorKind;

/// The whole file, `presets/<name>.yaml`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// How people call it.
    pub title: String,
    /// One line for lists.
    pub about: String,
    /// The service's documentation.
    pub docs: String,
    /// What a channel sets in `with`.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// Values that depend on how severe the message is: for each name, a value per `critical`, `error`, `warning`, `info`, and `resolved`.
    #[serde(default)]
    pub by_severity: BTreeMap<String, BySeverity>,
    /// The key under `people:` that holds a person's name on this service, by which `{{mentions}}` pings them. Without it nobody is pinged as a person.
    #[serde(default)]
    pub people: Option<String>,
    /// What is sent.
    pub request: Request,
    /// What is sent to edit an earlier message; without it messages are not edited.
    #[serde(default)]
    pub edit: Option<Request>,
    /// What is sent to answer an earlier message in its thread; without it messages are not answered.
    #[serde(default)]
    pub reply: Option<Request>,
    /// What is sent to cancel an earlier message that still rings; without it none is cancelled. It needs `receipt`.
    #[serde(default)]
    pub cancel: Option<Request>,
    /// How the service is asked whether somebody acknowledged a message that rings until then. A message without an `id` in its answer does not ring.
    #[serde(default)]
    pub receipt: Option<ReceiptQuery>,
    /// What the answer to a delivered message looks like, or a list of what it may look like. It names the service's own word (`json`, `has` or
    /// `text`), never the status alone, and counts under 2xx only.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(with = "Vec<When>")]
    pub success: Vec<When>,
    /// What refusals mean, first match first; for what matches none the HTTP status decides. A status of 429 is a rate limit and one of 5xx
    /// passing trouble whatever the body says, unless a line names that very status.
    #[serde(default)]
    pub errors: Vec<Refusal>,
    /// What the service would read as a mention or a link in plain text: each is broken by an invisible character behind its first one, in any
    /// case. One that begins with `@` counts only after something other than a letter or digit. Plain are `title` and `text`, and the other two where
    /// a refused message is sent once more as plain text.
    #[serde(default)]
    pub breaks: Vec<String>,
    /// JSON pointer to the message's id in the answer.
    #[serde(default)]
    pub id: Option<String>,
    /// JSON pointer to the service's code in the answer.
    #[serde(default)]
    pub code: Option<String>,
    /// JSON pointer to the service's words in the answer.
    #[serde(default)]
    pub message: Option<String>,
    /// How long a message may be.
    pub limits: Limits,
    /// The documented pace.
    #[serde(default)]
    pub pace: Vec<Rate>,
    /// Answers of the service on record; `watchfire check` holds the preset to them.
    pub fixtures: Vec<Fixture>,
}

fn one_or_more<'de, D: serde::Deserializer<'de>>(read: D) -> Result<Vec<When>, D::Error> {
    // Not `untagged`, whose error would name no field.
    let value = Value::deserialize(read)?;
    let looks = if value.is_array() { serde_json::from_value(value) } else { serde_json::from_value(value).map(|one| vec![one]) };
    looks.map_err(serde::de::Error::custom)
}

/// A value that a channel sets.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// What it is and where it is found.
    pub about: String,
    /// Used when the channel sets none. Without it and without `optional`, the channel must set one.
    #[serde(default)]
    pub default: Option<String>,
    /// Whether what mentions it is left out when the channel sets none.
    #[serde(default)]
    pub optional: bool,
    /// Never shown.
    #[serde(default)]
    pub secret: bool,
    /// What it is.
    #[serde(default)]
    pub kind: ParameterKind,
}

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParameterKind {
    /// Text.
    #[default]
    Text,
    /// A whole number.
    Number,
    /// An http or https address; `url` may begin with it.
    Address,
}

/// A value per severity.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BySeverity {
    /// Firing, critical. An empty value (`null`) leaves out what mentions it; so do the others.
    pub critical: Value,
    /// Firing, error.
    pub error: Value,
    /// Firing, warning.
    pub warning: Value,
    /// Firing, info, and everything below.
    pub info: Value,
    /// All of it resolved.
    pub resolved: Value,
}

/// The request. In every text of it `{{name}}` is replaced: a parameter, a name of `by_severity`, or one of `title`, `text`, `heading`, `markdown`,
/// `link`, `severity`, `status`, `key` (the same for every try of a message), `mentions` (whom the message pings, `@name` each, on a line of their own; empty
/// where it pings nobody). A text that is nothing but `{{name}}` becomes the value with its
/// type. What mentions a value that is not there is left out. `edit` and `reply` also have `message_id` (what `id` points to in the answer to the
/// earlier message) and `message_key` (the `key` that it was sent with). `cancel` has parameters and `message_id` only.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method.
    #[serde(default)]
    pub method: Verb,
    /// The address; a value within it is percent-encoded, an `address` parameter at its beginning is not.
    pub url: String,
    /// Query parameters.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A JSON body.
    #[serde(default)]
    pub json: Option<Value>,
    /// A form body.
    #[serde(default)]
    pub form: Option<BTreeMap<String, Value>>,
    /// Of `edit` and `reply`: what an answer looks like that says that the message is gone, too old, or not ours. A new message takes its place. Of
    /// `cancel`: that it rings no more.
    #[serde(default)]
    pub gone: Vec<When>,
}

/// The question what became of a message that rings until somebody acknowledges it: a `GET`. Its texts mention parameters and `message_id`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptQuery {
    /// The address, as in `request`.
    pub url: String,
    /// Query parameters.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What the answer looks like once somebody acknowledged it.
    pub acknowledged: When,
    /// What it looks like once the message rings no more, and nobody did.
    pub expired: When,
    /// How long it is asked for, in seconds: somewhat longer than a message rings, at most a day.
    pub seconds: u32,
}

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
}

/// What an answer looks like; everything given must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// The HTTP status.
    pub status: Option<u16>,
    /// JSON pointers and the values there.
    pub json: BTreeMap<String, Value>,
    /// JSON pointers at which there is a value.
    pub has: Vec<String>,
    /// The whole body, in any case.
    pub text: Option<String>,
    /// A part of the body.
    pub contains: Option<String>,
    /// Parts of the body, one of which is there. A word of ASCII counts as a whole word, in any case.
    pub says: Vec<String>,
}

/// What a refusal means.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// What the answer looks like.
    pub when: When,
    /// What it means for the next try. A status of 408, 425, 429 or 5xx means what it means, unless `when` names it.
    pub kind: Kind,
    /// What to do about it.
    pub advice: String,
}

/// What an answer means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Try again.
    Transient,
    /// Wait, then try again.
    RateLimited,
    /// The configuration is wrong: hold everything until it changes.
    Misconfigured,
    /// This message is wrong.
    Rejected,
    /// The service has a message that reads the same. Where an earlier try of this message got no answer, it is delivered; else another message was
    /// meant, and this one is sent once more with a mark of its own below its text.
    Delivered,
}

impl Kind {
    /// Watchfire's kind of error for it; `None` when it is delivered.
    pub fn error_kind(self) -> Option<ErrorKind> {
        match self {
            Kind::Transient => Some(ErrorKind::Transient),
            Kind::RateLimited => Some(ErrorKind::RateLimited { retry_after: None }),
            Kind::Misconfigured => Some(ErrorKind::Misconfigured),
            Kind::Rejected => Some(ErrorKind::Rejected),
            Kind::Delivered => None,
        }
    }
}

/// How long a message may be.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The title in characters; a longer one is cut.
    #[serde(default)]
    pub title: Option<usize>,
    /// The link in characters; a longer one is left out.
    #[serde(default)]
    pub link: Option<usize>,
    /// The text (or markdown) in characters.
    #[serde(default)]
    pub characters: Option<usize>,
    /// The text (or markdown) in bytes.
    #[serde(default)]
    pub bytes: Option<usize>,
    /// The page that documents these numbers.
    pub source: String,
}

/// At most `count` requests in any `seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests.
    pub count: u32,
    /// The window.
    pub seconds: u32,
}

/// An answer on record.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// What it means: `delivered`, the kind of its refusal, `gone` for an answer to `edit`, `reply` or `cancel`, `acknowledged` or `expired` for one to
    /// `receipt`.
    pub means: ResponseClass,
}

/// What an answer on record means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseClass {
    /// It is delivered.
    Delivered,
    /// Try again.
    Transient,
    /// Wait, then try again.
    RateLimited,
    /// The configuration is wrong.
    Misconfigured,
    /// This message is wrong.
    Rejected,
    /// The message that was to be edited or answered is gone, or what was to be cancelled rings no more.
    Gone,
    /// Somebody acknowledged it.
    Acknowledged,
    /// Nobody acknowledged it while it rang.
    Expired,
}
