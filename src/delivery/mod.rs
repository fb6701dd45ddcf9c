//! The delivery core: plan, intake, one worker per outlet, rate limit, fold and digest, retry policy, breaker.
//!
//! An event enters through [`Engine::accept`] and is on disk when that returns. Each outlet has one worker that takes its lanes' heads when the rate limit
//! allows, alone, folded or with others as a digest; an attempt composes, sends one page once, evaluates the answers and records the outcome.
//!
//! [`Engine`] is all that other modules see; what its workers share is private.

pub mod accept;
mod allowance;
mod announcement;
mod attempt;
mod audit;
pub mod catch_up;
mod clock;
pub mod cluster;
mod compose;
mod core;
mod counts;
pub mod direct;
mod driver_result;
mod edit;
pub mod engine;
pub mod escalation;
mod evaluate;
mod excerpt;
mod fallback;
mod fold;
mod gateway;
mod health;
pub mod heartbeat;
pub mod heavy;
mod incident;
pub mod intake;
mod lanes;
pub mod links;
pub mod listen;
mod lock;
pub mod maintenance;
mod missed;
#[cfg(test)]
mod model;
pub mod mutes;
mod node;
mod notified;
pub mod online;
mod outlet;
mod own_alerts;
pub mod owner;
mod payload;
mod pending;
pub mod people;
mod phone;
pub mod plan;
mod policy;
pub mod press;
mod rate_limit;
pub mod receipts;
mod relocate;
pub mod rota;
pub mod self_alert;
pub mod silence;
pub mod simulate;
pub mod stalled;
mod started;
pub mod steps;
mod telemetry;
#[cfg(test)]
mod testing;

pub use audit::{AuditAct, Intent, Recorded};
pub use clock::Clock;
pub use compose::{Composed, Draft};
pub use core::{EngineOptions, EngineParts};
pub use direct::{DirectError, DirectOutcome};
pub use engine::Engine;
pub use incident::Notification;
pub use listen::{ListenerState, PressesOf};
pub use notified::MessageContext;
pub use outlet::OutletState;
pub use people::{ActionsPlan, People, Person, PersonName, Quiet, Way, Why};
pub use plan::{
    AllowancePlan, ChannelPlan, ContentPlan, HeartbeatPlan, IncidentsPlan, Legacy, LegacyEmail, MessagesPlan, Plan, RetentionPlan,
    SelfMonitoringPlan, SendersPlan, SilencePlan, Wx,
};
pub use rota::{Rota, RotaName, Rotation, Shift, ShiftKind};
pub use self_alert::{SelfAlert, SelfAlertKind};
pub use steps::{Calendars, EscalationPlan, PeoplePlan, StepCondition, StepPeople, StepPlan, StepTarget, Team};
