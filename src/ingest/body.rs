//! The bodies of Alertmanager, Grafana (unified and legacy) and bare alert arrays, read in one pass into one set of fields.
//!
//! One reader for all of them: bodies in the wild mix the shapes, and which sender it was is known only when the whole body has been seen.
//! What the fields mean together is [`super::event`]'s business.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{Key, LabelsSeed, Set, Step, Trail, raw, refuse_other_types, skip};
use super::time::instant;
use super::unread::cut;
use super::value::{finite, integer, is_null, kind_of, members, text};
use crate::model::{Alert, Labels, Status, hash_hex};

/// Alerts of one body; further ones are counted as left out. Bounds the memory that a body of tiny alerts can claim; 8 MiB of real alerts stay below it.
pub(super) const MAX_ALERTS: usize = 50_000;

/// What a body says, field by field; `None` and empty for what is missing or null.
#[derive(Default)]
pub(super) struct Body<'a> {
    pub(super) version: String,
    pub(super) receiver: String,
    pub(super) status: Option<Status>,
    pub(super) state: String,
    pub(super) group_key: String,
    pub(super) org_id: Option<i64>,
    pub(super) title: String,
    pub(super) message: String,
    pub(super) reason: String,
    pub(super) truncated: u64,
    pub(super) external_url: String,
    pub(super) group_labels: Option<Labels>,
    pub(super) common_labels: Option<Labels>,
    pub(super) common_annotations: Option<Labels>,
    pub(super) route_labels: Option<Labels>,
    /// Whether there was an `alerts` member that is not null.
    pub(super) has_alerts: bool,
    pub(super) list: AlertList,
    pub(super) legacy: LegacyFields<'a>,
    /// A `labels` member beside no `alerts`: the body may itself be one alert.
    pub(super) own_labels: Option<&'a str>,
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

/// `firing`, `resolved` and their twins in other senders; `None` for every other word, which is then treated as missing.
pub(super) fn status_word(word: &str) -> Option<Status> {
    let word = word.trim();
    let is = |words: &[&str]| words.iter().any(|w| word.eq_ignore_ascii_case(w));
    if is(&["firing", "alerting", "active", "pending"]) {
        Some(Status::Firing)
    } else if is(&["resolved", "ok", "normal", "inactive"]) {
        Some(Status::Resolved)
    } else {
        None
    }
}

fn owned(raw: &str) -> String {
    text(raw).into_owned()
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
                    // Of a key that stands twice the last one counts, but an empty repeat must not cost the alerts.
                    body.list = list.filter(|l| !l.alerts.is_empty() || body.list.alerts.is_empty()).unwrap_or(body.list);
                }
                "version" => body.version = owned(raw(&mut map, trail, "version")?),
                "receiver" => body.receiver = owned(raw(&mut map, trail, "receiver")?),
                "status" => body.status = status_word(&text(raw(&mut map, trail, "status")?)),
                "state" => body.state = owned(raw(&mut map, trail, "state")?),
                "groupKey" => body.group_key = owned(raw(&mut map, trail, "groupKey")?),
                "orgId" => body.org_id = integer(raw(&mut map, trail, "orgId")?),
                "title" => body.title = owned(raw(&mut map, trail, "title")?),
                "message" => body.message = owned(raw(&mut map, trail, "message")?),
                "notification_reason" => body.reason = owned(raw(&mut map, trail, "notification_reason")?),
                "truncatedAlerts" => {
                    body.truncated = integer(raw(&mut map, trail, "truncatedAlerts")?).map_or(0, |n| u64::try_from(n).unwrap_or(0));
                }
                "externalURL" => body.external_url = owned(raw(&mut map, trail, "externalURL")?),
                "groupLabels" => body.group_labels = labels(&mut map, trail, "groupLabels")?,
                "commonLabels" => body.common_labels = labels(&mut map, trail, "commonLabels")?,
                "commonAnnotations" => body.common_annotations = labels(&mut map, trail, "commonAnnotations")?,
                "routeLabels" => body.route_labels = labels(&mut map, trail, "routeLabels")?,
                "ruleName" => body.legacy.rule_name = present(raw(&mut map, trail, "ruleName")?),
                "ruleId" => body.legacy.rule_id = present(raw(&mut map, trail, "ruleId")?),
                "ruleUrl" => body.legacy.rule_url = present(raw(&mut map, trail, "ruleUrl")?),
                "imageUrl" => body.legacy.image_url = present(raw(&mut map, trail, "imageUrl")?),
                // Present even when null: it is what tells a legacy body.
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

