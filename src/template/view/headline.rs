//! What a message is called: its title, the line that is seen first, and the one that a locked phone shows.

use std::borrow::Cow;

use crate::model::{Alert, Language, Severity};

use super::super::words;
use super::describe::{says, trouble};
use super::group::{GAP, sentence, worst};
use super::own::{has_own_text, is_direct, own_message};
use super::place::{MACHINES, short_host};
use super::{EntryStatus, MessageKind, Scene, ViewInput, emoji, prose, shorten};

/// Longest title in characters: it must leave room for the rest of a headline in Slack's 150 characters.
const MAX_TITLE: usize = 100;
/// Values of fewer characters than this leave a title [`MORE`] of them.
const FEW: usize = 40;
const MORE: usize = 15;
/// Longest preview in characters: a locked phone shows some 150.
const MAX_PREVIEW: usize = 240;
/// Longest severity of a sender's own, in characters.
const MAX_SEVERITY: usize = 20;

/// What the message is about, without status and severity: the sender's own title, the alert's name and place, or what the alerts share.
pub(super) fn subject_of(input: &Scene<'_>) -> String {
    // A direct text without a title is named by its first line.
    let first_line = if is_direct(input) { input.event.message.trim().lines().next().unwrap_or_default() } else { "" };
    // In a message of few characters, what and where have more of them than the rest.
    let most = MAX_TITLE.min(if input.max_value < FEW { input.max_value + MORE } else { input.max_value });
    let own = [input.event.title.trim(), first_line].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let title = if has_own_text(input) && !own.is_empty() {
        own.to_owned()
    } else if input.kind == MessageKind::Digest {
        words::filled(input.language, "alerts", &[("n", &input.total().to_string())])
    } else if let (1, [only]) = (input.total(), input.all) {
        single_title(input, only.alert, most)
    } else {
        group_title(input)
    };
    in_one_line(&title, most)
}

/// The name and the place of the only alert, and its cluster where the sender groups by that: pods and hosts of several clusters have equal names.
fn single_title(input: &Scene<'_>, alert: &Alert, most: usize) -> String {
    let title = |max| input.described(0).title_within(sentence(alert), max);
    let whole = title(most);
    let cluster = input.event.group_labels.get("cluster").map_or("", |cluster| cluster.trim());
    if input.shown.labels.hides("cluster") || says(&whole, cluster) {
        return whole;
    }
    let behind = format!(" · {cluster}");
    title(most.saturating_sub(behind.chars().count()).max(most / 2)) + &behind
}

/// The names of the alerts, of several the most severe one's, and the other values that they are grouped by.
fn group_title(input: &Scene<'_>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for place in 0..input.all.len() {
        let name = input.described(place).name.as_str();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let others = names.len().saturating_sub(1);
    let mut title = names.first().copied().unwrap_or_else(|| words::own(input.language, "alert")).to_owned();
    // Of a very large group only the first alerts are looked at: how many names it has is not known.
    if input.total() > input.all.len() {
        title.push_str(" …");
    } else if others > 0 {
        // Chinese counts all of them, English those that are not named.
        let n = if input.language == Language::Zh { names.len() } else { others };
        title = words::filled(input.language, "and_others", &[("what", &title), ("n", &n.to_string())]);
    }
    for (name, value) in &input.event.group_labels {
        let value = grouped(input, name, value);
        let said = name == "alertname" || *name == input.scale.label || input.shown.labels.hides(name) || says(&title, &value);
        if !said {
            title.push_str(" · ");
            title.push_str(&value);
        }
    }
    title
}

/// A value that alerts are grouped by, as a title says it: a machine without port and domain, and nothing of how the alerts were measured.
fn grouped<'a>(input: &Scene<'_>, name: &str, value: &'a str) -> Cow<'a, str> {
    match input.all.first() {
        Some(_) if input.described(0).place.scraped.contains(&name) => "".into(),
        Some(first) if MACHINES.contains(&name) => short_host(value, first.alert.label("job")).into(),
        _ => value.into(),
    }
}

