//! How an app of Slack learns of presses: Socket Mode (a ticket that opens one connection, hello, envelopes, warnings of its end), or signed requests to
//! its Request URL; and how it answers who pressed. <https://docs.slack.dev/apis/events-api/using-socket-mode>,
//! <https://docs.slack.dev/authentication/verifying-requests-from-slack>, <https://docs.slack.dev/interactivity/handling-user-interaction>

use std::collections::HashMap;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::clock::Now;
use super::crypt::{hex, hmac_sha256};
use super::rate::{Limiter, Pace};
use super::slack::{Slack, fail, too_fast};
use super::socket::{Heard, Line};

/// Connections of an app.
const MAX_CONNECTIONS: usize = 10;
/// An envelope, and a request, is answered within this time.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// Answers by one `response_url`, and how long it is good.
const MAX_ANSWERS: u32 = 5;
const ANSWERED_UNTIL: Duration = Duration::from_secs(30 * 60);

/// Who presses.
#[derive(Debug, Clone)]
pub struct Person {
    /// The id.
    pub id: &'static str,
    /// The name.
    pub name: &'static str,
    /// The workspace; `T0001` is the app's.
    pub team: &'static str,
}

/// A member of the workspace.
pub const ANNA: Person = Person { id: "U0ANNA", name: "anna", team: "T0001" };
/// A member of another one, in a channel that is shared with it.
pub const GUEST: Person = Person { id: "U9GUEST", name: "guest", team: "T9999" };

/// What became of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Envelope {
    /// Nothing yet.
    Open,
    /// It was acknowledged in time, over the connection that it came over.
    Acked,
    /// It was acknowledged too late: the person saw that it failed.
    Late,
}

/// What a client shows of an answer to a press.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// To whom.
    pub to: String,
    /// What.
    pub text: String,
    /// Whether everybody in the channel sees it.
    pub in_channel: bool,
    /// Whether it took the place of the message.
    pub replaced: bool,
}

struct AnswerUrl {
    person: &'static str,
    made: u64,
    used: u32,
}

/// The interactivity of the one app.
pub struct Interactivity {
    /// App-level tokens and the error they give (`None`: good).
    pub app_tokens: HashMap<String, Option<&'static str>>,
    /// What requests are signed with.
    pub signing_secret: String,
    /// Whether Socket Mode is on.
    pub enabled: bool,
    /// Whether connections are greeted.
    pub greets: bool,
    /// How many connections may be opened (tier 1).
    pub opens: Limiter,
    /// The connections, in order of their opening.
    pub lines: Vec<Line>,
    /// What was asked for with a token in the wrong place or with a used ticket.
    pub refused: Vec<&'static str>,
    /// What was sent, by envelope.
    pub envelopes: HashMap<String, Envelope>,
    /// What people were shown.
    pub shown: Vec<Shown>,
    tickets: Vec<String>,
    sent: HashMap<String, (u64, Instant)>,
    answer_urls: HashMap<String, AnswerUrl>,
    base: String,
    counter: u64,
}

impl Default for Interactivity {
    fn default() -> Self {
        Self {
            app_tokens: HashMap::from([("xapp-1-fake".to_owned(), None)]),
            signing_secret: "fake-signing-secret".to_owned(),
            enabled: true,
            greets: true,
            opens: Limiter::new(Pace::Bucket { every: Duration::from_secs(60), burst: 20 }),
            lines: Vec::new(),
            refused: Vec::new(),
            envelopes: HashMap::new(),
            shown: Vec::new(),
            tickets: Vec::new(),
            sent: HashMap::new(),
            answer_urls: HashMap::new(),
            base: String::new(),
            counter: 0,
        }
    }
}

/// The buttons of a message that the app hears of, as a message keeps them.
pub(super) fn buttons(body: &Value) -> String {
    let attached = body["attachments"].as_array().into_iter().flatten().map(|attachment| &attachment["blocks"]);
    let blocks = std::iter::once(&body["blocks"]).chain(attached).filter_map(Value::as_array).flatten();
    let found: Vec<&Value> = blocks.filter_map(|block| block["elements"].as_array()).flatten().filter(|one| one["type"] == "button").collect();
    if found.iter().all(|button| button["value"].is_null()) { String::new() } else { json!(found).to_string() }
}

fn disconnect(reason: &str) -> String {
    json!({ "type": "disconnect", "reason": reason, "debug_info": { "host": "applink-fake-1" } }).to_string()
}

impl Interactivity {
    /// The newest connection that is open.
    pub fn newest(&self) -> Line {
        self.open_lines().last().cloned().expect("a connection is open")
    }

