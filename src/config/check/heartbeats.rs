//! `heartbeats:`, the dead-man's switches.

use std::time::Duration;

use super::Judge;
use super::matchers::list;
use crate::config::codes;
use crate::config::file::OneOrMany;
use crate::config::source::Spot;
use crate::config::yaml::Path;
use crate::delivery::HeartbeatPlan;
use crate::route::{Matcher, Op, matcher};

const LEAST: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_secs(31 * 86_400);

/// Judges `heartbeats:` and gives those that can be used.
pub fn heartbeats(judge: &mut Judge<'_, '_>) -> Vec<HeartbeatPlan> {
    let file = judge.file;
    let mut plans: Vec<HeartbeatPlan> = Vec::new();
    for (ix, heartbeat) in file.heartbeats.iter().enumerate() {
        let path = Path::of("heartbeats").item(ix);
        if judge.report.is_blamed(&path) {
            continue;
        }
        list(judge, &heartbeat.matchers, &path.key("matchers"));
        let timeout = judge.duration(Some(&heartbeat.timeout), &path.key("timeout"), Duration::from_secs(300), LEAST, MOST);
        let to = path.key("to");
        for (ix, name) in heartbeat.to.list().iter().enumerate() {
            let at = if matches!(heartbeat.to, OneOrMany::One(_)) { to.clone() } else { to.item(ix) };
            judge.channel(name, &at, "a heartbeat tells");
        }
        if heartbeat.to.list().is_empty() {
            judge.report.error(codes::MISSING_KEY, &to, Spot::Value, "a heartbeat that tells nobody", "name at least one channel");
        }
        let matchers: Vec<Matcher> = heartbeat.matchers.list().iter().filter_map(|text| matcher::parse(text).ok()).flatten().collect();
        if matchers.is_empty() && !judge.report.is_blamed_inside(&path) {
            let label = "write which alert is the sign of life, as `'alertname=\"Watchdog\"'`";
            judge.report.error(
                codes::BAD_MATCHER,
                &path.key("matchers"),
                Spot::Value,
                "every alert would be a sign of life, and none would be sent",
                label,
            );
        }
        let alertname = matchers.iter().find(|matcher| matcher.name() == "alertname" && matcher.op() == Op::Equal).map(Matcher::value);
        let Some(name) = heartbeat.name.as_deref().or(alertname) else {
            let label = "it matches no `alertname` by `=` that could be its name";
            if !judge.report.is_blamed_inside(&path.key("matchers")) {
                judge.report.error(codes::MISSING_KEY, &path.key("name"), Spot::Key, "a heartbeat without a name", label);
            }
            continue;
        };
        if plans.iter().any(|known| *known.name == *name) {
            let at = if heartbeat.name.is_some() { path.key("name") } else { path.key("matchers") };
            judge.report.error(
                codes::TAKEN_NAME,
                &at,
                Spot::Value,
                format!("two heartbeats are called `{name}`"),
                "give one of the two another `name`",
            );
        }
        plans.push(HeartbeatPlan { name: name.into(), matchers, timeout, to: heartbeat.to.list().to_vec(), route: heartbeat.route });
    }
    plans
}
