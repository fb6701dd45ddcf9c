//! The connections of an outlet: never more than its cap, kept open between mails, replaced when they have gone stale. Knows no mail.
//!
//! Invariant: leases out + sessions idle <= cap. A session goes back before its permit does, and nobody dials while one is idle.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::classify::{Cause, Failure, Stage};
use super::dial::Server;
use super::smtp::{Session, Times};

/// An idle session is closed after this long; RFC 5321, section 4.5.3.2.7 lets servers do it after five minutes, many do it sooner.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// An idle session is asked whether it lives before it is used again after this long.
const PROBE_AFTER_IDLE: Duration = Duration::from_secs(5);

/// A session is closed at this age, and after this many mails: servers limit both, with 421 as their way to say so.
const MAX_AGE: Duration = Duration::from_secs(600);
const MAX_MAILS: u32 = 100;

/// The connections to one server as one user.
pub(super) struct Pool {
    server: Server,
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Session>,
    evicting: bool,
}

/// A session on loan; dropping it closes the connection, [`PooledSession::release`] keeps it.
pub(super) struct PooledSession {
    pool: Arc<Pool>,
    session: Session,
    permit: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool of at most `cap` connections.
    pub(super) fn new(server: Server, cap: usize) -> Arc<Self> {
        Arc::new(Self { server, permits: Arc::new(Semaphore::new(cap)), state: Mutex::default() })
    }

    /// The pool of `key`, or a new one: channels of one outlet share their connections, and a reload keeps them open.
    /// `key` must name everything that makes two connections interchangeable.
    pub(super) fn shared(key: &str, server: Server, cap: usize) -> Arc<Self> {
        static POOLS: Mutex<Option<HashMap<String, Weak<Pool>>>> = Mutex::new(None);
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        let pools = pools.get_or_insert_default();
        pools.retain(|_, pool| pool.strong_count() > 0);
        if let Some(pool) = pools.get(key).and_then(Weak::upgrade) {
            return pool;
        }
        let pool = Self::new(server, cap);
        pools.insert(key.to_owned(), Arc::downgrade(&pool));
        pool
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// A session: an idle one that still lives, else a new one. Waits for a free connection until the attempt ends.
    pub(super) async fn lease(self: &Arc<Self>, times: &Times) -> Result<PooledSession, Failure> {
        let permit = self.permit(times).await?;
        loop {
            let idle = self.state().idle.pop();
            let Some(mut session) = idle else {
                let session = self.server.dial(times).await?;
                return Ok(PooledSession { pool: self.clone(), session, permit });
            };
            let rested = session.used.elapsed();
            if rested < MAX_IDLE && session.born.elapsed() < MAX_AGE && (rested < PROBE_AFTER_IDLE || session.is_alive().await) {
                return Ok(PooledSession { pool: self.clone(), session, permit });
            }
        }
    }

    /// A new session, whatever is idle: it shows whether the server can be reached and the login still holds.
    pub(super) async fn fresh(self: &Arc<Self>, times: &Times) -> Result<PooledSession, Failure> {
        let permit = self.permit(times).await?;
        // An idle session makes room, or the cap would be passed by one.
        drop(self.state().idle.pop());
        let session = self.server.dial(times).await?;
        Ok(PooledSession { pool: self.clone(), session, permit })
    }

    async fn permit(&self, times: &Times) -> Result<OwnedSemaphorePermit, Failure> {
        let permits = self.permits.clone();
        times.step(Stage::Wait, async { permits.acquire_owned().await.map_err(|_| Cause::Timeout) }).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; even then a list of sessions stays one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes idle sessions when their time is up; ends when none is left.
    async fn evict_idle(pool: Weak<Pool>) {
        loop {
            let Some(next) = pool.upgrade().and_then(|pool| {
                let mut state = pool.state();
                let next = state.idle.iter().map(|s| s.used + MAX_IDLE).min();
                state.evicting = next.is_some();
                next
            }) else {
                return;
            };
            sleep_until(next).await;
            let Some(pool) = pool.upgrade() else { return };
            let expired = {
                let mut state = pool.state();
                let now = Instant::now();
                let (expired, fresh): (Vec<_>, Vec<_>) = state.idle.drain(..).partition(|s| s.used + MAX_IDLE <= now);
                state.idle = fresh;
                // A closing connection still counts: each idle session left a permit free, so these are there unless just taken.
                expired.into_iter().map(|session| (session, pool.permits.clone().try_acquire_owned())).collect::<Vec<_>>()
            };
            drop(pool);
            let good_byes = expired.into_iter().filter_map(|(session, permit)| {
                let permit = permit.ok()?;
                Some(async move {
                    session.quit().await;
                    drop(permit);
                })
            });
            futures_util::future::join_all(good_byes).await;
        }
    }
}

impl PooledSession {
    /// The session.
    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Whether it may have gone stale since it was opened: it has been used before.
    pub(super) fn is_used(&self) -> bool {
        self.session.mails > 0
    }

    /// Whether it has served its time.
    pub(super) fn is_spent(&self) -> bool {
        self.session.mails >= MAX_MAILS || self.session.born.elapsed() >= MAX_AGE
    }

    /// Closes the connection and opens another in its place.
    pub(super) async fn redial(self, times: &Times) -> Result<PooledSession, Failure> {
        let PooledSession { pool, session, permit } = self;
        drop(session);
        let session = pool.server.dial(times).await?;
        Ok(PooledSession { pool, session, permit })
    }

    /// Says good-bye and closes the connection.
    pub(super) async fn close(self) {
        let PooledSession { session, permit, .. } = self;
        session.quit().await;
        drop(permit);
    }

    /// Keeps the session for the next mail, or says good-bye if it has served its time.
    pub(super) fn release(self) {
        if self.is_spent() {
            // The connection counts until it is closed.
            tokio::spawn(self.close());
            return;
        }
        let PooledSession { pool, session, permit } = self;
        let reap = {
            let mut state = pool.state();
            state.idle.push(session);
            !std::mem::replace(&mut state.evicting, true)
        };
        drop(permit);
        if reap {
            tokio::spawn(Pool::evict_idle(Arc::downgrade(&pool)));
        }
    }
}
