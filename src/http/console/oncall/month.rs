//! Four weeks: a table of half-days on a desk, a list of what changes on a phone.

use jiff::civil::{Date, DateTime, Time, Weekday};
use maud::{Markup, html};

use super::AHEAD;
use crate::delivery::{Plan, Rota, Shift, ShiftKind};
use crate::http::console::parts::{icon, say, shown, time};
use crate::http::console::viewer::Viewer;
use crate::model::{Language, UnixMs};
use crate::store::Override;

/// Days of the table: whole weeks, from the Monday of this one.
const DAYS: i64 = 28;
/// Half-days of a day, each named by who is on call in its middle.
const PARTS: [i8; 2] = [6, 18];
/// Changes that are listed before they are folded away.
const MAX_CHANGES: usize = 12;

/// Neighbouring half-days of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cell {
    shift: Option<Shift>,
    wide: usize,
}

/// The first day of the table.
fn monday(today: Date) -> Date {
    let back = i64::from(today.weekday().since(Weekday::Monday));
    today.checked_sub(jiff::Span::new().days(back)).unwrap_or(today)
}

fn instant(zone: &jiff::tz::TimeZone, at: DateTime) -> UnixMs {
    zone.to_ambiguous_timestamp(at).compatible().map_or(UnixMs::MAX, UnixMs::from)
}

fn day(first: Date, n: i64) -> Date {
    first.checked_add(jiff::Span::new().days(n)).unwrap_or(first)
}

/// The cells of a rota from a day on, by the clock of a zone.
fn cells(rota: &Rota, overrides: &[Override], zone: &jiff::tz::TimeZone, first: Date) -> Vec<Cell> {
    let begin = |date: Date| instant(zone, date.to_datetime(Time::midnight()));
    let shifts = rota.between(begin(first), begin(day(first, DAYS)), overrides);
    let mut cells: Vec<Cell> = Vec::new();
    for (n, hour) in (0..DAYS).flat_map(|n| PARTS.map(|hour| (n, hour))) {
        let at = instant(zone, day(first, n).at(hour, 0, 0, 0));
        let shift = shifts.iter().find(|shift| shift.from <= at && at < shift.until).cloned();
        match cells.last_mut().filter(|last| last.shift == shift) {
            Some(last) => last.wide += 1,
            None => cells.push(Cell { shift, wide: 1 }),
        }
    }
    cells
}

/// The table.
pub(super) fn table(viewer: &Viewer, plan: &Plan, overrides: &[Override]) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let today = manner.zone.to_datetime(manner.now).date();
    let first = monday(today);
    let week = |n: i64| format!("{} – {}", short(language, day(first, n * 7)), short(language, day(first, n * 7 + 6)));
    html! {
        section.sec.wo { h2 { (say(language, "Four weeks", "未来四周")) span.dim.s.end { (icon("swap")) (say(language, " override · ", " 换班 · ")) (icon("alert")) (say(language, " nobody", " 无人")) } }
            div.card.calw tabindex="0" role="region" aria-label=(say(language, "Four weeks", "未来四周")) {
                table.cal {
                    caption.vh { (say(language, "Who is on call from ", "值班表：")) (short(language, first)) (say(language, " to ", " 至 ")) (short(language, day(first, DAYS - 1))) }
                    thead {
                        tr { td.rh {} @for n in 0..DAYS / 7 { th colspan="14" scope="colgroup" { (week(n)) } } }
                        tr { td.rh {} @for n in 0..DAYS { @let date = day(first, n); th.today[date == today] colspan="2" scope="col" { (date.day()) } } }
                    }
                    tbody { @for rota in plan.people.rotas.values() { tr { th scope="row" { (shown(&rota.name)) } @for (n, cell) in cells(rota, overrides, &manner.zone, first).iter().enumerate() { (of(viewer, plan, rota, (cell, n))) } } } }
                }
            }
        }
    }
}

