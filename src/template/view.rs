//! What templates see.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::{Alert, Event, Language, Severity, SeverityScale};

/// How a message came together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// One delivery.
    Single,
    /// Several deliveries of one lane: per alert the latest status.
    Fold,
    /// Deliveries of several lanes, because they could not leave one by one.
    Digest,
}

/// An alert's status in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryStatus {
    /// It fires.
    Firing,
    /// It fired and was resolved while it waited here.
    CameAndWent,
    /// It is over.
    Resolved,
}

/// One alert of a message, shown in detail.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The alert, as last heard of.
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
    /// How many alerts this line stands for.
    pub count: usize,
    /// Since when.
    pub since: Option<Timestamp>,
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
    /// Firing alerts in the whole message.
    pub firing: usize,
    /// Resolved alerts in the whole message (came and went included).
    pub resolved: usize,
    /// Alerts that no page of the message shows, only counts.
    pub more: usize,
    /// Alerts the sender itself left out (`truncatedAlerts`).
    pub truncated: u64,
    /// This page's number, from 1.
    pub page: usize,
    /// How many pages.
    pub pages: usize,
    /// The most severe severity among the firing (else all) alerts of the message.
    pub severity: Severity,
    /// The sender's receiver.
    pub receiver: &'a str,
    /// The first event of the message: group labels, common labels and annotations, links.
    pub event: &'a Event,
    /// Link to the whole list; empty when there is none.
    pub details_url: &'a str,
    /// Notes the house adds: a template failed and the built-in one was used, values were shortened, the message waited long.
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

/// The context handed to Handlebars; built once per page, shared by all its fields.
pub struct View {
    /// The data.
    pub(crate) context: handlebars::Context,
}
