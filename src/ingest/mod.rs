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
mod flat;
mod form;
mod grafana_legacy;
mod identity;
mod input;
mod json;
pub mod legacy;
mod mend;
mod odd;
mod said;
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
pub use identity::{dedup_key, fingerprint, lane_group, lane_parts, short_fingerprint, source};
pub use input::{Input, InputBlock, InputProblem, Inputs, Text};
pub use schema::WebhookBody;
pub use send::{SendBody, SendCall, send};
pub use unread::unread;

use std::borrow::Cow;

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::model::{Event, Note, SenderKind};
use alert::{AlertSeed, AlertsSeed};
use body::{Body, BodySeed};
use error::{Source, echo, echo_up_to};
use input::Document;
use json::{Trail, read};
use value::{elements, kind_of, members};

/// What the path that a body was posted to says about its sender.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sender {
    /// Nothing: the body decides.
    #[default]
    Auto,
    /// It is Alertmanager's, or looks like it.
    Alertmanager,
    /// It is Grafana's.
    Grafana,
    /// The input of this name reads it; one that does not exist says nothing.
    Input(String),
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
/// anything else through one of the `inputs`: the one that `sender` names, else, for bodies that are none of the others, the first whose `when` fits.
/// What none of them fits may have one of these bodies as its only member that holds alerts, or be an alert without labels.
/// `sender` also decides between Alertmanager and Grafana where both are possible. `received_at` settles the status of alerts that have an end but no
/// status.
///
/// Everything optional may be missing or null, names may repeat (the last one counts), unknown members are kept beside the others, and every value that is
/// text may be written as a number, boolean or nested value. An entry beside good alerts that is none, and labels or annotations that are a list or a
/// text, are read as far as they can be, shown as text for the rest, and noted. Of more than 50,000 alerts or 250,000 labels and annotations the
/// first are taken and the others counted. Line breaks and bare backslashes within texts, commas too many or too few, and `NaN`, as templates and scripts write
/// them, are read. Refused are bodies that are not JSON or hold no alert: [`unread`] keeps them.
pub fn parse(sender: &Sender, body: &[u8], inputs: &Inputs, received_at: Timestamp) -> Result<Parsed, IngestError> {
    let text = to_utf8(body, None).text;
    if let Some(inner) = wrapped(&text)
        && let Ok(parsed) = parse_text(sender, &inner, inputs, received_at)
    {
        return Ok(parsed);
    }
    // What a template wrote is read where it can be; the error is that of the body as it came.
    parse_text(sender, &text, inputs, received_at)
        .or_else(|error| mend::mended(&text).and_then(|text| parse_text(sender, &text, inputs, received_at).ok()).ok_or(error))
}

/// A body within another: a JSON text that is JSON itself (Alertmanager's `payload` may be one), or a form with one field that is JSON.
fn wrapped(body: &str) -> Option<String> {
    let body = body.trim();
    let inner = match body.as_bytes().first()? {
        b'"' => value::text(serde_json::from_str::<&RawValue>(body).ok()?.get()).into_owned(),
        b'{' | b'[' => return None,
        _ => form::fields(body).filter(|fields| fields.len() == 1)?.remove(0).1,
    };
    inner.trim_start().starts_with(['{', '[']).then_some(inner)
}

fn parse_text(sender: &Sender, text: &str, inputs: &Inputs, received_at: Timestamp) -> Result<Parsed, IngestError> {
    let source = Source { text };
    let mut refused = None;
    if let Sender::Input(name) = sender
        && let Some(input) = inputs.get(name)
    {
        match Document::of(&source).and_then(|document| document.by(&source, input, received_at)) {
            Ok(parsed) => return Ok(parsed),
            // What it was meant for explains it best, but it may be one that everybody knows.
            Err(error) => refused = Some(error),
        }
    }
    let native = begins_as_json(&source).and_then(|()| native(sender, &source, received_at));
    if let Ok(Native { parsed, sure: true }) = native {
        return Ok(parsed);
    }
    let document = Document::of(&source).ok();
    let chosen = document.and_then(|document| Some((document.chosen(inputs)?, document)));
    let chosen = chosen.map(|(input, document)| document.by(&source, input, received_at));
    match (chosen, native) {
        (Some(Ok(parsed)), _) | (_, Ok(Native { parsed, .. })) => Ok(parsed),
        (chosen, Err(native)) => within(sender, text, received_at)
            .or_else(|| flat::flat(text, received_at))
            .ok_or_else(|| refused.or(chosen.and_then(Result::err)).unwrap_or(native)),
    }
}

/// Members of a body that are looked into for alerts.
const MAX_WRAPPERS: usize = 40;

/// A body within a member of another, as `payload` of Alertmanager or a gateway in between wraps it: `{"data": {"alerts": [..]}}`, `{"firing": [..],
/// "resolved": [..]}`, also as the text of its JSON. Only one member may hold alerts, or those that are named after states, and each alert has a name; else
/// nobody knows what is meant. The other members are kept.
fn within(sender: &Sender, text: &str, received_at: Timestamp) -> Option<Parsed> {
    // Nothing may follow it: that would be lost.
    let all = members(serde_json::from_str::<&RawValue>(text).ok()?.get());
    if all.len() > MAX_WRAPPERS {
        return None;
    }
    let mut found =
        candidates(&all).into_iter().filter_map(|(places, text)| Some((places, native(sender, &Source { text: &text }, received_at).ok()?)));
    let (places, Native { mut parsed, sure }) = found.next()?;
    let is_named = parsed.event.alerts.iter().all(|alert| alert.labels.contains_key("alertname"));
    if !sure || !is_named || found.next().is_some() {
        return None;
    }
    let trail = Trail::default();
    for (other, (name, raw)) in all.iter().enumerate() {
        if !places.contains(&other) && !parsed.event.extra.contains_key(&**name) {
            trail.keep(&mut parsed.event.extra, name, raw);
        }
    }
    let is_noted = parsed.event.notes.contains(&Note::Extra);
    Some(if is_noted { parsed } else { noted(parsed, &trail) })
}

