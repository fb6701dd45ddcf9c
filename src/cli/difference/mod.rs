//! `watchfire check --diff OLD NEW`: which label sets go another way. Compared are the label sets that the matchers of the two configurations can
//! distinguish, each with all labels that any of them names: missing, with every value that is named, and with values that none names. A pattern without
//! a finite set of texts is compared by examples, so that a change may be missed.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::ExitStatus;
use crate::config::{self, LoadOptions};
use crate::delivery::{Clock, Plan};
use crate::model::{CHANNEL_LABEL, Labels, Mentions, UnixMs};
use crate::route::re2::Pattern;
use crate::route::{ByLabel, Matcher, Mute, Node, Op};

/// Label sets that are compared at most.
const MAX_LABEL_SETS: usize = 200_000;
/// Labels of them at most, all together: some tens of megabytes.
const MOST_LABELS: usize = 4_000_000;
/// Values that few patterns name.
const OTHERS: [&str; 5] = ["other", "~", "0", "Ω", "6fa1c0de-7a52-4c0e-9d3b-0f2f3b6f4e11"];

/// Values of a label that no matcher distinguishes.
struct Class {
    /// One of them.
    value: String,
    /// Those that are named; none for the values that no matcher names.
    named: Vec<String>,
}

impl Class {
    fn is_missing(&self) -> bool {
        self.named.iter().all(String::is_empty) && !self.named.is_empty()
    }
}

/// A label, and its classes; the first holds the missing label.
struct Label {
    name: String,
    classes: Vec<Class>,
    /// A pattern of it has no finite set of texts: the classes are those of examples.
    by_examples: bool,
}

/// A label set: for each label the index of its class.
type Set = Vec<usize>;

/// What the two configurations do with a label set.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    old: String,
    new: String,
}

/// Compares two configurations and prints what changes. Exits with 2 when one cannot be loaded, and when there are too many label sets for all of them.
pub fn run(old: &Path, new: &Path, as_json: bool) -> Result<ExitStatus> {
    let [old, new] = [old, new].map(|path| {
        config::load(path, &LoadOptions::without_secrets()).map(|loaded| loaded.plan).unwrap_or_else(|findings| {
            anstream::eprintln!("{}", config::report(&findings));
            std::process::exit(2);
        })
    });
    let (old, new) = with_other_mutes(old, new, Clock::system().wall());
    let labels = labels(&old, &new);
    let (sets, all) = sets(&labels, &[&old, &new]);
    let count = sets.len();
    let changes = changes(&labels, sets, &old, &new);
    let mut why = Vec::new();
    if labels.iter().any(|label| label.by_examples) {
        why.push("patterns were compared by examples".to_owned());
    }
    if !all {
        why.push(format!("there are more label sets than the {count} that were compared: those that lead to each route, with one label changed"));
    }
    if as_json {
        let rows: Vec<_> =
            changes.iter().map(|(set, change)| json!({ "labels": written(&labels, set), "old": change.old, "new": change.new })).collect();
        anstream::println!("{}", json!({ "complete": why.is_empty(), "incomplete_because": why, "changes": rows }));
    } else {
        why.iter().for_each(|why| anstream::eprintln!("{why}"));
        for (set, change) in &changes {
            anstream::println!("{{{}}}: {} -> {}", written(&labels, set), change.old, change.new);
        }
    }
    if !all {
        std::process::exit(2);
    }
    Ok(if changes.is_empty() { ExitStatus::Success } else { ExitStatus::Failure })
}

/// The two without the mutes that both have, which change nothing, and without those that are over.
fn with_other_mutes(old: Plan, new: Plan, now: UnixMs) -> (Plan, Plan) {
    let of = |plan: &Plan| plan.tree.mutes().iter().filter(|mute| !mute.time.is_over(now)).cloned().collect::<Vec<Mute>>();
    let without = |mut plan: Plan, mutes: &[Mute], others: &[Mute]| {
        let is_other = |mute: &&Mute| others.iter().all(|other| (&other.text, other.drop) != (&mute.text, mute.drop));
        plan.tree = plan.tree.with_mutes(mutes.iter().filter(is_other).cloned().collect());
        plan
    };
    let (olds, news) = (of(&old), of(&new));
    (without(old, &olds, &news), without(new, &news, &olds))
}

