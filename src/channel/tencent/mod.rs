//! Tencent Cloud (腾讯云) SMS and voice: one account, requests signed with TC3-HMAC-SHA256. What both share.
//! <https://cloud.tencent.com/document/api/382/52072> (signature)

mod answer;
pub mod sms;
#[cfg(test)]
mod tests;
pub mod voice;

use std::path::PathBuf;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::kit;
use super::kit::pattern;
use super::kit::phone::{self, Use};
use super::{BuildContext, Problem, Sent};
use crate::model::{Page, Receipt, Secret, SecretSource, SendError};

/// The account, the application and its template.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// SecretId of an API key.
    pub secret_id: String,
    /// SecretKey of it.
    pub secret_key: SecretSource,
    /// `SmsSdkAppId` or `VoiceSdkAppid` of the application.
    pub app_id: String,
    /// For SMS to mainland numbers: the approved signature's text (签名内容).
    #[serde(default)]
    pub sign_name: Option<String>,
    /// Id of the approved template.
    pub template: String,
    /// The template's variables in order: texts in which `{text}`, `{title}`, `{name}`, `{place}`, `{summary}`, `{value}`, `{time}` (of the
    /// start, `03:12`), `{severity}`, `{status}` and `{label.NAME}` are filled in, of several alerts those of the first; `{place}`
    /// counts the others.
    #[serde(default)]
    pub params: Vec<String>,
    /// Longest value of a variable in characters; longer ones are cut with `…`. Default 6 for SMS (accounts since 2024); in a call what fits into
    /// the 250 of 350 characters that are left to all variables.
    #[serde(default)]
    pub max_param: Option<usize>,
    /// Numbers.
    pub to: Vec<String>,
    /// Messages or calls a month that the account may send. From four fifths on only what is critical is sent; when all are used, the fallback or the next step of
    /// the escalation takes over. Default: any number.
    #[serde(default)]
    pub per_month: Option<u32>,
    /// Region. Default `ap-guangzhou`.
    #[serde(default)]
    pub region: Option<String>,
    /// Another server. Default `https://sms.tencentcloudapi.com`, `https://vms.tencentcloudapi.com`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl Account {
    fn check(&self, key: &str) -> Vec<Problem> {
        let mut problems = phone::check_numbers(&format!("{key}.to"), &self.to, if key == "tencent_sms" { Use::Mobile } else { Use::Call });
        let texts = [("secret_id", &self.secret_id), ("app_id", &self.app_id), ("template", &self.template)];
        problems.extend(texts.iter().filter_map(|(name, text)| kit::check_text(&format!("{key}.{name}"), text, "copy it from the console")));
        problems.extend(kit::check_secret(&format!("{key}.secret_key"), &self.secret_key));
        let patterns = self.params.iter().enumerate();
        problems.extend(patterns.filter_map(|(place, pattern)| pattern::check_pattern(format!("{key}.params[{place}]"), pattern)));
        problems.extend(kit::check_quota(&format!("{key}.per_month"), self.per_month));
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base(&format!("{key}.api_base"), base)));
        problems
    }

    fn doubts(&self, key: &str, each: usize, sends_resolved: bool) -> Vec<Problem> {
        let patterns = self.params.iter().enumerate().map(|(place, pattern)| (format!("{key}.params[{place}]"), pattern));
        let mut doubts = pattern::doubt_patterns(patterns, self.max_param.unwrap_or(each));
        doubts.extend(pattern::doubt_end(self.params.iter(), key).filter(|_| sends_resolved));
        doubts
    }

    fn build(&self, cx: &BuildContext<'_>, key: &str, service: &'static str) -> Result<Line, Vec<Problem>> {
        let secret = kit::read_secret(cx, &format!("{key}.secret_key"), &self.secret_key).map_err(|problem| vec![problem])?;
        let http = kit::http(cx, key, self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let base = self.api_base.clone().unwrap_or_else(|| format!("https://{service}.tencentcloudapi.com"));
        Ok(Line { service, host: kit::host_header(&base), base, http: http.with_secrets([secret.clone()]), secret, account: self.clone() })
    }
}

/// The way to a service of an account.
struct Line {
    service: &'static str,
    base: String,
    host: String,
    http: kit::Http,
    secret: Secret,
    account: Account,
}

const CONTENT_TYPE: &str = "application/json; charset=utf-8";

