//! Acts of both engines: which alerts somebody means, and by which deliveries channels ring.
//!
//! The engines read, lock and write; what is decided is decided here.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::copies::Requeued;
use super::{
    Act, ActOn, ActResult, AlertState, Anchor, Answered, BEGAN_AGAIN, ChangedStep, EscalationStep, FILE_MUTE_PREFIX, Fallback, INTERVAL_MUTE_PREFIX,
    Incident, LastRun, Mode, NewDelivery, Ring, STEP_LANE_PREFIX, ShownIn, State, StepChange, StepRow, Summary, Target, TimelineKind, ended_by_ack,
    nothing_calls,
};
use super::{next_steps, step_changes};
use crate::model::{DeliveryId, EventId, IncidentId, UnixMs, Verb};

/// Deliveries of one event and incident, the newest first, among which those are looked for by which its channels ring.
pub(super) const MAX_CANDIDATES: i64 = 500;
/// What an incident's acks hold, as they are stored, while it shows a mute.
pub(super) const SHOWS_MUTE: &str = "\"mute\":";
/// Presses that one step of purging removes.
pub(super) const PRESS_BATCH: i64 = 1000;

/// The alerts that a message showed: its channel was notified of them, and they had begun to fire by then. What twins disagree about goes on, though it was
/// reported once more since.
fn shown(shown: &ShownIn, incident: &Incident, anchors: &[Anchor], now: UnixMs) -> HashSet<u64> {
    let of_channel = anchors.iter().filter(|anchor| anchor.channel == shown.channel);
    let notified = of_channel.flat_map(|anchor| &anchor.notified).map(|one| one.fingerprint);
    let notified: HashSet<u64> = notified.chain(shown.begun.iter().copied()).collect();
    let had_begun = |alert: &super::IncidentAlert| match shown.version {
        0 => alert.changed_at <= shown.formed_at || incident.acks.is_doubted(alert.fingerprint, now),
        version => alert.fired <= version,
    };
    let meant = incident.alerts.iter().filter(|alert| notified.contains(&alert.fingerprint) && had_begun(alert));
    meant.map(|alert| alert.fingerprint).collect()
}

impl ActOn {
    /// The alerts of its incident that are meant and not over; `anchors` are those of the channel whose message showed them.
    pub fn meant(&self, incident: &Incident, anchors: &[Anchor], now: UnixMs) -> HashSet<u64> {
        incident.open_alerts(self.shown.as_ref().map(|one| shown(one, incident, anchors, now)).as_ref())
    }
}

/// The alerts of another open incident that are the same as those of one on which somebody acts: same fingerprint, same start.
pub(super) fn same_alerts(of: &Incident, meant: Option<&HashSet<u64>>, other: &Incident) -> HashSet<u64> {
    let is_meant = |fingerprint: &u64| meant.is_none_or(|meant| meant.contains(fingerprint));
    let own: HashSet<_> = of
        .alerts
        .iter()
        .filter(|alert| alert.state != AlertState::Resolved && is_meant(&alert.fingerprint))
        .map(|alert| (alert.fingerprint, alert.start))
        .collect();
    let same = other.alerts.iter().filter(|alert| alert.state != AlertState::Resolved && own.contains(&(alert.fingerprint, alert.start)));
    same.map(|alert| alert.fingerprint).collect()
}

/// Of open incidents, those in which an alert is that is in one of the named ones, too.
pub(super) fn shares(all: &[&Incident], named: &[i64]) -> Vec<i64> {
    let is_named = |incident: &Incident| named.contains(&incident.id.0);
    let key = |alert: &super::IncidentAlert| (alert.fingerprint, alert.start);
    let open = |incident: &Incident| incident.alerts.iter().filter(|alert| alert.state != AlertState::Resolved).map(key).collect::<Vec<_>>();
    let meant: HashSet<_> = all.iter().filter(|incident| is_named(incident)).flat_map(|incident| open(incident)).collect();
    let others = all.iter().filter(|incident| !is_named(incident) && incident.state.is_open());
    others.filter(|incident| open(incident).iter().any(|alert| meant.contains(alert))).map(|incident| incident.id.0).collect()
}

/// Whether what somebody does holds for the same alerts in other incidents, too.
pub(super) fn spreads(verb: Verb) -> bool {
    matches!(verb, Verb::Ack | Verb::Snooze | Verb::Unack)
}

