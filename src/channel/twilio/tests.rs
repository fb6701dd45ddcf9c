//! Twilio: what is sent, lost answers that are looked up, what answers mean, and what never shows.

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page};
use crate::channel::{CellResult, Channel, PressCall, PressWay};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{Button, Language, Recipient, Verb};
use std::sync::Arc;
use std::time::Duration;

const CONFIG: &str = "{ account_sid: AC1, auth_token: twilio-S3CRET, from: '+15005550006', to: ['+8613800000000'], api_base: BASE }";

fn to() -> [Recipient; 1] {
    [Recipient::new("+8613800000000")]
}

fn sms(base: &str) -> Arc<dyn Channel> {
    build::<sms::Config>(CONFIG, base).unwrap().channel
}

async fn send(channel: &Arc<dyn Channel>, text: &str) -> Vec<CellResult> {
    channel.send(&page(&[("text", text)]), &to(), &context()).await
}

#[tokio::test]
async fn an_sms_and_a_call_go_out_as_forms() {
    let server =
        ScriptedServer::start([Scripted::new(201, r#"{"sid":"SM1","status":"queued"}"#), Scripted::new(201, r#"{"sid":"CA1","status":"queued"}"#)])
            .await;
    assert_eq!(kinds(&send(&sms(&server.base), "磁盘 & more").await), [Ok(Some("sid SM1".to_owned()))]);
    let voice = build::<voice::Config>(CONFIG, &server.base).unwrap().channel;
    assert_eq!(kinds(&send(&voice, "Disk <full> & hot https://x.example").await), [Ok(Some("sid CA1".to_owned()))]);
    let seen = server.seen();
    assert_eq!(seen[0].uri.path(), "/2010-04-01/Accounts/AC1/Messages.json");
    assert_eq!(seen[0].header("authorization"), "Basic QUMxOnR3aWxpby1TM0NSRVQ=");
    assert_eq!(std::str::from_utf8(&seen[0].body).unwrap(), "To=%2B8613800000000&From=%2B15005550006&Body=%E7%A3%81%E7%9B%98+%26+more");
    let form = String::from_utf8(seen[1].body.to_vec()).unwrap();
    let twiml = reqwest::Url::parse(&format!("http://h/?{form}")).unwrap().query_pairs().find(|(k, _)| k == "Twiml").unwrap().1.into_owned();
    assert_eq!(twiml.matches("Disk &lt;full&gt; &amp; hot.<").count(), 2, "{twiml}");
    assert!(!twiml.contains("http"));
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_before_it_counts_as_unknown() {
    let lost = Scripted::new(500, "");
    let list = |body: &str, at: i64| Scripted::from(format!(r#"{{"messages":[{{"sid":"SM9","body":"{body}","date_created":"{at}"}}]}}"#).as_str());
    let now = context().now.as_second();
    let server = ScriptedServer::start([
        Scripted::new(201, "{}"),
        list("x", now),
        lost.clone(),
        list("y", now),
        lost.clone(),
        list("x", now - 600),
        lost,
        Scripted::new(503, ""),
    ])
    .await;
    let sms = sms(&server.base);
    assert_eq!(kinds(&send(&sms, "x").await), [Ok(Some("sid SM9".to_owned()))]);
    for why in ["another text", "an old one", "no list"] {
        assert_eq!(kinds(&send(&sms, "x").await), [Err((Ambiguous, Some("HTTP 500".to_owned())))], "{why}");
    }
    let seen = server.seen();
    assert_eq!(
        (seen[1].method.as_str(), seen[1].query("To").as_deref(), seen[1].query("From").as_deref()),
        ("GET", Some("+8613800000000"), Some("+15005550006"))
    );
}

#[tokio::test]
async fn answers_mean_what_twilio_says() {
    let no = |status: u16, code: u32| Scripted::new(status, format!(r#"{{"code":{code},"message":"why","status":{status}}}"#).into_bytes());
    let rows = [
        (no(429, 20429).header("retry-after", "2"), RateLimited { retry_after: Some(Duration::from_secs(2)) }, "20429", false),
        (no(429, 14107), RateLimited { retry_after: Some(Duration::from_secs(30)) }, "14107", true),
        (no(401, 20003), Misconfigured, "20003", false),
        (no(400, 21606), Misconfigured, "21606", false),
        (no(400, 21408), Misconfigured, "21408", false),
        (no(400, 21211), Rejected, "21211", true),
        (no(400, 21610), Rejected, "21610", true),
        (no(400, 21617), Rejected, "21617", false),
        (no(400, 30001), Transient, "30001", false),
        (no(400, 21635), Rejected, "21635", true),
        (no(400, 21703), Misconfigured, "21703", false),
        (no(400, 30034), Misconfigured, "30034", false),
        (no(400, 99999), Rejected, "99999", false),
        (no(403, 99998), Misconfigured, "99998", false),
        (Scripted::new(302, r#"{"sid":"SM1","status":"queued"}"#), Misconfigured, "HTTP 302", false),
        (Scripted::new(400, r#"{"sid":"SM1","status":"queued"}"#), Rejected, "HTTP 400", false),
        (Scripted::new(201, r#"{"code":21617,"message":"too long"}"#), Rejected, "21617", false),
        (Scripted::new(201, r#"{"sid":"SM1","status":"failed","error_code":30006,"error_message":"Landline"}"#), Rejected, "30006", true),
        (Scripted::new(201, r#"{"sid":"SM1","status":"failed","error_code":30007,"error_message":"Filtered"}"#), Rejected, "30007", false),
        (Scripted::from("<html>login</html>"), Transient, "HTTP 200", false),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let sms = sms(&server.base);
    for (answer, kind, code, of_recipient) in &rows {
        let results = send(&sms, "x").await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert_eq!(results[0].1.as_ref().unwrap_err().recipient, *of_recipient, "{answer:?}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[tokio::test]
async fn a_number_that_the_account_may_not_reach_holds_only_a_channel_that_has_no_other() {
    let codes = [21608, 21408, 21215];
    let script = codes.iter().flat_map(|code| (0..3).map(move |_| Scripted::new(400, format!(r#"{{"code":{code},"message":"why","status":400}}"#))));
    let server = ScriptedServer::start(script).await;
    let two = CONFIG.replace("to: [", "to: ['+15005550009', ");
    // The number of somebody who is on call, in place of the channel's own.
    let another = CONFIG.replace("+8613800000000", "+15005550009");
    for code in codes {
        for (config, kind, of_recipient) in [(CONFIG, Misconfigured, false), (two.as_str(), Rejected, true), (another.as_str(), Rejected, true)] {
            let results = send(&build::<sms::Config>(config, &server.base).unwrap().channel, "x").await;
            let error = results[0].1.as_ref().unwrap_err();
            assert_eq!((error.kind, error.recipient, error.code.clone()), (kind, of_recipient, Some(code.to_string())), "{config}");
        }
    }
}

#[test]
fn mistakes_are_found_and_dates_are_read() {
    let config: Account = serde_yaml::from_str("{ account_sid: SK1, auth_token: a, from: ops, to: ['12'] }").unwrap();
    let paths: Vec<_> = config.check("twilio_voice").into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["twilio_voice.to[0]", "twilio_voice.account_sid", "twilio_voice.from"]);
    assert_eq!(made_at(&Value::from("Fri, 24 May 2019 17:18:27 +0000")), Some(1_558_718_307));
}

#[tokio::test]
async fn the_last_word_is_asked_for_by_its_sid() {
    let state = |status: &str, more: &str| Scripted::from(format!(r#"{{"sid":"SM1","status":"{status}"{more}}}"#).as_str());
    let why = r#","error_code":30005,"error_message":"Unknown destination handset""#;
    let rows = [
        (state("queued", ""), None),
        (state("sent", ""), None),
        (state("in-progress", ""), None),
        (state("delivered", ""), Some((true, "delivered"))),
        (state("completed", ""), Some((true, "completed"))),
        (state("undelivered", why), Some((false, "undelivered"))),
        (state("failed", r#","error_code":30007"#), Some((false, "failed"))),
        (state("busy", ""), Some((false, "busy"))),
        (state("no-answer", ""), Some((false, "no-answer"))),
        (state("canceled", ""), Some((false, "canceled"))),
    ];
    let refused = Scripted::new(404, r#"{"code":20404,"message":"not found","status":404}"#);
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone()).chain([refused, Scripted::new(503, "")])).await;
    let voice = build::<voice::Config>(CONFIG, &server.base).unwrap().channel;
    let (to, cx) = (to(), context());
    let sent = crate::channel::Sent { recipient: &to[0], platform_id: "CA1", at: cx.now, now: cx.now, deadline: cx.deadline };
    for (answer, expected) in &rows {
        let word = voice.receipt(&sent).await.unwrap();
        assert_eq!(word.as_ref().map(|word| (word.reached, word.code.as_str())), *expected, "{answer:?}");
        assert!(word.is_none_or(|word| !answer.body.windows(5).any(|w| w == b"30005") || word.detail.contains("30005: Unknown destination handset")));
    }
    assert_eq!(voice.receipt(&sent).await.unwrap_err().code.as_deref(), Some("20404"));
    assert!(voice.receipt(&sent).await.is_err());
    assert_eq!(server.seen()[0].uri.path(), "/2010-04-01/Accounts/AC1/Calls/CA1.json");
}

#[tokio::test]
async fn a_call_that_rings_is_cancelled_and_one_that_was_answered_goes_on() {
    let answers = [
        Scripted::from(r#"{"sid":"CA1","status":"canceled"}"#),
        Scripted::new(400, r#"{"code":21220,"message":"Call is not in-progress. Cannot redirect.","status":400}"#),
        Scripted::new(401, r#"{"code":20003,"message":"Authenticate","status":401}"#),
    ];
    let server = ScriptedServer::start(answers).await;
    let voice = build::<voice::Config>(CONFIG, &server.base).unwrap().channel;
    let (to, cx) = (to(), context());
    let sent = crate::channel::Sent { recipient: &to[0], platform_id: "CA1", at: cx.now, now: cx.now, deadline: cx.deadline };
    assert!(voice.cancel(&sent).await.unwrap() && !voice.cancel(&sent).await.unwrap());
    assert_eq!(voice.cancel(&sent).await.unwrap_err().code.as_deref(), Some("20003"));
    let seen = server.seen();
    assert_eq!(seen[0].uri.path(), "/2010-04-01/Accounts/AC1/Calls/CA1.json");
    assert_eq!(seen[0].body, "Status=canceled");
}

#[test]
fn a_callback_is_believed_with_its_signature_only() {
    // The vector of Twilio's own libraries.
    let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
    let body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
    let config = CONFIG.replace("twilio-S3CRET", "'12345'");
    let voice = build::<voice::Config>(&config, "http://127.0.0.1:9").unwrap().channel;
    let ask = |channel: &Arc<dyn Channel>, signature: &str, url: &str, body: &str| {
        let headers = [("x-twilio-signature".parse().unwrap(), signature.parse().unwrap())].into_iter().collect();
        channel.called_back(&Callback { url, headers: &headers, body: body.as_bytes(), now: jiff::Timestamp::UNIX_EPOCH })
    };
    let good = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    assert_eq!(ask(&voice, good, url, body), Ok(vec![Called { platform_id: "CA1234567890ABCDE".into(), recipient: None, word: None, key: None }]));
    assert!(ask(&voice, good, &url.replace("bar=2", "bar=3"), body).is_err());
    assert!(ask(&voice, good, url, &body.replace("1234", "1235")).is_err());
    assert!(ask(&voice, &good.replace('R', "S"), url, body).is_err() && ask(&voice, "", url, body).is_err());
    let keyed = config.replace("from:", "api_key: SK1, from:");
    assert!(ask(&build::<voice::Config>(&keyed, "http://127.0.0.1:9").unwrap().channel, good, url, body).is_err(), "an API key signs nothing");
}

#[tokio::test]
async fn a_callback_address_is_given_where_it_can_be_reached_and_left_out_where_twilio_refuses_it() {
    let refused = Scripted::new(400, r#"{"code":21609,"message":"The 'StatusCallback' URL is not a valid URL.","status":400}"#);
    let ok = Scripted::new(201, r#"{"sid":"CA1","status":"queued"}"#);
    let server = ScriptedServer::start([ok.clone(), ok.clone(), ok.clone(), refused, ok]).await;
    let voice = build::<voice::Config>(CONFIG, &server.base).unwrap().channel;
    let callbacks = ["https://w.example.com/receipts/a?k=1", "http://10.0.0.1/receipts/a?k=1", "", "https://w.example.com/receipts/a?k=1"];
    for callback in callbacks {
        let cx = SendContext { callback: callback.into(), ..context() };
        assert_eq!(kinds(&voice.send(&page(&[("text", "x")]), &to(), &cx).await), [Ok(Some("sid CA1".to_owned()))]);
    }
    let given: Vec<bool> = server.seen().iter().map(|seen| String::from_utf8_lossy(&seen.body).contains("StatusCallback=https%3A%2F%2Fw.")).collect();
    assert_eq!(given, [true, false, false, true, false]);
}

/// The vector of Twilio's own libraries: an address, a form and a token, and their signature.
#[test]
fn keys_and_answers_are_believed_with_a_signature_only() {
    let line = |more: &str| {
        build::<voice::Config>(&CONFIG.replace("twilio-S3CRET", "'12345'").replace("from:", &format!("{more}from:")), "http://127.0.0.1:9")
            .unwrap()
            .channel
    };
    let voice = line("");
    assert!(matches!(voice.press_way(), Some(PressWay::Phone)));
    assert!(line("api_key: SK1, ").press_way().is_none(), "an API key's secret checks nothing");
    let at = 1_795_900_000;
    let url = format!("https://w.example.com/press/call?v=ack.0W1x2y3z4A5b6C.3&t={at}");
    let body = "CallSid=CA1&Digits=1&From=%2B15005550006&To=%2B8613800000000";
    let sign = |url: &str, body: &str| {
        let form = reqwest::Url::parse(&format!("http://h/?{body}")).unwrap();
        let mut pairs: Vec<String> = form.query_pairs().map(|(name, value)| format!("{name}{value}")).collect();
        pairs.sort();
        let mut mac = <hmac::Hmac<sha1::Sha1> as hmac::KeyInit>::new_from_slice(b"12345").unwrap();
        hmac::Mac::update(&mut mac, format!("{url}{}", pairs.concat()).as_bytes());
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hmac::Mac::finalize(mac).into_bytes())
    };
    let ask = |channel: &Arc<dyn Channel>, signature: &str, url: &str, body: &str, now: i64| {
        let headers = [("x-twilio-signature".parse().unwrap(), signature.parse().unwrap())].into_iter().collect();
        channel.pressed(&Callback { url, headers: &headers, body: body.as_bytes(), now: Timestamp::from_second(now).unwrap() })
    };
    let good = sign(&url, body);
    // The published vector has no message in its address; what is wrong with it is that, and not its signature.
    let vector = (
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212",
    );
    assert_eq!(sign(vector.0, vector.1), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    assert_eq!(ask(&voice, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", vector.0, vector.1, at).err().as_deref(), Some("the address names no message"));
    let Ok(PressCall::Press(press)) = ask(&voice, &good, &url, body, at + 60) else { panic!() };
    assert_eq!((press.event_id.as_str(), press.value.as_str(), press.by.id.as_str()), ("CA1.1", "ack.0W1x2y3z4A5b6C.3", "+8613800000000"));
    assert_eq!(press.by.name, "+86****0000");
    assert!(ask(&voice, &good, &url, body, at + 4 * 3600 + 1).err().unwrap().contains("4 hours"));
    assert!(ask(&voice, &good, &url, body, at - 4 * 3600 - 1).is_err());
    for (url, body) in
        [(url.replace("ack", "close"), body.to_owned()), (url.clone(), body.replace("Digits=1", "Digits=2")), (url.clone(), String::new())]
    {
        assert_eq!(ask(&voice, &good, &url, &body, at).err().as_deref(), Some("the signature is wrong"));
    }
    // Twilio signs an address with or without its port, as its libraries know.
    let ported = url.replace("w.example.com", "w.example.com:8443");
    for (signed, at_ours, good) in [
        (&url, &ported, true),
        (&url.replace("w.example.com", "w.example.com:443"), &url, true),
        (&ported, &ported, true),
        (&url.replace("w.example.com", "w.example.com:8444"), &ported, false),
        (&url.replace("w.example.com", "x.example.com"), &ported, false),
    ] {
        assert_eq!(ask(&voice, &sign(signed, body), at_ours, body, at).is_ok(), good, "{signed} at {at_ours}");
    }
    let again = body.replace("Digits=1", "Digits=2");
    assert!(matches!(ask(&voice, &sign(&url, &again), &url, &again, at), Ok(PressCall::Again(value)) if value == "ack.0W1x2y3z4A5b6C.3"));
    let sms = build::<sms::Config>(&CONFIG.replace("twilio-S3CRET", "'12345'"), "http://127.0.0.1:9").unwrap().channel;
    let (url, body) = ("https://w.example.com/press/text", "Body=1842+ok&From=%2B8613800000000&MessageSid=SM1");
    let Ok(PressCall::Command(command)) = ask(&sms, &sign(url, body), url, body, at) else { panic!() };
    assert_eq!((command.event_id.as_str(), command.verb, command.incident), ("SM1", Some(Verb::Ack), Some(1842)));
}

#[test]
fn a_call_offers_keys_where_they_lead_somewhere() {
    let mut one = page(&[("text", "磁盘 & 内存")]);
    let now = context().now;
    let press = "https://w.example.com/press/call";
    assert_eq!(press::key_address(&one, press, now), None, "nothing to ack");
    let button = |verb, value: &str| Button { verb, label: "On it".into(), value: value.into() };
    one.facts.incident.buttons = vec![button(Verb::Unack, "unack.c.1"), button(Verb::Snooze, "snooze.c.1.120")];
    assert_eq!(press::key_address(&one, press, now), None, "somebody is on it");
    one.facts.incident.buttons.insert(0, button(Verb::Ack, "ack.c.1"));
    assert_eq!(press::key_address(&one, "", now), None, "no address");
    let address = press::key_address(&one, press, now).unwrap();
    assert_eq!(address, format!("{press}?v=ack.c.1&t={}", now.as_second()));
    one.facts.language = Language::Zh;
    let twiml = press::twiml(&one, Some(&address));
    let (first, second) = ("磁盘 &amp; 内存。", "重复一遍。磁盘 &amp; 内存。");
    let said = format!(
        "<Response><Gather numDigits=\"1\" timeout=\"10\" method=\"POST\" action=\"{}\"><Say language=\"zh-CN\">{first}</Say><Pause length=\"1\"/>\
         <Say language=\"zh-CN\">{second}</Say><Say language=\"zh-CN\">认领请按1，重听请按2。</Say></Gather></Response>",
        address.replace('&', "&amp;")
    );
    assert_eq!(twiml, said);
    // What takes all the room is said without keys rather than refused.
    let signs = page(&[("text", &"\"".repeat(300))]);
    let far = format!("{address}&{}", "x".repeat(300));
    assert!(press::twiml(&signs, Some(&address)).contains("Gather") && !press::twiml(&signs, Some(&far)).contains("Gather"));
}
