//! Webhook: signature vector, bodies, addresses that are refused, what answers mean, and what never shows.

use std::time::Duration;

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page};
use crate::model::ErrorKind::{Misconfigured, RateLimited, Rejected, Transient};

const CONFIG: &str = "{ url: 'BASE/hook?key=url-S3CRET', headers: { x-token: head-S3CRET }, signing_secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw], allow_networks: [127.0.0.1] }";

fn hook() -> [Recipient; 1] {
    [Recipient::new("@webhook")]
}

#[test]
fn the_signature_matches_the_specifications_vector() {
    let key = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert_eq!(
        sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[tokio::test]
async fn the_payload_goes_out_signed_with_title_and_text_besides() {
    let server = ScriptedServer::start([Scripted::from("ok"), Scripted::new(204, "")]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let mut page = page(&[("title", "Disk"), ("text", "Disk is full\n")]);
    page.facts.payload = crate::model::Payload::of(&serde_json::json!({ "version": "4", "alerts": [{ "status": "firing" }] }));
    assert_eq!(kinds(&built.channel.send(&page, &hook(), &context()).await), [Ok(None)]);
    let templated =
        build::<Config>("{ url: BASE, body: template, method: PUT, content_type: text/plain, allow_networks: [127.0.0.0/8] }", &server.base).unwrap();
    assert_eq!(kinds(&templated.channel.send(&page, &hook(), &context()).await), [Ok(None)]);
    let seen = server.seen();
    let head = |name| seen[0].header(name);
    assert_eq!(seen[0].json(), serde_json::json!({ "version": "4", "alerts": [{ "status": "firing" }], "title": "Disk", "text": "Disk is full" }));
    assert_eq!((head("webhook-id"), head("webhook-timestamp"), head("x-token")), ("msg_0123456789abcdef", "1700000000", "head-S3CRET"));
    assert_eq!(
        head("webhook-signature"),
        sign(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "msg_0123456789abcdef", "1700000000", &seen[0].body)
    );
    assert_eq!((seen[1].method.as_str(), seen[1].header("content-type"), &seen[1].body[..]), ("PUT", "text/plain", &b"Disk is full"[..]));
}

#[tokio::test]
async fn a_user_name_and_a_password_log_in() {
    let server = ScriptedServer::start([Scripted::from("ok")]).await;
    let built = build::<Config>("{ url: BASE, basic: { username: bot, password: pass-S3CRET }, allow_networks: [127.0.0.1] }", &server.base).unwrap();
    assert_eq!(kinds(&built.channel.send(&page(&[("text", "x")]), &hook(), &context()).await), [Ok(None)]);
    assert_eq!(server.seen()[0].header("authorization"), format!("Basic {}", STANDARD.encode("bot:pass-S3CRET")));
    let both = "{ url: 'https://x.example', bearer: token-S3CRET, basic: { username: bot, password: pass-S3CRET } }";
    let problems = serde_yaml::from_str::<Config>(both).unwrap().check();
    assert!(problems[0].path == "webhook.basic" && problems[0].message.contains("one authorization"), "{problems:?}");
}

#[tokio::test]
async fn internal_addresses_are_refused_by_number_and_by_name() {
    for url in ["http://127.0.0.1/x", "http://169.254.169.254/latest", "http://[::1]/", "http://[::ffff:10.0.0.1]/", "http://2130706433/"] {
        let problems = build::<Config>(&format!("{{ url: '{url}' }}"), "").err().unwrap_or_else(|| panic!("{url} is taken"));
        assert!(problems[0].path == "webhook.url" && problems[0].help.contains("allow_networks"), "{url}: {problems:?}");
    }
    let server = ScriptedServer::start([Scripted::from("ok")]).await;
    let port = server.base.rsplit(':').next().unwrap().to_owned();
    let by_name = build::<Config>(&format!("{{ url: 'http://localhost:{port}/' }}"), "").unwrap();
    let results = by_name.channel.send(&page(&[("text", "x")]), &hook(), &context()).await;
    let error = results[0].1.as_ref().unwrap_err();
    assert!(
        error.summary.contains("is not called: localhost leads to ")
            && error.summary.contains("which is a loopback address")
            && error.summary.contains("allow_networks"),
        "{error}"
    );
    assert!(error.kind == Misconfigured && server.seen().is_empty(), "{error}");
    let allowed = build::<Config>(&format!("{{ url: 'http://localhost:{port}/', allow_networks: [localhost] }}"), "").unwrap();
    assert_eq!(kinds(&allowed.channel.send(&page(&[("text", "x")]), &hook(), &context()).await), [Ok(None)]);
}

#[tokio::test]
async fn answers_mean_what_their_status_says_and_nothing_is_followed() {
    let rows = [
        (Scripted::new(302, "").header("location", "http://127.0.0.1/"), Misconfigured, "HTTP 302"),
        (Scripted::new(400, "no"), Rejected, "HTTP 400"),
        (Scripted::new(401, "no"), Misconfigured, "HTTP 401"),
        (Scripted::new(410, "no"), Misconfigured, "HTTP 410"),
        (Scripted::new(429, "").header("retry-after", "4"), RateLimited { retry_after: Some(Duration::from_secs(4)) }, "HTTP 429"),
        (Scripted::new(500, "no"), Transient, "HTTP 500"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    for (answer, kind, code) in &rows {
        let results = built.channel.send(&page(&[("text", "x")]), &hook(), &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
    assert_eq!(server.seen().len(), rows.len());
}

#[test]
fn mistakes_are_found() {
    let check = |yaml: &str| serde_yaml::from_str::<Config>(yaml).unwrap().check().into_iter().map(|p| p.path).collect::<Vec<_>>();
    assert_eq!(check("{ url: a, headers: { 'x y': b }, allow_networks: [10.0.0.0/99] }"), ["webhook.allow_networks", "webhook.headers.x y"]);
    let problems = build::<Config>("{ url: 'https://h.example', signing_secrets: ['whsec_S3CRET!'] }", "").err().unwrap();
    assert!(problems[0].path == "webhook.signing_secrets[0]" && !format!("{problems:?}").contains("S3CRET"), "{problems:?}");
}
