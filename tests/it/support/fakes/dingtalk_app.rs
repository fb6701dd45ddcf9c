//! DingTalk applications: both token endpoints, mobile -> user id, and DING (in-app, SMS, phone call).
//! The old API says `errcode` with HTTP 200, the new one `code` with HTTP 4xx.
//!
//! Choice where the documents are silent: a DING whose receivers all fail is answered with 200 and all of them in
//! `failedList`; it is recorded as refused.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;
use super::token::{TokenState, Tokens};

const VOICES: [&str; 6] = [
    "Standard_Female_Voice",
    "Cantonese_Female_Voice",
    "Gentine_Female_Voice",
    "Overbearing_Female_Voice",
    "Lovely_Girl_Voice",
    "Standard_Male_Voice",
];

/// The organisation and its application.
pub struct DingtalkApp {
    /// appKey (clientId) -> appSecret.
    pub apps: HashMap<String, String>,
    /// `corpId` for the newer token path.
    pub corp_id: String,
    /// Robots of the application.
    pub robots: HashSet<String>,
    /// Members: mobile -> user id.
    pub members: HashMap<String, String>,
    /// User ids that a DING does not reach, and the reason in `failedList`.
    pub unreachable: HashMap<String, String>,
    /// DINGs by SMS and by phone that are still paid for; `None`: unlimited.
    pub paid_left: Option<u64>,
    /// Whether the caller's address is in the application's list; otherwise 60020.
    pub ip_trusted: bool,
    /// Whether the application may look people up by their mobile numbers; otherwise 60011.
    pub permitted: bool,
    /// The token desk of both generations.
    pub tokens: Tokens,
    /// DINGs per robot.
    pub pace: Limiter,
    /// The next DINGs get these errors: (HTTP status, code, message).
    pub next: VecDeque<(u16, String, String)>,
    /// Open DINGs, for recall.
    pub open: HashSet<String>,
    counter: u64,
}

impl DingtalkApp {
    /// An organisation with one application, one robot and these members (mobile, user id).
    pub fn new(app_key: &str, app_secret: &str, robot: &str, members: &[(&str, &str)]) -> Self {
        Self {
            apps: HashMap::from([(app_key.to_owned(), app_secret.to_owned())]),
            corp_id: "dingcorp1".to_owned(),
            robots: HashSet::from([robot.to_owned()]),
            members: members.iter().map(|(m, u)| ((*m).to_owned(), (*u).to_owned())).collect(),
            unreachable: HashMap::new(),
            paid_left: None,
            ip_trusted: true,
            permitted: true,
            tokens: Tokens::new("dt-"),
            pace: Limiter::new(Pace::per(6000, Duration::from_secs(60))),
            next: VecDeque::new(),
            open: HashSet::new(),
            counter: 0,
        }
    }
}

const REQUEST_ID: &str = "8F1B5D0C-6A5B-7E0F-9D55-3E0C2B1A4D77";

/// A refusal of the new API.
fn new_error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "requestid": REQUEST_ID, "code": code, "message": message })).refused(code)
}

/// A refusal of the old API.
fn old_error(code: i64, message: &str) -> Answer {
    Answer::json(200, &json!({ "errcode": code, "errmsg": message, "request_id": "16kdq8c3r7yn2" })).refused(code)
}

type Judged = Result<Answer, Box<Answer>>;

impl Platform for DingtalkApp {
    fn name(&self) -> &'static str {
        "dingtalk_app"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let corp_path = format!("/v1.0/oauth2/{}/token", self.corp_id);
        let answer = match (call.method.as_str(), call.path.as_str()) {
            ("GET", "/gettoken") => Ok(self.old_token(call)),
            ("POST", "/v1.0/oauth2/accessToken") => Ok(self.new_token(call, ["appKey", "appSecret"], ["accessToken", "expireIn"])),
            ("POST", path) if path == corp_path => Ok(self.new_token(call, ["client_id", "client_secret"], ["access_token", "expires_in"])),
            ("POST", "/topapi/v2/user/getbymobile") => self.by_mobile(call),
            ("POST", "/v1.0/robot/ding/send") => self.ding(call),
            ("POST", "/v1.0/robot/ding/recall") => self.recall(call),
            (_, "/topapi/v2/user/getbymobile") => Err(old_error(43002, "require POST method").into()),
            _ => Err(new_error(404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.").into()),
        };
        answer.unwrap_or_else(|refusal| *refusal)
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace]
    }
}

