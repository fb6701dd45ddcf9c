//! What happened to an incident, the newest first, with what is still to come on top.

use std::collections::HashMap;

use maud::{Markup, html};

use crate::delivery::Plan;
use crate::http::console::manner::Manner;
use crate::http::console::parts::{Look, answer, icon, say, shown, time, worded};
use crate::http::console::viewer::Viewer;
use crate::model::{MessageId, UnixMs};
use crate::store::{AttemptKind, AttemptRow, DeliveryRow, IncidentDetail, State, TimelineKind, TimelineRow};

/// Lines that are shown.
const MAX_LINES: usize = 200;
/// What waits for longer than this does not only wait its turn, in milliseconds.
const TURN_MS: i64 = 60_000;
/// Answers of one message that are shown.
const MAX_ANSWERS: usize = 20;

/// One line.
struct Line {
    at: UnixMs,
    /// Whether it is still to come.
    soon: bool,
    class: &'static str,
    icon: &'static str,
    head: Markup,
    text: String,
    answer: String,
}

/// The list. `attempts` are those of the messages that were read.
pub(super) fn list(viewer: &Viewer, plan: &Plan, found: &IncidentDetail, attempts: &HashMap<MessageId, Vec<AttemptRow>>) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let mut lines: Vec<Line> = found.timeline.iter().map(|row| described(viewer, row)).collect();
    lines.extend(found.deliveries.iter().filter_map(|row| delivered(viewer, plan, found, row, attempts)));
    lines.push(Line {
        at: found.incident.opened_at,
        soon: false,
        class: "warn",
        icon: "in",
        head: html! { b { (say(language, "Came in", "收到")) } (say(language, ", ", "，")) (shown(&found.incident.source)) },
        text: found.incident.receiver.clone(),
        answer: String::new(),
    });
    // What comes next is nearest to now; everything else is the newest first.
    lines.sort_by_key(|line| (!line.soon, if line.soon { line.at.0 } else { -line.at.0 }));
    let more = lines.len().saturating_sub(MAX_LINES);
    html! {
        section.sec {
            h2 { (say(language, "What happened", "经过")) }
            ol.tl.card {
                @for line in lines.iter().take(MAX_LINES) {
                    li class=[line.soon.then_some("soon")] {
                        span.d.(line.class) { (icon(line.icon)) }
                        div {
                            div.h { div { (line.head) } @if line.soon { span { (time::coming(manner, line.at)) } } @else { (time::clock(manner, line.at)) } }
                            @if !line.text.is_empty() { p.x { (worded(manner, &line.text)) } }
                            (answer(language, &line.answer))
                        }
                    }
                }
                @if more > 0 { li { span.d {} div { p.x { (say(language, "and ", "另有 ")) (more) (say(language, " more lines", " 条更早的记录")) } } } }
            }
        }
    }
}

fn described(viewer: &Viewer, row: &TimelineRow) -> Line {
    let language = viewer.manner.language;
    let (class, icon, en, zh) = match row.kind {
        TimelineKind::Reopened => ("crit", "alert", "Fires again", "再次触发"),
        TimelineKind::Resolved => ("ok", "ok", "Resolved", "已恢复"),
        TimelineKind::Stale => ("", "stale", "Not reported any more", "久无消息"),
        TimelineKind::Regrouped => ("", "swap", "Grouped in another way", "分组方式改变"),
        TimelineKind::Superseded => ("", "swap", "Goes on as another", "转为其他事件"),
        TimelineKind::Edited => ("", "chat", "Edited", "已更新"),
        TimelineKind::Reposted => ("warn", "chat", "Posted again", "重新发布"),
        TimelineKind::GivenUp => ("warn", "x", "Not kept up to date any more", "不再更新"),
        TimelineKind::Lost => ("warn", "x", "Channel is gone", "通道已不存在"),
        TimelineKind::Acked => ("acc", "acked", "Acked", "已认领"),
        TimelineKind::Snoozed => ("acc", "moon", "Snoozed", "已暂缓"),
        TimelineKind::Unacked => ("crit", "alert", "Not acked any more", "不再有人认领"),
        TimelineKind::Reminded => ("", "bell", "Reminded", "已提醒"),
        TimelineKind::Closed => ("acc", "x", "Closed", "已关闭"),
        TimelineKind::Escalated => ("", "up", "Escalation", "升级"),
        TimelineKind::Silenced => ("acc", "moon", "Silence", "静默"),
        TimelineKind::Muted => ("acc", "mute", "Muted", "已静音"),
        TimelineKind::Unmuted => ("warn", "bell", "Mute ended", "静音结束"),
        TimelineKind::Unsilenced => ("warn", "bell", "Silence ended", "静默结束"),
    };
    let head = html! { b { (say(language, en, zh)) } @if !row.channel.is_empty() { " · " (shown(&row.channel)) } };
    Line { at: row.at, soon: false, class, icon, head, text: row.text.clone(), answer: String::new() }
}

