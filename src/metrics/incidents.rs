//! Incidents, and the messages that are kept up to date with them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::labels::{Edited, EscalationSteps, OpenIncidents, Pressed, Silences};
use super::register::series;

/// Metrics of incidents.
pub struct Incidents {
    pub open: Family<OpenIncidents, Gauge>,
    pub edits: Family<Edited, Counter>,
    pub reposted: Counter,
    pub acked: Histogram,
    pub presses: Family<Pressed, Counter>,
    pub escalation_steps: Family<EscalationSteps, Counter>,
    pub silences: Family<Silences, Counter>,
}

impl Incidents {
    pub fn register(registry: &mut Registry) -> Self {
        let edits = Family::default();
        for result in ["shown", "posted", "gone", "failed", "given_up"] {
            drop(edits.get_or_create(&Edited { result }));
        }
        let escalation_steps = Family::default();
        for result in ["sent", "skipped", "dead", "unknown"] {
            drop(escalation_steps.get_or_create(&EscalationSteps { result }));
        }
        let silences = Family::default();
        for result in ["active", "ended", "failed", "retried"] {
            drop(silences.get_or_create(&Silences { result }));
        }
        let open = Family::default();
        for state in ["firing", "acked", "snoozed"] {
            for severity in ["critical", "error", "warning", "info"] {
                drop(open.get_or_create(&OpenIncidents { state, severity }));
            }
        }
        Self {
            open: series(registry, "incidents_open", "Incidents that go on, by state and severity", open),
            edits: series(
                registry,
                "edits",
                "Edits of messages about incidents: `shown`, `posted` (again, where the message was gone), `gone`, `failed` or `given_up`",
                edits,
            ),
            reposted: series(
                registry,
                "anchors_reposted",
                "Messages about incidents that were posted again because they were gone, too old or not ours",
                Counter::default(),
            ),
            acked: series(
                registry,
                "ack_seconds",
                "Time from an incident's first firing until somebody was on it",
                Histogram::new(exponential_buckets(5.0, 2.0, 14)),
            ),
            presses: series(
                registry,
                "presses",
                "What people did about incidents, by the way it came: `done`, `no_effect`, `repeated`, `refused`, `limited`, `not_believed` or `failed`",
                Family::default(),
            ),
            escalation_steps: series(
                registry,
                "escalation_steps",
                "Steps of escalations that ended: `sent`, `skipped` (acked, over, or a later step is due), `dead` or `unknown`",
                escalation_steps,
            ),
            silences: series(
                registry,
                "silences",
                "What Alertmanagers said of silences that people asked for: `active`, `ended`, `failed` (refused) or `retried` (no answer)",
                silences,
            ),
        }
    }
}
