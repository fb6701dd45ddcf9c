//! Contract of acts: what people and times do to incidents, once each, and by which deliveries channels ring.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fixtures::*;
use crate::model::{Alert, DeliveryId, Event, IncidentId, MessageId, UnixMs, Verb};
use crate::store::*;

const RULES: AckRules = AckRules { remind_after: 120 * MIN, expires_after: 480 * MIN, repeat: 60 * MIN };

fn act(verb: Verb, name: &str, event: &str, on: &[IncidentId], now: UnixMs) -> Act {
    Act {
        press: PressKey { platform: "telegram".into(), event_id: event.into() },
        verb,
        until: (verb == Verb::Snooze).then(|| now + 30 * MIN),
        labels: Default::default(),
        mutes: Default::default(),
        by: Actor { id: format!("telegram:{name}"), name: name.into(), via: "Telegram".into() },
        on: on.iter().map(|incident| ActOn { incident: *incident, shown: None }).collect(),
        rules: RULES,
        now,
    }
}

async fn kinds(store: &S, id: IncidentId) -> Vec<TimelineKind> {
    incident(store, id).await.timeline.into_iter().map(|row| row.kind).collect()
}

/// An incident of which `ops` was notified: the delivery that did.
async fn notified(store: &S, fence: &Fence, key: &str, alerts: &[(u64, bool)]) -> AcceptedDelivery {
    let d = put_report(store, report(key, alerts), T0).await;
    deliver(store, fence, &[&d], T0).await;
    let known = alerts.iter().map(|(fingerprint, _)| NotifiedAlert { fingerprint: *fingerprint, rank: 1, version: 1, over: false });
    let update = AnchorUpdate { notified: known.collect(), ..anchored(d.incident.unwrap(), 1) };
    store.record_outcome(OutcomeBatch { anchors: vec![update], now: T0, ..settlement(fence) }).await.unwrap();
    d
}

pub async fn a_press_counts_once_while_it_is_kept(store: S) {
    let fence = fence(&store).await;
    let id = notified(&store, &fence, "a", &[(1, true)]).await.incident.unwrap();
    let press = || act(Verb::Ack, "alice", "7", &[id], T0 + MIN);
    assert!(!store.act(press()).await.unwrap().repeated);
    let later = T0 + 99 * MIN;
    let keep = Retention { sent_before: later, dead_before: later, presses_before: T0, audit_rows: 9, open_incidents: true };
    store.purge(keep, 100).await.unwrap();
    assert!(store.act(press()).await.unwrap().repeated, "however short deliveries are kept");
    // For as long as it could be about something.
    let keep = Retention { presses_before: later, ..keep };
    store.purge(keep, 100).await.unwrap();
    let replayed = Act { now: T0 + 61 * MIN, ..press() };
    assert!(store.act(replayed).await.unwrap().repeated, "its incident is open");
    let over = put_report(&store, report("a", &[(1, false)]), T0 + 62 * MIN).await;
    let last = put_report(&store, report("b", &[(2, true)]), T0 + 62 * MIN).await;
    kill(&store, &fence, &over, T0).await;
    while store.purge(keep, 100).await.unwrap() > 0 {}
    store.purge(keep, 100).await.unwrap();
    assert!(store.get_incident(id).await.unwrap().is_none() && store.get_incident(last.incident.unwrap()).await.unwrap().is_some());
    store.purge(keep, 100).await.unwrap();
    assert!(!store.act(press()).await.unwrap().repeated, "every incident began after it");
}

