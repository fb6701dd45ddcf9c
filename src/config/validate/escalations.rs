//! `escalations:`, and who may press which button.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::matchers::interval;
use super::people::{missing, named};
use super::rotas::rota;
use super::{Channels, Validator};
use crate::channel::Platform;
use crate::channel::registry::ActionsConfig;
use crate::config::codes;
use crate::config::file::{EscalationStep, OneOrMany, RouteNode, StepPeople};
use crate::config::source::Anchor;
use crate::config::suggest::{hint, listed};
use crate::delivery::{self, ActionsPlan, EscalationPlan, PeoplePlan, Person, RotaName, StepCondition, StepPlan, StepTarget, Way};
use crate::model::yaml::Path;
use crate::model::{Finding, Mentions, format_duration};
use crate::route::Intervals;

/// The shortest and the longest time to a step.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(7 * 86_400);
/// How often a step is repeated at most, and how long after each other at least.
const MOST_REPEATS: u32 = 9;
const SHORTEST_REPEAT: Duration = Duration::from_secs(60);

/// Who may press which button, where a channel says so.
pub fn actions(asked: Option<ActionsConfig>) -> ActionsPlan {
    let (asked, default) = (asked.unwrap_or_default(), ActionsPlan::default());
    ActionsPlan {
        ack: asked.ack.unwrap_or(default.ack),
        silence: asked.silence.unwrap_or(default.silence),
        close: asked.close.unwrap_or(default.close),
    }
}

/// Validates `escalations:`. `channels` are those that can be built.
pub fn escalations(validator: &mut Validator<'_, '_>, channels: &Channels, intervals: &Intervals) -> IndexMap<Arc<str>, EscalationPlan> {
    let file = validator.file;
    let used = used(validator.file.route.as_ref());
    let mut escalations = IndexMap::new();
    for (name, steps) in &file.escalations {
        let path = Path::of("escalations").key(name);
        validator.name(name, &path, Anchor::Key, "escalation");
        if steps.is_empty() && !validator.report.is_blamed_inside(&path) {
            let label = "write at least one step: `- { after: 5m, to: [oncall-call] }`";
            validator.report.error(codes::BAD_ESCALATION, &path, Anchor::Key, format!("the escalation `{name}` has no steps"), label);
        }
        if !used.contains(&name.as_str()) {
            let finding = Finding::warning(codes::UNUSED_ESCALATION, format!("no route uses the escalation `{name}`"))
                .label(format!("write `escalation: {name}` on a route, or remove it"));
            validator.report.add(finding, &path, Anchor::Key);
        }
        let mut before = Duration::ZERO;
        let mut planned = Vec::new();
        for (ix, one) in steps.iter().enumerate() {
            let at = path.item(ix);
            if validator.report.is_blamed_inside(&at) {
                continue;
            }
            let after = validator.duration(Some(&one.after), &at.key("after"), before, SOONEST, LATEST);
            if ix > 0 && after <= before {
                let words = format_duration;
                let message = format!("step {} of `{name}` does not come after the step above it", ix + 1);
                let label = format!(
                    "write steps in the order of their times, each later than the one before, which is at {}; what comes at once is one step",
                    words(before)
                );
                validator.report.error(codes::BAD_ESCALATION, &at.key("after"), Anchor::Value, message, label);
            }
            before = before.max(after);
            let (targets, people) = step(validator, one, channels, &at);
            let when = condition(validator, one, intervals, &at);
            let every = repeats(validator, one, &at);
            for n in 0..=every.map_or(0, |(times, _)| times) {
                let after = after + every.map_or(Duration::ZERO, |(_, every)| every * n);
                before = before.max(after);
                planned.push(StepPlan { after, targets: targets.clone(), people: people.clone(), when: when.clone() });
            }
        }
        escalations.insert(Arc::from(name.as_str()), EscalationPlan { steps: planned });
    }
    escalations
}

/// The escalations that routes name.
fn used(route: Option<&RouteNode>) -> Vec<&str> {
    let mut names = Vec::new();
    let mut open: Vec<&RouteNode> = route.into_iter().collect();
    while let Some(route) = open.pop() {
        names.extend(route.escalation.as_deref());
        open.extend(&route.routes);
    }
    names
}

