//! Incidents of both engines: what a report of an event leads to, and how rows of incidents, anchors and timelines are read.
//!
//! The engines read, lock and write; what is decided is decided here.

use std::collections::HashSet;

use super::rows::{StoredRow, columns};
use super::{
    Acks, AlertState, Anchor, Incident, IncidentReport, IncidentState, LookedAt, Rang, TimelineKind, TimelineRow, UnackReason, read_incident_alerts,
    read_notified,
};
use crate::model::{Alert, Event, EventId, IncidentId, MessageId, PlatformIds, Recipient, UnixMs, hash_hex, title};

/// Firing alerts of a report by which an open incident of another group key is looked for.
pub(super) const MAX_LEADS: usize = 16;
/// Rows of a timeline, and deliveries, that are shown with an incident.
pub(super) const MAX_DETAIL_ROWS: i64 = 1000;
/// The source of incidents that are about Watchfire itself, and about heartbeats.
pub(super) const OWN_SOURCE: &str = "watchfire";
/// A message that somebody found is compared with those of so many incidents before and after its own.
pub(super) const MAX_NEIGHBOURS: i64 = 500;

/// What a report leads to.
pub(super) enum Step {
    /// No incident.
    Nothing,
    /// The newest incident of its key, which ended lately and stays as it is.
    Attached(IncidentId),
    /// The newest incident of its key, as it is now.
    Changed(Box<Change>),
    /// Another one: an open one that its sender grouped in another way before ([`regroup`]), else a new one.
    Another,
}

/// An incident that existed, as it is now.
pub(super) struct Change {
    pub(super) incident: Incident,
    /// What its timeline says of the change.
    pub(super) rows: Vec<TimelineRow>,
    /// Whether its state or its acks are others than before.
    pub(super) answered: bool,
}

/// What a report leads to, where `newest` is the newest incident of its key, and `body` is what the event says.
pub(super) fn step(newest: Option<Incident>, report: &IncidentReport, event: EventId, body: &Event, now: UnixMs) -> Step {
    match newest {
        // A stale one takes its end, too.
        Some(mut incident)
            if incident.state.is_open()
                || matches!(incident.state, IncidentState::Stale | IncidentState::Closed | IncidentState::Superseded)
                || (report.fires() && incident.takes(report, now)) =>
        {
            let (was, acks, attended) = (incident.state, incident.acks.clone(), incident.is_attended());
            incident.apply(report, event, now);
            let unacked = incident.acks.unacked.iter().filter(|unacked| acks.unacked.as_ref() != Some(*unacked));
            let mut rows: Vec<TimelineRow> = unacked.map(|unacked| row(TimelineKind::Unacked, now, undone(&unacked.why, &incident, body))).collect();
            if was.is_open() && attended && rows.is_empty() && incident.state.is_open() && !incident.is_attended() {
                rows.push(row(TimelineKind::Unacked, now, LEFT_ALONE.to_owned()));
            }
            rows.extend(transition(was, incident.state, now));
            let answered = was != incident.state || acks != incident.acks;
            Step::Changed(Box::new(Change { incident, rows, answered }))
        }
        _ if report.fires() && report.opens => Step::Another,
        Some(incident) if incident.ended_at.is_some_and(|ended| now - report.reopen_within <= ended) => Step::Attached(incident.id),
        Some(_) | None => Step::Nothing,
    }
}

/// The incident that a report opens. It is over at once when the report says of one alert that it fires and that it is resolved.
pub(super) fn open(report: &IncidentReport, event: EventId, now: UnixMs) -> Option<Change> {
    let incident = Incident::open(report, event, now)?;
    let rows = transition(IncidentState::Firing, incident.state, now).into_iter().collect();
    Some(Change { incident, rows, answered: true })
}

/// Why an ack ended with an event, and which of its alerts did that.
fn undone(why: &UnackReason, incident: &Incident, body: &Event) -> String {
    let UnackReason::Worse { alerts, .. } = why else { return why.text() };
    let worse: HashSet<u64> = alerts.iter().copied().collect();
    let places = incident.alerts.iter().filter(|alert| worse.contains(&alert.fingerprint)).map(|alert| alert.index as usize);
    let named: Vec<&Alert> = places.filter_map(|place| body.alerts.get(place)).collect();
    if named.is_empty() { why.text() } else { format!("{}: {}", why.text(), title(&named)) }
}

