//! Entries that are no alert, or only a part of one: what they say is shown as text.

use super::alert::Item;
use super::said::TEXTS;
use super::unread::{MAX_RAW_TEXT, cut};
use crate::model::{Alert, hash_hex};

impl Item {
    /// An entry that is no object, as text.
    pub(super) fn of_text(text: &str) -> Self {
        let mut alert = Alert { fingerprint: hash_hex(&["entry", text]), ..Alert::default() };
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['[', '{']));
        alert.labels.insert("alertname".into(), line.map_or_else(|| "Unknown entry".to_owned(), |line| cut(line, 120)));
        alert.annotations.insert("description".into(), cut(text, MAX_RAW_TEXT));
        Self { alert, odd: true, ..Self::default() }
    }

    /// An entry that has neither labels nor annotations is known by its other members: some senders write an alert's labels where the alert should be.
    /// What names it becomes labels, and all of it is shown.
    /// A text beside the labels of one that has them is its description, unless an annotation is.
    pub(super) fn describe(&mut self, members: &[(String, String)]) {
        if !self.alert.labels.is_empty() || !self.alert.annotations.is_empty() || members.is_empty() {
            let of = |name: &&str| members.iter().find(|(member, value)| member == name && !value.trim().is_empty());
            if ["summary", "description"].iter().all(|name| self.alert.annotation(name).is_empty())
                && let Some((_, text)) = TEXTS.iter().find_map(of)
            {
                self.alert.annotations.insert("description".into(), text.clone());
            }
            return;
        }
        self.alert.labels.extend(flat_labels(members).into_iter().map(|(label, _, value)| (label.to_owned(), value)));
        let text: Vec<String> = members.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let text = text.join("\n");
        if self.alert.fingerprint.is_empty() && !self.alert.labels.contains_key("alertname") {
            self.alert.fingerprint = hash_hex(&["entry", &text]);
        }
        self.alert.labels.entry("alertname".into()).or_insert_with(|| "Unknown entry".to_owned());
        self.alert.annotations.insert("description".into(), cut(&text, MAX_RAW_TEXT));
        self.odd = true;
    }

    /// What was sent in place of labels or annotations is shown with the alert, and distinguishes it from others.
    pub(super) fn keep(&mut self, rest: &str) {
        if rest.trim().is_empty() {
            return;
        }
        // As the summary where there is none: messages of several alerts show no more of each.
        let place = if self.alert.annotation("summary").is_empty() { "summary" } else { "description" };
        let text = self.alert.annotations.entry(place.into()).or_default();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&cut(rest, MAX_RAW_TEXT));
        if self.alert.fingerprint.is_empty() {
            let labels: Vec<&str> = self.alert.labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).chain([rest]).collect();
            self.alert.fingerprint = hash_hex(&labels);
        }
    }
}

/// Labels that are read of an alert without labels, and the members that may have them.
const FLAT_LABELS: [(&str, &[&str]); 9] = [
    ("alertname", &["alertname", "alert", "name", "title", "summary"]),
    ("severity", &["severity", "level", "priority"]),
    ("instance", &["instance", "host", "hostname"]),
    ("team", &["team"]),
    ("service", &["service"]),
    ("job", &["job"]),
    ("env", &["env", "environment"]),
    ("cluster", &["cluster"]),
    ("namespace", &["namespace"]),
];

/// The labels that members are, each with the name of its member.
pub(super) fn flat_labels(members: &[(String, String)]) -> Vec<(&'static str, &str, String)> {
    let of = |names: &[&str]| names.iter().find_map(|name| members.iter().find(|(key, value)| key == name && !value.trim().is_empty()));
    FLAT_LABELS.iter().filter_map(|(label, names)| of(names).map(|(member, value)| (*label, member.as_str(), cut(value.trim(), 120)))).collect()
}