/// Reports an escalation that does not exist.
pub fn escalation(validator: &mut Validator<'_, '_>, name: &str, path: &Path) {
    let file = validator.file;
    if file.escalations.contains_key(name) || validator.report.is_blamed_inside(&Path::of("escalations")) {
        return;
    }
    let known = || file.escalations.keys().map(String::as_str);
    let finding = Finding::error(codes::UNKNOWN_ESCALATION, "a route names an escalation that does not exist")
        .label(format!("no escalation `{name}`{}", hint(name, known())))
        .note(format!("escalations defined here: {}", listed(known())));
    validator.report.add(finding, path, Anchor::Value);
}

fn step(validator: &mut Validator<'_, '_>, step: &EscalationStep, channels: &Channels, path: &Path) -> (Vec<StepTarget>, delivery::StepPeople) {
    let plan = validator.people.clone();
    let (people, reached) = whom(validator, step, &plan, path);
    let to = path.key("to");
    if step.to.list().is_empty() {
        validator.report.error(codes::BAD_ESCALATION, &to, Anchor::Value, "a step that notifies nobody", "name at least one channel");
    }
    let mut targets: Vec<StepTarget> = Vec::new();
    for (ix, channel) in step.to.list().iter().enumerate() {
        let at = if matches!(step.to, OneOrMany::One(_)) { to.clone() } else { to.item(ix) };
        if !validator.channel(channel, &at, "a step of an escalation notifies") {
            continue;
        }
        if targets.iter().any(|target| target.channel == *channel) {
            let message = format!("`{channel}` is in this list twice");
            validator.report.error(
                codes::BAD_ESCALATION,
                &at,
                Anchor::Value,
                message,
                "a step is sent through a channel once; remove the second one",
            );
            continue;
        }
        if channels.get(channel).is_some_and(|plan| plan.driver.keeps_incidents()) {
            let message = format!("`{channel}` keeps incidents by itself: what a step opens there, nothing would close");
            let label = "send the alerts there by a route, and let that service escalate";
            validator.report.error(codes::BAD_ESCALATION, &at, Anchor::Value, message, label);
            continue;
        }
        if let Some(Some(platform)) = validator.names.get(channel).copied() {
            targets.push(target(validator, channel, platform, &people, &reached, &at));
        }
    }
    (targets, people)
}

/// How many times more a step is sent, and how long after each other.
fn repeats(validator: &mut Validator<'_, '_>, step: &EscalationStep, path: &Path) -> Option<(u32, Duration)> {
    let (times, every) = match (step.repeat, &step.every) {
        (None | Some(0), None) => return None,
        (Some(times), Some(every)) => (times, every),
        _ => {
            let label = "write both, `repeat: 3, every: 10m`, or neither";
            validator.report.error(codes::BAD_ESCALATION, path, Anchor::Value, "`repeat` and `every` need each other", label);
            return None;
        }
    };
    if !(1..=MOST_REPEATS).contains(&times) {
        let label = format!("write 1 to {MOST_REPEATS}");
        validator.report.error(codes::OUT_OF_RANGE, &path.key("repeat"), Anchor::Value, format!("a step is not repeated {times} times"), label);
        return None;
    }
    let every = validator.duration(Some(every), &path.key("every"), SHORTEST_REPEAT, SHORTEST_REPEAT, LATEST);
    Some((times, every))
}

/// When a step is sent.
fn condition(validator: &mut Validator<'_, '_>, step: &EscalationStep, intervals: &Intervals, path: &Path) -> StepCondition {
    let mut named = |key: &str, names: &[String]| {
        for (ix, name) in names.iter().enumerate() {
            interval(validator, name, &path.key(key).item(ix));
        }
        names.iter().filter_map(|name| intervals.get(name).cloned()).collect()
    };
    StepCondition {
        severity: step.severity,
        mute: named("mute_time_intervals", &step.mute_time_intervals),
        active: named("active_time_intervals", &step.active_time_intervals),
    }
}

