//! By what incidents, and what belongs to them, are found besides their own columns; and what is searched in steps.

use super::{AuditFilter, DeliveryFilter, EventFilter, IncidentFilter, State};

impl DeliveryFilter {
    /// Whether rows are read one by one until enough of them are as asked for. What an event or a message led to, dead letters and what is open have an
    /// index.
    pub fn is_searched(&self) -> bool {
        let is_open = !self.states.is_empty() && self.states.iter().all(|state| !state.is_final());
        let is_indexed = self.event.is_some() || self.message.is_some() || self.states == [State::Dead] || is_open;
        let by_column = !self.channels.is_empty() || !self.states.is_empty();
        self.text.is_some() || self.label.is_some() || self.acked_by.is_some() || (by_column && !is_indexed)
    }
}

impl EventFilter {
    /// Whether rows are read one by one until enough of them are as asked for.
    pub fn is_searched(&self) -> bool {
        self.bare || self.source.is_some() || !self.channels.is_empty()
    }
}

impl IncidentFilter {
    /// Whether rows are read one by one until enough of them are as asked for. Those that are open have an index.
    pub fn is_searched(&self) -> bool {
        let is_open = !self.states.is_empty() && self.states.iter().all(|state| state.is_open());
        let by_column = !self.states.is_empty() || !self.channels.is_empty() || self.since.is_some() || self.until.is_some();
        let by_text = self.text.is_some() || self.label.is_some() || self.acked_by.is_some() || self.max_rank.is_some();
        !is_open && (by_column || by_text)
    }
}

impl AuditFilter {
    /// Whether rows are read one by one until enough of them are as asked for.
    pub fn is_searched(&self) -> bool {
        self.text.is_some() || self.person.is_some()
    }
}

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
    use crate::model::{EventId, MessageId};
    use crate::store::IncidentState;

    #[test]
    fn what_has_an_index_is_not_searched() {
        let of = |states: &[State]| DeliveryFilter { states: states.to_vec(), ..DeliveryFilter::default() };
        for indexed in [of(&[]), of(&[State::Dead]), of(&[State::Waiting, State::Deferred])] {
            assert!(!indexed.is_searched(), "{indexed:?}");
            assert!(DeliveryFilter { text: Some("x".into()), ..indexed }.is_searched());
        }
        assert!(of(&[State::Dead, State::Sent]).is_searched() && of(&[State::Sent]).is_searched());
        let channel = DeliveryFilter { channels: vec!["ops".into()], ..DeliveryFilter::default() };
        assert!(channel.is_searched());
        assert!(!DeliveryFilter { event: Some(EventId::new()), ..channel.clone() }.is_searched());
        assert!(!DeliveryFilter { message: Some(MessageId::new()), ..channel }.is_searched());
        assert!(!EventFilter::default().is_searched() && EventFilter { bare: true, ..EventFilter::default() }.is_searched());
        let severe = IncidentFilter { max_rank: Some(0), ..IncidentFilter::default() };
        assert!(severe.is_searched() && !IncidentFilter { states: vec![IncidentState::Firing], ..severe }.is_searched());
        assert!(!IncidentFilter::default().is_searched());
    }

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
