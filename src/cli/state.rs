//! `watchfire status|channels|nodes|heartbeats`: the state of the running server.

use std::time::Duration;

use anyhow::{Result, bail};
use axum::http::Method;
use serde_json::json;

use super::print::{shown, time};
use super::remote::Remote;
use super::table::{Table, cell, number, text};
use super::{Common, ExitStatus, block_on};
use crate::api::{ChannelState, Channels, Heartbeats, Node, Nodes};
use crate::delivery::heartbeat::HeartbeatState;
use crate::model::{Language, format_duration};

/// The running server: what these commands show is known to nobody else.
async fn server(common: &Common) -> Result<Remote> {
    let remote = Remote::open(common).await?;
    if !remote.is_server() {
        remote.close().await;
        bail!("no server runs with this configuration; `watchfire serve` starts one, --server URL names one on another machine");
    }
    Ok(remote)
}

/// Whether the server is ready, and what needs somebody; of what it does not show, why. Exit 1 when it is not ready.
pub fn status(common: &Common) -> Result<ExitStatus> {
    block_on(async {
        let remote = server(common).await?;
        let base = if let Remote::Server { base, .. } = &remote { base.as_str() } else { "" };
        let (code, said) = remote.text(Method::GET, "/-/ready").await?;
        let ready = code == 200;
        if !common.json {
            anstream::println!("{base}: {}", said.trim());
        }
        let channels: Result<Channels> = remote.get("/api/v1/channels").await;
        let heartbeats: Result<Heartbeats> = remote.get("/api/v1/heartbeats").await;
        let nodes: Result<Nodes> = remote.get("/api/v1/nodes").await;
        if common.json {
            let all = json!({
                "server": base, "ready": ready, "said": said.trim(), "channels": channels.ok().map(|found| found.channels),
                "heartbeats": heartbeats.ok().map(|found| found.heartbeats), "same_config": nodes.as_ref().ok().map(|found| found.same_config),
                "nodes": nodes.ok().map(|found| found.nodes),
            });
            anstream::println!("{all}");
        } else {
            show("channels", channels, |found| show_channels(&found.channels));
            show("heartbeats", heartbeats, |found| {
                for (name, since) in found.heartbeats.iter().filter_map(|one| Some((&one.name, one.silent_since?))) {
                    anstream::println!("heartbeat {name}: missing since {}", time(since));
                }
            });
            show("nodes", nodes, |found| {
                if !found.same_config {
                    anstream::println!("nodes: they run different configurations; `watchfire nodes` lists them");
                }
            });
        }
        Ok(if ready { ExitStatus::Success } else { ExitStatus::Failure })
    })?
}

/// Shows a part of the status, or why it is missing.
fn show<T>(what: &str, found: Result<T>, print: impl FnOnce(&T)) {
    match found {
        Ok(found) => print(&found),
        Err(error) => anstream::println!("{what}: not known: {error:#}"),
    }
}

fn show_channels(channels: &[ChannelState]) {
    let sum = |of: fn(&ChannelState) -> u64| channels.iter().map(of).sum::<u64>();
    let (waiting, deferred, dead) = (sum(|c| c.waiting), sum(|c| c.deferred), sum(|c| c.dead));
    anstream::println!("deliveries: {waiting} waiting, {deferred} deferred, {dead} dead");
    for channel in channels.iter().filter(|channel| !trouble(channel).is_empty()) {
        anstream::println!("channel {}: {}", channel.name, trouble(channel));
    }
}

/// What is wrong with a channel, or why it does not send.
fn trouble(channel: &ChannelState) -> String {
    let mut all = Vec::new();
    if let Some(why) = &channel.suspended {
        let next = channel.next_try_at.map_or_else(|| "with the next message, or by another node".to_owned(), |at| format!("at {}", time(at)));
        all.push(format!("suspended: {why}; tried again {next}"));
    }
    if channel.breaker_open {
        all.push("it failed several times in a row".to_owned());
    }
    if channel.paused_ms > 0 {
        all.push(format!("paused for {}", format_duration(Duration::from_secs(channel.paused_ms.unsigned_abs().div_ceil(1000)))));
    }
    if let Some(until) = channel.muted_until {
        all.push(format!("muted until {}: {}", time(until), Language::En.reason_or_none(channel.muted_reason.as_deref().unwrap_or_default())));
    }
    all.extend(deaf(channel));
    all.join("; ")
}

/// Why presses of a channel's buttons do not arrive.
pub(super) fn deaf(channel: &ChannelState) -> Option<String> {
    let listener = channel.listener.as_ref().filter(|listener| !listener.connected)?;
    Some(format!("presses of its buttons do not arrive: {}", listener.error.as_deref().unwrap_or("the connection is being opened")))
}

