//! The file's own tests of its routing.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path as FilePath;
use std::str::FromStr;

use jiff::Timestamp;

use super::Validator;
use super::escalations::escalation;
use crate::config::codes;
use crate::config::file::{Expectation, ExpectedAlert, MuteBlock, OneOrMany};
use crate::config::source::Anchor;
use crate::config::suggest::{hint, listed};
use crate::delivery::mutes::Mutes;
use crate::delivery::{HeartbeatPlan, PeoplePlan};
use crate::ingest::{self, Inputs, Sender};
use crate::model::yaml::Path;
use crate::model::{Alert, Finding, Labels, Language, unreadable};
use crate::route::Tree;

/// Bytes of a test's body at most.
const MAX_BODY: u64 = 8 << 20;

/// Validates `tests:`, and runs them when there is a tree.
pub fn routing_tests(validator: &mut Validator<'_, '_>, tree: Option<&Tree>, people: &PeoplePlan, heartbeats: &[HeartbeatPlan], inputs: &Inputs) {
    let root = Path::of("tests");
    let file = validator.file;
    // What is wrong in an escalation is reported there.
    let people = Some(people).filter(|_| !validator.report.is_blamed_inside(&Path::of("escalations")));
    for (ix, test) in file.tests.iter().enumerate() {
        let path = root.item(ix);
        // A body that its file may not name is blamed, and not read.
        if validator.report.is_blamed_inside(&path) || validator.report.is_blamed(&path) {
            continue;
        }
        let single = matches!(test.expect, OneOrMany::One(_));
        for (ix, name) in test.expect.list().iter().enumerate() {
            let at = path.key("expect");
            let at = if single { at } else { at.item(ix) };
            if let Some(mute) = name.strip_prefix(MUTED_BY) {
                expects_mute(validator, mute, test, &at);
            } else if let Some(steps) = name.strip_prefix(ESCALATION) {
                escalation(validator, steps.split(':').next().unwrap_or(steps), &at, "a test expects");
            } else if name != NO_ESCALATION {
                validator.channel(name, &at, "a test expects");
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
        let Some(sets) = label_sets(validator, test, at, &path, inputs) else { continue };
        if let Some(tree) = tree.filter(|_| !validator.report.is_blamed_inside(&path)) {
            run(validator, &Routing { tree, people, heartbeats, at }, &sets, test, &path);
        }
    }
}

/// How a test says that something is muted: by a mute or a time interval of this name.
const MUTED_BY: &str = "muted by ";

/// How a test names an escalation, perhaps with its steps as `watchfire route` shows them: `escalation db: after 5m oncall-call to ann`.
const ESCALATION: &str = "escalation ";

/// How a test says that nothing escalates.
const NO_ESCALATION: &str = "no escalation";

/// Reports a mute that does not exist, and a test that cannot say when.
fn expects_mute(validator: &mut Validator<'_, '_>, name: &str, test: &Expectation, at: &Path) {
    let file = validator.file;
    let mutes: Vec<String> = file.mutes.iter().map(MuteBlock::called).collect();
    let known: Vec<&str> = mutes.iter().map(String::as_str).chain(file.time_intervals.iter().map(|one| one.name.as_str())).collect();
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

/// The labels that are routed: those of the test, or of the alerts that its body becomes. `None` when the body becomes something else than expected.
fn label_sets(validator: &mut Validator<'_, '_>, test: &Expectation, at: Option<Timestamp>, path: &Path, inputs: &Inputs) -> Option<Vec<Labels>> {
    let mut wrong = |key: &str, message: String, label: String| {
        let at = path.key(key);
        validator.report.error(codes::FAILED_TEST, if key.is_empty() { path } else { &at }, Anchor::Value, message, label);
        None
    };
    let Some(file) = &test.body else {
        return match (&test.input, &test.alerts) {
            (Some(_), _) => wrong("input", "`input` reads a body, and the test names none".into(), "add `body: FILE`".into()),
            (_, Some(_)) => wrong("alerts", "`alerts` are what a body becomes, and the test names none".into(), "add `body: FILE`".into()),
            _ => Some(vec![test.labels.clone()]),
        };
    };
    if !test.labels.is_empty() {
        return wrong(
            "labels",
            "the test names `labels` and a `body`".into(),
            "write one of the two; what is expected of the body's alerts is in `alerts`".into(),
        );
    }
    let name = test.input.as_deref().unwrap_or_default();
    if test.input.is_some() && inputs.get(name).is_none() {
        let known = inputs.names().collect::<Vec<_>>().join(", ");
        return wrong("input", format!("there is no input `{name}`"), format!("write one of {known}"));
    }
    let body = match body_of(&validator.folder.join(file)) {
        Ok(body) => body,
        Err(why) => return wrong("body", format!("{} cannot be read", file.display()), why),
    };
    let sender = test.input.clone().map_or(Sender::Auto, Sender::Input);
    let alerts = match ingest::parse(&sender, &body, inputs, at.unwrap_or_default()) {
        Ok(parsed) => parsed.event.alerts,
        Err(error) => return wrong("body", "the body is no alert; it would be sent as text".into(), error.to_string()),
    };
    let differs = test.alerts.as_ref().and_then(|expected| difference(expected, &alerts));
    match differs {
        Some(what) => wrong("alerts", "the body becomes other alerts than expected".into(), what),
        None => Some(alerts.into_iter().map(|alert| alert.labels).collect()),
    }
}

/// The body in a file, or why there is none. A pipe or a device might never end.
fn body_of(path: &FilePath) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("it {}", unreadable(&error));
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() && !meta.is_dir() {
        return Err("it is a pipe, socket or device; name a regular file".into());
    }
    let mut body = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(MAX_BODY + 1).read_to_end(&mut body)).map_err(failed)?;
    if body.len() as u64 > MAX_BODY {
        return Err(format!("it has more than {MAX_BODY} bytes"));
    }
    Ok(body)
}

/// The first way in which alerts are not what is expected of them.
fn difference(expected: &[ExpectedAlert], alerts: &[Alert]) -> Option<String> {
    if expected.len() != alerts.len() {
        return Some(format!("it becomes {} and not {}", alerts.len(), expected.len()));
    }
    expected.iter().zip(alerts).enumerate().find_map(|(at, (expected, alert))| {
        if let Some(status) = expected.status.filter(|status| *status != alert.status) {
            return Some(format!("alert {at} is {} and not {}", alert.status.as_str(), status.as_str()));
        }
        [("label", &expected.labels, &alert.labels), ("annotation", &expected.annotations, &alert.annotations)].into_iter().find_map(
            |(kind, expected, found)| {
                let of = |name: &String| found.get(name).map_or("", String::as_str);
                let (name, value) = expected.iter().find(|(name, value)| of(name) != value.as_str())?;
                Some(format!("the {kind} `{name}` of alert {at} is `{}` and not `{value}`", of(name)))
            },
        )
    })
}

/// What a test is routed by.
struct Routing<'a> {
    tree: &'a Tree,
    /// `None` where escalations have mistakes.
    people: Option<&'a PeoplePlan>,
    heartbeats: &'a [HeartbeatPlan],
    at: Option<Timestamp>,
}

