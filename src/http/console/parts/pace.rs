//! Rate limits in words.

use std::time::Duration;

use super::say;
use crate::channel::Limit;
use crate::delivery::ChannelPlan;
use crate::model::{Language, format_duration};

/// What a channel may send: `20 per 1m`, `每分钟 20 条`; with what one recipient gets at most.
pub(in super::super) fn pace_of(language: Language, channel: &ChannelPlan) -> String {
    let own = pace(language, channel.rate_limit.as_deref().unwrap_or_default());
    let own = if own.is_empty() { say(language, "off", "不限速").to_owned() } else { own };
    match pace(language, &channel.allowance.per_recipient) {
        each if each.is_empty() => own,
        each if language == Language::Zh => format!("{own}，每个接收人{each}"),
        each => format!("{own}, and {each} to one recipient"),
    }
}

/// Limits, `20 per 1m, 1000 per 1h`, `每分钟 20 条，每小时 1000 条`; empty when there are none.
pub(in super::super) fn pace(language: Language, limits: &[Limit]) -> String {
    let words = |limit: &Limit| match language {
        Language::Zh => format!("{} {} 条", each(limit.window), limit.count),
        Language::En => format!("{} per {}", limit.count, format_duration(limit.window)),
    };
    limits.iter().map(words).collect::<Vec<_>>().join(say(language, ", ", "，"))
}

/// `每分钟`, `每 10 分钟`.
fn each(window: Duration) -> String {
    let ms = window.as_millis();
    let units = [("天", 86_400_000), ("小时", 3_600_000), ("分钟", 60_000), ("秒", 1000)];
    let (unit, size) = units.into_iter().find(|(_, size)| ms > 0 && ms.is_multiple_of(*size)).unwrap_or(("毫秒", 1));
    match ms / size {
        1 => format!("每{unit}"),
        n => format!("每 {n} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_said_as_its_reader_says_it() {
        let limits = [(20, 60_000), (1000, 3_600_000), (5, 1000), (7, 600_000), (9, 86_400_000), (3, 1500)]
            .map(|(count, ms)| Limit { count, window: Duration::from_millis(ms) });
        assert_eq!(pace(Language::Zh, &limits[..1]), "每分钟 20 条");
        assert_eq!(pace(Language::Zh, &limits[1..]), "每小时 1000 条，每秒 5 条，每 10 分钟 7 条，每天 9 条，每 1500 毫秒 3 条");
        assert_eq!(pace(Language::En, &limits[..2]), "20 per 1m, 1000 per 1h");
        assert_eq!(pace(Language::Zh, &[]), "");
    }
}
