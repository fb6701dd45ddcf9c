//! `watchfire serve`.

use std::net::TcpListener;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::logging::{self, LogFormat};
use super::{Common, ExitStatus, service};
use crate::app::{App, AppOptions, DRAIN_TIMEOUT};
use crate::metrics::Count;
use crate::traces::Traces;

/// Options of `serve`.
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// How logs are written. Default: pretty on a terminal, else json.
    #[arg(long, env = "WATCHFIRE_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// What is logged: `warn`, `info` (the default), `debug`, or by library as in `watchfire=debug,hyper=debug,warn`.
    #[arg(long, env = "WATCHFIRE_LOG", default_value = "")]
    log: String,
    /// Do not reload when files change (SIGHUP and POST /-/reload still do).
    #[arg(long)]
    no_watch: bool,
}

/// SIGXFSZ, by its number on all systems that this runs on: <https://man7.org/linux/man-pages/man7/signal.7.html>
const FILE_TOO_LARGE: SignalKind = SignalKind::from_raw(25);

/// Serves until SIGTERM or SIGINT; a second one stops at once. SIGHUP reloads.
pub fn run(common: &Common, args: &ServeArgs) -> anyhow::Result<ExitStatus> {
    common.refuse_remote("serve")?;
    let lost = Count::default();
    let log = logging::start(args.log_format, &args.log, lost.clone())?;
    // Before anything opens files of its own: passed sockets are known by their number.
    let socket = service::passed_socket()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let drained = runtime.block_on(serve(common, args, socket, lost));
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(log);
    let drained = drained?;
    Ok(if drained { ExitStatus::Success } else { ExitStatus::Failure })
}

async fn serve(common: &Common, args: &ServeArgs, socket: Option<TcpListener>, lost_lines: Count) -> anyhow::Result<bool> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hup = signal(SignalKind::hangup())?;
    // Unheard, it kills: a write beyond the limit of file sizes is an error then, senders get 503, and the log says why.
    let _too_large = signal(FILE_TOO_LARGE)?;
    let socket = socket.map(std::sync::Arc::new);
    let traces = Traces::from_env().unwrap_or_else(|error| {
        tracing::error!("{error}; alerts are delivered without traces");
        Traces::default()
    });
    let options = AppOptions { traces, listen: common.listen.clone(), socket, watch: !args.no_watch, lost_lines, ..AppOptions::new(&common.config) };
    // Waiting for another process to release the store may take long: life is shown from here on.
    let watchdog = service::watchdog();
    let app = tokio::select! {
        app = App::start(options) => Some(app?),
        _ = term.recv() => None,
        _ = int.recv() => None,
    };
    let Some(app) = app else {
        tracing::info!("stopping: the start was not over yet; what was accepted stays on disk");
        return Ok(true);
    };
    let plan = app.engine.plan();
    let channels = plan.channels.keys().cloned().collect::<Vec<_>>().join(", ");
    tracing::info!(listen = %app.address, channels = %channels, "watchfire takes alerts at http://{}/webhook", app.address);
    let status = format!("takes alerts at http://{}/webhook for {channels}", app.address);
    drop(plan);
    service::ready(&status);
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => {
                service::reloading();
                let result = app.reload().await;
                service::ready(if result.is_ok() { &status } else { "the configuration could not be reloaded; the previous one stays active" });
            }
        }
    }
    service::stopping(DRAIN_TIMEOUT + Duration::from_secs(5));
    tracing::info!("stopping: what is being sent is finished, the rest stays on disk; a second signal stops at once");
    let drained = tokio::select! {
        drained = app.stop(DRAIN_TIMEOUT) => {
            if !drained {
                tracing::warn!("some sends did not finish in time; they are taken up at the next start");
            }
            drained
        }
        _ = term.recv() => false,
        _ = int.recv() => false,
    };
    if let Some(watchdog) = watchdog {
        watchdog.abort();
    }
    Ok(drained)
}