/// Every label that decides something, by name.
fn labels(old: &Plan, new: &Plan) -> Vec<Label> {
    let mut matchers: BTreeMap<&str, Vec<&Matcher>> = BTreeMap::new();
    let mut owners: BTreeMap<&str, Vec<&ByLabel>> = BTreeMap::new();
    for plan in [old, new] {
        let heartbeats = plan.heartbeats.iter().flat_map(|heartbeat| &heartbeat.matchers);
        let mutes = plan.tree.mutes().iter().flat_map(|mute| &mute.matchers).filter(|matcher| matcher.name() != CHANNEL_LABEL);
        for matcher in plan.tree.nodes().iter().flat_map(|node| &node.matchers).chain(heartbeats).chain(mutes) {
            matchers.entry(matcher.name()).or_default().push(matcher);
        }
        for by_label in plan.tree.nodes().iter().filter_map(|node| node.to.by_label.as_deref()) {
            matchers.entry(&by_label.label).or_default();
            owners.entry(&by_label.label).or_default().push(by_label);
        }
    }
    let label = |(name, mut matchers): (&str, Vec<&Matcher>)| {
        matchers.sort_by_key(|matcher| (matcher.op(), matcher.value()));
        matchers.dedup();
        let owners = owners.get(name).map(Vec::as_slice).unwrap_or_default();
        let by_examples = matchers.iter().any(|matcher| is_open(matcher));
        Label { name: name.to_owned(), classes: classes(&matchers, owners), by_examples }
    };
    matchers.into_iter().map(label).collect()
}

/// Whether the texts of its pattern cannot be listed.
fn is_open(matcher: &Matcher) -> bool {
    matches!(matcher.op(), Op::Regex | Op::NotRegex) && Pattern::new(matcher.value()).is_ok_and(|pattern| pattern.texts().is_none())
}

fn classes(matchers: &[&Matcher], owners: &[&ByLabel]) -> Vec<Class> {
    let mut named: Vec<String> = matchers.iter().flat_map(|matcher| matcher.named_values()).collect();
    named.extend(owners.iter().flat_map(|by_label| by_label.channels.keys().cloned()));
    named.sort();
    named.dedup();
    named.retain(|value| !value.is_empty());
    let mut others = OTHERS.map(str::to_owned);
    for other in &mut others {
        while named.contains(other) {
            other.push_str("-one");
        }
    }
    let behaviour = |value: &str| {
        let met: Vec<bool> = matchers.iter().map(|matcher| matcher.matches_value(value)).collect();
        let channels: Vec<_> = owners.iter().map(|by_label| by_label.channels.get(value)).collect();
        (met, channels)
    };
    let mut classes: Vec<Class> = Vec::new();
    let mut known = HashMap::new();
    for value in std::iter::once(String::new()).chain(named) {
        let at = *known.entry(behaviour(&value)).or_insert(classes.len());
        match classes.get_mut(at) {
            Some(class) => class.named.push(value),
            None => classes.push(Class { value: value.clone(), named: vec![value] }),
        }
    }
    for other in others {
        if let Entry::Vacant(entry) = known.entry(behaviour(&other)) {
            entry.insert(classes.len());
            classes.push(Class { value: other, named: Vec::new() });
        }
    }
    classes
}

/// The label sets that are compared, and whether they are all.
fn sets(labels: &[Label], plans: &[&Plan]) -> (Vec<Set>, bool) {
    let most = MAX_LABEL_SETS.min(MOST_LABELS / labels.len().max(1));
    let all = labels.iter().try_fold(1_usize, |product, label| product.checked_mul(label.classes.len()).filter(|product| *product <= most));
    let none = vec![0; labels.len()];
    if all.is_some() {
        let mut sets = vec![none];
        for (at, label) in labels.iter().enumerate() {
            let more = |set: Set| {
                (0..label.classes.len()).map(move |class| {
                    let mut set = set.clone();
                    set[at] = class;
                    set
                })
            };
            sets = sets.into_iter().flat_map(more).collect();
        }
        return (sets, true);
    }
    let mut sets = vec![none];
    for plan in plans {
        for node in 0..plan.tree.nodes().len() {
            sets.extend(leading_to(labels, plan, node));
        }
    }
    sets.truncate(most);
    let bases = sets.len();
    for base in 0..bases {
        for (at, label) in labels.iter().enumerate() {
            for class in 0..label.classes.len() {
                if sets.len() >= most {
                    return (sets, false);
                }
                let mut set = sets[base].clone();
                set[at] = class;
                sets.push(set);
            }
        }
    }
    (sets, false)
}

/// A label set that satisfies a route and those above it, if there is one among the classes.
fn leading_to(labels: &[Label], plan: &Plan, node: usize) -> Option<Set> {
    let nodes = plan.tree.nodes();
    let path: Vec<&Matcher> = std::iter::successors(Some(node), |at| nodes[*at].parent).flat_map(|at| &nodes[at].matchers).collect();
    labels
        .iter()
        .map(|label| {
            label.classes.iter().position(|class| path.iter().all(|matcher| matcher.name() != label.name || matcher.matches_value(&class.value)))
        })
        .collect()
}

