//! Contract of `accept` and `load_events`: one transaction (I1), contiguous places (I2), dedup.

use std::sync::Arc;
use std::time::Duration;

use super::fixtures::*;
use crate::model::{EventId, Mentions, Recipient, UnixMs};
use crate::store::*;

pub async fn places_in_a_lane_are_contiguous(store: S) {
    let a = store.accept(event(vec![delivery("ops", "a"), delivery("ops", "b"), delivery("dba", "a")])).await.unwrap();
    assert_eq!(a.deliveries.iter().map(|d| d.lane_seq).collect::<Vec<_>>(), [1, 1, 1]);
    assert_ne!(a.deliveries[0].lane, a.deliveries[2].lane, "lanes are per channel");
    for expected in 2..6 {
        let next = put(&store, "a").await;
        assert_eq!((next.lane, next.lane_seq), (a.deliveries[0].lane, expected));
    }
    let head = head(&store, a.deliveries[0].lane).await;
    assert_eq!((head.last_seq, head.waiting), (5, 5));
}

pub async fn what_goes_in_comes_out(store: S) {
    let mut new = event(vec![NewDelivery { mode: Mode::Direct, due_at: T0 + 7, reason: Some("note".into()), ..delivery("ops", LANE) }]);
    new.deliveries[0].target.fallback = vec!["sms".into()];
    new.note = Some("why".into());
    let accepted = store.accept(new.clone()).await.unwrap();
    assert_eq!((accepted.event, accepted.duplicate), (new.id, false));
    let d = &accepted.deliveries[0];
    assert_eq!((d.id, d.channel.as_str(), &d.outlet, d.state), (new.deliveries[0].id, "ops", &outlet(), State::Waiting));
    let EventDetail { event: stored, deliveries: rows } = store.get_event(new.id).await.unwrap().unwrap();
    assert_eq!((*stored.event).clone(), *new.event);
    assert_eq!((stored.received_at, stored.plan.as_str(), stored.note.as_deref()), (T0, "plan-1", Some("why")));
    assert_eq!((rows.len(), rows[0].id, rows[0].mode, rows[0].due_at), (1, d.id, Mode::Direct, T0 + 7));
    let waiting = store.pending(d.lane, 0, 10, usize::MAX, UnixMs::MAX).await.unwrap().remove(0);
    assert_eq!(waiting.target, new.deliveries[0].target);
    assert_eq!(waiting.event.as_deref(), Some(&*new.event));
    assert_eq!((waiting.event_id, waiting.rank, waiting.summary.firing, waiting.tries, waiting.fallback.depth), (new.id, 2, 1, 0, 0));
    assert_eq!(row(&store, d.id).await.reason.as_deref(), Some("note"));
}

pub async fn a_skipped_delivery_takes_a_place_but_does_not_wait(store: S) {
    let skipped = NewDelivery { state: State::Skipped, rank: 0, reason: Some("resolved not wanted".into()), ..delivery("ops", LANE) };
    let first = put_one(&store, skipped.clone()).await;
    assert!(ready(&store).await.is_empty());
    let second = put(&store, LANE).await;
    let third = put_one(&store, NewDelivery { id: crate::model::DeliveryId::new(), ..skipped }).await;
    assert_eq!([first.lane_seq, second.lane_seq, third.lane_seq], [1, 2, 3]);
    let head = head(&store, first.lane).await;
    assert_eq!((head.waiting, head.last_seq, head.rank), (1, 3, 2), "skipped ones do not count");
    let row = row(&store, first.id).await;
    assert_eq!((row.state, row.done_at), (State::Skipped, Some(T0)));
}

fn keyed(key: u8, at: UnixMs) -> NewEvent {
    NewEvent { dedup: Some(Dedup { key: [key; 32], window: Duration::from_secs(120) }), received_at: at, ..event(vec![delivery("ops", LANE)]) }
}

