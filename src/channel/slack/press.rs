//! Presses of buttons: what Slack sends of one, by Socket Mode or to the Request URL, and what the person who pressed is shown.
//! <https://docs.slack.dev/reference/interaction-payloads/block_actions-payload>, <https://docs.slack.dev/interactivity/handling-user-interaction>

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;

use super::body::{ACTION, entities};
use super::{is_of_slack, kit};
use crate::channel::{Callback, Press, PressAnswer, PressCall, PressReply, Presser};
use crate::model::{PlatformIds, Secret};

/// A signature that is older proves nothing: <https://docs.slack.dev/authentication/verifying-requests-from-slack>
const MAX_AGE: Duration = Duration::from_secs(300);

/// Slack cuts nothing here; the answer is one or two sentences.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
pub(super) struct Payload {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    user: User,
    team: Option<Team>,
    #[serde(default)]
    trigger_id: String,
    response_url: Option<String>,
    #[serde(default)]
    container: Container,
    #[serde(default)]
    actions: Vec<Action>,
}

/// Where the button is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    channel_id: Option<String>,
    message_ts: Option<String>,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    id: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    name: String,
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct Team {
    id: String,
}

#[derive(Deserialize)]
struct Action {
    #[serde(default)]
    action_id: String,
    #[serde(default)]
    value: String,
}

impl Payload {
    /// The press that it is, and where the answer to it goes; `None` for anything else. `event_id` is the envelope's; by HTTP there is none, and each
    /// press has a `trigger_id` of its own.
    pub(super) fn press(self, event_id: Option<String>) -> Option<(Press, Option<Secret>)> {
        let action = self.actions.into_iter().next().filter(|action| self.kind == "block_actions" && action.action_id.starts_with(ACTION))?;
        let event_id = event_id.unwrap_or(self.trigger_id);
        if self.user.id.is_empty() || event_id.is_empty() {
            return None;
        }
        // In a channel that is shared with another organisation its people see the buttons, too.
        let foreign = self.team.is_none_or(|team| self.user.team_id.as_ref() != Some(&team.id));
        let name = if self.user.name.is_empty() { self.user.username } else { self.user.name };
        let by = Presser { id: self.user.id, name, foreign };
        let message = match (self.container.channel_id, self.container.message_ts) {
            (Some(channel), Some(ts)) => PlatformIds::one("channel", channel).and("ts", ts),
            _ => PlatformIds::default(),
        };
        Some((Press { event_id: event_id.chars().take(200).collect(), value: action.value, message, by }, self.response_url.map(Secret::new)))
    }
}

/// Reads what came to the Request URL, once its signature shows that Slack sent it, just now.
pub(super) fn pressed(secret: &Secret, call: &Callback<'_>) -> Result<PressCall, String> {
    verify(secret, call)?;
    // Of another kind is what means nothing here: a shortcut, or Slack's check of the certificate.
    let press = payload(call.body).and_then(|payload| payload.press(None));
    Ok(press.map_or(PressCall::Answer(PressReply::EMPTY), |(press, _)| PressCall::Press(press)))
}

/// Where the answer to a press that came to the Request URL goes.
pub(super) fn response_url(call: &Callback<'_>) -> Option<Secret> {
    payload(call.body)?.response_url.map(Secret::new)
}

fn payload(body: &[u8]) -> Option<Payload> {
    let form = std::str::from_utf8(body).ok()?;
    let url = reqwest::Url::parse(&format!("http://localhost/?{form}")).ok()?;
    let (_, json) = url.query_pairs().find(|(name, _)| name == "payload")?;
    serde_json::from_str(&json).ok()
}

/// <https://docs.slack.dev/authentication/verifying-requests-from-slack>
fn verify(secret: &Secret, call: &Callback<'_>) -> Result<(), String> {
    let timestamp = header(call.headers, "x-slack-request-timestamp")?;
    let given = header(call.headers, "x-slack-signature")?;
    let second: i64 = timestamp.parse().map_err(|_| "`X-Slack-Request-Timestamp` is no number".to_owned())?;
    if call.now.as_second().abs_diff(second) > MAX_AGE.as_secs() {
        return Err(format!("it was signed more than {} s ago, or this machine's clock is wrong", MAX_AGE.as_secs()));
    }
    if !kit::same(signature(secret, timestamp, call.body).as_bytes(), given.as_bytes()) {
        return Err("the signature is not that of `slack.signing_secret`".into());
    }
    Ok(())
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, String> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or_else(|| format!("the header `{name}` is missing"))
}

