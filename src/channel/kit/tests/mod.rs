//! The kit against real sockets: what each failure of the way means, what is read of an answer, and that no secret shows.

mod replies;

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::test_server::{Answer, Literals, ScriptedServer, context};
use super::*;
use crate::channel::{BuildContext, Problem};
use crate::model::{ErrorKind, PlatformIds, Secret, SecretSource};

pub(super) fn client_with(proxy: Option<&str>, ca_file: Option<&std::path::Path>) -> Result<Http, Problem> {
    let clients = HttpClients::default();
    let proxy = proxy.map(Secret::new);
    http(
        &BuildContext { channel: "c", timeout: Duration::from_secs(10), proxy, secrets: &Literals, http: &clients, presets: &Default::default() },
        "slack",
        ca_file,
    )
}

pub(super) fn client() -> Http {
    client_with(None, None).unwrap()
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

async fn bound() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    (listener, base)
}

/// Reads until the request's body ("payload") has arrived.
async fn read_request(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"payload") {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "the client hung up early: {}", String::from_utf8_lossy(&seen));
    }
}

fn post(base: &str) -> Call {
    client().post(format!("{base}/hook/T0PSECRET")).secret(&Secret::new("T0PSECRET")).body("text/plain", "payload")
}

#[tokio::test]
async fn a_refused_connection_is_transient_and_names_the_host_only() {
    let (listener, base) = bound().await;
    drop(listener);
    let error = post(&base).query_secret("key", &Secret::new("Qu3ry")).send(soon()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient);
    assert_eq!(error.code.as_deref(), Some("connect"));
    assert!(error.summary.contains("127.0.0.1"), "{error}");
    assert!(error.summary.contains("refused"), "{error}");
    assert!(!format!("{error:?}").contains("hook") && !format!("{error:?}").contains("Qu3ry"), "{error:?}");
}

#[tokio::test]
async fn an_unknown_host_is_transient() {
    let error = client().post("http://nobody.invalid/x").body("text/plain", "payload").send(soon()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient);
    assert!(error.summary.contains("nobody.invalid"), "{error}");
}

#[tokio::test]
async fn silence_after_the_request_is_ambiguous_and_ends_at_the_deadline() {
    let (listener, base) = bound().await;
    let (told, heard) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        told.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    let call = tokio::spawn(post(&base).send(Instant::now() + Duration::from_secs(60)));
    heard.await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Ambiguous);
    assert!(error.summary.contains("may have been delivered"), "{error}");
}

#[tokio::test]
async fn a_deadline_before_the_connection_stands_is_transient() {
    // The address is reserved for documentation (RFC 5737): packets to it go nowhere. Where there is no route at all, it is refused at once.
    let error = client().post("http://192.0.2.1:9/x").body("text/plain", "payload").send(Instant::now()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient);
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_ambiguous_unless_idempotent() {
    for idempotent in [false, true] {
        let (listener, base) = bound().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            drop(stream);
        });
        let call = if idempotent { post(&base).idempotent() } else { post(&base) };
        let error = call.send(soon()).await.unwrap_err();
        assert_eq!(error.kind, if idempotent { ErrorKind::Transient } else { ErrorKind::Ambiguous }, "{error}");
    }
}

#[tokio::test]
async fn a_success_that_breaks_off_is_ambiguous_and_a_refusal_stands() {
    for (head, expected) in [("200 OK", Err(ErrorKind::Ambiguous)), ("503 Busy", Ok(503))] {
        let (listener, base) = bound().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            stream.write_all(format!("HTTP/1.1 {head}\r\ncontent-length: 100\r\n\r\n{{\"ok\":tr").as_bytes()).await.unwrap();
        });
        let result = post(&base).send(soon()).await;
        assert_eq!(result.as_ref().map(Reply::status).map_err(|error| error.kind), expected);
        assert!(result.map_or(true, |reply| reply.is_cut()));
    }
}

