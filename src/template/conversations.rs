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

/// What a sender that groups by these labels, or by none, says of what fires.
fn event(grouped_by: &[(&str, &str)]) -> Event {
    let (receiver, group_key) = ("ops".into(), "{}:{...}".into());
    Event { kind: SenderKind::Alertmanager, receiver, group_key, group_labels: labels(grouped_by), ..Event::default() }
}

/// What is asked of a message about these alerts.
fn of<T>(event: &Event, alerts: &[(&Alert, EntryStatus)], language: Language, ask: impl FnOnce(&Scene<'_>) -> T) -> T {
    let (scale, shown) = (SeverityScale::default(), Shown::default());
    let all: Vec<Entry<'_>> = alerts.iter().map(|(alert, status)| Entry { alert, event, status: *status }).collect();
    let now = Now { at: at(0), zone: &TimeZone::UTC };
    ask(&Scene::new(ViewInput::of(&all, event, language, now, &scale, &shown)))
}

use EntryStatus::{Firing, Resolved};
use Language::{En, Zh};

#[test]
fn topic_and_subject_are_the_same_from_the_first_alert_to_the_last_end() {
    let (a, b, c) = (alert("DiskFull", ""), alert("HighLatency", ""), alert("DatasourceNoData", "API latency"));
    let life = [
        &[(&a, Firing)][..],
        &[(&b, Firing), (&a, Firing)],
        &[(&c, Firing), (&b, Firing), (&a, Resolved)],
        &[(&b, Resolved), (&c, Resolved), (&a, Resolved)],
    ];
    let no_data = ("alertname", "DatasourceNoData");
    // A mail that says only where says that it is an alert.
    for (grouped_by, [topic_en, topic_zh], [subject_en, subject_zh]) in [
        (&[("alertname", "DiskFull"), ("zone", "eu-1")][..], ["DiskFull · eu-1"; 2], ["DiskFull · eu-1"; 2]),
        (&[("namespace", "payments")], ["payments"; 2], ["Alert · payments", "告警 · payments"]),
        (&[("alertname", ""), ("namespace", "payments")], ["payments"; 2], ["Alert · payments", "告警 · payments"]),
        (&[no_data, ("grafana_folder", "Infra")], ["No data · Infra", "无数据 · Infra"], ["No data · Infra", "无数据 · Infra"]),
        (&[no_data, ("grafana_folder", "Infra"), ("team", "db")], ["No data · db", "无数据 · db"], ["No data · db", "无数据 · db"]),
        (&[("grafana_folder", "Infra")], ["Infra"; 2], ["Alert · Infra", "告警 · Infra"]),
        // What is not grouped is what its receiver gets.
        (&[], ["ops"; 2], ["Alert · ops", "告警 · ops"]),
    ] {
        let event = event(grouped_by);
        for alerts in life {
            assert_eq!([of(&event, alerts, En, topic), of(&event, alerts, Zh, topic)], [topic_en, topic_zh], "{grouped_by:?}");
            assert_eq!([of(&event, alerts, En, mail_subject), of(&event, alerts, Zh, mail_subject)], [subject_en, subject_zh], "{grouped_by:?}");
        }
    }
}

#[test]
fn what_comes_without_a_group_is_called_by_its_name() {
    let ungrouped = Event { group_key: String::new(), ..event(&[]) };
    let (here, mut there) = (alert("DiskFull", ""), alert("DiskFull", ""));
    there.labels.insert("instance".into(), "db-2:9100".into());
    for alerts in [&[(&here, Firing)][..], &[(&there, Firing), (&here, Firing)], &[(&there, Resolved), (&here, Resolved)]] {
        assert_eq!([of(&ungrouped, alerts, En, topic), of(&ungrouped, alerts, En, mail_subject)], ["DiskFull"; 2]);
    }
    // Each alert of an input that names what it is about is a group of its own, whatever its summary says.
    let apart = Event { kind: SenderKind::Generic, apart: true, ..ungrouped.clone() };
    let mut volume = here.clone();
    volume.labels.insert("mountpoint".into(), "/var".into());
    for summary in ["/var on db-1 is full", "full"] {
        volume.annotations.insert("summary".into(), summary.into());
        assert_eq!(of(&apart, &[(&volume, Firing)], En, mail_subject), "DiskFull · db-1 · /var", "{summary}");
    }
    // The same where its sender groups by all labels.
    let all = Event { group_labels: volume.labels.clone(), ..event(&[]) };
    assert_eq!(of(&all, &[(&volume, Firing)], En, mail_subject), "DiskFull · db-1 · /var");
    // Watchfire speaks of one thing, and somebody's own words have their title.
    let own = Event { kind: SenderKind::Watchfire, group_key: "DiskFull/ops".into(), ..ungrouped.clone() };
    assert_eq!(of(&own, &[(&here, Firing)], En, mail_subject), "DiskFull");
    let note = Event { kind: SenderKind::Direct, title: "Backup finished".into(), ..ungrouped.clone() };
    assert_eq!(of(&note, &[(&here, Firing)], En, mail_subject), "Backup finished");
    assert_eq!(of(&ungrouped, &[(&Alert::default(), Firing)], Zh, topic), "未命名告警");
    assert_eq!(of(&ungrouped, &[(&alert("DatasourceNoData", "API latency"), Firing)], En, topic), "No data");
}
