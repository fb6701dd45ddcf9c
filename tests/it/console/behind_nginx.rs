//! The console behind a real nginx with the book's own lines, where a fake oauth2-proxy or Authelia says who somebody is.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;

use super::{ROOT, routes};
use crate::crash::free_port;
use crate::support::app::{SOON, TestApp, alert};
use crate::support::skip::skip;

/// What oauth2-proxy answers: 202 with the person of the cookie, or 401 (<https://oauth2-proxy.github.io/oauth2-proxy/features/endpoints>). A body that
/// is announced and does not come keeps it waiting, as it would a real one.
async fn oauth2_proxy() -> (u16, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let auth = async move |headers: HeaderMap, _body: Bytes| {
        counted.fetch_add(1, Ordering::SeqCst);
        let cookie = headers.get(header::COOKIE).and_then(|cookie| cookie.to_str().ok()).unwrap_or_default();
        if cookie.contains("_oauth2_proxy=of-ann") {
            (StatusCode::ACCEPTED, [("x-auth-request-email", "ann@example.com")]).into_response()
        } else {
            StatusCode::UNAUTHORIZED.into_response()
        }
    };
    let app = axum::Router::new()
        .route("/oauth2/auth", get(auth.clone()).post(auth))
        .route("/oauth2/sign_in", get(async || (StatusCode::FORBIDDEN, "Sign in with your company's account")));
    (served(app).await, asked)
}

/// What Authelia answers: 200 with the person of the cookie, or 401 (<https://www.authelia.com/integration/proxies/nginx/>).
async fn authelia() -> u16 {
    let auth = async move |headers: HeaderMap| {
        let cookie = headers.get(header::COOKIE).and_then(|cookie| cookie.to_str().ok()).unwrap_or_default();
        if cookie.contains("authelia_session=of-ann") {
            [("remote-user", "ann.lee"), ("remote-groups", "ops"), ("remote-email", "ann@example.com")].into_response()
        } else {
            StatusCode::UNAUTHORIZED.into_response()
        }
    };
    served(axum::Router::new().route("/api/authz/auth-request", get(auth))).await
}

/// Serves this on a port.
async fn served(app: axum::Router) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

