//! Telephone numbers as people write them, and which of them a carrier takes. Pure.

use std::collections::HashSet;

use crate::channel::Problem;
use crate::model::{ErrorKind, Recipient, SendError};

/// What a number is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A mobile number of the Chinese mainland.
    Mobile,
    /// A landline, or a 400 or 800 service number, of the Chinese mainland: it can be called, it gets no SMS.
    Fixed,
    /// A number of any other country: its form does not say what it is.
    Abroad,
}

/// What is asked of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It is called.
    Call,
    /// It gets an SMS, or belongs to a person's account.
    Mobile,
}

const FORM: &str = "write it with its country, in quotes: \"+8613800000000\"; mainland numbers also without: \"13800000000\", \"010-12345678\"";

/// A number as `+<country><number>`, at most 15 digits (<https://www.itu.int/rec/T-REC-E.164>). Mainland numbers may come without their country:
/// mobiles (`139...`, `86139...`), landlines with their area code (`010-12345678`, `0571 1234567`), 400 and 800 numbers. Blanks, hyphens, dots,
/// slashes and brackets are left out. `None`: no carrier would take it; [`refusal`] says why.
pub fn e164(text: &str) -> Option<String> {
    read(text).ok().map(|(number, _)| number)
}

/// Whether somebody is the one who has this number, however the two are written.
pub fn is_of(person: &Recipient, number: &str) -> bool {
    e164(number).is_some_and(|number| e164(person.expose()) == Some(number))
}

/// Why a number cannot serve for `what`, and what to write; `None` when it can.
pub fn refusal(text: &str, what: Use) -> Option<(String, &'static str)> {
    match read(text) {
        Err(found) => Some(found),
        Ok((_, Kind::Fixed)) if what == Use::Mobile => {
            Some(("it is a landline or a service number, which gets no SMS".into(), "name a mobile number, or use a channel that calls"))
        }
        Ok(_) => None,
    }
}

/// A number of [`e164`] that serves for `what`, or the refusal to report.
pub fn reachable(text: &str, what: Use) -> Result<String, SendError> {
    match refusal(text, what) {
        None => Ok(e164(text).unwrap_or_default()),
        Some((why, help)) => Err(SendError::new(ErrorKind::Rejected, format!("{why}; {help}")).of_recipient()),
    }
}

/// A number of [`e164`] as it is dialled within the mainland: mobiles and 400 numbers bare, landlines with the 0 before their area code; others
/// with their country and without the `+`.
pub fn dialled(number: &str) -> String {
    match number.strip_prefix("+86") {
        Some(rest) if is_landline(rest) => format!("0{rest}"),
        Some(rest) => rest.to_owned(),
        None => number.trim_start_matches('+').to_owned(),
    }
}

/// A mobile number of the mainland in its 11 digits, as platforms know their members by it. `None`: it is none.
pub fn mainland_mobile(text: &str) -> Option<String> {
    let (number, kind) = read(text).ok()?;
    (kind == Kind::Mobile).then(|| dialled(&number))
}

/// Mobile numbers as platforms ping them, each once: those of the mainland in their 11 digits, others as they are written.
pub fn pinged(numbers: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    let each = numbers.iter().map(|number| mainland_mobile(number).unwrap_or_else(|| number.clone()));
    each.filter(|number| seen.insert(number.clone())).collect()
}

/// Everything wrong with a list of numbers at `path`.
pub fn check_numbers(path: &str, numbers: &[String], what: Use) -> Vec<Problem> {
    if numbers.is_empty() {
        return vec![Problem::new(path, "nobody is to be reached", "name at least one number: `to: [\"+8613800000000\"]`")];
    }
    let bad = numbers.iter().enumerate().filter_map(|(place, number)| refusal(number, what).map(|found| (place, found)));
    bad.map(|(place, (message, help))| Problem::new(format!("{path}[{place}]"), message, help)).collect()
}

