//! Whether the files under the connections are still those that were opened: nobody has deleted, replaced, cut or overwritten them meanwhile.
//!
//! SQLite itself does not notice: it goes on with what it has open, and all of that is gone when the process ends. Knows places and headers; knows no table.
//!
//! What is seen: another file under the name, a shorter file, another header, any write by another program (the time of the last change is not ours; then
//! the pages are checked), and frames of the log that are not as they were written (before they are moved into the file). What is not seen: another
//! program that writes into the file and sets its times back, a disk that returns other bytes than were written to it, and values inside a page that
//! still has its form, beyond that somebody wrote; and what is written while one of our own checkpoints runs.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};

use super::error::DAMAGED;
use super::wal::{Verified, beside};
use crate::store::StoreError;

/// The header of a database file (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const HEADER: usize = 100;
/// Where the header says what a checkpoint changes: the counter of changes, the length, the free pages, and for which change they are right.
const CHANGING: [std::ops::Range<usize>; 2] = [24..40, 92..100];

type Header = [u8; HEADER];

/// The file as our last checkpoint left it.
#[derive(Clone, Copy)]
struct Known {
    header: Header,
    length: u64,
    /// When it was last written to: seconds and nanoseconds.
    written: (i64, i64),
}

fn written(of: &Metadata) -> (i64, i64) {
    (of.mtime(), of.mtime_nsec())
}

/// Which file a name means: device and number.
type Place = (u64, u64);

fn place(of: &Metadata) -> Place {
    (of.dev(), of.ino())
}

/// The number of a write by another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ForeignWrite(u64);

/// What is known of the files while they are open.
pub(super) struct Ground {
    path: PathBuf,
    log: PathBuf,
    /// Held open for as long as connections are: to close any handle of a file ends all of SQLite's locks on it
    /// (<https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>).
    file: File,
    place: Place,
    /// The log that the writer's connection writes to.
    logged: Mutex<Option<Place>>,
    /// The file as the last checkpoint left it; locked while the log is moved into the file.
    known: Mutex<Option<Known>>,
    /// How much of the log was found as it was written.
    verified: Mutex<Verified>,
    /// Writes of other programs that were noticed, and the last of them after which the pages were checked.
    noticed: AtomicU64,
    checked: AtomicU64,
    /// What was cut or overwritten stays so, also when a checkpoint has written over it.
    broken: OnceLock<String>,
}

impl Ground {
    /// The ground of the database at `path`; before the first connection is made.
    pub(super) fn new(path: &Path, log: PathBuf) -> io::Result<Self> {
        let file = File::open(path)?;
        let place = place(&file.metadata()?);
        Ok(Self {
            path: path.to_owned(),
            log,
            file,
            place,
            logged: Mutex::default(),
            known: Mutex::default(),
            verified: Mutex::default(),
            noticed: AtomicU64::default(),
            checked: AtomicU64::default(),
            broken: OnceLock::new(),
        })
    }

