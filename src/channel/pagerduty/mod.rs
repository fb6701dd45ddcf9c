//! PagerDuty, Events API v2: a firing group triggers an alert, its end resolves it. One attempt; no queue, no retry.
//! <https://developer.pagerduty.com/docs/events-api-v2-overview>

mod body;
mod press;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::kit::CodeRule;
use super::{
    Attempts, BuildContext, Built, Callback, CellResult, Channel, Limit, Living, OnAmbiguous, Pace, Platform, PlatformConfig, PressCall, PressWay,
    Problem, SendContext, kit,
};
use crate::model::{ErrorKind, Escape, FieldSpec, OutletKey, Page, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "pagerduty",
    title: "PagerDuty",
    about: "Events API v2; one alert per group, triggered and resolved by a stable key",
    docs: "https://developer.pagerduty.com/docs/events-api-v2-overview",
    fields: &[
        FieldSpec { name: "title", escape: Escape::None, required: true, single_line: true, template: include_str!("title.hbs") },
        FieldSpec { name: "text", escape: Escape::None, required: false, single_line: false, template: include_str!("text.hbs") },
    ],
    measure: &body::measure,
    limit: "512 KB (https://developer.pagerduty.com/docs/events-api-v2-overview), 1,024 characters of summary; \
            the text of the details is kept under 32 KB, labels and annotations under 24 KB each",
    pace: Pace {
        limits: &[Limit { count: 120, window: Duration::from_secs(60) }],
        per_month: None,
        month_zone: 0,
        per_recipient: &[],
        source: "https://support.pagerduty.com/main/docs/rate-limits: Events API limits are per integration key and answered with 429; \
                 120 events a minute were documented for a key",
    },
    attempts: Attempts { concurrency: 4, ..Attempts::ONE },
    // The key makes a repeat update the same alert.
    on_ambiguous: OnAmbiguous::Retry,
    living: Living::OFF,
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const API_BASE: &str = "https://events.pagerduty.com";

/// `pagerduty: { routing_key }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Integration key of an Events API v2 integration (32 characters).
    pub routing_key: SecretSource,
    /// Secret of a v3 webhook subscription that posts to `<external_url>/press/<channel>`: then what people do about an incident there holds here, too.
    #[serde(default)]
    pub webhook_secret: Option<SecretSource>,
    /// Shown as the client that sent it. Default `Watchfire`.
    #[serde(default)]
    pub client: Option<String>,
    /// Another server. Default `https://events.pagerduty.com`; in the EU `https://events.eu.pagerduty.com`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let base = self.api_base.as_ref().and_then(|base| kit::check_base("pagerduty.api_base", base));
        let webhook = self.webhook_secret.as_ref().and_then(|secret| kit::check_secret("pagerduty.webhook_secret", secret));
        kit::check_secret("pagerduty.routing_key", &self.routing_key).into_iter().chain(webhook).chain(base).collect()
    }

    fn recipients(&self) -> Vec<Recipient> {
        vec![Recipient::new("@service")]
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let key = kit::read_secret(cx, "pagerduty.routing_key", &self.routing_key).map_err(|problem| vec![problem])?;
        if cx.secrets.real() && key.expose().trim().len() != 32 {
            let help = "copy it from the service's page, Integrations, Events API V2; a REST API key does not work here";
            return Err(vec![Problem::new("pagerduty.routing_key", "it is not an integration key, which has 32 characters", help)]);
        }
        let webhook = self.webhook_secret.as_ref().map(|secret| kit::read_secret(cx, "pagerduty.webhook_secret", secret)).transpose();
        let webhook = webhook.map_err(|problem| vec![problem])?;
        let http = kit::http(cx, "pagerduty", self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let outlet = OutletKey::new("pagerduty", key.expose());
        let driver = Driver {
            url: kit::join(self.api_base.as_deref().unwrap_or(API_BASE), "/v2/enqueue"),
            http: http.with_secrets([key.clone()]),
            key,
            webhook,
            client: self.client.clone().unwrap_or_else(|| "Watchfire".into()),
        };
        Ok(Built { descriptor: None, channel: Arc::new(driver), outlet })
    }
}

