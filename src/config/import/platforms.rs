//! Alertmanager's chat configurations as channels of the platforms that have a driver. What a driver's block is called is asked of the
//! schema, so that a platform that this build lacks is reported as such. Knows nothing of routes.

use super::context::{Converted, ImportContext, REPLACE, Unsupported, key, or_global, secret};
use super::http::http;
use super::reader::{Keys, is_template, scalar};
use super::text::Yaml;
use crate::channel::platform;
use crate::model::yaml::Node;

/// The first of these platforms that has a driver.
fn driver(candidates: &[&str], what: &str) -> Result<&'static str, Unsupported> {
    candidates
        .iter()
        .find_map(|name| platform(name))
        .map(|platform| platform.name)
        .ok_or_else(|| Unsupported::new(format!("this version has no driver for {what}"), REPLACE))
}

/// A `slack` block.
pub fn slack<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Result<Converted, Unsupported> {
    let channel = keys.text("channel", context.notes);
    if channel.is_some_and(is_template) {
        return Err(Unsupported::new("its channel is made by a Go template", "write one channel for each room, and a route with a matcher to each"));
    }
    let mut http = http(keys, context);
    let token = secret(keys, "app_token", context, None, "SLACK_TOKEN");
    let _ = or_global(keys, "app_url", context, "slack_app_url");
    let url = keys.peek("api_url").or_else(|| context.global.peek("slack_api_url")).and_then(scalar).unwrap_or_default();
    // The older way to use a bot: its method's address, and the token as authorization.
    let method = url.split('?').next().is_some_and(|url| url.trim_end_matches('/').ends_with("/api/chat.postMessage"));
    let own_webhook = keys.peek("api_url").is_some() || keys.peek("api_url_file").is_some();
    let token = token.or_else(|| method.then(|| http.bearer(context.notes)).flatten()).or_else(|| {
        let global = (!own_webhook).then(|| (context.global.take("slack_app_token"), context.global.take("slack_app_token_file")));
        global.and_then(|(literal, file)| context.notes.secret(literal, file, "SLACK_TOKEN", "`global.slack_app_token`"))
    });
    let mut block = Yaml::map::<&str>([]);
    if let Some(token) = token {
        keys.take("api_url");
        let Some(channel) = channel else { return Err(Unsupported::new("a bot needs a `channel`", REPLACE)) };
        block.push("token", token);
        // A bare word names a room; ids and people are recognised by their first letter.
        let bare = channel.starts_with(|c: char| c.is_ascii_lowercase());
        block.push("channel", Yaml::text(if bare { format!("#{channel}") } else { channel.to_owned() }));
    } else {
        match hook(url) {
            Hook::Slack => {}
            Hook::Workflow => {
                let why = "its address starts a workflow of Slack, which takes variables and no messages";
                return Err(Unsupported::new(why, "make an incoming webhook or a bot for the room, and replace the `log` block by hand"));
            }
            Hook::Preset { preset, name, base, secrets } => {
                let (channel, base) = (channel.map(|room| room.trim_start_matches('#').to_owned()), base.to_owned());
                let params = compatible(keys, context, (preset, name), &base, secrets, channel.as_deref());
                let mut block = Yaml::map([("name", Yaml::text(preset)), ("params", params)]);
                http.ca_file("preset", &mut block);
                return Ok(Converted { platform: "preset", blocks: vec![block], channel_settings: http.done("preset", context) });
            }
            Hook::Other => {
                let why = "its address is not Slack's: some other server that takes Slack's messages, perhaps not all of what is in them";
                let todo = "see what arrives with `watchfire send`; `watchfire platforms` lists what has a driver or a preset of its own";
                context.notes.remark(keys.line, format!("the webhook of {}", context.what), why, todo);
            }
        }
        let webhook = secret(keys, "api_url", context, Some("slack_api_url"), "SLACK_WEBHOOK");
        block.push("webhook", webhook.ok_or_else(|| Unsupported::new("there is no `api_url`", REPLACE))?);
        if let Some(channel) = channel {
            let todo = "nothing if it is the webhook's own; else use a bot: `slack: { token, channel }`";
            context.notes.remark(
                keys.line,
                format!("the room {channel} of {}", context.what),
                "a webhook posts to the room that it was made for; only the oldest ones accept another",
                todo,
            );
        }
    }
    http.ca_file("slack", &mut block);
    Ok(Converted { platform: "slack", blocks: vec![block], channel_settings: http.done("slack", context) })
}

