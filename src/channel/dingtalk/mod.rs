//! DingTalk group robot (钉钉群机器人): a signed webhook that answers HTTP 200 whatever happens. One attempt; no queue, no retry, no clock.
//! <https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages>

mod answer;
mod body;
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

use super::descriptor::{Ping, Pings, Reach};
use super::{BuildContext, Built, CellResult, Channel, Limit, Pace, Platform, PlatformConfig, Problem, SendContext, kit};
use crate::model::{Escape, FieldSpec, Mentions, OutletKey, Page, Receipt, Recipient, Secret, SecretSource, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "dingtalk",
    title: "DingTalk group robot (钉钉群机器人)",
    about: "custom robot webhook, signed; markdown or text, @ by mobile number, user id or everybody",
    docs: "https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages",
    fields: &[
        FieldSpec { name: "title", escape: Escape::None, required: true, single_line: true, template: include_str!("title.hbs") },
        FieldSpec { name: "text", escape: Escape::DingTalkMarkdown, required: true, single_line: false, template: include_str!("text.hbs") },
    ],
    measure: &body::measure,
    limit: "20,000 bytes of JSON (https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages)",
    pace: Pace {
        limits: &[Limit { count: 20, window: Duration::from_secs(60) }],
        per_month: Some(3000),
        month_zone: Pace::CHINA,
        per_recipient: &[],
        source: "https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages: 20 a minute, then 10 minutes of silence; \
                 https://open.dingtalk.com/document/orgapp/api-call-quota: 3,000 a month and organisation of the free edition, \
                 5,000 for those from before 2025-11-19",
    },
    pings: Pings::of(Ping::Inside, Ping::Inside, Ping::Inside, Ping::Named).reaching(Reach::Mention("dingtalk")),
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const API_BASE: &str = "https://oapi.dingtalk.com";

/// `dingtalk: { access_token, secret, at }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The value of `access_token=` in the robot's webhook address.
    pub access_token: SecretSource,
    /// Signing secret (`SEC...`), when the robot's security setting is a signature (加签).
    #[serde(default)]
    pub secret: Option<SecretSource>,
    /// A word of the robot's keyword list (自定义关键词); it is added to messages that do not hold it.
    #[serde(default)]
    pub keyword: Option<String>,
    /// Links become the buttons of an action card (ActionCard). A message that pings by mobile number or everybody stays markdown: a card cannot. Default false.
    #[serde(default)]
    pub card: bool,
    /// Whom messages ping unless a route says otherwise: `mobiles`, `users`, `all`.
    #[serde(default)]
    pub mentions: Mentions,
    /// Messages a month that the organisation may send by robots. Default 3000, the free edition's; 5000 for organisations from before 2025-11-19.
    #[serde(default)]
    pub per_month: Option<u32>,
    /// Another server in DingTalk's place. Default `https://oapi.dingtalk.com`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(kit::check_secret("dingtalk.access_token", &self.access_token));
        problems.extend(self.secret.as_ref().and_then(|secret| kit::check_secret("dingtalk.secret", secret)));
        problems.extend(self.keyword.as_ref().and_then(|word| kit::check_text("dingtalk.keyword", word, "write the word, or remove the key")));
        let pinged = self.mentions.mobiles.len() + self.mentions.users.len();
        if pinged > body::MAX_AT {
            problems.push(Problem::new(
                "dingtalk.mentions",
                format!("{pinged} people are pinged, DingTalk allows {} a message", body::MAX_AT),
                "name fewer, or `all: true`",
            ));
        }
        for (place, mobile) in self.mentions.mobiles.iter().enumerate() {
            if mobile.is_empty() || !mobile.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-')) {
                let message = "it is not a mobile number";
                problems.push(Problem::new(format!("dingtalk.mentions.mobiles[{place}]"), message, "write digits; user ids belong under `users`"));
            }
        }
        if !self.mentions.groups.is_empty() {
            let message = "a DingTalk robot cannot ping groups";
            problems.push(Problem::new("dingtalk.mentions.groups", message, "name `mobiles` or `users`, or `all: true`"));
        }
        problems.extend(kit::check_quota("dingtalk.per_month", self.per_month));
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base("dingtalk.api_base", base)));
        problems
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn recipients(&self) -> Vec<Recipient> {
        vec![Recipient::new("@robot")]
    }

    fn mentions(&self) -> Mentions {
        self.mentions.clone()
    }

    fn per_month(&self) -> Option<u32> {
        self.per_month
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keep = |result: Result<Secret, Problem>| result.map_err(|problem| problems.push(problem)).ok();
        let token = keep(kit::read_secret(cx, "dingtalk.access_token", &self.access_token).and_then(bare));
        let secret = self.secret.as_ref().and_then(|source| keep(kit::read_secret(cx, "dingtalk.secret", source)));
        let http = kit::http(cx, "dingtalk", self.ca_file.as_deref()).map_err(|problem| problems.push(problem)).ok();
        let (Some(token), Some(http), true) = (token, http, problems.is_empty()) else {
            return Err(problems);
        };
        let outlet = OutletKey::new("dingtalk", token.expose());
        let driver = Driver {
            url: kit::join(self.api_base.as_deref().unwrap_or(API_BASE), "/robot/send"),
            http: http.with_secrets([token.clone()].into_iter().chain(secret.clone())),
            token,
            secret,
            card: self.card,
            keyword: self.keyword.as_deref().map(str::trim).map(str::to_owned),
        };
        Ok(Built { descriptor: None, channel: Arc::new(driver), outlet })
    }
}

