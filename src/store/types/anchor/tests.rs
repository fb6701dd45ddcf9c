use proptest::prelude::*;

use super::*;

const T0: UnixMs = UnixMs(1_764_000_000_000);

fn notified(fingerprint: u64, version: i64) -> NotifiedAlert {
    NotifiedAlert { fingerprint, rank: 1, version, over: false }
}

fn update(ids: Option<PlatformIds>) -> AnchorUpdate {
    AnchorUpdate {
        incident: IncidentId(7),
        channel: "ops".into(),
        recipient: Recipient::new("room"),
        message: MessageId::new(),
        ids,
        notified: vec![notified(1, 2)],
        shown: Some(2),
        edited: true,
        rang: Some(1),
    }
}

/// The anchor after an edit of what it is now.
fn edited(anchor: Anchor, change: EditChange, now: UnixMs) -> (Anchor, Option<TimelineRow>) {
    let AnchorUpdate { incident, channel, recipient, .. } = update(None);
    let (ids, notified) = (anchor.ids.clone(), anchor.notified.clone());
    anchor.after_edit(&EditOutcome { incident, channel, recipient, ids, notified, change, next_edit_at: now + 5000, sent_in_month: None, now })
}

fn id(name: &str) -> PlatformIds {
    PlatformIds::one("ts", name.to_owned())
}

#[test]
fn of_each_alert_the_newest_notification_is_kept() {
    let before = [notified(1, 3), notified(2, 3)];
    assert_eq!(merge_notified(&before, &[notified(1, 5), notified(3, 5)]), [notified(2, 3), notified(1, 5), notified(3, 5)]);
    assert_eq!(merge_notified(&before, &[notified(1, 2)]), before, "an outcome that comes late does not undo a newer one");
    let same = NotifiedAlert { rank: 0, ..notified(1, 3) };
    assert_eq!(merge_notified(&before, &[same]), [notified(2, 3), same], "at the same version what came last counts");
    assert_eq!(merge_notified(&[], &[notified(1, 1), notified(1, 2)]), [notified(1, 2)]);
    let many: Vec<NotifiedAlert> = (0..MAX_INCIDENT_ALERTS as u64 + 5).map(|fingerprint| notified(fingerprint, 1)).collect();
    let kept = merge_notified(&many, &[]);
    assert_eq!((kept.len(), kept[0].fingerprint), (MAX_INCIDENT_ALERTS, 5));
}

#[test]
fn a_message_becomes_the_anchor_by_its_ids() {
    let digest = AnchorUpdate { rang: None, shown: None, ..update(None) };
    let first = Anchor::confirmed(None, &digest, T0);
    assert_eq!((first.message, first.notified_at, first.rang, first.shown), (digest.message, T0, Rang::default(), 0));
    assert!(first.ids.is_empty() && !first.edited && !first.is_dirty(9), "what a digest named has no message of its own");
    let living = AnchorUpdate { notified: vec![notified(2, 3)], shown: Some(3), ..update(Some(id("1"))) };
    let anchor = Anchor::confirmed(Some(first), &living, T0 + 1);
    assert_eq!(
        (anchor.message, &anchor.ids, anchor.notified_at, anchor.rang, anchor.shown),
        (living.message, &id("1"), T0, Rang { at: T0 + 1, version: 1 }, 3)
    );
    assert!(!anchor.is_dirty(3) && anchor.is_dirty(4));
    let reply = AnchorUpdate { notified: vec![notified(5, 3)], shown: None, edited: false, ..update(None) };
    let replied = Anchor::confirmed(Some(anchor.clone()), &reply, T0 + 2);
    assert_eq!((replied.message, &replied.ids, replied.edited), (anchor.message, &anchor.ids, true), "a reply leaves it where it is");
    assert!(replied.is_dirty(3), "and it does not show yet what the reply brought");
    let again = Anchor::confirmed(Some(Anchor { shown: 3, ..replied.clone() }), &reply, T0 + 3);
    assert_eq!(again.shown, 3, "nothing new");
    // An edit that was begun before knows nothing of it, and one of another message nothing at all.
    let AnchorUpdate { incident, channel, recipient, .. } = reply;
    let (ids, known, change) = (anchor.ids.clone(), anchor.notified.clone(), EditChange::Shown(9));
    let edit = EditOutcome { incident, channel, recipient, ids, notified: known, change, next_edit_at: T0, sent_in_month: None, now: T0 };
    assert!(replied.clone().after_edit(&edit).0.is_dirty(9));
    assert_eq!(replied.clone().after_edit(&EditOutcome { ids: id("other"), ..edit }).0, replied);
    assert_eq!(replied.notified, [notified(1, 2), notified(2, 3), notified(5, 3)]);
}

