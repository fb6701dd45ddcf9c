//! `GenericMapping`: how the configuration says where the alerts of a foreign body are.
//!
//! The shape and its own checks; applying it is the parent's business.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// Steps a pointer may have.
const MAX_STEPS: usize = 32;

/// How a body that is neither Alertmanager's nor Grafana's becomes alerts. Places are JSON pointers (RFC 6901), relative to one alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GenericMapping {
    /// Pointer to the alerts in the body: an array, or a single object. Default: the whole body (each entry, when it is an array).
    pub alerts: Option<String>,
    /// Label name to the place of its value. `alertname` must be among them.
    pub labels: BTreeMap<String, Field>,
    /// Annotation name to the place of its value.
    pub annotations: BTreeMap<String, Field>,
    /// The place of the word that says whether it fires. Default: it fires.
    pub status: Option<Field>,
    /// The words at `status` that mean resolved, in any case; everything else fires. Default: `resolved`, `ok`, `normal`, `recovered`, `closed`.
    pub resolved_values: Vec<String>,
    /// The place of the time it began.
    pub starts_at: Option<Field>,
    /// The place of the time it ended; used for resolved alerts.
    pub ends_at: Option<Field>,
    /// The place of its stable identity. Default: computed from the labels.
    pub fingerprint: Option<Field>,
    /// The place of the link to its source.
    pub generator_url: Option<Field>,
}

/// Where a value comes from: a pointer into the alert, `{ body: POINTER }` into the whole body, or `{ value: TEXT }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// JSON pointer relative to the alert.
    Pointer(String),
    /// JSON pointer relative to the whole body.
    Body(String),
    /// This text, whatever the body says.
    Value(String),
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldVisitor;
        impl<'de> Visitor<'de> for FieldVisitor {
            type Value = Field;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON pointer like `/event/name`, `{ body: POINTER }` or `{ value: TEXT }`")
            }
            fn visit_str<E: Error>(self, pointer: &str) -> Result<Field, E> {
                Ok(Field::Pointer(pointer.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
                let Some(key) = map.next_key::<String>()? else {
                    return Err(A::Error::custom("an empty mapping; write `{ value: TEXT }` or `{ body: POINTER }`"));
                };
                let field = match key.as_str() {
                    "value" => Field::Value(map.next_value::<Scalar>()?.0),
                    "body" => Field::Body(map.next_value()?),
                    _ => return Err(A::Error::unknown_field(&key, &["value", "body"])),
                };
                match map.next_key::<String>()? {
                    None => Ok(field),
                    Some(_) => {
                        map.next_value::<IgnoredAny>()?;
                        Err(A::Error::custom("write either `value` or `body`, once"))
                    }
                }
            }
        }
        deserializer.deserialize_any(FieldVisitor)
    }
}

impl JsonSchema for Field {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MappedField".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Where a value comes from: a JSON pointer into the alert, `{ body: POINTER }` into the whole body, or `{ value: TEXT }`.",
            "oneOf": [
                { "type": "string" },
                { "type": "object", "required": ["body"], "additionalProperties": false, "properties": { "body": { "type": "string" } } },
                { "type": "object", "required": ["value"], "additionalProperties": false,
                  "properties": { "value": { "type": ["string", "number", "boolean"] } } },
            ]
        })
    }
}

/// A text, or a number or truth value as it would be written.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl Visitor<'_> for ScalarVisitor {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// One mistake in a mapping, at a path below it (`labels.alertname`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingProblem {
    /// Path below the mapping.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl GenericMapping {
    /// Everything wrong with the mapping that can be seen without a body.
    pub fn check(&self) -> Vec<MappingProblem> {
        let mut problems = Vec::new();
        let mut problem = |path: String, message: &str, help: &str| {
            problems.push(MappingProblem { path, message: message.to_owned(), help: help.to_owned() });
        };
        if !self.labels.contains_key("alertname") {
            problem(
                "labels.alertname".into(),
                "there is no place for `alertname`, the name of messages and lanes",
                "map it to where the body names the problem, or give it a fixed text: `alertname: { value: Disk }`",
            );
        }
        let single = [
            ("status", &self.status),
            ("starts_at", &self.starts_at),
            ("ends_at", &self.ends_at),
            ("fingerprint", &self.fingerprint),
            ("generator_url", &self.generator_url),
        ];
        let pointers = self
            .alerts
            .iter()
            .map(|p| ("alerts".to_owned(), p.as_str()))
            .chain(self.labels.iter().filter_map(|(name, field)| Some((format!("labels.{name}"), field.pointer()?))))
            .chain(self.annotations.iter().filter_map(|(name, field)| Some((format!("annotations.{name}"), field.pointer()?))))
            .chain(single.into_iter().filter_map(|(name, field)| Some((name.to_owned(), field.as_ref()?.pointer()?))));
        for (path, pointer) in pointers {
            match steps(pointer) {
                Err(reason) => problem(path, reason, "write a JSON pointer: `/` before each step, as in `/event/0/name`; `` is the whole"),
                Ok(steps) if steps.len() > MAX_STEPS => problem(path, "the pointer has more than 32 steps", "map a place nearer to the top"),
                Ok(_) => {}
            }
        }
        let varies = |field: &Field| !matches!(field, Field::Value(_));
        if !self.labels.values().chain(self.annotations.values()).any(varies) {
            problem("labels".into(), "nothing of the body is shown: there are only fixed texts", "map at least one label or annotation to a place");
        }
        for (name, field) in [("starts_at", &self.starts_at), ("ends_at", &self.ends_at)] {
            if matches!(field, Some(Field::Value(_))) {
                problem(name.into(), "a fixed time is not the time of any alert", "map it to a place, or leave it out");
            }
        }
        if !self.resolved_values.is_empty() && self.status.is_none() {
            problem("resolved_values".into(), "there is no `status` to compare with", "add `status: /path/of/the/word`");
        }
        problems
    }
}

impl Field {
    fn pointer(&self) -> Option<&str> {
        match self {
            Field::Pointer(pointer) | Field::Body(pointer) => Some(pointer),
            Field::Value(_) => None,
        }
    }
}

/// The unescaped steps of a pointer, or why it is none.
pub(super) fn steps(pointer: &str) -> Result<Vec<String>, &'static str> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let Some(path) = pointer.strip_prefix('/') else { return Err("a JSON pointer begins with `/`") };
    path.split('/')
        .map(|step| {
            if step.replace("~0", "").replace("~1", "").contains('~') {
                return Err("in a JSON pointer `~` is written as `~0`, and `/` as `~1`");
            }
            Ok(step.replace("~1", "/").replace("~0", "~"))
        })
        .collect()
}
