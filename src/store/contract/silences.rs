//! Contract of silences: what people ask for is due at once, and what the sender said of it is shown, and rings when it has ended.

use super::fixtures::*;
use crate::model::{IncidentId, Labels, UnixMs, Verb};
use crate::store::*;

fn labels() -> Labels {
    [("alertname", "DiskFull"), ("cluster", "eu")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn act(verb: Verb, event: &str, on: IncidentId, now: UnixMs) -> Act {
    Act {
        press: PressKey { platform: "slack".into(), event_id: event.into() },
        verb,
        until: (verb == Verb::Silence).then(|| now + 120 * MIN),
        labels: [(on, labels())].into(),
        mutes: Default::default(),
        by: Actor { id: "person:ann".into(), name: "ann".into(), via: "Slack".into() },
        on: vec![ActOn { incident: on, shown: None }],
        rules: AckRules { remind_after: 120 * MIN, expires_after: 480 * MIN, repeat: 60 * MIN },
        now,
    }
}

/// An incident of which `ops` was notified.
async fn notified(store: &S, fence: &Fence) -> IncidentId {
    let d = put_report(store, report("a", &[(1, true), (2, true)]), T0).await;
    deliver(store, fence, &[&d], T0).await;
    let notified = [1, 2].map(|fingerprint| NotifiedAlert { fingerprint, rank: 1, version: 1, over: false }).to_vec();
    let update = AnchorUpdate { notified, ..anchored(d.incident.unwrap(), 1) };
    store.record_outcome(OutcomeBatch { anchors: vec![update], now: T0, ..settlement(fence) }).await.unwrap();
    d.incident.unwrap()
}

async fn taken(store: &S, now: UnixMs) -> Silence {
    let mut taken = store.take_silences(now, now + MIN, 9).await.unwrap();
    assert_eq!(taken.len(), 1, "{taken:?}");
    taken.remove(0)
}

fn said(of: &Silence, state: SilenceState, now: UnixMs) -> SilenceOutcome {
    let due_at = (!state.is_final()).then(|| now + MIN);
    SilenceOutcome { of: of.clone(), sender_id: Some("am-1".into()), state, until: of.until, reason: String::new(), due_at, seen: false, now }
}

async fn shown(store: &S, id: IncidentId) -> (IncidentState, Option<SilenceState>, String) {
    let found = incident(store, id).await;
    let last = found.timeline.last().map(|row| row.text.clone()).unwrap_or_default();
    (found.incident.state, found.incident.acks.silence.map(|silence| silence.state), last)
}

pub async fn what_somebody_asks_for_is_due_at_once_and_taken_by_one(store: S) {
    let id = notified(&store, &fence(&store).await).await;
    let acted = store.act(act(Verb::Silence, "1", id, T0)).await.unwrap();
    let until = T0 + 120 * MIN;
    assert_eq!(acted.results, [(id, ActResult::Silenced { until, state: SilenceState::Asked, reason: String::new() })]);
    assert!(acted.rings.is_empty(), "a silence rings nobody");
    let (state, silence, _) = shown(&store, id).await;
    assert_eq!((state, silence), (IncidentState::Snoozed, Some(SilenceState::Asked)));
    assert_eq!(store.dirty_anchors(&["ops".into()], T0, 9).await.unwrap().len(), 1, "its message shows it by an edit");
    let again = store.act(act(Verb::Silence, "1", id, T0 + MIN)).await.unwrap();
    assert!(again.repeated, "the same press asks for nothing twice");
    let first = taken(&store, T0).await;
    assert_eq!((first.incident, &first.labels, first.until, first.tries, first.due_at), (id, &labels(), until, 1, Some(T0 + MIN)));
    assert_eq!(store.take_silences(T0, T0 + MIN, 9).await.unwrap(), [], "it is taken");
    let second = taken(&store, T0 + MIN).await;
    assert_eq!((second.token, second.tries), (first.token, 2), "who took it died: it is taken again, and found by the same token");
    assert_eq!(store.record_silence(said(&first, SilenceState::Failed, T0 + MIN)).await.unwrap(), [], "who took it before says nothing about it");
    assert_eq!(shown(&store, id).await.1, Some(SilenceState::Asked));
}

pub async fn what_the_sender_listed_once_is_remembered(store: S) {
    let id = notified(&store, &fence(&store).await).await;
    store.act(act(Verb::Silence, "1", id, T0)).await.unwrap();
    let first = taken(&store, T0).await;
    assert!(!first.seen);
    store.record_silence(SilenceOutcome { seen: true, ..said(&first, SilenceState::Active, T0) }).await.unwrap();
    let second = taken(&store, T0 + MIN).await;
    store.record_silence(said(&second, SilenceState::Active, T0 + MIN)).await.unwrap();
    store.act(act(Verb::Silence, "2", id, T0 + MIN)).await.unwrap();
    let third = taken(&store, T0 + MIN).await;
    assert_eq!((second.seen, third.seen, third.token), (true, true, first.token), "a longer silence is the same one");
    store.record_silence(said(&third, SilenceState::Ended, T0 + MIN)).await.unwrap();
    store.act(act(Verb::Silence, "3", id, T0 + MIN)).await.unwrap();
    assert!(!taken(&store, T0 + MIN).await.seen, "another one");
}

pub async fn what_the_sender_said_is_shown_and_rings_when_it_ended(store: S) {
    let fence = fence(&store).await;
    let id = notified(&store, &fence).await;
    store.act(act(Verb::Silence, "1", id, T0)).await.unwrap();
    let late = SilenceOutcome { reason: "no answer".into(), ..said(&taken(&store, T0).await, SilenceState::Asked, T0 + 1) };
    store.record_silence(late.clone()).await.unwrap();
    assert_eq!(shown(&store, id).await.2, "the silence by ann is not confirmed, and is tried again: no answer");
    let again = SilenceOutcome { of: taken(&store, T0 + MIN + 1).await, ..late };
    let version = incident(&store, id).await.incident.version;
    store.record_silence(again).await.unwrap();
    assert_eq!(incident(&store, id).await.incident.version, version, "what is known changes nothing");
    let sooner = T0 + 60 * MIN;
    let active = SilenceOutcome { until: sooner, ..said(&taken(&store, T0 + 3 * MIN).await, SilenceState::Active, T0 + 3 * MIN) };
    assert_eq!(store.record_silence(active).await.unwrap(), []);
    let found = incident(&store, id).await.incident;
    assert_eq!((found.acks.silence.unwrap().until, found.acks.list[0].until), (sooner, Some(sooner)), "the sender says when it ends");
    let ended = said(&taken(&store, T0 + 4 * MIN).await, SilenceState::Ended, T0 + 4 * MIN);
    assert_eq!(ended.of.sender_id.as_deref(), Some("am-1"));
    let rings = store.record_silence(ended).await.unwrap();
    assert_eq!(rings.len(), 1, "it still fires, and nobody is on it any more");
    assert_eq!(shown(&store, id).await, (IncidentState::Firing, None, "the silence by ann ended".into()));
    assert_eq!(store.take_silences(T0 + 999 * MIN, T0 + 999 * MIN, 9).await.unwrap(), [], "nothing becomes of it any more");
    store.act(act(Verb::Silence, "2", id, T0 + 5 * MIN)).await.unwrap();
    let another = taken(&store, T0 + 5 * MIN).await;
    assert_eq!((another.revision, another.sender_id.as_deref()), (1, None), "the next one is another one");
    let refused = SilenceOutcome { reason: "HTTP 400".into(), ..said(&another, SilenceState::Failed, T0 + 5 * MIN) };
    assert_eq!(store.record_silence(refused).await.unwrap().len(), 1);
    assert_eq!(shown(&store, id).await, (IncidentState::Firing, None, "the silence by ann was refused: HTTP 400".into()));
}

pub async fn what_is_asked_for_meanwhile_counts_and_the_sender_is_asked_again(store: S) {
    let id = notified(&store, &fence(&store).await).await;
    store.act(act(Verb::Silence, "1", id, T0)).await.unwrap();
    let first = taken(&store, T0).await;
    let acted = store.act(act(Verb::Unsilence, "2", id, T0 + 1)).await.unwrap();
    assert_eq!((acted.results.as_slice(), acted.rings.len()), (&[(id, ActResult::Unsilenced)][..], 1), "every end of an ack rings");
    store.record_silence(said(&first, SilenceState::Active, T0 + 2)).await.unwrap();
    assert_eq!(shown(&store, id).await.1, Some(SilenceState::Ending), "it is to end, whatever was asked for before");
    let second = taken(&store, T0 + 2).await;
    assert_eq!((second.state, second.sender_id.as_deref(), second.revision), (SilenceState::Ending, Some("am-1"), 2), "its id is known");
    store.act(act(Verb::Silence, "3", id, T0 + 3)).await.unwrap();
    store.record_silence(said(&second, SilenceState::Ended, T0 + 3)).await.unwrap();
    let third = taken(&store, T0 + 3).await;
    assert_eq!((third.state, third.token, third.revision), (SilenceState::Asked, first.token, 3));
    store.record_silence(said(&third, SilenceState::Ended, T0 + 4)).await.unwrap();
    let none = store.act(act(Verb::Unsilence, "4", id, T0 + 5)).await.unwrap();
    assert_eq!(none.results, [(id, ActResult::NotSilenced)]);
    // An end rang a moment ago: the next one, by hand, rings an hour after it.
    let rang_at = incident(&store, id).await.incident.acks.unacked.unwrap().rang_at;
    store.act(act(Verb::Silence, "5", id, T0 + 6)).await.unwrap();
    let rings_at = rang_at + 60 * MIN;
    let held = store.act(act(Verb::Unsilence, "6", id, T0 + 7)).await.unwrap();
    assert_eq!(held.results, [(id, ActResult::UnsilencedQuietly { rings_at })]);
    let said = format!("the silence was ended by ann (Slack); it rings at {rings_at} if nobody is on it by then");
    assert_eq!(shown(&store, id).await, (IncidentState::Firing, Some(SilenceState::Ending), said));
    assert!(store.wake_incidents(rings_at - 1, 9).await.unwrap().rings.is_empty());
    assert_eq!(store.wake_incidents(rings_at, 9).await.unwrap().rings.len(), 1, "nobody is on it");
}

pub async fn a_snooze_that_was_made_since_outlasts_the_silence(store: S) {
    let id = notified(&store, &fence(&store).await).await;
    store.act(act(Verb::Silence, "1", id, T0)).await.unwrap();
    store.record_silence(said(&taken(&store, T0).await, SilenceState::Active, T0)).await.unwrap();
    let until = T0 + 300 * MIN;
    store.act(Act { until: Some(until), ..act(Verb::Snooze, "2", id, T0 + 100 * MIN) }).await.unwrap();
    let ended = said(&taken(&store, T0 + 120 * MIN).await, SilenceState::Ended, T0 + 120 * MIN);
    assert_eq!(store.record_silence(ended).await.unwrap(), [], "nobody is to be rung before its own time");
    let found = incident(&store, id).await.incident;
    assert_eq!((found.state, found.acks.list[0].until, found.acks.silence), (IncidentState::Snoozed, Some(until), None));
    assert_eq!(store.wake_incidents(until, 9).await.unwrap().rings.len(), 1);
}

pub async fn a_silence_leaves_with_its_incident(store: S) {
    let id = notified(&store, &fence(&store).await).await;
    store.act(act(Verb::Silence, "1", id, T0)).await.unwrap();
    put_report(&store, report("a", &[(1, false), (2, false)]), T0 + MIN).await;
    assert_eq!(shown(&store, id).await.1, Some(SilenceState::Asked), "it outlives the outage");
    let later = T0 + 9_999 * MIN;
    let waiting = store.list_deliveries(&DeliveryFilter { states: vec![State::Waiting], limit: 9, ..DeliveryFilter::default() }).await.unwrap();
    store.drop_deliveries(&waiting.iter().map(|row| row.id).collect::<Vec<_>>(), "test", T0 + MIN).await.unwrap();
    let keep = Retention { sent_before: later, dead_before: later, presses_before: later, audit_rows: 9, open_incidents: true };
    for _ in 0..3 {
        store.purge(keep, 100).await.unwrap();
    }
    assert!(store.get_incident(id).await.unwrap().is_none());
    assert_eq!(store.take_silences(later, later, 9).await.unwrap(), []);
}
