//! What every default template makes of every case, in both languages, on every platform of the registry.

use jiff::tz::TimeZone;
use watchfire::channel::{PLATFORMS, Platform, preset};
use watchfire::model::{Escape, FieldSpec, Language, Page, SeverityScale};
use watchfire::template::{EntryStatus, FittedPage, MessageKind, Part, TemplateRegistry, facts, fit, lines, plain, plain_fields};

use super::cases::{Case, alert, cases, cpu, fields, forms};

pub fn pages(registry: &TemplateRegistry, platform: &Platform, case: &Case, language: Language) -> Vec<FittedPage> {
    let (zone, scale) = (TimeZone::get("Asia/Shanghai").unwrap(), SeverityScale::default());
    let entries = case.entries();
    let mut render = |part: &Part| {
        // What has no line is counted on the last page, as delivery does.
        let more = if part.page < part.pages { 0 } else { (entries.len() + case.briefs.len()).saturating_sub(part.range.end) };
        let part = &Part { more, ..part.clone() };
        let input = case.input(&entries, part, language, &zone, &scale);
        let fields = match part.plain {
            true => plain_fields(platform.fields, &input),
            false => registry.render(platform.name, "default", &input)?,
        };
        Ok(Page { fields, facts: facts(&input), ..Page::default() })
    };
    let rows = if case.kind == MessageKind::Digest || case.name == "hundred" || platform.fields.iter().any(|field| field.escape == Escape::Html) {
        entries.len() + case.briefs.len()
    } else {
        lines(&entries, &scale)
    };
    // A text message or a call is one page.
    let max_pages = if platform.resolved_by_default { 3 } else { 1 };
    fit(rows, max_pages, &mut render, platform.measure).unwrap()
}

fn shown(pages: &[FittedPage], platform: &Platform, wanted: impl Fn(&FieldSpec) -> bool) -> String {
    let mut out = String::new();
    for page in pages {
        for field in platform.fields.iter().filter(|field| wanted(field)) {
            // Invisible characters are made visible: a reviewer must see them.
            let text = page.page.field(field.name).replace('\u{200B}', "⟨zw⟩").replace('\u{200A}', "⟨hair⟩");
            out.push_str(&format!(
                "--- {} of page {}/{}, entries {:?}, more {}\n{}\n",
                field.name, page.page.number, page.page.total, page.range, page.more, text
            ));
        }
    }
    out
}

pub fn golden(name: &str, text: &str) {
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

/// A new platform has its goldens when this test has run once and they were read (`cargo insta review`, or rename `.snap.new`).
#[test]
fn default_templates() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    assert_eq!(TemplateRegistry::built_in_findings(&fields(|_| true)), []);
    for platform in PLATFORMS {
        for case in cases().into_iter().filter(|case| case.name != "hundred") {
            let mut out = String::new();
            for (language, name) in [(Language::En, "en"), (Language::Zh, "zh")] {
                out.push_str(&format!("=== {name}\n{}", shown(&pages(&registry, platform, &case, language), platform, |_| true)));
            }
            golden(&format!("{}_{}", platform.name, case.name), &out);
        }
    }
}

/// Headings and notifications are no fields of templates, and are shown as they are.
#[test]
fn what_a_locked_phone_shows_turns_no_text() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    let turned =
        alert(&[("alertname", "Disk\u{202E}lluF"), ("instance", "db\u{2066}-1"), ("severity", "critical")], &[("summary", "97%\u{202D} full")]);
    let case = Case::new("turned", vec![turned], vec![EntryStatus::Firing]);
    for platform in PLATFORMS {
        let facts = pages(&registry, platform, &case, Language::En).remove(0).page.facts;
        assert!(facts.title.contains("DisklluF") && facts.preview.ends_with("97% full"), "{}: {facts:?}", platform.name);
        let pairs = facts.pairs.iter().map(|(_, value)| value);
        for text in pairs.chain([&facts.title, &facts.preview]) {
            assert!(!text.contains(['\u{202E}', '\u{202D}', '\u{2066}']), "{}: {text:?}", platform.name);
        }
    }
}

