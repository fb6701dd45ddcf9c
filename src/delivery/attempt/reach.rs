//! People of the configuration whom a message reaches: whose turn it is, and by which ids, which are looked up where the configuration has none.

use std::collections::HashSet;
use std::time::Duration;

use indexmap::IndexMap;

use crate::channel::Reach;
use crate::channel::directory::{NotFound, Why};
use crate::delivery::missed::Missed;
use crate::delivery::owner::Owner;
use crate::delivery::pending::PendingMessage;
use crate::delivery::people::{Person, Way};
use crate::delivery::rota::Reached;
use crate::delivery::self_alert::SelfAlert;
use crate::ingest::short_fingerprint;
use crate::model::{Alert, ErrorKind, Mentions, Recipient, Status, UnixMs};
use crate::store::PendingDelivery;

use super::AttemptTask;

/// How long a message waits for ids: one without a mention is better than a late one.
const LOOK_UP: Duration = Duration::from_secs(1);

impl AttemptTask {
    /// Sends a message to the people whom it names, where the platform writes to people: in place of the channel's own recipients, which keep it where nobody
    /// can be reached.
    pub(super) async fn address(&self, message: &mut PendingMessage, now: UnixMs) {
        let Some(first) = message.members.first().filter(|member| member.target.step.is_none()) else { return };
        let Some(asked) = first.target.mentions.as_ref().filter(|asked| asked.has_people() && self.channel.platform.pings.writes_to_people()) else {
            return;
        };
        let recipients = self.reached(asked, None, now).await.recipients;
        message.members.iter_mut().for_each(|member| member.target.recipients.clone_from(&recipients));
    }

    /// Whom the route or the channel of a message has it mention.
    fn asked<'a>(&'a self, message: &'a PendingMessage) -> &'a Mentions {
        let own = message.members.first().and_then(|member| member.target.mentions.as_ref());
        own.unwrap_or(&self.channel.content.mentions)
    }

    /// Whether a message mentions the owners of what it rings for: those of one incident who share a room share its message.
    pub(super) fn mentions_owners(&self, message: &PendingMessage) -> bool {
        let is_room = !self.channel.platform.pings.writes_to_people() && !self.channel.driver.keeps_incidents();
        is_room && self.asked(message).label.is_some()
    }

    /// Whether somebody owns of what is new, and nothing else that fires: nobody mentioned them yet.
    pub(super) fn is_of_others(&self, message: &PendingMessage, members: &[&PendingDelivery], news: &HashSet<u64>) -> bool {
        let Some(label) = self.asked(message).label.as_deref() else { return false };
        // Whose it is that is not in memory, nobody knows.
        if members.iter().any(|member| member.event.is_none()) {
            return true;
        }
        let (mut of_news, mut of_others) = (HashSet::new(), HashSet::new());
        for (fingerprint, alert) in firing(members.iter().copied()) {
            let owner = match self.plan.people.owner(label, &alert.labels, &self.channel) {
                Owner::Named(name) => Some(name),
                _ => None,
            };
            let of = if news.contains(&fingerprint) { &mut of_news } else { &mut of_others };
            of.insert(owner);
        }
        !of_news.is_subset(&of_others)
    }

    /// Whom a message mentions that mentions owners: them, and those whom the configuration names beside the label.
    fn with_owners(&self, message: &PendingMessage) -> Mentions {
        let asked = self.asked(message);
        let mut named = self.plan.people.of_owners(asked, rung_for(message), &self.channel);
        // Whose it is that was not read, as of a message in short, nobody knows.
        if message.members.iter().any(|member| member.event.is_none() && member.summary.firing > 0) {
            (named.oncall, named.next) = (asked.oncall.clone(), asked.next.clone());
        }
        for name in &asked.people {
            if !named.people.contains(name) {
                named.people.push(name.clone());
            }
        }
        named
    }

    /// Whom a message pings, where it names people; `None` where it names none.
    pub(super) async fn pinged(&self, message: &PendingMessage) -> Option<Reached> {
        let owned = self.mentions_owners(message).then(|| self.with_owners(message));
        let asked = owned.as_ref().unwrap_or_else(|| self.asked(message));
        if owned.is_none() && !asked.has_people() {
            return None;
        }
        // The end of something pings nobody: nobody is looked up for it.
        if !message.notification.mentions || message.members.iter().all(|member| member.summary.firing == 0) {
            return Some(Reached::default());
        }
        let reached = self.reached(asked, None, self.shared.clock.wall()).await;
        for missed in &reached.missed {
            tracing::warn!(delivery = message.delivery(), channel = %self.channel.name, message_id = %message.id, %missed, "the message reaches nobody in their place");
            if missed.is_vacant() {
                self.shared.telemetry.raise(SelfAlert::nobody_on_call(&self.channel.name, std::slice::from_ref(missed)));
            }
        }
        Some(reached)
    }

