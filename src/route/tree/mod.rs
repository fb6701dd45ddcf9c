//! The routing tree: which channels an alert goes to, in Alertmanager's order.
//!
//! Depth first, children in order: the first child that matches takes the alert unless it says `continue`, and a node none of
//! whose children match is the result itself. Channels and templates are names here; whether they exist is not known.

mod compile;
mod explain;
mod index;
mod lint;
mod mute;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::{Labels, Mentions};

use super::interval::TimeInterval;
use super::matcher::Matcher;
use super::mute::Mute;
use index::ChildIndex;

pub use explain::{ExplainedTarget, Explanation, Failed, IntervalState, Step};
pub use lint::RouteWarning;
pub use mute::{MuteReason, Muted};

/// How deep routes may nest.
pub const MAX_DEPTH: usize = 64;

/// Where a route sends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destinations {
    /// Channels, in order; what no value of the label decides.
    pub default: Vec<Arc<str>>,
    /// Channels by the value of a label.
    pub by_label: Option<Arc<ByLabel>>,
}

/// Channels by the value of a label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByLabel {
    /// The label.
    pub label: String,
    /// The channels of each value, in order.
    pub channels: HashMap<String, Vec<Arc<str>>>,
}

impl ByLabel {
    /// The channels of an alert's value: those of the name that is written like it, else of one that differs in case only. Blanks around it do not count.
    pub fn of(&self, labels: &Labels) -> Option<&[Arc<str>]> {
        let value = labels.get(&self.label)?.trim();
        let alike = || self.channels.iter().filter(|(name, _)| name.eq_ignore_ascii_case(value)).min().map(|(_, channels)| channels);
        self.channels.get(value).or_else(alike).map(Vec::as_slice)
    }
}

impl Destinations {
    /// These channels, whatever the labels.
    pub fn to<T: Into<Arc<str>>>(channels: impl IntoIterator<Item = T>) -> Self {
        Self { default: channels.into_iter().map(Into::into).collect(), by_label: None }
    }

    /// The channels of an alert.
    pub fn of(&self, labels: &Labels) -> &[Arc<str>] {
        self.by_label.as_ref().and_then(|by_label| by_label.of(labels)).unwrap_or(&self.default)
    }

    /// Every channel that it may lead to.
    pub fn all(&self) -> impl Iterator<Item = &Arc<str>> {
        self.default.iter().chain(self.by_label.iter().flat_map(|by_label| by_label.channels.values().flatten()))
    }
}

/// A route as the configuration has it, matchers compiled; what is left out is inherited where it can be.
#[derive(Debug, Clone, Default)]
pub struct RouteSpec {
    /// Its place in the file, `route.routes[2]`: names it in problems, warnings and explanations.
    pub name: String,
    /// All must match; none means every alert. The root has none.
    pub matchers: Vec<Matcher>,
    /// Channels; none: the parent's.
    pub to: Destinations,
    /// What happens when nobody acks its incidents; `None`: as the parent says.
    pub escalation: Option<String>,
    /// Template set; `None`: the parent's.
    pub template: Option<String>,
    /// Whom to ping; `None`: as the parent says.
    pub mentions: Option<Mentions>,
    /// Whether resolved alerts are sent; `None`: as the parent says.
    pub send_resolved: Option<bool>,
    /// Whether later siblings are tried after this one matched.
    pub continue_: bool,
    /// Intervals in which it is muted; not inherited, as in Alertmanager.
    pub mute_time_intervals: Vec<String>,
    /// Intervals outside which it is muted, when there are any; not inherited.
    pub active_time_intervals: Vec<String>,
    /// Whether muted alerts are dropped instead of deferred; `None`: as the parent says (the root defers).
    pub mute_drop: Option<bool>,
    /// Routes below it, in order.
    pub routes: Vec<RouteSpec>,
}

/// Why a tree cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}; {help}")]
pub struct RouteProblem {
    /// The route's name and the key below it: `route.routes[2].mute_time_intervals[0]`.
    pub path: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub help: String,
}

/// A route of a compiled tree, with everything inherited filled in.
#[derive(Debug)]
pub struct Node {
    /// Its place in the file.
    pub name: String,
    /// The node above; `None` for the root.
    pub parent: Option<usize>,
    /// How many nodes are above.
    pub depth: usize,
    /// All must match.
    pub matchers: Vec<Matcher>,
    /// Channels; at least one.
    pub to: Destinations,
    /// What happens when nobody acks its incidents.
    pub escalation: Option<Arc<str>>,
    /// Template set.
    pub template: Option<Arc<str>>,
    /// Whom to ping.
    pub mentions: Option<Arc<Mentions>>,
    /// Whether resolved alerts are sent.
    pub send_resolved: Option<bool>,
    /// Whether later siblings are tried after this one matched.
    pub continue_: bool,
    /// Intervals in which it is muted.
    pub mute: Vec<Arc<TimeInterval>>,
    /// Intervals outside which it is muted, when there are any.
    pub active: Vec<Arc<TimeInterval>>,
    /// Whether muted alerts are dropped instead of deferred.
    pub mute_drop: bool,
    /// The nodes below, in order.
    pub children: Vec<usize>,
    index: ChildIndex,
}

