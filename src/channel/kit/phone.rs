//! What SMS and voice vendors have in common: numbers, template parameters, SMS segments, and text that can be spoken. Pure.

use std::collections::BTreeMap;

use crate::channel::Problem;
use crate::model::{Language, Page, Severity, Status};

use super::{cut_units, units};

/// A number as `+<country><number>`; mainland forms (`139...`, `86139...`, `0086139...`) become `+86139...`. Blanks and hyphens are left out.
/// `None`: no carrier would take it.
pub fn e164(text: &str) -> Option<String> {
    let number: String = text.trim().chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
    let digits = number.strip_prefix('+').or_else(|| number.strip_prefix("00")).unwrap_or(&number);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let international = digits.len() != number.len();
    let mainland = |n: &str| n.len() == 11 && n.starts_with('1') && n.as_bytes()[1] >= b'3';
    match digits.strip_prefix("86") {
        Some(rest) if mainland(rest) => Some(format!("+86{rest}")),
        Some(_) if international => None,
        _ if !international && mainland(digits) => Some(format!("+86{digits}")),
        // ITU-T E.164: at most 15 digits, country codes do not begin with 0 (https://www.itu.int/rec/T-REC-E.164).
        _ if international && (7..=15).contains(&digits.len()) && !digits.starts_with('0') => Some(format!("+{digits}")),
        _ => None,
    }
}

/// Everything wrong with a list of numbers at `path`.
pub fn check_numbers(path: &str, numbers: &[String]) -> Vec<Problem> {
    if numbers.is_empty() {
        return vec![Problem::new(path, "nobody is to be reached", "name at least one number: `to: [\"+8613800000000\"]`")];
    }
    let bad = numbers.iter().enumerate().filter(|(_, number)| e164(number).is_none());
    bad.map(|(place, number)| {
        let digits = number.chars().filter(char::is_ascii_digit).count();
        let message = format!("it is not a phone number ({digits} digits)");
        Problem::new(format!("{path}[{place}]"), message, "write it with its country, in quotes: \"+8613800000000\"; mainland numbers also without")
    })
    .collect()
}

/// How many segments an SMS takes: GSM-7 160 characters (153 each when there are several), else UCS-2 70 (67).
/// <https://www.twilio.com/docs/glossary/what-sms-character-limit>
pub fn segments(text: &str) -> usize {
    const BASIC: &str =
        "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENDED: &str = "^{}\\[~]|€";
    let septets: Option<usize> = text.chars().map(|c| if BASIC.contains(c) { Some(1) } else { EXTENDED.contains(c).then_some(2) }).sum();
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

/// Words that a parameter's pattern may hold.
const WORDS: [&str; 4] = ["{text}", "{title}", "{severity}", "{status}"];

/// What is wrong with a parameter's pattern.
pub fn check_pattern(path: String, pattern: &str) -> Option<Problem> {
    let mut rest = pattern.to_owned();
    WORDS.iter().for_each(|word| rest = rest.replace(word, ""));
    let unknown = rest.contains('{') || rest.contains('}');
    unknown.then(|| Problem::new(path, "this pattern holds an unknown word", format!("known words: {}", WORDS.join(", "))))
}

/// A vendor template's parameter: the pattern with its words filled in, [`bare`], and at most `most` characters.
pub fn fill(pattern: &str, page: &Page, most: usize) -> String {
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
    let text = bare(&text);
    if text.chars().count() <= most { text } else { cut_units(&text, most) }
}

/// Parameters that a direct call brought with it.
pub fn given(page: &Page) -> BTreeMap<String, String> {
    serde_json::from_str(page.field("params")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::kit::stand::page;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, number) in [
            ("13800000000", Some("+8613800000000")),
            ("86 138-0000-0000", Some("+8613800000000")),
            ("0086 13800000000", Some("+8613800000000")),
            ("+1 (500) 555-0006", Some("+15005550006")),
            ("+86 12345", None),
            ("5551234", None),
            ("", None),
            ("+", None),
            ("ops", None),
        ] {
            assert_eq!(e164(text).as_deref(), number, "{text}");
        }
    }

    #[test]
    fn segments_are_counted_as_carriers_do() {
        for (text, n) in [("", 1), (&"x".repeat(160), 1), (&"x".repeat(161), 2), (&"磁".repeat(70), 1), (&"磁".repeat(71), 2), (&"[".repeat(81), 2)]
        {
            assert_eq!(segments(text), n, "{}", text.chars().count());
        }
    }

    #[test]
    fn voices_and_templates_get_what_they_can_take() {
        assert_eq!(spoken("🔴 Disk 97.5% on db-1, see https://x.example/y\nid 1234567"), "Disk 97.5% on db-1, see id 1 2 3 4 5 6 7");
        let mut page = page(&[("text", "磁盘已满 https://x.example")]);
        page.facts.title = "HighCPU on db-1".into();
        page.facts.language = Language::Zh;
        assert_eq!(fill("{severity}:{title}", &page, 100), "警告:HighCPU on db-1");
        assert_eq!(fill("{text}", &page, 100), "磁盘已满");
        assert_eq!(fill("{title}", &page, 6).chars().count(), 6);
        assert!(check_pattern("p".into(), "{nope}").is_some() && check_pattern("p".into(), "a {text}").is_none());
    }
}
