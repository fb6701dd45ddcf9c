//! Times and durations as people read them, in the configured zone and language.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use crate::model::{Language, humanize};

/// How long ago or how long, in words: `3d 4h`, `3天4小时`.
pub fn humanize_in(language: Language, duration: Duration) -> String {
    let text = humanize(duration);
    match language {
        Language::En => text,
        Language::Zh => text
            .chars()
            .filter_map(|c| match c {
                'd' => Some("天".to_owned()),
                'h' => Some("小时".to_owned()),
                'm' => Some("分".to_owned()),
                's' => Some("秒".to_owned()),
                ' ' => None,
                c => Some(c.to_string()),
            })
            .collect(),
    }
}

/// A time in a zone, by a strftime format; an error is one sentence.
pub fn format_at(at: Timestamp, zone: &TimeZone, format: &str) -> Result<String, String> {
    jiff::fmt::strtime::format(format, &at.to_zoned_datetime(zone.clone())).map_err(|error| format!("`{format}` is not a time format: {error}"))
}

/// Formats times of one page: knows now and the zone.
pub struct Times<'a> {
    now: Timestamp,
    today: ZonedDateTime,
    zone: &'a TimeZone,
    language: Language,
}

impl<'a> Times<'a> {
    pub fn new(now: Timestamp, zone: &'a TimeZone, language: Language) -> Self {
        Self { now, today: now.to_zoned_datetime(zone.clone()), zone, language }
    }

    /// As short as it can be understood: `14:03` today, `11-23 14:03` this year, `2025-11-23 14:03` else.
    pub fn short(&self, at: Timestamp) -> String {
        let at = at.to_zoned_datetime(self.zone.clone());
        let clock = format!("{:02}:{:02}", at.hour(), at.minute());
        if at.date() == self.today.date() {
            clock
        } else if at.year() == self.today.year() {
            format!("{:02}-{:02} {clock}", at.month(), at.day())
        } else {
            format!("{:04}-{:02}-{:02} {clock}", at.year(), at.month(), at.day())
        }
    }

    /// With date, seconds and offset: `2026-11-23 14:03:05 +08:00`.
    pub fn full(&self, at: Timestamp) -> String {
        let at = at.to_zoned_datetime(self.zone.clone());
        let offset = at.offset().seconds();
        let (sign, minutes) = if offset < 0 { ('-', -offset / 60) } else { ('+', offset / 60) };
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02} {sign}{:02}:{:02}",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            minutes / 60,
            minutes % 60
        )
    }

    /// How long it lasted, to `end` or to now; empty when it did not begin, `0s` when the clocks disagree.
    pub fn lasted(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> String {
        let Some(start) = start else { return String::new() };
        let seconds = end.unwrap_or(self.now).duration_since(start).as_secs();
        humanize_in(self.language, Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn short_times_say_as_much_as_needed() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let times = Times::new(at("2026-11-23T06:10:00Z"), &zone, Language::En);
        assert_eq!(times.short(at("2026-11-23T06:03:05Z")), "14:03");
        assert_eq!(times.short(at("2026-11-22T15:59:00Z")), "11-22 23:59");
        assert_eq!(times.short(at("2026-11-22T16:00:00Z")), "00:00");
        assert_eq!(times.short(at("2025-12-31T00:00:00Z")), "2025-12-31 08:00");
        assert_eq!(times.full(at("2026-11-23T06:03:05Z")), "2026-11-23 14:03:05 +08:00");
        let newfoundland = TimeZone::get("America/St_Johns").unwrap();
        assert_eq!(
            Times::new(at("2026-11-23T06:10:00Z"), &newfoundland, Language::En).full(at("2026-11-23T06:03:05Z")),
            "2026-11-23 02:33:05 -03:30"
        );
    }

    #[test]
    fn durations_speak_the_language_and_never_run_backwards() {
        let utc = TimeZone::UTC;
        let en = Times::new(at("2026-11-23T06:10:00Z"), &utc, Language::En);
        assert_eq!(en.lasted(Some(at("2026-11-23T05:00:00Z")), None), "1h 10m");
        assert_eq!(en.lasted(Some(at("2026-11-23T07:00:00Z")), None), "0s");
        assert_eq!(en.lasted(None, None), "");
        let zh = Times::new(at("2026-11-23T06:10:00Z"), &utc, Language::Zh);
        assert_eq!(zh.lasted(Some(at("2026-11-20T02:00:00Z")), None), "3天4小时");
        assert_eq!(zh.lasted(Some(at("2026-11-23T05:00:00Z")), Some(at("2026-11-23T05:12:05Z"))), "12分5秒");
    }

    #[test]
    fn a_bad_format_is_an_error_not_a_panic() {
        assert_eq!(format_at(at("2026-11-23T06:03:05Z"), &TimeZone::UTC, "%H:%M").unwrap(), "06:03");
        assert!(format_at(at("2026-11-23T06:03:05Z"), &TimeZone::UTC, "%!").unwrap_err().contains("not a time format"));
    }
}
