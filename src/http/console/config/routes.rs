//! The routing tree as a picture: every route with its matchers and channels.

use maud::{Markup, html};

use crate::delivery::Plan;
use crate::http::console::parts::{icon, say, shown};
use crate::model::Language;
use crate::route::Node;

/// Routes that are shown.
const MAX_ROUTES: usize = 500;

/// The tree.
pub(super) fn tree(language: Language, plan: &Plan) -> Markup {
    let nodes = plan.tree.nodes();
    let mut left = MAX_ROUTES;
    html! {
        section.sec {
            h2 { (say(language, "Where alerts go", "告警去向")) a.l.s.end href="/ui/route" { (say(language, "Try labels", "测试标签")) } }
            div.card.pad {
                ul.tree { @if let Some(root) = nodes.first() { (route(language, plan, root, &mut left)) } }
                @if nodes.len() > MAX_ROUTES { p.dim.s.mt { (nodes.len() - MAX_ROUTES) (say(language, " more routes", " 条更多路由")) } }
            }
        }
    }
}

fn route(language: Language, plan: &Plan, node: &Node, left: &mut usize) -> Markup {
    if *left == 0 {
        return Markup::default();
    }
    *left -= 1;
    let intervals = |all: &[std::sync::Arc<crate::route::TimeInterval>]| all.iter().map(|one| one.name().to_owned()).collect::<Vec<_>>().join(", ");
    let channels: Vec<&str> = node.to.all().map(|name| &**name).collect();
    html! {
        li {
            div.nd {
                @if node.matchers.is_empty() { b { (say(language, "everything", "全部")) } } @else { @for matcher in &node.matchers { span.lab { (shown(&matcher.to_string())) } } }
                (icon("arrow")) b { (shown(&channels.join(", "))) }
            }
            p.why {
                (shown(&node.name))
                @if let Some(name) = &node.escalation { " · " (say(language, "escalation ", "升级策略 ")) (shown(name)) @if let Some(steps) = plan.people.escalations.get(name) { (say(language, ": ", "：")) (shown(&plan.people.in_words(steps, None, &|channel| plan.sends(channel), language))) } }
                @if !node.mute.is_empty() { " · " (say(language, "muted in ", "静音时段 ")) (shown(&intervals(&node.mute))) }
                @if !node.active.is_empty() { " · " (say(language, "active in ", "生效时段 ")) (shown(&intervals(&node.active))) }
                @if node.continue_ { " · " (say(language, "continue: the next routes are tried as well", "continue：继续尝试后续路由")) }
            }
            @if !node.children.is_empty() { ul { @for child in &node.children { @if let Some(child) = plan.tree.nodes().get(*child) { (route(language, plan, child, left)) } } } }
        }
    }
}