/// What platforms make of groups, long texts and other senders' alerts: one file a platform. What is read of HTML is in `looks.rs`.
#[test]
fn forms_of_messages() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    for platform in PLATFORMS {
        let mut out = String::new();
        for case in forms() {
            for (language, name) in [(Language::En, "en"), (Language::Zh, "zh")] {
                let pages = pages(&registry, platform, &case, language);
                out.push_str(&format!("=== {} {name}\n{}\n", case.name, shown(&pages, platform, |field| field.escape != Escape::Html)));
            }
        }
        golden(&format!("{}_forms", platform.name), &out);
    }
}

/// What is the same on all of them.
#[test]
fn previews_links_and_pictures() {
    let (zone, scale) = (TimeZone::get("Asia/Shanghai").unwrap(), SeverityScale::default());
    let mut out = String::new();
    for case in forms() {
        for language in [Language::En, Language::Zh] {
            let entries = case.entries();
            let part = Part { range: 0..entries.len(), page: 1, pages: 1, more: 0, max_value: usize::MAX, plain: false };
            let facts = facts(&case.input(&entries, &part, language, &zone, &scale));
            let links: Vec<&str> = facts.links.iter().map(|link| link.label.as_str()).collect();
            out.push_str(&format!("=== {} {language:?}\n{}\n{} {}\n", case.name, facts.preview, links.join(", "), facts.image));
        }
    }
    golden("previews", &out);
}

/// What a locked phone shows of alerts whose sentence differs in the place.
#[test]
fn a_preview_is_one_sentence_with_the_worst_places() {
    let (zone, scale) = (TimeZone::UTC, SeverityScale::default());
    for (summary, english, chinese) in [
        ("… does not answer.", "does not answer: orders, payments", "does not answer：orders、payments"),
        ("… 的错误率持续高于 5%。", "orders, payments 的错误率持续高于 5%。", "orders、payments 的错误率持续高于 5%。"),
        ("请检查 … 最近一小时的日志。", "请检查 … 最近一小时的日志: orders, payments", "请检查 … 最近一小时的日志：orders、payments"),
    ] {
        let one = |service: &str| {
            let own = [("alertname", "Errors"), ("severity", "critical"), ("service", service)];
            alert(&own, &[("summary", &summary.replace('…', service))])
        };
        let case = Case::new("gap", vec![one("orders"), one("payments")], vec![EntryStatus::Firing; 2]);
        let entries = case.entries();
        let part = Part { range: 0..2, page: 1, pages: 1, more: 0, max_value: usize::MAX, plain: false };
        for (language, said) in [(Language::En, english), (Language::Zh, chinese)] {
            let preview = facts(&case.input(&entries, &part, language, &zone, &scale)).preview;
            assert_eq!(preview.split_once(" — ").unwrap().1, said);
        }
    }
}

#[test]
fn a_preview_says_what_is_worst_rather_than_what_all_are_described_with() {
    let one = |host: &str, full: u8| {
        let own = [("alertname", "DiskFull"), ("severity", "critical"), ("instance", host)];
        alert(&own, &[("summary", &format!("{host} is {full}% full")), ("description", "Please look at it.")])
    };
    let case = Case::new("described", vec![one("db-1", 97), one("db-2", 95)], vec![EntryStatus::Firing; 2]);
    let (entries, scale) = (case.entries(), SeverityScale::default());
    let part = Part { range: 0..2, page: 1, pages: 1, more: 0, max_value: usize::MAX, plain: false };
    let preview = facts(&case.input(&entries, &part, Language::En, &TimeZone::UTC, &scale)).preview;
    assert_eq!(preview, "🔴 2 critical · DiskFull — db-1 is 97% full");
}

