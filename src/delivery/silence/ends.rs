//! What ends under a silence: Alertmanager says nothing of it, neither then nor after the silence, so it is asked
//! (<https://github.com/prometheus/alertmanager/issues/226>).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::engine::Engine;
use crate::channel::alertmanager::{Cluster, KnownAlerts};
use crate::ingest::short_fingerprint;
use crate::model::{ALL_RESOLVED, Event, EventId, SendError, Status, UnixMs};
use crate::store::{AlertState, Incident, Silence, StoreError};

/// Within this the senders of a server that was started have repeated what fires.
const REPEATED_AFTER: Duration = Duration::from_secs(300);
/// An incident that nothing was reported of for so long is reported once more, so that it does not become stale.
const ALIVE_AFTER: Duration = Duration::from_secs(1800);
/// Bytes of bodies that are read for one incident.
const MAX_BYTES: usize = 4 << 20;

/// Asks what still fires of an incident under a silence, and accepts what has ended as if its sender had reported it. Returns whether the Alertmanager has or
/// had an alert of it; the inner error: nobody could be asked.
pub(super) async fn report(
    engine: &Engine,
    cluster: &Cluster,
    incident: &Incident,
    silence: &Silence,
    deadline: Instant,
) -> Result<Result<bool, SendError>, StoreError> {
    let open = || incident.alerts.iter().filter(|alert| alert.state != AlertState::Resolved);
    let mut ids: Vec<EventId> = open().map(|alert| alert.event).collect();
    ids.sort_unstable();
    ids.dedup();
    let bodies: BTreeMap<EventId, Arc<Event>> =
        engine.load_events(&ids, MAX_BYTES).await?.events.into_iter().map(|stored| (stored.id, stored.event)).collect();
    // Without every body nothing can be said of the whole.
    let Some(newest) = ids.last().and_then(|id| bodies.get(id)).filter(|_| bodies.len() == ids.len()) else { return Ok(Ok(silence.seen)) };
    let alerts = match cluster.alerts(&silence.labels, deadline).await {
        Ok(alerts) => alerts,
        Err(error) => return Ok(Err(error)),
    };
    let lists = |fingerprint: u64| alerts.firing.iter().any(|listed| short_fingerprint(listed) == fingerprint);
    // An Alertmanager that never had them, because another one sent them, proves nothing.
    if !silence.seen && !open().any(|alert| lists(alert.fingerprint)) {
        tracing::warn!(incident = %incident.id, "the Alertmanager has none of the alerts that it is silent about; check `source` under `silence`");
        return Ok(Ok(false));
    }
    let now = engine.shared.clock.wall();
    if let Some(event) = event_of(incident, newest, &bodies, &alerts, now) {
        let to = named_channels(engine, incident).await?;
        tracing::info!(incident = %incident.id, status = event.status.as_str(), "what fires under a silence was reported for its sender");
        engine.accept(event, to.as_deref()).await?;
    }
    Ok(Ok(true))
}

/// What the sender would report now; `None` when there is nothing to report, or nothing is proved.
fn event_of(incident: &Incident, newest: &Event, bodies: &BTreeMap<EventId, Arc<Event>>, alerts: &KnownAlerts, now: UnixMs) -> Option<Event> {
    // A server that was started after the last report may not know yet what fires.
    let up_since = UnixMs::from(alerts.up_since);
    if up_since > incident.heard_at && now.since(up_since) < REPEATED_AFTER {
        return None;
    }
    let firing: HashSet<u64> = alerts.firing.iter().map(|fingerprint| short_fingerprint(fingerprint)).collect();
    let mut reported = Vec::new();
    let mut ended = false;
    for known in incident.alerts.iter().filter(|alert| alert.state != AlertState::Resolved) {
        let mut alert = bodies.get(&known.event)?.alerts.get(known.index as usize)?.clone();
        match (firing.contains(&known.fingerprint), known.state) {
            (true, AlertState::Firing) => (alert.status, alert.ends_at) = (Status::Firing, None),
            // It was not reported before, and still is not.
            (true, _) => continue,
            (false, _) => {
                ended = true;
                (alert.status, alert.ends_at) = (Status::Resolved, Some(now.timestamp()));
            }
        }
        reported.push(alert);
    }
    if reported.is_empty() || !(ended || now.since(incident.heard_at) >= ALIVE_AFTER) {
        return None;
    }
    let all_over = firing.is_empty();
    let status = if reported.iter().any(|alert| alert.status == Status::Firing) { Status::Firing } else { Status::Resolved };
    Some(Event {
        status,
        truncated: if all_over { 0 } else { newest.truncated },
        reason: if all_over { ALL_RESOLVED.to_owned() } else { String::new() },
        unknown_to: Vec::new(),
        trace: String::new(),
        alerts: reported,
        ..newest.clone()
    })
}

