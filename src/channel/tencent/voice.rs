//! Calls by Tencent Cloud: an approved voice template. <https://cloud.tencent.com/document/api/1128/51558>

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Account, Line, answer};
use crate::channel::descriptor::{Pings, Reach};
use crate::channel::kit::{self, pattern, phone};
use crate::channel::{
    Attempts, BuildContext, Built, Callback, Called, CellResult, Channel, FinalWord, Later, Limit, OnAmbiguous, Pace, Platform, PlatformConfig,
    Problem, SendContext,
};
use crate::model::{OutletKey, Page, Receipt, Recipient, SendError, Size};

/// Characters of the whole call are 350 (same page); the template's own words take some.
const MAX_TEXT: usize = 200;
/// What of them all variables together may take; the rest is for the template's own words.
const MAX_PARAMS: usize = 250;

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "tencent_voice",
    title: "Voice call (Tencent Cloud 腾讯云语音)",
    about: "calls a number and reads an approved template",
    docs: "https://cloud.tencent.com/document/api/1128/51558",
    fields: &pattern::parts(include_str!("voice.text.hbs")),
    measure: &|page| Size::characters(page.field("text").chars().count(), MAX_TEXT),
    limit: "350 characters in all (https://cloud.tencent.com/document/api/1128/51558)",
    pace: Pace {
        limits: &[Limit { count: 1, window: Duration::from_secs(1) }],
        per_month: None,
        month_zone: Pace::CHINA,
        per_recipient: &[Limit { count: 10, window: Duration::from_secs(3600) }],
        source: "https://cloud.tencent.com/document/product/1128/37720: one callee 1 in 30 seconds, 2 in 10 minutes, one between 22:00 and 08:00 \
                 unless raised; one call a second and 10 an hour and number are our own",
    },
    attempts: Attempts { concurrency: 2, ..Attempts::ONE },
    on_ambiguous: OnAmbiguous::Never,
    pings: Pings::NEEDLESS.reaching(Reach::Mobile),
    resolved_by_default: false,
    word: FinalWord::Later(Later { ask: None, calls_back: true, within: Duration::from_secs(900), cancels: false }),
    example: include_str!("voice.example.yaml"),
    ..Platform::BASE
};

/// `tencent_voice: { secret_id, secret_key, app_id, template, params, to }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(Account);

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        self.0.check("tencent_voice")
    }

    fn doubts(&self, sends_resolved: bool) -> Vec<Problem> {
        self.0.doubts("tencent_voice", MAX_PARAMS, sends_resolved)
    }

    fn recipients(&self) -> Vec<Recipient> {
        phone::recipients(&self.0.to)
    }

    fn per_month(&self) -> Option<u32> {
        self.0.per_month
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let line = self.0.build(cx, "tencent_voice", "vms")?;
        let outlet = OutletKey::new("tencent_voice", &format!("{} {}", self.0.secret_id, self.0.app_id));
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
        let (params, cut) = self.params(page);
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt: a person is called once.
        for (place, number) in to.iter().enumerate() {
            results.push((place, phone::told(self.one(number.expose(), &params, cx).await, cut)));
        }
        results
    }

    fn body(&self, page: &Page) -> Value {
        json!({ "TemplateId": self.0.account.template, "TemplateParamSet": self.params(page).0 })
    }

    fn calls(&self) -> bool {
        true
    }

    fn called_back(&self, call: &Callback<'_>) -> Result<Vec<Called>, String> {
        answer::called(call.body)
    }
}

impl Driver {
    fn params(&self, page: &Page) -> (Vec<String>, usize) {
        let mut said = page.clone();
        said.fields.insert("text".into(), kit::spoken(page.field("text"), page.facts.language));
        self.0.params(&said, MAX_PARAMS, MAX_PARAMS, pattern::fill)
    }

    async fn one(&self, to: &str, params: &[String], cx: &SendContext) -> Result<Receipt, SendError> {
        let number = phone::reachable(to, phone::Use::Call)?;
        let body = json!({
            "TemplateId": self.0.account.template, "CalledNumber": number, "VoiceSdkAppid": self.0.account.app_id, "TemplateParamSet": params, "PlayTimes": 2,
        });
        self.0.of_number(&number, answer::of_call(&self.0.order("SendTtsVoice", "2020-09-02", &body, cx).await?, cx.now))
    }
}
