//! `watchfire route KEY=VALUE...`: where labels go, and why; `watchfire route tree`: all routes. Of the configuration here, or of a server elsewhere.

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};

use super::print::shown;
use super::remote::Remote;
use super::{Common, ExitStatus, block_on, contexts, load};
use crate::api::{Route, RouteRequest, RouteResponse, Routes};
use crate::config::nearest;
use crate::delivery::mutes::Mutes;
use crate::http::api::A_TIME;
use crate::http::api::routes::{routed, routes_of};
use crate::model::{Labels, UnixMs};

/// Options of `route`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RouteArgs {
    #[command(subcommand)]
    command: Option<RouteCommand>,
    /// Labels, as `severity=critical`.
    #[arg(value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// Route as of this time: RFC 3339, how long ago (`1h`), or Unix milliseconds; matters for time intervals. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
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

/// Whether a server elsewhere is asked: one that the command line names, or the one in use where there is no configuration here. Where there is one, somebody
/// changes it and asks what it does.
fn is_elsewhere(common: &Common) -> Result<bool> {
    if !common.said.remote && (common.said.local || common.config.exists()) {
        return Ok(false);
    }
    Ok(contexts::chosen(common)?.is_some())
}

/// Shows all routes.
fn tree(common: &Common, channel: Option<&str>) -> Result<ExitStatus> {
    let mut found: Routes = match is_elsewhere(common)? {
        true => block_on(async { Remote::open(common).await?.get("/api/v1/routes").await })??,
        false => routes_of(&load(common, false)?.plan),
    };
    if let Some(name) = channel {
        let known = || found.routes.iter().flat_map(|route| &route.channels).map(String::as_str);
        if !known().any(|known| known == name) {
            let near = nearest(name, known()).map(|near| format!("; did you mean `{near}`?"));
            bail!("no route leads to a channel `{name}`{}", near.unwrap_or_default());
        }
        found.routes = leading_to(found.routes, name);
    }
    anstream::println!("{}", shown(common.json, &found, |found| found.routes.iter().map(line).collect::<Vec<_>>().join("\n"))?);
    Ok(ExitStatus::Success)
}

/// The routes that lead to a channel, and those above them.
fn leading_to(routes: Vec<Route>, channel: &str) -> Vec<Route> {
    let mut kept = Vec::new();
    // From the last one: what is above a route comes before it, and is less deep.
    let mut wanted = 0;
    for route in routes.into_iter().rev() {
        let is_above = route.depth < wanted;
        if is_above || route.channels.iter().any(|name| name == channel) {
            wanted = route.depth;
            kept.push(route);
        }
    }
    kept.reverse();
    kept
}

fn line(route: &Route) -> String {
    let matchers = if route.matchers.is_empty() { "everything".to_owned() } else { route.matchers.join(", ") };
    let to = route.to.join(", ");
    let mut line = match &route.by_label {
        Some(label) => format!("{}{matchers} -> by the label {label}, else {to}", "  ".repeat(route.depth)),
        None => format!("{}{matchers} -> {to}", "  ".repeat(route.depth)),
    };
    line.extend(route.escalation.iter().map(|name| format!("; escalation {name}")));
    line.extend(route.template.iter().map(|name| format!("; template {name}")));
    line.extend(route.mute.iter().map(|interval| format!("; not in {interval}")));
    line.extend(route.active.iter().map(|interval| format!("; only in {interval}")));
    line.extend(route.file.iter().map(|file| format!("; from {file}")));
    line.push_str(if route.continues { "; continues" } else { "" });
    line
}

/// A label as it is typed, also with the quotes of a matcher.
///
/// # Errors
/// It is none, or a matcher that says more.
pub fn label(text: &str) -> Result<(String, String)> {
    let pair = text.split_once('=').filter(|(name, value)| !name.ends_with('!') && !value.starts_with("~\""));
    let (name, value) = pair.with_context(|| format!("`{text}` is no label; write KEY=VALUE"))?;
    let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Ok((name.to_owned(), bare.unwrap_or(value).to_owned()))
}

/// Shows where labels are routed.
pub fn run(common: &Common, args: &RouteArgs) -> Result<ExitStatus> {
    if let Some(RouteCommand::Tree { channel }) = &args.command {
        return tree(common, channel.as_deref());
    }
    let mut labels = Labels::new();
    for text in &args.labels {
        let (name, value) = label(text).unwrap_or_else(|error| {
            anstream::eprintln!("{error}");
            std::process::exit(2)
        });
        labels.insert(name, value);
    }
    let found: RouteResponse = if is_elsewhere(common)? {
        let request = RouteRequest { labels, at: args.at.clone() };
        block_on(async { Remote::open(common).await?.post("/api/v1/route", &request).await })??
    } else {
        let plan = load(common, false)?.plan;
        let now = crate::delivery::Clock::system().wall();
        let at = args.at.as_deref().map(|text| UnixMs::asked(text, now).ok_or_else(|| anyhow!("--at takes {A_TIME}; not `{text}`"))).transpose()?;
        routed(&plan, &labels, at.unwrap_or(now).timestamp(), &Mutes::of(&plan.tree))
    };
    anstream::println!("{}", shown(common.json, &found, |found| found.text.trim_end().to_owned())?);
    let Some(expected) = &args.expect else { return Ok(ExitStatus::Success) };
    let expected: Vec<&String> = expected.iter().filter(|e| !e.is_empty()).collect();
    if found.channels.iter().eq(expected.iter().copied()) {
        return Ok(ExitStatus::Success);
    }
    anstream::eprintln!("expected {:?}, got {:?}", expected, found.channels);
    Ok(ExitStatus::Failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(depth: usize, to: &str) -> Route {
        Route {
            name: String::new(),
            file: None,
            depth,
            matchers: Vec::new(),
            to: vec![to.into()],
            by_label: None,
            channels: vec![to.into()],
            escalation: None,
            template: None,
            mute: Vec::new(),
            active: Vec::new(),
            continues: false,
        }
    }

    #[test]
    fn a_label_may_be_copied_from_a_matcher() {
        for (typed, value) in [
            ("severity=critical", "critical"),
            (r#"severity="critical""#, "critical"),
            ("expr=a=b", "a=b"),
            ("team=", ""),
            (r#"text=say "hi""#, r#"say "hi""#),
        ] {
            assert_eq!(label(typed).unwrap().1, value, "{typed}");
        }
        for wrong in ["team", r#"team!="db""#, r#"team=~"db|infra""#] {
            assert_eq!(label(wrong).unwrap_err().to_string(), format!("`{wrong}` is no label; write KEY=VALUE"));
        }
    }

    #[test]
    fn routes_are_shown_with_those_above_them_only() {
        let routes = vec![route(0, "ops"), route(1, "web"), route(2, "db"), route(1, "web"), route(2, "web"), route(1, "db"), route(2, "web")];
        let kept: Vec<(usize, String)> = leading_to(routes, "db").into_iter().map(|route| (route.depth, route.to.concat())).collect();
        assert_eq!(kept, [(0, "ops".into()), (1, "web".into()), (2, "db".into()), (1, "db".into())]);
        assert!(leading_to(vec![route(0, "ops"), route(1, "web")], "db").is_empty());
    }
}
