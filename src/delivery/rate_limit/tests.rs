//! Rate limits: what a window lets through, and when.

use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn per_minute(count: u32) -> Vec<Limit> {
    vec![Limit { count, window: MINUTE }]
}

#[test]
fn without_limits_nobody_waits() {
    let mut limiter = RateLimiter::new(&[]);
    let now = Instant::now();
    limiter.begin(now, &Counted::Outlet);
    assert_eq!(limiter.slot(now, &Counted::Outlet), now);
    assert!(limiter.rate().is_infinite());
}

#[test]
fn no_more_are_in_flight_than_the_tightest_limit_allows() {
    let mut limiter = RateLimiter::new(&[Limit { count: 60, window: MINUTE }, Limit { count: 2, window: Duration::from_secs(1) }]);
    let mut now = Instant::now();
    for _ in 0..100 {
        if limiter.slot(now, &Counted::Outlet) <= now {
            limiter.begin(now, &Counted::Outlet);
        }
        now += Duration::from_secs(10);
    }
    assert_eq!((limiter.all.in_flight, limiter.max_in_flight()), (2, 2), "however long they take");
    assert_eq!(RateLimiter::new(&[]).max_in_flight(), usize::MAX);
}

#[test]
fn sends_of_before_a_restart_count() {
    let mut limiter = RateLimiter::new(&per_minute(2));
    let now = Instant::now() + MINUTE * 10;
    limiter.restore([10, 50].map(|age| now - Duration::from_secs(age)));
    assert_eq!(limiter.slot(now, &Counted::Outlet), now + MINUTE.mul_f64(1.0 + WINDOW_MARGIN) - Duration::from_secs(50));
}

#[test]
fn what_an_earlier_owner_has_under_way_counts_until_it_must_have_ended() {
    let mut limiter = RateLimiter::new(&per_minute(2));
    let now = Instant::now();
    let window = MINUTE.mul_f64(1.0 + WINDOW_MARGIN);
    limiter.restore([now + Duration::from_secs(10)]);
    assert_eq!(limiter.slot(now, &Counted::Outlet), now, "one of two");
    limiter.begin(now, &Counted::Outlet);
    limiter.end(now, &Counted::Outlet);
    assert_eq!(limiter.slot(now, &Counted::Outlet), now + window, "the one that ended leaves the window first");
    limiter.begin(now + window, &Counted::Outlet);
    limiter.end(now + window, &Counted::Outlet);
    assert_eq!(limiter.slot(now + window, &Counted::Outlet), now + window + Duration::from_secs(10));
}

#[test]
fn the_margin_is_in_proportion() {
    for seconds in [1, 2, 30, 60, 3600] {
        let window = Duration::from_secs(seconds);
        let mut limiter = RateLimiter::new(&[Limit { count: 1, window }]);
        let now = Instant::now();
        limiter.begin(now, &Counted::Outlet);
        limiter.end(now, &Counted::Outlet);
        let wait = limiter.slot(now, &Counted::Outlet) - now;
        assert!(wait > window.mul_f64(1.01) && wait <= window.mul_f64(1.05), "{seconds} s: {wait:?}");
    }
}

#[test]
fn no_more_are_in_flight_than_the_limit_can_start() {
    let at_once = |count, seconds| RateLimiter::new(&[Limit { count, window: Duration::from_secs(seconds) }]).max_in_flight();
    assert_eq!(at_once(20, 60), 4, "of 20 a minute a crash can have cut off four, not the whole window");
    assert_eq!((at_once(1, 1), at_once(1, 3600), at_once(1000, 1)), (1, 1, 1000));
}

#[test]
fn each_recipient_has_a_window_where_the_platform_counts_so() {
    let to = |names: &[&str]| Counted::Recipients(names.iter().map(|name| Recipient::new(*name)).collect());
    let mut limiter = RateLimiter::new(&per_minute(2));
    let now = Instant::now();
    for _ in 0..2 {
        assert_eq!(limiter.slot(now, &to(&["a"])), now);
        limiter.begin(now, &to(&["a"]));
        limiter.end(now, &to(&["a"]));
    }
    assert!(limiter.slot(now, &to(&["a"])) > now, "a has had two");
    assert!(limiter.slot(now, &to(&["b", "a"])) > now, "who is among several counts");
    assert_eq!(limiter.slot(now, &to(&["b"])), now, "b has had none");
    assert!(limiter.slot(now, &Counted::Outlet) > now, "a group may hold a");
    limiter.begin(now, &Counted::Outlet);
    limiter.end(now, &Counted::Outlet);
    assert_eq!(limiter.slot(now, &to(&["b"])), now, "one to all and none of its own");
    limiter.begin(now, &to(&["b"]));
    limiter.end(now, &to(&["b"]));
    assert!(limiter.slot(now, &to(&["b"])) > now, "one to all and one of its own");
    assert_eq!(limiter.slot(now + MINUTE * 2, &to(&["a"])), now + MINUTE * 2);
    limiter.forget(now + MINUTE * 2);
    assert!(limiter.each.is_empty(), "who was long ago is forgotten");
}