struct Driver {
    url: String,
    http: kit::Http,
    key: Secret,
    webhook: Option<Secret>,
    client: String,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        kit::all(to, self.attempt(page, cx).await)
    }

    /// An ack, the end by hand, and the end of what goes on as others. The API has no way back to triggered: <https://developer.pagerduty.com/docs/send-alert-event>
    async fn update(&self, ids: &PlatformIds, page: &Page, _to: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        let Some(event) = body::act(page, self.key.expose().trim(), kit::id(ids, "dedup_key")?) else {
            return Ok(Receipt { ids: ids.clone(), code: "nothing to report".into(), ..Receipt::default() });
        };
        let reply = self.http.post_json(&self.url, &event).idempotent().send(cx.deadline).await;
        kit::edited(reply.and_then(|reply| of(&reply, cx.now)), ids, |_| false)
    }

    fn body(&self, page: &Page) -> Value {
        body::event(page, "", &self.client, "")
    }

    fn press_way(&self) -> Option<PressWay> {
        self.webhook.as_ref().map(|_| PressWay::Callback)
    }

    fn pressed(&self, call: &Callback<'_>) -> Result<PressCall, String> {
        press::read(call, self.webhook.as_ref().ok_or("this channel has no `pagerduty.webhook_secret`")?)
    }

    fn keeps_incidents(&self) -> bool {
        true
    }

    fn wants_raw_payload(&self) -> bool {
        true
    }
}

impl Driver {
    async fn attempt(&self, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let event = body::event(page, self.key.expose().trim(), &self.client, &cx.idempotency_key);
        of(&self.http.post_json(&self.url, &event).send(cx.deadline).await?, cx.now)
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default, deserialize_with = "texts")]
    errors: Vec<String>,
    #[serde(default)]
    dedup_key: Option<String>,
}

/// The errors, which are a list of texts, and once were one text.
fn texts<'de, D: serde::Deserializer<'de>>(read: D) -> Result<Vec<String>, D::Error> {
    let text = |value: Value| if let Value::String(text) = value { text } else { value.to_string() };
    Ok(match Value::deserialize(read)? {
        Value::Null => Vec::new(),
        Value::Array(items) => items.into_iter().map(text).collect(),
        other => vec![text(other)],
    })
}

/// What PagerDuty says in words, beside a status that is 400 for all of it.
const ERROR_WORDS: &[CodeRule] = &[
    (
        &["throttle exceeded", "arriving too quickly", "rate limit", "limit exceeded"],
        ErrorKind::RateLimited { retry_after: None },
        "too many events came too fast",
    ),
    (
        &["routing_key", "routing key", "service_key", "service key", "integration key", "integration_key", "invalid key"],
        ErrorKind::Misconfigured,
        "the integration key is not accepted; check `routing_key`, and whether the integration was removed",
    ),
];

/// Answers: <https://developer.pagerduty.com/docs/send-alert-event#response-codes--retry-logic>
fn of(reply: &kit::Reply, now: Timestamp) -> Result<Receipt, SendError> {
    let answer: Answer = kit::parse(reply, now)?;
    if reply.is_success() && answer.status == "success" {
        return Ok(reply.receipt("success", PlatformIds::one("dedup_key", answer.dedup_key)));
    }
    let said =
        [answer.status.clone(), answer.message].into_iter().chain(answer.errors).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
    let known = kit::classify_words(ERROR_WORDS, &said);
    if known.is_none() && reply.is_success() && said.is_empty() {
        return Err(kit::unclear(reply));
    }
    let kind = kit::weigh(reply, now, known.map(|(kind, _)| kind));
    let by_status = || kit::classify_status(reply, now).map_or("it did not take the event".into(), |error| error.summary);
    let advice = known.map_or_else(by_status, |(_, advice)| advice.to_owned());
    Err(reply.error(kind, format!("HTTP {}", reply.status()), format!("PagerDuty: {advice} (\"{said}\")")))
}
