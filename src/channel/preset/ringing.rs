//! Messages that ring until somebody acknowledges them: a preset's `receipt` asks what became of one, and its `cancel` ends it. Both name it by its id in
//! the answer; a message without an id does not ring.

use std::time::Duration;

use reqwest::Method;

use super::file::{Preset, ReceiptQuery};
use super::{Driver, request, response};
use crate::channel::{Ask, FinalWord, Later, Sent, kit};
use crate::model::{SendError, Word};

/// Every half minute, which no service minds: Pushover allows a question every 5 s (<https://pushover.net/api/receipts>).
const POLLING: Ask = Ask { first: Duration::from_secs(30), every: Duration::from_secs(30), most: Duration::from_secs(60) };

/// How a preset's last word is learnt.
pub(super) fn word(preset: &Preset) -> FinalWord {
    let Some(receipt) = &preset.receipt else { return FinalWord::Answer };
    let within = Duration::from_secs(receipt.seconds.into());
    FinalWord::Later(Later { ask: Some(POLLING), calls_back: false, within, cancels: preset.cancel.is_some() })
}

/// The names that a question mentions.
pub(super) fn mentioned(receipt: &ReceiptQuery) -> Vec<&str> {
    receipt.query.values().chain(receipt.headers.values()).chain([&receipt.url]).flat_map(|text| request::names(text)).collect()
}

impl Driver {
    /// Asks whether somebody acknowledged a message.
    pub(super) async fn ask(&self, sent: &Sent<'_>) -> Result<Option<Word>, SendError> {
        let Some(receipt) = &self.preset.receipt else { return Ok(None) };
        let call = self.open(Method::GET, &receipt.url, (&receipt.query, &receipt.headers), &self.values_of(sent));
        let reply = call.idempotent().send(sent.deadline).await?;
        let text = reply.text();
        let answer = response::Response::new(reply.status(), &text);
        if reply.is_success() && answer.is(&receipt.acknowledged) {
            return Ok(Some(Word::delivered("acknowledged", "somebody acknowledged it")));
        }
        if reply.is_success() && answer.is(&receipt.expired) {
            return Ok(Some(Word::undelivered("expired", "nobody acknowledged it while it rang")));
        }
        response::outcome(&self.preset, &reply, sent.now).map(|_| None)
    }

