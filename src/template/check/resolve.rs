//! Scopes and paths: which shape a name has at a place in a template, and what was probably meant when it has none.

use handlebars::{Path, PathSeg};

use super::shape::{Field, ROOT, Shape};

/// What `@` variables exist in a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locals {
    None,
    List,
    Map,
}

/// One level of what names refer to.
#[derive(Debug, Clone)]
pub struct Scope {
    pub shape: Shape,
    /// Block parameters (`as |alert|`) and named arguments of a partial.
    pub named: Vec<(String, Shape)>,
    pub locals: Locals,
}

impl Scope {
    pub fn new(shape: Shape, locals: Locals) -> Self {
        Self { shape, named: Vec::new(), locals }
    }
}

/// Why a path leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    pub message: String,
    pub label: String,
}

fn unknown(message: String, label: impl Into<String>) -> Unknown {
    Unknown { message, label: label.into() }
}

/// The path as it was written.
pub fn raw(path: &Path) -> &str {
    match path {
        Path::Relative((_, raw)) | Path::Local((_, _, raw)) => raw,
    }
}

/// The shape a path leads to, seen from the innermost of `scopes`.
pub fn resolve(path: &Path, scopes: &[Scope]) -> Result<Shape, Unknown> {
    match path {
        Path::Local((level, name, raw)) => {
            let locals = scopes.len().checked_sub(level + 1).and_then(|at| scopes.get(at)).map_or(Locals::None, |scope| scope.locals);
            match (name.as_str(), locals) {
                ("first" | "last", Locals::List | Locals::Map) => Ok(Shape::Flag),
                ("index", Locals::List | Locals::Map) => Ok(Shape::Number),
                ("key", Locals::Map) => Ok(Shape::Text),
                ("first" | "last" | "index" | "key", _) => {
                    Err(unknown(format!("`{raw}` means nothing here"), "it is known inside `{{#each}}`; `@key` only over a map"))
                }
                _ => Err(unknown(format!("unknown variable `{raw}`"), "known are @index, @first, @last, @key (inside `{{#each}}`) and @root")),
            }
        }
        Path::Relative((segments, raw)) => {
            let names: Vec<&str> =
                segments.iter().filter_map(|segment| if let PathSeg::Named(name) = segment { Some(name.as_str()) } else { None }).collect();
            let written = raw.strip_prefix("this.").or_else(|| raw.strip_prefix("this/")).or_else(|| raw.strip_prefix("./")).unwrap_or(raw);
            let from_root = written.starts_with("@root");
            let ups = written.split("../").take_while(|part| part.is_empty()).count();
            if !from_root && let Some(shape) = names.first().and_then(|first| named(first, scopes)) {
                return descend(shape, &names[1..], raw);
            }
            let base = if from_root { Some(ROOT) } else { scopes.len().checked_sub(ups + 1).and_then(|at| scopes.get(at)).map(|scope| scope.shape) };
            let base = base.ok_or_else(|| unknown(format!("`{raw}` leads out of the template"), "there are not so many levels here"))?;
            descend(base, &names, raw).map_err(|error| hint(error, &names, base, scopes))
        }
    }
}

fn named(name: &str, scopes: &[Scope]) -> Option<Shape> {
    scopes.iter().rev().find_map(|scope| scope.named.iter().find(|(known, _)| known == name).map(|(_, shape)| *shape))
}

fn descend(base: Shape, names: &[&str], raw: &str) -> Result<Shape, Unknown> {
    let mut shape = base;
    let mut walked = String::new();
    for name in names {
        shape = match shape {
            Shape::Any => return Ok(Shape::Any),
            Shape::Map => Shape::Text,
            Shape::Object(fields) => match fields.iter().find(|field| field.name == *name) {
                Some(field) => field.shape,
                None => {
                    let meant = closest(name, fields.iter().map(|field| field.name));
                    let label = meant.map_or_else(|| listed(fields), |meant| format!("did you mean `{meant}`?"));
                    return Err(unknown(format!("unknown field `{raw}`"), label));
                }
            },
            Shape::List(inner) if name.parse::<usize>().is_ok() => *inner,
            Shape::List(_) if *name == "length" => return Err(unknown(format!("unknown field `{raw}`"), "write `(len ...)`")),
            Shape::List(_) => return Err(unknown(format!("unknown field `{raw}`"), format!("`{walked}` is a list: use `{{{{#each {walked}}}}}`"))),
            Shape::Text | Shape::Number | Shape::Flag => {
                return Err(unknown(format!("unknown field `{raw}`"), format!("`{walked}` is {}; it has no fields", shape.in_words())));
            }
        };
        walked.push_str(if walked.is_empty() { "" } else { "." });
        walked.push_str(name);
    }
    Ok(shape)
}

/// Says where a name that is unknown here is known.
fn hint(error: Unknown, names: &[&str], base: Shape, scopes: &[Scope]) -> Unknown {
    let Some(first) = names.first() else { return error };
    let knows = |shape: Shape| matches!(shape, Shape::Object(fields) if fields.iter().any(|field| field.name == *first));
    let alert = if let Shape::Object(fields) = ROOT { fields.iter().find(|field| field.name == "alerts").map(|field| field.shape) } else { None };
    if knows(base) {
        error
    } else if knows(ROOT) && scopes.len() > 1 {
        Unknown { label: format!("it is at the top of the page: write `@root.{}`", names.join(".")), ..error }
    } else if matches!(alert, Some(Shape::List(alert)) if knows(*alert)) {
        Unknown { label: "it belongs to one alert: use it inside `{{#each alerts}}`".to_owned(), ..error }
    } else {
        error
    }
}

fn listed(fields: &[Field]) -> String {
    format!("known here: {}", fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", "))
}

/// The known name that was probably meant.
pub fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let flat = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let wanted = flat(name);
    known
        .map(|candidate| {
            if flat(candidate) == wanted {
                (2.0, candidate)
            } else {
                (strsim::jaro_winkler(&candidate.to_lowercase(), &name.to_lowercase()), candidate)
            }
        })
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
