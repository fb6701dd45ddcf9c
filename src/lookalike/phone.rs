//! SMS and calls: the text, or the variables of a template that only the vendor knows.

use serde_json::Value;

use super::blocks::blocks;
use super::card::{Block, Message, Span};
use super::inline::{Dialect, decode};
use super::{Reader, list, text};

pub(super) fn read(body: &Value, reader: &Reader) -> Message {
    let said = text(body, "/Twiml").split_once("<Say").and_then(|(_, rest)| rest.split_once('>')?.1.split_once("</Say>"));
    let whole = said.map_or_else(|| [text(body, "/Body"), text(body, "/content")].concat(), |(said, _)| decode(said));
    if !whole.is_empty() {
        return Message { notification: String::new(), blocks: blocks(&whole, &Dialect::PLAIN, reader) };
    }
    let shown = |value: &Value| vec![Span::plain(value.as_str().map_or_else(|| value.to_string(), str::to_owned))];
    // By name at Alibaba Cloud, where they are JSON in a text; by place at Tencent Cloud.
    let named: Value = ["/TemplateParam", "/TtsParam"].iter().find_map(|name| serde_json::from_str(text(body, name)).ok()).unwrap_or_default();
    let by_name = named.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), shown(value)));
    let by_place = list(body, "/TemplateParamSet").iter().enumerate().map(|(place, value)| ((place + 1).to_string(), shown(value)));
    let code = ["/TemplateCode", "/TtsCode", "/TemplateId"].iter().map(|name| text(body, name)).find(|code| !code.is_empty()).unwrap_or_default();
    let facts = by_name.chain(by_place).collect();
    Message { notification: String::new(), blocks: vec![Block::Small(vec![Span::plain(format!("template {code}"))]), Block::Facts(facts)] }
}
