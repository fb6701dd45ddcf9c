//! Mutes by hand, and what they and time intervals defer.

use serde::{Deserialize, Serialize};

use super::{Act, ActResult, Answered, Incident, TimelineKind, TimelineRow};
use crate::model::{Language, UnixMs};

/// Bytes of the matchers of a mute. They are a key, of which PostgreSQL takes 2,704 bytes (a third of a page,
/// <https://www.postgresql.org/docs/current/btree.html>); a channel's next name may be longer than the one in it.
pub const MAX_MATCHERS: usize = 2000;

/// A mute by hand: it defers the alerts that all of its matchers match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// The matchers, in Alertmanager's syntax; the label `channel` is the channel. The same matchers are always written
    /// in the same way: they are its identity.
    pub matchers: String,
    /// Until when.
    pub until: UnixMs,
    /// Why; may be empty.
    pub reason: String,
    /// Who.
    pub by: String,
}

impl Mute {
    /// What it has deferred, of all deferrals there are, to wait for its end from `now` on.
    pub(in crate::store) fn deferrals(&self, all: &[Deferral], now: UnixMs) -> impl Iterator<Item = Deferral> {
        let (channel, prefix, until) = (muted_channel(&self.matchers), mute_prefix(&self.matchers), self.until.max(now));
        let mine = all.iter().filter(move |of| match &of.cause {
            DeferralCause::Channel => channel.as_ref() == Some(&of.channel),
            DeferralCause::Mute { reason } => channel.is_none() && reason.starts_with(&prefix),
            DeferralCause::Interval { .. } => false,
        });
        mine.map(move |of| Deferral { first: until, last: until, ..of.clone() })
    }

    /// The reason of what it defers; `None` when it has ended.
    pub(in crate::store) fn deferral_reason(&self, now: UnixMs) -> Option<String> {
        (self.until > now).then(|| format!("{}{}", mute_prefix(&self.matchers), Language::En.reason_or_none(&self.reason)))
    }
}

/// The mute that somebody made from a message of an incident, as its readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Muted {
    /// Who made it, or changed it last.
    pub by: String,
    /// Until when.
    pub until: UnixMs,
    /// Its matchers.
    pub matchers: String,
}

impl Incident {
    /// Mutes what its labels match. Nobody is on it: its acks and its escalation stay as they are.
    pub(in crate::store::types) fn mute(&mut self, act: &Act) -> (ActResult, Option<Answered>) {
        let Some(mute) = act.mutes.get(&self.id).cloned() else { return (ActResult::CannotMute, None) };
        let until = mute.until;
        self.acks.mute = Some(Muted { by: mute.by.clone(), until, matchers: mute.matchers.clone() });
        let text = format!("muted until {until} by {} ({})", act.by.name, act.by.via);
        (ActResult::Muted { until }, Some(self.mute_changed(TimelineKind::Muted, text, Some(mute), act.now)))
    }

    /// Ends its mute.
    pub(in crate::store::types) fn unmute(&mut self, act: &Act) -> (ActResult, Option<Answered>) {
        let Some(before) = self.acks.mute.take() else { return (ActResult::NotMuted, None) };
        let mute = Mute { matchers: before.matchers, until: UnixMs::EPOCH, reason: String::new(), by: act.by.name.clone() };
        let text = format!("the mute was ended by {} ({})", act.by.name, act.by.via);
        (ActResult::Unmuted, Some(self.mute_changed(TimelineKind::Unmuted, text, Some(mute), act.now)))
    }

    /// Shows what became of its mute, in whatever way that was changed or ended. `None` when it is what was shown.
    pub(in crate::store) fn mute_became(&mut self, mute: &Mute, now: UnixMs) -> Option<Answered> {
        let before = self.acks.mute.as_ref().filter(|before| before.matchers == mute.matchers)?;
        if mute.until <= now {
            self.acks.mute = None;
            return Some(self.mute_changed(TimelineKind::Unmuted, "the mute was ended by hand".into(), None, now));
        }
        let by = if mute.by.is_empty() { &before.by } else { &mute.by };
        let after = Muted { by: by.clone(), until: mute.until, matchers: mute.matchers.clone() };
        if *before == after {
            return None;
        }
        let text = format!("the mute by {} ends at {} now", after.by, after.until);
        self.acks.mute = Some(after);
        Some(self.mute_changed(TimelineKind::Muted, text, None, now))
    }

    /// Forgets its mute once that has ended by time: what the timeline says.
    pub(in crate::store::types) fn end_mute(&mut self, now: UnixMs) -> Option<TimelineRow> {
        let ended = self.acks.mute.take_if(|mute| mute.until <= now)?;
        Some(TimelineRow { at: now, kind: TimelineKind::Unmuted, channel: String::new(), text: format!("the mute by {} ended", ended.by) })
    }

