//! Contract of incidents: what events, silence and time do to them, what belongs to them, and what stays of them.

use futures_util::future::join_all;

use super::fixtures::*;
use crate::model::{IncidentId, Recipient, UnixMs};
use crate::store::*;

fn kinds(detail: &IncidentDetail) -> Vec<TimelineKind> {
    detail.timeline.iter().map(|row| row.kind).collect()
}

async fn all(store: &S) -> Vec<Incident> {
    store.list_incidents(&IncidentFilter { limit: 99, ..IncidentFilter::default() }).await.unwrap()
}

async fn purge_all(store: &S, before: UnixMs) {
    while store
        .purge(Retention { sent_before: before, presses_before: before, audit_rows: 100, dead_before: before, open_incidents: true }, 100)
        .await
        .unwrap()
        > 0
    {}
}

pub async fn an_event_opens_an_incident_and_the_next_goes_on_with_it(store: S) {
    let first = reporting(report("a", &[(1, true)]), T0);
    let opened = store.accept(first.clone()).await.unwrap().deliveries.remove(0);
    let id = opened.incident.expect("it opened one");
    let second = put_report(&store, report("a", &[(1, true), (2, true)]), T0 + 1).await;
    assert_eq!((second.incident, row(&store, second.id).await.incident), (Some(id), Some(id)));
    let waiting = store.pending(opened.lane, 0, 9, 0, UnixMs::MAX).await.unwrap();
    assert_eq!(waiting.iter().map(|one| one.incident).collect::<Vec<_>>(), [Some(id), Some(id)]);
    let detail = incident(&store, id).await;
    let found = &detail.incident;
    assert_eq!((found.key.as_str(), found.source.as_str(), found.receiver.as_str()), ("a", "alertmanager:a", "r"));
    assert_eq!((found.title.as_str(), found.group_key.as_str(), found.rank), ("Disk full on a", "{}:{a}", 1));
    assert_eq!((found.state, found.version, found.opened_at, found.heard_at, found.ended_at), (IncidentState::Firing, 2, T0, T0 + 1, None));
    assert_eq!(found.alerts.iter().map(|alert| (alert.fingerprint, alert.fired, alert.index)).collect::<Vec<_>>(), [(1, 1, 0), (2, 2, 1)]);
    assert_eq!(detail.deliveries.iter().map(|row| row.id).collect::<Vec<_>>(), [opened.id, second.id]);
    assert!(detail.timeline.is_empty() && detail.anchors.is_empty());
    let ends = put_report(&store, report("a", &[(1, false), (2, false)]), T0 + 2).await;
    let detail = incident(&store, id).await;
    assert_eq!((ends.incident, detail.incident.state, detail.incident.ended_at), (Some(id), IncidentState::Resolved, Some(T0 + 2)));
    assert_eq!((kinds(&detail), detail.timeline[0].at), (vec![TimelineKind::Resolved], T0 + 2));
    assert_eq!(store.get_incident(IncidentId(id.0 + 1)).await.unwrap().map(|detail| detail.incident), None);
}

pub async fn what_ended_goes_on_for_a_while_and_is_then_followed_by_another(store: S) {
    let (fires, ends) = (|| report("a", &[(1, true)]), || report("a", &[(1, false)]));
    let none = put_report(&store, ends(), T0).await;
    assert_eq!((none.incident, all(&store).await.len()), (None, 0), "nothing of it fires");
    let first = put_report(&store, fires(), T0).await.incident.expect("it opens one");
    put_report(&store, ends(), T0 + MIN).await;
    let again = put_report(&store, ends(), T0 + 11 * MIN).await;
    assert_eq!((again.incident, incident(&store, first).await.incident.version), (Some(first), 2), "it belongs to it, and changes nothing");
    assert_eq!(put_report(&store, ends(), T0 + 11 * MIN + 1).await.incident, None);
    assert_eq!(put_report(&store, fires(), T0 + 11 * MIN).await.incident, Some(first));
    put_report(&store, ends(), T0 + 12 * MIN).await;
    let other = put_report(&store, fires(), T0 + 22 * MIN + 1).await.incident.expect("it opens another");
    assert!(other > first);
    use TimelineKind::{Reopened, Resolved};
    assert_eq!(kinds(&incident(&store, first).await), [Resolved, Reopened, Resolved]);
    assert_eq!(incident(&store, other).await.incident.version, 1);
    let stays = put_report(&store, fires(), T0 + 23 * MIN).await;
    assert_eq!((stays.incident, all(&store).await.len()), (Some(other), 2));
}

