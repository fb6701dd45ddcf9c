//! What its sender does not report any more is neither firing nor over, in everything a message says.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::view::{Entry, EntryStatus, Now, Scene, Totals, View, ViewInput};
use super::{FieldUsage, facts, plain};
use crate::model::{Alert, Event, Labels, Language, MessageStatus, SenderKind, SeverityScale, Shown};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_795_489_200 + 60 * minutes).unwrap()
}

fn alert(instance: &str, status: EntryStatus) -> Alert {
    Alert {
        labels: labels(&[("alertname", "HighCPU"), ("instance", instance), ("severity", "critical")]),
        annotations: labels(&[("summary", "CPU is above 90%"), ("value", "97%")]),
        starts_at: Some(at(-60)),
        ends_at: status.is_over().then(|| at(-5)),
        ..Alert::default()
    }
}

/// What is asked of a message about alerts with these statuses, of which the first `lines` have a line.
fn of<T>(statuses: &[EntryStatus], lines: usize, language: Language, ask: impl FnOnce(&Scene<'_>) -> T) -> T {
    let (scale, shown) = (SeverityScale::default(), Shown::default());
    let event = Event { kind: SenderKind::Alertmanager, group_labels: labels(&[("alertname", "HighCPU")]), ..Event::default() };
    let alerts: Vec<Alert> = statuses.iter().zip(1..).map(|(status, n)| alert(&format!("db-{n}:9100"), *status)).collect();
    let all: Vec<Entry<'_>> = alerts.iter().zip(statuses).map(|(alert, status)| Entry { alert, event: &event, status: *status }).collect();
    let totals = Totals { more: all.len() - lines, ..Totals::of(&all, &scale) };
    let now = Now { at: at(0), zone: &TimeZone::UTC };
    ask(&Scene::new(ViewInput { range: 0..lines, totals, ..ViewInput::of(&all, &event, language, now, &scale, &shown) }))
}

fn view(statuses: &[EntryStatus], language: Language) -> Value {
    of(statuses, statuses.len(), language, |scene| View::new(scene, &FieldUsage::everything()).context.data().clone())
}

use EntryStatus::{CameAndWent, Firing, Resolved, Unreported};

#[test]
fn it_is_grey_and_counted_by_itself() {
    for (statuses, english, chinese, status) in [
        (&[Unreported][..], "⚪ No longer reported · HighCPU · db-1", "⚪ 不再上报 · HighCPU · db-1", MessageStatus::Unreported),
        (&[Unreported, Unreported], "⚪ 2 no longer reported · HighCPU", "⚪ 2 条不再上报 · HighCPU", MessageStatus::Unreported),
        (
            &[Unreported, CameAndWent, Resolved],
            "⚪ 1 no longer reported, 2 resolved · HighCPU",
            "⚪ 1 条不再上报，2 条已恢复 · HighCPU",
            MessageStatus::Unreported,
        ),
        (
            &[Firing, Unreported, Resolved],
            "🔴 1 critical, 1 no longer reported, 1 resolved · HighCPU",
            "🔴 1 条严重，1 条不再上报，1 条已恢复 · HighCPU",
            MessageStatus::Firing,
        ),
        (&[CameAndWent, Resolved], "✅ 2 resolved · HighCPU", "✅ 2 条已恢复 · HighCPU", MessageStatus::Resolved),
    ] {
        for (language, wanted) in [(Language::En, english), (Language::Zh, chinese)] {
            let view = view(statuses, language);
            assert_eq!(view["headline"], wanted);
            let facts = of(statuses, statuses.len(), language, facts);
            assert_eq!((facts.status, view["status"].as_str()), (status, Some(status.as_str())));
            let flags = [&view["firing"], &view["resolved"], &view["unreported"]].map(|flag| flag.as_bool().unwrap());
            let wanted = [MessageStatus::Firing, MessageStatus::Resolved, MessageStatus::Unreported].map(|one| one == status);
            assert_eq!(flags, wanted);
            assert_eq!(view["color"] == "#1f9d55", status == MessageStatus::Resolved, "green is the end of all of it");
        }
    }
}

#[test]
fn an_alert_of_it_says_so_and_neither_value_nor_end() {
    let view = view(&[Firing, Unreported, Resolved], Language::En);
    let alert = &view["alerts"][1];
    assert_eq!((&alert["status"], &alert["status_word"], &alert["emoji"]), (&"unreported".into(), &"No longer reported".into(), &"⚪".into()));
    assert_eq!((&alert["firing"], &alert["resolved"], &alert["unreported"]), (&false.into(), &false.into(), &true.into()));
    assert_eq!((&alert["ended"], &alert["line_value"], &alert["color"]), (&"".into(), &"".into(), &"#8a929c".into()));
    assert_eq!((&view["unreported_count"], &view["resolved_count"], &view["total"]), (&1.into(), &1.into(), &3.into()));
}

#[test]
fn plain_text_and_the_count_of_the_rest_say_so() {
    let text = of(&[Firing, Unreported], 2, Language::En, plain);
    assert!(text.contains("\n⚪ db-2 · No longer reported · 1h") && !text.contains('✅'), "{text}");
    let single = of(&[Unreported], 1, Language::Zh, plain);
    assert!(single.starts_with("⚪ 不再上报 · HighCPU · db-1\n") && !single.contains("97%"), "{single}");
    let rest = of(&[Firing, Firing, Unreported, Unreported, Resolved], 1, Language::En, |scene| super::view::rest(scene));
    assert_eq!(rest, ["+1 critical", "+2 no longer reported", "+1 resolved"]);
}
