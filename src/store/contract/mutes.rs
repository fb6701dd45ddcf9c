//! Contract of mutes: by hand and of the file, what they defer, and what people were notified of them.

use super::fixtures::*;
use crate::model::{IncidentId, UnixMs, Verb};
use crate::store::*;

pub async fn mutes_come_and_go(store: S) {
    let mute = |until, by: &str| Mute { matchers: channel_matchers("ops"), until, reason: "upgrade".into(), by: by.into() };
    store.set_mute(mute(T0 + MIN, "ann"), T0).await.unwrap();
    store.set_mute(mute(T0 + 2 * MIN, "bob"), T0).await.unwrap();
    assert_eq!(store.list_mutes().await.unwrap(), [mute(T0 + 2 * MIN, "bob")]);
    store.set_mute(mute(UnixMs(0), "bob"), T0).await.unwrap();
    assert!(store.list_mutes().await.unwrap().is_empty());
}

pub async fn a_mute_that_changes_takes_along_what_it_deferred(store: S) {
    let mute = |until: UnixMs, reason: &str| Mute { matchers: channel_matchers("ops"), until, reason: reason.into(), by: "ann".into() };
    let deferred = |channel: &str, reason: &str, due: i64| NewDelivery {
        state: State::Deferred,
        due_at: T0 + due,
        reason: Some(reason.into()),
        ..delivery(channel, LANE)
    };
    store.set_mute(mute(T0 + 60 * MIN, "upgrade"), T0).await.unwrap();
    let hand = put_one(&store, deferred("ops", "channel muted by hand: upgrade", 60 * MIN)).await;
    let night = put_one(&store, deferred("ops", "muted by time interval `night` until then", 60 * MIN)).await;
    let other = put_one(&store, deferred("dba", "channel muted by hand: upgrade", 60 * MIN)).await;
    let ended = put_one(&store, deferred("ops", "channel muted by hand: upgrade", 2 * MIN)).await;
    let due = async |d: &AcceptedDelivery| row(&store, d.id).await.due_at - T0;
    store.set_mute(mute(T0 + 10 * MIN, "shorter"), T0 + 3 * MIN).await.unwrap();
    assert_eq!((due(&hand).await, due(&night).await, due(&other).await), (10 * MIN, 60 * MIN, 60 * MIN));
    assert_eq!(due(&ended).await, 2 * MIN, "what is due stays due");
    assert_eq!(row(&store, hand.id).await.reason.as_deref(), Some("channel muted by hand: shorter"));
    store.set_mute(mute(T0 + 90 * MIN, "longer"), T0 + 3 * MIN).await.unwrap();
    assert_eq!((due(&hand).await, head(&store, hand.lane).await.due_at), (90 * MIN, T0 + 2 * MIN));
    store.drop_deliveries(&[ended.id], "noise", T0 + 3 * MIN).await.unwrap();
    assert_eq!(head(&store, hand.lane).await.due_at, T0 + 60 * MIN);
    store.set_mute(mute(UnixMs(0), ""), T0 + 4 * MIN).await.unwrap();
    assert_eq!((due(&hand).await, due(&night).await, head(&store, hand.lane).await.due_at), (4 * MIN, 60 * MIN, T0 + 4 * MIN));
    let row = row(&store, hand.id).await;
    assert_eq!((row.state, row.reason.as_deref()), (State::Deferred, Some("channel muted by hand: longer; ended early")));
}

