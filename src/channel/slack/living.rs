//! Messages that live on: edits by `chat.update`, replies in a thread, and the reply whose first message was deleted.
//! <https://docs.slack.dev/reference/methods/chat.update>, <https://docs.slack.dev/reference/methods/chat.postMessage>

use serde_json::json;

use super::{Driver, Way, answer, body};
use crate::channel::{SendContext, kit};
use crate::model::{ErrorKind, Page, PlatformIds, Receipt, Secret, SendError};

/// Refusals of an edit after which only a new message helps: deleted, of another app, closed by the workspace's setting, a channel that is not seen
/// any more or is frozen: <https://docs.slack.dev/reference/methods/chat.update#errors>
const GONE_FOR_EDITS: &[&str] = &["message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found", "is_inactive"];

/// Refusals of a reply after which a message outside the thread may pass: <https://docs.slack.dev/reference/methods/chat.postMessage#errors>
const GONE_FOR_REPLIES: &[&str] =
    &["thread_not_found", "cannot_reply_to_message", "restricted_action_thread_locked", "restricted_action_non_threadable_channel"];

impl Driver {
    /// Replaces a bot's message as a whole.
    pub(super) async fn edit(&self, ids: &PlatformIds, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let (channel, ts) = (kit::id(ids, "channel")?, kit::id(ids, "ts")?);
        let result = match self.put(channel, ts, page, cx).await {
            Err(error) if answer::is_of_blocks(&error) && body::has_buttons(page) => {
                let result = self.put(channel, ts, &body::without_buttons(page), cx).await;
                result.map(|receipt| kit::without_buttons(receipt, Some(&error)))
            }
            result => result,
        };
        kit::edited(result, ids, |error| kit::has_code(error, GONE_FOR_EDITS))
    }

    async fn put(&self, channel: &str, ts: &str, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let Way::Bot { base, token } = &self.way else {
            return Err(SendError::new(ErrorKind::Rejected, "an incoming webhook cannot edit a message; use a bot token"));
        };
        let call = self.http.post_json(kit::join(base, "/api/chat.update"), &body::update(page, channel, ts, cx.direct));
        answer::of_method(&call.idempotent().bearer(token).send(cx.deadline).await?, cx.now)
    }

    /// The outcome of a reply. Slack refuses none whose thread was deleted: it posts it as a message of its own, and the only sign is that the answer
    /// names no thread (<https://github.com/slack-go/slack/issues/1571>). Such a message is deleted again, for a new one will show the whole state.
    pub(super) async fn replied(&self, reply: &kit::Reply, base: &str, token: &Secret, cx: &SendContext) -> Result<Receipt, SendError> {
        let receipt = kit::gone_if(answer::of_method(reply, cx.now), |error| kit::has_code(error, GONE_FOR_REPLIES))?;
        if answer::is_in_thread(reply) {
            return Ok(receipt);
        }
        let left = match self.delete(&receipt.ids, base, token, cx).await {
            Ok(_) => String::new(),
            Err(error) if kit::has_code(&error, &["message_not_found"]) => String::new(),
            Err(error) => format!("; it could not be deleted again: {error}"),
        };
        let summary = format!("the first message of the thread was deleted, and Slack posted the reply outside it{left}");
        Err(reply.error(ErrorKind::Rejected, "thread_not_found", summary).gone())
    }

