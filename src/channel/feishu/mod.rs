//! Feishu / Lark (飞书): a group's custom bot (signature in the body), or an application's messages with a tenant token. One attempt; no queue,
//! no retry. <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>,
//! <https://open.feishu.cn/document/server-docs/im-v1/message/create>

mod answer;
mod app;
mod body;
mod directory;
mod frame;
mod living;
mod press;
mod socket;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use self::press::Proof;
use self::socket::App;
use super::descriptor::{Ping, Pings, Reach};
use super::directory::UNKNOWN;
use super::token::TokenCache;
use super::{
    Address, BuildContext, Built, Callback, CellResult, Channel, Directory, Limit, Living, LivingMode, Pace, Platform, PlatformConfig, PressAnswer,
    PressCall, PressReply, PressWay, Probe, Problem, SendContext, kit,
};
use crate::model::{Escape, FieldSpec, Mentions, OutletKey, Page, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "feishu",
    title: "Feishu / Lark (飞书)",
    about: "custom group bot, signed, or application messages to groups and people; cards with severity colour and buttons",
    docs: "https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot",
    fields: &[
        FieldSpec { name: "title", escape: Escape::None, required: false, single_line: true, template: include_str!("title.hbs") },
        FieldSpec { name: "text", escape: Escape::LarkMarkdown, required: true, single_line: false, template: include_str!("text.hbs") },
        FieldSpec { name: "footer", escape: Escape::None, required: false, single_line: true, template: include_str!("footer.hbs") },
    ],
    measure: &body::measure,
    limit: "20 KB of JSON (https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot); application cards 30 KB \
            (https://open.feishu.cn/document/server-docs/im-v1/message/create)",
    pace: Pace {
        limits: &[Limit { count: 5, window: Duration::from_secs(1) }, Limit { count: 100, window: Duration::from_secs(60) }],
        per_month: None,
        month_zone: 0,
        per_recipient: &[],
        source: "https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot: 100 a minute and 5 a second per bot; applications 5 a second \
                 per person or group (https://open.feishu.cn/document/server-docs/im-v1/message/create)",
    },
    pings: Pings::of(Ping::Inside, Ping::Named, Ping::Inside, Ping::Named).reaching(Reach::Mention("feishu")),
    // Edits are limited by message (5 a second): <https://open.feishu.cn/document/uAjLw4CM/ukTMukTMukTM/reference/im-v1/message/patch>
    living: Living { edit: true, reply: true, edits_counted: false, spends: None, default: LivingMode::Edit },
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const API_BASE: &str = "https://open.feishu.cn";

const MESSAGES: &str = "/open-apis/im/v1/messages";

/// `feishu: { token, secret }` for a group's bot, `feishu: { app_id, app_secret, to }` for an application.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The last part of the bot's webhook address.
    pub token: Option<SecretSource>,
    /// Signing secret, when the bot's security setting is a signature (签名校验).
    pub secret: Option<SecretSource>,
    /// A word of the bot's keyword list (自定义关键词); it is added to messages that do not hold it.
    pub keyword: Option<String>,
    /// The application's id (`cli_...`), instead of `token`.
    pub app_id: Option<String>,
    /// The application's secret.
    pub app_secret: Option<SecretSource>,
    /// Whom the application writes to: groups (`oc_...`), people (`ou_...`, `on_...`, a user id, or an e-mail address).
    pub to: Vec<String>,
    /// The application's cards have buttons, and their presses come over a connection that this server opens (长连接): no public address is needed. The
    /// channels of an application share it. Default false.
    pub buttons: bool,
    /// The application's Verification Token: its cards have buttons, and Feishu posts their presses to `<external_url>/press/<channel>`, which is to be
    /// entered as its callback address. Instead of `buttons`.
    pub verification_token: Option<SecretSource>,
    /// The application's Encrypt Key, where it has one: what Feishu posts is encrypted and signed with it.
    pub encrypt_key: Option<SecretSource>,
    /// Whom messages ping unless a route says otherwise: `users` (open ids, `ou_...`), `all`.
    pub mentions: Mentions,
    /// Another server. Default `https://open.feishu.cn`; for Lark write `https://open.larksuite.com`.
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    pub ca_file: Option<PathBuf>,
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match (&self.token, &self.app_id) {
            (None, None) => problems.push(Problem::new(
                "feishu",
                "neither a bot's token nor an application is given",
                "write `token` for a group's bot, or `app_id`, `app_secret` and `to` for an application",
            )),
            (Some(_), Some(_)) => problems.push(Problem::new("feishu.app_id", "both a bot and an application are given", "keep one of them")),
            (None, Some(_)) => {
                if self.app_secret.is_none() {
                    problems.push(Problem::new("feishu.app_secret", "an application needs its secret", "write `app_secret: env:FEISHU_APP_SECRET`"));
                }
                if self.to.is_empty() {
                    problems.push(Problem::new("feishu.to", "an application needs somebody to write to", "name groups (`oc_...`) or people"));
                }
            }
            (Some(_), None) if !self.to.is_empty() => {
                problems.push(Problem::new("feishu.to", "a group's bot writes to its own group only", "remove `to`, or use an application"));
            }
            _ => {}
        }
        for (place, to) in self.to.iter().enumerate() {
            problems.extend(kit::check_text(&format!("feishu.to[{place}]"), to, "write an id or an e-mail address"));
        }
        if !self.mentions.mobiles.is_empty() || !self.mentions.groups.is_empty() {
            problems.push(Problem::new("feishu.mentions", "Feishu pings people by their open id only", "name `users: [ou_...]`, or `all: true`"));
        }
        problems.extend(self.keyword.as_ref().and_then(|word| kit::check_text("feishu.keyword", word, "write the word, or remove the key")));
        problems.extend(self.check_presses());
        let secrets = [("feishu.token", &self.token), ("feishu.secret", &self.secret), ("feishu.app_secret", &self.app_secret)];
        let of_callbacks = [("feishu.verification_token", &self.verification_token), ("feishu.encrypt_key", &self.encrypt_key)];
        problems.extend(secrets.into_iter().chain(of_callbacks).filter_map(|(path, source)| kit::check_secret(path, source.as_ref()?)));
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base("feishu.api_base", base)));
        problems
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn looks_up(&self) -> &'static [Address] {
        if self.app_id.is_some() { &[Address::Mobile, Address::Email] } else { &[] }
    }

    fn recipients(&self) -> Vec<Recipient> {
        if self.app_id.is_some() { self.to.iter().map(|to| Recipient::new(to.trim())).collect() } else { vec![Recipient::new("@bot")] }
    }

    fn mentions(&self) -> Mentions {
        self.mentions.clone()
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = self.check();
        let mut keep = |result: Result<Secret, Problem>| result.map_err(|problem| problems.push(problem)).ok();
        let mut read = |path, source: &Option<SecretSource>| source.as_ref().and_then(|source| keep(kit::read_secret(cx, path, source)));
        let (token, secret, app_secret) =
            (read("feishu.token", &self.token), read("feishu.secret", &self.secret), read("feishu.app_secret", &self.app_secret));
        let proof = read("feishu.verification_token", &self.verification_token);
        let proof = proof.map(|token| Proof { token, key: read("feishu.encrypt_key", &self.encrypt_key) });
        let http = kit::http(cx, "feishu", self.ca_file.as_deref()).map_err(|problem| problems.push(problem)).ok();
        if let Some(token) = &token
            && token.expose().contains('/')
        {
            let help = "of `https://open.feishu.cn/open-apis/bot/v2/hook/abc`, write only `abc`";
            problems.push(Problem::new("feishu.token", "it is an address, not a token", help));
        }
        let (Some(http), true) = (http, problems.is_empty()) else { return Err(problems) };
        let base = self.api_base.clone().unwrap_or_else(|| API_BASE.to_owned());
        let secrets: Vec<Secret> = [&token, &secret, &app_secret].into_iter().flatten().cloned().collect();
        let http = http.with_secrets(secrets);
        let (way, outlet) = match (token, &self.app_id, app_secret) {
            (Some(token), ..) => {
                let outlet = OutletKey::new("feishu", token.expose());
                (Way::Bot { url: Secret::new(kit::join(&base, &format!("/open-apis/bot/v2/hook/{}", token.expose()))), secret }, outlet)
            }
            (None, Some(id), Some(app_secret)) => {
                let credential = format!("{id} {} {base}", app_secret.expose());
                let outlet = OutletKey::new("feishu", &format!("{credential} {}", self.to.join(" ")));
                let tokens = cx.http.tokens("feishu", &[credential.as_str()]);
                let app = || App { base: base.clone(), id: id.clone(), secret: app_secret.clone(), http: http.clone() };
                let presses = match proof {
                    Some(proof) => Some(PressesBy::Request(proof)),
                    None => self.buttons.then(|| PressesBy::Socket(self.shared(cx, &credential, app))),
                };
                (Way::App { base: base.clone(), id: id.clone(), secret: app_secret, tokens, alone: self.to.len() == 1, presses }, outlet)
            }
            _ => return Err(problems),
        };
        let directory = cx.http.directory("feishu", &[outlet.as_str()], UNKNOWN);
        let driver = Driver { way, http, directory, keyword: self.keyword.as_deref().map(str::trim).map(str::to_owned) };
        Ok(Built { descriptor: None, channel: Arc::new(driver), outlet })
    }
}

