//! The rules of the house that the compiler does not know, checked over `src/` and `tests/`: floors, sizes, names, secrets, clocks, import cycles, words.
//! Most rules look at one file's text; a broken rule prints `file:line: what`. The last tests show the rules samples that they must find.
//!
//! Length, fields, cycles and words have exceptions, in `tests/architecture.txt`. The list may only shrink: `UPDATE=1 cargo test --test architecture`
//! rewrites it as long as no module has more than before.

use std::collections::{BTreeMap, BTreeSet};
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
const MAX_LINES: usize = 400;
/// Fields a type may have.
const MAX_FIELDS: usize = 15;
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

/// What breaks a rule that has exceptions: the rule, what breaks it, and by how much.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Excess {
    rule: &'static str,
    what: String,
    size: usize,
}

impl Excess {
    /// The module, as far as counts must not rise in it: `src/store`, `tests`.
    fn module(&self) -> String {
        let path = self.what.split(' ').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        if parts[0] == "src" && parts.len() > 1 { parts[..2].join("/").trim_end_matches(".rs").to_owned() } else { parts[0].to_owned() }
    }
}

fn long_files(sources: &[Source]) -> Vec<Excess> {
    let lines = sources.iter().map(|source| (source, source.text.lines().count()));
    lines.filter(|(_, size)| *size > MAX_LINES).map(|(source, size)| Excess { rule: "lines", what: source.path.clone(), size }).collect()
}

/// Structs and variants of enums with too many named fields. What clap or serde reads (a list of options) is no state and may be longer.
fn large_types(sources: &[Source]) -> Vec<Excess> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/") && !source.is_test()) {
        for (at, _) in source.code.match_indices("struct ") {
            let before = source.code[..at].trim_end_matches(|c: char| c != '\n');
            let attributes: String = before.lines().rev().take_while(|line| line.trim_start().starts_with("#[")).collect();
            let name = heads(&source.code[at + 7..]).remove(0);
            let Some(open) = source.code[at..].find(['{', ';', '(']).filter(|open| source.code[at + open..].starts_with('{')) else { continue };
            let size = fields(&source.code[at + open + 1..]);
            if size > MAX_FIELDS && !attributes.contains("Deserialize") && !attributes.contains("Args") && !attributes.contains("Serialize") {
                found.push(Excess { rule: "fields", what: format!("{} {name}", source.path), size });
            }
        }
    }
    found
}

/// The fields of a struct whose body begins here.
fn fields(body: &str) -> usize {
    let (mut level, mut count) = (0usize, 0);
    for (i, c) in body.char_indices() {
        match c {
            '}' if level == 0 => break,
            '{' | '(' | '[' | '<' => level += 1,
            '>' if body[..i].ends_with(['-', '=']) => {}
            '}' | ')' | ']' | '>' => level = level.saturating_sub(1),
            ':' if level == 0 && !body[..i].ends_with(':') && !body[i + 1..].starts_with(':') => count += 1,
            _ => {}
        }
    }
    count
}

/// The module that a file is: `src/a/b.rs` and `src/a/b/mod.rs` are `[a, b]`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    if matches!(path, "lib" | "main") { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// Paths in a file's code that begin with `crate`, `super`, `self` or are those of a `use`, as lists of names; groups are spread out.
fn paths(code: &str) -> Vec<(Vec<String>, bool)> {
    let mut found = Vec::new();
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let before = &code[..at];
            if !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                let line = before.rsplit([';', '}']).next().unwrap_or_default().trim_start();
                spread(&code[at..], &mut Vec::new(), &mut found, line.starts_with("pub use") || line.starts_with("pub(") && line.contains("use"));
            }
        }
    }
    for (at, _) in code.match_indices("use ") {
        let path = &code[at + 4..];
        if code[..at]
            .trim_end_matches([' ', ')'])
            .ends_with(|c: char| c.is_alphanumeric() || c == '}' || c == ';' || c == '{' || c == ']' || c == '\n')
            && !["crate::", "super::", "self::"].iter().any(|root| path.starts_with(root))
        {
            let line = code[..at].rsplit(['\n', ';']).next().unwrap_or_default();
            spread(path, &mut Vec::new(), &mut found, line.contains("pub"));
        }
    }
    found
}

