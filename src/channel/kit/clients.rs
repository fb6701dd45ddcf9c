//! HTTP clients, one per distinct transport setting, and what else drivers share across channels and reloads.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::{Certificate, Client, Request, Response};

use super::FileLimit;
use super::guard::SsrfGuard;
use crate::channel::directory::Directory;
use crate::channel::token::TokenCache;
use crate::model::{Secret, hash_hex, unreadable};

/// A connection that is not open after this long is given up, so that a try at another address is left within the usual 10 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Shorter than the 60 s after which common front ends close idle connections, so that a request seldom meets one that is closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes ring the process's TLS provider, once; later calls do nothing. Every client built here calls it.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that the program around this library has chosen a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// What decides whether two channels can share a client.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
struct Transport {
    proxy: Option<Secret>,
    ca_pem: Option<Vec<u8>>,
    guard: Option<SsrfGuard>,
}

/// What drivers share across channels and across reloads: clients by transport setting, and what belongs to a credential (token caches, listeners).
/// Nothing is kept that no driver uses any more.
#[derive(Default)]
pub struct HttpClients {
    folder: PathBuf,
    clients: Mutex<HashMap<Transport, Weak<Line>>>,
    shared: Mutex<HashMap<String, Weak<dyn Any + Send + Sync>>>,
}

impl fmt::Debug for HttpClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClients").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl HttpClients {
    /// No clients yet; a relative `ca_file` is looked for in `folder` (the configuration file's).
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), ..Self::default() }
    }

    /// The client for a proxy (`None`: the environment's) and a further certificate authority (PEM). Errors are `(key, reason)`.
    pub(super) fn client(
        &self,
        proxy: Option<&Secret>,
        ca_file: Option<&Path>,
        guard: Option<&SsrfGuard>,
    ) -> Result<Arc<Line>, (&'static str, String)> {
        let ca_pem = match ca_file {
            Some(path) => {
                Some(std::fs::read(self.folder.join(path)).map_err(|error| ("ca_file", format!("{} {}", path.display(), unreadable(&error))))?)
            }
            None => None,
        };
        let transport = Transport { proxy: proxy.cloned(), ca_pem, guard: guard.cloned() };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&transport).and_then(Weak::upgrade) {
            return Ok(client);
        }
        check(&transport)?;
        let client = Arc::new(Line { transport: transport.clone(), client: OnceLock::new(), http1: OnceLock::new() });
        clients.retain(|_, client| client.strong_count() > 0);
        clients.insert(transport, Arc::downgrade(&client));
        Ok(client)
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    #[cfg(test)]
    pub(super) fn built(&self) -> usize {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.values().filter_map(Weak::upgrade).filter(|line| line.client.get().is_some()).count()
    }

    /// The token cache of a credential: the same one for every channel that uses the credential, as long as one does.
    pub fn tokens(&self, platform: &str, credential: &[&str]) -> Arc<TokenCache> {
        self.shared(&format!("{platform} tokens"), credential, TokenCache::default)
    }

    /// The ids of people that a credential has looked up: the same ones for every channel that uses it. Whom the platform does not know is not asked for again
    /// within `unknown`.
    pub fn directory(&self, platform: &str, credential: &[&str], unknown: Duration) -> Arc<Directory> {
        self.shared(&format!("{platform} directory"), credential, || Directory::new(unknown))
    }

    /// What belongs to a credential, and is made when no channel has it yet: the same one for every channel that asks for it, as long as one keeps it.
    pub fn shared<T: Any + Send + Sync>(&self, what: &str, credential: &[&str], make: impl FnOnce() -> T) -> Arc<T> {
        let key = format!("{what}:{}", hash_hex(credential));
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shared.get(&key).and_then(Weak::upgrade).and_then(|known| known.downcast().ok()) {
            return known;
        }
        let made = Arc::new(make());
        shared.retain(|_, one| one.strong_count() > 0);
        let weak: Weak<T> = Arc::downgrade(&made);
        shared.insert(key, weak);
        made
    }
}

/// What makes requests: a client behind a pointer. Every driver holds one, and the compiler would look through its fifty types for each future of each driver.
pub(super) trait Execute: Send + Sync {
    /// Makes the request; the answer's body is not read yet.
    fn execute(&self, request: Request) -> BoxFuture<'static, Result<Response, reqwest::Error>>;
}

impl Execute for Client {
    fn execute(&self, request: Request) -> BoxFuture<'static, Result<Response, reqwest::Error>> {
        Box::pin(Self::execute(self, request))
    }
}

/// A client that is built when it is first used: it reads every certificate of the system, and a configuration may have thousands of channels, of which
/// a command uses none.
pub(super) struct Line {
    transport: Transport,
    client: OnceLock<Result<Box<dyn Execute>, String>>,
    http1: OnceLock<Result<Box<dyn Execute>, String>>,
}

impl Line {
    /// The client, or why there is none.
    pub(super) fn client(&self) -> Result<&dyn Execute, &str> {
        self.built(&self.client, false)
    }

    /// The same without HTTP/2, for connections that become WebSockets: an upgrade is a thing of HTTP/1.1 (RFC 9110 7.8).
    pub(super) fn http1(&self) -> Result<&dyn Execute, &str> {
        self.built(&self.http1, true)
    }

    fn built<'a>(&self, client: &'a OnceLock<Result<Box<dyn Execute>, String>>, http1_only: bool) -> Result<&'a dyn Execute, &'a str> {
        let built = client.get_or_init(|| match build_client(&self.transport, http1_only) {
            Ok(client) => Ok(Box::new(client)),
            Err((key, reason)) => Err(format!("`{key}`: {reason}")),
        });
        built.as_deref().map_err(String::as_str)
    }
}

/// Whether a client could be built, as far as the configuration decides.
fn check(transport: &Transport) -> Result<(), (&'static str, String)> {
    authority(transport)?;
    proxy(transport)?;
    Ok(())
}

fn authority(transport: &Transport) -> Result<Vec<Certificate>, (&'static str, String)> {
    let Some(pem) = &transport.ca_pem else { return Ok(Vec::new()) };
    let own = Certificate::from_pem_bundle(pem).unwrap_or_default();
    if own.is_empty() {
        return Err(("ca_file", "it holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)".to_owned()));
    }
    Ok(own)
}

fn proxy(transport: &Transport) -> Result<Option<reqwest::Proxy>, (&'static str, String)> {
    // The error is not repeated: it may hold the proxy's password.
    let made = transport.proxy.as_ref().map(|proxy| reqwest::Proxy::all(proxy.expose()));
    made.transpose().map_err(|_| ("proxy", "it is not a proxy's address".to_owned()))
}

fn build_client(transport: &Transport, http1_only: bool) -> Result<Client, (&'static str, String)> {
    install_crypto();
    // The bundled roots are merged with the system's: an image without certificates works, and so does a company's own authority.
    let bundled = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|der| Certificate::from_der(der).ok());
    let mut builder = Client::builder()
        .user_agent(concat!("Watchfire/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(FileLimit::of_this_process().idle_per_host())
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_merge(bundled)
        .tls_certs_merge(authority(transport)?);
    if http1_only {
        builder = builder.http1_only();
    }
    if let Some(guard) = &transport.guard {
        builder = builder.dns_resolver(Arc::new(guard.clone()));
    }
    if let Some(proxy) = proxy(transport)? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| ("ca_file", format!("no HTTP client can be built: {}", error.without_url())))
}