    /// The connections that are open.
    pub fn open_lines(&self) -> Vec<Line> {
        self.lines.iter().filter(|line| line.is_open()).cloned().collect()
    }

    /// Says to the newest connection why it will end (`warning`, some seconds before; `refresh_requested`).
    pub fn warn(&self, reason: &str) {
        self.newest().say(disconnect(reason));
    }

    /// Somebody turns Socket Mode off.
    pub fn disable(&mut self) {
        self.enabled = false;
        for line in self.open_lines() {
            line.say(disconnect("link_disabled"));
            line.close(1000, "");
        }
    }

    /// Sends an envelope over this connection; its id.
    pub fn send(&mut self, line: &Line, kind: &str, payload: &Value) -> String {
        self.counter += 1;
        let id = format!("dbdd0ef3-1543-4f94-bfb4-{:012}", self.counter);
        let envelope = json!({
            "envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": kind == "slash_commands",
            "retry_attempt": 0, "retry_reason": "",
        });
        self.sent.insert(id.clone(), (line.id, Instant::now()));
        self.envelopes.insert(id.clone(), Envelope::Open);
        line.say(envelope.to_string());
        id
    }

    fn acknowledge(&mut self, line: u64, text: &str) {
        let Ok(Value::Object(ack)) = serde_json::from_str::<Value>(text) else { return self.refused.push("not a JSON object") };
        let id = ack.get("envelope_id").and_then(Value::as_str).unwrap_or_default();
        let Some((over, at)) = self.sent.get(id).copied() else { return self.refused.push("an envelope that nobody sent") };
        if over != line {
            return self.refused.push("an acknowledgement over another connection");
        }
        if ack.contains_key("payload") {
            return self.refused.push("a payload that is not accepted");
        }
        if self.envelopes.insert(id.to_owned(), if at.elapsed() <= ANSWERED_WITHIN { Envelope::Acked } else { Envelope::Late })
            != Some(Envelope::Open)
        {
            self.refused.push("acknowledged twice");
        }
    }

    fn answer_url(&mut self, person: &'static str, now: Now) -> String {
        self.counter += 1;
        let path = format!("/actions/T0001/{}/fakeActionSecret{}", self.counter, self.counter);
        self.answer_urls.insert(path.clone(), AnswerUrl { person, made: now.mono_ms, used: 0 });
        format!("{}{path}", self.base)
    }

    /// An answer to who pressed.
    pub(super) fn answered(&mut self, call: &Call) -> Answer {
        let refuse = |status: u16, word: &str| Answer::json(status, &json!({ "ok": false, "error": word })).refused(word);
        let Some(url) = self.answer_urls.get_mut(&call.path) else { return refuse(404, "invalid_url") };
        let Some(body) = call.object().filter(|_| call.method == "POST" && call.media_type() == "application/json") else {
            return refuse(400, "invalid_payload");
        };
        if call.now.mono_ms > url.made + ANSWERED_UNTIL.as_millis() as u64 {
            return refuse(404, "expired_url");
        }
        if url.used >= MAX_ANSWERS {
            return refuse(404, "used_url");
        }
        let Some(text) = body["text"].as_str().filter(|text| !text.is_empty()) else { return refuse(400, "no_text") };
        url.used += 1;
        let (in_channel, replaced) = (body["response_type"] == "in_channel", body["replace_original"] == true || body["delete_original"] == true);
        self.shown.push(Shown { to: url.person.to_owned(), text: text.to_owned(), in_channel, replaced });
        Answer::text(200, "ok")
    }
}

impl Slack {
    /// `apps.connections.open`: the address of one connection.
    pub(super) fn open_connection(&mut self, call: &Call) -> Answer {
        let app = &mut self.interactivity;
        if call.param("token").is_some() || String::from_utf8_lossy(&call.body).contains("xapp-") {
            app.refused.push("the token as a parameter");
            return fail("invalid_auth");
        }
        let Some(token) = call.bearer() else { return fail("not_authed") };
        match app.app_tokens.get(token) {
            None if self.tokens.contains_key(token) => return fail("not_allowed_token_type"),
            None => return fail("invalid_auth"),
            Some(Some(error)) => return fail(error),
            Some(None) => {}
        }
        if call.method != "POST" {
            return fail("invalid_post_type");
        }
        if !app.enabled {
            return fail("forbidden_team");
        }
        if let Err(wait) = app.opens.take("app", call.now.mono_ms) {
            return too_fast(wait, false);
        }
        app.counter += 1;
        let ticket = format!("fake-ticket-{}", app.counter);
        app.tickets.push(ticket.clone());
        let host = call.header("host").unwrap_or_default();
        app.base = format!("http://{host}");
        Answer::json(200, &json!({ "ok": true, "url": format!("ws://{host}/link/?ticket={ticket}&app_id=A0001") }))
    }

