//! Contract of what people read: `list_deliveries`, `get_delivery`, `list_events`, `get_event`, `get_message`, `reach` and `stats`.

use super::fixtures::*;
use crate::model::{DeliveryId, EventId, MessageId, PlatformIds};
use crate::store::*;

fn filter() -> DeliveryFilter {
    DeliveryFilter { limit: 100, ..DeliveryFilter::default() }
}

pub async fn a_page_follows_its_cursor(store: S) {
    let mut ids = Vec::new();
    for n in 0..25 {
        ids.push(put(&store, &format!("lane {}", n % 4)).await.id);
    }
    ids.reverse();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store.list_deliveries(&DeliveryFilter { before, limit: 7, ..filter() }).await.unwrap();
        before = page.last().map(|row| row.id);
        seen.extend(page.iter().map(|row| row.id));
        if page.len() < 7 {
            break;
        }
        // What arrives between two pages belongs before the first.
        put(&store, "late").await;
    }
    assert_eq!(seen, ids, "newest first, none twice, none left out");
    let after = store.list_deliveries(&DeliveryFilter { after: Some(ids[2]), before: Some(ids[0]), ..filter() }).await.unwrap();
    assert_eq!(after.iter().map(|row| row.id).collect::<Vec<_>>(), ids[1..3], "no further back than that");
    assert!(store.list_deliveries(&DeliveryFilter { limit: 0, ..filter() }).await.unwrap().is_empty());
}

pub async fn events_are_listed(store: S) {
    let mut ids = Vec::new();
    for n in 0..5 {
        put(&store, LANE).await;
        let mut bare = event(Vec::new());
        bare.note = Some("no route of the plan leads to a channel".into());
        if n % 2 == 0 {
            std::sync::Arc::make_mut(&mut bare.event).source = "grafana:x".into();
        }
        ids.push(bare.id);
        store.accept(bare).await.unwrap();
    }
    ids.reverse();
    let list = async |filter: EventFilter| store.list_events(&filter).await.unwrap();
    let all = list(EventFilter { limit: 100, ..EventFilter::default() }).await;
    assert_eq!((all.len(), all[0].id, all[0].note.is_some()), (10, ids[0], true));
    let bare: Vec<EventId> = list(EventFilter { bare: true, limit: 100, ..EventFilter::default() }).await.iter().map(|row| row.id).collect();
    assert_eq!(bare, ids);
    let next = list(EventFilter { bare: true, before: Some(ids[1]), limit: 2, ..EventFilter::default() }).await;
    assert_eq!(next.iter().map(|row| row.id).collect::<Vec<_>>(), ids[2..4]);
    let bounds = EventFilter { bare: true, after: Some(ids[2]), before: Some(ids[0]), limit: 100, ..EventFilter::default() };
    assert_eq!(list(bounds).await.iter().map(|row| row.id).collect::<Vec<_>>(), ids[1..3], "no further back than that");
    let ahead = EventId(uuid::Uuid::from_u128(ids[0].0.as_u128() + 1));
    assert!(list(EventFilter { after: Some(ahead), limit: 100, ..EventFilter::default() }).await.is_empty());
    let grafana = list(EventFilter { source: Some("grafana:x".into()), limit: 100, ..EventFilter::default() }).await;
    assert_eq!((grafana.len(), grafana.iter().all(|row| row.source == "grafana:x")), (3, true));
}

