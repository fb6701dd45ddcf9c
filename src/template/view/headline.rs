//! What a message is called: its title, and the one line that says status, severity and title at a glance.

use std::collections::BTreeSet;

use crate::model::{Alert, Language, SenderKind};

use super::super::words;
use super::{EntryStatus, MessageKind, ViewInput, describe, emoji, shorten};

/// Longest title in characters: it must leave room for the rest of a headline in Slack's 150 characters.
const MAX_TITLE: usize = 100;

/// Whether the sender's own title and message are the content (direct sends), not a rendering of the alerts.
fn has_own_text(input: &ViewInput<'_>) -> bool {
    matches!(input.event.kind, SenderKind::Direct | SenderKind::Generic | SenderKind::Watchfire)
}

/// The sender's own text where it is the content; empty for alerts.
pub fn own_message<'a>(input: &ViewInput<'a>) -> &'a str {
    if has_own_text(input) { input.event.message.trim() } else { "" }
}

/// Whether a text of the alert says again what the sender's own title or message has said already.
pub fn repeats(input: &ViewInput<'_>, text: &str) -> bool {
    let text = text.trim();
    has_own_text(input) && input.kind != MessageKind::Digest && (text == input.event.title.trim() || text == input.event.message.trim())
}

/// Whether it is somebody's own message: it has no status and no severity to speak of.
fn is_direct(input: &ViewInput<'_>) -> bool {
    input.event.kind == SenderKind::Direct && input.kind != MessageKind::Digest
}

/// What the message is about, without status and severity: the sender's own title, the alert's name and place, or what the alerts share.
pub fn subject_of(input: &ViewInput<'_>) -> String {
    // A direct text without a title is named by its first line.
    let first_line = if is_direct(input) { input.event.message.trim().lines().next().unwrap_or_default() } else { "" };
    let own = [input.event.title.trim(), first_line].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let title = if has_own_text(input) && !own.is_empty() {
        own.to_owned()
    } else if input.totals.firing + input.totals.resolved == 1 && input.entries.len() == 1 {
        describe(input.entries[0].alert, input.language).title()
    } else if input.kind == MessageKind::Digest {
        words::filled(input.language, "alerts", &[("n", &(input.totals.firing + input.totals.resolved).to_string())])
    } else {
        group_title(input)
    };
    shorten(&title.split_whitespace().collect::<Vec<_>>().join(" "), MAX_TITLE.min(input.max_value)).into_owned()
}

/// The names of the alerts and the other values they are grouped by.
fn group_title(input: &ViewInput<'_>) -> String {
    let grouped = &input.event.group_labels;
    let mut names: Vec<&str> = match grouped.get("alertname") {
        Some(name) => vec![name.as_str()],
        None if input.pages <= 1 => distinct(input.entries.iter().map(|entry| entry.alert)),
        // One page does not show all: every page of a message bears the title of the whole.
        None => distinct(input.event.alerts.iter()),
    };
    let others = names.len().saturating_sub(3);
    names.truncate(3);
    let mut title = names.join(", ");
    if others > 0 {
        title.push_str(&format!(" +{others}"));
    }
    for (name, value) in grouped {
        if name != "alertname" && *name != input.scale.label && !value.is_empty() {
            title.push_str(if title.is_empty() { "" } else { " · " });
            title.push_str(value);
        }
    }
    if title.is_empty() { words::own(input.language, "alert").to_owned() } else { title }
}

fn distinct<'a>(alerts: impl Iterator<Item = &'a Alert>) -> Vec<&'a str> {
    alerts.map(Alert::name).filter(|name| !name.is_empty()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// How many fire and how many are over: `Firing 3, resolved 1`.
pub fn counts(input: &ViewInput<'_>) -> String {
    let (firing, resolved) = (input.totals.firing.to_string(), input.totals.resolved.to_string());
    match (input.totals.firing, input.totals.resolved) {
        (_, 0) => words::filled(input.language, "firing_n", &[("n", &firing)]),
        (0, _) => words::filled(input.language, "resolved_n", &[("n", &resolved)]),
        _ => {
            let comma = if input.language == Language::Zh { "，" } else { ", " };
            let also = words::filled(input.language, "also_resolved_n", &[("n", &resolved)]);
            format!("{}{comma}{also}", words::filled(input.language, "firing_n", &[("n", &firing)]))
        }
    }
}

/// The status in one word for one alert, in counts for several. The end of what a sender lists is not the end of what it left out.
pub(super) fn status_words(input: &ViewInput<'_>) -> String {
    if input.totals.firing == 0 && input.totals.truncated > 0 && input.kind != MessageKind::Digest {
        let comma = if input.language == Language::Zh { "，" } else { ", " };
        let unlisted = words::filled(input.language, "not_listed_n", &[("n", &input.totals.truncated.to_string())]);
        return format!("{}{comma}{unlisted}", counts(input));
    }
    if input.totals.firing + input.totals.resolved > 1 {
        counts(input)
    } else {
        words::own(input.language, if input.totals.firing > 0 { "firing" } else { "resolved" }).to_owned()
    }
}

/// The line that is seen first: `🔴 Firing (critical): HighCPU · db-1`, `✅ 已恢复：HighCPU · db-1`; a direct send's is its title.
pub fn headline(input: &ViewInput<'_>) -> String {
    headline_with(input, &subject_of(input))
}

/// The headline with a title that is known already.
pub(super) fn headline_with(input: &ViewInput<'_>, subject: &str) -> String {
    if is_direct(input) {
        return subject.to_owned();
    }
    let firing = input.fires();
    let sign = emoji(input.totals.severity, if firing { EntryStatus::Firing } else { EntryStatus::Resolved });
    let severity = words::severity(input.language, input.totals.severity);
    let digest = if input.kind == MessageKind::Digest { words::own(input.language, "digest") } else { "" };
    let title = if input.kind == MessageKind::Digest && !has_own_text(input) { "" } else { subject };
    let mut out = format!("{sign} ");
    if !digest.is_empty() {
        out.push_str(digest);
        out.push_str(if input.language == Language::Zh { "：" } else { ": " });
    }
    out.push_str(&status_words(input));
    if firing {
        out.push_str(&if input.language == Language::Zh { format!("（{severity}）") } else { format!(" ({severity})") });
    }
    if !title.is_empty() {
        out.push_str(if input.language == Language::Zh { "：" } else { ": " });
        out.push_str(title);
    }
    out
}