/// What each of several alerts is described with is on the page behind the message, or in the message where there is none.
#[test]
fn what_each_alert_says_is_below_its_line_where_no_page_shows_it() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    let one = |name: &str, more: &str| {
        alert(
            &[("alertname", name), ("severity", "warning"), ("service", &name.to_lowercase())],
            &[("summary", &format!("{name} is slow\nin {more}")), ("description", &format!("Ask {more} first."))],
        )
    };
    let alone = Case::new("alone", vec![one("Cart", "Ann"), one("Search", "Bob")], vec![EntryStatus::Firing; 2]);
    let paged = Case { details_url: "https://watchfire.example.com/m/7Kq2xV9bTz3mAc", ..alone.clone() };
    for name in ["slack", "dingtalk", "wecom", "telegram", "email"] {
        let platform = PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
        let text = |case: &Case| pages(&registry, platform, case, Language::En)[0].page.field("text").to_owned();
        for said in ["in Ann", "Ask Ann first.", "in Bob", "Ask Bob first."] {
            assert!(text(&alone).contains(said) && !text(&paged).contains(said), "{name}: {said}: {}", text(&alone));
        }
        let below = |said: &str| text(&alone).find(said).unwrap();
        assert!(below("Cart is slow") < below("Ask Ann first.") && below("Ask Ann first.") < below("Search is slow"), "{name}: {}", text(&alone));
    }
}

/// A report of several screens is below what to do.
#[test]
fn a_mail_shows_the_picture_of_its_alert_and_leads_with_what_to_do() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    let platform = PLATFORMS.iter().find(|platform| platform.name == "email").unwrap();
    let shown = |name: &str| {
        let case = forms().into_iter().find(|case| case.name == name).unwrap();
        pages(&registry, platform, &case, Language::En)[0].page.field("html").to_owned()
    };
    let picture = r#"<a href="https://grafana.example.com/render/x.png"><img src="https://grafana.example.com/render/x.png""#;
    assert!(shown("grafana").contains(picture) && !shown("kubernetes").contains("<img"), "{}", shown("grafana"));
    let long = shown("long");
    let place = |text: &str| long.find(text).unwrap_or_else(|| panic!("{text}: {long}"));
    assert!(place("/m/7Kq2xV9bTz3mAc") < place("Reconciliation of the ledger") && long.matches("step 20").count() == 1, "{long}");
}

/// A reader of an expression wants to run it.
#[test]
fn an_expression_in_an_annotation_is_copied_as_it_is() {
    const QUERY: &str = "rate(x_total{job=~shop.*, code!~2..}[5m]) * 60 * on() _y_";
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    let one = |host: &str| alert(&[("alertname", "Slow"), ("instance", host)], &[("summary", "It is slow."), ("query", QUERY)]);
    for alerts in [vec![one("db-1")], vec![one("db-1"), one("db-2")]] {
        let statuses = vec![EntryStatus::Firing; alerts.len()];
        let case = Case::new("query", alerts, statuses);
        for name in ["slack", "telegram", "discord", "zulip", "wecom"] {
            let platform = PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
            let text = pages(&registry, platform, &case, Language::En)[0].page.field("text").to_owned();
            assert!(text.contains(QUERY), "{name}: {text}");
        }
    }
}

/// What a vendor's template shows of many is not what it shows of one.
#[test]
fn the_parts_of_a_text_message_say_how_many_there_are() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    let node = |host: &str| alert(&[("alertname", "NodeDown"), ("instance", host)], &[]);
    let bare = |code: &str| alert(&[("alertname", "Errors"), ("code", code)], &[]);
    let case = |alerts: Vec<_>| Case::new("parts", alerts, vec![EntryStatus::Firing; 3]);
    let (nodes, errors) = (case(["web-1", "web-2", "web-3"].map(node).into()), case(["500", "502", "503"].map(bare).into()));
    let ended = Case { statuses: vec![EntryStatus::Resolved; 3], ..nodes.clone() };
    let mixed = Case { statuses: vec![EntryStatus::Firing, EntryStatus::Resolved, EntryStatus::Resolved], ..nodes.clone() };
    for name in ["aliyun_sms", "aliyun_voice", "tencent_sms", "tencent_voice"] {
        let platform = PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
        let field = |case: &Case, language, field: &str| pages(&registry, platform, case, language)[0].page.field(field).to_owned();
        assert_eq!(field(&nodes, Language::En, "place"), "web-1 and 2 more", "{name}");
        assert_eq!(field(&nodes, Language::Zh, "place"), "web-1，另有 2 条", "{name}");
        assert_eq!(field(&errors, Language::Zh, "name"), "Errors，另有 2 条", "{name}");
        assert!(field(&nodes, Language::Zh, "text").contains("web-2"), "{name}: where else");
        assert_eq!(field(&ended, Language::Zh, "place"), "web-1，另有 2 条", "{name}");
        assert_eq!(field(&mixed, Language::Zh, "place"), "web-1", "{name}: the others are over");
        let text = field(&mixed, Language::Zh, "text");
        assert!(name.ends_with("voice") || !text.contains("web-1"), "{name}: it would read as over: {text}");
    }
}

