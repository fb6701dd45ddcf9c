//! Handing an incident on, to a step that is sent: one on a disabled channel reaches nobody, and the step after it comes as well.

use crate::delivery::core::Shared;
use crate::delivery::plan::Plan;
use crate::model::IncidentId;
use crate::store::{Act, ActOn, Acted, ChangedStep, PressKey, StepChange, StoreError};

/// Steps that one press makes due, one after the other.
const MAX_STEPS: usize = 20;

impl Shared {
    pub(super) async fn hand_on(&self, plan: &Plan, act: Act) -> Result<Acted, StoreError> {
        let mut acted = self.store.act(act.clone()).await?;
        let mut last = acted.ended_steps.clone();
        for n in 2..=MAX_STEPS {
            let to_nobody = acted.results.iter().map(|(id, _)| *id).filter(|id| is_to_nobody(plan, &last, *id));
            let on: Vec<ActOn> = to_nobody.map(|incident| ActOn { incident, shown: None }).collect();
            if on.is_empty() {
                break;
            }
            let press = PressKey { event_id: format!("{} {n}", act.press.event_id), ..act.press.clone() };
            let more = self.store.act(Act { press, on, ..act.clone() }).await?;
            for (id, result) in more.results {
                acted.results.iter_mut().filter(|(known, _)| *known == id).for_each(|(_, known)| *known = result.clone());
            }
            acted.rings.extend(more.rings);
            acted.ended_steps.extend(more.ended_steps.iter().cloned());
            last = more.ended_steps;
        }
        Ok(acted)
    }
}

/// Whether an incident was handed on to disabled channels alone.
fn is_to_nobody(plan: &Plan, changed: &[ChangedStep], id: IncidentId) -> bool {
    let steps: Vec<&ChangedStep> = changed.iter().filter(|step| step.incident == id && matches!(step.change, StepChange::HandedOn(_))).collect();
    !steps.is_empty() && steps.iter().all(|step| !plan.sends(&step.delivery.channel))
}
