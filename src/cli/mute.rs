//! `watchfire mute add|rm|ls`.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::print::time;
use super::remote::Remote;
use super::{Common, ExitStatus, block_on};
use crate::api::{MuteRequest, MuteResponse, Mutes};
use crate::store::channel_matchers;

const PATH: &str = "/api/v1/mutes";

/// Mute channels and alerts for a while, end mutes, and list them.
#[derive(Debug, Subcommand)]
pub enum MuteCommand {
    /// Mute a channel, or the alerts that match: they are held back until the mute ends, then sent if they still fire.
    Add {
        #[command(flatten)]
        what: Matchers,
        /// How long, as a Prometheus duration (`2h`), at most a year. It replaces the mute with the same matchers.
        #[arg(long = "for", value_name = "DURATION")]
        duration: String,
        /// Why; shown wherever the mute is.
        #[arg(long)]
        reason: String,
    },
    /// End a mute.
    Rm {
        #[command(flatten)]
        what: Matchers,
    },
    /// List the mutes.
    Ls {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What a mute is about.
#[derive(Debug, Args)]
pub struct Matchers {
    /// The channel; alone, all of it.
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// A matcher as in Alertmanager (`team="db"`), may be repeated: an alert must match all of them. The label `channel` is the channel.
    #[arg(long = "matcher", value_name = "MATCHER")]
    matchers: Vec<String>,
}

impl Matchers {
    fn texts(&self) -> Result<Vec<String>> {
        let channel = self.channel.as_deref().map(channel_matchers);
        let all: Vec<String> = channel.into_iter().chain(self.matchers.iter().cloned()).collect();
        if all.is_empty() {
            bail!("name a channel (`--channel NAME`), matchers (`--matcher 'team=\"db\"'`), or both");
        }
        Ok(all)
    }
}

/// Runs a mute command.
pub fn run(common: &Common, command: &MuteCommand) -> Result<ExitStatus> {
    block_on(async {
        let remote = Remote::open(common).await?;
        let result = change(&remote, command).await;
        remote.close().await;
        anstream::println!("{}", result?);
        Ok(ExitStatus::Success)
    })?
}

async fn change(remote: &Remote, command: &MuteCommand) -> Result<String> {
    match command {
        MuteCommand::Add { what, duration, reason } => {
            let request = MuteRequest { matchers: what.texts()?, duration: duration.clone(), reason: reason.clone() };
            let muted: MuteResponse = remote.post(PATH, &request).await?;
            Ok(format!("{} is muted until {}", muted.matchers.join(","), time(muted.until.unwrap_or_default())))
        }
        MuteCommand::Rm { what } => {
            let named = what.texts()?.iter().map(|text| format!("matchers={}", utf8_percent_encode(text, NON_ALPHANUMERIC))).collect::<Vec<_>>();
            let ended: MuteResponse = remote.delete(&format!("{PATH}?{}", named.join("&"))).await?;
            Ok(format!("{} is no longer muted", ended.matchers.join(",")))
        }
        MuteCommand::Ls { json } => ls(remote, *json).await,
    }
}

async fn ls(remote: &Remote, as_json: bool) -> Result<String> {
    let found: Mutes = remote.get(PATH).await?;
    if as_json {
        return Ok(serde_json::to_string(&found)?);
    }
    if found.mutes.is_empty() {
        return Ok("nothing is muted".into());
    }
    let rows = found.mutes.iter().map(|mute| format!("{:<32} until {}  {}", mute.matchers.join(","), time(mute.until), mute.reason));
    Ok(rows.collect::<Vec<_>>().join("\n"))
}
