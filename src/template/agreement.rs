//! The schema that templates are checked against, and what they are really given, are the same.

use serde_json::Value;

use crate::model::Language;
use crate::template::check::{ROOT, Shape};
use crate::template::{FUNCTIONS, reference, samples};

fn agree(path: &str, value: &Value, shape: Shape) {
    match (shape, value) {
        (Shape::Object(fields), Value::Object(map)) => {
            let mut known: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let mut given: Vec<&str> = map.keys().map(String::as_str).collect();
            known.sort_unstable();
            given.sort_unstable();
            assert_eq!(known, given, "{path}");
            for field in fields {
                agree(&format!("{path}.{}", field.name), &map[field.name], field.shape);
            }
        }
        (Shape::List(inner), Value::Array(list)) => list.iter().for_each(|value| agree(&format!("{path}[]"), value, *inner)),
        (Shape::Map, Value::Object(map)) => assert!(map.values().all(|value| value.is_string() || value.is_number()), "{path}"),
        (Shape::Any, _) => {}
        (Shape::Text, Value::String(_)) | (Shape::Number, Value::Number(_)) | (Shape::Flag, Value::Bool(_)) => {}
        (shape, value) => panic!("{path} is {value}, not {}", shape.in_words()),
    }
}

#[test]
fn every_view_has_exactly_the_fields_of_the_schema() {
    for language in [Language::En, Language::Zh] {
        for (name, view) in samples(language) {
            agree(name, view.context.data(), ROOT);
        }
    }
}

#[test]
fn no_field_hides_behind_a_function() {
    for (path, _, about) in reference() {
        let name = path.rsplit(['.', ']']).next().unwrap();
        assert!(!FUNCTIONS.iter().any(|function| function.name == name), "`{{{{{name}}}}}` would call the function");
        assert!(!about.is_empty());
    }
    assert!(reference().iter().any(|(path, kind, _)| path == "alerts[].links[].url" && *kind == "a text"));
}
