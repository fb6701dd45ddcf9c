//! What the template of the message page shows, from what is known of a message.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::now::Found;
use super::words::{self, age, filled, word};
use crate::delivery::plan::Plan;
use crate::model::{Event, Form, Language, Severity, Status, UnixMs};
use crate::template::{Entry, EntryStatus, FieldUsage, GAP, Now, Scene, View, ViewInput};

/// Alerts that have a row each before the others are folded by where they are.
const MAX_ROWS: usize = 12;
/// Alerts shown on one page.
const MAX_ALERTS: usize = 1000;
/// Labels by which alerts are folded, the first that separates them.
const FOLDED_BY: [&str; 8] = ["namespace", "cluster", "region", "zone", "env", "job", "service", "rack"];
/// Folds that a page has at most.
const MAX_FOLDS: usize = 20;

/// Writes times and words of one page.
struct Scribe<'a> {
    language: Language,
    zone: &'a TimeZone,
    now: Timestamp,
}

impl Scribe<'_> {
    fn word(&self, key: &'static str) -> &'static str {
        word(self.language, key)
    }

    /// `UTC`, `UTC+8`, `UTC+5:30`.
    fn zone(&self, at: Timestamp) -> String {
        let seconds = at.to_zoned_datetime(self.zone.clone()).offset().seconds();
        let (sign, minutes) = if seconds < 0 { ('-', -seconds / 60) } else { ('+', seconds / 60) };
        match (minutes / 60, minutes % 60) {
            (0, 0) => "UTC".into(),
            (hours, 0) => format!("UTC{sign}{hours}"),
            (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
        }
    }

    /// A time for the reader, whole, and for the script.
    fn time(&self, at: Timestamp, running: bool) -> Value {
        let (local, today) = (at.to_zoned_datetime(self.zone.clone()), self.now.to_zoned_datetime(self.zone.clone()));
        let format = match (local.date() == today.date(), local.year() == today.year()) {
            (true, _) => "%H:%M",
            (_, true) => "%m-%d %H:%M",
            _ => "%Y-%m-%d %H:%M",
        };
        let zone = self.zone(at);
        json!({
            "iso": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), "full": format!("{} {zone}", local.strftime("%Y-%m-%d %H:%M:%S")),
            "clock": local.strftime(format).to_string(), "zone": zone, "running": running,
            "age": age(self.language, self.now.duration_since(at).as_secs()),
        })
    }

    /// `3 critical, 9 warning, 1 resolved`.
    fn counts(&self, rows: &[Row]) -> String {
        let mut counts: BTreeMap<(bool, Severity), (usize, &str)> = BTreeMap::new();
        for row in rows {
            let word = if row.over {
                self.word("over")
            } else if row.severity_word.is_empty() {
                self.word("active")
            } else {
                &row.severity_word
            };
            let key = (row.over, if row.over { Severity::Critical } else { row.severity });
            counts.entry(key).or_insert((0, word)).0 += 1;
        }
        // What is over is last.
        let mark = |over: bool| self.word(if over { "comma" } else { "list" });
        let parts = counts.iter().map(|((over, _), (n, word))| mark(*over).to_owned() + &filled(self.language, "count", &n.to_string(), word));
        parts.collect::<String>().trim_start_matches([',', ' ', '，', '、']).to_owned()
    }
}

/// An alert on its way to the template.
struct Row {
    over: bool,
    severity: Severity,
    severity_word: String,
    place: String,
    folded_by: BTreeMap<&'static str, String>,
    data: Value,
}

/// Controls that turn the direction of text are shown, not obeyed.
fn show_controls(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().any(turns) => {
            *text = text.chars().map(|c| if turns(c) { format!("[U+{:04X}]", u32::from(c)) } else { c.to_string() }).collect();
        }
        Value::Array(all) => all.iter_mut().for_each(show_controls),
        Value::Object(all) => all.values_mut().for_each(show_controls),
        _ => {}
    }
}

pub(in crate::http) fn turns(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
}

