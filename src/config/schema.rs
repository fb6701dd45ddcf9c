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

/// The schema as editors get it, with a line break at its end: where a text belongs a number may be written without quotes (`mobiles: [13800000000]`), and
/// an environment variable in place of the text (`{ env: NAME, default: .. }`), as they may for the check.
pub fn schema_text() -> String {
    let mut schema = schema();
    texts(&mut schema, true);
    if let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        let variable = json!({
            "type": "object", "required": ["env"], "additionalProperties": false,
            "properties": { "env": { "type": "string" }, "default": { "type": ["string", "number"] } },
        });
        let about = "A text, or the environment variable that holds it: `{ env: NAME, default: .. }`.";
        definitions.insert(TEXT.into(), json!({ "description": about, "anyOf": [{ "type": ["string", "number"] }, variable] }));
    }
    format!("{schema:#}\n")
}

/// The definition of a text that a variable may hold.
const TEXT: &str = "Text";

/// `variable`: whether a variable may be there in place of a text. A secret has its own `{ env: NAME }`.
fn texts(schema: &mut Value, variable: bool) {
    match schema {
        Value::Object(map) => {
            map.iter_mut().for_each(|(name, value)| texts(value, variable && name != "Secret"));
            let words = map.contains_key("enum") || map.contains_key("const");
            let mut kinds = match map.get("type") {
                Some(Value::String(kind)) => vec![Value::String(kind.clone())],
                Some(Value::Array(kinds)) => kinds.clone(),
                _ => Vec::new(),
            };
            if words || kinds.iter().all(|kind| kind != "string") {
                return;
            }
            if !variable {
                kinds.push("number".into());
                map.insert("type".into(), kinds.into());
                return;
            }
            let text = json!({ "$ref": format!("#/$defs/{TEXT}") });
            map.remove("type");
            kinds.retain(|kind| kind != "string" && kind != "number");
            match kinds.is_empty() {
                true => map.insert("$ref".into(), text["$ref"].clone()),
                false => map.insert("anyOf".into(), json!([text, { "type": kinds }])),
            };
        }
        Value::Array(items) => items.iter_mut().for_each(|item| texts(item, variable)),
        _ => {}
    }
}
