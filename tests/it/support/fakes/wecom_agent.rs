//! What WeCom says of an application. <https://developer.work.weixin.qq.com/document/path/90227>

use serde_json::json;

use super::call::{Answer, Call};
use super::token::TokenState;
use super::wecom::{Wecom, refusal};

impl Wecom {
    pub(super) fn agent(&self, call: &Call) -> Result<Answer, Box<Answer>> {
        let no = |code, text| Box::new(refusal(call, code, text));
        let token = call.param("access_token").filter(|t| !t.is_empty()).ok_or_else(|| no(41001, "access_token missing"))?;
        let TokenState::Good(agent) = self.tokens.check(token, call.now.mono_ms) else { return Err(no(40014, "invalid access_token")) };
        if !self.ip_trusted {
            return Err(no(60020, "not allow to access from your ip"));
        }
        let asked = call.param("agentid").unwrap_or_default();
        if agent != asked {
            return Err(no(301_002, "not allow operate another agent with this accesstoken"));
        }
        let number: i64 = asked.parse().unwrap_or(0);
        let found = json!({ "errcode": 0, "errmsg": "ok", "agentid": number, "name": "Watchfire", "close": i64::from(self.disabled) });
        Ok(Answer::json(200, &found))
    }
}
