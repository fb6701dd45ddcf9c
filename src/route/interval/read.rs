//! Reads the file's texts into a [`TimeInterval`], and names every part that cannot be read, with its path.
//! Knows nothing of routes.

use jiff::tz::TimeZone;

use super::config::{Scalar, TimeIntervalConfig, TimeRangeConfig, TimeRuleConfig};
use super::rule::{Range, Rule};
use super::{IntervalProblem, TimeInterval};

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

const MONTHS: [&str; 12] = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];

const DAYS_HELP: &str = "days go from 1 to 31, or from -1 (the last) to -31, ranges like `1:7` or `-7:-1`";

/// What is wrong with one text, and what to do.
type Refusal = (String, String);

impl TimeIntervalConfig {
    /// Reads the interval.
    ///
    /// # Errors
    /// Every part that cannot be read, with its path below this item (`time_intervals[0].times[1].end_time`).
    pub fn compile(&self) -> Result<TimeInterval, Vec<IntervalProblem>> {
        let mut problems = Vec::new();
        if self.name.trim().is_empty() {
            problems.push(problem("name".into(), ("the interval has no name".into(), "give it one that routes can refer to".into())));
        }
        if self.time_intervals.is_empty() {
            problems
                .push(problem("time_intervals".into(), ("the interval has no rule, so it would never hold".into(), "add at least one rule".into())));
        }
        let rules = self.time_intervals.iter().enumerate().map(|(i, rule)| read_rule(rule, &format!("time_intervals[{i}]"), &mut problems)).collect();
        if problems.is_empty() { Ok(TimeInterval::new(self.name.clone(), rules)) } else { Err(problems) }
    }
}

fn problem(path: String, (reason, help): Refusal) -> IntervalProblem {
    IntervalProblem { path, reason, help }
}

fn read_rule(config: &TimeRuleConfig, path: &str, problems: &mut Vec<IntervalProblem>) -> Rule {
    let times = config.times.as_ref().map(|times| {
        empty_list(times, &format!("{path}.times"), problems);
        times.iter().enumerate().filter_map(|(i, time)| read_time_range(time, &format!("{path}.times[{i}]"), problems)).collect::<Vec<_>>()
    });
    let zone = config.location.as_deref().map_or(Ok(TimeZone::UTC), read_zone).unwrap_or_else(|refusal| {
        problems.push(problem(format!("{path}.location"), refusal));
        TimeZone::UTC
    });
    let mut ranges = |items: &Option<Vec<Scalar>>, key: &str, read: fn(&str) -> Result<Range, Refusal>| {
        items.as_ref().map(|items| {
            empty_list(items, &format!("{path}.{key}"), problems);
            items
                .iter()
                .enumerate()
                .filter_map(|(i, item)| read(&item.text()).map_err(|refusal| problems.push(problem(format!("{path}.{key}[{i}]"), refusal))).ok())
                .collect::<Vec<_>>()
        })
    };
    Rule::new(
        times,
        ranges(&config.weekdays, "weekdays", read_weekdays),
        ranges(&config.days_of_month, "days_of_month", read_days),
        ranges(&config.months, "months", read_months),
        ranges(&config.years, "years", read_years),
        zone,
    )
}

fn empty_list<T>(items: &[T], path: &str, problems: &mut Vec<IntervalProblem>) {
    if items.is_empty() {
        problems.push(problem(path.to_owned(), ("an empty list never holds".into(), "leave the key out if it does not matter".into())));
    }
}

fn read_time_range(config: &TimeRangeConfig, path: &str, problems: &mut Vec<IntervalProblem>) -> Option<(u16, u16)> {
    let mut read = |key: &str, text: &str| read_time(text).map_err(|refusal| problems.push(problem(format!("{path}.{key}"), refusal))).ok();
    let (start, end) = (read("start_time", &config.start_time), read("end_time", &config.end_time));
    let (start, end) = (start?, end?);
    if start >= end {
        problems.push(problem(
            format!("{path}.end_time"),
            (
                format!("the range ends at {} and starts at {}", config.end_time, config.start_time),
                "the end must be later; for a night, write two ranges, one up to `24:00` and one from `00:00`".into(),
            ),
        ));
        return None;
    }
    Some((start, end))
}

/// Minutes since midnight.
fn read_time(text: &str) -> Result<u16, Refusal> {
    let refusal = |reason: String| (reason, "write it like `09:30`, in 24 hours with two digits each; `24:00` ends a day".to_owned());
    if text.is_empty() {
        return Err(refusal("the time is missing".into()));
    }
    let [h1, h2, b':', m1, m2] = text.as_bytes() else { return Err(refusal(format!("`{}` is not a time", short(text)))) };
    if ![h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()) {
        return Err(refusal(format!("`{}` is not a time", short(text))));
    }
    let number = |tens: &u8, ones: &u8| u16::from(tens - b'0') * 10 + u16::from(ones - b'0');
    let (hour, minute) = (number(h1, h2), number(m1, m2));
    if minute > 59 || hour > 24 || (hour == 24 && minute > 0) {
        return Err(refusal(format!("there is no {text} in a day")));
    }
    Ok(hour * 60 + minute)
}

