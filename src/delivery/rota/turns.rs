//! Whose turn it is when a message is sent.

use std::sync::Arc;

use super::Rota;
use crate::channel::Platform;
use crate::delivery::core::Shared;
use crate::delivery::people::{Person, PersonName, Way};
use crate::delivery::steps::PeoplePlan;
use crate::model::{Mentions, Recipient, UnixMs};
use crate::store::{Override, StoreError};

/// Whom mentions reach on a platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached {
    /// To these, in place of the channel's recipients.
    pub recipients: Vec<Recipient>,
    /// These are mentioned; turns of rotas are people here.
    pub mentions: Mentions,
    /// Why somebody is not reached.
    pub missed: Vec<String>,
    /// Who has quiet hours.
    pub quiet: Vec<PersonName>,
}

impl PeoplePlan {
    /// The overrides that count: those of people who are still in the configuration.
    pub fn active_overrides(&self, overrides: &[Override]) -> Vec<Override> {
        overrides.iter().filter(|one| self.people.get(&one.person).is_some()).cloned().collect()
    }

    /// Whom `mentions` reach on a platform at a time. `rank` is that of a step's most severe alert, from which quiet hours keep; `None` for what is no step.
    pub fn reached(&self, mentions: &Mentions, platform: &Platform, overrides: &[Override], rank: Option<i64>, at: UnixMs) -> Reached {
        let overrides = self.active_overrides(overrides);
        let mut reached = Reached { mentions: Mentions { oncall: None, next: None, ..mentions.clone() }, ..Reached::default() };
        let on_call = |rota: &Rota| rota.at(at, &overrides).map(|shift| shift.person);
        let turns = [
            mentions.oncall.as_deref().map(|name| (name, "nobody is on call in the rota", self.rotas.get(name).and_then(on_call))),
            mentions
                .next
                .as_deref()
                .map(|name| (name, "nobody comes next in the rota", self.rotas.get(name).and_then(|rota| rota.next(at, &overrides).cloned()))),
        ];
        for (rota, nobody, person) in turns.into_iter().flatten() {
            match person.as_ref().and_then(|name| self.people.get(name)) {
                Some(person) if rank.is_some_and(|rank| person.is_quiet(rank, at)) => reached.quiet.push(person.name.clone()),
                Some(person) => reached.add(person, platform),
                None => reached.missed.push(format!("{nobody} `{rota}`")),
            }
        }
        reached
    }
}

impl Reached {
    fn add(&mut self, person: &Person, platform: &Platform) {
        match person.way(platform) {
            Ok(Way::To(recipient)) if !self.recipients.contains(&recipient) => self.recipients.push(recipient),
            Ok(Way::To(_)) => {}
            Ok(Way::Mention(one)) => {
                for (known, more) in [(&mut self.mentions.users, one.users), (&mut self.mentions.mobiles, one.mobiles)] {
                    let new = more.into_iter().filter(|id| !known.contains(id)).collect::<Vec<_>>();
                    known.extend(new);
                }
            }
            Err("") => self.missed.push(format!("{} reaches nobody by name", platform.name)),
            Err(key) => self.missed.push(format!("`{}` has no `{key}`", person.name)),
        }
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
