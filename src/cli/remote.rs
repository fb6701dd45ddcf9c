//! The API as commands use it: the running server's, or, when none runs, the same handlers over the store opened here.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use axum::body::Body;
use axum::http::{Method, Request, header};
use base64::Engine as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt;

use super::contexts::{self, Context as ServerContext};
use super::{Common, ExitStatus, block_on, load};
use crate::api::Problem;
use crate::config::{self, Admission, CredentialKind, LoadOptions, Loaded, Password, ServerSettings, StoreSettings};
use crate::delivery::{Clock, Engine, EngineOptions, EngineParts};
use crate::http::auth::{Auth, Credential};
use crate::http::{self, Scope};
use crate::metrics::Metrics;
use crate::model::unreadable;
use crate::store::Store;

/// Where packages and the documents have the configuration of a server.
const PACKAGED: &str = "/etc/watchfire/routes.yaml";
/// A bearer token for the API, over what the configuration holds.
const TOKEN: &str = "WATCHFIRE_TOKEN";
/// A user name and password for it.
const USER: &str = "WATCHFIRE_USER";

/// A way to the API.
pub enum Remote {
    /// A server runs.
    Server { base: String, authorization: Option<String>, client: reqwest::Client },
    /// None runs: the store is opened here.
    Local { router: axum::Router, store: Arc<dyn Store> },
}

/// Asks the API, and prints what came of it on a line of its own.
pub(super) fn print_answer(common: &Common, ask: impl AsyncFnOnce(&Remote) -> Result<String>) -> Result<ExitStatus> {
    block_on(async {
        let remote = Remote::open(common).await?;
        let answer = ask(&remote).await;
        remote.close().await;
        anstream::println!("{}", answer?);
        Ok(ExitStatus::Success)
    })?
}

impl Remote {
    /// The server that `--server` or a context names; else finds the running server of this configuration, else opens its store.
    pub async fn open(common: &Common) -> Result<Self> {
        if let Some(context) = contexts::chosen(common)? {
            return Self::elsewhere(&context);
        }
        let loaded = match load(common, true) {
            Ok(loaded) => loaded,
            // A server may well run by what was there before the mistake.
            Err(error) => {
                if matches!(common.config.try_exists(), Ok(false)) {
                    let packaged = if Path::new(PACKAGED).exists() { format!(" ({PACKAGED} is there)") } else { String::new() };
                    bail!(
                        "{} cannot be read: it does not exist; name the configuration of a server here with --config FILE{packaged}, or a server elsewhere \
                         with --server URL or `watchfire context add`",
                        common.config.display()
                    );
                }
                let options = LoadOptions { listen: common.listen.clone(), ..LoadOptions::default() };
                let Some(server) = config::server(&common.config, &options) else { return Err(error) };
                let Ok(remote) = Self::running(&server).await? else { return Err(error) };
                anstream::eprintln!("{} cannot be loaded here, see `watchfire check`; the running server is asked", common.config.display());
                return Ok(remote);
            }
        };
        let why = match Self::running(&loaded.server).await? {
            Ok(remote) => return Ok(remote),
            Err(why) => why,
        };
        if let StoreSettings::Sqlite(path) = &loaded.store {
            let place = path.display();
            let is_there = path.try_exists().map_err(|error| anyhow!("{why}, and its store {place} {}; ask as its user", unreadable(&error)))?;
            anyhow::ensure!(is_there, "{why}, and there is no store at {place}; start a server with `watchfire serve`");
        }
        let store = crate::app::open_store(&loaded.store, None).await.map_err(|error| match error.to_string().contains("is in use by") {
            true => anyhow!(
                "{why}, but a server has the store open: {}. It listens elsewhere: name its address with --listen HOST:PORT or WATCHFIRE_LISTEN",
                error.to_string().split(';').next().unwrap_or_default()
            ),
            false => error,
        })?;
        if let Some(found) = store.damage_report() {
            anstream::eprintln!("{found}");
        }
        Ok(Self::local(loaded, store))
    }

