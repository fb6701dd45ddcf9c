//! What is measured beside the main job: the disk alone, and several nodes on one PostgreSQL.

#[allow(dead_code)] // the tests use more of it
#[path = "../../tests/it/support/postgres.rs"]
mod postgres;
#[path = "../../tests/it/support/skip.rs"]
mod skip;

use std::io::Write;
use std::time::{Duration, Instant};

use super::wire::{Run, body, post};
use super::{Bench, Process, arrived, free_port, row, server};

/// Bodies a second that the disk alone takes, so many in one synced write: the limit of group commit.
pub fn disk(bench: &Bench, together: usize) -> f64 {
    std::fs::create_dir_all(&bench.folder).expect("a folder");
    let path = bench.folder.join("raw");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).expect("a file");
    let block: Vec<u8> = (0..together).flat_map(|n| body(n, 3)).collect();
    let (started, mut commits) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(2) {
        file.write_all(&block).and_then(|()| file.sync_data()).expect("a synced write");
        commits += 1;
    }
    let _ = std::fs::remove_file(path);
    (commits * together) as f64 / started.elapsed().as_secs_f64()
}

/// The same work on SQLite, and then one to three nodes on one PostgreSQL: each accepts its share, and delivers to channels of which each node owns
/// some.
pub async fn nodes(bench: &mut Bench) {
    println!("\n### Several nodes on one PostgreSQL, all on these cores, 3 alerts a body, 32 connections\n\n{}", super::HEAD);
    end_to_end(bench, "SQLite", 1, "sqlite:w.db").await;
    for count in 1..=3 {
        let Some(postgres) = postgres::Postgres::start() else { return };
        let name = if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
        end_to_end(bench, &name, count, &postgres.url()).await;
    }
}

/// Six channels without a pace, of which each alert goes to some.
async fn end_to_end(bench: &mut Bench, name: &str, count: usize, store: &str) {
    let sink = server("sink", "");
    let channels: String = (0..6)
        .map(|n| {
            format!(
                "  out-{n}: {{ webhook: {{ url: 'http://127.0.0.1:{}/?{n}', allow_networks: [127.0.0.1] }}, rate_limit: off, digest: off }}\n",
                sink.port
            )
        })
        .collect();
    let routes: String = (0..6).map(|n| format!("    - {{ matchers: 'instance=~\".*[{}{}]-.*\"', to: [out-{n}] }}\n", n, (n + 6) % 10)).collect();
    let _ = std::fs::remove_dir_all(&bench.folder);
    std::fs::create_dir_all(&bench.folder).expect("a folder");
    let mut running: Vec<Process> = Vec::new();
    for _ in 0..count {
        let port = free_port();
        let text =
            format!("server: {{ listen: '127.0.0.1:{port}' }}\nstore: {store}\nchannels:\n{channels}route:\n  to: [out-0]\n  routes:\n{routes}");
        std::fs::write(bench.folder.join("routes.yaml"), text).expect("a file");
        running.push(bench.start(port).0);
    }
    // Every node gets its share of the outlets within two beats.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let events = 6000;
    let share = events / count;
    let (started, from) = (Instant::now(), bench.fresh(events));
    let runs = running.iter().enumerate().map(|(n, node)| post(node.port, "/webhook", from + n * share, share, 32 / count, 3, None));
    let mut whole = Run::default();
    futures_util::future::join_all(runs).await.into_iter().for_each(|run| whole.add(run));
    whole.end(started);
    row(&format!("{name}: accepted"), &whole, None);
    whole.took = arrived(sink.counter, whole.good, started).await;
    row(&format!("{name}: delivered"), &whole, None);
}
