//! Calls by Alibaba Cloud: an approved text-to-speech template, with a key to press where another template answers it. One callee a request.
//! <https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-singlecallbytts>

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Account, CHINA_UTC_OFFSET, Line, Params, VariableLimits, answer};
use crate::channel::descriptor::{Pings, Reach};
use crate::channel::kit::{self, pattern, phone};
use crate::channel::{
    Ask, Attempts, BuildContext, Built, Callback, Called, CellResult, Channel, FinalWord, Later, Limit, OnAmbiguous, Pace, Platform, PlatformConfig,
    PressWay, Problem, SendContext, Sent,
};
use crate::model::{OutletKey, Page, Receipt, Recipient, SendError, Size, Verb, Word};

/// What of [`VARIABLE_LIMITS`] the text may take; the rest is for the other variables.
const MAX_TEXT: usize = 200;

/// `TtsParam` must stay below 250 characters; one variable has no limit of its own (same page).
const VARIABLE_LIMITS: VariableLimits = VariableLimits { each: 249, all: 249 };

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "aliyun_voice",
    title: "Voice call (Alibaba Cloud 阿里云语音)",
    about: "calls a number and reads an approved template",
    docs: "https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-singlecallbytts",
    fields: &pattern::parts(include_str!("voice.text.hbs")),
    measure: &|page| Size::characters(page.field("text").chars().count(), MAX_TEXT),
    limit: "250 characters of variables, no links (https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-singlecallbytts)",
    pace: Pace {
        limits: &[Limit { count: 1, window: Duration::from_secs(1) }],
        per_month: None,
        month_zone: Pace::CHINA,
        per_recipient: &[Limit { count: 5, window: Duration::from_secs(3600) }],
        source: "https://help.aliyun.com/zh/vms/product-overview/limits: one callee 1 a minute, 5 an hour, 20 a day; one call a second is our own",
    },
    attempts: Attempts { concurrency: 2, ..Attempts::ONE },
    on_ambiguous: OnAmbiguous::Never,
    pings: Pings::NEEDLESS.reaching(Reach::Mobile),
    resolved_by_default: false,
    word: FinalWord::Later(Later {
        // The details are there three to five minutes after the call ended:
        // https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-querycalldetailbycallid
        ask: Some(Ask { first: Duration::from_secs(300), every: Duration::from_secs(60), most: Duration::from_secs(60) }),
        calls_back: true,
        within: Duration::from_secs(900),
        // CancelCall is for two-way calls only: https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-cancelcall
        cancels: false,
    }),
    example: include_str!("voice.example.yaml"),
    ..Platform::BASE
};

/// `aliyun_voice: { access_key_id, access_key_secret, template, params, to }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(Account);

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        self.0.check("aliyun_voice")
    }

    fn doubts(&self, sends_resolved: bool) -> Vec<Problem> {
        self.0.doubts("aliyun_voice", VARIABLE_LIMITS.each, sends_resolved)
    }

    fn recipients(&self) -> Vec<Recipient> {
        phone::recipients(&self.0.to)
    }

    fn per_month(&self) -> Option<u32> {
        self.0.per_month
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let line = self.0.build(cx, "aliyun_voice", "https://dyvmsapi.aliyuncs.com")?;
        Ok(Built { descriptor: None, channel: Arc::new(Driver(line)), outlet: OutletKey::new("aliyun_voice", &self.0.access_key_id) })
    }
}

struct Driver(Line);

