//! What a message is made of: its lanes' deliveries and their events, read when it is formed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::delivery::heavy::{LARGE_BODY, LargeBodyPermit};
use crate::delivery::lanes::ReadProgress;
use crate::delivery::pending::{PendingMessage, Phase};
use crate::delivery::started::StartedLanes;
use crate::model::{Event, EventId, LaneId, UnixMs};
use crate::store::{PendingDelivery, State, StoreError};
use crate::template::MessageKind;

use super::{AttemptTask, LANE_READ_LIMIT};

/// A message that was begun more often than this without an end is sent abridged.
const MAX_CRASHES: u32 = 3;
/// What is due within this time is read with what is due: clocks round.
const DUE_ROUNDING: Duration = Duration::from_secs(1);
/// Deliveries in a digest whose bodies are read so that each of their alerts is named.
const MAX_NAMED_DELIVERIES: usize = 400;
/// Severities (rank) whose alerts a digest names one by one.
const MAX_NAMED_RANK: i64 = 1;

impl AttemptTask {
    /// Reads what the lanes hold on disk and the bodies that composing needs.
    pub(super) async fn read_members(&self, message: &mut PendingMessage, started: &mut StartedLanes) -> Result<Option<LargeBodyPermit>, StoreError> {
        let store = &self.shared.store;
        let digest = message.kind == MessageKind::Digest;
        for taken in &mut message.lanes.taken {
            let Some(after) = taken.read_after.take() else { continue };
            let due_by = self.shared.clock.wall() + DUE_ROUNDING;
            let mut found = store.pending(taken.lane, after, LANE_READ_LIMIT, if digest { 0 } else { LARGE_BODY }, due_by).await?;
            let to = found.last().map_or(after, |w| w.lane_seq);
            message.lanes.reads.push(ReadProgress { lane: taken.lane, to, more: found.len() == LANE_READ_LIMIT });
            if found.iter().any(|w| w.state == State::Deferred && w.summary.firing > 0) {
                // A resolved alert goes with its firing, though its own mute may end later: otherwise the firing would be sent and its end only recorded.
                let all = store.pending(taken.lane, after, LANE_READ_LIMIT, 0, UnixMs::MAX).await?;
                found.extend(
                    all.into_iter().filter(|w| w.state == State::Deferred && w.summary.firing == 0 && w.due_at > due_by && w.due_at != w.born_at),
                );
            }
            message.lanes.unverified_due.extend(found.iter().map(|w| w.id));
            message.members.extend(found);
        }
        if digest {
            // Members of one lane are neighbours, in its order, whether they were in memory or read.
            let place = |lane: LaneId| message.lanes.taken.iter().position(|t| t.lane == lane).unwrap_or(usize::MAX);
            let mut members = std::mem::take(&mut message.members);
            members.sort_by_cached_key(|m| (place(m.lane), m.lane_seq));
            message.members = members;
        } else {
            message.members.sort_by_key(|m| m.lane_seq);
        }
        // A read that failed half way leaves in memory what the next one reads again.
        message.members.dedup_by_key(|m| m.id);
        if message.caller.is_none() && self.mark_started(message, started).await? {
            // Nothing of it is read or rendered any more but its columns.
            message.members.iter_mut().for_each(|member| member.event = None);
            return Ok(None);
        }
        let permit = self.load_events(message, true).await?;
        message.reserve_memory(&self.shared.budget);
        Ok(permit)
    }

    /// Reads the pages that were left to the store.
    pub(super) async fn fetch_pages(&self, message: &mut PendingMessage) -> Result<(), StoreError> {
        let gone = || StoreError::Invalid(format!("message {} is not stored any more", message.id));
        let stored = self.shared.store.get_message(message.id).await?.ok_or_else(gone)?;
        if let Phase::Stored { pages, .. } = &mut message.phase {
            *pages = Some(Arc::new(stored.pages));
        }
        message.reserve_memory(&self.shared.budget);
        Ok(())
    }

    /// Marks what an earlier process may have crashed at; returns whether that happened too often.
    pub(super) async fn mark_started(&self, message: &mut PendingMessage, started: &mut StartedLanes) -> Result<bool, StoreError> {
        if !message.members.iter().any(|member| self.shared.heavy.may_have_crashed(member.born_at)) {
            return Ok(false);
        }
        let mut lanes: Vec<LaneId> = message.members.iter().map(|member| member.lane).collect();
        lanes.dedup();
        let counted = self.shared.store.mark_lanes_started(&lanes).await?;
        let begun = counted.iter().map(|one| one.starts).max().unwrap_or(0);
        started.set(counted);
        if begun > MAX_CRASHES {
            tracing::error!(channel = %self.channel.name, begun, delivery = message.delivery(), "the process crashed several times at this message; it is sent abridged");
            message.wording.abridged = true;
        }
        Ok(message.wording.abridged)
    }

    /// Reads the events that composing needs and that are not in memory. Large ones are read while no others are in memory; deliveries of a lane that do
    /// not fit beside them go back if `back` allows it, else they are named by their titles, as in a digest.
    pub(super) async fn load_events(&self, message: &mut PendingMessage, back: bool) -> Result<Option<LargeBodyPermit>, StoreError> {
        let digest = message.kind == MessageKind::Digest;
        let mut ids: Vec<EventId> = Vec::new();
        // Mutes that look at labels must know them all, and so must mentions of those whom a label names.
        let by_owner = self.mentions_owners(message);
        let all = self.shared.mutes().look_at_labels(&self.channel.name, self.shared.clock.wall());
        let wanted =
            |m: &&PendingDelivery| m.event.is_none() && (!digest || all || by_owner || m.rank <= MAX_NAMED_RANK) && !message.wording.abridged;
        for member in message.members.iter().filter(wanted).take(if digest { MAX_NAMED_DELIVERIES } else { usize::MAX }) {
            if ids.last() != Some(&member.event_id) {
                ids.push(member.event_id);
            }
        }
        if ids.is_empty() {
            return Ok(None);
        }
        let left = self.attach_events(message, &ids, LARGE_BODY).await?;
        if left == 0 {
            if back && digest && (all || by_owner) {
                message.return_unread();
            }
            return Ok(None);
        }
        let permit = self.shared.heavy.large_body().await;
        let large = ids.len() - left;
        // The first may be as large as a body may be; what comes with it must be small.
        self.attach_events(message, &ids[large..=large], usize::MAX).await?;
        let left = self.attach_events(message, &ids[large + 1..], LARGE_BODY).await?;
        if back
            && !digest
            && let Some(first) = ids[ids.len() - left..].first()
        {
            let from = message.members.iter().position(|m| m.event_id == *first && m.event.is_none()).unwrap_or(message.members.len());
            message.lanes.returned.extend(message.members.drain(from.max(1)..));
        }
        if back && digest && (all || by_owner) {
            message.return_unread();
        }
        Ok(Some(permit))
    }

    /// Reads these events up to so many bytes into the members; returns how many are left.
    async fn attach_events(&self, message: &mut PendingMessage, ids: &[EventId], bytes: usize) -> Result<usize, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let bodies = self.shared.store.load_events(ids, bytes).await?;
        let found: HashMap<EventId, Arc<Event>> = bodies.events.into_iter().map(|e| (e.id, e.event)).collect();
        for member in message.members.iter_mut().filter(|m| m.event.is_none()) {
            member.event = found.get(&member.event_id).cloned();
        }
        Ok(bodies.left)
    }
}
