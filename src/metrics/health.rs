//! How this program does: its build, store, configuration, cluster, tasks and heartbeats.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{Build, Heartbeat, What};

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
        let new = Self {
            store_errors: Counter::default(),
            store_bytes: Gauge::default(),
            reload_successful: Gauge::default(),
            reload_success_at: Gauge::default(),
            members: Gauge::default(),
            config_versions: Gauge::default(),
            self_alerts: Family::default(),
            task_restarts: Family::default(),
            heartbeat_age: Family::default(),
            heartbeat_missing: Family::default(),
        };
        let build: Family<Build, Gauge> = Family::default();
        build
            .get_or_create(&Build {
                version: env!("CARGO_PKG_VERSION"),
                revision: option_env!("WATCHFIRE_REVISION").filter(|revision| !revision.is_empty()),
            })
            .set(1);
        registry.register("build_info", "Constant 1, labelled with the version and, where the build knew it, the revision", build);
        registry.register("store_errors", "Failed reads and writes of the store", new.store_errors.clone());
        registry.register_with_unit("store_size", "Size of the store on disk", Unit::Bytes, new.store_bytes.clone());
        let text = "1 if the last reload of the configuration succeeded";
        registry.register("config_last_reload_successful", text, new.reload_successful.clone());
        let text = "Unix time of the last successful load of the configuration";
        registry.register_with_unit("config_last_reload_success_timestamp", text, Unit::Seconds, new.reload_success_at.clone());
        registry.register("cluster_members", "Nodes that share the store; 0 with SQLite", new.members.clone());
        let text = "Number of distinct configurations among the cluster members (expected: 1)";
        registry.register("cluster_config_versions", text, new.config_versions.clone());
        registry.register("self_alerts", "Alerts that Watchfire raised about itself, by kind", new.self_alerts.clone());
        registry.register("log_lines_lost", "Log lines that could not be written", lost_lines);
        registry.register("task_restarts", "Background tasks restarted after a failure, by task", new.task_restarts.clone());
        registry.register_with_unit("heartbeat_age", "Time since the heartbeat's alert last arrived", Unit::Seconds, new.heartbeat_age.clone());
        registry.register("heartbeat_missing", "1 while a heartbeat is missing", new.heartbeat_missing.clone());
        new
    }
}