    /// A server on another machine: its certificate counts, and the environment's proxies. A token of the environment goes only to one without a file:
    /// it may be another server's.
    fn elsewhere(context: &ServerContext) -> Result<Self> {
        let authorization = match context.token()? {
            Some(token) => Some(format!("Bearer {token}")),
            None => by_hand()?,
        };
        if authorization.is_some() {
            contexts::warn_in_the_clear(&context.server);
        }
        let client = reqwest::Client::builder()
            .user_agent(http::audit::COMMAND_LINE)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self::Server { base: context.server.clone(), authorization, client })
    }

    /// The server that runs by this configuration; the inner error says why there is none.
    pub async fn running(settings: &ServerSettings) -> Result<std::result::Result<Self, String>> {
        let authorization = by_hand()?.or_else(|| authorization(&Auth::new(settings).credentials));
        let server = Server::of(settings)?;
        Ok(match server.detect().await {
            Found::Watchfire => Ok(Self::Server { base: server.base, authorization, client: server.client }),
            Found::Other(why) | Found::NotRunning(why) => Err(why),
        })
    }

    fn local(mut loaded: Loaded, store: Arc<dyn Store>) -> Self {
        // Who may open the store needs no further credential for what is in it.
        loaded.server.auth = Admission::Open;
        let settings = http::HttpSettings::new(&loaded.server, loaded.inputs.clone());
        let (engine, _alarms) = Engine::new(EngineParts {
            store: store.clone(),
            plan: Arc::new(loaded.plan),
            clock: Clock::system(),
            metrics: Arc::new(Metrics::new()),
            node: "cli",
            options: EngineOptions::default(),
        });
        let reload: http::ReloadFn = Arc::new(|| Box::pin(async { Err("no server runs".to_owned()) }));
        let router = http::router(Arc::new(http::App::new(Arc::new(engine), settings, reload)));
        Self::Local { router, store }
    }

    /// Whether a server runs.
    pub fn is_server(&self) -> bool {
        matches!(self, Self::Server { .. })
    }

    /// Gets a resource that may not exist.
    pub async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let (status, bytes) = self.request(Method::GET, path, String::new()).await?;
        if status == 404 { Ok(None) } else { parse(status, &bytes).map(Some) }
    }

    /// Gets a resource. An answer that is not 2xx is an error in the API's own words; so it is for the calls below.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let (status, bytes) = self.request(Method::GET, path, String::new()).await?;
        parse(status, &bytes)
    }

    /// Gets a resource that was there before. The inner error may pass: no answer, or HTTP 5xx.
    pub async fn get_again<T: DeserializeOwned>(&self, path: &str) -> Result<Result<T>> {
        match self.request(Method::GET, path, String::new()).await {
            Ok((status, bytes)) if status >= 500 => Ok(parse(status, &bytes)),
            Ok((status, bytes)) => parse(status, &bytes).map(Ok),
            Err(error) if error.downcast_ref::<Unanswered>().is_some() => Ok(Err(error)),
            Err(error) => Err(error),
        }
    }

    /// Posts a request.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        let (status, bytes) = self.request(Method::POST, path, serde_json::to_string(body)?).await?;
        parse(status, &bytes)
    }

    /// Deletes a resource.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let (status, bytes) = self.request(Method::DELETE, path, String::new()).await?;
        parse(status, &bytes)
    }

    /// Asks for a text: the status, and what was answered.
    pub async fn text(&self, method: Method, path: &str) -> Result<(u16, String)> {
        let (status, bytes) = self.request(method, path, String::new()).await?;
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }

    async fn request(&self, method: Method, path: &str, text: String) -> Result<(u16, Vec<u8>)> {
        let (status, bytes) = match self {
            Self::Server { base, authorization, client } => {
                let mut request = client.request(method, format!("{base}{path}")).header(header::CONTENT_TYPE, "application/json").body(text);
                if let Some(value) = authorization {
                    request = request.header(header::AUTHORIZATION, value);
                }
                let unanswered = |error: reqwest::Error| Unanswered(base.clone(), why_unanswered(base, &error));
                let response = request.send().await.map_err(unanswered)?;
                (response.status().as_u16(), response.bytes().await.map_err(unanswered)?.to_vec())
            }
            Self::Local { router, .. } => {
                let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
                let request = request.header(header::USER_AGENT, http::audit::COMMAND_LINE);
                let response = router.clone().oneshot(request.body(Body::from(text))?).await.map_err(|e| anyhow!("{e}"))?;
                let status = response.status().as_u16();
                (status, axum::body::to_bytes(response.into_body(), 64 << 20).await?.to_vec())
            }
        };
        // No answer of the API is a page: this is another web server, or a proxy that asks for a login.
        if let Self::Server { base, .. } = self
            && bytes.trim_ascii_start().starts_with(b"<")
            && !(300..400).contains(&status)
        {
            if status >= 500 {
                return Err(Unanswered(base.clone(), format!("a proxy before it says HTTP {status}")).into());
            }
            bail!(
                "what answers at {base} is not Watchfire, but a web page (HTTP {status}): name the server's own address, without a login page before it"
            );
        }
        if status == 401
            && let Self::Server { base, authorization: None, .. } = self
        {
            bail!(
                "the server at {base} asks for credentials, and there are none that a command can use for the API (hashes and signatures in routes.yaml \
                 go one way only); name a file with a bearer token as --token-file, or set {TOKEN} to a token or {USER} to NAME:PASSWORD"
            );
        }
        Ok((status, bytes))
    }

    /// Lets go of the store, when it was opened here.
    pub async fn close(self) {
        if let Self::Local { store, .. } = self {
            store.close().await;
        }
    }
}

/// A server gave no answer, or not all of it: its address, and why.
#[derive(Debug, thiserror::Error)]
#[error("the server at {0} did not answer: {1}")]
struct Unanswered(String, String);

