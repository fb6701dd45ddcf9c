//! `docs/reference.md` is the program: commands, variables and exit codes as it prints them, metrics as it exports them, codes as it finds them, and
//! every line of its log. `UPDATE=1` writes all but the errors, which are explained.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use watchfire::config::codes;
use watchfire::metrics::Format;

use crate::deploy::one_of_each;
use crate::docs_book::root;
use crate::docs_generated::{hold_part, output};

fn page() -> PathBuf {
    root().join("docs/reference.md")
}

/// The sources of the program, with their paths, up to their tests.
fn sources() -> Vec<(String, String)> {
    let (mut out, mut open) = (Vec::new(), vec![root().join("src")]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            if path.is_dir() {
                if !name.ends_with("/tests") && name != "src/delivery/model" {
                    open.push(path);
                }
            } else if name.ends_with(".rs") && !name.ends_with("/tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                out.push((name, text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()));
            }
        }
    }
    out.sort();
    out
}

/// A metric as a reader finds it.
struct Family {
    name: String,
    kind: String,
    labels: BTreeSet<String>,
    help: String,
}

/// The families of an exposition in OpenMetrics, whose counters get the ending of their samples.
fn families(text: &str) -> Vec<Family> {
    let mut out: Vec<Family> = Vec::new();
    let mut help = ("", "");
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            help = about;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert_eq!(help.0, name, "a family without a text");
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            out.push(Family { name, kind: kind.to_owned(), labels: BTreeSet::new(), help: help.1.trim_end_matches('.').to_owned() });
        } else if let Some((_, rest)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            // No value of a label has a brace, a comma or an equals sign in this sample.
            let labels = rest.split_once('}').unwrap().0.split(',').filter_map(|label| label.split_once('='));
            out.last_mut().unwrap().labels.extend(labels.map(|(name, _)| name.to_owned()).filter(|name| name != "le"));
        }
    }
    out
}

/// The four parts that `UPDATE=1` writes; in one test, because they are in one file.
#[test]
fn commands_metrics_codes_and_lines_of_the_log_are_the_programs() {
    hold_part(&page(), "commands", &output(&["man", "--markdown"]));
    hold_part(&page(), "metrics", &metrics());
    hold_part(&page(), "codes", &codes());
    hold_part(&page(), "lines", &lines());
}

fn codes() -> String {
    let mut table = String::from("| code | what it is | what to do |\n|---|---|---|\n");
    for code in codes::ALL {
        let cell = |text: &str| text.replace("`watchfire ", "`").replace('|', "\\|");
        table.push_str(&format!("| `{}` | {} | {} |\n", code.code, cell(code.title), cell(code.text)));
    }
    table
}

fn metrics() -> String {
    let found = families(&one_of_each().write(Format::OpenMetrics));
    let registered: usize = sources()
        .iter()
        .filter(|(name, _)| name.starts_with("src/metrics/") && name != "src/metrics/register.rs")
        .map(|(_, text)| ["series(registry", "measured(registry", "registry.register(", "registry.register_with_unit("].map(|call| calls(text, call)))
        .map(|counts| counts.iter().sum::<usize>())
        .sum();
    assert_eq!(found.len(), registered, "`one_of_each` in tests/it/deploy.rs lacks a sample of some metric");
    let mut table = String::from("| metric | type | labels | what it is |\n|---|---|---|---|\n");
    for family in found {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        table.push_str(&format!("| `{}` | {} | {} | {} |\n", family.name, family.kind, labels.join(", "), family.help.replace('|', "\\|")));
    }
    table
}

