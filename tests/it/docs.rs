//! What the documents promise and the code must keep.

use std::process::Command;

#[test]
fn the_readme_names_every_platform_and_preset() {
    let out = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(["platforms", "--json"]).output().unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let names: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("`{name}`")), "README.md does not name `{name}` under Platforms");
    }
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("`{before}` is gone"));
    rest.split_once(after).unwrap_or_else(|| panic!("`{after}` is gone after `{before}`")).0
}

/// What was measured is written by `benches/run`; pages that repeat it must not fall behind.
#[test]
fn sizing_and_comparison_repeat_what_was_measured() {
    let read = |name: &str| std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let (measured, sizing, comparison) = (read("benches/README.md"), read("docs/sizing.md"), read("docs/comparison.md"));
    let idle = between(&measured, "\nMemory: ", " idle");
    let waiting = between(&measured, "\nwith the backlog: ", ",");
    for wanted in [format!("{idle} idle"), format!("{waiting} with a million deliveries waiting")] {
        assert!(sizing.contains(&wanted), "docs/sizing.md does not say `{wanted}`, which benches/README.md has");
    }
    let (sizing, chinese) = (read("docs/sizing.zh-CN.md"), read("docs/comparison.zh-CN.md"));
    for wanted in [format!("空闲 {idle}"), format!("一百万条投递等待时 {waiting}")] {
        assert!(sizing.contains(&wanted), "docs/sizing.zh-CN.md does not say `{wanted}`, which benches/README.md has");
    }
    for peer in [
        "Alertmanager to a webhook, nothing synced",
        "Alertmanager to Slack, nothing synced",
        "Alertmanager to mail, nothing synced",
        "Apprise to a webhook, keeps nothing",
    ] {
        let row = between(&measured, &format!("| {peer} | "), "\n");
        let ratio = row.split(" | ").nth(1).unwrap();
        assert!(ratio.parse::<f64>().is_ok(), "{row}");
        for (name, page) in [("docs/comparison.md", &comparison), ("docs/comparison.zh-CN.md", &chinese)] {
            assert!(page.contains(ratio), "{name} does not say {ratio}, the ratio to {peer} in benches/README.md");
        }
    }
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
