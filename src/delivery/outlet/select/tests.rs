//! What is started next, case by case.

use std::time::Duration;

use super::*;
use crate::channel::Limit;
use crate::delivery::clock::Now;
use crate::delivery::direct::Caller;
use crate::delivery::lanes::{MEMORY_LIMIT, MemoryBudget};
use crate::delivery::outlet::gate::Verdict;
use crate::delivery::pending::Phase;
use crate::delivery::testing::{alert, waiting};
use crate::model::{DeliveryId, ErrorKind, SendError, Status, UnixMs};
use crate::store::PendingDelivery;
use crate::template::MessageKind;

/// Every channel may start but the first ones named, is enabled but the others, and merges after half a minute.
struct All(Vec<&'static str>, Vec<&'static str>);

impl Channels for All {
    fn may_start(&self, channel: &str) -> bool {
        !self.0.contains(&channel)
    }

    fn is_disabled(&self, channel: &str) -> bool {
        self.1.contains(&channel)
    }

    fn counted(&self, _: &PendingMessage) -> Counted {
        Counted::Outlet
    }

    fn counted_of(&self, _: &str) -> Counted {
        Counted::Outlet
    }

    fn digest_after(&self, _: &str) -> Option<Duration> {
        Some(Duration::from_secs(30))
    }
}

/// A queue, and what else bears on the choice.
struct Bench {
    queue: Queue,
    channels: All,
    gate: Gate,
    rate: RateLimiter,
    conditions: Conditions,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        let mut lanes = Lanes::new(MemoryBudget::new(MEMORY_LIMIT));
        lanes.complete = true;
        Self {
            queue: Queue::new(lanes),
            channels: All(Vec::new(), Vec::new()),
            gate: Gate::new(now),
            rate: RateLimiter::new(&[]),
            conditions: Conditions { room: true, ..Conditions::default() },
            now,
        }
    }

    /// A lane of a channel whose first delivery was just accepted.
    fn lane(&mut self, lane: i64, channel: &'static str, severity: i64) -> DeliveryId {
        let member =
            PendingDelivery { lane: LaneId(lane), rank: severity, channel: channel.into(), ..waiting(1, vec![alert("a", "info", Status::Firing)]) };
        let id = member.id;
        let share = MemoryBudget::new(MEMORY_LIMIT).try_reserve(100).expect("room");
        self.queue.lanes.push(member, share, &Arc::from(channel), Now { mono: self.now, wall: UnixMs::EPOCH });
        id
    }

    fn message(&self, due_in: u64) -> PendingMessage {
        let member = waiting(1, vec![alert("a", "info", Status::Firing)]);
        let mut message = PendingMessage::from_lanes("ops".into(), MessageKind::Single, Vec::new(), Now { mono: self.now, wall: UnixMs::EPOCH });
        message.members.push(member);
        message.due = self.now + Duration::from_secs(due_in);
        message
    }

    fn direct(&self) -> PendingMessage {
        let caller = Caller { deadline: self.now + Duration::from_secs(10), answer: None, results: Vec::new() };
        PendingMessage { caller: Some(caller), ..self.message(0) }
    }

    /// Ten a minute, of which so many were sent just now.
    fn limited(&mut self, sent: usize) {
        self.rate = RateLimiter::new(&[Limit { count: 10, window: Duration::from_secs(60) }]);
        self.rate.restore(std::iter::repeat_n(self.now, sent));
    }

    fn select(&self) -> Work {
        select(&self.queue, &self.channels, &self.gate, &self.rate, self.conditions, self.now)
    }
}

fn nothing() -> Work {
    Work::Nothing { until: None, held_back: false }
}

#[test]
fn direct_sends_come_first_then_what_was_begun_then_parts_then_lanes() {
    let mut bench = Bench::new();
    assert_eq!(bench.select(), nothing());
    bench.lane(7, "ops", 0);
    assert_eq!(bench.select(), Work::Single(LaneId(7), "ops".into()));
    bench.queue.parts.push_back(("ops".into(), vec![LaneId(3)]));
    assert_eq!(bench.select(), Work::Part);
    bench.queue.begun = vec![bench.message(60), bench.message(0)];
    assert_eq!(bench.select(), Work::Continue(1), "the first is not due");
    bench.queue.direct.push_back(bench.direct());
    assert_eq!(bench.select(), Work::Direct(0));
    bench.conditions.room = false;
    assert_eq!(bench.select(), nothing(), "the end of what is in flight makes room");
}

