//! WeCom (企业微信) applications: `GET /cgi-bin/gettoken`, `POST /cgi-bin/message/send`, `message/recall` and
//! `user/getuserid`. HTTP 200 whatever happens. Over 30 messages a minute a member silently gets nothing.
//!
//! Choices where the documents are silent: markdown over 2048 bytes is 45002 (text is cut, as documented);
//! an `agentid` that is not a JSON integer is 40058 (the code of the schema check), an unknown one 40056.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::call::{Answer, Call, Verdict};
use super::crypt::sha256_hex;
use super::people::People;
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::{Platform, forget_when_full};
use super::token::{TokenState, Tokens};
use super::wecom_cards::Cards;

/// Messages that one member gets per minute; the rest is dropped without a word.
pub const MEMBER_MINUTE: Pace = Pace::per(30, Duration::from_secs(60));
/// Messages that one member gets per hour.
pub const MEMBER_HOUR: Pace = Pace::per(1000, Duration::from_secs(3600));
/// Calls of one API per corporation; a breach locks it for a minute (45009).
pub const API_MINUTE: Pace = Pace::Rolling { limit: 10_000, window: Duration::from_secs(60), penalty: Duration::from_secs(60) };
/// The most bytes of `text.content` (cut) and `markdown.content` (refused).
pub const MAX_CONTENT: usize = 2048;

/// The corporation.
pub struct Wecom {
    /// `corpid`.
    pub corp_id: String,
    /// Applications: agent id -> secret.
    pub apps: HashMap<i64, String>,
    /// The members in the applications' visible range; `None`: every user id is one.
    pub members: Option<HashSet<String>>,
    /// Its members by their mobiles.
    pub people: People,
    /// Departments and tags that exist; `None`: every id does.
    pub groups: Option<HashSet<String>>,
    /// Whether the caller's address is trusted; otherwise 60020.
    pub ip_trusted: bool,
    /// Whether the applications are disabled.
    pub disabled: bool,
    /// The token desk.
    pub tokens: Tokens,
    /// See [`MEMBER_MINUTE`].
    pub member_minute: Limiter,
    /// See [`MEMBER_HOUR`].
    pub member_hour: Limiter,
    /// See [`API_MINUTE`].
    pub api: Limiter,
    /// Its cards with buttons.
    pub cards: Cards,
    seen: HashMap<(i64, String), u64>,
    sent: HashMap<String, ()>,
    next_id: u64,
}

impl Wecom {
    /// A corporation with one application.
    pub fn new(corp_id: &str, agent_id: i64, secret: &str) -> Self {
        Self {
            corp_id: corp_id.to_owned(),
            apps: HashMap::from([(agent_id, secret.to_owned())]),
            members: None,
            people: People::default(),
            groups: None,
            ip_trusted: true,
            disabled: false,
            tokens: Tokens::new("wc-"),
            member_minute: Limiter::new(MEMBER_MINUTE),
            member_hour: Limiter::new(MEMBER_HOUR),
            api: Limiter::new(API_MINUTE),
            cards: Cards::default(),
            seen: HashMap::new(),
            sent: HashMap::new(),
            next_id: 0,
        }
    }

    /// Restricts the visible range to these members.
    pub fn with_members(mut self, members: &[&str]) -> Self {
        self.members = Some(members.iter().map(|m| (*m).to_owned()).collect());
        self
    }

    /// Turns off all pace.
    pub fn unpaced(mut self) -> Self {
        self.member_minute.set(Pace::Off);
        self.member_hour.set(Pace::Off);
        self.api.set(Pace::Off);
        self
    }
}

/// A refusal with the platform's usual tail.
pub fn refusal(call: &Call, code: i64, text: &str) -> Answer {
    let hint = format!("{}{:09}", call.now.wall_ms, call.now.mono_ms % 1_000_000_000);
    let errmsg = format!("{text}, hint: [{hint}], from ip: {}, more info at https://open.work.weixin.qq.com/devtool/query?e={code}", call.peer);
    Answer::json(200, &json!({ "errcode": code, "errmsg": errmsg })).refused(code)
}

