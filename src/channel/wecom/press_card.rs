//! A card with buttons to press (按钮交互型), and what is left of its buttons after a press. Pure.
//! <https://developer.work.weixin.qq.com/document/path/90236>, <https://developer.work.weixin.qq.com/document/path/94888>

use serde::Serialize;
use serde_json::{Value, json};

use super::characters::shown;
use crate::channel::kit::cut_units;
use crate::model::{Link, LinkKind, Page};

/// Characters that clients show of the title, of the line below it, of the text and of a button (first page).
const MAX_TITLE: usize = 36;
const MAX_LINE: usize = 44;
const MAX_TEXT: usize = 160;
const MAX_LABEL: usize = 10;
/// Links of a card, and characters of the label of one (same page).
const MAX_LINKS: usize = 3;
const MAX_LINK_LABEL: usize = 13;
/// Our own, for what takes a button's place; no limit is documented.
const MAX_REPLACED: usize = 60;

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
pub(super) fn card(page: &Page, task_id: &str) -> Option<Card> {
    if page.plain || page.facts.incident.buttons.is_empty() {
        return None;
    }
    let links = &page.facts.links;
    let opened = links.iter().find(|link| link.kind == LinkKind::Details);
    let others = links.iter().filter(|link| link.kind != LinkKind::Details).take(MAX_LINKS);
    let jump = |link: &Link| Jump { r#type: 1, title: cut_units(&link.label, MAX_LINK_LABEL), url: link.url.clone() };
    let buttons = page.facts.incident.buttons.iter().enumerate();
    Some(Card {
        card_type: "button_interaction",
        main_title: title(page.facts.title.trim()),
        sub_title_text: cut_units(&shown(page.field("notice").trim(), false), MAX_TEXT),
        jump_list: others.map(jump).collect(),
        card_action: opened.map(|link| Action { r#type: 1, url: link.url.clone() }),
        task_id: task_id.to_owned(),
        button_list: buttons
            .map(|(place, button)| Button {
                text: cut_units(&button.label, MAX_LABEL),
                style: if place == 0 { 1 } else { 2 },
                key: button.value.clone(),
            })
            .collect(),
    })
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
        None => Title { title: cut_units(headline, MAX_TITLE), desc: cut_units(headline, MAX_LINE) },
    }
}

/// What takes the buttons' place: for everybody who got the card, or for one person.
pub(super) fn replaced(text: &str, response_code: &str, agent_id: u32, only: Option<&str>) -> Value {
    let mut body = json!({ "agentid": agent_id, "response_code": response_code, "button": { "replace_name": cut_units(text, MAX_REPLACED) } });
    match only {
        Some(user) => body["userids"] = json!([user]),
        None => body["atall"] = 1.into(),
    }
    body
}
