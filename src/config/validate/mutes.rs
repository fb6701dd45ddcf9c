//! `mutes:`, which hold alerts back by their labels.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Validator;
use super::matchers::{interval, list};
use crate::config::codes;
use crate::config::file::{MuteBlock, OnMute};
use crate::config::source::Anchor;
use crate::delivery::Clock;
use crate::model::yaml::Path;
use crate::model::{CHANNEL_LABEL, Finding, UnixMs};
use crate::route::mute::matchers_text;
use crate::route::{Intervals, Matcher, Mute, MuteTime, Op, matcher};

/// Characters of a reason, an owner, a ticket.
const MAX_TEXT: usize = 500;
/// Bytes of all matchers of a mute.
const MAX_MATCHERS: usize = 2000;

/// Validates `mutes:` and returns those that can be used.
pub fn mutes(validator: &mut Validator<'_, '_>, intervals: &Intervals) -> Vec<Mute> {
    let file = validator.file;
    let now = Clock::system().wall();
    let mut all: Vec<Mute> = Vec::new();
    for (ix, block) in file.mutes.iter().enumerate() {
        let path = Path::of("mutes").item(ix);
        if validator.report.is_blamed(&path) {
            continue;
        }
        if let Some(name) = &block.name {
            validator.name(name, &path.key("name"), Anchor::Value, "mute");
        }
        let mut name = block.called();
        let is_taken = |name: &str| all.iter().any(|known| known.name.as_deref() == Some(name));
        if block.name.is_none() {
            let made = name.clone();
            for n in 2.. {
                if !is_taken(&name) {
                    break;
                }
                name = format!("{made}-{n}");
            }
        } else if is_taken(&name) {
            let message = format!("two mutes are called `{name}`");
            validator.report.error(codes::TAKEN_NAME, &path.key("name"), Anchor::Value, message, "give one of the two another `name`");
        }
        let matchers = matched(validator, block, &path);
        texts(validator, block, &path);
        let Some(time) = time(validator, block, intervals, now, &path) else { continue };
        if matchers.iter().all(|matcher| matcher.matches_value("")) {
            continue;
        }
        all.push(Mute {
            name: Some(name),
            text: matchers_text(&matchers),
            matchers,
            time,
            drop: block.on_mute == OnMute::Drop,
            reason: block.reason.trim().to_owned(),
            owner: block.owner.clone().unwrap_or_default(),
            ticket: block.ticket.clone().unwrap_or_default(),
        });
    }
    all
}

/// Its matchers; reports those that match everything, and channels that do not exist.
fn matched(validator: &mut Validator<'_, '_>, block: &MuteBlock, path: &Path) -> Vec<Matcher> {
    let path = path.key("matchers");
    list(validator, &block.matchers, &path);
    let matchers: Vec<Matcher> = block.matchers.list().iter().filter_map(|text| matcher::parse(text).ok()).flatten().collect();
    for matcher in matchers.iter().filter(|matcher| matcher.name() == CHANNEL_LABEL && matcher.op() == Op::Equal) {
        validator.channel(matcher.value(), &path, "a mute names");
    }
    if matchers.iter().all(|matcher| matcher.matches_value("")) && !validator.report.is_blamed_inside(&path) {
        let label = "at least one matcher must not match the empty value, as `team=\"db\"`";
        validator.report.error(codes::BAD_MUTE, &path, Anchor::Value, "this mute matches every alert: nothing would be sent", label);
    }
    if block.matchers.list().iter().map(String::len).sum::<usize>() > MAX_MATCHERS {
        let label = format!("write at most {MAX_MATCHERS} bytes; several mutes can share a reason and an owner");
        validator.report.error(codes::BAD_MUTE, &path, Anchor::Value, "the matchers of this mute are too long", label);
    }
    matchers
}

/// Its reason is there, and its texts are short enough to be shown.
fn texts(validator: &mut Validator<'_, '_>, block: &MuteBlock, path: &Path) {
    if block.reason.trim().is_empty() {
        validator.report.error(
            codes::BAD_MUTE,
            &path.key("reason"),
            Anchor::Value,
            "a mute without a reason",
            "write why, for who reads it at night",
        );
    }
    for (key, text) in [("reason", Some(&block.reason)), ("owner", block.owner.as_ref()), ("ticket", block.ticket.as_ref())] {
        if text.is_some_and(|text| text.chars().count() > MAX_TEXT) {
            let label = format!("write at most {MAX_TEXT} characters");
            validator.report.error(codes::BAD_MUTE, &path.key(key), Anchor::Value, format!("the `{key}` of this mute is too long"), label);
        }
    }
}

/// A time with an offset, or the local one of the file's `time_zone`; a date alone is none.
fn until(validator: &Validator<'_, '_>, text: &str) -> Option<Timestamp> {
    let local = || {
        // One that does not exist is reported where it is written.
        let zone = validator.file.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
        text.parse::<DateTime>().ok().filter(|_| text.contains(':')).and_then(|local| zone.to_timestamp(local).ok())
    };
    Timestamp::from_str(text).ok().or_else(local)
}

/// When it mutes; reports a mute that never does.
fn time(validator: &mut Validator<'_, '_>, block: &MuteBlock, intervals: &Intervals, now: UnixMs, path: &Path) -> Option<MuteTime> {
    for (ix, name) in block.mute_time_intervals.iter().enumerate() {
        interval(validator, name, &path.key("mute_time_intervals").item(ix));
    }
    let time = match (&block.until, block.mute_time_intervals.is_empty()) {
        (Some(text), true) => match until(validator, text) {
            Some(until) => MuteTime::Until(until.into()),
            None => {
                let label = "write it like `2026-12-01 06:00` or `2026-12-01T06:00:00+08:00`";
                validator.report.error(codes::NOT_ALLOWED, &path.key("until"), Anchor::Value, "this is not a time", label);
                return None;
            }
        },
        (None, false) => {
            let named: Vec<_> = block.mute_time_intervals.iter().filter_map(|name| intervals.get(name).cloned()).collect();
            if named.len() < block.mute_time_intervals.len() {
                return None;
            }
            MuteTime::During(named)
        }
        (None, true) => {
            let label = "write `until` with a time, or `mute_time_intervals` with names of `time_intervals:`";
            validator.report.error(codes::BAD_MUTE, path, Anchor::Value, "a mute without an end would be forgotten", label);
            return None;
        }
        (Some(_), false) => {
            let label = "a mute ends at a time, or comes again in time intervals: remove one of the two";
            validator.report.error(codes::BAD_MUTE, &path.key("until"), Anchor::Key, "a mute with `until` and `mute_time_intervals`", label);
            return None;
        }
    };
    if time.is_over(now) {
        let key = if time.is_recurring() { "mute_time_intervals" } else { "until" };
        let finding =
            Finding::warning(codes::ENDED_MUTE, format!("the mute `{}` has ended", block.called())).label("remove it, or write a later end");
        validator.report.add(finding, &path.key(key), Anchor::Value);
    }
    Some(time)
}
