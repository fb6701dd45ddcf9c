//! The configurations of bridges that Watchfire replaces: `targets` of prometheus-webhook-dingtalk, and `app.conf` of PrometheusAlert. Each robot becomes a
//! channel, and the paths that senders call stay bound to it.

use indexmap::IndexMap;

use super::accounts::{ACCOUNTS, Settings, advice};
use super::context::plain_name;
use super::reader::{Keys, Notes, environment_name};
use super::text::Yaml;
use super::{Blocks, Endpoint, Imported, one_line, routes_yaml};
use crate::model::yaml::{Entry, Node};
use crate::model::{Finding, Secret, Span};

/// The configuration of prometheus-webhook-dingtalk.
///
/// # Errors
/// Targets that it would refuse too.
pub fn dingtalk(file: &str, root: &Node, endpoint: &Endpoint) -> Result<Imported, Vec<Finding>> {
    let mut notes = Notes::new(file);
    let mut top = Keys::new(root, "the file", &mut notes);
    let mut made = Made::default();
    for entry in top.take("targets").map(Node::entries).unwrap_or_default() {
        target(entry, &mut notes, &mut made);
    }
    for entry in top.rest() {
        let (why, todo) = match entry.key.as_str() {
            "templates" | "template" | "default_message" | "no_builtin_template" => (
                "Go templates are not carried",
                "the built-in templates are used; your own are Handlebars files in the folder that `templates:` names",
            ),
            _ => ("Watchfire has no such setting", "nothing, unless you know what it was for"),
        };
        notes.remark(entry.key_span.line, format!("`{}`", entry.key), why, todo);
    }
    if made.of.is_empty() && notes.refused.is_empty() {
        notes.refuse(root.span, "there are no `targets`", "name the file that prometheus-webhook-dingtalk runs with");
    }
    made.finish(file, endpoint, "dingtalk", "/dingtalk/TARGET/send", notes)
}

fn target(entry: &Entry, notes: &mut Notes, made: &mut Made) {
    let what = format!("`targets.{}`", entry.key);
    let mut keys = Keys::new(&entry.value, &what, notes);
    let url = keys.text("url", notes).unwrap_or_default();
    let token = after(url, "access_token=");
    let Some(token) = token else {
        notes.refuse(entry.value.span, format!("`url` of {what} has no `access_token`"), "write the robot's whole address");
        return;
    };
    let prefix = environment_name(&format!("DINGTALK_{}", plain_name(&entry.key)));
    let line = keys.line;
    let token = notes.variable(&format!("{prefix}_TOKEN"), Secret::new(token), line, &format!("the part after `access_token=` in `url` of {what}"));
    let mut block = Yaml::map([("access_token", token)]);
    if let Some(secret) = keys.text("secret", notes) {
        block.push("secret", notes.variable(&format!("{prefix}_SECRET"), Secret::new(secret), line, &format!("`secret` of {what}")));
    }
    if let Some(mention) = keys.take("mention") {
        let mut mention = Keys::new(mention, "`mention`", notes);
        let mut mentions = Yaml::Map(Vec::new());
        if mention.flag("all", notes) == Some(true) {
            mentions.push("all", Yaml::bool(true));
        }
        if let Some(mobiles) = mention.texts("mobiles", notes).filter(|mobiles| !mobiles.is_empty()) {
            mentions.push("mobiles", Yaml::texts(mobiles.into_iter().map(|(mobile, _)| mobile)));
        }
        if mentions != Yaml::Map(Vec::new()) {
            block.push("mentions", mentions);
        }
    }
    for entry in keys.rest() {
        notes.remark(
            entry.key_span.line,
            format!("`{}` of {what}", entry.key),
            "Go templates are not carried; the built-in message is used",
            "write templates/dingtalk/default.text.hbs in Handlebars; `watchfire render` shows the result",
        );
    }
    made.add(&entry.key, "dingtalk", block);
}

/// Whether a text is the `app.conf` of PrometheusAlert.
pub fn is_prometheusalert(text: &str) -> bool {
    let known = ["open-dingding", "open-weixin", "open-feishu", "messagelevel", "phonecalllevel"];
    Settings::of(text).iter().filter(|(key, ..)| known.contains(key)).count() >= 2
}