impl Node {
    fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

/// Where an alert goes, as one route says. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteTarget {
    /// The channel.
    pub channel: Arc<str>,
    /// What happens when nobody acks its incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Arc<str>>,
    /// Template set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Arc<str>>,
    /// Whom to ping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mentions: Option<Arc<Mentions>>,
    /// Whether resolved alerts are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_resolved: Option<bool>,
    /// The node that says so: an index into [`Tree::nodes`].
    pub route: usize,
    /// Set when the route is muted now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted: Option<Muted>,
}

/// Where an alert goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Routed {
    /// One target per channel, in tree order. The first route that names a channel counts; only when that one is muted
    /// and a later one is not (or defers where the first drops) does the later one take its place, because the alert is due there.
    pub targets: Vec<RouteTarget>,
    /// The targets whose channel has another one already.
    pub also: Vec<RouteTarget>,
}

/// A checked routing tree. Node 0 is the root; parents come before children.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    mutes: Arc<[Mute]>,
}

impl Tree {
    /// All nodes, in the order of the file.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The same tree with the mutes of the file.
    pub fn with_mutes(self, mutes: Vec<Mute>) -> Self {
        Self { mutes: mutes.into(), ..self }
    }

    /// The mutes of the file, whatever route an alert takes.
    pub fn mutes(&self) -> &Arc<[Mute]> {
        &self.mutes
    }

    /// Whether a node (an index into [`Tree::nodes`]) is muted at a moment, by what and until when.
    pub fn muted(&self, node: usize, at: Timestamp) -> Option<Muted> {
        mute::state(self.nodes.get(node)?, at)
    }

    /// The nodes that an alert with these labels ends at, in order, appended to `nodes`; never none. The moment plays no part.
    pub fn select(&self, labels: &Labels, nodes: &mut Vec<usize>) {
        self.select_below(0, labels, nodes);
    }

    fn select_below(&self, at: usize, labels: &Labels, selected: &mut Vec<usize>) {
        let before = selected.len();
        let node = &self.nodes[at];
        for position in node.index.candidates(labels) {
            let child = node.children[position];
            if self.nodes[child].matches(labels) {
                self.select_below(child, labels, selected);
                if !self.nodes[child].continue_ {
                    break;
                }
            }
        }
        if selected.len() == before {
            selected.push(at);
        }
    }

    /// Routes one alert. For many alerts at the same moment use [`Tree::router`].
    pub fn route(&self, labels: &Labels, at: Timestamp) -> Routed {
        self.router(at).route(labels)
    }

    /// Routes alerts at one moment; what the moment means for each route is worked out once.
    pub fn router(&self, at: Timestamp) -> Router<'_> {
        Router { tree: self, at, muted: HashMap::new(), selected: Vec::new() }
    }
}

/// Routes alerts at one moment.
#[derive(Debug)]
pub struct Router<'t> {
    tree: &'t Tree,
    at: Timestamp,
    muted: HashMap<usize, Option<Muted>>,
    selected: Vec<usize>,
}

impl Router<'_> {
    /// Routes one alert.
    pub fn route(&mut self, labels: &Labels) -> Routed {
        let mut selected = std::mem::take(&mut self.selected);
        selected.clear();
        self.tree.select(labels, &mut selected);
        let routed = self.targets(&selected, labels);
        self.selected = selected;
        routed
    }

    /// The targets of the nodes that an alert ends at.
    fn targets(&mut self, selected: &[usize], labels: &Labels) -> Routed {
        let mut routed = Routed::default();
        for &route in selected {
            let muted = self.muted(route);
            let node = &self.tree.nodes[route];
            for channel in node.to.of(labels) {
                let mut target = RouteTarget {
                    channel: channel.clone(),
                    escalation: node.escalation.clone(),
                    template: node.template.clone(),
                    mentions: node.mentions.clone(),
                    send_resolved: node.send_resolved,
                    route,
                    muted: muted.clone(),
                };
                match routed.targets.iter_mut().find(|known| known.channel == target.channel) {
                    None => routed.targets.push(target),
                    Some(known) => {
                        if urgency(&target) > urgency(known) {
                            std::mem::swap(known, &mut target);
                        }
                        routed.also.push(target);
                    }
                }
            }
        }
        routed
    }

    fn muted(&mut self, route: usize) -> Option<Muted> {
        let node = &self.tree.nodes[route];
        if node.mute.is_empty() && node.active.is_empty() {
            return None;
        }
        self.muted.entry(route).or_insert_with(|| mute::state(node, self.at)).clone()
    }
}

/// A target that sends now goes before one that waits, and that before one that drops.
fn urgency(target: &RouteTarget) -> u8 {
    match &target.muted {
        None => 2,
        Some(muted) if !muted.drop => 1,
        Some(_) => 0,
    }
}