    /// Ends a message that rings; `false`: it rings no more.
    pub(super) async fn stop(&self, sent: &Sent<'_>) -> Result<bool, SendError> {
        let Some(request) = &self.preset.cancel else { return Ok(false) };
        let reply = self.call(request, &self.values_of(sent)).idempotent().send(sent.deadline).await?;
        let text = reply.text();
        let answer = response::Response::new(reply.status(), &text);
        match kit::gone_if(response::outcome(&self.preset, &reply, sent.now), |_| request.gone.iter().any(|look| answer.is(look))) {
            Ok(_) => Ok(true),
            Err(error) if error.gone => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn values_of(&self, sent: &Sent<'_>) -> request::Values {
        let mut values = self.values.clone();
        values.insert("message_id".to_owned(), sent.platform_id.into());
        values
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, registry, shipped};
    use super::*;
    use crate::channel::kit::test_server::{Answer, ScriptedServer, build, context, kinds, page};
    use crate::model::{ErrorKind, Recipient, Severity};

    const PUSHOVER: &str = "{ name: pushover, params: { url: BASE, token: t-S3CRET, user: u } }";
    const RECEIPT: &str = "rLqVuqTRh62UzxtmqiaLzQmVcPgiCy";

    fn to() -> [Recipient; 1] {
        [Recipient::new("@pushover")]
    }

    #[test]
    fn only_what_can_be_asked_for_has_a_later_word() {
        let word = |name: &str| shipped().into_iter().find(|(known, _)| known == name).unwrap().1.word;
        let FinalWord::Later(later) = word("pushover") else { panic!("{:?}", word("pushover")) };
        assert!(later.cancels && later.ask.is_some() && !later.calls_back);
        assert_eq!(later.within, Duration::from_secs(3900));
        assert_eq!(word("ntfy"), FinalWord::Answer);
    }

    #[tokio::test]
    async fn what_is_critical_rings_until_it_is_acknowledged_and_nothing_else_does() {
        let rings = format!(r#"{{"status":1,"request":"r1","receipt":"{RECEIPT}"}}"#);
        let silent = || Answer::from(r#"{"status":1,"request":"r2"}"#);
        let server = ScriptedServer::start([Answer::from(rings.as_str()), silent(), silent()]).await;
        let built = build::<Config>(PUSHOVER, &server.base).unwrap();
        let mut page = page(&[("text", "db-1 burns")]);
        page.facts.severity = Some(Severity::Critical);
        assert_eq!(kinds(&built.channel.send(&page, &to(), &context()).await), [Ok(Some(format!("receipt {RECEIPT}")))]);
        page.facts.severity = Some(Severity::Error);
        assert_eq!(kinds(&built.channel.send(&page, &to(), &context()).await), [Ok(None)]);
        (page.facts.severity, page.quiet) = (Some(Severity::Critical), true);
        assert_eq!(kinds(&built.channel.send(&page, &to(), &context()).await), [Ok(None)]);
        let form = |n: usize| String::from_utf8(server.seen()[n].body.to_vec()).unwrap();
        for part in ["priority=2", "retry=75", "expire=3600"] {
            assert!(form(0).contains(part), "{part}: {}", form(0));
        }
        for n in [1, 2] {
            assert!(form(n).contains("priority=1") && !form(n).contains("retry") && !form(n).contains("expire"), "{}", form(n));
        }
        assert_eq!(built.channel.max_pages(), 1, "each page would ring");
        assert_eq!(build::<Config>("{ name: ntfy, params: { url: BASE, topic: ops } }", &server.base).unwrap().channel.max_pages(), usize::MAX);
    }

    #[tokio::test]
    async fn a_message_is_cancelled_and_asked_for_by_its_id() {
        let answers = [
            Answer::from(r#"{"status":1,"acknowledged":0,"expired":0}"#),
            Answer::from(r#"{"status":1,"acknowledged":1,"acknowledged_by":"u","expired":1}"#),
            Answer::from(r#"{"status":1,"acknowledged":0,"expired":1}"#),
            Answer::new(400, r#"{"token":"invalid","errors":["application token is invalid"],"status":0}"#),
            Answer::new(503, r#"{"status":1,"acknowledged":1}"#),
            Answer::from(r#"{"status":1,"request":"r1"}"#),
            Answer::new(503, r#"{"status":1,"request":"r1"}"#),
            Answer::new(400, r#"{"token":"invalid","errors":["application token is invalid"],"status":0}"#),
        ];
        let server = ScriptedServer::start(answers).await;
        let built = build::<Config>(PUSHOVER, &server.base).unwrap();
        let (to, cx) = (to(), context());
        let sent = Sent { recipient: &to[0], platform_id: RECEIPT, at: cx.now, now: cx.now, deadline: cx.deadline };
        assert_eq!(built.channel.receipt(&sent).await.unwrap(), None, "it rings");
        assert_eq!(built.channel.receipt(&sent).await.unwrap(), Some(Word::delivered("acknowledged", "somebody acknowledged it")));
        assert_eq!(built.channel.receipt(&sent).await.unwrap(), Some(Word::undelivered("expired", "nobody acknowledged it while it rang")));
        assert_eq!(built.channel.receipt(&sent).await.unwrap_err().kind, ErrorKind::Misconfigured);
        assert_eq!(built.channel.receipt(&sent).await.unwrap_err().kind, ErrorKind::Transient);
        assert!(built.channel.cancel(&sent).await.unwrap());
        assert_eq!(built.channel.cancel(&sent).await.unwrap_err().kind, ErrorKind::Transient);
        let error = built.channel.cancel(&sent).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Misconfigured);
        assert!(!format!("{error:?}").contains("S3CRET"), "{error:?}");
        let seen = server.seen();
        assert_eq!((seen[0].method.as_str(), seen[0].uri.path()), ("GET", format!("/1/receipts/{RECEIPT}.json").as_str()));
        assert_eq!(seen[0].query("token").as_deref(), Some("t-S3CRET"));
        assert_eq!((seen[5].method.as_str(), seen[5].uri.path()), ("POST", format!("/1/receipts/{RECEIPT}/cancel.json").as_str()));
        assert_eq!(seen[5].body, "token=t-S3CRET");
    }

    #[test]
    fn what_cannot_be_cancelled_or_asked_for_is_a_fault() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/presets/pushover.yaml")).unwrap();
        let told = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            registry::read(&text.replace(from, to)).unwrap_err().join("\n")
        };
        assert!(told("{{message_id}}/cancel.json", "x/cancel.json").contains("`cancel` names no message; use `{{message_id}}`"));
        assert!(told("{{message_id}}.json", "x.json").contains("`receipt` names no message; use `{{message_id}}`"));
        assert!(
            told("  form: { token: \"{{token}}\" }", "  form: { token: \"{{token}}\", title: \"{{title}}\" }").contains("`{{title}}` in `cancel`")
        );
        assert!(told("  query: { token: \"{{token}}\" }", "  query: { token: \"{{key}}\" }").contains("`{{key}}` in `receipt`"));
        assert!(told("id: /receipt\n", "").contains("so `id` must point to it in the answer"));
        assert!(told("seconds: 3900", "seconds: 0").contains("`receipt.seconds`"));
        assert!(told("seconds: 3900", "seconds: 86401").contains("`receipt.seconds` is at most 86400"));
        registry::read(&text.replace("seconds: 3900", "seconds: 86400")).unwrap();
        assert!(
            told("acknowledged: { json: { /acknowledged: 1 } }", "acknowledged: { status: 200 }")
                .contains("`receipt.acknowledged` names only a status")
        );
        assert!(told("expired: { json: { /expired: 1 } }", "expired: { json: { /expired: 2 } }").contains("should mean Expired"));
        let receipt = text.find("receipt:\n").unwrap()..text.find("success:").unwrap();
        assert!(told(&text[receipt], "").contains("`cancel` needs `receipt`"));
        let edit = "edit:\n  url: \"{{url}}/x\"\n  form: { message: \"{{text}}\", key: \"{{message_key}}\" }\ncancel:\n";
        assert!(told("cancel:\n", edit).contains("has one id where it can be cancelled"));
    }
}
