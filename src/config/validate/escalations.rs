//! `escalations:`, and who may press which button.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::matchers::interval;
use super::people::{missing, named};
use super::platforms::out_of_reach;
use super::rotas::rota;
use super::teams::{destinations, leads_somewhere, mentioned, sent_to};
use super::{Channels, Validator, included};
use crate::channel::registry::ActionsConfig;
use crate::channel::{Platform, Reach};
use crate::config::codes;
use crate::config::file::{EscalationStep, OneOrMany, RouteNode, RouteTo, StepPeople, TurnBlock};
use crate::config::source::Anchor;
use crate::config::suggest::{hint, listed};
use crate::delivery::{self, ActionsPlan, EscalationPlan, PeoplePlan, Person, PersonName, RotaName, StepCondition, StepPlan, StepTarget, Team, Way};
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
        mute: asked.mute.unwrap_or(default.mute),
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
            let to = sent_to(file, &one.to);
            let when = condition(validator, one, intervals, &at);
            let every = repeats(validator, one, &at);
            for n in 0..=every.map_or(0, |(times, _)| times) {
                let after = after + every.map_or(Duration::ZERO, |(_, every)| every * n);
                before = before.max(after);
                planned.push(StepPlan { after, to: to.clone(), targets: targets.clone(), people: people.clone(), when: when.clone() });
            }
        }
        out_of_reach(validator, name, &planned);
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

/// Reports an escalation that does not exist, or belongs to another included file; `what` names it.
pub fn escalation(validator: &mut Validator<'_, '_>, name: &str, path: &Path, what: &str) {
    let file = validator.file;
    if file.escalations.contains_key(name) {
        included::may_escalate(validator, name, path, what);
        return;
    }
    if validator.report.is_blamed_inside(&Path::of("escalations")) {
        return;
    }
    let known = || file.escalations.keys().map(String::as_str);
    let finding = Finding::error(codes::UNKNOWN_ESCALATION, format!("{what} an escalation that does not exist"))
        .label(format!("no escalation `{name}`{}", hint(name, known())))
        .note(format!("escalations defined here: {}", listed(known())));
    validator.report.add(finding, path, Anchor::Value);
}

fn step(validator: &mut Validator<'_, '_>, step: &EscalationStep, channels: &Channels, path: &Path) -> (Vec<StepTarget>, delivery::StepPeople) {
    let (file, plan) = (validator.file, validator.people.clone());
    let whom = whom(validator, step, &plan, path);
    let to = path.key("to");
    let (listed, single) = match &step.to {
        RouteTo::One(_) => (to.clone(), true),
        RouteTo::Many(_) => (to.clone(), false),
        RouteTo::ByLabel(by) => {
            leads_somewhere(validator, by, &to);
            (to.key("default"), matches!(by.default, OneOrMany::One(_)))
        }
    };
    if step.to.default_channels().is_empty() {
        validator.report.error(codes::BAD_ESCALATION, &listed, Anchor::Value, "a step that notifies nobody", "name at least one channel");
    }
    let mut targets: Vec<StepTarget> = Vec::new();
    for (ix, channel) in destinations(file, &step.to).into_iter().enumerate() {
        // What is behind those that no label decides is what teams have.
        let of_team = ix >= step.to.default_channels().len();
        let at = if of_team {
            to.clone()
        } else if single {
            listed.clone()
        } else {
            listed.item(ix)
        };
        let known = targets.iter().any(|target| target.channel == channel);
        if (of_team && (known || !validator.names.contains_key(channel))) || !validator.channel(channel, &at, "a step of an escalation notifies") {
            continue;
        }
        if known {
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
            targets.push(target(validator, channel, platform, &whom, &plan, &at));
        }
    }
    (targets, whom.people)
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

/// Whom a step is for.
struct Whom<'p> {
    people: delivery::StepPeople,
    /// Everybody whom it may reach by name or by turn.
    reached: Vec<&'p Person>,
    /// The teams that it names.
    teams: Vec<(&'p Arc<str>, &'p Team)>,
}

impl Whom<'_> {
    fn nobody() -> Self {
        Self { people: delivery::StepPeople::Named(Vec::new()), reached: Vec::new(), teams: Vec::new() }
    }
}

fn whom<'p>(validator: &mut Validator<'_, '_>, step: &EscalationStep, plan: &'p PeoplePlan, path: &Path) -> Whom<'p> {
    let at = path.key("people");
    match &step.people {
        None => Whom::nobody(),
        Some(StepPeople::One(name)) => by_name(validator, std::slice::from_ref(name), true, plan, &at),
        Some(StepPeople::Many(names)) => {
            if names.is_empty() {
                let label = "name somebody, or remove `people` to reach the channels' own recipients";
                validator.report.error(codes::BAD_ESCALATION, &at, Anchor::Value, "`people` names nobody", label);
            }
            by_name(validator, names, false, plan, &at)
        }
        Some(StepPeople::Turn(turn)) => by_turn(validator, turn, plan, &at),
    }
}

/// People and teams.
fn by_name<'p>(validator: &mut Validator<'_, '_>, names: &[String], single: bool, plan: &'p PeoplePlan, at: &Path) -> Whom<'p> {
    let mut all: Vec<PersonName> = Vec::new();
    let mut whom = Whom::nobody();
    for (ix, name) in names.iter().enumerate() {
        let at = if single { at.clone() } else { at.item(ix) };
        let team = plan.teams.get_key_value(name.as_str());
        let person =
            if team.is_none() { named(validator, codes::BAD_ESCALATION, std::slice::from_ref(name), true, &plan.people, &at).pop() } else { None };
        let Some(name) = team.map(|(name, _)| name).or(person.map(|person| &person.name)) else { continue };
        if all.contains(name) {
            let message = format!("`{name}` is in this list twice");
            validator.report.error(codes::BAD_ESCALATION, &at, Anchor::Value, message, "everybody is in it once; remove the second one");
            continue;
        }
        all.push(name.clone());
        whom.reached.extend(person);
        whom.teams.extend(team);
    }
    Whom { people: delivery::StepPeople::Named(all), ..whom }
}

