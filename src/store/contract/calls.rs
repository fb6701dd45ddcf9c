//! Contract of calls: what their beginning and their end depend on.

use super::fixtures::*;
use crate::model::{AttemptId, IncidentId, Verb};
use crate::store::*;

pub async fn no_call_begins_after_an_ack(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (put_report(&store, report("a", &[(1, true), (2, true)]), T0).await, put_report(&store, report("b", &[(3, true)]), T0).await);
    let (first, second) = (a.incident.unwrap(), b.incident.unwrap());
    let message = message(&[a.id, b.id]);
    store.store_message(fence.clone(), message.clone()).await.unwrap();
    let about = |incident: IncidentId, alerts: Option<&[u64]>| CalledAbout { incident, alerts: alerts.map(<[u64]>::to_vec) };
    let begin = async |about: Vec<CalledAbout>| {
        let recipients = vec![message.cells[0].recipient.clone()];
        let guard = Some(AttemptGuard::Call(about));
        let new = NewAttempt { id: AttemptId::new(), message: message.id, page: 0, recipients, node: "n1".into(), begun_at: T0 + MIN, guard };
        store.begin_attempt(fence.clone(), new).await
    };
    store.act(press(Verb::Ack, "1", first, T0 + MIN)).await.unwrap();
    for alerts in [Some(&[1_u64][..]), Some(&[1, 2][..]), None] {
        assert_eq!(refused(begin(vec![about(first, alerts)]).await), "acked by ann", "{alerts:?}");
    }
    // What one of several incidents is about is nobody's until it is acked, too.
    store.act(press(Verb::Snooze, "2", second, T0 + MIN)).await.unwrap();
    assert_eq!(refused(begin(vec![about(first, None), about(second, Some(&[3]))]).await), "acked by ann; snoozed by ann");
    store.act(press(Verb::Close, "3", second, T0 + MIN)).await.unwrap();
    assert_eq!(refused(begin(vec![about(second, Some(&[3]))]).await), "over: the incident is closed");
    assert_eq!(store.get_message(message.id).await.unwrap().unwrap().attempts.len(), 0, "nothing was written");
    // What joined since, which nobody is on.
    put_report(&store, report("a", &[(1, true), (2, true), (4, true)]), T0 + 2 * MIN).await;
    begin(vec![about(first, Some(&[1, 4])), about(second, Some(&[3]))]).await.unwrap();
    // A channel that knows nothing of an incident, because somebody was on it, is rung by the end of the ack.
    let c = put_report(&store, report("c", &[(5, true)]), T0 + 2 * MIN).await;
    store.act(press(Verb::Ack, "4", c.incident.unwrap(), T0 + 2 * MIN)).await.unwrap();
    let skipped = DeliveryUpdate { reason: Some("acked by ann".into()), ..change(&c, State::Skipped) };
    store.record_outcome(OutcomeBatch { deliveries: vec![skipped], ..settlement(&fence) }).await.unwrap();
    let rings = store.act(press(Verb::Unack, "5", c.incident.unwrap(), T0 + 3 * MIN)).await.unwrap().rings;
    assert_eq!(rings.iter().map(|ring| (ring.lane, ring.state)).collect::<Vec<_>>(), [(c.lane, State::Waiting)]);
}

pub async fn a_call_that_is_called_for_again_does_not_end(store: S) {
    let fence = fence(&store).await;
    let call = put_report(&store, report("a", &[(1, true)]), T0).await;
    let incident = call.incident.unwrap();
    let end = || {
        let skipped = DeliveryUpdate { reason: Some("acked by ann".into()), ..change(&call, State::Skipped) };
        let needless = Some(AttemptGuard::Call(vec![CalledAbout { incident, alerts: Some(vec![1]) }]));
        store.record_outcome(OutcomeBatch { deliveries: vec![skipped], needless, ..settlement(&fence) })
    };
    store.act(press(Verb::Ack, "1", incident, T0 + MIN)).await.unwrap();
    // The ack ends before the end of the call is on disk: nothing rings, because the call waits still.
    let rings = store.act(press(Verb::Unack, "2", incident, T0 + 2 * MIN)).await.unwrap().rings;
    assert_eq!(rings.len(), 0);
    assert_eq!(refused(end().await.map(drop)), "it is called for again: what answered for it ended meanwhile");
    assert_eq!(row(&store, call.id).await.state, State::Waiting);
    store.act(press(Verb::Ack, "3", incident, T0 + 3 * MIN)).await.unwrap();
    end().await.unwrap();
    assert_eq!(row(&store, call.id).await.state, State::Skipped);
}
