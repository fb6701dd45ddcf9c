//! WeCom (企业微信) application messages: a cached access token, one request for many recipients, and an answer that may refuse some of them.
//! One attempt; no queue, no retry, no clock. <https://developer.work.weixin.qq.com/document/path/90236>

mod answer;
mod body;
mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

pub use config::Config;

use super::descriptor::{Pings, Reach};
use super::token::{Fresh, TokenCache};
use super::{Attempts, CellResult, Channel, Counted, Limit, Pace, Platform, Probe, SendContext, kit};
use crate::model::{ErrorKind, Escape, FieldSpec, Page, Recipient, Secret, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "wecom",
    title: "WeCom application (企业微信应用)",
    about: "application messages to users, departments and tags; markdown or text; refused recipients are listed",
    docs: "https://developer.work.weixin.qq.com/document/path/90236",
    fields: &[
        FieldSpec { name: "text", escape: Escape::WeComMarkdown, required: true, single_line: false, template: include_str!("text.hbs") },
        FieldSpec { name: "card", escape: Escape::WeComMarkdown, required: false, single_line: false, template: include_str!("card.hbs") },
    ],
    measure: &body::measure,
    limit: "2,048 bytes of content (https://developer.work.weixin.qq.com/document/path/90236)",
    pace: Pace {
        limits: &[Limit { count: 30, window: Duration::from_secs(60) }, Limit { count: 1000, window: Duration::from_secs(3600) }],
        per_month: None,
        source: "https://developer.work.weixin.qq.com/document/path/90454: 30 a minute and 1,000 an hour for each member; what is more is dropped in silence",
    },
    attempts: Attempts { concurrency: 2, batch: config::MAX_USERS },
    pings: Pings::NAMED.reaching(Reach::Id("wecom")),
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

struct Driver {
    base: String,
    http: kit::Http,
    corp_id: String,
    agent_id: u32,
    card: bool,
    secret: Secret,
    tokens: Arc<TokenCache>,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        match self.attempt(page, to, cx).await {
            Ok(results) => results,
            Err(error) => kit::all(to, Err(error)),
        }
    }

    fn body(&self, page: &Page) -> Value {
        kit::shown(&body::message(page, &[], self.agent_id, false, self.card))
    }

    /// The limits are each member's (<https://developer.work.weixin.qq.com/document/path/90454>); who is in a department or has a tag is not known.
    fn counted(&self, to: &[Recipient]) -> Counted {
        if to.is_empty() || !to.iter().all(config::is_member) {
            return Counted::Outlet;
        }
        // Members' ids are the same in either case (https://developer.work.weixin.qq.com/document/path/90195).
        Counted::Recipients(to.iter().map(|member| Recipient::new(member.expose().to_lowercase())).collect())
    }

    async fn probe(&self) -> Probe {
        match self.fetch(kit::probe_deadline()).await {
            Ok(_) => Probe::Ok,
            Err(error) => Probe::Failed(error),
        }
    }
}

impl Driver {
    async fn attempt(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Result<Vec<CellResult>, SendError> {
        let agent_id = match page.field("agent_id").trim() {
            "" => self.agent_id,
            text => text.parse().map_err(|_| SendError::new(ErrorKind::Rejected, "the agent id is not a number; write the application's AgentId"))?,
        };
        let message = body::message(page, to, agent_id, cx.direct, self.card);
        let token = self.token(cx.deadline).await?;
        let reply = self.post(&message, &token, cx.deadline).await?;
        if !answer::refuses_token(&reply) {
            return answer::of(&reply, to, cx.now);
        }
        // WeCom may end a token before its time; one fresh token is part of this attempt.
        self.tokens.invalidate(&token);
        let token = self.token(cx.deadline).await?;
        answer::of(&self.post(&message, &token, cx.deadline).await?, to, cx.now)
    }

    async fn token(&self, deadline: Instant) -> Result<Secret, SendError> {
        let late = || SendError::new(ErrorKind::Transient, "no access token in time, and nothing was sent").code("timeout");
        tokio::time::timeout_at(deadline, self.tokens.get(self.fetch(deadline))).await.unwrap_or_else(|_| Err(late()))
    }

    /// Asks for a token: <https://developer.work.weixin.qq.com/document/path/91039>
    async fn fetch(&self, deadline: Instant) -> Result<Fresh, SendError> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            #[serde(default)]
            expires_in: u64,
        }
        let call = self.http.get(kit::join(&self.base, "/cgi-bin/gettoken")).query("corpid", &self.corp_id).query_secret("corpsecret", &self.secret);
        let reply = call.send(deadline).await?;
        match reply.json::<Granted>() {
            Some(granted) if reply.is_success() && !granted.access_token.is_empty() => {
                Ok(Fresh { token: Secret::new(granted.access_token), expires_in: Duration::from_secs(granted.expires_in) })
            }
            _ => Err(answer::of_token(&reply, reply.date().unwrap_or_default())),
        }
    }

    async fn post(&self, message: &body::Message, token: &Secret, deadline: Instant) -> Result<kit::Reply, SendError> {
        self.http.post_json(kit::join(&self.base, "/cgi-bin/message/send"), message).query_secret("access_token", token).send(deadline).await
    }
}
