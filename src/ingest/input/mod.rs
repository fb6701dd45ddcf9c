//! Bodies of senders that nobody knows, read through what the configuration says of them.
//!
//! The texts are compiled elsewhere; here they are only asked for their values.

mod block;
#[cfg(test)]
pub(super) mod tests;

pub use block::{InputBlock, InputProblem};

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use handlebars::Context;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::alert::{AlertList, Item, MAX_ALERTS};
use super::error::{IngestError, Source};
use super::event;
use super::form;
use super::json::{MAX_EXTRA, Trail, read};
use super::time;
use super::unread::described;
use super::value::Trees;
use super::{Parsed, SenderKind, begins_as_json, fingerprint};
use crate::model::{Alert, Labels, Note, Status, hash_hex};
use block::walks;

/// Words of a status that mean resolved, unless the input has its own.
const RESOLVED_WORDS: [&str; 5] = ["resolved", "ok", "normal", "recovered", "closed"];

/// Bytes that all texts of one body may become. Bounds what a small body can make of one long value and many alerts.
const MAX_TEXT: usize = 32 << 20;

/// A text that may walk the whole body, or failed, counts as this part of the body besides what it becomes.
const WALKED: usize = 8;

/// Bytes of a member that is kept of the first alert of a body of more than [`MAX_EXTRA`].
const SHORT: usize = 1024;
/// Such members that are kept.
const SHORT_MEMBERS: usize = 8;

/// What a text makes of an object: nobody can read that, and two of them would be the same.
const OBJECT: &str = "[object]";

/// A compiled text: what it makes of `{ body, alert }`; `None` when it fails on it.
pub type Text = Arc<dyn Fn(&Context) -> Option<String> + Send + Sync>;

/// The inputs there are, in the order in which a body is compared with them.
#[derive(Clone, Default)]
pub struct Inputs(IndexMap<String, Arc<Input>>);

impl Inputs {
    /// Adds an input; one of the same name that is there already stays.
    pub fn add(&mut self, input: Input) {
        self.0.entry(input.name.clone()).or_insert_with(|| Arc::new(input));
    }

    /// The input of that name.
    pub fn get(&self, name: &str) -> Option<&Input> {
        self.0.get(name).map(Arc::as_ref)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn chosen(&self, document: &Value) -> Option<&Input> {
        self.0.values().map(Arc::as_ref).find(|input| input.fits(document))
    }
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A named mapping, compiled.
pub struct Input {
    name: String,
    when: Vec<String>,
    parse: Vec<String>,
    alerts: Option<String>,
    fields: Vec<Field>,
    words: Words,
    identity: Vec<String>,
}

struct Field {
    target: Target,
    text: Text,
    /// What it becomes of a body that holds nothing: where it becomes that, nothing was found. `None`: it fails there.
    blank: Option<String>,
    /// The members of the body and of the alert that it names: where one is there, something was found, whatever is made of it.
    names: Vec<String>,
    /// Whether it may walk the whole body for each alert.
    walks: bool,
}

/// The members that a text names as `body.x` and `alert.x`, as pointers.
fn named(text: &str) -> Vec<String> {
    let of = |root: &'static str| {
        let places = text.split(root).skip(1).filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next());
        places.filter(|name| !name.is_empty()).map(move |name| format!("/{}/{name}", root.trim_end_matches('.')))
    };
    of("body.").chain(of("alert.")).collect()
}

enum Target {
    Label(String),
    Annotation(String),
    Severity,
    Status,
    StartsAt,
    EndsAt,
    GeneratorUrl,
}

/// What the sender's words mean, in lower case.
struct Words {
    severity_label: String,
    severities: Vec<(String, String)>,
    resolved: Vec<String>,
}

impl Input {
    /// Compiles an input. `compile` takes the path of a text below the input and the text; what it returns `None` for is left out (and was reported).
    pub fn new(name: &str, block: &InputBlock, severity_label: &str, mut compile: impl FnMut(&str, &str) -> Option<Text>) -> Self {
        let nothing = Context::from(json!({ "body": {}, "alert": {} }));
        let field = |(path, text): (String, &str)| {
            let target = match path.split_once('.') {
                Some(("labels", name)) => Target::Label(name.to_owned()),
                Some((_, name)) => Target::Annotation(name.to_owned()),
                None => match path.as_str() {
                    "severity" => Target::Severity,
                    "status" => Target::Status,
                    "starts_at" => Target::StartsAt,
                    "ends_at" => Target::EndsAt,
                    _ => Target::GeneratorUrl,
                },
            };
            let (walks, names, text) = (walks(text), named(text), compile(&path, text)?);
            Some(Field { target, blank: text(&nothing).map(|blank| blank.trim().to_owned()), text, names, walks })
        };
        let lower = |word: &String| word.trim().to_lowercase();
        let resolved = if block.resolved_values.is_empty() {
            RESOLVED_WORDS.map(str::to_owned).to_vec()
        } else {
            block.resolved_values.iter().map(lower).collect()
        };
        Self {
            name: name.to_owned(),
            when: block.when.clone(),
            parse: block.parse.clone(),
            alerts: block.alerts.clone(),
            fields: block.texts().into_iter().filter_map(field).collect(),
            words: Words {
                severity_label: severity_label.to_owned(),
                severities: block.severities.iter().map(|(word, meant)| (lower(word), meant.clone())).collect(),
                resolved,
            },
            identity: block.identity.clone(),
        }
    }

