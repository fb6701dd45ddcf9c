//! Mutes, by hand and by time intervals: what they deferred waits until they end, even if they changed since.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{OutletKey, UnixMs};
use crate::route::Tree;
use crate::store::{Deferral, INTERVAL_MUTE_PREFIX, MANUAL_MUTE_PREFIX, StoreError};

use super::engine::Engine;
use super::intake::{INDEFINITE, ManualMute, REEVALUATE_AFTER};

impl Engine {
    /// Reads the channels muted by hand. When a mute began, changed or ended, the worker reads its lanes again.
    pub async fn refresh_mutes(&self) -> Result<(), StoreError> {
        let mutes = self.shared.store.list_mutes().await?;
        let now: HashMap<String, ManualMute> = mutes.into_iter().map(|m| (m.channel, ManualMute { until: m.until, reason: m.reason })).collect();
        let before = self.shared.mutes();
        if *before == now {
            return Ok(());
        }
        let changed = now.keys().chain(before.keys()).filter(|channel| now.get(*channel) != before.get(*channel));
        let plan = self.shared.plan.load_full();
        let outlets = changed.filter_map(|channel| Some(plan.channel(channel)?.outlet.clone())).collect();
        self.shared.set_mutes(now);
        self.evict_lanes_of(&outlets);
        Ok(())
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
                tracing::info!(channel = %deferral.channel, route = %deferral.route, changed, until = %until, "deferred deliveries wait until another time now, because their mute changed");
                outlets.extend(plan.channel(&deferral.channel).map(|channel| channel.outlet.clone()));
            }
        }
        self.evict_lanes_of(&outlets);
        Ok(())
    }

    fn evict_lanes_of(&self, outlets: &BTreeSet<OutletKey>) {
        for outlet in outlets {
            self.evict_lanes(outlet);
        }
    }
}

/// Until when such deliveries are to wait, Unix milliseconds, and why; `None` when they wait for the right time.
fn reevaluate(tree: &Tree, mutes: &HashMap<String, ManualMute>, deferral: &Deferral, now: UnixMs) -> Option<(UnixMs, Option<String>)> {
    if deferral.by_hand {
        let mute = mutes.get(&deferral.channel).filter(|mute| mute.until > now);
        return Some(mute.map_or((now, None), |mute| (mute.until, Some(format!("{MANUAL_MUTE_PREFIX}{}", mute.reason)))));
    }
    let at = now.timestamp();
    let Some((by, until)) = interval(tree, &deferral.channel, &deferral.route, at) else { return Some((now, None)) };
    match until {
        Some(until) => Some((until.into(), Some(format!("{INTERVAL_MUTE_PREFIX}`{by}` until {until}")))),
        None if deferral.first.since(now) > REEVALUATE_AFTER / 2 => None,
        None => Some((now + REEVALUATE_AFTER, Some(format!("{INTERVAL_MUTE_PREFIX}`{by}` {INDEFINITE}")))),
    }
}

/// What mutes a route to a channel now, and until when. A reload may have moved the route: then any that leads to the channel counts, and they are muted
/// when all of them are.
fn interval(tree: &Tree, channel: &str, route: &str, at: Timestamp) -> Option<(String, Option<Timestamp>)> {
    let leads = |to: &[Arc<str>]| to.iter().any(|name| **name == *channel);
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
