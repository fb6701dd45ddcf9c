//! Whose turn it is when a message is sent.

use std::sync::Arc;

use crate::channel::Platform;
use crate::delivery::core::Shared;
use crate::delivery::missed::Missed;
use crate::delivery::people::{Person, PersonName, Way};
use crate::delivery::steps::PeoplePlan;
use crate::model::{Mentions, Recipient, UnixMs};
use crate::store::{Override, StoreError};

/// Whom mentions name at a time.
#[derive(Debug, Clone, Default)]
pub struct Named<'a> {
    /// They.
    pub people: Vec<&'a Person>,
    /// Why somebody is not among them.
    pub missed: Vec<Missed>,
    /// Who has quiet hours.
    pub quiet: Vec<PersonName>,
}

/// Whom mentions reach on a platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached {
    /// To these, in place of the channel's recipients.
    pub recipients: Vec<Recipient>,
    /// These are mentioned; people, teams and turns of rotas are ids here.
    pub mentions: Mentions,
    /// Why somebody is not reached.
    pub missed: Vec<Missed>,
    /// Who has quiet hours.
    pub quiet: Vec<PersonName>,
}

impl PeoplePlan {
    /// The overrides that count: those of people who are still in the configuration.
    pub fn active_overrides(&self, overrides: &[Override]) -> Vec<Override> {
        overrides.iter().filter(|one| self.people.get(&one.person).is_some()).cloned().collect()
    }

    /// Whom `mentions` name at a time. `rank` is that of a step's most severe alert, from which quiet hours keep; `None` for what is no step.
    pub fn named(&self, mentions: &Mentions, overrides: &[Override], rank: Option<i64>, at: UnixMs) -> Named<'_> {
        let overrides = self.active_overrides(overrides);
        let on_call = |name: &str| self.people.get(&self.rotas.get(name)?.at(at, &overrides)?.person);
        let next = |name: &str| self.people.get(self.rotas.get(name)?.next(at, &overrides)?);
        let mut named = Named::default();
        for name in &mentions.people {
            match (self.people.get(name), self.teams.get(name.as_str())) {
                (Some(person), _) => named.add(person, rank, at),
                (None, Some(team)) => match team.rota.as_deref().and_then(on_call) {
                    Some(person) => named.add(person, rank, at),
                    None if team.people.is_empty() => named.missed.push(match &team.rota {
                        Some(rota) => Missed::NobodyOnCall(rota.to_string()),
                        None => Missed::NobodyInTeam(name.clone()),
                    }),
                    None => team.people.iter().filter_map(|name| self.people.get(name)).for_each(|person| named.add(person, rank, at)),
                },
                (None, None) => named.missed.push(Missed::Unknown(name.clone())),
            }
        }
        if let Some(rota) = &mentions.oncall {
            match on_call(rota) {
                Some(person) => named.add(person, rank, at),
                None => named.missed.push(Missed::NobodyOnCall(rota.clone())),
            }
        }
        if let Some(rota) = &mentions.next {
            match next(rota) {
                Some(person) => named.add(person, rank, at),
                None => named.missed.push(Missed::NobodyNext(rota.clone())),
            }
        }
        named
    }

    /// Whom `mentions` reach on a platform at a time, as far as no id must be looked up.
    pub fn reached(&self, mentions: &Mentions, platform: &Platform, overrides: &[Override], rank: Option<i64>, at: UnixMs) -> Reached {
        let named = self.named(mentions, overrides, rank, at);
        let mut reached = Reached::of(mentions, &named);
        named.people.iter().for_each(|person| reached.add(person.way(platform).map_err(|key| Missed::no_way(person, platform, key))));
        reached
    }
}

impl<'a> Named<'a> {
    fn add(&mut self, person: &'a Person, rank: Option<i64>, at: UnixMs) {
        if rank.is_some_and(|rank| person.is_quiet(rank, at)) {
            self.quiet.push(person.name.clone());
        } else if !self.people.iter().any(|known| known.name == person.name) {
            self.people.push(person);
        }
    }
}

impl Reached {
    /// Those whom `mentions` name by ids; the people whom they name are still to be added.
    pub fn of(mentions: &Mentions, named: &Named<'_>) -> Self {
        let mentions = Mentions { people: Vec::new(), label: None, oncall: None, next: None, ..mentions.clone() };
        Self { mentions, missed: named.missed.clone(), quiet: named.quiet.clone(), recipients: Vec::new() }
    }

    /// Adds a person, or why the person is not reached.
    pub fn add(&mut self, way: Result<Way, Missed>) {
        match way {
            Ok(Way::To(recipient)) if !self.recipients.contains(&recipient) => self.recipients.push(recipient),
            Ok(Way::To(_)) => {}
            Ok(Way::Mention(one)) => {
                for (known, more) in [(&mut self.mentions.users, one.users), (&mut self.mentions.mobiles, one.mobiles)] {
                    let new = more.into_iter().filter(|id| !known.contains(id)).collect::<Vec<_>>();
                    known.extend(new);
                }
            }
            Err(missed) => self.missed.push(missed),
        }
    }

    /// Those whom a message can only name, because its platform reaches nobody by name.
    pub fn named(&self) -> Vec<String> {
        let only_named = |missed: &Missed| match missed {
            Missed::NobodyByName(person, ..) => Some(person.to_string()),
            _ => None,
        };
        self.missed.iter().filter_map(only_named).collect()
    }

