//! The bodies of the direct endpoints that existing clients call, and the exact words they are answered with.
//!
//! Read as leniently as the old server read them; what is done with a call is decided elsewhere.
//!
//! A required parameter is missing when its key is absent, or its value is null, an empty string, or a list without a non-empty entry: the
//! old server tested for truth, and `false` of `isAtAll` is the one false value it accepted. White space alone is content. Of a key that
//! is repeated the last one counts; unknown keys are ignored; a text may be written as any JSON value.

mod html;

pub use html::contains_html;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::decode;
use super::error::{IngestError, Source};
use super::json::{Trail, read};
use super::value::{elements, kind_of, members, text};

/// What the old server said when a parameter was missing; clients compare it.
pub const MISSING: &str = "参数缺失，请检查";
/// What the old server said when `isAtAll` was not a JSON boolean; clients compare it.
pub const NOT_A_BOOL: &str = "isAtAll 不是 bool 类型，请检查";

/// Why a direct call was not understood; [`LegacyError::message`] is the `message` of the answer with code 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegacyError {
    /// The body is empty.
    Empty,
    /// The body is not JSON, or not an object.
    Malformed(IngestError),
    /// Required parameters are missing: the answer's `missing`.
    Missing(Vec<&'static str>),
    /// `isAtAll` is there, but not a boolean.
    NotABool,
    /// A parameter that must be a list (or a comma-separated string) is something else.
    NotAList(&'static str),
    /// A number was written with an exponent as text (`1.38E+10`), as spreadsheets do: its last digits may be gone.
    Exponent(&'static str, String),
    /// `params` is neither an object nor a list, nor the JSON of one.
    BadParams,
}

impl LegacyError {
    /// The text that old clients see.
    pub fn message(&self) -> String {
        match self {
            LegacyError::Empty => "请求体为空，请检查".into(),
            LegacyError::Malformed(error) => {
                format!("请求体不是合法的 JSON 对象，请检查（第 {} 行，第 {} 列）", error.line, error.column)
            }
            LegacyError::Missing(_) => MISSING.into(),
            LegacyError::NotABool => NOT_A_BOOL.into(),
            LegacyError::NotAList(name) => format!("{name} 应为数组或逗号分隔的字符串，请检查"),
            LegacyError::Exponent(name, value) => format!("{name} 中的 `{value}` 是科学计数法，末位可能已丢失，请写出完整号码"),
            LegacyError::BadParams => "params 应为对象、数组，或其 JSON 字符串，请检查".into(),
        }
    }

    /// The missing parameters, in the order of the documentation; empty for every other error.
    pub fn missing(&self) -> &[&'static str] {
        match self {
            LegacyError::Missing(names) => names,
            _ => &[],
        }
    }
}

impl std::fmt::Display for LegacyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for LegacyError {}

/// `POST /email/send/message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailCall {
    /// Subject.
    pub subject: String,
    /// Sender address, not checked yet against the allow-list.
    pub from: String,
    /// Recipients, each once.
    pub to: Vec<String>,
    /// Copies, each once; may be empty.
    pub cc: Vec<String>,
    /// Text or HTML.
    pub content: String,
    /// Whether `content` holds HTML tags.
    pub html: bool,
}

/// `POST` or `GET /slack/send/message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlackCall {
    /// A name in `legacy.slack`.
    pub channel: String,
    /// mrkdwn or text.
    pub content: String,
}

/// `POST /dingding/send/message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DingdingCall {
    /// Text.
    pub content: String,
    /// Whether everybody is pinged.
    pub is_at_all: bool,
    /// Mobiles that are pinged; never empty when `is_at_all` is false.
    pub at_mobiles: Vec<String>,
}

/// `POST /wx/apps/send`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WxCall {
    /// User ids, each once, or `@all` alone.
    pub touser: Vec<String>,
    /// The application, as the client wrote it.
    pub agentid: String,
    /// Text.
    pub content: String,
}

/// `POST /sms/send`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsCall {
    /// Phone numbers, each once.
    pub to: Vec<String>,
    /// Text.
    pub content: String,
    /// Template parameters by name; those of an array are named `1`, `2`, …
    pub params: BTreeMap<String, String>,
}

/// `POST /vms/send`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmsCall {
    /// Phone numbers, each once.
    pub to: Vec<String>,
    /// Text to speak.
    pub content: String,
}

