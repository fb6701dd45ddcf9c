//! Contract of steps of escalations: when they begin, what ends them, and what their beginning depends on.

use super::fixtures::*;
use crate::model::{AttemptId, DeliveryId, IncidentId, Labels, Recipient, UnixMs, Verb};
use crate::store::*;

/// An event of the incident `a` with the steps of the escalation `db`, due `minutes` after it.
pub(super) fn escalating(alerts: &[(u64, bool)], minutes: &[i64], now: UnixMs) -> NewEvent {
    let step = |(place, minutes): (usize, &i64)| {
        let step = EscalationStep { escalation: "db".into(), number: place as u32 + 1, began_at: now, after: minutes * MIN };
        let (id, due_at) = (DeliveryId::new(), now + minutes * MIN);
        NewDelivery {
            id,
            state: State::Deferred,
            reason: Some(step.to_string()),
            born_at: due_at - 1,
            due_at,
            incident: DeliveryIncident::Reported(0),
            target: Target { alerts: vec![0], step: Some(step), ..Target::default() },
            ..delivery("ops", &format!("{STEP_LANE_PREFIX}{id}"))
        }
    };
    NewEvent { steps: minutes.iter().enumerate().map(step).collect(), ..reporting(report("a", alerts), now) }
}

pub(super) async fn accept(store: &S, event: NewEvent) -> Accepted {
    store.accept(event).await.unwrap()
}

/// Numbers and states of the steps of an incident, in the order of their beginnings.
pub(super) async fn steps(store: &S, id: IncidentId) -> Vec<(u32, State)> {
    let mut rows = store.steps(&[id]).await.unwrap();
    rows.sort_by_key(|row| (row.step.began_at, row.step.number));
    rows.into_iter().map(|row| (row.step.number, row.state)).collect()
}

/// What the delivery ended with, and why.
async fn end(store: &S, id: DeliveryId) -> (State, Option<String>) {
    let row = row(store, id).await;
    (row.state, row.reason)
}

async fn escalated(store: &S, id: IncidentId) -> usize {
    incident(store, id).await.timeline.iter().filter(|row| row.kind == TimelineKind::Escalated).count()
}

