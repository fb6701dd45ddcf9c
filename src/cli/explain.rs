//! `watchfire explain <delivery-id | event-id | --payload F>`: why was this (not) sent.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{ArgGroup, Args};

use super::print;
use super::remote::Remote;
use super::{Common, ExitStatus, block_on, load};
use crate::api::{DeliveryResponse, EventResponse};
use crate::http::explain::explain_event;

/// Deliveries of one event that are shown in full; the others are a line each.
const FULL: usize = 10;

/// Options of `explain`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["id", "payload", "event"]))]
pub struct ExplainArgs {
    /// A delivery's or event's id.
    id: Option<String>,
    /// A webhook body instead: what would happen to it now. `-` reads standard input.
    #[arg(long, short, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// The body of an event that was received, by its id: what would happen to it now.
    #[arg(long, value_name = "ID")]
    event: Option<String>,
}

/// Explains.
pub fn run(common: &Common, args: &ExplainArgs) -> Result<ExitStatus> {
    let Some(id) = &args.id else { return payload(common, args) };
    let id: uuid::Uuid = id.trim().parse().map_err(|_| not_an_id(id))?;
    block_on(async {
        let remote = Remote::open(common).await?;
        let result = explain(&remote, id, common.json).await;
        remote.close().await;
        anstream::print!("{}", result?);
        Ok(ExitStatus::Success)
    })?
}

/// Messages name the number of an incident: it is what a reader has at hand.
fn not_an_id(id: &str) -> anyhow::Error {
    let number = id.trim().trim_start_matches('#');
    if number.parse::<u64>().is_ok() {
        return anyhow::anyhow!("`{id}` is no id, but the number of an incident: `watchfire incidents show {number}` shows it");
    }
    anyhow::anyhow!("`{id}` is no id: ids look like 0198c5b2-7f6e-7c3a-9d41-5b8f0a2e6c17; `watchfire queue ls` and `watchfire events ls` list them")
}

async fn explain(remote: &Remote, id: uuid::Uuid, as_json: bool) -> Result<String> {
    let out = if let Some(found) = remote.find::<DeliveryResponse>(&format!("/api/v1/deliveries/{id}")).await? {
        if as_json { format!("{}\n", serde_json::to_string(&found)?) } else { print::delivery(&found, true) }
    } else if let Some(found) = remote.find::<EventResponse>(&format!("/api/v1/events/{id}")).await? {
        if as_json { format!("{}\n", serde_json::to_string(&found)?) } else { event(remote, &found).await? }
    } else {
        bail!(
            "no delivery and no event has the id {id}; `watchfire queue ls` and `watchfire events ls` list them (what is final is removed after `retention`)"
        );
    };
    let idle = if remote.is_server() || as_json { "" } else { "no server runs now: what waits goes on when one is started\n" };
    Ok(out + idle)
}

async fn event(remote: &Remote, event: &EventResponse) -> Result<String> {
    let mut out = format!("event {} from {} at {}\n", event.id, event.event.source, print::time(event.received_at));
    if let Some(note) = &event.note {
        out.push_str(&format!("  {}: {note}\n", if event.deliveries.is_empty() { "nothing was delivered" } else { "note" }));
    }
    out.push_str(&print::routes(event.routes.as_ref()));
    for row in event.deliveries.iter().take(FULL) {
        let one: DeliveryResponse = remote.get(&format!("/api/v1/deliveries/{}", row.id)).await?;
        out.push('\n');
        out.push_str(&print::delivery(&one, false));
    }
    for row in event.deliveries.iter().skip(FULL) {
        out.push_str(&format!("\ndelivery {} to {}: {}", row.id, row.channel, row.state.as_str()));
    }
    if event.deliveries.len() > FULL {
        out.push('\n');
    }
    Ok(out)
}

fn payload(common: &Common, args: &ExplainArgs) -> Result<ExitStatus> {
    if args.event.is_none() {
        common.refuse_remote("explain --payload")?;
    }
    let loaded = load(common, false)?;
    let now = crate::delivery::Clock::system().wall().timestamp();
    let event = super::render::of(common, args.payload.as_deref(), args.event.as_deref(), &loaded.inputs, now)?;
    let explained = explain_event(&loaded.plan, &std::sync::Arc::new(event), now, &Default::default());
    if common.json {
        anstream::println!("{}", serde_json::to_string(&explained)?);
    } else {
        anstream::print!("{}", print::forecast(&explained));
    }
    Ok(ExitStatus::Success)
}
