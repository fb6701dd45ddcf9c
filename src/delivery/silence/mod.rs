//! Silences: what people ask for is asked of the Alertmanager that has the incident, until it has confirmed it; then it is asked how it goes on.
//!
//! What is wanted is stored by the act ([`crate::store::OperatorStore::act`]) before anything is asked. A silence there holds a token in its comment: it is
//! looked for before it is made, so that none is made twice, whenever this process dies. The node that takes a silence has it for a few seconds.

pub(super) mod bell;
mod ends;
mod prepare;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::outlet::supervise::Supervision;
use super::plan::Plan;
use crate::channel::alertmanager::{Cluster, KnownSilence, NewSilence, may_pass};
use crate::model::{SendError, UnixMs};
use crate::store::{Incident, Silence, SilenceOutcome, SilenceState, StoreError};

/// How often what is due is looked up; what is asked for here is looked up at once.
const TICK_INTERVAL: Duration = Duration::from_secs(5);
/// Silences of one tick.
const MAX_PER_TICK: usize = 16;
/// How long an Alertmanager, or all replicas of one, may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// For so long nobody else asks about a silence that was taken.
const TAKEN_FOR: Duration = Duration::from_secs(15);
/// How often an Alertmanager is asked how a silence goes on.
const POLL_INTERVAL: Duration = Duration::from_secs(10);
/// The first and the longest pause after a call that failed.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A silence whose time is over for so long is over, though nobody can be asked.
const OVER_AFTER: Duration = Duration::from_secs(60);

/// Asks until cancelled. One task of each node.
pub async fn run(engine: Arc<Engine>, cancel: CancellationToken) {
    let mut supervision = Supervision::of("silences", &engine.shared);
    while !supervision.run(ticks(&engine, &cancel), "", &cancel).await {}
}

async fn ticks(engine: &Engine, cancel: &CancellationToken) -> bool {
    let silences = &engine.shared.by_hand.silences;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return true,
            // What was asked and not recorded is asked again.
            result = tick(engine) => if let Err(error) = result {
                engine.shared.health.request_failed(&error);
            }
        }
        silences.done.send_modify(|done| *done += 1);
        tokio::select! {
            () = cancel.cancelled() => return true,
            () = silences.asked.notified() => {}
            () = tokio::time::sleep(TICK_INTERVAL) => {}
        }
    }
}

async fn tick(engine: &Engine) -> Result<(), StoreError> {
    let now = engine.shared.clock.wall();
    let taken = engine.shared.store.take_silences(now, now + TAKEN_FOR, MAX_PER_TICK).await?;
    join_all(taken.into_iter().map(|silence| one(engine, silence))).await.into_iter().collect()
}

/// Asks about one silence, and stores what was said.
async fn one(engine: &Engine, silence: Silence) -> Result<(), StoreError> {
    let shared = &engine.shared;
    let Some((incident, _)) = shared.store.incidents(&[silence.incident], "").await?.pop() else { return Ok(()) };
    let plan = shared.plan.load_full();
    let deadline = shared.clock.instant() + DEADLINE;
    let cluster = plan.senders.silence.of(&incident.source).cloned();
    let said = match &cluster {
        None => Said::failed(format!("the configuration has no Alertmanager for `{}`", incident.source)),
        Some(cluster) => ask(cluster, &plan, &silence, &incident, shared.clock.wall(), deadline).await,
    };
    let (mut seen, mut failed) = (silence.seen, None);
    if let (Some(cluster), SilenceState::Active, true) = (&cluster, said.state, incident.state.is_open()) {
        match ends::report(engine, cluster, &incident, &silence, deadline).await {
            Ok(Ok(listed)) => seen |= listed,
            // What the silence itself became is stored anyway: a store that accepts no event still takes outcomes.
            Err(error) => failed = Some(error),
            Ok(Err(error)) => {
                tracing::warn!(incident = %incident.id, %error, "Alertmanager could not be asked what still fires under a silence; it is asked again");
            }
        }
    }
    let now = shared.clock.wall();
    let outcome = SilenceOutcome { seen, ..said.outcome(silence, now) };
    let (id, state, reason) = (incident.id, outcome.state, outcome.reason.clone());
    let changed = outcome.of.state != state || !reason.is_empty();
    if changed {
        shared.telemetry.metrics.silence(if reason.is_empty() || state.is_final() { state.as_str() } else { "retried" });
        let (by, until) = (&outcome.of.by.name, outcome.until);
        if reason.is_empty() {
            tracing::info!(incident = %id, state = state.as_str(), %until, by, "the silence at Alertmanager changed");
        } else if state.is_final() {
            tracing::warn!(incident = %id, state = state.as_str(), %until, by, reason, "the silence at Alertmanager is over");
        } else {
            tracing::warn!(incident = %id, state = state.as_str(), %until, by, reason, "the silence could not be made or read at Alertmanager: it is tried again");
        }
    }
    let rings = shared.store.record_silence(outcome).await?;
    shared.notify_rings(&rings);
    if changed {
        shared.outlets.edit_soon();
    }
    failed.map_or(Ok(()), Err)
}

