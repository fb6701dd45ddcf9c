//! The `wecom:` block of routes.yaml, and the recipients that it names.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Error, SeqAccess, Visitor};

use super::app::App;
use super::callback::Callbacks;
use super::recipient::{EVERYBODY, PARTY, TAG};
use super::{Driver, UNKNOWN};
use crate::channel::{Address, BuildContext, Built, PlatformConfig, Problem, kit};
use crate::model::{OutletKey, Recipient, Secret, SecretSource};

/// Users of one request: <https://developer.work.weixin.qq.com/document/path/90236>
pub(super) const MAX_USERS: usize = 1000;
/// Departments, and tags, of one request (same page).
const MAX_PARTIES: usize = 100;
const API_BASE: &str = "https://qyapi.weixin.qq.com";

/// `wecom: { corp_id, agent_id, secret, to_user }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The company's id (企业ID, `ww...`).
    pub corp_id: String,
    /// The application's AgentId.
    pub agent_id: u32,
    /// The application's secret.
    pub secret: SecretSource,
    /// Users: `"a|b"` or a list; `"@all"` for everybody who can see the application.
    #[serde(default)]
    pub to_user: Names,
    /// Departments by id: `"2|3"` or a list.
    #[serde(default)]
    pub to_party: Names,
    /// Tags by id: `"1|2"` or a list.
    #[serde(default)]
    pub to_tag: Names,
    /// A single alert that fits goes out as a card (textcard) that opens its page; everything else stays markdown. Default false.
    #[serde(default)]
    pub card: bool,
    /// Messages of incidents are cards with buttons, and WeCom posts their presses to `<external_url>/press/<channel>`: the Token of the application's
    /// address for callbacks (接收消息), up to 32 letters and digits. Needs `encoding_aes_key`.
    #[serde(default)]
    pub callback_token: Option<SecretSource>,
    /// The EncodingAESKey of that address, 43 letters and digits.
    #[serde(default)]
    pub encoding_aes_key: Option<SecretSource>,
    /// Another server in WeCom's place. Default `https://qyapi.weixin.qq.com`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// Names as WeCom writes them (`a|b`), or as a list of texts or numbers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Names(Vec<String>);

/// Users are people: they show masked, like any recipient.
impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(Recipient::new)).finish()
    }
}

