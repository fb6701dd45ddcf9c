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

/// The schema as text, with a line break at its end.
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}
