//! A store that another process has, and one whose files are taken away while it runs.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchfire::store::State;

use crate::crash::{free_port, up};
use crate::support::app::{Four, SOON, TestApp, alert};

const LOG: &str = "store: sqlite:watchfire.db\nchannels: { terminal: { log: {} } }\nroute: { to: [terminal] }\n";

fn serve(folder: &Path, port: u16, log: &str) -> Child {
    let file = std::fs::File::create(folder.join(log)).unwrap();
    Command::new(env!("CARGO_BIN_EXE_watchfire"))
        .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .unwrap()
}

fn log_of(folder: &Path, name: &str) -> String {
    let mut text = String::new();
    std::fs::File::open(folder.join(name)).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

fn ends(child: &mut Child) -> std::process::ExitStatus {
    let end = Instant::now() + SOON;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn told(four: &Four, what: &str) -> bool {
    four.ding.rec.accepted().iter().any(|record| record.json().to_string().contains(what))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_one_store_says_so_is_healthy_and_takes_over() {
    watchfire::channel::kit::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("routes.yaml"), LOG).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let (first, second) = (free_port(), free_port());
    let mut holder = serve(path, first, "first.log");
    up(&client, first).await;
    for how in ["TERM", "INT", ""] {
        let mut waiting = serve(path, second, "second.log");
        let ask = async |method: &str, path: &str| {
            let end = Instant::now() + SOON;
            loop {
                let request =
                    client.request(method.parse().unwrap(), format!("http://127.0.0.1:{second}{path}")).json(&alert("db", "DiskFull", "firing"));
                match request.send().await {
                    Ok(answer) => {
                        let (status, wait) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
                        break (status, wait, answer.text().await.unwrap());
                    }
                    Err(error) => assert!(Instant::now() < end, "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        assert_eq!(ask("GET", "/-/healthy").await, (200, false, "ok\n".to_owned()));
        let end = Instant::now() + SOON;
        let holders = holder.id().to_string();
        while !ask("GET", "/-/ready").await.2.contains(&holders) {
            assert!(Instant::now() < end, "{:?}", ask("GET", "/-/ready").await);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        for (method, path) in [("GET", "/-/ready"), ("POST", "/webhook"), ("POST", "/webhook/grafana"), ("GET", "/api/v1/channels")] {
            let (status, wait, text) = ask(method, path).await;
            assert!(status == 503 && wait && text.contains("in use by another process") && text.contains(&holders), "{path}: {status} {text}");
        }
        // The direct paths keep their shape and their language.
        for direct in
            ["/email/send/message", "/slack/send/message", "/dingding/send/message", "/dingding/call", "/wx/apps/send", "/sms/send", "/vms/send"]
        {
            let (status, wait, text) = ask("POST", direct).await;
            assert_eq!(
                (status, serde_json::from_str(&text).ok()),
                (503, Some(json!({ "code": 1, "message": "服务繁忙，请稍后重试" }))),
                "{direct}: {text} {wait}"
            );
        }
        // A command that finds the store taken, and nobody at the address of the configuration, says where to look.
        let asked =
            Command::new(env!("CARGO_BIN_EXE_watchfire")).args(["queue", "ls", "--listen", "127.0.0.1:9"]).current_dir(path).output().unwrap();
        let told = String::from_utf8_lossy(&asked.stderr);
        let says = ["a server has the store open", &holders, "It listens elsewhere: name its address with --listen HOST:PORT or WATCHFIRE_LISTEN"];
        assert!(!asked.status.success() && says.iter().all(|what| told.contains(what)), "{told}");
        tokio::time::sleep(Duration::from_millis(700)).await;
        let log = log_of(path, "second.log");
        let told: Vec<&str> = log.lines().filter(|line| line.contains("waiting for the store")).collect();
        assert!(told.len() == 1 && told[0].contains("WARN") && told[0].contains(&holders), "{log}");
        if how.is_empty() {
            // The holder goes, and it takes over by itself.
            signal(&holder, "TERM");
            assert!(ends(&mut holder).success());
            up(&client, second).await;
            let taken = ask("POST", "/webhook").await;
            assert_eq!(taken.0, 200, "{}", taken.2);
            signal(&waiting, "TERM");
        } else {
            signal(&waiting, how);
        }
        let begun = Instant::now();
        assert!(ends(&mut waiting).success(), "{how}");
        assert!(how.is_empty() || begun.elapsed() < Duration::from_secs(5), "{how} is obeyed at once");
    }
    holder.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_deleted_under_a_server_is_noticed_and_what_waits_still_leaves() {
    let four = Four::start().await;
    four.slack.unpaced();
    four.slack.rec.track("uid-");
    let routes = four
        .routes()
        .replace("ops-slack: { slack", "ops-slack: { rate_limit: off, slack")
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]");
    let routes = format!("{routes}self_monitoring: {{ to: [ops-ding] }}\n");
    let app = TestApp::start(&routes).await;
    let file = app.folder.path().join("watchfire.db");
    let post = async |uid: &str| app.post("/webhook", &alert(uid, uid, "firing")).await.0;
    assert_eq!(post("uid-1").await, 200);
    app.settled().await;

    let aside = app.folder.path().join("aside.db");
    std::fs::rename(&file, &aside).unwrap();
    let begun = Instant::now();
    assert_eq!(post("uid-2").await, 503);
    let (code, text) = app.get("/-/ready").await;
    assert!(code == 503 && text.as_str().is_some_and(|text| text.contains("deleted or moved away")), "{code} {text}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(app.get("/-/healthy").await.0, 200);
    // Somebody learns of it, through the store that still works.
    let end = Instant::now() + SOON;
    while !told(&four, "deleted or moved away") {
        assert!(Instant::now() < end, "no alarm");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(post("uid-3").await, 200);
    assert_eq!(app.get("/-/ready").await.0, 200);
    let rows = app.settled().await;
    assert!(rows.iter().filter(|row| row.channel == "ops-slack").all(|row| row.state == State::Sent), "{rows:?}");

    // Cut, it is not used again.
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(4096).unwrap();
    assert_eq!(post("uid-4").await, 503);
    let (code, text) = app.get("/-/ready").await;
    assert!(code == 503 && text.as_str().is_some_and(|text| text.contains("cut short")), "{code} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_another_program_writes_into_the_database_are_noticed() {
    use std::os::unix::fs::FileExt;
    let four = Four::start().await;
    let routes = four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]");
    let app = TestApp::start(&format!("{routes}self_monitoring: {{ to: [ops-ding] }}\n")).await;
    let file = app.folder.path().join("watchfire.db");
    assert_eq!(app.post("/webhook", &alert("a", "Before", "firing")).await.0, 200);
    app.settled().await;
    // Moved into the file, so that what is written next is somebody else's.
    tokio::time::sleep(Duration::from_secs(1)).await;

    // Something wrote to the file; its pages are checked, and it goes on. People learn of it.
    let database = std::fs::OpenOptions::new().read(true).write(true).open(&file).unwrap();
    database.set_modified(std::time::SystemTime::now()).unwrap();
    assert_eq!(app.post("/webhook", &alert("b", "Refused", "firing")).await.0, 503);
    let end = Instant::now() + SOON;
    while !told(&four, "another program has written") || app.get("/-/ready").await.0 != 200 {
        assert!(Instant::now() < end, "told: {}, ready: {:?}", told(&four, "another program has written"), app.get("/-/ready").await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(app.post("/webhook", &alert("b", "Accepted", "firing")).await.0, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;

    // Pages are broken: nothing more is accepted.
    database.write_all_at(&[0xA5; 64 * 4096], 2 * 4096).unwrap();
    assert_eq!(app.post("/webhook", &alert("c", "After", "firing")).await.0, 503);
    let end = Instant::now() + SOON;
    loop {
        let (code, text) = app.get("/-/ready").await;
        assert_eq!(code, 503);
        if text.as_str().is_some_and(|text| text.contains("written over") && text.contains("damaged")) {
            break;
        }
        assert!(Instant::now() < end, "{text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(app.post("/webhook", &alert("c", "After", "firing")).await.0, 503);
}

/// What a damaged log has lost is shown to people, and not only to those who read the log of the start.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_raises_an_alarm_at_the_next_start() {
    watchfire::channel::kit::install_crypto();
    let four = Four::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let port = free_port();
    let routes = format!("{}self_monitoring: {{ to: [ops-ding] }}\n", four.routes())
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]");
    std::fs::write(path.join("routes.yaml"), routes).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let mut server = serve(path, port, "first.log");
    up(&client, port).await;
    for n in 0..20 {
        let answer =
            client.post(format!("http://127.0.0.1:{port}/webhook")).json(&alert(&format!("g{n}"), "DiskFull", "firing")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }
    server.kill().unwrap();
    server.wait().unwrap();
    let log = path.join("watchfire.db-wal");
    let length = std::fs::metadata(&log).unwrap().len();
    assert!(length > 10 * 4120, "{length}");
    std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(length / 2).unwrap();
    let mut server = serve(path, port, "second.log");
    up(&client, port).await;
    let end = Instant::now() + SOON;
    while !told(&four, "was damaged while no Watchfire ran") {
        assert!(Instant::now() < end, "no alarm: {}", log_of(path, "second.log"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = log_of(path, "second.log");
    assert!(told.contains("ERROR") && told.contains("was damaged while no Watchfire ran"), "{told}");
    let answer: Value = client.get(format!("http://127.0.0.1:{port}/api/v1/channels")).send().await.unwrap().json().await.unwrap();
    assert!(answer["channels"].is_array());
    signal(&server, "TERM");
    ends(&mut server);
}
