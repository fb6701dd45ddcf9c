//! Routes: all of them, and where labels go.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use jiff::Timestamp;

use super::{ApiResult, for_all, gate, moment, read};
use crate::api::{Route, RouteRequest, RouteResponse, Routes};
use crate::delivery::Plan;
use crate::delivery::mutes::{INDEFINITE, Mutes};
use crate::http::explain::{absorbed_text, escalations_text, labels_text, mutes_text, tree_text};
use crate::http::openapi::{Op, Paths};
use crate::http::{Admitted, App, Scope};
use crate::model::{Labels, Language};
use crate::route::{Node, RouteTarget, TimeInterval};

/// The routing tree names everybody's channels: it is for credentials that may see all of them.
pub(super) const WHAT: &str = "what all channels share, as routes are,";

/// The paths.
pub(super) fn paths() -> Paths {
    let api = |op: Op| op.scope(Scope::Read).problems();
    Paths::default().at("/routes", [api(Op::get("listRoutes", "The routing tree", list).gives::<Routes>())]).at(
        "/route",
        [api(Op::post("route", "Where labels go, and why; nothing is stored or sent", route)
            .takes::<RouteRequest>("The labels, and perhaps a time")
            .gives::<RouteResponse>())],
    )
}

async fn list(State(app): State<Arc<App>>, request: Request) -> ApiResult<Routes> {
    let Admitted { caller, .. } = gate(&app, Scope::Read, request).await?;
    for_all(&caller, WHAT)?;
    Ok(Json(routes_of(&app.engine.plan())))
}

async fn route(State(app): State<Arc<App>>, request: Request) -> ApiResult<RouteResponse> {
    let Admitted { caller, body, .. } = gate(&app, Scope::Read, request).await?;
    for_all(&caller, WHAT)?;
    let RouteRequest { labels, at } = read(&body)?;
    let at = at.map_or_else(|| Ok(app.engine.clock().wall()), |text| moment(&app, "at", &text))?.timestamp();
    let (plan, mutes) = (app.engine.plan(), app.engine.mutes());
    // Thousands of routes take a while: not on the threads that answer others.
    Ok(Json(app.engine.heavy().run_blocking(move || routed(&plan, &labels, at, &mutes)).await))
}

/// The routing tree of a configuration.
pub fn routes_of(plan: &Plan) -> Routes {
    let intervals = |all: &[Arc<TimeInterval>]| all.iter().map(|one| one.name().to_owned()).collect();
    let named = |name: &Arc<str>| name.to_string();
    let one = |node: &Node| {
        let mut channels: Vec<String> = node.to.all().map(named).collect();
        channels.sort();
        channels.dedup();
        Route {
            name: node.name.clone(),
            file: node.name.strip_suffix(":route").map(str::to_owned),
            depth: node.depth,
            matchers: node.matchers.iter().map(ToString::to_string).collect(),
            to: node.to.default.iter().map(named).collect(),
            by_label: node.to.by_label.as_ref().map(|by_label| by_label.label.clone()),
            channels,
            escalation: node.escalation.as_ref().map(named),
            template: node.template.as_ref().map(named),
            mute: intervals(&node.mute),
            active: intervals(&node.active),
            continues: node.continue_,
        }
    };
    Routes { routes: plan.tree.nodes().iter().map(one).collect() }
}

/// Where labels go at a time, and why.
pub fn routed(plan: &Plan, labels: &Labels, at: Timestamp, mutes: &Mutes) -> RouteResponse {
    let tree = &plan.tree;
    let explanation = tree.explain(labels, at);
    let heartbeat = plan.absorbed(labels);
    let targets = if heartbeat.is_some() { Vec::new() } else { tree.route(labels, at).targets };
    let active = mutes.at(at.into());
    let (muted, sent): (Vec<&RouteTarget>, Vec<&RouteTarget>) =
        targets.iter().partition(|target| target.muted.is_some() || active.of_alert(&target.channel, labels).is_some());
    let channels = |of: Vec<&RouteTarget>| of.into_iter().map(|target| target.channel.to_string()).collect();
    let name = |target: &RouteTarget| tree.nodes().get(target.route).map(|node| node.name.clone()).unwrap_or_default();
    let line = |target: &RouteTarget| {
        let by = match &target.muted {
            Some(muted) => {
                let until = muted.until.map_or_else(|| INDEFINITE.to_owned(), |until| format!("until {until}"));
                format!(", muted by {} {until}", muted.by)
            }
            None => {
                active.of_alert(&target.channel, labels).map_or_else(String::new, |by| format!(", muted by {} {}", by.mute.called(), by.until_text()))
            }
        };
        let off = if plan.channel(&target.channel).is_some_and(|channel| channel.disabled) { ", skipped: the channel is disabled" } else { "" };
        format!("{}  ({}{by}{off})\n", target.channel, name(target))
    };
    let text = match heartbeat {
        Some(heartbeat) => absorbed_text(heartbeat),
        None => [
            targets.iter().map(line).collect::<String>(),
            labels_text(plan, &explanation, labels),
            mutes_text(mutes, &explanation, labels),
            escalations_text(plan, &explanation, labels, Language::En),
            "\n".to_owned(),
            tree_text(&explanation),
        ]
        .concat(),
    };
    RouteResponse {
        channels: channels(sent),
        muted: channels(muted),
        path: targets.iter().map(name).collect(),
        heartbeat: heartbeat.map(|heartbeat| heartbeat.name.to_string()),
        text,
        explanation: serde_json::to_value(&explanation).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, from_text};

    #[test]
    fn what_is_routed_to_a_disabled_channel_is_said_to_be_skipped() {
        let text = "channels: { ops: { log: {} }, off: { log: {}, disabled: true } }\nroute: { to: [ops, off] }\n";
        let plan = from_text(std::path::Path::new("routes.yaml"), text, &LoadOptions::without_secrets()).unwrap().plan;
        let routed = routed(&plan, &Labels::new(), Timestamp::UNIX_EPOCH, &Mutes::of(&plan.tree));
        assert!(routed.text.starts_with("ops  (route)\noff  (route, skipped: the channel is disabled)\n"), "{}", routed.text);
    }
}
