//! The messages that every default template is rendered for.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use watchfire::channel::PLATFORMS;
use watchfire::model::{Alert, Event, Labels, Language, SenderKind, Severity, SeverityScale, Shown, Status};
use watchfire::template::{Brief, Entry, EntryStatus, IncidentView, MessageKind, Now, Part, PlatformFields, Scene, Totals, ViewInput};

/// The fields of the platforms that `wanted` picks.
pub fn fields(wanted: impl Fn(&str) -> bool) -> Vec<PlatformFields> {
    PLATFORMS.iter().filter(|p| wanted(p.name)).map(|p| PlatformFields { platform: p.name, fields: p.fields }).collect()
}

pub fn now() -> Timestamp {
    "2026-11-23T06:15:00Z".parse().unwrap()
}

pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

pub fn cpu(instance: &str) -> Alert {
    Alert {
        labels: labels(&[("alertname", "HighCPU"), ("instance", instance), ("job", "node"), ("severity", "critical"), ("team", "db")]),
        annotations: labels(&[
            ("summary", "CPU is above 90%"),
            ("description", "The load has been high for 10 minutes.\nCheck slow queries first."),
            ("runbook_url", "https://wiki.example.com/runbooks/cpu?team=db&os=linux"),
            ("value", "97.5%"),
        ]),
        starts_at: at("2026-11-23T06:03:05Z"),
        fingerprint: format!("f-{instance}"),
        generator_url: "https://prometheus.example.com/graph?g0.expr=cpu".into(),
        ..Alert::default()
    }
}

pub fn over(mut alert: Alert) -> Alert {
    alert.status = Status::Resolved;
    alert.ends_at = at("2026-11-23T06:14:00Z");
    alert
}

/// Values that try everything: markup of all dialects, mentions, control characters, template syntax.
pub const HOSTILE: &str = "<b>bold</b> **b** _i_ `c` ~~s~~ | a | @all @channel @13800000000 <!channel> <@U123> [x](javascript:alert(1)) {{headline}} &lt;script&gt;\u{1b}[31m\u{202E}\n# heading\n> quote\n- item\n1. one\n---\n<font color=\"info\">f</font> <a href='x'>y</a>";

fn hostile() -> Alert {
    Alert {
        labels: labels(&[
            ("alertname", "Evil | <b>**Name**</b> @all"),
            ("instance", "](https://evil.example/) <@everyone>"),
            ("severity", "warning"),
            ("a|b", "x*y*z `rm` <!here>"),
        ]),
        annotations: labels(&[
            ("summary", HOSTILE),
            ("description", HOSTILE),
            ("runbook_url", "javascript:alert(1)"),
            ("dashboard_url", "https://grafana.example.com/d/x?a=(b)|c>&d=@all*_~"),
        ]),
        starts_at: at("2026-11-23T06:03:05Z"),
        ..Alert::default()
    }
}

fn chinese() -> Alert {
    Alert {
        labels: labels(&[("alertname", "磁盘空间不足"), ("instance", "数据库-1:9100"), ("severity", "error"), ("机房", "上海一区")]),
        annotations: labels(&[("summary", "数据库磁盘使用率超过 95%"), ("description", "请尽快清理日志，预计 4 小时后写满。\n值班：张三")]),
        starts_at: at("2026-11-20T02:00:00Z"),
        values: [("B".to_owned(), 95.437), ("C".to_owned(), 1.0)].into(),
        ..Alert::default()
    }
}

static SHOWN: LazyLock<Shown> = LazyLock::new(Shown::default);

/// One message: its event, and which of its alerts are in which status.
#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    pub kind: MessageKind,
    pub event: Event,
    pub statuses: Vec<EntryStatus>,
    pub briefs: Vec<Brief>,
    pub truncated: u64,
    pub details_url: &'static str,
    pub incident: Option<IncidentView>,
}

impl Case {
    pub fn new(name: &'static str, alerts: Vec<Alert>, statuses: Vec<EntryStatus>) -> Self {
        let event = Event {
            kind: SenderKind::Alertmanager,
            source: "alertmanager".into(),
            receiver: "ops".into(),
            group_key: "{}:{alertname=\"HighCPU\"}".into(),
            group_labels: labels(&[("alertname", alerts[0].name())]),
            external_url: "https://alertmanager.example.com".into(),
            alerts,
            ..Event::default()
        };
        Self { name, kind: MessageKind::Single, event, statuses, briefs: Vec::new(), truncated: 0, details_url: "", incident: None }
    }