/// What stays the same in every message of a group, so that a client keeps them together: its name, and the values that the sender groups by; the receiver
/// where there are neither.
pub fn topic(input: &Scene<'_>) -> String {
    if input.kind == MessageKind::Digest {
        return words::own(input.language, "digest").to_owned();
    }
    let event = input.event;
    let others = |all: bool| {
        let kept = event.group_labels.iter().filter(|(name, _)| *name != "alertname" && (all || !input.shown.labels.hides(name)));
        kept.map(|(_, value)| value.trim()).filter(|value| !value.is_empty()).collect::<Vec<_>>()
    };
    let listed = others(false);
    // Labels that are not listed name the group where nothing else does.
    let listed = if listed.is_empty() && !names_what_fires(input) { others(true) } else { listed };
    let parts: Vec<&str> = group_name(input).into_iter().chain(listed).collect();
    match event.receiver.trim() {
        // However far values are shortened, it is the same.
        _ if !parts.is_empty() => in_one_line(&parts.join(" · "), MAX_TITLE),
        receiver if !receiver.is_empty() && !event.group_key.is_empty() => in_one_line(receiver, MAX_TITLE),
        _ => input.subject().to_owned(),
    }
}

/// Whether the values that the sender groups by say what fires: Grafana's alarms about its rules have one name for all rules.
fn names_what_fires(input: &Scene<'_>) -> bool {
    let name = input.event.group_labels.get("alertname").map(|name| name.trim());
    name.is_some_and(|name| !name.is_empty() && trouble(name, input.language).is_none())
}

/// The name that all alerts of a group have, whatever joins it: the one that the sender groups by. Alerts that come without the key of a group are a group
/// for each name, and a sender with words of its own speaks of one thing.
fn group_name<'a>(input: &Scene<'a>) -> Option<&'a str> {
    let event = input.event;
    let one_name = event.group_key.is_empty() || has_own_text(input);
    let grouped = event.group_labels.get("alertname").map(|name| name.trim());
    let own = input.all.first().filter(|_| one_name).map(|entry| entry.alert.name().trim());
    let name = grouped.into_iter().chain(own).find(|name| !name.is_empty())?;
    Some(trouble(name, input.language).unwrap_or(name))
}

/// Whether each alert is a group of its own: its sender says what each is about, or groups by all labels (`group_by: ['...']`).
fn is_alone(input: &Scene<'_>) -> bool {
    let event = input.event;
    input.all.first().is_some_and(|entry| (event.apart && event.group_key.is_empty()) || entry.alert.labels == event.group_labels)
}

/// The subject of a mail, the same from the first mail about an incident to the last: Gmail begins another conversation where it changes. What fires by
/// now is in the sender's name and the first line.
pub fn mail_subject(input: &Scene<'_>) -> String {
    let (topic, event) = (topic(input), input.event);
    match group_name(input) {
        _ if input.kind == MessageKind::Digest => topic,
        _ if is_direct(input) => input.subject().to_owned(),
        Some(_) if is_alone(input) => in_one_line(&input.described(0).title_within("", MAX_TITLE), MAX_TITLE),
        None if !event.group_key.is_empty() => format!("{} · {topic}", words::own(input.language, "alert")),
        _ => topic,
    }
}

/// A title without line breaks, at most so long.
fn in_one_line(title: &str, max: usize) -> String {
    shorten(&title.split_whitespace().collect::<Vec<_>>().join(" "), MAX_TITLE.min(max)).into_owned()
}

/// What an alert calls its severity: the scale's word, or its own where the scale does not know it; empty when it has none.
pub fn severity_word(alert: &Alert, input: &ViewInput<'_>) -> String {
    match input.scale.known(alert) {
        Some(severity) => words::severity(input.language, severity).to_owned(),
        None => shorten(alert.label(&input.scale.label).trim(), MAX_SEVERITY).into_owned(),
    }
}

/// The word of the message's severity; empty when no alert claims one.
pub fn message_severity(input: &ViewInput<'_>) -> String {
    match input.all {
        [only] if input.kind != MessageKind::Digest => severity_word(only.alert, input),
        _ if claims_severity(input) => words::severity(input.language, input.totals.severity).to_owned(),
        _ => String::new(),
    }
}

/// Whether any of its alerts claims a severity that is known.
pub fn claims_severity(input: &ViewInput<'_>) -> bool {
    input.totals.claimed.iter().sum::<usize>() > 0 || input.all.iter().any(|entry| input.scale.known(entry.alert).is_some())
}

