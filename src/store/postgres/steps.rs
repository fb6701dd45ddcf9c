//! Steps of escalations: where they begin, and what becomes of those that nothing calls for any more.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::admin::lock_deliveries;
use super::error::DbError;
use super::lanes::{Arrival, lock_lanes, recount};
use super::reports::Reports;
use super::rows::{get, outlet};
use super::timeline;
use super::tx::Tx;
use crate::model::{DeliveryId, IncidentId, LaneId, UnixMs};
use crate::store::prepared::PreparedEvent;
use crate::store::rows::{STEP_ENDED_AT, STEP_STOPPED, StoredRow as _, step_row, steps_sql};
use crate::store::{
    AcceptedDelivery, Acks, Begun, ChangedStep, EscalationStep, IncidentState, State, StepChange, StepRow, nothing_calls, step_changes,
};

/// The steps of escalations that begin with events of a group, by event; `reported` are the incidents that the events' reports led to, `reports` what these
/// are now.
pub(super) async fn begin<'a>(
    tx: &Tx,
    events: &[&'a PreparedEvent],
    reported: &[Vec<Option<IncidentId>>],
    reports: &Reports,
) -> Result<Vec<Vec<Arrival<'a>>>, DbError> {
    let mut all: Vec<Vec<Arrival<'a>>> = Vec::with_capacity(events.len());
    for (event, reported) in events.iter().zip(reported) {
        let known = event.steps.iter().filter(|step| step.step().is_some()).filter_map(|prepared| {
            let incident = Some(prepared.delivery.incident.resolve(reported)?);
            Some(Arrival { event: event.id, prepared, now: event.received_at, key: None, incident })
        });
        all.push(known.collect());
    }
    let incidents: BTreeSet<i64> = all.iter().flatten().filter_map(|step| step.incident).map(|id| id.0).collect();
    if incidents.is_empty() {
        return Ok(all);
    }
    let mut begun = begun(tx, &incidents.into_iter().collect()).await?;
    reports.add_to(&mut begun);
    for (event, steps) in events.iter().zip(&mut all) {
        let begins =
            begun.begin(steps.iter().filter_map(|step| Some((step.incident?, step.prepared.step()?, move || event.routed_elsewhere(step.prepared)))));
        let mut begins = begins.into_iter();
        steps.retain(|_| begins.next().unwrap_or(false));
    }
    Ok(all)
}

async fn begun(tx: &Tx, incidents: &Vec<i64>) -> Result<Begun, DbError> {
    let steps = format!(
        "SELECT incident, escalation, began_at, step, channel, coalesce({STEP_STOPPED}, FALSE), {STEP_ENDED_AT}
         FROM delivery WHERE escalation IS NOT NULL AND incident = ANY ($1) ORDER BY id"
    );
    let reopened = "SELECT incident, max(at) FROM timeline WHERE incident = ANY ($1) AND kind = 'reopened' GROUP BY 1";
    let mut begun = Begun::default();
    for row in &tx.query(&steps, &[incidents]).await? {
        let number = u32::try_from(get::<i64>(row, 3)?).unwrap_or_default();
        let run = begun.runs.entry((IncidentId(get(row, 0)?), get(row, 1)?)).or_default();
        run.add(get(row, 2)?, (number, get(row, 4)?), get(row, 5)?, get(row, 6)?);
    }
    for row in &tx.query(reopened, &[incidents]).await? {
        begun.called_again(IncidentId(get(row, 0)?), get(row, 1)?);
    }
    Ok(begun)
}

/// Moves the steps of incidents of which everything that is to be sent is muted: they come after the end of the mute. Returns their lanes.
pub(super) async fn begin_later(tx: &Tx, incidents: &Vec<i64>, base: UnixMs) -> Result<Vec<i64>, DbError> {
    let sql = "UPDATE delivery d SET due_at = $2 + d.after_ms, born_at = $2 + d.after_ms - 1
         WHERE d.incident = ANY ($1) AND d.escalation IS NOT NULL AND d.state = 'deferred' AND d.due_at = d.born_at + 1
             AND NOT EXISTS (SELECT 1 FROM delivery o WHERE o.incident = d.incident AND o.escalation IS NULL AND o.state <> 'deferred')
         RETURNING d.lane_id";
    tx.query(sql, &[incidents, &base]).await?.iter().map(|row| get(row, 0)).collect()
}