    pub fn entries(&self) -> Vec<Entry<'_>> {
        self.event.alerts.iter().zip(&self.statuses).map(|(alert, status)| Entry { alert, event: &self.event, status: *status }).collect()
    }

    /// The scene of one part; entries come first, briefs after them.
    pub fn input<'a>(&'a self, entries: &'a [Entry<'a>], part: &Part, language: Language, zone: &'a TimeZone, scale: &'a SeverityScale) -> Scene<'a> {
        let shown = part.range.start.min(entries.len())..part.range.end.min(entries.len());
        let briefed = part.range.start.saturating_sub(entries.len())..part.range.end.saturating_sub(entries.len());
        let mut totals = Totals { more: part.more, truncated: self.truncated, pages: part.pages, ..Totals::of(entries, scale) };
        self.briefs.iter().for_each(|brief| totals.count(brief.status, brief.severity, brief.count));
        totals.goes_on = totals.firing == 0 && totals.truncated > 0;
        Scene::new(ViewInput {
            kind: self.kind,
            all: entries,
            range: shown,
            briefs: &self.briefs[briefed],
            totals,
            page: part.page,
            event: &self.event,
            details_url: self.details_url,
            notes: &[],
            incident: self.incident.as_ref(),
            language,
            now: Now { at: now(), zone },
            scale,
            shown: &SHOWN,
            max_value: part.max_value,
        })
    }
}

pub fn cases() -> Vec<Case> {
    use EntryStatus::{CameAndWent, Firing, Resolved};
    let many: Vec<Alert> = (0..100).map(|i| cpu(&format!("db-{i}:9100"))).collect();
    let mut digest = Case::new("digest", vec![cpu("db-1:9100"), over(chinese())], vec![Firing, Resolved]);
    digest.kind = MessageKind::Digest;
    digest.details_url = "https://watchfire.example.com/m/7Kq2xV9bTz3mAc";
    digest.truncated = 2;
    digest.briefs = (1..=3)
        .map(|i| Brief {
            severity: Some(Severity::from_rank(i)),
            status: Firing,
            title: format!("HighLatency · api-{i}"),
            count: i as usize,
            since: at("2026-11-23T05:00:00Z"),
        })
        .collect();
    let direct = Event {
        kind: SenderKind::Direct,
        title: "Backup finished".into(),
        message: "42 GiB in 12 minutes.\nNo errors.".into(),
        alerts: vec![Alert::default()],
        ..Event::default()
    };
    let bare =
        Case { event: Event { alerts: vec![Alert::default()], ..Event::default() }, ..Case::new("bare", vec![Alert::default()], vec![Firing]) };
    vec![
        Case::new("firing", vec![cpu("db-1:9100")], vec![Firing]),
        Case::new("resolved", vec![over(cpu("db-1:9100"))], vec![Resolved]),
        Case::new("mixed", vec![cpu("db-1:9100"), over(cpu("db-2:9100")), over(cpu("db-3:9100"))], vec![Firing, CameAndWent, Resolved]),
        Case::new("hundred", many, vec![Firing; 100]),
        Case::new("chinese", vec![chinese()], vec![Firing]),
        Case::new("hostile", vec![hostile()], vec![Firing]),
        digest,
        bare,
        Case { event: direct, ..Case::new("direct", vec![Alert::default()], vec![Firing]) },
    ]
}

pub fn alert(labels_of: &[(&str, &str)], annotations: &[(&str, &str)]) -> Alert {
    let starts_at = at("2026-11-23T05:44:00Z");
    Alert { labels: labels(labels_of), annotations: labels(annotations), starts_at, ..Alert::default() }
}

/// A pod's end as kube-state-metrics and the mixins report it.
fn kubernetes() -> Alert {
    alert(
        &[
            ("alertname", "KubePodCrashLooping"),
            ("severity", "warning"),
            ("namespace", "payments"),
            ("pod", "payments-api-6d8f9c7b5d-2xk9q"),
            ("container", "payments-api"),
            ("job", "kube-state-metrics"),
            ("service", "kube-state-metrics"),
            ("endpoint", "http"),
            ("instance", "10.42.7.113:8080"),
            ("reason", "CrashLoopBackOff"),
            ("uid", "0b6a3f0e-9f3b-4a5e-8a0e-0b0b8a1f5c77"),
            ("prometheus", "monitoring/k8s"),
        ],
        &[("summary", "Pod is crash looping."), ("impact", "Payments by card fail."), ("__panelId__", "7")],
    )
}

