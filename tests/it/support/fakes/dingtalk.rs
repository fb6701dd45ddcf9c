//! DingTalk's custom group robot (`POST /robot/send`): security settings, 20000-byte bodies, message types,
//! mentions, `msgUuid`, 20 messages a minute with a ten-minute penalty. HTTP 200 whatever happens.
//!
//! Choices where the documents are silent: pace counts every call that passes the security settings; a wrong
//! JSON type and a missing field are 40035, except the title, whose refusal is on record (300001).

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call, Verdict};
use super::crypt::{b64, hmac_sha256};
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;

/// 20 messages a minute; a breach is punished with ten minutes.
pub const PACE: Pace = Pace::Rolling { limit: 20, window: Duration::from_secs(60), penalty: Duration::from_secs(600) };
/// 10000 calls in 20 seconds from one address; a breach is punished with five minutes.
pub const EDGE_PACE: Pace = Pace::Rolling { limit: 10_000, window: Duration::from_secs(20), penalty: Duration::from_secs(300) };
/// What the edge answers instead of the robot when it throttles: no `errcode` at all.
pub const EDGE_BODY: &str = r#"{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"3c9f0d7be2f14e8ba1c0a3d6c2a7d955"}"#;

const MAX_BYTES: usize = 20_000;
const MAX_MENTIONS: usize = 50;
const SIGN_WINDOW_MS: i64 = 3_600_000;
const HINT: &str = "more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]";

/// One robot and its security settings.
#[derive(Debug, Clone, Default)]
pub struct Robot {
    /// `SEC...`: requests must be signed.
    pub secret: Option<String>,
    /// A message must contain one of these, when there are any.
    pub keywords: Vec<String>,
    /// Only these networks may call, when there are any: (address, prefix length).
    pub networks: Vec<(Ipv4Addr, u8)>,
    /// The mobiles and user ids of the group; `None`: everybody is a member.
    pub members: Option<HashSet<String>>,
    /// Stopped by the group's owner (400102).
    pub stopped: bool,
    /// The group is gone (400013).
    pub dissolved: bool,
}

impl Robot {
    /// A robot that demands signatures.
    pub fn signed(secret: &str) -> Self {
        Self { secret: Some(secret.to_owned()), ..Self::default() }
    }
}

/// The robot gateway.
pub struct DingtalkRobot {
    /// Robots by access token.
    pub robots: HashMap<String, Robot>,
    /// Messages per robot.
    pub pace: Limiter,
    /// Calls per address.
    pub edge: Limiter,
    /// Messages that the organisation may still send this month; `None`: unlimited.
    pub month_left: Option<u64>,
    /// The next messages get these answers instead of being posted: (errcode, errmsg).
    pub next: VecDeque<(i64, String)>,
    seen: HashSet<(String, String)>,
}

impl Default for DingtalkRobot {
    fn default() -> Self {
        Self {
            robots: HashMap::new(),
            pace: Limiter::new(PACE),
            edge: Limiter::new(EDGE_PACE),
            month_left: None,
            next: VecDeque::new(),
            seen: HashSet::new(),
        }
    }
}

impl DingtalkRobot {
    /// Adds a robot.
    pub fn robot(mut self, token: &str, robot: Robot) -> Self {
        self.robots.insert(token.to_owned(), robot);
        self
    }
}

fn err(errcode: i64, errmsg: impl Into<String>) -> Answer {
    Answer::json(200, &json!({ "errcode": errcode, "errmsg": errmsg.into() })).refused(errcode)
}

fn ok() -> Answer {
    Answer::json(200, &json!({ "errcode": 0, "errmsg": "ok" }))
}

impl Platform for DingtalkRobot {
    fn name(&self) -> &'static str {
        "dingtalk"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        self.judge(call).unwrap_or_else(|refusal| *refusal)
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace, &mut self.edge]
    }
}

