//! The gate of an outlet: what keeps it from sending although its rate limit would allow it. A pause, the breaker and a suspension are one state,
//! because each changes what the others mean.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::channel::Probe;
use crate::delivery::policy::MAX_PAUSE;
use crate::model::{DeliveryId, ErrorKind, SendError};

use super::breaker::Breaker;

/// The first and the longest wait between two trials of a suspended outlet.
const FIRST_TRIAL: Duration = Duration::from_secs(5);
const LONGEST_TRIAL: Duration = Duration::from_secs(600);
/// Refused deliveries that are remembered; with more, the outlet is at fault.
const REMEMBERED: usize = 4096;

/// What may start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// Whatever the rate limit allows.
    Open,
    /// One message by itself, to try whether a suspended outlet works again.
    Trial,
    /// Nothing while another message is in flight: the breaker is open, or the trial is in flight.
    AfterThis,
    /// Direct sends, and what only has to end: the outlet is suspended until a trial succeeds. The next probe starts then.
    Suspended(Instant),
    /// Nothing before this time.
    Paused(Instant),
}

/// What one recipient's result says about the outlet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The platform took the message.
    Accepted,
    /// It did not take it this time: transient, ambiguous or rate limited.
    NotNow,
    /// It refused this message, but its credentials work.
    Refused,
    /// This recipient cannot get it now. It answered, and nothing is known of others.
    OfRecipient,
    /// Its configuration does not work. With the reason the outlet is suspended; a direct send and a message that is too old suspend nothing.
    Misconfigured(Option<String>),
}

impl Verdict {
    /// The verdict of a result that was `error`; `suspend` is why the attempt suspends the outlet, if it does.
    pub fn of(error: Option<&SendError>, suspend: Option<&str>) -> Self {
        match error.map(|error| (error.kind, error.recipient)) {
            None => Self::Accepted,
            Some((ErrorKind::Transient | ErrorKind::RateLimited { .. }, true)) => Self::OfRecipient,
            Some((ErrorKind::Transient | ErrorKind::Ambiguous | ErrorKind::RateLimited { .. }, _)) => Self::NotNow,
            Some((ErrorKind::Rejected, _)) => Self::Refused,
            Some((ErrorKind::Misconfigured, _)) => Self::Misconfigured(suspend.map(str::to_owned)),
        }
    }
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing that others need to know.
    None,
    /// The outlet is suspended from now on.
    Suspended,
    /// It works again.
    Resumed,
}

/// An outlet whose configuration does not work.
#[derive(Debug)]
struct Suspension {
    reason: String,
    /// Since when; `None` when the store recorded it.
    since: Option<Instant>,
    trial_at: Instant,
    wait: Duration,
    /// The next message is the trial.
    trial: bool,
}

impl Suspension {
    fn new(reason: String, trial_at: Instant) -> Self {
        Self { reason, since: None, trial_at, wait: FIRST_TRIAL, trial: false }
    }
}

/// Pause, breaker and suspension of one outlet.
#[derive(Debug)]
pub struct Gate {
    paused_until: Instant,
    breaker: Breaker,
    suspension: Option<Suspension>,
    /// Deliveries because of which the outlet was suspended, and whether others have been accepted since. If the fault is such a message's own, others
    /// would wait behind it endlessly: it is not the trial while anything else waits.
    refused: HashMap<DeliveryId, bool>,
}

impl Gate {
    /// An open gate.
    pub fn new(now: Instant) -> Self {
        Self { paused_until: now, breaker: Breaker::default(), suspension: None, refused: HashMap::new() }
    }

    /// Takes over what the store recorded: how long the outlet still pauses, and why it is suspended. A suspended outlet is tried at once.
    pub fn restore(&mut self, now: Instant, pause: Duration, suspended: Option<String>) {
        self.paused_until = now + pause.min(MAX_PAUSE);
        self.suspension = suspended.map(|reason| Suspension::new(reason, now));
    }

    /// What may start with `in_flight` messages in flight.
    pub fn admits(&self, now: Instant, in_flight: usize) -> Admit {
        let trial = self.suspension.as_ref().is_some_and(|suspension| suspension.trial);
        match &self.suspension {
            _ if now < self.paused_until => Admit::Paused(self.paused_until),
            Some(suspension) if !trial => Admit::Suspended(suspension.trial_at),
            _ if (trial || self.breaker.is_open()) && in_flight > 0 => Admit::AfterThis,
            Some(_) => Admit::Trial,
            None => Admit::Open,
        }
    }

