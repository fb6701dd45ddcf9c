//! What templates see: delivery's input, and the context that is built from it once per page.
//!
//! Every field is listed with its meaning in [`crate::template::reference()`]; [`View::new`] fills all that its templates read, so that a
//! template can test a field without fear: absent texts are empty, absent lists are empty, absent numbers are 0. Only the maps (`labels`,
//! `annotations`, `values`, ...) hold what the sender sent; a name that is not in them reads as empty, as in Alertmanager.
//! Knows alerts and words, not dialects: nothing here is escaped.

mod actions;
mod alert;
mod build;
mod describe;
mod group;
mod headline;
mod incident;
mod labels;
mod links;
mod own;
mod place;
mod prose;
mod times;
mod value;

use std::cell::OnceCell;
use std::ops::{Deref, Range};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::group::Group;
use self::headline::{headline_of, subject_of};
use self::links::Addresses;
use super::FieldUsage;
pub use super::status::EntryStatus;
pub use crate::model::MessageKind;
use crate::model::{Alert, Event, Language, Severity, SeverityScale, Shown};

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
    /// The severity that it claims; one that claims none ranks as [`Severity::default`].
    pub severity: Option<Severity>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Firing alerts.
    pub firing: usize,
    /// Of the firing alerts, those that claim a severity, by its rank.
    pub claimed: [usize; 4],
    /// Resolved alerts (came and went included).
    pub resolved: usize,
    /// Alerts that are not reported any more.
    pub unreported: usize,
    /// Alerts that no page of the message shows, only counts.
    pub more: usize,
    /// Alerts the sender itself left out (`truncatedAlerts`).
    pub truncated: u64,
    /// Whether those may fire, though no alert that is listed does.
    pub goes_on: bool,
    /// The most severe severity among the firing (else all) alerts.
    pub severity: Severity,
    /// How many pages.
    pub pages: usize,
}

impl Totals {
    /// Counts the alerts of a message about one group, on one page.
    pub fn of(entries: &[Entry<'_>], scale: &SeverityScale) -> Self {
        let mut totals = Self { pages: 1, ..Self::default() };
        for entry in entries {
            totals.count(entry.status, scale.known(entry.alert), 1);
        }
        let fires = |entry: &&Entry<'_>| totals.firing == 0 || entry.status == EntryStatus::Firing;
        totals.severity = entries.iter().filter(fires).map(|entry| scale.of(entry.alert)).min().unwrap_or_default();
        totals
    }

    /// Counts alerts of one status and of the severity that they claim.
    pub fn count(&mut self, status: EntryStatus, severity: Option<Severity>, alerts: usize) {
        match (status, severity) {
            (EntryStatus::Firing, Some(severity)) => {
                self.firing += alerts;
                self.claimed[severity as usize] += alerts;
            }
            (EntryStatus::Firing, None) => self.firing += alerts,
            (EntryStatus::Unreported, _) => self.unreported += alerts,
            (EntryStatus::CameAndWent | EntryStatus::Resolved, _) => self.resolved += alerts,
        }
    }
}

/// When and where a page is read.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    /// The time: for "since 12m".
    pub at: Timestamp,
    /// The zone that times are shown in.
    pub zone: &'a TimeZone,
}

/// Everything a page is rendered from.
#[derive(Debug, Clone)]
pub struct ViewInput<'a> {
    /// How the message came together.
    pub kind: MessageKind,
    /// Alerts of the whole message, as far as they are at hand: firing first, most severe first. Of a digest those that it shows in detail.
    pub all: &'a [Entry<'a>],
    /// Those of them that this page shows.
    pub range: Range<usize>,
    /// Alerts named in one line each on this page (digests).
    pub briefs: &'a [Brief],
    /// What the whole message holds.
    pub totals: Totals,
    /// This page's number, from 1.
    pub page: usize,
    /// The first event of the message: group labels, common labels and annotations, links.
    pub event: &'a Event,
    /// Link to the whole list; empty when there is none.
    pub details_url: &'a str,
    /// Notes that Watchfire adds: a template failed and the built-in one was used, values were shortened, the message waited long.
    pub notes: &'a [String],
    /// The incident that it is about.
    pub incident: Option<&'a IncidentView>,
    /// The words' language.
    pub language: Language,
    /// When and where it is read.
    pub now: Now<'a>,
    /// How labels become severities.
    pub scale: &'a SeverityScale,
    /// Which labels and annotations are listed.
    pub shown: &'a Shown,
    /// Values longer than this many characters are shortened with `…`; `usize::MAX` normally.
    pub max_value: usize,
}

