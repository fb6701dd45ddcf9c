//! What a message is made of: its lanes' deliveries and their bodies, read when it is formed, and composed where that keeps nobody waiting.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Event, EventId, LaneId};
use crate::store::{PendingDelivery, State, StoreError};
use crate::template::MessageKind;

use super::attempt::{READ, Step};
use super::clock::timestamp;
use super::compose::{Composed, Draft};
use super::heavy::{Alone, LARGE, is_long};
use super::job::Job;
use super::lanes::{Read, is_large};

/// So often a message is begun without an end before it is sent in short.
const DEATHS: u32 = 3;
/// What is muted for so much longer (milliseconds) is read with what is due: clocks round.
const SOON: i64 = 1000;
/// Deliveries in a digest whose bodies are read so that each of their alerts is named.
const NAMED: usize = 400;
/// Severities (rank) whose alerts a digest names one by one.
const NAMED_RANK: i64 = 1;

impl Step {
    /// Reads what the lanes hold on disk and the bodies that composing needs.
    pub(super) async fn read(&self, job: &mut Job, marked: &mut Vec<LaneId>) -> Result<Option<Alone>, StoreError> {
        let store = &self.shared.store;
        let digest = job.kind == MessageKind::Digest;
        for taken in &mut job.lanes {
            let Some(after) = taken.read_after.take() else { continue };
            let due_by = self.shared.clock.now_ms() + SOON;
            let mut found = store.pending(taken.lane, after, READ, if digest { 0 } else { LARGE }, due_by).await?;
            let to = found.last().map_or(after, |w| w.lane_seq);
            job.reads.push(Read { lane: taken.lane, to, more: found.len() == READ });
            if found.iter().any(|w| w.state == State::Deferred && w.firing > 0) {
                // What resolved goes with what fired, though its own mute may end later: else the firing would be told and its end only recorded.
                let all = store.pending(taken.lane, after, READ, 0, i64::MAX).await?;
                found.extend(all.into_iter().filter(|w| w.state == State::Deferred && w.firing == 0 && w.due_at > due_by && w.due_at > w.born_at));
            }
            job.unjudged.extend(found.iter().map(|w| w.id));
            job.members.extend(found);
        }
        if digest {
            // Members of one lane stand together, in its order, whatever was in memory and what was read.
            let place = |lane: LaneId| job.lanes.iter().position(|t| t.lane == lane).unwrap_or(usize::MAX);
            let mut members = std::mem::take(&mut job.members);
            members.sort_by_cached_key(|m| (place(m.lane), m.lane_seq));
            job.members = members;
        } else {
            job.members.sort_by_key(|m| m.lane_seq);
        }
        // A read that failed half way leaves in memory what the next one reads again.
        job.members.dedup_by_key(|m| m.id);
        if job.caller.is_none() && self.mark(job, marked).await? {
            // Nothing of it is read or rendered any more but its columns.
            job.members.iter_mut().for_each(|member| member.event = None);
            return Ok(None);
        }
        let alone = self.load(job, true).await?;
        job.weigh(&self.shared.budget);
        Ok(alone)
    }

    /// Reads the pages that were left to the store.
    pub(super) async fn fetch_pages(&self, job: &mut Job) -> Result<(), StoreError> {
        let gone = || StoreError::Invalid(format!("message {} is not stored any more", job.id));
        let stored = self.shared.store.get_message(job.id).await?.ok_or_else(gone)?;
        job.pages = Arc::new(stored.pages);
        job.pages_stored = false;
        job.weigh(&self.shared.budget);
        Ok(())
    }

    /// Marks what an earlier process may have died at; gives whether that happened too often.
    pub(super) async fn mark(&self, job: &mut Job, marked: &mut Vec<LaneId>) -> Result<bool, StoreError> {
        if !job.members.iter().any(|member| self.shared.heavy.suspects(member.born_at)) {
            return Ok(false);
        }
        let mut lanes: Vec<LaneId> = job.members.iter().map(|member| member.lane).collect();
        lanes.dedup();
        let begun = self.shared.store.mark_lanes_started(&lanes).await?;
        *marked = lanes;
        if begun > DEATHS {
            let delivery = job.members.first().map(|member| member.id.to_string());
            tracing::error!(channel = %self.channel.name, begun, delivery, "the process died several times at this message; it is sent in short");
            job.short = true;
        }
        Ok(job.short)
    }

    /// Reads the bodies that composing needs and that are not at hand. Large ones are read while no others are in memory; of a lane's deliveries those
    /// that do not fit beside them go back if they may, else they are named by their titles, as those of a digest are.
    pub(super) async fn load(&self, job: &mut Job, back: bool) -> Result<Option<Alone>, StoreError> {
        let digest = job.kind == MessageKind::Digest;
        let mut ids: Vec<EventId> = Vec::new();
        let wanted = |m: &&PendingDelivery| m.event.is_none() && (!digest || m.rank <= NAMED_RANK) && !job.short;
        for member in job.members.iter().filter(wanted).take(if digest { NAMED } else { usize::MAX }) {
            if ids.last() != Some(&member.event_id) {
                ids.push(member.event_id);
            }
        }
        if ids.is_empty() {
            return Ok(None);
        }
        let left = self.fill(job, &ids, LARGE).await?;
        if left == 0 {
            return Ok(None);
        }
        let alone = self.shared.heavy.alone().await;
        let large = ids.len() - left;
        // The first may be as large as a body may be; what comes with it must be small.
        self.fill(job, &ids[large..=large], usize::MAX).await?;
        let left = self.fill(job, &ids[large + 1..], LARGE).await?;
        if back
            && !digest
            && let Some(first) = ids[ids.len() - left..].first()
        {
            let from = job.members.iter().position(|m| m.event_id == *first && m.event.is_none()).unwrap_or(job.members.len());
            job.back.extend(job.members.drain(from.max(1)..));
        }
        Ok(Some(alone))
    }

    /// Reads these bodies up to so many bytes into the members; gives how many are left.
    async fn fill(&self, job: &mut Job, ids: &[EventId], bytes: usize) -> Result<usize, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let bodies = self.shared.store.load_events(ids, bytes).await?;
        let found: HashMap<EventId, Arc<Event>> = bodies.events.into_iter().map(|e| (e.id, e.event)).collect();
        for member in job.members.iter_mut().filter(|m| m.event.is_none()) {
            member.event = found.get(&member.event_id).cloned();
        }
        Ok(bodies.left)
    }

    /// The message of what was read. What takes a while is composed aside.
    pub(super) async fn draft(&self, job: &mut Job) -> Composed {
        let long = is_long(job.members.iter().map(|m| m.firing as usize + m.resolved as usize).sum())
            || job.members.iter().filter_map(|m| m.event.as_deref()).any(is_large);
        let known = self.known(job).await;
        let (plan, channel, id, kind) = (self.plan.clone(), self.channel.clone(), job.id, job.kind);
        let now = timestamp(job.formed_at);
        let members = std::mem::take(&mut job.members);
        let (plain_why, unmentioned, short) = (job.plain.clone(), job.unmentioned.clone(), job.short);
        let work = move || {
            let (plain, unmentioned) = (plain_why.as_deref(), unmentioned.as_deref());
            let draft = Draft { plan: &plan, channel: &channel, message: id, members: &members, kind, now, plain, unmentioned, short, known: &known };
            let composed = draft.compose();
            (composed, members)
        };
        // Hundreds of lines take milliseconds: off the runtime's threads.
        let (composed, members) = if long || kind == MessageKind::Digest { self.shared.heavy.aside(work).await } else { work() };
        job.members = members;
        composed
    }
}
