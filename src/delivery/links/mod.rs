//! Signed links to this server's own page of a message, and to where platforms report.

#[cfg(test)]
mod tests;

use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::plan::{ChannelPlan, Plan};
use crate::channel::{FinalWord, Later, PressWay, kit};
use crate::model::{ButtonValue, IncidentId, MessageId, OwnLinks, Page, Recipient, Secret, UnixMs};
use crate::store::{AttemptRow, Cell, DeliveryDetail, StoredMessage};

/// Seconds that a code's time counts before it begins again at 0: 2^27, four years and three months.
const WRAP: u64 = 1 << 27;
/// A message may have been formed by a clock that is this much ahead, in seconds.
const CLOCK_SKEW: u64 = 86_400;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits of a code: 62^14 is more than 2^83. One length for all: with a signature of 16 bytes, 27 digits, a button that names its incident may be longer
/// than Telegram's 64 bytes (<https://core.telegram.org/bots/api#inlinekeyboardbutton>). No verbs and no end are in it: what a code does is decided at each
/// press, and that ends with the incident.
const CODE_LENGTH: usize = 14;
/// Recipients of a message who have an act link of their own: six bits of its code say which of them it is.
const MAX_PERSONAL: usize = 64;

/// The read-only page of a message on this server; empty without `external_url`. Short enough for an SMS.
pub fn message_url(plan: &Plan, message: MessageId) -> String {
    if plan.external_url.is_empty() {
        return String::new();
    }
    format!("{}/m/{}", plan.external_url, message_code(&plan.link_key, message))
}

/// The page of a message on which its reader can act on its incident; empty without `external_url`. As short as [`message_url`].
pub fn act_url(plan: &Plan, message: MessageId) -> String {
    if plan.external_url.is_empty() {
        return String::new();
    }
    format!("{}/a/{}", plan.external_url, act_code(&plan.link_key, message))
}

/// What that link ends in, and what the message's buttons carry: as [`message_code`], under another key, so that who may only read cannot act. It ends with
/// the incident: then it only shows what became of it.
pub fn act_code(key: &Secret, message: MessageId) -> String {
    code(key, b"act on ", message)
}

/// Whether what a platform delivers is for one person: a mail, a text message, a call. A room is many people.
pub fn is_personal(platform: &str) -> bool {
    platform == "email" || platform.ends_with("_sms") || platform.ends_with("_voice")
}

/// The recipients of a message, each once, in an order that does not depend on how they are stored.
fn readers(cells: &[Cell]) -> Vec<&Recipient> {
    let mut all: Vec<&Recipient> = cells.iter().map(|cell| &cell.recipient).collect();
    all.sort_by_cached_key(|one| one.digest());
    all.dedup();
    all
}

/// The act links of these recipients of a message that has several, so that an ack by one has their name. Each is as long as the one that was measured. None
/// where the page is the same for all: it holds no act link, or goes to a room.
pub fn own_links(key: &Secret, platform: &str, (id, cells): (MessageId, &[Cell]), page: &Page, to: &[Recipient]) -> OwnLinks {
    let shared = format!("/a/{}", act_code(key, id));
    if !is_personal(platform) || !page.fields.values().any(|text| text.contains(&shared)) {
        return OwnLinks::default();
    }
    let all = readers(cells);
    let own = |to: &Recipient| {
        let place = all.iter().position(|reader| *reader == to).filter(|_| all.len() > 1)?;
        Some((to.clone(), format!("/a/{}", personal_code(key, id, place)?)))
    };
    OwnLinks { own: to.iter().filter_map(own).collect(), shared }
}

/// Whom a message's act link was sent to, where that is one person.
pub fn reader(key: &Secret, platform: &str, (id, cells): (MessageId, &[Cell]), code: &str) -> Option<Recipient> {
    let all = readers(cells);
    let place = match (place_of(key, id, code), all.len()) {
        (None, 1) => 0,
        (Some(place), 2..) => place,
        _ => return None,
    };
    all.get(place).filter(|_| is_personal(platform)).map(|reader| (*reader).clone())
}

