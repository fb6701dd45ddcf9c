//! What the documents promise and the code must keep.

use std::process::Command;

#[test]
fn the_readmes_table_of_platforms_is_the_registrys() {
    let out = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(["platforms", "--markdown"]).output().unwrap();
    let table = String::from_utf8(out.stdout).unwrap();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let shown = readme.split("<!-- platforms -->\n").nth(1).and_then(|s| s.split("<!-- /platforms -->").next()).unwrap();
    assert!(shown == table, "put the output of `watchfire platforms --markdown` between the marks in README.md:\n{table}");
}
