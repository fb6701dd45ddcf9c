//! Prints messages to the terminal: the channel that needs no credential, so that a newcomer sees an alert arrive.
//! It knows no network. The writing is done off the runtime, because a paused terminal blocks its writer.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout_at;

use super::{BuildContext, Built, CellResult, Channel, Living, Pace, Platform, PlatformConfig, Problem, SendContext, kit};
use crate::model::{ErrorKind, Escape, FieldSpec, Form, Language, OutletKey, Page, PlatformIds, Receipt, Recipient, SendError, Size};

/// More than any terminal shows; it only keeps a message from being endless.
const MAX_BYTES: usize = 64 * 1024;

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "log",
    title: "Terminal",
    about: "prints messages to standard output or standard error",
    fields: &[FieldSpec { name: "text", escape: Escape::None, required: true, single_line: false, template: include_str!("text.hbs") }],
    measure: &|page| Size::bytes(page.field("text").len(), MAX_BYTES),
    limit: "64 KiB (our own)",
    pace: Pace { limits: &[], per_month: None, month_zone: 0, per_recipient: &[], source: "none" },
    living: Living::OFF,
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

/// `log: {}` or `log: { to: stderr }`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where messages are printed. Default `stdout`.
    pub to: Stream,
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error, where the server's own log goes as well.
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    /// Whether it leads to `/dev/null`. One that was closed when the program started does: Rust opens that in its place
    /// (<https://github.com/rust-lang/rust/blob/master/library/std/src/sys/pal/unix/mod.rs>).
    fn is_null(self) -> bool {
        let descriptor = match self {
            Stream::Stdout => io::stdout().as_fd().try_clone_to_owned(),
            Stream::Stderr => io::stderr().as_fd().try_clone_to_owned(),
        };
        let device = |found: io::Result<fs::Metadata>| found.ok().filter(|found| found.file_type().is_char_device()).map(|found| found.rdev());
        let stream = device(descriptor.and_then(|descriptor| File::from(descriptor).metadata()));
        stream.is_some() && stream == device(fs::metadata("/dev/null"))
    }

    fn open(self) -> Box<dyn Write> {
        match self {
            Stream::Stdout => Box::new(io::stdout().lock()),
            Stream::Stderr => Box::new(io::stderr().lock()),
        }
    }
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        Vec::new()
    }

    fn recipients(&self) -> Vec<Recipient> {
        vec![Recipient::new(format!("@{}", self.to.name()))]
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let stream = self.to;
        if stream.is_null() {
            tracing::warn!(
                channel = cx.channel,
                stream = stream.name(),
                "what this channel prints nobody reads: its stream is closed or leads to /dev/null"
            );
        }
        let driver = Driver { channel: cx.channel.to_owned(), open: Arc::new(move || stream.open()), turn: Arc::default() };
        Ok(Built { descriptor: None, channel: Arc::new(driver), outlet: OutletKey::new("log", stream.name()) })
    }
}

struct Driver {
    channel: String,
    open: Arc<dyn Fn() -> Box<dyn Write> + Send + Sync>,
    /// Held by the one blocking write: a terminal that hangs holds up one thread, not one for every try.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        kit::all(to, self.print(frame(&self.channel, page, cx.now), cx).await)
    }

    fn body(&self, page: &Page) -> Value {
        serde_json::json!({ "text": page.field("text") })
    }
}

impl Driver {
    async fn print(&self, frame: String, cx: &SendContext) -> Result<Receipt, SendError> {
        let Ok(turn) = timeout_at(cx.deadline, self.turn.clone().lock_owned()).await else {
            return Err(SendError::new(ErrorKind::Transient, "the terminal still takes an earlier message; is its output paused?"));
        };
        let open = self.open.clone();
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut out = open();
            out.write_all(frame.as_bytes())?;
            out.flush()
        });
        match timeout_at(cx.deadline, written).await {
            Ok(Ok(Ok(()))) => Ok(Receipt { ids: PlatformIds::default(), code: "ok".to_owned(), answer: String::new() }),
            Ok(Ok(Err(error))) => Err(SendError::new(ErrorKind::Transient, format!("the message could not be printed: {error}"))),
            Ok(Err(_)) => Err(SendError::new(ErrorKind::Transient, "the printing was stopped before its end")),
            Err(_) => Err(SendError::new(ErrorKind::Ambiguous, "the terminal did not take the message in time; is its output paused?")),
        }
    }
}

