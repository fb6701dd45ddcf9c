//! What an outlet starts next. One rule, pure: the worker asks it with its real queue, a simulation with a storm's.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::channel::Counted;
use crate::delivery::lanes::{Lanes, MAX_LANES};
use crate::delivery::pending::{PendingMessage, next_due};
use crate::delivery::rate_limit::RateLimiter;
use crate::model::LaneId;

use crate::delivery::outlet::gate::{Admit, Gate};

/// Lanes merged into one digest at most.
pub const DIGEST_LANES: usize = 2000;
/// Messages of an outlet that wait for their next try while memory is short, at most: no more are begun then.
const MAX_BEGUN_WHEN_MEMORY_IS_SHORT: usize = 64;

/// So many direct sends in a row, and then it is the turn of what waits: callers that never pause must not keep an alert waiting.
const MAX_DIRECT_IN_ROW: usize = 4;
/// So many direct sends in a row while memory waits to be read again, and then none until that was done.
const MAX_DIRECT_BEFORE_RESYNC: usize = 16;

/// What waits to be sent through one outlet.
#[derive(Debug)]
pub struct Queue {
    /// Direct sends, whose callers wait.
    pub direct: VecDeque<PendingMessage>,
    /// Messages that were begun and wait for their next page or try.
    pub begun: Vec<PendingMessage>,
    /// Parts of digests that a platform refused, or that would have reached different people: a channel, and lanes.
    pub parts: VecDeque<(Arc<str>, Vec<LaneId>)>,
    /// Everything else, as lanes (ordered queues).
    pub lanes: Lanes,
}

/// What the configuration says about the channels of an outlet.
pub trait Channels {
    /// Whether messages of this channel may start.
    fn may_start(&self, channel: &str) -> bool;
    /// Whether this channel is disabled: nothing is asked of the platform for what waits on it, which only has to end.
    fn is_disabled(&self, channel: &str) -> bool;
    /// What the platform counts a message against.
    fn counted(&self, message: &PendingMessage) -> Counted;
    /// The same for what a channel sends to all of its recipients.
    fn counted_of(&self, channel: &str) -> Counted;
    /// How long a queue of this channel may take to empty before it is merged into digests; zero merges whatever waits, `None` merges never.
    fn digest_after(&self, channel: &str) -> Option<Duration>;
}

/// What else bears on the choice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions {
    /// Messages in flight.
    pub in_flight: usize,
    /// Whether one more may be in flight.
    pub room: bool,
    /// Only what callers wait for may start.
    pub direct_only: bool,
    /// Memory is short.
    pub memory_short: bool,
    /// Direct sends that started since anything else did, or since nothing else may.
    pub direct_in_row: usize,
}

/// What to start. Numbers are places in the queue's own lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A direct send.
    Direct(usize),
    /// The next page or try of a message that was begun.
    Continue(usize),
    /// The first part of a digest.
    Part,
    /// A message of one lane.
    Single(LaneId, Arc<str>),
    /// One message of several lanes.
    Digest(Arc<str>, Vec<LaneId>),
    /// Nothing before this time; `None` when nothing waits for a time. `held_back` is whether a lane could be sent, but for the rate limit or for memory.
    Nothing { until: Option<Instant>, held_back: bool },
}

/// What the rate limit lets a queue of `waiting` lanes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// One lane's message.
    Single,
    /// A digest: one by one they would take too long.
    Digest,
    /// Nothing before then.
    Wait(Instant),
}

impl Turn {
    /// Of a queue of `waiting` lanes, with something critical among them where `is_critical`. With several, sends are spread over the window instead of using
    /// it up at once.
    pub fn of(
        waiting: usize,
        rate: &RateLimiter,
        counted: &Counted,
        digest_after: Option<Duration>,
        now: Instant,
        is_critical: impl Fn() -> bool,
    ) -> Self {
        let at = if waiting > 1 { rate.spread(now, counted, is_critical) } else { rate.slot(now, counted) };
        if at > now {
            return Self::Wait(at);
        }
        match digest_after {
            Some(Duration::ZERO) if waiting > 1 => Self::Digest,
            Some(after) if waiting as f64 > rate.rate() * after.as_secs_f64() => Self::Digest,
            _ => Self::Single,
        }
    }
}

/// Direct sends first, but for every fifth turn; then messages that were begun, then parts of digests, then lanes by severity and age.
pub fn select(queue: &Queue, channels: &impl Channels, gate: &Gate, rate: &RateLimiter, conditions: Conditions, now: Instant) -> Work {
    let mut until: Option<Instant> = None;
    if !conditions.room {
        return Work::Nothing { until: None, held_back: false };
    }
    let admit = gate.admits(now, conditions.in_flight);
    if let Admit::Paused(end) = admit {
        return Work::Nothing { until: queue.waits().then_some(end), held_back: false };
    }
    let mut direct: Option<usize> = None;
    if !conditions.direct_only || conditions.direct_in_row < MAX_DIRECT_BEFORE_RESYNC {
        for (place, message) in queue.direct.iter().enumerate() {
            match rate.slot(now, &channels.counted(message)) {
                at if at <= now => {
                    direct = Some(place);
                    break;
                }
                at => until = sooner(until, at),
            }
        }
    }
    match direct {
        Some(place) if conditions.direct_in_row < MAX_DIRECT_IN_ROW || conditions.direct_only => Work::Direct(place),
        Some(place) => match select_queued(queue, channels, gate, rate, conditions, now, until) {
            Work::Nothing { .. } => Work::Direct(place),
            owed => owed,
        },
        None => select_queued(queue, channels, gate, rate, conditions, now, until),
    }
}