/// What becomes of steps that wait.
pub(super) async fn changes(tx: &Tx, suspended: &[String], now: UnixMs) -> Result<Vec<(DeliveryId, StepChange)>, DbError> {
    const WAIT: &str = "SELECT w.incident FROM delivery w WHERE w.escalation IS NOT NULL AND w.state IN ('waiting', 'deferred')";
    let rows = tx.query(&steps_sql(&format!("d.incident IN ({WAIT})")), &[]).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<StepRow> = rows.iter().map(step_row).collect::<Result<_, _>>()?;
    let incidents = tx.query(&format!("SELECT id, state, acks FROM incident WHERE id IN ({WAIT})"), &[]).await?;
    let calls = incidents.iter().map(|row| {
        let (state, acks) = (row.named(1, IncidentState::parse, "incident's state")?, Acks::from_stored(get::<Option<&str>>(row, 2)?));
        Ok((IncidentId(get(row, 0)?), nothing_calls(state, &acks)))
    });
    let calls: HashMap<IncidentId, Option<String>> = calls.collect::<Result<_, DbError>>()?;
    Ok(step_changes(&rows, &calls, suspended, now))
}

/// Changes steps as was found. What ended or was begun meanwhile stays as it is.
pub(super) async fn change(tx: &Tx, found: &[(DeliveryId, StepChange)], now: UnixMs) -> Result<Vec<ChangedStep>, DbError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = found.iter().map(|(id, _)| id.0).collect();
    lock_deliveries(tx, &ids).await?;
    let states: Vec<Option<&str>> = found.iter().map(|(_, change)| change.applied().0.map(State::as_str)).collect();
    let reasons: Vec<String> = found.iter().map(|(_, change)| change.applied().1).collect();
    let rows = tx
        .query(
            "UPDATE delivery d SET state = coalesce(n.state, d.state), done_at = CASE WHEN n.state IS NULL THEN d.done_at ELSE $4 END,
                 due_at = CASE WHEN n.state IS NULL THEN $4 ELSE d.due_at END, reason = n.reason
             FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n (id, state, reason), lane l
             WHERE d.id = n.id AND l.id = d.lane_id AND d.state IN ('waiting', 'deferred') AND d.incident IS NOT NULL
                 AND (n.state IS NOT NULL OR d.due_at > $4)
                 AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = d.message_id AND NOT m.done)
             RETURNING d.id, d.channel, l.outlet, d.lane_id, d.lane_seq, d.state, d.incident, d.escalation, d.step, d.began_at,
                 d.after_ms",
            &[&ids, &states, &reasons, &now],
        )
        .await?;
    let mut changed = Vec::with_capacity(rows.len());
    for row in &rows {
        let (id, incident) = (DeliveryId(get(row, 0)?), IncidentId(get(row, 6)?));
        let Some((_, change)) = found.iter().find(|(changed, _)| *changed == id) else { continue };
        let delivery = AcceptedDelivery {
            id,
            channel: get(row, 1)?,
            outlet: outlet(row, 2)?,
            lane: LaneId(get(row, 3)?),
            lane_seq: get(row, 4)?,
            state: row.state(5)?,
            incident: Some(incident),
        };
        let step = EscalationStep { escalation: get(row, 7)?, number: row.count(8)?, began_at: get(row, 9)?, after: get(row, 10)? };
        changed.push(ChangedStep { delivery, incident, step, change: change.clone() });
    }
    let lanes: Vec<i64> = changed.iter().map(|step| step.delivery.lane.0).collect::<BTreeSet<_>>().into_iter().collect();
    lock_lanes(tx, &lanes, &Vec::new(), &[]).await?;
    recount(tx, &lanes).await?;
    let told: Vec<_> = changed.iter().filter_map(|step| Some((step.incident, step.timeline_row(now)?))).collect();
    timeline::add(tx, &told.iter().map(|(incident, row)| (*incident, row)).collect::<Vec<_>>()).await?;
    Ok(changed)
}
