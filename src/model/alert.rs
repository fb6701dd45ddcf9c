//! Alerts and events as every other module sees them, whatever sender they came from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::language::Language;
use super::time::UnixMs;

/// Label or annotation set, sorted by name.
pub type Labels = BTreeMap<String, String>;

/// Members of a body that have no field of their own, as they were sent.
pub type Extra = serde_json::Map<String, serde_json::Value>;

/// Whether an alert (or a whole event) fires or is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The condition holds.
    #[default]
    Firing,
    /// The condition no longer holds.
    Resolved,
}

impl Status {
    /// `firing` or `resolved`, as Alertmanager writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Firing => "firing",
            Status::Resolved => "resolved",
        }
    }
}

/// The kind of sender an event came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SenderKind {
    /// Alertmanager webhook, version "4".
    #[default]
    Alertmanager,
    /// Grafana unified alerting webhook, version "1".
    Grafana,
    /// Grafana's classic alerting (`evalMatches`).
    GrafanaLegacy,
    /// A bare array of alerts.
    Alerts,
    /// A body that an input read, or that was kept as text.
    Generic,
    /// `POST /api/v1/send` and the legacy direct paths.
    Direct,
    /// Watchfire's own alarms.
    Watchfire,
}

impl SenderKind {
    /// The name used in `source`, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            SenderKind::Alertmanager => "alertmanager",
            SenderKind::Grafana => "grafana",
            SenderKind::GrafanaLegacy => "grafana_legacy",
            SenderKind::Alerts => "alerts",
            SenderKind::Generic => "generic",
            SenderKind::Direct => "direct",
            SenderKind::Watchfire => "watchfire",
        }
    }
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default, JsonSchema)]
pub struct Alert {
    /// Firing or resolved.
    pub status: Status,
    /// Labels that identify it; names and values are any UTF-8.
    pub labels: Labels,
    /// Annotations that describe it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Labels,
    /// When it began; `None` when the sender did not say in a form we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub starts_at: Option<Timestamp>,
    /// When it ended; `None` while firing (the senders' zero time is read as none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ends_at: Option<Timestamp>,
    /// Stable identity over the labels: the sender's own, else one computed from the labels.
    pub fingerprint: String,
    /// Link to the rule or expression that raised it; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub generator_url: String,
    /// Link that opens a new silence for it; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub silence_url: String,
    /// Link to the dashboard; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dashboard_url: String,
    /// Link to the panel; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub panel_url: String,
    /// Link to a picture of the panel; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image_url: String,
    /// Grafana's values by reference id (`B`, `C`); non-finite ones are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, f64>,
    /// Grafana's `valueString`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value_string: String,
    /// Grafana's rule identity; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule_uid: String,
    /// What its sender says of it besides; of an alert that an input read all of it. At most 64 KiB of a body are kept.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub extra: Extra,
}

impl Alert {
    /// The `alertname` label, or an empty string.
    pub fn name(&self) -> &str {
        self.label("alertname")
    }

    /// A label's value; a missing label is the empty string, as in Alertmanager.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// An annotation's value, or an empty string.
    pub fn annotation(&self, name: &str) -> &str {
        self.annotations.get(name).map_or("", String::as_str)
    }
}

/// What was odd about a body; told with its alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// Its encoding is unknown or broken: some characters may read wrongly.
    Encoding,
    /// So many of its entries are no alerts, or have labels or annotations that are no object; they are shown as text.
    Odd(u32),
    /// It is no alert at all and is shown as text.
    NoAlert,
    /// A person had it sent again; it first arrived at this time.
    Replay(UnixMs),
    /// It was posted to an input that does not exist.
    NoInput,
    /// The address that it was posted to names recipients who are left out: none of its channels takes them, they are too many, or they are no addresses.
    Recipients,
    /// The address that it was posted to names a template that none of its channels has.
    Template,
    /// It has more members without a field of their own than are kept ([`Event::extra`], [`Alert::extra`]).
    Extra,
}

impl Note {
    /// The sentence for a reader of the message.
    pub fn text(self, language: Language) -> String {
        match (self, language) {
            (Note::Encoding, Language::En) => "Some characters may read wrongly: the sender's text is not UTF-8".into(),
            (Note::Encoding, Language::Zh) => "部分字符可能显示有误：发送方的内容不是 UTF-8 编码".into(),
            (Note::Odd(1), Language::En) => "One alert came in an unknown form and is shown as text".into(),
            (Note::Odd(n), Language::En) => format!("{n} alerts came in an unknown form and are shown as text"),
            (Note::Odd(n), Language::Zh) => format!("{n} 条告警的格式无法识别，按原文显示"),
            (Note::NoAlert, Language::En) => "The sender's body is no alert that Watchfire knows; this is its text".into(),
            (Note::Replay(at), Language::En) => format!("Sent again by hand; it first arrived at {at}"),
            (Note::Replay(at), Language::Zh) => format!("人工重发；首次到达时间 {at}"),
            (Note::NoAlert, Language::Zh) => "发送方的内容不是可识别的告警，按原文显示".into(),
            (Note::NoInput, Language::En) => {
                "The address that it was sent to names an input that does not exist; it was read by what it holds".into()
            }
            (Note::NoInput, Language::Zh) => "发送地址中的 input 不存在，已按内容识别".into(),
            (Note::Recipients, Language::En) => {
                "The address that it was sent to names recipients whom its channels do not take, more than 50, or ones that are no addresses: those \
                 are left out, and where nobody is left the channels' own get it"
                    .into()
            }
            (Note::Recipients, Language::Zh) => {
                "发送地址中的部分收件人未采用（与通道类型不符、超过 50 个或不是有效地址）；没有可用收件人时，发给通道自己的收件人".into()
            }
            (Note::Template, Language::En) => {
                "The address that it was sent to names a template that its channels do not have; their own are used".into()
            }
            (Note::Template, Language::Zh) => "发送地址中的模板（tpl）在目标通道的平台上不存在，已使用通道自己的模板".into(),
            (Note::Extra, Language::En) => "The sender's body has more fields of its own than Watchfire keeps; the others are left out".into(),
            (Note::Extra, Language::Zh) => "发送方的附加字段超过保留上限，超出部分未保留".into(),
        }
    }
}