pub async fn a_press_counts_once_and_is_seen_by_every_message(store: S) {
    let fence = fence(&store).await;
    let id = notified(&store, &fence, "a", &[(1, true)]).await.incident.unwrap();
    let acted = store.act(act(Verb::Ack, "alice", "7", &[id], T0 + MIN)).await.unwrap();
    assert!(!acted.repeated && acted.rings.is_empty(), "an ack rings nobody");
    let [(of, ActResult::Acked { alerts: 1, left: 0, until: None, .. })] = acted.results.as_slice() else { panic!("{acted:?}") };
    assert_eq!(*of, id);
    let now = incident(&store, id).await.incident;
    assert_eq!((now.state, now.version, now.acks.list[0].by.name.as_str()), (IncidentState::Acked, 2, "alice"));
    assert_eq!(store.dirty_anchors(&["ops".into()], T0, 9).await.unwrap().len(), 1, "its message shows it by an edit");
    let again = store.act(act(Verb::Ack, "alice", "7", &[id], T0 + 2 * MIN)).await.unwrap();
    assert_eq!((again.repeated, &again.results), (true, &acted.results));
    let once_more = store.act(act(Verb::Ack, "alice", "8", &[id], T0 + 2 * MIN)).await.unwrap();
    assert_eq!(once_more.results, [(id, ActResult::Already { since: T0 + MIN })]);
    assert_eq!(incident(&store, id).await.incident, now, "neither changes anything");
    let taken = store.act(act(Verb::Ack, "bob", "9", &[id], T0 + 3 * MIN)).await.unwrap();
    let [(_, ActResult::Acked { taken_from, .. })] = taken.results.as_slice() else { panic!("{taken:?}") };
    assert_eq!(taken_from, &["alice"]);
    assert_eq!(kinds(&store, id).await, [TimelineKind::Acked, TimelineKind::Acked]);
    assert_eq!(store.act(act(Verb::Ack, "bob", "10", &[IncidentId(999)], T0)).await.unwrap().results, [(IncidentId(999), ActResult::Unknown)]);
}

pub async fn what_belongs_to_an_incident_is_found_by_group_label_and_by_who_acked_it(store: S) {
    let fence = fence(&store).await;
    let mut put = Vec::new();
    for (key, fingerprint) in [("a=\"1\", team=\"db\"", 1), ("team=\"web \\\"x\\\"\"", 2), ("steam=\"db\"", 3)] {
        let d = notified(&store, &fence, key, &[(fingerprint, true)]).await;
        put.push(d.incident.unwrap());
    }
    // A group key that has no labels.
    let labels = group_labels([("a", "2"), ("team", "odd")].into_iter());
    let odd = IncidentReport { group_key: "17".into(), labels, ..report("odd", &[(9, true)]) };
    put.push(put_report(&store, odd, T0).await.incident.unwrap());
    store.act(act(Verb::Ack, "Ann", "1", &[put[0]], T0 + MIN)).await.unwrap();
    store.act(act(Verb::Snooze, "ann", "2", &[put[2]], T0 + MIN)).await.unwrap();
    store.act(act(Verb::Ack, "bob", "3", &[put[0]], T0 + 2 * MIN)).await.unwrap();
    store.act(act(Verb::Ack, "joann", "4", &[put[1]], T0 + 2 * MIN)).await.unwrap();
    store.act(act(Verb::Unack, "joann", "5", &[put[1]], T0 + 3 * MIN)).await.unwrap();
    let label = |text: &str| GroupLabel::parse(text);
    let person = |name: &str| Some(name.to_owned());
    for (of, by, expected) in [
        (label("team=db"), None, vec![0]),
        (label("team=\"web \"x\"\""), None, vec![1]),
        (label("team=d"), None, vec![]),
        (label("a=1"), None, vec![0]),
        (label("a=2"), None, vec![3]),
        (label("team=odd"), None, vec![3]),
        (label("team=od"), None, vec![]),
        (None, person("ann"), vec![2, 0]),
        (None, person("bob"), vec![0]),
        (None, person("joann"), vec![1]),
        (None, person("an%"), vec![]),
        (label("steam=db"), person("ANN"), vec![2]),
        (label("team=db\0"), person("a\0"), vec![]),
    ] {
        let incidents =
            store.list_incidents(&IncidentFilter { label: of.clone(), acked_by: by.clone(), limit: 9, ..IncidentFilter::default() }).await.unwrap();
        let found: Vec<_> = incidents.iter().map(|incident| incident.id).collect();
        assert_eq!(found, expected.iter().map(|n: &usize| put[*n]).collect::<Vec<_>>(), "{of:?} {by:?}");
        let deliveries =
            store.list_deliveries(&DeliveryFilter { label: of.clone(), acked_by: by.clone(), limit: 9, ..DeliveryFilter::default() }).await.unwrap();
        // An unack rings: that is a delivery of its own.
        let found: BTreeSet<_> = deliveries.iter().filter_map(|row| row.incident).collect();
        assert_eq!(found, expected.iter().map(|n: &usize| put[*n]).collect(), "{of:?} {by:?}");
    }
    let bounded = IncidentFilter { after: Some(put[1]), limit: 9, ..IncidentFilter::default() };
    let found: Vec<_> = store.list_incidents(&bounded).await.unwrap().iter().map(|incident| incident.id).collect();
    assert_eq!(found, [put[3], put[2], put[1]], "no further back than that");
}

