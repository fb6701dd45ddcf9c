//! The store in one SQLite file: the embedded engine, for one process at a time.
//!
//! One writer thread commits in groups, a few threads read, one moves the log into the file when it is quiet. This file is the door: options,
//! start and stop, and each method of the trait handed to the module that knows it.

mod accept;
mod admin;
mod backup;
mod checkpoint;
mod claim;
mod failure;
mod fallback;
mod ground;
mod history;
mod messages;
mod mute;
mod open;
mod purge;
mod queue;
mod read;
mod readers;
mod receipts;
mod rows;
mod settle;
mod wal;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;

use self::failure::Fail;
use self::open::Files;
use self::queue::{Class, Limits, Queue};
use super::*;

/// How a SQLite store is opened.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database file; `-wal`, `-shm` and `.lock` lie beside it. Made with mode 0600 when it is not there; its folder must exist.
    pub path: PathBuf,
    /// With it [`SqliteStore::open_async`] waits while another process has the database open, and says so there; without it fails.
    pub wait: Option<OpenProgress>,
    /// Threads that read.
    pub readers: usize,
    /// Bytes of requests that may wait for the writer; beyond it they are [`StoreError::Busy`].
    pub queue_bytes: usize,
    /// Requests that may wait for the writer.
    pub queue_requests: usize,
    /// A request that waited longer than this is not begun any more and becomes [`StoreError::Busy`].
    pub queue_age: Duration,
    /// The largest size of the database file in bytes; at it writes fail with [`StoreError::Unavailable`] until a purge or a larger cap makes room.
    pub max_bytes: Option<u64>,
}

impl SqliteOptions {
    /// The defaults: 3 readers, a queue of 64 MiB and 16,384 requests of at most 5 s, no size cap, no waiting.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            wait: None,
            readers: 3,
            queue_bytes: 64 << 20,
            queue_requests: 16_384,
            queue_age: Duration::from_secs(5),
            max_bytes: None,
        }
    }
}