pub async fn a_repeat_within_the_window_gives_the_first_ids(store: S) {
    let first = store.accept(keyed(1, T0)).await.unwrap();
    let repeat = store.accept(keyed(1, T0 + 2 * MIN - 1)).await.unwrap();
    assert!(repeat.duplicate);
    assert_eq!((repeat.event, &repeat.deliveries), (first.event, &first.deliveries));
    let later = store.accept(keyed(1, T0 + 2 * MIN)).await.unwrap();
    assert!(!later.duplicate, "the window is over");
    assert_eq!(store.accept(keyed(1, T0 + 3 * MIN)).await.unwrap().event, later.event, "the later one is the first now");
    assert!(!store.accept(keyed(2, T0 + 3 * MIN)).await.unwrap().duplicate, "another key");
    assert_eq!(head(&store, first.deliveries[0].lane).await.waiting, 3);
}

pub async fn only_the_newest_event_of_a_lane_is_repeated(store: S) {
    // It fires, resolves and fires again under one start: nothing but the newest is a repeat, whatever is still within the window.
    let mut at = T0;
    let mut step = async |key: u8| {
        at += 1000;
        store.accept(keyed(key, at)).await.unwrap()
    };
    let fires = step(1).await;
    assert!(step(1).await.duplicate, "the copy of a replica");
    let resolves = step(2).await;
    let again = step(1).await;
    assert_eq!((resolves.duplicate, again.duplicate), (false, false));
    assert_ne!(again.event, fires.event);
    let copy = step(1).await;
    assert_eq!((copy.duplicate, copy.event), (true, again.event), "a repeat returns the newest one's ids");
    // The order of replicas that overtake each other: the last word is the one that came last.
    let last = step(2).await;
    assert!(!last.duplicate);
    assert_eq!(head(&store, fires.deliveries[0].lane).await.waiting, 4);
}

pub async fn lanes_are_judged_one_by_one(store: S) {
    let to = |channels: &[&str], key: u8, at: UnixMs| NewEvent {
        deliveries: channels.iter().map(|channel| delivery(channel, LANE)).collect(),
        ..keyed(key, at)
    };
    let first = store.accept(to(&["ops", "dba"], 1, T0)).await.unwrap();
    assert!(store.accept(to(&["ops", "dba"], 1, T0 + 1)).await.unwrap().duplicate);
    // Another group's lane says nothing of this one's.
    let other = NewEvent { deliveries: vec![delivery("ops", "other")], ..keyed(2, T0 + 2) };
    assert!(!store.accept(other).await.unwrap().duplicate);
    assert!(store.accept(to(&["ops", "dba"], 1, T0 + 3)).await.unwrap().duplicate);
    // One of its lanes received something else since: the last thing on that channel is not this.
    assert!(!store.accept(to(&["dba"], 2, T0 + 4)).await.unwrap().duplicate);
    let again = store.accept(to(&["ops", "dba"], 1, T0 + 5)).await.unwrap();
    assert!(!again.duplicate && again.event != first.event);
    // A reload sends it elsewhere as well: the lane that nothing ever entered does not make it news.
    assert!(store.accept(to(&["ops", "dba", "night"], 1, T0 + 6)).await.unwrap().duplicate);
    assert!(!store.accept(to(&["night"], 1, T0 + 7)).await.unwrap().duplicate, "alone it is");
}

pub async fn what_enters_a_lane_without_a_key_is_newer_than_what_had_one(store: S) {
    let first = store.accept(keyed(1, T0)).await.unwrap();
    store.drop_deliveries(&[first.deliveries[0].id], "by hand", T0 + 1).await.unwrap();
    store.requeue(&[first.deliveries[0].id], None, T0 + 2).await.unwrap();
    let again = store.accept(keyed(1, T0 + 3)).await.unwrap();
    assert!(!again.duplicate, "what a replay brought back is not known to be the newest word");
    put(&store, LANE).await;
    assert!(!store.accept(keyed(1, T0 + 4)).await.unwrap().duplicate);
    assert!(store.accept(keyed(1, T0 + 5)).await.unwrap().duplicate);
    // A renamed channel's lane goes on; merged with another, its newest is not known.
    store.relocate("ops", &to_channel("dba", &outlet())).await.unwrap();
    let renamed = |at| NewEvent { deliveries: vec![delivery("dba", LANE)], ..keyed(1, at) };
    assert!(store.accept(renamed(T0 + 6)).await.unwrap().duplicate);
}

