//! Generic webhook: the alerts as Alertmanager sends them (version 4), or a body of one's own template; signed as Standard Webhooks if wanted.
//! One attempt; no queue, no retry, no redirect. <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>,
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::{Attempts, BuildContext, Built, CellResult, Channel, Living, OnAmbiguous, Pace, Platform, PlatformConfig, Problem, SendContext, kit};
use crate::model::{
    Escape, FieldSpec, MessageStatus, OutletKey, Page, Payload, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError, Size,
};

/// Our own: more than any receiver takes.
const MAX_BODY: usize = 1 << 20;

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "webhook",
    title: "Webhook",
    about: "Alertmanager's JSON (version 4) or a templated body to any address; Standard Webhooks signature, guarded against internal addresses",
    docs: "https://prometheus.io/docs/alerting/latest/configuration/#webhook_config",
    fields: &[
        FieldSpec { name: "title", escape: Escape::None, required: false, single_line: true, template: include_str!("title.hbs") },
        FieldSpec { name: "text", escape: Escape::None, required: true, single_line: false, template: include_str!("text.hbs") },
    ],
    measure: &|page| {
        let payload = page.facts.payload.as_ref().map_or(0, |payload| payload.as_str().len());
        Size::bytes(payload + page.field("text").len() + page.field("title").len(), MAX_BODY)
    },
    limit: "1 MiB (our own)",
    pace: Pace { limits: &[], per_month: None, month_zone: 0, per_recipient: &[], source: "none; set `rate_limit` on the channel" },
    // A receiver of one's own, without a documented limit; `rate_limit` holds it back where it needs that.
    attempts: Attempts { concurrency: 64, ..Attempts::ONE },
    // The receiver knows a repeat by `webhook-id`.
    on_ambiguous: OnAmbiguous::Retry,
    living: Living::OFF,
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

/// `webhook: { url }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it is sent; may hold a secret, which is never shown.
    pub url: SecretSource,
    /// `POST` or `PUT`. Default `POST`.
    #[serde(default)]
    pub method: Verb,
    /// `alertmanager`: the alerts as Alertmanager sends them, with `title`, `text`, the `incident` (id, number, version, state), Grafana's own fields, and `extra`
    /// (what the sender says besides, by its own names; of a body that an input read all of it). `template`: the rendered `text` is the whole body
    /// (in a template of your own, `{{{json labels}}}` writes values as JSON). Default `alertmanager`.
    #[serde(default)]
    pub body: Body,
    /// Content type of a templated body. Default `application/json`.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Headers; values may be secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretSource>,
    /// `Authorization: Bearer` with this token.
    #[serde(default)]
    pub bearer: Option<SecretSource>,
    /// `Authorization: Basic` with this user name and password.
    #[serde(default)]
    pub basic: Option<Login>,
    /// Signing secrets (`whsec_...`) as of Standard Webhooks; several while one replaces another.
    #[serde(default)]
    pub signing_secrets: Vec<SecretSource>,
    /// Internal addresses that may be reached: networks (`10.0.0.0/8`), addresses, or host names. Public ones always may.
    #[serde(default)]
    pub allow_networks: Vec<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// A user name and a password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: SecretSource,
}

/// The method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum Verb {
    /// POST.
    #[default]
    #[serde(rename = "POST")]
    Post,
    /// PUT.
    #[serde(rename = "PUT")]
    Put,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// Alertmanager's JSON.
    #[default]
    Alertmanager,
    /// The rendered text.
    Template,
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = kit::check_secret("webhook.url", &self.url).into_iter().collect();
        if let Err(text) = kit::SsrfGuard::new(&self.allow_networks) {
            problems.push(Problem::new("webhook.allow_networks", text, "write networks (`10.0.0.0/8`), addresses, or host names"));
        }
        for name in self.headers.keys() {
            if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
                problems.push(Problem::new(format!("webhook.headers.{name}"), "it is not a header's name", "write letters, digits and hyphens"));
            }
        }
        problems.extend(self.headers.iter().filter_map(|(name, value)| kit::check_secret(&format!("webhook.headers.{name}"), value)));
        problems.extend(self.bearer.as_ref().and_then(|token| kit::check_secret("webhook.bearer", token)));
        problems.extend(self.basic.as_ref().and_then(|login| kit::check_secret("webhook.basic.password", &login.password)));
        if self.bearer.is_some() && self.basic.is_some() {
            problems.push(Problem::new("webhook.basic", "`bearer` is set too, and a request has one authorization", "keep one of the two"));
        }
        problems.extend(
            self.signing_secrets
                .iter()
                .enumerate()
                .filter_map(|(place, secret)| kit::check_secret(&format!("webhook.signing_secrets[{place}]"), secret)),
        );
        problems
    }

    fn recipients(&self) -> Vec<Recipient> {
        vec![Recipient::new("@webhook")]
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = self.check();
        let help = "write the whole address, `https://hooks.example.com/alerts`";
        let mut keep = |result: Result<Secret, Problem>| result.map_err(|problem| problems.push(problem)).ok();
        let url = keep(kit::read_address(cx, "webhook.url", &self.url, None, help));
        let bearer = self.bearer.as_ref().and_then(|source| keep(kit::read_secret(cx, "webhook.bearer", source)));
        let password = self.basic.as_ref().and_then(|login| keep(kit::read_secret(cx, "webhook.basic.password", &login.password)));
        let basic = self.basic.as_ref().zip(password).map(|(login, password)| (login.username.clone(), password));
        let mut headers = Vec::new();
        for (name, source) in &self.headers {
            headers.extend(keep(kit::read_secret(cx, &format!("webhook.headers.{name}"), source)).map(|value| (name.clone(), value)));
        }
        let mut keys = Vec::new();
        for (place, source) in self.signing_secrets.iter().enumerate() {
            let path = format!("webhook.signing_secrets[{place}]");
            keys.extend(keep(kit::read_secret(cx, &path, source).and_then(|secret| key(secret, cx.secrets.real(), &path))));
        }
        let guard = kit::SsrfGuard::new(&self.allow_networks).unwrap_or_default();
        if let Some(problem) = url.as_ref().and_then(|url| literal(url, &guard)) {
            problems.push(problem);
        }
        let http = kit::guarded(cx, "webhook", self.ca_file.as_deref(), Some(&guard)).map_err(|problem| problems.push(problem)).ok();
        let (Some(url), Some(http), true) = (url, http, problems.is_empty()) else { return Err(problems) };
        let secrets = kit::address_secrets(&url)
            .into_iter()
            .chain(bearer.clone())
            .chain(basic.iter().map(|(_, password)| password.clone()))
            .chain(headers.iter().map(|(_, value)| value.clone()));
        let driver = Driver {
            http: http.with_secrets(secrets.chain(keys.iter().cloned())),
            method: if self.method == Verb::Put { Method::PUT } else { Method::POST },
            body: self.body,
            content_type: self.content_type.clone().unwrap_or_else(|| "application/json".into()),
            headers,
            bearer,
            basic,
            keys,
            url: url.clone(),
        };
        Ok(Built { descriptor: None, channel: Arc::new(driver), outlet: OutletKey::new("webhook", url.expose()) })
    }
}

