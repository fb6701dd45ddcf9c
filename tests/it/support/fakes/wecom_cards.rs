//! WeCom's cards with buttons: sent once per task id, changed once per response code, and their presses, which are posted to the application's address,
//! signed and encrypted, at most three times. <https://developer.work.weixin.qq.com/document/path/94888>,
//! <https://developer.work.weixin.qq.com/document/path/90968>

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use serde_json::Value;
use sha1::{Digest, Sha1};

use super::clock::Now;
use super::crypt::b64;

/// A response code is good for this long.
const CODE_LIFE_MS: u64 = 72 * 3600 * 1000;

/// The application's address for callbacks.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Token.
    pub token: String,
    /// EncodingAESKey.
    pub key: String,
}

/// A card, and what became of its buttons.
#[derive(Debug, Clone, Default)]
pub struct Card {
    /// Button texts and keys.
    pub buttons: Vec<(String, String)>,
    /// What took the buttons' place, by member; `*` for everybody.
    pub replaced: HashMap<String, String>,
    /// Its title, the line below it and its text, as everybody reads them.
    pub text: String,
    /// How often it was changed.
    pub changes: u32,
}

/// A refusal: its code and why.
type Refused = (i64, String);

/// The cards of an application.
#[derive(Debug, Default)]
pub struct Cards {
    /// Where presses are posted; without it no card with buttons is taken.
    pub receiver: Option<Receiver>,
    /// Cards by task id.
    pub cards: HashMap<String, Card>,
    used: BTreeSet<String>,
    codes: HashMap<String, (String, u64)>,
    counter: u64,
}

impl Cards {
    /// Takes a card of a message, and returns the first right to change it: only a card with something to press has one.
    pub(super) fn take(&mut self, card: &Value, now: Now) -> Result<Option<String>, Refused> {
        if card["card_type"] != "button_interaction" {
            return Ok(None);
        }
        if self.receiver.is_none() {
            return Err((43012, "the application has no receive url".into()));
        }
        let buttons = read_buttons(card)?;
        check_text_and_links(card)?;
        let id = text(&card["task_id"]).filter(|id| id.len() <= 128).ok_or_else(|| bad("task_id"))?;
        if !id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'@')) {
            return Err(bad("task_id"));
        }
        if !self.used.insert(id.clone()) {
            return Err((42014, "the task_id is used".into()));
        }
        self.cards.insert(id.clone(), Card { buttons, text: texts(card), ..Card::default() });
        Ok(Some(self.code(&id, now)))
    }

    fn code(&mut self, task_id: &str, now: Now) -> String {
        self.counter += 1;
        let code = format!("rc-{}-{task_id}", self.counter);
        self.codes.insert(code.clone(), (task_id.to_owned(), now.mono_ms));
        code
    }

    /// Changes a card by a right to it, which is then used up. The vendor's pages leave the code of a right that is used or too old open.
    pub(super) fn update(&mut self, body: &Value, now: Now) -> Result<(), Refused> {
        if self.receiver.is_none() {
            return Err((43012, "the application has no receive url".into()));
        }
        let code = body["response_code"].as_str().unwrap_or_default();
        let (task, at) = self.codes.get(code).cloned().ok_or((42016, "the response_code is used or unknown".to_owned()))?;
        if now.mono_ms - at > CODE_LIFE_MS {
            return Err((42016, "the response_code is expired".into()));
        }
        let who: Vec<String> = match (&body["userids"], &body["atall"]) {
            (Value::Array(users), Value::Null) => users.iter().filter_map(|user| user.as_str().map(str::to_owned)).collect(),
            (Value::Null, Value::Number(all)) if all.as_i64() == Some(1) => vec!["*".to_owned()],
            _ => return Err((40058, "one of userids and atall".into())),
        };
        let (buttons, shown) = match (&body["button"], &body["template_card"]) {
            (button, Value::Null) => (None, text(&button["replace_name"]).ok_or((42018, "button.replace_name is empty".to_owned()))?),
            (Value::Null, card) => (Some(read_change(card)?), texts(card)),
            _ => return Err((40058, "one of button and template_card".into())),
        };
        self.codes.remove(code);
        let Some(card) = self.cards.get_mut(&task) else { return Ok(()) };
        match buttons {
            Some(buttons) if who == ["*"] => (card.buttons, card.text, card.replaced) = (buttons, shown, HashMap::new()),
            _ => card.replaced.extend(who.into_iter().map(|user| (user, shown.clone()))),
        }
        card.changes += 1;
        Ok(())
    }

    /// Somebody presses: the event, before it is encrypted.
    pub fn press(&mut self, task_id: &str, label: &str, user: &str, corp: &str, agent: i64, now: Now) -> String {
        let key = self.cards[task_id].buttons.iter().find(|(text, _)| text == label).unwrap_or_else(|| panic!("no button {label}")).1.clone();
        let code = self.code(task_id, now);
        let at = now.wall_s();
        format!(
            "<xml><ToUserName><![CDATA[{corp}]]></ToUserName>\n<FromUserName><![CDATA[{user}]]></FromUserName>\n<CreateTime>{at}</CreateTime>\n\
             <MsgType><![CDATA[event]]></MsgType>\n<Event><![CDATA[template_card_event]]></Event>\n<EventKey><![CDATA[{key}]]></EventKey>\n\
             <TaskId><![CDATA[{task_id}]]></TaskId>\n<CardType><![CDATA[button_interaction]]></CardType>\n\
             <ResponseCode><![CDATA[{code}]]></ResponseCode>\n<AgentID>{agent}</AgentID>\n<SelectedItems></SelectedItems></xml>"
        )
    }
}

