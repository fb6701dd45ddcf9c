//! What the configuration says of the steps of a run, which may have begun under another one.

use super::EscalationStep;

/// A step as the configuration has it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedStep {
    /// How long after the first message it comes, in milliseconds.
    pub after: i64,
    /// Whether it would reach somebody now, as far as its conditions, quiet hours and disabled channels go.
    pub reaches: bool,
}

impl EscalationStep {
    /// Its place among the steps that the configuration has now, by their times: it may have got others before it since, or come at another time. `None`
    /// when there is no such step any more.
    pub fn place_among(&self, times: &[i64]) -> Option<usize> {
        let own = (self.number as usize).checked_sub(1).filter(|place| *place < times.len());
        own.filter(|place| times[*place] == self.after).or_else(|| times.iter().position(|time| *time == self.after)).or(own)
    }

    /// Whether it would reach somebody now. Of one that the configuration does not have any more nothing says that it would not.
    pub(super) fn reaches(&self, planned: &[PlannedStep]) -> bool {
        let times: Vec<i64> = planned.iter().map(|one| one.after).collect();
        self.place_among(&times).is_none_or(|place| planned[place].reaches)
    }
}
