//! `watchfire check --online`: what of their rights the platforms report, and which are missing.

use std::process::Command;

use serde_json::json;

use crate::support::app::{TestApp, alert};
use crate::support::fakes::people::People;
use crate::support::fakes::slack::Room;
use crate::support::fakes::{DingtalkApp, DingtalkCard, Discord, Fake, Feishu, Pace, Platform, Slack, Telegram, Wecom};

/// What it prints about one channel.
async fn check(block: &str, more: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let routes =
        format!("server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\n{more}channels:\n  ops: {{ {block} }}\nroute: {{ to: [ops] }}\n");
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let run = move || Command::new(env!("CARGO_BIN_EXE_watchfire")).args(["check", "--online"]).current_dir(folder.path()).output().unwrap();
    let out = tokio::task::spawn_blocking(run).await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (out.status.success(), said)
}

async fn fine(block: &str) {
    let (fine, said) = check(block, "").await;
    assert!(fine, "{said}");
}

async fn lacks(block: &str, words: &str) {
    lacks_with(block, "", words).await;
}

async fn lacks_with(block: &str, more: &str, words: &str) {
    let (fine, said) = check(block, more).await;
    assert!(!fine && said.contains("E062") && said.contains(words), "{words}: {said}");
}

fn sent(fake: &Fake<impl Platform>) -> usize {
    fake.with(|platform| platform.transcript().unwrap().texts().len())
}