    /// Whom a message mentions: `pinged`, and those whom it reminds that they are on the incident, where the platform can mention them.
    pub(super) async fn reminding(&self, message: &PendingMessage, pinged: Option<Mentions>) -> Option<Mentions> {
        let found = futures_util::future::join_all(message.notification.reminds.iter().map(|id| self.acker(id))).await;
        let mut mentioned = found.into_iter().flatten();
        let Some(first) = mentioned.next() else { return pinged };
        let mut all = pinged.unwrap_or_else(|| self.asked(message).clone());
        for one in std::iter::once(first).chain(mentioned) {
            all.users.extend(one.users.into_iter().filter(|id| !all.users.contains(id)).collect::<Vec<_>>());
            all.mobiles.extend(one.mobiles.into_iter().filter(|id| !all.mobiles.contains(id)).collect::<Vec<_>>());
        }
        Some(all)
    }

    /// How the channel mentions who acked, by the id of the ack; `None` where it cannot.
    async fn acker(&self, id: &str) -> Option<Mentions> {
        let platform = self.channel.platform;
        match id.split_once(':')? {
            ("person", name) => match self.way(self.plan.people.people.get(name)?).await {
                Ok(Way::Mention(mentions)) => Some(mentions),
                _ => None,
            },
            // Whom the configuration does not know pressed by the id that the platform mentions people by.
            (pressed_at, id) if pressed_at == platform.name && matches!(platform.pings.person, Reach::Mention(_)) => {
                Some(Mentions { users: vec![id.to_owned()], ..Mentions::default() })
            }
            _ => None,
        }
    }

    /// Whom `mentions` reach on the channel. `rank` is that of a step's most severe alert, as [`PeoplePlan::named`](crate::delivery::PeoplePlan::named) takes
    /// it.
    pub(super) async fn reached(&self, mentions: &Mentions, rank: Option<i64>, now: UnixMs) -> Reached {
        let overrides = self.shared.overrides();
        let named = self.plan.people.named(mentions, &overrides, rank, now);
        let mut reached = Reached::of(mentions, &named);
        let ways = named.people.iter().map(|person| self.way(person));
        futures_util::future::join_all(ways).await.into_iter().for_each(|way| reached.add(way));
        reached
    }

    /// How the channel reaches a person.
    async fn way(&self, person: &Person) -> Result<Way, Missed> {
        let platform = self.channel.platform;
        let key = match person.way(platform) {
            Ok(way) => return Ok(way),
            Err(key) => key,
        };
        let Some((by, address)) = person.looked_up_by(self.channel.content.looks_up) else { return Err(Missed::no_way(person, platform, key)) };
        let Some(directory) = self.channel.driver.directory() else { return Err(Missed::no_way(person, platform, key)) };
        let deadline = self.shared.clock.instant() + LOOK_UP;
        match directory.id(address, deadline, self.channel.driver.look_up(address, deadline)).await {
            Ok(id) => person.way_by(platform, id).map_err(|key| Missed::no_way(person, platform, key)),
            Err(missed) => {
                self.report_look_up(person, &missed);
                Err(Missed::not_found(person, by, platform, &missed.why))
            }
        }
    }

    /// Reports a look-up that named nobody, once.
    fn report_look_up(&self, person: &Person, missed: &NotFound) {
        if !missed.asked {
            return;
        }
        let (channel, person) = (&self.channel.name, &person.name);
        let result = match &missed.why {
            Why::Unknown | Why::Refused => "unknown",
            Why::Late => "late",
            Why::Failed(error) => error.kind.as_str(),
        };
        self.shared.telemetry.metrics.look_up_failed(self.channel.platform.name, result);
        match &missed.why {
            Why::Failed(error) => {
                tracing::warn!(%channel, %person, %error, "the id of a person could not be looked up; messages go without the mention");
                if matches!(error.kind, ErrorKind::Misconfigured | ErrorKind::RateLimited { .. }) {
                    self.shared.telemetry.raise(SelfAlert::look_up_failed(channel, &error.summary));
                }
            }
            _ => tracing::warn!(%channel, %person, "the platform knows nobody under this person's address; messages go without the mention"),
        }
    }

    /// Forgets the ids that the platform named before and refuses now.
    pub(super) fn forget_refused(&self, ids: impl Iterator<Item = Recipient>) {
        let Some(directory) = self.channel.driver.directory() else { return };
        for _ in ids.filter(|id| directory.refused(id)) {
            self.shared.telemetry.metrics.look_up_failed(self.channel.platform.name, "refused");
            tracing::warn!(channel = %self.channel.name, "the platform refused an id that it had named itself; it is looked up again in ten minutes");
        }
    }
}

/// What a message rings for: what fires by the newest report of it, and where some of it is news only that.
fn rung_for(message: &PendingMessage) -> impl Iterator<Item = &Alert> {
    let news = &message.notification.news;
    firing(&message.members).filter(move |(one, _)| news.is_empty() || news.contains(one)).map(|(_, alert)| alert)
}

/// What fires by the newest report of it, by eight bytes of its fingerprint.
fn firing<'a>(members: impl IntoIterator<Item = &'a PendingDelivery>) -> impl Iterator<Item = (u64, &'a Alert)> {
    let mut newest: IndexMap<u64, &'a Alert> = IndexMap::new();
    for member in members {
        let Some(event) = member.event.as_deref() else { continue };
        for alert in member.target.alerts.iter().filter_map(|place| event.alerts.get(*place as usize)) {
            newest.insert(short_fingerprint(&alert.fingerprint), alert);
        }
    }
    newest.into_iter().filter(|(_, alert)| alert.status == Status::Firing)
}
