//! By what incidents, and what belongs to them, are found besides their own columns; and what is searched in steps.

/// What is listed by ids that are UUIDv7, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// Deliveries.
    Deliveries,
    /// Events.
    Events,
    /// What people did by hand.
    Audit,
}

impl Listed {
    /// The table.
    pub(in crate::store) fn table(self) -> &'static str {
        match self {
            Listed::Deliveries => "delivery",
            Listed::Events => "event",
            Listed::Audit => "audit",
        }
    }
}

/// A label by which a sender groups alerts: name and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLabel(pub String, pub String);

impl GroupLabel {
    /// Reads `team="db"` or `team=db`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let value = value.strip_prefix('"').map_or(value, |value| value.strip_suffix('"').unwrap_or(value));
        (!name.is_empty()).then(|| Self(name.to_owned(), value.to_owned()))
    }

    /// As group keys of Alertmanager and Grafana have it, behind `{` or a comma and a blank: `team="db"`.
    pub(in crate::store) fn in_group_key(&self) -> String {
        format!("{}={:?}", self.0, self.1).replace('\0', "\u{FFFD}")
    }
}

/// Bytes of labels that are kept of a group; those beyond are left out.
const MAX_LABELS: usize = 2000;

/// Labels as group keys of Alertmanager and Grafana have them, `{a="1", b="2"}`, so that [`GroupLabel`] finds them; empty when there are none.
pub fn group_labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let label = GroupLabel(name.to_owned(), value.to_owned()).in_group_key();
        if text.len() + label.len() <= MAX_LABELS {
            text.push_str(if text.is_empty() { "{" } else { ", " });
            text.push_str(&label);
        }
    }
    if !text.is_empty() {
        text.push('}');
    }
    text
}

/// How the timeline of an incident names who acked or snoozed it, in lower case.
pub(in crate::store) fn acked_by(person: &str) -> String {
    format!(" by {} (", person.to_ascii_lowercase()).replace('\0', "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_read_as_people_write_it_and_found_as_senders_do() {
        let label = |name: &str, value: &str| Some(GroupLabel(name.into(), value.into()));
        for (text, expected) in [
            ("team=\"db\"", label("team", "db")),
            (" team = db ", label("team", "db")),
            ("a=b=c", label("a", "b=c")),
            ("team=", label("team", "")),
            ("team", None),
            ("=x", None),
        ] {
            assert_eq!(GroupLabel::parse(text), expected, "{text}");
        }
        assert_eq!(group_labels([("a", "1"), ("team", "d\"b")].into_iter()), "{a=\"1\", team=\"d\\\"b\"}");
        assert_eq!(group_labels([("long", "x".repeat(MAX_LABELS).as_str()), ("a", "1")].into_iter()), "{a=\"1\"}");
        assert_eq!(group_labels(std::iter::empty()), "");
        assert_eq!(GroupLabel("a".into(), "\"b\\\n数".into()).in_group_key(), "a=\"\\\"b\\\\\\n数\"");
    }
}
