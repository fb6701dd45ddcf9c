//! What an answer means to a preset.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;

use super::file::{Kind, Preset, Refusal, When};
use crate::channel::kit;
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError};

/// An answer, read once.
pub struct Response<'a> {
    status: u16,
    text: Cow<'a, str>,
    json: Option<Value>,
}

impl<'a> Response<'a> {
    /// Reads it.
    pub fn new(status: u16, text: &'a str) -> Self {
        // Words are looked for as people read them, not as `\uXXXX`.
        Self { status, text: kit::unescaped(text), json: serde_json::from_str(text).ok() }
    }

    /// Whether it looks like that.
    pub fn is(&self, when: &When) -> bool {
        when.status.is_none_or(|status| status == self.status) && self.has_words_of(when)
    }

    /// Whether it says that, whatever its status.
    fn has_words_of(&self, when: &When) -> bool {
        when.json.iter().all(|(pointer, value)| self.json.as_ref().and_then(|json| json.pointer(pointer)) == Some(value))
            && when.has.iter().all(|pointer| self.at(pointer).is_some_and(|value| value != ""))
            && when.text.as_deref().is_none_or(|text| self.text.trim().eq_ignore_ascii_case(text))
            && when.contains.as_deref().is_none_or(|part| self.text.contains(part))
            && (when.says.is_empty() || kit::says(&self.text, &when.says.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// Whether the service refuses by it: it has a code (words, where the preset points to no code), or another value than the one of a delivered message.
    /// The words of a delivered message under a status that the preset does not name leave a doubt.
    pub fn refuses(&self, preset: &Preset) -> bool {
        if preset.success.iter().any(|look| self.has_words_of(look)) {
            return false;
        }
        let is_wanted = |pointer: &str, value: &Value| preset.success.iter().any(|look| look.json.get(pointer) == Some(value));
        let mut pointers = preset.success.iter().flat_map(|look| look.json.keys()).chain(preset.code.as_ref().or(preset.message.as_ref()));
        pointers.any(|pointer| self.at(pointer).is_some_and(|value| !is_wanted(pointer, value)))
    }

    /// The value at a pointer, if there is one.
    fn at(&self, pointer: &str) -> Option<&Value> {
        self.json.as_ref()?.pointer(pointer).filter(|value| !value.is_null())
    }

    /// The value at a pointer, as text.
    pub fn word(&self, pointer: Option<&str>) -> Option<String> {
        match self.json.as_ref()?.pointer(pointer?)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            other => Some(other.to_string()),
        }
    }
}

/// What an answer says, as the preset reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning<'p> {
    /// The message is delivered.
    Delivered,
    /// The service has a message that reads the same: an earlier try of this one, or another one.
    Known,
    /// It is refused: the kind, and what to do.
    Refused(ErrorKind, &'p str),
}

/// The preset's word on an answer; `None` for one that it does not know. Trouble of the server (408, 421, 425, 429, 5xx) is nothing that a body can deny,
/// unless the preset names the very status.
pub fn classify<'p>(preset: &'p Preset, response: &Response<'_>) -> Option<Meaning<'p>> {
    if (200..300).contains(&response.status) && preset.success.iter().any(|look| response.is(look)) {
        return Some(Meaning::Delivered);
    }
    let fits = |refusal: &&Refusal| match response.status {
        status if refusal.when.status == Some(status) => true,
        429 => refusal.kind == Kind::RateLimited,
        408 | 421 | 425 | 500.. => refusal.kind == Kind::Transient,
        _ => true,
    };
    let refusal = preset.errors.iter().filter(fits).find(|refusal| response.is(&refusal.when))?;
    Some(refusal.kind.error_kind().map_or(Meaning::Known, |kind| Meaning::Refused(kind, &refusal.advice)))
}

/// Whether the service has a message that reads the same.
pub fn is_known(preset: &Preset, reply: &kit::Reply) -> bool {
    classify(preset, &Response::new(reply.status(), &reply.text())) == Some(Meaning::Known)
}

/// The message's id, by the name that it has in the answer.
fn ids(preset: &Preset, response: &Response) -> PlatformIds {
    id_name(preset).map(|name| PlatformIds::one(name, response.word(preset.id.as_deref()))).unwrap_or_default()
}

/// What a message's id is called in the answer.
pub fn id_name(preset: &Preset) -> Option<&str> {
    preset.id.as_deref()?.rsplit('/').find(|part| !part.is_empty())
}

/// The outcome of an attempt. A message that the service knows is delivered: no other one reads the same ([`is_known`]).
pub fn outcome(preset: &Preset, reply: &kit::Reply, now: Timestamp) -> Result<Receipt, SendError> {
    let text = reply.text();
    let response = Response::new(reply.status(), &text);
    let code = response.word(preset.code.as_deref()).unwrap_or_else(|| format!("HTTP {}", reply.status()));
    let said = response.word(preset.message.as_deref()).map(|words| format!(" (\"{words}\")")).unwrap_or_default();
    match classify(preset, &response) {
        Some(Meaning::Delivered | Meaning::Known) => Ok(reply.receipt(code, ids(preset, &response))),
        Some(Meaning::Refused(kind, advice)) => Err(reply.error(reply.with_wait(kind, now), code, format!("{}: {advice}{said}", preset.title))),
        None => match kit::classify_status(reply, now) {
            Some(error) => Err(reply.error(error.kind, code, format!("{}: {}{said}", preset.title, error.summary))),
            // A 2xx that is not the service's word for success: its own words refuse, anything else leaves a doubt.
            None if response.refuses(preset) => {
                let summary = format!("{}: it answered {code}{said}, which is not its word for a delivered message", preset.title);
                Err(reply.error(ErrorKind::Rejected, code, summary))
            }
            None => Err(kit::unclear(reply)),
        },
    }
}