impl Config {
    fn check_presses(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let keys = [
            ("feishu.buttons", self.buttons),
            ("feishu.verification_token", self.verification_token.is_some()),
            ("feishu.encrypt_key", self.encrypt_key.is_some()),
        ];
        if self.app_id.is_none() {
            let help = "use an application (`app_id`, `app_secret`, `to`): its cards can be edited, so that they show who pressed";
            problems.extend(
                keys.iter().filter(|(_, is_set)| *is_set).map(|(key, _)| Problem::new(*key, "the cards of a group's bot have no buttons", help)),
            );
            return problems;
        }
        if self.buttons && self.verification_token.is_some() {
            let help = "keep `buttons: true` where Feishu cannot reach this server, else `verification_token`";
            problems.push(Problem::new(
                "feishu.buttons",
                "presses come over a long connection or to a callback address, an application has only one",
                help,
            ));
        }
        if self.encrypt_key.is_some() && self.verification_token.is_none() {
            let help = "write `verification_token` as well, which is on the same page of the console; a long connection needs neither";
            problems.push(Problem::new(
                "feishu.encrypt_key",
                "it is of use for a callback address only, and that needs the Verification Token",
                help,
            ));
        }
        problems
    }

    /// The connection of the application, which all its channels share.
    fn shared(&self, cx: &BuildContext<'_>, credential: &str, make: impl FnOnce() -> App) -> Arc<App> {
        let proxy = cx.proxy.as_ref().map_or("", |proxy| proxy.expose());
        let ca_file = self.ca_file.as_deref().map_or_else(String::new, |path| path.display().to_string());
        cx.http.shared("feishu app", &[credential, proxy, &ca_file], make)
    }
}