/// A robot of PrometheusAlert: whether it is on, its address, its type in the query, the platform, the key of its token, and what the token comes after.
pub(super) const ROBOTS: [(&str, &str, &str, &str, &str, &str); 3] = [
    ("open-dingding", "ddurl", "dd", "dingtalk", "access_token", "access_token="),
    ("open-weixin", "wxurl", "wx", "wecom_robot", "key", "key="),
    ("open-feishu", "fsurl", "fs", "feishu", "token", "/hook/"),
];

/// The `app.conf` of PrometheusAlert: its default robots, and its accounts.
///
/// # Errors
/// A file with none of them.
pub fn prometheusalert(file: &str, text: &str, endpoint: &Endpoint) -> Result<Imported, Vec<Finding>> {
    let mut notes = Notes::new(file);
    let mut made = Made::default();
    let settings = Settings::of(text);
    let get = |key: &str| settings.get(key);
    let secret = get("open-dingding-secret").is_some_and(|(value, _)| value == "1");
    for (open, address, kind, platform, key, mark) in ROBOTS {
        let Some((urls, line)) = get(address).filter(|_| get(open).is_none_or(|(value, _)| value == "1")) else { continue };
        for (n, url) in urls.split(',').map(str::trim).filter(|url| !url.is_empty()).enumerate() {
            let name = if n == 0 { kind.to_owned() } else { format!("{kind}-{}", n + 1) };
            let prefix = environment_name(&format!("PROMETHEUSALERT_{name}"));
            let Some(token) = after(url, mark) else {
                notes.remark(line, format!("`{address}`"), format!("there is no `{mark}` in it"), "add the channel by hand");
                continue;
            };
            let token = notes.variable(&format!("{prefix}_TOKEN"), Secret::new(token), line, &format!("the part after `{mark}` in `{address}`"));
            let mut block = Yaml::map([(key, token)]);
            if let Some(signed) = after(url, "secret=").filter(|_| secret && kind == "dd") {
                let holds = format!("the part after `secret=` in `{address}`");
                block.push("secret", notes.variable(&format!("{prefix}_SECRET"), Secret::new(signed), line, &holds));
            }
            if kind == "dd" && get("dd_isatall").is_some_and(|(value, _)| value == "1") {
                block.push("mentions", Yaml::map([("all", Yaml::bool(true))]));
            }
            made.bind(kind, &name, platform, block);
        }
    }
    let mut carried = vec!["open-dingding-secret", "open-hotreload"];
    carried.extend(ROBOTS.map(|(open, ..)| open));
    for (open, kind, platform, blocks) in ACCOUNTS.into_iter().filter(|(open, ..)| get(open).is_some_and(|(value, _)| value == "1")) {
        for block in blocks(&settings, &mut notes) {
            carried.push(open);
            made.bind(kind, kind, platform, block);
        }
    }
    // Of one account the name has the vendor before it.
    let opens = |key: &str| key.starts_with("open-") || key.contains("_open-");
    for (key, value, line) in settings.iter().filter(|(key, value, _)| opens(key) && *value == "1" && !carried.contains(key)) {
        let (why, todo) = advice(key);
        notes.remark(line, format!("`{key}={value}`"), why, todo);
    }
    if made.of.is_empty() {
        let span = Span { line: 1, column: 1, width: 1 };
        notes.refuse(
            span,
            "there is no channel: none of `ddurl`, `wxurl` and `fsurl` is used, and no account that is known here",
            "name the conf/app.conf that PrometheusAlert runs with",
        );
    }
    made.finish(file, endpoint, "prometheusalert", "/prometheusalert?type=..", notes)
}

/// The part of an address after a mark, up to the next parameter.
pub(super) fn after<'u>(url: &'u str, mark: &str) -> Option<&'u str> {
    let rest = url.split_once(mark)?.1;
    rest.split(['&', '#', '?']).next().filter(|part| !part.is_empty())
}

/// Channels that were made, and what the old names are bound to.
#[derive(Default)]
struct Made {
    channels: Vec<(String, Yaml)>,
    of: IndexMap<String, Vec<String>>,
}

impl Made {
    fn add(&mut self, target: &str, platform: &str, block: Yaml) {
        self.bind(target, &plain_name(target), platform, block);
    }

