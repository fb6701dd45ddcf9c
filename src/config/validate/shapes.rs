//! Secrets that are hardly what the platform issued: with what copying adds to them, or of another shape than the vendor documents. A value is never repeated.

use super::Validator;
use crate::config::codes;
use crate::config::source::Anchor;
use crate::model::yaml::{Path, Step};
use crate::model::{Finding, SecretSource};

/// The shape of a credential, as its vendor documents it.
struct Shape {
    platform: &'static str,
    key: &'static str,
    fits: fn(&str) -> bool,
    /// What the vendor's look like.
    looks: &'static str,
}

/// What a driver needs besides, it reports as an error.
const SHAPES: &[Shape] = &[
    // https://docs.slack.dev/authentication/tokens: bot tokens, also those that are rotated. A person's token has a warning of its own.
    Shape {
        platform: "slack",
        key: "token",
        fits: |text| ["xoxb-", "xoxe.xoxb-", "xoxp-", "xoxe.xoxp-"].iter().any(|begin| text.starts_with(begin)),
        looks: "a bot token begins with `xoxb-`",
    },
    // https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    Shape {
        platform: "slack",
        key: "webhook",
        fits: is_slack_webhook,
        looks: "the address of an incoming webhook is `https://hooks.slack.com/services/T…/B…/…`, with all three parts",
    },
    // https://support.microsoft.com/office/8ae491c7-0394-4861-ba59-055e33f75498; *Get link to channel* shows another address.
    Shape {
        platform: "teams",
        key: "webhook",
        fits: |text| host_of(text).is_none_or(|host| host != "teams.microsoft.com"),
        looks: "a link to a channel takes no messages; the address of the flow's trigger does",
    },
    // https://core.telegram.org/bots/api#authorizing-your-bot
    Shape {
        platform: "telegram",
        key: "token",
        fits: |text| {
            let is_rest = |rest: &str| rest.len() == 35 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            text.split_once(':').is_some_and(|(id, rest)| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) && is_rest(rest))
        },
        looks: "a token has digits, `:` and 35 characters",
    },
    // https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages
    Shape {
        platform: "dingtalk",
        key: "access_token",
        fits: |text| is_hex(text, 64),
        looks: "the `access_token` of a robot has 64 hexadecimal digits",
    },
    Shape {
        platform: "dingtalk",
        key: "secret",
        fits: |text| text.starts_with("SEC"),
        looks: "the signing secret (加签) begins with `SEC`; a keyword belongs under `keyword`",
    },
    // https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot; the addresses of older robots end in 32 digits.
    Shape {
        platform: "feishu",
        key: "token",
        fits: |text| is_uuid(text) || is_hex(text, 32),
        looks: "the last part of a robot's address is like `12345678-1234-1234-1234-123456789abc`",
    },
    // https://developer.work.weixin.qq.com/document/path/91770
    Shape { platform: "wecom_robot", key: "key", fits: is_uuid, looks: "the `key` of a robot is like `12345678-1234-1234-1234-123456789abc`" },
    // https://discord.com/developers/docs/resources/webhook#execute-webhook
    Shape { platform: "discord", key: "webhook", fits: is_discord_webhook, looks: "the address is `https://discord.com/api/webhooks/<id>/<token>`" },
];

/// Warns of the shapes of secrets, after the drivers were built: what they refuse is reported.
pub fn shapes(validator: &mut Validator<'_, '_>) {
    let sites = validator.sites;
    for site in sites {
        // Without secrets only what is in the file is known.
        if validator.report.is_blamed(&site.path) || !(validator.secrets.real() || matches!(site.source, SecretSource::Literal(_))) {
            continue;
        }
        let Some(value) = validator.secret(&site.source) else { continue };
        if let Some((what, label)) = added(value.expose()).or_else(|| scheme(value.expose(), &site.path)) {
            let finding = Finding::warning(codes::DOUBTFUL_SECRET, format!("the secret `{}` {what}", site.path)).label(label);
            validator.report.add(finding, &site.path, Anchor::Value);
        } else if let Some(shape) = shape_of(validator, &site.path).filter(|shape| !(shape.fits)(value.expose())) {
            let message = format!("the secret `{}` is hardly one of {}'s", site.path, shape.platform);
            let finding = Finding::warning(codes::DOUBTFUL_SECRET, message).label(format!("{}; copy it again", shape.looks));
            validator.report.add(finding, &site.path, Anchor::Value);
        }
    }
}

/// What copying adds, and what to do.
fn added(value: &str) -> Option<(&'static str, &'static str)> {
    const PAIRS: [(char, char); 5] = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’')];
    let text = value.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'));
    let is_between =
        |(begin, end): &(char, char)| text.strip_prefix(*begin).and_then(|rest| rest.strip_suffix(*end)).is_some_and(|rest| !rest.is_empty());
    if PAIRS.iter().any(is_between) {
        return Some(("is in quotes, which are sent as a part of it", "remove the quotes where the secret is kept"));
    }
    // Keys and certificates have lines, and end in line breaks.
    if text.is_empty() || text.starts_with("-----BEGIN") {
        return None;
    }
    if text.contains(['\n', '\r']) {
        return Some(("has more than one line", "keep what is needed of it, in one line"));
    }
    (text.len() < value.len()).then_some(("has white space before or after it", "remove it where the secret is kept"))
}

/// A bearer token with the word that its header begins with: callers would have to send the word twice.
fn scheme(value: &str, path: &Path) -> Option<(&'static str, &'static str)> {
    let is_bearer = matches!(path.steps().last(), Some(Step::Key(key)) if key == "bearer");
    let begins = value.get(..7).is_some_and(|begin| begin.eq_ignore_ascii_case("bearer "));
    (is_bearer && begins).then_some(("begins with the word `Bearer`, which is no part of it", "keep only what follows it"))
}

