//! How an application of Feishu learns of presses: over the long connection (protobuf frames, one connection of all gets each press, no repetition), or
//! by callbacks that are encrypted and signed. Frames as in the vendor's SDKs,
//! <https://github.com/larksuite/oapi-sdk-go/blob/v3_main/ws/pbbp2.proto>; callbacks as in
//! <https://open.feishu.cn/document/feishu-cards/card-callback-communication>.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use prost::Message;
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::crypt::{b64, encrypt_cbc, sha256, sha256_hex, unb64};
use super::feishu::Feishu;
use super::server::forget_when_full;
use super::socket::{Heard, Line};

/// Connections of an application.
const MAX_CONNECTIONS: usize = 50;
/// A press is answered within this time.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// `pbbp2.Frame`.
#[derive(Clone, PartialEq, Message)]
pub struct Frame {
    /// `SeqID`.
    #[prost(uint64, required, tag = "1")]
    pub seq_id: u64,
    /// `LogID`.
    #[prost(uint64, required, tag = "2")]
    pub log_id: u64,
    /// Of the address of the connection.
    #[prost(int32, required, tag = "3")]
    pub service: i32,
    /// 0: control, 1: data.
    #[prost(int32, required, tag = "4")]
    pub method: i32,
    /// `type`, `message_id` and others.
    #[prost(message, repeated, tag = "5")]
    pub headers: Vec<Header>,
    /// Not used.
    #[prost(string, optional, tag = "6")]
    pub payload_encoding: Option<String>,
    /// Not used.
    #[prost(string, optional, tag = "7")]
    pub payload_type: Option<String>,
    /// JSON.
    #[prost(bytes = "vec", optional, tag = "8")]
    pub payload: Option<Vec<u8>>,
    /// `LogIDNew`.
    #[prost(string, optional, tag = "9")]
    pub log_id_new: Option<String>,
}

/// `pbbp2.Header`.
#[derive(Clone, PartialEq, Message)]
pub struct Header {
    /// The name.
    #[prost(string, required, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, required, tag = "2")]
    pub value: String,
}

impl Frame {
    fn header(&self, key: &str) -> &str {
        self.headers.iter().find(|header| header.key == key).map_or("", |header| &header.value)
    }
}

fn headers(pairs: &[(&str, &str)]) -> Vec<Header> {
    pairs.iter().map(|(key, value)| Header { key: (*key).to_owned(), value: (*value).to_owned() }).collect()
}

/// What became of a press.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    Open,
    /// The person was shown this toast (type, text).
    Toast(String, String),
    /// It was answered, without a toast.
    Done,
    /// The person was shown an error.
    Failed,
}

/// Who presses.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    /// The open id.
    pub open_id: &'static str,
    /// The organisation; `2c9ba2f7` is the application's.
    pub tenant: &'static str,
}

/// A member of the organisation.
pub const ANNA: Operator = Operator { open_id: "ou_anna", tenant: "2c9ba2f7" };
/// A member of another one, in a group that is open to it.
pub const GUEST: Operator = Operator { open_id: "ou_guest", tenant: "99999999" };

/// The callbacks of the one application.
pub struct Callbacks {
    /// The Verification Token.
    pub token: String,
    /// The Encrypt Key, where it is set.
    pub key: Option<String>,
    /// Seconds between pings, as the endpoint says.
    pub ping_interval: u64,
    /// What an answer to a ping says instead.
    pub new_interval: Option<u64>,
    /// Whether pings are answered.
    pub answers_pings: bool,
    /// The connections.
    pub lines: Vec<Line>,
    /// What was wrong with what came.
    pub refused: Vec<String>,
    /// Pings so far.
    pub pings: u64,
    /// What became of each press, by the id of its frames.
    pub presses: HashMap<String, Outcome>,
    /// The buttons of cards, by message.
    pub(super) buttons: HashMap<String, Vec<Value>>,
    tickets: Vec<String>,
    sent: HashMap<String, (u64, Instant)>,
    counter: u64,
}

impl Default for Callbacks {
    fn default() -> Self {
        Self {
            token: "fake-verification-token".into(),
            key: None,
            ping_interval: 120,
            new_interval: None,
            answers_pings: true,
            lines: Vec::new(),
            refused: Vec::new(),
            pings: 0,
            presses: HashMap::new(),
            buttons: HashMap::new(),
            tickets: Vec::new(),
            sent: HashMap::new(),
            counter: 0,
        }
    }
}

/// The buttons of a card whose press calls back.
pub(super) fn buttons(card: &Value) -> Result<Vec<Value>, String> {
    let rows = card["elements"].as_array().into_iter().flatten().filter(|element| element["tag"] == "action");
    let found: Vec<Value> = rows.filter_map(|row| row["actions"].as_array()).flatten().filter(|one| !one["value"].is_null()).cloned().collect();
    if found.iter().any(|button| !button["value"].is_object()) {
        return Err("value is not an object".into());
    }
    Ok(found)
}