/// Whether an incident that was found by its alerts is worth a word.
pub(super) fn is_reported(result: &ActResult) -> bool {
    matches!(result, ActResult::Acked { .. } | ActResult::Unacked | ActResult::UnackedQuietly { .. })
}

/// The events that reported last what a ring is about, each with the places of those alerts in it.
pub(super) fn events_of(incident: &Incident, ring: &Ring) -> BTreeMap<EventId, HashSet<u32>> {
    let mut found: BTreeMap<EventId, HashSet<u32>> = BTreeMap::new();
    for alert in incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing && ring.about.contains(&alert.fingerprint)) {
        found.entry(alert.event).or_default().insert(alert.index);
    }
    found
}

/// Of deliveries, those by which channels ring that know the incident, or would if nobody had been on it: they carry what it is about. Of copies of one,
/// the newest; none of what a mute dropped.
pub(super) fn to_ring<'a>(events: &BTreeMap<EventId, HashSet<u32>>, anchors: &[Anchor], of: impl Iterator<Item = &'a Requeued>) -> Vec<&'a Requeued> {
    let is_about = |old: &Requeued| events.get(&old.row.event).is_some_and(|places| old.target.alerts.iter().any(|place| places.contains(place)));
    let knows = |old: &Requeued| {
        let was_acked = ended_by_ack(old.row.state, old.row.reason.as_deref());
        was_acked || anchors.iter().any(|anchor| anchor.channel == old.row.channel)
    };
    let is_muted = |old: &Requeued| {
        old.row.state == State::Skipped
            && old.row.reason.as_deref().is_some_and(|why| why.starts_with(INTERVAL_MUTE_PREFIX) || why.starts_with(FILE_MUTE_PREFIX))
    };
    let mut newest: BTreeMap<(i64, &str, Vec<u32>), &Requeued> = BTreeMap::new();
    for old in of.filter(|old| old.target.step.is_none() && is_about(old) && knows(old) && !is_muted(old)) {
        let mut alerts = old.target.alerts.clone();
        alerts.sort_unstable();
        let known = newest.entry((old.lane, &old.row.channel, alerts)).or_insert(old);
        if known.row.id < old.row.id {
            *known = old;
        }
    }
    newest.into_values().collect()
}

/// The delivery by which a channel rings once more about an incident.
///
/// What a mute holds back it holds back once more.
pub(super) fn ring(old: &Requeued, incident: IncidentId, why: &str, now: UnixMs) -> NewDelivery {
    let new = NewDelivery { mode: Mode::Queued, incident: Some(incident).into(), ..old.replacement(None, now) };
    if old.row.state == State::Deferred {
        return NewDelivery { state: State::Deferred, due_at: old.row.due_at, reason: old.row.reason.clone(), ..new };
    }
    NewDelivery { state: State::Waiting, reason: Some(why.to_owned()), ..new }
}

/// What becomes of the steps of an incident on which somebody acted: what waits of them ends with an ack of all that fires, with the incident, and when
/// their escalations begin again; the next one is due when it is handed on. What no ack stopped goes on when one ends.
pub(super) fn acted_steps(incident: &Incident, answered: &Answered, rows: &[StepRow], now: UnixMs) -> Vec<(DeliveryId, StepChange)> {
    if let Some(handed_on) = answered.rows.iter().find(|row| row.kind == TimelineKind::Escalated) {
        return next_steps(rows, &handed_on.text, now);
    }
    let ended = |rows: &[StepRow], why: String| step_changes(rows, &[(incident.id, Some(why))].into(), &[], now);
    match nothing_calls(incident.state, &incident.acks) {
        Some(why) => ended(rows, why),
        None if is_unacked(answered) => {
            let runs = last_runs(rows);
            let goes_on = |row: &&StepRow| runs.get(row.step.escalation.as_str()).is_some_and(LastRun::goes_on);
            let again: Vec<StepRow> = rows.iter().filter(|row| !goes_on(row)).cloned().collect();
            ended(&again, BEGAN_AGAIN.to_owned())
        }
        None => Vec::new(),
    }
}

