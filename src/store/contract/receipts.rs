//! Contract of `due_receipts`, `find_receipt`, `sent_deliveries` and `update_receipt`, and of what outcomes, renames and purges do with receipts.

use super::fixtures::*;
use crate::model::{AttemptId, MessageId, Recipient, UnixMs};
use crate::store::*;

fn new_receipt(recipient: &str, id: &str, due_at: UnixMs) -> NewReceipt {
    NewReceipt {
        page: 0,
        recipient: Recipient::new(recipient),
        channel: "ops".into(),
        platform_id: id.into(),
        sent_at: T0,
        due_at,
        until: T0 + 15 * MIN,
    }
}

/// Sends a delivery whose vendor will say more of each of these recipients.
async fn send(store: &S, fence: &Fence, delivery: &AcceptedDelivery, receipts: Vec<NewReceipt>) -> MessageId {
    let message = message(&[delivery.id]);
    let id = message.id;
    let mut s =
        OutcomeBatch { attempt: Some(ended("ok", T0)), deliveries: vec![change(delivery, State::Sent)], ..with_message(fence, message, true) };
    s.message.as_mut().unwrap().receipts = receipts;
    store.record_outcome(s).await.unwrap();
    id
}

fn heard(message: MessageId, recipient: &str, news: ReceiptChange) -> ReceiptUpdate {
    ReceiptUpdate { message, page: 0, recipient: Recipient::new(recipient), news, children: Vec::new(), now: T0 + MIN }
}

fn last(state: ReceiptState) -> ReceiptChange {
    ReceiptChange::Final { state, code: Some("busy".into()), detail: "the line was busy".into() }
}

async fn due(store: &S, now: UnixMs) -> Vec<String> {
    store.due_receipts(now, 100).await.unwrap().into_iter().map(|row| row.platform_id).collect()
}

pub async fn receipts_are_due_in_their_order_and_heard_once(store: S) {
    let fence = fence(&store).await;
    let d = put(&store, LANE).await;
    let message = send(&store, &fence, &d, vec![new_receipt("+1", "CA1", T0 + 20), new_receipt("+2", "CA2", T0 + 10)]).await;
    assert!(due(&store, T0 + 9).await.is_empty());
    assert_eq!(due(&store, T0 + 20).await, ["CA2", "CA1"]);
    assert_eq!(store.due_receipts(T0 + 20, 1).await.unwrap().len(), 1);
    let row = store.find_receipt(&["ops".into()], "CA1").await.unwrap().unwrap();
    assert_eq!((row.message, row.state, row.due_at, row.until, row.asked), (message, ReceiptState::Awaited, Some(T0 + 20), T0 + 15 * MIN, 0));
    let of_either = store.find_receipt(&["dba".into(), "ops".into()], "CA1").await.unwrap().unwrap();
    assert_eq!((of_either.message, of_either.channel.as_str()), (message, "ops"));
    for (channels, id) in [(vec!["dba".to_owned()], "CA1"), (vec!["ops".to_owned()], "CA"), (Vec::new(), "CA1")] {
        assert!(store.find_receipt(&channels, id).await.unwrap().is_none(), "{id} of {channels:?}");
    }
    assert_eq!(store.update_receipt(heard(message, "+1", ReceiptChange::Later { due_at: T0 + MIN })).await.unwrap(), Some(Vec::new()));
    assert_eq!(due(&store, T0 + MIN - 1).await, ["CA2"]);
    assert_eq!(store.update_receipt(heard(message, "+1", last(ReceiptState::Undelivered))).await.unwrap(), Some(Vec::new()));
    for news in [last(ReceiptState::Delivered), ReceiptChange::Later { due_at: T0 }] {
        assert_eq!(store.update_receipt(heard(message, "+1", news)).await.unwrap(), None, "a last word is the last");
    }
    assert_eq!(store.update_receipt(heard(message, "+9", last(ReceiptState::Delivered))).await.unwrap(), None, "nobody waits for it");
    assert_eq!(due(&store, T0 + 99 * MIN).await, ["CA2"]);
    let found = store.find_receipt(&["ops".into()], "CA1").await.unwrap().unwrap();
    assert_eq!((found.state, found.due_at), (ReceiptState::Undelivered, None), "also what is final");
    let shown = store.get_delivery(d.id).await.unwrap().unwrap();
    assert_eq!(shown.row.state, State::Sent, "sent stays sent");
    let first = &shown.message.unwrap().receipts[0];
    assert_eq!((first.state, first.asked, first.heard_at, first.due_at), (ReceiptState::Undelivered, 2, Some(T0 + MIN), None));
    assert_eq!((first.code.as_deref(), first.detail.as_deref()), (Some("busy"), Some("the line was busy")));
}