/// Why, without the causes that only repeat it.
fn why_unanswered(base: &str, error: &reqwest::Error) -> String {
    if error.is_timeout() && error.is_connect() {
        return "no connection within 10 s; is the address right, and does a firewall let it through?".to_owned();
    }
    if error.is_timeout() {
        return "it takes connections, and is silent".to_owned();
    }
    if is_refused(error) {
        return "nothing listens there".to_owned();
    }
    let mut root: &(dyn std::error::Error + 'static) = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    match root.to_string() {
        why if base.starts_with("https:") && why.contains("InvalidContentType") => {
            "it speaks plain HTTP there; write its address with http://".to_owned()
        }
        why => why,
    }
}

/// Whether nothing listens at the address.
fn is_refused(error: &reqwest::Error) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if cause.downcast_ref().is_some_and(refused) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// The answer as its type, or the reason of a refusal: a problem's detail, else the text as it is.
fn parse<T: DeserializeOwned>(status: u16, bytes: &[u8]) -> Result<T> {
    if !(200..300).contains(&status) {
        let text = String::from_utf8_lossy(bytes);
        let detail = serde_json::from_slice::<Problem>(bytes).map(|problem| problem.detail);
        let reason = detail.unwrap_or_else(|_| text.trim().to_owned());
        if (300..400).contains(&status) {
            bail!("it answers with another address (HTTP {status}): name the server's own, without a login page before it");
        }
        if status == 404 && text.starts_with("no such path") {
            bail!("the server does not know this command: it is of another version, or the address has another path (HTTP 404)");
        }
        bail!("{} (HTTP {status})", if reason.is_empty() { "no reason given" } else { &reason });
    }
    serde_json::from_slice(bytes).context("the server's answer is not understood; use the `watchfire` of its version")
}

/// Where the server of a configuration would answer, on this machine.
pub struct Server {
    /// Scheme, address and port.
    pub base: String,
    /// A client for it.
    pub client: reqwest::Client,
}

/// What answers where the server would.
#[derive(Debug)]
pub enum Found {
    /// A Watchfire.
    Watchfire,
    /// Something else; what, in words.
    Other(String),
    /// Nothing; why, in words.
    NotRunning(String),
}

impl Server {
    /// The server that `serve` would start with this configuration.
    pub fn of(settings: &ServerSettings) -> Result<Self> {
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        // The address is this machine's own; the certificate there names the one that others use.
        let client = reqwest::Client::builder()
            .no_proxy()
            .user_agent(http::audit::COMMAND_LINE)
            .tls_certs_only([])
            .tls_danger_accept_invalid_certs(true)
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self { base: format!("{scheme}://{}", reach(settings.listen)), client })
    }

    /// Looks who answers there.
    pub async fn detect(&self) -> Found {
        let answer = self.client.get(format!("{}/-/healthy", self.base)).timeout(Duration::from_secs(2)).send().await;
        match answer {
            Ok(answer) => {
                let fine = answer.status().is_success();
                match answer.text().await {
                    Ok(text) if fine && text == "ok\n" => Found::Watchfire,
                    _ => Found::Other(format!("what answers at {} is not Watchfire", self.base)),
                }
            }
            Err(error) => self.failed(&error),
        }
    }

    /// What a request without an answer means, without the causes that only repeat it.
    pub fn failed(&self, error: &reqwest::Error) -> Found {
        let base = &self.base;
        if error.is_timeout() {
            return Found::Other(format!("{base} takes connections and does not answer"));
        }
        if is_refused(error) {
            return Found::NotRunning(format!("nothing listens at {base}"));
        }
        match error.is_connect() {
            true => Found::NotRunning(format!("no server can be reached at {base}")),
            false => Found::Other(format!(
                "what answers at {base} is not Watchfire, or speaks {} there",
                if base.starts_with("https") { "plain HTTP" } else { "TLS" }
            )),
        }
    }
}

/// The address to call for an address to listen on: a wildcard is reached on loopback.
fn reach(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if address.ip().is_unspecified() {
        let loopback: IpAddr = if address.is_ipv4() { std::net::Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    address
}

/// Credentials that the caller brings: for a configuration that holds only hashes, or to act as somebody else.
fn by_hand() -> Result<Option<String>> {
    if let Ok(token) = std::env::var(TOKEN) {
        return Ok(Some(format!("Bearer {}", token.trim())));
    }
    let Ok(user) = std::env::var(USER) else { return Ok(None) };
    anyhow::ensure!(user.contains(':'), "{USER} is not NAME:PASSWORD");
    Ok(Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user))))
}

/// Of the credentials that open the API, the first of those that open most of it.
fn authorization(credentials: &[Credential]) -> Option<String> {
    let opens = |c: &&Credential| [Scope::Read, Scope::Operate, Scope::Admin].into_iter().filter(|scope| c.opens(*scope)).count();
    let mut able: Vec<&Credential> = credentials.iter().filter(|c| opens(c) > 0).collect();
    able.sort_by_key(|c| (std::cmp::Reverse(opens(c)), !c.channels.is_empty()));
    able.into_iter().find_map(|c| match &c.kind {
        CredentialKind::Bearer(token) => Some(format!("Bearer {}", token.expose())),
        CredentialKind::Basic { username, password: Password::Plain(password) } => {
            Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{}", password.expose()))))
        }
        _ => None,
    })
}
