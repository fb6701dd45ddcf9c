//! Oddities of real bodies, one by one.

use super::*;
use crate::model::{Note, SenderKind, Status};

fn statuses(body: &str) -> (Status, Vec<Status>) {
    let event = read(body).unwrap().event;
    (event.status, event.alerts.iter().map(|a| a.status).collect())
}

#[test]
fn the_path_and_then_the_body_tell_the_sender() {
    let alerts = r#""alerts":[{"labels":{"alertname":"A"}}]"#;
    let kind = |sender: Sender, rest: &str| parse(&sender, format!("{{{rest}{alerts}}}").as_bytes(), &Inputs::default(), now()).unwrap().event.kind;
    for (rest, want) in [
        ("", SenderKind::Alertmanager),
        (r#""version":"4","#, SenderKind::Alertmanager),
        (r#""version":4,"orgId":1,"#, SenderKind::Alertmanager),
        (r#""version":0,"groupKey":5,"#, SenderKind::Alertmanager),
        (r#""version":"1","#, SenderKind::Grafana),
        (r#""orgId":1,"#, SenderKind::Grafana),
        (r#""state":"alerting","title":"t","#, SenderKind::Grafana),
        (r#""title":"t","#, SenderKind::Alertmanager),
    ] {
        assert_eq!(kind(Sender::Auto, rest), want, "{rest}");
        assert_eq!(kind(Sender::Grafana, rest), SenderKind::Grafana);
        assert_eq!(kind(Sender::Alertmanager, rest), SenderKind::Alertmanager);
    }
    let marked = r#"{"alerts":[{"labels":{"alertname":"A"},"valueString":"[ var='B' ]"}]}"#;
    assert_eq!(read(marked).unwrap().event.kind, SenderKind::Grafana);
}

#[test]
fn a_body_within_a_text_is_read() {
    let body = r#"{"version":"4","alerts":[{"labels":{"alertname":"A"}}]}"#;
    let text = serde_json::to_string(body).unwrap();
    let form = format!("payload={}", body.replace('"', "%22").replace('{', "%7B").replace('}', "%7D"));
    let parts = format!("--b0\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{body}\r\n--b0--\r\n");
    for wrapped in [text, form, parts] {
        assert_eq!(read(&wrapped).unwrap(), read(body).unwrap(), "{wrapped}");
    }
    assert_eq!(read(r#""{\"alerts\":[]}""#).unwrap_err().line, 1, "an error is about what was sent");
}

#[test]
fn what_has_no_field_of_its_own_is_kept() {
    let body = r#"{"version":"1","appVersion":"13.1.0","orgId":1,"title":"t","state":"alerting","new":{"a":[1,null]},"none":null,
        "alerts":[{"labels":{"alertname":"A"},"ruleUID":"u","enrichments":{"x":[{"y":2}]},"orgId":1}]}"#;
    let event = read(body).unwrap().event;
    assert_eq!(serde_json::to_value(&event.extra).unwrap(), serde_json::json!({ "appVersion": "13.1.0", "new": { "a": [1, null] } }));
    assert_eq!(event.alerts[0].rule_uid, "u");
    assert_eq!(serde_json::to_value(&event.alerts[0].extra).unwrap(), serde_json::json!({ "enrichments": { "x": [{ "y": 2 }] } }));
    let large = format!(r#"{{"version":"1","big":"{}","small":1,"alerts":[{{"labels":{{"alertname":"A"}}}}]}}"#, "x".repeat(70_000));
    let cut = read(&large).unwrap().event;
    assert_eq!(cut.extra.keys().collect::<Vec<_>>(), ["small"], "at most 64 KiB");
    assert_eq!((&event.notes[..], &cut.notes[..]), (&[][..], &[Note::Extra][..]), "what is left out is noted");
}

#[test]
fn what_of_an_alert_is_not_kept_is_noted_whatever_it_came_in() {
    let big = format!(r#""big":"{}""#, "x".repeat(70_000));
    let many: Vec<String> = (0..40).map(|n| format!(r#""m{n}":{n}"#)).collect();
    let labels = r#""labels":{"alertname":"A"}"#;
    for more in [big, many.join(",")] {
        for body in [format!(r#"{{"alerts":[{{{labels},{more}}}]}}"#), format!("[{{{labels},{more}}}]"), format!("{{{labels},{more}}}")] {
            let event = read(&body).unwrap().event;
            assert_eq!((event.alerts[0].name(), &event.notes[..]), ("A", &[Note::Extra][..]), "{}", &body[..60]);
        }
    }
    let legacy = format!(r#"{{"ruleName":"R","ruleId":1,"state":"alerting","evalMatches":[],"big":"{}"}}"#, "x".repeat(70_000));
    let event = read(&legacy).unwrap().event;
    assert_eq!((event.kind, &event.notes[..]), (SenderKind::GrafanaLegacy, &[Note::Extra][..]));
    // Long labels and annotations have a place of their own: nothing of them is left out.
    let long = format!(r#"{{{labels},"annotations":{{"summary":"{}"}}}}"#, "x".repeat(70_000));
    assert!(read(&long).unwrap().event.notes.is_empty());
}

#[test]
fn only_alertmanager_quotes_its_receiver() {
    let receiver = |sender: Sender| {
        parse(&sender, br#"{"receiver":"web\\.hook","alerts":[{"labels":{"a":"b"}}]}"#, &Inputs::default(), now()).unwrap().event.receiver
    };
    assert_eq!(receiver(Sender::Alertmanager), "web.hook");
    assert_eq!(receiver(Sender::Grafana), r"web\.hook");
}

#[test]
fn status_is_the_alerts_own_word_then_its_end_then_the_bodys() {
    use Status::{Firing, Resolved};
    let of = |head: &str, alerts: &str| statuses(&format!("{{{head}\"alerts\":[{alerts}]}}"));
    let past = r#"{"labels":{"a":"1"},"endsAt":"2026-11-30T00:00:00Z"}"#;
    let future = r#"{"labels":{"a":"2"},"endsAt":"2026-12-31T00:00:00Z"}"#;
    let bare = r#"{"labels":{"a":"3"}}"#;
    let fires = r#"{"labels":{"a":"4"},"status":"firing","endsAt":"2026-11-30T00:00:00Z"}"#;
    assert_eq!(of("", past), (Resolved, vec![Resolved]));
    assert_eq!(of("", future), (Firing, vec![Firing]));
    assert_eq!(of("", bare), (Firing, vec![Firing]));
    assert_eq!(of("", fires), (Firing, vec![Firing]));
    assert_eq!(of(r#""status":"resolved","#, bare), (Resolved, vec![Resolved]));
    assert_eq!(of(r#""state":"ok","#, bare), (Resolved, vec![Resolved]));
    assert_eq!(of(r#""status":"resolved","#, fires), (Firing, vec![Firing]));
    let test_button = r#""version":"1","state":"alerting","title":"[FIRING:1] TestAlert","status":"resolved","#;
    assert_eq!(of(test_button, r#"{"labels":{"alertname":"TestAlert"},"status":"firing"}"#), (Firing, vec![Firing]), "of Grafana");
    assert_eq!(of(r#""status":"firing","#, r#"{"labels":{},"status":"resolved"}"#), (Resolved, vec![Resolved]));
    // A word is stronger than a time.
    assert_eq!(of(r#""status":"firing","#, past), (Firing, vec![Firing]));
    assert_eq!(of(r#""status":"firing","#, &format!("{past},{future}")), (Firing, vec![Resolved, Firing]));
    assert_eq!(of("", r#"{"labels":{"a":"1"},"status":{"state":"active"}}"#), (Firing, vec![Firing]));
    // Named as Prometheus names it.
    assert_eq!(of("", r#"{"labels":{"a":"1"},"state":"resolved"}"#), (Resolved, vec![Resolved]));
    assert_eq!(of("", r#"{"labels":{"a":"1"},"status":"Recovered"}"#), (Resolved, vec![Resolved]), "as an input and a text read it");
    assert_eq!(of("", r#"{"labels":{"a":"1"},"state":"CA"}"#), (Firing, vec![Firing]));
    assert_eq!(of(r#""status":"firing","#, r#"{"labels":{"a":"1"},"state":"inactive"}"#), (Firing, vec![Firing]), "of a service");
    assert_eq!(of(r#""status":"resolved","#, r#"{"labels":{"a":"1"},"state":"active"}"#), (Resolved, vec![Resolved]), "of a service");
    assert_eq!(of("", r#"{"labels":{"a":"1"},"status":"firing","state":"ok"}"#), (Firing, vec![Firing]));
    assert_eq!(of("", r#"{"labels":{"a":"1"},"status":"weird"}"#), (Firing, vec![Firing]));
}

#[test]
fn the_end_of_a_firing_alert_is_not_kept() {
    let event = read(r#"[{"labels":{"a":"1"},"endsAt":"2026-12-31T00:00:00Z"},{"labels":{"a":"2"},"endsAt":"2026-11-30T00:00:00Z"}]"#).unwrap().event;
    assert_eq!(event.alerts[0].ends_at, None);
    assert_eq!(event.alerts[1].ends_at, Some("2026-11-30T00:00:00Z".parse().unwrap()));
}

#[test]
fn label_values_of_any_type_become_text() {
    let event = parse(&Sender::Auto, &file("quirks.json"), &Inputs::default(), now()).unwrap().event;
    let labels: Vec<_> = event.alerts[0].labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        labels,
        [
            ("alertname", "NoStatus"),
            ("big", "12345678901234567890123"),
            ("dup", "last"),
            ("nested", r#"{"b":[1,"x y"],"a":null}"#),
            ("port", "8080"),
            ("ratio", "1.10"),
            ("status", "label"),
            ("up", "false"),
        ]
    );
    assert_eq!((event.group_key.as_str(), event.truncated, event.alerts.len()), ("17", 4, 5));
    let twins: Vec<_> = event.alerts.iter().filter(|a| a.name() == "Twin").collect();
    assert_eq!(twins[0].fingerprint, twins[1].fingerprint);
    let texts: Vec<_> = twins[1].annotations.values().map(String::as_str).collect();
    assert_eq!(texts, ["\u{fffd}D83D!", "<b>", "a\u{fffd}b", "😀"]);
}

#[test]
fn null_may_stand_everywhere() {
    let body = r#"{"receiver":null,"status":null,"state":null,"version":null,"groupKey":null,"orgId":null,"title":null,"message":null,
        "notification_reason":null,"truncatedAlerts":null,"externalURL":null,"groupLabels":null,"commonLabels":null,"commonAnnotations":null,
        "routeLabels":null,"ruleName":null,"evalMatches":null,"tags":null,"labels":null,
        "alerts":[{"labels":null,"annotations":null,"status":"firing","startsAt":null,"endsAt":null,"values":null,"orgId":null,"fingerprint":null,
        "generatorURL":null,"silenceURL":null,"dashboardURL":null,"panelURL":null,"imageURL":null,"valueString":null,"ruleUID":null}]}"#;
    let event = read(body).unwrap().event;
    assert_eq!((event.status, event.alerts.len(), event.alerts[0].fingerprint.as_str()), (Status::Firing, 1, "cbf29ce484222325"));
}

#[test]
fn of_a_key_that_stands_twice_the_last_counts_but_alerts_are_not_lost() {
    let body = r#"{"receiver":"a","receiver":"b","alerts":[{"labels":{"alertname":"A"},"labels":{"alertname":"B"}}],"alerts":[],"alerts":null}"#;
    let event = read(body).unwrap().event;
    assert_eq!((event.receiver.as_str(), event.alerts[0].name()), ("b", "B"));
    let event = read(r#"{"alerts":[],"alerts":[{"labels":{"alertname":"A"}}]}"#).unwrap().event;
    assert_eq!(event.alerts[0].name(), "A");
}

#[test]
fn marks_and_broken_characters_cost_nothing() {
    let mut body = b"\xef\xbb\xbf \r\n{\"alerts\":[{\"labels\":{\"alertname\":\"caf\xe9 \xf0\x9f\x98\"}}]}\n".to_vec();
    assert_eq!(parse(&Sender::Auto, &body, &Inputs::default(), now()).unwrap().event.alerts[0].name(), "caf\u{fffd}E9 \u{fffd}F09F98");
    body.truncate(3);
    assert_eq!(parse(&Sender::Auto, &body, &Inputs::default(), now()).unwrap_err().message, "the body is empty; send JSON");
}

#[test]
fn what_is_common_is_computed_when_the_sender_does_not_say() {
    let event =
        read(r#"[{"labels":{"a":"1","b":"2"},"annotations":{"s":"x"}},{"labels":{"a":"1","b":"3"},"annotations":{"s":"x","t":"y"}}]"#).unwrap().event;
    assert_eq!(event.common_labels.into_iter().collect::<Vec<_>>(), [("a".to_owned(), "1".to_owned())]);
    assert_eq!(event.common_annotations.into_iter().collect::<Vec<_>>(), [("s".to_owned(), "x".to_owned())]);
    let said = read(r#"{"commonLabels":{},"alerts":[{"labels":{"a":"1"}}]}"#).unwrap().event;
    assert!(said.common_labels.is_empty());
}

#[test]
fn private_names_are_taken_out_where_grafana_does() {
    let body = br#"{"commonAnnotations":{"__value_string__":"v"},"alerts":[{"labels":{"a":"1","__alert_rule_uid__":"u","__half":"x"}}]}"#;
    let of = |sender: Sender| parse(&sender, body, &Inputs::default(), now()).unwrap().event;
    let (am, grafana) = (of(Sender::Alertmanager), of(Sender::Grafana));
    assert_eq!((am.alerts[0].labels.len(), am.common_annotations.len()), (3, 1));
    assert_eq!(grafana.alerts[0].labels.keys().collect::<Vec<_>>(), ["__half", "a"]);
    assert!(grafana.common_annotations.is_empty());
    assert_eq!(am.alerts[0].fingerprint, grafana.alerts[0].fingerprint);
}

#[test]
fn legacy_rules_with_odd_members() {
    let event = read(r#"{"evalMatches":"none","state":"pending","title":"T","tags":[],"ruleName":null,"orgId":"3"}"#).unwrap();
    assert_eq!(event.org_id, Some(3));
    let alert = &event.event.alerts[0];
    assert_eq!((alert.name(), alert.status, alert.annotation("grafana_state_reason")), ("T", Status::Firing, "pending"));
    let paused = read(r#"{"ruleName":"R","state":"paused","tags":{"alertname":"own"}}"#).unwrap().event;
    assert_eq!((paused.status, paused.alerts[0].name()), (Status::Resolved, "own"));
    let many =
        read(r#"{"evalMatches":[{"metric":"m","value":1,"tags":{"h":"a"}},{"metric":"m","value":2,"tags":{"h":"b"}}],"ruleName":"R"}"#).unwrap();
    let values: Vec<_> = many.event.alerts[0].values.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    assert_eq!(values, [("m", 1.0), ("m{h=b}", 2.0)]);
}

#[test]
fn an_odd_alert_costs_neither_itself_nor_the_others() {
    let good = r#"{"labels":{"alertname":"Good","severity":"critical"}}"#;
    let of = |odd: &str| {
        let event = read(&format!(r#"{{"alerts":[{good},{odd}]}}"#)).unwrap().event;
        assert_eq!((event.alerts.len(), event.alerts[0].name()), (2, "Good"), "{odd}");
        let turned = read(&format!("[{odd},{good}]")).unwrap().event;
        assert_eq!((&turned.alerts[0], &turned.notes), (&event.alerts[1], &event.notes), "in a bare list, and before it");
        event
    };
    let text = |odd: &str| {
        let event = of(odd);
        assert_eq!(event.notes, [Note::Odd(1)], "{odd}");
        let alert = &event.alerts[1];
        let labels: Vec<String> = alert.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        // What was no set is in the summary: messages show it, however many alerts they hold.
        let told = [alert.annotation("summary"), alert.annotation("description")].into_iter().filter(|text| !text.is_empty());
        (labels.join(","), told.collect::<Vec<_>>().join("\n"))
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    // Sets that are no object.
    assert_eq!(text(r#"{"labels":[{"Name":"alertname","Value":"B"},{"name":"a","value":1}]}"#), pair("a=1,alertname=B", ""));
    assert_eq!(text(r#"{"labels":[{"alertname":"B"},{"a":"b","c":"d"}]}"#), pair("a=b,alertname=B,c=d", ""));
    assert_eq!(text(r#"{"labels":["alertname=B","job=\"node\"", "free text"]}"#), pair("alertname=B,job=node", "free text"));
    assert_eq!(text(r#"{"labels":"{alertname=\"B\", a=\"1\"}"}"#), pair("a=1,alertname=B", ""));
    assert_eq!(text(r#"{"labels":"disk full","annotations":{"description":"own"}}"#), pair("", "disk full\nown"));
    assert_eq!(
        text(r#"{"labels":{"alertname":"B"},"annotations":"the disk is full, x = 3 % of it"}"#),
        pair("alertname=B", "the disk is full, x = 3 % of it")
    );
    assert_eq!(text(r#"{"labels":{"alertname":"B"},"annotations":["one","two"]}"#), pair("alertname=B", "one\ntwo"));
    assert_eq!(text(r#"{"labels":-1.5}"#), pair("", "-1.5"));
    assert_eq!(text(r#"{"labels":true,"status":"resolved"}"#), pair("", "true"));
    // Entries that are no object.
    assert_eq!(text(r#""disk full on db-1\nsince noon""#), pair("alertname=disk full on db-1", "disk full on db-1\nsince noon"));
    assert_eq!(text("17"), pair("alertname=17", "17"));
    assert_eq!(text(r#"["a",{"b":1}]"#), pair("alertname=Unknown entry", r#"[a,{"b":1}]"#));
    for empty in ["null", "\"\"", "[]", "{}"] {
        let event = read(&format!(r#"{{"alerts":[{good},{empty}]}}"#)).unwrap().event;
        assert_eq!((event.alerts.len(), event.notes.len()), (1, 0), "{empty}");
    }
    // Sets around the alerts, and one alert in place of the list.
    for around in [r#""groupLabels":"text""#, r#""commonLabels":true"#, r#""commonAnnotations":[1]"#, r#""routeLabels":"x""#] {
        assert_eq!(read(&format!(r#"{{{around},"alerts":[{good}]}}"#)).unwrap().event.alerts[0].name(), "Good", "{around}");
    }
    assert_eq!(read(&format!(r#"{{"version":"4","alerts":{good}}}"#)).unwrap().event.alerts[0].name(), "Good");
    let legacy = read(r#"{"evalMatches":[],"ruleName":"R","tags":["a","b=c"]}"#).unwrap().event;
    assert_eq!((legacy.alerts[0].label("tags"), legacy.alerts[0].label("b")), ("a", "c"));
}

#[test]
fn odd_alerts_that_differ_have_identities_that_differ() {
    let fingerprints =
        |alerts: &str| read(&format!("[{alerts},{{\"labels\":{{}}}}]")).unwrap().event.alerts.into_iter().map(|a| a.fingerprint).collect::<Vec<_>>();
    for (one, other) in [(r#""a""#, r#""b""#), ("[1]", "[2]"), (r#"{"labels":"x y"}"#, r#"{"labels":"x z"}"#)] {
        let all = fingerprints(&format!("{one},{other},{one}"));
        assert!(all[0] != all[1] && all[0] == all[2], "{one} {other}");
    }
    // What differs only in bytes that are no UTF-8 stays apart, in names and in groups.
    let of = |bytes: &[u8]| {
        let body = [br#"{"groupKey":""#, bytes, br#"","alerts":[{"labels":{"alertname":""#, bytes, br#""}}]}"#].concat();
        let event = parse(&Sender::Auto, &body, &Inputs::default(), now()).unwrap().event;
        (event.alerts[0].fingerprint.clone(), event.group_key.clone(), event.alerts[0].name().to_owned())
    };
    let gbk = |text: &str| of(&encoding_rs::GBK.encode(text).0);
    assert_eq!(gbk("磁盘").2, "磁盘");
    let names = ["磁盘", "内存", "网络", "延迟"].map(gbk);
    for (i, name) in names.iter().enumerate() {
        assert!(names[..i].iter().all(|other| other.0 != name.0 && other.1 != name.1), "{name:?}");
    }
    assert_ne!(of(b"caf\xe9").0, of(b"caf\xe8").0);
    // Texts that a sender cut in the middle of a character, as escapes: different ones, in different groups.
    let [rocket, fire] = [of(b"deploy \\ud83d"), of(b"deploy \\ud83e")];
    assert!(rocket.0 != fire.0 && rocket.1 != fire.1, "{rocket:?} {fire:?}");
    assert_ne!(of(b"\xe7\xa3\x81\xe7\x9b"), of(b"\xe7\xa3\x81\xe7\x9c"), "characters that were cut");
}

#[test]
fn an_entry_without_labels_is_shown_by_its_other_members() {
    let body = r#"{"alerts":[{"labels":{"alertname":"Good"}},
        {"name":"Backup failed","severity":"critical","host":"db-1","message":"no space","status":"firing","tries":3},
        {"message":"only this"}]}"#;
    let event = read(body).unwrap().event;
    assert_eq!(event.notes, [Note::Odd(2)]);
    let [good, flat, bare] = &event.alerts[..] else { panic!("{event:?}") };
    assert_eq!((good.name(), flat.name(), bare.name()), ("Good", "Backup failed", "Unknown entry"));
    assert_eq!((flat.label("severity"), flat.label("instance")), ("critical", "db-1"));
    assert!(flat.annotation("description").contains("message: no space\ntries: 3") && bare.annotation("description") == "message: only this");
    // Its end is its own, though other members differ.
    let over = body.replace("\"status\":\"firing\",\"tries\":3", "\"status\":\"resolved\",\"tries\":4");
    let ended = &read(&over).unwrap().event.alerts[1];
    assert_eq!((ended.status, &ended.fingerprint), (Status::Resolved, &flat.fingerprint));
}

#[test]
fn bodies_that_come_as_one_array_are_read_as_bodies() {
    let body = |name: &str, status: &str| {
        format!(r#"{{"version":"4","status":"{status}","groupKey":"g","alerts":[{{"labels":{{"alertname":"{name}"}}}}]}}"#)
    };
    let event = read(&format!("[{},{}]", body("A", "firing"), body("B", "resolved"))).unwrap().event;
    let seen: Vec<_> = event.alerts.iter().map(|alert| (alert.name(), alert.status)).collect();
    assert_eq!(seen, [("A", Status::Firing), ("B", Status::Resolved)]);
    assert!(event.notes.is_empty());
}

#[test]
fn an_alert_with_a_list_within_is_shown_too_and_what_a_body_within_left_out_counts() {
    let event = read(
        r#"[{"labels":{"alertname":"Outer"},"alerts":[{"labels":{"alertname":"Inner"}}]},
            {"status":"firing","truncatedAlerts":3,"alerts":[{"labels":{"alertname":"Listed"}}]}]"#,
    )
    .unwrap()
    .event;
    let mut names: Vec<_> = event.alerts.iter().map(|alert| alert.name()).collect();
    names.sort_unstable();
    assert_eq!((names, event.truncated), (vec!["Inner", "Listed", "Outer"], 3));
}

#[test]
fn what_a_template_writes_is_read_where_everybody_understands_it() {
    let body = "{\"alerts\": [{\"labels\": {\"alertname\": \"Disk\", \"severity\": \"critical\",}, \"annotations\": {\"summary\": \"a\nb\tc\"}},]}";
    let event = read(body).unwrap().event;
    assert_eq!((event.alerts[0].labels["severity"].as_str(), event.alerts[0].annotations["summary"].as_str()), ("critical", "a\nb\tc"));
    // One alert's path and number take nothing from the critical one beside it; a zero byte ends the text, as in C.
    let body = "{\"alerts\": [{\"labels\": {\"alertname\": \"Db\", \"severity\": \"critical\"}}, {\"labels\": {\"alertname\": \"Disk\"}, \
                \"annotations\": {\"summary\": \"C:\\data\\Üser\", \"value\": NaN}}]}\0";
    let alerts = read(body).unwrap().event.alerts;
    assert_eq!((alerts[0].label("severity"), alerts[1].annotation("summary"), alerts[1].annotation("value")), ("critical", r"C:\data\Üser", "NaN"));
}

#[test]
fn a_body_within_a_member_is_read_when_it_is_the_only_one() {
    let alert = r#"{"status":"resolved","labels":{"alertname":"Disk","severity":"critical"},"fingerprint":"f"}"#;
    for body in [
        format!(r#"{{"data":{{"version":"4","groupKey":"g","alerts":[{alert}]}},"team":"db"}}"#),
        format!(r#"{{"team":"db","resolved":[{alert}],"firing":[]}}"#),
    ] {
        let event = read(&body).unwrap().event;
        assert_eq!((event.alerts[0].name(), event.alerts[0].status, event.alerts[0].label("severity")), ("Disk", Status::Resolved, "critical"));
        assert_eq!((event.extra["team"].as_str(), &event.notes[..]), (Some("db"), &[][..]), "{body}");
    }
    for body in [r#"{"status":"resolved","data":[{"labels":{"alertname":"Disk"}}]}"#, r#"{"resolved":[{"labels":{"alertname":"Disk"}}],"firing":[]}"#]
    {
        assert_eq!(read(body).unwrap().event.alerts[0].status, Status::Resolved, "{body}");
    }
    // As the text of its JSON.
    for text in [format!("[{alert}]"), format!(r#" {{"alerts":[{alert}]}}"#)] {
        for member in ["alerts", "message"] {
            let event = read(&serde_json::json!({ member: text, "team": "db" }).to_string()).unwrap().event;
            assert_eq!(
                (event.alerts[0].name(), event.alerts[0].status, event.extra["team"].as_str()),
                ("Disk", Status::Resolved, Some("db")),
                "{text}"
            );
        }
    }
    // Both lists that Alertmanager's and Grafana's templates know. One of them or both: it is one sender.
    let (disk, load) = (r#"{"labels":{"alertname":"Disk"}}"#, r#"{"labels":{"alertname":"Load"},"endsAt":"2100-01-01T00:00:00Z"}"#);
    let both = read(&format!(r#"{{"status":"firing","resolved":[{load}],"firing":[{disk}],"team":"db"}}"#)).unwrap();
    let mut seen: Vec<_> = both.event.alerts.iter().map(|alert| (alert.name(), alert.status)).collect();
    seen.sort_unstable();
    assert_eq!((seen, both.event.extra["team"].as_str()), (vec![("Disk", Status::Firing), ("Load", Status::Resolved)], Some("db")));
    let beside = read(&format!(r#"{{"firing":[{disk}],"resolved":"[1] Load"}}"#)).unwrap().event;
    assert_eq!((beside.alerts[0].name(), beside.extra["resolved"].as_str()), ("Disk", Some("[1] Load")), "a text that begins as a list");
    let one = read(&format!(r#"{{"status":"resolved","resolved":[{disk}],"firing":[]}}"#)).unwrap();
    assert_eq!((one.event.kind, one.event.alerts[0].status), (both.event.kind, Status::Resolved));
    // Where several hold alerts, or what could be alerts has no name, nobody knows what is meant; and nothing that follows is lost.
    for body in [
        format!(r#"{{"a":[{alert}],"b":[{alert}]}}"#),
        format!(r#"{{"firing":[{alert}],"resolved":[{{"status":"firing","labels":{{"job":"db"}},"annotations":{{"summary":"it burns"}}}}]}}"#),
        format!(r#"{{"data":{{"alerts":[{alert}]}},"more":{{"alerts":[{alert},{{"labels":{{"job":"db"}}}}]}}}}"#),
        format!(r#"{{"data":[{alert}],"data2":{{"alerts":[{{"annotations":{{"summary":"it burns"}}}}]}}}}"#),
        r#"{"containers":[{"labels":{"app":"x"}}]}"#.to_owned(),
        format!("{{\"data\":[{alert}]}}\n{{\"data\":[{alert}]}}"),
    ] {
        assert!(read(&body).is_err(), "{body}");
    }
}