fn transition(was: IncidentState, is: IncidentState, now: UnixMs) -> Option<TimelineRow> {
    match (was, is) {
        (was, is) if !was.is_open() && is.is_open() => Some(row(TimelineKind::Reopened, now, "fires again".into())),
        (IncidentState::Resolved, _) => None,
        (_, IncidentState::Resolved) => Some(row(TimelineKind::Resolved, now, "all of its alerts are resolved".into())),
        _ => None,
    }
}

/// Whether the report's sender groups this incident in another way now (M9): everything of it that fires is in the report, under another key.
pub(super) fn is_regrouped(incident: &Incident, report: &IncidentReport) -> bool {
    let same_sender = incident.source == report.source && incident.receiver == report.receiver;
    if !incident.state.is_open() || !same_sender || incident.key == report.key || incident.truncated {
        return false;
    }
    let fires: HashSet<_> = report.alerts.iter().filter(|alert| alert.fires).map(|alert| (alert.fingerprint, alert.start)).collect();
    let mut own = incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing).peekable();
    own.peek().is_some() && own.all(|alert| fires.contains(&(alert.fingerprint, alert.start)))
}

/// Goes on with an incident under the report's key ([`is_regrouped`]).
pub(super) fn regroup(mut incident: Incident, report: &IncidentReport, event: EventId, now: UnixMs) -> Change {
    incident.key.clone_from(&report.key);
    incident.group_key.clone_from(&report.group_key);
    incident.acks.grouped_at = Some(now);
    incident.apply(report, event, now);
    let regrouped = row(TimelineKind::Regrouped, now, format!("its sender groups it as `{}` now", report.group_key));
    let rows = std::iter::once(regrouped).chain(transition(IncidentState::Firing, incident.state, now)).collect();
    Change { incident, rows, answered: true }
}

/// Each of the first firing alerts of a report, hashed with its sender and its start. The first is the lead of an incident that the report opens.
pub(super) fn leads(report: &IncidentReport) -> Vec<i64> {
    let firing = report.alerts.iter().filter(|alert| alert.fires).take(MAX_LEADS);
    let hash = |fingerprint: u64, start: Option<UnixMs>| {
        let start = start.map_or_else(String::new, |start| start.0.to_string());
        hash_hex(&[&report.source, &report.receiver, &format!("{fingerprint:016x}"), &start])
    };
    firing.map(|alert| u64::from_str_radix(&hash(alert.fingerprint, alert.start), 16).unwrap_or_default().cast_signed()).collect()
}

/// The places of reports in the order of their keys, in which incidents are locked.
pub(super) fn in_key_order(reports: &[IncidentReport]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..reports.len()).collect();
    places.sort_by_key(|place| &reports[*place].key);
    places
}

/// What the timeline says of an incident of which nothing was reported since `heard_at`.
pub(super) fn stale_row(heard_at: UnixMs, now: UnixMs) -> TimelineRow {
    row(TimelineKind::Stale, now, format!("nothing was reported since {heard_at}"))
}

/// What the timeline says when somebody was on a part of an incident, and only the rest of it fires.
const LEFT_ALONE: &str = "nothing that was acked fires any more, and nobody is on the rest";

/// Why a message of an incident that ended is not edited any more.
pub(super) const GIVEN_UP_AFTER_END: &str = "the incident ended long ago, and its message could not be edited since";

/// What the timeline says of a message that is behind, on a channel that edits none.
pub(super) fn lost_row(channel: String, now: UnixMs) -> TimelineRow {
    let text = "the channel is not in the configuration any more, or cannot edit: its message stays as it is, unless that changes".to_owned();
    TimelineRow { channel, ..row(TimelineKind::Lost, now, text) }
}

fn row(kind: TimelineKind, at: UnixMs, text: String) -> TimelineRow {
    TimelineRow { at, kind, channel: String::new(), text }
}

columns! {
    /// The columns of an incident `i`, for [`incident`].
    INCIDENT, incident_at, "i.": id, key, source, receiver, group_key, title, state, rank, version, opened_at, heard_at, ended_at, truncated, acks, alerts
}
columns! {
    /// The columns of an open incident `i`, for [`looked_at`]: all that are open are read again and again.
    LOOKED_AT, looked_at_at, "i.": id, source, receiver, opened_at, heard_at, truncated, acks, alerts
}
columns! {
    /// The columns of an anchor `a`, for [`anchor`].
    ANCHOR, anchor_at, "a.": incident, channel, recipient, message_id, ids, notified, notified_at, rang_at, rang_version, shown, edited, next_edit_at, edits, failures,
        reposts, reposted_at
}
columns! {
    /// The columns of a row of a timeline, for [`timeline_row`].
    TIMELINE, timeline_at, "": at, kind, channel, text
}

