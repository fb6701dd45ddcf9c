//! The one change of a card that its message allows, for all whom it went to. <https://developer.work.weixin.qq.com/document/path/94888>

use serde_json::{Value, json};

use super::answer::CODE;
use super::{Driver, UPDATE, answer, press_card};
use crate::channel::{SendContext, kit, wecom_card};
use crate::model::{ErrorKind, Page, PlatformIds, Receipt, SendError};

impl Driver {
    /// Replaces a card as a whole, and uses up the right to it.
    pub(super) async fn edit(&self, ids: &PlatformIds, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let change = changed(page, kit::id(ids, CODE)?, self.app.agent_id);
        let result = self.app.post(UPDATE, &change, cx.deadline).await.and_then(|reply| answer::of_change(&reply, cx.now));
        // No code is documented for a right that is used or too old: whatever is refused of a card leaves it as it is.
        kit::edited(result, ids, |error| error.kind == ErrorKind::Rejected || answer::is_of_card(error))
    }
}

/// What a card becomes. Where nothing is left to press and nothing to open, a headline takes the buttons' place.
fn changed(page: &Page, response_code: &str, agent_id: u32) -> Value {
    match wecom_card::changed(page) {
        Some(card) => json!({ "atall": 1, "agentid": agent_id, "response_code": response_code, "template_card": card }),
        None => press_card::replaced(&wecom_card::headline(&page.facts.title), response_code, agent_id, None),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Config, DESCRIPTOR};
    use super::*;
    use crate::channel::Living;
    use crate::channel::kit::test_server::{Answer, ScriptedServer, build, context, rich};
    use crate::model::ErrorKind::{Misconfigured, RateLimited, Rejected, Transient};
    use crate::model::{Button, Form, Recipient, Verb};

    const KEYS: &str = "callback_token: tok, encoding_aes_key: jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
    const OK: &str = r#"{"errcode":0,"errmsg":"ok"}"#;

    fn config(more: &str) -> String {
        format!("{{ corp_id: ww1, agent_id: 1000002, secret: appS3CRET, to_user: 'lisi|wang', {more}, api_base: BASE }}")
    }

    fn token() -> Answer {
        Answer::from(r#"{"errcode":0,"errmsg":"ok","access_token":"t","expires_in":7200}"#)
    }

    fn no(code: i64) -> Answer {
        Answer::new(200, format!(r#"{{"errcode":{code},"errmsg":"why"}}"#))
    }

    fn ids() -> PlatformIds {
        PlatformIds::one("msgid", "m-1".to_owned()).and(CODE, "rc-1".to_owned())
    }

    fn over() -> Page {
        let mut page = rich(&[("text", "**long form**"), ("notice", "all 2 alerts are over")]);
        page.facts.title = "🟢 Resolved · DiskFull".into();
        page
    }

    #[tokio::test]
    async fn a_card_is_replaced_for_all_who_got_it() {
        let server = ScriptedServer::start([token(), Answer::from(OK), Answer::from(OK), Answer::from(OK)]).await;
        let channel = build::<Config>(&config(KEYS), &server.base).unwrap().channel;
        let mut page = over();
        assert_eq!(channel.update(&ids(), &page, &Recipient::new("lisi"), &context()).await.unwrap().ids, ids());
        page.facts.incident.buttons = vec![Button { verb: Verb::Unack, label: "Unack".into(), value: "unack.abc.2".into() }];
        channel.update(&ids(), &page, &Recipient::new("lisi"), &context()).await.unwrap();
        page.facts.incident.buttons.clear();
        page.facts.links.clear();
        channel.update(&ids(), &page, &Recipient::new("lisi"), &context()).await.unwrap();
        let seen = server.seen();
        assert_eq!(seen[1].uri.to_string(), "/cgi-bin/message/update_template_card?access_token=t");
        let sent = seen[1].json();
        assert_eq!((&sent["atall"], &sent["agentid"], &sent["response_code"]), (&1.into(), &1_000_002.into(), &"rc-1".into()));
        let card = &sent["template_card"];
        assert_eq!((&card["card_type"], &card["main_title"]["title"]), (&"text_notice".into(), &"🟢 Resolved · DiskFull".into()));
        assert_eq!((&card["sub_title_text"], &card["card_action"]["type"]), (&"all 2 alerts are over".into(), &1.into()));
        assert!(card["card_action"]["url"].as_str().unwrap().starts_with("https://"), "{card}");
        assert!(card.get("button_list").is_none() && card.get("task_id").is_none(), "the right names the card: {card}");
        let pressable = &seen[2].json()["template_card"];
        assert_eq!((&pressable["card_type"], &pressable["button_list"][0]["key"]), (&"button_interaction".into(), &"unack.abc.2".into()));
        let sent = seen[3].json();
        assert_eq!((&sent["button"]["replace_name"], sent.get("template_card")), (&"🟢 Resolved · DiskFull".into(), None));
    }

    #[tokio::test]
    async fn a_short_text_beside_a_card_has_buttons_and_plain_text_has_none() {
        let taken = || Answer::from(r#"{"errcode":0,"errmsg":"ok","msgid":"m-2","response_code":"rc-2"}"#);
        let server = ScriptedServer::start([token(), taken(), Answer::from(OK), Answer::from(OK)]).await;
        let channel = build::<Config>(&config(KEYS), &server.base).unwrap().channel;
        let mut page = rich(&[("text", "🔴 Critical · DiskFull: db-2\n2 critical firing #7")]);
        (page.plain, page.facts.form) = (true, Form::News);
        page.facts.incident.buttons = vec![Button { verb: Verb::Ack, label: "Ack".into(), value: "ack.abc.2".into() }];
        let ended = Page { facts: crate::model::Facts { form: Form::Over, incident: Default::default(), ..page.facts.clone() }, ..page.clone() };
        let text = Page { facts: crate::model::Facts { form: Form::Card, ..page.facts.clone() }, ..page.clone() };
        for page in [&page, &ended, &text] {
            channel.send(page, &[Recipient::new("lisi")], &context()).await;
        }
        let sent: Vec<Value> = server.seen()[1..].iter().map(|seen| seen.json()).collect();
        assert_eq!(sent.iter().map(|sent| sent["msgtype"].as_str().unwrap()).collect::<Vec<_>>(), ["template_card", "text", "text"]);
        assert_eq!(sent[0]["template_card"]["sub_title_text"], "🔴 Critical · DiskFull: db-2\n2 critical firing #7");
        assert_eq!(sent[0]["template_card"]["button_list"][0]["key"], "ack.abc.2");
    }

    #[tokio::test]
    async fn whatever_is_refused_of_a_card_is_gone_and_passing_trouble_is_not() {
        let rows = [
            (no(42_016), Rejected, true),
            (no(42_014), Rejected, true),
            (no(43_012), Rejected, true),
            (no(999_999), Rejected, true),
            (no(40_058), Rejected, true),
            (no(60_020), Misconfigured, false),
            (no(48_002), Misconfigured, false),
            (no(45_009), RateLimited { retry_after: Some(Duration::from_secs(60)) }, false),
            (no(-1), Transient, false),
            (Answer::new(502, "<html>"), Transient, false),
            (Answer::from("{}"), Transient, false),
        ];
        for (answer, kind, gone) in rows {
            let server = ScriptedServer::start([token(), answer.clone()]).await;
            let channel = build::<Config>(&config(KEYS), &server.base).unwrap().channel;
            let error = channel.update(&ids(), &over(), &Recipient::new("lisi"), &context()).await.unwrap_err();
            assert_eq!((error.kind, error.gone), (kind, gone), "{answer:?}: {error}");
            assert!(!format!("{error:?}").contains("S3CRET"));
        }
        // An application that is refused says nothing of its cards.
        let server = ScriptedServer::start([no(40_001)]).await;
        let channel = build::<Config>(&config(KEYS), &server.base).unwrap().channel;
        let error = channel.update(&ids(), &over(), &Recipient::new("lisi"), &context()).await.unwrap_err();
        assert_eq!((error.kind, error.gone), (Misconfigured, false), "{error}");
        let without = PlatformIds::one("msgid", "m-1".to_owned());
        let error = channel.update(&without, &over(), &Recipient::new("lisi"), &context()).await.unwrap_err();
        assert!(error.gone && server.seen().len() == 1, "what was sent without buttons cannot be changed, and WeCom is not asked: {error}");
    }

    #[test]
    fn only_a_message_that_was_a_card_can_be_changed_and_once() {
        let living = |more: &str| build::<Config>(&config(more), "http://h").unwrap().channel.living(&DESCRIPTOR);
        assert_eq!(living("card: true"), Living::NEW, "without an address for presses nothing is a card with buttons");
        let can = living(KEYS);
        assert_eq!((can.edit, can.reply, can.spends), (true, false, Some(CODE)));
        assert!(can.may_change(&ids()) && !can.may_change(&PlatformIds::one("msgid", "m-1".to_owned())));
    }
}