    /// A connection by its ticket, which is good once.
    pub(super) fn open_line(&mut self, call: &Call, line: Line) -> Result<(), Box<Answer>> {
        let app = &mut self.interactivity;
        let ticket = call.param("ticket").and_then(|ticket| app.tickets.iter().position(|known| known == ticket));
        let (Some(ticket), "/link/") = (ticket, call.path.as_str()) else {
            app.refused.push("a connection without a good ticket");
            return Err(Answer::text(403, "invalid ticket").refused("ticket").into());
        };
        if call.header("authorization").is_some() {
            app.refused.push("the token was sent to the socket's host");
        }
        app.tickets.remove(ticket);
        app.lines.retain(Line::is_open);
        if app.lines.len() >= MAX_CONNECTIONS {
            line.say(disconnect("too_many_websockets"));
            line.close(1000, "");
            return Ok(());
        }
        app.lines.push(line.clone());
        if app.greets {
            let about = json!({ "host": "applink-fake-1", "build_number": 10, "approximate_connection_time": 18060 });
            let hello = json!({ "type": "hello", "num_connections": app.lines.len(), "debug_info": about, "connection_info": { "app_id": "A0001" } });
            line.say(hello.to_string());
        }
        Ok(())
    }

    /// What came over a connection.
    pub(super) fn heard_line(&mut self, line: u64, heard: &Heard) {
        match heard {
            Heard::Text(text) => self.interactivity.acknowledge(line, text),
            Heard::Bytes(_) => self.interactivity.refused.push("bytes"),
            Heard::End => self.interactivity.lines.retain(|one| one.id != line),
        }
    }

    /// What Slack sends of a press of the button with this text under a message (`C0123/1.1`).
    pub fn payload(&mut self, message: &str, label: &str, person: &Person, now: Now) -> Value {
        let shown = self.transcript.get(message).expect("the message is there");
        let buttons: Vec<Value> = serde_json::from_str(&shown.extra).expect("a message with buttons");
        let (channel, ts) = message.split_once('/').unwrap();
        let (channel, ts, text) = (channel.to_owned(), ts.to_owned(), shown.text.clone());
        let mut action = buttons.iter().find(|button| button["text"]["text"] == label).unwrap_or_else(|| panic!("no {label}: {buttons:?}")).clone();
        action["block_id"] = json!("fake");
        action["action_ts"] = json!(format!("{}.000200", now.wall_s()));
        let response_url = self.interactivity.answer_url(person.id, now);
        json!({
            "type": "block_actions",
            "user": { "id": person.id, "username": person.name, "name": person.name, "team_id": person.team },
            "api_app_id": "A0001",
            "token": "fake-verification-token",
            "container": { "type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": false },
            "trigger_id": format!("{}.47445629121.fake", self.interactivity.counter),
            "team": { "id": "T0001", "domain": "example" },
            "enterprise": null,
            "is_enterprise_install": false,
            "channel": { "id": channel, "name": "ops" },
            "message": { "type": "message", "bot_id": "B0001", "ts": ts, "text": text },
            "state": { "values": {} },
            "response_url": response_url,
            "actions": [action],
        })
    }

    /// Somebody presses a button, and one of the connections, by turns, learns of it: the envelope's id.
    pub fn press(&mut self, message: &str, label: &str, person: &Person, now: Now) -> String {
        let payload = self.payload(message, label, person, now);
        let lines = self.interactivity.open_lines();
        let line = lines[self.interactivity.counter as usize % lines.len()].clone();
        self.interactivity.send(&line, "interactive", &payload)
    }

    /// The request to the Request URL instead: headers and body, signed at this second.
    pub fn signed(&self, payload: &Value, second: i64) -> (Vec<(&'static str, String)>, String) {
        let body = format!("payload={}", utf8_percent_encode(&payload.to_string(), NON_ALPHANUMERIC));
        let base = format!("v0:{second}:{body}");
        let signature = hex(&hmac_sha256(self.interactivity.signing_secret.as_bytes(), base.as_bytes()));
        let headers = vec![
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ("x-slack-request-timestamp", second.to_string()),
            ("x-slack-signature", format!("v0={signature}")),
        ];
        (headers, body)
    }
}
