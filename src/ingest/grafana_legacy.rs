//! Grafana's classic alerting (`evalMatches`, gone since Grafana 11): one rule, one alert.

use std::collections::BTreeMap;

use super::alert::status_word;
use super::body::Body;
use super::error::{IngestError, Source};
use super::event::overall;
use super::identity::fingerprint;
use super::json::{LabelsSeed, Trail, read};
use super::value::{elements, finite, kind_of, members, text};
use super::{Parsed, Sender};
use crate::model::{Alert, Event, Labels, SenderKind, Status};

/// Evaluation matches that are kept of a rule.
const MAX_MATCHES: usize = 1000;

/// Whether a body without alerts is a legacy one.
pub(super) fn is_legacy(sender: &Sender, body: &Body<'_>) -> bool {
    let by_rule = body.legacy.rule_name.is_some() && (!body.grafana.state.is_empty() || *sender == Sender::Grafana);
    body.legacy.eval_matches.is_some() || by_rule
}

/// The event of a legacy body. The rule's name is the alert name, its tags are the labels; `ok` and `paused` are resolved, every other state
/// (`alerting`, `no_data`, `pending`, unknown ones) fires, and one that is neither `ok` nor `alerting` is named in `grafana_state_reason`.
/// It has no fingerprint of its own: one is made of organisation, rule and tags.
pub(super) fn event(source: &Source<'_>, body: Body<'_>) -> Result<Parsed, IngestError> {
    let of = |raw: Option<&str>| raw.map(|raw| text(raw).into_owned()).unwrap_or_default();
    let mut labels = tags(source, &body)?;
    let mut identity = labels.clone();
    identity.insert("__org_id__".into(), body.grafana.org_id.map(|id| id.to_string()).unwrap_or_default());
    identity.insert("__rule_id__".into(), of(body.legacy.rule_id.or(body.legacy.rule_name)));

    let name = of(body.legacy.rule_name);
    let name = if name.is_empty() { body.grafana.title.clone() } else { name };
    if !name.is_empty() {
        labels.entry("alertname".into()).or_insert(name);
    }
    let mut annotations = Labels::new();
    if !body.grafana.message.is_empty() {
        annotations.insert("description".into(), body.grafana.message.clone());
    }
    let status = match body.grafana.state.to_ascii_lowercase().as_str() {
        "paused" => Status::Resolved,
        state => status_word(state).or(body.status).unwrap_or_default(),
    };
    if !matches!(body.grafana.state.as_str(), "" | "ok" | "alerting") {
        annotations.insert("grafana_state_reason".into(), body.grafana.state.clone());
    }
    let (values, value_string) = matches(body.legacy.eval_matches);
    let alert = Alert {
        status,
        labels,
        annotations,
        fingerprint: fingerprint(&identity),
        generator_url: of(body.legacy.rule_url),
        image_url: of(body.legacy.image_url),
        values,
        value_string,
        ..Alert::default()
    };
    let alerts = vec![alert];
    let event = Event {
        kind: SenderKind::GrafanaLegacy,
        receiver: body.receiver,
        status: overall(&alerts),
        common_labels: alerts[0].labels.clone(),
        common_annotations: alerts[0].annotations.clone(),
        external_url: body.external_url,
        title: body.grafana.title,
        message: body.grafana.message,
        extra: body.extra,
        alerts,
        ..Event::default()
    };
    Ok(Parsed { event, org_id: body.grafana.org_id })
}

fn tags(source: &Source<'_>, body: &Body<'_>) -> Result<Labels, IngestError> {
    let Some(raw) = body.legacy.tags else { return Ok(Labels::new()) };
    let trail = Trail::default();
    // The raw value is a slice of the body, so an error in it has its place there.
    let set = read(source, raw, "tags", &trail, LabelsSeed { trail: &trail })?.unwrap_or_default();
    let mut tags = set.labels;
    if !set.rest.is_empty() {
        tags.insert("tags".into(), set.rest.replace('\n', ", "));
    }
    Ok(tags)
}

/// `evalMatches` as values by metric, and as text in the form that unified alerting uses. A metric of several series gets its
/// tags into its name. What is not a match, or has no finite value, is left out.
fn matches(raw: Option<&str>) -> (BTreeMap<String, f64>, String) {
    let mut values = BTreeMap::new();
    let mut parts = Vec::new();
    for entry in elements(raw.unwrap_or_default()).into_iter().filter(|e| kind_of(e) == "an object").take(MAX_MATCHES) {
        let fields = members(entry);
        let field = |name: &str| fields.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value);
        let metric = field("metric").map(text).unwrap_or_default();
        let tags: Vec<String> =
            field("tags").map(members).unwrap_or_default().into_iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
        let tags = tags.join(", ");
        let value = field("value").and_then(finite);
        parts.push(format!("[ metric='{metric}' labels={{{tags}}} value={} ]", value.map_or_else(|| "null".to_owned(), |v| v.to_string())));
        if let Some(value) = value {
            let name = if values.contains_key(metric.as_ref()) { format!("{metric}{{{tags}}}") } else { metric.into_owned() };
            values.insert(name, value);
        }
    }
    (values, parts.join(", "))
}
