//! One destination that was configured twice, and a `to` that names both.

use std::collections::BTreeSet;

use super::{Channels, Validator};
use crate::config::codes;
use crate::config::file::{OneOrMany, RouteNode, RoutesFile};
use crate::config::source::Anchor;
use crate::delivery::ChannelPlan;
use crate::model::Finding;
use crate::model::yaml::Path;

/// Reports channels that send what another of the same `to` sends, to the same place. The terminal, where routes are tried, is none.
pub fn twins(validator: &mut Validator<'_, '_>, channels: &Channels) {
    let file = validator.file;
    let mut lists: Vec<&[String]> = Vec::new();
    file.route.iter().for_each(|route| collect(route, &mut lists));
    lists.extend(file.escalations.values().flatten().map(|step| step.to.default_channels()));
    lists.extend(file.teams.values().flat_map(|team| &team.to).map(OneOrMany::list));
    let mut reported = BTreeSet::new();
    for list in lists {
        let plans: Vec<&ChannelPlan> = list.iter().filter_map(|name| channels.get(name)).map(|plan| &**plan).filter(|plan| sends(plan)).collect();
        for (at, plan) in plans.iter().enumerate() {
            let Some(first) = plans[..at].iter().find(|other| are_twins(file, other, plan)) else { continue };
            if !reported.insert(plan.name.clone()) {
                continue;
            }
            let message = format!("`{}` sends the same messages to the same place as `{}`, and one `to` names both", plan.name, first.name);
            let finding =
                Finding::warning(codes::TWIN_CHANNELS, message).label("every alert arrives there twice; remove one of the two from the `to`");
            validator.report.add(finding, &Path::of("channels").key(&plan.name), Anchor::Key);
        }
    }
}

fn sends(plan: &ChannelPlan) -> bool {
    !plan.disabled && plan.platform.name != "log"
}

/// Whether nothing distinguishes what two channels send, nor where: one credential, and settings that read the same.
fn are_twins(file: &RoutesFile, a: &ChannelPlan, b: &ChannelPlan) -> bool {
    let settings = |plan: &ChannelPlan| file.channels.get(&*plan.name).map(|config| format!("{:?}", config.blocks().first().map(|(_, block)| block)));
    let content = |plan: &ChannelPlan| (plan.content.language, plan.content.plain, plan.content.template.clone());
    a.name != b.name && a.outlet == b.outlet && content(a) == content(b) && settings(a) == settings(b)
}

fn collect<'f>(route: &'f RouteNode, lists: &mut Vec<&'f [String]>) {
    lists.extend(route.to.iter().map(|to| to.default_channels()));
    route.routes.iter().for_each(|route| collect(route, lists));
}
