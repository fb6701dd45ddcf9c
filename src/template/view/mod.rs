//! What templates see: delivery's input, and the context that is built from it once per page.
//!
//! Every field is listed with its meaning in [`crate::template::reference()`]; [`View::new`] fills all that its templates read, so that a
//! template can test a field without fear: absent texts are empty, absent lists are empty, absent numbers are 0. Only the maps (`labels`,
//! `annotations`, `values`, ...) hold what the sender sent; a name that is not in them reads as empty, as in Alertmanager.
//! Knows alerts and words, not dialects: nothing here is escaped.

mod alert;
mod build;
mod describe;
mod headline;
mod links;
mod times;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::FieldUsage;
pub use super::status::EntryStatus;
pub use crate::model::MessageKind;
use crate::model::{Alert, Event, Language, Severity, SeverityScale};

/// One alert of a message, shown in detail.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The alert, as last received.
    pub alert: &'a Alert,
    /// The event it came in.
    pub event: &'a Event,
    /// Its status in this message.
    pub status: EntryStatus,
}

/// One alert (or delivery) of a digest that is named in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// Its severity.
    pub severity: Severity,
    /// Its status.
    pub status: EntryStatus,
    /// What names it: alert name and where.
    pub title: String,
    /// How many alerts this line counts.
    pub count: usize,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// What a whole message holds, whatever one page of it shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Firing alerts.
    pub firing: usize,
    /// Resolved alerts (came and went included).
    pub resolved: usize,
    /// Alerts that no page of the message shows, only counts.
    pub more: usize,
    /// Alerts the sender itself left out (`truncatedAlerts`).
    pub truncated: u64,
    /// Whether those may fire, though no alert that is listed does.
    pub goes_on: bool,
    /// The most severe severity among the firing (else all) alerts.
    pub severity: Severity,
}

/// Everything a page is rendered from.
#[derive(Debug, Clone)]
pub struct ViewInput<'a> {
    /// How the message came together.
    pub kind: MessageKind,
    /// Alerts in detail on this page: firing first, most severe first.
    pub entries: &'a [Entry<'a>],
    /// Alerts named in one line each on this page (digests).
    pub briefs: &'a [Brief],
    /// What the whole message holds.
    pub totals: Totals,
    /// This page's number, from 1.
    pub page: usize,
    /// How many pages.
    pub pages: usize,
    /// The sender's receiver.
    pub receiver: &'a str,
    /// The first event of the message: group labels, common labels and annotations, links.
    pub event: &'a Event,
    /// Link to the whole list; empty when there is none.
    pub details_url: &'a str,
    /// Notes that Watchfire adds: a template failed and the built-in one was used, values were shortened, the message waited long.
    pub notes: &'a [String],
    /// The words' language.
    pub language: Language,
    /// The zone times are shown in.
    pub time_zone: &'a TimeZone,
    /// Now: for "since 12m".
    pub now: Timestamp,
    /// How labels become severities.
    pub scale: &'a SeverityScale,
    /// Values longer than this many characters are shortened with `…`; `usize::MAX` normally.
    pub max_value: usize,
}

impl ViewInput<'_> {
    /// Whether it is about something that fires, or may.
    pub fn fires(&self) -> bool {
        self.totals.firing > 0 || self.totals.goes_on
    }
}

/// The context handed to Handlebars; built once per page, shared by all its fields.
pub struct View {
    /// The data.
    pub(crate) context: handlebars::Context,
}

impl View {
    /// Builds what templates with this usage can see of one page.
    pub fn new(input: &ViewInput<'_>, usage: &FieldUsage) -> Self {
        Self { context: handlebars::Context::from(build::root(input, usage)) }
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("headline", &self.context.data()["headline"]).finish_non_exhaustive()
    }
}

pub(super) use describe::describe;
pub(super) use headline::{counts, headline, own_message, repeats};
pub(super) use links::{entry_lines, entry_links, shared_links};
pub(super) use times::{Times, format_at, humanize_in};

/// The sign of a severity or status, seen first: a coloured disc while it fires, a tick when it is over.
pub(super) fn emoji(severity: Severity, status: EntryStatus) -> &'static str {
    match (status, severity) {
        (EntryStatus::CameAndWent | EntryStatus::Resolved, _) => "✅",
        (_, Severity::Critical) => "🔴",
        (_, Severity::Error) => "🟠",
        (_, Severity::Warning) => "🟡",
        (_, Severity::Info) => "🔵",
    }
}

/// The colour of a severity or status, as `#RRGGBB`.
pub(super) fn color(severity: Severity, status: EntryStatus) -> &'static str {
    match (status, severity) {
        (EntryStatus::CameAndWent | EntryStatus::Resolved, _) => "#1f9d55",
        (_, Severity::Critical) => "#d92d20",
        (_, Severity::Error) => "#e8590c",
        (_, Severity::Warning) => "#e0a100",
        (_, Severity::Info) => "#2f7dd1",
    }
}

/// Shortens a value to at most `max` characters, the last of them `…`.
pub(super) fn shorten(text: &str, max: usize) -> std::borrow::Cow<'_, str> {
    // A character takes at least a byte: the common case needs no counting.
    if text.len() <= max {
        return text.into();
    }
    match text.char_indices().nth(max) {
        None => text.into(),
        Some(_) => {
            let end = text.char_indices().nth(max.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
            format!("{}…", text[..end].trim_end()).into()
        }
    }
}
