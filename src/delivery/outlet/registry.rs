//! The mailboxes of all outlets. It knows no worker: the registry reaches outlets, and nothing else.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use crate::delivery::lock::lock;
use crate::model::OutletKey;

use super::mailbox::{Command, Flag, Mailbox};

/// Mailboxes by outlet, and the commands of those whose worker does not run yet.
#[derive(Debug, Default)]
pub struct Registry {
    mailboxes: Mutex<HashMap<OutletKey, Arc<Mailbox>>>,
    pending: Mutex<HashMap<OutletKey, mpsc::Receiver<Command>>>,
    /// Channels that have another name or outlet now, each with the outlet of which something is still in flight. Its worker relocates them when that
    /// has ended, and nobody before. Without an outlet the reload that runs does.
    relocations: Mutex<BTreeSet<(Arc<str>, Option<OutletKey>)>>,
}

impl Registry {
    /// Makes a mailbox for an outlet that has none.
    pub fn register(&self, outlet: &OutletKey, assigned: bool) {
        let mut mailboxes = lock(&self.mailboxes);
        if mailboxes.contains_key(outlet) {
            return;
        }
        let (mailbox, queued) = Mailbox::new(assigned);
        lock(&self.pending).insert(outlet.clone(), queued);
        mailboxes.insert(outlet.clone(), Arc::new(mailbox));
    }

    /// The mailbox of an outlet.
    pub fn get(&self, outlet: &OutletKey) -> Option<Arc<Mailbox>> {
        lock(&self.mailboxes).get(outlet).cloned()
    }

    /// All outlets, sorted.
    pub fn outlets(&self) -> BTreeSet<OutletKey> {
        lock(&self.mailboxes).keys().cloned().collect()
    }

    /// All mailboxes.
    pub fn all(&self) -> Vec<(OutletKey, Arc<Mailbox>)> {
        lock(&self.mailboxes).iter().map(|(outlet, mailbox)| (outlet.clone(), mailbox.clone())).collect()
    }

    /// Whether the worker of an outlet does not run yet.
    pub fn is_pending(&self, outlet: &OutletKey) -> bool {
        lock(&self.pending).contains_key(outlet)
    }

    /// Takes the outlets whose workers are to be started, with what is queued for them.
    pub fn take_pending(&self) -> Vec<(OutletKey, Arc<Mailbox>, mpsc::Receiver<Command>)> {
        let pending = std::mem::take(&mut *lock(&self.pending));
        let mailboxes = lock(&self.mailboxes);
        pending.into_iter().filter_map(|(outlet, queued)| Some((outlet.clone(), mailboxes.get(&outlet)?.clone(), queued))).collect()
    }

    /// Closes the mailboxes of workers that never ran: their senders see that they are closed.
    pub fn close_pending(&self) {
        let pending = std::mem::take(&mut *lock(&self.pending));
        lock(&self.mailboxes).retain(|outlet, _| !pending.contains_key(outlet));
    }

    /// Sends a command to an outlet, if it is known.
    pub fn send(&self, outlet: &OutletKey, command: Command) {
        if let Some(mailbox) = self.get(outlet) {
            mailbox.send(command);
        }
    }

    /// Has the worker of an outlet poll the store, if it is known.
    pub fn poll(&self, outlet: &OutletKey) {
        if let Some(mailbox) = self.get(outlet) {
            mailbox.raise(Flag::Poll);
        }
    }

    /// Sends a command to every outlet.
    pub fn broadcast(&self, command: impl Fn() -> Command) {
        self.all().into_iter().for_each(|(_, mailbox)| mailbox.send(command()));
    }

    /// Has every worker look for messages to edit.
    pub fn edit_soon(&self) {
        self.all().into_iter().for_each(|(_, mailbox)| mailbox.raise(Flag::Edit));
    }

    /// Has the worker of an outlet relocate a channel when nothing is in flight any more.
    pub fn relocate_later(&self, channel: &Arc<str>, outlet: Option<&OutletKey>) {
        lock(&self.relocations).insert((channel.clone(), outlet.cloned()));
    }

    /// Whether the worker of another outlet than `outlet` is still to relocate that channel.
    pub fn is_relocated_later(&self, channel: &str, outlet: &OutletKey) -> bool {
        lock(&self.relocations).iter().any(|(name, by)| &**name == channel && by.as_ref().is_some_and(|by| by != outlet))
    }

    /// Whether somebody else than `by` (the worker of an outlet, or nobody) is still to relocate one of these channels.
    pub fn relocates(&self, names: &[&str], by: Option<&OutletKey>) -> bool {
        lock(&self.relocations).iter().any(|(name, outlet)| names.contains(&&**name) && (by.is_none() || outlet.as_ref() != by))
    }

    /// One of the channels that the worker of this outlet is to relocate.
    pub fn next_relocation(&self, outlet: &OutletKey) -> Option<Arc<str>> {
        lock(&self.relocations).iter().find(|(_, by)| by.as_ref() == Some(outlet)).map(|(name, _)| name.clone())
    }

    /// The worker of an outlet relocated a channel.
    pub fn relocated(&self, channel: &Arc<str>, outlet: &OutletKey) {
        lock(&self.relocations).remove(&(channel.clone(), Some(outlet.clone())));
    }

    /// What no worker was to relocate is relocated.
    pub fn relocated_at_once(&self) {
        lock(&self.relocations).retain(|(_, by)| by.is_some());
    }

    /// The channels that are still to be relocated. What has their new names must wait for what has the old ones.
    pub fn relocations(&self) -> Vec<Arc<str>> {
        lock(&self.relocations).iter().map(|(name, _)| name.clone()).collect()
    }
}
