//! A scripted HTTP server for drivers' tests, and the contexts that `build` and `send` take. It returns the scripted answers in turn
//! and records the requests; it knows no platform (faithful fakes live with the integration tests).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, Uri};
use tokio::time::Instant;

use super::HttpClients;
use crate::channel::{BuildContext, Built, CellResult, PlatformConfig, Problem, SecretReader, SendContext};
use crate::model::{
    ErrorKind, Facts, IncidentFacts, Link, LinkKind, Mentions, MessageId, Page, Receipt, Secret, SecretSource, SendError, Severity, UnixMs,
};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the request's body is JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let url = reqwest::Url::parse(&format!("http://h{}", self.uri)).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// One scripted answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<&str> for Answer {
    fn from(body: &str) -> Self {
        Answer::new(200, body)
    }
}

/// The server. It stops with the test's runtime.
pub struct ScriptedServer {
    pub base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl ScriptedServer {
    /// Answers the requests in turn; a request beyond the script gets a 500 that says so.
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script: Arc<Mutex<VecDeque<Answer>>> = Arc::new(Mutex::new(answers.into_iter().collect()));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = seen.clone();
        let app = Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            log.lock().unwrap().push(Seen { method, uri, headers, body });
            let answer = script.lock().unwrap().pop_front().unwrap_or_else(|| Answer::new(500, "the script has ended"));
            async move {
                let mut response = Response::builder().status(answer.status);
                // Its clock is that of `context`.
                if !answer.headers.iter().any(|(name, _)| *name == "date") {
                    response = response.header("date", "Tue, 14 Nov 2023 22:13:20 GMT");
                }
                for (name, value) in answer.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(answer.body)).unwrap()
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base, seen }
    }

    /// What was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Reads literals; names what it cannot read.
pub struct Literals;

impl SecretReader for Literals {
    fn read(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::Literal(secret) => Ok(secret.clone()),
            other => Err(format!("{other:?} is not set")),
        }
    }
}

/// Builds a driver from YAML, with `BASE` in it replaced by a server's address.
pub fn build<C: PlatformConfig + serde::de::DeserializeOwned>(yaml: &str, base: &str) -> Result<Built, Vec<Problem>> {
    let config: C = serde_yaml::from_str(&yaml.replace("BASE", base)).expect("the test's configuration");
    assert_eq!(config.check(), [], "the test's configuration is in order");
    let clients = HttpClients::default();
    config.build(&BuildContext {
        channel: "test",
        timeout: Duration::from_secs(10),
        proxy: None,
        secrets: &Literals,
        http: &clients,
        presets: &Default::default(),
    })
}

/// An attempt at a fixed time with ten seconds to go.
pub fn context() -> SendContext {
    SendContext {
        now: "2023-11-14T22:13:20Z".parse().unwrap(),
        deadline: Instant::now() + Duration::from_secs(10),
        message: MessageId::new(),
        attempt: 1,
        unanswered: false,
        idempotency_key: "0123456789abcdef".into(),
        traceparent: String::new(),
        direct: false,
        callback: String::new(),
        press: String::new(),
        reply_to: None,
        own: Default::default(),
    }
}

/// A page of these fields.
pub fn page(fields: &[(&str, &str)]) -> Page {
    let fields = fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Page { fields, number: 1, total: 1, ..Page::default() }
}

/// A page with everything on it: markup in the facts, pairs, links, all kinds of mentions.
pub fn rich(fields: &[(&str, &str)]) -> Page {
    let link = |kind, label: &str, url: &str| Link { kind, label: label.into(), url: url.into() };
    let mut page = page(fields);
    page.facts = Facts {
        severity: Some(Severity::Critical),
        title: "[FIRING:2] Disk <full> & *hot* on db-1".into(),
        pairs: vec![("instance".into(), "db-1:9100".into()), ("path".into(), "/var/lib/<x> & `y` z`".into())],
        links: vec![
            link(LinkKind::Runbook, "Runbook", "https://wiki.example.com/disk?a=1&b=2"),
            link(LinkKind::Silence, "Silence", "https://am.example.com/#/silences/new"),
        ],
        mentions: Mentions {
            all: true,
            mobiles: vec!["13800000000".into()],
            users: vec!["U012AB".into()],
            groups: vec!["S034CD".into()],
            ..Mentions::default()
        },
        thread: "group-1".into(),
        incident: IncidentFacts { key: "group-1".into(), ..IncidentFacts::default() },
        formed_at: UnixMs(1_700_000_000_000),
        ..Facts::default()
    };
    page
}

/// What a test compares of one result: the platform's ids with their names, or the kind and code.
pub type Kind = Result<Option<String>, (ErrorKind, Option<String>)>;

/// The kinds and waits of an attempt's results, for tables of recorded answers.
pub fn kinds(results: &[CellResult]) -> Vec<Kind> {
    let of = |result: &Result<Receipt, SendError>| match result {
        Ok(receipt) => {
            Ok(Some(receipt.ids.iter().map(|(name, id)| format!("{name} {id}")).collect::<Vec<_>>().join(", ")).filter(|ids| !ids.is_empty()))
        }
        Err(error) => Err((error.kind, error.code.clone())),
    };
    results.iter().map(|(_, result)| of(result)).collect()
}
