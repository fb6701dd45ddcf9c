//! Functions that print markup in the field's dialect.

use crate::model::Escape;

use super::super::escape;
use super::Arguments;

/// `link url [label]`: without a label the URL is its own; what is no http(s) URL is shown as text, never made a link.
pub(super) fn link(dialect: Escape, arguments: &Arguments<'_, '_>) -> String {
    let (target, label) = (arguments.text(0), arguments.text(1));
    match escape::clean_url(&target) {
        Some(url) if label.trim().is_empty() && dialect == Escape::None => url,
        Some(url) if label.trim().is_empty() => escape::link(dialect, &url, &url),
        Some(url) => escape::link(dialect, label.trim(), &url),
        None if target.trim().is_empty() || label.trim().is_empty() => escape::escape(dialect, if label.is_empty() { &target } else { &label }),
        None => escape::escape(dialect, &format!("{}: {}", label.trim(), target.trim())),
    }
}

pub(super) fn bold(dialect: Escape, arguments: &Arguments<'_, '_>) -> String {
    escape::bold(dialect, &arguments.text(0))
}

pub(super) fn quote(dialect: Escape, arguments: &Arguments<'_, '_>) -> String {
    escape::quote(dialect, &arguments.text(0))
}
