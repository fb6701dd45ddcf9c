//! Times: relative to read, exact to hover over and for the script, which keeps them going.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use maud::{Markup, html};

use super::say;
use crate::http::console::manner::Manner;
use crate::http::page::words::age;
use crate::model::{Language, UnixMs};

/// Older than this a time is a date.
const RECENT_MS: i64 = 7 * DAY_MS;
const DAY_MS: i64 = 86_400_000;

fn local(manner: &Manner, at: UnixMs) -> ZonedDateTime {
    at.timestamp().to_zoned_datetime(manner.zone.clone())
}

/// RFC 3339 with the zone's offset: `2026-11-28T03:24:10+08:00`.
pub(in super::super) fn exact(manner: &Manner, at: UnixMs) -> String {
    local(manner, at).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// `2026-11-28 03:24:10 UTC+8`.
pub(in super::super) fn whole(manner: &Manner, at: UnixMs) -> String {
    format!("{} {}", local(manner, at).strftime("%Y-%m-%d %H:%M:%S"), zone(manner, at))
}

/// `UTC`, `UTC+8`, `UTC+5:30`.
pub(in super::super) fn zone(manner: &Manner, at: UnixMs) -> String {
    offset(&manner.zone, at)
}

/// The zone of a page's times by its name, for its offset changes in the year and a page shows other times than now: `Europe/Berlin`; else as [`zone`].
pub(in super::super) fn zone_name(manner: &Manner) -> String {
    manner.zone.iana_name().map_or_else(|| zone(manner, manner.now.into()), str::to_owned)
}

fn offset(zone: &TimeZone, at: UnixMs) -> String {
    let seconds = zone.to_offset(at.timestamp()).seconds();
    let (sign, minutes) = if seconds < 0 { ('-', -seconds / 60) } else { ('+', seconds / 60) };
    match (minutes / 60, minutes % 60) {
        (0, 0) => "UTC".into(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
    }
}

/// How long it is since: `12 min`; over a week the date.
pub(in super::super) fn ago(manner: &Manner, at: UnixMs) -> Markup {
    let passed = UnixMs::from(manner.now) - at;
    if passed > RECENT_MS {
        return clock(manner, at);
    }
    html! { time datetime=(exact(manner, at)) data-ago title=(whole(manner, at)) { (age(manner.language, passed / 1000)) } }
}

/// `12 min ago`.
pub(in super::super) fn since(manner: &Manner, at: UnixMs) -> Markup {
    if UnixMs::from(manner.now) - at > RECENT_MS {
        return clock(manner, at);
    }
    html! { (ago(manner, at)) (say(manner.language, " ago", "前")) }
}

/// From one time to another; one of them where both are shown alike.
pub(in super::super) fn from_to(manner: &Manner, first: UnixMs, last: UnixMs) -> Markup {
    if of_clock(manner, first) == of_clock(manner, last) {
        return clock(manner, first);
    }
    html! { (clock(manner, first)) (say(manner.language, " to ", " 至 ")) (clock(manner, last)) }
}

/// The time of day; with its date unless that is today.
pub(in super::super) fn clock(manner: &Manner, at: UnixMs) -> Markup {
    html! { time datetime=(exact(manner, at)) title=(whole(manner, at)) { (of_clock(manner, at)) } }
}

fn of_clock(manner: &Manner, at: UnixMs) -> String {
    let (there, today) = (local(manner, at), local(manner, manner.now.into()));
    let format = match (there.date() == today.date(), there.year() == today.year()) {
        (true, _) => "%H:%M:%S",
        (_, true) => "%m-%d %H:%M",
        _ => "%Y-%m-%d %H:%M",
    };
    there.strftime(format).to_string()
}

/// A day and a time of day, as one speaks of them: `Mon 30 Nov 10:00`, `11 月 30 日周一 10:00`.
pub(in super::super) fn day(language: Language, zone: &TimeZone, at: UnixMs) -> String {
    let there = at.timestamp().to_zoned_datetime(zone.clone());
    if language == Language::Zh {
        let weekday = ["一", "二", "三", "四", "五", "六", "日"][usize::try_from(there.weekday().to_monday_zero_offset()).unwrap_or(0)];
        return format!("{}周{weekday} {}", there.strftime("%-m 月 %-d 日"), there.strftime("%H:%M"));
    }
    there.strftime("%a %-d %b %H:%M").to_string()
}

/// The same by the clock of a zone, which is named where the page has another: `Mon 30 Nov 10:00 UTC+8`.
pub(in super::super) fn day_there(manner: &Manner, zone: &TimeZone, at: UnixMs) -> String {
    let (day, there) = (day(manner.language, zone, at), offset(zone, at));
    if there == offset(&manner.zone, at) { day } else { format!("{day} {there}") }
}

/// The next time at which it is so late (`09:00`), at least half an hour from now; `None` for what is no time of day.
pub(in super::super) fn next_at(zone: &TimeZone, now: Timestamp, text: &str) -> Option<UnixMs> {
    const SOONEST_MS: i64 = 30 * 60_000;
    let clock: jiff::civil::Time = text.parse().ok()?;
    let today = zone.to_datetime(now).date();
    let on = |day: i64| zone.to_ambiguous_timestamp(today.checked_add(jiff::Span::new().days(day)).ok()?.to_datetime(clock)).compatible().ok();
    (0..3).filter_map(on).map(UnixMs::from).find(|at| *at - UnixMs::from(now) >= SOONEST_MS)
}

/// How long it is until: `2:41`, counted down by the script.
pub(in super::super) fn due(manner: &Manner, at: UnixMs) -> Markup {
    let left = (at - UnixMs::from(manner.now)).max(0) / 1000;
    let (hours, minutes, seconds) = (left / 3600, left / 60 % 60, left % 60);
    let text = match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    };
    html! { time.cd datetime=(exact(manner, at)) data-due title=(whole(manner, at)) { (text) } }
}

/// The same with the word before it: `in 2:41`; what is more than a day away has its date, `at 12-01 13:29`, and what is late its word.
pub(in super::super) fn coming(manner: &Manner, at: UnixMs) -> Markup {
    let language = manner.language;
    match at - UnixMs::from(manner.now) {
        ..=0 => html! { (say(language, "due now", "已到时间")) },
        1..=DAY_MS => html! { (say(language, "in ", "还有 ")) (due(manner, at)) },
        _ => html! { (say(language, "at ", "于 ")) (clock(manner, at)) },
    }
}

/// A span of time in one unit: `12 min`.
pub(in super::super) fn span(language: Language, ms: i64) -> String {
    age(language, ms / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_next_one_and_not_at_once() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let next = |now: &str, text: &str| next_at(&zone, now.parse().unwrap(), text).map(|at| at.timestamp().to_string());
        assert_eq!(next("2026-11-29T02:00:00Z", "09:00").unwrap(), "2026-11-29T08:00:00Z");
        assert_eq!(next("2026-11-29T07:31:00Z", "09:00").unwrap(), "2026-11-30T08:00:00Z", "in half an hour is at once");
        assert_eq!(next("2026-10-24T20:00:00Z", "09:00").unwrap(), "2026-10-25T08:00:00Z", "the clock goes back in between");
        assert_eq!((next("2026-11-29T02:00:00Z", "25:00"), next("2026-11-29T02:00:00Z", "")), (None, None));
    }

    #[test]
    fn what_is_far_away_has_its_date_and_is_not_counted_down() {
        let manner = Manner {
            language: Language::En,
            theme: None,
            fragment: false,
            here: "/ui".into(),
            now: "2026-11-29T21:00:00Z".parse().unwrap(),
            zone: TimeZone::UTC,
        };
        let said = |at: &str| coming(&manner, UnixMs::from(at.parse::<Timestamp>().unwrap())).into_string();
        let at = |at: &str| UnixMs::from(at.parse::<Timestamp>().unwrap());
        let spans = |last: &str| from_to(&manner, at("2026-11-29T05:34:38.100Z"), at(last)).into_string();
        let alike = spans("2026-11-29T05:34:38.900Z");
        assert!(alike.matches("05:34:38</time>").count() == 1 && !alike.contains(" to "), "both are shown alike: {alike}");
        assert!(spans("2026-11-29T05:34:39Z").contains("05:34:38</time> to <time"), "{}", spans("2026-11-29T05:34:39Z"));
        let near = said("2026-11-29T23:30:05Z");
        assert!(near.starts_with("in <time class=\"cd\"") && near.ends_with(">2:30:05</time>"), "{near}");
        assert!(said("2026-11-29T21:00:00.500Z").ends_with(">0:00</time>"), "no `in now`");
        assert_eq!(said("2026-11-29T20:59:59Z"), "due now", "a step that waits for its channel is late");
        let far = said("2099-12-01T05:00:00Z");
        assert!(far.starts_with("at <time") && far.ends_with(">2099-12-01 05:00</time>") && !far.contains("data-due"), "{far}");
    }

    #[test]
    fn a_page_names_the_zone_of_winter_and_summer() {
        let now = "2026-11-29T21:00:00Z".parse().unwrap();
        let manner = |zone| Manner { language: Language::En, theme: None, fragment: false, here: "/ui".into(), now, zone };
        let berlin = manner(TimeZone::get("Europe/Berlin").unwrap());
        let summer = UnixMs::from("2026-07-15T01:12:00Z".parse::<Timestamp>().unwrap());
        assert_eq!((clock(&berlin, summer).into_string().ends_with(">07-15 03:12</time>"), zone(&berlin, now.into())), (true, "UTC+1".into()));
        assert_eq!((zone_name(&berlin), zone_name(&manner(TimeZone::UTC))), ("Europe/Berlin".into(), "UTC".into()));
        assert_eq!(zone_name(&manner(TimeZone::fixed(jiff::tz::offset(8)))), "UTC+8");
    }

    #[test]
    fn a_day_is_said_as_one_speaks_of_it() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let at = UnixMs::from("2026-11-30T02:00:00Z".parse::<Timestamp>().unwrap());
        assert_eq!((day(Language::En, &zone, at), day(Language::Zh, &zone, at)), ("Mon 30 Nov 10:00".into(), "11 月 30 日周一 10:00".into()));
    }
}