pub async fn a_repeat_changes_no_incident(store: S) {
    let dedup = Some(Dedup { key: [3; 32], window: std::time::Duration::from_secs(60) });
    let first = store.accept(NewEvent { dedup, ..reporting(report("a", &[(1, true)]), T0) }).await.unwrap();
    let again = store.accept(NewEvent { dedup, ..reporting(report("a", &[(1, true), (2, true)]), T0 + 1) }).await.unwrap();
    assert_eq!((again.duplicate, &again.deliveries), (true, &first.deliveries));
    let id = again.deliveries[0].incident.expect("that of the first");
    let found = incident(&store, id).await.incident;
    assert_eq!((found.version, found.heard_at, found.alerts.len()), (1, T0, 1));
}

pub async fn a_refused_event_changes_no_incident(store: S) {
    let id = put_report(&store, report("a", &[(1, true)]), T0).await.incident.unwrap();
    let mut bad = reporting(report("a", &[(1, false)]), T0 + 1);
    bad.deliveries.push(bad.deliveries[0].clone());
    bad.incidents.push(report("b", &[(1, true)]));
    assert!(matches!(store.accept(bad).await, Err(StoreError::Invalid(_))), "one id twice");
    let mut unknown = reporting(report("a", &[(1, false)]), T0 + 1);
    unknown.deliveries[0].incident = DeliveryIncident::Reported(1);
    assert!(matches!(store.accept(unknown).await, Err(StoreError::Invalid(_))), "there is no such report");
    assert_eq!((incident(&store, id).await.incident.version, all(&store).await.len()), (1, 1));
}

pub async fn an_event_may_report_several_incidents(store: S) {
    let mut both = reporting(report("b", &[(1, true)]), T0);
    both.incidents.push(report("a", &[(2, true)]));
    both.incidents.push(report("c", &[(3, false)]));
    for place in 1..3 {
        both.deliveries.push(NewDelivery { incident: DeliveryIncident::Reported(place), ..delivery("ops", &format!("{place}")) });
    }
    both.deliveries.push(delivery("dba", "none"));
    let accepted = store.accept(both).await.unwrap().deliveries;
    let of = |place: usize| accepted[place].incident;
    let (b, a) = (of(0).unwrap(), of(1).unwrap());
    assert_eq!((incident(&store, b).await.incident.key.as_str(), incident(&store, a).await.incident.key.as_str()), ("b", "a"));
    assert_eq!((of(2), of(3)), (None, None));
}

pub async fn events_at_once_share_an_incident(store: S) {
    let keys = ["a", "b", "c"];
    let events = (0..60u64).map(|n| reporting(IncidentReport { whole: false, ..report(keys[n as usize % 3], &[(n, true)]) }, T0));
    let accepted = join_all(events.map(|event| store.accept(event))).await;
    let ids: std::collections::BTreeSet<_> = accepted.into_iter().map(|done| done.unwrap().deliveries[0].incident.unwrap()).collect();
    let found = all(&store).await;
    assert_eq!((ids.len(), found.len()), (3, 3));
    assert!(found.iter().all(|incident| incident.version == 20 && incident.alerts.len() == 20), "{found:?}");
}

