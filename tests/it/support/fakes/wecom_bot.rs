//! WeCom's smart robots over their long connection: JSON frames, one connection a robot, cards that change only in answer to a press.
//! <https://developer.work.weixin.qq.com/document/path/101463>, frames as in `@wecom/aibot-node-sdk`.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::fault::Fault;
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;
use super::socket::{Heard, Line};

/// A press is answered within this.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// A card as its chat shows it.
#[derive(Debug, Clone)]
pub struct Card {
    pub chat: String,
    /// As it was sent.
    pub sent: Value,
    /// What is shown after a press, by person; `*` for everybody.
    pub shown: HashMap<String, Value>,
}

/// One open connection.
struct Open {
    line: Line,
    bot: Option<String>,
    /// What happens to the next message over it.
    fault: Option<Fault>,
}

/// An event that waits for its answer.
struct Event {
    card: String,
    at: Instant,
    line: u64,
}

/// The robots.
pub struct WecomBot {
    /// Robots and their secrets.
    pub bots: HashMap<String, String>,
    /// Chats in which somebody wrote to a robot.
    pub chats: HashSet<String>,
    /// Cards by their task id.
    pub cards: HashMap<String, Card>,
    /// What a client did that the server does not take.
    pub faults: Vec<String>,
    /// Pings that came.
    pub pings: u32,
    /// Whether pings are left without an answer.
    pub deaf: bool,
    /// Subscriptions that came.
    pub subscriptions: u32,
    /// Whether they are left without an answer.
    pub mute: bool,
    /// Messages by chat: 30 a minute.
    pub pace: Limiter,
    lines: Vec<Open>,
    meeting: HashMap<u64, Fault>,
    events: HashMap<String, Event>,
    accepted: Vec<(u64, String, Answer)>,
    counter: u64,
}

impl WecomBot {
    /// One robot, which these chats know.
    pub fn new(bot: &str, secret: &str, chats: &[&str]) -> Self {
        Self {
            bots: HashMap::from([(bot.to_owned(), secret.to_owned())]),
            chats: chats.iter().map(|chat| (*chat).to_owned()).collect(),
            cards: HashMap::new(),
            faults: Vec::new(),
            pings: 0,
            deaf: false,
            subscriptions: 0,
            mute: false,
            pace: Limiter::new(Pace::per(30, Duration::from_secs(60))),
            lines: Vec::new(),
            meeting: HashMap::new(),
            events: HashMap::new(),
            accepted: Vec::new(),
            counter: 0,
        }
    }

    /// The connections of robots, the oldest first.
    pub fn connected(&self) -> Vec<Line> {
        self.lines.iter().filter(|open| open.bot.is_some()).map(|open| open.line.clone()).collect()
    }

    /// Somebody presses a button of a card: the message id of the event. `nested` is how most implementers see it; the SDK's types have it flat.
    pub fn press(&mut self, card: &str, label: &str, user: &str, nested: bool) -> String {
        let shown = &self.cards[card].sent;
        let buttons = shown["button_list"].as_array().expect("buttons");
        let key = &buttons.iter().find(|button| button["text"] == label).unwrap_or_else(|| panic!("no button {label}: {shown}"))["key"];
        let pressed = json!({ "event_key": key, "task_id": card, "card_type": "button_interaction", "selected_items": {} });
        let mut event = if nested { json!({ "template_card_event": pressed }) } else { pressed };
        event["eventtype"] = "template_card_event".into();
        self.say(card, user, event)
    }

    /// Somebody opens the robot's chat: an event of no use.
    pub fn enter(&mut self, user: &str) -> String {
        self.say("", user, json!({ "eventtype": "enter_chat" }))
    }