/// How many fire, by severity, how many are not reported any more, and how many are over: `3 critical, 9 warning, 1 resolved`.
pub fn counts(input: &ViewInput<'_>) -> String {
    let mut firing = by_severity(input);
    firing.extend(count(input, unclaimed(input), "active"));
    let firing = Some(firing.join(words::own(input.language, "list"))).filter(|text| !text.is_empty());
    firing.into_iter().chain(quiet(input)).collect::<Vec<_>>().join(words::own(input.language, "comma"))
}

/// The same as a sentence about now: `3 critical, 9 warning firing, 1 resolved`.
pub fn counts_now(input: &ViewInput<'_>) -> String {
    let (claimed, others) = (by_severity(input).join(words::own(input.language, "list")), unclaimed(input));
    let all = |what: &str| Some(words::filled(input.language, "all_firing", &[("what", what)]));
    let firing = match (claimed.is_empty(), others) {
        // Its own word says that it fires.
        (true, n) => count(input, n, "active"),
        (false, 0) => all(&claimed),
        (false, n) => all(&words::filled(input.language, "and_more", &[("what", &claimed), ("n", &n.to_string())])),
    };
    let parts: Vec<String> = firing.into_iter().chain(quiet(input)).collect();
    if parts.is_empty() {
        String::new()
    } else {
        words::filled(input.language, "at_present", &[("what", &parts.join(words::own(input.language, "comma")))])
    }
}

/// Firing alerts that claim no severity.
fn unclaimed(input: &ViewInput<'_>) -> usize {
    input.totals.firing.saturating_sub(input.totals.claimed.iter().sum())
}

fn count_of(input: &ViewInput<'_>, n: usize, word: &str) -> Option<String> {
    (n > 0).then(|| words::filled(input.language, "count", &[("n", &n.to_string()), ("what", word)]))
}

fn count(input: &ViewInput<'_>, n: usize, key: &'static str) -> Option<String> {
    count_of(input, n, words::own(input.language, key))
}

/// Firing alerts that claim a severity.
fn by_severity(input: &ViewInput<'_>) -> Vec<String> {
    let claimed = Severity::ALL.into_iter().zip(input.totals.claimed);
    claimed.filter_map(|(severity, n)| count_of(input, n, words::severity(input.language, severity))).collect()
}

/// What does not fire, or is not known to.
fn quiet(input: &ViewInput<'_>) -> Vec<String> {
    let totals = input.totals;
    let mut parts: Vec<String> =
        [count(input, totals.unreported, "not_reported"), count(input, totals.resolved, "over")].into_iter().flatten().collect();
    // The end of what a sender lists is not the end of what it left out.
    if totals.firing == 0 && totals.truncated > 0 {
        parts.push(words::filled(input.language, "not_listed_n", &[("n", &totals.truncated.to_string())]));
    }
    parts
}

/// The status in one word for one alert, in counts for several.
pub(super) fn status_words(input: &ViewInput<'_>) -> String {
    if input.total() > 1 || (input.totals.firing == 0 && input.totals.truncated > 0) {
        return counts(input);
    }
    words::status(input.language, input.status()).to_owned()
}

/// The line that is seen first: `🔴 Critical · HighCPU · db-1`, `🔴 3 critical, 9 warning · NodeDown · eu-west-1`, `✅ Resolved after 1h 17m · HighCPU · db-1`;
/// a direct send's is its title.
pub(super) fn headline_of(input: &Scene<'_>) -> String {
    let state = state(input);
    let subject = if input.kind != MessageKind::Digest || has_own_text(input) { input.subject() } else { "" };
    match (state.is_empty(), subject.is_empty()) {
        (true, _) => subject.to_owned(),
        (_, true) => state,
        // A sign alone leads the title without a dot.
        _ if !state.contains(' ') => format!("{state} {subject}"),
        _ => format!("{state} · {subject}"),
    }
}

