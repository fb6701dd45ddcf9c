//! Reloading the configuration: on request, by signal, or because a file changed. One at a time, and all or nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::AppOptions;
use crate::channel::kit::HttpClients;
use crate::config::{self, LoadOptions, Loaded, StoreSettings, Watched};
use crate::delivery::{Engine, SelfAlert, SelfAlertKind};
use crate::http::tls_listener::Certificates;
use crate::http::{self, HttpSettings};
use crate::model::{Finding, Level, Secret};

/// How often the configuration's files are looked at for changes.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// A file half written is not a change yet: it must hold still for so long.
const DEBOUNCE: Duration = Duration::from_millis(300);
/// How long a reload that the store refused waits for the next try.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// Errors that `/-/ready` lists in full; `check`, the log and the answer of `/-/reload` list all.
const MAX_SHOWN: usize = 5;

/// What reloads.
pub(super) struct Reloader {
    pub engine: Arc<Engine>,
    pub options: AppOptions,
    pub key: Secret,
    pub http: Arc<HttpClients>,
    /// The store in use: another one takes a restart.
    pub store: StoreSettings,
    /// What is watched, as it was before it was read last.
    pub files: Mutex<Watched>,
    pub state: OnceLock<Weak<http::App>>,
    pub address: SocketAddr,
    pub certificates: Certificates,
    /// One reload at a time: else an older file could be applied after a newer one.
    pub turn: tokio::sync::Mutex<()>,
    /// The files are fine but the store was not: to be tried again without a change.
    pub again: AtomicBool,
}

/// Why a reload changed nothing.
struct ReloadError {
    /// Everything, as `check` writes it.
    report: String,
    /// The first few errors, a line each.
    brief: Vec<String>,
    /// How many more there are.
    more: usize,
}

impl ReloadError {
    fn by(findings: &[Finding]) -> Self {
        let errors: Vec<String> = findings.iter().filter(|finding| finding.level == Level::Error).map(config::one_line).collect();
        let more = errors.len().saturating_sub(MAX_SHOWN);
        Self { report: config::report(findings), brief: errors.into_iter().take(MAX_SHOWN).collect(), more }
    }

    fn because(reason: String) -> Self {
        Self { brief: vec![reason.clone()], report: reason, more: 0 }
    }

    /// For `/-/ready`.
    fn summary(&self) -> String {
        let more = if self.more > 0 { format!("\n  and {} more; `watchfire check` shows them", self.more) } else { String::new() };
        format!("{}{more}", self.brief.iter().map(|line| format!("\n  {line}")).collect::<String>())
    }

    /// For the alarm.
    fn headline(&self) -> String {
        let others = self.brief.len().saturating_sub(1) + self.more;
        let more = if others > 0 { format!(", and {others} more") } else { String::new() };
        format!("{}{more}", self.brief.first().map_or("", String::as_str))
    }
}

