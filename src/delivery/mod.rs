//! The delivery core: plan, intake, one runner per outlet, pace, fold and digest, retry policy, breaker.
//!
//! An event comes in through [`Engine::accept`] and is on disk when that returns. Each outlet has one runner that takes its lanes' heads when the
//! pace allows, alone, folded or with others as a digest; a step composes, sends one page once, judges the answers and settles.

pub mod accept;
pub mod alarm;
mod attempt;
pub mod clock;
pub mod cluster;
mod compose;
mod core;
pub mod direct;
pub mod engine;
mod excerpt;
mod fallback;
mod fold;
pub mod heartbeat;
pub mod heavy;
pub mod intake;
mod job;
pub mod keeper;
mod lanes;
pub mod links;
mod lock;
#[cfg(test)]
mod model;
mod mutes;
mod outcome;
mod outlet;
mod pace;
mod payload;
pub mod plan;
mod policy;
mod reading;
pub mod receipts;
mod relocate;
pub mod simulate;
pub mod stalled;
#[cfg(test)]
mod testing;
mod told;

pub use alarm::Alarm;
pub use clock::Clock;
pub use compose::{Composed, Draft};
pub use core::{EngineOptions, Shared};
pub use direct::{DirectError, DirectOutcome};
pub use engine::Engine;
pub use outlet::{OutletState, supervise};
pub use plan::{ChannelPlan, HeartbeatPlan, Legacy, LegacyEmail, Plan, RetentionPlan, Wx};
pub use told::Known;

/// The month of a time, `2026-11` (UTC), as monthly quotas are counted.
fn month(ms: i64) -> String {
    clock::timestamp(ms).strftime("%Y-%m").to_string()
}
