//! The reference of every key of routes.yaml as Markdown, read from the schema: what the types say is what the page says. Pure: a schema in,
//! text out. It knows JSON Schema, not what any key means.

use serde_json::{Map, Value};

use crate::channel::PLATFORMS;

const TABLE_HEAD: &str = "| key | type | default | what it is |\n|---|---|---|---|\n";

/// One line of a table.
struct Row {
    key: String,
    kind: String,
    default: String,
    about: String,
}

/// The page: every key of the file, then what every channel takes, then each platform's own keys.
pub fn reference() -> String {
    let schema = super::schema();
    let reader = Reader { definitions: schema.get("$defs").and_then(Value::as_object) };
    let mut out = String::from("# Configuration reference\n\n");
    out.push_str("Every key of routes.yaml, made from the program's own types by `watchfire schema --markdown`.\n\n");
    out.push_str(&format!("{}\n\n", flat(text(&schema, "description"))));
    out.push_str(
        "`[]` after a key is an entry of a list, `<name>` a name that you choose. A *secret* is `{ env: NAME }`, `{ file: PATH }` or a plain text.\n",
    );
    out.push_str(
        "`watchfire check` finds every mistake with its line and column. `watchfire schema` prints the same as JSON Schema for editors.\n\n",
    );
    let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, property) in &properties {
        out.push_str(&format!("## {name}\n\n"));
        if name == "channels" {
            out.push_str(&channels(&reader, property));
            continue;
        }
        let mut rows = Vec::new();
        let required = reader.required(&schema, name);
        reader.row(name, property, required, &mut Vec::new(), &mut rows);
        out.push_str(&table(&rows));
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// The table of one platform's own keys; empty when there is no such platform.
pub fn platform_reference(platform: &str) -> String {
    let schema = super::schema();
    let reader = Reader { definitions: schema.get("$defs").and_then(Value::as_object) };
    let channel = schema.pointer("/$defs/ChannelConfig/properties").and_then(Value::as_object);
    channel.and_then(|keys| keys.get(platform)).map(|block| reader.block(platform, block)).unwrap_or_default()
}

fn channels(reader: &Reader<'_>, property: &Value) -> String {
    let mut out =
        String::from("Destinations by name. A channel has exactly one platform block (`slack: { … }`) and any of these keys beside it:\n\n");
    let none = Map::new();
    let channel = property.get("additionalProperties").map_or(&Value::Null, |channel| reader.resolve(channel));
    let keys = channel.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let mut rows = Vec::new();
    for (name, key) in keys.iter().filter(|(name, _)| PLATFORMS.iter().all(|p| p.name != name.as_str())) {
        reader.row(&format!("channels.<name>.{name}"), key, false, &mut Vec::new(), &mut rows);
    }
    out.push_str(&table(&rows));
    for platform in PLATFORMS {
        let Some(block) = keys.get(platform.name) else { continue };
        out.push_str(&format!("\n### {}\n\n{}. [How to get its credentials](platforms/{}.md).\n\n", platform.name, platform.title, platform.name));
        out.push_str(&reader.block(platform.name, block));
    }
    out.push('\n');
    out
}

struct Reader<'a> {
    definitions: Option<&'a Map<String, Value>>,
}