/// Whose a webhook is that takes Slack's messages, told by its address.
#[derive(Debug, PartialEq)]
enum Hook<'u> {
    /// Slack's own, or one that is not known, because it is in a file.
    Slack,
    /// Slack's, for a workflow.
    Workflow,
    /// A server with a preset; the part before `/hooks/`, and the preset's secrets, which come after it.
    Preset { preset: &'static str, name: &'static str, base: &'u str, secrets: &'static [&'static str] },
    /// Another server.
    Other,
}

fn hook(url: &str) -> Hook<'_> {
    let Ok(parsed) = reqwest::Url::parse(url) else { return Hook::Slack };
    if matches!(parsed.host_str(), Some("hooks.slack.com" | "hooks.slack-gov.com")) {
        let first = parsed.path_segments().and_then(|mut parts| parts.next());
        return if matches!(first, Some("workflows" | "triggers")) { Hook::Workflow } else { Hook::Slack };
    }
    let Some((base, behind)) = url.split_once("/hooks/") else { return Hook::Other };
    match behind.trim_end_matches('/').split('/').filter(|part| !part.is_empty()).count() {
        // https://developers.mattermost.com/integrate/webhooks/incoming/
        1 => Hook::Preset { preset: "mattermost", name: "Mattermost", base, secrets: &["hook"] },
        // https://docs.rocket.chat/docs/integrations
        2 => Hook::Preset { preset: "rocketchat", name: "Rocket.Chat", base, secrets: &["hook", "token"] },
        _ => Hook::Other,
    }
}

/// What a preset is given for a webhook like Slack's.
fn compatible<'n>(
    keys: &mut Keys<'n>,
    context: &mut ImportContext<'_, 'n>,
    (preset, name): (&'static str, &'static str),
    base: &str,
    secrets: &[&'static str],
    channel: Option<&str>,
) -> Yaml {
    let own = keys.take("api_url");
    let literal = own.or_else(|| context.global.take("slack_api_url"));
    let mut params = Yaml::map([("url", Yaml::text(base))]);
    for (ix, key) in secrets.iter().enumerate() {
        let part = if secrets.len() == 1 { "the part".to_owned() } else { format!("part {} of the path", ix + 1) };
        let holds = format!("{part} behind `/hooks/` in `api_url` of {}", context.what);
        let variable = format!("{}_{}_{}", context.channel, preset.to_uppercase(), key.to_uppercase());
        if let Some(secret) = context.notes.secret(literal, None, &variable, &holds) {
            params.push(key, secret);
        }
    }
    if let Some(channel) = channel {
        params.push("channel", Yaml::text(channel));
    }
    let todo = "put only the part after `/hooks/` of the address into the variable";
    context.notes.remark(
        keys.line,
        format!("the webhook of {}", context.what),
        format!("it is {name}'s, by its address, and goes through the preset for it"),
        todo,
    );
    params
}

/// A `wecom` block.
pub fn wechat<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Result<Converted, Unsupported> {
    let mut http = http(keys, context);
    let corp = or_global(keys, "corp_id", context, "wechat_api_corp_id").ok_or_else(|| Unsupported::new("there is no `corp_id`", REPLACE))?;
    let agent = keys.text("agent_id", context.notes).unwrap_or_default();
    if agent.is_empty() || !agent.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Unsupported::new("its `agent_id` is not a number", REPLACE));
    }
    let api_secret = secret(keys, "api_secret", context, Some("wechat_api_secret"), "WECOM_SECRET");
    let mut block = Yaml::map([("corp_id", Yaml::text(corp)), ("agent_id", Yaml::Bare(agent.to_owned()))]);
    block.push("secret", api_secret.ok_or_else(|| Unsupported::new("there is no `api_secret`", REPLACE))?);
    for name in ["to_user", "to_party", "to_tag"] {
        let Some(whom) = keys.text(name, context.notes) else { continue };
        if is_template(whom) {
            return Err(Unsupported::new(
                format!("its `{name}` is made by a Go template"),
                "write one channel for each, and a route with a matcher to each",
            ));
        }
        block.push(name, Yaml::text(whom));
    }
    if let Some(base) = or_global(keys, "api_url", context, "wechat_api_url") {
        let base = base.trim_end_matches('/').trim_end_matches("/cgi-bin");
        if base != "https://qyapi.weixin.qq.com" {
            block.push("api_base", Yaml::text(base));
        }
    }
    // Messages here are what suits WeCom best, whatever the type was.
    keys.take("message_type");
    http.ca_file("wecom", &mut block);
    Ok(Converted { platform: "wecom", blocks: vec![block], channel_settings: http.done("wecom", context) })
}

