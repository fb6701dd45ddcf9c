//! The root of what templates see.

use serde_json::{Map, Value, json};

use super::super::escape::clean_url;
use super::super::{FieldUsage, words};
use super::alert::{extra, listed, map, object, status_name};
use super::group::{rest, worst};
use super::headline::{counts, mail_subject, message_severity, preview, state, status_words, topic};
use super::links::kind_name;
use super::{
    Brief, EntryStatus, MessageKind, Scene, color, emoji, image_of, incident_line, labels, message_links, own_message, prose, reflow, repeats,
    shorten,
};

/// The root object; its fields are listed in `check/shape.rs`.
pub(super) fn root(input: &Scene<'_>, usage: &FieldUsage) -> Value {
    let event = input.event;
    let max = input.max_value;
    let total = input.total();
    let group = || input.group();
    let single = if let ([only], true) = (input.all, input.is_single()) { Some(only) } else { None };
    let status = input.status();
    let alerts = || input.places().enumerate().map(|(i, at)| object(at, i + 1, input, usage)).collect::<Vec<_>>();
    let briefs = || input.briefs.iter().map(|one| brief(one, input)).collect::<Vec<_>>();
    let links = || {
        let links = message_links(input);
        links.into_iter().map(|link| json!({ "kind": kind_name(link.kind), "label": link.label, "url": link.url })).collect::<Vec<_>>()
    };

    // The summary and the labels of what is over are those of the alarm.
    let fires = single.filter(|only| only.status == EntryStatus::Firing);
    // What its sender left out may fire, though nothing that is listed does: what is listed is over.
    let listed_fires = input.totals.firing > 0;
    let summary = || match (group(), fires) {
        (Some(group), _) if listed_fires => group.summary.clone(),
        (_, Some(only)) if !repeats(input, only.alert.annotation("summary")) => reflow(only.alert.annotation("summary")),
        _ => String::new(),
    };
    let folded = |text: String| prose::folded(text, input.details_url);
    let all_folded = |pairs: Vec<(String, String)>| pairs.into_iter().map(|(name, value)| (name, folded(value))).collect::<Vec<_>>();
    let description = || folded(group().filter(|_| listed_fires).map(|group| group.description.clone()).unwrap_or_default());
    let shared = || match (group(), fires) {
        (Some(group), _) if input.fires() => group.labels.clone(),
        (_, Some(only)) => {
            let described = input.described(0);
            labels(only.alert, &described.place.shown.iter().chain(described.named_by).copied().collect::<Vec<_>>(), input)
        }
        _ => Vec::new(),
    };
    let annotations = || group().filter(|_| listed_fires).map(|group| group.annotations.clone()).unwrap_or_default();
    // Where values are shortened to fit, there is no room for it: what and where come first. A digest is about several things.
    let began = input.began().filter(|_| max == usize::MAX && input.kind != MessageKind::Digest);

    let mut out = Map::with_capacity(40);
    macro_rules! put {
        ($name:literal, $value:expr $(,)?) => {
            if usage.has($name) {
                out.insert($name.to_owned(), $value);
            }
        };
    }
    put!("preview", preview(input).into());
    put!("headline", input.headline().into());
    put!("summary", shorten(&folded(summary()), max).into());
    put!("description", shorten(&description(), max).into());
    put!("shared_name", shorten(group().map_or("", |group| &group.name), max).into());
    put!("shared_labels", listed(all_folded(shared())));
    put!("shared_annotations", listed(all_folded(annotations())));
    put!("footer", footer(&all_folded(shared())).into());
    put!("rest", rest(input).into_iter().map(Value::from).collect::<Vec<_>>().into());
    put!("worst", shorten(&worst(input), max).into());
    put!("image_url", image_of(input).into());
    put!("title", input.subject().into());
    put!("topic", topic(input).into());
    put!("subject", mail_subject(input).into());
    put!("state", state(input).into());
    put!("message", shorten(own_message(input), max).into());
    put!("status", status_name(status).into());
    put!("status_word", status_words(input).into());
    put!("firing", input.fires().into());
    put!("resolved", status.is_over().into());
    put!("unreported", (status == EntryStatus::Unreported).into());
    put!("mixed", (input.totals.firing > 0 && input.totals.resolved > 0).into());
    put!("firing_count", input.totals.firing.into());
    put!("resolved_count", input.totals.resolved.into());
    put!("unreported_count", input.totals.unreported.into());
    put!("total", total.into());
    put!("single", input.is_single().into());
    put!("counts", counts(input).into());
    put!("starts_at", began.map(|at| at.to_string()).unwrap_or_default().into());
    put!("duration", input.times().lasted(began, None).into());
    put!("severity", input.totals.severity.as_str().into());
    put!("severity_word", message_severity(input).into());
    put!("emoji", emoji(input.totals.severity, status).into());
    put!("color", color(input.totals.severity, status).into());
    put!("alerts", alerts().into());
    put!("briefs", briefs().into());
    put!("more", input.totals.more.into());
    put!("truncated", input.totals.truncated.into());
    put!("page", input.page.into());
    put!("pages", input.totals.pages.into());
    put!("multipage", (input.totals.pages > 1).into());
    put!("first_page", (input.page <= 1).into());
    put!("last_page", (input.page >= input.totals.pages).into());
    put!(
        "kind",
        match input.kind {
            MessageKind::Single => "single",
            MessageKind::Fold => "fold",
            MessageKind::Digest => "digest",
        }
        .into(),
    );
    put!("digest", (input.kind == MessageKind::Digest).into());
    put!("receiver", shorten(&event.receiver, max).into());
    put!("source", shorten(&event.source, max).into());
    put!("group_key", shorten(&event.group_key, max).into());
    put!("reason", event.reason.as_str().into());
    put!("group_labels", map(&event.group_labels, max));
    put!("common_labels", map(&event.common_labels, max));
    put!("common_annotations", map(&event.common_annotations, max));
    put!("route_labels", map(&event.route_labels, max));
    put!("external_url", clean_url(&event.external_url).unwrap_or_default().into());
    put!("details_url", clean_url(input.details_url).unwrap_or_default().into());
    put!("links", links().into());
    put!("notes", input.notes.iter().map(|note| Value::from(note.as_str())).collect::<Vec<_>>().into());
    put!("incident", incident(input));
    // An input keeps what it read with each alert.
    put!("extra", extra(single.filter(|_| event.extra.is_empty()).map_or(&event.extra, |only| &only.alert.extra), max));
    put!("language", words::code(input.language).into());
    put!("time_zone", input.now.zone.iana_name().unwrap_or("UTC").into());
    put!("now", input.now.at.to_string().into());
    Value::Object(out)
}

