//! The mailboxes of all outlets. It knows no worker: whoever has the registry can reach an outlet, and nothing else.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use crate::delivery::lock::lock;
use crate::model::OutletKey;

use super::mailbox::{Command, Mailbox};

/// Mailboxes by outlet, and the commands of those whose worker does not run yet.
#[derive(Debug, Default)]
pub struct Registry {
    mailboxes: Mutex<HashMap<OutletKey, Arc<Mailbox>>>,
    pending: Mutex<HashMap<OutletKey, mpsc::Receiver<Command>>>,
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

    /// Closes the mailboxes of workers that never ran: whoever waits for them is told so.
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

    /// Sends a command to every outlet.
    pub fn broadcast(&self, command: impl Fn() -> Command) {
        self.all().into_iter().for_each(|(_, mailbox)| mailbox.send(command()));
    }
}
