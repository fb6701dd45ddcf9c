//! Messages that live on, at the fakes: edits, replies, deletion, closed windows and what makes a sound, by hand from the platforms' documents.

use serde_json::{Value, json};

use crate::support::fakes::{Answer, Call, Discord, Feishu, Mattermost, Now, Pace, Platform, Preset, Room, Slack, Telegram, Verdict};

fn at(ms: u64) -> Now {
    Now { mono_ms: ms, wall_ms: 0 }
}

fn slack(fake: &mut Slack, method: &str, token: &str, body: &Value) -> Value {
    let call = Call::new("POST", &format!("/api/{method}")).with_json(body).with_header("authorization", &format!("Bearer {token}"));
    fake.answer(&call).value()
}

#[test]
fn slack_posts_a_reply_to_a_deleted_message_outside_its_thread_and_refuses_nothing() {
    let mut fake = Slack::new("xoxb-1").unpaced();
    let post = |fake: &mut Slack, body: Value| slack(fake, "chat.postMessage", "xoxb-1", &body);
    let first = post(&mut fake, json!({ "channel": "#ops", "text": "db-1 burns" }))["ts"].clone();
    let reply = post(&mut fake, json!({ "channel": "C0123", "text": "quiet", "thread_ts": first }));
    assert_eq!(reply["message"]["thread_ts"], first);
    post(&mut fake, json!({ "channel": "C0123", "text": "<!here> db-2", "thread_ts": first }));
    post(&mut fake, json!({ "channel": "C0123", "text": "critical", "thread_ts": first, "reply_broadcast": true }));
    assert_eq!(fake.transcript.rang(), ["db-1 burns", "<!here> db-2", "critical"]);
    assert_eq!(slack(&mut fake, "chat.delete", "xoxb-1", &json!({ "channel": "C0123", "ts": first }))["ok"], true);
    let stray = post(&mut fake, json!({ "channel": "C0123", "text": "late", "thread_ts": first }));
    assert!(stray["ok"] == true && stray["message"].get("thread_ts").is_none(), "{stray}");
}

#[test]
fn slack_edits_the_bots_own_messages_by_id_while_it_may() {
    let mut fake = Slack::new("xoxb-1").unpaced();
    fake.tokens.insert("xoxb-2".into(), None);
    let ts = slack(&mut fake, "chat.postMessage", "xoxb-1", &json!({ "channel": "#ops", "text": "a" }))["ts"].clone();
    let edit = |fake: &mut Slack, token: &str, channel: &str, text: &str| {
        let answer = slack(fake, "chat.update", token, &json!({ "channel": channel, "ts": ts, "text": text }));
        answer["error"].as_str().unwrap_or("ok").to_owned()
    };
    assert_eq!(edit(&mut fake, "xoxb-1", "C0123", "b"), "ok");
    assert_eq!(edit(&mut fake, "xoxb-1", "#ops", "b"), "channel_not_found");
    assert_eq!(edit(&mut fake, "xoxb-2", "C0123", "b"), "cant_update_message");
    assert_eq!(edit(&mut fake, "xoxb-1", "C0123", &"x".repeat(4001)), "msg_too_long");
    fake.edit_window_closed = true;
    assert_eq!(edit(&mut fake, "xoxb-1", "C0123", "b"), "edit_window_closed");
    fake.edit_window_closed = false;
    fake.channels.values_mut().for_each(|(_, room)| *room = Room::Archived);
    assert_eq!(edit(&mut fake, "xoxb-1", "C0123", "b"), "is_inactive");
    assert_eq!((fake.transcript.texts(), fake.transcript.rang()), (vec!["b".to_owned()], vec!["a".to_owned()]), "an edit makes no sound");
}

#[test]
fn slacks_edits_have_a_limit_of_their_own() {
    let mut fake = Slack::new("xoxb-1");
    let body = |ts: &Value| json!({ "channel": "C0123", "ts": ts, "text": "b" });
    let ts = slack(&mut fake, "chat.postMessage", "xoxb-1", &json!({ "channel": "#ops", "text": "a" }))["ts"].clone();
    let refused = (0..60).filter(|_| slack(&mut fake, "chat.update", "xoxb-1", &body(&ts))["error"] == "ratelimited").count();
    assert_eq!(refused, 10);
    assert_eq!(slack(&mut fake, "chat.postMessage", "xoxb-1", &json!({ "channel": "#ops", "text": "a" }))["ok"], true);
}

fn telegram(fake: &mut Telegram, token: &str, method: &str, body: &Value) -> Answer {
    fake.answer(&Call::new("POST", &format!("/bot{token}/{method}")).with_json(body))
}