/// How often a call is made, wherever its lines are broken.
fn calls(text: &str, call: &str) -> usize {
    let joined: String = text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(");
    joined.matches(call).count()
}

/// The first text of a macro's arguments that is a message: the longest part of it that is always the same.
fn message(arguments: &str) -> Option<String> {
    let mut literals = arguments.split('"').skip(1).step_by(2);
    let says = |literal: &&str| literal.contains(' ') && literal.chars().any(char::is_alphabetic);
    let message = literals.find(|literal| says(literal) || literal.contains('{'))?;
    let line = message.split("\\n").next().unwrap_or_default();
    let fixed = line.split(['{', '}']).step_by(2).max_by_key(|part| part.len())?;
    Some(fixed.trim_matches([' ', ';', ':']).to_owned()).filter(|text| text.contains(' '))
}

/// A new error in the log is a new line for those who watch it: it is explained, or this fails.
#[test]
fn every_error_of_the_log_is_explained() {
    let mut logged = BTreeSet::new();
    for (_, text) in sources() {
        logged.extend(text.split("tracing::error!(").skip(1).filter_map(message));
    }
    assert!(logged.len() > 20, "{logged:?}");
    let page = fs::read_to_string(page()).unwrap();
    let (_, rest) = page.split_once("<!-- log -->\n").unwrap();
    let rows = rest.split_once("<!-- /log -->").unwrap().0.lines().filter(|line| line.starts_with("| ")).skip(1);
    let explained: BTreeSet<String> =
        rows.filter_map(|row| row.trim_start_matches("| ").split_once(" | ")).map(|(line, _)| line.to_owned()).collect();
    let missing: Vec<&String> = logged.difference(&explained).collect();
    let gone: Vec<&String> = explained.difference(&logged).collect();
    assert!(missing.is_empty() && gone.is_empty(), "docs/reference.md, between `<!-- log -->`: add rows for {missing:#?}, remove {gone:#?}");
}

/// The lines of the log in a source that a macro writes, each as its arguments, with texts of several lines as one.
fn logged(text: &str, call: &str) -> Vec<String> {
    let arguments = text.split(call).skip(1).map(|rest| rest.split(");").next().unwrap_or_default());
    arguments.map(|arguments| arguments.split_whitespace().collect::<Vec<_>>().join(" ").replace("\\ ", "")).collect()
}

/// The warnings and what else is logged by default. A message of one word is the only text of its line.
fn lines() -> String {
    let word =
        |arguments: &str| arguments.split('"').nth(1).filter(|text| !text.is_empty() && text.chars().all(char::is_alphabetic)).map(str::to_owned);
    let mut table = String::from("| level | message |\n|---|---|\n");
    for (level, call) in [("WARN", "tracing::warn!("), ("INFO", "tracing::info!(")] {
        let all: Vec<String> = sources().iter().flat_map(|(_, text)| logged(text, call)).collect();
        let messages: BTreeSet<String> = all.iter().filter_map(|arguments| message(arguments).or_else(|| word(arguments))).collect();
        for message in messages {
            table.push_str(&format!("| {level} | {} |\n", message.replace('|', "\\|")));
        }
    }
    table
}

/// Commands take the ids of deliveries, events and incidents. A message is none of these: a line that names only a message leads nowhere.
#[test]
fn every_line_about_a_message_names_a_delivery() {
    let (mut lines, mut wrong) = (0, Vec::new());
    for (file, text) in sources() {
        let logged = ["tracing::info!(", "tracing::warn!(", "tracing::error!("].into_iter().flat_map(|call| logged(&text, call));
        for line in logged.filter(|line| line.contains("message_id = ")) {
            lines += 1;
            // The message is another node's: nobody here knows what it carries.
            if !line.contains("delivery") && !line.contains("memory and store differ about a message") {
                wrong.push(format!("{file}: {line}"));
            }
        }
    }
    assert!(lines > 10, "only {lines} lines were found");
    assert!(wrong.is_empty(), "lines of the log about a message without `delivery`:\n{}", wrong.join("\n"));
}

#[test]
fn every_variable_of_the_program_is_on_the_page() {
    let page = fs::read_to_string(page()).unwrap();
    for (file, text) in sources() {
        for part in text.split("\"WATCHFIRE_").skip(1) {
            let name = format!("WATCHFIRE_{}", part.split('"').next().unwrap());
            let only_tests = matches!(name.as_str(), "WATCHFIRE_CI" | "WATCHFIRE_ROUNDS" | "WATCHFIRE_TEST_POSTGRES");
            assert!(only_tests || page.contains(&format!("`{name}`")), "docs/reference.md does not name {name}, which {file} reads");
        }
    }
}

#[test]
fn exit_codes_are_as_the_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(args).current_dir(folder.path()).env_remove("WATCHFIRE_CONFIG").output().unwrap().status.code()
    };
    let write = |text: &str| fs::write(Path::join(folder.path(), "routes.yaml"), text).unwrap();
    write("channels: { a: { log: {} } }\nroute: { to: [a] }\n");
    assert_eq!((run(&["check"]), run(&["route", "x=y", "--expect", "a"])), (Some(0), Some(0)));
    assert_eq!(run(&["route", "x=y", "--expect", "b"]), Some(1));
    assert_eq!(run(&["chekc"]), Some(2));
    write("channels: { a: { log: {} } }\nroute: { to: [b] }\n");
    assert_eq!(run(&["check"]), Some(1));
}

#[test]
fn messages_are_read_as_they_are_logged() {
    let read = |text: &str| message(text).unwrap_or_default();
    assert_eq!(read(r#"%error, act = %act.0, "an act is missing in the audit");"#), "an act is missing in the audit");
    assert_eq!(read(r#"defect = what.unwrap_or("unknown"), "a handler panicked");"#), "a handler panicked");
    assert_eq!(read(r#"nodes = list.join(", "), "nodes differ");"#), "nodes differ");
    assert_eq!(read(r#""{error}; alerts are delivered without traces");"#), "alerts are delivered without traces");
    assert_eq!(read(r#""could not be reloaded\n{}", error.report);"#), "could not be reloaded");
    assert_eq!(read(r#""{found}"); other("not this one")"#), "");
    let read = families("# HELP a_x Things.\n# TYPE a_x counter\na_x_total{b=\"1\",le=\"2\"} 1\n");
    assert_eq!((read[0].name.as_str(), read[0].help.as_str(), read[0].labels.len()), ("a_x_total", "Things", 1));
}
