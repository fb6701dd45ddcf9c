//! Disabled channels in a place where somebody must be reached.

use super::Validator;
use crate::config::codes;
use crate::config::file::{OneOrMany, RouteTo};
use crate::config::source::Anchor;
use crate::model::Finding;
use crate::model::yaml::Path;

/// Warns of disabled channels that are fallbacks, or that a step of an escalation, a heartbeat or Watchfire's own alarms go to. A route may lead to one on
/// purpose.
pub fn disabled(validator: &mut Validator<'_, '_>) {
    let file = validator.file;
    let is_disabled = |name: &String| file.channels.get(name).is_some_and(|channel| channel.disabled);
    let mut places: Vec<Path> = Vec::new();
    for (name, channel) in file.channels.iter().filter(|(_, channel)| !channel.disabled) {
        let path = Path::of("channels").key(name).key("fallback");
        places.extend((0..channel.fallback.len()).filter(|ix| is_disabled(&channel.fallback[*ix])).map(|ix| path.item(ix)));
    }
    for (name, steps) in &file.escalations {
        for (ix, step) in steps.iter().enumerate() {
            let to = Path::of("escalations").key(name).item(ix).key("to");
            let (to, single) = match &step.to {
                RouteTo::One(_) => (to, true),
                RouteTo::Many(_) => (to, false),
                RouteTo::ByLabel(by) => (to.key("default"), matches!(by.default, OneOrMany::One(_))),
            };
            let channels = step.to.default_channels().iter().enumerate().filter(|(_, channel)| is_disabled(channel));
            places.extend(channels.map(|(ix, _)| if single { to.clone() } else { to.item(ix) }));
        }
    }
    let named = file.heartbeats.iter().enumerate().map(|(ix, heartbeat)| (Path::of("heartbeats").item(ix), &heartbeat.to));
    let own = file.self_monitoring.to.iter().map(|to| (Path::of("self_monitoring"), to));
    for (path, to) in named.chain(own) {
        let at = |ix: usize| if matches!(to, OneOrMany::One(_)) { path.key("to") } else { path.key("to").item(ix) };
        places.extend((0..to.list().len()).filter(|ix| is_disabled(&to.list()[*ix])).map(at));
    }
    for path in places {
        let finding = Finding::warning(codes::DOUBTFUL_CHANNEL, format!("`{path}` is a disabled channel: nobody is reached by it"))
            .label("name another one, or remove `disabled: true` from it");
        validator.report.add(finding, &path, Anchor::Value);
    }
}