/// Whether a message was sent with a code of its own: the one that all its readers share, or one of several readers'.
pub fn was_sent(key: &Secret, message: &StoredMessage, code: &str) -> bool {
    place_of(key, message.id, code).is_none() || reader(key, &message.platform, (message.id, &message.cells), code).is_some()
}

/// Whether a code is one of a message's own, by which its readers act where it was sent to them ([`was_sent`]).
pub fn acts_on(key: &Secret, message: MessageId, code: &str) -> bool {
    bool::from(act_code(key, message).as_bytes().ct_eq(code.as_bytes())) || place_of(key, message, code).is_some()
}

/// The code of one of the recipients. 50 bits are its signature, which is 1,700 years of guesses of one message's codes at 10,000 a second.
fn personal_code(key: &Secret, message: MessageId, place: usize) -> Option<String> {
    let place = u8::try_from(place).ok().filter(|place| usize::from(*place) < MAX_PERSONAL)?;
    let mac = digest(key, &[b"act for ", message.0.as_bytes(), &[place]])?;
    Some(written(message, u128::from(place) << 50 | signature(&mac) >> 6))
}

/// Which of the recipients a code is for.
fn place_of(key: &Secret, message: MessageId, code: &str) -> Option<usize> {
    let place = usize::try_from(value_of(code)? >> 50 & 63).ok()?;
    personal_code(key, message, place).filter(|own| bool::from(own.as_bytes().ct_eq(code.as_bytes()))).map(|_| place)
}

/// Takes out of what is stored of a delivery what lets a reader act: the message's links lead to its read-only page, its buttons do nothing.
pub fn without_acts(plan: &Plan, of: &mut DeliveryDetail) {
    if let Some(message) = &mut of.message {
        let id = message.id;
        let replace = |text: &str| read_only(&plan.link_key, id, text);
        // Both codes are letters and digits: what holds one in its place is still the same JSON.
        let pages = serde_json::to_string(&message.pages).ok().and_then(|pages| serde_json::from_str(&replace(&pages)).ok());
        message.pages = pages.unwrap_or_default();
        attempts_without_acts(plan, id, &mut message.attempts);
    }
    // Of messages before this one.
    of.earlier.iter_mut().filter_map(|attempt| attempt.answer.as_mut()).for_each(|answer| *answer = masked(answer));
}

/// The same of a message's attempts, whose answers may quote it.
pub fn attempts_without_acts(plan: &Plan, message: MessageId, attempts: &mut [AttemptRow]) {
    let answers = attempts.iter_mut().filter_map(|attempt| attempt.answer.as_mut());
    answers.for_each(|answer| *answer = masked(&read_only(&plan.link_key, message, answer)));
}

/// A text of a message with the link to its read-only page in place of the one by which its reader acts, also where a button carries only its code.
fn read_only(key: &Secret, message: MessageId, text: &str) -> String {
    let (act, read) = (act_code(key, message), message_code(key, message));
    text.replace(&format!("/a/{act}"), &format!("/m/{read}")).replace(&act, &read)
}

/// A text with the codes of act links masked.
fn masked(text: &str) -> String {
    let mut parts = text.split("/a/");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.bytes().take_while(u8::is_ascii_alphanumeric).count();
        out.push_str("/a/");
        out.push_str(if code == CODE_LENGTH { "***" } else { &part[..code] });
        out.push_str(&part[code..]);
    }
    out
}

/// What a message's link ends in: 83 bits in 14 letters and digits. 27 bits are the second in which the message was formed, by which it is found without
/// an index of its own; 56 bits are HMAC-SHA256 of its id, which nobody can compute without the key, so every guess is a request: at 10,000 requests a
/// second the link of one message takes 100,000 years on average. A link ends with its message, and all of them with the key.
pub fn message_code(key: &Secret, message: MessageId) -> String {
    code(key, b"page of ", message)
}

