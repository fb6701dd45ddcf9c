//! The routing tree: what it names must exist, and what it says must make a tree. Matchers and time intervals are checked elsewhere.

use super::Validator;
use super::escalations::escalation;
use super::matchers::{interval, matchers};
use super::platforms::{pings, template, unused_template};
use super::teams::{destinations, leads_somewhere, mentioned, sent_to};
use crate::channel::registry::Format;
use crate::config::codes;
use crate::config::file::{OnMute, OneOrMany, RouteNode, RouteTo, RoutesFile};
use crate::config::source::Anchor;
use crate::model::yaml::Path;
use crate::model::{Finding, Mentions};
use crate::route::{Intervals, RouteSpec, Tree, matcher};
use crate::template::TemplateRegistry;

/// Validates `route:` and `time_intervals:`; returns the tree when nothing is wrong with either.
pub fn routes(validator: &mut Validator<'_, '_>, templates: &TemplateRegistry, intervals: &Intervals) -> Option<Tree> {
    names(validator, templates);
    let path = Path::of("route");
    let root = validator.file.route.as_ref()?;
    matchers(validator, root, &path);
    if validator.report.is_blamed_inside(&path) || validator.report.is_blamed_inside(&Path::of("time_intervals")) {
        return None;
    }
    match Tree::compile(spec(validator, root, &path), intervals) {
        Ok(tree) => {
            warnings(validator, &tree);
            Some(tree)
        }
        Err(problems) => {
            for problem in problems {
                let at = validator.report.source.route_path(&problem.path);
                validator.report.error(codes::BAD_ROUTE, &at, Anchor::Value, problem.reason, problem.help);
            }
            None
        }
    }
}

fn warnings(validator: &mut Validator<'_, '_>, tree: &Tree) {
    for warning in tree.warnings() {
        let at = validator.report.source.route_path(&warning.path);
        let unreachable = !warning.path.contains(".to[");
        let code = if unreachable { codes::UNREACHABLE_ROUTE } else { codes::DOUBTFUL_ROUTE };
        validator.report.add(Finding::warning(code, warning.reason).label(warning.help), &at, Anchor::Value);
    }
}

/// A route as the tree takes it; its matchers have been read before, without an error.
fn spec(validator: &Validator<'_, '_>, route: &RouteNode, path: &Path) -> RouteSpec {
    let file = validator.file;
    let texts = route.matchers.iter().flat_map(OneOrMany::list);
    RouteSpec {
        name: validator.report.source.route_name(path),
        matchers: texts.filter_map(|text| matcher::parse(text).ok()).flatten().collect(),
        to: route.to.as_ref().map(|to| sent_to(file, to)).unwrap_or_default(),
        escalation: route.escalation.clone(),
        template: route.template.clone(),
        mentions: route.mentions.clone(),
        send_resolved: route.send_resolved,
        continue_: route.continue_,
        mute_time_intervals: route.mute_time_intervals.clone(),
        active_time_intervals: route.active_time_intervals.clone(),
        mute_drop: route.on_mute.map(|on_mute| on_mute == OnMute::Drop),
        routes: route.routes.iter().enumerate().map(|(ix, child)| spec(validator, child, &path.key("routes").item(ix))).collect(),
    }
}

/// Validates everything that routes name.
fn names(validator: &mut Validator<'_, '_>, templates: &TemplateRegistry) {
    let path = Path::of("route");
    let Some(root) = &validator.file.route else {
        if !validator.report.is_blamed(&path) {
            let label = "add `route: { to: [..] }` with a channel";
            validator.report.error(codes::MISSING_KEY, &path, Anchor::Key, "there is no route: alerts would go nowhere", label);
        }
        return;
    };
    let below = "the first route takes what no other one does; put this on a route below it";
    for (key, there) in [
        ("matchers", root.matchers.is_some()),
        ("mute_time_intervals", !root.mute_time_intervals.is_empty()),
        ("active_time_intervals", !root.active_time_intervals.is_empty()),
        ("continue", root.continue_),
    ] {
        if there {
            validator.report.error(codes::BAD_ROUTE, &path.key(key), Anchor::Key, format!("the first route cannot have `{key}`"), below);
        }
    }
    if root.to.is_none() {
        validator.report.error(
            codes::BAD_ROUTE,
            &path.key("to"),
            Anchor::Key,
            "the first route sends nowhere",
            "add `to` with the channel that gets what no other route takes",
        );
    }
    let inherited = Inherited { to: None, template: None, mentions: None };
    node(validator, templates, root, &path, &inherited);
}

/// What a route has from those above it.
struct Inherited<'r> {
    /// Every channel that they may lead to.
    to: Option<Vec<&'r str>>,
    template: Option<&'r str>,
    mentions: Option<&'r Mentions>,
}

