//! The file's own tests of its routing.

use std::collections::BTreeSet;
use std::str::FromStr;

use jiff::Timestamp;

use super::Validator;
use crate::config::codes;
use crate::config::file::{Expectation, OneOrMany};
use crate::config::source::Anchor;
use crate::config::suggest::{hint, listed};
use crate::delivery::HeartbeatPlan;
use crate::delivery::mutes::Mutes;
use crate::model::Finding;
use crate::model::yaml::Path;
use crate::route::Tree;

/// Validates `tests:`, and runs them when there is a tree.
pub fn routing_tests(validator: &mut Validator<'_, '_>, tree: Option<&Tree>, heartbeats: &[HeartbeatPlan]) {
    let root = Path::of("tests");
    let file = validator.file;
    for (ix, test) in file.tests.iter().enumerate() {
        let path = root.item(ix);
        if validator.report.is_blamed_inside(&path) {
            continue;
        }
        let single = matches!(test.expect, OneOrMany::One(_));
        for (ix, name) in test.expect.list().iter().enumerate() {
            let at = path.key("expect");
            let at = if single { at } else { at.item(ix) };
            match name.strip_prefix(MUTED_BY) {
                Some(mute) => expects_mute(validator, mute, test, &at),
                None => _ = validator.channel(name, &at, "a test expects"),
            }
        }
        let at = match test.at.as_deref().map(Timestamp::from_str) {
            Some(Err(_)) => {
                let label = "write it like `2026-11-21T23:00:00+08:00`";
                validator.report.error(codes::NOT_ALLOWED, &path.key("at"), Anchor::Value, "this is not a time", label);
                continue;
            }
            Some(Ok(at)) => Some(at),
            None => None,
        };
        if let Some(tree) = tree.filter(|_| !validator.report.is_blamed_inside(&path)) {
            run(validator, tree, heartbeats, test, at, &path);
        }
    }
}

/// How a test says that something is muted: by a mute or a time interval of this name.
const MUTED_BY: &str = "muted by ";

/// Reports a mute that does not exist, and a test that cannot say when.
fn expects_mute(validator: &mut Validator<'_, '_>, name: &str, test: &Expectation, at: &Path) {
    let file = validator.file;
    let known: Vec<&str> = file.mutes.iter().map(|mute| mute.name.as_str()).chain(file.time_intervals.iter().map(|one| one.name.as_str())).collect();
    if !known.contains(&name) {
        let finding = Finding::error(codes::UNKNOWN_MUTE, "a test expects a mute that does not exist")
            .label(format!("no mute and no time interval `{name}`{}", hint(name, known.iter().copied())))
            .note(format!("mutes and time intervals defined here: {}", listed(known.iter().copied())));
        validator.report.add(finding, at, Anchor::Value);
    } else if test.at.is_none() {
        let message = "whether something is muted depends on the time";
        validator.report.error(codes::MISSING_KEY, at, Anchor::Value, message, "add `at` with the time of the alert to the test");
    }
}

fn run(validator: &mut Validator<'_, '_>, tree: &Tree, heartbeats: &[HeartbeatPlan], test: &Expectation, at: Option<Timestamp>, path: &Path) {
    let mut nodes = Vec::new();
    let absorbed = heartbeats.iter().find(|heartbeat| !heartbeat.route && heartbeat.matches(&test.labels));
    if absorbed.is_none() {
        tree.select(&test.labels, &mut nodes);
    }
    // In the order that they would be sent in; what is muted at the time is not sent then.
    let mut came: Vec<String> = Vec::new();
    let mut muted: Vec<String> = Vec::new();
    let mut by: BTreeSet<String> = BTreeSet::new();
    match at {
        Some(at) if absorbed.is_none() => {
            let mutes = Mutes::of(tree);
            let mutes = mutes.at(at.into());
            for target in tree.route(&test.labels, at).targets {
                let by_mute = mutes.of_alert(&target.channel, &test.labels).map(|active| active.mute.called().to_owned());
                match target.muted.map(|muted| muted.by).or(by_mute) {
                    None => came.push(target.channel.to_string()),
                    Some(names) => {
                        muted.push(format!("{} (by {names})", target.channel));
                        by.extend(names.split(", ").map(|name| format!("{MUTED_BY}{name}")));
                    }
                }
            }
        }
        _ => {
            for channel in nodes.iter().flat_map(|node| tree.nodes()[*node].to.of(&test.labels)) {
                if !came.iter().any(|known| **known == **channel) {
                    came.push(channel.to_string());
                }
            }
        }
    }
    let expected: BTreeSet<&str> = test.expect.list().iter().map(String::as_str).collect();
    // A test need not say what mutes the channels that it does not name.
    let told = by.iter().map(String::as_str).filter(|by| expected.contains(by));
    let found: BTreeSet<&str> = came.iter().map(String::as_str).chain(told).collect();
    if expected == found {
        return;
    }
    let name = test.name.as_deref().map_or_else(|| format!("`{path}`"), |name| format!("\"{name}\""));
    let list = |names: Vec<&str>| if names.is_empty() { "nowhere".to_owned() } else { names.join(", ") };
    let mut parts = Vec::new();
    for (names, what) in [(expected.difference(&found), "missing"), (found.difference(&expected), "not expected")] {
        let names: Vec<&str> = names.copied().collect();
        if !names.is_empty() {
            parts.push(format!("{what}: {}", names.join(", ")));
        }
    }
    let routes: Vec<&str> = nodes.iter().map(|node| tree.nodes()[*node].name.as_str()).collect();
    let mut finding = Finding::error(codes::FAILED_TEST, format!("the test {name} fails"))
        .label(format!("these labels go to: {}; {}", list(came.iter().map(String::as_str).collect()), parts.join("; ")))
        .note(match absorbed {
            Some(heartbeat) => format!("they are a sign of life for the heartbeat `{}`, which is not routed", heartbeat.name),
            None => format!("by {}", routes.join(", ")),
        });
    if !muted.is_empty() {
        finding = finding.note(format!("muted at that time: {}", muted.join(", ")));
    }
    validator.report.add(finding, &path.key("expect"), Anchor::Value);
}
