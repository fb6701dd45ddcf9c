//! The rules of the house that the compiler does not know, checked over `src/` and `tests/`: floors, sizes, names, secrets, clocks.
//! Each rule looks at one file's text; a broken rule prints `file:line: what`. The last test shows the rules samples that they must find.

use std::fs;
use std::path::Path;

/// Module to floor: a module uses only modules of lower floors. `lib.rs` and `main.rs` stand above all.
const FLOORS: &[(&str, u8)] = &[
    ("model", 0),
    ("metrics", 0),
    ("traces", 0),
    ("ingest", 1),
    ("route", 1),
    ("template", 1),
    ("channel", 1),
    ("store", 1),
    ("delivery", 2),
    ("config", 3),
    ("http", 4),
    ("app", 5),
    ("cli", 6),
];
/// Lines a file may have.
const MAX_LINES: usize = 600;
/// Names that say nothing about what a module is for.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager"];
/// Words that mark unfinished work, in two halves so that this file does not hold them.
const UNFINISHED: &[(&str, &str)] = &[("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("to", "do!("), ("unimple", "mented!(")];

/// A text that only some places may hold.
struct Confined {
    /// Any of these.
    texts: &'static [&'static str],
    /// Where the rule holds: beginnings of paths.
    within: &'static [&'static str],
    /// Where it may stand all the same: beginnings of paths.
    except: &'static [&'static str],
    why: &'static str,
}

const CONFINED: &[Confined] = &[
    Confined {
        texts: &[".expose()"],
        within: &["src/"],
        except: &[
            "src/channel/",
            "src/store/",
            "src/model/",
            // Judges how strong a literal is, never shows it.
            "src/config/",
            "src/http/auth",
            // Gives a direct call's own recipients back to its caller.
            "src/http/legacy",
            // Signs links with the key.
            "src/delivery/links",
            // Shows the configured credential to the server it belongs to.
            "src/cli/remote",
        ],
        why: "a secret or an address is laid open outside drivers, stores and authentication",
    },
    Confined {
        texts: &["Timestamp::now(", "SystemTime::now("],
        within: &["src/"],
        except: &["src/delivery/clock"],
        why: "the time of day is an argument: only the engine's clock reads it",
    },
    Confined {
        texts: &["Instant::now("],
        within: &["src/"],
        // Deadlines, ages of pooled connections and tokens, and of queued requests are monotonic and local.
        except: &["src/app/", "src/delivery/clock", "src/store/", "src/channel/email/", "src/channel/kit/", "src/channel/token.rs"],
        why: "time is an argument: only the application, the engine's clock and what keeps deadlines read a clock",
    },
    Confined {
        texts: &["sleep("],
        within: &["src/channel/"],
        except: &["src/channel/kit/", "src/channel/token.rs"],
        why: "a driver makes one attempt and never waits",
    },
    Confined {
        texts: &["watchfire::channel"],
        within: &["tests/it/support/fakes"],
        except: &[],
        why: "a fake that is built from the driver under test cannot find its mistakes",
    },
];

/// A file: its path from the crate's root with `/`, its text, and its text with comments and literals blanked out.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into(), code: blank(text) }
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/contract/")
    }
}

type Findings = Vec<(usize, String)>;

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Comments, strings and characters become spaces; lines and columns stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut i = 0;
    while i < bytes.len() {
        let rest = &text.as_bytes()[i..];
        let before = if i == 0 { b' ' } else { bytes[i - 1] };
        let hashes = rest.iter().skip(1).take_while(|b| **b == b'#').count();
        let end = if rest.starts_with(b"//") {
            find(rest, b"\n", 0)
        } else if rest.starts_with(b"/*") {
            find(rest, b"*/", 2) + 2
        } else if rest[0] == b'r' && rest.get(1 + hashes) == Some(&b'"') && !before.is_ascii_alphanumeric() && before != b'_' {
            find(rest, format!("\"{}", "#".repeat(hashes)).as_bytes(), 2 + hashes) + 1 + hashes
        } else if rest[0] == b'"' {
            closing(rest, b'"')
        } else if rest[0] == b'\'' && (rest.get(1) == Some(&b'\\') || rest.iter().skip(1).take(6).position(|b| *b == b'\'').is_some_and(|n| n == 1)) {
            closing(rest, b'\'')
        } else {
            i += 1;
            continue;
        };
        let end = (i + end).min(bytes.len());
        out[i..end].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
        i = end.max(i + 1);
    }
    String::from_utf8(out).expect("only whole literals and comments were blanked")
}

fn find(text: &[u8], what: &[u8], from: usize) -> usize {
    (from..text.len()).find(|i| text[*i..].starts_with(what)).unwrap_or(text.len())
}

fn closing(text: &[u8], quote: u8) -> usize {
    let mut i = 1;
    while i < text.len() && text[i] != quote {
        i += if text[i] == b'\\' { 2 } else { 1 };
    }
    i + 1
}

/// The names that stand right behind the crate's root in paths: `crate::a`, `crate::{a, b::c}`, `super::super::a` where that reaches the root.
fn uses(source: &Source, root: &str) -> Vec<(usize, String)> {
    let code = &source.code;
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&format!("{root}::")) {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            found.extend(heads(&code[at + root.len() + 2..]).into_iter().map(|name| (at, name)));
        }
    }
    let mut at = 0;
    while let Some(next) = code[at..].find("super::") {
        let start = at + next;
        let supers = code.as_bytes()[start..].chunks(7).take_while(|c| *c == b"super::").count();
        at = start + supers * 7;
        if supers == depth(source, start) {
            found.extend(heads(&code[at..]).into_iter().map(|name| (start, name)));
        }
    }
    found
}

