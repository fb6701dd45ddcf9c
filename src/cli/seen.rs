//! Labels that alerts really have, of stored events and of bodies in a folder: a matcher that nearly matches them matches nothing, and nobody notices.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use super::remote::Remote;
use crate::api::{EventResponse, Events};
use crate::config::{ServerSettings, codes};
use crate::delivery::Plan;
use crate::model::{CHANNEL_LABEL, Event, Finding};
use crate::route::{Matcher, Op};

/// Events of the server that are read, the newest; each is a request.
const NEWEST: usize = 50;
/// Values of one label that are remembered.
const VALUES: usize = 1000;

/// Names of labels, each with its values.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<String, BTreeSet<String>>);

impl Seen {
    /// Remembers the labels of an event's alerts.
    pub fn add(&mut self, event: &Event) {
        for (name, value) in event.alerts.iter().flat_map(|alert| &alert.labels) {
            let values = self.0.entry(name.clone()).or_default();
            if values.len() < VALUES {
                values.insert(value.clone());
            }
        }
    }

    /// Remembers those of the newest events of the server that runs by this configuration; returns how many.
    ///
    /// # Errors
    /// No server runs, or it does not show its events.
    pub async fn add_stored(&mut self, settings: &ServerSettings) -> Result<usize> {
        let remote = match Remote::running(settings).await? {
            Ok(remote) => remote,
            Err(why) => bail!(why),
        };
        let mut count = 0;
        let found: Events = remote.get(&format!("/api/v1/events?limit={NEWEST}")).await?;
        for row in found.events {
            // `retention` may have removed it since.
            if let Some(found) = remote.find::<EventResponse>(&format!("/api/v1/events/{}", row.id)).await? {
                self.add(&found.event);
                count += 1;
            }
        }
        Ok(count)
    }

    /// What is odd about matchers of routes, mutes and heartbeats, each once.
    pub fn near_misses(&self, plan: &Plan) -> Vec<Finding> {
        let routes = plan.tree.nodes().iter().map(|node| (node.name.clone(), node.matchers.as_slice()));
        let mutes = plan.tree.mutes().iter().map(|mute| (format!("the mute {}", mute.called()), mute.matchers.as_slice()));
        let heartbeats = plan.heartbeats.iter().map(|heartbeat| (format!("the heartbeat {}", heartbeat.name), heartbeat.matchers.as_slice()));
        let mut found: BTreeMap<(String, String), (String, usize)> = BTreeMap::new();
        for (place, matchers) in routes.chain(mutes).chain(heartbeats) {
            // In a mute `channel` is no label of the alert.
            for said in matchers.iter().filter(|matcher| matcher.name() != CHANNEL_LABEL).filter_map(|matcher| self.near_miss(matcher)) {
                found.entry(said).or_insert_with(|| (place.clone(), 0)).1 += 1;
            }
        }
        let finding = |((what, advice), (place, count)): ((String, String), (String, usize))| {
            let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            Finding::warning(codes::NEAR_MISS, format!("{place}{more}: {what}")).label(advice)
        };
        found.into_iter().map(finding).collect()
    }

    /// What no alert has of a matcher, and what they have instead.
    fn near_miss(&self, matcher: &Matcher) -> Option<(String, String)> {
        let name = matcher.name();
        let Some(values) = self.0.get(name) else {
            let near = self.0.keys().find(|known| is_near(known, name))?;
            return Some((format!("no alert has the label `{name}`"), format!("they have `{near}`; labels are compared letter by letter")));
        };
        let wanted = match matcher.op() {
            Op::NotEqual => vec![matcher.value()],
            _ => matcher.values().unwrap_or_default(),
        };
        wanted.into_iter().filter(|value| !values.contains(*value)).find_map(|value| {
            let near = values.iter().find(|known| folded(known) == folded(value))?;
            Some((format!("no alert has `{name}=\"{value}\"`"), format!("they have `{name}=\"{near}\"`; values are compared letter by letter")))
        })
    }
}

/// Without what people mix up: capitals, and what joins words.
fn folded(text: &str) -> String {
    text.to_lowercase().replace(['-', '_', ' '], "")
}

/// Names are few, so that one letter more or less is a slip. Values are not: `db-1` and `db-2` are two.
fn is_near(known: &str, name: &str) -> bool {
    let (known, name) = (folded(known), folded(name));
    known == name || (known.chars().count().min(name.chars().count()) >= 4 && strsim::damerau_levenshtein(&known, &name) <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::matcher::parse;

    fn seen() -> Seen {
        let values = |all: &[&str]| all.iter().map(|value| (*value).to_owned()).collect();
        Seen(BTreeMap::from([
            ("alertname".to_owned(), values(&["DiskFull", "HTTP errors"])),
            ("instance".to_owned(), values(&["db-1"])),
            ("pod".to_owned(), values(&["a"])),
        ]))
    }

    fn said(text: &str) -> Option<String> {
        let (what, advice) = seen().near_miss(&parse(text).unwrap()[0])?;
        Some(format!("{what}: {advice}"))
    }

    #[test]
    fn a_label_that_no_alert_has_is_compared_with_those_they_have() {
        let label =
            |name: &str, near: &str| Some(format!("no alert has the label `{name}`: they have `{near}`; labels are compared letter by letter"));
        assert_eq!(said("Instance=\"db-1\""), label("Instance", "instance"));
        assert_eq!(said("alert_name!=\"DiskFull\""), label("alert_name", "alertname"));
        assert_eq!(said("instanse=~\"db.*\""), label("instanse", "instance"));
        assert_eq!(said("prod=\"a\""), None, "short names are alike by chance");
        assert_eq!(said("team=\"db\""), None, "an alert with it may still come");
    }

    #[test]
    fn a_value_that_no_alert_has_is_compared_without_capitals_and_hyphens() {
        let value = |value: &str, near: &str| {
            Some(format!("no alert has `alertname=\"{value}\"`: they have `alertname=\"{near}\"`; values are compared letter by letter"))
        };
        assert_eq!(said("alertname=\"Diskfull\""), value("Diskfull", "DiskFull"));
        assert_eq!(said("alertname=~\"disk-full|Other\""), value("disk-full", "DiskFull"));
        assert_eq!(said("alertname!=\"HttpErrors\""), value("HttpErrors", "HTTP errors"));
        assert_eq!(said("instance=\"db-2\""), None, "another machine is no slip");
        assert_eq!(said("alertname=\"DiskFull\""), None);
        assert_eq!(said("alertname=~\"disk.*\""), None, "a pattern names no value");
    }
}
