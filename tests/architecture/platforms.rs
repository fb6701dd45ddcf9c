//! A platform is named in its folder, and elsewhere only where CONTRIBUTING.md says: who adds one must not have to search.

use std::fs;
use std::path::Path;

use crate::source::{Findings, Source, line_of};

/// Names of platforms that are words of routes.yaml, too.
const WORDS: [&str; 5] = ["email", "log", "preset", "teams", "webhook"];

/// The platforms of the registry whose names are no other word.
pub fn names() -> Vec<String> {
    let registry = Source::new("", &read("src/channel/registry.rs"));
    let list = registry.code.split("\nplatforms! {").nth(1).and_then(|rest| rest.split('}').next()).expect("the list of platforms");
    list.split(',').map(str::trim).filter(|name| !name.is_empty() && !WORDS.contains(name)).map(str::to_owned).collect()
}

/// Beginnings of the paths that the section "Adding a platform" of CONTRIBUTING.md names.
pub fn places() -> Vec<String> {
    let page = read("CONTRIBUTING.md");
    let section = page.split("\n## Adding a platform\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    section.split('`').skip(1).step_by(2).filter(|text| text.starts_with("src/") && !text.contains('<')).map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of the repository")
}

/// Where code outside tests holds the name of a platform and should not.
pub fn named_elsewhere(source: &Source, names: &[String], places: &[String]) -> Findings {
    let allowed = source.path.starts_with("src/channel/") || places.iter().any(|place| source.path.starts_with(place));
    if allowed || source.is_test() || !source.path.starts_with("src/") || source.path.starts_with("src/delivery/model/") {
        return Findings::new();
    }
    let end = source.code.find("#[cfg(test)]\nmod tests").map_or(usize::MAX, |at| line_of(&source.code, at));
    let texts = source.texts().into_iter().filter(|(line, _)| *line < end);
    let named = texts.filter(|(_, text)| names.iter().any(|name| text.trim_matches('"') == name));
    named.map(|(line, text)| (line, format!("{text} is a platform: CONTRIBUTING.md does not say that it is named here"))).collect()
}
