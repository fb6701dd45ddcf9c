//! `watchfire mute add|rm|ls`.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::print::{shown, time};
use super::remote::{Remote, print_answer};
use super::table::{Table, cell, text};
use super::{Common, ExitStatus};
use crate::api::{Mute, MuteRequest, MuteResponse, MuteState, Mutes};
use crate::delivery::mutes::{INDEFINITE, held_text};
use crate::model::Language;
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
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// End a mute.
    Rm {
        #[command(flatten)]
        what: Matchers,
    },
    /// List the mutes, of the file and by hand: whether each mutes, what it holds, and which never matched anything.
    Ls,
}

/// What a mute is about.
#[derive(Debug, Args)]
pub struct Matchers {
    /// Matchers as in Alertmanager (`'team="db", severity!="critical"'`): an alert must match all of them. The label `channel` is the channel.
    #[arg(value_name = "MATCHERS")]
    matchers: Vec<String>,
    /// The channel; alone, all of it.
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
}

impl Matchers {
    fn texts(&self) -> Result<Vec<String>> {
        if let Some(word) = self.matchers.iter().find(|text| !text.trim().is_empty() && !text.contains(['=', '~'])) {
            bail!("`{word}` is no matcher, as `team=\"db\"` is; a whole channel is `--channel {word}`");
        }
        let channel = self.channel.as_deref().map(channel_matchers);
        let all: Vec<String> = channel.into_iter().chain(self.matchers.iter().cloned()).collect();
        if all.is_empty() {
            bail!("write matchers (`'team=\"db\"'`), a channel (`--channel NAME`), or both");
        }
        Ok(all)
    }
}

/// Runs a mute command.
pub fn run(common: &Common, command: &MuteCommand) -> Result<ExitStatus> {
    // What is written wrongly is said without a server, too.
    if let MuteCommand::Add { what, .. } | MuteCommand::Rm { what } = command {
        what.texts()?;
    }
    print_answer(common, async |remote| change(remote, command, common.json).await)
}

async fn change(remote: &Remote, command: &MuteCommand, as_json: bool) -> Result<String> {
    match command {
        MuteCommand::Add { what, duration, reason } => {
            let request = MuteRequest { matchers: what.texts()?, duration: duration.clone(), reason: reason.clone() };
            let muted: MuteResponse = remote.post(PATH, &request).await?;
            shown(as_json, &muted, |muted| format!("{} is muted until {}", muted.matchers.join(","), time(muted.until.unwrap_or_default())))
        }
        MuteCommand::Rm { what } => {
            let named = what.texts()?.iter().map(|text| format!("matchers={}", utf8_percent_encode(text, NON_ALPHANUMERIC))).collect::<Vec<_>>();
            let ended: MuteResponse = remote.delete(&format!("{PATH}?{}", named.join("&"))).await?;
            shown(as_json, &ended, |ended| format!("{} is no longer muted", ended.matchers.join(",")))
        }
        MuteCommand::Ls => {
            let found: Mutes = remote.get(PATH).await?;
            shown(as_json, &found, table)
        }
    }
}

fn table(found: &Mutes) -> String {
    if found.mutes.is_empty() {
        return "nothing is muted".into();
    }
    let names = found.mutes.iter().map(|mute| match &mute.name {
        Some(name) => format!("{name} ({})", mute.matchers.join(",")),
        None => mute.matchers.join(","),
    });
    let columns = Table([text("MUTE", 32), text("WHEN", 27), text("HOLDS", 24), text("REASON", 6)]);
    columns.list(names.zip(&found.mutes).map(|(name, mute)| [cell(name), cell(when(mute)), cell(holds(mute)), cell(why(mute))]), None)
}

/// Whether it mutes, and until when.
fn when(mute: &Mute) -> String {
    match (mute.state, mute.until) {
        (MuteState::Active, Some(until)) => format!("until {}", time(until)),
        (MuteState::Active, None) => INDEFINITE.to_owned(),
        (MuteState::Waiting, _) => "not now".to_owned(),
        (MuteState::Ended, Some(until)) => format!("ended {}", time(until)),
        (MuteState::Ended, None) => "ended".to_owned(),
    }
}

/// What it holds or held; one that never held anything may be wrong.
fn holds(mute: &Mute) -> String {
    let held: [u32; 4] = mute.held.into();
    match (mute.held_at, mute.state) {
        _ if mute.drop => "drops".to_owned(),
        (None, _) => "matched nothing".to_owned(),
        (Some(_), MuteState::Active) if held == [0; 4] => "holds nothing".to_owned(),
        (Some(_), MuteState::Active) => format!("holds {}", held_text(&held, Language::En)),
        (Some(at), _) => format!("held something last at {}", time(at)),
    }
}

fn why(mute: &Mute) -> String {
    let by = mute.name.is_some() && !mute.by.is_empty();
    let owner = by.then(|| format!("owner {}", mute.by));
    let more: Vec<String> = owner.into_iter().chain(mute.ticket.as_ref().map(|ticket| format!("ticket {ticket}"))).collect();
    let reason = Language::En.reason_or_none(&mute.reason);
    if more.is_empty() { reason.to_owned() } else { format!("{reason} ({})", more.join(", ")) }
}
