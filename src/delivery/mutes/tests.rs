//! Whatever becomes of a mute, what it deferred waits for it and no longer.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::model::{Labels, UnixMs};
use crate::route::{Destinations, Intervals, RouteSpec, TimeIntervalConfig};
use crate::store::{Mute, channel_matchers};

/// 2026-11-24 03:00 UTC, a Tuesday.
const NOW: UnixMs = UnixMs(1_795_489_200_000);
const HOUR: i64 = 3_600_000;

/// A tree whose first route below the root leads to `ops` and is muted in this interval.
fn tree(rule: Value, mute: bool) -> Tree {
    let config: TimeIntervalConfig = serde_json::from_value(json!({ "name": "night", "time_intervals": [rule] })).unwrap();
    let intervals = Intervals::from([("night".to_owned(), Arc::new(config.compile().unwrap()))]);
    let below = RouteSpec {
        name: "route.routes[0]".into(),
        to: Destinations::to(["ops"]),
        mute_time_intervals: if mute { vec!["night".into()] } else { Vec::new() },
        ..RouteSpec::default()
    };
    let root = RouteSpec { name: "route".into(), to: Destinations::to(["other"]), routes: vec![below], ..RouteSpec::default() };
    Tree::compile(root, &intervals).unwrap()
}

fn night(end: &str) -> Value {
    json!({ "times": [{ "start_time": "00:00", "end_time": end }] })
}

fn by_route(route: &str, last: UnixMs) -> Deferral {
    Deferral { channel: "ops".into(), cause: DeferralCause::Interval { route: route.into() }, first: last, last }
}

fn until(tree: &Tree, deferral: &Deferral) -> Option<i64> {
    reevaluate(tree, &Mutes::default(), deferral, NOW).map(|(until, _)| until - NOW)
}

#[test]
fn an_interval_defers_to_its_end_as_it_is_now() {
    let deferral = by_route("route.routes[0]", NOW + 3 * HOUR);
    assert_eq!(until(&tree(night("06:00"), true), &deferral), Some(3 * HOUR));
    assert_eq!(until(&tree(night("05:00"), true), &deferral), Some(2 * HOUR));
    assert_eq!(until(&tree(night("08:00"), true), &deferral), Some(5 * HOUR));
    let (_, reason) = reevaluate(&tree(night("05:00"), true), &Mutes::default(), &deferral, NOW).unwrap();
    assert_eq!(reason.as_deref(), Some("muted by time interval `night` until 2026-11-24T05:00:00Z"));
    assert_eq!(until(&tree(night("02:00"), true), &deferral), Some(0), "it is over");
    assert_eq!(until(&tree(night("06:00"), false), &deferral), Some(0), "the route has none any more");
}

#[test]
fn a_route_that_moved_is_known_by_its_channel() {
    assert_eq!(until(&tree(night("05:00"), true), &by_route("route.routes[7]", NOW + HOUR)), Some(2 * HOUR));
    let gone = Deferral { channel: "gone".into(), ..by_route("route.routes[7]", NOW + HOUR) };
    assert_eq!(until(&tree(night("05:00"), true), &gone), Some(0), "no route leads there");
}

#[test]
fn a_mute_without_an_end_goes_on_for_as_long_as_it_mutes() {
    let tree = tree(json!({ "weekdays": ["sunday:saturday"] }), true);
    assert_eq!(until(&tree, &by_route("route.routes[0]", NOW + 20 * HOUR)), None, "not yet");
    assert_eq!(until(&tree, &by_route("route.routes[0]", NOW + 2 * HOUR)), Some(24 * HOUR), "its time was only a stand-in");
}

