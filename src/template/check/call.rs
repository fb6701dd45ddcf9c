//! Calls of functions: known names, the right number of arguments, and literals that can be checked before rendering.

use std::collections::HashMap;

use handlebars::Path;
use handlebars::template::{Parameter, TemplateElement};
use serde_json::Value;

use super::FUNCTION;
use super::resolve::closest;
use super::shape::Shape;
use super::walk::Walk;
use crate::template::functions::{self, SIGNATURES, signature};
use crate::template::words;

impl Walk<'_> {
    /// Checks a call and returns the shapes of its arguments.
    pub(super) fn call(&mut self, name: &str, params: &[Parameter], hash: &HashMap<String, Parameter>, block: bool) -> Vec<Shape> {
        let shapes: Vec<Shape> = params.iter().map(|param| self.parameter(param)).collect();
        let named: Vec<Shape> = hash.values().map(|param| self.parameter(param)).collect();
        // These only look at whether there is something, how much, or hand it to a place whose reads are seen themselves.
        let looks = matches!(name, "if" | "unless" | "each" | "with" | "len" | "and" | "or" | "not");
        let objects = |shape: &Shape| matches!(shape, Shape::Object(_) | Shape::List(Shape::Object(_)));
        if !looks && shapes.iter().chain(&named).any(objects) {
            self.usage.hands_on();
        }
        let Some(known) = signature(name) else {
            self.unknown(name, block);
            return shapes;
        };
        if block && !known.block {
            self.report(FUNCTION, name, format!("`{name}` does not open a block"), known.about);
        } else if !block && matches!(name, "if" | "unless" | "each" | "with" | "raw") {
            self.report(FUNCTION, name, format!("`{name}` must open a block"), known.about);
        } else if params.len() < known.min || params.len() > known.max {
            let wanted = match (known.min, known.max) {
                (min, usize::MAX) => format!("at least {min}"),
                (min, max) if min == max => min.to_string(),
                (min, max) => format!("{min} to {max}"),
            };
            self.report(FUNCTION, name, format!("`{name}` takes {wanted} arguments, not {}", params.len()), known.about);
        }
        if !known.named.contains(&"*") {
            for odd in hash.keys().filter(|key| !known.named.contains(&key.as_str())) {
                self.report(FUNCTION, odd, format!("`{name}` has no argument `{odd}`"), known.about);
            }
        }
        self.literals(name, params, hash);
        shapes
    }

    fn unknown(&mut self, name: &str, block: bool) {
        let is_field = Path::parse(name).is_ok_and(|path| super::resolve::resolve(&path, &self.scopes).is_ok());
        let label = match closest(name, SIGNATURES.iter().map(|known| known.name)) {
            _ if is_field && block => format!("it is a field: write `{{{{#if {name}}}}}` or `{{{{#each {name}}}}}`"),
            _ if is_field => "it is a field: it takes no arguments".to_owned(),
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("known are {}", SIGNATURES.iter().map(|known| known.name).collect::<Vec<_>>().join(", ")),
        };
        self.report(FUNCTION, name, format!("unknown function `{name}`"), label);
    }

    /// The shape of an argument.
    pub(super) fn parameter(&mut self, param: &Parameter) -> Shape {
        match param {
            Parameter::Path(path) => self.path(path),
            Parameter::Name(name) => Path::parse(name).ok().map_or(Shape::Any, |path| self.path(&path)),
            Parameter::Literal(Value::String(text)) => {
                // It may name a field (`lookup`).
                self.usage.reads(text);
                Shape::Text
            }
            Parameter::Literal(Value::Number(_)) => Shape::Number,
            Parameter::Literal(Value::Bool(_)) => Shape::Flag,
            Parameter::Literal(_) => Shape::Any,
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(tag) => {
                    let name = tag.name.as_name().unwrap_or_default().to_owned();
                    let shapes = self.call(&name, &tag.params, &tag.hash, false);
                    match name.as_str() {
                        "default" | "lookup" | "and" | "or" | "first" | "last" | "sort" => Shape::Any,
                        "split" => Shape::List(&Shape::Text),
                        "len" | "add" | "sub" | "mul" | "div" | "mod" | "round" => Shape::Number,
                        _ if signature(&name).is_none() => Shape::Any,
                        _ if shapes.is_empty() && name.is_empty() => Shape::Any,
                        _ => Shape::Text,
                    }
                }
                _ => Shape::Any,
            },
            _ => Shape::Any,
        }
    }

    /// Literals that are wrong whatever the page is.
    fn literals(&mut self, name: &str, params: &[Parameter], hash: &HashMap<String, Parameter>) {
        let literal = |param: Option<&Parameter>| match param {
            Some(Parameter::Literal(Value::String(text))) => Some(text.clone()),
            _ => None,
        };
        let problem = match name {
            "t" => literal(params.first()).filter(|key| words::word(crate::model::Language::En, key).is_none()).map(|key| {
                let meant = closest(&key, words::keys()).map_or_else(|| words::keys().collect::<Vec<_>>().join(", "), |meant| format!("`{meant}`"));
                (key.clone(), format!("unknown word `{key}`"), format!("did you mean {meant}?"))
            }),
            "match" | "regex_replace" => {
                literal(params.get(1)).and_then(|text| functions::compile_regex(&text).err().map(|why| (text, why, "fix the expression".to_owned())))
            }
            "time" => literal(params.get(1))
                .and_then(|text| functions::check_format(&text).err().map(|why| (text, why, "write it like `%Y-%m-%d %H:%M`".to_owned())))
                .or_else(|| {
                    literal(hash.get("zone")).and_then(|text| functions::check_zone(&text).err().map(|why| (text, why, "name a zone".to_owned())))
                }),
            _ => None,
        };
        if let Some((word, message, label)) = problem {
            self.report(FUNCTION, &word, message, label);
        }
    }
}
