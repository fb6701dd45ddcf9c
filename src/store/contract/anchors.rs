//! Contract of anchors: what a message and an edit change of them (I12), and which are dirty (I14).

use super::fixtures::*;
use crate::model::{IncidentId, OutletKey, PlatformIds, Recipient, UnixMs};
use crate::store::*;

/// Opens an incident by the alert of its key: 1 for `a`, 2 for `b`.
async fn opened(store: &S, key: &str, rank: u8) -> IncidentId {
    let mut said = report(key, &[(u64::from(key.as_bytes()[0] - b'a') + 1, true)]);
    said.alerts[0].rank = rank;
    put_report(store, said, T0).await.incident.unwrap()
}

async fn confirm(store: &S, fence: &Fence, anchors: Vec<AnchorUpdate>, now: UnixMs) {
    store.record_outcome(OutcomeBatch { anchors, now, ..settlement(fence) }).await.unwrap();
}

async fn anchor(store: &S, incident: IncidentId) -> Anchor {
    super::fixtures::incident(store, incident).await.anchors.remove(0)
}

/// The incidents of dirty anchors, in the order in which they are to be edited.
async fn dirty(store: &S, now: UnixMs) -> Vec<IncidentId> {
    let channels = ["ops".to_owned(), "dba".to_owned()];
    store.dirty_anchors(&channels, now, 99).await.unwrap().into_iter().map(|one| one.anchor.incident).collect()
}

fn edit(incident: IncidentId, change: EditChange, now: UnixMs) -> EditOutcome {
    let AnchorUpdate { channel, recipient, .. } = anchored(incident, 1);
    EditOutcome {
        incident,
        channel,
        recipient,
        ids: PlatformIds::default(),
        notified: Vec::new(),
        change,
        next_edit_at: now + 5000,
        sent_in_month: None,
        now,
    }
}

/// An edit of what its anchor is now.
async fn of_now(store: &S, edit: EditOutcome) -> EditOutcome {
    let Some(detail) = store.get_incident(edit.incident).await.unwrap() else { return edit };
    match detail.anchors.into_iter().find(|anchor| anchor.channel == edit.channel && anchor.recipient == edit.recipient) {
        Some(anchor) => EditOutcome { ids: anchor.ids, notified: anchor.notified, ..edit },
        None => edit,
    }
}

pub async fn what_was_notified_commits_with_the_outcome(store: S) {
    let fence = fence(&store).await;
    let d = put_report(&store, report("a", &[(1, true)]), T0).await;
    let id = d.incident.unwrap();
    let single = message(&[d.id]);
    let update = AnchorUpdate { message: single.id, ..anchored(id, 1) };
    let sent = Cell { tries: 1, ids: PlatformIds::one("ts", "v1".to_owned()), ..cell("room", CellState::Ok) };
    let single = NewMessage { cells: vec![Cell { code: Some("0".into()), ..sent }], ..single };
    let old = Fence { epoch: fence.epoch - 1, ..fence.clone() };
    let outcome = |fence: &Fence| OutcomeBatch {
        anchors: vec![update.clone()],
        deliveries: vec![change(&d, State::Sent)],
        attempt: Some(ended("ok", T0)),
        now: T0 + 7,
        ..with_message(fence, single.clone(), true)
    };
    assert!(matches!(store.record_outcome(outcome(&old)).await, Err(StoreError::Fenced)));
    assert!(super::fixtures::incident(&store, id).await.anchors.is_empty(), "nothing of a fenced outcome stays");
    store.record_outcome(outcome(&fence)).await.unwrap();
    assert_eq!(row(&store, d.id).await.state, State::Sent);
    let made = anchor(&store, id).await;
    assert_eq!(
        (made.channel.as_str(), made.recipient.expose(), made.message, &made.ids),
        ("ops", "room", single.id, &PlatformIds::one("ts", "v1".to_owned()))
    );
    assert_eq!((&made.notified, made.notified_at, made.rang.at, made.shown, made.edited), (&update.notified, T0 + 7, T0 + 7, 1, true));
    assert_eq!((made.next_edit_at, made.edits, made.failures, made.reposts, made.reposted_at), (UnixMs(0), 0, 0, 0, UnixMs(0)));
    // A reply adds what it names; the anchor stays where it is.
    let notified = vec![NotifiedAlert { fingerprint: 2, rank: 0, version: 2, over: false }];
    let reply = AnchorUpdate { ids: None, notified, shown: None, edited: false, rang: None, ..anchored(id, 2) };
    confirm(&store, &fence, vec![reply.clone(), reply], T0 + 9).await;
    let replied = anchor(&store, id).await;
    let expected = [(1, 1, 1), (2, 0, 2)];
    assert_eq!(replied.notified.iter().map(|notified| (notified.fingerprint, notified.rank, notified.version)).collect::<Vec<_>>(), expected);
    assert_eq!(Anchor { notified: made.notified.clone(), shown: made.shown, ..replied }, made);
    // A digest names it for others; there is nothing to edit.
    let digest = AnchorUpdate { channel: "dba".into(), ids: None, shown: None, ..anchored(id, 1) };
    confirm(&store, &fence, vec![digest], T0 + 9).await;
    let named = anchor(&store, id).await;
    assert_eq!((named.channel.as_str(), named.ids.is_empty(), named.shown, named.edited), ("dba", true, 0, false));
    assert_eq!(dirty(&store, T0).await, [id], "its message does not show what the reply brought");
}

