//! What somebody who acted on incidents is answered.

use jiff::tz::TimeZone;

use super::MAX_ACTED;
use crate::channel::{PressAnswer, Presser};
use crate::delivery::plan::Plan;
use crate::model::{IncidentId, Language, UnixMs};
use crate::store::{ActResult, Acted, NoSilence, SilenceState};
use crate::template::{humanize, reason as in_language, who};

/// The longest answer, in characters; an address in it may make it longer.
const MAX_TEXT: usize = 200;

/// What is said of a message that is no longer stored.
pub(in crate::delivery) fn gone(language: Language) -> &'static str {
    if language == Language::Zh { "该消息已不在库中，未做任何操作。" } else { "This message is no longer stored; nothing was done." }
}

/// The id by which the configuration names who presses, in words: some platforms show it nowhere. A phone number is known.
pub(super) fn id_of(by: &Presser, language: Language) -> String {
    match language {
        _ if by.id.starts_with('+') => String::new(),
        Language::Zh => format!("你的 ID：{}。", by.id),
        Language::En => format!(" Your id is {}.", by.id),
    }
}

/// Whether what was asked for holds now.
pub(super) fn is_done(result: &ActResult) -> bool {
    match result {
        ActResult::Silenced { state, .. } => *state != SilenceState::Failed,
        ActResult::Acked { .. } | ActResult::Already { .. } | ActResult::Unacked | ActResult::Closed | ActResult::HandedOn { .. } => true,
        ActResult::UnackedQuietly { .. } | ActResult::Unsilenced | ActResult::UnsilencedQuietly { .. } => true,
        ActResult::Muted { .. } | ActResult::Unmuted => true,
        _ => false,
    }
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

fn cannot_silence(why: &NoSilence, zh: bool) -> String {
    match (why, zh) {
        (NoSilence::NotConfigured, true) => "无法静默：配置中没有它的 Alertmanager（`silence`）".into(),
        (NoSilence::NotConfigured, false) => "cannot be silenced: the configuration names no Alertmanager for it (`silence`)".into(),
        (NoSilence::OtherSender { link }, true) if link.is_empty() => "不是来自 Alertmanager，请在其发送方静默".into(),
        (NoSilence::OtherSender { link }, false) if link.is_empty() => "does not come from an Alertmanager; silence it at its sender".into(),
        (NoSilence::OtherSender { link }, true) => format!("不是来自 Alertmanager，请在此静默：{link}"),
        (NoSilence::OtherSender { link }, false) => format!("does not come from an Alertmanager; silence it there: {link}"),
        (NoSilence::NoLabels, true) => "无法静默：它的告警没有共同的标签".into(),
        (NoSilence::NoLabels, false) => "cannot be silenced: its alerts have no label in common".into(),
    }
}

/// Whether an address is said: cut, it would lead to a silence of more than was meant.
fn has_address(result: &ActResult) -> bool {
    matches!(result, ActResult::CannotSilence { why: NoSilence::OtherSender { link } } if !link.is_empty())
}

/// The time of day; with its date where it is a day or more from now: a snooze may last 30 days.
fn time(at: UnixMs, now: UnixMs, zone: &TimeZone) -> String {
    const DAY_MS: i64 = 86_400_000;
    let format = if (at - now).abs() < DAY_MS { "%H:%M" } else { "%m-%d %H:%M" };
    at.timestamp().to_zoned_datetime(zone.clone()).strftime(format).to_string()
}

/// What comes before what was done, where a message has more incidents than one act changes. Who hands on what fires would hand on the same once more.
fn left_out(acted: &Acted, zh: bool) -> String {
    let all = MAX_ACTED + acted.left;
    let is_again = !acted.results.iter().any(|(_, result)| matches!(result, ActResult::HandedOn { .. } | ActResult::NoStep));
    match (acted.left, is_again, zh) {
        (0, ..) => String::new(),
        (_, true, true) => format!("{all} 个事件中的 {MAX_ACTED} 个，其余请再次点击："),
        (_, true, false) => format!("{MAX_ACTED} of {all} incidents, press again for the rest: "),
        (_, false, true) => format!("{all} 个事件中最新的 {MAX_ACTED} 个："),
        (_, false, false) => format!("the newest {MAX_ACTED} of {all} incidents: "),
    }
}

/// What the person reads, at most three incidents by name.
pub fn answer(acted: &Acted, language: Language, plan: &Plan, now: UnixMs) -> PressAnswer {
    const MAX_NAMED: usize = 3;
    let zh = language == Language::Zh;
    let done = acted.results.iter().any(|(_, result)| is_done(result));
    if acted.results.is_empty() {
        let text = if zh { "该消息没有对应的事件。" } else { "This message belongs to no incident." };
        return PressAnswer { text: text.into(), done: false };
    }
    let clock = |at: UnixMs| time(at, now, &plan.messages.time_zone);
    let later = |at: UnixMs| match zh {
        true => format!("，暂不提醒；若届时仍无人认领，将于 {} 再次提醒", clock(at)),
        false => format!("; it rings at {} unless acked", clock(at)),
    };
    let one = |(id, result): &(IncidentId, ActResult)| match result {
        ActResult::Acked { until: Some(until), .. } if zh => format!("#{id} 已暂缓至 {}", clock(*until)),
        ActResult::Acked { until: Some(until), .. } => format!("#{id} is snoozed until {}", clock(*until)),
        ActResult::Acked { left, taken_from, .. } => {
            let taken_from: Vec<&str> = taken_from.iter().map(|name| who(language, name)).collect();
            let from = match (taken_from.is_empty(), zh) {
                (true, _) => String::new(),
                (false, true) => format!("，接手自 {}", taken_from.join("、")),
                (false, false) => format!(", taken over from {}", taken_from.join(", ")),
            };
            let left = match (*left, zh) {
                (0, _) => String::new(),
                (left, true) => format!("，另有 {left} 条未认领"),
                (left, false) => format!(", {left} alerts are not"),
            };
            if zh { format!("#{id} 已认领{from}{left}") } else { format!("#{id} is acked{from}{left}") }
        }
        ActResult::Already { since } if zh => format!("#{id} 已由你认领（{}）", clock(*since)),
        ActResult::Already { since } => format!("#{id} is already yours since {}", clock(*since)),
        ActResult::Unacked if zh => format!("#{id} 已取消认领"),
        ActResult::Unacked => format!("#{id} is no longer acked"),
        ActResult::UnackedQuietly { rings_at } if zh => format!("#{id} 已取消认领{}", later(*rings_at)),
        ActResult::UnackedQuietly { rings_at } => format!("#{id} is no longer acked{}", later(*rings_at)),
        ActResult::NotAcked if zh => format!("#{id} 无人认领"),
        ActResult::NotAcked => format!("#{id} was not acked"),
        ActResult::Closed if zh => format!("#{id} 已关闭"),
        ActResult::Closed => format!("#{id} is closed"),
        ActResult::HandedOn { steps } if zh => format!("#{id} 已转交下一步：{}", steps.join("、")),
        ActResult::HandedOn { steps } => format!("#{id} is handed on: {} comes now", steps.join(", ")),
        ActResult::NoStep if zh => format!("#{id} 没有等待中的升级步骤"),
        ActResult::NoStep => format!("#{id}: no step of an escalation waits"),
        ActResult::Silenced { until, state: SilenceState::Failed, reason } if zh => {
            format!("#{id} 未能在 Alertmanager 静默至 {}：{}", clock(*until), in_language(language, reason))
        }
        ActResult::Silenced { until, state: SilenceState::Failed, reason } => {
            format!("#{id} is not silenced until {}: {reason}", clock(*until))
        }
        ActResult::Silenced { until, state: SilenceState::Active, .. } if zh => format!("#{id} 已静默至 {}", clock(*until)),
        ActResult::Silenced { until, state: SilenceState::Active, .. } => format!("#{id} is silenced until {}", clock(*until)),
        ActResult::Silenced { until, reason, .. } if zh => {
            format!("#{id} 已暂缓至 {}，Alertmanager 尚未确认静默{}", clock(*until), because(&in_language(language, reason)))
        }
        ActResult::Silenced { until, reason, .. } => {
            format!("#{id} is snoozed until {}; Alertmanager has not confirmed the silence yet{}", clock(*until), because(reason))
        }
        ActResult::Unsilenced if zh => format!("#{id} 的静默已结束"),
        ActResult::Unsilenced => format!("the silence of #{id} ends"),
        ActResult::UnsilencedQuietly { rings_at } if zh => format!("#{id} 的静默已结束{}", later(*rings_at)),
        ActResult::UnsilencedQuietly { rings_at } => format!("the silence of #{id} ends{}", later(*rings_at)),
        ActResult::NotSilenced if zh => format!("#{id} 没有由此处设置的静默"),
        ActResult::NotSilenced => format!("#{id} has no silence that was asked for here"),
        ActResult::CannotSilence { why } => format!("#{id} {}", cannot_silence(why, zh)),
        ActResult::Muted { until } if zh => format!("#{id} 已静音至 {}", clock(*until)),
        ActResult::Muted { until } => format!("#{id} is muted until {}", clock(*until)),
        ActResult::Unmuted if zh => format!("#{id} 已取消静音"),
        ActResult::Unmuted => format!("the mute of #{id} ends"),
        ActResult::NotMuted if zh => format!("#{id} 没有由消息设置的静音"),
        ActResult::NotMuted => format!("#{id} has no mute that was made from a message"),
        ActResult::CannotMute if zh => format!("#{id} 无法静音：它的告警没有可供静音匹配的共同标签"),
        ActResult::CannotMute => format!("#{id} cannot be muted: its alerts have no labels in common that a mute can match"),
        ActResult::Over { since: Some(since) } if zh => format!("#{id} 已于 {}前结束", humanize(language, now.since(*since))),
        ActResult::Over { since: Some(since) } => format!("#{id} ended {} ago", humanize(language, now.since(*since))),
        ActResult::Over { since: None } if zh => format!("#{id}：此消息中的告警均已恢复"),
        ActResult::Over { since: None } => format!("#{id}: what this message shows is over"),
        ActResult::Unknown if zh => format!("#{id} 已不在库中"),
        ActResult::Unknown => format!("#{id} is no longer stored"),
    };
    let mut parts: Vec<String> = acted.results.iter().take(MAX_NAMED).map(one).collect();
    let more = acted.results.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        parts.push(if zh { format!("另有 {more} 个") } else { format!("{more} more") });
    }
    let mut text = left_out(acted, zh) + &parts.join(if zh { "；" } else { "; " }) + if zh { "。" } else { "." };
    if acted.repeated {
        text.push_str(if zh { "（该操作此前已生效，未重复执行）" } else { " This had counted before; nothing was done again." });
    }
    let most = if acted.results.iter().take(MAX_NAMED).any(|(_, result)| has_address(result)) { usize::MAX } else { MAX_TEXT };
    PressAnswer { text: text.chars().take(most).collect(), done }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_time_that_is_a_day_away_has_its_date() {
        let at = |text: &str| UnixMs::from(text.parse::<Timestamp>().unwrap());
        let (now, zone) = (at("2026-11-29T19:10:00Z"), TimeZone::get("Asia/Shanghai").unwrap());
        let said = |text: &str| time(at(text), now, &zone);
        assert_eq!((said("2026-11-30T01:00:00Z"), said("2026-11-30T19:09:59Z")), ("09:00".into(), "03:09".into()));
        assert_eq!((said("2026-12-01T01:00:00Z"), said("2026-11-27T01:00:00Z")), ("12-01 09:00".into(), "11-27 09:00".into()));
    }
}