pub async fn an_escalation_begins_with_its_incident_and_ends_with_it(store: S) {
    let first = accept(&store, escalating(&[(1, true)], &[5, 10], T0)).await;
    let id = first.deliveries[0].incident.unwrap();
    assert_eq!(first.steps.iter().map(|step| (step.incident, step.state)).collect::<Vec<_>>(), [(Some(id), State::Deferred); 2]);
    assert_ne!(first.steps[0].lane, first.steps[1].lane);
    let found = store.steps(&[id]).await.unwrap();
    let second = found.iter().find(|row| row.id == first.steps[1].id).unwrap();
    assert_eq!(second.step, EscalationStep { escalation: "db".into(), number: 2, began_at: T0, after: 10 * MIN });
    assert_eq!((second.incident, second.channel.as_str(), second.due_at, second.tries), (id, "ops", T0 + 10 * MIN, 0));
    assert!(!second.in_flight && !second.undelivered);
    // It waits for its time, and knows what it is afterwards.
    assert!(store.pending(first.steps[0].lane, 0, 9, 0, T0 + 5 * MIN - 1).await.unwrap().is_empty());
    let due = store.pending(first.steps[0].lane, 0, 9, 0, T0 + 5 * MIN).await.unwrap().remove(0);
    assert_eq!((due.id, due.target.step.map(|step| step.number)), (first.steps[0].id, Some(1)));
    // What the sender repeats, and what joins, begins no other one.
    let later = accept(&store, escalating(&[(1, true), (2, true)], &[5, 10], T0 + MIN)).await;
    assert_eq!((later.steps.len(), later.deliveries.len()), (0, 1));
    assert!(store.change_steps(&[], T0 + 2 * MIN).await.unwrap().is_empty(), "nothing is to be changed");
    accept(&store, escalating(&[(1, false), (2, false)], &[], T0 + 3 * MIN)).await;
    let changed = store.change_steps(&[], T0 + 4 * MIN).await.unwrap();
    assert_eq!(changed.iter().map(|step| (step.incident, step.delivery.state)).collect::<Vec<_>>(), [(id, State::Skipped); 2]);
    assert_eq!(end(&store, first.steps[1].id).await, (State::Skipped, Some("over: the incident is resolved".into())));
    assert!(store.change_steps(&[], T0 + 4 * MIN).await.unwrap().is_empty(), "once");
    assert!(ready(&store).await.iter().all(|head| head.id != first.steps[0].lane), "its lane waits for nothing");
    // It is the same incident again, and nobody is on it.
    let again = accept(&store, escalating(&[(1, true)], &[5, 10], T0 + 5 * MIN)).await;
    assert_eq!((again.deliveries[0].incident, again.steps.len()), (Some(id), 2));
    assert_eq!(steps(&store, id).await, [(1, State::Skipped), (2, State::Skipped), (1, State::Deferred), (2, State::Deferred)]);
    // What comes apart goes on while its steps wait.
    accept(&store, escalating(&[(1, true), (2, true)], &[], T0 + 6 * MIN)).await;
    put_report(&store, report("b", &[(1, true)]), T0 + 7 * MIN).await;
    put_report(&store, report("c", &[(2, true)]), T0 + 8 * MIN).await;
    assert_eq!(store.end_superseded_incidents(T0 + 9 * MIN).await.unwrap(), 0);
    store.act(press(Verb::Ack, "1", id, T0 + 9 * MIN)).await.unwrap();
    assert_eq!(store.end_superseded_incidents(T0 + 10 * MIN).await.unwrap(), 1);
}

pub async fn an_ack_ends_what_waits_and_its_end_begins_again(store: S) {
    let fence = fence(&store).await;
    let first = accept(&store, escalating(&[(1, true)], &[5, 10], T0)).await;
    let id = first.deliveries[0].incident.unwrap();
    deliver(&store, &fence, &[&first.deliveries[0]], T0).await;
    deliver(&store, &fence, &[&first.steps[0]], T0 + 5 * MIN).await;
    store.record_outcome(OutcomeBatch { anchors: vec![anchored(id, 1)], now: T0, ..settlement(&fence) }).await.unwrap();
    let acted = store.act(press(Verb::Snooze, "1", id, T0 + 6 * MIN)).await.unwrap();
    assert_eq!(acted.ended_steps.iter().map(|step| step.delivery.id).collect::<Vec<_>>(), [first.steps[1].id], "in the same transaction");
    assert_eq!(end(&store, first.steps[1].id).await, (State::Skipped, Some("snoozed by ann".into())));
    // What happens while somebody is on it begins nothing.
    assert!(accept(&store, escalating(&[(1, true)], &[5, 10], T0 + 7 * MIN)).await.steps.is_empty());
    let rings = store.wake_incidents(T0 + 36 * MIN, 9).await.unwrap().rings;
    let (again, rung): (Vec<_>, Vec<_>) = rings.iter().partition(|ring| ring.state == State::Deferred);
    assert_eq!((rung.len(), rung[0].lane), (1, first.deliveries[0].lane), "no step rings: {rings:?}");
    assert_eq!(again.len(), 2);
    let found = store.steps(&[id]).await.unwrap();
    let mut begun: Vec<_> = found.iter().filter(|row| !row.state.is_final()).map(|row| (row.step.number, row.step.began_at, row.due_at)).collect();
    begun.sort_unstable();
    assert_eq!(begun, [(1, T0 + 36 * MIN, T0 + 41 * MIN), (2, T0 + 36 * MIN, T0 + 46 * MIN)]);
    // So does one that is taken back, and an ack that is reminded of does not.
    store.act(press(Verb::Ack, "2", id, T0 + 37 * MIN)).await.unwrap();
    assert_eq!(store.wake_incidents(T0 + 157 * MIN, 9).await.unwrap().rings.len(), 1, "a reminder");
    let unacked = store.act(press(Verb::Unack, "3", id, T0 + 158 * MIN)).await.unwrap();
    assert_eq!((unacked.rings.len(), unacked.ended_steps.len()), (3, 0));
    // Within the same moment, too, one run takes the place of the other.
    for again in ["a", "b"] {
        store.act(press(Verb::Ack, &format!("3{again}"), id, T0 + 158 * MIN)).await.unwrap();
        let unacked = store.act(press(Verb::Unack, &format!("4{again}"), id, T0 + 158 * MIN)).await.unwrap();
        assert_eq!(unacked.rings.len(), 3);
    }
    assert_eq!(steps(&store, id).await.iter().filter(|(_, state)| !state.is_final()).count(), 2);
    let closed = store.act(press(Verb::Close, "4", id, T0 + 159 * MIN)).await.unwrap();
    assert_eq!(closed.ended_steps.len(), 2);
    assert_eq!(end(&store, closed.ended_steps[0].delivery.id).await.1, Some("over: the incident is closed".into()));
}

