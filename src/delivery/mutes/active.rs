//! The mutes of the file and by hand, as the core decides by them.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Labels, Language, UnixMs};
use crate::route::{Mute, MuteTime, Tree, matcher};
use crate::store::{self, FILE_MUTE_PREFIX, mute_prefix};

/// How the reason of a mute without a known end ends.
pub const INDEFINITE: &str = "indefinitely";
/// How long a mute without a known end defers: it is re-evaluated then.
pub(in crate::delivery) const REEVALUATE_AFTER: Duration = Duration::from_secs(86_400);

/// A mute that mutes at a moment.
#[derive(Debug, Clone, Copy)]
pub struct ActiveMute<'a> {
    /// The mute.
    pub mute: &'a Mute,
    /// Until when; [`UnixMs::MAX`]: no end is known.
    pub until: UnixMs,
}

impl ActiveMute<'_> {
    /// When what it defers at `now` is due; without a known end it is re-evaluated then.
    pub fn due(&self, now: UnixMs) -> UnixMs {
        if self.until == UnixMs::MAX { now + REEVALUATE_AFTER } else { self.until }
    }

    /// Until when, in words.
    pub fn until_text(&self) -> String {
        if self.until == UnixMs::MAX { INDEFINITE.to_owned() } else { format!("until {}", self.until) }
    }

    /// The reason of what it defers.
    pub fn deferral_reason(&self) -> String {
        let mute = self.mute;
        let why = if mute.name.is_some() { mute.why(Language::En) } else { Language::En.reason_or_none(&mute.reason).to_owned() };
        format!("{}{why}", prefix(mute))
    }
}

/// How the reason of what a mute defers begins. It holds the matchers, so that what other matchers have deferred is released when they change.
pub(super) fn prefix(mute: &Mute) -> String {
    mute.name.as_ref().map_or_else(|| mute_prefix(&mute.text), |name| format!("{FILE_MUTE_PREFIX}{name}` ({}): ", mute.text))
}

/// A stored mute; `None` when its matchers cannot be read: they are checked before they are stored.
fn by_hand(stored: store::Mute) -> Option<Mute> {
    let matchers = matcher::parse(&stored.matchers).ok()?;
    Some(Mute {
        name: None,
        matchers,
        text: stored.matchers,
        time: MuteTime::Until(stored.until),
        drop: false,
        reason: stored.reason,
        owner: stored.by,
        ticket: String::new(),
    })
}

/// All mutes, also those that do not mute now. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Mutes {
    file: Arc<[Mute]>,
    by_hand: Arc<[Mute]>,
}

impl Mutes {
    /// Those by hand, of a store.
    pub fn read(stored: Vec<store::Mute>) -> Self {
        Self { file: Arc::default(), by_hand: stored.into_iter().filter_map(by_hand).collect() }
    }

    /// Those of a configuration alone.
    pub fn of(tree: &Tree) -> Self {
        Self::default().with(tree)
    }

    /// These by hand with those of a configuration.
    pub(in crate::delivery) fn with(&self, tree: &Tree) -> Self {
        Self { file: tree.mutes().clone(), by_hand: self.by_hand.clone() }
    }

    /// All of them, those of the file first.
    pub fn all(&self) -> impl Iterator<Item = &Mute> {
        self.file.iter().chain(self.by_hand.iter())
    }

    /// Those that mute at a moment.
    pub fn at(&self, now: UnixMs) -> ActiveMutes<'_> {
        ActiveMutes(self.active(now).collect())
    }

    /// Those that mute at a moment.
    pub fn active(&self, now: UnixMs) -> impl Iterator<Item = ActiveMute<'_>> {
        self.all().filter_map(move |mute| Some(ActiveMute { mute, until: mute.time.end(now)? }))
    }

    /// The mute of a whole channel; of several the one that ends last.
    pub fn of_channel(&self, channel: &str, now: UnixMs) -> Option<ActiveMute<'_>> {
        let whole = self.all().filter(|mute| mute.channel() == Some(channel));
        whole.filter_map(|mute| Some(ActiveMute { mute, until: mute.time.end(now)? })).max_by_key(|active| active.until)
    }

    /// The mute of a whole channel by hand.
    pub(super) fn of_channel_by_hand(&self, channel: &str, now: UnixMs) -> Option<ActiveMute<'_>> {
        self.active(now).find(|active| active.mute.name.is_none() && active.mute.channel() == Some(channel))
    }

    /// The one that deferred a delivery with this reason.
    pub fn of_reason(&self, reason: &str, now: UnixMs) -> Option<ActiveMute<'_>> {
        self.active(now).find(|active| reason.starts_with(&prefix(active.mute)))
    }

    /// Whether some depend on the labels of a channel's alerts.
    pub fn look_at_labels(&self, channel: &str, now: UnixMs) -> bool {
        self.all().any(|mute| mute.channel().is_none() && mute.may_concern(channel) && mute.time.end(now).is_some())
    }

    /// Those by hand that are here and not in `other`, or changed, as channels; `None` for a mute that may concern any.
    pub(super) fn changed<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Option<&'a str>> {
        let same = |a: &Mute, b: &Mute| a.text == b.text && a.reason == b.reason && a.time.end(UnixMs::EPOCH) == b.time.end(UnixMs::EPOCH);
        self.by_hand.iter().filter(move |mute| !other.by_hand.iter().any(|known| same(mute, known))).map(Mute::channel)
    }
}

/// The mutes that mute at one moment.
#[derive(Debug, Clone, Default)]
pub struct ActiveMutes<'a>(Vec<ActiveMute<'a>>);

impl<'a> ActiveMutes<'a> {
    /// What mutes an alert on a channel; of several the one that ends last, and before one that drops one that defers.
    pub fn of_alert(&self, channel: &str, labels: &Labels) -> Option<ActiveMute<'a>> {
        self.all_of_alert(channel, labels).max_by_key(|active| (!active.mute.drop, active.until))
    }

    /// What mutes an alert on every channel; of several the one that ends last.
    pub fn on_every_channel(&self, labels: &Labels) -> Option<ActiveMute<'a>> {
        self.all_of_alert("", labels).filter(|active| active.mute.is_of_every_channel()).max_by_key(|active| active.until)
    }

    /// All that mute an alert on a channel.
    pub fn all_of_alert(&self, channel: &str, labels: &Labels) -> impl Iterator<Item = ActiveMute<'a>> {
        self.0.iter().filter(|active| active.mute.matches(channel, labels)).copied()
    }
}