/// Whom a step is for, and everybody whom it may reach.
fn whom<'p>(validator: &mut Validator<'_, '_>, step: &EscalationStep, plan: &'p PeoplePlan, path: &Path) -> (delivery::StepPeople, Vec<&'p Person>) {
    let at = path.key("people");
    let none = || delivery::StepPeople::Named(Vec::new());
    let (names, single) = match &step.people {
        None => return (none(), Vec::new()),
        Some(StepPeople::One(name)) => (std::slice::from_ref(name), true),
        Some(StepPeople::Many(names)) => (names.as_slice(), false),
        Some(StepPeople::Turn(turn)) => {
            let (key, name) = match (&turn.oncall, &turn.next) {
                (Some(name), None) => ("oncall", name),
                (None, Some(name)) => ("next", name),
                _ => {
                    let label = "write `{ oncall: ROTA }` or `{ next: ROTA }`";
                    validator.report.error(codes::BAD_ESCALATION, &at, Anchor::Value, "`people` names one of `oncall` and `next`", label);
                    return (none(), Vec::new());
                }
            };
            let Some(rota) = rota(validator, name, &at.key(key)) else { return (none(), Vec::new()) };
            let name = RotaName::from(name.as_str());
            let people = if key == "oncall" { delivery::StepPeople::OnCall(name) } else { delivery::StepPeople::Next(name) };
            return (people, rota.people.iter().filter_map(|person| plan.people.get(person)).collect());
        }
    };
    if names.is_empty() {
        let label = "name somebody, or remove `people` to reach the channels' own recipients";
        validator.report.error(codes::BAD_ESCALATION, &at, Anchor::Value, "`people` names nobody", label);
    }
    let found = named(validator, codes::BAD_ESCALATION, names, single, &plan.people, &at);
    (delivery::StepPeople::Named(found.iter().map(|person| person.name.clone()).collect()), found)
}

/// What a step sends through a channel; reports whom the channel cannot reach. `reached` are all whom the step may be for.
fn target(
    validator: &mut Validator<'_, '_>,
    channel: &str,
    platform: &Platform,
    people: &delivery::StepPeople,
    reached: &[&Person],
    at: &Path,
) -> StepTarget {
    let mut target = StepTarget { channel: channel.to_owned(), recipients: Vec::new(), mentions: None };
    for person in reached {
        match person.way(platform) {
            Ok(Way::To(recipient)) => target.recipients.push(recipient),
            Ok(Way::Mention(one)) => {
                let mentions = target.mentions.get_or_insert_with(Mentions::default);
                mentions.users.extend(one.users);
                mentions.mobiles.extend(one.mobiles);
            }
            // The message finds the id when it is sent.
            Err(_) if validator.reaches(channel, platform, person) => {
                let mentions = target.mentions.get_or_insert_with(Mentions::default);
                mentions.people.push(person.name.to_string());
            }
            Err(key) => {
                let (message, label) = if key.is_empty() {
                    let message = format!("`{channel}` ({}) reaches nobody by name", platform.name);
                    (message, "give it a step of its own, without `people`".to_owned())
                } else {
                    let message = format!("`{channel}` ({}) cannot reach `{}`", platform.name, person.name);
                    (message, missing(person, platform, key))
                };
                validator.report.error(codes::BAD_ESCALATION, at, Anchor::Value, message, label);
                if key.is_empty() {
                    break;
                }
            }
        }
    }
    let turn = |oncall: Option<&RotaName>, next: Option<&RotaName>| Mentions {
        oncall: oncall.map(ToString::to_string),
        next: next.map(ToString::to_string),
        ..Mentions::default()
    };
    // Whom it reaches is decided when it is sent.
    match people {
        delivery::StepPeople::Named(_) => target,
        delivery::StepPeople::OnCall(rota) => StepTarget { recipients: Vec::new(), mentions: Some(turn(Some(rota), None)), ..target },
        delivery::StepPeople::Next(rota) => StepTarget { recipients: Vec::new(), mentions: Some(turn(None, Some(rota))), ..target },
    }
}
