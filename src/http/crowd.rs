//! Who is connected: an upper bound on connections in all and from one address. When there is no place, whoever has been idle longest leaves; who is at a
//! request never does.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A connection.
#[derive(Debug)]
pub struct Guest {
    address: IpAddr,
    /// Requests under way.
    busy: AtomicUsize,
    /// When it last came or was done, as a number that grows.
    since: AtomicU64,
    clock: Arc<AtomicU64>,
    /// Told when it has to leave.
    pub leaves: CancellationToken,
}

/// A request under way, until it is dropped.
pub struct Busy(Arc<Guest>);

impl Guest {
    /// A request begins.
    pub fn busy(self: Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(self)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.since.store(self.0.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Default)]
struct Inside {
    guests: HashMap<u64, Arc<Guest>>,
    addresses: HashMap<IpAddr, usize>,
    last: u64,
}

impl Inside {
    /// The one of these that has been idle longest.
    fn idlest(&self, among: impl Fn(&Guest) -> bool) -> Option<u64> {
        let idle = self.guests.iter().filter(|(_, guest)| guest.busy.load(Ordering::Acquire) == 0 && among(guest));
        idle.min_by_key(|(_, guest)| guest.since.load(Ordering::Relaxed)).map(|(id, _)| *id)
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Guest>> {
        let guest = self.guests.remove(&id)?;
        if let Some(count) = self.addresses.get_mut(&guest.address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&guest.address);
            }
        }
        Some(guest)
    }
}

/// All connections.
pub struct Crowd {
    inside: Mutex<Inside>,
    clock: Arc<AtomicU64>,
    freed: Notify,
    most: usize,
    of_one: usize,
}

/// A place among them, until it is dropped.
pub struct Place {
    crowd: Arc<Crowd>,
    id: u64,
    /// Who has it.
    pub guest: Arc<Guest>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.lock().remove(self.id);
        self.crowd.freed.notify_one();
    }
}

impl Crowd {
    /// At most `most` connections, and `of_one` from one address.
    pub fn new(most: usize, of_one: usize) -> Arc<Self> {
        Arc::new(Self { inside: Mutex::default(), clock: Arc::default(), freed: Notify::new(), most, of_one })
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `address`. Someone idle leaves for it when there is none: of the same address when that has as many as it may, else
    /// whoever has been idle longest. `None` when its address has as many as it may and all of them are at requests; when all there are are at
    /// requests it waits.
    pub async fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        loop {
            let freed = self.freed.notified();
            {
                let mut inside = self.lock();
                let crowded = inside.addresses.get(&address).is_some_and(|count| *count >= self.of_one);
                let full = inside.guests.len() >= self.most;
                let leaves = match (crowded, full) {
                    (true, _) => Some(inside.idlest(|guest| guest.address == address)?),
                    (_, true) => inside.idlest(|_| true),
                    _ => None,
                };
                if let Some(left) = leaves.and_then(|id| inside.remove(id)) {
                    left.leaves.cancel();
                    return Some(self.place(&mut inside, address));
                }
                if !full {
                    return Some(self.place(&mut inside, address));
                }
            }
            freed.await;
        }
    }

    fn place(self: &Arc<Self>, inside: &mut Inside, address: IpAddr) -> Place {
        inside.last += 1;
        let since = self.clock.fetch_add(1, Ordering::Relaxed);
        let guest =
            Arc::new(Guest { address, busy: AtomicUsize::new(0), since: since.into(), clock: self.clock.clone(), leaves: CancellationToken::new() });
        inside.guests.insert(inside.last, guest.clone());
        *inside.addresses.entry(address).or_default() += 1;
        Place { crowd: self.clone(), id: inside.last, guest }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[tokio::test]
    async fn the_idlest_leaves_and_the_busy_stay() {
        let crowd = Crowd::new(3, 3);
        let (first, second, third) = (crowd.enter(ip(1)).await.unwrap(), crowd.enter(ip(2)).await.unwrap(), crowd.enter(ip(3)).await.unwrap());
        // The first had a request meanwhile, so the second has been idle longest; the third is at one.
        drop(first.guest.clone().busy());
        let at_work = third.guest.clone().busy();
        let fourth = crowd.enter(ip(4)).await.unwrap();
        assert!(second.guest.leaves.is_cancelled() && !first.guest.leaves.is_cancelled() && !third.guest.leaves.is_cancelled());
        let _busy: Vec<_> = [&first, &fourth].map(|place| place.guest.clone().busy()).into();
        let waits = tokio::time::timeout(Duration::from_millis(50), crowd.enter(ip(5))).await;
        assert!(waits.is_err(), "all are at requests");
        drop(second);
        let waits = tokio::time::timeout(Duration::from_millis(50), crowd.enter(ip(5))).await;
        assert!(waits.is_err(), "who left had no place any more");
        drop((at_work, third));
        assert!(tokio::time::timeout(Duration::from_secs(5), crowd.enter(ip(5))).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn one_address_takes_no_place_of_others() {
        let crowd = Crowd::new(10, 2);
        let other = crowd.enter(ip(9)).await.unwrap();
        let own = [crowd.enter(ip(1)).await.unwrap(), crowd.enter(ip(1)).await.unwrap()];
        let third = crowd.enter(ip(1)).await.unwrap();
        assert!(own[0].guest.leaves.is_cancelled() && !other.guest.leaves.is_cancelled(), "its own oldest leaves");
        let _busy = [own[1].guest.clone().busy(), third.guest.clone().busy()];
        assert!(crowd.enter(ip(1)).await.is_none(), "refused, and nobody else waits for it");
        assert!(crowd.enter(ip(2)).await.is_some());
        drop((own, third));
        assert!(!crowd.lock().addresses.contains_key(&ip(1)), "addresses are forgotten");
    }
}
