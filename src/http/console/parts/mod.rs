//! What pages are made of. A part is the same in a page, in an answer to htmx and in a live update.

pub(super) mod filters;
mod look;
mod pace;
mod text;
pub(super) mod time;

use maud::{Markup, PreEscaped, html};

use super::assets::File;
use crate::model::{Language, Severity};

pub(super) use look::{Look, badge, badge_of};
pub(super) use pace::{pace, pace_of};
pub(super) use text::{kind, label, link, meaning, plain, shown, timed, unit, worded};

/// The text in the reader's language.
pub(super) fn say<'a>(language: Language, en: &'a str, zh: &'a str) -> &'a str {
    if language == Language::Zh { zh } else { en }
}

/// A number with the noun that it counts: `1 alert`, `3 alerts`, `3 条告警`.
pub(super) fn count(language: Language, n: u64, one: &str, many: &str, zh: &str) -> String {
    if language == Language::Zh { format!("{n} {zh}") } else { format!("{n} {}", if n == 1 { one } else { many }) }
}

/// An icon of the sprite.
pub(super) fn icon(name: &'static str) -> Markup {
    icon_of(name, "")
}

/// An icon with one more class.
pub(super) fn icon_of(name: &'static str, class: &'static str) -> Markup {
    let space = if class.is_empty() { "" } else { " " };
    PreEscaped(format!(r##"<svg class="i{space}{class}" aria-hidden="true"><use href="{}#{name}"/></svg>"##, File::Icons.path()))
}

/// A severity: mark, word and colour.
pub(super) fn pill(language: Language, severity: Severity) -> Markup {
    let Look { class, icon: name, en, zh } = Look::of_severity(severity);
    html! { span.pill.(class) { (icon(name)) (say(language, en, zh)) } }
}

/// A severity where there is no room for its word.
pub(super) fn mark(language: Language, severity: Severity) -> Markup {
    let Look { class, icon: name, en, zh } = Look::of_severity(severity);
    html! { span class=(class) { (icon(name)) span.vh { (say(language, en, zh)) } } }
}

/// An identity: short to see, whole to copy.
pub(super) fn id_chip(language: Language, whole: &str, short: &str) -> Markup {
    html! {
        button.id type="button" data-copy=(plain(whole)) title=(plain(whole)) { span.vh { (say(language, "Copy ", "复制 ")) } (plain(short)) (icon("copy")) }
    }
}

/// `01a2210b…6c43` of a UUID.
pub(super) fn short_id(id: &str) -> String {
    match (id.get(..8), id.len().checked_sub(4).and_then(|at| id.get(at..))) {
        (Some(head), Some(tail)) if id.len() > 16 => format!("{head}…{tail}"),
        _ => id.to_owned(),
    }
}

/// What a platform answered: capped, escaped, folded.
pub(super) fn answer(language: Language, text: &str) -> Markup {
    html! {
        @if !text.trim().is_empty() {
            details.raw { summary { (say(language, "The platform’s answer", "平台返回")) } pre.code { (shown(&cut(text, 4096))) } }
        }
    }
}

/// A text of at most so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut kept: String = text.chars().take(most).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}