#[tokio::test]
async fn a_body_without_bytes_counts_as_written() {
    let (listener, base) = bound().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        drop(stream);
    });
    assert_eq!(client().post(base).send(soon()).await.unwrap_err().kind, ErrorKind::Ambiguous);
}

#[tokio::test]
async fn a_huge_answer_is_read_to_the_cap_and_no_success() {
    let server = ScriptedServer::start([Answer::new(200, "x".repeat(3 * MAX_BODY))]).await;
    let reply = post(&server.base).send(soon()).await.unwrap();
    assert_eq!(reply.body().len(), MAX_BODY);
    assert!(reply.is_cut());
    assert_eq!(reply.excerpt().chars().count(), MAX_EXCERPT + 1);
    assert_eq!(parse::<serde_json::Value>(&reply, context().now).unwrap_err().kind, ErrorKind::Ambiguous);
}

#[tokio::test]
async fn a_page_instead_of_json_is_no_success_and_redirects_are_not_followed() {
    let moved = Answer::new(302, "").header("location", "/elsewhere");
    let server = ScriptedServer::start(["<html>Please log in</html>".into(), moved]).await;
    let reply = post(&server.base).send(soon()).await.unwrap();
    let error = parse::<serde_json::Value>(&reply, context().now).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient);
    assert_eq!(error.detail.as_deref(), Some("<html>Please log in</html>"));
    let reply = post(&server.base).send(soon()).await.unwrap();
    assert_eq!(classify_status(&reply, context().now).unwrap().kind, ErrorKind::Misconfigured);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_request_is_as_it_was_asked_for() {
    let server = ScriptedServer::start(["ok".into(), "ok".into(), "ok".into()]).await;
    let body = serde_json::json!({ "text": "磁盘 \u{7f} 满" });
    let call = client().post_json(format!("{}/a?x=1", server.base), &body).query("sign", "a+/=").bearer(&Secret::new("tok-1")).header("x-own", "值");
    call.send(soon()).await.unwrap();
    client().post_form(format!("{}/f", server.base), &[("Body", "a b&c=值")]).send(soon()).await.unwrap();
    client().get(&server.base).basic("me", &Secret::new("pass")).send(soon()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].uri.to_string(), "/a?x=1&sign=a%2B%2F%3D");
    assert_eq!(seen[0].header("authorization"), "Bearer tok-1");
    assert_eq!(seen[0].header("content-type"), "application/json; charset=utf-8");
    assert_eq!(seen[0].header("user-agent"), concat!("Watchfire/", env!("CARGO_PKG_VERSION")));
    assert_eq!(seen[0].header("content-length"), seen[0].body.len().to_string());
    assert_eq!(seen[0].headers.get("x-own").unwrap().as_bytes(), "值".as_bytes());
    assert_eq!(seen[0].body, "{\"text\":\"磁盘 \u{7f} 满\"}".as_bytes());
    assert_eq!(seen[1].header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(seen[1].body, "Body=a+b%26c%3D%E5%80%BC".as_bytes());
    assert_eq!(seen[2].header("authorization"), "Basic bWU6cGFzcw==");
}

#[tokio::test]
async fn what_cannot_be_a_request_is_misconfigured_and_quotes_nothing() {
    for call in
        [client().post("http://h/").bearer(&Secret::new("tok\nen")), client().get("/no/host/S3CRET"), client().get("http://h/").header("a b", "c")]
    {
        let error = call.send(soon()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Misconfigured);
        assert!(!format!("{error:?}").contains("tok") || error.summary.contains("token for unwanted"), "{error:?}");
        assert!(!format!("{error:?}").contains("S3CRET"), "{error:?}");
    }
}