/// A silence stops what rings as a snooze does, and its end, its refusal and who takes it back begin it again.
pub async fn the_end_of_a_silence_begins_it_again(store: S) {
    let first = accept(&store, escalating(&[(1, true)], &[5, 10], T0)).await;
    let id = first.deliveries[0].incident.unwrap();
    let silence = async |event: &str, now: UnixMs| {
        let labels: Labels = [("alertname".to_owned(), "DiskFull".to_owned())].into();
        let asked = Act { until: Some(now + 60 * MIN), labels: [(id, labels)].into(), ..press(Verb::Silence, event, id, now) };
        store.act(asked).await.unwrap();
        store.take_silences(now, now + MIN, 9).await.unwrap().remove(0)
    };
    let said = |of: Silence, state: SilenceState, now: UnixMs| {
        let reason = if state == SilenceState::Failed { "HTTP 403".to_owned() } else { String::new() };
        SilenceOutcome { sender_id: None, state, until: of.until, reason, due_at: None, seen: false, now, of }
    };
    let open = async || steps(&store, id).await.iter().filter(|(_, state)| !state.is_final()).count();
    for (minute, state) in [(1, SilenceState::Failed), (3, SilenceState::Ended)] {
        let (name, now) = (format!("{minute}"), T0 + minute * MIN);
        let asked = silence(&name, now).await;
        assert_eq!(open().await, 0, "somebody is on it");
        let rings = store.record_silence(said(asked, state, now + MIN)).await.unwrap();
        assert_eq!((rings.iter().filter(|ring| ring.state == State::Deferred).count(), open().await), (2, 2), "{state:?}");
    }
    silence("5", T0 + 5 * MIN).await;
    let ended = store.act(press(Verb::Unsilence, "6", id, T0 + 6 * MIN)).await.unwrap();
    assert_eq!((ended.rings.iter().filter(|ring| ring.state == State::Deferred).count(), open().await), (2, 2));
    // The end of a silence under which it was over begins nothing.
    let asked = silence("7", T0 + 7 * MIN).await;
    accept(&store, escalating(&[(1, false)], &[], T0 + 8 * MIN)).await;
    assert!(store.record_silence(said(asked, SilenceState::Ended, T0 + 9 * MIN)).await.unwrap().is_empty());
    assert_eq!(open().await, 0);
}

