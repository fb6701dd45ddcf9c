//! Twilio: one account, SMS and calls. What both share: credentials, answers, and asking what became of a request whose answer was lost.
//! <https://www.twilio.com/docs/usage/requests-to-twilio>, errors: <https://www.twilio.com/docs/api/errors>

mod press;
pub mod sms;
#[cfg(test)]
mod tests;
pub mod voice;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::kit::phone::{self, Use};
use super::kit::{self, CodeRule};
use super::{BuildContext, Callback, Called, Problem, SendContext, Sent};
use crate::model::{ErrorKind, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError, Word};

const API_BASE: &str = "https://api.twilio.com";

/// The account and the two ends.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Account SID (`AC...`).
    pub account_sid: String,
    /// Auth token, or the secret of the API key in `api_key`.
    pub auth_token: SecretSource,
    /// SID of an API key (`SK...`), when `auth_token` is its secret.
    #[serde(default)]
    pub api_key: Option<String>,
    /// Own number (`+1...`); for SMS also a messaging service (`MG...`).
    pub from: String,
    /// Numbers, with their country in front: `"+8613800000000"`.
    pub to: Vec<String>,
    /// Messages or calls a month that the account may send. From four fifths on only what is critical is sent; when all are used, the fallback or the next step of
    /// the escalation takes over. Default: any number.
    #[serde(default)]
    pub per_month: Option<u32>,
    /// Another server in Twilio's place. Default `https://api.twilio.com`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl Account {
    fn check(&self, key: &str) -> Vec<Problem> {
        let mut problems = phone::check_numbers(&format!("{key}.to"), &self.to, if key == "twilio_sms" { Use::Mobile } else { Use::Call });
        if !self.account_sid.starts_with("AC") {
            problems.push(Problem::new(format!("{key}.account_sid"), "it is not an account's SID", "copy it from the console; it begins with `AC`"));
        }
        if phone::e164(&self.from).is_none() && !(key == "twilio_sms" && self.from.starts_with("MG")) {
            problems.push(Problem::new(format!("{key}.from"), "it is not a number of yours", "write it as Twilio shows it: \"+15005550006\""));
        }
        problems.extend(kit::check_secret(&format!("{key}.auth_token"), &self.auth_token));
        problems.extend(kit::check_quota(&format!("{key}.per_month"), self.per_month));
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base(&format!("{key}.api_base"), base)));
        problems
    }

    fn build(&self, cx: &BuildContext<'_>, key: &str) -> Result<Line, Vec<Problem>> {
        let secret = kit::read_secret(cx, &format!("{key}.auth_token"), &self.auth_token).map_err(|problem| vec![problem])?;
        let http = kit::http(cx, key, self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let base = self.api_base.as_deref().unwrap_or(API_BASE);
        Ok(Line {
            url: kit::join(base, &format!("/2010-04-01/Accounts/{}", self.account_sid)),
            http: http.with_secrets([secret.clone()]),
            user: self.api_key.clone().unwrap_or_else(|| self.account_sid.clone()),
            secret,
            signs: self.api_key.is_none(),
            confirmed: Mutex::default(),
            only: kit::only(&phone::recipients(&self.to)),
            from: if self.from.starts_with("MG") { self.from.clone() } else { phone::e164(&self.from).unwrap_or_default() },
        })
    }
}

/// The way to an account.
struct Line {
    url: String,
    http: kit::Http,
    user: String,
    secret: Secret,
    /// Whether `secret` is the account's token, with which Twilio signs what it sends; it is not when it belongs to an API key.
    signs: bool,
    from: String,
    /// The channel's only number.
    only: Option<Recipient>,
    /// Recently confirmed messages: a lost answer was not about one of them.
    confirmed: Mutex<VecDeque<String>>,
}

/// How many of them are remembered: more than can be made within the seconds that a search looks back.
const MAX_CONFIRMED: usize = 256;

/// Where Twilio's clock and ours may differ by, when what was just made is looked for.
const CLOCK_SKEW_SECONDS: i64 = 5;

