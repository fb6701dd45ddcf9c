//! The messages of an incident on every platform: its short texts, and what its card says of it.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use watchfire::channel::{PLATFORMS, Platform};
use watchfire::model::{Language, SeverityScale};
use watchfire::template::{EntryStatus, IncidentView, LineKind, Part, TemplateRegistry, line_fields};

use super::cases::{Case, cases, fields, forms, node, over};
use super::golden::{golden, pages};

const LANGUAGES: [(Language, &str); 2] = [(Language::En, "en"), (Language::Zh, "zh")];

fn incident(told: bool) -> Option<IncidentView> {
    Some(IncidentView { number: 1842, first_notified: told.then(|| "2026-11-22T19:12:00Z".parse().unwrap()), ..IncidentView::default() })
}

/// An incident of twelve: one of them is new, all of them go on, all of them are over.
fn texts() -> [(&'static str, LineKind, usize, Case); 3] {
    let nodes = || (0..12).map(node);
    let of = |alerts, status, told| Case { incident: incident(told), ..Case::new("incident", alerts, vec![status; 12]) };
    [
        ("news", LineKind::News, 1, of(nodes().collect(), EntryStatus::Firing, true)),
        ("again", LineKind::Again, 12, of(nodes().collect(), EntryStatus::Firing, false)),
        ("over", LineKind::Over, 12, of(nodes().map(over).collect(), EntryStatus::Resolved, false)),
    ]
}

/// Platforms with the same fields are listed together. Text messages and calls have their own short texts.
#[test]
fn short_texts_of_an_incident() {
    let (zone, scale) = (TimeZone::get("Asia/Shanghai").unwrap(), SeverityScale::default());
    let mut out = String::new();
    for (name, kind, new, case) in texts() {
        for (language, code) in LANGUAGES {
            let entries = case.entries();
            let part = Part { range: 0..new, page: 1, pages: 1, more: 0, max_value: usize::MAX, plain: true };
            let input = case.input(&entries, &part, language, &zone, &scale);
            let mut by_text: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for platform in PLATFORMS.iter().filter(|platform| platform.resolved_by_default) {
                let made = line_fields(platform.fields, &input, kind);
                let missing = platform.fields.iter().find(|field| field.required && made.get(field.name).is_none_or(|text| text.trim().is_empty()));
                assert!(missing.is_none() && made.values().any(|text| text.contains("#1842")), "{}: {made:?}", platform.name);
                let shown: String = made.iter().map(|(field, text)| format!("--- {field}\n{text}\n")).collect();
                by_text.entry(shown).or_default().push(platform.name);
            }
            by_text.iter().for_each(|(text, platforms)| out.push_str(&format!("=== {name} {code}: {}\n{text}\n", platforms.join(" "))));
        }
    }
    golden("lines", &out);
}

/// The fields of a card.
fn said(registry: &TemplateRegistry, platform: &Platform, case: &Case, language: Language) -> Vec<String> {
    pages(registry, platform, case, language).into_iter().flat_map(|page| page.page.fields.into_values()).collect()
}

#[test]
fn a_card_names_its_incident_where_notes_are() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    for platform in PLATFORMS.iter().filter(|platform| platform.resolved_by_default) {
        for case in cases().into_iter().chain(forms()).filter(|case| case.name != "hundred") {
            for (language, _) in LANGUAGES {
                let of = |told: Option<bool>| said(&registry, platform, &Case { incident: told.and_then(incident), ..case.clone() }, language);
                let (none, first, further) = (of(None), of(Some(false)), of(Some(true)));
                let about = format!("{} {}", platform.name, case.name);
                let has = |fields: &[String], text: &str| fields.iter().any(|field| field.contains(text));
                assert!(!has(&none, "1842") && has(&first, "1842"), "{about}: {first:?}");
                assert!(first.iter().all(|field| field.matches("1842").count() <= 1), "{about}: {first:?}");
                let told = if language == Language::En { "first notified 03:12 UTC" } else { "首次通知 北京时间 03:12" };
                assert!(has(&further, told) && !has(&first, told), "{about}: {further:?}");
            }
        }
    }
}

/// A sender that leaves alerts out may list only what is over: that is not what fires.
#[test]
fn what_is_listed_as_over_is_not_said_to_go_on() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    let mut case = cases().into_iter().find(|case| case.name == "resolved").unwrap();
    case.truncated = 490;
    for platform in PLATFORMS {
        let text = said(&registry, platform, &case, Language::En).join("\n");
        assert!(text.contains("490 not listed"), "{}: {text}", platform.name);
        let present = text.replace("was: CPU is above 90%", "").replace("Resolved: CPU is above 90%", "");
        assert!(!present.contains("CPU is above 90%"), "{}: {text}", platform.name);
    }
}

#[test]
fn a_card_is_never_green_while_nobody_knows_of_one() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    let of = |statuses: &[EntryStatus]| Case::new("unreported", (0..statuses.len()).map(node).collect(), statuses.to_vec());
    for platform in PLATFORMS {
        for (language, words) in [(Language::En, ["no longer reported", "No longer reported"]), (Language::Zh, ["不再上报", "不再上报"])] {
            for case in [of(&[EntryStatus::Unreported]), of(&[EntryStatus::Unreported, EntryStatus::Unreported])] {
                let text = said(&registry, platform, &case, language).join("\n");
                assert!(words.iter().any(|word| text.contains(word)), "{}: {text}", platform.name);
                let end = ["✅", "#1f9d55", "color=\"info\"", "Resolved", "已恢复"].into_iter().find(|end| text.contains(end));
                assert_eq!(end, None, "{}: {text}", platform.name);
            }
        }
    }
}