/// `POST /dingding/call`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DingCall {
    /// Mobiles, each once; never empty together with `user_ids`.
    pub mobiles: Vec<String>,
    /// DingTalk user ids, each once.
    pub user_ids: Vec<String>,
    /// Text.
    pub content: String,
}

impl EmailCall {
    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, LegacyError> {
        with_fields(body, |mut fields| {
            let (subject, from) = (fields.text("subject"), fields.text("from"));
            let (to, content) = (fields.list("to")?, fields.text("content"));
            let cc = fields.optional_list("cc")?;
            let html = contains_html(&content);
            fields.complete(Self { subject, from, to, cc, content, html })
        })
    }
}

impl SlackCall {
    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, LegacyError> {
        with_fields(body, |mut fields| {
            let call = Self { channel: fields.text("channel"), content: fields.text("content") };
            fields.complete(call)
        })
    }
}

impl DingdingCall {
    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, LegacyError> {
        with_fields(body, |mut fields| {
            let content = fields.text("content");
            let flag = fields.required("isAtAll").map(str::to_owned);
            // A wrong flag says nothing about whether mobiles are needed.
            let is_at_all = flag.as_deref() == Some("true");
            let at_mobiles = if flag.as_deref() == Some("false") { fields.list("atMobiles")? } else { fields.optional_list("atMobiles")? };
            let call = fields.complete(Self { content, is_at_all, at_mobiles })?;
            if matches!(flag.as_deref(), Some("true" | "false")) { Ok(call) } else { Err(LegacyError::NotABool) }
        })
    }
}

impl WxCall {
    /// Reads the body. `agentid` may be a number in any form.
    pub fn parse(body: &[u8]) -> Result<Self, LegacyError> {
        with_fields(body, |mut fields| {
            let mut touser = fields.list("touser")?;
            if touser.iter().any(|user| user == "@all") {
                touser = vec!["@all".into()];
            }
            let agentid = fields.text("agentid");
            let agentid = whole_number(agentid.trim()).unwrap_or_else(|| agentid.trim().to_owned());
            let content = fields.text("content");
            fields.complete(Self { touser, agentid, content })
        })
    }
}

impl SmsCall {
    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, LegacyError> {
        with_fields(body, |mut fields| {
            let (to, content) = (fields.list("to")?, fields.text("content"));
            let params = params(fields.get("params").unwrap_or("null"))?;
            fields.complete(Self { to, content, params })
        })
    }
}

impl VmsCall {
    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, LegacyError> {
        with_fields(body, |mut fields| {
            let call = Self { to: fields.list("to")?, content: fields.text("content") };
            fields.complete(call)
        })
    }
}

impl DingCall {
    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, LegacyError> {
        with_fields(body, |mut fields| {
            let (mobiles, user_ids) = (fields.optional_list("mobiles")?, fields.optional_list("userIds")?);
            if mobiles.is_empty() && user_ids.is_empty() {
                fields.missing.extend(["mobiles", "userIds"]);
            }
            let content = fields.text("content");
            fields.complete(Self { mobiles, user_ids, content })
        })
    }
}

/// The members of a call, and which required ones were asked for in vain.
struct Fields<'a> {
    members: Vec<(Cow<'a, str>, &'a str)>,
    missing: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    fn required(&mut self, name: &'static str) -> Option<&'a str> {
        let found = self.get(name).filter(|raw| *raw != "null");
        if found.is_none() {
            self.missing.push(name);
        }
        found
    }

    fn text(&mut self, name: &'static str) -> String {
        let value = self.required(name).map(|raw| text(raw).into_owned());
        if value.as_deref() == Some("") {
            self.missing.push(name);
        }
        value.unwrap_or_default()
    }

    fn optional_list(&self, name: &'static str) -> Result<Vec<String>, LegacyError> {
        match self.get(name) {
            None | Some("null") => Ok(Vec::new()),
            Some(raw) => {
                let list = list(raw).ok_or(LegacyError::NotAList(name))?;
                match list.iter().find(|entry| is_exponent(entry)) {
                    Some(entry) => Err(LegacyError::Exponent(name, entry.clone())),
                    None => Ok(list),
                }
            }
        }
    }

    fn list(&mut self, name: &'static str) -> Result<Vec<String>, LegacyError> {
        let list = self.optional_list(name)?;
        if list.is_empty() {
            self.missing.push(name);
        }
        Ok(list)
    }

    fn complete<T>(self, call: T) -> Result<T, LegacyError> {
        if self.missing.is_empty() { Ok(call) } else { Err(LegacyError::Missing(self.missing)) }
    }
}