    /// Until when nothing starts; not after now when nothing is paused.
    pub fn paused_until(&self) -> Instant {
        self.paused_until
    }

    /// Why the outlet is suspended.
    pub fn suspended(&self) -> Option<&str> {
        self.suspension.as_ref().map(|suspension| suspension.reason.as_str())
    }

    /// Since when it is suspended, where that began here.
    pub fn suspended_since(&self) -> Option<Instant> {
        self.suspension.as_ref()?.since
    }

    /// When the suspended outlet is tried next; `None` while it works, and where the next message tries it.
    pub fn next_trial(&self) -> Option<Instant> {
        self.suspension.as_ref().filter(|suspension| !suspension.trial).map(|suspension| suspension.trial_at)
    }

    /// Whether only one message at a time is tried.
    pub fn is_breaker_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether one of these deliveries was refused as the outlet's fault.
    pub fn was_refused(&self, mut deliveries: impl Iterator<Item = DeliveryId>) -> bool {
        !self.refused.is_empty() && deliveries.any(|id| self.refused.contains_key(&id))
    }

    /// Whether one of these was refused so, and others have been accepted since: the fault is its own.
    pub fn is_at_fault(&self, mut deliveries: impl Iterator<Item = DeliveryId>) -> bool {
        !self.refused.is_empty() && deliveries.any(|id| self.refused.get(&id) == Some(&true))
    }

    /// The platform asked to pause until then.
    pub fn pause(&mut self, until: Instant) {
        self.paused_until = self.paused_until.max(until);
    }

    /// An attempt with these deliveries ended, with a verdict for each recipient in any order; `resting` is whether the outlet already paused before
    /// the attempt's own pause.
    ///
    /// The breaker asks whether the platform lets anything through, the suspension whether the credentials work: a page of which one recipient came
    /// too fast and another was refused for the credentials counts for both.
    pub fn ended(&mut self, verdicts: &[Verdict], deliveries: &[DeliveryId], resting: bool, now: Instant) -> Change {
        let any = |verdict| verdicts.contains(&verdict);
        let misconfigured = verdicts.iter().find_map(|verdict| if let Verdict::Misconfigured(reason) = verdict { Some(reason) } else { None });
        if any(Verdict::Accepted) {
            for id in deliveries {
                self.refused.remove(id);
            }
            self.refused.values_mut().for_each(|passed| *passed = true);
        }
        if !any(Verdict::NotNow) || any(Verdict::Accepted) {
            self.breaker.answered();
        } else if let Some(rest) = self.breaker.failed(resting) {
            self.pause(now + rest);
        }
        match misconfigured {
            Some(Some(reason)) => {
                if self.refused.len() + deliveries.len() > REMEMBERED {
                    self.refused.clear();
                }
                self.refused.extend(deliveries.iter().map(|id| (*id, false)));
                self.suspend(reason.clone(), now)
            }
            None if any(Verdict::Accepted) || any(Verdict::Refused) => self.resume(),
            _ => {
                if let Some(suspension) = &mut self.suspension {
                    suspension.trial = false;
                    suspension.trial_at = now + suspension.wait;
                }
                Change::None
            }
        }
    }

    fn suspend(&mut self, reason: String, now: Instant) -> Change {
        let wait = self.suspension.as_ref().map_or(FIRST_TRIAL, |before| (before.wait * 2).min(LONGEST_TRIAL));
        let since = self.suspension.as_ref().map_or(Some(now), |before| before.since);
        let before = self.suspension.replace(Suspension { reason, since, trial_at: now + wait, wait, trial: false });
        if before.is_none() { Change::Suspended } else { Change::None }
    }

    fn resume(&mut self) -> Change {
        if self.suspension.take().is_some() { Change::Resumed } else { Change::None }
    }

    /// Whether the platform is to be asked now if the outlet works; the next time is a wait later.
    pub fn starts_probe(&mut self, now: Instant) -> bool {
        let Some(suspension) = self.suspension.as_mut().filter(|suspension| !suspension.trial && now >= suspension.trial_at) else { return false };
        suspension.trial_at = now + suspension.wait;
        true
    }

