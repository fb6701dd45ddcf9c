//! Functions over lists: split a text, sort, and take an end.

use std::cmp::Ordering;

use handlebars::JsonRender;
use serde_json::Value;

use super::Arguments;

/// Parts that a text may be split into.
const MAX_PARTS: usize = 1000;

fn items(arguments: &Arguments<'_, '_>) -> Result<Vec<Value>, String> {
    match arguments.value(0) {
        Value::Array(items) => Ok(items.clone()),
        Value::Object(map) => Ok(map.values().cloned().collect()),
        Value::Null => Ok(Vec::new()),
        _ => Err("the argument is a list; `split` makes one of a text".to_owned()),
    }
}

pub(super) fn split(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let (text, between) = (arguments.text(0), arguments.text(1));
    if between.is_empty() {
        return Err("the second argument is what stands between the parts".to_owned());
    }
    let parts: Vec<&str> = text.split(&between).map(str::trim).filter(|part| !part.is_empty()).take(MAX_PARTS + 1).collect();
    if parts.len() > MAX_PARTS {
        return Err(format!("the text has more than {MAX_PARTS} parts"));
    }
    Ok(parts.into())
}

pub(super) fn first(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(items(arguments)?.into_iter().next().unwrap_or_default())
}

pub(super) fn last(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(items(arguments)?.pop().unwrap_or_default())
}

/// Numbers by size, everything else by its text.
pub(super) fn sort(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let mut items = items(arguments)?;
    items.sort_by(|a, b| match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        _ => a.render().cmp(&b.render()),
    });
    Ok(items.into())
}

pub(super) fn join(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let between = if arguments.len() > 1 { arguments.text(1) } else { ", ".to_owned() };
    let parts: Vec<String> = match arguments.value(0) {
        Value::Array(list) => list.iter().map(named).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| format!("{name}={}", value.render())).collect(),
        Value::Null => Vec::new(),
        other => vec![other.render()],
    };
    Ok(parts.join(&between).into())
}

/// An item of a list as people call it: an alert by its title, a link by its label.
fn named(item: &Value) -> String {
    let name = ["title", "label"].iter().find_map(|name| item.get(name));
    name.unwrap_or(item).render()
}
