//! What WeCom's application and its smart robot have in common: a card with buttons to press (按钮交互型), and the characters that WeCom takes. Pure.
//! <https://developer.work.weixin.qq.com/document/path/90236>, <https://developer.work.weixin.qq.com/document/path/101032>

use serde::Serialize;

use super::kit::cut_units;
use crate::model::{Link, LinkKind, Page};

/// Characters that clients show of the title, of the line below it, of the text and of a button (first page).
const MAX_TITLE: usize = 36;
const MAX_LINE: usize = 44;
const MAX_TEXT: usize = 160;
const MAX_LABEL: usize = 10;
/// Links of a card, and characters of the label of one (same page).
const MAX_LINKS: usize = 3;
const MAX_LINK_LABEL: usize = 13;

#[derive(Debug, Serialize)]
pub(super) struct Card {
    card_type: &'static str,
    main_title: Title,
    #[serde(skip_serializing_if = "String::is_empty")]
    sub_title_text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    jump_list: Vec<Jump>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_action: Option<Action>,
    #[serde(skip_serializing_if = "String::is_empty")]
    task_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    button_list: Vec<Button>,
}

#[derive(Debug, Serialize)]
struct Title {
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    desc: String,
}

#[derive(Debug, Serialize)]
struct Jump {
    r#type: u8,
    title: String,
    url: String,
}

#[derive(Debug, Serialize)]
struct Action {
    r#type: u8,
    url: String,
}

#[derive(Debug, Serialize)]
struct Button {
    text: String,
    style: u8,
    key: String,
}

/// The card of a page that has buttons, under this id, which the application may use once. The whole message is on the page that the card opens.
/// A short text beside a card has buttons, too.
pub(super) fn card(page: &Page, task_id: &str) -> Option<Card> {
    let as_text = page.plain && !page.facts.form.is_line();
    if as_text || page.facts.incident.buttons.is_empty() {
        return None;
    }
    let opened = page.facts.links.iter().find(|link| link.kind == LinkKind::Details);
    Some(Card { task_id: task_id.to_owned(), ..of(page, "button_interaction", opened) })
}

/// What a card becomes that is changed by a right to it, which names the card in place of its id: without buttons it is a text that opens something.
/// `None`: there is nothing to open.
pub(super) fn changed(page: &Page) -> Option<Card> {
    let opened = page.facts.opens(usize::MAX);
    card(page, "").or_else(|| opened.filter(|_| !page.plain).map(|opened| of(page, "text_notice", Some(opened))))
}

fn of(page: &Page, card_type: &'static str, opened: Option<&Link>) -> Card {
    let others = page.facts.links.iter().filter(|link| link.kind != LinkKind::Details).take(MAX_LINKS);
    let jump = |link: &Link| Jump { r#type: 1, title: cut_units(&link.label, MAX_LINK_LABEL), url: link.url.clone() };
    let buttons = page.facts.incident.buttons.iter().enumerate();
    Card {
        card_type,
        main_title: title(page.facts.title.trim()),
        sub_title_text: text(if page.field("notice").is_empty() { page.field("text") } else { page.field("notice") }),
        jump_list: others.map(jump).collect(),
        card_action: opened.map(|link| Action { r#type: 1, url: link.url.clone() }),
        task_id: String::new(),
        button_list: buttons
            .map(|(place, button)| Button {
                text: cut_units(&button.label, MAX_LABEL),
                style: if place == 0 { 1 } else { 2 },
                key: button.value.clone(),
            })
            .collect(),
    }
}

/// A headline over the title and the line below it.
fn title(headline: &str) -> Title {
    if headline.encode_utf16().count() <= MAX_TITLE {
        return Title { title: headline.to_owned(), desc: String::new() };
    }
    let fits = |at: &usize| headline[..*at].encode_utf16().count() <= MAX_TITLE;
    let at = headline.match_indices(" · ").map(|(at, _)| at).filter(fits).last();
    match at {
        Some(at) => Title { title: headline[..at].to_owned(), desc: cut_units(headline[at..].trim_start_matches([' ', '·']), MAX_LINE) },
        // Many counts fill the title: the line says what it is about.
        None => {
            let about = headline.split_once(" · ").map_or(headline, |(_, about)| about);
            Title { title: cut_units(headline, MAX_TITLE), desc: cut_units(about, MAX_LINE) }
        }
    }
}

/// The text of a card.
pub(super) fn text(text: &str) -> String {
    cut_units(&shown(text.trim(), false), MAX_TEXT)
}

/// The title of a card that says only this.
pub(super) fn headline(text: &str) -> String {
    cut_units(&shown(text.trim(), false), MAX_TITLE)
}

/// A text without control characters, which JSON writes as `\uXXXX` and WeCom refuses (40033,
/// <https://developer.work.weixin.qq.com/document/path/90313>). In `plain` text, `<a` opens no link.
pub(super) fn shown(text: &str, plain: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_control() && c != '\n' && c != '\t' {
            continue;
        }
        out.push(c);
        let opens_tag = c == '<' && rest.peek().is_some_and(|next| matches!(next, 'a' | 'A' | '/'));
        if plain && opens_tag {
            out.push('\u{200b}');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_says_what_it_is_about_however_much_it_counts() {
        let said = |headline: &str| {
            let Title { title, desc } = title(headline);
            (title, desc)
        };
        let both = |title: &str, line: &str| (title.to_owned(), line.to_owned());
        assert_eq!(said("🔴 Critical · DiskFull · db-1"), both("🔴 Critical · DiskFull · db-1", ""));
        assert_eq!(said("🔴 Critical · KubePodCrashLooping · payments/api-1"), both("🔴 Critical · KubePodCrashLooping", "payments/api-1"));
        let counted = said("🔴 3 critical, 9 warning, 12 resolved · NodeDown · eu-west-1");
        assert_eq!(counted, both("🔴 3 critical, 9 warning, 12 resolv…", "NodeDown · eu-west-1"));
        assert_eq!(said(&"长".repeat(50)), both(&format!("{}…", "长".repeat(35)), &format!("{}…", "长".repeat(43))));
    }
}
