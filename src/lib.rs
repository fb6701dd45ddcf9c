//! Watchfire, the alert delivery gateway: it accepts alerts from Prometheus Alertmanager and Grafana,
//! routes them by label, renders them per platform, and delivers them with a durable queue in between.
//!
//! The modules form floors; a module uses only floors below its own (`tests/architecture/` checks it):
//!
//! | floor | modules | what for |
//! |---|---|---|
//! | F0 | [`model`], [`metrics`], [`traces`] | alerts, messages, outcomes, secrets, durations; what is counted and traced |
//! | F1 | [`ingest`], [`route`], [`template`], [`channel`], [`lookalike`], [`store`] | one concern each; they do not see each other |
//! | F2 | [`delivery`] | the plan, intake, and one worker per outlet |
//! | F3 | [`api`], [`config`] | the HTTP API as types; file to checked plan, with every finding located |
//! | F4 | [`http`] | the outside |
//! | F5 | [`app`] | build, start, reload, drain, stop |
//! | top | [`cli`] | commands: they start the app or call its API |

pub mod api;
pub mod app;
pub mod channel;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod http;
pub mod ingest;
pub mod lookalike;
pub mod metrics;
pub mod model;
pub mod route;
pub mod store;
pub mod template;
pub mod traces;
