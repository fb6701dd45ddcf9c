//! The short texts about an incident: what is new in it, that it goes on, how it ended. They ring, while its card is edited; they are replies to the
//! card, or messages of their own where there are none. Plain text: no template, no markup, cannot fail.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::model::{Escape, FieldSpec, Form};

use super::escape::clean;
use super::view::{
    EntryStatus, Scene, capital, counts, counts_now, emoji, has_own_text, incident_line, mail_subject, message_severity, own_message, reflow,
    sentence, severity_word, shorten, topic,
};
use super::words;

/// New alerts that have a line each.
const MAX_LINES: usize = 3;
/// Longest name and place of an alert, and longest text that is said of it, in characters: a locked phone shows some 150.
const MAX_NAMED: usize = 100;
const MAX_SAID: usize = 120;

/// Which short text about an incident it is. The totals of its scene are those of the whole incident, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// What is new: the alerts of the scene's range, most severe first, and so many more as its totals say.
    News,
    /// It goes on, and nobody acted.
    Again,
    /// It ended.
    Over,
}

impl From<LineKind> for Form {
    fn from(kind: LineKind) -> Self {
        match kind {
            LineKind::News => Form::News,
            LineKind::Again => Form::Again,
            LineKind::Over => Form::Over,
        }
    }
}

/// A short text about an incident in the fields of a platform. Where a title is shown beside the text, neither repeats the other; a subject or a topic is
/// that of the incident's card, so that a client keeps them together. Fields that must hold HTML are left out.
pub fn line_fields(fields: &[FieldSpec], input: &Scene<'_>, kind: LineKind) -> BTreeMap<String, String> {
    let line = match kind {
        LineKind::News => news(input),
        LineKind::Over if !input.fires() => over(input),
        // Whatever ended of it: what fires is not said to be over.
        LineKind::Again | LineKind::Over => again(input),
    }
    .followed_by(input.notes);
    let several = fields.iter().any(|field| !field.single_line);
    let needed = fields.iter().any(|field| !field.single_line && field.required && field.escape != Escape::Html);
    let has_title = fields.iter().any(|field| field.single_line && field.required && conversation(field.name, input).is_none());
    // A platform's own markup is sent as its plain kind, which has no title beside the text.
    let titled = |field: &FieldSpec| has_title && matches!(field.escape, Escape::None | Escape::Markdown);
    let mut out = BTreeMap::new();
    let mut placed = false;
    for field in fields.iter().filter(|field| field.escape != Escape::Html) {
        let text = match (field.single_line, conversation(field.name, input)) {
            (true, _) if !field.required => continue,
            (true, Some(topic)) => topic,
            (true, None) if several => line.title.clone(),
            (true, None) => line.whole.join(" · "),
            // Where no text is required, the first holds it.
            (false, _) if !field.required && (needed || placed) => continue,
            (false, _) if titled(field) => line.below.join("\n"),
            (false, _) => line.whole.join("\n"),
        };
        placed |= !field.single_line;
        let text = clean(&text);
        out.insert(field.name.to_owned(), if field.single_line { text.replace('\n', " ") } else { text.into_owned() });
    }
    out
}

/// What a field of this name holds that keeps the messages of a group together; `None` for other fields.
fn conversation(field: &str, input: &Scene<'_>) -> Option<String> {
    match field {
        "subject" => Some(mail_subject(input)),
        "topic" => Some(topic(input)),
        _ => None,
    }
}

/// A short text, whole and with its first part as a title.
struct Line {
    title: String,
    /// What is below the title, at least one line.
    below: Vec<String>,
    whole: Vec<String>,
}

impl Line {
    /// One line: what happened, what else is said in it, and what follows on lines of its own.
    fn of(title: String, between: &str, said: String, rest: Vec<String>, input: &Scene<'_>) -> Self {
        let first = if said.is_empty() { title.clone() } else { format!("{title}{between}{said}") };
        let below: Vec<String> = Some(said).filter(|said| !said.is_empty()).into_iter().chain(rest.iter().cloned()).collect();
        Self { title, below, whole: std::iter::once(first).chain(rest).collect() }.numbered(input)
    }

    /// With notes on lines of their own.
    fn followed_by(mut self, notes: &[String]) -> Self {
        self.below.extend_from_slice(notes);
        self.whole.extend_from_slice(notes);
        self
    }

    /// With the incident's number at the end.
    fn numbered(mut self, input: &Scene<'_>) -> Self {
        let number = incident_line(input);
        for lines in [&mut self.below, &mut self.whole] {
            match lines.last_mut() {
                Some(last) if !number.is_empty() => *last = format!("{last} {number}"),
                None if !number.is_empty() => lines.push(number.clone()),
                _ => {}
            }
        }
        if self.below.is_empty() {
            self.below.clone_from(&self.whole);
        }
        self
    }
}

