//! Shifts as a calendar (iCalendar, <https://www.rfc-editor.org/rfc/rfc5545>). Pure.

use super::{RotaName, Shift};
use crate::delivery::people::People;
use crate::model::{UnixMs, hash_hex};

/// Bytes of a line, its end aside (RFC 5545, 3.1).
const MAX_LINE: usize = 75;

/// A calendar with an entry for each shift. Its readers refresh it every hour at best, some of them once a day.
pub fn calendar(title: &str, shifts: &[(RotaName, Shift)], people: &People, now: UnixMs) -> String {
    let mut out = String::new();
    let mut line = |text: &str| fold(text, &mut out);
    for fixed in ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Watchfire//on call//EN", "CALSCALE:GREGORIAN", "METHOD:PUBLISH"] {
        line(fixed);
    }
    line(&format!("X-WR-CALNAME:{}", escaped(title)));
    line("REFRESH-INTERVAL;VALUE=DURATION:PT1H");
    line("X-PUBLISHED-TTL:PT1H");
    let instant = |at: UnixMs| at.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string();
    for (rota, shift) in shifts {
        line("BEGIN:VEVENT");
        line(&format!("UID:{}@watchfire", hash_hex(&[rota, &shift.from.to_string()])));
        // Readers keep what has not a larger number than what they know.
        line(&format!("SEQUENCE:{}", now.seconds() / 60));
        line(&format!("DTSTAMP:{}", instant(now)));
        line(&format!("LAST-MODIFIED:{}", instant(now)));
        line(&format!("DTSTART:{}", instant(shift.from)));
        line(&format!("DTEND:{}", instant(shift.until)));
        line(&format!("SUMMARY:{}", escaped(&format!("{}: {}", rota, people.shown(&shift.person)))));
        line("TRANSP:TRANSPARENT");
        line("END:VEVENT");
    }
    line("END:VCALENDAR");
    out
}

/// Text as a value (RFC 5545, 3.3.11).
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,").replace('\n', "\\n").replace('\r', "")
}

/// Adds a line, folded between characters: a reader that unfolds characters of several bytes must find them whole.
fn fold(text: &str, out: &mut String) {
    let mut room = MAX_LINE;
    for c in text.chars() {
        if c.len_utf8() > room {
            out.push_str("\r\n ");
            room = MAX_LINE - 1;
        }
        out.push(c);
        room -= c.len_utf8();
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::rota::ShiftKind;

    #[test]
    fn a_calendar_is_what_its_readers_expect() {
        let at = |text: &str| UnixMs::from(text.parse::<jiff::Timestamp>().unwrap());
        let (from, until) = (at("2026-10-26T08:00:00Z"), at("2026-11-02T08:00:00Z"));
        let shift = Shift { person: "数据库,一线;值班\\".into(), from, until, kind: ShiftKind::Turn };
        let name = RotaName::from("数据库".repeat(10));
        let of = |now| calendar("db, web", &[(name.clone(), shift.clone())], &People::default(), now);
        let text = of(at("2026-10-27T00:00:00Z"));
        assert!(text.ends_with("END:VEVENT\r\nEND:VCALENDAR\r\n") && text.starts_with("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"), "{text}");
        assert!(text.split("\r\n").all(|line| line.len() <= 75 && !line.contains(['\r', '\n'])), "{text}");
        let unfolded = text.replace("\r\n ", "");
        for line in [
            "X-WR-CALNAME:db\\, web".to_owned(),
            "DTSTART:20261026T080000Z".to_owned(),
            "DTEND:20261102T080000Z".to_owned(),
            "DTSTAMP:20261027T000000Z".to_owned(),
            format!("SUMMARY:{name}: 数据库\\,一线\\;值班\\\\"),
        ] {
            assert!(unfolded.split("\r\n").any(|found| found == line), "{line} is not in {unfolded}");
        }
        let value = |text: &str, key: &str| text.split("\r\n").find_map(|line| line.strip_prefix(key).map(str::to_owned)).unwrap();
        let later = of(at("2026-10-28T00:00:00Z"));
        assert_eq!(value(&unfolded, "UID:"), value(&later, "UID:"));
        assert!(value(&unfolded, "SEQUENCE:").parse::<i32>().unwrap() < value(&later, "SEQUENCE:").parse().unwrap());
    }
}
