//! Several processes on one database: one place in a lane for each delivery, counters that stay right, one owner of an outlet.

use std::time::Duration;

use futures_util::future::join_all;

use super::super::anchors;
use super::*;
use crate::model::{OutletKey, UnixMs};
use crate::store::contract::fixtures::*;
use crate::store::*;

async fn two() -> Option<(S, S, Place)> {
    let place = Place::new()?;
    let (a, b): (S, S) = (place.open().await, place.open().await);
    Some((a, b, place))
}

/// Every lane whose counters are not what its deliveries say.
async fn wrong_lanes(place: &Place) -> Vec<String> {
    let rows = place
        .shell()
        .await
        .query(
            "SELECT l.channel || '/' || l.key || ': ' || l.waiting || ' waiting, ' || l.size || ' in all, last ' || l.last_seq
             FROM lane l CROSS JOIN LATERAL (
                 SELECT count(*) AS size, count(DISTINCT lane_seq) AS places, count(*) FILTER (WHERE state IN ('waiting', 'deferred')) AS waiting,
                     count(*) FILTER (WHERE state = 'deferred') AS deferred, min(rank) FILTER (WHERE state = 'waiting') AS rank,
                     min(born_at) FILTER (WHERE state = 'waiting') AS since
                 FROM delivery WHERE lane_id = l.id) AS d
             WHERE l.waiting <> d.waiting OR l.deferred <> d.deferred OR l.size <> d.size OR l.last_seq <> d.places
                 OR l.waiting > 0 AND (l.rank <> d.rank OR l.since <> d.since)",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_lanes_without_gaps() {
    let Some((a, b, place)) = two().await else { return };
    let put = |n: usize| {
        let store = if n.is_multiple_of(2) { a.clone() } else { b.clone() };
        // Each event enters two lanes, in either order.
        let mut both = vec![delivery("ops", &format!("l{}", n % 3)), delivery("dba", &format!("l{}", n % 2))];
        if n % 5 < 2 {
            both.reverse();
        }
        tokio::spawn(async move { store.accept(event(both)).await.unwrap().deliveries })
    };
    let taken: Vec<AcceptedDelivery> = join_all((0..300).map(put)).await.into_iter().flat_map(Result::unwrap).collect();
    let mut places: Vec<(i64, i64)> = taken.iter().map(|d| (d.lane.0, d.lane_seq)).collect();
    places.sort_unstable();
    let before = places.len();
    places.dedup();
    assert_eq!((places.len(), before), (600, 600), "no place is given out twice");
    assert_eq!(wrong_lanes(&place).await, Vec::<String>::new());
    a.close().await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_at_two_nodes_make_one_event() {
    let Some((a, b, _place)) = two().await else { return };
    let repeats = (0..40u32).map(|n| {
        let store = if n.is_multiple_of(2) { a.clone() } else { b.clone() };
        let dedup = Some(Dedup { key: [7; 32], window: Duration::from_secs(60) });
        tokio::spawn(async move { store.accept(NewEvent { dedup, ..event(vec![delivery("ops", LANE)]) }).await.unwrap() })
    });
    let answers: Vec<Accepted> = join_all(repeats).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.duplicate).count(), 1);
    assert!(answers.iter().all(|answer| answer.event == answers[0].event && answer.deliveries == answers[0].deliveries));
    assert_eq!(ready(&a).await[0].waiting, 1);
    a.close().await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_report_at_once_share_incidents() {
    let Some((a, b, _place)) = two().await else { return };
    let fence = fence(&a).await;
    let keys = ["k0", "k1", "k2"];
    let reports = (0..120u64).map(|n| {
        let store = if n.is_multiple_of(2) { a.clone() } else { b.clone() };
        // Each event reports two incidents, in either order.
        let part = |key: u64, alert: u64| IncidentReport { whole: false, ..report(keys[key as usize % 3], &[(alert, true)]) };
        let mut event = reporting(part(n, 2 * n), T0);
        event.incidents.push(part(n + 1 + n % 2, 2 * n + 1));
        let fence = fence.clone();
        tokio::spawn(async move {
            let id = store.accept(event).await.unwrap().deliveries[0].incident.unwrap();
            // Its message shows the version that was read before it was sent; the next report may come in between.
            let version = incident(&store, id).await.incident.version;
            store.record_outcome(OutcomeBatch { anchors: vec![anchored(id, version)], ..settlement(&fence) }).await.unwrap();
        })
    });
    join_all(reports).await.into_iter().for_each(|done| done.unwrap());
    let all = a.list_incidents(&IncidentFilter { limit: 99, ..IncidentFilter::default() }).await.unwrap();
    assert_eq!(all.len(), 3, "of each key one is open");
    assert_eq!(all.iter().map(|incident| incident.version).sum::<i64>(), 240, "no report is lost");
    let dirty = a.dirty_anchors(&["ops".into()], T0, 99).await.unwrap();
    for incident in all {
        let anchor = &b.incidents(&[incident.id], "ops").await.unwrap()[0].1[0];
        let is_dirty = dirty.iter().any(|one| one.anchor.incident == incident.id);
        assert_eq!(is_dirty, anchor.shown < incident.version, "I14: {} of {}", anchor.shown, incident.version);
    }
    a.close().await;
    b.close().await;
}

#[tokio::test]
async fn an_incident_does_not_change_while_its_anchor_is_written() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let all: S = store.clone();
    let id = put_report(&all, report("a", &[(1, true)]), T0).await.incident.unwrap();
    let tx = store.db.write().await.unwrap();
    let versions = anchors::lock_incidents(&tx, [id].into()).await.unwrap();
    let mut reported = Box::pin(put_report(&all, report("a", &[(1, true)]), T0 + 1));
    let waits = tokio::time::timeout(Duration::from_millis(300), &mut reported).await;
    assert!(waits.is_err(), "the report would not find the anchor that shows less than it says");
    anchors::write(&tx, &[(Anchor::confirmed(None, &anchored(id, 1), T0), versions[&id])]).await.unwrap();
    tx.commit().await.unwrap();
    reported.await;
    let dirty = store.dirty_anchors(&["ops".into()], T0, 9).await.unwrap();
    assert_eq!(dirty.iter().map(|one| (one.anchor.shown, one.incident.version)).collect::<Vec<_>>(), [(1, 2)]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_sent_twice_is_its_own_duplicate() {
    let Some((a, b, _place)) = two().await else { return };
    // A node that lost the answer of its commit asks again.
    let new = NewEvent { dedup: Some(Dedup { key: [7; 32], window: Duration::from_secs(60) }), ..event(vec![delivery("ops", LANE)]) };
    let first = a.accept(new.clone()).await.unwrap();
    let again = b.accept(new).await.unwrap();
    assert_eq!((again.duplicate, again.event, &again.deliveries), (true, first.event, &first.deliveries));
    a.close().await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_stay_right_whoever_changes_what() {
    let Some((a, b, place)) = two().await else { return };
    let fence = fence(&a).await;
    let keys = ["k0", "k1", "k2"];
    let mut waiting = Vec::new();
    for n in 0..90 {
        waiting.push(put(&a, keys[n % 3]).await);
    }
    let mut tasks = Vec::new();
    for (n, d) in waiting.into_iter().enumerate() {
        let (a, b, fence) = (a.clone(), b.clone(), fence.clone());
        tasks.push(tokio::spawn(async move {
            match n % 5 {
                // Its owner ends it, with a child on a channel that sorts before it, and with one that sorts behind it.
                0 | 1 => {
                    let event = row(&a, d.id).await.event;
                    let channel = if n.is_multiple_of(2) { "fall" } else { "zfall" };
                    let child =
                        FallbackChild { event, delivery: NewDelivery { fallback: Fallback { of: Some(d.id), depth: 0 }, ..delivery(channel, "c") } };
                    let dead = DeliveryUpdate { reason: Some("r".into()), ..change(&d, State::Dead) };
                    let s = OutcomeBatch { deliveries: vec![dead], children: vec![child], ..with_message(&fence, message(&[d.id]), true) };
                    a.record_outcome(s).await.unwrap();
                }
                2 => assert_eq!(b.drop_deliveries(&[d.id], "noise", T0).await.unwrap(), 1),
                3 => {
                    let to = MoveTo { channel: "fall".into(), outlet: outlet(), fallback: vec![] };
                    b.requeue(&[d.id], Some(to), T0).await.unwrap();
                }
                _ => {
                    b.accept(event(vec![delivery("zfall", "c"), delivery("fall", "c"), delivery("ops", "k1")])).await.unwrap();
                }
            }
        }));
    }
    for done in join_all(tasks).await {
        done.unwrap();
    }
    assert_eq!(wrong_lanes(&place).await, Vec::<String>::new());
    a.close().await;
    b.close().await;
}

/// Waits until a statement on tables of this test waits for a lock.
async fn until_blocked(shell: &Client, schema: &str) {
    let sql = "SELECT 1 FROM pg_locks w JOIN pg_locks h ON h.pid = w.pid JOIN pg_class c ON c.oid = h.relation
               JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT w.granted AND n.nspname = $1";
    let begun = std::time::Instant::now();
    while shell.query(sql, &[&schema]).await.unwrap().is_empty() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "nothing waits");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_computed_after_what_was_waited_for() {
    let Some((a, b, place)) = two().await else { return };
    let fence = fence(&a).await;
    let (other, watch) = (place.shell().await, place.shell().await);
    for n in 0..3 {
        let d = put(&a, LANE).await;
        // What another node's accept does, up to its commit.
        let accept = format!(
            "BEGIN; SELECT 1 FROM lane FOR UPDATE;
             INSERT INTO delivery (id, event_id, lane_id, lane_seq, channel, target, mode, state, rank, title, firing, resolved, born_at, due_at)
             SELECT gen_random_uuid(), event_id, lane_id, lane_seq + 1, channel, target, mode, state, 0, title, firing, resolved, born_at - 5, due_at
             FROM delivery WHERE id = '{}';
             UPDATE lane SET waiting = waiting + 1, size = size + 1, last_seq = last_seq + 1, rank = 0, since = least(since, {})",
            d.id,
            (T0 - 5).0
        );
        other.batch_execute(&accept).await.unwrap();
        let (a, b, fence) = (a.clone(), b.clone(), fence.clone());
        let task = tokio::spawn(async move {
            match n {
                0 => assert_eq!(b.drop_deliveries(&[d.id], "noise", T0).await.unwrap(), 1),
                1 => drop(deliver(&a, &fence, &[&d], T0).await),
                _ => {
                    let to = MoveTo { channel: "night".into(), outlet: outlet(), fallback: vec![] };
                    assert_eq!(b.requeue(&[d.id], Some(to), T0).await.unwrap().len(), 1);
                }
            }
        });
        until_blocked(&watch, &place.schema).await;
        other.batch_execute("COMMIT").await.unwrap();
        task.await.unwrap();
        assert_eq!(wrong_lanes(&place).await, Vec::<String>::new(), "{n}");
    }
    a.close().await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_drops_meanwhile_is_in_the_message_or_dropped() {
    let Some((a, b, _place)) = two().await else { return };
    let fence = fence(&a).await;
    for n in 0..30 {
        let d = put(&a, &format!("lane {n}")).await;
        let formed = message(&[d.id]);
        let (form, drop) = (a.store_message(fence.clone(), formed.clone()), [d.id]);
        let (formed_it, dropped) = tokio::join!(form, b.drop_deliveries(&drop, "noise", T0));
        let row = row(&a, d.id).await;
        match dropped.unwrap() {
            1 => assert!(formed_it.is_err() && row.state == State::Dropped && row.message.is_none(), "{formed_it:?} {row:?}"),
            _ => assert!(formed_it.is_ok() && row.state == State::Waiting && row.message == Some(formed.id), "{formed_it:?} {row:?}"),
        }
    }
    a.close().await;
    b.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_gets_the_outlet_and_the_others_are_fenced() {
    let Some((a, b, _place)) = two().await else { return };
    let claims = (0..20u32).map(|n| {
        let (store, node) = if n.is_multiple_of(2) { (a.clone(), "n1") } else { (b.clone(), "n2") };
        tokio::spawn(async move { (node, store.claim_outlet(claim(node, T0)).await.unwrap()) })
    });
    let claims: Vec<_> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
    let mut owners: Vec<(&str, i64)> = claims.iter().filter_map(|(node, owned)| Some((*node, owned.as_ref()?.epoch))).collect();
    assert!(owners.len() >= 10 && owners.iter().all(|(node, _)| *node == owners[0].0), "{owners:?}");
    owners.sort_by_key(|(_, epoch)| *epoch);
    assert!(owners.windows(2).all(|two| two[0].1 < two[1].1));
    let old = Fence { outlet: outlet(), epoch: owners.last().unwrap().1 };
    let other = if owners[0].0 == "n1" { "n2" } else { "n1" };
    let taken = b.claim_outlet(claim(other, T0 + 8_000)).await.unwrap().unwrap();
    let late = a.set_outlet_state(old, OutletUpdate { paused_until: Some(UnixMs(1)), suspension: None }).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    a.set_outlet_state(Fence { outlet: outlet(), epoch: taken.epoch }, OutletUpdate { paused_until: Some(UnixMs(2)), suspension: None })
        .await
        .unwrap();
    a.close().await;
    b.close().await;
}

#[tokio::test]
async fn leases_are_measured_by_the_databases_clock() {
    let Some(place) = Place::new() else { return };
    let store = place.open_with(|options| options.database_clock = true).await;
    // The clock of the first node is years behind, that of the second far ahead.
    assert!(store.claim_outlet(claim("n1", UnixMs(1_000))).await.unwrap().is_some());
    assert!(store.claim_outlet(claim("n2", UnixMs(i64::MAX / 2))).await.unwrap().is_none(), "the lease has hardly begun");
    assert_eq!(store.renew_leases("n1", UnixMs(2_000), UnixMs(10_000)).await.unwrap(), [outlet()]);
    assert!(store.claim_outlet(claim("n2", UnixMs(i64::MAX / 2))).await.unwrap().is_none());
    // A lease of no length is over at once.
    store.renew_leases("n1", UnixMs(3_000), UnixMs(3_000)).await.unwrap();
    assert!(store.claim_outlet(claim("n2", UnixMs(0))).await.unwrap().is_some());
    assert!(store.renew_leases("n1", UnixMs(4_000), UnixMs(12_000)).await.unwrap().is_empty());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_are_told_that_something_waits() {
    let Some((store, other, place)) = two().await else { return };
    let (mut own, mut told) = (store.subscribe().unwrap(), other.subscribe().unwrap());
    let shell = place.shell().await;
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN watchfire'";
    while shell.query_one(listening, &[]).await.unwrap().get::<_, i64>(0) < 2 {
        tokio::task::yield_now().await;
    }
    // Other tests share the channel of the hints, so the outlets of this one are its own.
    let outlet = |n: u8| OutletKey::from_stored(&format!("{}:{n}", place.schema));
    let skipped = NewDelivery { state: State::Skipped, outlet: outlet(9), reason: Some("r".into()), ..delivery("none", LANE) };
    let of = |channel: &str, n| NewDelivery { outlet: outlet(n), ..delivery(channel, LANE) };
    let taken = store.accept(event(vec![of("ops", 1), of("dba", 2), of("dba", 2), skipped])).await.unwrap();
    let to = MoveTo { channel: "night".into(), outlet: outlet(3), fallback: vec![] };
    store.requeue(&[taken.deliveries[0].id], Some(to), T0).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.extend(told.recv().await.filter(|hint| hint.as_str().starts_with(&place.schema)));
    }
    assert_eq!(heard, [outlet(1), outlet(2), outlet(3)], "each once, in order");
    // Its own hints are nothing new to it, and those of the other are received.
    other.accept(event(vec![of("sms", 4)])).await.unwrap();
    loop {
        let hint = own.recv().await.unwrap();
        if hint.as_str().starts_with(&place.schema) {
            assert_eq!(hint, outlet(4));
            break;
        }
    }
    store.close().await;
    other.close().await;
}

/// A rolling upgrade, seen from the old program: a newer node has brought the schema one version further, by adding to it. A node that was running
/// and one that starts afterwards go on working, beside what the newer one writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_this_version_work_beside_the_next_one() {
    let Some(place) = Place::new() else { return };
    let running: S = place.open().await;
    put(&running, "l").await;
    let next = "ALTER TABLE event ADD COLUMN added TEXT; ALTER TABLE lane ADD COLUMN added BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE delivery ADD COLUMN added TEXT; ALTER TABLE message ADD COLUMN added TEXT; ALTER TABLE cell ADD COLUMN added TEXT;
        ALTER TABLE attempt ADD COLUMN added BYTEA; ALTER TABLE outlet ADD COLUMN added BIGINT NOT NULL DEFAULT 0; ALTER TABLE node ADD COLUMN added TEXT;
        CREATE TABLE added (id UUID PRIMARY KEY); CREATE INDEX added_lane ON lane (added);
        UPDATE schema_version SET version = version + 1";
    place.shell().await.batch_execute(next).await.unwrap();
    let started: S = place.open().await;
    put(&started, "l").await;
    let last = put(&running, "l").await;
    assert_eq!(last.lane_seq, 3);
    let beat = |name: &str| NodeHeartbeat { node: name.into(), plan: "p".into(), version: "1".into(), now: T0, alive_until: T0 + 8_000 };
    started.node_heartbeat(beat("started")).await.unwrap();
    assert_eq!(running.node_heartbeat(beat("running")).await.unwrap().len(), 2);
    let fence = fence(&running).await;
    let waits = started.pending(last.lane, 0, 10, usize::MAX, UnixMs::MAX).await.unwrap();
    assert_eq!(waits.len(), 3);
    let gone = settlement(&fence);
    let done = OutcomeBatch { deliveries: vec![DeliveryUpdate { reason: Some("a reason".into()), ..change(&last, State::Dropped) }], ..gone };
    running.record_outcome(done).await.unwrap();
    assert_eq!(started.pending(last.lane, 0, 10, 0, UnixMs::MAX).await.unwrap().len(), 2);
    assert_eq!(started.get_delivery(last.id).await.unwrap().unwrap().row.state, State::Dropped);
    assert_eq!(wrong_lanes(&place).await, Vec::<String>::new());
    running.close().await;
    started.close().await;
}
