//! The WeCom robot, Feishu, Telegram, Teams, Discord and PagerDuty fakes against documents and vectors.

use serde_json::{Value, json};

use crate::support::fakes::telegram::{html, markdown};
use crate::support::fakes::{Answer, Call, Chat, Discord, Feishu, Now, PagerDuty, Platform, Teams, Telegram, TokenState, Verdict, WecomRobot};

fn post(fake: &mut impl Platform, target: &str, body: &Value) -> Answer {
    fake.answer(&Call::new("POST", target).with_json(body).with_header("user-agent", "test"))
}

fn number(answer: &Answer, field: &str) -> i64 {
    answer.value()[field].as_i64().unwrap_or(i64::MIN)
}

#[test]
fn wecom_robot_counts_bytes_and_messages() {
    let mut fake = WecomRobot::new("k");
    let target = "/cgi-bin/webhook/send?key=k";
    let mut send = |body: Value| post(&mut fake, target, &body);
    let text = send(
        json!({ "msgtype": "text", "text": { "content": "db-1 down", "mentioned_list": ["zhangsan", "@all"], "mentioned_mobile_list": ["13800000000"] } }),
    );
    assert_eq!((text.value(), text.to.len()), (json!({ "errcode": 0, "errmsg": "ok" }), 4));
    let markdown = |n: usize| json!({ "msgtype": "markdown", "markdown": { "content": "警".repeat(n) } });
    assert_eq!(number(&send(markdown(1365)), "errcode"), 0);
    let over = send(markdown(1366));
    assert_eq!(number(&over, "errcode"), 40058);
    assert!(over.value()["errmsg"].as_str().unwrap().starts_with("markdown.content exceed max length 4096. invalid Request Parameter"));
    assert_eq!(number(&send(json!({ "msgtype": "text", "text": { "content": "x".repeat(2049) } })), "errcode"), 40058);
    assert_eq!(number(&send(json!({ "msgtype": "text", "text": { "content": "" } })), "errcode"), 44004);
    assert_eq!(number(&send(json!({ "msgtype": "card" })), "errcode"), 40008);
    let mention = send(json!({ "msgtype": "markdown", "markdown": { "content": "<@lisi> look", "mentioned_list": ["x"] } }));
    assert_eq!(
        (mention.to.as_slice(), mention.notes.as_slice()),
        (&["k".to_owned(), "lisi".into()][..], &["not_pinged:mentioned_list".to_owned()][..])
    );
    let codes: Vec<i64> = (0..14).map(|_| number(&send(markdown(1)), "errcode")).collect();
    assert_eq!((codes[12], codes[13]), (0, 45009), "the 20th goes, the 21st does not");
    assert_eq!(number(&post(&mut fake, "/cgi-bin/webhook/send?key=x", &markdown(1)), "errcode"), 93000);
}

#[test]
fn feishu_bot_verifies_the_signature_in_the_body() {
    let mut fake = Feishu::new("h", Some("demo-secret"), "a", "s");
    let body = json!({ "timestamp": "1599360473", "sign": "3/MaVZ8JLIy4TUG+7KSFJqvUkTKd+HWY8g+56DZWq8s=", "msg_type": "text", "content": { "text": "x <at user_id=\"all\">a</at>" } });
    let mut send = |hook: &str, body: &Value, second: i64| {
        fake.answer(&Call::new("POST", &format!("/open-apis/bot/v2/hook/{hook}")).with_json(body).at(Now::at_wall(second * 1000)))
    };
    let sent = send("h", &body, 1_599_360_473);
    assert_eq!((sent.verdict, number(&sent, "code"), number(&sent, "StatusCode")), (Verdict::Accepted, 0, 0));
    assert_eq!(sent.to, ["h", "@all"]);
    assert_eq!(number(&send("h", &body, 1_599_360_473 + 3601), "code"), 19021);
    assert_eq!(number(&send("x", &body, 1_599_360_473), "code"), 19001);
    let mut wrong = body.clone();
    wrong["sign"] = json!("x");
    assert_eq!(number(&send("h", &wrong, 1_599_360_473), "code"), 19021);
}

