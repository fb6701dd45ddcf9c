//! Writes YAML: mappings, lists and texts, quoted only where a reader of YAML 1.1 or 1.2 would take a bare text for something else.
//! Knows nothing of what it writes.

use serde_yaml::Value;

use crate::model::yaml::{Kind, Node, Resolved, resolve};

/// Wider collections are written over several lines.
const FLOW: usize = 110;

/// A value to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Yaml {
    /// A text, quoted where needed.
    Text(String),
    /// A number or truth value, written as it is.
    Bare(String),
    /// A list.
    List(Vec<Yaml>),
    /// A mapping, in this order.
    Map(Vec<Entry>),
}

/// A key, its value, and the comment lines above it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Yaml,
    /// Lines above it, without `#`.
    pub comment: Vec<String>,
}

impl Yaml {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A truth value.
    pub fn bool(value: bool) -> Self {
        Self::Bare(value.to_string())
    }

    /// A list of texts.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::Text(text.into())).collect())
    }

    /// A mapping.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Yaml)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| Entry { key: key.into(), value, comment: Vec::new() }).collect())
    }

    /// Adds a key to a mapping.
    pub fn push(&mut self, key: &str, value: Yaml) {
        if let Self::Map(entries) = self {
            entries.push(Entry { key: key.to_owned(), value, comment: Vec::new() });
        }
    }

    /// Adds a key with comment lines above it.
    pub fn push_noted(&mut self, key: &str, value: Yaml, comment: Vec<String>) {
        if let Self::Map(entries) = self {
            entries.push(Entry { key: key.to_owned(), value, comment });
        }
    }

    /// Adds the keys of another mapping.
    pub fn extend(&mut self, other: &Self) {
        if let (Self::Map(entries), Self::Map(more)) = (self, other) {
            entries.extend(more.iter().cloned());
        }
    }

    /// What was read, to be written again; aliases are written out.
    pub fn of(node: &Node) -> Self {
        match &node.kind {
            Kind::List(items) => Self::List(items.iter().map(Self::of).collect()),
            Kind::Map(entries) => {
                Self::Map(entries.iter().map(|e| Entry { key: e.key.clone(), value: Self::of(&e.value), comment: Vec::new() }).collect())
            }
            Kind::Scalar(scalar) => match scalar.resolved {
                Resolved::Text => Self::Text(scalar.text.clone()),
                _ => Self::Bare(if scalar.text.is_empty() { "null".into() } else { scalar.text.clone() }),
            },
        }
    }

    /// The value that a reader of what is written gets.
    pub fn value(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Bare(text) => resolve(text).value(text),
            Self::List(items) => Value::Sequence(items.iter().map(Self::value).collect()),
            Self::Map(entries) => Value::Mapping(entries.iter().map(|entry| (Value::String(entry.key.clone()), entry.value.value())).collect()),
        }
    }

    fn has_comments(&self) -> bool {
        match self {
            Self::Map(entries) => entries.iter().any(|e| !e.comment.is_empty() || e.value.has_comments()),
            Self::List(items) => items.iter().any(Self::has_comments),
            _ => false,
        }
    }

    /// On one line.
    pub fn flow(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Bare(text) => text.clone(),
            Self::List(items) => format!("[{}]", items.iter().map(Self::flow).collect::<Vec<_>>().join(", ")),
            Self::Map(entries) if entries.is_empty() => "{}".into(),
            Self::Map(entries) => {
                let inside: Vec<String> = entries.iter().map(|e| format!("{}: {}", quoted(&e.key), e.value.flow())).collect();
                format!("{{ {} }}", inside.join(", "))
            }
        }
    }

    /// Whether it fits on one line that has `used` characters already.
    fn fits(&self, used: usize) -> bool {
        let deep = |items: &[Yaml]| items.iter().any(|item| matches!(item, Self::Map(inner) if inner.len() > 2));
        match self {
            Self::Text(_) | Self::Bare(_) => true,
            Self::Map(entries) if entries.is_empty() => true,
            Self::List(items) if items.is_empty() => true,
            Self::List(items) => !self.has_comments() && !deep(items) && self.flow().chars().count() + used <= FLOW,
            Self::Map(entries) => {
                entries.len() <= 2
                    && !self.has_comments()
                    && entries.iter().all(|e| e.value.fits(used) && !matches!(&e.value, Self::Map(inner) if inner.len() > 1))
                    && self.flow().chars().count() + used <= FLOW
            }
        }
    }

    /// Over several lines, each indented by `indent`.
    pub fn block(&self, indent: usize, out: &mut String) {
        let pad = " ".repeat(indent);
        match self {
            Self::Map(entries) => {
                for entry in entries {
                    for line in &entry.comment {
                        out.push_str(&format!("{pad}## {line}\n"));
                    }
                    let key = quoted(&entry.key);
                    if entry.value.fits(indent + key.chars().count() + 2) {
                        out.push_str(&format!("{pad}{key}: {}\n", entry.value.flow()));
                    } else {
                        out.push_str(&format!("{pad}{key}:\n"));
                        entry.value.block(indent + 2, out);
                    }
                }
            }
            Self::List(items) => {
                for item in items {
                    if item.fits(indent + 2) && !matches!(item, Self::Map(entries) if entries.len() > 1) {
                        out.push_str(&format!("{pad}- {}\n", item.flow()));
                        continue;
                    }
                    let mut inner = String::new();
                    item.block(indent + 2, &mut inner);
                    // Comment lines of the first key go above the dash.
                    let (notes, rest): (Vec<&str>, Vec<&str>) = {
                        let lines: Vec<&str> = inner.lines().collect();
                        let first = lines.iter().position(|line| !line.trim_start().starts_with('#')).unwrap_or(0);
                        (lines[..first].to_vec(), lines[first..].to_vec())
                    };
                    for note in notes {
                        out.push_str(&format!("{pad}{}\n", note.trim_start()));
                    }
                    for (ix, line) in rest.iter().enumerate() {
                        match ix {
                            0 => out.push_str(&format!("{pad}- {}\n", line.trim_start())),
                            _ => out.push_str(&format!("{line}\n")),
                        }
                    }
                }
            }
            scalar => out.push_str(&format!("{pad}{}\n", scalar.flow())),
        }
    }
}

