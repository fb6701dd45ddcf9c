//! `watchfire mute add|rm|ls`.

use anyhow::Result;
use clap::Subcommand;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::print::time;
use super::remote::Remote;
use super::{Common, ExitStatus, block_on};
use crate::api::{ChannelState, Channels, MuteRequest, MuteResponse};

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
pub fn run(common: &Common, command: &MuteCommand) -> Result<ExitStatus> {
    block_on(async {
        let remote = Remote::open(common).await?;
        let result = match command {
            MuteCommand::Add { channel, duration, reason } => {
                let request = MuteRequest { duration: duration.clone(), reason: reason.clone() };
                let until = |muted: MuteResponse| format!("{channel} is muted until {}", time(muted.until.unwrap_or_default()));
                remote.post(&path(channel), &request).await.map(until)
            }
            MuteCommand::Rm { channel } => remote.delete(&path(channel)).await.map(|_: MuteResponse| format!("{channel} is no longer muted")),
            MuteCommand::Ls { json } => ls(&remote, *json).await,
        };
        remote.close().await;
        anstream::println!("{}", result?);
        Ok(ExitStatus::Success)
    })?
}

fn path(channel: &str) -> String {
    format!("/api/v1/channels/{}/mute", utf8_percent_encode(channel, NON_ALPHANUMERIC))
}

async fn ls(remote: &Remote, as_json: bool) -> Result<String> {
    let found: Channels = remote.get("/api/v1/channels").await?;
    let muted: Vec<ChannelState> = found.channels.into_iter().filter(|channel| channel.muted_until.is_some()).collect();
    if as_json {
        return Ok(serde_json::to_string(&Channels { channels: muted })?);
    }
    if muted.is_empty() {
        return Ok("no channel is muted".into());
    }
    let row = |channel: &ChannelState| {
        let reason = channel.muted_reason.as_deref().unwrap_or_default();
        format!("{:<16} until {}  {reason}", channel.name, time(channel.muted_until.unwrap_or_default()))
    };
    Ok(muted.iter().map(row).collect::<Vec<_>>().join("\n"))
}
