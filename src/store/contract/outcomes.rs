//! Contract of `record_outcome`: outcomes, counters, children (I8), attempts, and that what is final stays.

use super::fixtures::*;
use crate::model::{EventId, MessageId, MessageKind, PlatformIds};
use crate::store::*;

pub async fn a_single_is_written_at_settle(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (put(&store, LANE).await, put(&store, LANE).await);
    let single = message(&[a.id]);
    let id = single.id;
    let mut s = OutcomeBatch { now: T0 + 9, attempt: Some(ended("ok", T0)), ..with_message(&fence, single, true) };
    s.cells = vec![Cell { tries: 1, unanswered: 2, ids: PlatformIds::one("ts", "p".to_owned()), ..cell("room", CellState::Ok) }];
    s.deliveries = vec![change(&a, State::Sent)];
    assert_eq!(store.record_outcome(s).await.unwrap(), RecordedOutcome::default());
    let detail = store.get_delivery(a.id).await.unwrap().unwrap();
    assert_eq!((detail.row.state, detail.row.tries, detail.row.done_at, detail.row.message), (State::Sent, 1, Some(T0 + 9), Some(id)));
    let stored = detail.message.unwrap();
    assert_eq!((stored.done, stored.members, stored.attempts.len(), stored.cells[0].state), (true, 1, 1, CellState::Ok));
    assert_eq!((stored.attempts[0].kind.map(AttemptKind::as_str), stored.attempts[0].ended_at), (Some("ok"), Some(T0 + 5)));
    let head = head(&store, a.lane).await;
    assert_eq!((head.waiting, places(&store, a.lane).await), (1, vec![(2, b.id)]));
}

pub async fn a_postponed_delivery_moves_its_lane(store: S) {
    let fence = fence(&store).await;
    let (a, _b) = (put(&store, LANE).await, put(&store, LANE).await);
    let single = message(&[a.id]);
    let mut s = OutcomeBatch { attempt: Some(ended("transient", T0)), ..with_message(&fence, single.clone(), true) };
    let later = DeliveryUpdate { tries: 3, due_at: T0 + 30_000, reason: Some("timeout".into()), leave_message: true, ..change(&a, State::Waiting) };
    s.deliveries = vec![later];
    store.record_outcome(s).await.unwrap();
    let row = row(&store, a.id).await;
    assert_eq!((row.state, row.tries, row.due_at, row.done_at, row.message), (State::Waiting, 3, T0 + 30_000, None, None));
    assert_eq!(row.reason.as_deref(), Some("timeout"));
    let head = head(&store, a.lane).await;
    assert_eq!((head.waiting, head.due_at), (2, T0 + 30_000), "the head holds back what is behind it");
    assert_eq!(store.get_message(single.id).await.unwrap().unwrap().attempts.len(), 1, "the attempt is remembered");
    let detail = store.get_delivery(a.id).await.unwrap().unwrap();
    assert_eq!(detail.earlier.len(), 1, "and shown with the delivery that left the message");
}

pub async fn a_detached_delivery_frees_its_lane(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (put(&store, "a").await, put(&store, "b").await);
    let digest = NewMessage { kind: MessageKind::Digest, ..message(&[a.id, b.id]) };
    store.record_outcome(with_message(&fence, digest.clone(), false)).await.unwrap();
    assert!(ready(&store).await.is_empty(), "stored open at settle, so both lanes are taken");
    let leaves = DeliveryUpdate { leave_message: true, ..change(&a, State::Waiting) };
    store.record_outcome(OutcomeBatch { deliveries: vec![leaves], ..of_message(&fence, digest.id, false) }).await.unwrap();
    assert_eq!(ready(&store).await.iter().map(|head| head.id).collect::<Vec<_>>(), [a.lane]);
    assert_eq!(row(&store, a.id).await.message, None);
    let stays = change(&b, State::Waiting);
    store.record_outcome(OutcomeBatch { deliveries: vec![stays], ..of_message(&fence, digest.id, true) }).await.unwrap();
    assert_eq!(ready(&store).await.len(), 2, "a message that is done holds no lane");
}

