//! What every default template makes of every case, in both languages.

use jiff::tz::TimeZone;

use super::cases::{Case, PLATFORMS, cases, measure};
use crate::model::{Escape, Language, Page, SeverityScale};
use crate::template::{FittedPage, Library, Part, facts, fit, plain, plain_fields};

pub fn pages(library: &Library, platform: usize, case: &Case, language: Language) -> Vec<FittedPage> {
    let (zone, scale) = (TimeZone::get("Asia/Shanghai").unwrap(), SeverityScale::default());
    let platform = &PLATFORMS[platform];
    let entries = case.entries();
    let mut render = |part: &Part| {
        let input = case.input(&entries, part, language, &zone, &scale);
        let fields = match part.plain {
            true => plain_fields(platform.fields, &input),
            false => library.render(platform.platform, "default", &input)?,
        };
        Ok(Page { fields, facts: facts(&input), ..Page::default() })
    };
    fit(entries.len() + case.briefs.len(), 3, &mut render, &measure(platform.platform)).unwrap()
}

fn shown(pages: &[FittedPage], platform: usize) -> String {
    let mut out = String::new();
    for page in pages {
        for field in PLATFORMS[platform].fields {
            let text = page.page.field(field.name);
            // Hundreds of alerts in HTML are the same thing hundreds of times.
            let text = if text.len() > 12_000 && field.escape == Escape::Html {
                format!("{}\n[... {} bytes in all]", &text[..text.char_indices().nth(9000).unwrap().0], text.len())
            } else {
                text.to_owned()
            };
            // Invisible characters are made visible: a reviewer must see them.
            let text = text.replace('\u{200B}', "⟨zw⟩").replace('\u{200A}', "⟨hair⟩");
            out.push_str(&format!(
                "--- {} of page {}/{}, entries {:?}, more {}\n{}\n",
                field.name, page.page.number, page.page.total, page.range, page.more, text
            ));
        }
    }
    out
}

#[test]
fn default_templates() {
    let (library, findings) = Library::compile(PLATFORMS, Vec::new());
    assert_eq!(findings, []);
    for (i, platform) in PLATFORMS.iter().enumerate() {
        for case in cases() {
            let mut out = String::new();
            for (language, name) in [(Language::En, "en"), (Language::Zh, "zh")] {
                out.push_str(&format!("=== {name}\n{}", shown(&pages(&library, i, &case, language), i)));
            }
            insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(format!("{}_{}", platform.platform, case.name), out);
            });
        }
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
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("plain_{}", case.name), out);
        });
    }
}

const SAYS_HOW_MANY: &[&str] = &["twilio_voice", "aliyun_sms", "aliyun_voice", "tencent_sms", "tencent_voice", "dingtalk_call"];

#[test]
fn a_hundred_alerts_are_shown_or_counted_within_the_limits() {
    let (library, _) = Library::compile(PLATFORMS, Vec::new());
    let all = cases();
    let case = all.iter().find(|case| case.name == "hundred").unwrap();
    for (i, platform) in PLATFORMS.iter().enumerate() {
        for language in [Language::En, Language::Zh] {
            let pages = pages(&library, i, case, language);
            let last = pages.last().unwrap();
            assert_eq!(last.range.end + last.more, 100, "{}", platform.platform);
            for page in &pages {
                assert!(measure(platform.platform)(&page.page).fits());
                let text = page.page.field("text");
                // What is spoken or fills a vendor's variable says how many, not which.
                if SAYS_HOW_MANY.contains(&platform.platform) {
                    assert!(text.contains("100"), "{}: {text}", platform.platform);
                    continue;
                }
                for entry in page.range.clone() {
                    assert!(text.contains(&format!("db-{entry}:9100")), "{} {entry}", platform.platform);
                }
            }
            if last.more > 0 && !SAYS_HOW_MANY.contains(&platform.platform) {
                assert!(last.page.field("text").contains(&last.more.to_string()));
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
            for field in platform.fields.iter().filter(|field| field.required) {
                let text = &fields[field.name];
                assert!(text.contains("(2/3)") && !text.trim().is_empty(), "{} {}", platform.platform, field.name);
                assert_eq!(field.single_line, !text.contains("and 4 more"), "{} {text}", platform.platform);
            }
        }
    }
}
