//! How others reach a worker, and what it shows of its outlet.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::delivery::allowance::{MonthCount, MonthUse, OnTheWay};
use crate::delivery::direct::Caller;
use crate::delivery::lanes::Reservation;
use crate::delivery::lock::lock;
use crate::model::{LaneId, UnixMs};
use crate::store::{MonthlySends, PendingDelivery};

use super::recent::Recent;

/// Commands that may wait for a worker; what does not fit is read from the store.
const COMMANDS: usize = 4096;

/// What is sent to a worker.
#[derive(Debug)]
pub enum Command {
    /// A delivery that was just accepted, with its share of the budget of memory.
    Push(Box<PendingDelivery>, Reservation),
    /// Something was accepted for a lane; its delivery is on disk.
    MarkDirty { lane: LaneId, channel: Arc<str>, rank: i64, born_at: UnixMs },
    /// A direct send.
    Direct { channel: Arc<str>, member: Box<PendingDelivery>, caller: Caller },
    /// The configuration changed: limits may have, and a suspended outlet is tried at once. Somebody may ask for that by hand, too.
    Reload,
    /// Lanes were moved, dropped or renamed, or a mute began or ended: what is in memory may be stale.
    EvictAll,
    /// Fail.
    #[cfg(test)]
    Crash,
}

/// What a worker shows of its outlet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutletState {
    /// How long it still pauses, milliseconds.
    pub paused_ms: i64,
    /// Why it is suspended, as long as this node owns it: of another node's outlet its memory is from the time before.
    pub suspended: Option<String>,
    /// Since when; `None` while it works, and where that was before this process owned it.
    pub suspended_since: Option<UnixMs>,
    /// When the suspended outlet is tried next; `None` while it works, and where the next message tries it.
    pub next_try_at: Option<UnixMs>,
    /// Whether the breaker is open.
    pub breaker_open: bool,
    /// Messages in flight.
    pub in_flight: usize,
    /// Lanes in memory.
    pub lanes: usize,
    /// Bytes in memory.
    pub bytes: usize,
    /// Whether this node owns it.
    pub owned: bool,
    /// When its worker last showed that it runs.
    pub seen_at: Option<Instant>,
    /// Since when nothing keeps it from sending but that it knows of nothing to send.
    pub free_since: Option<Instant>,
}

/// Whether somebody copies what waits on an outlet to fallback channels.
#[derive(Debug, Default)]
pub struct Falling {
    pub(crate) asked: AtomicBool,
    pub(crate) in_flight: AtomicBool,
}

/// What a worker is to do when it next looks. A flag that is raised twice is acted on once.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub enum Flag {
    /// A command did not fit: its memory may lack something.
    Overflow = 1,
    /// Another process accepted something for the outlet: poll the store.
    Poll = 2,
    /// What is stored for the outlet was moved there: read everything again.
    Resync = 4,
    /// An incident changed without a delivery: look for messages to edit.
    Edit = 8,
}

/// What the cluster says about an outlet on a store that several nodes share.
#[derive(Debug, Clone, Copy, Default)]
pub struct Assignment {
    /// Whether this node is to own it.
    pub assigned: bool,
    /// What the last renewal of this node's leases said.
    pub renewal: Option<Renewal>,
}

/// A renewal of a lease.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    /// When it was asked for.
    pub asked: Instant,
    /// Until when sends may begin; `None` when another node owns the outlet.
    pub until: Option<Instant>,
}

/// How others reach a worker: commands in order, and flags and an assignment of which the latest counts.
#[derive(Debug)]
pub struct Mailbox {
    pub(crate) commands: mpsc::Sender<Command>,
    flags: AtomicU8,
    assignment: Mutex<Assignment>,
    wake: Notify,
    /// What was sent in the month, of what may be.
    month: Mutex<MonthCount>,
    /// How much of it was used when maintenance last looked.
    month_seen: AtomicU8,
    /// Whom something is on its way to that its platform counts for each.
    pub(crate) on_the_way: Arc<OnTheWay>,
    pub(crate) falling: Falling,
    state: Mutex<OutletState>,
    /// What was sent lately.
    recent: Mutex<Recent>,
}

