//! The settings of PrometheusAlert's `app.conf`, and the accounts in it that a channel can go on with: mail, applications of WeCom and Feishu, Telegram,
//! Bark, and text messages and calls by Alibaba Cloud.

use super::reader::{Notes, environment_name};
use super::text::Yaml;
use crate::model::Secret;

/// The settings of a file of `key=value` lines, with the line of each. A value may be in quotes.
pub struct Settings<'t>(Vec<(&'t str, &'t str, usize)>);

impl<'t> Settings<'t> {
    /// Those of a file.
    pub fn of(text: &'t str) -> Self {
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.starts_with(['#', ';', '[']));
        let pairs = lines.filter_map(|(at, line)| line.split_once('=').map(|(key, value)| (key.trim(), value.trim().trim_matches('"'), at + 1)));
        Self(pairs.filter(|(key, ..)| !key.is_empty() && !key.contains(char::is_whitespace)).collect())
    }

    /// Name, value and line of each.
    pub fn iter(&self) -> impl Iterator<Item = (&'t str, &'t str, usize)> {
        self.0.iter().copied()
    }

    /// A value that is not empty, and its line.
    pub fn get(&self, key: &str) -> Option<(&'t str, usize)> {
        self.iter().find(|(known, ..)| *known == key).map(|(_, value, line)| (value, line)).filter(|(value, _)| !value.is_empty())
    }

    fn text(&self, key: &str) -> Option<Yaml> {
        Some(Yaml::text(self.get(key)?.0))
    }

    fn secret(&self, key: &str, notes: &mut Notes) -> Option<Yaml> {
        let (value, line) = self.get(key)?;
        Some(notes.variable(&environment_name(&format!("PROMETHEUSALERT_{key}")), Secret::new(value), line, &format!("`{key}`")))
    }

    /// The number that text messages and calls without one go to.
    fn phone(&self) -> Option<Yaml> {
        let (phone, _) = self.get("defaultphone")?;
        (phone.len() >= 7 && phone.bytes().all(|b| b.is_ascii_digit() || b == b'+')).then(|| Yaml::texts([phone]))
    }
}

/// An account: what turns it on, its type in the query, the platform, and the blocks that it becomes, one a channel; none where a setting is missing.
type Account = (&'static str, &'static str, &'static str, fn(&Settings<'_>, &mut Notes) -> Vec<Yaml>);

/// The accounts that are carried.
pub const ACCOUNTS: [Account; 7] = [
    ("open-email", "email", "email", |settings, notes| Vec::from_iter(email(settings, notes))),
    ("open-workwechat", "workwechat", "wecom", |settings, notes| Vec::from_iter(wecom(settings, notes))),
    ("open-feishuapp", "fsapp", "feishu", |settings, notes| Vec::from_iter(feishu(settings, notes))),
    ("open-tg", "tg", "telegram", |settings, notes| Vec::from_iter(telegram(settings, notes))),
    ("open-bark", "bark", "preset", bark),
    ("open-alydx", "alydx", "aliyun_sms", |settings, notes| Vec::from_iter(aliyun_sms(settings, notes))),
    ("open-alydh", "alydh", "aliyun_voice", |settings, notes| Vec::from_iter(aliyun_voice(settings, notes))),
];

/// What to do about an account that is not carried, by what turns it on: why not, and what to write.
pub fn advice(open: &str) -> (&'static str, &'static str) {
    let bind = "add a channel and bind its `type` under `legacy.prometheusalert`";
    match open {
        "open-txdx" | "open-txdh" => (
            "its AppKey is of Tencent Cloud's older interface; Watchfire calls the newer one, which asks for SecretId and SecretKey",
            "make a key in the console of Tencent Cloud (CAM), add a `tencent_sms` or `tencent_voice` channel with the same app id, template and sign, and bind the \
             type under `legacy.prometheusalert`",
        ),
        "open-hwdx" | "open-baidudx" | "open-7moordx" => (
            "Watchfire does not send text messages by this vendor",
            "add an `aliyun_sms`, `tencent_sms` or `twilio_sms` channel, or a preset of your own for this vendor, and bind the type under `legacy.prometheusalert`",
        ),
        "RLY_DH_open-rlydh" | "open-7moordh" => (
            "Watchfire does not call by this vendor",
            "add an `aliyun_voice`, `tencent_voice` or `twilio_voice` channel, and bind the type under `legacy.prometheusalert`",
        ),
        "open-ruliu" | "open-kafka" | "open-voice" => {
            ("Watchfire has no such platform", "write a preset of your own (docs/presets.md), or a `webhook` channel, and bind it")
        }
        _ if ACCOUNTS.iter().any(|(known, ..)| *known == open) => ("a setting of it is missing or a placeholder", bind),
        _ => ("Watchfire has no such setting", bind),
    }
}

