//! Receivers whose rooms or addresses a Go template makes of a label (`#alerts-{{ .CommonLabels.team }}`): one receiver more for each value of the label that
//! the routes name, and teams that lead there. A label chooses among what is written down only, so the receiver itself stays for all other values.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::reader::scalar;
use super::text::Yaml;
use crate::model::yaml::{Entry, Kind, Node};
use crate::route::{Matcher, Op, matcher};

/// Keys whose templates choose a room or an address.
const KEYS: [&str; 6] = ["channel", "to", "to_user", "to_party", "to_tag", "url"];
/// Values for which channels are made, at most.
const MAX_VALUES: usize = 200;

/// A receiver that a label takes apart.
pub struct ByLabel {
    /// The label.
    pub label: String,
    /// Its values that the routes name, each with the receiver made of it.
    pub receivers: Vec<(String, String)>,
}

/// Receivers with those that are made of them behind them, and which label takes which receiver apart.
pub fn expanded(receivers: Option<&Node>, route: Option<&Node>) -> (Option<Node>, IndexMap<String, ByLabel>) {
    let mut by_label = IndexMap::new();
    let Some(Node { kind: Kind::List(items), .. }) = receivers else { return (receivers.cloned(), by_label) };
    let mut list = items.clone();
    let names: BTreeSet<&str> = items.iter().filter_map(name).collect();
    let made: Vec<(&str, ByLabel)> = items
        .iter()
        .filter_map(|item| {
            let (receiver, label) = (name(item)?, label_of(item)?);
            let values: Vec<String> = route.map(|route| values(route, &label)).unwrap_or_default();
            let mut receivers = Vec::new();
            for value in values {
                let one = format!("{receiver}-{value}");
                if !names.contains(one.as_str()) {
                    list.push(of_value(item, &label, &value, &one));
                    receivers.push((value, one));
                }
            }
            Some((receiver, ByLabel { label, receivers }))
        })
        .collect();
    by_label.extend(made.into_iter().map(|(receiver, by)| (receiver.to_owned(), by)));
    (receivers.map(|node| Node { kind: Kind::List(list), ..node.clone() }), by_label)
}

/// `teams:` for the channels that were made, and the receivers that it serves: a team has one list of channels, so of several receivers the first counts.
pub fn teams(by_label: &IndexMap<String, ByLabel>, channels: &IndexMap<String, Vec<String>>) -> (Yaml, IndexMap<String, String>) {
    let (mut teams, mut served) = (Yaml::map::<&str>([]), IndexMap::new());
    if let Some((receiver, by)) = by_label.iter().find(|(_, by)| !by.receivers.is_empty()) {
        // A label names a team in any case.
        let mut known = BTreeSet::new();
        for (value, one) in by.receivers.iter().filter(|(value, _)| known.insert(value.to_ascii_lowercase())) {
            let to = channels.get(one).cloned().unwrap_or_default();
            teams.push(value, Yaml::map([("to", Yaml::texts(to))]));
        }
        served.insert(receiver.clone(), by.label.clone());
    }
    (teams, served)
}

/// The routes below one of a receiver that no team serves: one for each value of the label that the route's `matchers` admit. Time intervals are not inherited.
pub fn routes(by: &ByLabel, matchers: &[Matcher], channels: &IndexMap<String, Vec<String>>, intervals: &[(&str, Vec<String>)]) -> Vec<Yaml> {
    let admits = |value: &str| {
        let mut own = matchers.iter().filter(|one| one.name() == by.label);
        own.all(|one| one.values().is_none_or(|values| values.contains(&value)))
    };
    let route = |(value, one): &(String, String)| {
        let matcher = Matcher::new(by.label.as_str(), Op::Equal, value.as_str()).ok()?;
        let mut route = Yaml::map([("matchers", Yaml::text(matcher.to_string())), ("to", Yaml::texts(channels.get(one)?.clone()))]);
        for (key, names) in intervals.iter().filter(|(_, names)| !names.is_empty()) {
            route.push(key, Yaml::texts(names.clone()));
        }
        Some(route)
    };
    by.receivers.iter().filter(|(value, _)| admits(value)).filter_map(route).collect()
}

fn name(receiver: &Node) -> Option<&str> {
    receiver.get("name").and_then(scalar)
}

/// The entries of a receiver's configurations.
fn configs(receiver: &Node) -> impl Iterator<Item = &Entry> {
    let lists = receiver.entries().iter().filter(|entry| entry.key.ends_with("_configs")).map(|entry| &entry.value.kind);
    let items = lists.filter_map(|kind| if let Kind::List(items) = kind { Some(items) } else { None }).flatten();
    items.flat_map(Node::entries)
}

/// The label that takes a receiver apart: the first that a room or an address is made of.
fn label_of(receiver: &Node) -> Option<String> {
    let templated = configs(receiver).filter(|entry| KEYS.contains(&entry.key.as_str()));
    templated.filter_map(|entry| label_in(scalar(&entry.value)?)).next().map(|(label, _)| label.to_owned())
}

/// Whether a configuration's room or address is made of a label.
pub fn is_made_of(config: &Node, label: &str) -> bool {
    let mut templated = config.entries().iter().filter(|entry| KEYS.contains(&entry.key.as_str()));
    templated.any(|entry| scalar(&entry.value).and_then(label_in).is_some_and(|(of, _)| of == label))
}

