//! The bodies of Alertmanager, Grafana (unified and legacy) and bare alert arrays, read in one pass into one set of fields.
//!
//! One reader for all of them: bodies in the wild mix the shapes, and which sender it was is known only when the whole body has been seen.
//! What the fields mean together is [`super::event`]'s business.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::alert::{AlertSeed, Item, owned, set, status_word};
use super::json::{Key, Step, Trail, raw, refuse_other_types, skip};
use super::value::{integer, is_null, text};
use crate::model::{Alert, Labels, Status};

/// Alerts of one body; further ones are counted as left out. Bounds the memory that a body of tiny alerts can claim; 8 MiB of real alerts stay below it.
pub(super) const MAX_ALERTS: usize = 50_000;

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

/// The alerts of a body, and what was noticed on the way.
#[derive(Default)]
pub(super) struct AlertList {
    /// Status, fingerprint and everything derived are not settled yet.
    pub(super) alerts: Vec<Alert>,
    /// Each alert's own word on its status.
    pub(super) words: Vec<Option<Status>>,
    /// The first alert's organisation, for bodies that name none themselves.
    pub(super) org_id: Option<i64>,
    /// Whether any alert has a field that only Grafana sends.
    pub(super) grafana: bool,
    /// Entries that hold nothing (`null`, `{}`, unknown members only).
    pub(super) empty: usize,
    /// Entries that are no alert, or have labels or annotations that are no object.
    pub(super) odd: u32,
    /// Alerts that were readable by more than their text.
    pub(super) readable: usize,
    /// Entries beyond what one body may hold.
    pub(super) over: u64,
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
                _ => skip(&mut map)?,
            }
        }
        Ok(body)
    }
}

fn labels<'de, A: MapAccess<'de>>(map: &mut A, trail: &Trail, key: &'static str) -> Result<Option<Labels>, A::Error> {
    Ok(set(map, trail, key)?.map(|set| set.labels))
}

/// Reads an array of alerts; `None` for null.
pub(super) struct AlertsSeed<'t> {
    pub(super) trail: &'t Trail,
}

impl<'de> DeserializeSeed<'de> for AlertsSeed<'_> {
    type Value = Option<AlertList>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AlertsSeed<'_> {
    type Value = Option<AlertList>;
    refuse_other_types!("an array of alerts");

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        // One alert where a list of them belongs.
        let mut list = AlertList::default();
        list.take(AlertSeed { trail: self.trail }.visit_map(map)?);
        Ok(Some(list))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let trail = self.trail;
        let mut list = AlertList::default();
        for i in 0.. {
            if list.alerts.len() == MAX_ALERTS || trail.is_full() {
                match seq.next_element::<serde::de::IgnoredAny>()? {
                    Some(_) => list.over += 1,
                    None => break,
                }
                continue;
            }
            let Some(item) = trail.step(Step::Index(i), seq.next_element_seed(AlertSeed { trail }))? else { break };
            list.take(item);
        }
        Ok(Some(list))
    }
}

impl AlertList {
    fn take(&mut self, item: Option<Item>) {
        let Some(item) = item else {
            self.empty += 1;
            return;
        };
        self.org_id = self.org_id.or(item.org_id);
        self.grafana |= item.grafana;
        self.odd += u32::from(item.odd);
        self.readable += usize::from(item.readable);
        self.words.push(item.word);
        self.alerts.push(item.alert);
    }
}
