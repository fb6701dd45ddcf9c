//! From members to pages: which of them are due, what is composed of them, and what goes back to the lanes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::delivery::compose::{Composed, Draft};
use crate::delivery::heavy::{LargeBodyPermit, is_long};
use crate::delivery::lanes::is_large;
use crate::delivery::mutes::Mutes;
use crate::delivery::pending::{PendingMessage, Phase};
use crate::delivery::policy::MAX_BACKOFF;
use crate::model::{LaneId, UnixMs};
use crate::store::{DeliveryUpdate, PendingDelivery, State, StoreError, Target};
use crate::template::MessageKind;

use super::living::forget_deferred;
use super::persist::skipped;
use super::texts::take_other_texts;
use super::{AttemptResult, AttemptTask};

impl AttemptTask {
    /// Composes the pages. `Some` when nothing is left to send. What was read under `permit` is out of memory when this returns.
    ///
    /// Fails when the store cannot say what people know already: then all members are the message's again.
    pub(super) async fn compose(&self, message: &mut PendingMessage, permit: Option<LargeBodyPermit>) -> Result<Option<AttemptResult>, StoreError> {
        let now = self.shared.clock.wall();
        let mut later = if message.caller.is_none() { take_not_due(message, now) } else { Vec::new() };
        later.extend(take_other_audiences(message));
        later.extend(take_other_texts(message));
        match self.renew_step(message, now).await {
            Ok(None) => {}
            Ok(Some(end)) => return Ok(Some(self.not_sent_now(message, end, later).await)),
            Err(error) => {
                message.lanes.returned.extend(later);
                return Err(error);
            }
        }
        let (muted, deferred) = take_muted(message, &self.channel.name, &self.shared.mutes(), now);
        later.extend(muted);
        if !deferred.is_empty() && self.record_outcome(self.outcome_batch(deferred)).await.is_err() {
            return Ok(Some(self.complete(message, later, true)));
        }
        self.address(message, now).await;
        let silent = match self.plan_notification(message, now).await {
            Ok(silent) => silent,
            Err(error) => {
                message.lanes.returned.extend(later);
                return Err(error);
            }
        };
        let any_silent = silent.is_some();
        if let Some(silent) = silent {
            match self.record_outcome(silent).await {
                Ok(children) => self.shared.notify_new(&children),
                Err(_) => return Ok(Some(self.complete(message, later, true))),
            }
        }
        for delivery in later.iter_mut().chain(&mut message.lanes.returned) {
            delivery.event.take_if(|event| is_large(event));
        }
        if message.members.is_empty() {
            return Ok(Some(self.complete(message, later, false)));
        }
        let one_lane = message.members.iter().all(|m| m.lane == message.members[0].lane && m.event.is_some());
        if message.kind != MessageKind::Digest || one_lane {
            message.kind = if message.members.len() > 1 { MessageKind::Fold } else { MessageKind::Single };
        }
        message.formed_at = now;
        let composed = self.compose_aside(message).await;
        if composed.deferred_members.end > composed.deferred_members.start {
            later.extend(message.members.drain(composed.deferred_members.clone()));
            forget_deferred(message, &later);
            later.iter_mut().for_each(|delivery| drop(delivery.event.take_if(|event| is_large(event))));
        }
        message.drop_large_events();
        drop(permit);
        self.report_fallbacks(message, &composed);
        message.phase = Phase::composed(composed.pages);
        message.template = composed.template;
        if (any_silent || !later.is_empty() || !composed.suppressed.is_empty())
            && let Some(end) = self.take_suppressed(message, &composed.suppressed, later, now).await
        {
            return Ok(Some(end));
        }
        message.create_cells(&self.channel);
        message.reserve_memory(&self.shared.budget);
        Ok(None)
    }

