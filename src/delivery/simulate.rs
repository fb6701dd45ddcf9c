//! Dry-runs alerts through the real routing, templates and rate limits on a virtual clock. Nothing is sent or stored.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::compose::Draft;
use super::intake::Intake;
use super::mutes::Mutes;
use super::notified::MessageContext;
use super::outlet::select::{DIGEST_LANES, Turn};
use super::plan::{ChannelPlan, Plan};
use super::rate_limit::RateLimiter;
use crate::channel::{Counted, OnAmbiguous};
use crate::model::{Alert, Event, EventId, LaneId, MessageId, OutletKey, SenderKind, Severity};
use crate::store::{PendingDelivery, State};
use crate::template::MessageKind;

/// How long a send is taken to last.
const SEND: Duration = Duration::from_millis(200);

/// More text messages or calls than this at once are read and answered by nobody.
pub const BEARABLE: usize = 30;

/// Alerts that are not real.
#[derive(Debug, Clone, PartialEq)]
pub struct Storm {
    /// How many.
    pub alerts: usize,
    /// In so many groups, at most one for each alert; each group is one webhook body.
    pub groups: usize,
    /// The time over which they come.
    pub over: Duration,
    /// Labels of all of them, beside `alertname`, `instance` and `severity` (one in twenty is critical).
    pub labels: Vec<(String, String)>,
}

impl Storm {
    /// Its events, each with its time after `now`.
    pub fn events(&self, now: Timestamp) -> Vec<(Duration, Arc<Event>)> {
        let alert = |group: usize, n: usize| {
            let severity = if n.is_multiple_of(20) { "critical" } else { "warning" };
            let mut alert = Alert { starts_at: Some(now), fingerprint: format!("{n:016x}"), ..Alert::default() };
            let own = [("alertname", format!("Drill{group}")), ("instance", format!("host-{n}")), ("severity", severity.to_owned())];
            alert.labels.extend(own.map(|(name, value)| (name.to_owned(), value)));
            alert.labels.extend(self.labels.iter().cloned());
            alert.annotations.insert("summary".into(), "A drill: this alert is not real".into());
            alert
        };
        let event = |group: usize| {
            // The groups share the alerts as evenly as it goes.
            let (from, to) = (group * self.alerts / self.groups, (group + 1) * self.alerts / self.groups);
            Event {
                kind: SenderKind::Alertmanager,
                source: "alertmanager:drill".into(),
                receiver: "drill".into(),
                group_key: format!("drill-{group}"),
                alerts: (from..to).map(|n| alert(group, n)).collect(),
                ..Event::default()
            }
        };
        (0..self.groups).map(|group| (self.over.mul_f64(group as f64 / self.groups as f64), Arc::new(event(group)))).collect()
    }
}

/// What a channel would get.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forecast {
    /// The channel.
    pub channel: String,
    /// Its platform.
    pub platform: String,
    /// Alerts routed to it, and those that are muted or skipped besides.
    pub alerts: usize,
    /// Alerts that would wait for the end of a mute, or be recorded only.
    pub held_back: usize,
    /// Messages.
    pub messages: usize,
    /// Those of them that merge several groups.
    pub digests: usize,
    /// Requests to the platform.
    pub pages: usize,
    /// Alerts named in a message; the others are counted with a link.
    pub named: usize,
    /// How long the last one waits to be sent.
    pub longest_delay: Duration,
    /// When the last message has left, counted from the first alert.
    pub over_after: Duration,
    /// When each message begins to leave, counted from the first alert.
    pub sent_after: Vec<Duration>,
}

impl Forecast {
    /// What to say of many text messages or calls, and what would bound them.
    pub fn warning(&self, plan: &Plan) -> Option<String> {
        let channel = plan.channel(&self.channel).filter(|channel| channel.platform.on_ambiguous == OnAmbiguous::Never)?;
        let people = channel.recipients.len().max(1);
        (self.messages > BEARABLE).then(|| {
            format!(
                "{} messages to each of {people}, {} in all; a `rate_limit: {{ per_minute: 6 }}` on `{}` bounds it, because what cannot leave soon is merged",
                self.messages,
                self.messages * people,
                self.channel
            )
        })
    }

    /// Alerts that are counted in a message instead of named.
    pub fn counted(&self) -> usize {
        (self.alerts - self.held_back).saturating_sub(self.named)
    }
}

/// A channel that an alert goes to, and whether it waits there for the end of a mute or is recorded only.
pub type Goal = (String, bool);

/// Where each alert of an event goes at a time.
pub fn goals(plan: &Plan, event: &Event, at: Timestamp) -> Vec<BTreeSet<Goal>> {
    let mutes = Mutes::of(&plan.tree);
    let mut goals = vec![BTreeSet::new(); event.alerts.len()];
    for new in (Intake { plan, at, mutes: &mutes, to: None }).deliveries(event) {
        for place in &new.target.alerts {
            if let Some(goals) = goals.get_mut(*place as usize) {
                goals.insert((new.channel.clone(), new.state != State::Waiting));
            }
        }
    }
    goals
}

struct Arrival {
    at: Duration,
    lane: LaneId,
    member: PendingDelivery,
}