pub async fn of_events_at_once_each_sees_what_the_one_before_left(store: S) {
    let never_again = |alerts: &[(u64, bool)]| IncidentReport { reopen_within: -1, ..report("a", alerts) };
    let reports = [&[(1, true)][..], &[(1, false)], &[(2, true)], &[(2, false)], &[(3, true)]];
    let accepted = join_all(reports.map(|alerts| store.accept(reporting(never_again(alerts), T0)))).await;
    let ids: Vec<i64> = accepted.into_iter().map(|done| done.unwrap().deliveries[0].incident.unwrap().0).collect();
    assert!(ids[0] == ids[1] && ids[1] < ids[2] && ids[2] == ids[3] && ids[3] < ids[4], "{ids:?}");
    let open: Vec<_> = all(&store).await.into_iter().filter(|incident| incident.state.is_open()).map(|incident| incident.id.0).collect();
    assert_eq!(open, [ids[4]]);
}

pub async fn what_is_grouped_in_another_way_goes_on_under_its_number(store: S) {
    let first = put_report(&store, report("a", &[(1, true), (2, true)]), T0).await.incident.unwrap();
    let part = put_report(&store, report("b", &[(1, true)]), T0 + 1).await.incident.unwrap();
    assert!(part > first, "only a part of it is there");
    put_report(&store, report("b", &[(1, false)]), T0 + 2).await;
    let whole = put_report(&store, report("b", &[(3, true), (2, true), (1, true)]), T0 + 20 * MIN).await;
    assert_eq!(whole.incident, Some(first));
    let detail = incident(&store, first).await;
    assert_eq!((detail.incident.key.as_str(), detail.incident.group_key.as_str(), detail.incident.version), ("b", "{}:{b}", 2));
    assert_eq!(kinds(&detail), [TimelineKind::Regrouped]);
    assert!(detail.timeline[0].text.contains("{}:{b}"), "{:?}", detail.timeline);
    // The other one has a greater number, but it ended before.
    assert_eq!(put_report(&store, report("b", &[(1, true), (2, false), (3, false)]), T0 + 21 * MIN).await.incident, Some(first));
    put_report(&store, report("b", &[(1, false), (2, false), (3, false)]), T0 + 22 * MIN).await;
    assert_eq!(put_report(&store, report("b", &[(4, true)]), T0 + 23 * MIN).await.incident, Some(first), "it ended last");
    assert!(put_report(&store, report("a", &[(5, true)]), T0 + 24 * MIN).await.incident > Some(part), "nothing is left under the former key");
}

pub async fn what_comes_from_a_delivery_belongs_to_its_incident(store: S) {
    let fence = fence(&store).await;
    let mut new = reporting(report("a", &[(1, true)]), T0);
    new.deliveries[0].target.fallback = vec!["sms".into()];
    let origin = store.accept(new).await.unwrap().deliveries.remove(0);
    let to = MoveTo { channel: "sms".into(), outlet: outlet(), fallback: vec![] };
    let step = FallbackStep { chain: vec!["sms".into()], to };
    let copy = store.copy_to_fallback("ops", T0 + 1, step, "waits too long", 9, T0).await.unwrap().remove(0);
    let event = row(&store, origin.id).await.event;
    let fallback = Fallback { of: Some(origin.id), depth: 1 };
    let child = NewDelivery { fallback, incident: origin.incident.into(), ..delivery("voice", "c") };
    let dead = DeliveryUpdate { reason: Some("refused".into()), ..change(&origin, State::Dead) };
    let s = OutcomeBatch { deliveries: vec![dead], children: vec![FallbackChild { event, delivery: child }], ..settlement(&fence) };
    let child = store.record_outcome(s).await.unwrap().children.remove(0);
    let replay = store.requeue(&[origin.id], None, T0).await.unwrap().remove(0);
    for (what, d) in [("a copy", &copy), ("a child", &child), ("a replay", &replay)] {
        assert_eq!((d.incident, row(&store, d.id).await.incident), (origin.incident, origin.incident), "{what}");
    }
    let stays = put_report(&store, report("a", &[(1, true)]), T0).await;
    assert_eq!(store.requeue(&[stays.id], None, T0).await.unwrap()[0].incident, origin.incident);
    assert_eq!(incident(&store, origin.incident.unwrap()).await.deliveries.len(), 5);
    store.store_message(fence, message(&[replay.id])).await.unwrap();
    let owned = store.claim_outlet(claim("n1", T0)).await.unwrap().unwrap();
    assert_eq!((owned.open[0].members[0].incident, owned.open[0].direct), (origin.incident, false));
}

