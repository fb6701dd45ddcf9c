//! Webhooks whose address is that of a bridge and names whom it sends to: `/prometheusalert?type=dd&ddurl=..`, or
//! `/webhook/send?channel_type=dingtalk&token=..` of alertmanager-webhook-adapter, which has no configuration of its own. Each robot or application becomes a
//! channel, and the bridge is not needed any more.

use super::bridges::{ROBOTS, after};
use super::context::{Converted, ImportContext};
use super::reader::{Keys, environment_name, is_template};
use super::text::Yaml;
use crate::model::Secret;

/// A robot or an application that an address names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Robot {
    platform: &'static str,
    keys: Vec<(&'static str, Part)>,
    /// Whom its messages ping, as the query writes it.
    at: String,
}

/// The value of a key of its block.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// It becomes an environment variable; how its name ends.
    Secret(&'static str, String),
    Text(String),
    Number(String),
}

impl Robot {
    /// All that an address names; none where one of them has no platform here, because then the bridge must go on.
    pub fn in_address(address: &str) -> Vec<Self> {
        let Ok(url) = reqwest::Url::parse(address) else { return Vec::new() };
        let is_said = |value: &String| !value.is_empty() && !is_template(value);
        let get = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).filter(is_said);
        let robots = match url.path().trim_end_matches('/') {
            path if path.ends_with("/prometheusalert") => of_prometheusalert(get),
            path if path.ends_with("/webhook/send") => of_adapter(get).map(|robot| vec![robot]),
            _ => None,
        };
        robots.unwrap_or_default()
    }

    /// Its channel.
    pub fn converted<'n>(self, keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Converted {
        let line = keys.peek("url").map_or(keys.line, |node| node.span.line);
        // How the bridge is reached says nothing about how the platform is.
        for gone in ["url", "http_config", "max_alerts", "timeout"] {
            keys.take(gone);
        }
        let mut channel_settings = Vec::new();
        channel_settings.extend(self.mentions(line, context).map(|mentions| ("mentions", mentions)));
        let mut block = Yaml::Map(Vec::new());
        for (key, part) in self.keys {
            let value = match part {
                Part::Text(text) => Yaml::text(text),
                Part::Number(number) => Yaml::Bare(number),
                Part::Secret(ending, value) => {
                    let name = environment_name(&format!("{}_{ending}", context.channel));
                    let holds = format!("the robot's {} in `url` of {}", ending.to_ascii_lowercase(), context.what);
                    context.notes.variable(&name, Secret::new(value), line, &holds)
                }
            };
            block.push(key, value);
        }
        Converted { platform: self.platform, blocks: vec![block], channel_settings }
    }

    /// `mentions` of its channel; whom its platform does not ping by such an address is left out, with a remark.
    fn mentions(&self, line: usize, context: &mut ImportContext<'_, '_>) -> Option<Yaml> {
        let is_number = |one: &str| one.len() >= 7 && one.bytes().all(|b| b.is_ascii_digit() || b == b'+');
        let (mut all, mut mobiles, mut users, mut left) = (false, Vec::new(), Vec::new(), Vec::new());
        for one in self.at.split([',', '|']).map(str::trim).filter(|one| !one.is_empty()) {
            match (one, self.platform) {
                ("all" | "@all", _) => all = true,
                (_, "feishu") if !one.starts_with("ou_") => left.push(one),
                (_, "dingtalk" | "wecom_robot") if is_number(one) => mobiles.push(one),
                _ => users.push(one),
            }
        }
        if !left.is_empty() {
            let what = format!("`at` in the address of {}", context.what);
            context.notes.remark(line, what, "Feishu pings people by their open id only", "write `mentions: { users: [ou_...] }` on the channel");
        }
        let mut mentions = Yaml::Map(Vec::new());
        if all {
            mentions.push("all", Yaml::bool(true));
        }
        for (key, list) in [("mobiles", mobiles), ("users", users)] {
            if !list.is_empty() {
                mentions.push(key, Yaml::texts(list));
            }
        }
        (mentions != Yaml::Map(Vec::new())).then_some(mentions)
    }
}

