//! Slack's messages: posted, answered in a thread, edited and deleted. A reply whose first message was deleted is no error: it is posted as a message of
//! its own, and the answer names no thread. <https://docs.slack.dev/reference/methods/chat.update>

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::slack::{Slack, fail, too_fast};
use super::slack_blocks::Reading;
use super::slack_socket::buttons;
use super::transcript::Post;

/// The text of an edit.
const MAX_EDITED_TEXT: usize = 4000;

fn key(channel: &str, ts: &str) -> String {
    format!("{channel}/{ts}")
}

fn ts_of(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or("").to_owned()
}

impl Slack {
    /// `chat.delete`: only the author's own.
    pub(super) fn delete(&mut self, channel: &str, body: &Value, token: &str) -> Answer {
        let ts = ts_of(body, "ts");
        match self.transcript.get(&key(channel, &ts)).map(|post| post.author == token) {
            None => fail("message_not_found"),
            Some(false) => fail("cant_delete_message"),
            Some(true) => {
                self.transcript.delete(&key(channel, &ts));
                Answer::json(200, &json!({ "ok": true, "channel": channel, "ts": ts }))
            }
        }
    }

    /// `chat.update`: the whole content again, of the author's own message, while the workspace lets it.
    pub(super) fn update(&mut self, call: &Call, channel: &str, body: &Value, token: &str, reading: &Reading) -> Answer {
        if let Err(wait) = self.edits.take(token, call.now.mono_ms) {
            return too_fast(wait, false);
        }
        let ts = ts_of(body, "ts");
        match self.transcript.get(&key(channel, &ts)).map(|post| post.author == token) {
            None => return fail("message_not_found"),
            Some(false) => return fail("cant_update_message"),
            Some(true) if self.edit_window_closed => return fail("edit_window_closed"),
            Some(true) => {}
        }
        if body["text"].as_str().is_some_and(|text| text.chars().count() > MAX_EDITED_TEXT) {
            return fail("msg_too_long");
        }
        let text = reading.texts.join("\n");
        self.transcript.edit(&key(channel, &ts), |post| {
            post.text.clone_from(&text);
            post.extra = buttons(body);
        });
        let reply = json!({ "ok": true, "channel": channel, "ts": ts, "text": body["text"], "message": { "type": "message", "text": body["text"] } });
        Answer::json(200, &reply).accepted("ok", text)
    }

    /// `chat.postMessage`: the answer, and whom it reaches.
    pub(super) fn post(&mut self, call: &Call, channel: &str, body: &Value, token: &str, reading: &mut Reading) -> (Value, Answer) {
        self.counter += 1;
        let ts = format!("{}.{:06}", call.now.wall_s(), self.counter % 1_000_000);
        let text = reading.texts.join("\n");
        let asked = body["thread_ts"].as_str().filter(|ts| !ts.is_empty());
        let parent = asked.filter(|ts| self.transcript.get(&key(channel, ts)).is_some());
        let pings = std::mem::take(&mut reading.pings);
        // Who does not follow a thread hears of a reply that mentions, or that is shown in the channel as well.
        let rings = parent.is_none() || !pings.is_empty() || body["reply_broadcast"] == true;
        let post = Post {
            text: text.clone(),
            parent: parent.map(str::to_owned),
            author: token.to_owned(),
            posted_ms: call.now.mono_ms,
            extra: buttons(body),
            ..Post::default()
        };
        self.transcript.post(key(channel, &ts), post, rings);
        let mut message = json!({ "type": "message", "subtype": "bot_message", "bot_id": "B0001", "text": body["text"], "ts": ts });
        if let Some(parent) = parent {
            message["thread_ts"] = json!(parent);
        }
        let reply = json!({ "ok": true, "channel": channel, "ts": ts, "message": message });
        let to = std::iter::once(channel.to_owned()).chain(pings);
        (reply, Answer::json(200, &Value::Null).accepted("ok", text).to(to).notes(reading.notes()))
    }
}