pub async fn a_search_reaches_back_by_rows(store: S) {
    let (mut deliveries, mut acts) = (Vec::new(), Vec::new());
    for n in 0..4 {
        deliveries.push(put(&store, &format!("lane {n}")).await.id.0);
        let bare = NewEvent { note: Some("no route of the plan leads to a channel".into()), ..event(Vec::new()) };
        store.accept(bare).await.unwrap();
        let (id, by) = (uuid::Uuid::now_v7(), Author::default());
        let (act, on, reason, outcome) = ("retry".into(), String::new(), String::new(), String::new());
        store.record_audit(AuditRow { id, at: T0, by, act, on, reason, state: AuditState::Done, outcome }).await.unwrap();
        acts.push(id);
    }
    // Each delivery has an event of its own.
    let all = store.list_events(&EventFilter { limit: 100, ..EventFilter::default() }).await.unwrap();
    let mut every: Vec<uuid::Uuid> = all.iter().map(|row| row.id.0).collect();
    every.reverse();
    assert_eq!(every.len(), 8);
    for (of, ids) in [(Listed::Deliveries, &deliveries), (Listed::Events, &every), (Listed::Audit, &acts)] {
        let n = ids.len();
        assert_eq!(store.reach(of, None, 1).await.unwrap(), Some(ids[n - 1]), "{of:?}");
        assert_eq!(store.reach(of, None, n).await.unwrap(), Some(ids[0]), "{of:?}");
        assert_eq!(store.reach(of, None, n + 1).await.unwrap(), None, "{of:?}: there are not so many");
        assert_eq!(store.reach(of, Some(ids[3]), 2).await.unwrap(), Some(ids[1]), "{of:?}");
        assert_eq!(store.reach(of, Some(ids[0]), 1).await.unwrap(), None, "{of:?}");
        assert_eq!(store.reach(of, Some(ids[0]), 0).await.unwrap(), Some(ids[0]), "{of:?}");
    }
    let (before, after) = (Some(EventId(every[6])), Some(EventId(every[4])));
    let some = store.list_events(&EventFilter { before, after, limit: 9, ..EventFilter::default() }).await.unwrap();
    assert_eq!(some.iter().map(|row| row.id.0).collect::<Vec<_>>(), [every[5], every[4]], "no further back than that");
}

pub async fn messages_are_listed_by_a_range_of_ids(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (put(&store, "a").await, put(&store, "b").await);
    let (first, second) = (deliver(&store, &fence, &[&a], T0).await, deliver(&store, &fence, &[&b], T0).await);
    let after = MessageId(uuid::Uuid::from_u128(second.0.as_u128() + 1));
    assert_eq!(store.list_message_ids(first..after).await.unwrap(), [first, second]);
    assert_eq!(store.list_message_ids(first..second).await.unwrap(), [first], "the end is left out");
    assert_eq!(store.list_message_ids(after..after).await.unwrap(), []);
}