fn of_prometheusalert(get: impl Fn(&str) -> Option<String>) -> Option<Vec<Robot>> {
    let kind = get("type")?;
    let (_, address, _, platform, key, mark) = ROBOTS.into_iter().find(|(_, _, known, ..)| *known == kind)?;
    let (urls, at) = (get(address)?, get("at").unwrap_or_default());
    // One of them is enough.
    let most = if get("rr").as_deref() == Some("true") { 1 } else { usize::MAX };
    let robot = |url: &str| {
        let mut keys = vec![(key, Part::Secret("TOKEN", after(url, mark)?.to_owned()))];
        keys.extend(after(url, "secret=").filter(|_| platform == "dingtalk").map(|secret| ("secret", Part::Secret("SECRET", secret.to_owned()))));
        Some(Robot { platform, keys, at: at.clone() })
    };
    urls.split(',').map(str::trim).filter(|url| !url.is_empty()).take(most).map(robot).collect()
}

fn of_adapter(get: impl Fn(&str) -> Option<String>) -> Option<Robot> {
    let token = || Some(Part::Secret("TOKEN", get("token")?));
    let (platform, keys) = match get("channel_type")?.as_str() {
        "dingtalk" => ("dingtalk", vec![("access_token", token()?)]),
        "weixin" => ("wecom_robot", vec![("key", token()?)]),
        "feishu" => ("feishu", vec![("token", token()?)]),
        // The adapter puts the `#` before a name that has none.
        "slack" => ("slack", vec![("token", token()?), ("channel", Part::Text(format!("#{}", get("channel")?.trim_start_matches('#'))))]),
        "discord-webhook" => {
            let webhook = format!("https://discord.com/api/webhooks/{}/{}", get("id")?, get("token")?);
            ("discord", vec![("webhook", Part::Secret("WEBHOOK", webhook))])
        }
        "weixinapp" => {
            let agent = get("agent_id").filter(|agent| agent.bytes().all(|b| b.is_ascii_digit()))?;
            let mut keys = vec![
                ("corp_id", Part::Text(get("corp_id")?)),
                ("agent_id", Part::Number(agent)),
                ("secret", Part::Secret("SECRET", get("agent_secret")?)),
            ];
            keys.extend(["to_user", "to_party", "to_tag"].into_iter().filter_map(|name| Some((name, Part::Text(get(name)?)))));
            ("wecom", keys)
        }
        _ => return None,
    };
    Some(Robot { platform, keys, at: get("at").unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::import::{Endpoint, import};

    #[test]
    fn the_robots_of_an_address_are_known() {
        let robot = |platform, key, token: &str, at: &str| Robot { platform, keys: vec![(key, Part::Secret("TOKEN", token.into()))], at: at.into() };
        for (address, expected) in [
            ("http://a:8090/webhook/send?channel_type=dingtalk&token=T", vec![robot("dingtalk", "access_token", "T", "")]),
            ("http://a:8090/webhook/send?channel_type=weixin&token=K", vec![robot("wecom_robot", "key", "K", "")]),
            (
                "http://a/prometheusalert?type=fs&tpl=x&fsurl=https://open.feishu.cn/open-apis/bot/v2/hook/F&at=ou_1",
                vec![robot("feishu", "token", "F", "ou_1")],
            ),
            (
                "http://a/prometheusalert?type=dd&ddurl=https://o/robot/send?access_token=T,https://o/robot/send?access_token=U",
                vec![robot("dingtalk", "access_token", "T", ""), robot("dingtalk", "access_token", "U", "")],
            ),
            (
                "http://a/prometheusalert?type=dd&rr=true&ddurl=https://o/robot/send?access_token=T,https://o/robot/send?access_token=U",
                vec![robot("dingtalk", "access_token", "T", "")],
            ),
            ("http://a/prometheusalert?type=dd&ddurl=https://o/robot/send?access_token=T,https://o/elsewhere", vec![]),
            ("http://a/prometheusalert?type=dd&tpl=x", vec![]),
            ("http://a/webhook/send?channel_type=slack&token=T", vec![]),
            ("http://a/webhook/send?channel_type=dingtalk&token={{ .CommonLabels.robot }}", vec![]),
            ("http://a/hooks?token=T", vec![]),
        ] {
            assert_eq!(Robot::in_address(address), expected, "{address}");
        }
    }

    /// Every address becomes the channel that it names, with whom it pings; what stays with a bridge is said.
    #[test]
    fn addresses_of_bridges_become_channels_and_nothing_of_them_is_dropped_unseen() {
        let ding = "https://oapi.dingtalk.com/robot/send?access_token";
        let addresses = [
            format!("http://pa:8080/prometheusalert?type=dd&ddurl={ding}=aaaa1111,{ding}=bbbb2222&at=13800000001"),
            "http://pa:8080/prometheusalert?type=dd&ddurl=https%3A%2F%2Fo%2Fsend%3Faccess_token%3Dcccc3333%26secret%3Ddddd4444".into(),
            "http://pa:8080/prometheusalert?type=wx&wxurl=https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=eeee5555&at=zhangsan,all".into(),
            "http://pa:8080/prometheusalert?type=fs&fsurl=https://open.feishu.cn/open-apis/bot/v2/hook/ffff6666&at=13800000001".into(),
            "http://adapter/webhook/send?channel_type=slack&token=xoxb-1&channel=ops".into(),
            "http://adapter/webhook/send?channel_type=discord-webhook&id=1&token=gggg7777".into(),
            "http://adapter/webhook/send?channel_type=weixinapp&corp_id=ww1&agent_id=1000002&agent_secret=hhhh8888&to_user=li".into(),
            "http://pa:8080/prometheusalert?type=email&email=a@example.com".into(),
        ];
        let routes: String = (1..addresses.len()).map(|n| format!("{{ receiver: r{n}, matchers: ['n=\"{n}\"'] }}, ")).collect();
        let mut text = format!("route: {{ receiver: r0, routes: [{routes}] }}\nreceivers:\n");
        for (n, address) in addresses.iter().enumerate() {
            text.push_str(&format!("- {{ name: r{n}, webhook_configs: [{{ url: '{address}' }}] }}\n"));
        }
        let endpoint = Endpoint::parse("http://127.0.0.1:9091/webhook").unwrap();
        let made = import("am.yml", &text, &endpoint).unwrap_or_else(|findings| panic!("{findings:?}"));
        assert_eq!(made.channels["r0"], ["r0", "r0-2"], "one for each robot");
        for part in [
            "access_token: { env: R0_TOKEN }",
            "access_token: { env: R0_2_TOKEN }",
            "mobiles: ['13800000001']",
            "secret: { env: R1_SECRET }",
            "users: [zhangsan]",
            "all: true",
            "channel: '#ops'",
            "webhook: { env: R5_WEBHOOK }",
            "agent_id: 1000002",
            "secret: { env: R6_SECRET }",
            "to_user: li",
        ] {
            assert!(made.routes.contains(part) || made.routes.replace('"', "'").contains(part), "{part}: {}", made.routes);
        }
        for secret in ["aaaa1111", "bbbb2222", "cccc3333", "dddd4444", "eeee5555", "ffff6666", "xoxb-1", "gggg7777", "hhhh8888"] {
            assert!(!made.routes.contains(secret), "{secret}: {}", made.routes);
        }
        let remarked = |line: usize, word: &str| made.remarks.iter().any(|remark| remark.line == line && remark.why.contains(word));
        assert!(remarked(6, "open id only"), "{:?}", made.remarks);
        assert!(remarked(10, "goes on sending"), "{:?}", made.remarks);
    }
}
