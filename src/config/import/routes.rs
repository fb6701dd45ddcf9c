//! The routing tree and the time intervals. Watchfire's semantics are Alertmanager's, so a route stays a route; what a route says about grouping stays
//! behind, in a tree of its own for the Alertmanager that remains. Knows no platform.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::by_label::{self, ByLabel};
use super::context::plain_name;
use super::reader::{Keys, Notes, scalar};
use super::text::Yaml;
use crate::model::Span;
use crate::model::yaml::{Kind, Node};
use crate::route::{Matcher, Op, matcher, tree::MAX_DEPTH};

/// What groups alerts and paces groups, which remains Alertmanager's.
const GROUPING: [&str; 4] = ["group_by", "group_wait", "group_interval", "repeat_interval"];

/// What reading routes needs.
pub struct ImportContext<'a> {
    /// Receiver to channels.
    pub channels: &'a IndexMap<String, Vec<String>>,
    /// Receivers that a label takes apart, with the label.
    pub by_label: &'a IndexMap<String, String>,
    /// All receivers that a label takes apart.
    pub apart: &'a IndexMap<String, ByLabel>,
    /// Interval to its name here.
    pub intervals: &'a IndexMap<String, String>,
    /// What is reported.
    pub notes: &'a mut Notes,
    /// The matchers of the routes from the first to the one that is read.
    pub above: Vec<Matcher>,
    /// Channels that only print because their room or address is made of a label: their alerts go to the nearest receiver above that notifies somebody.
    pub by_room: &'a BTreeSet<String>,
    /// Receivers of which such channels were dropped.
    pub moved: &'a BTreeSet<String>,
    /// Channels that only print.
    pub silent: &'a [String],
    /// The channels of that receiver, for the route that is read.
    pub notifies: Vec<String>,
}

impl ImportContext<'_> {
    /// Where a receiver's alerts go, as far as no label chooses; `None`: there is no such receiver.
    fn channels_of(&self, receiver: &str) -> Option<Vec<String>> {
        let mut channels = self.channels.get(receiver)?.clone();
        let prints = |channel: &String| self.by_room.contains(channel);
        if (self.moved.contains(receiver) || channels.iter().any(prints)) && !self.notifies.is_empty() {
            channels.retain(|channel| !prints(channel));
            let above: Vec<String> = self.notifies.iter().filter(|channel| !channels.contains(channel)).cloned().collect();
            channels.extend(above);
        }
        Some(channels)
    }
}

/// A route, twice: for Watchfire, and what of it remains.
pub struct Route {
    /// For routes.yaml.
    pub here: Yaml,
    /// For Alertmanager: matchers and grouping; `None` when nothing of it remains.
    pub there: Option<Yaml>,
    /// Whether it or a route below it groups otherwise than the route above.
    regroups: bool,
}

/// Reads a route and those below it; `inherited` is the receiver of the route above, `None` for the first.
pub fn route(node: &Node, depth: usize, inherited: Option<&str>, context: &mut ImportContext<'_>) -> Route {
    let root = depth == 0;
    let mut keys = Keys::new(node, "a route", context.notes);
    let mut here = Yaml::map::<&str>([]);
    let mut there = Yaml::map::<&str>([]);
    let matchers = matchers(&mut keys, context.notes);
    let goes_on = keys.flag("continue", context.notes).unwrap_or(false);
    let receiver = keys.text("receiver", context.notes);
    let (mute, active) = (intervals(&mut keys, "mute_time_intervals", context), intervals(&mut keys, "active_time_intervals", context));
    if root && (!matchers.is_empty() || goes_on || !mute.is_empty() || !active.is_empty() || receiver.is_none()) {
        let label = "it takes everything: it has a receiver, and no matchers, `continue` or intervals; Alertmanager refuses this too";
        context.notes.refuse(node.span, "the first route cannot be like this", label);
    }
    if depth > MAX_DEPTH {
        context.notes.refuse(node.span, format!("routes nest more than {MAX_DEPTH} deep"), "write the tree flatter, and import again");
        return Route { here, there: None, regroups: false };
    }
    if !matchers.is_empty() {
        let texts: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
        there.push("matchers", Yaml::texts(texts.clone()));
        here.push("matchers", if texts.len() == 1 { Yaml::text(texts.concat()) } else { Yaml::texts(texts) });
    }
    let before_it = context.notifies.clone();
    if let Some(to) = receiver.and_then(|receiver| destination(receiver, node.span, context)) {
        here.push("to", to);
    }
    if goes_on {
        here.push("continue", Yaml::bool(true));
    }
    let intervals = [("mute_time_intervals", mute), ("active_time_intervals", active)];
    for (key, names) in intervals.iter().filter(|(_, names)| !names.is_empty()) {
        here.push(key, Yaml::texts(names.clone()));
    }
    let mut regroups = grouping(&mut keys, &mut there, context.notes) && !root;
    let receiver = receiver.or(inherited);
    let before = context.above.len();
    context.above.extend(matchers.iter().cloned());
    let children = keys.take("routes");
    let Below { here: mut here_routes, there: mut there_routes, any_goes_on } = match children.map(|node| &node.kind) {
        Some(Kind::List(items)) => below(items, depth, receiver, context),
        Some(_) => {
            context.notes.refuse(children.map_or(node.span, |n| n.span), "`routes` is not a list", "correct it; Alertmanager refuses it too");
            Below::default()
        }
        None => Below::default(),
    };
    // Below a route with `continue` they would take what it took.
    let can_follow = !any_goes_on && depth < MAX_DEPTH;
    here_routes.extend(routes_of_values(receiver, node.span.line, &intervals, can_follow, context));
    context.above.truncate(before);
    context.notifies = before_it;
    for entry in keys.rest() {
        let what = format!("`{}` of a route", entry.key);
        context.notes.remark(entry.key_span.line, what, "routes have no such setting here", "see what it was for");
    }
    // Routes at the end that group as the one above them do nothing.
    while there_routes.last().is_some_and(|(_, regroups)| !regroups) {
        there_routes.pop();
    }
    if !there_routes.is_empty() {
        regroups = true;
        there.push("routes", Yaml::List(there_routes.into_iter().map(|(route, _)| route).collect()));
    }
    if !here_routes.is_empty() {
        here.push("routes", Yaml::List(here_routes));
    }
    Route { here, there: Some(there), regroups }
}