/// Names the steps that an incident was handed on to.
pub(super) fn name_steps(results: &mut [(IncidentId, ActResult)], changed: &[ChangedStep]) {
    for (id, result) in results {
        let ActResult::HandedOn { steps } = result else { continue };
        for changed in changed.iter().filter(|changed| changed.incident == *id && matches!(changed.change, StepChange::HandedOn(_))) {
            let step = changed.step.to_string();
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        if steps.is_empty() {
            *result = ActResult::NoStep;
        }
    }
}

/// Whether an incident was to be handed on and no step of it waited: nothing of it changed.
pub(super) fn is_handed_to_nobody(incident: &Incident, answered: &Answered, changed: &[ChangedStep]) -> bool {
    let is_next = |step: &ChangedStep| step.incident == incident.id && matches!(step.change, StepChange::HandedOn(_));
    answered.rows.iter().any(|row| row.kind == TimelineKind::Escalated) && !changed.iter().any(is_next)
}

/// Whether an ack ended while its alerts went on, by itself or with the silence with which it began: the end of a silence that ends no ack rings nobody.
fn is_unacked(answered: &Answered) -> bool {
    let ends_ack = |kind: TimelineKind| kind == TimelineKind::Unacked || (kind == TimelineKind::Unsilenced && answered.rings.is_some());
    answered.rows.iter().any(|row| ends_ack(row.kind))
}

/// The last run of each escalation.
fn last_runs(rows: &[StepRow]) -> HashMap<&str, LastRun> {
    let mut runs: HashMap<&str, LastRun> = HashMap::new();
    for row in rows {
        let (step, ended_at) = ((row.step.number, row.channel.clone()), row.state.is_final().then_some(UnixMs::EPOCH));
        runs.entry(row.step.escalation.as_str()).or_default().add(row.step.began_at, step, row.stopped, ended_at);
    }
    runs
}

/// The steps with which the escalations of an incident begin again once an ack of it ended: those of the last run of each that does not go on.
pub(super) fn steps_again(incident: &Incident, answered: &Answered, rows: &[StepRow]) -> Vec<DeliveryId> {
    if !is_unacked(answered) || nothing_calls(incident.state, &incident.acks).is_some() {
        return Vec::new();
    }
    let is_same = |row: &StepRow, other: &StepRow| row.step == other.step && row.channel == other.channel;
    let mut found: Vec<&StepRow> = Vec::new();
    let runs = last_runs(rows);
    let is_last = |run: &LastRun, row: &StepRow| run.began_at == row.step.began_at && !run.goes_on();
    let begins = |row: &&StepRow| runs.get(row.step.escalation.as_str()).is_some_and(|run| is_last(run, row));
    for row in rows.iter().filter(begins) {
        // Two runs may have begun in one moment.
        if !found.iter().any(|known| is_same(known, row)) {
            found.push(row);
        }
    }
    found.into_iter().map(|row| row.id).collect()
}

/// A step of an escalation that begins again now; `None` when it is none.
pub(super) fn step_again(old: &Requeued, now: UnixMs) -> Option<NewDelivery> {
    let step = EscalationStep { began_at: now, ..old.target.step.clone()? };
    let (id, due_at) = (DeliveryId::new(), now + step.after);
    Some(NewDelivery {
        id,
        channel: old.row.channel.clone(),
        outlet: old.outlet.clone(),
        lane_key: format!("{STEP_LANE_PREFIX}{id}"),
        reason: Some(step.to_string()),
        target: Target { step: Some(step), ..old.target.clone() },
        mode: Mode::Queued,
        state: State::Deferred,
        rank: old.row.rank,
        summary: Summary { title: old.row.title.clone(), firing: old.row.firing, resolved: old.row.resolved },
        born_at: due_at - 1,
        due_at,
        fallback: Fallback::default(),
        report: None,
        incident: old.row.incident.into(),
    })
}

/// What a press did, as a store keeps it.
pub(super) fn write_outcome(results: &[(IncidentId, ActResult)]) -> String {
    let results: Vec<(i64, &ActResult)> = results.iter().map(|(id, result)| (id.0, result)).collect();
    serde_json::json!(results).to_string()
}

/// The same back.
pub(super) fn read_outcome(stored: &str) -> Vec<(IncidentId, ActResult)> {
    let results: Vec<(i64, ActResult)> = serde_json::from_str(stored).unwrap_or_default();
    results.into_iter().map(|(id, result)| (IncidentId(id), result)).collect()
}

/// What is done to incidents, one after the other, on rows that are locked. `known` are those that were asked for and all others of their senders.
pub(super) struct Acting<'a> {
    act: &'a Act,
    pub(super) results: Vec<(IncidentId, ActResult)>,
    /// What changed, each with what its timeline says and why its channels ring.
    pub(super) changed: Vec<(Incident, Answered)>,
}

