//! The tree as Alertmanager walks it, by table; and the index against a plain walk, by chance.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::route::Intervals;
use crate::route::matcher::parse;

fn route(matchers: &str, to: &[&str]) -> RouteSpec {
    let matchers = if matchers.is_empty() { Vec::new() } else { parse(matchers).unwrap() };
    RouteSpec { matchers, to: Destinations::to(to.iter().copied()), ..RouteSpec::default() }
}

fn going_on(spec: RouteSpec) -> RouteSpec {
    RouteSpec { continue_: true, ..spec }
}

fn tree(routes: Vec<RouteSpec>) -> Tree {
    Tree::compile(RouteSpec { routes, ..route("", &["default"]) }, &Intervals::default()).unwrap()
}

fn labels(text: &str) -> Labels {
    text.split(',').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn channels(tree: &Tree, text: &str) -> String {
    let routed = tree.route(&labels(text), Timestamp::UNIX_EPOCH);
    routed.targets.iter().map(|t| t.channel.to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn the_first_match_wins_unless_it_goes_on_and_children_replace_their_parent() {
    let team = RouteSpec { routes: vec![route(r#"severity="critical""#, &["pager"])], ..route(r#"team="db""#, &["db"]) };
    let tree = tree(vec![going_on(route(r#"severity=~"critical|error""#, &["audit"])), team, route(r#"team=~".*""#, &["rest"])]);
    for (given, expected) in [
        ("team=db", "db"),
        ("team=db,severity=critical", "audit,pager"),
        ("team=db,severity=error", "audit,db"),
        ("severity=critical", "audit,rest"),
        ("team=web", "rest"),
        ("", "rest"),
    ] {
        assert_eq!(channels(&tree, given), expected, "{given}");
    }
}

#[test]
fn a_missing_label_is_the_empty_text() {
    let tree = tree(vec![route(r#"a!="x",a!~"y",b="""#, &["hit"])]);
    for (given, expected) in [("", "hit"), ("a=z", "hit"), ("a=x", "default"), ("a=y", "default"), ("b=1", "default")] {
        assert_eq!(channels(&tree, given), expected, "{given}");
    }
}

#[test]
fn a_channel_is_taken_once_and_the_second_time_is_told() {
    let tree = tree(vec![going_on(route(r#"a="1""#, &["ops"])), route(r#"b="1""#, &["ops", "mail"])]);
    let routed = tree.route(&labels("a=1,b=1"), Timestamp::UNIX_EPOCH);
    assert_eq!(routed.targets.iter().map(|t| &*t.channel).collect::<Vec<_>>(), ["ops", "mail"]);
    assert_eq!(routed.also.iter().map(|t| &*t.channel).collect::<Vec<_>>(), ["ops"]);
}

#[test]
fn what_is_left_out_is_inherited() {
    let child = RouteSpec { template: None, send_resolved: None, ..route(r#"b="1""#, &[]) };
    let parent = RouteSpec { template: Some("critical".into()), send_resolved: Some(false), routes: vec![child], ..route(r#"a="1""#, &["ops"]) };
    let routed = tree(vec![parent]).route(&labels("a=1,b=1"), Timestamp::UNIX_EPOCH);
    let target = &routed.targets[0];
    assert_eq!((&*target.channel, target.template.as_deref(), target.send_resolved), ("ops", Some("critical"), Some(false)));
}

#[test]
fn a_root_without_a_destination_or_with_an_unknown_interval_is_refused() {
    assert!(Tree::compile(RouteSpec::default(), &Intervals::default()).is_err());
    let muted = RouteSpec { mute_time_intervals: vec!["nights".into()], ..route(r#"a="1""#, &["ops"]) };
    let problems = Tree::compile(RouteSpec { routes: vec![muted], ..route("", &["default"]) }, &Intervals::default()).unwrap_err();
    assert!(problems.iter().any(|p| p.reason.contains("nights")), "{problems:?}");
}

/// The walk as the manual describes it, without any index.
fn plain(tree: &Tree, at: usize, labels: &Labels, selected: &mut Vec<usize>) {
    let before = selected.len();
    for &child in &tree.nodes()[at].children {
        if tree.nodes()[child].matchers.iter().all(|m| m.matches(labels)) {
            plain(tree, child, labels, selected);
            if !tree.nodes()[child].continue_ {
                break;
            }
        }
    }
    if selected.len() == before {
        selected.push(at);
    }
}

fn spec() -> impl Strategy<Value = RouteSpec> {
    let matcher = (0..3usize, 0..4usize, 0..3usize).prop_map(|(name, op, value)| {
        let (name, op, value) = (["a", "b", "c"][name], ["=", "!=", "=~", "!~"][op], ["", "1", "2"][value]);
        parse(&format!("{name}{op}\"{value}\"")).unwrap().remove(0)
    });
    let leaf = (prop::collection::vec(matcher, 0..3), any::<bool>()).prop_map(|(matchers, continue_)| RouteSpec {
        matchers,
        continue_,
        to: Destinations::to(["x"]),
        ..RouteSpec::default()
    });
    leaf.clone().prop_recursive(3, 40, 8, move |inner| {
        (leaf.clone(), prop::collection::vec(inner, 0..8)).prop_map(|(spec, routes)| RouteSpec { routes, ..spec })
    })
}

proptest! {
    #[test]
    fn the_index_changes_nothing(
        routes in prop::collection::vec(spec(), 0..12),
        alerts in prop::collection::vec(prop::collection::btree_map("[abc]", "[12]?", 0..4), 1..8),
    ) {
        let tree = tree(routes);
        for labels in alerts {
            let (mut indexed, mut walked) = (Vec::new(), Vec::new());
            tree.select(&labels, &mut indexed);
            plain(&tree, 0, &labels, &mut walked);
            prop_assert_eq!(&indexed, &walked, "{:?}", labels);
        }
    }
}
