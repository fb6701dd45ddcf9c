//! Incidents of Watchfire's own alerts: nobody else repeats them, and a process takes over what an earlier one alerted about.

use std::collections::BTreeSet;
use std::time::Duration;

use super::engine::Engine;
use super::heartbeat;
use super::self_alert::{SelfAlert, SelfAlertKind, SelfAlertRouter};
use crate::channel::PressWay;
use crate::store::{IncidentFilter, IncidentState, StoreError};

/// What goes on counts as reported every so often, or twice within the time after which it would be stale.
const KEPT_EVERY: Duration = Duration::from_secs(1800);
/// Open incidents that are looked through for alerts of an earlier process.
const MAX_REMEMBERED: usize = 1000;

/// What an earlier process alerted about and goes on: its end is sent by this one.
pub async fn remember(engine: &Engine) -> SelfAlertRouter {
    let mut router = SelfAlertRouter::default();
    let states = IncidentState::ALL.into_iter().filter(|state| state.is_open()).collect();
    let open = IncidentFilter { states, text: Some("Watchfire".into()), limit: MAX_REMEMBERED, ..IncidentFilter::default() };
    match engine.query().list_incidents(&open).await {
        Ok(incidents) => incidents.iter().for_each(|incident| router.remember(incident)),
        Err(error) => engine.shared.health.request_failed(&error),
    }
    if router.goes_on(SelfAlertKind::ReloadFailed, "") {
        // This process has read it.
        engine.shared.telemetry.raise(SelfAlert::resolved(SelfAlertKind::ReloadFailed, ""));
    }
    router
}

/// Reports the end of what another process or the node that led alerted about, and that is seen to be over.
async fn end(engine: &Engine, router: &SelfAlertRouter) -> Result<(), StoreError> {
    let (shared, plan) = (&engine.shared, engine.shared.plan.load_full());
    if router.goes_on(SelfAlertKind::ConfigMismatch, "") {
        let nodes = shared.store.live_nodes(shared.clock.wall()).await?;
        let plans: BTreeSet<&str> = nodes.iter().map(|node| node.plan.as_str()).collect();
        if plans.len() == 1 || !shared.leased() {
            shared.telemetry.raise(SelfAlert::resolved(SelfAlertKind::ConfigMismatch, ""));
        }
    }
    for channel in router.topics(SelfAlertKind::ListenerLost) {
        let listens = plan.channel(channel).is_some_and(|channel| matches!(channel.driver.press_way(), Some(PressWay::Listener(_))));
        if !listens || engine.listener_state(channel).is_some_and(|listener| listener.connected) {
            shared.telemetry.raise(SelfAlert::resolved(SelfAlertKind::ListenerLost, channel));
        }
    }
    Ok(())
}

/// Has the incidents of what goes on, as Watchfire itself knows, not become stale: nobody else reports them. What is over ends.
pub async fn keep(engine: &Engine, router: &SelfAlertRouter) -> Result<(), StoreError> {
    end(engine, router).await?;
    let (plan, now) = (engine.shared.plan.load_full(), engine.shared.clock.wall());
    let groups: Vec<String> = router.groups(&plan).chain(heartbeat::missing(engine)).collect();
    if groups.is_empty() {
        return Ok(());
    }
    engine.shared.store.keep_incidents(&groups, now - KEPT_EVERY.min(plan.incidents.stale_after / 2), now).await
}
