//! Whatever becomes of a mute, what it deferred waits for it and no longer.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::model::{Labels, UnixMs};
use crate::route::mute::matchers_text;
use crate::route::{Destinations, Intervals, Mute as FileMute, MuteTime, RouteSpec, TimeInterval, TimeIntervalConfig, matcher};
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
    let by =
        |channel: &str, team: &str, severity: &str| mutes.at(NOW).of_alert(channel, &labels(team, severity)).map(|active| active.deferral_reason());
    assert_eq!(by("ops", "db", "warning").as_deref(), Some("muted by hand (severity!=\"critical\",team=\"db\"): upgrade"));
    assert_eq!(by("ops", "db", "critical"), None, "all of its matchers must match");
    assert_eq!(by("ops", "web", "critical").as_deref(), Some("muted by hand (channel=~\"ops|dba\",team=\"web\"): deploy"));
    assert_eq!(by("other", "web", "critical"), None, "the channel is one of them");
    assert_eq!(by("night", "web", "critical").as_deref(), Some("channel muted by hand: holiday"));
    assert!(mutes.of_channel("ops", NOW).is_none(), "it is not muted as a whole");
    let everywhere = |team: &str, severity: &str| mutes.at(NOW).on_every_channel(&labels(team, severity)).map(|active| active.until);
    assert_eq!(everywhere("db", "warning"), Some(NOW + HOUR));
    assert_eq!((everywhere("db", "critical"), everywhere("web", "critical")), (None, None), "other channels send it");
    let elsewhere = Mutes::read(vec![mute(here, HOUR, "deploy"), mute(&channel_matchers("night"), HOUR, "holiday")]);
    assert!(elsewhere.look_at_labels("dba", NOW) && !elsewhere.look_at_labels("other", NOW) && !elsewhere.look_at_labels("night", NOW));
    assert!(mutes.look_at_labels("ops", NOW) && !mutes.look_at_labels("ops", NOW + 2 * HOUR));
    assert!(mutes.at(NOW + HOUR).of_alert("ops", &labels("db", "warning")).is_none(), "it has ended");
    let longer = Mutes::read(vec![mute(db, HOUR, "short"), mute(r#"team="db""#, 3 * HOUR, "long")]);
    assert_eq!(longer.at(NOW).of_alert("ops", &labels("db", "warning")).map(|active| active.until), Some(NOW + 3 * HOUR), "the one that ends last");
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

fn of_file(name: &str, matchers: &str, time: MuteTime) -> FileMute {
    let matchers = matcher::parse(matchers).unwrap();
    let text = matchers_text(&matchers);
    FileMute { name: Some(name.into()), matchers, text, time, drop: false, reason: "upgrade".into(), owner: "ann".into(), ticket: String::new() }
}

fn with(mutes: Vec<FileMute>) -> Mutes {
    Mutes::of(&tree(night("06:00"), true).with_mutes(mutes))
}

#[test]
fn what_a_mute_of_the_file_deferred_is_released_when_its_matchers_change() {
    let tree = tree(night("06:00"), true);
    let until = |hours: i64| MuteTime::Until(NOW + hours * HOUR);
    let reason = "muted by `db` (team=\"db\"): upgrade (owner ann)";
    let deferral = Deferral { cause: DeferralCause::Mute { reason: reason.into() }, ..by_route("", NOW + HOUR) };
    let at = |mutes: Vec<FileMute>| reevaluate(&tree, &with(mutes), &deferral, NOW);
    let db = r#"team="db""#;
    assert_eq!(at(vec![of_file("db", db, until(2))]), Some((NOW + 2 * HOUR, Some(reason.into()))), "its end is later now");
    assert_eq!(at(vec![of_file("db", r#"team="web""#, until(2))]), Some((NOW, None)), "it matches something else now");
    assert_eq!(at(vec![of_file("web", db, until(2))]), Some((NOW, None)), "it has another name");
    assert_eq!((at(Vec::new()), at(vec![of_file("db", db, until(-1))])), (Some((NOW, None)), Some((NOW, None))));
}

#[test]
fn a_mute_of_the_file_comes_again_and_may_have_no_end() {
    let interval = |rule: Value| -> Arc<TimeInterval> {
        let config: TimeIntervalConfig = serde_json::from_value(json!({ "name": "night", "time_intervals": [rule] })).unwrap();
        Arc::new(config.compile().unwrap())
    };
    let labels = Labels::from([("team".to_owned(), "db".to_owned())]);
    let nightly = with(vec![of_file("db", r#"team="db""#, MuteTime::During(vec![interval(night("06:00"))]))]);
    let due = |mutes: &Mutes, at: UnixMs| mutes.at(at).of_alert("ops", &labels).map(|active| active.due(at));
    assert_eq!(due(&nightly, NOW), Some(NOW + 3 * HOUR));
    assert_eq!((due(&nightly, NOW + 3 * HOUR), due(&nightly, NOW + 24 * HOUR)), (None, Some(NOW + 27 * HOUR)));
    let always = with(vec![of_file("db", r#"team="db""#, MuteTime::During(vec![interval(json!({ "weekdays": ["sunday:saturday"] }))]))]);
    assert_eq!(due(&always, NOW), Some(NOW + 24 * HOUR), "re-evaluated in a day");
    let reason = "muted by `db` (team=\"db\"): upgrade (owner ann)".to_owned();
    let deferral = |last| Deferral { cause: DeferralCause::Mute { reason: reason.clone() }, ..by_route("", last) };
    let tree = tree(night("06:00"), true);
    assert_eq!(reevaluate(&tree, &always, &deferral(NOW + 20 * HOUR), NOW), None, "not yet");
    assert_eq!(reevaluate(&tree, &always, &deferral(NOW + 2 * HOUR), NOW), Some((NOW + 24 * HOUR, Some(reason.clone()))));
}

#[test]
fn what_drops_comes_last() {
    let labels = Labels::from([("team".to_owned(), "db".to_owned())]);
    let until = |hours: i64| MuteTime::Until(NOW + hours * HOUR);
    let drops = FileMute { drop: true, ..of_file("noise", r#"team="db""#, until(9)) };
    let by = |mutes: Vec<FileMute>| with(mutes).at(NOW).of_alert("ops", &labels).map(|active| active.mute.called().to_owned());
    assert_eq!(by(vec![drops.clone(), of_file("db", r#"team=~"d.*""#, until(1))]).as_deref(), Some("db"), "what one defers no other one drops");
    assert_eq!(by(vec![drops]).as_deref(), Some("noise"));
    let whole = with(vec![of_file("all", r#"channel="ops""#, until(2))]);
    assert_eq!(whole.of_channel("ops", NOW).map(|active| active.until), Some(NOW + 2 * HOUR));
    assert!(whole.of_channel("dba", NOW).is_none() && whole.of_channel_by_hand("ops", NOW).is_none());
}
