//! Alibaba Cloud (阿里云) SMS and voice: one account, requests signed with ACS3-HMAC-SHA256. What both share.
//! <https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature>

mod answer;
pub mod sms;
#[cfg(test)]
mod tests;
pub mod voice;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::kit;
use super::kit::pattern;
use super::kit::phone::{self, Use};
use super::{BuildContext, Problem, SendContext, Sent};
use crate::model::{AttemptId, Page, Secret, SecretSource, SendError};

const API_VERSION: &str = "2017-05-25";

/// The account and its template.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// AccessKey ID of a RAM user.
    pub access_key_id: String,
    /// AccessKey secret.
    pub access_key_secret: SecretSource,
    /// For SMS: the approved signature (签名).
    #[serde(default)]
    pub sign_name: Option<String>,
    /// The approved template: `SMS_...` for SMS, `TTS_...` for calls.
    pub template: String,
    /// The template's variables: name to text, in which `{text}`, `{title}`, `{name}`, `{place}`, `{summary}`, `{value}`, `{time}` (of the
    /// start, `03:12`), `{severity}`, `{status}` and `{label.NAME}` are filled in, of several alerts those of the first; `{place}`
    /// counts the others.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Longest value of a variable in characters; longer ones are cut with `…`. Default 35 for SMS; in a call what fits into the 250 characters
    /// of all variables.
    #[serde(default)]
    pub max_param: Option<usize>,
    /// For calls in dedicated mode: the number that is shown.
    #[serde(default)]
    pub show_number: Option<String>,
    /// For calls about an open incident: the approved template (`TTS_...`) that is read when the person presses 1, which acks the incident, or 9, which calls
    /// the next step of its escalation. The call's own template must say so; this one that the key was noted, for it is read before the ack is stored.
    #[serde(default)]
    pub ack_template: Option<String>,
    /// Numbers.
    pub to: Vec<String>,
    /// Messages or calls a month that the account may send. From four fifths on only what is critical is sent; when all are used, the fallback or the next step of
    /// the escalation takes over. Default: any number.
    #[serde(default)]
    pub per_month: Option<u32>,
    /// Another server (a regional endpoint). Default `https://dysmsapi.aliyuncs.com`, `https://dyvmsapi.aliyuncs.com`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// What the variables of a product's template may hold.
#[derive(Clone, Copy)]
struct VariableLimits {
    /// Characters of one value.
    each: usize,
    /// Characters of the variables' JSON.
    all: usize,
}

/// A page's variables.
struct Params {
    json: String,
    /// Characters that were left out so that they fit.
    cut: usize,
}

impl Account {
    fn check(&self, key: &str) -> Vec<Problem> {
        let mut problems = phone::check_numbers(&format!("{key}.to"), &self.to, if key == "aliyun_sms" { Use::Mobile } else { Use::Call });
        problems.extend(kit::check_text(&format!("{key}.access_key_id"), &self.access_key_id, "copy it from the RAM console"));
        problems.extend(kit::check_secret(&format!("{key}.access_key_secret"), &self.access_key_secret));
        problems.extend(kit::check_text(&format!("{key}.template"), &self.template, "write the approved template's code"));
        if self.ack_template.is_some() && self.show_number.is_none() {
            let help = "write the number of the account that calls";
            problems.push(Problem::new(format!("{key}.show_number"), "a call that waits for a key needs it", help));
        }
        problems.extend(
            self.ack_template.as_ref().and_then(|t| kit::check_text(&format!("{key}.ack_template"), t, "write the approved template's code")),
        );
        problems.extend(self.params.iter().filter_map(|(name, pattern)| pattern::check_pattern(format!("{key}.params.{name}"), pattern)));
        problems.extend(kit::check_quota(&format!("{key}.per_month"), self.per_month));
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base(&format!("{key}.api_base"), base)));
        problems
    }

    fn doubts(&self, key: &str, each: usize, sends_resolved: bool) -> Vec<Problem> {
        let patterns = self.params.iter().map(|(name, pattern)| (format!("{key}.params.{name}"), pattern));
        let mut doubts = pattern::doubt_patterns(patterns, self.max_param.unwrap_or(each));
        doubts.extend(pattern::doubt_end(self.params.values(), key).filter(|_| sends_resolved));
        doubts
    }

    fn build(&self, cx: &BuildContext<'_>, key: &str, base: &str) -> Result<Line, Vec<Problem>> {
        let secret = kit::read_secret(cx, &format!("{key}.access_key_secret"), &self.access_key_secret).map_err(|problem| vec![problem])?;
        let http = kit::http(cx, key, self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let base = self.api_base.clone().unwrap_or_else(|| base.to_owned());
        Ok(Line { host: kit::host_header(&base), base, http: http.with_secrets([secret.clone()]), secret, account: self.clone() })
    }
}

