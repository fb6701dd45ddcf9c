//! Messages that live on: a preset's `edit` and `reply`, which name the earlier message by its id in the answer or by the key that it was sent with.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;

use super::file::{Preset, Request, Verb};
use super::{Driver, request, response};
use crate::channel::descriptor::{Living, LivingMode};
use crate::channel::{SendContext, kit};
use crate::model::{ErrorKind, Page, PlatformIds, Receipt, SendError};

/// The name under which a message's own key is kept among its ids.
pub(super) const KEY: &str = "key";

/// What can be done with a preset's messages.
pub(super) fn living(preset: &Preset) -> Living {
    let default = match (&preset.edit, &preset.reply) {
        (Some(_), _) => LivingMode::Edit,
        (None, Some(_)) => LivingMode::Reply,
        (None, None) => LivingMode::New,
    };
    Living { edit: preset.edit.is_some(), reply: preset.reply.is_some(), edits_counted: true, spends: None, default }
}

/// The names that a request mentions.
pub(super) fn mentioned(request: &Request) -> Vec<&str> {
    let bodies = request.json.iter().chain(request.form.iter().flat_map(BTreeMap::values)).flat_map(request::names_in);
    let texts = request.query.values().chain(request.headers.values()).chain([&request.url]).flat_map(|text| request::names(text));
    bodies.chain(texts).collect()
}

/// Whether a request mentions a name.
pub(super) fn mentions(request: &Request, name: &str) -> bool {
    mentioned(request).contains(&name)
}

/// Whether the key of a message must be kept, to edit or answer it.
pub(super) fn needs_key(preset: &Preset) -> bool {
    [&preset.edit, &preset.reply].into_iter().flatten().any(|request| mentions(request, "message_key"))
}

impl From<Verb> for Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
        }
    }
}

impl Driver {
    /// Edits a message.
    pub(super) async fn edit(&self, ids: &PlatformIds, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let Some(request) = &self.preset.edit else {
            return Err(SendError::new(ErrorKind::Rejected, "this preset cannot edit a message: it has no `edit`"));
        };
        let result = self.follow(request, true, ids, page, cx).await;
        kit::edited(result, ids, |error| error.gone)
    }

    /// Answers a message.
    pub(super) async fn reply(&self, first: &PlatformIds, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let Some(request) = &self.preset.reply else {
            return Err(SendError::new(ErrorKind::Rejected, "this preset cannot answer a message: it has no `reply`").gone());
        };
        self.follow(request, false, first, page, cx).await
    }

