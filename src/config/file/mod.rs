//! The shape of routes.yaml. Doc comments are the reference: the JSON Schema for editors and `schema --markdown` are made from them. Nothing here
//! checks what the values mean; that is `check`'s work.

mod extras;
mod include;
mod legacy;
mod mute;
mod people;
mod route;
mod server;

pub use extras::{Dedup, Expectation, ExpectedAlert, Heartbeat, IncidentsBlock, NamesBlock, Retention, SelfMonitoring, SeverityBlock, SilenceBlock};
pub use include::{ChannelDefaults, DefaultsBlock, IncludeBlock, IncludeEntry};
pub use legacy::{LegacyAuth, LegacyBlock, LegacyEmailBlock, LegacyWx};
pub use mute::MuteBlock;
pub use people::{EscalationStep, PersonBlock, QuietBlock, RotaBlock, Rotation, StepPeople, TeamBlock, TurnBlock};
pub use route::{OnMute, OneOrMany, RouteNode, RouteTo, ToByLabel};
pub use server::{Auth, Basic, Credential, Hmac, Limits, NoneWord, Proxy, Scope, ServerBlock, TlsFiles};

use std::path::PathBuf;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::channel::ChannelConfig;
use crate::ingest::InputBlock;
use crate::model::{Language, SecretSource};
use crate::route::TimeIntervalConfig;

/// Watchfire's configuration: who may send, where alerts go, and how they look there. All durations are Prometheus durations (`30s`, `5m`, `1h30m`);
/// relative paths are relative to this file's folder; top-level keys that begin with `x-` are ignored and may hold anchors.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "routes.yaml")]
pub struct RoutesFile {
    /// Where the server listens, who is let in, and its limits.
    pub server: ServerBlock,
    /// Where events and deliveries are kept: `sqlite:PATH` for one process, or `postgres://user:password@host:5432/name` for any number of nodes,
    /// best as `{ env: DATABASE_URL }` or `{ file: PATH }`. Default `sqlite:watchfire.db`.
    pub store: Option<SecretSource>,
    /// Folder with templates of your own, `<platform>/<set>.<field>.hbs`; they replace the built-in ones file by file. Default: only the built-in ones.
    pub templates: Option<PathBuf>,
    /// Zone in which messages show times (`Asia/Shanghai`). Default `UTC`.
    pub time_zone: Option<String>,
    /// Language of the words that templates add: `en` or `zh`. Default `en`.
    pub language: Language,
    /// How labels become severities, which decide colour, priority and order.
    pub severity: SeverityBlock,
    /// Labels that messages list beside name, severity and place. Hidden by default: `prometheus`, `prometheus_replica`, `endpoint`, `uid`, `fstype`,
    /// `datasource_uid`, `ref_id`, `grafana_folder`, names that begin with `__`, `device` beside `mountpoint`, `instance` beside a pod or another
    /// Kubernetes object, and those of an exporter that reports on something else: kube-state-metrics, node, blackbox and SNMP exporters, a Pushgateway.
    pub labels: NamesBlock,
    /// Annotations that messages list beside summary, description, message, value and links. Hidden by default: those, and names that begin with `__`.
    pub annotations: NamesBlock,
    /// Files of teams, each with its channels and its part of the routing tree. `teams/*.yaml` is short for `{ files: "teams/*.yaml", matchers: 'team="{name}"' }`:
    /// `teams/db.yaml` sees the alerts with `team="db"`.
    pub include: Vec<IncludeEntry>,
    /// What holds for everything of a kind that does not say otherwise.
    pub defaults: DefaultsBlock,
    /// Destinations by name.
    pub channels: IndexMap<String, ChannelConfig>,
    /// The routing tree. Its root takes every alert.
    pub route: Option<RouteNode>,
    /// People by name: whom escalations reach, and who is known by the buttons that they press.
    pub people: IndexMap<String, PersonBlock>,
    /// Teams by name: whom labels of alerts name as their owners, and where those alerts go.
    pub teams: IndexMap<String, TeamBlock>,
    /// Who is on call when, by name: people who take turns.
    pub rotas: IndexMap<String, RotaBlock>,
    /// What happens when nobody acks an incident, by name: steps, each some time after the first message.
    pub escalations: IndexMap<String, Vec<EscalationStep>>,
    /// Named time intervals, in Alertmanager's shape, for `mute_time_intervals` and `active_time_intervals` on routes and steps, and on mutes.
    pub time_intervals: Vec<TimeIntervalConfig>,
    /// Mutes: alerts that match wait until the mute ends, whatever route they take. By hand they are made with `watchfire mute`.
    pub mutes: Vec<MuteBlock>,
    /// Which channels the direct paths of older clients send through.
    pub legacy: LegacyBlock,
    /// When a repeated event is a duplicate.
    pub dedup: Dedup,
    /// Senders that are replicas of one site: the site's name and theirs (the name of a credential, or what `?source=` says), `{ eu: [am-1, am-2] }`.
    /// What one of them sends repeats, goes on and ends what another one sent. Default: each sender is a site of its own; replicas that share a
    /// credential or a `?source=` are one already.
    pub sources: IndexMap<String, OneOrMany>,
    /// How incidents ring, go on and end.
    pub incidents: IncidentsBlock,
    /// Who is asked to be silent when a person silences an incident.
    pub silence: SilenceBlock,
    /// How long deliveries are kept, and how large the store may grow.
    pub retention: Retention,
    /// Where Watchfire's own alarms go.
    pub self_monitoring: SelfMonitoring,
    /// Alerts that always fire, and who is notified when they are missing.
    pub heartbeats: Vec<Heartbeat>,
    /// How the bodies of other senders are read, by name: each is posted to `/in/<name>`, or chosen on `/webhook` by what it holds. Those that come with
    /// Watchfire (`zabbix`, `zabbixclient`, `uptime_kuma`, `sns`, `cloudwatch`, `eventbridge`, `azure`, `google_cloud`, `aliyun`, `tencent`, `huawei`,
    /// `nightingale`, `sentry`, `datadog`) are there without being named here; one of the same name replaces one of them.
    pub inputs: IndexMap<String, InputBlock>,
    /// Expectations about the routing, checked at every start, reload and `check`.
    pub tests: Vec<Expectation>,
}
