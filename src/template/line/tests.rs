use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::model::{Alert, Event, Labels, Language, SenderKind, Severity, SeverityScale, Shown, Status};
use crate::template::view::{Entry, IncidentView, Now, ViewInput};

const fn field(name: &'static str, escape: Escape, required: bool, single_line: bool) -> FieldSpec {
    FieldSpec { name, escape, required, single_line, template: "" }
}

const TEXT: &[FieldSpec] = &[field("text", Escape::SlackMrkdwn, true, false)];
const TITLED: &[FieldSpec] = &[
    field("title", Escape::None, true, true),
    field("text", Escape::None, true, false),
    field("heading", Escape::Markdown, true, true),
    field("markdown", Escape::Markdown, true, false),
];

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_795_489_200 + 60 * minutes).unwrap()
}

/// An alert that began an hour ago; without a severity when that is empty.
fn alert(name: &str, instance: &str, severity: &str, summary: &str) -> Alert {
    let all = [("alertname", name), ("instance", instance), ("severity", severity)];
    let kept: Vec<(&str, &str)> = all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let annotations = if summary.is_empty() { Labels::new() } else { labels(&[("summary", summary)]) };
    Alert { labels: labels(&kept), annotations, starts_at: Some(at(-60)), ..Alert::default() }
}

fn ended(alert: Alert) -> Alert {
    Alert { status: Status::Resolved, ends_at: Some(at(-12)), ..alert }
}

fn disk(n: usize, severity: &str) -> Alert {
    alert("DiskFull", &format!("db-{n}:9100"), severity, &format!("disk of db-{n} is 97% full"))
}

/// An incident: its alerts, those of them that are new first.
struct Told {
    alerts: Vec<(Alert, EntryStatus)>,
    new: usize,
    event: Event,
    incident: Option<IncidentView>,
}

impl Told {
    fn of(alerts: Vec<(Alert, EntryStatus)>, new: usize) -> Self {
        let event = Event {
            kind: SenderKind::Alertmanager,
            group_key: "g".into(),
            group_labels: labels(&[("alertname", alerts[0].0.name()), ("zone", "eu-1")]),
            ..Event::default()
        };
        Self { alerts, new, event, incident: Some(IncidentView { number: 1842, ..IncidentView::default() }) }
    }

    fn firing(alerts: Vec<Alert>, new: usize) -> Self {
        Self::of(alerts.into_iter().map(|alert| (alert, EntryStatus::Firing)).collect(), new)
    }

    fn fields(&self, fields: &[FieldSpec], kind: LineKind, language: Language) -> BTreeMap<String, String> {
        let (scale, shown) = (SeverityScale::default(), Shown::default());
        let all: Vec<Entry<'_>> = self.alerts.iter().map(|(alert, status)| Entry { alert, event: &self.event, status: *status }).collect();
        let now = Now { at: at(0), zone: &TimeZone::UTC };
        let base = ViewInput::of(&all, &self.event, language, now, &scale, &shown);
        let input = ViewInput { range: 0..self.new, incident: self.incident.as_ref(), ..base };
        line_fields(fields, &Scene::new(input), kind)
    }

    fn text(&self, kind: LineKind, language: Language) -> String {
        self.fields(TEXT, kind, language)["text"].clone()
    }
}

use EntryStatus::{CameAndWent, Firing, Resolved, Unreported};
use Language::{En, Zh};
use LineKind::{Again, News, Over};