    fn mute_changed(&mut self, kind: TimelineKind, text: String, mute: Option<Mute>, now: UnixMs) -> Answered {
        self.version += 1;
        Answered { rows: vec![TimelineRow { at: now, kind, channel: String::new(), text }], rings: None, silence: None, mute }
    }
}

/// How the reason of a delivery begins that the mute of a whole channel has deferred.
pub const CHANNEL_MUTE_PREFIX: &str = "channel muted by hand: ";
/// The same for any other mute; its matchers follow.
pub const MUTE_PREFIX: &str = "muted by hand (";
/// The same for a mute of the file; its name follows.
pub const FILE_MUTE_PREFIX: &str = "muted by `";
/// The same for a time interval of its route.
pub const INTERVAL_MUTE_PREFIX: &str = "muted by time interval ";

const CHANNEL_MATCHER: &str = "channel=\"";

/// The matchers of the mute of a whole channel.
pub fn channel_matchers(channel: &str) -> String {
    format!("{CHANNEL_MATCHER}{}\"", channel.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The channel, when these are the matchers of the mute of a whole channel.
pub fn muted_channel(matchers: &str) -> Option<String> {
    let quoted = matchers.strip_prefix(CHANNEL_MATCHER)?.strip_suffix('"')?;
    let channel = quoted.replace("\\\"", "\"").replace("\\\\", "\\");
    (channel_matchers(&channel) == matchers).then_some(channel)
}

/// The same matchers with the new name of a channel; `None` when none of them is that channel.
pub(in crate::store) fn rename_channel(matchers: &str, from: &str, to: &str) -> Option<String> {
    let (from, to) = (channel_matchers(from), channel_matchers(to));
    let (mut quoted, mut escaped) = (false, false);
    let mut each: Vec<&str> = matchers
        .split(|c| {
            let separates = c == ',' && !quoted;
            quoted ^= c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            separates
        })
        .collect();
    let place = each.iter().position(|matcher| *matcher == from)?;
    each[place] = &to;
    each.sort_unstable();
    Some(each.join(","))
}

/// How the reason of a delivery begins that a mute with these matchers has deferred.
pub fn mute_prefix(matchers: &str) -> String {
    if muted_channel(matchers).is_some() { CHANNEL_MUTE_PREFIX.to_owned() } else { format!("{MUTE_PREFIX}{matchers}): ") }
}

/// Deliveries that are deferred and not due yet, on one channel and for one cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deferral {
    /// The channel.
    pub channel: String,
    /// What deferred them.
    pub cause: DeferralCause,
    /// The earliest end that one of them waits for.
    pub first: UnixMs,
    /// The latest.
    pub last: UnixMs,
}

/// What deferred deliveries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeferralCause {
    /// The mute of their channel.
    Channel,
    /// Another mute by hand or one of the file, which their reason names.
    Mute {
        /// Their reason.
        reason: String,
    },
    /// A time interval of their route.
    Interval {
        /// The route, as in [`Target::route`](super::Target::route).
        route: String,
    },
}

impl DeferralCause {
    /// Its number in SQL, and what distinguishes it from others of the kind.
    pub(in crate::store) fn parts(&self) -> (i32, &str) {
        match self {
            Self::Channel => (0, ""),
            Self::Mute { reason } => (1, reason),
            Self::Interval { route } => (2, route),
        }
    }

    /// From these.
    pub(in crate::store) fn from_parts(kind: i32, detail: String) -> Self {
        match kind {
            0 => Self::Channel,
            1 => Self::Mute { reason: detail },
            _ => Self::Interval { route: detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mute_of_a_channel_is_known_by_its_matchers() {
        for channel in ["ops", "a\"b", "a\\", "\\\"", "值班"] {
            assert_eq!(muted_channel(&channel_matchers(channel)).as_deref(), Some(channel));
        }
        for matchers in ["channel=\"a\",team=\"b\"", "team=\"db\"", "channel=~\"ops\"", "channel=\"a", ""] {
            assert_eq!(muted_channel(matchers), None, "{matchers}");
        }
        assert_eq!(rename_channel(&channel_matchers("a\"b"), "a\"b", "ops"), Some(channel_matchers("ops")));
        let several = r#"a="x,channel=\"ops\",y\\",channel="ops",zone="b""#;
        assert_eq!(rename_channel(several, "ops", "dba").as_deref(), Some(r#"a="x,channel=\"ops\",y\\",channel="dba",zone="b""#));
        assert_eq!(rename_channel(several, "x", "dba"), None);
        assert_eq!(rename_channel(r#"a="x,channel=\"ops\",y\\",channel=~"ops""#, "ops", "dba"), None, "a pattern is no name");
        assert_eq!(mute_prefix(&channel_matchers("ops")), CHANNEL_MUTE_PREFIX);
        assert_eq!(mute_prefix("team=\"db\""), "muted by hand (team=\"db\"): ");
    }
}
