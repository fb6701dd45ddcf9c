//! Folding: what several deliveries of one lane say together. Per alert the latest status wins.
//!
//! An alert is known by its fingerprint and labels: one label set is one alert, whatever start is named, so a firing with a new start takes the place
//! of the old one, and an end closes what fires under another start.

use std::collections::{HashMap, HashSet};

use crate::ingest::short_fingerprint;
use crate::model::{Alert, Event, SeverityScale, Status};
use crate::store::{PendingDelivery, State};
use crate::template::{Entry, EntryStatus};

use super::notified::Notified;

/// The alerts of a message, ordered, and the deliveries that have nothing left to say.
#[derive(Debug, Default)]
pub struct Folded<'a> {
    /// Firing first, most severe first; then those that came and went; then resolved ones.
    pub entries: Vec<Entry<'a>>,
    /// The member that had the latest word on each entry.
    pub member: Vec<usize>,
    /// Its index in that member's event.
    pub alert_index: Vec<u32>,
    /// Members none of whose alerts are shown, with the reason.
    pub suppressed: Vec<(usize, &'static str)>,
    /// The newest event: it has the current state of the group.
    pub newest: Option<&'a Event>,
}

impl Folded<'_> {
    /// Sets another status of what fires where the incident knows better than the body that named it last: it is over, or not reported any more.
    pub fn correct(&mut self, resolved: &HashSet<u64>, unreported: &HashSet<u64>, scale: &SeverityScale) {
        if resolved.is_empty() && unreported.is_empty() {
            return;
        }
        for entry in self.entries.iter_mut().filter(|entry| entry.status == EntryStatus::Firing) {
            let fingerprint = short_fingerprint(&entry.alert.fingerprint);
            if resolved.contains(&fingerprint) {
                entry.status = EntryStatus::Resolved;
            } else if unreported.contains(&fingerprint) {
                entry.status = EntryStatus::Unreported;
            }
        }
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_by_key(|place| (self.entries[*place].status, scale.of(self.entries[*place].alert)));
        self.entries = order.iter().map(|place| self.entries[*place]).collect();
        self.member = order.iter().map(|place| self.member[*place]).collect();
        self.alert_index = order.iter().map(|place| self.alert_index[*place]).collect();
    }
}

/// Why a delivery that was muted ends without being sent.
pub const RESOLVED_WHILE_MUTED: &str = "resolved while it was muted";

/// An alert by its latest status.
struct Latest<'a> {
    alert: &'a Alert,
    event: &'a Event,
    status: EntryStatus,
    member: usize,
    index: u32,
    /// Whether any delivery that carried it was muted.
    muted: bool,
    /// How it came, when a firing of it is among the members.
    fired: Option<&'a Alert>,
}

/// Folds members, which come in lane order and carry their events (those without one are left out). Of deferred members what still fires is shown, and
/// the end of what was sent before they were muted. What came and went under the mute is recorded, not sent.
pub fn fold<'a>(members: &'a [PendingDelivery], scale: &SeverityScale, notified: &Notified) -> Folded<'a> {
    let (mut seen, newest) = latest(members);
    for s in seen.iter_mut().filter(|s| s.muted && s.status == EntryStatus::CameAndWent) {
        // Sent before the mute, and firing again under it: people know of it, and must see its end.
        if s.fired.is_some_and(|fired| notified.is_open(fired, false) == Some(true)) {
            s.status = EntryStatus::Resolved;
        }
    }
    // An end without its beginning is suppressed only when it is known that the beginning was not sent.
    let suppressed = |s: &Latest<'_>| match s.status {
        EntryStatus::Firing | EntryStatus::Unreported => false,
        EntryStatus::CameAndWent => s.muted,
        EntryStatus::Resolved => s.muted && s.fired.is_none() && notified.is_open(s.alert, true) == Some(false),
    };
    // What the sender left out may fire: its event is sent, whatever it lists.
    let hides = newest.is_some_and(Event::may_fire_on);
    seen.retain(|s| hides || !suppressed(s));
    seen.sort_by_key(|s| (s.status, scale.of(s.alert)));

    let mut shown = vec![false; members.len()];
    for s in &seen {
        shown[s.member] = true;
    }
    // A delivery whose alerts were all overtaken by a later one is covered by that one's message; only muted ones end without being sent.
    let suppressed = members
        .iter()
        .enumerate()
        .filter(|(m, member)| !shown[*m] && member.event.is_some() && (seen.is_empty() || member.state == State::Deferred))
        .map(|(m, _)| (m, RESOLVED_WHILE_MUTED))
        .collect();
    Folded {
        member: seen.iter().map(|s| s.member).collect(),
        alert_index: seen.iter().map(|s| s.index).collect(),
        entries: seen.into_iter().map(|s| Entry { alert: s.alert, event: s.event, status: s.status }).collect(),
        suppressed,
        newest,
    }
}