/// What is next besides direct sends, which may start at `until`.
fn select_queued(
    queue: &Queue,
    channels: &impl Channels,
    gate: &Gate,
    rate: &RateLimiter,
    conditions: Conditions,
    now: Instant,
    mut until: Option<Instant>,
) -> Work {
    let admit = gate.admits(now, conditions.in_flight);
    let trial = admit == Admit::Trial;
    if !conditions.direct_only {
        match admit {
            Admit::AfterThis => return Work::Nothing { until, held_back: false },
            Admit::Suspended(_) => return select_disabled(queue, channels, now, until),
            Admit::Paused(_) | Admit::Trial | Admit::Open => {}
        }
        // The newest, since what was refused before may be at fault itself.
        if trial && let Some((lane, channel)) = newest(queue, channels, gate) {
            return Work::Single(lane, channel);
        }
    }
    let mut due: Option<usize> = None;
    for (place, message) in queue.begun.iter().enumerate().filter(|(_, message)| !conditions.direct_only || message.caller.is_some()) {
        // What a crash left nothing to send of only has to end: it is known nowhere else, and its fallback waits for that.
        let slot = if next_due(&message.cells).is_none() && message.is_stored() { now } else { rate.slot(now, &channels.counted(message)) };
        match message.due.max(slot) {
            at if at > now => until = sooner(until, at),
            _ if trial && !gate.was_refused(message.members.iter().map(|member| member.id)) => return Work::Continue(place),
            _ => due = due.or(Some(place)),
        }
    }
    if let Some(place) = due {
        return Work::Continue(place);
    }
    if conditions.direct_only {
        return Work::Nothing { until, held_back: false };
    }
    if let Some((channel, _)) = queue.parts.front() {
        match rate.slot(now, &channels.counted_of(channel)) {
            at if at <= now => return Work::Part,
            at => until = sooner(until, at),
        }
    }
    if conditions.memory_short && (conditions.in_flight > 0 || queue.begun.len() > MAX_BEGUN_WHEN_MEMORY_IS_SHORT) {
        // One message at a time, and no more that may have to wait for another try.
        return Work::Nothing { until, held_back: conditions.in_flight > 0 };
    }
    select_lanes(queue, channels, rate, conditions, now, until)
}

/// What is next of an outlet that is suspended: what waits on its disabled channels.
fn select_disabled(queue: &Queue, channels: &impl Channels, now: Instant, mut until: Option<Instant>) -> Work {
    for (place, message) in queue.begun.iter().enumerate().filter(|(_, message)| message.caller.is_none() && channels.is_disabled(&message.channel)) {
        if message.due <= now {
            return Work::Continue(place);
        }
        until = sooner(until, message.due);
    }
    if queue.parts.front().is_some_and(|(channel, _)| channels.is_disabled(channel)) {
        return Work::Part;
    }
    match queue.lanes.first_ready(|channel| channels.is_disabled(channel) && channels.may_start(channel)) {
        Some((lane, channel)) => Work::Single(lane, channel),
        None => Work::Nothing { until, held_back: false },
    }
}

/// What is next of the lanes, alone or as a digest; what is before them may start at `until`.
fn select_lanes(queue: &Queue, channels: &impl Channels, rate: &RateLimiter, conditions: Conditions, now: Instant, until: Option<Instant>) -> Work {
    let mut slots: HashMap<Arc<str>, Instant> = HashMap::new();
    let found = queue.lanes.first_ready(|channel| {
        let slot = |rate: &RateLimiter| rate.slot(now, &channels.counted_of(channel));
        channels.may_start(channel) && *slots.entry(channel.clone()).or_insert_with(|| slot(rate)) <= now
    });
    let Some((lane, channel)) = found else {
        let held_back = !slots.is_empty();
        return Work::Nothing { until: slots.into_values().fold(until, sooner), held_back };
    };
    let counted = channels.counted_of(&channel);
    let mine = if counted == Counted::Outlet { queue.lanes.ready_count() } else { queue.lanes.ready_of_channel(&channel, MAX_LANES).len() };
    let waiting = mine + if queue.lanes.complete { 0 } else { MAX_LANES };
    // A turn that is owed is taken at once: spread over the window, it would go to the next direct send.
    let owed = conditions.direct_in_row >= MAX_DIRECT_IN_ROW && rate.slot(now, &counted) <= now;
    match Turn::of(waiting, rate, &counted, channels.digest_after(&channel), now, || queue.lanes.has_critical()) {
        Turn::Wait(_) if owed => Work::Single(lane, channel),
        Turn::Single => Work::Single(lane, channel),
        Turn::Digest => Work::Digest(channel.clone(), queue.lanes.ready_of_channel(&channel, DIGEST_LANES)),
        Turn::Wait(at) => Work::Nothing { until: sooner(until, at), held_back: true },
    }
}

fn sooner(known: Option<Instant>, at: Instant) -> Option<Instant> {
    Some(known.map_or(at, |known| known.min(at)))
}

/// The lane with the newest delivery among those that may start and were not refused.
fn newest(queue: &Queue, channels: &impl Channels, gate: &Gate) -> Option<(LaneId, Arc<str>)> {
    queue.lanes.newest_ready(|channel, waiting| channels.may_start(channel) && !gate.was_refused(waiting.map(|waiting| waiting.id)))
}

impl Queue {
    /// An empty one.
    pub fn new(lanes: Lanes) -> Self {
        Self { direct: VecDeque::new(), begun: Vec::new(), parts: VecDeque::new(), lanes }
    }

    /// Whether anything of it may start now or later.
    fn waits(&self) -> bool {
        !self.direct.is_empty() || !self.has_no_messages()
    }

    /// Whether it holds nothing but direct sends.
    pub fn has_no_messages(&self) -> bool {
        self.lanes.ready_count() == 0 && self.begun.is_empty() && self.parts.is_empty()
    }
}

#[cfg(test)]
mod tests;
