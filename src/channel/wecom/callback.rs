//! What WeCom posts to the application's address: signed, encrypted, and repeated until it is answered.
//! <https://developer.work.weixin.qq.com/document/path/90930>, encryption: <https://developer.work.weixin.qq.com/document/path/90968>,
//! events of cards: <https://developer.work.weixin.qq.com/document/path/90240>

use std::time::Duration;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use sha1::{Digest, Sha1};

use crate::channel::{Callback, Press, PressCall, PressReply, Presser, kit};
use crate::model::{PlatformIds, Secret};

/// Our own, as no window is documented: what is signed longer ago, or for later, is a replay. WeCom repeats within seconds.
const WINDOW: Duration = Duration::from_secs(600);
/// Random bytes before a message, and bytes of its length.
const RANDOM: usize = 16;
const LENGTH: usize = 4;
/// Bytes of the blocks that are padded.
const PADDED: usize = 32;
/// The key is Base64 without its padding, and the last of its 43 characters has bits to spare.
const KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What proves that WeCom calls.
pub(super) struct Callbacks {
    token: Secret,
    key: [u8; 32],
}

/// A pressed button, and what its answer needs.
pub(super) struct Pressed {
    pub press: Press,
    /// The right to change the card, once, within 72 hours (<https://developer.work.weixin.qq.com/document/path/94888>).
    pub response_code: String,
}

impl Callbacks {
    /// `None`: the key is no EncodingAESKey.
    pub fn new(token: Secret, key: &Secret) -> Option<Self> {
        Some(Self { token, key: read_key(key.expose())? })
    }

    /// Reads a call, after checking that WeCom made it, for this company and application.
    pub fn read(&self, call: &Callback<'_>, corp_id: &str, agent_id: u32) -> Result<PressCall, String> {
        // The address is checked by a question that the answer must decrypt.
        if let Some(echo) = parameter(call.url, "echostr") {
            let body = self.open(call, &echo.replace(' ', "+"), corp_id)?;
            return Ok(PressCall::Answer(PressReply { body, ..PressReply::EMPTY }));
        }
        // Anything else that is WeCom's is answered, so that it is not repeated.
        Ok(self.pressed(call, corp_id, agent_id)?.map_or(PressCall::Answer(PressReply::EMPTY), |pressed| PressCall::Press(pressed.press)))
    }

    /// The press that a call reports; `None` when it says something else.
    pub fn pressed(&self, call: &Callback<'_>, corp_id: &str, agent_id: u32) -> Result<Option<Pressed>, String> {
        let body = std::str::from_utf8(call.body).map_err(|_| "the body is no text")?;
        let sealed = element(body, "Encrypt").ok_or("the body has no `Encrypt`")?;
        let message = self.open(call, sealed, corp_id)?;
        let text = |name: &str| element(&message, name).unwrap_or_default();
        if text("MsgType") != "event" || text("Event") != "template_card_event" {
            return Ok(None);
        }
        if text("AgentID") != agent_id.to_string() {
            return Err("it is about another application".into());
        }
        let (from, at, task, value) = (text("FromUserName"), text("CreateTime"), text("TaskId"), text("EventKey"));
        if from.is_empty() || value.is_empty() {
            return Ok(None);
        }
        // A repeat has the same person, time and button (<https://developer.work.weixin.qq.com/document/path/90238>).
        let event_id = format!("{at}.{task}.{value}.{from}");
        // Its name is in the company's directory only.
        let by = Presser { id: from.to_owned(), name: String::new(), foreign: false };
        let press = Press { event_id, value: value.to_owned(), message: PlatformIds::default(), by };
        Ok(Some(Pressed { press, response_code: text("ResponseCode").to_owned() }))
    }

    /// What is in a sealed text, once signature, time and company are right.
    fn open(&self, call: &Callback<'_>, sealed: &str, corp_id: &str) -> Result<String, String> {
        let query = |name: &str| parameter(call.url, name).ok_or_else(|| format!("the address has no `{name}`"));
        let (timestamp, nonce, signature) = (query("timestamp")?, query("nonce")?, query("msg_signature")?);
        if !kit::same(self.signature(&timestamp, &nonce, sealed).as_bytes(), signature.as_bytes()) {
            return Err("the signature is not made with `wecom.callback_token`".into());
        }
        let at = timestamp.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or("`timestamp` is no time")?;
        if call.now.duration_since(at).unsigned_abs() > WINDOW {
            return Err(format!("it was signed more than {} minutes from now", WINDOW.as_secs() / 60));
        }
        let iv: [u8; 16] = self.key[..16].try_into().unwrap_or_default();
        let unreadable = "it is not encrypted with `wecom.encoding_aes_key`";
        let bytes = KEY.decode(sealed).ok().and_then(|sealed| kit::decrypt_cbc(&self.key, &iv, sealed, PADDED)).ok_or(unreadable)?;
        let (message, receiver) = parts(&bytes).ok_or(unreadable)?;
        if receiver != corp_id.as_bytes() {
            return Err("it is for another company".into());
        }
        String::from_utf8(message.to_vec()).map_err(|_| unreadable.into())
    }