impl Line {
    /// A result for this number: what is of its country is not of a channel that has others.
    fn of_number(&self, number: &str, result: Result<Receipt, SendError>) -> Result<Receipt, SendError> {
        let only = kit::only(&phone::recipients(&self.account.to));
        result.map_err(|error| kit::of_receiver(error, answer::NUMBER_CODES, only.is_some_and(|only| only.is(number))))
    }

    /// The template's variables for a page, at most `each` characters each and `all` together, and how many were cut; a direct call's own take
    /// their places (`1`, `2`, ...), as they are.
    fn params(&self, page: &Page, each: usize, all: usize, fill: fn(&str, &Page) -> String) -> (Vec<String>, usize) {
        let given = phone::given(page);
        let known = |place: usize| given.get(&(place + 1).to_string()).cloned();
        let patterns = &self.account.params;
        let mut params: Vec<String> = patterns.iter().map(|pattern| fill(pattern, page)).collect();
        let own = params.iter_mut().enumerate().filter(|(place, _)| known(*place).is_none()).map(|(_, param)| param);
        let cut = phone::fit(own, self.account.max_param.unwrap_or(each), all, |text| text.chars().count());
        for place in 0.. {
            match (known(place), params.get_mut(place)) {
                (Some(value), Some(param)) => *param = value,
                (Some(value), None) => params.push(value),
                (None, Some(_)) => {}
                (None, None) => break,
            }
        }
        (params, cut)
    }

    async fn ask(&self, action: &str, version: &str, body: &Value, at: Timestamp, deadline: tokio::time::Instant) -> Result<kit::Reply, SendError> {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let key = Key { id: &self.account.secret_id, secret: &self.secret };
        let authorization = sign(&key, self.service, &self.host, action, &body, at);
        self.http
            .post(kit::join(&self.base, "/"))
            .body(CONTENT_TYPE, body)
            .header("x-tc-action", action)
            .header("x-tc-version", version)
            .header("x-tc-timestamp", &at.as_second().to_string())
            .header("x-tc-region", self.account.region.as_deref().unwrap_or("ap-guangzhou"))
            .header_secret("authorization", &authorization)
            .send(deadline)
            .await
    }

    /// The same with one more try when the clocks differ, signed by the server's own.
    async fn order(&self, action: &str, version: &str, body: &Value, cx: &super::SendContext) -> Result<kit::Reply, SendError> {
        let reply = self.ask(action, version, body, cx.now, cx.deadline).await?;
        match (answer::is_clock_trouble(&reply), reply.date()) {
            (true, Some(date)) => self.ask(action, version, body, date, cx.deadline).await,
            _ => Ok(reply),
        }
    }
}

impl Line {
    /// A question about something sent, asked once more when the clocks differ.
    async fn inquire(&self, action: &str, version: &str, body: &Value, sent: &Sent<'_>) -> Result<kit::Reply, SendError> {
        let reply = self.ask(action, version, body, sent.now, sent.deadline).await?;
        match (answer::is_clock_trouble(&reply), reply.date()) {
            (true, Some(date)) => self.ask(action, version, body, date, sent.deadline).await,
            _ => Ok(reply),
        }
    }
}

struct Key<'a> {
    id: &'a str,
    secret: &'a Secret,
}

fn sign(key: &Key<'_>, service: &str, host: &str, action: &str, body: &[u8], at: Timestamp) -> Secret {
    let names = "content-type;host;x-tc-action";
    let headers = format!("content-type:{CONTENT_TYPE}\nhost:{host}\nx-tc-action:{}\n", action.to_lowercase());
    let canonical = format!("POST\n/\n\n{headers}\n{names}\n{}", hex(&Sha256::digest(body)));
    let date = at.strftime("%Y-%m-%d").to_string();
    let scope = format!("{date}/{service}/tc3_request");
    let to_sign = format!("TC3-HMAC-SHA256\n{}\n{scope}\n{}", at.as_second(), hex(&Sha256::digest(canonical.as_bytes())));
    let mut derived = format!("TC3{}", key.secret.expose()).into_bytes();
    for step in [date.as_str(), service, "tc3_request"] {
        derived = mac(&derived, step.as_bytes());
    }
    let signature = hex(&mac(&derived, to_sign.as_bytes()));
    Secret::new(format!("TC3-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", key.id))
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
