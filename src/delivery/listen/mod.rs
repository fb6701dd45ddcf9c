//! Keeps the connections open over which platforms report presses of buttons: one for the channels of a credential, on every node, or on the owner of
//! their outlet where the platform allows only one.

mod line;
mod pause;
mod registry;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub use self::line::{ListenerState, PressesOf};
pub(super) use self::registry::Listeners;

use self::line::{Line, Served};
use super::engine::Engine;
use super::outlet::supervise::Supervision;
use super::plan::Plan;
use crate::channel::{Listener, PressWay};

/// How often plan and ownership are looked at.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

impl Engine {
    /// How the listener of a channel's presses does; `None` where it has none, and where another node listens.
    pub fn listener_state(&self, channel: &str) -> Option<ListenerState> {
        self.listeners.state(channel)
    }
}

/// Keeps the listeners of the plan that is active, until cancelled.
pub async fn run(engine: Arc<Engine>, presses: PressesOf, cancel: CancellationToken) {
    let mut supervision = Supervision::of("listeners", &engine.shared);
    while !supervision.run(ticks(&engine, &presses, &cancel), "", &cancel).await {}
    engine.listeners.keep(|_| false);
}

async fn ticks(engine: &Arc<Engine>, presses: &PressesOf, cancel: &CancellationToken) -> bool {
    // What a panic left behind has no task any more.
    engine.listeners.keep(|_| false);
    let mut tasks = JoinSet::new();
    let mut running: Vec<(Arc<Line>, AbortHandle)> = Vec::new();
    let mut known: Option<Arc<Plan>> = None;
    let mut shown: BTreeSet<Arc<str>> = BTreeSet::new();
    let mut interval = tokio::time::interval(TICK_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return true,
            _ = interval.tick() => {}
        }
        let plan = engine.shared.plan.load_full();
        if known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &plan)) {
            let wanted = listeners(&plan);
            running.retain(|(line, task)| {
                let stays = wanted.iter().any(|(listener, _)| line.is_of(listener));
                if !stays {
                    task.abort();
                }
                stays
            });
            for (listener, served) in wanted {
                match running.iter().find(|(line, _)| line.is_of(&listener)) {
                    Some((line, _)) => line.serve(served),
                    None => {
                        let line = Line::new(&engine.shared, listener, presses.clone(), served);
                        running.push((line.clone(), tasks.spawn(line.keep())));
                    }
                }
            }
            engine.listeners.keep(|old| running.iter().any(|(line, _)| Arc::ptr_eq(line, old)));
            engine.listeners.show(running.iter().map(|(line, _)| line.clone()).collect());
            let now: BTreeSet<Arc<str>> = running.iter().flat_map(|(line, _)| line.channels()).collect();
            for gone in shown.difference(&now) {
                engine.shared.telemetry.metrics.listener(gone, None);
            }
            shown = now;
            known = Some(plan);
        }
        for (line, _) in &running {
            line.tick();
            line.show(line.is_connected());
        }
        while tasks.try_join_next().is_some() {}
    }
}

/// The listeners of a plan, each with the channels that it serves.
fn listeners(plan: &Plan) -> Vec<(Arc<dyn Listener>, Served)> {
    let mut found: Vec<(Arc<dyn Listener>, Served)> = Vec::new();
    for channel in plan.channels.values().filter(|channel| !channel.disabled) {
        let Some(PressWay::Listener(listener)) = channel.driver.press_way() else { continue };
        match found.iter_mut().find(|(known, _)| std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(&listener))) {
            Some((_, served)) => {
                served.channels.push(channel.name.clone());
                // The same one on every node, whatever the order of the file.
                served.outlet = served.outlet.clone().min(channel.outlet.clone());
            }
            None => found.push((listener, Served { channels: vec![channel.name.clone()], outlet: channel.outlet.clone() })),
        }
    }
    found
}