#[test]
fn a_burst_takes_half_and_the_rest_is_spread() {
    let mut limiter = RateLimiter::new(&per_minute(20));
    let mut now = Instant::now();
    let start = now;
    let mut times = Vec::new();
    for _ in 0..20 {
        now = limiter.spread(now, &Counted::Outlet, || false);
        limiter.begin(now, &Counted::Outlet);
        limiter.end(now, &Counted::Outlet);
        times.push((now - start).as_secs());
    }
    assert!(times[9] == 0, "half at once: {times:?}");
    assert!(times[10] >= 6 && times[19] >= 60, "then evenly: {times:?}");
}

#[test]
fn a_limit_of_a_day_delays_little_while_there_is_plenty_and_lasts_for_the_day() {
    let day = MINUTE * 60 * 24;
    let mut limiter = RateLimiter::new(&[Limit { count: 200, window: day }]);
    let (now, window) = (Instant::now(), limiter.longest_window());
    let mut send = |count: u32| {
        for _ in 0..count {
            limiter.begin(now, &Counted::Outlet);
            limiter.end(now, &Counted::Outlet);
        }
        limiter.spread(now, &Counted::Outlet, || false)
    };
    assert_eq!(send(99), now, "half of it in a burst");
    assert_eq!(send(1), now + LONGEST_SPREAD);
    assert_eq!(send(49), now + LONGEST_SPREAD);
    assert_eq!(send(1), now + window / 100, "the last quarter is for the rest of the day");
    assert_eq!(send(49), now + window / 100);
    assert!(send(1) > now + day, "the platform's own limit holds");
}

#[test]
fn the_last_quarter_is_for_what_is_critical_and_what_never_left_starts_no_pause() {
    let mut limiter = RateLimiter::new(&[Limit { count: 200, window: MINUTE * 60 * 24 }]);
    let begun = Instant::now();
    for _ in 0..150 {
        limiter.begin(begun, &Counted::Outlet);
        limiter.end(begun, &Counted::Outlet);
    }
    let now = begun + MINUTE * 10;
    limiter.begin(now, &Counted::Outlet);
    limiter.cancel(&Counted::Outlet);
    assert_eq!(limiter.spread(now, &Counted::Outlet, || true), now, "the last one that left was ten minutes ago");
    assert_eq!(limiter.spread(now, &Counted::Outlet, || false), begun + limiter.longest_window() / 100);
}

proptest! {
    /// I10: however sends overlap and however long they take, no rolling window sees more arrivals than the limit.
    #[test]
    fn no_rolling_window_exceeds_the_limit(
        count in 1u32..8,
        steps in prop::collection::vec((0u64..4000, 0u64..9000, 0u64..=100), 1..120),
    ) {
        let window = Duration::from_secs(10);
        let mut limiter = RateLimiter::new(&[Limit { count, window }]);
        let start = Instant::now();
        let mut now = start;
        let mut open: Vec<(Instant, Instant)> = Vec::new();
        let mut arrivals = Vec::new();
        for (gap, takes, share) in steps {
            now += Duration::from_millis(gap);
            open.sort();
            while let Some(&(end, _)) = open.first() {
                if end > now { break; }
                limiter.end(end, &Counted::Outlet);
                open.remove(0);
            }
            if limiter.slot(now, &Counted::Outlet) <= now {
                limiter.begin(now, &Counted::Outlet);
                let end = now + Duration::from_millis(takes);
                arrivals.push(now + Duration::from_millis(takes * share / 100));
                open.push((end, now));
            }
        }
        arrivals.sort();
        for (i, first) in arrivals.iter().enumerate() {
            let inside = arrivals[i..].iter().take_while(|t| **t - *first < window).count();
            prop_assert!(inside <= count as usize, "{inside} > {count}");
        }
    }
}
