//! Which dead letters are meant: by text, channel and time, and of these by reason and by whether another channel delivered the same.

use std::collections::HashSet;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::failure::Failure;
use super::super::form::Fields;
use super::super::incident::by_number;
use super::super::parts::cut;
use super::super::viewer::Viewer;
use crate::http::App;
use crate::http::search::Span;
use crate::model::{DeliveryId, IncidentId, UnixMs, hash_hex};
use crate::store::{DeliveryFilter, DeliveryRow, State as DeliveryState, replayed_as};

/// Dead letters that are read, the newest.
pub(super) const MAX_READ: usize = 5000;
/// Characters of a reason by which letters are grouped.
pub(super) const REASON: usize = 200;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Their titles or reasons hold it; empty: any.
    pub(super) text: String,
    /// Empty: any.
    pub(super) channel: String,
    pub(super) span: Span,
    /// The beginning of their reason; `None`: any.
    pub(super) reason: Option<String>,
    /// Whether another channel delivered the same; `None`: either.
    pub(super) elsewhere: Option<bool>,
}

impl Chosen {
    /// Of an address; a name that it does not know is refused.
    pub(super) fn of_address(viewer: &Viewer, query: &str, known: &[&str]) -> Result<Self, Failure> {
        let fields = Fields::read(query);
        if let Some(name) = fields.names().find(|name| !known.contains(name)) {
            let name: String = name.chars().take(60).collect();
            return Err(Failure::bad(format!("`{name}` does not narrow this list; it takes: {}", known.join(", "))));
        }
        Self::of(viewer, &fields)
    }

    /// Of the fields of a form.
    pub(super) fn of(viewer: &Viewer, fields: &Fields) -> Result<Self, Failure> {
        let channel = fields.get("channel").to_owned();
        if !channel.is_empty() && !viewer.caller.may_use(&channel) {
            return Err(Failure::missing("there are no dead letters of this channel"));
        }
        let elsewhere = match fields.get("elsewhere") {
            "" => None,
            text => Some(text.parse().map_err(|_| Failure::bad("`elsewhere` is true or false"))?),
        };
        let reason = fields.has("reason").then(|| in_a_line(fields.get("reason")));
        Ok(Self { text: fields.get("q").to_owned(), channel, span: Span::read(&viewer.manner, fields)?, reason, elsewhere })
    }

    /// Fields that ask for the same, whenever they are read.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let set = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let at = |time: Option<UnixMs>| time.map(|time| time.0.to_string());
        let all = [
            ("channel", set(&self.channel)),
            ("reason", self.reason.clone()),
            ("elsewhere", self.elsewhere.map(|elsewhere| elsewhere.to_string())),
            ("q", set(&self.text)),
            ("since", at(self.span.since)),
            ("until", at(self.span.until)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The same as a query.
    pub(super) fn query(&self) -> String {
        let pairs: Vec<String> =
            self.pairs().iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))).collect();
        pairs.join("&")
    }

    /// The letters as they are now; with a time those that had died by then.
    pub(super) async fn letters(&self, app: &App, viewer: &Viewer, died_by: Option<UnixMs>) -> Result<Letters, Failure> {
        let channels = if self.channel.is_empty() { viewer.caller.channels.clone() } else { vec![self.channel.clone()] };
        let filter = DeliveryFilter {
            channels,
            states: vec![DeliveryState::Dead],
            text: Some(self.text.clone()).filter(|text| !text.is_empty()),
            before: self.span.until.map(|at| DeliveryId(at.first_id())),
            after: self.span.since.map(|at| DeliveryId(at.first_id())),
            // Those that died since take no place of those that are meant.
            limit: if died_by.is_some() { 2 * MAX_READ } else { MAX_READ + 1 },
            ..DeliveryFilter::default()
        };
        let mut rows = app.engine.query().list_deliveries(&filter).await?;
        if let Some(by) = died_by {
            rows.retain(|row| row.done_at.is_some_and(|died| died <= by));
        }
        let more = rows.len() > MAX_READ;
        rows.truncate(MAX_READ);
        // Somebody took care of what was replayed: its new delivery says what became of it.
        rows.retain(|row| row.reason.as_deref().is_none_or(|reason| replayed_as(reason).is_none()));
        if let Some(reason) = &self.reason {
            rows.retain(|row| reason_of(row) == *reason);
        }
        let ids: Vec<DeliveryId> = rows.iter().map(|row| row.id).collect();
        let saved = app.engine.query().delivered_elsewhere(&ids).await?;
        if let Some(elsewhere) = self.elsewhere {
            rows.retain(|row| saved.contains(&row.id) == elsewhere);
        }
        Ok(Letters { rows, saved, more })
    }
}