/// Reads one path or group of paths; returns how much of the text it took.
fn spread(text: &str, prefix: &mut Vec<String>, found: &mut Vec<(Vec<String>, bool)>, public: bool) -> usize {
    let depth = prefix.len();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let rest = &text[at..];
        if rest.starts_with('{') {
            at += 1;
            loop {
                at += spread(&text[at..], prefix, found, public);
                at += text[at..].find([',', '}']).unwrap_or(text.len() - at);
                let done = !text[at..].starts_with(',');
                at = (at + 1).min(text.len());
                if done || text[at..].trim_start().starts_with('}') {
                    if !done {
                        at += text[at..].find('}').map_or(0, |end| end + 1);
                    }
                    prefix.truncate(depth);
                    return at;
                }
            }
        }
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '*')).collect();
        at += name.len();
        prefix.push(name);
        if text[at..].starts_with("::") && !text[at + 2..].starts_with('<') {
            at += 2;
        } else {
            found.push((prefix.clone(), public));
            prefix.truncate(depth);
            return at;
        }
    }
}

/// Files that see each other, directly or over others. A module's door (`mod.rs`) and what lies behind it may.
fn cycles(sources: &[Source]) -> Vec<Excess> {
    let all: Vec<(Vec<String>, &Source, &str)> = sources
        .iter()
        .filter(|source| source.path.starts_with("src/") && !source.is_test())
        .map(|source| {
            let tests = source.code.find("#[cfg(test)]\nmod tests").unwrap_or(source.code.len());
            (module_of(&source.path), source, &source.code[..tests])
        })
        .collect();
    let only_tests: BTreeSet<Vec<String>> = all
        .iter()
        .flat_map(|(module, _, code)| {
            code.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
                let rest = rest.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
                let name = heads(rest.strip_prefix("mod ")?).remove(0);
                Some([module.as_slice(), &[name]].concat())
            })
        })
        .collect();
    let all: Vec<_> = all.into_iter().filter(|(module, ..)| !only_tests.iter().any(|test| module.starts_with(test))).collect();
    let index: BTreeMap<&[String], usize> = all.iter().enumerate().map(|(i, (module, ..))| (module.as_slice(), i)).collect();
    let paths: Vec<Vec<(Vec<String>, bool)>> = all.iter().map(|(_, _, code)| paths(code)).collect();
    // Where a name that a module re-exports comes from.
    let origin = |at: usize, name: &str| {
        let exported = paths[at].iter().filter(|(_, public)| *public).map(|(path, _)| path);
        exported.filter(|path| path.last().is_some_and(|last| last == name || last == "*")).find_map(|path| {
            let full: Vec<String> = match path[0].as_str() {
                "crate" => path[1..].to_vec(),
                "self" => [all[at].0.as_slice(), &path[1..]].concat(),
                "super" => return None,
                _ => [all[at].0.as_slice(), path].concat(),
            };
            (1..full.len()).rev().find_map(|n| index.get(&full[..n]).copied()).filter(|found| *found != at)
        })
    };
    let mut edges: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); all.len()];
    for (from, (module, ..)) in all.iter().enumerate() {
        for (path, _) in &paths[from] {
            let supers = path.iter().take_while(|name| *name == "super").count();
            let full: Vec<String> = match path[0].as_str() {
                "crate" => path[1..].to_vec(),
                "self" => [module.as_slice(), &path[1..]].concat(),
                "super" if supers <= module.len() => [&module[..module.len() - supers], &path[supers..]].concat(),
                _ => [module.as_slice(), path].concat(),
            };
            let Some(depth) = (1..=full.len()).rev().find(|n| index.contains_key(&full[..*n])) else { continue };
            let mut to = index[&full[..depth]];
            if let Some(name) = full.get(depth) {
                for _ in 0..4 {
                    to = origin(to, name).unwrap_or(to);
                }
            }
            let other = &all[to].0;
            if !module.starts_with(other) && !other.starts_with(module) {
                edges[from].insert(to);
            }
        }
    }
    let reach = |from: usize| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(next) = open.pop() {
            open.extend(edges[next].iter().copied().filter(|to| seen.insert(*to)));
        }
        seen
    };
    let reached: Vec<BTreeSet<usize>> = (0..all.len()).map(reach).collect();
    let mut found = BTreeSet::new();
    for (i, seen) in reached.iter().enumerate().filter(|(i, seen)| seen.contains(i)) {
        let circle: Vec<&str> = seen.iter().filter(|other| reached[**other].contains(&i)).map(|other| all[*other].1.path.as_str()).collect();
        found.insert(Excess { rule: "cycle", what: circle.join(" "), size: circle.len() });
    }
    found.into_iter().collect()
}

/// The phrases of docs/style.md that are not to be used.
fn phrases() -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/style.md")).expect("docs/style.md");
    let table = page.split("<!-- words -->").nth(1).and_then(|rest| rest.split("<!-- /words -->").next()).expect("the marks in docs/style.md");
    table.lines().skip(3).filter_map(|line| line.split('|').nth(1)).flat_map(|cell| cell.split(',').map(|word| word.trim().to_owned())).collect()
}

