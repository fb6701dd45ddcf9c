//! Escalations as the configuration has them: steps, each some time after the first message.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{Labels, Language, Mentions, Recipient, Severity, UnixMs, format_duration};
use crate::route::{Destinations, TimeInterval};
use crate::store::Override;

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
    /// Which addresses their calendars have.
    pub calendars: Calendars,
}

/// Which address the calendar of somebody has, or of a rota, where it is not the first one: another number ends the one before.
#[derive(Debug, Clone, Default)]
pub struct Calendars {
    /// Of people, by their names.
    pub people: HashMap<String, u32>,
    /// Of rotas, by their names.
    pub rotas: HashMap<String, u32>,
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
    /// Which of `targets` it is sent to, where a label decides it.
    pub to: Destinations,
    /// Where it is sent, or may be, one delivery each.
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
    /// Whether it is for what is so severe, at any time.
    pub fn admits(&self, rank: i64) -> bool {
        self.severity.is_none_or(|severity| rank <= severity.rank())
    }

    /// Whether a step is sent now, of which the most severe alert has this rank; else why not.
    pub fn holds(&self, rank: i64, now: UnixMs) -> Result<(), String> {
        let names =
            |intervals: &[Arc<TimeInterval>]| intervals.iter().map(|interval| format!("`{}`", interval.name())).collect::<Vec<_>>().join(", ");
        let at = now.timestamp();
        if let Some(severity) = self.severity.filter(|_| !self.admits(rank)) {
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

    fn in_words(&self, language: Language) -> String {
        let zh = language == Language::Zh;
        let or = if zh { "、" } else { " or " };
        let names = |intervals: &[Arc<TimeInterval>]| intervals.iter().map(|interval| interval.name()).collect::<Vec<_>>().join(or);
        let said = |en: String, chinese: String| if zh { chinese } else { en };
        let severity = self.severity.map(Severity::as_str).map(|least| said(format!(" if at least {least}"), format!("，仅 {least} 及以上")));
        let (mute, active) = (names(&self.mute), names(&self.active));
        let mute = (!mute.is_empty()).then(|| said(format!(" outside {mute}"), format!("，时段 {mute} 除外")));
        let active = (!active.is_empty()).then(|| said(format!(" in {active}"), format!("，仅在时段 {active} 内")));
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
    /// Whom a label names of what fires; others for alerts of which it names nobody.
    Owner {
        /// The label.
        label: String,
        /// The others.
        default: Box<StepPeople>,
    },
}

impl EscalationPlan {
    /// The steps that come later than so many milliseconds after the first message: a step that waits has its time, and the numbers may be others by now.
    pub fn later_than(&self, after: i64) -> impl Iterator<Item = &StepPlan> {
        self.steps.iter().filter(move |step| step.after.as_millis() as i64 > after)
    }
}

impl StepPlan {
    /// Where it is sent for alerts with these labels.
    pub fn targets_of<'a, 'l>(&'a self, alerts: impl Iterator<Item = &'l Labels> + Clone) -> impl Iterator<Item = &'a StepTarget> {
        let leads =
            move |channel: &str| self.to.by_label.is_none() || alerts.clone().any(|labels| self.to.of(labels).iter().any(|to| **to == *channel));
        self.targets.iter().filter(move |target| leads(&target.channel))
    }
}

impl StepPeople {
    /// In words, none for the channels' own recipients: `ann, bob`, `who is on call in db`.
    fn in_words(&self, language: Language) -> Option<String> {
        let zh = language == Language::Zh;
        let said = |en: String, chinese: String| if zh { chinese } else { en };
        match self {
            StepPeople::Named(names) if names.is_empty() => None,
            StepPeople::Named(names) => Some(names.iter().map(|name| &**name).collect::<Vec<_>>().join(if zh { "、" } else { ", " })),
            StepPeople::OnCall(rota) => Some(said(format!("who is on call in {rota}"), format!("{rota} 的值班人"))),
            StepPeople::Next(rota) => Some(said(format!("who is next in {rota}"), format!("{rota} 的下一位"))),
            StepPeople::Owner { label, default } => {
                let default = default.in_words(language).unwrap_or_default();
                Some(said(format!("whom the label {label} names, or else {default}"), format!("标签 {label} 所写的人，否则 {default}")))
            }
        }
    }

    /// Whom it names; `None` for the channels' own recipients.
    pub fn asked(&self) -> Option<Mentions> {
        match self {
            StepPeople::Named(names) if names.is_empty() => None,
            StepPeople::Named(names) => Some(Mentions { people: names.iter().map(ToString::to_string).collect(), ..Mentions::default() }),
            StepPeople::OnCall(_) | StepPeople::Next(_) | StepPeople::Owner { .. } => self.later(),
        }
    }

    /// Whom a message names so that it finds them when it is sent; `None` for those who are known already.
    pub fn later(&self) -> Option<Mentions> {
        match self {
            StepPeople::Named(_) => None,
            StepPeople::OnCall(rota) => Some(Mentions { oncall: Some(rota.to_string()), ..Mentions::default() }),
            StepPeople::Next(rota) => Some(Mentions { next: Some(rota.to_string()), ..Mentions::default() }),
            StepPeople::Owner { label, default } => {
                let people = match &**default {
                    StepPeople::Named(names) => names.iter().map(ToString::to_string).collect(),
                    _ => Vec::new(),
                };
                let default = default.later().unwrap_or_default();
                Some(Mentions { label: Some(label.clone()), people, ..default })
            }
        }
    }

    /// Whether it is for who is on call in this rota.
    pub fn is_on_call(&self, name: &str) -> bool {
        match self {
            StepPeople::OnCall(rota) => **rota == *name,
            StepPeople::Owner { default, .. } => default.is_on_call(name),
            StepPeople::Named(_) | StepPeople::Next(_) => false,
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

impl PeoplePlan {
    /// The steps of an escalation in words: `after 5m oncall-sms to ann, after 10m oncall-call (disabled) to ann, bob`. With the labels of an alert, what they
    /// decide is decided. `sends`: whether a channel is not disabled.
    pub fn in_words(&self, escalation: &EscalationPlan, labels: Option<&Labels>, sends: &dyn Fn(&str) -> bool, language: Language) -> String {
        let zh = language == Language::Zh;
        let step = |step: &StepPlan| {
            let targets: Vec<&StepTarget> = match labels {
                Some(labels) => step.targets_of(std::iter::once(labels)).collect(),
                None => step
                    .targets
                    .iter()
                    .filter(|target| step.to.by_label.is_none() || step.to.default.iter().any(|to| **to == *target.channel))
                    .collect(),
            };
            let channel = |name: &str| match (sends(name), zh) {
                (true, _) => name.to_owned(),
                (false, true) => format!("{name}（已停用）"),
                (false, false) => format!("{name} (disabled)"),
            };
            let channels: Vec<String> = targets.into_iter().map(|target| channel(&target.channel)).collect();
            let by_label = step.to.by_label.as_ref().filter(|_| labels.is_none());
            let by_label = by_label.map_or_else(String::new, |by| match zh {
                true => format!("标签 {} 所写团队的通道，否则 ", by.label),
                false => format!("the channels of the team that the label {} names, or else ", by.label),
            });
            let owner = labels.and_then(|labels| self.owner_in_words(&step.people, labels, language));
            let people = owner.or_else(|| step.people.in_words(language));
            let (after, when) = (format_duration(step.after), step.when.in_words(language));
            if zh {
                let to = people.map_or_else(String::new, |people| format!("，通知 {people}"));
                format!("{after} 后发往 {by_label}{}{to}{when}", channels.join("、"))
            } else {
                let to = people.map_or_else(String::new, |people| format!(" to {people}"));
                format!("after {after} {by_label}{}{to}{when}", channels.join(" and "))
            }
        };
        escalation.steps.iter().map(step).collect::<Vec<_>>().join(if zh { "；" } else { ", " })
    }

    /// Whether a step, of which the most severe alert has this rank, would reach somebody now, as far as its conditions, quiet hours and rotas go. `asked` is
    /// whom it would name; `None` for the channels' own recipients.
    pub fn is_free(&self, step: &StepPlan, asked: Option<&Mentions>, overrides: &[Override], rank: i64, now: UnixMs) -> bool {
        let somebody = |asked: &Mentions| !self.named(asked, overrides, Some(rank), now).people.is_empty();
        step.when.holds(rank, now).is_ok() && asked.is_none_or(somebody)
    }

    /// Whom a step is for of an alert with these labels, where a label decides it.
    fn owner_in_words(&self, people: &StepPeople, labels: &Labels, language: Language) -> Option<String> {
        let StepPeople::Owner { label, default } = people else { return None };
        let owner = labels.get(label).and_then(|value| self.person_or_team(value));
        Some(match (owner, language) {
            (Some(owner), Language::En) => format!("{owner} (the label {label})"),
            (Some(owner), Language::Zh) => format!("{owner}（标签 {label}）"),
            (None, _) => default.in_words(language).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::people::Person;
    use crate::route::ByLabel;

    #[test]
    fn labels_decide_where_a_step_goes_and_the_words_say_so() {
        let target = |channel: &str| StepTarget { channel: channel.into(), recipients: Vec::new(), mentions: None };
        let by_label = ByLabel { label: "team".into(), channels: [("db".to_owned(), vec!["db-sms".into(), "all".into()])].into() };
        let step = StepPlan {
            after: Duration::from_secs(300),
            to: Destinations { default: vec!["sms".into(), "all".into()], by_label: Some(Arc::new(by_label)) },
            targets: ["sms", "all", "db-sms"].map(target).to_vec(),
            people: StepPeople::Owner { label: "owner".into(), default: Box::new(StepPeople::OnCall("night".into())) },
            when: StepCondition::default(),
        };
        let labels = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Labels>();
        let (db, none) = (labels(&[("team", "db"), ("owner", "ann")]), labels(&[("team", "web"), ("owner", "bob")]));
        let channels = |of: &[&Labels]| step.targets_of(of.iter().copied()).map(|target| target.channel.clone()).collect::<Vec<_>>().join(",");
        assert_eq!((channels(&[&db]), channels(&[&none]), channels(&[&db, &none])), ("all,db-sms".into(), "sms,all".into(), "sms,all,db-sms".into()));
        let person = Person { name: "ann".into(), full_name: None, language: None, email: None, mobile: None, ids: Default::default(), quiet: None };
        let plan = PeoplePlan { people: [person].into_iter().collect(), ..PeoplePlan::default() };
        let escalation = EscalationPlan { steps: vec![step] };
        for (labels, words, zh) in [
            (Some(&db), "after 5m all and db-sms to ann (the label owner)", "5m 后发往 all、db-sms，通知 ann（标签 owner）"),
            (Some(&none), "after 5m sms (disabled) and all to who is on call in night", "5m 后发往 sms（已停用）、all，通知 night 的值班人"),
            (
                None,
                "after 5m the channels of the team that the label team names, or else sms (disabled) and all to whom the label owner names, or else who is on call in night",
                "5m 后发往 标签 team 所写团队的通道，否则 sms（已停用）、all，通知 标签 owner 所写的人，否则 night 的值班人",
            ),
        ] {
            let said = |language| plan.in_words(&escalation, labels, &|channel| channel != "sms", language);
            assert_eq!((said(Language::En).as_str(), said(Language::Zh).as_str()), (words, zh));
        }
        let when = StepCondition { severity: Some(Severity::Critical), ..StepCondition::default() };
        assert_eq!([Language::En, Language::Zh].map(|language| when.in_words(language)), [" if at least critical", "，仅 critical 及以上"]);
        let later = escalation.steps[0].people.later().expect("it is found when the step is sent");
        assert_eq!((later.label.as_deref(), later.oncall.as_deref(), later.people.len()), (Some("owner"), Some("night"), 0));
        assert!(escalation.steps[0].people.is_on_call("night") && !escalation.steps[0].people.is_on_call("day"));
    }
}
