//! Simulated platforms: they see arrivals in true time, keep their own count of the pace, and answer at random.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::channel::descriptor::{Ping, Pings, Reach};
use crate::channel::{Attempts, CellResult, Channel, FinalWord, Later, Limit, Living, LivingMode, OnAmbiguous, Pace, Platform, SendContext};
use crate::model::{DeliveryId, ErrorKind, Escape, FieldSpec, MessageId, Page, PlatformIds, Receipt, Recipient, SendError, Size, UnixMs};

use super::Dice;

const FIELDS: &[FieldSpec] =
    &[FieldSpec { name: "text", escape: Escape::None, required: true, single_line: false, template: include_str!("../../channel/log/text.hbs") }];
const PACE: &[Limit] = &[Limit { count: 20, window: Duration::from_secs(60) }];

const fn card(ambiguous: OnAmbiguous, limits: &'static [Limit], concurrency: usize, batch: usize) -> Platform {
    Platform {
        name: "log",
        fields: FIELDS,
        measure: &|page| Size::bytes(page.field("text").len(), 1500),
        pace: Pace { limits, per_month: None, month_zone: 0, per_recipient: &[], source: "" },
        attempts: Attempts { concurrency, batch },
        on_ambiguous: ambiguous,
        pings: Pings::of(Ping::Inside, Ping::Inside, Ping::Inside, Ping::Inside).reaching(Reach::Mobile),
        ..Platform::BASE
    }
}

/// A room with a rolling limit of 20 a minute.
pub static CHAT: Platform = card(OnAmbiguous::Retry, PACE, 1, 1);
/// A mail server: several recipients, several connections, no limit.
pub static MAIL: Platform = card(OnAmbiguous::Retry, &[], 4, 10);
/// Calls: at most once.
pub static VOICE: Platform = card(OnAmbiguous::Never, PACE, 2, 1);
/// Calls whose vendor reports later what became of them, and counts them for each number.
pub static PHONE: Platform = Platform {
    word: FinalWord::Later(Later { ask: None, calls_back: true, within: Duration::from_secs(900), cancels: false }),
    pace: Pace { limits: &[], per_month: None, month_zone: 0, per_recipient: &[Limit { count: 1, window: Duration::from_secs(3600) }], source: "" },
    ..card(OnAmbiguous::Never, &[], 2, 1)
};
/// Fast and without limit.
pub static FREE: Platform = card(OnAmbiguous::Retry, &[], 8, 1);

/// A room whose messages can be edited and answered.
pub static LIVING: Platform = Platform {
    title: "Room",
    living: Living { edit: true, reply: true, edits_counted: false, spends: None, default: LivingMode::Edit },
    ..card(OnAmbiguous::Retry, &[], 1, 1)
};

/// A room whose messages can be edited once, by their id.
pub static ONCE: Platform = Platform {
    living: Living { edit: true, reply: false, edits_counted: false, spends: Some("id"), default: LivingMode::Edit },
    ..card(OnAmbiguous::Retry, &[], 1, 1)
};

/// A lease, and the longest send that began before its end.
const CROSSING: Duration = Duration::from_secs(30);

/// One arrival at the platform.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// True time.
    pub at: UnixMs,
    /// What its body names; its headline may name more.
    pub uids: BTreeSet<String>,
    pub named: BTreeSet<String>,
    pub covered: BTreeSet<DeliveryId>,
    pub message: MessageId,
    pub recipient: String,
    /// The sender's credential, which the platform counts by.
    pub credential: u64,
}

#[derive(Debug, Default)]
pub struct Seen {
    pub arrivals: Vec<Arrival>,
    /// What the platform confirmed: (alert, recipient, delivery) to the life in which it did. What somebody retries or moves by
    /// hand is another delivery of the same alert.
    pub acknowledged: BTreeMap<(String, String, DeliveryId), u64>,
    /// What went wrong in the platform's eyes.
    pub violations: Vec<String>,
    /// Lanes with a send in flight.
    under_way: BTreeMap<u64, usize>,
}

/// The platform's side of a channel.
#[derive(Debug)]
pub struct Wire {
    pub name: &'static str,
    /// Its lanes have numbers from a hundred times this.
    pub index: u64,
    pub limit: Option<Limit>,
    pub at_most_once: bool,
    /// True time, as the running life has it: its start and the runtime instant of it.
    pub start: Mutex<Option<(UnixMs, tokio::time::Instant, u64)>>,
    pub seen: Mutex<Seen>,
    pub dice: Mutex<Dice>,
    /// Faults in a thousand sends; 0 in the last life.
    pub trouble: Mutex<u64>,
    /// Down, or misconfigured, until then (true time).
    pub down_until: Mutex<UnixMs>,
    pub bad_until: Mutex<UnixMs>,
    /// A node hung or came back lately, until then (true time): what one has begun may cross with what the other begins.
    pub crossed_until: Mutex<UnixMs>,
}

