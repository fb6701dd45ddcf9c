//! DingTalk's Stream mode: a ticket for one connection, and frames in which data are JSON in a string.
//! <https://open.dingtalk.com/document/orgapp/stream>, frames as in <https://github.com/open-dingtalk/dingtalk-stream-sdk-go>.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::socket::{Heard, Line};

/// A ticket opens a connection within this time; the true one is not documented.
const TICKET_LIFE: Duration = Duration::from_secs(90);
/// What presses are subscribed to as.
const PRESSES: &str = "/v1.0/card/instances/callback";

/// Something that was sent and is to be answered.
#[derive(Debug, Clone)]
struct Sent {
    frame: Value,
    line: Option<u64>,
}

/// The connections of an application.
#[derive(Debug, Default)]
pub struct Stream {
    /// What a client did that the gateway does not take.
    pub faults: Vec<String>,
    /// Answers to presses, by the id of their message, in order.
    pub answers: Vec<(String, Value)>,
    /// Whether the application may not have one.
    pub denied: bool,
    tickets: HashMap<String, u64>,
    lines: Vec<Line>,
    waiting: Vec<(String, Sent)>,
    leaving: HashSet<u64>,
    counter: u64,
}

impl Stream {
    /// Open connections.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Messages that nobody has answered yet.
    pub fn unanswered(&self) -> usize {
        self.waiting.len()
    }