impl DingtalkApp {
    fn old_token(&mut self, call: &Call) -> Answer {
        let (key, secret) = (call.param("appkey").unwrap_or(""), call.param("appsecret").unwrap_or(""));
        if key.is_empty() || self.apps.get(key).map(String::as_str) != Some(secret) {
            return old_error(40096, "不合法的appKey或appSecret");
        }
        let (token, left) = self.tokens.issue(key, call.now.mono_ms);
        Answer::json(200, &json!({ "errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": left }))
    }

    fn new_token(&mut self, call: &Call, fields: [&str; 2], reply: [&str; 2]) -> Answer {
        let body = call.object().unwrap_or(Value::Null);
        let (key, secret) = (body[fields[0]].as_str().unwrap_or(""), body[fields[1]].as_str().unwrap_or(""));
        if fields[0] == "client_id" && body["grant_type"] != "client_credentials" {
            return new_error(400, "invalidParameter.grantType", "grant_type must be client_credentials");
        }
        if call.media_type() != "application/json" || self.apps.get(key).map(String::as_str) != Some(secret) {
            return new_error(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret");
        }
        let (token, left) = self.tokens.issue(key, call.now.mono_ms);
        Answer::json(200, &json!({ reply[0]: token, reply[1]: left }))
    }

    fn by_mobile(&mut self, call: &Call) -> Judged {
        let token = call.param("access_token").filter(|t| !t.is_empty()).ok_or_else(|| old_error(40035, "缺少参数 access_token"))?;
        if !matches!(self.tokens.check(token, call.now.mono_ms), TokenState::Good(_)) {
            let body = json!({
                "errcode": 88, "sub_code": "40014", "sub_msg": "不合法的access_token",
                "errmsg": "ding talk error[subcode=40014,submsg=不合法的access_token]", "request_id": "16kdq8c3r7yn2",
            });
            return Err(Answer::json(200, &body).refused(88).into());
        }
        if !self.ip_trusted {
            return Err(old_error(60020, "访问ip不在白名单之中").into());
        }
        if !self.permitted {
            return Err(old_error(60011, "没有调用该接口的权限").into());
        }
        let body = call.object().ok_or_else(|| old_error(400_002, "无效的参数"))?;
        let mobile = body["mobile"].as_str().ok_or_else(|| old_error(400_002, "无效的参数"))?;
        if !(7..=15).contains(&mobile.len()) || !mobile.bytes().all(|b| b.is_ascii_digit() || b == b'+' || b == b'-') {
            return Err(old_error(40104, "无效的手机号").into());
        }
        match self.members.get(mobile) {
            Some(user) => {
                Ok(Answer::json(200, &json!({ "errcode": 0, "errmsg": "ok", "request_id": "16kdq8c3r7yn2", "result": { "userid": user } })))
            }
            None => Err(old_error(60121, "找不到该用户").into()),
        }
    }

    /// Checks the header token of the new API and reads the body.
    fn admitted(&self, call: &Call) -> Result<Value, Box<Answer>> {
        let Some(token) = call.header("x-acs-dingtalk-access-token").filter(|t| !t.is_empty()) else {
            return Err(new_error(400, "AuthenticationFailed.MissingParameter", "x-acs-dingtalk-access-token is missing").into());
        };
        if !matches!(self.tokens.check(token, call.now.mono_ms), TokenState::Good(_)) {
            return Err(new_error(400, "InvalidAuthentication", "不合法的access_token").into());
        }
        if !self.ip_trusted {
            return Err(new_error(403, "Forbidden.AccessDenied.IpNotInWhiteList", "访问ip不在白名单之中").into());
        }
        let json_body = if call.media_type() == "application/json" { call.object() } else { None };
        json_body.ok_or_else(|| new_error(400, "invalidParameter.param.invalid", "the body is not a JSON object").into())
    }

    fn ding(&mut self, call: &Call) -> Judged {
        let body = self.admitted(call)?;
        let invalid = |what: &str| Box::new(new_error(400, "invalidParameter.param.invalid", &format!("参数错误: {what}")));
        let robot = body["robotCode"].as_str().unwrap_or("");
        if !self.robots.contains(robot) {
            return Err(new_error(400, "invalid.chatbotId", "robot code is invalid").into());
        }
        let kind = body["remindType"].as_u64().filter(|n| (1..=3).contains(n)).ok_or_else(|| invalid("remindType"))?;
        let text = body["content"].as_str().filter(|c| !c.trim().is_empty()).ok_or_else(|| invalid("content"))?;
        if body.get("callVoice").is_some_and(|v| !v.as_str().is_some_and(|s| VOICES.contains(&s))) {
            return Err(invalid("callVoice"));
        }
        let receivers = match &body["receiverUserIdList"] {
            Value::Array(list) => {
                list.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>().ok_or_else(|| invalid("receiverUserIdList"))?
            }
            Value::Null => Vec::new(),
            _ => return Err(invalid("receiverUserIdList")),
        };
        if receivers.is_empty() {
            return Err(new_error(400, "miss.staffId", "receiverUserIdList is missing").into());
        }
        if receivers.len() > if kind == 1 { 200 } else { 20 } {
            return Err(new_error(400, "ding.receivercount.limit", "too many receivers").into());
        }
        if self.pace.take(robot, call.now.mono_ms).is_err() {
            return Err(new_error(400, "toomuch.msg", "send too fast").into());
        }
        if let Some((status, code, message)) = self.next.pop_front() {
            return Err(new_error(status, &code, &message).into());
        }
        if kind > 1
            && let Some(left) = &mut self.paid_left
        {
            if *left < receivers.len() as u64 {
                return Err(new_error(400, "ding.serverquota.insufficient", "DING quota is insufficient").into());
            }
            *left -= receivers.len() as u64;
        }
        let (mut reached, mut failed): (Vec<String>, HashMap<String, Vec<String>>) = (Vec::new(), HashMap::new());
        for user in receivers {
            let member = self.members.values().any(|u| *u == user);
            let reason = self.unreachable.get(&user).cloned().or_else(|| (!member).then(|| "user not in the visible range".to_owned()));
            match reason {
                Some(reason) => failed.entry(reason).or_default().push(user),
                None => reached.push(user),
            }
        }
        self.counter += 1;
        let id = format!("ding-{:06}", self.counter);
        self.open.insert(id.clone());
        let notes: Vec<String> = failed.iter().flat_map(|(why, who)| who.iter().map(move |u| format!("failed:{u}:{why}"))).collect();
        let answer = Answer::json(200, &json!({ "openDingId": id, "failedList": failed })).notes(notes);
        let answer = if reached.is_empty() { answer.refused("failedList") } else { answer.accepted("ok", text).to(reached) };
        Ok(answer.notes([format!("remind_type:{kind}")]))
    }

    fn recall(&mut self, call: &Call) -> Judged {
        let body = self.admitted(call)?;
        let id = body["openDingId"].as_str().unwrap_or("");
        if self.open.remove(id) {
            return Ok(Answer::json(200, &json!({ "openDingId": id })));
        }
        Err(new_error(400, "invalidParameter.param.invalid", "openDingId is unknown").into())
    }
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let members = [("13800000001", "u1"), ("13800000002", "u2")];
    let credentials = json!({ "app_key": "ding-key", "app_secret": "ding-app-secret", "robot_code": "dingbot", "members": members });
    let yaml = r#"dingtalk_call: { app_key: ding-key, app_secret: ding-app-secret, robot_code: dingbot, to: ["13800000001"], api_base: "BASE" }, send_resolved: true"#;
    let app = Sample::new(credentials, move || DingtalkApp::new("ding-key", "ding-app-secret", "dingbot", &members));
    vec![app.channel("dingtalk_call", "/robot/ding/send", &["ding-app-secret"], yaml)]
}
