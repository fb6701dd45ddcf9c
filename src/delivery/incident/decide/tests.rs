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
    one.acks.unacked = Some(crate::store::Unacked::new(T0, 3, why));
    let known = |version| Known { rang: Rang { at: T0 + 50_000, version }, ..notified(&[(1, 2, 1, false)]) };
    let moment = |one: &Incident, version| decide(&said(&[(1, 2)], &[]), one, &known(version), Duration::from_secs(3600), T0 + 60_000);
    assert_eq!((moment(&one, 2), moment(&one, 3)), (Moment::Again, Moment::Nothing));
    // Another one an hour after at the earliest: on a channel that rang for the first.
    let held = crate::store::Unacked { rang_in: 2, held_until: Some(T0 + 60_001), ..one.acks.unacked.clone().unwrap() };
    let again = |unacked: crate::store::Unacked, version| {
        let mut one = one.clone();
        one.acks.unacked = Some(unacked);
        moment(&one, version)
    };
    assert_eq!((again(held.clone(), 2), again(held.clone(), 1)), (Moment::Nothing, Moment::Again));
    assert_eq!(again(crate::store::Unacked { held_until: Some(T0 + 60_000), ..held }, 2), Moment::Again, "it is over");
    one.acks.left_out = true;
    let late = decide(&said(&[(1, 2)], &[]), &one, &known(3), Duration::from_secs(3600), T0 + 9_000_000);
    assert_eq!(late, Moment::Again, "what the sender leaves out goes on ringing");
}

#[test]
fn what_twins_disagree_about_is_news_in_a_moment() {
    let mut one = incident(&[(1, 2, Firing, 1), (2, 2, Firing, 1)]);
    one.acks.doubted = vec![(1, T0 + 60_000)];
    let over = notified(&[(1, 2, 4, true), (2, 2, 4, false)]);
    let moment = |said: Said, known: &Known, after: i64| decide(&said, &one, known, HOUR, T0 + after);
    let news = Moment::News { mentions: true };
    assert_eq!(moment(said(&[(1, 2)], &[]), &over, 59_999), Moment::Doubted);
    assert_eq!(moment(said(&[(1, 2)], &[]), &over, 60_000), news, "it still fires");
    assert_eq!(moment(said(&[(1, 2), (2, 2)], &[]), &notified(&[(1, 2, 4, true)]), 1), news, "the other is new, and takes it along");
    assert_eq!(moment(said(&[(1, 2)], &[]), &notified(&[(2, 2, 4, false)]), 1), news, "nobody read that it was over");
    let doubted = |mode| how(Moment::Doubted, mode, Living::NEW, false);
    assert_eq!(doubted(LivingMode::Off), How::Card { mentions: true, reply: false });
    assert_eq!(doubted(LivingMode::New), How::Silent);
}

/// What twins disagree about hides nothing else that there is to say.
#[test]
fn beside_what_twins_disagree_about_all_else_is_said() {
    let mut one = incident(&[(1, 2, Firing, 1), (2, 2, Firing, 1), (3, 2, Resolved, 5)]);
    one.acks.doubted = vec![(1, T0 + 60_000)];
    let known = notified(&[(1, 2, 4, true), (2, 2, 4, false)]);
    let moment = |one: &Incident, said: Said, repeat| decide(&said, one, &known, repeat, T0 + 1000);
    assert_eq!(moment(&one, said(&[(1, 2)], &[3]), HOUR), Moment::Missed, "the end of what fired and ended while it waited");
    assert_eq!(moment(&one, said(&[(1, 2), (2, 2)], &[]), HOUR), Moment::Doubted);
    assert_eq!(moment(&one, said(&[(1, 2), (2, 2)], &[]), Duration::from_secs(1)), Moment::Again, "a repeat of the other");
    assert_eq!(moment(&one, said(&[(1, 2)], &[]), Duration::from_secs(1)), Moment::Doubted, "it is no repeat by itself");
    let why = crate::store::UnackReason::SnoozeEnded { name: "anna".into() };
    one.acks.unacked = Some(crate::store::Unacked::new(T0, 3, why));
    assert_eq!(moment(&one, said(&[(1, 2), (2, 2)], &[]), HOUR), Moment::Again, "the snooze of the other ended");
    assert_eq!((known.doubts(1, &one, T0), known.doubts(2, &one, T0), known.doubts(1, &one, T0 + 60_000)), (true, false, false));
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
        ("the end is reported once more", &incident(&[(1, 2, Resolved, 1)]), said(&[], &[1]), notified(&[(1, 2, 3, true)]), soon, Moment::Nothing),
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
        for (moment, wanted) in [Moment::First, loud, quiet, Moment::Again, Moment::Over, Moment::Missed, Moment::Nothing].into_iter().zip(moments) {
            assert_eq!(how(moment, mode, can, true), wanted, "{mode:?} {can:?} {moment:?}");
        }
    }
    // Nothing to edit or to answer: news brings a card again, and an end needs none.
    let gone = |moment| how(moment, LivingMode::Edit, can(true, true), false);
    assert_eq!((gone(loud), gone(Moment::Again), gone(Moment::Missed)), (card(true), card(true), card(false)));
    assert_eq!(gone(Moment::Over), line(Form::Over, false, false));
}
