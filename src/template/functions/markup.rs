//! Functions that print markup in the field's dialect.

use crate::model::Escape;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::view::Times;
use super::super::{escape, words};
use super::Arguments;

/// `link url [label]`: without a label the URL is its own; what is no http(s) URL is shown as text, never made a link.
pub(super) fn link(dialect: Escape, arguments: &Arguments<'_, '_>) -> String {
    let (target, label) = (arguments.text(0), arguments.text(1));
    match escape::clean_url(&target) {
        Some(url) if label.trim().is_empty() && dialect == Escape::None => url,
        Some(url) if label.trim().is_empty() => escape::link(dialect, &url, &url),
        Some(url) if dialect == Escape::None => {
            let colon = words::own(words::language(arguments.root("language")), "colon");
            format!("{}{colon}{url}", escape::escape(dialect, label.trim()))
        }
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

pub(super) fn code(dialect: Escape, arguments: &Arguments<'_, '_>) -> String {
    escape::code(dialect, &arguments.text(0))
}

pub(super) fn prose(dialect: Escape, arguments: &Arguments<'_, '_>) -> String {
    escape::prose(dialect, &arguments.text(0))
}

pub(super) fn dim(dialect: Escape, arguments: &Arguments<'_, '_>) -> String {
    escape::dim(dialect, &arguments.text(0))
}

/// `clock time "word" n=...`: the word with the time as the client shows it. An empty text where there is no time.
pub(super) fn clock(dialect: Escape, arguments: &Arguments<'_, '_>) -> String {
    let (Ok(at), Ok(now)) = (arguments.text(0).parse::<Timestamp>(), arguments.root("now").parse::<Timestamp>()) else { return String::new() };
    let language = words::language(arguments.root("language"));
    let zone = TimeZone::get(arguments.root("time_zone")).unwrap_or(TimeZone::UTC);
    let today = at.to_zoned_datetime(zone.clone()).date() == now.to_zoned_datetime(zone.clone()).date();
    let shown = Times::new(now, &zone, language).short(at);
    let duration = || escape::escape(dialect, &arguments.named("n").unwrap_or_default());
    let second = at.as_second();
    let (at, n) = match dialect {
        // <https://docs.slack.dev/messaging/formatting-message-text#date-formatting>
        Escape::SlackMrkdwn => {
            let form = if today { "{time}" } else { "{date_short_pretty} {time}" };
            (format!("<!date^{second}^{form}|{shown}>"), duration())
        }
        // <https://docs.discord.com/developers/reference#message-formatting-timestamp-styles>; the client keeps the relative one up to date.
        Escape::DiscordMarkdown => (format!("<t:{second}:{}>", if today { 't' } else { 'f' }), format!("<t:{second}:R>")),
        // <https://learn.microsoft.com/en-us/adaptive-cards/authoring-cards/text-features>: whole seconds, in UTC.
        Escape::TeamsMarkdown => {
            let utc = Timestamp::from_second(second).unwrap_or(at);
            let day = if today { String::new() } else { format!("{{{{DATE({utc},SHORT)}}}} ") };
            (format!("{day}{{{{TIME({utc})}}}}"), duration())
        }
        _ => (escape::escape(dialect, &shown), duration()),
    };
    words::word(language, &arguments.text(1)).map(|word| words::fill(word, &[("at", &at), ("n", &n)])).unwrap_or_default()
}
