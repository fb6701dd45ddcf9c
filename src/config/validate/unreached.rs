//! Channels that nothing leads to.

use std::collections::BTreeSet;

use super::Validator;
use crate::config::codes;
use crate::config::schema_check::Variable;
use crate::config::source::Anchor;
use crate::model::yaml::{Kind, Node, Path};
use crate::model::{Finding, Level};

/// Warns of channels that no text of the file names outside of the tests of the routing and the channels themselves, their fallbacks apart.
pub fn unreached(validator: &mut Validator<'_, '_>, variables: &[Variable]) {
    // A name that is mistyped somewhere is reported there.
    if validator.report.findings.iter().any(|finding| finding.level == Level::Error) {
        return;
    }
    let source = validator.report.source;
    let Some(root) = &source.root else { return };
    let mut named: BTreeSet<&str> = variables.iter().map(|variable| variable.value.as_str()).collect();
    for entry in root.entries() {
        match entry.key.as_str() {
            "tests" => {}
            "channels" => entry.value.entries().iter().filter_map(|channel| channel.value.get("fallback")).for_each(|list| texts(list, &mut named)),
            key if key.starts_with("x-") => {}
            _ => texts(&entry.value, &mut named),
        }
    }
    let file = validator.file;
    // Replaced tools find a channel by the token of its robot.
    if !file.legacy.prometheusalert.is_empty() || !file.legacy.webhook_send.is_empty() {
        return;
    }
    // Who writes `disabled: false` means it.
    let written = |name: &str| root.get("channels").and_then(|all| all.get(name)).and_then(|channel| channel.get("disabled")).is_some();
    for name in file.channels.keys() {
        if named.contains(name.as_str()) || written(name) {
            continue;
        }
        let finding = Finding::warning(codes::UNREACHED_CHANNEL, format!("nothing leads to the channel `{name}`"))
            .label("name it in `to` of a route, or remove it; where only `?to=` or the API's send names it, `disabled: false` on it says so");
        validator.report.add(finding, &Path::of("channels").key(name), Anchor::Key);
    }
}

fn texts<'n>(node: &'n Node, named: &mut BTreeSet<&'n str>) {
    match &node.kind {
        Kind::Scalar(scalar) => {
            named.insert(&scalar.text);
        }
        Kind::List(items) => items.iter().for_each(|item| texts(item, named)),
        Kind::Map(entries) => entries.iter().for_each(|entry| texts(&entry.value, named)),
    }
}