#[test]
fn a_message_that_is_edited_stays_the_anchor_beside_one_that_is_not() {
    let first = Anchor::confirmed(None, &update(Some(id("1"))), T0);
    let further = AnchorUpdate { notified: vec![notified(2, 3)], shown: Some(3), edited: false, ..update(Some(id("2"))) };
    let both = Anchor::confirmed(Some(first.clone()), &further, T0 + 1);
    assert_eq!((&both.ids, both.message, both.edited, both.is_dirty(3)), (&id("1"), first.message, true, true));
    assert_eq!(both.notified, [notified(1, 2), notified(2, 3)]);
    for gone in [Anchor { ids: PlatformIds::default(), ..first.clone() }, Anchor { edited: false, ..first }] {
        let next = Anchor::confirmed(Some(gone), &further, T0 + 1);
        assert_eq!((&next.ids, next.message, next.edited), (&id("2"), further.message, false), "nothing of it is edited");
    }
}

#[test]
fn an_edit_changes_what_is_shown_and_a_lost_message_is_posted_again() {
    let anchor = Anchor::confirmed(None, &update(Some(id("1"))), T0);
    let (failed, row) = edited(anchor, EditChange::Failed, T0);
    assert_eq!((failed.failures, failed.shown, failed.next_edit_at, row), (1, 2, T0 + 5000, None));
    let (shown, row) = edited(failed, EditChange::Shown(4), T0);
    assert_eq!((shown.failures, shown.shown, shown.edits), (0, 4, 1));
    let line = |row: Option<TimelineRow>| row.map(|row| (row.kind, row.channel, row.text));
    let said = |text: &str| Some((TimelineKind::Edited, "ops".to_owned(), text.to_owned()));
    assert_eq!(line(row), said("edited to version 4"));
    for (before, text, replaced) in [
        (8, "edited to version 9", None),
        (9, "edited to version 9, the last of 10 edits", None),
        (10, "edited to version 9, the last of 11 edits", Some(", the last of 10 edits")),
    ] {
        let (last, row) = edited(Anchor { edits: before, ..shown.clone() }, EditChange::Shown(9), T0);
        assert_eq!((last.replaced_edit_line(row.as_ref().unwrap()).as_deref(), line(row)), (replaced, said(text)), "after {before}");
    }
    let (older, _) = edited(shown.clone(), EditChange::Shown(3), T0);
    assert_eq!(older.shown, 4, "an answer that comes late shows nothing older");
    let gone = EditChange::Gone { repost: true, why: "message_not_found".into() };
    let (gone, row) = edited(shown, gone, T0);
    assert!(gone.ids.is_empty() && gone.is_dirty(4));
    assert_eq!(row.map(|row| (row.kind, row.channel, row.text)), Some((TimelineKind::Reposted, "ops".into(), "message_not_found".into())));
    let posted = EditChange::Posted { shown: 5, ids: id("2") };
    let (mut posted, row) = edited(gone, posted, T0);
    assert_eq!((&posted.ids, posted.shown, posted.reposts, row.map(|row| row.kind)), (&id("2"), 5, 1, Some(TimelineKind::Reposted)));
    for (after, reposts) in [(1000, 2), (REPOSTS_WITHIN_MS - 1, 3), (REPOSTS_WITHIN_MS, 1)] {
        posted = edited(posted, EditChange::Posted { shown: 5, ids: id("2") }, T0 + after).0;
        assert_eq!((posted.reposts, posted.recent_reposts(T0 + after)), (reposts, reposts), "after {after} ms");
    }
    assert_eq!(posted.recent_reposts(T0 + 2 * REPOSTS_WITHIN_MS), 0);
    let lost = EditChange::Gone { repost: false, why: "three times in an hour".into() };
    let (lost, row) = edited(posted.clone(), lost, T0);
    assert_eq!((lost.is_dirty(9), row.map(|row| row.kind)), (false, Some(TimelineKind::GivenUp)), "it waits for the next news");
    let (ended, row) = edited(posted, EditChange::GivenUp("too old".into()), T0);
    assert_eq!((ended.is_dirty(9), &ended.ids, row.map(|row| row.text)), (false, &id("2"), Some("too old".into())));
}

