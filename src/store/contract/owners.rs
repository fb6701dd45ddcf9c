//! Contract of `claim_outlet`, `renew_leases`, `release_outlet` and `set_outlet_state`, and of the fence (I7).

use super::fixtures::*;
use crate::model::{AttemptId, MessageKind, PlatformIds, UnixMs};
use crate::store::*;

pub async fn every_claim_raises_the_epoch(store: S) {
    let first = store.claim_outlet(claim("n1", T0)).await.unwrap().unwrap();
    let again = store.claim_outlet(claim("n1", T0 + 1)).await.unwrap().unwrap();
    assert!(again.epoch > first.epoch, "a restarted node must be fenced from its own past");
    assert_eq!((again.paused_until, again.suspended, again.month.as_str(), again.month_sent), (UnixMs::EPOCH, None, "", 0));
    assert!(again.open.is_empty() && again.sends.is_empty());
    assert!(first.released && !again.released, "nobody had it before the first claim; the first owner never gave it up");
    store.release_outlet(Fence { outlet: outlet(), epoch: first.epoch }).await.unwrap();
    assert!(!store.claim_outlet(claim("n1", T0 + 2)).await.unwrap().unwrap().released, "an old owner releases nothing");
    let last = store.claim_outlet(claim("n1", T0 + 3)).await.unwrap().unwrap();
    store.release_outlet(Fence { outlet: outlet(), epoch: last.epoch }).await.unwrap();
    assert!(store.claim_outlet(claim("n2", T0 + 4)).await.unwrap().unwrap().released, "given up, it is anybody's at once");
}

pub async fn a_live_lease_keeps_others_out(store: S) {
    let first = store.claim_outlet(claim("n1", T0)).await.unwrap().unwrap();
    assert!(store.claim_outlet(claim("n2", T0 + 7_999)).await.unwrap().is_none());
    assert_eq!(store.renew_leases("n1", T0 + 8_000, T0 + 16_000).await.unwrap(), [outlet()], "its lease ran out, but nobody took it");
    assert!(store.claim_outlet(claim("n2", T0 + 15_999)).await.unwrap().is_none());
    let second = store.claim_outlet(claim("n2", T0 + 16_000)).await.unwrap().unwrap();
    assert!(second.epoch > first.epoch);
    assert!(store.renew_leases("n1", T0 + 16_000, T0 + 99_000).await.unwrap().is_empty());
    assert_eq!(store.renew_leases("n2", T0 + 16_000, T0 + 24_000).await.unwrap(), [outlet()]);
}

pub async fn an_old_epoch_changes_nothing(store: S) {
    let old = fence(&store).await;
    let d = put(&store, LANE).await;
    let formed = message(&[d.id]);
    let new = fence(&store).await;
    let fenced = |what: &str, answer: Result<(), StoreError>| assert!(matches!(answer, Err(StoreError::Fenced)), "{what}: {answer:?}");
    fenced("form", store.store_message(old.clone(), formed.clone()).await);
    store.store_message(new.clone(), formed.clone()).await.unwrap();
    let attempt = NewAttempt {
        id: AttemptId::new(),
        message: formed.id,
        page: 0,
        recipients: vec![formed.cells[0].recipient.clone()],
        node: "n1".into(),
        begun_at: T0,
        guard: None,
    };
    fenced("begin", store.begin_attempt(old.clone(), attempt).await);
    fenced("outlet", store.set_outlet_state(old.clone(), OutletUpdate { paused_until: Some(UnixMs(9)), suspension: None }).await);
    let mut s = of_message(&old, formed.id, true);
    s.attempt = Some(ended("ok", T0));
    s.cells = vec![cell("room", CellState::Ok)];
    s.deliveries = vec![change(&d, State::Sent)];
    s.children = vec![FallbackChild {
        event: row(&store, d.id).await.event,
        delivery: NewDelivery { fallback: Fallback { of: Some(d.id), depth: 0 }, ..delivery("sms", LANE) },
    }];
    s.outlet = Some(OutletUpdate { paused_until: Some(UnixMs(9)), suspension: Some(SuspensionChange::Suspend("bad token".into())) });
    s.sent_in_month = Some(MonthlySends { month: "2026-11".into(), sends: 1 });
    fenced("settle", store.record_outcome(s.clone()).await.map(|_| ()));
    s.fence.epoch = new.epoch + 1;
    fenced("settle from the future", store.record_outcome(s.clone()).await.map(|_| ()));
    s.fence = Fence { outlet: crate::model::OutletKey::from_stored("log:none"), epoch: 1 };
    fenced("settle of an outlet that nobody owns", store.record_outcome(s).await.map(|_| ()));
    let detail = store.get_delivery(d.id).await.unwrap().unwrap();
    assert_eq!((detail.row.state, detail.row.tries, detail.children.len()), (State::Waiting, 0, 0));
    let stored = detail.message.unwrap();
    assert!(!stored.done && stored.attempts.is_empty() && stored.cells[0].state == CellState::Open);
    let owned = store.claim_outlet(claim("n1", T0)).await.unwrap().unwrap();
    assert_eq!((owned.paused_until, owned.suspended, owned.month_sent), (UnixMs::EPOCH, None, 0));
}

