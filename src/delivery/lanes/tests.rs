//! What memory holds, leaves to disk and finds again.

use super::*;
use crate::delivery::clock::Now;
use crate::delivery::policy;
use crate::delivery::testing::{alert, waiting};
use crate::model::{Status, UnixMs};

fn item(lane: i64, seq: i64) -> PendingDelivery {
    PendingDelivery { lane: LaneId(lane), ..waiting(seq, vec![alert("a", "critical", Status::Firing)]) }
}

fn muted(lane: i64, seq: i64, due_at: UnixMs) -> PendingDelivery {
    PendingDelivery { state: State::Deferred, due_at, ..item(lane, seq) }
}

fn head(id: i64, due_at: UnixMs) -> LaneSummary {
    LaneSummary { id: LaneId(id), channel: "ops".into(), key: String::new(), last_seq: 1, waiting: 1, rank: 0, due_at, since: UnixMs(0) }
}

fn seqs(taken: &TakenLane) -> Vec<i64> {
    taken.members.iter().map(|w| w.lane_seq).collect()
}

/// Lanes of an outlet, and the name of its channel.
struct Bench {
    lanes: Lanes,
    budget: Arc<MemoryBudget>,
    name: Arc<str>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::of(MemoryBudget::new(MEMORY_LIMIT))
    }

    fn of(budget: Arc<MemoryBudget>) -> Self {
        Self { lanes: Lanes::new(budget.clone()), budget, name: Arc::from("ops"), now: Instant::now() }
    }

    fn now(&self) -> Now {
        Now { mono: self.now, wall: UnixMs::EPOCH }
    }

    fn push(&mut self, waiting: PendingDelivery) {
        match self.budget.try_reserve(delivery_bytes(&waiting)) {
            Some(share) => self.lanes.push(waiting, share, &self.name, self.now()),
            None => self.mark_dirty(waiting.lane.0, waiting.rank),
        }
    }

    fn mark_dirty(&mut self, lane: i64, rank: i64) {
        self.lanes.mark_dirty(LaneId(lane), &self.name, rank, UnixMs(0), self.now);
    }

    fn take(&mut self, lane: i64) -> TakenLane {
        self.lanes.take(LaneId(lane), 100, self.now)
    }

    fn close(&mut self, lane: i64, read: Option<(i64, bool)>, back: Vec<PendingDelivery>) {
        let read = read.map(|(to, more)| ReadProgress { lane: LaneId(lane), to, more });
        self.lanes.release(LaneReturn { lane: LaneId(lane), read, put_back: back }, self.now());
    }

    fn load(&mut self, heads: Vec<LaneSummary>, all: bool) -> usize {
        self.lanes.load(heads, all, self.now(), |_| self.name.clone())
    }
}

#[test]
fn a_gap_or_an_unknown_past_sends_the_lane_to_disk() {
    let mut bench = Bench::new();
    bench.push(item(1, 1));
    bench.push(item(1, 3));
    bench.push(item(1, 2));
    let taken = bench.take(1);
    assert_eq!((seqs(&taken), taken.read_after), (vec![1], Some(1)), "3 came before 2: the rest is read in order");
    bench.close(1, Some((3, false)), vec![]);
    bench.push(item(1, 4));
    let taken = bench.take(1);
    assert_eq!((seqs(&taken), taken.read_after), (vec![4], None));
    bench.push(item(2, 7));
    assert_eq!(bench.take(2).read_after, Some(0), "what came before 7 may still wait");
}

#[test]
fn what_arrives_while_a_message_is_under_way_waits_for_it() {
    let mut bench = Bench::new();
    bench.push(item(1, 1));
    let mut back = bench.take(1).members;
    bench.push(item(1, 2));
    assert_eq!(bench.lanes.ready_count(), 0);
    back[0].due_at = UnixMs(1000);
    bench.close(1, None, back);
    let later = bench.now + Duration::from_secs(1);
    assert_eq!((bench.lanes.ready_count(), bench.lanes.next_timer()), (0, Some(later)), "the head's back-off holds the lane");
    bench.now = later;
    bench.lanes.advance(later);
    assert_eq!(seqs(&bench.take(1)), [1, 2]);
}

