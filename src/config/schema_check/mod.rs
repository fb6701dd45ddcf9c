//! Checks a YAML tree against the JSON Schema that the configuration's types generate: unknown keys, wrong kinds, missing keys, words and numbers
//! out of range, all at once and each with its place. Returns the value without the faulty parts, so that the rest can still be checked for sense.

pub(super) mod alertmanager;
mod misspelt;
pub(super) mod renamed;
mod schema;
#[cfg(test)]
mod tests;
mod value_types;
mod variable;
mod wording;

use std::collections::BTreeSet;

use serde_json::Value as Json;
use serde_yaml::Value;

pub use self::misspelt::correct;
use self::renamed::renamed;
use self::schema::{Alternative, Schema};
use self::value_types::ValueTypes;
pub use self::variable::Variable;
use self::wording::{BY_LABEL, expected, former, is_destination, is_matchers, is_word, matchers_of, named, quoted, unreplaced, variable_in, words};
use super::codes;
use super::report::Report;
use super::secrets::Environment;
use super::source::Anchor;
use super::suggest::{hint, listed};
use crate::model::yaml::{Entry, Kind, Node, Path, Resolved, Scalar};
use crate::model::{Secret, SecretSource};
use crate::route::Op;

/// A secret that is in the file, by any of its three ways.
#[derive(Debug, Clone)]
pub struct SecretLocation {
    /// Where it is.
    pub path: Path,
    /// How it is written.
    pub source: SecretSource,
}

/// What the check returns besides findings.
#[derive(Debug, Default)]
pub struct Validated {
    /// Every secret.
    pub secrets: Vec<SecretLocation>,
    /// Every text that an environment variable holds.
    pub variables: Vec<Variable>,
    /// Names of environment variables that are not set; each is reported once.
    missing: BTreeSet<String>,
}

/// Whether a file, by its number in the source, may name an environment variable.
pub type MayName<'f> = dyn Fn(usize, &str) -> bool + 'f;

/// Checks `node` (at `path`) against a root schema. `None` when nothing of it can be used. Variables that `may_name` refuses are not read.
pub fn check(
    node: &Node,
    path: &Path,
    root: &Json,
    env: &Environment,
    may_name: &MayName<'_>,
    report: &mut Report<'_>,
) -> (Option<Value>, Validated) {
    let mut checker = Checker { schema: Schema::new(root), env, may_name, report, validated: Validated::default() };
    let value = checker.value(node, root, path);
    (value, checker.validated)
}

/// The schema of `SecretSource`.
const SECRET: &str = "Secret";

struct Checker<'s, 'r, 'a> {
    schema: Schema<'s>,
    env: &'r Environment,
    may_name: &'r MayName<'r>,
    report: &'r mut Report<'a>,
    validated: Validated,
}

impl<'s> Checker<'s, '_, '_> {
    fn value(&mut self, node: &Node, schema: &'s Json, path: &Path) -> Option<Value> {
        let alternatives = self.schema.alternatives(schema);
        if alternatives.iter().any(|alternative| alternative.name == Some(SECRET)) {
            return self.secret(node, path);
        }
        if alternatives.is_empty() {
            return Some(node.value());
        }
        let accepted = alternatives.iter().fold(ValueTypes::default(), |all, alternative| all.or(alternative.kinds));
        if node.is_null() {
            return self.empty(node, &alternatives, accepted, path);
        }
        match &node.kind {
            Kind::Scalar(scalar) => self.scalar(scalar, &alternatives, accepted, path),
            Kind::List(items) => {
                let Some(list) = alternatives.iter().find(|alternative| alternative.kinds.list) else {
                    return self.wrong(node, &alternatives, accepted, path);
                };
                self.list(items, list, path)
            }
            Kind::Map(entries) if self.is_variable(entries, &alternatives, accepted, path) => {
                let scalar = self.read_variable(entries, path)?;
                self.scalar(&scalar, &alternatives, accepted, path)
            }
            Kind::Map(entries) => {
                let maps: Vec<&Alternative<'s>> = alternatives.iter().filter(|alternative| alternative.kinds.map).collect();
                // Of several mappings the one that knows most of the keys is meant.
                let known = |map: &Alternative<'s>| entries.iter().filter(|entry| self.schema.property(map.schema, &entry.key).is_some()).count();
                let best = maps.iter().enumerate().max_by_key(|(ix, map)| (known(map), std::cmp::Reverse(*ix))).map(|(_, map)| *map);
                match best {
                    Some(map) => {
                        let others: Vec<&'s Json> = maps.iter().map(|other| other.schema).filter(|other| !std::ptr::eq(*other, map.schema)).collect();
                        self.map(entries, map.schema, &others, path)
                    }
                    None => self.wrong(node, &alternatives, accepted, path),
                }
            }
        }
    }

