//! Addresses: webhooks, which are secrets themselves, and links.

use crate::channel::{BuildContext, Problem};
use crate::model::{Secret, SecretSource};

use super::{is_placeholder, join, read_secret};

/// Reads an address that is a secret, and puts its path and query on another server when `base` names one. `help` says what to copy from where.
pub fn read_address(cx: &BuildContext<'_>, path: &str, source: &SecretSource, base: Option<&str>, help: &str) -> Result<Secret, Problem> {
    let address = read_secret(cx, path, source)?;
    if is_placeholder(cx, &address) {
        return Ok(address);
    }
    let url = reqwest::Url::parse(address.expose()).map_err(|_| Problem::new(path, "it is not an address", help))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Problem::new(path, "it is not an http or https address", help));
    }
    Ok(match base {
        Some(base) => {
            let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
            Secret::new(join(base, &format!("{}{query}", url.path())))
        }
        None => address,
    })
}

/// Hosts of platforms whose webhooks have addresses of their own, and the key under which such an address belongs.
const HOOK_HOSTS: &[(&str, &str)] = &[
    ("hooks.slack.com", "slack.webhook"),
    ("discord.com", "discord.webhook"),
    ("discordapp.com", "discord.webhook"),
    ("oapi.dingtalk.com", "dingtalk.access_token"),
    ("open.feishu.cn", "feishu.token"),
    ("open.larksuite.com", "feishu.token"),
    ("qyapi.weixin.qq.com", "wecom_robot.key"),
];

/// Whether an address is the webhook of another platform than the one whose key `path` is.
pub fn check_hook(path: &str, address: &Secret) -> Option<Problem> {
    let url = reqwest::Url::parse(address.expose()).ok()?;
    let (host, key) = HOOK_HOSTS.iter().find(|(host, _)| url.host_str() == Some(host))?;
    let name = |key: &str| key.split('.').next().unwrap_or_default().to_owned();
    (name(key) != name(path)).then(|| Problem::new(path, format!("`{host}` is another platform's"), format!("write it as `{key}`")))
}

/// What must not show of a secret address: all of it, its path, its path's last part, and the values of its query.
pub fn address_secrets(address: &Secret) -> Vec<Secret> {
    let mut secrets = vec![address.clone()];
    if let Ok(url) = reqwest::Url::parse(address.expose()) {
        let last = url.path().rsplit('/').next().unwrap_or_default().to_owned();
        let values = url.query_pairs().map(|(_, value)| value.into_owned());
        let parts = [url.path().to_owned(), last].into_iter().chain(values);
        // Short values (`true`, `1`) are no secrets, and scrubbing them would eat the error's words.
        secrets.extend(parts.filter(|part| part.len() >= 8).map(Secret::new));
        secrets.extend(url.query().filter(|query| query.len() >= 8).map(Secret::new));
    }
    secrets
}

/// Whether an address can be reached from outside, as far as its host's name shows.
pub fn is_reachable_from_outside(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let inside = [".local", ".localhost", ".internal", ".lan", ".home", ".corp", ".test", ".invalid"];
    let host = url.host_str().unwrap_or_default();
    match host.parse::<std::net::Ipv4Addr>() {
        Ok(ip) => !ip.is_private() && !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified(),
        // An IPv6 address is in brackets, and has no dot.
        Err(_) => host.contains('.') && !inside.iter().any(|end| host.ends_with(end)),
    }
}

/// Whether a platform that reads the addresses of links takes this one: http or https, and a host with a dot in it, or an IPv4 address.
pub fn is_linkable(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default();
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    matches!(url.scheme(), "http" | "https") && host.contains('.') && host.split('.').all(is_label)
}
