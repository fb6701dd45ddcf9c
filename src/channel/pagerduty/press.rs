//! What people do about an incident at PagerDuty: v3 webhooks, signed. <https://developer.pagerduty.com/docs/webhooks-overview>, signatures:
//! <https://developer.pagerduty.com/docs/verifying-webhook-signatures>

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::Sha256;

use crate::channel::{Callback, Kept, PressCall, PressReply, Presser};
use crate::model::{Secret, Verb};

/// PagerDuty repeats for 48 hours (first page): what is older is a replay.
const WINDOW: Duration = Duration::from_secs(48 * 3600);

#[derive(Deserialize)]
struct Report {
    event: Event,
}

#[derive(Deserialize)]
struct Event {
    id: String,
    event_type: String,
    occurred_at: Timestamp,
    /// Nobody: a rule, a time limit, or an event of ours.
    #[serde(default)]
    agent: Option<Agent>,
    #[serde(default)]
    data: Data,
}

#[derive(Deserialize)]
struct Agent {
    #[serde(default)]
    id: String,
    #[serde(default)]
    summary: Option<String>,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize, Default)]
struct Data {
    #[serde(default)]
    incident_key: Option<String>,
}

/// Reads a request. Anything that PagerDuty signed and that is of no use is answered well: after three refusals it sends nothing for a day.
pub(super) fn read(call: &Callback<'_>, secret: &Secret) -> Result<PressCall, String> {
    let given = call.headers.get("x-pagerduty-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    // While the secret is replaced there is a signature with each of the two.
    if !given.split(',').filter_map(|one| one.trim().strip_prefix("v1=")).any(|signature| is_signed(call.body, signature, secret)) {
        return Err("it is not signed with `pagerduty.webhook_secret`".into());
    }
    let of_no_use = Ok(PressCall::Answer(PressReply::EMPTY));
    let Ok(Report { event }) = serde_json::from_slice::<Report>(call.body) else { return of_no_use };
    let verb = match event.event_type.as_str() {
        "incident.acknowledged" => Verb::Ack,
        "incident.unacknowledged" => Verb::Unack,
        "incident.resolved" => Verb::Close,
        _ => return of_no_use,
    };
    // What no person did is an echo of ours, or the end of a time limit there, which is no word of a person here.
    let Some(agent) = event.agent.filter(|agent| matches!(agent.kind.as_str(), "user_reference" | "user")) else { return of_no_use };
    let Some(key) = event.data.incident_key.filter(|key| !key.is_empty()) else { return of_no_use };
    if call.now.duration_since(event.occurred_at).unsigned_abs() > WINDOW {
        return Err("it happened more than 48 hours ago".into());
    }
    let by = Presser { id: agent.id, name: agent.summary.unwrap_or_default(), foreign: false };
    Ok(PressCall::Kept(Kept { event_id: event.id, verb, key, occurred_at: event.occurred_at.into(), by }))
}

fn is_signed(body: &[u8], signature: &str, secret: &Secret) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return false };
    mac.update(body);
    let (pairs, rest) = signature.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes.filter(|_| rest.is_empty()).is_some_and(|bytes| mac.verify_slice(&bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with another implementation; PagerDuty publishes none with its body and secret.
    #[test]
    fn one_of_several_signatures_proves_it() {
        let body = br#"{"event":{"id":"01ABC","event_type":"incident.acknowledged","data":{"id":"PGR0VU2","incident_key":"wf-7c1f"}}}"#;
        let good = "627ded192a97e86556da55957a95a68030ea1e179bb54326620b77d3e1031159".to_owned();
        let secret = Secret::new("pd-webhook-secret");
        let proves = |header: &str| {
            let headers = [("x-pagerduty-signature".parse().unwrap(), header.parse().unwrap())].into_iter().collect();
            read(&Callback { url: "", headers: &headers, body, now: Timestamp::UNIX_EPOCH }, &secret).is_ok()
        };
        let other = "0".repeat(64);
        for header in
            [format!("v1={good}"), format!("v1={other},v1={good}"), format!("v1={good}, v1={other}"), format!("v2=x,v1={}", good.to_uppercase())]
        {
            assert!(proves(&header), "{header}");
        }
        for header in [
            String::new(),
            good.clone(),
            format!("v2={good}"),
            format!("v1={other}"),
            format!("v1={}", &good[1..]),
            format!("v1={}0", &good[..63]),
            "v1=".into(),
            "v1=zz".into(),
        ] {
            assert!(!proves(&header), "{header}");
        }
    }
}