pub async fn every_edited_anchor_is_dirty_or_shows_its_incident(store: S) {
    let fence = fence(&store).await;
    let id = opened(&store, "a", 1).await;
    let still = AnchorUpdate { channel: "dba".into(), edited: false, ..anchored(id, 1) };
    confirm(&store, &fence, vec![anchored(id, 1), still], T0).await;
    assert_eq!(dirty(&store, T0).await, []);
    put_report(&store, report("a", &[(1, true), (2, true)]), T0 + 1).await;
    let found = store.dirty_anchors(&["ops".into()], T0, 9).await.unwrap();
    assert_eq!((found.len(), found[0].anchor.shown, found[0].incident.version), (1, 1, 2));
    assert_eq!(found[0].incident, super::fixtures::incident(&store, id).await.incident);
    confirm(&store, &fence, vec![anchored(id, 2)], T0).await;
    assert_eq!(dirty(&store, T0).await, [], "a message that shows the newest version");
    put_report(&store, report("a", &[(1, true)]), T0 + 2).await;
    confirm(&store, &fence, vec![anchored(id, 2)], T0).await;
    assert_eq!(dirty(&store, T0).await, [id], "what was sent was older than what had been reported meanwhile");
    store.record_edit(fence.clone(), of_now(&store, edit(id, EditChange::Shown(2), T0)).await).await.unwrap();
    assert_eq!(dirty(&store, T0).await, [id]);
    store.record_edit(fence.clone(), of_now(&store, edit(id, EditChange::Shown(3), T0)).await).await.unwrap();
    assert_eq!(dirty(&store, T0).await, []);
    put_report(&store, report("a", &[(1, false), (2, false)]), T0 + 3).await;
    assert_eq!(dirty(&store, T0).await, [id], "the end is to be shown, too");
}

pub async fn the_most_severe_is_edited_first_and_what_may_not_be_edited_yet_comes_last(store: S) {
    let fence = fence(&store).await;
    let mut ids = Vec::new();
    for (key, rank) in [("a", 2), ("b", 0), ("c", 2), ("d", 0), ("e", 3)] {
        ids.push(opened(&store, key, rank).await);
    }
    confirm(&store, &fence, ids.iter().map(|id| AnchorUpdate { shown: Some(0), ..anchored(*id, 1) }).collect(), T0).await;
    for (ix, after) in [(3, 9000), (4, 2000)] {
        let waits = EditOutcome { next_edit_at: T0 + after, ..edit(ids[ix], EditChange::Failed, T0) };
        store.record_edit(fence.clone(), of_now(&store, waits).await).await.unwrap();
    }
    assert_eq!(dirty(&store, T0).await, [1, 0, 2, 4, 3].map(|ix: usize| ids[ix]));
    assert_eq!(dirty(&store, T0 + 9000).await, [1, 3, 0, 2, 4].map(|ix: usize| ids[ix]));
    let two = store.dirty_anchors(&["ops".into()], T0, 4).await.unwrap();
    assert_eq!((two.len(), two[3].anchor.next_edit_at, two[3].anchor.failures), (4, T0 + 2000, 1));
    assert!(store.dirty_anchors(&["dba".into()], T0, 9).await.unwrap().is_empty());
    assert!(store.dirty_anchors(&[], T0, 9).await.unwrap().is_empty());
}

