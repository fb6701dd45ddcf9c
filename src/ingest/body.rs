//! The bodies of Alertmanager, Grafana (unified and legacy) and bare alert arrays, read in one pass into one set of fields.
//!
//! One reader for all of them: bodies in the wild mix the shapes, and which sender it was is known only when the whole body has been seen.
//! What the fields mean together is [`super::event`]'s business.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::alert::{AlertList, AlertsSeed, owned, set, status_word};
use super::json::{Key, Step, Trail, raw, refuse_other_types};
use super::value::{integer, is_null, text};
use crate::model::{Extra, Labels, Status};

/// What a body says, field by field; `None` and empty for what is missing or null.
#[derive(Default)]
pub(super) struct Body<'a> {
    pub(super) version: String,
    pub(super) receiver: String,
    pub(super) status: Option<Status>,
    pub(super) group_key: String,
    pub(super) grafana: GrafanaFields,
    pub(super) reason: String,
    pub(super) truncated: u64,
    pub(super) external_url: String,
    pub(super) labels: SharedLabels,
    /// Whether there was an `alerts` member that is not null.
    pub(super) has_alerts: bool,
    pub(super) list: AlertList,
    pub(super) legacy: LegacyFields<'a>,
    /// A `labels` member beside no `alerts`: the body may itself be one alert.
    pub(super) own_labels: Option<&'a str>,
    /// Members that have no field here.
    pub(super) extra: Extra,
}

/// Members that only Grafana sends.
#[derive(Default)]
pub(super) struct GrafanaFields {
    pub(super) state: String,
    pub(super) org_id: Option<i64>,
    pub(super) title: String,
    pub(super) message: String,
}

/// What all alerts of the body share.
#[derive(Default)]
pub(super) struct SharedLabels {
    pub(super) group: Option<Labels>,
    pub(super) common: Option<Labels>,
    pub(super) annotations: Option<Labels>,
    pub(super) route: Option<Labels>,
}

/// Members that only Grafana's legacy alerting sends; raw, because in any other body the same names may hold anything.
#[derive(Default)]
pub(super) struct LegacyFields<'a> {
    pub(super) rule_name: Option<&'a str>,
    pub(super) rule_id: Option<&'a str>,
    pub(super) rule_url: Option<&'a str>,
    pub(super) image_url: Option<&'a str>,
    pub(super) eval_matches: Option<&'a str>,
    pub(super) tags: Option<&'a str>,
}

fn present(raw: &str) -> Option<&str> {
    (!is_null(raw)).then_some(raw)
}

/// Reads a body that is an object.
pub(super) struct BodySeed<'t> {
    pub(super) trail: &'t Trail,
}

impl<'de> DeserializeSeed<'de> for BodySeed<'_> {
    type Value = Body<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Body<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BodySeed<'_> {
    type Value = Body<'de>;
    refuse_other_types!("an object or an array of alerts");

    fn visit_unit<E: serde::de::Error>(self) -> Result<Body<'de>, E> {
        Err(self.trail.refuse("expected an object or an array of alerts, found null"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body<'de>, A::Error> {
        let trail = self.trail;
        let mut body = Body::default();
        while let Some(Key(key)) = map.next_key()? {
            match key.as_ref() {
                "alerts" => {
                    let list = trail.step(Step::Key("alerts"), map.next_value_seed(AlertsSeed { trail }))?;
                    body.has_alerts |= list.is_some();
                    // Of a repeated key the last one counts, but an empty repeat must not cost the alerts.
                    body.list = list.filter(|l| !l.alerts.is_empty() || body.list.alerts.is_empty()).unwrap_or(body.list);
                }
                "version" => body.version = owned(raw(&mut map, trail, "version")?),
                "receiver" => body.receiver = owned(raw(&mut map, trail, "receiver")?),
                "status" => body.status = status_word(&text(raw(&mut map, trail, "status")?)),
                "state" => body.grafana.state = owned(raw(&mut map, trail, "state")?),
                "groupKey" => body.group_key = owned(raw(&mut map, trail, "groupKey")?),
                "orgId" => body.grafana.org_id = integer(raw(&mut map, trail, "orgId")?),
                "title" => body.grafana.title = owned(raw(&mut map, trail, "title")?),
                "message" => body.grafana.message = owned(raw(&mut map, trail, "message")?),
                "notification_reason" => body.reason = owned(raw(&mut map, trail, "notification_reason")?),
                "truncatedAlerts" => {
                    body.truncated = integer(raw(&mut map, trail, "truncatedAlerts")?).map_or(0, |n| u64::try_from(n).unwrap_or(0));
                }
                "externalURL" => body.external_url = owned(raw(&mut map, trail, "externalURL")?),
                "groupLabels" => body.labels.group = labels(&mut map, trail, "groupLabels")?,
                "commonLabels" => body.labels.common = labels(&mut map, trail, "commonLabels")?,
                "commonAnnotations" => body.labels.annotations = labels(&mut map, trail, "commonAnnotations")?,
                "routeLabels" => body.labels.route = labels(&mut map, trail, "routeLabels")?,
                "ruleName" => body.legacy.rule_name = present(raw(&mut map, trail, "ruleName")?),
                "ruleId" => body.legacy.rule_id = present(raw(&mut map, trail, "ruleId")?),
                "ruleUrl" => body.legacy.rule_url = present(raw(&mut map, trail, "ruleUrl")?),
                "imageUrl" => body.legacy.image_url = present(raw(&mut map, trail, "imageUrl")?),
                // Present even when null: it marks a legacy body.
                "evalMatches" => body.legacy.eval_matches = Some(raw(&mut map, trail, "evalMatches")?),
                "tags" => body.legacy.tags = present(raw(&mut map, trail, "tags")?),
                "labels" => body.own_labels = present(raw(&mut map, trail, "labels")?),
                other => {
                    let value = map.next_value::<&serde_json::value::RawValue>()?.get();
                    trail.keep(&mut body.extra, other, value);
                }
            }
        }
        Ok(body)
    }
}

fn labels<'de, A: MapAccess<'de>>(map: &mut A, trail: &Trail, key: &'static str) -> Result<Option<Labels>, A::Error> {
    Ok(set(map, trail, key)?.map(|set| set.labels))
}