pub async fn what_is_silent_for_long_is_stale(store: S) {
    let fence = fence(&store).await;
    let old = put_report(&store, report("a", &[(1, true)]), T0).await.incident.unwrap();
    let young = put_report(&store, report("b", &[(2, true)]), T0 + 1).await.incident.unwrap();
    let ended = put_report(&store, report("c", &[(3, true)]), T0 - 1).await.incident.unwrap();
    put_report(&store, report("c", &[(3, false)]), T0 - 1).await;
    store.record_outcome(OutcomeBatch { anchors: vec![anchored(old, 1)], ..settlement(&fence) }).await.unwrap();
    assert_eq!(store.end_stale_incidents(T0, T0 + MIN, 9).await.unwrap(), 0);
    assert_eq!(store.end_stale_incidents(T0 + 2, T0 + MIN, 1).await.unwrap(), 1, "the longest silent first");
    let detail = incident(&store, old).await;
    assert_eq!((detail.incident.state, detail.incident.version, detail.incident.ended_at), (IncidentState::Stale, 2, Some(T0 + MIN)));
    assert_eq!(kinds(&detail), [TimelineKind::Stale]);
    assert!(detail.timeline[0].text.contains(&T0.to_string()), "{:?}", detail.timeline);
    assert_eq!(store.dirty_anchors(&["ops".into()], T0, 9).await.unwrap().len(), 1, "it is to be shown");
    assert_eq!(store.end_stale_incidents(T0 + 1, T0 + MIN, 9).await.unwrap(), 0);
    assert_eq!(incident(&store, young).await.incident.state, IncidentState::Firing);
    assert_eq!(incident(&store, ended).await.incident.state, IncidentState::Resolved);
    assert_eq!(put_report(&store, report("a", &[(1, true)]), T0 + 999 * MIN).await.incident, Some(old), "it goes on whenever it fires");
    assert_eq!(kinds(&incident(&store, old).await), [TimelineKind::Stale, TimelineKind::Reopened]);
}

pub async fn what_watchfire_knows_to_go_on_is_not_stale(store: S) {
    let own = |group: &str, alert: (u64, bool)| IncidentReport { source: "watchfire".into(), group_key: group.into(), ..report(group, &[alert]) };
    let mut ids = Vec::new();
    let theirs = IncidentReport { group_key: "Beat/a".into(), ..report("c", &[(4, true)]) };
    for said in [own("Beat/a", (1, true)), own("Beat/b", (2, true)), own("Beat/d", (3, true)), theirs] {
        ids.push(put_report(&store, said, T0).await.incident.unwrap());
    }
    put_report(&store, own("Beat/d", (3, false)), T0).await;
    let groups = ["Beat/a".to_owned(), "Beat/d".to_owned()];
    store.keep_incidents(&groups, T0, T0 + MIN).await.unwrap();
    assert_eq!(incident(&store, ids[0]).await.incident.heard_at, T0, "it was reported lately");
    store.keep_incidents(&groups, T0 + 1, T0 + MIN).await.unwrap();
    let kept = incident(&store, ids[0]).await.incident;
    assert_eq!((kept.heard_at, kept.version), (T0 + MIN, 1), "nothing of it changed");
    assert_eq!(store.end_stale_incidents(T0 + 1, T0 + MIN, 9).await.unwrap(), 2);
    use IncidentState::{Firing, Resolved, Stale};
    for (id, state) in ids.into_iter().zip([Firing, Stale, Resolved, Stale]) {
        assert_eq!(incident(&store, id).await.incident.state, state, "{id}");
    }
}

