//! The facts of a page: what drivers build structure from (colour, buttons, field pairs, previews) without reading rendered text.

use crate::model::{Facts, Form, IncidentFacts, Mentions, MessageStatus};

use super::escape::clean;
use super::view::{EntryStatus, Scene, claims_severity, image_of, message_links, preview, shorten};
use super::words;

/// Longest value of a pair in characters: Slack allows 2000 in a field, a phone shows far less.
const MAX_PAIR: usize = 200;

/// The facts of a page. Mentions, thread, incident, form and payload are the caller's to fill in; `formed_at` is the input's `now`.
pub fn facts(input: &Scene<'_>) -> Facts {
    let max = MAX_PAIR.min(input.max_value);
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut pair = |key: &'static str, value: &str| {
        let value = clean(value).split_whitespace().collect::<Vec<_>>().join(" ");
        if !value.is_empty() {
            pairs.push((words::own(input.language, key).to_owned(), shorten(&value, max).into_owned()));
        }
    };
    if let ([entry], true) = (input.all, input.is_single()) {
        let (described, times) = (input.described(0), input.times());
        let ended = entry.alert.ends_at.filter(|_| entry.status.is_over());
        pair("where", &described.place.full);
        let since = entry.alert.starts_at.map(|at| times.short(at)).unwrap_or_default();
        let lasted = times.lasted_of(entry.alert, entry.status);
        if entry.status == EntryStatus::Firing {
            // Nothing that fires has "lasted".
            let going_on = if lasted.is_empty() { String::new() } else { words::filled(input.language, "bracketed", &[("n", &lasted)]) };
            pair("since", &format!("{since}{going_on}"));
            pair("value", &described.value);
        } else {
            pair("since", &since);
            pair("ended", &ended.map(|at| times.short(at)).unwrap_or_default());
            pair("duration", &lasted);
        }
    }
    Facts {
        status: match input.status() {
            EntryStatus::Firing => MessageStatus::Firing,
            EntryStatus::Unreported => MessageStatus::Unreported,
            EntryStatus::CameAndWent | EntryStatus::Resolved => MessageStatus::Resolved,
        },
        severity: claims_severity(input).then_some(input.totals.severity),
        title: clean(input.headline()).into_owned(),
        preview: clean(&preview(input)).into_owned(),
        image: image_of(input),
        pairs,
        links: message_links(input),
        mentions: Mentions::default(),
        over: false,
        thread: String::new(),
        incident: IncidentFacts::default(),
        form: Form::Card,
        formed_at: input.now.at.into(),
        language: input.language,
        payload: None,
    }
}