/// Whose turn it is, or whom a label names.
fn by_turn<'p>(validator: &mut Validator<'_, '_>, turn: &TurnBlock, plan: &'p PeoplePlan, at: &Path) -> Whom<'p> {
    let Some(label) = &turn.label else {
        let only = "write `{ oncall: ROTA }` or `{ next: ROTA }`";
        return match (&turn.oncall, &turn.next, &turn.default) {
            (None, None, Some(_)) => {
                validator.report.error(
                    codes::BAD_ESCALATION,
                    &at.key("default"),
                    Anchor::Key,
                    "`default` without `label`",
                    "add `label`, or write the names alone",
                );
                Whom::nobody()
            }
            (Some(name), None, None) => of_rota(validator, name, false, plan, at),
            (None, Some(name), None) => of_rota(validator, name, true, plan, at),
            _ => {
                validator.report.error(codes::BAD_ESCALATION, at, Anchor::Value, "`people` names one of `oncall` and `next`", only);
                Whom::nobody()
            }
        };
    };
    mentioned(validator, &Mentions { label: Some(label.clone()), ..Mentions::default() }, at);
    let otherwise = match (&turn.oncall, &turn.next, &turn.default) {
        (Some(name), None, None) => of_rota(validator, name, false, plan, at),
        (None, Some(name), None) => of_rota(validator, name, true, plan, at),
        (None, None, Some(names)) if !names.list().is_empty() => {
            by_name(validator, names.list(), matches!(names, OneOrMany::One(_)), plan, &at.key("default"))
        }
        _ => {
            let label = "for alerts whose label names nobody: write one of `oncall: ROTA`, `next: ROTA` and `default: NAMES`";
            validator.report.error(
                codes::BAD_ESCALATION,
                at,
                Anchor::Value,
                "`people` with `label` needs one of `oncall`, `next` and `default`",
                label,
            );
            return Whom::nobody();
        }
    };
    Whom { people: delivery::StepPeople::Owner { label: label.clone(), default: Box::new(otherwise.people) }, ..otherwise }
}

fn of_rota<'p>(validator: &mut Validator<'_, '_>, name: &str, next: bool, plan: &'p PeoplePlan, at: &Path) -> Whom<'p> {
    let Some(rota) = rota(validator, name, &at.key(if next { "next" } else { "oncall" })) else { return Whom::nobody() };
    let name = RotaName::from(name);
    let people = if next { delivery::StepPeople::Next(name) } else { delivery::StepPeople::OnCall(name) };
    Whom { people, reached: rota.people.iter().filter_map(|person| plan.people.get(person)).collect(), teams: Vec::new() }
}

/// What a step sends through a channel; reports whom the channel cannot reach.
fn target(validator: &mut Validator<'_, '_>, channel: &str, platform: &Platform, whom: &Whom<'_>, plan: &PeoplePlan, at: &Path) -> StepTarget {
    let mut target = StepTarget { channel: channel.to_owned(), recipients: Vec::new(), mentions: None };
    if platform.pings.person == Reach::Nobody && (!whom.reached.is_empty() || !whom.teams.is_empty()) {
        let finding = Finding::warning(codes::DOUBTFUL_ROUTE, format!("`people` of a step pings nobody on `{channel}` ({})", platform.name))
            .label("its message goes to the channel's own recipients and names the people; add a channel that reaches them");
        validator.report.add(finding, at, Anchor::Value);
    }
    for person in &whom.reached {
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
            Err("") => target.mentions.get_or_insert_with(Mentions::default).people.push(person.name.to_string()),
            Err(key) => {
                let message = format!("`{channel}` ({}) cannot reach `{}`", platform.name, person.name);
                validator.report.error(codes::BAD_ESCALATION, at, Anchor::Value, message, missing(person, platform, key));
            }
        }
    }
    for (name, team) in &whom.teams {
        if platform.pings.person != Reach::Nobody && !plan.members(team).any(|person| validator.reaches(channel, platform, person)) {
            let message = format!("`{channel}` ({}) reaches nobody of the team `{name}`", platform.name);
            let label = "say under `people:` how the channel reaches them";
            validator.report.error(codes::BAD_ESCALATION, at, Anchor::Value, message, label);
        }
        target.mentions.get_or_insert_with(Mentions::default).people.push(name.to_string());
    }
    // Whom it reaches is decided when it is sent.
    match whom.people.later() {
        None => target,
        mentions => StepTarget { recipients: Vec::new(), mentions, ..target },
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{LoadOptions, from_text};

    #[test]
    fn a_step_that_is_repeated_is_as_many_steps_before_the_next_one() {
        let text = "channels: { a: { log: {} }, b: { log: {} } }\nroute: { to: a, escalation: db }\n\
            escalations: { db: [{ after: 5m, to: b, repeat: 2, every: 1m }, { after: 10m, to: a }] }\n";
        let loaded = from_text(std::path::Path::new("routes.yaml"), text, &LoadOptions::without_secrets()).unwrap();
        let steps = &loaded.plan.people.escalations["db"].steps;
        let planned: Vec<(u64, &str)> = steps.iter().map(|step| (step.after.as_secs() / 60, step.targets[0].channel.as_str())).collect();
        assert_eq!(planned, [(5, "b"), (6, "b"), (7, "b"), (10, "a")]);
    }
}
