//! People by their mobile numbers and mail addresses. <https://open.feishu.cn/document/server-docs/contact-v3/user/batch_get_id>

use serde_json::json;
use tokio::time::Instant;

use super::{Driver, answer};
use crate::channel::kit::{self, phone};
use crate::model::SendError;

const IDS: &str = "/open-apis/contact/v3/users/batch_get_id";

impl Driver {
    /// The `open_id` of an address, as the application sees it.
    pub(super) async fn open_id(&self, address: &str, deadline: Instant) -> Result<Option<String>, SendError> {
        let ask = if address.contains('@') { json!({ "emails": [address] }) } else { json!({ "mobiles": [phone::dialled(address)] }) };
        let request = |base: &str| self.http.post_json(kit::join(base, IDS), &ask).idempotent().query("user_id_type", "open_id");
        let reply = self.asked(request, deadline, jiff::Timestamp::UNIX_EPOCH).await?;
        answer::of_user(&reply, reply.date().unwrap_or_default())
    }
}
