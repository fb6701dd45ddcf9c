//! The log as a crash has left it, read before SQLite reads it: SQLite takes what comes before the first damaged frame, drops the rest, and says nothing.
//! And the log while it is open, read before it is moved into the file: SQLite looks at the checksums of its frames only when it recovers.
//!
//! Knows the format of logs and of their index (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>, <https://www.sqlite.org/walformat.html>).

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Bytes of the log's header.
const HEADER: usize = 32;
/// Bytes before each page in the log.
const FRAME: usize = 24;
/// The log's magic number; the last bit is the byte order of checksums.
const MAGIC: u32 = 0x377f_0682;

/// The file that SQLite keeps beside the database under this ending.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A log that does not hold what was committed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    /// Pages of transactions that can be read.
    pub(super) whole: u64,
    /// Pages after them that were written and cannot be.
    pub(super) lost: u64,
    /// Whether they are known to have been committed; else a power failure may have cut a transaction that no caller knows of.
    pub(super) committed: bool,
}

impl Lost {
    /// What that means while the database is open, in words.
    pub(super) fn tell_open(self, log: &Path) -> String {
        let (log, Self { whole, lost, .. }) = (log.display(), self);
        format!(
            "the log `{log}` was written over or cut while Watchfire has it open: {lost} pages of it cannot be read, {whole} before them can; nothing of it is \
             moved into the database any more, and nothing new is accepted; look at the disk and at who writes there, then restart Watchfire: it continues \
             with what can be read, and reports what is lost"
        )
    }

    /// What that means, in words.
    pub(super) fn describe(self, log: &Path) -> String {
        let (log, Self { whole, lost, committed }) = (log.display(), self);
        if committed {
            return format!(
                "the log `{log}` was damaged while no Watchfire ran: {lost} pages of it that were written to disk cannot be read, {whole} before them \
                 could; what was accepted and sent last is forgotten: alerts may be missing, others may be sent a second time; look at the disk, and at \
                 what the senders sent last"
            );
        }
        format!(
            "the log `{log}` ends in {lost} pages that cannot be read, {whole} before them could: a power failure in the middle of a write leaves this, and \
             then nothing is lost that was answered with 200; a damaged disk leaves it, too, and then what was accepted and sent last is forgotten"
        )
    }
}

/// Reads the log of a database that nobody has open; `None`: it is whole, or there is none.
pub(super) fn examine(log: &Path, index: &Path) -> io::Result<Option<Lost>> {
    let file = match File::open(log) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Index::read(index).and_then(|index| index.all_of_it())),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let index = Index::read(index);
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut header = [0; HEADER];
    let head = if read_full(&mut file, &mut header)? == HEADER { Head::parse(&header) } else { None };
    let Some(head) = head else {
        return Ok(match index {
            Some(index) => index.all_of_it(),
            None => (length >= HEADER as u64).then_some(Lost { whole: 0, lost: (length / 4096).max(1), committed: false }),
        });
    };
    let mut sum = head.sum;
    let (mut whole, mut sound, mut later) = (0, 0, 0);
    let mut frame = vec![0; FRAME + head.page];
    let mut broken = false;
    while read_full(&mut file, &mut frame)? == frame.len() {
        if frame[8..16] != head.salt {
            // What an earlier round of the log has left: the end, unless a frame of this round comes after it.
            broken = true;
            continue;
        }
        later += 1;
        if broken {
            continue;
        }
        let next = head.checksum(head.checksum(sum, &frame[..8]), &frame[FRAME..]);
        if (word(&frame, 16), word(&frame, 20)) != next {
            broken = true;
            continue;
        }
        sum = next;
        sound += 1;
        if word(&frame, 4) != 0 {
            whole = sound;
        }
    }
    // Frames of this round behind one that cannot be read. Without an index it is unknown whether they were committed.
    let behind = later - sound;
    let guess = (behind > 0).then_some(Lost { whole, lost: behind, committed: false });
    Ok(match index.filter(|index| index.salt == head.salt) {
        Some(index) if index.frames > whole && whole == 0 => index.all_of_it(),
        Some(index) if index.frames > whole => Some(Lost { whole, lost: index.frames - whole, committed: true }),
        Some(index) if index.frames == whole => None,
        _ => guess,
    })
}

/// What is needed of the log's header.
struct Head {
    page: usize,
    salt: [u8; 8],
    big: bool,
    sum: (u32, u32),
}

impl Head {
    fn parse(header: &[u8; HEADER]) -> Option<Self> {
        let magic = word(header, 0);
        let page = word(header, 8) as usize;
        if magic & !1 != MAGIC || !(512..=65_536).contains(&page) || !page.is_power_of_two() {
            return None;
        }
        let mut head = Self { page, salt: header[16..24].try_into().ok()?, big: magic & 1 == 1, sum: (0, 0) };
        head.sum = head.checksum((0, 0), &header[..24]);
        ((word(header, 24), word(header, 28)) == head.sum).then_some(head)
    }

