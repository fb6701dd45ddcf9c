//! How far a message is, as far as memory and the store know it.

use std::sync::Arc;

use crate::model::{AttemptId, Page};

/// How far a message is. Cells and outcomes say what was sent of it.
#[derive(Debug)]
pub enum Phase {
    /// Its members are known; it is not composed.
    Formed,
    /// Its pages are in memory only.
    Composed(Arc<Vec<Page>>),
    /// The store has the message. Without `pages`, they were left to the store while it waits for its next try. `begun` is an attempt that the store has
    /// as begun and of which no byte has left.
    Stored { pages: Option<Arc<Vec<Page>>>, begun: Option<BegunAttempt> },
}

/// An attempt at a page that is on disk as begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BegunAttempt {
    /// Its identity.
    pub id: AttemptId,
    /// Its page, from 0.
    pub page: u16,
}

impl Phase {
    /// After composing; the store has nothing of these pages. Without pages it is not composed.
    pub fn composed(pages: Vec<Page>) -> Self {
        if pages.is_empty() { Self::Formed } else { Self::Composed(Arc::new(pages)) }
    }

    /// The pages in memory; `None` before it is composed, and while they are left to the store.
    pub fn pages(&self) -> Option<&Arc<Vec<Page>>> {
        match self {
            Self::Composed(pages) => Some(pages),
            Self::Stored { pages, .. } => pages.as_ref(),
            Self::Formed => None,
        }
    }

    /// The store has it now.
    pub fn mark_stored(&mut self) {
        if let Self::Composed(pages) = self {
            *self = Self::Stored { pages: Some(std::mem::take(pages)), begun: None };
        }
    }

    /// The attempt that the store has as begun, and of which no byte has left.
    pub fn begun(&self) -> Option<BegunAttempt> {
        match self {
            Self::Stored { begun, .. } => *begun,
            Self::Formed | Self::Composed(_) => None,
        }
    }

    /// Sets or clears it; only a stored message has one.
    pub fn set_begun(&mut self, attempt: Option<BegunAttempt>) {
        if let Self::Stored { begun, .. } = self {
            *begun = attempt;
        }
    }
}