pub async fn an_owner_learns_what_it_must_know(store: S) {
    let first = fence(&store).await;
    let (a, b, other) = (put(&store, "a").await, put(&store, "b").await, put(&store, "c").await);
    for at in [T0 - 3 * MIN, T0 - 30_000, T0 - 40_000] {
        let d = put(&store, "sent").await;
        deliver(&store, &first, &[&d], at).await;
    }
    let digest = NewMessage {
        kind: MessageKind::Digest,
        generation: 3,
        cells: vec![cell("x", CellState::Open), cell("y", CellState::Open)],
        ..message(&[b.id, a.id])
    };
    store.store_message(first.clone(), digest.clone()).await.unwrap();
    let mut s = of_message(&first, digest.id, false);
    s.cells = vec![Cell { tries: 1, ids: PlatformIds::one("ts", "p1".to_owned()), code: Some("0".into()), ..cell("y", CellState::Ok) }];
    s.sent_in_month = Some(MonthlySends { month: "2026-11".into(), sends: 4 });
    s.outlet = Some(OutletUpdate { paused_until: Some(T0 + 7), suspension: Some(SuspensionChange::Suspend("bad token".into())) });
    store.record_outcome(s).await.unwrap();
    let owned = store.claim_outlet(claim("n1", T0)).await.unwrap().unwrap();
    assert_eq!(owned.sends, [T0 - 39_995, T0 - 29_995], "the ends of those in the window, oldest first");
    assert_eq!((owned.paused_until, owned.suspended.as_deref(), owned.month.as_str(), owned.month_sent), (T0 + 7, Some("bad token"), "2026-11", 4));
    assert_eq!(owned.open.len(), 1);
    let open = &owned.open[0];
    assert_eq!((open.id, open.kind.as_str(), open.generation, open.channel.as_str(), open.formed_at), (digest.id, "digest", 3, "ops", T0));
    assert_eq!(open.pages, *digest.pages);
    assert_eq!(open.cells.iter().map(|c| (c.recipient.expose(), c.state)).collect::<Vec<_>>(), [("x", CellState::Open), ("y", CellState::Ok)]);
    assert_eq!(open.cells[1].ids, PlatformIds::one("ts", "p1".to_owned()));
    assert_eq!(open.members.iter().map(|m| m.id).collect::<Vec<_>>(), [a.id, b.id], "in lane order");
    assert!(open.members.iter().all(|m| m.id != other.id && m.event.is_none()));
}

pub async fn an_attempt_that_never_ended_is_unknown(store: S) {
    let fence1 = fence(&store).await;
    let d = put(&store, LANE).await;
    let formed = message(&[d.id]);
    store.store_message(fence1.clone(), formed.clone()).await.unwrap();
    let id = AttemptId::new();
    let recipients = vec![formed.cells[0].recipient.clone()];
    let begun = NewAttempt { id, message: formed.id, page: 0, recipients, node: "n1".into(), begun_at: T0 - 1000, guard: None };
    store.begin_attempt(fence1.clone(), begun).await.unwrap();
    let stored = store.get_message(formed.id).await.unwrap().unwrap();
    assert_eq!((stored.attempts[0].ended_at, stored.attempts[0].kind.map(AttemptKind::as_str)), (None, None));
    let owned = store.claim_outlet(claim("n1", T0)).await.unwrap().unwrap();
    assert_eq!(owned.sends, [T0], "it may have left until now, so it counts");
    assert_eq!(owned.open[0].cells[0].state, CellState::Begun, "what to do with it is the worker's decision");
    let stored = store.get_message(formed.id).await.unwrap().unwrap();
    assert_eq!(
        (stored.attempts[0].id, stored.attempts[0].ended_at, stored.attempts[0].kind.map(AttemptKind::as_str)),
        (id, Some(T0), Some("unknown"))
    );
    let late = OutcomeBatch { attempt: Some(FinishedAttempt { id, ..ended("ok", T0) }), ..of_message(&fence1, formed.id, true) };
    assert!(matches!(store.record_outcome(late).await, Err(StoreError::Fenced)));
}

pub async fn pause_and_hold_stay(store: S) {
    let fence = fence(&store).await;
    store
        .set_outlet_state(fence.clone(), OutletUpdate { paused_until: Some(T0 + 5), suspension: Some(SuspensionChange::Suspend("no".into())) })
        .await
        .unwrap();
    store.set_outlet_state(fence.clone(), OutletUpdate::default()).await.unwrap();
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.outlets[0].key.clone(), stats.outlets[0].paused_until, stats.outlets[0].suspended.as_deref()), (outlet(), T0 + 5, Some("no")));
    store.set_outlet_state(fence, OutletUpdate { paused_until: None, suspension: Some(SuspensionChange::Resume) }).await.unwrap();
    let owned = store.claim_outlet(claim("n1", T0)).await.unwrap().unwrap();
    assert_eq!((owned.paused_until, owned.suspended), (T0 + 5, None));
}
