//! Anchors: where the message of an incident is on each channel, and what its readers know.

use std::collections::{HashMap, HashSet};

use super::incident::MAX_INCIDENT_ALERTS;
use super::{Incident, TimelineKind, TimelineRow};
use crate::model::{IncidentId, MessageId, PlatformIds, Recipient, UnixMs};

/// Reposts are counted for so long, in milliseconds.
const REPOSTS_WITHIN_MS: i64 = 3_600_000;

/// An alert that a channel was notified of: the incident's version as of which, and its rank then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldAlert {
    /// Eight bytes of its fingerprint.
    pub fingerprint: u64,
    /// 0 critical .. 3 info.
    pub rank: u8,
    /// The incident's version.
    pub version: i64,
}

const TOLD_BYTES: usize = 8 + 1 + 8;

/// What a channel was notified of, as its row holds it.
pub fn read_told(stored: &[u8]) -> Vec<ToldAlert> {
    let read = |bytes: &[u8; TOLD_BYTES]| {
        Some(ToldAlert {
            fingerprint: u64::from_be_bytes(*bytes.first_chunk()?),
            rank: bytes[8],
            version: i64::from_be_bytes(*bytes[9..].first_chunk()?),
        })
    };
    stored.as_chunks::<TOLD_BYTES>().0.iter().filter_map(read).collect()
}

/// The same, to be stored.
pub fn write_told(told: &[ToldAlert]) -> Vec<u8> {
    let mut out = Vec::with_capacity(told.len() * TOLD_BYTES);
    for one in told {
        out.extend(one.fingerprint.to_be_bytes());
        out.push(one.rank);
        out.extend(one.version.to_be_bytes());
    }
    out
}

/// Earlier notifications and those of now: of each alert the newest, in the order of the newest; of very many the last [`MAX_INCIDENT_ALERTS`].
pub fn merge_told(before: &[ToldAlert], now: &[ToldAlert]) -> Vec<ToldAlert> {
    let newer: HashMap<u64, i64> = now.iter().map(|one| (one.fingerprint, one.version)).collect();
    let stays = |one: &&ToldAlert| newer.get(&one.fingerprint).is_none_or(|version| *version < one.version);
    let mut all: Vec<ToldAlert> = before.iter().filter(stays).copied().collect();
    let mut named: HashSet<u64> = all.iter().map(|one| one.fingerprint).collect();
    // The last that names an alert counts.
    let mut added: Vec<ToldAlert> = now.iter().rev().filter(|one| named.insert(one.fingerprint)).copied().collect();
    added.reverse();
    all.append(&mut added);
    let first = all.len().saturating_sub(MAX_INCIDENT_ALERTS);
    all.split_off(first)
}

/// Where an incident's message is, and what its readers know: one for each incident, channel and recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The incident.
    pub incident: IncidentId,
    /// The channel.
    pub channel: String,
    /// Whom the message went to.
    pub recipient: Recipient,
    /// The message, for links: the one that is the anchor, or the first that named the incident where none is.
    pub message: MessageId,
    /// By what the platform finds the message again; empty where only a digest named the incident, or the message is gone.
    pub ids: PlatformIds,
    /// What its readers were notified of.
    pub told: Vec<ToldAlert>,
    /// When they were notified first.
    pub told_at: UnixMs,
    /// When it rang last; 0 for never.
    pub rang_at: UnixMs,
    /// The incident's version that the message shows; 0 when it is gone.
    pub shown: i64,
    /// Whether its channel keeps it up to date by edits.
    pub edited: bool,
    /// When it may be edited next.
    pub next_edit_at: UnixMs,
    /// Edits that the platform accepted.
    pub edits: u32,
    /// Edits in a row that it did not accept.
    pub failures: u32,
    /// How often it was posted again since `reposted_at`.
    pub reposts: u32,
    /// When the first of these was; 0 for never.
    pub reposted_at: UnixMs,
}

impl Anchor {
    /// Whether it shows less than its incident, whose version this is, and is to be edited (I14).
    pub fn is_dirty(&self, version: i64) -> bool {
        self.edited && self.shown < version
    }

    /// How often it was posted again within the last hour.
    pub fn recent_reposts(&self, now: UnixMs) -> u32 {
        if now - self.reposted_at < REPOSTS_WITHIN_MS { self.reposts } else { 0 }
    }

    /// The anchor after a message that was confirmed `now`; `before` is what it was, when there was one.
    pub(in crate::store) fn confirmed(before: Option<Self>, update: &AnchorUpdate, now: UnixMs) -> Self {
        let mut anchor = before.unwrap_or_else(|| Self {
            incident: update.incident,
            channel: update.channel.clone(),
            recipient: update.recipient.clone(),
            message: update.message,
            ids: PlatformIds::default(),
            told: Vec::new(),
            told_at: now,
            rang_at: UnixMs::EPOCH,
            shown: 0,
            edited: false,
            next_edit_at: UnixMs::EPOCH,
            edits: 0,
            failures: 0,
            reposts: 0,
            reposted_at: UnixMs::EPOCH,
        });
        anchor.told = merge_told(&anchor.told, &update.told);
        if update.rang {
            anchor.rang_at = now;
        }
        if let Some(ids) = &update.ids {
            anchor.message = update.message;
            anchor.ids.clone_from(ids);
            anchor.shown = update.shown.unwrap_or(0);
            anchor.edited = update.edited;
            anchor.failures = 0;
        }
        anchor
    }

