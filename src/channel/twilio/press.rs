//! Keys in a call, and text messages that answer ours: posted by Twilio, signed with the account's token.
//! <https://www.twilio.com/docs/voice/twiml/gather>, <https://www.twilio.com/docs/messaging/guides/webhook-request>

use std::time::Duration;

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha1::Sha1;

use super::Line;
use crate::channel::kit::{self, phone};
use crate::channel::{Callback, Command, Press, PressAnswer, PressCall, PressReply, PressWay, Presser};
use crate::model::{ButtonValue, Language, Page, PlatformIds, Recipient, Verb};

/// Characters of what is spoken (our own, as for the whole call): what a person woken up by a call can follow.
pub(super) const MAX_TEXT: usize = 300;
/// Characters of `Twiml` (<https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource>).
const MAX_TWIML: usize = 4000;
/// A call lasts four hours at most (<https://www.twilio.com/docs/voice/api/call-resource>): a key that is reported later is a replay.
const WINDOW: Duration = Duration::from_secs(4 * 3600);

/// The fields of a form that Twilio signed.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn needed(&self, name: &str) -> Result<&str, String> {
        self.field(name).filter(|value| !value.is_empty()).ok_or_else(|| format!("it holds no {name}"))
    }
}

impl Line {
    /// How people answer: not where `auth_token` is an API key's secret, by which nothing can be checked.
    pub(super) fn press_way(&self) -> Option<PressWay> {
        self.signs.then_some(PressWay::Phone)
    }

    /// The form of a request, after checking its signature: <https://www.twilio.com/docs/usage/security#validating-requests>
    pub(super) fn signed(&self, call: &Callback<'_>) -> Result<Form, String> {
        if !self.signs {
            return Err("`auth_token` is an API key's secret, by which Twilio's signature cannot be checked".into());
        }
        let body = std::str::from_utf8(call.body).map_err(|_| "it is no form")?;
        let form = reqwest::Url::parse(&format!("http://localhost/?{body}")).map_err(|_| "it is no form")?;
        let mut form: Vec<(String, String)> = form.query_pairs().into_owned().collect();
        form.sort();
        let given = call.headers.get("x-twilio-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let given = base64::engine::general_purpose::STANDARD.decode(given).map_err(|_| "the signature is no Base64")?;
        let mut fields = String::new();
        form.iter().for_each(|(name, value)| fields.extend([name.as_str(), value.as_str()]));
        let is_of = |url: &str| {
            let mac = Hmac::<Sha1>::new_from_slice(self.secret.expose().as_bytes());
            mac.is_ok_and(|mac| mac.chain_update(url).chain_update(&fields).verify_slice(&given).is_ok())
        };
        let is_signed = is_of(call.url) || with_other_port(call.url).is_some_and(|url| is_of(&url));
        if is_signed { Ok(Form(form)) } else { Err("the signature is wrong".into()) }
    }

    /// A key that was pressed in a call of ours. The address, which Twilio signs, has the button's value and when the call was ordered.
    pub(super) fn key(&self, call: &Callback<'_>) -> Result<PressCall, String> {
        let form = self.signed(call)?;
        let (value, at) = (parameter(call.url, "v").ok_or("the address names no message")?, parameter(call.url, "t").unwrap_or_default());
        let at = at.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or("the address has no time")?;
        if call.now.duration_since(at).unsigned_abs() > WINDOW {
            return Err(format!("the call was ordered more than {} hours ago", WINDOW.as_secs() / 3600));
        }
        let (sid, key, by) = (form.needed("CallSid")?, form.field("Digits").unwrap_or_default(), person(form.needed("To")?)?);
        // Any other key repeats the text.
        let Some(verb) = phone::verb_of_key(key) else { return Ok(PressCall::Again(value)) };
        let value = ButtonValue::decode(&value).map_or(value, |value| ButtonValue { verb, ..value }.encode());
        Ok(PressCall::Press(Press { event_id: format!("{sid}.{key}"), value, message: PlatformIds::default(), by }))
    }

    /// A text message to our number.
    pub(super) fn text(&self, call: &Callback<'_>) -> Result<PressCall, String> {
        let form = self.signed(call)?;
        let (sid, by) = (form.needed("MessageSid")?.to_owned(), person(form.needed("From")?)?);
        let command = kit::command(form.field("Body").unwrap_or_default());
        Ok(PressCall::Command(Command { event_id: sid, verb: command.map(|(verb, _)| verb), incident: command.and_then(|(_, number)| number), by }))
    }
}

/// An address without its port, or with the one that its scheme implies: Twilio signs either, whatever the address says, and its own libraries try both
/// (<https://www.twilio.com/docs/usage/security#validating-requests>).
fn with_other_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    Some(match authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())) {
        Some((host, _)) => format!("{scheme}://{host}{path}"),
        None => format!("{scheme}://{authority}:{}{path}", if scheme == "https" { 443 } else { 80 }),
    })
}

