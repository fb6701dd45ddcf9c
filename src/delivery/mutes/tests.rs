//! Whatever becomes of a mute, what it deferred waits for it and no longer.

use serde_json::{Value, json};

use super::*;
use crate::model::UnixMs;
use crate::route::{Intervals, RouteSpec, TimeIntervalConfig};

/// 2026-11-24 03:00 UTC, a Tuesday.
const NOW: UnixMs = UnixMs(1_795_489_200_000);
const HOUR: i64 = 3_600_000;

/// A tree whose first route below the root leads to `ops` and is muted in this interval.
fn tree(rule: Value, mute: bool) -> Tree {
    let config: TimeIntervalConfig = serde_json::from_value(json!({ "name": "night", "time_intervals": [rule] })).unwrap();
    let intervals = Intervals::from([("night".to_owned(), Arc::new(config.compile().unwrap()))]);
    let below = RouteSpec {
        name: "route.routes[0]".into(),
        to: vec!["ops".into()],
        mute_time_intervals: if mute { vec!["night".into()] } else { Vec::new() },
        ..RouteSpec::default()
    };
    let root = RouteSpec { name: "route".into(), to: vec!["other".into()], routes: vec![below], ..RouteSpec::default() };
    Tree::compile(root, &intervals).unwrap()
}

fn night(end: &str) -> Value {
    json!({ "times": [{ "start_time": "00:00", "end_time": end }] })
}

fn by_route(route: &str, last: UnixMs) -> Deferral {
    Deferral { channel: "ops".into(), route: route.into(), by_hand: false, first: last, last }
}

fn until(tree: &Tree, deferral: &Deferral) -> Option<i64> {
    reevaluate(tree, &HashMap::new(), deferral, NOW).map(|(until, _)| until - NOW)
}

#[test]
fn an_interval_defers_to_its_end_as_it_is_now() {
    let deferral = by_route("route.routes[0]", NOW + 3 * HOUR);
    assert_eq!(until(&tree(night("06:00"), true), &deferral), Some(3 * HOUR));
    assert_eq!(until(&tree(night("05:00"), true), &deferral), Some(2 * HOUR));
    assert_eq!(until(&tree(night("08:00"), true), &deferral), Some(5 * HOUR));
    let (_, reason) = reevaluate(&tree(night("05:00"), true), &HashMap::new(), &deferral, NOW).unwrap();
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
    let deferral = Deferral { by_hand: true, ..by_route("", NOW + HOUR) };
    let mutes = |until: i64| HashMap::from([("ops".to_owned(), ManualMute { until: NOW + until, reason: "upgrade".into() })]);
    assert_eq!(reevaluate(&tree, &mutes(2 * HOUR), &deferral, NOW), Some((NOW + 2 * HOUR, Some("channel muted by hand: upgrade".into()))));
    assert_eq!(reevaluate(&tree, &mutes(-1), &deferral, NOW), Some((NOW, None)));
    assert_eq!(reevaluate(&tree, &HashMap::new(), &deferral, NOW), Some((NOW, None)));
}