impl Line {
    /// Creates a message or a call. When the answer is lost, Twilio is asked whether it has it, before the outcome is called unknown.
    async fn create(
        &self,
        what: &str,
        to: &str,
        form: &[(&str, &str)],
        same: impl Fn(&Value) -> bool,
        cx: &SendContext,
    ) -> Result<Receipt, SendError> {
        let number = phone::reachable(to, if what == "Messages" { Use::Mobile } else { Use::Call })?;
        let mut pairs = vec![("To", number.as_str())];
        pairs.extend_from_slice(form);
        if self.signs && kit::is_reachable_from_outside(&cx.callback) {
            pairs.push(("StatusCallback", cx.callback.as_str()));
        }
        // Half of the time is kept for the question.
        let now = tokio::time::Instant::now();
        let deadline = now + cx.deadline.saturating_duration_since(now) * 3 / 4;
        let post = async |pairs: &[(&str, &str)]| {
            let call = self.http.post_form(kit::join(&self.url, &format!("/{what}.json")), pairs);
            call.basic(&self.user, &self.secret)
                .send(deadline)
                .await
                .and_then(|reply| of(&reply, cx.now).map_err(|error| kit::passing(&reply, error, cx.now)))
        };
        let mut result = post(&pairs).await;
        // It does not like the address: the message matters more, and its last word is asked for anyhow.
        if result.as_ref().is_err_and(|error| error.code.as_deref() == Some(BAD_CALLBACK))
            && pairs.pop_if(|(name, _)| *name == "StatusCallback").is_some()
        {
            result = post(&pairs).await;
        }
        let result = match result {
            Err(error) if error.kind == ErrorKind::Ambiguous => match self.find(what, &number, same, cx).await {
                Some(found) => Ok(found),
                None => Err(error),
            },
            result => result.map_err(|error| kit::of_receiver(error, NUMBER_CODES, self.only.as_ref().is_some_and(|only| only.is(&number)))),
        };
        if let Some(sid) = result.as_ref().ok().and_then(|receipt| receipt.ids.single()) {
            let mut told = self.confirmed();
            told.push_back(sid.to_owned());
            if told.len() > MAX_CONFIRMED {
                told.pop_front();
            }
        }
        result
    }