impl Callbacks {
    /// The connections that are open.
    pub fn open_lines(&self) -> Vec<Line> {
        self.lines.iter().filter(|line| line.is_open()).cloned().collect()
    }

    /// The buttons that a card has now.
    pub fn buttons_of(&self, message: &str) -> &[Value] {
        self.buttons.get(message).map_or(&[], Vec::as_slice)
    }

    pub(super) fn keep(&mut self, message: &str, buttons: Vec<Value>) {
        forget_when_full(&mut self.buttons);
        self.buttons.insert(message.to_owned(), buttons);
    }

    /// Sends an event over this connection, in so many parts; the id of its frames.
    pub fn send(&mut self, line: &Line, event: &Value, parts: usize) -> String {
        self.counter += 1;
        let id = format!("7{:018}", self.counter);
        let payload = event.to_string().into_bytes();
        let chunks: Vec<&[u8]> = payload.chunks(payload.len().div_ceil(parts)).collect();
        // The parts come in any order.
        for (seq, chunk) in chunks.iter().enumerate().rev() {
            let pairs = [("type", "event"), ("message_id", &id), ("sum", &chunks.len().to_string()), ("seq", &seq.to_string()), ("trace_id", "t-1")];
            let frame = Frame {
                seq_id: self.counter,
                log_id: 7,
                service: 33_554_678,
                method: 1,
                headers: headers(&pairs),
                payload: Some(chunk.to_vec()),
                log_id_new: Some("20261129".into()),
                ..Frame::default()
            };
            line.say_bytes(frame.encode_to_vec());
        }
        self.sent.insert(id.clone(), (line.id, Instant::now()));
        self.presses.insert(id.clone(), Outcome::Open);
        id
    }

    fn heard(&mut self, line: u64, bytes: &[u8]) {
        let Ok(frame) = Frame::decode(bytes) else { return self.refused.push("no frame".into()) };
        match (frame.method, frame.header("type")) {
            _ if frame.service != 33_554_678 => self.refused.push(format!("service {}", frame.service)),
            (0, "ping") => {
                self.pings += 1;
                let Some(line) = self.lines.iter().find(|one| one.id == line).filter(|_| self.answers_pings) else { return };
                let settings = json!({ "ReconnectCount": -1, "ReconnectInterval": 120, "ReconnectNonce": 30, "PingInterval": self.new_interval });
                let payload = self.new_interval.map(|_| settings.to_string().into_bytes());
                let pong = Frame { service: frame.service, method: 0, headers: headers(&[("type", "pong")]), payload, ..Frame::default() };
                line.say_bytes(pong.encode_to_vec());
            }
            (1, "event") => {
                let id = frame.header("message_id").to_owned();
                let Some((over, at)) = self.sent.get(&id).copied() else { return self.refused.push("an answer to nothing".into()) };
                if over != line
                    || frame.header("biz_rt").parse::<u64>().is_err()
                    || frame.log_id != 7
                    || frame.log_id_new.as_deref() != Some("20261129")
                {
                    return self.refused.push(format!("not the same frame: {frame:?}"));
                }
                let answer: Value = serde_json::from_slice(frame.payload.as_deref().unwrap_or_default()).unwrap_or_default();
                let outcome = self.outcome(&answer).filter(|_| at.elapsed() <= ANSWERED_WITHIN).unwrap_or(Outcome::Failed);
                if self.presses.insert(id, outcome) != Some(Outcome::Open) {
                    self.refused.push("answered twice".into());
                }
            }
            other => self.refused.push(format!("{other:?}")),
        }
    }

    fn outcome(&mut self, answer: &Value) -> Option<Outcome> {
        if answer["code"] != 200 {
            return None;
        }
        let Some(data) = answer["data"].as_str() else { return Some(Outcome::Done) };
        let data: Value = serde_json::from_slice(&unb64(data)?).ok()?;
        self.shown(&data)
    }

    /// What the person is shown of an answer.
    pub fn shown(&self, answer: &Value) -> Option<Outcome> {
        let Some(toast) = answer.get("toast") else { return answer.as_object().map(|_| Outcome::Done) };
        let (kind, text) = (toast["type"].as_str()?, toast["content"].as_str()?);
        ["info", "success", "warning", "error"].contains(&kind).then(|| Outcome::Toast(kind.to_owned(), text.to_owned()))
    }