/// A text as a scalar.
pub fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/' | '.'))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | '+'))
        && resolve(text) == Resolved::Text
        && !matches!(text.to_ascii_lowercase().as_str(), "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null" | "." | "..");
    if plain {
        return text.to_owned();
    }
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')) {
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                    out.push_str(&format!("\\U{:08x}", u32::from(c)))
                }
                c => out.push(c),
            }
        }
        out.push('"');
        return out;
    }
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let texts = [
            "a",
            "yes",
            "No",
            "1",
            "1.0",
            "~",
            "",
            "a: b",
            "#x",
            "'",
            "\"",
            "a\nb",
            "\u{1}\u{2028}",
            "x#y",
            "- a",
            "9:00",
            "null",
            "é世",
            "{a}",
            "a\\b",
        ];
        let value = Yaml::map([
            ("list", Yaml::texts(texts)),
            ("n", Yaml::Bare("7".into())),
            ("deep", Yaml::List(vec![Yaml::map([("a", Yaml::text("1")), ("b", Yaml::map([("c", Yaml::bool(true)), ("no", Yaml::texts(texts))]))])])),
        ]);
        let mut out = String::new();
        value.block(0, &mut out);
        for text in [out, value.flow()] {
            let back: serde_json::Value = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
            assert_eq!(back["list"], serde_json::json!(texts), "{text}");
            assert_eq!(back["n"], 7);
            assert_eq!(back["deep"][0]["a"], "1");
            assert_eq!(back["deep"][0]["b"]["c"], true);
            assert_eq!(back["deep"][0]["b"]["no"], serde_json::json!(texts));
            assert_eq!(serde_yaml::from_value::<serde_json::Value>(value.value()).unwrap(), back, "{text}");
        }
    }

    #[test]
    fn comments_stand_above_what_they_are_about() {
        let mut inner = Yaml::map::<&str>([]);
        inner.push_noted("to", Yaml::texts(["x"]), vec!["why".into()]);
        inner.push("at", Yaml::text("y"));
        let mut out = String::new();
        Yaml::map([("routes", Yaml::List(vec![inner]))]).block(0, &mut out);
        assert_eq!(out, "routes:\n  ## why\n  - to: [x]\n    at: 'y'\n");
    }
}