pub async fn what_a_message_showed_is_acked_and_no_more(store: S) {
    let fence = fence(&store).await;
    let id = notified(&store, &fence, "a", &[(1, true)]).await.incident.unwrap();
    // A second alert was reported, but the message that somebody looks at shows the first version.
    put_report(&store, report("a", &[(1, true), (2, true)]), T0 + 1).await;
    let message = Some(MessageId::new());
    let shown =
        |version| ActOn { incident: id, shown: Some(ShownIn { channel: "ops".into(), version, formed_at: T0, pressed: message, begun: Vec::new() }) };
    let press = Act { on: vec![shown(1)], ..act(Verb::Ack, "alice", "1", &[], T0 + 2) };
    let acted = store.act(press).await.unwrap();
    let [(_, ActResult::Acked { alerts: 1, left: 1, .. })] = acted.results.as_slice() else { panic!("{acted:?}") };
    let now = incident(&store, id).await.incident;
    assert_eq!((now.state, now.is_acked(1), now.is_acked(2)), (IncidentState::Firing, true, false));
    assert_eq!(now.acks.list[0].pressed, message, "its card shows who is on it");
    // Of another channel, which was notified of nothing, nothing was shown.
    let elsewhere =
        ActOn { incident: id, shown: Some(ShownIn { channel: "dba".into(), version: 9, formed_at: T0 + 9, pressed: None, begun: Vec::new() }) };
    let acted = store.act(Act { on: vec![elsewhere], ..act(Verb::Ack, "alice", "2", &[], T0 + 3) }).await.unwrap();
    assert_eq!(acted.results, [(id, ActResult::Over { since: None })]);
    // Of two channels with one account, each showed a part, one of them in a message whose outcome is not stored: it changes once.
    let begun = ShownIn { channel: "dba".into(), version: 0, formed_at: T0 + 9, pressed: None, begun: vec![2] };
    let press = Act { on: vec![shown(9), ActOn { incident: id, shown: Some(begun) }], ..act(Verb::Ack, "bob", "3", &[], T0 + 9) };
    let acted = store.act(press).await.unwrap();
    let [(_, ActResult::Acked { alerts: 2, left: 0, .. })] = acted.results.as_slice() else { panic!("{acted:?}") };
    assert_eq!(incident(&store, id).await.incident.state, IncidentState::Acked);
}