/// Requests of the last minute, and how many its rate limit allows: `3 of 20`.
fn last_minute(channel: &ChannelState) -> String {
    let limit = channel.per_minute.map(|limit| format!(" of {limit}")).unwrap_or_default();
    format!("{}{limit}", channel.sent_last_minute)
}

/// Lists the channels.
pub fn channels(common: &Common) -> Result<ExitStatus> {
    list(server(common), "/api/v1/channels", common.json, |found: &Channels| {
        let columns = Table([
            text("CHANNEL", 24),
            text("PLATFORM", 14),
            number("WAITING", 7),
            number("DEFERRED", 8),
            number("DEAD", 5),
            text("LAST MINUTE", 11),
            text("NOTE", 4),
        ]);
        let row = |one: &ChannelState| {
            let disabled = if one.disabled { "disabled" } else { "" };
            let note = [disabled, &trouble(one)].into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join("; ");
            [cell(&one.name), cell(&one.platform), cell(one.waiting), cell(one.deferred), cell(one.dead), cell(last_minute(one)), cell(note)]
        };
        columns.list(found.channels.iter().map(row), None)
    })
}

/// Lists the nodes.
pub fn nodes(common: &Common) -> Result<ExitStatus> {
    list(Remote::open(common), "/api/v1/nodes", common.json, |found: &Nodes| {
        if found.nodes.is_empty() {
            return "one process has this store for itself; several nodes share a PostgreSQL".into();
        }
        let columns = Table([text("NODE", 40), text("VERSION", 10), text("CONFIGURATION", 16), number("OUTLETS", 7), text("", 0)]);
        let row = |one: &Node| {
            let plan: String = one.plan.chars().take(16).collect();
            [cell(&one.name), cell(&one.version), cell(plan), cell(one.outlets), cell(if one.this { "(it answers)" } else { "" })]
        };
        let differ = (!found.same_config).then(|| "they run different configurations: reload those that are behind".to_owned());
        columns.list(found.nodes.iter().map(row), differ)
    })
}

/// Lists the heartbeats.
pub fn heartbeats(common: &Common) -> Result<ExitStatus> {
    list(server(common), "/api/v1/heartbeats", common.json, |found: &Heartbeats| {
        if found.heartbeats.is_empty() {
            return "there are no heartbeats; `heartbeats:` in routes.yaml makes them".into();
        }
        let columns = Table([text("HEARTBEAT", 32), text("TIMEOUT", 8), text("LAST SEEN", 20), text("STATE", 5)]);
        let row = |one: &HeartbeatState| {
            let seen = one.seen_at.map_or_else(|| "never".to_owned(), time);
            let state = one.silent_since.map_or_else(|| "received".to_owned(), |since| format!("missing since {}", time(since)));
            let state = if one.seen_at.is_none() && one.silent_since.is_none() { "awaited".to_owned() } else { state };
            [cell(&one.name), cell(format_duration(Duration::from_secs(one.timeout_seconds))), cell(seen), cell(state)]
        };
        columns.list(found.heartbeats.iter().map(row), None)
    })
}

fn list<T: serde::de::DeserializeOwned + serde::Serialize>(
    remote: impl Future<Output = Result<Remote>>,
    path: &str,
    as_json: bool,
    table: fn(&T) -> String,
) -> Result<ExitStatus> {
    block_on(async {
        let remote = remote.await?;
        let found = remote.get::<T>(path).await;
        remote.close().await;
        anstream::println!("{}", shown(as_json, &found?, table)?);
        Ok(ExitStatus::Success)
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_says_why_it_does_not_send_and_when_it_is_tried() {
        let channel = |next: Option<i64>, per_minute: Option<u64>| -> ChannelState {
            serde_json::from_value(json!({
                "name": "ops", "platform": "slack", "disabled": false, "outlet": "slack:1", "waiting": 1, "deferred": 0, "dead": 0, "paused_ms": 0,
                "breaker_open": false, "in_flight": 0, "month_sent": 0, "suspended": "HTTP 401", "next_try_at": next, "sent_last_minute": 3,
                "per_minute": per_minute,
            }))
            .unwrap()
        };
        assert_eq!(trouble(&channel(Some(1_795_921_200_000), None)), "suspended: HTTP 401; tried again at 2026-11-29 03:00:00Z");
        assert_eq!(trouble(&channel(None, None)), "suspended: HTTP 401; tried again with the next message, or by another node");
        assert_eq!((last_minute(&channel(None, Some(20))), last_minute(&channel(None, None))), ("3 of 20".into(), "3".into()));
    }
}