/// Labels in one line: `team: db · env: prod`.
fn footer(labels: &[(String, String)]) -> String {
    labels.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(" · ")
}

fn incident(input: &Scene<'_>) -> Value {
    let (number, told) = input.incident.map_or((0, None), |incident| (incident.number, incident.first_notified));
    json!({ "number": number, "first_notified": told.map(|at| input.times().short(at)).unwrap_or_default(), "line": incident_line(input) })
}

fn brief(brief: &Brief, input: &Scene<'_>) -> Value {
    let severity = brief.severity.unwrap_or_default();
    json!({
        "title": shorten(&brief.title, input.max_value),
        "status": status_name(brief.status),
        "status_word": words::status(input.language, brief.status),
        "firing": brief.status == EntryStatus::Firing,
        "resolved": brief.status.is_over(),
        "unreported": brief.status == EntryStatus::Unreported,
        "severity": severity.as_str(),
        "severity_word": brief.severity.map(|severity| words::severity(input.language, severity)).unwrap_or_default(),
        "emoji": emoji(severity, brief.status),
        "color": color(severity, brief.status),
        "count": brief.count,
        "several": brief.count > 1,
        "since": brief.since.map(|at| input.times().short(at)).unwrap_or_default(),
        "starts_at": brief.since.map(|at| at.to_string()).unwrap_or_default(),
        "duration": if brief.status == EntryStatus::Firing { input.times().lasted(brief.since, None) } else { String::new() },
    })
}