fn code(key: &Secret, what: &[u8], message: MessageId) -> String {
    digest(key, &[what, message.0.as_bytes()]).map_or_else(String::new, |mac| written(message, signature(&mac)))
}

/// The first 56 bits.
fn signature(mac: &[u8; 32]) -> u128 {
    mac[..7].iter().fold(0, |all, byte| all << 8 | u128::from(*byte))
}

/// A code: when the message was formed, and 56 bits.
fn written(message: MessageId, bits: u128) -> String {
    let mut left = u128::from(formed_second(message) % WRAP) << 56 | bits;
    let mut code = [b'0'; CODE_LENGTH];
    for digit in code.iter_mut().rev() {
        *digit = DIGITS[(left % 62) as usize];
        left /= 62;
    }
    code.iter().map(|digit| char::from(*digit)).collect()
}

/// What a code says; `None` for what is no code.
fn value_of(code: &str) -> Option<u128> {
    let digit = |digit: u8| DIGITS.iter().position(|known| *known == digit);
    let digits = Some(code).filter(|code| code.len() == CODE_LENGTH)?.bytes();
    digits.map(digit).try_fold(0u128, |value, digit| Some(value * 62 + digit? as u128))
}

/// What proves the number of an incident beside a message's code in a button: 47 bits of HMAC-SHA256 in [`ButtonValue::MAC`] letters and digits. Every guess is
/// a press, of which a person has one in five seconds.
pub fn button_mac(key: &Secret, code: &str, incident: IncidentId) -> String {
    let Some(mac) = digest(key, &[b"incident of ", code.as_bytes(), &incident.0.to_be_bytes()]) else { return String::new() };
    let mut left = mac[..8].iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    let mut text = String::with_capacity(ButtonValue::MAC);
    for _ in 0..ButtonValue::MAC {
        text.push(char::from(DIGITS[(left % 62) as usize]));
        left /= 62;
    }
    text
}

/// Whether this installation made a button for a message about that incident.
pub fn proves_incident(key: &Secret, value: &ButtonValue) -> bool {
    let own = button_mac(key, &value.code, IncidentId(value.incident));
    !key.is_empty() && value.incident > 0 && bool::from(own.as_bytes().ct_eq(value.mac.as_bytes()))
}

/// The ids among which a code's message is: the first of the second that the code names, and the first of the next. `None` for what is no code.
pub fn messages_of_code(code: &str, now: UnixMs) -> Option<Range<MessageId>> {
    let second = u64::try_from(value_of(code)? >> 56).ok().filter(|second| *second < WRAP)?;
    let newest = u64::try_from(now.0 / 1000).unwrap_or(0) + CLOCK_SKEW;
    let second = newest.checked_sub((newest.wrapping_sub(second)) % WRAP)?;
    let first = |second: u64| MessageId(Uuid::from_u128(u128::from(second * 1000) << 80));
    Some(first(second)..first(second + 1))
}

/// Whether a code's message was formed within the last minute.
pub fn is_new(code: &str, now: UnixMs) -> bool {
    let second = u64::try_from(now.0 / 1000).unwrap_or(0);
    messages_of_code(code, now).is_some_and(|among| formed_second(among.start) + 60 >= second)
}

/// When a code's message was formed, to the second.
pub fn formed_at(code: &str, now: UnixMs) -> Option<UnixMs> {
    messages_of_code(code, now).map(|among| UnixMs((formed_second(among.start) * 1000).cast_signed()))
}

/// When a message's id was made: the first 48 bits of a UUIDv7 are milliseconds since 1970 (<https://www.rfc-editor.org/rfc/rfc9562#section-5.7>).
fn formed_second(message: MessageId) -> u64 {
    (message.0.as_u128() >> 80) as u64 / 1000
}