    fn say(&mut self, card: &str, user: &str, event: Value) -> String {
        self.counter += 1;
        let (id, request) = (format!("msg-{}", self.counter), format!("req-{}", self.counter));
        let body = json!({ "msgid": id, "create_time": 1_700_000_000, "aibotid": "aib1", "chattype": "single", "from": { "userid": user }, "msgtype": "event",
            "event": event });
        if let Some(open) = self.lines.iter().rev().find(|open| open.bot.is_some()) {
            open.line.say(json!({ "cmd": "aibot_event_callback", "headers": { "req_id": request }, "body": body }).to_string());
            self.events.insert(request, Event { card: card.to_owned(), at: Instant::now(), line: open.line.id });
        }
        id
    }

    fn frame(&mut self, place: usize, frame: &Value) -> Result<(), (i64, String)> {
        let bad = |code: i64, text: &str| Err((code, text.to_owned()));
        let body = &frame["body"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match frame["cmd"].as_str().unwrap_or_default() {
            "aibot_subscribe" => {
                let (bot, secret) = (text(&body["bot_id"]), text(&body["secret"]));
                if self.bots.get(&bot) != Some(&secret) {
                    return bad(40001, "invalid credential");
                }
                for other in self.lines.iter_mut().filter(|open| open.bot.as_ref() == Some(&bot)) {
                    let event = json!({ "msgid": "evicted", "msgtype": "event", "event": { "eventtype": "disconnected_event" } });
                    other.line.say(json!({ "cmd": "aibot_event_callback", "headers": { "req_id": "evicted" }, "body": event }).to_string());
                    other.line.close(1000, "replaced");
                    other.bot = None;
                }
                self.lines[place].bot = Some(bot);
                Ok(())
            }
            _ if self.lines[place].bot.is_none() => {
                self.faults.push(format!("before the subscription: {frame}"));
                bad(41004, "not subscribed")
            }
            "ping" => {
                self.pings += 1;
                Ok(())
            }
            "aibot_send_msg" => self.message(place, body),
            "aibot_respond_update_msg" => {
                let request = text(&frame["headers"]["req_id"]);
                let Some(event) = self.events.remove(&request).filter(|event| event.line == self.lines[place].line.id) else {
                    self.faults.push(format!("an answer to no event: {request}"));
                    return bad(846605, "invalid req_id");
                };
                let card = &body["template_card"];
                if event.at.elapsed() > ANSWERED_WITHIN {
                    return bad(846608, "expired");
                }
                if body["response_type"] != "update_template_card" || card["task_id"] != event.card.as_str() || !is_card(card) {
                    self.faults.push(format!("not a change of the card: {body}"));
                    return bad(40058, "template_card invalid");
                }
                let who = body["userids"].as_array().map_or_else(|| vec!["*".to_owned()], |users| users.iter().map(text).collect());
                if let Some(known) = self.cards.get_mut(&event.card) {
                    known.shown.extend(who.into_iter().map(|user| (user, card.clone())));
                }
                Ok(())
            }
            other => {
                self.faults.push(format!("an unknown command: {other}"));
                bad(40058, "unknown cmd")
            }
        }
    }

    fn message(&mut self, place: usize, body: &Value) -> Result<(), (i64, String)> {
        let bad = |code: i64, text: &str| Err((code, text.to_owned()));
        let chat = body["chatid"].as_str().unwrap_or_default().to_owned();
        if !self.chats.contains(&chat) {
            return bad(93006, "invalid chatid");
        }
        if self.pace.take(&chat, u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)).is_err() {
            return bad(45009, "api freq out of limit");
        }
        let shown = match body["msgtype"].as_str().unwrap_or_default() {
            "markdown" => {
                let content = body["markdown"]["content"].as_str().unwrap_or_default();
                if content.trim().is_empty() || content.len() > 20_480 || content.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
                    return bad(40058, "markdown.content invalid");
                }
                content.to_owned()
            }
            "template_card" => {
                let card = &body["template_card"];
                let id = card["task_id"].as_str().unwrap_or_default().to_owned();
                if !is_card(card) {
                    return bad(40058, "template_card invalid");
                }
                if id.is_empty() || id.len() > 128 || self.cards.contains_key(&id) {
                    return bad(42014, "task_id used");
                }
                self.cards.insert(id, Card { chat: chat.clone(), sent: card.clone(), shown: HashMap::new() });
                card.to_string()
            }
            _ => return bad(40008, "invalid message type"),
        };
        self.accepted.push((self.lines[place].line.id, body.to_string(), Answer::text(200, "").accepted(0, shown).to([chat])));
        Ok(())
    }
}