    async fn delete(&self, ids: &PlatformIds, base: &str, token: &Secret, cx: &SendContext) -> Result<Receipt, SendError> {
        let message = json!({ "channel": kit::id(ids, "channel")?, "ts": kit::id(ids, "ts")? });
        let call = self.http.post_json(kit::join(base, "/api/chat.delete"), &message).idempotent().bearer(token);
        answer::of_method(&call.send(cx.deadline).await?, cx.now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Config;
    use super::*;
    use crate::channel::Built;
    use crate::channel::descriptor::Living;
    use crate::channel::kit::test_server::{Answer, ScriptedServer, build, context, page, rich};
    use crate::model::{Form, MessageStatus, Recipient, Severity};

    const BOT: &str = "{ token: xoxb-S3CRET-1, channel: '#ops', api_base: BASE }";

    fn ids() -> PlatformIds {
        PlatformIds::one("channel", "C1".to_owned()).and("ts", "1700000000.000100".to_owned())
    }

    fn reply() -> SendContext {
        SendContext { reply_to: Some(ids()), ..context() }
    }

    async fn update(built: &Built, page: &Page) -> Result<Receipt, SendError> {
        built.channel.update(&ids(), page, &Recipient::new("#ops"), &context()).await
    }

    #[tokio::test]
    async fn an_edit_replaces_the_whole_message_by_id_and_never_by_name() {
        let ok = r#"{"ok":true,"channel":"C1","ts":"1700000000.000100","text":"x"}"#;
        let server = ScriptedServer::start([Answer::from(ok), Answer::from(ok)]).await;
        let built = build::<Config>(BOT, &server.base).unwrap();
        let mut card = rich(&[("title", "🔥 Disk full"), ("text", "*db-1*: 94 &gt; 90")]);
        card.facts.preview = "p".repeat(5000);
        assert_eq!(update(&built, &card).await.unwrap().ids, ids());
        let mut plain = page(&[("text", &"x".repeat(20_000))]);
        plain.plain = true;
        update(&built, &plain).await.unwrap();
        let seen = server.seen();
        assert_eq!((seen[0].uri.path(), seen[0].header("authorization")), ("/api/chat.update", "Bearer xoxb-S3CRET-1"));
        let sent = seen[0].json();
        assert_eq!((&sent["channel"], &sent["ts"], &sent["parse"]), (&"C1".into(), &"1700000000.000100".into(), &"none".into()));
        assert_eq!(sent["text"].as_str().unwrap().chars().count(), 4000, "msg_too_long above that");
        assert!(sent["attachments"][0]["color"].is_string() && sent.get("unfurl_links").is_none(), "{sent}");
        let long = seen[1].json();
        assert_eq!(long["attachments"], json!([]), "what was there before is cleared");
        assert!(long["blocks"].as_array().unwrap().len() > 1 && long["text"].as_str().unwrap().len() <= 4002, "{long}");
    }

    #[tokio::test]
    async fn answers_to_an_edit_mean_what_slack_says() {
        let no = |error: &str| Answer::new(200, format!(r#"{{"ok":false,"error":"{error}"}}"#));
        let slow = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(7)) };
        let rows = [
            (no("message_not_found"), ErrorKind::Rejected, true),
            (no("cant_update_message"), ErrorKind::Rejected, true),
            (no("edit_window_closed"), ErrorKind::Rejected, true),
            (no("channel_not_found"), ErrorKind::Rejected, true),
            (no("is_inactive"), ErrorKind::Rejected, true),
            (no("block_mismatch"), ErrorKind::Rejected, false),
            (no("msg_too_long"), ErrorKind::Rejected, false),
            (no("invalid_auth"), ErrorKind::Misconfigured, false),
            (no("streaming_state_conflict"), ErrorKind::Transient, false),
            (no("update_failed"), ErrorKind::Transient, false),
            (no("external_channel_migrating"), ErrorKind::Transient, false),
            // Of a new message it may be there anyway; an edit is repeated.
            (no("fatal_error"), ErrorKind::Transient, false),
            (Answer::from("{}"), ErrorKind::Transient, false),
            (Answer::new(429, r#"{"ok":false,"error":"ratelimited"}"#).header("retry-after", "7"), slow, false),
            (Answer::new(503, r#"{"ok":false,"error":"message_not_found"}"#), ErrorKind::Transient, false),
        ];
        let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
        let built = build::<Config>(BOT, &server.base).unwrap();
        for (answer, kind, gone) in rows {
            let error = update(&built, &page(&[("text", "x")])).await.unwrap_err();
            assert_eq!((error.kind, error.gone), (kind, gone), "{answer:?}: {error}");
            assert!(!format!("{error:?}").contains("S3CRET"));
        }
        let closed = build::<Config>(BOT, "http://127.0.0.1:1").unwrap();
        assert_eq!(update(&closed, &page(&[("text", "x")])).await.unwrap_err().kind, ErrorKind::Transient);
    }

    #[tokio::test]
    async fn a_message_without_its_ids_is_gone_and_asks_nothing() {
        let server = ScriptedServer::start([]).await;
        let built = build::<Config>(BOT, &server.base).unwrap();
        let old = PlatformIds::one("id", "1.5".to_owned());
        let error = built.channel.update(&old, &page(&[("text", "x")]), &Recipient::new("#ops"), &context()).await.unwrap_err();
        assert!(error.gone && server.seen().is_empty(), "{error:?}");
    }

    #[tokio::test]
    async fn a_reply_is_in_the_thread_and_shown_in_the_channel_when_it_must_ring() {
        let ok = r#"{"ok":true,"channel":"C1","ts":"1700000009.000100","message":{"thread_ts":"1700000000.000100"}}"#;
        let server = ScriptedServer::start((0..4).map(|_| Answer::from(ok))).await;
        let built = build::<Config>(BOT, &server.base).unwrap();
        let mut page = page(&[("text", "db-2 as well")]);
        page.facts.severity = Some(Severity::Critical);
        for (severity, status, form) in [
            (Severity::Critical, MessageStatus::Firing, Form::News),
            (Severity::Critical, MessageStatus::Resolved, Form::Over),
            (Severity::Warning, MessageStatus::Firing, Form::News),
            (Severity::Warning, MessageStatus::Firing, Form::Again),
        ] {
            (page.facts.severity, page.facts.status, page.facts.form) = (Some(severity), status, form);
            let receipt = built.channel.send(&page, &[Recipient::new("#ops")], &reply()).await.remove(0).1.unwrap();
            assert_eq!(receipt.ids.get("ts"), Some("1700000009.000100"), "the reply's own, never the thread's");
        }
        let sent: Vec<_> = server.seen().iter().map(crate::channel::kit::test_server::Seen::json).collect();
        assert!(sent.iter().all(|sent| sent["thread_ts"] == "1700000000.000100" && sent["channel"] == "C1"), "{sent:?}");
        assert_eq!(sent.iter().map(|sent| sent.get("reply_broadcast").is_some()).collect::<Vec<_>>(), [true, false, false, true]);
    }

    #[tokio::test]
    async fn a_reply_to_a_deleted_message_is_deleted_again_and_gone() {
        let outside = r#"{"ok":true,"channel":"C1","ts":"1700000009.000100","message":{"text":"x","ts":"1700000009.000100"}}"#;
        let rows = [(r#"{"ok":true,"channel":"C1","ts":"1700000009.000100"}"#, false), (r#"{"ok":false,"error":"cant_delete_message"}"#, true)];
        for (deleted, is_left) in rows {
            let server = ScriptedServer::start([Answer::from(outside), Answer::from(deleted)]).await;
            let built = build::<Config>(BOT, &server.base).unwrap();
            let error = built.channel.send(&page(&[("text", "x")]), &[Recipient::new("#ops")], &reply()).await.remove(0).1.unwrap_err();
            assert!(error.gone && error.kind == ErrorKind::Rejected, "{error:?}");
            assert_eq!(error.summary.contains("could not be deleted"), is_left, "{error}");
            let seen = server.seen();
            assert_eq!((seen[1].uri.path(), seen[1].json()), ("/api/chat.delete", json!({ "channel": "C1", "ts": "1700000009.000100" })));
        }
    }

    #[tokio::test]
    async fn a_thread_that_takes_no_reply_is_gone() {
        for (code, gone) in
            [("thread_not_found", true), ("cannot_reply_to_message", true), ("restricted_action_thread_locked", true), ("is_archived", false)]
        {
            let server = ScriptedServer::start([Answer::new(200, format!(r#"{{"ok":false,"error":"{code}"}}"#))]).await;
            let built = build::<Config>(BOT, &server.base).unwrap();
            let error = built.channel.send(&page(&[("text", "x")]), &[Recipient::new("#ops")], &reply()).await.remove(0).1.unwrap_err();
            assert_eq!(error.gone, gone, "{code}: {error:?}");
        }
    }

    #[test]
    fn only_a_bot_can_edit_and_reply() {
        let living = |yaml: &str| build::<Config>(yaml, "http://h").unwrap().channel.living(&super::super::DESCRIPTOR);
        assert!(living(BOT).edit && living(BOT).reply);
        assert_eq!(living("{ webhook: 'https://hooks.slack.com/services/T0/B0/x' }"), Living::NEW);
    }
}