#[tokio::test]
async fn secrets_of_a_request_show_in_nothing_that_is_made_of_its_answer() {
    let echo = "{\"you\":\"sent tok-12345 and bWU6cGFzc3dvcmQ= and password\"}";
    let server = ScriptedServer::start([Answer::new(400, echo), Answer::new(400, echo)]).await;
    let http = client().with_secrets([Secret::new("tok-12345")]);
    let reply = http.post(&server.base).basic("me", &Secret::new("password")).send(soon()).await.unwrap();
    let error = classify_status(&reply, context().now).unwrap();
    let quoted = reply.error(ErrorKind::Rejected, "x", "it said tok-12345");
    let shown = format!("{reply:?} {error:?} {quoted:?} {:?} {http:?}", reply.receipt("0", PlatformIds::default()));
    for secret in ["tok-12345", "bWU6cGFzc3dvcmQ", "password"] {
        assert!(!shown.contains(secret), "{secret} shows in {shown}");
    }
    assert!(shown.contains("<secret>"));
}

#[tokio::test]
async fn a_certificate_counts_only_when_its_authority_is_known() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    install_crypto();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut seen = Vec::new();
            while !seen.ends_with(b"payload") {
                stream.read_buf(&mut seen).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    let error = client().post(&base).body("text/plain", "payload").send(soon()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Misconfigured);
    assert!(error.summary.contains("ca_file") && error.summary.contains("localhost"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    let trusting = client_with(None, Some(&file)).unwrap();
    assert_eq!(trusting.post(&base).body("text/plain", "payload").send(soon()).await.unwrap().text(), "ok");
}

#[tokio::test]
async fn a_proxy_takes_the_requests_and_its_password_does_not_show() {
    let server = ScriptedServer::start(["through".into(), Answer::new(407, "")]).await;
    let proxy = server.base.replace("http://", "http://me:Pr0xyPass@");
    let http = client_with(Some(&proxy), None).unwrap();
    let reply = http.post("http://example.invalid/x").body("text/plain", "payload").send(soon()).await.unwrap();
    assert_eq!(reply.text(), "through");
    assert_eq!(server.seen()[0].uri.to_string(), "http://example.invalid/x");
    let reply = http.post("http://example.invalid/x").body("text/plain", "payload").send(soon()).await.unwrap();
    assert_eq!(classify_status(&reply, context().now).unwrap().kind, ErrorKind::Misconfigured);

    let problem = client_with(Some("nonsense://me:Pr0xyPass@ h"), None).unwrap_err();
    assert_eq!(problem.path, "proxy");
    assert!(!format!("{problem:?}").contains("Pr0xyPass"));
}

#[test]
fn what_is_no_certificate_is_a_problem_at_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    assert_eq!(client_with(None, Some(&file)).unwrap_err().path, "slack.ca_file");
    std::fs::write(&file, "not pem").unwrap();
    assert!(client_with(None, Some(&file)).unwrap_err().message.contains("no certificate"));
}

#[test]
fn clients_and_token_caches_are_shared_while_they_are_used() {
    let clients = HttpClients::default();
    let presets = crate::channel::preset::PresetRegistry::default();
    let cx = |proxy: Option<&str>| BuildContext {
        presets: &presets,
        channel: "c",
        timeout: Duration::from_secs(10),
        proxy: proxy.map(Secret::new),
        secrets: &Literals,
        http: &clients,
    };
    let (a, b, c) = (http(&cx(None), "a", None), http(&cx(None), "b", None), http(&cx(Some("http://p:1")), "c", None));
    assert_eq!(clients.held(), 2);
    drop((a, b, c));
    let _d = http(&cx(Some("http://p:2")), "d", None).unwrap();
    assert_eq!(clients.held(), 1);

    let one = clients.tokens("wecom", &["corp", "secret"]);
    assert!(std::sync::Arc::ptr_eq(&one, &clients.tokens("wecom", &["corp", "secret"])));
    assert!(!std::sync::Arc::ptr_eq(&one, &clients.tokens("wecom", &["corps", "ecret"])));
    let number = clients.shared("bot", &["token"], || 1_u8);
    assert_eq!((*clients.shared("bot", &["token"], || 2_u8), *clients.shared("bot", &["other"], || 2_u8)), (1, 2));
    drop(number);
    assert_eq!(*clients.shared("bot", &["token"], || 3_u8), 3, "nobody keeps it");
}

/// To build one reads every certificate of the system: a configuration with thousands of channels must not, where nothing is sent.
#[test]
fn a_client_is_built_when_it_is_first_used() {
    let clients = HttpClients::default();
    let presets = crate::channel::preset::PresetRegistry::default();
    let begun = std::time::Instant::now();
    let made: Vec<Http> = (0..2000)
        .map(|n| {
            let proxy = Some(Secret::new(format!("http://p{n}:1")));
            let cx = BuildContext { presets: &presets, channel: "c", timeout: Duration::from_secs(10), proxy, secrets: &Literals, http: &clients };
            http(&cx, "a", None).unwrap()
        })
        .collect();
    assert_eq!((clients.held(), clients.built()), (2000, 0));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop(made);
}

#[test]
fn configuration_checks_say_where_and_what() {
    assert_eq!(check_secret("slack.token", &SecretSource::Invalid("it is empty")).unwrap().message, "it is empty");
    assert_eq!(check_secret("slack.token", &SecretSource::Literal(Secret::new(" "))).unwrap().path, "slack.token");
    assert_eq!(check_secret("slack.token", &SecretSource::Env("TOKEN".into())), None);
    for bad in ["slack.com", "ftp://h", "https://", "https://h/?a=b", "https://u:p@h/", "https://h/#x", ""] {
        assert!(check_base("slack.api_base", bad).is_some(), "{bad}");
    }
    for good in ["https://slack.com", "http://127.0.0.1:80/prefix/"] {
        assert_eq!(check_base("slack.api_base", good), None);
    }
    assert_eq!(join("http://h/p/", "/api/x"), "http://h/p/api/x");
    let clients = HttpClients::default();
    let cx = BuildContext { channel: "c", timeout: Duration::ZERO, proxy: None, secrets: &Literals, http: &clients, presets: &Default::default() };
    assert_eq!(read_secret(&cx, "p", &SecretSource::Literal(Secret::new(" tok\n"))).unwrap(), Secret::new("tok"));
    let problem = read_secret(&cx, "p", &SecretSource::Env("TOKEN".into())).unwrap_err();
    assert_eq!((problem.path.as_str(), problem.message.as_str()), ("p", "env:TOKEN is not set"));
}

#[test]
fn texts_are_cut_on_characters() {
    assert_eq!(cut_units("磁盘告警", 3), "磁盘…");
    assert_eq!(cut_units("a🔥b", 3), "a…");
    assert_eq!(cut_units("磁盘", 2), "磁盘");
    assert_eq!([cut_units("DiskFull · db-1", 11), cut_units("DiskFull · db-1", 14)], ["DiskFull…", "DiskFull · db…"]);
    assert_eq!(cut_bytes("磁盘告警", 8), "磁…");
    assert_eq!(cut_bytes("磁盘", 2), "");
    assert_eq!(units("a🔥磁"), 4);
}

#[test]
fn texts_are_split_at_lines_and_never_inside_markup() {
    assert_eq!(split_units("one\ntwo\nthree", 8), ["one\ntwo", "three"]);
    assert_eq!(split_units("\n\none\n\n", 8), ["one\n\n"]);
    assert_eq!(split_units("ab&amp;cd<http://x|y>ef", 12), ["ab&amp;cd", "<http://x|y>", "ef"]);
    assert!(split_units(" \n ", 8).is_empty());
}

proptest! {
    #[test]
    fn split_keeps_all_and_stays_within_the_limit(text in "([a-z&;<>|\n ]|🔥|磁|&amp;|<u\\|l>){0,200}", max in 8usize..60) {
        let parts = split_units(&text, max);
        let inked = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        prop_assert_eq!(inked(&parts.concat()), inked(&text));
        for part in &parts {
            prop_assert!(units(part) <= max, "{} > {max}: {part:?}", units(part));
            prop_assert!(!part.trim().is_empty());
        }
    }

    #[test]
    fn cuts_stay_within_their_limits(text in "\\PC{0,60}", max in 0usize..40) {
        prop_assert!(units(&cut_units(&text, max)) <= max);
        prop_assert!(cut_bytes(&text, max).len() <= max);
    }
}