#[test]
fn telegram_numbers_messages_by_chat_and_compares_text_and_keyboard() {
    let mut fake = Telegram::new("t", &["-1", "-2"]);
    fake.limiters().into_iter().for_each(|limiter| limiter.set(Pace::Off));
    fake.tokens.push("other".into());
    let send = |fake: &mut Telegram, body: Value| telegram(fake, "t", "sendMessage", &body).value();
    for chat in ["-1", "-2"] {
        let sent = send(&mut fake, json!({ "chat_id": chat, "text": "a" }));
        assert_eq!((&sent["result"]["message_id"], &sent["result"]["chat"]["id"]), (&json!(1), &json!(chat.parse::<i64>().unwrap())));
    }
    let mut edit = |token: &str, id: i64, text: &str, url: &str| {
        let keyboard = json!({ "inline_keyboard": [[{ "text": "b", "url": url }]] });
        let body = json!({ "chat_id": "-1", "message_id": id, "text": text, "reply_markup": keyboard });
        telegram(&mut fake, token, "editMessageText", &body).value()["description"].as_str().unwrap_or("ok").to_owned()
    };
    assert_eq!(edit("t", 1, "b", "https://a.example/"), "ok");
    assert!(edit("t", 1, "b", "https://a.example/").starts_with("Bad Request: message is not modified"));
    assert_eq!(edit("t", 1, "b", "https://b.example/"), "ok", "only the keyboard differs");
    assert_eq!(edit("other", 1, "c", "https://b.example/"), "Bad Request: message can't be edited");
    assert_eq!(edit("t", 2, "c", "https://b.example/"), "Bad Request: message to edit not found");
    let reply = |fake: &mut Telegram, id: i64, anyway: bool| {
        let parameters = json!({ "message_id": id, "allow_sending_without_reply": anyway });
        send(fake, json!({ "chat_id": "-1", "text": "r", "reply_parameters": parameters, "disable_notification": true }))["ok"] == true
    };
    assert_eq!([reply(&mut fake, 1, false), reply(&mut fake, 9, false), reply(&mut fake, 9, true)], [true, false, true]);
    assert_eq!(fake.transcript.rang(), ["a", "a"], "what is quiet makes no sound");
}

#[test]
fn discord_edits_in_the_thread_of_the_message_and_keeps_what_is_left_out() {
    let mut fake = Discord::new("1", "t");
    fake.limiters().into_iter().for_each(|limiter| limiter.set(Pace::Off));
    let mut call = |method: &str, path: &str, body: Value, ms: u64| {
        let answer = fake.answer(&Call::new(method, &format!("/api/webhooks/1/t{path}")).with_json(&body).with_header("user-agent", "x").at(at(ms)));
        (answer.status, answer.value()["code"].as_i64().unwrap_or(0), answer.text.trim().to_owned())
    };
    call("POST", "?wait=true&thread_id=5", json!({ "content": "ping", "embeds": [{ "title": "T" }] }), 0);
    let path = "/messages/1100000000000000001";
    assert_eq!(call("PATCH", path, json!({ "content": "x" }), 0).1, 10008, "it is in a thread");
    let path = format!("{path}?thread_id=5");
    assert_eq!(call("PATCH", &path, json!({ "content": "pong" }), 0).2, "pong\nT");
    assert_eq!(call("PATCH", &path, json!({ "content": null, "embeds": [{ "title": "U" }] }), 0).2, "U");
    assert_eq!(call("PATCH", &path, json!({ "embeds": [{ "title": "V" }] }), 3_600_001).2, "V");
    assert_eq!(call("PATCH", &path, json!({ "embeds": [{ "title": "W" }] }), 3_600_001), (429, 30046, String::new()));
    assert_eq!(fake.transcript.rang(), ["ping\nT"]);
}