    fn confirmed(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for what was made for this number since the attempt began: <https://www.twilio.com/docs/messaging/api/message-resource>,
    /// <https://www.twilio.com/docs/voice/api/call-resource>
    async fn find(&self, what: &str, number: &str, same: impl Fn(&Value) -> bool, cx: &SendContext) -> Option<Receipt> {
        let call = self.http.get(kit::join(&self.url, &format!("/{what}.json"))).query("To", number).query("PageSize", "20");
        let call = if self.from.starts_with("MG") { call } else { call.query("From", self.from.clone()) };
        let reply = call.basic(&self.user, &self.secret).send(cx.deadline).await.ok()?;
        let list: Value = reply.json()?;
        let since = cx.now.as_second() - CLOCK_SKEW_SECONDS;
        let told = self.confirmed().clone();
        let unknown = |one: &Value| one["sid"].as_str().is_some_and(|sid| !told.iter().any(|known| known == sid));
        let fresh = |one: &&Value| made_at(&one["date_created"]).is_some_and(|at| at >= since) && same(one) && unknown(one);
        let one = list[what.to_lowercase().as_str()].as_array()?.iter().find(fresh)?;
        let sid = one["sid"].as_str()?.to_owned();
        tracing::warn!(sid, "the answer was lost, but Twilio has the request");
        Some(Receipt { ids: PlatformIds::one("sid", sid), code: "found".into(), answer: "the answer was lost; asked again, Twilio has it".into() })
    }
}

impl Line {
    /// What became of a message (`Messages`) or call (`Calls`). <https://www.twilio.com/docs/messaging/api/message-resource#message-status-values>,
    /// <https://www.twilio.com/docs/voice/api/call-resource#call-status-values>
    async fn ask(&self, what: &str, sent: &Sent<'_>) -> Result<Option<Word>, SendError> {
        let call = self.http.get(kit::join(&self.url, &format!("/{what}/{}.json", sent.platform_id)));
        let reply = call.basic(&self.user, &self.secret).send(sent.deadline).await?;
        if !reply.is_success() {
            return Err(of(&reply, sent.now).err().unwrap_or_else(|| SendError::new(ErrorKind::Transient, "Twilio did not say what became of it")));
        }
        let found: Answer = kit::parse(&reply, sent.now)?;
        Ok(word(found.status.as_str().unwrap_or_default(), found.error_code, found.error_message.as_deref()))
    }
}

/// The call is answered or over: <https://www.twilio.com/docs/api/errors/21220>
const NOT_RINGING: &str = "21220";

impl Line {
    /// Ends a call that is queued or rings; one that was answered goes on. <https://www.twilio.com/docs/voice/api/call-resource#update-a-call-resource>
    async fn cancel(&self, sent: &Sent<'_>) -> Result<bool, SendError> {
        let call = self.http.post_form(kit::join(&self.url, &format!("/Calls/{}.json", sent.platform_id)), &[("Status", "canceled")]);
        let reply = call.basic(&self.user, &self.secret).idempotent().send(sent.deadline).await?;
        if reply.is_success() {
            let found: Answer = kit::parse(&reply, sent.now)?;
            return Ok(found.status == "canceled");
        }
        match of(&reply, sent.now) {
            Err(error) if error.code.as_deref() != Some(NOT_RINGING) => Err(error),
            _ => Ok(false),
        }
    }
}

/// `StatusCallback` is not an address that Twilio would call: <https://www.twilio.com/docs/api/errors/21609>
const BAD_CALLBACK: &str = "21609";

impl Line {
    /// A status callback. `id` and `status` name its fields.
    fn called(&self, call: &Callback<'_>, id: &str, status: &str) -> Result<Vec<Called>, String> {
        let form = self.signed(call)?;
        let sid = form.field(id).ok_or_else(|| format!("it holds no {id}"))?;
        let code = form.field("ErrorCode").and_then(|code| code.parse().ok());
        let word = word(form.field(status).unwrap_or_default(), code, form.field("ErrorMessage"));
        Ok(vec![Called { platform_id: sid.to_owned(), recipient: None, word, key: None }])
    }
}

/// What a status says in the end; `None` while it is none of the last ones. A message whose carrier reports nothing stays `sent`.
fn word(status: &str, code: Option<i64>, why: Option<&str>) -> Option<Word> {
    let said = |text: &str| match (code, why) {
        (Some(code), Some(why)) => format!("{text} ({code}: {why})"),
        (Some(code), None) => format!("{text} (error {code}, https://www.twilio.com/docs/errors/{code})"),
        _ => text.to_owned(),
    };
    Some(match status {
        "delivered" => Word::delivered(status, "it is on the phone"),
        "read" => Word::delivered(status, "it was read"),
        "completed" => Word::delivered(status, "the call was answered"),
        "undelivered" => Word::undelivered(status, said("the carrier could not deliver it")),
        "busy" => Word::undelivered(status, said("the line was busy")),
        "no-answer" => Word::undelivered(status, said("nobody answered the call")),
        "failed" => Word::undelivered(status, said("it could not be sent or called")),
        "canceled" => Word::undelivered(status, said("it was cancelled")),
        _ => return None,
    })
}

/// RFC 2822 (`Fri, 24 May 2019 17:18:27 +0000`), or Unix seconds.
fn made_at(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    text.parse().ok().or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp().as_second()))
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    sid: Option<String>,
    #[serde(default)]
    status: Value,
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    error_code: Option<i64>,
    #[serde(default)]
    error_message: Option<String>,
}

