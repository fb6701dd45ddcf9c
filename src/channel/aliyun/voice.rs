//! Calls by Alibaba Cloud: an approved text-to-speech template. One callee a request.
//! <https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-singlecallbytts>

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Account, Line, answer};
use crate::channel::kit::phone;
use crate::channel::{BuildContext, Built, CellResult, Channel, Limit, OnAmbiguous, Pace, Platform, PlatformConfig, Problem, SendContext};
use crate::model::{ErrorKind, Escape, FieldSpec, OutletKey, Page, Receipt, Recipient, SendError, Size};

/// Characters of all variables together must stay below 250 (same page).
const MAX_TEXT: usize = 200;

/// The card.
pub static PLATFORM: Platform = Platform {
    name: "aliyun_voice",
    title: "Voice call (Alibaba Cloud 阿里云语音)",
    about: "calls a number and reads an approved template",
    docs: "https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-singlecallbytts",
    fields: &[FieldSpec { name: "text", escape: Escape::None, required: true, single_line: true }],
    measure: &|page| Size::characters(page.field("text").chars().count(), MAX_TEXT),
    limit: "250 characters of variables, no links (https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-singlecallbytts)",
    pace: Pace {
        limits: &[Limit { count: 1, window: Duration::from_secs(1) }],
        per_month: None,
        source: "https://help.aliyun.com/zh/vms/product-overview/limits: one callee 1 a minute, 5 an hour, 20 a day; one call a second is our own",
    },
    concurrency: 2,
    batch: 1,
    ambiguous: OnAmbiguous::Never,
    resolved_by_default: false,
    pings: crate::channel::card::Pings::NEEDLESS,
    payload: false,
};

/// `aliyun_voice: { access_key_id, access_key_secret, template, params, to }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(Account);

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        self.0.check("aliyun_voice")
    }

    fn recipients(&self) -> Vec<Recipient> {
        self.0.to.iter().map(|to| Recipient::new(phone::e164(to).unwrap_or_default())).collect()
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let line = self.0.build(cx, "aliyun_voice", "https://dyvmsapi.aliyuncs.com")?;
        Ok(Built { card: None, channel: Arc::new(Driver(line)), outlet: OutletKey::new("aliyun_voice", &self.0.access_key_id) })
    }
}

struct Driver(Line);

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let mut said = page.clone();
        said.fields.insert("text".into(), phone::spoken(page.field("text")));
        let params = self.0.params(&said);
        let mut results = Vec::with_capacity(to.len());
        // The card says one recipient an attempt: a person is called once.
        for (place, number) in to.iter().enumerate() {
            results.push((place, self.one(number.expose(), &params, cx).await));
        }
        results
    }
}

impl Driver {
    async fn one(&self, to: &str, params: &str, cx: &SendContext) -> Result<Receipt, SendError> {
        let Some(number) = phone::e164(to) else {
            return Err(SendError::new(ErrorKind::Rejected, "it is not a phone number that a carrier would take").of_recipient());
        };
        let number = number.trim_start_matches("+86").trim_start_matches('+');
        let show = self.0.account.show_number.as_deref().unwrap_or_default();
        let mut order = vec![("CalledNumber", number), ("TtsCode", self.0.account.template.as_str()), ("TtsParam", params), ("PlayTimes", "2")];
        if !show.is_empty() {
            order.push(("CalledShowNumber", show));
        }
        answer::of(&self.0.order("SingleCallByTts", &order, cx).await?, cx.now)
    }
}
