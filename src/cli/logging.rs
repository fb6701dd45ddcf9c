//! Where the log goes: to standard error by a thread of its own, so that no reader who is gone, no full disk and no stalled reader can stop or
//! slow what is logged about. What cannot be written is counted, and told when it works again.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::metrics::Count;

/// Lines that may wait to be written, and their bytes.
const LINES: usize = 8192;
const BYTES: usize = 4 << 20;
/// A longer line is cut.
const LINE: usize = 256 << 10;
/// How long the last lines may take to be written when the process ends.
const LAST: Duration = Duration::from_millis(500);

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// The log, until it is dropped: then what waits gets a moment to be written.
pub struct Log(Lines);

/// The end that lines are put into; cloning shares it.
#[derive(Clone)]
struct Lines(Arc<Shared>);

struct Shared {
    queue: SyncSender<Vec<u8>>,
    waiting: AtomicUsize,
    lost: Count,
    /// Lines were lost since the last one that was written.
    losing: AtomicBool,
    /// Lines put in, and written or lost.
    progress: Mutex<(u64, u64)>,
    done: Condvar,
}

/// Collects what one event writes.
struct Line {
    lines: Lines,
    text: Vec<u8>,
}

/// Sends the log to standard error. A panic is logged, too, instead of written past the log. `lost` counts the lines that could not be written.
pub fn start(format: Option<LogFormat>, filter: &str, lost: Count) -> io::Result<Log> {
    let terminal = io::stderr().is_terminal();
    let log = write_to(io::stderr(), lost)?;
    let (filter, unknown) = filter_of(filter);
    let format = format.unwrap_or(if terminal { LogFormat::Pretty } else { LogFormat::Json });
    // What the subscriber itself cannot do it would tell by a line past the log.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log.0.clone()).with_target(false).log_internal_errors(false);
    match format {
        LogFormat::Pretty => builder.with_ansi(terminal && std::env::var_os("NO_COLOR").is_none()).init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied()).unwrap_or_default();
        tracing::error!(place, panic = text, "a part of Watchfire failed unexpectedly; please report it");
    }));
    if let Some(given) = unknown {
        tracing::warn!(given, "the level of WATCHFIRE_LOG, or of --log, is unknown: write error, warn, info, debug or trace; info is used");
    }
    Ok(log)
}

/// What a text lets into the log. What is no level, nor levels of parts, is returned: it would let nothing in, and `info` is used.
fn filter_of(text: &str) -> (EnvFilter, Option<&str>) {
    let word = text.trim().to_ascii_lowercase();
    let directives = match word.as_str() {
        "" => "info".to_owned(),
        // A level alone is ours: what libraries say at it is thousands of lines, and what alerts say is in them.
        "debug" | "trace" => format!("info,watchfire={word}"),
        "off" | "error" | "warn" | "info" => word,
        // It would be the name of a part.
        _ if word.bytes().all(|b| b.is_ascii_alphanumeric()) => return (EnvFilter::new("info"), Some(text)),
        _ => text.to_owned(),
    };
    EnvFilter::try_new(directives).map_or_else(|_| (EnvFilter::new("info"), Some(text)), |filter| (filter, None))
}

/// A log that a thread writes to `out`.
fn write_to(out: impl Write + Send + 'static, lost: Count) -> io::Result<Log> {
    let (queue, taken) = sync_channel(LINES);
    let shared =
        Shared { queue, waiting: AtomicUsize::new(0), lost, losing: AtomicBool::new(false), progress: Mutex::default(), done: Condvar::new() };
    let lines = Lines(Arc::new(shared));
    let weak = Arc::downgrade(&lines.0);
    let write = move || {
        let mut out = out;
        let mut torn = false;
        while let Some(line) = next(&taken, || weak.strong_count() > 0) {
            let written = put(&mut out, &line, &mut torn);
            let Some(shared) = weak.upgrade() else { return };
            shared.written(line.len(), written.is_ok());
        }
    };
    std::thread::Builder::new().name("log".into()).spawn(write)?;
    Ok(Log(lines))
}

fn next(taken: &Receiver<Vec<u8>>, used: impl Fn() -> bool) -> Option<Vec<u8>> {
    loop {
        match taken.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => return Some(line),
            Err(RecvTimeoutError::Timeout) if used() => {}
            Err(_) => return None,
        }
    }
}