/// An incident whose first column is `from`.
pub(super) fn incident<R: StoredRow>(row: &R, from: usize) -> Result<Incident, R::Error> {
    use incident_at as at;
    Ok(Incident {
        id: IncidentId(row.int(from + at::id)?),
        key: row.owned(from + at::key)?,
        source: row.owned(from + at::source)?,
        receiver: row.owned(from + at::receiver)?,
        group_key: row.owned(from + at::group_key)?,
        title: row.owned(from + at::title)?,
        state: row.named(from + at::state, IncidentState::parse, "incident's state")?,
        rank: row.count(from + at::rank)?,
        version: row.int(from + at::version)?,
        opened_at: row.time(from + at::opened_at)?,
        heard_at: row.time(from + at::heard_at)?,
        ended_at: row.optional_time(from + at::ended_at)?,
        alerts: read_incident_alerts(row.bytes(from + at::alerts)?),
        truncated: row.flag(from + at::truncated)?,
        acks: Acks::from_stored(row.optional_text(from + at::acks)?),
    })
}

/// What of an open incident decides whether it goes on as others.
pub(super) fn looked_at<R: StoredRow>(row: &R) -> Result<LookedAt<'_>, R::Error> {
    use looked_at_at as at;
    Ok(LookedAt {
        id: IncidentId(row.int(at::id)?),
        source: row.text(at::source)?,
        receiver: row.text(at::receiver)?,
        opened_at: row.time(at::opened_at)?,
        heard_at: row.time(at::heard_at)?,
        truncated: row.flag(at::truncated)?,
        acks: Acks::from_stored(row.optional_text(at::acks)?),
        alerts: read_incident_alerts(row.bytes(at::alerts)?),
    })
}

/// An anchor.
pub(super) fn anchor<R: StoredRow>(row: &R) -> Result<Anchor, R::Error> {
    use anchor_at as at;
    Ok(Anchor {
        incident: IncidentId(row.int(at::incident)?),
        channel: row.owned(at::channel)?,
        recipient: Recipient::new(row.text(at::recipient)?),
        message: MessageId(row.uuid(at::message_id)?),
        ids: row.optional_text(at::ids)?.map(PlatformIds::from_stored).unwrap_or_default(),
        notified: read_notified(row.bytes(at::notified)?),
        notified_at: row.time(at::notified_at)?,
        rang: Rang { at: row.time(at::rang_at)?, version: row.int(at::rang_version)? },
        shown: row.int(at::shown)?,
        edited: row.flag(at::edited)?,
        next_edit_at: row.time(at::next_edit_at)?,
        edits: row.count(at::edits)?,
        failures: row.count(at::failures)?,
        reposts: row.count(at::reposts)?,
        reposted_at: row.time(at::reposted_at)?,
    })
}