pub async fn an_edit_is_recorded_by_the_owner_of_the_outlet(store: S) {
    let fence = fence(&store).await;
    let id = opened(&store, "a", 1).await;
    confirm(&store, &fence, vec![AnchorUpdate { shown: Some(0), ..anchored(id, 1) }], T0).await;
    let before = anchor(&store, id).await;
    let old = Fence { epoch: fence.epoch - 1, ..fence.clone() };
    assert!(matches!(store.record_edit(old, of_now(&store, edit(id, EditChange::Shown(1), T0)).await).await, Err(StoreError::Fenced)));
    store.record_edit(fence.clone(), of_now(&store, edit(IncidentId(id.0 + 9), EditChange::Shown(1), T0)).await).await.unwrap();
    let elsewhere = EditOutcome { channel: "dba".into(), ..edit(id, EditChange::Shown(1), T0) };
    store.record_edit(fence.clone(), of_now(&store, elsewhere).await).await.unwrap();
    assert_eq!(anchor(&store, id).await, before, "an edit that is not this node's, and those of anchors that are gone");
    let record = async |change| {
        store.record_edit(fence.clone(), of_now(&store, edit(id, change, T0 + 1)).await).await.unwrap();
        let detail = super::fixtures::incident(&store, id).await;
        let last = detail.timeline.last().map(|row| (row.kind, row.channel.clone(), row.text.clone()));
        (detail.anchors[0].clone(), last, !dirty(&store, T0).await.is_empty())
    };
    let (failed, row, is_dirty) = record(EditChange::Failed).await;
    assert_eq!((failed.failures, failed.next_edit_at, row, is_dirty), (1, T0 + 5001, None, true));
    let (shown, row, is_dirty) = record(EditChange::Shown(1)).await;
    assert_eq!((shown.shown, shown.edits, shown.failures, is_dirty), (1, 1, 0, false));
    assert_eq!(row, Some((TimelineKind::Edited, "ops".into(), "edited to version 1".into())));
    let (gone, row, is_dirty) = record(EditChange::Gone { repost: true, why: "message_not_found".into() }).await;
    assert_eq!((gone.ids.is_empty(), gone.edited, is_dirty), (true, true, true));
    assert_eq!(row, Some((TimelineKind::Reposted, "ops".into(), "message_not_found".into())));
    let (posted, row, is_dirty) = record(EditChange::Posted { shown: 1, ids: PlatformIds::one("ts", "2".to_owned()) }).await;
    assert_eq!((&posted.ids, posted.reposts, posted.reposted_at, is_dirty), (&PlatformIds::one("ts", "2".to_owned()), 1, T0 + 1, false));
    assert_eq!(row.map(|(kind, ..)| kind), Some(TimelineKind::Reposted));
    let (ended, row, is_dirty) = record(EditChange::GivenUp("the channel is archived".into())).await;
    assert_eq!((ended.edited, &ended.ids, is_dirty), (false, &posted.ids, false));
    assert_eq!(row, Some((TimelineKind::GivenUp, "ops".into(), "the channel is archived".into())));
    put_report(&store, report("a", &[(1, true)]), T0 + 2).await;
    assert_eq!(dirty(&store, T0).await, [], "it is not tried any more");
    confirm(&store, &fence, vec![anchored(id, 2)], T0 + 3).await;
    let next = anchor(&store, id).await;
    assert!(next.edited && !next.notified.is_empty(), "until the next message is the anchor");
    let over = next.notified.iter().map(|one| one.fingerprint).collect();
    let (last, _, is_dirty) = record(EditChange::Last { shown: 2, over }).await;
    assert!(!last.edited && !is_dirty && last.notified.iter().all(|one| one.over), "its readers know of the end: {last:?}");
}