/// A `telegram` block.
pub fn telegram<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Result<Converted, Unsupported> {
    let platform = driver(&["telegram"], "Telegram")?;
    let mut http = http(keys, context);
    let token = secret(keys, "bot_token", context, Some("telegram_bot_token"), "TELEGRAM_TOKEN");
    let token = token.ok_or_else(|| Unsupported::new("there is no `bot_token`", REPLACE))?;
    let chat = keys.text("chat_id", context.notes).ok_or_else(|| Unsupported::new("there is no `chat_id`", REPLACE))?;
    let (Some(token_key), Some(chat_key)) = (key(platform, &["token", "bot_token"]), key(platform, &["chat", "chat_id", "to", "chats"])) else {
        return Err(Unsupported::new("the driver takes no token or chat", REPLACE));
    };
    let mut rest = Yaml::map::<&str>([]);
    http.ca_file(platform, &mut rest);
    let thread = keys.peek("message_thread_id").and_then(scalar).filter(|id| *id != "0");
    if let (Some(id), Some(at)) = (thread, key(platform, &["thread", "thread_id", "topic", "message_thread_id"])) {
        keys.take("message_thread_id");
        rest.push(at, Yaml::Bare(id.to_owned()));
    }
    let silent = keys.peek("disable_notifications").is_some();
    if let (true, Some(at)) = (silent, key(platform, &["silent", "disable_notification"])) {
        rest.push(at, Yaml::bool(keys.flag("disable_notifications", context.notes).unwrap_or(false)));
    }
    let base = or_global(keys, "api_url", context, "telegram_api_url").filter(|url| url.trim_end_matches('/') != "https://api.telegram.org");
    if let (Some(base), Some(at)) = (base, key(platform, &["api_base"])) {
        rest.push(at, Yaml::text(base.trim_end_matches('/')));
    }
    keys.take("parse_mode");
    // The chat may be a number, a text or a list to the driver.
    let shapes = [Yaml::text(chat), Yaml::Bare(chat.to_owned()), Yaml::texts([chat])];
    let blocks = shapes.into_iter().map(|chat| {
        let mut block = Yaml::map([(token_key, token.clone()), (chat_key, chat)]);
        block.extend(&rest);
        block
    });
    let blocks: Vec<Yaml> = blocks.collect();
    Ok(Converted { platform, blocks, channel_settings: http.done(platform, context) })
}

/// A `pagerduty` block: Events API v2 only, which has routing keys.
pub fn pagerduty<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Result<Converted, Unsupported> {
    let mut http = http(keys, context);
    let key = secret(keys, "routing_key", context, None, "PAGERDUTY_KEY").ok_or_else(|| {
        Unsupported::new(
            "there is no `routing_key`; a `service_key` is one of the older Events API v1",
            "make an Events API v2 integration of the service and use its key",
        )
    })?;
    let mut block = Yaml::map([("routing_key", key)]);
    let base = or_global(keys, "url", context, "pagerduty_url");
    let base =
        base.map(|url| url.trim_end_matches('/').trim_end_matches("/v2/enqueue").to_owned()).filter(|url| url != "https://events.pagerduty.com");
    if let Some(base) = base {
        block.push("api_base", Yaml::text(base));
    }
    if let Some(client) = keys.text("client", context.notes).filter(|client| !client.contains("{{")) {
        block.push("client", Yaml::text(client));
    }
    http.ca_file("pagerduty", &mut block);
    Ok(Converted { platform: "pagerduty", blocks: vec![block], channel_settings: http.done("pagerduty", context) })
}

