//! The HTTP side: webhooks in, direct calls, health, metrics, and the read side for people.

mod admission;
pub mod api;
pub mod audit;
pub mod auth;
mod body;
mod connections;
mod console;
mod diff;
mod encoding;
mod error;
pub mod explain;
mod health;
mod legacy;
mod linger;
mod middleware;
pub mod openapi;
mod origin;
mod page;
mod pairs;
mod press;
mod receipts;
mod receive;
mod search;
mod senders;
pub mod serve;
pub mod tls_listener;
mod untaken;
mod waiting;
mod webhook;
mod why;

use crate::model::UnixMs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::routing::any;

use crate::config::ServerSettings;
use crate::delivery::Engine;
use crate::ingest::Inputs;

pub(crate) use admission::{Admitted, authenticate};
pub use auth::{Auth, Caller, Refusal, Scope};
pub use error::HttpError;
pub use waiting::waiting;

use openapi::{Op, Param, Paths};

/// What the HTTP side needs to know; swapped whole on reload.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Who may call.
    pub auth: Auth,
    /// Largest body, inflated, in bytes.
    pub max_body: usize,
    /// Proxies whose `X-Forwarded-For` is believed: address and prefix length.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Requests worked on at once; more get 503.
    pub concurrent: usize,
    /// Requests a second; more get 503.
    pub per_second: Option<u32>,
    /// Requests of one sender a minute; more get 503.
    pub per_sender: Option<u32>,
    /// Longest time one request may take.
    pub timeout: Duration,
    /// How bodies of other senders are read.
    pub inputs: Arc<Inputs>,
    /// Whether it serves HTTPS by itself.
    pub https: bool,
}

impl HttpSettings {
    /// The settings of a loaded configuration.
    pub fn new(server: &ServerSettings, inputs: Arc<Inputs>) -> Self {
        Self {
            auth: Auth::new(server),
            max_body: server.max_body,
            trusted_proxies: server.trusted_proxies.clone(),
            concurrent: server.concurrent,
            per_second: server.per_second,
            per_sender: server.per_sender,
            timeout: server.timeout,
            inputs,
            https: server.tls.is_some(),
        }
    }
}

/// The configuration that runs, for people to read.
#[derive(Debug, Clone, Default)]
pub struct Running {
    /// Its file.
    pub path: PathBuf,
    /// What wins over its `server.listen`.
    pub listen: Option<String>,
    /// Its lines, with secrets starred out.
    pub lines: Vec<String>,
    /// What is odd about it, a line each.
    pub warnings: Vec<String>,
    /// When it was loaded.
    pub loaded_at: UnixMs,
}

/// What `/-/ready` reports of the last reload: nothing, or why it failed.
pub type ReloadState = ArcSwap<Option<String>>;

/// Asks the application to reload; the answer is the report of what is wrong, if anything is.
pub type ReloadFn = Arc<dyn Fn() -> futures_util::future::BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Shared by all handlers.
pub struct App {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Settings.
    pub settings: ArcSwap<HttpSettings>,
    /// The file that the settings and the engine's plan come from.
    pub running: ArcSwap<Running>,
    /// Whether a stop has begun: `/-/ready` fails so that balancers look elsewhere.
    pub stopping: AtomicBool,
    /// The last reload.
    pub reload_state: ReloadState,
    /// How to reload.
    pub reload: ReloadFn,
    /// Bodies that were no alerts and were taken as text: how many, and when the last came.
    pub unread: Mutex<Option<Unread>>,
    /// Requests that are in flight.
    in_flight: AtomicUsize,
    /// Room for bodies.
    body_budget: body::BodyBudget,
    /// The current second and the requests in it.
    rate: Mutex<(i64, u32)>,
    /// The same of each sender in the current minute.
    senders: senders::Senders,
    /// What open consoles share.
    live: console::Live,
    /// The current minute and the refusals in it that were recorded.
    refusals: Mutex<(i64, u32)>,
    /// Bodies that no handler took.
    untaken: untaken::Untaken,
}

/// Bodies that were no alerts, since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// How many.
    pub count: u64,
    /// When the last one came.
    pub at: UnixMs,
}

