//! SMS by Twilio: plain text, one message a number. <https://www.twilio.com/docs/messaging/api/message-resource>

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Account, Line, press};
use crate::channel::descriptor::{Pings, Reach};
use crate::channel::kit::{phone, sms};
use crate::channel::{
    Ask, Attempts, BuildContext, Built, Callback, Called, CellResult, Channel, FinalWord, Later, Limit, OnAmbiguous, Pace, Platform, PlatformConfig,
    PressAnswer, PressCall, PressReply, PressWay, Problem, SendContext, Sent,
};
use crate::model::{Escape, FieldSpec, OutletKey, Page, Recipient, SendError, Size, Word};

/// One segment in the cheap alphabet (<https://www.twilio.com/docs/glossary/what-sms-character-limit>). A direct call may have the 1,600
/// characters of <https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource>.
const MAX_GSM7: usize = 160;
/// Two segments of the other: in one there is no room for a name, a place and what is wrong.
const MAX_UCS2: usize = 134;

/// What a page takes, and what it may.
fn measure(page: &Page) -> Size {
    let (used, max) = sms::size(page.field("text"), MAX_GSM7, MAX_UCS2);
    Size::characters(used, max)
}

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "twilio_sms",
    title: "SMS (Twilio)",
    about: "plain text to any number; a lost answer is looked up before it counts as unknown",
    docs: "https://www.twilio.com/docs/messaging/api/message-resource",
    fields: &[FieldSpec { name: "text", escape: Escape::None, required: true, single_line: false, template: include_str!("sms.text.hbs") }],
    measure: &measure,
    limit: "160 characters (134 outside GSM-7), our own; Twilio takes 1,600 (https://www.twilio.com/docs/glossary/what-sms-character-limit)",
    pace: Pace {
        limits: &[],
        per_month: None,
        month_zone: 0,
        per_recipient: &[Limit { count: 20, window: Duration::from_secs(3600) }],
        source: "Twilio queues by itself (https://help.twilio.com/articles/115002943027); set `rate_limit` to save money; 20 an hour and number are our own",
    },
    attempts: Attempts { concurrency: 4, ..Attempts::ONE },
    on_ambiguous: OnAmbiguous::Never,
    pings: Pings::NEEDLESS.reaching(Reach::Mobile),
    resolved_by_default: false,
    word: FinalWord::Later(Later {
        ask: Some(Ask { first: Duration::from_secs(20), every: Duration::from_secs(20), most: Duration::from_secs(1800) }),
        calls_back: true,
        within: Duration::from_secs(86_400),
        cancels: false,
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

    fn per_month(&self) -> Option<u32> {
        self.0.per_month
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
        let text = sms::plain(page.field("text"));
        let sender = if self.0.from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt.
        for (place, number) in to.iter().enumerate() {
            let form = [(sender, self.0.from.as_str()), ("Body", text.as_str())];
            let result = self.0.create("Messages", number.expose(), &form, |one| one["body"] == text.as_str(), cx).await;
            let counted = result.map(|mut receipt| {
                receipt.answer = format!("{} segments; {}", sms::segments(&text), receipt.answer);
                receipt
            });
            results.push((place, counted));
        }
        results
    }

    fn body(&self, page: &Page) -> Value {
        serde_json::json!({ "Body": sms::plain(page.field("text")) })
    }

    fn max_pages(&self) -> usize {
        1
    }

    async fn receipt(&self, sent: &Sent<'_>) -> Result<Option<Word>, SendError> {
        self.0.ask("Messages", sent).await
    }

    fn press_way(&self) -> Option<PressWay> {
        self.0.press_way()
    }

    fn pressed(&self, call: &Callback<'_>) -> Result<PressCall, String> {
        self.0.text(call)
    }

    fn press_reply(&self, _: &Callback<'_>, answer: &PressAnswer) -> PressReply {
        press::text_reply(answer)
    }

    fn called_back(&self, call: &Callback<'_>) -> Result<Vec<Called>, String> {
        self.0.called(call, "MessageSid", "MessageStatus")
    }
}