/// The store in a SQLite file.
pub struct SqliteStore {
    queue: Arc<Queue>,
    readers: Arc<readers::Readers>,
    activity: Arc<checkpoint::Activity>,
    files: Arc<Files>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.files.path()).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the database, on the calling thread. Never waits for another process.
    ///
    /// Errors: [`StoreError::Unavailable`] when it is in use, or cannot be reached or written; [`StoreError::Unusable`] when it is damaged, newer
    /// than this program, or not Watchfire's. The text says what to do.
    pub fn open(options: SqliteOptions) -> Result<Self, StoreError> {
        let lock = open::lock(&options.path)?;
        Self::start(options, lock)
    }

    /// The same without blocking the runtime. With `wait` it looks four times a second while another process has the database, and ends when dropped.
    pub async fn open_async(options: SqliteOptions) -> Result<Self, StoreError> {
        loop {
            let path = options.path.clone();
            let locked = tokio::task::spawn_blocking(move || open::lock(&path)).await.map_err(stopped)?;
            match (locked, &options.wait) {
                (Ok(lock), _) => return tokio::task::spawn_blocking(move || Self::start(options, lock)).await.map_err(stopped)?,
                (Err(open::Locked::InUse(error)), Some(wait)) => {
                    wait.say(&error);
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
    }

    fn start(options: SqliteOptions, lock: File) -> Result<Self, StoreError> {
        let (files, db) = open::prepare(&options.path, options.max_bytes, lock)?;
        let limits = Limits { bytes: options.queue_bytes, requests: options.queue_requests, age: options.queue_age };
        let store = Self {
            queue: Arc::new(Queue::new(limits)),
            readers: Arc::default(),
            activity: Arc::default(),
            files: Arc::new(files),
            threads: Mutex::default(),
        };
        store.spawn_all(options.readers.max(1), db).map_err(|error| {
            StoreError::Unavailable(format!("the store's threads cannot be started: {error}; check the limit of processes and threads"))
        })?;
        Ok(store)
    }

    fn spawn_all(&self, readers: usize, db: Connection) -> std::io::Result<()> {
        let writer = writer::Writer::new(db, self.queue.clone(), self.files.clone(), self.activity.clone());
        self.spawn("store-writer", move || writer.run())?;
        let (files, activity) = (self.files.clone(), self.activity.clone());
        self.spawn("store-log", move || checkpoint::run(&files, &activity))?;
        for _ in 0..readers {
            let (readers, files) = (self.readers.clone(), self.files.clone());
            self.spawn("store-reader", move || readers::run(&readers, &files))?;
        }
        Ok(())
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name(name.into()).spawn(run)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    async fn write<T, F>(&self, cost: usize, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, Fail> + Send + 'static,
    {
        writer::submit(&self.queue, Class::Other, cost, work).await
    }

    fn stop(&self) {
        self.files.ground.end();
        self.queue.close();
        self.readers.close();
        self.activity.close();
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.stop();
    }
}

fn stopped(error: tokio::task::JoinError) -> StoreError {
    StoreError::Unavailable(format!("the database was not opened: {error}"))
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, event: NewEvent) -> Result<Accepted, StoreError> {
        let event = accept::PreparedEvent::new(event)?;
        writer::submit(&self.queue, Class::Accept, event.cost(), move |db| accept::accept(db, &event)).await
    }

    async fn claim_outlet(&self, claim: LeaseRequest) -> Result<Option<OutletSnapshot>, StoreError> {
        self.write(512, move |db| claim::own(db, &claim)).await
    }

    async fn renew_leases(&self, node: &str, _now: i64, lease_until: i64) -> Result<Vec<OutletKey>, StoreError> {
        let node = node.to_owned();
        self.write(512, move |db| claim::renew(db, &node, lease_until)).await
    }

    async fn ready_lanes(&self, outlet: &OutletKey, sought: LaneQuery) -> Result<Vec<LaneSummary>, StoreError> {
        let (outlet, except) = (outlet.clone(), sought.except.iter().copied().collect::<HashSet<_>>());
        self.readers.read(move |db| read::lanes_ready(db, &outlet, &sought, &except)).await
    }

    async fn overdue(&self, before: i64) -> Result<Vec<OverdueRow>, StoreError> {
        self.readers.read(move |db| read::due(db, before)).await
    }

    async fn open_messages(&self, outlet: &OutletKey) -> Result<Vec<MessageId>, StoreError> {
        let outlet = outlet.clone();
        self.readers.read(move |db| read::open_messages(db, &outlet)).await
    }

    async fn pending(&self, lane: LaneId, after: i64, limit: usize, bodies: usize, due_by: i64) -> Result<Vec<PendingDelivery>, StoreError> {
        self.readers.read(move |db| read::waiting(db, lane, after, limit, bodies, due_by)).await
    }

    async fn load_events(&self, ids: &[EventId], bytes: usize) -> Result<EventBodies, StoreError> {
        let ids = ids.to_vec();
        self.readers.read(move |db| read::events(db, &ids, bytes)).await
    }

    async fn mark_lanes_started(&self, lanes: &[LaneId]) -> Result<u32, StoreError> {
        let lanes = lanes.to_vec();
        self.write(64 + lanes.len() * 16, move |db| messages::begin_lanes(db, &lanes)).await
    }

    async fn clear_lanes_started(&self, lanes: &[LaneId]) -> Result<(), StoreError> {
        let lanes = lanes.to_vec();
        self.write(64 + lanes.len() * 16, move |db| messages::end_lanes(db, &lanes)).await
    }

    async fn store_message(&self, fence: Fence, message: NewMessage) -> Result<(), StoreError> {
        let message = messages::PreparedMessage::new(message)?;
        self.write(message.cost(), move |db| messages::form(db, &fence, &message)).await
    }

    async fn begin_attempt(&self, fence: Fence, attempt: NewAttempt) -> Result<(), StoreError> {
        self.write(512 + attempt.recipients.len() * 64, move |db| messages::begin(db, &fence, &attempt)).await
    }

    async fn record_outcome(&self, settlement: OutcomeBatch) -> Result<RecordedOutcome, StoreError> {
        let settlement = settle::PreparedOutcome::new(settlement)?;
        self.write(settlement.cost(), move |db| settle::settle(db, &settlement)).await
    }

    async fn set_outlet_state(&self, fence: Fence, change: OutletUpdate) -> Result<(), StoreError> {
        self.write(512, move |db| claim::set_outlet(db, &fence, &change)).await
    }

    async fn release_outlet(&self, fence: Fence) -> Result<(), StoreError> {
        self.write(256, move |db| claim::release(db, &fence)).await
    }

    async fn count_unresolved(&self, lane: LaneId) -> Result<Option<u64>, StoreError> {
        self.readers.read(move |db| read::unresolved(db, lane)).await
    }

    async fn lane_history(&self, id: DeliveryId, limit: usize) -> Result<LaneHistory, StoreError> {
        self.readers.read(move |db| read::past(db, id, limit)).await
    }

    async fn fallback_targets(&self, lane: LaneId, lane_seq: i64) -> Result<Vec<String>, StoreError> {
        self.readers.read(move |db| fallback::followers(db, lane, lane_seq)).await
    }

    async fn copy_to_fallback(
        &self,
        channel: &str,
        born_before: i64,
        to: MoveTo,
        reason: &str,
        limit: usize,
        now: i64,
    ) -> Result<Vec<AcceptedDelivery>, StoreError> {
        let (channel, target) = (channel.to_owned(), to.channel.clone());
        let found = self.readers.read(move |db| fallback::candidates(db, &channel, born_before, &target, limit)).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let reason = reason.to_owned();
        self.write(found.len() * 1024, move |db| fallback::copy(db, &found, &to, &reason, now)).await
    }

    async fn due_receipts(&self, now: i64, limit: usize) -> Result<Vec<ReceiptRow>, StoreError> {
        self.readers.read(move |db| receipts::due(db, now, limit)).await
    }

    async fn find_receipt(&self, channel: &str, platform_id: &str) -> Result<Option<ReceiptRow>, StoreError> {
        let (channel, platform_id) = (channel.to_owned(), platform_id.to_owned());
        self.readers.read(move |db| receipts::of(db, &channel, &platform_id)).await
    }

    async fn sent_deliveries(&self, message: MessageId) -> Result<Vec<SentDelivery>, StoreError> {
        self.readers.read(move |db| receipts::carried(db, message)).await
    }

    async fn update_receipt(&self, heard: ReceiptUpdate) -> Result<Option<Vec<AcceptedDelivery>>, StoreError> {
        let heard = receipts::PreparedReceipt::new(heard)?;
        self.write(heard.cost(), move |db| receipts::hear(db, &heard)).await
    }

    async fn requeue(&self, ids: &[DeliveryId], to: Option<MoveTo>, now: i64) -> Result<Vec<AcceptedDelivery>, StoreError> {
        let ids = ids.to_vec();
        self.write(ids.len() * 1024, move |db| admin::requeue(db, &ids, to.as_ref(), now)).await
    }

    async fn drop_deliveries(&self, ids: &[DeliveryId], reason: &str, now: i64) -> Result<u64, StoreError> {
        let (ids, reason) = (ids.to_vec(), reason.to_owned());
        self.write(ids.len() * 256, move |db| admin::drop_deliveries(db, &ids, &reason, now)).await
    }

    async fn rename_channel(&self, from: &str, to: &str, outlet: &OutletKey) -> Result<u64, StoreError> {
        let (from, to, outlet) = (from.to_owned(), to.to_owned(), outlet.clone());
        self.write(512, move |db| admin::adopt(db, &from, &to, &outlet)).await
    }

    async fn move_to_outlet(&self, channel: &str, outlet: &OutletKey) -> Result<u64, StoreError> {
        let (channel, outlet) = (channel.to_owned(), outlet.clone());
        self.write(512, move |db| admin::assign(db, &channel, &outlet)).await
    }

    async fn list_deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |db| history::page(db, &filter)).await
    }

    async fn get_delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        self.readers.read(move |db| history::show(db, id)).await
    }

    async fn list_events(&self, filter: &EventFilter) -> Result<Vec<EventRow>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |db| history::event_page(db, &filter)).await
    }

    async fn get_event(&self, id: EventId) -> Result<Option<(StoredEvent, Vec<DeliveryRow>)>, StoreError> {
        self.readers.read(move |db| history::show_event(db, id)).await
    }

    async fn get_message(&self, id: MessageId) -> Result<Option<StoredMessage>, StoreError> {
        self.readers.read(move |db| history::message(db, id)).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.readers.read(read::stats).await
    }

    async fn purge(&self, retention: Retention, limit: usize) -> Result<u64, StoreError> {
        let found = self.readers.read(move |db| purge::candidates(db, retention, limit)).await?;
        writer::submit(&self.queue, Class::Purge, 512, move |db| purge::purge(db, &found, retention)).await
    }

    async fn list_mutes(&self) -> Result<Vec<ChannelMute>, StoreError> {
        self.readers.read(read::mutes).await
    }

    async fn set_mute(&self, mute: ChannelMute, now: i64) -> Result<(), StoreError> {
        self.write(512, move |db| mute::mute(db, &mute, now)).await
    }

    async fn list_deferrals(&self, now: i64) -> Result<Vec<Deferral>, StoreError> {
        self.readers.read(move |db| mute::deferrals(db, now)).await
    }

    async fn reschedule_deferred(&self, deferral: Deferral, reason: Option<String>, now: i64) -> Result<u64, StoreError> {
        self.write(512, move |db| mute::defer(db, &deferral, reason.as_deref(), now)).await
    }

    async fn update_heartbeats(&self, changes: Vec<HeartbeatUpdate>) -> Result<Vec<HeartbeatRow>, StoreError> {
        if !changes.is_empty() {
            self.write(256 * changes.len(), move |db| admin::heartbeats(db, &changes)).await?;
        }
        self.readers.read(read::heartbeats).await
    }

    async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let (files, to) = (self.files.clone(), to.to_owned());
        let copy = tokio::task::spawn_blocking(move || backup::backup(&files, &to)).await;
        copy.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the backup was not made: {error}"))))
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        match self.files.ground.look() {
            // What is open takes outcomes still; that nothing new is taken is told by `ground`.
            Ok(()) | Err(StoreError::Unavailable(_)) => self.write(512, admin::check).await,
            Err(broken) => Err(broken),
        }
    }

    fn check_files(&self) -> Result<(), StoreError> {
        self.files.ground.look()
    }

    fn damage_report(&self) -> Option<&str> {
        self.files.found.as_deref()
    }

    async fn close(&self) {
        // The writer last: only a connection that may write moves the log into the file and removes it.
        self.files.ground.end();
        self.readers.close();
        self.activity.close();
        let mut threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let others = threads.split_off(threads.len().min(1));
        let (files, queue) = (self.files.clone(), self.queue.clone());
        let joined = tokio::task::spawn_blocking(move || {
            let end = |thread: std::thread::JoinHandle<()>| {
                if thread.join().is_err() {
                    tracing::warn!("a thread of the store ended by a defect");
                }
            };
            others.into_iter().for_each(end);
            queue.close();
            threads.into_iter().for_each(end);
            files.release();
        });
        let _ = joined.await;
    }
}
