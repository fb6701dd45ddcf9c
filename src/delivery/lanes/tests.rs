//! What memory holds, leaves to disk and finds again.

use super::*;
use crate::delivery::testing::{alert, waiting};
use crate::model::Status;

fn item(lane: i64, seq: i64) -> Waiting {
    Waiting { lane: LaneId(lane), ..waiting(seq, vec![alert("a", "critical", Status::Firing)]) }
}

fn seqs(taken: &Taken) -> Vec<i64> {
    taken.members.iter().map(|w| w.lane_seq).collect()
}

#[test]
fn a_gap_or_an_unknown_past_sends_the_lane_to_disk() {
    let (now, name) = (Instant::now(), Arc::from("ops"));
    let mut lanes = Lanes::default();
    lanes.offer(item(1, 1), &name, now, 0);
    lanes.offer(item(1, 3), &name, now, 0);
    lanes.offer(item(1, 2), &name, now, 0);
    let taken = lanes.take(LaneId(1), 100, now);
    assert_eq!((seqs(&taken), taken.read_after), (vec![1], Some(1)), "3 came before 2: the rest is read in order");
    lanes.close(LaneId(1), Some(Read { lane: LaneId(1), to: 3, more: false }), vec![], now, 0);
    lanes.offer(item(1, 4), &name, now, 0);
    let taken = lanes.take(LaneId(1), 100, now);
    assert_eq!((seqs(&taken), taken.read_after), (vec![4], None));
    lanes.offer(item(2, 7), &name, now, 0);
    assert_eq!(lanes.take(LaneId(2), 100, now).read_after, Some(0), "what came before 7 may still wait");
}

#[test]
fn what_arrives_while_a_message_is_under_way_waits_for_it() {
    let (now, name) = (Instant::now(), Arc::from("ops"));
    let mut lanes = Lanes::default();
    lanes.offer(item(1, 1), &name, now, 0);
    let taken = lanes.take(LaneId(1), 100, now);
    lanes.offer(item(1, 2), &name, now, 0);
    assert_eq!(lanes.ready_len(), 0);
    let mut back = taken.members;
    back[0].due_at = 1000;
    lanes.close(LaneId(1), None, back, now, 0);
    assert_eq!((lanes.ready_len(), lanes.next_timer()), (0, Some(now + Duration::from_secs(1))), "the head's back-off holds the lane");
    let later = now + Duration::from_secs(1);
    lanes.tick(later);
    assert_eq!(seqs(&lanes.take(LaneId(1), 100, later)), [1, 2]);
}

#[test]
fn an_offer_refused_during_a_read_is_not_forgotten() {
    let (now, name) = (Instant::now(), Arc::from("ops"));
    let mut lanes = Lanes::default();
    lanes.poke(LaneId(1), &name, 0, 0, now);
    assert_eq!(lanes.take(LaneId(1), 100, now).read_after, Some(0));
    lanes.offer(item(1, 5), &name, now, 0);
    lanes.close(LaneId(1), Some(Read { lane: LaneId(1), to: 4, more: false }), vec![], now, 0);
    assert_eq!(lanes.take(LaneId(1), 100, now).read_after, Some(4));
}

#[test]
fn after_lost_offers_every_known_lane_is_read_again() {
    let (now, name) = (Instant::now(), Arc::from("ops"));
    let mut lanes = Lanes::default();
    lanes.offer(item(1, 1), &name, now, 0);
    lanes.offer(item(2, 1), &name, now, 0);
    let open = lanes.take(LaneId(2), 100, now);
    assert_eq!((seqs(&open), open.read_after), (vec![1], None));
    lanes.doubt(now);
    assert_eq!(lanes.take(LaneId(1), 100, now).read_after, Some(1), "its second delivery may be one of those that were lost");
    lanes.close(LaneId(2), None, vec![], now, 0);
    assert_eq!(lanes.take(LaneId(2), 100, now).read_after, Some(1), "also of a lane that had a message under way");
}

#[test]
fn muted_deliveries_do_not_hold_back_others() {
    let (now, name) = (Instant::now(), Arc::from("ops"));
    let mut lanes = Lanes::default();
    lanes.offer(Waiting { state: State::Deferred, due_at: 9_000_000, ..item(1, 1) }, &name, now, 0);
    lanes.offer(item(1, 2), &name, now, 0);
    assert_eq!(seqs(&lanes.take(LaneId(1), 100, now)), [2]);
}