#[test]
fn callers_that_never_pause_keep_no_alert_waiting() {
    let mut bench = Bench::new();
    bench.limited(0);
    for lane in 1..=3 {
        bench.lane(lane, "ops", 0);
    }
    bench.queue.direct.extend([bench.direct(), bench.direct()]);
    let turn = |bench: &mut Bench, in_row| {
        bench.conditions.direct_in_row = in_row;
        bench.select()
    };
    assert_eq!(turn(&mut bench, MAX_DIRECT_IN_ROW - 1), Work::Direct(0));
    assert_eq!(turn(&mut bench, MAX_DIRECT_IN_ROW), Work::Single(LaneId(1), "ops".into()), "also where lanes are spread over the window");
    bench.rate.begin(bench.now, &Counted::Outlet);
    assert!(matches!(turn(&mut bench, MAX_DIRECT_IN_ROW), Work::Single(..)), "the next one would have to wait, and takes the slot that is there");
    bench.channels.0 = vec!["ops"];
    assert_eq!(turn(&mut bench, MAX_DIRECT_IN_ROW), Work::Direct(0), "nothing else may start");
    // While memory waits to be read again nothing else may start, and callers may not put that off without end.
    bench.conditions.direct_only = true;
    assert_eq!(turn(&mut bench, MAX_DIRECT_BEFORE_RESYNC - 1), Work::Direct(0));
    assert_eq!(turn(&mut bench, MAX_DIRECT_BEFORE_RESYNC), nothing());
}

#[test]
fn the_most_severe_lane_goes_first_and_a_channel_that_may_not_start_holds_back_none() {
    let mut bench = Bench::new();
    bench.lane(1, "muted", 0);
    bench.lane(2, "ops", 2);
    bench.lane(3, "ops", 1);
    bench.channels.0 = vec!["muted"];
    assert_eq!(bench.select(), Work::Single(LaneId(3), "ops".into()));
    bench.channels.0 = vec!["muted", "ops"];
    assert_eq!(bench.select(), nothing());
}

#[test]
fn a_paused_outlet_starts_nothing_and_a_suspended_one_direct_sends() {
    let mut bench = Bench::new();
    bench.lane(1, "ops", 0);
    bench.queue.begun.push(bench.message(0));
    bench.gate.ended(&[Verdict::Misconfigured(Some("401".into()))], &[], false, bench.now);
    assert_eq!(bench.select(), nothing());
    bench.queue.direct.push_back(bench.direct());
    assert_eq!(bench.select(), Work::Direct(0));
    let end = bench.now + Duration::from_secs(5);
    bench.gate.pause(end);
    assert_eq!(bench.select(), Work::Nothing { until: Some(end), held_back: false });
}

#[test]
fn the_trial_of_a_suspended_outlet_is_one_message_and_not_the_one_that_was_refused() {
    let mut bench = Bench::new();
    let refused = bench.lane(1, "ops", 0);
    bench.lane(2, "ops", 3);
    bench.gate.ended(&[Verdict::Misconfigured(Some("400".into()))], &[refused], false, bench.now);
    bench.now += Duration::from_secs(5);
    assert!(bench.gate.starts_probe(bench.now));
    bench.gate.probed(&crate::channel::Probe::Unsupported, false, bench.now);
    assert_eq!(bench.select(), Work::Single(LaneId(2), "ops".into()), "the other one, although it is less severe");
    bench.conditions.in_flight = 1;
    assert_eq!(bench.select(), nothing(), "one at a time");
}

/// Its credentials were revoked, say, and somebody disabled it: nothing is asked of the platform.
#[test]
fn what_waits_on_a_disabled_channel_ends_while_its_outlet_is_suspended() {
    let mut bench = Bench::new();
    bench.lane(1, "dev", 0);
    bench.lane(2, "ops", 3);
    bench.queue.begun = vec![bench.direct(), bench.message(60)];
    bench.gate.ended(&[Verdict::Misconfigured(Some("401".into()))], &[], false, bench.now);
    assert_eq!(bench.select(), nothing());
    bench.channels.1.push("ops");
    assert_eq!(bench.select(), Work::Single(LaneId(2), "ops".into()));
    bench.queue.parts.push_back(("ops".into(), vec![LaneId(3)]));
    assert_eq!(bench.select(), Work::Part);
    bench.queue.begun[1].due = bench.now;
    assert_eq!(bench.select(), Work::Continue(1), "not the direct send");
    bench.queue.begun[1].due += Duration::from_secs(60);
    (bench.channels.0, bench.queue.parts) = (vec!["ops"], VecDeque::new());
    assert_eq!(bench.select(), Work::Nothing { until: Some(bench.now + Duration::from_secs(60)), held_back: false }, "it is muted by hand");
}