/// Where a channel's platform reports its final status; empty without `external_url`, and for platforms without callbacks.
pub fn callback_url(plan: &Plan, channel: &ChannelPlan) -> String {
    callback_url_by(plan, channel, &channel.name)
}

/// The same by a name that the channel has or had: what was sent before it was renamed has that address.
pub fn callback_url_by(plan: &Plan, channel: &ChannelPlan, name: &str) -> String {
    match channel.platform.word {
        FinalWord::Later(Later { calls_back: true, .. }) if !plan.external_url.is_empty() => {
            let key = callback_key(&plan.link_key, name);
            format!("{}/receipts/{}?k={key}", plan.external_url, percent_encoding::utf8_percent_encode(name, UNRESERVED))
        }
        _ => String::new(),
    }
}

/// Where a channel's vendor reports keys and answers; empty for other platforms, and where the vendor could not reach this server.
pub fn press_url(plan: &Plan, channel: &ChannelPlan) -> String {
    let reaches = plan.external_url.starts_with("https://") && kit::is_reachable_from_outside(&plan.external_url);
    match channel.driver.press_way() {
        Some(PressWay::Phone) if reaches => {
            let name = percent_encoding::utf8_percent_encode(&channel.name, UNRESERVED);
            format!("{}/press/{name}", plan.external_url)
        }
        _ => String::new(),
    }
}

/// What no client encodes in another way (<https://www.rfc-editor.org/rfc/rfc3986#section-2.3>): the address that comes back is the one that is signed.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The secret part of a channel's callback address.
pub fn callback_key(key: &Secret, channel: &str) -> String {
    mac(key, &[b"callback of ", channel.as_bytes()])
}

/// Whose shifts a calendar shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarOf {
    /// Those of a person, in all rotas.
    Person,
    /// Those of a rota.
    Rota,
}

impl CalendarOf {
    /// As the API's paths name it.
    pub fn as_str(self) -> &'static str {
        match self {
            CalendarOf::Person => "people",
            CalendarOf::Rota => "rotas",
        }
    }
}

/// The address by which calendars read shifts: its secret part is all that they need. Only a path without `external_url`. It ends with the key.
pub fn calendar_url(plan: &Plan, of: CalendarOf, name: &str) -> String {
    let encoded = percent_encoding::utf8_percent_encode(name, UNRESERVED);
    format!(
        "{}/api/v1/oncall/{}/{encoded}/calendar.ics?k={}",
        plan.external_url,
        of.as_str(),
        calendar_key(&plan.link_key, of, name, calendar_number(plan, of, name))
    )
}

/// Whether this is the secret part of that address.
pub fn opens_calendar(plan: &Plan, of: CalendarOf, name: &str, given: &str) -> bool {
    is_calendar_key(&plan.link_key, (of, name, calendar_number(plan, of, name)), given)
}

/// Which address a calendar has.
fn calendar_number(plan: &Plan, of: CalendarOf, name: &str) -> u32 {
    let calendars = &plan.people.calendars;
    let numbers = if of == CalendarOf::Person { &calendars.people } else { &calendars.rotas };
    numbers.get(name).copied().unwrap_or(1)
}

fn is_calendar_key(key: &Secret, (of, name, number): (CalendarOf, &str, u32), given: &str) -> bool {
    !key.is_empty() && bool::from(given.as_bytes().ct_eq(calendar_key(key, of, name, number).as_bytes()))
}

fn calendar_key(key: &Secret, of: CalendarOf, name: &str, number: u32) -> String {
    // No name has a line break.
    let number = if number == 1 { String::new() } else { format!("\n{number}") };
    mac(key, &[b"calendar of ", of.as_str().as_bytes(), b" ", name.as_bytes(), number.as_bytes()])
}

fn mac(key: &Secret, parts: &[&[u8]]) -> String {
    digest(key, parts).map_or_else(String::new, |mac| mac[..12].iter().map(|b| format!("{b:02x}")).collect())
}

fn digest(key: &Secret, parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}
