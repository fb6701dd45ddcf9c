//! Time intervals that can be used and hardly do what was meant: those that hold always, and hours of UTC where messages show those of another zone.

use std::collections::BTreeSet;

use super::Validator;
use crate::config::codes;
use crate::config::source::Anchor;
use crate::model::Finding;
use crate::model::yaml::{Kind, Node, Path};

/// Warns of them.
pub fn doubtful_intervals(validator: &mut Validator<'_, '_>) {
    let (file, source) = (validator.file, validator.report.source);
    let zone = file.time_zone.as_deref().filter(|zone| !matches!(zone.to_ascii_uppercase().as_str(), "UTC" | "ETC/UTC"));
    let mut used = BTreeSet::new();
    source.root.iter().for_each(|root| names_used(root, &mut used));
    for (ix, interval) in file.time_intervals.iter().enumerate() {
        for (rule_ix, rule) in interval.time_intervals.iter().enumerate() {
            let path = Path::of("time_intervals").item(ix).key("time_intervals").item(rule_ix);
            if validator.report.is_blamed_inside(&path) {
                continue;
            }
            let days = [&rule.weekdays, &rule.days_of_month, &rule.months, &rule.years];
            let (message, label) = match zone {
                _ if rule.times.is_none() && days.iter().all(|days| days.is_none()) => {
                    (format!("`{path}` holds always"), "write `times`, `weekdays`, `days_of_month`, `months` or `years`".to_owned())
                }
                // The quiet hours of people are those of their own zone.
                Some(zone) if rule.location.is_none() && used.contains(interval.name.as_str()) => (
                    format!("`{path}` is in UTC, and `time_zone` is `{zone}`"),
                    format!("add `location: {zone}`, or `location: UTC` where that is meant"),
                ),
                _ => continue,
            };
            validator.report.add(Finding::warning(codes::DOUBTFUL_ROUTE, message).label(label), &path, Anchor::Value);
        }
    }
}

/// The intervals that routes, steps and mutes name.
fn names_used<'n>(node: &'n Node, used: &mut BTreeSet<&'n str>) {
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::List(items) => items.iter().for_each(|item| names_used(item, used)),
        Kind::Map(entries) => {
            for entry in entries {
                match (entry.key.as_str(), &entry.value.kind) {
                    ("mute_time_intervals" | "active_time_intervals", Kind::List(items)) => {
                        used.extend(items.iter().filter_map(|item| match &item.kind {
                            Kind::Scalar(name) => Some(name.text.as_str()),
                            _ => None,
                        }));
                    }
                    _ => names_used(&entry.value, used),
                }
            }
        }
    }
}