/// Where label sets go.
#[derive(Default)]
struct Found<'a> {
    /// In the order that they would be sent in.
    came: Vec<String>,
    muted: Vec<String>,
    /// What mutes them, as a test says it.
    by: BTreeSet<String>,
    routes: Vec<&'a str>,
    absorbed: Option<&'a str>,
    /// What escalates, with the steps, as a test says it.
    escalations: BTreeSet<String>,
}

impl<'a> Routing<'a> {
    fn follow(&self, labels: &Labels, found: &mut Found<'a>) {
        if let Some(heartbeat) = self.heartbeats.iter().find(|heartbeat| !heartbeat.route && heartbeat.matches(labels)) {
            found.absorbed = Some(&heartbeat.name);
            return;
        }
        let mut nodes = Vec::new();
        self.tree.select(labels, &mut nodes);
        found.routes.extend(nodes.iter().map(|node| self.tree.nodes()[*node].name.as_str()));
        let named = nodes.iter().filter_map(|node| self.tree.nodes()[*node].escalation.as_deref());
        let steps = named.filter_map(|name| Some((name, self.people?, self.people?.escalations.get(name)?)));
        // A test is of routing: it holds while a channel is disabled.
        let words = |people: &PeoplePlan, plan| people.in_words(plan, Some(labels), &|_| true, Language::En);
        found.escalations.extend(steps.map(|(name, people, plan)| format!("{ESCALATION}{name}: {}", words(people, plan))));
        let mut channels: Vec<String> = Vec::new();
        match self.at {
            // What is muted at the time is not sent then.
            Some(at) => {
                let mutes = Mutes::of(self.tree);
                let mutes = mutes.at(at.into());
                for target in self.tree.route(labels, at).targets {
                    let interval = target.muted.iter().flat_map(|muted| muted.by.split(", ")).map(str::to_owned);
                    let by_mutes = mutes.all_of_alert(&target.channel, labels).map(|active| active.mute.called().to_owned());
                    let names: Vec<String> = interval.chain(by_mutes).collect();
                    if names.is_empty() {
                        channels.push(target.channel.to_string());
                    } else {
                        found.muted.push(format!("{} (by {})", target.channel, names.join(", ")));
                        found.by.extend(names.iter().map(|name| format!("{MUTED_BY}{name}")));
                    }
                }
            }
            None => channels.extend(nodes.iter().flat_map(|node| self.tree.nodes()[*node].to.of(labels)).map(|channel| channel.to_string())),
        }
        for channel in channels {
            if !found.came.contains(&channel) {
                found.came.push(channel);
            }
        }
    }
}

