//! What kind of message a page is, what it says of its alerts together, and which incident it belongs to.

use serde::{Deserialize, Serialize};

use super::button::Button;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The alerts as they are: what a living message is edited to.
    #[default]
    Card,
    /// Somebody's own words, which have no status and no severity to speak of.
    Note,
    /// A short text about what is new in an incident.
    News,
    /// A short text that says once more that an incident goes on.
    Again,
    /// A short text that says how an incident ended.
    Over,
}

impl Form {
    /// Whether it is a card, as most pages are.
    pub fn is_card(&self) -> bool {
        *self == Form::Card
    }

    /// Whether it is one of the short texts about an incident.
    pub fn is_line(self) -> bool {
        matches!(self, Form::News | Form::Again | Form::Over)
    }
}

/// A stored form: its name, or, in pages that were stored as notes or cards, a flag.
impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Name {
            Card,
            Note,
            News,
            Again,
            Over,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Note(bool),
            Name(Name),
        }
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Note(true) | Stored::Name(Name::Note) => Form::Note,
            Stored::Note(false) | Stored::Name(Name::Card) => Form::Card,
            Stored::Name(Name::News) => Form::News,
            Stored::Name(Name::Again) => Form::Again,
            Stored::Name(Name::Over) => Form::Over,
        })
    }
}

/// What a message says of all its alerts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    /// Something of it fires, or may.
    #[default]
    Firing,
    /// All of it is over.
    Resolved,
    /// Nothing of it fires any more, and of some of it nobody knows: its sender does not report it any more.
    Unreported,
}

impl MessageStatus {
    /// `firing`, `resolved` or `unreported`.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageStatus::Firing => "firing",
            MessageStatus::Resolved => "resolved",
            MessageStatus::Unreported => "unreported",
        }
    }
}

/// The incident that a page belongs to, as of the time when the page was formed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct IncidentFacts {
    /// Stable text per group of alerts and site (who sent them, whatever the replica). It is the same for every receiver, channel and page that the
    /// group has, so that the end of the group closes what its beginning opened. Empty for digests.
    pub key: String,
    /// Its number, which people use; 0 without an incident.
    #[serde(skip_serializing_if = "is_zero")]
    pub number: i64,
    /// Grows with every change of the incident: which of two pages is newer; 0 without an incident.
    #[serde(skip_serializing_if = "is_zero")]
    pub version: i64,
    /// Its state as the API names it; empty without an incident.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// What a person can do about it, the most useful first; empty where presses do not reach this server, and when it is over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Button>,
}

impl IncidentFacts {
    /// Whether nothing is known of an incident.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// As stored: whole, or the key alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Key(String),
    Whole {
        key: String,
        #[serde(default)]
        number: i64,
        #[serde(default)]
        version: i64,
        #[serde(default)]
        state: String,
        #[serde(default)]
        buttons: Vec<Button>,
    },
}

impl From<Stored> for IncidentFacts {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Key(key) => Self { key, ..Self::default() },
            Stored::Whole { key, number, version, state, buttons } => Self { key, number, version, state, buttons },
        }
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Facts;

    const STORED: &str =
        r#""status":"resolved","severity":"warning","title":"t","pairs":[],"links":[],"mentions":{},"thread":"x","formed_at":7,"language":"en""#;

    fn read(more: &str) -> Facts {
        serde_json::from_str(&format!("{{{STORED}{more}}}")).unwrap()
    }

    #[test]
    fn stored_pages_stay_readable() {
        let before = read(r#","incident":"k","note":true"#);
        let key = IncidentFacts { key: "k".into(), ..IncidentFacts::default() };
        assert_eq!((before.form, before.incident, before.status), (Form::Note, key, MessageStatus::Resolved));
        assert_eq!(read(r#","note":false"#).form, Form::Card);
        let bare = read("");
        assert!(bare.form.is_card() && bare.incident.is_empty());
    }

    #[test]
    fn what_is_written_is_read_and_what_is_usual_is_not_written() {
        for form in [Form::Card, Form::Note, Form::News, Form::Again, Form::Over] {
            for status in [MessageStatus::Firing, MessageStatus::Resolved, MessageStatus::Unreported] {
                let incident = IncidentFacts { key: "k".into(), number: 1842, version: 3, state: "firing".into(), buttons: Vec::new() };
                let facts = Facts { form, status, incident, ..Facts::default() };
                let text = serde_json::to_string(&facts).unwrap();
                assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts, "{text}");
                assert!(text.contains(&format!(r#""status":"{}""#, status.as_str())), "{text}");
            }
        }
        let usual = serde_json::to_value(Facts::default()).unwrap();
        assert!(usual.get("form").is_none() && usual.get("incident").is_none(), "{usual}");
        let keyed = Facts { incident: IncidentFacts { key: "k".into(), ..IncidentFacts::default() }, ..Facts::default() };
        assert_eq!(serde_json::to_value(keyed).unwrap()["incident"], serde_json::json!({ "key": "k" }));
        assert_eq!(serde_json::to_value(Form::News).unwrap(), "news");
    }
}
