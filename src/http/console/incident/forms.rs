//! What can be done about an incident, as forms: they work without script, and with it a row is replaced in place.

use maud::{Markup, html};

use super::Known;
use crate::http::console::parts::{icon, say, shown, time};
use crate::http::console::viewer::Viewer;
use crate::model::{IncidentId, UnixMs, Verb};
use crate::store::SilenceState;

/// The time of day until which a night is snoozed.
const MORNING: &str = "09:00";

/// Where a form is: what its answer replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Way {
    /// In a row of a list, which is replaced.
    Row,
    /// On the incident's own page, which is loaded again.
    Page,
}

/// A form that does something about an incident.
pub(in super::super) fn press(id: IncidentId, verb: Verb, way: Way, inside: Markup) -> Markup {
    let path = format!("/ui/incidents/{id}/{}", verb.as_str());
    match way {
        Way::Row => html! {
            form method="post" action=(path) hx-post=(path) hx-target={ "#i-" (id) } hx-swap="outerHTML" hx-disabled-elt="find button" {
                input type="hidden" name="back" value="/ui"; (inside)
            }
        },
        Way::Page => html! {
            form method="post" action=(path) { input type="hidden" name="back" value={ "/ui/incidents/" (id) }; (inside) }
        },
    }
}

/// Snoozes, and the rest.
pub(in super::super) fn menu(viewer: &Viewer, known: &Known, way: Way) -> Markup {
    let language = viewer.manner.language;
    let id = known.incident.id;
    html! {
        details.menu {
            summary.b.ic data-key=[(way == Way::Row).then_some("s")] aria-label={ (say(language, "More acts for #", "更多操作 #")) (id) } { (icon("more")) }
            div.pop {
                @if way == Way::Row { (snoozes(viewer, id, way)) @if let Some(escalates) = escalates(viewer, known, way) { hr; (escalates) } hr; }
                @if known.silences { (silences(viewer, known, way)) hr; }
                (closes(viewer, id))
            }
        }
    }
}

/// The snoozes.
pub(in super::super) fn snoozes(viewer: &Viewer, id: IncidentId, way: Way) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let spans = [("30m", say(language, "30 min", "30 分钟")), ("2h", say(language, "2 h", "2 小时")), ("8h", say(language, "8 h", "8 小时"))];
    let inside = html! {
        p.t { (say(language, "Snooze: mine, with an end", "暂缓：由我负责，到时提醒")) }
        @for (span, word) in spans { button name="for" value=(span) { (icon("moon")) (word) } }
        @if let Some(morning) = time::next_at(&manner.zone, manner.now, MORNING) {
            button name="until" value=(time::exact(manner, morning)) { (icon("moon")) (say(language, "until ", "至 ")) (time::day(language, &manner.zone, morning)) " " (time::zone(manner, morning)) }
        }
    };
    press(id, Verb::Snooze, way, inside)
}

/// Brings the next step of its escalations at once; `None` where none waits for its time.
pub(in super::super) fn escalates(viewer: &Viewer, known: &Known, way: Way) -> Option<Markup> {
    let language = viewer.manner.language;
    let next = known.next.as_ref().filter(|next| next.at > UnixMs::from(viewer.manner.now))?;
    let inside = html! {
        p.t { (say(language, "Escalate: the next step comes now", "升级：立即执行下一步")) }
        button { (icon("up")) (shown(&next.channel)) (say(language, " now", "，立即")) }
    };
    Some(press(known.incident.id, Verb::Escalate, way, inside))
}

/// The silences, or the end of the one that there is.
fn silences(viewer: &Viewer, known: &Known, way: Way) -> Markup {
    let (language, id) = (viewer.manner.language, known.incident.id);
    if known.incident.acks.silence.as_ref().is_some_and(|silence| silence.state != SilenceState::Ending) {
        let inside = html! { button { (icon("bell")) (say(language, "End the silence in Alertmanager", "结束 Alertmanager 的静默")) } };
        return press(id, Verb::Unsilence, way, inside);
    }
    let spans = [("30m", say(language, "30 min", "30 分钟")), ("2h", say(language, "2 h", "2 小时")), ("8h", say(language, "8 h", "8 小时"))];
    let inside = html! {
        p.t { (say(language, "Silence in Alertmanager, for all that its group holds", "在 Alertmanager 静默整个分组")) }
        @for (span, word) in spans { button name="for" value=(span) { (icon("mute")) (word) } }
    };
    press(id, Verb::Silence, way, inside)
}

fn closes(viewer: &Viewer, id: IncidentId) -> Markup {
    html! { a href={ "/ui/incidents/" (id) "/confirm/close" } { (icon("x")) (say(viewer.manner.language, "Close by hand…", "手动关闭…")) } }
}
