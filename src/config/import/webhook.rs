//! `webhook_configs` of Alertmanager as `webhook` channels, or as those of the robots behind the usual bridges; Mattermost's, whose address is a webhook's.
//! Knows no other platform.

use std::net::IpAddr;

use super::context::{Converted, ImportContext, REPLACE, Unsupported, plain_name, secret};
use super::http::http;
use super::reader::{Keys, environment_name, is_template, scalar};
use super::robots::Robot;
use super::text::Yaml;
use crate::channel::kit::SsrfGuard;
use crate::model::yaml::Node;
use crate::model::{Secret, parse_duration};

/// A `webhook` block; a `dingtalk` one when the address is that of the usual bridge to DingTalk.
pub fn webhook<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Result<Converted, Unsupported> {
    let node = keys.peek("url");
    let url = node.and_then(scalar).unwrap_or_default();
    if let Some(target) = dingtalk_target(url) {
        return Ok(dingtalk(target, keys, context));
    }
    if let Some(robot) = Robot::in_address(url).into_iter().nth(context.robot) {
        return Ok(robot.converted(keys, context));
    }
    if is_bridge(url) {
        let (what, why) =
            (format!("the address of {}", context.what), "it names no robot that is known here: the bridge goes on sending these alerts");
        let todo = "keep the bridge running, or write the channel that it sends to in place of this one";
        context.notes.remark(keys.line, what, why, todo);
    }
    if is_template(url) {
        return Err(Unsupported::new("its address is made by a Go template", REPLACE));
    }
    let host = node.and_then(|node| host(node, context));
    let mut http = http(keys, context);
    let address = secret(keys, "url", context, None, "URL").ok_or_else(|| Unsupported::new("there is no `url`", REPLACE))?;
    let mut block = Yaml::map([("url", address)]);
    if let Some(token) = http.bearer(context.notes) {
        block.push("bearer", token);
    }
    if let Some(login) = http.basic(context.notes) {
        block.push("basic", login);
    }
    if let Some(headers) = http.headers(context.notes) {
        block.push("headers", headers);
    }
    // Alertmanager reaches what is near it; here that has to be said.
    match (host, url.is_empty()) {
        (Some(host), _) if is_internal(&host) => block.push("allow_networks", Yaml::texts([host])),
        (None, true) => {
            let todo = "if it is an internal one, add `allow_networks: [its host]` to the channel";
            context.notes.remark(keys.line, format!("the address of {}", context.what), "it is in a file that is not read here", todo);
        }
        _ => {}
    }
    if let Some(node) = keys.take("max_alerts").filter(|node| scalar(node) != Some("0")) {
        let what = format!("`max_alerts` of {}", context.what);
        context.notes.remark(node.span.line, what, "all alerts of a message are sent", "`max_pages` of the channel limits what one message holds");
    }
    http.ca_file("webhook", &mut block);
    let mut channel_settings = http.done("webhook", context);
    if let Some(node) = keys.take("timeout").filter(|node| scalar(node) != Some("0")) {
        match scalar(node).filter(|text| parse_duration(text).is_ok_and(|time| !time.is_zero())) {
            Some(text) => channel_settings.push(("timeout", Yaml::text(text))),
            None => {
                let what = format!("`timeout` of {}", context.what);
                context.notes.remark(node.span.line, what, "it is no duration in Prometheus' words", "write `timeout: 5s` on the channel");
            }
        }
    }
    Ok(Converted { platform: "webhook", blocks: vec![block], channel_settings })
}

/// The host of an address; one that Alertmanager would refuse too is refused. The address is not quoted: it may hold a secret.
fn host(node: &Node, context: &mut ImportContext<'_, '_>) -> Option<String> {
    let url = scalar(node).and_then(|text| reqwest::Url::parse(text.trim()).ok()).filter(|url| matches!(url.scheme(), "http" | "https"));
    let host = url.as_ref().and_then(reqwest::Url::host_str).map(|host| host.trim_matches(['[', ']']).to_owned());
    if host.is_none() {
        let what = format!("the address of {} is no web address", context.what);
        context.notes.refuse(node.span, what, "write it like https://hooks.example.com/alerts; Alertmanager refuses this too");
    }
    host
}

/// Whether a host is one of this machine or this network, as far as its name shows.
fn is_internal(host: &str) -> bool {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return SsrfGuard::default().check(ip).is_err();
    }
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let own = ["local", "localhost", "localdomain", "internal", "intranet", "lan", "corp", "home", "svc", "consul", "docker", "test"];
    !host.trim_end_matches('.').contains('.') || own.contains(&last.as_str()) || host.ends_with(".home.arpa")
}

