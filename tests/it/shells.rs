//! What shells and manuals know of the program: `completions`, with names of channels, and `man`.

use std::path::Path;
use std::process::Command;

use crate::first_run::{PROGRAM, command, run, said};
use crate::support::app::TestApp;

#[test]
fn shells_and_manuals_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let (_, help) = run(folder.path(), &["--help"]);
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() >= 14 && commands.contains(&"import"), "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, text) = run(folder.path(), &["completions", shell]);
        assert_eq!(code, 0, "{text}");
        for command in &commands {
            assert!(text.contains(command), "{shell} does not know {command}");
        }
    }
    let (_, script) = run(folder.path(), &["completions", "bash"]);
    std::fs::write(folder.path().join("completions.bash"), script).unwrap();
    assert!(Command::new("bash").args(["-n", "completions.bash"]).current_dir(folder.path()).status().unwrap().success());
    let (code, manual) = run(folder.path(), &["man"]);
    assert_eq!(code, 0);
    for command in &commands {
        assert!(manual.contains(&format!("watchfire\\-{}(1)", command.replace('-', "\\-"))), "the manual does not list {command}");
    }
}

/// Runs what a script of bash says, with the program in the path.
fn bash(folder: &Path, script: &str) -> String {
    let path = format!("{}:{}", Path::new(PROGRAM).parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(folder).env("PATH", path).env("HOME", folder).env_remove("XDG_CONFIG_HOME");
    let (code, text) = said(command.env_remove("WATCHFIRE_CONFIG").env_remove("WATCHFIRE_LISTEN").output().unwrap());
    assert_eq!(code, 0, "{text}");
    text.trim().to_owned()
}

#[test]
fn completions_know_the_channels_of_the_configuration_that_is_typed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("routes.yaml", "channels: { ops-mail: { log: {} }, ops-ding: { log: {} }, night: { log: {} } }\nroute: { to: [night] }\n");
    write("other.yaml", "channels: { elsewhere: { log: {} } }\nroute: { to: [elsewhere] }\n");
    let (_, script) = run(folder.path(), &["completions", "bash"]);
    write("completions.bash", &script);
    let complete = |words: &str, current: &str, before: &str| {
        let count = words.split(' ').count();
        bash(
            folder.path(),
            &format!(
                "source ./completions.bash; COMP_WORDS=({words} \"{current}\"); COMP_CWORD={count}; _watchfire watchfire \"{current}\" \"{before}\"; \
                 printf '%s\\n' \"${{COMPREPLY[@]}}\""
            ),
        )
    };
    assert_eq!(complete("watchfire send --channel", "", "--channel"), "ops-mail\nops-ding\nnight");
    assert_eq!(complete("watchfire send -c", "ops-d", "-c"), "ops-ding");
    assert_eq!(complete("watchfire queue move --to", "n", "--to"), "night");
    assert_eq!(complete("watchfire send --config other.yaml --channel", "", "--channel"), "elsewhere");
    assert_eq!(complete("watchfire", "channel", "watchfire"), "channels", "the hidden command is offered to nobody");
    // A broken configuration names nothing, and says nothing into the line.
    write("routes.yaml", "channels: {");
    assert_eq!(complete("watchfire send --channel", "", "--channel"), "");
    for (shell, asks) in [("zsh", ":NAME:_watchfire_channels'"), ("fish", "-r -f -a \"(watchfire channel-names -- (commandline -opc) 2>/dev/null)\"")]
    {
        let (_, script) = run(folder.path(), &["completions", shell]);
        assert!(script.contains(asks), "{shell} does not ask for channels");
        assert!(!script.contains("ChannelNamesGoHere"), "{shell} shows the mark");
        write("script", &script);
        match Command::new(shell).args(["-n", "script"]).current_dir(folder.path()).output() {
            Ok(out) => assert!(out.status.success(), "{shell}: {}", String::from_utf8_lossy(&out.stderr)),
            Err(_) => crate::support::skip::skip(&format!("the package {shell}")),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_ask_the_server_that_is_typed() {
    let app =
        TestApp::start("server: { listen: '127.0.0.1:0' }\nstore: sqlite:watchfire.db\nchannels: { far: { log: {} } }\nroute: { to: [far] }\n").await;
    let folder = tempfile::tempdir().unwrap();
    let url = app.url("");
    let mut command = command(folder.path(), &["channel-names", "--", "watchfire", "queue", "ls", "--server", &url, "--channel"]);
    let (code, text) = said(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap());
    assert_eq!((code, text.as_str()), (0, "far\n"));
}

#[test]
fn every_command_has_a_manual_page_that_man_can_show() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = run(folder.path(), &["man", "--out", "man1"]);
    assert_eq!(code, 0, "{said}");
    let mut files: Vec<String> =
        std::fs::read_dir(folder.path().join("man1")).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    files.sort();
    assert!(files.len() > 50, "{files:?}");
    for name in ["watchfire.1", "watchfire-check.1", "watchfire-queue.1", "watchfire-queue-ls.1", "watchfire-migrate-store.1"] {
        assert!(files.iter().any(|file| file == name), "{name} is missing: {files:?}");
    }
    let (code, page) = run(folder.path(), &["man", "queue", "ls"]);
    assert_eq!(code, 0, "{page}");
    assert_eq!(page, std::fs::read_to_string(folder.path().join("man1/watchfire-queue-ls.1")).unwrap());
    assert!(page.contains("watchfire queue ls \\-\\-state dead"), "{page}");
    let (code, said) = run(folder.path(), &["man", "queue", "lst"]);
    assert!(code == 1 && said.contains("there is no command `queue lst`"), "{said}");

    // groff is what `man` asks; it warns of what it does not know.
    if Command::new("groff").arg("--version").output().is_err() {
        return crate::support::skip::skip("the package groff-base");
    }
    for file in files {
        let out = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z", &format!("man1/{file}")]).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.trim().is_empty(), "{file}: {said}");
    }
}
