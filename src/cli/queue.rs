//! `watchfire queue ls|show|retry|drop|move` and `watchfire backup`.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::remote::Remote;
use super::{Common, Outcome, block_on};

/// Look at, retry, drop and move deliveries.
#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List deliveries, newest first.
    Ls(Filter),
    /// Show one delivery: event, message, every attempt with the platform's answer.
    Show {
        /// Delivery id.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send again what is dead, dropped, skipped, expired or unknown, with the templates as they are now; what is muted or waits for its next try goes when
    /// its turn comes.
    Retry(Which),
    /// End deliveries for good.
    Drop {
        #[command(flatten)]
        which: Which,
        /// Why; kept with them.
        #[arg(long)]
        reason: String,
    },
    /// Send deliveries to another channel instead.
    Move {
        #[command(flatten)]
        which: Which,
        /// The channel.
        #[arg(long)]
        to: String,
    },
}

/// Which deliveries to list.
#[derive(Debug, Clone, Args)]
pub struct Filter {
    /// Only this channel.
    #[arg(long)]
    channel: Option<String>,
    /// Only these states: waiting, deferred, sent, dead, dropped, skipped, expired, unknown.
    #[arg(long, value_delimiter = ',')]
    state: Vec<String>,
    /// Only those born at or after this (RFC 3339).
    #[arg(long)]
    since: Option<String>,
    /// Only those born before this (RFC 3339).
    #[arg(long)]
    until: Option<String>,
    /// Only those that this message carried.
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Only those whose title or reason holds this text.
    #[arg(long)]
    text: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Continue after this id, which the previous page ended with.
    #[arg(long)]
    cursor: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Deliveries by id, or all that match.
#[derive(Debug, Args)]
pub struct Which {
    /// Delivery ids.
    ids: Vec<String>,
    /// All deliveries in this state instead (with --channel, only its).
    #[arg(long, conflicts_with = "ids")]
    all: Option<String>,
    /// With --all: only this channel.
    #[arg(long, requires = "all")]
    channel: Option<String>,
}

/// Runs a queue command.
pub fn run(common: &Common, command: &QueueCommand) -> Result<Outcome> {
    block_on(async {
        let remote = Remote::open(common).await?;
        let result = match command {
            QueueCommand::Ls(filter) => ls(&remote, filter).await,
            QueueCommand::Show { id, json } => show(&remote, id, *json).await,
            QueueCommand::Retry(which) => each(&remote, which, "retry", json!({})).await,
            QueueCommand::Drop { which, reason } => each(&remote, which, "drop", json!({ "reason": reason })).await,
            QueueCommand::Move { which, to } => each(&remote, which, "move", json!({ "to": to })).await,
        };
        remote.close().await;
        result
    })?
}

async fn ls(remote: &Remote, filter: &Filter) -> Result<Outcome> {
    let answer = remote.call("GET", &format!("/api/v1/deliveries?{}", filter.query()), None).await?;
    if filter.json {
        anstream::println!("{answer}");
        return Ok(Outcome::Fine);
    }
    let rows = answer["deliveries"].as_array().cloned().unwrap_or_default();
    if rows.is_empty() {
        anstream::println!("no deliveries match");
    }
    for row in rows {
        let text = |key: &str| row[key].as_str().unwrap_or("").to_owned();
        anstream::println!(
            "{}  {}  {:<8} {:<16} {:>2} {}  {}  {}",
            text("id"),
            time(&row["born_at"]),
            text("state"),
            text("channel"),
            row["tries"],
            // Of one width, so that what follows stands in columns.
            if row["tries"] == 1 { "try  " } else { "tries" },
            text("title"),
            text("reason")
        );
    }
    if let Some(next) = answer["next"].as_str() {
        anstream::println!("more: --cursor {next}");
    }
    Ok(Outcome::Fine)
}

async fn show(remote: &Remote, id: &str, json: bool) -> Result<Outcome> {
    let answer = remote.call("GET", &format!("/api/v1/deliveries/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)), None).await?;
    if json {
        anstream::println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        anstream::print!("{}", super::explain::delivery(&answer, true));
    }
    Ok(Outcome::Fine)
}

/// Applies an action to deliveries named by id, or, in pages, to all that match.
async fn each(remote: &Remote, which: &Which, action: &str, extra: Value) -> Result<Outcome> {
    let mut total = 0;
    let mut ids = which.ids.clone();
    let mut cursor: Option<String> = None;
    if ids.is_empty() && which.all.is_none() {
        anyhow::bail!("name delivery ids, or --all STATE");
    }
    loop {
        let mut next = None;
        if let Some(state) = &which.all {
            let filter = Filter {
                message: None,
                channel: which.channel.clone(),
                state: vec![state.clone()],
                since: None,
                until: None,
                text: None,
                limit: 500,
                cursor: cursor.clone(),
                json: false,
            };
            let answer = remote.call("GET", &format!("/api/v1/deliveries?{}", filter.query()), None).await?;
            ids = answer["deliveries"].as_array().into_iter().flatten().filter_map(|r| r["id"].as_str().map(str::to_owned)).collect();
            next = answer["next"].as_str().map(str::to_owned);
        }
        if !ids.is_empty() {
            let mut body = extra.clone();
            body["ids"] = json!(ids);
            let answer = remote.call("POST", &format!("/api/v1/deliveries/{action}"), Some(&body)).await?;
            total += answer["dropped"].as_u64().unwrap_or_else(|| answer["deliveries"].as_array().map_or(0, |d| d.len() as u64));
            for made in answer["deliveries"].as_array().into_iter().flatten() {
                anstream::println!("{} on {}", made["id"].as_str().unwrap_or(""), made["channel"].as_str().unwrap_or(""));
            }
        }
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    anstream::println!("{action}: {total} deliveries{}", if remote.is_server() { "" } else { " (no server runs; they are sent when one does)" });
    Ok(Outcome::Fine)
}

impl Filter {
    fn query(&self) -> String {
        let mut parts = vec![format!("limit={}", self.limit)];
        let mut add = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                parts.push(format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
            }
        };
        let states = self.state.join(",");
        add("channel", self.channel.as_deref());
        add("state", Some(states.as_str()).filter(|s| !s.is_empty()));
        add("since", self.since.as_deref());
        add("until", self.until.as_deref());
        add("text", self.text.as_deref());
        add("message", self.message.as_deref());
        add("cursor", self.cursor.as_deref());
        parts.join("&")
    }
}

/// Options of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; it must not exist.
    file: PathBuf,
}

/// Writes a copy of the store.
pub fn backup(common: &Common, args: &BackupArgs) -> Result<Outcome> {
    block_on(async {
        let remote = Remote::open(common).await?;
        let file = std::path::absolute(&args.file)?;
        let result = remote.call("POST", "/api/v1/backup", Some(&json!({ "file": file }))).await;
        remote.close().await;
        result?;
        anstream::println!("written to {}", file.display());
        Ok(Outcome::Fine)
    })?
}

/// Unix milliseconds as a person reads them.
pub fn time(value: &Value) -> String {
    value.as_i64().map(|ms| crate::delivery::clock::timestamp(ms).strftime("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_else(|| "-".into())
}