/// The way to an account.
struct Line {
    base: String,
    host: String,
    http: kit::Http,
    secret: Secret,
    account: Account,
}

impl Line {
    /// The template's variables for a page; a direct call's own come first, as they are.
    fn params(&self, page: &Page, limits: VariableLimits, fill: fn(&str, &Page) -> String) -> Params {
        let given = phone::given(page);
        let patterns = self.account.params.iter().filter(|(name, _)| !given.contains_key(*name));
        let mut own: BTreeMap<String, String> = patterns.map(|(name, pattern)| (name.clone(), fill(pattern, page))).collect();
        let quoted = |text: &str| serde_json::to_string(text).map_or(0, |json| json.chars().count());
        // `"name":"value",` for each, and the brackets.
        let names = own.keys().chain(given.keys()).map(|name| quoted(name) + 2).sum::<usize>() + 1;
        let taken = names + given.values().map(|value| quoted(value)).sum::<usize>();
        let cut = phone::fit(own.values_mut(), self.account.max_param.unwrap_or(limits.each), limits.all.saturating_sub(taken), quoted);
        own.extend(given);
        Params { json: serde_json::to_string(&own).unwrap_or_default(), cut }
    }

    /// The names of the variables that the configuration fills: `name`, `severity`.
    fn variables(&self) -> String {
        self.account.params.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }

    /// One signed request. All parameters are in the query; the body is empty.
    async fn ask(
        &self,
        action: &str,
        params: &[(&str, &str)],
        at: Timestamp,
        deadline: tokio::time::Instant,
        idempotent: bool,
    ) -> Result<kit::Reply, SendError> {
        let nonce = AttemptId::new().to_string();
        let signed = sign(&self.account.access_key_id, &self.secret, &self.host, action, params, at, &nonce);
        let call = self.http.post(format!("{}/?{}", self.base.trim_end_matches('/'), signed.query));
        let call = if idempotent { call.idempotent() } else { call };
        let call = signed.headers.iter().fold(call, |call, (name, value)| call.header(name, value));
        call.header_secret("authorization", &signed.authorization).send(deadline).await
    }

    /// The same with one more try when the clocks differ, signed by the server's own.
    async fn order(&self, action: &str, params: &[(&str, &str)], cx: &SendContext) -> Result<kit::Reply, SendError> {
        let now = tokio::time::Instant::now();
        // A part of the time is kept for asking what became of it.
        let deadline = now + cx.deadline.saturating_duration_since(now) * 3 / 4;
        let reply = self.ask(action, params, cx.now, deadline, false).await?;
        match (answer::is_clock_trouble(&reply), reply.date()) {
            (true, Some(date)) => self.ask(action, params, date, deadline, false).await,
            _ => Ok(reply),
        }
    }
}

impl Line {
    /// A question about something sent, asked once more when the clocks differ.
    async fn inquire(&self, action: &str, params: &[(&str, &str)], sent: &Sent<'_>) -> Result<kit::Reply, SendError> {
        let reply = self.ask(action, params, sent.now, sent.deadline, true).await?;
        match (answer::is_clock_trouble(&reply), reply.date()) {
            (true, Some(date)) => self.ask(action, params, date, sent.deadline, true).await,
            _ => Ok(reply),
        }
    }
}

/// China has one time zone and no summer time: its days begin at 16:00 UTC.
const CHINA_UTC_OFFSET: Duration = Duration::from_secs(8 * 3600);

struct Signed {
    query: String,
    headers: Vec<(&'static str, String)>,
    authorization: Secret,
}

fn sign(id: &str, secret: &Secret, host: &str, action: &str, params: &[(&str, &str)], at: Timestamp, nonce: &str) -> Signed {
    let mut pairs: Vec<String> = params.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.sort();
    let query = pairs.join("&");
    let date = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let empty = hex(&Sha256::digest(b""));
    let headers = vec![
        ("x-acs-action", action.to_owned()),
        ("x-acs-content-sha256", empty.clone()),
        ("x-acs-date", date),
        ("x-acs-signature-nonce", nonce.to_owned()),
        ("x-acs-version", API_VERSION.to_owned()),
    ];
    let lines: String =
        std::iter::once(("host", host)).chain(headers.iter().map(|(n, v)| (*n, v.as_str()))).map(|(n, v)| format!("{n}:{v}\n")).collect();
    let names = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version";
    let canonical = format!("POST\n/\n{query}\n{lines}\n{names}\n{empty}");
    let to_sign = format!("ACS3-HMAC-SHA256\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(to_sign.as_bytes());
    let signature = hex(&mac.finalize().into_bytes());
    let authorization = Secret::new(format!("ACS3-HMAC-SHA256 Credential={id},SignedHeaders={names},Signature={signature}"));
    Signed { query, headers, authorization }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 3986: everything but letters, digits and `-_.~`.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
