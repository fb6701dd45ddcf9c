//! Matchers and time intervals: read once to tell, at their exact place, what is wrong with them.

use std::collections::BTreeSet;

use super::Judge;
use super::extras::zone_help;
use crate::config::codes;
use crate::config::file::{OneOrMany, RouteNode};
use crate::config::source::Spot;
use crate::config::yaml::Path;
use crate::model::Finding;
use crate::route::{Intervals, lint_matcher_list, matcher};

/// Judges `match` of a route and of all routes below it.
pub fn matchers(judge: &mut Judge<'_, '_>, route: &RouteNode, path: &Path) {
    if let Some(texts) = &route.matchers {
        list(judge, texts, &path.key("match"));
    }
    for (ix, child) in route.routes.iter().enumerate() {
        matchers(judge, child, &path.key("routes").item(ix));
    }
}

/// Judges one `match`.
pub fn list(judge: &mut Judge<'_, '_>, texts: &OneOrMany, at: &Path) {
    match texts {
        OneOrMany::One(text) => one(judge, text, at),
        OneOrMany::Many(texts) => {
            let split = lint_matcher_list(texts);
            for problem in &split {
                let label = if problem.last > problem.first { "and the pieces after it belong together" } else { "the quote is not closed" };
                let finding = Finding::error(codes::SPLIT_MATCHER, "this is not one matcher").label(label).note(problem.message.clone());
                judge.report.add(finding, &at.item(problem.first), Spot::Value);
            }
            for (ix, text) in texts.iter().enumerate() {
                if !split.iter().any(|problem| (problem.first..=problem.last).contains(&ix)) {
                    one(judge, text, &at.item(ix));
                }
            }
            if texts.is_empty() {
                let finding =
                    Finding::warning(codes::DOUBTFUL_ROUTE, "an empty `match` takes every alert").label("write a matcher, or remove the key");
                judge.report.add(finding, at, Spot::Key);
            }
        }
    }
}

fn one(judge: &mut Judge<'_, '_>, text: &str, path: &Path) {
    match matcher::parse_noted(text) {
        Err(error) => {
            judge.report.error(codes::BAD_MATCHER, path, Spot::Inside(error.offset, 1), error.reason, error.help);
        }
        Ok(reading) => {
            if let Some(note) = reading.note {
                judge.report.add(
                    Finding::warning(codes::DOUBTFUL_ROUTE, "Alertmanager's two grammars do not agree on this matcher").label(note),
                    path,
                    Spot::Value,
                );
            } else if reading.matchers.is_empty() {
                let finding =
                    Finding::warning(codes::DOUBTFUL_ROUTE, "an empty `match` takes every alert").label("write a matcher, or remove the key");
                judge.report.add(finding, path, Spot::Value);
            }
        }
    }
}

/// Judges `time_intervals:` and reads them.
pub fn intervals(judge: &mut Judge<'_, '_>) -> Intervals {
    let path = Path::of("time_intervals");
    let file = judge.file;
    let mut read = Intervals::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (ix, config) in file.time_intervals.iter().enumerate() {
        let path = path.item(ix);
        if judge.report.is_blamed(&path) {
            continue;
        }
        if !config.name.is_empty() && !seen.insert(&config.name) {
            let message = format!("two time intervals are called `{}`", config.name);
            judge.report.error(codes::TAKEN_NAME, &path.key("name"), Spot::Value, message, "rename one of the two");
        }
        match config.compile() {
            Ok(interval) => {
                read.insert(config.name.clone(), std::sync::Arc::new(interval));
            }
            Err(problems) => {
                for problem in problems {
                    let at = path.dotted(&problem.path);
                    let zone = problem.path.ends_with(".location").then(|| judge.report.source.root.as_ref()?.at(&at)).flatten();
                    match zone.map(|node| &node.kind) {
                        Some(crate::config::yaml::Kind::Scalar(name)) => {
                            let message = format!("there is no time zone `{}`", name.text);
                            judge.report.error(codes::BAD_ZONE, &at, Spot::Value, message, zone_help(&name.text));
                        }
                        _ => {
                            judge.report.error(codes::BAD_INTERVAL, &at, Spot::Value, format!("`{at}`: {}", problem.reason), problem.help);
                        }
                    }
                }
            }
        }
    }
    read
}