/// Where a receiver's alerts go, as a route says it. A receiver that does not exist is reported.
fn destination(receiver: &str, span: Span, context: &mut ImportContext<'_>) -> Option<Yaml> {
    let Some(channels) = context.channels_of(receiver) else {
        let hint = crate::config::suggest::hint(receiver, context.channels.keys().map(String::as_str));
        context.notes.refuse(span, format!("there is no receiver {receiver:?}{hint}"), "define it; Alertmanager refuses this too");
        return None;
    };
    if channels.iter().any(|channel| !context.silent.contains(channel)) {
        context.notifies.clone_from(&channels);
    }
    let default = Yaml::texts(channels);
    Some(match context.by_label.get(receiver) {
        Some(label) => Yaml::map([("label", Yaml::text(label)), ("default", default)]),
        None => default,
    })
}

/// Writes what a route says about grouping to what remains of it; whether it says anything.
fn grouping(keys: &mut Keys<'_>, there: &mut Yaml, notes: &mut Notes) -> bool {
    let mut any = false;
    for key in GROUPING {
        let Some(value) = keys.take(key) else { continue };
        if key != "group_by" {
            duration(key, value, notes);
        }
        there.push(key, Yaml::of(value));
        any = true;
    }
    let repeat = keys.peek("repeat_interval").and_then(scalar).and_then(|text| crate::model::parse_duration(text).ok());
    if repeat.is_some_and(|repeat| repeat.as_secs() <= 120) {
        let todo = "set `dedup: { window: ... }` below it, or repeat less often";
        notes.remark(keys.line, "repeats every two minutes or more often", "the same event within two minutes is a duplicate here", todo);
    }
    any
}

/// The routes below one.
#[derive(Default)]
struct Below {
    here: Vec<Yaml>,
    /// Each with whether it groups otherwise than the route above.
    there: Vec<(Yaml, bool)>,
    /// Whether one of them has `continue`.
    any_goes_on: bool,
}

/// Reads the routes below one of this depth.
fn below(items: &[Node], depth: usize, receiver: Option<&str>, context: &mut ImportContext<'_>) -> Below {
    let mut below = Below::default();
    for child in items {
        let line = child.span.line;
        let goes_on =
            child.get("continue").and_then(scalar).is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "y"));
        below.any_goes_on |= goes_on;
        let child = route(child, depth + 1, receiver, context);
        below.here.push(child.here);
        // Alertmanager hands every alert over once: by the first route that takes it for good.
        if !goes_on {
            below.there.push((child.there.unwrap_or_else(|| Yaml::map::<&str>([])), child.regroups));
        } else if child.regroups {
            let why = "with `continue` an alert would be handed over once for each such route; it is grouped by the route after it";
            context.notes.remark(line, "the grouping of a route with `continue`", why, "nothing, unless messages are to be grouped by it");
        }
    }
    below
}

/// The routes of a receiver whose rooms or addresses are made of a label, one for each value; where they cannot follow those that are there, it is reported.
fn routes_of_values(
    receiver: Option<&str>,
    line: usize,
    intervals: &[(&str, Vec<String>)],
    can_follow: bool,
    context: &mut ImportContext<'_>,
) -> Vec<Yaml> {
    let apart = context.apart;
    let Some((name, by)) = receiver.and_then(|name| apart.get_key_value(name)) else { return Vec::new() };
    if by.receivers.is_empty() || context.by_label.contains_key(name) {
        return Vec::new();
    }
    if can_follow {
        return by_label::routes(by, &context.above, context.channels, intervals);
    }
    let what = format!("the rooms or addresses of receiver {name} by the label {}", by.label);
    context.notes.remark(line, what, "a route below has `continue`, or is the deepest", "write a route for each value by hand");
    Vec::new()
}

