//! `watchfire explain <delivery-id | event-id | --payload F>`: why was this (not) sent.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{ArgGroup, Args};
use serde_json::Value;

use super::queue::time;
use super::remote::Remote;
use super::{Common, Outcome, block_on, load};
use crate::http::foretell::foretell;

/// Deliveries of one event that are told in full; the others are a line each.
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
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Explains.
pub fn run(common: &Common, args: &ExplainArgs) -> Result<Outcome> {
    let Some(id) = &args.id else { return payload(common, args) };
    let id: uuid::Uuid = id.trim().parse().map_err(|_| {
        anyhow::anyhow!(
            "`{id}` is no id: ids look like 0198c5b2-7f6e-7c3a-9d41-5b8f0a2e6c17; `watchfire queue ls` and `watchfire events ls` list them"
        )
    })?;
    block_on(async {
        let remote = Remote::open(common).await?;
        let result = explain(&remote, id, args.json).await;
        remote.close().await;
        anstream::print!("{}", result?);
        Ok(Outcome::Fine)
    })?
}

async fn explain(remote: &Remote, id: uuid::Uuid, as_json: bool) -> Result<String> {
    let out = if let Some(found) = remote.find(&format!("/api/v1/deliveries/{id}")).await? {
        if as_json { format!("{found}\n") } else { delivery(&found, true) }
    } else if let Some(found) = remote.find(&format!("/api/v1/events/{id}")).await? {
        if as_json { format!("{found}\n") } else { event(remote, &found).await? }
    } else {
        bail!(
            "no delivery and no event has the id {id}; `watchfire queue ls` and `watchfire events ls` list them (what is final is removed after `retention`)"
        );
    };
    let idle = if remote.is_server() || as_json { "" } else { "no server runs now: what waits goes on when one is started\n" };
    Ok(out + idle)
}

async fn event(remote: &Remote, event: &Value) -> Result<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = format!("event {} from {} at {}\n", text(&event["id"]), text(&event["event"]["source"]), time(&event["received_at"]));
    if let Some(note) = event["note"].as_str() {
        let bare = event["deliveries"].as_array().is_none_or(Vec::is_empty);
        out.push_str(&format!("  {}: {note}\n", if bare { "nothing was delivered" } else { "note" }));
    }
    out.push_str(&routes(&event["routes"]));
    let rows = event["deliveries"].as_array().map_or(&[][..], Vec::as_slice);
    for row in rows.iter().take(FULL) {
        let one = remote.call("GET", &format!("/api/v1/deliveries/{}", text(&row["id"])), None).await?;
        out.push('\n');
        out.push_str(&delivery(&one, false));
    }
    for row in rows.iter().skip(FULL) {
        out.push_str(&format!("\ndelivery {} to {}: {}", text(&row["id"]), text(&row["channel"]), text(&row["state"])));
    }
    if rows.len() > FULL {
        out.push('\n');
    }
    Ok(out)
}

fn payload(common: &Common, args: &ExplainArgs) -> Result<Outcome> {
    let loaded = load(common, false)?;
    let now = crate::delivery::Clock::system().now();
    let event = super::render::of(common, args.payload.as_deref(), args.event.as_deref(), loaded.generic.as_ref(), now)?;
    let told = serde_json::to_value(foretell(&loaded.plan, &std::sync::Arc::new(event), now, &Default::default()))?;
    if args.json {
        anstream::println!("{told}");
    } else {
        anstream::print!("{}", prospect(&told));
    }
    Ok(Outcome::Fine)
}

