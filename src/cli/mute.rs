//! `watchfire mute add|rm|ls`.

use anyhow::Result;
use clap::Subcommand;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::queue::time;
use super::remote::Remote;
use super::{Common, Outcome, block_on};

/// Mute channels for a while, end mutes, and list them.
#[derive(Debug, Subcommand)]
pub enum MuteCommand {
    /// Mute a channel: alerts are held back until the mute ends, then sent if they still fire.
    Add {
        /// The channel.
        #[arg(long, value_name = "NAME")]
        channel: String,
        /// How long, as a Prometheus duration (`2h`), at most a year. It replaces the mute that the channel has.
        #[arg(long = "for", value_name = "DURATION")]
        duration: String,
        /// Why; shown wherever the mute is.
        #[arg(long)]
        reason: String,
    },
    /// End the mute of a channel.
    Rm {
        /// The channel.
        #[arg(long, value_name = "NAME")]
        channel: String,
    },
    /// List the channels that are muted.
    Ls {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a mute command.
pub fn run(common: &Common, command: &MuteCommand) -> Result<Outcome> {
    block_on(async {
        let remote = Remote::open(common).await?;
        let result = match command {
            MuteCommand::Add { channel, duration, reason } => {
                let body = json!({ "for": duration, "reason": reason });
                remote.call("POST", &path(channel), Some(&body)).await.map(|a| format!("{channel} is muted until {}", time(&a["until"])))
            }
            MuteCommand::Rm { channel } => remote.call("DELETE", &path(channel), None).await.map(|_| format!("{channel} is no longer muted")),
            MuteCommand::Ls { json } => ls(&remote, *json).await,
        };
        remote.close().await;
        anstream::println!("{}", result?);
        Ok(Outcome::Fine)
    })?
}

fn path(channel: &str) -> String {
    format!("/api/v1/channels/{}/mute", utf8_percent_encode(channel, NON_ALPHANUMERIC))
}

async fn ls(remote: &Remote, as_json: bool) -> Result<String> {
    let answer = remote.call("GET", "/api/v1/channels", None).await?;
    let muted: Vec<_> = answer["channels"].as_array().into_iter().flatten().filter(|channel| channel["muted_until"].is_i64()).collect();
    if as_json {
        let rows = muted.iter().map(|c| json!({ "channel": c["name"], "until": c["muted_until"], "reason": c["muted_reason"] }));
        return Ok(json!({ "mutes": rows.collect::<Vec<_>>() }).to_string());
    }
    if muted.is_empty() {
        return Ok("no channel is muted".into());
    }
    let row = |c: &&serde_json::Value| {
        let text = |key: &str| c[key].as_str().unwrap_or_default().to_owned();
        format!("{:<16} until {}  {}", text("name"), time(&c["muted_until"]), text("muted_reason"))
    };
    Ok(muted.iter().map(row).collect::<Vec<_>>().join("\n"))
}
