//! What keeps the messages of a group together, and what a mail about it is called.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::view::{Entry, EntryStatus, Now, Scene, ViewInput, mail_subject, topic};
use crate::model::{Alert, Event, Labels, Language, SenderKind, SeverityScale, Shown};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_795_489_200 + 60 * minutes).unwrap()
}

fn alert(name: &str, rule: &str) -> Alert {
    let all = [("alertname", name), ("rulename", rule), ("instance", "db-1:9100"), ("severity", "critical")];
    let kept: Vec<(&str, &str)> = all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    Alert { labels: labels(&kept), starts_at: Some(at(-60)), ..Alert::default() }
}

/// What is asked of a message about these alerts, grouped by these labels.
fn of<T>(grouped_by: &[(&str, &str)], alerts: &[(&Alert, EntryStatus)], language: Language, ask: impl FnOnce(&Scene<'_>) -> T) -> T {
    let (scale, shown) = (SeverityScale::default(), Shown::default());
    let event = Event { kind: SenderKind::Alertmanager, group_labels: labels(grouped_by), ..Event::default() };
    let all: Vec<Entry<'_>> = alerts.iter().map(|(alert, status)| Entry { alert, event: &event, status: *status }).collect();
    let now = Now { at: at(0), zone: &TimeZone::UTC };
    ask(&Scene::new(ViewInput::of(&all, &event, language, now, &scale, &shown)))
}

use EntryStatus::{Firing, Resolved};
use Language::{En, Zh};

#[test]
fn a_mails_subject_names_what_fires() {
    let names: Vec<Alert> = ["HighLatency", "A", "B", "C", "D"].into_iter().map(|name| alert(name, "")).collect();
    let five: Vec<(&Alert, EntryStatus)> = names.iter().map(|alert| (alert, Firing)).collect();
    let same = [(&names[0], Firing), (&names[0], Firing)];
    let payments = &[("namespace", "payments")][..];
    let (first, second) = (alert("DatasourceNoData", "API latency"), alert("DatasourceNoData", "Disk"));
    let no_data = &[("alertname", "DatasourceNoData"), ("grafana_folder", "Infra")][..];
    for (grouped_by, alerts, english, chinese) in [
        (payments, &five[..], "HighLatency +4 · payments", "HighLatency 等 5 种 · payments"),
        (payments, &same, "HighLatency · payments", "HighLatency · payments"),
        (payments, &same[..1], "HighLatency · payments", "HighLatency · payments"),
        (&[("alertname", ""), ("namespace", "payments")], &same, "HighLatency · payments", "HighLatency · payments"),
        (&[("alertname", "HighLatency"), ("namespace", "payments")], &five, "HighLatency · payments", "HighLatency · payments"),
        (no_data, &[(&first, Firing), (&second, Firing)], "No data · API latency +1", "无数据 · API latency 等 2 种"),
        (no_data, &[(&first, Firing)], "No data · API latency", "无数据 · API latency"),
        (&[], &same[..1], "HighLatency · db-1", "HighLatency · db-1"),
    ] {
        assert_eq!([of(grouped_by, alerts, En, mail_subject), of(grouped_by, alerts, Zh, mail_subject)], [english, chinese], "{grouped_by:?}");
    }
}

#[test]
fn a_topic_is_the_same_from_the_first_alert_to_the_last_end() {
    let (a, b, c) = (alert("DiskFull", ""), alert("HighLatency", ""), alert("DatasourceNoData", "API latency"));
    let life = [
        &[(&a, Firing)][..],
        &[(&b, Firing), (&a, Firing)],
        &[(&c, Firing), (&b, Firing), (&a, Resolved)],
        &[(&b, Resolved), (&c, Resolved), (&a, Resolved)],
    ];
    for (grouped_by, english, chinese) in [
        (&[("alertname", "DiskFull"), ("zone", "eu-1")][..], "DiskFull · eu-1", "DiskFull · eu-1"),
        (&[("namespace", "payments")], "payments", "payments"),
        (&[("alertname", "DatasourceNoData"), ("grafana_folder", "Infra")], "No data · Infra", "无数据 · Infra"),
        (&[("alertname", "DatasourceNoData"), ("grafana_folder", "Infra"), ("team", "db")], "No data · db", "无数据 · db"),
        (&[("grafana_folder", "Infra")], "Infra", "Infra"),
    ] {
        for alerts in life {
            assert_eq!([of(grouped_by, alerts, En, topic), of(grouped_by, alerts, Zh, topic)], [english, chinese], "{grouped_by:?}");
        }
    }
    // What is not grouped is in the topic of its name, of several the first one's.
    assert_eq!(of(&[], life[1], En, topic), "HighLatency");
    assert_eq!([of(&[], &[(&a, Firing)], En, topic), of(&[], &[(&c, Firing)], En, topic)], ["DiskFull", "No data · API latency"]);
    assert_eq!(of(&[], &[(&Alert::default(), Firing)], Zh, topic), "未命名告警");
}
