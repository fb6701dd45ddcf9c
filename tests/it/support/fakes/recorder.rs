//! What a fake remembers: every request with its verdict (bounded in number and bytes), counts by verdict and
//! code, and the marks (unique ids) that readers have seen. Counting goes on when the records are off.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::call::{Answer, Call, Verdict};

const KEEP_RECORDS: usize = 20_000;
const KEEP_BYTES: usize = 64 << 20;
const KEEP_ARRIVALS: usize = 2_000_000;

/// One request and what was made of it.
#[derive(Debug, Clone)]
pub struct Record {
    /// Counts from 1 per fake, in order of arrival.
    pub seq: u64,
    /// The request.
    pub call: Call,
    /// The HTTP status that went out; 0 when none did.
    pub status: u16,
    /// The verdict.
    pub verdict: Verdict,
    /// The platform's code.
    pub code: String,
    /// What people read.
    pub text: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// Silent effects.
    pub notes: Vec<String>,
    /// The fault that was played, as the script names it.
    pub fault: Option<String>,
}

impl Record {
    /// The request body as JSON; `Null` when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.call.body).unwrap_or(Value::Null)
    }

    fn to_value(&self) -> Value {
        let pairs = |p: &[(String, String)]| p.iter().map(|(k, v)| json!([k, v])).collect::<Vec<_>>();
        json!({
            "seq": self.seq, "at_ms": self.call.now.wall_ms, "mono_ms": self.call.now.mono_ms, "method": self.call.method, "path": self.call.path,
            "query": pairs(&self.call.query), "headers": pairs(&self.call.headers), "body": String::from_utf8_lossy(&self.call.body),
            "status": self.status, "verdict": self.verdict.as_str(), "code": self.code, "text": self.text, "to": self.to, "notes": self.notes,
            "fault": self.fault,
        })
    }
}

/// When and how often a mark was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The number of the first message that named it.
    pub first: u64,
    /// The fake's monotonic time of the first message that named it.
    pub first_ms: u64,
    /// How many accepted messages named it, each counted once.
    pub times: u32,
}

#[derive(Debug, Default)]
struct Book {
    seq: u64,
    records: VecDeque<Record>,
    bytes: usize,
    count_only: bool,
    counts: BTreeMap<(&'static str, String), u64>,
    sent_at: VecDeque<u64>,
    mark: Option<String>,
    seen: HashMap<String, Seen>,
    order: Vec<String>,
    repeated: HashSet<u64>,
}

/// The book of one fake; clones are views onto one.
#[derive(Debug, Clone)]
pub struct Recorder {
    book: Arc<Mutex<Book>>,
    changed: watch::Sender<u64>,
    under_way: Arc<AtomicUsize>,
    unread: Arc<AtomicUsize>,
}

/// A request that is being handled; it counts until it is answered or its client is gone.
pub struct UnderWay {
    rec: Recorder,
    is_owed: bool,
}

impl UnderWay {
    /// A message that was taken is owed an answer.
    pub fn took(&mut self, answer: &Answer) {
        self.is_owed = answer.verdict == Verdict::Accepted;
    }

    /// Its client was still there for the answer.
    pub fn answered<T>(mut self, response: T) -> T {
        self.is_owed = false;
        response
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.is_owed {
            self.rec.unread.fetch_add(1, Ordering::Relaxed);
        }
        self.rec.under_way.fetch_sub(1, Ordering::Relaxed);
        // Waiting tests check again.
        self.rec.changed.send_modify(|_| ());
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self { book: Arc::default(), changed: watch::channel(0).0, under_way: Arc::default(), unread: Arc::default() }
    }
}

impl Recorder {
    /// A request begins.
    pub fn enter(&self) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay { rec: self.clone(), is_owed: false }
    }

    /// Requests that are being handled now.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Messages and edits that were taken, whose client left before it had read the answer. One that is answered at once counts as read.
    pub fn unread(&self) -> usize {
        self.unread.load(Ordering::Relaxed)
    }

    /// Keeps counts, send times and marks only; requests are not stored (for load tests).
    pub fn count_only(&self, on: bool) {
        self.lock().count_only = on;
    }

    /// From now on notes every word that starts with `prefix` (letters, digits, `-`, `_`) in the text of accepted messages.
    pub fn track(&self, prefix: &str) {
        self.lock().mark = Some(prefix.to_owned());
    }

