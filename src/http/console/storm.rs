//! Many incidents at once: what they share, the critical ones by name, the rest by label, and what people were sent of them.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::failure::Failure;
use super::incident::many::{is_meant, path};
use super::incident::{Known, MAX_OPEN, row};
use super::parts::{Look, count, icon, label, mark, say, shown, time};
use super::viewer::Viewer;
use crate::http::App;
use crate::model::{Labels, Language, MessageId, Severity, UnixMs};
use crate::store::{DeliveryFilter, DeliveryRow, IncidentState, OpenIncidents, State};

/// Critical ones that are named.
const MAX_NAMED: usize = 12;
/// Groups that are shown, and rows of what is left.
const GROUPS: usize = 20;
/// Deliveries among which those are looked for that were sent lately, and channels that are named.
const DELIVERIES: usize = 1_000;
const CHANNELS: usize = 8;
const HOUR_MS: i64 = 3_600_000;
/// Labels by which incidents are grouped, the first that at least half of them have with more than one value.
const GROUPED_BY: [&str; 8] = ["cluster", "region", "zone", "namespace", "team", "service", "job", "alertname"];

/// How many of them have each label.
fn shares(known: &[Known]) -> Vec<(String, String, usize)> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let read: Vec<&Labels> = known.iter().filter_map(Known::labels).collect();
    for (name, value) in read.iter().copied().flatten() {
        *counts.entry((name, value)).or_default() += 1;
    }
    let often = counts.into_iter().filter(|((name, _), n)| *n * 2 > read.len() && !name.starts_with("__") && *name != "prometheus");
    let mut often: Vec<_> = often.map(|((name, value), n)| (name.to_owned(), value.to_owned(), n)).collect();
    often.sort_by_key(|(_, _, n)| std::cmp::Reverse(*n));
    often.truncate(4);
    often
}

/// The label by which they are grouped.
fn group_label(known: &[Known]) -> &'static str {
    let read: Vec<&Labels> = known.iter().filter_map(Known::labels).collect();
    let separates = |name: &&str| {
        let values: Vec<&String> = read.iter().filter_map(|labels| labels.get(*name)).collect();
        values.len() * 2 >= read.len() && values.iter().any(|value| *value != values[0])
    };
    GROUPED_BY.into_iter().find(separates).unwrap_or("alertname")
}

/// Whether somebody must know its name.
fn is_named(one: &Known) -> bool {
    one.severity() == Severity::Critical && one.incident.state == IncidentState::Firing
}

/// Puts those first that are named, the oldest first; returns how many rows they are.
pub(super) fn named_first(known: &mut [Known]) -> usize {
    known.sort_by_key(|one| (!is_named(one), one.incident.opened_at));
    known.iter().filter(|one| is_named(one)).take(MAX_NAMED).count()
}

/// How many of those that are open the page does not speak of: of `found` the labels of `read` are known. What is counted may be a moment older than what was
/// found.
fn left_out(open: usize, found: usize, read: usize) -> usize {
    if found < MAX_OPEN { found - read } else { open.saturating_sub(read) }
}

/// What is said of all that are open, or of those that were read.
fn shared_by(language: Language, read: usize, left_out: usize) -> String {
    match (left_out, language) {
        (0, _) => say(language, "What they share: ", "共同点：").to_owned(),
        (_, Language::En) => format!("What the {read} most urgent share: "),
        (_, Language::Zh) => format!("最紧急的 {read} 个的共同点："),
    }
}

/// The heading of the groups.
fn grouped(language: Language, by: &str, read: usize, left_out: usize) -> String {
    match (left_out, language) {
        (0, _) => format!("{}{by}", say(language, "All, by ", "全部，按 ")),
        (_, Language::En) => format!("The {read} most urgent, by {by}"),
        (_, Language::Zh) => format!("最紧急的 {read} 个，按 {by}"),
    }
}

