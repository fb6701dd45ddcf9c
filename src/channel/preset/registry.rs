//! The presets there are: the shipped ones, and those of the user's template folder, which come first. Reading one finds everything wrong with it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use include_dir::{Dir, include_dir};

use super::file::{ParameterKind, Preset, Request, ResponseClass, When};
use super::{living, request, response, ringing};
use crate::model::{ErrorKind, yaml};

static SHIPPED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/presets");

/// The largest preset file, in bytes.
const MAX_FILE: usize = 64 * 1024;

/// The longest that a message may ring, in seconds: one that nobody acknowledges by then falls back a day late.
const MAX_RINGING: u32 = 86_400;

/// Names that every request may mention.
pub const MESSAGE_PARAMETERS: &[&str] = &["title", "text", "heading", "markdown", "link", "severity", "status", "key", "mentions"];

/// Names that `edit` and `reply` may mention as well: the earlier message's id and key.
pub const EARLIER_PARAMETERS: &[&str] = &["message_id", "message_key"];

/// Keys under `people:` whose values are names or ids on a service.
pub const PEOPLE: &[&str] = &["slack", "telegram", "dingtalk", "wecom", "feishu", "discord", "zulip", "mattermost"];

/// Presets by name.
#[derive(Debug, Clone, Default)]
pub struct PresetRegistry {
    own: BTreeMap<String, Result<Arc<Preset>, String>>,
}

static BUILT_IN: LazyLock<BTreeMap<String, Arc<Preset>>> = LazyLock::new(|| {
    let name = |file: &include_dir::File<'_>| file.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let files = SHIPPED.files().filter_map(|file| Some((name(file)?, file.contents_utf8()?)));
    // A test reads every shipped file and wants no fault in it.
    files.filter_map(|(name, text)| Some((name, Arc::new(read(text).ok()?)))).collect()
});

impl PresetRegistry {
    /// Adds a preset of the user's; it hides a shipped one of the same name.
    pub fn add(&mut self, name: String, preset: Preset) {
        self.own.insert(name, Ok(Arc::new(preset)));
    }

    /// Notes that a preset of the user's cannot be used, and why; a shipped one of the same name does not replace it.
    pub fn refuse(&mut self, name: String, why: String) {
        self.own.insert(name, Err(why));
    }

    /// The preset of that name, if it can be used.
    pub fn get(&self, name: &str) -> Option<Arc<Preset>> {
        match self.own.get(name) {
            Some(own) => own.as_ref().ok().cloned(),
            None => BUILT_IN.get(name).cloned(),
        }
    }

