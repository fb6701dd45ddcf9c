//! Calls by Twilio: the text is spoken twice, from inline TwiML. <https://www.twilio.com/docs/voice/api/call-resource>

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Account, Line};
use crate::channel::descriptor::{Pings, Reach};
use crate::channel::kit::{self, phone};
use crate::channel::{
    Ask, Attempts, BuildContext, Built, Callback, Called, CellResult, Channel, FinalWord, Later, Limit, OnAmbiguous, Pace, Platform, PlatformConfig,
    Problem, SendContext, Sent,
};
use crate::model::{Escape, FieldSpec, Language, OutletKey, Page, Recipient, SendError, Size, Word};

/// Our own: what a person woken up by a call can follow; twice that with its markup stays below the 4,000 characters of `Twiml`
/// (<https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource>).
const MAX_TEXT: usize = 300;

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
        source: "https://help.twilio.com/articles/223180028: one call per second unless raised",
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
        let twiml = twiml(page);
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt: a person is called once.
        for (place, number) in to.iter().enumerate() {
            let form = [("From", self.0.from.as_str()), ("Twiml", twiml.as_str())];
            results.push((place, self.0.create("Calls", number.expose(), &form, |_| true, cx).await));
        }
        results
    }

    fn body(&self, page: &Page) -> Value {
        serde_json::json!({ "Twiml": twiml(page) })
    }

    async fn receipt(&self, sent: &Sent<'_>) -> Result<Option<Word>, SendError> {
        self.0.ask("Calls", sent).await
    }

    async fn cancel(&self, sent: &Sent<'_>) -> Result<bool, SendError> {
        self.0.cancel(sent).await
    }

    fn called_back(&self, call: &Callback<'_>) -> Result<Called, String> {
        self.0.called(call, "CallSid", "CallStatus")
    }
}

/// The text, said twice with a pause. <https://www.twilio.com/docs/voice/twiml/say>
pub(super) fn twiml(page: &Page) -> String {
    let (language, again) = if page.facts.language == Language::Zh { ("zh-CN", "重复一遍。") } else { ("en-US", "I repeat. ") };
    let text: String = kit::spoken(page.field("text"), page.facts.language).chars().take(MAX_TEXT).collect();
    let mut said = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => said.push_str("&amp;"),
            '<' => said.push_str("&lt;"),
            '>' => said.push_str("&gt;"),
            '"' => said.push_str("&quot;"),
            '\'' => said.push_str("&apos;"),
            c => said.push(c),
        }
    }
    format!("<Response><Say language=\"{language}\">{said}</Say><Pause length=\"1\"/><Say language=\"{language}\">{again}{said}</Say></Response>")
}