/// The headline without its title: `🔴 Critical`, `🔴 3 critical, 9 warning`, `✅ Resolved after 1h 17m`; a direct send has none.
pub fn state(input: &Scene<'_>) -> String {
    if is_direct(input) {
        return String::new();
    }
    let sign = emoji(input.totals.severity, input.status());
    let words = match input.all {
        [only] if input.is_single() => match only.status {
            EntryStatus::Firing => capital(&message_severity(input)),
            EntryStatus::Resolved if !input.totals.goes_on => over_after(input, only.alert),
            status @ (EntryStatus::CameAndWent | EntryStatus::Unreported) if !input.totals.goes_on => {
                words::status(input.language, status).to_owned()
            }
            _ => status_words(input),
        },
        _ if input.kind == MessageKind::Digest => format!("{} · {}", words::own(input.language, "digest"), counts(input)),
        _ => counts(input),
    };
    if words.is_empty() { sign.to_owned() } else { format!("{sign} {words}") }
}

fn over_after(input: &Scene<'_>, alert: &Alert) -> String {
    match (alert.starts_at, alert.ends_at) {
        (Some(start), Some(end)) => words::filled(input.language, "resolved_after", &[("n", &input.times().lasted(Some(start), Some(end)))]),
        _ => words::own(input.language, "resolved").to_owned(),
    }
}

/// A word as the first of a line.
pub fn capital(word: &str) -> String {
    let mut rest = word.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// What a locked phone shows: the headline and what a person wrote.
pub fn preview(input: &Scene<'_>) -> String {
    let (own, headline) = (own_message(input), input.headline());
    // A description that names no place says less than what the worst of them says.
    let shared = input.group().map(|group| match group.description.contains(GAP) {
        true if group.summary.is_empty() => &group.description,
        _ => &group.summary,
    });
    let shared = shared.filter(|text| !text.is_empty());
    let said = match (own.is_empty(), shared) {
        // Somebody's own text is below its title, once.
        _ if is_direct(input) => String::new(),
        (false, _) => own.to_owned(),
        // What is over was said in the present tense; a digest is about several things.
        _ if input.totals.firing == 0 || input.kind == MessageKind::Digest => String::new(),
        // Where the places are a gap, the worst of them fill it.
        (_, Some(shared)) => match (shared.trim_start_matches([GAP, ' ']), worst(input)) {
            (_, places) if !shared.contains(GAP) || places.is_empty() => shared.clone(),
            // Chinese needs no other form of a verb behind several names.
            (text, places) if shared.starts_with(GAP) && !text.starts_with(|c: char| c.is_ascii()) => shared.replacen(GAP, &places, 1),
            (text, places) => format!("{}{}{places}", text.trim_end_matches(['.', '。']), words::own(input.language, "colon")),
        },
        _ => input.all.first().map(|entry| prose::reflow(sentence(entry.alert))).unwrap_or_default(),
    };
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let whole = if said.is_empty() || headline.contains(&said) { headline.to_owned() } else { format!("{headline} — {said}") };
    shorten(&whole, MAX_PREVIEW.min(input.max_value.max(80))).into_owned()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::super::{Entry, Now};
    use super::*;
    use crate::model::{Event, Labels, SeverityScale, Shown};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_alert_of_one_of_several_clusters_names_it() {
        let alert =
            Alert { labels: labels(&[("alertname", "PodDown"), ("namespace", "shop"), ("pod", "cart-0"), ("cluster", "eu-1")]), ..Alert::default() };
        let titled = |by: &[(&str, &str)], max_value: usize| {
            let event = Event { group_key: "g".into(), group_labels: labels(by), ..Event::default() };
            let entries = [Entry { alert: &alert, event: &event, status: EntryStatus::Firing }];
            let (scale, shown, zone) = (SeverityScale::default(), Shown::default(), TimeZone::UTC);
            let now = Now { at: Timestamp::UNIX_EPOCH, zone: &zone };
            let input = ViewInput { max_value, ..ViewInput::of(&entries, &event, Language::En, now, &scale, &shown) };
            let scene = Scene::new(input);
            scene.subject().to_owned()
        };
        assert_eq!(titled(&[("cluster", "eu-1")], usize::MAX), "PodDown · shop/cart-0 · eu-1");
        assert_eq!(titled(&[("alertname", "PodDown")], usize::MAX), "PodDown · shop/cart-0", "it is a label like any other");
        assert_eq!(titled(&[("cluster", "shop")], usize::MAX), "PodDown · shop/cart-0", "it is said");
        assert!(titled(&[("cluster", "a-cluster-of-a-very-long-name")], 20).starts_with("PodDown · shop/cart-0"));
    }
}
