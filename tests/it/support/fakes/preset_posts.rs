//! What the services of the table keep of their messages: ntfy's sequences (<https://docs.ntfy.sh/publish/#updating-deleting-notifications>) and Google
//! Chat's threads (<https://developers.google.com/workspace/chat/create-messages#create-message-thread>).

use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::presets::ntfy;
use super::transcript::{Post, Transcript};

/// The refusal of a text that the service had before, in the words that ServerChan and PushPlus are known for.
pub fn repeated(service: &str, text: &str, before: &mut Vec<String>) -> Option<Answer> {
    if !before.iter().any(|known| known == text) {
        before.push(text.to_owned());
        return None;
    }
    let words = "不要重复发送同样的内容";
    Some(match service {
        "serverchan" => {
            Answer::json(400, &json!({ "message": format!("[INPUT]{words}"), "code": 40001, "info": words, "scode": 461 })).refused(40001)
        }
        _ => Answer::json(200, &json!({ "code": 999, "msg": "请勿频繁推送相同内容", "data": null })).refused(999),
    })
}

/// Keeps a message that was taken. `replaces`: a server of ntfy's that knows sequences.
pub fn keep(service: &str, call: &Call, fields: &Map<String, Value>, text: &str, replaces: bool, room: &mut Transcript) -> Result<(), Box<Answer>> {
    let word = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("").to_owned();
    let place = format!("#{}", room.posted() + 1);
    let mut post = Post { text: text.to_owned(), posted_ms: call.now.mono_ms, ..Post::default() };
    match service {
        "ntfy" => {
            let sequence = word(fields.get("sequence_id"));
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if sequence.len() > 64 || !sequence.chars().all(is_name) {
                return Err(ntfy(40049, "invalid request: sequence ID invalid").into());
            }
            let loud = fields.get("priority").and_then(Value::as_u64).unwrap_or(3) > 2;
            let id = if sequence.is_empty() || !replaces { place } else { format!("{}/{sequence}", word(fields.get("topic"))) };
            if room.get(&id).is_none() {
                room.post(id, post, loud);
                return Ok(());
            }
            // The phone shows the new notification in the old one's place, as loudly as its priority says.
            if loud {
                room.ring(text);
            }
            room.edit(&id, |kept| text.clone_into(&mut kept.text));
        }
        "googlechat" => {
            // Without the option the key is ignored.
            let thread = fields.get("thread");
            let key = word(thread.and_then(|thread| thread.get("threadKey")));
            let answers = call.param("messageReplyOption").is_some_and(|option| option.starts_with("REPLY_MESSAGE"));
            if answers && !key.is_empty() {
                let first = format!("threads/{key}");
                if room.get(&first).is_none() {
                    room.post(first, post, true);
                    return Ok(());
                }
                post.parent = Some(first);
            }
            room.post(place, post, true);
        }
        _ => room.post(place, post, true),
    }
    Ok(())
}
