//! The facts of a page: what drivers build structure from (colour, buttons, field pairs, previews) without reading rendered text.

use crate::model::{Facts, Mentions, Status};

use super::view::{Times, ViewInput, counts, describe, entry_links, headline, shared_links, shorten};
use super::{MessageKind, words};

/// Longest value of a pair in characters: Slack allows 2000 in a field, a phone shows far less.
const MAX_PAIR: usize = 200;

/// The facts of a page. Mentions, thread and payload are the caller's to fill in; `formed_at` is the input's `now`.
pub fn facts(input: &ViewInput<'_>) -> Facts {
    let max = MAX_PAIR.min(input.max_value);
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut pair = |key: &'static str, value: &str| {
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        if !value.is_empty() {
            pairs.push((words::own(input.language, key).to_owned(), shorten(&value, max).into_owned()));
        }
    };
    let single = input.totals.firing + input.totals.resolved == 1 && input.entries.len() == 1 && input.kind != MessageKind::Digest;
    pair("severity", words::severity(input.language, input.totals.severity));
    let links = if single {
        let entry = &input.entries[0];
        let described = describe(entry.alert, input.language);
        let times = Times::new(input.now, input.time_zone, input.language);
        let ended = entry.alert.ends_at.filter(|_| !input.fires());
        pair("where", &described.place);
        pair("since", &entry.alert.starts_at.map(|at| times.short(at)).unwrap_or_default());
        pair("ended", &ended.map(|at| times.short(at)).unwrap_or_default());
        pair("duration", &times.lasted(entry.alert.starts_at, ended));
        pair("value", &described.value);
        let mut links = entry_links(entry, input.language, input.max_value);
        links.extend(
            shared_links(input.event, input.details_url, input.language, input.fires())
                .into_iter()
                .filter(|link| link.kind == crate::model::LinkKind::Details),
        );
        links
    } else {
        pair("status", &counts(input));
        pair("receiver", input.receiver);
        shared_links(input.event, input.details_url, input.language, input.fires())
    };
    Facts {
        status: if input.fires() { Status::Firing } else { Status::Resolved },
        severity: input.totals.severity,
        title: headline(input),
        pairs,
        links,
        mentions: Mentions::default(),
        over: false,
        thread: String::new(),
        incident: String::new(),
        note: false,
        formed_at: input.now.as_millisecond(),
        language: input.language,
        payload: None,
    }
}
