//! The whole as a value: build, start, reload, drain, stop. `serve` runs it; tests run it in their process.

mod reload;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::channel::kit::FileLimit;
use crate::config::{self, LoadOptions, Loaded, StoreSettings, Watched};
use crate::delivery::{Clock, Engine, EngineOptions, EngineParts, PressesOf, SelfAlert, cluster, listen, maintenance, receipts, silence};
use crate::http::tls_listener::{Certificates, TlsListener};
use crate::http::{self, HttpSettings};
use crate::metrics::{Count, Metrics};
use crate::store::{OpenProgress, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, Store};
use crate::traces::Traces;
use reload::{Reloader, running};

/// How long a stop waits for what is in flight.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// How long connections that were taken from a passed socket get to say what they want before the server closes idle ones.
const CLOSE_GRACE: Duration = Duration::from_millis(250);

/// How long callers wait for a store that is being opened, before they get an answer.
const STORE_OPEN_GRACE: Duration = Duration::from_secs(1);

/// What an application is started with.
#[derive(Debug, Clone)]
pub struct AppOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// Overrides `server.listen`.
    pub listen: Option<String>,
    /// A listening socket that is open already; it wins over any address.
    pub socket: Option<Arc<std::net::TcpListener>>,
    /// The time.
    pub clock: Clock,
    /// Whether changed files are reloaded by themselves.
    pub watch: bool,
    /// Where spans go.
    pub traces: Traces,
    /// Lines of the log that were lost, as the writer counts them.
    pub lost_lines: Count,
    /// Wait for another process to release the store, or for a database that is down, instead of failing.
    pub wait_for_store: bool,
}

impl AppOptions {
    /// Serves `config` with the machine's clock.
    pub fn new(config: impl Into<PathBuf>) -> Self {
        Self {
            config: config.into(),
            listen: None,
            socket: None,
            clock: Clock::system(),
            watch: true,
            traces: Traces::default(),
            lost_lines: Count::default(),
            wait_for_store: true,
        }
    }

    /// The address that counts in place of the file's. What a passed socket listens on is what the validation looks at: an open address needs credentials.
    fn address(&self) -> Option<String> {
        let passed = self.socket.as_ref().and_then(|socket| socket.local_addr().ok());
        passed.map(|address| address.to_string()).or_else(|| self.listen.clone())
    }
}

/// A running Watchfire.
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its engine.
    pub engine: Arc<Engine>,
    state: Arc<http::App>,
    cancel: CancellationToken,
    /// Stops taking connections, where they then wait for the next process; `None` when nobody would serve them.
    stop_accepting: Option<CancellationToken>,
    server_stop: CancellationToken,
    server: JoinHandle<()>,
    background: Background,
    store: Arc<dyn Store>,
    traces: Traces,
}

/// What runs beside requests and deliveries.
struct Background {
    maintenance: JoinHandle<()>,
    /// Asks vendors for their last words.
    receipts: JoinHandle<()>,
    listeners: JoinHandle<()>,
    /// Asks Alertmanagers to be silent.
    silences: JoinHandle<()>,
    /// Signs of life and leases, where several nodes share the store; they go on until what is in flight has ended.
    nodes: (Option<JoinHandle<()>>, CancellationToken),
    watcher: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts it; `leased`: several nodes share the store, `watched`: what reloads changed files.
    fn start(
        engine: &Arc<Engine>,
        alarms: mpsc::Receiver<SelfAlert>,
        leased: bool,
        watched: Option<Arc<Reloader>>,
        cancel: &CancellationToken,
    ) -> Self {
        let presses = engine.clone();
        let presses: PressesOf = Arc::new(move |channel| presses.presses(channel));
        let nodes_cancel = CancellationToken::new();
        Self {
            maintenance: tokio::spawn(maintenance::run(engine.clone(), alarms, cancel.clone())),
            receipts: tokio::spawn(receipts::run(engine.clone(), cancel.clone())),
            listeners: tokio::spawn(listen::run(engine.clone(), presses, cancel.clone())),
            silences: tokio::spawn(silence::run(engine.clone(), cancel.clone())),
            nodes: (leased.then(|| tokio::spawn(cluster::run(engine.clone(), nodes_cancel.clone()))), nodes_cancel),
            watcher: watched.map(|reloader| tokio::spawn(reload::watch(reloader, cancel.clone()))),
        }
    }
}

