//! What a bot may do in a chat. Pure. <https://core.telegram.org/bots/api#chatmember>, <https://core.telegram.org/bots/api#chatpermissions>

use serde_json::Value;

/// What a bot that is this `member` of a group or channel lacks to write there; edits of its own messages take no more.
pub(super) fn lacks(chat: &Value, member: &Value) -> Option<&'static str> {
    let is_channel = chat["type"] == "channel";
    match member["status"].as_str().unwrap_or_default() {
        "left" | "kicked" => Some("the bot is not in the chat; add it"),
        "administrator" if is_channel && member["can_post_messages"] == false => {
            Some("the bot lacks the right *Post messages* (`can_post_messages`) of the channel's administrators")
        }
        "member" | "restricted" if is_channel => {
            Some("only administrators write in a channel; make the bot one, with *Post messages* (`can_post_messages`)")
        }
        "restricted" if member["can_send_messages"] == false => {
            Some("the bot is restricted: it lacks the right `can_send_messages`; lift it in the group's list of members")
        }
        "member" if chat["permissions"]["can_send_messages"] == false => {
            Some("members may not write in the group (`can_send_messages`); allow it, or make the bot an administrator")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_bot_lacks_is_named() {
        let (open, closed) = (json!({ "can_send_messages": true }), json!({ "can_send_messages": false }));
        for (chat, permissions, member, lacking) in [
            ("supergroup", &open, json!({ "status": "member" }), ""),
            ("supergroup", &closed, json!({ "status": "administrator" }), ""),
            ("supergroup", &closed, json!({ "status": "member" }), "can_send_messages"),
            ("group", &open, json!({ "status": "left" }), "not in the chat"),
            ("group", &open, json!({ "status": "kicked" }), "not in the chat"),
            ("supergroup", &open, json!({ "status": "restricted", "can_send_messages": false }), "restricted"),
            ("supergroup", &open, json!({ "status": "restricted", "can_send_messages": true }), ""),
            ("channel", &open, json!({ "status": "administrator", "can_post_messages": true }), ""),
            ("channel", &open, json!({ "status": "administrator", "can_post_messages": false }), "can_post_messages"),
            ("channel", &open, json!({ "status": "member" }), "can_post_messages"),
        ] {
            let found = lacks(&json!({ "type": chat, "permissions": permissions }), &member);
            assert!(found.map_or(lacking.is_empty(), |found| !lacking.is_empty() && found.contains(lacking)), "{chat} {member}: {found:?}");
        }
    }
}
