//! Calls by Twilio: the text is spoken twice, from inline TwiML. <https://www.twilio.com/docs/voice/api/call-resource>

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::press::{self, MAX_TEXT};
use super::{Account, Line};
use crate::channel::descriptor::{Pings, Reach};
use crate::channel::kit::phone;
use crate::channel::{
    Ask, Attempts, BuildContext, Built, Callback, Called, CellResult, Channel, FinalWord, Later, Limit, OnAmbiguous, Pace, Platform, PlatformConfig,
    PressAnswer, PressCall, PressReply, PressWay, Problem, SendContext, Sent,
};
use crate::model::{Escape, FieldSpec, OutletKey, Page, Recipient, SendError, Size, Word};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "twilio_voice",
    title: "Voice call (Twilio)",
    about: "calls a number and reads the alert twice; never called twice for a call that Twilio has",
    docs: "https://www.twilio.com/docs/voice/api/call-resource",
    fields: &[FieldSpec { name: "text", escape: Escape::None, required: true, single_line: true, template: include_str!("voice.text.hbs") }],
    measure: &|page| Size::characters(page.field("text").chars().count(), MAX_TEXT),
    limit: "300 characters (our own; https://www.twilio.com/docs/voice/api/call-resource allows 4,000 of TwiML)",
    pace: Pace {
        limits: &[Limit { count: 1, window: Duration::from_secs(1) }],
        per_month: None,
        month_zone: 0,
        per_recipient: &[Limit { count: 10, window: Duration::from_secs(3600) }],
        source: "https://help.twilio.com/articles/223180028: one call per second unless raised; 10 an hour and number are our own",
    },
    attempts: Attempts { concurrency: 2, ..Attempts::ONE },
    on_ambiguous: OnAmbiguous::Never,
    pings: Pings::NEEDLESS.reaching(Reach::Mobile),
    resolved_by_default: false,
    word: FinalWord::Later(Later {
        ask: Some(Ask { first: Duration::from_secs(30), every: Duration::from_secs(15), most: Duration::from_secs(30) }),
        calls_back: true,
        within: Duration::from_secs(900),
        cancels: true,
    }),
    example: include_str!("voice.example.yaml"),
    ..Platform::BASE
};

/// `twilio_voice: { account_sid, auth_token, from, to }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(Account);

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        self.0.check("twilio_voice")
    }

    fn recipients(&self) -> Vec<Recipient> {
        phone::recipients(&self.0.to)
    }

    fn per_month(&self) -> Option<u32> {
        self.0.per_month
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let line = self.0.build(cx, "twilio_voice")?;
        let outlet = OutletKey::new("twilio_voice", &format!("{} {}", self.0.account_sid, self.0.from));
        Ok(Built { descriptor: None, channel: Arc::new(Driver(line)), outlet })
    }
}

struct Driver(Line);

#[async_trait]
impl Channel for Driver {
    fn max_pages(&self) -> usize {
        1
    }

    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let keys = press::key_address(page, &cx.press, cx.now).filter(|_| self.0.signs);
        let twiml = press::twiml(page, keys.as_deref());
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt: a person is called once.
        for (place, number) in to.iter().enumerate() {
            let form = [("From", self.0.from.as_str()), ("Twiml", twiml.as_str())];
            results.push((place, self.0.create("Calls", number.expose(), &form, |_| true, cx).await));
        }
        results
    }

    fn body(&self, page: &Page) -> Value {
        serde_json::json!({ "Twiml": press::twiml(page, None) })
    }

    async fn receipt(&self, sent: &Sent<'_>) -> Result<Option<Word>, SendError> {
        self.0.ask("Calls", sent).await
    }

    async fn cancel(&self, sent: &Sent<'_>) -> Result<bool, SendError> {
        self.0.cancel(sent).await
    }

    fn press_way(&self) -> Option<PressWay> {
        self.0.press_way()
    }

    fn pressed(&self, call: &Callback<'_>) -> Result<PressCall, String> {
        self.0.key(call)
    }

    fn press_reply(&self, call: &Callback<'_>, answer: &PressAnswer) -> PressReply {
        press::key_reply(call, answer)
    }

    fn said_again(&self, call: &Callback<'_>, page: &Page) -> PressReply {
        PressReply { content_type: "text/xml", body: press::twiml(page, Some(call.url)), ..PressReply::EMPTY }
    }

    fn calls(&self) -> bool {
        true
    }

    fn called_back(&self, call: &Callback<'_>) -> Result<Vec<Called>, String> {
        self.0.called(call, "CallSid", "CallStatus")
    }
}
