//! The rules that the compiler does not know, checked over `src/` and `tests/`: floors, sizes, names, secrets, clocks, import cycles, words.
//! Most rules look at one file's text; a broken rule prints `file:line: what`. The last tests show the rules samples that they must find.
//!
//! Lengths, fields, cycles and words have exceptions, in `tests/architecture/exceptions.txt`. The list may only shrink: `UPDATE=1 cargo test --test architecture`
//! rewrites it as long as no module has more than before.

mod chinese;
mod cycles;
mod exceptions;
mod page;
mod platforms;
mod rules;
mod samples;
mod sizes;
mod source;
mod words;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use exceptions::{Excess, within_exceptions};
use sizes::{MAX_FIELDS, MAX_FUNCTION, MAX_LINES};
use source::{Findings, Source, sources, walk};

fn check(rule: fn(&Source) -> Findings) {
    let checked = sources().into_iter().filter(|source| source.path.starts_with("src/") || source.path.starts_with("tests/"));
    let broken: Vec<String> =
        checked.flat_map(|s| rule(&s).into_iter().map(|(line, what)| format!("{}:{line}: {what}", s.path)).collect::<Vec<_>>()).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn modules_use_only_lower_floors() {
    check(rules::floors);
}

#[test]
fn no_file_is_too_long() {
    within_exceptions("lines", &sizes::long_files(&sources()), |long| format!("{} lines, {MAX_LINES} are the most", long.size));
}

#[test]
fn no_function_is_too_long() {
    within_exceptions("function", &sizes::long_functions(&sources()), |long| format!("{} lines, {MAX_FUNCTION} are the most", long.size));
}

#[test]
fn no_type_has_too_many_fields() {
    within_exceptions("fields", &sizes::large_types(&sources()), |large| format!("{} fields, {MAX_FIELDS} are the most", large.size));
}

#[test]
fn no_files_import_each_other() {
    within_exceptions("cycle", &cycles::cycles(&sources()), |_| "an import cycle".into());
}

#[test]
fn prose_uses_the_words_of_the_style_guide() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = sources();
    // What people read besides: pages, settings and answers of presets, default templates, manifests.
    for (folder, extension) in
        [("docs", "md"), ("templates", "yaml"), ("templates", "hbs"), ("src", "yaml"), ("src", "hbs"), ("deploy", "yaml"), ("deploy", "yml")]
    {
        walk(&root.join(folder), extension, &mut pages);
    }
    for page in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "benches/README.md", "routes.yaml"] {
        pages.push(Source::new(page, &fs::read_to_string(root.join(page)).expect(page)));
    }
    pages.retain(|page| page.path != "docs/style.md" && !page.path.starts_with("tests/architecture/"));
    let phrases = words::phrases();
    assert!(phrases.len() > 20, "the table of docs/style.md was not read");
    let mut by_module: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for page in &pages {
        let module = Excess { rule: "words", what: page.path.clone(), size: 0 }.module();
        let found = words::private_words(page, &phrases).into_iter().map(|(line, what)| format!("{}:{line}: {what}", page.path));
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
fn modules_are_named_for_what_they_do() {
    check(rules::names);
}

#[test]
fn platforms_are_named_where_contributing_says() {
    let (names, places) = (platforms::names(), platforms::places());
    assert!(names.len() > 15 && places.len() > 8, "{names:?} {places:?}");
    let found = |source: Source| {
        let found = platforms::named_elsewhere(&source, &names, &places).into_iter();
        found.map(|(line, what)| format!("{}:{line}: {what}", source.path)).collect::<Vec<_>>()
    };
    let broken: Vec<String> = sources().into_iter().flat_map(found).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    check(rules::unfinished);
}

#[test]
fn chinese_words_have_chinese_marks() {
    check(chinese::latin_marks);
}

#[test]
fn secrets_clocks_and_waiting_stay_in_their_places() {
    check(rules::confined);
}