/// A message that takes one edit is edited for what that is kept for; what is news then is another message.
#[test]
fn the_only_edit_of_a_message_is_its_last() {
    let anchor = Anchor::confirmed(None, &update(Some(id("1"))), T0);
    let (kept, row) = edited(anchor, EditChange::Kept(4), T0);
    assert_eq!((kept.shown, kept.edits, kept.edited, row), (4, 0, true, None), "nothing was sent");
    assert!(!kept.is_dirty(4) && kept.is_dirty(5));
    let (last, row) = edited(kept.clone(), EditChange::Last { shown: 5, over: Vec::new() }, T0);
    assert_eq!((last.shown, last.edits, last.edited, &last.ids), (5, 1, false, &id("1")));
    assert_eq!(row.map(|row| (row.kind, row.text)), Some((TimelineKind::Edited, "edited to version 5".into())));
    assert!(!last.is_dirty(9));
    let next = Anchor::confirmed(Some(last.clone()), &AnchorUpdate { shown: Some(9), ..update(Some(id("2"))) }, T0);
    assert_eq!((&next.ids, next.edited), (&id("2"), true), "what is news is the next anchor");
    // The end was left to the edit that was in flight, or had just been made: whichever of them is stored first, it is posted again.
    let over = NotifiedAlert { over: true, ..notified(1, 6) };
    let end = AnchorUpdate { notified: vec![over], shown: None, rang: None, ..update(None) };
    let AnchorUpdate { incident, channel, recipient, .. } = update(None);
    let (ids, known, change) = (kept.ids.clone(), kept.notified.clone(), EditChange::Last { shown: 5, over: Vec::new() });
    let edit = EditOutcome { incident, channel, recipient, ids, notified: known, change, next_edit_at: T0, sent_in_month: None, now: T0 };
    let end_first = Anchor::confirmed(Some(kept), &end, T0).after_edit(&edit).0;
    let edit_first = Anchor::confirmed(Some(last.clone()), &end, T0);
    for lost in [end_first, edit_first] {
        assert_eq!((lost.ids.is_empty(), lost.edited, lost.shown, lost.is_dirty(6)), (true, true, 0, true));
    }
    // A repeat is no end.
    let repeat = AnchorUpdate { notified: vec![notified(1, 6)], ..end };
    assert!(!Anchor::confirmed(Some(last), &repeat, T0).is_dirty(9));
}

