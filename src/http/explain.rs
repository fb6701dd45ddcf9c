//! What would happen to a body now: which routes match each alert and why, and what each channel would be sent. Nothing is sent or stored.

use std::sync::Arc;

use jiff::Timestamp;

use super::api::preview_target;
use crate::api::{ExplainResponse, ExplainedDelivery, ExplainedPage, RouteTrace, RouteTraces};
use crate::delivery::intake::Intake;
use crate::delivery::mutes::{INDEFINITE, Mutes};
use crate::delivery::{HeartbeatPlan, Plan};
use crate::model::{Event, Labels, Language};
use crate::route::Explanation;
use crate::route::tree::Step;
use crate::store::{NewDelivery, StoredEvent};

/// Alerts whose routes are explained; the others of a large body are routed the same way, but not explained.
const MAX_EXPLAINED: usize = 100;
/// Routes in a row that fail by their first matcher and are written out.
const MAX_ROW: usize = 20;

/// What would become of a body.
pub fn explain_event(plan: &Plan, event: &Arc<Event>, now: Timestamp, mutes: &Mutes) -> ExplainResponse {
    let alerts = 0..event.alerts.len().min(MAX_EXPLAINED);
    let intake = Intake { plan, at: now, mutes, to: None };
    let deliveries = intake.deliveries(event);
    ExplainResponse {
        alerts: route_traces(plan, event, alerts, now, mutes),
        not_explained: event.alerts.len().saturating_sub(MAX_EXPLAINED),
        deliveries: deliveries.into_iter().map(|new| delivery(plan, event, new, now)).collect(),
    }
}

/// How these alerts of an event go through the routing tree at a time.
fn route_traces(plan: &Plan, event: &Event, places: impl Iterator<Item = usize>, at: Timestamp, mutes: &Mutes) -> Vec<RouteTrace> {
    let way = |place: usize| {
        let alert = event.alerts.get(place)?;
        let routes = match plan.absorbed(&alert.labels) {
            Some(heartbeat) => absorbed_text(heartbeat),
            None => {
                let explanation = plan.tree.explain(&alert.labels, at);
                tree_text(&explanation)
                    + &labels_text(plan, &explanation, &alert.labels)
                    + &mutes_text(mutes, &explanation, &alert.labels)
                    + &escalations_text(plan, &explanation, &alert.labels, Language::En)
            }
        };
        Some(RouteTrace { number: place + 1, name: alert.name().to_owned(), status: alert.status.as_str().to_owned(), routes })
    };
    places.filter_map(way).collect()
}

/// Why the alerts of a stored event, or some of them, went where they went: by the configuration of now, at the time the event arrived.
pub fn explain_stored(plan: &Plan, stored: &StoredEvent, places: Option<&[u32]>) -> RouteTraces {
    let event = &stored.event;
    let all: Vec<usize> = places.map_or_else(|| (0..event.alerts.len()).collect(), |places| places.iter().map(|place| *place as usize).collect());
    let at = stored.received_at.timestamp();
    RouteTraces {
        changed: *stored.plan != *plan.hash,
        not_explained: all.len().saturating_sub(MAX_EXPLAINED),
        alerts: route_traces(plan, event, all.into_iter().take(MAX_EXPLAINED), at, &Mutes::of(&plan.tree)),
    }
}

fn delivery(plan: &Plan, event: &Arc<Event>, new: NewDelivery, now: Timestamp) -> ExplainedDelivery {
    let channel = plan.channel(&new.channel);
    let composed = channel.map(|channel| (channel, preview_target(plan, channel, event, new.target.clone(), now)));
    let pages = composed.iter().flat_map(|(channel, composed)| composed.pages.iter().map(move |page| (channel, page)));
    let pages = pages.map(|(channel, page)| {
        let size = (channel.platform.measure)(page);
        ExplainedPage {
            page: page.number,
            of: page.total,
            size: size.used,
            limit: size.max,
            unit: size.unit.to_owned(),
            fields: page.fields.iter().map(|(name, text)| (name.clone(), text.clone())).collect(),
        }
    });
    ExplainedDelivery {
        pages: pages.collect(),
        template: composed.as_ref().map(|(_, composed)| composed.template.clone()).unwrap_or_default(),
        template_errors: composed.iter().flat_map(|(_, composed)| &composed.fallbacks).map(ToString::to_string).collect(),
        rate_limit: channel.map_or_else(String::new, |channel| channel.rate_limit_text()),
        platform: channel.map_or_else(String::new, |channel| channel.platform.name.to_owned()),
        channel: new.channel,
        state: new.state,
        reason: new.reason,
        title: new.summary.title,
        route: new.target.route,
        firing: new.summary.firing,
        resolved: new.summary.resolved,
        fallback: plan.sending_fallbacks(&new.target.fallback),
    }
}

/// Whether a route is for other alerts: the first of its matchers fails.
fn is_far(step: &Step) -> bool {
    step.failed.as_ref().is_some_and(|failed| step.matchers.first() == Some(&failed.matcher))
}

fn step_text(step: &Step, out: &mut String) {
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
    if let Some(muted) = &step.muted {
        let until = muted.until.map_or_else(|| INDEFINITE.to_owned(), |until| format!("until {until}"));
        out.push_str(&format!("; muted by {} {until}", muted.by));
    }
    match step.not_tried {
        0 => {}
        1 => out.push_str("; stops here, 1 later route is not tried"),
        more => out.push_str(&format!("; stops here, {more} later routes are not tried")),
    }
    out.push('\n');
}

/// Why no route was tried.
pub fn absorbed_text(heartbeat: &HeartbeatPlan) -> String {
    format!("a sign of life for the heartbeat `{}`; it is not routed (`route: true` there would)\n", heartbeat.name)
}

