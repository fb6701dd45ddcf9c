//! DING: tokens and user ids are asked for once, who is not reached is named, what answers mean, and what never shows.

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};

const CONFIG: &str = "{ app_key: ding1, app_secret: ding-S3CRET, robot_code: r1, to: ['13800000001', 'user:lisi'], api_base: BASE }";
const TOKEN: &str = r#"{"accessToken":"at-S3CRET","expireIn":7200}"#;
const USER_OK: &str = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"u1"}}"#;

fn to() -> [Recipient; 2] {
    [Recipient::new("13800000001"), Recipient::new("user:lisi")]
}

#[tokio::test]
async fn people_are_looked_up_once_and_those_not_reached_are_named() {
    let part = r#"{"openDingId":"d2","failedList":{"not in the visible range":["lisi"]}}"#;
    let server = ScriptedServer::start([TOKEN, USER_OK, r#"{"openDingId":"d1","failedList":{}}"#, part].map(Scripted::from)).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let page = page(&[("text", "Disk full 1234567 https://x.example")]);
    assert_eq!(
        kinds(&built.channel.send(&page, &to(), &context()).await),
        [Ok(Some("openDingId d1".to_owned())), Ok(Some("openDingId d1".to_owned()))]
    );
    let second = built.channel.send(&page, &to(), &context()).await;
    assert_eq!(kinds(&second), [Ok(Some("openDingId d2".to_owned())), Err((Rejected, Some("failedList".to_owned())))]);
    assert!(second[1].1.as_ref().unwrap_err().recipient);
    let seen = server.seen();
    assert_eq!(seen.len(), 4, "token and user are kept");
    assert_eq!((seen[1].uri.path(), seen[1].query("access_token").as_deref()), ("/topapi/v2/user/getbymobile", Some("at-S3CRET")));
    assert_eq!(seen[2].header("x-acs-dingtalk-access-token"), "at-S3CRET");
    insta::assert_json_snapshot!("ding", seen[2].json());
}

#[test]
fn a_call_is_heard_and_what_is_read_stays_as_it_was_written() {
    let content = |remind: &str| {
        let config = CONFIG.replace("api_base: BASE", &format!("remind: {remind}, api_base: BASE"));
        let built = build::<Config>(&config, "http://127.0.0.1:9").unwrap();
        built.channel.body(&page(&[("text", "db-1:9100 holds 1234567 rows, https://x.example/a")]))["content"].as_str().unwrap().to_owned()
    };
    assert!(!content("phone").contains("9100") && content("phone").contains("1 2 3 4 5 6 7"), "{}", content("phone"));
    for remind in ["app", "sms"] {
        assert_eq!(content(remind), "db-1:9100 holds 1234567 rows, https://x.example/a");
    }
}

/// Its pages would say the same: a message about many alerts rings once.
#[test]
fn a_message_is_one_call() {
    assert_eq!(build::<Config>(CONFIG, "http://127.0.0.1:9").unwrap().channel.max_pages(), 1);
}

#[tokio::test]
async fn an_unknown_number_stands_in_nobodys_way_and_a_refused_token_is_renewed() {
    let expired = Scripted::new(400, r#"{"code":"InvalidAuthentication","message":"不合法的access_token"}"#);
    let nobody = Scripted::from(r#"{"errcode":60121,"errmsg":"找不到该用户"}"#);
    let good = Scripted::from(r#"{"openDingId":"d1","failedList":{}}"#);
    let server = ScriptedServer::start([Scripted::from(TOKEN), nobody, expired, Scripted::from(TOKEN), good]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let mut results = built.channel.send(&page(&[("text", "x")]), &to(), &context()).await;
    results.sort_by_key(|(place, _)| *place);
    assert_eq!(kinds(&results), [Err((Rejected, Some("60121".to_owned()))), Ok(Some("openDingId d1".to_owned()))]);
}

/// Who left the organisation keeps nobody else from being called.
#[tokio::test]
async fn an_id_that_nobody_has_refuses_itself_alone() {
    let no = |code: &str| Scripted::new(400, format!(r#"{{"code":"{code}","message":"why","requestid":"R"}}"#).into_bytes());
    let good = |id: u8| Scripted::from(format!(r#"{{"openDingId":"d{id}","failedList":{{}}}}"#).as_str());
    let answers = [Scripted::from(TOKEN), no("miss.staffId"), no("miss.staffId"), good(1), no("ding.receivercount.limit"), good(2), good(3)];
    let server = ScriptedServer::start(answers).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let to = ["user:gone", "user:lisi"].map(Recipient::new);
    let results = built.channel.send(&page(&[("text", "x")]), &to, &context()).await;
    assert_eq!(kinds(&results), [Err((Rejected, Some("miss.staffId".to_owned()))), Ok(Some("openDingId d1".to_owned()))]);
    assert!(results[0].1.as_ref().unwrap_err().recipient);
    let results = built.channel.send(&page(&[("text", "x")]), &to, &context()).await;
    assert_eq!(kinds(&results), [Ok(Some("openDingId d2".to_owned())), Ok(Some("openDingId d3".to_owned()))]);
    let named: Vec<serde_json::Value> = server.seen()[1..].iter().map(|seen| seen.json()["receiverUserIdList"].clone()).collect();
    let [both, gone, lisi] = [json!(["gone", "lisi"]), json!(["gone"]), json!(["lisi"])];
    assert_eq!(named, [both.clone(), gone.clone(), lisi.clone(), both, gone, lisi]);
}

#[tokio::test]
async fn a_look_up_that_is_limited_holds_no_channel() {
    let soon = RateLimited { retry_after: Some(Duration::from_secs(2)) };
    let words = "ding talk error[subcode=90018,submsg=您的服务器调用钉钉开放平台所有接口的请求都被暂时禁用了]";
    let behind = |sub: &str| format!(r#"{{"errcode":88,"errmsg":"{words}","sub_code":"{sub}","sub_msg":"why"}}"#);
    let rows = [
        (behind("90018"), soon, "90018", false),
        (behind("60011"), Misconfigured, "60011", false),
        (behind("60121"), Rejected, "60121", true),
        (r#"{"errcode":90006,"errmsg":"您的应用调用该接口超过限流"}"#.into(), soon, "90006", false),
        (r#"{"errcode":49000,"errmsg":"系统繁忙"}"#.into(), Transient, "49000", false),
        (r#"{"errcode":400002,"errmsg":"无效的参数"}"#.into(), Rejected, "400002", false),
    ];
    let answers = rows.iter().map(|(body, ..)| Scripted::from(body.as_str()));
    let server = ScriptedServer::start(std::iter::once(Scripted::from(TOKEN)).chain(answers)).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    for (body, kind, code, recipient) in &rows {
        let results = built.channel.send(&page(&[("text", "x")]), &to()[..1], &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{body}");
        assert_eq!(results[0].1.as_ref().unwrap_err().recipient, *recipient, "{body}");
    }
}

#[tokio::test]
async fn answers_mean_what_dingtalk_says() {
    let no = |status: u16, code: &str| Scripted::new(status, format!(r#"{{"code":"{code}","message":"why","requestid":"R"}}"#).into_bytes());
    let soon = RateLimited { retry_after: Some(Duration::from_secs(2)) };
    let rows = [
        (no(400, "invalid.chatbotId"), Misconfigured, "invalid.chatbotId"),
        (no(400, "ding.serverquota.insufficient"), Rejected, "ding.serverquota.insufficient"),
        (no(400, "toomuch.msg"), soon, "toomuch.msg"),
        (no(403, "Forbidden.AccessDenied.QpsLimitForApi"), soon, "Forbidden.AccessDenied.QpsLimitForApi"),
        (no(400, "invalidParameter.param.invalid"), Rejected, "invalidParameter.param.invalid"),
        (no(400, "send.ding.exception"), Ambiguous, "send.ding.exception"),
        (no(500, "system.error"), Ambiguous, "HTTP 500"),
        (Scripted::from("{}"), Ambiguous, "HTTP 200"),
        (Scripted::from(r#"{"openDingId":"","failedList":{}}"#), Ambiguous, "HTTP 200"),
    ];
    let server = ScriptedServer::start(std::iter::once(Scripted::from(TOKEN)).chain(rows.iter().map(|row| row.0.clone()))).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    for (answer, kind, code) in &rows {
        let results = built.channel.send(&page(&[("text", "x")]), &to()[1..], &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[test]
fn nobody_is_called_twice_for_two_ways_to_write_a_number() {
    let config: Config =
        serde_yaml::from_str("{ app_key: a, app_secret: b, robot_code: r, to: ['13800000001', '+86 138 0000 0001', 'user:lisi', ' user:lisi'] }")
            .unwrap();
    assert_eq!(config.recipients(), to());
}

#[test]
fn mistakes_are_found_without_secrets() {
    let config: Config = serde_yaml::from_str("{ app_key: '', app_secret: b, robot_code: r, to: ['12', 'user:'] }").unwrap();
    let paths: Vec<_> = config.check().into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["dingtalk_call.app_key", "dingtalk_call.to[0]", "dingtalk_call.to[1]"]);
}
