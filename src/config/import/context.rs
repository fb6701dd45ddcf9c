//! What reading one configuration of a receiver needs: the global settings, names, secrets, and the keys that a platform's block has.

use serde_json::Value;

use super::reader::{Keys, Notes, scalar};
use super::text::Yaml;
use crate::config::schema::schema;

/// The longest part of a receiver's name that is kept: suffixes follow, and names have at most 64 characters.
const MAX_NAME: usize = 44;

/// Why a configuration is not carried, and what to do.
pub struct Unsupported {
    /// Why.
    pub why: String,
    /// What to do.
    pub todo: String,
}

impl Unsupported {
    /// Why, and what to do.
    pub fn new(why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { why: why.into(), todo: todo.into() }
    }
}

/// What a platform made of a configuration: blocks of which the first that the driver takes is used, and settings beside them.
pub struct Converted {
    /// The platform.
    pub platform: &'static str,
    /// Its block, in the order of preference.
    pub blocks: Vec<Yaml>,
    /// Settings of the channel itself (`proxy`).
    pub channel_settings: Vec<(&'static str, Yaml)>,
}

/// What reading one configuration needs.
pub struct ImportContext<'a, 'n> {
    /// The global settings.
    pub global: &'a mut Keys<'n>,
    /// What is reported.
    pub notes: &'a mut Notes,
    /// The channel that is made.
    pub channel: &'a str,
    /// Where in the file, for people: `slack_configs of receiver ops`.
    pub what: String,
    /// Which of the robots that an address names, from 0.
    pub robot: usize,
}

/// What to do about a configuration that stays a `log` block.
pub const REPLACE: &str = "replace the `log` block by hand";

/// The keys of a platform's block, from the schema of routes.yaml.
fn keys_of(platform: &str) -> Vec<String> {
    let schema = schema();
    let entry = &schema["$defs"]["ChannelConfig"]["properties"][platform];
    let Some(reference) = reference(entry) else { return Vec::new() };
    let Some(block) = reference.strip_prefix('#').and_then(|pointer| schema.pointer(pointer)) else { return Vec::new() };
    block["properties"].as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
}

fn reference(value: &Value) -> Option<&str> {
    match value {
        Value::Object(map) => map.get("$ref").and_then(Value::as_str).or_else(|| map.values().find_map(reference)),
        Value::Array(items) => items.iter().find_map(reference),
        _ => None,
    }
}

/// The first of these keys that a platform's block has.
pub fn key(platform: &str, candidates: &[&'static str]) -> Option<&'static str> {
    let keys = keys_of(platform);
    candidates.iter().find(|candidate| keys.iter().any(|key| key == *candidate)).copied()
}

/// A name that configurations take.
pub fn plain_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().take(MAX_NAME * 2) {
        if c.is_alphanumeric() || matches!(c, '_' | '.' | '-') {
            name.push(c);
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    let name: String = name.trim_matches(['-', '_', '.']).chars().take(MAX_NAME).collect();
    let name = name.trim_end_matches(['-', '_', '.']);
    if name.is_empty() { "unnamed".into() } else { name.to_owned() }
}

/// The text of a key of `keys`, else of `fallback` in the global settings.
pub fn or_global<'n>(keys: &mut Keys<'n>, key: &str, context: &mut ImportContext<'_, 'n>, fallback: &str) -> Option<&'n str> {
    let own = keys.text(key, context.notes);
    own.or_else(|| context.global.text(fallback, context.notes))
}

/// A secret of a configuration, else of the global settings: `api_url` or `api_url_file`, `slack_api_url` or `slack_api_url_file`.
/// A secret of the receiver's own is named after its channel, a global one after what it is.
pub fn secret<'n>(keys: &mut Keys<'n>, key: &str, context: &mut ImportContext<'_, 'n>, fallback: Option<&str>, name: &str) -> Option<Yaml> {
    let file = format!("{key}_file");
    let (literal, path) = (keys.take(key), keys.take(&file));
    if literal.and_then(scalar).is_some() || path.and_then(scalar).is_some() {
        let holds = format!("`{key}` of {}", context.what);
        let variable = format!("{}_{name}", context.channel);
        return context.notes.secret(literal, path, &variable, &holds);
    }
    let fallback = fallback?;
    let (literal, path) = (context.global.take(fallback), context.global.take(&format!("{fallback}_file")));
    context.notes.secret(literal, path, name, &format!("`global.{fallback}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_platform_are_those_of_its_block() {
        assert_eq!(key("slack", &["hook", "webhook"]), Some("webhook"));
        assert_eq!(key("slack", &["hook"]), None);
        assert_eq!(key("nosuch", &["webhook"]), None);
    }
}
