//! What an account may still send in a month, and what one recipient may still get. Pure, but for the list of what is on its way.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::channel::{Limit, Platform};
use crate::model::{OutletKey, Recipient, UnixMs};

use super::lock::lock;
use super::plan::{ChannelPlan, Plan};
use crate::store::{Cell, CellState, MonthlySends};

/// How much is used of what an account may send in a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum MonthUse {
    /// Less than four fifths, or nothing is counted.
    #[default]
    Little,
    /// Four fifths or more: nothing is spent on edits, what waits is merged, and phones only get what is critical.
    Most,
    /// All of it: what has a fallback takes it.
    All,
}

impl MonthUse {
    /// Of `sent` messages, where `most` are allowed.
    pub fn of(sent: i64, most: u32) -> Self {
        let most = i64::from(most);
        match sent {
            _ if sent >= most => Self::All,
            _ if sent.saturating_mul(5) >= most * 4 => Self::Most,
            _ => Self::Little,
        }
    }

    /// The one of that number.
    pub fn numbered(number: u8) -> Self {
        [Self::Little, Self::Most, Self::All].into_iter().find(|one| *one as u8 == number).unwrap_or_default()
    }
}

/// What an account sent in a month, as this node knows it, and how much it may send: the store counts, and what this node sends since is added.
#[derive(Debug, Default)]
pub struct MonthCount {
    /// The month, `2026-11`.
    pub month: String,
    /// Messages sent in it.
    pub sent: i64,
    /// How many may be sent in it, where they are counted.
    pub most: Option<u32>,
}

impl MonthCount {
    /// Adds what was sent; what comes in late for a month gone by counts for nothing.
    pub fn add(&mut self, sends: &MonthlySends) {
        match self.month.cmp(&sends.month) {
            Ordering::Less => (self.month, self.sent) = (sends.month.clone(), sends.sends),
            Ordering::Equal => self.sent += sends.sends,
            Ordering::Greater => {}
        }
    }

    /// How much of it is used.
    pub fn used(&self) -> MonthUse {
        self.most.map_or(MonthUse::Little, |most| MonthUse::of(self.sent, most))
    }
}

/// Why a limit keeps a message from somebody; kept as the code of the cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// The recipient got as much as it may.
    Recipient,
    /// Most of the account's month is used, and the message is not critical.
    MonthSaved,
    /// All of it is used.
    MonthUsed,
}

impl Withheld {
    /// The code of a cell.
    pub fn code(self) -> &'static str {
        match self {
            Self::Recipient => "recipient_limit",
            Self::MonthSaved => "month_saved",
            Self::MonthUsed => "month_used",
        }
    }

    /// The limit, for metrics.
    pub fn limit(self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::MonthSaved | Self::MonthUsed => "month",
        }
    }

    /// What kept a cell from being sent, if a limit did.
    pub fn of_cell(cell: &Cell) -> Option<Self> {
        let code = cell.code.as_deref().filter(|_| cell.state == CellState::Dead)?;
        [Self::Recipient, Self::MonthSaved, Self::MonthUsed].into_iter().find(|one| one.code() == code)
    }

    /// Why something was not sent through a channel.
    pub fn reason(self, channel: &ChannelPlan, per_month: u32) -> String {
        match self {
            Self::Recipient => format!("{} is what one recipient gets at most (`recipient_limit`)", channel.recipient_limit_text()),
            Self::MonthSaved => {
                format!("four fifths of the month's {per_month} are used (`per_month`), and it is not critical")
            }
            Self::MonthUsed => format!("the month's {per_month} are used (`per_month`)"),
        }
    }
}

impl Plan {
    /// How many messages a month the credential of an outlet may send: one credential has one quota, whatever each of its channels says of it.
    pub fn per_month(&self, outlet: &OutletKey) -> Option<u32> {
        self.channels.values().filter(|channel| channel.outlet == *outlet).filter_map(|channel| channel.allowance.per_month).min()
    }

    /// The month of a time as the vendor of an outlet counts it.
    pub fn month(&self, outlet: &OutletKey, at: UnixMs) -> String {
        let channel = self.channels.values().find(|channel| channel.outlet == *outlet);
        channel.map_or(&Platform::BASE, |channel| channel.platform).month(at)
    }

    /// The names, also the previous ones, of the channels that send through an outlet.
    pub fn names_of(&self, outlet: &OutletKey) -> Vec<String> {
        let channels = self.channels.values().filter(|channel| channel.outlet == *outlet);
        channels.flat_map(|channel| std::iter::once(channel.name.to_string()).chain(channel.previous_names.iter().cloned())).collect()
    }
}

/// When somebody may get one more, who got something at these times (the newest first) and whom `ahead` more are on their way to; `None`: now.
pub fn free_at(limits: &[Limit], sent: &[UnixMs], ahead: usize, now: UnixMs) -> Option<UnixMs> {
    let of = |limit: &Limit| {
        let count = limit.count as usize;
        let Some(older) = count.checked_sub(ahead + 1) else { return Some(now + limit.window) };
        let at = *sent.get(older)?;
        // What seems to be sent later was sent before the clock was set back.
        (now.since(at) < limit.window).then(|| at.min(now) + limit.window)
    };
    limits.iter().filter_map(of).max()
}

/// Recipients to whom something is on its way, in the order in which it began.
#[derive(Debug, Default)]
pub struct OnTheWay {
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    to: Vec<(u64, Recipient)>,
}

/// Something that is on its way to some recipients; until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    list: Arc<OnTheWay>,
    number: u64,
}

