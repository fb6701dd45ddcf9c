//! Several nodes on one store: which are alive, which node owns which outlet, and leases.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::{OutletKey, hash_hex};
use crate::store::{NodeHeartbeat, NodeRow, StoreError};

use super::engine::Engine;
use super::outlet::supervise::Supervision;
use super::self_alert::{SelfAlert, SelfAlertKind};

/// How often a node shows that it is alive and renews its leases.
const NODE_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// How long the store may take for a heartbeat; a database that is silent for longer counts as unavailable.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// A node stops starting sends this long before its lease ends by its own monotonic clock, so that a send that has begun ends before another
/// node may own the outlet.
pub(super) const LEASE_SAFETY_MARGIN: Duration = Duration::from_secs(3);

/// Sends heartbeats until cancelled. During a stop it keeps renewing leases, so that in-flight messages can finish.
pub async fn run(engine: Arc<Engine>, cancel: CancellationToken) {
    let mut hints = engine.shared.store.subscribe();
    let mut supervision = Supervision::of("nodes", &engine.shared);
    while !supervision.run(heartbeats(&engine, &mut hints, &cancel), "", &cancel).await {}
}

async fn heartbeats(engine: &Engine, hints: &mut Option<tokio::sync::mpsc::Receiver<OutletKey>>, cancel: &CancellationToken) -> bool {
    let mut tick = tokio::time::interval(NODE_HEARTBEAT_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut differ = false;
    let mut left = false;
    let mut stop = engine.stop_signal();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            // Before its outlets are free, so that the others know whose they are when they are.
            Ok(()) = stop.changed(), if !left => left = deregister(engine).await,
            Some(outlet) = next(hints) => engine.request_poll(&outlet),
            _ = tick.tick() => {
                if engine.stopping() && !left {
                    left = deregister(engine).await;
                }
                let silent = || Err(StoreError::Unavailable("the database does not answer".into()));
                match tokio::time::timeout(STORE_TIMEOUT, heartbeat(engine, left)).await.unwrap_or_else(|_| silent()) {
                    Ok(nodes) => {
                        engine.shared.health.store_checked(&Ok(()));
                        compare_configurations(engine, &nodes, &mut differ);
                    }
                    Err(error) => engine.shared.health.request_failed(&error),
                }
            }
        }
    }
    if engine.stopping() && !left {
        deregister(engine).await;
    }
    true
}

/// Deregisters this node, so that the others take its outlets over without waiting for its lease to end.
async fn deregister(engine: &Engine) -> bool {
    engine.shared.node.set_leader(None);
    let left = tokio::time::timeout(STORE_TIMEOUT, engine.shared.store.deregister_node(&engine.shared.node.name)).await;
    left.is_ok_and(|left| left.is_ok())
}

async fn next(hints: &mut Option<tokio::sync::mpsc::Receiver<OutletKey>>) -> Option<OutletKey> {
    match hints {
        Some(hints) => hints.recv().await,
        None => std::future::pending().await,
    }
}

async fn heartbeat(engine: &Engine, left: bool) -> Result<Vec<NodeRow>, StoreError> {
    let shared = &engine.shared;
    let node = shared.node.name.to_string();
    let now = shared.clock.wall();
    let until = now + shared.node.lease;
    let asked = shared.clock.instant();
    let mut nodes = Vec::new();
    if !left {
        let plan = shared.plan.load().hash.to_string();
        let beat = NodeHeartbeat { node: node.clone(), plan, version: env!("CARGO_PKG_VERSION").into(), now, alive_until: until };
        nodes = shared.store.node_heartbeat(beat).await?;
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        engine.assign(&assigned_to(&shared.plan.load().outlets(), &shared.outlets.outlets(), &names, &node));
        shared.node.set_leader((names.first() == Some(&node.as_str())).then(|| asked + shared.node.lease));
    }
    let asked = shared.clock.instant();
    let owned = shared.store.renew_leases(&node, now, until).await?;
    engine.apply_renewal(&owned, asked + shared.node.lease - LEASE_SAFETY_MARGIN, asked);
    if !left {
        engine.refresh_mutes().await?;
        engine.shared.refresh_overrides().await?;
    }
    Ok(nodes)
}

