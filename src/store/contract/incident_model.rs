//! Incidents and anchors as simple as they can be: vectors, and every answer looked for from their beginnings again.

use crate::model::{EventId, IncidentId, UnixMs};
use crate::store::*;

/// The whole.
#[derive(Debug, Default)]
pub struct Incidents {
    pub all: Vec<Incident>,
    pub anchors: Vec<Anchor>,
    pub timeline: Vec<(IncidentId, TimelineKind)>,
    /// The alert that opened each, by fingerprint and start.
    leads: Vec<(IncidentId, (u64, Option<UnixMs>))>,
    last: Option<IncidentId>,
}

impl Incidents {
    /// The incident that a report leads to. `opened` is that which the engine names: it is taken at its word when another one has to be opened.
    pub fn report(&mut self, report: &IncidentReport, event: EventId, now: UnixMs, opened: Option<IncidentId>) -> Option<IncidentId> {
        let of_key = self.all.iter().filter(|incident| incident.key == report.key);
        let newest = of_key.max_by_key(|incident| (incident.ended_at.unwrap_or(UnixMs::MAX), incident.id)).cloned();
        let fires: Vec<(u64, Option<UnixMs>)> =
            report.alerts.iter().filter(|alert| alert.fires).map(|alert| (alert.fingerprint, alert.start)).collect();
        if let Some(incident) = &newest
            && (incident.state.is_open() || incident.state == IncidentState::Stale || (!fires.is_empty() && incident.takes(report, now)))
        {
            self.apply(incident.id, report, event, now);
            return Some(incident.id);
        }
        let Some(lead) = fires.first() else {
            let lately = |incident: &Incident| incident.ended_at.is_some_and(|at| at >= now - report.reopen_within);
            return newest.filter(lately).map(|incident| incident.id);
        };
        let moves = |incident: &&Incident| {
            let own: Vec<_> = incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing).collect();
            let led = self.leads.iter().any(|(id, lead)| *id == incident.id && fires.iter().take(16).any(|fires| fires == lead));
            incident.state.is_open() && led && !own.is_empty() && own.iter().all(|alert| fires.contains(&(alert.fingerprint, alert.start)))
        };
        if let Some(id) = self.all.iter().find(moves).map(|incident| incident.id) {
            let incident = self.get(id).expect("found");
            (incident.key, incident.group_key) = (report.key.clone(), report.group_key.clone());
            incident.acks.grouped_at = Some(now);
            self.timeline.push((id, TimelineKind::Regrouped));
            self.apply(id, report, event, now);
            return Some(id);
        }
        let id = opened.expect("something fires");
        assert!(Some(id) > self.last, "{id} was given out before");
        self.last = Some(id);
        self.leads.push((id, *lead));
        self.all.push(Incident { id, ..Incident::open(report, event, now).expect("something fires") });
        if self.all.last().is_some_and(|incident| !incident.state.is_open()) {
            self.timeline.push((id, TimelineKind::Resolved));
        }
        Some(id)
    }

    fn get(&mut self, id: IncidentId) -> Option<&mut Incident> {
        self.all.iter_mut().find(|incident| incident.id == id)
    }

    fn apply(&mut self, id: IncidentId, report: &IncidentReport, event: EventId, now: UnixMs) {
        let incident = self.get(id).expect("there");
        let was = incident.state;
        incident.apply(report, event, now);
        match (was.is_open(), incident.state) {
            (_, IncidentState::Resolved) if was != IncidentState::Resolved => self.timeline.push((id, TimelineKind::Resolved)),
            (false, IncidentState::Firing) => self.timeline.push((id, TimelineKind::Reopened)),
            _ => {}
        }
    }

    /// What a message changes of an anchor.
    pub fn confirm(&mut self, update: &AnchorUpdate, now: UnixMs) {
        if self.get(update.incident).is_none() {
            return;
        }
        let place = self.anchors.iter().position(|a| (a.incident, &a.channel, &a.recipient) == (update.incident, &update.channel, &update.recipient));
        let before = place.map(|place| self.anchors.remove(place));
        self.anchors.push(Anchor::confirmed(before, update, now));
    }

    /// What an edit changes of an anchor.
    pub fn edit(&mut self, outcome: &EditOutcome) {
        let place =
            self.anchors.iter().position(|a| (a.incident, &a.channel, &a.recipient) == (outcome.incident, &outcome.channel, &outcome.recipient));
        if let Some(place) = place {
            let (anchor, row) = self.anchors.remove(place).after_edit(outcome);
            self.timeline.extend(row.map(|row| (anchor.incident, row.kind)));
            self.anchors.push(anchor);
        }
    }

    /// The version of an anchor's incident.
    fn version(&self, anchor: &Anchor) -> i64 {
        self.all.iter().find(|incident| incident.id == anchor.incident).map_or(0, |incident| incident.version)
    }

    /// Anchors of a channel that are edited and show less than their incidents are, all of which may be edited by `now`, in the order of edits.
    pub fn dirty(&self, channel: &str, now: UnixMs) -> Vec<Anchor> {
        let dirty = self.anchors.iter().filter(|a| a.channel == channel && a.edited && a.shown < self.version(a));
        let mut dirty: Vec<Anchor> = dirty.cloned().collect();
        let rank = |a: &Anchor| self.all.iter().find(|incident| incident.id == a.incident).map(|incident| incident.rank);
        assert!(dirty.iter().all(|a| a.next_edit_at <= now));
        dirty.sort_by_key(|a| (rank(a), a.incident));
        dirty
    }

    /// Ends what was not reported since; returns how many.
    pub fn end_stale(&mut self, heard_before: UnixMs, now: UnixMs) -> u64 {
        let mut count = 0;
        for incident in self.all.iter_mut().filter(|incident| incident.state.is_open() && incident.heard_at < heard_before) {
            incident.end(IncidentState::Stale, now);
            self.timeline.push((incident.id, TimelineKind::Stale));
            count += 1;
        }
        count
    }

    /// Cancels the edits of what ended before; returns how many.
    pub fn give_up(&mut self, ended_before: UnixMs) -> u64 {
        let mut count = 0;
        for anchor in &mut self.anchors {
            let incident = self.all.iter().find(|incident| incident.id == anchor.incident).expect("an anchor goes with its incident");
            if incident.ended_at.is_some_and(|at| at < ended_before) && anchor.edited && anchor.shown < incident.version {
                anchor.edited = false;
                self.timeline.push((incident.id, TimelineKind::GivenUp));
                count += 1;
            }
        }
        count
    }

    /// A channel renamed: an anchor that exists under the new name wins.
    pub fn relocate(&mut self, from: &str, to: &str) {
        let (moves, mut stay): (Vec<Anchor>, Vec<Anchor>) = self.anchors.drain(..).partition(|anchor| anchor.channel == from);
        for anchor in moves {
            if stay.iter().all(|a| (a.incident, a.channel.as_str(), &a.recipient) != (anchor.incident, to, &anchor.recipient)) {
                stay.push(Anchor { channel: to.into(), ..anchor });
            }
        }
        self.anchors = stay;
    }

    /// Removes what ended before and what nothing referred to.
    pub fn purge(&mut self, ended_before: UnixMs, referred: &[IncidentId]) {
        self.all.retain(|incident| incident.ended_at.is_none_or(|at| at >= ended_before) || referred.contains(&incident.id));
        let kept: Vec<IncidentId> = self.all.iter().map(|incident| incident.id).collect();
        self.anchors.retain(|anchor| kept.contains(&anchor.incident));
        self.timeline.retain(|(id, _)| kept.contains(id));
    }
}
