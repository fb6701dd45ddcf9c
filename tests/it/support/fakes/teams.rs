//! Microsoft Teams, Workflows webhook: 202 means "queued" only. What the flow then drops (too large, wrong card,
//! a mention without its text) is recorded as dropped.

use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call, Verdict};
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;

/// Measured after wrapping; a request of 24.4 KB was refused in practice.
const MAX_BYTES: usize = 24 * 1024;

/// One flow.
pub struct Teams {
    /// The path of the flow's URL.
    pub path: String,
    /// The `sig` query parameter.
    pub sig: String,
    /// Whether the flow was switched off (404).
    pub removed: bool,
    /// Requests of the flow; 429 with `Retry-After`.
    pub pace: Limiter,
}

impl Teams {
    /// A flow at `/workflows/<id>/triggers/manual/paths/invoke`.
    pub fn new(id: &str, sig: &str) -> Self {
        let path = format!("/workflows/{id}/triggers/manual/paths/invoke");
        Self { path, sig: sig.to_owned(), removed: false, pace: Limiter::new(Pace::per(4, Duration::from_secs(1))) }
    }
}

fn fail(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": { "code": code, "message": message } })).refused(code)
}

impl Platform for Teams {
    fn name(&self) -> &'static str {
        "teams"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        if call.path != self.path || self.removed {
            return fail(404, "WorkflowNotFound", "The workflow could not be found.");
        }
        if call.param("sig") != Some(self.sig.as_str()) {
            return fail(401, "DirectApiAuthorizationRequired", "The request must be authenticated only by Shared Access scheme.");
        }
        if call.method != "POST" {
            return fail(405, "MethodNotAllowed", "The trigger accepts POST.");
        }
        let Some(body) = call.object().filter(|_| call.media_type() == "application/json") else {
            return fail(400, "InvalidRequestContent", "The request content is not valid and could not be deserialized.");
        };
        if let Err(wait) = self.pace.take("", call.now.mono_ms) {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            return fail(429, "WorkflowTriggerIsThrottled", "The request rate is too high.").header("retry-after", seconds);
        }
        let queued = Answer::new(202, "text/plain", "");
        let size = call.body.len();
        match read(&body) {
            _ if size > MAX_BYTES => queued.accepted(202, "").verdict(Verdict::Dropped).notes([format!("MessageSizeExceeded:{size}")]),
            Ok((text, to, notes)) => queued.accepted(202, text).to(to).notes(notes),
            Err(why) => queued.accepted(202, "").verdict(Verdict::Dropped).notes([why]),
        }
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace]
    }
}

fn read(body: &Value) -> Result<(String, Vec<String>, Vec<String>), String> {
    if body["type"] != "message" {
        return Err("type is not message".to_owned());
    }
    let attachments = body["attachments"].as_array().filter(|a| !a.is_empty()).ok_or("attachments is empty")?;
    let (mut texts, mut to, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for attachment in attachments {
        let card = &attachment["content"];
        if attachment["contentType"] != "application/vnd.microsoft.card.adaptive" || card["type"] != "AdaptiveCard" {
            return Err("not an adaptive card".to_owned());
        }
        if !matches!(card["version"].as_str(), Some("1.0" | "1.1" | "1.2" | "1.3" | "1.4" | "1.5")) {
            return Err(format!("card version {}", card["version"]));
        }
        let elements = card["body"].as_array().filter(|b| !b.is_empty()).ok_or("the card's body is empty")?;
        for element in elements {
            walk(element, &mut texts)?;
        }
        for action in card["actions"].as_array().into_iter().flatten() {
            let good =
                action["type"] == "Action.OpenUrl" && action["title"].is_string() && action["url"].as_str().is_some_and(|u| u.starts_with("http"));
            if !good {
                notes.push(format!("useless_action:{}", action["type"].as_str().unwrap_or("")));
            }
        }
        for entity in card["msteams"]["entities"].as_array().into_iter().flatten() {
            let tag = entity["text"].as_str().unwrap_or("");
            let id = entity["mentioned"]["id"].as_str().unwrap_or("");
            let good = entity["type"] == "mention" && tag.starts_with("<at>") && tag.ends_with("</at>") && !id.is_empty();
            if good && texts.iter().any(|t: &String| t.contains(tag)) {
                to.push(id.to_owned());
            } else {
                return Err(format!("mention {tag} does not stand in a text"));
            }
        }
    }
    Ok((texts.join("\n"), to, notes))
}

fn walk(element: &Value, texts: &mut Vec<String>) -> Result<(), String> {
    let known = [
        "TextBlock",
        "FactSet",
        "Container",
        "ColumnSet",
        "Column",
        "Image",
        "ImageSet",
        "RichTextBlock",
        "TextRun",
        "ActionSet",
        "Table",
        "TableRow",
        "TableCell",
    ];
    let kind = element["type"].as_str().unwrap_or("");
    if !known.contains(&kind) {
        return Err(format!("unknown element {kind:?}"));
    }
    if kind == "TextBlock" {
        let colour = element["color"].as_str().unwrap_or("default").to_lowercase();
        if !matches!(colour.as_str(), "default" | "dark" | "light" | "accent" | "good" | "warning" | "attention") {
            return Err(format!("unknown colour {colour}"));
        }
        texts.push(element["text"].as_str().ok_or("a TextBlock without text")?.to_owned());
    } else if let Some(text) = element["text"].as_str() {
        texts.push(text.to_owned());
    }
    for fact in element["facts"].as_array().into_iter().flatten() {
        texts.push(format!("{}: {}", fact["title"].as_str().ok_or("a fact without title")?, fact["value"].as_str().ok_or("a fact without value")?));
    }
    for list in ["items", "columns", "rows", "cells", "inlines"] {
        for child in element[list].as_array().into_iter().flatten() {
            // Columns, rows, cells and inline strings may leave out their type.
            match child {
                Value::String(s) => texts.push(s.clone()),
                _ if child["type"].is_null() => child["items"].as_array().into_iter().flatten().try_for_each(|c| walk(c, texts))?,
                _ => walk(child, texts)?,
            }
        }
    }
    Ok(())
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let path = Teams::new("flow1", "teams-sig-secret").path;
    let credentials = json!({ "path": format!("{path}?sig=teams-sig-secret") });
    let yaml: &'static str = format!("teams: {{ webhook: \"BASE{path}?sig=teams-sig-secret\" }}").leak();
    vec![Sample::new(credentials, || Teams::new("flow1", "teams-sig-secret")).channel("teams", "/workflows/", &["teams-sig-secret"], yaml)]
}
