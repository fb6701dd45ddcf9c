//! What each channel would get, and what would go elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use maud::{Markup, html};

use super::{Moved, Outcome, heading, note};
use crate::delivery::simulate::{Forecast, Goal};
use crate::http::console::parts::{count, icon, say, shown, worded};
use crate::http::console::viewer::Viewer;
use crate::model::{Language, format_duration};

/// Lines of what would go elsewhere.
const MAX_MOVED: usize = 50;
/// Bars of a curve.
const BARS: usize = 20;
/// The height of the highest.
const HEIGHT: usize = 22;

/// A column: its name, and what it shows of a forecast.
type Column<'a> = (&'a str, fn(&Forecast) -> String);

/// The answer.
pub(super) fn result(viewer: &Viewer, outcome: &Outcome) -> Markup {
    let language = viewer.manner.language;
    let shown_ones = outcome.file.as_ref().unwrap_or(&outcome.runs);
    html! {
        h2.h2 { (heading(language, outcome)) }
        @for warning in &outcome.warnings { (note("crit", "alert", html! { b { (worded(&viewer.manner, warning)) } })) }
        @if outcome.cut { (note("", "ask", html! { (say(language, "That is not all that was received: the newest of it was taken.", "并非全部：只取了其中最新的部分。")) })) }
        @if outcome.alerts == 0 {
            p.card.pad { (say(language, "Nothing was received in this time. Choose a longer one, or a storm.", "此时段内没有收到告警。请选择更长的时间，或选择告警风暴。")) }
        } @else if shown_ones.is_empty() {
            p.card.pad { (say(language, "None of these alerts reaches a channel.", "这些告警不会到达任何通道。")) " " a.l href="/ui/route" { (say(language, "Where labels go", "标签的去向")) } }
        } @else { (table(language, outcome)) }
        (elsewhere(language, &outcome.moved))
    }
}

/// The forecasts of a channel: by what runs, and by the file.
fn pairs(outcome: &Outcome) -> BTreeMap<&str, (Option<&Forecast>, Option<&Forecast>)> {
    let mut pairs: BTreeMap<&str, (Option<&Forecast>, Option<&Forecast>)> = BTreeMap::new();
    for forecast in &outcome.runs {
        pairs.entry(&forecast.channel).or_default().0 = Some(forecast);
    }
    for forecast in outcome.file.iter().flatten() {
        pairs.entry(&forecast.channel).or_default().1 = Some(forecast);
    }
    pairs
}

fn round(span: Duration) -> String {
    format_duration(Duration::from_secs(span.as_secs_f64().round() as u64))
}

/// How many messages begin to leave in each part of a time.
fn bars(sent_after: &[Duration], over: Duration) -> [usize; BARS] {
    let mut bars = [0; BARS];
    for at in sent_after {
        let bar = at.as_millis() * BARS as u128 / over.as_millis().max(1);
        bars[usize::try_from(bar).unwrap_or(BARS).min(BARS - 1)] += 1;
    }
    bars
}

/// When a channel's messages leave, drawn and in words.
fn curve(language: Language, forecast: &Forecast, over: Duration) -> Markup {
    let bars = bars(&forecast.sent_after, over);
    let most = bars.iter().copied().max().unwrap_or_default();
    let Some(highest) = bars.iter().position(|n| *n == most && most > 0) else { return Markup::default() };
    let middle = round(over.mul_f64((highest as f64 + 0.5) / BARS as f64));
    let messages = count(language, forecast.sent_after.len() as u64, "message", "messages", "条消息");
    let words = match language {
        Language::En => format!("{messages}; the most in one bar, {most}, after about {middle}"),
        Language::Zh => format!("{messages}；最高一格 {most} 条，约在 {middle} 时"),
    };
    html! {
        svg viewBox="0 0 160 22" preserveAspectRatio="none" width="100%" height="22" role="img" aria-label=(words) {
            @for (n, messages) in bars.iter().enumerate() { @if *messages > 0 {
                @let height = (messages * HEIGHT).div_ceil(most);
                rect.fd x=(n * 8) y=(HEIGHT - height) width="6" height=(height) {}
            } }
        }
    }
}

