//! From an event to its deliveries: every alert is routed by itself, alerts that share a target travel together.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::ingest::{lane_group, short_fingerprint};
use crate::model::{Alert, DeliveryId, Event, Mentions, Status, UnixMs, hash_hex, title};
use crate::route::{Muted, Router};
use crate::store::{AlertReport, DeliveryIncident, Fallback, INTERVAL_MUTE_PREFIX, Mode, NewDelivery, State, Summary, Target, lane_key};

use super::mutes::{ActiveMutes, INDEFINITE, Mutes, REEVALUATE_AFTER};
use super::owner::Owner;
use super::plan::{ChannelPlan, Plan};

/// Everything routing decides on besides the event.
pub struct Intake<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// When the event arrived.
    pub at: Timestamp,
    /// The mutes of the file and by hand.
    pub mutes: &'a Mutes,
    /// Send to these channels past the routing table (`?to=`).
    pub to: Option<&'a [String]>,
}

/// Where an alert goes; alerts with an equal key make one delivery. Template, mentions and the rest of what a route says go with the route.
#[derive(Clone, PartialEq, Eq, Hash)]
struct GroupKey<'a> {
    channel: &'a str,
    /// A node of the tree; none past the routing table.
    route: Option<usize>,
    group: &'a str,
    /// The person or team that the alert's label names, where messages are sent to them.
    owner: Option<&'a str>,
    disposition: Disposition,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Disposition {
    Send,
    Defer { until: UnixMs, why: String },
    Skip { why: Cow<'static, str> },
}

/// Groups that one body without a group key is split into at most; the alerts of further names go together. Each is a delivery for each channel.
const MAX_GROUPS: usize = 500;

impl Intake<'_> {
    /// The deliveries of an event, in the order of their first alert.
    pub fn deliveries(&self, event: &Event) -> Vec<NewDelivery> {
        let mut groups_by_key: Vec<(GroupKey<'_>, &ChannelPlan, Vec<u32>)> = Vec::new();
        let mut places: HashMap<GroupKey<'_>, usize> = HashMap::new();
        let splits = event.group_key.is_empty() && event.alerts.len() > MAX_GROUPS;
        let mut groups: HashSet<&str> = HashSet::new();
        let mut router = self.plan.tree.router(self.at);
        let mutes = self.mutes.at(self.at.into());
        for (index, alert) in event.alerts.iter().enumerate() {
            let mut group = lane_group(event, alert);
            if splits {
                if groups.len() == MAX_GROUPS && !groups.contains(group) {
                    group = "";
                } else {
                    groups.insert(group);
                }
            }
            self.targets((event, alert), &mut router, &mutes, |channel, route, disposition| {
                let owner = self.owner(alert, channel, route);
                let key = GroupKey { channel: &channel.name, route, group, owner, disposition };
                // Mostly all alerts go the same way.
                let place = match groups_by_key.last() {
                    Some((last, ..)) if *last == key => groups_by_key.len() - 1,
                    _ => *places.entry(key).or_insert_with_key(|key| {
                        groups_by_key.push((key.clone(), channel, Vec::new()));
                        groups_by_key.len() - 1
                    }),
                };
                groups_by_key[place].2.push(index as u32);
            });
        }
        let mut deliveries: Vec<NewDelivery> =
            groups_by_key.into_iter().map(|(key, channel, alerts)| self.delivery(event, key, channel, alerts)).collect();
        let reports = reports(event, &deliveries);
        deliveries.iter_mut().zip(reports).for_each(|(delivery, report)| delivery.report = report);
        deliveries
    }

    fn targets<'p>(
        &'p self,
        (event, alert): (&Event, &Alert),
        router: &mut Router<'_>,
        mutes: &ActiveMutes<'_>,
        mut take: impl FnMut(&'p ChannelPlan, Option<usize>, Disposition),
    ) {
        if let Some(names) = self.to {
            for (i, name) in names.iter().enumerate() {
                if names[..i].contains(name) {
                    continue;
                }
                if let Some(channel) = self.plan.channel(name) {
                    take(channel, None, self.disposition((event, alert), channel, mutes, None, None));
                }
            }
            return;
        }
        if self.plan.absorbed(&alert.labels).is_some() {
            return;
        }
        for target in router.route(&alert.labels).targets {
            let Some(channel) = self.plan.channel(&target.channel) else { continue };
            take(channel, Some(target.route), self.disposition((event, alert), channel, mutes, target.send_resolved, target.muted.as_ref()));
        }
    }

    /// Whom a route to a channel mentions; `None`: nobody, for its platform keeps incidents. An incident has one lane, whatever route mentions whom: its end
    /// is sent when the lane has no alert left that fires.
    fn asked<'p>(&'p self, channel: &'p ChannelPlan, route: Option<usize>) -> Option<&'p Mentions> {
        let node = route.and_then(|route| self.plan.tree.nodes().get(route));
        let asked = node.and_then(|node| node.mentions.as_deref()).unwrap_or(&channel.content.mentions);
        (!channel.driver.keeps_incidents()).then_some(asked)
    }

    /// The owner of an alert, where messages are sent to people. A room has one message for all owners: it mentions them when it is sent.
    fn owner<'p>(&'p self, alert: &'p Alert, channel: &'p ChannelPlan, route: Option<usize>) -> Option<&'p str> {
        if !channel.platform.pings.writes_to_people() {
            return None;
        }
        let label = self.asked(channel, route)?.label.as_deref()?;
        match self.plan.people.owner(label, &alert.labels, channel) {
            Owner::Named(name) => Some(name),
            _ => None,
        }
    }

    fn disposition(
        &self,
        (event, alert): (&Event, &Alert),
        channel: &ChannelPlan,
        mutes: &ActiveMutes<'_>,
        resolved: Option<bool>,
        muted: Option<&Muted>,
    ) -> Disposition {
        if channel.disabled {
            return Disposition::Skip { why: "the channel is disabled (`disabled: true`)".into() };
        }
        // What a sender left out may fire: then its message is about more than the ends that it lists.
        let over = alert.status == Status::Resolved && !event.may_fire_on();
        if over && !resolved.unwrap_or(channel.content.send_resolved) {
            let whose = if resolved.is_some() { "route" } else { "channel" };
            return Disposition::Skip { why: format!("resolved alerts are not sent here (`send_resolved: false` on the {whose})").into() };
        }
        if let Some(muted) = muted {
            let until = muted.until.map(UnixMs::from);
            let when = muted.until.map_or_else(|| INDEFINITE.to_owned(), |t| format!("until {t}"));
            // A resolved alert is evaluated when the mute ends: it is sent if its firing was sent before.
            if muted.drop && alert.status == Status::Firing {
                return Disposition::Skip { why: format!("{INTERVAL_MUTE_PREFIX}`{}` {when} (`on_mute: drop`)", muted.by).into() };
            }
            let until = until.unwrap_or_else(|| UnixMs::from(self.at) + REEVALUATE_AFTER);
            return Disposition::Defer { until, why: format!("{INTERVAL_MUTE_PREFIX}`{}` {when}", muted.by) };
        }
        if let Some(active) = mutes.of_alert(&channel.name, &alert.labels) {
            // The end of what was sent before it is sent after it, here too.
            if active.mute.drop && alert.status == Status::Firing {
                return Disposition::Skip { why: format!("{}; not sent (`on_mute: drop`)", active.deferral_reason()).into() };
            }
            return Disposition::Defer { until: active.due(self.at.into()), why: active.deferral_reason() };
        }
        Disposition::Send
    }

    fn delivery(&self, event: &Event, key: GroupKey<'_>, channel: &ChannelPlan, alerts: Vec<u32>) -> NewDelivery {
        let shown: Vec<&Alert> = alerts.iter().filter_map(|i| event.alerts.get(*i as usize)).collect();
        let firing = shown.iter().filter(|a| a.status == Status::Firing).count() as u32;
        let now = UnixMs::from(self.at);
        let (state, due_at, reason) = match key.disposition {
            Disposition::Send => (State::Waiting, now, None),
            Disposition::Defer { until, why } => (State::Deferred, until, Some(why)),
            Disposition::Skip { why } => (State::Skipped, now, Some(why.into_owned())),
        };
        let node = key.route.and_then(|route| self.plan.tree.nodes().get(route));
        let template = node.and_then(|node| node.template.as_deref()).filter(|template| **template != *channel.content.template);
        let mentions = self.asked(channel, key.route).and_then(|asked| {
            // People whom it names are another audience, where the message is sent to them.
            let named = channel.platform.pings.writes_to_people() && (asked.label.is_some() || asked.has_people());
            if named { Some(asked.of_owner(key.owner)) } else { Some(asked).filter(|asked| **asked != channel.content.mentions).cloned() }
        });
        let target = Target {
            template: template.unwrap_or_default().to_owned(),
            mentions,
            alerts,
            fallback: channel.fallback.clone(),
            recipients: Vec::new(),
            page: None,
            step: None,
            route: node.map_or("?to=", |node| &node.name).to_owned(),
        };
        NewDelivery {
            id: DeliveryId::new(),
            channel: channel.name.to_string(),
            outlet: channel.outlet.clone(),
            lane_key: lane_key(&lane_group_key(event, key.group), target.audience()),
            rank: if event.may_fire_on() { firing_rank(&shown, self.plan) } else { rank(&shown, self.plan) },
            summary: Summary { title: title(&shown), firing, resolved: shown.len() as u32 - firing },
            target,
            mode: Mode::Queued,
            state,
            born_at: now,
            due_at,
            fallback: Fallback::default(),
            reason,
            report: None,
            incident: DeliveryIncident::None,
        }
    }
}