pub async fn a_mute_by_labels_takes_along_what_it_deferred_on_any_channel(store: S) {
    let matchers = r#"team="db""#;
    let mute = |until: UnixMs, reason: &str| Mute { matchers: matchers.into(), until, reason: reason.into(), by: "ann".into() };
    let deferred = |channel: &str, key: &str, reason: &str| NewDelivery {
        state: State::Deferred,
        due_at: T0 + 60 * MIN,
        reason: Some(reason.into()),
        ..delivery(channel, key)
    };
    store.set_mute(Mute { matchers: channel_matchers("ops"), ..mute(T0 + 60 * MIN, "all of it") }, T0).await.unwrap();
    store.set_mute(mute(T0 + 60 * MIN, "upgrade"), T0).await.unwrap();
    let listed: Vec<String> = store.list_mutes().await.unwrap().into_iter().map(|mute| mute.matchers).collect();
    assert_eq!(listed, [channel_matchers("ops"), matchers.to_owned()]);
    let a = put_one(&store, deferred("ops", "a", "muted by hand (team=\"db\"): upgrade")).await;
    let b = put_one(&store, deferred("dba", "b", "muted by hand (team=\"db\"): upgrade")).await;
    let other = put_one(&store, deferred("ops", "c", "muted by hand (team=\"db\",x=\"y\"): upgrade")).await;
    let whole = put_one(&store, deferred("ops", "d", "channel muted by hand: all of it")).await;
    let due = async |d: &AcceptedDelivery| row(&store, d.id).await.due_at - T0;
    store.set_mute(mute(T0 + 10 * MIN, "shorter"), T0 + MIN).await.unwrap();
    assert_eq!((due(&a).await, due(&b).await, due(&other).await, due(&whole).await), (10 * MIN, 10 * MIN, 60 * MIN, 60 * MIN));
    assert_eq!(row(&store, a.id).await.reason.as_deref(), Some("muted by hand (team=\"db\"): shorter"));
    let cause = |reason: &str| DeferralCause::Mute { reason: reason.into() };
    let of = |channel: &str, cause, at| Deferral { channel: channel.into(), cause, first: T0 + at, last: T0 + at };
    let shorter = || cause("muted by hand (team=\"db\"): shorter");
    let all = [
        of("dba", shorter(), 10 * MIN),
        of("ops", DeferralCause::Channel, 60 * MIN),
        of("ops", shorter(), 10 * MIN),
        of("ops", cause("muted by hand (team=\"db\",x=\"y\"): upgrade"), 60 * MIN),
    ];
    let mut found = store.list_deferrals(T0 + MIN).await.unwrap();
    found.sort();
    assert_eq!(found, all);
    assert_eq!(store.reschedule_deferred(of("dba", shorter(), 20 * MIN), None, T0 + MIN).await.unwrap(), 1);
    assert_eq!((due(&a).await, due(&b).await), (10 * MIN, 20 * MIN), "on one channel");
    store.set_mute(mute(UnixMs::EPOCH, ""), T0 + 2 * MIN).await.unwrap();
    assert_eq!((due(&a).await, due(&other).await, due(&whole).await), (2 * MIN, 60 * MIN, 60 * MIN));
    assert_eq!(row(&store, a.id).await.reason.as_deref(), Some("muted by hand (team=\"db\"): shorter; ended early"));
}

pub async fn what_an_interval_deferred_can_be_deferred_anew(store: S) {
    let deferred = |key: &str, route: &str, due: i64| {
        let mut new = delivery("ops", key);
        new.target.route = route.into();
        NewDelivery { state: State::Deferred, due_at: T0 + due, reason: Some("muted by time interval `night` until then".into()), ..new }
    };
    let (a, b) = (put_one(&store, deferred("a", "route/1", MIN)).await, put_one(&store, deferred("a", "route/1", 3 * MIN)).await);
    let c = put_one(&store, deferred("b", "route/2", 3 * MIN)).await;
    put_one(&store, NewDelivery { reason: Some("channel muted by hand: x".into()), ..deferred("c", "route/1", 5 * MIN) }).await;
    put_one(&store, NewDelivery { state: State::Waiting, ..deferred("c", "route/1", 5 * MIN) }).await;
    let of = |route: &str, by_hand, first, last| {
        let cause = if by_hand { DeferralCause::Channel } else { DeferralCause::Interval { route: route.into() } };
        Deferral { channel: "ops".into(), cause, first: T0 + first, last: T0 + last }
    };
    let all = [of("", true, 5 * MIN, 5 * MIN), of("route/1", false, MIN, 3 * MIN), of("route/2", false, 3 * MIN, 3 * MIN)];
    assert_eq!(store.list_deferrals(T0).await.unwrap(), all);
    assert_eq!(store.list_deferrals(T0 + MIN).await.unwrap()[1], of("route/1", false, 3 * MIN, 3 * MIN), "what is due is not deferred any more");
    assert_eq!(store.reschedule_deferred(of("route/1", false, 0, 3 * MIN), Some("muted by time interval `x`".into()), T0).await.unwrap(), 1);
    assert_eq!((row(&store, a.id).await.due_at, head(&store, a.lane).await.due_at), (T0 + 3 * MIN, T0 + 3 * MIN));
    assert_eq!(row(&store, a.id).await.reason.as_deref(), Some("muted by time interval `x`"));
    assert_eq!(store.reschedule_deferred(of("route/1", false, 0, 2 * MIN), None, T0 + 2 * MIN).await.unwrap(), 2);
    assert_eq!((row(&store, b.id).await.due_at, head(&store, b.lane).await.due_at), (T0 + 2 * MIN, T0 + 2 * MIN));
    assert_eq!(row(&store, c.id).await.due_at, T0 + 3 * MIN, "another route's");
}