#[test]
fn feishu_bot_checks_content_size_keywords_and_pace() {
    let mut fake = Feishu::new("h", None, "a", "s");
    fake.hooks.get_mut("h").unwrap().keywords = vec!["告警".into()];
    let mut send =
        |body: Value, ms: u64| fake.answer(&Call::new("POST", "/open-apis/bot/v2/hook/h").with_json(&body).at(Now { mono_ms: ms, wall_ms: 0 }));
    let card = json!({ "msg_type": "interactive", "card": { "header": { "template": "red", "title": { "tag": "plain_text", "content": "告警" } }, "elements": [{ "tag": "markdown", "content": "**x** <at id=all></at>" }] } });
    let sent = send(card.clone(), 0);
    assert_eq!((sent.verdict, sent.text.as_str()), (Verdict::Accepted, "告警\n**x** <at id=all></at>"));
    let mut pink = card.clone();
    pink["card"]["header"]["template"] = json!("pink");
    assert_eq!(number(&send(pink, 0), "code"), 230_099);
    assert_eq!(number(&send(json!({ "msg_type": "text", "content": { "text": "alert" } }), 0), "code"), 19024);
    assert_eq!(number(&send(json!({ "content": { "text": "告警" } }), 0), "code"), 19002);
    assert_eq!(number(&send(json!({ "msg_type": "text", "content": { "text": "告".repeat(7000) } }), 0), "code"), 19036);
    let codes: Vec<i64> = (1..6).map(|i| number(&send(card.clone(), i), "code")).collect();
    assert_eq!(codes, [0, 0, 0, 0, 11232]);
}

#[test]
fn feishu_application_deduplicates_by_uuid() {
    let mut fake = Feishu::new("h", None, "cli_1", "s");
    fake.receivers = Some(vec!["oc_1".into()]);
    let token = post(&mut fake, "/open-apis/auth/v3/tenant_access_token/internal", &json!({ "app_id": "cli_1", "app_secret": "s" })).value()["tenant_access_token"].clone();
    let token = token.as_str().unwrap().to_owned();
    assert_eq!(
        number(&post(&mut fake, "/open-apis/auth/v3/tenant_access_token/internal", &json!({ "app_id": "cli_1", "app_secret": "x" })), "code"),
        10014
    );
    let message = |uuid: &str| json!({ "receive_id": "oc_1", "msg_type": "text", "content": "{\"text\":\"db-1\"}", "uuid": uuid });
    let mut send = |body: &Value| {
        fake.answer(
            &Call::new("POST", "/open-apis/im/v1/messages?receive_id_type=chat_id")
                .with_json(body)
                .with_header("authorization", &format!("Bearer {token}")),
        )
    };
    let first = send(&message("u1"));
    let again = send(&message("u1"));
    assert_eq!((first.verdict, again.verdict), (Verdict::Accepted, Verdict::Duplicate));
    assert_eq!(first.value()["data"]["message_id"], again.value()["data"]["message_id"]);
    let mut object = message("u2");
    object["content"] = json!({ "text": "x" });
    assert_eq!(number(&send(&object), "code"), 230_001, "content is JSON in a string");
    let mut stranger = message("u3");
    stranger["receive_id"] = json!("oc_2");
    assert_eq!(number(&send(&stranger), "code"), 230_002);
    let codes: Vec<_> = (0..5).map(|i| send(&message(&format!("v{i}")))).collect();
    assert_eq!((codes[2].status, codes[3].status, number(&codes[3], "code")), (200, 429, 99_991_400), "the repeat counts too");
    assert!(codes[3].headers.contains(&("x-ogw-ratelimit-reset".into(), "1".into())));
    fake.tokens.revoke_all(&TokenState::Invalid);
    let stale = fake.answer(
        &Call::new("POST", "/open-apis/im/v1/messages?receive_id_type=chat_id")
            .with_json(&message("w"))
            .with_header("authorization", &format!("Bearer {token}")),
    );
    assert_eq!(number(&stale, "code"), 99_991_663);
}