#[test]
fn what_resolved_while_muted_goes_with_what_fired() {
    let (now, name) = (Instant::now(), Arc::from("ops"));
    let mut lanes = Lanes::default();
    let muted = |seq: i64, firing: u32, due_at: i64| Waiting { state: State::Deferred, due_at, firing, ..item(1, seq) };
    lanes.offer(muted(1, 1, 3_000), &name, now, 0);
    lanes.offer(muted(2, 0, 3_001), &name, now, 0);
    lanes.offer(muted(3, 1, 9_000), &name, now, 0);
    let end = now + Duration::from_secs(3);
    lanes.tick(end);
    assert_eq!(seqs(&lanes.take(LaneId(1), 100, end)), [1, 2], "a millisecond must not part them");
}

#[test]
fn severe_lanes_push_lesser_ones_back_to_disk_when_memory_is_full() {
    let (now, name) = (Instant::now(), Arc::from("ops"));
    let mut lanes = Lanes { complete: true, ..Lanes::default() };
    for lane in 0..MAX_LANES as i64 {
        lanes.poke(LaneId(lane), &name, 3, 0, now);
    }
    lanes.poke(LaneId(-1), &name, 0, 0, now);
    assert_eq!(lanes.held(), MAX_LANES);
    assert_eq!(lanes.first(|_| true).map(|(id, _)| id), Some(LaneId(-1)));
    assert!(!lanes.complete);
}

#[test]
fn what_is_left_behind_during_a_look_asks_for_another() {
    let (now, name): (_, Arc<str>) = (Instant::now(), Arc::from("ops"));
    let mut lanes = Lanes { complete: true, ..Lanes::default() };
    for lane in 0..MAX_LANES as i64 {
        lanes.offer(item(lane, 1), &name, now, 0);
    }
    assert!(!lanes.left);
    lanes.offer(item(77_777, 1), &name, now, 0);
    assert!(lanes.left && !lanes.complete);
    // A look that began before has not seen it; that it found nothing new must not end the search.
    assert_eq!(lanes.load(Vec::new(), true, now, 0, |_| name.clone()), 0);
    assert!(!lanes.complete);
    // A full memory whose lanes are done makes room for what a look brings: news, although as many are held as before.
    for lane in 0..MAX_LANES as i64 {
        lanes.take(LaneId(lane), 1, now);
    }
    lanes.left = false;
    for lane in 0..MAX_LANES as i64 / 2 {
        lanes.close(LaneId(lane), None, vec![], now, 0);
    }
    let head = LaneHead { id: LaneId(77_777), channel: "ops".into(), key: String::new(), last_seq: 1, waiting: 1, rank: 0, due_at: 0, since: 0 };
    assert_eq!(lanes.load(vec![head], true, now, 0, |_| name.clone()), 1);
    assert!(lanes.complete);
}

#[test]
fn lanes_that_wait_for_later_give_way_to_one_that_can_send_now() {
    let (now, name): (_, Arc<str>) = (Instant::now(), Arc::from("ops"));
    let mut lanes = Lanes::default();
    let head = |id: i64, due_at: i64| LaneHead {
        id: LaneId(id),
        channel: "ops".into(),
        key: String::new(),
        last_seq: 1,
        waiting: 1,
        rank: 0,
        due_at,
        since: 0,
    };
    lanes.load((0..MAX_LANES as i64).map(|id| head(id, 3_600_000)).collect(), false, now, 0, |_| name.clone());
    assert_eq!((lanes.held(), lanes.ready_len(), lanes.known().len()), (MAX_LANES, 0, MAX_LANES));
    lanes.load(vec![head(9_999, 0)], false, now, 0, |_| name.clone());
    assert_eq!((lanes.held(), lanes.first(|_| true).map(|(id, _)| id)), (MAX_LANES, Some(LaneId(9_999))));
    lanes.load(vec![head(10_000, 3_600_000)], false, now, 0, |_| name.clone());
    assert!(!lanes.known().contains(&LaneId(10_000)), "what can only send later drives nobody out");
}

#[test]
fn a_damaged_due_time_is_clamped() {
    let (now, name) = (Instant::now(), Arc::from("ops"));
    let mut lanes = Lanes::default();
    lanes.offer(Waiting { due_at: i64::MAX, ..item(1, 1) }, &name, now, 0);
    assert_eq!(lanes.next_timer(), Some(now + policy::CAP));
}
