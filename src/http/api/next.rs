//! What happens next with a delivery, and when, in words.

use std::time::Duration;

use super::ApiError;
use crate::delivery::mutes::INDEFINITE;
use crate::delivery::{ChannelPlan, Plan};
use crate::http::App;
use crate::model::{Language, UnixMs, format_duration};
use crate::store::{CHANNEL_MUTE_PREFIX, DeliveryDetail, DeliveryRow, FILE_MUTE_PREFIX, INTERVAL_MUTE_PREFIX, MUTE_PREFIX, State};

/// What happens next.
pub(in crate::http) async fn next_action(app: &App, detail: &DeliveryDetail) -> Result<String, ApiError> {
    let row = &detail.row;
    let engine = &app.engine;
    if row.state.is_final() {
        let revived = matches!(row.state, State::Dead | State::Unknown | State::Dropped | State::Skipped | State::Expired);
        let how = if revived { "; `watchfire queue retry` or `queue move` would send it after all" } else { "" };
        return Ok(format!("nothing: it is final{how}"));
    }
    let plan = engine.plan();
    let Some(channel) = plan.channel(&row.channel) else {
        return Ok("it waits: its channel is not in the configuration any more (name it in `previous_names` of its successor, or move it)".into());
    };
    let now = engine.clock().wall();
    let muted =
        |reason: &str| [CHANNEL_MUTE_PREFIX, MUTE_PREFIX, FILE_MUTE_PREFIX, INTERVAL_MUTE_PREFIX].iter().any(|prefix| reason.starts_with(prefix));
    if row.state == State::Deferred && row.due_at > now && row.reason.as_deref().is_some_and(muted) {
        let due = row.due_at;
        let open = row.reason.as_deref().is_some_and(|reason| reason.starts_with(INTERVAL_MUTE_PREFIX) && reason.ends_with(INDEFINITE));
        return Ok(if open {
            format!("muted indefinitely; re-evaluated at {due}")
        } else {
            format!("muted until {due}; then it is sent if it still fires")
        });
    }
    if channel.disabled {
        return Ok("it is not sent: its channel is disabled (`disabled: true`), so it is skipped when its turn comes".into());
    }
    if detail.message.as_ref().is_some_and(|message| message.attempts.iter().any(|attempt| attempt.ended_at.is_none())) {
        return Ok(format!("it is being sent now; the platform has {} to answer", format_duration(channel.timeout)));
    }
    let outlet = app.engine.outlet_state(&channel.outlet);
    let mutes = engine.mutes();
    let what = if let Some(active) = mutes.of_channel(&row.channel, now) {
        let how = active.mute.name.as_ref().map_or_else(|| "by hand".to_owned(), |name| format!("by `{name}`"));
        format!("the channel is muted {how} {}: {}", active.until_text(), active.mute.why(Language::En))
    } else if let Some(reason) = outlet.suspended {
        format!("the channel is suspended: {reason}; it is retried with growing pauses and at once after a reload")
    } else if !engine.store_works() {
        "nothing is sent while the store does not work, because outcomes could not be kept; it goes on by itself".into()
    } else if outlet.paused_ms > 0 {
        format!("the channel pauses until {} because the platform asked for it or did not answer", now + outlet.paused_ms)
    } else if row.due_at > now {
        format!("the next try is at {}", row.due_at)
    } else {
        queue_position(app, channel, outlet.in_flight, now).await?
    };
    // What has a copy already gets no other one while it waits.
    let chain = if detail.children.is_empty() { detail.target.fallback.as_slice() } else { &[] };
    Ok(format!("{what}{}", limits(&plan, channel, chain, counted_from(row, detail.target.step.is_some()))))
}

/// What waits for its turn at the channel's rate limit, or for the platform's answer, when no more wait than are in flight.
async fn queue_position(app: &App, channel: &ChannelPlan, in_flight: usize, now: UnixMs) -> Result<String, ApiError> {
    let stats = app.engine.stats_now().await?;
    let shares = |name: &str| app.engine.plan().channel(name).is_some_and(|other| other.outlet == channel.outlet);
    let waiting: u64 = stats.open.iter().filter(|(name, state, _)| *state == State::Waiting && shares(name)).map(|(_, _, n)| n).sum();
    // What is in flight may be somebody else's where a rate limit lets others wait.
    let rate = channel.rate();
    if in_flight > 0 && !rate.is_finite() && waiting <= in_flight as u64 {
        return Ok(format!("it is being sent now; the platform has {} to answer", format_duration(channel.timeout)));
    }
    if waiting <= 1 || !rate.is_finite() {
        return Ok("it is sent as soon as the channel's rate limit allows".into());
    }
    let left = Duration::from_secs_f64((waiting as f64 / rate).min(365.0 * 86_400.0));
    let digest = match channel.digest {
        Some(after) if left > after => "; what cannot leave soon is merged into digests, which is faster",
        _ => "",
    };
    let by = now + left;
    Ok(format!("it is sent when its turn comes: {waiting} wait for the same credential, at the channel's rate limit one by one until {by}{digest}"))
}

/// Since when a delivery's age counts, as the delivery itself counts it: what was muted is as old as its alert, and a step of an escalation that waits is as
/// old as its time.
fn counted_from(row: &DeliveryRow, is_step: bool) -> UnixMs {
    if is_step && row.state == State::Deferred { row.born_at.max(row.due_at) } else { row.born_at }
}

/// How long it may take, and what happens meanwhile.
fn limits(plan: &Plan, channel: &ChannelPlan, chain: &[String], from: UnixMs) -> String {
    let after = |span: Duration| from + span;
    let mut out = format!("; given up after {}", after(channel.max_age));
    let first = plan.fallback(chain).filter(|(to, _)| !to.disabled);
    if let (Some(span), Some((first, _))) = (channel.fallback_after, first) {
        out.push_str(&format!(", copied to {} if it still waits at {}", first.name, after(span)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeliveryId, EventId};
    use crate::store::Mode;

    #[test]
    fn what_was_muted_is_as_old_as_its_alert_and_a_step_as_its_time() {
        let row = |state: State| DeliveryRow {
            id: DeliveryId::new(),
            event: EventId::new(),
            channel: "ops".into(),
            state,
            mode: Mode::Queued,
            rank: 0,
            title: String::new(),
            firing: 1,
            resolved: 0,
            born_at: UnixMs(1000),
            due_at: UnixMs(9000),
            tries: 0,
            message: None,
            fallback_of: None,
            done_at: None,
            reason: None,
            incident: None,
        };
        let from = |state: State, is_step: bool| counted_from(&row(state), is_step).0;
        assert_eq!((from(State::Deferred, false), from(State::Waiting, false)), (1000, 1000));
        assert_eq!((from(State::Deferred, true), from(State::Waiting, true)), (9000, 1000));
    }
}
