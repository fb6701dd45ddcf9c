//! Whether a channel can be relied on.

use super::parts::{Look, say};
use crate::api::ChannelState;
use crate::model::{Language, UnixMs};

/// A channel that is not ready: how it looks, and why. One that is disabled sends nothing, whatever becomes of the credential that it shares with others.
pub(super) fn trouble(channel: &ChannelState, now: UnixMs, language: Language) -> Option<(Look, String)> {
    let look = |class, icon, en, zh| Look { class, icon, en, zh };
    if channel.disabled {
        return None;
    }
    if let Some(why) = &channel.suspended {
        return Some((look("bad", "lock", "Held", "已挂起"), why.clone()));
    }
    if channel.muted_until.is_some_and(|until| until > now) {
        return Some((look("q", "mute", "Muted", "静音"), language.reason_or_none(channel.muted_reason.as_deref().unwrap_or_default()).to_owned()));
    }
    if channel.paused_ms > 0 {
        return Some((
            look("wn", "clock", "Paused", "暂停"),
            say(language, "the platform asked for it or did not answer", "平台要求暂停或未应答").to_owned(),
        ));
    }
    if channel.breaker_open {
        return Some((
            look("wn", "clock", "Failing", "连续失败"),
            say(language, "several attempts in a row failed; one at a time is tried", "连续多次失败，逐条尝试").to_owned(),
        ));
    }
    if let Some(listener) = channel.listener.as_ref().filter(|listener| !listener.connected) {
        return Some((look("wn", "alert", "No presses", "按钮无效"), listener.error.clone().unwrap_or_default()));
    }
    None
}
