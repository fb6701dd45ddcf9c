//! The threat model of docs/security.md, line by line: each has its test here or in the place that the page names.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::app::{TestApp, alert};

const LOG: &str = "store: sqlite:watchfire.db\nchannels: { terminal: { log: {} } }\nroute: { to: [terminal] }\n";

/// Writes a certificate and its key, and returns the certificate.
pub fn certificate(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    made.cert.pem()
}

fn trusting(pem: &str) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_served_and_a_new_certificate_is_used_without_a_restart() {
    let mut first = String::new();
    let yaml = format!("server: {{ listen: '127.0.0.1:0', tls: {{ cert: cert.pem, key: key.pem }} }}\n{LOG}");
    let app = TestApp::start_with(&yaml, |options| first = certificate(options.config.parent().unwrap())).await;
    let url = format!("https://127.0.0.1:{}", app.app.address.port());
    let client = trusting(&first);
    let answer = client.post(format!("{url}/webhook")).json(&alert("db", "DiskFull", "firing")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2), "HTTP/2 is agreed on");

    // What speaks no TLS, or nothing at all, costs a place and not the service.
    let mut plain = tokio::net::TcpStream::connect(app.app.address).await.unwrap();
    plain.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "nothing is served in the clear");
    let _silent = tokio::net::TcpStream::connect(app.app.address).await.unwrap();
    assert!(client.get(format!("{url}/-/healthy")).send().await.unwrap().status().is_success());

    // A key that does not belong to the certificate changes nothing; the pair that does is used at once.
    let folder = app.folder.path();
    let second = certificate(folder);
    let key = std::fs::read_to_string(folder.join("key.pem")).unwrap();
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), stranger.signing_key.serialize_pem()).unwrap();
    let report = app.app.reload().await.unwrap_err();
    assert!(report.contains("cannot be used together") && !report.contains("PRIVATE KEY"), "{report}");
    assert!(trusting(&first).get(format!("{url}/-/healthy")).send().await.is_ok());
    std::fs::write(folder.join("key.pem"), key).unwrap();
    app.app.reload().await.unwrap();
    assert!(trusting(&second).get(format!("{url}/-/healthy")).send().await.is_ok());
    assert!(trusting(&first).get(format!("{url}/-/healthy")).send().await.is_err(), "the old certificate is not shown any more");
    assert!(client.get(format!("{url}/-/healthy")).send().await.unwrap().status().is_success(), "a connection that stands goes on");
}

#[tokio::test]
async fn answers_carry_headers_that_keep_browsers_from_mischief() {
    let app = TestApp::start(&format!("server: {{ listen: '127.0.0.1:0' }}\n{LOG}")).await;
    for path in ["/", "/-/healthy", "/api/v1/deliveries", "/nowhere", "/m/x"] {
        let answer = app.http.get(app.url(path)).send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert!(header("content-security-policy").contains("default-src 'none'"), "{path}: {}", header("content-security-policy"));
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(header("access-control-allow-origin"), "", "{path}: no other site may read it");
    }
}

/// Sends all of a large body before it reads anything, as simple clients do, and returns the first line of the answer.
async fn told_at_the_end(app: &TestApp, head: &str, body: &[u8]) -> String {
    let mut stream = tokio::net::TcpStream::connect(app.app.address).await.unwrap();
    stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes()).await.unwrap();
    stream.write_all(body).await.expect("nobody hangs up on who still speaks");
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_seen_by_who_sends_a_large_body_on_every_path() {
    let server = "server: { listen: '127.0.0.1:0', max_body: 1MiB, auth: [{ bearer: senders-token-0123, scopes: [webhook, legacy] }] }\n";
    let app = TestApp::start(&format!("{server}{LOG}legacy: {{ dingding: terminal }}\n")).await;
    let body = vec![b'x'; 6 << 20];
    let known = "\r\nauthorization: Bearer senders-token-0123";
    for path in ["/webhook", "/webhook/grafana", "/dingding/send/message", "/api/v1/send", "/webhook/"] {
        let (scope, encoding) = if path.starts_with("/api") { (403, 403) } else { (413, 415) };
        for (method, headers, status) in [
            ("POST", String::new(), 401),
            ("POST", known.to_owned(), scope),
            ("POST", format!("{known}\r\ncontent-encoding: br"), encoding),
            ("PATCH", known.to_owned(), 405),
        ] {
            let head = format!("{method} {path} HTTP/1.1\r\nhost: x{headers}");
            let line = told_at_the_end(&app, &head, &body).await;
            assert!(line.contains(&format!(" {status} ")), "{head}: {line}");
        }
    }
    assert!(told_at_the_end(&app, "POST /nowhere HTTP/1.1\r\nhost: x", &body).await.contains(" 404 "));
    // HTTP/2 ends the one request and no other.
    let two = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    for (token, status) in [("wrong", 401), ("senders-token-0123", 413)] {
        let answer = two.post(app.url("/webhook")).bearer_auth(token).body(body.clone()).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (status, reqwest::Version::HTTP_2));
        assert!(answer.text().await.unwrap().len() > 10);
    }
}

