//! What a channel's platform must have for what a channel or route asks of it: a template set, people to ping.

use std::collections::BTreeSet;

use super::Validator;
use super::people::{mention_doubt, missing};
use crate::channel::descriptor::{Ping, Reach};
use crate::channel::{ChannelConfig, Living, LivingMode, Platform};
use crate::config::codes;
use crate::config::source::Anchor;
use crate::config::suggest::{hint, listed};
use crate::delivery::{PeoplePlan, Person, StepPeople, StepPlan};
use crate::model::yaml::Path;
use crate::model::{Finding, Mentions};
use crate::template::TemplateRegistry;

/// Reports when a platform has no template set of a name.
pub fn template(validator: &mut Validator<'_, '_>, templates: &TemplateRegistry, set: Option<&str>, platform: &str, path: &Path) {
    let Some(set) = set else { return };
    if !templates.has_set(platform, set) {
        let sets: Vec<&str> = templates.sets(platform).collect();
        let finding = Finding::error(codes::UNKNOWN_TEMPLATE, format!("{platform} has no template set `{set}`"))
            .label(format!("make `{platform}/{set}.<field>.hbs` in the template folder{}", hint(set, sets.iter().copied())))
            .note(format!("template sets of {platform}: {}", listed(sets.iter().copied())));
        validator.report.add(finding, &path.key("template"), Anchor::Value);
    }
}

/// Reports a route's template set that no channel uses: all of them are `format: text`.
pub fn unused_template(validator: &mut Validator<'_, '_>, path: &Path) {
    let finding = Finding::warning(codes::DOUBTFUL_ROUTE, "`template` does nothing here: every channel of this route is `format: text`")
        .label("plain text uses no template: remove it, or add a channel that does");
    validator.report.add(finding, &path.key("template"), Anchor::Key);
}

/// Reports whom a channel's platform cannot ping: its messages name them instead.
pub fn pings(validator: &mut Validator<'_, '_>, platform: &Platform, channel: &str, mentions: &Mentions, at: &Path) {
    people_pings(validator, platform, channel, mentions, at);
    no_ids(validator, platform, channel, mentions, at);
    let named = platform.pings.pick(mentions, &[Ping::Named]);
    let parts =
        [("all", named.all), ("mobiles", !named.mobiles.is_empty()), ("users", !named.users.is_empty()), ("groups", !named.groups.is_empty())];
    let parts: Vec<String> = parts.iter().filter(|(_, there)| *there).map(|(part, _)| format!("`{part}`")).collect();
    if parts.is_empty() {
        return;
    }
    pings_nobody(validator, &parts.join(", "), platform, channel, at);
}

/// Reports ids that are none of the platform's: its messages show them as they are written.
fn no_ids(validator: &mut Validator<'_, '_>, platform: &Platform, channel: &str, mentions: &Mentions, at: &Path) {
    for (kind, ids) in [("users", &mentions.users), ("groups", &mentions.groups)] {
        let wrong = ids.iter().find_map(|id| Some((id, mention_doubt(platform.name, kind, id.trim())?)));
        let Some((id, label)) = wrong else { continue };
        let message = format!("`{id}` of `{kind}` in `mentions` pings nobody on `{channel}` ({}): it is no id there", platform.name);
        validator.report.add(Finding::warning(codes::DOUBTFUL_ROUTE, message).label(label), at, Anchor::Key);
    }
}

/// Reports parts of `mentions` that a platform cannot ping.
fn pings_nobody(validator: &mut Validator<'_, '_>, parts: &str, platform: &Platform, channel: &str, at: &Path) {
    let finding = Finding::warning(codes::DOUBTFUL_ROUTE, format!("{parts} of `mentions` pings nobody on `{channel}` ({})", platform.name))
        .label("its messages name them instead; give that channel a route with `mentions` of its own")
        .note("docs/platforms has a page for each platform: whom it can ping, and how");
    validator.report.add(finding, at, Anchor::Key);
}

/// Reports whom of those that `mentions` name a channel cannot reach.
fn people_pings(validator: &mut Validator<'_, '_>, platform: &Platform, channel: &str, mentions: &Mentions, at: &Path) {
    let named = [
        ("people", !mentions.people.is_empty()),
        ("label", mentions.label.is_some()),
        ("oncall", mentions.oncall.is_some()),
        ("next", mentions.next.is_some()),
    ];
    let named: Vec<String> = named.iter().filter(|(_, there)| *there).map(|(key, _)| format!("`{key}`")).collect();
    if named.is_empty() {
        return;
    }
    if platform.pings.person == Reach::Nobody {
        pings_nobody(validator, &named.join(", "), platform, channel, at);
        return;
    }
    let plan = validator.people.clone();
    let rotas = [&mentions.oncall, &mentions.next].into_iter().flatten().filter_map(|name| plan.rotas.get(name.as_str()));
    let mut people: Vec<&Person> = rotas.flat_map(|rota| &rota.people).filter_map(|name| plan.people.get(name)).collect();
    for name in &mentions.people {
        people.extend(plan.people.get(name));
        people.extend(plan.teams.get(name.as_str()).into_iter().flat_map(|team| plan.members(team)));
    }
    if mentions.label.is_some() {
        people.extend(plan.people.names().filter_map(|name| plan.people.get(name)));
    }
    let mut known: Vec<&str> = Vec::new();
    people.retain(|person| {
        !known.contains(&&*person.name) && !validator.reaches(channel, platform, person) && {
            known.push(&person.name);
            true
        }
    });
    let Some(first) = people.first() else { return };
    let names: Vec<String> = people.iter().take(3).map(|person| format!("`{}`", person.name)).collect();
    let more = if people.len() > 3 { format!(" and {} more", people.len() - 3) } else { String::new() };
    let verb = if platform.pings.writes_to_people() { "write to" } else { "mention" };
    let message = format!("`{channel}` ({}) cannot {verb} {}{more}, whom {} may name", platform.name, names.join(", "), named.join(" and "));
    let label = match first.way(platform) {
        Err(missed) => missing(first, platform, missed),
        Ok(_) => String::new(),
    };
    validator.report.add(Finding::warning(codes::DOUBTFUL_ROUTE, message).label(label), at, Anchor::Key);
}