/// The letters that are meant, the newest first.
pub(super) struct Letters {
    pub(super) rows: Vec<DeliveryRow>,
    /// Those that another channel delivered.
    pub(super) saved: HashSet<DeliveryId>,
    /// Whether there are older ones, which were not read.
    pub(super) more: bool,
}

impl Letters {
    /// The whole reason of the newest one, as far as a page shows it.
    pub(super) fn example(&self) -> String {
        example(&self.rows)
    }

    /// Those that fire still: their incidents are open, and something in them fired.
    pub(super) async fn firing(&self, app: &App) -> Result<Vec<DeliveryRow>, Failure> {
        let named: HashSet<IncidentId> = self.rows.iter().filter(|row| row.firing > 0).filter_map(|row| row.incident).collect();
        let named = by_number(app, named.into_iter().collect()).await?;
        let open: HashSet<IncidentId> = named.into_iter().filter(|incident| incident.state.is_open()).map(|incident| incident.id).collect();
        let fires = |row: &&DeliveryRow| row.firing > 0 && row.incident.is_some_and(|incident| open.contains(&incident));
        Ok(self.rows.iter().filter(fires).cloned().collect())
    }
}

/// The whole reason of the newest one, as far as a page shows it.
pub(super) fn example(rows: &[DeliveryRow]) -> String {
    cut(rows.first().and_then(|row| row.reason.as_deref()).unwrap_or_default(), 2 * REASON)
}

/// The reason by which a letter is grouped.
pub(super) fn reason_of(row: &DeliveryRow) -> String {
    cut(&in_a_line(row.reason.as_deref().unwrap_or_default()), REASON)
}

/// A reason as a form sends it back: a platform's own words may have several lines, whose ends a browser rewrites.
fn in_a_line(reason: &str) -> String {
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// From when to when they died.
pub(super) fn died(rows: &[DeliveryRow]) -> Option<(UnixMs, UnixMs)> {
    let ends = || rows.iter().filter_map(|row| row.done_at);
    Some((ends().min()?, ends().max()?))
}

/// What only these letters have: the same letters have the same.
pub(super) fn hash(rows: &[DeliveryRow]) -> String {
    let mut ids: Vec<DeliveryId> = rows.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    hash_hex(&ids.iter().map(String::as_str).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_several_lines_is_the_same_when_a_browser_sends_it_back() {
        let said = "the service refuses it (\"no such room\n  ask its owner\")";
        assert_eq!(in_a_line(said), "the service refuses it (\"no such room ask its owner\")");
        assert_eq!(in_a_line(&said.replace('\n', "\r\n")), in_a_line(said));
    }

    #[test]
    fn what_is_chosen_is_an_address_that_means_the_same_later() {
        let all = Chosen::default();
        assert_eq!((all.query(), all.pairs()), (String::new(), Vec::new()));
        let span = Span { since: Some(UnixMs(1000)), until: None };
        let some = Chosen { text: "disk full".into(), channel: "ops".into(), span, reason: Some(String::new()), elsewhere: Some(false) };
        assert_eq!(some.query(), "channel=ops&reason=&elsewhere=false&q=disk%20full&since=1000");
    }
}
