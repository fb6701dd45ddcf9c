//! Why an ack ended while its alerts went on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Severity, UnixMs, format_duration};

/// When the last ack ended, and why, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unacked {
    /// When.
    pub at: UnixMs,
    /// In which version of the incident.
    #[serde(default)]
    pub version: i64,
    /// Why.
    pub why: UnackReason,
}

/// Why an ack ended while its alerts went on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnackReason {
    /// Something more severe fires than was acked.
    Worse {
        /// The most severe that was acked: 0 critical .. 3 info.
        was: u8,
        /// The most severe that fires.
        is: u8,
    },
    /// Its time was over.
    SnoozeEnded {
        /// Whose it was.
        name: String,
    },
    /// Its time passed without a sign of life.
    Expired {
        /// Whose it was.
        name: String,
        /// For how long it had lasted, in seconds.
        seconds: u64,
    },
    /// Somebody said so.
    By {
        /// Who.
        name: String,
    },
    /// The silence with which it began has ended.
    SilenceEnded {
        /// Whose it was.
        name: String,
    },
    /// The silence with which it began was refused.
    NotSilenced {
        /// Whose it was.
        name: String,
        /// Why.
        reason: String,
    },
}

impl UnackReason {
    /// In words, for timelines and logs.
    pub fn text(&self) -> String {
        let severity = |rank: u8| Severity::from_rank(rank.into()).as_str();
        match self {
            Self::Worse { was, is } => format!("was acked at {}, now it is {}", severity(*was), severity(*is)),
            Self::SnoozeEnded { name } => format!("the snooze by {name} ended"),
            Self::Expired { name, seconds } => {
                format!("acked by {name} {} ago, and nothing was heard since", format_duration(Duration::from_secs(*seconds)))
            }
            Self::By { name } => format!("unacked by {name}"),
            Self::SilenceEnded { name } => format!("the silence by {name} ended"),
            Self::NotSilenced { name, reason } => format!("the silence by {name} was refused: {reason}"),
        }
    }
}