pub async fn incidents_are_listed_and_counted(store: S) {
    let fence = fence(&store).await;
    let mut ids = Vec::new();
    for (n, (key, rank)) in [("50%", 0), ("b", 1), ("c", 1), ("d", 3)].into_iter().enumerate() {
        let mut said = report(key, &[(n as u64, true)]);
        said.alerts[0].rank = rank;
        ids.push(put_report(&store, said, T0 + n as i64).await.incident.unwrap());
    }
    put_report(&store, report("c", &[(2, false)]), T0 + 9).await;
    store.record_outcome(OutcomeBatch { anchors: vec![anchored(ids[1], 1)], ..settlement(&fence) }).await.unwrap();
    assert_eq!(store.end_stale_incidents(T0 + 1, T0 + MIN, 9).await.unwrap(), 1);
    let none = || IncidentFilter { limit: 99, ..IncidentFilter::default() };
    use IncidentState::{Firing, Resolved, Stale};
    for (what, filter, expected) in [
        ("all", none(), vec![3, 2, 1, 0]),
        ("a page", IncidentFilter { limit: 2, ..none() }, vec![3, 2]),
        ("the next", IncidentFilter { limit: 2, before: Some(ids[2]), ..none() }, vec![1, 0]),
        ("open", IncidentFilter { states: vec![Firing], ..none() }, vec![3, 1]),
        ("two states", IncidentFilter { states: vec![Resolved, Stale], ..none() }, vec![2, 0]),
        ("severe", IncidentFilter { max_rank: Some(1), ..none() }, vec![2, 1, 0]),
        ("text", IncidentFilter { text: Some("ON 50%".into()), ..none() }, vec![0]),
        ("since", IncidentFilter { since: Some(T0 + 2), ..none() }, vec![3, 2]),
        ("until", IncidentFilter { until: Some(T0 + 2), ..none() }, vec![1, 0]),
        ("ended lately", IncidentFilter { ended_since: Some(T0 + 9), ..none() }, vec![0, 2]),
        ("ended just now", IncidentFilter { ended_since: Some(T0 + 10), ..none() }, vec![0]),
        ("channel", IncidentFilter { channels: vec!["dba".into(), "ops".into()], ..none() }, vec![1]),
        ("another channel", IncidentFilter { channels: vec!["dba".into()], ..none() }, vec![]),
    ] {
        let found: Vec<_> = store.list_incidents(&filter).await.unwrap().into_iter().map(|incident| incident.id).collect();
        assert_eq!(found, expected.into_iter().map(|n: usize| ids[n]).collect::<Vec<_>>(), "{what}");
    }
    let counts = store.stats().await.unwrap().incidents;
    assert_eq!(
        counts,
        [IncidentCount { rank: 1, state: IncidentState::Firing, count: 1 }, IncidentCount { rank: 3, state: IncidentState::Firing, count: 1 }]
    );
}

pub async fn what_an_open_incident_needs_is_not_purged(store: S) {
    let fence = fence(&store).await;
    let d = put_report(&store, report("a", &[(1, true)]), T0).await;
    let id = d.incident.unwrap();
    deliver(&store, &fence, &[&d], T0).await;
    store.record_outcome(OutcomeBatch { anchors: vec![anchored(id, 1)], ..settlement(&fence) }).await.unwrap();
    purge_all(&store, T0 + 99 * MIN).await;
    assert!(store.get_delivery(d.id).await.unwrap().is_some(), "its event stays while the incident is open");
    let end = put_report(&store, report("a", &[(1, false)]), T0 + 100 * MIN).await;
    purge_all(&store, T0 + 101 * MIN).await;
    assert!(store.get_delivery(d.id).await.unwrap().is_none() && store.get_incident(id).await.unwrap().is_some(), "a delivery of it waits");
    deliver(&store, &fence, &[&end], T0 + 102 * MIN).await;
    purge_all(&store, T0 + 100 * MIN).await;
    assert_eq!(incident(&store, id).await.anchors.len(), 1, "it ended within the retention");
    purge_all(&store, T0 + 103 * MIN).await;
    purge_all(&store, T0 + 103 * MIN).await;
    assert_eq!(store.get_incident(id).await.unwrap().map(|detail| detail.incident), None);
    assert!(store.dirty_anchors(&["ops".into()], UnixMs::MAX, 9).await.unwrap().is_empty(), "its anchors went with it");
    let late = OutcomeBatch { anchors: vec![anchored(id, 2)], ..settlement(&fence) };
    store.record_outcome(late).await.unwrap();
    assert!(store.incidents(&[id], "ops").await.unwrap().is_empty(), "what is gone gets no anchor");
}

