//! `watchfire incidents ls|show`: what goes on, since when, and who was notified what.

use anyhow::Result;
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::part::Part;
use super::print::{more, shown, time};
use super::remote::{Remote, print_answer};
use super::table::{Table, cell, number, state, text};
use super::{Common, ExitStatus};
use crate::api::{ActRequest, ActResponse, IncidentResponse, IncidentSummary, Incidents};
use crate::model::Verb;

/// Look at incidents.
#[derive(Debug, Subcommand)]
pub enum IncidentsCommand {
    /// List incidents, newest first.
    Ls {
        /// Only those in these states: firing, acked, snoozed, resolved, stale, closed, superseded.
        #[arg(long, value_delimiter = ',')]
        state: Vec<String>,
        /// Only those at least as severe: critical, error, warning or info.
        #[arg(long)]
        severity: Option<String>,
        /// Only those whose title holds this text.
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        part: Part,
    },
    /// Show an incident: its messages and its timeline.
    Show {
        /// Its number, as 1842.
        number: String,
    },
}

/// Runs `incidents`.
pub fn run(common: &Common, command: &IncidentsCommand) -> Result<ExitStatus> {
    print_answer(common, async |remote| answer(remote, command, common.json).await)
}

async fn answer(remote: &Remote, command: &IncidentsCommand, as_json: bool) -> Result<String> {
    match command {
        IncidentsCommand::Ls { state, severity, title, part } => {
            let states = (!state.is_empty()).then(|| state.join(","));
            let filters = [("state", states.as_deref()), ("severity", severity.as_deref()), ("title", title.as_deref())];
            let path = format!("/api/v1/incidents?{}", part.query(&filters));
            let found: Incidents = remote.get(&path).await?;
            shown(as_json, &found, table)
        }
        IncidentsCommand::Show { number } => {
            let number = utf8_percent_encode(number.trim_start_matches('#'), NON_ALPHANUMERIC);
            let found: IncidentResponse = remote.get(&format!("/api/v1/incidents/{number}")).await?;
            shown(as_json, &found, details)
        }
    }
}

fn table(found: &Incidents) -> String {
    if found.incidents.is_empty() && found.next.is_none() {
        return "no incidents match".into();
    }
    let columns = Table([text("NUMBER", 8), text("STATE", 8), text("SEVERITY", 8), text("SINCE", 20), number("FIRING", 6), text("TITLE", 5)]);
    let row = |one: &IncidentSummary| {
        let (number, since) = (format!("#{}", one.number), time(one.opened_at));
        [cell(number), state(one.state.as_str()), state(one.severity.as_str()), cell(since), cell(one.firing), cell(&one.title)]
    };
    let below = found.next.as_ref().map(|next| more(next, found.searched_back_to.map(|number| format!("#{number}"))));
    columns.list(found.incidents.iter().map(row), below)
}

fn details(found: &IncidentResponse) -> String {
    let one = &found.incident;
    let mut out = format!("#{} {} ({}): {}\n", one.number, one.state.as_str(), one.severity.as_str(), one.title);
    // A body of one's own program names no receiver.
    let receiver = if one.receiver.is_empty() { String::new() } else { format!(" to the receiver `{}`", one.receiver) };
    out.push_str(&format!("  from {}{receiver}, group {}\n", one.source, found.group_key));
    let ended = one.ended_at.map_or_else(|| format!("last reported at {}", time(one.heard_at)), |at| format!("ended at {}", time(at)));
    let counts = [(one.firing, "firing"), (one.resolved, "resolved"), (one.unreported, "no longer reported")];
    let counts: Vec<String> = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    out.push_str(&format!("  began at {}, {ended}; {}\n", time(one.opened_at), counts.join(", ")));
    for message in &found.messages {
        let state = match (message.edited, message.shown >= found.version) {
            (true, true) => "up to date".to_owned(),
            (true, false) => format!("shows version {} of {}", message.shown, found.version),
            (false, _) => "not edited".to_owned(),
        };
        let ids: Vec<String> = message.platform_ids.iter().map(|(name, id)| format!("{name} {id}")).collect();
        let ids = if ids.is_empty() { String::new() } else { format!(", {}", ids.join(", ")) };
        out.push_str(&format!(
            "  on {} ({}): first notified at {}, {state}, {} edits{ids}\n",
            message.channel,
            message.recipient,
            time(message.notified_at),
            message.edits
        ));
    }
    if let Some(silence) = &one.silence {
        let reason = if silence.reason.is_empty() { String::new() } else { format!(": {}", silence.reason) };
        let until = time(silence.until);
        out.push_str(&format!("  silence until {until} by {} ({}): {}{reason}\n", silence.by, silence.via, silence.state.as_str()));
    }
    if let Some(mute) = &one.mute {
        out.push_str(&format!("  muted until {} by {}: {}\n", time(mute.until), mute.by, mute.matchers));
    }
    for step in &found.timeline {
        let channel = if step.channel.is_empty() { String::new() } else { format!(" {}", step.channel) };
        out.push_str(&format!("{}  {}{channel}: {}\n", time(step.at), step.kind, step.text));
    }
    out.trim_end().to_owned()
}