/// Reports members of teams, and people whom a label may name, whom no step of an escalation reaches. A step that names a person or a rota, and whose channel
/// cannot reach them, is an error of its own.
pub fn out_of_reach(validator: &mut Validator<'_, '_>, escalation: &str, steps: &[StepPlan]) {
    let plan = validator.people.clone();
    let mut reached = BTreeSet::new();
    let mut missed: Vec<(&Person, String)> = Vec::new();
    for step in steps {
        for target in &step.targets {
            let Some(Some(platform)) = validator.names.get(target.channel.as_str()).copied() else { continue };
            for person in asked(&step.people, &plan) {
                let is_by_another = match &step.people {
                    StepPeople::Named(names) => !names.contains(&person.name),
                    StepPeople::OnCall(_) | StepPeople::Next(_) => false,
                    StepPeople::Owner { .. } => true,
                };
                match person.way(platform) {
                    _ if validator.reaches(&target.channel, platform, person) => _ = reached.insert(&*person.name),
                    Err(key) if is_by_another && !key.is_empty() && !missed.iter().any(|(known, _)| known.name == person.name) => {
                        missed.push((person, missing(person, platform, key)));
                    }
                    _ => {}
                }
            }
        }
    }
    missed.retain(|(person, _)| !reached.contains(&*person.name));
    for (person, label) in missed {
        let path = Path::of("people").key(&person.name);
        if !validator.report.is_blamed_inside(&path) {
            let message = format!("no step of the escalation `{escalation}` reaches `{}`", person.name);
            validator.report.add(Finding::warning(codes::DOUBTFUL_ROTA, message).label(label), &path, Anchor::Key);
        }
    }
}

/// Everybody whom a step may be for.
fn asked<'p>(people: &StepPeople, plan: &'p PeoplePlan) -> Vec<&'p Person> {
    match people {
        StepPeople::Named(names) => {
            let mut all = Vec::new();
            for name in names {
                all.extend(plan.people.get(name));
                all.extend(plan.teams.get(name).into_iter().flat_map(|team| plan.members(team)));
            }
            all
        }
        StepPeople::OnCall(rota) | StepPeople::Next(rota) => {
            plan.rotas.get(rota).into_iter().flat_map(|rota| &rota.people).filter_map(|name| plan.people.get(name)).collect()
        }
        StepPeople::Owner { .. } => plan.people.names().filter_map(|name| plan.people.get(name)).collect(),
    }
}

/// Reports `format: text` where the platform has no such kind of message, and a template set that it leaves without effect.
pub fn format(validator: &mut Validator<'_, '_>, config: &ChannelConfig, platform: &str, takes_text: bool, path: &Path) {
    if !takes_text {
        let message = format!("{platform} has no other kind of message that is plain text");
        let label = "remove it; it is for dingtalk, discord, email, feishu, slack, telegram, wecom and wecom_robot";
        validator.report.error(codes::BAD_CHANNEL, &path.key("format"), Anchor::Value, message, label);
    } else if config.template.is_some() {
        let finding = Finding::warning(codes::DOUBTFUL_CHANNEL, "`template` does nothing beside `format: text`")
            .label("plain text uses no template: keep one of the two");
        validator.report.add(finding, &path.key("template"), Anchor::Key);
    }
}

/// How a channel notifies of an incident that goes on; reports what its platform cannot do.
pub fn living(validator: &mut Validator<'_, '_>, asked: Option<LivingMode>, platform: &Platform, can: Living, path: &Path) -> LivingMode {
    let impossible = match asked {
        Some(LivingMode::Edit) if !can.edit => "change a message",
        Some(LivingMode::Reply) if !can.reply => "answer a message",
        _ => return asked.unwrap_or(can.default),
    };
    let best = if can.reply { "`reply`, " } else { "" };
    let message = format!("this channel cannot {impossible} that it has sent");
    let label = format!("write {best}`new` or `off`, or leave it out; docs/platforms/{}.md says what it needs", platform.name);
    validator.report.error(codes::BAD_CHANNEL, &path.key("living"), Anchor::Value, message, label);
    can.default
}