    fn checksum(&self, (mut one, mut two): (u32, u32), bytes: &[u8]) -> (u32, u32) {
        let read = |at: &[u8]| {
            let bytes = [at[0], at[1], at[2], at[3]];
            if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        for pair in bytes.chunks_exact(8) {
            one = one.wrapping_add(read(&pair[..4])).wrapping_add(two);
            two = two.wrapping_add(read(&pair[4..])).wrapping_add(one);
        }
        (one, two)
    }
}

/// How much of an open log was found as it was written. Frames are read once: what was read and is moved into the file is not needed again.
#[derive(Default)]
pub(super) struct Verified {
    /// Held open for as long as connections are: SQLite's locks are on this file, too, and to close any handle of it would end them, also those of
    /// connections that go on while the writer's is replaced.
    index: Option<File>,
    /// Former indexes: connections that go on may still have their locks there.
    former: Vec<File>,
    head: Option<Head>,
    frames: u64,
    sum: (u32, u32),
}

impl Verified {
    /// The log with this index begins: nothing of it was read.
    pub(super) fn begin(&mut self, index: &Path) {
        (self.head, self.frames) = (None, 0);
        let place = |of: &Metadata| (of.dev(), of.ino());
        let open = self.index.as_ref().and_then(|open| open.metadata().ok());
        // Opened only where it is another file: a handle that is not kept would be closed.
        if open.is_none_or(|open| std::fs::metadata(index).ok().as_ref().map(place) != Some(place(&open))) {
            self.former.extend(self.index.take());
            self.index = File::open(index).ok();
        }
    }

    /// Reads what was committed since the last time. `None`: it is as it was written, or nobody can tell because the log begins again just now.
    pub(super) fn extend(&mut self, log: &Path) -> io::Result<Option<Lost>> {
        let Some(index) = self.committed() else { return Ok(None) };
        if self.head.as_ref().is_none_or(|head| head.salt != index.salt) || self.frames > index.frames {
            (self.head, self.frames) = (None, 0);
        }
        // The log is not locked by anybody, so it may be opened and closed.
        let log = File::open(log)?;
        if self.head.is_none() {
            let mut header = [0; HEADER];
            let head = log.read_exact_at(&mut header, 0).ok().and_then(|()| Head::parse(&header)).filter(|head| head.salt == index.salt);
            let Some(head) = head else { return Ok(self.lost(&index)) };
            self.sum = head.sum;
            self.head = Some(head);
        }
        let Some(head) = &self.head else { return Ok(None) };
        let mut frame = vec![0; FRAME + head.page];
        while self.frames < index.frames {
            let at = HEADER as u64 + self.frames * frame.len() as u64;
            let read = log.read_exact_at(&mut frame, at).is_ok() && frame[8..16] == head.salt;
            let sum = head.checksum(head.checksum(self.sum, &frame[..8]), &frame[FRAME..]);
            if !read || (word(&frame, 16), word(&frame, 20)) != sum {
                return Ok(self.lost(&index));
            }
            self.sum = sum;
            self.frames += 1;
        }
        Ok(None)
    }

    fn committed(&self) -> Option<Index> {
        let mut head = [0; Index::BYTES];
        self.index.as_ref()?.read_exact_at(&mut head, 0).ok()?;
        Index::parse(&head).filter(|index| index.frames > 0)
    }

    /// What cannot be read, unless the log began again meanwhile, or all of it is in the file already.
    fn lost(&self, index: &Index) -> Option<Lost> {
        let now = self.committed()?;
        let lost = now.salt == index.salt && now.moved < index.frames;
        lost.then(|| Lost { whole: self.frames, lost: index.frames - self.frames, committed: true })
    }
}

/// What the index beside the log says was committed.
struct Index {
    frames: u64,
    /// Of these, so many are in the database file already.
    moved: u64,
    salt: [u8; 8],
}

impl Index {
    /// What is lost when nothing of the log can be read.
    fn all_of_it(&self) -> Option<Lost> {
        (self.moved < self.frames).then_some(Lost { whole: 0, lost: self.frames - self.moved, committed: true })
    }

    /// Bytes that are read of it.
    const BYTES: usize = 100;

    /// `None` when there is none. Only while no connection is open: closing the file ends SQLite's locks on it.
    fn read(path: &Path) -> Option<Self> {
        let mut head = [0; Self::BYTES];
        let mut file = File::open(path).ok()?;
        if read_full(&mut file, &mut head).ok()? < head.len() {
            return None;
        }
        Self::parse(&head)
    }

    /// `None` when its two copies differ: it was being written.
    fn parse(head: &[u8; Self::BYTES]) -> Option<Self> {
        if head[..48] != head[48..96] || head[12] != 1 {
            return None;
        }
        let number = |at: usize| u64::from(u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
        Some(Self { frames: number(16), moved: number(96), salt: head[32..40].try_into().ok()? })
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Fills the buffer, as far as there is something.
fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
