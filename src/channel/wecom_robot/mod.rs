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

use super::kit::{self, Row};
use super::{BuildContext, Built, CellResult, Channel, Limit, OnAmbiguous, Pace, Platform, PlatformConfig, Problem, SendContext};
use crate::model::{ErrorKind, Escape, FieldSpec, Mentions, OutletKey, Page, Receipt, Recipient, Secret, SecretSource, SendError};

/// The card.
pub static PLATFORM: Platform = Platform {
    name: "wecom_robot",
    title: "WeCom group robot (企业微信群机器人)",
    about: "group webhook; markdown or text, @ by user id",
    docs: "https://developer.work.weixin.qq.com/document/path/99110",
    fields: &[FieldSpec { name: "text", escape: Escape::WeComMarkdown, required: true, single_line: false }],
    measure: &body::measure,
    limit: "4,096 bytes of markdown, 2,048 bytes of text (https://developer.work.weixin.qq.com/document/path/99110)",
    pace: Pace {
        limits: &[Limit { count: 20, window: Duration::from_secs(60) }],
        per_month: None,
        source: "https://developer.work.weixin.qq.com/document/path/99110: 20 messages a minute and robot",
    },
    concurrency: 1,
    batch: 1,
    ambiguous: OnAmbiguous::Retry,
    resolved_by_default: true,
    payload: false,
};

const API_BASE: &str = "https://qyapi.weixin.qq.com";

/// `wecom_robot: { key }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What stands behind `key=` in the robot's webhook address.
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
        Ok(Built { card: None, channel: Arc::new(Driver { url, http: http.with_secrets([key.clone()]), key }), outlet })
    }
}

/// Refuses a whole address in the key's place, which is what WeCom gives to copy.
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
}

impl Driver {
    async fn attempt(&self, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let reply = self.http.post_json(&self.url, &body::message(page)).query_secret("key", &self.key).send(cx.deadline).await?;
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
const KNOWN: &[Row] = &[
    (&["-1", "45033"], ErrorKind::Transient, "it is busy; it is tried again"),
    (&["45009"], ErrorKind::RateLimited { retry_after: None }, "more than 20 messages came within a minute"),
    (&["93000"], ErrorKind::Misconfigured, "the key is not known; copy it again from the robot's page in the group"),
    (&["93004"], ErrorKind::Misconfigured, "the robot is disabled; an administrator can enable it"),
    (&["93008"], ErrorKind::Misconfigured, "the robot is not in the group any more; add it again"),
    (&["40058", "44004", "40008", "47001", "40033", "45002"], ErrorKind::Rejected, "its content is not accepted; look at what the template renders"),
];

fn of(reply: &kit::Reply, now: Timestamp) -> Result<Receipt, SendError> {
    let answer: Answer = kit::parse(reply, now)?;
    if answer.errcode == 0 && reply.is_success() {
        return Ok(reply.receipt("0", None));
    }
    let code = answer.errcode.to_string();
    let (kind, advice) = kit::look_up(KNOWN, &code).unwrap_or((ErrorKind::Rejected, "see the code in WeCom's list of errors"));
    // The window is a minute: https://developer.work.weixin.qq.com/document/path/99110
    let kind = match kind {
        ErrorKind::RateLimited { .. } => ErrorKind::RateLimited { retry_after: Some(reply.retry_after(now).unwrap_or(Duration::from_secs(60))) },
        kind => kind,
    };
    Err(reply.error(kind, code, format!("the WeCom robot refused the message: {advice} (\"{}\")", answer.errmsg)))
}
