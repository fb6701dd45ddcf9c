//! Functions over texts, lists and maps.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use handlebars::JsonRender;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::model::Severity;

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

pub(super) fn matches(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let pattern = arguments.text(1);
    let known = REGEXES.read().unwrap_or_else(PoisonError::into_inner).get(&pattern).cloned();
    let regex = match known {
        Some(regex) => regex,
        None => {
            let regex = Arc::new(compile_regex(&pattern)?);
            let mut kept = REGEXES.write().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < MAX_CACHED_REGEXES {
                kept.insert(pattern, Arc::clone(&regex));
            }
            regex
        }
    };
    Ok(regex.is_match(&arguments.text(0)).into())
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

pub(super) fn join(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let between = if arguments.len() > 1 { arguments.text(1) } else { ", ".to_owned() };
    let parts: Vec<String> = match arguments.value(0) {
        Value::Array(list) => list.iter().map(JsonRender::render).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| format!("{name}={}", value.render())).collect(),
        Value::Null => Vec::new(),
        other => vec![other.render()],
    };
    Ok(parts.join(&between).into())
}

pub(super) fn replace(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let (text, from) = (arguments.text(0), arguments.text(1));
    Ok(if from.is_empty() { text } else { text.replace(&from, &arguments.text(2)) }.into())
}

pub(super) fn json(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    serde_json::to_string(arguments.value(0)).map(Value::from).map_err(|error| error.to_string())
}

pub(super) fn url_encode(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(utf8_percent_encode(&arguments.text(0), NON_ALPHANUMERIC).to_string().into())
}

pub(super) fn severity_color(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let text = arguments.text(0);
    if text == "resolved" {
        return Ok(color(Severity::Info, EntryStatus::Resolved).into());
    }
    let severity = Severity::ALL.into_iter().find(|severity| severity.as_str() == text).unwrap_or_default();
    Ok(color(severity, EntryStatus::Firing).into())
}

pub(super) fn sentence(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let stop = if arguments.root("language") == "zh" { '。' } else { '.' };
    Ok(full_stop(&arguments.text(0), stop).into())
}
