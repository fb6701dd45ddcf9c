//! `mutes:` as the file writes it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::route::{OnMute, OneOrMany};

/// A mute: the alerts that match wait until it ends. It has exactly one of `until` and `mute_time_intervals`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MuteBlock {
    /// Its name, in reasons, lists and notices; without one its matchers name it: `team="db"` is `team-db`.
    #[serde(default)]
    pub name: Option<String>,
    /// Matchers as on a route, all of which an alert must match: `'team="db", severity!="critical"'`. The label `channel` is the channel.
    pub matchers: OneOrMany,
    /// Until when: `2026-12-01 06:00` in the `time_zone` of this file, or with an offset (RFC 3339): `2026-12-01T06:00:00+08:00`.
    #[serde(default)]
    pub until: Option<String>,
    /// Time intervals in which it mutes, again and again.
    #[serde(default)]
    pub mute_time_intervals: Vec<String>,
    /// What happens to firing alerts that arrive while it mutes: `defer` (default) or `drop`. What waits already when it begins is deferred.
    #[serde(default)]
    pub on_mute: OnMute,
    /// Why; it is shown wherever the mute is.
    pub reason: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// Characters of a name at most.
const MAX_NAME: usize = 64;

impl MuteBlock {
    /// Its name; without one the letters and digits of its matchers, with hyphens between, and `not` where they exclude: people read it in notices.
    pub fn called(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let matchers = self.matchers.list().join(" ").replace("!=", " not ").replace("!~", " not ");
            let words: Vec<&str> = matchers.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
            if words.is_empty() { "mute".to_owned() } else { words.join("-").chars().take(MAX_NAME).collect() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mute_without_a_name_is_named_by_what_it_matches_and_excludes() {
        for (matchers, name) in [
            (r#""team=\"db\"""#, "team-db"),
            (r#""team=\"db\", severity!=\"critical\"""#, "team-db-severity-not-critical"),
            (r#"["team=\"db\"", "alertname!~\"Backup.*\""]"#, "team-db-alertname-not-Backup"),
        ] {
            let block: MuteBlock = serde_json::from_str(&format!(r#"{{"matchers": {matchers}, "reason": "x"}}"#)).unwrap();
            assert_eq!(block.called(), name);
        }
    }
}