    /// The anchor after an edit, and what the timeline of its incident says of it.
    pub(in crate::store) fn after_edit(mut self, outcome: &EditOutcome) -> (Self, Option<TimelineRow>) {
        let row = |kind, text: String| Some(TimelineRow { at: outcome.now, kind, channel: outcome.channel.clone(), text });
        self.next_edit_at = outcome.next_edit_at;
        let row = match &outcome.change {
            EditChange::Shown(version) => {
                self.shown = self.shown.max(*version);
                self.edits = self.edits.saturating_add(1);
                self.failures = 0;
                None
            }
            EditChange::Gone { repost, why } => {
                self.ids = PlatformIds::default();
                self.shown = 0;
                self.edited = *repost;
                row(if *repost { TimelineKind::Reposted } else { TimelineKind::GivenUp }, why.clone())
            }
            EditChange::Posted { shown, ids } => {
                self.ids.clone_from(ids);
                self.shown = *shown;
                self.failures = 0;
                match self.recent_reposts(outcome.now) {
                    0 => (self.reposts, self.reposted_at) = (1, outcome.now),
                    earlier => self.reposts = earlier.saturating_add(1),
                }
                row(TimelineKind::Reposted, "posted again as it is now".into())
            }
            EditChange::Failed => {
                self.failures = self.failures.saturating_add(1);
                None
            }
            EditChange::GivenUp(why) => {
                self.edited = false;
                row(TimelineKind::GivenUp, why.clone())
            }
        };
        (self, row)
    }
}

/// What a message that was confirmed changes of an anchor. It is made when there is none; of an incident that was purged meanwhile none is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorUpdate {
    /// The incident.
    pub incident: IncidentId,
    /// The channel.
    pub channel: String,
    /// Whom the message went to.
    pub recipient: Recipient,
    /// The message.
    pub message: MessageId,
    /// The message is the anchor from now on, under these ids. `None`: the anchor stays the message that it was, as that is.
    pub ids: Option<PlatformIds>,
    /// What its readers were notified of now; merged with what they knew before ([`merge_told`]).
    pub told: Vec<ToldAlert>,
    /// The incident's version that the message shows, where it is the anchor.
    pub shown: Option<i64>,
    /// Whether its channel keeps it up to date by edits, where it is the anchor.
    pub edited: bool,
    /// Whether it rang.
    pub rang: bool,
}

/// How an edit went, or the posting of a message in place of one that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditOutcome {
    /// The incident.
    pub incident: IncidentId,
    /// The channel.
    pub channel: String,
    /// Whom the message went to.
    pub recipient: Recipient,
    /// What happened.
    pub change: EditChange,
    /// Not before this is it edited again.
    pub next_edit_at: UnixMs,
    /// Now.
    pub now: UnixMs,
}

/// What happened to an anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditChange {
    /// The message shows this version.
    Shown(i64),
    /// The message is gone, too old or not ours: its ids are forgotten. With `repost`, the anchor stays one that is edited, and is posted again.
    Gone {
        /// Whether it is posted again at once; else with the next news.
        repost: bool,
        /// Why, in words, for the timeline.
        why: String,
    },
    /// It was posted again, shows this version, and has these ids.
    Posted {
        /// The version.
        shown: i64,
        /// The platform's ids.
        ids: PlatformIds,
    },
    /// The platform did not accept it.
    Failed,
    /// It is not tried any more; the text says why.
    GivenUp(String),
}

