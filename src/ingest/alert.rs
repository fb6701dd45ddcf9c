//! The alerts of a body, each read leniently.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{Key, LabelsSeed, Set, Step, Trail, raw, refuse_other_types, skip};
use super::time::instant;
use super::unread::{MAX_RAW_TEXT, cut};
use super::value::{finite, integer, is_null, kind_of, members, text};
use crate::model::{Alert, Labels, Status};

/// Alerts of one body; further ones are counted as left out. Bounds the memory that a body of tiny alerts can claim; 8 MiB of real alerts stay below it.
pub(super) const MAX_ALERTS: usize = 50_000;

/// `firing`, `resolved` and their twins in other senders; `None` for every other word, which is then treated as missing.
pub(super) fn status_word(word: &str) -> Option<Status> {
    let word = word.trim();
    let is = |words: &[&str]| words.iter().any(|w| word.eq_ignore_ascii_case(w));
    if is(&["firing", "alerting", "active", "pending"]) {
        Some(Status::Firing)
    } else if is(&["resolved", "recovered", "ok", "normal", "inactive"]) {
        Some(Status::Resolved)
    } else {
        None
    }
}

/// The text of a raw value.
pub(super) fn owned(raw: &str) -> String {
    text(raw).into_owned()
}

/// The labels, annotations or the like under the key that was just read.
pub(super) fn set<'de, A: MapAccess<'de>>(map: &mut A, trail: &Trail, key: &'static str) -> Result<Option<Set>, A::Error> {
    trail.step(Step::Key(key), map.next_value_seed(LabelsSeed { trail }))
}

/// What a set holds; whether it was no object, and what of it is no label, are noted.
fn labels_of(set: Option<Set>, odd: &mut bool, rest: &mut String) -> Labels {
    let set = set.unwrap_or_default();
    *odd |= set.odd;
    *rest = [std::mem::take(rest), set.rest].join("\n");
    set.labels
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
    /// Whether it is an object with members that an alert has.
    pub(super) readable: bool,
    /// Whether it has labels of its own.
    pub(super) labelled: bool,
    /// The alerts of an entry that is a whole body itself: forwarders send several bodies as one array.
    pub(super) list: Option<AlertList>,
}

/// Members of an entry that are kept until it is known whether it has labels.
const MAX_MEMBERS: usize = 32;

/// Reads one alert; `None` for null and for an object without members.
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
            if shown.len() < MAX_RAW_TEXT * 4 {
                shown.push_str(if shown.is_empty() { "[" } else { "," });
                shown.push_str(&cut(&text(element.get()), MAX_RAW_TEXT));
            }
        }
        Ok((!shown.is_empty()).then(|| Item::of_text(&format!("{shown}]"))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let trail = self.trail;
        let mut item = Item { readable: true, ..Item::default() };
        let mut says_something = false;
        let mut rest = String::new();
        let mut members: Vec<(String, String)> = Vec::new();
        let mut left_out = 0;
        while let Some(Key(key)) = map.next_key()? {
            let alert = &mut item.alert;
            let (field, name): (&mut String, &'static str) = match key.as_ref() {
                "labels" => {
                    let set = set(&mut map, trail, "labels")?;
                    says_something |= set.is_some();
                    alert.labels = labels_of(set, &mut item.odd, &mut rest);
                    continue;
                }
                "annotations" => {
                    let set = set(&mut map, trail, "annotations")?;
                    says_something |= set.is_some();
                    alert.annotations = labels_of(set, &mut item.odd, &mut rest);
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
                "alerts" => {
                    item.list = trail.step(Step::Key("alerts"), map.next_value_seed(AlertsSeed { trail }))?.filter(|list| !list.alerts.is_empty());
                    continue;
                }
                other if members.len() < MAX_MEMBERS => {
                    let value = raw(&mut map, trail, "member")?;
                    if other == "truncatedAlerts" {
                        left_out = integer(value).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
                    }
                    trail.keep(&mut alert.extra, other, value);
                    if !is_null(value) {
                        members.push((cut(other, 100), cut(&owned(value), MAX_RAW_TEXT)));
                    }
                    continue;
                }
                _ => {
                    skip(&mut map)?;
                    trail.leave_out();
                    continue;
                }
            };
            *field = owned(raw(&mut map, trail, name)?);
            says_something |= !field.is_empty();
            item.grafana |= !matches!(name, "fingerprint" | "generatorURL");
        }
        item.keep(rest.trim());
        // Prometheus, and templates of people's own, name it `state`. What is active or not may as well be what the alert is about.
        let is_own = |state: &str| !["active", "inactive"].iter().any(|word| state.trim().eq_ignore_ascii_case(word));
        let state = || members.iter().find(|(name, value)| name == "state" && is_own(value));
        item.word = item.word.or_else(|| state().and_then(|(_, value)| status_word(value)));
        if let Some(list) = &mut item.list {
            list.over += left_out;
            if item.alert.labels.is_empty() && item.alert.annotations.is_empty() {
                return Ok(Some(item));
            }
        }
        (item.readable, item.labelled) = (says_something, !item.alert.labels.is_empty());
        item.describe(&members);
        Ok((says_something || !members.is_empty()).then_some(item))
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
    /// Entries that hold nothing (`null`, `{}`).
    pub(super) empty: usize,
    /// Entries that are no alert, or have labels or annotations that are no object.
    pub(super) odd: u32,
    /// Alerts that were readable by more than their text.
    pub(super) readable: usize,
    /// Alerts that have labels of their own.
    pub(super) labelled: usize,
    /// Entries beyond what one body may hold.
    pub(super) over: u64,
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
        let Some(mut item) = item else {
            self.empty += 1;
            return;
        };
        self.org_id = self.org_id.or(item.org_id);
        self.grafana |= item.grafana;
        if let Some(list) = item.list.take() {
            self.append(list, item.word);
            // A body within a list; what has labels besides is an alert, too.
            if item.alert.labels.is_empty() && item.alert.annotations.is_empty() {
                return;
            }
        }
        self.odd += u32::from(item.odd);
        self.readable += usize::from(item.readable);
        self.labelled += usize::from(item.labelled);
        self.words.push(item.word);
        self.alerts.push(item.alert);
    }

    /// The alerts of a body within a list; `word` is that body's on their status.
    fn append(&mut self, list: AlertList, word: Option<Status>) {
        let room = MAX_ALERTS.saturating_sub(self.alerts.len());
        self.over += list.over + list.alerts.len().saturating_sub(room) as u64;
        self.org_id = self.org_id.or(list.org_id);
        self.grafana |= list.grafana;
        self.empty += list.empty;
        self.odd += list.odd;
        self.readable += list.readable;
        self.labelled += list.labelled;
        self.words.extend(list.words.into_iter().take(room).map(|own| own.or(word)));
        self.alerts.extend(list.alerts.into_iter().take(room));
    }
}
