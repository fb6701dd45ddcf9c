//! The memory of a message, and what of it goes back to disk while it waits.

use std::sync::Arc;

use crate::delivery::lanes::{MemoryBudget, delivery_bytes, is_large, page_bytes};

use super::{PendingMessage, Phase};

/// Memory of a cell, about.
const CELL_BYTES: usize = 200;
/// Contexts of traces that are kept without their events.
const MAX_TRACES: usize = 33;

impl PendingMessage {
    /// Contexts of the traces of the events it carries, as far as they are in memory.
    pub fn traces(&self) -> impl Iterator<Item = &str> {
        let members = self.members.iter().filter_map(|member| Some(member.event.as_ref()?.trace.as_str()));
        members.chain(self.memory.traces.iter().map(String::as_str)).filter(|trace| !trace.is_empty())
    }

    /// Drops large events: they are read again when they are needed.
    pub fn drop_large_events(&mut self) {
        for member in &mut self.members {
            if let Some(event) = member.event.take_if(|event| is_large(event))
                && !event.trace.is_empty()
            {
                self.memory.traces.push(event.trace.clone());
            }
        }
    }

    /// Reserves its memory, however little is left: what was begun must go on.
    pub fn reserve_memory(&mut self, budget: &Arc<MemoryBudget>) {
        let members: usize = self.members.iter().chain(&self.lanes.returned).map(delivery_bytes).sum();
        let pages: usize = self.pages().iter().map(page_bytes).sum();
        self.memory.reservations = vec![budget.reserve(members + pages + self.cells.len() * CELL_BYTES)];
    }

    /// Leaves to the store what it has and only a retry needs: the events, and the pages when memory is short.
    pub fn shed_memory(&mut self, budget: &Arc<MemoryBudget>) {
        let waits_for_nobody = self.caller.is_none();
        if let Phase::Stored { pages, .. } = &mut self.phase
            && waits_for_nobody
        {
            for member in &mut self.members {
                if let Some(event) = member.event.take()
                    && !event.trace.is_empty()
                    && self.memory.traces.len() < MAX_TRACES
                {
                    self.memory.traces.push(event.trace.clone());
                }
            }
            if budget.is_short() {
                *pages = None;
            }
        }
        self.reserve_memory(budget);
    }
}
