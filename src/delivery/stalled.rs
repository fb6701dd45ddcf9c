//! What is due and nobody works on, whatever the cause: seen from the store, against what runners say of themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::format_duration;
use crate::store::{DueRow, StoreError};

use super::engine::{Engine, OutletState};

/// How long something may be due while its outlet's runner is free to send, and how long a runner may show no sign of life.
pub const BOUND: Duration = Duration::from_secs(60);
/// What stalls is told when it does so in so many looks in a row: what was due just now is begun within one.
const LOOKS: u32 = 3;

/// What has stalled for how many looks, by channel.
#[derive(Debug, Default)]
pub struct Stalls(BTreeMap<String, u32>);

impl Engine {
    /// Looks at what is due in the store, and shows what of it stalls: in a metric, and in `/-/ready`.
    pub async fn look_for_stalls(&self, stalls: &mut Stalls) -> Result<(), StoreError> {
        let shared = &self.shared;
        let (now, now_ms) = (shared.clock.instant(), shared.clock.now_ms());
        let due = shared.store.due(now_ms - BOUND.as_millis() as i64).await?;
        let plan = shared.plan.load_full();
        let mut seen = BTreeMap::new();
        let mut why = Vec::new();
        for row in &due {
            // What waits for a channel that is gone or muted has its own alarm, or means to wait.
            let Some(channel) = plan.channel(&row.channel).filter(|_| shared.muted_until(&row.channel, now_ms).is_none()) else { continue };
            let Some(reason) = self.stall(row, &self.outlet_state(&row.outlet), now, now_ms) else { continue };
            let looks = stalls.0.get(&row.channel).copied().unwrap_or(0) + 1;
            seen.insert(row.channel.clone(), looks);
            if looks >= LOOKS {
                let age = Duration::from_millis((now_ms - row.since).max(0) as u64);
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
            shared.metrics.stalled(&channel.name, count);
        }
        for (channel, _, reason) in &why {
            if stalls.0.get(&**channel).copied() == Some(LOOKS - 1) {
                tracing::error!(channel = %channel, reason, "deliveries stand still; please report it, and restart Watchfire if it does not go on");
            }
        }
        stalls.0 = seen;
        shared.set_stalled(why.into_iter().map(|(.., reason)| reason).collect(), now);
        Ok(())
    }

    fn stall(&self, row: &DueRow, state: &OutletState, now: Instant, now_ms: i64) -> Option<String> {
        let long = |at: Option<Instant>| at.is_some_and(|at| now.saturating_duration_since(at) > BOUND);
        if self.shared.leased() && !state.owned {
            // Another node owns it and judges for itself, or nobody does.
            let free = now_ms - row.leased_until;
            return (free > BOUND.as_millis() as i64).then(|| "no node owns its outlet".to_owned());
        }
        if long(state.seen_at) || state.seen_at.is_none() {
            return Some("the task that sends them shows no sign of life".into());
        }
        // Free to send, and it does not: it does not know what the store knows.
        long(state.free_since).then(|| "the task that sends them does not take them up".to_owned())
    }
}