enum Way {
    Bot { url: Secret, secret: Option<Secret> },
    App { base: String, id: String, secret: Secret, tokens: Arc<TokenCache>, alone: bool, presses: Option<PressesBy> },
}

/// How presses of an application's buttons arrive.
enum PressesBy {
    /// Over the long connection.
    Socket(Arc<App>),
    /// At the callback address.
    Request(Proof),
}

struct Driver {
    way: Way,
    http: kit::Http,
    directory: Arc<Directory>,
    keyword: Option<String>,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt, so this is one message.
        for (place, to) in to.iter().enumerate() {
            let result = match &self.way {
                Way::Bot { url, secret } => self.to_group(url, secret.as_ref(), page, cx).await,
                Way::App { .. } => match &cx.reply_to {
                    Some(first) => self.reply(first, page, to, cx).await,
                    None => self.to_receiver(page, to, cx).await,
                },
            };
            results.push((place, result));
        }
        results
    }

    /// A group's bot is not told the id of its message, so there is nothing to edit or to answer.
    fn living(&self, platform: &Platform) -> Living {
        match self.way {
            Way::App { .. } => platform.living,
            Way::Bot { .. } => Living::NEW,
        }
    }

    async fn update(&self, ids: &PlatformIds, page: &Page, _: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        self.edit(ids, page, cx).await
    }

    fn body(&self, page: &Page) -> Value {
        match &self.way {
            Way::Bot { .. } => kit::shown(&body::message(page, self.keyword.as_deref())),
            Way::App { .. } => {
                let mut body = body::to_receiver(page, "", "", self.keyword.as_deref());
                body["uuid"] = "".into();
                body
            }
        }
    }

    fn directory(&self) -> Option<&Directory> {
        Some(&self.directory)
    }

    async fn look_up(&self, address: &str, deadline: tokio::time::Instant) -> Result<Option<String>, SendError> {
        self.open_id(address, deadline).await
    }

    async fn probe(&self) -> Probe {
        match self.token(kit::probe_deadline(), Timestamp::UNIX_EPOCH).await {
            None => Probe::Unsupported,
            Some(Err(error)) => Probe::Failed(error),
            // Whether a connection for presses can be opened; the address of one is asked for, and not used.
            Some(Ok(_)) => match self.presses() {
                Some(PressesBy::Socket(app)) => app.endpoint(kit::probe_deadline()).await.map_or_else(Probe::Failed, |_| Probe::Ok),
                _ => Probe::Ok,
            },
        }
    }

    async fn may_deliver(&self) -> Result<(), SendError> {
        match &self.way {
            Way::App { .. } => self.has_scopes().await,
            Way::Bot { .. } => Ok(()),
        }
    }

    fn press_way(&self) -> Option<PressWay> {
        self.presses().map(|presses| match presses {
            PressesBy::Socket(app) => PressWay::Listener(app.clone()),
            PressesBy::Request(_) => PressWay::Callback,
        })
    }

    fn pressed(&self, call: &Callback<'_>) -> Result<PressCall, String> {
        match self.presses() {
            Some(PressesBy::Request(proof)) => proof.pressed(call),
            _ => Err("this channel has no `feishu.verification_token`".into()),
        }
    }

    fn press_reply(&self, _: &Callback<'_>, answer: &PressAnswer) -> PressReply {
        press::reply(answer)
    }
}