/// Each alert of the members by its latest status, in the order in which they came first, and the newest event.
fn latest<'a>(members: &'a [PendingDelivery]) -> (Vec<Latest<'a>>, Option<&'a Event>) {
    let mut seen: Vec<Option<Latest<'a>>> = Vec::new();
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut newest = None;
    for (m, member) in members.iter().enumerate() {
        let Some(event) = member.event.as_deref() else { continue };
        newest = Some(event);
        let muted = member.state == State::Deferred;
        for &index in &member.target.alerts {
            let Some(alert) = event.alerts.get(index as usize) else { continue };
            let firing = alert.status == Status::Firing;
            let mut fresh = Latest {
                alert,
                event,
                status: if firing { EntryStatus::Firing } else { EntryStatus::Resolved },
                member: m,
                index,
                muted,
                fired: firing.then_some(alert),
            };
            let known = places.entry(alert.fingerprint.as_str()).or_default();
            // Two alerts of one delivery with the same identity are both shown: only what came later replaces what came before.
            let earlier = |at: &&usize| seen[**at].as_ref().is_some_and(|s| s.member != m && s.alert.labels == alert.labels);
            let same = known.iter().find(|at| earlier(at) && seen[**at].as_ref().is_some_and(|s| s.alert.starts_at == alert.starts_at));
            let replaced: Vec<usize> = match same {
                Some(at) => vec![*at],
                None => known.iter().filter(earlier).copied().collect(),
            };
            for at in &replaced {
                let Some(before) = seen[*at].take() else { continue };
                fresh.muted |= before.muted;
                if !firing && before.status != EntryStatus::Resolved {
                    fresh.status = EntryStatus::CameAndWent;
                    fresh.fired = fresh.fired.or(before.fired);
                }
            }
            let place = replaced.first().copied().unwrap_or(seen.len());
            if place == seen.len() {
                known.push(place);
                seen.push(None);
            }
            seen[place] = Some(fresh);
        }
    }
    (seen.into_iter().flatten().collect(), newest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::delivery::testing::{alert, event, waiting};
    use crate::model::DeliveryId;
    use crate::store::{LaneHistory, PastDelivery};

    fn statuses(folded: &Folded<'_>) -> Vec<(String, EntryStatus)> {
        folded.entries.iter().map(|e| (e.alert.name().to_owned(), e.status)).collect()
    }

    fn folded(members: &[PendingDelivery], notified: &Notified) -> Vec<(String, EntryStatus)> {
        statuses(&fold(members, &SeverityScale::default(), notified))
    }

    fn at(name: &str, status: Status, second: i64) -> Alert {
        Alert { starts_at: jiff::Timestamp::from_second(second).ok(), ..alert(name, "critical", status) }
    }

    fn muted(mut member: PendingDelivery) -> PendingDelivery {
        member.state = State::Deferred;
        member
    }

    fn sent(alerts: Vec<Alert>) -> Notified {
        let all: Vec<u32> = (0..alerts.len() as u32).collect();
        let delivery = PastDelivery::of(DeliveryId::new(), State::Sent, &all, &event(alerts));
        Notified::of(&LaneHistory { deliveries: vec![delivery], complete: true }, &[])
    }

    fn nothing() -> Notified {
        Notified::of(&LaneHistory { deliveries: Vec::new(), complete: true }, &[])
    }

    use EntryStatus::{CameAndWent, Firing, Resolved};

    fn named(list: &[(&str, EntryStatus)]) -> Vec<(String, EntryStatus)> {
        list.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect()
    }

    #[test]
    fn the_latest_status_wins_and_coming_and_going_is_told() {
        let members = [
            waiting(1, vec![alert("a", "critical", Status::Firing), alert("b", "info", Status::Firing)]),
            waiting(2, vec![alert("b", "info", Status::Resolved), alert("c", "warning", Status::Resolved)]),
        ];
        let folded = fold(&members, &SeverityScale::default(), &Notified::default());
        assert_eq!(statuses(&folded), named(&[("a", Firing), ("b", CameAndWent), ("c", Resolved)]));
        assert!(folded.suppressed.is_empty());
    }

    #[test]
    fn twins_within_one_body_are_both_shown() {
        let members = [waiting(1, vec![alert("a", "critical", Status::Firing), alert("a", "critical", Status::Firing)])];
        assert_eq!(folded(&members, &Notified::default()).len(), 2);
        // One fingerprint, two alerts: each ends by itself.
        let twin = |name: &str, status| Alert { fingerprint: "1".into(), ..alert(name, "critical", status) };
        let both = |status| vec![twin("x", status), twin("y", status)];
        let members = [waiting(1, both(Status::Firing)), waiting(2, both(Status::Resolved))];
        assert_eq!(folded(&members, &Notified::default()), named(&[("x", CameAndWent), ("y", CameAndWent)]));
        let members = [waiting(1, both(Status::Firing)), waiting(2, vec![twin("y", Status::Resolved)])];
        assert_eq!(folded(&members, &Notified::default()), named(&[("x", Firing), ("y", CameAndWent)]));
    }

    #[test]
    fn one_alert_is_told_once_whatever_starts_are_named() {
        let one =
            |alerts: Vec<Alert>| -> Vec<PendingDelivery> { alerts.into_iter().enumerate().map(|(i, a)| waiting(i as i64 + 1, vec![a])).collect() };
        for (story, wanted) in [
            // The end names another start than the beginning, or none.
            (vec![at("a", Status::Firing, 1), at("a", Status::Resolved, 2)], CameAndWent),
            (vec![at("a", Status::Firing, 1), Alert { starts_at: None, ..at("a", Status::Resolved, 1) }], CameAndWent),
            // It fires again under another start.
            (vec![at("a", Status::Firing, 1), at("a", Status::Firing, 2)], Firing),
            (vec![at("a", Status::Firing, 1), at("a", Status::Resolved, 1), at("a", Status::Firing, 2)], Firing),
            (vec![at("a", Status::Resolved, 1), at("a", Status::Firing, 2)], Firing),
            (vec![at("a", Status::Firing, 1), at("a", Status::Firing, 2), at("a", Status::Resolved, 2)], CameAndWent),
            (vec![at("a", Status::Resolved, 1), at("a", Status::Resolved, 2)], Resolved),
        ] {
            assert_eq!(folded(&one(story.clone()), &Notified::default()), named(&[("a", wanted)]), "{story:?}");
        }
        // Two starts in one body are two until an end that names neither closes both.
        let two = vec![at("a", Status::Firing, 1), at("a", Status::Firing, 2)];
        let ends = |second| [waiting(1, two.clone()), waiting(2, vec![at("a", Status::Resolved, second)])];
        assert_eq!(folded(&ends(2), &Notified::default()), named(&[("a", Firing), ("a", CameAndWent)]));
        assert_eq!(folded(&ends(3), &Notified::default()), named(&[("a", CameAndWent)]));
    }

    #[test]
    fn muted_and_resolved_is_recorded_only_and_muted_and_firing_is_told() {
        let members = [
            muted(waiting(1, vec![alert("gone", "critical", Status::Firing)])),
            muted(waiting(2, vec![alert("gone", "critical", Status::Resolved)])),
            muted(waiting(3, vec![alert("still", "critical", Status::Firing)])),
        ];
        let notified = nothing();
        let folded = fold(&members, &SeverityScale::default(), &notified);
        assert_eq!(statuses(&folded), named(&[("still", Firing)]));
        assert_eq!(folded.suppressed, [(0, RESOLVED_WHILE_MUTED), (1, RESOLVED_WHILE_MUTED)]);
    }

    #[test]
    fn the_end_of_what_was_told_is_told_though_it_was_muted() {
        let fires = |second| vec![at("a", Status::Firing, second)];
        let ends = |second| vec![at("a", Status::Resolved, second)];
        // Notified, muted, over under the mute; with a repeat of the firing in between, or without; whatever start the end names.
        for members in [
            vec![muted(waiting(1, ends(1)))],
            vec![muted(waiting(1, ends(7)))],
            vec![muted(waiting(1, fires(1))), muted(waiting(2, ends(1)))],
            vec![muted(waiting(1, fires(1))), waiting(2, ends(1))],
        ] {
            assert_eq!(folded(&members, &sent(fires(1))), named(&[("a", Resolved)]), "{members:?}");
        }
        // What came and went meanwhile under a start of its own was never notified, nor was what was over before.
        let again = vec![muted(waiting(1, fires(9))), muted(waiting(2, ends(9)))];
        assert!(folded(&again, &sent(fires(1))).is_empty());
        assert!(folded(&[muted(waiting(1, ends(1)))], &sent(ends(1))).is_empty());
        assert!(folded(&[muted(waiting(1, ends(1)))], &nothing()).is_empty(), "nobody was notified that it fires");
        // What is not known is sent.
        assert_eq!(folded(&[muted(waiting(1, ends(1)))], &Notified::default()), named(&[("a", Resolved)]));
    }

    #[test]
    fn what_the_sender_left_out_may_fire_and_is_not_silent() {
        let mut cut = waiting(2, vec![alert("gone", "critical", Status::Resolved)]);
        cut.event = Some(Arc::new(Event { truncated: 490, status: Status::Resolved, ..event(vec![alert("gone", "critical", Status::Resolved)]) }));
        let members = [muted(waiting(1, vec![alert("gone", "critical", Status::Firing)])), muted(cut)];
        let notified = nothing();
        let folded = fold(&members, &SeverityScale::default(), &notified);
        assert_eq!(statuses(&folded), named(&[("gone", CameAndWent)]));
        assert_eq!(folded.newest.map(|event| event.truncated), Some(490));
    }

    #[test]
    fn a_member_without_its_event_is_left_out_not_invented() {
        let mut lost = waiting(1, vec![alert("a", "critical", Status::Firing)]);
        lost.event = None::<Arc<Event>>;
        assert!(fold(&[lost], &SeverityScale::default(), &Notified::default()).entries.is_empty());
    }
}
