//! Who is on call when. Pure.

use super::Rota;
use crate::delivery::people::PersonName;
use crate::model::UnixMs;
use crate::store::Override;

/// Why somebody is on call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShiftKind {
    /// It is the person's turn.
    Turn,
    /// By the override with this number.
    Override(i64),
}

/// A time in which one person is on call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// Who.
    pub person: PersonName,
    /// From when.
    pub from: UnixMs,
    /// Until when.
    pub until: UnixMs,
    /// Why.
    pub kind: ShiftKind,
}

impl Rota {
    /// The shifts of which something lies between two times, by their beginnings, each as long as it really is. They touch, from the rota's first handoff on.
    pub fn between(&self, from: UnixMs, until: UnixMs, overrides: &[Override]) -> Vec<Shift> {
        let mut shifts = Vec::new();
        let mut n = self.number(from).max(0);
        let mut begin = self.handoff(n);
        while begin < until {
            let end = self.handoff(n + 1);
            // A day that its zone left out has no shift.
            if let Some(person) = self.turn(n).filter(|_| end > begin && end > from) {
                shifts.push(Shift { person: person.clone(), from: begin, until: end, kind: ShiftKind::Turn });
            }
            (n, begin) = (n + 1, end);
        }
        let mut overrides: Vec<&Override> = overrides.iter().filter(|one| *one.rota == *self.name).collect();
        overrides.sort_by_key(|one| one.id);
        for one in overrides {
            shifts = shifts.into_iter().flat_map(|shift| around(shift, one)).collect();
            shifts.push(Shift { person: one.person.as_str().into(), from: one.from, until: one.until, kind: ShiftKind::Override(one.id) });
        }
        shifts.retain(|shift| shift.from < until && shift.until > from);
        shifts.sort_by_key(|shift| shift.from);
        shifts
    }

    /// The shift at a time; `None` when nobody is on call.
    pub fn at(&self, at: UnixMs, overrides: &[Override]) -> Option<Shift> {
        self.between(at, at + 1, overrides).into_iter().find(|shift| shift.from <= at && at < shift.until)
    }

    /// Who comes after the person on call: the next in the order of turns who is somebody else; `None` when there is nobody else.
    pub fn next(&self, at: UnixMs, overrides: &[Override]) -> Option<&PersonName> {
        let now = self.at(at, overrides).map(|shift| shift.person);
        let first = self.number(at).max(-1) + 1;
        (first..first + self.people.len() as i64).filter_map(|n| self.turn(n)).find(|person| Some(*person) != now.as_ref())
    }

    /// The shift by the order of turns, whatever overrides there are.
    pub fn turn_at(&self, at: UnixMs) -> Option<Shift> {
        self.at(at, &[])
    }
}

