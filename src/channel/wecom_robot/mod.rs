//! WeCom group robot (企业微信群机器人, now 消息推送): one key, no signature, HTTP 200 whatever happens. One attempt; no queue, no retry.
//! <https://developer.work.weixin.qq.com/document/path/99110>

mod body;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::descriptor::{Ping, Pings, Reach};
use super::kit::{self, CodeRule};
use super::{BuildContext, Built, CellResult, Channel, Limit, Pace, Platform, PlatformConfig, Problem, SendContext};
use crate::model::{ErrorKind, Escape, FieldSpec, Mentions, OutletKey, Page, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "wecom_robot",
    title: "WeCom group robot (企业微信群机器人)",
    about: "group webhook; markdown or text, @ by user id",
    docs: "https://developer.work.weixin.qq.com/document/path/99110",
    fields: &[FieldSpec { name: "text", escape: Escape::WeComMarkdown, required: true, single_line: false, template: include_str!("text.hbs") }],
    measure: &body::measure,
    limit: "4,096 bytes of markdown, 2,048 bytes of text (https://developer.work.weixin.qq.com/document/path/99110)",
    pace: Pace {
        limits: &[Limit { count: 20, window: Duration::from_secs(60) }],
        per_month: None,
        month_zone: 0,
        per_recipient: &[],
        source: "https://developer.work.weixin.qq.com/document/path/99110: 20 messages a minute and robot",
    },
    pings: Pings::of(Ping::Beside, Ping::Beside, Ping::Inside, Ping::Named).reaching(Reach::Mention("wecom")),
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const API_BASE: &str = "https://qyapi.weixin.qq.com";

/// `wecom_robot: { key }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The value of `key=` in the robot's webhook address.
    pub key: SecretSource,
    /// Another server in WeCom's place. Default `https://qyapi.weixin.qq.com`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let base = self.api_base.as_ref().and_then(|base| kit::check_base("wecom_robot.api_base", base));
        kit::check_secret("wecom_robot.key", &self.key).into_iter().chain(base).collect()
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn recipients(&self) -> Vec<Recipient> {
        vec![Recipient::new("@robot")]
    }

    fn mentions(&self) -> Mentions {
        Mentions::default()
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let key = kit::read_secret(cx, "wecom_robot.key", &self.key).and_then(bare).map_err(|problem| vec![problem])?;
        let http = kit::http(cx, "wecom_robot", self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let outlet = OutletKey::new("wecom_robot", key.expose());
        let url = kit::join(self.api_base.as_deref().unwrap_or(API_BASE), "/cgi-bin/webhook/send");
        Ok(Built { descriptor: None, channel: Arc::new(Driver { url, http: http.with_secrets([key.clone()]), key }), outlet })
    }
}

/// Refuses a whole address in the key's place, which is what WeCom offers to copy.
fn bare(key: Secret) -> Result<Secret, Problem> {
    if key.expose().contains(['/', '=', '?', '&']) {
        let help = "of `https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abc`, write only `abc`";
        return Err(Problem::new("wecom_robot.key", "it is an address, not a key", help));
    }
    Ok(key)
}

struct Driver {
    url: String,
    http: kit::Http,
    key: Secret,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        kit::all(to, self.attempt(page, cx).await)
    }

    fn body(&self, page: &Page) -> Value {
        kit::shown(&body::message(page, false))
    }
}

impl Driver {
    async fn attempt(&self, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let reply = self.http.post_json(&self.url, &body::message(page, cx.direct)).query_secret("key", &self.key).send(cx.deadline).await?;
        of(&reply, cx.now)
    }
}

#[derive(Deserialize)]
struct Answer {
    errcode: i64,
    #[serde(default)]
    errmsg: String,
}

/// Codes: <https://developer.work.weixin.qq.com/document/path/90313>; 93000-93008 as <https://open.work.weixin.qq.com/devtool/query> explains them.
const ERROR_CODES: &[CodeRule] = &[
    (&["-1", "6000"], ErrorKind::Transient, "it is busy; it is tried again"),
    (&["45009", "45011", "45033"], ErrorKind::RateLimited { retry_after: None }, "more than 20 messages came within a minute"),
    (&["93000", "40014"], ErrorKind::Misconfigured, "the key is not known; copy it again from the robot's page in the group"),
    (&["93004"], ErrorKind::Misconfigured, "the robot is disabled; an administrator can enable it"),
    (&["93008"], ErrorKind::Misconfigured, "the robot is not in the group any more; add it again"),
    (&["60020"], ErrorKind::Misconfigured, "this machine's address is not trusted; add it to the robot's trusted IPs"),
    (&["45002", "45003", "45004"], ErrorKind::Rejected, "the message is too long"),
    (&["82004"], ErrorKind::Rejected, "the content is held to be unlawful"),
    (
        &["40004", "40008", "40033", "40035", "40039", "40058", "40063", "41033", "43003", "44002", "44004", "45008", "45034", "47001"],
        ErrorKind::Rejected,
        "its content is not accepted; look at what the template renders",
    ),
];

fn of(reply: &kit::Reply, now: Timestamp) -> Result<Receipt, SendError> {
    let answer: Answer = kit::parse(reply, now)?;
    if answer.errcode == 0 && reply.is_success() {
        return Ok(reply.receipt("0", PlatformIds::default()));
    }
    let code = answer.errcode.to_string();
    let known = kit::classify(ERROR_CODES, &code).or_else(|| kit::passing_by_words(&answer.errmsg));
    let kind = match kit::weigh(reply, now, known.map(|(kind, _)| kind)) {
        ErrorKind::RateLimited { retry_after } => ErrorKind::RateLimited { retry_after: Some(retry_after.unwrap_or(WINDOW)) },
        kind => kind,
    };
    let advice = known.map_or("see the code in WeCom's list of errors", |(_, advice)| advice);
    let error = reply.error(kind, code, format!("the WeCom robot refused the message: {advice} (\"{}\")", answer.errmsg));
    let of_mentions = kit::says(&answer.errmsg, &["mentioned_list", "mentioned_mobile_list"]);
    Err(if kind == ErrorKind::Rejected && of_mentions { error.of_mentions() } else { error })
}

/// The robot's window: <https://developer.work.weixin.qq.com/document/path/99110>
const WINDOW: Duration = Duration::from_secs(60);