impl Platform for Wecom {
    fn name(&self) -> &'static str {
        "wecom"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        if self.api.take(&call.path, call.now.mono_ms).is_err() {
            return refusal(call, 45009, "api freq out of limit");
        }
        let answer = match call.path.as_str() {
            "/cgi-bin/gettoken" => return self.token(call),
            "/cgi-bin/agent/get" => self.agent(call),
            "/cgi-bin/message/send" => self.send(call),
            "/cgi-bin/message/recall" => self.recall(call),
            "/cgi-bin/message/update_template_card" => self.update_card(call),
            "/cgi-bin/user/getuserid" => self.user_id(call),
            _ => return Answer::text(404, "404 page not found").refused("404"),
        };
        answer.unwrap_or_else(|refusal| *refusal)
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.member_minute, &mut self.member_hour, &mut self.api]
    }
}

type Judged = Result<Answer, Box<Answer>>;

impl Wecom {
    fn token(&mut self, call: &Call) -> Answer {
        let no = |code, text| refusal(call, code, text);
        let Some(corp) = call.param("corpid").filter(|v| !v.is_empty()) else { return no(41002, "corpid missing") };
        let Some(secret) = call.param("corpsecret").filter(|v| !v.is_empty()) else { return no(41004, "corpsecret missing") };
        if corp != self.corp_id {
            return no(40013, "invalid corpid");
        }
        let Some(agent) = self.apps.iter().find(|(_, s)| *s == secret).map(|(a, _)| *a) else { return no(40001, "invalid credential") };
        let (token, expires_in) = self.tokens.issue(&agent.to_string(), call.now.mono_ms);
        let body = json!({ "errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": expires_in });
        let mut answer = Answer::json(200, &body);
        answer.code = "0".to_owned();
        answer
    }

    /// Checks method, token and body; returns the token's agent and the body.
    pub(super) fn admitted(&self, call: &Call) -> Result<(i64, Value), Box<Answer>> {
        let no = |code, text| Box::new(refusal(call, code, text));
        if call.method != "POST" {
            return Err(no(43002, "require POST method"));
        }
        let token = call.param("access_token").filter(|t| !t.is_empty()).ok_or_else(|| no(41001, "access_token missing"))?;
        let agent = match self.tokens.check(token, call.now.mono_ms) {
            TokenState::Good(agent) => agent,
            TokenState::Expired => return Err(no(42001, "access_token expired")),
            TokenState::Invalid => return Err(no(40014, "invalid access_token")),
        };
        if !self.ip_trusted {
            return Err(no(60020, "not allow to access from your ip"));
        }
        if has_unicode_escape(&call.body) {
            return Err(no(40033, "invalid charset: body contains \\uxxxx"));
        }
        let body = call.object().ok_or_else(|| no(47001, "data format error"))?;
        Ok((agent.parse().unwrap_or(-1), body))
    }

    fn send(&mut self, call: &Call) -> Judged {
        let (token_agent, body) = self.admitted(call)?;
        let no = |code, text: &str| Box::new(refusal(call, code, text));
        let (text, mut notes) = read_content(&body).map_err(|(code, text)| no(code, &text))?;
        let agent = match body.get("agentid") {
            None | Some(Value::Null) => return Err(no(41011, "agentid missing")),
            Some(v) => v.as_i64().ok_or_else(|| no(40058, "agentid expect type int. invalid Request Parameter"))?,
        };
        if !self.apps.contains_key(&agent) {
            return Err(no(40056, "invalid agentid"));
        }
        if agent != token_agent {
            return Err(no(301_002, "agentid not match the access_token"));
        }
        for (field, allowed) in
            [("safe", 0..=2), ("enable_id_trans", 0..=1), ("enable_duplicate_check", 0..=1), ("duplicate_check_interval", 0..=14_400)]
        {
            if body.get(field).is_some_and(|v| !v.as_i64().is_some_and(|n| allowed.contains(&n))) {
                return Err(no(40058, &format!("{field} invalid. invalid Request Parameter")));
            }
        }
        let targets = self.targets(&body).map_err(|(code, text)| no(code, text))?;
        if targets.reached.is_empty() {
            let mut answer = no(81013, "user & party & tag all invalid");
            answer.to = targets.invalid_user;
            return Err(answer);
        }
        let code = self.cards.take(&body["template_card"], call.now).map_err(|(code, text)| no(code, &text))?;
        self.next_id += 1;
        let msgid = format!("msg-{:08}-{}", self.next_id, call.now.wall_ms);
        let mut reply = Map::new();
        reply.insert("errcode".into(), json!(0));
        reply.insert("errmsg".into(), json!("ok"));
        for (name, list) in [("invaliduser", &targets.invalid_user), ("invalidparty", &targets.invalid_party), ("invalidtag", &targets.invalid_tag)] {
            if !list.is_empty() {
                reply.insert(name.into(), json!(list.join("|")));
            }
        }
        reply.insert("msgid".into(), json!(msgid));
        reply.extend(code.map(|code| ("response_code".to_owned(), json!(code))));
        let answer = Answer::json(200, &Value::Object(reply));
        if body.get("enable_duplicate_check").and_then(Value::as_i64) == Some(1) {
            let window = body.get("duplicate_check_interval").and_then(Value::as_u64).unwrap_or(1800) * 1000;
            let (key, now) = ((agent, sha256_hex(&call.body)), call.now.mono_ms);
            if self.seen.get(&key).is_some_and(|&at| now < at + window) {
                return Ok(answer.accepted(0, "").verdict(Verdict::Duplicate));
            }
            forget_when_full(&mut self.seen);
            self.seen.insert(key, now);
        }
        forget_when_full(&mut self.sent);
        self.sent.insert(msgid, ());
        let (mut reached, now) = (Vec::new(), call.now.mono_ms);
        for who in targets.reached {
            let key = format!("{agent}/{who}");
            if self.member_minute.take(&key, now).is_ok() && self.member_hour.take(&key, now).is_ok() {
                reached.push(who);
            } else {
                notes.push(format!("dropped:{who}"));
            }
        }
        let all_dropped = reached.is_empty();
        let answer = answer.accepted(0, text).to(reached).notes(notes);
        Ok(if all_dropped { answer.verdict(Verdict::Dropped) } else { answer })
    }

