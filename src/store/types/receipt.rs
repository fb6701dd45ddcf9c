//! Receipts: what a platform reports later about what it accepted. `sent` stays final; the receipt is stored beside it.

use serde::{Deserialize, Serialize};

use super::{FallbackChild, PendingDelivery};
use crate::model::{MessageId, Recipient, UnixMs};

/// The state of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// The platform has not reported yet.
    Awaited,
    /// It reached the person.
    Delivered,
    /// It did not, and never will.
    Undelivered,
    /// The platform reported nothing within the time allowed.
    Unheard,
}

impl ReceiptState {
    /// The name in SQL, metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            ReceiptState::Awaited => "awaited",
            ReceiptState::Delivered => "delivered",
            ReceiptState::Undelivered => "undelivered",
            ReceiptState::Unheard => "unheard",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [ReceiptState::Awaited, ReceiptState::Delivered, ReceiptState::Undelivered, ReceiptState::Unheard].into_iter().find(|s| s.as_str() == name)
    }
}

/// A receipt to wait for, of a cell that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReceipt {
    /// Page, from 0.
    pub page: u16,
    /// Recipient.
    pub recipient: Recipient,
    /// The channel that sent it.
    pub channel: String,
    /// The platform's id.
    pub platform_id: String,
    /// When it was taken, Unix milliseconds.
    pub sent_at: UnixMs,
    /// When the platform is asked first.
    pub due_at: UnixMs,
    /// After this it is unheard.
    pub until: UnixMs,
}

/// A receipt as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRow {
    /// The message.
    pub message: MessageId,
    /// Page, from 0.
    pub page: u16,
    /// Recipient.
    pub recipient: Recipient,
    /// The channel that sent it.
    pub channel: String,
    /// The platform's id.
    pub platform_id: String,
    /// Its state.
    pub state: ReceiptState,
    /// When it was taken, Unix milliseconds.
    pub sent_at: UnixMs,
    /// When the platform is asked next; `None` when the state is final.
    pub due_at: Option<UnixMs>,
    /// After this it is unheard.
    pub until: UnixMs,
    /// How often the platform was asked.
    pub asked: u32,
    /// When the state became final.
    pub heard_at: Option<UnixMs>,
    /// The platform's code.
    pub code: Option<String>,
    /// What happened, in words.
    pub detail: Option<String>,
}

/// A change of a receipt, to be written.
#[derive(Debug, Clone)]
pub struct ReceiptUpdate {
    /// The message.
    pub message: MessageId,
    /// Page, from 0.
    pub page: u16,
    /// Recipient.
    pub recipient: Recipient,
    /// What was learnt.
    pub news: ReceiptChange,
    /// Fallback children, committed with a receipt that is `undelivered`. A child whose (origin, channel) exists is left out.
    pub children: Vec<FallbackChild>,
    /// Now.
    pub now: UnixMs,
}

/// What was learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptChange {
    /// Nothing yet: the platform is asked again, not before this.
    Later {
        /// Unix milliseconds.
        due_at: UnixMs,
    },
    /// The final report, or that none came.
    Final {
        /// Not `Awaited`.
        state: ReceiptState,
        /// The platform's code.
        code: Option<String>,
        /// What happened, in words.
        detail: String,
    },
}

/// A delivery that a message carried to its platform.
#[derive(Debug, Clone)]
pub struct SentDelivery {
    /// The delivery, without its event.
    pub delivery: PendingDelivery,
    /// Whether its alerts are resolved, as of the newest delivery in the lane where it was born.
    pub over: bool,
}
