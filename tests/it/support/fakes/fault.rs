//! The script of faults: what happens to a request instead of, or on top of, the platform's own answer.
//! A queue (first in, first used), a seeded lottery, or one fault for all; optionally for one path only.

use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::call::Answer;
use super::crypt::Dice;

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// None: lets one request pass (to place a later fault in the queue).
    Pass,
    /// The platform handles the request at once, its answer comes late.
    Delay(Duration),
    /// The request is read, not handled; the connection is closed.
    CloseBefore,
    /// The request is handled; the connection is closed without an answer (unknown outcome).
    CloseAfter,
    /// As `CloseBefore`, with a TCP reset.
    Reset,
    /// As `CloseAfter`, with a TCP reset.
    ResetAfter,
    /// Not handled, never answered; the connection stays open.
    Hang,
    /// Handled, never answered.
    HangAfter,
    /// Handled; the answer comes one byte per interval.
    Drip(Duration),
    /// Not handled; a gateway's HTML page with this status.
    Html(u16),
    /// Handled; the JSON ends in the middle, in good HTTP framing.
    Truncate,
    /// Handled; the connection is closed in the middle of the body.
    Cut,
    /// Not handled; a bare status, with `Retry-After` seconds if given.
    Status(u16, Option<u64>),
    /// Not handled; exactly this status, content type and body.
    Reply(u16, String, String),
    /// Not handled; this status with these headers and body.
    Headed(u16, Vec<(String, String)>, String),
    /// Handled; the answer is followed by so many bytes of white space.
    Huge(usize),
    /// Handled; the answer is declared as `application/octet-stream`.
    WrongType,
    /// The listener and all connections are closed, and opened again after this time.
    Down(Duration),
}

impl Fault {
    /// Whether the platform handles the request in spite of the fault.
    pub fn handles(&self) -> bool {
        use Fault::*;
        matches!(self, Pass | Delay(_) | CloseAfter | ResetAfter | HangAfter | Drip(_) | Truncate | Cut | Huge(_) | WrongType)
    }

    /// Whether an answer goes out at all.
    pub fn answers(&self) -> bool {
        use Fault::*;
        !matches!(self, CloseBefore | CloseAfter | Reset | ResetAfter | Hang | HangAfter | Down(_))
    }

    /// The answer of a fault that does not let the platform handle the request.
    pub fn answer(&self) -> Answer {
        match self {
            Fault::Html(status) => {
                let page = "<html>\r\n<head><title>Gateway</title></head>\r\n<body><center><h1>Please wait</h1></center><hr></body>\r\n</html>\r\n";
                Answer::new(*status, "text/html", page)
            }
            Fault::Status(status, retry_after) => {
                let answer = Answer::text(*status, "");
                if let Some(seconds) = retry_after { answer.header("retry-after", seconds) } else { answer }
            }
            Fault::Reply(status, content_type, body) => Answer::new(*status, content_type, body.as_bytes()),
            Fault::Headed(status, headers, body) => {
                headers.iter().fold(Answer::new(*status, "text/plain", body.as_bytes()), |answer, (name, value)| answer.header(name, value))
            }
            _ => Answer::text(500, ""),
        }
    }
}

/// Reads `delay:200ms`, `status:429:30`, `html:502`, `huge:1000000`, `down:2s`, `reset`, `close-after`, ... (for shell scripts).
impl FromStr for Fault {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (name, rest) = s.split_once(':').unwrap_or((s, ""));
        let bad = || format!("cannot read the fault {s:?}");
        let time = || -> Result<Duration, String> {
            if let Some(ms) = rest.strip_suffix("ms") {
                return ms.parse().map(Duration::from_millis).map_err(|_| bad());
            }
            rest.strip_suffix('s').and_then(|n| n.parse().ok()).map(Duration::from_secs_f64).ok_or_else(bad)
        };
        Ok(match name {
            "pass" => Fault::Pass,
            "delay" => Fault::Delay(time()?),
            "close-before" => Fault::CloseBefore,
            "close-after" => Fault::CloseAfter,
            "reset" => Fault::Reset,
            "reset-after" => Fault::ResetAfter,
            "hang" => Fault::Hang,
            "hang-after" => Fault::HangAfter,
            "drip" => Fault::Drip(time()?),
            "html" => Fault::Html(rest.parse().map_err(|_| bad())?),
            "truncate" => Fault::Truncate,
            "cut" => Fault::Cut,
            "huge" => Fault::Huge(rest.parse().map_err(|_| bad())?),
            "wrong-type" => Fault::WrongType,
            "down" => Fault::Down(time()?),
            "status" => {
                let (code, wait) = rest.split_once(':').unwrap_or((rest, ""));
                let wait = if wait.is_empty() { None } else { Some(wait.parse().map_err(|_| bad())?) };
                Fault::Status(code.parse().map_err(|_| bad())?, wait)
            }
            _ => return Err(bad()),
        })
    }
}

#[derive(Debug, Default)]
struct Script {
    queue: Vec<(Option<String>, Fault)>,
    always: Option<(Option<String>, Fault)>,
    lottery: Option<(Dice, Vec<(f64, Fault)>)>,
}

/// The script of one fake; clones are views onto one.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Script>>);

impl Faults {
    /// The next request meets this fault.
    pub fn push(&self, fault: Fault) {
        self.lock().queue.push((None, fault));
    }

    /// The next requests meet these faults, one each, in order.
    pub fn extend(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().queue.extend(faults.into_iter().map(|f| (None, f)));
    }

    /// The next request whose path contains `path` meets this fault.
    pub fn push_on(&self, path: &str, fault: Fault) {
        self.lock().queue.push((Some(path.to_owned()), fault));
    }

    /// Every request meets this fault (after the queue) until `clear`.
    pub fn always(&self, fault: Fault) {
        self.lock().always = Some((None, fault));
    }

    /// Every request whose path contains `path` meets this fault until `clear`.
    pub fn always_on(&self, path: &str, fault: Fault) {
        self.lock().always = Some((Some(path.to_owned()), fault));
    }

    /// Each request draws: a fault with its probability, nothing with the rest. The same seed draws the same sequence.
    pub fn lottery(&self, seed: u64, odds: &[(f64, Fault)]) {
        self.lock().lottery = Some((Dice::new(seed), odds.to_vec()));
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.lock() = Script::default();
    }

    /// How many faults still wait in the queue.
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// Draws the fault for a request.
    pub fn next(&self, path: &str) -> Option<Fault> {
        let mut script = self.lock();
        let fits = |on: &Option<String>| on.as_deref().is_none_or(|p| path.contains(p));
        if let Some(i) = script.queue.iter().position(|(on, _)| fits(on)) {
            return Some(script.queue.remove(i).1);
        }
        if let Some((on, fault)) = &script.always
            && fits(on)
        {
            return Some(fault.clone());
        }
        let (dice, odds) = script.lottery.as_mut()?;
        let mut draw = dice.unit();
        for (chance, fault) in odds.iter() {
            if draw < *chance {
                return Some(fault.clone());
            }
            draw -= chance;
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
