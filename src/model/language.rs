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
