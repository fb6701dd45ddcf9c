//! Samples that the rules must find.

use crate::chinese::latin_marks;
use crate::cycles::cycles;
use crate::exceptions::Excess;
use crate::platforms::named_elsewhere;
use crate::rules::{UNFINISHED, confined, floors, names, unfinished};
use crate::sizes::{MAX_FIELDS, MAX_FUNCTION, MAX_LINES, large_types, long_files, long_functions};
use crate::source::{Findings, Source};
use crate::words::private_words;

#[test]
fn each_rule_finds_its_samples() {
    type Rule = fn(&Source) -> Findings;
    let todo = format!("// {}{}: later", UNFINISHED[0].0, UNFINISHED[0].1);
    let samples: &[(Rule, &str, &str, &[usize])] = &[
        (floors, "src/store/a.rs", "use crate::model::Page;\nuse crate::store::X;\nuse crate::channel::Y;", &[3]),
        (floors, "src/route/mod.rs", "use crate::{model::{A, B}, template::C,\n    delivery};", &[1, 1]),
        (floors, "src/route/tree.rs", "fn f() { super::super::config::x(); super::tree2::y() }", &[1]),
        (
            floors,
            "src/route/tree.rs",
            "mod tests {\n use super::super::config; use super::super::super::{config, model}; }\nuse super::super::http;",
            &[2, 3],
        ),
        (floors, "src/route/mod.rs", "use super::store::X;", &[1]),
        (floors, "src/http/a.rs", "crate::cli::x(); crate::delivery::y(); mycrate::cli::x();", &[1]),
        (floors, "src/ingest/a.rs", "// crate::http\nlet s = \"crate::http\"; let c = '\"'; let r = r#\"crate::\"http\"#; /* crate::http */", &[]),
        (floors, "src/novel/a.rs", "", &[1]),
        (floors, "src/main.rs", "use crate::app;", &[]),
        (names, "src/http/utils.rs", "", &[1]),
        (names, "src/http/mod.rs", "\nmod common;\nmod manager_of_x;", &[2]),
        (unfinished, "tests/a.rs", &todo, &[1]),
        (confined, "src/delivery/a.rs", "x.expose();\nInstant::now();", &[1, 2]),
        (confined, "src/channel/slack.rs", "x.expose();\nsleep(1)", &[2]),
        (confined, "src/channel/kit/token.rs", "sleep(1)", &[]),
        (confined, "src/delivery/clock.rs", "Timestamp::now()", &[]),
        (confined, "src/store/sqlite/tests/a.rs", "Instant::now()", &[]),
        (confined, "tests/it/support/fakes/slack.rs", "use watchfire::{model, channel};\nwatchfire::channel::x();", &[1, 2]),
        (confined, "tests/it/a.rs", "use watchfire::channel;", &[]),
        (latin_marks, "src/http/console/a.rs", "say(l, \"None.\", \"无。\")\n(x) \". \" \"磁盘已满, 见下\"\n// 无.", &[2, 2]),
        (latin_marks, "src/http/console/a.rs", "x.join(\", \"); (say(l, \": \", \"：\")); '\"'; \"UTC.\"", &[]),
        (latin_marks, "src/channel/a.rs", "p { \"无.\" }", &[]),
    ];
    for (rule, path, text, lines) in samples {
        let mut found: Vec<usize> = rule(&Source::new(path, text)).into_iter().map(|(line, _)| line).collect();
        found.sort_unstable();
        assert_eq!(found, *lines, "{path}: {text}");
    }
}