impl DingtalkRobot {
    fn judge(&mut self, call: &Call) -> Result<Answer, Box<Answer>> {
        if self.edge.take(&call.peer.to_string(), call.now.mono_ms).is_err() {
            return Ok(Answer::new(200, "application/json", EDGE_BODY).refused("edge"));
        }
        if call.path != "/robot/send" {
            return Ok(Answer::text(404, "Not Found").refused("404"));
        }
        if call.method != "POST" {
            return Err(err(43002, "require POST method").into());
        }
        if call.media_type() != "application/json" {
            return Err(err(43004, "require Content-Type application/json").into());
        }
        let token = call.param("access_token").filter(|t| !t.is_empty()).ok_or_else(|| err(40035, "缺少参数 access_token"))?.to_owned();
        let robot = self.robots.get(&token).cloned().ok_or_else(|| err(300_005, "token is not exist"))?;
        if robot.dissolved {
            return Err(err(400_013, "群已被解散").into());
        }
        if robot.stopped {
            return Err(err(400_102, "机器人已停用").into());
        }
        check_network(&robot, call.peer)?;
        check_signature(&robot, call)?;
        if call.body.len() > MAX_BYTES {
            return Err(err(460_101, format!("message too long, exceed {MAX_BYTES} bytes")).into());
        }
        let body = call.object().ok_or_else(|| err(40035, "参数错误: body is not a JSON object"))?;
        let message = read_message(&body)?;
        if !robot.keywords.is_empty() && !robot.keywords.iter().any(|k| message.text.contains(k.as_str())) {
            return Err(err(310_000, format!("keywords not in content, {HINT}")).into());
        }
        if self.pace.take(&token, call.now.mono_ms).is_err() {
            let body = json!({
                "errcode": 130_101, "errmsg": "send too fast, exceed 20 times per minute",
                "status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": "9a0f6a3c5c3b4f7e8d21b6e0a4c7f1d2",
            });
            return Ok(Answer::json(200, &body).refused(130_101));
        }
        if let Some((code, text)) = self.next.pop_front() {
            return Err(err(code, text).into());
        }
        if let Some(uuid) = body.get("msgUuid") {
            let uuid = uuid.as_str().ok_or_else(|| err(40035, "参数错误 msgUuid"))?;
            if !uuid.is_empty() && !self.seen.insert((token.clone(), uuid.to_owned())) {
                return Ok(ok().accepted(0, "").verdict(Verdict::Duplicate).to([token]));
            }
        }
        if let Some(left) = &mut self.month_left {
            if *left == 0 {
                return Err(err(90_030, "webhook api quota of this month is used up").into());
            }
            *left -= 1;
        }
        let (pinged, notes) = mentions(&robot, &body, &message)?;
        Ok(ok().accepted(0, message.text).to(std::iter::once(token).chain(pinged)).notes(notes))
    }
}

fn check_network(robot: &Robot, peer: IpAddr) -> Result<(), Box<Answer>> {
    let inside = |&(net, bits): &(Ipv4Addr, u8)| match peer {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            u32::from(ip) & mask == u32::from(net) & mask
        }
        IpAddr::V6(_) => false,
    };
    if robot.networks.is_empty() || robot.networks.iter().any(inside) {
        return Ok(());
    }
    Err(err(310_000, format!("ip {peer} not in whitelist, {HINT}")).into())
}

fn check_signature(robot: &Robot, call: &Call) -> Result<(), Box<Answer>> {
    let Some(secret) = &robot.secret else { return Ok(()) };
    let timestamp = call.param("timestamp").unwrap_or("");
    let close = |ms: i64| (call.now.wall_ms - ms).abs() <= SIGN_WINDOW_MS;
    if !timestamp.parse::<i64>().is_ok_and(close) {
        return Err(err(310_000, format!("invalid timestamp, {HINT}")).into());
    }
    let expected = b64(&hmac_sha256(secret.as_bytes(), format!("{timestamp}\n{secret}").as_bytes()));
    if call.param("sign") != Some(expected.as_str()) {
        return Err(err(310_000, format!("sign not match, {HINT}")).into());
    }
    Ok(())
}

/// What a group member reads, and whether this type of message can mention.
struct Message {
    text: String,
    /// The part that must contain `@x` to ping; `None`: this type does not ping by it.
    by_mobile: bool,
    by_user: bool,
    for_all: bool,
}