/// The prose of a file, line by line: comments and messages of logs; of Markdown what is in no block of code. Nothing in backticks.
fn prose(source: &Source) -> Vec<(usize, String)> {
    let plain = |line: &str| line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    if source.path.ends_with(".md") {
        let mut fenced = false;
        let outside = |(i, line): (usize, &str)| {
            fenced ^= line.trim_start().starts_with("```");
            (!fenced).then(|| (i + 1, plain(line)))
        };
        return source.text.lines().enumerate().filter_map(outside).collect();
    }
    let mut found = Vec::new();
    let mut log = false;
    let mut start = 0;
    for (i, line) in source.text.lines().enumerate() {
        let code = &source.code[start..start + line.len()];
        start += line.len() + 1;
        let kept = code.trim_end();
        log = log || kept.contains("tracing::") && kept.contains('!') && !kept.trim_start().starts_with("use ");
        if let Some(comment) = line.get(kept.len()..).filter(|rest| rest.trim_start().starts_with("//")) {
            found.push((i + 1, plain(comment)));
        } else if log {
            found.push((i + 1, plain(&line.split('"').skip(1).step_by(2).collect::<Vec<_>>().join(" "))));
        }
        log = log && !kept.contains(';');
    }
    found
}

/// Where a file's prose uses a phrase.
fn private_words(source: &Source, phrases: &[String]) -> Findings {
    let whole = |text: &str, at: usize, len: usize| {
        let letter = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        !text[..at].ends_with(letter) && !text[at + len..].starts_with(letter)
    };
    let mut found = Findings::new();
    for (line, text) in prose(source) {
        let text = text.to_lowercase();
        for phrase in phrases {
            let times = text.match_indices(phrase.as_str()).filter(|(at, _)| whole(&text, *at, phrase.len())).count();
            found.extend((0..times).map(|_| (line, format!("`{phrase}` (see docs/style.md)"))));
        }
    }
    found
}

const EXCEPTIONS: &str = "tests/architecture.txt";

/// Compares what breaks a rule with the exceptions. Fails with what is new or larger.
fn within_exceptions(rule: &str, found: &[Excess], details: impl Fn(&Excess) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXCEPTIONS);
    let text = fs::read_to_string(&path).expect(EXCEPTIONS);
    let listed: Vec<(&str, usize)> = text
        .lines()
        .filter_map(|line| line.strip_prefix(rule)?.strip_prefix(' ')?.rsplit_once(' '))
        .map(|(what, size)| (what, size.parse().expect("a size at the end of the line")))
        .collect();
    let sum = |module: &str, of: &[(String, usize)]| of.iter().filter(|(m, _)| m == module).map(|(_, size)| size).sum::<usize>();
    let before: Vec<(String, usize)> =
        listed.iter().map(|(what, size)| (Excess { rule: "", what: (*what).into(), size: *size }.module(), *size)).collect();
    // Listed in steps, so that a line or a word more in a large file is no event.
    let step = match rule {
        "lines" => 20,
        "words" => 10,
        _ => 1,
    };
    let listed_as = |excess: &Excess| excess.size.next_multiple_of(step);
    let now: Vec<(String, usize)> = found.iter().map(|excess| (excess.module(), listed_as(excess))).collect();
    let grown: BTreeSet<&String> = now.iter().map(|(m, _)| m).filter(|m| sum(m, &now) > sum(m, &before)).collect();
    if std::env::var_os("UPDATE").is_some() && grown.is_empty() {
        // The tests of the other rules may be writing the same file.
        static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _turn = TURN.lock();
        let text = fs::read_to_string(&path).expect(EXCEPTIONS);
        let mut lines: Vec<String> = text.lines().filter(|line| !line.starts_with(&format!("{rule} "))).map(str::to_owned).collect();
        lines.extend(found.iter().map(|excess| format!("{rule} {} {}", excess.what, listed_as(excess))));
        fs::write(&path, lines.join("\n") + "\n").expect("write");
        return;
    }
    let known = |excess: &Excess| {
        let files = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        listed
            .iter()
            .any(|(what, size)| (*what == excess.what || rule == "cycle" && files(&excess.what).is_subset(&files(what))) && excess.size <= *size)
    };
    let broken: Vec<String> =
        found.iter().filter(|excess| !known(excess)).map(|excess| format!("{} {}: {}", excess.rule, excess.what, details(excess))).collect();
    assert!(
        broken.is_empty(),
        "\n{}\nWhat {EXCEPTIONS} lists may shrink only; after a rename or an improvement: UPDATE=1 cargo test --test architecture\n",
        broken.join("\n")
    );
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