fn read_zone(name: &str) -> Result<TimeZone, Refusal> {
    let help = "write an IANA name such as `Asia/Shanghai` or `Europe/Berlin`, or leave `location` out for UTC";
    match name {
        "" | "UTC" => return Ok(TimeZone::UTC),
        "Local" => {
            let here = TimeZone::system().iana_name().map(|zone| format!("; this machine's is `{zone}`")).unwrap_or_default();
            return Err((
                "`Local` depends on the machine that this runs on, so the same file would mean different times".into(),
                format!("{help}{here}"),
            ));
        }
        _ => {}
    }
    match TimeZone::get(name) {
        Ok(zone) => match zone.iana_name() {
            Some(proper) if proper != name => Err((format!("time zone names are case-sensitive: `{}` is `{proper}`", short(name)), help.into())),
            _ => Ok(zone),
        },
        Err(_) => Err((format!("there is no time zone `{}`", short(name)), help.into())),
    }
}

/// Splits `a:b` or `a` and reads both ends, lower-cased.
fn read_ends(text: &str, what: &str, read: impl Fn(&str) -> Option<i64>) -> Result<(i64, i64), Refusal> {
    let lower = text.to_lowercase();
    let mut parts = lower.split(':');
    let (first, second) = (parts.next().unwrap_or(""), parts.next());
    let help = format!("write one {what}, or two with a colon between them");
    if parts.next().is_some() {
        return Err((format!("`{}` has more than one colon", short(text)), help));
    }
    let end = |part: &str| read(part).ok_or_else(|| (format!("`{}` is not a {what}", short(part)), help.clone()));
    let begin = end(first)?;
    Ok((begin, second.map_or(Ok(begin), end)?))
}

fn named(names: &'static [&'static str], first: i64) -> impl Fn(&str) -> Option<i64> {
    move |text| names.iter().position(|name| *name == text).map(|i| i as i64 + first)
}

fn range(begin: i64, end: i64) -> Range {
    // Callers have checked that both fit.
    Range { begin: begin as i16, end: end as i16 }
}

fn read_weekdays(text: &str) -> Result<Range, Refusal> {
    let (begin, end) = read_ends(text, "weekday (`monday`)", named(&WEEKDAYS, 0))?;
    if begin > end {
        return Err((format!("`{}` runs backwards, because weeks start on Sunday", short(text)), around(&WEEKDAYS, begin as usize, end as usize)));
    }
    Ok(range(begin, end))
}

/// The two ranges that make one which goes around the end.
fn around(names: &[&str], begin: usize, end: usize) -> String {
    let range = |from: usize, to: usize| if from == to { names[from].to_owned() } else { format!("{}:{}", names[from], names[to]) };
    format!("write two ranges, `{}` and `{}`", range(begin, names.len() - 1), range(0, end))
}

fn read_days(text: &str) -> Result<Range, Refusal> {
    let (begin, end) = read_ends(text, "day of the month", |part| part.parse().ok())?;
    for day in [begin, end] {
        if day == 0 || !(-31..=31).contains(&day) {
            return Err((format!("{day} is not a day of a month"), DAYS_HELP.into()));
        }
    }
    if begin < 0 && end > 0 {
        return Err(("a range that starts from the end of the month must end there too".into(), DAYS_HELP.into()));
    }
    // Alertmanager compares both ends in a month of 28 days, where -1 counts as 27; the same ranges are refused here.
    let in_february = |day: i64| if day < 0 { 28 + day } else { day };
    if in_february(begin) > in_february(end) {
        return Err((format!("day {end} comes before day {begin} in the shortest month"), DAYS_HELP.into()));
    }
    Ok(range(begin, end))
}

fn read_months(text: &str) -> Result<Range, Refusal> {
    let by_name = named(&MONTHS, 1);
    let (begin, end) = read_ends(text, "month (`may` or `5`)", |part| by_name(part).or_else(|| part.parse().ok().filter(|n| (1..=12).contains(n))))?;
    if begin > end {
        return Err((format!("`{}` runs backwards", short(text)), around(&MONTHS, begin as usize - 1, end as usize - 1)));
    }
    Ok(range(begin, end))
}

fn read_years(text: &str) -> Result<Range, Refusal> {
    let (begin, end) = read_ends(text, "year", |part| part.parse().ok().filter(|n| (0..=9999).contains(n)))?;
    if begin > end {
        return Err((format!("`{}` runs backwards", short(text)), "put the earlier year first".into()));
    }
    Ok(range(begin, end))
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