/// The body of the page: `known` are ordered by [`named_first`], and the most urgent of those that are open.
pub(super) fn body(viewer: &Viewer, known: &[Known], open: &OpenIncidents) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let critical = open.count(|count| count.rank == 0 && count.state == IncidentState::Firing);
    let first = known.iter().min_by_key(|one| one.incident.opened_at);
    let by = group_label(known);
    let mut groups: BTreeMap<&str, Vec<&Known>> = BTreeMap::new();
    for (one, labels) in known.iter().filter_map(|one| Some((one, one.labels()?))) {
        groups.entry(labels.get(by).map_or("", String::as_str)).or_default().push(one);
    }
    let read: usize = groups.values().map(Vec::len).sum();
    let left_out = left_out(open.count(|_| true), known.len(), read);
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    let not_acked = known.iter().filter(|one| is_meant(one, "", "")).count();
    html! {
        div.note.acc { (icon("ask")) div { p {
            b { (shared_by(language, read, left_out)) }
            @for (name, value, n) in shares(known) { (label(&name, &value)) (say(language, " in ", "：")) (n) (say(language, ". ", " 个。")) }
            @if let Some(first) = first { (say(language, "First: ", "最早：")) a href={ "/ui/incidents/" (first.incident.id) } { (shown(&first.incident.title)) } (say(language, ", ", "，")) (time::since(manner, first.incident.opened_at)) (say(language, ".", "。")) }
        } @if viewer.operates && not_acked > 0 { div.acts { a.b href=(path("", "")) { (say(language, "Ack ", "认领 ")) (count(language, not_acked as u64, "incident", "incidents", "个事件")) "…" } } } } }
        section.sec { h2 { (say(language, "Critical, not acked", "严重且待认领")) " " span.dim { (critical) } }
            ol.list { @for one in known.iter().filter(|one| is_named(one)).take(MAX_NAMED) { (row(viewer, one)) } }
            @if critical > MAX_NAMED { p.dim.s.mt { (critical - MAX_NAMED) (say(language, " more, below or in History", " 个更多，见下方分组或「历史」")) } }
        }
        section.sec { h2 { (grouped(language, by, read, left_out)) }
            ol.list { @for (value, members) in groups.iter().take(GROUPS) { (group(viewer, by, value, members)) } }
            @if groups.len() > GROUPS { p.dim.s.mt { (groups.len() - GROUPS) (say(language, " more groups", " 个更多分组")) } }
            @if left_out > 0 { p.dim.s.mt { "+" (left_out) (say(language, " more that are not shown here: see ", " 个未在此显示，见")) a.l href="/ui/history?view=incidents" { (say(language, "History", "历史")) } } }
        }
    }
}

fn group(viewer: &Viewer, by: &str, value: &str, members: &[&Known]) -> Markup {
    let language = viewer.manner.language;
    let oldest = members.iter().map(|one| one.incident.opened_at).min();
    let counts = Severity::ALL.map(|severity| (severity, members.iter().filter(|one| one.severity() == severity).count()));
    let mut at = 0.0;
    let total = members.len() as f64;
    let not_acked = members.iter().filter(|one| is_meant(one, "", "")).count();
    html! {
        li.grp data-row {
            details {
                summary { b { @if value.is_empty() { (say(language, "without ", "无 ")) (by) } @else { (shown(value)) } } " " span.dim { (count(language, members.len() as u64, "incident", "incidents", "个事件")) } }
                ul.rows { @for one in members.iter().take(GROUPS) { li { (mark(language, one.severity())) a href={ "/ui/incidents/" (one.incident.id) } { (shown(&one.incident.title)) } } }
                    @if members.len() > GROUPS { li { span.dim { "+" (members.len() - GROUPS) } } } }
            }
            div.cnt { @for (severity, n) in counts { @if n > 0 { span.(Look::of_severity(severity).class) { (icon(Look::of_severity(severity).icon)) b.n { (n) } span.vh { " " (say(language, Look::of_severity(severity).en, Look::of_severity(severity).zh)) } } } } }
            svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
                @for (class, (_, n)) in ["f1", "f2", "f3", "f4"].into_iter().zip(counts) { @if n > 0 {
                    @let width = n as f64 * 100.0 / total;
                    rect class=(class) x=(format!("{at:.2}")) width=(format!("{width:.2}")) height="8" {}
                    @let () = at += width;
                } }
            }
            span.dim.s.n.old { @if let Some(oldest) = oldest { b { (say(language, "oldest ", "最早 ")) } (time::ago(&viewer.manner, oldest)) } }
            @if viewer.operates && not_acked > 0 { div.end { a.b href=(path(by, value)) { (say(language, "Ack ", "认领 ")) (not_acked) "…" } } }
        }
    }
}

/// What a channel was sent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sent {
    alerts: u32,
    messages: BTreeSet<MessageId>,
    /// The longest time from an alert to its message.
    longest_ms: i64,
}

