//! Escalations as the configuration has them: steps, each some time after the first message.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{Mentions, Recipient, Severity, UnixMs, format_duration};
use crate::route::TimeInterval;

use super::people::{People, PersonName};
use super::rota::{Rota, RotaName};

/// The people of the configuration, and what happens when nobody acks an incident.
#[derive(Debug, Clone, Default)]
pub struct PeoplePlan {
    /// The people.
    pub people: People,
    /// The teams.
    pub teams: IndexMap<Arc<str>, Team>,
    /// Who is on call when, by name.
    pub rotas: IndexMap<RotaName, Rota>,
    /// The escalations, by name.
    pub escalations: IndexMap<Arc<str>, EscalationPlan>,
}

/// People who own alerts together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Team {
    /// Its people.
    pub people: Vec<PersonName>,
    /// The rota whose person on call is mentioned in place of all.
    pub rota: Option<RotaName>,
    /// Channels of the alerts whose label names it.
    pub to: Vec<Arc<str>>,
}

/// What happens when nobody acks an incident.
#[derive(Debug, Clone, Default)]
pub struct EscalationPlan {
    /// Its steps, in the order of their times.
    pub steps: Vec<StepPlan>,
}

/// A step.
#[derive(Debug, Clone)]
pub struct StepPlan {
    /// How long after the first message.
    pub after: Duration,
    /// Where it is sent, one delivery each.
    pub targets: Vec<StepTarget>,
    /// Whom it is for.
    pub people: StepPeople,
    /// When it is sent.
    pub when: StepCondition,
}

/// What must hold when a step is due; else it is skipped.
#[derive(Debug, Clone, Default)]
pub struct StepCondition {
    /// Something fires that is at least so severe.
    pub severity: Option<Severity>,
    /// The time is in none of these.
    pub mute: Vec<Arc<TimeInterval>>,
    /// The time is in one of these, when there are any.
    pub active: Vec<Arc<TimeInterval>>,
}

impl StepCondition {
    /// Whether a step is sent now, of which the most severe alert has this rank; else why not.
    pub fn holds(&self, rank: i64, now: UnixMs) -> Result<(), String> {
        let names =
            |intervals: &[Arc<TimeInterval>]| intervals.iter().map(|interval| format!("`{}`", interval.name())).collect::<Vec<_>>().join(", ");
        let at = now.timestamp();
        if let Some(severity) = self.severity.filter(|severity| rank > severity.rank()) {
            return Err(format!("the step is for what is at least {}", severity.as_str()));
        }
        if let Some(mute) = self.mute.iter().find(|interval| interval.contains(at)) {
            return Err(format!("the step is not sent in the time interval `{}`", mute.name()));
        }
        if !self.active.is_empty() && !self.active.iter().any(|interval| interval.contains(at)) {
            return Err(format!("the step is only sent in the time interval {}", names(&self.active)));
        }
        Ok(())
    }

    fn in_words(&self) -> String {
        let names = |intervals: &[Arc<TimeInterval>]| intervals.iter().map(|interval| interval.name()).collect::<Vec<_>>().join(" or ");
        let severity = self.severity.map(|severity| format!(" if at least {}", severity.as_str()));
        let mute = (!self.mute.is_empty()).then(|| format!(" outside {}", names(&self.mute)));
        let active = (!self.active.is_empty()).then(|| format!(" in {}", names(&self.active)));
        [severity, active, mute].into_iter().flatten().collect()
    }
}

/// Whom a step is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepPeople {
    /// These; none: the channels' own recipients.
    Named(Vec<PersonName>),
    /// Who is on call.
    OnCall(RotaName),
    /// Who is on call next.
    Next(RotaName),
}

impl StepPeople {
    /// In words, none for the channels' own recipients: `ann, bob`, `who is on call in db`.
    fn in_words(&self) -> Option<String> {
        match self {
            StepPeople::Named(names) if names.is_empty() => None,
            StepPeople::Named(names) => Some(names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ")),
            StepPeople::OnCall(rota) => Some(format!("who is on call in {rota}")),
            StepPeople::Next(rota) => Some(format!("who is next in {rota}")),
        }
    }
}

/// What a step sends through one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTarget {
    /// The channel.
    pub channel: String,
    /// To these in place of the channel's recipients; empty: to its own.
    pub recipients: Vec<Recipient>,
    /// Whom it mentions; `None`: whom the channel says.
    pub mentions: Option<Mentions>,
}

impl EscalationPlan {
    /// In words: `after 5m oncall-sms to ann, after 10m oncall-call to ann, bob`.
    pub fn in_words(&self) -> String {
        let step = |step: &StepPlan| {
            let channels: Vec<&str> = step.targets.iter().map(|target| target.channel.as_str()).collect();
            let to = step.people.in_words().map_or_else(String::new, |people| format!(" to {people}"));
            format!("after {} {}{to}{}", format_duration(step.after), channels.join(" and "), step.when.in_words())
        };
        self.steps.iter().map(step).collect::<Vec<_>>().join(", ")
    }
}
