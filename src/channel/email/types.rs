//! Settings that the connection and the mail are made with.

use schemars::JsonSchema;
use serde::Deserialize;

/// Connections of an outlet unless configured otherwise; also how many attempts it makes at once.
pub(super) const DEFAULT_CONNECTIONS: usize = 4;

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// After STARTTLS, which the server must offer (port 587).
    Starttls,
    /// With the first byte (port 465).
    Implicit,
    /// Never.
    None,
    /// After STARTTLS if the server offers it, else not at all; a password is then not sent.
    Opportunistic,
}

/// Which mails a mail client shows as one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThreadBy {
    /// Those of one incident; of a message about none, those of its group of alerts.
    #[default]
    Group,
    /// The same of one day (UTC).
    Day,
    /// None: every mail is a conversation of its own.
    Off,
}
