//! Rules that look at one file's text: floors, names, unfinished work, secrets and clocks.

use crate::source::{Findings, Source, heads, line_of, uses};

/// Module to floor: a module uses only modules of lower floors. `lib.rs` and `main.rs` stand above all.
pub const FLOORS: &[(&str, u8)] = &[
    ("model", 0),
    ("metrics", 0),
    ("traces", 0),
    ("ingest", 1),
    ("route", 1),
    ("template", 1),
    ("channel", 1),
    ("lookalike", 1),
    ("store", 1),
    ("delivery", 2),
    ("api", 3),
    ("config", 3),
    ("http", 4),
    ("app", 5),
    ("cli", 6),
];

/// Names that say nothing about what a module is for.
pub const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager"];
/// Words that mark unfinished work, in two halves so that this file does not hold them.
pub const UNFINISHED: &[(&str, &str)] = &[("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("to", "do!("), ("unimple", "mented!(")];
/// A text that only some places may hold.
pub struct Confined {
    /// Any of these.
    pub texts: &'static [&'static str],
    /// Where the rule holds: beginnings of paths.
    pub within: &'static [&'static str],
    /// Where it may stand all the same: beginnings of paths.
    pub except: &'static [&'static str],
    pub why: &'static str,
}

pub const CONFINED: &[Confined] = &[
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
        texts: &["serde_yaml::from_", "serde_yaml::Deserializer"],
        within: &["src/"],
        // A test's server: drivers' tests read their settings with the other parser.
        except: &["src/channel/kit/test_server.rs"],
        why: "one parser reads YAML, `model::yaml`: it knows places, bounds aliases, refuses a key that is there twice; serde_yaml holds values",
    },
    Confined {
        texts: &["Timestamp::now(", "SystemTime::now("],
        within: &["src/"],
        // Times of files are the machine's.
        except: &["src/delivery/clock", "src/config/watch.rs"],
        why: "the time of day is an argument: only the engine's clock reads it",
    },
    Confined {
        texts: &["Instant::now("],
        within: &["src/"],
        // Deadlines, ages of connections, tokens and looked-up ids, and of queued requests are monotonic and local.
        except: &[
            "src/app/",
            "src/delivery/clock",
            "src/store/",
            "src/channel/email/",
            "src/channel/directory.rs",
            "src/channel/kit/",
            "src/channel/token.rs",
            "src/http/connections.rs",
        ],
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

pub fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

pub fn floors(source: &Source) -> Findings {
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

pub fn names(source: &Source) -> Findings {
    let parts = source.path.trim_end_matches(".rs").split('/').map(|part| (1, part.to_owned()));
    let declared = source.code.match_indices("mod ").map(|(at, _)| (line_of(&source.code, at), heads(&source.code[at + 4..]).remove(0)));
    let empty = |(_, name): &(usize, String)| EMPTY_NAMES.contains(&name.as_str());
    parts.chain(declared).filter(empty).map(|(line, name)| (line, format!("a module named `{name}` says nothing; name what it is for"))).collect()
}

pub fn unfinished(source: &Source) -> Findings {
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

pub fn confined(source: &Source) -> Findings {
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