fn read_message(body: &Value) -> Result<Message, Box<Answer>> {
    let kind = match body.get("msgtype") {
        None => return Err(err(40035, "缺少参数 msgtype").into()),
        Some(v) => v.as_str().ok_or_else(|| err(40035, "参数错误 msgtype"))?,
    };
    let part = &body[kind];
    let need = |v: &Value, name: &str| -> Result<String, Box<Answer>> {
        match v.get(name) {
            Some(Value::String(s)) if !s.trim().is_empty() => Ok(s.clone()),
            None | Some(Value::Null | Value::String(_)) if name == "title" => Err(err(300_001, "message param title is null").into()),
            None | Some(Value::Null | Value::String(_)) => Err(err(40035, format!("缺少参数 {name}")).into()),
            Some(_) => Err(err(40035, format!("参数错误 {name}")).into()),
        }
    };
    let message = |text: String, by_mobile, by_user, for_all| Message { text, by_mobile, by_user, for_all };
    if !matches!(kind, "text" | "markdown" | "link" | "actionCard" | "feedCard") {
        return Err(err(400_105, format!("unsupported msgtype {kind}")).into());
    }
    if !part.is_object() {
        return Err(err(40035, format!("缺少参数 {kind}")).into());
    }
    match kind {
        "text" => Ok(message(need(part, "content")?, true, true, true)),
        "markdown" => Ok(message(format!("{}\n{}", need(part, "title")?, need(part, "text")?), true, true, true)),
        "link" => {
            need(part, "messageUrl")?;
            Ok(message(format!("{}\n{}", need(part, "title")?, need(part, "text")?), false, false, false))
        }
        "actionCard" => {
            let mut text = format!("{}\n{}", need(part, "title")?, need(part, "text")?);
            match part.get("btns") {
                Some(Value::Array(buttons)) if !buttons.is_empty() => {
                    for b in buttons {
                        need(b, "actionURL")?;
                        text = format!("{text}\n[{}]", need(b, "title")?);
                    }
                }
                Some(Value::Array(_)) | None => {
                    need(part, "singleURL")?;
                    text = format!("{text}\n[{}]", need(part, "singleTitle")?);
                }
                Some(_) => return Err(err(40035, "参数错误 btns").into()),
            }
            if part.get("btnOrientation").is_some_and(|o| !matches!(o.as_str(), Some("0" | "1"))) {
                return Err(err(40035, "参数错误 btnOrientation").into());
            }
            Ok(message(text, false, true, false))
        }
        _ => {
            let links = part.get("links").and_then(Value::as_array).filter(|l| !l.is_empty()).ok_or_else(|| err(40035, "缺少参数 links"))?;
            let mut lines = Vec::new();
            for link in links {
                need(link, "messageURL")?;
                lines.push(need(link, "title")?);
            }
            Ok(message(lines.join("\n"), false, false, false))
        }
    }
}

/// Who is really pinged, and a note for everyone who was named in `at` but is not.
fn mentions(robot: &Robot, body: &Value, message: &Message) -> Result<(Vec<String>, Vec<String>), Box<Answer>> {
    let at = body.get("at").unwrap_or(&Value::Null);
    if !at.is_object() && !at.is_null() {
        return Err(err(40035, "参数错误 at").into());
    }
    let list = |name: &str| -> Result<Vec<String>, Box<Answer>> {
        match at.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(|| Box::new(err(40035, format!("参数错误 {name}"))))).collect()
            }
            Some(_) => Err(err(40035, format!("参数错误 {name}")).into()),
        }
    };
    let all = match at.get("isAtAll") {
        None | Some(Value::Null) => false,
        Some(v) => v.as_bool().ok_or_else(|| err(40035, "参数错误 isAtAll"))?,
    };
    let (mut pinged, mut notes) = (Vec::new(), Vec::new());
    if all {
        if message.for_all { pinged.push("@all".to_owned()) } else { notes.push("not_pinged:@all".to_owned()) }
    }
    let named = list("atMobiles")?.into_iter().map(|m| (m, message.by_mobile)).chain(list("atUserIds")?.into_iter().map(|u| (u, message.by_user)));
    for (index, (who, works)) in named.enumerate() {
        let member = robot.members.as_ref().is_none_or(|m| m.contains(&who));
        if works && member && index < MAX_MENTIONS && stands_in(&message.text, &who) {
            pinged.push(who);
        } else {
            notes.push(format!("not_pinged:{who}"));
        }
    }
    Ok((pinged, notes))
}

/// Whether `@who` is in the text, not merely as the beginning of a longer id.
fn stands_in(text: &str, who: &str) -> bool {
    let tag = format!("@{who}");
    text.match_indices(&tag).any(|(at, _)| !text[at + tag.len()..].starts_with(|c: char| c.is_ascii_alphanumeric()))
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let credentials = json!({ "access_token": "ding-token", "secret": "SEC0123456789", "unsigned_access_token": "ding-open" });
    let robots = || DingtalkRobot::default().robot("ding-token", Robot::signed("SEC0123456789")).robot("ding-open", Robot::default());
    let yaml = r#"dingtalk: { access_token: ding-token, secret: SEC0123456789, api_base: "BASE" }"#;
    vec![Sample::new(credentials, robots).channel("dingtalk", "/robot/send", &["ding-token", "SEC0123456789"], yaml)]
}
