//! Who is called in the nights in which clocks change, in injected time.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::json;

use crate::delivery::{PersonName, Quiet, Rota, Rotation};
use crate::model::{Severity, Status, UnixMs, Verb};
use crate::route::TimeIntervalConfig;

use super::plan::BEGIN;
use super::scene::Scene;

const MINUTE: Duration = Duration::from_secs(60);

/// Three people take turns in three zones, in nights in which clocks change. Every ten minutes something fires; every third one is acked at once.
#[test]
fn in_a_night_of_a_clock_change_the_right_one_is_called() {
    let nights = [
        ("Europe/Berlin", "2026-10-24T23:40:00Z", (2, 30), "2026-10-22", "2026-10-25T00:30:00Z"),
        ("Europe/Berlin", "2027-03-28T00:40:00Z", (2, 30), "2027-03-20", "2027-03-28T01:30:00Z"),
        ("America/New_York", "2026-11-01T04:40:00Z", (1, 30), "2026-10-31", "2026-11-01T05:30:00Z"),
        ("America/New_York", "2027-03-14T06:40:00Z", (2, 30), "2027-03-11", "2027-03-14T07:30:00Z"),
        ("Asia/Shanghai", "2026-10-25T00:40:00Z", (9, 30), "2026-10-01", "2026-10-25T01:30:00Z"),
        ("Australia/Lord_Howe", "2027-04-03T13:55:00Z", (1, 45), "2027-04-01", "2027-04-03T14:45:00Z"),
    ];
    // The others are for the long suite: each costs seconds.
    let count = if std::env::var_os("WATCHFIRE_LONG").is_some() { nights.len() } else { 2 };
    for (zone, night, handoff, first, change) in nights.into_iter().take(count) {
        let at = |text: &str| UnixMs::from(text.parse::<jiff::Timestamp>().expect("a time"));
        let (night, change) = (at(night), at(change));
        let mut scene = Scene::new();
        scene.now = night;
        scene.rota.zone = jiff::tz::TimeZone::get(zone).expect("a zone");
        scene.rota.people = ["ann", "bob", "carol"].map(PersonName::from).to_vec();
        (scene.rota.first, scene.rota.handoff) = (first.parse().expect("a date"), jiff::civil::time(handoff.0, handoff.1, 0, 0));
        let rota = scene.rota.clone();
        scene.live(async |process| {
            for n in 0..6 {
                let id = process.report(&format!("g{n}"), &[(&format!("Disk{n}"), "night", Status::Firing)]).await;
                if n % 3 == 0 {
                    process.press(Verb::Ack, id, Duration::ZERO).await;
                }
                tokio::time::sleep(10 * MINUTE).await;
            }
        });
        let (before, after) = (rota.at(change - 1, &[]).expect("somebody").person, rota.at(change, &[]).expect("somebody").person);
        assert_ne!(before, after, "{zone}");
        let calls: Vec<_> = scene.steps().into_iter().filter(|(_, channel, _)| *channel == "voice").collect();
        assert_eq!(calls.len(), 2 * 4, "{zone}: two of each that is not acked, and none of what is: {calls:?}");
        let mut on_either_side = [0, 0];
        for (minute, _, to) in calls {
            let then = BEGIN + Duration::ZERO + minute * 60_000;
            let wanted = if then < change { &before } else { &after };
            on_either_side[usize::from(then >= change)] += 1;
            assert_eq!(to, **wanted, "{zone}: at {then}");
        }
        assert!(on_either_side.iter().all(|calls| *calls >= 2), "{zone}: {on_either_side:?}");
    }
}

/// Three offices with a rota each, and three people in their zones, who are in two rotas each and sleep for an hour: through the nights in which clocks change.
#[test]
#[ignore = "it takes half a minute: `.ci/long model`"]
fn people_in_three_zones_are_called_in_their_turns_and_sleep_by_their_own_clocks() {
    let zone = |name: &str| TimeZone::get(name).expect("a zone");
    let (berlin, new_york, shanghai) = ("Europe/Berlin", "America/New_York", "Asia/Shanghai");
    let office = |name: &str, of: &str, hour: i8, people: [&str; 2]| Rota {
        name: name.into(),
        zone: zone(of),
        rotation: Rotation::Daily,
        first: jiff::civil::date(2026, 10, 1),
        handoff: jiff::civil::time(hour, 30, 0, 0),
        people: people.map(PersonName::from).to_vec(),
        tell: None,
    };
    let sleep = [("ann", berlin, 2), ("bob", new_york, 1), ("carol", shanghai, 9)];
    let hours = |(_, of, hour): (&str, &str, i8)| {
        let times = json!([{ "start_time": format!("{hour:02}:00"), "end_time": format!("{:02}:00", hour + 1) }]);
        let rules = serde_json::from_value(json!([{ "location": of, "times": times }])).expect("rules");
        let interval = TimeIntervalConfig { name: "sleep".into(), time_intervals: rules }.compile().expect("an interval");
        Quiet { intervals: vec![Arc::new(interval)], unless: Severity::Critical }
    };
    let mut scene = Scene::new();
    scene.offices = vec![
        office("berlin", berlin, 2, ["ann", "bob"]),
        office("newyork", new_york, 1, ["bob", "carol"]),
        office("shanghai", shanghai, 9, ["carol", "ann"]),
    ];
    scene.hours = sleep.into_iter().map(|one| (one.0, hours(one))).collect();
    let offices = scene.offices.clone();
    let mut wanted: Vec<(i64, &'static str, String)> = Vec::new();
    // Half a minute past: minutes before the beginning are cut off towards it.
    // Those who slept in each night: an hour that comes twice is slept twice, and one that does not come is not slept.
    let mut slept = Vec::new();
    for night in ["2026-10-25T00:00:30Z", "2026-11-01T05:00:30Z", "2027-03-14T06:00:30Z", "2027-03-28T00:00:30Z"] {
        scene.now = UnixMs::from(night.parse::<jiff::Timestamp>().expect("a time"));
        let mut sleepers = std::collections::BTreeSet::new();
        let begun: Vec<(usize, UnixMs)> = scene.live(async |process| {
            let mut begun = Vec::new();
            for n in 0..18 {
                tokio::time::sleep(5 * MINUTE).await;
                let place = n % 3;
                begun.push((place, process.now()));
                process.report(&format!("{night}-{n}"), &[(&format!("Disk{n}"), &*offices[place].name, Status::Firing)]).await;
                if place == 2 {
                    tokio::time::sleep(5 * MINUTE).await;
                }
            }
            tokio::time::sleep(10 * MINUTE).await;
            begun
        });
        for (place, at) in begun {
            let due = at + 2 * MINUTE;
            let person = offices[place].at(due, &[]).expect("somebody").person;
            let (_, of, hour) = sleep.into_iter().find(|(name, ..)| **name == *person).expect("one of the three");
            let minute = |at: UnixMs| (at - BEGIN) / 60_000;
            if zone(of).to_datetime(due.timestamp()).hour() == hour {
                sleepers.insert(person.to_string());
            } else {
                wanted.push((minute(due), "voice", person.to_string()));
            }
            wanted.push((minute(at + 4 * MINUTE), "mail", "room".to_owned()));
        }
        slept.push(sleepers.into_iter().collect::<Vec<_>>().join(","));
    }
    let mut reached = scene.steps();
    wanted.sort();
    reached.sort();
    assert_eq!(reached, wanted);
    assert_eq!(slept.iter().map(String::as_str).collect::<Vec<_>>(), ["ann,carol", "bob", "bob", "carol"]);
}
