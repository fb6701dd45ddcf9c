//! `watchfire drill`: does somebody answer?

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::print::time;
use super::remote::Remote;
use super::{Common, ExitStatus, block_on};
use crate::api::{ActRequest, ActResponse, DrillResponse, IncidentResponse};
use crate::model::{UnixMs, format_duration};

/// How often the incident is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Try out what is for emergencies.
#[derive(Debug, Subcommand)]
pub enum DrillCommand {
    /// Run an escalation with messages that are marked as a drill, and report who acks after how long. Its steps come at their real times.
    Escalation {
        /// Its name.
        name: String,
        /// How long an ack is waited for after the last step.
        #[arg(long, value_name = "DURATION", default_value = "5m")]
        wait: String,
    },
    /// Send a message with buttons, marked as a drill, and report who pressed one after how long.
    Press {
        /// The channel.
        #[arg(value_name = "CHANNEL", required_unless_present = "channel", conflicts_with = "channel")]
        name: Option<String>,
        /// The channel, too.
        #[arg(long, short, value_name = "NAME")]
        channel: Option<String>,
        /// How long a press is waited for.
        #[arg(long, value_name = "DURATION", default_value = "5m")]
        wait: String,
    },
}

/// Runs a drill. Fails when nobody acks.
pub fn run(common: &Common, command: &DrillCommand) -> Result<ExitStatus> {
    let (of, name, wait) = match command {
        DrillCommand::Escalation { name, wait } => ("escalations", name, wait),
        DrillCommand::Press { name, channel, wait } => {
            let named = name.as_ref().or(channel.as_ref());
            ("channels", named.context("name the channel: `watchfire drill press CHANNEL`")?, wait)
        }
    };
    let wait = crate::model::parse_duration(wait)?;
    block_on(async {
        let remote = Remote::open(common).await?;
        let result = drill(&remote, &format!("/api/v1/{of}/{}/drill", utf8_percent_encode(name, NON_ALPHANUMERIC)), wait, common.json).await;
        remote.close().await;
        result
    })?
}

/// Waits for an ack. Prints what happens as it happens, or, as JSON, the incident as it is at the end.
async fn drill(remote: &Remote, path: &str, wait: Duration, as_json: bool) -> Result<ExitStatus> {
    if matches!(remote, Remote::Local { .. }) {
        bail!("a drill needs the running server: nothing sends its messages otherwise");
    }
    let DrillResponse { incident } = remote.post(path, &serde_json::Value::Null).await?;
    let say = |line: String| {
        if !as_json {
            anstream::println!("{line}");
        }
    };
    say(format!("the drill is #{incident}; ack it by any message of it"));
    let path = format!("/api/v1/incidents/{}", incident.0);
    let mut printed = HashSet::new();
    let mut idle = Duration::ZERO;
    let (found, status) = loop {
        let found: IncidentResponse = remote.get(&path).await?;
        for step in found.timeline.iter().filter(|step| step.kind != "edited") {
            let line = format!("{}  {} {}: {}", time(step.at), step.kind, step.channel, step.text);
            if printed.insert(line.clone()) {
                say(line);
            }
        }
        if let Some(ack) = found.incident.acks.first() {
            let after = Duration::from_secs(ack.at.since(found.incident.opened_at).as_secs());
            say(format!("acked by {} ({}) after {}", ack.by, ack.via, format_duration(after)));
            break (found, ExitStatus::Success);
        }
        if found.incident.ended_at.is_some() {
            say("it was ended without an ack".to_owned());
            break (found, ExitStatus::Failure);
        }
        let waits = found.deliveries.iter().any(|delivery| delivery.done_at.unwrap_or(UnixMs::EPOCH) == UnixMs::EPOCH);
        idle = if waits { Duration::ZERO } else { idle + LOOK };
        if idle >= wait {
            say(format!("nobody acked it: all was sent {} ago", format_duration(wait)));
            break (found, ExitStatus::Failure);
        }
        tokio::time::sleep(LOOK).await;
    };
    if as_json {
        anstream::println!("{}", serde_json::to_string(&found)?);
    }
    if found.incident.ended_at.is_some() {
        return Ok(status);
    }
    let _: ActResponse = remote.post(&format!("{path}/close"), &ActRequest { by: Some("the drill".into()), ..ActRequest::default() }).await?;
    Ok(status)
}
