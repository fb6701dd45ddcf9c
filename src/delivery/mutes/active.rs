//! The mutes by hand, as the core decides by them.

use crate::model::{Labels, UnixMs};
use crate::route::{Matcher, matcher};
use crate::store::{CHANNEL_LABEL, Mute, mute_prefix, muted_channel};

/// A mute by hand.
#[derive(Debug, Clone)]
pub struct ManualMute {
    /// All of which an alert must match.
    pub matchers: Vec<Matcher>,
    /// The channel, when it mutes a whole one.
    channel: Option<String>,
    prefix: String,
    /// Its matchers, as they are stored and shown.
    pub text: String,
    /// Until when.
    pub until: UnixMs,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
}

impl PartialEq for ManualMute {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.until, &self.reason) == (&other.text, other.until, &other.reason)
    }
}

impl ManualMute {
    /// A stored one; `None` when its matchers cannot be read: they are checked before they are stored.
    pub fn read(mute: Mute) -> Option<Self> {
        let matchers = matcher::parse(&mute.matchers).ok()?;
        let channel = muted_channel(&mute.matchers);
        Some(Self {
            matchers,
            channel,
            prefix: mute_prefix(&mute.matchers),
            text: mute.matchers,
            until: mute.until,
            reason: mute.reason,
            by: mute.by,
        })
    }

    /// The reason of what it defers.
    pub fn deferral_reason(&self) -> String {
        format!("{}{}", self.prefix, self.reason)
    }

    fn may_concern(&self, channel: &str) -> bool {
        self.matchers.iter().filter(|matcher| matcher.name() == CHANNEL_LABEL).all(|matcher| matcher.matches_value(channel))
    }

    fn matches(&self, channel: &str, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| if matcher.name() == CHANNEL_LABEL { matcher.matches_value(channel) } else { matcher.matches(labels) })
    }
}

/// All mutes by hand, also those that have ended since they were read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mutes(Vec<ManualMute>);

impl Mutes {
    /// Those of a store.
    pub fn read(stored: Vec<Mute>) -> Self {
        Self(stored.into_iter().filter_map(ManualMute::read).collect())
    }

    /// The mute of a whole channel.
    pub fn of_channel(&self, channel: &str, now: UnixMs) -> Option<&ManualMute> {
        self.active(now).find(|mute| mute.channel.as_deref() == Some(channel))
    }

    /// What mutes an alert on a channel; of several the one that ends last.
    pub fn of_alert(&self, channel: &str, labels: &Labels, now: UnixMs) -> Option<&ManualMute> {
        self.active(now).filter(|mute| mute.matches(channel, labels)).max_by_key(|mute| mute.until)
    }

    /// The one that deferred a delivery with this reason.
    pub fn of_reason(&self, reason: &str, now: UnixMs) -> Option<&ManualMute> {
        self.active(now).find(|mute| reason.starts_with(&mute.prefix))
    }

    /// Whether some depend on the labels of a channel's alerts.
    pub fn look_at_labels(&self, channel: &str, now: UnixMs) -> bool {
        self.active(now).any(|mute| mute.channel.is_none() && mute.may_concern(channel))
    }

    /// Those that have not ended.
    pub fn active(&self, now: UnixMs) -> impl Iterator<Item = &ManualMute> {
        self.0.iter().filter(move |mute| mute.until > now)
    }

    /// Those that are here and not in `other`, or changed, as channels; `None` for a mute that may concern any.
    pub fn changed<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Option<&'a str>> {
        let differs = |mute: &&ManualMute| !other.0.contains(mute);
        self.0.iter().filter(differs).map(|mute| mute.channel.as_deref())
    }
}
