//! Checks route specifications and makes a tree of them: inheritance, intervals by name, the index of each node.
//! Knows nothing of files; problems name routes by the names they came with.

use std::sync::Arc;

use crate::model::Mentions;
use crate::route::interval::{Intervals, TimeInterval};

use super::index::ChildIndex;
use super::{Destinations, MAX_DEPTH, Node, RouteProblem, RouteSpec, Tree};

/// What a route hands down.
#[derive(Clone, Default)]
struct Inherited {
    to: Destinations,
    escalation: Option<Arc<str>>,
    template: Option<Arc<str>>,
    mentions: Option<Arc<Mentions>>,
    send_resolved: Option<bool>,
    mute_drop: bool,
}

struct Compiler<'a> {
    intervals: &'a Intervals,
    nodes: Vec<Node>,
    problems: Vec<RouteProblem>,
}

impl Tree {
    /// Checks a tree and makes it ready to route.
    ///
    /// # Errors
    /// Everything that is wrong: a root with matchers, intervals or `continue`, or without a channel; an interval that does not
    /// exist; routes nested deeper than [`MAX_DEPTH`].
    pub fn compile(root: RouteSpec, intervals: &Intervals) -> Result<Tree, Vec<RouteProblem>> {
        let mut compiler = Compiler { intervals, nodes: Vec::new(), problems: Vec::new() };
        compiler.check_root(&root);
        compiler.add(root, None, 0, &Inherited::default());
        if compiler.problems.is_empty() { Ok(Tree { nodes: compiler.nodes, mutes: Arc::default() }) } else { Err(compiler.problems) }
    }
}

impl Compiler<'_> {
    fn problem(&mut self, path: String, reason: impl Into<String>, help: impl Into<String>) {
        self.problems.push(RouteProblem { path, reason: reason.into(), help: help.into() });
    }

    fn check_root(&mut self, root: &RouteSpec) {
        let path = |key: &str| format!("{}.{key}", root.name);
        let below = "the root takes every alert that no other route does; put this on a route below it";
        if root.to.default.is_empty() {
            self.problem(path("to"), "the root route names no channel", "name the one that gets what no other route takes");
        }
        if !root.matchers.is_empty() {
            self.problem(path("matchers"), "the root route has matchers", below);
        }
        if root.continue_ {
            self.problem(path("continue"), "the root route has `continue`", "leave it out: there is no route beside the root");
        }
        if !root.mute_time_intervals.is_empty() {
            self.problem(path("mute_time_intervals"), "the root route has mute intervals", below);
        }
        if !root.active_time_intervals.is_empty() {
            self.problem(path("active_time_intervals"), "the root route has active intervals", below);
        }
    }

    fn add(&mut self, spec: RouteSpec, parent: Option<usize>, depth: usize, above: &Inherited) -> usize {
        let mut own = above.clone();
        if !spec.to.default.is_empty() {
            own.to = spec.to;
        }
        if let Some(escalation) = &spec.escalation {
            own.escalation = Some(Arc::from(escalation.as_str()));
        }
        if let Some(template) = &spec.template {
            own.template = Some(Arc::from(template.as_str()));
        }
        if let Some(mentions) = spec.mentions {
            own.mentions = Some(Arc::new(mentions));
        }
        own.send_resolved = spec.send_resolved.or(own.send_resolved);
        own.mute_drop = spec.mute_drop.unwrap_or(own.mute_drop);

        let mute = self.intervals(&spec.name, "mute_time_intervals", &spec.mute_time_intervals);
        let active = self.intervals(&spec.name, "active_time_intervals", &spec.active_time_intervals);
        let this = self.nodes.len();
        self.nodes.push(Node {
            name: spec.name,
            parent,
            depth,
            matchers: spec.matchers,
            to: own.to.clone(),
            escalation: own.escalation.clone(),
            template: own.template.clone(),
            mentions: own.mentions.clone(),
            send_resolved: own.send_resolved,
            continue_: spec.continue_,
            mute,
            active,
            mute_drop: own.mute_drop,
            children: Vec::new(),
            index: ChildIndex::default(),
        });
        if depth >= MAX_DEPTH && !spec.routes.is_empty() {
            let path = format!("{}.routes", self.nodes[this].name);
            self.problem(path, format!("routes nest more than {MAX_DEPTH} deep"), "write the tree flatter");
            return this;
        }
        let children: Vec<usize> = spec.routes.into_iter().map(|child| self.add(child, Some(this), depth + 1, &own)).collect();
        let index = ChildIndex::new(children.iter().map(|child| &self.nodes[*child].matchers[..]));
        self.nodes[this].children = children;
        self.nodes[this].index = index;
        this
    }

    fn intervals(&mut self, route: &str, key: &str, names: &[String]) -> Vec<Arc<TimeInterval>> {
        let mut found = Vec::with_capacity(names.len());
        for (i, name) in names.iter().enumerate() {
            match self.intervals.get(name) {
                Some(interval) => found.push(interval.clone()),
                None => {
                    let nearest = self
                        .intervals
                        .keys()
                        .map(|known| (strsim::damerau_levenshtein(known, name), known))
                        .filter(|(distance, known)| *distance * 3 <= known.chars().count().max(3))
                        .min();
                    let help = match nearest {
                        Some((_, known)) => format!("did you mean `{known}`?"),
                        None => "define it under `time_intervals`".to_owned(),
                    };
                    self.problem(format!("{route}.{key}[{i}]"), format!("there is no time interval `{name}`"), help);
                }
            }
        }
        found
    }
}