pub async fn what_arrived_or_may_arrive_is_listed_by_its_number_and_channels(store: S) {
    let fence = fence(&store).await;
    let mut messages = Vec::new();
    for (lane, id) in [(LANE, "SM1"), ("second", "SM2"), ("third", "SM3"), ("fourth", "SM4")] {
        let d = put(&store, lane).await;
        messages.push(send(&store, &fence, &d, vec![new_receipt("+1", id, T0)]).await);
    }
    let d = put(&store, "fifth").await;
    send(&store, &fence, &d, vec![NewReceipt { channel: "dba".into(), ..new_receipt("+1", "SM5", T0) }, new_receipt("+2", "SM6", T0)]).await;
    for (place, state) in [(1, ReceiptState::Delivered), (2, ReceiptState::Undelivered), (3, ReceiptState::Unheard)] {
        store.update_receipt(heard(messages[place], "+1", last(state))).await.unwrap();
    }
    let to = async |number: &str, channels: &[&str], limit: usize| {
        let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
        let rows = store.receipts_to(&Recipient::new(number), &channels, limit).await.unwrap();
        rows.into_iter().map(|row| row.platform_id).collect::<Vec<_>>()
    };
    assert_eq!(to("+1", &["ops"], 9).await, ["SM2", "SM1"], "the newest first, without what did not arrive");
    assert_eq!(to("+1", &["ops", "dba"], 9).await, ["SM5", "SM2", "SM1"]);
    assert_eq!(to("+1", &["ops"], 1).await, ["SM2"], "the limit counts what the channels sent");
    assert!(to("+1", &[], 9).await.is_empty() && to("+9", &["ops"], 9).await.is_empty());
    let sent = async |number: &str, channels: &[&str], limit: usize| {
        let channels: Vec<String> = channels.iter().map(ToString::to_string).collect();
        store.sent_to(&Recipient::new(number), &outlet(), &channels, T0 - MIN, limit).await.unwrap()
    };
    let d = put(&store, "sixth").await;
    send(&store, &fence, &d, vec![NewReceipt { sent_at: T0 + MIN, ..new_receipt("+1", "SM7", T0) }]).await;
    let d = put(&store, "seventh").await;
    send(&store, &fence, &d, vec![NewReceipt { sent_at: T0 - MIN, ..new_receipt("+1", "SM8", T0) }]).await;
    assert_eq!(sent("+1", &["ops"], 9).await, [T0 + MIN, T0, T0, T0, T0, T0 - MIN], "by its time, also what did not arrive");
    assert_eq!(sent("+1", &["ops", "dba"], 2).await, [T0 + MIN, T0]);
    assert!(sent("+1", &["other"], 9).await.is_empty() && sent("+9", &["ops"], 9).await.is_empty());
    let later = store.sent_to(&Recipient::new("+1"), &outlet(), &["ops".into()], T0 + 1, 9).await.unwrap();
    assert_eq!(later, [T0 + MIN], "what was sent before counts no more");
}

/// A message in a lane of its own, whose attempt was begun.
async fn begun(store: &S, fence: &Fence, lane: &str, at: UnixMs) -> (AcceptedDelivery, NewAttempt) {
    let delivery = put(store, lane).await;
    let formed = message(&[delivery.id]);
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    let recipients = vec![formed.cells[0].recipient.clone()];
    let attempt = NewAttempt { id: AttemptId::new(), message: formed.id, page: 0, recipients, node: "n1".into(), begun_at: at, guard: None };
    store.begin_attempt(fence.clone(), attempt.clone()).await.unwrap();
    (delivery, attempt)
}

pub async fn what_nobody_knows_the_outcome_of_counts_as_sent_once(store: S) {
    let fence = fence(&store).await;
    let sent = async |since: UnixMs| store.sent_to(&Recipient::new("room"), &outlet(), &["ops".into()], since, 9).await.unwrap();
    let (delivery, first) = begun(&store, &fence, LANE, T0).await;
    assert!(sent(T0 - MIN).await.is_empty(), "it is on its way");
    // It was refused for its rate first, and then never answered.
    let refused = FinishedAttempt { id: first.id, ..ended("rate_limited", T0) };
    let open = OutcomeBatch { attempt: Some(refused), cells: vec![cell("room", CellState::Open)], ..of_message(&fence, first.message, false) };
    store.record_outcome(open).await.unwrap();
    assert!(sent(T0 - MIN).await.is_empty(), "it was refused");
    let again = NewAttempt { id: AttemptId::new(), begun_at: T0 + 10, ..first.clone() };
    store.begin_attempt(fence.clone(), again.clone()).await.unwrap();
    let lost = FinishedAttempt { id: again.id, ..ended("ambiguous", T0 + 10) };
    let deliveries = vec![change(&delivery, State::Unknown)];
    let cells = vec![cell("room", CellState::Unknown)];
    store.record_outcome(OutcomeBatch { attempt: Some(lost), cells, deliveries, ..of_message(&fence, first.message, true) }).await.unwrap();
    assert_eq!((sent(T0 - MIN).await, sent(T0 + 11).await), (vec![T0 + 10], Vec::new()));
    // One whose process died.
    begun(&store, &fence, "second", T0 + MIN).await;
    assert_eq!(sent(T0 - MIN).await, [T0 + 10]);
    store.claim_outlet(claim("n1", T0 + 2 * MIN)).await.unwrap().expect("it is the same node's");
    assert_eq!(sent(T0 - MIN).await, [T0 + MIN, T0 + 10]);
    let other = store.sent_to(&Recipient::new("room"), &outlet(), &["dba".into()], T0 - MIN, 9).await.unwrap();
    assert!(other.is_empty(), "another channel sent nothing");
}