pub async fn an_event_that_enters_no_lane_repeats_nothing(store: S) {
    let bare = |at| NewEvent { deliveries: vec![], note: Some("no route".into()), ..keyed(1, at) };
    assert!(!store.accept(bare(T0)).await.unwrap().duplicate);
    assert!(!store.accept(bare(T0 + 1)).await.unwrap().duplicate);
}

pub async fn repeats_sent_at_once_make_one_event(store: S) {
    let all = (0..64).map(|_| store.accept(keyed(1, T0)));
    let answers: Vec<Accepted> = futures_util::future::join_all(all).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|a| !a.duplicate).count(), 1);
    assert!(answers.iter().all(|a| a.event == answers[0].event && a.deliveries == answers[0].deliveries));
    assert_eq!(ready(&store).await[0].waiting, 1);
}

pub async fn a_clock_set_back_swallows_nothing(store: S) {
    store.accept(keyed(1, T0 + 100 * MIN)).await.unwrap();
    assert!(!store.accept(keyed(1, T0)).await.unwrap().duplicate);
    assert!(store.accept(keyed(1, T0 - MIN)).await.unwrap().duplicate, "a small step back is still the same moment");
}

pub async fn a_refused_event_leaves_nothing_behind(store: S) {
    let twin = delivery("ops", "twin");
    let bad = NewEvent { deliveries: vec![delivery("ops", "other"), twin.clone(), twin], ..keyed(9, T0) };
    let id = bad.id;
    assert!(matches!(store.accept(bad).await, Err(StoreError::Invalid(_))));
    assert!(store.get_event(id).await.unwrap().is_none());
    assert!(ready(&store).await.is_empty());
    assert!(!store.accept(keyed(9, T0)).await.unwrap().duplicate, "its dedup key was not taken");
}

pub async fn one_bad_request_does_not_fail_its_neighbours(store: S) {
    let twin = delivery("ops", "twin");
    let mut events: Vec<NewEvent> = (0..40).map(|n| keyed(n, T0)).collect();
    events[17].deliveries = vec![twin.clone(), twin];
    let answers = futures_util::future::join_all(events.into_iter().map(|e| store.accept(e))).await;
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_err(), n == 17, "{n}: {answer:?}");
    }
    let mut places: Vec<i64> = answers.iter().flatten().map(|a| a.deliveries[0].lane_seq).collect();
    places.sort_unstable();
    assert_eq!(places, (1..40).collect::<Vec<_>>(), "work done again leaves no gap");
}

pub async fn concurrent_events_share_a_lane_without_gaps(store: S) {
    let tasks: Vec<_> = (0..300)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, LANE).await.lane_seq })
        })
        .collect();
    let mut places = Vec::new();
    for task in tasks {
        places.push(task.await.unwrap());
    }
    places.sort_unstable();
    assert_eq!(places, (1..=300).collect::<Vec<_>>());
}

pub async fn only_open_or_skipped_deliveries_are_born(store: S) {
    for state in State::ALL {
        let born = store.accept(event(vec![NewDelivery { state, ..delivery("ops", LANE) }])).await;
        let allowed = matches!(state, State::Waiting | State::Deferred | State::Skipped);
        assert_eq!(born.is_ok(), allowed, "{state:?}: {born:?}");
    }
}

pub async fn unknown_events_are_left_out(store: S) {
    let known = event(vec![]);
    store.accept(known.clone()).await.unwrap();
    let found = store.load_events(&[EventId::new(), known.id], usize::MAX).await.unwrap().events;
    assert_eq!(found.iter().map(|e| e.id).collect::<Vec<_>>(), [known.id]);
    assert!(found[0].note.is_some(), "an event without deliveries says so");
}

