//! Which label sets go another way.

use super::*;

fn plan(routes: &str) -> Plan {
    let text =
        format!("channels: {{ a: {{ log: {{}} }}, b: {{ log: {{}} }}, c: {{ log: {{}} }}, off: {{ log: {{}}, disabled: true }} }}\n{routes}\n");
    let folder = std::env::temp_dir().join(format!("watchfire-diff-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("routes.yaml"), text).unwrap();
    let loaded = config::load(&folder.join("routes.yaml"), &LoadOptions::without_secrets());
    std::fs::remove_dir_all(&folder).unwrap();
    loaded.unwrap_or_else(|findings| panic!("{}", config::report(&findings))).plan
}

fn diff(old: &str, new: &str) -> Vec<String> {
    let (old, new) = with_other_mutes(plan(old), plan(new), UnixMs(1_800_000_000_000));
    let labels = labels(&old, &new);
    let (sets, _) = sets(&labels, &[&old, &new]);
    changes(&labels, sets, &old, &new)
        .iter()
        .map(|(set, change)| format!("{{{}}}: {} -> {}", written(&labels, set), change.old, change.new))
        .collect()
}

#[test]
fn only_what_changes_is_shown_and_the_most_general_of_it() {
    let old = "route: { to: [a], routes: [{ matchers: 'team=\"db\"', to: [b] }] }";
    assert_eq!(diff(old, old), Vec::<String>::new());
    let new =
        "route: { to: [a], routes: [{ matchers: 'team=\"db\", severity=~\"critical|error\"', to: [b, c] }, { matchers: 'team=\"db\"', to: [b] }] }";
    assert_eq!(diff(old, new), ["{severity=~\"critical|error\", team=\"db\"}: b -> b, c"]);
    assert_eq!(diff(old, "route: { to: [c], routes: [{ matchers: 'team=\"db\"', to: [b] }] }"), ["{}: a -> c"]);
}

#[test]
fn values_that_no_matcher_names_are_compared_too() {
    let old = "route: { to: [a], routes: [{ matchers: 'team!=\"\"', to: [b] }] }";
    let new = "route: { to: [a], routes: [{ matchers: 'team=~\"db-.+\"', to: [b] }] }";
    assert_eq!(diff(old, new), ["{team=(any other)}: b -> a"]);
}

#[test]
fn patterns_are_compared_by_examples_of_every_branch() {
    let one = |pattern: &str| format!("route: {{ to: [a], routes: [{{ matchers: 'team=~\"{pattern}\"', to: [b] }}] }}");
    assert_eq!(diff(&one("(db|web)-.*"), &one("db-.*")).len(), 1);
    assert_eq!(diff(&one("db-.*"), &one("(db|web)-.*")).len(), 1);
    assert_eq!(diff(&one("db-[0-9]+"), &one("db-[0-9]")).len(), 1);
    assert_eq!(diff(&one("db-.*"), &one("db-.*")), Vec::<String>::new());
    // No text of the old pattern, and a value that nothing names.
    assert_eq!(diff(&one(".+"), &one("[a-zA-Z0-9].*")), ["{team=(others, as \"~\")}: b -> a"]);
    let (open, listed) = (plan(&one("db-.*")), plan(&one("db-1|db-2")));
    assert!(labels(&open, &listed)[0].by_examples && !labels(&listed, &listed)[0].by_examples);
}

#[test]
fn what_a_route_says_besides_its_channels_is_compared() {
    let one = |more: &str| format!("route: {{ to: [a], routes: [{{ matchers: 'team=\"db\"', to: [b]{more} }}] }}");
    for (more, words) in [
        (", send_resolved: false", "b (send_resolved false)"),
        (", on_mute: drop", "b (on_mute drop)"),
        (", mentions: { users: [ann] }", "b (mentions {\"users\":[\"ann\"]})"),
    ] {
        assert_eq!(diff(&one(""), &one(more)), [format!("{{team=\"db\"}}: b -> {words}")]);
    }
}

#[test]
fn what_keeps_alerts_from_a_channel_is_compared() {
    let one = |mutes: &str| format!("mutes: [{mutes}]\nroute: {{ to: [a], routes: [{{ matchers: 'team=\"db\"', to: [b] }}] }}");
    let mute = |matchers: &str, until: &str| format!("{{ matchers: '{matchers}', until: {until}, reason: x, owner: ann }}");
    let (q, on_b) = (mute("team=\"q\"", "2099-01-01T00:00:00Z"), mute("channel=\"b\"", "2099-01-01T00:00:00Z"));
    assert_eq!(diff(&one(""), &one(&q)), ["{team=\"q\"}: a -> a (muted by team=\"q\")"]);
    assert_eq!(diff(&one(&q), &one(&format!("{on_b}, {q}"))), ["{team=\"db\"}: b -> b (muted by channel=\"b\")"]);
    assert_eq!(diff(&one(""), &one(&mute("team=\"q\"", "2020-01-01T00:00:00Z"))), Vec::<String>::new(), "it is over");
    assert_eq!(diff("route: { to: [a] }", "route: { to: [off] }"), ["{}: a -> off (disabled)"]);
}

#[test]
fn an_order_that_changes_nothing_is_no_change() {
    let two = |first: &str, second: &str| format!("route: {{ to: [a], routes: [{first}, {second}] }}");
    let (db, web) = ("{ matchers: 'team=\"db\"', to: [b] }", "{ matchers: 'team=\"web\"', to: [c] }");
    assert_eq!(diff(&two(db, web), &two(web, db)), Vec::<String>::new());
}

#[test]
fn a_large_product_is_compared_in_part() {
    let routes = |last: &str| {
        let many: Vec<String> = (0..12).map(|n| format!("{{ matchers: 'l{n}=\"1\", m{n}=~\"1|2\", k{n}!=\"x\"', to: [b] }}")).collect();
        format!("route: {{ to: [a], routes: [{}, {{ matchers: 'z=\"1\"', to: [{last}] }}] }}", many.join(", "))
    };
    let (old, new) = (plan(&routes("b")), plan(&routes("c")));
    let labels = labels(&old, &new);
    let (sets, complete) = sets(&labels, &[&old, &new]);
    assert!(!complete && sets.len() <= MAX_LABEL_SETS, "{}", sets.len());
    let found = changes(&labels, sets, &old, &new);
    assert_eq!(written(&labels, &found[0].0), "z=\"1\"");
}
