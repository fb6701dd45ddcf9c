//! What of a delivery is news to its channel, and how the channel is notified. Pure.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::channel::{Living, LivingMode};
use crate::model::{Form, Recipient, UnixMs};
use crate::store::{AlertState, Anchor, Incident, NotifiedAlert, Rang};

/// What the deliveries of a lane say of its alerts: of each the newest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Those that fire, each with its rank.
    pub fires: Vec<(u64, u8)>,
    /// Those that are over.
    pub ends: Vec<u64>,
    /// Whether the sender left out alerts that may fire.
    pub left_out: bool,
}

/// What a channel was notified of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Its alerts.
    pub alerts: Vec<NotifiedAlert>,
    /// When it rang last.
    pub rang: Rang,
    /// When it was notified first; `None` when it was not.
    pub first_at: Option<UnixMs>,
}

impl Known {
    /// What all of these anchors were notified of, as far as they are of `recipients`: of what one of them was not, nothing is known.
    pub fn of(anchors: &[Anchor], recipients: &[Recipient]) -> Self {
        // Who is not written to any more would else be owed everything.
        let anchors: Vec<&Anchor> = anchors.iter().filter(|anchor| recipients.contains(&anchor.recipient)).collect();
        let Some((first, others)) = anchors.split_first() else { return Self::default() };
        let mut alerts = first.notified.clone();
        for other in others {
            alerts.retain_mut(|one| {
                let known = other.notified.iter().find(|notified| notified.fingerprint == one.fingerprint);
                known.is_some_and(|known| {
                    one.version = one.version.min(known.version);
                    one.rank = one.rank.max(known.rank);
                    one.over &= known.over;
                    true
                })
            });
        }
        Self {
            alerts,
            rang: anchors.iter().map(|anchor| anchor.rang).min_by_key(|rang| (rang.version, rang.at)).unwrap_or_default(),
            first_at: anchors.iter().map(|anchor| anchor.notified_at).min(),
        }
    }

    /// Whether twins disagree about this alert, and people read that it is over.
    pub fn doubts(&self, fingerprint: u64, incident: &Incident, now: UnixMs) -> bool {
        incident.acks.is_doubted(fingerprint, now) && self.alerts.iter().any(|one| one.fingerprint == fingerprint && one.over)
    }
}

/// What a delivery means to its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The channel knows nothing of the incident.
    First,
    /// An alert that it was not notified of, that fires again, or that became more severe. It is mentioned unless something worse, of which people know, fires.
    News {
        /// Whether people are mentioned.
        mentions: bool,
    },
    /// It goes on, and it is time to say so.
    Again,
    /// All that the channel was notified of is over.
    Over,
    /// An alert that it was never notified of is over already: it fired and ended while it waited.
    Missed,
    /// Twins disagree: what people read to be over fires once more, and rings if it still does in a moment.
    Doubted,
    /// Nothing that would have to ring.
    Nothing,
}

/// The alerts that are news to a channel that was notified so much: it was never notified of them, they fire again, or they are more severe than it knows.
pub fn news(said: &Said, incident: &Incident, notified: &Known) -> HashSet<u64> {
    let now_of: HashMap<u64, _> = incident.alerts.iter().map(|alert| (alert.fingerprint, alert)).collect();
    let known: HashMap<u64, &NotifiedAlert> = notified.alerts.iter().map(|one| (one.fingerprint, one)).collect();
    let is_news = |fingerprint: u64, rank: u8| match (known.get(&fingerprint), now_of.get(&fingerprint)) {
        (None, _) => true,
        (Some(notified), Some(alert)) => {
            // Senders that know an alert by something else than its labels change its severity.
            let rose = rank < notified.rank && incident.state.is_open();
            // Whatever start it names: people read that it was over.
            notified.version < alert.fired || (alert.state == AlertState::Firing && (notified.over || rose))
        }
        // Beyond what is remembered.
        (Some(notified), None) => notified.over,
    };
    said.fires.iter().filter(|(fingerprint, rank)| is_news(*fingerprint, *rank)).map(|(fingerprint, _)| *fingerprint).collect()
}