/// A `preset` block for Mattermost.
pub fn mattermost<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Result<Converted, Unsupported> {
    let by_hand = "write `preset: { name: mattermost, params: { url, hook } }` in place of the `log` block";
    if keys.peek("webhook_url_file").is_some() {
        return Err(Unsupported::new("its address is in a file, and server and hook are distinguished here", by_hand));
    }
    let node = keys.take("webhook_url").ok_or_else(|| Unsupported::new("there is no `webhook_url`", by_hand))?;
    let text = scalar(node).unwrap_or_default().trim_end_matches('/');
    let (server, hook) =
        text.rsplit_once("/hooks/").filter(|_| text.starts_with("http")).ok_or_else(|| Unsupported::new("its address has no `/hooks/`", by_hand))?;
    let mut http = http(keys, context);
    let name = format!("{}_MATTERMOST_HOOK", context.channel);
    let holds = format!("the part after `/hooks/` in `webhook_url` of {}", context.what);
    let hook = context.notes.variable(&name, Secret::new(hook), node.span.line, &holds);
    let mut params = Yaml::map([("url", Yaml::text(server)), ("hook", hook)]);
    for key in ["channel", "username"] {
        if let Some(text) = keys.peek(key).and_then(scalar).filter(|text| !text.is_empty() && !is_template(text)) {
            keys.take(key);
            params.push(key, Yaml::text(text));
        }
    }
    let mut block = Yaml::map([("name", Yaml::text("mattermost")), ("params", params)]);
    http.ca_file("preset", &mut block);
    Ok(Converted { platform: "preset", blocks: vec![block], channel_settings: http.done("preset", context) })
}

/// How many channels a configuration becomes: one for each robot that its address names.
pub fn count(node: &Node) -> usize {
    let url = node.entries().iter().find(|entry| entry.key == "url").and_then(|entry| scalar(&entry.value));
    url.map_or(1, |url| Robot::in_address(url).len().max(1))
}

/// Whether an address is that of PrometheusAlert or alertmanager-webhook-adapter.
fn is_bridge(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default().trim_end_matches('/');
    path.ends_with("/prometheusalert") || path.ends_with("/webhook/send") && url.contains("channel_type=")
}

/// The target in `http://host:8060/dingtalk/TARGET/send`.
fn dingtalk_target(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?.trim_end_matches('/').strip_suffix("/send")?;
    let (rest, target) = path.rsplit_once('/')?;
    (rest.ends_with("/dingtalk") && !target.is_empty() && !is_template(target)).then_some(target)
}

fn dingtalk<'n>(target: &str, keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Converted {
    let line = keys.peek("url").map_or(keys.line, |node| node.span.line);
    // How the bridge is reached says nothing about how DingTalk is.
    for gone in ["url", "http_config", "max_alerts", "timeout"] {
        keys.take(gone);
    }
    let prefix = environment_name(&format!("DINGTALK_{}", plain_name(target)));
    let (bridge, own) = (format!("`targets.{target}` of the DingTalk bridge"), "its value is in the bridge's file, not in this one");
    // The values are not known here, so each name is its own value.
    let mut variable = |part: &str, holds: String| {
        let name = format!("{prefix}_{part}");
        context.notes.variable(&name, Secret::new(name.clone()), line, &holds)
    };
    let token = variable("TOKEN", format!("the part after `access_token=` in `url` of {bridge}"));
    let secret = variable("SECRET", format!("`secret` of {bridge}; remove the key `secret` from the channel when there is none"));
    context.notes.remark(line, format!("the robot of the DingTalk target {target}"), own, format!("set {prefix}_TOKEN and {prefix}_SECRET from it"));
    Converted { platform: "dingtalk", blocks: vec![Yaml::map([("access_token", token), ("secret", secret)])], channel_settings: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_to_dingtalk_is_known_by_its_path() {
        for url in ["http://127.0.0.1:8060/dingtalk/ops/send", "http://bridge/x/dingtalk/ops/send/?a=b"] {
            assert_eq!(dingtalk_target(url), Some("ops"), "{url}");
        }
        for url in ["http://h/dingtalk/send", "http://h/ding/ops/send", "http://h/dingtalk/{{ .x }}/send", ""] {
            assert_eq!(dingtalk_target(url), None, "{url}");
        }
    }

    #[test]
    fn hosts_that_are_near() {
        for host in ["localhost", "127.0.0.1", "10.0.0.8", "::1", "fd00::1", "alert-bot", "bot.monitoring.svc", "bot.monitoring.svc.cluster.local"] {
            assert!(is_internal(host), "{host}");
        }
        for host in ["hooks.example.com", "8.8.8.8", "example.com.", "2606:4700::1111"] {
            assert!(!is_internal(host), "{host}");
        }
    }
}
