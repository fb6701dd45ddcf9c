//! Reading the part of JSON Schema that the configuration's types generate: `$ref`, `anyOf`/`oneOf`, `type`, `const`, `enum`, `properties`, `required`,
//! `additionalProperties`, `patternProperties` for `^x-`, `items`.

use serde_json::Value as Json;
use serde_yaml::Value;

use super::value_types::ValueTypes;

/// A schema document.
pub struct Schema<'s> {
    root: &'s Json,
}

/// One way a value may look.
#[derive(Debug)]
pub struct Alternative<'s> {
    /// Its schema, references followed.
    pub schema: &'s Json,
    /// The name of its definition, when it has one.
    pub name: Option<&'s str>,
    /// Kinds it accepts, words aside.
    pub kinds: ValueTypes,
    /// Exact values it accepts.
    pub words: Vec<&'s Json>,
}

impl<'s> Schema<'s> {
    pub fn new(root: &'s Json) -> Self {
        Self { root }
    }

    /// All the ways a value may look; empty when anything goes.
    pub fn alternatives(&self, schema: &'s Json) -> Vec<Alternative<'s>> {
        let mut found = Vec::new();
        self.collect(schema, None, 0, &mut found);
        found
    }

    fn collect(&self, schema: &'s Json, name: Option<&'s str>, depth: usize, found: &mut Vec<Alternative<'s>>) {
        if depth > 16 {
            return;
        }
        if let Some(target) = schema.get("$ref").and_then(Json::as_str) {
            let name = target.strip_prefix("#/$defs/");
            if let Some(schema) = self.root.pointer(target.trim_start_matches('#')) {
                if name == Some(super::SECRET) {
                    found.push(Alternative { schema, name, kinds: ValueTypes { text: true, map: true, ..ValueTypes::default() }, words: Vec::new() });
                } else {
                    self.collect(schema, name, depth + 1, found);
                }
            }
            return;
        }
        if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
            for branch in branches {
                self.collect(branch, name, depth + 1, found);
            }
            return;
        }
        let words: Vec<&Json> = match (schema.get("const"), schema.get("enum").and_then(Json::as_array)) {
            (Some(word), _) => vec![word],
            (None, Some(words)) => words.iter().collect(),
            (None, None) => Vec::new(),
        };
        let mut kinds = match schema.get("type") {
            _ if !words.is_empty() => ValueTypes::default(),
            Some(Json::String(name)) => ValueTypes::named(name),
            Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).map(ValueTypes::named).fold(ValueTypes::default(), ValueTypes::or),
            _ if schema.get("properties").is_some() => ValueTypes::named("object"),
            _ => return,
        };
        if words.iter().any(|word| word.is_null()) || (!words.is_empty() && schema.get("type").is_some_and(|t| t.to_string().contains("null"))) {
            kinds.null = true;
        }
        found.push(Alternative { schema, name, kinds, words });
    }

    /// The schema of a key of a mapping; `None` when the mapping does not know it.
    pub fn property(&self, map: &'s Json, key: &str) -> Option<&'s Json> {
        map.get("properties").and_then(|properties| properties.get(key)).or_else(|| match map.get("additionalProperties") {
            Some(Json::Bool(false)) | None => None,
            Some(schema) => Some(schema),
        })
    }

    /// Keys that are known by name.
    pub fn keys(&self, map: &'s Json) -> Vec<&'s str> {
        map.get("properties").and_then(Json::as_object).map(|properties| properties.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// The mappings of the whole file that know a key by its name, as paths; empty for the file itself. Without the platforms' own keys, and without
    /// defaults, which are the keys of what they are for.
    pub fn places(&self, key: &str) -> Vec<String> {
        let mut found = Vec::new();
        self.visit(self.root, "", &mut Vec::new(), key, &mut found);
        found
    }

    /// `above`: the definitions that this is in, of which a route is in itself.
    fn visit(&self, schema: &'s Json, path: &str, above: &mut Vec<&'s str>, key: &str, found: &mut Vec<String>) {
        for way in self.alternatives(schema) {
            if way.name.is_some_and(|name| above.contains(&name)) {
                continue;
            }
            above.extend(way.name);
            let keys = self.keys(way.schema);
            if keys.contains(&key) && !found.iter().any(|place| place == path) {
                found.push(path.to_owned());
            }
            let is_other = |inner: &str| inner == "defaults" || path == "channels.NAME" && crate::channel::platform(inner).is_some();
            for inner in keys.into_iter().filter(|inner| !is_other(inner)) {
                if let Some(of) = self.property(way.schema, inner) {
                    self.visit(of, format!("{path}.{inner}").trim_start_matches('.'), above, key, found);
                }
            }
            if let Some(of) = way.schema.get("additionalProperties").filter(|of| of.is_object()) {
                self.visit(of, &format!("{path}.NAME"), above, key, found);
            }
            if let Some(of) = way.schema.get("items") {
                self.visit(of, path, above, key, found);
            }
            above.truncate(above.len() - usize::from(way.name.is_some()));
        }
    }

    /// Whether an unknown key is to be passed over: `x-...` where the schema allows it, anything where it does not say.
    pub fn is_ignored(&self, map: &'s Json, key: &str) -> bool {
        (key.starts_with("x-") && map.get("patternProperties").and_then(|p| p.get("^x-")).is_some()) || map.get("additionalProperties").is_none()
    }

    /// Required keys.
    pub fn required(&self, map: &'s Json) -> Vec<&'s str> {
        map.get("required").and_then(Json::as_array).map(|keys| keys.iter().filter_map(Json::as_str).collect()).unwrap_or_default()
    }

    /// Whether a key is required.
    pub fn is_required(&self, map: &'s Json, key: &str) -> bool {
        self.required(map).contains(&key)
    }

    /// The first sentence of a key's description, for help; empty when it has none.
    pub fn about(&self, map: &'s Json, key: &str) -> String {
        let text = self.property(map, key).and_then(|schema| schema.get("description")).and_then(Json::as_str).unwrap_or_default();
        match text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.').lines().next() {
            None | Some("") => String::new(),
            Some(sentence) => format!(" ({sentence})"),
        }
    }

    /// A harmless value that fits, in place of a faulty list item; `None` when there is none.
    pub fn default_value(&self, schema: &'s Json) -> Option<Value> {
        let alternatives = self.alternatives(schema);
        if alternatives.iter().any(|a| a.kinds.text) {
            return Some(Value::String(String::new()));
        }
        let open = |a: &&Alternative<'s>| a.kinds.map && self.required(a.schema).is_empty();
        if alternatives.iter().find(open).is_some() {
            return Some(Value::Mapping(serde_yaml::Mapping::new()));
        }
        None
    }
}
