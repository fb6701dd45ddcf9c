//! The built-in plain text: no template, no markup, cannot fail. Used when a template fails and when a platform refuses a message for its content.

use std::collections::BTreeMap;

use crate::model::{Escape, Event, FieldSpec, SenderKind, SeverityScale};

use super::escape::clean;
use super::view::{
    EntryStatus, Scene, annotations, emoji, incident_line, labels, mail_subject, message_links, own_message, reflow, repeats, rest, shorten, state,
    topic,
};
use super::words;

/// A page as plain text.
pub fn plain(input: &Scene<'_>) -> String {
    let word = |key| words::own(input.language, key);
    let colon = word("colon");
    let times = input.times();
    let mut lines = vec![first_line(input)];
    let own = own_message(input);
    if !own.is_empty() {
        lines.push(shorten(own, input.max_value).into_owned());
    }
    let group = input.group();
    if let Some(group) = group {
        // What is over was said in the present tense.
        if input.totals.firing > 0 {
            lines.extend([&group.summary, &group.description].into_iter().filter(|text| !text.is_empty()).cloned());
            lines.extend(group.annotations.iter().map(|(name, value)| format!("{name}{colon}{value}")));
        }
        lines.push(String::new());
    }
    for place in input.places() {
        let entry = &input.all[place];
        let (alert, described) = (entry.alert, input.described(place));
        let ended = alert.ends_at.filter(|_| entry.status.is_over());
        if let Some(group) = group {
            let line = group.line(alert, entry.status, described, input.addresses(place).runbook(), input);
            let name = if group.name.is_empty() { described.name.as_str() } else { "" };
            let status = if entry.status == EntryStatus::Firing { "" } else { words::status(input.language, entry.status) };
            let text = [name, &line.place, &line.text].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
            let value = if status.is_empty() && !line.text.contains(&described.value) { described.value.clone() } else { String::new() };
            let parts = [shorten(&text, input.max_value).into_owned(), value, status.to_owned(), times.lasted_of(alert, entry.status)];
            let own = line.own.iter().map(|(name, value)| format!("{name}{colon}{value}"));
            let runbook = Some(&line.runbook).filter(|url| !url.is_empty()).map(|url| format!("{}{colon}{url}", word("runbook")));
            let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).chain(own).chain(runbook).collect();
            lines.push(format!("{} {}", emoji(input.scale.of(alert), entry.status), parts.join(" · ")));
            lines.extend(Some(shorten(&line.body, input.max_value).into_owned()).filter(|text| !text.is_empty()));
            continue;
        }
        lines.push(String::new());
        if !input.is_single() {
            lines.push(format!("{} {}", emoji(input.scale.of(alert), entry.status), shorten(&described.title(""), input.max_value)));
        }
        let mut texts: Vec<&str> = Vec::new();
        for name in ["summary", "message", "description"] {
            let text = alert.annotation(name).trim();
            if !text.is_empty() && !texts.contains(&text) && !repeats(input, text) {
                texts.push(text);
            }
        }
        lines.extend(texts.into_iter().map(|text| shorten(&reflow(text), input.max_value).into_owned()));
        lines.extend(annotations(alert, input).into_iter().map(|(name, value)| format!("{name}{colon}{value}")));
        if !described.value.is_empty() && entry.status == EntryStatus::Firing {
            lines.push(format!("{}{colon}{}", word("value"), shorten(&described.value, input.max_value)));
        }
        if let Some(start) = alert.starts_at {
            let lasted = Some(times.lasted_of(alert, entry.status)).filter(|lasted| !lasted.is_empty());
            let lasted = lasted.map(|lasted| words::filled(input.language, "bracketed", &[("n", &lasted)])).unwrap_or_default();
            lines.push(format!("{}{colon}{}{lasted}", word("since"), times.full(start)));
            lines.extend(ended.map(|end| format!("{}{colon}{}", word("ended"), times.full(end))));
        }
        // What the title shortens is here to be copied.
        if described.place.full != described.place.whole() {
            lines.push(format!("{}{colon}{}", word("where"), shorten(&described.place.full, input.max_value)));
        }
        lines.extend(input.addresses(place).lines(input.language));
        let said: Vec<&str> = described.place.shown.iter().chain(described.named_by).copied().collect();
        lines.extend(Some(in_line(&labels(alert, &said, input), colon)).filter(|text| !text.is_empty()));
    }
    let shared = group.filter(|_| input.fires()).map(|group| in_line(&group.labels, colon)).unwrap_or_default();
    lines.extend(Some(shared).filter(|text| !text.is_empty()));
    if !input.briefs.is_empty() {
        lines.push(String::new());
    }
    for brief in input.briefs {
        let times = if brief.count > 1 { format!(" ×{}", brief.count) } else { String::new() };
        lines.push(format!("{} {}{times}", emoji(brief.severity.unwrap_or_default(), brief.status), shorten(&brief.title, input.max_value)));
    }
    let mut tail: Vec<String> = rest(input);
    if input.totals.more > 0 && tail.is_empty() {
        tail.push(words::filled(input.language, "more", &[("n", &input.totals.more.to_string())]));
    }
    if input.totals.truncated > 0 {
        tail.push(words::filled(input.language, "truncated", &[("n", &input.totals.truncated.to_string())]));
    }
    tail.extend(message_links(input).into_iter().map(|link| format!("{}{colon}{}", link.label, link.url)));
    tail.extend(input.notes.iter().cloned());
    tail.extend(Some(incident_line(input)).filter(|line| !line.is_empty()));
    if !tail.is_empty() {
        lines.push(String::new());
        lines.extend(tail);
    }
    clean(&lines.join("\n")).into_owned()
}

