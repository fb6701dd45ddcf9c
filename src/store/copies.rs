//! New deliveries made of stored ones: copies for fallback channels, moves and replays.

use super::group_of;
use super::{
    AcceptedDelivery, DeliveryRow, FALLBACK_LANE_PREFIX, Fallback, Mode, MoveTo, NewDelivery, PendingDelivery, State, StoreError, Summary, Target,
};
use crate::model::{DeliveryId, LaneId, OutletKey, UnixMs};

/// What a target keeps on another channel: recipients, mentions and the template set are the old channel's, the new one has its own.
fn for_channel(target: Target, fallback: &[String]) -> Target {
    Target { template: String::new(), mentions: None, recipients: Vec::new(), fallback: fallback.to_vec(), step: None, ..target }
}

/// A copy of a waiting delivery for a fallback channel.
pub(super) fn fallback_copy(origin: PendingDelivery, to: &MoveTo, reason: &str, now: UnixMs) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::new(),
        channel: to.channel.clone(),
        outlet: to.outlet.clone(),
        // The lane that fallback children of this lane share, whatever made them.
        lane_key: format!("{FALLBACK_LANE_PREFIX}{}", origin.lane.0),
        target: for_channel(origin.target, &to.fallback),
        mode: Mode::Queued,
        state: State::Waiting,
        rank: origin.rank,
        summary: origin.summary,
        born_at: origin.born_at,
        due_at: now,
        fallback: Fallback { of: Some(origin.id), depth: origin.fallback.depth + 1 },
        reason: Some(reason.to_owned()),
        report: None,
        incident: origin.incident.into(),
    }
}

/// What the reason of a final delivery says before the id of the one that takes its place.
const REPLAYED: &str = "replayed as ";

/// The delivery that takes the place of a final one, as the end of the old one's reason says.
pub fn replayed_as(reason: &str) -> Option<DeliveryId> {
    const ID: usize = 36;
    let (before, id) = reason.split_at_checked(reason.len().checked_sub(ID)?)?;
    if before.ends_with(REPLAYED) { id.parse().ok() } else { None }
}

/// A stored delivery that is to be requeued.
pub(super) struct Requeued {
    pub(super) row: DeliveryRow,
    pub(super) target: Target,
    pub(super) lane: i64,
    pub(super) lane_seq: i64,
    pub(super) lane_key: String,
    pub(super) outlet: OutletKey,
    /// Whether it is part of an open message.
    pub(super) in_flight: bool,
}

impl Requeued {
    /// Whether it is moved; a final one is replayed.
    pub(super) fn moves(&self) -> bool {
        !self.row.state.is_final()
    }

    /// Refuses what makes no sense.
    pub(super) fn check(&self, to: Option<&MoveTo>) -> Result<(), StoreError> {
        let id = self.row.id;
        let why = if self.row.state == State::Sent {
            format!("delivery {id} was sent; only dead, dropped, expired, skipped and unknown ones can be requeued")
        } else if self.moves() && to.is_none() && self.row.mode == Mode::Direct {
            format!("delivery {id} is a direct send that waits for its turn; its caller receives the outcome")
        } else if self.moves() && self.in_flight {
            format!("delivery {id} is part of a message that is being sent; try again when that has ended")
        } else {
            return Ok(());
        };
        Err(StoreError::Invalid(why))
    }

    /// The delivery that takes its place.
    pub(super) fn replacement(&self, to: Option<&MoveTo>, now: UnixMs) -> NewDelivery {
        let old = &self.row;
        let (channel, outlet, target) = match to {
            Some(to) if to.channel == old.channel => (&to.channel, &to.outlet, Target { fallback: to.fallback.clone(), ..self.target.clone() }),
            Some(to) => (&to.channel, &to.outlet, for_channel(self.target.clone(), &to.fallback)),
            None => (&old.channel, &self.outlet, self.target.clone()),
        };
        NewDelivery {
            id: DeliveryId::new(),
            channel: channel.clone(),
            outlet: outlet.clone(),
            // What goes to the same people stays in its lane.
            lane_key: if target.audience() == self.target.audience() { self.lane_key.clone() } else { group_of(&self.lane_key).to_owned() },
            // What a person sends again is sent, whatever became of the escalation.
            target: Target { step: None, ..target },
            mode: Mode::Queued,
            state: State::Waiting,
            rank: old.rank,
            summary: Summary { title: old.title.clone(), firing: old.firing, resolved: old.resolved },
            born_at: now,
            due_at: now,
            fallback: Fallback::default(),
            reason: Some(format!("{} of {}", if self.moves() { "move" } else { "replay" }, old.id)),
            report: None,
            // What was skipped because nothing of it was news is asked for now: it is a message of its own.
            incident: old.incident.filter(|_| old.state != State::Skipped && self.target.step.is_none()).into(),
        }
    }

    /// What the old delivery says of the new one.
    pub(super) fn note(&self, new: &NewDelivery) -> String {
        if self.moves() { format!("moved to {} as {}", new.channel, new.id) } else { format!("{REPLAYED}{}", new.id) }
    }

    /// Itself as accepted, when it stays and waits for its turn alone.
    pub(super) fn staying(self) -> AcceptedDelivery {
        AcceptedDelivery {
            id: self.row.id,
            channel: self.row.channel,
            outlet: self.outlet,
            lane: LaneId(self.lane),
            lane_seq: self.lane_seq,
            state: State::Waiting,
            incident: self.row.incident,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_named_by_the_end_of_a_reason_and_by_nothing_that_a_platform_says() {
        let id = DeliveryId::new();
        assert_eq!(replayed_as(&format!("HTTP 400; replayed as {id}")), Some(id));
        assert_eq!(replayed_as(&format!("replayed as {}; replayed as {id}", DeliveryId::new())), Some(id), "the last one");
        for other in
            ["", "replayed as ", "HTTP 400: the request was replayed as a duplicate of another one", "é", &format!("replayed as {id}; dropped")]
        {
            assert_eq!(replayed_as(other), None, "{other}");
        }
    }
}
