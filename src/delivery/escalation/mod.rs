//! Escalations: what is sent when nobody acks an incident.
//!
//! The steps of an escalation are deliveries that wait for their time. They are stored in the transaction that accepts the event with which the escalation
//! begins. A step is composed when it is due, of what fires then; it is refused in the statement that would begin it when what it is for is acked or over
//! (I13). A step that was not confirmed makes the next one due at once.

mod chain;
mod drill;
mod watch;

pub use chain::{Beginning, begin, begin_by_hand, steps};
pub use drill::DrillError;