/// The label sets that change their way, without those of which a smaller one changes in the same way.
fn changes(labels: &[Label], sets: Vec<Set>, old: &Plan, new: &Plan) -> Vec<(Set, Change)> {
    let mut found: BTreeMap<Set, Change> = BTreeMap::new();
    for set in sets {
        let pairs = labels.iter().zip(&set).map(|(label, class)| (label.name.clone(), label.classes[*class].value.clone()));
        let labels: Labels = pairs.filter(|(_, value)| !value.is_empty()).collect();
        let change = Change { old: way(old, &labels), new: way(new, &labels) };
        if change.old != change.new {
            found.insert(set, change);
        }
    }
    let is_special = |set: &Set, change: &Change| {
        set.iter().enumerate().filter(|(_, class)| **class != 0).any(|(at, _)| {
            let mut smaller = set.clone();
            smaller[at] = 0;
            found.get(&smaller) == Some(change)
        })
    };
    let mut least: Vec<(Set, Change)> =
        found.iter().filter(|(set, change)| !is_special(set, change)).map(|(set, change)| (set.clone(), change.clone())).collect();
    least.sort_by_key(|(set, _)| (set.iter().filter(|class| **class != 0).count(), set.clone()));
    least
}

/// Where a configuration sends a label set, in words.
fn way(plan: &Plan, labels: &Labels) -> String {
    if let Some(heartbeat) = plan.absorbed(labels) {
        return format!("the heartbeat {}", heartbeat.name);
    }
    let mut selected = Vec::new();
    plan.tree.select(labels, &mut selected);
    let mut channels: Vec<(&str, String)> = Vec::new();
    for node in selected.into_iter().map(|at| &plan.tree.nodes()[at]) {
        let by_route = how(node);
        for channel in node.to.of(labels) {
            if !channels.iter().any(|(known, _)| *known == &**channel) {
                let how: Vec<String> = by_route.iter().cloned().chain(kept(plan, channel, labels)).collect();
                channels.push((channel, if how.is_empty() { String::new() } else { format!(" ({})", how.join(", ")) }));
            }
        }
    }
    channels.into_iter().map(|(channel, how)| format!("{channel}{how}")).collect::<Vec<_>>().join(", ")
}

/// What keeps alerts from a channel, whichever route leads there.
fn kept(plan: &Plan, channel: &str, labels: &Labels) -> Vec<String> {
    let mutes = plan.tree.mutes().iter().filter(|mute| mute.matches(channel, labels));
    let muted = mutes.map(|mute| format!("muted by {}{}", mute.text, if mute.drop { ", on_mute drop" } else { "" }));
    (!plan.sends(channel)).then(|| "disabled".to_owned()).into_iter().chain(muted).collect()
}

/// What a route says besides its channels: names only, of intervals and escalations.
fn how(node: &Node) -> Vec<String> {
    let mut how = Vec::new();
    how.extend(node.escalation.as_ref().map(|name| format!("escalation {name}")));
    how.extend(node.template.as_ref().map(|name| format!("template {name}")));
    how.extend(node.mentions.as_ref().map(|mentions| format!("mentions {}", pinged(mentions))));
    how.extend(node.send_resolved.map(|sent| format!("send_resolved {sent}")));
    how.extend(node.mute.iter().map(|interval| format!("not in {}", interval.name())));
    how.extend(node.active.iter().map(|interval| format!("only in {}", interval.name())));
    how.extend(node.mute_drop.then(|| "on_mute drop".to_owned()));
    how
}

/// The keys of mentions that say something.
fn pinged(mentions: &Mentions) -> String {
    let mut keys = json!(mentions);
    if let Some(keys) = keys.as_object_mut() {
        keys.retain(|_, value| *value != json!(false) && *value != json!([]) && !value.is_null());
    }
    keys.to_string()
}

/// A label set as matchers.
fn written(labels: &[Label], set: &[usize]) -> String {
    let classes = labels.iter().zip(set).map(|(label, class)| (&label.name, &label.classes[*class])).filter(|(_, class)| !class.is_missing());
    let written = classes.map(|(name, class)| match class.named.as_slice() {
        [] if class.value.starts_with(OTHERS[0]) => format!("{name}=(any other)"),
        [] => format!("{name}=(others, as {:?})", class.value),
        [one] => format!("{name}={one:?}"),
        several => format!("{name}=~{:?}", several.join("|")),
    });
    written.collect::<Vec<_>>().join(", ")
}
