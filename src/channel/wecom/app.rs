//! The application: its access token, and requests that carry it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::answer;
use crate::channel::kit;
use crate::channel::token::{Fresh, TokenCache};
use crate::model::{ErrorKind, Secret, SendError};

/// An application of a company.
pub(super) struct App {
    pub base: String,
    pub http: kit::Http,
    pub corp_id: String,
    pub agent_id: u32,
    pub secret: Secret,
    pub tokens: Arc<TokenCache>,
}

impl App {
    /// Posts with the token; once more with a fresh one where WeCom ended it before its time, which is part of one attempt.
    pub async fn post(&self, path: &str, body: &(impl Serialize + Sync), deadline: Instant) -> Result<kit::Reply, SendError> {
        let call = |token: &Secret| self.http.post_json(kit::join(&self.base, path), body).query_secret("access_token", token);
        let token = self.token(deadline).await?;
        let reply = call(&token).send(deadline).await?;
        if !answer::refuses_token(&reply) {
            return Ok(reply);
        }
        self.tokens.invalidate(&token);
        let token = self.token(deadline).await?;
        call(&token).send(deadline).await
    }

    /// What WeCom says of the application itself.
    pub async fn agent(&self, deadline: Instant) -> Result<kit::Reply, SendError> {
        let token = self.token(deadline).await?;
        let call = self.http.get(kit::join(&self.base, "/cgi-bin/agent/get")).query_secret("access_token", &token);
        call.query("agentid", self.agent_id.to_string()).send(deadline).await
    }

    async fn token(&self, deadline: Instant) -> Result<Secret, SendError> {
        let late = || SendError::new(ErrorKind::Transient, "no access token in time, and nothing was sent").code("timeout");
        tokio::time::timeout_at(deadline, self.tokens.get(self.fetch(deadline))).await.unwrap_or_else(|_| Err(late()))
    }

    /// Asks for a token: <https://developer.work.weixin.qq.com/document/path/91039>
    pub async fn fetch(&self, deadline: Instant) -> Result<Fresh, SendError> {
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
}