/// Refuses a whole address in the token's place, which is what DingTalk offers to copy.
fn bare(token: Secret) -> Result<Secret, Problem> {
    if token.expose().contains(['/', '=', '?', '&']) {
        let help = "of `https://oapi.dingtalk.com/robot/send?access_token=abc`, write only `abc`";
        return Err(Problem::new("dingtalk.access_token", "it is an address, not a token", help));
    }
    Ok(token)
}

struct Driver {
    url: String,
    http: kit::Http,
    token: Secret,
    secret: Option<Secret>,
    keyword: Option<String>,
    card: bool,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        kit::all(to, self.attempt(page, cx).await)
    }

    fn body(&self, page: &Page) -> Value {
        kit::shown(&body::message(page, "", self.style()))
    }
}

impl Driver {
    fn style(&self) -> body::Style<'_> {
        body::Style { keyword: self.keyword.as_deref(), card: self.card }
    }

    async fn attempt(&self, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let body = body::message(page, &cx.idempotency_key, self.style());
        let reply = self.post(&body, cx.now, cx).await?;
        // Our clock is more than an hour off: sign once more by the server's own, which the answer carries.
        if let (true, Some(_), Some(date)) = (answer::is_clock_trouble(&reply), &self.secret, reply.date()) {
            return answer::of(&self.post(&body, date, cx).await?, cx.now);
        }
        answer::of(&reply, cx.now)
    }

    async fn post(&self, body: &body::Message, at: Timestamp, cx: &SendContext) -> Result<kit::Reply, SendError> {
        let mut call = self.http.post_json(&self.url, body).query_secret("access_token", &self.token);
        if let Some(secret) = &self.secret {
            let timestamp = at.as_millisecond();
            call = call.query("timestamp", timestamp.to_string()).query("sign", sign(secret, timestamp));
        }
        call.send(cx.deadline).await
    }
}

/// Base64 of HMAC-SHA256, keyed with the secret, over `timestamp + "\n" + secret`; the timestamp is in milliseconds.
/// <https://open.dingtalk.com/document/orgapp/customize-robot-security-settings>
fn sign(secret: &Secret, timestamp: i64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{timestamp}\n{}", secret.expose()).as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}