fn child_of(event: EventId, origin: &AcceptedDelivery, channel: &str) -> FallbackChild {
    let delivery = NewDelivery { fallback: Fallback { of: Some(origin.id), depth: 1 }, reason: Some("fallback".into()), ..delivery(channel, LANE) };
    FallbackChild { event, delivery }
}

fn death(fence: &Fence, origin: &AcceptedDelivery, children: Vec<FallbackChild>) -> OutcomeBatch {
    let dead = DeliveryUpdate { reason: Some("refused".into()), ..change(origin, State::Dead) };
    OutcomeBatch { deliveries: vec![dead], children, attempt: Some(ended("rejected", T0)), ..with_message(fence, message(&[origin.id]), true) }
}

pub async fn a_death_and_its_child_come_together(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    let event = row(&store, a.id).await.event;
    // The same id twice breaks a rule of the database in the second child: nothing of the settlement may stay.
    let twin = child_of(event, &a, "sms");
    let mut other = twin.clone();
    other.delivery.channel = "voice".into();
    let bad = death(&fence, &a, vec![twin, other]);
    assert!(matches!(store.record_outcome(bad).await, Err(StoreError::Invalid(_))));
    assert_eq!(row(&store, a.id).await.state, State::Waiting);
    let children = vec![child_of(event, &a, "sms"), child_of(event, &a, "voice")];
    let settled = store.record_outcome(death(&fence, &a, children)).await.unwrap();
    assert_eq!(
        settled.children.iter().map(|c| (c.channel.as_str(), c.lane_seq, c.state)).collect::<Vec<_>>(),
        [("sms", 1, State::Waiting), ("voice", 1, State::Waiting)]
    );
    let detail = store.get_delivery(a.id).await.unwrap().unwrap();
    assert_eq!(detail.row.state, State::Dead);
    assert_eq!(detail.children.iter().map(|c| (c.fallback_of, c.event)).collect::<Vec<_>>(), [(Some(a.id), event), (Some(a.id), event)]);
    assert_eq!(ready(&store).await.len(), 2);
}

pub async fn a_child_is_made_once(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    let event = row(&store, a.id).await.event;
    let copy = OutcomeBatch { children: vec![child_of(event, &a, "sms")], ..settlement(&fence) };
    assert_eq!(store.record_outcome(copy).await.unwrap().children.len(), 1, "a copy, while the original goes on");
    assert_eq!(row(&store, a.id).await.state, State::Waiting);
    let settled = store.record_outcome(death(&fence, &a, vec![child_of(event, &a, "sms")])).await.unwrap();
    assert!(settled.children.is_empty());
    let detail = store.get_delivery(a.id).await.unwrap().unwrap();
    assert_eq!((detail.row.state, detail.children.len()), (State::Dead, 1));
}

pub async fn a_dropped_origin_has_no_child(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    let event = row(&store, a.id).await.event;
    assert_eq!(store.drop_deliveries(&[a.id], "not wanted", T0).await.unwrap(), 1);
    let settled = store.record_outcome(death(&fence, &a, vec![child_of(event, &a, "sms")])).await.unwrap();
    assert!(settled.children.is_empty());
    assert_eq!(row(&store, a.id).await.state, State::Dropped);
}

pub async fn a_dropped_one_that_left_is_sent(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    store.drop_deliveries(&[a.id], "not wanted", T0).await.unwrap();
    let id = deliver(&store, &fence, &[&a], T0 + 1).await;
    let row = row(&store, a.id).await;
    assert_eq!((row.state, row.message), (State::Sent, Some(id)), "the platform's word wins over the request");
    assert!(row.reason.unwrap().contains("not wanted"));
    let lanes = ready(&store).await;
    assert!(lanes.is_empty(), "it is not counted off twice: {lanes:?}");
}