    /// A callback as it is posted: encrypted and signed where there is a key.
    pub fn posted(&self, event: &Value, second: i64) -> (Vec<(&'static str, String)>, String) {
        let Some(key) = &self.key else { return (vec![("content-type", "application/json".into())], event.to_string()) };
        let iv = *b"fake-init-vector";
        let encrypted = encrypt_cbc(&sha256(key.as_bytes()), &iv, event.to_string().as_bytes());
        let body = json!({ "encrypt": b64(&[iv.to_vec(), encrypted].concat()) }).to_string();
        let signature = sha256_hex(format!("{second}fake-nonce{key}{body}").as_bytes());
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-lark-request-timestamp", second.to_string()),
            ("x-lark-request-nonce", "fake-nonce".to_owned()),
            ("x-lark-signature", signature),
        ];
        (headers, body)
    }
}

impl Feishu {
    /// The address of a connection.
    pub(super) fn endpoint(&mut self, call: &Call) -> Answer {
        let fail = |code: i64, msg: &str| Answer::json(200, &json!({ "code": code, "msg": msg })).refused(code);
        let body = call.object().unwrap_or_default();
        let (Some(id), Some(secret)) = (body["AppID"].as_str(), body["AppSecret"].as_str()) else { return fail(1_000_040_344, "no credential") };
        if call.method != "POST" || self.apps.get(id).is_none_or(|known| known != secret) {
            return fail(514, "auth failed");
        }
        self.callbacks.counter += 1;
        let ticket = format!("fake-ticket-{}", self.callbacks.counter);
        self.callbacks.tickets.push(ticket.clone());
        let host = call.header("host").unwrap_or_default();
        let url = format!("ws://{host}/ws/v2?fpid=493&aid=552564&device_id=7012&access_key=fake-access-key&service_id=33554678&ticket={ticket}");
        let config = json!({ "ReconnectCount": -1, "ReconnectInterval": 120, "ReconnectNonce": 30, "PingInterval": self.callbacks.ping_interval });
        Answer::json(200, &json!({ "code": 0, "msg": "success", "data": { "URL": url, "ClientConfig": config } }))
    }

    pub(super) fn open_line(&mut self, call: &Call, line: Line) -> Result<(), Box<Answer>> {
        let refuse = |status: &str, code: &str, msg: &str| {
            Answer::text(400, "").header("handshake-status", status).header("handshake-autherrcode", code).header("handshake-msg", msg).refused(code)
        };
        let callbacks = &mut self.callbacks;
        let ticket = call.param("ticket").and_then(|ticket| callbacks.tickets.iter().position(|known| known == ticket));
        let Some(ticket) = ticket else { return Err(refuse("514", "1000040346", "invalid ticket").into()) };
        callbacks.tickets.remove(ticket);
        callbacks.lines.retain(Line::is_open);
        if callbacks.lines.len() >= MAX_CONNECTIONS {
            return Err(refuse("514", "1000040350", "the number of connections exceeded the limit").into());
        }
        callbacks.lines.push(line);
        Ok(())
    }

    pub(super) fn heard_line(&mut self, line: u64, heard: &Heard) {
        match heard {
            Heard::Bytes(bytes) => self.callbacks.heard(line, bytes),
            Heard::Text(_) => self.callbacks.refused.push("text".into()),
            Heard::End => self.callbacks.lines.retain(|one| one.id != line),
        }
    }

    /// The event of a press of the button with this text under a message.
    pub fn event(&mut self, message: &str, label: &str, by: Operator) -> Value {
        let buttons = self.callbacks.buttons.get(message).expect("a card with buttons");
        let button = buttons.iter().find(|button| button["text"]["content"] == label).unwrap_or_else(|| panic!("no {label}: {buttons:?}")).clone();
        self.callbacks.counter += 1;
        let header = json!({
            "event_id": format!("f7984f25108f8137722bb63c{:08}", self.callbacks.counter), "token": self.callbacks.token, "create_time": "1603977298000000",
            "event_type": "card.action.trigger", "tenant_key": "2c9ba2f7", "app_id": "cli_1",
        });
        json!({
            "schema": "2.0",
            "header": header,
            "event": {
                "operator": { "tenant_key": by.tenant, "user_id": "867", "open_id": by.open_id, "union_id": "on_1" },
                "token": "c-fake-card-token",
                "action": { "value": button["value"], "tag": "button", "timezone": "Asia/Shanghai" },
                "host": "im_message",
                "context": { "open_message_id": message, "open_chat_id": "oc_1" },
            },
        })
    }

    /// Somebody presses a button, and one of the connections, by turns, learns of it: the id of the frames.
    pub fn press(&mut self, message: &str, label: &str, by: Operator) -> String {
        let event = self.event(message, label, by);
        let lines = self.callbacks.open_lines();
        let line = lines[self.callbacks.counter as usize % lines.len()].clone();
        self.callbacks.send(&line, &event, 1)
    }
}
