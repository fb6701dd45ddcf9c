//! A mute by matchers: which alerts it holds back, and when. The moment is an argument; of what waits nothing is known here.

use std::sync::Arc;

use crate::model::{CHANNEL_LABEL, Labels, Language, UnixMs};

use super::interval::{TimeInterval, horizon};
use super::matcher::{Matcher, Op};

/// When a mute mutes.
#[derive(Debug, Clone)]
pub enum MuteTime {
    /// Until this time.
    Until(UnixMs),
    /// While one of these intervals contains the moment.
    During(Vec<Arc<TimeInterval>>),
}

impl MuteTime {
    /// Until when it mutes at a moment; `None` when it does not, [`UnixMs::MAX`] when no end comes within
    /// [`HORIZON_DAYS`](super::interval::HORIZON_DAYS).
    pub fn end(&self, at: UnixMs) -> Option<UnixMs> {
        let intervals = match self {
            MuteTime::Until(until) => return Some(*until).filter(|until| *until > at),
            MuteTime::During(intervals) => intervals,
        };
        let (mut end, horizon) = (at.timestamp(), horizon(at.timestamp()));
        // One interval may take over where another ends.
        while end < horizon {
            match intervals.iter().find(|interval| interval.contains(end)) {
                Some(interval) => match interval.end_of(end) {
                    Some(later) => end = later,
                    None => return Some(UnixMs::MAX),
                },
                None => return Some(end.into()).filter(|end| *end > at),
            }
        }
        Some(UnixMs::MAX)
    }

    /// Whether it never mutes again, as far ahead as is searched.
    pub fn is_over(&self, at: UnixMs) -> bool {
        match self {
            MuteTime::Until(until) => *until <= at,
            MuteTime::During(intervals) => intervals.iter().all(|interval| interval.next_start(at.timestamp()).is_none()),
        }
    }

    /// Whether it comes again.
    pub fn is_recurring(&self) -> bool {
        matches!(self, MuteTime::During(_))
    }
}

/// A mute, of the file or by hand.
#[derive(Debug, Clone)]
pub struct Mute {
    /// Its name in the file; `None`: it was made by hand, and its matchers are its identity.
    pub name: Option<String>,
    /// All of which an alert must match; the label `channel` is the channel.
    pub matchers: Vec<Matcher>,
    /// Its matchers as they are stored and shown: [`matchers_text`].
    pub text: String,
    /// When it mutes.
    pub time: MuteTime,
    /// Whether firing alerts are dropped instead of deferred.
    pub drop: bool,
    /// Why; of a mute by hand it may be empty.
    pub reason: String,
    /// Who answers for it; of a mute by hand who made it. May be empty.
    pub owner: String,
    /// The ticket that it belongs to; may be empty.
    pub ticket: String,
}

impl Mute {
    /// The channel, when it mutes a whole one.
    pub fn channel(&self) -> Option<&str> {
        match self.matchers.as_slice() {
            [one] if one.name() == CHANNEL_LABEL && one.op() == Op::Equal => Some(one.value()),
            _ => None,
        }
    }

    /// Whether it may mute something on a channel.
    pub fn may_concern(&self, channel: &str) -> bool {
        self.matchers.iter().filter(|matcher| matcher.name() == CHANNEL_LABEL).all(|matcher| matcher.matches_value(channel))
    }

    /// Whether it mutes the same on every channel.
    pub fn is_of_every_channel(&self) -> bool {
        self.matchers.iter().all(|matcher| matcher.name() != CHANNEL_LABEL)
    }

