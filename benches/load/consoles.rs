//! What open consoles cost the hot path.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::wire::{GROUPS, Run, again};
use super::{Bench, EVENTS, HEAD, OFF, row};

/// Consoles that are open.
const CONSOLES: usize = 50;
/// Runs of each kind, in turn, so that what else the machine does counts for both.
const ROUNDS: usize = 5;

/// Prints the rate at which bodies are accepted while nobody looks, and while so many consoles show the rows that the bodies change.
pub async fn consoles(bench: &mut Bench) {
    println!(
        "\n### {CONSOLES} open consoles, {GROUPS} incidents that go on, 3 alerts a body, 32 connections; the ratio is to nobody looking\n\n{HEAD}"
    );
    let (watchfire, _) = bench.watchfire(OFF);
    let from = bench.fresh(2000);
    again(watchfire.port, from, 2000, 32).await;
    let (mut alone, mut watched) = (Run::default(), Run::default());
    let heard = Arc::new(AtomicUsize::new(0));
    for _ in 0..ROUNDS {
        more(&mut alone, bench, watchfire.port).await;
        let open = open(watchfire.port, &heard).await;
        more(&mut watched, bench, watchfire.port).await;
        drop(open);
        // The server notices that they are gone.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    row("nobody looks", &alone, None);
    row(&format!("{CONSOLES} consoles are open"), &watched, Some(watched.rate() / alone.rate()));
    println!("\nThe consoles were sent {:.1} MiB.", heard.load(Ordering::Relaxed) as f64 / f64::from(1 << 20));
}

/// One run more.
async fn more(all: &mut Run, bench: &mut Bench, port: u16) {
    let from = bench.fresh(EVENTS);
    let run = again(port, from, EVENTS, 32).await;
    all.took += run.took;
    all.add(run);
    all.latencies.sort_unstable();
}

/// Streams of the first page that are read until they are dropped.
async fn open(port: u16, heard: &Arc<AtomicUsize>) -> JoinSet<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut streams = JoinSet::new();
    for _ in 0..CONSOLES {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
        let request = format!("GET /ui/live?newest=0&from={now} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut piece = vec![0; 64 << 10];
        let first = stream.read(&mut piece).await.expect("an answer");
        assert!(piece[..first].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&piece[..first]));
        let heard = heard.clone();
        streams.spawn(async move {
            while let Ok(read @ 1..) = stream.read(&mut piece).await {
                heard.fetch_add(read, Ordering::Relaxed);
            }
        });
    }
    streams
}
