//! Commands that send nothing build no HTTP client: each would read every certificate of the system, for every channel.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::app::alert;
use crate::support::skip::skip;

const CHANNELS: usize = 200;

/// The files that a command opens, but for the list of time zones: it is read when it is asked for, whatever there is in it.
fn opened(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let trace = folder.join("trace");
    let output = Command::new("strace")
        .args(["-f", "-e", "trace=open,openat", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_watchfire"))
        .args(arguments)
        .current_dir(folder)
        // Cargo names the folder of each build script there: every library is looked for in all of them.
        .env_remove("LD_LIBRARY_PATH")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(&trace).unwrap().lines().filter(|line| line.contains("open") && !line.contains("/zoneinfo")).map(str::to_owned).collect()
}

#[test]
fn commands_that_send_nothing_open_few_files_however_many_channels_there_are() {
    if !Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|s| s.success()) {
        skip("the package strace");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut routes = String::from("store: sqlite:w.db\nchannels:\n");
    for n in 0..CHANNELS {
        // A client belongs to a proxy: each channel would have one of its own.
        writeln!(routes, "  c{n}: {{ proxy: 'http://p{n}.example.com:3128', slack: {{ token: {{ env: TOKEN_{n} }}, channel: C{n} }} }}").unwrap();
    }
    routes.push_str("route: { to: [c0, c1] }\n");
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    std::fs::write(folder.path().join("body.json"), alert("db", "Down", "firing").to_string()).unwrap();
    for arguments in [&["route", "severity=critical"][..], &["render", "-c", "c0", "-p", "body.json"], &["check", "--without-secrets"]] {
        let files = opened(folder.path(), arguments);
        assert!(
            !files.is_empty() && files.len() < CHANNELS,
            "{arguments:?}: {} files are opened: {:#?}",
            files.len(),
            files.iter().rev().take(20).collect::<Vec<_>>()
        );
        let certificates: Vec<&String> =
            files.iter().filter(|file| file.contains("/ssl/") || file.contains(".pem") || file.contains(".crt")).collect();
        assert!(certificates.is_empty(), "{arguments:?}: {certificates:#?}");
    }
}