fn set<'de, A: MapAccess<'de>>(map: &mut A, trail: &Trail, key: &'static str) -> Result<Option<Set>, A::Error> {
    trail.step(Step::Key(key), map.next_value_seed(LabelsSeed { trail }))
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

/// One entry of an array of alerts.
#[derive(Default)]
pub(super) struct Item {
    pub(super) alert: Alert,
    pub(super) word: Option<Status>,
    pub(super) org_id: Option<i64>,
    pub(super) grafana: bool,
    /// Whether it, or its labels or annotations, are no object.
    pub(super) odd: bool,
    /// Whether it is an object.
    pub(super) readable: bool,
}

impl Item {
    /// An entry that is no object, as text.
    pub(super) fn of_text(text: &str) -> Self {
        let mut alert = Alert { fingerprint: hash_hex(&["entry", text]), ..Alert::default() };
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['[', '{']));
        alert.labels.insert("alertname".into(), line.map_or_else(|| "Unknown entry".to_owned(), |line| cut(line, 120)));
        alert.annotations.insert("description".into(), cut(text, TEXT));
        Self { alert, odd: true, ..Self::default() }
    }

    /// What stands in place of labels or annotations is told with the alert, and tells it from others.
    fn keep(&mut self, rest: &str) {
        if rest.trim().is_empty() {
            return;
        }
        // As the summary where there is none: messages of several alerts show no more of each.
        let place = if self.alert.annotation("summary").is_empty() { "summary" } else { "description" };
        let text = self.alert.annotations.entry(place.into()).or_default();
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&cut(rest, TEXT));
        if self.alert.fingerprint.is_empty() {
            let labels: Vec<&str> = self.alert.labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).chain([rest]).collect();
            self.alert.fingerprint = hash_hex(&labels);
        }
    }
}

/// Characters that are kept of what could only be read as text.
const TEXT: usize = 4000;

/// Reads one alert; `None` for null and for an object that says nothing.
pub(super) struct AlertSeed<'t> {
    pub(super) trail: &'t Trail,
}

impl<'de> DeserializeSeed<'de> for AlertSeed<'_> {
    type Value = Option<Item>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AlertSeed<'_> {
    type Value = Option<Item>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(Item::of_text(&value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(Item::of_text(&value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(Item::of_text(&value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(Item::of_text(&value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        let value = value.replace('\0', "\u{fffd}");
        Ok((!value.trim().is_empty()).then(|| Item::of_text(&value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut shown = String::new();
        while let Some(element) = seq.next_element::<&RawValue>()? {
            if shown.len() < TEXT * 4 {
                shown.push_str(if shown.is_empty() { "[" } else { "," });
                shown.push_str(&cut(&text(element.get()), TEXT));
            }
        }
        Ok((!shown.is_empty()).then(|| Item::of_text(&format!("{shown}]"))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let trail = self.trail;
        let mut item = Item { readable: true, ..Item::default() };
        let mut says_something = false;
        let mut rest = String::new();
        while let Some(Key(key)) = map.next_key()? {
            let alert = &mut item.alert;
            let (field, name): (&mut String, &'static str) = match key.as_ref() {
                "labels" => {
                    let set = set(&mut map, trail, "labels")?;
                    says_something |= set.is_some();
                    let set = set.unwrap_or_default();
                    alert.labels = set.labels;
                    item.odd |= set.odd;
                    rest = [rest, set.rest].join("\n");
                    continue;
                }
                "annotations" => {
                    let set = set(&mut map, trail, "annotations")?;
                    says_something |= set.is_some();
                    let set = set.unwrap_or_default();
                    alert.annotations = set.labels;
                    item.odd |= set.odd;
                    rest = [rest, set.rest].join("\n");
                    continue;
                }
                "status" => {
                    let word = raw(&mut map, trail, "status")?;
                    says_something |= !is_null(word);
                    item.word = status_word(&text(word));
                    continue;
                }
                "startsAt" => {
                    alert.starts_at = instant(raw(&mut map, trail, "startsAt")?);
                    says_something |= alert.starts_at.is_some();
                    continue;
                }
                "endsAt" => {
                    alert.ends_at = instant(raw(&mut map, trail, "endsAt")?);
                    continue;
                }
                "values" => {
                    let values = trail.step(Step::Key("values"), map.next_value_seed(ValuesSeed { trail }))?;
                    item.grafana = true;
                    says_something |= !values.is_empty();
                    alert.values = values;
                    continue;
                }
                "orgId" => {
                    item.org_id = integer(raw(&mut map, trail, "orgId")?);
                    item.grafana = true;
                    continue;
                }
                "fingerprint" => (&mut alert.fingerprint, "fingerprint"),
                "generatorURL" => (&mut alert.generator_url, "generatorURL"),
                "silenceURL" => (&mut alert.silence_url, "silenceURL"),
                "dashboardURL" => (&mut alert.dashboard_url, "dashboardURL"),
                "panelURL" => (&mut alert.panel_url, "panelURL"),
                "imageURL" => (&mut alert.image_url, "imageURL"),
                "valueString" => (&mut alert.value_string, "valueString"),
                "ruleUID" => (&mut alert.rule_uid, "ruleUID"),
                _ => {
                    skip(&mut map)?;
                    continue;
                }
            };
            *field = owned(raw(&mut map, trail, name)?);
            says_something |= !field.is_empty();
            item.grafana |= !matches!(name, "fingerprint" | "generatorURL");
        }
        item.keep(rest.trim());
        Ok(says_something.then_some(item))
    }
}

/// Reads Grafana's `values`: finite numbers by reference id. Anything else, also in place of the object, is left out: it is an extra.
struct ValuesSeed<'t> {
    trail: &'t Trail,
}

impl<'de> DeserializeSeed<'de> for ValuesSeed<'_> {
    type Value = std::collections::BTreeMap<String, f64>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        use serde::de::Deserialize;
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let mut values = std::collections::BTreeMap::new();
        if kind_of(raw) == "an object" {
            for (name, value) in members(raw) {
                if let Some(number) = finite(value)
                    && self.trail.count()
                {
                    values.insert(name.into_owned(), number);
                }
            }
        }
        Ok(values)
    }
}

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
