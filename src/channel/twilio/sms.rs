//! SMS by Twilio: plain text, one message a number. <https://www.twilio.com/docs/messaging/api/message-resource>

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Account, Line};
use crate::channel::kit::{phone, units};
use crate::channel::{
    Ask, BuildContext, Built, Callback, Called, CellResult, Channel, FinalWord, Later, OnAmbiguous, Pace, Platform, PlatformConfig, Problem,
    SendContext, Sent,
};
use crate::model::{Escape, FieldSpec, OutletKey, Page, Recipient, SendError, Size, Word};

/// Our own, about three segments in English and seven in Chinese, each of which is paid for; a direct call may have the 1,600 characters of
/// <https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource>.
const MAX_BODY: usize = 480;

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "twilio_sms",
    title: "SMS (Twilio)",
    about: "plain text to any number; a lost answer is looked up before it counts as unknown",
    docs: "https://www.twilio.com/docs/messaging/api/message-resource",
    fields: &[FieldSpec { name: "text", escape: Escape::None, required: true, single_line: false, template: include_str!("sms.text.hbs") }],
    measure: &|page| Size::characters(units(page.field("text")), MAX_BODY),
    limit: "480 characters (our own; Twilio takes 1,600), sent as segments of 153 (GSM-7) or 67 (https://www.twilio.com/docs/glossary/what-sms-character-limit)",
    pace: Pace {
        limits: &[],
        per_month: None,
        source: "Twilio queues by itself (https://help.twilio.com/articles/115002943027); set `rate_limit` to save money",
    },
    concurrency: 4,
    on_ambiguous: OnAmbiguous::Never,
    resolved_by_default: false,
    word: FinalWord::Later(Later {
        ask: Some(Ask { first: Duration::from_secs(20), every: Duration::from_secs(20), most: Duration::from_secs(1800) }),
        calls_back: true,
        within: Duration::from_secs(86_400),
    }),
    example: include_str!("sms.example.yaml"),
    ..Platform::BASE
};

/// `twilio_sms: { account_sid, auth_token, from, to }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(Account);

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        self.0.check("twilio_sms")
    }

    fn recipients(&self) -> Vec<Recipient> {
        phone::recipients(&self.0.to)
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let line = self.0.build(cx, "twilio_sms")?;
        let outlet = OutletKey::new("twilio_sms", &format!("{} {}", self.0.account_sid, self.0.from));
        Ok(Built { descriptor: None, channel: Arc::new(Driver(line)), outlet })
    }
}

struct Driver(Line);

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let text = page.field("text").trim();
        let sender = if self.0.from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt.
        for (place, number) in to.iter().enumerate() {
            let form = [(sender, self.0.from.as_str()), ("Body", text)];
            let result = self.0.create("Messages", number.expose(), &form, |one| one["body"] == text, cx).await;
            let counted = result.map(|mut receipt| {
                receipt.answer = format!("{} segments; {}", phone::segments(text), receipt.answer);
                receipt
            });
            results.push((place, counted));
        }
        results
    }

    async fn receipt(&self, sent: &Sent<'_>) -> Result<Option<Word>, SendError> {
        self.0.ask("Messages", sent).await
    }

    fn called_back(&self, call: &Callback<'_>) -> Result<Called, String> {
        self.0.called(call, "MessageSid", "MessageStatus")
    }
}