fn bad(what: &str) -> Refused {
    (40058, format!("template_card.{what} invalid. invalid Request Parameter"))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// What people read of a card.
fn texts(card: &Value) -> String {
    let parts = [&card["main_title"]["title"], &card["main_title"]["desc"], &card["sub_title_text"]];
    parts.into_iter().filter_map(text).collect::<Vec<_>>().join("\n")
}

fn read_buttons(card: &Value) -> Result<Vec<(String, String)>, Refused> {
    let buttons = card["button_list"].as_array().filter(|list| (1..=6).contains(&list.len())).ok_or_else(|| bad("button_list"))?;
    let mut read = Vec::new();
    for button in buttons {
        let key = text(&button["key"]).filter(|key| key.len() <= 1024).ok_or_else(|| bad("button_list.key"))?;
        read.push((text(&button["text"]).ok_or_else(|| bad("button_list.text"))?, key));
    }
    Ok(read)
}

fn check_text_and_links(card: &Value) -> Result<(), Refused> {
    if text(&card["main_title"]["title"]).is_none() && text(&card["sub_title_text"]).is_none() {
        return Err(bad("main_title"));
    }
    let opens = |link: &Value| link["url"].as_str().is_some_and(|url| url.contains("://"));
    if card["jump_list"].as_array().into_iter().flatten().any(|jump| jump["type"] == 1 && !opens(jump)) {
        return Err(bad("jump_list.url"));
    }
    if card["card_type"] != "button_interaction" && !(card["card_action"]["type"] == 1 && opens(&card["card_action"])) {
        return Err(bad("card_action"));
    }
    Ok(())
}

/// What a card becomes may be of another type. The right to the change names the card.
fn read_change(card: &Value) -> Result<Vec<(String, String)>, Refused> {
    check_text_and_links(card)?;
    match card["card_type"].as_str() {
        Some("button_interaction") => read_buttons(card),
        Some("text_notice" | "news_notice") if card["button_list"].is_null() => Ok(Vec::new()),
        _ => Err(bad("card_type")),
    }
}

impl Receiver {
    /// The address's query and the body that carry an event of this company, encrypted again for each try.
    pub fn seal(&self, message: &str, corp: &str, at: i64, nonce: &str) -> (String, String) {
        let engine = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let key: [u8; 32] = GeneralPurpose::new(&alphabet::STANDARD, engine).decode(&self.key).unwrap().try_into().unwrap();
        let iv: [u8; 16] = key[..16].try_into().unwrap();
        let mut plain = b"0123456789abcdef".to_vec();
        plain.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        plain.extend(message.as_bytes());
        plain.extend(corp.as_bytes());
        let pad = 32 - plain.len() % 32;
        plain.extend(std::iter::repeat_n(u8::try_from(pad).unwrap(), pad));
        let mut encryptor = cbc::Encryptor::<aes::Aes256>::new((&key).into(), (&iv).into());
        for block in plain.as_chunks_mut::<16>().0 {
            encryptor.encrypt_block(block.into());
        }
        let sealed = b64(&plain);
        let at = at.to_string();
        let mut parts = [self.token.as_str(), &at, nonce, &sealed];
        parts.sort_unstable();
        let signature = super::crypt::hex(&Sha1::digest(parts.concat()));
        let query = format!("msg_signature={signature}&timestamp={at}&nonce={nonce}");
        let body = format!(
            "<xml><ToUserName><![CDATA[{corp}]]></ToUserName><AgentID><![CDATA[1000002]]></AgentID><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
        );
        (query, body)
    }

    /// The query that checks an address, and what must come back.
    pub fn check(&self, corp: &str, at: i64) -> (String, String) {
        let (_, body) = self.seal("4711471147114711", corp, at, "n1");
        let sealed = body.split("<Encrypt><![CDATA[").nth(1).unwrap().split("]]>").next().unwrap().to_owned();
        let (query, _) = self.seal("4711471147114711", corp, at, "n1");
        (format!("{query}&echostr={}", super::crypt::rfc3986(&sealed)), "4711471147114711".to_owned())
    }
}
