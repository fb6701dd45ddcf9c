//! SMS by Alibaba Cloud: an approved template with variables. <https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-sendsms>

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Account, CHINA_UTC_OFFSET, Line, Params, VariableLimits, answer};
use crate::channel::descriptor::{Pings, Reach};
use crate::channel::kit::{cut_units, pattern, phone, sms};
use crate::channel::{
    Ask, Attempts, BuildContext, Built, CellResult, Channel, FinalWord, Later, Limit, OnAmbiguous, Pace, Platform, PlatformConfig, Problem,
    SendContext, Sent,
};
use crate::model::{ErrorKind, OutletKey, Page, PlatformIds, Receipt, Recipient, SendError, Size, Word};

/// Our own: the text only fills variables.
const MAX_TEXT: usize = 500;

/// One variable of a notification template takes 35 characters: <https://help.aliyun.com/zh/sms/user-guide/sms-template-specifications>.
/// Of all together an SMS's own 500 are the bound.
const VARIABLE_LIMITS: VariableLimits = VariableLimits { each: 35, all: MAX_TEXT };

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "aliyun_sms",
    title: "SMS (Alibaba Cloud 阿里云短信)",
    about: "approved template with variables; a lost answer is looked up before it counts as unknown",
    docs: "https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-sendsms",
    fields: &pattern::parts(include_str!("sms.text.hbs")),
    measure: &|page| Size::characters(page.field("text").chars().count(), MAX_TEXT),
    limit: "35 characters a variable, no links (https://help.aliyun.com/zh/sms/user-guide/sms-template-specifications)",
    pace: Pace {
        limits: &[],
        per_month: None,
        month_zone: Pace::CHINA,
        per_recipient: &[Limit { count: 20, window: Duration::from_secs(3600) }],
        source: "https://help.aliyun.com/zh/sms/user-guide/configure-delivery-limits: 50 a day and number with one signature and template, 40 in all; 20 an hour are our own",
    },
    attempts: Attempts { concurrency: 4, ..Attempts::ONE },
    on_ambiguous: OnAmbiguous::Never,
    pings: Pings::NEEDLESS.reaching(Reach::Mobile),
    resolved_by_default: false,
    word: FinalWord::Later(Later {
        ask: Some(Ask { first: Duration::from_secs(20), every: Duration::from_secs(20), most: Duration::from_secs(1800) }),
        calls_back: false,
        within: Duration::from_secs(86_400),
        cancels: false,
    }),
    example: include_str!("sms.example.yaml"),
    ..Platform::BASE
};

/// `aliyun_sms: { access_key_id, access_key_secret, sign_name, template, params, to }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(Account);

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems = self.0.check("aliyun_sms");
        if self.0.sign_name.as_ref().is_none_or(|name| name.trim().is_empty()) {
            problems.push(Problem::new(
                "aliyun_sms.sign_name",
                "an SMS needs an approved signature",
                "write the signature (签名) without its brackets",
            ));
        }
        problems
    }

    fn doubts(&self, sends_resolved: bool) -> Vec<Problem> {
        self.0.doubts("aliyun_sms", VARIABLE_LIMITS.each, sends_resolved)
    }

    fn recipients(&self) -> Vec<Recipient> {
        phone::recipients(&self.0.to)
    }

    fn per_month(&self) -> Option<u32> {
        self.0.per_month
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let line = self.0.build(cx, "aliyun_sms", "https://dysmsapi.aliyuncs.com")?;
        let outlet = OutletKey::new("aliyun_sms", &format!("{} {}", self.0.access_key_id, self.0.sign_name.as_deref().unwrap_or_default()));
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
        let params = self.0.params(page, VARIABLE_LIMITS, sms::variable);
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt, so that each number has a result of its own.
        for (place, number) in to.iter().enumerate() {
            results.push((place, self.one(number.expose(), &params, cx).await));
        }
        results
    }

    fn body(&self, page: &Page) -> Value {
        let params = self.0.params(page, VARIABLE_LIMITS, sms::variable);
        serde_json::json!({ "TemplateCode": self.0.account.template, "TemplateParam": params.json })
    }

    async fn receipt(&self, sent: &Sent<'_>) -> Result<Option<Word>, SendError> {
        let number = phone::dialled(sent.recipient.expose());
        let day = (sent.at + CHINA_UTC_OFFSET).strftime("%Y%m%d").to_string();
        let mut ask = vec![("PhoneNumber", number.as_str()), ("SendDate", &day), ("PageSize", "50"), ("CurrentPage", "1")];
        let out_id = sent.platform_id.strip_prefix(OUT_ID_PREFIX);
        if out_id.is_none() {
            ask.push(("BizId", sent.platform_id));
        }
        answer::word_of_sms(&self.0.inquire("QuerySendDetails", &ask, sent).await?, out_id, sent.now)
    }
}

/// Marks an id of ours in the place of the vendor's, which was lost with its answer.
const OUT_ID_PREFIX: &str = "out_id:";

impl Driver {
    async fn one(&self, to: &str, params: &Params, cx: &SendContext) -> Result<Receipt, SendError> {
        let number = phone::reachable(to, phone::Use::Mobile)?;
        // An id of ours by which a lost answer is found again.
        let out_id = cut_units(&cx.idempotency_key, 32);
        let sign = self.0.account.sign_name.as_deref().unwrap_or_default().trim();
        let order = [
            ("PhoneNumbers", number.trim_start_matches('+')),
            ("SignName", sign),
            ("TemplateCode", self.0.account.template.as_str()),
            ("TemplateParam", params.json.as_str()),
            ("OutId", &out_id),
        ];
        match self.0.order("SendSms", &order, cx).await.and_then(|reply| answer::of(&reply, &self.0.variables(), cx.now)) {
            Err(error) if error.kind == ErrorKind::Ambiguous && self.was_sent(&number, &out_id, cx).await => Ok(Receipt {
                ids: PlatformIds::one("OutId", format!("{OUT_ID_PREFIX}{out_id}")),
                code: "found".into(),
                answer: "the answer was lost; asked again, Alibaba Cloud has sent it".into(),
            }),
            result => phone::told(result, params.cut),
        }
    }

    async fn was_sent(&self, number: &str, out_id: &str, cx: &SendContext) -> bool {
        // Its days are China's.
        let day = (cx.now + CHINA_UTC_OFFSET).strftime("%Y%m%d").to_string();
        let dialled = phone::dialled(number);
        let ask = [("PhoneNumber", dialled.as_str()), ("SendDate", &day), ("PageSize", "20"), ("CurrentPage", "1")];
        match self.0.ask("QuerySendDetails", &ask, cx.now, cx.deadline, true).await {
            Ok(reply) => answer::holds(&reply, out_id),
            Err(_) => false,
        }
    }
}
