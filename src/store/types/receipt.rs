//! What a vendor says later about what it took. `sent` stays final: a receipt stands beside it.

use serde::{Deserialize, Serialize};

use super::{FallbackChild, PendingDelivery};
use crate::model::{MessageId, Recipient};

/// How a receipt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// The vendor has not said yet.
    Awaited,
    /// It reached the person.
    Delivered,
    /// It did not, and never will.
    Undelivered,
    /// The vendor said nothing within the time that is waited for.
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
    /// The vendor's id.
    pub platform_id: String,
    /// When it was taken, Unix milliseconds.
    pub sent_at: i64,
    /// When the vendor is asked first.
    pub due_at: i64,
    /// After this it is unheard.
    pub until: i64,
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
    /// The vendor's id.
    pub platform_id: String,
    /// How it stands.
    pub state: ReceiptState,
    /// When it was taken, Unix milliseconds.
    pub sent_at: i64,
    /// When the vendor is asked next; `None` when the state is final.
    pub due_at: Option<i64>,
    /// After this it is unheard.
    pub until: i64,
    /// How often the vendor was asked.
    pub asked: u32,
    /// When the state became final.
    pub heard_at: Option<i64>,
    /// The vendor's code.
    pub code: Option<String>,
    /// What happened, in words.
    pub detail: Option<String>,
}

/// What was heard of a receipt, to be written.
#[derive(Debug, Clone)]
pub struct ReceiptUpdate {
    /// The message.
    pub message: MessageId,
    /// Page, from 0.
    pub page: u16,
    /// Recipient.
    pub recipient: Recipient,
    /// What was heard.
    pub news: ReceiptChange,
    /// Fallback children, committed with a receipt that is `undelivered`. A child whose (origin, channel) exists is left out.
    pub children: Vec<FallbackChild>,
    /// Now.
    pub now: i64,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptChange {
    /// Nothing yet: it is asked again, not before this.
    Later {
        /// Unix milliseconds.
        due_at: i64,
    },
    /// The last word, or that none came.
    Final {
        /// Not `Awaited`.
        state: ReceiptState,
        /// The vendor's code.
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
    /// Whether the newest thing told of its alerts, in the lane where it was born, is that they are over.
    pub over: bool,
}