/// A sender with `max_alerts` lists a few of many.
#[test]
fn a_phone_is_not_told_of_fewer_alerts_than_there_are() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    let several =
        |n: usize| Case { truncated: 40, ..Case::new("cut", (0..n).map(|i| cpu(&format!("db-{i}:9100"))).collect(), vec![EntryStatus::Firing; n]) };
    for name in ["twilio_sms", "twilio_voice", "aliyun_sms", "aliyun_voice", "tencent_sms", "tencent_voice", "dingtalk_call"] {
        let platform = PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
        for case in [several(1), several(3)] {
            let text = pages(&registry, platform, &case, Language::En)[0].page.field("text").to_owned();
            let said = if name == "twilio_sms" { "and 40 more" } else { "40 not listed" };
            assert_eq!(text.matches(said).count(), 1, "{name}: {text}");
        }
    }
}

/// Without a page that shows the whole, a card has all that a person wrote.
#[test]
fn a_text_card_shows_what_has_no_place_of_its_own() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    let platform = PLATFORMS.iter().find(|platform| platform.name == "wecom").unwrap();
    let disk = alert(&[("alertname", "磁盘已满"), ("instance", "10.0.3.17"), ("机房", "上海")], &[("summary", "已满"), ("处理建议", "联系 DBA")]);
    let alone = Case::new("card", vec![disk], vec![EntryStatus::Firing]);
    let paged = Case { details_url: "https://watchfire.example.com/m/7Kq2xV9bTz3mAc", ..alone.clone() };
    let card = |case: &Case| pages(&registry, platform, case, Language::Zh)[0].page.field("card").to_owned();
    assert!(card(&alone).contains("处理建议：联系 DBA") && card(&alone).contains("机房：上海"), "{}", card(&alone));
    assert!(card(&paged).contains("处理建议：联系 DBA") && !card(&paged).contains("上海"), "{}", card(&paged));
}

/// A call is cut where nobody follows it any more: what is cut must not be half a name, or how many there are.
#[test]
fn a_call_about_long_names_says_fewer_of_them_and_counts_the_rest() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    let many: Vec<_> = (0..100).map(|i| cpu(&format!("payments-reconciliation-worker-{i:03}:9100"))).collect();
    let case = Case::new("pods", many, vec![EntryStatus::Firing; 100]);
    for name in ["twilio_voice", "aliyun_voice", "tencent_voice", "dingtalk_call"] {
        let platform = PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
        let pages = pages(&registry, platform, &case, Language::En);
        let text = pages[0].page.field("text");
        assert_eq!(pages.len(), 1, "{name}");
        assert!(text.ends_with("worker-000, payments-reconciliation-worker-001 and 98 more. for 11 min."), "{name}: {text}");
        // A call has no sign for a list.
        let chinese = self::pages(&registry, platform, &case, Language::Zh)[0].page.field("text").to_owned();
        assert!(chinese.contains("worker-000，payments-reconciliation-worker-001") && !chinese.contains('、'), "{name}: {chinese}");
    }
}