/// What would happen to a body.
fn prospect(told: &Value) -> String {
    let mut out = ways(told);
    for delivery in told["deliveries"].as_array().into_iter().flatten() {
        let text = |name: &str| delivery[name].as_str().unwrap_or_default();
        let reason = delivery["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
        out.push_str(&format!("\n-> {} {}{reason}  [{}]\n", text("channel"), text("state"), text("title")));
        out.push_str(&format!(
            "   chosen by {}; {}, template {}, rate limit {}",
            text("route"),
            text("platform"),
            text("template"),
            text("rate_limit")
        ));
        out.push_str(&fallback(delivery));
        out.push('\n');
        for page in delivery["pages"].as_array().into_iter().flatten() {
            let unit = page["unit"].as_str().unwrap_or_default();
            out.push_str(&format!("   page {}/{}: {} of {} {unit}\n", page["page"], page["of"], page["size"], page["limit"]));
        }
        for error in delivery["template_errors"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            out.push_str(&format!("   a template fails, the built-in one is used: {error}\n"));
        }
    }
    if told["deliveries"].as_array().is_none_or(Vec::is_empty) {
        out.push_str("\nnothing would be sent\n");
    }
    out
}

fn fallback(of: &Value) -> String {
    let names: Vec<_> = of["fallback"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if names.is_empty() { String::new() } else { format!("; if it dies: {}", names.join(", then ")) }
}

/// The routes of a stored event's alerts.
fn routes(of: &Value) -> String {
    let mut out = String::new();
    if of.is_object() {
        let whose = if of["changed"] == true { "by the configuration of now, which has changed since, at that time" } else { "as it was routed" };
        out.push_str(&format!("  routes, {whose}:\n"));
        out.push_str(&ways(of).lines().map(|line| format!("    {line}\n")).collect::<String>());
    }
    out
}

/// The ways of alerts through the routing table; alerts that go the same way are told together.
fn ways(told: &Value) -> String {
    let mut order: Vec<(&str, Vec<&Value>)> = Vec::new();
    for alert in told["alerts"].as_array().into_iter().flatten() {
        let way = alert["routes"].as_str().unwrap_or_default();
        match order.iter_mut().find(|(known, _)| *known == way) {
            Some((_, alerts)) => alerts.push(alert),
            None => order.push((way, vec![alert])),
        }
    }
    let mut out = String::new();
    for (way, alerts) in order {
        let named =
            |alert: &Value| format!("{} {} ({})", alert["number"], alert["name"].as_str().unwrap_or(""), alert["status"].as_str().unwrap_or(""));
        let first: Vec<String> = alerts.iter().take(3).map(|alert| named(alert)).collect();
        let more = if alerts.len() > 3 { format!(" and {} more", alerts.len() - 3) } else { String::new() };
        let word = if alerts.len() == 1 { "alert" } else { "alerts" };
        out.push_str(&format!("{word} {}{more}\n{way}", first.join(", ")));
    }
    if told["not_explained"].as_u64().unwrap_or(0) > 0 {
        out.push_str(&format!("{} more alerts are routed the same way, but not explained\n", told["not_explained"]));
    }
    out
}

/// One delivery's story on one screen; `whole`: with its routes, which its event tells otherwise.
pub fn delivery(detail: &Value, whole: bool) -> String {
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
    if !text(&detail["template"]).is_empty() {
        out.push_str(&format!(" with template {}", text(&detail["template"])));
    }
    out.push_str(&fallback(detail));
    if whole {
        out.push_str(&format!("\n  event {} from {}\n", text(&detail["event"]["id"]), text(&detail["event"]["body"]["source"])));
        out.push_str(&routes(&detail["routes"]));
    } else {
        out.push('\n');
    }
    let message = &detail["message"];
    if detail["earlier_attempts"].as_array().is_some_and(|list| !list.is_empty()) {
        out.push_str("  attempts that left nothing behind\n");
        attempts(&mut out, &detail["earlier_attempts"]);
    }
    if message.is_object() {
        out.push_str(&carrier(message, &text(&row["id"])));
    }
    for child in detail["children"].as_array().into_iter().flatten() {
        out.push_str(&format!("  fallback {} on {}: {}\n", text(&child["id"]), text(&child["channel"]), text(&child["state"])));
    }
    if let Some(rate_limit) = detail["rate_limit"].as_str() {
        out.push_str(&format!("  rate limit of the channel: {rate_limit}\n"));
    }
    out.push_str(&format!("  next: {}\n", text(&detail["next"])));
    out
}

/// The message that carries or carried a delivery: what it is, where in it the delivery stands, and what the platform said.
fn carrier(message: &Value, delivery: &str) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let pages = message["pages"].as_array().map_or(&[][..], Vec::as_slice);
    let count = |n: u64, one: &str, many: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") };
    let members = message["deliveries"].as_u64().unwrap_or(0);
    let mut out = format!(
        "  message {} ({} of {}, template {}, {})\n",
        text(&message["id"]),
        text(&message["kind"]),
        count(members, "delivery", "deliveries"),
        text(&message["template"]),
        count(pages.len() as u64, "page", "pages")
    );
    if members > 1 {
        out.push_str(&format!("    the others in it: watchfire queue ls --message {}\n", text(&message["id"])));
    }
    for page in pages {
        if let Some(key) = page["incident"].as_str() {
            out.push_str(&format!("    incident key {key}: of the group and its site, whichever replica, receiver or channel tells of it\n"));
        }
        let (mut named, mut counted) = (0, 0);
        for cover in page["covers"].as_array().into_iter().flatten().filter(|cover| cover["delivery"] == delivery) {
            named += cover["named"].as_array().map_or(0, Vec::len) as u64;
            counted += cover["counted"].as_u64().unwrap_or(0);
        }
        if named + counted > 0 {
            let plain = if page["plain"] == true { ", as plain text" } else { "" };
            let only = if counted > 0 { format!(", counts {counted} more") } else { String::new() };
            out.push_str(&format!(
                "    page {}/{} names {} of this delivery{only}{plain}\n",
                page["number"],
                page["total"],
                count(named, "alert", "alerts")
            ));
        }
    }
    attempts(&mut out, &message["attempts"]);
    for cell in message["cells"].as_array().into_iter().flatten() {
        let line = format!("    page {} to {}: {} {}", cell["page"], text(&cell["recipient"]), text(&cell["state"]), text(&cell["code"]));
        out.push_str(line.trim_end());
        out.push('\n');
        out.push_str(&receipt(&cell["receipt"]));
    }
    out
}

/// What the vendor said later, or when it is asked.
fn receipt(of: &Value) -> String {
    let text = |name: &str| of[name].as_str().unwrap_or_default();
    match text("state") {
        "" => String::new(),
        "awaited" => format!("      the vendor's last word is awaited: asked {} times, next at {}\n", of["asked"], time(&of["due_at"])),
        state => {
            let code = if text("code").is_empty() { String::new() } else { format!(" (code {})", text("code")) };
            format!("      {state} at {}: {}{code}\n", time(&of["heard_at"]), text("detail"))
        }
    }
}

fn attempts(out: &mut String, list: &Value) {
    for attempt in list.as_array().into_iter().flatten() {
        out.push_str(&format!(
            "    {}  page {}  {}  {}  {}\n",
            time(&attempt["begun_at"]),
            attempt["page"].as_i64().unwrap_or(0) + 1,
            attempt["kind"].as_str().unwrap_or("under way"),
            attempt["code"].as_str().unwrap_or(""),
            attempt["answer"].as_str().unwrap_or("")
        ));
    }
}
