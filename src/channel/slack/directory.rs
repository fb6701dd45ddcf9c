//! Members by their mail addresses. <https://docs.slack.dev/reference/methods/users.lookupByEmail>

use tokio::time::Instant;

use super::{Driver, Way, answer};
use crate::channel::kit;
use crate::model::SendError;

impl Driver {
    /// The member id of a mail address.
    pub(super) async fn member(&self, email: &str, deadline: Instant) -> Result<Option<String>, SendError> {
        let Way::Bot { base, token } = &self.way else { return Ok(None) };
        let reply = self.http.get(kit::join(base, "/api/users.lookupByEmail")).query("email", email).bearer(token).send(deadline).await?;
        answer::of_user(&reply, reply.date().unwrap_or_default())
    }
}