pub async fn every_end_names_a_message_or_a_reason(store: S) {
    let fence = fence(&store).await;
    for state in State::ALL.into_iter().filter(|s| s.is_final()) {
        for (reason, leave_message, carried) in
            [(None, false, true), (None, true, true), (None, false, false), (Some("why".to_owned()), false, false)]
        {
            let d = put(&store, LANE).await;
            let base = if carried { with_message(&fence, message(&[d.id]), true) } else { settlement(&fence) };
            let end = DeliveryUpdate { reason, leave_message, ..change(&d, state) };
            store.record_outcome(OutcomeBatch { deliveries: vec![end], ..base }).await.unwrap();
            let row = row(&store, d.id).await;
            assert_eq!(row.state, state);
            assert!(row.message.is_some() || row.reason.is_some(), "{row:?}");
            assert_eq!(row.message.is_some(), carried && !leave_message, "{row:?}");
        }
    }
}

pub async fn a_final_state_is_final(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    let first = deliver(&store, &fence, &[&a], T0).await;
    put(&store, LANE).await;
    for state in [State::Dead, State::Waiting, State::Sent] {
        store.record_outcome(OutcomeBatch { deliveries: vec![change(&a, state)], ..with_message(&fence, message(&[a.id]), true) }).await.unwrap();
    }
    let row = row(&store, a.id).await;
    assert_eq!((row.state, row.message), (State::Sent, Some(first)));
    assert_eq!(head(&store, a.lane).await.waiting, 1);
}

pub async fn the_first_and_last_attempts_are_kept(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    let formed = message(&[a.id]);
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    let step = 10 * MIN;
    for n in 0..30 {
        let at = T0 + n * step;
        let s = OutcomeBatch { attempt: Some(ended("transient", at)), now: at, ..of_message(&fence, formed.id, false) };
        store.record_outcome(s).await.unwrap();
    }
    let kept: Vec<i64> = store.get_message(formed.id).await.unwrap().unwrap().attempts.iter().map(|a| (a.begun_at - T0) / step).collect();
    assert_eq!(kept, (0..10).chain(20..30).collect::<Vec<_>>());
    // Attempts of the last hour stay, however many: a new owner rebuilds the rolling window from them (I10).
    for n in 0..25 {
        let at = T0 + 30 * step + n;
        store.record_outcome(OutcomeBatch { attempt: Some(ended("transient", at)), now: at, ..of_message(&fence, formed.id, false) }).await.unwrap();
    }
    let owned = store.claim_outlet(claim("n1", T0 + 30 * step + 25)).await.unwrap().unwrap();
    assert_eq!(owned.sends.len(), 25);
}

pub async fn an_answer_is_capped(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    let single = message(&[a.id]);
    let id = single.id;
    let attempt = FinishedAttempt { answer: Some(format!("x{}", "警".repeat(1000))), ..ended("rejected", T0) };
    store.record_outcome(OutcomeBatch { attempt: Some(attempt), ..with_message(&fence, single, true) }).await.unwrap();
    let answer = store.get_message(id).await.unwrap().unwrap().attempts[0].answer.clone().unwrap();
    assert_eq!((answer.len(), answer.chars().count()), (1024, 342), "cut between characters");
}

pub async fn months_are_counted(store: S) {
    let fence = fence(&store).await;
    for (month, count) in [("2026-11", 2), ("2026-11", 3), ("2026-12", 1), ("2026-11", 9)] {
        store
            .record_outcome(OutcomeBatch { sent_in_month: Some(MonthlySends { month: month.into(), sends: count }), ..settlement(&fence) })
            .await
            .unwrap();
    }
    let outlet = store.stats().await.unwrap().outlets.remove(0);
    assert_eq!((outlet.month.as_str(), outlet.month_sent), ("2026-12", 1), "a late count for a month gone by changes nothing");
}

pub async fn a_settlement_of_nothing_known_is_refused(store: S) {
    let fence = fence(&store).await;
    let refused = [
        of_message(&fence, MessageId::new(), true),
        OutcomeBatch { attempt: Some(ended("ok", T0)), ..settlement(&fence) },
        OutcomeBatch { cells: vec![cell("room", CellState::Ok)], ..settlement(&fence) },
    ];
    for s in refused {
        let answer = store.record_outcome(s).await;
        assert!(matches!(answer, Err(StoreError::Invalid(_))), "{answer:?}");
    }
}

