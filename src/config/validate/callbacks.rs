//! Channels whose vendor says only by a callback what became of a message, and whether it can call back.

use super::{Channels, Validator};
use crate::channel::kit::is_reachable_from_outside;
use crate::config::codes;
use crate::config::source::Anchor;
use crate::model::Finding;
use crate::model::yaml::Path;

/// Reports channels whose vendor has nowhere to call back, although it can be asked for nothing.
pub fn callbacks(validator: &mut Validator<'_, '_>, channels: &Channels, external_url: &str) {
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