pub async fn every_unack_rings(store: S) {
    let fence = fence(&store).await;
    let d = notified(&store, &fence, "a", &[(1, true)]).await;
    let id = d.incident.unwrap();
    store.act(act(Verb::Snooze, "alice", "1", &[id], T0)).await.unwrap();
    assert_eq!(incident(&store, id).await.incident.state, IncidentState::Snoozed);
    assert!(store.wake_incidents(T0 + 29 * MIN, 9).await.unwrap().rings.is_empty());
    let rings = store.wake_incidents(T0 + 30 * MIN, 9).await.unwrap().rings;
    assert_eq!(rings.iter().map(|ring| (ring.lane, ring.incident)).collect::<Vec<_>>(), [(d.lane, Some(id))]);
    let ring = row(&store, rings[0].id).await;
    assert_eq!((ring.event, ring.state, ring.reason.as_deref()), (row(&store, d.id).await.event, State::Waiting, Some("the snooze by alice ended")));
    let now = incident(&store, id).await.incident;
    assert_eq!((now.state, now.wake_at(), now.acks.unacked.map(|unacked| unacked.at)), (IncidentState::Firing, None, Some(T0 + 30 * MIN)));
    assert!(store.wake_incidents(T0 + 31 * MIN, 9).await.unwrap().rings.is_empty(), "once");
    deliver(&store, &fence, &[&rings[0]], T0 + 31 * MIN).await;
    // A forgotten ack is reminded of, and ends.
    store.act(act(Verb::Ack, "bob", "2", &[id], T0 + 40 * MIN)).await.unwrap();
    let reminded = store.wake_incidents(T0 + 160 * MIN, 9).await.unwrap().rings;
    assert_eq!((reminded.len(), incident(&store, id).await.incident.state), (1, IncidentState::Acked));
    // "Still on it" starts it again.
    store.act(act(Verb::Ack, "bob", "3", &[id], T0 + 170 * MIN)).await.unwrap();
    assert_eq!(incident(&store, id).await.incident.wake_at(), Some(T0 + 290 * MIN));
    store.wake_incidents(T0 + 290 * MIN, 9).await.unwrap();
    assert_eq!(store.wake_incidents(T0 + 650 * MIN, 9).await.unwrap().rings.len(), 1);
    store.act(act(Verb::Ack, "bob", "4", &[id], T0 + 651 * MIN)).await.unwrap();
    let undone = store.act(act(Verb::Unack, "carol", "5", &[id], T0 + 652 * MIN)).await.unwrap();
    let later = ActResult::UnackedQuietly { rings_at: T0 + 710 * MIN };
    assert_eq!((&undone.results[..], undone.rings.len()), (&[(id, later)][..], 1));
    let said = incident(&store, id).await.timeline.last().map(|row| row.text.clone());
    assert_eq!(said, Some(format!("unacked by carol (Telegram); it rings at {} if nobody is on it by then", T0 + 710 * MIN)));
    let again = store.act(act(Verb::Unack, "carol", "5", &[id], T0 + 652 * MIN)).await.unwrap();
    assert_eq!((again.repeated, &again.results), (true, &undone.results), "and is stored so");
    let none = store.act(act(Verb::Unack, "carol", "6", &[id], T0 + 653 * MIN)).await.unwrap();
    assert_eq!((&none.results[..], none.rings.len()), (&[(id, ActResult::NotAcked)][..], 0));
    // An end had rung two minutes before: this one rings later, if nobody is on it by then.
    assert_eq!(incident(&store, id).await.incident.wake_at(), Some(T0 + 710 * MIN));
    assert!(store.wake_incidents(T0 + 710 * MIN - 1, 9).await.unwrap().rings.is_empty());
    let held = store.wake_incidents(T0 + 710 * MIN, 9).await.unwrap().rings;
    assert_eq!((held.len(), row(&store, held[0].id).await.reason.as_deref()), (1, Some("unacked by carol, and nobody is on it since")));
    assert_eq!(incident(&store, id).await.incident.wake_at(), None, "once");
    use TimelineKind::{Acked, Reminded, Snoozed, Unacked};
    assert_eq!(kinds(&store, id).await, [Snoozed, Unacked, Acked, Reminded, Acked, Reminded, Unacked, Acked, Unacked]);
}

