//! What the API returns, as a person reads it.

use std::fmt::Display;

use anyhow::Result;
use serde::Serialize;

use crate::api::{CellDetail, DeliveryResponse, ExplainResponse, MessageDetail, ReceiptDetail, RouteTrace, RouteTraces};
use crate::config::nearest;
use crate::delivery::Plan;
use crate::model::{DeliveryId, PlatformIds, UnixMs};
use crate::store::{AttemptRow, ReceiptState};

/// What a command prints: an answer of the API as it is, or in words.
pub(super) fn shown<T: Serialize>(as_json: bool, found: &T, words: impl FnOnce(&T) -> String) -> Result<String> {
    Ok(if as_json { serde_json::to_string(found)? } else { words(found) })
}

/// A time as people read it.
pub(super) fn time(at: UnixMs) -> String {
    at.timestamp().strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// How a list goes on after a page, and how far back it was searched for it.
pub(super) fn more(next: impl Display, searched_back_to: Option<String>) -> String {
    let searched = searched_back_to.map_or_else(String::new, |to| format!("searched back to {to}; "));
    format!("{searched}more: --cursor {next}")
}

/// No channel of the configuration has this name; which has a similar one, or which there are.
pub(super) fn no_channel(plan: &Plan, name: &str) -> anyhow::Error {
    let known: Vec<&str> = plan.channels.keys().map(|known| &**known).collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.len() > 20 => format!("{} channels are defined, `watchfire route tree` has those that routes lead to", known.len()),
        None => format!("there are: {}", known.join(", ")),
    };
    anyhow::anyhow!("no channel `{name}`; {help}")
}

/// What would happen to a body.
pub(super) fn forecast(explained: &ExplainResponse) -> String {
    let mut out = traces(&explained.alerts, explained.not_explained);
    for delivery in &explained.deliveries {
        let reason = delivery.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        out.push_str(&format!("\n-> {} {}{reason}  [{}]\n", delivery.channel, delivery.state.as_str(), delivery.title));
        out.push_str(&format!(
            "   chosen by {}; {}, template {}, rate limit {}",
            delivery.route, delivery.platform, delivery.template, delivery.rate_limit
        ));
        out.push_str(&fallback(&delivery.fallback));
        out.push('\n');
        for page in &delivery.pages {
            out.push_str(&format!("   page {}/{}: {} of {} {}\n", page.page, page.of, page.size, page.limit, page.unit));
        }
        for error in &delivery.template_errors {
            out.push_str(&format!("   a template fails, the built-in one is used: {error}\n"));
        }
    }
    if explained.deliveries.is_empty() {
        out.push_str("\nnothing would be sent\n");
    }
    out
}

fn fallback(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; if it dies: {}", names.join(", then ")) }
}

/// The routes of a stored event's alerts; nothing when the sender named the channels.
pub(super) fn routes(of: Option<&RouteTraces>) -> String {
    let Some(of) = of else { return String::new() };
    let whose = if of.changed { "by the configuration of now, which has changed since, at that time" } else { "as it was routed" };
    let lines: String = traces(&of.alerts, of.not_explained).lines().map(|line| format!("    {line}\n")).collect();
    format!("  routes, {whose}:\n{lines}")
}

/// How alerts go through the routing tree; those that go the same way are shown together.
fn traces(alerts: &[RouteTrace], not_explained: usize) -> String {
    let mut order: Vec<(&str, Vec<&RouteTrace>)> = Vec::new();
    for alert in alerts {
        match order.iter_mut().find(|(known, _)| *known == alert.routes) {
            Some((_, same)) => same.push(alert),
            None => order.push((&alert.routes, vec![alert])),
        }
    }
    let mut out = String::new();
    for (way, alerts) in order {
        let named = |alert: &&RouteTrace| format!("{} {} ({})", alert.number, alert.name, alert.status);
        let first: Vec<String> = alerts.iter().take(3).map(named).collect();
        let more = if alerts.len() > 3 { format!(" and {} more", alerts.len() - 3) } else { String::new() };
        let word = if alerts.len() == 1 { "alert" } else { "alerts" };
        out.push_str(&format!("{word} {}{more}\n{way}", first.join(", ")));
    }
    if not_explained > 0 {
        out.push_str(&format!("{not_explained} more alerts are routed the same way, but not explained\n"));
    }
    out
}