#[test]
fn a_mute_by_hand_defers_to_its_end_as_it_is_now() {
    let tree = tree(night("06:00"), true);
    let deferral = Deferral { cause: DeferralCause::Channel, ..by_route("", NOW + HOUR) };
    let mutes = |until: i64| Mutes::read(vec![mute(&channel_matchers("ops"), until, "upgrade")]);
    assert_eq!(reevaluate(&tree, &mutes(2 * HOUR), &deferral, NOW), Some((NOW + 2 * HOUR, Some("channel muted by hand: upgrade".into()))));
    assert_eq!(reevaluate(&tree, &mutes(-1), &deferral, NOW), Some((NOW, None)));
    assert_eq!(reevaluate(&tree, &Mutes::default(), &deferral, NOW), Some((NOW, None)));
}

fn mute(matchers: &str, until: i64, reason: &str) -> Mute {
    Mute { matchers: matchers.into(), until: NOW + until, reason: reason.into(), by: "ann".into() }
}

#[test]
fn a_mute_by_labels_mutes_what_all_its_matchers_match() {
    let db = r#"severity!="critical",team="db""#;
    let here = r#"channel=~"ops|dba",team="web""#;
    let mutes = Mutes::read(vec![mute(&channel_matchers("night"), HOUR, "holiday"), mute(db, HOUR, "upgrade"), mute(here, 2 * HOUR, "deploy")]);
    let labels = |team: &str, severity: &str| Labels::from([("team".to_owned(), team.to_owned()), ("severity".to_owned(), severity.to_owned())]);
    let by = |channel: &str, team: &str, severity: &str| {
        mutes.of_alert(channel, &labels(team, severity), NOW).map(crate::delivery::mutes::ManualMute::deferral_reason)
    };
    assert_eq!(by("ops", "db", "warning").as_deref(), Some("muted by hand (severity!=\"critical\",team=\"db\"): upgrade"));
    assert_eq!(by("ops", "db", "critical"), None, "all of its matchers must match");
    assert_eq!(by("ops", "web", "critical").as_deref(), Some("muted by hand (channel=~\"ops|dba\",team=\"web\"): deploy"));
    assert_eq!(by("other", "web", "critical"), None, "the channel is one of them");
    assert_eq!(by("night", "web", "critical").as_deref(), Some("channel muted by hand: holiday"));
    assert_eq!(mutes.of_channel("ops", NOW), None, "it is not muted as a whole");
    let elsewhere = Mutes::read(vec![mute(here, HOUR, "deploy"), mute(&channel_matchers("night"), HOUR, "holiday")]);
    assert!(elsewhere.look_at_labels("dba", NOW) && !elsewhere.look_at_labels("other", NOW) && !elsewhere.look_at_labels("night", NOW));
    assert!(mutes.look_at_labels("ops", NOW) && !mutes.look_at_labels("ops", NOW + 2 * HOUR));
    assert_eq!(mutes.of_alert("ops", &labels("db", "warning"), NOW + HOUR), None, "it has ended");
    let longer = Mutes::read(vec![mute(db, HOUR, "short"), mute(r#"team="db""#, 3 * HOUR, "long")]);
    assert_eq!(longer.of_alert("ops", &labels("db", "warning"), NOW).map(|mute| mute.until), Some(NOW + 3 * HOUR), "the one that ends last");
}

#[test]
fn what_a_mute_by_labels_deferred_follows_that_mute() {
    let tree = tree(night("06:00"), true);
    let deferral = |reason: &str| Deferral { cause: DeferralCause::Mute { reason: reason.into() }, ..by_route("", NOW + HOUR) };
    let db = r#"team="db""#;
    let mutes = |until: i64| Mutes::read(vec![mute(r#"team="db",x="y""#, 9 * HOUR, "other"), mute(db, until, "now")]);
    let before = deferral("muted by hand (team=\"db\"): before");
    assert_eq!(reevaluate(&tree, &mutes(2 * HOUR), &before, NOW), Some((NOW + 2 * HOUR, Some("muted by hand (team=\"db\"): now".into()))));
    assert_eq!(reevaluate(&tree, &mutes(-1), &before, NOW), Some((NOW, None)), "it has ended; the other one is looked at when it is composed");
}