impl<'a> Acting<'a> {
    pub(super) fn new(act: &'a Act) -> Self {
        Self { act, results: Vec::new(), changed: Vec::new() }
    }

    /// Acts on what somebody named; `anchors` are those of the incidents of which only what a message showed is meant.
    pub(super) fn run(mut self, known: &BTreeMap<IncidentId, Incident>, anchors: &BTreeMap<IncidentId, Vec<Anchor>>) -> Self {
        let named: HashSet<IncidentId> = self.act.on.iter().map(|on| on.incident).collect();
        let mut done = HashSet::new();
        // Several channels may show of one incident what is meant: it changes once.
        for on in self.act.on.iter().filter(|on| done.insert(on.incident)) {
            let Some(incident) = known.get(&on.incident) else {
                self.results.push((on.incident, ActResult::Unknown));
                continue;
            };
            let only = self.meant(incident, anchors.get(&on.incident).map_or(&[][..], Vec::as_slice));
            self.one(incident, only.as_ref(), true);
            if !spreads(self.act.verb) {
                continue;
            }
            for other in known.values().filter(|other| other.state.is_open() && other.source == incident.source && !named.contains(&other.id)) {
                let same = same_alerts(incident, only.as_ref(), other);
                if !same.is_empty() && !self.results.iter().any(|(id, _)| *id == other.id) {
                    self.one(other, Some(&same), false);
                }
            }
        }
        self
    }

    /// The alerts of an incident that any of the channels showed that are named with it; `None`: all.
    fn meant(&self, incident: &Incident, anchors: &[Anchor]) -> Option<HashSet<u64>> {
        // A silence and a mute are of everything that their labels match.
        if matches!(self.act.verb, Verb::Silence | Verb::Unsilence | Verb::Mute | Verb::Unmute) {
            return None;
        }
        let of_incident = self.act.on.iter().filter(|on| on.incident == incident.id);
        let of_each: Option<Vec<HashSet<u64>>> =
            of_incident.map(|on| on.shown.as_ref().map(|one| shown(one, incident, anchors, self.act.now))).collect();
        of_each.map(|sets| sets.into_iter().flatten().collect())
    }

    fn one(&mut self, incident: &Incident, only: Option<&HashSet<u64>>, named: bool) {
        let mut incident = incident.clone();
        let (result, answered) = incident.act(self.act, only);
        if named || is_reported(&result) {
            self.results.push((incident.id, result));
        }
        if let Some(answered) = answered {
            self.changed.push((incident, answered));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{IncidentReport, ReportedAlert};

    #[test]
    fn what_twins_disagree_about_is_still_what_a_call_said() {
        let report = |fires| IncidentReport::of_group("g", vec![ReportedAlert { fingerprint: 1, start: None, fires, rank: 0, index: 0 }]);
        let mut incident = Incident::open(&report(true), EventId::new(), UnixMs(0)).unwrap();
        let called = ShownIn { channel: "call".into(), version: 0, formed_at: UnixMs(1000), pressed: None, begun: vec![1] };
        let on = ActOn { incident: IncidentId(7), shown: Some(called) };
        let meant = |incident: &Incident, now| on.meant(incident, &[], UnixMs(now));
        assert_eq!(meant(&incident, 1500), HashSet::from([1]));
        for (fires, at) in [(false, 2000), (true, 3000)] {
            incident.apply(&report(fires), EventId::new(), UnixMs(at));
        }
        assert_eq!(meant(&incident, 4000), HashSet::from([1]), "the end was one twin's word, a moment ago");
        assert_eq!(meant(&incident, 70_000), HashSet::new(), "it is news by now, and rings by itself");
    }

    #[test]
    fn what_a_press_did_survives_the_store_and_what_older_versions_stored_stays_readable() {
        let stored = r#"[[7,"unacked"],[8,"unsilenced"]]"#;
        assert_eq!(read_outcome(stored), [(IncidentId(7), ActResult::Unacked), (IncidentId(8), ActResult::Unsilenced)]);
        let rings_at = UnixMs(1_764_000_000_000);
        let now = [(IncidentId(7), ActResult::UnackedQuietly { rings_at }), (IncidentId(8), ActResult::UnsilencedQuietly { rings_at })];
        assert_eq!(read_outcome(&write_outcome(&now)), now);
    }
}
