//! Calls and pushes that still ring for what somebody is on by now, or for what is over: they are cancelled where the vendor can.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::{MAX_PER_OUTLET, MAX_PER_TICK, QUERY_TIMEOUT, count, guarded, logged, write};
use crate::channel::{FinalWord, Sent};
use crate::delivery::core::Shared;
use crate::delivery::plan::ChannelPlan;
use crate::delivery::policy::MAX_PAUSE;
use crate::model::{ErrorKind, IncidentId, MessageId, OutletKey, Recipient, SendError, UnixMs};
use crate::store::{AlertState, Anchor, Incident, IncidentState, ReceiptChange, ReceiptRow, ReceiptState, StoreError};

/// Receipts that are due within this, and the longest pause that a vendor may ask for, are looked at: what rings is asked about every 30 s to 60 s.
const AHEAD: Duration = Duration::from_secs(60);
/// So much of what rang is remembered as tried.
const MAX_TRIED: usize = 1000;
/// After a failure that may pass the vendor is asked once more: a push rings for an hour.
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// What was asked to be cancelled, and when it may be asked once more: never, where the vendor answered.
#[derive(Debug, Default)]
pub(super) struct Cancelled(HashMap<Key, Option<UnixMs>>);

impl Cancelled {
    /// Cancels what rings for nothing.
    pub(super) async fn tick(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let plan = shared.plan.load_full();
        if !plan.channels.values().any(|channel| cancels(channel)) {
            return Ok(());
        }
        let now = shared.clock.wall();
        let mut by_outlet: BTreeMap<OutletKey, Vec<(Arc<ChannelPlan>, ReceiptRow)>> = BTreeMap::new();
        // The due time of what the vendor did not want to be asked about has moved by its pause.
        for row in shared.store.due_receipts(now + MAX_PAUSE + AHEAD, MAX_PER_TICK).await? {
            let waits = self.0.get(&key(&row)).is_some_and(|again| again.is_none_or(|at| now < at));
            let channel = plan.channel(&row.channel).filter(|channel| !waits && cancels(channel));
            if let Some(channel) = channel {
                by_outlet.entry(channel.outlet.clone()).or_default().push((channel.clone(), row));
            }
        }
        for tried in join_all(by_outlet.into_values().map(|rows| of_one_account(shared, rows))).await {
            let tried = tried?;
            if self.0.len() + tried.len() > MAX_TRIED {
                self.0.clear();
            }
            self.0.extend(tried);
        }
        Ok(())
    }
}

/// Whether what it sends can be cancelled while it rings.
pub(super) fn cancels(channel: &ChannelPlan) -> bool {
    matches!(channel.platform.word, FinalWord::Later(later) if later.cancels)
}

type Key = (MessageId, u16, Recipient);

fn key(row: &ReceiptRow) -> Key {
    (row.message, row.page, row.recipient.clone())
}

/// Cancels what one account of a vendor rings for nothing, one after the other; what was tried is returned. After a failure that may pass the rest waits
/// for the next round: a vendor that is down delays no other one.
async fn of_one_account(shared: &Shared, rows: Vec<(Arc<ChannelPlan>, ReceiptRow)>) -> Result<Vec<(Key, Option<UnixMs>)>, StoreError> {
    let mut tried = Vec::new();
    for (channel, row) in &rows {
        let Some(why) = needless(shared, row).await? else { continue };
        let result = cancel(shared, channel, row).await;
        let wait = result.as_ref().err().and_then(|error| again(error.kind));
        tried.push((key(row), wait.map(|wait| shared.clock.wall() + wait)));
        record(shared, channel, row, &why, result).await?;
        if wait.is_some() || tried.len() == MAX_PER_OUTLET {
            break;
        }
    }
    Ok(tried)
}

async fn record(shared: &Shared, channel: &ChannelPlan, row: &ReceiptRow, why: &str, result: Result<bool, SendError>) -> Result<(), StoreError> {
    let (delivery, to) = (logged(shared, row).await, row.recipient.masked());
    match result {
        Ok(true) => {
            let change = ReceiptChange::Final {
                state: ReceiptState::Undelivered,
                code: Some("canceled".into()),
                detail: format!("cancelled while it rang: {why}"),
            };
            if write(shared, row, change, Vec::new(), shared.clock.wall()).await?.is_some() {
                count(shared, row, ReceiptState::Undelivered);
                tracing::info!(delivery, channel = %channel.name, message_id = %row.message, to, why, "what still rang was cancelled");
            }
        }
        Ok(false) => {
            tracing::info!(delivery, channel = %channel.name, message_id = %row.message, to, why, "something was to be cancelled, and rang no more")
        }
        Err(error) => {
            tracing::warn!(delivery, channel = %channel.name, message_id = %row.message, to, why, %error, "it could not be cancelled, and rings on");
        }
    }
    Ok(())
}

async fn cancel(shared: &Shared, channel: &ChannelPlan, row: &ReceiptRow) -> Result<bool, SendError> {
    let now = shared.clock.now();
    let deadline = now.mono + QUERY_TIMEOUT;
    let sent = Sent { recipient: &row.recipient, platform_id: &row.platform_id, at: row.sent_at.timestamp(), now: now.wall.timestamp(), deadline };
    guarded(channel.platform.name, deadline, channel.driver.cancel(&sent)).await
}

/// After how long the vendor is asked once more; never, where it will not say anything else.
fn again(kind: ErrorKind) -> Option<Duration> {
    match kind {
        ErrorKind::RateLimited { retry_after } => Some(retry_after.unwrap_or(RETRY_DELAY).clamp(RETRY_DELAY, MAX_PAUSE)),
        ErrorKind::Transient | ErrorKind::Ambiguous => Some(RETRY_DELAY),
        ErrorKind::Rejected | ErrorKind::Misconfigured => None,
    }
}

