//! What the tree must hold: places, duplicates, aliases, merges, bounds, and the same values as the other YAML parser returns.

use serde_yaml::Value;

use super::*;

#[test]
fn keys_and_values_have_places() {
    let document = parse("a:\n  - x\n  - { deep: [1, 'two'] }\nb: \"q\"\n");
    let root = document.root.unwrap();
    assert_eq!(root.entry("b").unwrap().key_span, Span { line: 4, column: 1, width: 1 });
    assert_eq!(root.get("b").unwrap().span, Span { line: 4, column: 4, width: 3 });
    let two = root.at(&Path::root().dotted("a[1].deep[1]")).unwrap();
    assert_eq!(two.span, Span { line: 3, column: 17, width: 5 });
    assert_eq!(Path::root().dotted("a[1].deep[1]").to_string(), "a[1].deep[1]");
}

#[test]
fn columns_count_characters() {
    let root = parse("名: 告警\n").root.unwrap();
    assert_eq!(root.get("名").unwrap().span, Span { line: 1, column: 4, width: 2 });
}

#[test]
fn a_key_that_stands_twice_is_told_with_both_places() {
    let document = parse("a: 1\nb: 2\na: 3\n");
    assert_eq!(document.errors.len(), 1);
    assert_eq!(document.errors[0].fault, Fault::DuplicateKey);
    assert_eq!(document.errors[0].span.unwrap().line, 3);
    assert!(document.errors[0].label.contains("line 1"));
    assert!(document.root.is_some(), "the rest can still be checked");
}

#[test]
fn aliases_and_merges_are_written_out() {
    let document = parse("base: &b { x: 1, y: 2 }\nmore: &m { z: 3, x: 9 }\nuse: { <<: [*b, *m], y: 5 }\n");
    assert!(document.errors.is_empty(), "{:?}", document.errors);
    let root = document.root.unwrap();
    let of = |key: &str| match &root.get("use").unwrap().get(key).unwrap().kind {
        Kind::Scalar(scalar) => scalar.text.clone(),
        _ => panic!(),
    };
    assert_eq!((of("x"), of("y"), of("z")), ("1".into(), "5".into(), "3".into()));
}

#[test]
fn bombs_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let line = format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
        bomb.push_str(&line);
    }
    let document = parse(&bomb);
    assert_eq!(document.errors.last().unwrap().fault, Fault::TooLarge);
    assert_eq!(parse(&"[".repeat(5000)).errors[0].fault, Fault::TooLarge);
    assert_eq!(parse(&" ".repeat(MAX_BYTES + 1)).errors[0].fault, Fault::TooLarge);
    assert_eq!(parse("a: &a { b: *a }\n").errors.len(), 1);
}

#[test]
fn broken_yaml_is_told_in_words() {
    for (text, line, word) in [
        ("a:\n\tb: 1\n", 2, "tab"),
        ("s\0e\0:\0 \0x\0\n\0", 1, "UTF-16"),
        ("a: b: c\n", 1, "`:`"),
        ("a: \"open\n", 1, "quote"),
        ("a: [1, 2\nb: 3\n", 2, ""),
        ("a: @all\n", 1, "`@`"),
        ("a: *nope\n", 1, "anchor"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: !secret x\n", 1, "tag"),
        ("? [a]\n: b\n", 1, "key"),
        ("<<: 5\n", 1, "merge"),
    ] {
        let document = parse(text);
        let error = document.errors.first().unwrap_or_else(|| panic!("{text}"));
        assert_eq!(error.fault, Fault::Syntax, "{text}");
        assert!(error.span.unwrap().line.abs_diff(line) <= 1, "{text}: {error:?}");
        assert!(format!("{} {}", error.message, error.label).contains(word), "{text}: {error:?}");
    }
}

#[test]
fn scalars_are_what_the_yaml_reader_says() {
    let words = "a: [~, null, NULL, true, True, false, no, off, on, y, 0, 7, -7, +7, 007, 0x1F, 0o17, 1.5, -1.5, 1e3, .5, 1., .inf, -.inf, 1_000, \
                 12:30, 1.2.3, '5', \"5\", 10.0.0.1, 5m, 12e, e5, 0.1, 00, 0.0, 1e400]\n";
    let root = parse(words).root.unwrap();
    let theirs: Value = serde_yaml::from_str(words).unwrap();
    let (Value::Sequence(ours), Value::Sequence(theirs)) = (root.get("a").unwrap().value(), theirs["a"].clone()) else { panic!() };
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn a_type_that_does_not_fit_has_its_path_and_place() {
    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Item {
        name: String,
        #[serde(default)]
        count: u8,
    }
    let read = |text: &str| super::read::<std::collections::BTreeMap<String, Vec<Item>>>(text).map_err(|errors| errors.join("\n"));
    assert_eq!(read("a:\n- name: x\n").unwrap()["a"], [Item { name: "x".into(), count: 0 }]);
    assert!(read("").unwrap().is_empty());
    for (text, parts) in [
        ("a:\n- name: x\n  count: many\n", ["`a[0].count`", "invalid type", "line 3, column 10"]),
        ("a:\n- name: x\n- nam: y\n", ["a[1]", "unknown field `nam`", "line 3"]),
        ("a:\n- count: 1\n", ["a[0]", "missing field `name`", "line 2"]),
        ("a: []\nb: []\na: []\n", ["`a` appears twice", "line 3, column 1", "already in line 1"]),
        ("a:\n\t- name: x\n", ["tab", "line 2", "spaces"]),
    ] {
        let error = read(text).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_yaml_like_text_panics(parts in proptest::collection::vec("[a-c&*<:?,{}\\[\\]\"'|>!%@ \\n\\t#-]{1,6}", 0..30)) {
        let _ = parse(&parts.concat());
    }
}