#[tokio::test]
async fn addresses_in_forwarded_headers_count_only_from_trusted_proxies() {
    let legacy = "legacy: { auth: none, allow_ips: [10.1.2.3], dingding: terminal }\n";
    let ask = async |app: &TestApp, forwarded: &str| {
        let request = app.http.post(app.url("/dingding/send/message")).header("x-forwarded-for", forwarded);
        request.json(&json!({ "title": "t", "text": "x" })).send().await.unwrap().status().as_u16()
    };
    let yaml = |proxies: &str| {
        format!("server: {{ listen: '127.0.0.1:0', trusted_proxies: [{proxies}], auth: [{{ bearer: 0123456789abcdef }}] }}\n{LOG}{legacy}")
    };
    let open = TestApp::start(&yaml("")).await;
    assert_eq!(ask(&open, "10.1.2.3").await, 403, "anybody can write that header");
    let behind = TestApp::start(&yaml("127.0.0.0/8")).await;
    assert_eq!(ask(&behind, "10.1.2.3").await, 200);
    assert_eq!(ask(&behind, "10.1.2.3, 192.0.2.7").await, 403, "the address nearest to the proxy counts");
    assert_eq!(ask(&behind, "10.1.2.3, 192.0.2.7:4711").await, 403, "also with a port");
    assert_eq!(ask(&behind, "10.1.2.3, unknown").await, 403, "what is no address makes nothing left of it true");
}

