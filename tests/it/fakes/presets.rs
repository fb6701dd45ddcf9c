//! The generic webhook receiver, and the table of push services and chats.

use serde_json::{Value, json};

use crate::support::fakes::presets::names;
use crate::support::fakes::{Answer, Call, Now, Platform, Preset, Verdict, Webhook};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

fn hook(signature: &str, body: &str) -> Call {
    Call::new("POST", "/hook")
        .with_body("application/json", body.as_bytes())
        .with_header("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
        .with_header("webhook-timestamp", "1614265330")
        .with_header("webhook-signature", signature)
        .at(Now::at_wall(1_614_265_330_000))
}

#[test]
fn the_standard_webhooks_vector_passes_once() {
    let body = r#"{"test": 2432232314}"#;
    let mut fake = Webhook::signed(SECRET);
    assert_eq!(fake.answer(&hook(SIGNATURE, body)).verdict, Verdict::Accepted);
    assert_eq!(fake.answer(&hook(SIGNATURE, body)).verdict, Verdict::Duplicate, "the id is the receiver's dedup key");
    let rotated = format!("v1,AAAA {SIGNATURE}");
    assert_eq!(Webhook::signed(SECRET).answer(&hook(&rotated, body)).status, 200);
    for (signature, body) in [("v1,AAAA", body), (SIGNATURE, r#"{"test": 2432232315}"#), ("", body), (&SIGNATURE[3..], body)] {
        assert_eq!(fake.answer(&hook(signature, body)).status, 401);
    }
    let mut late = hook(SIGNATURE, body);
    late.now.wall_ms += 301_000;
    assert_eq!(fake.answer(&late).status, 401);
    fake.next.push_back((302, vec![("location".into(), "http://127.0.0.1/".into())]));
    let moved = fake.answer(&hook(SIGNATURE, body));
    assert_eq!((moved.status, moved.verdict, moved.headers.len()), (302, Verdict::Refused, 1));
}

#[test]
fn the_github_vector_passes() {
    let mut fake = Webhook::hub_signed("It's a Secret to Everybody");
    let signed =
        |hex: &str| Call::new("POST", "/").with_body("text/plain", b"Hello, World!").with_header("X-Hub-Signature-256", &format!("sha256={hex}"));
    let good = fake.answer(&signed("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"));
    assert_eq!((good.status, good.text.as_str()), (200, "Hello, World!"));
    assert_eq!(fake.answer(&signed("857107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")).status, 401);
}

/// A good request of each service, with the credential in its place.
fn good(name: &str, credential: &str) -> Call {
    let fake = Preset::new(name, credential);
    let (first, second) = credential.split_once('/').unwrap_or((credential, ""));
    let post = |body: Value| Call::new("POST", &fake.path(credential)).with_json(&body);
    match name {
        "ntfy" => post(json!({ "topic": "ops", "title": "t", "message": "m", "priority": 5, "tags": ["fire"] }))
            .with_header("authorization", &format!("Bearer {credential}")),
        "gotify" => post(json!({ "title": "t", "message": "m", "priority": 8 })).with_header("x-gotify-key", credential),
        "bark" => post(json!({ "device_key": credential, "title": "t", "body": "m", "level": "timeSensitive" })),
        "serverchan" => post(json!({ "title": "t", "desp": "m" })),
        "pushplus" => post(json!({ "token": credential, "title": "t", "content": "m", "template": "markdown" })),
        "pushover" => {
            let form = format!("token={first}&user={second}&title=t&message=m&priority=2&retry=60&expire=3600");
            Call::new("POST", &fake.path(credential)).with_body("application/x-www-form-urlencoded", form.as_bytes())
        }
        "googlechat" => Call::new("POST", &format!("{}?key={first}&token={second}", fake.path(credential))).with_json(&json!({ "text": "t\nm" })),
        _ => post(json!({ "text": "t\nm" })),
    }
}

fn credential(name: &str) -> &'static str {
    if matches!(name, "pushover" | "googlechat") { "app/user" } else { "key1" }
}

fn denied(name: &str) -> Answer {
    Preset::new(name, "somebody/else").answer(&good(name, credential(name)))
}

#[test]
fn every_service_takes_a_good_message_and_refuses_a_stranger() {
    assert_eq!(names().len(), 9);
    for name in names() {
        let mut fake = Preset::new(name, credential(name));
        let sent = fake.answer(&good(name, credential(name)));
        assert_eq!((sent.verdict, sent.status, sent.text.as_str()), (Verdict::Accepted, 200, "t\nm"), "{name}");
        assert_eq!(denied(name).verdict, Verdict::Refused, "{name}");
        let mut broken = good(name, credential(name));
        broken.body = "{".into();
        assert_eq!(fake.answer(&broken).verdict, Verdict::Refused, "{name}");
        assert_eq!(fake.answer(&Call::new("GET", &fake.path(credential(name)))).status, 405, "{name}");
    }
}

#[test]
fn refusals_are_in_each_services_words() {
    for (name, status, pointer, value) in [
        ("ntfy", 401, "/code", json!(40101)),
        ("gotify", 401, "/errorCode", json!(401)),
        ("bark", 400, "/message", json!("failed to get device token: failed to get [key1] device token from database")),
        ("serverchan", 400, "/message", json!("[AUTH]错误的Key")),
        ("pushplus", 200, "/code", json!(903)),
        ("pushover", 400, "/status", json!(0)),
        ("mattermost", 400, "/id", json!("web.incoming_webhook.invalid.app_error")),
        ("rocketchat", 404, "/error", json!("Invalid integration id or token provided.")),
        ("googlechat", 401, "/error/status", json!("UNAUTHENTICATED")),
    ] {
        // A hook with the credential in its path is only known by it.
        let answer = denied(name);
        assert_eq!((answer.status, answer.value().pointer(pointer)), (status, Some(&value)), "{name}");
    }
}

#[test]
fn contents_and_pace_are_checked() {
    let refuse = |name: &str, change: fn(&mut Value)| {
        let mut call = good(name, credential(name));
        let mut body: Value = serde_json::from_slice(&call.body).unwrap();
        change(&mut body);
        call.body = body.to_string().into();
        Preset::new(name, credential(name)).answer(&call)
    };
    assert_eq!(refuse("ntfy", |b| b["priority"] = json!(6)).value()["code"], 40007);
    assert_eq!(refuse("ntfy", |b| b["topic"] = json!("a/b")).value()["code"], 40009);
    assert!(refuse("ntfy", |b| b["message"] = json!("x".repeat(4097))).text.starts_with("You received a file"));
    assert_eq!(refuse("gotify", |b| b["message"] = json!("")).status, 400);
    assert_eq!(refuse("gotify", |b| b["priority"] = json!("8")).status, 400);
    assert_eq!(refuse("bark", |b| b["level"] = json!("loud")).status, 400);
    assert_eq!(refuse("serverchan", |b| b["title"] = json!("长".repeat(33))).status, 400);
    assert_eq!(refuse("pushplus", |b| b["content"] = json!("")).value()["code"], 999);
    assert_eq!(refuse("mattermost", |b| b["text"] = json!("")).value()["message"], "No text specified.");
    assert_eq!(refuse("rocketchat", |b| b["text"] = json!("x".repeat(5001))).value()["success"], false);
    assert_eq!(refuse("googlechat", |b| b["texts"] = json!("x")).value()["error"]["status"], "INVALID_ARGUMENT");
    let mut fake = Preset::new("pushover", "app/user");
    for (form, status) in [
        ("message=m&priority=2", 400),
        ("message=m&priority=2&retry=29&expire=60", 400),
        ("message=m&priority=2&retry=30", 400),
        ("message=m&priority=2&retry=30&expire=10801", 400),
        ("message=m&priority=2&retry=30&expire=10800", 200),
        ("message=m&priority=3", 400),
        ("message=m&priority=high", 400),
        ("message=", 400),
        ("message=m&priority=-2", 200),
    ] {
        let form = format!("token=app&user=user&{form}");
        assert_eq!(
            fake.answer(&Call::new("POST", "/1/messages.json").with_body("application/x-www-form-urlencoded", form.as_bytes())).status,
            status
        );
    }
    let mut chat = Preset::new("googlechat", "app/user");
    let codes: Vec<u16> = (0..4).map(|_| chat.answer(&good("googlechat", "app/user")).status).collect();
    assert_eq!(codes, [200, 200, 200, 429]);
}

#[test]
fn pushovers_emergencies_ring_until_somebody_acknowledges_or_cancels_them() {
    let mut fake = Preset::new("pushover", "app/user");
    let at = |seconds: i64| Now::at_wall(1_700_000_000_000 + seconds * 1000);
    let send = |fake: &mut Preset, more: &str| {
        let form = format!("token=app&user=user&message=m{more}");
        fake.answer(&Call::new("POST", "/1/messages.json").with_body("application/x-www-form-urlencoded", form.as_bytes()).at(at(0))).value()
    };
    assert_eq!(send(&mut fake, "&priority=1").get("receipt"), None, "only what rings has one");
    let receipts: Vec<String> =
        (0..3).map(|_| send(&mut fake, "&priority=2&retry=30&expire=60")["receipt"].as_str().expect("a receipt").to_owned()).collect();
    assert!(receipts.iter().all(|receipt| receipt.len() == 30 && receipt.bytes().all(|b| b.is_ascii_alphanumeric())), "{receipts:?}");
    let ask = |fake: &mut Preset, receipt: &str, token: &str, seconds: i64| {
        let answer = fake.answer(&Call::new("GET", &format!("/1/receipts/{receipt}.json?token={token}")).at(at(seconds)));
        let word = |name: &str| answer.value()[name].as_i64();
        (answer.status, word("status"), word("acknowledged"), word("expired"))
    };
    assert_eq!(ask(&mut fake, &receipts[0], "app", 1), (200, Some(1), Some(0), Some(0)));
    assert_eq!(ask(&mut fake, &receipts[0], "app", 5), (200, Some(1), Some(0), Some(0)));
    assert_eq!(fake.emergencies.asked_too_often, 1);
    fake.emergencies.all[0].acknowledged = true;
    assert_eq!(ask(&mut fake, &receipts[0], "app", 10), (200, Some(1), Some(1), Some(0)));
    let cancel = |fake: &mut Preset, receipt: &str, token: &str| {
        let call = Call::new("POST", &format!("/1/receipts/{receipt}/cancel.json"));
        fake.answer(&call.with_body("application/x-www-form-urlencoded", format!("token={token}").as_bytes())).status
    };
    assert_eq!(cancel(&mut fake, &receipts[1], "other"), 400);
    assert_eq!(cancel(&mut fake, &receipts[1], "app"), 200);
    assert_eq!(ask(&mut fake, &receipts[1], "app", 15), (200, Some(1), Some(0), Some(1)));
    assert_eq!(ask(&mut fake, &receipts[2], "app", 59), (200, Some(1), Some(0), Some(0)));
    assert_eq!(ask(&mut fake, &receipts[2], "app", 65), (200, Some(1), Some(0), Some(1)), "it rings no longer than it was told to");
    assert_eq!((ask(&mut fake, &receipts[2], "other", 70).0, ask(&mut fake, "unknown", "app", 75).0), (400, 404));
    assert_eq!(fake.emergencies.all.iter().map(|one| one.cancelled).collect::<Vec<_>>(), [false, true, false]);
}
