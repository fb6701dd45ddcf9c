//! The same routing as [`Tree::route`], told step by step, for the CLI and the console.
//! Tries every child one by one, without the index, so that it can say why each did not match.

use jiff::Timestamp;
use serde::Serialize;

use crate::model::Labels;

use super::{MuteReason, Muted, Node, RouteTarget, Routed, Tree};

/// How an alert was routed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The moment that mute and active intervals were tested at.
    pub at: Timestamp,
    /// The routes tried, in order; the root comes first.
    pub steps: Vec<Step>,
    /// Where the alert goes: what [`Tree::route`] returns.
    pub targets: Vec<ExplainedTarget>,
    /// Targets whose channel has another one already.
    pub also: Vec<ExplainedTarget>,
}

/// A target and the name of its route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedTarget {
    /// The target.
    #[serde(flatten)]
    pub target: RouteTarget,
    /// Its route's place in the file.
    pub route_name: String,
}

/// One route that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The node.
    pub node: usize,
    /// Its place in the file.
    pub name: String,
    /// How many routes are above it.
    pub depth: usize,
    /// Its matchers, as they can be written.
    pub matchers: Vec<String>,
    /// Whether all of them matched.
    pub matched: bool,
    /// The first matcher that did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
    /// Whether it matched and has `continue`, so that its later siblings were tried too.
    pub continues: bool,
    /// How many later siblings were not tried because this one matched.
    pub not_tried: usize,
    /// Whether the alert ended here: it matched, and no route below it did.
    pub selected: bool,
    /// For a selected route: its intervals and whether they hold now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<IntervalState>,
    /// For a selected route: that it is muted now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub muted: Option<Muted>,
}

/// A matcher that an alert does not satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The matcher, as it can be written.
    pub matcher: String,
    /// The label it asks for.
    pub label: String,
    /// The alert's value of it; empty when it has none.
    pub value: String,
    /// Whether the alert has no such label.
    pub missing: bool,
}

/// An interval of a route at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IntervalState {
    /// Its name.
    pub name: String,
    /// Whether it mutes (`mute`) or whether its absence does (`not_active`).
    pub kind: MuteReason,
    /// Whether it contains the moment.
    pub holds: bool,
    /// When that changes; `None` when not within the search's horizon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Timestamp>,
}

impl Tree {
    /// Routes one alert and records every step.
    pub fn explain(&self, labels: &Labels, at: Timestamp) -> Explanation {
        let mut steps = vec![self.step(0, labels)];
        self.explain_below(0, 0, labels, at, &mut steps);
        let selected: Vec<usize> = steps.iter().filter(|step| step.selected).map(|step| step.node).collect();
        let Routed { targets, also } = self.router(at).targets(&selected, labels);
        let named = |target: RouteTarget| ExplainedTarget { route_name: self.nodes[target.route].name.clone(), target };
        Explanation { at, targets: targets.into_iter().map(named).collect(), also: also.into_iter().map(named).collect(), steps }
    }

    /// Records what happens below a node that matched, whose step is at `own`.
    fn explain_below(&self, node: usize, own: usize, labels: &Labels, at: Timestamp, steps: &mut Vec<Step>) {
        let children = &self.nodes[node].children;
        let mut taken = false;
        for (i, &child) in children.iter().enumerate() {
            let step = self.step(child, labels);
            let (matched, stops) = (step.matched, step.matched && !step.continues);
            let here = steps.len();
            steps.push(step);
            if matched {
                taken = true;
                self.explain_below(child, here, labels, at, steps);
            }
            if stops {
                steps[here].not_tried = children.len() - i - 1;
                break;
            }
        }
        if !taken {
            steps[own].selected = true;
            steps[own].intervals = interval_states(&self.nodes[node], at);
            steps[own].muted = super::mute::state(&self.nodes[node], at);
        }
    }

    fn step(&self, at: usize, labels: &Labels) -> Step {
        let node = &self.nodes[at];
        let failed = node.matchers.iter().find(|matcher| !matcher.matches(labels)).map(|matcher| {
            let value = labels.get(matcher.name());
            Failed {
                matcher: matcher.to_string(),
                label: matcher.name().to_owned(),
                value: value.cloned().unwrap_or_default(),
                missing: value.is_none(),
            }
        });
        Step {
            node: at,
            name: node.name.clone(),
            depth: node.depth,
            matchers: node.matchers.iter().map(ToString::to_string).collect(),
            matched: failed.is_none(),
            continues: failed.is_none() && node.continue_,
            failed,
            not_tried: 0,
            selected: false,
            intervals: Vec::new(),
            muted: None,
        }
    }
}

fn interval_states(node: &Node, at: Timestamp) -> Vec<IntervalState> {
    let mute = node.mute.iter().map(|interval| (interval, MuteReason::Mute));
    let active = node.active.iter().map(|interval| (interval, MuteReason::NotActive));
    mute.chain(active)
        .map(|(interval, kind)| {
            let holds = interval.contains(at);
            let changes = if holds { interval.end_of(at) } else { interval.next_start(at) };
            IntervalState { name: interval.name().to_owned(), kind, holds, changes }
        })
        .collect()
}
