//! The fakes of the preset services with fixed credentials.

use serde_json::json;

use super::presets::{Preset, names};
use super::sample::Sample;

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    // The name, the credential as the fake wants it, what the channel sets, the path that sends, and the secret.
    let rows = [
        ("ntfy", "tk_ntfy-secret", "topic: alerts, token: tk_ntfy-secret", "/", "tk_ntfy-secret"),
        ("gotify", "gotify-secret", "token: gotify-secret", "/message", "gotify-secret"),
        ("bark", "bark-secret", "device_key: bark-secret", "/push", "bark-secret"),
        ("serverchan", "SCT-serverchan-secret", "send_key: SCT-serverchan-secret", ".send", "SCT-serverchan-secret"),
        ("pushplus", "pushplus-secret", "token: pushplus-secret", "/send", "pushplus-secret"),
        ("pushover", "pushover-secret/pushover-user", "token: pushover-secret, user: pushover-user", "/1/messages.json", "pushover-secret"),
        ("mattermost", "mattermost-secret", "hook: mattermost-secret", "/hooks/", "mattermost-secret"),
        ("rocketchat", "rocket-id/rocketchat-secret", "hook: rocket-id, token: rocketchat-secret", "/hooks/", "rocketchat-secret"),
        (
            "googlechat",
            "google-key/googlechat-secret",
            "space: AAAA, webhook_key: google-key, token: googlechat-secret",
            "/v1/spaces/",
            "googlechat-secret",
        ),
    ];
    assert_eq!(rows.map(|row| row.0).to_vec(), names(), "every service of the table of fakes");
    let sample = |(name, credential, given, path, secret): (&'static str, &'static str, &str, &'static str, &'static str)| {
        let credentials = json!({ "credential": credential, "path": Preset::new(name, credential).path(credential) });
        let yaml = format!("preset: {{ name: {name}, params: {{ url: \"BASE\", {given} }} }}");
        Sample::new(credentials, move || Preset::new(name, credential)).channel(name, path, vec![secret].leak(), yaml.leak())
    };
    rows.into_iter().map(sample).collect()
}
