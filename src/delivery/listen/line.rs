//! One listener: its connection, opened again and again, and what is shown of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pause::Pauses;
use crate::channel::{ListenContext, ListenEnd, Listener, Press, PressAnswer, Presses};
use crate::delivery::core::Shared;
use crate::delivery::lock::lock;
use crate::delivery::outlet::supervise::Supervision;
use crate::delivery::plan::ChannelPlan;
use crate::delivery::self_alert::{SelfAlert, SelfAlertKind};
use crate::model::OutletKey;

/// A listener that is not connected for this long raises an alarm.
const ALARM_AFTER: Duration = Duration::from_secs(300);

/// Who takes the presses of a channel's buttons. A listener that serves several channels asks with the first of them: the button's value names the message.
pub type PressesOf = Arc<dyn Fn(&Arc<ChannelPlan>) -> Arc<dyn Presses> + Send + Sync>;

/// What is shown of a channel's listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerState {
    /// Whether presses arrive.
    pub connected: bool,
    /// Why the last connection ended, while there is none.
    pub error: Option<String>,
}

/// The channels that one listener serves, in the order of the configuration; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) channels: Vec<Arc<str>>,
    /// The first of their outlets: its owner listens where only one node may.
    pub(super) outlet: OutletKey,
}

/// How a connection does.
#[derive(Debug)]
struct Condition {
    connected: bool,
    /// Since when it is, or is not.
    since: Instant,
    /// Why the last connection ended.
    error: Option<String>,
    /// Whether the loss was logged.
    logged: bool,
    /// The channel that an alarm was raised for.
    alarmed: Option<Arc<str>>,
}

/// One listener.
pub(in crate::delivery) struct Line {
    shared: Arc<Shared>,
    listener: Arc<dyn Listener>,
    presses: PressesOf,
    served: Mutex<Served>,
    /// Whether this node is to listen.
    may: watch::Sender<bool>,
    condition: Mutex<Condition>,
}

impl Line {
    pub(super) fn new(shared: &Arc<Shared>, listener: Arc<dyn Listener>, presses: PressesOf, served: Served) -> Arc<Self> {
        let condition = Condition { connected: false, since: shared.clock.instant(), error: None, logged: false, alarmed: None };
        let may = watch::Sender::new(false);
        Arc::new(Self { shared: shared.clone(), listener, presses, served: Mutex::new(served), may, condition: Mutex::new(condition) })
    }

