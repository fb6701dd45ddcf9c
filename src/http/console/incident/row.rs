//! A row of an incident: on a phone a card, on a desk a line. A live update replaces it in place, so its parts have the same height in every state.

use maud::{Markup, html};

use super::forms::{Way, menu, press};
use super::{Known, NextStep};
use crate::http::api::incidents::actor_id;
use crate::http::console::acts;
use crate::http::console::parts::{Look, badge, badge_of, count, pill, plain, say, shown, time};
use crate::http::console::viewer::Viewer;
use crate::model::{UnixMs, Verb};
use crate::store::IncidentState;
use crate::template;

/// The labels that say where something is, in the order in which they are shown.
const PLACES: [&str; 6] = ["team", "env", "cluster", "namespace", "service", "instance"];

/// The row.
pub(in super::super) fn row(viewer: &Viewer, known: &Known) -> Markup {
    let language = viewer.manner.language;
    let incident = &known.incident;
    let severity = known.severity();
    let place: Vec<&str> =
        known.labels().into_iter().flat_map(|labels| PLACES.into_iter().filter_map(|name| labels.get(name).map(String::as_str))).collect();
    html! {
        li.inc.(Look::of_severity(severity).class) id={ "i-" (incident.id) } data-row {
            div.sev { (pill(language, severity)) }
            div.what {
                a.c2 href={ "/ui/incidents/" (incident.id) } title=(plain(&incident.title)) { (shown(&incident.title)) }
                p.c2 { (shown(known.sentence())) }
                p.meta.c1 {
                    @match known.firing() { 0 => { (say(language, "nothing fires", "无触发")) } n => { (count(language, n as u64, "alert", "alerts", "条告警")) } }
                    @for part in place.iter().take(4) { " · " (shown(part)) } " · #" (incident.id)
                }
            }
            div.next { (who(viewer, known)) p.c1 { (what_next(viewer, known)) } }
            div.age { (time::ago(&viewer.manner, known.since())) }
            div.act {
                @if viewer.operates && incident.state.is_open() {
                    (first(viewer, known, Way::Row))
                    (menu(viewer, known, Way::Row))
                }
            }
        }
    }
}

/// The one button that fits the state.
pub(in super::super) fn first(viewer: &Viewer, known: &Known, way: Way) -> Markup {
    let language = viewer.manner.language;
    let me = actor_id(&viewer.caller.name);
    let mine = known.incident.acks.list.iter().any(|ack| ack.by.id == me);
    let (verb, class, word) = match known.incident.state {
        IncidentState::Acked if mine => (Verb::Unack, "b", say(language, "Hand back", "交还")),
        IncidentState::Acked => (Verb::Ack, "b", say(language, "Take over", "接手")),
        IncidentState::Snoozed => (Verb::Unack, "b", say(language, "End snooze", "结束暂缓")),
        _ => (Verb::Ack, "b p", say(language, "Acknowledge", "认领")),
    };
    press(known.incident.id, verb, way, html! { button class=(class) data-key="a" { (word) } })
}

/// Who is on it.
pub(in super::super) fn who(viewer: &Viewer, known: &Known) -> Markup {
    let language = viewer.manner.language;
    let names: Vec<&str> = known.incident.attending().map(|ack| template::who(language, &ack.by.name)).filter(|name| !name.is_empty()).collect();
    let names = names.join(say(language, ", ", "、"));
    let state = known.incident.state;
    match state {
        IncidentState::Acked | IncidentState::Snoozed if !names.is_empty() => badge_of(state.into(), &names),
        _ => badge(language, state),
    }
}

/// Until when nobody is notified of it.
pub(in super::super) fn muted(viewer: &Viewer, known: &Known) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    html! {
        @match known.muted {
            Some(UnixMs::MAX) => { (say(language, "Muted, no end is known", "已静音，结束时间未知")) }
            Some(until) => { (say(language, "Muted until ", "已静音至 ")) (time::clock(manner, until)) }
            None => {}
        }
    }
}

fn what_next(viewer: &Viewer, known: &Known) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let ack = known.incident.acks.list.last();
    let until = known.incident.acks.list.iter().filter_map(|ack| ack.until).min();
    html! {
        @match (known.incident.state, ack, &known.next) {
            (IncidentState::Snoozed, ..) => { @if let Some(until) = until { (say(language, "until ", "至 ")) (time::clock(manner, until)) (say(language, ", then it rings again", "，届时仍触发则再次通知")) } }
            (IncidentState::Acked, Some(ack), _) => { (say(language, "acked ", "")) (time::since(manner, ack.at)) (say(language, " by ", "认领，通过 ")) (shown(&acts::way(language, &ack.by.via))) }
            (IncidentState::Firing, ..) if known.muted.is_some() => { (muted(viewer, known)) }
            (IncidentState::Firing, _, Some(NextStep { channel, at })) => { (say(language, "Next: ", "下一步：")) (shown(channel)) (say(language, " ", "，")) (time::coming(manner, *at)) }
            (IncidentState::Firing, ..) if !known.escalates => { (say(language, "no escalation is configured for it", "未配置升级策略")) }
            (IncidentState::Firing, ..) => { (say(language, "no further step", "没有后续步骤")) }
            (IncidentState::Resolved | IncidentState::Closed | IncidentState::Superseded, ..) => { @if let Some(at) = known.incident.ended_at { (time::since(manner, at)) } }
            (IncidentState::Stale, ..) => { (say(language, "last heard ", "最后消息 ")) (time::since(manner, known.incident.heard_at)) (say(language, "; may be over", "，可能已结束")) }
            _ => {}
        }
    }
}