#[test]
fn news_is_a_line_for_each_of_three_and_the_whole_as_it_is_now() {
    let mixed = || [disk(1, "critical"), disk(2, "critical"), disk(3, "critical"), disk(4, "warning")].to_vec();
    let unknown = || [disk(1, "critical"), disk(2, ""), disk(3, "")].to_vec();
    for (told, english, chinese) in [
        (
            Told::firing(vec![disk(1, "critical")], 1),
            "🔴 Critical · DiskFull · db-1 — disk of db-1 is 97% full #1842",
            "🔴 严重 · DiskFull · db-1 — disk of db-1 is 97% full #1842",
        ),
        (
            Told::firing(mixed(), 1),
            "🔴 Critical · DiskFull · db-1 — disk of db-1 is 97% full\n3 critical, 1 warning firing #1842",
            "🔴 严重 · DiskFull · db-1 — disk of db-1 is 97% full\n当前：3 条严重、1 条警告 #1842",
        ),
        (
            Told::firing(mixed(), 4),
            "🔴 DiskFull · db-1 — disk of db-1 is 97% full\n🔴 DiskFull · db-2 — disk of db-2 is 97% full\n🔴 DiskFull · db-3 — disk of db-3 is 97% full\n\
             +1 more\n3 critical, 1 warning firing #1842",
            "🔴 DiskFull · db-1 — disk of db-1 is 97% full\n🔴 DiskFull · db-2 — disk of db-2 is 97% full\n🔴 DiskFull · db-3 — disk of db-3 is 97% full\n\
             另有 1 条\n当前：3 条严重、1 条警告 #1842",
        ),
        (
            Told::firing((1..=12).map(|n| disk(n, if n < 3 { "error" } else { "info" })).collect(), 12),
            "🟠 DiskFull · db-1 — disk of db-1 is 97% full\n🟠 DiskFull · db-2 — disk of db-2 is 97% full\n🔵 DiskFull · db-3 — disk of db-3 is 97% full\n\
             +9 more\n2 error, 10 info firing #1842",
            "🟠 DiskFull · db-1 — disk of db-1 is 97% full\n🟠 DiskFull · db-2 — disk of db-2 is 97% full\n🔵 DiskFull · db-3 — disk of db-3 is 97% full\n\
             另有 9 条\n当前：2 条错误、10 条提示 #1842",
        ),
        (
            Told::of(vec![(disk(1, "warning"), Firing), (disk(2, "warning"), Unreported), (ended(disk(3, "critical")), Resolved)], 1),
            "🟡 Warning · DiskFull · db-1 — disk of db-1 is 97% full\n1 warning firing, 1 no longer reported, 1 resolved #1842",
            "🟡 警告 · DiskFull · db-1 — disk of db-1 is 97% full\n当前：1 条警告，1 条不再上报，1 条已恢复 #1842",
        ),
        (
            Told::firing(unknown(), 1),
            "🔴 Critical · DiskFull · db-1 — disk of db-1 is 97% full\n1 critical and 2 more firing #1842",
            "🔴 严重 · DiskFull · db-1 — disk of db-1 is 97% full\n当前：1 条严重，另有 2 条 #1842",
        ),
        (
            Told::firing(unknown()[1..].to_vec(), 1),
            "🟡 DiskFull · db-2 — disk of db-2 is 97% full\n2 firing #1842",
            "🟡 DiskFull · db-2 — disk of db-2 is 97% full\n当前：2 条告警 #1842",
        ),
        (
            Told::firing(vec![alert("磁盘空间不足", "数据库-1:9100", "error", "数据库磁盘使用率超过 95%")], 1),
            "🟠 Error · 磁盘空间不足 · 数据库-1 — 数据库磁盘使用率超过 95% #1842",
            "🟠 错误 · 磁盘空间不足 · 数据库-1 — 数据库磁盘使用率超过 95% #1842",
        ),
        (Told::firing(vec![Alert::default()], 1), "🟡 Unnamed alert #1842", "🟡 未命名告警 #1842"),
        // Named by its summary, which is not said again.
        (Told::firing(vec![alert("", "", "", "Disk is full")], 1), "🟡 Disk is full #1842", "🟡 Disk is full #1842"),
    ] {
        assert_eq!([told.text(News, En), told.text(News, Zh)], [english, chinese]);
    }
}

#[test]
fn what_goes_on_says_how_long_and_how_bad() {
    let one = || Told::firing(vec![disk(1, "critical")], 1);
    let started = |told: Told, start: Option<Timestamp>| {
        let alerts = told.alerts.into_iter().map(|(alert, status)| (Alert { starts_at: start, ..alert }, status)).collect();
        Told { alerts, ..told }
    };
    let several = || Told::of(vec![(disk(1, "critical"), Firing), (disk(2, "warning"), Firing), (ended(disk(3, "critical")), CameAndWent)], 0);
    for (told, english, chinese) in [
        (one(), "🔴 Still firing, 1h: DiskFull · db-1 · critical #1842", "🔴 持续1小时未恢复：DiskFull · db-1 · 严重 #1842"),
        (
            started(several(), Some(at(-240))),
            "🔴 Still firing, 4h: DiskFull · eu-1 · 1 critical, 1 warning, 1 resolved #1842",
            "🔴 持续4小时未恢复：DiskFull · eu-1 · 1 条严重、1 条警告，1 条已恢复 #1842",
        ),
        (started(one(), None), "🔴 Still firing: DiskFull · db-1 · critical #1842", "🔴 仍未恢复：DiskFull · db-1 · 严重 #1842"),
        (Told::firing(vec![disk(1, "")], 0), "🟡 Still firing, 1h: DiskFull · db-1 #1842", "🟡 持续1小时未恢复：DiskFull · db-1 #1842"),
    ] {
        assert_eq!([told.text(Again, En), told.text(Again, Zh)], [english, chinese]);
    }
}

