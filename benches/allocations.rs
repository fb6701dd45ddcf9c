//! What each part of the way of a body of three alerts allocates: `cargo bench --bench allocations`. Counts do not depend on how busy the machine is.

mod body;

use body::body;
use divan::{AllocProfiler, Bencher};
use jiff::Timestamp;
use watchfire::config::{self, LoadOptions, Loaded};
use watchfire::ingest::{self, Inputs, Sender};
use watchfire::model::Event;

const ALERTS: usize = 3;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    watchfire::channel::kit::install_crypto();
    divan::main();
}

fn now() -> Timestamp {
    "2026-11-24T02:10:00Z".parse().expect("a time")
}

fn event() -> Event {
    ingest::parse(&Sender::Auto, &body(ALERTS), &Inputs::default(), now()).expect("a body").event
}

fn loaded(platform: &str) -> (Loaded, String) {
    let mut first = config::first(&[platform.to_owned()]).expect("a configuration");
    let folder = std::env::temp_dir().join(format!("watchfire-allocations-{}-{platform}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("routes.yaml");
    std::fs::write(&file, &first.text).expect("a file");
    let loaded = config::load(&file, &LoadOptions::without_secrets()).unwrap_or_else(|findings| panic!("{}", config::report(&findings)));
    let _ = std::fs::remove_dir_all(&folder);
    (loaded, first.channels.swap_remove(0))
}

#[divan::bench(sample_count = 100)]
fn parse(bencher: Bencher) {
    let body = body(ALERTS);
    bencher.bench(|| ingest::parse(&Sender::Auto, &body, &Inputs::default(), now()));
}

#[divan::bench(sample_count = 100)]
fn as_json(bencher: Bencher) {
    let event = event();
    bencher.bench(|| serde_json::to_vec(&event));
}

#[divan::bench(sample_count = 100)]
fn route(bencher: Bencher) {
    let ((loaded, _), event) = (loaded("webhook"), event());
    bencher.bench(|| event.alerts.iter().map(|alert| loaded.plan.tree.route(&alert.labels, now())).collect::<Vec<_>>());
}

#[divan::bench(sample_count = 100, args = ["webhook", "dingtalk", "slack", "wecom", "feishu", "telegram", "email"])]
fn render(bencher: Bencher, platform: &str) {
    let ((loaded, channel), event) = (loaded(platform), event());
    let channel = loaded.plan.channel(&channel).expect("a channel");
    bencher.bench(|| watchfire::http::api::preview(&loaded.plan, channel, &event, now()));
}