    fn bind(&mut self, target: &str, name: &str, platform: &str, block: Yaml) {
        let mut free = name.to_owned();
        let mut n = 1;
        while self.channels.iter().any(|(known, _)| *known == free) {
            n += 1;
            free = format!("{name}-{n}");
        }
        self.channels.push((free.clone(), Yaml::map([(platform, block)])));
        self.of.entry(target.to_owned()).or_default().push(free);
    }

    fn finish(self, file: &str, endpoint: &Endpoint, key: &str, path: &str, mut notes: Notes) -> Result<Imported, Vec<Finding>> {
        if !notes.refused.is_empty() {
            return Err(super::sorted(notes.refused));
        }
        let bound = self.of.iter().map(|(target, channels)| match channels.as_slice() {
            [one] => (target.clone(), Yaml::text(one)),
            several => (target.clone(), Yaml::texts(several.iter().cloned())),
        });
        let mut legacy = Yaml::map([(key, Yaml::map(bound))]);
        if !endpoint.local {
            // The bridge asked nobody for a credential.
            legacy.push("auth", Yaml::text("none"));
            legacy.push("allow_ips", Yaml::texts(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]));
            let todo = "name the networks of your senders in `legacy.allow_ips`";
            notes.remark(1, "who may send", "the bridge took alerts from anybody; here private networks may", todo);
            let holds = "a new random token, for senders that use /webhook".to_owned();
            notes.variables.push(super::Variable { name: super::TOKEN.0.to_owned(), line: 1, holds });
        }
        let first = self.channels.first().map(|(name, _)| name.clone()).unwrap_or_default();
        notes.remark(1, "the route", format!("what names no known channel goes to {first}"), "correct `route` if it is for others");
        notes.remarks.sort_by_key(|remark| remark.line);
        let blocks = Blocks { channels: Yaml::map(self.channels), route: Yaml::map([("to", Yaml::texts([first]))]), legacy, ..Blocks::default() };
        let base = reqwest::Url::parse(&endpoint.url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        Ok(Imported {
            silent: Vec::new(),
            routes: routes_yaml(file, endpoint, blocks, &notes),
            alertmanager: format!(
                "## Senders go on calling {path}: only the address before it changes, to {base} ({} is not needed any more).\n",
                one_line(file)
            ),
            variables: notes.variables,
            remarks: notes.remarks,
            channels: self.of,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::import::import;

    fn imported(text: &str, endpoint: &str) -> Imported {
        let endpoint = Endpoint::parse(endpoint).unwrap();
        import("x", text, &endpoint).unwrap_or_else(|findings| panic!("{findings:?}"))
    }

    fn loads(made: &Imported) {
        let options = crate::config::LoadOptions::without_secrets();
        let checked = crate::config::from_text(std::path::Path::new("routes.yaml"), &made.routes, &options);
        assert!(checked.is_ok(), "{:?}", checked.err().map(|found| crate::config::report(&found)));
    }

    #[test]
    fn targets_become_channels_and_their_paths_stay() {
        let text = "timeout: 5s\ntargets:\n  ops:\n    url: https://oapi.dingtalk.com/robot/send?access_token=TOKEN1\n    secret: SECRET1\n    \
                    mention: { all: true, mobiles: ['13800000001'] }\n  \"dev ops\":\n    url: https://oapi.dingtalk.com/robot/send?access_token=TOKEN2\n    message: { title: x }\n";
        let made = imported(text, "http://127.0.0.1:9091/webhook");
        assert!(!made.routes.contains("TOKEN1") && !made.routes.contains("SECRET1"), "{}", made.routes);
        for line in [
            "access_token: { env: DINGTALK_OPS_TOKEN }",
            "secret: { env: DINGTALK_OPS_SECRET }",
            "mobiles: ['13800000001']",
            "legacy:",
            "'dev ops': dev-ops",
        ] {
            assert!(made.routes.contains(line) || made.routes.replace('"', "'").contains(line), "{line}: {}", made.routes);
        }
        assert_eq!(made.channels["ops"], ["ops"]);
        assert_eq!(made.remarks.iter().filter(|remark| remark.what.contains("message") || remark.what.contains("timeout")).count(), 2);
        loads(&made);
        let elsewhere = imported(text, "http://watchfire.example.com:9091/webhook").routes;
        assert!(elsewhere.contains("allow_ips") && elsewhere.contains("auth: none"), "{elsewhere}");
    }

    #[test]
    fn the_robots_of_prometheusalert_become_channels() {
        let text = "appname = PrometheusAlert\n#ddurl=x\nopen-dingding=1\nddurl=https://oapi.dingtalk.com/robot/send?access_token=D1,https://oapi.dingtalk.com/robot/send?access_token=D2\n\
                    dd_isatall=1\nopen-weixin=0\nwxurl=https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=W\nopen-feishu=1\n\
                    fsurl=https://open.feishu.cn/open-apis/bot/v2/hook/F\nopen-txdx=1\n";
        let made = imported(text, "http://127.0.0.1:9091/webhook");
        assert_eq!(made.channels.keys().collect::<Vec<_>>(), ["dd", "fs"]);
        assert_eq!(made.channels["dd"], ["dd", "dd-2"]);
        assert!(
            made.routes.contains("prometheusalert:") && made.routes.contains("feishu: { token: { env: PROMETHEUSALERT_FS_TOKEN } }"),
            "{}",
            made.routes
        );
        assert!(made.remarks.iter().any(|remark| remark.what.contains("open-txdx=1")), "{:?}", made.remarks);
        loads(&made);
        let accounts = "open-dingding=0\nopen-weixin=0\nmessagelevel=3\ndefaultphone=13800000000\nopen-email=1\nEmail_host=smtp.example.com\nEmail_port=587\n\
                        Email_user=w@example.com\nEmail_password=pppp1111\nDefault_emails=a@example.com, b@example.com\nopen-workwechat=1\n\
                        WorkWechat_CropID=ww1\nWorkWechat_AgentID=1000002\nWorkWechat_AgentSecret=ssss2222\nWorkWechat_ToUser=\"zhangsan|lisi\"\n\
                        WorkWechat_ToTag=\"\"\nopen-alydx=1\nALY_DX_AccessKeyId=LTAI1\nALY_DX_AccessSecret=aaaa3333\nALY_DX_SignName=运维\n\
                        ALY_DX_Template=SMS_1\nopen-tg=1\nTG_TOKEN=1:tttt4444\nTG_MODE_CHAN=0\nTG_USERID=42\nopen-alydh=1\nopen-kafka=1\n\
                        open-feishuapp=1\nFEISHU_APPID=cli_1\nFEISHU_APPSECRET=ffff5555\nAT_USER_ID=\"ou_1,oc_2\"\nopen-bark=1\n\
                        BARK_URL=https://bark.example.com/push\nBARK_KEYS=bbbb6666-cccc7777\nBARK_GROUP=ops\nRLY_DH_open-rlydh=1\n";
        let made = imported(accounts, "http://127.0.0.1:9091/webhook");
        assert_eq!(made.channels.keys().collect::<Vec<_>>(), ["email", "workwechat", "fsapp", "tg", "bark", "alydx"]);
        assert_eq!(made.channels["bark"], ["bark", "bark-2"], "a phone each");
        for part in [
            "server: 'smtp.example.com:587'",
            "agent_id: 1000002",
            "to_user: 'zhangsan|lisi'",
            "chat: 42",
            "code: '{title}'",
            "sign_name: 运维",
            "app_id: cli_1",
            "to: [ou_1, oc_2]",
            "url: 'https://bark.example.com'",
        ] {
            assert!(made.routes.contains(part) || made.routes.replace(['"', '\''], "").contains(&part.replace('\'', "")), "{part}: {}", made.routes);
        }
        for secret in ["pppp1111", "ssss2222", "aaaa3333", "tttt4444", "ffff5555", "bbbb6666", "cccc7777"] {
            assert!(!made.routes.contains(secret), "{}", made.routes);
        }
        let said = |word: &str| made.remarks.iter().any(|remark| remark.what.contains(word));
        assert!(
            said("open-alydh=1") && said("open-kafka=1") && said("RLY_DH_open-rlydh=1") && said("Email_host") && !said("open-email"),
            "{:?}",
            made.remarks
        );
        loads(&made);
        assert!(import("x", "open-dingding=0\nopen-weixin=0\n", &Endpoint::parse("http://127.0.0.1:9091/webhook").unwrap()).is_err());
    }
}
