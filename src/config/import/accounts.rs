//! The settings of PrometheusAlert's `app.conf`, and the accounts in it that a channel can go on with: mail, a WeCom application, Telegram, and text
//! messages and calls by Alibaba Cloud.

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

/// An account: what turns it on, its type in the query, the platform, and the block that it becomes; `None` where a setting is missing.
type Account = (&'static str, &'static str, &'static str, fn(&Settings<'_>, &mut Notes) -> Option<Yaml>);

/// The accounts that are carried.
pub const ACCOUNTS: [Account; 5] = [
    ("open-email", "email", "email", email),
    ("open-workwechat", "workwechat", "wecom", wecom),
    ("open-tg", "tg", "telegram", telegram),
    ("open-alydx", "alydx", "aliyun_sms", aliyun_sms),
    ("open-alydh", "alydh", "aliyun_voice", aliyun_voice),
];

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
