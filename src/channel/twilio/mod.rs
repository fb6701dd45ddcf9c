//! Twilio: one account, SMS and calls. What both share: credentials, answers, and asking what became of a request whose answer was lost.
//! <https://www.twilio.com/docs/usage/requests-to-twilio>, errors: <https://www.twilio.com/docs/api/errors>

pub mod sms;
#[cfg(test)]
mod tests;
pub mod voice;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::kit::{self, Row, phone};
use super::{BuildContext, Problem, SendContext};
use crate::model::{ErrorKind, Receipt, Secret, SecretSource, SendError};

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
    /// Another server in Twilio's place. Default `https://api.twilio.com`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl Account {
    fn check(&self, key: &str) -> Vec<Problem> {
        let mut problems = phone::check_numbers(&format!("{key}.to"), &self.to);
        if !self.account_sid.starts_with("AC") {
            problems.push(Problem::new(format!("{key}.account_sid"), "it is not an account's SID", "copy it from the console; it begins with `AC`"));
        }
        if phone::e164(&self.from).is_none() && !(key == "twilio_sms" && self.from.starts_with("MG")) {
            problems.push(Problem::new(format!("{key}.from"), "it is not a number of yours", "write it as Twilio shows it: \"+15005550006\""));
        }
        problems.extend(kit::check_secret(&format!("{key}.auth_token"), &self.auth_token));
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
            told: Mutex::default(),
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
    from: String,
    /// What was told as made lately: it is not what a lost answer was about.
    told: Mutex<VecDeque<String>>,
}

/// How many of them are remembered: more than can be made within the seconds that a search looks back.
const TOLD: usize = 256;

/// Where Twilio's clock and ours may differ by, when what was just made is looked for.
const SKEW: i64 = 5;

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
        let Some(number) = phone::e164(to) else {
            return Err(SendError::new(ErrorKind::Rejected, "it is not a phone number that Twilio would take").of_recipient());
        };
        let mut pairs = vec![("To", number.as_str())];
        pairs.extend_from_slice(form);
        // Half of the time is kept for the question.
        let now = tokio::time::Instant::now();
        let deadline = now + cx.deadline.saturating_duration_since(now) * 3 / 4;
        let sent = self.http.post_form(kit::join(&self.url, &format!("/{what}.json")), &pairs).basic(&self.user, &self.secret).send(deadline).await;
        let result = sent.and_then(|reply| of(&reply, cx.now));
        let result = match result {
            Err(error) if error.kind == ErrorKind::Ambiguous => match self.find(what, &number, same, cx).await {
                Some(found) => Ok(found),
                None => Err(error),
            },
            result => result,
        };
        if let Ok(Receipt { platform_id: Some(sid), .. }) = &result {
            let mut told = self.told();
            told.push_back(sid.clone());
            if told.len() > TOLD {
                told.pop_front();
            }
        }
        result
    }

    fn told(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for what was made for this number since the attempt began: <https://www.twilio.com/docs/messaging/api/message-resource>,
    /// <https://www.twilio.com/docs/voice/api/call-resource>
    async fn find(&self, what: &str, number: &str, same: impl Fn(&Value) -> bool, cx: &SendContext) -> Option<Receipt> {
        let call = self.http.get(kit::join(&self.url, &format!("/{what}.json"))).query("To", number).query("PageSize", "20");
        let call = if self.from.starts_with("MG") { call } else { call.query("From", self.from.clone()) };
        let reply = call.basic(&self.user, &self.secret).send(cx.deadline).await.ok()?;
        let list: Value = reply.json()?;
        let since = cx.now.as_second() - SKEW;
        let told = self.told().clone();
        let unknown = |one: &Value| one["sid"].as_str().is_some_and(|sid| !told.iter().any(|known| known == sid));
        let fresh = |one: &&Value| made_at(&one["date_created"]).is_some_and(|at| at >= since) && same(one) && unknown(one);
        let one = list[what.to_lowercase().as_str()].as_array()?.iter().find(fresh)?;
        let sid = one["sid"].as_str()?.to_owned();
        tracing::warn!(sid, "the answer was lost, but Twilio has the request");
        Some(Receipt { platform_id: Some(sid), code: "found".into(), answer: "the answer was lost; asked again, Twilio has it".into() })
    }
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
}

/// Codes: <https://www.twilio.com/docs/api/errors>
const KNOWN: &[Row] = &[
    (&["20429", "31429"], ErrorKind::RateLimited { retry_after: None }, "too many requests came too fast"),
    (&["30001", "21611"], ErrorKind::Transient, "the sending number's queue is full"),
    (&["20003"], ErrorKind::Misconfigured, "the credentials are not accepted; check `account_sid` and `auth_token`"),
    (&["20404"], ErrorKind::Misconfigured, "there is no such account; check `account_sid`"),
    (&["20005"], ErrorKind::Misconfigured, "the account is not active; look at the console"),
    (&["21606", "21212", "21210", "21603", "21213"], ErrorKind::Misconfigured, "`from` is not a number of this account that can do this"),
    (&["21608"], ErrorKind::Misconfigured, "a trial account reaches verified numbers only"),
    (&["21408", "21215"], ErrorKind::Misconfigured, "this country is not enabled for the account (geographic permissions)"),
    (&["21602", "21617", "21658", "21205", "21220"], ErrorKind::Rejected, "its content is not accepted"),
];

/// Codes that refuse the number (same page).
const NUMBER: [i64; 7] = [21211, 21614, 21612, 21610, 21201, 21604, 21217];

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
    if reply.is_success() && answer.sid.is_some() {
        return Ok(reply.receipt(answer.status.as_str().unwrap_or("created"), answer.sid));
    }
    let code = answer.code.to_string();
    if NUMBER.contains(&answer.code) {
        let text = format!("Twilio does not reach this number: {}", answer.message);
        return Err(reply.error(ErrorKind::Rejected, code, text).of_recipient());
    }
    let by_status = || kit::classify_status(reply, now).map_or(ErrorKind::Rejected, |error| error.kind);
    let (kind, advice) = kit::look_up(KNOWN, &code).unwrap_or_else(|| (by_status(), "see the code in Twilio's list of errors"));
    let kind = if let ErrorKind::RateLimited { .. } = kind { ErrorKind::RateLimited { retry_after: reply.retry_after(now) } } else { kind };
    Err(reply.error(kind, code, format!("Twilio: {advice} (\"{}\")", answer.message)))
}