pub async fn what_is_more_severe_than_the_ack_begins_again(store: S) {
    let first = accept(&store, escalating(&[(1, true)], &[5], T0)).await;
    let id = first.deliveries[0].incident.unwrap();
    store.act(press(Verb::Ack, "1", id, T0 + MIN)).await.unwrap();
    let mut worse = escalating(&[(1, true), (2, true)], &[5], T0 + 2 * MIN);
    worse.incidents[0].alerts[1].rank = 0;
    assert_eq!(accept(&store, worse).await.steps.len(), 1);
    assert_eq!(steps(&store, id).await, [(1, State::Skipped), (1, State::Deferred)]);
    // An ack survives the end for a while; so does what it stopped.
    store.act(press(Verb::Ack, "2", id, T0 + 3 * MIN)).await.unwrap();
    accept(&store, escalating(&[(1, false), (2, false)], &[], T0 + 4 * MIN)).await;
    let again = accept(&store, escalating(&[(1, true), (2, true)], &[5], T0 + 5 * MIN)).await;
    assert_eq!((again.deliveries[0].incident, again.steps.len()), (Some(id), 0));
}

pub async fn what_runs_for_the_rest_goes_on_when_an_ack_of_a_part_ends(store: S) {
    let first = accept(&store, escalating(&[(1, true), (2, true)], &[5, 20], T0)).await;
    let id = first.deliveries[0].incident.unwrap();
    let fence = fence(&store).await;
    store.record_outcome(OutcomeBatch { anchors: vec![anchored(id, 1)], now: T0, ..settlement(&fence) }).await.unwrap();
    let shown = ActOn { incident: id, shown: Some(ShownIn { channel: "ops".into(), version: 1, formed_at: T0, pressed: None, begun: Vec::new() }) };
    for (event, verb) in [("1", Verb::Ack), ("2", Verb::Unack)] {
        let acted = store.act(Act { on: vec![shown.clone()], ..press(verb, event, id, T0 + MIN) }).await.unwrap();
        assert!(acted.ended_steps.is_empty() && acted.rings.iter().all(|ring| ring.state != State::Deferred), "{acted:?}");
    }
    assert!(accept(&store, escalating(&[(1, true), (2, true)], &[5, 20], T0 + 2 * MIN)).await.steps.is_empty());
    assert_eq!(row(&store, first.steps[1].id).await.due_at, T0 + 20 * MIN);
    for (step, minute) in first.steps.iter().zip([5, 20]) {
        deliver(&store, &fence, &[step], T0 + minute * MIN).await;
    }
    assert!(accept(&store, escalating(&[(1, true), (2, true)], &[5, 20], T0 + 21 * MIN)).await.steps.is_empty(), "all of it was sent");
}

pub async fn steps_follow_the_mute_of_the_first_message(store: S) {
    let muted = |event: NewEvent| {
        let mut event = event;
        let first = &mut event.deliveries[0];
        (first.state, first.due_at, first.reason) = (State::Deferred, T0 + 60 * MIN, Some(format!("{CHANNEL_MUTE_PREFIX}night")));
        event
    };
    let mut event = muted(escalating(&[(1, true)], &[5], T0));
    (event.steps[0].due_at, event.steps[0].born_at) = (T0 + 65 * MIN, T0 + 65 * MIN - 1);
    let first = accept(&store, event).await;
    let due = async || row(&store, first.steps[0].id).await.due_at;
    let mute = |until: UnixMs| Mute { matchers: channel_matchers("ops"), until, reason: "night".into(), by: "ann".into() };
    store.set_mute(mute(T0 + 90 * MIN), T0 + MIN).await.unwrap();
    assert_eq!(due().await, T0 + 95 * MIN, "it is muted for longer");
    store.set_mute(mute(UnixMs::EPOCH), T0 + 20 * MIN).await.unwrap();
    assert_eq!(due().await, T0 + 25 * MIN, "it ended early");
    assert_eq!(head(&store, first.steps[0].lane).await.due_at, T0 + 25 * MIN);
}