    pub(super) fn is_of(&self, listener: &Arc<dyn Listener>) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.listener), Arc::as_ptr(listener))
    }

    /// The channels are these from now on.
    pub(super) fn serve(&self, served: Served) {
        *lock(&self.served) = served;
    }

    pub(super) fn channels(&self) -> Vec<Arc<str>> {
        lock(&self.served).channels.clone()
    }

    pub(super) fn serves(&self, channel: &str) -> bool {
        lock(&self.served).channels.iter().any(|name| **name == *channel)
    }

    /// Whether this node is to listen.
    pub(super) fn may_listen(&self) -> bool {
        *self.may.borrow()
    }

    /// What is shown of it; `None` while another node listens.
    pub(super) fn state(&self) -> Option<ListenerState> {
        let condition = lock(&self.condition);
        self.may_listen().then(|| ListenerState { connected: condition.connected, error: condition.error.clone().filter(|_| !condition.connected) })
    }

    /// Looks who is to listen, and how long nobody did.
    pub(super) fn tick(&self) {
        let owned = || self.shared.outlets.get(&lock(&self.served).outlet).is_some_and(|mailbox| mailbox.state().owned);
        let may = !self.listener.exclusive() || owned();
        if self.may.send_if_modified(|before| std::mem::replace(before, may) != may) {
            self.rest();
        }
        if may {
            self.alarm();
        }
    }

    /// Keeps a connection open; it ends only by being dropped. A panic in it is logged and counted, and the next connection is opened.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut supervision = Supervision::of("listener", &self.shared);
        let never = CancellationToken::new();
        loop {
            let names = self.names();
            supervision.run(self.connections(), &names, &never).await;
            self.lost("it failed unexpectedly");
        }
    }

    /// One connection after the other.
    async fn connections(self: &Arc<Self>) -> bool {
        let mut may = self.may.subscribe();
        let mut pauses = Pauses::default();
        loop {
            if may.wait_for(|may| *may).await.is_err() {
                return false;
            }
            let (connected, mut seen) = watch::channel(false);
            let cx = ListenContext { presses: Arc::new(Current(self.clone())), connected };
            let end = tokio::select! {
                end = self.listener.listen(&cx) => end,
                () = self.follow(&mut seen) => continue,
                _ = may.wait_for(|may| !*may) => continue,
            };
            let lasted = self.ended(&end, *seen.borrow());
            let pause = pauses.after(&end, lasted, self.shared.jitter());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = may.wait_for(|may| !*may) => {}
            }
        }
    }

    /// Shows what the listener says, as long as it says something.
    async fn follow(&self, seen: &mut watch::Receiver<bool>) {
        while seen.changed().await.is_ok() {
            if *seen.borrow_and_update() {
                self.connected();
            } else {
                self.lost("the connection was lost");
            }
        }
    }

    fn names(&self) -> String {
        self.channels().join(", ")
    }

    fn connected(&self) {
        let now = self.shared.clock.instant();
        let (again, alarmed) = {
            let mut condition = lock(&self.condition);
            if std::mem::replace(&mut condition.connected, true) {
                return;
            }
            condition.since = now;
            (std::mem::take(&mut condition.logged), condition.alarmed.take())
        };
        self.show(true);
        let channels = self.names();
        match again {
            false => tracing::info!(channels, "listening for presses of buttons"),
            true => tracing::info!(channels, "listening for presses of buttons again"),
        }
        if let Some(channel) = alarmed {
            self.shared.telemetry.raise(SelfAlert::resolved(SelfAlertKind::ListenerLost, &channel));
        }
    }

    /// Not connected any more, for this reason. Returns how long it was.
    fn lost(&self, why: &str) -> Duration {
        let now = self.shared.clock.instant();
        let lasted = {
            let mut condition = lock(&self.condition);
            condition.error = Some(why.to_owned());
            let was = std::mem::replace(&mut condition.connected, false);
            if was { now.duration_since(std::mem::replace(&mut condition.since, now)) } else { Duration::ZERO }
        };
        self.show(false);
        lasted
    }

    /// A connection ended. Returns how long it was connected.
    fn ended(&self, end: &ListenEnd, connected: bool) -> Duration {
        if connected {
            // It ended before anybody could look.
            self.connected();
        }
        let why = match end {
            ListenEnd::Closed => return self.lost("the platform closed the connection"),
            ListenEnd::Replaced => "another connection took its place; is the same credential used elsewhere?".to_owned(),
            ListenEnd::Lost(error) => error.to_string(),
        };
        let lasted = self.lost(&why);
        if !std::mem::replace(&mut lock(&self.condition).logged, true) {
            tracing::warn!(
                channels = self.names(),
                reason = why,
                "presses of buttons do not arrive: the connection is opened again, with growing pauses"
            );
        }
        lasted
    }

    /// Another node listens from now on, or this one begins to.
    fn rest(&self) {
        let alarmed = {
            let mut condition = lock(&self.condition);
            (condition.connected, condition.since, condition.error, condition.logged) = (false, self.shared.clock.instant(), None, false);
            condition.alarmed.take()
        };
        self.show(false);
        if let Some(channel) = alarmed {
            self.shared.telemetry.raise(SelfAlert::resolved(SelfAlertKind::ListenerLost, &channel));
        }
    }

    /// It is of no more use: no channel has it.
    pub(super) fn retire(&self) {
        self.may.send_replace(false);
        self.rest();
    }

    fn alarm(&self) {
        let now = self.shared.clock.instant();
        let (channels, mut condition) = (self.channels(), lock(&self.condition));
        if condition.connected || condition.alarmed.is_some() || now.duration_since(condition.since) < ALARM_AFTER {
            return;
        }
        let Some(channel) = channels.first() else { return };
        condition.alarmed = Some(channel.clone());
        let why = condition.error.clone().unwrap_or_else(|| "the platform does not answer".to_owned());
        drop(condition);
        self.shared.telemetry.raise(SelfAlert::listener_lost(channel, channels.len() - 1, &why));
    }

    /// The metric of each channel; of none while another node listens.
    pub(super) fn show(&self, connected: bool) {
        let listens = self.may_listen();
        for channel in self.channels() {
            self.shared.telemetry.metrics.listener(&channel, listens.then_some(connected));
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        lock(&self.condition).connected
    }
}

/// Takes presses by the plan that is active when they come.
struct Current(Arc<Line>);

#[async_trait]
impl Presses for Current {
    async fn press(&self, press: Press) -> PressAnswer {
        // For a moment after a reload the line has the former name of a channel.
        let channel = self.0.channels().iter().find_map(|name| self.0.shared.current_channel(name));
        match channel {
            Some(channel) => (self.0.presses)(&channel).press(press).await,
            None => PressAnswer { text: "This channel is not configured any more.".into(), done: false },
        }
    }
}