impl<'a> ViewInput<'a> {
    /// A message of one page about these alerts, with nothing beside them.
    pub fn of(all: &'a [Entry<'a>], event: &'a Event, language: Language, now: Now<'a>, scale: &'a SeverityScale, shown: &'a Shown) -> Self {
        Self {
            kind: MessageKind::Single,
            all,
            range: 0..all.len(),
            briefs: &[],
            totals: Totals::of(all, scale),
            page: 1,
            event,
            details_url: "",
            notes: &[],
            incident: None,
            language,
            now,
            scale,
            shown,
            max_value: usize::MAX,
        }
    }

    /// Alerts in detail on this page.
    pub fn entries(&self) -> &'a [Entry<'a>] {
        self.all.get(self.range.clone()).unwrap_or_default()
    }

    /// Alerts in the whole message.
    pub fn total(&self) -> usize {
        self.totals.firing + self.totals.unreported + self.totals.resolved
    }

    /// When the first of what fires began; `None` when nothing fires or none says when.
    pub fn began(&self) -> Option<Timestamp> {
        self.all.iter().filter(|entry| entry.status == EntryStatus::Firing).filter_map(|entry| entry.alert.starts_at).min()
    }

    /// Whether it is about something that fires, or may.
    pub fn fires(&self) -> bool {
        self.totals.firing > 0 || self.totals.goes_on
    }

    /// What it says of all its alerts together: that something fires, that nobody knows of some of them, or that they are over.
    pub fn status(&self) -> EntryStatus {
        match self.totals.unreported {
            _ if self.fires() => EntryStatus::Firing,
            0 => EntryStatus::Resolved,
            _ => EntryStatus::Unreported,
        }
    }

    /// Whether it is about one alert. A digest names its only alert below its headline, which does not.
    pub fn is_single(&self) -> bool {
        self.total() == 1 && self.kind != MessageKind::Digest
    }

    /// Whether it is about several alerts of one group.
    pub fn is_group(&self) -> bool {
        self.total() > 1 && self.kind != MessageKind::Digest
    }
}

/// The context handed to Handlebars; built once per page, shared by all its fields.
pub struct View {
    /// The data.
    pub(crate) context: handlebars::Context,
}

impl View {
    /// Builds what templates with this usage can see of one page.
    pub fn new(scene: &Scene<'_>, usage: &FieldUsage) -> Self {
        Self { context: handlebars::Context::from(build::root(scene, usage)) }
    }
}

/// A page's input; what several fields, templates or facts are made of is read when it is first asked for, and once.
pub struct Scene<'a> {
    input: ViewInput<'a>,
    described: Vec<OnceCell<Described<'a>>>,
    addresses: Vec<Addresses<'a>>,
    group: OnceCell<Option<Group>>,
    subject: OnceCell<String>,
    headline: OnceCell<String>,
    times: Times<'a>,
}

impl<'a> Scene<'a> {
    /// Nothing is read yet.
    pub fn new(input: ViewInput<'a>) -> Self {
        let cells = input.all.len();
        Self {
            described: vec![OnceCell::new(); cells],
            addresses: input.all.iter().map(|entry| Addresses::of(entry, input.max_value)).collect(),
            group: OnceCell::new(),
            subject: OnceCell::new(),
            headline: OnceCell::new(),
            times: Times::new(input.now.at, input.now.zone, input.language),
            input,
        }
    }

    /// What names an alert, by its place in `all`.
    pub fn described(&self, place: usize) -> &Described<'a> {
        self.described[place].get_or_init(|| describe(self.input.all[place].alert, self.input.language))
    }

    /// The links of an alert, by its place in `all`.
    pub fn addresses(&self, place: usize) -> &Addresses<'a> {
        &self.addresses[place]
    }

    /// What the alerts share; `None` for one alert, and for a digest.
    pub fn group(&self) -> Option<&Group> {
        self.group.get_or_init(|| Group::of(self)).as_ref()
    }

    /// What the message is about, without status and severity.
    pub fn subject(&self) -> &str {
        self.subject.get_or_init(|| subject_of(self))
    }

    /// The line that is seen first.
    pub fn headline(&self) -> &str {
        self.headline.get_or_init(|| headline_of(self))
    }

    /// How its times read.
    pub fn times(&self) -> &Times<'a> {
        &self.times
    }

    /// The places in `all` of the alerts in detail on this page.
    pub fn places(&self) -> Range<usize> {
        let all = self.input.all.len();
        // As `entries`: a range that reaches beyond the alerts shows none.
        if self.input.range.end <= all && self.input.range.start <= self.input.range.end { self.input.range.clone() } else { 0..0 }
    }
}

impl<'a> Deref for Scene<'a> {
    type Target = ViewInput<'a>;

    fn deref(&self) -> &ViewInput<'a> {
        &self.input
    }
}

impl std::fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.input.fmt(f)
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("headline", &self.context.data()["headline"]).finish_non_exhaustive()
    }
}

pub(super) use actions::{image_of, message_links};
pub(super) use describe::{Described, describe};
pub use group::{GAP, lines};
pub(super) use group::{rest, sentence};
pub(super) use headline::{capital, claims_severity, counts, counts_now, mail_subject, message_severity, preview, severity_word, state, topic};
pub(super) use incident::incident_line;
pub use incident::{AnswerView, IncidentView, MuteView, SilenceView, SilenceViewState};
pub(super) use labels::{annotations, labels};
pub(super) use own::{has_own_text, own_message, repeats};
pub(super) use prose::{reflow, sentence as full_stop};
pub use times::humanize_in;
pub(super) use times::{Times, format_at};

/// The sign of a severity or status, seen first: a coloured disc while it fires, a tick when it is over, a white disc when nobody knows.
pub(super) fn emoji(severity: Severity, status: EntryStatus) -> &'static str {
    match (status, severity) {
        (EntryStatus::CameAndWent | EntryStatus::Resolved, _) => "✅",
        (EntryStatus::Unreported, _) => "⚪",
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
        (EntryStatus::Unreported, _) => "#8a929c",
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
            // A separator with nothing behind it is a stump.
            format!("{}…", text[..end].trim_end_matches(|c: char| c.is_whitespace() || c == '·')).into()
        }
    }
}
