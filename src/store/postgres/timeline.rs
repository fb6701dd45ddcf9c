//! The timelines of incidents: what happened to each, line by line.

use super::error::DbError;
use super::rows::Columns;
use super::tx::Tx;
use crate::model::IncidentId;
use crate::store::TimelineRow;
use crate::store::incidents::{MAX_DETAIL_ROWS, TIMELINE, timeline_row};

/// Adds lines, in the order given; all is sent when this is first polled.
pub(super) async fn add(tx: &Tx, rows: &[(IncidentId, &TimelineRow)]) -> Result<(), DbError> {
    if rows.is_empty() {
        return Ok(());
    }
    let each = || rows.iter().map(|(_, row)| *row);
    Columns::default()
        .with("incident", rows.iter().map(|(incident, _)| incident.0))
        .with("at", each().map(|row| row.at))
        .with("kind", each().map(|row| row.kind.as_str()))
        .with("channel", each().map(|row| row.channel.as_str()))
        .with("text", each().map(|row| row.text.as_str()))
        .insert(tx, "timeline", "")
        .await
}

/// Removes the newest line of this one's kind and channel that ends so, which this one takes the place of.
pub(super) async fn remove_last(tx: &Tx, incident: IncidentId, row: &TimelineRow, end: &str) -> Result<(), DbError> {
    let sql =
        "DELETE FROM timeline WHERE id = (SELECT id FROM timeline WHERE incident = $1 AND kind = $2 AND channel = $3 AND right(text, length($4)) = $4
             ORDER BY id DESC LIMIT 1)";
    tx.execute(sql, &[&incident.0, &row.kind.as_str(), &row.channel.as_str(), &end]).await?;
    Ok(())
}

/// The lines of an incident, oldest first; of very many the newest.
pub(super) async fn of(tx: &Tx, incident: IncidentId) -> Result<Vec<TimelineRow>, DbError> {
    let sql = format!("SELECT {TIMELINE} FROM timeline WHERE incident = $1 ORDER BY id DESC LIMIT $2");
    let mut rows = tx.query(&sql, &[&incident.0, &MAX_DETAIL_ROWS]).await?;
    rows.reverse();
    rows.iter().map(timeline_row).collect()
}
