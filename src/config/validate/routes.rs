//! The routing tree: what it names must exist, and what it says must make a tree. Matchers and time intervals are checked elsewhere.

use super::Validator;
use super::escalations::escalation;
use super::matchers::{interval, matchers};
use super::platforms::{pings, template, unused_template};
use super::rotas::turns;
use crate::channel::registry::Format;
use crate::config::codes;
use crate::config::file::{OnMute, OneOrMany, RouteNode, RoutesFile};
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
    match Tree::compile(spec(root, &path), intervals) {
        Ok(tree) => {
            warnings(validator, &tree);
            Some(tree)
        }
        Err(problems) => {
            for problem in problems {
                validator.report.error(codes::BAD_ROUTE, &Path::root().dotted(&problem.path), Anchor::Value, problem.reason, problem.help);
            }
            None
        }
    }
}

fn warnings(validator: &mut Validator<'_, '_>, tree: &Tree) {
    for warning in tree.warnings() {
        let at = Path::root().dotted(&warning.path);
        let unreachable = !warning.path.contains(".to[");
        let code = if unreachable { codes::UNREACHABLE_ROUTE } else { codes::DOUBTFUL_ROUTE };
        validator.report.add(Finding::warning(code, warning.reason).label(warning.help), &at, Anchor::Value);
    }
}

/// A route as the tree takes it; its matchers have been read before, without an error.
fn spec(route: &RouteNode, path: &Path) -> RouteSpec {
    let texts = route.matchers.iter().flat_map(OneOrMany::list);
    RouteSpec {
        name: path.to_string(),
        matchers: texts.filter_map(|text| matcher::parse(text).ok()).flatten().collect(),
        to: route.to.as_ref().map(|to| to.list().to_vec()).unwrap_or_default(),
        escalation: route.escalation.clone(),
        template: route.template.clone(),
        mentions: route.mentions.clone(),
        send_resolved: route.send_resolved,
        continue_: route.continue_,
        mute_time_intervals: route.mute_time_intervals.clone(),
        active_time_intervals: route.active_time_intervals.clone(),
        mute_drop: route.on_mute.map(|on_mute| on_mute == OnMute::Drop),
        routes: route.routes.iter().enumerate().map(|(ix, child)| spec(child, &path.key("routes").item(ix))).collect(),
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
    to: Option<&'r [String]>,
    template: Option<&'r str>,
    mentions: Option<&'r Mentions>,
}

fn node(validator: &mut Validator<'_, '_>, templates: &TemplateRegistry, route: &RouteNode, path: &Path, above: &Inherited<'_>) {
    let to = route.to.as_ref().map(OneOrMany::list).or(above.to);
    let single = matches!(route.to, Some(OneOrMany::One(_)));
    for (ix, name) in route.to.iter().flat_map(OneOrMany::list).enumerate() {
        let at = path.key("to");
        validator.channel(name, &if single { at } else { at.item(ix) }, "a route sends to");
    }
    if let Some(name) = &route.escalation {
        escalation(validator, name, &path.key("escalation"));
    }
    let set = route.template.as_deref().or(above.template);
    // A set is looked up where it meets channels: on the route that names either.
    if route.template.is_some() || (route.to.is_some() && set.is_some()) {
        for name in to.unwrap_or_default() {
            if let Some(Some(platform)) = validator.names.get(name).copied() {
                let at = if route.template.is_some() { path.clone() } else { path.key("to") };
                template(validator, templates, set, platform.name, &at);
            }
        }
    }
    if route.template.is_some() && !to.unwrap_or_default().is_empty() && is_plain(validator.file, route, to.unwrap_or_default()) {
        unused_template(validator, path);
    }
    if let Some(mentions) = &route.mentions {
        turns(validator, mentions, &path.key("mentions"));
    }
    // The same for whom it mentions.
    let mentions = route.mentions.as_ref().or(above.mentions);
    if let Some(mentions) = mentions.filter(|_| route.mentions.is_some() || route.to.is_some()) {
        let at = if route.mentions.is_some() { path.key("mentions") } else { path.key("to") };
        for name in to.unwrap_or_default() {
            let platform = validator.names.get(name).copied().flatten();
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
    if route.to.as_ref().is_some_and(|to| to.list().is_empty()) {
        let label = "name a channel, or remove `to` to send where the route above does";
        let finding = Finding::error(codes::BAD_ROUTE, "`to` names no channel")
            .label(label)
            .note("to send nowhere on purpose, name a channel with `disabled: true`: it records what it would have sent");
        validator.report.add(finding, &path.key("to"), Anchor::Key);
    }
    let inherited = Inherited { to, template: set, mentions };
    for (ix, child) in route.routes.iter().enumerate() {
        node(validator, templates, child, &path.key("routes").item(ix), &inherited);
    }
}

/// Whether all channels that a route's template set is for are `format: text`: its own, and those of routes below it without a set.
fn is_plain(file: &RoutesFile, route: &RouteNode, to: &[String]) -> bool {
    let below = |child: &RouteNode| child.template.is_some() || is_plain(file, child, child.to.as_ref().map_or(to, OneOrMany::list));
    let plain = |name: &String| file.channels.get(name).is_some_and(|channel| channel.format == Some(Format::Text));
    to.iter().all(plain) && route.routes.iter().all(below)
}
