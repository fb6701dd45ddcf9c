//! Channels whose vendor calls back: to say what became of a message, or who pressed a button; and whether it can.

use super::{Channels, Validator};
use crate::channel::PressWay;
use crate::channel::kit::is_reachable_from_outside;
use crate::config::codes;
use crate::config::source::Anchor;
use crate::model::Finding;
use crate::model::yaml::Path;

/// Reports channels whose vendor has nowhere to call back, although it can be asked for nothing.
pub fn callbacks(validator: &mut Validator<'_, '_>, channels: &Channels, external_url: &str) {
    presses(validator, channels, external_url);
    if is_reachable_from_outside(external_url) {
        return;
    }
    let why = match external_url {
        "" => "`server.external_url` is not set".to_owned(),
        url => format!("`server.external_url` is `{url}`, which it cannot reach"),
    };
    let root = Path::of("channels");
    for plan in channels.values() {
        if !plan.platform.word.only_calls_back() || plan.disabled {
            continue;
        }
        let message = format!("`{}` never learns whether a call was answered: its vendor only calls back, and {why}", plan.name);
        let effect = if plan.fallback.is_empty() { "every call stays `sent`" } else { "a call that nobody answers does not start its `fallback`" };
        let label = format!("{effect}; set `server.external_url: https://…`, and enter the channel's `callback` address in the vendor's console");
        let finding = Finding::warning(codes::NO_CALLBACK, message).label(label).note("`GET /api/v1/channels` shows each channel's `callback`");
        validator.report.add(finding, &root.key(&plan.name), Anchor::Key);
    }
}

/// Reports channels whose buttons would reach nobody: their platform calls an https address.
fn presses(validator: &mut Validator<'_, '_>, channels: &Channels, external_url: &str) {
    if external_url.starts_with("https://") && is_reachable_from_outside(external_url) {
        return;
    }
    let why = match external_url {
        "" => "`server.external_url` is not set".to_owned(),
        url => format!("`server.external_url` is `{url}`"),
    };
    let root = Path::of("channels");
    for plan in channels.values() {
        if !matches!(plan.driver.press_way(), Some(PressWay::Callback)) {
            continue;
        }
        let message = format!("no press of a button of `{}` would arrive: its platform calls an https address, and {why}", plan.name);
        let label = "set `server.external_url: https://…` to an address that the platform reaches, or let the channel listen by itself";
        validator.report.error(codes::BAD_CHANNEL, &root.key(&plan.name), Anchor::Key, message, label);
    }
}