pub async fn a_ring_carries_what_it_is_about(store: S) {
    let fence = fence(&store).await;
    let d = notified(&store, &fence, "a", &[(1, true), (2, true)]).await;
    let id = d.incident.unwrap();
    store.act(act(Verb::Snooze, "alice", "1", &[id], T0)).await.unwrap();
    // One of them ends. Its channel is not sent that: the delivery that says so is the newest, and skipped.
    let mut event = reporting(report("a", &[(1, true), (2, false)]), T0 + MIN);
    let first = event.deliveries[0].clone();
    let over = Summary { title: "the end".into(), firing: 0, resolved: 1 };
    let target = Target { alerts: vec![1], ..first.target.clone() };
    let reason = Some("`send_resolved: false`".into());
    event.deliveries.push(NewDelivery { id: DeliveryId::new(), state: State::Skipped, summary: over, target, reason, ..first });
    store.accept(event).await.unwrap();
    for (press, minutes) in [("2", 30), ("3", 90), ("4", 150)] {
        // However often it is snoozed: one ring each, of what fires.
        let rings = store.wake_incidents(T0 + minutes * MIN, 9).await.unwrap().rings;
        assert_eq!(rings.len(), 1, "{minutes}");
        let ring = row(&store, rings[0].id).await;
        assert_eq!((ring.title.as_str(), ring.state, ring.firing), ("Disk full", State::Waiting, 1));
        store.act(act(Verb::Snooze, "alice", press, &[id], T0 + (minutes + 30) * MIN)).await.unwrap();
    }
    // What a mute holds back is held back once more.
    let muted = NewDelivery { state: State::Deferred, due_at: T0 + 999 * MIN, ..reporting(report("b", &[(3, true)]), T0).deliveries.remove(0) };
    let deferred = store.accept(NewEvent { deliveries: vec![muted], ..reporting(report("b", &[(3, true)]), T0) }).await.unwrap().deliveries.remove(0);
    let other = deferred.incident.unwrap();
    let known = AnchorUpdate { notified: Vec::new(), ..anchored(other, 0) };
    store.record_outcome(OutcomeBatch { anchors: vec![known], now: T0, ..settlement(&fence) }).await.unwrap();
    store.act(act(Verb::Snooze, "alice", "5", &[other], T0)).await.unwrap();
    let rings = store.wake_incidents(T0 + 30 * MIN, 9).await.unwrap().rings;
    assert_eq!(rings.iter().map(|ring| ring.state).collect::<Vec<_>>(), [State::Deferred]);
    assert_eq!(row(&store, rings[0].id).await.due_at, T0 + 999 * MIN);
}

pub async fn something_more_severe_ends_an_ack(store: S) {
    let fence = fence(&store).await;
    let id = notified(&store, &fence, "a", &[(1, true)]).await.incident.unwrap();
    store.act(act(Verb::Ack, "alice", "1", &[id], T0)).await.unwrap();
    // One as severe joins: it is nobody's, and the other stays whose it was.
    put_report(&store, report("a", &[(1, true), (2, true)]), T0 + 1).await;
    let now = incident(&store, id).await.incident;
    assert_eq!((now.state, now.is_acked(1), now.is_acked(2)), (IncidentState::Firing, true, false));
    let mut worse = report("a", &[(1, true), (2, true), (3, true)]);
    worse.alerts[2].rank = 0;
    let named = |name: &str| Alert { labels: [("alertname".to_owned(), name.to_owned())].into(), ..Alert::default() };
    let body = Event { alerts: ["DiskFull", "DiskSlow", "DiskGone"].map(named).into(), ..Event::default() };
    store.accept(NewEvent { event: Arc::new(body), ..reporting(worse, T0 + 2) }).await.unwrap();
    let found = incident(&store, id).await;
    let why = UnackReason::Worse { was: 1, is: 0, alerts: Vec::new() };
    assert_eq!((found.incident.acks.list.len(), found.incident.acks.unacked.unwrap().why), (0, why));
    let [_, unacked] = found.timeline.as_slice() else { panic!("{:?}", found.timeline) };
    assert_eq!((unacked.kind, unacked.text.as_str()), (TimelineKind::Unacked, "was acked at error, now it is critical: DiskGone"));
}

