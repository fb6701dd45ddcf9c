//! Block Kit as Slack checks it: types, required parts, lengths in characters. Also collects what people read
//! and whom it pings.

use serde_json::Value;

/// The most blocks in one message.
pub const MAX_BLOCKS: usize = 50;
/// The sum of block texts beyond which `msg_blocks_too_long` was observed.
pub const MAX_BLOCK_TEXT: usize = 13_200;

/// What the blocks say, or where they are wrong.
#[derive(Debug, Default)]
pub struct Reading {
    /// Every text, in order.
    pub texts: Vec<String>,
    /// Mentions in mrkdwn texts: `<!here>`, `<@U1>`, ...
    pub pings: Vec<String>,
    /// Complaints in Slack's words.
    pub errors: Vec<String>,
}

impl Reading {
    /// Reads a `blocks` array found at `pointer`.
    pub fn blocks(&mut self, blocks: &Value, pointer: &str) {
        let Some(list) = blocks.as_array() else { return self.error("must be an array", pointer) };
        if list.len() > MAX_BLOCKS {
            self.error(&format!("no more than {MAX_BLOCKS} items allowed"), pointer);
        }
        for (i, block) in list.iter().enumerate() {
            self.block(block, &format!("{pointer}/{i}"));
        }
    }

    /// Notes a mrkdwn text that is not inside a block.
    pub fn mrkdwn(&mut self, text: &str) {
        self.pings.extend(pings(text));
        self.texts.push(text.to_owned());
    }

    /// The length of everything said in blocks, in characters.
    pub fn length(&self) -> usize {
        self.texts.iter().map(|t| t.chars().count()).sum()
    }

    fn error(&mut self, what: &str, pointer: &str) {
        self.errors.push(format!("{what} [json-pointer:{pointer}]"));
    }

    fn block(&mut self, block: &Value, at: &str) {
        self.length_of(block, "block_id", 255, at);
        match block.get("type").and_then(Value::as_str) {
            None => self.error("missing required field: type", at),
            Some("divider") => {}
            Some("header") => self.text_object(&block["text"], &format!("{at}/text"), 150, &["plain_text"]),
            Some("section") => self.section(block, at),
            Some("context") => self.elements(block, at, 10),
            Some("actions") => self.elements(block, at, 25),
            Some("image") => self.image(block, at),
            Some("markdown") => match block["text"].as_str() {
                Some(text) if !text.is_empty() && text.chars().count() <= 12_000 => self.mrkdwn(text),
                _ => self.error("must be less than 12001 characters", &format!("{at}/text")),
            },
            Some("rich_text") if block["elements"].is_array() => self.rich(&block["elements"]),
            Some("rich_text") => self.error("missing required field: elements", at),
            Some(other) => self.error(&format!("unsupported type: {other}"), at),
        }
    }

    fn section(&mut self, block: &Value, at: &str) {
        if block["text"].is_null() && block["fields"].is_null() {
            return self.error("missing required field: text or fields", at);
        }
        if !block["text"].is_null() {
            self.text_object(&block["text"], &format!("{at}/text"), 3000, &["mrkdwn", "plain_text"]);
        }
        if !block["fields"].is_null() {
            match block["fields"].as_array() {
                Some(fields) if (1..=10).contains(&fields.len()) => {
                    for (i, field) in fields.iter().enumerate() {
                        self.text_object(field, &format!("{at}/fields/{i}"), 2000, &["mrkdwn", "plain_text"]);
                    }
                }
                _ => self.error("must have between 1 and 10 items", &format!("{at}/fields")),
            }
        }
        if !block["accessory"].is_null() {
            self.element(&block["accessory"], &format!("{at}/accessory"));
        }
    }