/// Which incident, and who acts on it.
#[derive(Debug, Args)]
pub struct ActArgs {
    /// Its number, as 1842.
    number: String,
    /// Who acts, for people. Default: the name of the credential.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// Options of `snooze` and `silence`.
#[derive(Debug, Args)]
pub struct SnoozeArgs {
    #[command(flatten)]
    what: ActArgs,
    /// For how long, as a Prometheus duration (`2h`), at most 30 days.
    #[arg(long = "for", value_name = "DURATION", required_unless_present = "until", conflicts_with = "until")]
    duration: Option<String>,
    /// Until when: the next `09:00` or `2026-12-04 18:00` in `time_zone`, or `2026-12-04T10:00:00Z`.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// Runs `ack`, `unack`, `unsilence`, `escalate` and `close`.
pub fn act(common: &Common, verb: Verb, args: &ActArgs) -> Result<ExitStatus> {
    send_act(common, verb, args, (None, None))
}

/// Runs `snooze` and `silence`.
pub fn act_for(common: &Common, verb: Verb, args: &SnoozeArgs) -> Result<ExitStatus> {
    send_act(common, verb, &args.what, (args.duration.clone(), args.until.clone()))
}

fn send_act(common: &Common, verb: Verb, args: &ActArgs, (duration, until): (Option<String>, Option<String>)) -> Result<ExitStatus> {
    let number = utf8_percent_encode(args.number.trim_start_matches('#'), NON_ALPHANUMERIC);
    let path = format!("/api/v1/incidents/{number}/{}", verb.as_str());
    let request = ActRequest { by: args.by.clone(), duration, until };
    print_answer(common, async |remote| {
        let done: ActResponse = remote.post(&path, &request).await?;
        shown(common.json, &done, |done| done.text.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_without_a_receiver_names_none() {
        let shown = |receiver: &str| {
            let incident = serde_json::json!({
                "number": 7, "state": "firing", "severity": "critical", "title": "DiskFull db-1", "source": "direct", "receiver": receiver, "firing": 1,
                "resolved": 0, "unreported": 0, "opened_at": 1_796_015_000_000_i64, "heard_at": 1_796_015_060_000_i64, "ended_at": null, "acks": [],
                "silence": null, "mute": null,
            });
            let found = serde_json::json!({
                "incident": incident, "group_key": "DiskFull", "version": 1, "messages": [], "timeline": [], "deliveries": [],
            });
            details(&serde_json::from_value(found).unwrap())
        };
        let rest = "began at 2026-11-30 05:03:20Z, last reported at 2026-11-30 05:04:20Z; 1 firing";
        assert_eq!(shown(""), format!("#7 firing (critical): DiskFull db-1\n  from direct, group DiskFull\n  {rest}"));
        assert_eq!(shown("ops"), format!("#7 firing (critical): DiskFull db-1\n  from direct to the receiver `ops`, group DiskFull\n  {rest}"));
    }
}