pub async fn what_a_mute_of_the_file_deferred_is_known_by_its_reason(store: S) {
    let reason = "muted by `db` (team=\"db\"): upgrade";
    let deferred = |channel: &str, key: &str, reason: &str| NewDelivery {
        state: State::Deferred,
        due_at: T0 + 60 * MIN,
        reason: Some(reason.into()),
        ..delivery(channel, key)
    };
    let db = put_one(&store, deferred("ops", "a", reason)).await;
    let interval = put_one(&store, deferred("ops", "b", "muted by time interval `night` until then")).await;
    let cause = DeferralCause::Mute { reason: reason.into() };
    let all = store.list_deferrals(T0).await.unwrap();
    assert_eq!(all.iter().map(|of| &of.cause).collect::<Vec<_>>(), [&cause, &DeferralCause::Interval { route: String::new() }]);
    let none = Mute { matchers: r#"team="db""#.into(), until: UnixMs::EPOCH, reason: String::new(), by: "ann".into() };
    store.set_mute(none, T0).await.unwrap();
    assert_eq!(row(&store, db.id).await.due_at, T0 + 60 * MIN, "the end of a mute by hand with the same matchers is not its end");
    let now = Deferral { channel: "ops".into(), cause, first: T0 + MIN, last: T0 + MIN };
    assert_eq!(store.reschedule_deferred(now, None, T0 + MIN).await.unwrap(), 1);
    assert_eq!((row(&store, db.id).await.due_at, row(&store, interval.id).await.due_at), (T0 + MIN, T0 + 60 * MIN));
    assert_eq!(row(&store, db.id).await.reason.as_deref(), Some("muted by `db` (team=\"db\"): upgrade; ended early"));
}

pub async fn what_mutes_hold_is_counted_by_severity(store: S) {
    let held = async |channel: &str, key: &str, reason: &str, rank: i64, firing: u32| {
        let summary = Summary { title: "t".into(), firing, resolved: 1 - firing };
        let new = NewDelivery { state: State::Deferred, due_at: T0 + MIN, reason: Some(reason.into()), rank, summary, ..delivery(channel, key) };
        put_one(&store, new).await
    };
    let file = "muted by `db` (team=\"db\"): upgrade";
    let dropped = held("ops", "a", file, 0, 1).await;
    held("ops", "b", file, 0, 1).await;
    held("ops", "c", file, 2, 1).await;
    held("ops", "d", file, 2, 0).await;
    held("dba", "e", "muted by hand (team=\"db\"): upgrade", 1, 1).await;
    held("dba", "f", "channel muted by hand: upgrade", 3, 1).await;
    held("dba", "g", "muted by time interval `night` until then", 0, 1).await;
    put_one(&store, delivery("ops", "h")).await;
    let of = |channel: &str, reason: &str, rank, count| HeldRow { channel: channel.into(), reason: reason.into(), rank, count };
    let mut all = vec![
        of("dba", "channel muted by hand: upgrade", 3, 1),
        of("dba", "muted by hand (team=\"db\"): upgrade", 1, 1),
        of("ops", file, 0, 2),
        of("ops", file, 2, 1),
    ];
    assert_eq!(store.count_held().await.unwrap(), all, "ends and intervals do not count");
    store.drop_deliveries(&[dropped.id], "noise", T0).await.unwrap();
    all[2].count = 1;
    assert_eq!(store.count_held().await.unwrap(), all);
}

pub async fn what_people_were_notified_of_mutes_is_remembered(store: S) {
    let row = |key: &str, stage| MuteRow {
        key: key.into(),
        channels: vec!["ops".into(), "dba".into()],
        began: T0,
        until: UnixMs::MAX,
        stage,
        held: [0; 4],
        held_at: None,
    };
    assert_eq!(store.update_mute_rows(Vec::new(), Vec::new()).await.unwrap(), []);
    let (db, web) = (row("`db`", MuteStage::Begun), MuteRow { channels: Vec::new(), ..row("team=\"web\"", MuteStage::Ending) });
    assert_eq!(store.update_mute_rows(vec![web.clone(), db.clone()], Vec::new()).await.unwrap(), [db.clone(), web.clone()]);
    store.note_held(vec![("`db`".into(), [1, 0, 2, 3]), ("unknown".into(), [9; 4])], T0 + MIN).await.unwrap();
    let held = MuteRow { held: [1, 0, 2, 3], held_at: Some(T0 + MIN), ..db };
    assert_eq!(store.update_mute_rows(Vec::new(), Vec::new()).await.unwrap(), [held.clone(), web]);
    store.note_held(vec![("`db`".into(), [0; 4])], T0 + 2 * MIN).await.unwrap();
    let ended = MuteRow { stage: MuteStage::Ended, held: [0; 4], ..held };
    let left = store.update_mute_rows(vec![ended.clone()], vec!["team=\"web\"".into()]).await.unwrap();
    assert_eq!(left, [ended], "when it held something last is kept");
}

const DISK: &str = r#"alertname="DiskFull""#;

fn disk(until: UnixMs, by: &str) -> Mute {
    Mute { matchers: DISK.into(), until, reason: format!("{by} muted #1"), by: by.into() }
}

/// Ann presses a button of a message of this incident; the mute is for two hours.
fn press(verb: Verb, event: &str, on: IncidentId, now: UnixMs) -> Act {
    Act {
        press: PressKey { platform: "slack".into(), event_id: event.into() },
        verb,
        until: None,
        labels: Default::default(),
        mutes: [(on, disk(now + 120 * MIN, "ann"))].into(),
        by: Actor { id: "person:ann".into(), name: "ann".into(), via: "Slack".into() },
        on: vec![ActOn { incident: on, shown: None }],
        rules: AckRules { remind_after: 120 * MIN, expires_after: 480 * MIN, repeat: 60 * MIN },
        now,
    }
}

/// Who muted it until when, the newest line of its timeline, and its version.
async fn shown(store: &S, id: IncidentId) -> (Option<(String, i64)>, String, i64) {
    let found = incident(store, id).await;
    assert_eq!(found.incident.state, IncidentState::Firing, "a mute is no ack");
    let muted = found.incident.acks.mute.map(|mute| (mute.by, (mute.until - T0) / MIN));
    (muted, found.timeline.last().map(|row| row.text.clone()).unwrap_or_default(), found.incident.version)
}

pub async fn an_incident_shows_its_mute_until_that_ends_in_whatever_way(store: S) {
    let one = put_report(&store, report("a", &[(1, true)]), T0).await.incident.unwrap();
    let other = put_report(&store, report("b", &[(2, true)]), T0).await.incident.unwrap();
    let waits = NewDelivery {
        state: State::Deferred,
        due_at: T0 + 120 * MIN,
        reason: Some(format!("{}ann muted #1", mute_prefix(DISK))),
        ..delivery("ops", "z")
    };
    let held = put_one(&store, waits).await;
    let until = T0 + 120 * MIN;
    assert_eq!(store.act(press(Verb::Mute, "1", one, T0)).await.unwrap().results, [(one, ActResult::Muted { until })]);
    assert_eq!(store.list_mutes().await.unwrap(), [disk(until, "ann")]);
    let ann = |minutes| Some(("ann".to_owned(), minutes));
    assert_eq!(shown(&store, one).await, (ann(120), format!("muted until {until} by ann (Slack)"), 2));
    let again = store.act(press(Verb::Mute, "1", one, T0 + MIN)).await.unwrap();
    assert!(again.repeated, "the same press twice");
    assert_eq!(store.list_mutes().await.unwrap(), [disk(until, "ann")], "it is no longer");

    // The same labels in another incident, and by hand: it is one mute.
    store.act(press(Verb::Mute, "2", other, T0 + 5 * MIN)).await.unwrap();
    assert_eq!(shown(&store, one).await, (ann(125), format!("the mute by ann ends at {} now", T0 + 125 * MIN), 3));
    store.set_mute(disk(T0 + 300 * MIN, "bob"), T0 + 6 * MIN).await.unwrap();
    for id in [one, other] {
        assert_eq!(shown(&store, id).await.0, Some(("bob".to_owned(), 300)));
    }
    assert_eq!(row(&store, held.id).await.due_at, T0 + 300 * MIN, "what it holds waits for the new end");
    let version = shown(&store, one).await.2;
    store.set_mute(Mute { matchers: r#"team="db""#.into(), ..disk(until, "bob") }, T0 + 6 * MIN).await.unwrap();
    assert_eq!(shown(&store, one).await.2, version, "another mute is not shown");

    let ended = store.act(press(Verb::Unmute, "3", other, T0 + 7 * MIN)).await.unwrap();
    assert_eq!(ended.results, [(other, ActResult::Unmuted)]);
    assert_eq!(shown(&store, other).await.1, "the mute was ended by ann (Slack)");
    assert_eq!(shown(&store, one).await, (None, "the mute was ended by hand".to_owned(), version + 1));
    assert_eq!(row(&store, held.id).await.due_at, T0 + 7 * MIN, "what it held is due");
    assert!(store.list_mutes().await.unwrap().iter().all(|mute| mute.matchers != DISK));
    assert_eq!(store.act(press(Verb::Unmute, "4", one, T0 + 8 * MIN)).await.unwrap().results, [(one, ActResult::NotMuted)]);
    let none = Act { mutes: Default::default(), ..press(Verb::Mute, "5", one, T0 + 8 * MIN) };
    assert_eq!(store.act(none).await.unwrap().results, [(one, ActResult::CannotMute)]);

    // It ends by time.
    store.act(press(Verb::Mute, "6", one, T0 + 10 * MIN)).await.unwrap();
    assert!(store.wake_incidents(T0 + 130 * MIN - 1, 9).await.unwrap().rings.is_empty());
    assert_eq!(shown(&store, one).await.0, ann(130));
    let woken = store.wake_incidents(T0 + 130 * MIN, 9).await.unwrap();
    assert_eq!((woken.seen, woken.rings.len()), (1, 0), "what it held rings by itself");
    let (muted, text, _) = shown(&store, one).await;
    assert_eq!((muted, text.as_str()), (None, "the mute by ann ended"));

    // It outlives the outage; what fires again shows none that may have ended meanwhile.
    store.act(press(Verb::Mute, "7", one, T0 + 140 * MIN)).await.unwrap();
    put_report(&store, report("a", &[(1, false)]), T0 + 141 * MIN).await;
    put_report(&store, report("a", &[(1, true)]), T0 + 142 * MIN).await;
    assert_eq!(shown(&store, one).await.0, None);
    assert!(store.list_mutes().await.unwrap().iter().any(|mute| mute.matchers == DISK));
}

/// A digest is muted: each incident with its labels, and what another one shows of the same mute.
pub async fn one_press_mutes_several_incidents(store: S) {
    let mut all = Vec::new();
    for (place, key) in ["a", "b", "c"].into_iter().enumerate() {
        all.push(put_report(&store, report(key, &[(place as u64 + 1, true)]), T0).await.incident.unwrap());
    }
    let [one, other, shows] = all[..] else { panic!("{all:?}") };
    store.act(press(Verb::Mute, "1", shows, T0)).await.unwrap();
    let team = |now: UnixMs| Mute { matchers: r#"team="db""#.into(), ..disk(now + 120 * MIN, "ann") };
    let mut held = Vec::new();
    for (lane, matchers) in [("x", DISK), ("y", r#"team="db""#), ("z", r#"team="web""#)] {
        let reason = Some(format!("{}before", mute_prefix(matchers)));
        let waits = NewDelivery { state: State::Deferred, due_at: T0 + 60 * MIN, reason, ..delivery("ops", lane) };
        held.push(put_one(&store, waits).await.id);
    }
    let now = T0 + 10 * MIN;
    let both = Act {
        mutes: [(one, disk(now + 120 * MIN, "ann")), (other, team(now))].into(),
        on: [one, other].map(|incident| ActOn { incident, shown: None }).to_vec(),
        ..press(Verb::Mute, "2", one, now)
    };
    let until = now + 120 * MIN;
    assert_eq!(store.act(both).await.unwrap().results, [(one, ActResult::Muted { until }), (other, ActResult::Muted { until })]);
    assert_eq!(store.list_mutes().await.unwrap(), [disk(until, "ann"), team(now)]);
    for id in all {
        assert_eq!(shown(&store, id).await.0, Some(("ann".to_owned(), 130)));
    }
    for (id, minutes) in held.into_iter().zip([130, 130, 60]) {
        assert_eq!(row(&store, id).await.due_at, T0 + minutes * MIN);
    }
}

/// Mutes that end ring nothing, and the caller knows that more may wait behind them.
pub async fn mutes_that_end_together_are_seen(store: S) {
    for (place, key) in ["a", "b", "c"].into_iter().enumerate() {
        let id = put_report(&store, report(key, &[(place as u64 + 1, true)]), T0).await.incident.unwrap();
        store.act(press(Verb::Mute, key, id, T0)).await.unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let woken = store.wake_incidents(T0 + 120 * MIN, 2).await.unwrap();
        assert!(woken.rings.is_empty());
        seen.push(woken.seen);
    }
    assert_eq!(seen, [2, 1, 0]);
}