/// A route of the file that its alerts miss by a letter.
#[tokio::test(flavor = "multi_thread")]
async fn matchers_are_compared_with_the_labels_of_stored_events() {
    let (one, two) =
        ("channels: { ops: { log: {} } }\nroute:\n  to: [ops]\n  routes:\n", "    - { matchers: ['alertname=\"DiskFull\"'], to: [ops] }\n");
    let app = TestApp::start(&format!("server: {{ listen: '127.0.0.1:0' }}\nstore: sqlite:watchfire.db\n{one}{two}")).await;
    let (status, _) = app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    assert_eq!(status, 200);
    let folder = tempfile::tempdir().unwrap();
    let missed = "    - { matchers: ['AlertName=\"DiskFull\"'], to: [ops] }\n    - { matchers: ['alertname=\"Diskfull\"'], to: [ops] }\n";
    let mute = "mutes: [{ name: upgrade, matchers: ['Group=\"db\"'], until: 2099-12-01 06:00, reason: x }]\n";
    std::fs::write(folder.path().join("routes.yaml"), format!("store: sqlite:watchfire.db\n{mute}{one}{two}{missed}")).unwrap();
    let address = app.url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(["check", "--online", "--listen", &address]).current_dir(folder.path()).env_clear().output().unwrap()
    };
    let out = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    for line in [
        "the newest 1 were read for their labels",
        "warning[W117]: the mute upgrade: no alert has the label `Group` (they have `group`; labels are compared letter by letter)",
        "warning[W117]: route.routes[1]: no alert has the label `AlertName` (they have `alertname`; labels are compared letter by letter)",
        "warning[W117]: route.routes[2]: no alert has `alertname=\"Diskfull\"` (they have `alertname=\"DiskFull\"`; values are compared letter by letter)",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(out.status.success() && !said.contains("route.routes[0]"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn telegram_says_what_the_bot_may_in_the_chat() {
    let telegram = Fake::start(Telegram::new("123:token", &["-1001", "@ops"])).await;
    let to = |chat: &str| format!("telegram: {{ token: \"123:token\", chat: \"{chat}\", api_base: \"{}\" }}", telegram.url());
    fine(&to("-1001")).await;
    lacks(&to("-1009"), "chat not found").await;
    let is = |chat: &str, member: serde_json::Value| telegram.with(|telegram| telegram.memberships.insert(chat.to_owned(), member));
    is("-1001", json!({ "status": "restricted", "can_send_messages": false }));
    lacks(&to("-1001"), "can_send_messages").await;
    is("-1001", json!({ "status": "left" }));
    lacks(&to("-1001"), "the bot is not in the chat").await;
    lacks(&to("@ops"), "can_post_messages").await;
    is("@ops", json!({ "status": "administrator", "can_post_messages": true }));
    fine(&to("@ops")).await;
    assert_eq!(sent(&telegram), 0, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_looks_for_messages_where_edits_would() {
    let discord = Fake::start(Discord::new("1", "t0ken")).await;
    discord.with(|discord| discord.pace.set(Pace::Off));
    let block = |more: &str| format!("discord: {{ webhook: \"{}/api/webhooks/1/t0ken\"{more} }}", discord.url());
    fine(&block("")).await;
    fine(&block(", thread_id: \"5\"")).await;
    discord.with(|discord| discord.lost_threads.insert("5".to_owned()));
    lacks(&block(", thread_id: \"5\""), "check `thread_id`").await;
    discord.with(|discord| discord.hooks.clear());
    lacks(&block(""), "create a new one").await;
    assert_eq!(sent(&discord), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn feishu_lists_the_permissions_of_the_application() {
    let feishu = Fake::start(Feishu::new("hook", None, "cli_1", "app-secret")).await;
    let block = format!("feishu: {{ app_id: cli_1, app_secret: app-secret, to: [oc_1], api_base: \"{}\" }}", feishu.url());
    fine(&block).await;
    feishu.with(|feishu| feishu.scopes = Some(vec![("im:message:send_as_bot", false), ("im:chat:readonly", true)]));
    lacks(&block, "`im:message:send_as_bot` (it has: im:chat:readonly)").await;
    feishu.with(|feishu| feishu.scopes = Some(vec![("im:message", true)]));
    fine(&block).await;
    // Who may not ask is not blamed.
    feishu.with(|feishu| feishu.scopes = None);
    fine(&block).await;
    assert_eq!(sent(&feishu), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dingtalk_refuses_the_edit_of_no_card_for_the_permission() {
    let ding = Fake::start(DingtalkCard::new(("key", "S3CRET"), "bot", &["cidOPS=="], &["anna"])).await;
    let block = format!("dingtalk_card: {{ app_key: key, app_secret: S3CRET, robot_code: bot, to: [\"cidOPS==\"], api_base: \"{}\" }}", ding.url());
    fine(&block).await;
    ding.with(|ding| ding.permitted = false);
    lacks(&block, "Card.Instance.Write").await;
    assert_eq!(sent(&ding), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wecom_says_whether_the_application_is_the_secrets_and_enabled() {
    let wecom = Fake::start(Wecom::new("corp-id", 1_000_002, "wecom-secret")).await;
    let of =
        |agent: u32| format!("wecom: {{ corp_id: corp-id, agent_id: {agent}, secret: wecom-secret, to_user: a, api_base: \"{}\" }}", wecom.url());
    fine(&of(1_000_002)).await;
    lacks(&of(1_000_003), "301002").await;
    wecom.with(|wecom| wecom.disabled = true);
    lacks(&of(1_000_002), "is disabled").await;
    wecom.with(|wecom| (wecom.disabled, wecom.ip_trusted) = (false, false));
    lacks(&of(1_000_002), "60020").await;
}

const ANN: &str = "people: { ann: { email: ann@example.com, mobile: \"+8613800000000\" } }\n";

/// A channel whose messages mention somebody whose id is looked up; what it lacks for that; and that nobody is looked up for messages that name nobody.
async fn looks_up<P: Platform>(fake: &Fake<P>, block: &str, people: impl Fn(&mut P) -> &mut People, lacking: &str) {
    let asked = || fake.with(|platform| std::mem::take(&mut people(platform).asked).len());
    let named = format!("{block}, mentions: {{ people: [ann] }}");
    let (fine, said) = check(&named, ANN).await;
    assert!(fine, "whom it does not know is no matter of rights: {said}");
    assert_eq!(asked(), 1);
    fake.with(|platform| people(platform).forbidden = true);
    lacks_with(&named, ANN, lacking).await;
    asked();
    let (fine, said) = check(block, ANN).await;
    assert!(fine && asked() == 0, "nobody is named: {said}");
    fake.with(|platform| {
        let known = people(platform);
        (known.forbidden, known.blocked) = (false, true);
    });
    let (fine, said) = check(&named, ANN).await;
    assert!(fine, "too many questions are no matter of rights: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_mentioned_by_name_must_be_found() {
    let slack = Fake::start(Slack::new("xoxb-test-token").channel("C0123", "#ops", Room::Open)).await;
    let block = format!("slack: {{ token: xoxb-test-token, channel: C0123, api_base: \"{}\" }}", slack.url());
    looks_up(&slack, &block, |slack| &mut slack.people, "users:read.email").await;
    let feishu = Fake::start(Feishu::new("hook", None, "cli_1", "app-secret")).await;
    let block = format!("feishu: {{ app_id: cli_1, app_secret: app-secret, to: [oc_1], api_base: \"{}\" }}", feishu.url());
    looks_up(&feishu, &block, |feishu| &mut feishu.people, "contact:user.id:readonly").await;
    let ding = Fake::start(DingtalkCard::new(("key", "S3CRET"), "bot", &["cidOPS=="], &["anna"])).await;
    let block = format!("dingtalk_card: {{ app_key: key, app_secret: S3CRET, robot_code: bot, to: [\"cidOPS==\"], api_base: \"{}\" }}", ding.url());
    looks_up(&ding, &block, |ding| &mut ding.people, "qyapi_get_member_by_mobile").await;
    let wecom = Fake::start(Wecom::new("corp-id", 1_000_002, "wecom-secret")).await;
    let block = format!("wecom: {{ corp_id: corp-id, agent_id: 1000002, secret: wecom-secret, to_user: a, api_base: \"{}\" }}", wecom.url());
    looks_up(&wecom, &block, |wecom| &mut wecom.people, "let the application see the members").await;
    assert_eq!((sent(&slack), sent(&feishu), sent(&ding)), (0, 0, 0), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_dingtalk_calls_by_mobile_number_must_be_found() {
    let ding = Fake::start(DingtalkApp::new("ding-key", "ding-secret", "dingbot", &[("13800000001", "u1")])).await;
    let to = |whom: &str| {
        let app = "app_key: ding-key, app_secret: ding-secret, robot_code: dingbot";
        format!("dingtalk_call: {{ {app}, to: [\"{whom}\"], api_base: \"{}\" }}", ding.url())
    };
    fine(&to("13800000001")).await;
    ding.with(|ding| ding.permitted = false);
    lacks(&to("+8613800000001"), "qyapi_get_member_by_mobile").await;
    fine(&to("user:u1")).await;
    ding.with(|ding| (ding.permitted, ding.ip_trusted) = (true, false));
    lacks(&to("13800000001"), "this server's address is not on the application's list").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dingtalk_is_asked_for_the_connection_of_presses() {
    let ding = Fake::start(DingtalkCard::new(("key", "S3CRET"), "bot", &["cidOPS=="], &["anna"])).await;
    let of = |more: &str| {
        let app = "app_key: key, app_secret: S3CRET, robot_code: bot, to: [\"cidOPS==\"]";
        format!("dingtalk_card: {{ {app}{more}, api_base: \"{}\" }}", ding.url())
    };
    let pressed = of(", buttons: true, corp_id: dingCORP");
    fine(&pressed).await;
    ding.with(|ding| ding.stream.denied = true);
    lacks(&pressed, "lacks a permission").await;
    fine(&of("")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_that_does_not_answer_is_an_error_of_its_own() {
    let (fine, said) = check("log: {}", "silence: { alertmanager: [{ url: \"http://127.0.0.1:1\" }] }\n").await;
    assert!(!fine && said.contains("E056") && said.contains("http://127.0.0.1:1"), "{said}");
}