/// What the event says of each delivery's lane. Alerts of one lane may have come apart by their routes; each of its deliveries bears the whole.
fn reports(event: &Event, deliveries: &[NewDelivery]) -> Vec<Option<AlertReport>> {
    let whole = event.is_whole();
    let mut reports: HashMap<(&str, &str), AlertReport> = HashMap::new();
    for delivery in deliveries {
        let report = reports.entry(lane_of(delivery)).or_insert_with(|| AlertReport { whole, ..AlertReport::default() });
        for alert in delivery.target.alerts.iter().filter_map(|i| event.alerts.get(*i as usize)) {
            let id = short_fingerprint(&alert.fingerprint);
            if alert.status == Status::Firing { report.fires.push(id) } else { report.ends.push(id) }
        }
    }
    deliveries.iter().map(|delivery| reports.get(&lane_of(delivery)).cloned()).collect()
}

fn lane_of(delivery: &NewDelivery) -> (&str, &str) {
    (&delivery.channel, &delivery.lane_key)
}

/// What a lane's key says of a group: hash of source, receiver and group.
fn lane_group_key(event: &Event, group: &str) -> String {
    hash_hex(&[&event.source, &event.receiver, group])
}

/// The rank of a delivery: the most severe firing alert; what is only resolved ranks one step lower than it fired.
pub fn rank(alerts: &[&Alert], plan: &Plan) -> i64 {
    let most = |status| alerts.iter().filter(|a| a.status == status).map(|a| plan.scale.of(a).rank()).min();
    most(Status::Firing).or_else(|| most(Status::Resolved).map(|r| (r + 1).min(3))).unwrap_or(2)
}