    /// Writes one request down.
    pub fn push(&self, call: &Call, answer: &Answer, status: u16, fault: Option<String>) {
        let seq = {
            let mut book = self.lock();
            book.seq += 1;
            let seq = book.seq;
            *book.counts.entry((answer.verdict.as_str(), answer.code.clone())).or_default() += 1;
            if matches!(answer.verdict, Verdict::Accepted | Verdict::Dropped | Verdict::Duplicate) {
                book.sent_at.push_back(call.now.mono_ms);
                if book.sent_at.len() > KEEP_ARRIVALS {
                    book.sent_at.pop_front();
                }
            }
            if answer.verdict == Verdict::Accepted
                && let Some(prefix) = book.mark.clone()
            {
                let mut words = words_with(&answer.text, &prefix);
                let mut once = HashSet::new();
                words.retain(|word| once.insert(*word));
                for word in words {
                    match book.seen.get_mut(word) {
                        Some(seen) => {
                            seen.times += 1;
                            let first = seen.first;
                            book.repeated.insert(first);
                        }
                        None => {
                            book.seen.insert(word.to_owned(), Seen { first: seq, first_ms: call.now.mono_ms, times: 1 });
                            book.order.push(word.to_owned());
                        }
                    }
                }
            }
            if !book.count_only {
                book.bytes += call.body.len() + answer.text.len();
                book.records.push_back(Record {
                    seq,
                    call: call.clone(),
                    status,
                    verdict: answer.verdict,
                    code: answer.code.clone(),
                    text: answer.text.clone(),
                    to: answer.to.clone(),
                    notes: answer.notes.clone(),
                    fault,
                });
                while book.records.len() > KEEP_RECORDS || (book.bytes > KEEP_BYTES && book.records.len() > 1) {
                    if let Some(old) = book.records.pop_front() {
                        book.bytes -= old.call.body.len() + old.text.len();
                    }
                }
            }
            seq
        };
        self.changed.send_replace(seq);
    }

    /// All records that are still kept, oldest first.
    pub fn all(&self) -> Vec<Record> {
        self.lock().records.iter().cloned().collect()
    }

    /// The records with this verdict.
    pub fn with(&self, verdict: Verdict) -> Vec<Record> {
        self.lock().records.iter().filter(|r| r.verdict == verdict).cloned().collect()
    }

    /// The messages that were taken.
    pub fn accepted(&self) -> Vec<Record> {
        self.with(Verdict::Accepted)
    }

    /// The newest record.
    pub fn last(&self) -> Option<Record> {
        self.lock().records.back().cloned()
    }

    /// How many requests had this verdict, kept or not.
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.lock().counts.iter().filter(|((v, _), _)| *v == verdict.as_str()).map(|(_, n)| n).sum()
    }

    /// How many requests were answered with this platform code.
    pub fn count_code(&self, code: &str) -> u64 {
        self.lock().counts.iter().filter(|((_, c), _)| c == code).map(|(_, n)| n).sum()
    }

    /// How many requests arrived.
    pub fn total(&self) -> u64 {
        self.lock().seq
    }

    /// The marks read so far.
    pub fn seen(&self) -> HashMap<String, Seen> {
        self.lock().seen.clone()
    }

    /// The marks in order of their first reading.
    pub fn seen_order(&self) -> Vec<String> {
        self.lock().order.clone()
    }

    /// How many messages named a mark that a later one names again.
    pub fn repeated(&self) -> usize {
        self.lock().repeated.len()
    }

    /// The most sends that the platform answered with success in any span of `window`.
    pub fn busiest(&self, window: Duration) -> usize {
        let span = window.as_millis() as u64;
        let mut times: Vec<u64> = self.lock().sent_at.iter().copied().collect();
        times.sort_unstable();
        let mut from = 0;
        (0..times.len())
            .map(|to| {
                while times[to] - times[from] >= span {
                    from += 1;
                }
                to - from + 1
            })
            .max()
            .unwrap_or(0)
    }

    /// Forgets everything, the marks too.
    pub fn clear(&self) {
        let mut book = self.lock();
        *book = Book { count_only: book.count_only, mark: book.mark.take(), ..Book::default() };
    }

    /// Waits until `until` holds; false when it does not within `limit`.
    pub async fn wait(&self, limit: Duration, until: impl Fn(&Recorder) -> bool) -> bool {
        let mut changes = self.changed.subscribe();
        tokio::time::timeout(limit, async {
            while !until(self) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        })
        .await
        .is_ok()
    }

    /// Waits until `n` messages were taken; returns what was, fewer when the time is over.
    pub async fn wait_accepted(&self, n: u64, limit: Duration) -> Vec<Record> {
        self.wait(limit, |r| r.count(Verdict::Accepted) >= n).await;
        self.accepted()
    }

    /// Counts as JSON: `{"total":3,"accepted":2,"codes":{"accepted/0":2,...},"marks":0}`.
    pub fn counts_json(&self) -> Value {
        let book = self.lock();
        let mut by_verdict: BTreeMap<&str, u64> = BTreeMap::new();
        for ((verdict, _), n) in &book.counts {
            *by_verdict.entry(verdict).or_default() += n;
        }
        let codes: BTreeMap<String, u64> = book.counts.iter().map(|((v, c), n)| (format!("{v}/{c}"), *n)).collect();
        let mut out = json!({ "total": book.seq, "codes": codes, "marks": book.seen.len() });
        for (verdict, n) in by_verdict {
            out[verdict] = json!(n);
        }
        out
    }

    /// The kept records as a JSON array.
    pub fn records_json(&self) -> Value {
        Value::Array(self.lock().records.iter().map(Record::to_value).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The words of `text` that start with `prefix`, each once.
pub fn words_with<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    if prefix.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<&str> = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(rest.len());
        if !found.contains(&&rest[..end]) {
            found.push(&rest[..end]);
        }
    }
    found
}
