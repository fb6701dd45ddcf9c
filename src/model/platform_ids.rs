//! What a platform calls a message that it accepted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The ids by which a platform finds a message again that it accepted, to edit, answer, withdraw or look it up: by the names that its API has for
/// them, as `channel` and `ts` for Slack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct PlatformIds(BTreeMap<String, String>);

/// The name of an id that was stored before ids had names.
const UNNAMED: &str = "id";

impl PlatformIds {
    /// One id; none when there is no value.
    pub fn one(name: &str, value: impl Into<Option<String>>) -> Self {
        Self::default().and(name, value)
    }

    /// With another id; without it when there is no value.
    pub fn and(mut self, name: &str, value: impl Into<Option<String>>) -> Self {
        if let Some(value) = value.into().filter(|value| !value.is_empty()) {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// Whether the platform named none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The only one, where the platform has one id for a message.
    pub fn single(&self) -> Option<&str> {
        if self.0.len() == 1 { self.0.values().next().map(String::as_str) } else { None }
    }

    /// The id of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// As a store keeps them: a JSON object; `None` when there are none.
    pub fn to_stored(&self) -> Option<String> {
        (!self.is_empty()).then(|| serde_json::json!(self.0).to_string())
    }

    /// From what a store keeps. A text that is no such object is the only id, from the time before ids had names.
    pub fn from_stored(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Self::one(UNNAMED, text.to_owned()))
    }

    /// The ids by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_store_and_what_was_stored_as_text_stays_readable() {
        let slack = PlatformIds::one("channel", "C1".to_owned()).and("ts", "1.5".to_owned()).and("thread_ts", None);
        let stored = slack.to_stored().unwrap();
        assert_eq!(stored, r#"{"channel":"C1","ts":"1.5"}"#);
        assert_eq!(PlatformIds::from_stored(&stored), slack);
        assert_eq!((slack.single(), PlatformIds::one("sid", "SM1".to_owned()).single()), (None, Some("SM1")));
        for text in ["1795489200.000100", "4711", "\"quoted\"", "[1]", "{\"a\":1}", "null"] {
            assert_eq!(PlatformIds::from_stored(text), PlatformIds::one("id", text.to_owned()), "{text}");
        }
        assert_eq!(PlatformIds::one("id", String::new()).to_stored(), None);
    }
}
