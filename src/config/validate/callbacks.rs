//! Channels whose vendor calls back: to say what became of a message, or who pressed a button; and whether it can.

use super::{Channels, Validator};
use crate::channel::PressWay;
use crate::channel::kit::is_reachable_from_outside;
use crate::channel::registry::Who;
use crate::config::codes;
use crate::config::source::Anchor;
use crate::delivery::links::is_personal;
use crate::model::Finding;
use crate::model::yaml::Path;

/// Reports channels whose vendor has nowhere to call back, although it can be asked for nothing.
pub fn callbacks(validator: &mut Validator<'_, '_>, channels: &Channels, external_url: &str) {
    presses(validator, channels, external_url);
    acks(validator, channels, external_url);
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

/// Reports channels by whose messages nobody can ack, because only people of `people:` may.
fn acks(validator: &mut Validator<'_, '_>, channels: &Channels, external_url: &str) {
    // Without secrets it is not known which channels have buttons.
    if !validator.secrets.real() {
        return;
    }
    let root = Path::of("channels");
    for plan in channels.values().filter(|plan| plan.content.actions.ack == Who::Known && !plan.disabled && !plan.driver.keeps_incidents()) {
        let by_link = matches!(plan.driver.press_way(), None | Some(PressWay::Phone));
        let why = if by_link {
            if external_url.is_empty() || is_personal(plan.platform.name) {
                continue;
            }
            "the link in a message to a room proves nobody".to_owned()
        } else {
            if validator.people.people.has_ids_of(plan.platform) {
                continue;
            }
            format!("nobody in `people:` has an id of {}", plan.platform.brand())
        };
        let message = format!("nobody can ack by the messages of `{}`: `actions.ack` is `known`, and {why}", plan.name);
        let label =
            if by_link { "write `ack: anyone`, or use a channel whose buttons say who presses" } else { "write their ids there, or `ack: anyone`" };
        let finding = Finding::warning(codes::DOUBTFUL_CHANNEL, message).label(label);
        validator.report.add(finding, &root.key(&plan.name), Anchor::Key);
    }
}