    fn targets(&self, body: &Value) -> Result<Targets, (i64, &'static str)> {
        let list = |field: &str, most: usize| -> Result<Vec<String>, (i64, &'static str)> {
            let text = match body.get(field) {
                None | Some(Value::Null) => "",
                Some(v) => v.as_str().ok_or((40058, "touser, toparty and totag expect type string. invalid Request Parameter"))?,
            };
            let ids: Vec<String> = text.split('|').filter(|s| !s.trim().is_empty()).map(|s| s.trim().to_lowercase()).collect();
            if ids.len() > most { Err((82002, "the list of receivers is too long")) } else { Ok(ids) }
        };
        let (users, parties, tags) = (list("touser", 1000)?, list("toparty", 100)?, list("totag", 100)?);
        if users.is_empty() && parties.is_empty() && tags.is_empty() {
            return Err((81012, "no user or party or tag"));
        }
        let mut out = Targets::default();
        if users == ["@all"] {
            match &self.members {
                Some(all) => out.reached.extend(all.iter().cloned()),
                None => out.reached.push("@all".to_owned()),
            }
            return Ok(out);
        }
        for user in users {
            let known = self.members.as_ref().is_none_or(|m| m.iter().any(|k| k.to_lowercase() == user));
            if known { out.reached.push(user) } else { out.invalid_user.push(user) }
        }
        for (ids, prefix, invalid) in [(parties, "party:", &mut out.invalid_party), (tags, "tag:", &mut out.invalid_tag)] {
            for id in ids {
                let known = self.groups.as_ref().is_none_or(|g| g.contains(&format!("{prefix}{id}")));
                if known { out.reached.push(format!("{prefix}{id}")) } else { invalid.push(id) }
            }
        }
        Ok(out)
    }

    fn recall(&mut self, call: &Call) -> Judged {
        let (_, body) = self.admitted(call)?;
        let known = body.get("msgid").and_then(Value::as_str).is_some_and(|id| self.sent.remove(id).is_some());
        if known {
            Ok(Answer::json(200, &json!({ "errcode": 0, "errmsg": "ok" })))
        } else {
            Ok(refusal(call, 40058, "msgid invalid. invalid Request Parameter"))
        }
    }

    fn update_card(&mut self, call: &Call) -> Judged {
        let (agent, body) = self.admitted(call)?;
        match body.get("agentid").map(Value::as_i64) {
            None => return Err(refusal(call, 41011, "agentid missing").into()),
            Some(Some(of)) if of == agent => {}
            Some(_) => return Err(refusal(call, 42015, "the card is another application's").into()),
        }
        match self.cards.update(&body, call.now) {
            Ok(()) => Ok(Answer::json(200, &json!({ "errcode": 0, "errmsg": "ok" }))),
            Err((code, text)) => Err(refusal(call, code, &text).into()),
        }
    }
}

#[derive(Default)]
struct Targets {
    reached: Vec<String>,
    invalid_user: Vec<String>,
    invalid_party: Vec<String>,
    invalid_tag: Vec<String>,
}