/// What is new, a line each, and the whole as it is now.
fn news(input: &Scene<'_>) -> Line {
    let new: Vec<usize> = input.places().filter(|place| input.all[*place].status == EntryStatus::Firing).collect();
    let count = new.len() + input.totals.more;
    let now = Some(counts_now(input)).filter(|now| !now.is_empty());
    let (title, said) = match new.as_slice() {
        // A sender's own words are about all of it.
        _ if has_own_text(input) && !own_message(input).is_empty() => {
            let said = one_line(own_message(input), MAX_SAID.min(input.max_value));
            let title = input.headline().to_owned();
            let said = if title.contains(&said) { String::new() } else { said };
            (title, said)
        }
        [only] if count == 1 => {
            let (name, said) = named(input, *only);
            let entry = &input.all[*only];
            let severity = capital(&severity_word(entry.alert, input));
            let parts: Vec<String> = [severity, name].into_iter().filter(|part| !part.is_empty()).collect();
            (format!("{} {}", emoji(input.scale.of(entry.alert), entry.status), parts.join(" · ")), said)
        }
        several => {
            let worst = several.iter().map(|place| input.scale.of(input.all[*place].alert)).min().unwrap_or(input.totals.severity);
            let title = format!("{} {}", emoji(worst, EntryStatus::Firing), input.subject());
            let mut lines: Vec<String> = several.iter().take(MAX_LINES).map(|place| alert_line(input, *place)).collect();
            let more = count - lines.len();
            if more > 0 {
                lines.push(words::filled(input.language, "n_more", &[("n", &more.to_string())]));
            }
            lines.extend(now);
            return Line { title, below: lines.clone(), whole: lines }.numbered(input);
        }
    };
    // One alert that is all there is was counted by its own line.
    let now = now.filter(|_| input.total() > 1);
    Line::of(title, " — ", said, now.into_iter().collect(), input)
}

/// One of several new alerts: `🔴 NodeDown · web-01 — web-01 does not answer`.
fn alert_line(input: &Scene<'_>, place: usize) -> String {
    let entry = &input.all[place];
    let (name, said) = named(input, place);
    let sign = emoji(input.scale.of(entry.alert), entry.status);
    if said.is_empty() { format!("{sign} {name}") } else { format!("{sign} {name} — {said}") }
}

/// An alert's name and place, and what it says beside them.
fn named(input: &Scene<'_>, place: usize) -> (String, String) {
    let text = reflow(sentence(input.all[place].alert));
    let name = one_line(&input.described(place).title(&text), MAX_NAMED.min(input.max_value));
    let said = one_line(text.lines().next().unwrap_or_default(), MAX_SAID.min(input.max_value));
    let said = if name.contains(&said) { String::new() } else { said };
    (name, said)
}

/// A text without its line breaks, at most so long.
fn one_line(text: &str, max: usize) -> String {
    shorten(&text.split_whitespace().collect::<Vec<_>>().join(" "), max).into_owned()
}

/// It goes on, and since when: `🔴 Still firing, 4h: NodeDown · eu-west-1 · 3 critical, 9 warning #1842`.
fn again(input: &Scene<'_>) -> Line {
    let state = match input.times().lasted(input.began(), None) {
        lasted if lasted.is_empty() => words::own(input.language, "still_firing").to_owned(),
        lasted => words::filled(input.language, "still_firing_n", &[("n", &lasted)]),
    };
    let how_bad = if input.is_single() { message_severity(input) } else { counts(input) };
    Line::of(lead(input, &state), " · ", how_bad, Vec::new(), input)
}

/// How it ended: `✅ Resolved after 1h 12m: NodeDown · eu-west-1 #1842`; of what nobody knows, that it is not reported any more.
fn over(input: &Scene<'_>) -> Line {
    let start = input.all.iter().filter_map(|entry| entry.alert.starts_at).min();
    let end = input.all.iter().filter_map(|entry| entry.alert.ends_at).max();
    let status = input.status();
    let state = match (status, start, end) {
        (EntryStatus::Unreported, ..) if !input.is_single() => counts(input),
        (EntryStatus::Resolved, Some(start), Some(end)) => {
            words::filled(input.language, "resolved_after", &[("n", &input.times().lasted(Some(start), Some(end)))])
        }
        _ => words::status(input.language, status).to_owned(),
    };
    Line::of(lead(input, &state), "", String::new(), Vec::new(), input)
}

/// Sign, state and what it is about.
fn lead(input: &Scene<'_>, state: &str) -> String {
    format!("{} {state}{}{}", emoji(input.totals.severity, input.status()), words::own(input.language, "colon"), input.subject())
}