fn node(validator: &mut Validator<'_, '_>, templates: &TemplateRegistry, route: &RouteNode, path: &Path, above: &Inherited<'_>) {
    let file = validator.file;
    let to = route.to.as_ref().map(|to| destinations(file, to)).or_else(|| above.to.clone());
    let reached = to.as_deref().unwrap_or_default();
    if let Some(to) = &route.to {
        named(validator, to, &path.key("to"));
    }
    if let Some(name) = &route.escalation {
        escalation(validator, name, &path.key("escalation"), "a route names");
    }
    let set = route.template.as_deref().or(above.template);
    // A set is looked up where it meets channels: on the route that names either.
    if route.template.is_some() || (route.to.is_some() && set.is_some()) {
        for name in reached {
            if let Some(Some(platform)) = validator.names.get(*name).copied() {
                let at = if route.template.is_some() { path.clone() } else { path.key("to") };
                template(validator, templates, set, platform.name, &at);
            }
        }
    }
    if route.template.is_some() && !reached.is_empty() && is_plain(file, route, reached) {
        unused_template(validator, path);
    }
    if let Some(mentions) = &route.mentions {
        mentioned(validator, mentions, &path.key("mentions"));
    }
    // The same for whom it mentions.
    let mentions = route.mentions.as_ref().or(above.mentions);
    if let Some(mentions) = mentions.filter(|_| route.mentions.is_some() || route.to.is_some()) {
        let at = if route.mentions.is_some() { path.key("mentions") } else { path.key("to") };
        for name in reached {
            let platform = validator.names.get(*name).copied().flatten();
            platform.iter().for_each(|platform| pings(validator, platform, name, mentions, &at));
        }
    }
    for (key, names) in [("mute_time_intervals", &route.mute_time_intervals), ("active_time_intervals", &route.active_time_intervals)] {
        for (ix, name) in names.iter().enumerate() {
            interval(validator, name, &path.key(key).item(ix));
        }
    }
    let times = |route: &RouteNode| !route.mute_time_intervals.is_empty() || !route.active_time_intervals.is_empty();
    if route.on_mute.is_some() && !times(route) && route.routes.is_empty() {
        let finding = Finding::warning(codes::DOUBTFUL_ROUTE, "`on_mute` without `mute_time_intervals` or `active_time_intervals` does nothing")
            .label("name time intervals, or remove it");
        validator.report.add(finding, &path.key("on_mute"), Anchor::Key);
    }
    let inherited = Inherited { to, template: set, mentions };
    for (ix, child) in route.routes.iter().enumerate() {
        node(validator, templates, child, &path.key("routes").item(ix), &inherited);
    }
}

/// Validates the channels that a route names.
fn named(validator: &mut Validator<'_, '_>, to: &RouteTo, whole: &Path) {
    let (path, single) = match to {
        RouteTo::One(_) => (whole.clone(), true),
        RouteTo::Many(_) => (whole.clone(), false),
        RouteTo::ByLabel(to) => (whole.key("default"), matches!(to.default, OneOrMany::One(_))),
    };
    for (ix, name) in to.default_channels().iter().enumerate() {
        validator.channel(name, &if single { path.clone() } else { path.item(ix) }, "a route sends to");
    }
    if to.default_channels().is_empty() {
        let label = "name a channel, or remove `to` to send where the route above does";
        let finding =
            Finding::error(codes::BAD_ROUTE, format!("`{}` names no channel", if matches!(to, RouteTo::ByLabel(_)) { "default" } else { "to" }))
                .label(label)
                .note("to send nowhere on purpose, name a channel with `disabled: true`: it records what it would have sent");
        validator.report.add(finding, &path, Anchor::Key);
    }
    if let RouteTo::ByLabel(by) = to {
        leads_somewhere(validator, by, &path);
        // A channel that does not exist is reported where its team names it.
        for name in destinations(validator.file, to).into_iter().skip(to.default_channels().len()) {
            if validator.names.contains_key(name) {
                validator.channel(name, whole, "a route sends to");
            }
        }
    }
}

/// Whether all channels that a route's template set is for are `format: text`: its own, and those of routes below it without a set.
fn is_plain(file: &RoutesFile, route: &RouteNode, to: &[&str]) -> bool {
    let below = |child: &RouteNode| {
        let own = child.to.as_ref().map(|to| destinations(file, to));
        child.template.is_some() || is_plain(file, child, own.as_deref().unwrap_or(to))
    };
    let plain = |name: &&str| file.channels.get(*name).is_some_and(|channel| channel.format == Some(Format::Text));
    to.iter().all(plain) && route.routes.iter().all(below)
}
