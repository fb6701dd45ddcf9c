//! Commands in the documents, tried: `watchfire ...` is understood by the program, scripts marked `<!-- run -->` run in an empty folder, every `curl` of
//! the READMEs, of the quick start and of the HTTP API gets its 2xx from a server, the first steps of the quick start run one after the other, and so do
//! commands about a server or files of this machine.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::docs_book::{pages, root};
use crate::docs_examples::blocks;
use crate::prometheus_e2e::{Ended, port};
use crate::support::app::{SOON, TestApp, alert};
use crate::support::skip::skip;

const ROUTES: &str =
    "server: { listen: \"127.0.0.1:0\" }\nstore: sqlite:watchfire.db\nchannels: { terminal: { log: {} } }\nroute: { to: [terminal] }\n";

/// A line of a shell as words: quotes, and a comment at its end.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, '#') if !begun => break,
            (None, c) if c.is_whitespace() => {
                if std::mem::take(&mut begun) {
                    out.push(std::mem::take(&mut word));
                }
            }
            (_, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        out.push(word);
    }
    out
}

/// The arguments of each `watchfire` in a line: after variables, between `&&`, `;` and pipes, without redirections.
fn calls(line: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    for part in words(line).split(|word| matches!(word.as_str(), "&&" | ";" | "|" | "||")) {
        let mut part = part.iter().skip_while(|word| {
            word.split('=').next().is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
                && word.contains('=')
        });
        if part.next().is_some_and(|first| first == "watchfire") {
            out.push(part.take_while(|word| !matches!(word.as_str(), ">" | "<" | "2>" | "&")).cloned().collect());
        }
    }
    out
}

#[test]
fn the_program_understands_every_command() {
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        let shell: Vec<String> = blocks(&page).into_iter().filter(|block| block.language == "sh").flat_map(|block| lines(&block.text)).collect();
        let mut fenced = false;
        let inline = page.lines().filter(|line| {
            let fence = line.starts_with("```");
            fenced ^= fence;
            !fence && !fenced
        });
        let inline = inline.flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|code| code.starts_with("watchfire ") && !code.contains('…'));
        for line in shell.iter().map(String::as_str).chain(inline) {
            for mut arguments in calls(line) {
                tried += 1;
                // A command that is only named.
                if arguments.len() == 1 {
                    arguments.push("--help".into());
                }
                // Where it goes is read from DATABASE_URL.
                if arguments[0] == "migrate-store" && arguments.len() == 2 {
                    arguments.push("postgres://db.example.com/watchfire".into());
                }
                if let Err(why) = watchfire::cli::parses(&arguments) {
                    wrong.push(format!("{}: {line}\n{why}", path.strip_prefix(root()).unwrap().display()));
                }
            }
        }
    }
    assert!(tried > 40, "only {tried} commands were found");
    assert!(wrong.is_empty(), "commands in the documents that the program does not understand:\n{}", wrong.join("\n"));
}

/// Lines of a script, with those that end in a backslash joined.
fn lines(text: &str) -> Vec<String> {
    text.replace("\\\n", " ").lines().map(str::to_owned).filter(|line| !line.trim().is_empty()).collect()
}

/// `init` and `man` write into folders that exist; a page that names one below `/etc` makes it.
#[test]
fn a_folder_is_made_before_something_is_written_into_it() {
    let mut tried = 0;
    for path in pages() {
        for block in blocks(&fs::read_to_string(&path).unwrap()).into_iter().filter(|block| block.language == "sh") {
            let mut made: Vec<String> = Vec::new();
            for line in lines(&block.text) {
                let words = words(&line);
                if words.first().is_some_and(|first| first == "mkdir") {
                    made.extend(words.iter().cloned());
                }
                let out = words.iter().skip_while(|word| *word != "--out").nth(1).filter(|out| out.starts_with("/etc/"));
                let Some((folder, _)) = out.and_then(|out| out.rsplit_once('/')) else { continue };
                tried += 1;
                assert!(made.iter().any(|one| one == folder), "{}:{}: {folder} is not there", path.display(), block.line);
            }
        }
    }
    assert!(tried >= 4, "only {tried} were found");
}

#[test]
fn scripts_that_need_nothing_run() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_watchfire"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap_or_default());
    let mut tried = 0;
    for page in pages() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("routes.yaml"), ROUTES).unwrap();
        for block in blocks(&fs::read_to_string(&page).unwrap()).into_iter().filter(|block| block.mark == "run") {
            let mut command = Command::new("sh");
            command.args(["-e", "-c", &block.text]).current_dir(folder.path()).env("PATH", &path).env_remove("WATCHFIRE_CONFIG");
            let out = command.env_remove("WATCHFIRE_LISTEN").output().unwrap();
            let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
            assert!(out.status.success(), "{}:{}:\n{}\n{said}", page.display(), block.line, block.text);
            tried += 1;
        }
    }
    assert!(tried >= 3, "only {tried} scripts were found");
}