impl Reloader {
    fn watched(&self) -> Watched {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads everything and applies it, or changes nothing and returns the report.
    pub async fn reload(self: Arc<Self>) -> Result<(), String> {
        let _turn = self.turn.lock().await;
        let Some(state) = self.state.get().and_then(Weak::upgrade) else { return Err("the server stops".into()) };
        let engine = &self.engine;
        let at = engine.clock().wall().0 as f64 / 1000.0;
        self.again.store(false, Ordering::Release);
        let result = match self.read().await {
            Ok(loaded) => self.apply(&state, loaded).await,
            Err(error) => Err(error),
        };
        engine.metrics().reloaded(result.is_ok(), at);
        match result {
            Ok(()) => {
                tracing::info!("the configuration was reloaded");
                if state.reload_state.swap(Arc::new(None)).is_some() {
                    engine.raise(SelfAlert::resolved(SelfAlertKind::ReloadFailed, ""));
                }
                Ok(())
            }
            Err(error) => {
                tracing::error!("the configuration could not be reloaded; the previous one stays active\n{}", error.report);
                engine.raise(SelfAlert::reload_failed(&error.headline()));
                state.reload_state.store(Arc::new(Some(error.summary())));
                Err(error.report)
            }
        }
    }

    async fn read(&self) -> Result<Loaded, ReloadError> {
        let options = LoadOptions { listen: self.options.address(), http: Some(self.http.clone()), ..LoadOptions::default() };
        let path = self.options.config.clone();
        let known = self.watched().paths;
        let read = tokio::task::spawn_blocking(move || config::load_watched(&path, &options, known)).await;
        let (loaded, files) = read.map_err(|error| ReloadError::because(error.to_string()))?;
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
        loaded.map_err(|findings| ReloadError::by(&findings))
    }

    async fn apply(&self, state: &http::App, mut loaded: Loaded) -> Result<(), ReloadError> {
        for finding in &loaded.findings {
            tracing::warn!("{}", config::one_line(finding));
        }
        if loaded.plan.link_key.is_empty() {
            loaded.plan.link_key = self.key.clone();
        }
        // The only step that can fail comes first, and undoes itself.
        self.engine.reload(Arc::new(loaded.plan)).await.map_err(|error| {
            self.again.store(true, Ordering::Release);
            ReloadError::because(format!(
                "the store could not be asked about waiting deliveries: {error}; it is tried again every {} s",
                RETRY_INTERVAL.as_secs()
            ))
        })?;
        let mut later = Vec::new();
        if loaded.server.listen.port() != 0 && loaded.server.listen != self.address {
            let address = self.address;
            later.push(format!("`server.listen` changed; {} takes effect after a restart, until then it listens on {address}", loaded.server.listen));
        }
        // Who is let in is decided by where it listens, not by where it would.
        loaded.server.listen = self.address;
        if loaded.store != self.store {
            later.push("`store` changed; it takes effect after a restart, until then the one before is used".to_owned());
        }
        later.iter().for_each(|note| tracing::warn!("{note}"));
        let tls = loaded.server.tls.as_ref().and_then(|tls| tls.config.clone());
        if tls.is_some() != self.certificates.load().is_some() {
            tracing::warn!("server.tls was {}; new connections follow it from now on", if tls.is_some() { "turned on" } else { "turned off" });
        }
        self.certificates.store(tls);
        let mut running = running(&self.options, loaded.lines, &loaded.findings);
        running.warnings.extend(later);
        state.running.store(Arc::new(running));
        state.settings.store(Arc::new(HttpSettings::new(&loaded.server, loaded.inputs.clone())));
        Ok(())
    }
}

/// What people read of a configuration that was loaded now.
pub(super) fn running(options: &AppOptions, lines: Vec<String>, findings: &[Finding]) -> http::Running {
    let elsewhere = elsewhere(options);
    elsewhere.iter().for_each(|note| tracing::warn!("{note}"));
    let warnings = findings.iter().map(config::one_line).chain(elsewhere).collect();
    http::Running { path: options.config.clone(), listen: options.address(), lines, warnings, loaded_at: options.clock.wall() }
}

/// That the file names an address which the passed socket does not listen on: senders and commands would find nobody there.
fn elsewhere(options: &AppOptions) -> Option<String> {
    let passed = options.socket.as_ref()?.local_addr().ok()?;
    let asked = config::server(&options.config, &LoadOptions { listen: options.listen.clone(), ..LoadOptions::without_secrets() })?.listen;
    let is_covered = passed.port() == asked.port() && (passed.ip() == asked.ip() || passed.ip().is_unspecified());
    (!is_covered).then(|| {
        format!(
            "`server.listen` is {asked}, and nothing listens there: the service manager passes a socket on {passed}, which wins; write \
             ListenStream={asked} into the .socket unit, or {passed} into `server.listen`, where commands look for the server"
        )
    })
}

/// Looks at the files' contents (not at file events: Kubernetes swaps links, network file systems send none).
pub(super) async fn watch(reloader: Arc<Reloader>, cancel: CancellationToken) {
    let mut supervision = reloader.engine.supervise("watcher");
    while !supervision.run(poll(&reloader, &cancel), "", &cancel).await {}
}

async fn poll(reloader: &Arc<Reloader>, cancel: &CancellationToken) -> bool {
    let look = |files: Vec<PathBuf>| tokio::task::spawn_blocking(move || config::fingerprint(&files));
    let mut tried = Instant::now();
    let mut tick = tokio::time::interval(POLL_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return true,
            _ = tick.tick() => {}
        }
        let again = reloader.again.load(Ordering::Acquire) && tried.elapsed() >= RETRY_INTERVAL;
        let watched = reloader.watched();
        let Ok(now) = look(watched.paths.clone()).await else { continue };
        if !watched.differs(now) && !again {
            continue;
        }
        tokio::time::sleep(DEBOUNCE).await;
        if look(watched.paths).await.ok() != Some(now) {
            continue;
        }
        tried = Instant::now();
        let _ = reloader.clone().reload().await;
    }
}