fn signature(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("HMAC takes any key");
    for part in [b"v0:", timestamp.as_bytes(), b":", body] {
        mac.update(part);
    }
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v0={hex}")
}

/// Shows the person who pressed what came of it, once, to nobody else. A failure is logged: the message shows the new state anyway.
pub(super) async fn show(http: kit::Http, base: String, url: Secret, answer: PressAnswer) {
    if !is_trusted(url.expose(), &base) {
        tracing::warn!("the answer to a press of a Slack button was not shown: its response_url is not Slack's");
        return;
    }
    let body = json!({ "response_type": "ephemeral", "replace_original": false, "text": entities(&answer.text) });
    let failed = match http.post_json(url.expose(), &body).secret(&url).send(kit::within(ANSWER_TIMEOUT)).await {
        Ok(reply) if reply.is_success() => return,
        Ok(reply) => format!("HTTP {}: {}", reply.status(), reply.excerpt()),
        Err(error) => error.to_string(),
    };
    tracing::warn!(reason = failed, "the answer to a press of a Slack button was not shown");
}

/// Whether an address that came in a payload is Slack's own, or the server's that takes its place.
fn is_trusted(url: &str, base: &str) -> bool {
    let (Ok(url), Ok(base)) = (reqwest::Url::parse(url), reqwest::Url::parse(base)) else { return false };
    let same = url.scheme() == base.scheme() && url.host_str() == base.host_str() && url.port_or_known_default() == base.port_or_known_default();
    same || (url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(is_of_slack))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::kit::test_server::{build, rich};
    use crate::channel::slack::{Config, body};
    use crate::channel::{PlatformConfig as _, PressWay};
    use crate::model::{Button, MessageStatus, Verb};

    /// The example of <https://docs.slack.dev/authentication/verifying-requests-from-slack>.
    #[test]
    fn the_signature_is_slacks() {
        let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA\
                    &user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J\
                    %2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        let secret = Secret::new("8f742231b10e8888abcd99yyyzzz85a5");
        let expected = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        assert_eq!(signature(&secret, "1531420618", body.as_bytes()), expected);
    }

    #[test]
    fn answers_go_to_slack_only() {
        let base = "http://127.0.0.1:8080/prefix";
        for good in ["https://hooks.slack.com/actions/T0/1/x", "https://hooks.slack-gov.com/actions/x", "http://127.0.0.1:8080/actions/x"] {
            assert!(is_trusted(good, base), "{good}");
        }
        for bad in [
            "http://hooks.slack.com/actions/x",
            "https://hooks.slack.com:8443/x",
            "https://slack.com.evil.example/x",
            "https://evilslack.com/x",
            "https://127.0.0.1:8080/x",
            "http://127.0.0.1:8081/x",
            "https://hooks.slack.com@evil.example/x",
            "file:///etc/passwd",
            "",
        ] {
            assert!(!is_trusted(bad, base), "{bad}");
        }
    }

    #[test]
    fn only_a_press_of_our_buttons_by_a_known_person_is_one() {
        let of = |text: serde_json::Value| serde_json::from_value::<Payload>(text).unwrap().press(Some("e1".into()));
        let payload = |change: fn(&mut serde_json::Value)| {
            let mut payload = json!({
                "type": "block_actions", "team": { "id": "T1" }, "user": { "id": "U1", "username": "ann", "name": "Ann", "team_id": "T1" },
                "trigger_id": "t", "response_url": "https://hooks.slack.com/actions/x",
                "container": { "type": "message", "message_ts": "1.5", "channel_id": "C1", "is_ephemeral": false },
                "actions": [{ "action_id": "press-0", "value": "ack.x.1" }],
            });
            change(&mut payload);
            of(payload)
        };
        let (press, url) = payload(|_| ()).unwrap();
        assert_eq!((press.event_id.as_str(), press.value.as_str()), ("e1", "ack.x.1"));
        assert_eq!(press.by, Presser { id: "U1".into(), name: "Ann".into(), foreign: false });
        assert_eq!(press.message, PlatformIds::one("channel", "C1".to_owned()).and("ts", "1.5".to_owned()), "as in a receipt");
        assert!(payload(|p| p["container"] = json!({ "type": "view" })).unwrap().0.message.is_empty());
        assert_eq!(url.unwrap().expose(), "https://hooks.slack.com/actions/x");
        assert!(payload(|p| p["user"]["team_id"] = json!("T2")).unwrap().0.by.foreign);
        assert!(payload(|p| p["team"] = json!(null)).unwrap().0.by.foreign, "an installation in a whole organisation does not say which workspace");
        assert!(payload(|p| p["actions"][0]["action_id"] = json!("link-0")).is_none());
        assert!(payload(|p| p["type"] = json!("view_submission")).is_none());
        assert!(payload(|p| p["actions"] = json!([])).is_none());
        assert!(payload(|p| p["user"]["id"] = json!("")).is_none());
    }

    #[test]
    fn buttons_carry_their_value_and_are_colourful() {
        let button = |verb, label: &str| Button { verb, label: label.into(), value: format!("{}.x.1", verb.as_str()) };
        let mut page = rich(&[("text", "db-1")]);
        page.facts.incident.buttons = vec![button(Verb::Ack, "On it"), button(Verb::Snooze, "Snooze 2 h"), button(Verb::Close, &"x".repeat(100))];
        for plain in [false, true] {
            page.plain = plain;
            let message = serde_json::to_value(body::message(&page, false)).unwrap();
            let blocks = if plain { &message["blocks"] } else { &message["attachments"][0]["blocks"] };
            let row =
                blocks.as_array().unwrap().iter().find(|block| block["elements"][0]["value"] == "ack.x.1").unwrap_or_else(|| panic!("{message}"));
            let first = json!({ "type": "button", "action_id": "press-0", "text": { "type": "plain_text", "text": "On it" }, "value": "ack.x.1", "style": "primary" });
            assert_eq!((&row["type"], &row["elements"][0]), (&json!("actions"), &first));
            assert_eq!((&row["elements"][1]["style"], &row["elements"][2]["style"]), (&json!(null), &json!("danger")));
            assert_eq!(row["elements"][2]["text"]["text"].as_str().unwrap().chars().count(), 75);
            assert!(!serde_json::to_string(&body::message(&body::without_buttons(&page), false)).unwrap().contains("press-"));
        }
        // What is over is small print, unless something can be done about it.
        let mut over = page.clone();
        (over.plain, over.facts.status, over.facts.links) = (false, MessageStatus::Resolved, Vec::new());
        assert!(serde_json::to_string(&body::message(&over, false)).unwrap().contains("press-0"));
    }

    #[test]
    fn presses_come_one_way_and_not_to_a_webhook() {
        let paths = |yaml: &str| serde_yaml::from_str::<Config>(yaml).unwrap().check().into_iter().map(|problem| problem.path).collect::<Vec<_>>();
        assert_eq!(paths("{ token: t, channel: c, app_token: xapp-1 }"), [""; 0]);
        assert_eq!(paths("{ token: t, channel: c, signing_secret: s }"), [""; 0]);
        assert_eq!(paths("{ token: t, channel: c, app_token: xapp-1, signing_secret: s }"), ["slack.signing_secret"]);
        assert_eq!(paths("{ webhook: w, app_token: xapp-1 }"), ["slack.app_token"]);
        assert_eq!(paths("{ webhook: w, signing_secret: s }"), ["slack.signing_secret"]);
        let way = |more: &str| build::<Config>(&format!("{{ token: t, channel: c{more} }}"), "").map(|built| built.channel.press_way());
        assert!(matches!(way(""), Ok(None)));
        assert!(matches!(way(", app_token: xapp-S3CRET"), Ok(Some(PressWay::Listener(_)))));
        assert!(matches!(way(", signing_secret: S3CRET"), Ok(Some(PressWay::Callback))));
        let problems = way(", app_token: xoxb-S3CRET").err().unwrap();
        assert!(problems[0].path == "slack.app_token" && !format!("{problems:?}").contains("S3CRET"), "{problems:?}");
    }
}