pub async fn numbers_are_never_given_out_again(store: S) {
    let fence = fence(&store).await;
    let mut last = None;
    for n in 0..3 {
        let at = T0 + n * 100 * MIN;
        let (fires, ends) = (put_report(&store, report("a", &[(1, true)]), at).await, put_report(&store, report("a", &[(1, false)]), at + 1).await);
        assert!(fires.incident > last, "{:?} after {last:?}", fires.incident);
        last = fires.incident;
        deliver(&store, &fence, &[&fires, &ends], at + 2).await;
        for _ in 0..2 {
            purge_all(&store, at + MIN).await;
        }
        assert_eq!(all(&store).await, []);
    }
}

pub async fn an_incident_is_read_with_the_anchors_of_a_channel(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (put_report(&store, report("a", &[(1, true)]), T0).await.incident.unwrap(), put_report(&store, report("b", &[(2, true)]), T0).await);
    let b = b.incident.unwrap();
    let other = AnchorUpdate { channel: "dba".into(), ..anchored(a, 1) };
    let second = AnchorUpdate { recipient: Recipient::new("annex"), ..anchored(a, 1) };
    store.record_outcome(OutcomeBatch { anchors: vec![anchored(a, 1), other, second], ..settlement(&fence) }).await.unwrap();
    let found = store.incidents(&[b, IncidentId(b.0 + 9), a], "ops").await.unwrap();
    let shown: Vec<_> =
        found.iter().map(|(incident, anchors)| (incident.id, anchors.iter().map(|a| a.recipient.expose()).collect::<Vec<_>>())).collect();
    assert_eq!(shown, [(b, vec![]), (a, vec!["annex", "room"])]);
    let channels: Vec<_> = incident(&store, a).await.anchors.into_iter().map(|anchor| anchor.channel).collect();
    assert_eq!(channels, ["dba", "ops", "ops"]);
}

pub async fn open_ones_are_known_without_their_alerts_and_read_by_number(store: S) {
    let first = put_report(&store, report("a", &[(1, true)]), T0).await.incident.unwrap();
    let over = put_report(&store, report("b", &[(2, true)]), T0 + 1).await.incident.unwrap();
    let third = put_report(&store, report("c", &[(3, true)]), T0 + 2).await.incident.unwrap();
    put_report(&store, report("b", &[(2, false)]), T0 + 3).await;
    put_report(&store, report("c", &[(3, true), (4, true)]), T0 + 4).await;
    let open = store.open_incidents().await.unwrap();
    let known: Vec<_> = open.iter().map(|one| (one.id, one.version, one.rank, one.state, one.opened_at)).collect();
    assert_eq!(known, [(first, 1, 1, IncidentState::Firing, T0), (third, 2, 1, IncidentState::Firing, T0 + 2)]);
    assert_eq!(store.urgent_incidents(9).await.unwrap(), open);
    let ids = vec![over, third, IncidentId(third.0 + 1)];
    let found = store.list_incidents(&IncidentFilter { ids, limit: 99, ..IncidentFilter::default() }).await.unwrap();
    assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), [third, over], "also what is over");
}