/// Labels in one line.
fn in_line(labels: &[(String, String)], colon: &str) -> String {
    labels.iter().map(|(name, value)| format!("{name}{colon}{value}")).collect::<Vec<_>>().join(" · ")
}

/// A page as plain text in the fields of a platform: the headline in the first one-line field and those that are required (in a topic what it always
/// holds), the whole text in the others; fields that must hold HTML are left out, and so are all that come after the first one that holds the whole text
/// unless they are required.
pub fn plain_fields(fields: &[FieldSpec], input: &Scene<'_>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let (mut titled, mut placed) = (false, false);
    for field in fields.iter().filter(|field| field.escape != Escape::Html) {
        if field.single_line {
            // A subject says nothing of the state: the sender's name does.
            if field.required || !titled || field.name == "status" {
                // A message in plain text is in the conversation of its group, too.
                let text = match field.name {
                    "topic" => topic(input),
                    "subject" => mail_subject(input),
                    "status" => numbered(state(input), input),
                    _ => first_line(input),
                };
                out.insert(field.name.to_owned(), clean(&text).replace('\n', " "));
                titled = true;
            }
        } else if field.required || !placed {
            out.insert(field.name.to_owned(), plain(input));
            placed = true;
        }
    }
    out
}

/// Whether an event is what somebody has to say, and no alert: sent by hand or by a script, without a severity.
pub fn is_note(event: &Event, scale: &SeverityScale) -> bool {
    event.kind == SenderKind::Direct && event.alerts.len() == 1 && event.alerts.iter().all(|alert| alert.label(&scale.label).is_empty())
}

/// A page of a note in the fields of a platform: its title once and its text once, as they were sent, and none of an alert's words.
pub fn note_fields(fields: &[FieldSpec], input: &Scene<'_>) -> BTreeMap<String, String> {
    let title = first_line(input);
    let own = shorten(own_message(input), input.max_value);
    // A note that was sent without a title is named by its first line.
    let named = own.lines().next().is_some_and(|line| line.split_whitespace().eq(title.split_whitespace()));
    let mut tail: Vec<String> = Vec::new();
    let colon = words::own(input.language, "colon");
    for place in input.places() {
        let entry = &input.all[place];
        let extra = entry.alert.labels.iter().filter(|(name, _)| *name != "alertname");
        tail.extend(extra.map(|(name, value)| format!("{name}{colon}{}", shorten(value, input.max_value))));
        tail.extend(
            input
                .addresses(place)
                .links(input.language, entry.status == EntryStatus::Firing)
                .into_iter()
                .map(|link| format!("{}{colon}{}", link.label, link.url)),
        );
    }
    tail.extend(input.notes.iter().cloned());
    let body = [own.into_owned(), tail.join("\n")].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n");
    let whole = if named || body.is_empty() {
        [body.as_str(), &title].into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned()
    } else {
        format!("{title}\n\n{body}")
    };
    let mut out = BTreeMap::new();
    let shown = |field: &FieldSpec| field.escape != Escape::Html && (field.required || !field.single_line);
    for field in fields.iter().filter(|field| shown(field)) {
        // A platform's own markup is sent as its plain kind, which has no title beside the text.
        let titled = matches!(field.escape, Escape::None | Escape::Markdown)
            && fields.iter().any(|other| other.required && other.single_line && other.name != field.name);
        let text = match field.single_line {
            true if fields.iter().any(|other| !other.single_line) => title.clone(),
            true => whole.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" · "),
            false if titled && !body.is_empty() => body.clone(),
            false => whole.clone(),
        };
        out.insert(field.name.to_owned(), clean(&text).into_owned());
    }
    out
}

fn first_line(input: &Scene<'_>) -> String {
    numbered(input.headline().to_owned(), input)
}

/// With the page's number, where there are several.
fn numbered(title: String, input: &Scene<'_>) -> String {
    if input.totals.pages > 1 { format!("{title} ({}/{})", input.page, input.totals.pages) } else { title }
}