/// What happens when nobody acks: a line for each escalation of the targets.
pub fn escalations_text(plan: &Plan, explanation: &Explanation, labels: &Labels, language: Language) -> String {
    let mut named: Vec<&str> = Vec::new();
    for name in explanation.targets.iter().filter_map(|target| target.target.escalation.as_deref()) {
        if !named.contains(&name) {
            named.push(name);
        }
    }
    let steps = named.into_iter().filter_map(|name| Some((name, plan.people.escalations.get(name)?)));
    steps
        .map(|(name, escalation)| {
            let steps = plan.people.in_words(escalation, Some(labels), &|channel| plan.sends(channel), language);
            match language {
                Language::En => format!("escalation {name}, unless somebody acks: {steps}\n"),
                Language::Zh => format!("升级策略 {name}，无人认领时：{steps}\n"),
            }
        })
        .collect()
}

/// What labels of the alert decide: the channels, and whom they mention.
pub fn labels_text(plan: &Plan, explanation: &Explanation, labels: &Labels) -> String {
    let mut out = String::new();
    let mut routes: Vec<usize> = Vec::new();
    for target in &explanation.targets {
        let Some(node) = plan.tree.nodes().get(target.target.route) else { continue };
        if let Some(by) = node.to.by_label.as_ref().filter(|_| !routes.contains(&target.target.route)) {
            routes.push(target.target.route);
            let why = match (by.of(labels), labels.get(&by.label)) {
                (Some(_), Some(team)) => format!("those of the team {team}"),
                (_, None) => format!("the default: there is no label {}", by.label),
                (None, Some(value)) => format!("the default: no team {value:?} has channels"),
            };
            out.push_str(&format!("channels of {} by the label {}: {why}\n", target.route_name, by.label));
        }
        let Some(channel) = plan.channel(&target.target.channel).filter(|channel| !channel.driver.keeps_incidents()) else { continue };
        let asked = target.target.mentions.as_deref().unwrap_or(&channel.content.mentions);
        let owner = asked.label.as_deref().map(|label| plan.people.owner(label, labels, channel));
        if owner.is_some() || asked.has_people() {
            let verb = if channel.platform.pings.writes_to_people() { "writes to" } else { "mentions" };
            out.push_str(&format!("{} {verb} {}\n", channel.name, plan.people.mentioned_in_words(asked, owner)));
        }
    }
    out
}

/// What mutes hold back, on which channels, and who answers for each.
pub fn mutes_text(mutes: &Mutes, explanation: &Explanation, labels: &Labels) -> String {
    let now = mutes.at(explanation.at.into());
    let mut lines: Vec<String> = Vec::new();
    for target in &explanation.targets {
        let Some(active) = now.of_alert(&target.target.channel, labels) else { continue };
        let what = if active.mute.drop { "dropped" } else { "held back" };
        let (channel, called, until, why) = (&target.target.channel, active.mute.called(), active.until_text(), active.mute.why(Language::En));
        lines.push(format!("{channel}: {what} by the mute {called} {until}: {why}\n"));
    }
    lines.concat()
}

/// The routes that were tried: whether each matched, else the matcher that failed and what it met. Of a row of routes for other alerts the first are there,
/// so that the one that was taken is found among thousands.
pub fn tree_text(explanation: &Explanation) -> String {
    let mut out = String::new();
    for row in explanation.steps.chunk_by(|one, next| is_far(one) && is_far(next) && one.depth == next.depth) {
        row.iter().take(MAX_ROW).for_each(|step| step_text(step, &mut out));
        if row.len() > MAX_ROW {
            let (indent, more) = ("  ".repeat(row[0].depth), row.len() - MAX_ROW);
            out.push_str(&format!("{indent}no {more} more routes after it, each by its first matcher; `watchfire route tree` lists them\n"));
        }
    }
    for also in &explanation.also {
        out.push_str(&format!("{} is asked for by {} too; it is sent there once\n", also.target.channel, also.route_name));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::tree::Failed;

    fn step(number: usize, matchers: &[&str], fails: Option<usize>) -> Step {
        let failed = fails.map(|ix| Failed { matcher: matchers[ix].to_owned(), label: "team".into(), value: "db".into(), missing: false });
        Step {
            node: number,
            name: format!("route.routes[{number}]"),
            depth: 1,
            matchers: matchers.iter().map(|matcher| (*matcher).to_owned()).collect(),
            matched: failed.is_none(),
            failed,
            continues: false,
            not_tried: 0,
            selected: fails.is_none(),
            intervals: Vec::new(),
            muted: None,
        }
    }

    #[test]
    fn of_thousands_of_routes_those_that_nearly_matched_and_the_one_that_did_are_shown() {
        let mut steps: Vec<Step> = (0..1000).map(|number| step(number, &["team=\"a\""], Some(0))).collect();
        steps.push(step(1000, &["team=\"db\"", "team=\"x\""], Some(1)));
        steps.extend((1001..1011).map(|number| step(number, &["team=\"b\""], Some(0))));
        steps.push(step(1011, &["team=\"db\""], None));
        let text = tree_text(&Explanation { at: Timestamp::UNIX_EPOCH, steps, targets: Vec::new(), also: Vec::new() });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 20 + 1 + 1 + 10 + 1, "{text}");
        assert_eq!(lines[19], "  no route.routes[19]: team=\"a\"; team=\"a\" fails: team is \"db\"");
        assert_eq!(lines[20], "  no 980 more routes after it, each by its first matcher; `watchfire route tree` lists them");
        assert_eq!(lines[21], "  no route.routes[1000]: team=\"db\", team=\"x\"; team=\"x\" fails: team is \"db\"");
        assert_eq!(lines[32], "  -> route.routes[1011]: team=\"db\"");
    }
}
