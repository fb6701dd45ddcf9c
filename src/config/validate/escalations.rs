//! `people:` and `escalations:`, and who may press which button.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Channels, Validator};
use crate::channel::kit::phone::{Use, e164, refusal};
use crate::channel::registry::ActionsConfig;
use crate::channel::{Platform, plain_address};
use crate::config::codes;
use crate::config::file::{EscalationStep, OneOrMany, PersonBlock, RouteNode};
use crate::config::source::Anchor;
use crate::config::suggest::{hint, listed};
use crate::delivery::{ActionsPlan, EscalationPlan, People, PeoplePlan, Person, PersonName, StepPlan, StepTarget, Way};
use crate::model::yaml::Path;
use crate::model::{Finding, Mentions, format_duration};

/// The shortest and the longest time to a step.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(7 * 86_400);

/// Who may press which button, where a channel says so.
pub fn actions(asked: Option<ActionsConfig>) -> ActionsPlan {
    let (asked, default) = (asked.unwrap_or_default(), ActionsPlan::default());
    ActionsPlan {
        ack: asked.ack.unwrap_or(default.ack),
        silence: asked.silence.unwrap_or(default.silence),
        close: asked.close.unwrap_or(default.close),
    }
}

/// Validates `people:` and `escalations:`. `channels` are those that can be built.
pub fn people(validator: &mut Validator<'_, '_>, channels: &Channels) -> PeoplePlan {
    let people: People = persons(validator).into_iter().collect();
    let file = validator.file;
    let used = used(validator.file.route.as_ref());
    let mut plan = PeoplePlan { people, ..PeoplePlan::default() };
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
            let (targets, people) = step(validator, one, &plan.people, channels, &at);
            planned.push(StepPlan { after, targets, people });
        }
        plan.escalations.insert(Arc::from(name.as_str()), EscalationPlan { steps: planned });
    }
    plan
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

fn persons(validator: &mut Validator<'_, '_>) -> Vec<Person> {
    let file = validator.file;
    let mut taken: BTreeMap<(&str, String), &str> = BTreeMap::new();
    let mut people = Vec::new();
    for (name, block) in &file.people {
        let path = Path::of("people").key(name);
        validator.name(name, &path, Anchor::Key, "person");
        let person = person(validator, name, block, &path);
        let ids = person.ids.iter().map(|(key, id)| (*key, id.clone()));
        let known = [("email", &person.email), ("mobile", &person.mobile)].into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
        for (key, id) in known.chain(ids) {
            if let Some(other) = taken.insert((key, id.to_lowercase()), name) {
                let label = "nobody could say who of the two pressed a button; correct one of them";
                let message = format!("`{other}` and `{name}` have the same `{key}`");
                validator.report.error(codes::BAD_PERSON, &path.key(key), Anchor::Value, message, label);
            }
        }
        people.push(person);
    }
    people
}

fn person(validator: &mut Validator<'_, '_>, name: &str, block: &PersonBlock, path: &Path) -> Person {
    let mut wrong = |key: &str, message: String, label: &str| {
        validator.report.error(codes::BAD_PERSON, &path.key(key), Anchor::Value, message, label);
    };
    let email = block.email.as_deref().and_then(|email| match plain_address(email) {
        Ok(email) => Some(email),
        Err((what, help)) => {
            wrong("email", format!("`email` of `{name}`: {what}"), help);
            None
        }
    });
    let mobile = block.mobile.as_deref().and_then(|mobile| match refusal(mobile, Use::Mobile) {
        None => e164(mobile),
        Some((what, help)) => {
            wrong("mobile", format!("`mobile` of `{name}`: {what}"), help);
            None
        }
    });
    let mut ids = BTreeMap::new();
    for (key, id) in block.ids() {
        let Some(id) = id.as_deref().map(str::trim) else { continue };
        match doubt(key, id) {
            None => _ = ids.insert(key, id.to_owned()),
            Some(label) => wrong(key, format!("`{key}` of `{name}` is not an id of that platform"), label),
        }
    }
    Person { name: PersonName::from(name), email, mobile, ids }
}