pub async fn one_message_to_several_is_edited_for_all_of_them(store: S) {
    let fence = fence(&store).await;
    let id = opened(&store, "a", 1).await;
    let to = |name: &str| AnchorUpdate { recipient: Recipient::new(name), shown: Some(0), ..anchored(id, 1) };
    let another = AnchorUpdate { ids: Some(PlatformIds::one("ts", "v2".to_owned())), ..to("elsewhere") };
    let elsewhere = AnchorUpdate { channel: "dba".into(), ..to("bob") };
    confirm(&store, &fence, vec![to("room"), to("ann"), another, elsewhere], T0).await;
    let behind = async || {
        let anchors = super::fixtures::incident(&store, id).await.anchors;
        let dirty = anchors.iter().filter(|anchor| anchor.is_dirty(1));
        dirty.map(|anchor| (anchor.channel.clone(), anchor.recipient.expose().to_owned())).collect::<Vec<_>>()
    };
    let rest = [("dba", "bob"), ("ops", "elsewhere")].map(|(channel, to)| (channel.to_owned(), to.to_owned()));
    assert_eq!(behind().await.len(), 4);
    store.record_edit(fence.clone(), of_now(&store, edit(id, EditChange::Shown(1), T0)).await).await.unwrap();
    assert_eq!(behind().await, rest);
    // What is gone is gone for all of them, and the timeline says so once.
    let gone = EditChange::Gone { repost: true, why: "deleted".into() };
    store.record_edit(fence.clone(), of_now(&store, edit(id, gone, T0)).await).await.unwrap();
    assert_eq!(behind().await.len(), 4);
    // Each of them gets a message of its own then.
    let posted = EditChange::Posted { shown: 1, ids: PlatformIds::one("ts", "v9".to_owned()) };
    store.record_edit(fence, of_now(&store, edit(id, posted, T0)).await).await.unwrap();
    assert_eq!(behind().await.len(), 3);
    let rows = super::fixtures::incident(&store, id).await.timeline;
    assert_eq!(rows.iter().filter(|row| row.text == "deleted").count(), 1);
}

pub async fn a_copy_of_a_message_is_kept_with_its_anchor(store: S) {
    let fence = fence(&store).await;
    let id = opened(&store, "a", 1).await;
    let update = anchored(id, 1);
    confirm(&store, &fence, vec![update.clone()], T0).await;
    let (before, copy) = (anchor(&store, id).await, PlatformIds::one("ts", "copy".to_owned()));
    let keep =
        async |incident: IncidentId, channel: &str, ids: &PlatformIds| store.keep_copy(incident, channel, &update.recipient, ids).await.unwrap();
    assert!(!keep(id, "ops", &before.ids).await, "it is the message itself");
    assert!(!keep(id, "dba", &copy).await && !keep(IncidentId(id.0 + 9), "ops", &copy).await, "there is no anchor");
    // Of a message that another incident, or another channel of this one, already has.
    let other = opened(&store, "b", 1).await;
    let named = |ts: &str| PlatformIds::one("ts", ts.to_owned());
    let of_other = AnchorUpdate { ids: Some(named("other").with_copy(&named("its copy"))), ..anchored(other, 1) };
    let of_dba = AnchorUpdate { channel: "dba".into(), ids: Some(named("dba")), ..anchored(id, 1) };
    confirm(&store, &fence, vec![of_other, of_dba], T0).await;
    for known in ["other", "its copy", "dba"] {
        assert!(!keep(id, "ops", &named(known)).await, "{known}");
    }
    let anchor = async |store: &S, id: IncidentId| {
        super::fixtures::incident(store, id).await.anchors.into_iter().find(|anchor| anchor.channel == "ops").unwrap()
    };
    assert_eq!(dirty(&store, T0).await, []);
    assert!(keep(id, "ops", &copy).await);
    assert!(!keep(id, "ops", &copy).await, "once");
    let kept = anchor(&store, id).await;
    assert_eq!((kept.ids.all(), kept.shown), (vec![before.ids.clone(), copy.clone()], 0));
    assert_eq!(Anchor { ids: before.ids.clone(), shown: before.shown, ..kept }, before);
    assert_eq!(dirty(&store, T0).await, [id]);
    store.record_edit(fence.clone(), of_now(&store, edit(id, EditChange::Shown(1), T0)).await).await.unwrap();
    assert_eq!(dirty(&store, T0).await, []);
    let gone = EditChange::Gone { repost: true, why: "message_not_found".into() };
    store.record_edit(fence.clone(), of_now(&store, edit(id, gone, T0)).await).await.unwrap();
    assert_eq!((anchor(&store, id).await.ids, dirty(&store, T0).await), (copy, vec![id]), "the copy takes its place");
}

