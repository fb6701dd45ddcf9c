//! Presses of buttons: what Feishu says of one, over the long connection or to the callback address, and what the person who pressed is shown.
//! <https://open.feishu.cn/document/feishu-cards/card-callback-communication>,
//! <https://open.feishu.cn/document/event-subscription-guide/event-subscriptions/event-subscription-configure-/encrypt-key-encryption-configuration-case>

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::kit;
use crate::channel::{Callback, Press, PressAnswer, PressCall, PressReply, Presser};
use crate::model::{PlatformIds, Secret};

/// The key of a button's value, which is an object.
pub(super) const VALUE: &str = "press";

/// What was signed longer ago was recorded, and is sent again. Clocks may differ by so much, too.
const WINDOW: Duration = Duration::from_secs(600);

/// The event of a pressed button.
const PRESSED: &str = "card.action.trigger";

#[derive(Default, Deserialize)]
struct Event {
    #[serde(default)]
    header: Header,
    #[serde(default)]
    event: Pressed,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Header {
    event_id: String,
    event_type: String,
    tenant_key: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pressed {
    operator: Operator,
    action: Action,
    context: Context,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Operator {
    tenant_key: String,
    open_id: String,
}

/// Where the card is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Context {
    open_message_id: Option<String>,
    open_chat_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Action {
    value: Value,
}

/// The press that an event is; `None` for any other event.
pub(super) fn press(event: Value) -> Option<Press> {
    let Event { header, event: Pressed { operator, action, context } } = serde_json::from_value(event).ok()?;
    let value = action.value[VALUE].as_str()?;
    if header.event_type != PRESSED || header.event_id.is_empty() || operator.open_id.is_empty() {
        return None;
    }
    // In a group that is open to other organisations their members see the buttons, too. No name comes with a press.
    let foreign = header.tenant_key.is_empty() || header.tenant_key != operator.tenant_key;
    let by = Presser { id: operator.open_id, name: String::new(), foreign };
    let message = PlatformIds::one("message_id", context.open_message_id).and("chat_id", context.open_chat_id);
    Some(Press { event_id: header.event_id.chars().take(200).collect(), value: value.to_owned(), message, by })
}

/// What the person who pressed is shown for some seconds; the card is edited as any message.
pub(super) fn toast(answer: &PressAnswer) -> Value {
    json!({ "toast": { "type": if answer.done { "success" } else { "warning" }, "content": answer.text } })
}

/// The same as an HTTP answer.
pub(super) fn reply(answer: &PressAnswer) -> PressReply {
    json_reply(&toast(answer))
}

fn json_reply(body: &Value) -> PressReply {
    PressReply { status: StatusCode::OK, content_type: "application/json", body: body.to_string() }
}

/// What shows that a callback is Feishu's.
pub(super) struct Proof {
    /// The application's Verification Token, which each callback carries.
    pub token: Secret,
    /// Its Encrypt Key, where it has one: each callback is encrypted, and signed with it.
    pub key: Option<Secret>,
}

impl Proof {
    /// Reads what came to the callback address, once it is shown to be Feishu's.
    pub(super) fn pressed(&self, call: &Callback<'_>) -> Result<PressCall, String> {
        let body: Value = serde_json::from_slice(call.body).map_err(|error| format!("the body is no JSON: {error}"))?;
        let body = match (&self.key, body["encrypt"].as_str()) {
            (None, None) => body,
            (None, Some(_)) => return Err("it is encrypted: copy the application's Encrypt Key into `feishu.encrypt_key`".into()),
            (Some(_), None) => return Err("it is not encrypted, although `feishu.encrypt_key` is set".into()),
            (Some(key), Some(text)) => {
                let plain = decrypt(key, text).and_then(|plain| serde_json::from_slice(&plain).ok());
                plain.ok_or("it is not encrypted with `feishu.encrypt_key`")?
            }
        };
        let is_check = body["type"] == "url_verification";
        // The check of a new address is not signed.
        if let (Some(key), false) = (&self.key, is_check) {
            verify(key, call)?;
        }
        let token = if is_check { &body["token"] } else { &body["header"]["token"] };
        if !kit::same(token.as_str().unwrap_or_default().as_bytes(), self.token.expose().as_bytes()) {
            return Err("its token is not `feishu.verification_token`".into());
        }
        if is_check {
            return Ok(PressCall::Answer(json_reply(&json!({ "challenge": body["challenge"] }))));
        }
        Ok(press(body).map_or_else(|| PressCall::Answer(json_reply(&json!({}))), PressCall::Press))
    }
}

fn verify(key: &Secret, call: &Callback<'_>) -> Result<(), String> {
    let header = |name: &str| header(call.headers, name);
    let timestamp = header("x-lark-request-timestamp")?;
    let signature = signature(timestamp, header("x-lark-request-nonce")?, key, call.body);
    if !kit::same(signature.as_bytes(), header("x-lark-signature")?.as_bytes()) {
        return Err("the signature is not that of `feishu.encrypt_key`".into());
    }
    let at = timestamp.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or("`x-lark-request-timestamp` is no time")?;
    if call.now.duration_since(at).unsigned_abs() > WINDOW {
        return Err(format!("it was signed more than {} minutes from now", WINDOW.as_secs() / 60));
    }
    Ok(())
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, String> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or_else(|| format!("the header `{name}` is missing"))
}

fn signature(timestamp: &str, nonce: &str, key: &Secret, body: &[u8]) -> String {
    let parts: [&[u8]; 4] = [timestamp.as_bytes(), nonce.as_bytes(), key.expose().as_bytes(), body];
    let sum = parts.into_iter().fold(Sha256::new(), Sha256::chain_update).finalize();
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// AES-256 in CBC mode, whose key is the hash of the Encrypt Key; the first block is the initial vector.
fn decrypt(key: &Secret, text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (iv, bytes) = bytes.split_first_chunk()?;
    kit::decrypt_cbc(&Sha256::digest(key.expose()).into(), iv, bytes.to_vec(), kit::BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCRYPTED: &str =
        "MDEyMzQ1Njc4OWFiY2RlZrO6Pul4XazX8ZpXEgwxdUGEa5O1mjdZtBjzG/e1OlhhXuBFKRlaR4I/PZuPJlkGnJMw/vmnFg0gJt0v2EOBXFuv7HfL3/pUZECmGW26gtE3";

    fn call<T>(headers: &HeaderMap, body: &str, then: impl FnOnce(&Callback<'_>) -> T) -> T {
        then(&Callback { url: "https://w.example.com/press/ops", headers, body: body.as_bytes(), now: Timestamp::UNIX_EPOCH })
    }

    /// The example of the vendor's page, and one of our own that its SDK decrypts.
    #[test]
    fn the_cipher_is_feishus() {
        let plain = |key: &str, text: &str| decrypt(&Secret::new(key), text).map(|plain| String::from_utf8(plain).unwrap());
        assert_eq!(plain("test key", "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=").as_deref(), Some("hello world"));
        let check = r#"{"challenge":"ajls384kdjx98XX","token":"verif-token","type":"url_verification"}"#;
        assert_eq!(plain("encrypt-key", ENCRYPTED).as_deref(), Some(check));
        for (key, text) in
            [("another", ENCRYPTED), ("encrypt-key", ""), ("encrypt-key", "MDEy"), ("encrypt-key", &ENCRYPTED[4..]), ("encrypt-key", "?")]
        {
            assert_eq!(plain(key, text), None, "{text}");
        }
    }

    #[test]
    fn the_signature_is_feishus() {
        let of = |body: &str| signature("1700000000", "nonce123", &Secret::new("encrypt-key"), body.as_bytes());
        assert_eq!(of(r#"{"encrypt":"abc"}"#), "309266d1b5fcf5ea481f9498a34e6f2cd221058bba48b1e466e385a56b613c84");
        assert_eq!(of(&format!(r#"{{"encrypt":"{ENCRYPTED}"}}"#)), "11d5100270c15fea374f5d38a028a09366ab56ed79626e061f5d474da41c65d5");
    }

    #[test]
    fn what_was_signed_long_ago_is_not_believed() {
        let key = Secret::new("encrypt-key");
        let signed = |timestamp: &str, now: i64| {
            let signature = signature(timestamp, "n", &key, b"{}");
            let pairs = [("x-lark-request-timestamp", timestamp), ("x-lark-request-nonce", "n"), ("x-lark-signature", signature.as_str())];
            let headers: HeaderMap = pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            verify(&key, &Callback { url: "", headers: &headers, body: b"{}", now: Timestamp::from_second(now).unwrap() })
        };
        for now in [1_700_000_000, 1_700_000_600, 1_699_999_400] {
            assert_eq!(signed("1700000000", now), Ok(()), "{now}");
        }
        for now in [1_700_000_601, 1_699_999_399, 1_800_000_000, 0] {
            assert_eq!(signed("1700000000", now), Err("it was signed more than 10 minutes from now".into()), "{now}");
        }
        for none in ["", "soon", "99999999999999999999"] {
            assert_eq!(signed(none, 1_700_000_000), Err("`x-lark-request-timestamp` is no time".into()), "{none}");
        }
    }

    #[test]
    fn the_check_of_an_address_is_answered_where_its_token_is_right() {
        let none = HeaderMap::new();
        let proof = |token: &str, key: Option<&str>| Proof { token: Secret::new(token), key: key.map(Secret::new) };
        let body = format!(r#"{{"encrypt":"{ENCRYPTED}"}}"#);
        let Ok(PressCall::Answer(answer)) = call(&none, &body, |call| proof("verif-token", Some("encrypt-key")).pressed(call)) else { panic!() };
        assert_eq!(answer.body, r#"{"challenge":"ajls384kdjx98XX"}"#);
        for (token, key) in [("other", Some("encrypt-key")), ("verif-token", Some("other")), ("verif-token", None)] {
            assert!(call(&none, &body, |call| proof(token, key).pressed(call)).is_err());
        }
        let plain = r#"{"challenge":"c","token":"verif-token","type":"url_verification"}"#;
        assert!(call(&none, plain, |call| proof("verif-token", None).pressed(call)).is_ok());
        assert!(call(&none, plain, |call| proof("verif-token", Some("encrypt-key")).pressed(call)).is_err(), "it must be encrypted");
        assert!(call(&none, plain, |call| proof("", None).pressed(call)).is_err());
    }

    #[test]
    fn only_a_press_of_our_buttons_is_one() {
        let event = |change: fn(&mut Value)| {
            let mut event = json!({
                "schema": "2.0",
                "header": { "event_id": "e1", "token": "t", "event_type": "card.action.trigger", "tenant_key": "k1", "app_id": "cli_1" },
                "event": { "operator": { "tenant_key": "k1", "open_id": "ou_1" }, "action": { "value": { "press": "ack.x.1" }, "tag": "button" },
                    "context": { "open_message_id": "om_1", "open_chat_id": "oc_1" } },
            });
            change(&mut event);
            press(event)
        };
        let by = Presser { id: "ou_1".into(), name: String::new(), foreign: false };
        let message = PlatformIds::one("message_id", "om_1".to_owned()).and("chat_id", "oc_1".to_owned());
        assert_eq!(event(|_| ()), Some(Press { event_id: "e1".into(), value: "ack.x.1".into(), message, by }));
        assert!(event(|e| e["event"]["context"] = json!({})).unwrap().message.is_empty());
        assert!(event(|e| e["event"]["operator"]["tenant_key"] = json!("k2")).unwrap().by.foreign);
        assert!(event(|e| e["header"]["tenant_key"] = json!(null)).is_none());
        assert!(event(|e| e["header"]["event_type"] = json!("im.message.receive_v1")).is_none());
        assert!(event(|e| e["event"]["action"]["value"] = json!("ack.x.1")).is_none());
        assert!(event(|e| e["event"]["operator"]["open_id"] = json!("")).is_none());
        assert!(event(|e| *e = json!({ "uuid": "old" })).is_none());
    }
}
