//! What is due and nobody works on, whatever the cause: seen from the store, against what workers say of themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{OutletKey, UnixMs, format_duration};
use crate::store::{OverdueRow, StoreError};

use super::engine::Engine;
use super::health::STALL_BOUND;
use super::outlet::OutletState;

/// What stalls is reported after so many looks in a row: what was due just now is begun within one.
const LOOKS: u32 = 3;

/// What looks remember of the ones before.
#[derive(Debug, Default)]
pub struct Stalls {
    /// What has stalled for how many looks, by channel.
    looks: BTreeMap<String, u32>,
    leases: Leases,
}

/// Leases of outlets of which something is due, and since when each is as it is. The store measures leases by its own clock, which need not go as this
/// node's does; but an owner that is alive renews its lease every second, whatever the clocks say.
#[derive(Debug, Default)]
struct Leases(BTreeMap<OutletKey, (UnixMs, Instant)>);

impl Leases {
    /// Takes note of the leases of now, and forgets the others.
    fn note(&mut self, due: &[OverdueRow], now: Instant) {
        let before = std::mem::take(&mut self.0);
        for row in due {
            let known = before.get(&row.outlet).filter(|(until, _)| *until == row.leased_until);
            self.0.insert(row.outlet.clone(), (row.leased_until, known.map_or(now, |(_, since)| *since)));
        }
    }

    /// Whether nobody has renewed it for the bound.
    fn is_stalled(&self, outlet: &OutletKey, now: Instant) -> bool {
        self.0.get(outlet).is_some_and(|(_, since)| now.saturating_duration_since(*since) > STALL_BOUND)
    }
}

impl Engine {
    /// Looks at what is due in the store, and shows what of it stalls: in a metric, and in `/-/ready`.
    pub async fn look_for_stalls(&self, stalls: &mut Stalls) -> Result<(), StoreError> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let due = shared.store.overdue(now.wall).await?;
        stalls.leases.note(&due, now.mono);
        let plan = shared.plan.load_full();
        let mut seen = BTreeMap::new();
        let mut why = Vec::new();
        for row in due.iter().filter(|row| now.wall.since(row.since) >= STALL_BOUND) {
            // What waits for a channel that is gone or muted has its own alarm, or means to wait.
            let Some(channel) = plan.channel(&row.channel).filter(|_| shared.muted_until(&row.channel, now.wall).is_none()) else { continue };
            let Some(reason) = self.stall(row, &self.outlet_state(&row.outlet), &stalls.leases, now.mono) else { continue };
            let looks = stalls.looks.get(&row.channel).copied().unwrap_or(0) + 1;
            seen.insert(row.channel.clone(), looks);
            if looks >= LOOKS {
                let age = now.wall.since(row.since);
                why.push((
                    channel.name.clone(),
                    row.count,
                    format!(
                        "{} of `{}` are due since {} and nobody works on them: {reason}",
                        row.count,
                        row.channel,
                        format_duration(Duration::from_secs(age.as_secs()))
                    ),
                ));
            }
        }
        for channel in plan.channels.values() {
            let count = why.iter().filter(|(name, ..)| *name == channel.name).map(|(_, count, _)| *count).sum();
            shared.telemetry.metrics.stalled(&channel.name, count);
        }
        for (channel, _, reason) in &why {
            if stalls.looks.get(&**channel).copied() == Some(LOOKS - 1) {
                tracing::error!(channel = %channel, reason, "deliveries are stalled; please report it, and restart Watchfire if it does not go on");
            }
        }
        stalls.looks = seen;
        shared.health.set_stalled(why.into_iter().map(|(.., reason)| reason).collect(), now.mono);
        Ok(())
    }

    fn stall(&self, row: &OverdueRow, state: &OutletState, leases: &Leases, now: Instant) -> Option<String> {
        let long = |at: Option<Instant>| at.is_some_and(|at| now.saturating_duration_since(at) > STALL_BOUND);
        if self.shared.leased() && !state.owned {
            // Another node owns it and sees for itself, or nobody does.
            return leases.is_stalled(&row.outlet, now).then(|| "no node owns its outlet".to_owned());
        }
        if long(state.seen_at) || state.seen_at.is_none() {
            return Some("the task that sends them shows no sign of life".into());
        }
        // Free to send, and it does not: it does not know what the store knows.
        long(state.free_since).then(|| "the task that sends them does not take them up".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(outlet: &str, leased_until: UnixMs) -> OverdueRow {
        OverdueRow { channel: outlet.into(), outlet: OutletKey::new("log", outlet), count: 1, since: UnixMs(0), leased_until }
    }

    /// A node whose clock goes an hour ahead of the database's, or behind it, sees the same: only a lease that nobody renews is stuck.
    #[test]
    fn a_lease_stands_when_nobody_renews_it_whatever_the_clocks_say() {
        let (mut leases, start) = (Leases::default(), Instant::now());
        let key = |name: &str| OutletKey::new("log", name);
        for second in 0..=70 {
            let now = start + Duration::from_secs(second);
            leases.note(&[due("alive", UnixMs(1000 * second as i64)), due("hung", UnixMs(5_000_000_000_000)), due("never", UnixMs(0))], now);
            let is_stalled = |name: &str| leases.is_stalled(&key(name), now);
            assert_eq!((is_stalled("alive"), is_stalled("hung"), is_stalled("never")), (false, second > 60, second > 60), "after {second} s");
        }
        leases.note(&[due("hung", UnixMs(6_000_000_000_000))], start + Duration::from_secs(71));
        assert!(!leases.is_stalled(&key("hung"), start + Duration::from_secs(71)), "another node has it");
        assert!(!leases.is_stalled(&key("never"), start + Duration::from_secs(71)), "nothing of it is due any more");
    }
}