pub async fn an_undelivered_one_makes_its_fallback_once(store: S) {
    let fence = fence(&store).await;
    let d = put(&store, LANE).await;
    let message = send(&store, &fence, &d, vec![new_receipt("+1", "CA1", T0), new_receipt("+2", "CA2", T0), new_receipt("+3", "CA3", T0)]).await;
    let carried = store.sent_deliveries(message).await.unwrap();
    assert_eq!(carried.iter().map(|c| (c.delivery.id, c.over)).collect::<Vec<_>>(), [(d.id, false)]);
    let child = || {
        let delivery = NewDelivery { fallback: Fallback { of: Some(d.id), depth: 1 }, ..delivery("sms", "fallback:1") };
        FallbackChild { event: carried[0].delivery.event_id, delivery }
    };
    let with_child = |recipient| ReceiptUpdate { children: vec![child()], ..heard(message, recipient, last(ReceiptState::Undelivered)) };
    let (a, b) = tokio::join!(store.update_receipt(with_child("+1")), store.update_receipt(with_child("+1")));
    let made: Vec<_> = [a, b].into_iter().filter_map(|made| made.unwrap()).collect();
    assert_eq!(made.iter().map(Vec::len).collect::<Vec<_>>(), [1], "one of two that heard the same writes it, with the child");
    assert_eq!(store.update_receipt(with_child("+2")).await.unwrap(), Some(Vec::new()), "the origin has its fallback already");
    let children = store.get_delivery(d.id).await.unwrap().unwrap().children;
    assert_eq!(children.iter().map(|c| (c.channel.as_str(), c.state)).collect::<Vec<_>>(), [("sms", State::Waiting)]);
    // What cannot be born takes its receipt along: both or none.
    let mut bad = with_child("+3");
    bad.children[0].delivery.state = State::Sent;
    assert!(store.update_receipt(bad).await.is_err());
    assert_eq!(due(&store, T0).await, ["CA3"]);
}

pub async fn what_is_over_is_known_by_its_first_lane(store: S) {
    let fence = fence(&store).await;
    let d = put(&store, LANE).await;
    let message = send(&store, &fence, &d, vec![new_receipt("+1", "CA1", T0)]).await;
    // Its fallback, in a lane of its own.
    let event = row(&store, d.id).await.event;
    let child = FallbackChild { event, delivery: NewDelivery { fallback: Fallback { of: Some(d.id), depth: 1 }, ..delivery("sms", "fallback:1") } };
    let made = store
        .update_receipt(ReceiptUpdate { children: vec![child], ..heard(message, "+1", last(ReceiptState::Undelivered)) })
        .await
        .unwrap()
        .unwrap();
    let fallback = send(&store, &fence, &made[0], vec![new_receipt("+2", "SM1", T0)]).await;
    assert!(!store.sent_deliveries(fallback).await.unwrap()[0].over);
    let resolved = NewDelivery { summary: over(), state: State::Skipped, reason: Some("resolved".into()), ..delivery("ops", LANE) };
    put_one(&store, resolved).await;
    assert!(store.sent_deliveries(message).await.unwrap()[0].over, "the newest of the lane fires no more");
    assert!(store.sent_deliveries(fallback).await.unwrap()[0].over, "and so is what it fell back to");
    put(&store, LANE).await;
    assert!(!store.sent_deliveries(message).await.unwrap()[0].over, "it fires again");
    let direct = put_one(&store, NewDelivery { mode: Mode::Direct, ..delivery("ops", "direct") }).await;
    let direct = send(&store, &fence, &direct, Vec::new()).await;
    assert!(store.sent_deliveries(direct).await.unwrap().is_empty(), "the caller of a direct send has its answer");
}

pub async fn receipts_follow_their_channel_and_leave_with_their_message(store: S) {
    let fence = fence(&store).await;
    let d = put(&store, LANE).await;
    send(&store, &fence, &d, vec![new_receipt("+1", "CA1", T0)]).await;
    store.relocate("ops", &to_channel("night", &outlet())).await.unwrap();
    assert_eq!(store.due_receipts(T0, 9).await.unwrap()[0].channel, "night");
    assert!(store.find_receipt(&["night".into()], "CA1").await.unwrap().is_some());
    let all =
        Retention { sent_before: T0 + 99 * MIN, presses_before: T0 + 99 * MIN, audit_rows: 100, dead_before: T0 + 99 * MIN, open_incidents: true };
    assert_eq!(store.purge(all, 9).await.unwrap(), 1);
    assert!(due(&store, T0 + 99 * MIN).await.is_empty());
}
