//! Messages that live on: edits of a webhook's own messages. <https://docs.discord.com/developers/resources/webhook#edit-webhook-message>

use reqwest::Method;

use super::{Driver, USER_AGENT, answer, body};
use crate::channel::{SendContext, kit};
use crate::model::{ErrorKind, Page, PlatformIds, Receipt, SendError};

/// An id that no message has.
const NO_MESSAGE: &str = "1";

impl Driver {
    /// Looks for a message that is none where an edit would look for its own: a thread that is gone, or a channel that is closed to the webhook, is named.
    /// <https://docs.discord.com/developers/resources/webhook#get-webhook-message>
    pub(super) async fn look(&self) -> Result<(), SendError> {
        let call = self.http.get(self.address(NO_MESSAGE));
        let call = self.thread_id.iter().fold(call, |call, thread| call.query("thread_id", thread.clone()));
        let reply = call.header("user-agent", USER_AGENT).send(kit::probe_deadline()).await?;
        // Another server in Discord's place need not know the question.
        let unknown = |error: &SendError| matches!(error.code.as_deref(), Some("HTTP 404" | "HTTP 405"));
        match answer::of(&reply, reply.date().unwrap_or_default()) {
            Err(error) if error.kind == ErrorKind::Misconfigured && !unknown(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Replaces the message as a whole, in the thread that it was posted in, whatever the configuration names now.
    pub(super) async fn edit(&self, ids: &PlatformIds, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let call = self.http.request(Method::PATCH, self.address(kit::id(ids, "message_id")?)).json(&body::edit(page, cx.direct)).idempotent();
        let call = ids.get("thread_id").into_iter().fold(call, |call, thread| call.query("thread_id", thread));
        let result = answer::of(&call.header("user-agent", USER_AGENT).send(cx.deadline).await?, cx.now);
        kit::edited(result, ids, |error| kit::has_code(error, answer::GONE))
    }

    /// Where a message is: below the webhook's path, whatever query its address has.
    fn address(&self, message: &str) -> String {
        let Ok(mut url) = reqwest::Url::parse(self.url.expose()) else { return self.url.expose().to_owned() };
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["messages", message]);
        }
        url.into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::Config;
    use super::*;
    use crate::channel::kit::test_server::{Answer, ScriptedServer, build, context, page, rich};
    use crate::model::Recipient;

    const CONFIG: &str = "{ webhook: 'https://discord.com/api/webhooks/4711/t0ken-S3CRET', username: Watchfire, thread_id: '99', api_base: BASE }";
    const OK: &str = r#"{"id":"1100","channel_id":"7","type":0}"#;

    fn ids() -> PlatformIds {
        PlatformIds::one("channel_id", "7".to_owned()).and("message_id", "1100".to_owned())
    }

    #[tokio::test]
    async fn an_edit_replaces_the_message_in_the_thread_that_it_is_in() {
        let server = ScriptedServer::start([Answer::from(OK), Answer::from(OK)]).await;
        let built = build::<Config>(CONFIG, &server.base).unwrap();
        let (to, in_thread) = (Recipient::new("@webhook"), ids().and("thread_id", "55".to_owned()));
        assert_eq!(built.channel.update(&in_thread, &rich(&[("title", "Disk"), ("text", "db-1")]), &to, &context()).await.unwrap().ids, in_thread);
        let mut plain = page(&[("text", "over")]);
        plain.plain = true;
        built.channel.update(&ids(), &plain, &to, &context()).await.unwrap();
        let seen = server.seen();
        assert_eq!(
            (seen[0].method.as_str(), seen[0].uri.to_string().as_str()),
            ("PATCH", "/api/webhooks/4711/t0ken-S3CRET/messages/1100?thread_id=55")
        );
        assert!(seen[0].header("user-agent").starts_with("DiscordBot ("));
        let sent = seen[0].json();
        assert!(
            sent["content"].as_str().unwrap().ends_with(" **Disk**")
                && sent["allowed_mentions"]["parse"].is_array()
                && sent.get("username").is_none(),
            "{sent}"
        );
        assert_eq!(seen[1].uri.to_string(), "/api/webhooks/4711/t0ken-S3CRET/messages/1100", "it is in no thread");
        assert_eq!((&seen[1].json()["content"], &seen[1].json()["embeds"]), (&"over".into(), &json!([])), "the embed goes");
    }

    #[tokio::test]
    async fn what_an_edit_would_not_find_is_named_before() {
        let no = |status: u16, code: i64| Answer::new(status, format!(r#"{{"message":"why","code":{code}}}"#));
        let rows = [
            (no(404, 10008), None),
            (no(404, 10003), Some("10003")),
            (no(403, 50013), Some("50013")),
            (Answer::new(400, r#"{"thread_id":["Value \"x\" is not snowflake."]}"#), Some("HTTP 400")),
            (Answer::new(404, "<html>"), None),
            (no(405, 0), None),
            (no(503, 0), None),
        ];
        let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
        let built = build::<Config>(CONFIG, &server.base).unwrap();
        for (answer, code) in rows {
            let said = built.channel.may_deliver().await.err().and_then(|error| error.code);
            assert_eq!(said.as_deref(), code, "{answer:?}");
        }
        let asked = &server.seen()[0];
        assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), ("GET", "/api/webhooks/4711/t0ken-S3CRET/messages/1?thread_id=99"));
        assert!(asked.header("user-agent").starts_with("DiscordBot ("));
    }

    #[tokio::test]
    async fn answers_to_an_edit_mean_what_discord_says() {
        let no = |status: u16, code: i64| Answer::new(status, format!(r#"{{"message":"why","code":{code}}}"#));
        let slow = r#"{"message":"You are being rate limited.","retry_after":1.5,"global":false}"#;
        let limited = |retry_after| ErrorKind::RateLimited { retry_after };
        let rows = [
            (no(404, 10008), ErrorKind::Rejected, true),
            (no(403, 50005), ErrorKind::Rejected, true),
            (no(404, 10015), ErrorKind::Misconfigured, false),
            (no(400, 30046), limited(None), false),
            (Answer::new(429, slow), limited(Some(Duration::from_millis(1500))), false),
            (no(400, 50035), ErrorKind::Rejected, false),
            (no(502, 10008), ErrorKind::Transient, false),
            (Answer::from("{}"), ErrorKind::Transient, false),
        ];
        let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
        let built = build::<Config>(CONFIG, &server.base).unwrap();
        for (answer, kind, gone) in rows {
            let error = built.channel.update(&ids(), &page(&[("text", "x")]), &Recipient::new("@webhook"), &context()).await.unwrap_err();
            assert_eq!((error.kind, error.gone), (kind, gone), "{answer:?}: {error}");
            assert!(!format!("{error:?}").contains("S3CRET"));
        }
    }
}