pub async fn what_is_over_takes_no_ack_and_keeps_its_own(store: S) {
    let fence = fence(&store).await;
    let id = notified(&store, &fence, "a", &[(1, true)]).await.incident.unwrap();
    store.act(act(Verb::Ack, "alice", "1", &[id], T0)).await.unwrap();
    put_report(&store, report("a", &[(1, false)]), T0 + MIN).await;
    let now = incident(&store, id).await.incident;
    assert_eq!((now.state, now.wake_at(), now.acks.list.len()), (IncidentState::Resolved, None, 1));
    let late = store.act(act(Verb::Ack, "bob", "2", &[id], T0 + 2 * MIN)).await.unwrap();
    assert_eq!(late.results, [(id, ActResult::Over { since: Some(T0 + MIN) })]);
    assert!(store.wake_incidents(T0 + 9999 * MIN, 9).await.unwrap().rings.is_empty());
    // Within `reopen_within` it is the same incident, and still alice's.
    put_report(&store, report("a", &[(1, true)]), T0 + 5 * MIN).await;
    assert_eq!(incident(&store, id).await.incident.state, IncidentState::Acked);
}

pub async fn what_is_closed_stays_closed_until_something_new_fires(store: S) {
    let fence = fence(&store).await;
    let id = notified(&store, &fence, "a", &[(1, true)]).await.incident.unwrap();
    let closed = store.act(act(Verb::Close, "alice", "1", &[id], T0)).await.unwrap();
    assert_eq!(closed.results, [(id, ActResult::Closed)]);
    put_report(&store, report("a", &[(1, true)]), T0 + 60 * MIN).await;
    assert_eq!(incident(&store, id).await.incident.state, IncidentState::Closed, "its sender's repeats change nothing");
    let new = put_report(&store, report("a", &[(1, true), (2, true)]), T0 + 61 * MIN).await;
    assert_eq!((new.incident, incident(&store, id).await.incident.state), (Some(id), IncidentState::Firing));
    store.act(act(Verb::Close, "alice", "2", &[id], T0 + 62 * MIN)).await.unwrap();
    put_report(&store, report("a", &[(1, false), (2, false)]), T0 + 63 * MIN).await;
    assert_eq!(incident(&store, id).await.incident.state, IncidentState::Resolved);
    // Closed for long, though it is reported all the time: it is open again.
    let other = notified(&store, &fence, "b", &[(5, true)]).await.incident.unwrap();
    store.act(act(Verb::Close, "alice", "3", &[other], T0)).await.unwrap();
    put_report(&store, report("b", &[(5, true)]), T0 + 540 * MIN).await;
    assert_eq!(incident(&store, other).await.incident.state, IncidentState::Firing);
}

pub async fn the_same_alerts_in_another_incident_are_acked_with_it(store: S) {
    let fence = fence(&store).await;
    let one = notified(&store, &fence, "a", &[(1, true)]).await.incident.unwrap();
    let other = put_report(&store, IncidentReport { receiver: "other".into(), ..report("b", &[(1, true), (2, true)]) }, T0).await.incident.unwrap();
    let elsewhere = put_report(&store, IncidentReport { source: "alertmanager:b".into(), ..report("c", &[(1, true)]) }, T0).await.incident.unwrap();
    let pressed = Some(MessageId::new());
    let shown = Some(ShownIn { channel: "ops".into(), version: 1, formed_at: T0, pressed, begun: Vec::new() });
    let press = Act { on: vec![ActOn { incident: one, shown }], ..act(Verb::Ack, "alice", "1", &[], T0) };
    let acted = store.act(press).await.unwrap();
    assert_eq!(acted.results.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [one, other]);
    let now = incident(&store, other).await.incident;
    assert_eq!((now.state, now.is_acked(1), now.is_acked(2)), (IncidentState::Firing, true, false));
    let own = incident(&store, one).await.incident;
    assert_eq!((own.acks.list[0].pressed, now.acks.list[0].pressed), (pressed, None), "no card of the other one was pressed");
    assert_eq!(incident(&store, elsewhere).await.incident.state, IncidentState::Firing, "of another sender");
}