/// A `preset` block for Pushover.
pub fn pushover<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Result<Converted, Unsupported> {
    let mut http = http(keys, context);
    let token = secret(keys, "token", context, None, "PUSHOVER_TOKEN").ok_or_else(|| Unsupported::new("there is no `token`", REPLACE))?;
    let user = secret(keys, "user_key", context, None, "PUSHOVER_USER").ok_or_else(|| Unsupported::new("there is no `user_key`", REPLACE))?;
    let mut params = Yaml::map([("token", token), ("user", user)]);
    if let Some(sound) = keys.text("sound", context.notes).filter(|sound| !sound.contains("{{")) {
        params.push("sound", Yaml::text(sound));
    }
    let mut block = Yaml::map([("name", Yaml::text("pushover")), ("params", params)]);
    http.ca_file("preset", &mut block);
    Ok(Converted { platform: "preset", blocks: vec![block], channel_settings: http.done("preset", context) })
}

/// A `discord` block.
pub fn discord<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Result<Converted, Unsupported> {
    by_address(keys, context, &["discord"], "Discord", "DISCORD_WEBHOOK")
}

/// A `teams` block; the retired connectors need a new address.
pub fn teams<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>, kind: &str) -> Result<Converted, Unsupported> {
    let node: Option<&Node> = keys.peek("webhook_url").or_else(|| keys.peek("webhook_url_file"));
    let line = node.map_or(keys.line, |node| node.span.line);
    let carried = by_address(keys, context, &["teams", "msteams"], "Microsoft Teams", "TEAMS_WEBHOOK")?;
    if kind == "msteams" {
        let todo = "make a flow from the template for webhook requests in the channel's Workflows, and put its address into the variable";
        context.notes.remark(line, format!("the address of {}", context.what), "it is that of a connector, which Microsoft retires", todo);
    }
    Ok(carried)
}

fn by_address<'n>(
    keys: &mut Keys<'n>,
    context: &mut ImportContext<'_, 'n>,
    names: &[&str],
    what: &str,
    variable: &str,
) -> Result<Converted, Unsupported> {
    let platform = driver(names, what)?;
    let mut http = http(keys, context);
    let url = secret(keys, "webhook_url", context, None, variable).ok_or_else(|| Unsupported::new("there is no `webhook_url`", REPLACE))?;
    let at = key(platform, &["webhook", "webhook_url", "url"]).ok_or_else(|| Unsupported::new("the driver takes no address", REPLACE))?;
    let mut block = Yaml::map([(at, url)]);
    http.ca_file(platform, &mut block);
    Ok(Converted { platform, blocks: vec![block], channel_settings: http.done(platform, context) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_like_slacks_are_told_from_slacks() {
        let preset = |url| match hook(url) {
            Hook::Preset { preset, base, .. } => Some((preset, base)),
            _ => None,
        };
        assert_eq!(preset("https://mattermost.example.org/hooks/abc"), Some(("mattermost", "https://mattermost.example.org")));
        assert_eq!(preset("https://chat.example.org/team/hooks/abc/"), Some(("mattermost", "https://chat.example.org/team")));
        assert_eq!(preset("https://rocket.example.org/hooks/a/b"), Some(("rocketchat", "https://rocket.example.org")));
        for (url, whose) in [
            ("https://hooks.slack.com/services/T0/B0/x", Hook::Slack),
            ("https://hooks.slack-gov.com/services/T0/B0/x", Hook::Slack),
            ("<secret>", Hook::Slack),
            ("https://hooks.slack.com/triggers/T0/1/x", Hook::Workflow),
            ("https://hooks.slack.com/workflows/T0/A/1/x", Hook::Workflow),
            ("https://zulip.example.org/api/v1/external/slack_incoming?api_key=x&stream=ops", Hook::Other),
            ("https://hooks.slack.com.evil.example/services/T0/B0/x", Hook::Other),
        ] {
            assert_eq!(hook(url), whose, "{url}");
        }
    }
}
