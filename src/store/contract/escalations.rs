//! Contract of escalations that begin again though their incident went on.

use super::fixtures::*;
use super::steps::{accept, escalating, steps};
use crate::model::Verb;
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
