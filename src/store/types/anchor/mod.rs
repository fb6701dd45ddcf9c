//! Anchors: where the message of an incident is on each channel, and what its readers know.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use super::incident::MAX_INCIDENT_ALERTS;
use super::{Incident, MonthlySends, TimelineKind, TimelineRow};
use crate::model::{IncidentId, MessageId, PlatformIds, Recipient, UnixMs};

/// Reposts are counted for so long, in milliseconds.
const REPOSTS_WITHIN_MS: i64 = 3_600_000;
/// What the timeline says of a message that was posted again.
const POSTED_AGAIN: &str = "posted again as it is now";
/// Lines of a message's edits in the timeline; all later edits share the last one.
const MAX_EDIT_LINES: u32 = 10;

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

/// How the line ends that the edits of a message share.
fn shared_line_end(edits: u32) -> String {
    format!(", the last of {edits} edits")
}

/// Whether alerts are over in what was notified `now` that were not `before`.
fn ends_more(before: &[NotifiedAlert], now: &[NotifiedAlert]) -> bool {
    let over: HashSet<u64> = before.iter().filter(|one| one.over).map(|one| one.fingerprint).collect();
    now.iter().any(|one| one.over && !over.contains(&one.fingerprint))
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
    /// By what the platform finds the message again, and its copies ([`PlatformIds::all`]); empty where only a digest named the incident, or the message is gone.
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

    /// Whether both are of one message, which went to several recipients.
    pub fn is_one_message(&self, other: &Self) -> bool {
        (self.incident, &self.channel, &self.ids) == (other.incident, &other.channel, &other.ids) && !self.ids.is_empty()
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
        // A message that is edited stays the anchor beside one that is not: nothing would show its readers the end.
        let ids = update.ids.as_ref().filter(|_| update.edited || !anchor.edited || anchor.ids.is_empty());
        // What is edited shows it from the next edit on.
        if ids.is_none() && notified.iter().any(|one| !anchor.notified.contains(one)) {
            anchor.shown = 0;
        }
        // Its end was left to an edit that was there a moment ago: it is posted again.
        if update.ids.is_none() && update.edited && !anchor.edited && ends_more(&anchor.notified, &notified) {
            (anchor.ids, anchor.edited) = (PlatformIds::default(), true);
        }
        anchor.notified = notified;
        if let Some(version) = update.rang {
            anchor.rang = Rang { at: now, version: version.max(anchor.rang.version) };
        }
        if let Some(ids) = ids {
            anchor.message = update.message;
            anchor.ids.clone_from(ids);
            anchor.shown = update.shown.unwrap_or(0);
            anchor.edited = update.edited;
            anchor.failures = 0;
        }
        anchor
    }

    /// The anchor with a copy of its message that somebody found: the platform accepted it, and its answer was lost (M14). It is edited from now on, too.
    /// `None` where it is known, and where messages are not edited.
    pub fn with_copy(mut self, copy: &PlatformIds) -> Option<Self> {
        let ids = self.ids.with_copy(copy);
        if ids == self.ids || !(self.edited || self.ids.is_empty()) {
            return None;
        }
        (self.ids, self.edited, self.shown, self.failures) = (ids, true, 0, 0);
        Some(self)
    }

    /// How the line ends that its newest edit replaces in the timeline. By the count it differs from lines of the channel's other messages.
    pub(in crate::store) fn replaced_edit_line(&self, row: &TimelineRow) -> Option<String> {
        (row.kind == TimelineKind::Edited && self.edits > MAX_EDIT_LINES).then(|| shared_line_end(self.edits - 1))
    }

    /// What the timeline says of its newest edit.
    fn edit_line(&self, version: i64) -> String {
        let end = if self.edits < MAX_EDIT_LINES { String::new() } else { shared_line_end(self.edits) };
        format!("edited to version {version}{end}")
    }

    fn count_repost(&mut self, now: UnixMs) {
        match self.recent_reposts(now) {
            0 => (self.reposts, self.reposted_at) = (1, now),
            earlier => self.reposts = earlier.saturating_add(1),
        }
    }

    /// The only edit was made: it shows this version, and that these alerts of what was `notified` when it was made are over.
    fn show_last(&mut self, shown: i64, over: &[u64], notified: &[NotifiedAlert]) {
        self.edits = self.edits.saturating_add(1);
        self.failures = 0;
        let over: HashSet<u64> = over.iter().copied().collect();
        let known: Vec<NotifiedAlert> =
            notified.iter().map(|one| NotifiedAlert { over: one.over || over.contains(&one.fingerprint), ..*one }).collect();
        if ends_more(&known, &self.notified) {
            // An end was left to an edit meanwhile, and there is none any more: it is posted again.
            (self.ids, self.shown) = (PlatformIds::default(), 0);
        } else {
            (self.shown, self.edited) = (self.shown.max(shown), false);
        }
        // The delivery of an end that it shows may come later, as after a mute: its readers know. What was notified meanwhile is newer.
        let known: HashMap<u64, i64> = known.iter().map(|one| (one.fingerprint, one.version)).collect();
        let is_known = |one: &&mut NotifiedAlert| over.contains(&one.fingerprint) && known.get(&one.fingerprint) == Some(&one.version);
        self.notified.iter_mut().filter(is_known).for_each(|one| one.over = true);
    }

    /// The anchor after an edit, and what the timeline of its incident says of it.
    pub(in crate::store) fn after_edit(mut self, outcome: &EditOutcome) -> (Self, Option<TimelineRow>) {
        let row = |kind, text: String| Some(TimelineRow { at: outcome.now, kind, channel: outcome.channel.clone(), text });
        // Another message took its place meanwhile: nothing is known of that one.
        if outcome.ids != self.ids {
            return match &outcome.change {
                // What was posted again meanwhile is there, too: the next edit brings both up to date.
                EditChange::Posted { ids, .. } if outcome.ids.is_empty() && !ids.is_empty() => {
                    (self.ids, self.shown) = (self.ids.with_copy(ids), 0);
                    self.count_repost(outcome.now);
                    (self, row(TimelineKind::Reposted, POSTED_AGAIN.into()))
                }
                _ => (self, None),
            };
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
                row(TimelineKind::Edited, self.edit_line(*version))
            }
            EditChange::Last { shown, over } => {
                self.show_last(*shown, over, &outcome.notified);
                row(TimelineKind::Edited, self.edit_line(*shown))
            }
            EditChange::Kept(version) => {
                if outcome.notified == self.notified {
                    self.shown = self.shown.max(*version);
                }
                None
            }
            EditChange::Gone { repost, why } => {
                self.ids = self.ids.without_own();
                self.shown = 0;
                // A copy is there still.
                if !self.ids.is_empty() {
                    return (self, None);
                }
                self.edited = *repost;
                row(if *repost { TimelineKind::Reposted } else { TimelineKind::GivenUp }, why.clone())
            }
            EditChange::Posted { shown, ids } => {
                self.ids.clone_from(ids);
                self.shown = *shown;
                self.failures = 0;
                self.count_repost(outcome.now);
                row(TimelineKind::Reposted, POSTED_AGAIN.into())
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
    /// The message is the anchor from now on, under these ids, unless it is not edited and the one before is. `None`: the anchor stays the message that it was,
    /// as that is.
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
    /// What happened to it, for all whom it went to.
    pub change: EditChange,
    /// Not before this is it edited again.
    pub next_edit_at: UnixMs,
    /// What it counts in the month of its outlet, where the platform counts edits.
    pub sent_in_month: Option<MonthlySends>,
    /// Now.
    pub now: UnixMs,
}

impl EditOutcome {
    /// Whether this anchor is of the message that was edited: one message may have gone to several recipients.
    pub(in crate::store) fn is_about(&self, anchor: &Anchor) -> bool {
        let same = anchor.recipient == self.recipient || (!self.ids.is_empty() && anchor.ids == self.ids);
        anchor.channel == self.channel && same
    }
}

/// What happened to an anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditChange {
    /// The message shows this version.
    Shown(i64),
    /// The same, and it cannot be edited any more: what is news next is another message.
    Last {
        /// The version.
        shown: i64,
        /// The alerts that it shows to be over, by their fingerprints: their ends need no message.
        over: Vec<u64>,
    },
    /// Nothing was sent: the message can be edited once, and nothing up to this version is what that is kept for.
    Kept(i64),
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
