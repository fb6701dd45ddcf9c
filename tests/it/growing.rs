//! Files of teams on the command line: what is checked, shown and compared names them.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

const MAIN: &str = "include: [{ files: 'teams/*.yaml', matchers: 'team=\"{name}\"' }]\ndefaults: { channels: { timeout: 20s } }\n\
     channels: { ops: { log: {}, timeout: 5s } }\nroute: { to: ops }\n";

/// The same in short.
const SHORT: &str =
    "include: [teams/*.yaml]\nchannels: { ops: { log: {} } }\nroute:\n  to: ops\n  routes: [{ matchers: 'alertname=\"Watchdog\"', to: ops }]\n";

fn written(folder: &Path, db: &str) {
    std::fs::create_dir_all(folder.join("teams")).unwrap();
    std::fs::write(folder.join("routes.yaml"), MAIN).unwrap();
    std::fs::write(folder.join("teams/db.yaml"), db).unwrap();
}

fn run(folder: &Path, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(args).current_dir(folder).env_clear().output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn commands_name_the_files_of_teams() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let db = "channels: { db: { log: {} } }\nroute:\n  to: db\n  routes: [{ matchers: 'severity=\"info\"', to: ops }]\n";
    written(&old, db);
    written(&new, &db.replace("to: db\n", "to: [db, ops]\n"));
    let (code, said) = run(&old, &["check"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("2 channels, 3 routes") && said.contains("default timeout 20s in 1 of 2 channels"), "{said}");
    let (_, said) = run(&old, &["route", "tree"]);
    assert_eq!(said, "everything -> ops\n  team=\"db\" -> db; from teams/db.yaml\n    severity=\"info\" -> ops\n");
    let (_, said) = run(&old, &["route", "team=db", "severity=info"]);
    assert!(said.starts_with("ops  (teams/db.yaml:route.routes[0])"), "{said}");
    let (code, said) = run(folder.path(), &["check", "--diff", "old/routes.yaml", "new/routes.yaml"]);
    assert!(code == 1 && said.contains("team=\"db\"") && said.contains("db, ops"), "{code} {said}");
    std::fs::write(old.join("teams/db.yaml"), db.replace("to: ops", "to: opps")).unwrap();
    let (code, said) = run(&old, &["check"]);
    assert!(code == 1 && said.contains("--> teams/db.yaml:4:") && said.contains("did you mean `ops`?"), "{said}");
}

#[test]
fn a_text_includes_the_files_of_teams_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // What tries to take the alerts of others.
    written(folder, "channels: { db: { log: {} } }\nroute: { to: db, routes: [{ matchers: 'team=~\".*\"', to: db }] }\n");
    std::fs::write(folder.join("teams/web.yaml"), "channels: { web: { log: {} } }\nroute: { to: web }\n").unwrap();
    std::fs::write(folder.join("routes.yaml"), SHORT).unwrap();
    let way = |labels: &[&str]| run(folder, &[&["route"][..], labels].concat()).1.split_whitespace().next().unwrap_or_default().to_owned();
    assert_eq!([way(&["team=db"]), way(&["team=web"]), way(&["team=db2"]), way(&["severity=info"])], ["db", "web", "ops", "ops"]);
    assert_eq!(way(&["team=db", "alertname=Watchdog"]), "ops", "the routes of routes.yaml come first");
    let (_, said) = run(folder, &["route", "tree"]);
    assert!(said.contains("team=\"db\" -> db; from teams/db.yaml") && said.contains("team=\"web\" -> web; from teams/web.yaml"), "{said}");
    std::fs::write(folder.join("teams/web.yaml"), "channels: { web: { log: {} } }\nroute: { to: web, matchers: 'team=\"db\"' }\n").unwrap();
    let (code, said) = run(folder, &["check"]);
    assert!(code == 1 && said.contains("E070") && said.contains("teams/web.yaml:2:"), "{code} {said}");
}

/// 500 channels and 2,000 routes in 100 files, as docs/growing.md says; prints how long each command takes.
#[test]
#[ignore = "for its times: `cargo test --test it growing:: -- --ignored --nocapture`"]
fn a_hundred_teams_are_checked_routed_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["old", "new"] {
        let teams = folder.path().join(name).join("teams");
        std::fs::create_dir_all(&teams).unwrap();
        std::fs::write(folder.path().join(name).join("routes.yaml"), MAIN).unwrap();
        for team in 0..100 {
            let more = if (name, team) == ("new", 99) { ", ops" } else { "" };
            let channels: String = (0..5).map(|n| format!("  t{team}-{n}: {{ log: {{}} }}\n")).collect();
            let routes: String = (1..20).map(|n| format!("    - {{ matchers: 'service=\"s{n}\"', to: t{team}-{} }}\n", n % 5)).collect();
            let text = format!("channels:\n{channels}route:\n  to: [t{team}-0{more}]\n  routes:\n{routes}");
            std::fs::write(teams.join(format!("t{team}.yaml")), text).unwrap();
        }
    }
    let timed = |args: &[&str]| {
        let begun = Instant::now();
        let answer = run(folder.path(), args);
        println!("{:5.1} s  watchfire {}", begun.elapsed().as_secs_f64(), args.join(" "));
        answer
    };
    let (code, said) = timed(&["check", "old/routes.yaml"]);
    assert!(code == 0 && said.contains("501 channels, 2001 routes"), "{code} {said}");
    let (code, said) = timed(&["route", "team=t42", "service=s7", "--config", "old/routes.yaml"]);
    assert!(code == 0 && said.starts_with("t42-2 "), "{code} {said}");
    let (code, said) = timed(&["check", "--diff", "old/routes.yaml", "new/routes.yaml"]);
    assert!(code == 1 && said.contains("team=\"t99\"") && said.contains("t99-0, ops") && !said.contains("t98"), "{code} {said}");
}