/// An anchor that shows less than its incident is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirtyAnchor {
    /// The anchor.
    pub anchor: Anchor,
    /// Its incident.
    pub incident: Incident,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: UnixMs = UnixMs(1_764_000_000_000);

    fn told(fingerprint: u64, version: i64) -> ToldAlert {
        ToldAlert { fingerprint, rank: 1, version }
    }

    fn update(ids: Option<PlatformIds>) -> AnchorUpdate {
        AnchorUpdate {
            incident: IncidentId(7),
            channel: "ops".into(),
            recipient: Recipient::new("room"),
            message: MessageId::new(),
            ids,
            told: vec![told(1, 2)],
            shown: Some(2),
            edited: true,
            rang: true,
        }
    }

    fn edit(change: EditChange, now: UnixMs) -> EditOutcome {
        let AnchorUpdate { incident, channel, recipient, .. } = update(None);
        EditOutcome { incident, channel, recipient, change, next_edit_at: now + 5000, now }
    }

    fn id(name: &str) -> PlatformIds {
        PlatformIds::one("ts", name.to_owned())
    }

    #[test]
    fn of_each_alert_the_newest_notification_is_kept() {
        let before = [told(1, 3), told(2, 3)];
        assert_eq!(merge_told(&before, &[told(1, 5), told(3, 5)]), [told(2, 3), told(1, 5), told(3, 5)]);
        assert_eq!(merge_told(&before, &[told(1, 2)]), before, "an outcome that comes late does not undo a newer one");
        let same = ToldAlert { rank: 0, ..told(1, 3) };
        assert_eq!(merge_told(&before, &[same]), [told(2, 3), same], "at the same version what came last counts");
        assert_eq!(merge_told(&[], &[told(1, 1), told(1, 2)]), [told(1, 2)]);
        let many: Vec<ToldAlert> = (0..MAX_INCIDENT_ALERTS as u64 + 5).map(|fingerprint| told(fingerprint, 1)).collect();
        let kept = merge_told(&many, &[]);
        assert_eq!((kept.len(), kept[0].fingerprint), (MAX_INCIDENT_ALERTS, 5));
    }

    #[test]
    fn a_message_becomes_the_anchor_by_its_ids() {
        let digest = AnchorUpdate { rang: false, shown: None, ..update(None) };
        let first = Anchor::confirmed(None, &digest, T0);
        assert_eq!((first.message, first.told_at, first.rang_at, first.shown), (digest.message, T0, UnixMs::EPOCH, 0));
        assert!(first.ids.is_empty() && !first.edited && !first.is_dirty(9), "what a digest named has no message of its own");
        let living = AnchorUpdate { told: vec![told(2, 3)], shown: Some(3), ..update(Some(id("1"))) };
        let anchor = Anchor::confirmed(Some(first), &living, T0 + 1);
        assert_eq!((anchor.message, &anchor.ids, anchor.told_at, anchor.rang_at, anchor.shown), (living.message, &id("1"), T0, T0 + 1, 3));
        assert!(!anchor.is_dirty(3) && anchor.is_dirty(4));
        let reply = AnchorUpdate { shown: None, edited: false, ..update(None) };
        let replied = Anchor::confirmed(Some(anchor.clone()), &reply, T0 + 2);
        assert_eq!(
            (replied.message, &replied.ids, replied.shown, replied.edited),
            (anchor.message, &anchor.ids, 3, true),
            "a reply leaves it as it is"
        );
        assert_eq!(replied.told, [told(2, 3), told(1, 2)]);
    }

    #[test]
    fn an_edit_changes_what_is_shown_and_a_lost_message_is_posted_again() {
        let anchor = Anchor::confirmed(None, &update(Some(id("1"))), T0);
        let (failed, row) = anchor.after_edit(&edit(EditChange::Failed, T0));
        assert_eq!((failed.failures, failed.shown, failed.next_edit_at, row), (1, 2, T0 + 5000, None));
        let (shown, row) = failed.after_edit(&edit(EditChange::Shown(4), T0));
        assert_eq!((shown.failures, shown.shown, shown.edits, row), (0, 4, 1, None));
        let (older, _) = shown.clone().after_edit(&edit(EditChange::Shown(3), T0));
        assert_eq!(older.shown, 4, "an answer that comes late shows nothing older");
        let gone = EditChange::Gone { repost: true, why: "message_not_found".into() };
        let (gone, row) = shown.after_edit(&edit(gone, T0));
        assert!(gone.ids.is_empty() && gone.is_dirty(4));
        assert_eq!(row.map(|row| (row.kind, row.channel, row.text)), Some((TimelineKind::Reposted, "ops".into(), "message_not_found".into())));
        let posted = EditChange::Posted { shown: 5, ids: id("2") };
        let (mut posted, row) = gone.after_edit(&edit(posted, T0));
        assert_eq!((&posted.ids, posted.shown, posted.reposts, row.map(|row| row.kind)), (&id("2"), 5, 1, Some(TimelineKind::Reposted)));
        for (after, reposts) in [(1000, 2), (REPOSTS_WITHIN_MS - 1, 3), (REPOSTS_WITHIN_MS, 1)] {
            posted = posted.after_edit(&edit(EditChange::Posted { shown: 5, ids: id("2") }, T0 + after)).0;
            assert_eq!((posted.reposts, posted.recent_reposts(T0 + after)), (reposts, reposts), "after {after} ms");
        }
        assert_eq!(posted.recent_reposts(T0 + 2 * REPOSTS_WITHIN_MS), 0);
        let lost = EditChange::Gone { repost: false, why: "three times in an hour".into() };
        let (lost, row) = posted.clone().after_edit(&edit(lost, T0));
        assert_eq!((lost.is_dirty(9), row.map(|row| row.kind)), (false, Some(TimelineKind::GivenUp)), "it waits for the next news");
        let (ended, row) = posted.after_edit(&edit(EditChange::GivenUp("too old".into()), T0));
        assert_eq!((ended.is_dirty(9), &ended.ids, row.map(|row| row.text)), (false, &id("2"), Some("too old".into())));
    }

    proptest! {
        #[test]
        fn notifications_survive_the_store(all in proptest::collection::vec((any::<u64>(), any::<u8>(), any::<i64>()), 0..9)) {
            let all: Vec<ToldAlert> = all.into_iter().map(|(fingerprint, rank, version)| ToldAlert { fingerprint, rank, version }).collect();
            prop_assert_eq!(read_told(&write_told(&all)), all);
        }
    }
}
