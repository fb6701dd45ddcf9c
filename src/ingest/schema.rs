//! The webhook's body as the API's description shows it. It is read by hand (`body`), not by these types.

/// A webhook's body as Alertmanager and Grafana write it. It is read leniently: everything but the alerts may be missing, further members are ignored,
/// and an array of alerts or a single alert is taken as well.
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code)] // for the description only
pub struct WebhookBody {
    /// The sender's receiver or contact point.
    receiver: Option<String>,
    /// The sender's group: a lane of its own at each channel.
    group_key: Option<String>,
    /// Labels the sender grouped by.
    group_labels: Option<crate::model::Labels>,
    /// Labels common to all alerts.
    common_labels: Option<crate::model::Labels>,
    /// Annotations common to all alerts.
    common_annotations: Option<crate::model::Labels>,
    /// The sender's own address.
    #[schemars(rename = "externalURL")]
    external_url: Option<String>,
    /// The alerts.
    #[schemars(length(min = 1))]
    alerts: Vec<WebhookAlert>,
}

/// An alert in a webhook's body.
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[allow(dead_code)] // for the description only
pub struct WebhookAlert {
    /// `firing` or `resolved`.
    status: Option<crate::model::Status>,
    /// What identifies it.
    labels: crate::model::Labels,
    /// What describes it.
    annotations: Option<crate::model::Labels>,
    /// When it began.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    starts_at: (),
    /// When it ended.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    ends_at: (),
    /// Link to the rule.
    #[schemars(rename = "generatorURL")]
    generator_url: Option<String>,
    /// The sender's identity of it.
    fingerprint: Option<String>,
}
