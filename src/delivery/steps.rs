//! Escalations as the configuration has them: steps, each some time after the first message.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{Mentions, Recipient, format_duration};

use super::people::{People, PersonName};

/// The people of the configuration, and what happens when nobody acks an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeoplePlan {
    /// The people.
    pub people: People,
    /// The escalations, by name.
    pub escalations: IndexMap<Arc<str>, EscalationPlan>,
}

/// What happens when nobody acks an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EscalationPlan {
    /// Its steps, in the order of their times.
    pub steps: Vec<StepPlan>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepPlan {
    /// How long after the first message.
    pub after: Duration,
    /// Where it is sent, one delivery each.
    pub targets: Vec<StepTarget>,
    /// Whom it is for; empty: the channels' own recipients.
    pub people: Vec<PersonName>,
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
            let people = step.people.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
            let to = if people.is_empty() { String::new() } else { format!(" to {people}") };
            format!("after {} {}{to}", format_duration(step.after), channels.join(" and "))
        };
        self.steps.iter().map(step).collect::<Vec<_>>().join(", ")
    }
}