impl App {
    /// Loads, opens the store, listens, and only then reads what waits.
    pub async fn start(options: AppOptions) -> Result<Self> {
        if let Some(socket) = &options.socket {
            socket.local_addr().context("the passed socket has no address; pass a listening TCP socket")?;
        }
        let (loaded, files) = load(&options)?;
        for finding in &loaded.findings {
            tracing::warn!("{}", config::one_line(finding));
        }
        let listener = match &options.socket {
            Some(socket) => {
                let socket = socket.try_clone().context("the passed socket cannot be used")?;
                socket.set_nonblocking(true).context("the passed socket cannot be used")?;
                TcpListener::from_std(socket).context("the passed socket does not listen; pass a listening TCP socket")?
            }
            None => listen(loaded.server.listen).await?,
        };
        Self::start_on(listener, (loaded, files), options).await
    }

    async fn start_on(listener: TcpListener, (mut loaded, files): (Loaded, Watched), options: AppOptions) -> Result<Self> {
        let certificates: Certificates = Arc::new(arc_swap::ArcSwapOption::new(loaded.server.tls.as_ref().and_then(|tls| tls.config.clone())));
        let address = listener.local_addr()?;
        let closed = CancellationToken::new();
        let passed = options.socket.is_some().then(|| closed.clone());
        let files_at_start = FileLimit::of_this_process();
        let mut listener = TlsListener::new(listener, certificates.clone(), closed, files_at_start.handshakes())?;
        let store = open_answering(&loaded.store, options.wait_for_store, &mut listener, files_at_start.connections()).await?;
        let found = store.damage_report().map(str::to_owned);
        // Counted again: the store's files are open now.
        let limit = FileLimit::of_this_process();
        if let Some(warning) = limit.warning() {
            tracing::warn!("{warning}");
        }
        let shared = matches!(loaded.store, StoreSettings::Postgres(_));
        let key = link_key(&loaded.store)?;
        if loaded.plan.link_key.is_empty() {
            loaded.plan.link_key = key.clone();
        }
        let http = loaded.http.clone();
        let metrics = Arc::new(Metrics::counting(options.lost_lines.clone()));
        metrics.reloaded(true, options.clock.wall().0 as f64 / 1000.0);
        let node = node_name(&options.clock);
        let settings = HttpSettings::new(&loaded.server, loaded.inputs.clone());
        let running = running(&options, std::mem::take(&mut loaded.lines), &loaded.findings);
        let (engine, alarms) = Engine::new(EngineParts {
            store: store.clone(),
            plan: Arc::new(loaded.plan),
            clock: options.clock.clone(),
            metrics,
            node: &node,
            options: EngineOptions { leased: shared, traces: options.traces.clone(), max_attempts: limit.attempts(), ..EngineOptions::default() },
        });
        let engine = Arc::new(engine);
        let reloader = Arc::new(Reloader {
            engine: engine.clone(),
            options: options.clone(),
            key,
            http,
            store: loaded.store,
            files: std::sync::Mutex::new(files),
            state: Default::default(),
            address,
            certificates: certificates.clone(),
            turn: Default::default(),
            again: Default::default(),
        });
        let by_hand = reloader.clone();
        let state = Arc::new(http::App::new(engine.clone(), settings, Arc::new(move || Box::pin(by_hand.clone().reload()))));
        state.running.store(Arc::new(running));
        let _ = reloader.state.set(Arc::downgrade(&state));
        // The listener answers before the backlog is read: Grafana repeats nothing.
        let server_stop = CancellationToken::new();
        let stopped = server_stop.clone();
        let router = http::router(state.clone());
        let connections = limit.connections();
        let server = tokio::spawn(async move { http::serve::serve(&mut listener, router, stopped, connections).await });
        // A reload that comes this early waits: it would find workers that are not there yet.
        let turn = reloader.turn.lock().await;
        engine.start().await.map_err(|e| anyhow!("the store could not be read: {e}"))?;
        drop(turn);
        if let Some(reason) = found {
            engine.raise(SelfAlert::store_damaged(&reason));
        }
        let cancel = CancellationToken::new();
        let background = Background::start(&engine, alarms, shared, options.watch.then_some(reloader), &cancel);
        let traces = options.traces;
        Ok(Self { address, engine, state, cancel, stop_accepting: passed, server_stop, server, background, store, traces })
    }

    /// Reloads the configuration. An invalid one changes nothing; the error is the report.
    pub async fn reload(&self) -> Result<(), String> {
        (self.state.reload)().await
    }

