//! Contract of `store_message`, `begin_attempt` and `get_message`: I3, I4, I5, I6.

use super::fixtures::*;
use crate::model::{AttemptId, Recipient};
use crate::store::*;

fn begin_at(message: &NewMessage, recipient: &str) -> NewAttempt {
    NewAttempt {
        id: AttemptId::new(),
        message: message.id,
        page: 0,
        recipients: vec![Recipient::new(recipient)],
        node: "n1".into(),
        begun_at: T0,
        guard: None,
    }
}

fn invalid<T: std::fmt::Debug>(answer: Result<T, StoreError>, text: &str) {
    match answer {
        Err(StoreError::Invalid(why)) => assert!(why.contains(text), "{why}"),
        other => panic!("not refused: {other:?}"),
    }
}

pub async fn a_message_is_stored_before_it_is_sent(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (put(&store, LANE).await, put(&store, LANE).await);
    let formed = NewMessage { cells: vec![cell("x", CellState::Open), cell("y", CellState::Open)], ..message(&[a.id, b.id]) };
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    let stored = store.get_message(formed.id).await.unwrap().unwrap();
    assert_eq!((stored.kind.as_str(), stored.platform.as_str(), stored.members, stored.done), ("fold", "log", 2, false));
    assert_eq!((&stored.pages, &stored.cells), (&*formed.pages, &formed.cells));
    assert_eq!(row(&store, b.id).await.message, Some(formed.id));
    store.begin_attempt(fence, begin_at(&formed, "y")).await.unwrap();
    let stored = store.get_message(formed.id).await.unwrap().unwrap();
    assert_eq!(stored.cells.iter().map(|c| c.state).collect::<Vec<_>>(), [CellState::Open, CellState::Begun]);
    assert_eq!((stored.attempts.len(), stored.attempts[0].begun_at), (1, T0));
}

pub async fn a_lane_has_one_open_message(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (put(&store, LANE).await, put(&store, LANE).await);
    let first = message(&[a.id]);
    store.store_message(fence.clone(), first.clone()).await.unwrap();
    let second = message(&[b.id]);
    invalid(store.store_message(fence.clone(), second.clone()).await, "open");
    assert!(store.get_message(second.id).await.unwrap().is_none());
    assert_eq!(row(&store, b.id).await.message, None);
    store.record_outcome(OutcomeBatch { deliveries: vec![change(&a, State::Sent)], ..of_message(&fence, first.id, true) }).await.unwrap();
    store.store_message(fence, second).await.unwrap();
}

pub async fn members_are_a_prefix_of_their_lane(store: S) {
    let fence = fence(&store).await;
    let muted = NewDelivery { state: State::Deferred, due_at: T0 + MIN, ..delivery("ops", LANE) };
    put_one(&store, muted).await;
    let (a, b, c) = (put(&store, LANE).await, put(&store, LANE).await, put(&store, LANE).await);
    invalid(store.store_message(fence.clone(), message(&[b.id])).await, "prefix");
    invalid(store.store_message(fence.clone(), message(&[a.id, c.id])).await, "prefix");
    assert_eq!(places(&store, a.lane).await.len(), 4);
    assert!(store.list_deliveries(&DeliveryFilter { limit: 10, ..DeliveryFilter::default() }).await.unwrap().iter().all(|row| row.message.is_none()));
    store.store_message(fence.clone(), message(&[b.id, a.id])).await.unwrap();
    // A deferred one is due by itself: it may leave before those that wait for their next try.
    put(&store, "m").await;
    let muted = put_one(&store, NewDelivery { state: State::Deferred, ..delivery("ops", "m") }).await;
    store.store_message(fence, message(&[muted.id])).await.unwrap();
}

pub async fn a_message_formed_again_is_replaced(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    let mut formed = NewMessage { cells: vec![cell("x", CellState::Open), cell("y", CellState::Open)], ..message(&[a.id]) };
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    let ok = Cell { code: Some("0".into()), ..cell("x", CellState::Ok) };
    store.record_outcome(OutcomeBatch { cells: vec![ok.clone()], ..of_message(&fence, formed.id, false) }).await.unwrap();
    formed.generation = 1;
    std::sync::Arc::make_mut(&mut formed.pages)[0].fields.insert("text".into(), "plain".into());
    formed.cells.push(cell("z", CellState::Open));
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    let stored = store.get_message(formed.id).await.unwrap().unwrap();
    assert_eq!(stored.pages, *formed.pages);
    assert_eq!(stored.cells, [ok, cell("y", CellState::Open), cell("z", CellState::Open)], "a cell that is ok stays so");
    assert_eq!(store.claim_outlet(claim("n1", T0)).await.unwrap().unwrap().open[0].generation, 1);
}

pub async fn what_is_begun_is_not_rendered_anew(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    let formed = message(&[a.id]);
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    store.begin_attempt(fence.clone(), begin_at(&formed, "room")).await.unwrap();
    invalid(store.store_message(fence.clone(), NewMessage { generation: 1, pages: Default::default(), ..formed.clone() }).await, "begun");
    assert_eq!(store.get_message(formed.id).await.unwrap().unwrap().pages, *formed.pages);
    store.record_outcome(OutcomeBatch { deliveries: vec![change(&a, State::Sent)], ..of_message(&fence, formed.id, true) }).await.unwrap();
    invalid(store.store_message(fence, formed).await, "done");
}

pub async fn an_ok_cell_is_never_begun_again(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    let formed = message(&[a.id]);
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    for state in [CellState::Dead, CellState::Unknown, CellState::Ok] {
        store.record_outcome(OutcomeBatch { cells: vec![cell("room", state)], ..of_message(&fence, formed.id, false) }).await.unwrap();
        invalid(store.begin_attempt(fence.clone(), begin_at(&formed, "room")).await, "settled");
    }
    invalid(store.begin_attempt(fence, begin_at(&formed, "nobody")).await, "never formed");
    assert!(store.get_message(formed.id).await.unwrap().unwrap().attempts.is_empty(), "a refused beginning leaves no attempt");
}

pub async fn final_deliveries_join_nothing(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (put(&store, LANE).await, put(&store, LANE).await);
    kill(&store, &fence, &a, T0).await;
    let formed = message(&[a.id, b.id]);
    invalid(store.store_message(fence, formed.clone()).await, "final");
    assert!(store.get_message(formed.id).await.unwrap().is_none());
    assert_eq!(ready(&store).await.len(), 1, "the lane is still free");
}
