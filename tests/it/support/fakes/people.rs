//! People by their addresses: Slack's `users.lookupByEmail`, WeCom's `user/getuserid`, DingTalk's `user/getbymobile` and Feishu's `users/batch_get_id`, each with
//! its own words for "nobody", "not permitted" and "too often".
//! <https://docs.slack.dev/reference/methods/users.lookupByEmail>, <https://developer.work.weixin.qq.com/document/path/91693>,
//! <https://open.dingtalk.com/document/orgapp/query-users-by-phone-number>, <https://open.feishu.cn/document/server-docs/contact-v3/user/batch_get_id>
//!
//! Choice where the documents are silent: WeCom answers 45009 while the interface is blocked for too many unknown numbers.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::dingtalk_card::DingtalkCard;
use super::feishu::{self, Feishu};
use super::slack::{self, Slack};
use super::token::TokenState;
use super::wecom::{self, Wecom};

/// What a platform knows of its people, and whether it says so.
#[derive(Debug, Default)]
pub struct People {
    /// Ids by mail address or mobile number, as the platform writes them.
    pub ids: HashMap<String, String>,
    /// Whether the application lacks the permission.
    pub forbidden: bool,
    /// Whether it was asked too often.
    pub blocked: bool,
    /// The addresses that it was asked for.
    pub asked: Vec<String>,
}

impl People {
    /// Somebody more.
    pub fn add(&mut self, address: &str, id: &str) {
        self.ids.insert(address.to_owned(), id.to_owned());
    }

    fn ask(&mut self, address: &str) -> Option<String> {
        self.asked.push(address.to_owned());
        self.ids.get(address).cloned()
    }
}

impl Slack {
    /// Arguments come in the query or as a form, not as JSON.
    pub(super) fn look_up(&mut self, call: &Call) -> Answer {
        let pairs: Vec<(String, String)> = call.query.iter().cloned().chain(call.form()).collect();
        let Some((_, email)) = pairs.iter().find(|(name, _)| name == "email") else { return slack::fail("invalid_arguments") };
        let id = self.people.ask(email);
        if self.people.blocked {
            return slack::too_fast(std::time::Duration::from_secs(30), false);
        }
        if self.people.forbidden {
            let body = json!({ "ok": false, "error": "missing_scope", "needed": "users:read.email", "provided": "chat:write" });
            return Answer::json(200, &body).refused("missing_scope");
        }
        match id {
            Some(id) => Answer::json(200, &json!({ "ok": true, "user": { "id": id, "team_id": "T0001", "name": "x", "deleted": false } })),
            None => slack::fail("users_not_found"),
        }
    }
}

impl Wecom {
    pub(super) fn user_id(&mut self, call: &Call) -> Result<Answer, Box<Answer>> {
        let (_, body) = self.admitted(call)?;
        let id = self.people.ask(body["mobile"].as_str().unwrap_or_default());
        if self.people.blocked {
            return Ok(wecom::refusal(call, 45009, "api freq out of limit"));
        }
        if self.people.forbidden {
            return Ok(wecom::refusal(call, 48002, "api forbidden"));
        }
        match id {
            Some(user) => Ok(Answer::json(200, &json!({ "errcode": 0, "errmsg": "ok", "userid": user }))),
            None => Ok(wecom::refusal(call, 46004, "user not exist")),
        }
    }
}

impl DingtalkCard {
    pub(super) fn user_id(&mut self, call: &Call) -> Answer {
        let no = |code: i64, words: &str| Answer::json(200, &json!({ "errcode": code, "errmsg": words, "request_id": "1" })).refused(code);
        if call.method != "POST" {
            return no(43002, "require POST method");
        }
        let token = call.param("access_token").unwrap_or_default();
        if !matches!(self.tokens.check(token, call.now.mono_ms), TokenState::Good(_)) {
            let body =
                json!({ "errcode": 88, "sub_code": "40014", "sub_msg": "不合法的access_token", "errmsg": "ding talk error", "request_id": "1" });
            return Answer::json(200, &body).refused(88);
        }
        let body = call.object().unwrap_or(Value::Null);
        let id = self.people.ask(body["mobile"].as_str().unwrap_or_default());
        if self.people.blocked {
            return no(90018, "您的服务器调用钉钉开放平台所有接口的请求都被暂时禁用了");
        }
        if self.people.forbidden {
            return no(60011, "没有调用该接口的权限");
        }
        match id {
            Some(user) => Answer::json(200, &json!({ "errcode": 0, "errmsg": "ok", "result": { "userid": user }, "request_id": "1" })),
            None => no(60121, "找不到该用户"),
        }
    }
}

impl Feishu {
    /// Whom nobody knows has no `user_id` in the list.
    pub(super) fn ids(&mut self, call: &Call) -> Result<Answer, Box<Answer>> {
        self.app(call)?;
        let body = call.object().ok_or_else(|| feishu::fail(400, 99_992_402, "field validation failed"))?;
        if self.people.blocked {
            return Err(feishu::fail(400, 99_991_400, "request trigger frequency limit").into());
        }
        if self.people.forbidden {
            let words = "Access denied. One of the following scopes is required: [contact:user.id:readonly]";
            return Err(feishu::fail(400, 99_991_672, words).into());
        }
        if call.param("user_id_type") != Some("open_id") {
            return Err(feishu::fail(400, 99_992_402, "field validation failed").into());
        }
        let mut list = Vec::new();
        for (kind, name) in [("mobiles", "mobile"), ("emails", "email")] {
            for address in body[kind].as_array().into_iter().flatten().filter_map(Value::as_str) {
                list.push(match self.people.ask(address) {
                    Some(id) => json!({ "user_id": id, name: address }),
                    None => json!({ name: address }),
                });
            }
        }
        Ok(Answer::json(200, &json!({ "code": 0, "msg": "success", "data": { "user_list": list } })))
    }
}