    /// Why a preset of the user's cannot be used.
    pub fn load_error(&self, name: &str) -> Option<&str> {
        self.own.get(name)?.as_ref().err().map(String::as_str)
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.own.keys().chain(BUILT_IN.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Reads a preset; every sentence of the error names the key and says what to do.
pub fn read(text: &str) -> Result<Preset, Vec<String>> {
    if text.len() > MAX_FILE {
        return Err(vec![format!("it is larger than {} KiB", MAX_FILE / 1024)]);
    }
    let preset: Preset = yaml::read(text)?;
    let faults = check(&preset);
    if faults.is_empty() { Ok(preset) } else { Err(faults) }
}

/// One of the requests by itself.
fn check_request(preset: &Preset, key: &str, request: &Request) -> Vec<String> {
    let mut found = Vec::new();
    let mentioned = living::mentioned(request);
    for name in &mentioned {
        let known = MESSAGE_PARAMETERS.contains(name) || key != "request" && EARLIER_PARAMETERS.contains(name);
        if !known && !preset.parameters.contains_key(*name) && !preset.by_severity.contains_key(*name) {
            found.push(format!("`{{{{{name}}}}}` in `{key}` is not a parameter; add it under `parameters`"));
        }
    }
    if !mentioned.contains(&"text") && !mentioned.contains(&"markdown") {
        found.push(format!("`{key}` carries no message; use `{{{{text}}}}` or `{{{{markdown}}}}`"));
    }
    if mentioned.contains(&"text") && mentioned.contains(&"markdown") {
        found.push(format!("`{key}` uses both `{{{{text}}}}` and `{{{{markdown}}}}`; use the one that the service reads"));
    }
    if request.json.is_some() == request.form.is_some() {
        found.push(format!("`{key}` has one body: `json` or `form`"));
    }
    found.extend(check_address(preset, key, &request.url, &request.headers));
    found
}

fn check_address(preset: &Preset, key: &str, url: &str, headers: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    let begins = request::names(url).first().copied().filter(|name| url.starts_with(&format!("{{{{{name}}}}}")));
    let address = begins.and_then(|name| preset.parameters.get(name)).is_some_and(|parameter| parameter.kind == ParameterKind::Address);
    if !address && !url.starts_with("https://") && !url.starts_with("http://") {
        found.push(format!("`{key}.url` begins with `https://` or with a parameter whose kind is `address`"));
    }
    for name in headers.keys().filter(|name| reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err()) {
        found.push(format!("`{key}.headers.{name}` is not a header's name"));
    }
    found
}

/// How `cancel` and `receipt` find a message that rings.
fn check_ringing(preset: &Preset) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(request) = &preset.cancel {
        found.extend(check_names_of_sent(preset, "cancel", &living::mentioned(request)));
        found.extend(check_address(preset, "cancel", &request.url, &request.headers));
        if request.json.is_some() && request.form.is_some() {
            found.push("`cancel` has one body at most: `json` or `form`".to_owned());
        }
        if preset.receipt.is_none() {
            found.push("`cancel` needs `receipt`, which says until when a message rings".to_owned());
        }
    }
    if let Some(receipt) = &preset.receipt {
        found.extend(check_names_of_sent(preset, "receipt", &ringing::mentioned(receipt)));
        found.extend(check_address(preset, "receipt", &receipt.url, &receipt.headers));
        for (name, look) in [("acknowledged", &receipt.acknowledged), ("expired", &receipt.expired)] {
            if is_silent(look) {
                found.push(format!("`receipt.{name}` names only a status; name what the service itself says (`json`, `has`, `text` or `contains`)"));
            }
        }
        if receipt.seconds == 0 {
            found.push("`receipt.seconds` of 0 asks never; write how long a message rings, and a little more".to_owned());
        }
        if receipt.seconds > MAX_RINGING {
            found.push(format!("`receipt.seconds` is at most {MAX_RINGING}, a day; write how long a message rings, and a little more"));
        }
    }
    if preset.cancel.is_none() && preset.receipt.is_none() {
        return found;
    }
    if preset.id.is_none() {
        found.push("`cancel` and `receipt` find a message by its id, so `id` must point to it in the answer".to_owned());
    }
    if living::needs_key(preset) {
        found.push(
            "a message has one id where it can be cancelled; in `edit` and `reply` use `{{message_id}}` in place of `{{message_key}}`".to_owned(),
        );
    }
    found
}

/// The names in a request about a message that was sent, of which only the id is kept.
fn check_names_of_sent(preset: &Preset, key: &str, mentioned: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for name in mentioned.iter().filter(|name| **name != "message_id" && !preset.parameters.contains_key(**name)) {
        found.push(format!("`{{{{{name}}}}}` in `{key}` has no value there; use parameters and `{{{{message_id}}}}`"));
    }
    if !mentioned.contains(&"message_id") {
        found.push(format!("`{key}` names no message; use `{{{{message_id}}}}`"));
    }
    found
}

/// Whether it is about the status alone.
fn is_silent(look: &When) -> bool {
    look.json.is_empty() && look.has.is_empty() && look.text.is_none() && look.contains.is_none()
}

/// How `edit` and `reply` find the earlier message.
fn check_follow_ups(preset: &Preset, requests: &[(&str, &Request)]) -> Vec<String> {
    let mut found = Vec::new();
    if !preset.request.gone.is_empty() {
        found.push("`request.gone` has no earlier message to speak of; write it under `edit` or `reply`".to_owned());
    }
    for (key, request) in requests {
        if EARLIER_PARAMETERS.iter().all(|name| !living::mentions(request, name)) {
            found.push(format!("`{key}` names no earlier message; use `{{{{message_id}}}}` or `{{{{message_key}}}}`"));
        }
        if living::mentions(request, "message_id") && preset.id.is_none() {
            found.push(format!("`{key}` uses `{{{{message_id}}}}`, so `id` must point to it in the answer"));
        }
        if living::mentions(request, "message_key") && !living::mentions(&preset.request, "key") {
            found.push(format!("`{key}` uses `{{{{message_key}}}}`, so `request` must send `{{{{key}}}}`"));
        }
    }
    found
}

fn check(preset: &Preset) -> Vec<String> {
    let mut found = Vec::new();
    for name in preset.parameters.keys().chain(preset.by_severity.keys()) {
        if MESSAGE_PARAMETERS.contains(&name.as_str()) || EARLIER_PARAMETERS.contains(&name.as_str()) {
            found.push(format!("`{name}` is a name that every preset has; call it something else"));
        }
    }
    let requests = [("request", Some(&preset.request)), ("edit", preset.edit.as_ref()), ("reply", preset.reply.as_ref())];
    let requests: Vec<(&str, &Request)> = requests.into_iter().filter_map(|(key, request)| Some((key, request?))).collect();
    for (key, request) in &requests {
        found.extend(check_request(preset, key, request));
    }
    let about_sent = preset.cancel.iter().flat_map(living::mentioned).chain(preset.receipt.iter().flat_map(ringing::mentioned));
    let used: Vec<&str> = requests.iter().flat_map(|(_, request)| living::mentioned(request)).chain(about_sent).collect();
    for name in preset.parameters.keys().filter(|name| !used.contains(&name.as_str())) {
        found.push(format!("the parameter `{name}` is used nowhere in `request`; remove it or use it"));
    }
    if let Some(key) = &preset.people {
        if !PEOPLE.contains(&key.as_str()) {
            found.push(format!("`people: {key}` is no key of a person under `people:`; write one of {}", PEOPLE.join(", ")));
        }
        if !living::mentions(&preset.request, "mentions") {
            found.push("`people` names whom `{{mentions}}` pings; use that in `request`, or remove it".to_owned());
        }
    }
    found.extend(check_follow_ups(preset, &requests[1..]));
    found.extend(check_ringing(preset));
    if preset.success.is_empty() || preset.success.iter().any(is_silent) {
        found.push("`success` names only a status; name what the service itself says (`json`, `has`, `text` or `contains`)".to_owned());
    }
    if preset.limits.characters.is_none() && preset.limits.bytes.is_none() {
        found.push("`limits` has no length; write `characters` or `bytes`".to_owned());
    }
    if [preset.limits.title, preset.limits.characters, preset.limits.bytes].into_iter().flatten().any(|limit| limit < 16) {
        found.push("a limit below 16 leaves no room for a message".to_owned());
    }
    if preset.pace.iter().any(|rate| rate.count == 0 || rate.seconds == 0) {
        found.push("`pace` with a 0 lets nothing through; write at least 1".to_owned());
    }
    if preset.breaks.iter().any(|what| what.chars().count() < 2 && what != "@") {
        found.push("`breaks` names what begins a mention or a link, in two characters or more, or `@`".to_owned());
    }
    found.extend(check_fixtures(preset));
    found
}

/// Holds the preset to the answers on record.
fn check_fixtures(preset: &Preset) -> Vec<String> {
    let mut found = Vec::new();
    for (place, answer) in preset.fixtures.iter().enumerate() {
        let response = response::Response::new(answer.status, &answer.body);
        let is_gone =
            || [&preset.edit, &preset.reply, &preset.cancel].into_iter().flatten().any(|request| request.gone.iter().any(|look| response.is(look)));
        let told = match response::classify(preset, &response) {
            _ if answer.means == ResponseClass::Gone && is_gone() => Some(ResponseClass::Gone),
            _ if answer.means == ResponseClass::Acknowledged && preset.receipt.as_ref().is_some_and(|receipt| response.is(&receipt.acknowledged)) => {
                Some(ResponseClass::Acknowledged)
            }
            _ if answer.means == ResponseClass::Expired && preset.receipt.as_ref().is_some_and(|receipt| response.is(&receipt.expired)) => {
                Some(ResponseClass::Expired)
            }
            Some(response::Meaning::Delivered | response::Meaning::Known) => Some(ResponseClass::Delivered),
            Some(response::Meaning::Refused(kind, _)) => Some(match kind {
                ErrorKind::RateLimited { .. } => ResponseClass::RateLimited,
                ErrorKind::Misconfigured => ResponseClass::Misconfigured,
                ErrorKind::Transient => ResponseClass::Transient,
                _ => ResponseClass::Rejected,
            }),
            // For what no line knows the status decides.
            None if answer.status == 429 => Some(ResponseClass::RateLimited),
            None if answer.status >= 500 => Some(ResponseClass::Transient),
            None => None,
        };
        if told != Some(answer.means) {
            let told = told.map_or("nothing that `success` or `errors` knows".to_owned(), |told| format!("{told:?}"));
            found.push(format!("`fixtures[{place}]` should mean {:?}, but it means {told}", answer.means));
        }
    }
    if !preset.fixtures.iter().any(|answer| answer.means == ResponseClass::Delivered) || preset.fixtures.len() < 2 {
        found.push("`fixtures` holds at least one answer to a delivered message and one refusal".to_owned());
    }
    found
}
