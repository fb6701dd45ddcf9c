//! One worker per outlet: it owns the outlet's rate limit and gate, and starts messages when they allow.
//!
//! An outlet is what a platform counts together: a platform and a credential. [`ownership`], [`gate`] and [`select`] decide, purely; [`worker`] does.

mod ahead;
mod attempts;
mod breaker;
mod channels;
mod claim;
mod editing;
mod edits;
pub mod gate;
pub mod mailbox;
mod owned;
mod ownership;
mod poll;
mod polled;
mod probe;
mod recent;
pub mod registry;
pub mod select;
pub mod supervise;
mod wake;
pub mod worker;

pub use mailbox::{Command, OutletState};
pub use owned::OwnedOutlet;
pub use worker::Worker;
pub(crate) use worker::supervised;
