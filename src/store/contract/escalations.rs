//! Contract of escalations that begin again though their incident went on.

use super::fixtures::*;
use super::steps::{accept, escalating, steps};
use crate::model::{IncidentId, Verb};
use crate::store::*;

pub async fn what_joined_an_ack_is_escalated_once_all_that_was_acked_is_over(store: S) {
    let first = accept(&store, escalating(&[(1, true)], &[5], T0)).await;
    let id = first.deliveries[0].incident.unwrap();
    store.act(press(Verb::Ack, "1", id, T0 + MIN)).await.unwrap();
    let reported = async |alerts: &[(u64, bool)], minute: i64| accept(&store, escalating(alerts, &[5], T0 + minute * MIN)).await.steps.len();
    assert_eq!(reported(&[(1, true), (2, true)], 2).await, 0, "somebody is on the incident");
    assert_eq!(reported(&[(1, false), (2, true)], 3).await, 1, "nobody is on what is left");
    assert_eq!(reported(&[(2, true)], 4).await, 0, "once");
    assert_eq!(steps(&store, id).await, [(1, State::Skipped), (1, State::Deferred)]);
    let kinds: Vec<_> = incident(&store, id).await.timeline.into_iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [TimelineKind::Acked, TimelineKind::Unacked]);
}

/// The alert 1 is another team's: the escalation is for the others.
pub async fn who_is_on_what_is_routed_elsewhere_is_on_nothing_of_an_escalation(store: S) {
    let reported = async |alerts: &[(u64, bool)], own: &[u32], minute: i64| {
        let mut event = escalating(alerts, &[5], T0 + minute * MIN);
        event.steps.iter_mut().for_each(|step| step.target.alerts = own.to_vec());
        accept(&store, event).await
    };
    let first = reported(&[(1, true), (2, true)], &[1], 0).await;
    let id = first.deliveries[0].incident.unwrap();
    store.act(press(Verb::Ack, "1", id, T0 + MIN)).await.unwrap();
    assert_eq!(reported(&[(1, true), (2, true), (3, true)], &[1, 2], 2).await.steps.len(), 0, "somebody is on one of theirs");
    assert_eq!(reported(&[(1, true), (2, false), (3, true)], &[2], 3).await.steps.len(), 1, "nobody is on what is left of theirs");
    assert_eq!(reported(&[(1, true), (3, true)], &[1], 4).await.steps.len(), 0, "once");
    assert_eq!(steps(&store, id).await, [(1, State::Skipped), (1, State::Deferred)]);
}

pub async fn a_press_that_finds_no_step_waiting_changes_nothing(store: S) {
    let fence = fence(&store).await;
    let first = accept(&store, escalating(&[(1, true)], &[5], T0)).await;
    let id = first.deliveries[0].incident.unwrap();
    let other = NewEvent { incidents: vec![report("b", &[(2, true)])], ..escalating(&[(2, true)], &[], T0) };
    let other = accept(&store, other).await.deliveries[0].incident.unwrap();
    let hand_on = async |event: &str, minute: i64| {
        let act = press(Verb::Escalate, event, id, T0 + minute * MIN);
        let on = [id, other].map(|incident| ActOn { incident, shown: None }).into();
        store.act(Act { on, ..act }).await.unwrap().results
    };
    let lines = async |id: IncidentId| incident(&store, id).await.timeline.into_iter().map(|row| row.text).collect::<Vec<_>>();
    let untouched = incident(&store, other).await.incident;
    let step = "step 1 of the escalation `db`";
    let handed_on = ActResult::HandedOn { steps: vec![step.to_owned()] };
    assert_eq!(hand_on("1", 1).await, [(id, handed_on), (other, ActResult::NoStep)]);
    let mut told = lines(id).await;
    told.sort();
    assert_eq!(told, ["handed on by ann (API)".to_owned(), format!("{step} at once: handed on by ann (API)")]);
    deliver(&store, &fence, &[&first.steps[0]], T0 + 2 * MIN).await;
    let before = incident(&store, id).await.incident;
    assert_eq!(hand_on("2", 3).await, [(id, ActResult::NoStep), (other, ActResult::NoStep)], "all of its steps came");
    assert_eq!((incident(&store, id).await.incident, lines(id).await.len()), (before, 2));
    assert_eq!((incident(&store, other).await.incident, lines(other).await), (untouched, Vec::new()));
}