    /// Whether all of its matchers match an alert on a channel.
    pub fn matches(&self, channel: &str, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| if matcher.name() == CHANNEL_LABEL { matcher.matches_value(channel) } else { matcher.matches(labels) })
    }

    /// What people call it: its name, or its matchers.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.text)
    }

    /// Why, who answers for it, and its ticket.
    pub fn why(&self, language: Language) -> String {
        let reason = language.reason_or_none(&self.reason);
        let word = if self.name.is_some() { "owner" } else { "by" };
        let owner = Some(&self.owner).filter(|owner| !owner.is_empty()).map(|owner| format!("{word} {owner}"));
        let ticket = Some(&self.ticket).filter(|ticket| !ticket.is_empty()).map(|ticket| format!("ticket {ticket}"));
        let more: Vec<String> = owner.into_iter().chain(ticket).collect();
        if more.is_empty() { reason.to_owned() } else { format!("{reason} ({})", more.join(", ")) }
    }
}

/// The same matchers always in the same way: in order, each once, with commas between.
pub fn matchers_text(matchers: &[Matcher]) -> String {
    let mut texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    texts.sort();
    texts.dedup();
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::route::{TimeIntervalConfig, matcher};

    /// 2026-11-24 03:00 UTC, a Tuesday.
    const NOW: UnixMs = UnixMs(1_795_489_200_000);
    const HOUR: i64 = 3_600_000;

    fn daily(start: &str, end: &str) -> Arc<TimeInterval> {
        let rule = json!({ "name": "x", "time_intervals": [{ "times": [{ "start_time": start, "end_time": end }] }] });
        Arc::new(serde_json::from_value::<TimeIntervalConfig>(rule).unwrap().compile().unwrap())
    }

    #[test]
    fn a_mute_ends_when_none_of_its_intervals_goes_on() {
        let night = MuteTime::During(vec![daily("22:00", "24:00"), daily("00:00", "04:00"), daily("04:00", "06:00")]);
        assert_eq!(night.end(NOW), Some(NOW + 3 * HOUR), "one takes over from the other");
        assert_eq!(night.end(NOW + 3 * HOUR), None, "the end is not muted");
        assert_eq!(night.end(NOW - 4 * HOUR), Some(NOW + 3 * HOUR), "over midnight");
        assert_eq!(MuteTime::During(vec![daily("00:00", "24:00")]).end(NOW), Some(UnixMs::MAX), "it never ends");
        assert!(!night.is_over(NOW) && night.is_recurring());
        let until = MuteTime::Until(NOW);
        assert_eq!((until.end(NOW), until.end(NOW - 1), until.is_over(NOW), until.is_over(NOW - 1)), (None, Some(NOW), true, false));
    }

    #[test]
    fn a_mute_says_why_it_is() {
        let of = |text: &str, owner: &str, ticket: &str| Mute {
            name: Some("db".to_owned()).filter(|_| !ticket.is_empty()),
            matchers: matcher::parse(text).unwrap(),
            text: matchers_text(&matcher::parse(text).unwrap()),
            time: MuteTime::Until(NOW),
            drop: false,
            reason: "upgrade".into(),
            owner: owner.into(),
            ticket: ticket.into(),
        };
        let both = of(r#"team="db", severity!="critical", team="db""#, "ann", "OPS-1");
        assert_eq!((both.called(), both.text.as_str()), ("db", r#"severity!="critical",team="db""#));
        assert_eq!(both.why(Language::En), "upgrade (owner ann, ticket OPS-1)");
        let by_hand = of(r#"team="db""#, "ann", "");
        assert_eq!((by_hand.called(), by_hand.why(Language::En).as_str()), (r#"team="db""#, "upgrade (by ann)"));
        assert_eq!((both.channel(), of(r#"channel="ops""#, "", "").channel(), of(r#"channel=~"ops""#, "", "").channel()), (None, Some("ops"), None));
        assert_eq!(of(r#"channel="ops""#, "", "").why(Language::En), "upgrade");
        let silent = Mute { reason: String::new(), ..by_hand };
        assert_eq!(silent.why(Language::En), "no reason given (by ann)");
        assert_eq!(silent.why(Language::Zh), "未注明原因 (by ann)");
    }
}