    /// `key:` with nothing after it: an empty mapping or list where one is possible, else nothing where that is possible.
    fn empty(&mut self, node: &Node, alternatives: &[Alternative<'s>], accepted: ValueTypes, path: &Path) -> Option<Value> {
        if let Some(lost) = self.comment_of(path) {
            let label = format!("quote it: `\"{lost}\"`");
            let message = format!("`{path}` is empty: YAML takes `{lost}` for a comment");
            self.report.error(codes::WRONG_TYPE, path, Anchor::Key, message, label);
            return None;
        }
        if let Some(map) = alternatives.iter().find(|alternative| alternative.kinds.map) {
            return self.map(&[], map.schema, &[], path);
        }
        if accepted.list {
            return Some(Value::Sequence(Vec::new()));
        }
        if accepted.null {
            return Some(Value::Null);
        }
        self.wrong(node, alternatives, accepted, path)
    }

    /// `#ops` of `channel: #ops`: what follows the `#` without a space was hardly meant as a comment.
    fn comment_of(&self, path: &Path) -> Option<String> {
        let line = self.report.source.line(self.report.source.span(path, Anchor::Key)?.line)?;
        let (_, comment) = line.split_once(": #")?;
        let word: String = comment.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
        let whole = !word.is_empty() && comment.trim_end().len() == word.len();
        whole.then(|| format!("#{word}"))
    }

    /// Reports `${NAME}` and `{label.NAME}`: nothing replaces them.
    fn variable(&mut self, text: &str, path: &Path) {
        let Some((name, label)) = unreplaced(text, path) else { return };
        let finding = crate::model::Finding::warning(codes::VARIABLE, format!("nothing puts a value in place of `{name}`")).label(label);
        self.report.add(finding, path, Anchor::Value);
    }

    fn scalar(&mut self, scalar: &Scalar, alternatives: &[Alternative<'s>], accepted: ValueTypes, path: &Path) -> Option<Value> {
        let words = words(alternatives);
        if let Some(word) = words.iter().find(|word| is_word(scalar, word)) {
            return Some(match word {
                Json::Bool(truth) => Value::Bool(*truth),
                Json::Number(number) => number.as_i64().map_or(Value::Null, |number| Value::Number(number.into())),
                other => Value::String(other.as_str().unwrap_or_default().to_owned()),
            });
        }
        match scalar.resolved {
            Resolved::Bool(truth) if accepted.truth => Some(Value::Bool(truth)),
            Resolved::Integer(number) if accepted.integer => self.integer(number, alternatives, path),
            Resolved::Integer(number) if accepted.number => {
                Some(i64::try_from(number).map_or_else(|_| Value::Number((number as f64).into()), |n| Value::Number(n.into())))
            }
            Resolved::Float(number) if accepted.number => Some(Value::Number(number.into())),
            Resolved::Text if accepted.text => {
                self.variable(&scalar.text, path);
                Some(Value::String(scalar.text.clone()))
            }
            // A number where a text belongs is taken as written: `mobiles: [13800000000]`, `version: 1.10`.
            Resolved::Integer(_) | Resolved::Float(_) if accepted.text => Some(Value::String(scalar.text.clone())),
            // A number in quotes is still that number.
            Resolved::Text if accepted.integer && crate::model::yaml::resolve(&scalar.text) != Resolved::Text => {
                match crate::model::yaml::resolve(&scalar.text) {
                    Resolved::Integer(number) => self.integer(number, alternatives, path),
                    _ => self.wrong_scalar(scalar, accepted, &words, path),
                }
            }
            _ => self.wrong_scalar(scalar, accepted, &words, path),
        }
    }

    fn integer(&mut self, number: i128, alternatives: &[Alternative<'s>], path: &Path) -> Option<Value> {
        let bound = |key: &str| alternatives.iter().filter(|a| a.kinds.integer).find_map(|a| a.schema.get(key)).and_then(Json::as_f64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let below = least.is_some_and(|least| (number as f64) < least);
        let above = most.is_some_and(|most| (number as f64) > most);
        if below || above {
            let label = match (least, most) {
                (Some(least), Some(most)) => format!("write a number from {least} to {most}"),
                (Some(least), None) => format!("write a number that is not less than {least}"),
                (None, Some(most)) => format!("write a number up to {most}"),
                (None, None) => String::new(),
            };
            self.report.error(codes::OUT_OF_RANGE, path, Anchor::Value, format!("{number} is too {}", if below { "small" } else { "large" }), label);
            return None;
        }
        match (i64::try_from(number), u64::try_from(number)) {
            (Ok(number), _) => Some(Value::Number(number.into())),
            (_, Ok(number)) => Some(Value::Number(number.into())),
            _ => {
                self.report.error(codes::OUT_OF_RANGE, path, Anchor::Value, "the number is too large", "write a smaller number");
                None
            }
        }
    }

    fn list(&mut self, items: &[Node], list: &Alternative<'s>, path: &Path) -> Option<Value> {
        let Some(of) = list.schema.get("items") else { return Some(Value::Sequence(items.iter().map(Node::value).collect())) };
        let mut values = Vec::with_capacity(items.len());
        for (ix, item) in items.iter().enumerate() {
            // A faulty item keeps its place, so that later findings still count right; it has a finding already and gets no other.
            let value = self.value(item, of, &path.item(ix)).or_else(|| self.schema.default_value(of));
            values.push(value?);
        }
        Some(Value::Sequence(values))
    }

    /// `others`: the mappings that might have been meant instead.
    fn map(&mut self, entries: &[Entry], schema: &'s Json, others: &[&'s Json], path: &Path) -> Option<Value> {
        let mut values = serde_yaml::Mapping::new();
        let known = self.schema.keys(schema);
        let (mut usable, mut meant) = (true, Vec::new());
        for entry in entries {
            let at = path.key(&entry.key);
            if let Some(of) = self.schema.property(schema, &entry.key) {
                match self.value(&entry.value, of, &at) {
                    Some(Value::Null) => {}
                    Some(value) => {
                        values.insert(Value::String(entry.key.clone()), value);
                    }
                    // Required and faulty: what it is in cannot be read, and the reason was reported already.
                    None => usable &= !self.schema.is_required(schema, &entry.key),
                }
            } else if others.iter().any(|other| self.schema.property(other, &entry.key).is_some()) {
                let message = format!("`{}` cannot be used together with {}", entry.key, quoted(&known));
                let finding = crate::model::Finding::error(codes::UNKNOWN_KEY, message).label("keep one of them");
                self.report.add_at(finding, &at, Some(entry.key_span));
                usable = false;
            } else if !self.schema.is_ignored(schema, &entry.key) {
                meant.extend(self.unknown(entry, entries, schema, path));
            }
        }
        for required in self.schema.required(schema) {
            // A key by its old name, or with a slip in it, is no missing one, and that is said already.
            let is_there = |entry: &Entry| entry.key == required || renamed(path, &entry.key) == Some(required);
            usable &= entries.iter().any(|entry| entry.key == required);
            if !entries.iter().any(is_there) && !meant.contains(&required) {
                let finding = crate::model::Finding::error(codes::MISSING_KEY, format!("`{required}` is missing in {}", named(path)))
                    .label(format!("add `{required}: ..`{}", self.schema.about(schema, required)));
                self.report.add(finding, &path.key(required), Anchor::Key);
                usable = false;
            }
        }
        usable.then_some(Value::Mapping(values))
    }

    fn wrong(&mut self, node: &Node, alternatives: &[Alternative<'s>], accepted: ValueTypes, path: &Path) -> Option<Value> {
        let (name, found) = (named(path), node.kind_words());
        let label = match &node.kind {
            Kind::Map(entries) if is_matchers(path) => match matchers_of(entries, Op::Equal) {
                Some(list) => format!("write it as `matchers: {list}`"),
                None => expected(accepted, &words(alternatives)),
            },
            Kind::Map(_) if is_destination(path) => BY_LABEL.to_owned(),
            Kind::Scalar(_) if node.is_null() => format!("write {}", accepted.words()),
            _ => expected(accepted, &words(alternatives)),
        };
        self.report.error(codes::WRONG_TYPE, path, Anchor::Value, format!("{name} is {found}"), label);
        None
    }

    fn wrong_scalar(&mut self, scalar: &Scalar, accepted: ValueTypes, words: &[&Json], path: &Path) -> Option<Value> {
        let only_words = !(accepted.list || accepted.map || accepted.integer);
        if only_words && !words.is_empty() {
            let known: Vec<&str> = words.iter().filter_map(|word| word.as_str()).collect();
            let message = format!("`{}` is not one of the words allowed for `{path}`", scalar.text.chars().take(40).collect::<String>());
            self.report.error(
                codes::NOT_ALLOWED,
                path,
                Anchor::Value,
                message,
                former(&scalar.text, &known).map_or_else(
                    || format!("write one of: {}{}", listed(known.iter().copied()), hint(&scalar.text, known.iter().copied())),
                    str::to_owned,
                ),
            );
            return None;
        }
        let name = named(path);
        let (message, label) = match scalar.resolved {
            Resolved::Bool(_) if accepted.text => (format!("{name} is a truth value"), "expected a text: quote it".to_owned()),
            Resolved::Text if accepted.truth => {
                let label = match scalar.text.to_lowercase().as_str() {
                    "yes" | "on" | "y" => "write `true`: in YAML of today `yes` and `on` are texts",
                    "no" | "off" | "n" => "write `false`: in YAML of today `no` and `off` are texts",
                    _ => "expected `true` or `false`, without quotes",
                };
                (format!("{name} is a text"), label.to_owned())
            }
            Resolved::Float(_) if accepted.integer => (format!("{name} is not a whole number"), "write a whole number".to_owned()),
            _ => {
                let found = match scalar.resolved {
                    Resolved::Text => "a text",
                    Resolved::Bool(_) => "a truth value",
                    _ => "a number",
                };
                (format!("{name} is {found}"), expected(accepted, words))
            }
        };
        self.report.error(codes::WRONG_TYPE, path, Anchor::Value, message, label);
        None
    }

    /// A secret is never repeated, and a number is taken as it is written: `1e5` and `0x10` may well be passwords.
    fn secret(&mut self, node: &Node, path: &Path) -> Option<Value> {
        if let Kind::Scalar(scalar) = &node.kind
            && !matches!(scalar.resolved, Resolved::Null | Resolved::Bool(_))
            && !scalar.text.is_empty()
        {
            if let Some(name) = variable_in(&scalar.text).filter(|name| *name == scalar.text && name.starts_with("${")) {
                let bare = name.trim_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                let message = format!("`{path}` is the text `{name}`: nothing puts a value in its place");
                self.report.error(codes::BAD_SECRET, path, Anchor::Value, message, format!("write `{{ env: {bare} }}`"));
                self.validated.secrets.push(SecretLocation { path: path.clone(), source: SecretSource::Invalid("a variable's name") });
                return Some(node.value());
            }
            self.validated.secrets.push(SecretLocation { path: path.clone(), source: SecretSource::Literal(Secret::new(scalar.text.clone())) });
            return Some(Value::String(scalar.text.clone()));
        }
        let value = node.value();
        let why = match serde::Deserialize::deserialize(value.clone()) {
            _ if node.get("default").is_some() => {
                "a default would be a secret in the file: write `{ env: NAME }` or `{ file: PATH }`, without `default`"
            }
            Ok(SecretSource::Invalid(why)) => why,
            Ok(SecretSource::Literal(_)) => "it is empty",
            Ok(source) => {
                self.validated.secrets.push(SecretLocation { path: path.clone(), source });
                return Some(value);
            }
            Err(_) => "it is not understood",
        };
        let label = if why.contains("write") { why.to_owned() } else { format!("{why}; write `{{ env: NAME }}` or `{{ file: PATH }}`") };
        self.report.error(codes::BAD_SECRET, path, Anchor::Value, format!("`{path}` is not a secret"), label);
        self.validated.secrets.push(SecretLocation { path: path.clone(), source: SecretSource::Invalid(why) });
        // It stays in the value, so that nobody complains that it is missing.
        Some(value)
    }
}