/// The shape of what is at a path; `None` where the vendor documents none, or another server is in its place.
fn shape_of(validator: &Validator<'_, '_>, path: &Path) -> Option<&'static Shape> {
    let [Step::Key(root), Step::Key(channel), Step::Key(platform), Step::Key(key)] = path.steps() else { return None };
    let shape = SHAPES.iter().find(|shape| root == "channels" && platform == shape.platform && key == shape.key)?;
    let block = Path::of("channels").key(channel);
    let elsewhere = validator.report.source.root.as_ref()?.at(&block.key(platform))?.get("api_base").is_some();
    (!elsewhere && !validator.report.is_blamed_inside(&block)).then_some(shape)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Groups of 8, 4, 4, 4 and 12 letters and digits: vendors' own examples are not all hexadecimal.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.concat().bytes().all(|b| b.is_ascii_alphanumeric())
}

fn host_of(text: &str) -> Option<String> {
    Some(reqwest::Url::parse(text).ok()?.host_str()?.to_owned())
}

/// An address of Slack that takes messages, or of another system that takes Slack's.
fn is_slack_webhook(text: &str) -> bool {
    // What is no address the driver refuses.
    let Ok(url) = reqwest::Url::parse(text) else { return true };
    let host = url.host_str().unwrap_or_default();
    if host != "slack.com" && !host.ends_with(".slack.com") {
        return true;
    }
    let parts: Vec<&str> = url.path().trim_matches('/').split('/').collect();
    matches!(parts.as_slice(), ["services", team, hook, secret] if ![team, hook, secret].iter().any(|part| part.is_empty()))
}

/// An address of Discord, or of a server on this machine.
fn is_discord_webhook(text: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(text) else { return false };
    let host = url.host_str().unwrap_or_default();
    if host == "localhost" || host == "[::1]" || host.starts_with("127.") {
        return true;
    }
    let is_discord =
        ["discord.com", "discordapp.com"].iter().any(|name| host == *name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')));
    let parts: Vec<&str> = url.path().trim_matches('/').split('/').collect();
    let (id, token) = match parts.as_slice() {
        ["api", "webhooks", id, token] | ["api", _, "webhooks", id, token] => (*id, *token),
        _ => return false,
    };
    is_discord && !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) && !token.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(platform: &str, key: &str, text: &str) -> bool {
        (SHAPES.iter().find(|shape| shape.platform == platform && shape.key == key).unwrap().fits)(text)
    }

    #[test]
    fn credentials_fit_as_their_vendors_issue_them() {
        let token = format!("123456789:{}", "aB-_9".repeat(7));
        let uuid = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa";
        for (platform, key, right, wrong) in [
            ("slack", "token", "xoxb-1-2-a", "xapp-1-2-a"),
            ("slack", "token", "xoxe.xoxb-1-a", "1-2-a"),
            ("slack", "webhook", "https://hooks.slack.com/services/T0/B0/x", "https://hooks.slack.com/services/T0/B0"),
            ("slack", "webhook", "https://hooks.slack.example/a", "https://example.slack.com/archives/C0"),
            ("teams", "webhook", "https://prod-00.westeurope.logic.azure.com/workflows/a", "https://teams.microsoft.com/l/channel/19"),
            ("telegram", "token", &*token, &token[..token.len() - 1]),
            ("telegram", "token", &*token, &token[1 + token.find(':').unwrap()..]),
            ("dingtalk", "access_token", &*"0123456789abcdef".repeat(4), &*"0123456789abcdeg".repeat(4)),
            ("dingtalk", "secret", "SEC0", "sec0"),
            ("feishu", "token", uuid, "cli_0123456789"),
            ("wecom_robot", "key", uuid, &uuid[1..]),
            ("discord", "webhook", "https://discord.com/api/webhooks/1/a-b", "https://discord.com/channels/1/2"),
            ("discord", "webhook", "https://canary.discord.com/api/v10/webhooks/1/a", "https://notdiscord.com/api/webhooks/1/a"),
            ("discord", "webhook", "http://127.0.0.1:8080/x", "https://discord.com/api/webhooks/1/"),
        ] {
            assert!(fits(platform, key, right), "{platform}.{key}: {right}");
            assert!(!fits(platform, key, wrong), "{platform}.{key}: {wrong}");
        }
    }

    #[test]
    fn what_copying_adds_is_seen() {
        let what = |text: &str| added(text).map(|(what, _)| what.split(' ').nth(2).unwrap_or_default());
        for quoted in ["'xoxb-1'", "\"a\"", " \"a\"\n", "“a”", "`a`"] {
            assert_eq!(what(quoted), Some("quotes,"), "{quoted}");
        }
        for spaced in [" a", "a\n", "a\r\n", "\ta"] {
            assert_eq!(what(spaced), Some("space"), "{spaced}");
        }
        for lines in ["a\nb", "a\r\nb\n"] {
            assert_eq!(what(lines), Some("than"), "{lines}");
        }
        assert_eq!(what("\u{feff}a"), Some("space"), "a mark that is not seen");
        let bearer = Path::of("server").key("auth").item(0).key("bearer");
        assert!(scheme("Bearer abc", &bearer).is_some() && scheme("Bearer", &bearer).is_none() && scheme("bearerabc", &bearer).is_none());
        assert!(scheme("Bearer abc", &Path::of("channels").key("a").key("webhook").key("headers").key("Authorization")).is_none());
        for fine in ["a", "a'", "'", "''", "it's", "a b", "  ", "-----BEGIN X-----\na\n"] {
            assert_eq!(what(fine), None, "{fine}");
        }
    }
}