/// The rank of a delivery whose sender left out what may fire.
fn firing_rank(alerts: &[&Alert], plan: &Plan) -> i64 {
    alerts.iter().map(|a| plan.scale.of(a).rank()).min().unwrap_or(2)
}

/// Names in `to` that are channels, and those that are not; duplicates once.
pub fn known_channels(plan: &Plan, to: &[String]) -> (Vec<String>, Vec<String>) {
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    for name in to {
        let list = if plan.channels.contains_key(name) { &mut known } else { &mut unknown };
        if !list.contains(name) {
            list.push(name.clone());
        }
    }
    (known, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::testing::alert;

    #[test]
    fn a_title_of_fifty_thousand_names_takes_no_time() {
        let many: Vec<Alert> = (0..50_000).map(|i| alert(&format!("N{i}"), "critical", Status::Firing)).collect();
        let begun = std::time::Instant::now();
        assert_eq!(title(&many.iter().collect::<Vec<_>>()), "N0, N1, N2 (+49997)");
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}: it looks at every name for every alert", begun.elapsed());
    }

    #[test]
    fn titles_name_what_matters_first() {
        let mut a = alert("HighLoad", "critical", Status::Firing);
        a.labels.insert("instance".into(), "db-1".into());
        let mut b = a.clone();
        b.labels.insert("instance".into(), "db-2".into());
        assert_eq!(title(&[&a]), "HighLoad db-1");
        assert_eq!(title(&[&a, &b]), "HighLoad db-1, db-2");
        let five: Vec<Alert> = (0..5)
            .map(|i| {
                let mut x = a.clone();
                x.labels.insert("instance".into(), format!("db-{i}"));
                x
            })
            .collect();
        assert_eq!(title(&five.iter().collect::<Vec<_>>()), "HighLoad db-0, db-1, db-2 (+2)");
        let other = alert("DiskFull", "critical", Status::Firing);
        assert_eq!(title(&[&a, &other]), "HighLoad, DiskFull");
        assert_eq!(title(&[&Alert::default()]), "alert");
        let mut long = alert(&"长".repeat(300), "info", Status::Firing);
        long.labels.insert("instance".into(), "x\ny".into());
        assert_eq!(title(&[&long]).chars().count(), 160);
    }
}
