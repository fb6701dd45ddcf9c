//! End to end, beside two that keep nothing: a bare proxy, and a relay that does the same job.

use std::time::Instant;

use super::wire::{SHARDS, post};
use super::{Bench, EVENTS, HEAD, Used, arrived, row, rss, server};

/// Where the messages go. `PORT` is the receiver's, `N` the channel's number: its credential is its own, so it is an outlet of its own.
struct Receiver {
    name: &'static str,
    channel: &'static str,
}

const RECEIVERS: [Receiver; 3] = [
    Receiver { name: "an HTTP receiver", channel: "webhook: { url: 'http://127.0.0.1:PORT/?N', allow_networks: [127.0.0.1] }" },
    Receiver { name: "DingTalk", channel: "dingtalk: { access_token: token-N, secret: SEC-N, api_base: 'http://127.0.0.1:PORT' }" },
    Receiver { name: "Slack", channel: "slack: { webhook: 'http://127.0.0.1:PORT/N', api_base: 'http://127.0.0.1:PORT' }" },
];

/// Prints a table for each receiver: 32 channels, chosen by a label; the ratios are to the bare proxy.
pub async fn forward(bench: &mut Bench, connections: usize) {
    for receiver in &RECEIVERS {
        println!("\n### End to end to {}, {SHARDS} channels, 3 alerts a body, a lane each, {connections} connections\n\n{HEAD}", receiver.name);
        let sink = server("sink", "");
        let proxy = server("forward", &format!("http://127.0.0.1:{}/", sink.port));
        let bare = keeps_nothing("bare axum, parses and forwards, keeps nothing", &proxy, connections, None).await;
        let sink = server("sink", "");
        let relay = server("relay", &file(bench, receiver, sink.port));
        keeps_nothing("the same job, keeps nothing: parses, renders, sends", &relay, connections, Some(bare)).await;
        drop(relay);
        let sink = server("sink", "");
        let (watchfire, _) = bench.watchfire(&config(receiver, sink.port));
        let from = bench.fresh(EVENTS);
        let (before, started) = (Used::by(&watchfire), Instant::now());
        let mut run = post(watchfire.port, "/webhook", from, EVENTS, connections, 3, None).await;
        let accepted = run.took;
        run.took = arrived(sink.counter, run.good, started).await;
        run.cost = Some(before.each(&watchfire, run.good));
        row("**Watchfire**: accepted, delivered, recorded", &run, Some(run.rate() / bare));
        println!("\nAll were accepted after {:.2} s; {} MiB.", accepted.as_secs_f64(), rss(&watchfire));
    }
}

/// Measures one that answers when the receiver has; returns its rate.
async fn keeps_nothing(name: &str, process: &super::Process, connections: usize, bare: Option<f64>) -> f64 {
    post(process.port, "/", 0, 2000, connections, 3, None).await;
    let before = Used::by(process);
    let mut run = post(process.port, "/", 0, EVENTS, connections, 3, None).await;
    run.cost = Some(before.each(process, run.good));
    row(name, &run, bare.map(|bare| run.rate() / bare));
    run.rate()
}

fn config(receiver: &Receiver, port: u16) -> String {
    let channel = |n: usize| {
        let channel = receiver.channel.replace("PORT", &port.to_string()).replace('N', &n.to_string());
        format!("  s{n}: {{ {channel}, rate_limit: off, digest: off }}\n")
    };
    let channels: String = (0..SHARDS).map(channel).collect();
    let routes: String = (0..SHARDS).map(|n| format!("    - {{ matchers: 'shard=\"s{n}\"', to: [s{n}] }}\n")).collect();
    format!("channels:\n{channels}route:\n  to: [s0]\n  routes:\n{routes}")
}

/// The relay's configuration.
fn file(bench: &Bench, receiver: &Receiver, port: u16) -> String {
    std::fs::create_dir_all(&bench.folder).expect("a folder");
    let file = bench.folder.join("relay.yaml");
    std::fs::write(&file, config(receiver, port)).expect("a file");
    file.to_string_lossy().into_owned()
}