fn read(text: &str) -> Result<(String, Kind), (String, &'static str)> {
    let text = text.trim();
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let (text, extension) = without_extension(text);
    let mut number = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Full-width digits, as Chinese input methods write them.
            '０'..='９' => number.push(char::from(b'0' + (u32::from(c) - u32::from('０')) as u8)),
            '＋' => number.push('+'),
            ' ' | '-' | '(' | ')' | '.' | '/' | '\u{a0}' | '\u{2010}'..='\u{2015}' | '\u{3000}' | '（' | '）' | '－' => {}
            c => number.push(c),
        }
    }
    let digits = number.strip_prefix('+').or_else(|| number.strip_prefix("00")).unwrap_or(&number);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err((format!("it is not a phone number ({} digits)", number.chars().filter(char::is_ascii_digit).count()), FORM));
    }
    if extension {
        return Err((
            "it has an extension, which nobody dials when the call is answered".into(),
            "name the extension's own direct number, or a mobile",
        ));
    }
    let international = digits.len() != number.len();
    let found = if international { abroad(digits) } else { national(digits) };
    found.ok_or_else(|| {
        let n = digits.len();
        if international || n >= 10 {
            (format!("it is not a phone number that a carrier would take ({n} digits)"), FORM)
        } else {
            (format!("it is not a whole phone number ({n} digits): its area code or its country is missing"), FORM)
        }
    })
}

/// With a country code in front.
fn abroad(digits: &str) -> Option<(String, Kind)> {
    match digits.strip_prefix("86") {
        // The 0 of the area code is often left in: +86 (0)10 ...
        Some(rest) => mainland(rest.strip_prefix('0').filter(|rest| is_landline(rest)).unwrap_or(rest)),
        None => ((7..=15).contains(&digits.len()) && !digits.starts_with('0')).then(|| (format!("+{digits}"), Kind::Abroad)),
    }
}

/// As it is written on the mainland.
fn national(digits: &str) -> Option<(String, Kind)> {
    match digits.strip_prefix('0') {
        Some(rest) => is_landline(rest).then(|| (format!("+86{rest}"), Kind::Fixed)),
        None if is_mobile(digits) || is_service(digits) => mainland(digits),
        None => digits.strip_prefix("86").and_then(mainland),
    }
}

fn mainland(rest: &str) -> Option<(String, Kind)> {
    let kind = if is_mobile(rest) { Kind::Mobile } else { Kind::Fixed };
    (kind == Kind::Mobile || is_landline(rest) || is_service(rest)).then(|| (format!("+86{rest}"), kind))
}

fn is_mobile(n: &str) -> bool {
    n.len() == 11 && n.starts_with('1') && n.as_bytes()[1] >= b'3'
}

/// An area code without its 0, and a subscriber's number: 10 and 20 to 29 with 8 digits, the others (three digits, 3 to 9 first) with 7 or 8.
fn is_landline(n: &str) -> bool {
    match n.as_bytes() {
        _ if is_service(n) => false,
        [b'1', b'0', rest @ ..] | [b'2', b'0'..=b'9', rest @ ..] => rest.len() == 8 && rest[0] != b'0',
        [b'3'..=b'9', _, _, rest @ ..] => (7..=8).contains(&rest.len()) && rest[0] != b'0',
        _ => false,
    }
}

/// 400 and 800 numbers.
fn is_service(n: &str) -> bool {
    n.len() == 10 && (n.starts_with("400") || n.starts_with("800"))
}

/// The number without the extension that follows it, and whether there was one: `转801`, `ext. 801`, `x801`, `#801`, `,801`, `;ext=801`, `-801`.
fn without_extension(text: &str) -> (&str, bool) {
    let lower = text.to_ascii_lowercase();
    let marks = ["转", "轉", "分机", "分機", "ext", "x", "#", ",", "，", ";", "p", "w"];
    if let Some(at) = marks.iter().filter_map(|mark| lower.find(mark)).min() {
        return (&text[..at], true);
    }
    // 0571-12345678-801: a second hyphen behind a whole landline.
    let whole = |head: &str| matches!(read_plain(head), Some((_, Kind::Fixed)));
    match text.rsplit_once(['-', '－', '\u{2010}', '\u{2013}']) {
        Some((head, tail)) if (1..=6).contains(&tail.trim().len()) && whole(head) => (head, true),
        _ => (text, false),
    }
}

