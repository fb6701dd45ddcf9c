//! Mutes, of the file, by hand and by time intervals: what they deferred waits until they end, even if they changed since.

mod active;
mod notice;
mod pressed;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::{OutletKey, UnixMs};
use crate::route::{Destinations, Tree};
use crate::store::{Deferral, DeferralCause, INTERVAL_MUTE_PREFIX, StoreError};

use super::core::Shared;
use super::engine::Engine;
use super::outlet::Command;

pub(super) use active::REEVALUATE_AFTER;
pub use active::{ActiveMute, ActiveMutes, INDEFINITE, Mutes};
pub use notice::{Notices, held_text, mute_key, tick};

impl Shared {
    /// Reads the mutes by hand. When one began, changed or ended, the workers that it concerns read their lanes again.
    pub(super) async fn refresh_mutes(&self) -> Result<(), StoreError> {
        let now = Mutes::read(self.store.list_mutes().await?);
        let before = self.mutes();
        let plan = self.plan.load_full();
        let mut outlets = BTreeSet::new();
        for channel in now.changed(&before).chain(before.changed(&now)) {
            match channel {
                Some(channel) => outlets.extend(plan.channel(channel).map(|channel| channel.outlet.clone())),
                None => outlets.extend(plan.outlets()),
            }
        }
        self.set_mutes(now);
        self.evict_lanes_of(&outlets);
        Ok(())
    }

    fn evict_lanes_of(&self, outlets: &BTreeSet<OutletKey>) {
        outlets.iter().for_each(|outlet| self.outlets.send(outlet, Command::EvictAll));
    }
}

impl Engine {
    /// Reads the mutes by hand again.
    pub async fn refresh_mutes(&self) -> Result<(), StoreError> {
        self.shared.refresh_mutes().await
    }

    /// Re-evaluates deferred deliveries: a mute may have been ended or changed after an alert was routed and before it was stored, a reload may have changed
    /// a time interval or the route, and a mute without an end is re-evaluated from time to time.
    pub async fn reevaluate_mutes(&self) -> Result<(), StoreError> {
        let shared = &self.shared;
        let now = shared.clock.wall();
        let (plan, mutes) = (shared.plan.load_full(), shared.mutes());
        let mut outlets = BTreeSet::new();
        for deferral in shared.store.list_deferrals(now).await? {
            let Some((until, reason)) = reevaluate(&plan.tree, &mutes, &deferral, now) else { continue };
            if deferral.first == until && deferral.last == until {
                continue;
            }
            let changed = shared.store.reschedule_deferred(Deferral { last: until, ..deferral.clone() }, reason, now).await?;
            if changed > 0 {
                tracing::info!(channel = %deferral.channel, cause = ?deferral.cause, changed, until = %until, "deferred deliveries wait until another time now, because their mute changed");
                outlets.extend(plan.channel(&deferral.channel).map(|channel| channel.outlet.clone()));
            }
        }
        shared.evict_lanes_of(&outlets);
        Ok(())
    }
}

/// Until when such deliveries are to wait, and why; `None` when they wait for the right time. What another mute still mutes is deferred again when it is
/// composed.
fn reevaluate(tree: &Tree, mutes: &Mutes, deferral: &Deferral, now: UnixMs) -> Option<(UnixMs, Option<String>)> {
    // Its time is only a stand-in for an end that is not known.
    let is_far = deferral.first.since(now) > REEVALUATE_AFTER / 2;
    let by = |active: Option<ActiveMute<'_>>| match active {
        None => Some((now, None)),
        Some(active) if active.until == UnixMs::MAX && is_far => None,
        Some(active) => Some((active.due(now), Some(active.deferral_reason()))),
    };
    let route = match &deferral.cause {
        DeferralCause::Channel => return by(mutes.of_channel_by_hand(&deferral.channel, now)),
        DeferralCause::Mute { reason } => return by(mutes.of_reason(reason, now)),
        DeferralCause::Interval { route } => route,
    };
    let Some((by, until)) = interval(tree, &deferral.channel, route, now.timestamp()) else { return Some((now, None)) };
    match until {
        Some(until) => Some((until.into(), Some(format!("{INTERVAL_MUTE_PREFIX}`{by}` until {until}")))),
        None if is_far => None,
        None => Some((now + REEVALUATE_AFTER, Some(format!("{INTERVAL_MUTE_PREFIX}`{by}` {INDEFINITE}")))),
    }
}

/// What mutes a route to a channel now, and until when. A reload may have moved the route: then any that leads to the channel counts, and they are muted
/// when all of them are.
fn interval(tree: &Tree, channel: &str, route: &str, at: Timestamp) -> Option<(String, Option<Timestamp>)> {
    let leads = |to: &Destinations| to.all().any(|name| **name == *channel);
    let nodes = || tree.nodes().iter().enumerate().filter(|(_, node)| leads(&node.to));
    let mut candidates: Vec<usize> = nodes().filter(|(_, node)| *node.name == *route).map(|(index, _)| index).collect();
    if candidates.is_empty() {
        candidates = nodes().map(|(index, _)| index).collect();
    }
    let muted: Option<Vec<_>> = candidates.into_iter().map(|index| tree.muted(index, at)).collect();
    // One without an end counts only when all are.
    muted?.into_iter().min_by_key(|muted| muted.until.unwrap_or(Timestamp::MAX)).map(|muted| (muted.by, muted.until))
}

#[cfg(test)]
mod tests;