/// The bodies that the members of a body may be, each with the places of those that it is of. Alerts without a state of their own have the one that names
/// their list, or that of the body around them.
fn candidates<'a>(all: &'a [(Cow<'a, str>, &'a str)]) -> Vec<(Vec<usize>, Cow<'a, str>)> {
    let with_state = |state: &str, list: &str| format!(r#"{{"status":{},"alerts":{list}}}"#, serde_json::Value::from(state));
    let around = all.iter().find(|(name, _)| name == "status").map(|(_, raw)| value::text(raw).into_owned());
    let around = around.filter(|word| alert::status_word(word).is_some());
    let (mut bodies, mut places, mut states) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (name, raw)) in all.iter().enumerate() {
        let text = if raw.starts_with('"') { Cow::Owned(value::text(raw).trim().to_owned()) } else { Cow::Borrowed(*raw) };
        // `[FIRING:1] Disk full` is no list.
        if raw.starts_with('"') && serde_json::from_str::<IgnoredAny>(&text).is_err() {
            continue;
        }
        let is_state = alert::status_word(name).is_some();
        match text.strip_prefix('[') {
            Some(rest) if is_state && rest.trim_start().starts_with(']') => {}
            Some(_) if is_state => {
                places.push(at);
                states.push(with_state(name, &text));
            }
            Some(_) => bodies.push((vec![at], around.as_deref().map_or_else(|| text.clone(), |state| with_state(state, &text).into()))),
            None if text.starts_with('{') => bodies.push((vec![at], text)),
            None => {}
        }
    }
    if !states.is_empty() {
        bodies.push((places, format!(r#"{{"alerts":[{}]}}"#, states.join(",")).into()));
    }
    bodies
}

/// A body understood without an input; not `sure` when it could as well be meant for one.
struct Native {
    parsed: Parsed,
    sure: bool,
}

/// Whether a body that was refused has any text at all: then it is kept, by [`unread`].
pub fn says_something(body: &[u8]) -> bool {
    !to_utf8(body, None).text.trim().is_empty()
}

fn native(sender: &Sender, source: &Source<'_>, received_at: Timestamp) -> Result<Native, IngestError> {
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
        return Ok(Native { parsed: noted(Parsed { event: event::from_alerts(SenderKind::Alerts, list, received_at), org_id }, &trail), sure });
    }
    let body = read(source, source.text, "", &trail, BodySeed { trail: &trail })?;
    if body.list.readable > 0 {
        let sure = body.list.labelled > 0;
        return Ok(Native { parsed: noted(event::from_body(event::kind(sender, &body), body, received_at), &trail), sure });
    }
    if grafana_legacy::is_legacy(sender, &body) {
        return Ok(Native { parsed: noted(grafana_legacy::event(source, body)?, &trail), sure: true });
    }
    if !body.has_alerts && body.own_labels.is_some_and(|labels| kind_of(labels) == "an object") {
        let trail = Trail::default();
        if let Some(item) = read(source, source.text, "", &trail, AlertSeed { trail: &trail })? {
            let org_id = item.org_id;
            let list = alert::AlertList { odd: u32::from(item.odd), alerts: vec![item.alert], words: vec![item.word], ..Default::default() };
            return Ok(Native {
                parsed: noted(Parsed { event: event::from_alerts(SenderKind::Alerts, list, received_at), org_id }, &trail),
                sure: false,
            });
        }
    }
    Err(nothing_in(source, &body))
}

/// With a note where members that have no field of their own were not kept.
fn noted(mut parsed: Parsed, trail: &Trail) -> Parsed {
    parsed.event.notes.extend(trail.left_out().then_some(Note::Extra));
    parsed
}

fn no_alert(source: &Source<'_>, path: &str, message: String) -> IngestError {
    source.error(source.start(), path, message)
}

fn nothing_in(source: &Source<'_>, body: &Body<'_>) -> IngestError {
    let members = members(source.text);
    if let Some((_, list)) = members.iter().rev().find(|(name, _)| name == "alerts") {
        let what = match (elements(list).len(), body.list.empty) {
            _ if kind_of(list) == "null" => "it is null",
            _ if kind_of(list) == "an object" => "it is an object that is no alert",
            _ if body.list.odd > 0 => "none of its entries is an alert",
            (0, _) => "the list is empty",
            _ => "its entries are all empty",
        };
        return source.error(source.offset_of(list), "alerts", format!("no alert to deliver: {what}"));
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
        "no alert to deliver: there is no `alerts` list{names}. Send Alertmanager's or Grafana's own body, or describe this one under `inputs`"
    );
    no_alert(source, "", message)
}

/// The body as text that may be JSON.
fn decode(body: &[u8]) -> Result<Cow<'_, str>, IngestError> {
    let text = to_utf8(body, None).text;
    begins_as_json(&Source { text: &text })?;
    Ok(text)
}

fn begins_as_json(source: &Source<'_>) -> Result<(), IngestError> {
    match source.text.trim_start().chars().next() {
        None => Err(Source { text: "" }.error(0, "", "the body is empty; send JSON")),
        Some('{' | '[' | '"' | 't' | 'f' | 'n' | '-' | '0'..='9') => Ok(()),
        Some(_) => Err(source.error(source.start(), "", format!("not JSON: the body begins with `{}`", echo(source.text.trim_start())))),
    }
}
