//! `watchfire route KEY=VALUE...`: where labels go, and why; `watchfire route tree`: all routes.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::{Common, ExitStatus, load};
use crate::config::nearest;
use crate::delivery::mutes::Mutes;
use crate::http::explain::{absorbed_text, escalations_text, labels_text, mutes_text, tree_text};
use crate::model::Labels;
use crate::route::RouteTarget;

/// Options of `route`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RouteArgs {
    #[command(subcommand)]
    command: Option<RouteCommand>,
    /// Labels, as `severity=critical`.
    #[arg(value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Route as of this time (RFC 3339); matters for time intervals. Default: now.
    #[arg(long, value_name = "RFC3339")]
    at: Option<Timestamp>,
    /// Exit 1 unless exactly these channels come out, in order.
    #[arg(long, value_name = "CHANNELS", value_delimiter = ',')]
    expect: Option<Vec<String>>,
}

/// All routes.
#[derive(Debug, Subcommand)]
enum RouteCommand {
    /// Show the routes in their order, each with its matchers and where it sends.
    Tree {
        /// Only those that lead to this channel, and those above them.
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
    },
}

/// Shows all routes.
fn tree(common: &Common, channel: Option<&str>) -> anyhow::Result<ExitStatus> {
    let plan = load(common, false)?.plan;
    if let Some(name) = channel.filter(|name| plan.channel(name).is_none()) {
        let near = nearest(name, plan.channels.keys().map(|known| &**known)).map(|near| format!("; did you mean `{near}`?"));
        anyhow::bail!("there is no channel `{name}`{}", near.unwrap_or_default());
    }
    let nodes = plan.tree.nodes();
    let mut shown = vec![channel.is_none(); nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        if channel.is_some_and(|name| node.to.all().any(|to| &**to == name)) {
            std::iter::successors(Some(at), |at| nodes[*at].parent).for_each(|at| shown[at] = true);
        }
    }
    for node in nodes.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(node, _)| node) {
        let matchers = node.matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut line = format!("{}{}", "  ".repeat(node.depth), if matchers.is_empty() { "everything" } else { &matchers });
        if let Some(by_label) = &node.to.by_label {
            line.push_str(&format!(" -> by the label {}, else {}", by_label.label, node.to.default.join(", ")));
        } else {
            line.push_str(&format!(" -> {}", node.to.default.join(", ")));
        }
        line.extend(node.escalation.as_ref().map(|name| format!("; escalation {name}")));
        line.extend(node.template.as_ref().map(|name| format!("; template {name}")));
        line.extend(node.mute.iter().map(|interval| format!("; not in {}", interval.name())));
        line.extend(node.active.iter().map(|interval| format!("; only in {}", interval.name())));
        line.extend(node.name.strip_suffix(":route").map(|file| format!("; from {file}")));
        line.push_str(if node.continue_ { "; continues" } else { "" });
        anstream::println!("{line}");
    }
    Ok(ExitStatus::Success)
}

/// Shows where labels are routed.
pub fn run(common: &Common, args: &RouteArgs) -> anyhow::Result<ExitStatus> {
    common.refuse_remote("route")?;
    if let Some(RouteCommand::Tree { channel }) = &args.command {
        return tree(common, channel.as_deref());
    }
    let mut labels = Labels::new();
    for text in &args.labels {
        let Some((name, value)) = text.split_once('=') else {
            anstream::eprintln!("`{text}` is no label; write KEY=VALUE");
            std::process::exit(2);
        };
        labels.insert(name.to_owned(), value.to_owned());
    }
    let loaded = load(common, false)?;
    let at = args.at.unwrap_or_else(|| crate::delivery::Clock::system().wall().timestamp());
    let tree = &loaded.plan.tree;
    let absorbed = loaded.plan.absorbed(&labels);
    let mut routed = tree.route(&labels, at);
    if absorbed.is_some() {
        routed.targets.clear();
    }
    let all = Mutes::of(tree);
    let mutes = all.at(at.into());
    let is_muted = |target: &RouteTarget| target.muted.is_some() || mutes.of_alert(&target.channel, &labels).is_some();
    let named = |muted: bool| routed.targets.iter().filter(|target| is_muted(target) == muted).map(|target| target.channel.to_string()).collect();
    let (channels, muted): (Vec<String>, Vec<String>) = (named(false), named(true));
    let explanation = tree.explain(&labels, at);
    if common.json {
        let path: Vec<&str> = routed.targets.iter().map(|t| tree.nodes()[t.route].name.as_str()).collect();
        let heartbeat = absorbed.map(|heartbeat| &*heartbeat.name);
        anstream::println!("{}", json!({ "channels": channels, "muted": muted, "path": path, "heartbeat": heartbeat, "explanation": explanation }));
    } else if let Some(heartbeat) = absorbed {
        anstream::println!("{}", absorbed_text(heartbeat).trim_end());
    } else {
        for target in &routed.targets {
            match &target.muted {
                None => {
                    let by = mutes.of_alert(&target.channel, &labels);
                    let by = by.map(|by| format!(", muted by {} {}", by.mute.called(), by.until_text())).unwrap_or_default();
                    anstream::println!("{}  ({}{by})", target.channel, tree.nodes()[target.route].name.as_str());
                }
                Some(m) => {
                    let until = m.until.map_or_else(|| "indefinitely".into(), |t| format!("until {t}"));
                    anstream::println!("{}  ({}, muted by {} {until})", target.channel, tree.nodes()[target.route].name.as_str(), m.by);
                }
            }
        }
        let plan = &loaded.plan;
        anstream::print!(
            "{}{}{}",
            labels_text(plan, &explanation, &labels),
            mutes_text(&all, &explanation, &labels),
            escalations_text(plan, &explanation, &labels)
        );
        anstream::println!("\n{}", tree_text(&explanation));
    }
    let Some(expected) = &args.expect else { return Ok(ExitStatus::Success) };
    let expected: Vec<&String> = expected.iter().filter(|e| !e.is_empty()).collect();
    if channels.iter().eq(expected.iter().copied()) {
        return Ok(ExitStatus::Success);
    }
    anstream::eprintln!("expected {:?}, got {channels:?}", expected);
    Ok(ExitStatus::Failure)
}