/// The label that means the channel in the matchers of a mute.
pub const CHANNEL_LABEL: &str = "channel";

/// Alertmanager's `notification_reason` of a group's end. It counts all alerts of the group, also those that it leaves out of the body (since 0.32).
pub const ALL_RESOLVED: &str = "all alerts resolved";

/// One request body that arrived, normalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default, JsonSchema)]
pub struct Event {
    /// What kind of sender it came from.
    pub kind: SenderKind,
    /// Who sent it: kind + credential name, or `?source=` (+ orgId). Lanes and dedup are per source.
    pub source: String,
    /// The sender's receiver or contact point, unescaped.
    pub receiver: String,
    /// Firing unless every alert is resolved.
    pub status: Status,
    /// The sender's group key; empty when it sent none.
    pub group_key: String,
    /// Labels the sender grouped by.
    #[serde(default)]
    pub group_labels: Labels,
    /// Labels common to all alerts.
    #[serde(default)]
    pub common_labels: Labels,
    /// Annotations common to all alerts.
    #[serde(default)]
    pub common_annotations: Labels,
    /// Alertmanager 0.34's labels of the route; empty otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub route_labels: Labels,
    /// The sender's own address; may be unreachable from here.
    #[serde(default)]
    pub external_url: String,
    /// How many alerts the sender left out (`truncatedAlerts`).
    #[serde(default)]
    pub truncated: u64,
    /// Alertmanager 0.32's `notification_reason`; empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A title the sender rendered (Grafana, direct sends); empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// A message the sender rendered (Grafana, direct sends); empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Channels that its sender named (`?to=`, `to`) and that it could not be sent to: they do not exist, or its credential may not use them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_to: Vec<String>,
    /// Context of the trace that it belongs to (W3C `traceparent`); empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace: String,
    /// What was odd about the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// Whether each alert is a group of its own (an input with `identity`): nothing but its fingerprint says what belongs to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub apart: bool,
    /// What its sender says besides. At most 64 KiB of a body are kept.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub extra: Extra,
    /// The alerts, in the order they were sent. Never empty.
    pub alerts: Vec<Alert>,
}

impl Event {
    /// Whether it says of every alert of its group whether it fires: what it does not list is over. A sender that leaves alerts out (`truncatedAlerts`)
    /// does so before it computes the status, so neither absence nor `resolved` proves anything then, but its reason does. A body without a group is
    /// never the whole of one, unless its sender speaks of one thing only.
    pub fn is_whole(&self) -> bool {
        match self.kind {
            SenderKind::Direct | SenderKind::Watchfire | SenderKind::GrafanaLegacy => true,
            _ if self.reason == ALL_RESOLVED => self.status == Status::Resolved,
            _ => !self.group_key.is_empty() && self.truncated == 0,
        }
    }

    /// Whether alerts may fire that its sender left out, though all that it lists are over.
    pub fn may_fire_on(&self) -> bool {
        self.status == Status::Resolved && self.truncated > 0 && self.reason != ALL_RESOLVED
    }

    /// Whether it is a text of a person or a program that is not over, and no notice of Watchfire's own.
    pub fn is_text(&self) -> bool {
        self.kind == SenderKind::Direct && self.status == Status::Firing && self.source != "watchfire"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_proves_nothing_but_the_reason_does() {
        let over = Event { group_key: "{}:{}".into(), status: Status::Resolved, ..Event::default() };
        let cut = Event { truncated: 4, ..over.clone() };
        let said = Event { reason: ALL_RESOLVED.into(), ..cut.clone() };
        let repeated = Event { reason: "repeat interval elapsed".into(), ..cut.clone() };
        let ungrouped = Event { group_key: String::new(), ..over.clone() };
        let own = Event { kind: SenderKind::Direct, ..ungrouped.clone() };
        let fires = Event { status: Status::Firing, ..cut.clone() };
        for (event, whole, on) in [
            (&over, true, false),
            (&cut, false, true),
            (&said, true, false),
            (&repeated, false, true),
            (&ungrouped, false, false),
            (&own, true, false),
            (&fires, false, false),
        ] {
            assert_eq!((event.is_whole(), event.may_fire_on()), (whole, on), "{event:?}");
        }
    }
}