/// <https://developer.work.weixin.qq.com/document/path/101032>
fn is_card(card: &Value) -> bool {
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let buttons = card["button_list"].as_array();
    let sound = buttons.is_some_and(|list| (1..=6).contains(&list.len()) && list.iter().all(|one| is_text(&one["text"]) && is_text(&one["key"])));
    let says = is_text(&card["main_title"]["title"]) || is_text(&card["sub_title_text"]);
    card["card_type"] == "button_interaction" && sound && says
}

impl Platform for WecomBot {
    fn name(&self) -> &'static str {
        "wecom_bot"
    }

    fn answer(&mut self, _: &Call) -> Answer {
        Answer::text(400, "a WebSocket is expected")
    }

    fn open(&mut self, call: &Call, line: Line) -> Result<(), Box<Answer>> {
        if call.path != "/" {
            return Err(Answer::text(404, "not found").into());
        }
        let fault = self.meeting.remove(&line.id);
        self.lines.push(Open { line, bot: None, fault });
        Ok(())
    }

    /// What is about a message happens to the message, once the connection is open.
    fn meets(&mut self, line: u64, fault: &Fault) -> bool {
        let meets = fault.handles() || matches!(fault, Fault::Reply(200, ..));
        if meets {
            self.meeting.insert(line, fault.clone());
        }
        meets
    }

    fn heard(&mut self, line: u64, heard: &Heard) {
        let text = match heard {
            Heard::Text(text) => text,
            Heard::Bytes(_) => return self.faults.push("bytes, where text is spoken".into()),
            Heard::End => return self.lines.retain(|open| open.line.id != line),
        };
        let Some(place) = self.lines.iter().position(|open| open.line.id == line) else { return };
        let Ok(frame) = serde_json::from_str::<Value>(text) else { return self.faults.push(format!("no JSON: {text}")) };
        let is_message = frame["cmd"] == "aibot_send_msg";
        let subscribes = frame["cmd"] == "aibot_subscribe";
        self.subscriptions += u32::from(subscribes);
        if subscribes && self.mute {
            return;
        }
        let fault = if is_message { self.lines[place].fault.take() } else { None };
        let mut answer = json!({ "headers": { "req_id": frame["headers"]["req_id"] }, "errcode": 0, "errmsg": "ok" });
        if let Some(Fault::Reply(_, _, body)) = &fault {
            if let Ok(Value::Object(said)) = serde_json::from_str(body) {
                said.into_iter().for_each(|(name, value)| answer[name] = value);
            }
            return self.lines[place].line.say(answer.to_string());
        }
        if let Err((code, why)) = self.frame(place, &frame) {
            (answer["errcode"], answer["errmsg"]) = (code.into(), why.into());
        }
        match fault {
            Some(Fault::CloseAfter | Fault::ResetAfter) => self.lines[place].line.cut(),
            Some(Fault::HangAfter) => self.lines[place].line.fall_silent(),
            _ if frame["cmd"] == "ping" && self.deaf => {}
            _ => self.lines[place].line.say(answer.to_string()),
        }
    }

    fn taken(&mut self, line: u64) -> Option<(String, Answer)> {
        let place = self.accepted.iter().position(|(id, ..)| *id == line)?;
        let (_, body, answer) = self.accepted.remove(place);
        Some((body, answer))
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace]
    }
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let yaml = r#"wecom_bot: { bot_id: aib1, secret: bot-secret, to: [wrOPS], api_base: "BASE" }"#;
    let sample = Sample::new(json!({ "bot_id": "aib1", "secret": "bot-secret" }), || WecomBot::new("aib1", "bot-secret", &["wrOPS"]));
    vec![sample.channel("wecom_bot", "/", &["bot-secret"], yaml)]
}
