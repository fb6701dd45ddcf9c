//! Commands of people who are not on the server: contexts, the state of the server, reloads. The program runs in an empty folder with a home of its own.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::app::{TestApp, alert};

const ROOT: &str = "roots-token-0123456789";
const READER: &str = "readers-token-0123456789";
const SENDER: &str = "senders-token-0123456789";

fn routes(more: &str) -> String {
    format!(
        "server: {{ listen: '127.0.0.1:0', auth: [{{ bearer: {ROOT}, name: root }}, {{ bearer: {READER}, name: reader, scopes: [read] }}, \
         {{ bearer: {SENDER}, name: sender, scopes: [webhook] }}] }}\n\
         store: sqlite:watchfire.db\nchannels: {{ ops: {{ log: {{}} }}, night: {{ log: {{}} }} }}\n\
         heartbeats: [{{ matchers: 'alertname=\"Watchdog\"', timeout: 5m, to: [ops] }}]\nroute: {{ to: [ops] }}\n{more}"
    )
}

/// Somebody's machine: a home with a token for each credential.
struct Elsewhere(TempDir);

impl Elsewhere {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        for (name, token) in [("root", ROOT), ("reader", READER), ("sender", SENDER)] {
            std::fs::write(home.path().join(name), format!("{token}\n")).unwrap();
        }
        Self(home)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(args).current_dir(self.0.path()).env_clear().env("HOME", self.0.path()).stdin(Stdio::null());
        command
    }

    /// Exit code and everything that was said.
    async fn run(&self, args: &[&str]) -> (i32, String) {
        let mut command = self.command(args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        for secret in [ROOT, READER, SENDER] {
            assert!(!said.contains(secret), "{args:?} shows a token: {said}");
        }
        (output.status.code().unwrap_or(-1), said)
    }

    async fn fine(&self, args: &[&str]) -> String {
        let (code, said) = self.run(args).await;
        assert_eq!(code, 0, "{args:?}: {said}");
        said
    }

    async fn refused(&self, args: &[&str], words: &[&str]) {
        let (code, said) = self.run(args).await;
        assert_eq!(code, 1, "{args:?}: {said}");
        words.iter().for_each(|word| assert!(said.contains(word), "`{word}` is not in: {said}"));
    }
}