#[test]
fn rules_with_exceptions_find_their_samples() {
    let long = [Source::new("src/a.rs", &"\n".repeat(MAX_LINES + 1)), Source::new("src/b.rs", &"\n".repeat(MAX_LINES))];
    assert_eq!(long_files(&long), [Excess { rule: "lines", what: "src/a.rs".into(), size: MAX_LINES + 1 }]);

    let body = |lines: usize| "    g(\"}\");\n".repeat(lines);
    let functions = |path: &str, lines: usize| {
        let code =
            format!("trait T {{ fn none(a: [u8; 2]); }}\npub fn long<T>(f: impl Fn(u8)) -> u8\nwhere T: A {{\n{}}}\nfn short() {{}}\n", body(lines));
        long_functions(&[Source::new(path, &code)])
    };
    assert_eq!(functions("src/a.rs", MAX_FUNCTION - 3), []);
    assert_eq!(functions("src/a.rs", MAX_FUNCTION - 2), [Excess { rule: "function", what: "src/a.rs long".into(), size: MAX_FUNCTION + 1 }]);
    assert_eq!(functions("src/a/tests.rs", MAX_FUNCTION), []);

    let many: String = (0..=MAX_FIELDS).map(|i| format!("    pub f{i}: std::collections::HashMap<String, (u8, u8)>,\n")).collect();
    let types = |head: &str| {
        large_types(&[Source::new("src/a.rs", &format!("{head}pub struct Wide<T> {{\n{many}}}\nstruct Small {{ a: u8 }}\nstruct T(u8);"))])
    };
    assert_eq!(types("#[derive(Debug)]\n"), [Excess { rule: "fields", what: "src/a.rs Wide".into(), size: MAX_FIELDS + 1 }]);
    assert_eq!(types("#[derive(Debug, Deserialize)]\n"), []);

    let files = |texts: &[(&str, &str)]| cycles(&texts.iter().map(|(path, text)| Source::new(path, text)).collect::<Vec<_>>());
    let circle = |what: &str| vec![Excess { rule: "cycle", what: what.into(), size: what.split(' ').count() }];
    let door = ("src/m/mod.rs", "mod a;\nmod b;\npub use a::{A, A2};\npub struct Own;");
    assert_eq!(files(&[door, ("src/m/a.rs", "use super::b::B;"), ("src/m/b.rs", "use super::Own;")]), []);
    assert_eq!(files(&[door, ("src/m/a.rs", "use super::b::B;"), ("src/m/b.rs", "use super::{Own, A};")]), circle("src/m/a.rs src/m/b.rs"));
    assert_eq!(
        files(&[door, ("src/m/a.rs", "fn f() { crate::m::b::f() }"), ("src/m/b.rs", "use crate::{x::Y, m::{Own, a::{self, A}}};")]),
        circle("src/m/a.rs src/m/b.rs")
    );
    assert_eq!(
        files(&[door, ("src/m/a.rs", "use super::b::B;"), ("src/m/b.rs", "use super::c::C;"), ("src/m/c.rs", "use super::A2;")]),
        circle("src/m/a.rs src/m/b.rs src/m/c.rs")
    );
    assert_eq!(
        files(&[door, ("src/m/a.rs", "use super::b::B;"), ("src/m/b.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use super::super::a::A; }")]),
        []
    );
    let in_test = ("src/m/mod.rs", "mod a;\n#[cfg(test)]\nmod b;");
    assert_eq!(files(&[in_test, ("src/m/a.rs", "use super::b::B;"), ("src/m/b.rs", "use super::a::A;")]), []);

    let words = |path: &str, text: &str| {
        let mut lines: Vec<usize> =
            private_words(&Source::new(path, text), &["anew".into(), "is told".into()]).into_iter().map(|(line, _)| line).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(
        words(
            "src/a.rs",
            "//! It is told anew.\nlet anew = \"a; `anew`\"; // anew\ntracing::info!(\n    \"read anew {anew}\"\n);\nf('\"', r#\"\"anew\"#); // `anew`, canew"
        ),
        [1, 1, 2, 4, 6]
    );
    assert_eq!(words("docs/a.md", "Anew.\n```sh\nanew\n```\n`anew` is told"), [1, 5]);
    assert_eq!(words("src/a.rs", "f(\"a page that is \\\n    told\");"), [1]);
    assert_eq!(words("tests/it/a.rs", "f(\"anew\"); // anew"), [1]);
    assert_eq!(words("templates/a.yaml", "# `anew`\nadvice: \"is told\""), [2]);
}

#[test]
fn a_platform_that_is_named_elsewhere_is_found() {
    let (names, places) = (["slack".to_owned()], ["src/lookalike/".to_owned()]);
    let found =
        |path: &str, text: &str| named_elsewhere(&Source::new(path, text), &names, &places).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
    let code = "// slack\nlet slack = \"slack\"; f(\"a slack\");\n#[cfg(test)]\nmod tests { f(\"slack\") }";
    assert_eq!(found("src/http/a.rs", code), [2]);
    for path in ["src/channel/slack/mod.rs", "src/lookalike/mod.rs", "src/http/tests/a.rs", "tests/it/a.rs"] {
        assert_eq!(found(path, code), [0; 0], "{path}");
    }
}
