//! SMS by Tencent Cloud: an approved template with positional variables. <https://cloud.tencent.com/document/api/382/55981>

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Account, Line, answer};
use crate::channel::descriptor::{Pings, Reach};
use crate::channel::kit::{pattern, phone, sms};
use crate::channel::{
    Ask, Attempts, BuildContext, Built, CellResult, Channel, FinalWord, Later, Limit, OnAmbiguous, Pace, Platform, PlatformConfig, Problem,
    SendContext, Sent,
};
use crate::model::{ErrorKind, OutletKey, Page, Recipient, SendError, Size, Word};

/// Our own: the text only fills variables.
const MAX_TEXT: usize = 500;
/// Characters of a variable for accounts opened since 2024-01-25: <https://cloud.tencent.com/document/product/382/39023>
const MAX_PARAM: usize = 6;

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "tencent_sms",
    title: "SMS (Tencent Cloud 腾讯云短信)",
    about: "approved template with variables; each number has a result of its own",
    docs: "https://cloud.tencent.com/document/api/382/55981",
    fields: &pattern::parts(include_str!("sms.text.hbs")),
    measure: &|page| Size::characters(page.field("text").chars().count(), MAX_TEXT),
    limit: "6 characters a variable for accounts since 2024, no links (https://cloud.tencent.com/document/product/382/39023)",
    pace: Pace {
        limits: &[],
        per_month: None,
        month_zone: Pace::CHINA,
        per_recipient: &[Limit { count: 20, window: Duration::from_secs(3600) }],
        source: "https://cloud.tencent.com/document/product/382/13302: one number 1 in 30 seconds with the same content, 10 a day; 20 an hour are our own",
    },
    attempts: Attempts { concurrency: 4, batch: 100 },
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

/// `tencent_sms: { secret_id, secret_key, app_id, sign_name, template, params, to }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Config(Account);

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems = self.0.check("tencent_sms");
        let mainland = |to: &String| phone::e164(to).is_some_and(|number| is_mainland(&number));
        let (home, abroad) = (self.0.to.iter().any(mainland), self.0.to.iter().any(|to| !mainland(to)));
        if home && self.0.sign_name.as_ref().is_none_or(|name| name.trim().is_empty()) {
            problems.push(Problem::new("tencent_sms.sign_name", "SMS to mainland numbers need an approved signature", "write the signature's text"));
        }
        if home && abroad {
            problems.push(Problem::new("tencent_sms.to", "mainland and other numbers cannot share a channel", "make a channel of each"));
        }
        problems
    }

    fn doubts(&self, sends_resolved: bool) -> Vec<Problem> {
        self.0.doubts("tencent_sms", MAX_PARAM, sends_resolved)
    }

    fn recipients(&self) -> Vec<Recipient> {
        phone::recipients(&self.0.to)
    }

    fn per_month(&self) -> Option<u32> {
        self.0.per_month
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let line = self.0.build(cx, "tencent_sms", "sms")?;
        let outlet = OutletKey::new("tencent_sms", &format!("{} {}", self.0.secret_id, self.0.app_id));
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
        let numbers: Vec<Result<String, SendError>> = to.iter().map(|to| phone::reachable(to.expose(), phone::Use::Mobile)).collect();
        let mut results: Vec<CellResult> = Vec::with_capacity(to.len());
        let mut sides: [Vec<(usize, String)>; 2] = Default::default();
        for (place, number) in numbers.into_iter().enumerate() {
            match number {
                Ok(number) => sides[usize::from(!is_mainland(&number))].push((place, number)),
                Err(error) => results.push((place, Err(error))),
            }
        }
        // People who are on call together may live on both sides of the border, and a request takes numbers of one of them.
        for side in sides.iter().filter(|side| !side.is_empty()) {
            results.extend(self.one_side(page, side, cx).await);
        }
        results
    }

    fn body(&self, page: &Page) -> Value {
        json!({ "TemplateId": self.0.account.template, "TemplateParamSet": self.0.params(page, MAX_PARAM, MAX_TEXT, sms::variable).0 })
    }

    async fn receipt(&self, sent: &Sent<'_>) -> Result<Option<Word>, SendError> {
        // By number, which only reads; the other question returns each status once, to the client that asks first.
        let body = json!({
            "PhoneNumber": sent.recipient.expose(), "SmsSdkAppId": self.0.account.app_id, "BeginTime": sent.at.as_second() - 300,
            "EndTime": sent.now.as_second() + 60, "Offset": 0, "Limit": 100,
        });
        answer::word_of_sms(&self.0.inquire("PullSmsSendStatusByPhoneNumber", "2021-01-11", &body, sent).await?, sent.platform_id, sent.now)
    }
}

/// Whether a number of [`phone::e164`] is one of the mainland.
fn is_mainland(number: &str) -> bool {
    number.starts_with("+86")
}

impl Driver {
    /// One request: numbers of one side of the border, each with its place among the recipients.
    async fn one_side(&self, page: &Page, numbers: &[(usize, String)], cx: &SendContext) -> Vec<CellResult> {
        let known: Vec<&String> = numbers.iter().map(|(_, number)| number).collect();
        let (params, cut) = self.0.params(page, MAX_PARAM, MAX_TEXT, sms::variable);
        let body = json!({
            "PhoneNumberSet": known, "SmsSdkAppId": self.0.account.app_id, "TemplateId": self.0.account.template,
            "SignName": self.0.account.sign_name.as_deref().unwrap_or_default().trim(), "TemplateParamSet": params,
        });
        let answer = match self.0.order("SendSms", "2021-01-11", &body, cx).await {
            Ok(reply) => answer::of_sms(&reply, cx.now),
            Err(error) => Err(error),
        };
        let missing = || Err(SendError::new(ErrorKind::Ambiguous, "the answer does not say what became of this number"));
        let mut answer = answer.map(Vec::into_iter);
        let mut result = || match &mut answer {
            Err(error) => Err(error.clone()),
            Ok(entries) => phone::told(entries.next().unwrap_or_else(missing), cut),
        };
        numbers.iter().map(|(place, number)| (*place, self.0.of_number(number, result()))).collect()
    }
}