/// What an id of a platform looks like, when this one does not.
fn doubt(key: &str, id: &str) -> Option<&'static str> {
    let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let plain = !id.is_empty() && id.len() <= 128 && !id.chars().any(|c| c.is_control() || matches!(c, '<' | '>' | '@'));
    let (fine, label) = match key {
        "slack" => {
            (plain && id.starts_with(['U', 'W']), "write the member id, `U…` or `W…`: it is in the person's profile in Slack, under Copy member ID")
        }
        "telegram" => (digits, "write the user's number; @userinfobot says it"),
        "discord" => (digits, "write the user's number: Copy User ID, with developer mode on"),
        "feishu" => (plain && id.starts_with("ou_"), "write the `open_id`, `ou_…`, as the application sees it"),
        _ => (plain, "write the user's id on the platform"),
    };
    (!fine).then_some(label)
}

fn step(
    validator: &mut Validator<'_, '_>,
    step: &EscalationStep,
    people: &People,
    channels: &Channels,
    path: &Path,
) -> (Vec<StepTarget>, Vec<PersonName>) {
    let named = named(validator, step, people, path);
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
            targets.push(target(validator, channel, platform, &named, &at));
        }
    }
    (targets, named.into_iter().map(|person| person.name.clone()).collect())
}

fn named<'p>(validator: &mut Validator<'_, '_>, step: &EscalationStep, people: &'p People, path: &Path) -> Vec<&'p Person> {
    let mut found: Vec<&Person> = Vec::new();
    let at = path.key("people");
    for (ix, name) in step.people.iter().flat_map(OneOrMany::list).enumerate() {
        let at = if matches!(step.people, Some(OneOrMany::One(_))) { at.clone() } else { at.item(ix) };
        match people.get(name) {
            Some(person) if !found.iter().any(|known| known.name == person.name) => found.push(person),
            Some(_) => {
                let message = format!("`{name}` is in this list twice");
                validator.report.error(codes::BAD_ESCALATION, &at, Anchor::Value, message, "a step reaches a person once; remove the second one");
            }
            None => {
                let finding = Finding::error(codes::UNKNOWN_PERSON, "a step names a person that does not exist")
                    .label(format!("nobody is called `{name}`{}", hint(name, people.names())))
                    .note(format!("people defined here: {}", listed(people.names())));
                validator.report.add(finding, &at, Anchor::Value);
            }
        }
    }
    if step.people.as_ref().is_some_and(|people| people.list().is_empty()) {
        let label = "name somebody, or remove `people` to reach the channels' own recipients";
        validator.report.error(codes::BAD_ESCALATION, &at, Anchor::Value, "`people` names nobody", label);
    }
    found
}

/// What a step sends through a channel; reports whom the channel cannot reach.
fn target(validator: &mut Validator<'_, '_>, channel: &str, platform: &Platform, people: &[&Person], at: &Path) -> StepTarget {
    let mut target = StepTarget { channel: channel.to_owned(), recipients: Vec::new(), mentions: None };
    for person in people {
        match person.way(platform) {
            Ok(Way::To(recipient)) => target.recipients.push(recipient),
            Ok(Way::Mention(one)) => {
                let mentions = target.mentions.get_or_insert_with(Mentions::default);
                mentions.users.extend(one.users);
                mentions.mobiles.extend(one.mobiles);
            }
            Err(key) => {
                let name = &person.name;
                let (message, label) = if key.is_empty() {
                    let message = format!("`{channel}` ({}) reaches nobody by name", platform.name);
                    (message, "give it a step of its own, without `people`".to_owned())
                } else {
                    let also = if platform.pings.pings_mobiles() { " or a `mobile`" } else { "" };
                    (format!("`{channel}` ({}) cannot reach `{name}`", platform.name), format!("`{name}` needs `{key}`{also} under `people:`"))
                };
                validator.report.error(codes::BAD_ESCALATION, at, Anchor::Value, message, label);
                if key.is_empty() {
                    break;
                }
            }
        }
    }
    target
}