fn delivered(
    viewer: &Viewer,
    plan: &Plan,
    found: &IncidentDetail,
    row: &DeliveryRow,
    attempts: &HashMap<MessageId, Vec<AttemptRow>>,
) -> Option<Line> {
    let language = viewer.manner.language;
    let tries = row.message.and_then(|message| attempts.get(&message)).map(Vec::as_slice).unwrap_or_default();
    let is_final = row.state.is_final();
    let soon = !is_final && row.due_at > UnixMs::from(viewer.manner.now);
    // What only waits its turn is nothing to wait for; what failed, or is held, is.
    let waits_its_turn = UnixMs::from(viewer.manner.now) - row.due_at.max(row.born_at) < TURN_MS;
    let has_failed = tries.iter().any(|attempt| attempt.kind.is_some_and(|kind| kind != AttemptKind::Ok));
    if !is_final && !soon && !has_failed && row.reason.is_none() && waits_its_turn {
        return None;
    }
    let at = match (is_final, soon) {
        (true, _) => row.done_at?,
        (_, true) => row.due_at,
        _ => tries.last().map_or(row.born_at.max(row.due_at), |attempt| attempt.begun_at),
    };
    let look = Look::from(row.state);
    let class = match row.state {
        State::Sent => "ok",
        State::Dead | State::Expired => "crit",
        State::Unknown | State::Waiting | State::Deferred => "warn",
        _ => "",
    };
    let is_off = plan.current_channel(&row.channel).is_some_and(|channel| channel.disabled);
    let head = html! {
        a href={ "/ui/deliveries/" (row.id) } { b { (shown(&row.channel)) } }
        @if soon && is_off { (say(language, " is disabled: it is skipped", " 已停用：将跳过")) }
        @else if soon { (say(language, " is next", "（接下来）")) } @else { (say(language, ": ", "：")) (say(language, look.en, look.zh)) }
    };
    let origin = row.fallback_of.and_then(|id| found.deliveries.iter().find(|one| one.id == id));
    let instead = || origin.map(|origin| format!("{}{}", say(language, "in place of ", "代替 "), origin.channel));
    let text = row.reason.clone().or_else(instead).unwrap_or_default();
    // A step that is still to come is not muted.
    let (class, icon) = if soon { ("soon", "clock") } else { (class, look.icon) };
    Some(Line { at, soon, class, icon, head, text, answer: answers(&viewer.manner, tries) })
}

/// What the platform answered, the newest first; to several attempts, each with its time.
fn answers(manner: &Manner, tries: &[AttemptRow]) -> String {
    let mut said = tries.iter().rev().filter_map(|attempt| Some((attempt.begun_at, attempt.answer.as_deref()?))).take(MAX_ANSWERS);
    match tries.len() {
        0 | 1 => said.next().map(|(_, text)| text.to_owned()).unwrap_or_default(),
        _ => said.map(|(at, text)| format!("{}\n{text}", time::whole(manner, at))).collect::<Vec<_>>().join("\n\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptId, Language};

    #[test]
    fn every_answer_is_shown_the_newest_first() {
        let manner = Manner {
            language: Language::En,
            theme: None,
            fragment: false,
            here: "/ui".into(),
            now: "2026-11-29T21:00:00Z".parse().unwrap(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let attempt = |at: i64, answer: Option<&str>| AttemptRow {
            id: AttemptId::new(),
            page: 0,
            begun_at: UnixMs(1_795_900_000_000 + at),
            ended_at: None,
            kind: None,
            code: None,
            answer: answer.map(str::to_owned),
        };
        assert_eq!(answers(&manner, &[]), "");
        assert_eq!(answers(&manner, &[attempt(0, Some("ok"))]), "ok");
        let several = [attempt(0, Some("HTTP 502")), attempt(1_000, None), attempt(2_000, Some("ok"))];
        assert_eq!(answers(&manner, &several), "2026-11-28 21:06:42 UTC\nok\n\n2026-11-28 21:06:40 UTC\nHTTP 502");
    }
}