impl Mailbox {
    /// A mailbox and the commands that are sent to it.
    pub fn new(assigned: bool) -> (Self, mpsc::Receiver<Command>) {
        let (commands, queued) = mpsc::channel(COMMANDS);
        let mailbox = Self {
            commands,
            flags: AtomicU8::new(0),
            assignment: Mutex::new(Assignment { assigned, renewal: None }),
            wake: Notify::new(),
            month: Mutex::default(),
            month_seen: AtomicU8::new(MonthUse::Little as u8),
            on_the_way: Arc::default(),
            falling: Falling::default(),
            state: Mutex::default(),
            recent: Mutex::default(),
        };
        (mailbox, queued)
    }

    /// Sends a command. One that does not fit is replaced by a look at the store.
    pub fn send(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            self.raise(Flag::Overflow);
        }
    }

    /// Raises a flag and wakes the worker.
    pub fn raise(&self, flag: Flag) {
        self.flags.fetch_or(flag as u8, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Whether a flag is raised; lowers it.
    pub(super) fn take(&self, flag: Flag) -> bool {
        self.flags.fetch_and(!(flag as u8), Ordering::AcqRel) & flag as u8 != 0
    }

    /// Wakes the worker.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Returns when the worker was woken.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// What the cluster says.
    pub fn assignment(&self) -> Assignment {
        *lock(&self.assignment)
    }

    /// Says whether this node is to own the outlet.
    pub fn assign(&self, assigned: bool) {
        let before = std::mem::replace(&mut lock(&self.assignment).assigned, assigned);
        if before != assigned {
            self.wake();
        }
    }

    /// Says what a renewal of the node's leases gave.
    pub fn renew(&self, renewal: Renewal) {
        lock(&self.assignment).renewal = Some(renewal);
        self.wake();
    }

    /// Says what the store counted in a month, and how much may be sent in it.
    pub fn set_month(&self, count: MonthCount) {
        *lock(&self.month) = count;
    }

    /// Adds what was sent since the store counted.
    pub fn add_to_month(&self, sends: &MonthlySends) {
        lock(&self.month).add(sends);
    }

    /// How much is used of what the platform allows in a month.
    pub fn month(&self) -> MonthUse {
        lock(&self.month).used()
    }

    /// Remembers how much of it maintenance saw to be used, and whether that is more than before. Only the node that leads says so, and from the start when
    /// it begins to lead: the one that led may have ended before it did.
    pub fn sees_more(&self, used: MonthUse, leads: bool) -> bool {
        let seen = if leads { used } else { MonthUse::Little };
        seen > MonthUse::numbered(self.month_seen.swap(seen as u8, Ordering::AcqRel))
    }

    /// Whether nothing is spent on edits.
    pub fn saves(&self) -> bool {
        self.month() != MonthUse::Little
    }

    /// Messages in flight.
    pub fn in_flight(&self) -> usize {
        lock(&self.state).in_flight
    }

    /// What the worker shows.
    pub fn state(&self) -> OutletState {
        lock(&self.state).clone()
    }

    /// Something was sent on a channel; with the time when its platform confirmed it.
    pub(super) fn sent(&self, channel: &Arc<str>, at: Instant, confirmed: Option<UnixMs>) {
        lock(&self.recent).sent(channel, at, confirmed);
    }

    /// How many requests began in the last minute, and when the last message of this channel was confirmed.
    pub fn recent(&self, channel: &str, now: Instant) -> (u32, Option<UnixMs>) {
        let recent = lock(&self.recent);
        (recent.in_last_minute(now), recent.confirmed(channel))
    }

    pub(in crate::delivery) fn show(&self, state: OutletState) {
        *lock(&self.state) = state;
    }

    /// Its worker runs.
    pub(super) fn seen(&self, at: Instant) {
        lock(&self.state).seen_at = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_of_a_month_is_said_once_and_again_by_who_begins_to_lead() {
        let (mailbox, _commands) = Mailbox::new(true);
        let seen = [
            (MonthUse::Little, true, false),
            (MonthUse::Most, true, true),
            (MonthUse::Most, true, false),
            (MonthUse::All, false, false),
            (MonthUse::All, false, false),
            (MonthUse::All, true, true),
            (MonthUse::All, true, false),
            (MonthUse::Little, true, false),
            (MonthUse::All, true, true),
        ];
        for (place, (used, leads, says)) in seen.into_iter().enumerate() {
            assert_eq!(mailbox.sees_more(used, leads), says, "{place}: {used:?}, leads: {leads}");
        }
    }
}
