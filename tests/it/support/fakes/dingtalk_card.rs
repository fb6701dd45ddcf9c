//! DingTalk's interactive cards: created and delivered by an application's robot, edited in their place, and pressed over Stream mode.
//! <https://open.dingtalk.com/document/orgapp/create-and-deliver-cards>, <https://open.dingtalk.com/document/orgapp/interactive-card-update-interface>
//!
//! Choices where the documents are silent: a second card with the `outTrackId` of one that is there is answered like the first, and nothing is delivered
//! again; an edit of a card that is not there is `param.cardNotExist`; an edit to what the card shows already is a success.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::call::{Answer, Call, Verdict};
use super::dingtalk_stream::Stream;
use super::people::People;
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;
use super::socket::{Heard, Line};
use super::token::{TokenState, Tokens};
use super::transcript::{Post, Transcript};

/// DingTalk's own template of markdown and buttons, and its variables, which others here have, too.
const TEMPLATE: (&str, [&str; 5]) = ("1366a1eb-bc54-4859-ac88-517c56a9acb1.schema", ["title", "logo", "markdown", "tips", "sys_full_json_obj"]);
/// Bytes of a variable's value, and of its name.
const MAX_VALUE: usize = 1024;
const MAX_NAME: usize = 100;

/// A card as DingTalk keeps it.
#[derive(Debug, Clone)]
pub struct Card {
    /// Its variables.
    pub params: BTreeMap<String, String>,
    /// Where it was delivered.
    pub space: String,
    /// Whether presses go to the application's stream.
    pub streams: bool,
    /// Who was pinged with it.
    pub pinged: Vec<String>,
}

/// An organisation with one application.
pub struct DingtalkCard {
    /// appKey (clientId) and appSecret.
    pub app: (String, String),
    /// The organisation.
    pub corp_id: String,
    /// The templates that it may use, by their ids.
    pub templates: HashSet<String>,
    /// Its robots.
    pub robots: HashSet<String>,
    /// Groups that the robot is in, and people in the application's visible range.
    pub spaces: HashSet<String>,
    /// Calls of the month that are left; `None`: unlimited.
    pub calls_left: Option<u64>,
    /// Whether the application has the permission for cards.
    pub permitted: bool,
    /// Words that the review of contents refuses.
    pub unsafe_word: Option<String>,
    /// Its tokens.
    pub tokens: Tokens,
    /// Calls of one interface by the application.
    pub pace: Limiter,
    /// Its cards by `outTrackId`.
    pub cards: HashMap<String, Card>,
    /// What people see.
    pub transcript: Transcript,
    /// The connections over which presses are reported.
    pub stream: Stream,
    /// Its people.
    pub people: People,
}

fn error(status: u16, code: &str, message: &str) -> Box<Answer> {
    Box::new(Answer::json(status, &json!({ "requestid": "8F1B5D0C-6A5B-7E0F-9D55-3E0C2B1A4D77", "code": code, "message": message })).refused(code))
}

/// A button of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its text.
    pub text: String,
    /// Its id, where it reports a press.
    pub id: Option<String>,
    /// Where it leads.
    pub url: Option<String>,
}

impl Card {
    /// A variable.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// Its buttons.
    pub fn buttons(&self) -> Vec<Shown> {
        let listed: Value = serde_json::from_str(self.param("sys_full_json_obj")).unwrap_or_default();
        let text = |one: &Value, name: &str| one[name].as_str().map(str::to_owned);
        let button = |one: &Value| Shown {
            text: text(one, "text").unwrap_or_default(),
            id: text(one, "id").filter(|_| one["request"] == true),
            url: text(one, "url"),
        };
        listed["msgButtons"].as_array().into_iter().flatten().map(button).collect()
    }