    /// Stops: stays up until what is in flight is done (accepting last), finishes until the deadline, leaves the rest on disk. `true` when nothing was cut off.
    pub async fn stop(self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        self.state.stop();
        self.cancel.cancel();
        let drained = self.engine.stop(deadline).await;
        self.background.nodes.1.cancel();
        if let Some(nodes) = self.background.nodes.0 {
            let _ = nodes.await;
        }
        if let Some(stop_accepting) = &self.stop_accepting {
            stop_accepting.cancel();
            tokio::time::sleep(CLOSE_GRACE).await;
        }
        self.server_stop.cancel();
        let _ = tokio::time::timeout_at(deadline.max(Instant::now() + Duration::from_secs(1)), self.server).await;
        let _ = self.background.maintenance.await;
        let _ = self.background.receipts.await;
        let _ = self.background.listeners.await;
        let _ = self.background.silences.await;
        if let Some(watcher) = self.background.watcher {
            let _ = watcher.await;
        }
        self.store.close().await;
        let _ = tokio::task::spawn_blocking(move || self.traces.stop()).await;
        drained
    }
}

fn load(options: &AppOptions) -> Result<(Loaded, Watched)> {
    let load = LoadOptions { listen: options.address(), ..LoadOptions::default() };
    let (loaded, files) = config::load_watched(&options.config, &load, Vec::new());
    Ok((loaded.map_err(|findings| anyhow!("{}", config::report(&findings)))?, files))
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        use std::io::ErrorKind;
        let port = address.port();
        match error.kind() {
            ErrorKind::AddrInUse => anyhow!(
                "cannot listen on {address}: another process uses port {port}; stop it (`ss -ltnp sport = :{port}` names it), or choose another \
                 port with --listen or server.listen"
            ),
            ErrorKind::AddrNotAvailable => anyhow!(
                "cannot listen on {address}: this machine has no such address; write 127.0.0.1:{port} for this machine only or 0.0.0.0:{port} for \
                 all of its addresses, with --listen or server.listen"
            ),
            ErrorKind::PermissionDenied => anyhow!(
                "cannot listen on {address}: ports below 1024 need a right that this user lacks; choose a port from 1024 on with --listen or \
                 server.listen, or give the right (AmbientCapabilities=CAP_NET_BIND_SERVICE in a systemd unit)"
            ),
            _ => anyhow!("cannot listen on {address}: {error}; check server.listen"),
        }
    })
}

/// Opens the store. Health is answered while that takes long. Callers of the first moments wait: Grafana repeats nothing.
async fn open_answering(settings: &StoreSettings, waits: bool, listener: &mut TlsListener, connections: usize) -> Result<Arc<dyn Store>> {
    let wait = OpenProgress::new();
    let meanwhile = async {
        tokio::time::sleep(STORE_OPEN_GRACE).await;
        http::serve::serve(listener, http::waiting(wait.clone()), CancellationToken::new(), connections).await;
    };
    tokio::select! {
        store = open_store(settings, waits.then(|| wait.clone())) => store,
        () = meanwhile => Err(anyhow!("the listener was closed")),
    }
}

/// A name that no other node has, nor this one after a restart.
fn node_name(clock: &Clock) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}-{}", host.trim(), std::process::id(), clock.wall().0)
}

/// Opens the store; with `wait` it waits for another process to release the file, or for a database that cannot be reached.
pub async fn open_store(settings: &StoreSettings, wait: Option<OpenProgress>) -> Result<Arc<dyn Store>> {
    match settings {
        StoreSettings::Sqlite(path) => {
            let options = SqliteOptions { wait, ..SqliteOptions::new(path) };
            Ok(Arc::new(SqliteStore::open_async(options).await.map_err(|e| anyhow!("{e}"))?))
        }
        StoreSettings::Postgres(url) => {
            let store = PostgresStore::open(PostgresOptions { wait, ..PostgresOptions::new(url.clone()) }).await.map_err(|e| anyhow!("{e}"))?;
            Ok(Arc::new(store))
        }
    }
}

/// The key that signs links in messages. Beside a file it is made once and kept, so that old links go on working; nodes that share a database make
/// the same one of its URL.
fn link_key(store: &StoreSettings) -> Result<crate::model::Secret> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = match store {
        StoreSettings::Sqlite(path) => path.with_extension("link-key"),
        StoreSettings::Postgres(url) => return Ok(url.derived("watchfire link key")),
    };
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= 32 => return Ok(crate::model::Secret::new(text.trim())),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let (path, why) = (path.display(), crate::model::unreadable(&error));
            return Err(anyhow!("{path} {why}: it must belong to the user that runs Watchfire, as the store beside it (`chown`)"));
        }
        _ => {}
    }
    let key = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(key.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(crate::model::Secret::new(key))
}