/// The page's data.
pub(super) fn page(found: &Found, plan: &Plan, language: Language, now: Timestamp) -> Value {
    let scribe = Scribe { language, zone: &plan.messages.time_zone, now };
    let status = |status| if status == Status::Firing { EntryStatus::Firing } else { EntryStatus::Resolved };
    let mut entries: Vec<Entry<'_>> =
        found.alerts.iter().map(|one| Entry { alert: &one.alert, event: &one.event, status: status(one.alert.status) }).collect();
    entries.sort_by_key(|entry| (entry.status == EntryStatus::Resolved, plan.scale.of(entry.alert), entry.alert.starts_at));
    let firing = entries.iter().filter(|entry| entry.status == EntryStatus::Firing).count();
    let fired = found.alerts.iter().filter(|one| one.fired).count();
    let left_out = if firing == 0 { found.left_out } else { 0 };
    let total = entries.len();
    let severity = entries.first().map(|entry| plan.scale.of(entry.alert)).unwrap_or_default();
    let hidden = total.saturating_sub(MAX_ALERTS) as u64 + found.more;
    entries.truncate(MAX_ALERTS);
    let nothing = Event::default();
    let facts = found.message.pages.first().map(|page| &page.facts);
    let event = entries.first().map_or(&nothing, |entry| entry.event);
    let read = Now { at: now, zone: &plan.messages.time_zone };
    let input = ViewInput { kind: found.message.kind, ..ViewInput::of(&entries, event, language, read, &plan.scale, &plan.messages.shown) };
    let view = View::new(&Scene::new(input), &FieldUsage::everything());
    let mut view = view.context.data().clone();
    show_controls(&mut view);
    // Without its alerts, a message is what was sent.
    let is_note = total == 0 || facts.is_some_and(|facts| facts.form == Form::Note);
    let rows: Vec<Row> =
        entries.iter().zip(view["alerts"].as_array().into_iter().flatten()).map(|(entry, alert)| row(entry, alert, &scribe, plan)).collect();
    let state = match (is_note, firing, left_out) {
        (true, ..) => "",
        (_, 0, 0) => "over",
        _ => severity.as_str(),
    };
    let mut data = json!({
        "lang": words::tag(language), "now": now.to_string(), "version": *super::VERSION, "zone": scribe.zone(now),
        "t": { "happened": scribe.word("happened"), "read_only": scribe.word("read_only"), "times": scribe.word("times"), "stop": scribe.word("stop") },
        "title": Some(text(&view, "title")).filter(|title| !title.is_empty()).or(facts.map(|facts| facts.title.as_str())).unwrap_or_default(),
        "state": state, "icon": if state == "over" { "ok" } else { state },
        "sent": scribe.time(found.message.formed_at.timestamp(), false),
        "more": if hidden > 0 { filled(language, "more", &hidden.to_string(), "") } else { String::new() },
        "events": events(found, &scribe, plan, &entries),
    });
    data["pill"] = pill(is_note, state == "over", rows.first().map_or("", |row| row.severity_word.as_str()), &scribe).into();
    data["changed"] = if firing == fired {
        scribe.word(if found.is_now { "shows_now" } else { "shows_sent" }).into()
    } else {
        filled(language, "changed", &firing.to_string(), &fired.to_string()).into()
    };
    match total {
        0 => data["text"] = found.message.pages.first().map_or("", |page| page.field("text")).into(),
        1 => put_single(&mut data, &entries[0], &rows[0], &view, is_note, &scribe),
        _ => put_all(&mut data, rows, (firing, total), &view, &scribe),
    }
    if left_out > 0 {
        data["status"] = filled(language, "left_out", &left_out.to_string(), "").into();
    }
    data
}

/// The word beside the title.
fn pill(is_note: bool, over: bool, severity_word: &str, scribe: &Scribe<'_>) -> String {
    match (is_note, over) {
        (true, _) => scribe.word("note").to_owned(),
        (_, true) => scribe.word("resolved").to_owned(),
        _ if severity_word.is_empty() => scribe.word("firing").to_owned(),
        _ => capital(severity_word),
    }
}

/// The only alert of a page, whole.
fn put_single(data: &mut Value, entry: &Entry<'_>, row: &Row, view: &Value, is_note: bool, scribe: &Scribe<'_>) {
    let mut put = |name: &str, value: Value| data[name] = value;
    let (alert, single, firing) = (entry.alert, &view["alerts"][0], entry.status == EntryStatus::Firing);
    let status = match (is_note, firing, text(single, "duration")) {
        // Nobody knows when it began, or when it ended.
        (true, ..) | (.., "") => String::new(),
        (_, true, _) => scribe.word("still").into(),
        (.., lasted) => filled(scribe.language, "over_after", lasted, ""),
    };
    put("status", status.into());
    put("since", alert.starts_at.filter(|_| firing && !is_note).map_or(Value::Null, |at| scribe.time(at, true)));
    put("lead", lead(single).into());
    put("text", body(single, view).into());
    put("facts", facts_of(entry, single, scribe, is_note));
    put("labels", row.data["labels"].clone());
    put("labels_title", filled(scribe.language, "labels", &row.data["labels"].as_array().map_or(0, Vec::len).to_string(), "").into());
    put("buttons", buttons(&single["links"]).into());
}