/// A number of digits and separators alone.
fn read_plain(text: &str) -> Option<(String, Kind)> {
    let plain: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    match plain.strip_prefix('+').or_else(|| plain.strip_prefix("00")) {
        Some(digits) => abroad(digits),
        None => national(&plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, number) in [
            ("13800000000", Some("+8613800000000")),
            ("86 138-0000-0000", Some("+8613800000000")),
            ("0086 13800000000", Some("+8613800000000")),
            ("１３８００００００００", Some("+8613800000000")),
            ("+86 17012345678", Some("+8617012345678")),
            ("+1 (500) 555-0006", Some("+15005550006")),
            ("+49 30/12.34-56", Some("+4930123456")),
            ("tel:+85261234567", Some("+85261234567")),
            ("+4003331234", Some("+4003331234")),
            ("+86 10 12345678", Some("+861012345678")),
            ("057112345678", Some("+8657112345678")),
            ("+861062345678", Some("+861062345678")),
            ("+86 (010) 6234-5678", Some("+861062345678")),
            ("+86-21-5888-0000", Some("+862158880000")),
            ("+8675582345678", Some("+8675582345678")),
            ("057188234567", Some("+8657188234567")),
            ("0571-8823 4567", Some("+8657188234567")),
            ("（0596）2345678", Some("+865962345678")),
            ("861062345678", Some("+861062345678")),
            ("4001234567", Some("+864001234567")),
            ("400-123-4567", Some("+864001234567")),
            ("+86 400 123 4567", Some("+864001234567")),
            ("8008201234", Some("+868008201234")),
            ("+86 12345", None),
            ("12012345678", None),
            ("62345678", None),
            ("5551234", None),
            ("", None),
            ("+", None),
            ("ops", None),
            ("13800000000 13800000001", None),
            (&"1".repeat(4096), None),
        ] {
            assert_eq!(e164(text).as_deref(), number, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_reached_is_refused_with_its_reason() {
        for text in ["0571-88234567-801", "057188234567转801", "010-62345678 ext. 801", "+1 415 555 0100 x9", "62345678#801", "+86-10-62345678,801"]
        {
            let (why, _) = refusal(text, Use::Call).unwrap();
            assert!(why.contains("extension"), "{text}: {why}");
        }
        assert!(refusal("62345678", Use::Call).unwrap().0.contains("area code"));
        for text in ["01062345678", "4001234567"] {
            assert_eq!(refusal(text, Use::Call), None);
            assert!(refusal(text, Use::Mobile).unwrap().0.contains("no SMS"));
        }
        assert_eq!(refusal("+442071838750", Use::Mobile), None, "other countries' numbers do not say what they are");
    }

    #[test]
    fn who_is_pinged_is_named_as_platforms_know_their_members() {
        let typed = ["+8613700000000", "0086-138-1234-5678", "+86 137-0000-0000", "+852-61234567", "010-62345678", "138"].map(str::to_owned);
        assert_eq!(pinged(&typed), ["13700000000", "13812345678", "+852-61234567", "010-62345678", "138"]);
        assert_eq!((mainland_mobile("１３８-1234-5678").as_deref(), mainland_mobile("abc")), (Some("13812345678"), None));
    }

    #[test]
    fn numbers_are_dialled_as_the_mainland_does() {
        for (text, dial) in
            [("13800000000", "13800000000"), ("010-62345678", "01062345678"), ("400-123-4567", "4001234567"), ("+85261234567", "85261234567")]
        {
            assert_eq!(dialled(&e164(text).unwrap()), dial);
        }
    }
}
