//! Entries that are no alert, or only a part of one: what names them becomes labels, and what they say is shown.

use super::alert::{Item, is_explicit, status_word};
use super::json::Trail;
use super::member::{DESCRIPTIONS, MAX_LABEL, Member, NO_TEXTS, SUMMARIES};
use super::unread::{MAX_RAW_TEXT, cut};
use super::value::{members, text};
use crate::model::{Alert, Status, hash_hex};

impl Item {
    /// An entry that is no object, as text.
    pub(super) fn of_text(text: &str) -> Self {
        let mut alert = Alert { fingerprint: hash_hex(&["entry", text]), ..Alert::default() };
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['[', '{']));
        alert.labels.insert("alertname".into(), line.map_or_else(|| "Unknown entry".to_owned(), |line| cut(line, 120)));
        alert.annotations.insert("description".into(), cut(text, MAX_RAW_TEXT));
        Self { alert, odd: true, ..Self::default() }
    }

    /// What an entry says beside its fields. Some senders write an alert's labels where the alert should be: `{"alertname": "Disk", "severity":
    /// "critical", "status": "firing"}`. An entry that has a name in its labels keeps them as they are.
    pub(super) fn describe(&mut self, trail: &Trail, members: &[Member]) {
        self.state(members);
        if self.alert.labels.is_empty() {
            self.sets(trail, members);
        }
        self.named = self.alert.labels.contains_key("alertname");
        if self.named || members.is_empty() {
            return self.texts(trail, members, false);
        }
        let of = |names: &[&str]| names.iter().find_map(|name| members.iter().find(|m| m.is_plain && m.word() == *name && !m.text.trim().is_empty()));
        let own = of(&["alertname"]);
        let severity = of(&["severity", "level", "priority"]);
        let is_bare = self.alert.labels.is_empty();
        let is_alert = !is_bare || self.explicit || severity.is_some();
        let name = own.or_else(|| of(&NAMES)).or_else(|| if is_alert { of(&DESCRIPTIONS) } else { None });
        if name.is_none() && !is_bare {
            return self.texts(trail, members, false);
        }
        let named = name.and_then(|name| name.text.lines().map(str::trim).find(|line| !line.is_empty()));
        let named = named.map(|named| if own.is_some() { named } else { without_state(named) });
        let found = [("alertname", named), ("severity", severity.map(|m| m.text.trim())), ("instance", of(&INSTANCES).map(|m| m.text.trim()))];
        for (label, value) in found.into_iter().filter_map(|(label, value)| Some((label, value?))) {
            self.alert.labels.entry(label.into()).or_insert_with(|| cut(value, MAX_LABEL));
        }
        self.named = name.is_some() && (own.is_some() || is_alert);
        self.readable |= self.named;
        if !is_bare {
            return self.texts(trail, members, true);
        }
        self.odd |= own.is_none();
        if own.is_none() && !self.explicit {
            // `ok` and `normal` may be the state of anything.
            self.word = None;
        }
        if self.word.is_none() {
            self.alert.ends_at = None;
        }
        let lines: Vec<String> = members.iter().map(|member| format!("{}: {}", member.name, member.text)).collect();
        let lines = lines.join("\n");
        // Without a name of its own and without a state nothing says that two entries are the same alert.
        if self.alert.fingerprint.is_empty() && own.is_none() && (name.is_none() || !self.explicit) {
            self.alert.fingerprint = hash_hex(&["entry", &lines]);
        }
        if self.named {
            let is_name = |member: &Member| name.is_some_and(|name| name.name == member.name);
            for member in members.iter().filter(|member| !is_name(member) && member.is_label()) {
                if !self.alert.labels.contains_key(&member.name) && trail.count() {
                    self.alert.labels.insert(member.name.clone(), member.text.trim().to_owned());
                }
            }
            return self.texts(trail, members, true);
        }
        self.alert.labels.entry("alertname".into()).or_insert_with(|| "Unknown entry".to_owned());
        self.alert.annotations.entry("description".into()).or_insert_with(|| cut(&lines, MAX_RAW_TEXT));
    }

    /// `state` where there is no `status`. Where they contradict each other, it fires.
    fn state(&mut self, members: &[Member]) {
        let Some(member) = members.iter().find(|member| member.is_plain && member.word() == "state") else { return };
        let state = status_word(&member.text);
        self.explicit |= is_explicit(&member.text);
        self.word = if state == Some(Status::Firing) && self.word == Some(Status::Resolved) { state } else { self.word.or(state) };
    }

    /// The labels and annotations that the alerts of a group have in common, in place of the alerts.
    fn sets(&mut self, trail: &Trail, members: &[Member]) {
        let sets = members.iter().filter(|member| member.text.starts_with('{'));
        for set in sets {
            let into = match set.word().as_str() {
                "grouplabels" | "commonlabels" => &mut self.alert.labels,
                "commonannotations" => &mut self.alert.annotations,
                _ => continue,
            };
            for (name, value) in self::members(&set.text) {
                let value = text(value);
                if !value.is_empty() && trail.count() {
                    into.insert(name.into_owned(), value.into_owned());
                }
            }
        }
    }

    /// Texts beside the fields become `summary` and `description`, where there are no annotations, and with `all` what is no label besides.
    fn texts(&mut self, trail: &Trail, members: &[Member], all: bool) {
        if !self.alert.annotations.is_empty() {
            return;
        }
        for member in members.iter().filter(|member| member.is_plain && !member.is_one_of(&NO_TEXTS)) {
            let text = member.text.trim();
            if text.is_empty() || text == self.alert.name() || self.alert.labels.contains_key(&member.name) {
                continue;
            }
            let place = [("summary", &SUMMARIES[..]), ("description", &DESCRIPTIONS[..])].into_iter().find(|(_, names)| member.is_one_of(names));
            let place = place.map(|(place, _)| place).filter(|place| !self.alert.annotations.contains_key(*place));
            if (all || place.is_some()) && trail.count() {
                self.alert.annotations.insert(place.map_or_else(|| member.name.clone(), str::to_owned), text.to_owned());
            }
        }
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

/// A title without the state in front of it (`[FIRING:2] Disk full`): its end has another one.
fn without_state(title: &str) -> &str {
    let Some((mark, rest)) = title.strip_prefix('[').and_then(|title| title.split_once(']')) else { return title };
    let word = mark.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    let rest = rest.trim();
    if status_word(word).is_some() && !rest.is_empty() { rest } else { title }
}

/// What may name an entry that has no `alertname`.
const NAMES: [&str; 6] = ["alert", "rulename", "name", "title", "subject", "summary"];
const INSTANCES: [&str; 3] = ["instance", "host", "hostname"];
