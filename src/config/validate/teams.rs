//! `teams:`, and what names people and teams: `mentions`.

use std::collections::HashMap;

use super::Validator;
use super::people::named;
use super::rotas::rota;
use crate::config::codes;
use crate::config::file::{OneOrMany, RouteTo, RoutesFile, ToByLabel};
use crate::config::source::Anchor;
use crate::config::suggest::{hint, listed};
use crate::delivery::{RotaName, Team};
use crate::model::yaml::Path;
use crate::model::{Finding, Mentions};
use crate::route::{ByLabel, Destinations};

/// Validates `teams:`, after `people:` and `rotas:`.
pub fn teams(validator: &mut Validator<'_, '_>) {
    let file = validator.file;
    for (name, block) in &file.teams {
        let path = Path::of("teams").key(name);
        validator.name(name, &path, Anchor::Key, "team");
        if file.people.contains_key(name) {
            let label = "a label with this value would mean either; rename one of them";
            validator.report.error(codes::BAD_TEAM, &path, Anchor::Key, format!("`{name}` is a person and a team"), label);
        }
        let people = validator.people.people.clone();
        let at = path.key("people");
        let names = block.people.as_ref().map(OneOrMany::list).unwrap_or_default();
        let single = matches!(block.people, Some(OneOrMany::One(_)));
        let members = named(validator, codes::BAD_TEAM, names, single, &people, &at);
        let members = members.into_iter().map(|person| person.name.clone()).collect();
        let rota = block.rota.as_ref().and_then(|name| rota(validator, name, &path.key("rota")));
        let to = block.to.as_ref().map(OneOrMany::list).unwrap_or_default();
        for (ix, channel) in to.iter().enumerate() {
            let at = path.key("to");
            let at = if matches!(block.to, Some(OneOrMany::One(_))) { at } else { at.item(ix) };
            validator.channel(channel, &at, "a team has");
        }
        if names.is_empty() && to.is_empty() && block.rota.is_none() && !validator.report.is_blamed_inside(&path) {
            let label = "name its people (`people: [ann]`), its channels (`to: [ops]`), or both";
            validator.report.error(codes::BAD_TEAM, &path, Anchor::Key, format!("the team `{name}` has neither people nor channels"), label);
        }
        let team =
            Team { people: members, rota: rota.map(|rota| RotaName::clone(&rota.name)), to: to.iter().map(|name| name.as_str().into()).collect() };
        validator.people.teams.insert(name.as_str().into(), team);
    }
    names_alike(validator);
}

/// Reports people and teams whose names differ in case only.
fn names_alike(validator: &mut Validator<'_, '_>) {
    let file = validator.file;
    let people = file.people.keys().map(|name| ("people", codes::BAD_PERSON, name));
    let teams = file.teams.keys().map(|name| ("teams", codes::BAD_TEAM, name));
    let mut seen: HashMap<String, &str> = HashMap::new();
    for (key, code, name) in people.chain(teams) {
        if let Some(other) = seen.insert(name.to_ascii_lowercase(), name).filter(|other| other != name) {
            let label = "the value of a label is read in any case, and would mean either; rename one of them";
            let message = format!("`{other}` and `{name}` differ in case only");
            validator.report.error(code, &Path::of(key).key(name), Anchor::Key, message, label);
        }
    }
}

/// Reports people, teams and rotas in `mentions` that do not exist.
pub fn mentioned(validator: &mut Validator<'_, '_>, mentions: &Mentions, at: &Path) {
    let file = validator.file;
    for (key, name) in [("oncall", &mentions.oncall), ("next", &mentions.next)] {
        if let Some(name) = name {
            rota(validator, name, &at.key(key));
        }
    }
    let known = || file.people.keys().chain(file.teams.keys()).map(String::as_str);
    for (ix, name) in mentions.people.iter().enumerate() {
        if !known().any(|known| known == name) {
            let finding = Finding::error(codes::UNKNOWN_PERSON, "`mentions` names a person or team that does not exist")
                .label(format!("nobody and no team is called `{name}`{}", hint(name, known())))
                .note(format!("people and teams defined here: {}", listed(known())));
            validator.report.add(finding, &at.key("people").item(ix), Anchor::Value);
        }
    }
    let empty = mentions.label.as_ref().is_some_and(|label| label.trim().is_empty());
    if empty || (mentions.label.is_some() && file.people.is_empty() && file.teams.is_empty()) {
        let (message, label) = if empty {
            ("`label` names no label", "write the name of the label that says who owns an alert: `owner`")
        } else {
            ("`label` can name nobody: there are neither people nor teams", "define them under `people:` and `teams:`, by the values of the label")
        };
        validator.report.error(codes::BAD_TEAM, &at.key("label"), Anchor::Value, message, label);
    }
}

/// Reports a label that leads to no channel, because no team has any.
pub(super) fn leads_somewhere(validator: &mut Validator<'_, '_>, to: &ToByLabel, path: &Path) {
    if !validator.file.teams.values().any(|team| team.to.is_some()) {
        let message = format!("the label `{}` leads to no channel: no team has any", to.label);
        let label = "define teams by the values of the label: `teams: { db: { to: [slack-db] } }`";
        validator.report.error(codes::BAD_TEAM, path, Anchor::Value, message, label);
    }
}

/// Where a route or a step sends.
pub(super) fn sent_to(file: &RoutesFile, to: &RouteTo) -> Destinations {
    let RouteTo::ByLabel(by) = to else { return Destinations::to(to.default_channels().iter().map(String::as_str)) };
    let names = |list: &OneOrMany| list.list().iter().map(|name| name.as_str().into()).collect();
    let of_teams = file.teams.iter().filter_map(|(team, block)| Some((team.clone(), names(block.to.as_ref()?))));
    let by_label = ByLabel { label: by.label.clone(), channels: of_teams.collect() };
    Destinations { default: names(&by.default), by_label: Some(by_label.into()) }
}

/// Every channel that a route may lead to.
pub(super) fn destinations<'f>(file: &'f RoutesFile, to: &'f RouteTo) -> Vec<&'f str> {
    let teams = file.teams.values().filter(|_| matches!(to, RouteTo::ByLabel(_)));
    let of_teams = teams.flat_map(|team| &team.to).flat_map(OneOrMany::list);
    to.default_channels().iter().chain(of_teams).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::{LoadOptions, from_text};

    #[test]
    fn a_rota_alone_is_a_team() {
        let text = "channels: { ops: { log: {} } }\nroute: { to: ops }\npeople: { ann: { email: ann@example.com } }\n\
            rotas: { night: { rotation: daily, handoff: '10:00', start: 2026-01-01, people: [ann] } }\nteams: { web: { rota: night } }\n";
        let loaded = from_text(std::path::Path::new("routes.yaml"), text, &LoadOptions::without_secrets()).unwrap();
        assert_eq!(loaded.plan.people.teams["web"].rota.as_deref(), Some("night"));
    }
}
