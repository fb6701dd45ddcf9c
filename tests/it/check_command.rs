//! `watchfire check` as a program: which file it reads, where its findings go, how it exits.

use std::path::Path;
use std::process::Command;

const FINE: &str = "channels: { terminal: { log: {} } }\nroute: { to: [terminal] }\n";
const WRONG: &str = "channels: { terminal: { log: {} } }\nroute: { to: [terminl] }\n";

/// Exit code, standard output, standard error.
fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(args).current_dir(folder).env_clear().output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn check_takes_the_file_as_a_word_and_by_its_option() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.yaml"), WRONG).unwrap();
    std::fs::write(folder.path().join("mine.yaml"), FINE).unwrap();
    let named = run(folder.path(), &["check", "mine.yaml"]);
    assert_eq!(named, run(folder.path(), &["check", "--config", "mine.yaml"]));
    assert!(named.0 == 0 && named.1.starts_with("mine.yaml is fine: 1 channel, 1 route\n"), "{named:?}");
    assert_eq!(run(folder.path(), &["check"]).0, 1);
    let (code, _, err) = run(folder.path(), &["check", "nowhere.yaml", "--config", "mine.yaml"]);
    assert!(code == 2 && err.contains("keep one of them"), "{code} {err}");
    for other in [&["--explain", "E001"][..], &["--diff", "mine.yaml", "mine.yaml"]] {
        let (code, out, err) = run(folder.path(), &[&["check", "mine.yaml"], other].concat());
        assert!(code == 2 && out.is_empty() && err.contains("cannot be used with"), "{other:?}: {code} {out}{err}");
    }
    // The word goes before the environment.
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    let output = command.args(["check", "mine.yaml"]).current_dir(folder.path()).env_clear().env("WATCHFIRE_CONFIG", "routes.yaml").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn json_is_printed_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = run(folder.path(), &["check", "--explain", "E014", "--json"]);
    let explained: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    assert!(code == 0 && explained["code"] == "E014" && explained["title"].is_string(), "{explained}");
    for command in [&["completions", "bash"][..], &["man"], &["demo"], &["serve"], &[]] {
        let (code, out, err) = run(folder.path(), &[command, &["--json"]].concat());
        assert!(code == 2 && out.is_empty() && err.contains("prints no JSON"), "{command:?}: {code} {out}{err}");
    }
    let (code, _, err) = run(folder.path(), &["platforms", "--markdown", "--json"]);
    assert!(code == 2 && err.contains("cannot be used with"), "{code} {err}");
}

/// A pipe or a file gets all of them, whatever becomes of standard error.
#[test]
fn findings_are_on_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wrong.yaml"), WRONG).unwrap();
    let (code, out, err) = run(folder.path(), &["check", "wrong.yaml"]);
    assert!(code == 1 && out.contains("wrong.yaml:2:") && out.contains("did you mean `terminal`?") && out.contains("1 error"), "{code} {out}");
    assert_eq!(err, "");
    let (code, out, err) = run(folder.path(), &["check", "wrong.yaml", "--json"]);
    let findings: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    assert!(code == 1 && findings.as_array().is_some_and(|all| all.len() == 1) && err.is_empty(), "{findings}{err}");
    // What could not be checked at all is no finding, and goes where errors go.
    let (code, out, err) = run(folder.path(), &["check", "--explain", "E9999"]);
    assert!(code == 1 && out.is_empty() && err.contains("there is no code E9999"), "{out}{err}");
}