fn with_fields<T>(body: &[u8], call: impl FnOnce(Fields<'_>) -> Result<T, LegacyError>) -> Result<T, LegacyError> {
    if body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii().is_empty() {
        return Err(LegacyError::Empty);
    }
    let decoded = decode(body).map_err(LegacyError::Malformed)?;
    let source = Source { text: &decoded };
    let trail = Trail::default();
    let whole =
        read(&source, source.text, "", &trail, std::marker::PhantomData::<&serde_json::value::RawValue>).map_err(LegacyError::Malformed)?.get();
    if kind_of(whole) != "an object" {
        return Err(LegacyError::Malformed(source.error(source.start(), "", format!("expected an object, found {}", kind_of(whole)))));
    }
    call(Fields { members: members(whole), missing: Vec::new() })
}

/// The variables of a template: an object, a list (named `1`, `2`, …), or either as the text of its JSON, which clients write by encoding twice.
fn params(raw: &str) -> Result<BTreeMap<String, String>, LegacyError> {
    match kind_of(raw) {
        "null" => Ok(BTreeMap::new()),
        "an array" => Ok(elements(raw).into_iter().enumerate().map(|(i, v)| ((i + 1).to_string(), text(v).into_owned())).collect()),
        "an object" => Ok(members(raw).into_iter().map(|(name, v)| (name.into_owned(), text(v).into_owned())).collect()),
        "a string" => {
            let inner = text(raw);
            let inner = inner.trim();
            match serde_json::from_str::<&serde_json::value::RawValue>(inner) {
                _ if inner.is_empty() => Ok(BTreeMap::new()),
                Ok(inner) if matches!(kind_of(inner.get()), "an object" | "an array") => params(inner.get()),
                _ => Err(LegacyError::BadParams),
            }
        }
        _ => Err(LegacyError::BadParams),
    }
}

/// A list of names, numbers or addresses: an array (of strings and numbers; null and empty entries are left out), a string, or a single number. Each
/// string may hold several. Entries are trimmed and kept once. `None` when it is anything else.
pub(super) fn list(raw: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut entry = |raw: &str| {
        match kind_of(raw) {
            "a string" => split(&text(raw), &mut found),
            "a number" => found.push(whole_number(raw).unwrap_or_else(|| raw.to_owned())),
            "null" => {}
            _ => return None,
        }
        Some(())
    };
    match kind_of(raw) {
        "an array" => elements(raw).into_iter().try_for_each(entry)?,
        _ => entry(raw)?,
    }
    let mut seen = std::collections::HashSet::new();
    found.retain(|entry| !entry.is_empty() && seen.insert(entry.clone()));
    Some(found)
}

/// A JSON number that is whole in ordinary digits, however it was written: `1.38e10`, `1000002.0`.
fn whole_number(raw: &str) -> Option<String> {
    let number: f64 = raw.parse().ok().filter(|n: &f64| raw.contains(['e', 'E', '.']) && n.fract() == 0.0 && n.abs() < 1e15)?;
    Some(format!("{number:.0}"))
}

/// Whether a text is a number with an exponent.
fn is_exponent(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(['e', 'E']) && text.parse::<f64>().is_ok()
}

/// Splits at the separators that people use, `,` `;` `|` `、` and line breaks, also full-width, except inside double quotes:
/// `"Doe, John" <j@example.com>` is one address. Spaces separate where all between them are whole entries: `a@x.com b@x.com`, but not
/// `John Doe <j@x.com>` nor `+86 138 0000 0000`; and a `/` does between whole numbers.
fn split(text: &str, found: &mut Vec<String>) {
    let quotes = text.matches('"').count().is_multiple_of(2);
    let mut quoted = false;
    let parts = text.split(|c: char| {
        quoted ^= quotes && c == '"';
        !quoted && matches!(c, ',' | ';' | '，' | '；' | '|' | '｜' | '、' | '\n' | '\r' | '\t')
    });
    let whole = |word: &str| (word.contains('@') && !word.contains(['<', '>', '"'])) || (word.len() >= 11 && is_number(word));
    for part in parts.map(str::trim) {
        let numbers = !part.contains('@');
        let words = || part.split(|c: char| c.is_whitespace() || (numbers && c == '/')).filter(|word| !word.is_empty());
        if words().all(whole) {
            found.extend(words().map(str::to_owned));
        } else {
            found.push(part.to_owned());
        }
    }
}

fn is_number(word: &str) -> bool {
    word.trim_start_matches('+').bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests;
