//! `heartbeats:`, the dead-man's switches.

use std::time::Duration;

use super::Validator;
use super::matchers::list;
use crate::config::codes;
use crate::config::file::OneOrMany;
use crate::config::source::Anchor;
use crate::delivery::HeartbeatPlan;
use crate::model::yaml::Path;
use crate::route::{Matcher, Op, matcher};

const MIN_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_TIMEOUT: Duration = Duration::from_secs(31 * 86_400);

/// Validates `heartbeats:` and returns those that can be used.
pub fn heartbeats(validator: &mut Validator<'_, '_>) -> Vec<HeartbeatPlan> {
    let file = validator.file;
    let mut plans: Vec<HeartbeatPlan> = Vec::new();
    for (ix, heartbeat) in file.heartbeats.iter().enumerate() {
        let path = Path::of("heartbeats").item(ix);
        if validator.report.is_blamed(&path) {
            continue;
        }
        list(validator, &heartbeat.matchers, &path.key("matchers"));
        let timeout = validator.duration(Some(&heartbeat.timeout), &path.key("timeout"), Duration::from_secs(300), MIN_TIMEOUT, MAX_TIMEOUT);
        let to = path.key("to");
        for (ix, name) in heartbeat.to.list().iter().enumerate() {
            let at = if matches!(heartbeat.to, OneOrMany::One(_)) { to.clone() } else { to.item(ix) };
            validator.channel(name, &at, "a heartbeat notifies");
        }
        if heartbeat.to.list().is_empty() {
            validator.report.error(codes::MISSING_KEY, &to, Anchor::Value, "a heartbeat that notifies nobody", "name at least one channel");
        }
        let matchers: Vec<Matcher> = heartbeat.matchers.list().iter().filter_map(|text| matcher::parse(text).ok()).flatten().collect();
        if matchers.is_empty() && !validator.report.is_blamed_inside(&path) {
            let label = "write which alert is the sign of life, as `'alertname=\"Watchdog\"'`";
            validator.report.error(
                codes::BAD_MATCHER,
                &path.key("matchers"),
                Anchor::Value,
                "every alert would be a sign of life, and none would be sent",
                label,
            );
        }
        let alertname = matchers.iter().find(|matcher| matcher.name() == "alertname" && matcher.op() == Op::Equal).map(Matcher::value);
        let Some(name) = heartbeat.name.as_deref().or(alertname) else {
            let label = "it matches no `alertname` by `=` that could be its name";
            if !validator.report.is_blamed_inside(&path.key("matchers")) {
                validator.report.error(codes::MISSING_KEY, &path.key("name"), Anchor::Key, "a heartbeat without a name", label);
            }
            continue;
        };
        if plans.iter().any(|known| *known.name == *name) {
            let at = if heartbeat.name.is_some() { path.key("name") } else { path.key("matchers") };
            validator.report.error(
                codes::TAKEN_NAME,
                &at,
                Anchor::Value,
                format!("two heartbeats are called `{name}`"),
                "give one of the two another `name`",
            );
        }
        plans.push(HeartbeatPlan { name: name.into(), matchers, timeout, to: heartbeat.to.list().to_vec(), route: heartbeat.route });
    }
    plans
}