/// Why nobody needs to hear a message any more; `None` while somebody does.
pub(super) async fn needless(shared: &Shared, row: &ReceiptRow) -> Result<Option<String>, StoreError> {
    let carried = shared.store.sent_deliveries(row.message).await?;
    let mut ids: Vec<IncidentId> = Vec::new();
    for one in &carried {
        match one.delivery.incident {
            // It says that something is over: that is what it is for.
            _ if one.delivery.summary.firing == 0 => return Ok(None),
            Some(id) => ids.push(id),
            None if one.over => {}
            None => return Ok(None),
        }
    }
    ids.dedup();
    let found = shared.store.incidents(&ids, &row.channel).await?;
    if carried.is_empty() || found.iter().any(|(incident, anchors)| rings(incident, anchors)) {
        return Ok(None);
    }
    let mut names: Vec<&str> = Vec::new();
    for (incident, anchors) in found.iter().filter(|(incident, _)| incident.state.is_open()) {
        for ack in open_alerts(incident, anchors).filter_map(|one| incident.acks.of(one)) {
            if !names.contains(&ack.by.name.as_str()) {
                names.push(&ack.by.name);
            }
        }
    }
    Ok(Some(if names.is_empty() { "it is over".to_owned() } else { format!("acked by {}", names.join(", ")) }))
}

/// Whether something goes on of what a channel was notified of that nobody is on: the rest of the incident is others'.
fn rings(incident: &Incident, anchors: &[Anchor]) -> bool {
    // What the sender left out nobody has seen, and nobody is on.
    let unseen = incident.acks.left_out || incident.truncated;
    match incident.state {
        IncidentState::Stale | IncidentState::Superseded => true,
        IncidentState::Firing => unseen || open_alerts(incident, anchors).any(|one| !incident.is_acked(one)),
        state => unseen && state.is_open(),
    }
}

/// What is not over of that; of the whole incident where it is not known of what the channel was notified.
fn open_alerts(incident: &Incident, anchors: &[Anchor]) -> impl Iterator<Item = u64> {
    let notified: HashSet<u64> = anchors.iter().flat_map(|anchor| &anchor.notified).map(|one| one.fingerprint).collect();
    let open = incident.alerts.iter().filter(|alert| alert.state != AlertState::Resolved).map(|alert| alert.fingerprint);
    open.filter(move |one| notified.is_empty() || notified.contains(one))
}

/// Whether somebody is on all that fires of an incident.
pub(super) async fn is_acked(shared: &Shared, incident: Option<IncidentId>, channel: &str) -> Result<bool, StoreError> {
    let Some(id) = incident else { return Ok(false) };
    let found = shared.store.incidents(&[id], channel).await?;
    Ok(found.iter().any(|(incident, _)| matches!(incident.state, IncidentState::Acked | IncidentState::Snoozed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventId, PlatformIds};
    use crate::store::{Ack, Actor, IncidentReport, NotifiedAlert, Rang, ReportedAlert};

    #[test]
    fn what_a_channel_was_not_notified_of_keeps_nothing_ringing_there() {
        let alerts = [(1, 0), (2, 2)].map(|(fingerprint, rank)| ReportedAlert { fingerprint, start: None, fires: true, rank, index: 0 });
        let mut incident = Incident::open(&IncidentReport::of_group("g", alerts.to_vec()), EventId::new(), UnixMs(0)).unwrap();
        let anchor = Anchor {
            incident: incident.id,
            channel: "phone".into(),
            recipient: Recipient::new("user"),
            message: MessageId::new(),
            ids: PlatformIds::default(),
            notified: vec![NotifiedAlert { fingerprint: 1, rank: 0, version: 1, over: false }],
            notified_at: UnixMs(0),
            rang: Rang::default(),
            shown: 0,
            edited: false,
            next_edit_at: UnixMs(0),
            edits: 0,
            failures: 0,
            reposts: 0,
            reposted_at: UnixMs(0),
        };
        let known_and_not = |incident: &Incident| (rings(incident, std::slice::from_ref(&anchor)), rings(incident, &[]));
        assert_eq!(known_and_not(&incident), (true, true));
        let by = Actor { id: "person:ann".into(), name: "ann".into(), via: "Slack".into() };
        let (at, alerts) = (UnixMs(1), vec![1]);
        incident.acks.list = vec![Ack { by, at, until: None, remind_at: None, reminded_in: 0, expires_at: None, rank: 0, alerts, pressed: None }];
        assert_eq!(known_and_not(&incident), (false, true), "somebody is on all that it knows");
        incident.acks.left_out = true;
        assert_eq!(known_and_not(&incident), (true, true), "what nobody has seen may be its own");
    }

    #[test]
    fn a_vendor_in_trouble_is_asked_once_more_and_one_that_refuses_is_not() {
        let limited = |seconds: Option<u64>| again(ErrorKind::RateLimited { retry_after: seconds.map(Duration::from_secs) });
        assert_eq!((again(ErrorKind::Transient), again(ErrorKind::Ambiguous)), (Some(RETRY_DELAY), Some(RETRY_DELAY)));
        assert_eq!((limited(None), limited(Some(1)), limited(Some(30))), (Some(RETRY_DELAY), Some(RETRY_DELAY), Some(Duration::from_secs(30))));
        assert_eq!(limited(Some(1_000_000)), Some(MAX_PAUSE));
        assert_eq!((again(ErrorKind::Rejected), again(ErrorKind::Misconfigured)), (None, None));
    }
}