impl OnTheWay {
    /// Adds something to these recipients.
    pub fn add(self: &Arc<Self>, to: &[Recipient]) -> Ticket {
        let mut state = lock(&self.state);
        let number = state.next;
        state.next += 1;
        state.to.extend(to.iter().map(|to| (number, to.clone())));
        Ticket { list: self.clone(), number }
    }
}

impl Ticket {
    /// How much is on its way to somebody that began before it.
    pub fn ahead(&self, to: &Recipient) -> usize {
        lock(&self.list.state).to.iter().filter(|(number, other)| *number < self.number && other == to).count()
    }

    /// Waits until all has ended that is on its way to these and began before it.
    pub async fn first_for(&self, recipients: &[Recipient]) {
        loop {
            let ended = self.list.ended.notified();
            if recipients.iter().all(|to| self.ahead(to) == 0) {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.list.state).to.retain(|(number, _)| *number != self.number);
        self.list.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    const NOW: UnixMs = UnixMs(1_795_489_200_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_month_is_used_by_fifths() {
        for (sent, most, used) in [
            (0, 5, MonthUse::Little),
            (3, 5, MonthUse::Little),
            (4, 5, MonthUse::Most),
            (5, 5, MonthUse::All),
            (9, 5, MonthUse::All),
            (0, 1, MonthUse::Little),
            (1, 1, MonthUse::All),
            (799, 1000, MonthUse::Little),
            (800, 1000, MonthUse::Most),
            (i64::MAX, u32::MAX, MonthUse::All),
        ] {
            assert_eq!(MonthUse::of(sent, most), used, "{sent} of {most}");
            assert_eq!(MonthUse::numbered(used as u8), used);
        }
    }

    #[test]
    fn a_month_begins_by_the_clock_of_the_vendor() {
        let midnight = UnixMs::from("2026-11-30T16:00:00Z".parse::<jiff::Timestamp>().unwrap());
        let months = |name: &str| [midnight - 1, midnight].map(|at| crate::channel::platform(name).unwrap().month(at));
        for china in ["dingtalk", "dingtalk_card", "aliyun_sms", "aliyun_voice", "tencent_sms", "tencent_voice"] {
            assert_eq!(months(china), ["2026-11", "2026-12"], "{china}");
        }
        for utc in ["twilio_sms", "twilio_voice"] {
            assert_eq!(months(utc), ["2026-11", "2026-11"], "{utc}");
        }
    }

    #[test]
    fn what_is_sent_between_two_looks_at_the_store_counts_at_once() {
        let sends = |month: &str, sends| MonthlySends { month: month.into(), sends };
        let mut count = MonthCount { month: "2026-11".into(), sent: 7, most: Some(10) };
        let mut used = Vec::new();
        for (month, sent) in [("2026-10", 9), ("2026-11", 1), ("2026-11", 2), ("2026-12", 1)] {
            count.add(&sends(month, sent));
            used.push((count.sent, count.used()));
        }
        assert_eq!(used, [(7, MonthUse::Little), (8, MonthUse::Most), (10, MonthUse::All), (1, MonthUse::Little)]);
        let mut uncounted = MonthCount::default();
        uncounted.add(&sends("2026-11", 99));
        assert_eq!(uncounted.used(), MonthUse::Little, "nothing is counted without `per_month`");
    }

    #[test]
    fn one_more_is_free_when_the_window_has_room() {
        let limit = |count, window| Limit { count, window };
        let ago = |minutes: i64| UnixMs(NOW.0 - minutes * 60_000);
        let at = |minutes: i64| Some(UnixMs(NOW.0 + minutes * 60_000));
        let hour = [limit(2, HOUR)];
        for (sent, ahead, free) in [
            (vec![], 0, None),
            (vec![ago(1)], 0, None),
            (vec![ago(1), ago(20)], 0, at(40)),
            (vec![ago(1), ago(60)], 0, None),
            (vec![ago(1), ago(20), ago(30)], 0, at(40)),
            (vec![ago(10)], 1, at(50)),
            (vec![], 1, None),
            (vec![], 2, at(60)),
            (vec![ago(-600), ago(-600)], 0, at(60)),
        ] {
            assert_eq!(free_at(&hour, &sent, ahead, NOW), free, "{sent:?} and {ahead} on their way");
        }
        let both = [limit(1, Duration::from_secs(60)), limit(3, HOUR)];
        assert_eq!(free_at(&both, &[ago(2)], 0, NOW), None);
        assert_eq!(free_at(&both, &[ago(2), ago(3), ago(4)], 0, NOW), at(56), "the longest wait of all");
        assert_eq!(free_at(&[], &[NOW, NOW], 9, NOW), None, "no limit");
    }

    #[test]
    fn what_began_before_counts_until_it_is_over() {
        let list = Arc::new(OnTheWay::default());
        let (ann, bob) = (Recipient::new("+1"), Recipient::new("+2"));
        let first = list.add(&[ann.clone(), bob.clone()]);
        let second = list.add(std::slice::from_ref(&ann));
        assert_eq!((first.ahead(&ann), second.ahead(&ann), second.ahead(&bob)), (0, 1, 1));
        let third = list.add(std::slice::from_ref(&ann));
        assert_eq!((third.ahead(&ann), third.ahead(&bob)), (2, 1));
        drop(first);
        assert_eq!((second.ahead(&ann), third.ahead(&ann)), (0, 1));
    }

    #[tokio::test]
    async fn what_comes_next_waits_for_all_that_began_before() {
        let list = Arc::new(OnTheWay::default());
        let to = [Recipient::new("+1")];
        let (first, second, third) = (list.add(&to), list.add(&to), list.add(&to));
        let mut waits = Box::pin(third.first_for(&to));
        drop(second);
        assert!(waits.as_mut().now_or_never().is_none());
        drop(first);
        assert!(waits.now_or_never().is_some());
    }
}