#[test]
fn lanes_on_disk_are_read_ahead_many_at_once() {
    let mut bench = Bench::new();
    bench.push(item(1, 1));
    assert!(bench.lanes.take_spilled(bench.now()).is_empty(), "what is in memory need not be read");
    bench.load((2..=100).map(|id| head(id, UnixMs(0))).collect(), true);
    let taken = bench.lanes.take_spilled(bench.now());
    assert_eq!(taken.len(), 64);
    assert_eq!(bench.lanes.ready_count(), 36, "they are in flight");
    for (lane, after) in taken {
        assert!(lane != LaneId(1) && after == 0);
        // One of them has more than is read at once; the last could not be read.
        let back = if lane == LaneId(65) { vec![] } else { vec![item(lane.0, 1)] };
        bench.close(lane.0, Some((back.len() as i64, back.is_empty() || lane == LaneId(64))), back);
    }
    assert_eq!(bench.lanes.ready_count(), 100);
    let (one, more, unread) = (bench.take(2), bench.take(64), bench.take(65));
    assert_eq!((seqs(&one), one.read_after), (vec![1], None), "nothing is left to read");
    assert_eq!((seqs(&more), more.read_after), (vec![1], Some(1)));
    assert_eq!((seqs(&unread), unread.read_after), (vec![], Some(0)));
    bench.push(item(2, 2));
    bench.close(2, None, vec![]);
    assert_eq!(seqs(&bench.take(2)), [2], "what came meanwhile follows");
}

#[test]
fn an_offer_refused_during_a_read_is_not_forgotten() {
    let mut bench = Bench::new();
    bench.mark_dirty(1, 0);
    assert_eq!(bench.take(1).read_after, Some(0));
    bench.push(item(1, 5));
    bench.close(1, Some((4, false)), vec![]);
    assert_eq!(bench.take(1).read_after, Some(4));
}

#[test]
fn after_lost_offers_every_known_lane_is_read_anew() {
    let mut bench = Bench::new();
    bench.push(item(1, 1));
    bench.push(item(2, 1));
    let open = bench.take(2);
    assert_eq!((seqs(&open), open.read_after), (vec![1], None));
    bench.lanes.invalidate_all(bench.now);
    let taken = bench.take(1);
    assert_eq!((seqs(&taken), taken.read_after), (vec![], Some(0)), "what was lost may be a change of what is in memory");
    bench.close(2, None, vec![]);
    assert_eq!(bench.take(2).read_after, Some(0), "also of a lane that had a message in flight");
}

/// A2: what was known of a lane must not outlive what is new.
#[test]
fn news_never_wait_for_what_is_muted() {
    let hour = 3_600_000;
    // Read from disk, and not due for an hour: one that is due comes.
    let mut bench = Bench::new();
    bench.load(vec![head(1, UnixMs(15_000))], true);
    assert_eq!(bench.lanes.ready_count(), 0);
    bench.push(item(1, 2));
    assert_eq!(bench.lanes.ready_count(), 1, "an offer");
    let mut bench = Bench::new();
    bench.load(vec![head(1, UnixMs(15_000))], true);
    bench.mark_dirty(1, 0);
    assert_eq!(bench.lanes.ready_count(), 1, "marked dirty");
    let mut bench = Bench::new();
    bench.load(vec![head(1, UnixMs(15_000))], true);
    bench.lanes.invalidate_all(bench.now);
    assert_eq!(bench.lanes.ready_count(), 1, "lost offers");
    // Another node accepted it, or a mute ended: only the store knows.
    let mut bench = Bench::new();
    bench.load(vec![head(1, UnixMs(15_000))], true);
    assert_eq!((bench.load(vec![head(1, UnixMs(0))], true), bench.lanes.ready_count()), (1, 1), "a poll");
    // Offered in this process.
    let mut bench = Bench::new();
    bench.push(muted(1, 1, UnixMs(hour)));
    assert_eq!(bench.lanes.len(), 0, "what is muted for long takes no room");
    bench.push(item(1, 2));
    assert_eq!((bench.lanes.ready_count(), bench.take(1).read_after), (1, Some(0)));
    // While the lane sends, and read together with what is due: the muted one stays on disk, and the lane is free for what follows.
    bench.push(muted(1, 3, UnixMs(hour)));
    bench.close(1, Some((2, false)), vec![]);
    bench.push(muted(1, 4, UnixMs(hour)));
    bench.push(item(1, 5));
    assert_eq!(bench.lanes.ready_count(), 1);
}

