//! The control port that shell tests use.

use std::sync::Arc;

use serde_json::Value;

use super::raw::{http, post};
use crate::support::fakes::Fleet;

#[tokio::test]
async fn a_shell_can_script_and_inspect_everything() {
    let fleet = Arc::new(Fleet::start(0).await.unwrap());
    let control = fleet.clone().control(0).await.unwrap();
    let ask = async |target: &str| -> Value { serde_json::from_str(&http(control, "GET", target, &[], "").await.unwrap().body).unwrap() };
    let about = ask("/").await;
    assert_eq!(about["fakes"]["slack"]["credentials"]["token"], "xoxb-fake-token");
    assert!(std::fs::metadata(about["fakes"]["smtp"]["credentials"]["ca_file"].as_str().unwrap()).is_ok());
    let slack = fleet.members["slack"].addr;
    let hook = "/services/T0/B0/slack-hook-secret";
    ask("/_track?prefix=wf-").await;
    ask("/_fault?fake=slack&do=pass,status:503").await;
    assert_eq!(post(slack, hook, r#"{"text":"wf-1 down"}"#).await.unwrap().status, 200);
    assert_eq!(post(slack, hook, r#"{"text":"wf-2 down"}"#).await.unwrap().status, 503);
    assert_eq!(ask("/_marks?fake=slack").await["slack"], serde_json::json!(["wf-1"]));
    assert_eq!(ask("/_counts").await["slack"]["accepted"], 1);
    assert_eq!(ask("/_recorded?fake=slack").await["slack"][0]["text"], "wf-1 down");
    ask("/_down?fake=slack").await;
    while post(slack, hook, "{}").await.is_ok() {}
    ask("/_up?fake=slack").await;
    ask("/_pace?factor=off").await;
    for _ in 0..10 {
        assert_eq!(post(slack, hook, r#"{"text":"x"}"#).await.unwrap().status, 200);
    }
    ask("/_reset").await;
    assert_eq!(ask("/_counts?fake=slack").await["slack"]["total"], 0);
    for wrong in ["/_fault?do=explode", "/_down?fake=nobody", "/_smtp?stage=lunch&act=450", "/nothing"] {
        assert!(ask(wrong).await["error"].is_string(), "{wrong}");
    }
    assert_eq!(ask("/_smtp?fake=smtp&stage=rcpt&act=450&times=1").await["ok"], true);
}
