//! A channel that has another name or other credentials now, and lanes that become one because of it.

use uuid::Uuid;

use super::AlertReport;
use crate::model::{OutletKey, UnixMs};

/// Where the deliveries of a channel belong now.
#[derive(Debug, Clone)]
pub struct Relocation {
    /// The channel's name.
    pub channel: String,
    /// Its outlet.
    pub outlet: OutletKey,
    /// Who moves them.
    pub node: String,
    /// Now: leases of other nodes that end later are respected. The largest number where no other node can be at work.
    pub now: UnixMs,
}

/// The deliveries of `lane` that must get a new place, behind its last one and in this order, so that those of `twin` are among them as they were
/// accepted. Both are open deliveries by place. Ids grow with time, whatever the wall clock does, so they say what came first; within one lane the
/// order stays as it is.
pub fn merge_places(lane: &[Uuid], twin: &[Uuid]) -> Vec<Uuid> {
    let Some(first) = twin.first() else { return Vec::new() };
    let kept = lane.iter().position(|id| id > first).unwrap_or(lane.len());
    let (mut lane, mut twin) = (lane[kept..].iter().peekable(), twin.iter().peekable());
    let mut merged = Vec::with_capacity(lane.len() + twin.len());
    loop {
        let next = match (lane.peek(), twin.peek()) {
            (Some(ours), Some(theirs)) if ours > theirs => twin.next(),
            (Some(_), _) => lane.next(),
            (None, _) => twin.next(),
        };
        match next {
            Some(id) => merged.push(*id),
            None => return merged,
        }
    }
}

/// Deliveries of a lane that carried a firing alert, newest first, each named by the next one as what came before it; as far as they were read.
#[derive(Debug, Clone, Default)]
pub struct FiredChain {
    /// The first of them, whether it can be read or not.
    pub head: Option<Uuid>,
    /// Those that were read.
    pub ids: Vec<Uuid>,
    /// Whether nothing came before the last of them.
    pub ended: bool,
}

impl FiredChain {
    /// Deliveries that are read of a chain at most: more than anybody reads of a lane's past.
    pub const MAX: usize = 64;
}

/// The head that the lane which two lanes become is to have, and what is to be linked for it: a delivery, and what came before it. What either lane sent
/// must be found from there; what cannot be linked ends without an end, so that nobody takes it for all of the past.
pub fn join_chains(one: &FiredChain, two: &FiredChain) -> (Option<Uuid>, Option<(Uuid, Uuid)>) {
    let (Some(first), Some(second)) = (one.head, two.head) else { return (one.head.or(two.head), None) };
    if one.ids.contains(&second) {
        return (Some(first), None);
    }
    if two.ids.contains(&first) {
        return (Some(second), None);
    }
    let (newer, head, older) = if first > second { (one, first, second) } else { (two, second, first) };
    match newer.ids.last() {
        Some(tail) if newer.ended => (Some(head), Some((*tail, older))),
        _ => (Some(head), None),
    }
}

/// What is unresolved in either of two lanes that become one. Eight bytes each, oldest first.
pub fn merge_unresolved(lane: &[u8], twin: &[u8]) -> Vec<u8> {
    let fires = twin.chunks_exact(8).filter_map(|id| id.try_into().ok().map(u64::from_be_bytes)).collect();
    AlertReport { fires, ..AlertReport::default() }.apply(lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_become_one_in_the_order_in_which_their_deliveries_were_accepted() {
        let ids = |numbers: &[u128]| numbers.iter().map(|n| Uuid::from_u128(*n)).collect::<Vec<_>>();
        for (lane, twin, merged) in [
            (&[1, 2][..], &[3, 4][..], &[3, 4][..]),
            (&[1, 4], &[2, 3, 5], &[2, 3, 4, 5]),
            (&[3, 4], &[1, 2], &[1, 2, 3, 4]),
            (&[], &[1], &[1]),
            (&[1], &[], &[]),
            // What was put back at the end of its lane keeps its place in it.
            (&[2, 1], &[3], &[3]),
            (&[4], &[6, 1], &[6, 1]),
        ] {
            assert_eq!(merge_places(&ids(lane), &ids(twin)), ids(merged), "{lane:?} {twin:?}");
        }
    }

    #[test]
    fn what_either_lane_sent_is_found_from_the_lane_that_they_become() {
        let id = |n: u128| Uuid::from_u128(n);
        let chain = |ids: &[u128], ended| FiredChain { head: ids.first().map(|n| id(*n)), ids: ids.iter().map(|n| id(*n)).collect(), ended };
        let none = FiredChain::default();
        for (one, two, head, link) in [
            (none.clone(), none.clone(), None, None),
            (chain(&[1], true), none.clone(), Some(1), None),
            (none, chain(&[1], true), Some(1), None),
            (chain(&[5, 3], true), chain(&[4, 2], true), Some(5), Some((3, 4))),
            (chain(&[4, 2], true), chain(&[5, 3], true), Some(5), Some((3, 4))),
            // One leads to the other already.
            (chain(&[5, 4, 2], true), chain(&[4, 2], true), Some(5), None),
            (chain(&[6], true), chain(&[5, 6], true), Some(5), None),
            // Too long, or purged: the past is known to be incomplete anyway.
            (chain(&[5, 3], false), chain(&[4, 2], true), Some(5), None),
            (FiredChain { head: Some(id(9)), ..FiredChain::default() }, chain(&[4, 2], true), Some(9), None),
        ] {
            assert_eq!(join_chains(&one, &two), (head.map(id), link.map(|(from, to): (u128, u128)| (id(from), id(to)))), "{one:?} {two:?}");
        }
    }

    #[test]
    fn what_either_lane_has_unresolved_is_unresolved() {
        let ids = |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<_>>();
        assert_eq!(merge_unresolved(&ids(&[1, 2]), &ids(&[2, 3])), ids(&[1, 2, 3]));
        assert_eq!(merge_unresolved(&[], &ids(&[3])), ids(&[3]));
    }
}
