//! What a text message costs, and its text in the alphabet in which it costs least. Pure.

use super::{pattern, units};
use crate::model::Page;

const GSM7_BASIC: &str =
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const GSM7_EXTENDED: &str = "^{}\\[~]|€";

/// The length of a text in GSM-7 septets; `None` when it holds a character outside of it. <https://www.3gpp.org/dynareport/23038.htm>
fn septets(text: &str) -> Option<usize> {
    text.chars().map(|c| if GSM7_BASIC.contains(c) { Some(1) } else { GSM7_EXTENDED.contains(c).then_some(2) }).sum()
}

/// How many segments an SMS takes: GSM-7 160 characters (153 each when there are several), else UCS-2 70 (67).
/// <https://www.twilio.com/docs/glossary/what-sms-character-limit>
pub fn segments(text: &str) -> usize {
    let (length, alone, joined) = septets(text).map_or_else(|| (units(text), 70, 67), |n| (n, 160, 153));
    if length <= alone { 1 } else { length.div_ceil(joined) }
}

/// What a text takes of `in_gsm7` septets, else of `in_ucs2` units, and which of them is the limit.
pub fn size(text: &str, in_gsm7: usize, in_ucs2: usize) -> (usize, usize) {
    let text = plain(text);
    septets(&text).map_or_else(|| (units(&text), in_ucs2), |septets| (septets, in_gsm7))
}

/// A text with signs that GSM-7 has in place of those that it lacks, without blank lines: one `·` makes a message twice as long. A text that cannot be
/// written in GSM-7 anyway, a Chinese one, keeps its signs.
pub fn plain(text: &str) -> String {
    let text = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '·' | '•' | '–' | '—' | '−' | '‐' | '‑' => out.push('-'),
            '…' => out.push_str("..."),
            '×' => out.push('x'),
            '“' | '”' | '„' | '«' | '»' => out.push('"'),
            '‘' | '’' | '`' | '´' | 'ˋ' => out.push('\''),
            '→' => out.push_str("->"),
            '≥' => out.push_str(">="),
            '≤' => out.push_str("<="),
            '≠' => out.push_str("!="),
            'µ' | 'μ' => out.push('u'),
            '°' => out.push(' '),
            '\t' | '\u{A0}' | '\u{2009}' | '\u{200A}' | '\u{202F}' => out.push(' '),
            '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FE0F}' | '\u{FEFF}' => {}
            c => out.push(c),
        }
    }
    // A sign that only colours the text is not worth a second message.
    let lean: String = out.chars().filter(|c| !matches!(u32::from(*c), 0x2600..=0x27BF | 0x1F000..=0x1FAFF)).collect();
    let lean = lean.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    if septets(&lean).is_some() { lean } else { in_one_segment(text) }
}

/// A Chinese text that is a few characters longer than one segment, without what a reader misses least: the name of the mainland's only time zone, then
/// the minutes beside the hours that something lasted.
fn in_one_segment(text: String) -> String {
    if segments(&text) != 2 {
        return text;
    }
    let mut shorter = without_zone(&text).into_iter().chain(without_minutes(&text));
    shorter.find(|shorter| segments(shorter) == 1).unwrap_or(text)
}

/// `，北京时间 09:28 起` without the zone.
fn without_zone(text: &str) -> Option<String> {
    let (before, after) = text.rsplit_once("，北京时间 ")?;
    after.split_once(" 起").map(|_| format!("{before}，{after}"))
}

/// `已恢复，持续1小时17分钟` without the minutes.
fn without_minutes(text: &str) -> Option<String> {
    const LASTED: &str = "已恢复，持续";
    let (hours, rest) = text.strip_prefix(LASTED)?.split_once("小时")?;
    let (minutes, rest) = rest.split_once("分钟")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(hours) && is_number(minutes)).then(|| format!("{LASTED}{hours}小时{rest}"))
}

/// A text as carriers of the mainland let it pass in a template's variable: without ports and without the dots of addresses and domains
/// (`10-0-3-17`, `db-1-prod-example-com`), which they take for links. <https://help.aliyun.com/zh/sms/user-guide/sms-template-specifications>
pub fn undotted(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let text = text.replace("https://", "").replace("http://", "");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        out.push_str(&undotted_word(word));
        let next = after.find(is_part).unwrap_or(after.len());
        out.push_str(&after[..next]);
        rest = &after[next..];
    }
    out
}