impl Wire {
    pub fn new(index: usize, name: &'static str, card: &Platform, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            name,
            index: index as u64,
            limit: card.pace.limits.first().copied(),
            at_most_once: card.on_ambiguous == OnAmbiguous::Never,
            start: Mutex::default(),
            seen: Mutex::default(),
            dice: Mutex::new(Dice::new(seed)),
            trouble: Mutex::new(250),
            down_until: Mutex::default(),
            bad_until: Mutex::default(),
            crossed_until: Mutex::default(),
        })
    }

    fn now(&self) -> (UnixMs, u64) {
        let (truth, start, life) = self.start.lock().unwrap().expect("a life has begun");
        (truth + start.elapsed(), life)
    }

    /// A node hangs, or goes on.
    pub fn hung(&self) {
        *self.crossed_until.lock().unwrap() = self.now().0 + CROSSING;
    }

    fn crosses(&self) -> bool {
        self.now().0 < *self.crossed_until.lock().unwrap()
    }

    /// Takes a page in for one recipient.
    fn arrive(&self, page: &Page, recipient: &Recipient, message: MessageId, credential: u64) {
        let (at, life) = self.now();
        let uids = uids_of(page);
        let covered: BTreeSet<DeliveryId> = page.coverage.iter().map(|c| c.delivery).collect();
        tracing::debug!(%at, wire = self.name, ?uids, covered = ?page.coverage.iter().map(|c| c.delivery.to_string()).collect::<Vec<_>>(), page = page.number, of = %message, "arrived");
        let mut seen = self.seen.lock().unwrap();
        if let Some(limit) = self.limit {
            let from = at - limit.window;
            let recent = seen.arrivals.iter().rev().take_while(|a| a.at > from).filter(|a| a.credential == credential).count();
            if recent >= limit.count as usize {
                let text = format!("{}: {} arrivals within {:?} at {at}", self.name, recent + 1, limit.window);
                seen.violations.push(text);
            }
        }
        for uid in &uids {
            let told = |delivery: &DeliveryId| seen.acknowledged.get(&(uid.clone(), recipient.masked(), *delivery)) == Some(&life);
            if covered.iter().any(told) && !self.crosses() {
                let text = format!("{}: {uid} came again to {} after the platform had confirmed it in the same life", self.name, recipient.masked());
                seen.violations.push(text);
            }
            // What somebody retries by hand is another delivery: that one is to be sent again.
            let again = |a: &Arrival| a.uids.contains(uid) && a.recipient == recipient.masked() && !a.covered.is_disjoint(&covered);
            if self.at_most_once && seen.arrivals.iter().any(again) {
                let text = format!("{}: {uid} came twice to {}", self.name, recipient.masked());
                seen.violations.push(text);
            }
        }
        // Lanes of other channels are here because somebody moved their deliveries, or because a channel fell back: then they ping whom this one does.
        let home: Vec<bool> = uids.iter().filter_map(|uid| lane_of(uid)).map(|lane| lane / 100 == self.index && pages(lane)).collect();
        if home.iter().any(|paging| *paging != home[0]) {
            seen.violations.push(format!("{}: {uids:?} ping different people and are in one message", self.name));
        }
        if page.number == 1 && home.first().is_some_and(|paging| *paging == page.facts.mentions.is_empty()) {
            seen.violations.push(format!("{}: {uids:?} ping {:?}", self.name, page.facts.mentions));
        }
        let named = uids_in(page.field("text"));
        seen.arrivals.push(Arrival { at, uids, named, covered, message, recipient: recipient.masked(), credential });
    }

    fn confirm(&self, page: &Page, recipient: &Recipient) -> Receipt {
        let (_, life) = self.now();
        let mut seen = self.seen.lock().unwrap();
        for uid in uids_of(page) {
            for of in &page.coverage {
                seen.acknowledged.insert((uid.clone(), recipient.masked(), of.delivery), life);
            }
        }
        Receipt { ids: PlatformIds::default(), code: "ok".into(), answer: String::new() }
    }

    fn answer(&self, page: &Page, recipient: &Recipient, message: MessageId, credential: u64) -> Result<Receipt, SendError> {
        let (now, _) = self.now();
        let mut dice = self.dice.lock().unwrap();
        let trouble = *self.trouble.lock().unwrap();
        if trouble > 0 && now < *self.down_until.lock().unwrap() {
            return Err(SendError::new(ErrorKind::Transient, "connection refused"));
        }
        if trouble > 0 && now < *self.bad_until.lock().unwrap() {
            return Err(SendError::new(ErrorKind::Misconfigured, "the token is not known").code("401"));
        }
        if !dice.permille(trouble) {
            self.arrive(page, recipient, message, credential);
            return Ok(self.confirm(page, recipient));
        }
        match dice.below(12) {
            0..3 => Err(SendError::new(ErrorKind::Transient, "HTTP 502")),
            3..5 => {
                self.arrive(page, recipient, message, credential);
                Err(SendError::new(ErrorKind::Ambiguous, "the connection was closed before the answer"))
            }
            5 => Err(SendError::new(ErrorKind::Ambiguous, "the connection was reset")),
            6..8 => {
                let wait = Duration::from_secs(1 + dice.below(90));
                Err(SendError::new(ErrorKind::RateLimited { retry_after: dice.permille(800).then_some(wait) }, "too fast"))
            }
            8 => Err(SendError::new(ErrorKind::Rejected, "the text is not allowed").code("430102")),
            9 => Err(SendError::new(ErrorKind::Rejected, "no such user").code("550").of_recipient()),
            10 => {
                *self.down_until.lock().unwrap() = now + Duration::from_secs(dice.below(400));
                Err(SendError::new(ErrorKind::Transient, "connection refused"))
            }
            _ => {
                *self.bad_until.lock().unwrap() = now + Duration::from_secs(dice.below(900));
                Err(SendError::new(ErrorKind::Misconfigured, "the token is not known").code("401"))
            }
        }
    }

    fn lanes(page: &Page) -> BTreeSet<u64> {
        uids_of(page).iter().filter_map(|uid| lane_of(uid)).collect()
    }
}

