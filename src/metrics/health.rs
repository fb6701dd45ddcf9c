//! How this program does: its build, store, configuration, cluster, tasks and heartbeats.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{Build, Heartbeat, What};
use super::register::{measured, series};

/// The commit that this program was built from; `None` where the build did not know it.
pub fn revision() -> Option<&'static str> {
    option_env!("WATCHFIRE_REVISION").filter(|revision| !revision.is_empty())
}

/// Metrics of the program itself.
pub struct Health {
    pub store_errors: Counter,
    pub store_bytes: Gauge,
    pub reload_successful: Gauge,
    pub reload_success_at: Gauge<f64, AtomicU64>,
    pub members: Gauge,
    pub config_versions: Gauge,
    pub self_alerts: Family<What, Counter>,
    pub task_restarts: Family<What, Counter>,
    pub heartbeat_age: Family<Heartbeat, Gauge>,
    pub heartbeat_missing: Family<Heartbeat, Gauge>,
}

impl Health {
    pub fn register(registry: &mut Registry, lost_lines: Counter) -> Self {
        let build: Family<Build, Gauge> = Family::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION"), revision: revision() }).set(1);
        registry.register("build_info", "Constant 1, labelled with the version and, where the build knew it, the revision", build);
        registry.register("log_lines_lost", "Log lines that could not be written", lost_lines);
        Self {
            store_errors: series(registry, "store_errors", "Failed reads and writes of the store", Counter::default()),
            store_bytes: measured(registry, "store_size", "Size of the store on disk", Unit::Bytes, Gauge::default()),
            reload_successful: series(
                registry,
                "config_last_reload_successful",
                "1 if the last reload of the configuration succeeded",
                Gauge::default(),
            ),
            reload_success_at: measured(
                registry,
                "config_last_reload_success_timestamp",
                "Unix time of the last successful load of the configuration",
                Unit::Seconds,
                Gauge::default(),
            ),
            members: series(registry, "cluster_members", "Nodes that share the store; 0 with SQLite", Gauge::default()),
            config_versions: series(
                registry,
                "cluster_config_versions",
                "Number of distinct configurations among the cluster members (expected: 1)",
                Gauge::default(),
            ),
            self_alerts: series(registry, "self_alerts", "Alerts that Watchfire raised about itself, by kind", Family::default()),
            task_restarts: series(registry, "task_restarts", "Background tasks restarted after a failure, by task", Family::default()),
            heartbeat_age: measured(registry, "heartbeat_age", "Time since the heartbeat's alert last arrived", Unit::Seconds, Family::default()),
            heartbeat_missing: series(registry, "heartbeat_missing", "1 while a heartbeat is missing", Family::default()),
        }
    }
}