/// An address written as a number is never looked up, so it is checked here.
fn literal(url: &Secret, guard: &kit::SsrfGuard) -> Option<Problem> {
    let url = reqwest::Url::parse(url.expose()).ok()?;
    let host = url.host_str()?;
    let ip: IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let refused = guard.check(ip).err()?;
    Some(Problem::new("webhook.url", format!("{} is {}", refused.ip, refused.what), format!("if that is meant, write `allow_networks: [\"{ip}\"]`")))
}

/// A signing secret, which must be base64 behind `whsec_`.
fn key(secret: Secret, real: bool, path: &str) -> Result<Secret, Problem> {
    let text = secret.expose().strip_prefix("whsec_").unwrap_or(secret.expose());
    if real && STANDARD.decode(text).is_err() {
        return Err(Problem::new(path, "it is not a signing secret", "write `whsec_` and the key in base64, as the receiver shows it"));
    }
    Ok(secret)
}

struct Driver {
    url: Secret,
    http: kit::Http,
    method: Method,
    body: Body,
    content_type: String,
    headers: Vec<(String, Secret)>,
    bearer: Option<Secret>,
    basic: Option<(String, Secret)>,
    keys: Vec<Secret>,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        kit::all(to, self.attempt(page, cx).await)
    }

    fn wants_raw_payload(&self) -> bool {
        true
    }

    fn body(&self, page: &Page) -> Value {
        let content = self.content(page);
        serde_json::from_slice(&content).unwrap_or_else(|_| String::from_utf8_lossy(&content).into())
    }
}

impl Driver {
    async fn attempt(&self, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let body = self.content(page);
        let id = format!("msg_{}", cx.idempotency_key);
        let timestamp = cx.now.as_second().to_string();
        let signatures: Vec<String> = self.keys.iter().map(|key| sign(key, &id, &timestamp, &body)).collect();
        let mut call = self.http.request(self.method.clone(), self.url.expose()).body("application/json", body);
        call = call.header("content-type", &self.content_type).header("webhook-id", &id).header("webhook-timestamp", &timestamp);
        if !cx.traceparent.is_empty() {
            call = call.header("traceparent", &cx.traceparent);
        }
        if !signatures.is_empty() {
            call = call.header("webhook-signature", &signatures.join(" "));
        }
        call = self.headers.iter().fold(call, |call, (name, value)| call.header_secret(name, value));
        if let Some(token) = &self.bearer {
            call = call.bearer(token);
        }
        if let Some((username, password)) = &self.basic {
            call = call.basic(username, password);
        }
        let reply = call.send(cx.deadline).await?;
        match kit::classify_status(&reply, cx.now) {
            Some(error) => Err(error),
            None => Ok(reply.receipt(reply.status().to_string(), PlatformIds::default())),
        }
    }

    fn content(&self, page: &Page) -> Vec<u8> {
        let text = page.field("text").trim_end();
        match (self.body, &page.facts.payload) {
            (Body::Template, _) => text.as_bytes().to_vec(),
            (Body::Alertmanager, payload) => {
                let title = if page.field("title").is_empty() { page.facts.title.as_str() } else { page.field("title") };
                let own = serde_json::json!({ "title": title, "text": text }).to_string();
                // Alertmanager's two words: what nobody knows of was not resolved.
                let status = if page.facts.status == MessageStatus::Resolved { "resolved" } else { "firing" };
                let bare = || format!(r#"{{"version":"4","status":"{status}","alerts":[]}}"#);
                let bare = payload.is_none().then(bare);
                let alerts = payload.as_ref().map(Payload::as_str).or(bare.as_deref()).unwrap_or_default();
                // Two objects become one: neither is empty, and they have no name in common.
                format!("{},{}", own.strip_suffix('}').unwrap_or(&own), alerts.strip_prefix('{').unwrap_or(alerts)).into_bytes()
            }
        }
    }
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
fn sign(key: &Secret, id: &str, timestamp: &str, body: &[u8]) -> String {
    let text = key.expose().strip_prefix("whsec_").unwrap_or(key.expose());
    let key = STANDARD.decode(text).unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}
