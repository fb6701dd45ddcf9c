//! An outlet that this node owns, as the tasks of its worker have it: attempts and edits.

use std::sync::Arc;

use tokio::time::Instant;

use crate::store::Fence;

use super::mailbox::{Mailbox, Renewal};
use super::ownership::Lease;

/// An outlet that this node owned when a task of its worker began. The worker may lose it meanwhile.
pub struct OwnedOutlet {
    /// Outlet and epoch, which every write of the task is checked against.
    pub fence: Fence,
    /// The worker's mailbox, which knows the latest renewal of the lease.
    pub mailbox: Arc<Mailbox>,
    /// The lease at the task's start.
    pub(super) lease: Option<Lease>,
}

impl OwnedOutlet {
    /// Whether a send may begin: the lease lasts, by what the latest renewal said of it. One that was asked for before the claim knows nothing of it.
    pub fn may_send(&self, now: Instant) -> bool {
        let Some((claimed_at, at_start)) = self.lease.and_then(|lease| Some((lease.claimed_at, lease.until?))) else { return true };
        match self.mailbox.assignment().renewal {
            Some(Renewal { until, asked }) if claimed_at < asked => until.is_some_and(|until| now < until.max(at_start)),
            _ => now < at_start,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::model::OutletKey;

    use super::*;

    #[test]
    fn a_send_begins_while_the_lease_lasts_by_its_latest_renewal() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let lease = Lease { epoch: 1, claimed_at: at(1), until: Some(at(8)) };
        let renewal = |asked, until| Some(Renewal { asked: at(asked), until });
        for (lease, renewal, now, may) in [
            (Some(lease), None, 7, true),
            (Some(lease), None, 8, false),
            (Some(lease), renewal(2, Some(at(9))), 8, true),
            (Some(lease), renewal(2, Some(at(9))), 9, false),
            // An answer that comes late takes nothing from what the claim said.
            (Some(lease), renewal(2, Some(at(5))), 7, true),
            (Some(lease), renewal(2, None), 2, false),
            (Some(lease), renewal(1, None), 7, true),
            (Some(lease), renewal(1, Some(at(20))), 8, false),
            (Some(Lease { until: None, ..lease }), renewal(2, None), 99, true),
        ] {
            let (mailbox, _commands) = Mailbox::new(true);
            renewal.into_iter().for_each(|renewal| mailbox.renew(renewal));
            let fence = Fence { outlet: OutletKey::new("webhook", "a"), epoch: 1 };
            let outlet = OwnedOutlet { fence, mailbox: Arc::new(mailbox), lease };
            assert_eq!(outlet.may_send(at(now)), may, "{lease:?} with {renewal:?} at {now}");
        }
    }
}
