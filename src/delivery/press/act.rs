//! An act, from its row in the audit to what follows from it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::answer::{answer, is_done};
use super::{Deed, LONGEST_SNOOZE, MAX_ACTED};
use crate::delivery::audit::Intent;
use crate::delivery::core::Shared;
use crate::delivery::plan::Plan;
use crate::delivery::self_alert::SelfAlert;
use crate::model::{IncidentId, Language, UnixMs, Verb};
use crate::store::{
    Ack, AckRules, Act, ActOn, ActResult, Acted, Actor, Anchor, AuditState, Incident, IncidentState, PressKey, SilenceState, StoreError,
};

/// Longest id of an event, and longest name of a person, in characters.
const MAX_ID: usize = 200;
const MAX_NAME: usize = 60;

impl Shared {
    /// Does something about incidents.
    pub(super) async fn act(self: &Arc<Self>, deed: Deed, on: Vec<ActOn>) -> Result<Acted, StoreError> {
        let (plan, now) = (self.plan.load_full(), self.clock.wall());
        let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let times = plan.incidents;
        let rules = AckRules { remind_after: ms(times.remind_after), expires_after: ms(times.ack_expires), repeat: ms(times.repeat) };
        let until =
            matches!(deed.verb, Verb::Snooze | Verb::Silence | Verb::Mute).then(|| now + deed.span.clamp(Duration::from_secs(60), LONGEST_SNOOZE));
        let shorten = |text: String, most: usize| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
        let press = PressKey { event_id: shorten(deed.press.event_id, MAX_ID), ..deed.press };
        let by = Actor { name: shorten(deed.by.name, MAX_NAME), id: shorten(deed.by.id, MAX_ID), ..deed.by };
        let (on, left) = self.choose(on, &Asked { verb: deed.verb, until, by: &by, now }).await?;
        let mut named: Vec<String> = on.iter().map(|on| format!("#{}", on.incident)).collect();
        named.dedup();
        let intent = Intent { by: deed.author, act: deed.verb.into(), on: format!("incident {}", named.join(", ")), reason: String::new() };
        let act = Act { press, verb: deed.verb, until, labels: BTreeMap::new(), mutes: BTreeMap::new(), by, on, rules, now };
        // The store does what it has begun, though the platform waits no longer, or the phone lost its connection: what the audit says to have begun is done, and
        // what follows from it, too.
        let shared = self.clone();
        let acting = self.tracker.spawn(async move { shared.finish_act(&plan, act, intent, left).await });
        match acting.await {
            Ok(acted) => acted,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that ends cancels what it was given.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Of very many incidents those that one act changes: the newest of those of which it does not hold yet. Returns how many more of these there are.
    async fn choose(&self, on: Vec<ActOn>, asked: &Asked<'_>) -> Result<(Vec<ActOn>, usize), StoreError> {
        let ids: BTreeSet<IncidentId> = on.iter().map(|on| on.incident).collect();
        if ids.len() <= MAX_ACTED {
            return Ok((on, 0));
        }
        let newest: Vec<IncidentId> = ids.into_iter().rev().collect();
        // Of very many incidents a press is by a message, which is of one channel.
        let channel = on.iter().find_map(|on| on.shown.as_ref()).map_or("", |shown| shown.channel.as_str());
        let found = self.store.incidents(&newest, channel).await?;
        let open = still_to_do(&found, &on, asked);
        let first = if open.is_empty() { &newest } else { &open };
        let chosen: HashSet<IncidentId> = first.iter().take(MAX_ACTED).copied().collect();
        Ok((on.into_iter().filter(|on| chosen.contains(&on.incident)).collect(), open.len().saturating_sub(MAX_ACTED)))
    }

    /// Does it once it is recorded, and records and counts what became of it. `left` are incidents that it leaves to the next act.
    async fn finish_act(&self, plan: &Plan, act: Act, intent: Intent, left: usize) -> Result<Acted, StoreError> {
        let (platform, verb, by, now) = (act.press.platform.clone(), act.verb, act.by.clone(), act.now);
        let record = self.begin_audit(intent).await?;
        let acted = self.do_act(plan, act).await.map(|acted| Acted { left, ..acted });
        let (state, outcome) = match &acted {
            Ok(acted) => {
                let answer = answer(acted, Language::En, plan, now);
                (if answer.done { AuditState::Done } else { AuditState::Refused }, answer.text)
            }
            Err(error) => (AuditState::Failed, error.to_string()),
        };
        self.end_audit(record, state, &outcome).await;
        let metrics = &self.telemetry.metrics;
        match &acted {
            Ok(acted) => {
                self.notify_rings(&acted.rings);
                self.report_changed_steps(&acted.ended_steps);
                self.report_acted(acted, &platform, verb, &by);
            }
            Err(error) => {
                metrics.pressed(&platform, verb.as_str(), "failed");
                tracing::error!(%error, verb = verb.as_str(), by = by.name, via = by.via, "an act on an incident was not stored; its author sees an error");
            }
        }
        acted
    }

    /// Counts and logs what an act did.
    fn report_acted(&self, acted: &Acted, platform: &str, verb: Verb, by: &Actor) {
        let metrics = &self.telemetry.metrics;
        for (id, result) in acted.results.iter().filter(|_| !acted.repeated) {
            if let ActResult::Acked { taken_from, after, .. } = result
                && taken_from.is_empty()
            {
                metrics.acked(Duration::from_millis(u64::try_from(*after).unwrap_or(0)));
            }
            if matches!(result, ActResult::Acked { .. }) {
                self.telemetry.raise(SelfAlert::acked(*id, &by.name));
            }
            let result = serde_json::to_string(result).unwrap_or_default();
            tracing::info!(incident = %id, verb = verb.as_str(), by = by.name, via = by.via, result, "somebody acted on an incident");
        }
        let done = acted.results.iter().any(|(_, result)| is_done(result));
        metrics.pressed(
            platform,
            verb.as_str(),
            if acted.repeated {
                "repeated"
            } else if done {
                "done"
            } else {
                "no_effect"
            },
        );
    }

    /// Does it. Of a silence, what cannot be silenced is not stored; the rest is, and its answer is waited for for a moment.
    async fn do_act(&self, plan: &Plan, mut act: Act) -> Result<Acted, StoreError> {
        match act.verb {
            Verb::Silence | Verb::Unsilence => {}
            Verb::Mute | Verb::Unmute => return self.act_on_mutes(plan, act).await,
            Verb::Escalate => return self.hand_on(plan, act).await,
            _ => return self.store.act(act).await,
        }
        let mut refused = Vec::new();
        if act.verb == Verb::Silence {
            let prepared = self.prepare_silences(plan, act.on).await?;
            (act.on, act.labels, refused) = (prepared.on, prepared.labels, prepared.refused);
        }
        let mut acted = if act.on.is_empty() && !refused.is_empty() { Acted::default() } else { self.store.act(act).await? };
        self.settle_silences(&mut acted).await;
        acted.results.extend(refused);
        Ok(acted)
    }
}

/// What somebody asks for.
struct Asked<'a> {
    verb: Verb,
    until: Option<UnixMs>,
    by: &'a Actor,
    now: UnixMs,
}

/// Those of these incidents of which it does not hold yet what somebody asks for.
fn still_to_do(found: &[(Incident, Vec<Anchor>)], on: &[ActOn], asked: &Asked) -> Vec<IncidentId> {
    let mut all: BTreeMap<IncidentId, Vec<&ActOn>> = BTreeMap::new();
    on.iter().for_each(|on| all.entry(on.incident).or_default().push(on));
    let meant = |one: &Incident, anchors: &[Anchor]| -> HashSet<u64> {
        all.get(&one.id).into_iter().flatten().flat_map(|on| on.meant(one, anchors, asked.now)).collect()
    };
    found.iter().filter(|(one, anchors)| !asked.holds(one, &meant(one, anchors))).map(|(one, _)| one.id).collect()
}

impl Asked<'_> {
    /// Whether what is asked for about these alerts of an incident holds already, or makes no sense of it. Who is on a part of them is not on the rest.
    fn holds(&self, incident: &Incident, meant: &HashSet<u64>) -> bool {
        let (is_over, acks) = (!incident.state.is_open(), &incident.acks);
        let ack_of: HashMap<u64, &Ack> = acks.list.iter().rev().flat_map(|ack| ack.alerts.iter().map(move |alert| (*alert, ack))).collect();
        let all = |is_so: &dyn Fn(&Ack) -> bool| meant.iter().all(|alert| ack_of.get(alert).is_some_and(|ack| is_so(ack)));
        let is_on_it = || all(&|ack| ack.by.id == self.by.id && ack.until.is_none() && ack.reminded_in == 0);
        // One that ends within a minute of it is as good.
        let lasts = |until: UnixMs| self.until.is_none_or(|asked| asked - until <= 60_000);
        match self.verb {
            Verb::Ack => is_over || is_on_it(),
            Verb::Unack => is_over || !meant.iter().any(|alert| ack_of.contains_key(alert)),
            Verb::Snooze => is_over || all(&|ack| ack.until.is_some_and(lasts)),
            // Who was shown a part is on that part then.
            Verb::Close => is_over || meant.is_empty() || (*meant != incident.open_alerts(None) && is_on_it()),
            Verb::Silence => is_over || acks.silence.is_some(),
            Verb::Unsilence => acks.silence.as_ref().is_none_or(|silence| silence.state == SilenceState::Ending),
            Verb::Mute => is_over || acks.mute.is_some(),
            Verb::Unmute => acks.mute.is_none(),
            Verb::Escalate => incident.state != IncidentState::Firing,
        }
    }
}
