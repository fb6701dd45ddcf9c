//! `legacy:` as the file writes it: which channels the direct paths of older clients send through.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::route::OneOrMany;

/// Which channels the direct paths of older clients send through, and who may use them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LegacyBlock {
    /// `inherit`: callers need credentials as anywhere else; `none`: they need none. Default `inherit`.
    pub auth: LegacyAuth,
    /// The only networks that may use the direct paths (`10.0.0.0/8`). Default: all. Needed with `auth: none` when others can reach `listen`.
    pub allow_ips: Vec<String>,
    /// `/email/send/message`.
    pub email: Option<LegacyEmailBlock>,
    /// `/slack/send/message`: what callers name as `channel`, and the channel here that it means.
    pub slack: IndexMap<String, String>,
    /// `/dingding/send/message`: a DingTalk robot.
    pub dingding: Option<String>,
    /// `/wx/apps/send`: a WeCom application, or several by the `agentid` that callers name: `{ "1000002": ops, "1000003": dba }`.
    pub wx: Option<LegacyWx>,
    /// `/sms/send`: an SMS channel.
    pub sms: Option<String>,
    /// `/vms/send`: a voice channel.
    pub vms: Option<String>,
    /// `/dingding/call`: a channel for DingTalk calls.
    pub dingding_call: Option<String>,
    /// `/dingtalk/<target>/send` of prometheus-webhook-dingtalk: its targets, and the channel or channels here that each means.
    pub dingtalk: IndexMap<String, OneOrMany>,
    /// `/prometheusalert?type=...` of PrometheusAlert, and `/zabbix/alert` of its zabbixclient: its types (`dd`, `wx`, `fs`, `email` and others), and the
    /// channel or channels here that each means. A robot that the query names goes to the channel that has its token, where there is one.
    pub prometheusalert: IndexMap<String, OneOrMany>,
    /// `/webhook/send?channel_type=...` of alertmanager-webhook-adapter: its types (`dingtalk`, `weixin`, `feishu` and others), likewise.
    pub webhook_send: IndexMap<String, OneOrMany>,
}

/// The binding of `/wx/apps/send`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LegacyWx {
    /// One application's channel; the caller's `agentid` is sent as it is.
    One(String),
    /// The caller's `agentid` to the channel of that application.
    ByAgent(IndexMap<String, String>),
}

/// Who may use the direct paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LegacyAuth {
    /// Any caller that `server.auth` admits.
    #[default]
    Inherit,
    /// Anybody (see `allow_ips`).
    None,
}

/// The binding of `/email/send/message`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LegacyEmailBlock {
    /// An e-mail channel.
    pub channel: String,
    /// Senders that callers may use, `*` for any part: `*@example.com`. Default: only the channel's own.
    #[serde(default)]
    pub allow_from: Vec<String>,
}