/// Several alerts: how many fire, what they share, and a row for each or for each fold.
fn put_all(data: &mut Value, rows: Vec<Row>, (firing, total): (usize, usize), view: &Value, scribe: &Scribe<'_>) {
    let mut put = |name: &str, value: Value| data[name] = value;
    let status = match firing {
        0 => filled(scribe.language, "all_over", "", &total.to_string()),
        _ if firing == total => String::new(),
        _ => filled(scribe.language, "some_fire", &firing.to_string(), &total.to_string()),
    };
    put("status", status.into());
    put("text", text(view, "message").into());
    put("counts", scribe.counts(&rows).into());
    put("buttons", view["links"].clone());
    let (lead, shown, groups) = folded(rows, text(view, "summary"), scribe);
    put("lead", lead.into());
    put("rows", shown.into_iter().map(|row| row.data).collect::<Vec<_>>().into());
    put("groups", groups);
}

/// An annotation, whole.
fn written<'a>(alert: &'a Value, name: &str) -> &'a str {
    text(&alert["annotations"], name).trim()
}

/// What a person wrote first.
fn lead(alert: &Value) -> &str {
    ["summary", "message", "description"].into_iter().map(|name| written(alert, name)).find(|text| !text.is_empty()).unwrap_or_default()
}

/// What a person wrote besides.
fn body(alert: &Value, view: &Value) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for text in [written(alert, "description"), written(alert, "message"), text(view, "message").trim()] {
        if !text.is_empty() && text != lead(alert) && !parts.contains(&text) {
            parts.push(text);
        }
    }
    parts.join("\n\n")
}

/// What is pressed first: the runbook and the dashboard, else whatever there is.
fn buttons(links: &Value) -> Vec<Value> {
    let all = links.as_array().cloned().unwrap_or_default();
    let first: Vec<Value> = all.iter().filter(|link| matches!(text(link, "kind"), "runbook" | "dashboard")).cloned().collect();
    if first.is_empty() { all.into_iter().take(2).collect() } else { first }
}

/// Where it happens, each part by itself: a host and its mount point are pasted into different places.
fn copies(alert: &Value) -> Value {
    text(alert, "where").split(" · ").filter(|part| !part.is_empty()).map(Value::from).collect()
}

fn facts_of(entry: &Entry<'_>, alert: &Value, scribe: &Scribe<'_>, is_note: bool) -> Value {
    if is_note {
        return Value::Null;
    }
    let mut facts = Vec::new();
    let mut fact = |key: &'static str, field: &str, value: Value| {
        if value.as_str() != Some("") && value.as_array().is_none_or(|list| !list.is_empty()) {
            facts.push(json!({ "name": scribe.word(key), field: value }));
        }
    };
    // Of what is over it is that of the alarm.
    let value = if entry.status == EntryStatus::Firing { text(alert, "value") } else { "" };
    fact("value", "strong", value.into());
    fact("where", "copy", copies(alert));
    if let Some(at) = entry.alert.starts_at {
        fact("since", "at", scribe.time(at, false));
    }
    if let Some(at) = entry.alert.ends_at.filter(|_| entry.status != EntryStatus::Firing) {
        fact("ended", "at", scribe.time(at, false));
    }
    let shown = buttons(&alert["links"]);
    let mut rest: Vec<Value> = alert["links"].as_array().into_iter().flatten().filter(|link| !shown.contains(link)).cloned().collect();
    if !text(alert, "image_url").is_empty() {
        rest.push(json!({ "label": scribe.word("image"), "url": text(alert, "image_url") }));
    }
    if !rest.is_empty() {
        fact("links", "links", rest.into());
    }
    facts.into()
}

fn row(entry: &Entry<'_>, alert: &Value, scribe: &Scribe<'_>, plan: &Plan) -> Row {
    let over = entry.status != EntryStatus::Firing;
    let severity = plan.scale.of(entry.alert);
    let place = [text(alert, "place"), text(alert, "where")].into_iter().find(|place| !place.is_empty()).unwrap_or_default();
    let severity_word = text(alert, "severity_word").to_owned();
    let pairs = |name: &str| -> Vec<Value> {
        alert[name].as_object().into_iter().flatten().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    };
    let since = match (entry.alert.starts_at, entry.alert.ends_at.filter(|_| over)) {
        (_, Some(at)) => scribe.time(at, true),
        (Some(at), None) => scribe.time(at, !over),
        (None, None) => Value::Null,
    };
    let state = if over { "over" } else { severity.as_str() };
    let labels: Vec<Value> = pairs("labels").into_iter().chain(pairs("annotations")).collect();
    let data = json!({
        "state": state, "icon": if over { "ok" } else { state }, "word": if over { scribe.word("over") } else { severity_word.as_str() },
        "name": text(alert, "name"), "place": place, "value": if over { "" } else { text(alert, "value") }, "since": since, "lead": lead(alert), "text": body(alert, &Value::Null),
        "copy": copies(alert), "links": alert["links"], "labels": labels,
    });
    let folded_by = FOLDED_BY.into_iter().map(|name| (name, entry.alert.label(name).to_owned())).collect();
    Row { over, severity, severity_word, place: place.to_owned(), folded_by, data }
}