#[test]
fn what_is_muted_is_read_when_it_is_due_whatever_else_waits() {
    let mut bench = Bench::new();
    bench.push(item(1, 1));
    bench.push(muted(1, 2, UnixMs(5_000)));
    let mut back = bench.take(1).members;
    back[0].due_at = UnixMs(60_000);
    bench.close(1, None, back);
    let due = bench.now + Duration::from_secs(5);
    assert_eq!(bench.lanes.next_timer(), Some(due), "a head that waits for its next try does not hold it back");
    bench.now = due;
    bench.lanes.advance(due);
    let taken = bench.take(1);
    assert_eq!((seqs(&taken), taken.read_after, bench.lanes.bytes()), (vec![], Some(0), 0), "all of it from disk, once");
    // The store did not answer: it is read again, not taken for gone.
    bench.close(1, Some((0, true)), vec![]);
    assert_eq!(bench.take(1).read_after, Some(0));
}

/// What is deferred after the wall clock was set back waits until then: due before its birth is not due now, or it would be deferred endlessly.
#[test]
fn what_is_deferred_after_the_clock_was_set_back_waits() {
    let mut bench = Bench::new();
    bench.push(PendingDelivery { born_at: UnixMs(3_600_000), due_at: UnixMs(3_600_000), ..item(1, 1) });
    let mut taken = bench.take(1).members;
    assert_eq!(taken.len(), 1, "what was due at its birth is due");
    (taken[0].state, taken[0].due_at) = (State::Deferred, UnixMs(600_000));
    bench.close(1, None, taken);
    assert_eq!((bench.lanes.ready_count(), bench.lanes.next_timer()), (0, Some(bench.now + Duration::from_secs(600))));
}

/// A3: what waits in a lane in flight is stale, too.
#[test]
fn what_was_changed_by_hand_is_read_anew_when_the_message_is_done() {
    let mut bench = Bench::new();
    bench.push(item(1, 1));
    bench.push(item(1, 2));
    let mut taken = bench.lanes.take(LaneId(1), 1, bench.now);
    bench.lanes.evict_all();
    assert!(bench.lanes.due_soon(bench.now).contains(&LaneId(1)), "it sends");
    taken.members[0].due_at = UnixMs(120_000);
    bench.close(1, None, taken.members);
    assert_eq!((bench.lanes.ready_count(), bench.lanes.bytes()), (1, 0));
    let taken = bench.take(1);
    assert_eq!((seqs(&taken), taken.read_after), (vec![], Some(0)));
}

#[test]
fn lanes_of_a_channel_that_is_muted_by_hand_take_no_room() {
    let mut bench = Bench::new();
    let other: Arc<str> = Arc::from("dba");
    bench.push(item(1, 1));
    bench.lanes.mark_dirty(LaneId(2), &other, 0, UnixMs(0), bench.now);
    bench.lanes.evict_channel("ops");
    assert_eq!((bench.lanes.len(), bench.lanes.first_ready(|_| true).map(|(id, _)| id)), (1, Some(LaneId(2))));
}

