//! `watchfire drill`: does somebody answer?

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::signal::unix::{SignalKind, signal};

use super::print::time;
use super::remote::Remote;
use super::state::deaf;
use super::{Common, ExitStatus, block_on};
use crate::api::{ActRequest, ActResponse, ChannelState, Channels, DrillResponse, IncidentResponse};
use crate::delivery::Clock;
use crate::model::{UnixMs, format_duration};
use crate::store::{DeliveryRow, State};

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
        let path = format!("/api/v1/{of}/{}/drill", utf8_percent_encode(name, NON_ALPHANUMERIC));
        let waits = if of == "channels" { Waits::SinceBegun(wait) } else { Waits::SinceSent(wait) };
        let result = drill(&remote, &path, waits, common.json).await;
        remote.close().await;
        result
    })?
}

/// How long an ack is waited for.
#[derive(Debug, Clone, Copy)]
enum Waits {
    /// From the begin of the drill.
    SinceBegun(Duration),
    /// From the last message on, as far as messages leave.
    SinceSent(Duration),
}

impl Waits {
    /// Whether that time has not begun: messages are on their way, or come later.
    fn goes_on(self, deliveries: &[DeliveryRow], now: UnixMs) -> bool {
        let comes = |row: &DeliveryRow| !row.state.is_final() && (row.reason.is_none() || row.due_at > now);
        matches!(self, Self::SinceSent(_)) && deliveries.iter().any(comes)
    }

    /// Why nobody is waited for any more, after so long; `None`: somebody may still ack.
    fn end(self, deliveries: &[DeliveryRow], idle: Duration) -> Option<String> {
        let (Self::SinceBegun(most) | Self::SinceSent(most)) = self;
        let most_said = format_duration(most);
        if !deliveries.is_empty() && deliveries.iter().all(|row| row.state.is_final() && !matches!(row.state, State::Sent | State::Unknown)) {
            return Some("nobody can ack it: none of its messages was delivered".to_owned());
        }
        if idle < most {
            return None;
        }
        let all_left = deliveries.iter().all(|row| row.state.is_final());
        Some(match (self, all_left) {
            (_, false) => format!("nobody acked it within {most_said}, and not all of its messages were sent"),
            (Self::SinceBegun(_), true) => format!("nobody acked it within {most_said}"),
            (Self::SinceSent(_), true) => format!("nobody acked it: all was sent {most_said} ago"),
        })
    }
}

/// What keeps messages of the drill from people, or their presses from the server: a line each.
fn troubles(found: &IncidentResponse, channels: &Channels) -> Vec<String> {
    let is_of_drill = |channel: &&ChannelState| found.deliveries.iter().any(|row| row.channel == channel.name);
    let of_channel = |channel: &ChannelState| {
        let suspended = channel.suspended.as_ref().map(|why| format!("suspended: {why}"));
        suspended.into_iter().chain(deaf(channel)).map(|why| format!("channel {}: {why}", channel.name)).collect::<Vec<_>>()
    };
    let reasons = found.deliveries.iter().filter(|row| row.state != State::Sent);
    let reasons = reasons.filter_map(|row| Some(format!("{} to {}: {}", row.state.as_str(), row.channel, row.reason.as_ref()?)));
    reasons.chain(channels.channels.iter().filter(is_of_drill).flat_map(of_channel)).collect()
}

/// Ends when somebody stops the command.
fn stopped() -> Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    })
}

/// Waits for an ack. Prints what happens as it happens, or, as JSON, the incident as it is at the end.
async fn drill(remote: &Remote, path: &str, waits: Waits, as_json: bool) -> Result<ExitStatus> {
    if matches!(remote, Remote::Local { .. }) {
        bail!("a drill needs the running server: nothing sends its messages otherwise");
    }
    // What is stopped is closed, too: its steps would go on to call people.
    let mut stopped = std::pin::pin!(stopped()?);
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
        let steps = found.timeline.iter().filter(|step| step.kind != "edited");
        let mut lines: Vec<String> = steps.map(|step| format!("{}  {} {}: {}", time(step.at), step.kind, step.channel, step.text)).collect();
        lines.extend(troubles(&found, &remote.get::<Channels>("/api/v1/channels").await?));
        for line in lines {
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
        idle = if waits.goes_on(&found.deliveries, Clock::system().wall()) { Duration::ZERO } else { idle + LOOK };
        if let Some(why) = waits.end(&found.deliveries, idle) {
            say(why);
            break (found, ExitStatus::Failure);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = &mut stopped => {
                say("stopped before anybody acked it".to_owned());
                break (found, ExitStatus::Failure);
            }
        }
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