pub async fn bodies_are_read_up_to_so_many_bytes(store: S) {
    let small = event(vec![delivery("ops", LANE)]);
    let mut large = event(vec![delivery("ops", LANE)]);
    Arc::make_mut(&mut large.event).message = "x".repeat(50_000);
    let last = event(vec![delivery("ops", LANE)]);
    let mut lane = None;
    for new in [&small, &large, &last] {
        lane = Some(store.accept(new.clone()).await.unwrap().deliveries[0].lane);
    }
    let ids = [small.id, EventId::new(), large.id, last.id];
    let read = |ids: Vec<EventId>, bytes| {
        let store = store.clone();
        async move {
            let bodies = store.load_events(&ids, bytes).await.unwrap();
            (bodies.events.iter().map(|e| e.id).collect::<Vec<_>>(), bodies.left)
        }
    };
    let all = vec![small.id, large.id, last.id];
    assert_eq!(read(ids.to_vec(), usize::MAX).await, (all.clone(), 0), "in the order asked for");
    assert_eq!(read(all.iter().rev().copied().collect(), usize::MAX).await.0, [last.id, large.id, small.id]);
    let (first, left) = read(ids.to_vec(), 20_000).await;
    assert_eq!(first, [small.id]);
    assert!((2..=3).contains(&left), "what is too large ends it, and is said: {left}");
    assert_eq!(read(vec![large.id], 20_000).await, (vec![], 1));
    assert_eq!(read(vec![EventId::new()], 20_000).await, (vec![], 0));
    let held = |bodies| {
        let (store, lane) = (store.clone(), lane.unwrap());
        async move { store.pending(lane, 0, 10, bodies, UnixMs::MAX).await.unwrap().iter().map(|w| w.event.is_some()).collect::<Vec<_>>() }
    };
    assert_eq!(held(usize::MAX).await, [true, true, true]);
    assert_eq!(held(20_000).await, [true, false, false], "all that wait are counted, the bodies only of the first");
    assert_eq!(held(0).await, [false, false, false]);
}

pub async fn a_delivery_keeps_whom_it_reaches_and_shares_its_lane_with_nobody_else(store: S) {
    let to = |numbers: &[&str]| Target { recipients: numbers.iter().map(|number| Recipient::new(*number)).collect(), ..Target::default() };
    let pings = |mentions: Mentions| Target { mentions: Some(mentions), ..Target::default() };
    let people = |names: &[&str]| Mentions { people: names.iter().map(ToString::to_string).collect(), ..Mentions::default() };
    let turn = |rota: &str| Some(rota.to_owned());
    let audiences = [
        Target::default(),
        to(&["+1"]),
        to(&["+2"]),
        to(&["+1", "+2"]),
        to(&["+1+2"]),
        to(&["+1\",\"+2"]),
        to(&["ann"]),
        pings(Mentions::default()),
        pings(Mentions { users: vec!["ann".into()], ..Mentions::default() }),
        pings(Mentions { mobiles: vec!["ann".into()], ..Mentions::default() }),
        pings(people(&["ann"])),
        pings(people(&["ann", "bob"])),
        pings(Mentions { oncall: turn("db"), ..Mentions::default() }),
        pings(Mentions { next: turn("db"), ..Mentions::default() }),
        pings(Mentions { label: turn("db"), ..people(&["ann"]) }),
        Target { mentions: Some(Mentions { all: true, ..Mentions::default() }), ..to(&["+1"]) },
    ];
    let put = async |target: &Target| {
        let new = delivery("ops", &lane_key(LANE, target.audience()));
        put_one(&store, NewDelivery { target: Target { alerts: new.target.alerts.clone(), ..target.clone() }, ..new }).await.lane
    };
    let mut lanes = Vec::new();
    for target in &audiences {
        let lane = put(target).await;
        assert!(!lanes.contains(&lane), "{target:?} shares the lane of another audience");
        lanes.push(lane);
    }
    // Who is found for people is no part of it: the lane is that of their names.
    let found = Target { recipients: vec![Recipient::new("+9")], ..pings(people(&["ann"])) };
    for (lane, target) in lanes.iter().zip(&audiences) {
        assert_eq!(put(target).await, *lane, "{target:?}");
        let named = target.mentions == found.mentions;
        assert_eq!(put(&found).await == *lane, named, "{target:?}");
        for row in store.pending(*lane, 0, 99, usize::MAX, UnixMs::MAX).await.unwrap() {
            assert_eq!(row.target.audience(), target.audience());
            assert!(named || row.target.recipients == target.recipients, "{:?} instead of {target:?}", row.target);
        }
    }
}