    /// Those whose ids are not found.
    pub fn not_found(&self) -> Vec<String> {
        let is_not_found = |missed: &Missed| match missed {
            Missed::NotFound(person, _) => Some(person.to_string()),
            _ => None,
        };
        self.missed.iter().filter_map(is_not_found).collect()
    }

    /// Whether somebody is reached.
    pub fn is_somebody(&self) -> bool {
        !self.recipients.is_empty() || !self.mentions.is_empty()
    }
}

impl Shared {
    /// The overrides of rotas, as of the last look.
    pub fn overrides(&self) -> Arc<Vec<Override>> {
        self.by_hand.overrides.load_full()
    }

    /// Reads the overrides of rotas again.
    pub(in crate::delivery) async fn refresh_overrides(&self) -> Result<(), StoreError> {
        self.by_hand.overrides.store(Arc::new(self.store.list_overrides().await?));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};
    use jiff::tz::TimeZone;

    use super::*;
    use crate::channel::platform;
    use crate::delivery::rota::{Rota, Rotation};
    use crate::delivery::steps::Team;

    /// Ann and Bob take turns from 2 November on; Cid is in no rota, and has no id in Slack.
    fn plan() -> PeoplePlan {
        let person = |name: &str, id: &str| Person {
            name: name.into(),
            full_name: None,
            language: None,
            email: Some(format!("{name}@example.com")),
            mobile: None,
            ids: [("slack", id.to_owned())].into_iter().filter(|(_, id)| !id.is_empty()).collect(),
            quiet: None,
        };
        let rota = Rota {
            name: "night".into(),
            zone: TimeZone::UTC,
            rotation: Rotation::Daily,
            first: date(2026, 11, 2),
            handoff: time(8, 0, 0, 0),
            people: vec!["ann".into(), "bob".into()],
            tell: None,
        };
        let team = |people: &[&str], rota: Option<&str>| Team {
            people: people.iter().map(|name| (*name).into()).collect(),
            rota: rota.map(Into::into),
            to: Vec::new(),
        };
        PeoplePlan {
            people: [person("ann", "U1"), person("bob", "U2"), person("cid", "")].into_iter().collect(),
            teams: [
                ("db".into(), team(&["ann", "bob"], None)),
                ("web".into(), team(&["cid", "bob"], Some("night"))),
                ("turns".into(), team(&[], Some("night"))),
                ("room".into(), team(&[], None)),
            ]
            .into(),
            rotas: [("night".into(), rota)].into(),
            ..PeoplePlan::default()
        }
    }

    fn asked(people: &[&str], oncall: Option<&str>) -> Mentions {
        Mentions { people: people.iter().map(|name| (*name).to_owned()).collect(), oncall: oncall.map(str::to_owned), ..Mentions::default() }
    }

    #[test]
    fn a_team_is_who_is_on_call_in_its_rota_and_everybody_before_its_first_handoff() {
        let plan = plan();
        let names = |mentions: &Mentions, at: &str| {
            let at = at.parse::<jiff::Timestamp>().unwrap().into();
            let named = plan.named(mentions, &[], None, at);
            let missed: Vec<String> = named.missed.iter().map(ToString::to_string).collect();
            (named.people.iter().map(|person| person.name.to_string()).collect::<Vec<_>>().join(","), missed.join(", "))
        };
        let (before, first, second) = ("2026-11-01T00:00Z", "2026-11-02T09:00Z", "2026-11-03T09:00Z");
        assert_eq!(names(&asked(&["db"], None), first), ("ann,bob".into(), String::new()));
        assert_eq!(names(&asked(&["web"], None), first), ("ann".into(), String::new()));
        assert_eq!(names(&asked(&["web", "ann"], Some("night")), second), ("bob,ann".into(), String::new()), "each of them once");
        assert_eq!(names(&asked(&["web"], None), before), ("cid,bob".into(), String::new()));
        let missed = "nobody and no team is called `dba` any more, nobody is on call in the rota `night`";
        assert_eq!(names(&asked(&["dba"], Some("night")), before), (String::new(), missed.into()));
        assert_eq!(names(&asked(&["turns"], None), first), ("ann".into(), String::new()));
        let missed = "nobody is on call in the rota `night`, the team `room` has no people";
        assert_eq!(names(&asked(&["turns", "room"], None), before), (String::new(), missed.into()), "nobody is left out without a word");
    }

    #[test]
    fn people_become_recipients_or_ids_and_who_has_none_is_named() {
        let plan = plan();
        let at = "2026-11-02T09:00Z".parse::<jiff::Timestamp>().unwrap().into();
        let reached = |name: &str, people: &[&str]| plan.reached(&asked(people, None), platform(name).unwrap(), &[], None, at);
        let slack = reached("slack", &["db", "cid"]);
        assert_eq!((slack.mentions.users.join(","), slack.mentions.has_people(), slack.recipients.len()), ("U1,U2".into(), false, 0));
        assert_eq!(slack.missed, [Missed::NoId("cid".into(), "slack")]);
        let mail = reached("email", &["db", "cid", "ann"]);
        let to: Vec<Recipient> = ["ann", "bob", "cid"].iter().map(|name| Recipient::new(format!("{name}@example.com"))).collect();
        assert_eq!((mail.recipients, mail.missed.is_empty(), mail.mentions.is_empty()), (to, true, true));
        let webhook = reached("webhook", &["ann", "bob"]);
        assert_eq!(webhook.missed[0], Missed::NobodyByName("ann".into(), "ann".into(), "webhook"));
        assert_eq!((webhook.named(), webhook.is_somebody(), slack.named()), (vec!["ann".to_owned(), "bob".to_owned()], false, Vec::new()));
    }
}
