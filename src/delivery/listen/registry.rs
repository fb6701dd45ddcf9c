//! The listeners of this node, as others see them.

use std::sync::{Arc, Mutex};

use super::line::{Line, ListenerState};
use crate::delivery::lock::lock;

/// The listeners of this node.
#[derive(Default)]
pub(in crate::delivery) struct Listeners {
    lines: Mutex<Vec<Arc<Line>>>,
}

impl Listeners {
    pub(super) fn state(&self, channel: &str) -> Option<ListenerState> {
        lock(&self.lines).iter().find(|line| line.serves(channel)).and_then(|line| line.state())
    }

    /// Replaces what is shown.
    pub(super) fn show(&self, lines: Vec<Arc<Line>>) {
        *lock(&self.lines) = lines;
    }

    /// Retires the lines that do not stay.
    pub(super) fn keep(&self, stays: impl Fn(&Arc<Line>) -> bool) {
        let mut lines = lock(&self.lines);
        lines.iter().filter(|line| !stays(line)).for_each(|line| line.retire());
        lines.retain(stays);
    }
}
