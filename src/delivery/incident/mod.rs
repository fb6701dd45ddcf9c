//! Incidents: what an event says of them, what of it is news to a channel, and how the channel is notified.
//!
//! An event changes its incidents in the transaction that accepts it. A worker compares an incident with what its channel was notified when it composes a
//! message, and decides whether that rings, edits or does nothing. What was notified is stored with the outcome. Nothing else changes an incident.

mod decide;
mod notification;
mod report;

pub use decide::{How, Known, Moment, Said, decide, decide_step, deserves_its_edit, ended, how_for, is_due_again, is_over, news};
pub use notification::{Notification, NotifiedIncident, answer, mute, shown_state, silence};
pub use report::reports;