/// From the first alert to a file of one's own, in one shell: the program is where cargo puts it, and the PATH knows it by the page's own words only.
#[test]
fn the_first_steps_run_with_the_path_of_a_newcomer() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skip("the package curl");
    }
    for name in ["docs/quick-start.md", "docs/quick-start.zh-CN.md"] {
        let page = fs::read_to_string(root().join(name)).unwrap();
        let steps = blocks(&page).into_iter().filter(|block| block.language == "sh" && !block.text.starts_with("cargo run "));
        let steps: String = steps.map(|block| block.text).take_while(|text| !text.contains("--online")).collect();
        let (folder, address) = (tempfile::tempdir().unwrap(), format!("127.0.0.1:{}", port()));
        let here = |text: &str| text.replace("127.0.0.1:9091", &address);
        fs::write(folder.path().join("routes.yaml"), here(&fs::read_to_string(root().join("routes.yaml")).unwrap())).unwrap();
        let program = folder.path().join("target/release/watchfire");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_watchfire"), &program).unwrap();
        let newcomer = |program: &std::ffi::OsStr| {
            let mut command = Command::new(program);
            command.current_dir(folder.path()).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path()).stdin(Stdio::null());
            command
        };
        let _server = Ended(newcomer(program.as_os_str()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let mut tries = 0;
        while !newcomer(program.as_os_str()).arg("health").output().unwrap().status.success() {
            tries += 1;
            assert!(tries < 1_200, "{name}: the server does not get ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        let script = here(&steps) + "command -v watchfire\n";
        let out = newcomer("sh".as_ref()).args(["-e", "-c", &script]).output().unwrap();
        let (said, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(out.status.success(), "{name}:\n{script}\n{said}\n{errors}");
        assert!(said.contains("DiskFull") && said.trim_end().ends_with("/target/release/watchfire"), "{name}:\n{script}\n{said}");
        assert!(folder.path().join("mine.yaml").is_file(), "{name} makes no file of one's own");
    }
}

/// Commands about a server of this machine, and about files.
const HERE: [&str; 17] = [
    "ack",
    "audit",
    "channels",
    "check",
    "close",
    "events",
    "explain",
    "heartbeats",
    "incidents",
    "mute",
    "nodes",
    "queue",
    "reload",
    "route",
    "snooze",
    "status",
    "unack",
];

/// What makes them about a platform, another file or another machine, makes them endless, or asks for a delivery that failed.
const ELSEWHERE: [&str; 8] = ["--online", "--deny-warnings", "--config", "--context", "--follow", "retry", "drop", "move"];

#[tokio::test(flavor = "multi_thread")]
async fn commands_about_this_machine_run() {
    let routes = "server: { listen: \"127.0.0.1:0\" }\nstore: sqlite:watchfire.db\nchannels: { ops-ding: { log: {} }, ops-mail: { log: {} } }\n\
         route: { to: [ops-ding, ops-mail] }\nheartbeats: [{ matchers: 'alertname=\"Watchdog\"', timeout: 5m, to: [ops-mail] }]\n";
    let app = TestApp::start(routes).await;
    let body = alert("db", "DiskFull", "firing");
    let answer: Value = app.http.post(app.url("/webhook")).json(&body).send().await.unwrap().json().await.unwrap();
    let id = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    let (event, delivery) = (id(&answer["event"]), id(&answer["deliveries"][0]["id"]));
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("bodies")).unwrap();
    for file in ["body.json", "bodies/body.json"] {
        fs::write(folder.path().join(file), body.to_string()).unwrap();
    }
    for file in ["routes.yaml", "new.yaml"] {
        fs::write(folder.path().join(file), routes.replace("127.0.0.1:0", &app.app.address.to_string())).unwrap();
    }
    let mut tried: Vec<Vec<String>> = Vec::new();
    for page in pages() {
        for block in blocks(&fs::read_to_string(&page).unwrap()).into_iter().filter(|block| block.language == "sh") {
            for arguments in lines(&block.text).into_iter().flat_map(|line| calls(&line)) {
                let is_here = arguments.first().is_some_and(|first| HERE.contains(&first.as_str()));
                if !is_here || arguments.iter().any(|one| ELSEWHERE.contains(&one.as_str())) {
                    continue;
                }
                let is_event = arguments[0] == "events";
                let renamed = arguments.into_iter().map(|one| match one.as_str() {
                    "0198c2f0-7a10-7000-8000-000000000001" if is_event => event.clone(),
                    "0198c2f0-7a10-7000-8000-000000000001" => delivery.clone(),
                    "1842" | "3" => "1".to_owned(),
                    _ => one,
                });
                let arguments: Vec<String> = renamed.collect();
                if tried.contains(&arguments) {
                    continue;
                }
                let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
                command.args(&arguments).current_dir(folder.path()).env_clear().env("HOME", folder.path()).stdin(Stdio::null());
                let out = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
                let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
                assert!(out.status.success(), "{}:{}: {arguments:?}\n{said}", page.display(), block.line);
                tried.push(arguments);
            }
        }
    }
    assert!(tried.len() > 25, "only {} commands were run: {tried:?}", tried.len());
    app.app.stop(Duration::from_secs(5)).await;
}

/// `check --online`, `send` and `serve` stop at one that is missing.
#[test]
fn quick_starts_set_every_variable_that_their_file_asks_for() {
    for name in ["docs/quick-start.md", "docs/quick-start.zh-CN.md"] {
        let page = fs::read_to_string(root().join(name)).unwrap();
        let line = blocks(&page).iter().flat_map(|block| lines(&block.text)).find(|line| line.starts_with("watchfire init ")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(&calls(&line)[0]).current_dir(folder.path()).output().unwrap();
        assert!(out.status.success(), "{name}: {line}\n{}", String::from_utf8_lossy(&out.stderr));
        let file = fs::read_to_string(folder.path().join("mine.yaml")).unwrap();
        let active = file.lines().filter(|line| !line.trim_start().starts_with('#'));
        let asked: Vec<&str> = active
            .filter_map(|line| line.split(" #").next())
            .flat_map(|line| line.split("{ env: ").skip(1))
            .filter_map(|rest| rest.split(' ').next())
            .collect();
        assert!(asked.len() >= 2, "{name}: {file}");
        for variable in asked {
            assert!(page.contains(&format!(" {variable}=")), "{name} does not set {variable}, which the file of `{line}` asks for");
        }
    }
}

/// What a `curl` line asks for.
fn request(app: &TestApp, line: &str) -> (Method, String, Vec<(String, String)>, Option<String>) {
    let (mut method, mut url, mut headers, mut body) = (None, String::new(), Vec::new(), None);
    let words = words(line);
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{line}")).clone();
        match word.as_str() {
            "-d" | "--data" => body = Some(value()),
            "-X" => method = Some(Method::from_bytes(value().as_bytes()).unwrap()),
            "-H" => headers.extend(value().split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()))),
            "-s" | "-i" | "-f" => {}
            other if other.starts_with("http://127.0.0.1:9091") => url = app.url(other.trim_start_matches("http://127.0.0.1:9091")),
            other => panic!("`{other}` in: {line}"),
        }
    }
    assert!(!url.is_empty(), "no address in: {line}");
    (method.unwrap_or(if body.is_some() { Method::POST } else { Method::GET }), url, headers, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_curl_is_answered_by_a_server() {
    let pages = [("docs/http-api", 15), ("docs/quick-start", 2), ("README", 2)];
    for (name, least) in pages.into_iter().flat_map(|(page, least)| [(format!("{page}.md"), least), (format!("{page}.zh-CN.md"), least)]) {
        let app = TestApp::start(ROUTES).await;
        let (mut event, mut delivery, mut tried) = (String::new(), String::new(), 0);
        for block in blocks(&fs::read_to_string(root().join(&name)).unwrap()).into_iter().filter(|block| block.language == "sh") {
            for line in lines(&block.text).into_iter().filter(|line| line.starts_with("curl ")) {
                let line = line.replace("$EVENT", &event).replace("$DELIVERY", &delivery);
                let (method, url, headers, body) = request(&app, &line);
                let mut request = app.http.request(method, url);
                for (header, value) in headers {
                    request = request.header(header, value);
                }
                let answer = tokio::time::timeout(SOON, request.body(body.unwrap_or_default()).send()).await.unwrap().unwrap();
                let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
                let wanted = block.mark.strip_prefix("answer: ").map_or(200, |code| code.parse::<u16>().unwrap());
                assert_eq!(status, wanted, "{name}: {line}\n{text}");
                tried += 1;
                let json: Value = serde_json::from_str(&text).unwrap_or_default();
                if let (Some(of), Some(first)) = (json["event"].as_str(), json["deliveries"][0]["id"].as_str()) {
                    (event, delivery) = (of.to_owned(), first.to_owned());
                }
            }
        }
        assert!(tried >= least, "{name} has only {tried} requests");
        app.app.stop(Duration::from_secs(5)).await;
    }
}

#[test]
fn shell_lines_are_read_as_a_shell_does() {
    assert_eq!(words("a 'b c' \"d\"e  # f"), ["a", "b c", "de"]);
    assert_eq!(calls("A=b watchfire check --online && watchfire health > x"), [vec!["check".to_owned(), "--online".into()], vec!["health".into()]]);
    assert!(watchfire::cli::parses(&["chekc".into()]).is_err());
}
