//! Look-ups of people's ids: each platform's word for nobody, for a missing permission, and for too many questions.

use serde_json::{Value, json};

use crate::support::fakes::{Answer, Call, DingtalkCard, Feishu, Platform, Slack, Wecom};

fn code(answer: &Answer, pointer: &str) -> String {
    answer.value().pointer(pointer).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap_or_default()
}

#[test]
fn slack_takes_the_address_in_the_query_and_wants_the_scope() {
    let mut fake = Slack::new("xoxb-1");
    fake.people.add("ann@example.com", "U1");
    let ask = |fake: &mut Slack, query: &str| {
        fake.answer(&Call::new("GET", &format!("/api/users.lookupByEmail?{query}")).with_header("Authorization", "Bearer xoxb-1"))
    };
    assert_eq!(code(&ask(&mut fake, "email=ann%40example.com"), "/user/id"), "U1");
    assert_eq!(code(&ask(&mut fake, "email=bob%40example.com"), "/error"), "users_not_found");
    assert_eq!(code(&ask(&mut fake, ""), "/error"), "invalid_arguments");
    fake.people.forbidden = true;
    let refused = ask(&mut fake, "email=ann%40example.com");
    assert_eq!((code(&refused, "/error"), code(&refused, "/needed")), ("missing_scope".into(), "users:read.email".into()));
    fake.people.blocked = true;
    assert_eq!(ask(&mut fake, "email=ann%40example.com").status, 429);
    assert_eq!(code(&fake.answer(&Call::new("GET", "/api/users.lookupByEmail?email=x")), "/error"), "not_authed");
}

#[test]
fn wecom_dingtalk_and_feishu_refuse_in_their_own_codes() {
    let mobile = json!({ "mobile": "13800000000" });
    let mut wecom = Wecom::new("ww1", 1, "secret");
    let token = code(&wecom.answer(&Call::new("GET", "/cgi-bin/gettoken?corpid=ww1&corpsecret=secret")), "/access_token");
    let path = format!("/cgi-bin/user/getuserid?access_token={token}");
    let mut ask = |change: fn(&mut Wecom)| {
        change(&mut wecom);
        code(&wecom.answer(&Call::new("POST", &path).with_json(&mobile)), "/errcode")
    };
    assert_eq!(ask(|_| {}), "46004");
    assert_eq!(ask(|wecom| wecom.people.add("13800000000", "ann")), "0");
    assert_eq!(ask(|wecom| wecom.people.forbidden = true), "48002");
    assert_eq!(ask(|wecom| wecom.people.blocked = true), "45009");

    let mut ding = DingtalkCard::new(("key", "secret"), "bot", &[], &[]);
    let login = json!({ "appKey": "key", "appSecret": "secret" });
    let token = code(&ding.answer(&Call::new("POST", "/v1.0/oauth2/accessToken").with_json(&login)), "/accessToken");
    let mut ask = |token: &str, change: fn(&mut DingtalkCard)| {
        change(&mut ding);
        let call = Call::new("POST", &format!("/topapi/v2/user/getbymobile?access_token={token}")).with_json(&mobile);
        code(&ding.answer(&call), "/errcode")
    };
    assert_eq!(ask("old", |_| {}), "88");
    assert_eq!(ask(&token, |_| {}), "60121");
    assert_eq!(ask(&token, |ding| ding.people.add("13800000000", "ann")), "0");
    assert_eq!(ask(&token, |ding| ding.people.forbidden = true), "60011");
    assert_eq!(ask(&token, |ding| ding.people.blocked = true), "90018");

    let mut feishu = Feishu::new("hook", None, "cli_1", "secret");
    let login = json!({ "app_id": "cli_1", "app_secret": "secret" });
    let path = "/open-apis/auth/v3/tenant_access_token/internal";
    let token = code(&feishu.answer(&Call::new("POST", path).with_json(&login)), "/tenant_access_token");
    feishu.people.add("13800000000", "ou_1");
    let ask = |feishu: &mut Feishu, kind: &str, body: &Value| {
        let call = Call::new("POST", &format!("/open-apis/contact/v3/users/batch_get_id?user_id_type={kind}")).with_json(body);
        feishu.answer(&call.with_header("Authorization", &format!("Bearer {token}")))
    };
    let both = json!({ "mobiles": ["13800000000"], "emails": ["bob@example.com"] });
    let found = ask(&mut feishu, "open_id", &both);
    assert_eq!((code(&found, "/data/user_list/0/user_id"), code(&found, "/data/user_list/1/user_id")), ("ou_1".into(), String::new()));
    assert_eq!(code(&ask(&mut feishu, "name", &both), "/code"), "99992402");
    feishu.people.forbidden = true;
    assert_eq!(code(&ask(&mut feishu, "open_id", &both), "/code"), "99991672");
    feishu.people.blocked = true;
    assert_eq!(code(&ask(&mut feishu, "open_id", &both), "/code"), "99991400");
}