    fn fits(&self, document: &Value) -> bool {
        // Of a list the first entry may be the odd one.
        let bodies = if let Value::Array(items) = document { items } else { std::slice::from_ref(document) };
        !self.when.is_empty() && bodies.iter().take(16).any(|body| self.when.iter().all(|place| body.pointer(place).is_some()))
    }

    /// The event of a body. Refused are bodies where the alerts are missing, and those that lack a place of `when` and in which no text of the input finds
    /// anything: they are another sender's.
    fn event(&self, source: &Source<'_>, document: Value, left_out: u64, received_at: Timestamp) -> Result<Parsed, IngestError> {
        let refuse =
            |path: &str, what: &str| Err(source.error(source.start(), path, format!("no alert to deliver: the input `{}` {what}", self.name)));
        let keeps = source.text.len() <= MAX_EXTRA;
        let (list, found) = (AlertList { over: left_out, ..AlertList::default() }, self.fits(&document));
        let mut reading = Reading { list, found, literal: source.text.contains(OBJECT), spent: 0, walk: source.text.len() / WALKED };
        let mut rest = Value::Null;
        match (document, &self.alerts) {
            (Value::Array(items), None) => {
                for item in items.into_iter().map(|item| self.parsed(item)) {
                    let mut context = Context::from(json!({ "body": item }));
                    reading.take(self, &mut context, item, keeps);
                }
            }
            (document, None) => {
                let document = self.parsed(document);
                let mut context = Context::from(json!({ "body": document }));
                reading.take(self, &mut context, document, keeps);
            }
            (document, Some(place)) => {
                let mut document = self.parsed(document);
                let parts = match document.pointer_mut(place).map(|list| if keeps { list.clone() } else { list.take() }) {
                    None | Some(Value::Null) => return refuse(place, "finds no `alerts` in the body"),
                    Some(Value::Array(items)) => items,
                    Some(one) => vec![one],
                };
                if keeps {
                    rest = document.clone();
                    if let Some(list) = rest.pointer_mut(place) {
                        list.take();
                    }
                }
                let mut context = Context::from(json!({ "body": document }));
                for part in parts {
                    reading.take(self, &mut context, part, keeps);
                }
            }
        }
        if reading.list.alerts.is_empty() {
            return refuse(self.alerts.as_deref().unwrap_or_default(), "finds an empty list");
        }
        if !reading.found {
            return refuse(self.alerts.as_deref().unwrap_or_default(), "finds none of its values in the body");
        }
        let mut event = event::from_alerts(SenderKind::Generic, reading.list, received_at);
        event.receiver.clone_from(&self.name);
        event.apart = !self.identity.is_empty();
        event.notes.extend((!keeps).then_some(Note::Extra));
        if let Value::Object(members) = rest {
            event.extra = members;
        }
        Ok(Parsed { event, org_id: None })
    }

    /// The body with its texts of JSON read.
    fn parsed(&self, mut document: Value) -> Value {
        for place in &self.parse {
            if let Some(inner) = document.pointer_mut(place)
                && let Value::String(text) = &*inner
                && let Ok(raw) = serde_json::from_str::<&RawValue>(text.trim())
            {
                *inner = Trees::default().tree(raw.get());
            }
        }
        document
    }
}

/// The alerts of a body while they are read.
struct Reading {
    list: AlertList,
    /// Whether it is a body of the input's sender: by `when`, or because a text found anything.
    found: bool,
    /// Whether the sender itself writes what an object would become.
    literal: bool,
    /// Bytes that texts have become.
    spent: usize,
    /// What is added for a text that walked the body.
    walk: usize,
}

impl Reading {
    fn take(&mut self, input: &Input, context: &mut Context, part: Value, keeps: bool) {
        let part = match part {
            Value::Null => return,
            Value::Object(_) => part,
            other => {
                self.list.odd += 1;
                let text = if let Value::String(text) = &other { text.clone() } else { other.to_string() };
                return self.push(Item::of_text(&text).alert);
            }
        };
        if self.list.alerts.len() >= MAX_ALERTS || self.spent > MAX_TEXT {
            self.list.over += 1;
            return;
        }
        if let Value::Object(data) = context.data_mut() {
            data.insert("alert".into(), part);
        }
        let (mut alert, failed) = self.alert(input, context);
        let part = context.data_mut().get_mut("alert").map(Value::take).unwrap_or_default();
        if failed || alert.name().is_empty() {
            self.list.odd += 1;
            describe(&mut alert, input, &part);
        }
        if let Some(identity) = identity(input, &alert.labels) {
            alert.fingerprint = identity;
        }
        if let Value::Object(mut members) = part {
            // Of a large body short members are kept: they may say where it goes.
            if !keeps {
                let short = members.into_iter().filter(|(_, value)| value.as_str().is_some_and(|text| text.len() <= SHORT));
                members = if self.list.alerts.is_empty() { short.take(SHORT_MEMBERS).collect() } else { serde_json::Map::new() };
            }
            alert.extra = members;
        }
        self.push(alert);
    }