pub async fn of_very_many_edits_the_timeline_has_one_line(store: S) {
    let fence = fence(&store).await;
    let id = opened(&store, "a", 1).await;
    let elsewhere = AnchorUpdate { channel: "dba".into(), ..anchored(id, 1) };
    let second = AnchorUpdate { recipient: Recipient::new("second"), ids: Some(PlatformIds::one("ts", "second".to_owned())), ..anchored(id, 1) };
    confirm(&store, &fence, vec![anchored(id, 1), elsewhere, second], T0).await;
    let shown = async |channel: &str, to: &str, version: i64| {
        let one = EditOutcome { channel: channel.into(), recipient: Recipient::new(to), ..edit(id, EditChange::Shown(version), T0 + version) };
        store.record_edit(fence.clone(), of_now(&store, one).await).await.unwrap();
    };
    for version in 1..=13 {
        shown("ops", "room", version).await;
        if version >= 11 {
            shown("dba", "room", version).await;
            shown("ops", "second", 100 + version).await;
        }
    }
    let rows = super::fixtures::incident(&store, id).await.timeline;
    let of = |channel: &str| rows.iter().filter(|row| row.channel == channel).map(|row| (row.at - T0, row.text.clone())).collect::<Vec<_>>();
    let line = |version: i64, rest: &str| (version, format!("edited to version {version}{rest}"));
    let mut ops: Vec<_> = (1..=9).chain([111, 112]).map(|version| line(version, "")).collect();
    ops.extend([line(13, ", the last of 13 edits"), line(113, "")]);
    assert_eq!(of("ops"), ops, "what another message of the channel says stays");
    assert_eq!(of("dba"), [11, 12, 13].map(|version| line(version, "")), "each channel has lines of its own");
}

pub async fn edits_of_what_ended_long_ago_are_given_up(store: S) {
    let fence = fence(&store).await;
    let (ended, young, open) = (opened(&store, "a", 1).await, opened(&store, "b", 1).await, opened(&store, "c", 1).await);
    let anchors = [ended, young, open].map(|id| AnchorUpdate { shown: Some(0), ..anchored(id, 1) });
    confirm(&store, &fence, anchors.to_vec(), T0).await;
    put_report(&store, report("a", &[(1, false)]), T0 + 1).await;
    put_report(&store, report("b", &[(2, false)]), T0 + 2).await;
    assert_eq!(store.stats().await.unwrap().behind, [("ops".to_owned(), 2)]);
    let ops = ["ops".to_owned()];
    for (ended_before, given_up) in [(T0 + 1, 0), (T0 + 2, 1), (T0 + 2, 0)] {
        assert_eq!(store.give_up_edits(ended_before, &ops, T0 + MIN).await.unwrap(), given_up);
    }
    assert_eq!(dirty(&store, T0).await, [young, open]);
    let detail = super::fixtures::incident(&store, ended).await;
    let last = detail.timeline.last().expect("it says so");
    assert_eq!((last.kind, last.channel.as_str(), last.at, detail.anchors[0].edited), (TimelineKind::GivenUp, "ops", T0 + MIN, false));
    // What nobody knows is not over.
    assert_eq!(store.end_stale_incidents(T0 + MIN, T0 + MIN, 9).await.unwrap(), 1);
    assert_eq!(store.stats().await.unwrap().behind, [("ops".to_owned(), 1)]);
}

