//! Messages that live on: an application's cards are edited and answered in a topic.
//! <https://open.feishu.cn/document/uAjLw4CM/ukTMukTMukTM/reference/im-v1/message/patch>,
//! <https://open.feishu.cn/document/uAjLw4CM/ukTMukTMukTM/reference/im-v1/message/reply>

use reqwest::Method;

use super::{Driver, MESSAGES, answer, body};
use crate::channel::{SendContext, kit};
use crate::model::{Page, PlatformIds, Receipt, Recipient, SendError};

impl Driver {
    /// Replaces a card as a whole.
    pub(super) async fn edit(&self, ids: &PlatformIds, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let id = kit::id(ids, "message_id")?;
        let edit = body::edit(page, self.keyword.as_deref());
        let call = |base: &str| self.http.request(Method::PATCH, kit::join(base, &format!("{MESSAGES}/{id}"))).json(&edit).idempotent();
        kit::edited(self.call(call, cx).await, ids, answer::is_gone)
    }

    /// Answers a message in its topic. In a chat without topics a message of its own may pass.
    pub(super) async fn reply(&self, first: &PlatformIds, page: &Page, to: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        let id = kit::id(first, "message_id")?;
        let reply = body::reply(page, to.expose(), &cx.idempotency_key, self.keyword.as_deref());
        let call = |base: &str| self.http.post_json(kit::join(base, &format!("{MESSAGES}/{id}/reply")), &reply);
        kit::gone_if(self.call(call, cx).await, |error| answer::is_gone(error) || answer::is_of_topic(error))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::super::Config;
    use super::*;
    use crate::channel::descriptor::Living;
    use crate::channel::kit::test_server::{Answer, ScriptedServer, Seen, build, context, page, rich};
    use crate::model::ErrorKind::{Misconfigured, RateLimited, Rejected, Transient};

    const APP: &str = "{ app_id: cli_1, app_secret: app-S3CRET, to: [oc_1], api_base: BASE }";
    const TOKEN: &str = r#"{"code":0,"msg":"ok","tenant_access_token":"t-S3CRET","expire":7200}"#;
    const SENT: &str = r#"{"code":0,"msg":"success","data":{"message_id":"om_2"}}"#;

    fn ids() -> PlatformIds {
        PlatformIds::one("message_id", "om_1".to_owned())
    }

    fn content(seen: &Seen) -> Value {
        serde_json::from_str(seen.json()["content"].as_str().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_card_can_be_edited_and_every_edit_says_that_the_next_one_can() {
        let expired = Answer::new(400, r#"{"code":99991663,"msg":"Invalid access token"}"#);
        let done = || Answer::from(r#"{"code":0,"msg":"success","data":{}}"#);
        let server = ScriptedServer::start([Answer::from(TOKEN), Answer::from(SENT), expired, Answer::from(TOKEN), done(), done()]).await;
        let built = build::<Config>(APP, &server.base).unwrap();
        let to = Recipient::new("oc_1");
        built.channel.send(&rich(&[("title", "磁盘"), ("text", "db-1")]), std::slice::from_ref(&to), &context()).await;
        assert_eq!(built.channel.update(&ids(), &rich(&[("title", "磁盘"), ("text", "db-1, db-2")]), &to, &context()).await.unwrap().ids, ids());
        let mut plain = page(&[("text", "<at id=all></at> over")]);
        plain.plain = true;
        built.channel.update(&ids(), &plain, &to, &context()).await.unwrap();
        let seen = server.seen();
        assert_eq!(content(&seen[1])["config"]["update_multi"], true, "a card that was sent without it can never be edited");
        assert_eq!((seen[4].method.as_str(), seen[4].uri.path()), ("PATCH", "/open-apis/im/v1/messages/om_1"));
        let edited = content(&seen[4]);
        assert_eq!(edited["config"]["update_multi"], true);
        assert!(edited["elements"][0]["content"].as_str().unwrap().starts_with("db-1, db-2\n"), "{edited}");
        let plain = content(&seen[5]);
        assert_eq!((&plain["elements"][0]["text"]["tag"], &plain["config"]["update_multi"]), (&"plain_text".into(), &true.into()), "{plain}");
    }

    #[tokio::test]
    async fn a_reply_is_in_the_topic_and_has_a_key_of_its_own() {
        let server = ScriptedServer::start([Answer::from(TOKEN), Answer::from(SENT)]).await;
        let built = build::<Config>(APP, &server.base).unwrap();
        let cx = SendContext { reply_to: Some(ids()), ..context() };
        let receipt = built.channel.send(&rich(&[("text", "db-2 as well")]), &[Recipient::new("oc_1")], &cx).await.remove(0).1.unwrap();
        assert_eq!(receipt.ids.get("message_id"), Some("om_2"));
        let sent = server.seen()[1].clone();
        assert_eq!((sent.uri.path(), sent.uri.query()), ("/open-apis/im/v1/messages/om_1/reply", None));
        let body = sent.json();
        assert_eq!(
            (&body["reply_in_thread"], &body["msg_type"], body["uuid"].as_str().map(str::len)),
            (&true.into(), &"interactive".into(), Some(16))
        );
        assert!(body.get("receive_id").is_none(), "{body}");
    }

    #[tokio::test]
    async fn answers_to_edits_and_replies_mean_what_feishu_says() {
        let no = |code: i64, msg: &str| Answer::new(400, format!(r#"{{"code":{code},"msg":"{msg}"}}"#));
        let slow = RateLimited { retry_after: Some(Duration::from_secs(30)) };
        let rows = [
            (no(230_011, "The message was withdrawn."), Rejected, true, true),
            (no(230_031, "The message is older than 14 days."), Rejected, true, true),
            (no(230_110, "The message was deleted."), Rejected, true, true),
            (no(230_050, "The message is invisible to the operator."), Rejected, true, true),
            (no(230_111, "Action unavailable as the message will self-destruct soon."), Rejected, true, true),
            (no(230_001, "Your request contains an invalid request parameter, ext=invalid message_id."), Rejected, true, true),
            (no(230_001, "Your request contains an invalid request parameter, ext=invalid content."), Rejected, false, false),
            (no(230_072, "The chat does not support thread reply."), Rejected, true, true),
            (no(230_099, "Failed to create card content"), Rejected, false, false),
            (no(230_020, "frequency"), slow, false, false),
            (no(230_027, "no permission"), Misconfigured, false, false),
            (Answer::new(500, r#"{"code":230011,"msg":"x"}"#), Transient, false, false),
            (Answer::new(429, r#"{"code":230011,"msg":"x"}"#), slow, false, false),
        ];
        for (answer, kind, edit, reply) in rows {
            let server = ScriptedServer::start([Answer::from(TOKEN), answer.clone(), answer.clone()]).await;
            let built = build::<Config>(APP, &server.base).unwrap();
            let (to, card) = (Recipient::new("oc_1"), rich(&[("text", "x")]));
            let edited = built.channel.update(&ids(), &card, &to, &context()).await.unwrap_err();
            let is_topic = edited.code.as_deref() == Some("230072");
            assert_eq!((edited.kind, edited.gone), (kind, edit && !is_topic), "{answer:?}: {edited}");
            let cx = SendContext { reply_to: Some(ids()), ..context() };
            let replied = built.channel.send(&card, &[to], &cx).await.remove(0).1.unwrap_err();
            assert_eq!((replied.kind, replied.gone), (kind, reply), "{answer:?}: {replied}");
        }
    }

    #[test]
    fn only_an_application_can_edit_and_reply() {
        let living = |yaml: &str| build::<Config>(yaml, "http://h").unwrap().channel.living(&super::super::DESCRIPTOR);
        assert!(living(APP).edit && living(APP).reply);
        assert_eq!(living("{ token: abc }"), Living::NEW);
    }
}