#[test]
fn built_in_plain_text_and_facts() {
    let (zone, scale) = (TimeZone::get("Asia/Shanghai").unwrap(), SeverityScale::default());
    for case in cases().into_iter().filter(|case| case.name != "hundred") {
        let mut out = String::new();
        for language in [Language::En, Language::Zh] {
            let entries = case.entries();
            let part = Part { range: 0..entries.len() + case.briefs.len(), page: 1, pages: 1, more: 0, max_value: usize::MAX, plain: true };
            let input = case.input(&entries, &part, language, &zone, &scale);
            let facts = facts(&input);
            out.push_str(&format!("{}\n--- {}\n{:?}\n{:?}\n\n", plain(&input), facts.title, facts.pairs, facts.links));
        }
        golden(&format!("plain_{}", case.name), &out);
    }
}

#[test]
fn a_hundred_alerts_are_shown_or_counted_within_the_limits() {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    let all = cases();
    let case = all.iter().find(|case| case.name == "hundred").unwrap();
    let presets = preset::shipped();
    for platform in PLATFORMS.iter().copied().chain(presets.iter().map(|(_, preset)| *preset)) {
        for language in [Language::En, Language::Zh] {
            let pages = pages(&registry, platform, case, language);
            let (first, last) = (pages.first().unwrap(), pages.last().unwrap());
            let about = format!("{} {language:?}", platform.title);
            assert!((1..=3).contains(&pages.len()), "{about}: {} pages", pages.len());
            assert!(pages.iter().zip(1..).all(|(page, number)| (page.page.number, usize::from(page.page.total)) == (number, pages.len())), "{about}");
            assert_eq!(first.range.start, 0, "{about}");
            assert!(pages.windows(2).all(|two| two[0].range.end == two[1].range.start), "{about}: a page leaves alerts out");
            assert_eq!(last.range.end + last.more, 100, "{about}: every alert is shown or counted");
            let wanted = platform.fields.iter().find(|field| field.name == "text").unwrap();
            for page in &pages {
                assert!((platform.measure)(&page.page).fits(), "{about}: {:?}", (platform.measure)(&page.page));
                let text = page.page.field("text");
                // One line, which is spoken or fills a vendor's variable, says how many, not which.
                if wanted.single_line {
                    assert!(text.contains("100"), "{about}: {text}");
                    continue;
                }
                for entry in page.range.clone() {
                    let named = |(at, name): (usize, &str)| !text[at + name.len()..].starts_with(|c: char| c.is_ascii_digit());
                    assert!(text.match_indices(&format!("db-{entry}")).any(named), "{about}: {entry} is not named");
                }
            }
            if last.more > 0 && !wanted.single_line {
                let text = last.page.field("text");
                assert!(
                    text.lines().rev().take(4).any(|line| line.contains(&last.more.to_string())),
                    "{about}: the end does not count the rest: {text}"
                );
            }
        }
    }
}

#[test]
fn plain_fields_hold_the_headline_the_whole_text_and_no_html() {
    let (zone, scale) = (TimeZone::UTC, SeverityScale::default());
    for case in cases() {
        let entries = case.entries();
        let part = Part { range: 0..entries.len() + case.briefs.len(), page: 2, pages: 3, more: 4, max_value: 80, plain: true };
        let input = case.input(&entries, &part, Language::En, &zone, &scale);
        for platform in PLATFORMS {
            let fields = plain_fields(platform.fields, &input);
            assert!(!fields.contains_key("html"));
            assert!(platform.name != "email" || fields["status"].contains("(2/3)"), "{fields:?}");
            for field in platform.fields.iter().filter(|field| field.required) {
                let text = &fields[field.name];
                if ["topic", "subject"].contains(&field.name) {
                    assert!(!text.trim().is_empty() && !text.contains("(2/3)"), "every page is in one conversation: {text}");
                    continue;
                }
                assert!(text.contains("(2/3)") && !text.trim().is_empty(), "{} {}", platform.name, field.name);
                assert_eq!(field.single_line, !text.contains("and 4 more"), "{} {text}", platform.name);
            }
        }
    }
}