    /// To be called when the connection that writes was made: the log there is the one it writes to.
    pub(super) fn begin(&self) {
        *self.logged.lock().unwrap_or_else(PoisonError::into_inner) = std::fs::metadata(&self.log).ok().map(|log| place(&log));
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).begin(&beside(&self.path, "-shm"));
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = self.state();
    }

    fn state(&self) -> Option<Known> {
        let file = self.file.metadata().ok()?;
        Some(Known { header: self.read().ok()?, length: file.len(), written: written(&file) })
    }

    /// To be called before that connection is closed: the last one to close removes the log.
    pub(super) fn end(&self) {
        *self.logged.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Pages that the header says the file has, and the bytes that it has.
    pub(super) fn length(&self) -> io::Result<(u64, u64)> {
        Ok((pages(&self.read()?), self.file.metadata()?.len()))
    }

    fn read(&self) -> io::Result<Header> {
        let mut header = [0; HEADER];
        self.file.read_exact_at(&mut header, 0)?;
        Ok(header)
    }

    /// Looks; a few system calls.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the files are not where they were: what is open can still be read and written, and is lost at the end of
    /// the process. [`StoreError::Unusable`] when they were cut or overwritten. Both say what to do.
    pub(super) fn look(&self) -> Result<(), StoreError> {
        self.whole()?;
        // A checkpoint that runs writes the header before what it describes.
        match self.known.try_lock() {
            Ok(mut known) => self.sound(known.as_mut())?,
            Err(TryLockError::Poisoned(known)) => self.sound(known.into_inner().as_mut())?,
            Err(TryLockError::WouldBlock) => {}
        }
        self.there()?;
        match self.unchecked() {
            Some(_) => Err(StoreError::Unavailable(format!("another program has written to `{}`; its pages are being checked", self.path.display()))),
            None => Ok(()),
        }
    }

    /// The last write of another program, where the pages were not checked after it.
    pub(super) fn unchecked(&self) -> Option<ForeignWrite> {
        let noticed = self.noticed.load(Ordering::Acquire);
        (noticed > self.checked.load(Ordering::Acquire)).then_some(ForeignWrite(noticed))
    }

    /// The pages have the form that they should have, after that write.
    pub(super) fn admit(&self, write: ForeignWrite) {
        self.checked.fetch_max(write.0, Ordering::AcqRel);
    }

    /// The file or the log does not hold what it should: it is not used again.
    pub(super) fn condemn(&self, why: String) -> StoreError {
        StoreError::Unusable(self.broken.get_or_init(|| why).clone())
    }

    /// Whether the names still mean what is open: else no other connection may be made.
    pub(super) fn there(&self) -> Result<(), StoreError> {
        let logged = *self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let log = logged.map(|logged| (&self.log, logged));
        for (path, expected) in std::iter::once((&self.path, self.place)).chain(log) {
            let name = path.display();
            let what = match std::fs::metadata(path) {
                Ok(found) if place(&found) == expected => continue,
                Ok(_) => format!("`{name}` is another file than the one that Watchfire has open"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => format!("`{name}` was deleted or moved away while Watchfire has it open"),
                Err(error) => format!("`{name}` cannot be looked at: {error}"),
            };
            return Err(StoreError::Unavailable(format!(
                "{what}; what waits is still being sent, but nothing new is taken, for it would be lost when this process ends; put the file back, or \
                 restart Watchfire when `watchfire queue ls --state waiting` is empty"
            )));
        }
        Ok(())
    }

    /// Whether nothing was found that is broken.
    pub(super) fn whole(&self) -> Result<(), StoreError> {
        self.broken.get().map_or(Ok(()), |why| Err(StoreError::Unusable(why.clone())))
    }

    /// Whether what a checkpoint would move is as it was written.
    pub(super) fn is_log_intact(&self) -> bool {
        if let Ok(Some(lost)) = self.verified.lock().unwrap_or_else(PoisonError::into_inner).extend(&self.log) {
            let _ = self.condemn(lost.tell_open(&self.log));
        }
        self.whole().is_ok()
    }

    /// Runs a checkpoint, unless what it would write to is broken.
    pub(super) fn checkpoint<T>(&self, run: impl FnOnce() -> T) -> Result<T, StoreError> {
        self.whole()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.sound(known.as_mut())?;
        if !self.is_log_intact() {
            self.whole()?;
        }
        let made = run();
        *known = self.state();
        Ok(made)
    }

    /// Compares the file with what is known of it, and notices a write that is not ours.
    fn sound(&self, known: Option<&mut Known>) -> Result<(), StoreError> {
        let Some(known) = known else { return Ok(()) };
        if let Some(why) = self.fault(known) {
            return Err(self.condemn(why));
        }
        if let Ok(file) = self.file.metadata()
            && known.written != written(&file)
        {
            known.written = written(&file);
            self.noticed.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }

    /// What is wrong with the file that is open.
    fn fault(&self, known: &Known) -> Option<String> {
        let name = self.path.display();
        let length = self.file.metadata().ok()?.len();
        let Ok(header) = self.read() else {
            return Some(format!("`{name}` is cut short: it has {length} bytes; {DAMAGED}"));
        };
        let should = pages(&header) * page_size(&header);
        // A checkpoint that stopped half way may have left it shorter than its header says, but not shorter than it was.
        if length < should.min(known.length) {
            return Some(format!("`{name}` is cut short: it has {length} bytes and should have {should}; {DAMAGED}"));
        }
        // A checkpoint by another program (a `sqlite3` shell) moves what we have committed: no harm. An older copy leads back.
        let same = |(at, (one, other)): (usize, (&u8, &u8))| one == other || CHANGING.iter().any(|range| range.contains(&at));
        let leads_back = (changes(&header).wrapping_sub(changes(&known.header)) as i32) < 0 || pages(&header) < pages(&known.header);
        if leads_back || !header.iter().zip(&known.header).enumerate().all(same) {
            return Some(format!("another program has written over `{name}`; {DAMAGED}"));
        }
        None
    }
}

/// The counter of changes (<https://www.sqlite.org/fileformat2.html#file_change_counter>).
fn changes(header: &Header) -> u32 {
    u32::from_be_bytes([header[24], header[25], header[26], header[27]])
}

/// The length in pages as the header has it (<https://www.sqlite.org/fileformat2.html#in_header_database_size>).
fn pages(header: &Header) -> u64 {
    u64::from(u32::from_be_bytes([header[28], header[29], header[30], header[31]]))
}

/// Bytes a page; 1 means 65,536.
fn page_size(header: &Header) -> u64 {
    match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    }
}