#[test]
fn what_memory_no_longer_knows_lets_only_callers_through() {
    let mut bench = Bench::new();
    bench.conditions.direct_only = true;
    bench.lane(1, "ops", 0);
    bench.queue.begun.push(bench.message(0));
    assert_eq!(bench.select(), nothing());
    bench.queue.begun.push(bench.direct());
    assert_eq!(bench.select(), Work::Continue(1), "a direct send between two of its recipients");
}

#[test]
fn the_rate_limit_says_when_and_a_queue_that_is_too_long_becomes_a_digest() {
    let mut bench = Bench::new();
    bench.limited(10);
    bench.lane(1, "ops", 0);
    let Work::Nothing { until: Some(at), held_back: true } = bench.select() else { panic!("{:?}", bench.select()) };
    assert!((59..=63).contains(&(at - bench.now).as_secs()), "{:?}", at - bench.now);
    bench.limited(0);
    for lane in 2..=4 {
        bench.lane(lane, "ops", 0);
    }
    assert!(matches!(bench.select(), Work::Single(..)), "four leave within half a minute: {:?} {}", bench.select(), bench.rate.rate());
    bench.lane(5, "ops", 0);
    let Work::Digest(channel, lanes) = bench.select() else { panic!("{:?}", bench.select()) };
    assert_eq!((&*channel, lanes.len()), ("ops", 5));
}

#[test]
fn short_memory_begins_one_message_at_a_time() {
    let mut bench = Bench::new();
    bench.conditions.memory_short = true;
    bench.lane(1, "ops", 0);
    assert!(matches!(bench.select(), Work::Single(..)));
    bench.conditions.in_flight = 1;
    assert_eq!(bench.select(), Work::Nothing { until: None, held_back: true });
}

#[test]
fn what_a_crash_left_nothing_to_send_of_ends_whatever_the_rate_limit_says() {
    let mut bench = Bench::new();
    bench.limited(10);
    let mut ended = bench.message(0);
    bench.queue.begun.push(bench.message(0));
    assert!(matches!(bench.select(), Work::Nothing { until: Some(_), .. }), "it has something to send");
    ended.phase = Phase::Stored { pages: None, begun: None };
    bench.queue.begun.push(ended);
    assert_eq!(bench.select(), Work::Continue(1));
}

#[test]
fn nothing_says_when_what_was_begun_is_due() {
    let mut bench = Bench::new();
    bench.queue.begun = vec![bench.message(9), bench.message(4)];
    assert_eq!(bench.select(), Work::Nothing { until: Some(bench.now + Duration::from_secs(4)), held_back: false });
}

#[test]
fn what_waits_is_one_digest_while_the_month_is_short_and_a_single_one_goes_alone() {
    let (now, free) = (Instant::now(), RateLimiter::new(&[]));
    let turn = |waiting, after| Turn::of(waiting, &free, &Counted::Outlet, after, now, || false);
    for (waiting, after, wanted) in [
        (1, Some(Duration::ZERO), Turn::Single),
        (2, Some(Duration::ZERO), Turn::Digest),
        (500, Some(Duration::from_secs(30)), Turn::Single),
        (500, None, Turn::Single),
    ] {
        assert_eq!(turn(waiting, after), wanted, "{waiting} with {after:?}");
    }
}

#[test]
fn what_one_recipient_cannot_get_now_says_nothing_of_the_outlet() {
    let of = |kind, recipient| Verdict::of(Some(&SendError { recipient, ..SendError::new(kind, "why") }), None);
    for kind in [ErrorKind::RateLimited { retry_after: None }, ErrorKind::Transient] {
        assert_eq!((of(kind, true), of(kind, false)), (Verdict::OfRecipient, Verdict::NotNow));
    }
    assert_eq!((of(ErrorKind::Ambiguous, true), of(ErrorKind::Rejected, true)), (Verdict::NotNow, Verdict::Refused));
}
