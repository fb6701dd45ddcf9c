//! `watchfire migrate-store sqlite:FILE postgres://...`: everything that a single machine kept, moved to where several nodes share it.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::json;

use super::{Common, ExitStatus, block_on};
use crate::model::Secret;
use crate::store::{PostgresOptions, PostgresStore, Progress, SqliteOptions, SqliteStore, Store};

/// Options of `migrate-store`.
#[derive(Debug, Args)]
pub struct TransferArgs {
    /// The store to move: `sqlite:PATH`. Stop the server that uses it first.
    from: String,
    /// Where it goes: `postgres://user:password@host:5432/name`. Better given by the variable, which no process list shows.
    #[arg(env = "DATABASE_URL", hide_env_values = true)]
    to: String,
    /// Leave the file where it is. Without this it is renamed to `<file>.moved`, so that nothing is delivered twice by a server that opens it again.
    #[arg(long)]
    keep: bool,
}

/// Moves it.
pub fn run(common: &Common, args: &TransferArgs) -> Result<ExitStatus> {
    let Some(path) = args.from.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path)) else {
        bail!("the store to move is written `sqlite:PATH`; nothing else can be moved");
    };
    let path = PathBuf::from(path);
    if !path.is_file() {
        bail!("there is no store at {}; write the path as it is in routes.yaml, relative to where you are", path.display());
    }
    block_on(async {
        // Its lock keeps a server away while it is read, and its schema is brought up to date.
        let source = SqliteStore::open_async(SqliteOptions::new(&path))
            .await
            .map_err(|error| anyhow!("{error}"))
            .context("stop the server that uses the store, then move it")?;
        let target = PostgresStore::open(PostgresOptions::new(Secret::new(args.to.clone()))).await.map_err(|error| anyhow!("{error}"))?;
        let moved = target.take_from(&path, show).await;
        target.close().await;
        source.close().await;
        let rows = moved.map_err(|error| anyhow!("{error}")).context("the store was not moved; it is as it was, and the same command goes on")?;
        let aside = PathBuf::from(format!("{}.moved", path.display()));
        if !common.json {
            anstream::println!("moved {rows} rows");
        }
        if !args.keep {
            std::fs::rename(&path, &aside)
                .with_context(|| format!("everything is moved, but {} could not be renamed; keep servers from it", path.display()))?;
            if !common.json {
                anstream::println!("the old store is {} now; write the database as `store:` in routes.yaml", aside.display());
            }
        }
        if common.json {
            let is_now = if args.keep { &path } else { &aside };
            anstream::println!("{}", json!({ "rows": rows, "old_store": is_now }));
        }
        Ok(ExitStatus::Success)
    })?
}

/// One line that moves on a terminal; elsewhere one per table.
fn show(progress: Progress) {
    let Progress { table, done, all } = progress;
    if std::io::stderr().is_terminal() {
        let filled = (done * 30).checked_div(all).unwrap_or(30) as usize;
        let end = if done >= all { "\n" } else { "" };
        anstream::eprint!("\r{table:<9} [{}{}] {done} of {all}{end}", "#".repeat(filled.min(30)), ".".repeat(30 - filled.min(30)));
    } else if done >= all {
        anstream::eprintln!("{table}: {done} rows");
    }
}