    fn push(&mut self, alert: Alert) {
        self.list.words.push(Some(alert.status));
        self.list.alerts.push(alert);
    }

    /// The alert that the texts make, and whether one of them failed.
    fn alert(&mut self, input: &Input, context: &Context) -> (Alert, bool) {
        let (mut alert, mut failed) = (Alert::default(), false);
        for field in &input.fields {
            let text = (field.text)(context).filter(|text| self.literal || !text.contains(OBJECT));
            if field.walks || text.is_none() {
                self.spent += self.walk;
            }
            let Some(text) = text else {
                failed = true;
                continue;
            };
            self.spent += text.len();
            let value = text.trim();
            if value.is_empty() {
                continue;
            }
            let says = || {
                field.blank.as_deref() != Some(value)
                    || field.names.iter().any(|place| context.data().pointer(place).is_some_and(|value| !value.is_null()))
            };
            self.found = self.found || (matches!(field.target, Target::Label(_) | Target::Annotation(_)) && says());
            match &field.target {
                Target::Label(name) => drop(alert.labels.insert(name.clone(), value.to_owned())),
                Target::Annotation(name) => drop(alert.annotations.insert(name.clone(), value.to_owned())),
                Target::Severity => {
                    let word = value.to_lowercase();
                    let meant = input.words.severities.iter().find(|(known, _)| *known == word).map_or(value, |(_, meant)| meant.as_str());
                    alert.labels.entry(input.words.severity_label.clone()).or_insert_with(|| meant.to_owned());
                }
                Target::Status if input.words.resolved.contains(&value.to_lowercase()) => alert.status = Status::Resolved,
                Target::Status => {}
                Target::StartsAt => alert.starts_at = time::parse(value),
                Target::EndsAt => alert.ends_at = time::parse(value),
                Target::GeneratorUrl => value.clone_into(&mut alert.generator_url),
            }
        }
        (alert, failed)
    }
}

/// What could not be read as it was meant is shown as text, and distinguishes the alert from others.
fn describe(alert: &mut Alert, input: &Input, part: &Value) {
    let raw = part.to_string();
    let (name, text) = described(&raw);
    if alert.name().is_empty() {
        alert.fingerprint = hash_hex(&["entry", &raw]);
        alert.labels.insert("alertname".into(), name.unwrap_or_else(|| input.name.clone()));
    }
    let shown = alert.annotations.entry("description".into()).or_default();
    if !shown.is_empty() {
        shown.push_str("\n\n");
    }
    shown.push_str(&text);
}

/// The fingerprint of an alert by the labels that the input names; `None` when it names none, or the alert lacks one of them.
fn identity(input: &Input, labels: &Labels) -> Option<String> {
    let own: Labels =
        input.identity.iter().map(|name| labels.get_key_value(name).map(|(name, value)| (name.clone(), value.clone()))).collect::<Option<_>>()?;
    (!own.is_empty()).then(|| fingerprint(&own))
}

/// A body as a tree: JSON, or a form's fields as an object of texts.
pub(super) struct Document {
    tree: Value,
    left_out: u64,
}

impl Document {
    /// Reads a body; the error says why it is neither JSON nor a form.
    pub(super) fn of(source: &Source<'_>) -> Result<Self, IngestError> {
        if let Some(fields) = form::fields(source.text) {
            return Ok(Self {
                tree: fields.into_iter().map(|(name, value)| (name, Value::from(value))).collect::<serde_json::Map<_, _>>().into(),
                left_out: 0,
            });
        }
        begins_as_json(source)?;
        // One pass that only checks the syntax; from here on every slice is known to be well formed.
        let raw = read(source, source.text, "", &Trail::default(), PhantomData::<&RawValue>)?.get();
        let mut trees = Trees::default();
        let tree = trees.tree(raw);
        Ok(Self { tree, left_out: trees.left_out })
    }

    /// The event that an input makes of it.
    pub(super) fn by(self, source: &Source<'_>, input: &Input, received_at: Timestamp) -> Result<Parsed, IngestError> {
        input.event(source, self.tree, self.left_out, received_at)
    }

    /// The input that its members are of.
    pub(super) fn chosen<'i>(&self, inputs: &'i Inputs) -> Option<&'i Input> {
        inputs.chosen(&self.tree)
    }
}
