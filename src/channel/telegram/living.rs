//! Messages that live on: edits by `editMessageText`, and what a reply answers. Every message is a text, a picture its preview, so that no caption is
//! ever edited. <https://core.telegram.org/bots/api#editmessagetext>, <https://core.telegram.org/bots/api#replyparameters>

use std::borrow::Cow;

use super::answer::{self, Refusal};
use super::{Driver, body};
use crate::channel::{SendContext, kit};
use crate::model::{ErrorKind, Page, PlatformIds, Receipt, SendError};

/// The chat and the number of a message. It is the chat that the message was sent to, whatever the configuration names now.
pub(super) fn place(ids: &PlatformIds) -> Result<(&str, i64), SendError> {
    let (chat, message) = (kit::id(ids, "chat_id")?, kit::id(ids, "message_id")?);
    let number = message.parse().map_err(|_| SendError::new(ErrorKind::Rejected, "the message was stored with an id that is no number").gone())?;
    Ok((chat, number))
}

impl Driver {
    /// Replaces the text and the keyboard of a message.
    pub(super) async fn edit(&self, ids: &PlatformIds, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let (chat, message) = place(ids)?;
        let (mut page, mut refused_buttons) = (Cow::Borrowed(page), None);
        loop {
            let call = self.room.http.post_json(self.room.method("/editMessageText"), &body::edit(&page, chat, message)).idempotent();
            let reply = call.send(cx.deadline).await?;
            let result = match answer::of(&reply, cx.now) {
                Ok(receipt) => Ok(kit::without_buttons(receipt, refused_buttons.as_ref())),
                Err(Refusal { unmodified: true, .. }) => Ok(reply.receipt("ok", ids.clone())),
                // Numbers of messages of the old group mean nothing in the new one.
                Err(Refusal { moved_to: Some(new), error, .. }) => {
                    self.follow(chat, new);
                    Err(error.gone())
                }
                Err(refusal) if refusal.of_buttons && body::has_buttons(&page) => {
                    page = Cow::Owned(body::without_buttons(&page));
                    refused_buttons = refused_buttons.or(Some(refusal.error));
                    continue;
                }
                Err(refusal) => Err(refusal.error),
            };
            return kit::edited(result, ids, |error| error.gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::Config;
    use super::*;
    use crate::channel::kit::test_server::{Answer, ScriptedServer, build, context, page, rich};
    use crate::model::{MessageStatus, Recipient};

    const CONFIG: &str = "{ token: '123456:S3CRET', chat: -1001, thread_id: 7, quiet_resolved: false, api_base: BASE }";
    const OK: &str = r#"{"ok":true,"result":{"message_id":42,"chat":{"id":-1001}}}"#;

    fn ids() -> PlatformIds {
        PlatformIds::one("chat_id", "-1001".to_owned()).and("message_id", "42".to_owned())
    }

    fn no(status: u16, why: &str) -> Answer {
        Answer::new(status, format!(r#"{{"ok":false,"error_code":{status},"description":"{why}"}}"#))
    }

    #[tokio::test]
    async fn an_edit_replaces_text_and_keyboard() {
        let server = ScriptedServer::start([Answer::from(OK), Answer::from(OK)]).await;
        let built = build::<Config>(CONFIG, &server.base).unwrap();
        let to = Recipient::new("-1001");
        assert_eq!(built.channel.update(&ids(), &rich(&[("text", "<b>Disk</b>")]), &to, &context()).await.unwrap().ids, ids());
        built.channel.update(&ids(), &page(&[("text", "over")]), &to, &context()).await.unwrap();
        let seen = server.seen();
        assert_eq!(seen[0].uri.path(), "/bot123456:S3CRET/editMessageText");
        let sent = seen[0].json();
        assert_eq!((&sent["chat_id"], &sent["message_id"], &sent["parse_mode"]), (&"-1001".into(), &42.into(), &"HTML".into()));
        assert!(sent["text"].as_str().unwrap().starts_with("<b>Disk</b>") && sent["reply_markup"]["inline_keyboard"].is_array(), "{sent}");
        assert!(sent.get("message_thread_id").is_none() && sent.get("disable_notification").is_none(), "{sent}");
        assert!(seen[1].json().get("reply_markup").is_none(), "without one the keyboard goes");
    }

    #[tokio::test]
    async fn answers_to_an_edit_mean_what_telegram_says() {
        let same = "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content \
                    and reply markup of the message";
        let moved = r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1009}}"#;
        let slow = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}"#;
        let wait = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(35)) };
        let rows = [
            (no(400, same), None),
            (no(400, "Bad Request: message to edit not found"), Some((ErrorKind::Rejected, true))),
            (no(400, "Bad Request: message can't be edited"), Some((ErrorKind::Rejected, true))),
            (no(400, "Bad Request: MESSAGE_ID_INVALID"), Some((ErrorKind::Rejected, true))),
            (Answer::new(400, moved), Some((ErrorKind::Rejected, true))),
            (no(400, "Bad Request: message is too long"), Some((ErrorKind::Rejected, false))),
            (no(403, "Forbidden: bot was kicked from the supergroup chat"), Some((ErrorKind::Misconfigured, false))),
            (Answer::new(429, slow), Some((wait, false))),
            (no(502, "Bad Gateway: message to edit not found"), Some((ErrorKind::Transient, false))),
            (Answer::from("[]"), Some((ErrorKind::Transient, false))),
        ];
        let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
        let built = build::<Config>(CONFIG, &server.base).unwrap();
        for (answer, expected) in rows {
            let result = built.channel.update(&ids(), &rich(&[("text", "x")]), &Recipient::new("-1001"), &context()).await;
            let told = result.as_ref().err().map(|error| (error.kind, error.gone));
            assert_eq!(told, expected, "{answer:?}: {result:?}");
            assert!(result.is_err() || result.is_ok_and(|receipt| receipt.ids == ids()));
        }
        assert_eq!(server.seen().len(), 10, "one request each");
    }

    #[tokio::test]
    async fn a_reply_goes_to_the_chat_of_the_first_message_and_only_what_fires_makes_a_sound() {
        let server = ScriptedServer::start([Answer::from(OK), Answer::from(OK), no(400, "Bad Request: message to be replied not found")]).await;
        let built = build::<Config>(CONFIG, &server.base).unwrap();
        let mut page = page(&[("text", "db-2 as well")]);
        let cx = crate::channel::SendContext {
            reply_to: Some(PlatformIds::one("chat_id", "-1002".to_owned()).and("message_id", "7".to_owned())),
            ..context()
        };
        let mut results = Vec::new();
        for status in [MessageStatus::Firing, MessageStatus::Resolved, MessageStatus::Firing] {
            page.facts.status = status;
            results.push(built.channel.send(&page, &[Recipient::new("-1001")], &cx).await.remove(0).1);
        }
        let sent: Vec<_> = server.seen().iter().map(crate::channel::kit::test_server::Seen::json).collect();
        assert_eq!(sent[0]["reply_parameters"], json!({ "message_id": 7, "allow_sending_without_reply": false }));
        assert_eq!((&sent[0]["chat_id"], &sent[0]["message_thread_id"]), (&"-1002".into(), &7.into()));
        assert_eq!((&sent[0]["disable_notification"], &sent[1]["disable_notification"]), (&false.into(), &true.into()));
        assert!(results[0].is_ok() && results[2].as_ref().is_err_and(|error| error.gone && error.kind == ErrorKind::Rejected), "{results:?}");
    }
}
