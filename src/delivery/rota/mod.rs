//! Rotas: people who take turns in being on call.
//!
//! A handoff is a local date and a time of day in a named zone, and becomes an instant last: a week may have 167 or 169 hours. A time that does not exist
//! moves forward by the length of the gap; of a time that exists twice the first one counts.

mod calendar;
mod handoff;
mod shift;
mod turns;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use crate::model::UnixMs;

use super::people::PersonName;

pub use calendar::calendar;
pub use handoff::tick;
pub use shift::{Shift, ShiftKind};
pub use turns::{Named, Reached};

/// The name of a rota in the configuration.
pub type RotaName = Arc<str>;

/// How often people take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
}

impl Rotation {
    fn days(self) -> i64 {
        match self {
            Rotation::Daily => 1,
            Rotation::Weekly => 7,
        }
    }
}

/// People who take turns in being on call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rota {
    /// Its name.
    pub name: RotaName,
    /// The zone of its handoffs.
    pub zone: TimeZone,
    /// How often people take turns.
    pub rotation: Rotation,
    /// The local date of the first handoff: before it nobody is on call.
    pub first: Date,
    /// The local time of each handoff.
    pub handoff: Time,
    /// Who, in the order of their turns; at least one.
    pub people: Vec<PersonName>,
    /// The channel that is notified of handoffs.
    pub tell: Option<String>,
}

impl Rota {
    /// The `n`-th handoff, from 0.
    fn handoff(&self, n: i64) -> UnixMs {
        let days = jiff::Span::new().try_days(n.saturating_mul(self.rotation.days()));
        let date = days.and_then(|days| self.first.checked_add(days));
        let at = date.and_then(|date| self.zone.to_ambiguous_timestamp(date.to_datetime(self.handoff)).compatible());
        // Past the year 9999.
        at.map_or(UnixMs::MAX, UnixMs::from)
    }

    /// The number of the shift at a time; negative before the first one.
    fn number(&self, at: UnixMs) -> i64 {
        // The last shift of all ends never, and no calendar has a date for that.
        let at = at.min(Timestamp::MAX.into());
        let date = self.zone.to_datetime(at.timestamp()).date();
        let days = self.first.duration_until(date).as_hours() / 24;
        let mut n = days.div_euclid(self.rotation.days()) - 1;
        while self.handoff(n + 1) <= at {
            n += 1;
        }
        n
    }

    fn turn(&self, n: i64) -> Option<&PersonName> {
        let place = usize::try_from(n).ok()?.checked_rem(self.people.len())?;
        self.people.get(place)
    }
}