#[test]
fn severe_lanes_push_lesser_ones_back_to_disk_when_memory_is_full() {
    let mut bench = Bench::new();
    bench.lanes.complete = true;
    for lane in 0..MAX_LANES as i64 {
        bench.mark_dirty(lane, 3);
    }
    bench.mark_dirty(-1, 0);
    assert_eq!(bench.lanes.len(), MAX_LANES);
    assert_eq!(bench.lanes.first_ready(|_| true).map(|(id, _)| id), Some(LaneId(-1)));
    assert!(!bench.lanes.complete);
}

#[test]
fn what_is_left_behind_during_a_look_asks_for_another() {
    let mut bench = Bench::new();
    bench.lanes.complete = true;
    for lane in 0..MAX_LANES as i64 {
        bench.push(item(lane, 1));
    }
    assert!(!bench.lanes.overflowed);
    bench.push(item(77_777, 1));
    assert!(bench.lanes.overflowed && !bench.lanes.complete);
    // A look that began before has not seen it; that it found nothing new must not end the search.
    assert_eq!(bench.load(Vec::new(), true), 0);
    assert!(!bench.lanes.complete);
    // A full memory whose lanes are done makes room for what a poll finds, although as many are in memory as before.
    for lane in 0..MAX_LANES as i64 {
        bench.lanes.take(LaneId(lane), 1, bench.now);
    }
    bench.lanes.overflowed = false;
    for lane in 0..MAX_LANES as i64 / 2 {
        bench.close(lane, None, vec![]);
    }
    assert_eq!(bench.load(vec![head(77_777, UnixMs(0))], true), 1);
    assert!(bench.lanes.complete);
}

#[test]
fn lanes_that_wait_for_later_give_way_to_one_that_can_send_now() {
    let mut bench = Bench::new();
    bench.load((0..MAX_LANES as i64).map(|id| head(id, UnixMs(15_000))).collect(), false);
    assert_eq!((bench.lanes.len(), bench.lanes.ready_count(), bench.lanes.due_soon(bench.now).len()), (MAX_LANES, 0, MAX_LANES));
    bench.load(vec![head(9_999, UnixMs(0))], false);
    assert_eq!((bench.lanes.len(), bench.lanes.first_ready(|_| true).map(|(id, _)| id)), (MAX_LANES, Some(LaneId(9_999))));
    bench.load(vec![head(10_000, UnixMs(15_000))], false);
    assert!(!bench.lanes.due_soon(bench.now).contains(&LaneId(10_000)), "what can only send later drives nobody out");
}

#[test]
fn a_damaged_due_time_is_clamped() {
    let mut bench = Bench::new();
    bench.push(PendingDelivery { due_at: UnixMs::MAX, ..item(1, 1) });
    assert_eq!(bench.lanes.next_timer(), Some(bench.now + policy::MAX_BACKOFF));
    assert!(policy::MAX_BACKOFF.as_millis() as i64 <= crate::store::MAX_RETRY_DELAY_MS, "the store takes what lies further ahead for due");
    bench.load(vec![head(2, UnixMs::MAX)], true);
    assert_eq!(bench.lanes.ready_count(), 1, "the store says that it is due");
}

/// Fills outlets with deliveries until nothing more is taken into memory, then empties them; returns the most bytes that were in use.
fn fill(outlets: usize, alerts: usize) -> usize {
    let budget = MemoryBudget::new(MEMORY_LIMIT);
    let mut benches: Vec<Bench> = (0..outlets).map(|_| Bench::of(budget.clone())).collect();
    let mut most = 0;
    let big = waiting(1, (0..alerts).map(|n| alert(&format!("alert{n}"), "warning", Status::Firing)).collect());
    let rounds = 2 * MEMORY_LIMIT / outlets / delivery_bytes(&big) + 70;
    for round in 0..rounds.min(6000) {
        for bench in &mut benches {
            bench.push(PendingDelivery { lane: LaneId(round as i64), ..big.clone() });
        }
        most = most.max(budget.used());
    }
    let held: usize = benches.iter().map(|bench| bench.lanes.bytes() + bench.lanes.len() * LANE_BYTES).sum();
    assert_eq!(held, budget.used(), "every byte in use is some lane's");
    for bench in &mut benches {
        assert!(bench.lanes.bytes() <= MAX_BYTES);
        // In flight with its memory, or evicted: both release it.
        if let Some((id, _)) = bench.lanes.first_ready(|_| true) {
            drop(bench.lanes.take(id, 100, bench.now));
            bench.lanes.release(LaneReturn { lane: id, read: None, put_back: vec![item(id.0, 1)] }, bench.now());
        }
        bench.lanes.evict_all();
        assert_eq!((bench.lanes.bytes(), bench.lanes.len()), (0, 0));
    }
    assert_eq!(budget.used(), 0);
    most
}