/// What is left of a shift beside an override.
fn around(shift: Shift, one: &Override) -> impl Iterator<Item = Shift> {
    let before = Shift { until: shift.until.min(one.from), ..shift.clone() };
    let after = Shift { from: shift.from.max(one.until), ..shift };
    [before, after].into_iter().filter(|part| part.from < part.until)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use jiff::civil::{date, time};
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::delivery::rota::Rotation;

    fn rota(rotation: Rotation, zone: &str, first: jiff::civil::Date, (hour, minute): (i8, i8), people: &[&str]) -> Rota {
        let zone = TimeZone::get(zone).unwrap();
        let people = people.iter().map(|name| PersonName::from(*name)).collect();
        Rota { name: "db".into(), zone, rotation, first, handoff: time(hour, minute, 0, 0), people, tell: None }
    }

    fn at(text: &str) -> UnixMs {
        text.parse::<Timestamp>().unwrap().into()
    }

    fn over(id: i64, person: &str, from: UnixMs, until: UnixMs) -> Override {
        Override { id, rota: "db".into(), person: person.into(), from, until, reason: String::new(), by: String::new() }
    }

    #[test]
    fn a_handoff_is_a_local_date_first_and_an_instant_last() {
        use Rotation::{Daily, Weekly};
        for (rotation, zone, first, handoff, instants) in [
            (Weekly, "Europe/Berlin", date(2026, 10, 19), (9, 0), ["2026-10-19T07:00Z", "2026-10-26T08:00Z", "2026-11-02T08:00Z"]),
            (Weekly, "Europe/Berlin", date(2027, 3, 22), (9, 0), ["2027-03-22T08:00Z", "2027-03-29T07:00Z", "2027-04-05T07:00Z"]),
            (Weekly, "America/New_York", date(2026, 10, 26), (9, 0), ["2026-10-26T13:00Z", "2026-11-02T14:00Z", "2026-11-09T14:00Z"]),
            (Daily, "Europe/Berlin", date(2027, 3, 27), (2, 30), ["2027-03-27T01:30Z", "2027-03-28T01:30Z", "2027-03-29T00:30Z"]),
            (Daily, "Europe/Berlin", date(2026, 10, 24), (2, 30), ["2026-10-24T00:30Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z"]),
            (Daily, "Australia/Lord_Howe", date(2027, 4, 3), (9, 0), ["2027-04-02T22:00Z", "2027-04-03T22:30Z", "2027-04-04T22:30Z"]),
            (Daily, "America/Santiago", date(2026, 9, 5), (0, 0), ["2026-09-05T04:00Z", "2026-09-06T04:00Z", "2026-09-07T03:00Z"]),
            (Weekly, "Asia/Shanghai", date(2026, 10, 26), (9, 0), ["2026-10-26T01:00Z", "2026-11-02T01:00Z", "2026-11-09T01:00Z"]),
        ] {
            // The rota is older than its vectors, so that they are not its first handoffs.
            let older = first.checked_sub(jiff::Span::new().days(20 * rotation.days())).unwrap();
            for first in [first, older] {
                let rota = rota(rotation, zone, first, handoff, &["ann", "bob", "cid"]);
                let instants = instants.map(at);
                let shifts = rota.between(instants[0], instants[2] + 1, &[]);
                let begins: Vec<UnixMs> = shifts.iter().map(|shift| shift.from).collect();
                assert_eq!(begins, instants, "{rota:?}");
                assert!(shifts.windows(2).all(|pair| pair[0].until == pair[1].from && pair[0].person != pair[1].person), "{shifts:?}");
                for (n, instant) in instants.iter().enumerate() {
                    let (before, then) = (rota.at(*instant - 1, &[]), rota.at(*instant, &[]).unwrap());
                    assert_eq!(then, shifts[n]);
                    assert_ne!(before, Some(then), "the millisecond before is another's");
                }
            }
        }
    }

    #[test]
    fn nobody_is_on_call_before_the_first_handoff() {
        let rota = rota(Rotation::Weekly, "Asia/Shanghai", date(2026, 11, 2), (10, 0), &["ann", "bob"]);
        let first = at("2026-11-02T02:00Z");
        assert_eq!((rota.at(first - 1, &[]), rota.at(first, &[]).unwrap().person.as_ref()), (None, "ann"));
        assert_eq!(rota.between(UnixMs::EPOCH, first, &[]), []);
        let early = over(1, "bob", first - 5000, first - 1000);
        assert_eq!(rota.at(first - 2000, std::slice::from_ref(&early)).unwrap().person.as_ref(), "bob");
        let next = |at: UnixMs, overrides: &[Override]| rota.next(at, overrides).map(ToString::to_string);
        assert_eq!(next(first - 1, &[]).as_deref(), Some("ann"));
        assert_eq!(next(first, &[]).as_deref(), Some("bob"));
        let week = 7 * 24 * 3_600_000;
        assert_eq!(next(first + week, &[]).as_deref(), Some("ann"));
        assert_eq!(next(first, &[over(1, "bob", first, first + week)]).as_deref(), Some("ann"), "who is on call by an override is not next");
    }

    #[test]
    fn of_one_person_nobody_is_next() {
        let rota = rota(Rotation::Daily, "UTC", date(2026, 11, 2), (10, 0), &["ann"]);
        assert_eq!(rota.next(at("2026-11-05T02:00Z"), &[]), None);
    }

    #[test]
    fn a_day_that_its_zone_left_out_has_no_shift() {
        // Samoa had no 30 December 2011.
        let rota = rota(Rotation::Daily, "Pacific/Apia", date(2011, 12, 28), (9, 0), &["ann", "bob", "cid", "dan"]);
        let shifts = rota.between(at("2011-12-28T20:00Z"), at("2012-01-01T00:00Z"), &[]);
        assert!(shifts.windows(2).all(|pair| pair[0].until == pair[1].from) && shifts.iter().all(|shift| shift.from < shift.until), "{shifts:?}");
        assert!(!shifts.iter().any(|shift| &*shift.person == "cid"), "{shifts:?}");
    }

    #[test]
    fn the_last_shift_that_a_calendar_has_is_followed_by_none() {
        let rota = rota(Rotation::Weekly, "UTC", date(2026, 11, 2), (10, 0), &["ann", "bob"]);
        let last = rota.at(at("9999-12-30T21:00Z"), &[]).unwrap();
        assert_eq!((last.from, last.until), (at("9999-12-27T10:00Z"), UnixMs::MAX));
        assert_eq!(rota.between(last.until, last.until + Duration::from_secs(86_400), &[]), []);
    }

    const HOUR: i64 = 3_600_000;

    proptest! {
        #[test]
        fn shifts_touch_and_an_override_covers_exactly_its_own_time(
            zone in proptest::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Shanghai", "Asia/Kolkata", "UTC"]),
            weekly: bool, hour in 0i8..24, minute in 0i8..60, start in 0i64..4000, people in 1usize..5,
            overrides in proptest::collection::vec((-50i64..1200, 1i64..300), 0..5), look in 0i64..1000,
        ) {
            let rotation = if weekly { Rotation::Weekly } else { Rotation::Daily };
            let names = ["ann", "bob", "cid", "dan"];
            let rota = rota(rotation, zone, date(2019, 1, 1).checked_add(jiff::Span::new().days(start)).unwrap(), (hour, minute), &names[..people]);
            let first = rota.handoff(0);
            let overrides: Vec<Override> = overrides.iter().enumerate()
                .map(|(id, (from, hours))| over(id as i64, "eve", first + from * HOUR, first + (from + hours) * HOUR)).collect();
            let (from, until) = (first, first + Duration::from_secs(90 * 86_400));
            let shifts = rota.between(from, until, &overrides);
            prop_assert!(shifts.windows(2).all(|pair| pair[0].until == pair[1].from), "{:?}", shifts);
            prop_assert!(shifts.first().is_some_and(|shift| shift.from <= from) && shifts.last().is_some_and(|shift| shift.until >= until));
            let then = first + look * HOUR + 1;
            let by = overrides.iter().rev().find(|one| one.from <= then && then < one.until).map(|one| one.id);
            let shift = rota.at(then, &overrides).unwrap();
            prop_assert_eq!(shift.kind, by.map_or(ShiftKind::Turn, ShiftKind::Override));
            prop_assert_eq!(by.is_some(), &*shift.person == "eve");
            prop_assert!(shifts.contains(&shift) || !(from..until).contains(&then), "{:?} is not among {:?}", shift, shifts);
        }
    }
}
