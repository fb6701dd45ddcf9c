//! Routes that no alert can reach: taken by an earlier sibling, or asking for what a route above rules out.
//! Warnings, not errors: such a tree works. What is found is certain; not everything is found.

use std::collections::HashMap;

use crate::route::matcher::Matcher;

use super::{Node, Tree};

/// How many earlier siblings one route is compared with at most, so that large trees stay cheap to check.
const MAX_COMPARED: usize = 256;

/// Something that works and is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteWarning {
    /// The node.
    pub node: usize,
    /// Its place in the file.
    pub path: String,
    /// What is odd.
    pub reason: String,
    /// What to do.
    pub help: String,
}

impl Tree {
    /// Routes that no alert can reach, and channels named twice in one route.
    pub fn warnings(&self) -> Vec<RouteWarning> {
        let mut warnings = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            self.check_contradiction(at, &mut warnings);
            let inherited = node.parent.is_some_and(|parent| self.nodes[parent].to == node.to);
            let to = &node.to.default;
            for (i, channel) in to.iter().enumerate().filter(|(i, channel)| !inherited && to[..*i].contains(channel)) {
                warnings.push(RouteWarning {
                    node: at,
                    path: format!("{}.to[{i}]", node.name),
                    reason: format!("channel `{channel}` is in this list twice"),
                    help: "an alert goes to a channel once; leave the second one out".into(),
                });
            }
            self.check_siblings(node, &mut warnings);
        }
        warnings.sort_by_key(|warning| warning.node);
        warnings
    }

    /// A matcher that an `=` of the same route or of one above can never satisfy.
    fn check_contradiction(&self, at: usize, warnings: &mut Vec<RouteWarning>) {
        let node = &self.nodes[at];
        let mut above = Some(at);
        while let Some(other) = above.map(|i| &self.nodes[i]) {
            for given in &other.matchers {
                let Some(values) = given.values() else { continue };
                let clash = node.matchers.iter().find(|asked| asked.name() == given.name() && !values.iter().any(|value| asked.matches_value(value)));
                if let Some(asked) = clash {
                    let place = if std::ptr::eq(other, node) { "this route".to_owned() } else { format!("`{}` above it", other.name) };
                    warnings.push(RouteWarning {
                        node: at,
                        path: format!("{}.matchers", node.name),
                        reason: format!("no alert can match: `{asked}` asks for what `{given}` of {place} rules out"),
                        help: "all matchers from the root down must match at once; correct one, or move the route".into(),
                    });
                    return;
                }
            }
            above = other.parent;
        }
    }

    /// A child whose alerts an earlier child takes all.
    fn check_siblings(&self, parent: &Node, warnings: &mut Vec<RouteWarning>) {
        let mut by_value: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        let mut loose: Vec<usize> = Vec::new();
        for &child in &parent.children {
            let node = &self.nodes[child];
            let filed = node.matchers.iter().filter_map(|m| Some((m.name(), *m.values()?.first()?))).filter_map(|key| by_value.get(&key)).flatten();
            let taker = loose.iter().take(MAX_COMPARED).chain(filed.take(MAX_COMPARED)).find(|earlier| takes_all(&self.nodes[**earlier], node));
            if let Some(taker) = taker {
                let taker = &self.nodes[*taker];
                warnings.push(RouteWarning {
                    node: child,
                    path: node.name.clone(),
                    reason: format!("no alert gets here: `{}` before it matches everything that this route would, and has no `continue`", taker.name),
                    help: format!("move this route before `{0}`, or give `{0}` `continue: true`", taker.name),
                });
                // It takes nothing itself, so it hides nothing either.
                continue;
            }
            if node.continue_ {
                continue;
            }
            let crowd = |values: &Vec<(&str, &str)>| values.iter().map(|key| by_value.get(key).map_or(0, Vec::len)).max().unwrap_or(0);
            let keys = node
                .matchers
                .iter()
                .filter_map(|matcher| Some(matcher.values()?.into_iter().map(|value| (matcher.name(), value)).collect::<Vec<_>>()))
                .min_by_key(crowd);
            match keys {
                None => loose.push(child),
                Some(keys) => keys.into_iter().for_each(|key| by_value.entry(key).or_default().push(child)),
            }
        }
    }
}

/// Whether every alert that `later` matches is matched by `earlier` too, as far as the matchers show one by one.
fn takes_all(earlier: &Node, later: &Node) -> bool {
    let implied = |asked: &Matcher, given: &Matcher| {
        given == asked || (given.name() == asked.name() && given.values().is_some_and(|values| values.iter().all(|value| asked.matches_value(value))))
    };
    earlier.matchers.iter().all(|asked| later.matchers.iter().any(|given| implied(asked, given)))
}