#[test]
fn what_waits_in_memory_keeps_within_one_budget_over_any_number_of_outlets() {
    for (outlets, alerts) in [(8, 3), (64, 3), (500, 3), (64, 100)] {
        let most = fill(outlets, alerts);
        // A few lanes of each are held whatever is left.
        assert!(most <= MEMORY_LIMIT + outlets * MIN_LANES * LANE_BYTES, "{outlets} outlets: {most}");
        assert!(most > MEMORY_LIMIT.min(outlets * MAX_BYTES) / 3, "{outlets} outlets: {most}: memory is used");
    }
}

#[test]
fn lanes_of_which_nothing_waits_give_way_when_memory_is_short() {
    let budget = MemoryBudget::new(400 * LANE_BYTES);
    let mut bench = Bench::of(budget.clone());
    for lane in 0..100 {
        bench.push(item(lane, 1));
        bench.take(lane);
        bench.close(lane, None, vec![]);
    }
    bench.lanes.evict_empty();
    assert_eq!(bench.lanes.len(), 100, "kept while there is room: what follows need not be read");
    let _others = budget.reserve(300 * LANE_BYTES);
    bench.lanes.evict_empty();
    assert_eq!(bench.lanes.len(), 0);
    bench.push(item(1, 2));
    assert_eq!(bench.take(1).read_after, Some(0));
    bench.close(1, Some((2, false)), vec![]);
    assert_eq!(bench.lanes.len(), 0);
}

#[test]
fn what_goes_back_and_does_not_fit_waits_on_disk() {
    let budget = MemoryBudget::new(100_000);
    let mut bench = Bench::of(budget.clone());
    bench.push(item(1, 1));
    let mut taken = bench.take(1);
    let _all = budget.reserve(200_000);
    taken.members[0].due_at = UnixMs(60_000);
    drop(taken.reservations);
    bench.close(1, None, taken.members);
    assert_eq!((bench.lanes.bytes(), bench.lanes.next_timer()), (0, Some(bench.now + Duration::from_secs(60))));
    bench.push(item(1, 2));
    bench.now += Duration::from_secs(60);
    bench.lanes.advance(bench.now);
    assert_eq!(bench.take(1).read_after, Some(0), "in its order, with what came after it");
}

/// The weights against an allocator's own count would need one of ours; they are held to what the parts take by their sizes.
#[test]
fn a_weight_counts_every_text_and_map() {
    let mut event = crate::delivery::testing::event(vec![alert("a", "critical", Status::Firing)]);
    let before = event_bytes(&event);
    event.alerts[0].annotations.insert("description".into(), "x".repeat(5000));
    event.common_labels.insert("cluster".into(), "y".repeat(3000));
    event.external_url = "z".repeat(2000);
    event.alerts[0].value_string = "v".repeat(1000);
    event.alerts[0].values.insert("A".into(), 1.0);
    event.extra.insert("appVersion".into(), serde_json::json!(["w".repeat(2000)]));
    let grown = event_bytes(&event) - before;
    assert!((13_000..17_000).contains(&grown), "{grown}");
    assert!(before > 1200, "{before}: an alert with two labels takes more than its text");
}