pub async fn an_edit_counts_in_the_month_of_its_outlet(store: S) {
    let fence = fence(&store).await;
    let id = opened(&store, "a", 1).await;
    confirm(&store, &fence, vec![anchored(id, 1)], T0).await;
    for (month, sends) in [("2026-11", 2), ("2026-11", 1), ("2026-10", 9)] {
        let counted = EditOutcome { sent_in_month: Some(MonthlySends { month: month.into(), sends }), ..edit(id, EditChange::Failed, T0) };
        store.record_edit(fence.clone(), counted).await.unwrap();
    }
    let outlets = store.stats().await.unwrap().outlets;
    assert_eq!(outlets.iter().map(|outlet| (outlet.month.as_str(), outlet.month_sent)).collect::<Vec<_>>(), [("2026-11", 3)]);
}

pub async fn of_an_edit_that_nothing_makes_the_timeline_says_so_once(store: S) {
    let fence = fence(&store).await;
    let (behind, shown) = (opened(&store, "a", 1).await, opened(&store, "b", 2).await);
    let anchors = [behind, shown].map(|id| anchored(id, 1));
    confirm(&store, &fence, anchors.to_vec(), T0).await;
    put_report(&store, report("a", &[(1, false)]), T0 + 1).await;
    let lost = async |id| {
        let rows = super::fixtures::incident(&store, id).await.timeline;
        rows.into_iter().filter(|row| row.kind == TimelineKind::Lost).map(|row| (row.channel, row.at)).collect::<Vec<_>>()
    };
    for (channels, at) in [(vec!["ops".to_owned()], T0 + 2), (vec!["night".to_owned()], T0 + 3), (Vec::new(), T0 + 4)] {
        assert_eq!(store.give_up_edits(T0, &channels, at).await.unwrap(), 0);
    }
    assert_eq!((lost(behind).await, lost(shown).await), (vec![("ops".to_owned(), T0 + 3)], Vec::new()));
    assert_eq!(dirty(&store, T0).await, [behind], "the channel may come back");
    // It did, edited what was not the newest, and went again.
    store.record_edit(fence, of_now(&store, edit(behind, EditChange::Shown(1), T0 + 5)).await).await.unwrap();
    assert_eq!(dirty(&store, T0).await, [behind]);
    for at in [T0 + 7, T0 + 8] {
        assert_eq!(store.give_up_edits(T0, &[], at).await.unwrap(), 0);
    }
    assert_eq!(lost(behind).await, [("ops".to_owned(), T0 + 3), ("ops".to_owned(), T0 + 7)]);
}

pub async fn anchors_follow_a_renamed_channel(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (opened(&store, "a", 1).await, opened(&store, "b", 1).await);
    let known = AnchorUpdate { channel: "night".into(), ..anchored(b, 1) };
    let both = [a, b].map(|id| AnchorUpdate { shown: Some(0), ..anchored(id, 1) });
    confirm(&store, &fence, both.into_iter().chain([known.clone()]).collect(), T0).await;
    // What another node holds by a lease uses the former name.
    let elsewhere = Relocation { node: "n2".into(), ..to_channel("night", &OutletKey::from_stored("log:2")) };
    assert_eq!(store.relocate("ops", &elsewhere).await.unwrap(), 0);
    assert_eq!(dirty(&store, T0).await, [a, b]);
    store.relocate("ops", &to_channel("night", &outlet())).await.unwrap();
    assert_eq!(dirty(&store, T0).await, []);
    let found = store.dirty_anchors(&["night".into()], T0, 9).await.unwrap();
    assert_eq!(found.iter().map(|one| (one.anchor.incident, one.anchor.channel.as_str())).collect::<Vec<_>>(), [(a, "night")]);
    let anchors = super::fixtures::incident(&store, b).await.anchors;
    assert_eq!(anchors.iter().map(|anchor| (anchor.channel.as_str(), anchor.message)).collect::<Vec<_>>(), [("night", known.message)]);
}
