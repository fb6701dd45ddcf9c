//! What would happen to a body now: which routes match each alert and why, and what each channel would be sent. Nothing is sent or stored.

use std::collections::HashMap;

use jiff::Timestamp;

use super::answers::{Foretold, ForetoldAlert, ForetoldDelivery, ForetoldPage};
use super::api::preview;
use crate::delivery::intake::{HandMute, Intake};
use crate::delivery::{HeartbeatPlan, Plan};
use crate::ingest;
use crate::model::Event;
use crate::route::Explanation;

/// Alerts whose routes are told; the others of a large body are routed the same way, but not explained.
const EXPLAINED: usize = 100;

/// The story of a body, before it happens.
pub fn foretell(plan: &Plan, event: &Event, now: Timestamp, mutes: &HashMap<String, HandMute>) -> Foretold {
    let alerts = event
        .alerts
        .iter()
        .take(EXPLAINED)
        .enumerate()
        .map(|(i, alert)| {
            let routes = match plan.absorbed(&alert.labels) {
                Some(heartbeat) => absorbed_text(heartbeat),
                None => tree_text(&plan.tree.explain(&alert.labels, now)),
            };
            ForetoldAlert { number: i + 1, name: alert.name().to_owned(), status: alert.status.as_str().to_owned(), routes }
        })
        .collect();
    let intake = Intake { plan, at: now, mutes, to: None };
    let deliveries = intake
        .deliveries(event, |alert| ingest::lane_group(event, alert).to_owned())
        .into_iter()
        .map(|new| {
            let channel = plan.channel(&new.channel);
            let shown =
                Event { alerts: new.target.alerts.iter().filter_map(|place| event.alerts.get(*place as usize).cloned()).collect(), ..event.clone() };
            let composed = channel.map(|channel| (channel, preview(plan, channel, &shown, now)));
            let pages = composed
                .iter()
                .flat_map(|(channel, composed)| composed.pages.iter().map(move |page| (channel, page)))
                .map(|(channel, page)| {
                    let size = (channel.platform.measure)(page);
                    ForetoldPage {
                        page: page.number,
                        of: page.total,
                        size: size.used,
                        limit: size.max,
                        unit: size.unit.to_owned(),
                        fields: page.fields.iter().map(|(name, text)| (name.clone(), text.clone())).collect(),
                    }
                })
                .collect();
            ForetoldDelivery {
                template_errors: composed.iter().flat_map(|(_, composed)| &composed.fallbacks).map(ToString::to_string).collect(),
                pace: channel.map_or_else(String::new, |channel| channel.pace_text()),
                channel: new.channel,
                state: new.state,
                reason: new.reason,
                title: new.title,
                route: new.target.route,
                firing: new.firing,
                resolved: new.resolved,
                fallback: new.target.fallback,
                pages,
            }
        })
        .collect();
    Foretold { alerts, not_explained: event.alerts.len().saturating_sub(EXPLAINED), deliveries }
}

/// Why no route was tried.
pub fn absorbed_text(heartbeat: &HeartbeatPlan) -> String {
    format!("a sign of life for the heartbeat `{}`; it is not routed (`route: true` there would)\n", heartbeat.name)
}

/// Every route that was tried: whether it matched, else the matcher that failed and what it met.
pub fn tree_text(explanation: &Explanation) -> String {
    let mut out = String::new();
    for step in &explanation.steps {
        let indent = "  ".repeat(step.depth);
        let mark = if step.selected {
            "->"
        } else if step.matched {
            "ok"
        } else {
            "no"
        };
        let matchers = if step.matchers.is_empty() { "everything".to_owned() } else { step.matchers.join(", ") };
        out.push_str(&format!("{indent}{mark} {}: {matchers}", step.name));
        if let Some(failed) = &step.failed {
            let met = if failed.missing { format!("there is no label {}", failed.label) } else { format!("{} is {:?}", failed.label, failed.value) };
            out.push_str(&format!("; {} fails: {met}", failed.matcher));
        }
        for interval in &step.intervals {
            out.push_str(&format!("; interval {} {}", interval.name, if interval.holds { "holds now" } else { "does not hold now" }));
        }
        if step.not_tried > 0 {
            out.push_str(&format!("; stops here, {} later routes are not tried", step.not_tried));
        }
        out.push('\n');
    }
    out
}