#[tokio::test]
async fn links_open_their_own_message_only() {
    use watchfire::delivery::links::message_code;
    use watchfire::model::Secret;
    let server = "server: { listen: '127.0.0.1:0', external_url: 'https://w.example.com', link_key: link-key-of-the-test-0123456789 }\n";
    let app = TestApp::start(&format!("{server}{LOG}")).await;
    let mut messages = Vec::new();
    for name in ["DiskFull", "HostDown"] {
        app.post("/webhook", &alert(name, name, "firing")).await;
        let rows = app.settled().await;
        messages.push(rows[0].message.unwrap());
    }
    let code = |key: &str, at: usize| message_code(&Secret::new(key), messages[at]);
    let ask = async |code: &str| {
        let answer = app.http.get(app.url(&format!("/m/{code}"))).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let key = "link-key-of-the-test-0123456789";
    for (at, name, other) in [(0, "DiskFull", "HostDown"), (1, "HostDown", "DiskFull")] {
        let (status, page) = ask(&code(key, at)).await;
        assert!(status == 200 && page.contains(&format!("{name} is wrong")) && !page.contains(&format!("{other} is wrong")), "{status}: {page}");
    }
    let right = code(key, 0);
    let last = if right.ends_with('0') { "1" } else { "0" };
    for wrong in [code("another-key-of-the-test-0123456789", 0), format!("{}{last}", &right[..13]), right[..13].to_owned(), messages[0].to_string()] {
        let (status, page) = ask(&wrong).await;
        assert!(status == 404 && !page.contains("DiskFull is wrong"), "{wrong}: {status}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_passwords_keeps_nobody_waiting() {
    use std::io::Write;
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_watchfire"))
        .arg("hash-password")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
    let hash = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !hash.contains("horse"), "{hash}");
    assert!(watchfire::config::PasswordHash::parse(hash.trim()).unwrap().verify("correct horse"));
    let auth = format!("auth: [{{ basic: {{ username: alertmanager, password: '{}' }} }}]", hash.trim());
    let app = TestApp::start(&format!("server: {{ listen: '127.0.0.1:0', {auth} }}\n{LOG}")).await;
    let ask = |password: String| {
        let request = app.http.get(app.url("/api/v1/channels")).basic_auth("alertmanager", Some(password));
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(ask("correct horse".into()).await, 200);
    let guesses: Vec<_> = (0..60).map(|i| tokio::spawn(ask(format!("guess {i}")))).collect();
    let end = tokio::time::Instant::now() + Duration::from_secs(5);
    for _ in 0..20 {
        assert_eq!(ask("correct horse".into()).await, 200);
        assert!(app.http.get(app.url("/-/healthy")).send().await.unwrap().status().is_success());
    }
    assert!(tokio::time::Instant::now() < end, "who is known waits for no guess");
    let mut answers = Vec::new();
    for guess in guesses {
        answers.push(guess.await.unwrap());
    }
    assert!(answers.iter().all(|status| matches!(status, 401 | 503)), "{answers:?}");
    assert!(answers.iter().filter(|status| **status == 503).count() >= 30, "few wait for their turn: {answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_alerts_say_is_in_no_log_unless_it_is_asked_for() {
    watchfire::channel::kit::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let routes = format!(
        "server: {{ listen: '127.0.0.1:{port}' }}\nstore: sqlite:w.db\nchannels:\n  out: {{ webhook: {{ url: 'http://127.0.0.1:9/', allow_networks: [127.0.0.1] }} }}\n  off: {{ log: {{}}, disabled: true }}\nroute: {{ to: [out, off] }}\n"
    );
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_watchfire"))
        .args(["serve", "--no-watch"])
        .current_dir(folder.path())
        .stderr(log)
        .spawn()
        .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while client.get(format!("{url}/-/ready")).send().await.is_err() {
        assert!(tokio::time::Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(client.post(format!("{url}/webhook")).json(&alert("quiet-host", "QuietName", "firing")).send().await.unwrap().status().is_success());
    assert_eq!(client.post(format!("{url}/webhook")).body("{ \"quiet-body\": ").send().await.unwrap().status().as_u16(), 200);
    let read = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    while !read().contains("attempt failed") {
        assert!(tokio::time::Instant::now() < end, "{}", read());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let log = read();
    assert!(log.contains("a body is no alert"), "{log}");
    assert!(!log.contains("quiet") && !log.contains("Quiet"), "{log}");
    for line in log.lines().filter(|line| line.starts_with('{')) {
        let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
        let again = serde_json::to_string(&parsed).unwrap();
        assert_eq!(again.len(), line.len(), "no name stands twice in a line: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_does_no_more_than_its_scopes_and_channels_by_any_path() {
    let auth = "auth: [{ bearer: senders-token-0123, scopes: [webhook] }, { bearer: teams-token-012345, name: team, channels: [terminal] }]";
    let yaml = LOG.replace("terminal: { log: {} }", "terminal: { log: {} }, other: { log: {} }");
    let app = TestApp::start(&format!("server: {{ listen: '127.0.0.1:0', {auth} }}\nlegacy: {{ dingding: other }}\n{yaml}")).await;
    let nobody = app.http.get(app.url("/api/v1/channels")).send().await.unwrap();
    assert_eq!(nobody.status().as_u16(), 401);
    assert!(nobody.headers()["www-authenticate"].to_str().unwrap().contains("Basic realm="), "a browser can ask for a password");
    let sender = app.http.get(app.url("/api/v1/channels")).bearer_auth("senders-token-0123").send().await.unwrap();
    assert_eq!((sender.status().as_u16(), sender.headers().contains_key("www-authenticate")), (403, false), "who is known need not show it again");

    let ask = async |method: &str, path: &str, body: serde_json::Value| {
        let request = app.http.request(method.parse().unwrap(), app.url(path)).bearer_auth("teams-token-012345").json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let body = alert("db", "DiskFull", "firing");
    let (_, taken) = ask("POST", "/webhook?to=terminal", body.clone()).await;
    let taken: serde_json::Value = serde_json::from_str(&taken).unwrap();
    let ids = json!([taken["deliveries"][0]["id"]]);
    let mute = |channel: &str| json!({ "matchers": [format!("channel=\"{channel}\"")], "for": "1h", "reason": "x" });
    for (method, path, body, status) in [
        // By the routing table: nothing of it reaches the other channel.
        ("POST", "/webhook?to=other", body, 200),
        ("POST", "/api/v1/send", json!({ "to": ["other"], "text": "x" }), 400),
        ("POST", "/api/v1/channels/other/test", json!({ "text": "x" }), 403),
        ("POST", "/api/v1/mutes", mute("other"), 403),
        ("POST", "/api/v1/mutes", json!({ "matchers": ["team=\"db\""], "for": "1h", "reason": "x" }), 403),
        ("DELETE", "/api/v1/mutes?matchers=channel%3D%22other%22", json!({}), 403),
        ("POST", "/api/v1/deliveries/move", json!({ "ids": ids, "to": "other" }), 403),
        ("POST", "/api/v1/deliveries/retry", json!({ "ids": ids, "to": "other" }), 403),
        ("POST", "/dingding/send/message", json!({ "content": "x", "isAtAll": true }), 200),
        ("POST", "/api/v1/channels/terminal/test", json!({ "text": "x" }), 200),
        ("POST", "/api/v1/mutes", mute("terminal"), 200),
    ] {
        let (code, text) = ask(method, path, body).await;
        assert_eq!(code, status, "{method} {path}: {text}");
        assert!(!path.starts_with("/dingding") || text.contains("该凭据不允许使用通道 `other`"), "{text}");
    }
    let all = app.http.get(app.url("/api/v1/deliveries")).bearer_auth("teams-token-012345").send().await.unwrap();
    let all: serde_json::Value = all.json().await.unwrap();
    let elsewhere: Vec<_> = all["deliveries"].as_array().unwrap().iter().filter(|row| row["channel"] != "terminal").collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_bring_what_a_configuration_of_hashes_does_not_hold() {
    let cheap = argon2::Params::new(8, 1, 1, None).unwrap();
    let hash = watchfire::config::PasswordHash::create("correct horse", b"salt of the test", cheap).unwrap();
    let auth = format!("auth: [{{ basic: {{ username: ops, password: '{hash}' }} }}]");
    let app = TestApp::start(&format!("server: {{ listen: '127.0.0.1:0', {auth} }}\n{LOG}")).await;
    let (folder, listen) = (app.folder.path().to_owned(), app.app.address.to_string());
    let run = |user: Option<&str>| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(["queue", "ls", "--listen", &listen]).current_dir(&folder);
        if let Some(user) = user {
            command.env("WATCHFIRE_USER", user);
        }
        let out = command.output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
    };
    let (ok, text) = run(None);
    assert!(!ok && text.contains("WATCHFIRE_TOKEN") && text.contains("WATCHFIRE_USER"), "{text}");
    assert!(run(Some("ops:correct horse")).0);
    let (ok, text) = run(Some("ops:wrong horse"));
    assert!(!ok && text.contains("the user name or password is wrong") && !text.contains("wrong horse"), "{text}");
    // A mistake elsewhere in the file does not keep the operator from the server that runs.
    let file = folder.join("routes.yaml");
    let sound = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, sound.replace("to: [terminal]", "to: [nobody]")).unwrap();
    let (ok, text) = run(Some("ops:correct horse"));
    assert!(ok && text.contains("cannot be loaded here, see `watchfire check`; the running server is asked"), "{text}");
    std::fs::write(&file, sound).unwrap();
    // Who may open the store needs nothing else.
    app.app.stop(Duration::from_secs(5)).await;
    let (ok, text) = run(None);
    assert!(ok, "{text}");
}
