//! A store that moves here from SQLite, and a second try after the first had broken off.

use super::*;
use crate::store::contract::fixtures::*;
use crate::store::*;

/// What both stores say of every delivery, and of what waits in a lane.
async fn all(store: &S) -> Vec<DeliveryDetail> {
    let filter = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
    let mut details = Vec::new();
    for row in store.list_deliveries(&filter).await.unwrap() {
        details.push(store.get_delivery(row.id).await.unwrap().unwrap());
    }
    details
}

#[tokio::test]
async fn a_second_try_takes_what_happened_since_the_first() {
    let Some(place) = Place::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.db");
    let source: S = Arc::new(SqliteStore::open_async(SqliteOptions::new(&path)).await.unwrap());
    let old = fence(&source).await;
    let mut odd = delivery("ops", "odd");
    odd.target.fallback = vec!["sms".into(), "vo\0ice".into()];
    odd.target.route = "a\0b".into();
    odd.reason = Some("\0".into());
    let (waits, sent, gone) = (put_one(&source, odd).await, put(&source, "s").await, put(&source, "g").await);
    deliver(&source, &old, &[&gone], T0).await;
    let (first, purged) = (put_report(&source, report("a", &[(1, true)]), T0).await, put_report(&source, report("b", &[(2, true)]), T0).await);
    let (first, purged) = (first.incident.unwrap(), purged.incident.unwrap());
    source.record_outcome(OutcomeBatch { anchors: vec![anchored(first, 1), anchored(purged, 1)], ..settlement(&old) }).await.unwrap();

    let target = place.open().await;
    target.take_from(&path, |_| {}).await.unwrap();
    let both: S = target.clone();
    let to = MoveTo { channel: "vo\u{FFFD}ice".into(), outlet: outlet(), fallback: vec![] };
    let step = FallbackStep { chain: vec!["sms".into(), to.channel.clone()], to };
    assert_eq!(both.copy_to_fallback("ops", T0 + 1, step, "r", 9, T0).await.unwrap().len(), 1, "the fallback list came along");
    let error = target.take_from(&path, |_| {}).await.unwrap_err();
    assert!(matches!(&error, StoreError::Invalid(why) if why.contains("holds deliveries already")), "{error:?}");

    // As if the first try had been broken off before its last transaction. The server then went on with the old store for a while.
    place.shell().await.batch_execute("TRUNCATE lane, outlet; DELETE FROM delivery WHERE origin_id IS NOT NULL").await.unwrap();
    // An incident goes on under the key of another, which is purged; it had the last number.
    let ends = put_report(&source, report("b", &[(2, false)]), T0 - 20 * MIN).await;
    let of_purged: Vec<_> = incident(&source, purged).await.deliveries.iter().map(|d| d.id).collect();
    source.drop_deliveries(&of_purged, "r", T0 - MIN).await.unwrap();
    let moved = put_report(&source, report("b", &[(1, true), (3, true)]), T0).await;
    assert_eq!((ends.incident, moved.incident), (Some(purged), Some(first)));
    deliver(&source, &old, &[&sent], T0 + 20 * MIN).await;
    let late = put(&source, "s").await;
    let keep = Retention { sent_before: T0 + 1, presses_before: T0 + 1, audit_rows: 100, dead_before: T0, open_incidents: true };
    assert_eq!(source.purge(keep, 100).await.unwrap(), 3, "what the first try had copied is removed");
    assert_eq!(source.purge(keep, 100).await.unwrap(), 0);
    assert!(source.get_incident(purged).await.unwrap().is_none());
    target.take_from(&path, |_| {}).await.unwrap();
    let (here, there) = (all(&both).await, all(&source).await);
    assert_eq!(here.len(), 5);
    for (here, there) in here.iter().zip(&there) {
        let of = |d: &DeliveryDetail| format!("{:?} {:?}", d.row, d.message.as_ref().map(|m| (&m.cells, &m.attempts))).replace("\\0", "\u{FFFD}");
        assert_eq!(of(here), of(there));
    }
    assert!(both.get_delivery(gone.id).await.unwrap().is_none());
    assert_eq!(places(&both, late.lane).await, [(2, late.id)], "what was sent meanwhile does not wait here");
    assert_eq!(ready(&both).await.len(), 4);
    assert!(both.claim_outlet(claim("n", T0)).await.unwrap().unwrap().epoch > old.epoch, "epochs go on");
    assert_eq!(put(&both, "odd").await.lane, waits.lane);
    let (here, there) = (incident(&both, first).await, incident(&source, first).await);
    assert_eq!((&here.incident, &here.anchors, &here.timeline), (&there.incident, &there.anchors, &there.timeline));
    assert_eq!((here.deliveries.len(), here.timeline.len(), both.get_incident(purged).await.unwrap().is_none()), (2, 1, true));
    let next = put_report(&both, report("c", &[(4, true)]), T0).await.incident.unwrap();
    assert!(next > purged, "a number that was purged is not given out again: {next}");
    both.close().await;
    source.close().await;
}
