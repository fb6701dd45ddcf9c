//! From bytes to an [`Event`], or to an error that names field and place.
//!
//! Pure: no I/O, no clock (the time of receipt is an argument), no panic on any input, time and memory bounded by the body's size.
//! It knows what senders write; it does not know channels, routes or stores.

mod alert;
mod anonymize;
mod body;
mod decode;
mod error;
mod event;
mod generic;
mod grafana_legacy;
mod identity;
mod json;
pub mod legacy;
mod schema;
mod send;
mod time;
mod unread;
mod value;

#[cfg(test)]
mod tests;

pub use anonymize::anonymize;
pub use decode::{Decoded, to_utf8};
pub use error::IngestError;
pub use generic::{Field, GenericMapping, MappingProblem};
pub use identity::{dedup_key, fingerprint, lane_group, lane_parts, short_fingerprint, source};
pub use schema::WebhookBody;
pub use send::{SendBody, SendCall, send};
pub use unread::unread;

use std::borrow::Cow;

use jiff::Timestamp;

use crate::model::{Event, SenderKind};
use alert::{AlertSeed, AlertsSeed};
use body::{Body, BodySeed};
use error::{Source, echo, echo_up_to};
use json::{Trail, read};
use value::{elements, kind_of, members};

/// What the path that a body was posted to says about its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sender {
    /// Nothing: the body decides.
    #[default]
    Auto,
    /// It is Alertmanager's, or looks like it.
    Alertmanager,
    /// It is Grafana's.
    Grafana,
}

/// A body that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The event. `source` is empty: the caller fills it with [`source`].
    pub event: Event,
    /// Grafana's organisation, when the body names one: part of `source`.
    pub org_id: Option<i64>,
}

/// Reads a webhook body: Alertmanager "4", Grafana unified "1" and legacy, an array of alerts, a single alert (an object with `labels`), or
/// anything else through `mapping`. The mapping is asked only for bodies that are none of the others; `hint` decides between Alertmanager and
/// Grafana where both are possible. `received_at` settles the status of alerts that have an end but no status.
///
/// Everything optional may be missing or null, names may repeat (the last one counts), unknown members are ignored, and every value that is
/// text may be written as a number, boolean or nested value. An entry beside good alerts that is none, and labels or annotations that are a list or a
/// text, are read as far as they can be, shown as text for the rest, and noted. Of more than 50,000 alerts or 250,000 labels and annotations the
/// first are taken and the others counted. Refused are bodies that are not JSON or hold no alert: [`unread`] makes a text of them.
pub fn parse(sender: Sender, body: &[u8], mapping: Option<&GenericMapping>, received_at: Timestamp) -> Result<Parsed, IngestError> {
    let text = decode(body)?;
    let source = Source { text: &text };
    let native = native(sender, &source, received_at);
    let Some(mapping) = mapping else { return native.map(|n| n.parsed).map_err(|refusal| refusal.error) };
    match native {
        Ok(native) if native.sure => Ok(native.parsed),
        Ok(native) => generic::read_mapped(&source, mapping, received_at).or(Ok(native.parsed)),
        Err(native) => generic::read_mapped(&source, mapping, received_at)
            // A body that nearly was Alertmanager's is better explained by what is wrong with it than by what the mapping missed.
            .map_err(|mapped| if native.no_alert { mapped } else { native.error }),
    }
}

/// A body understood without a mapping; not `sure` when it could as well be meant for one.
struct Native {
    parsed: Parsed,
    sure: bool,
}

struct Refusal {
    error: IngestError,
    no_alert: bool,
}

/// Whether a body that was refused says anything: then it is worth being kept as text.
pub fn says_something(body: &[u8]) -> bool {
    !unread::is_blank(&to_utf8(body, None).text)
}

impl From<IngestError> for Refusal {
    fn from(error: IngestError) -> Self {
        Self { error, no_alert: false }
    }
}

