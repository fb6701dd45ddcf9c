//! docs/architecture.md names functions, files and tests that exist, and every table of the stores.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::rules::FLOORS;
use crate::source::sources;

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
    assert_eq!(invariants.len(), 15, "I1 to I15");
    let incidents = rows("incidents");
    assert_eq!(incidents.len(), 16, "M1 to M16");
    for row in invariants.iter().chain(&incidents) {
        let tests = quoted(row.last().expect("a cell"));
        assert!(!tests.is_empty() || row[1].contains("Coming"), "{}: no test", row[0]);
        for name in tests {
            let exists = code.contains(&format!("fn {name}(")) || code.contains(&format!("sequence!(\n    {name},"));
            assert!(exists, "docs/architecture.md names the test `{name}`, which does not exist");
        }
    }
}

#[test]
fn the_architecture_page_has_the_floors() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md")).expect("docs/architecture.md");
    let mut floors = BTreeSet::new();
    for row in page.lines() {
        let cells: Vec<&str> = row.split(" | ").collect();
        let Some(floor) = cells[0].strip_prefix("| ").and_then(|floor| floor.parse::<u8>().ok()) else { continue };
        // The walk has numbers, too, and ends each name with a file.
        if cells.len() == 3 {
            floors.extend(cells[1].split('`').skip(1).step_by(2).map(|module| (module.to_owned(), floor)));
        }
    }
    let held: BTreeSet<(String, u8)> = FLOORS.iter().map(|(module, floor)| ((*module).to_owned(), *floor)).collect();
    assert_eq!(floors, held, "the section Floors of docs/architecture.md, and the floors that are checked");
}

#[test]
fn the_architecture_page_names_every_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).expect("docs/architecture.md");
    let section = page.split("\n## Tables\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let named: BTreeSet<String> =
        section.lines().filter_map(|row| row.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name.to_owned()).collect();
    let mut tables = BTreeSet::new();
    for engine in ["sqlite", "postgres"] {
        let found = tables_of(&root.join("src/store").join(engine).join("migrations"));
        assert!(found.len() > 15, "the migrations of {engine} were not found");
        tables.extend(found);
    }
    assert_eq!(named, tables, "the section Tables of docs/architecture.md, and the tables that there are after all migrations");
}

/// The tables that there are after these migrations.
fn tables_of(migrations: &Path) -> BTreeSet<String> {
    let mut files: Vec<_> = fs::read_dir(migrations).expect("migrations").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let mut tables = BTreeSet::new();
    for file in files {
        for line in fs::read_to_string(file).expect("UTF-8").lines() {
            let words: Vec<&str> = line.split_whitespace().map(|word| word.trim_end_matches(';')).collect();
            match words[..] {
                ["CREATE", "TABLE", name, ..] => drop(tables.insert(name.to_owned())),
                ["DROP", "TABLE", name, ..] => drop(tables.remove(name)),
                ["ALTER", "TABLE", old, "RENAME", "TO", new, ..] => {
                    tables.remove(old);
                    tables.insert(new.to_owned());
                }
                _ => {}
            }
        }
    }
    tables
}