#[async_trait]
impl Channel for Driver {
    fn max_pages(&self) -> usize {
        1
    }

    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let params = self.params(page);
        let keys = self.acked(page).map(|acked| Keys { acked, hands_on: phone::hands_on(page) });
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt: a person is called once.
        for (place, number) in to.iter().enumerate() {
            results.push((place, self.one(number.expose(), &params, keys, cx).await));
        }
        results
    }

    fn body(&self, page: &Page) -> Value {
        serde_json::json!({ "TtsCode": self.0.account.template, "TtsParam": self.params(page).json })
    }

    async fn receipt(&self, sent: &Sent<'_>) -> Result<Option<Word>, SendError> {
        // A moment before the call, of the call's own day: the day after it is searched.
        let day = (sent.at + CHINA_UTC_OFFSET).as_second().div_euclid(86_400) * 86_400 - CHINA_UTC_OFFSET.as_secs() as i64;
        let from = ((sent.at.as_second() - 300).max(day) * 1000).to_string();
        // Calls that offer a key are another product; which this one was, its id does not say.
        let menus = self.0.account.ack_template.as_ref().map(|_| MENUS_PRODUCT);
        for product in menus.into_iter().chain([NOTIFICATIONS_PRODUCT]) {
            let ask = [("CallId", sent.platform_id), ("ProdId", product), ("QueryDate", from.as_str())];
            let word = answer::word_of_call(&self.0.inquire("QueryCallDetailByCallId", &ask, sent).await?, sent.now)?;
            if word.is_some() {
                return Ok(word);
            }
        }
        Ok(None)
    }

    /// Keys are reported to the address of receipts.
    fn press_way(&self) -> Option<PressWay> {
        self.0.account.ack_template.as_ref().map(|_| PressWay::Phone)
    }

    fn calls(&self) -> bool {
        true
    }

    fn called_back(&self, call: &Callback<'_>) -> Result<Vec<Called>, String> {
        answer::called(call.body)
    }
}

/// The product "voice notifications", of which template calls are one.
/// <https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-querycalldetailbycallid>
const NOTIFICATIONS_PRODUCT: &str = "11000000300006";
/// The product "voice IVR": calls that wait for a key (same page).
const MENUS_PRODUCT: &str = "11000000300005";
/// How long a call waits for a key, in milliseconds.
const KEY_TIMEOUT: &str = "10000";

/// The keys that a call offers.
#[derive(Clone, Copy)]
struct Keys<'a> {
    /// The template that is read in answer.
    acked: &'a str,
    /// Whether one of them hands on.
    hands_on: bool,
}

impl Driver {
    /// The template that answers a key; `None` where there is nothing to ack, so that no call offers what cannot be done.
    fn acked(&self, page: &Page) -> Option<&str> {
        let offers = page.facts.incident.buttons.iter().any(|button| button.verb == Verb::Ack);
        self.0.account.ack_template.as_deref().filter(|_| offers)
    }

    fn params(&self, page: &Page) -> Params {
        let mut said = page.clone();
        said.fields.insert("text".into(), kit::spoken(page.field("text"), page.facts.language));
        self.0.params(&said, VARIABLE_LIMITS, pattern::fill)
    }

    async fn one(&self, to: &str, params: &Params, keys: Option<Keys<'_>>, cx: &SendContext) -> Result<Receipt, SendError> {
        let number = phone::reachable(to, phone::Use::Call)?;
        let number = phone::dialled(&number);
        let show = self.0.account.show_number.as_deref().unwrap_or_default();
        let (template, params_json) = (self.0.account.template.as_str(), params.json.as_str());
        let mut order = vec![("CalledNumber", number.as_str()), ("PlayTimes", "2")];
        if !show.is_empty() {
            order.push(("CalledShowNumber", show));
        }
        let action = match keys {
            // <https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-ivrcall>
            Some(keys) => {
                order.extend([("StartCode", template), ("StartTtsParams", params_json), ("Timeout", KEY_TIMEOUT)]);
                order.extend([("MenuKeyMap.1.Key", phone::ACK_KEY), ("MenuKeyMap.1.Code", keys.acked)]);
                if keys.hands_on {
                    order.extend([("MenuKeyMap.2.Key", phone::HAND_ON_KEY), ("MenuKeyMap.2.Code", keys.acked)]);
                }
                "IvrCall"
            }
            None => {
                order.extend([("TtsCode", template), ("TtsParam", params_json)]);
                "SingleCallByTts"
            }
        };
        phone::told(answer::of(&self.0.order(action, &order, cx).await?, &self.0.variables(), cx.now), params.cut)
    }
}
