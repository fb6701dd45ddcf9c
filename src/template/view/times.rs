//! Times and durations as people read them, in the configured zone and language.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use crate::model::{Alert, Language, humanize};

use super::EntryStatus;

/// From here on seconds say nothing.
const WITHOUT_SECONDS: Duration = Duration::from_secs(600);

/// How long ago or how long, in words: `3d 4h`, `12 min`, `3天4小时`, `12分钟`.
pub fn humanize_in(language: Language, duration: Duration) -> String {
    let seconds = duration.as_secs();
    let whole_minutes = duration >= WITHOUT_SECONDS || (seconds >= 60 && seconds.is_multiple_of(60));
    let text = humanize(if duration >= WITHOUT_SECONDS { Duration::from_secs(seconds / 60 * 60) } else { duration });
    match language {
        // `5m` alone could be meters.
        Language::En if whole_minutes && seconds < 3600 => format!("{} min", seconds / 60),
        Language::En => text,
        Language::Zh => {
            let whole = text.ends_with('m');
            let words = text.chars().filter_map(|c| match c {
                'd' => Some("天".to_owned()),
                'h' => Some("小时".to_owned()),
                'm' => Some(if whole { "分钟" } else { "分" }.to_owned()),
                's' => Some("秒".to_owned()),
                ' ' => None,
                c => Some(c.to_string()),
            });
            words.collect()
        }
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

    /// As short as it can be understood: `14:03 UTC` today, `11-23 14:03 UTC` this year, `2025-11-23 14:03 UTC` else.
    pub fn short(&self, at: Timestamp) -> String {
        self.with_zone(&self.clock(at), at)
    }

    /// From when to when, with the zone once: `04:32–05:49 UTC`; empty unless it has both ends.
    pub fn period(&self, start: Option<Timestamp>, end: Option<Timestamp>) -> String {
        let (Some(start), Some(end)) = (start, end) else { return String::new() };
        let day = |at: Timestamp| at.to_zoned_datetime(self.zone.clone()).date();
        let to = self.clock(end);
        // A day is said once, too.
        let to = if day(start) == day(end) { to.rsplit(' ').next().unwrap_or_default() } else { &to };
        self.with_zone(&format!("{}–{to}", self.clock(start)), end)
    }

    /// A Chinese zone is named before the time, as it is said.
    fn with_zone(&self, clock: &str, at: Timestamp) -> String {
        match self.zone_name(at) {
            name if name.is_ascii() => format!("{clock} {name}"),
            name => format!("{name} {clock}"),
        }
    }

    /// The zone as nobody mistakes it: `UTC`, `UTC+1`, `UTC-3:30`, `北京时间`. Abbreviations such as CST mean several.
    fn zone_name(&self, at: Timestamp) -> String {
        let seconds = self.zone.to_offset(at).seconds();
        let china = self.zone.iana_name().is_some_and(|name| ["Asia/Shanghai", "Asia/Chongqing", "Asia/Harbin", "PRC"].contains(&name));
        if china && self.language == Language::Zh {
            return "北京时间".to_owned();
        }
        let (sign, minutes) = if seconds < 0 { ('-', -seconds / 60) } else { ('+', seconds / 60) };
        match (minutes / 60, minutes % 60) {
            (0, 0) => "UTC".to_owned(),
            (hours, 0) => format!("UTC{sign}{hours}"),
            (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
        }
    }

    /// Date, as far as it is not today's, and time.
    fn clock(&self, at: Timestamp) -> String {
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

    /// How long an alert lasted, to now as long as it is not over; empty when nobody knows when it began, or when it ended.
    pub fn lasted_of(&self, alert: &Alert, status: EntryStatus) -> String {
        match alert.ends_at {
            None if status.is_over() => String::new(),
            end => self.lasted(alert.starts_at, end.filter(|_| status.is_over())),
        }
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
        assert_eq!(times.short(at("2026-11-23T06:03:05Z")), "14:03 UTC+8");
        assert_eq!(times.short(at("2026-11-22T15:59:00Z")), "11-22 23:59 UTC+8");
        assert_eq!(times.short(at("2026-11-22T16:00:00Z")), "00:00 UTC+8");
        assert_eq!(times.short(at("2025-12-31T00:00:00Z")), "2025-12-31 08:00 UTC+8");
        let period = |from: &str, to: &str| times.period(Some(at(from)), Some(at(to)));
        assert_eq!(period("2026-11-23T04:32:00Z", "2026-11-23T05:49:00Z"), "12:32–13:49 UTC+8");
        assert_eq!(period("2026-11-21T04:32:00Z", "2026-11-21T05:49:00Z"), "11-21 12:32–13:49 UTC+8");
        assert_eq!(period("2026-11-21T04:32:00Z", "2026-11-23T05:49:00Z"), "11-21 12:32–13:49 UTC+8", "the second day is today");
        assert_eq!(Times::new(at("2026-11-23T06:10:00Z"), &zone, Language::Zh).short(at("2026-11-23T06:03:05Z")), "北京时间 14:03");
        assert_eq!(Times::new(at("2026-11-23T06:10:00Z"), &TimeZone::UTC, Language::En).short(at("2026-11-23T06:03:05Z")), "06:03 UTC");
        assert_eq!(times.full(at("2026-11-23T06:03:05Z")), "2026-11-23 14:03:05 +08:00");
        let newfoundland = TimeZone::get("America/St_Johns").unwrap();
        assert_eq!(
            Times::new(at("2026-11-23T06:10:00Z"), &newfoundland, Language::En).full(at("2026-11-23T06:03:05Z")),
            "2026-11-23 02:33:05 -03:30"
        );
        assert!(Times::new(at("2026-11-23T06:10:00Z"), &newfoundland, Language::En).short(at("2026-11-23T06:03:05Z")).ends_with(" UTC-3:30"));
    }

    #[test]
    fn durations_speak_the_language_and_never_run_backwards() {
        let utc = TimeZone::UTC;
        let en = Times::new(at("2026-11-23T06:10:00Z"), &utc, Language::En);
        assert_eq!(en.lasted(Some(at("2026-11-23T05:00:00Z")), None), "1h 10m");
        assert_eq!(en.lasted(Some(at("2026-11-23T07:00:00Z")), None), "0s");
        assert_eq!(en.lasted(None, None), "");
        let mut alert = Alert { starts_at: Some(at("2026-11-23T05:00:00Z")), ..Alert::default() };
        let of = |alert: &Alert, status| en.lasted_of(alert, status);
        assert_eq!([of(&alert, EntryStatus::Firing), of(&alert, EntryStatus::Resolved)], ["1h 10m", ""], "its end is not now");
        alert.ends_at = Some(at("2026-11-23T06:00:00Z"));
        assert_eq!([of(&alert, EntryStatus::Firing), of(&alert, EntryStatus::Resolved)], ["1h 10m", "1h"]);
        let zh = Times::new(at("2026-11-23T06:10:00Z"), &utc, Language::Zh);
        assert_eq!(zh.lasted(Some(at("2026-11-20T02:00:00Z")), None), "3天4小时");
        for (end, english, chinese) in [
            ("05:00:40", "40s", "40秒"),
            ("05:05:58", "5m 58s", "5分58秒"),
            ("05:05:00", "5 min", "5分钟"),
            ("05:12:40", "12 min", "12分钟"),
            ("06:17:09", "1h 17m", "1小时17分钟"),
        ] {
            let end = Some(at(&format!("2026-11-23T{end}Z")));
            let lasted = [&en, &zh].map(|times| times.lasted(Some(at("2026-11-23T05:00:00Z")), end));
            assert_eq!(lasted, [english, chinese]);
        }
    }

    #[test]
    fn a_bad_format_is_an_error_not_a_panic() {
        assert_eq!(format_at(at("2026-11-23T06:03:05Z"), &TimeZone::UTC, "%H:%M").unwrap(), "06:03");
        assert!(format_at(at("2026-11-23T06:03:05Z"), &TimeZone::UTC, "%!").unwrap_err().contains("not a time format"));
    }
}
