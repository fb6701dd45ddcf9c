//! `watchfire explain <delivery-id | event-id | --payload F>`: why was this (not) sent.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::Value;

use super::queue::time;
use super::remote::Remote;
use super::{Common, Outcome, block_on, load};
use crate::http::foretell::foretell;

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A delivery's or event's id.
    id: Option<String>,
    /// A webhook body instead: what would happen to it now.
    #[arg(long, short, value_name = "FILE", conflicts_with = "id")]
    payload: Option<PathBuf>,
    /// The body of an event that was received, by its id: what would happen to it now.
    #[arg(long, value_name = "ID", conflicts_with_all = ["id", "payload"])]
    event: Option<String>,
}

/// Explains.
pub fn run(common: &Common, args: &ExplainArgs) -> Result<Outcome> {
    if args.payload.is_some() || args.event.is_some() {
        return payload(common, args.payload.as_deref(), args.event.as_deref());
    }
    let Some(id) = &args.id else { bail!("name a delivery's or event's id, or --payload FILE") };
    block_on(async {
        let remote = Remote::open(common).await?;
        let result = explain(&remote, id).await;
        remote.close().await;
        anstream::print!("{}", result?);
        Ok(Outcome::Fine)
    })?
}

async fn explain(remote: &Remote, id: &str) -> Result<String> {
    match remote.call("GET", &format!("/api/v1/deliveries/{id}"), None).await {
        Ok(found) => Ok(delivery(&found)),
        Err(_) => {
            let event = remote.call("GET", &format!("/api/v1/events/{id}"), None).await?;
            let mut out = format!("event {} from {} at {}\n", id, event["event"]["source"].as_str().unwrap_or(""), time(&event["received_at"]));
            if let Some(note) = event["note"].as_str() {
                out.push_str(&format!("  {note}\n"));
            }
            for row in event["deliveries"].as_array().into_iter().flatten() {
                let one = remote.call("GET", &format!("/api/v1/deliveries/{}", row["id"].as_str().unwrap_or("")), None).await?;
                out.push('\n');
                out.push_str(&delivery(&one));
            }
            Ok(out)
        }
    }
}

fn payload(common: &Common, path: Option<&std::path::Path>, id: Option<&str>) -> Result<Outcome> {
    let loaded = load(common, false)?;
    let now = crate::delivery::Clock::system().now();
    let event = super::render::of(common, path, id, now)?;
    let told = serde_json::to_value(foretell(&loaded.plan, &event, now, &Default::default()))?;
    for alert in told["alerts"].as_array().into_iter().flatten() {
        let text = |name: &str| alert[name].as_str().unwrap_or_default();
        anstream::println!("alert {} {} ({})\n{}", alert["number"], text("name"), text("status"), text("routes"));
    }
    for delivery in told["deliveries"].as_array().into_iter().flatten() {
        let text = |name: &str| delivery[name].as_str().unwrap_or_default();
        let reason = delivery["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
        anstream::println!("-> {} {}{reason}  [{}]  pace {}", text("channel"), text("state"), text("title"), text("pace"));
        for page in delivery["pages"].as_array().into_iter().flatten() {
            let unit = page["unit"].as_str().unwrap_or_default();
            anstream::println!("   page {}/{}: {} of {} {unit}", page["page"], page["of"], page["size"], page["limit"]);
        }
    }
    Ok(Outcome::Fine)
}

/// One delivery's story on one screen.
pub fn delivery(detail: &Value) -> String {
    let row = &detail["delivery"];
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let mut out = format!("delivery {}\n  {}\n", text(&row["id"]), text(&row["title"]));
    out.push_str(&format!(
        "  to {} ({} firing, {} resolved), born {}\n",
        text(&row["channel"]),
        row["firing"],
        row["resolved"],
        time(&row["born_at"])
    ));
    out.push_str(&format!("  state {}", text(&row["state"])));
    if let Some(at) = row["done_at"].as_i64() {
        out.push_str(&format!(" since {}", time(&at.into())));
    }
    if let Some(reason) = row["reason"].as_str() {
        out.push_str(&format!(": {reason}"));
    }
    out.push_str(&format!("\n  chosen by {}", text(&detail["route"])));
    let fallback: Vec<_> = detail["fallback"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !fallback.is_empty() {
        out.push_str(&format!("; if it dies: {}", fallback.join(", then ")));
    }
    out.push_str(&format!("\n  event {} from {}\n", text(&detail["event"]["id"]), text(&detail["event"]["body"]["source"])));
    let attempts = |out: &mut String, list: &Value| {
        for attempt in list.as_array().into_iter().flatten() {
            out.push_str(&format!(
                "    {}  page {}  {}  {}  {}\n",
                time(&attempt["begun_at"]),
                attempt["page"].as_i64().unwrap_or(0) + 1,
                attempt["kind"].as_str().unwrap_or("under way"),
                text(&attempt["code"]),
                text(&attempt["answer"])
            ));
        }
    };
    let message = &detail["message"];
    if detail["earlier_attempts"].as_array().is_some_and(|list| !list.is_empty()) {
        out.push_str("  attempts that left nothing behind\n");
        attempts(&mut out, &detail["earlier_attempts"]);
    }
    if message.is_object() {
        out.push_str(&format!(
            "  message {} ({}, {} deliveries, {} pages)\n",
            text(&message["id"]),
            text(&message["kind"]),
            message["deliveries"],
            message["pages"].as_array().map_or(0, Vec::len)
        ));
        attempts(&mut out, &message["attempts"]);
        for cell in message["cells"].as_array().into_iter().flatten() {
            out.push_str(&format!("    page {} to {}: {} {}\n", cell["page"], text(&cell["recipient"]), text(&cell["state"]), text(&cell["code"])));
        }
    }
    for child in detail["children"].as_array().into_iter().flatten() {
        out.push_str(&format!("  fallback {} on {}: {}\n", text(&child["id"]), text(&child["channel"]), text(&child["state"])));
    }
    if let Some(pace) = detail["pace"].as_str() {
        out.push_str(&format!("  pace of the channel: {pace}\n"));
    }
    out.push_str(&format!("  next: {}\n", text(&detail["next"])));
    out
}