/// Writes a line. After one that was written in part the next starts on a new line.
fn put(out: &mut impl Write, line: &[u8], torn: &mut bool) -> io::Result<()> {
    let mut left = line;
    if *torn {
        out.write_all(b"\n")?;
        *torn = false;
    }
    while !left.is_empty() {
        match out.write(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                left = &left[n..];
                *torn = !left.is_empty();
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A standard error that was set not to block, and is full.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

impl Shared {
    fn written(&self, bytes: usize, ok: bool) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        if !ok {
            self.lose();
        } else if self.losing.swap(false, Ordering::Relaxed) {
            tracing::warn!(lost = self.lost.get(), "the log can be written again; lines were lost, and are counted since the start");
        }
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).1 += 1;
        self.done.notify_all();
    }

    fn lose(&self) {
        self.lost.inc();
        self.losing.store(true, Ordering::Relaxed);
    }
}

impl Lines {
    fn put(&self, mut line: Vec<u8>) {
        if line.len() > LINE {
            line.truncate(LINE);
            line.push(b'\n');
        }
        let bytes = line.len();
        if self.0.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > BYTES {
            self.0.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return self.0.lose();
        }
        // Counted first: else it could be written before it was put in.
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
        if self.0.queue.try_send(line).is_err() {
            self.0.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.0.progress.lock().unwrap_or_else(PoisonError::into_inner).1 += 1;
            self.0.lose();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let shared = &self.0.0;
        let progress = shared.progress.lock().unwrap_or_else(PoisonError::into_inner);
        drop(shared.done.wait_timeout_while(progress, LAST, |(put, written)| written < put));
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { lines: self.clone(), text: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.lines.put(std::mem::take(&mut self.text));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Fails, or blocks, until it may go on; sends on what it was given.
    struct Out {
        fails: Arc<AtomicBool>,
        gate: Option<mpsc::Receiver<()>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(gate) = self.gate.take() {
                let _ = gate.recv();
            }
            if self.fails.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let some = bytes.len().min(7);
            self.taken.lock().unwrap().extend_from_slice(&bytes[..some]);
            Ok(some)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(log: &Log, text: &str) {
        let mut line = log.0.make_writer();
        line.write_all(text.as_bytes()).unwrap();
        line.write_all(b"\n").unwrap();
    }

    fn settled(log: &Log) {
        let progress = log.0.0.progress.lock().unwrap();
        let (progress, late) = log.0.0.done.wait_timeout_while(progress, Duration::from_secs(20), |(put, written)| written < put).unwrap();
        assert!(!late.timed_out(), "{progress:?}");
    }

    #[test]
    fn what_is_no_level_does_not_silence_the_log() {
        for (text, level) in [("", "info"), ("WARN", "warn"), (" error ", "error"), ("off", "off")] {
            let (filter, unknown) = filter_of(text);
            assert_eq!((filter.to_string().as_str(), unknown), (level, None), "{text}");
        }
        for text in ["debug", "watchfire=debug", "warn,watchfire::store=trace"] {
            assert_eq!(filter_of(text).1, None, "{text}");
        }
        for text in ["warning", "verbose", "INFORMATION", "3"] {
            let (filter, unknown) = filter_of(text);
            assert_eq!((filter.to_string().as_str(), unknown), ("info", Some(text)));
        }
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_what_comes_after_is_written() {
        let (fails, taken, lost) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<u8>>>::default(), Count::default());
        let log = write_to(Out { fails: fails.clone(), gate: None, taken: taken.clone() }, lost.clone()).unwrap();
        line(&log, "first of them");
        settled(&log);
        fails.store(true, Ordering::Relaxed);
        line(&log, "second");
        line(&log, "third");
        settled(&log);
        assert_eq!((lost.get(), log.0.0.losing.load(Ordering::Relaxed)), (2, true));
        fails.store(false, Ordering::Relaxed);
        line(&log, "fourth");
        settled(&log);
        assert_eq!((lost.get(), log.0.0.losing.load(Ordering::Relaxed)), (2, false), "told once");
        assert_eq!(String::from_utf8_lossy(&taken.lock().unwrap()), "first of them\nfourth\n");
    }

    #[test]
    fn one_that_stands_still_holds_nobody_up_and_no_more_than_its_bound() {
        let (go_on, gate) = mpsc::channel();
        let lost = Count::default();
        let out = Out { fails: Arc::default(), gate: Some(gate), taken: Arc::default() };
        let log = write_to(out, lost.clone()).unwrap();
        for _ in 0..3 * LINES {
            line(&log, "a line that nobody reads");
        }
        assert!(lost.get() >= (2 * LINES - 1) as u64, "{}", lost.get());
        let before = lost.get();
        for _ in 0..100 {
            line(&log, &"x".repeat(LINE));
        }
        assert_eq!(lost.get(), before + 100);
        assert!(log.0.0.waiting.load(Ordering::Relaxed) <= BYTES);
        go_on.send(()).unwrap();
        settled(&log);
        assert_eq!(log.0.0.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_end_waits_for_the_last_lines_but_not_for_ever() {
        let taken = Arc::<Mutex<Vec<u8>>>::default();
        let log = write_to(Out { fails: Arc::default(), gate: None, taken: taken.clone() }, Count::default()).unwrap();
        line(&log, "the last word");
        drop(log);
        assert_eq!(String::from_utf8_lossy(&taken.lock().unwrap()), "the last word\n");
        let (_held, gate) = mpsc::channel();
        let log = write_to(Out { fails: Arc::default(), gate: Some(gate), taken }, Count::default()).unwrap();
        line(&log, "nobody reads this");
        drop(log);
    }
}
