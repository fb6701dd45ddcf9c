//! Connection limits: at most so many connections, and so many from one address. At the limit the connection that has been idle longest is evicted; one
//! with a request in flight never is, and one that may be about to send its request is left a moment. While others wait for a place, a connection is closed
//! after its answer: so senders take turns, however few places there are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a connection is left to send its next request before it may be evicted.
const TURN: Duration = Duration::from_millis(100);

/// A connection.
#[derive(Debug)]
pub struct Connection {
    address: IpAddr,
    /// Requests in flight.
    in_flight: AtomicUsize,
    /// When it was last active, as a number that grows.
    since: AtomicU64,
    /// The same in milliseconds since the limiter began.
    since_ms: AtomicU64,
    clock: Arc<ActivityClock>,
    /// Cancelled when it is evicted.
    pub evicted: CancellationToken,
}

/// What connections have in common.
#[derive(Debug)]
struct ActivityClock {
    count: AtomicU64,
    began: Instant,
    /// Whether somebody waits for a place.
    crowded: AtomicBool,
}

impl ActivityClock {
    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

/// A request in flight, until it is dropped.
pub struct InFlightRequest(Arc<Connection>);

impl Connection {
    /// Whether others wait for its place: it is to be closed after its answer.
    pub fn is_awaited(&self) -> bool {
        self.clock.crowded.load(Ordering::Relaxed)
    }

    /// A request begins.
    pub fn begin_request(self: Arc<Self>) -> InFlightRequest {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlightRequest(self)
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.0.since.store(self.0.clock.count.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.0.since_ms.store(self.0.clock.now_ms(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Default)]
struct Connections {
    connections: HashMap<u64, Arc<Connection>>,
    addresses: HashMap<IpAddr, usize>,
    last: u64,
}

impl Connections {
    /// The one of these that has been idle longest, and since when.
    fn longest_idle(&self, among: impl Fn(&Connection) -> bool) -> Option<(u64, u64)> {
        let idle = self.connections.iter().filter(|(_, connection)| connection.in_flight.load(Ordering::Acquire) == 0 && among(connection));
        let longest = idle.min_by_key(|(_, connection)| connection.since.load(Ordering::Relaxed));
        longest.map(|(id, connection)| (*id, connection.since_ms.load(Ordering::Relaxed)))
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Connection>> {
        let connection = self.connections.remove(&id)?;
        if let Some(count) = self.addresses.get_mut(&connection.address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&connection.address);
            }
        }
        Some(connection)
    }
}

/// All connections.
pub struct ConnectionLimiter {
    connections: Mutex<Connections>,
    clock: Arc<ActivityClock>,
    freed: Notify,
    max: usize,
    max_per_address: usize,
}

/// The right to one connection, until it is dropped.
pub struct ConnectionPermit {
    limiter: Arc<ConnectionLimiter>,
    id: u64,
    /// The connection that holds it.
    pub connection: Arc<Connection>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.limiter.lock().remove(self.id);
        self.limiter.freed.notify_one();
    }
}

impl ConnectionLimiter {
    /// At most `most` connections, and `max_per_address` from one address.
    pub fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        let clock = ActivityClock { count: AtomicU64::default(), began: Instant::now(), crowded: AtomicBool::default() };
        Arc::new(Self { connections: Mutex::default(), clock: Arc::new(clock), freed: Notify::new(), max, max_per_address })
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a connection from `address`. At the limit of the address its longest idle connection is evicted, at the limit of all the longest idle of
    /// all, once it had its turn. `None` when the address is at its limit and all its connections have requests in flight; when all connections have, it waits.
    pub async fn acquire(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionPermit> {
        loop {
            let freed = self.freed.notified();
            let mut wait = None;
            {
                let mut connections = self.lock();
                let crowded = connections.addresses.get(&address).is_some_and(|count| *count >= self.max_per_address);
                let full = connections.connections.len() >= self.max;
                let leaves = match (crowded, full) {
                    (true, _) => Some(connections.longest_idle(|connection| connection.address == address)?),
                    (_, true) => connections.longest_idle(|_| true),
                    _ => None,
                };
                self.clock.crowded.store(crowded || full, Ordering::Relaxed);
                if !crowded && !full {
                    return Some(self.insert(&mut connections, address));
                }
                if let Some((id, since)) = leaves {
                    let idle = Duration::from_millis(self.clock.now_ms().saturating_sub(since));
                    if idle >= TURN {
                        if let Some(left) = connections.remove(id) {
                            left.evicted.cancel();
                        }
                        return Some(self.insert(&mut connections, address));
                    }
                    wait = Some(TURN - idle);
                }
            }
            match wait {
                Some(wait) => drop(tokio::time::timeout(wait, freed).await),
                None => freed.await,
            }
        }
    }

    fn insert(self: &Arc<Self>, connections: &mut Connections, address: IpAddr) -> ConnectionPermit {
        connections.last += 1;
        let since = self.clock.count.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            address,
            in_flight: AtomicUsize::new(0),
            since: since.into(),
            since_ms: self.clock.now_ms().into(),
            clock: self.clock.clone(),
            evicted: CancellationToken::new(),
        });
        connections.connections.insert(connections.last, connection.clone());
        *connections.addresses.entry(address).or_default() += 1;
        ConnectionPermit { limiter: self.clone(), id: connections.last, connection }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[tokio::test]
    async fn the_idlest_leaves_and_the_busy_stay() {
        let limiter = ConnectionLimiter::new(3, 3);
        let (first, second, third) =
            (limiter.acquire(ip(1)).await.unwrap(), limiter.acquire(ip(2)).await.unwrap(), limiter.acquire(ip(3)).await.unwrap());
        // The first had a request meanwhile, so the second has been idle longest; the third is at one.
        drop(first.connection.clone().begin_request());
        let at_work = third.connection.clone().begin_request();
        let fourth = limiter.acquire(ip(4)).await.unwrap();
        assert!(second.connection.evicted.is_cancelled() && !first.connection.evicted.is_cancelled() && !third.connection.evicted.is_cancelled());
        let _busy: Vec<_> = [&first, &fourth].map(|place| place.connection.clone().begin_request()).into();
        let waits = tokio::time::timeout(Duration::from_millis(50), limiter.acquire(ip(5))).await;
        assert!(waits.is_err(), "all are at requests");
        drop(second);
        let waits = tokio::time::timeout(Duration::from_millis(50), limiter.acquire(ip(5))).await;
        assert!(waits.is_err(), "who left had no place any more");
        drop((at_work, third));
        assert!(tokio::time::timeout(Duration::from_secs(5), limiter.acquire(ip(5))).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn one_address_takes_no_place_of_others() {
        let limiter = ConnectionLimiter::new(10, 2);
        let other = limiter.acquire(ip(9)).await.unwrap();
        let own = [limiter.acquire(ip(1)).await.unwrap(), limiter.acquire(ip(1)).await.unwrap()];
        let third = limiter.acquire(ip(1)).await.unwrap();
        assert!(own[0].connection.evicted.is_cancelled() && !other.connection.evicted.is_cancelled(), "its own oldest leaves");
        let _busy = [own[1].connection.clone().begin_request(), third.connection.clone().begin_request()];
        assert!(limiter.acquire(ip(1)).await.is_none(), "refused, and nobody else waits for it");
        assert!(limiter.acquire(ip(2)).await.is_some());
        drop((own, third));
        assert!(!limiter.lock().addresses.contains_key(&ip(1)), "addresses are forgotten");
    }
}
