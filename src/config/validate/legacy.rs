//! The bindings of the direct paths: each to a channel of its own platform.

use indexmap::IndexMap;

use super::Validator;
use crate::channel::Platform;
use crate::config::codes;
use crate::config::file::{LegacyWx, OneOrMany};
use crate::config::source::Anchor;
use crate::config::suggest::listed;
use crate::delivery::{Legacy, LegacyEmail, Wx};
use crate::model::Finding;
use crate::model::yaml::Path;

/// A direct path and the platforms that can speak for it. `log` can for all of them: it shows what would be sent.
struct Wire {
    key: &'static str,
    what: &'static str,
    fits: fn(&str) -> bool,
}

const WIRES: [Wire; 7] = [
    Wire { key: "email", what: "an e-mail channel", fits: |name| name == "email" },
    Wire { key: "slack", what: "a Slack channel", fits: |name| name == "slack" },
    Wire { key: "dingding", what: "a DingTalk robot", fits: |name| name == "dingtalk" },
    Wire { key: "wx", what: "a WeCom application", fits: |name| name == "wecom" },
    Wire { key: "sms", what: "an SMS channel", fits: |name| name.contains("sms") },
    Wire { key: "vms", what: "a voice channel", fits: |name| name.contains("voice") || name.contains("vms") },
    Wire { key: "dingding_call", what: "a channel for DingTalk calls", fits: |name| name == "dingtalk_call" },
];

/// Validates `legacy:`.
pub fn legacy(validator: &mut Validator<'_, '_>) -> Legacy {
    let block = &validator.file.legacy;
    let path = Path::of("legacy");
    let one = |validator: &mut Validator<'_, '_>, name: &Option<String>, key: &str| {
        let name = name.clone()?;
        bound(validator, &name, &path.key(key), key).then_some(name)
    };
    let dingding = one(validator, &block.dingding, "dingding");
    let wx = match &block.wx {
        None => Wx::default(),
        Some(LegacyWx::One(name)) => one(validator, &Some(name.clone()), "wx").map(Wx::One).unwrap_or_default(),
        Some(LegacyWx::ByAgent(agents)) => {
            for (agent, name) in agents {
                bound(validator, name, &path.key("wx").key(agent), "wx");
            }
            Wx::ByAgent(agents.clone())
        }
    };
    let sms = one(validator, &block.sms, "sms");
    let vms = one(validator, &block.vms, "vms");
    let dingding_call = one(validator, &block.dingding_call, "dingding_call");
    for (called, name) in &block.slack {
        bound(validator, name, &path.key("slack").key(called), "slack");
    }
    let email = block.email.as_ref().map(|email| {
        let path = path.key("email");
        bound(validator, &email.channel, &path.key("channel"), "email");
        for (ix, pattern) in email.allow_from.iter().enumerate() {
            let at = path.key("allow_from").item(ix);
            if pattern.is_empty() || pattern.matches('*').count() > 1 {
                let message = format!("`{pattern}` is not a pattern for senders");
                validator.report.error(codes::BAD_CHANNEL, &at, Anchor::Value, message, "write an address, with at most one `*`: `*@example.com`");
            } else if pattern == "*" {
                let finding = Finding::warning(codes::DOUBTFUL_CHANNEL, "callers may send mail in anybody's name")
                    .label("name your own domains: `*@example.com`");
                validator.report.add(finding, &at, Anchor::Value);
            }
        }
        LegacyEmail { channel: email.channel.clone(), allow_from: email.allow_from.clone() }
    });
    let mut bridge = |bindings: &IndexMap<String, OneOrMany>, key: &str| {
        let mut bound_to = IndexMap::new();
        for (name, channels) in bindings {
            let at = path.key(key).key(name);
            for (ix, channel) in channels.list().iter().enumerate() {
                let at = if matches!(channels, OneOrMany::One(_)) { at.clone() } else { at.item(ix) };
                bound(validator, channel, &at, key);
            }
            bound_to.insert(name.clone(), channels.list().to_vec());
        }
        bound_to
    };
    let dingtalk = bridge(&block.dingtalk, "dingtalk");
    let prometheusalert = bridge(&block.prometheusalert, "prometheusalert");
    let webhook_send = bridge(&block.webhook_send, "webhook_send");
    Legacy { email, slack: block.slack.clone(), dingding, wx, sms, vms, dingding_call, dingtalk, prometheusalert, webhook_send }
}

/// Whether a channel exists and speaks for a direct path; reports it if not.
fn bound(validator: &mut Validator<'_, '_>, name: &str, path: &Path, key: &str) -> bool {
    if !validator.channel(name, path, &format!("`legacy.{key}` names")) {
        return false;
    }
    let Some(wire) = WIRES.iter().find(|wire| wire.key == key) else { return true };
    let Some(Some(platform)) = validator.names.get(name).copied() else { return true };
    let fits = |platform: &Platform| platform.name == "log" || (wire.fits)(platform.name);
    if fits(platform) {
        return true;
    }
    let fitting: Vec<&str> =
        validator.names.iter().filter(|(_, p)| p.is_some_and(|p| p.name != "log" && fits(p))).map(|(name, _)| name.as_str()).collect();
    let finding = Finding::error(codes::WRONG_PLATFORM, format!("`legacy.{key}` needs {}", wire.what))
        .label(format!("`{name}` is a channel of the platform {}", platform.name))
        .note(format!("channels that fit: {}", listed(fitting.iter().copied())));
    validator.report.add(finding, path, Anchor::Value);
    false
}

#[cfg(test)]
mod tests {
    use super::WIRES;

    #[test]
    fn a_path_is_bound_to_what_speaks_for_it() {
        for (key, platforms) in [
            ("email", &["email"][..]),
            ("slack", &["slack"]),
            ("dingding", &["dingtalk"]),
            ("wx", &["wecom"]),
            ("sms", &["aliyun_sms", "tencent_sms", "twilio_sms"]),
            ("vms", &["aliyun_voice", "tencent_voice", "twilio_voice"]),
            ("dingding_call", &["dingtalk_call"]),
        ] {
            let wire = WIRES.iter().find(|wire| wire.key == key).unwrap();
            let mut fit: Vec<&str> = crate::channel::PLATFORMS.iter().map(|platform| platform.name).filter(|name| (wire.fits)(name)).collect();
            fit.sort_unstable();
            assert_eq!(fit, platforms, "{key}");
        }
    }
}
