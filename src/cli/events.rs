//! `watchfire events ls|show`: what came in, also what led nowhere; and its body, to be used in `render` or shown to others.

use anyhow::{Context, Result};
use clap::Subcommand;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::queue::time;
use super::remote::Remote;
use super::{Common, Outcome, block_on};
use crate::model::Event;

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
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Go on behind this id.
        #[arg(long)]
        cursor: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print an event's body as Alertmanager would send it, for `render --payload`.
    Show {
        /// Event id.
        id: String,
        /// Replace names, numbers and addresses, so that it can be shown to others.
        #[arg(long)]
        scrub: bool,
    },
}

/// Runs `events`.
pub fn run(common: &Common, command: &EventsCommand) -> Result<Outcome> {
    block_on(async {
        let remote = Remote::open(common).await?;
        let result = answer(&remote, command).await;
        remote.close().await;
        anstream::println!("{}", result?);
        Ok(Outcome::Fine)
    })?
}

async fn answer(remote: &Remote, command: &EventsCommand) -> Result<String> {
    match command {
        EventsCommand::Ls { source, unrouted, limit, cursor, json } => {
            let mut path = format!("/api/v1/events?limit={limit}&unrouted={unrouted}");
            for (name, value) in [("source", source), ("cursor", cursor)] {
                if let Some(value) = value {
                    path.push_str(&format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
                }
            }
            let found = remote.call("GET", &path, None).await?;
            Ok(if *json { found.to_string() } else { table(&found) })
        }
        EventsCommand::Show { id, scrub } => {
            let path = format!("/api/v1/events/{}?scrub={scrub}", utf8_percent_encode(id, NON_ALPHANUMERIC));
            let mut found = remote.call("GET", &path, None).await?;
            let event: Event = serde_json::from_value(found["event"].take()).with_context(|| format!("event {id} was stored by another version"))?;
            Ok(serde_json::to_string_pretty(&body(&event))?)
        }
    }
}

fn table(found: &Value) -> String {
    let rows = found["events"].as_array().map_or(&[][..], Vec::as_slice);
    let mut out = format!("{:<36}  {:<20}  {:<28}  {}", "EVENT", "ARRIVED", "SOURCE", "NOTE");
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        out.push_str(&format!("\n{:<36}  {:<20}  {:<28}  {}", text("id"), time(&row["received_at"]), text("source"), text("note")));
    }
    if let Some(next) = found["next"].as_str() {
        out.push_str(&format!("\nmore: --cursor {next}"));
    }
    out
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