/// What the member reads, and notes; or the refusal.
fn read_content(body: &Value) -> Result<(String, Vec<String>), (i64, String)> {
    let kind = body.get("msgtype").and_then(Value::as_str).unwrap_or("");
    let part = body.get(kind).unwrap_or(&Value::Null);
    let bad = |text: String| (40058, format!("{text}. invalid Request Parameter"));
    let field = |name: &str, missing: i64| -> Result<String, (i64, String)> {
        match part.get(name) {
            Some(Value::String(s)) if !s.is_empty() => Ok(s.clone()),
            None | Some(Value::Null | Value::String(_)) => Err((missing, format!("empty {kind}.{name}"))),
            Some(_) => Err(bad(format!("{kind}.{name} expect type string"))),
        }
    };
    match kind {
        "text" => {
            let content = field("content", 44004)?;
            let cut = floor_char(&content, MAX_CONTENT);
            let notes = if cut < content.len() { vec![format!("truncated:{}", content.len() - cut)] } else { Vec::new() };
            Ok((content[..cut].to_owned(), notes))
        }
        "markdown" => {
            let content = field("content", 44004)?;
            if content.len() > MAX_CONTENT {
                return Err((45002, format!("message content size out of limit, markdown.content exceed max length {MAX_CONTENT}")));
            }
            Ok((content, Vec::new()))
        }
        "textcard" => {
            let (title, description, url) = (field("title", 40058)?, field("description", 41033)?, field("url", 40058)?);
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err((45034, "textcard.url has no scheme".to_owned()));
            }
            if url.len() > 2048 {
                return Err(bad("textcard.url exceed max length 2048".to_owned()));
            }
            if part.get("btntxt").is_some_and(|b| b.as_str().is_none_or(|s| s.chars().count() > 4)) {
                return Err(bad("textcard.btntxt exceed max length 4".to_owned()));
            }
            let mut notes = Vec::new();
            let mut cut = |s: String, most: usize| {
                let n = s.chars().count();
                if n > most {
                    notes.push(format!("truncated:{}", n - most));
                }
                s.chars().take(most).collect::<String>()
            };
            let text = format!("{}\n{}", cut(title, 128), cut(description, 512));
            Ok((text, notes))
        }
        "news" => {
            let articles =
                part.get("articles").and_then(Value::as_array).filter(|a| !a.is_empty()).ok_or_else(|| bad("news.articles missing".to_owned()))?;
            if articles.len() > 8 {
                return Err((45008, "article count out of limit".to_owned()));
            }
            Ok((articles.iter().filter_map(|a| a.get("title")?.as_str()).collect::<Vec<_>>().join("\n"), Vec::new()))
        }
        "template_card" => {
            let card = part.get("card_type").and_then(Value::as_str).unwrap_or("");
            if !matches!(card, "text_notice" | "news_notice" | "button_interaction" | "vote_interaction" | "multiple_interaction") {
                return Err(bad("template_card.card_type invalid".to_owned()));
            }
            if matches!(card, "text_notice" | "news_notice") && !part["card_action"].is_object() {
                return Err(bad("template_card.card_action missing".to_owned()));
            }
            let title = [&part["main_title"]["title"], &part["main_title"]["desc"], &part["sub_title_text"]];
            Ok((title.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join("\n"), Vec::new()))
        }
        _ => Err((40008, "invalid message type".to_owned())),
    }
}

/// The largest character boundary that is not after `most`.
pub fn floor_char(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// Whether a JSON body spells a character as `\uXXXX` (a doubled backslash before the `u` is not an escape).
pub fn has_unicode_escape(body: &[u8]) -> bool {
    let mut escaped = false;
    for &b in body {
        if escaped && b == b'u' {
            return true;
        }
        escaped = b == b'\\' && !escaped;
    }
    false
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let credentials = json!({ "corp_id": "ww-corp", "agent_id": 1_000_002, "secret": "wecom-secret" });
    let corp = || Wecom::new("ww-corp", 1_000_002, "wecom-secret").with_members(&["zhangsan", "lisi"]);
    let yaml = r#"wecom: { corp_id: ww-corp, agent_id: 1000002, secret: wecom-secret, to_user: "zhangsan|lisi", api_base: "BASE" }"#;
    vec![Sample::new(credentials, corp).channel("wecom", "/cgi-bin/message/send", &["wecom-secret"], yaml)]
}