/// Forecasts for these events, which arrive at these times after `now`; only for `only`, when it is named.
pub fn simulate(plan: &Plan, events: &[(Duration, Arc<Event>)], now: Timestamp, start: Instant, only: Option<&str>) -> Vec<Forecast> {
    let mutes = Mutes::of(&plan.tree);
    let mut lanes: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut by_outlet: BTreeMap<OutletKey, Vec<Arrival>> = BTreeMap::new();
    let mut forecasts: BTreeMap<String, Forecast> = BTreeMap::new();
    for (at, event) in events {
        let then = now.checked_add(*at).unwrap_or(now);
        let intake = Intake { plan, at: then, mutes: &mutes, to: None };
        for new in intake.deliveries(event) {
            if only.is_some_and(|only| only != new.channel) {
                continue;
            }
            let alerts = new.target.alerts.len();
            let forecast = forecasts.entry(new.channel.clone()).or_default();
            forecast.alerts += alerts;
            if new.state != State::Waiting {
                forecast.held_back += alerts;
                continue;
            }
            let next = lanes.len() as i64 + 1;
            let lane = LaneId(*lanes.entry((new.channel.clone(), new.lane_key.clone())).or_insert(next));
            let outlet = new.outlet.clone();
            let mut member = super::accept::to_pending(&new, EventId::new(), event);
            member.lane = lane;
            by_outlet.entry(outlet).or_default().push(Arrival { at: *at, lane, member });
        }
    }
    for arrivals in by_outlet.into_values() {
        outlet(plan, arrivals, now, start, &mut forecasts);
    }
    for (name, forecast) in &mut forecasts {
        forecast.channel.clone_from(name);
        forecast.platform = plan.channel(name).map(|channel| channel.platform.name.to_owned()).unwrap_or_default();
    }
    forecasts.into_values().collect()
}

/// One outlet, as its worker would send.
fn outlet(plan: &Plan, arrivals: Vec<Arrival>, now: Timestamp, start: Instant, forecasts: &mut BTreeMap<String, Forecast>) {
    let Some(first) = arrivals.first().and_then(|arrival| plan.channel(&arrival.member.channel)) else { return };
    let mut limiter = RateLimiter::new(first.rate_limit.as_deref().unwrap_or_default());
    let mut coming: VecDeque<Arrival> = arrivals.into();
    let mut order: VecDeque<LaneId> = VecDeque::new();
    let mut waiting: BTreeMap<LaneId, Vec<Arrival>> = BTreeMap::new();
    let mut at = start;
    loop {
        while coming.front().is_some_and(|arrival| start + arrival.at <= at) {
            let Some(arrival) = coming.pop_front() else { break };
            let lane = waiting.entry(arrival.lane).or_default();
            if lane.is_empty() {
                order.push_back(arrival.lane);
            }
            lane.push(arrival);
        }
        let Some(head) = order.front() else {
            let Some(next) = coming.front() else { return };
            at = start + next.at;
            continue;
        };
        let Some(channel) = waiting.get(head).and_then(|lane| plan.channel(&lane[0].member.channel)).cloned() else { return };
        let counted = channel.driver.counted(&channel.recipients);
        let is_critical = || waiting.values().flatten().any(|arrival| arrival.member.rank == Severity::Critical.rank());
        let taken: Vec<LaneId> = match Turn::of(order.len(), &limiter, &counted, channel.digest_after(), at, is_critical) {
            Turn::Wait(free) => {
                at = coming.front().map_or(free, |next| free.min(start + next.at).max(at + Duration::from_millis(1)));
                continue;
            }
            Turn::Single => order.pop_front().into_iter().collect(),
            Turn::Digest => {
                let head = waiting.get(head).map(|lane| lane[0].member.target.audience());
                let joins = |lane: &LaneId| {
                    let first = waiting.get(lane).map(|lane| &lane[0].member);
                    first.is_some_and(|member| member.channel == *channel.name && Some(member.target.audience()) == head)
                };
                let mine: Vec<LaneId> = order.iter().copied().filter(joins).take(DIGEST_LANES).collect();
                order.retain(|lane| !mine.contains(lane));
                mine
            }
        };
        let members: Vec<Arrival> = taken.iter().filter_map(|lane| waiting.remove(lane)).flatten().collect();
        let forecast = forecasts.entry(channel.name.to_string()).or_default();
        at = send(plan, &channel, &members, taken.len() > 1, now, (start, at), &mut limiter, forecast);
    }
}

#[allow(clippy::too_many_arguments)]
fn send(
    plan: &Plan,
    channel: &ChannelPlan,
    taken: &[Arrival],
    digest: bool,
    now: Timestamp,
    (start, mut at): (Instant, Instant),
    limiter: &mut RateLimiter,
    forecast: &mut Forecast,
) -> Instant {
    let kind = match (digest, taken.len()) {
        (true, _) => MessageKind::Digest,
        (_, 1) => MessageKind::Single,
        _ => MessageKind::Fold,
    };
    let members: Vec<PendingDelivery> = taken.iter().map(|arrival| arrival.member.clone()).collect();
    let counted: Counted = channel.driver.counted(&channel.recipients);
    let composed = Draft {
        plan,
        templates: &plan.templates,
        channel,
        message: MessageId::new(),
        members: &members,
        kind,
        now,
        wording: &Default::default(),
        context: &MessageContext::default(),
        notification: &Default::default(),
    }
    .compose();
    for page in &composed.pages {
        at = limiter.slot(at, &counted).max(at);
        limiter.begin(at, &counted);
        limiter.end(at + SEND, &counted);
        forecast.pages += 1;
        forecast.named += page.coverage.iter().map(|coverage| coverage.named.len()).sum::<usize>();
    }
    forecast.messages += 1;
    forecast.digests += usize::from(digest);
    let oldest = taken.iter().map(|arrival| arrival.at).min().unwrap_or_default();
    forecast.longest_delay = forecast.longest_delay.max((at - start).saturating_sub(oldest));
    forecast.over_after = forecast.over_after.max(at - start + SEND);
    forecast.sent_after.push(at - start);
    at
}
