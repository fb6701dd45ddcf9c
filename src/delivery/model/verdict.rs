//! What must hold at the end, whatever happened on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{DeliveryId, MessageId};
use crate::store::{DeliveryRow, State};

use super::World;
use super::platform::Wire;

pub fn check(world: &World, seed: u64) {
    for wire in world.wires.values() {
        let seen = wire.seen.lock().unwrap();
        assert!(seen.violations.is_empty(), "seed {seed}: {:#?}", seen.violations);
        drop(seen);
        in_order(world, wire, seed);
    }
}

/// Every acknowledged delivery is final; the sent ones were received, the others say why.
pub fn promises(world: &World, rows: &[DeliveryRow], seed_of_life: &str) {
    let by_id: BTreeMap<_, _> = rows.iter().map(|r| (r.id, r)).collect();
    let ledger = world.ledger.lock().unwrap();
    for (id, promise) in ledger.iter() {
        let row = by_id.get(id).unwrap_or_else(|| panic!("{seed_of_life}: {promise:?} was acknowledged and is not in the store"));
        assert!(row.state.is_final(), "{seed_of_life}: {promise:?} never ended: {row:#?}");
        let seen = world.wires[promise.channel].seen.lock().unwrap();
        let named = seen.arrivals.iter().any(|a| a.named.contains(&promise.uid));
        let covered = named || seen.arrivals.iter().any(|a| a.covered.contains(id));
        match row.state {
            State::Sent => {
                assert!(covered, "{seed_of_life}: {promise:?} is called sent and never arrived: {row:#?}");
                assert!(named || !promise.severe, "{seed_of_life}: {promise:?} was only counted: {row:#?}");
            }
            _ => {
                let reason = row.reason.as_deref().unwrap_or("");
                assert!(!reason.is_empty(), "{seed_of_life}: {promise:?} ended without a reason: {row:#?}");
                if promise.channel == "voice" {
                    let child = rows.iter().any(|r| r.fallback_of == Some(*id) && r.state.is_final());
                    assert!(child, "{seed_of_life}: {promise:?} is {} and did not fall back: {row:#?}", row.state.as_str());
                }
            }
        }
    }
}

/// Deliveries of a lane first arrive in its order, message after message; within a message the most severe come first.
fn in_order(world: &World, wire: &Arc<Wire>, seed: u64) {
    let ledger = world.ledger.lock().unwrap();
    let seen = wire.seen.lock().unwrap();
    let mut messages: Vec<(MessageId, String, BTreeSet<DeliveryId>)> = Vec::new();
    for arrival in &seen.arrivals {
        match messages.iter_mut().find(|(id, to, _)| *id == arrival.message && *to == arrival.recipient) {
            Some((_, _, covered)) => covered.extend(&arrival.covered),
            None => messages.push((arrival.message, arrival.recipient.clone(), arrival.covered.clone())),
        }
    }
    let mut newest: BTreeMap<(u64, &str), u64> = BTreeMap::new();
    let mut known: BTreeSet<(DeliveryId, &str)> = BTreeSet::new();
    for (id, recipient, covered) in &messages {
        let fresh: Vec<_> = covered.iter().filter(|d| known.insert((**d, recipient))).filter_map(|d| ledger.get(d)).filter(|p| !p.muted).collect();
        let lanes: BTreeSet<u64> = fresh.iter().map(|p| p.lane).collect();
        for lane in lanes {
            let places = || fresh.iter().filter(|p| p.lane == lane).map(|p| p.place);
            let top = newest.entry((lane, recipient)).or_default();
            let least = places().min().unwrap_or(0);
            assert!(least > *top, "seed {seed}: {}: lane {lane}: message {id} brings {least} after {top} for {recipient}", wire.name);
            *top = places().max().unwrap_or(0);
        }
    }
}