/// A stored message of a step, and the attempt that would begin it.
async fn formed(store: &S, fence: &Fence, step: &AcceptedDelivery, alerts: &[u64], now: UnixMs) -> NewAttempt {
    let message = NewMessage { formed_at: now, ..message(&[step.id]) };
    store.store_message(fence.clone(), message.clone()).await.unwrap();
    let row = store.steps(&[step.incident.unwrap()]).await.unwrap().into_iter().find(|row| row.id == step.id).unwrap();
    assert!(row.in_flight);
    NewAttempt {
        id: AttemptId::new(),
        message: message.id,
        page: 0,
        recipients: vec![message.cells[0].recipient.clone()],
        node: "n1".into(),
        begun_at: now,
        guard: Some(AttemptGuard::Step(StepGuard { incident: row.incident, step: row.step, alerts: alerts.to_vec(), planned: Vec::new(), now })),
    }
}

fn step_guard(begin: &NewAttempt) -> StepGuard {
    let Some(AttemptGuard::Step(guard)) = &begin.guard else { panic!("{begin:?}") };
    guard.clone()
}

pub async fn no_step_begins_after_an_ack(store: S) {
    let fence = fence(&store).await;
    let first = accept(&store, escalating(&[(1, true), (2, true)], &[1, 20], T0)).await;
    let id = first.deliveries[0].incident.unwrap();
    let begin = formed(&store, &fence, &first.steps[0], &[1], T0 + 2 * MIN).await;
    // Somebody is on what the step is for, though not on all of the incident.
    store.record_outcome(OutcomeBatch { anchors: vec![anchored(id, 1)], now: T0, ..settlement(&fence) }).await.unwrap();
    let shown = ActOn { incident: id, shown: Some(ShownIn { channel: "ops".into(), version: 1, formed_at: T0, pressed: None, begun: Vec::new() }) };
    let acted = store.act(Act { on: vec![shown], ..press(Verb::Ack, "1", id, T0 + 3 * MIN) }).await.unwrap();
    assert!(matches!(acted.results[0].1, ActResult::Acked { alerts: 1, left: 1, .. }) && acted.ended_steps.is_empty(), "{acted:?}");
    assert_eq!(refused(store.begin_attempt(fence.clone(), begin.clone()).await), "acked by ann");
    assert_eq!(store.get_message(begin.message).await.unwrap().unwrap().attempts.len(), 0, "nothing was written");
    // The other alert is nobody's.
    let guard = |alerts: &[u64]| Some(AttemptGuard::Step(StepGuard { alerts: alerts.to_vec(), ..step_guard(&begin) }));
    let free = NewAttempt { guard: guard(&[1, 2]), ..begin.clone() };
    store.act(press(Verb::Ack, "2", id, T0 + 3 * MIN)).await.unwrap();
    assert_eq!(refused(store.begin_attempt(fence.clone(), free.clone()).await), "acked by ann");
    let unacked = store.act(press(Verb::Unack, "3", id, T0 + 4 * MIN)).await.unwrap();
    assert_eq!(refused(store.begin_attempt(fence.clone(), free.clone()).await), "the escalation began again");
    let rows = store.steps(&[id]).await.unwrap();
    let is_first = |ring: &&AcceptedDelivery| rows.iter().any(|row| row.id == ring.id && row.step.number == 1);
    let again = formed(&store, &fence, unacked.rings.iter().find(is_first).unwrap(), &[1], T0 + 5 * MIN).await;
    let over = NewAttempt { guard: guard(&[3]), ..begin.clone() };
    assert_eq!(refused(store.begin_attempt(fence.clone(), over).await), "over: none of its alerts fires any more");
    store.begin_attempt(fence.clone(), again).await.unwrap();
}

pub async fn of_late_steps_only_the_latest_begins(store: S) {
    let fence = fence(&store).await;
    let first = accept(&store, escalating(&[(1, true)], &[1, 2], T0)).await;
    let begin = formed(&store, &fence, &first.steps[0], &[1], T0 + 3 * MIN).await;
    match store.begin_attempt(fence.clone(), begin).await {
        Err(StoreError::Overtaken(why)) => assert_eq!(why, "step 2 is due: of late steps only the latest is sent"),
        other => panic!("{other:?}"),
    }
    let begin = formed(&store, &fence, &first.steps[1], &[1], T0 + 3 * MIN).await;
    store.begin_attempt(fence, begin).await.unwrap();
}

