//! An alert of an incident, and how the row of its incident holds it.

use uuid::Uuid;

use super::AlertState;
use crate::model::{EventId, UnixMs};

/// An alert of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncidentAlert {
    /// Eight bytes of its fingerprint.
    pub fingerprint: u64,
    /// When it began, Unix milliseconds.
    pub start: Option<UnixMs>,
    /// Whether it fires.
    pub state: AlertState,
    /// 0 critical .. 3 info.
    pub rank: u8,
    /// The incident's version as of which it fires: news to every reader who was notified of an earlier version of it, or of none.
    pub fired: i64,
    /// When it got its state, by the clock of the node that accepted the report.
    pub changed_at: UnixMs,
    /// The newest event that reported it.
    pub event: EventId,
    /// Its place in that event.
    pub index: u32,
}

/// Bytes of an alert in the row of its incident.
pub(super) const ALERT_BYTES: usize = 8 + 8 + 1 + 1 + 8 + 8 + 16 + 4;
/// Stored in place of a start that is not known.
const NO_START: i64 = i64::MIN;

impl IncidentAlert {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.fingerprint.to_be_bytes());
        out.extend(self.start.map_or(NO_START, |start| start.0).to_be_bytes());
        out.push(match self.state {
            AlertState::Firing => 0,
            AlertState::Resolved => 1,
            AlertState::Unreported => 2,
        });
        out.push(self.rank);
        out.extend(self.fired.to_be_bytes());
        out.extend(self.changed_at.0.to_be_bytes());
        out.extend(self.event.0.as_bytes());
        out.extend(self.index.to_be_bytes());
    }

    fn read(bytes: &[u8; ALERT_BYTES]) -> Option<Self> {
        let number = |at: usize| Some(i64::from_be_bytes(*bytes[at..].first_chunk()?));
        Some(Self {
            fingerprint: u64::from_be_bytes(*bytes.first_chunk()?),
            start: Some(number(8)?).filter(|start| *start != NO_START).map(UnixMs),
            state: match bytes[16] {
                0 => AlertState::Firing,
                1 => AlertState::Resolved,
                2 => AlertState::Unreported,
                _ => return None,
            },
            rank: bytes[17],
            fired: number(18)?,
            changed_at: UnixMs(number(26)?),
            event: EventId(Uuid::from_bytes(*bytes[34..].first_chunk()?)),
            index: u32::from_be_bytes(*bytes[50..].first_chunk()?),
        })
    }
}

/// The alerts of an incident as its row holds them. An entry that this version cannot read is left out.
pub fn read_incident_alerts(stored: &[u8]) -> Vec<IncidentAlert> {
    stored.as_chunks::<ALERT_BYTES>().0.iter().filter_map(IncidentAlert::read).collect()
}

/// The same, to be stored.
pub fn write_incident_alerts(alerts: &[IncidentAlert]) -> Vec<u8> {
    let mut out = Vec::with_capacity(alerts.len() * ALERT_BYTES);
    alerts.iter().for_each(|alert| alert.write(&mut out));
    out
}