/// The outlets that this node is to own. Outlets that only exist in an older plan are assigned separately; otherwise nodes with different plans would
/// disagree about all the others.
fn assigned_to(plan: &BTreeSet<OutletKey>, all: &BTreeSet<OutletKey>, nodes: &[&str], me: &str) -> HashSet<OutletKey> {
    let left: BTreeSet<OutletKey> = all.difference(plan).cloned().collect();
    let mut mine = assign(plan, nodes, me);
    mine.extend(assign(&left, nodes, me));
    mine
}

/// The outlets of one node: each outlet goes to the node that its hash prefers and that has room. All nodes compute the same result, no node has
/// more than its fair share, and a node that comes or goes moves few outlets.
fn assign(outlets: &BTreeSet<OutletKey>, nodes: &[&str], me: &str) -> HashSet<OutletKey> {
    let room = outlets.len().div_ceil(nodes.len().max(1));
    let mut taken: HashMap<&str, usize> = HashMap::new();
    let mut mine = HashSet::new();
    for outlet in outlets {
        let free = nodes.iter().copied().filter(|node| taken.get(node).copied().unwrap_or(0) < room);
        let Some(best) = free.max_by_key(|node| hash_hex(&[node, outlet.as_str()])) else { continue };
        *taken.entry(best).or_default() += 1;
        if best == me {
            mine.insert(outlet.clone());
        }
    }
    mine
}

/// Nodes with different plans send the same alert to different places: reported once, and again when it is resolved.
fn compare_configurations(engine: &Engine, nodes: &[NodeRow], differ: &mut bool) {
    let distinct: BTreeSet<&str> = nodes.iter().map(|node| node.plan.as_str()).collect();
    let now = distinct.len() > 1;
    if now != *differ && !nodes.is_empty() {
        *differ = now;
        let list: Vec<String> = nodes.iter().map(|node| format!("{} {}", node.name, node.plan.get(..8).unwrap_or(&node.plan))).collect();
        if now {
            tracing::error!(nodes = list.join(", "), "nodes have different configurations; give all of them the same routes.yaml and templates");
        } else {
            tracing::info!("all nodes have the same configuration again");
        }
        if engine.shared.is_leader() {
            engine.shared.telemetry.raise(if now {
                SelfAlert::config_mismatch(&list.join(", "))
            } else {
                SelfAlert::resolved(SelfAlertKind::ConfigMismatch, "")
            });
        }
    }
    engine.shared.telemetry.metrics.cluster(nodes.len(), distinct.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlets(n: usize) -> BTreeSet<OutletKey> {
        (0..n).map(|n| OutletKey::new("slack", &n.to_string())).collect()
    }

    #[test]
    fn outlets_are_shared_out_evenly_completely_and_once() {
        for (count, names) in [(1, vec!["a", "b", "c"]), (10, vec!["a"]), (10, vec!["a", "b", "c"]), (7, vec!["a", "b"])] {
            let all = outlets(count);
            let shares: Vec<HashSet<OutletKey>> = names.iter().map(|me| assign(&all, &names, me)).collect();
            assert_eq!(shares.iter().map(HashSet::len).sum::<usize>(), count);
            assert_eq!(shares.iter().flatten().collect::<HashSet<_>>().len(), count, "each belongs to one");
            assert!(shares.iter().all(|share| share.len() <= count.div_ceil(names.len())));
        }
    }

    #[test]
    fn outlets_that_only_some_nodes_still_have_leave_none_of_the_others_without_an_owner() {
        let plan = outlets(12);
        for n in 0..100 {
            let mut more = plan.clone();
            more.insert(OutletKey::new("gone", &n.to_string()));
            let (a, b) = (assigned_to(&plan, &more, &["a", "b"], "a"), assigned_to(&plan, &plan, &["a", "b"], "b"));
            assert!(plan.iter().all(|outlet| a.contains(outlet) != b.contains(outlet)), "each has one owner, leftover {n}");
        }
    }

    #[test]
    fn a_node_that_comes_moves_few_outlets() {
        let all = outlets(60);
        let before = assign(&all, &["a", "b"], "a");
        let after = assign(&all, &["a", "b", "c"], "a");
        let kept = after.intersection(&before).count();
        assert!(kept >= 14, "of 20, {kept} were its own before");
    }
}
