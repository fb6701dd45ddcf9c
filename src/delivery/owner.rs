//! Whom a label of an alert names as its owner. Pure.

use super::people::Person;
use super::plan::ChannelPlan;
use super::steps::{PeoplePlan, Team};
use crate::model::{Alert, Labels, Mentions};

/// Whom the label that `mentions` name says for an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// This person or team.
    Named(&'a str),
    /// The alert has no such label.
    Missing,
    /// Nobody and no team has this name.
    Unknown(&'a str),
    /// The channel reaches nobody of this name.
    Unreachable(&'a str),
}

impl PeoplePlan {
    /// Whom a label of an alert names as its owner, for a channel.
    pub fn owner<'a>(&'a self, label: &str, labels: &'a Labels, channel: &ChannelPlan) -> Owner<'a> {
        let Some(value) = labels.get(label).map(|value| value.trim()).filter(|value| !value.is_empty()) else { return Owner::Missing };
        let Some(name) = self.person_or_team(value) else { return Owner::Unknown(value) };
        let reached = |person: &Person| person.is_reached(channel.platform, channel.content.looks_up);
        let somebody = match (self.people.get(name), self.teams.get(name)) {
            (Some(person), _) => reached(person),
            (None, team) => team.is_some_and(|team| self.members(team).any(reached)),
        };
        if somebody { Owner::Named(name) } else { Owner::Unreachable(name) }
    }

    /// The person or team that the value of a label names: the one that is written like it, else one that differs in case only. Blanks around it do not count.
    pub fn person_or_team(&self, value: &str) -> Option<&str> {
        let value = value.trim();
        let same = self.people.get(value).map(|person| &*person.name).or_else(|| self.teams.get_key_value(value).map(|(name, _)| &**name));
        let mut names = self.people.names().chain(self.teams.keys().map(|name| &**name));
        same.or_else(|| names.find(|name| name.eq_ignore_ascii_case(value)))
    }

    /// The same mentions for alerts of several owners: all of them; and those that count where the label names nobody, when it does not for one of the alerts.
    pub fn of_owners<'a>(&'a self, mentions: &Mentions, alerts: impl IntoIterator<Item = &'a Alert>, channel: &ChannelPlan) -> Mentions {
        let Some(label) = &mentions.label else { return mentions.clone() };
        let owners: Vec<Option<&str>> = alerts
            .into_iter()
            .map(|alert| match self.owner(label, &alert.labels, channel) {
                Owner::Named(name) => Some(name),
                _ => None,
            })
            .collect();
        let all = owners.is_empty() || owners.contains(&None);
        let mut named =
            if all { mentions.of_owner(None) } else { Mentions { people: Vec::new(), oncall: None, next: None, label: None, ..mentions.clone() } };
        for owner in owners.into_iter().flatten() {
            if !named.people.iter().any(|name| name == owner) {
                named.people.push(owner.to_owned());
            }
        }
        named
    }

    /// Everybody whom a mention of a team may mean.
    pub fn members<'a>(&'a self, team: &'a Team) -> impl Iterator<Item = &'a Person> {
        let rota = team.rota.as_ref().and_then(|name| self.rotas.get(name));
        let names = team.people.iter().chain(rota.into_iter().flat_map(|rota| &rota.people));
        names.filter_map(|name| self.people.get(name))
    }

    /// What `mentions` say for the alerts of an owner, as a person reads it: `ann (the label owner)`, `who is on call in db: there is no label owner`.
    pub fn mentioned_in_words(&self, mentions: &Mentions, owner: Option<Owner<'_>>) -> String {
        let label = mentions.label.as_deref().unwrap_or_default();
        let named = match owner {
            Some(Owner::Named(name)) => mentions.of_owner(Some(name)),
            _ => mentions.of_owner(None),
        };
        let turn = |rota: &Option<String>, what: &str| rota.as_ref().map(|rota| format!("who is {what} in {rota}"));
        let people = named.people.iter().cloned().chain(turn(&named.oncall, "on call")).chain(turn(&named.next, "next"));
        let ids = named.users.iter().chain(&named.mobiles).chain(&named.groups).cloned();
        let all: Vec<String> = named.all.then(|| "everybody".to_owned()).into_iter().chain(people).chain(ids).collect();
        let who = if all.is_empty() { "nobody".to_owned() } else { all.join(", ") };
        match owner {
            None => who,
            Some(Owner::Named(_)) => format!("{who} (the label {label})"),
            Some(Owner::Missing) => format!("{who}: there is no label {label}"),
            Some(Owner::Unknown(value)) => format!("{who}: nobody and no team is called {value:?} (the label {label})"),
            Some(Owner::Unreachable(name)) => format!("{who}: the channel cannot reach {name} (the label {label})"),
        }
    }
}