pub async fn a_later_step_that_reaches_nobody_now_takes_no_other_ones_place(store: S) {
    let fence = fence(&store).await;
    let first = accept(&store, escalating(&[(1, true)], &[1, 2], T0)).await;
    let begin = formed(&store, &fence, &first.steps[0], &[1], T0 + 3 * MIN).await;
    let guard = AttemptGuard::Step(StepGuard {
        planned: vec![PlannedStep { after: MIN, reaches: true }, PlannedStep { after: 2 * MIN, reaches: false }],
        ..step_guard(&begin)
    });
    store.begin_attempt(fence, NewAttempt { guard: Some(guard), ..begin }).await.unwrap();
}

pub async fn a_step_that_was_not_confirmed_makes_the_next_one_due(store: S) {
    let fence = fence(&store).await;
    let first = accept(&store, escalating(&[(1, true)], &[1, 20, 30], T0)).await;
    let id = first.deliveries[0].incident.unwrap();
    kill(&store, &fence, &first.steps[0], T0 + MIN).await;
    let changed = store.change_steps(&[], T0 + 2 * MIN).await.unwrap();
    let [next] = changed.as_slice() else { panic!("{changed:?}") };
    assert_eq!((next.delivery.id, next.step.number, &next.change), (first.steps[1].id, 2, &StepChange::DueAtOnce("it is dead")));
    assert_eq!((row(&store, first.steps[1].id).await.due_at, escalated(&store, id).await), (T0 + 2 * MIN, 1));
    assert_eq!(head(&store, first.steps[1].lane).await.due_at, T0 + 2 * MIN);
    // Its channel delivers nothing now: on to the last one.
    assert!(store.change_steps(&["dba".into()], T0 + 3 * MIN).await.unwrap().is_empty());
    let changed = store.change_steps(&["ops".into()], T0 + 3 * MIN).await.unwrap();
    assert_eq!(changed.iter().map(|step| step.step.number).collect::<Vec<_>>(), [3]);
    assert!(store.change_steps(&["ops".into()], T0 + 3 * MIN).await.unwrap().is_empty());
    // An outcome may add to the timeline.
    let row = TimelineRow { at: T0, kind: TimelineKind::Escalated, channel: "ops".into(), text: "step 3 sent".into() };
    store.record_outcome(OutcomeBatch { timeline: vec![(id, row)], ..settlement(&fence) }).await.unwrap();
    assert_eq!(escalated(&store, id).await, 3);
}

pub async fn a_step_that_something_keeps_is_known_by_its_reason(store: S) {
    let fence = fence(&store).await;
    let first = accept(&store, escalating(&[(1, true)], &[1, 20], T0)).await;
    let id = first.deliveries[0].incident.unwrap();
    let waits = async || {
        let rows = store.steps(&[id]).await.unwrap();
        rows.iter().find(|row| row.id == first.steps[0].id).map(|row| (row.state, row.waits, row.due_at)).unwrap()
    };
    assert_eq!(waits().await, (State::Deferred, false, T0 + MIN));
    for (place, (why, wanted)) in
        [("waits, for nobody was reached so far: quiet hours of ann", true), ("muted by hand (x): y", false)].into_iter().enumerate()
    {
        let due_at = T0 + (place as i64 + 6) * MIN;
        let update = DeliveryUpdate {
            id: first.steps[0].id,
            lane: first.steps[0].lane,
            state: State::Deferred,
            tries: 0,
            due_at,
            reason: Some(why.into()),
            leave_message: false,
        };
        store.record_outcome(OutcomeBatch { deliveries: vec![update], ..settlement(&fence) }).await.unwrap();
        assert_eq!(waits().await, (State::Deferred, wanted, due_at), "{why}");
    }
}

