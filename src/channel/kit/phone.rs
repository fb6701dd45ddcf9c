//! What SMS and voice vendors have in common: numbers, template parameters, SMS segments, and text that can be spoken. Pure.

pub use super::number::{Use, check_numbers, dialled, e164, reachable, refusal};

use std::collections::BTreeMap;

use crate::channel::Problem;
use crate::model::{Language, Page, Receipt, Recipient, SendError, Severity, Status};

use super::{cut_units, units};

/// How many segments an SMS takes: GSM-7 160 characters (153 each when there are several), else UCS-2 70 (67).
/// <https://www.twilio.com/docs/glossary/what-sms-character-limit>
pub fn segments(text: &str) -> usize {
    const GSM7_BASIC: &str =
        "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    const GSM7_EXTENDED: &str = "^{}\\[~]|€";
    let septets: Option<usize> = text.chars().map(|c| if GSM7_BASIC.contains(c) { Some(1) } else { GSM7_EXTENDED.contains(c).then_some(2) }).sum();
    let (length, alone, joined) = septets.map_or_else(|| (units(text), 70, 67), |n| (n, 160, 153));
    if length <= alone { 1 } else { length.div_ceil(joined) }
}

/// Text without what vendors refuse in template variables and no voice can read: addresses, control characters, emoji; blanks are folded.
pub fn bare(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| !word.contains("://") && !word.starts_with("www."));
    let readable = |c: &char| !c.is_control() && !matches!(u32::from(*c), 0x200B..=0x200F | 0x2600..=0x27BF | 0xFE00..=0xFE0F | 0x1F000..=0x1FAFF);
    words.map(|word| word.chars().filter(readable).collect::<String>()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Text as a voice reads it: [`bare`], and long numbers digit by digit, for "one billion three hundred ..." helps nobody.
pub fn spoken(text: &str) -> String {
    let text = bare(text);
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = rest[start..].chars().take_while(char::is_ascii_digit).count();
        out.push_str(&rest[..start]);
        let number = &rest[start..start + digits];
        if digits > 4 {
            out.push_str(&number.chars().map(String::from).collect::<Vec<_>>().join(" "));
        } else {
            out.push_str(number);
        }
        rest = &rest[start + digits..];
    }
    out.push_str(rest);
    out
}

/// One recipient per number.
pub fn recipients(numbers: &[String]) -> Vec<Recipient> {
    numbers.iter().map(|number| Recipient::new(e164(number).unwrap_or_default())).collect()
}

/// Words that a parameter's pattern may hold.
const PATTERN_WORDS: [&str; 4] = ["{text}", "{title}", "{severity}", "{status}"];

/// What is wrong with a parameter's pattern.
pub fn check_pattern(path: String, pattern: &str) -> Option<Problem> {
    let mut rest = pattern.to_owned();
    PATTERN_WORDS.iter().for_each(|word| rest = rest.replace(word, ""));
    let unknown = rest.contains('{') || rest.contains('}');
    unknown.then(|| Problem::new(path, "this pattern holds an unknown word", format!("known words: {}", PATTERN_WORDS.join(", "))))
}

/// A vendor template's parameter: the pattern with its words filled in, and [`bare`].
pub fn fill(pattern: &str, page: &Page) -> String {
    let facts = &page.facts;
    let zh = facts.language == Language::Zh;
    let severity = match (facts.severity, zh) {
        (Severity::Critical, true) => "严重",
        (Severity::Error, true) => "错误",
        (Severity::Warning, true) => "警告",
        (Severity::Info, true) => "信息",
        (severity, false) => severity.as_str(),
    };
    let status = match (facts.status, zh) {
        (Status::Firing, true) => "告警",
        (Status::Resolved, true) => "恢复",
        (Status::Firing, false) => "firing",
        (Status::Resolved, false) => "resolved",
    };
    let text = pattern
        .replace("{text}", page.field("text"))
        .replace("{title}", if facts.title.is_empty() { page.field("text") } else { &facts.title })
        .replace("{severity}", severity)
        .replace("{status}", status);
    bare(&text)
}

/// Makes parameters fit: each at most `each` characters, and all of them together at most `all` as `size` counts them, which the longest give.
/// What is cut ends in `…`. Returns by how many characters they shrank.
pub fn fit<'a>(params: impl Iterator<Item = &'a mut String>, each: usize, all: usize, size: impl Fn(&str) -> usize) -> usize {
    let mut params: Vec<&mut String> = params.collect();
    let characters = |params: &[&mut String]| params.iter().map(|param| param.chars().count()).sum::<usize>();
    let before = characters(&params);
    for param in params.iter_mut().filter(|param| param.chars().count() > each) {
        **param = cut_units(param, each);
    }
    while let over @ 1.. = params.iter().map(|param| size(param)).sum::<usize>().saturating_sub(all) {
        let Some(longest) = params.iter_mut().max_by_key(|param| param.chars().count()).filter(|param| !param.is_empty()) else { break };
        let now = units(longest);
        // At least one character goes each time, so that this ends.
        **longest = cut_units(longest, now.saturating_sub(over).min(now - 1));
    }
    before - characters(&params)
}

/// A result whose receipt says how much [`fit`] left out.
pub fn told(result: Result<Receipt, SendError>, cut: usize) -> Result<Receipt, SendError> {
    result.map(|receipt| if cut == 0 { receipt } else { Receipt { answer: format!("{cut} characters were cut; {}", receipt.answer), ..receipt } })
}

/// Parameters that a direct call brought with it.
pub fn given(page: &Page) -> BTreeMap<String, String> {
    serde_json::from_str(page.field("params")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::kit::test_server::page;

    #[test]
    fn segments_are_counted_as_carriers_do() {
        for (text, n) in [("", 1), (&"x".repeat(160), 1), (&"x".repeat(161), 2), (&"磁".repeat(70), 1), (&"磁".repeat(71), 2), (&"[".repeat(81), 2)]
        {
            assert_eq!(segments(text), n, "{}", text.chars().count());
        }
    }

    #[test]
    fn parameters_fit_each_and_together() {
        let fitted = |texts: &[&str], each, all| {
            let mut params: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let cut = fit(params.iter_mut(), each, all, |text| text.chars().count());
            (params, cut)
        };
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(fitted(&["abcdef", "gh"], 6, 8), (own(&["abcdef", "gh"]), 0));
        assert_eq!(fitted(&["abcdef", "gh"], 4, 8), (own(&["abc…", "gh"]), 2));
        assert_eq!(fitted(&["abcdef", "gh"], 9, 6), (own(&["abc…", "gh"]), 2), "the longest is cut");
        assert_eq!(fitted(&["🔴🔴🔴", ""], 9, 1).0, own(&["…", ""]));
        assert_eq!(fitted(&["ab", "cd"], 9, 0).0, own(&["", ""]));
    }

    #[test]
    fn voices_and_templates_get_what_they_can_take() {
        assert_eq!(spoken("🔴 Disk 97.5% on db-1, see https://x.example/y\nid 1234567"), "Disk 97.5% on db-1, see id 1 2 3 4 5 6 7");
        let mut page = page(&[("text", "磁盘已满 https://x.example")]);
        page.facts.title = "HighCPU on db-1".into();
        page.facts.language = Language::Zh;
        assert_eq!(fill("{severity}:{title}", &page), "警告:HighCPU on db-1");
        assert_eq!(fill("{text}", &page), "磁盘已满");
        assert!(check_pattern("p".into(), "{nope}").is_some() && check_pattern("p".into(), "a {text}").is_none());
    }
}
