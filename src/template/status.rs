//! The status of an alert in a message.

/// An alert's status in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryStatus {
    /// It fires.
    Firing,
    /// It fired and was resolved while it waited here.
    CameAndWent,
    /// It is over.
    Resolved,
}
