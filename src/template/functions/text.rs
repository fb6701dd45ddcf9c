//! Functions over texts.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::model::Severity;

use super::super::render::MAX_OUTPUT;
use super::super::view::{EntryStatus, color, full_stop, shorten};
use super::super::words;
use super::Arguments;

/// Largest compiled size of a regular expression in a template, in bytes.
const MAX_REGEX_BYTES: usize = 256 * 1024;
/// How many compiled expressions are kept.
const MAX_CACHED_REGEXES: usize = 128;

static REGEXES: LazyLock<RwLock<BTreeMap<String, Arc<Regex>>>> = LazyLock::new(RwLock::default);

/// Compiles an expression, or says in one line why it cannot be.
pub fn compile_regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).dfa_size_limit(MAX_REGEX_BYTES).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => format!("the expression is larger than {MAX_REGEX_BYTES} bytes when compiled"),
        error => format!("not a regular expression: {}", error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ")),
    })
}

/// The compiled expression, which is kept for the next message.
fn compiled(pattern: String) -> Result<Arc<Regex>, String> {
    let known = REGEXES.read().unwrap_or_else(PoisonError::into_inner).get(&pattern).cloned();
    if let Some(regex) = known {
        return Ok(regex);
    }
    let regex = Arc::new(compile_regex(&pattern)?);
    let mut kept = REGEXES.write().unwrap_or_else(PoisonError::into_inner);
    if kept.len() < MAX_CACHED_REGEXES {
        kept.insert(pattern, Arc::clone(&regex));
    }
    Ok(regex)
}

pub(super) fn matches(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(compiled(arguments.text(1))?.is_match(&arguments.text(0)).into())
}

pub(super) fn translate(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let key = arguments.text(0);
    let word = words::word(words::language(arguments.root("language")), &key).ok_or_else(|| format!("no word `{key}`"))?;
    let named = arguments.all_named();
    if named.is_empty() {
        return Ok(word.into());
    }
    let values: Vec<(&str, &str)> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(words::fill(word, &values).into())
}

pub(super) fn upper(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(arguments.text(0).to_uppercase().into())
}

pub(super) fn lower(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(arguments.text(0).to_lowercase().into())
}

pub(super) fn default(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let filled = |value: &&Value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    let found = (0..arguments.len()).map(|at| arguments.value(at)).find(filled);
    Ok(found.cloned().unwrap_or_else(|| Value::from("")))
}

pub(super) fn truncate(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let max = arguments.value(1).as_u64().ok_or("the second argument is a number of characters")?;
    Ok(shorten(&arguments.text(0), usize::try_from(max).unwrap_or(usize::MAX)).into())
}

pub(super) fn replace(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let (text, from, to) = (arguments.text(0), arguments.text(1), arguments.text(2));
    if from.is_empty() {
        return Ok(text.into());
    }
    replaced(&text, text.match_indices(&from).map(|(at, found)| (at..at + found.len(), to.clone())))
}

pub(super) fn regex_replace(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let (text, to) = (arguments.text(0), arguments.text(2));
    let regex = compiled(arguments.text(1))?;
    let expanded = |found: regex::Captures<'_>| {
        let mut out = String::new();
        found.expand(&to, &mut out);
        (found.get_match().range(), out)
    };
    replaced(&text, regex.captures_iter(&text).map(expanded))
}

/// A text with other text in these places; an error where it becomes larger than a field may be.
fn replaced(text: &str, places: impl Iterator<Item = (Range<usize>, String)>) -> Result<Value, String> {
    let (mut out, mut kept) = (String::with_capacity(text.len()), 0);
    for (place, to) in places {
        if out.len() + to.len() > MAX_OUTPUT {
            return Err(format!("the text becomes longer than {MAX_OUTPUT} bytes"));
        }
        out.push_str(&text[kept..place.start]);
        out.push_str(&to);
        kept = place.end;
    }
    out.push_str(&text[kept..]);
    Ok(out.into())
}

pub(super) fn base64_encode(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(STANDARD.encode(arguments.text(0)).into())
}

pub(super) fn base64_decode(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let bytes = STANDARD.decode(arguments.text(0).trim()).map_err(|_| "the argument is not base64")?;
    String::from_utf8(bytes).map(Value::from).map_err(|_| "what it encodes is not text".to_owned())
}

pub(super) fn json(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    serde_json::to_string(arguments.value(0)).map(Value::from).map_err(|error| error.to_string())
}

pub(super) fn url_encode(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(utf8_percent_encode(&arguments.text(0), NON_ALPHANUMERIC).to_string().into())
}

pub(super) fn severity_color(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let text = arguments.text(0);
    match text.as_str() {
        "resolved" => return Ok(color(Severity::Info, EntryStatus::Resolved).into()),
        "unreported" => return Ok(color(Severity::Info, EntryStatus::Unreported).into()),
        _ => {}
    }
    let severity = Severity::ALL.into_iter().find(|severity| severity.as_str() == text).unwrap_or_default();
    Ok(color(severity, EntryStatus::Firing).into())
}

pub(super) fn sentence(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let stop = if arguments.root("language") == "zh" { '。' } else { '.' };
    Ok(full_stop(&arguments.text(0), stop).into())
}
