//! What the demonstration prints, and the pauses for reading it: coloured on a terminal, plain where it is piped.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::delivery::Clock;

const TITLE: Style = AnsiColor::Green.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// Prints lines, each with its second since the start.
pub struct Teller {
    clock: Clock,
    begun: Instant,
    /// Of pauses, in percent.
    pace: u32,
}

impl Teller {
    /// Begins now.
    pub fn new(clock: Clock, pace: u32) -> Self {
        let begun = clock.instant();
        Self { clock, begun, pace }
    }

    /// The time of day.
    pub fn wall(&self) -> Timestamp {
        self.clock.wall().timestamp()
    }

    /// Whether somebody looks at a terminal and can end the program there.
    pub fn is_watched(&self) -> bool {
        io::stdout().is_terminal() && io::stdin().is_terminal()
    }

    /// The heading of a chapter.
    pub fn chapter(&self, title: &str) -> io::Result<()> {
        print(&format!("\n{TITLE}{title}{TITLE:#}\n"))
    }

    /// A line of what happens now.
    pub fn say(&self, text: &str) -> io::Result<()> {
        let second = self.clock.instant().duration_since(self.begun).as_secs();
        print(&format!("{FAINT}{second:>4} s{FAINT:#}  {text}\n"))
    }

    /// What a command prints, indented.
    pub fn show(&self, text: &str) -> io::Result<()> {
        let lines: String = text.trim_end().lines().map(|line| format!("        {FAINT}│{FAINT:#} {line}\n")).collect();
        print(&lines)
    }

    /// Time to read.
    pub async fn pause(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds) * self.pace / 100).await;
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
