//! What newcomers get wrong, and what the program answers: what happened, where, and what to do. Also `init`, over the real program.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::support::app::TestApp;

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfire");
const ROUTES: &str = "store: sqlite:watchfire.db\nchannels: { t: { log: {} } }\nroute: { to: [t] }\n";
/// The user `nobody`.
const NOBODY: u32 = 65534;

/// A command in a folder, with nothing of this process' configuration.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).current_dir(folder).env_remove("WATCHFIRE_CONFIG").env_remove("WATCHFIRE_LISTEN").stdin(Stdio::null());
    command
}

/// Everything that was said, and the exit code.
pub fn said(output: Output) -> (i32, String) {
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// Runs it.
pub fn run(folder: &Path, args: &[&str]) -> (i32, String) {
    said(command(folder, args).output().unwrap())
}

/// Runs it as somebody whom file modes stop: they do not stop root.
fn run_unprivileged(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut command = command(folder, args);
    if std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    said(command.output().unwrap())
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A folder that everybody may enter, with a configuration.
fn folder(routes: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    mode(folder.path(), 0o755);
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    folder
}

#[track_caller]
fn told((code, text): (i32, String), words: &[&str]) {
    assert_eq!(code, 1, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    }
    assert!(!text.contains("os error"), "a number of the system explains nothing:\n{text}");
}

#[test]
fn a_configuration_that_is_not_there_or_may_not_be_read() {
    let empty = tempfile::tempdir().unwrap();
    told(run(empty.path(), &[]), &["routes.yaml cannot be read", "does not exist", "watchfire init", "--config FILE"]);
    told(run(empty.path(), &["check", "--config", "/nope/w.yaml"]), &["/nope/w.yaml cannot be read", "does not exist"]);

    let folder = folder(ROUTES);
    let parent = folder.path().parent().unwrap();
    let name = folder.path().display().to_string();
    told(run(parent, &["--config", &name]), &["it is a folder; name a file", &format!("--config {name}/routes.yaml")]);

    mode(&folder.path().join("routes.yaml"), 0o000);
    told(run_unprivileged(folder.path(), &["check"]), &["routes.yaml cannot be read", "this user may not read it", "chown"]);
}

#[test]
fn an_address_that_cannot_be_had() {
    let folder = folder(ROUTES);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    told(
        run(folder.path(), &["--listen", &address.to_string()]),
        &[&format!("cannot listen on {address}"), "another process uses", &format!("ss -ltnp sport = :{}", address.port()), "server.listen"],
    );
    // 192.0.2.0/24 is for documentation: no machine has it.
    told(run(folder.path(), &["--listen", "192.0.2.1:9091"]), &["cannot listen on 192.0.2.1:9091", "no such address", "0.0.0.0:9091"]);
    told(run(folder.path(), &["--listen", "9091"]), &["`9091`, given by --listen or WATCHFIRE_LISTEN, is no address", "127.0.0.1:9091"]);
}

/// `health` is what containers ask: it distinguishes a Watchfire from what only answers, over HTTPS too.
#[tokio::test(flavor = "multi_thread")]
async fn health_tells_who_answers() {
    let asked = async |folder: &Path, address: String| {
        let folder = folder.to_owned();
        tokio::task::spawn_blocking(move || run(&folder, &["health", "--listen", &address])).await.unwrap()
    };
    let plain = folder(ROUTES);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    told(asked(plain.path(), nobody.clone()).await, &[&format!("nothing listens at http://{nobody}"), "is `watchfire serve` running"]);
    // A web server of another kind.
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap().to_string();
    let served = tokio::spawn(async move { axum::serve(other, axum::Router::new().fallback(async || "<html>hello</html>")).await });
    let (code, text) = asked(plain.path(), address.clone()).await;
    assert!(!text.contains("<html>"), "{text}");
    told((code, text), &[&format!("what answers at http://{address} is not Watchfire")]);
    told(run_in(plain.path(), &["queue", "ls", "--listen", &address]).await, &["is not Watchfire, and there is no store at", "watchfire serve"]);
    served.abort();

    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["alerts.example.com".to_owned()]).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("routes.yaml"), format!("server: {{ tls: {{ cert: cert.pem, key: key.pem }} }}\n{ROUTES}")).unwrap();
    let mut child = command(folder.path(), &["serve", "--listen", &nobody]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let begun = std::time::Instant::now();
    let (code, text) = loop {
        let answer = asked(folder.path(), nobody.clone()).await;
        if answer.0 == 0 || begun.elapsed().as_secs() > 20 {
            break answer;
        }
    };
    // It reads nothing but where the server listens: what else the file holds costs it nothing, and cannot hinder it.
    let many: String = (0..2000).map(|n| format!("  c{n}: {{ nonsense: {{ token: x }} }}\n")).collect();
    std::fs::create_dir(folder.path().join("large")).unwrap();
    for file in ["cert.pem", "key.pem"] {
        std::fs::copy(folder.path().join(file), folder.path().join("large").join(file)).unwrap();
    }
    let large = format!("server: {{ tls: {{ cert: cert.pem, key: key.pem }} }}\nchannels:\n{many}route: {{ to: [nobody] }}\n");
    std::fs::write(folder.path().join("large/routes.yaml"), large).unwrap();
    let of_many = asked(&folder.path().join("large"), nobody.clone()).await;
    assert_eq!(of_many.0, 0, "{}", of_many.1);
    // A message goes through the server that runs, not past it.
    let sent = run_in(folder.path(), &["send", "-c", "t", "-t", "hello", "--listen", &nobody]).await;
    let listed = run_in(folder.path(), &["queue", "ls", "--state", "sent", "--listen", &nobody]).await;
    // A caller without the secrets of the channels can still ask what the server does; without a server they are needed.
    let secret = "channels: { s: { slack: { webhook: { env: NOT_SET_ANYWHERE_7 } } } }";
    let routes = std::fs::read_to_string(folder.path().join("routes.yaml")).unwrap().replace("channels: { t: { log: {} } }", secret);
    std::fs::write(folder.path().join("other.yaml"), routes.replace("to: [t]", "to: [s]")).unwrap();
    let other = ["queue", "ls", "--state", "sent", "--config", "other.yaml", "--listen"];
    let asked_without = run_in(folder.path(), &[&other[..], &[&nobody]].concat()).await;
    let nowhere = run_in(folder.path(), &[&other[..], &["127.0.0.1:1"]].concat()).await;
    // A caller that uses plain HTTP is answered so.
    let clear = asked(plain.path(), nobody.clone()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(code == 0 && text.trim() == "ready", "{code} {text}");
    assert!(sent.0 == 0 && sent.1.contains("delivered to"), "{sent:?}");
    assert!(listed.0 == 0 && listed.1.contains(" t "), "{listed:?}");
    assert!(asked_without.0 == 0 && asked_without.1.contains(" t "), "{asked_without:?}");
    told(nowhere, &["environment variable NOT_SET_ANYWHERE_7 is not set"]);
    told(clear, &["is not Watchfire, or speaks TLS there"]);
}

async fn run_in(folder: &Path, args: &[&str]) -> (i32, String) {
    let (folder, args) = (folder.to_owned(), args.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
    tokio::task::spawn_blocking(move || run(&folder, &args.iter().map(String::as_str).collect::<Vec<_>>())).await.unwrap()
}

#[test]
fn an_empty_variable_is_none() {
    let folder = folder(ROUTES);
    let mut command = command(folder.path(), &["check"]);
    for name in ["CONFIG", "LISTEN", "SERVER", "CONTEXT", "TOKEN_FILE", "TOKEN", "USER", "LOG", "LOG_FORMAT"] {
        command.env(format!("WATCHFIRE_{name}"), "");
    }
    let (code, text) = said(command.output().unwrap());
    assert!(code == 0 && text.contains("routes.yaml is fine"), "{code} {text}");
}

#[test]
fn a_store_that_cannot_be_written() {
    let nowhere = folder(&ROUTES.replace("watchfire.db", "/nope/deep/watchfire.db"));
    told(run(nowhere.path(), &["--listen", "127.0.0.1:0"]), &["/nope/deep/watchfire.db", "check that its folder exists"]);
    let closed = folder(ROUTES);
    mode(closed.path(), 0o555);
    told(run_unprivileged(closed.path(), &["--listen", "127.0.0.1:0"]), &["watchfire.db", "this user may write there"]);
    // Under systemd only the service's user may enter the folder: what it holds is there, though nobody else sees it.
    let private = folder(&ROUTES.replace("watchfire.db", "data/watchfire.db"));
    let data = private.path().join("data");
    std::fs::create_dir(&data).unwrap();
    mode(&data, 0o000);
    let listed = run_unprivileged(private.path(), &["queue", "ls", "--listen", "127.0.0.1:9"]);
    mode(&data, 0o755);
    told(listed, &["nothing listens", "its store data/watchfire.db may not be read by this user; ask as its user"]);
    let damaged = folder(ROUTES);
    std::fs::write(damaged.path().join("watchfire.db"), "not a database at all, and long enough to be looked at as one: ".repeat(10)).unwrap();
    let (code, text) = run(damaged.path(), &["--listen", "127.0.0.1:0"]);
    assert!(code == 1 && text.contains("watchfire.db`: the database is damaged") && text.contains("restore a backup"), "{text}");
}

#[test]
fn a_secret_that_is_not_set() {
    let folder = folder("channels:\n  ops: { slack: { webhook: { env: NOT_SET_ANYWHERE_7 } } }\nroute: { to: [ops] }\n");
    told(run(folder.path(), &["check"]), &["routes.yaml:2:", "environment variable NOT_SET_ANYWHERE_7 is not set"]);
    assert_eq!(run(folder.path(), &["check", "--without-secrets"]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_with_a_wrong_address_or_token_reads_the_right_one() {
    let routes = "server: { listen: '127.0.0.1:0', auth: [{ bearer: the-right-token-0123456789 }, { basic: { username: g, password: right-password-01 } }] }\n";
    let app = TestApp::start(&format!("{routes}{ROUTES}")).await;
    let first_line = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.text().await.unwrap().lines().next().unwrap_or_default().to_owned())
    };
    let body = json!({ "alerts": [] });
    for (path, status, words) in [
        ("/", 405, "go to /webhook"),
        ("/api/v2/alerts", 404, "Watchfire comes after Alertmanager, whose webhook_configs name http://HOST:PORT/webhook"),
        ("/webhook/", 401, "credentials are missing"),
        ("/alertmanager", 404, "go to /webhook"),
        ("/%0a%1b[31m", 404, "go to /webhook"),
    ] {
        let (code, line) = first_line(app.http.post(app.url(path)).json(&body)).await;
        assert!(code == status && line.contains(words) && !line.contains('\u{1b}'), "{path}: {code} {line:?}");
    }
    let (code, line) = first_line(app.http.get(app.url("/webhook"))).await;
    assert!(code == 405 && line.contains("GET is not taken at /webhook") && line.contains("POST"), "{line}");
    let wrong = "the-wrong-token-0123456789";
    for (request, words) in [
        (app.http.post(app.url("/webhook")).bearer_auth(wrong), "the bearer token is not known here"),
        (app.http.post(app.url("/webhook")).basic_auth("g", Some("wrong-password")), "the user name or password is wrong"),
        (app.http.post(app.url("/webhook")), "credentials are missing"),
    ] {
        let (code, line) = first_line(request.json(&body)).await;
        assert!(code == 401 && line.contains(words), "{line}");
        assert!(!line.contains(wrong) && !line.contains("right-") && !line.contains("wrong-password"), "{line}");
    }
}

#[test]
fn init_writes_what_check_takes_and_never_writes_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = run(folder.path(), &["init", "--platforms", "slack,dingtalk"]);
    assert_eq!(code, 0, "{text}");
    for variable in ["SLACK_TOKEN", "DING_TOKEN", "DING_SECRET"] {
        assert!(text.lines().any(|line| line.trim() == variable), "{variable} is not told:\n{text}");
    }
    let written = std::fs::read_to_string(folder.path().join("routes.yaml")).unwrap();
    let (code, text) = run(folder.path(), &["check", "--without-secrets", "--deny-warnings"]);
    assert!(code == 0 && text.contains("2 channels"), "{text}");
    told(run(folder.path(), &["init"]), &["routes.yaml exists and is not overwritten", "--out"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("routes.yaml")).unwrap(), written);
    told(run(folder.path(), &["init", "--out", "no/folder/w.yaml"]), &["no/folder/w.yaml cannot be written", "its folder does not exist"]);
    told(run(folder.path(), &["init", "--platforms", "dingding", "--out", "x.yaml"]), &["no platform `dingding`; did you mean `dingtalk`?\n"]);
    told(run(folder.path(), &["init", "--out", "."]), &[". is a folder; name a file"]);
    // Presets have their own names.
    let (code, text) = run(folder.path(), &["init", "--platforms", "Slack, ntfy", "--out", "phone.yaml"]);
    assert!(code == 0 && text.contains("alerts go to: ops-slack, ops-ntfy") && text.contains("NTFY_TOPIC"), "{text}");
    assert_eq!(run(folder.path(), &["check", "--without-secrets", "--config", "phone.yaml"]).0, 0);
    assert!(!folder.path().join("x.yaml").exists());
    // Without platforms it starts as it is.
    assert_eq!(run(folder.path(), &["init", "--out", "first.yaml"]).0, 0);
    let (code, text) = run(folder.path(), &["check", "--config", "first.yaml", "--deny-warnings"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn import_writes_two_files_and_tells_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy("tests/data/import/teams.yml", folder.path().join("alertmanager.yml")).unwrap();
    let (code, text) =
        run(folder.path(), &["import", "alertmanager.yml", "--alertmanager-out", "remains.yml", "--endpoint", "http://localhost:9092/webhook"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("SLACK_WEBHOOK") && text.contains("alertmanager.yml:9") && text.contains("7 receivers became 9 channels"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let remains = std::fs::read_to_string(folder.path().join("remains.yml")).unwrap();
    assert!(remains.contains("http://localhost:9092/webhook") && !remains.contains("hunter2"), "{remains}");
    assert_eq!(run(folder.path(), &["check", "--without-secrets"]).0, 0);
    told(run(folder.path(), &["import", "alertmanager.yml"]), &["routes.yaml exists and is not overwritten"]);
    // Half of it would block the next try.
    let halves = ["import", "alertmanager.yml", "--out", "fresh.yaml", "--alertmanager-out", "remains.yml"];
    told(run(folder.path(), &halves), &["remains.yml exists and is not overwritten", "nothing was written", "--alertmanager-out"]);
    assert!(!folder.path().join("fresh.yaml").exists());
    told(run(folder.path(), &["import", "nowhere.yml", "--stdout"]), &["nowhere.yml does not exist", "/etc/alertmanager/alertmanager.yml"]);
    std::fs::write(folder.path().join("bad.yml"), "route: { receiver: a }\nreceivers: []\n").unwrap();
    told(run(folder.path(), &["import", "bad.yml", "--out", "bad-out.yaml"]), &["bad.yml:1:", "there is no receiver", "nothing was written"]);
    assert!(!folder.path().join("bad-out.yaml").exists());
    // From standard input to standard output, for pipes.
    let mut child =
        command(folder.path(), &["import", "-", "--stdout"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read("tests/data/import/teams.yml").unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    let loaded: serde_json::Value = serde_yaml_of(&output.stdout);
    assert_eq!(loaded["route"]["to"], json!(["team-X-mails"]));
}

fn serde_yaml_of(bytes: &[u8]) -> serde_json::Value {
    serde_yaml::from_slice(bytes).unwrap()
}

#[test]
fn the_version_is_the_second_word_and_the_build_comes_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(run(folder.path(), &["-V"]), (0, format!("watchfire {version}\n")));
    let (code, text) = run(folder.path(), &["--version"]);
    let build = text.strip_prefix(&format!("watchfire {version} (")).and_then(|rest| rest.strip_suffix(")\n"));
    let build = build.unwrap_or_else(|| panic!("{code} {text}"));
    assert!(code == 0 && build.contains(std::env::consts::ARCH) && build.contains(std::env::consts::OS), "{text}");
    assert_eq!(build.contains("debug build"), cfg!(debug_assertions), "{text}");
}

/// What people paste into a platform's console is what the book shows, and each page names its file.
#[test]
fn init_prints_what_an_app_needs_as_the_book_shows_it() {
    for (name, file, page) in [
        ("slack", "slack-app.yaml", "slack"),
        ("feishu", "feishu-app.json", "feishu"),
        ("dingtalk", "dingtalk-app.txt", "dingtalk_card"),
        ("dingtalk_card", "dingtalk-card.json", "dingtalk_card"),
        ("wecom", "wecom-app.txt", "wecom"),
        ("wecom_bot", "wecom-bot.txt", "wecom_bot"),
        ("telegram", "telegram-app.txt", "telegram"),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_watchfire")).args(["init", "--app", name]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), std::fs::read_to_string(format!("docs/{file}")).unwrap(), "{name}");
        let shown = std::fs::read_to_string(format!("docs/platforms/{page}.md")).unwrap();
        assert!(shown.contains(&format!("(../{file})")) && shown.contains(&format!("watchfire init --app {name}")), "docs/platforms/{page}.md");
    }
    let feishu: serde_json::Value = serde_json::from_str(&std::fs::read_to_string("docs/feishu-app.json").unwrap()).unwrap();
    let page = std::fs::read_to_string("docs/platforms/feishu.md").unwrap();
    for scope in feishu["scopes"]["tenant"].as_array().unwrap() {
        assert!(page.contains(scope.as_str().unwrap()), "docs/platforms/feishu.md says what {scope} is for");
    }
    let print = |name: &str| std::process::Command::new(env!("CARGO_BIN_EXE_watchfire")).args(["init", "--app", name]).output().unwrap();
    assert_eq!(print("dingtalk_call").stdout, print("dingtalk").stdout, "one application serves cards and calls");
    let next = String::from_utf8(print("feishu").stderr).unwrap();
    assert!(next.contains("card.action.trigger") && page.contains("card.action.trigger"), "what the permissions do not hold: {next}");
    let output = print("irc");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("slack, feishu, dingtalk, dingtalk_card, wecom, wecom_bot, telegram"), "{told}");
}
