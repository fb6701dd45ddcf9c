//! `watchfire events ls|show|replay`: what came in, also what had no delivery; its body, to be used in `render` or shown to others; and sent again.

use anyhow::Result;
use clap::Subcommand;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::part::Part;
use super::print::{more, shown, time};
use super::remote::{Remote, print_answer};
use super::table::{Table, cell, text};
use super::{Common, ExitStatus};
use crate::api::{AcceptedResponse, EventResponse, Events, ReplayRequest};
use crate::model::Event;
use crate::store::EventRow;

/// Look at what came in.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// List events, newest first, with the reason of those that led to no delivery.
    Ls {
        /// Only those of this source, as `alertmanager:prod`.
        #[arg(long)]
        source: Option<String>,
        /// Only those that led to no delivery.
        #[arg(long)]
        unrouted: bool,
        #[command(flatten)]
        part: Part,
    },
    /// Print an event's body as Alertmanager would send it, for `render --payload`; with --json the event with its deliveries.
    Show {
        /// Event id.
        id: String,
        /// Replace names, numbers and addresses, so that it can be shown to others.
        #[arg(long)]
        scrub: bool,
    },
    /// Send an event again, through the routing as it is now: a new event, in no incident, and never taken for a duplicate.
    Replay {
        /// Event id.
        id: String,
        /// Send to this channel instead, past the routing.
        #[arg(long, value_name = "CHANNEL")]
        to: Option<String>,
    },
}

/// Runs `events`.
pub fn run(common: &Common, command: &EventsCommand) -> Result<ExitStatus> {
    print_answer(common, async |remote| answer(remote, command, common.json).await)
}

async fn answer(remote: &Remote, command: &EventsCommand, as_json: bool) -> Result<String> {
    match command {
        EventsCommand::Ls { source, unrouted, part } => {
            let path = format!("/api/v1/events?{}", part.query(&[("source", source.as_deref()), ("unrouted", unrouted.then_some("true"))]));
            let found: Events = remote.get(&path).await?;
            shown(as_json, &found, table)
        }
        EventsCommand::Show { id, scrub } => {
            let path = format!("/api/v1/events/{}?scrub={scrub}", utf8_percent_encode(id, NON_ALPHANUMERIC));
            let found: EventResponse = remote.get(&path).await?;
            if as_json { Ok(serde_json::to_string(&found)?) } else { Ok(serde_json::to_string_pretty(&body(&found.event))?) }
        }
        EventsCommand::Replay { id, to } => {
            let path = format!("/api/v1/events/{}/replay", utf8_percent_encode(id, NON_ALPHANUMERIC));
            let made: AcceptedResponse = remote.post(&path, &ReplayRequest { to: to.clone() }).await?;
            shown(as_json, &made, replayed)
        }
    }
}

fn replayed(made: &AcceptedResponse) -> String {
    let mut out = format!("event {}", made.event);
    if made.deliveries.is_empty() {
        out.push_str(": no route leads to a channel; `--to CHANNEL` names one");
    }
    for delivery in &made.deliveries {
        out.push_str(&format!("\n{} on {}, {}", delivery.id, delivery.channel, delivery.state.as_str()));
    }
    out
}

fn table(found: &Events) -> String {
    if found.events.is_empty() && found.next.is_none() {
        return "no events match".into();
    }
    let columns = Table([text("EVENT", 36), text("ARRIVED", 20), text("SOURCE", 28), text("NOTE", 4)]);
    let row = |row: &EventRow| [cell(row.id), cell(time(row.received_at)), cell(&row.source), cell(row.note.as_deref().unwrap_or_default())];
    columns.list(found.events.iter().map(row), found.next.as_ref().map(|next| more(next, found.searched_back_to.map(time))))
}

/// The body as Alertmanager sends it, version 4.
fn body(event: &Event) -> Value {
    let time = |at: Option<jiff::Timestamp>| at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string());
    let alerts: Vec<Value> = event
        .alerts
        .iter()
        .map(|alert| {
            json!({
                "status": alert.status, "labels": alert.labels, "annotations": alert.annotations, "startsAt": time(alert.starts_at),
                "endsAt": time(alert.ends_at), "generatorURL": alert.generator_url, "fingerprint": alert.fingerprint,
            })
        })
        .collect();
    json!({
        "version": "4", "receiver": event.receiver, "status": event.status, "groupKey": event.group_key, "groupLabels": event.group_labels,
        "commonLabels": event.common_labels, "commonAnnotations": event.common_annotations, "externalURL": event.external_url,
        "truncatedAlerts": event.truncated, "alerts": alerts,
    })
}
