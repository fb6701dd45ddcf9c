//! `rotas:`: who is on call when, and what names a rota.

use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use super::Validator;
use super::extras::zone_of;
use super::people::named;
use crate::config::codes;
use crate::config::file::{OneOrMany, RotaBlock, Rotation, RouteNode, StepPeople, TurnBlock};
use crate::config::source::Anchor;
use crate::config::suggest::{hint, listed};
use crate::delivery::{self, Clock, Rota, RotaName};
use crate::model::yaml::Path;
use crate::model::{Finding, Mentions, UnixMs};

/// How far ahead somebody must be on call.
const AHEAD: Duration = Duration::from_secs(90 * 86_400);

/// Validates `rotas:`, after `people:`.
pub fn rotas(validator: &mut Validator<'_, '_>, zone: &TimeZone) {
    let file = validator.file;
    let now = Clock::system().wall();
    for (name, block) in &file.rotas {
        let path = Path::of("rotas").key(name);
        validator.name(name, &path, Anchor::Key, "rota");
        if let Some(tell) = &block.tell {
            validator.channel(tell, &path.key("tell"), "a rota notifies");
        }
        let people = validator.people.people.clone();
        let single = matches!(block.people, OneOrMany::One(_));
        let at = path.key("people");
        let people: Vec<_> =
            named(validator, codes::BAD_ROTA, block.people.list(), single, &people, &at).into_iter().map(|one| one.name.clone()).collect();
        if block.people.list().is_empty() {
            validator.report.error(codes::BAD_ROTA, &at, Anchor::Value, "`people` names nobody", "name those who take turns");
        }
        let zone = block.zone.as_deref().map_or_else(|| zone.clone(), |zone| zone_of(validator, zone, &path.key("zone")));
        let (Some((first, handoff)), false) = (first(validator, block, &path), people.is_empty()) else { continue };
        let rotation = match block.rotation {
            Rotation::Daily => delivery::Rotation::Daily,
            Rotation::Weekly => delivery::Rotation::Weekly,
        };
        let name = RotaName::from(name.as_str());
        let rota = Rota { name: name.clone(), zone, rotation, first, handoff, people, tell: block.tell.clone() };
        doubts(validator, &rota, now, &path);
        validator.people.rotas.insert(name, rota);
    }
}

/// Reports a rota that nothing uses, and a time ahead in which nobody is on call.
fn doubts(validator: &mut Validator<'_, '_>, rota: &Rota, now: UnixMs, path: &Path) {
    if rota.tell.is_none() && !is_used(validator, &rota.name) {
        let finding = Finding::warning(codes::DOUBTFUL_ROTA, format!("nothing uses the rota `{}`", rota.name))
            .label(format!("write `people: {{ oncall: {} }}` in a step, or remove it", rota.name));
        validator.report.add(finding, path, Anchor::Key);
    }
    let shifts = rota.between(now, now + AHEAD, &[]);
    // Turns touch, from the first one on.
    if shifts.first().is_none_or(|shift| shift.from > now) {
        let until = shifts.first().map_or_else(|| "for the next 90 days".to_owned(), |shift| format!("until {}", shift.from));
        let finding = Finding::warning(codes::DOUBTFUL_ROTA, format!("nobody is on call in `{}` {until}", rota.name))
            .label("its first handoff is on or after this date; write an earlier one");
        validator.report.add(finding, &path.key("start"), Anchor::Value);
    }
}

fn is_used(validator: &Validator<'_, '_>, name: &str) -> bool {
    let is = |rota: &Option<String>| rota.as_deref() == Some(name);
    let turn = |turn: &TurnBlock| is(&turn.oncall) || is(&turn.next);
    let mentioned = |mentions: &Option<Mentions>| mentions.as_ref().is_some_and(|mentions| is(&mentions.oncall) || is(&mentions.next));
    let file = validator.file;
    let step = |people: &Option<StepPeople>| matches!(people, Some(StepPeople::Turn(one)) if turn(one));
    fn routes(route: &RouteNode) -> impl Iterator<Item = &RouteNode> {
        let mut open = vec![route];
        std::iter::from_fn(move || {
            let route = open.pop()?;
            open.extend(&route.routes);
            Some(route)
        })
    }
    file.escalations.values().flatten().any(|one| step(&one.people))
        || file.teams.values().any(|team| is(&team.rota))
        || file.channels.values().any(|channel| mentioned(&channel.mentions))
        || file.route.iter().flat_map(routes).any(|route| mentioned(&route.mentions))
}

/// The local date of the first handoff, and the time of each; `None` when they cannot be read.
fn first(validator: &mut Validator<'_, '_>, block: &RotaBlock, path: &Path) -> Option<(Date, Time)> {
    let start: Option<Date> = block.start.parse().ok();
    if start.is_none() {
        let message = format!("`{}` is not a date", block.start);
        validator.report.error(codes::BAD_ROTA, &path.key("start"), Anchor::Value, message, "write it like `2026-11-02`");
    }
    let words: Vec<&str> = block.handoff.split_whitespace().collect();
    let (day, time) = match (block.rotation, words.as_slice()) {
        (Rotation::Daily, [time]) => (Some(None), time_of_day(time)),
        (Rotation::Weekly, [day, time]) => (weekday(day).map(Some), time_of_day(time)),
        _ => (None, None),
    };
    let (Some(day), Some(time)) = (day, time) else {
        let label = match block.rotation {
            Rotation::Daily => "a daily rota hands over at a time of day: `10:00`",
            Rotation::Weekly => "a weekly rota hands over on a day at a time: `monday 10:00`",
        };
        let message = format!("`{}` is not when a rota hands over", block.handoff);
        validator.report.error(codes::BAD_ROTA, &path.key("handoff"), Anchor::Value, message, label);
        return None;
    };
    let start = start?;
    let days = day.map_or(0, |day| start.weekday().until(day));
    Some((start.checked_add(jiff::Span::new().days(days)).unwrap_or(start), time))
}

fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| text.parse::<i8>().ok().filter(|_| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()));
    Time::new(two(hour)?, two(minute)?, 0, 0).ok()
}

fn weekday(text: &str) -> Option<Weekday> {
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    let days = [
        ("monday", Monday),
        ("tuesday", Tuesday),
        ("wednesday", Wednesday),
        ("thursday", Thursday),
        ("friday", Friday),
        ("saturday", Saturday),
        ("sunday", Sunday),
    ];
    days.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, day)| day)
}

/// The rota of that name, where it can be used; reports one that does not exist.
pub(super) fn rota(validator: &mut Validator<'_, '_>, name: &str, path: &Path) -> Option<Rota> {
    let file = validator.file;
    if file.rotas.contains_key(name) || validator.report.is_blamed_inside(&Path::of("rotas")) {
        return validator.people.rotas.get(name).cloned();
    }
    let known = || file.rotas.keys().map(String::as_str);
    let finding = Finding::error(codes::UNKNOWN_ROTA, "there is no rota of this name")
        .label(format!("no rota `{name}`{}", hint(name, known())))
        .note(format!("rotas defined here: {}", listed(known())));
    validator.report.add(finding, path, Anchor::Value);
    None
}
