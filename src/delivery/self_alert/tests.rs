//! What the alarms say, in both languages.

use super::*;
use crate::template::english;

const T0: UnixMs = UnixMs(1_790_000_000_000);

#[test]
fn a_self_alert_speaks_the_language_of_its_channel() {
    let alert = SelfAlert::channel_suspended("ops-ding", "the token is wrong");
    let said = |language| alert.event(T0, T0, language).alerts.remove(0).annotations;
    assert_eq!(said(Language::En)["summary"], "Channel ops-ding cannot deliver");
    assert_eq!(said(Language::Zh)["summary"], "通道 ops-ding 无法发送");
    assert!(said(Language::Zh)["description"].starts_with("原因：the token is wrong。"), "{:?}", said(Language::Zh));
    let refused = "DingTalk refused the message: there is no robot with this token; check `access_token` (\"token is not exist\") (code 300005)";
    let said = SelfAlert::channel_suspended("ops-ding", refused).event(T0, T0, Language::Zh).alerts.remove(0).annotations;
    assert_eq!(
        said["description"],
        "原因：钉钉拒绝了消息：没有使用该 token 的机器人，请检查 `access_token`（“token is not exist”）（错误码 300005）。消息已排队，恢复后自动发送；重新加载配置会立即重试。"
    );
    let unknown = SelfAlert::not_delivered("ops", State::Unknown, 2, "no answer within 10s").event(T0, T0, Language::En);
    let told = &unknown.alerts[0].annotations;
    assert_eq!(told["summary"], "Nobody knows whether 2 on channel ops arrived");
    assert_eq!(told["description"], "no answer within 10s. See `watchfire queue ls --state unknown --channel ops`.");
    let over = SelfAlert::resolved(SelfAlertKind::ChannelSuspended, "ops-ding").event(T0, T0, Language::Zh);
    assert_eq!((over.status, over.alerts[0].annotations.len()), (Status::Resolved, 1));
}

/// What this program says by itself in Chinese holds no sentence of its own in English.
#[test]
fn a_chinese_alarm_is_chinese() {
    let step = EscalationStep { escalation: "db".into(), number: 2, began_at: UnixMs(0), after: 0 };
    let refused = "Feishu refused the message: its content is not accepted; look at what the template renders (\"Bad Request\") (code 9499)";
    let full =
        "the store has reached `retention.max_size` and everything in it still waits to be delivered; raise the cap, or see `watchfire queue ls`";
    let alarms = [
        SelfAlert::channel_suspended(
            "ops",
            "HTTP 401: the credentials are not accepted; check the token or password and what it may do (code HTTP 401)",
        ),
        SelfAlert::not_delivered("ops", State::Dead, 1, refused),
        SelfAlert::not_delivered("ops", State::Unknown, 1, "no answer within 10s; it may have been delivered and is not sent again"),
        SelfAlert::not_delivered("ops", State::Sent, 1, "sent, but not received: nobody answered the call; no fallback: the channel has none"),
        SelfAlert::step_not_confirmed("ops", &step, IncidentId(7), "the line was busy"),
        SelfAlert::step_not_confirmed("", &step, IncidentId(7), "nobody knows whether it was delivered"),
        SelfAlert::nobody_reached(&step, IncidentId(7), "waits, for nobody was reached so far: quiet hours of ann", true),
        SelfAlert::nobody_reached(
            &step,
            IncidentId(7),
            "waits, for nobody was reached so far: the step is not sent in the time interval `night`",
            true,
        ),
        SelfAlert::nobody_reached(&step, IncidentId(7), "the step is for what is at least critical", false),
        SelfAlert::nobody_on_call("ops", &[Missed::NobodyOnCall("night".into()), Missed::NobodyNext("day".into())]),
        SelfAlert::look_up_failed("ops", "Slack looks nobody up by mail address (`ratelimited`): too many messages; it is sent later"),
        SelfAlert::backlog("ops", 12),
        SelfAlert::month_used("ops", 2400, 3000),
        SelfAlert::disk(full),
        SelfAlert::disk("the connection to the database failed (db error); check that it runs and can be reached from here"),
        SelfAlert::orphaned_deliveries("ops", 3),
        SelfAlert::config_mismatch("a 12345678, b 87654321"),
        SelfAlert::listener_lost("ops", 2, "Slack opened the connection and did not say hello"),
        SelfAlert::acked(IncidentId(7), "ann"),
        SelfAlert::escalated("ops", &step, IncidentId(7)),
    ];
    for alarm in alarms {
        let annotations = alarm.event(T0, T0, Language::Zh).alerts.remove(0).annotations;
        for text in annotations.values() {
            assert_eq!(english(text), None, "{text}");
        }
    }
}

/// Each event has the shape that the book says, and each kind of the shape has an alarm.
#[test]
fn delivery_events_have_the_shape_of_their_schema() {
    let schema: serde_json::Value = serde_json::from_str(include_str!("../../../docs/delivery-event.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let step = EscalationStep { escalation: "db".into(), number: 2, began_at: UnixMs(0), after: 0 };
    let delivery = DeliveryId(uuid::Uuid::nil());
    let alarms = [
        (SelfAlert::not_delivered("ops", State::Dead, 3, "no").of_delivery(delivery, Some(IncidentId(7))), "dead"),
        (SelfAlert::not_delivered("ops", State::Unknown, 1, "no"), "unknown"),
        (SelfAlert::not_delivered("ops", State::Sent, 1, "no"), "undelivered"),
        (SelfAlert::channel_suspended("ops", "no"), "suspended"),
        (SelfAlert::resolved(SelfAlertKind::ChannelSuspended, "ops"), "resumed"),
        (SelfAlert::month_used("ops", 4, 5), "quota"),
        (SelfAlert::step_not_confirmed("", &step, IncidentId(7), "busy"), "step_not_confirmed"),
        (SelfAlert::nobody_reached(&step, IncidentId(7), "quiet", true), "nobody_reached"),
        (SelfAlert::acked(IncidentId(7), "ann"), "acked"),
        (SelfAlert::escalated("ops", &step, IncidentId(7)), "escalated"),
    ];
    let event = |alarm: &SelfAlert| alarm.event(T0, T0, Language::Zh).extra.get("event").cloned();
    for (alarm, kind) in &alarms {
        let event = event(alarm).unwrap();
        assert!(event["kind"] == *kind && validator.is_valid(&event), "{event}");
    }
    assert_eq!(schema["properties"]["kind"]["enum"].as_array().unwrap().len(), alarms.len());
    let dead = serde_json::json!({
        "kind": "dead", "channel": "ops", "delivery": delivery.to_string(), "incident": 7, "count": 3, "reason": "no", "at": "2026-09-21T14:13:20Z"
    });
    assert_eq!(event(&alarms[0].0), Some(dead));
    assert_eq!(event(&alarms[6].0).unwrap()["channel"], serde_json::Value::Null);
    assert_eq!(event(&SelfAlert::backlog("ops", 12)), None, "it is about no deliveries that ended");
}