    fn signature(&self, timestamp: &str, nonce: &str, sealed: &str) -> String {
        let mut parts = [self.token.expose(), timestamp, nonce, sealed];
        parts.sort_unstable();
        Sha1::digest(parts.concat()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The key that an EncodingAESKey is: 43 characters.
pub(super) fn read_key(text: &str) -> Option<[u8; 32]> {
    if text.len() != 43 {
        return None;
    }
    KEY.decode(text).ok()?.try_into().ok()
}

/// The message, and for whom it is.
fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.get(RANDOM..)?.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// A parameter of an address.
fn parameter(url: &str, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The text of a child of `<xml>`, which may be in CDATA. WeCom's bodies hold no attributes, and no entities in what is read here.
fn element<'x>(xml: &'x str, wanted: &str) -> Option<&'x str> {
    let mut rest = xml.trim_start().strip_prefix("<xml>")?;
    loop {
        rest = rest.trim_start().strip_prefix('<')?;
        let (name, after) = rest.split_once('>')?;
        let end = format!("</{name}>");
        let (text, after) = match after.trim_start().strip_prefix("<![CDATA[") {
            Some(data) => {
                let (text, after) = data.split_once("]]>")?;
                (text, after.trim_start().strip_prefix(end.as_str())?)
            }
            None => after.split_once(end.as_str())?,
        };
        if name == wanted {
            return Some(text.trim());
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderMap;

    const CORP: &str = "wx5823bf96d3bd56c7";

    fn callbacks() -> Callbacks {
        Callbacks::new(Secret::new("QDG6eK"), &Secret::new("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C")).unwrap()
    }

    fn read(url: &str, body: &str, at: i64) -> Result<PressCall, String> {
        let headers = HeaderMap::new();
        let now = Timestamp::from_second(at).unwrap();
        callbacks().read(&Callback { url, headers: &headers, body: body.as_bytes(), now }, CORP, 1_000_002)
    }

    /// The vendor's example (<https://developer.work.weixin.qq.com/document/path/90968>).
    #[test]
    fn the_address_is_confirmed_as_in_the_published_example() {
        let echo = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp%2B4RPcs8TgAE7OaBO%2BFZXvnaqQ==";
        let url = |echo: &str| {
            let signature = "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3";
            format!("https://w.example.com/press/ops?msg_signature={signature}&timestamp=1409659589&nonce=263014780&echostr={echo}")
        };
        // Some write a plus sign as it is.
        for echo in [echo.to_owned(), echo.replace("%2B", "+")] {
            let Ok(PressCall::Answer(reply)) = read(&url(&echo), "", 1_409_659_600) else { panic!() };
            assert_eq!((reply.status.as_u16(), reply.content_type, reply.body.as_str()), (200, "text/plain", "1616140317555161061"));
        }
        let changed = echo.replace("P9n", "P9m");
        for (url, at) in [(url(&changed), 1_409_659_600), (url(echo).replace("26301478", "26301479"), 1_409_659_600), (url(echo), 1_409_660_200)] {
            let why = read(&url, "", at).err().unwrap();
            assert!(!why.contains("QDG6eK"), "{why}");
        }
        assert!(read("https://w.example.com/press/ops", "", 0).is_err());
    }

    /// Computed with another implementation.
    #[test]
    fn a_message_is_opened_for_its_own_company_only() {
        let sealed = "sKqRbbiSUnDhFHOvPjtUMbWS28WQJEcq+Mzda1Jz7/48f8S/Ty+bA9T4kUGo9xXppbi6Xb5CJDNdGLzlBP6xcQ==";
        let url = "https://w/?msg_signature=c6700a4d26ea694b666a1d78933ea5cca2bdb6ba&timestamp=1409659813&nonce=1372623149";
        let headers = HeaderMap::new();
        let call = Callback { url, headers: &headers, body: b"", now: Timestamp::from_second(1_409_659_813).unwrap() };
        assert_eq!(callbacks().open(&call, sealed, CORP).as_deref(), Ok("success"));
        assert!(callbacks().open(&call, sealed, "wx5823bf96d3bd56c8").is_err());
        assert!(Callbacks::new(Secret::new("x"), &Secret::new("short")).is_none());
    }

    #[test]
    fn elements_are_read_in_or_out_of_cdata_and_never_from_within_another() {
        let xml = "<xml>\n<A><![CDATA[ <B>no</B> ]]></A> <Items><B>neither</B></Items><B> yes </B>\n<C></C></xml>";
        assert_eq!([element(xml, "A"), element(xml, "B"), element(xml, "C"), element(xml, "D")], [Some("<B>no</B>"), Some("yes"), Some(""), None]);
        assert_eq!([element("", "A"), element("<xml>", "A"), element("<xml><A>", "A"), element("<xml><A><![CDATA[", "A")], [None; 4]);
    }
}