#[test]
fn the_end_is_green_only_when_all_of_it_is_over() {
    let over = |n| (ended(disk(n, "critical")), Resolved);
    for (told, english, chinese) in [
        (Told::of(vec![over(1)], 0), "✅ Resolved after 48 min: DiskFull · db-1 #1842", "✅ 已恢复，持续48分钟：DiskFull · db-1 #1842"),
        (
            Told::of(vec![over(1), (Alert { starts_at: Some(at(-84)), ..ended(disk(2, "warning")) }, CameAndWent)], 0),
            "✅ Resolved after 1h 12m: DiskFull · eu-1 #1842",
            "✅ 已恢复，持续1小时12分钟：DiskFull · eu-1 #1842",
        ),
        (
            Told::of(vec![(Alert { ends_at: None, ..ended(disk(1, "critical")) }, Resolved)], 0),
            "✅ Resolved: DiskFull · db-1 #1842",
            "✅ 已恢复：DiskFull · db-1 #1842",
        ),
        (Told::of(vec![(disk(1, "critical"), Unreported)], 0), "⚪ No longer reported: DiskFull · db-1 #1842", "⚪ 不再上报：DiskFull · db-1 #1842"),
        (
            Told::of(vec![(disk(1, "critical"), Unreported), over(2), over(3)], 0),
            "⚪ 1 no longer reported, 2 resolved: DiskFull · eu-1 #1842",
            "⚪ 1 条不再上报，2 条已恢复：DiskFull · eu-1 #1842",
        ),
        // A caller's mistake is no all-clear.
        (
            Told::of(vec![(disk(1, "critical"), Firing), over(2)], 0),
            "🔴 Still firing, 1h: DiskFull · eu-1 · 1 critical, 1 resolved #1842",
            "🔴 持续1小时未恢复：DiskFull · eu-1 · 1 条严重，1 条已恢复 #1842",
        ),
    ] {
        assert_eq!([told.text(Over, En), told.text(Over, Zh)], [english, chinese]);
    }
}

#[test]
fn a_message_of_its_own_says_when_the_first_was() {
    let incident = |first_notified| Told { incident: first_notified, ..Told::firing(vec![disk(1, "critical"), disk(2, "critical")], 1) };
    let again = incident(Some(IncidentView { number: 7, first_notified: Some(at(-55)), ..IncidentView::default() }));
    assert_eq!(again.text(Again, En), "🔴 Still firing, 1h: DiskFull · eu-1 · 2 critical #7, first notified 02:05 UTC");
    assert_eq!(again.text(Again, Zh), "🔴 持续1小时未恢复：DiskFull · eu-1 · 2 条严重 #7，首次通知 02:05 UTC");
    assert!(again.text(News, En).ends_with("\n2 critical firing #7, first notified 02:05 UTC"));
    let none = incident(None);
    assert_eq!(none.text(Again, En), "🔴 Still firing, 1h: DiskFull · eu-1 · 2 critical");
    assert!(none.text(News, En).ends_with("\n2 critical firing"));
}