fn table(language: Language, outcome: &Outcome) -> Markup {
    let compared = outcome.file.is_some();
    let over = outcome.file.as_ref().unwrap_or(&outcome.runs).iter().map(|forecast| forecast.over_after).max().unwrap_or_default();
    let columns: [Column<'_>; 6] = [
        (say(language, "Alerts", "告警"), |f| f.alerts.to_string()),
        (say(language, "Messages", "消息"), |f| f.messages.to_string()),
        (say(language, "Digests", "汇总"), |f| f.digests.to_string()),
        (say(language, "Alerts named", "逐条列出的告警"), |f| f.named.to_string()),
        (say(language, "Longest wait", "最长等待"), |f| round(f.longest_delay)),
        (say(language, "Done after", "完成于"), |f| round(f.over_after)),
    ];
    let none = Forecast::default();
    html! {
        div.card { table.t.cards.mid {
            thead { tr { th { (say(language, "Channel", "通道")) } @for (name, _) in &columns { th.r { (name) } } th.curve { "0" (say(language, " to ", " 至 ")) (round(over)) } } }
            tbody { @for (name, (runs, file)) in pairs(outcome) {
                @let (runs, file) = (runs.unwrap_or(&none), if compared { file.unwrap_or(&none) } else { runs.unwrap_or(&none) });
                @let shown_one = if file.platform.is_empty() { runs } else { file };
                tr data-row {
                    td { b { (shown(name)) } div.dim.s { (shown(&shown_one.platform)) @if shown_one.held_back > 0 { (say(language, ", ", "，")) (shown_one.held_back) (say(language, " muted or recorded only", " 条静音或仅记录")) } } }
                    @for (name, value) in &columns {
                        @let (before, after) = (value(runs), value(file));
                        td.r data-l=(name) { @if before == after { (after) } @else { span.dim { (before) } " " (icon("arrow")) span.vh { (say(language, " becomes ", " 变为 ")) } " " b { (after) } } }
                    }
                    td.curve { (curve(language, file, over)) }
                }
            } }
        } }
        p.dim.s.mt { (say(language, "Named alerts are in a message by name; the others are in it as a count, with a link to the list.", "逐条列出的告警在消息中有名称；其余以数量和列表链接体现。")) }
    }
}

fn elsewhere(language: Language, moved: &[(String, Moved)]) -> Markup {
    html! {
        @if !moved.is_empty() {
            section.sec { h2 { (say(language, "What would go elsewhere", "去向会改变的告警")) }
                ul.card.rows {
                    @for (name, one) in moved.iter().take(MAX_MOVED) { li data-row {
                        b.c1 { (shown(name)) } span.dim.n { "× " (one.alerts) }
                        span.end { (goals(language, &one.from)) " " (icon("arrow")) span.vh { (say(language, " becomes ", " 变为 ")) } " " b { (goals(language, &one.to)) } }
                    } }
                    @if moved.len() > MAX_MOVED { li { span.dim { "+" (moved.len() - MAX_MOVED) } } }
                }
            }
        }
    }
}

fn goals(language: Language, goals: &BTreeSet<Goal>) -> Markup {
    html! {
        @if goals.is_empty() { span.st.bad { (say(language, "nowhere", "无去向")) } }
        @for (n, (channel, held)) in goals.iter().enumerate() { @if n > 0 { (say(language, ", ", "，")) } (shown(channel)) @if *held { (say(language, " (held back)", "（暂不发送）")) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_shows_when_messages_leave_and_says_it_in_words() {
        let over = Duration::from_secs(40);
        let sent_after: Vec<Duration> = [0, 1, 21, 39, 40].map(Duration::from_secs).into();
        let parts = bars(&sent_after, over);
        assert_eq!((parts[0], parts[10], parts[BARS - 1], parts.iter().sum::<usize>()), (2, 1, 2, 5));
        let forecast = Forecast { sent_after, ..Forecast::default() };
        let drawn = curve(Language::En, &forecast, over).into_string();
        assert!(drawn.contains("aria-label=\"5 messages; the most in one bar, 2, after about 1s\""), "{drawn}");
        assert!(drawn.contains("<rect class=\"fd\" x=\"80\" y=\"11\" width=\"6\" height=\"11\">") && !drawn.contains("style="), "{drawn}");
        assert_eq!(curve(Language::Zh, &Forecast::default(), over).into_string(), "", "nothing is sent");
    }
}