    /// The answer to a question for a connection.
    pub(super) fn ticket(&mut self, call: &Call, app: &(String, String)) -> Result<Answer, Box<Answer>> {
        let refuse = |status: u16, code: &str, message: &str| Answer::json(status, &json!({ "code": code, "requestid": "R", "message": message }));
        let body = call.object().unwrap_or_default();
        if body["clientId"] != app.0.as_str() || body["clientSecret"] != app.1.as_str() {
            return Err(refuse(401, "authFailed", "鉴权失败").refused("authFailed").into());
        }
        if self.denied {
            let code = "Forbidden.AccessDenied.AccessTokenPermissionDenied";
            return Err(refuse(403, code, "应用尚未开通所需的权限").refused(code).into());
        }
        let topics: Vec<&str> = body["subscriptions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["type"] == "CALLBACK")
            .filter_map(|one| one["topic"].as_str())
            .collect();
        if topics != [PRESSES] {
            return Err(refuse(400, "param.invalid", "subscriptions").refused("param.invalid").into());
        }
        self.counter += 1;
        // Characters that must be escaped in an address.
        let ticket = format!("tk+{}/=", self.counter);
        self.tickets.insert(ticket.clone(), call.now.mono_ms);
        let host = call.header("host").unwrap_or_default();
        Ok(Answer::json(200, &json!({ "endpoint": format!("ws://{host}/connect"), "ticket": ticket })))
    }

    /// A connection is asked for.
    pub(super) fn open(&mut self, call: &Call, line: Line) -> Result<(), Box<Answer>> {
        let issued = call.param("ticket").and_then(|ticket| self.tickets.remove(ticket));
        let is_young = issued.is_some_and(|at| call.now.mono_ms - at <= TICKET_LIFE.as_millis() as u64);
        if call.path != "/connect" || !is_young {
            return Err(Answer::text(401, "the ticket is used up").refused("ticket").into());
        }
        self.lines.push(line);
        // What was not answered is sent again.
        self.repeat();
        Ok(())
    }

    /// Sends a frame to the newest connection that is not about to end; it waits where there is none.
    fn send(&mut self, kind: &str, topic: &str, data: &str) -> String {
        self.counter += 1;
        let id = format!("{:x}_{}", 0x1957_aa00_u64 + self.counter, self.counter);
        let headers = json!({ "appId": "app", "connectionId": "c", "contentType": "application/json", "messageId": id, "time": "1700000000000", "topic": topic });
        let frame = json!({ "specVersion": "1.0", "type": kind, "headers": headers, "data": data });
        let line = self.lines.iter().rev().find(|line| !self.leaving.contains(&line.id));
        if let Some(line) = line {
            line.say(frame.to_string());
        }
        let line = line.map(|line| line.id);
        self.waiting.push((id.clone(), Sent { frame, line }));
        id
    }

    /// Reports a press.
    pub(super) fn report(&mut self, data: &Value) -> String {
        self.send("CALLBACK", PRESSES, &data.to_string())
    }

    /// Asks for a sign of life.
    pub fn ping(&mut self) -> String {
        self.send("SYSTEM", "ping", r#"{"opaque":"0b1e-7"}"#)
    }

    /// Says to the newest connection that it ends, so that the client opens another.
    pub fn disconnect(&mut self) -> String {
        let id = self.send("SYSTEM", "disconnect", r#"{"reason":"connection is expired"}"#);
        self.leaving.extend(self.lines.last().map(|line| line.id));
        id
    }

    /// Something that nobody subscribed to.
    pub fn event(&mut self) -> String {
        self.send("EVENT", "*", "{}")
    }

    /// Sends again what was not answered.
    pub fn repeat(&mut self) {
        let Some(line) = self.lines.last() else { return };
        for (_, sent) in &mut self.waiting {
            line.say(sent.frame.to_string());
            sent.line = Some(line.id);
        }
    }

    /// What a client wrote; for a press, the card and what the answer does to it.
    pub(super) fn heard(&mut self, line: u64, heard: &Heard) -> Option<(String, Value)> {
        let text = match heard {
            Heard::Text(text) => text,
            Heard::Bytes(_) => {
                self.faults.push("bytes, where text is spoken".into());
                return None;
            }
            Heard::End => {
                self.lines.retain(|one| one.id != line);
                // The command to leave is said again where the end came first.
                return None;
            }
        };
        match self.answered(line, text) {
            Ok(press) => press,
            Err(why) => {
                self.faults.push(why);
                None
            }
        }
    }

    fn answered(&mut self, line: u64, text: &str) -> Result<Option<(String, Value)>, String> {
        let frame: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
        let id = frame["headers"]["messageId"].as_str().ok_or("headers.messageId is missing")?.to_owned();
        let code = frame["code"].as_u64().ok_or("code is no number")?;
        let data = frame["data"].as_str().ok_or("data is no string")?;
        if frame["headers"]["contentType"] != "application/json" || !frame["message"].is_string() {
            return Err(format!("an incomplete answer: {frame}"));
        }
        let place = self.waiting.iter().position(|(waiting, sent)| *waiting == id && sent.line == Some(line));
        let place = place.ok_or_else(|| format!("an answer to what was not asked on this line: {id}"))?;
        let (_, sent) = self.waiting.remove(place);
        // Clients write the same data in their own way.
        let read = |data: &str| serde_json::from_str::<Value>(data).ok();
        match (sent.frame["type"].as_str().unwrap_or_default(), code) {
            ("SYSTEM", 200) if read(sent.frame["data"].as_str().unwrap_or_default()) != read(data) => {
                Err("a SYSTEM message is answered with its own data".into())
            }
            ("SYSTEM", 200) => Ok(None),
            ("CALLBACK", 200) => {
                let data: Value = serde_json::from_str(data).map_err(|error| format!("data is no JSON: {error}"))?;
                self.answers.push((id, data["response"].clone()));
                let pressed: Value = serde_json::from_str(sent.frame["data"].as_str().unwrap_or_default()).unwrap_or_default();
                Ok(Some((pressed["outTrackId"].as_str().unwrap_or_default().to_owned(), data["response"].clone())))
            }
            // Nobody is there for it: it is not sent again.
            (_, 404) => Ok(None),
            (_, code) => {
                self.waiting.push((id, sent));
                Err(format!("code {code}"))
            }
        }
    }
}