fn grafana() -> Alert {
    Alert {
        values: [("A".to_owned(), 2.4137), ("B".to_owned(), 2.4137), ("C".to_owned(), 1.0)].into(),
        dashboard_url: "https://grafana.example.com/d/chk01".into(),
        panel_url: "https://grafana.example.com/d/chk01?viewPanel=7".into(),
        image_url: "https://grafana.example.com/render/x.png".into(),
        generator_url: "https://grafana.example.com/alerting/grafana/fe1x/view".into(),
        ..alert(
            &[
                ("alertname", "DatasourceNoData"),
                ("rulename", "API latency p99"),
                ("datasource_uid", "P1"),
                ("ref_id", "A"),
                ("grafana_folder", "Checkout"),
            ],
            &[("summary", "p99 of checkout-api is 2.41 s (limit 1 s)")],
        )
    }
}

fn long() -> Alert {
    let steps: Vec<String> = (1..=20).map(|i| format!("- step {i}: compared batch {i} with the statement, {i} rows differ")).collect();
    let text = format!(
        "Reconciliation of the ledger failed for the third time, the next settlement runs\nat 04:00 and will be wrong; run `ledger diff` first.\n\n{}",
        steps.join("\n")
    );
    alert(
        &[("alertname", "LedgerFailed"), ("severity", "P1"), ("service", "ledger")],
        &[("summary", "Ledger and statement differ"), ("description", &text)],
    )
}

/// A disk whose description repeats its summary, on a host with underscores.
fn repeated() -> Alert {
    let disk = [("alertname", "DiskFull"), ("severity", "urgent-ish"), ("instance", "my_db_host_01:9100"), ("mountpoint", "/var/lib/pg_data")];
    alert(&disk, &[("summary", "Disk is full"), ("description", "Disk is full")])
}

pub fn node(i: usize) -> Alert {
    let (name, rack) = (format!("web-{:02}.prod.example.com:9100", i + 1), format!("r{}", i / 4 + 1));
    let zone = if i.is_multiple_of(3) { "eu-west-1a" } else { "eu-west-1b" };
    alert(
        &[
            ("alertname", "NodeDown"),
            ("severity", if i < 3 { "critical" } else { "warning" }),
            ("instance", &name),
            ("rack", &rack),
            ("zone", zone),
            ("team", "infra"),
            ("env", "prod"),
        ],
        &[
            ("summary", &format!("web-{:02} does not answer", i + 1)),
            ("description", "The node exporter has not answered for 5 minutes."),
            ("runbook_url", "https://wiki.example.com/node-down"),
        ],
    )
}

/// Several names in one group, each with a runbook of its own.
fn names() -> Vec<Alert> {
    let one = |name: &str, severity: &str, summary: &str| {
        let runbook = format!("https://wiki.example.com/{name}");
        let own = [("alertname", name), ("severity", severity), ("namespace", "shop"), ("service", "cart")];
        alert(&own, &[("summary", summary), ("runbook_url", &runbook)])
    };
    vec![
        one("HighErrorRate", "critical", "cart answers 44% of requests with 5xx"),
        one("HighLatency", "warning", "p99 is 4.2 s"),
        over(one("Replicas", "warning", "2 of 3")),
    ]
}

/// Messages by what is special about them; their forms are the same on every platform.
pub fn forms() -> Vec<Case> {
    use EntryStatus::{Firing, Resolved};
    let paged = |case: Case| Case { details_url: "https://watchfire.example.com/m/7Kq2xV9bTz3mAc", ..case };
    let nodes = |n: usize| (0..n).map(node).collect::<Vec<_>>();
    vec![
        paged(Case::new("kubernetes", vec![kubernetes()], vec![Firing])),
        paged(Case::new("grafana", vec![grafana()], vec![Firing])),
        paged(Case::new("long", vec![long()], vec![Firing])),
        Case::new("repeated", vec![repeated()], vec![Firing]),
        paged(Case::new("twelve", nodes(12), vec![Firing; 12])),
        paged(Case::new("thirty", nodes(30), vec![Firing; 30])),
        paged(Case::new("names", names(), vec![Firing, Firing, Resolved])),
    ]
}