/// The driver's side: latency, and the deadline that every driver keeps.
pub struct Line(pub Arc<Wire>, pub u64);

#[async_trait]
impl Channel for Line {
    fn body(&self, page: &Page) -> serde_json::Value {
        crate::channel::kit::shown(&page.fields)
    }

    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let lanes = Wire::lanes(page);
        {
            let mut seen = self.0.seen.lock().unwrap();
            for lane in &lanes {
                let n = seen.under_way.entry(*lane).or_default();
                *n += 1;
                if *n > 1 && !self.0.crosses() {
                    let text = format!("{}: two messages of lane {lane} in flight at once", self.0.name);
                    seen.violations.push(text);
                }
            }
        }
        let (there, back) = {
            let mut dice = self.0.dice.lock().unwrap();
            let slow = if dice.permille(20) { 12_000 } else { 400 };
            (Duration::from_millis(dice.below(slow)), Duration::from_millis(dice.below(slow)))
        };
        // A crash drops this future: what was in flight is then no more.
        struct Leave<'a>(&'a Wire, BTreeSet<u64>);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                let mut seen = self.0.seen.lock().unwrap();
                for lane in &self.1 {
                    *seen.under_way.entry(*lane).or_default() -= 1;
                }
            }
        }
        let _leave = Leave(&self.0, lanes);
        let late = || SendError::new(ErrorKind::Ambiguous, "no answer within 10s");
        if tokio::time::timeout_at(cx.deadline, tokio::time::sleep(there)).await.is_err() {
            return (0..to.len()).map(|i| (i, Err(SendError::new(ErrorKind::Transient, "connect timed out")))).collect();
        }
        let answers: Vec<_> = to.iter().map(|recipient| self.0.answer(page, recipient, cx.message, self.1)).collect();
        let in_time = tokio::time::timeout_at(cx.deadline, tokio::time::sleep(back)).await.is_ok();
        let answers = answers.into_iter().map(|answer| match answer {
            Ok(_) if !in_time => Err(late()),
            other => other,
        });
        if !in_time {
            // The confirmation never came: it does not count as told.
            let mut seen = self.0.seen.lock().unwrap();
            for uid in uids_of(page) {
                for recipient in to {
                    for of in &page.coverage {
                        seen.acknowledged.remove(&(uid.clone(), recipient.masked(), of.delivery));
                    }
                }
            }
        }
        answers.enumerate().collect()
    }
}

/// The alerts that a page names; the headline of a message of several pages is on each of them.
fn uids_of(page: &Page) -> BTreeSet<String> {
    let text = page.field("text");
    uids_in(if page.total > 1 { text.split_once('\n').map_or(text, |(_, rest)| rest) } else { text })
}

/// `uidL3S17` words of a text.
fn uids_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| w.starts_with("uidL")).map(str::to_owned).collect()
}

/// Whether the alerts of a lane take a route that pings somebody whom the channel does not.
pub fn pages(lane: u64) -> bool {
    lane % 4 == 3
}

/// The lane of an alert.
pub fn lane_of(uid: &str) -> Option<u64> {
    uid.strip_prefix("uidL")?.split('S').next()?.parse().ok()
}