/// The first names of a path or of a group of paths.
fn heads(text: &str) -> Vec<String> {
    let name = |s: &str| s.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = text.trim_start().strip_prefix('{') else { return vec![name(text)] };
    let mut level = 0;
    let mut names = vec![name(group)];
    for (i, c) in group.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 0 => break,
            '}' => level -= 1,
            ',' if level == 0 => names.push(name(&group[i + 1..])),
            _ => {}
        }
    }
    names
}

/// How many modules deep the code at `at` is: the file's own path, and inline modules around it.
fn depth(source: &Source, at: usize) -> usize {
    let path = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let code = &source.code[..at];
    let inline = code.match_indices("mod ").filter(|(i, _)| {
        let rest = code[i + 4..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        let Some(body) = rest.trim_start().strip_prefix('{') else { return false };
        let mut open = 1;
        body.chars().for_each(|c| match (c, open) {
            (_, 0) => {}
            ('{', _) => open += 1,
            ('}', _) => open -= 1,
            _ => {}
        });
        open > 0
    });
    path.split('/').count() + inline.count()
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

fn floors(source: &Source) -> Findings {
    let Some(path) = source.path.strip_prefix("src/") else { return Vec::new() };
    let module = path.split(['/', '.']).next().unwrap_or_default();
    if matches!(path, "lib.rs" | "main.rs") {
        return Vec::new();
    }
    let Some(own) = floor(module) else { return vec![(1, format!("module `{module}` has no floor: add it to FLOORS"))] };
    let above = |(at, name): (usize, String)| {
        let other = floor(&name).filter(|floor| name != module && *floor >= own)?;
        Some((line_of(&source.code, at), format!("`{module}` (floor {own}) must not use `{name}` (floor {other})")))
    };
    uses(source, "crate").into_iter().filter_map(above).collect()
}

fn sizes(source: &Source) -> Findings {
    let lines = source.text.lines().count();
    if lines > MAX_LINES { vec![(lines, format!("{lines} lines, {MAX_LINES} are the most"))] } else { Vec::new() }
}

fn names(source: &Source) -> Findings {
    let parts = source.path.trim_end_matches(".rs").split('/').map(|part| (1, part.to_owned()));
    let declared = source.code.match_indices("mod ").map(|(at, _)| (line_of(&source.code, at), heads(&source.code[at + 4..]).remove(0)));
    let empty = |(_, name): &(usize, String)| EMPTY_NAMES.contains(&name.as_str());
    parts.chain(declared).filter(empty).map(|(line, name)| (line, format!("a module named `{name}` says nothing; name what it is for"))).collect()
}

fn unfinished(source: &Source) -> Findings {
    let found = |(head, tail): &(&str, &str)| {
        let word = format!("{head}{tail}");
        let whole = |at: &usize| {
            !(word.starts_with("XX") && source.text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '\\')
                || word.starts_with("XX") && source.text[at + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '/'))
        };
        source
            .text
            .match_indices(&word)
            .filter(|(at, _)| whole(at))
            .map(|(at, _)| (line_of(&source.text, at), format!("unfinished work: `{word}`")))
            .collect::<Findings>()
    };
    UNFINISHED.iter().flat_map(found).collect()
}

fn confined(source: &Source) -> Findings {
    let starts = |paths: &[&str]| paths.iter().any(|path| source.path.starts_with(path));
    let mut findings = Vec::new();
    for rule in CONFINED.iter().filter(|rule| starts(rule.within) && !starts(rule.except) && !source.is_test()) {
        // Unit tests stand at the end of their file and may do as they like.
        let tests = source.code.find("#[cfg(test)]\nmod tests").unwrap_or(source.code.len());
        for text in rule.texts {
            findings.extend(source.code[..tests].match_indices(text).map(|(at, _)| (line_of(&source.code, at), format!("`{text}`: {}", rule.why))));
        }
        // `use watchfire::{channel, ..}` is the same as `watchfire::channel`.
        if let Some(name) = rule.texts[0].strip_prefix("watchfire::") {
            let grouped = uses(source, "watchfire").into_iter().filter(|(at, used)| used == name && source.code[at + 11..].starts_with('{'));
            findings.extend(grouped.map(|(at, _)| (line_of(&source.code, at), format!("`watchfire::{{{name}}}`: {}", rule.why))));
        }
    }
    findings
}

fn walk(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("below the root").to_string_lossy().replace('\\', "/");
            found.push(Source::new(&name, &fs::read_to_string(&path).expect("source files are UTF-8")));
        }
    }
}

fn check(rule: fn(&Source) -> Findings) {
    let mut sources = Vec::new();
    for folder in ["src", "tests"] {
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut sources);
    }
    assert!(sources.len() > 10, "the sources were not found");
    let broken: Vec<String> =
        sources.iter().flat_map(|s| rule(s).into_iter().map(|(line, what)| format!("{}:{line}: {what}", s.path)).collect::<Vec<_>>()).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn modules_use_only_lower_floors() {
    check(floors);
}

#[test]
fn no_file_is_too_long() {
    check(sizes);
}

#[test]
fn modules_are_named_for_what_they_do() {
    check(names);
}

#[test]
fn nothing_is_left_unfinished() {
    check(unfinished);
}

#[test]
fn secrets_clocks_and_waiting_stay_in_their_places() {
    check(confined);
}

#[test]
fn each_rule_finds_its_samples() {
    type Rule = fn(&Source) -> Findings;
    let long = "\n".repeat(MAX_LINES + 1);
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
        (sizes, "src/a.rs", &long, &[MAX_LINES + 1]),
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
    ];
    for (rule, path, text, lines) in samples {
        let mut found: Vec<usize> = rule(&Source::new(path, text)).into_iter().map(|(line, _)| line).collect();
        found.sort_unstable();
        assert_eq!(found, *lines, "{path}: {text}");
    }
}