/// What each channel was sent of what came since a time, the most alerts first.
fn sent_since(rows: &[DeliveryRow], since: UnixMs) -> Vec<(&str, Sent)> {
    let mut all: BTreeMap<&str, Sent> = BTreeMap::new();
    let sent = rows.iter().filter(|row| row.state == State::Sent && row.born_at >= since);
    for (row, message) in sent.filter_map(|row| Some((row, row.message?))) {
        let one = all.entry(&row.channel).or_default();
        one.alerts = one.alerts.saturating_add(row.firing).saturating_add(row.resolved);
        one.messages.insert(message);
        one.longest_ms = one.longest_ms.max(row.done_at.map_or(0, |done| done - row.born_at));
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(_, one)| std::cmp::Reverse(one.alerts));
    all
}

/// What people were sent meanwhile.
pub(super) async fn sent(app: &App, viewer: &Viewer) -> Result<Markup, Failure> {
    let (since, language) = (UnixMs::from(viewer.manner.now) - HOUR_MS, viewer.manner.language);
    let rows = app.engine.query().list_deliveries(&DeliveryFilter { limit: DELIVERIES, ..DeliveryFilter::default() }).await?;
    let is_cut = rows.len() == DELIVERIES && rows.last().is_some_and(|row| row.born_at >= since);
    let sent = sent_since(&rows, since);
    Ok(html! {
        section.sec { h2 { (say(language, "Sent in the last hour", "最近一小时已发送")) a.l.s.end href="/ui/history?state=sent" { (say(language, "History", "历史")) } }
            ul.card.rows {
                @if sent.is_empty() { li { span.dim { (say(language, "Nothing yet.", "尚无。")) } } }
                @for (channel, one) in sent.iter().take(CHANNELS) { li {
                    b.c1 { (shown(channel)) }
                    span.dim.s.end { (count(language, one.alerts.into(), "alert in ", "alerts in ", "条告警，")) (count(language, one.messages.len() as u64, "message", "messages", "条消息")) }
                    span.dim.s { (say(language, "at most ", "最大延迟 ")) (time::span(language, one.longest_ms)) (say(language, " after it came", "")) }
                } }
                @if sent.len() > CHANNELS { li { span.dim { "+" (sent.len() - CHANNELS) } } }
                @if is_cut { li { span.dim.s { (say(language, "Of the newest ", "仅最近 ")) (DELIVERIES) (say(language, " deliveries.", " 条投递。")) } } }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeliveryId, EventId};
    use crate::store::Mode;

    #[test]
    fn what_was_sent_meanwhile_is_counted_by_channel() {
        let messages = [MessageId::new(), MessageId::new()];
        let row = |channel: &str, state: State, born: i64, message: Option<MessageId>| DeliveryRow {
            id: DeliveryId::new(),
            event: EventId::new(),
            channel: channel.to_owned(),
            state,
            mode: Mode::Queued,
            rank: 0,
            title: String::new(),
            firing: 3,
            resolved: 1,
            born_at: UnixMs(born),
            due_at: UnixMs(born),
            tries: 1,
            message,
            fallback_of: None,
            done_at: message.map(|_| UnixMs(9_000)),
            reason: None,
            incident: None,
        };
        let rows = [
            row("a", State::Sent, 8_000, Some(messages[0])),
            row("b", State::Sent, 5_000, Some(messages[1])),
            row("b", State::Sent, 6_000, Some(messages[1])),
            row("b", State::Waiting, 6_000, None),
            row("b", State::Dead, 6_000, Some(messages[0])),
            row("b", State::Sent, 4_999, Some(messages[0])),
        ];
        let of = |alerts, message, longest_ms| Sent { alerts, messages: BTreeSet::from([message]), longest_ms };
        assert_eq!(sent_since(&rows, UnixMs(5_000)), [("b", of(8, messages[1], 4_000)), ("a", of(4, messages[0], 1_000))]);
    }

    #[test]
    fn of_more_than_are_read_the_page_says_of_how_many_it_speaks() {
        let all = |open: usize, found: usize| left_out(open, found, found);
        assert_eq!((all(40, 33), all(200, MAX_OPEN), all(2_800, MAX_OPEN)), (0, 0, 2_600), "a count of a moment ago is no rest");
        assert_eq!((left_out(40, 40, 12), left_out(2_800, MAX_OPEN, 150)), (28, 2_650), "those whose labels were not read are rest");
        assert_eq!((shared_by(Language::En, 33, 0), grouped(Language::Zh, "team", 33, 0)), ("What they share: ".into(), "全部，按 team".into()));
        assert_eq!(shared_by(Language::En, 500, 2_300), "What the 500 most urgent share: ");
        assert_eq!(grouped(Language::Zh, "team", 500, 2_300), "最紧急的 500 个，按 team");
    }
}
