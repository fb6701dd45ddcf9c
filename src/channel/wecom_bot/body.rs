//! What the robot is sent: markdown, or a card with buttons. Pure. <https://developer.work.weixin.qq.com/document/path/101463>

use serde_json::{Value, json};

use crate::channel::wecom_card::{self, shown};
use crate::model::{Page, Size};

/// Bytes of a markdown `content`: our own, as of the group robot; 20,480 are taken (<https://developer.work.weixin.qq.com/document/path/101031>).
const MAX_CONTENT: usize = 4096;

/// The message of a page to a chat; under `card_id` a card, where the page has buttons. The robot has no messages of plain text: a plain page is markdown,
/// too.
pub(super) fn message(page: &Page, chat: &str, card_id: &str) -> Value {
    let card = wecom_card::card(page, card_id);
    match card {
        Some(card) => json!({ "chatid": chat, "msgtype": "template_card", "template_card": card }),
        None => json!({ "chatid": chat, "msgtype": "markdown", "markdown": { "content": content(page) } }),
    }
}

/// A card after a press: what happened is its text, and its buttons stay, for somebody else may take over. `before` is the card as it was sent; `None`: it
/// is not known any more, and the button that was pressed is the only one.
pub(super) fn answered(before: Option<&Value>, task_id: &str, value: &str, text: &str) -> Value {
    match before {
        Some(before) => {
            let mut card = before.clone();
            card["sub_title_text"] = Value::String(wecom_card::text(text));
            card
        }
        None => json!({
            "card_type": "button_interaction",
            "main_title": { "title": wecom_card::headline(text) },
            "sub_title_text": wecom_card::text(text),
            "task_id": task_id,
            "button_list": [{ "text": "OK", "style": 2, "key": value }],
        }),
    }
}

/// The content without control characters, which WeCom refuses.
fn content(page: &Page) -> String {
    shown(page.field("text").trim_end(), page.plain)
}

/// The bytes of the content.
pub(super) fn measure(page: &Page) -> Size {
    Size::bytes(content(page).len(), MAX_CONTENT)
}