#[test]
fn what_others_wrote_stays_in_its_line() {
    let hostile = "a\nb\r\n\u{2028}c\u{202E}d\u{1b}[31m @all <!channel> **x** ".repeat(60);
    let name = |n: usize| alert(&format!("{n}{hostile}"), &hostile, "critical", &hostile);
    for new in [1, 3, 12] {
        let told = Told::firing((0..12).map(name).collect(), new);
        for kind in [News, Again, Over] {
            for language in [En, Zh] {
                let text = told.text(kind, language);
                let most = if kind == News { new.min(MAX_LINES) + 2 } else { 1 };
                assert!(text.lines().count() <= most, "{text}");
                assert!(!text.contains(|c: char| c != '\n' && (c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2028}'))), "{text:?}");
                let longest = text.lines().map(|line| line.chars().count()).max();
                assert!(longest.is_some_and(|longest| longest <= MAX_NAMED + MAX_SAID + 40), "{longest:?}");
            }
        }
    }
}

/// What a locked phone shows of it.
#[test]
fn the_first_eighty_characters_say_how_bad_what_and_where() {
    for severity in Severity::ALL {
        let pod = || Alert {
            labels: labels(&[
                ("alertname", "KubePodCrashLooping"),
                ("severity", severity.as_str()),
                ("namespace", "payments"),
                ("pod", "payments-api-6d8f9c7b5d-2xk9q"),
            ]),
            ..disk(1, "")
        };
        for (first, what, place) in [(disk(1, severity.as_str()), "DiskFull", "db-1"), (pod(), "KubePodCrashLooping", "payments/payments-api")] {
            let told = Told::firing(vec![first, disk(2, "warning")], 1);
            let seen: String = told.text(News, En).chars().take(80).collect();
            let how_bad = capital(severity.as_str());
            assert!([how_bad.as_str(), what, place].into_iter().all(|part| seen.contains(part)), "{seen}");
        }
    }
    let lengths: Vec<usize> = [News, Again, Over]
        .into_iter()
        .flat_map(|kind| [En, Zh].map(|language| Told::firing((1..=12).map(|n| disk(n, "critical")).collect(), 1).text(kind, language)))
        .map(|text| text.chars().count())
        .collect();
    assert_eq!(lengths, LENGTHS);
}

/// Characters of one new alert of twelve, of a repeat (which `over` is, while they fire), English and Chinese.
const LENGTHS: [usize; 6] = [80, 65, 55, 41, 55, 41];

#[test]
fn a_title_and_the_text_below_it_say_nothing_twice() {
    let told = Told::firing(vec![disk(1, "critical"), disk(2, "critical")], 1);
    let of = |told: &Told, kind| {
        let fields = told.fields(TITLED, kind, En);
        assert_eq!((&fields["title"], &fields["text"]), (&fields["heading"], &fields["markdown"]));
        (fields["title"].clone(), fields["text"].clone())
    };
    let pair = |title: &str, text: &str| (title.to_owned(), text.to_owned());
    assert_eq!(of(&told, News), pair("🔴 Critical · DiskFull · db-1", "disk of db-1 is 97% full\n2 critical firing #1842"));
    assert_eq!(of(&told, Again), pair("🔴 Still firing, 1h: DiskFull · eu-1", "2 critical #1842"));
    let (title, text) = of(&Told { new: 2, ..told }, News);
    assert_eq!(title, "🔴 DiskFull · eu-1");
    assert!(text.starts_with("🔴 DiskFull · db-1 — disk of db-1 is 97% full\n🔴 DiskFull · db-2"), "{text}");
    let over = Told::of(vec![(ended(disk(1, "critical")), Resolved)], 0);
    assert_eq!(of(&over, Over), pair("✅ Resolved after 48 min: DiskFull · db-1", "#1842"));
    // A text may not be empty.
    let (title, text) = of(&Told { incident: None, ..over }, Over);
    assert_eq!(title, text);
}

#[test]
fn subjects_and_topics_are_those_of_the_card_and_html_is_left_out() {
    let told = Told::firing(vec![disk(1, "critical")], 1);
    let mail = [
        field("subject", Escape::None, true, true),
        field("text", Escape::None, true, false),
        field("status", Escape::None, false, true),
        field("html", Escape::Html, false, false),
    ];
    let fields = told.fields(&mail, Again, En);
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["subject", "text"]);
    assert_eq!((fields["subject"].as_str(), fields["text"].starts_with("🔴 Still firing")), ("DiskFull · eu-1", true));
    let zulip = [field("topic", Escape::None, true, true), field("text", Escape::ZulipMarkdown, true, false)];
    assert_eq!(told.fields(&zulip, Again, En)["topic"], "DiskFull · eu-1");
    let wecom = [field("text", Escape::WeComMarkdown, true, false), field("card", Escape::WeComMarkdown, false, false)];
    assert_eq!(told.fields(&wecom, Again, En).len(), 1, "one text is enough");
    let call = [field("text", Escape::None, true, true)];
    assert_eq!(Told { new: 1, ..Told::firing(vec![disk(1, "critical"), disk(2, "info")], 1) }.fields(&call, News, En)["text"].lines().count(), 1);
}

#[test]
fn a_senders_own_words_are_the_news() {
    let mut told = Told::firing(vec![disk(1, "critical")], 1);
    told.event = Event {
        kind: SenderKind::Watchfire,
        title: "The queue grows".into(),
        message: "1842 deliveries wait.\nLook at the disk.".into(),
        ..Event::default()
    };
    assert_eq!(told.text(News, En), "🔴 Critical · The queue grows — 1842 deliveries wait. Look at the disk. #1842");
    assert_eq!(told.text(Again, En), "🔴 Still firing, 1h: The queue grows · critical #1842");
}
