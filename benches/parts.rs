//! The parts, each by itself: `cargo bench --bench parts`.

mod body;

use std::sync::Arc;

use body::body;
use divan::{Bencher, black_box};
use jiff::Timestamp;
use watchfire::channel::PLATFORMS;
use watchfire::config::{self, CredentialKind, LoadOptions, Loaded};
use watchfire::http::auth::{Auth, Credential, Scope};
use watchfire::ingest::{self, Inputs, Sender};
use watchfire::model::{Alert, DeliveryId, Event, EventId, Labels, OutletKey, Page, Size, UnixMs};
use watchfire::store::{
    ClusterStore, DeliveryIncident, DeliveryUpdate, Fallback, Fence, IntakeStore, LeaseRequest, Mode, NewDelivery, NewEvent, OutcomeBatch,
    OutletStore, SqliteOptions, SqliteStore, State, Store, Summary, Target,
};
use watchfire::template::Part;

fn main() {
    divan::main();
}

fn now() -> Timestamp {
    "2026-11-24T02:10:00Z".parse().expect("a time")
}

fn event(alerts: usize) -> Event {
    ingest::parse(&Sender::Auto, &body(alerts), &Inputs::default(), now()).expect("a body").event
}

#[divan::bench(args = [1, 3, 10, 100])]
fn parse(bencher: Bencher, alerts: usize) {
    let body = body(alerts);
    bencher.bench(|| ingest::parse(&Sender::Auto, black_box(&body), &Inputs::default(), now()));
}