/// A line of a timeline.
pub(super) fn timeline_row<R: StoredRow>(row: &R) -> Result<TimelineRow, R::Error> {
    use timeline_at as at;
    Ok(TimelineRow {
        at: row.time(at::at)?,
        kind: row.named(at::kind, TimelineKind::parse, "kind of timeline row")?,
        channel: row.owned(at::channel)?,
        text: row.owned(at::text)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ReportedAlert;

    const T0: UnixMs = UnixMs(1_764_000_000_000);
    const MIN: i64 = 60_000;

    fn report(key: &str, alerts: &[(u64, bool)]) -> IncidentReport {
        let alerts = alerts.iter().map(|&(fingerprint, fires)| ReportedAlert { fingerprint, start: Some(T0), fires, rank: 1, index: 0 });
        IncidentReport { reopen_within: 10 * MIN, closed_for: 60 * MIN, ..IncidentReport::of_group(key, alerts.collect()) }
    }

    fn at(state: IncidentState) -> Option<Incident> {
        let mut incident = Incident { id: IncidentId(7), ..Incident::open(&report("k", &[(1, true)]), EventId::new(), T0)? };
        if !state.is_open() {
            incident.end(state, T0);
        }
        if state == IncidentState::Resolved {
            incident.alerts[0].state = AlertState::Resolved;
        }
        Some(incident)
    }

    #[test]
    fn a_report_goes_on_with_the_newest_incident_or_opens_another() {
        use IncidentState::{Firing, Resolved, Stale};
        let step = |newest: Option<Incident>, fires: bool, after: i64| {
            step(newest, &report("k", &[(1, fires)]), EventId::new(), &Event::default(), T0 + after)
        };
        let outcome = |newest: Option<Incident>, fires: bool, after: i64| match step(newest, fires, after) {
            Step::Nothing => "nothing".to_owned(),
            Step::Attached(id) => format!("attached {id}"),
            Step::Changed(change) => {
                let Change { incident, rows, .. } = *change;
                format!("{} {}", incident.state.as_str(), rows.first().map_or("-", |row| row.kind.as_str()))
            }
            Step::Another => "another".to_owned(),
        };
        for (state, fires, after, expected) in [
            (None, true, 0, "another"),
            (None, false, 0, "nothing"),
            (Some(Firing), true, 999 * MIN, "firing -"),
            (Some(Firing), false, 999 * MIN, "resolved resolved"),
            (Some(Resolved), true, 10 * MIN, "firing reopened"),
            (Some(Resolved), true, 10 * MIN + 1, "another"),
            (Some(Resolved), false, 10 * MIN, "attached 7"),
            (Some(Resolved), false, 10 * MIN + 1, "nothing"),
            (Some(Stale), true, 999 * MIN, "firing reopened"),
            (Some(Stale), false, 999 * MIN, "resolved resolved"),
        ] {
            assert_eq!(outcome(state.and_then(at), fires, after), expected, "{state:?} {fires} {after}");
        }
    }

    #[test]
    fn an_incident_is_regrouped_only_as_a_whole() {
        let incident = Incident::open(&report("k", &[(1, true), (2, true)]), EventId::new(), T0).unwrap();
        let all = report("other", &[(3, true), (2, true), (1, true)]);
        assert!(is_regrouped(&incident, &all));
        let mut later = all.clone();
        later.alerts[1].start = Some(T0 + 1);
        for (what, other) in [
            ("the same key", report("k", &[(1, true), (2, true)])),
            ("a part", report("other", &[(1, true), (3, true)])),
            ("one is resolved", report("other", &[(1, true), (2, false)])),
            ("another start", later),
            ("another site", IncidentReport { source: "x".into(), ..all.clone() }),
            ("another receiver", IncidentReport { receiver: "x".into(), ..all.clone() }),
        ] {
            assert!(!is_regrouped(&incident, &other), "{what}");
        }
        let mut silent = incident.clone();
        silent.alerts.iter_mut().for_each(|alert| alert.state = AlertState::Unreported);
        assert!(!is_regrouped(&silent, &all), "nothing of it fires");
        assert!(!is_regrouped(&Incident { truncated: true, ..incident.clone() }, &all), "not all of it is known");
        let change = regroup(incident, &all, EventId::new(), T0 + MIN);
        assert_eq!((change.incident.key.as_str(), change.incident.version, change.incident.opened_at), ("other", 2, T0));
        assert_eq!(change.rows.iter().map(|row| row.kind).collect::<Vec<_>>(), [TimelineKind::Regrouped]);
    }

    #[test]
    fn an_alert_that_fires_and_is_resolved_in_one_report_is_resolved() {
        let both = report("k", &[(1, true), (1, false)]);
        let Change { incident, rows, .. } = open(&both, EventId::new(), T0).unwrap();
        assert_eq!((incident.state, incident.ended_at, rows[0].kind), (IncidentState::Resolved, Some(T0), TimelineKind::Resolved));
        let before = Incident::open(&report("other", &[(1, true)]), EventId::new(), T0).unwrap();
        let rows = regroup(before, &both, EventId::new(), T0).rows;
        assert_eq!(rows.iter().map(|row| row.kind).collect::<Vec<_>>(), [TimelineKind::Regrouped, TimelineKind::Resolved]);
    }

    #[test]
    fn an_alert_is_known_by_its_lead_in_another_group() {
        let (one, other) = (report("k", &[(1, false), (2, true)]), report("other", &[(3, true), (2, true)]));
        assert_eq!(leads(&one).len(), 1);
        assert!(leads(&other).contains(&leads(&one)[0]));
        assert!(!leads(&IncidentReport { receiver: "x".into(), ..other.clone() }).contains(&leads(&one)[0]));
        let many: Vec<(u64, bool)> = (0..99).map(|fingerprint| (fingerprint, true)).collect();
        assert_eq!(leads(&report("k", &many)).len(), MAX_LEADS);
    }
}
