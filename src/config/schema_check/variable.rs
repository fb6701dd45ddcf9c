//! `{ env: NAME, default: TEXT }` in place of a text: where a text or a number belongs, an environment variable may hold it. Secrets have their own way.

use super::Checker;
use super::schema::Alternative;
use super::value_types::ValueTypes;
use super::wording::{is_matchers, words};
use crate::config::codes;
use crate::config::source::Anchor;
use crate::model::Finding;
use crate::model::yaml::{Entry, Kind, Path, Resolved, Scalar, Style};

/// A text that an environment variable holds.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Where it is used.
    pub path: Path,
    /// The variable's name.
    pub name: String,
    /// Its value, or the default; empty when its file may not name it.
    pub value: String,
}

impl<'s> Checker<'s, '_, '_> {
    /// Whether a mapping is a variable: a scalar belongs there, and no mapping that has a key of this name. Among other labels `env` is one of them.
    pub(super) fn is_variable(&self, entries: &[Entry], alternatives: &[Alternative<'s>], accepted: ValueTypes, path: &Path) -> bool {
        let scalar = accepted.text || accepted.integer || accepted.number || !words(alternatives).is_empty();
        let is_key = |alternative: &Alternative<'s>| alternative.kinds.map && self.schema.property(alternative.schema, "env").is_some();
        let are_labels = is_matchers(path) && entries.iter().any(|entry| !matches!(entry.key.as_str(), "env" | "default"));
        scalar && !are_labels && entries.iter().any(|entry| entry.key == "env") && !alternatives.iter().any(is_key)
    }

    /// The value of a variable as a text in quotes; an empty variable counts as one that is not set. What is wrong is reported.
    pub(super) fn read_variable(&mut self, entries: &[Entry], path: &Path) -> Option<Scalar> {
        let text = |key: &str| {
            let value = entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)?;
            match &value.kind {
                Kind::Scalar(scalar) if !value.is_null() => Some(scalar.text.clone()),
                _ => None,
            }
        };
        if let Some(other) = entries.iter().find(|entry| !matches!(entry.key.as_str(), "env" | "default")) {
            let finding = Finding::error(codes::UNKNOWN_KEY, format!("unknown key `{}`", other.key)).label("keys here: `env`, `default`");
            self.report.add_at(finding, path, Some(other.key_span));
            return None;
        }
        let Some(name) = text("env").filter(|name| !name.is_empty()) else {
            let label = "write `{ env: NAME }`, or `{ env: NAME, default: .. }`";
            self.report.error(codes::WRONG_TYPE, path, Anchor::Value, format!("`env` of `{path}` names no environment variable"), label);
            return None;
        };
        // Reported later, with the other names that belong to somebody else; until then nothing may quote the value.
        if !(self.may_name)(self.report.source.file_of(path), &name) {
            self.validated.variables.push(Variable { path: path.clone(), name, value: String::new() });
            return None;
        }
        let Some(value) = (self.env)(&name).filter(|value| !value.is_empty()).or_else(|| text("default")) else {
            let known = self.validated.missing.contains(&name);
            if !known {
                let message = format!("`{path}` has no value: environment variable {name} is not set");
                // A label of this name is hardly rare.
                let label = match is_matchers(path) {
                    true => format!("for the label `env` write `matchers: ['env=\"{name}\"']`; for a variable set {name}"),
                    false => format!("set {name}, or write `{{ env: {name}, default: .. }}`"),
                };
                self.report.error(codes::MISSING_VARIABLE, path, Anchor::Value, message, label);
                self.validated.missing.insert(name);
            }
            return None;
        };
        self.validated.variables.push(Variable { path: path.clone(), name, value: value.clone() });
        Some(Scalar { text: value, style: Style::Double, resolved: Resolved::Text })
    }
}