/// What all say, the rows that are seen, and the others folded by where they are. Where the alerts have several names, each says its own. `shared` is what all
/// say but for the place, with a gap there: each row says the place, and its whole sentence when it is opened.
fn folded(mut rows: Vec<Row>, shared: &str, scribe: &Scribe<'_>) -> (String, Vec<Row>, Value) {
    let several = |of: &dyn Fn(&Row) -> String, rows: &[Row]| rows.iter().any(|row| of(row) != of(&rows[0]));
    let names = several(&|row| text(&row.data, "name").to_owned(), &rows);
    let leads = several(&|row| text(&row.data, "lead").to_owned(), &rows);
    let is_gapped = leads && shared.contains(GAP);
    let lead = match rows.first() {
        Some(_) if is_gapped => shared.to_owned(),
        Some(row) if !leads => text(&row.data, "lead").to_owned(),
        _ => String::new(),
    };
    for row in &mut rows {
        if names && !row.place.is_empty() {
            row.data["place"] = format!("{} · {}", text(&row.data, "name"), row.place).into();
        }
        if !is_gapped {
            let lead = row.data["lead"].take();
            row.data["say"] = if leads { lead } else { Value::Null };
        }
    }
    if rows.len() <= MAX_ROWS {
        return (lead, rows, Value::Null);
    }
    let severe = rows.iter().take_while(|row| !row.over && row.severity <= Severity::Error).count().min(MAX_ROWS);
    let rest = rows.split_off(severe);
    let by = FOLDED_BY.into_iter().find(|name| {
        let values: std::collections::BTreeSet<&str> = rest.iter().map(|row| row.folded_by[name].as_str()).collect();
        (2..=MAX_FOLDS).contains(&values.len())
    });
    let mut folds: Vec<(String, Vec<Row>)> = Vec::new();
    for row in rest {
        let place = by.map(|by| row.folded_by[by].clone()).filter(|place| !place.is_empty()).unwrap_or_else(|| scribe.word("elsewhere").to_owned());
        match folds.iter_mut().find(|(name, _)| *name == place) {
            Some((_, rows)) => rows.push(row),
            None => folds.push((place, vec![row])),
        }
    }
    let groups: Vec<Value> = folds
        .into_iter()
        .map(|(name, rows)| {
            let counts = scribe.counts(&rows);
            let mut group = json!({ "name": name, "counts": counts, "rows": rows.into_iter().map(|row| row.data).collect::<Vec<_>>() });
            show_controls(&mut group["name"]);
            group
        })
        .collect();
    (lead, rows, groups.into())
}

/// What happened, oldest first: it began, it came in, and what became of it on each channel.
fn events(found: &Found, scribe: &Scribe<'_>, plan: &Plan, entries: &[Entry<'_>]) -> Vec<Value> {
    let mut events = Vec::new();
    let mut add = |icon: &str, class: &str, text: String, word: &str, at: Option<Timestamp>| {
        let at = at.map_or(Value::Null, |at| scribe.time(at, false));
        events.push(json!({ "icon": icon, "class": class, "text": text, "word": word, "at": at }));
    };
    if let Some(at) = entries.iter().filter_map(|entry| entry.alert.starts_at).min() {
        add("clock", "", scribe.word("began").into(), "", Some(at));
    }
    if let (Some(at), Some(one)) = (found.received_at, found.alerts.first()) {
        add("in", "", filled(scribe.language, "came", &one.event.source, ""), "", Some(at.timestamp()));
    }
    // A channel that took several deliveries of the message is named once for each way they ended.
    let mut named: Vec<(String, crate::store::State)> = Vec::new();
    for row in &found.deliveries {
        let title = |channel: &str| match plan.channels.get(channel) {
            Some(known) => format!("{channel} · {}", known.platform.title),
            None => channel.to_owned(),
        };
        let instead = row.fallback_of.and_then(|id| found.deliveries.iter().find(|one| one.id == id)).map(|one| one.channel.as_str());
        let text = match instead {
            Some(first) => filled(scribe.language, "instead", &title(&row.channel), first),
            None => title(&row.channel),
        };
        if !named.contains(&(text.clone(), row.state)) {
            let (word, icon, class) = words::state(row.state);
            add(icon, class, text.clone(), scribe.word(word), row.done_at.map(UnixMs::timestamp));
            named.push((text, row.state));
        }
    }
    if let Some(at) = entries.iter().map(|entry| entry.alert.ends_at.filter(|_| entry.status != EntryStatus::Firing)).min().flatten()
        && found.left_out == 0
        && entries.iter().all(|entry| entry.status != EntryStatus::Firing)
    {
        add("ok", "ok", scribe.word("resolved").into(), "", Some(entries.iter().filter_map(|entry| entry.alert.ends_at).max().unwrap_or(at)));
    }
    events
}