/// Who has a number.
fn person(number: &str) -> Result<Presser, String> {
    let id = phone::e164(number).ok_or("it is from no number that could be answered")?;
    Ok(Presser::of_number(&Recipient::new(id)))
}

/// A parameter of an address.
fn parameter(url: &str, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Where a page's call reports its keys; `None` where it offers none: there is no address that Twilio reaches, or nothing to ack.
pub(super) fn key_address(page: &Page, press: &str, now: Timestamp) -> Option<String> {
    let ack = page.facts.incident.buttons.iter().find(|button| button.verb == Verb::Ack)?;
    (!press.is_empty()).then(|| format!("{press}?v={}&t={}", ack.value, now.as_second()))
}

/// The text, said twice with a pause (<https://www.twilio.com/docs/voice/twiml/say>); with an address for keys, what they do.
pub(super) fn twiml(page: &Page, keys: Option<&str>) -> String {
    let zh = page.facts.language == Language::Zh;
    let (again, offer) = match (zh, phone::hands_on(page)) {
        (true, false) => ("重复一遍。", "认领请按1，重听请按2。"),
        (true, true) => ("重复一遍。", "认领请按1，重听请按2，转交下一位请按9。"),
        (false, false) => ("I repeat. ", "Press 1 to acknowledge, 2 to hear it again."),
        (false, true) => ("I repeat. ", "Press 1 to acknowledge, 2 to hear it again, 9 to call the next one."),
    };
    let text: String = kit::spoken(page.field("text"), page.facts.language).chars().take(MAX_TEXT).collect();
    let text = escaped(&text);
    let twice = format!("{}<Pause length=\"1\"/>{}", say(&text, zh), say(&format!("{again}{text}"), zh));
    let offered = keys.map(|keys| document(&gather(&format!("{twice}{}", say(offer, zh)), keys)));
    // A text of signs only, each of which is escaped.
    offered.filter(|twiml| twiml.chars().count() <= MAX_TWIML).unwrap_or_else(|| document(&twice))
}

/// What the person in a call hears of a key; what was not done may be tried again.
pub(super) fn key_reply(call: &Callback<'_>, answer: &PressAnswer) -> PressReply {
    let said = say(&escaped(&answer.text.replace('#', "")), is_chinese(&answer.text));
    xml(&if answer.done { said } else { gather(&said, call.url) })
}

/// The text message that answers one; empty: there is none.
pub(super) fn text_reply(answer: &PressAnswer) -> PressReply {
    xml(&if answer.text.is_empty() { String::new() } else { format!("<Message>{}</Message>", escaped(&answer.text)) })
}

/// <https://www.twilio.com/docs/voice/twiml/gather>: without a key within ten seconds the call ends.
fn gather(said: &str, address: &str) -> String {
    format!("<Gather numDigits=\"1\" timeout=\"10\" method=\"POST\" action=\"{}\">{said}</Gather>", escaped(address))
}

fn say(text: &str, zh: bool) -> String {
    format!("<Say language=\"{}\">{text}</Say>", if zh { "zh-CN" } else { "en-US" })
}

fn document(verbs: &str) -> String {
    format!("<Response>{verbs}</Response>")
}

pub(super) fn xml(verbs: &str) -> PressReply {
    PressReply { content_type: "text/xml", body: document(verbs), ..PressReply::EMPTY }
}

fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| matches!(u32::from(c), 0x2E80..=0x9FFF | 0xFF00..=0xFFEF))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out
}
