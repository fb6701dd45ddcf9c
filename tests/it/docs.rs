//! What the documents promise and the code must keep.

use std::process::Command;

#[test]
fn the_readmes_table_of_platforms_is_the_registrys() {
    let out = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(["platforms", "--markdown"]).output().unwrap();
    let table = String::from_utf8(out.stdout).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (before, rest) = readme.split_once("<!-- platforms -->\n").unwrap();
    let (shown, after) = rest.split_once("<!-- /platforms -->").unwrap();
    if std::env::var_os("UPDATE").is_some() && shown != table {
        std::fs::write(path, format!("{before}<!-- platforms -->\n{table}<!-- /platforms -->{after}")).unwrap();
        return;
    }
    assert!(shown == table, "put the output of `watchfire platforms --markdown` between the marks in README.md (UPDATE=1 does it):\n{table}");
}

#[test]
fn every_line_of_the_threat_model_names_tests_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    let mut open = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 15, "the table is gone");
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in tests.split('`').skip(1).step_by(2) {
            let exists = sources.contains(&format!("fn {name}(")) || root.join(format!("tests/it/{name}.rs")).exists();
            assert!(exists, "docs/security.md names the test `{name}`, which does not exist");
        }
    }
}