pub async fn an_incident_whose_step_is_only_evaluated_again_goes_on_as_others(store: S) {
    let fence = fence(&store).await;
    let first = accept(&store, escalating(&[(1, true), (2, true)], &[1], T0)).await;
    let update = DeliveryUpdate {
        id: first.steps[0].id,
        lane: first.steps[0].lane,
        state: State::Deferred,
        tries: 0,
        due_at: T0 + 6 * MIN,
        reason: Some(format!("{EVALUATED_PREFIX} while its incident fires: the step is for what is at least critical")),
        leave_message: false,
    };
    store.record_outcome(OutcomeBatch { deliveries: vec![update], ..settlement(&fence) }).await.unwrap();
    put_report(&store, report("b", &[(1, true)]), T0 + 2 * MIN).await;
    put_report(&store, report("c", &[(2, true)]), T0 + 3 * MIN).await;
    assert_eq!(store.end_superseded_incidents(T0 + 4 * MIN).await.unwrap(), 1);
}

pub async fn a_step_is_confirmed_by_its_platform(store: S) {
    let fence = fence(&store).await;
    let first = accept(&store, escalating(&[(1, true)], &[1, 20], T0)).await;
    let id = first.deliveries[0].incident.unwrap();
    let said = async || {
        let rows = store.steps(&[id]).await.unwrap();
        rows.iter().find(|row| row.id == first.steps[0].id).map(|row| (row.state, row.awaited, row.undelivered)).unwrap()
    };
    assert_eq!(said().await, (State::Deferred, false, false));
    let sent = message(&[first.steps[0].id]);
    let of = sent.id;
    let receipt = |to: &str| NewReceipt {
        page: 0,
        recipient: Recipient::new(to),
        channel: "ops".into(),
        platform_id: format!("CA{to}"),
        sent_at: T0,
        due_at: T0 + 10,
        until: T0 + 60 * MIN,
    };
    let deliveries = vec![change(&first.steps[0], State::Sent)];
    let mut batch = OutcomeBatch { attempt: Some(ended("ok", T0)), deliveries, ..with_message(&fence, sent, true) };
    batch.message.as_mut().unwrap().receipts = vec![receipt("+1"), receipt("+2")];
    store.record_outcome(batch).await.unwrap();
    assert_eq!(said().await, (State::Sent, true, false), "it is still to be said");
    let hear = async |to: &str, state: ReceiptState| {
        let news = ReceiptChange::Final { state, code: None, detail: String::new() };
        let update = ReceiptUpdate { message: of, page: 0, recipient: Recipient::new(to), news, children: Vec::new(), now: T0 + MIN };
        store.update_receipt(update).await.unwrap();
    };
    hear("+1", ReceiptState::Delivered).await;
    assert_eq!(said().await, (State::Sent, false, false), "one was reached");
    hear("+2", ReceiptState::Unheard).await;
    assert_eq!(said().await, (State::Sent, false, true));
}

pub async fn the_steps_of_several_incidents_are_read_at_once(store: S) {
    let a = accept(&store, escalating(&[(1, true)], &[5, 10], T0)).await;
    let other = NewEvent { incidents: vec![report("b", &[(2, true)])], ..escalating(&[(2, true)], &[7], T0) };
    let b = accept(&store, other).await;
    let (a, b) = (a.deliveries[0].incident.unwrap(), b.deliveries[0].incident.unwrap());
    let found = store.steps(&[a, b, IncidentId(b.0 + 1)]).await.unwrap();
    let due = |id: IncidentId| found.iter().filter(|row| row.incident == id).map(|row| (row.due_at - T0) / MIN).collect::<Vec<_>>();
    assert_eq!((found.len(), due(a), due(b)), (3, vec![5, 10], vec![7]));
    assert!(store.steps(&[]).await.unwrap().is_empty());
}
