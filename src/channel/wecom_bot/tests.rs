//! WeCom smart robot: what is sent, and how a card is changed by a press.

use super::*;
use crate::channel::kit::test_server::{build, rich};
use crate::model::{Button, Verb};

const CONFIG: &str = "{ bot_id: aib1, secret: b0t-S3CRET, to: [wr1, zhangsan], api_base: BASE }";

#[test]
fn a_page_is_markdown_and_one_with_buttons_a_card() {
    let mut page = rich(&[("text", "**磁盘** db-1\u{7}\n"), ("notice", "磁盘 db-1")]);
    insta::assert_json_snapshot!("markdown", body::message(&page, "wr1", "id"));
    page.facts.incident.buttons = vec![Button { verb: Verb::Ack, label: "我来处理".into(), value: "ack.c.1".into() }];
    let card = body::message(&page, "wr1", "id");
    insta::assert_json_snapshot!("card", card);
    let known = body::answered(Some(&card["template_card"]), "id", "ack.c.1", "zhangsan: #1 已认领。");
    assert_eq!((&known["button_list"], &known["task_id"]), (&card["template_card"]["button_list"], &"id".into()));
    assert_eq!(known["sub_title_text"], "zhangsan: #1 已认领。");
    // After a restart nobody knows the card any more.
    insta::assert_json_snapshot!("forgotten", body::answered(None, "id", "ack.c.1", "zhangsan: #1 已认领。"));
}

#[test]
fn mistakes_are_found_and_a_robots_channels_share_its_connection() {
    let config: Config = serde_yaml::from_str("{ bot_id: '', secret: a, to: [] }").unwrap();
    let paths: Vec<_> = config.check().into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["wecom_bot.bot_id", "wecom_bot.to"]);
    let way =
        |more: &str| build::<Config>(&CONFIG.replace("api_base", &format!("{more}api_base")), "http://127.0.0.1:9").unwrap().channel.press_way();
    assert!(way("").is_none());
    assert!(matches!(way("buttons: true, "), Some(PressWay::Listener(listener)) if listener.exclusive()));
}

#[tokio::test]
async fn where_a_channel_listens_nobody_asks_by_a_connection_that_would_end_its_own() {
    let clients = crate::channel::kit::HttpClients::default();
    let built = |more: &str| {
        let config: Config = serde_yaml::from_str(&CONFIG.replace("api_base: BASE", &format!("{more}api_base: 'http://127.0.0.1:9'"))).unwrap();
        let secrets = &crate::channel::kit::test_server::Literals;
        let timeout = Duration::from_secs(10);
        config.build(&BuildContext { channel: "test", timeout, proxy: None, secrets, http: &clients, presets: &Default::default() }).unwrap().channel
    };
    let quiet = built("");
    assert!(matches!(quiet.probe().await, Probe::Failed(_)), "nothing listens on that port");
    let listens = built("buttons: true, ");
    assert!(matches!(listens.probe().await, Probe::Unsupported) && matches!(quiet.probe().await, Probe::Unsupported));
}