pub async fn every_filter_narrows(store: S) {
    let fence = fence(&store).await;
    let titled = |channel: &str, title: &str, born: i64| NewDelivery {
        summary: Summary { title: title.into(), ..over() },
        born_at: T0 + born,
        ..delivery(channel, LANE)
    };
    let sent = put_one(&store, titled("ops", "Disk 100% full", 0)).await;
    let dead = put_one(&store, titled("ops", "CPU hot", 10)).await;
    let waits = put_one(&store, titled("dba", "disk_slow", 20)).await;
    let muted = put_one(&store, NewDelivery { state: State::Deferred, ..titled("dba", "Replica late", 30) }).await;
    let message = deliver(&store, &fence, &[&sent], T0).await;
    kill(&store, &fence, &dead, T0).await;
    let event = row(&store, waits.id).await.event;
    let text = |text: &str| DeliveryFilter { text: Some(text.into()), ..filter() };
    let states = |states: &[State]| DeliveryFilter { states: states.to_vec(), ..filter() };
    let channel = |name: &str| DeliveryFilter { channels: vec![name.into(), "none".into()], ..filter() };
    let cases = [
        (filter(), vec![&muted, &waits, &dead, &sent]),
        (channel("ops"), vec![&dead, &sent]),
        (channel("nobody"), vec![]),
        (states(&[State::Dead]), vec![&dead]),
        (states(&[State::Waiting, State::Deferred]), vec![&muted, &waits]),
        (states(&[State::Deferred]), vec![&muted]),
        (states(&[State::Sent, State::Waiting]), vec![&waits, &sent]),
        (DeliveryFilter { states: vec![State::Dead], ..channel("ops") }, vec![&dead]),
        (DeliveryFilter { states: vec![State::Dead], ..channel("dba") }, vec![]),
        (DeliveryFilter { since: Some(T0 + 20), ..filter() }, vec![&muted, &waits]),
        (text("DISK"), vec![&waits, &sent]),
        (text("100%"), vec![&sent]),
        (text("k_s"), vec![&waits]),
        (text("refused"), vec![&dead]),
        (text("\\"), vec![]),
        (text(""), vec![&muted, &waits, &dead, &sent]),
        (DeliveryFilter { event: Some(event), ..filter() }, vec![&waits]),
        (DeliveryFilter { message: Some(message), ..filter() }, vec![&sent]),
        (DeliveryFilter { message: Some(message), states: vec![State::Dead], ..filter() }, vec![]),
        (DeliveryFilter { before: Some(dead.id), ..filter() }, vec![&sent]),
        (DeliveryFilter { before: Some(muted.id), states: vec![State::Waiting], ..text("slow") }, vec![&waits]),
    ];
    for (filter, expected) in cases {
        let found: Vec<DeliveryId> = store.list_deliveries(&filter).await.unwrap().iter().map(|row| row.id).collect();
        assert_eq!(found, expected.iter().map(|d| d.id).collect::<Vec<_>>(), "{filter:?}");
    }
}

pub async fn a_delivery_is_shown_with_all_of_it(store: S) {
    let fence = fence(&store).await;
    let new = event(vec![delivery("ops", LANE), delivery("dba", LANE)]);
    let accepted = store.accept(new.clone()).await.unwrap();
    let d = &accepted.deliveries[0];
    let id = deliver(&store, &fence, &[d], T0).await;
    let detail = store.get_delivery(d.id).await.unwrap().unwrap();
    assert_eq!((detail.row.id, detail.event.id, detail.target), (d.id, new.id, new.deliveries[0].target.clone()));
    assert_eq!(*detail.event.event, *new.event);
    let message = detail.message.unwrap();
    assert_eq!((message.id, message.channel.as_str(), message.template.as_str(), message.cells.len()), (id, "ops", "default", 1));
    let EventDetail { deliveries: rows, .. } = store.get_event(new.id).await.unwrap().unwrap();
    assert_eq!(rows.len(), 2);
}