impl Reader<'_> {
    /// The schema itself: behind `$ref`, and without the `null` of optional keys.
    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/")) {
            return self.definitions.and_then(|all| all.get(name)).map_or(schema, |found| self.resolve(found));
        }
        match schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
            Some([one, null]) if null.get("type").and_then(Value::as_str) == Some("null") => self.resolve(one),
            _ => schema,
        }
    }

    fn required(&self, object: &Value, key: &str) -> bool {
        object.get("required").and_then(Value::as_array).is_some_and(|keys| keys.iter().any(|name| name.as_str() == Some(key)))
    }

    /// The keys inside a platform's block.
    fn block(&self, platform: &str, block: &Value) -> String {
        let (object, mut rows) = (self.resolve(block), Vec::new());
        self.inside(platform, object, &mut Vec::new(), &mut rows);
        if rows.is_empty() { "No keys of its own.\n".into() } else { table(&rows) }
    }

    fn inside<'s>(&'s self, path: &str, object: &'s Value, above: &mut Vec<&'s Value>, rows: &mut Vec<Row>) {
        if above.iter().any(|outer| std::ptr::eq(*outer, object)) {
            return;
        }
        above.push(object);
        for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.row(&format!("{path}.{name}"), property, self.required(object, name), above, rows);
        }
        above.pop();
    }

    /// A key, and the keys below it. A type that contains itself (routes) is entered once.
    fn row<'s>(&'s self, path: &str, property: &'s Value, required: bool, above: &mut Vec<&'s Value>, rows: &mut Vec<Row>) {
        let inner = self.resolve(property);
        let own = flat(text(property, "description"));
        let (about, told) = split_default(if own.is_empty() { flat(text(inner, "description")) } else { own });
        let default = match (required, told, property.get("default")) {
            (true, ..) => "required".into(),
            (_, Some(told), _) => told,
            (_, None, Some(value)) if shows(value) => format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            _ => String::new(),
        };
        rows.push(Row { key: path.to_owned(), kind: self.kind(property), default, about });
        for (suffix, below) in self.below(inner) {
            self.inside(&format!("{path}{suffix}"), below, above, rows);
        }
    }

    /// The objects that a value may consist of, each with the part after the key.
    fn below<'s>(&'s self, schema: &'s Value) -> Vec<(&'static str, &'s Value)> {
        if schema.get("properties").is_some() {
            return if self.is_secret(schema) { Vec::new() } else { vec![("", schema)] };
        }
        if let Some(items) = schema.get("items") {
            return self.below(self.resolve(items)).into_iter().filter(|(suffix, _)| suffix.is_empty()).map(|(_, object)| ("[]", object)).collect();
        }
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            let found = self.below(self.resolve(values));
            let named = |(suffix, object)| match suffix {
                "" => Some((".<name>", object)),
                "[]" => Some((".<name>[]", object)),
                _ => None,
            };
            return found.into_iter().filter_map(named).collect();
        }
        if self.is_secret(schema) {
            return Vec::new();
        }
        let variants = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
        variants.into_iter().flatten().flat_map(|variant| self.below(self.resolve(variant))).collect()
    }

    fn is_secret(&self, schema: &Value) -> bool {
        self.definitions.and_then(|all| all.get("Secret")).is_some_and(|secret| std::ptr::eq(secret, schema))
    }

    /// A type in words.
    fn kind(&self, schema: &Value) -> String {
        let schema = self.resolve(schema);
        if self.is_secret(schema) {
            return "secret".into();
        }
        if let Some(word) = schema.get("const") {
            return format!("`{}`", word.as_str().unwrap_or_default());
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            return words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        }
        if let Some(variants) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
            let mut kinds: Vec<String> = variants.iter().map(|variant| self.kind(variant)).collect();
            kinds.dedup();
            let constants = kinds.iter().all(|kind| kind.starts_with('`'));
            return kinds.join(if constants { ", " } else { " or " });
        }
        let kinds: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect(),
            _ => vec!["any"],
        };
        let named = kinds.iter().map(|kind| match *kind {
            "string" => "text".to_owned(),
            "integer" | "number" => "number".to_owned(),
            "boolean" => "true, false".to_owned(),
            "array" => format!("list of {}", schema.get("items").map_or_else(|| "anything".into(), |items| self.kind(items))),
            "object" => match schema.get("additionalProperties").filter(|values| values.is_object()) {
                Some(values) => format!("map to {}", self.kind(values)),
                None => "block".to_owned(),
            },
            other => other.to_owned(),
        });
        named.collect::<Vec<_>>().join(" or ")
    }
}

fn text<'a>(schema: &'a Value, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a default of the schema says anything.
fn shows(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => map.values().any(|value| *value != Value::Bool(false) && shows(value)),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Takes the sentence that names the default out of a comment: `Default X.` or `Default: words.`
fn split_default(about: String) -> (String, Option<String>) {
    let at = about.find(". Default").map(|at| at + 2).or_else(|| about.starts_with("Default").then_some(0));
    let Some(at) = at else { return (about, None) };
    let sentence = about[at..].find(". ").map_or(&about[at..], |end| &about[at..at + end + 1]);
    let told = sentence.trim_start_matches("Default").trim_start_matches(':').trim().trim_end_matches('.').to_owned();
    let rest = format!("{} {}", about[..at].trim(), about[at + sentence.len()..].trim());
    (rest.trim().to_owned(), Some(told))
}

fn table(rows: &[Row]) -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let line = |row: &Row| format!("| `{}` | {} | {} | {} |\n", row.key, cell(&row.kind), cell(&row.default), cell(&row.about));
    TABLE_HEAD.to_owned() + &rows.iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_with_the_default_becomes_a_column() {
        let split = |text: &str| split_default(text.to_owned());
        assert_eq!(split("How long. Default `30s`."), ("How long.".into(), Some("`30s`".into())));
        assert_eq!(split("What. Default: none is asked for. And more."), ("What. And more.".into(), Some("none is asked for".into())));
        assert_eq!(split("No word of it."), ("No word of it.".into(), None));
    }

    #[test]
    fn every_platform_and_every_depth_has_its_keys() {
        let page = reference();
        for platform in PLATFORMS {
            assert!(page.contains(&format!("\n### {}\n", platform.name)), "{}", platform.name);
            assert!(!platform_reference(platform.name).is_empty());
        }
        for key in [
            "server.auth[].hmac.secrets",
            "route.routes",
            "legacy.email.allow_from",
            "tests[].expect",
            "channels.<name>.rate_limit.per_minute",
            "slack.token",
        ] {
            assert!(page.contains(&format!("| `{key}` |")), "{key}");
        }
        assert_eq!(platform_reference("pigeon"), "");
    }
}