/// Whether what people know rings again: the ack ended, which rings once, and ends by hand once in a time, or it is time to say that it goes on.
pub fn is_due_again(incident: &Incident, notified: &Known, repeat: Duration, now: UnixMs) -> bool {
    let rang_in = notified.rang.version;
    let unacked = incident.acks.unacked.as_ref().is_some_and(|unacked| unacked.version > rang_in && !unacked.is_held(rang_in, now));
    unacked || now.since(notified.rang.at) >= repeat
}

/// What a delivery means to a channel that was notified so much; a repeat rings at most once in `repeat`.
pub fn decide(said: &Said, incident: &Incident, notified: &Known, repeat: Duration, now: UnixMs) -> Moment {
    if notified.first_at.is_none() {
        return Moment::First;
    }
    let now_of: HashMap<u64, _> = incident.alerts.iter().map(|alert| (alert.fingerprint, alert)).collect();
    let known: HashMap<u64, &NotifiedAlert> = notified.alerts.iter().map(|one| (one.fingerprint, one)).collect();
    // Its owner is reminded: that rings once.
    let reminded = incident.acks.list.iter().any(|ack| ack.reminded_in > notified.rang.version);
    let again = is_due_again(incident, notified, repeat, now);
    let news = news(said, incident, notified);
    let is_sure = |one: &u64| !(news.contains(one) && notified.doubts(*one, incident, now));
    // What rings anyway takes along what twins disagree about.
    if news.iter().any(is_sure)
        && let Some(rank) = said.fires.iter().filter(|(fingerprint, _)| news.contains(fingerprint)).map(|(_, rank)| *rank).min()
    {
        let fires = |one: &&NotifiedAlert| now_of.get(&one.fingerprint).is_some_and(|alert| alert.state == AlertState::Firing);
        let worst = notified.alerts.iter().filter(fires).filter(|one| !news.contains(&one.fingerprint)).map(|one| one.rank).min();
        // What fires beside it rings again with it when its time has come.
        return Moment::News { mentions: again || worst.is_none_or(|worst| rank <= worst) };
    }
    let fires: Vec<u64> = said.fires.iter().map(|(fingerprint, _)| *fingerprint).filter(is_sure).collect();
    if fires.is_empty() {
        let over = |one: &NotifiedAlert| now_of.get(&one.fingerprint).is_none_or(|alert| alert.state == AlertState::Resolved);
        let news = notified.alerts.iter().any(|one| !one.over);
        if news && !said.left_out && notified.alerts.iter().all(over) {
            return Moment::Over;
        }
    }
    if said.ends.iter().any(|fingerprint| !known.contains_key(fingerprint)) {
        return Moment::Missed;
    }
    let quiet = if news.is_empty() { Moment::Nothing } else { Moment::Doubted };
    if fires.is_empty() {
        return quiet;
    }
    let is_open = incident.state.is_open();
    // What the sender left out nobody has seen, and nobody is on.
    let all_acked = !incident.acks.left_out && fires.iter().all(|fingerprint| incident.is_acked(*fingerprint));
    if is_open && (reminded || (again && !all_acked)) { Moment::Again } else { quiet }
}

/// What a step of an escalation means to these recipients: it rings, whatever they know, and who is called for the first time reads all of it.
pub fn decide_step(anchors: &[Anchor], recipients: &[Recipient]) -> Moment {
    let knows = |to: &Recipient| anchors.iter().any(|anchor| anchor.recipient == *to);
    if recipients.iter().all(knows) { Moment::Again } else { Moment::First }
}

/// How a channel is notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The whole of it.
    Card {
        /// Whether people are mentioned.
        mentions: bool,
        /// Whether it answers the first message, in its thread.
        reply: bool,
    },
    /// A short message.
    Line {
        /// What it says.
        form: Form,
        /// Whether it answers the card, in its thread.
        reply: bool,
        /// Whether people are mentioned.
        mentions: bool,
    },
    /// Nothing is sent; where messages are edited, the card shows it.
    Silent,
}