pub async fn the_last_confirmed_message_of_a_lane_is_known_for_each_recipient(store: S) {
    let fence = fence(&store).await;
    let confirmed = async |id: DeliveryId| {
        let all = store.get_delivery(id).await.unwrap().unwrap().confirmed;
        all.into_iter().map(|of| (of.recipient.expose().to_owned(), of.message, of.ids.to_stored())).collect::<Vec<_>>()
    };
    let send = async |d: &AcceptedDelivery, cells: Vec<Cell>| {
        let id = MessageId::new();
        let mut s = with_message(&fence, NewMessage { id, cells, ..message(&[d.id]) }, true);
        s.deliveries = vec![change(d, State::Sent)];
        store.record_outcome(s).await.unwrap();
        id
    };
    let ok = |to: &str, ts: &str| Cell { ids: PlatformIds::one("channel", to.to_owned()).and("ts", ts.to_owned()), ..cell(to, CellState::Ok) };
    let first = put(&store, LANE).await;
    assert!(confirmed(first.id).await.is_empty(), "nothing was sent");
    let one = send(&first, vec![ok("C1", "1.1"), ok("C2", "1.2")]).await;
    let second = put(&store, LANE).await;
    let two = send(&second, vec![ok("C1", "2.1"), cell("C2", CellState::Dead), cell("C3", CellState::Ok)]).await;
    // Nothing of it fired, and it is no message to come back to.
    let over = put_one(&store, NewDelivery { summary: over(), ..delivery("ops", LANE) }).await;
    send(&over, vec![ok("C1", "3.1")]).await;
    let other = put(&store, "other").await;
    send(&other, vec![ok("C4", "4.1")]).await;
    let mut found = confirmed(over.id).await;
    found.sort();
    let ids = |to: &str, ts: &str| Some(format!(r#"{{"channel":"{to}","ts":"{ts}"}}"#));
    assert_eq!(found, [("C1".to_owned(), two, ids("C1", "2.1")), ("C2".to_owned(), one, ids("C2", "1.2")), ("C3".to_owned(), two, None)]);
    assert_eq!(confirmed(first.id).await.len(), 3, "it is the lane's, whichever delivery is asked for");
}

pub async fn counts_are_right(store: S) {
    let fence = fence(&store).await;
    let old = put_one(&store, NewDelivery { born_at: T0 - MIN, ..delivery("ops", "a") }).await;
    put(&store, "b").await;
    // What is muted is no backlog, however old it is.
    let muted =
        |channel: &str, lane: &str| NewDelivery { state: State::Deferred, born_at: T0 - 9 * MIN, due_at: T0 + MIN, ..delivery(channel, lane) };
    put_one(&store, muted("ops", "b")).await;
    put_one(&store, muted("dev", "a")).await;
    put_one(&store, delivery("dba", "a")).await;
    let dead = put_one(&store, delivery("dba", "b")).await;
    kill(&store, &fence, &dead, T0).await;
    store.store_message(fence.clone(), message(&[old.id])).await.unwrap();
    let stats = store.stats().await.unwrap();
    let mut open = stats.open.clone();
    open.sort();
    let count = |channel: &str, state, n| (channel.to_owned(), state, n);
    let wanted =
        [count("dba", State::Waiting, 1), count("dev", State::Deferred, 1), count("ops", State::Waiting, 2), count("ops", State::Deferred, 1)];
    assert_eq!(open, wanted);
    assert_eq!(stats.dead, [("dba".to_owned(), 1)]);
    assert_eq!(stats.oldest, [("dba".to_owned(), T0), ("dev".to_owned(), T0 + MIN), ("ops".to_owned(), T0 - MIN)]);
    assert_eq!(stats.outlets.iter().map(|o| o.key.clone()).collect::<Vec<_>>(), [outlet()]);
}

pub async fn the_last_confirmed_ones_are_known_by_channel(store: S) {
    let fence = fence(&store).await;
    assert!(store.last_sent(9).await.unwrap().is_empty());
    let first = put_one(&store, delivery("ops", "a")).await;
    let second = put_one(&store, delivery("ops", "b")).await;
    let other = put_one(&store, delivery("dba", "c")).await;
    let dead = put_one(&store, delivery("dba", "d")).await;
    put_one(&store, delivery("dev", "e")).await;
    for (sent, at) in [(&first, T0), (&other, T0 + MIN), (&second, T0 + 2 * MIN)] {
        deliver(&store, &fence, &[sent], at).await;
    }
    kill(&store, &fence, &dead, T0 + 3 * MIN).await;
    let sent = |channel: &str, at| (channel.to_owned(), at);
    assert_eq!(store.last_sent(9).await.unwrap(), [sent("dba", T0 + MIN), sent("ops", T0 + 2 * MIN)], "what died or waits was not confirmed");
    assert_eq!(store.last_sent(2).await.unwrap(), [sent("ops", T0 + 2 * MIN)], "no further back than that");
}

pub async fn unknown_ids_are_not_found(store: S) {
    assert!(store.get_delivery(DeliveryId::new()).await.unwrap().is_none());
    assert!(store.get_event(EventId::new()).await.unwrap().is_none());
    assert!(store.get_message(MessageId::new()).await.unwrap().is_none());
}
