//! WeCom: markdown, text cards and text of applications and group robots. <https://developer.work.weixin.qq.com/document/path/90236>

use serde_json::Value;

use super::blocks::{blocks, plain};
use super::card::{Block, Button, Message, Span, Style, Tint};
use super::inline::{Dialect, Mark, Tag, inline};
use super::{Reader, list, text};

const MARKDOWN: Dialect = Dialect { marks: &[("**", Mark::Bold)], code: true, links: true, tag, headings: true, quotes: true, ..Dialect::PLAIN };

const DESCRIPTION: Dialect = Dialect { tag: division, ..Dialect::PLAIN };

/// `<font color="warning">..</font>`, `<@userid>`.
fn tag<'t>(rest: &'t str, _: &Reader) -> Option<(usize, Tag<'t>)> {
    if let Some(user) = rest.strip_prefix("<@") {
        let end = user.find('>').filter(|end| !user[..*end].contains(char::is_whitespace))?;
        return Some((end + 3, Tag::Piece(Span::mention(format!("@{}", &user[..end])))));
    }
    let open = rest.strip_prefix("<font color=\"")?;
    let (name, inner) = open.split_once("\">")?;
    let inner = &inner[..inner.find("</font>")?];
    let tint = match name {
        "info" => Tint::Green,
        "comment" => Tint::Grey,
        "warning" => Tint::Orange,
        _ => return None,
    };
    let len = "<font color=\"".len() + name.len() + 2 + inner.len() + "</font>".len();
    Some((len, Tag::Around(Style { tint: Some(tint), ..Style::default() }, inner)))
}

/// `<div class="gray">..</div>` of a text card.
fn division<'t>(rest: &'t str, _: &Reader) -> Option<(usize, Tag<'t>)> {
    let open = rest.strip_prefix("<div class=\"")?;
    let (name, inner) = open.split_once("\">")?;
    let inner = &inner[..inner.find("</div>")?];
    let tint = match name {
        "gray" => Some(Tint::Grey),
        "highlight" => Some(Tint::Orange),
        _ => None,
    };
    Some(("<div class=\"".len() + name.len() + 2 + inner.len() + "</div>".len(), Tag::Around(Style { tint, ..Style::default() }, inner)))
}

pub(super) fn read(body: &Value, reader: &Reader) -> Message {
    let blocks = match text(body, "/msgtype") {
        "textcard" => vec![
            Block::Heading(3, plain(text(body, "/textcard/title"))),
            Block::Text(inline(text(body, "/textcard/description"), &DESCRIPTION, reader)),
            Block::Buttons(vec![Button {
                label: text(body, "/textcard/btntxt").to_owned(),
                url: text(body, "/textcard/url").to_owned(),
                primary: false,
            }]),
        ],
        "template_card" => {
            let line = |pointer: &str| Some(text(body, pointer)).filter(|text| !text.is_empty()).map(|text| Block::Text(plain(text)));
            let mut blocks = vec![Block::Heading(3, plain(text(body, "/template_card/main_title/title")))];
            blocks.extend(line("/template_card/main_title/desc"));
            blocks.extend(line("/template_card/sub_title_text"));
            let url = |one: &Value, name: &str| text(one, name).to_owned();
            let link = |one: &Value| Button { label: text(one, "/title").to_owned(), url: url(one, "/url"), primary: false };
            let press = |one: &Value| Button { label: text(one, "/text").to_owned(), url: String::new(), primary: one["style"] == 1 };
            let links = list(body, "/template_card/jump_list").iter().map(link);
            blocks.push(Block::Buttons(list(body, "/template_card/button_list").iter().map(press).chain(links).collect()));
            blocks
        }
        "text" => {
            let mut blocks = blocks(text(body, "/text/content"), &Dialect::PLAIN, reader);
            let named = list(body, "/text/mentioned_list").iter().chain(list(body, "/text/mentioned_mobile_list"));
            let pings: Vec<String> = named.filter_map(Value::as_str).map(|name| format!("@{}", name.trim_start_matches('@'))).collect();
            if !pings.is_empty() {
                blocks.push(Block::Text(vec![Span::mention(pings.join(" "))]));
            }
            blocks
        }
        _ => blocks(text(body, "/markdown/content"), &MARKDOWN, reader),
    };
    Message { notification: String::new(), blocks }
}
