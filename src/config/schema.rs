//! The JSON Schema of routes.yaml, made from the file's types: for editors, for the reference, and for the shape check itself.

use serde_json::{Value, json};

use super::file::RoutesFile;

/// The schema. Top-level keys that begin with `x-` are allowed: they may hold anchors.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(RoutesFile).to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("patternProperties".into(), json!({ "^x-": true }));
        root.insert("$id".into(), json!("watchfire-routes.schema.json"));
    }
    schema
}

/// The schema as editors get it, with a line break at its end: where a text belongs a number may be written without quotes (`mobiles: [13800000000]`), as it
/// may for the check.
pub fn schema_text() -> String {
    let mut schema = schema();
    numbers_as_texts(&mut schema);
    format!("{schema:#}\n")
}

fn numbers_as_texts(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let words = map.contains_key("enum") || map.contains_key("const");
            match map.get_mut("type") {
                Some(kind) if *kind == "string" && !words => *kind = json!(["string", "number"]),
                Some(Value::Array(kinds)) if !words && kinds.iter().any(|kind| kind == "string") && kinds.iter().all(|kind| kind != "number") => {
                    kinds.push("number".into());
                }
                _ => {}
            }
            map.values_mut().for_each(numbers_as_texts);
        }
        Value::Array(items) => items.iter_mut().for_each(numbers_as_texts),
        _ => {}
    }
}