    async fn follow(&self, request: &Request, idempotent: bool, ids: &PlatformIds, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let mut values = self.values(page, Some(&cx.idempotency_key));
        for (name, id) in [("message_id", response::id_name(&self.preset).unwrap_or_default()), ("message_key", KEY)] {
            if mentions(request, name) {
                values.insert(name.to_owned(), Value::from(kit::id(ids, id)?));
            }
        }
        let call = self.call(request, &values);
        let reply = if idempotent { call.idempotent() } else { call }.send(cx.deadline).await?;
        let text = reply.text();
        let answer = response::Response::new(reply.status(), &text);
        kit::gone_if(response::outcome(&self.preset, &reply, cx.now), |_| request.gone.iter().any(|look| answer.is(look)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Config, registry, shipped};
    use super::*;
    use crate::channel::kit::test_server::{Answer, ScriptedServer, build, context, page};
    use crate::model::{MessageStatus, Recipient};

    const BOT: &str = "{ name: mattermost_bot, params: { url: BASE, token: t-S3CRET, channel_id: c1 } }";
    const POST: &str = r#"{"id":"p1","channel_id":"c1","message":"x"}"#;

    fn to() -> [Recipient; 1] {
        [Recipient::new("@preset")]
    }

    #[test]
    fn a_preset_can_what_its_requests_can() {
        let living = |name: &str| shipped().into_iter().find(|(known, _)| known == name).unwrap().1.living;
        let told = |name: &str| (living(name).edit, living(name).reply, living(name).default);
        assert_eq!(told("mattermost_bot"), (true, true, LivingMode::Edit));
        assert_eq!(told("ntfy"), (true, false, LivingMode::Edit));
        assert_eq!(told("googlechat"), (false, true, LivingMode::Reply));
        assert_eq!(told("mattermost"), (false, false, LivingMode::New));
    }

    #[tokio::test]
    async fn an_edit_and_a_reply_name_the_message_by_its_id() {
        let server = ScriptedServer::start([Answer::new(201, POST), Answer::from(POST), Answer::new(201, r#"{"id":"p2","channel_id":"c1"}"#)]).await;
        let built = build::<Config>(BOT, &server.base).unwrap();
        let ids = built.channel.send(&page(&[("text", "a"), ("title", "A")]), &to(), &context()).await.remove(0).1.unwrap().ids;
        assert_eq!(ids, PlatformIds::one("id", "p1".to_owned()));
        let edited = built.channel.update(&ids, &page(&[("text", "b"), ("title", "B")]), &to()[0], &context()).await.unwrap();
        let cx = SendContext { reply_to: Some(ids.clone()), ..context() };
        let reply = built.channel.send(&page(&[("text", "c"), ("title", "C")]), &to(), &cx).await.remove(0).1.unwrap();
        assert_eq!((edited.ids, reply.ids.get("id")), (ids, Some("p2")));
        let seen = server.seen();
        assert_eq!(
            (seen[1].method.as_str(), seen[1].uri.path(), seen[1].json()),
            ("PUT", "/api/v4/posts/p1/patch", json!({ "message": "#### B\nb" }))
        );
        assert_eq!(seen[1].header("authorization"), "Bearer t-S3CRET");
        assert_eq!(seen[2].json(), json!({ "channel_id": "c1", "root_id": "p1", "message": "#### C\nc", "pending_post_id": "0123456789abcdef" }));
    }

    #[tokio::test]
    async fn what_the_preset_lists_is_gone_and_trouble_never_is() {
        let no = |status: u16, id: &str| Answer::new(status, format!(r#"{{"id":"{id}","status_code":{status}}}"#));
        let rows = [
            (no(403, "api.context.permissions.app_error"), ErrorKind::Rejected, true),
            (no(400, "api.post.update_post.permissions_time_limit.app_error"), ErrorKind::Rejected, true),
            (no(401, "api.context.session_expired.app_error"), ErrorKind::Misconfigured, false),
            (no(400, "model.post.is_valid.message_length.app_error"), ErrorKind::Rejected, false),
            (no(503, "api.context.permissions.app_error"), ErrorKind::Transient, false),
            (Answer::new(429, "limit exceeded"), ErrorKind::RateLimited { retry_after: None }, false),
            (Answer::from("<html>login</html>"), ErrorKind::Transient, false),
        ];
        let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
        let built = build::<Config>(BOT, &server.base).unwrap();
        let ids = PlatformIds::one("id", "p1".to_owned());
        for (answer, kind, gone) in rows {
            let error = built.channel.update(&ids, &page(&[("text", "x")]), &to()[0], &context()).await.unwrap_err();
            assert_eq!((error.kind, error.gone), (kind, gone), "{answer:?}: {error}");
            assert!(!format!("{error:?}").contains("S3CRET"));
        }
        let error = built.channel.update(&PlatformIds::default(), &page(&[("text", "x")]), &to()[0], &context()).await.unwrap_err();
        assert!(error.gone && server.seen().len() == 7, "{error:?}");
    }

    #[tokio::test]
    async fn a_key_of_ours_finds_the_message_again_though_its_answer_was_lost() {
        let ntfy = r#"{"id":"x1","event":"message"}"#;
        let server = ScriptedServer::start([Answer::from(ntfy), Answer::from(ntfy)]).await;
        let built = build::<Config>("{ name: ntfy, params: { url: BASE, topic: ops } }", &server.base).unwrap();
        let mut page = page(&[("text", "a")]);
        let ids = built.channel.send(&page, &to(), &context()).await.remove(0).1.unwrap().ids;
        page.facts.status = MessageStatus::Resolved;
        built.channel.update(&ids, &page, &to()[0], &crate::channel::SendContext { idempotency_key: "another".into(), ..context() }).await.unwrap();
        let seen = server.seen();
        assert_eq!((&seen[0].json()["sequence_id"], &seen[1].json()["sequence_id"]), (&"0123456789abcdef".into(), &"0123456789abcdef".into()));
        assert_eq!((&seen[0].json()["priority"], &seen[1].json()["priority"]), (&4.into(), &2.into()), "an edit makes no sound");
        assert!(built.channel.body(&page).get("sequence_id").is_none(), "what differs from message to message is not shown");
    }

    #[tokio::test]
    async fn a_reply_names_the_thread_by_our_key() {
        let sent = r#"{"name":"spaces/A/messages/B","text":"x"}"#;
        let server = ScriptedServer::start([Answer::from(sent), Answer::from(sent)]).await;
        let built = build::<Config>("{ name: googlechat, params: { url: BASE, space: A, webhook_key: k, token: t } }", &server.base).unwrap();
        let ids = built.channel.send(&page(&[("text", "a")]), &to(), &context()).await.remove(0).1.unwrap().ids;
        let cx = SendContext { reply_to: Some(ids), idempotency_key: "another".into(), ..context() };
        built.channel.send(&page(&[("text", "b")]), &to(), &cx).await.remove(0).1.unwrap();
        for seen in server.seen() {
            assert_eq!(seen.json()["thread"], json!({ "threadKey": "0123456789abcdef" }));
            assert_eq!(seen.query("messageReplyOption").as_deref(), Some("REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"));
        }
    }

    #[test]
    fn a_request_that_finds_no_message_is_a_fault() {
        let told = |preset: &str, from: &str, to: &str| {
            let text = std::fs::read_to_string(format!("{}/templates/presets/{preset}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
            assert!(text.contains(from), "{from}");
            registry::read(&text.replace(from, to)).unwrap_err().join("\n")
        };
        let bot = |from: &str, to: &str| told("mattermost_bot", from, to);
        assert!(bot("posts/{{message_id}}/patch", "posts/x/patch").contains("`edit` names no earlier message"));
        assert!(bot("id: /id\n", "").contains("`id` must point to it"));
        assert!(bot("json: { channel_id: \"{{channel_id}}\", message:", "json: { root: \"{{message_id}}\", message:").contains("is not a parameter"));
        assert!(bot("method: PUT", "method: GET").contains("GET"));
        assert!(bot("contains: \"api.post.create_post.root_id\"", "contains: \"nothing\"").contains("fixtures[6]"));
        assert!(told("ntfy", ", sequence_id: \"{{key}}\"", "").contains("`request` must send `{{key}}`"));
    }
}
