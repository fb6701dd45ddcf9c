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
    fn what_either_lane_has_unresolved_is_unresolved() {
        let ids = |numbers: &[u64]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<_>>();
        assert_eq!(merge_unresolved(&ids(&[1, 2]), &ids(&[2, 3])), ids(&[1, 2, 3]));
        assert_eq!(merge_unresolved(&[], &ids(&[3])), ids(&[3]));
    }
}
