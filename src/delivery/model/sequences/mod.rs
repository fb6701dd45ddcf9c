//! The sequences of events that the model of an incident answers, each by name: what a sender, people and platforms do, and what then rings, is edited, or
//! says nothing. They are played on the real engine and store, in injected time.
//!
//! A script has one step a line, which takes a minute, and below it what people saw, and the incidents whose state changed:
//!
//! ```text
//! report disk db:critical          the sender reports that both fire
//!     > chat message 1 rings, firing: disk db
//!     > #1 firing
//! ```

mod ack_ends;
mod acks;
mod changes;
mod gone;
mod news;
mod once;
mod over;
mod room;
mod stage;
mod storm;
mod twins;

/// A test of that name that plays a script.
macro_rules! sequence {
    ($name:ident, $script:expr) => {
        #[test]
        fn $name() {
            super::stage::play($script);
        }
    };
}
use sequence;
