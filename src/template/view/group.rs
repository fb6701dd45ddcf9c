//! What the alerts of a message share: it is said once, and each alert says in one line what is its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Alert, Labels, Severity, SeverityScale};

use super::super::words;
use super::describe::{Described, says};
use super::labels::{annotations, labels};
use super::links::Addresses;
use super::{Entry, EntryStatus, Scene, ViewInput, prose, repeats};

/// In place of what differs between the alerts.
pub const GAP: char = '…';
/// Labels by which alerts that have no line of their own are counted, the first that separates them.
const COUNTED_BY: [&str; 8] = ["namespace", "cluster", "region", "zone", "env", "job", "service", "rack"];
/// Places that a count names.
const MAX_PLACES: usize = 6;
/// Lines of a message of many alerts.
const MAX_LINES: usize = 8;
/// Alerts that are named where there is room for a few words.
const MAX_WORST: usize = 3;
/// Characters of all their names: a call is cut behind 200, and the names of pods are long.
const MAX_WORST_CHARACTERS: usize = 80;
/// Characters of an alert's text in a line of its own, where a page shows the whole.
pub const MAX_LINE: usize = 120;
/// So many alerts have a line each.
const ALL_LINES: usize = 12;

/// How many of the alerts have a line of their own in a message that is read at a glance: all of a few, else the first, and every one that fires as critical
/// or error, so that none of a storm's is only counted.
pub fn lines(entries: &[Entry<'_>], scale: &SeverityScale) -> usize {
    let severe = |entry: &&Entry<'_>| entry.status == EntryStatus::Firing && scale.of(entry.alert) <= Severity::Error;
    if entries.len() <= ALL_LINES { entries.len() } else { entries.iter().take_while(severe).count().max(MAX_LINES) }
}

/// What several alerts share.
#[derive(Debug, Default)]
pub struct Group {
    /// Their name; empty when they have several.
    pub name: String,
    /// What each of them says in its summary, with a gap where only the place differs; empty when they differ in more.
    pub summary: String,
    /// The same of their descriptions; empty when it is the summary's.
    pub description: String,
    /// Labels that all have, beside the hidden ones.
    pub labels: Vec<(String, String)>,
    /// Annotations that all have, beside the hidden ones.
    pub annotations: Vec<(String, String)>,
    /// Their runbook.
    pub runbook: String,
    /// Their dashboard.
    pub dashboard: String,
    /// How all their places begin: the headline or the shared labels say it (`shop/`).
    prefix: String,
    /// Whether short places are enough to distinguish them.
    pub short: bool,
    /// Whether what each says beside its summary is said of all.
    described: bool,
    shared_labels: BTreeSet<String>,
    shared_annotations: BTreeSet<String>,
}

/// What an alert says in its own line.
#[derive(Debug, Default)]
pub struct Line {
    /// Its place; empty where its text names it.
    pub place: String,
    /// What it says, where the others say something else.
    pub text: String,
    /// Labels and annotations in which it differs.
    pub own: Vec<(String, String)>,
    /// Its runbook, where the others have another.
    pub runbook: String,
    /// What it says beside its line, where no page shows it.
    pub body: String,
}

/// The first text that says what is wrong.
pub fn sentence(alert: &Alert) -> &str {
    ["summary", "message", "description"].iter().map(|name| alert.annotation(name).trim()).find(|text| !text.is_empty()).unwrap_or_default()
}

impl Group {
    /// Reads what the alerts of a message share; `None` for one alert, and for a digest, whose alerts are of several groups.
    pub fn of(input: &Scene<'_>) -> Option<Self> {
        if !input.is_group() {
            return None;
        }
        let all: Vec<(&Alert, &Described<'_>)> = input.all.iter().enumerate().map(|(at, entry)| (entry.alert, input.described(at))).collect();
        let common = |one: &dyn Fn(&Alert, &Described<'_>) -> String| {
            let first = all.first().map(|(alert, described)| one(alert, described)).unwrap_or_default();
            if all.iter().all(|(alert, described)| one(alert, described) == first) { first } else { String::new() }
        };
        let shared = |read: fn(&Alert) -> &Labels| {
            let mut kept = all.first().map(|(alert, _)| read(alert).clone()).unwrap_or_default();
            all.iter().skip(1).for_each(|(alert, _)| kept.retain(|name, value| read(alert).get(name) == Some(value)));
            kept
        };
        let shared_labels = shared(|alert| &alert.labels);
        let own = |name: &str| name != "alertname" && name != input.scale.label && !shared_labels.contains_key(name);
        let text = |names: &'static [&'static str]| {
            let read = move |alert: &Alert| {
                names.iter().map(|name| alert.annotation(name).trim()).find(|text| !text.is_empty()).unwrap_or_default().to_owned()
            };
            let exact = common(&|alert, _| read(alert));
            if exact.is_empty() { common(&|alert, described| gapped(&read(alert), alert, described, &own)) } else { exact }
        };
        let summary = prose::reflow(&text(&["summary", "message", "description"]));
        let description = prose::reflow(&text(&["description", "message"]));
        let described = !description.is_empty();
        let url = |read: for<'u, 'e> fn(&'u Addresses<'e>) -> &'u str| {
            let mut urls = (0..all.len()).map(|at| read(input.addresses(at)));
            let first = urls.next().unwrap_or_default();
            if urls.all(|one| one == first) { first.to_owned() } else { String::new() }
        };
        let shared_annotations = shared(|alert| &alert.annotations);
        let short: BTreeSet<String> = all.iter().map(|(_, described)| described.place.whole()).collect();
        let full: BTreeSet<&str> = all.iter().map(|(_, described)| described.place.full.as_str()).collect();
        // A label by which the sender groups is worth its line.
        let scraped =
            |name: &&str| !input.event.group_labels.contains_key(*name) && all.iter().all(|(_, described)| described.place.scraped.contains(name));
        let scraped: Vec<&str> = shared_labels.keys().map(String::as_str).filter(scraped).collect();
        let sample = Alert { labels: shared_labels.clone(), annotations: shared_annotations.clone(), ..Alert::default() };
        Some(Self {
            name: common(&|_, described| described.name.clone()),
            description: if description == summary { String::new() } else { description },
            summary,
            labels: labels(&sample, &scraped, input)
                .into_iter()
                // What the sender groups by is in the title, as far as there is room.
                .filter(|(name, value)| {
                    let grouped_by = input.event.group_labels.values().any(|grouped| grouped == value);
                    input.shown.labels.shows(name) || !(grouped_by && says(input.subject(), value))
                })
                .collect(),
            annotations: annotations(&sample, input),
            runbook: url(|addresses| addresses.runbook()),
            dashboard: url(|addresses| addresses.dashboard()),
            prefix: shared_labels.get("namespace").map(|namespace| format!("{namespace}/")).unwrap_or_default(),
            short: short.len() == full.len(),
            described,
            shared_labels: shared_labels.into_keys().collect(),
            shared_annotations: shared_annotations.into_keys().collect(),
        })
    }

    /// A place without what is said of all of them.
    fn within<'p>(&self, place: &'p str) -> &'p str {
        place.strip_prefix(self.prefix.as_str()).unwrap_or(place)
    }

    /// What an alert of them says in its line.
    pub fn line(&self, alert: &Alert, status: EntryStatus, described: &Described<'_>, runbook: &str, input: &ViewInput<'_>) -> Line {
        // What is over says its name and place: its sentence is in the present tense, its value that of the alarm.
        let over = status != EntryStatus::Firing;
        let whole = if over || !self.summary.is_empty() { String::new() } else { prose::reflow(sentence(alert)) };
        let (text, rest) = whole.split_once('\n').unwrap_or((whole.as_str(), ""));
        // Where values are shortened to fit, what and where come first.
        let alone = !over && input.details_url.is_empty() && input.max_value > MAX_LINE;
        let body = if alone { self.body(alert, rest.trim(), input) } else { String::new() };
        let text = text.to_owned();
        let in_full = described.place.whole();
        let place = self.within(if self.short { &in_full } else { &described.place.full }).to_owned();
        let short = self.within(&described.place.short);
        let named = !short.is_empty() && text.contains(short) && (self.short || text.contains(&described.place.full));
        let mut own: Vec<(String, String)> = Vec::new();
        if !over {
            own.extend(labels(alert, &described.place.shown, input).into_iter().filter(|(name, _)| !self.shared_labels.contains(name)));
            own.extend(annotations(alert, input).into_iter().filter(|(name, _)| !self.shared_annotations.contains(name)));
        }
        let runbook = if over || runbook == self.runbook { String::new() } else { runbook.to_owned() };
        Line { place: if named { String::new() } else { place }, text, own, runbook, body }
    }

    /// What an alert of them says beside its line and what is said of all: the `rest` of its sentence, and what it is described with.
    fn body(&self, alert: &Alert, rest: &str, input: &ViewInput<'_>) -> String {
        let described = ["description", "message"].map(|name| alert.annotation(name).trim()).into_iter().filter(|text| !text.is_empty());
        let own = described.skip(usize::from(self.described)).filter(|text| *text != sentence(alert) && !repeats(input, text));
        let texts = own.map(prose::reflow);
        std::iter::once(rest.to_owned()).chain(texts).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

/// A text with what only this alert's labels say left out: two alerts that differ in nothing else say the same.
fn gapped(text: &str, alert: &Alert, described: &Described<'_>, own: &dyn Fn(&str) -> bool) -> String {
    let mut values: Vec<&str> = alert.labels.iter().filter(|(name, _)| own(name)).map(|(_, value)| value.as_str()).collect();
    let whole = described.place.whole();
    values.extend([described.place.full.as_str(), described.place.short.as_str(), whole.as_str()]);
    values.retain(|value| value.chars().count() >= 2);
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.dedup();
    let mut out = text.to_owned();
    for value in values {
        if out.contains(value) {
            out = out.replace(value, "…");
        }
    }
    while out.contains("……") {
        out = out.replace("……", "…");
    }
    // A text that is hardly more than its gaps says nothing of all of them.
    let said = out.chars().filter(|c| c.is_alphanumeric()).count();
    if said * 2 < text.chars().filter(|c| c.is_alphanumeric()).count() { format!("{text}\u{0}") } else { out }
}

/// The alerts that have no line on this page nor on one before it, counted by severity and place: `+88 warning: 61 in shop, 27 in search`.
pub fn rest(input: &ViewInput<'_>) -> Vec<String> {
    let left = input.all.get(input.range.end..).unwrap_or_default();
    if input.totals.more == 0 || !input.is_group() {
        return Vec::new();
    }
    let by = COUNTED_BY.into_iter().find(|name| {
        let places: BTreeSet<&str> = left.iter().map(|entry| entry.alert.label(name)).collect();
        (2..=MAX_PLACES).contains(&places.len()) && !places.contains("")
    });
    // By what they claim, most severe first, then those that claim nothing, what is not reported any more, and what is over.
    let mut counts: BTreeMap<(EntryStatus, bool, Severity), Vec<&Alert>> = BTreeMap::new();
    for entry in left {
        let status = if entry.status.is_over() { EntryStatus::Resolved } else { entry.status };
        let severity = input.scale.known(entry.alert).filter(|_| status == EntryStatus::Firing);
        counts.entry((status, severity.is_none(), severity.unwrap_or_default())).or_default().push(entry.alert);
    }
    let unseen = input.totals.more.saturating_sub(left.len());
    let mut out = Vec::new();
    for ((status, unknown, severity), alerts) in counts {
        let word = match (status, unknown) {
            (EntryStatus::Firing, false) => words::severity(input.language, severity),
            (EntryStatus::Firing, true) => words::own(input.language, "active"),
            (EntryStatus::Unreported, _) => words::own(input.language, "not_reported"),
            (EntryStatus::CameAndWent | EntryStatus::Resolved, _) => words::own(input.language, "over"),
        };
        let mut line = words::filled(input.language, "rest", &[("n", &alerts.len().to_string()), ("what", word)]);
        if let Some(by) = by {
            let mut places: BTreeMap<&str, usize> = BTreeMap::new();
            alerts.iter().for_each(|alert| *places.entry(alert.label(by)).or_default() += 1);
            let mut places: Vec<(&str, usize)> = places.into_iter().collect();
            places.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let each: Vec<String> =
                places.iter().map(|(place, n)| words::filled(input.language, "rest_in", &[("n", &n.to_string()), ("place", place)])).collect();
            line.push_str(words::own(input.language, "colon"));
            line.push_str(&each.join(words::own(input.language, "list")));
        }
        out.push(line);
    }
    if unseen > 0 {
        out.push(words::filled(input.language, "more", &[("n", &unseen.to_string())]));
    }
    out
}

/// Where the worst of several alerts fire, and how many more do: `web-01, web-02, web-03 and 9 more`, each with its name where the names differ. Empty
/// for one alert, and when nothing fires.
pub fn worst(input: &Scene<'_>) -> String {
    let group = input.group();
    let named_above = group.is_some_and(|group| !group.name.is_empty());
    let mut said: Vec<String> = Vec::new();
    let (mut counted, mut room) = (0, MAX_WORST_CHARACTERS);
    let firing = input.all.iter().enumerate().filter(|(_, entry)| !input.is_single() && entry.status == EntryStatus::Firing);
    // Disks of one machine differ in what of it they are.
    let one_machine = group.is_some() && (1..input.all.len()).all(|at| input.described(at).place.short == input.described(0).place.short);
    for (at, _) in firing {
        let described = input.described(at);
        let name = if named_above { "" } else { described.name.as_str() };
        let place = if one_machine { described.place.whole() } else { described.place.short.clone() };
        let place = group.map_or(place.as_str(), |group| group.within(&place));
        let text = [name, place].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
        let known = said.contains(&text);
        let characters = text.chars().count();
        if known {
            counted += 1;
        } else if !text.is_empty() && said.len() < MAX_WORST && (said.is_empty() || characters <= room) {
            room = room.saturating_sub(characters);
            said.push(text);
            counted += 1;
        } else if !text.is_empty() {
            // What follows is less severe.
            room = 0;
        }
    }
    let what = said.join(words::own(input.language, "list"));
    match input.totals.firing.saturating_sub(counted) {
        0 => what,
        _ if what.is_empty() => what,
        left => words::filled(input.language, "and_more", &[("what", &what), ("n", &left.to_string())]),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::super::Now;
    use super::*;
    use crate::model::{Event, Language, Shown};

    fn labels_of(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_label_that_is_asked_for_is_listed_though_the_title_says_it() {
        let grouped = [("alertname", "Down"), ("cluster", "eu-1")];
        let of = |instance: &str| Alert { labels: labels_of(&[grouped[0], grouped[1], ("instance", instance)]), ..Alert::default() };
        let alerts = [of("a"), of("b")];
        let event = Event { group_key: "g".into(), group_labels: labels_of(&grouped), ..Event::default() };
        let entries: Vec<Entry<'_>> = alerts.iter().map(|alert| Entry { alert, event: &event, status: EntryStatus::Firing }).collect();
        let scale = SeverityScale::default();
        let listed = |shown: &Shown| {
            let now = Now { at: Timestamp::UNIX_EPOCH, zone: &TimeZone::UTC };
            let scene = Scene::new(ViewInput::of(&entries, &event, Language::En, now, &scale, shown));
            scene.group().map(|group| group.labels.clone()).unwrap_or_default()
        };
        let mut shown = Shown::default();
        assert!(listed(&shown).is_empty());
        shown.labels.show.push("cluster".into());
        assert_eq!(listed(&shown), [("cluster".to_owned(), "eu-1".to_owned())]);
    }

    /// The title, the labels and the places of two alerts that are grouped by these labels.
    fn read(shared: &[(&str, &str)], own: [(&str, &str); 2], by: &[&str]) -> (String, String, String) {
        let of = |one: (&str, &str)| Alert { labels: labels_of(&[shared, &[one]].concat()), ..Alert::default() };
        let alerts = own.map(of);
        let grouped: Vec<(&str, &str)> = shared.iter().filter(|(name, _)| by.contains(name)).copied().collect();
        let event = Event { group_key: "g".into(), group_labels: labels_of(&grouped), ..Event::default() };
        let entries: Vec<Entry<'_>> = alerts.iter().map(|alert| Entry { alert, event: &event, status: EntryStatus::Firing }).collect();
        let (scale, shown) = (SeverityScale::default(), Shown::default());
        let now = Now { at: Timestamp::UNIX_EPOCH, zone: &TimeZone::UTC };
        let scene = Scene::new(ViewInput::of(&entries, &event, Language::En, now, &scale, &shown));
        let listed = scene.group().map(|group| group.labels.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" "));
        (scene.subject().to_owned(), listed.unwrap_or_default(), worst(&scene))
    }

    #[test]
    fn what_names_the_exporter_is_neither_in_the_title_of_several_nor_below_it() {
        let exporter = [
            ("alertname", "Replicas"),
            ("namespace", "shop"),
            ("job", "kube-state-metrics"),
            ("pod", "kube-state-metrics-x4vcd"),
            ("container", "kube-state-metrics"),
            ("instance", "10.42.7.1:8080"),
        ];
        let own = [("deployment", "cart"), ("deployment", "search")];
        let (title, listed, places) = read(&exporter, own, &["alertname", "namespace"]);
        assert_eq!([title.as_str(), &listed, &places], ["Replicas · shop", "", "cart, search"]);
        let (title, listed, _) = read(&exporter, own, &["alertname", "instance"]);
        assert_eq!([title.as_str(), &listed], ["Replicas", "instance namespace"], "what they are grouped by is said");
    }

    #[test]
    fn several_alerts_of_one_machine_are_titled_as_one_is() {
        let machine = [("alertname", "DiskFull"), ("instance", "db-1.prod.example.com:9100"), ("job", "node")];
        let own = [("mountpoint", "/"), ("mountpoint", "/var")];
        let (title, listed, places) = read(&machine, own, &["alertname", "instance"]);
        assert_eq!([title.as_str(), &listed], ["DiskFull · db-1", "instance job"], "the whole name is below, where it is copied");
        assert_eq!(places, "db-1 · /, db-1 · /var");
        let probe = [("alertname", "Down"), ("instance", "https://shop.example.com/cart?x=1")];
        assert_eq!(read(&probe, [("phase", "dns"), ("phase", "tls")], &["instance"]).0, "Down · shop.example.com/cart");
    }
}
