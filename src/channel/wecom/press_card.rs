//! What takes the place of a card's buttons, after a press or in the end. Pure. <https://developer.work.weixin.qq.com/document/path/94888>

use serde_json::{Value, json};

use crate::channel::kit::cut_units;

/// Our own, for what takes a button's place; no limit is documented.
const MAX_REPLACED: usize = 60;

/// What takes the buttons' place: for everybody who got the card, or for one person.
pub(super) fn replaced(text: &str, response_code: &str, agent_id: u32, only: Option<&str>) -> Value {
    let mut body = json!({ "agentid": agent_id, "response_code": response_code, "button": { "replace_name": cut_units(text, MAX_REPLACED) } });
    match only {
        Some(user) => body["userids"] = json!([user]),
        None => body["atall"] = 1.into(),
    }
    body
}
