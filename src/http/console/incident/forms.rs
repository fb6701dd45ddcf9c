//! What can be done about an incident, as forms: they work without script, and with it a row is replaced in place.

use maud::{Markup, html};

use crate::http::console::parts::{icon, say};
use crate::http::console::viewer::Viewer;
use crate::model::{IncidentId, Verb};

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
pub(in super::super) fn menu(viewer: &Viewer, id: IncidentId, way: Way) -> Markup {
    let language = viewer.manner.language;
    html! {
        details.menu {
            summary.b.ic data-key="s" aria-label={ (say(language, "More acts for #", "更多操作 #")) (id) } { (icon("more")) }
            div.pop { (snoozes(viewer, id, way)) (closes(viewer, id)) }
        }
    }
}

/// The snoozes.
pub(in super::super) fn snoozes(viewer: &Viewer, id: IncidentId, way: Way) -> Markup {
    let language = viewer.manner.language;
    let spans = [("30m", say(language, "30 min", "30 分钟")), ("2h", say(language, "2 h", "2 小时")), ("8h", say(language, "8 h", "8 小时"))];
    let inside = html! {
        p.t { (say(language, "Snooze: mine, with an end", "暂缓：由我负责，到时提醒")) }
        @for (span, word) in spans { button name="for" value=(span) { (icon("moon")) (word) } }
    };
    press(id, Verb::Snooze, way, inside)
}

fn closes(viewer: &Viewer, id: IncidentId) -> Markup {
    html! { hr; a href={ "/ui/incidents/" (id) "/confirm/close" } { (icon("x")) (say(viewer.manner.language, "Close by hand…", "手动关闭…")) } }
}