/// The channels that the sender named past the routing table (`?to=`), where it did.
async fn named_channels(engine: &Engine, incident: &Incident) -> Result<Option<Vec<String>>, StoreError> {
    let Some(detail) = engine.query().get_incident(incident.id).await? else { return Ok(None) };
    for row in detail.deliveries.iter().rev() {
        let Some(delivery) = engine.query().get_delivery(row.id).await?.filter(|delivery| delivery.target.step.is_none()) else { continue };
        let named = delivery.target.route == "?to=";
        let same = detail.deliveries.iter().filter(|other| other.event == row.event);
        return Ok(named.then(|| same.map(|other| other.channel.clone()).collect()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::testing::{alert, event};
    use crate::store::{IncidentReport, ReportedAlert};

    const T0: UnixMs = UnixMs(1_764_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn scene(names: &[&str]) -> (Incident, Event, BTreeMap<EventId, Arc<Event>>) {
        let body = event(names.iter().map(|name| alert(name, "critical", Status::Firing)).collect());
        let id = EventId::new();
        let reported = |(index, alert): (usize, &crate::model::Alert)| ReportedAlert {
            fingerprint: short_fingerprint(&alert.fingerprint),
            start: alert.starts_at.map(UnixMs::from),
            fires: true,
            rank: 0,
            index: index as u32,
        };
        let report = IncidentReport {
            source: body.source.clone(),
            receiver: body.receiver.clone(),
            ..IncidentReport::of_group(&body.group_key, body.alerts.iter().enumerate().map(reported).collect())
        };
        let incident = Incident::open(&report, id, T0).unwrap();
        (incident, body.clone(), [(id, Arc::new(body))].into())
    }

    fn fires(names: &[&str], up_since: UnixMs) -> KnownAlerts {
        KnownAlerts { firing: names.iter().map(|name| (*name).to_owned()).collect(), up_since: up_since.timestamp() }
    }

    #[test]
    fn what_is_not_listed_any_more_has_ended_unless_the_server_has_just_been_started() {
        let (incident, newest, bodies) = scene(&["a", "b"]);
        let said = |alerts: &KnownAlerts, after: Duration| {
            let event = event_of(&incident, &newest, &bodies, alerts, T0 + after)?;
            Some((event.status, event.alerts.iter().map(|alert| alert.status).collect::<Vec<_>>(), event.reason.clone(), event.is_whole()))
        };
        let long_up = T0 - MINUTE;
        assert_eq!(said(&fires(&["a", "b", "c"], long_up), MINUTE), None, "all of it fires");
        let part = (Status::Firing, vec![Status::Resolved, Status::Firing], String::new(), true);
        assert_eq!(said(&fires(&["b"], long_up), MINUTE), Some(part.clone()));
        let over = (Status::Resolved, vec![Status::Resolved; 2], ALL_RESOLVED.to_owned(), true);
        assert_eq!(said(&fires(&[], long_up), MINUTE), Some(over.clone()));
        assert_eq!(said(&fires(&[], T0 + 1), 5 * MINUTE), None, "it may not have been asked again");
        assert_eq!(said(&fires(&[], T0 + 1), 6 * MINUTE), Some(over));
        let alive = (Status::Firing, vec![Status::Firing; 2], String::new(), true);
        assert_eq!(said(&fires(&["a", "b"], long_up), 31 * MINUTE), Some(alive), "so that it does not become stale");
    }

    #[test]
    fn nothing_is_said_of_what_is_not_known() {
        let (mut incident, mut newest, bodies) = scene(&["a", "b"]);
        incident.alerts[1].state = AlertState::Unreported;
        newest.truncated = 3;
        let said = |incident: &Incident, names: &[&str]| event_of(incident, &newest, &bodies, &fires(names, T0 - MINUTE), T0 + MINUTE);
        assert_eq!(said(&incident, &["a", "b"]), None);
        let part = said(&incident, &["b"]).unwrap();
        assert_eq!((part.alerts.len(), part.is_whole(), part.status), (1, false, Status::Resolved), "what was left out may fire");
        assert!(part.may_fire_on());
        assert!(event_of(&incident, &newest, &BTreeMap::new(), &fires(&[], T0 - MINUTE), T0).is_none(), "a body that is gone proves nothing");
    }
}
