//! The languages of messages.

use serde::{Deserialize, Serialize};

/// The language of the words that templates add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese (简体中文).
    Zh,
}

impl Language {
    /// The reason of an act as people read it: that none was written is said, too.
    pub fn reason_or_none(self, reason: &str) -> &str {
        match self {
            _ if !reason.is_empty() => reason,
            Language::En => "no reason given",
            Language::Zh => "未注明原因",
        }
    }
}