impl App {
    /// The state behind a router.
    pub fn new(engine: Arc<Engine>, settings: HttpSettings, reload: ReloadFn) -> Self {
        Self {
            engine,
            running: ArcSwap::default(),
            stopping: AtomicBool::new(false),
            reload_state: ArcSwap::from_pointee(None),
            reload,
            unread: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            body_budget: body::BodyBudget::default(),
            settings: ArcSwap::from_pointee(settings),
            rate: Mutex::new((0, 0)),
            senders: senders::Senders::default(),
            live: console::Live::default(),
            refusals: Mutex::new((0, 0)),
            untaken: untaken::Untaken::default(),
        }
    }

    /// Whether one more refusal goes into the audit: a caller who guesses must not fill it. The log has them all.
    fn may_note_refusal(&self) -> bool {
        const A_MINUTE: u32 = 30;
        let minute = self.engine.clock().wall().seconds() / 60;
        let mut noted = self.refusals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *noted = if noted.0 == minute { (minute, noted.1.saturating_add(1)) } else { (minute, 1) };
        noted.1 <= A_MINUTE
    }

    /// Says that a stop has begun.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

/// Everything that is served, and how it is described.
fn paths() -> Paths {
    let inside = |op: Op| op.scope(Scope::Admin).refuses(&[500]);
    Paths::default()
        .below("", webhook::paths())
        .below("", legacy::paths())
        .below("/api/v1", api::paths())
        .at("/api/openapi.json", [Op::get("openapi", "This description", openapi::show).gives_anything()])
        .at("/-/healthy", [Op::get("healthy", "Whether the process runs", health::healthy)])
        .at("/-/ready", [Op::get("ready", "Whether alerts are taken", health::ready).refuses(&[503])])
        .at(
            "/-/reload",
            [
                inside(Op::post("reload", "Reloads the configuration; an invalid one is rejected and changes nothing", health::reload)),
                inside(Op::put("reloadPut", "Reloads the configuration; an invalid one is rejected and changes nothing", health::reload)),
            ],
        )
        .at(
            "/metrics",
            [Op::get("metrics", "Prometheus metrics; open unless a credential has the scope `metrics` or `admin`", health::metrics)
                .scope(Scope::Metrics)
                .gives_metrics()],
        )
        .at("/m/{code}", [Op::get("message", "A message as it was sent, for somebody with its link", page::show).gives_html().refuses(&[404, 410])])
        .at(
            "/a/{code}",
            [
                Op::get("messageToActOn", "The same, with what its reader can do about its incident", page::show_to_act)
                    .gives_html()
                    .refuses(&[404, 410, 429]),
                Op::post("actOnMessage", "Does one of those things about what the message shows", page::act)
                    .gives_html()
                    .refuses(&[403, 404, 410, 429, 503]),
            ],
        )
        .at(
            "/press/{channel}",
            [
                Op::post("press", "Where platforms report pressed buttons; each proves itself in its own way", press::take)
                    .gives_anything()
                    .refuses(&[403, 404]),
                Op::get("pressCheck", "How a platform checks that address before it reports anything", press::take)
                    .gives_anything()
                    .refuses(&[403, 404]),
            ],
        )
        .at(
            "/receipts/{channel}",
            [Op::post("receipt", "Where SMS and voice vendors say what became of what they took; the address is a secret", receipts::take)
                .query([Param::text("k", "The address's secret part")])
                .gives::<receipts::CallbackAccepted>()
                .refuses(&[403, 404])],
        )
        .at("/assets/{name}", [Op::get("asset", "What the pages load: style, script, icons", page::asset).gives_file().refuses(&[404])])
        .at("/", [Op::get("index", "What this is", page::index)])
}

/// The router.
pub fn router(app: Arc<App>) -> Router {
    let plain: Router = paths()
        .router()
        .nest("/ui", console::router(app.clone()))
        .fallback(any(untaken::unknown))
        .method_not_allowed_fallback(untaken::wrong_method)
        .with_state(app.clone());
    middleware::wrap(app, plain)
}
