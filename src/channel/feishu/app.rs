//! An application's requests, which carry its token. <https://open.feishu.cn/document/server-docs/authentication-management/access-token/tenant_access_token_internal>

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Driver, Way, answer};
use crate::channel::kit;
use crate::channel::token::Fresh;
use crate::model::{ErrorKind, Secret, SendError};

impl Driver {
    /// The application's token; `None` for a bot, which has none.
    pub(super) async fn token(&self, deadline: Instant, now: Timestamp) -> Option<Result<Secret, SendError>> {
        let Way::App { base, id, secret, tokens, .. } = &self.way else { return None };
        let fetch = async {
            let url = kit::join(base, "/open-apis/auth/v3/tenant_access_token/internal");
            let ask = serde_json::json!({ "app_id": id, "app_secret": secret.expose() });
            let reply = self.http.post_json(url, &ask).idempotent().secret(secret).send(deadline).await?;
            let (token, expire) = answer::token(&reply, now)?;
            Ok(Fresh { token, expires_in: Duration::from_secs(expire) })
        };
        Some(tokens.get(fetch).await)
    }

    /// Whether the application has the permission by which messages are sent, edited and answered. An application that may not ask is not blamed.
    /// <https://open.feishu.cn/document/server-docs/application-v6/scope/list>
    pub(super) async fn has_scopes(&self) -> Result<(), SendError> {
        let call = |base: &str| self.http.get(kit::join(base, "/open-apis/application/v6/scopes"));
        let reply = self.asked(call, kit::probe_deadline(), Timestamp::UNIX_EPOCH).await?;
        answer::has_scopes(&reply)
    }

    /// Makes an application's request, once more with a new token where the first is refused.
    pub(super) async fn asked(
        &self,
        request: impl Fn(&str) -> kit::Call + Send + Sync,
        deadline: Instant,
        now: Timestamp,
    ) -> Result<kit::Reply, SendError> {
        let Way::App { base, tokens, .. } = &self.way else {
            return Err(SendError::new(ErrorKind::Rejected, "only an application can do that, not a group's bot"));
        };
        for renewed in [false, true] {
            let token = match self.token(deadline, now).await {
                Some(token) => token?,
                None => break,
            };
            let reply = request(base).bearer(&token).send(deadline).await?;
            if renewed || !answer::is_token_trouble(&reply) {
                return Ok(reply);
            }
            tokens.invalidate(&token);
        }
        Err(SendError::new(ErrorKind::Transient, "the application's token was refused twice"))
    }
}
