//! What of a delivery is news to its channel, and how the channel is notified. Pure.

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
}

/// What a delivery means to its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The channel knows nothing of the incident.
    First,
    /// An alert that it was not notified of, or that fires again. It is mentioned unless something more severe, of which people know, fires.
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
    /// Nothing that would have to ring.
    Nothing,
}

/// The alerts that are news to a channel that was notified so much: it was never notified of them, or they fire again.
pub fn news(said: &Said, incident: &Incident, notified: &Known) -> HashSet<u64> {
    let now_of: HashMap<u64, _> = incident.alerts.iter().map(|alert| (alert.fingerprint, alert)).collect();
    let known: HashMap<u64, &NotifiedAlert> = notified.alerts.iter().map(|one| (one.fingerprint, one)).collect();
    let is_news = |fingerprint: &u64| match (known.get(fingerprint), now_of.get(fingerprint)) {
        (None, _) => true,
        // Whatever start it names: people read that it was over.
        (Some(notified), Some(alert)) => notified.version < alert.fired || (notified.over && alert.state == AlertState::Firing),
        // Beyond what is remembered.
        (Some(notified), None) => notified.over,
    };
    said.fires.iter().map(|(fingerprint, _)| *fingerprint).filter(is_news).collect()
}

/// What a delivery means to a channel that was notified so much; a repeat rings at most once in `repeat`.
pub fn decide(said: &Said, incident: &Incident, notified: &Known, repeat: Duration, now: UnixMs) -> Moment {
    if notified.first_at.is_none() {
        return Moment::First;
    }
    let now_of: HashMap<u64, _> = incident.alerts.iter().map(|alert| (alert.fingerprint, alert)).collect();
    let known: HashMap<u64, &NotifiedAlert> = notified.alerts.iter().map(|one| (one.fingerprint, one)).collect();
    // The ack ended, or its owner is reminded: that rings once.
    let unacked = incident.acks.unacked.as_ref().is_some_and(|unacked| unacked.version > notified.rang.version);
    let reminded = incident.acks.list.iter().any(|ack| ack.reminded_in > notified.rang.version);
    let again = unacked || now.since(notified.rang.at) >= repeat;
    let news = news(said, incident, notified);
    if let Some(rank) = said.fires.iter().filter(|(fingerprint, _)| news.contains(fingerprint)).map(|(_, rank)| *rank).min() {
        let fires = |one: &&NotifiedAlert| now_of.get(&one.fingerprint).is_some_and(|alert| alert.state == AlertState::Firing);
        let worst = notified.alerts.iter().filter(fires).filter(|one| !news.contains(&one.fingerprint)).map(|one| one.rank).min();
        // What fires beside it rings again with it when its time has come.
        return Moment::News { mentions: again || worst.is_none_or(|worst| rank <= worst) };
    }
    if said.fires.is_empty() {
        let over = |one: &NotifiedAlert| now_of.get(&one.fingerprint).is_none_or(|alert| alert.state == AlertState::Resolved);
        let news = notified.alerts.iter().any(|one| !one.over);
        if news && !said.left_out && notified.alerts.iter().all(over) {
            return Moment::Over;
        }
    }
    if said.ends.iter().any(|fingerprint| !known.contains_key(fingerprint)) {
        return Moment::Missed;
    }
    if said.fires.is_empty() {
        return Moment::Nothing;
    }
    let is_open = incident.state.is_open();
    // What the sender left out nobody has seen, and nobody is on.
    let all_acked = !incident.acks.left_out && said.fires.iter().all(|(fingerprint, _)| incident.is_acked(*fingerprint));
    if is_open && (reminded || (again && !all_acked)) { Moment::Again } else { Moment::Nothing }
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

/// How a channel that works so, on a platform that can so much, is notified; `anchored` is whether it has a message to edit or to answer.
pub fn how(moment: Moment, mode: LivingMode, can: Living, anchored: bool) -> How {
    let (form, mentions) = match moment {
        _ if mode == LivingMode::Off => return How::Card { mentions: true, reply: false },
        Moment::First => return How::Card { mentions: true, reply: false },
        Moment::Nothing => return How::Silent,
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
        // What needs nobody at once is what the edit shows.
        LivingMode::Edit if mentions => How::Line { form, reply: false, mentions },
        LivingMode::Edit => How::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventId, IncidentId};
    use crate::store::{IncidentAlert, IncidentState};

    const HOUR: Duration = Duration::from_secs(3600);
    const T0: UnixMs = UnixMs(1_764_000_000_000);

    /// Alerts by fingerprint: rank, state, and the version as of which it fires.
    fn incident(alerts: &[(u64, u8, AlertState, i64)]) -> Incident {
        let alert = |(fingerprint, rank, state, fired): &(u64, u8, AlertState, i64)| IncidentAlert {
            fingerprint: *fingerprint,
            start: Some(T0),
            state: *state,
            rank: *rank,
            fired: *fired,
            changed_at: T0,
            event: EventId(uuid::Uuid::nil()),
            index: 0,
        };
        Incident {
            id: IncidentId(1842),
            key: "k".into(),
            source: "alertmanager".into(),
            receiver: "ops".into(),
            group_key: "g".into(),
            title: "t".into(),
            state: IncidentState::Firing,
            rank: 0,
            version: 9,
            opened_at: T0,
            heard_at: T0,
            ended_at: None,
            truncated: false,
            acks: crate::store::Acks::default(),
            alerts: alerts.iter().map(alert).collect(),
        }
    }

    fn said(fires: &[(u64, u8)], ends: &[u64]) -> Said {
        Said { fires: fires.to_vec(), ends: ends.to_vec(), left_out: false }
    }

    /// Alerts that a channel knows: fingerprint, rank, version, and whether it was over.
    fn notified(alerts: &[(u64, u8, i64, bool)]) -> Known {
        let one = |(fingerprint, rank, version, over): &(u64, u8, i64, bool)| NotifiedAlert {
            fingerprint: *fingerprint,
            rank: *rank,
            version: *version,
            over: *over,
        };
        Known { alerts: alerts.iter().map(one).collect(), rang: Rang { at: T0, version: 1 }, first_at: Some(T0) }
    }

    use AlertState::{Firing, Resolved, Unreported};

    /// What counts is what the message that rang last knew of, not when it was confirmed.
    #[test]
    fn the_end_of_an_ack_rings_until_a_message_rang_that_knew_of_it() {
        let mut one = incident(&[(1, 2, Firing, 1)]);
        let why = crate::store::UnackReason::By { name: "anna".into() };
        one.acks.unacked = Some(crate::store::Unacked { at: T0, version: 3, why });
        let known = |version| Known { rang: Rang { at: T0 + 50_000, version }, ..notified(&[(1, 2, 1, false)]) };
        let moment = |one: &Incident, version| decide(&said(&[(1, 2)], &[]), one, &known(version), Duration::from_secs(3600), T0 + 60_000);
        assert_eq!((moment(&one, 2), moment(&one, 3)), (Moment::Again, Moment::Nothing));
        one.acks.left_out = true;
        let late = decide(&said(&[(1, 2)], &[]), &one, &known(3), Duration::from_secs(3600), T0 + 9_000_000);
        assert_eq!(late, Moment::Again, "what the sender leaves out goes on ringing");
    }

    #[test]
    fn what_a_channel_knows_decides_what_is_news() {
        let news = |mentions| Moment::News { mentions };
        let both = incident(&[(1, 2, Firing, 1), (2, 0, Firing, 2)]);
        let soon = T0 + 60_000;
        let late = T0 + 3_700_000;
        for (why, incident, said, notified, now, wanted) in [
            ("it knows nothing", &both, said(&[(1, 2)], &[]), Known::default(), soon, Moment::First),
            ("a more severe alert joins", &both, said(&[(1, 2), (2, 0)], &[]), notified(&[(1, 2, 1, false)]), soon, news(true)),
            (
                "a less severe one joins",
                &incident(&[(1, 2, Firing, 2), (2, 0, Firing, 1)]),
                said(&[(1, 2)], &[]),
                notified(&[(2, 0, 1, false)]),
                soon,
                news(false),
            ),
            (
                "as severe as the worst",
                &incident(&[(1, 1, Firing, 2), (2, 1, Firing, 1)]),
                said(&[(1, 1)], &[]),
                notified(&[(2, 1, 1, false)]),
                soon,
                news(true),
            ),
            (
                "what was more severe is over",
                &incident(&[(1, 2, Firing, 2), (2, 0, Resolved, 1)]),
                said(&[(1, 2)], &[]),
                notified(&[(2, 0, 1, true)]),
                soon,
                news(true),
            ),
            ("it fires again under its start", &incident(&[(1, 2, Firing, 1)]), said(&[(1, 2)], &[]), notified(&[(1, 2, 4, true)]), soon, news(true)),
            (
                "a less severe one joins after an hour without a sound",
                &incident(&[(1, 2, Firing, 2), (2, 0, Firing, 1)]),
                said(&[(1, 2)], &[]),
                notified(&[(2, 0, 1, false)]),
                late,
                news(true),
            ),
            ("it fires again", &incident(&[(1, 2, Firing, 5)]), said(&[(1, 2)], &[]), notified(&[(1, 2, 4, true)]), soon, news(true)),
            ("a copy from a twin", &both, said(&[(1, 2), (2, 0)], &[]), notified(&[(1, 2, 3, false), (2, 0, 3, false)]), soon, Moment::Nothing),
            ("a repeat after an hour", &both, said(&[(1, 2), (2, 0)], &[]), notified(&[(1, 2, 3, false), (2, 0, 3, false)]), late, Moment::Again),
            (
                "some of it is over, an hour later",
                &incident(&[(1, 2, Resolved, 1), (2, 0, Firing, 2)]),
                said(&[(2, 0)], &[1]),
                notified(&[(1, 2, 3, false), (2, 0, 3, false)]),
                late,
                Moment::Again,
            ),
            (
                "all that it knows is over",
                &incident(&[(1, 2, Resolved, 1), (2, 0, Resolved, 2)]),
                said(&[], &[1, 2]),
                notified(&[(1, 2, 3, false), (2, 0, 3, false)]),
                soon,
                Moment::Over,
            ),
            (
                "all that it knows is over, what went elsewhere is not",
                &incident(&[(1, 2, Resolved, 1), (2, 0, Firing, 2)]),
                said(&[], &[1]),
                notified(&[(1, 2, 3, false)]),
                soon,
                Moment::Over,
            ),
            (
                "the end is reported once more",
                &incident(&[(1, 2, Resolved, 1)]),
                said(&[], &[1]),
                notified(&[(1, 2, 3, true)]),
                soon,
                Moment::Nothing,
            ),
            (
                "one is not reported any more",
                &incident(&[(1, 2, Resolved, 1), (2, 0, Unreported, 2)]),
                said(&[], &[1]),
                notified(&[(1, 2, 3, false), (2, 0, 3, false)]),
                soon,
                Moment::Nothing,
            ),
            (
                "it came and went while it waited",
                &incident(&[(1, 2, Firing, 1), (3, 0, Resolved, 2)]),
                said(&[(1, 2)], &[3]),
                notified(&[(1, 2, 3, false)]),
                soon,
                Moment::Missed,
            ),
        ] {
            assert_eq!(decide(&said, incident, &notified, HOUR, now), wanted, "{why}");
        }
        let left_out = Said { left_out: true, ..said(&[], &[1]) };
        let over = incident(&[(1, 2, Resolved, 1)]);
        assert_eq!(decide(&left_out, &over, &notified(&[(1, 2, 3, false)]), HOUR, soon), Moment::Nothing, "what is left out may fire");
    }

    #[test]
    fn each_moment_is_told_as_the_platform_can() {
        let can = |edit, reply| Living { edit, reply, edits_counted: false, default: LivingMode::New };
        let line = |form, reply, mentions| How::Line { form, reply, mentions };
        let card = |mentions| How::Card { mentions, reply: false };
        let answer = |mentions| How::Card { mentions, reply: true };
        let (loud, quiet) = (Moment::News { mentions: true }, Moment::News { mentions: false });
        for (mode, can, moments) in [
            (
                LivingMode::Edit,
                can(true, true),
                [
                    card(true),
                    line(Form::News, true, true),
                    line(Form::News, true, false),
                    line(Form::Again, true, true),
                    line(Form::Over, true, false),
                    How::Silent,
                    How::Silent,
                ],
            ),
            (
                LivingMode::Edit,
                can(true, false),
                [card(true), line(Form::News, false, true), How::Silent, line(Form::Again, false, true), How::Silent, How::Silent, How::Silent],
            ),
            (LivingMode::Reply, can(false, true), [card(true), answer(true), answer(false), answer(true), answer(false), answer(false), How::Silent]),
            (LivingMode::New, can(false, false), [card(true), card(true), card(false), card(true), card(false), card(false), How::Silent]),
            (LivingMode::Off, can(true, true), [card(true), card(true), card(true), card(true), card(true), card(true), card(true)]),
        ] {
            for (moment, wanted) in
                [Moment::First, loud, quiet, Moment::Again, Moment::Over, Moment::Missed, Moment::Nothing].into_iter().zip(moments)
            {
                assert_eq!(how(moment, mode, can, true), wanted, "{mode:?} {can:?} {moment:?}");
            }
        }
        // Nothing to edit or to answer: news brings a card again, and an end needs none.
        let gone = |moment| how(moment, LivingMode::Edit, can(true, true), false);
        assert_eq!((gone(loud), gone(Moment::Again), gone(Moment::Missed)), (card(true), card(true), card(false)));
        assert_eq!(gone(Moment::Over), line(Form::Over, false, false));
    }
}
