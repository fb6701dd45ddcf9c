//! Keys that were called otherwise, here or in Alertmanager, so that a file of the other words is answered with ours.

use crate::model::yaml::{Path, Step};

/// Where a key was, as steps of which `*` is any key or item and a final `**` is any number of them; what it was called; what it is called.
pub(in crate::config) const RENAMED: &[(&[&str], &str, &str)] = &[
    (&[], "generic", "inputs"),
    (&[], "self", "self_monitoring"),
    (&["channels", "*"], "at", "mentions"),
    (&["channels", "*"], "pace", "rate_limit"),
    (&["channels", "*"], "resolved", "send_resolved"),
    (&["channels", "*"], "was", "previous_names"),
    (&["channels", "*", "dingtalk"], "at", "mentions"),
    (&["channels", "*", "discord"], "at", "mentions"),
    (&["channels", "*", "discord"], "webhook_url", "webhook"),
    (&["channels", "*", "email"], "auth_password", "password"),
    (&["channels", "*", "email"], "auth_username", "username"),
    (&["channels", "*", "email"], "smarthost", "server"),
    (&["channels", "*", "feishu"], "at", "mentions"),
    (&["channels", "*", "slack"], "api_url", "webhook"),
    (&["channels", "*", "teams"], "at", "mentions"),
    (&["channels", "*", "teams"], "webhook_url", "webhook"),
    (&["channels", "*", "telegram"], "bot_token", "token"),
    (&["channels", "*", "telegram"], "chat_id", "chat"),
    (&["channels", "*", "wecom"], "api_secret", "secret"),
    (&["channels", "*", "preset"], "use", "name"),
    (&["channels", "*", "preset"], "with", "params"),
    (&["channels", "*", "webhook"], "allow", "allow_networks"),
    (&["channels", "*", "webhook"], "sign", "signing_secrets"),
    (&["heartbeats", "*"], "every", "timeout"),
    (&["heartbeats", "*"], "match", "matchers"),
    (&["heartbeats", "*"], "match_re", "matchers"),
    (&["mutes", "*"], "interval", "mute_time_intervals"),
    (&["mutes", "*"], "intervals", "mute_time_intervals"),
    (&["mutes", "*"], "match", "matchers"),
    (&["mutes", "*"], "match_re", "matchers"),
    (&["mutes", "*"], "recurring", "mute_time_intervals"),
    (&["mutes", "*"], "time_intervals", "mute_time_intervals"),
    (&["route", "**"], "active", "active_time_intervals"),
    (&["route", "**"], "at", "mentions"),
    (&["route", "**"], "match", "matchers"),
    (&["route", "**"], "match_re", "matchers"),
    (&["route", "**"], "mute", "mute_time_intervals"),
    (&["route", "**"], "muted", "on_mute"),
    (&["route", "**"], "receiver", "to"),
    (&["route", "**"], "resolved", "send_resolved"),
];

/// What an unknown key is called now, if it was known in the mapping at `path`.
pub(super) fn renamed(path: &Path, key: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(place, old, _)| *old == key && is_at(path.steps(), place)).map(|(_, _, new)| *new)
}

/// Whether a path is such a place.
pub(super) fn is_at(steps: &[Step], place: &[&str]) -> bool {
    let (place, open) = match place.split_last() {
        Some((&"**", before)) => (before, true),
        _ => (place, false),
    };
    let one = |(step, word): (&Step, &&str)| *word == "*" || matches!(step, Step::Key(key) if key == word);
    (if open { steps.len() >= place.len() } else { steps.len() == place.len() }) && steps.iter().zip(place).all(one)
}
