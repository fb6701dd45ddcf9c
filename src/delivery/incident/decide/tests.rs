use super::*;
use crate::delivery::incident::NotifiedIncident;
use crate::model::{EventId, IncidentId, Severity};
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
        ("it becomes more severe", &incident(&[(1, 0, Firing, 1)]), said(&[(1, 0)], &[]), notified(&[(1, 2, 3, false)]), soon, news(true)),
        (
            "it becomes more severe, but something worse fires",
            &incident(&[(1, 1, Firing, 1), (2, 0, Firing, 1)]),
            said(&[(1, 1)], &[]),
            notified(&[(1, 2, 3, false), (2, 0, 3, false)]),
            soon,
            news(false),
        ),
        ("it becomes less severe", &incident(&[(1, 2, Firing, 1)]), said(&[(1, 2)], &[]), notified(&[(1, 0, 3, false)]), soon, Moment::Nothing),
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
    let can = |edit, reply| Living { edit, reply, ..Living::NEW };
    let once = Living { spends: Some("code"), ..can(true, false) };
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
        (
            LivingMode::Edit,
            once,
            [
                card(true),
                line(Form::News, false, true),
                line(Form::News, false, false),
                line(Form::Again, false, true),
                How::Silent,
                How::Silent,
                How::Silent,
            ],
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

/// It is measured from the first report of what fires, and for the first message alone.
#[test]
fn how_long_a_channel_was_not_notified_is_known_at_its_first_message() {
    let mut one = incident(&[(1, 2, Firing, 1), (2, 0, Firing, 2), (3, 0, Resolved, 2), (4, 0, Firing, 1)]);
    for (alert, after) in one.alerts.iter_mut().zip([5_000, 9_000, 1_000, 2_000]) {
        alert.changed_at = T0 + after;
    }
    let first = |said: Said| NotifiedIncident::of(&one, &said, &[], true).first_after(T0 + 20_000);
    assert_eq!(first(said(&[(1, 2), (2, 0)], &[3])), Some((Severity::Critical, Duration::from_secs(15))), "the first of those in it");
    assert_eq!(first(said(&[(2, 0)], &[])), Some((Severity::Critical, Duration::from_secs(11))), "a channel that only gets what came later");
    assert_eq!(first(said(&[(1, 2)], &[])), Some((Severity::Warning, Duration::from_secs(15))));
    assert_eq!(first(said(&[], &[3])), None, "nothing fires");
    let known = NotifiedIncident { first_notified: Some(T0), ..NotifiedIncident::of(&one, &said(&[(1, 2)], &[]), &[], true) };
    assert_eq!(known.first_after(T0 + 20_000), None, "it is no first message");
}

/// A message that can be changed once is changed for who is on it, or for its end.
#[test]
fn the_only_edit_is_kept_for_who_is_on_it_or_for_the_end() {
    let one = |fingerprint, over| NotifiedAlert { fingerprint, rank: 2, version: 1, over };
    let anchor = Anchor {
        incident: IncidentId(1842),
        channel: "ops".into(),
        recipient: Recipient::new("room"),
        message: crate::model::MessageId::new(),
        ids: crate::model::PlatformIds::one("code", "rc".to_owned()),
        notified: vec![one(1, false), one(2, false)],
        notified_at: T0,
        rang: Rang::default(),
        shown: 1,
        edited: true,
        next_edit_at: UnixMs::EPOCH,
        edits: 0,
        failures: 0,
        reposts: 0,
        reposted_at: UnixMs::EPOCH,
    };
    let by = |pressed: Option<crate::model::MessageId>, alerts: &[u64]| crate::store::Ack {
        by: crate::store::Actor { id: "person:anna".into(), name: "Anna".into(), via: "WeCom".into() },
        at: T0,
        until: None,
        remind_at: None,
        reminded_in: 0,
        expires_at: None,
        rank: 2,
        alerts: alerts.to_vec(),
        pressed,
    };
    let ack = |alerts: &[u64]| by(None, alerts);
    let pressed = |alerts: &[u64]| by(Some(anchor.message), alerts);
    // Another team's alert is among them: nothing of it is in this message.
    let of = |first, second, acks: Vec<crate::store::Ack>| {
        let mut incident = incident(&[(1, 2, first, 1), (2, 2, second, 1), (3, 0, Firing, 1)]);
        incident.acks.list = acks;
        incident
    };
    for (why, incident, wanted) in [
        ("it goes on", of(Firing, Firing, vec![]), false),
        ("a part of it is over", of(Firing, Resolved, vec![]), false),
        ("it is not reported any more", of(Resolved, Unreported, vec![]), false),
        ("it is over", of(Resolved, Resolved, vec![]), true),
        ("somebody is on a part", of(Firing, Firing, vec![ack(&[1])]), false),
        ("somebody is on all of it", of(Firing, Firing, vec![ack(&[1, 2])]), true),
        ("somebody is on all that fires", of(Firing, Resolved, vec![ack(&[1])]), true),
        ("the press showed it", of(Firing, Firing, vec![pressed(&[1, 2])]), false),
        ("the press showed a part of it", of(Firing, Firing, vec![pressed(&[1]), ack(&[2])]), true),
        // On another channel, of the same platform too, or on the short card beside it.
        ("another message was pressed", of(Firing, Firing, vec![by(Some(crate::model::MessageId::new()), &[1, 2])]), true),
        ("nobody knows", Incident { state: IncidentState::Stale, ..of(Firing, Firing, vec![]) }, true),
    ] {
        assert_eq!(deserves_its_edit(&anchor, &incident), wanted, "{why}");
    }
    assert!(is_over(&anchor, &of(Resolved, Resolved, vec![])) && !is_over(&anchor, &of(Firing, Resolved, vec![ack(&[1])])));
}

/// A recipient who was added, or whom no card reached, takes nothing from the others' card.
#[test]
fn a_card_that_lives_stays_the_card_though_another_recipient_has_none() {
    let anchor = |to: &str| crate::store::Anchor {
        incident: IncidentId(1842),
        channel: "ops".into(),
        recipient: Recipient::new(to),
        message: crate::model::MessageId::new(),
        ids: crate::model::PlatformIds::one("id", "1".to_owned()),
        notified: Vec::new(),
        notified_at: T0,
        rang: Rang::default(),
        shown: 1,
        edited: true,
        next_edit_at: T0,
        edits: 0,
        failures: 0,
        reposts: 0,
        reposted_at: UnixMs::EPOCH,
    };
    let to = ["a", "b"].map(Recipient::new);
    let can = |reply| Living { edit: true, reply, edits_counted: false, spends: None, default: LivingMode::Edit };
    let how = |moment, reply, anchors: &[Anchor]| how_for(moment, LivingMode::Edit, can(reply), anchors, &to);
    let line = |form, reply, mentions| How::Line { form, reply, mentions };
    let (one, both) = ([anchor("a")], [anchor("a"), anchor("b")]);
    let (news, quiet) = (Moment::News { mentions: true }, Moment::News { mentions: false });
    for reply in [true, false] {
        // A reply has no link of its own, which who has no card needs.
        assert_eq!(how(news, reply, &one), line(Form::News, false, true));
        assert_eq!(how(quiet, reply, &one), line(Form::News, false, false));
        assert_eq!(how(Moment::Over, reply, &one), line(Form::Over, false, false));
        assert_eq!(how(news, reply, &both), line(Form::News, reply, true));
        assert_eq!(how(Moment::Nothing, reply, &one), How::Silent);
        assert_eq!(how(news, reply, &[]), How::Card { mentions: true, reply: false });
    }
    assert_eq!((how(quiet, false, &both), how(Moment::Over, false, &both)), (How::Silent, How::Silent));
    // Who is called by a later step reads all of it.
    let step = |anchors: &[Anchor]| how_for(decide_step(anchors, &to), LivingMode::Edit, can(true), anchors, &to);
    assert_eq!((step(&one), step(&both)), (How::Card { mentions: true, reply: false }, line(Form::Again, true, true)));
}