/// The label in a text with one action, `{{ .CommonLabels.team }}`, and that action.
fn label_in(text: &str) -> Option<(&str, &str)> {
    let begin = text.find("{{")?;
    let end = begin + text[begin..].find("}}")? + 2;
    if text[end..].contains("{{") {
        return None;
    }
    let action = &text[begin..end];
    let path = action.trim_start_matches("{{").trim_end_matches("}}").trim_matches(['-', ' ']);
    let label = [".CommonLabels.", ".GroupLabels."].iter().find_map(|labels| path.strip_prefix(labels))?;
    let plain = !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain.then_some((label, action))
}

/// The receiver of one value of the label.
fn of_value(receiver: &Node, label: &str, value: &str, name: &str) -> Node {
    let mut one = receiver.clone();
    let Kind::Map(entries) = &mut one.kind else { return one };
    for entry in entries {
        match &mut entry.value.kind {
            Kind::Scalar(scalar) if entry.key == "name" => name.clone_into(&mut scalar.text),
            Kind::List(items) if entry.key.ends_with("_configs") => {
                let keys = items.iter_mut().filter_map(|item| if let Kind::Map(keys) = &mut item.kind { Some(keys) } else { None }).flatten();
                for key in keys.filter(|key| KEYS.contains(&key.key.as_str())) {
                    let Kind::Scalar(scalar) = &mut key.value.kind else { continue };
                    if let Some((_, action)) = label_in(&scalar.text).filter(|(of, _)| *of == label) {
                        scalar.text = scalar.text.replace(action, value);
                    }
                }
            }
            _ => {}
        }
    }
    one
}

/// The values that a matcher lists. An expression is for whole values, so that its anchors say nothing.
fn listed(matcher: &Matcher) -> Vec<String> {
    let bare = matcher.value().trim_start_matches('^').trim_end_matches('$');
    let bare = Some(bare).filter(|_| matcher.op() == Op::Regex).and_then(|text| Matcher::new(matcher.name(), Op::Regex, text).ok());
    let values = matcher.values().or_else(|| bare.as_ref()?.values()).unwrap_or_default();
    values.into_iter().map(str::to_owned).collect()
}

/// The values of a label that matchers of a route and those below it ask for.
fn values(route: &Node, label: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![route];
    while let Some(route) = open.pop() {
        for (key, op) in [("match", Op::Equal), ("match_re", Op::Regex)] {
            let texts =
                route.get(key).into_iter().flat_map(Node::entries).filter(|entry| entry.key == label).filter_map(|entry| scalar(&entry.value));
            found.extend(texts.filter_map(|text| Matcher::new(label, op, text).ok()).flat_map(|one| listed(&one)));
        }
        let texts = match route.get("matchers").map(|node| &node.kind) {
            Some(Kind::List(items)) => items.iter().filter_map(scalar).collect(),
            Some(Kind::Scalar(one)) => vec![one.text.as_str()],
            _ => Vec::new(),
        };
        for text in texts {
            for one in matcher::parse(text).unwrap_or_default().iter().filter(|one| one.name() == label) {
                found.extend(listed(one));
            }
        }
        if let Some(Node { kind: Kind::List(items), .. }) = route.get("routes") {
            open.extend(items.iter().rev());
        }
    }
    let mut seen = BTreeSet::new();
    let plain = |value: &String| {
        value.starts_with(|c: char| c.is_ascii_alphanumeric())
            && value.len() <= 40
            && value.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    found.retain(|value| plain(value) && seen.insert(value.clone()));
    found.truncate(MAX_VALUES);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::yaml::parse;

    #[test]
    fn values_are_those_that_matchers_of_any_kind_list() {
        let route = parse(
            "routes:\n- { match: { team: db } }\n- match_re: { team: '^(?:web|infra)$', env: 'x|y' }\n  routes: [{ matchers: ['team=~\"sql|db\"', 'team!=\"no\"'] }]\n\
             - { match_re: { team: 'a.*' } }\n- { matchers: ['team=~\"^(ops|ops)$\"'] }\n",
        );
        assert_eq!(values(&route.root.unwrap(), "team"), ["db", "infra", "web", "sql", "ops"]);
    }

    #[test]
    fn two_values_that_differ_in_case_only_are_one_team() {
        let receivers = ["db", "DB"].map(|value| (value.to_owned(), format!("rooms-{value}"))).to_vec();
        let by_label = IndexMap::from([("rooms".to_owned(), ByLabel { label: "team".into(), receivers })]);
        let channels = IndexMap::from([("rooms-db".to_owned(), vec!["one".to_owned()]), ("rooms-DB".to_owned(), vec!["two".to_owned()])]);
        let (teams, _) = teams(&by_label, &channels);
        assert_eq!(teams, Yaml::map([("db", Yaml::map([("to", Yaml::texts(["one"]))]))]));
    }

    #[test]
    fn one_label_takes_a_text_apart() {
        let labels = [
            ("#a-{{ .CommonLabels.team }}", Some("team")),
            ("{{.GroupLabels.owner}}@x.org", Some("owner")),
            ("{{- .CommonLabels.team -}}", Some("team")),
            ("{{ .CommonLabels.team | toLower }}", None),
            ("{{ .CommonLabels.a }}{{ .CommonLabels.b }}", None),
            ("{{ template \"x\" . }}", None),
            ("#ops", None),
        ];
        for (text, label) in labels {
            assert_eq!(label_in(text).map(|(label, _)| label), label, "{text}");
        }
    }
}
