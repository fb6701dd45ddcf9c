//! `watchfire serve`.

use std::io::IsTerminal;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::{Common, Outcome};
use crate::app::{App, AppOptions, DRAIN};

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Options of `serve`.
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// How logs are written. Default: pretty on a terminal, else json.
    #[arg(long, env = "WATCHFIRE_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// What is logged, as `info` or `watchfire=debug,warn`.
    #[arg(long, env = "WATCHFIRE_LOG", default_value = "")]
    log: String,
    /// Do not reload when files change (SIGHUP and POST /-/reload still do).
    #[arg(long)]
    no_watch: bool,
}

/// Serves until SIGTERM or SIGINT; a second one stops at once. SIGHUP reloads.
pub fn run(common: &Common, args: &ServeArgs) -> anyhow::Result<Outcome> {
    logging(args);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let drained = runtime.block_on(serve(common, args))?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(if drained { Outcome::Fine } else { Outcome::Failed })
}

async fn serve(common: &Common, args: &ServeArgs) -> anyhow::Result<bool> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hup = signal(SignalKind::hangup())?;
    let options = AppOptions { listen: common.listen.clone(), watch: !args.no_watch, ..AppOptions::new(&common.config) };
    let app = App::start(options).await?;
    let plan = app.engine.shared.plan.load_full();
    let channels = plan.channels.keys().cloned().collect::<Vec<_>>().join(", ");
    tracing::info!(listen = %app.address, channels, "watchfire takes alerts at http://{}/webhook", app.address);
    drop(plan);
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => { let _ = app.reload().await; }
        }
    }
    tracing::info!("stopping: what is being sent is finished, the rest stays on disk; a second signal stops at once");
    tokio::select! {
        drained = app.stop(DRAIN) => {
            if !drained {
                tracing::warn!("some sends did not finish in time; they are taken up at the next start");
            }
            Ok(drained)
        }
        _ = term.recv() => Ok(false),
        _ = int.recv() => Ok(false),
    }
}

fn logging(args: &ServeArgs) {
    use tracing_subscriber::EnvFilter;
    let filter = if args.log.is_empty() { EnvFilter::new("info") } else { EnvFilter::new(&args.log) };
    let terminal = std::io::stderr().is_terminal();
    let format = args.log_format.unwrap_or(if terminal { LogFormat::Pretty } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Pretty => builder.with_ansi(terminal && std::env::var_os("NO_COLOR").is_none()).init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
    }
}