fn of(viewer: &Viewer, plan: &Plan, rota: &Rota, (cell, n): (&Cell, usize)) -> Markup {
    let language = viewer.manner.language;
    let now = UnixMs::from(viewer.manner.now);
    let Some(shift) = &cell.shift else {
        return html! { td.hole colspan=(cell.wide) { (icon("alert")) " " (say(language, "nobody", "无人")) } };
    };
    let person = plan.people.people.shown(&shift.person);
    let is_override = matches!(shift.kind, ShiftKind::Override(_));
    let mut class = vec![];
    class.extend((cell.wide <= 2).then_some("s1"));
    class.extend((shift.until <= now).then_some("past"));
    class.push(match (shift.from <= now && now < shift.until, is_override) {
        (_, true) => "ovr",
        (true, false) => "cur",
        (false, false) if n % 2 == 1 => "alt",
        _ => "",
    });
    let from_to = format!("{person}: {} – {}", time::day(language, &rota.zone, shift.from), time::day(language, &rota.zone, shift.until));
    html! {
        td class=(class.join(" ")) colspan=(cell.wide) title=(crate::http::console::parts::plain(&from_to)) {
            @if is_override { (icon("swap")) span.vh { (say(language, "override: ", "换班：")) } " " } (shown(person))
        }
    }
}

fn short(language: Language, date: Date) -> String {
    date.strftime(say(language, "%-d %b", "%-m 月 %-d 日")).to_string()
}

/// What changes, the nearest first.
pub(super) fn changes(viewer: &Viewer, plan: &Plan, overrides: &[Override]) -> Markup {
    let language = viewer.manner.language;
    let now = UnixMs::from(viewer.manner.now);
    let of_rota = |rota: &'_ Rota| rota.between(now, now + AHEAD, overrides).into_iter().filter(|shift| shift.from > now).collect::<Vec<_>>();
    let mut all: Vec<(&Rota, Shift)> =
        plan.people.rotas.values().flat_map(|rota| of_rota(rota).into_iter().map(move |shift| (rota, shift))).collect();
    all.sort_by_key(|(_, shift)| shift.from);
    let line = |(rota, shift): &(&Rota, Shift)| {
        html! {
            li {
                b { (shown(&rota.name)) }
                @if matches!(shift.kind, ShiftKind::Override(_)) { (icon("swap")) span.vh { (say(language, "override: ", "换班：")) } }
                span { (shown(plan.people.people.shown(&shift.person))) }
                span.dim.s.end { (time::day(language, &rota.zone, shift.from)) }
            }
        }
    };
    let (near, far) = all.split_at(all.len().min(MAX_CHANGES));
    html! {
        section.sec { h2 { (say(language, "Changes ahead", "即将交接")) }
            ul.card.rows {
                @if all.is_empty() { li { span.dim { (say(language, "None in four weeks.", "四周内没有。")) } } }
                @for one in near { (line(one)) }
            }
            @if !far.is_empty() { details.mt { summary { (far.len()) (say(language, " more in four weeks", " 项（四周内）")) } ul.card.rows.mt { @for one in far { (line(one)) } } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};
    use jiff::tz::TimeZone;

    use super::*;
    use crate::delivery::rota::Rotation;

    #[test]
    fn a_table_has_four_weeks_in_half_days_whatever_the_clock_does() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let rota = Rota {
            name: "db".into(),
            zone: zone.clone(),
            rotation: Rotation::Weekly,
            first: date(2026, 10, 14),
            handoff: time(10, 0, 0, 0),
            people: vec!["ann".into(), "bob".into()],
            tell: None,
        };
        let first = monday(date(2026, 10, 18));
        assert_eq!((first, monday(first)), (date(2026, 10, 12), first));
        let at = |day: i8, hour: i8| instant(&zone, date(2026, 10, day).at(hour, 0, 0, 0));
        let one =
            Override { id: 7, rota: "db".into(), person: "cid".into(), from: at(24, 0), until: at(26, 0), reason: String::new(), by: String::new() };
        let cells = cells(&rota, &[one], &zone, first);
        let seen: Vec<(&str, usize)> = cells.iter().map(|cell| (cell.shift.as_ref().map_or("nobody", |shift| &*shift.person), cell.wide)).collect();
        // Nobody until Wednesday 10:00, whose first half has its middle before that; the clock goes back on Sunday, 25 October.
        assert_eq!(seen, [("nobody", 5), ("ann", 14), ("bob", 5), ("cid", 4), ("bob", 5), ("ann", 14), ("bob", 9)]);
        assert_eq!(seen.iter().map(|(_, wide)| wide).sum::<usize>(), 56);
    }
}
