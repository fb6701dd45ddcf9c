//! Before and after an act: whether its incidents can be silenced and by which labels, and what became of it within a moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::delivery::core::Shared;
use crate::delivery::engine::Engine;
use crate::delivery::plan::{Plan, site_of_alertmanager};
use crate::model::{Event, IncidentId, Labels};
use crate::store::{ActOn, ActResult, Acted, Incident, IncidentAlert, NoSilence, SilenceState, StoreError, UnackReason};

/// How long an act waits for the Alertmanager's answer: most answer at once, and who asked wants to know.
const SETTLES_WITHIN: Duration = Duration::from_secs(1);
/// Bytes of a body that is read for its labels.
const MAX_BYTES: usize = 4 << 20;

/// Of what somebody wants to silence, what can be, each with the labels that a silence matches; and the rest, each with why not.
#[derive(Default)]
pub(in crate::delivery) struct Prepared {
    pub(in crate::delivery) on: Vec<ActOn>,
    pub(in crate::delivery) labels: BTreeMap<IncidentId, Labels>,
    pub(in crate::delivery) refused: Vec<(IncidentId, ActResult)>,
}

impl Engine {
    /// Whether an Alertmanager can be asked to be silent about this incident.
    pub fn can_silence(&self, incident: &Incident) -> bool {
        incident.state.is_open() && self.plan().senders.silence.of(&incident.source).is_some()
    }
}

impl Shared {
    /// Prepares silences of these.
    pub(in crate::delivery) async fn prepare_silences(&self, plan: &Plan, on: Vec<ActOn>) -> Result<Prepared, StoreError> {
        let ids: Vec<IncidentId> = on.iter().map(|on| on.incident).collect();
        let found: BTreeMap<IncidentId, Incident> =
            self.store.incidents(&ids, "").await?.into_iter().map(|(incident, _)| (incident.id, incident)).collect();
        let mut prepared = Prepared::default();
        for on in on {
            // What is over or unknown is answered as such by the act itself.
            let Some(incident) = found.get(&on.incident).filter(|incident| incident.state.is_open()) else {
                prepared.on.push(on);
                continue;
            };
            match self.labels_of(plan, incident).await? {
                Ok(labels) => {
                    prepared.labels.insert(on.incident, labels);
                    prepared.on.push(on);
                }
                Err(why) => prepared.refused.push((on.incident, ActResult::CannotSilence { why })),
            }
        }
        Ok(prepared)
    }

    async fn labels_of(&self, plan: &Plan, incident: &Incident) -> Result<Result<Labels, NoSilence>, StoreError> {
        let newest = newest(incident);
        let event = self.newest_event(incident).await?;
        if site_of_alertmanager(&incident.source).is_none() {
            let alert = event.as_ref().and_then(|event| event.alerts.get(newest?.index as usize));
            return Ok(Err(NoSilence::OtherSender { link: alert.map(|alert| alert.silence_url.clone()).unwrap_or_default() }));
        }
        if plan.senders.silence.of(&incident.source).is_none() {
            return Ok(Err(NoSilence::NotConfigured));
        }
        Ok(event.as_deref().and_then(labels).ok_or(NoSilence::NoLabels))
    }

    /// The newest event that reported an alert of this; `None` when it is not stored any more.
    async fn newest_event(&self, incident: &Incident) -> Result<Option<Arc<Event>>, StoreError> {
        let ids: Vec<_> = newest(incident).iter().map(|alert| alert.event).collect();
        Ok(self.store.load_events(&ids, MAX_BYTES).await?.events.pop().map(|stored| stored.event))
    }

    /// The labels that its alerts have in common by its newest event: what a silence or a mute of it matches.
    pub(in crate::delivery) async fn common_labels(&self, incident: &Incident) -> Result<Option<Labels>, StoreError> {
        Ok(self.newest_event(incident).await?.as_deref().and_then(labels))
    }

    /// Waits a moment for the answers to what was asked for, and puts them into the results.
    pub(in crate::delivery) async fn settle_silences(&self, acted: &mut Acted) {
        let is_silence =
            |result: &ActResult| matches!(result, ActResult::Silenced { .. } | ActResult::Unsilenced | ActResult::UnsilencedQuietly { .. });
        let asked: Vec<IncidentId> = acted.results.iter().filter(|(_, result)| is_silence(result)).map(|(id, _)| *id).collect();
        if acted.repeated || asked.is_empty() {
            return;
        }
        let mut done = self.by_hand.silences.done.subscribe();
        self.by_hand.silences.asked.notify_one();
        let answered = async {
            while done.changed().await.is_ok() {
                let Ok(found) = self.store.incidents(&asked, "").await else { return };
                let open = |incident: &Incident| {
                    incident
                        .acks
                        .silence
                        .as_ref()
                        .is_some_and(|silence| matches!(silence.state, SilenceState::Asked | SilenceState::Ending) && silence.reason.is_empty())
                };
                if !found.iter().any(|(incident, _)| open(incident)) {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(SETTLES_WITHIN, answered).await;
        let Ok(found) = self.store.incidents(&asked, "").await else { return };
        for (id, result) in &mut acted.results {
            let incident = found.iter().find(|(incident, _)| incident.id == *id);
            if let (ActResult::Silenced { until, state, reason }, Some((incident, _))) = (result, incident) {
                match (&incident.acks.silence, &incident.acks.unacked) {
                    (Some(silence), _) => (*until, *state, *reason) = (silence.until, silence.state, silence.reason.clone()),
                    (None, Some(unacked)) => {
                        if let UnackReason::NotSilenced { reason: why, .. } = &unacked.why {
                            (*state, *reason) = (SilenceState::Failed, why.clone());
                        }
                    }
                    (None, None) => {}
                }
            }
        }
    }
}

fn newest(incident: &Incident) -> Option<&IncidentAlert> {
    incident.alerts.iter().max_by_key(|alert| alert.event)
}

/// What a silence of an event's group matches: the labels that it is grouped by; where it is grouped by none, those that all of its alerts have in common.
fn labels(event: &Event) -> Option<Labels> {
    let chosen = if event.group_labels.values().any(|value| !value.is_empty()) { &event.group_labels } else { &event.common_labels };
    chosen.values().any(|value| !value.is_empty()).then(|| chosen.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_matches_the_group_and_never_everything() {
        let of = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Labels>();
        let all = Event { group_labels: of(&[("alertname", "A")]), common_labels: of(&[("alertname", "A"), ("job", "x")]), ..Event::default() };
        assert_eq!(labels(&all), Some(of(&[("alertname", "A")])));
        let ungrouped = Event { group_labels: of(&[("team", "")]), ..all.clone() };
        assert_eq!(labels(&ungrouped), Some(all.common_labels.clone()));
        assert_eq!(labels(&Event { common_labels: Labels::new(), ..ungrouped }), None);
    }
}