    /// What a person reads.
    pub fn text(&self) -> String {
        let labels: Vec<String> = self.buttons().into_iter().map(|button| format!("[{}]", button.text)).collect();
        let parts = [self.param("title").to_owned(), self.param("markdown").to_owned(), self.param("tips").to_owned(), labels.join(" ")];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

impl DingtalkCard {
    /// An application with one robot, in these groups (`cid...`) and seen by these people.
    pub fn new(app: (&str, &str), robot: &str, groups: &[&str], people: &[&str]) -> Self {
        let groups = groups.iter().map(|group| format!("dtv1.card//IM_GROUP.{group}"));
        let people = people.iter().map(|user| format!("dtv1.card//IM_ROBOT.{user}"));
        Self {
            app: (app.0.to_owned(), app.1.to_owned()),
            corp_id: "dingcorp1".to_owned(),
            templates: HashSet::from([TEMPLATE.0.to_owned()]),
            robots: HashSet::from([robot.to_owned()]),
            spaces: groups.chain(people).collect(),
            calls_left: None,
            permitted: true,
            unsafe_word: None,
            tokens: Tokens::new("dt-"),
            pace: Limiter::new(Pace::per(20, Duration::from_secs(1))),
            cards: HashMap::new(),
            transcript: Transcript::default(),
            stream: Stream::default(),
            people: People::default(),
        }
    }

    /// Somebody of this organisation presses the button with this text: the id of the message that reports it.
    pub fn press(&mut self, card: &str, label: &str, user: &str, corp_id: &str) -> String {
        let shown = &self.cards[card];
        let buttons = shown.buttons();
        let place = buttons.iter().position(|button| button.text == label).unwrap_or_else(|| panic!("no button {label}: {buttons:?}"));
        let id = buttons[place].id.as_ref().expect("a button that reports its press");
        assert!(shown.streams, "the card was delivered without `callbackType: STREAM`, so nobody hears of its presses");
        // Clients append the place of a button in its list.
        let content = json!({ "cardPrivateData": { "actionIds": [format!("{id}{place}")], "params": {} } }).to_string();
        let (kind, to) = shown.space.trim_start_matches("dtv1.card//").split_once('.').unwrap();
        let data = json!({
            "outTrackId": card, "corpId": corp_id, "userId": user, "userIdType": 1, "spaceId": to, "spaceType": kind, "type": "actionCallback",
            "extension": "{}", "content": content, "value": content,
        });
        self.stream.report(&data)
    }

    fn token(&mut self, call: &Call) -> Answer {
        let body = call.object().unwrap_or_default();
        if body["appKey"] != self.app.0.as_str() || body["appSecret"] != self.app.1.as_str() {
            return *error(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret");
        }
        let (token, left) = self.tokens.issue(&self.app.0, call.now.mono_ms);
        Answer::json(200, &json!({ "accessToken": token, "expireIn": left }))
    }

    /// Checks the token, the pace and the month's quota, and reads the body.
    fn admitted(&mut self, call: &Call) -> Result<Value, Box<Answer>> {
        let Some(token) = call.header("x-acs-dingtalk-access-token").filter(|token| !token.is_empty()) else {
            return Err(error(400, "AuthenticationFailed.MissingParameter", "x-acs-dingtalk-access-token is missing"));
        };
        if !matches!(self.tokens.check(token, call.now.mono_ms), TokenState::Good(_)) {
            return Err(error(400, "InvalidAuthentication", "不合法的access_token"));
        }
        if !self.permitted {
            let code = "Forbidden.AccessDenied.AccessTokenPermissionDenied";
            return Err(error(403, code, "应用尚未开通所需的权限：[Card.Instance.Write]"));
        }
        if self.pace.take(&format!("{} {}", call.method, call.path), call.now.mono_ms).is_err() {
            return Err(error(403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "您的服务器调用钉钉开放平台所有接口的请求都被暂时禁用了"));
        }
        if let Some(left) = &mut self.calls_left {
            if *left == 0 {
                return Err(error(403, "Forbidden.AccessDenied.ApiCountLimitForOrg", "本月调用量已用完"));
            }
            *left -= 1;
        }
        let body = if call.media_type() == "application/json" { call.object() } else { None };
        body.ok_or_else(|| error(400, "param.empty", "the body is not a JSON object"))
    }

    /// Variables that a card takes.
    fn params(&self, data: &Value) -> Result<BTreeMap<String, String>, Box<Answer>> {
        let map = data["cardParamMap"].as_object().filter(|map| !map.is_empty());
        let map = map.ok_or_else(|| error(400, "param.cardPublicDataEmpty", "cardData.cardParamMap is empty"))?;
        let mut params = BTreeMap::new();
        for (name, value) in map {
            let invalid = |why: &str| error(400, "param.invalid", &format!("cardParamMap.{name}: {why}"));
            let value = value.as_str().ok_or_else(|| invalid("it is no string"))?;
            if name.len() > MAX_NAME || value.len() > MAX_VALUE {
                return Err(invalid("it is too long"));
            }
            if self.unsafe_word.as_ref().is_some_and(|word| value.contains(word)) {
                return Err(error(400, "param.contentUnsafe", "the content is unsafe"));
            }
            if TEMPLATE.1.contains(&name.as_str()) {
                params.insert(name.clone(), value.to_owned());
            }
        }
        Ok(params)
    }

    fn deliver(&mut self, call: &Call) -> Result<Answer, Box<Answer>> {
        let body = self.admitted(call)?;
        let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty());
        let id = text("outTrackId").ok_or_else(|| error(400, "param.outTrackIdEmpty", "outTrackId is empty"))?;
        match text("cardTemplateId") {
            None => return Err(error(400, "param.cardTemplateIdEmpty", "cardTemplateId is empty")),
            Some(template) if !self.templates.contains(template) => {
                return Err(error(400, "param.cardTemplateNotExist", "the template does not exist"));
            }
            Some(_) => {}
        }
        let params = self.params(&body["cardData"])?;
        let space = text("openSpaceId").unwrap_or_default().to_owned();
        let (kind, model, deliver) = match space.trim_start_matches("dtv1.card//").split_once('.') {
            Some(("IM_GROUP", _)) => ("IM_GROUP", "imGroupOpenSpaceModel", "imGroupOpenDeliverModel"),
            Some(("IM_ROBOT", _)) => ("IM_ROBOT", "imRobotOpenSpaceModel", "imRobotOpenDeliverModel"),
            _ => return Err(error(400, "param.openSpaceModelInvalid", "openSpaceId is invalid")),
        };
        if !space.starts_with("dtv1.card//") || !body[model].is_object() || !body[deliver].is_object() {
            return Err(error(400, "param.openSpaceModelInvalid", "the space has no model"));
        }
        let robot = body[deliver]["robotCode"].as_str().unwrap_or_default();
        let result = |success: bool, why: &str| {
            let delivered = json!({ "spaceId": space, "spaceType": kind, "success": success, "errorMsg": why, "carrierId": id });
            Answer::json(200, &json!({ "success": true, "result": { "outTrackId": id, "deliverResults": [delivered] } }))
        };
        let is_there = if kind == "IM_GROUP" { self.robots.contains(robot) } else { body[deliver]["spaceType"] == "IM_ROBOT" };
        if !is_there || !self.spaces.contains(&space) {
            return Ok(result(false, "robot is not in the conversation").refused("deliverResults"));
        }
        if self.cards.contains_key(id) {
            return Ok(result(true, "").verdict(Verdict::Duplicate));
        }
        let pinged = body[deliver]["atUserIds"].as_object().into_iter().flatten().map(|(user, _)| user.clone()).collect();
        let card = Card { params, space: space.clone(), streams: body["callbackType"] == "STREAM", pinged };
        let post = Post { text: card.text(), author: self.app.0.clone(), posted_ms: call.now.mono_ms, ..Post::default() };
        super::server::forget_when_full(&mut self.cards);
        self.transcript.post(id, post, true);
        let answer = result(true, "").accepted("ok", card.text()).to([space.clone()]);
        self.cards.insert(id.to_owned(), card);
        Ok(answer)
    }

    fn update(&mut self, call: &Call) -> Result<Answer, Box<Answer>> {
        let body = self.admitted(call)?;
        let id = body["outTrackId"].as_str().filter(|id| !id.is_empty()).ok_or_else(|| error(400, "param.outTrackIdEmpty", "outTrackId is empty"))?;
        if self.transcript.get(id).is_none() || !self.cards.contains_key(id) {
            return Err(error(400, "param.cardNotExist", "card not exist"));
        }
        let params = self.params(&body["cardData"])?;
        self.change(id, params, body["cardUpdateOptions"]["updateCardDataByKey"] == true);
        Ok(Answer::json(200, &json!({ "success": true, "result": true })))
    }

    fn change(&mut self, id: &str, params: BTreeMap<String, String>, by_key: bool) {
        let Some(card) = self.cards.get_mut(id) else { return };
        if by_key {
            card.params.extend(params);
        } else {
            card.params = params;
        }
        let text = card.text();
        self.transcript.edit(id, |post| post.text = text);
    }
}

impl Platform for DingtalkCard {
    fn name(&self) -> &'static str {
        "dingtalk_card"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let answer = match (call.method.as_str(), call.path.as_str()) {
            ("POST", "/v1.0/oauth2/accessToken") => Ok(self.token(call)),
            ("POST", "/v1.0/card/instances/createAndDeliver") => self.deliver(call),
            ("PUT", "/v1.0/card/instances") => self.update(call),
            (_, "/topapi/v2/user/getbymobile") => Ok(self.user_id(call)),
            ("POST", "/v1.0/gateway/connections/open") => self.stream.ticket(call, &self.app),
            _ => Err(error(404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.")),
        };
        answer.unwrap_or_else(|refusal| *refusal)
    }

    fn open(&mut self, call: &Call, line: Line) -> Result<(), Box<Answer>> {
        self.stream.open(call, line)
    }

    fn heard(&mut self, line: u64, heard: &Heard) {
        let Some((card, response)) = self.stream.heard(line, heard) else { return };
        let by_key = response["cardUpdateOptions"]["updateCardDataByKey"] == true;
        let map = response["cardData"]["cardParamMap"].as_object().cloned().unwrap_or_else(Map::new);
        if !map.is_empty() {
            match self.params(&response["cardData"]) {
                Ok(params) => self.change(&card, params, by_key),
                Err(refusal) => self.stream.faults.push(format!("the answer's card is refused: {}", refusal.code)),
            }
        }
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace]
    }

    fn transcript(&mut self) -> Option<&mut Transcript> {
        Some(&mut self.transcript)
    }
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let credentials = json!({ "app_key": "ding-card-key", "app_secret": "ding-card-secret", "robot_code": "dingcardbot", "to": ["cidOPS=="] });
    let yaml =
        r#"dingtalk_card: { app_key: ding-card-key, app_secret: ding-card-secret, robot_code: dingcardbot, to: ["cidOPS=="], api_base: "BASE" }"#;
    let app = Sample::new(credentials, || DingtalkCard::new(("ding-card-key", "ding-card-secret"), "dingcardbot", &["cidOPS=="], &["anna"]));
    vec![app.channel("dingtalk_card", "/createAndDeliver", &["ding-card-secret"], yaml)]
}
