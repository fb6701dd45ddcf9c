//! Files of teams, and what holds for all channels.

use schemars::JsonSchema;
use serde::Deserialize;

use super::route::OneOrMany;
use crate::channel::registry::{ActionsConfig, DigestConfig};
use crate::model::{Language, SecretSource};

/// Files of teams: a text, or a block where the files see other alerts than those whose label `team` is the name of the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum IncludeEntry {
    /// `teams/*.yaml` is `{ files: "teams/*.yaml", matchers: 'team="{name}"' }`.
    Files(String),
    /// With matchers of its own.
    Block(IncludeBlock),
}

/// Files that become part of this one: each holds `channels`, `people`, `teams`, `rotas`, `escalations`, `time_intervals`, `tests` and a `route`, written as here.
/// Their routes come after those of this file and see only the alerts that the matchers let in; they lead to the file's own channels and to those of this file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncludeBlock {
    /// A file below this one's folder (`teams/db.yaml`), or all with such names (`teams/*.yaml`), in the order of their names. At most 500.
    pub files: String,
    /// Which alerts the files' routes see. `{name}` is the name of the file: `team="{name}"` is `team="db"` for `teams/db.yaml`. Needed with `*`.
    pub matchers: OneOrMany,
    /// Environment variables and files with secrets that these files may name besides their own. Own are, for `teams/db.yaml`, variables that begin with `DB_`
    /// and files in `teams/db/`.
    #[serde(default)]
    pub secrets: Vec<String>,
}

/// What holds for everything of a kind that does not say otherwise.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DefaultsBlock {
    /// For channels, also those of included files. What a channel says itself wins, as a whole.
    pub channels: ChannelDefaults,
}

/// What holds for every channel: the keys that mean the same on all platforms.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelDefaults {
    /// Language of the words that templates add.
    pub language: Option<Language>,
    /// Total time one attempt may take.
    pub timeout: Option<String>,
    /// How long a delivery may be retried before it is dead.
    pub max_age: Option<String>,
    /// At most this many pages per message.
    pub max_pages: Option<u16>,
    /// `off`, or `{ after: 30s }`: merge what waits when it cannot leave within this time.
    pub digest: Option<DigestConfig>,
    /// Proxy for the HTTP requests of channels.
    pub proxy: Option<SecretSource>,
    /// Who may press which button.
    pub actions: Option<ActionsConfig>,
}
