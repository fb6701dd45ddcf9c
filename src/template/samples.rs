//! Pages that every template is tried on at load: firing, resolved, mixed, without labels, and a digest.
//!
//! Made up here and nowhere real; also good for previews.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::{Alert, Event, Extra, Labels, Language, SenderKind, Severity, SeverityScale, Shown, Status};

use super::FieldUsage;
use super::view::{Brief, Entry, EntryStatus, IncidentView, MessageKind, Now, Scene, Totals, View, ViewInput};

/// Names of the samples.
pub const SAMPLES: [&str; 5] = ["firing", "resolved", "mixed", "no labels", "digest"];

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_500_000 + second).unwrap_or_default()
}

fn alert(instance: &str, ended: bool) -> Alert {
    Alert {
        status: if ended { Status::Resolved } else { Status::Firing },
        labels: labels(&[("alertname", "DiskAlmostFull"), ("instance", instance), ("severity", "critical"), ("team", "db"), ("mountpoint", "/var")]),
        annotations: labels(&[
            ("summary", "Disk of the database is 97% full"),
            ("description", "/var has less than 3% left.\nIt will be full in about 4 hours."),
            ("runbook_url", "https://wiki.example.com/disk"),
            ("value", "97%"),
        ]),
        starts_at: Some(at(-4000)),
        ends_at: ended.then(|| at(-60)),
        fingerprint: "c5a8e6f1d2b30417".into(),
        generator_url: "https://prometheus.example.com/graph?g0.expr=disk".into(),
        silence_url: String::new(),
        dashboard_url: "https://grafana.example.com/d/disk".into(),
        panel_url: "https://grafana.example.com/d/disk?viewPanel=2".into(),
        image_url: "https://grafana.example.com/image.png".into(),
        values: [("B".to_owned(), 97.25)].into(),
        value_string: "[ var='B' value=97.25 ]".into(),
        rule_uid: "disk".into(),
        extra: Extra::new(),
    }
}

/// The sample pages in a language, named as in [`SAMPLES`].
pub fn samples(language: Language) -> Vec<(&'static str, View)> {
    let (firing, resolved, bare) = (alert("db-1:9100", false), alert("db-2:9100", true), Alert::default());
    let event = Event {
        kind: SenderKind::Alertmanager,
        source: "alertmanager".into(),
        receiver: "ops".into(),
        group_key: "{}:{alertname=\"DiskAlmostFull\"}".into(),
        group_labels: labels(&[("alertname", "DiskAlmostFull")]),
        common_labels: labels(&[("alertname", "DiskAlmostFull"), ("team", "db")]),
        common_annotations: labels(&[("runbook_url", "https://wiki.example.com/disk")]),
        external_url: "https://alertmanager.example.com".into(),
        reason: "first notification".into(),
        alerts: vec![firing.clone(), resolved.clone()],
        ..Event::default()
    };
    let bare_event = Event { alerts: vec![bare.clone()], ..Event::default() };
    let entry = |alert, event, status| Entry { alert, event, status };
    let firing = entry(&firing, &event, EntryStatus::Firing);
    let over = entry(&resolved, &event, EntryStatus::Resolved);
    let passed = entry(&resolved, &event, EntryStatus::CameAndWent);
    let bare = entry(&bare, &bare_event, EntryStatus::Firing);
    let briefs = [Brief {
        severity: Some(Severity::Warning),
        status: EntryStatus::Firing,
        title: "HighLatency · api".into(),
        count: 3,
        since: Some(at(-900)),
    }];
    let notes = ["Long values were shortened to fit.".to_owned()];
    let (scale, shown) = (SeverityScale::default(), Shown::default());
    let now = Now { at: at(0), zone: &TimeZone::UTC };
    let base = ViewInput::of(&[], &event, language, now, &scale, &shown);
    let mixed = [firing, over, passed];
    let digest = ViewInput {
        kind: MessageKind::Digest,
        briefs: &briefs,
        page: 2,
        details_url: "https://watchfire.example.com/m/1",
        notes: &notes,
        all: &mixed,
        range: 0..3,
        totals: Totals {
            firing: 40,
            claimed: [1, 0, 39, 0],
            resolved: 3,
            more: 37,
            truncated: 2,
            pages: 3,
            ..Totals { severity: Severity::Critical, ..Totals::default() }
        },
        ..base.clone()
    };
    let everything = FieldUsage::everything();
    let further = IncidentView { number: 1842, first_notified: Some(at(-3600)), ..IncidentView::default() };
    let page = |all: &[Entry<'_>], event: &Event| {
        let incident = Some(&further);
        let input = ViewInput { all, range: 0..all.len(), event, incident, totals: Totals::of(all, &scale), ..base.clone() };
        View::new(&Scene::new(input), &everything)
    };
    let views = [
        page(&[firing], &event),
        page(&[over], &event),
        page(&mixed, &event),
        page(&[bare], &bare_event),
        View::new(&Scene::new(digest), &everything),
    ];
    SAMPLES.into_iter().zip(views).collect()
}