/// Holds a time to what Alertmanager takes: Prometheus' words, and not zero except for the first wait.
fn duration(key: &str, node: &Node, notes: &mut Notes) {
    let time = scalar(node).map(crate::model::parse_duration);
    let why = match time {
        Some(Ok(time)) if time.is_zero() && key != "group_wait" => "is zero",
        Some(Ok(_)) => return,
        _ => "is no duration",
    };
    notes.refuse(node.span, format!("`{key}` {why}"), "write it like 30s, 5m or 4h; Alertmanager refuses this too");
}

/// `match`, `match_re` and `matchers` as one list: all of them must hold.
fn matchers(keys: &mut Keys<'_>, notes: &mut Notes) -> Vec<Matcher> {
    let mut found = Vec::new();
    for (key, op) in [("match", Op::Equal), ("match_re", Op::Regex)] {
        let Some(node) = keys.take(key) else { continue };
        for entry in Keys::new(node, &format!("`{key}`"), notes).rest() {
            let value = scalar(&entry.value).unwrap_or_default();
            match Matcher::new(&entry.key, op, value) {
                Ok(matcher) => found.push(matcher),
                Err(error) => notes.refuse(entry.value.span, format!("`{}`: {}", entry.key, error.reason), error.help),
            }
        }
    }
    for (text, span) in keys.texts("matchers", notes).unwrap_or_default() {
        match matcher::parse(text) {
            Ok(read) => found.extend(read),
            Err(error) => notes.refuse(span, error.reason, error.help),
        }
    }
    found
}

fn intervals(keys: &mut Keys<'_>, key: &str, context: &mut ImportContext<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (name, span) in keys.texts(key, context.notes).unwrap_or_default() {
        match context.intervals.get(name) {
            Some(here) => found.push(here.clone()),
            None => context.notes.refuse(span, format!("there is no time interval {name:?}"), "define it; Alertmanager refuses this too"),
        }
    }
    found
}

fn local_zone() -> String {
    jiff::tz::TimeZone::system().iana_name().unwrap_or("UTC").to_owned()
}

/// Writes a zone in place of `Local`; whether there was one.
fn replace_local(rules: &mut Yaml, zone: &str) -> bool {
    let Yaml::List(rules) = rules else { return false };
    let mut found = false;
    for rule in rules {
        let Yaml::Map(entries) = rule else { continue };
        for entry in entries.iter_mut().filter(|entry| entry.key == "location" && entry.value == Yaml::text("Local")) {
            entry.value = Yaml::text(zone);
            found = true;
        }
    }
    found
}

/// `time_intervals:` and the older `mute_time_intervals:`: for routes.yaml, and their names there and here.
pub fn time_intervals(lists: &[&Node], notes: &mut Notes) -> (Vec<Yaml>, IndexMap<String, String>) {
    let (mut here, mut names) = (Vec::new(), IndexMap::new());
    for list in lists {
        let Kind::List(items) = &list.kind else {
            notes.refuse(list.span, "time intervals are not a list", "correct it; Alertmanager refuses it too");
            continue;
        };
        for item in items {
            let mut keys = Keys::new(item, "a time interval", notes);
            let Some(name) = keys.text("name", notes) else {
                notes.refuse(item.span, "a time interval has no name", "name it; Alertmanager refuses it too");
                continue;
            };
            let mut plain = plain_name(name);
            let mut n = 1;
            while names.values().any(|taken| *taken == plain) {
                n += 1;
                plain = format!("{}-{n}", plain_name(name));
            }
            if plain != name {
                let todo = format!("it is called {plain} now");
                notes.remark(
                    item.span.line,
                    format!("the name of time interval {name:?}"),
                    "names have letters, digits, `-`, `_` and `.` only",
                    todo,
                );
            }
            let mut interval = Yaml::map([("name", Yaml::text(&plain))]);
            if let Some(rules) = keys.take("time_intervals") {
                let mut rules_here = Yaml::of(rules);
                if replace_local(&mut rules_here, &local_zone()) {
                    let why = "`Local` is the zone of Alertmanager's machine, whatever that is";
                    let todo = format!("it is {} here, as on this machine; write another if that one has another", local_zone());
                    notes.remark(rules.span.line, format!("`location: Local` of time interval {name}"), why, todo);
                }
                interval.push("time_intervals", rules_here);
            }
            for entry in keys.rest() {
                let what = format!("`{}` of time interval {name}", entry.key);
                notes.remark(entry.key_span.line, what, "time intervals have no such setting here", "see what it was for");
            }
            if names.insert(name.to_owned(), plain).is_some() {
                notes.refuse(item.span, format!("two time intervals are called {name}"), "rename one of them; Alertmanager refuses this too");
            }
            here.push(interval);
        }
    }
    (here, names)
}