/// One run of the characters that addresses, domains, ports, times and numbers are written in.
fn undotted_word(word: &str) -> String {
    let (host, tail) = word.split_at(word.trim_end_matches(['.', ':']).len());
    let is_number = |text: &str, digits: std::ops::RangeInclusive<usize>| digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let bare = match host.split_once(':') {
        // A time of day, and an IPv6 address.
        Some((hour, rest)) if is_number(hour, 1..=2) && rest.split(':').all(|part| is_number(part, 2..=2)) => host,
        Some((_, rest)) if rest.contains(':') => host,
        Some((bare, port)) if is_number(port, 1..=5) => bare,
        _ => host,
    };
    let labels: Vec<&str> = bare.split('.').collect();
    let sound = labels.iter().all(|label| !label.is_empty() && !label.contains(':'));
    let named = labels.last().is_some_and(|last| last.len() >= 2 && last.chars().all(|c| c.is_ascii_alphabetic()));
    if sound && (labels.len() > 2 || (labels.len() == 2 && named)) { format!("{}{tail}", labels.join("-")) } else { format!("{bare}{tail}") }
}

/// A variable of a mainland SMS: [`pattern::fill`], passing the carriers. An empty one is `-`: vendors refuse a template with a gap.
pub fn variable(pattern: &str, page: &Page) -> String {
    let text = undotted(&pattern::fill(pattern, page));
    if text.trim().is_empty() { "-".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_counted_as_carriers_do() {
        for (text, n) in [("", 1), (&"x".repeat(160), 1), (&"x".repeat(161), 2), (&"磁".repeat(70), 1), (&"磁".repeat(71), 2), (&"[".repeat(81), 2)]
        {
            assert_eq!(segments(text), n, "{}", text.chars().count());
        }
    }

    #[test]
    fn english_is_written_in_the_cheap_alphabet_and_chinese_stays_as_it_is() {
        assert_eq!(plain("🔴 Disk · db-1\n\n“/var” is 97% full… 3×"), "Disk - db-1\n\"/var\" is 97% full... 3x");
        assert_eq!(plain("run `df`\u{200B}\t→ ≥ 5\n"), "run 'df' -> >= 5");
        assert_eq!(plain("磁盘 · db-1\n\n…"), "磁盘 · db-1\n…");
        assert_eq!((segments("Disk · db-1"), segments(&plain(&format!("Disk · db-1 {}", "x".repeat(140))))), (1, 1));
    }

    #[test]
    fn a_chinese_text_a_little_over_one_segment_is_one() {
        let link = "\nhttps://watchfire.example.com/m/7Kq2xV9bTz3mAc";
        let sent = |text: &str| plain(&format!("{text}{link}"));
        for (text, short) in [
            ("已恢复，持续1小时17分钟：DiskFull", "已恢复，持续1小时17分钟：DiskFull"),
            ("已恢复，持续1小时17分钟：DiskAlmost", "已恢复，持续1小时：DiskAlmost"),
            ("严重 Down 10.0.3，北京时间 09:28 起", "严重 Down 10.0.3，09:28 起"),
        ] {
            assert_eq!((sent(text), segments(&sent(text))), (format!("{short}{link}"), 1), "{}", units(&format!("{text}{link}")));
        }
        // Where it saves nothing, nothing is left out; what a person wrote neither.
        let long = format!("严重 {}，北京时间 09:28 起", "磁盘".repeat(20));
        assert_eq!(sent(&long), format!("{long}{link}"));
        let own = format!("按北京时间 {}", "磁盘".repeat(13));
        assert_eq!(sent(&own), format!("{own}{link}"));
    }

    #[test]
    fn the_alphabet_decides_the_limit() {
        assert_eq!(size("Disk · db-1\n\nhttps://w.example.com/m/7Kq2xV9bTz3mAc", 160, 134), (50, 160));
        assert_eq!(size("磁盘", 160, 134), (2, 134));
    }

    #[test]
    fn addresses_pass_the_carriers() {
        for (text, passes) in [
            ("10.0.3.17:9100", "10-0-3-17"),
            ("disk on db-1.prod.example.com:9100, 97.2% full.", "disk on db-1-prod-example-com, 97.2% full."),
            ("api:8080", "api"),
            ("v1.2.3 e.g. 12:30", "v1-2-3 e.g. 12:30"),
            ("at 02:10:45, load 3.75 of 4.0", "at 02:10:45, load 3.75 of 4.0"),
            ("10.0.3.17,10.0.3.18;10.0.3.19", "10-0-3-17,10-0-3-18;10-0-3-19"),
            ("主机10.0.3.17:9100、10.0.3.18宕机", "主机10-0-3-17、10-0-3-18宕机"),
            ("服务“api.example.com”：访问example.com失败", "服务“api-example-com”：访问example-com失败"),
            ("http://grafana.example.com:3000/d/x (instance=db.corp.example:9100)", "grafana-example-com/d/x (instance=db-corp-example)"),
            ("ops@example.com [fd00::1]:9100", "ops@example-com [fd00::1]"),
            ("磁盘 10.20.30.41 的", "磁盘 10-20-30-41 的"),
        ] {
            assert_eq!(undotted(text), passes);
        }
    }
}