struct Nginx {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// nginx with the first `nginx` block of the cookbook, its two addresses and what else is named replaced; nothing where it is not installed.
async fn nginx(watchfire: u16, login: u16, replaced: &[(&str, &str)]) -> Option<Nginx> {
    let book = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cookbook.md")).unwrap();
    let lines = book.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
    let lines = lines.replace("127.0.0.1:9091", &format!("127.0.0.1:{watchfire}")).replace("127.0.0.1:4180", &format!("127.0.0.1:{login}"));
    let lines = replaced.iter().fold(lines, |lines, &(old, new)| {
        assert!(lines.contains(old), "the book has no {old}");
        lines.replace(old, new)
    });
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().map(|kind| format!("{kind}_temp_path {kind};\n")).collect();
    let conf = format!(
        "daemon off; master_process off; pid nginx.pid; error_log error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\
         server {{ listen 127.0.0.1:{port}; server_name alerts.example.com;\n{lines}\n}}\n}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), conf).unwrap();
    let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| std::path::Path::new(path).exists())?;
    let mut command = Command::new(program);
    command.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c", "nginx.conf"]).stdout(Stdio::null()).stderr(Stdio::null());
    let nginx = Nginx { process: command.spawn().unwrap(), url: format!("http://127.0.0.1:{port}"), _folder: folder };
    let until = tokio::time::Instant::now() + SOON;
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(tokio::time::Instant::now() < until, "nginx does not listen: the book's lines are wrong");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Some(nginx)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_through_nginx_by_name_and_programs_by_their_credentials() {
    let auth = format!(
        "  external_url: https://alerts.example.com\n  trusted_proxies: [127.0.0.1]\n  auth:\n    - {{ bearer: {ROOT}, name: alertmanager, scopes: [webhook] }}\n    \
         - {{ proxy: {{ header: X-Forwarded-User, from: [127.0.0.1] }}, name: people, scopes: [read, operate] }}\n"
    );
    let app = TestApp::start(&routes(&auth)).await;
    let (oauth2, asked) = oauth2_proxy().await;
    let Some(nginx) = nginx(app.app.address.port(), oauth2, &[]).await else { return skip("nginx") };
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let with = |request: reqwest::RequestBuilder| request.header("host", "alerts.example.com").timeout(SOON);
    let get = |path: &str| with(http.get(format!("{}{path}", nginx.url)));
    let post = |path: &str| with(http.post(format!("{}{path}", nginx.url)));
    let ann = |request: reqwest::RequestBuilder| request.header("cookie", "_oauth2_proxy=of-ann").header("sec-fetch-site", "same-origin");
    let text = async |request: reqwest::RequestBuilder| request.send().await.unwrap().text().await.unwrap();

    // An alert that is larger than what nginx takes by default.
    let mut body = alert("a", "First", "firing");
    body["alerts"][0]["annotations"]["description"] = "x".repeat(2 << 20).into();
    assert_eq!(post("/webhook").bearer_auth(ROOT).json(&body).send().await.unwrap().status(), 200);
    let forged = post("/webhook").header("x-forwarded-user", "ann@example.com").json(&body).send().await.unwrap();
    assert_eq!((forged.status(), asked.load(Ordering::SeqCst)), (StatusCode::UNAUTHORIZED, 0), "programs are not sent to a login");
    for inside in ["/metrics", "/metrics/", "//metrics", "/-/ready"] {
        assert_eq!(get(inside).send().await.unwrap().status(), StatusCode::FORBIDDEN, "{inside}");
    }

    // Nobody gets in under a name that no login gave, whichever way the path is written.
    for path in ["/ui", "/ui/channels", "//ui/channels", "/%75i", "/x/../ui/history", "/./ui", "/ui/"] {
        let answer = text(get(path).header("x-forwarded-user", "eve@example.com")).await;
        assert!(answer.contains("Sign in with your company") && !answer.contains("eve@"), "{path}: {answer}");
    }
    let page = text(ann(get("/ui")).header("x-forwarded-user", "eve@example.com")).await;
    assert!(page.contains("ann@example.com") && page.contains("First") && !page.contains("eve@"), "{page}");

    // Live: what happens is there before any buffer is full.
    let mut live = ann(get("/ui/live?from=9999999999999")).send().await.unwrap();
    assert_eq!(live.status(), 200);
    let first = tokio::time::timeout(Duration::from_secs(5), live.chunk()).await.expect("nginx keeps nothing back").unwrap().unwrap();
    assert!(first.starts_with(b"retry: ") || first.starts_with(b":"), "{first:?}");

    // A form; the question to the login carries no body that never comes.
    let acked = ann(post("/ui/incidents/1/ack")).form(&json!({ "page": "/ui" })).send().await.unwrap();
    assert_eq!(acked.status(), StatusCode::SEE_OTHER);
    let audit = app.http.get(app.url("/ui/audit")).header("x-forwarded-user", "ann@example.com").send().await.unwrap().text().await.unwrap();
    assert!(audit.contains("ann@example.com") && audit.contains("ack"), "{audit}");
    let foreign = post("/ui/incidents/1/unack").header("cookie", "_oauth2_proxy=of-ann").header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_of_authelia_names_a_person_through_nginx() {
    let auth = format!(
        "  external_url: https://alerts.example.com\n  trusted_proxies: [127.0.0.1]\n  auth:\n    - {{ bearer: {ROOT}, name: root }}\n    \
         - {{ proxy: {{ header: Remote-User, from: [127.0.0.1] }}, name: people, scopes: [read, operate] }}\n"
    );
    let app = TestApp::start(&routes(&auth)).await;
    let login = authelia().await;
    let replaced = [
        ("/oauth2/auth", "/api/authz/auth-request"),
        ("401 = /oauth2/sign_in", "401 =302 https://auth.example.com/"),
        ("$upstream_http_x_auth_request_email", "$upstream_http_remote_user"),
        ("X-Forwarded-User", "Remote-User"),
    ];
    let Some(nginx) = nginx(app.app.address.port(), login, &replaced).await else { return skip("nginx") };
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let get = |cookie: &str| {
        let request = http.get(format!("{}/ui", nginx.url)).header("host", "alerts.example.com").header("cookie", cookie);
        request.header("remote-user", "eve@example.com").timeout(SOON).send()
    };
    let nobody = get("authelia_session=of-eve").await.unwrap();
    assert_eq!((nobody.status(), nobody.headers()["location"].to_str().unwrap()), (StatusCode::FOUND, "https://auth.example.com/"));
    let ann = get("authelia_session=of-ann").await.unwrap();
    assert_eq!(ann.status(), StatusCode::OK);
    let page = ann.text().await.unwrap();
    assert!(page.contains("ann.lee") && !page.contains("eve@"), "{page}");
}