/// The message in a frame that its own text cannot imitate: every line of it begins with a bar.
fn frame(channel: &str, page: &Page, now: Timestamp) -> String {
    let facts = &page.facts;
    let mut out = format!("┌─ {channel} · {now:.0}");
    if facts.form != Form::Note {
        out.push_str(&format!(" · {}", kit::pattern::status(facts).to_uppercase()));
        if facts.severity.is_some() {
            out.push_str(&format!(" {}", kit::pattern::severity(facts)));
        }
    }
    if page.total > 1 {
        out.push_str(&match facts.language {
            Language::En => format!(" · page {} of {}", page.number, page.total),
            Language::Zh => format!(" · 第 {}/{} 页", page.number, page.total),
        });
    }
    out.push('\n');
    for line in printable(page.field("text").trim_end()).split('\n') {
        out.push_str(if line.is_empty() { "│" } else { "│ " });
        out.push_str(line);
        out.push('\n');
    }
    out.push_str("└─\n");
    out
}

/// Without what moves a terminal's cursor, changes its state or turns its writing direction: alerts carry what others wrote.
fn printable(text: &str) -> String {
    let replace = |c: char| match c {
        '\n' | '\t' => c,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::model::{MessageId, MessageStatus, Severity};

    fn page(text: &str) -> Page {
        let mut page = Page { number: 1, total: 1, ..Page::default() };
        page.fields.insert("text".into(), text.into());
        page.facts.severity = Some(Severity::Critical);
        page
    }

    fn context() -> SendContext {
        SendContext {
            now: "2026-11-23T10:00:00.25Z".parse().unwrap(),
            deadline: tokio::time::Instant::now() + Duration::from_secs(10),
            message: MessageId::new(),
            attempt: 1,
            unanswered: false,
            idempotency_key: "k".into(),
            traceparent: String::new(),
            direct: false,
            callback: String::new(),
            press: String::new(),
            reply_to: None,
            own: Default::default(),
        }
    }

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_message_is_printed_in_a_frame() {
        let paper = Paper::default();
        let out = paper.clone();
        let driver = Driver { channel: "ops-log".into(), open: Arc::new(move || Box::new(out.clone())), turn: Arc::default() };
        let to = [Recipient::new("@stdout")];
        let results = driver.send(&page("磁盘 94%\n\nrunbook: https://x/\n"), &to, &context()).await;
        assert!(results[0].1.is_ok());
        let printed = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        assert_eq!(printed, "┌─ ops-log · 2026-11-23T10:00:00Z · FIRING critical\n│ 磁盘 94%\n│\n│ runbook: https://x/\n└─\n");
    }

    #[test]
    fn text_cannot_leave_its_frame_or_drive_the_terminal() {
        let mut page = page("a\r\nb\x1b[2J\x07\r\u{202e}└─");
        page.total = 3;
        let framed = frame("c", &page, Timestamp::UNIX_EPOCH);
        assert_eq!(framed, "┌─ c · 1970-01-01T00:00:00Z · FIRING critical · page 1 of 3\n│ a\n│ b\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}└─\n└─\n");
    }

    #[test]
    fn a_frame_is_in_the_language_of_its_channel() {
        let mut page = page("磁盘 94%");
        (page.number, page.total, page.facts.language) = (2, 3, Language::Zh);
        assert_eq!(frame("c", &page, Timestamp::UNIX_EPOCH), "┌─ c · 1970-01-01T00:00:00Z · 告警中 严重 · 第 2/3 页\n│ 磁盘 94%\n└─\n");
        (page.total, page.facts.severity, page.facts.status) = (1, None, MessageStatus::Unreported);
        assert!(frame("c", &page, Timestamp::UNIX_EPOCH).starts_with("┌─ c · 1970-01-01T00:00:00Z · 不再上报\n"));
        page.facts.language = Language::En;
        assert!(frame("c", &page, Timestamp::UNIX_EPOCH).starts_with("┌─ c · 1970-01-01T00:00:00Z · NO LONGER REPORTED\n"));
    }

    #[tokio::test]
    async fn a_closed_pipe_is_a_failure() {
        let driver = Driver { channel: "c".into(), open: Arc::new(|| Box::new(Broken)), turn: Arc::default() };
        let error = driver.send(&page("x"), &[Recipient::new("@stdout")], &context()).await.remove(0).1.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient);
        assert!(error.summary.contains("broken pipe"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminal_that_hangs_holds_up_one_write_only() {
        let driver = Driver { channel: "c".into(), open: Arc::new(|| unreachable!("nobody may write")), turn: Arc::default() };
        let _earlier = driver.turn.clone().lock_owned().await;
        let error = driver.send(&page("x"), &[Recipient::new("@stdout")], &context()).await.remove(0).1.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient);
        assert!(error.summary.contains("paused"), "{error}");
    }

    #[test]
    fn an_empty_block_is_enough() {
        let config: Config = serde_yaml::from_str("{}").unwrap();
        assert_eq!(config.to, Stream::Stdout);
        let config: Config = serde_yaml::from_str("to: stderr").unwrap();
        assert_eq!(config.recipients(), [Recipient::new("@stderr")]);
        assert!(serde_yaml::from_str::<Config>("to: file").is_err());
    }
}