    /// Takes out the members of which nothing is shown, and releases the lanes that have none left. `Some` when nothing is left to send.
    async fn take_suppressed(
        &self,
        message: &mut PendingMessage,
        suppressed: &[(usize, &'static str)],
        later: Vec<PendingDelivery>,
        now: UnixMs,
    ) -> Option<AttemptResult> {
        let suppressed: Vec<DeliveryUpdate> = suppressed.iter().filter_map(|(m, why)| Some(skipped(message.members.get(*m)?, why, now))).collect();
        let gone: Vec<_> = suppressed.iter().map(|update| update.id).collect();
        message.members.retain(|m| !gone.contains(&m.id));
        if !suppressed.is_empty() && self.record_outcome(self.outcome_batch(suppressed)).await.is_err() {
            return Some(self.complete(message, later, true));
        }
        let mut unused = self.release_unused_lanes(message, later);
        if message.members.is_empty() || message.pages().is_empty() {
            let done = self.complete(message, Vec::new(), false);
            unused.extend(done.lanes);
            return Some(AttemptResult { lanes: unused, ..done });
        }
        message.lanes.to_release.append(&mut unused);
        None
    }

    fn report_fallbacks(&self, message: &PendingMessage, composed: &Composed) {
        for error in &composed.fallbacks {
            self.shared.telemetry.metrics.template_failure(self.channel.platform.name, &self.channel.name);
            tracing::error!(delivery = message.delivery(), channel = %self.channel.name, %error, "a template failed; the built-in text was used");
        }
    }

    /// A refused message goes out once more, composed in another way.
    pub(super) async fn recompose(&self, mut message: PendingMessage) -> AttemptResult {
        message.generation += 1;
        // A large body was dropped: if it cannot be read again, the message shows the delivery's title.
        let permit = self.load_events(&mut message, false).await.unwrap_or_else(|error| {
            tracing::warn!(delivery = message.delivery(), message_id = %message.id, %error, "could not read an event again; the message shows the titles of its deliveries");
            None
        });
        if let Err(error) = self.renew_step(&mut message, self.shared.clock.wall()).await {
            tracing::warn!(delivery = message.delivery(), message_id = %message.id, %error, "could not read again what fires; the message shows what it knew");
        }
        let composed = self.compose_aside(&mut message).await;
        message.drop_large_events();
        drop(permit);
        message.phase = Phase::composed(composed.pages);
        message.recreate_cells(&self.channel);
        self.reschedule(message)
    }

    /// Composes what was read. Long work leaves the threads that answer.
    async fn compose_aside(&self, message: &mut PendingMessage) -> Composed {
        let long = is_long(message.members.iter().map(|m| m.summary.firing as usize + m.summary.resolved as usize).sum())
            || message.members.iter().filter_map(|m| m.event.as_deref()).any(is_large);
        let context = self.context(message).await;
        let (plan, channel, id, kind) = (self.plan.clone(), self.channel.clone(), message.id, message.kind);
        let now = message.formed_at.timestamp();
        let members = std::mem::take(&mut message.members);
        let (wording, notification) = (message.wording.clone(), message.notification.clone());
        let work = move || {
            let draft = Draft {
                plan: &plan,
                templates: &plan.templates,
                channel: &channel,
                message: id,
                members: &members,
                kind,
                now,
                wording: &wording,
                context: &context,
                notification: &notification,
            };
            let composed = draft.compose();
            (composed, members)
        };
        // Hundreds of rows take milliseconds: off the runtime's threads.
        let (composed, members) = if long || kind == MessageKind::Digest { self.shared.heavy.run_blocking(work).await } else { work() };
        message.members = members;
        composed
    }
}

/// Takes out the members that are not due: what is read of a lane may hold muted ones, or a head that waits for its next try.
fn take_not_due(message: &mut PendingMessage, now: UnixMs) -> Vec<PendingDelivery> {
    let mut later: Vec<PendingDelivery> = Vec::new();
    let mut blocked: Option<LaneId> = None;
    let members = std::mem::take(&mut message.members);
    let released: HashSet<LaneId> =
        members.iter().filter(|m| m.state == State::Deferred && m.summary.firing > 0 && m.due_at <= now).map(|m| m.lane).collect();
    for member in members {
        // What was in memory was taken when it was due by the monotonic clock. What was read is compared with the wall clock; a due time further ahead
        // than the longest back-off was written before that clock was set back.
        let ahead = member.due_at.since(now);
        let follows = member.state == State::Deferred && member.summary.firing == 0 && released.contains(&member.lane);
        let early = !ahead.is_zero() && !follows && member.due_at != member.born_at && (member.state == State::Deferred || ahead <= MAX_BACKOFF);
        let waits = (early && message.lanes.unverified_due.contains(&member.id)) || (blocked == Some(member.lane) && member.state != State::Deferred);
        if waits && member.state != State::Deferred {
            blocked = Some(member.lane);
        }
        if waits { later.push(member) } else { message.members.push(member) }
    }
    later
}

/// Takes out the members all of whose alerts a mute matches, and what the store is to know of them: they are deferred from now on. A mute that
/// began while they waited, or that goes on when the one that had deferred them ends. A message that is sent abridged is not muted: its alerts are not read
/// any more, because reading them may be what crashed.
///
/// A member stays when a later one of its lane stays that names one of its alerts: both are sent together.
fn take_muted(message: &mut PendingMessage, channel: &str, mutes: &Mutes, now: UnixMs) -> (Vec<PendingDelivery>, Vec<DeliveryUpdate>) {
    if message.caller.is_some() || !mutes.look_at_labels(channel, now) {
        return Default::default();
    }
    let active = mutes.at(now);
    let (mut muted, mut deferred) = (Vec::new(), Vec::new());
    let mut named: HashSet<(LaneId, String)> = HashSet::new();
    for mut member in std::mem::take(&mut message.members).into_iter().rev() {
        let alerts = || member.event.iter().flat_map(|event| member.target.alerts.iter().filter_map(|i| event.alerts.get(*i as usize)));
        let by: Option<Vec<_>> = alerts().map(|alert| active.of_alert(channel, &alert.labels)).collect();
        let names: Vec<_> = alerts().map(|alert| (member.lane, alert.fingerprint.clone())).collect();
        match by.and_then(|all| all.into_iter().min_by_key(|mute| mute.until)).filter(|_| !names.iter().any(|one| named.contains(one))) {
            Some(mute) => {
                (member.state, member.due_at) = (State::Deferred, mute.due(now));
                deferred.push(DeliveryUpdate {
                    id: member.id,
                    lane: member.lane,
                    state: State::Deferred,
                    tries: member.tries,
                    due_at: member.due_at,
                    reason: Some(mute.deferral_reason()),
                    leave_message: false,
                });
                muted.push(member);
            }
            None => {
                named.extend(names);
                message.members.push(member);
            }
        }
    }
    message.members.reverse();
    muted.reverse();
    (muted, deferred)
}

/// Takes out the members that go to others than the first: nobody reads what was for somebody else, and a step of an escalation is a message of its own.
/// Of each lane a beginning stays together, so that its order holds; lanes that begin with another audience make the digest's next parts.
fn take_other_audiences(message: &mut PendingMessage) -> Vec<PendingDelivery> {
    let Some(first) = message.members.first() else { return Vec::new() };
    let together = |member: &PendingDelivery| member.target.audience() == first.target.audience() && member.target.step.is_none();
    if message.members.len() == 1 || message.members.iter().all(together) {
        return Vec::new();
    }
    let mut later: Vec<PendingDelivery> = Vec::new();
    let mut heads: HashMap<LaneId, (Arc<Target>, bool)> = HashMap::new();
    let mut parts: Vec<(Arc<Target>, Vec<LaneId>)> = Vec::new();
    let (mine, first_lane) = (Arc::new(first.target.clone()), first.lane);
    for member in std::mem::take(&mut message.members) {
        let audience = member.target.audience();
        let (head, ended) = heads.entry(member.lane).or_insert_with(|| {
            let step = member.target.step.is_some();
            if member.lane == first_lane || (mine.step.is_none() && !step && mine.audience() == audience) {
                return (mine.clone(), false);
            }
            match parts.iter_mut().find(|(target, _)| target.step.is_none() && !step && target.audience() == audience) {
                Some((target, lanes)) => {
                    lanes.push(member.lane);
                    (target.clone(), true)
                }
                None => {
                    let target = Arc::new(member.target.clone());
                    parts.push((target.clone(), vec![member.lane]));
                    (target, true)
                }
            }
        });
        *ended |= head.audience() != audience;
        if *ended { later.push(member) } else { message.members.push(member) }
    }
    message.lanes.parts.extend(parts.into_iter().map(|(_, lanes)| lanes));
    later
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::delivery::clock::Now;
    use crate::delivery::testing::{alert, waiting};
    use crate::model::{Alert, Mentions, Recipient, Status, UnixMs};
    use crate::store;

    /// A member of a lane, for one of four audiences.
    fn member(lane: i64, seq: i64, audience: u8) -> PendingDelivery {
        let mentions = |user: &str| Some(Mentions { users: vec![user.into()], ..Mentions::default() });
        let target = match audience {
            0 => Target::default(),
            1 => Target { mentions: mentions("ann"), ..Target::default() },
            2 => Target { mentions: mentions("bob"), ..Target::default() },
            _ => Target { recipients: vec![Recipient::new("ann@example.com")], mentions: mentions("ann"), ..Target::default() },
        };
        PendingDelivery { lane: LaneId(lane), target, ..waiting(seq, vec![alert("a", "info", Status::Firing)]) }
    }

    #[test]
    fn what_is_deferred_after_the_clock_was_set_back_is_not_due() {
        let now = Now { mono: Instant::now(), wall: UnixMs(1_764_000_000_000) };
        let mut message = PendingMessage::from_lanes("ops".into(), MessageKind::Single, Vec::new(), now);
        let born_at = now.wall + 3_600_000;
        let at = |seq, state, due_at| PendingDelivery { state, born_at, due_at, ..member(1, seq, 0) };
        message.members = vec![at(1, State::Deferred, now.wall + 600_000), at(2, State::Waiting, born_at)];
        message.lanes.unverified_due = message.members.iter().map(|member| member.id).collect();
        let later: Vec<i64> = take_not_due(&mut message, now.wall).iter().map(|member| member.lane_seq).collect();
        assert_eq!((later, message.members[0].lane_seq), (vec![1], 2));
    }

    #[test]
    fn a_mute_does_not_part_what_is_said_of_one_alert() {
        let now = Now { mono: Instant::now(), wall: UnixMs(1_764_000_000_000) };
        let by =
            |name: &str| store::Mute { matchers: format!("alertname=\"{name}\""), until: now.wall + 60_000, reason: "r".into(), by: "ann".into() };
        let (a, b) = (|status| alert("a", "info", status), || alert("b", "info", Status::Firing));
        let deferred = |lanes: Vec<(i64, Vec<Alert>)>| {
            let mut message = PendingMessage::from_lanes("ops".into(), MessageKind::Digest, Vec::new(), now);
            message.members = lanes
                .into_iter()
                .enumerate()
                .map(|(seq, (lane, alerts))| PendingDelivery { lane: LaneId(lane), ..waiting(seq as i64, alerts) })
                .collect();
            let (muted, updates) = take_muted(&mut message, "ops", &Mutes::read(vec![by("a")]), now.wall);
            assert_eq!(muted.len(), updates.len());
            assert!(message.members.is_sorted_by_key(|member| member.lane_seq) && muted.is_sorted_by_key(|member| member.lane_seq));
            muted.iter().map(|member| member.lane_seq).collect::<Vec<_>>()
        };
        assert_eq!(deferred(vec![(1, vec![a(Status::Firing)]), (1, vec![a(Status::Resolved), b()])]), Vec::<i64>::new(), "they are shown together");
        assert_eq!(deferred(vec![(1, vec![a(Status::Firing)]), (1, vec![b()]), (1, vec![a(Status::Resolved)])]), vec![0, 2]);
        assert_eq!(deferred(vec![(1, vec![a(Status::Firing)]), (2, vec![a(Status::Resolved), b()])]), vec![0], "another lane is another message");
    }

    #[test]
    fn what_is_behind_an_unread_delivery_waits_with_it() {
        let now = Now { mono: Instant::now(), wall: UnixMs(1_764_000_000_000) };
        let left = |lanes: &[(i64, bool)]| {
            let mut message = PendingMessage::from_lanes("ops".into(), MessageKind::Digest, Vec::new(), now);
            for (seq, (lane, read)) in lanes.iter().enumerate() {
                let one = member(*lane, seq as i64, 0);
                message.members.push(PendingDelivery { event: one.event.clone().filter(|_| *read), ..one });
            }
            message.return_unread();
            message.members.iter().map(|member| member.lane_seq).collect::<Vec<_>>()
        };
        assert_eq!(left(&[(1, true), (1, false), (1, true), (2, true)]), [0, 3]);
        assert_eq!(left(&[(1, false), (1, true)]), [0, 1], "nothing else is there to send");
    }

    proptest! {
        #[test]
        fn a_message_has_one_audience_and_nobody_is_left_out(lanes in proptest::collection::vec(proptest::collection::vec(0..4u8, 1..5), 1..8)) {
            let now = Now { mono: Instant::now(), wall: UnixMs::EPOCH };
            let mut message = PendingMessage::from_lanes("ops".into(), MessageKind::Digest, Vec::new(), now);
            for (lane, audiences) in lanes.iter().enumerate() {
                message.members.extend(audiences.iter().enumerate().map(|(seq, audience)| member(lane as i64, seq as i64, *audience)));
            }
            let later = take_other_audiences(&mut message);
            let mine = member(0, 0, lanes[0][0]);
            let mut kept: BTreeMap<LaneId, Vec<i64>> = BTreeMap::new();
            for member in &message.members {
                prop_assert_eq!(member.target.audience(), mine.target.audience());
                kept.entry(member.lane).or_default().push(member.lane_seq);
            }
            for (lane, audiences) in lanes.iter().enumerate() {
                let id = LaneId(lane as i64);
                let all = audiences.len() as i64;
                let here = kept.remove(&id).unwrap_or_default();
                let rest: Vec<i64> = later.iter().filter(|member| member.lane == id).map(|member| member.lane_seq).collect();
                let first = here.len() as i64;
                prop_assert_eq!(&here, &(0..first).collect::<Vec<_>>(), "the beginning of its lane");
                prop_assert_eq!(&rest, &(first..all).collect::<Vec<_>>(), "the rest goes back");
                prop_assert!(audiences[0] != lanes[0][0] || first as usize == audiences.iter().take_while(|a| **a == audiences[0]).count());
                let parts: Vec<usize> = (0..message.lanes.parts.len()).filter(|part| message.lanes.parts[*part].contains(&id)).collect();
                prop_assert_eq!(parts.len(), usize::from(first == 0), "what has no part in it has one of its own");
            }
            for part in &message.lanes.parts {
                let audiences: Vec<u8> = part.iter().map(|lane| lanes[lane.0 as usize][0]).collect();
                prop_assert!(audiences.iter().all(|audience| *audience == audiences[0]), "{:?}", audiences);
            }
        }
    }
}