fn native(sender: Sender, source: &Source<'_>, received_at: Timestamp) -> Result<Native, Refusal> {
    let trail = Trail::default();
    if source.text[source.start()..].starts_with('[') {
        let list = read(source, source.text, "", &trail, AlertsSeed { trail: &trail })?.unwrap_or_default();
        if list.readable == 0 {
            let what = match (list.alerts.len(), list.empty) {
                (0, 0) => "an empty array",
                (0, _) => "an array of empty entries",
                _ => "an array without an alert",
            };
            return Err(no_alert(source, "", format!("no alert to deliver: the body is {what}")));
        }
        let sure = list.labelled > 0;
        let org_id = list.org_id;
        return Ok(Native { parsed: Parsed { event: event::from_alerts(SenderKind::Alerts, list, received_at), org_id }, sure });
    }
    let body = read(source, source.text, "", &trail, BodySeed { trail: &trail })?;
    if body.list.readable > 0 {
        let sure = body.list.labelled > 0;
        return Ok(Native { parsed: event::from_body(event::kind(sender, &body), body, received_at), sure });
    }
    if grafana_legacy::is_legacy(sender, &body) {
        return Ok(Native { parsed: grafana_legacy::event(source, body)?, sure: true });
    }
    if !body.has_alerts && body.own_labels.is_some_and(|labels| kind_of(labels) == "an object") {
        let trail = Trail::default();
        if let Some(item) = read(source, source.text, "", &trail, AlertSeed { trail: &trail })? {
            let org_id = item.org_id;
            let list = alert::AlertList { odd: u32::from(item.odd), alerts: vec![item.alert], words: vec![item.word], ..Default::default() };
            return Ok(Native { parsed: Parsed { event: event::from_alerts(SenderKind::Alerts, list, received_at), org_id }, sure: false });
        }
    }
    Err(nothing_in(source, &body))
}

fn no_alert(source: &Source<'_>, path: &str, message: String) -> Refusal {
    Refusal { error: source.error(source.start(), path, message), no_alert: true }
}

fn nothing_in(source: &Source<'_>, body: &Body<'_>) -> Refusal {
    let members = members(source.text);
    if let Some((_, list)) = members.iter().rev().find(|(name, _)| name == "alerts") {
        let what = match (elements(list).len(), body.list.empty) {
            _ if kind_of(list) == "null" => "it is null",
            _ if kind_of(list) == "an object" => "it is an object that is no alert",
            _ if body.list.odd > 0 => "none of its entries is an alert",
            (0, _) => "the list is empty",
            _ => "its entries are all empty",
        };
        let error = source.error(source.offset_of(list), "alerts", format!("no alert to deliver: {what}"));
        return Refusal { error, no_alert: true };
    }
    let mut names = String::new();
    for (i, (name, _)) in members.iter().enumerate() {
        if i == 3 {
            names.push_str(", …");
            break;
        }
        names.push_str(if i == 0 { "; its members are " } else { ", " });
        names.push_str(&format!("`{}`", echo_up_to(name, 18)));
    }
    let message = format!(
        "no alert to deliver: there is no `alerts` list{names}. Send Alertmanager's or Grafana's own body, or configure a mapping for this one"
    );
    no_alert(source, "", message)
}

/// The body as text that may be JSON.
fn decode(body: &[u8]) -> Result<Cow<'_, str>, IngestError> {
    let fail = |message: String| Err(Source { text: "" }.error(0, "", message));
    let text = to_utf8(body, None).text;
    match text.trim_start().chars().next() {
        None => fail("the body is empty; send JSON".into()),
        Some('{' | '[' | '"' | 't' | 'f' | 'n' | '-' | '0'..='9') => Ok(text),
        Some(_) => {
            let source = Source { text: &text };
            Err(source.error(source.start(), "", format!("not JSON: the body begins with `{}`", echo(text.trim_start()))))
        }
    }
}