#[test]
fn telegram_parses_its_markup_strictly() {
    assert_eq!(html("<b>db &lt;1&gt;</b> <a href=\"https://e\">x</a> & co").as_deref(), Ok("db <1> x & co"));
    for wrong in ["<b>x", "x</b>", "<b><i>x</b></i>", "<br>", "a < b", "<h1>x</h1>"] {
        assert!(html(wrong).is_err(), "{wrong}");
    }
    assert_eq!(markdown("*db\\-1* `a.b` [x](https://e.com/a)\n>quote ||s||").as_deref(), Ok("db-1 a.b x\nquote s"));
    for wrong in ["db-1", "a.b", "x!", "*open", "1 + 1", "[x](unclosed", "trailing \\"] {
        assert!(markdown(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn telegram_answers_with_its_error_code_as_status() {
    let mut fake = Telegram::new("1:t", &["-1001", "42"]);
    fake.chats.insert("7".into(), Chat::Blocked);
    fake.chats.insert("-8".into(), Chat::Migrated(-1008));
    let mut send = |body: Value, ms: u64| fake.answer(&Call::new("POST", "/bot1:t/sendMessage").with_json(&body).at(Now { mono_ms: ms, wall_ms: 0 }));
    let long = |n: usize| json!({ "chat_id": 42, "text": format!("<b>{}</b>", "警".repeat(n)), "parse_mode": "HTML" });
    assert_eq!(send(long(4096), 0).verdict, Verdict::Accepted, "counted after parsing");
    for (body, status, text) in [
        (long(4097), 400, "Bad Request: message is too long"),
        (json!({ "chat_id": 42, "text": "" }), 400, "Bad Request: message text is empty"),
        (json!({ "chat_id": 1, "text": "x" }), 400, "Bad Request: chat not found"),
        (json!({ "chat_id": 7, "text": "x" }), 403, "Forbidden: bot was blocked by the user"),
        (
            json!({ "chat_id": 42, "text": "<p>", "parse_mode": "HTML" }),
            400,
            "Bad Request: can't parse entities: Unsupported start tag \"p\" at byte offset 0",
        ),
    ] {
        let answer = send(body, 0);
        assert_eq!((answer.status, number(&answer, "error_code"), answer.value()["description"].as_str()), (status, i64::from(status), Some(text)));
    }
    assert_eq!(send(json!({ "chat_id": -8, "text": "x" }), 0).value()["parameters"]["migrate_to_chat_id"], -1008);
    let group: Vec<Answer> = (0..21).map(|i| send(json!({ "chat_id": -1001, "text": "x" }), 10_000 + i * 1000)).collect();
    assert!(group[..20].iter().all(|a| a.status == 200));
    assert_eq!((group[20].status, group[20].value()["parameters"]["retry_after"].clone()), (429, json!(40)));
    assert_eq!(post(&mut fake, "/bot2:t/getMe", &json!({})).status, 401);
    assert_eq!(post(&mut fake, "/bot1:t/getMe", &json!({})).value()["ok"], true);
    let same = post(&mut fake, "/bot1:t/editMessageText", &json!({ "chat_id": -1001, "message_id": 2, "text": "x" }));
    assert!(same.value()["description"].as_str().unwrap().starts_with("Bad Request: message is not modified"));
}

#[test]
fn teams_says_202_to_what_it_then_drops() {
    let mut fake = Teams::new("f", "s");
    fake.limiters().into_iter().for_each(|l| l.set(crate::support::fakes::Pace::Off));
    let target = format!("{}?api-version=1&sig=s", fake.path);
    let card = |text: &str| {
        json!({ "type": "message", "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": {
        "type": "AdaptiveCard", "version": "1.4", "body": [{ "type": "TextBlock", "text": text, "color": "attention" }, { "type": "FactSet", "facts": [{ "title": "host", "value": "db-1" }] }],
        "actions": [{ "type": "Action.OpenUrl", "title": "Open", "url": "https://e" }],
        "msteams": { "entities": [{ "type": "mention", "text": "<at>Ann</at>", "mentioned": { "id": "ann@e", "name": "Ann" } }] } } }] })
    };
    let sent = post(&mut fake, &target, &card("<at>Ann</at> look"));
    assert_eq!(
        (sent.status, sent.verdict, sent.text.as_str(), sent.to.as_slice()),
        (202, Verdict::Accepted, "<at>Ann</at> look\nhost: db-1", &["ann@e".to_owned()][..])
    );
    for (body, note) in [
        (card("look"), "mention <at>Ann</at> does not stand in a text"),
        (card(&format!("<at>Ann</at>{}", "x".repeat(25_000))), "MessageSizeExceeded"),
        (json!({ "type": "message", "attachments": [] }), "attachments is empty"),
        (json!({ "@type": "MessageCard", "text": "x" }), "type is not message"),
    ] {
        let dropped = post(&mut fake, &target, &body);
        assert_eq!((dropped.status, dropped.verdict), (202, Verdict::Dropped));
        assert!(dropped.notes[0].starts_with(note), "{:?}", dropped.notes);
    }
    assert_eq!(post(&mut fake, "/workflows/x?sig=s", &card("")).status, 404);
    let path = fake.path.clone();
    assert_eq!(post(&mut fake, &format!("{path}?sig=x"), &card("")).status, 401);
    fake.limiters().into_iter().for_each(|l| l.set(crate::support::fakes::Pace::per(1, std::time::Duration::from_secs(9))));
    post(&mut fake, &target, &card("x"));
    let fast = post(&mut fake, &target, &card("x"));
    assert_eq!((fast.status, fast.headers[0].clone()), (429, ("retry-after".into(), "9".into())));
}

#[test]
fn discord_counts_characters_and_pings_only_whom_it_may() {
    let mut fake = Discord::new("1", "t");
    fake.limiters().into_iter().for_each(|l| l.set(crate::support::fakes::Pace::Off));
    let target = "/api/webhooks/1/t?wait=true";
    let mut send = |body: Value| post(&mut fake, target, &body);
    let sent = send(
        json!({ "content": "<@123> <@&9> @everyone", "embeds": [{ "title": "db-1", "description": "@here", "color": 13_631_488 }], "allowed_mentions": { "parse": [], "users": ["123"] } }),
    );
    assert_eq!(
        (sent.status, sent.to.as_slice(), sent.text.as_str()),
        (200, &["1".to_owned(), "<@123>".into()][..], "<@123> <@&9> @everyone\ndb-1\n@here")
    );
    assert_eq!(send(json!({ "content": "@everyone <@&9>" })).to, ["1", "@everyone", "<@&9>"]);
    let fields = |n: usize| json!({ "embeds": [{ "fields": vec![json!({ "name": "n", "value": "v".repeat(1024) }); n] }] });
    for (body, code) in [
        (json!({ "content": "警".repeat(2000) }), i64::MIN),
        (json!({ "content": "警".repeat(2001) }), 50035),
        (json!({ "embeds": [{ "title": "x".repeat(257) }] }), 50035),
        (json!({ "embeds": [{ "description": "x".repeat(4097) }] }), 50035),
        (fields(5), i64::MIN),
        (fields(6), 50035),
        (json!({ "embeds": vec![json!({ "title": "x" }); 11] }), 50035),
        (json!({ "embeds": [{ "title": "x", "color": "#ff0000" }] }), 50035),
        (json!({}), 50006),
    ] {
        assert_eq!(number(&send(body), "code"), code);
    }
    assert_eq!(post(&mut fake, "/api/webhooks/1/t", &json!({ "content": "x" })).status, 204);
    assert_eq!(post(&mut fake, "/api/webhooks/1/x", &json!({ "content": "x" })).status, 401);
    assert_eq!(number(&post(&mut fake, "/api/webhooks/2/t", &json!({ "content": "x" })), "code"), 10015);
    let mut fake = Discord::new("1", "t");
    let last = (0..6).map(|_| post(&mut fake, target, &json!({ "content": "x" }))).last().unwrap();
    assert_eq!((last.status, last.value()["retry_after"].clone(), last.value()["global"].clone()), (429, json!(2.0), json!(false)));
}

#[test]
fn pagerduty_tracks_alerts_by_dedup_key() {
    let key = "0123456789abcdef0123456789abcdef";
    let mut fake = PagerDuty::new(key);
    let event = |action: &str| json!({ "routing_key": key, "event_action": action, "dedup_key": "d1", "payload": { "summary": "db-1 down", "source": "db-1", "severity": "critical" } });
    let sent = post(&mut fake, "/v2/enqueue", &event("trigger"));
    assert_eq!((sent.status, sent.value()), (202, json!({ "status": "success", "message": "Event processed", "dedup_key": "d1" })));
    assert_eq!(post(&mut fake, "/v2/enqueue", &json!({ "routing_key": key, "event_action": "resolve", "dedup_key": "d1" })).status, 202);
    assert_eq!(fake.alerts["d1"], ("resolved".to_owned(), "db-1 down".to_owned()));
    // What is open under a key takes further triggers into its log.
    for (action, status, opened) in
        [("trigger", "triggered", 2), ("acknowledge", "acknowledged", 2), ("trigger", "acknowledged", 2), ("resolve", "resolved", 2)]
    {
        post(&mut fake, "/v2/enqueue", &event(action));
        assert_eq!((fake.alerts["d1"].0.as_str(), fake.opened), (status, opened), "{action}");
    }
    let with = |path: &str, value: Value| {
        let mut e = event("trigger");
        *e.pointer_mut(path).unwrap() = value;
        e
    };
    for (body, error) in [
        (with("/routing_key", json!("short")), "Length of 'routing_key' is incorrect (should be 32 characters)"),
        (with("/event_action", json!("fire")), "'event_action' is missing or invalid (must be one of: trigger, acknowledge, resolve)"),
        (with("/payload/source", json!("")), "'payload.source' is missing or blank"),
        (with("/payload/summary", json!("x".repeat(1025))), "Length of 'payload.summary' is incorrect (should be at most 1024 characters)"),
        (
            with("/payload/severity", json!("fatal")),
            "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')",
        ),
        (json!({ "routing_key": key, "event_action": "resolve" }), "'dedup_key' is missing or blank"),
    ] {
        let refused = post(&mut fake, "/v2/enqueue", &body);
        assert_eq!(
            (refused.status, refused.value()["status"].as_str(), refused.value()["errors"][0].as_str()),
            (400, Some("invalid event"), Some(error))
        );
    }
}
