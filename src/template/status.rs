//! The status of an alert in a message.

/// An alert's status in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryStatus {
    /// It fires.
    Firing,
    /// Its sender does not report it any more, without having said that it was resolved: silenced there, or gone.
    Unreported,
    /// It fired and was resolved while it waited here.
    CameAndWent,
    /// It is over.
    Resolved,
}

impl EntryStatus {
    /// Whether its sender said that it is over.
    pub fn is_over(self) -> bool {
        matches!(self, EntryStatus::CameAndWent | EntryStatus::Resolved)
    }
}
