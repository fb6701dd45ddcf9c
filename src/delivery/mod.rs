//! The delivery core: plan, intake, one runner per outlet, pace, fold and digest, retry policy, breaker.

pub mod plan;

pub use plan::{ChannelPlan, Legacy, LegacyEmail, Plan, RetentionPlan};