pub async fn what_comes_apart_ends_and_hands_its_acks_on(store: S) {
    let fence = fence(&store).await;
    let whole = put_report(&store, report("a", &[(1, true), (2, true)]), T0).await.incident.unwrap();
    store.record_outcome(OutcomeBatch { anchors: vec![anchored(whole, 2)], ..settlement(&fence) }).await.unwrap();
    store.act(act(Verb::Ack, "alice", "1", &[whole], T0)).await.unwrap();
    let one = put_report(&store, report("b", &[(1, true)]), T0 + 1).await.incident.unwrap();
    assert_eq!(store.end_superseded_incidents(T0 + 2).await.unwrap(), 0, "a part of it is nowhere else");
    let other = put_report(&store, report("c", &[(2, true)]), T0 + 3).await.incident.unwrap();
    assert_eq!(store.end_superseded_incidents(T0 + 4).await.unwrap(), 1);
    let detail = incident(&store, whole).await;
    assert_eq!((detail.incident.state, detail.incident.ended_at), (IncidentState::Superseded, Some(T0 + 4)));
    assert_eq!(detail.incident.acks.superseded_by, [one, other]);
    assert_eq!(kinds(&store, whole).await, [TimelineKind::Acked, TimelineKind::Superseded]);
    assert_eq!(store.dirty_anchors(&["ops".into()], T0, 9).await.unwrap().len(), 1, "it is to be shown");
    for id in [one, other] {
        let found = incident(&store, id).await.incident;
        assert_eq!((found.state, found.version, found.acks.list.len()), (IncidentState::Acked, 2, 1), "{id}");
        assert!(found.wake_at().is_some_and(|at| at == T0 + RULES.remind_after), "its time goes on: {id}");
        assert_eq!(kinds(&store, id).await, [TimelineKind::Acked]);
    }
    assert_eq!(store.end_superseded_incidents(T0 + 4).await.unwrap(), 0);
    // Reported so once more it goes on, and what it came apart into ends.
    assert_eq!(put_report(&store, report("a", &[(1, true), (2, true)]), T0 + 5).await.incident, Some(whole));
    assert_eq!(incident(&store, whole).await.incident.state, IncidentState::Acked);
    assert_eq!(store.end_superseded_incidents(T0 + 6).await.unwrap(), 2);
    assert_eq!(kinds(&store, whole).await.last(), Some(&TimelineKind::Reopened));
    assert_eq!(incident(&store, other).await.incident.acks.superseded_by, [whole]);
}

pub async fn what_is_not_known_whole_or_is_of_another_receiver_does_not_go_on_as_others(store: S) {
    let left_out = put_report(&store, IncidentReport { left_out: true, ..report("a", &[(1, true), (2, true)]) }, T0).await.incident.unwrap();
    let elsewhere =
        put_report(&store, IncidentReport { receiver: "other".into(), ..report("b", &[(3, true), (4, true)]) }, T0).await.incident.unwrap();
    let whole = put_report(&store, report("c", &[(5, true), (6, true)]), T0).await.incident.unwrap();
    for alert in 1..=6 {
        put_report(&store, report(&format!("part-{alert}"), &[(alert, true)]), T0 + 1).await;
    }
    assert_eq!(store.end_superseded_incidents(T0 + 2).await.unwrap(), 1);
    let mut states = Vec::new();
    for id in [left_out, elsewhere, whole] {
        states.push(incident(&store, id).await.incident.state);
    }
    assert_eq!(states, [IncidentState::Firing, IncidentState::Firing, IncidentState::Superseded]);
}