/// How a channel that works so, on a platform that can so much, notifies these recipients, who have these anchors.
pub fn how_for(moment: Moment, mode: LivingMode, can: Living, anchors: &[Anchor], recipients: &[Recipient]) -> How {
    let lives = |anchor: &&Anchor| !anchor.ids.is_empty() && (mode != LivingMode::Edit || (anchor.edited && can.may_change(&anchor.ids)));
    let has = |recipient: &&Recipient| anchors.iter().filter(lives).any(|anchor| anchor.recipient == **recipient);
    // Another card would take the place of those that live, which nothing would edit any more: who has none reads lines. A reply leaves the link to its card.
    let count = recipients.iter().filter(has).count();
    let all = count == recipients.len();
    match (how(moment, mode, can, count > 0), moment) {
        (How::Silent, Moment::News { .. }) if !all => How::Line { form: Form::News, reply: false, mentions: false },
        (How::Silent, Moment::Over) if !all => How::Line { form: Form::Over, reply: false, mentions: false },
        (How::Line { form, mentions, .. }, _) if !all => How::Line { form, reply: false, mentions },
        (how, _) => how,
    }
}

/// How a channel that works so, on a platform that can so much, is notified; `anchored` is whether it has a message to edit or to answer.
fn how(moment: Moment, mode: LivingMode, can: Living, anchored: bool) -> How {
    let (form, mentions) = match moment {
        _ if mode == LivingMode::Off => return How::Card { mentions: true, reply: false },
        Moment::First => return How::Card { mentions: true, reply: false },
        Moment::Nothing | Moment::Doubted => return How::Silent,
        Moment::News { mentions } => (Form::News, mentions),
        Moment::Again => (Form::Again, true),
        Moment::Over => (Form::Over, false),
        // The card shows that it came and went.
        Moment::Missed if mode == LivingMode::Edit && anchored => return How::Silent,
        Moment::Missed => return How::Card { mentions: false, reply: mode == LivingMode::Reply && anchored },
    };
    match mode {
        // What was notified in a digest only, or is gone, gets its card with what is new; its end needs none.
        LivingMode::Edit if !anchored && form != Form::Over => How::Card { mentions, reply: false },
        LivingMode::Edit if !anchored => How::Line { form, reply: false, mentions },
        // A reply beside a card that is not edited says all of it: nothing else does.
        LivingMode::Reply => How::Card { mentions, reply: anchored },
        LivingMode::New | LivingMode::Off => How::Card { mentions, reply: false },
        LivingMode::Edit if can.reply => How::Line { form, reply: true, mentions },
        // The only edit is kept for who is on it, or for its end.
        LivingMode::Edit if can.spends.is_some() && form == Form::News => How::Line { form, reply: false, mentions },
        // What needs nobody at once is what the edit shows.
        LivingMode::Edit if mentions => How::Line { form, reply: false, mentions },
        LivingMode::Edit => How::Silent,
    }
}

/// Whether all that the readers of a message were notified of is over, or its incident is not open any more.
pub fn is_over(anchor: &Anchor, incident: &Incident) -> bool {
    let fires_on =
        |one: &NotifiedAlert| incident.alerts.iter().any(|alert| alert.fingerprint == one.fingerprint && alert.state != AlertState::Resolved);
    !incident.state.is_open() || !anchor.notified.iter().any(fires_on)
}

/// The alerts that the readers of a message were notified of, and that it shows to be over.
pub fn ended(anchor: &Anchor, incident: &Incident) -> Vec<u64> {
    let over: HashSet<u64> = incident.alerts.iter().filter(|alert| alert.state == AlertState::Resolved).map(|alert| alert.fingerprint).collect();
    anchor.notified.iter().map(|one| one.fingerprint).filter(|one| over.contains(one)).collect()
}

/// Whether a message shows what its only edit is kept for: it is over, or somebody is on all of it that fires. Where that was by a button of this very
/// message, it shows that already.
pub fn deserves_its_edit(anchor: &Anchor, incident: &Incident) -> bool {
    if is_over(anchor, incident) {
        return true;
    }
    let known: HashSet<u64> = anchor.notified.iter().map(|one| one.fingerprint).collect();
    let fires = incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing && known.contains(&alert.fingerprint));
    let acks: Option<Vec<_>> = fires.map(|alert| incident.acks.of(alert.fingerprint)).collect();
    acks.is_some_and(|acks| acks.iter().any(|ack| ack.pressed != Some(anchor.message)))
}