/// The delivery of an end may come after the edit that shows it, as after a mute: its readers know of it.
#[test]
fn what_the_only_edit_shows_to_be_over_is_known_to_be() {
    let two = AnchorUpdate { notified: vec![notified(1, 2), notified(2, 2)], ..update(Some(id("1"))) };
    let anchor = Anchor::confirmed(None, &two, T0);
    let over = |anchor: &Anchor| anchor.notified.iter().map(|one| (one.fingerprint, one.over)).collect::<Vec<_>>();
    let last = || EditChange::Last { shown: 5, over: vec![1] };
    assert_eq!(over(&edited(anchor.clone(), last(), T0).0), [(1, true), (2, false)]);
    // What fires again, and was notified while the edit was in flight, is not over.
    let AnchorUpdate { incident, channel, recipient, .. } = update(None);
    let (ids, known, change) = (anchor.ids.clone(), anchor.notified.clone(), last());
    let edit = EditOutcome { incident, channel, recipient, ids, notified: known, change, next_edit_at: T0, sent_in_month: None, now: T0 };
    let line = |over| AnchorUpdate { notified: vec![NotifiedAlert { over, ..notified(1, 6) }], shown: None, rang: None, ..update(None) };
    let again = Anchor::confirmed(Some(anchor.clone()), &line(false), T0).after_edit(&edit).0;
    assert_eq!(over(&again), [(2, false), (1, false)]);
    // An end that was left to the edit meanwhile, and that it shows, needs no other message.
    let ended = Anchor::confirmed(Some(anchor), &line(true), T0).after_edit(&edit).0;
    assert_eq!((over(&ended), ended.edited, &ended.ids), (vec![(2, false), (1, true)], false, &id("1")));
}

#[test]
fn a_copy_that_is_found_is_edited_with_its_message() {
    let anchor = Anchor::confirmed(None, &update(Some(id("1"))), T0);
    assert_eq!(anchor.clone().with_copy(&id("1")), None, "it is the message itself");
    let both = anchor.clone().with_copy(&id("2")).unwrap();
    assert_eq!((both.ids.all(), both.shown, both.is_dirty(2)), (vec![id("1"), id("2")], 0, true));
    assert_eq!(both.clone().with_copy(&id("2")), None);
    assert_eq!(Anchor { edited: false, ..anchor.clone() }.with_copy(&id("2")), None, "nothing would edit it");
    // One that is gone leaves the other in its place; after that there is none.
    let gone = || EditChange::Gone { repost: true, why: "message_not_found".into() };
    let (left, row) = edited(both.clone(), gone(), T0);
    assert_eq!((&left.ids, left.is_dirty(2), row), (&id("2"), true, None));
    let (none, row) = edited(left, gone(), T0);
    assert_eq!((none.ids.is_empty(), none.edited, row.map(|row| row.kind)), (true, true, Some(TimelineKind::Reposted)));
    // One that was posted again while the copy was found is not forgotten.
    let AnchorUpdate { incident, channel, recipient, .. } = update(None);
    let (ids, known, change) = (PlatformIds::default(), none.notified.clone(), EditChange::Posted { shown: 2, ids: id("4") });
    let repost = EditOutcome { incident, channel, recipient, ids, notified: known, change, next_edit_at: T0, sent_in_month: None, now: T0 };
    let (three, row) = none.clone().with_copy(&id("3")).unwrap().after_edit(&repost);
    assert_eq!((three.ids.all(), three.shown, three.is_dirty(2), three.reposts), (vec![id("3"), id("4")], 0, true, 1));
    assert_eq!(row.map(|row| (row.kind, row.text)), Some((TimelineKind::Reposted, "posted again as it is now".into())));
    // What was posted again, perhaps, and is pressed: it lives on.
    let (lost, _) = edited(none, EditChange::GivenUp("posted again, perhaps".into()), T0);
    let found = lost.with_copy(&id("3")).unwrap();
    assert_eq!((&found.ids, found.edited, found.is_dirty(2)), (&id("3"), true, true));
}

proptest! {
    #[test]
    fn notifications_survive_the_store(all in proptest::collection::vec((any::<u64>(), any::<u8>(), any::<i64>()), 0..9)) {
        let all: Vec<NotifiedAlert> = all.into_iter().map(|(fingerprint, rank, version)| NotifiedAlert { fingerprint, rank, version, over: version % 2 == 0 }).collect();
        prop_assert_eq!(read_notified(&write_notified(&all)), all);
    }
}