pub async fn an_ok_cell_stays_ok(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    let formed = NewMessage { cells: vec![cell("x", CellState::Open), cell("y", CellState::Open)], ..message(&[a.id]) };
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    for (x, y) in [(CellState::Ok, CellState::Begun), (CellState::Open, CellState::Unknown), (CellState::Dead, CellState::Dead)] {
        store.record_outcome(OutcomeBatch { cells: vec![cell("x", x), cell("y", y)], ..of_message(&fence, formed.id, false) }).await.unwrap();
    }
    let states: Vec<CellState> = store.get_message(formed.id).await.unwrap().unwrap().cells.iter().map(|c| c.state).collect();
    assert_eq!(states, [CellState::Ok, CellState::Dead]);
}

pub async fn decisions_need_no_message(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (put(&store, LANE).await, put(&store, LANE).await);
    let ends = |d: &AcceptedDelivery, state, why: &str| DeliveryUpdate { reason: Some(why.into()), ..change(d, state) };
    let deliveries = vec![ends(&a, State::Expired, "no slot"), ends(&b, State::Skipped, "folded away")];
    store.record_outcome(OutcomeBatch { deliveries, ..settlement(&fence) }).await.unwrap();
    assert_eq!((row(&store, a.id).await.state, row(&store, b.id).await.state), (State::Expired, State::Skipped));
    assert!(ready(&store).await.is_empty());
}

pub async fn a_message_holds_its_only_attempt(store: S) {
    let fence = fence(&store).await;
    let (a, b, c) = (put(&store, "a").await, put(&store, "b").await, put(&store, "c").await);
    let sent = Cell { tries: 1, due_at: T0 + 3, ids: PlatformIds::one("ts", "p1".to_owned()), code: Some("0".into()), ..cell("room", CellState::Ok) };
    let attempt = FinishedAttempt { answer: Some("taken".into()), ..ended("ok", T0 - 7) };
    let of = |d: &AcceptedDelivery, cells, attempt: &FinishedAttempt| {
        let s = with_message(&fence, NewMessage { cells, ..message(&[d.id]) }, true);
        OutcomeBatch { attempt: Some(attempt.clone()), deliveries: vec![change(d, State::Sent)], ..s }
    };
    let one = of(&a, vec![sent.clone()], &attempt);
    store.record_outcome(one.clone()).await.unwrap();
    // Written again, as after an answer that was lost: nothing changes.
    store.record_outcome(one.clone()).await.unwrap();
    let read = async |s: &OutcomeBatch| store.get_message(s.message.as_ref().unwrap().id).await.unwrap().unwrap();
    let stored = read(&one).await;
    assert_eq!(stored.cells, std::slice::from_ref(&sent));
    let row = &stored.attempts[0];
    assert_eq!((stored.attempts.len(), row.id, row.page, row.begun_at, row.ended_at), (1, attempt.id, 0, T0 - 7, Some(T0 - 2)));
    assert_eq!((row.kind, row.code.as_deref(), row.answer.as_deref()), (Some(AttemptKind::Ok), Some("0"), Some("taken")));
    assert!(stored.done && stored.members == 1);
    // Several cells, or an attempt that did not reach all of them, have rows of their own, and read the same.
    let two = of(&b, vec![sent.clone(), Cell { state: CellState::Dead, ..cell("x", CellState::Dead) }], &ended("partial", T0 - 5));
    store.record_outcome(two.clone()).await.unwrap();
    let stored = read(&two).await;
    assert_eq!((stored.cells.len(), stored.attempts.len()), (2, 1));
    // What no rate limit counts is not among the sends that the next owner learns of.
    store.record_outcome(of(&c, vec![sent], &FinishedAttempt { counted: false, ..ended("ok", T0 - 3) })).await.unwrap();
    assert_eq!(store.claim_outlet(claim("n1", T0)).await.unwrap().unwrap().sends, [T0 - 2, T0]);
}