/// An alert arrives.
async fn fire(app: &TestApp) {
    let answer = app.http.post(app.url("/webhook")).bearer_auth(ROOT).json(&alert("db", "DiskFull", "firing")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

fn contexts(home: &Path) -> std::path::PathBuf {
    home.join(".config/watchfire/contexts.yaml")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_names_a_server_and_no_routes_yaml_is_needed() {
    let app = TestApp::start(&routes("")).await;
    let (here, url) = (Elsewhere::new(), app.url(""));
    here.refused(&["queue", "ls"], &["routes.yaml cannot be read"]).await;
    here.refused(&["context", "add", "prod"], &["--server https://"]).await;
    here.refused(&["context", "add", "prod", "--server", &url, "--token-file", "nobody"], &["nobody cannot be read", "does not exist"]).await;
    let said = here.fine(&["context", "add", "prod", "--server", &url, "--token-file", "root"]).await;
    assert!(said.contains("added prod, which is used from now on"), "{said}");
    let file = contexts(here.0.path());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&file).unwrap().contains(ROOT));
    here.fine(&["context", "add", "guest", "--server", &url, "--token-file", "reader"]).await;
    let listed = here.fine(&["context", "ls"]).await;
    assert!(listed.contains("* prod") && listed.contains("  guest"), "{listed}");

    fire(&app).await;
    let queue = here.fine(&["queue", "ls"]).await;
    assert!(queue.lines().count() == 1 && queue.contains("DiskFull") && queue.contains("ops"), "no header in a pipe: {queue}");
    // With colours, as on a terminal.
    let mut command = here.command(&["queue", "ls"]);
    let output = tokio::task::spawn_blocking(move || command.env("CLICOLOR_FORCE", "1").output().unwrap()).await.unwrap();
    let coloured = String::from_utf8(output.stdout).unwrap();
    assert!(coloured.contains("\u{1b}[3") && anstream::adapter::strip_str(&coloured).to_string().contains("DiskFull"), "{coloured:?}");
    let sent = here.fine(&["send", "-c", "night", "-t", "hello"]).await;
    assert!(sent.contains("delivered to"), "{sent}");
    // The server knows what there is, and which scope is missing.
    here.refused(&["send", "-c", "nigth", "-t", "hello"], &["did you mean `night`?", "404"]).await;
    here.refused(&["send", "-c", "night", "-t", "x", "--context", "guest"], &["needs the scope `operate`", "`reader` has read", "403"]).await;
    here.refused(&["queue", "ls", "--context", "prood"], &["did you mean `prod`?"]).await;
    here.refused(&["queue", "ls", "--server", &url], &["asks for credentials", "--token-file"]).await;
    here.refused(&["queue", "ls", "--server", "http://127.0.0.1:1", "--token-file", "root"], &["127.0.0.1:1 did not answer"]).await;
    here.refused(&["backup", "copy.db"], &["absolute path"]).await;
    here.refused(&["check", "--context", "prod"], &["leave out --server and --context"]).await;
    let (code, said) = here.run(&["queue", "ls", "--context", "prod", "--server", &url]).await;
    assert!(code == 2 && said.contains("keep one of them"), "{code} {said}");
    // A token and a server of the environment are not for the context that the command line names.
    let mut command = here.command(&["queue", "ls", "--context", "prod"]);
    command.env("WATCHFIRE_TOKEN", "another-servers-token").env("WATCHFIRE_TOKEN_FILE", "nobody").env("WATCHFIRE_SERVER", "http://127.0.0.1:1");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What is said on the command line is about a server here.
    here.refused(&["queue", "ls", "--config", "routes.yaml"], &["routes.yaml cannot be read"]).await;

    here.fine(&["context", "use", "guest"]).await;
    here.refused(&["reload"], &["needs the scope `admin`"]).await;
    here.fine(&["context", "rm", "guest"]).await;
    here.refused(&["queue", "ls"], &["routes.yaml cannot be read"]).await;
    std::fs::write(&file, "contexts: { prod: { sever: x } }\n").unwrap();
    here.refused(&["queue", "ls"], &["no context is used", "contexts.yaml", "sever"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_the_server_is_shown() {
    let app = TestApp::start(&routes("")).await;
    let here = Elsewhere::new();
    let url = app.url("");
    let with = |command: &[&'static str]| -> Vec<String> {
        command.iter().copied().chain(["--server", &url, "--token-file", "reader"]).map(str::to_owned).collect()
    };
    let fine = async |command: &[&'static str]| {
        let args = with(command);
        here.fine(&args.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let status = fine(&["status"]).await;
    assert!(status.contains(": ready") && status.contains("deliveries: 0 waiting, 0 deferred, 0 dead"), "{status}");
    let status: Value = serde_json::from_str(&fine(&["status", "--json"]).await).unwrap();
    assert_eq!((&status["ready"], &status["channels"][1]["name"]), (&true.into(), &"night".into()));
    let channels = fine(&["channels"]).await;
    assert!(channels.lines().count() == 2 && channels.starts_with("ops  "), "{channels}");
    let heartbeats = fine(&["heartbeats"]).await;
    assert!(heartbeats.contains("Watchdog") && heartbeats.contains("never"), "{heartbeats}");
    assert!(fine(&["nodes"]).await.contains("one process"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_credential_may_not_see_is_said_with_the_scope() {
    let app = TestApp::start(&routes("")).await;
    let (here, url) = (Elsewhere::new(), app.url(""));
    for command in ["channels", "heartbeats", "nodes"] {
        let wanted = ["needs the scope `read`", "`sender` has webhook", "403"];
        here.refused(&[command, "--server", &url, "--token-file", "sender"], &wanted).await;
        here.refused(&[command, "--json", "--server", &url, "--token-file", "sender"], &wanted).await;
    }
    // Whether it is ready is no secret; of the rest it is said why it is missing.
    let said = here.fine(&["status", "--server", &url, "--token-file", "sender"]).await;
    for part in [": ready", "channels: not known: ", "heartbeats: not known: ", "nodes: not known: ", "needs the scope `read`"] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
    let said: Value = serde_json::from_str(&here.fine(&["status", "--json", "--server", &url, "--token-file", "sender"]).await).unwrap();
    assert_eq!((&said["ready"], &said["channels"], &said["nodes"]), (&true.into(), &Value::Null, &Value::Null));
    // An event is sent again by those who may operate.
    fire(&app).await;
    let events = here.fine(&["events", "ls", "--json", "--server", &url, "--token-file", "reader"]).await;
    let events: Value = serde_json::from_str(&events).unwrap();
    let event = events["events"][0]["id"].as_str().unwrap();
    here.refused(&["events", "replay", event, "--server", &url, "--token-file", "reader"], &["needs the scope `operate`", "403"]).await;
    let said = here.fine(&["events", "replay", event, "--to", "night", "--server", &url, "--token-file", "root"]).await;
    assert!(said.starts_with("event ") && said.contains(" on night, waiting"), "{said}");
    let listed = here.fine(&["events", "ls", "--server", &url, "--token-file", "reader"]).await;
    assert!(listed.contains(&format!("replay of {event}")), "{listed}");
}

/// A server of another version, or a proxy's own pages.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_without_its_lists_says_that_they_are_missing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ready = axum::routing::get(async || "ready\n");
    let empty = axum::Router::new().route("/-/ready", ready).fallback(async || ([("content-type", "application/json")], "{}"));
    tokio::spawn(async move { axum::serve(listener, empty).await });
    let here = Elsewhere::new();
    let said = here.fine(&["status", "--server", &url, "--token-file", "root"]).await;
    assert!(said.contains(": ready") && said.contains("channels: not known: ") && said.contains("nodes: not known: "), "{said}");
    let said: Value = serde_json::from_str(&here.fine(&["status", "--json", "--server", &url, "--token-file", "root"]).await).unwrap();
    assert_eq!((&said["ready"], &said["heartbeats"], &said["same_config"]), (&true.into(), &Value::Null, &Value::Null));
    here.refused(&["channels", "--server", &url, "--token-file", "root"], &["channels"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_shows_what_changed_or_what_is_wrong() {
    let app = TestApp::start(&routes("")).await;
    let here = Elsewhere::new();
    let url = app.url("");
    let reload = ["reload", "--server", &url, "--token-file", "root"];
    let said = here.fine(&reload).await;
    assert!(said.contains("reloaded") && said.contains("no shown line changed"), "{said}");
    let file = app.folder.path().join("routes.yaml");
    std::fs::write(&file, routes("time_zone: Asia/Shanghai\n").replace("{ to: [ops] }\n", "{ to: [night] }\n")).unwrap();
    let said = here.fine(&reload).await;
    for line in ["- 5: route: { to: [ops] }", "+ 5: route: { to: [night] }", "+ 6: time_zone: Asia/Shanghai"] {
        assert!(said.contains(line), "`{line}` is not in: {said}");
    }
    std::fs::write(&file, routes("time_zone: Nowhere\n")).unwrap();
    here.refused(&reload, &["not reloaded, the previous configuration stays active", "routes.yaml:6:", "Nowhere"]).await;
}

/// There is no routes.yaml here; where there is one, it is meant unless a server is named.
#[tokio::test(flavor = "multi_thread")]
async fn routes_of_the_server_are_shown() {
    let branch = "  routes: [{ matchers: 'team=\"db\"', to: [night], continue: true }]\n";
    let app = TestApp::start(&routes("").replace("route: { to: [ops] }\n", &format!("route:\n  to: [ops]\n{branch}"))).await;
    let (here, url) = (Elsewhere::new(), app.url(""));
    here.fine(&["context", "add", "prod", "--server", &url, "--token-file", "reader"]).await;
    let whole = "everything -> ops\n  team=\"db\" -> night; continues\n";
    assert_eq!(here.fine(&["route", "tree"]).await, whole);
    assert_eq!(here.fine(&["route", "tree", "--channel", "ops"]).await, "everything -> ops\n");
    here.refused(&["route", "tree", "--channel", "nigth"], &["did you mean `night`?"]).await;
    let said = here.fine(&["route", "team=db", "--expect", "night"]).await;
    assert!(said.starts_with("night  (route.routes[0])\n") && said.contains("-> route.routes[0]: team=\"db\""), "{said}");
    let json: Value = serde_json::from_str(&here.fine(&["route", "team=db", "--json", "--at", "1h"]).await).unwrap();
    assert_eq!((&json["channels"][0], &json["path"][0]), (&"night".into(), &"route.routes[0]".into()), "{json}");
    let (code, said) = here.run(&["route", "team=web", "--expect", "night"]).await;
    assert!(code == 1 && said.contains("expected [\"night\"], got [\"ops\"]"), "{code} {said}");
    assert!(here.fine(&["route", "alertname=Watchdog"]).await.starts_with("a sign of life for the heartbeat"));
    here.refused(&["route", "team=db", "--at", "soon"], &["`at` takes a time", "not `soon`"]).await;
    // A mute by hand is the server's; only it knows.
    here.fine(&["mute", "add", "--channel", "night", "--for", "1h", "--reason", "moved", "--server", &url, "--token-file", "root"]).await;
    let json: Value = serde_json::from_str(&here.fine(&["route", "team=db", "--json"]).await).unwrap();
    assert_eq!((&json["channels"], &json["muted"][0]), (&serde_json::json!([]), &"night".into()), "{json}");

    std::fs::write(here.0.path().join("routes.yaml"), "channels: { mine: { log: {} } }\nroute: { to: [mine] }\n").unwrap();
    assert_eq!(here.fine(&["route", "tree"]).await, "everything -> mine\n");
    assert_eq!(here.fine(&["route", "tree", "--context", "prod"]).await, whole);
    here.refused(&["route", "team=db", "--at", "soon"], &["--at takes a time", "not `soon`"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_back_as_far_as_they_are_asked_to() {
    let app = TestApp::start(&routes("")).await;
    let (here, url) = (Elsewhere::new(), app.url(""));
    fire(&app).await;
    for list in ["queue", "events", "incidents"] {
        let named = if list == "queue" { "deliveries" } else { list };
        let count = async |bounds: &[&str]| {
            let args = [&[list, "ls", "--json", "--server", &url, "--token-file", "root"], bounds].concat();
            let found: Value = serde_json::from_str(&here.fine(&args).await).unwrap();
            found[named].as_array().unwrap_or_else(|| panic!("{found}")).len()
        };
        for all in [&[][..], &["--since", "1h"], &["--since", "0"], &["--since", "2026-01-01T00:00:00Z", "--until", "2999-01-01T00:00:00Z"]] {
            assert_eq!(count(all).await, 1, "{list} {all:?}");
        }
        for none in [&["--until", "1h"][..], &["--since", "2999-01-01T00:00:00Z"], &["--since", "2h", "--until", "1h"]] {
            assert_eq!(count(none).await, 0, "{list} {none:?}");
        }
        let args = [list, "ls", "--since", "yesterday", "--server", &url, "--token-file", "root"];
        here.refused(&args, &["`since` takes a time: how long ago, as `1h`", "not `yesterday`", "400"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_by_hand_is_listed_by_person_text_and_time() {
    let app = TestApp::start(&routes("")).await;
    let (here, url) = (Elsewhere::new(), app.url(""));
    fire(&app).await;
    here.fine(&["close", "1", "--server", &url, "--token-file", "root"]).await;
    let list = async |more: &[&str]| here.fine(&[&["audit", "ls", "--server", &url, "--token-file", "reader"], more].concat()).await;
    let all = list(&[]).await;
    let [row] = all.lines().collect::<Vec<_>>()[..] else { panic!("{all}") };
    assert!(["root", "command line", "close", "incident #1", "done"].iter().all(|word| row.contains(word)), "{all}");
    let count = async |more: &[&str]| {
        let found: Value = serde_json::from_str(&list(&[&["--json"], more].concat()).await).unwrap();
        found["acts"].as_array().unwrap_or_else(|| panic!("{found}")).len()
    };
    for one in
        [&["--person", "ROOT"][..], &["--text", "clos"], &["--since", "1h"], &["--person", "root", "--text", "#1", "--until", "2999-01-01T00:00:00Z"]]
    {
        assert_eq!(count(one).await, 1, "{one:?}");
    }
    for none in [&["--person", "roo"][..], &["--person", "reader"], &["--until", "1h"], &["--person", "root", "--text", "mute"]] {
        assert_eq!(count(none).await, 0, "{none:?}");
    }
    let args = ["audit", "ls", "--since", "yesterday", "--server", &url, "--token-file", "root"];
    here.refused(&args, &["`since` takes a time: how long ago, as `1h`", "not `yesterday`", "400"]).await;
}

/// It is the API's, whatever the command.
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_printed_as_json() {
    let app = TestApp::start(&routes("")).await;
    let (here, url) = (Elsewhere::new(), app.url(""));
    let json = async |args: &[&str]| -> Value {
        let said = here.fine(&[args, &["--json", "--server", &url, "--token-file", "root"]].concat()).await;
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
    };
    fire(&app).await;
    let event = json(&["events", "ls"]).await["events"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(json(&["events", "show", &event]).await["deliveries"][0]["channel"], "ops");
    let replayed = json(&["events", "replay", &event, "--to", "night"]).await;
    assert_eq!((&replayed["deliveries"][0]["channel"], &replayed["duplicate"]), (&"night".into(), &false.into()));
    let delivery = replayed["deliveries"][0]["id"].as_str().unwrap();
    assert_eq!(json(&["queue", "show", delivery]).await["delivery"]["channel"], "night");
    assert_eq!(json(&["queue", "retry", "--all", "dead"]).await, serde_json::json!({ "deliveries": [] }));
    assert_eq!(json(&["queue", "drop", "--all", "deferred", "--reason", "over"]).await, serde_json::json!({ "dropped": 0 }));
    let number = json(&["incidents", "ls"]).await["incidents"][0]["number"].to_string();
    let found = async |states: &str| json(&["incidents", "ls", "--state", states]).await["incidents"].as_array().map(Vec::len);
    assert_eq!((found("acked,firing").await, found("acked,stale").await), (Some(1), Some(0)));
    assert_eq!(json(&["incidents", "show", &number]).await["incident"]["number"].to_string(), number);
    for act in [&["ack", &number][..], &["unack", &number], &["snooze", &number, "--for", "1h"], &["close", &number]] {
        let done = json(act).await;
        assert_eq!((done["incidents"][0].as_i64(), done["text"].is_string()), (number.parse().ok(), true), "{act:?}: {done}");
    }
    let muted = json(&["mute", "add", "--channel", "ops", "--for", "1h", "--reason", "moved"]).await;
    assert!(muted["matchers"][0] == "channel=\"ops\"" && muted["until"].is_i64(), "{muted}");
    assert_eq!(json(&["mute", "rm", "--channel", "ops"]).await["until"], Value::Null);
    let sent = json(&["send", "-c", "night", "-t", "hello"]).await;
    assert!(sent["results"][0]["ok"] == true && sent["delivery"].is_string() && sent["expired"] == false, "{sent}");
    let reloaded = json(&["reload"]).await;
    assert!(reloaded["reloaded"] == true && reloaded["said"].as_str().unwrap().starts_with("reloaded\n"), "{reloaded}");
    let listed = json(&["context", "add", "prod"]).await;
    assert!(listed["current"] == "prod" && listed["contexts"]["prod"]["server"] == url.trim_end_matches('/'), "{listed}");
    assert_eq!(json(&["context", "ls"]).await, listed);
    std::fs::write(app.folder.path().join("routes.yaml"), routes("time_zone: Nowhere\n")).unwrap();
    let (code, said) = here.run(&["reload", "--json", "--server", &url, "--token-file", "root"]).await;
    let refused: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert!(code == 1 && refused["reloaded"] == false && refused["said"].as_str().unwrap().contains("Nowhere"), "{code} {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_followed() {
    let app = TestApp::start(&routes("")).await;
    let here = Elsewhere::new();
    let url = app.url("");
    let first = async |more: &[&str], lines: usize| {
        let args = [&["queue", "ls", "--follow", "--server", &url, "--token-file", "reader"], more].concat();
        let mut child = here.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines().take(lines);
        let read = tokio::task::spawn_blocking(move || out.map(Result::unwrap).collect::<Vec<String>>());
        fire(&app).await;
        let read = tokio::time::timeout(crate::support::app::SOON, read).await.expect("nothing was shown").unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        read
    };
    let read = first(&[], 1).await;
    assert!(read[0].contains("DiskFull") && !read[0].contains('\u{1b}'), "{read:?}");
    let read = first(&["--json"], 1).await;
    let row: Value = serde_json::from_str(&read[0]).unwrap_or_else(|error| panic!("{error}: {read:?}"));
    assert!(row["channel"] == "ops" && row["title"].as_str().unwrap().contains("DiskFull"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_configurations_are_compared() {
    let here = Elsewhere::new();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/routes.yaml");
    let said = here.fine(&["check", "--diff", shipped, shipped]).await;
    assert_eq!(said, "");
    // The shipped file with a channel and a route of its examples.
    let text = std::fs::read_to_string(shipped).unwrap();
    let text = text.replace("  terminal: { log: {} }", "  terminal: { log: {} }\n  second: { log: { to: stderr } }");
    let changed = text.replace(
        "  to: [terminal]\n",
        "  to: [terminal]\n  routes:\n    - { matchers: 'severity=\"critical\", team=~\"db|infra\"', to: [terminal, second] }\n",
    );
    assert_ne!(text, changed);
    std::fs::write(here.0.path().join("new.yaml"), &changed).unwrap();
    let (code, said) = here.run(&["check", "--diff", shipped, "new.yaml"]).await;
    assert_eq!((code, said.as_str()), (1, "{severity=\"critical\", team=~\"db|infra\"}: terminal -> terminal, second\n"));
    let (code, said) = here.run(&["check", "--json", "--diff", shipped, "new.yaml"]).await;
    let found: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &found["changes"][0]["new"], &found["complete"]), (1, &"terminal, second".into(), &true.into()), "{said}");
    std::fs::write(here.0.path().join("open.yaml"), changed.replace("db|infra", "(db|infra)-.*")).unwrap();
    let (code, said) = here.run(&["check", "--diff", "open.yaml", "open.yaml"]).await;
    assert_eq!((code, said.as_str()), (0, "patterns were compared by examples\n"));
    let (code, said) = here.run(&["check", "--diff", shipped, "nowhere.yaml"]).await;
    assert!(code == 2 && said.contains("nowhere.yaml"), "{code} {said}");
    // All routes of it.
    let tree = here.fine(&["route", "tree", "--config", "new.yaml", "--channel", "second"]).await;
    assert_eq!(tree, "everything -> terminal\n  severity=\"critical\", team=~\"db|infra\" -> terminal, second\n");
    here.refused(&["route", "tree", "--config", "new.yaml", "--channel", "secnd"], &["did you mean `second`?"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_dropped_is_said() {
    let open = "server: { listen: '127.0.0.1:0' }\nstore: sqlite:watchfire.db\nchannels: { ops: { log: {} } }\nroute: { to: [ops] }\n";
    let app = TestApp::start(open).await;
    let (here, url) = (Elsewhere::new(), app.url(""));
    here.fine(&["context", "add", "prod", "--server", &url, "--token-file", "root"]).await;
    fire(&app).await;
    let sent = app.settled().await[0].id.to_string();
    here.refused(&["queue", "drop", &sent, "--reason", "x"], &["drop: 0 deliveries", "1 of those that were named stay as they are", "queue show"])
        .await;
}
