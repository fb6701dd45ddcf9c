//! What a card is: the variables of its template, and where it is delivered. Pure.
//! <https://open.dingtalk.com/document/orgapp/create-and-deliver-cards>,
//! <https://open.dingtalk.com/document/orgapp/instructions-for-filling-in-api-card-data>

use serde_json::{Map, Value, json};

use crate::channel::kit;
use crate::model::{Page, Size, hash_hex};

/// DingTalk's own template of a title, markdown, a line of tips and a list of buttons, which every application may use (`MarkdownButtonCardInstance` in
/// <https://github.com/open-dingtalk/dingtalk-stream-sdk-python/blob/main/dingtalk_stream/card_instance.py>).
pub(super) const TEMPLATE: &str = "1366a1eb-bc54-4859-ac88-517c56a9acb1.schema";
/// Bytes of a variable (<https://open.dingtalk.com/document/orgapp/instructions-for-filling-in-api-card-data>).
const MAX_VALUE: usize = 1024;
/// The name of a card's id.
pub(super) const ID: &str = "outTrackId";
/// What follows a value in a button's id: clients append the button's place to the id of one that is part of a list.
const END: char = '_';

/// What a channel's cards have in common.
pub(super) struct Look<'a> {
    pub robot: &'a str,
    /// The id of the template.
    pub template: &'a str,
    /// Whether somebody listens for presses.
    pub listens: bool,
}

/// A place for cards.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Space<'a> {
    /// A group, by its openConversationId.
    Group(&'a str),
    /// A person, by user id.
    Person(&'a str),
}

/// Whether this may be the id of a template, as the card platform shows them.
pub(super) fn is_template_id(text: &str) -> bool {
    let name = text.strip_suffix(".schema").unwrap_or_default();
    !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
}

/// The place that a recipient names.
pub(super) fn space(to: &str) -> Option<Space<'_>> {
    let to = to.trim();
    match to.strip_prefix("user:").map(str::trim) {
        Some(user) => (!user.is_empty()).then_some(Space::Person(user)),
        None => (to.starts_with("cid") && to.len() > 3).then_some(Space::Group(to)),
    }
}

/// The id of the card that a page is to a recipient: each has one of its own.
pub(super) fn id(key: &str, to: &str) -> String {
    format!("watchfire-{}", hash_hex(&[key, to]))
}

/// `createAndDeliver`.
pub(super) fn card(page: &Page, to: &str, id: &str, look: &Look<'_>) -> Value {
    let mut card = json!({
        "cardTemplateId": look.template,
        "outTrackId": id,
        "cardData": { "cardParamMap": variables(page) },
        "userIdType": 1,
    });
    let last = kit::cut_bytes(headline(page), MAX_VALUE);
    // Forwarded, its buttons would be pressed by any reader.
    let space_model = json!({
        "supportForward": false,
        "lastMessageI18n": { "ZH_CN": last, "EN_US": last },
        "notification": { "alertContent": last, "notificationOff": false },
    });
    match space(to) {
        Some(Space::Person(user)) => {
            card["openSpaceId"] = format!("dtv1.card//IM_ROBOT.{user}").into();
            card["imRobotOpenSpaceModel"] = space_model;
            card["imRobotOpenDeliverModel"] = json!({ "spaceType": "IM_ROBOT", "robotCode": look.robot });
        }
        group => {
            let group = if let Some(Space::Group(group)) = group { group } else { to };
            card["openSpaceId"] = format!("dtv1.card//IM_GROUP.{group}").into();
            card["imGroupOpenSpaceModel"] = space_model;
            card["imGroupOpenDeliverModel"] = json!({ "robotCode": look.robot });
            let pinged = pinged(page);
            if !pinged.is_empty() {
                card["imGroupOpenDeliverModel"]["atUserIds"] = pinged.into();
            }
        }
    }
    if look.listens {
        card["callbackType"] = "STREAM".into();
    }
    card
}

/// The card's new look. All variables are written, so that buttons and tips that are over go.
pub(super) fn edit(page: &Page, id: &str) -> Value {
    json!({ "outTrackId": id, "cardData": { "cardParamMap": variables(page) }, "cardUpdateOptions": { "updateCardDataByKey": true } })
}

/// User ids with the names that are shown, which this server does not know.
fn pinged(page: &Page) -> Map<String, Value> {
    let mentions = &page.facts.mentions;
    let all = mentions.all.then_some("@ALL");
    all.into_iter().chain(mentions.users.iter().map(String::as_str)).map(|user| (user.to_owned(), user.into())).collect()
}

/// The template's variables: texts, whatever they mean.
fn variables(page: &Page) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("title".into(), kit::cut_bytes(page.field("title"), MAX_VALUE).into());
    out.insert("markdown".into(), kit::cut_bytes(text(page), MAX_VALUE).into());
    // What was said to who pressed is old news.
    out.insert("tips".into(), "".into());
    out.insert("sys_full_json_obj".into(), buttons(page).into());
    out
}

/// What the answer to a press changes: the line below the text, until the next edit.
pub(super) fn tips(text: &str) -> Map<String, Value> {
    Map::from_iter([("tips".to_owned(), kit::cut_bytes(text, MAX_VALUE).into())])
}

/// The list of buttons, as JSON in a text: those to press, then the links for which there is room.
fn buttons(page: &Page) -> String {
    let presses = page.facts.incident.buttons.iter().enumerate().map(|(place, button)| {
        let color = if place == 0 { "blue" } else { "gray" };
        json!({ "text": button.label, "color": color, "id": format!("{}{END}", button.value), "request": true })
    });
    let shown = page.number == page.total && !page.plain;
    let links = page.facts.links.iter().filter(|_| shown).map(|link| json!({ "text": link.label, "color": "gray", "url": link.url }));
    let list = |buttons: &[Value]| json!({ "msgButtons": buttons }).to_string();
    let mut buttons = Vec::new();
    for button in presses.chain(links) {
        buttons.push(button);
        if list(&buttons).len() > MAX_VALUE {
            buttons.pop();
        }
    }
    list(&buttons)
}

/// The value of the button with this id.
pub(super) fn value(id: &str) -> &str {
    id.split(END).next().unwrap_or_default()
}

/// What the list of chats shows.
fn headline(page: &Page) -> &str {
    let first_line = text(page).lines().find(|line| !line.trim().is_empty());
    let titles = [page.field("title"), &page.facts.title, first_line.unwrap_or_default()];
    titles.into_iter().map(str::trim).find(|title| !title.is_empty()).unwrap_or("-")
}

fn text(page: &Page) -> &str {
    page.field("text").trim_end()
}

/// The longer of the two texts.
pub(super) fn measure(page: &Page) -> Size {
    Size::bytes(text(page).len().max(page.field("title").len()), MAX_VALUE)
}