fn walk(folder: &Path, extension: &str, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("below the root").to_string_lossy().replace('\\', "/");
            found.push(Source::new(&name, &fs::read_to_string(&path).expect("source files are UTF-8")));
        }
    }
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), "rs", &mut sources);
    }
    assert!(sources.len() > 10, "the sources were not found");
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn check(rule: fn(&Source) -> Findings) {
    let checked = sources().into_iter().filter(|source| source.path.starts_with("src/") || source.path.starts_with("tests/"));
    let broken: Vec<String> =
        checked.flat_map(|s| rule(&s).into_iter().map(|(line, what)| format!("{}:{line}: {what}", s.path)).collect::<Vec<_>>()).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn modules_use_only_lower_floors() {
    check(floors);
}

#[test]
fn no_file_is_too_long() {
    within_exceptions("lines", &long_files(&sources()), |long| format!("{} lines, {MAX_LINES} are the most", long.size));
}

#[test]
fn no_type_has_too_many_fields() {
    within_exceptions("fields", &large_types(&sources()), |large| format!("{} fields, {MAX_FIELDS} are the most", large.size));
}

#[test]
fn no_files_import_each_other() {
    within_exceptions("cycle", &cycles(&sources()), |_| "an import cycle".into());
}

#[test]
fn prose_uses_the_words_of_the_style_guide() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = sources();
    walk(&root.join("docs"), "md", &mut pages);
    for page in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "benches/README.md"] {
        pages.push(Source::new(page, &fs::read_to_string(root.join(page)).expect(page)));
    }
    pages.retain(|page| !matches!(page.path.as_str(), "docs/style.md" | "tests/architecture.rs"));
    let phrases = phrases();
    assert!(phrases.len() > 20, "the table of docs/style.md was not read");
    let mut by_module: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for page in &pages {
        let module = Excess { rule: "words", what: page.path.clone(), size: 0 }.module();
        let found = private_words(page, &phrases).into_iter().map(|(line, what)| format!("{}:{line}: {what}", page.path));
        by_module.entry(module).or_default().extend(found);
    }
    if std::env::var_os("WORDS").is_some() {
        by_module.values().flatten().for_each(|place| println!("{place}"));
    }
    let found: Vec<Excess> = by_module
        .iter()
        .filter(|(_, places)| !places.is_empty())
        .map(|(module, places)| Excess { rule: "words", what: module.clone(), size: places.len() })
        .collect();
    within_exceptions("words", &found, |excess| {
        format!("{} phrases that docs/style.md replaces; WORDS=1 and --nocapture list them all", excess.size)
    });
}

#[test]
fn the_architecture_page_names_what_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).expect("docs/architecture.md");
    let code: String = sources().into_iter().map(|source| source.code).collect();
    let rows = |mark: &str| {
        let table = page.split(&format!("<!-- {mark} -->")).nth(1).and_then(|rest| rest.split("<!-- /").next()).expect("the mark in the page");
        table
            .lines()
            .filter(|line| line.starts_with("| "))
            .skip(1)
            .map(|row| row.split(" | ").map(str::to_owned).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let walk = rows("walk");
    assert!(walk.len() >= 12, "the walk is gone");
    for row in &walk {
        let file = quoted(&row[2]).remove(0);
        let text = fs::read_to_string(root.join("src").join(&file)).unwrap_or_else(|_| panic!("docs/architecture.md names src/{file}"));
        for name in quoted(&row[1]) {
            let name = name.rsplit("::").next().unwrap_or_default().to_owned();
            assert!(
                text.contains(&format!("fn {name}(")) || text.contains(&format!("fn {name}<")),
                "docs/architecture.md: no fn {name} in src/{file}"
            );
        }
    }
    let invariants = rows("invariants");
    assert_eq!(invariants.len(), 14, "I1 to I14");
    for row in &invariants {
        let tests = quoted(row.last().expect("a cell"));
        assert!(!tests.is_empty() || row[1].contains("Coming"), "{}: no test", row[0]);
        for name in tests {
            assert!(code.contains(&format!("fn {name}(")), "docs/architecture.md names the test `{name}`, which does not exist");
        }
    }
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
        private_words(&Source::new(path, text), &["anew".into(), "is told".into()]).into_iter().map(|(line, _)| line).collect::<Vec<_>>()
    };
    assert_eq!(
        words(
            "src/a.rs",
            "//! It is told anew.\nlet anew = \"anew\"; // anew\ntracing::info!(\n    \"read anew\"\n);\nf(\"anew\"); // `anew`, canew"
        ),
        [1, 1, 2, 4]
    );
    assert_eq!(words("docs/a.md", "Anew.\n```sh\nanew\n```\n`anew` is told"), [1, 5]);
    assert_eq!(words("src/a.rs", "tracing::info!(\"a; b\");\nf(\"anew\");"), [1; 0]);
}
