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