#[test]
fn feishu_edits_shared_cards_of_the_application_for_fourteen_days() {
    let mut fake = Feishu::new("h", None, "cli_1", "s");
    let token = |fake: &mut Feishu, ms: u64| {
        let ask = Call::new("POST", "/open-apis/auth/v3/tenant_access_token/internal").with_json(&json!({ "app_id": "cli_1", "app_secret": "s" }));
        fake.answer(&ask.at(at(ms))).value()["tenant_access_token"].as_str().unwrap().to_owned()
    };
    let card =
        |text: &str, shared: bool| json!({ "config": { "update_multi": shared }, "elements": [{ "tag": "markdown", "content": text }] }).to_string();
    let mut call = |method: &str, path: &str, body: Value, ms: u64| {
        let bearer = format!("Bearer {}", token(&mut fake, ms));
        let answer = fake.answer(
            &Call::new(method, &format!("/open-apis/im/v1/messages{path}")).with_json(&body).with_header("authorization", &bearer).at(at(ms)),
        );
        answer.value()
    };
    let send = |content: String| json!({ "receive_id": "oc_1", "msg_type": "interactive", "content": content });
    let shared = call("POST", "?receive_id_type=chat_id", send(card("a", true)), 0)["data"]["message_id"].as_str().unwrap().to_owned();
    let single = call("POST", "?receive_id_type=chat_id", send(card("a", false)), 0)["data"]["message_id"].as_str().unwrap().to_owned();
    let mut edit = |id: &str, content: String, ms: u64| call("PATCH", &format!("/{id}"), json!({ "content": content }), ms)["code"].as_i64().unwrap();
    assert_eq!(edit(&shared, card("b", true), 0), 0);
    assert_eq!(edit(&shared, card("b", false), 0), 230_099, "the next edit could not");
    assert_eq!(edit(&single, card("b", true), 0), 230_099, "it was sent without");
    assert_eq!(edit("om_x", card("b", true), 0), 230_001);
    assert_eq!((0..6).map(|_| edit(&shared, card("b", true), 5000)).max(), Some(230_020));
    assert_eq!(edit(&shared, card("b", true), 14 * 86_400_000 + 1), 230_031);
    let reply = |id: &str| (format!("/{id}/reply"), json!({ "msg_type": "interactive", "content": card("r", true), "reply_in_thread": true }));
    let (path, body) = reply(&shared);
    assert_eq!(call("POST", &path, body.clone(), 0)["code"], 0);
    let text = "<at user_id=\"ou_1\"></at> db-2";
    let pings = json!({ "msg_type": "text", "content": json!({ "text": text }).to_string(), "reply_in_thread": true });
    assert_eq!(call("POST", &path, pings, 0)["code"], 0);
    assert_eq!(fake.transcript.rang(), ["a", "a", text], "in a topic what mentions somebody");
    fake.transcript.delete(&shared);
    let bearer = format!("Bearer {}", token(&mut fake, 0));
    let recalled = Call::new("POST", &format!("/open-apis/im/v1/messages{path}")).with_json(&body).with_header("authorization", &bearer);
    assert_eq!(fake.answer(&recalled).value()["code"], 230_011);
}

#[test]
fn mattermost_answers_by_root_and_refuses_what_is_not_the_bots() {
    let mut fake = Mattermost::new("t", "c1");
    fake.tokens.push("other".into());
    let mut call = |method: &str, path: &str, token: &str, body: Value| {
        let answer = fake
            .answer(&Call::new(method, &format!("/api/v4/posts{path}")).with_json(&body).with_header("authorization", &format!("Bearer {token}")));
        (answer.status, answer.value()["id"].as_str().unwrap_or("").to_owned())
    };
    let (status, id) = call("POST", "", "t", json!({ "channel_id": "c1", "message": "a" }));
    assert_eq!(status, 201);
    assert_eq!(call("PUT", &format!("/{id}/patch"), "t", json!({ "message": "b" })).0, 200);
    assert_eq!(call("PUT", &format!("/{id}/patch"), "other", json!({ "message": "b" })), (403, "api.context.permissions.app_error".into()));
    assert_eq!(call("PUT", "/nothing/patch", "t", json!({ "message": "b" })).0, 403, "what is not there is refused like what is not ours");
    let (_, reply) = call("POST", "", "t", json!({ "channel_id": "c1", "message": "r", "root_id": id }));
    assert_eq!(call("POST", "", "t", json!({ "channel_id": "c1", "message": "r", "root_id": reply })).1, "api.post.create_post.root_id.app_error");
    call("POST", "", "t", json!({ "channel_id": "c1", "message": "@all r", "root_id": id }));
    assert_eq!(call("POST", "", "t", json!({ "channel_id": "c2", "message": "a" })).0, 403);
    assert_eq!(call("POST", "", "no", json!({ "channel_id": "c1", "message": "a" })).0, 401);
    assert_eq!(fake.transcript.rang(), ["a", "@all r"], "a reply that mentions nobody makes no sound");
}

#[test]
fn ntfy_replaces_by_sequence_and_an_old_server_does_not() {
    let mut fake = Preset::new("ntfy", "k");
    let publish = |fake: &mut Preset, sequence: &str, message: &str, priority: u64| {
        let body = json!({ "topic": "ops", "message": message, "priority": priority, "sequence_id": sequence });
        fake.answer(&Call::new("POST", "/").with_json(&body).with_header("authorization", "Bearer k"))
    };
    publish(&mut fake, "s1", "a", 4);
    publish(&mut fake, "s1", "b", 2);
    publish(&mut fake, "s2", "c", 4);
    assert_eq!((fake.transcript.texts(), fake.transcript.rang()), (vec!["b".to_owned(), "c".into()], vec!["a".to_owned(), "c".into()]));
    assert_eq!(publish(&mut fake, "no spaces", "d", 4).verdict, Verdict::Refused);
    fake.replaces = false;
    publish(&mut fake, "s1", "e", 4);
    assert_eq!(fake.transcript.texts(), ["b", "c", "e"]);
}
