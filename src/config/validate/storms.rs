//! Channels that people pay for by the message, or are woken by, and what a storm of alerts would send through them.

use std::collections::BTreeSet;

use super::teams::destinations;
use super::{Channels, Validator};
use crate::channel::OnAmbiguous;
use crate::config::codes;
use crate::config::file::{RouteNode, RoutesFile};
use crate::config::source::Anchor;
use crate::delivery::simulate::BEARABLE;
use crate::model::yaml::Path;
use crate::model::{Finding, format_duration};

/// Groups of a storm, as `watchfire simulate` takes them: what a lost rack or a broken rule brings within a minute.
const GROUPS: f64 = 500.0;

/// Reports text messages and calls that nothing bounds.
pub fn storms(validator: &mut Validator<'_, '_>, channels: &Channels) {
    let mut named = BTreeSet::new();
    validator.file.route.iter().for_each(|route| collect(validator.file, route, &mut named));
    let steps = validator.file.escalations.values().flatten();
    named.extend(steps.flat_map(|step| destinations(validator.file, &step.to)));
    let root = Path::of("channels");
    for plan in channels.values() {
        let costly = plan.platform.on_ambiguous == OnAmbiguous::Never;
        if !costly || plan.disabled || !named.contains(&*plan.name) {
            continue;
        }
        // What leaves one by one before the rest is merged.
        let alone = plan.digest.map_or(GROUPS, |after| (plan.rate() * after.as_secs_f64()).min(GROUPS));
        if alone <= BEARABLE as f64 {
            continue;
        }
        let (n, people) = (alone.round(), plan.recipients.len().max(1));
        let message = format!("a storm of {GROUPS} groups would be {n} messages through `{}` to each of {people}", plan.name);
        let label = match plan.digest {
            Some(after) => format!("`rate_limit: {{ per_minute: 6 }}` bounds it: what cannot leave within {} is merged", format_duration(after)),
            None => "remove `digest: off` and add `rate_limit: { per_minute: 6 }`: what cannot leave soon is merged".to_owned(),
        };
        validator.report.add(Finding::warning(codes::STORM, message).label(label), &root.key(&plan.name), Anchor::Key);
    }
}

fn collect<'f>(file: &'f RoutesFile, route: &'f RouteNode, named: &mut BTreeSet<&'f str>) {
    named.extend(route.to.iter().flat_map(|to| destinations(file, to)));
    route.routes.iter().for_each(|route| collect(file, route, named));
}