fn email(settings: &Settings<'_>, notes: &mut Notes) -> Option<Yaml> {
    let (host, line) = settings.get("Email_host")?;
    let port = settings.get("Email_port").map_or("465", |(port, _)| port);
    let (to, _) = settings.get("email").or_else(|| settings.get("Default_emails"))?;
    let user = settings.text("Email_user")?;
    let password = settings.secret("Email_password", notes)?;
    let mut block = Yaml::map([("server", Yaml::text(format!("{host}:{port}")))]);
    // It encrypted where the server offers it. What is for users always does; a relay of one's own may not.
    if port != "465" {
        block.push("tls", Yaml::text(if port == "25" { "opportunistic" } else { "starttls" }));
    }
    block.push("username", user.clone());
    block.push("password", password);
    block.push("from", user);
    block.push("to", Yaml::texts(to.split(',').map(str::trim).filter(|one| !one.is_empty())));
    let todo = "nothing for a public server; `ca_file` of the channel names the authority of your own";
    notes.remark(line, "the certificate of `Email_host`", "PrometheusAlert did not check it, and Watchfire does", todo);
    Some(block)
}

fn wecom(settings: &Settings<'_>, notes: &mut Notes) -> Option<Yaml> {
    let (agent, _) = settings.get("WorkWechat_AgentID").filter(|(agent, _)| agent.bytes().all(|b| b.is_ascii_digit()))?;
    let to = [("to_user", "WorkWechat_ToUser"), ("to_party", "WorkWechat_ToParty"), ("to_tag", "WorkWechat_ToTag")];
    let to: Vec<(&str, Yaml)> = to.into_iter().filter_map(|(key, setting)| Some((key, settings.text(setting)?))).collect();
    if to.is_empty() {
        return None;
    }
    let corp = settings.text("WorkWechat_CropID")?;
    let secret = settings.secret("WorkWechat_AgentSecret", notes)?;
    let mut block = Yaml::map([("corp_id", corp), ("agent_id", Yaml::Bare(agent.to_owned())), ("secret", secret)]);
    block.extend(&Yaml::map(to));
    Some(block)
}

fn telegram(settings: &Settings<'_>, notes: &mut Notes) -> Option<Yaml> {
    let is_channel = settings.get("TG_MODE_CHAN").is_some_and(|(mode, _)| mode != "0");
    let (chat, _) = settings.get(if is_channel { "TG_CHANNAME" } else { "TG_USERID" })?;
    let chat = if chat.parse::<i64>().is_ok() { Yaml::Bare(chat.to_owned()) } else { Yaml::text(chat) };
    let mut block = Yaml::map([("token", settings.secret("TG_TOKEN", notes)?), ("chat", chat)]);
    if let Some((proxy, _)) = settings.get("TG_API_PROXY")
        && let Some((base, _)) = proxy.split_once("/bot")
    {
        block.push("api_base", Yaml::text(base));
    }
    Some(block)
}

fn feishu(settings: &Settings<'_>, notes: &mut Notes) -> Option<Yaml> {
    let (to, _) = settings.get("AT_USER_ID")?;
    let mut block = Yaml::map([("app_id", settings.text("FEISHU_APPID")?)]);
    block.push("app_secret", settings.secret("FEISHU_APPSECRET", notes)?);
    block.push("to", Yaml::texts(to.split(',').map(str::trim).filter(|one| !one.is_empty())));
    Some(block)
}

/// Each key is a phone; it separates them by `-`.
fn bark(settings: &Settings<'_>, notes: &mut Notes) -> Vec<Yaml> {
    let Some((keys, line)) = settings.get("BARK_KEYS") else { return Vec::new() };
    let keys = keys.split(['-', ',']).map(str::trim).filter(|key| !key.is_empty());
    let channel = |(n, key): (usize, &str)| {
        let key = notes.variable("PROMETHEUSALERT_BARK_KEY", Secret::new(key), line, &format!("key {} of `BARK_KEYS`", n + 1));
        let mut params = Yaml::map([("device_key", key)]);
        if let Some((url, _)) = settings.get("BARK_URL") {
            params.push("url", Yaml::text(url.trim_end_matches('/').trim_end_matches("/push")));
        }
        if let Some(group) = settings.text("BARK_GROUP") {
            params.push("group", group);
        }
        Yaml::map([("name", Yaml::text("bark")), ("params", params)])
    };
    keys.enumerate().map(channel).collect()
}

fn aliyun_sms(settings: &Settings<'_>, notes: &mut Notes) -> Option<Yaml> {
    let (to, template, sign) = (settings.phone()?, settings.text("ALY_DX_Template")?, settings.text("ALY_DX_SignName")?);
    let mut block = Yaml::map([("access_key_id", settings.text("ALY_DX_AccessKeyId")?)]);
    block.push("access_key_secret", settings.secret("ALY_DX_AccessSecret", notes)?);
    block.push("sign_name", sign);
    block.push("template", template);
    // The variable of its templates.
    block.push("params", Yaml::map([("code", Yaml::text("{title}"))]));
    block.push("to", to);
    Some(block)
}

fn aliyun_voice(settings: &Settings<'_>, notes: &mut Notes) -> Option<Yaml> {
    let (to, template) = (settings.phone()?, settings.text("ALY_DH_TtsCode")?);
    let mut block = Yaml::map([("access_key_id", settings.text("ALY_DH_AccessKeyId")?)]);
    block.push("access_key_secret", settings.secret("ALY_DH_AccessSecret", notes)?);
    block.push("template", template);
    block.push("params", Yaml::map([("code", Yaml::text("{text}"))]));
    if let Some(number) = settings.text("ALY_DX_CalledShowNumber") {
        block.push("show_number", number);
    }
    block.push("to", to);
    Some(block)
}
