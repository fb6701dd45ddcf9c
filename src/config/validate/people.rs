//! `people:`: how channels reach them, and by which ids platforms know them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Validator;
use super::extras::zone_of;
use super::matchers::interval;
use crate::channel::kit::phone::{Use, e164, refusal};
use crate::channel::{Platform, plain_address};
use crate::config::codes;
use crate::config::file::{PersonBlock, QuietBlock};
use crate::config::source::Anchor;
use crate::config::suggest::{hint, listed};
use crate::delivery::{Calendars, People, Person, PersonName, Quiet};
use crate::model::yaml::Path;
use crate::model::{Finding, Severity};
use crate::route::{Intervals, TimeInterval};

/// The longest name that is shown, in characters: what a press keeps of one.
const MAX_NAME: usize = 60;

/// Validates `people:`.
pub fn people(validator: &mut Validator<'_, '_>, intervals: &Intervals) -> People {
    let file = validator.file;
    let mut taken: BTreeMap<(&str, String), &str> = BTreeMap::new();
    let mut people = Vec::new();
    for (name, block) in &file.people {
        let path = Path::of("people").key(name);
        validator.name(name, &path, Anchor::Key, "person");
        let person = person(validator, name, block, intervals, &path);
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
    people.into_iter().collect()
}

/// Which addresses the calendars of people and rotas have.
pub fn calendars(validator: &Validator<'_, '_>) -> Calendars {
    let file = validator.file;
    let people = file.people.iter().filter_map(|(name, block)| Some((name.clone(), block.calendar?)));
    let rotas = file.rotas.iter().filter_map(|(name, block)| Some((name.clone(), block.calendar?)));
    Calendars { people: people.collect(), rotas: rotas.collect() }
}

fn person(validator: &mut Validator<'_, '_>, name: &str, block: &PersonBlock, intervals: &Intervals, path: &Path) -> Person {
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
    let full_name = block.name.as_deref().map(str::trim).map(str::to_owned);
    if full_name.as_deref().is_some_and(|full| full.is_empty() || full.chars().count() > MAX_NAME || full.chars().any(char::is_control)) {
        let label = format!("write 1 to {MAX_NAME} characters on one line, or remove it");
        wrong("name", format!("`name` of `{name}` cannot be shown"), &label);
    }
    if let Some(zone) = &block.zone {
        zone_of(validator, zone, &path.key("zone"));
    }
    let quiet = block.quiet.as_ref().map(|quiet| quiet_hours(validator, quiet, block.zone.as_deref(), intervals, &path.key("quiet")));
    Person { name: PersonName::from(name), full_name, language: block.language, email, mobile, ids, quiet }
}

fn quiet_hours(validator: &mut Validator<'_, '_>, block: &QuietBlock, zone: Option<&str>, intervals: &Intervals, path: &Path) -> Quiet {
    let at = path.key("time_intervals");
    for (ix, name) in block.time_intervals.iter().enumerate() {
        interval(validator, name, &at.item(ix));
    }
    if block.time_intervals.is_empty() {
        let label = "name time intervals, or remove `quiet`";
        validator.report.error(codes::BAD_PERSON, &at, Anchor::Value, "quiet hours without a time interval", label);
    }
    let intervals = block.time_intervals.iter().filter_map(|name| in_zone(validator, name, zone, intervals)).collect();
    Quiet { intervals, unless: block.unless.unwrap_or(Severity::Critical) }
}

/// The interval of that name, with this zone for its rules that name none.
fn in_zone(validator: &Validator<'_, '_>, name: &str, zone: Option<&str>, intervals: &Intervals) -> Option<Arc<TimeInterval>> {
    let read = intervals.get(name)?;
    let Some(zone) = zone else { return Some(read.clone()) };
    let mut config = validator.file.time_intervals.iter().find(|config| config.name == name)?.clone();
    for rule in &mut config.time_intervals {
        rule.location.get_or_insert_with(|| zone.to_owned());
    }
    // What is wrong with the zone is reported where it is written.
    config.compile().ok().map(Arc::new).or_else(|| Some(read.clone()))
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
        "mattermost" => (plain && !id.contains(char::is_whitespace), "write the user name without its `@`, as in the person's profile"),
        _ => (plain, "write the user's id on the platform"),
    };
    (!fine).then_some(label)
}

