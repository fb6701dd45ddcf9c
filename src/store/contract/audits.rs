//! Contract of the audit and of logins.

use uuid::Uuid;

use super::fixtures::*;
use crate::model::UnixMs;
use crate::store::*;

fn row(act: &str, at: UnixMs) -> AuditRow {
    AuditRow {
        id: Uuid::now_v7(),
        at,
        by: Author { name: "ann".into(), via: "console".into(), from: "192.0.2.7".into() },
        act: act.into(),
        on: "incident #7".into(),
        reason: "100%_sure".into(),
        state: AuditState::Begun,
        outcome: String::new(),
    }
}

async fn list(store: &S, text: Option<&str>, before: Option<Uuid>, limit: usize) -> Vec<AuditRow> {
    store.list_audit(&AuditFilter { text: text.map(str::to_owned), before, limit, ..AuditFilter::default() }).await.unwrap()
}

pub async fn an_act_is_recorded_before_and_after_it_is_done(store: S) {
    let act = row("ack", T0);
    store.record_audit(act.clone()).await.unwrap();
    assert_eq!(list(&store, None, None, 9).await, std::slice::from_ref(&act), "what was cut off stays as begun");
    store.end_audit(act.id, AuditState::Done, "acked").await.unwrap();
    store.end_audit(act.id, AuditState::Failed, "too late").await.unwrap();
    let done = AuditRow { state: AuditState::Done, outcome: "acked".into(), ..act };
    assert_eq!(list(&store, None, None, 9).await, std::slice::from_ref(&done), "an end is the end");
    assert!(store.record_audit(done).await.is_err(), "one act is one row");
    let odd = AuditRow { on: format!("\0{}", "x".repeat(5000)), ..row("drop", T0 + 1) };
    store.record_audit(odd).await.unwrap();
    let on = &list(&store, None, None, 1).await[0].on;
    assert!(on.starts_with(['\0', '\u{FFFD}']) && on.chars().count() == 2000, "bounded: {} characters", on.chars().count());
    // A year later the old ones go.
    store.record_audit(row("mute", T0 + 367 * 86_400_000)).await.unwrap();
    assert_eq!(list(&store, None, None, 9).await.iter().map(|row| row.act.as_str()).collect::<Vec<_>>(), ["mute"]);
}

pub async fn acts_are_listed_by_page_and_text(store: S) {
    for n in 0..5 {
        store.record_audit(row(if n % 2 == 0 { "retry" } else { "mute" }, T0 + n)).await.unwrap();
    }
    let first = list(&store, None, None, 3).await;
    let second = list(&store, None, Some(first[2].id), 3).await;
    let at: Vec<i64> = first.iter().chain(&second).map(|row| row.at - T0).collect();
    assert_eq!(at, [4, 3, 2, 1, 0], "newest first, none twice");
    for (text, found) in [("RETRY", 3), ("ann", 5), ("#7", 5), ("0%_s", 5), ("0_s", 0), ("nobody", 0)] {
        assert_eq!(list(&store, Some(text), None, 9).await.len(), found, "{text}");
    }
    let by = Author { name: "root as Bob_ü".into(), via: "API".into(), from: String::new() };
    store.record_audit(AuditRow { by, ..row("retry", T0 + 9) }).await.unwrap();
    for (person, text, found) in [
        ("ANN", None, 5),
        ("an", None, 0),
        ("bob_ü", None, 1),
        ("root", None, 1),
        ("root as", None, 1),
        ("oot", None, 0),
        ("bobxü", None, 0),
        ("ann", Some("mute"), 2),
        ("", None, 0),
    ] {
        let filter = AuditFilter { person: Some(person.into()), text: text.map(str::to_owned), limit: 9, ..AuditFilter::default() };
        assert_eq!(store.list_audit(&filter).await.unwrap().len(), found, "{person} {text:?}");
    }
}

pub async fn a_search_goes_no_further_back_than_asked(store: S) {
    for n in 0..4 {
        store.record_audit(row("retry", T0 + n)).await.unwrap();
    }
    let all = list(&store, None, None, 9).await;
    let filter = AuditFilter { text: Some("retry".into()), before: Some(all[0].id), after: Some(all[2].id), limit: 9, ..AuditFilter::default() };
    assert_eq!(store.list_audit(&filter).await.unwrap(), all[1..3]);
}

pub async fn logins_end_by_time_and_by_hand(store: S) {
    let login = |n: u8, at: UnixMs| Session {
        key: [n; 32],
        credential: "ann".into(),
        seal: [n + 100; 32],
        from: "192.0.2.7".into(),
        opened_at: at,
        seen_at: at,
    };
    let first = login(1, T0);
    store.open_session(first.clone()).await.unwrap();
    assert_eq!(store.session([1; 32]).await.unwrap(), Some(first));
    assert_eq!(store.session([2; 32]).await.unwrap(), None);
    let later = T0 + 11 * 60 * MIN;
    store.touch_session([1; 32], later).await.unwrap();
    store.touch_session([1; 32], T0).await.unwrap();
    assert_eq!(store.session([1; 32]).await.unwrap().unwrap().seen_at, later, "a clock that lags ends nothing");
    store.open_session(login(2, T0 + 22 * 60 * MIN)).await.unwrap();
    let keys = async |now| store.list_sessions(now).await.unwrap().iter().map(|session| session.key[0]).collect::<Vec<_>>();
    assert_eq!(keys(T0 + 22 * 60 * MIN).await, [2, 1]);
    assert_eq!(keys(T0 + 23 * 60 * MIN).await, [2], "idle for 12 hours");
    store.open_session(login(3, T0 + 23 * 60 * MIN)).await.unwrap();
    assert_eq!(store.session([1; 32]).await.unwrap(), None, "what ended goes with the next login");
    assert!(store.end_session([2; 32]).await.unwrap() && !store.end_session([2; 32]).await.unwrap());
    assert_eq!(keys(T0 + 23 * 60 * MIN).await, [3]);
    let alive = store.session([3; 32]).await.unwrap().unwrap();
    let used = Session { seen_at: T0 + 8 * 24 * 60 * MIN, ..alive };
    assert!(!used.is_alive(used.seen_at), "a week is the most");
}

pub async fn a_purge_leaves_the_newest_acts(store: S) {
    for n in 0..5 {
        store.record_audit(row("retry", T0 + n)).await.unwrap();
    }
    let keep = Retention { sent_before: T0, dead_before: T0, presses_before: T0, audit_rows: 2, open_incidents: true };
    store.purge(keep, 100).await.unwrap();
    let at: Vec<i64> = list(&store, None, None, 9).await.iter().map(|row| row.at - T0).collect();
    assert_eq!(at, [4, 3]);
    store.purge(keep, 100).await.unwrap();
    assert_eq!(list(&store, None, None, 9).await.len(), 2, "and no more");
}

pub async fn refusals_push_no_act_out_of_the_audit(store: S) {
    for n in 0..2 {
        store.record_audit(row("ack", T0 + n)).await.unwrap();
    }
    for n in 2..8 {
        store.record_audit(AuditRow { state: AuditState::Refused, ..row("log in", T0 + n) }).await.unwrap();
    }
    let keep = Retention { sent_before: T0, dead_before: T0, presses_before: T0, audit_rows: 4, open_incidents: true };
    store.purge(keep, 100).await.unwrap();
    let at: Vec<i64> = list(&store, None, None, 9).await.iter().map(|row| row.at - T0).collect();
    assert_eq!(at, [7, 6, 1, 0]);
}
