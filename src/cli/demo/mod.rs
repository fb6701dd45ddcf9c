//! `watchfire demo`: what Watchfire does, shown with alerts of its own, without any sender, credential or configuration. It is the whole program on a
//! store in a temporary folder; only the platform that refuses a message is a stand-in, inside this process.

mod chapters;
mod teller;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::{Json, Router};
use clap::Args;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::remote::Remote;
use super::{Common, ExitStatus};
use crate::app::{App, AppOptions};
use teller::Teller;

/// How long the end may take: nothing of a demonstration is worth waiting for.
const STOP: Duration = Duration::from_millis(300);

/// Variables that name a proxy.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Pauses for reading, in percent of their length. For tests.
    #[arg(long, hide = true, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pace: u32,
}

/// Shows what Watchfire does, until it is over or interrupted.
pub fn run(common: &Common, args: &DemoArgs) -> Result<ExitStatus> {
    if let Some(listen) = listen(common) {
        let address = listen.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
        ensure!(address.is_some(), "the demonstration is for this machine only; write --listen 127.0.0.1:PORT");
    }
    start_without_proxies()?;
    let scratch = Scratch::make()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let shown = runtime.block_on(show(common, args, &scratch.0));
    runtime.shutdown_timeout(STOP);
    drop(scratch);
    match shown {
        // A reader that stops early (`| head`) is no failure.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) => Ok(ExitStatus::Success),
        shown => shown.map(|()| ExitStatus::Success),
    }
}

async fn show(common: &Common, args: &DemoArgs, folder: &Path) -> Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (mut hup, mut quit) = (signal(SignalKind::hangup())?, signal(SignalKind::quit())?);
    let interrupted = async {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {}, _ = hup.recv() => {}, _ = quit.recv() => {} }
    };
    tokio::pin!(interrupted);
    let app = tokio::select! {
        app = start(common, folder) => app?,
        () = &mut interrupted => return Ok(()),
    };
    let shown = tokio::select! {
        shown = walk(&app, args) => shown,
        () = &mut interrupted => Ok(()),
    };
    // Open pages of the console would be waited for longer.
    let _ = tokio::time::timeout(STOP, app.stop(STOP)).await;
    shown
}

/// Where to listen; the environment's address is that of a server.
fn listen(common: &Common) -> Option<&str> {
    common.listen.as_deref().filter(|_| common.said.listen)
}

/// All requests stay on this machine, so the environment's proxies must not get them: the program starts again without these variables, which a running
/// one cannot change safely. Returns when none is set.
fn start_without_proxies() -> Result<()> {
    let set: Vec<&str> = PROXIES.into_iter().filter(|name| std::env::var_os(name).is_some()).collect();
    if set.is_empty() {
        return Ok(());
    }
    let help = || format!("the proxies of the environment must not be used here; unset {}", set.join(", "));
    let mut command = Command::new(std::env::current_exe().with_context(help)?);
    command.args(std::env::args_os().skip(1));
    for name in &set {
        command.env_remove(name);
    }
    Err(command.exec()).with_context(help)
}

/// The program on a free port of this machine, or where `--listen` says.
async fn start(common: &Common, folder: &Path) -> Result<App> {
    let refusing = refusing_slack().await?;
    let config = folder.join("routes.yaml");
    std::fs::write(&config, chapters::routes(&refusing)).with_context(|| format!("cannot write {}", config.display()))?;
    let listen = listen(common).or(Some("127.0.0.1:0")).map(str::to_owned);
    App::start(AppOptions { listen, watch: false, wait_for_store: false, ..AppOptions::new(config) }).await
}

/// Where a stand-in for Slack answers HTTP 200 to everything, and in the body that it refuses it.
async fn refusing_slack() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("no port of 127.0.0.1 is free")?;
    let base = format!("http://{}", listener.local_addr()?);
    let refuse = || async { Json::<Value>(json!({ "ok": false, "error": "invalid_blocks" })) };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(refuse)).await });
    Ok(base)
}

async fn walk(app: &App, args: &DemoArgs) -> Result<()> {
    let base = format!("http://{}", app.address);
    let client = reqwest::Client::builder().no_proxy().user_agent(crate::http::audit::COMMAND_LINE).timeout(Duration::from_secs(30)).build()?;
    let remote = Remote::Server { base: base.clone(), authorization: None, client };
    let teller = Teller::new(app.engine.clock().clone(), args.pace);
    chapters::walk(&remote, &teller, &base).await?;
    if teller.is_watched() {
        teller.say(&format!("The console stays at {base}/ui until you press Ctrl-C."))?;
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// A folder that only this user may enter, removed with everything in it.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("watchfire-demo-{}", uuid::Uuid::new_v4().simple()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("the folder {} cannot be made; name a folder that this user may write to as TMPDIR", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Something that the store writes at its end may come in between.
        for _ in 0..3 {
            if std::fs::remove_dir_all(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // Nobody may read it; that is no reason to panic.
        let _ = writeln!(anstream::stderr(), "the folder {} could not be removed; remove it by hand", self.0.display());
    }
}