impl Driver {
    fn presses(&self) -> Option<&PressesBy> {
        match &self.way {
            Way::App { presses, .. } => presses.as_ref(),
            Way::Bot { .. } => None,
        }
    }

    async fn to_group(&self, url: &Secret, secret: Option<&Secret>, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let post = async |at: Timestamp| {
            let mut message = body::message(page, self.keyword.as_deref());
            if let Some(secret) = secret {
                message.sign(at.as_second(), sign(secret, at.as_second()));
            }
            self.http.post_json(url.expose(), &message).secret(url).send(cx.deadline).await
        };
        let reply = post(cx.now).await?;
        // Our clock is more than an hour off: sign once more by the server's own, which the answer carries.
        if let (true, Some(_), Some(date)) = (answer::is_clock_trouble(&reply), secret, reply.date()) {
            return answer::of(&post(date).await?, true, cx.now);
        }
        answer::of(&reply, true, cx.now)
    }

    async fn to_receiver(&self, page: &Page, to: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        let message = body::to_receiver(page, to.expose(), &cx.idempotency_key, self.keyword.as_deref());
        let call = |base: &str| {
            let call = self.http.post_json(kit::join(base, MESSAGES), &message);
            call.query("receive_id_type", body::receiver_type(to.expose()))
        };
        self.call(call, cx).await
    }

    async fn call(&self, request: impl Fn(&str) -> kit::Call + Send + Sync, cx: &SendContext) -> Result<Receipt, SendError> {
        let alone = matches!(self.way, Way::App { alone: true, .. });
        answer::of(&self.asked(request, cx.deadline, cx.now).await?, alone, cx.now)
    }
}

/// Base64 of HMAC-SHA256 over nothing, keyed with `timestamp + "\n" + secret`; the timestamp is in seconds.
/// <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>
fn sign(secret: &Secret, timestamp: i64) -> String {
    let key = format!("{timestamp}\n{}", secret.expose());
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}
