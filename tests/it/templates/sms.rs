//! What a text message costs: segments as carriers count them, for the cases of the goldens.

use jiff::tz::TimeZone;
use watchfire::channel::PLATFORMS;
use watchfire::channel::kit::sms;
use watchfire::model::{Language, Page, SeverityScale};
use watchfire::template::{Part, TemplateRegistry, facts, fit};

use super::cases::{Case, cases, fields, forms, labels};

/// The text of the one message that a case is, and how many alerts it only counts.
fn sent(name: &str, language: Language) -> (String, usize) {
    text_of(&named(name), language)
}

fn named(name: &str) -> Case {
    cases().into_iter().chain(forms()).find(|case| case.name == name).unwrap()
}

fn text_of(case: &Case, language: Language) -> (String, usize) {
    let (registry, findings) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    assert_eq!(findings, []);
    let platform = PLATFORMS.iter().find(|platform| platform.name == "twilio_sms").unwrap();
    let (zone, scale) = (TimeZone::get("Asia/Shanghai").unwrap(), SeverityScale::default());
    let entries = case.entries();
    let mut render = |part: &Part| {
        let input = case.input(&entries, part, language, &zone, &scale);
        Ok(Page { fields: registry.render("twilio_sms", "default", &input)?, facts: facts(&input), ..Page::default() })
    };
    let pages = fit(entries.len() + case.briefs.len(), 1, &mut render, platform.measure).unwrap();
    assert_eq!(pages.len(), 1, "{}", case.name);
    (sms::plain(pages[0].page.field("text")), pages[0].more)
}

#[test]
fn a_message_is_one_text_message_of_one_segment_where_it_can_be() {
    for (name, language, most) in [
        ("firing", Language::En, 1),
        ("resolved", Language::En, 1),
        ("mixed", Language::En, 1),
        ("bare", Language::En, 1),
        ("hundred", Language::En, 1),
        ("kubernetes", Language::En, 1),
        ("grafana", Language::En, 1),
        ("long", Language::En, 1),
        ("names", Language::En, 1),
        ("twelve", Language::En, 1),
        ("thirty", Language::En, 1),
        ("chinese", Language::Zh, 2),
        ("hundred", Language::Zh, 2),
        ("twelve", Language::Zh, 2),
    ] {
        let (text, more) = sent(name, language);
        let segments = sms::segments(&text);
        assert!(segments <= most, "{name} {language:?}: {segments} segments: {text}");
        assert_eq!(text.contains("https://"), text.ends_with("/m/7Kq2xV9bTz3mAc"), "the link is whole: {text}");
        assert_eq!(more > 0, ["hundred", "thirty", "twelve", "names"].contains(&name), "{name}: {text}");
    }
}

/// A group says when it began, as one alert does; names and places come before that where the room is too small for all.
#[test]
fn a_group_says_since_when_it_fires() {
    for (name, language, said) in [
        ("mixed", Language::En, "1 critical, 2 resolved - HighCPU, since 14:03 UTC+8: db-1, db-2 resolved, db-3 resolved"),
        ("mixed", Language::Zh, "1 条严重，2 条已恢复 - HighCPU，北京时间 14:03 起：db-1、db-2 已恢复、db-3 已恢复"),
        ("twelve", Language::En, "3 critical, 9 warning - NodeDown, since 13:44 UTC+8: web-01, "),
    ] {
        let (text, _) = sent(name, language);
        assert!(text.starts_with(said), "{text}");
    }
    // The first of what fires counts, not the first that is over.
    let mut earlier = named("mixed");
    earlier.event.alerts[1].starts_at = Some("2026-11-23T01:00:00Z".parse().unwrap());
    assert!(text_of(&earlier, Language::En).0.contains("since 14:03 UTC+8"));
    let mut long = named("twelve");
    let name = format!("Node{}", "Down".repeat(14));
    for alert in &mut long.event.alerts {
        alert.labels.insert("alertname".into(), name.clone());
    }
    let (text, _) = text_of(&long, Language::En);
    assert!(text.contains(&format!(" - {name}: web-01")) && !text.contains("since") && sms::segments(&text) == 1, "{text}");
}

/// What a person wrote ends with a full stop, and the message goes on.
#[test]
fn a_full_stop_before_a_comma_is_left_out() {
    for (language, said) in [(Language::En, "Pod is crash looping, since 13:44"), (Language::Zh, "Pod is crash looping，北京时间 13:44")] {
        let (text, _) = sent("kubernetes", language);
        assert!(text.contains(said), "{text}");
    }
    let mut cut = named("kubernetes");
    cut.event.alerts[0].annotations = labels(&[("summary", "It restarts ...")]);
    assert!(text_of(&cut, Language::En).0.contains("It restarts ..., since"));
}

/// Where the room is too small for all, a long text leaves it to the name and the place.
#[test]
fn a_chinese_text_message_says_where() {
    let mut long = named("long");
    let ledger = &mut long.event.alerts[0];
    ledger.labels.insert("alertname".into(), "LedgerReconciliationFailed".into());
    ledger.annotations = labels(&[("summary", "The ledger and the provider's statement differ by 14 rows")]);
    let (text, _) = text_of(&long, Language::Zh);
    assert!(text.starts_with("严重 LedgerReconciliationFailed ledger：The ledger and"), "{text}");
    long.event.alerts[0].labels.insert("alertname".into(), "Reconciliation".repeat(5));
    let (text, _) = text_of(&long, Language::Zh);
    assert!(text.contains("… ledger：") && text.ends_with("/m/7Kq2xV9bTz3mAc"), "{text}");
}

#[test]
fn a_chinese_text_message_keeps_the_link_to_the_whole() {
    let mut chinese = named("kubernetes");
    chinese.event.alerts[0].annotations = labels(&[("summary", "支付服务的容器在过去十五分钟内反复重启，已超过五次，请检查最近一次发布的配置")]);
    let all = ["kubernetes", "grafana", "long", "twelve", "thirty", "names"].map(named);
    for case in [chinese].into_iter().chain(all) {
        let (text, _) = text_of(&case, Language::Zh);
        assert!(text.ends_with("\nhttps://watchfire.example.com/m/7Kq2xV9bTz3mAc") && sms::segments(&text) <= 2, "{}: {text}", case.name);
    }
}