/// Codes: <https://www.twilio.com/docs/api/errors>
const ERROR_CODES: &[CodeRule] = &[
    (&["20429", "31429", "10004", "30022", "63038"], ErrorKind::RateLimited { retry_after: None }, "too many requests came too fast"),
    (&["30001", "21611", "30017"], ErrorKind::Transient, "the sending number's queue is full, or the carrier's"),
    (
        &["20003", "20006", "20008", "20101", "20102", "20103", "20104", "20107"],
        ErrorKind::Misconfigured,
        "the credentials are not accepted; check `account_sid` and `auth_token`",
    ),
    (&["20404"], ErrorKind::Misconfigured, "there is no such account; check `account_sid`"),
    (&["20005", "10001", "10002", "30002"], ErrorKind::Misconfigured, "the account is not active or may not do this; look at the console"),
    (
        &["21606", "21212", "21210", "21603", "21213", "21659", "21660", "21661", "21701", "21703", "21704", "21705"],
        ErrorKind::Misconfigured,
        "`from` is not a number or messaging service of this account that can do this",
    ),
    (
        &["30018", "30024", "30032", "30033", "30034"],
        ErrorKind::Misconfigured,
        "`from` is not registered with the carriers of this country; register it in the console",
    ),
    (&["21608", "21219"], ErrorKind::Misconfigured, "a trial account reaches verified numbers only"),
    (&["21408", "21215", "13227"], ErrorKind::Misconfigured, "this country is not enabled for the account (geographic permissions)"),
    // The carriers' cap of a day: too long for an alert.
    (&["30023"], ErrorKind::Rejected, "the day's messages of `from` are used up"),
    (
        &[
            "21602", "21605", "21617", "21619", "21620", "21622", "21654", "21656", "21658", "21205", "21218", "21220", "30007", "30019", "12100",
            "12200",
        ],
        ErrorKind::Rejected,
        "its content is not accepted",
    ),
];

/// Codes of what the account may not do to this number: its country, or a trial's (same page).
const NUMBER_CODES: &[&str] = &["21608", "21219", "21408", "21215", "13227"];

/// Codes that refuse the number (same page).
const RECIPIENT_CODES: [i64; 22] = [
    21211, 21614, 21612, 21610, 21201, 21604, 21217, 21214, 21216, 21265, 21407, 21613, 21635, 13223, 13224, 13225, 13226, 30003, 30004, 30005,
    30006, 30008,
];

/// Too much came between two numbers, which is refused for 30 seconds: <https://www.twilio.com/docs/api/errors/14107>
const NUMBER_LIMIT: i64 = 14107;
const NUMBER_PAUSE: ErrorKind = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(30)) };

fn of(reply: &kit::Reply, now: Timestamp) -> Result<Receipt, SendError> {
    // A request that Twilio failed to answer well may have been carried out.
    if reply.status() >= 500 {
        return Err(reply.error(
            ErrorKind::Ambiguous,
            format!("HTTP {}", reply.status()),
            "Twilio failed while it handled the request; it may have been carried out",
        ));
    }
    let answer: Answer = kit::parse(reply, now)?;
    let status = answer.status.as_str().unwrap_or_default().to_owned();
    // It may be made and have failed at once: `error_code` then says why (<https://www.twilio.com/docs/messaging/api/message-resource>).
    let failed = matches!(status.as_str(), "failed" | "undelivered" | "canceled");
    let sid = answer.sid.as_deref().filter(|sid| !sid.is_empty());
    if reply.is_success() && !failed {
        if let Some(sid) = sid {
            return Ok(reply.receipt(if status.is_empty() { "created" } else { &status }, PlatformIds::one("sid", sid.to_owned())));
        }
        // Neither made nor refused.
        if answer.code == 0 {
            return Err(kit::unclear(reply));
        }
    }
    let mut answer = answer;
    if let (true, Some(code)) = (failed, answer.error_code) {
        answer.code = code;
        answer.message = answer.error_message.take().unwrap_or_default();
    }
    let code = if answer.code == 0 { format!("HTTP {}", reply.status()) } else { answer.code.to_string() };
    if RECIPIENT_CODES.contains(&answer.code) {
        let text = format!("Twilio does not reach this number: {}", answer.message);
        return Err(reply.error(ErrorKind::Rejected, code, text).of_recipient());
    }
    if answer.code == NUMBER_LIMIT {
        return Err(reply.error(NUMBER_PAUSE, code, format!("Twilio: this number gets no more for now (\"{}\")", answer.message)).of_recipient());
    }
    let by_status = || kit::classify_status(reply, now).map_or(ErrorKind::Rejected, |error| error.kind);
    let (kind, advice) = kit::classify(ERROR_CODES, &code).unwrap_or_else(|| (by_status(), "see the code in Twilio's list of errors"));
    Err(reply.error(reply.with_wait(kind, now), code, format!("Twilio: {advice} (\"{}\")", answer.message)))
}