    fn elements(&mut self, block: &Value, at: &str, most: usize) {
        match block["elements"].as_array() {
            Some(elements) if (1..=most).contains(&elements.len()) => {
                let mut ids = Vec::new();
                for (i, element) in elements.iter().enumerate() {
                    let here = format!("{at}/elements/{i}");
                    if let Some(id) = element["action_id"].as_str() {
                        if ids.contains(&id) {
                            self.error("action_id already exists", &here);
                        }
                        ids.push(id);
                    }
                    let context = block["type"] == "context";
                    match element["type"].as_str() {
                        Some("mrkdwn" | "plain_text") if context => self.text_object(element, &here, 2000, &["mrkdwn", "plain_text"]),
                        Some("image") if context => self.image(element, &here),
                        _ if context => self.error("unsupported type in context", &here),
                        _ => self.element(element, &here),
                    }
                }
            }
            _ => self.error(&format!("must have between 1 and {most} items"), &format!("{at}/elements")),
        }
    }

    fn element(&mut self, element: &Value, at: &str) {
        self.length_of(element, "action_id", 255, at);
        match element["type"].as_str() {
            Some("button") => {
                self.text_object(&element["text"], &format!("{at}/text"), 75, &["plain_text"]);
                self.length_of(element, "value", 2000, at);
                self.length_of(element, "url", 3000, at);
                if element["url"].as_str().is_some_and(|u| !u.contains("://") && !u.starts_with("mailto:")) {
                    self.error("must be a valid URL", &format!("{at}/url"));
                }
                if !matches!(element["style"].as_str(), None | Some("primary" | "danger")) {
                    self.error("must be one of: primary, danger", &format!("{at}/style"));
                }
            }
            Some("image") => self.image(element, at),
            Some("overflow" | "static_select" | "users_select" | "datepicker") => {}
            _ => self.error("unsupported type", at),
        }
    }

    fn image(&mut self, image: &Value, at: &str) {
        for (name, most) in [("image_url", 3000), ("alt_text", 2000)] {
            match image[name].as_str() {
                Some(text) if !text.is_empty() && text.chars().count() <= most => {}
                _ => self.error(&format!("missing or too long field: {name}"), at),
            }
        }
    }

    fn text_object(&mut self, object: &Value, at: &str, most: usize, types: &[&str]) {
        let kind = object["type"].as_str().unwrap_or("");
        if !types.contains(&kind) {
            return self.error(&format!("must be one of: {}", types.join(", ")), &format!("{at}/type"));
        }
        let Some(text) = object["text"].as_str() else { return self.error("missing required field: text", at) };
        let length = text.chars().count();
        if length == 0 {
            self.error("must be more than 0 characters", &format!("{at}/text"));
        }
        if length > most {
            self.error(&format!("must be less than {} characters", most + 1), &format!("{at}/text"));
        }
        if object.get("emoji").is_some_and(|e| !e.is_boolean() || kind != "plain_text") {
            self.error("invalid additional property: emoji", at);
        }
        if kind == "mrkdwn" { self.mrkdwn(text) } else { self.texts.push(text.to_owned()) }
    }

    fn length_of(&mut self, object: &Value, name: &str, most: usize, at: &str) {
        match object.get(name) {
            None => {}
            Some(Value::String(s)) if s.chars().count() <= most => {}
            Some(_) => self.error(&format!("must be a string of less than {} characters", most + 1), &format!("{at}/{name}")),
        }
    }

    fn rich(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|v| self.rich(v)),
            Value::Object(map) => {
                if let Some(text) = map.get("text").and_then(Value::as_str) {
                    self.texts.push(text.to_owned());
                }
                if let Some(range) = map.get("range").and_then(Value::as_str) {
                    self.pings.push(format!("<!{range}>"));
                }
                map.values().for_each(|v| self.rich(v));
            }
            _ => {}
        }
    }
}

/// The mentions in a mrkdwn text: `<@...>`, `<!here>`, `<!channel>`, `<!everyone>`, `<!subteam^...>`.
pub fn pings(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('<') {
        let Some(end) = text[at..].find('>') else { continue };
        let tag = &text[at..=at + end];
        let body = &tag[1..tag.len() - 1];
        let name = body.split(['|', '^']).next().unwrap_or("");
        if body.starts_with('@') || matches!(name, "!here" | "!channel" | "!everyone" | "!subteam") {
            found.push(tag.to_owned());
        }
    }
    found
}