impl Names {
    fn add(&mut self, text: &str) {
        self.0.extend(text.split('|').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned));
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names joined by `|`, a number, or a list of them")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Names, E> {
                let mut names = Names::default();
                names.add(text);
                Ok(names)
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Names, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_unit<E: Error>(self) -> Result<Names, E> {
                Ok(Names::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Names, A::Error> {
                let mut all = Names::default();
                while let Some(names) = seq.next_element::<Names>()? {
                    all.0.extend(names.0);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

impl JsonSchema for Names {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WeComNames".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Names joined by `|`, or a list of them.",
            "type": ["string", "integer", "array"],
            "items": { "type": ["string", "integer"] }
        })
    }
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(kit::check_text("wecom.corp_id", &self.corp_id, "write the id from the admin console: My Company, Company ID (`ww...`)"));
        if self.agent_id == 0 {
            problems.push(Problem::new("wecom.agent_id", "it is 0", "write the application's AgentId, such as 1000002"));
        }
        problems.extend(kit::check_secret("wecom.secret", &self.secret));
        problems.extend(self.callback_token.as_ref().and_then(|token| kit::check_secret("wecom.callback_token", token)));
        problems.extend(self.encoding_aes_key.as_ref().and_then(|key| kit::check_secret("wecom.encoding_aes_key", key)));
        if self.callback_token.is_some() != self.encoding_aes_key.is_some() {
            let (there, missing) =
                if self.callback_token.is_some() { ("callback_token", "encoding_aes_key") } else { ("encoding_aes_key", "callback_token") };
            let message = format!("without `{missing}` it means nothing");
            problems.push(Problem::new(format!("wecom.{there}"), message, "copy both from the application's page: 接收消息, API接收"));
        }
        let (users, parties, tags) = (&self.to_user.0, &self.to_party.0, &self.to_tag.0);
        if users.is_empty() && parties.is_empty() && tags.is_empty() {
            let help = "name users, departments or tags: `to_user: \"zhangsan|lisi\"`, `to_party: 2`, `to_tag: 1`, or `to_user: \"@all\"`";
            problems.push(Problem::new("wecom.to_user", "it sends to nobody", help));
        }
        if users.iter().any(|user| user == EVERYBODY) && users.len() + parties.len() + tags.len() > 1 {
            let message = "`@all` is everybody already; WeCom ignores whom else it names";
            problems.push(Problem::new("wecom.to_user", message, "keep `@all` alone, or remove it"));
        }
        for (path, names, max) in [("wecom.to_user", users, MAX_USERS), ("wecom.to_party", parties, MAX_PARTIES), ("wecom.to_tag", tags, MAX_PARTIES)]
        {
            if names.len() > max {
                let message = format!("{} names, WeCom takes {max} a message", names.len());
                problems.push(Problem::new(path, message, "name a department or tag that holds them, or split them over two channels"));
            }
        }
        for (path, names) in [("wecom.to_party", parties), ("wecom.to_tag", tags)] {
            for name in names.iter().filter(|name| !name.chars().all(|c| c.is_ascii_digit())) {
                problems.push(Problem::new(path, format!("`{name}` is not an id"), "write the number that the admin console shows, not the name"));
            }
        }
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base("wecom.api_base", base)));
        problems
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn looks_up(&self) -> &'static [Address] {
        &[Address::Mobile]
    }

    fn recipients(&self) -> Vec<Recipient> {
        if self.to_user.0.iter().any(|user| user == EVERYBODY) {
            return vec![Recipient::new(EVERYBODY)];
        }
        let users = self.to_user.0.iter().cloned();
        let parties = self.to_party.0.iter().map(|id| format!("{PARTY}{id}"));
        let tags = self.to_tag.0.iter().map(|id| format!("{TAG}{id}"));
        let mut seen = std::collections::HashSet::new();
        users.chain(parties).chain(tags).filter(|name| seen.insert(name.to_lowercase())).map(Recipient::new).collect()
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let (secret, http) = match (kit::read_secret(cx, "wecom.secret", &self.secret), kit::http(cx, "wecom", self.ca_file.as_deref())) {
            (Ok(secret), Ok(http)) => (secret, http),
            (secret, http) => return Err(secret.err().into_iter().chain(http.err()).collect()),
        };
        let callbacks = self.callbacks(cx).map_err(|problem| vec![problem])?;
        let corp_id = self.corp_id.trim().to_owned();
        let base = self.api_base.clone().unwrap_or_else(|| API_BASE.to_owned());
        let app = App {
            // One token a company and application; another server, another token.
            tokens: cx.http.tokens("wecom", &[&base, &corp_id, secret.expose()]),
            http: http.with_secrets([secret.clone()]),
            base,
            agent_id: self.agent_id,
            secret,
            corp_id: corp_id.clone(),
        };
        let directory = cx.http.directory("wecom", &[&app.base, &corp_id, app.secret.expose()], UNKNOWN);
        let driver = Driver { app: Arc::new(app), directory, card: self.card, callbacks };
        Ok(Built { descriptor: None, channel: Arc::new(driver), outlet: OutletKey::new("wecom", &format!("{corp_id} {}", self.agent_id)) })
    }
}

impl Config {
    /// What proves that WeCom calls; `None`: its messages have no buttons.
    fn callbacks(&self, cx: &BuildContext<'_>) -> Result<Option<Callbacks>, Problem> {
        let (Some(token), Some(key)) = (&self.callback_token, &self.encoding_aes_key) else { return Ok(None) };
        let (token, key) = (kit::read_secret(cx, "wecom.callback_token", token)?, kit::read_secret(cx, "wecom.encoding_aes_key", key)?);
        let placeholder = Secret::new("A".repeat(43));
        let key = if cx.secrets.real() { &key } else { &placeholder };
        let help = "copy the 43 characters of EncodingAESKey from the application's page: 接收消息, API接收";
        let wrong = || Problem::new("wecom.encoding_aes_key", "it is no EncodingAESKey", help);
        Callbacks::new(token, key).map(Some).ok_or_else(wrong)
    }
}