    /// What the probe said. Good credentials do not say that messages pass (a room may be gone): the next message is the trial. With nothing to try it
    /// with (`idle`), the probe must do.
    pub fn probed(&mut self, probe: &Probe, idle: bool, now: Instant) -> Change {
        let Some(suspension) = &mut self.suspension else { return Change::None };
        match probe {
            Probe::Ok if idle => return self.resume(),
            Probe::Failed(error) => {
                // What the platform says now; that nothing answered is no reason to hold a channel.
                if error.kind == ErrorKind::Misconfigured {
                    suspension.reason = error.to_string();
                }
                suspension.wait = (suspension.wait * 2).min(LONGEST_TRIAL);
                suspension.trial_at = now + suspension.wait;
            }
            Probe::Ok | Probe::Unsupported => suspension.trial = true,
        }
        Change::None
    }

    /// The configuration was loaded again: a suspended outlet is tried at once, with whatever waits.
    pub fn reloaded(&mut self, now: Instant) {
        if let Some(suspension) = &mut self.suspension {
            (suspension.trial_at, suspension.wait) = (now, FIRST_TRIAL);
        }
        self.refused.clear();
        self.paused_until = self.paused_until.min(now + MAX_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn misconfigured() -> Verdict {
        Verdict::Misconfigured(Some("401".into()))
    }

    #[test]
    fn what_is_admitted() {
        let start = Instant::now();
        let suspend = |gate: &mut Gate| assert_eq!(gate.ended(&[misconfigured()], &[], false, start), Change::Suspended);
        let trial = |gate: &mut Gate| {
            suspend(gate);
            assert!(!gate.starts_probe(start + seconds(4)));
            assert!(gate.starts_probe(start + seconds(5)));
            assert_eq!(gate.probed(&Probe::Unsupported, false, start), Change::None);
        };
        let broken = |gate: &mut Gate| (0..5).for_each(|_| assert_eq!(gate.ended(&[Verdict::NotNow], &[], false, start), Change::None));
        type Case<'a> = (&'a str, &'a dyn Fn(&mut Gate), u64, usize, Admit);
        let cases: [Case; 9] = [
            ("new", &|_| {}, 0, 9, Admit::Open),
            ("paused", &|gate| gate.pause(start + seconds(3)), 2, 0, Admit::Paused(start + seconds(3))),
            ("after the pause", &|gate| gate.pause(start + seconds(3)), 3, 0, Admit::Open),
            ("suspended", &suspend, 9, 0, Admit::Suspended(start + seconds(5))),
            ("a trial", &trial, 9, 0, Admit::Trial),
            ("a trial in flight", &trial, 9, 1, Admit::AfterThis),
            ("the breaker opened", &broken, 0, 0, Admit::Paused(start + seconds(5))),
            ("the breaker rested", &broken, 5, 0, Admit::Open),
            ("the breaker tries one", &broken, 5, 1, Admit::AfterThis),
        ];
        for (what, prepare, at, in_flight, expected) in cases {
            let mut gate = Gate::new(start);
            prepare(&mut gate);
            assert_eq!(gate.admits(start + seconds(at), in_flight), expected, "{what}");
        }
    }

    #[test]
    fn a_suspension_ends_with_the_first_answer_that_says_that_the_credentials_work() {
        let start = Instant::now();
        for (verdict, change) in [
            (Verdict::Accepted, Change::Resumed),
            (Verdict::Refused, Change::Resumed),
            (Verdict::NotNow, Change::None),
            (misconfigured(), Change::None),
            (Verdict::Misconfigured(None), Change::None),
        ] {
            let mut gate = Gate::new(start);
            assert_eq!(gate.ended(&[misconfigured()], &[], false, start), Change::Suspended);
            assert_eq!(gate.ended(std::slice::from_ref(&verdict), &[], false, start), change, "{verdict:?}");
            assert_eq!(gate.suspended().is_none(), change == Change::Resumed, "{verdict:?}");
        }
    }

    /// What is left after five pages with these results: whether it is suspended, and whether the breaker is open. In any order.
    #[test]
    fn the_recipients_of_one_page_may_say_several_things() {
        use Verdict::{Accepted, NotNow, OfRecipient, Refused};
        let now = Instant::now();
        let by_hand = || Verdict::Misconfigured(None);
        for (verdicts, suspended, broken) in [
            (vec![NotNow, misconfigured()], true, true),
            (vec![NotNow, Refused], false, true),
            (vec![NotNow, by_hand()], false, true),
            (vec![NotNow, Accepted], false, false),
            (vec![NotNow, Accepted, misconfigured()], true, false),
            (vec![Refused, misconfigured()], true, false),
            (vec![Accepted, Refused], false, false),
            (vec![OfRecipient], false, false),
            (vec![OfRecipient, NotNow], false, true),
        ] {
            for order in [verdicts.clone(), verdicts.into_iter().rev().collect()] {
                let mut gate = Gate::new(now);
                for _ in 0..5 {
                    let _ = gate.ended(&order, &[], false, now);
                }
                assert_eq!((gate.suspended().is_some(), gate.is_breaker_open()), (suspended, broken), "{order:?}");
                let resumes = order.iter().any(|verdict| matches!(verdict, Accepted | Refused)) && !suspended && !order.contains(&by_hand());
                let mut gate = Gate::new(now);
                gate.restore(now, Duration::ZERO, Some("401".into()));
                gate.ended(&order, &[], false, now);
                assert_eq!(gate.suspended().is_none(), resumes, "{order:?} in a suspended outlet");
            }
        }
    }

    #[test]
    fn the_waits_between_trials_double_to_ten_minutes_and_a_reload_begins_again() {
        let mut now = Instant::now();
        let mut gate = Gate::new(now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            gate.ended(&[misconfigured()], &[], false, now);
            let Admit::Suspended(at) = gate.admits(now, 0) else { panic!("it is suspended") };
            waits.push((at - now).as_secs());
            now = at;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        gate.reloaded(now);
        assert_eq!(gate.admits(now, 0), Admit::Suspended(now), "it is tried at once");
    }

    #[test]
    fn a_message_is_at_fault_itself_when_others_were_accepted_after_it_was_refused() {
        let now = Instant::now();
        let (bad, good) = (DeliveryId::new(), DeliveryId::new());
        let mut gate = Gate::new(now);
        gate.ended(&[misconfigured()], &[bad], false, now);
        let of = |gate: &Gate, id| (gate.was_refused([id].into_iter()), gate.is_at_fault([id].into_iter()));
        assert_eq!((of(&gate, bad), of(&gate, good)), ((true, false), (false, false)));
        gate.ended(&[Verdict::Accepted], &[good], false, now);
        assert_eq!((of(&gate, bad), of(&gate, good)), ((true, true), (false, false)));
        gate.reloaded(now);
        assert_eq!(of(&gate, bad), (false, false), "the configuration may have been the fault");
    }

    #[test]
    fn a_probe_that_fails_waits_longer_and_one_that_succeeds_lets_a_message_try() {
        let now = Instant::now();
        let failed = Probe::Failed(crate::model::SendError::new(ErrorKind::Misconfigured, "account closed"));
        let down = Probe::Failed(crate::model::SendError::new(ErrorKind::Transient, "no answer"));
        for (probe, idle, change, admit, reason) in [
            (Probe::Ok, true, Change::Resumed, Admit::Open, None),
            (Probe::Ok, false, Change::None, Admit::Trial, Some("401")),
            (Probe::Unsupported, true, Change::None, Admit::Trial, Some("401")),
            (failed, true, Change::None, Admit::Suspended(now + seconds(10)), Some("account closed")),
            (down, true, Change::None, Admit::Suspended(now + seconds(10)), Some("401")),
        ] {
            let mut gate = Gate::new(now);
            gate.restore(now, Duration::ZERO, Some("401".into()));
            assert_eq!(gate.next_trial(), Some(now));
            assert!(gate.starts_probe(now) && !gate.starts_probe(now), "one probe at a time");
            assert_eq!(gate.probed(&probe, idle, now), change, "{probe:?}");
            assert_eq!(gate.admits(now, 0), admit, "{probe:?}");
            assert_eq!(gate.suspended(), reason, "{probe:?}");
            assert_eq!(gate.next_trial(), if let Admit::Suspended(at) = admit { Some(at) } else { None }, "{probe:?}");
        }
    }
}
