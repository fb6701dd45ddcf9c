//! The shape check on a small schema of its own.

use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::config::source::Source;
use crate::model::yaml::parse;

/// A word.
#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Word {
    /// First.
    One,
    /// Second.
    Two,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Inner {
    /// The name. More.
    name: String,
    #[serde(default)]
    secret: Option<SecretSource>,
    #[serde(default)]
    word: Option<Word>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Outer {
    small: u16,
    ratio: Option<f64>,
    on: bool,
    to: Option<OneOrMany>,
    numbers: Vec<String>,
    inner: Option<Inner>,
    named: indexmap::IndexMap<String, Inner>,
}

fn env() -> Environment {
    std::sync::Arc::new(|name| match name {
        "SET" => Some("7".into()),
        "WORD" => Some("two".into()),
        "FOREIGN" => Some("hunter2".into()),
        "EMPTY" => Some(String::new()),
        _ => None,
    })
}

fn run(text: &str) -> (Option<Outer>, Vec<String>, usize) {
    let document = parse(text);
    let source = Source::new("f", text, &document);
    let mut report = Report::new(&source);
    let schema = serde_json::to_value(schemars::schema_for!(Outer)).unwrap();
    let (value, validated) = check(source.root.as_ref().unwrap(), &Path::root(), &schema, &env(), &|_, name| name != "FOREIGN", &mut report);
    let told = report.findings.iter().map(|f| {
        let span = f.place.as_ref().unwrap().span.unwrap();
        format!("{} {}:{}+{} {} | {}", f.code, span.line, span.column, span.width, f.message, f.label)
    });
    let told = told.collect();
    (value.map(|value| Outer::deserialize(value).unwrap()), told, validated.secrets.len())
}

#[test]
fn a_good_document_is_read_as_it_is() {
    let (outer, told, secrets) =
        run("small: '7'\nratio: 2\non: true\nto: a\nnumbers: [13800000000, 1.10, x]\ninner: { name: n, secret: 0x10, word: two }\nnamed:\n");
    assert_eq!(told, Vec::<String>::new());
    let outer = outer.unwrap();
    assert_eq!((outer.small, outer.ratio, outer.on), (7, Some(2.0), true));
    assert_eq!(outer.numbers, ["13800000000", "1.10", "x"]);
    assert!(matches!(outer.to, Some(OneOrMany::One(to)) if to == "a"));
    assert!(matches!(run("to: [a, b]\n").0.unwrap().to, Some(OneOrMany::Many(to)) if to == ["a", "b"]));
    let inner = outer.inner.unwrap();
    assert_eq!((inner.name.as_str(), inner.word), ("n", Some(Word::Two)));
    assert_eq!(inner.secret, Some(SecretSource::Literal(Secret::new("0x10"))));
    assert_eq!(secrets, 1);
}

#[test]
fn every_mistake_is_told_at_once_and_the_rest_is_kept() {
    let text = "smal: 1\nsmall: 70000\nratio: x\non: yes\nto: { a: b }\nnumbers: [a, [b], true]\ninner:\n  nam: x\n  secret: [hunter2]\n  word: tow\nnamed:\n  k: text\n  m: { name: ok }\n";
    let (outer, told, _) = run(text);
    let expected = [
        "E005 1:1+4 unknown key `smal` | did you mean `small`?",
        "E009 2:8+5 70000 is too large | write a number from 0 to 65535",
        "E006 3:8+1 `ratio` is a text | expected a number",
        "E006 4:5+3 `on` is a text | write `true`: in YAML of today `yes` and `on` are texts",
        "E006 5:5+8 `to` is a mapping | expected a text or a list",
        "E006 6:14+3 `numbers[1]` is a list | expected a text",
        "E006 6:19+4 `numbers[2]` is a truth value | expected a text: quote it",
        "E005 8:3+3 unknown key `nam` | did you mean `name`?",
        "E022 9:11+9 `inner.secret` is not a secret | a list is not a secret; write a text, `{ env: NAME }` or `{ file: PATH }`",
        "E008 10:9+3 `tow` is not one of the words allowed for `inner.word` | write one of: one, two; did you mean `two`?",
        "E006 12:6+4 `named.k` is a text | write it as a mapping: its keys below it, or in `{ .. }`",
    ];
    assert_eq!(told, expected);
    let outer = outer.unwrap();
    assert_eq!(outer.named["m"].name, "ok");
    assert_eq!(outer.numbers, ["a", "", ""]);
    assert!(outer.inner.is_none(), "it lacks its name");
    assert!(!told.join("").contains("hunter2"));
}

#[test]
fn a_variable_may_hold_any_text() {
    let text = "small: { env: SET }\nratio: { env: NONE, default: 2.5 }\nto: { env: SET }\nnumbers: [{ env: EMPTY, default: x }]\ninner: { name: { env: SET, default: d }, word: { env: WORD } }\n";
    let (outer, told, _) = run(text);
    assert_eq!(told, ["E006 2:8+27 `ratio` is a text | expected a number"], "a number with a point is written in the file");
    let outer = outer.unwrap();
    assert_eq!((outer.small, outer.numbers.as_slice()), (7, ["x".to_owned()].as_slice()));
    assert!(matches!(outer.to, Some(OneOrMany::One(to)) if to == "7"));
    let inner = outer.inner.unwrap();
    assert_eq!((inner.name.as_str(), inner.word), ("7", Some(Word::Two)));
}

#[test]
fn a_variable_without_a_value_is_reported_once() {
    let text = "to: { env: NONE }\nnumbers: [{ env: NONE }, { env: EMPTY }, { env: SET, defualt: x }, { env: [] }]\nnamed: { env: { name: n } }\n";
    let (outer, told, _) = run(text);
    let expected = [
        "E071 1:5+13 `to` has no value: environment variable NONE is not set | set NONE, or write `{ env: NONE, default: .. }`",
        "E071 2:26+14 `numbers[1]` has no value: environment variable EMPTY is not set | set EMPTY, or write `{ env: EMPTY, default: .. }`",
        "E005 2:54+7 unknown key `defualt` | keys here: `env`, `default`",
        "E006 2:68+11 `env` of `numbers[3]` names no environment variable | write `{ env: NAME }`, or `{ env: NAME, default: .. }`",
    ];
    assert_eq!(told, expected);
    assert_eq!(outer.unwrap().named["env"].name, "n", "a mapping by names is none");
}

#[test]
fn a_variable_of_somebody_else_is_not_read() {
    let (outer, told, _) = run("small: 1\ninner: { name: n, word: { env: FOREIGN, default: one } }\n");
    assert_eq!(told, Vec::<String>::new(), "who may name it is reported elsewhere, without the value");
    assert_eq!(outer.unwrap().inner.unwrap().word, None);
}