fn loaded(text: &str) -> Loaded {
    let folder = std::env::temp_dir().join(format!("watchfire-bench-{}-{}", std::process::id(), DeliveryId::new()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("routes.yaml");
    std::fs::write(&file, text).expect("a file");
    config::load(&file, &LoadOptions::without_secrets()).unwrap_or_else(|findings| panic!("{}", config::report(&findings)))
}

#[divan::bench(args = [10, 1000, 10_000])]
fn route(bencher: Bencher, routes: usize) {
    let list: String = (0..routes).map(|n| format!("    - {{ matchers: 'team=\"t{n}\"', to: [terminal] }}\n")).collect();
    let loaded = loaded(&format!("channels: {{ terminal: {{ log: {{}} }} }}\nroute:\n  to: [terminal]\n  routes:\n{list}"));
    let labels: Labels = [("alertname", "DiskFull".to_owned()), ("severity", "warning".to_owned()), ("team", format!("t{}", routes / 2))]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    bencher.bench(|| loaded.plan.tree.route(black_box(&labels), now()));
}

/// Every platform, and one preset.
fn platforms() -> Vec<&'static str> {
    PLATFORMS.iter().map(|platform| platform.name).filter(|name| *name != "preset").chain(["ntfy"]).collect()
}

/// Renders, measures and fits into pages, as before a send.
#[divan::bench(args = platforms(), consts = [1, 3, 100])]
fn render<const ALERTS: usize>(bencher: Bencher, platform: &str) {
    let first = config::first(&[platform.to_owned()]).expect("a configuration");
    let loaded = loaded(&first.text);
    let (plan, event) = (&loaded.plan, event(ALERTS));
    let channel = plan.channel(&first.channels[0]).expect("a channel");
    bencher.bench(|| watchfire::http::api::preview(plan, channel, black_box(&event), now()));
}

/// The search for how many entries fit on a page, without what a template costs: 200 bytes an entry, DingTalk's 20,000 bytes a page, three pages.
#[divan::bench(args = [10, 100, 1000, 10_000])]
fn fit(bencher: Bencher, entries: usize) {
    let text = "x".repeat(200 * 150);
    bencher.bench(|| {
        let mut render = |part: &Part| {
            let shown = text.get(..200 * part.range.len()).unwrap_or(&text);
            Ok(Page { fields: [("text".to_owned(), shown.to_owned())].into(), ..Page::default() })
        };
        let size = |page: &Page| Size::bytes(page.field("text").len(), 20_000);
        watchfire::template::fit(black_box(entries), 3, &mut render, &size)
    });
}

fn new_event(n: usize, event: &Arc<Event>) -> NewEvent {
    let delivery = NewDelivery {
        id: DeliveryId::new(),
        channel: "ops".into(),
        outlet: OutletKey::new("log", "x"),
        lane_key: format!("lane-{n}"),
        target: Target { template: "default".into(), alerts: vec![0, 1, 2], ..Target::default() },
        mode: Mode::Queued,
        state: State::Waiting,
        rank: 2,
        summary: Summary { title: "Disk full".into(), firing: 3, resolved: 0 },
        born_at: UnixMs(1_764_000_000_000),
        due_at: UnixMs(1_764_000_000_000),
        fallback: Fallback::default(),
        reason: None,
        report: None,
        incident: DeliveryIncident::None,
    };
    NewEvent {
        id: EventId::new(),
        event: event.clone(),
        received_at: UnixMs(1_764_000_000_000),
        plan: "plan".into(),
        dedup: None,
        note: None,
        incidents: Vec::new(),
        deliveries: vec![delivery],
        steps: Vec::new(),
    }
}

/// So many events at once, each in a lane of its own, synced to disk; the group commit makes one transaction of them.
#[divan::bench(args = [1, 16, 64, 256, 1024], sample_count = 20, sample_size = 1)]
fn accept(bencher: Bencher, together: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = std::env::temp_dir().join(format!("watchfire-bench-{}-{}", std::process::id(), DeliveryId::new()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let store = SqliteStore::open(SqliteOptions::new(folder.join("w.db"))).expect("a store");
    let event = Arc::new(Event { alerts: vec![Alert::default(); 3], ..event(3) });
    let mut n = 0;
    bencher.counter(divan::counter::ItemsCount::new(together)).bench_local(|| {
        n += together;
        let all = (0..together).map(|i| store.accept(new_event(n + i, &event)));
        runtime.block_on(futures_util::future::join_all(all)).into_iter().for_each(|done| drop(done.expect("accepted")));
    });
    runtime.block_on(store.close());
    let _ = std::fs::remove_dir_all(&folder);
}

/// Outcomes of deliveries that were accepted before, so many at once.
#[divan::bench(args = [1, 16, 64, 256, 1024], sample_count = 20, sample_size = 1)]
fn settle(bencher: Bencher, together: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = std::env::temp_dir().join(format!("watchfire-bench-{}-{}", std::process::id(), DeliveryId::new()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let store = SqliteStore::open(SqliteOptions::new(folder.join("w.db"))).expect("a store");
    let event = Arc::new(event(3));
    let outlet = new_event(0, &event).deliveries[0].outlet.clone();
    let now = UnixMs(1_795_489_200_000);
    let claim = LeaseRequest { outlet: outlet.clone(), node: "bench".into(), now, lease_until: now + 8000, window_start: now };
    let epoch = runtime.block_on(store.claim_outlet(claim)).expect("a claim").expect("the outlet").epoch;
    let mut n = 0;
    bencher
        .counter(divan::counter::ItemsCount::new(together))
        .with_inputs(|| {
            n += together;
            let all = (0..together).map(|i| store.accept(new_event(n + i, &event)));
            let accepted = runtime.block_on(futures_util::future::join_all(all));
            let placed = accepted.into_iter().flat_map(|done| done.expect("accepted").deliveries);
            placed
                .map(|delivery| OutcomeBatch {
                    deliveries: vec![DeliveryUpdate {
                        id: delivery.id,
                        lane: delivery.lane,
                        state: State::Dropped,
                        tries: 1,
                        due_at: now,
                        reason: Some("measured".into()),
                        leave_message: false,
                    }],
                    ..OutcomeBatch::new(Fence { outlet: outlet.clone(), epoch }, now)
                })
                .collect::<Vec<_>>()
        })
        .bench_local_values(|settlements| {
            let all = settlements.into_iter().map(|settlement| store.record_outcome(settlement));
            runtime.block_on(futures_util::future::join_all(all)).into_iter().for_each(|done| drop(done.expect("settled")));
        });
    runtime.block_on(store.close());
    let _ = std::fs::remove_dir_all(&folder);
}

/// Grafana's signature of a body, verified.
#[divan::bench(args = [1, 3, 10, 100])]
fn signature(bencher: Bencher, alerts: usize) {
    use hmac::{Hmac, KeyInit, Mac};
    let body = body(alerts);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"0123456789abcdef").expect("a key");
    mac.update(&body);
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let secrets = vec![watchfire::model::Secret::new("0123456789abcdef")];
    let kind = CredentialKind::Hmac { secrets, header: "x-grafana-alerting-signature".into(), timestamp_header: None };
    let credential = Credential { name: "grafana".into(), kind, scopes: Vec::new(), channels: Vec::new() };
    let auth = Auth { credentials: vec![credential], ..Auth::default() };
    let mut headers = axum::http::HeaderMap::new();
    headers.insert("x-grafana-alerting-signature", signature.parse().expect("a header"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    bencher.bench_local(|| {
        let mut signing = auth.signed(&headers);
        signing.update(black_box(&body));
        let signatures = signing.end();
        runtime.block_on(auth.admit(Scope::Webhook, &headers, Some(&signatures), None, 0)).expect("the signature is right")
    });
}