/// One delivery on one screen; `whole`: with its event and routes.
pub(super) fn delivery(detail: &DeliveryResponse, whole: bool) -> String {
    let row = &detail.delivery;
    let mut out = format!("delivery {}\n  {}\n", row.id, row.title);
    out.push_str(&format!("  to {} ({} firing, {} resolved), born {}\n", row.channel, row.firing, row.resolved, time(row.born_at)));
    out.push_str(&format!("  state {}", row.state.as_str()));
    if let Some(at) = row.done_at {
        out.push_str(&format!(" since {}", time(at)));
    }
    if let Some(reason) = &row.reason {
        out.push_str(&format!(": {reason}"));
    }
    if let Some(why) = &detail.why {
        out.push_str(&format!("\n  {why}"));
    }
    out.push_str(&format!("\n  chosen by {}", detail.route));
    if !detail.template.is_empty() {
        out.push_str(&format!(" with template {}", detail.template));
    }
    out.push_str(&fallback(&detail.fallback));
    if whole {
        out.push_str(&format!("\n  event {} from {}\n", detail.event.id, detail.event.body.source));
        out.push_str(&routes(detail.routes.as_ref()));
    } else {
        out.push('\n');
    }
    if !detail.earlier_attempts.is_empty() {
        out.push_str("  attempts that left nothing behind\n");
        attempts(&mut out, &detail.earlier_attempts);
    }
    if let Some(message) = &detail.message {
        out.push_str(&carrier(message, row.id));
    }
    for of in detail.confirmed.iter().filter(|of| detail.message.as_ref().is_none_or(|message| message.id != of.message)) {
        out.push_str(&format!("  the newest confirmed message of its queue to {}: {}{}\n", of.recipient, of.message, ids(&of.platform_ids)));
    }
    for child in &detail.children {
        out.push_str(&format!("  fallback {} on {}: {}\n", child.id, child.channel, child.state.as_str()));
    }
    if let Some(elsewhere) = detail.delivered_elsewhere {
        out.push_str(if elsewhere { "  its alerts were delivered in its place\n" } else { "  nothing was delivered in its place\n" });
    }
    if let Some(rate_limit) = &detail.rate_limit {
        out.push_str(&format!("  rate limit of the channel: {rate_limit}\n"));
    }
    out.push_str(&format!("  next: {}\n", detail.next));
    out
}

/// The message that carries or carried a delivery: what it is, where the delivery is in it, and what the platform said.
fn carrier(message: &MessageDetail, delivery: DeliveryId) -> String {
    let count = |n: u64, one: &str, many: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") };
    let mut out = format!(
        "  message {} ({} of {}, template {}, {})\n",
        message.id,
        message.kind,
        count(message.deliveries, "delivery", "deliveries"),
        message.template,
        count(message.pages.len() as u64, "page", "pages")
    );
    if message.deliveries > 1 {
        out.push_str(&format!("    the others in it: watchfire queue ls --message {}\n", message.id));
    }
    for page in &message.pages {
        if let Some(key) = &page.incident {
            out.push_str(&format!("    incident key {key}: of the group and its site, the same for every replica, receiver and channel\n"));
        }
        for missed in &page.missed {
            out.push_str(&format!("    not mentioned: {missed}\n"));
        }
        let covers = page.covers.iter().filter(|cover| cover.delivery == delivery);
        let (named, counted) = covers.fold((0, 0), |(named, counted), cover| (named + cover.named.len() as u64, counted + cover.counted));
        if named > 0 || counted > 0 {
            let plain = if page.plain { ", as plain text" } else { "" };
            let only = if counted > 0 { format!(", counts {counted} more") } else { String::new() };
            let named = count(named, "alert", "alerts");
            out.push_str(&format!("    page {}/{} names {named} of this delivery{only}{plain}\n", page.number, page.total));
        }
    }
    attempts(&mut out, &message.attempts);
    message.cells.iter().for_each(|cell| out.push_str(&cell_line(cell)));
    out
}

fn cell_line(cell: &CellDetail) -> String {
    let line = format!("    page {} to {}: {} {}", cell.page, cell.recipient, cell.state.as_str(), cell.code.as_deref().unwrap_or_default());
    format!("{}{}\n{}", line.trim_end(), ids(&cell.platform_ids), cell.receipt.as_ref().map(receipt).unwrap_or_default())
}

/// The platform's ids of a message, behind what names it.
fn ids(of: &PlatformIds) -> String {
    let ids: Vec<String> = of.iter().map(|(name, id)| format!("{name} {id}")).collect();
    if ids.is_empty() { String::new() } else { format!(" ({})", ids.join(", ")) }
}

/// What the vendor said later, or when it is asked.
fn receipt(of: &ReceiptDetail) -> String {
    let at = |at: Option<UnixMs>| at.map_or_else(|| "-".to_owned(), time);
    if of.state == ReceiptState::Awaited {
        return format!("      the vendor's last word is awaited: asked {} times, next at {}\n", of.asked, at(of.due_at));
    }
    let code = of.code.as_ref().filter(|code| !code.is_empty()).map(|code| format!(" (code {code})")).unwrap_or_default();
    format!("      {} at {}: {}{code}\n", of.state.as_str(), at(of.heard_at), of.detail.as_deref().unwrap_or_default())
}

fn attempts(out: &mut String, list: &[AttemptRow]) {
    for attempt in list {
        out.push_str(&format!(
            "    {}  page {}  {}  {}  {}\n",
            time(attempt.begun_at),
            attempt.page + 1,
            attempt.kind.map_or("in flight", |kind| kind.as_str()),
            attempt.code.as_deref().unwrap_or_default(),
            attempt.answer.as_deref().unwrap_or_default()
        ));
    }
}
