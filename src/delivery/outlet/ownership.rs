//! Who owns an outlet, seen from this node. Every transition is here, pure: the worker reports what happened and does what [`Ownership::next`] asks for.
//!
//! | from | to | when |
//! |---|---|---|
//! | `Unowned` | `Owned` | it was claimed |
//! | `Owned` | `Draining(Resync)` | memory is stale |
//! | `Owned`, `Draining(Resync)` | `Draining(Release)` | it is assigned to another node |
//! | `Draining(Release)` | `Draining(Resync)` | it is assigned here again |
//! | `Draining(Resync)` | `Owned` | nothing is in flight: it was claimed again, with the next epoch |
//! | `Draining(Release)` | `Unowned` | nothing is in flight: the lease was released |
//! | `Owned`, `Draining` | `Unowned` | the lease is lost, the store fenced or refused it, or a step panicked |

use tokio::time::Instant;

/// A lease on an outlet. Every write carries its epoch: the store refuses one of an older epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Its epoch, one more with every claim.
    pub epoch: i64,
    /// When it was asked for, or last released.
    pub claimed_at: Instant,
    /// Until when sends may begin; `None` on a store that only one node uses.
    pub until: Option<Instant>,
}

/// What follows when nothing is in flight any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Read everything from the store again; the outlet stays this node's.
    Resync,
    /// Let another node have it.
    Release,
}

/// Whether this node owns the outlet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// It does not, since that time. `epoch` is the last one that it had and did not release.
    Unowned { since: Instant, epoch: Option<i64> },
    /// It does.
    Owned(Lease),
    /// It still does: nothing but direct sends starts any more.
    Draining(Lease, Then),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The cluster wants this node to own it, or not.
    Assigned(bool),
    /// What a renewal of the node's leases said, which was asked for at `asked`: until when sends may begin, or that the outlet is another node's.
    Renewed { asked: Instant, until: Option<Instant> },
    /// The in-memory state is stale.
    Stale,
    /// The store refused a write of this epoch, or a task of the worker panicked: memory cannot be trusted.
    Fenced,
    /// The store granted the outlet to this node.
    Claimed(Lease),
    /// The store did not.
    Refused,
    /// The lease was released at that time.
    Released(Instant),
}

/// What the worker has to do before anything else, once nothing is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Claim the outlet, dropping its in-memory state.
    Claim,
    /// Read everything from the store again.
    Resync,
    /// Release the lease.
    Release,
}

impl Ownership {
    /// Not this node's yet.
    pub fn new(now: Instant) -> Self {
        Self::Unowned { since: now, epoch: None }
    }

    /// The state after a signal.
    pub fn on(self, signal: Signal) -> Self {
        match (self, signal) {
            (Self::Owned(lease), Signal::Assigned(false)) => Self::Draining(lease, Then::Release),
            (Self::Draining(lease, Then::Resync), Signal::Assigned(false)) => Self::Draining(lease, Then::Release),
            // What became stale meanwhile is read when it is claimed again.
            (Self::Draining(lease, Then::Release), Signal::Assigned(true)) => Self::Draining(lease, Then::Resync),
            (Self::Owned(lease) | Self::Draining(lease, _), Signal::Renewed { asked, until: None }) if lease.claimed_at < asked => lease.lost(),
            (Self::Owned(lease), Signal::Renewed { asked, until }) if lease.claimed_at < asked => Self::Owned(Lease { until, ..lease }),
            (Self::Draining(lease, then), Signal::Renewed { asked, until }) if lease.claimed_at < asked => {
                Self::Draining(Lease { until, ..lease }, then)
            }
            (Self::Owned(lease), Signal::Stale) => Self::Draining(lease, Then::Resync),
            (Self::Owned(lease) | Self::Draining(lease, _), Signal::Fenced | Signal::Refused) => lease.lost(),
            (_, Signal::Claimed(lease)) => Self::Owned(lease),
            (_, Signal::Released(at)) => Self::Unowned { since: at, epoch: None },
            (unchanged, _) => unchanged,
        }
    }

    /// What is to be done now that nothing is in flight.
    pub fn next(self, assigned: bool) -> Option<Action> {
        match self {
            Self::Unowned { .. } if assigned => Some(Action::Claim),
            Self::Unowned { .. } | Self::Draining(_, Then::Release) => Some(Action::Release),
            Self::Draining(_, Then::Resync) => Some(Action::Resync),
            Self::Owned(_) => None,
        }
    }

    /// The lease, if there is one.
    pub fn lease(self) -> Option<Lease> {
        match self {
            Self::Unowned { .. } => None,
            Self::Owned(lease) | Self::Draining(lease, _) => Some(lease),
        }
    }

    /// The epoch of the lease; 0, which no lease has, without one.
    pub fn epoch(self) -> i64 {
        self.lease().map_or(0, |lease| lease.epoch)
    }