/// What an Alertmanager said of a silence.
struct Said {
    state: SilenceState,
    id: Option<String>,
    until: Option<UnixMs>,
    reason: String,
}

impl Said {
    fn is(state: SilenceState) -> Self {
        Self { state, id: None, until: None, reason: String::new() }
    }

    fn failed(reason: String) -> Self {
        Self { reason, ..Self::is(SilenceState::Failed) }
    }

    fn active(known: KnownSilence) -> Self {
        Self { id: Some(known.id), until: Some(known.until.into()), ..Self::is(SilenceState::Active) }
    }

    fn outcome(self, of: Silence, now: UnixMs) -> SilenceOutcome {
        let pause = match self.state {
            SilenceState::Asked | SilenceState::Ending => Some(pause(of.tries)),
            SilenceState::Active => Some(POLL_INTERVAL),
            SilenceState::Ended | SilenceState::Failed => None,
        };
        let until = self.until.unwrap_or(of.until);
        SilenceOutcome {
            sender_id: self.id,
            state: self.state,
            until,
            reason: self.reason,
            due_at: pause.map(|pause| now + pause),
            seen: of.seen,
            now,
            of,
        }
    }
}

fn pause(tries: i64) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << tries.clamp(1, 5)).div_f64(2.0).min(LONGEST_PAUSE)
}

async fn ask(cluster: &Cluster, plan: &Plan, silence: &Silence, incident: &Incident, now: UnixMs, deadline: Instant) -> Said {
    let token = format!("wf-{}", silence.token.simple());
    if silence.until + OVER_AFTER <= now {
        return Said::is(SilenceState::Ended);
    }
    let found = cluster.find(silence.sender_id.as_deref(), &token, &silence.labels, deadline).await;
    match (silence.state, found) {
        (SilenceState::Asked, Ok(known)) if silence.until > now => put(cluster, plan, silence, incident, known, &token, deadline).await,
        (SilenceState::Active, Ok(Some(known))) => Said::active(known),
        (SilenceState::Ending, Ok(Some(known))) => match cluster.end(&known, deadline).await {
            Ok(()) => Said::is(SilenceState::Ended),
            Err(error) => unconfirmed(SilenceState::Ending, &error),
        },
        (_, Ok(_)) => Said::is(SilenceState::Ended),
        (SilenceState::Asked, Err(error)) if !may_pass(&error) => Said::failed(error.summary),
        // It goes on as it is known, whether or not anybody answers.
        (SilenceState::Active, Err(error)) => {
            tracing::warn!(incident = %incident.id, %error, "Alertmanager could not be asked about a silence; it is asked again");
            Said::is(SilenceState::Active)
        }
        (state, Err(error)) => unconfirmed(state, &error),
    }
}

/// Makes the silence, or has the one that is there end when it is to end.
async fn put(
    cluster: &Cluster,
    plan: &Plan,
    silence: &Silence,
    incident: &Incident,
    known: Option<KnownSilence>,
    token: &str,
    deadline: Instant,
) -> Said {
    if let Some(known) = known.as_ref().filter(|known| UnixMs::from(known.until) == silence.until) {
        return Said::active(known.clone());
    }
    let link = if plan.external_url.is_empty() { String::new() } else { format!(" {}/ui/incidents/{}", plan.external_url, incident.id) };
    let comment = format!("Watchfire #{}: {}{link} ({token})", incident.id, incident.title);
    let from = known.as_ref().map_or_else(|| silence.asked_at.timestamp(), |known| known.from);
    let new = NewSilence { labels: &silence.labels, from, until: silence.until.timestamp(), by: &silence.by.name, comment: &comment };
    match cluster.put(&new, known.as_ref(), deadline).await {
        Ok(id) => Said { id: Some(id), ..Said::is(SilenceState::Active) },
        Err(error) if may_pass(&error) => unconfirmed(SilenceState::Asked, &error),
        Err(error) => Said::failed(error.summary),
    }
}

fn unconfirmed(state: SilenceState, error: &SendError) -> Said {
    Said { reason: error.summary.clone(), ..Said::is(state) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute() {
        assert_eq!((1..=9).map(|tries| pause(tries).as_secs()).collect::<Vec<_>>(), [5, 10, 20, 40, 60, 60, 60, 60, 60]);
    }
}
