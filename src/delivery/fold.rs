//! Folding: what several deliveries of one lane say together. Per alert (fingerprint and start) the latest status wins.

use std::collections::HashMap;

use crate::model::{Alert, Event, SeverityScale, Status};
use crate::store::{State, Waiting};
use crate::template::{Entry, EntryStatus};

/// The alerts of a message, ordered, and the deliveries that have nothing left to say.
#[derive(Debug, Default)]
pub struct Folded<'a> {
    /// Firing first, most severe first; then those that came and went; then resolved ones.
    pub entries: Vec<Entry<'a>>,
    /// Which member each entry was last heard of in.
    pub member: Vec<usize>,
    /// Its index in that member's event.
    pub alert_index: Vec<u32>,
    /// Members none of whose alerts are shown, with the reason.
    pub silent: Vec<(usize, &'static str)>,
    /// Alerts the senders left out.
    pub truncated: u64,
}

/// Why a delivery that was muted ends without being sent.
pub const RESOLVED_WHILE_MUTED: &str = "resolved while it was muted";

/// Folds members, which come in lane order and carry their events (those without one are left out). Of deferred members only what still fires is shown:
/// what was resolved while it was muted is recorded, not sent.
pub fn fold<'a>(members: &'a [Waiting], scale: &SeverityScale) -> Folded<'a> {
    struct Seen<'a> {
        alert: &'a Alert,
        event: &'a Event,
        status: EntryStatus,
        member: usize,
        index: u32,
        muted: bool,
    }
    let mut seen: Vec<Seen<'a>> = Vec::new();
    let mut by_key: HashMap<(&str, i64), usize> = HashMap::new();
    let mut truncated = 0;
    for (m, member) in members.iter().enumerate() {
        let Some(event) = member.event.as_deref() else { continue };
        truncated = truncated.max(event.truncated);
        let muted = member.state == State::Deferred;
        for &index in &member.target.alerts {
            let Some(alert) = event.alerts.get(index as usize) else { continue };
            let status = if alert.status == Status::Firing { EntryStatus::Firing } else { EntryStatus::Resolved };
            let starts = alert.starts_at.map_or(i64::MIN, |t| t.as_millisecond());
            let fresh = Seen { alert, event, status, member: m, index, muted };
            // Two alerts of one delivery with the same identity are both shown: only what came later replaces what came before.
            match by_key.get(&(alert.fingerprint.as_str(), starts)) {
                Some(&at) if seen[at].member != m => {
                    let before = &seen[at];
                    let status = match (before.status, status) {
                        (EntryStatus::Firing | EntryStatus::CameAndWent, EntryStatus::Resolved) => EntryStatus::CameAndWent,
                        (_, now) => now,
                    };
                    seen[at] = Seen { status, muted: before.muted || muted, ..fresh };
                }
                _ => {
                    by_key.insert((alert.fingerprint.as_str(), starts), seen.len());
                    seen.push(fresh);
                }
            }
        }
    }
    seen.retain(|s| !(s.muted && s.status != EntryStatus::Firing));
    seen.sort_by_key(|s| (s.status, scale.of(s.alert)));

    let mut shown = vec![false; members.len()];
    for s in &seen {
        shown[s.member] = true;
    }
    // A delivery whose alerts were all overtaken by a later one is told by that one's message; only muted ones end in silence.
    let silent = members
        .iter()
        .enumerate()
        .filter(|(m, member)| !shown[*m] && member.event.is_some() && (seen.is_empty() || member.state == State::Deferred))
        .map(|(m, _)| (m, RESOLVED_WHILE_MUTED))
        .collect();
    Folded {
        member: seen.iter().map(|s| s.member).collect(),
        alert_index: seen.iter().map(|s| s.index).collect(),
        entries: seen.into_iter().map(|s| Entry { alert: s.alert, event: s.event, status: s.status }).collect(),
        silent,
        truncated,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::delivery::testing::{alert, waiting};

    fn statuses(folded: &Folded<'_>) -> Vec<(String, EntryStatus)> {
        folded.entries.iter().map(|e| (e.alert.name().to_owned(), e.status)).collect()
    }

    #[test]
    fn the_latest_status_wins_and_coming_and_going_is_told() {
        let members = [
            waiting(1, vec![alert("a", "critical", Status::Firing), alert("b", "info", Status::Firing)]),
            waiting(2, vec![alert("b", "info", Status::Resolved), alert("c", "warning", Status::Resolved)]),
        ];
        let folded = fold(&members, &SeverityScale::default());
        let expected = [("a", EntryStatus::Firing), ("b", EntryStatus::CameAndWent), ("c", EntryStatus::Resolved)].map(|(n, s)| (n.to_owned(), s));
        assert_eq!(statuses(&folded), expected);
        assert!(folded.silent.is_empty());
    }

    #[test]
    fn twins_within_one_body_are_both_shown() {
        let members = [waiting(1, vec![alert("a", "critical", Status::Firing), alert("a", "critical", Status::Firing)])];
        assert_eq!(fold(&members, &SeverityScale::default()).entries.len(), 2);
    }

    #[test]
    fn muted_and_resolved_is_recorded_only_and_muted_and_firing_is_told() {
        let mut members = vec![
            waiting(1, vec![alert("gone", "critical", Status::Firing)]),
            waiting(2, vec![alert("gone", "critical", Status::Resolved)]),
            waiting(3, vec![alert("still", "critical", Status::Firing)]),
        ];
        for member in &mut members {
            member.state = State::Deferred;
        }
        let folded = fold(&members, &SeverityScale::default());
        assert_eq!(statuses(&folded), [("still".to_owned(), EntryStatus::Firing)]);
        assert_eq!(folded.silent, [(0, RESOLVED_WHILE_MUTED), (1, RESOLVED_WHILE_MUTED)]);
    }

    #[test]
    fn a_member_without_its_event_is_left_out_not_invented() {
        let mut lost = waiting(1, vec![alert("a", "critical", Status::Firing)]);
        lost.event = None::<Arc<Event>>;
        assert!(fold(&[lost], &SeverityScale::default()).entries.is_empty());
    }
}
