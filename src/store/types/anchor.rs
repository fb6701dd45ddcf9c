//! Anchors: where the message of an incident is on each channel, and what its readers know.

use std::collections::{HashMap, HashSet};

use super::incident::MAX_INCIDENT_ALERTS;
use super::{Incident, TimelineKind, TimelineRow};
use crate::model::{IncidentId, MessageId, PlatformIds, Recipient, UnixMs};

/// Reposts are counted for so long, in milliseconds.
const REPOSTS_WITHIN_MS: i64 = 3_600_000;

/// An alert that a channel was notified of: the incident's version as of which, and its rank then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotifiedAlert {
    /// Eight bytes of its fingerprint.
    pub fingerprint: u64,
    /// 0 critical .. 3 info.
    pub rank: u8,
    /// The incident's version.
    pub version: i64,
    /// Whether it was over.
    pub over: bool,
}

const NOTIFIED_BYTES: usize = 8 + 1 + 8 + 1;

/// What a channel was notified of, as its row holds it.
pub fn read_notified(stored: &[u8]) -> Vec<NotifiedAlert> {
    let read = |bytes: &[u8; NOTIFIED_BYTES]| {
        Some(NotifiedAlert {
            fingerprint: u64::from_be_bytes(*bytes.first_chunk()?),
            rank: bytes[8],
            version: i64::from_be_bytes(*bytes[9..].first_chunk()?),
            over: bytes[17] != 0,
        })
    };
    stored.as_chunks::<NOTIFIED_BYTES>().0.iter().filter_map(read).collect()
}

/// The same, to be stored.
pub fn write_notified(notified: &[NotifiedAlert]) -> Vec<u8> {
    let mut out = Vec::with_capacity(notified.len() * NOTIFIED_BYTES);
    for one in notified {
        out.extend(one.fingerprint.to_be_bytes());
        out.push(one.rank);
        out.extend(one.version.to_be_bytes());
        out.push(u8::from(one.over));
    }
    out
}

/// Earlier notifications and those of now: of each alert the newest, in the order of the newest; of very many the last [`MAX_INCIDENT_ALERTS`].
pub fn merge_notified(before: &[NotifiedAlert], now: &[NotifiedAlert]) -> Vec<NotifiedAlert> {
    let newer: HashMap<u64, i64> = now.iter().map(|one| (one.fingerprint, one.version)).collect();
    let stays = |one: &&NotifiedAlert| newer.get(&one.fingerprint).is_none_or(|version| *version < one.version);
    let mut all: Vec<NotifiedAlert> = before.iter().filter(stays).copied().collect();
    let mut named: HashSet<u64> = all.iter().map(|one| one.fingerprint).collect();
    // The last that names an alert counts.
    let mut added: Vec<NotifiedAlert> = now.iter().rev().filter(|one| named.insert(one.fingerprint)).copied().collect();
    added.reverse();
    all.append(&mut added);
    let first = all.len().saturating_sub(MAX_INCIDENT_ALERTS);
    all.split_off(first)
}

/// A sound that an incident made on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rang {
    /// When it was confirmed; 0 for never.
    pub at: UnixMs,
    /// The incident's version that the message knew of: what happened to the incident since has not rung.
    pub version: i64,
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
    pub notified: Vec<NotifiedAlert>,
    /// When they were notified first.
    pub notified_at: UnixMs,
    /// When it rang last.
    pub rang: Rang,
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
            notified: Vec::new(),
            notified_at: now,
            rang: Rang::default(),
            shown: 0,
            edited: false,
            next_edit_at: UnixMs::EPOCH,
            edits: 0,
            failures: 0,
            reposts: 0,
            reposted_at: UnixMs::EPOCH,
        });
        let notified = merge_notified(&anchor.notified, &update.notified);
        // What is edited shows it from the next edit on.
        if update.ids.is_none() && notified.iter().any(|one| !anchor.notified.contains(one)) {
            anchor.shown = 0;
        }
        anchor.notified = notified;
        if let Some(version) = update.rang {
            anchor.rang = Rang { at: now, version: version.max(anchor.rang.version) };
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
        // Another message took its place meanwhile: nothing is known of that one.
        if outcome.ids != self.ids {
            return (self, None);
        }
        self.next_edit_at = outcome.next_edit_at;
        let row = match &outcome.change {
            EditChange::Shown(version) => {
                // What was notified meanwhile is not in it.
                if outcome.notified == self.notified {
                    self.shown = self.shown.max(*version);
                }
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
    /// What its readers were notified of now; merged with what they knew before ([`merge_notified`]).
    pub notified: Vec<NotifiedAlert>,
    /// The incident's version that the message shows, where it is the anchor.
    pub shown: Option<i64>,
    /// Whether its channel keeps it up to date by edits, where it is the anchor.
    pub edited: bool,
    /// The incident's version as of which it rang; `None`: it did not.
    pub rang: Option<i64>,
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
    /// The message that was edited; none where it was posted again.
    pub ids: PlatformIds,
    /// What its readers knew of when it was read.
    pub notified: Vec<NotifiedAlert>,
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
        anchor.after_edit(&EditOutcome { incident, channel, recipient, ids, notified, change, next_edit_at: now + 5000, now })
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
        let edit = EditOutcome { incident, channel, recipient, ids, notified: known, change, next_edit_at: T0, now: T0 };
        assert!(replied.clone().after_edit(&edit).0.is_dirty(9));
        assert_eq!(replied.clone().after_edit(&EditOutcome { ids: id("other"), ..edit }).0, replied);
        assert_eq!(replied.notified, [notified(1, 2), notified(2, 3), notified(5, 3)]);
    }

    #[test]
    fn an_edit_changes_what_is_shown_and_a_lost_message_is_posted_again() {
        let anchor = Anchor::confirmed(None, &update(Some(id("1"))), T0);
        let (failed, row) = edited(anchor, EditChange::Failed, T0);
        assert_eq!((failed.failures, failed.shown, failed.next_edit_at, row), (1, 2, T0 + 5000, None));
        let (shown, row) = edited(failed, EditChange::Shown(4), T0);
        assert_eq!((shown.failures, shown.shown, shown.edits, row), (0, 4, 1, None));
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

    proptest! {
        #[test]
        fn notifications_survive_the_store(all in proptest::collection::vec((any::<u64>(), any::<u8>(), any::<i64>()), 0..9)) {
            let all: Vec<NotifiedAlert> = all.into_iter().map(|(fingerprint, rank, version)| NotifiedAlert { fingerprint, rank, version, over: version % 2 == 0 }).collect();
            prop_assert_eq!(read_notified(&write_notified(&all)), all);
        }
    }
}