    /// The epoch that is to be released when another node is to own the outlet.
    pub fn unreleased(self) -> Option<i64> {
        match self {
            Self::Unowned { epoch, .. } => epoch,
            Self::Owned(lease) | Self::Draining(lease, _) => Some(lease.epoch),
        }
    }

    /// When it was last claimed or released.
    pub fn since(self) -> Instant {
        match self {
            Self::Unowned { since, .. } => since,
            Self::Owned(lease) | Self::Draining(lease, _) => lease.claimed_at,
        }
    }

    /// Whether messages from the queue may start.
    pub fn may_send(self, now: Instant) -> bool {
        matches!(self, Self::Owned(lease) if lease.lasts(now))
    }

    /// Whether direct sends may start: also while memory waits to be read again.
    pub fn may_send_directly(self, now: Instant) -> bool {
        matches!(self, Self::Owned(lease) | Self::Draining(lease, Then::Resync) if lease.lasts(now))
    }

    /// Whether the outlet's memory waits to be read again.
    pub fn is_resyncing(self) -> bool {
        matches!(self, Self::Draining(_, Then::Resync))
    }
}

impl Lease {
    fn lasts(self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    fn lost(self) -> Ownership {
        Ownership::Unowned { since: self.claimed_at, epoch: Some(self.epoch) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_transition() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let lease = Lease { epoch: 7, claimed_at: at(1), until: Some(at(8)) };
        let renewed = Lease { until: Some(at(9)), ..lease };
        let (owned, resync, release) = (Ownership::Owned(lease), Ownership::Draining(lease, Then::Resync), Ownership::Draining(lease, Then::Release));
        let (free, lost) = (Ownership::new(start), Ownership::Unowned { since: at(1), epoch: Some(7) });
        let renewal = |asked, until| Signal::Renewed { asked: at(asked), until };
        for (before, signal, after) in [
            (free, Signal::Claimed(lease), owned),
            (free, Signal::Refused, free),
            (free, Signal::Assigned(true), free),
            (free, Signal::Stale, free),
            (free, renewal(2, Some(at(9))), free),
            (owned, Signal::Assigned(true), owned),
            (owned, Signal::Assigned(false), release),
            (owned, Signal::Stale, resync),
            (owned, Signal::Fenced, lost),
            (owned, renewal(2, Some(at(9))), Ownership::Owned(renewed)),
            (owned, renewal(2, None), lost),
            // A renewal that was asked for before the claim knows nothing of it.
            (owned, renewal(0, None), owned),
            (owned, renewal(1, Some(at(9))), owned),
            (resync, Signal::Stale, resync),
            (resync, Signal::Assigned(false), release),
            (resync, Signal::Claimed(renewed), Ownership::Owned(renewed)),
            (resync, Signal::Refused, lost),
            (resync, renewal(2, Some(at(9))), Ownership::Draining(renewed, Then::Resync)),
            (resync, renewal(2, None), lost),
            (release, Signal::Assigned(true), resync),
            (release, Signal::Assigned(false), release),
            (release, Signal::Stale, release),
            (release, Signal::Fenced, lost),
            (release, Signal::Released(at(3)), Ownership::new(at(3))),
            (lost, Signal::Claimed(renewed), Ownership::Owned(renewed)),
            (lost, Signal::Released(at(3)), Ownership::new(at(3))),
        ] {
            assert_eq!(before.on(signal), after, "{before:?} on {signal:?}");
        }
    }

    #[test]
    fn what_is_to_be_done_when_nothing_is_in_flight() {
        let now = Instant::now();
        let lease = Lease { epoch: 1, claimed_at: now, until: None };
        let states =
            [Ownership::new(now), Ownership::Owned(lease), Ownership::Draining(lease, Then::Resync), Ownership::Draining(lease, Then::Release)];
        let asked = |assigned| states.map(|state| state.next(assigned));
        assert_eq!(asked(true), [Some(Action::Claim), None, Some(Action::Resync), Some(Action::Release)]);
        assert_eq!(asked(false), [Some(Action::Release), None, Some(Action::Resync), Some(Action::Release)]);
    }

    #[test]
    fn only_a_lease_that_lasts_lets_a_send_begin() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        for (until, lasts) in [(None, true), (Some(now + second), true), (Some(now), false), (Some(now - second), false)] {
            let lease = Lease { epoch: 1, claimed_at: now - second, until };
            let states = [Ownership::Owned(lease), Ownership::Draining(lease, Then::Resync), Ownership::Draining(lease, Then::Release)];
            assert_eq!(states.map(|state| state.may_send(now)), [lasts, false, false]);
            assert_eq!(states.map(|state| state.may_send_directly(now)), [lasts, lasts, false]);
        }
        assert!(!Ownership::new(now).may_send(now) && !Ownership::new(now).may_send_directly(now));
    }
}