pub async fn open_ones_come_in_the_order_in_which_somebody_is_needed(store: S) {
    assert_eq!(store.count_incidents().await.unwrap(), OpenIncidents::default());
    assert_eq!(store.urgent_incidents(9).await.unwrap(), []);
    let fence = fence(&store).await;
    let acked = notified(&store, &fence, "a", &[(1, true)]).await.incident.unwrap();
    let put = async |key: &str, alert: u64, rank: u8, at: UnixMs| {
        let mut said = report(key, &[(alert, true)]);
        said.alerts[0].rank = rank;
        put_report(&store, said, at).await.incident.unwrap()
    };
    let (later, earlier) = (put("b", 2, 1, T0 + 3).await, put("c", 3, 1, T0 + 2).await);
    let severe = put("d", 4, 0, T0 + 4).await;
    let over = put("e", 5, 0, T0 + 5).await;
    put_report(&store, report("e", &[(5, false)]), T0 + 6).await;
    store.act(act(Verb::Ack, "alice", "7", &[acked], T0 + MIN)).await.unwrap();
    let urgent = async |most: usize| store.urgent_incidents(most).await.unwrap().into_iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(urgent(9).await, [severe, earlier, later, acked]);
    assert_eq!(urgent(2).await, [severe, earlier]);
    let mut open = store.count_incidents().await.unwrap();
    open.counts.sort_by_key(|count| (count.state.as_str(), count.rank));
    let count = |rank, state, count| IncidentCount { rank, state, count };
    assert_eq!(open.counts, [count(1, IncidentState::Acked, 1), count(0, IncidentState::Firing, 1), count(1, IncidentState::Firing, 2)]);
    assert_eq!((open.newest, open.count(|count| count.state == IncidentState::Firing)), (Some(severe), 3));
    assert!(over > severe, "the newest that is open");
}

pub async fn of_thousands_of_open_incidents_those_that_go_on_as_others_end(store: S) {
    const STORM: u64 = 2100;
    let whole = put_report(&store, report("a", &[(1, true), (2, true)]), T0).await.incident.unwrap();
    let others = (0..STORM).map(|n| report(&format!("storm-{n}"), &[(10_000 + n, true), (20_000 + n, true)])).collect();
    store.accept(NewEvent { incidents: others, ..event(vec![delivery("ops", "storm")]) }).await.unwrap();
    put_report(&store, report("b", &[(1, true)]), T0 + 1).await;
    put_report(&store, report("c", &[(2, true)]), T0 + 2).await;
    assert_eq!(store.end_superseded_incidents(T0 + 3).await.unwrap(), 1);
    assert_eq!(incident(&store, whole).await.incident.state, IncidentState::Superseded);
    assert_eq!(store.open_incidents().await.unwrap().len() as u64, STORM + 2);
    assert_eq!(store.end_superseded_incidents(T0 + 4).await.unwrap(), 0);
    // All of the storm comes apart.
    let parts = (0..STORM).flat_map(|n| [report(&format!("x-{n}"), &[(10_000 + n, true)]), report(&format!("y-{n}"), &[(20_000 + n, true)])]);
    store.accept(NewEvent { received_at: T0 + 5, incidents: parts.collect(), ..event(vec![delivery("ops", "parts")]) }).await.unwrap();
    let mut rounds = Vec::new();
    while rounds.last() != Some(&0) {
        rounds.push(store.end_superseded_incidents(T0 + 6).await.unwrap());
    }
    assert_eq!((rounds.iter().sum::<u64>(), rounds[0]), (STORM, 166), "so many with their parts at once: {rounds:?}");
    assert_eq!(store.open_incidents().await.unwrap().len() as u64, 2 * STORM + 2);
}