/// What an id of the `users` or `groups` of `mentions` looks like on a platform, when this one does not. Platforms that know people by their names as well
/// are not asked.
pub(super) fn mention_doubt(platform: &str, kind: &str, id: &str) -> Option<&'static str> {
    match (platform, kind) {
        ("slack" | "discord", "users") => doubt(platform, id),
        ("slack", _) => (!id.starts_with('S')).then_some("write the group's id, `S…`: it is in Slack under People, User groups, Copy group ID"),
        ("discord", _) => doubt(platform, id).map(|_| "write the role's number: Copy Role ID, with developer mode on"),
        _ => None,
    }
}

/// The people of these names; reports those that there are not, and those that are named `twice`.
pub(super) fn named<'p>(
    validator: &mut Validator<'_, '_>,
    twice: &'static str,
    names: &[String],
    single: bool,
    people: &'p People,
    at: &Path,
) -> Vec<&'p Person> {
    let mut found: Vec<&Person> = Vec::new();
    for (ix, name) in names.iter().enumerate() {
        let at = if single { at.clone() } else { at.item(ix) };
        match people.get(name) {
            Some(person) if !found.iter().any(|known| known.name == person.name) => found.push(person),
            Some(_) => {
                let message = format!("`{name}` is in this list twice");
                validator.report.error(twice, &at, Anchor::Value, message, "everybody is in it once; remove the second one");
            }
            None => {
                let finding = Finding::error(codes::UNKNOWN_PERSON, "the list names a person that does not exist")
                    .label(format!("nobody is called `{name}`{}", hint(name, people.names())))
                    .note(format!("people defined here: {}", listed(people.names())));
                validator.report.add(finding, &at, Anchor::Value);
            }
        }
    }
    found
}

/// What a person needs so that a platform reaches them; `key` is the key that is missing.
pub(super) fn missing(person: &Person, platform: &Platform, key: &str) -> String {
    let also = if platform.pings.pings_mobiles() { " or a `mobile`" } else { "" };
    format!("`{}` needs `{key}`{also} under `people:`", person.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, from_text};
    use crate::model::Language;

    #[test]
    fn people_have_names_and_languages_and_quiet_hours_in_their_zones() {
        let text = "channels: { ops: { log: {} } }\nroute: { to: ops }\n\
            time_intervals:\n  - { name: night, time_intervals: [{ times: [{ start_time: '00:00', end_time: '06:00' }] }] }\n  \
            - { name: utc, time_intervals: [{ location: UTC, times: [{ start_time: '00:00', end_time: '06:00' }] }] }\n\
            people:\n  ann: { name: 安娜, zone: Asia/Shanghai, language: zh, quiet: { time_intervals: [night] } }\n  \
            bob: { zone: Asia/Shanghai, quiet: { time_intervals: [utc] } }\n  cid: { quiet: { time_intervals: [night] } }\n";
        let read = |text: &str| from_text(std::path::Path::new("routes.yaml"), text, &LoadOptions::without_secrets());
        let loaded = read(text).unwrap();
        let people = &loaded.plan.people.people;
        assert_eq!((people.shown("ann"), people.shown("bob")), ("安娜", "bob"));
        assert_eq!((people.get("ann").unwrap().language, people.get("bob").unwrap().language), (Some(Language::Zh), None));
        let quiet = |name: &str, at: &str| {
            let at = at.parse::<jiff::Timestamp>().unwrap().into();
            people.get(name).unwrap().is_quiet(Severity::Warning.rank(), at)
        };
        // 01:00 in Shanghai, and 01:00 in UTC.
        let (there, utc) = ("2026-11-02T17:00:00Z", "2026-11-02T01:00:00Z");
        assert_eq!((quiet("ann", there), quiet("ann", utc)), (true, false));
        assert_eq!((quiet("bob", there), quiet("bob", utc)), (false, true), "what names its own place keeps it");
        assert_eq!((quiet("cid", there), quiet("cid", utc)), (false, true));
        let wrong = text.replace("name: 安娜, zone: Asia/Shanghai", "name: '', zone: Asia/Shangai");
        let findings = read(&wrong).unwrap_err();
        let said: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
        assert!(said.contains(&"there is no time zone `Asia/Shangai`") && said.contains(&"`name` of `ann` cannot be shown"), "{said:?}");
    }
}
