//! Values that must never be shown: tokens, passwords, webhook addresses.

use std::fmt;
use std::path::PathBuf;

/// A secret value. `Debug` and `Display` are masked; [`Secret::expose`] is for drivers and authentication only.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret(String);

impl Secret {
    /// Another secret made of this one for a purpose: the same everywhere, and of no use for finding this one.
    pub fn derived(&self, purpose: &str) -> Self {
        Self::new(super::hash_hex(&[purpose, self.expose()]))
    }

    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself (`tests/architecture/` lists who may call this).
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is the empty text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where a secret's value comes from: a literal, `{ env: NAME }` or `{ file: PATH }`. Reading one from YAML never fails and never echoes
/// the value: what is not understood becomes [`SecretSource::Invalid`], which `check` reports with its place.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// Something else than a text, `env` or `file`; the text says what is wrong, without the value.
    Invalid(&'static str),
    /// Written in the file itself.
    Literal(Secret),
    /// An environment variable; a trailing line break is not part of the value.
    Env(String),
    /// A file, likewise. Relative to the configuration file's folder.
    File(PathBuf),
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::Literal(_) => f.write_str("<secret>"),
            SecretSource::Invalid(why) => write!(f, "invalid: {why}"),
            SecretSource::Env(name) => write!(f, "env:{name}"),
            SecretSource::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl<'de> serde::Deserialize<'de> for SecretSource {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = SecretSource;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, `{ env: NAME }` or `{ file: PATH }`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SecretSource, E> {
                Ok(SecretSource::Literal(Secret::new(text)))
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<SecretSource, E> {
                Ok(SecretSource::Literal(Secret::new(number.to_string())))
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<SecretSource, E> {
                Ok(SecretSource::Literal(Secret::new(number.to_string())))
            }
            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<SecretSource, E> {
                Ok(SecretSource::Invalid("a number with a point loses digits; quote it"))
            }
            fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<SecretSource, E> {
                Ok(SecretSource::Invalid("this is a truth value; quote it if it is the secret"))
            }
            fn visit_unit<E: serde::de::Error>(self) -> Result<SecretSource, E> {
                Ok(SecretSource::Invalid("it is empty"))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<SecretSource, A::Error> {
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(SecretSource::Invalid("a list is not a secret; write a text, `{ env: NAME }` or `{ file: PATH }`"))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
                let mut source = SecretSource::Invalid("an empty mapping; write `{ env: NAME }` or `{ file: PATH }`");
                let mut seen = 0;
                while let Some(key) = map.next_key::<String>()? {
                    let value: serde_json::Value = map.next_value()?;
                    seen += 1;
                    source = match (key.as_str(), value) {
                        ("env", serde_json::Value::String(name)) if !name.is_empty() => SecretSource::Env(name),
                        ("file", serde_json::Value::String(path)) if !path.is_empty() => SecretSource::File(path.into()),
                        ("env", _) => SecretSource::Invalid("`env` takes the name of an environment variable"),
                        ("file", _) => SecretSource::Invalid("`file` takes a path"),
                        _ => SecretSource::Invalid("the only keys are `env` and `file`"),
                    };
                }
                if seen > 1 {
                    source = SecretSource::Invalid("write either `env` or `file`, once");
                }
                Ok(source)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for SecretSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A secret: a text, `{ env: NAME }` or `{ file: PATH }`.",
            "oneOf": [
                { "type": "string" },
                { "type": "object", "required": ["env"], "additionalProperties": false, "properties": { "env": { "type": "string" } } },
                { "type": "object", "required": ["file"], "additionalProperties": false, "properties": { "file": { "type": "string" } } },
            ]
        })
    }
}

/// Replaces every occurrence of the secrets (and of their percent-encoded forms) in `text`, then caps it at `max` bytes on a character boundary.
pub fn scrub(text: &str, secrets: &[&Secret], max: usize) -> String {
    let mut out = text.to_owned();
    for secret in secrets {
        // One- to three-letter "secrets" would blank out half of any text and protect nothing.
        if secret.0.len() < 4 {
            continue;
        }
        out = out.replace(&secret.0, "<secret>");
        let encoded = percent_encoding::utf8_percent_encode(&secret.0, percent_encoding::NON_ALPHANUMERIC).to_string();
        if encoded != secret.0 {
            out = out.replace(&encoded, "<secret>");
        }
    }
    if out.len() > max {
        let mut end = max;
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nowhere() {
        let secret = Secret::new("xoxb-123/456");
        assert_eq!(format!("{secret:?} {secret}"), "<secret> <secret>");
        assert_eq!(format!("{:?}", SecretSource::Literal(secret.clone())), "<secret>");
        let text = "GET https://x/?t=xoxb-123/456&u=xoxb%2D123%2F456";
        assert_eq!(scrub(text, &[&secret], 1024), "GET https://x/?t=<secret>&u=<secret>");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(scrub("告警告警", &[], 4), "告…");
    }
}
