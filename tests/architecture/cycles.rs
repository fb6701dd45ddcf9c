//! Import cycles between files.

use std::collections::{BTreeMap, BTreeSet};

use crate::exceptions::Excess;
use crate::source::{Source, heads};

/// The module that a file is: `src/a/b.rs` and `src/a/b/mod.rs` are `[a, b]`.
pub fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    if matches!(path, "lib" | "main") { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// Paths in a file's code that begin with `crate`, `super`, `self` or are those of a `use`, as lists of names; groups are spread out.
pub fn paths(code: &str) -> Vec<(Vec<String>, bool)> {
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
pub fn spread(text: &str, prefix: &mut Vec<String>, found: &mut Vec<(Vec<String>, bool)>, public: bool) -> usize {
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
pub fn cycles(sources: &[Source]) -> Vec<Excess> {
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