fn run(validator: &mut Validator<'_, '_>, routing: &Routing<'_>, sets: &[Labels], test: &Expectation, path: &Path) {
    let mut found = Found::default();
    for labels in sets {
        routing.follow(labels, &mut found);
    }
    let Found { came, muted, by, routes, absorbed, escalations } = found;
    let is_chain = |name: &&str| name.starts_with(ESCALATION) || *name == NO_ESCALATION;
    let all = test.expect.list().iter().map(String::as_str);
    let expected: BTreeSet<&str> = all.filter(|name| routing.people.is_some() || !is_chain(name)).collect();
    // A test need not say what mutes the channels that it does not name, nor what escalates.
    let names = escalations.iter().filter_map(|one| one.split_once(':')).map(|(name, _)| name);
    let chains = escalations.iter().map(String::as_str).chain(names).chain(escalations.is_empty().then_some(NO_ESCALATION));
    let told = by.iter().map(String::as_str).chain(chains).filter(|one| expected.contains(one));
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
    let mut finding = Finding::error(codes::FAILED_TEST, format!("the test {name} fails"))
        .label(format!("these labels go to: {}; {}", list(came.iter().map(String::as_str).collect()), parts.join("; ")))
        .note(match absorbed {
            Some(heartbeat) if routes.is_empty() => format!("they are a sign of life for the heartbeat `{heartbeat}`, which is not routed"),
            _ => format!("by {}", routes.join(", ")),
        });
    if expected.iter().any(is_chain) {
        let all = escalations.iter().map(String::as_str);
        finding = finding
            .note(format!("what escalates: {}", if escalations.is_empty() { "nothing".to_owned() } else { all.collect::<Vec<_>>().join("; ") }));
    }
    if !muted.is_empty() {
        finding = finding.note(format!("muted at that time: {}", muted.join(", ")));
    }
    validator.report.add(finding, &path.key("expect"), Anchor::Value);
}
