//! What people were notified of a mute, and what it holds.

use crate::model::UnixMs;

/// How far people were notified of a mute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MuteStage {
    /// That it has begun.
    Begun,
    /// That it ends soon.
    Ending,
    /// That it has ended.
    Ended,
}

impl MuteStage {
    /// Its number in SQL.
    pub(in crate::store) fn number(self) -> i64 {
        self as i64
    }

    /// From its number.
    pub(in crate::store) fn of(number: i64) -> Self {
        match number {
            0 => Self::Begun,
            1 => Self::Ending,
            _ => Self::Ended,
        }
    }
}

/// What is remembered of a mute: since when it mutes, what people were notified of, and what it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuteRow {
    /// Its name in the file between back quotes, or its matchers.
    pub key: String,
    /// The channels that were notified that it began, and are notified that it ended.
    pub channels: Vec<String>,
    /// When it began; of one that comes again, the last time.
    pub began: UnixMs,
    /// Until when it mutes or muted; [`UnixMs::MAX`] without a known end.
    pub until: UnixMs,
    /// What people were notified of.
    pub stage: MuteStage,
    /// What it holds, or held last: deliveries by severity, the most severe first.
    pub held: [u32; 4],
    /// When it held something last; `None`: never.
    pub held_at: Option<UnixMs>,
}

/// Deliveries that mutes have deferred.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldRow {
    /// The channel.
    pub channel: String,
    /// Their reason, which names the mute.
    pub reason: String,
    /// Their rank: 0 is the most severe.
    pub rank: i64,
    /// How many.
    pub count: u32,
}
