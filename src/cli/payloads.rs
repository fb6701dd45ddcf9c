//! `watchfire check --payloads DIR`: every stored body, by every template that the plan can use.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, ensure};

use super::goldens::Goldens;
use super::seen::Seen;
use crate::config::{Loaded, codes};
use crate::delivery::intake::Intake;
use crate::delivery::{ChannelPlan, Composed, Plan};
use crate::http::api::preview_target;
use crate::ingest;
use crate::model::{Event, Finding, Place};
use crate::store::Target;

/// Renders the bodies and reports each: a line, or what is wrong. `goldens` take what they render to, `seen` the labels of their alerts.
pub fn render(
    loaded: &Loaded,
    folder: &Path,
    mut goldens: Option<&mut Goldens>,
    seen: &mut Seen,
    told: &mut dyn FnMut(Result<String, Box<Finding>>),
) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::NotFound => "there is no such folder".to_owned(),
            ErrorKind::NotADirectory => "it is a file; name the folder that it lies in".to_owned(),
            ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
            _ => error.to_string(),
        };
        anyhow!("--payloads {}: {why}", folder.display())
    })?;
    // As in a shell, `*` is not for hidden files.
    let is_body = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "json") && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_body).collect();
    files.sort();
    ensure!(!files.is_empty(), "there is no `*.json` in {}", folder.display());
    for file in files {
        for result in one(loaded, &file, goldens.as_deref_mut(), seen) {
            told(result);
        }
    }
    Ok(())
}

fn one(loaded: &Loaded, file: &Path, goldens: Option<&mut Goldens>, seen: &mut Seen) -> Vec<Result<String, Box<Finding>>> {
    let plan = &loaded.plan;
    let now = crate::delivery::Clock::system().wall().timestamp();
    let place = Place { file: file.display().to_string(), span: None, line_text: None };
    let bad = |code: &'static str, message: String, why: String| Err(Box::new(Finding::error(code, message).at(place.clone()).label(why)));
    let unusable = |why: String| bad(codes::BAD_BODY, "this body cannot be used".into(), why);
    let bytes = match super::render::body(file) {
        Ok(bytes) => bytes,
        Err(error) => return vec![unusable(format!("{error:#}"))],
    };
    let event = match ingest::parse(&ingest::Sender::Auto, &bytes, &loaded.inputs, now) {
        Ok(incoming) => incoming.event,
        Err(error) => return vec![unusable(error.to_string())],
    };
    if let (Some(goldens), Some(name)) = (goldens, file.file_stem()) {
        goldens.add(Path::new(name), &bytes);
    }
    seen.add(&event);
    let none = Default::default();
    let intake = Intake { plan, at: now, mutes: &none, to: None };
    let routed = intake.deliveries(&event);
    let event = std::sync::Arc::new(event);
    let mut out = Vec::new();
    // What would be sent, and then what else a route or a direct call could ask for.
    let mut done: Vec<(String, String)> = Vec::new();
    let mut pages = 0;
    let mut names: Vec<&str> = Vec::new();
    for delivery in &routed {
        let Some(channel) = plan.channel(&delivery.channel) else { continue };
        let composed = preview_target(plan, channel, &event, delivery.target.clone(), now);
        pages += composed.pages.len();
        if !names.contains(&delivery.channel.as_str()) {
            names.push(&delivery.channel);
        }
        check_composed(channel, &composed, |what, why| out.push(bad(codes::BODY_TEMPLATE, what, why)));
        done.push((delivery.channel.clone(), composed.template));
    }
    let mut others = 0;
    for (channel, template) in sets(plan) {
        if done.iter().any(|(name, set)| **name == *channel.name && *set == template) {
            continue;
        }
        let target = Target { template, alerts: (0..event.alerts.len() as u32).collect(), ..Target::default() };
        check_composed(channel, &preview_target(plan, channel, &event, target, now), |what, why| out.push(bad(codes::BODY_TEMPLATE, what, why)));
        others += 1;
    }
    let absorbed = event.alerts.iter().filter_map(|alert| plan.absorbed(&alert.labels)).next();
    if routed.is_empty() && absorbed.is_none() {
        out.push(unusable("no route leads to a channel".into()));
    }
    if out.is_empty() {
        out.push(Ok(line(file, &event, pages, &names, absorbed.map(|heartbeat| &*heartbeat.name), others)));
    }
    out
}

fn line(file: &Path, event: &Event, pages: usize, names: &[&str], heartbeat: Option<&str>, others: usize) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let to = match heartbeat {
        Some(heartbeat) if names.is_empty() => format!("a sign of life for the heartbeat `{heartbeat}`"),
        _ => format!("{} to {}", count(pages, "page"), names.join(", ")),
    };
    let more = if others > 0 { format!("; {} more renders it", count(others, "template set")) } else { String::new() };
    format!("{}: {}, {to}{more}", file.display(), count(event.alerts.len(), "alert")).replace("sets more renders", "sets more render")
}

/// Every channel with every template set that its own setting or a route asks of it; none of plain text, which uses no template.
fn sets(plan: &Plan) -> Vec<(&ChannelPlan, String)> {
    let channels = plan.channels.values().filter(|channel| !channel.content.plain);
    let mut found: Vec<(&ChannelPlan, String)> = channels.map(|channel| (&**channel, channel.content.template.clone())).collect();
    for node in plan.tree.nodes() {
        let Some(set) = &node.template else { continue };
        for channel in node.to.all().filter_map(|name| plan.channel(name)).filter(|channel| !channel.content.plain) {
            if !found.iter().any(|(known, asked)| known.name == channel.name && **asked == **set) {
                found.push((channel, set.to_string()));
            }
        }
    }
    found
}

fn check_composed(channel: &ChannelPlan, composed: &Composed, mut bad: impl FnMut(String, String)) {
    for error in &composed.fallbacks {
        bad(format!("a template of channel `{}` fails on this body", channel.name), error.to_string());
    }
    for page in composed.pages.iter().filter(|page| !(channel.platform.measure)(page).fits()) {
        let size = (channel.platform.measure)(page);
        let label = format!("it has {} {}; at most {} are taken", size.used, size.unit, size.max);
        bad(format!("page {} for channel `{}` is larger than the platform takes", page.number, channel.name), label);
    }
}
