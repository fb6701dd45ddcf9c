//! From bytes to UTF-8: the encoding that the sender names, else the one that the bytes look like.
//!
//! Two texts that differ stay different: what cannot be read is shown by its bytes, for groups and identities are made of text.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

use crate::model::{decode_guess, is_mostly_utf8};

/// A body as UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text, without a byte-order mark.
    pub text: Cow<'a, str>,
    /// Whether some characters may be read wrongly.
    pub doubtful: bool,
}

/// Reads a body. What is UTF-8 is that, whatever `content_type` says, for most senders that name a charset name the wrong one. Else its `charset` holds
/// (any name of the [WHATWG's list](https://encoding.spec.whatwg.org/#names-and-labels)), else a byte-order mark, else the zero bytes of UTF-16; else the
/// body is broken UTF-8, when it mostly is, or GB18030, or Windows-1252. Never fails. Time and memory: linear in the body.
pub fn to_utf8<'a>(body: &'a [u8], content_type: Option<&str>) -> Decoded<'a> {
    let named = content_type.and_then(charset);
    if let Some((encoding, length)) = Encoding::for_bom(body) {
        return with(encoding, &body[length..]);
    }
    // Its ASCII is UTF-8 as well, with a U+0000 between two letters.
    if let Some(encoding) = named.filter(|e| *e == UTF_16LE || *e == UTF_16BE).or_else(|| utf_16(body)) {
        return with(encoding, body);
    }
    if let Ok(text) = std::str::from_utf8(body) {
        return Decoded { text: Cow::Borrowed(text), doubtful: false };
    }
    if let Some(encoding) = named.filter(|e| *e != UTF_8) {
        return with(encoding, body);
    }
    if is_mostly_utf8(body) {
        return with(UTF_8, body);
    }
    let text = decode_guess(body);
    let doubtful = GB18030.decode_without_bom_handling_and_without_replacement(body).is_none_or(|chinese| chinese != text);
    Decoded { text, doubtful }
}

/// UTF-16 that nobody named, by the zero bytes of its first two characters: JSON begins with two that are ASCII
/// (<https://www.rfc-editor.org/rfc/rfc4627#section-3>).
fn utf_16(body: &[u8]) -> Option<&'static Encoding> {
    let is_ascii = |byte: &u8| matches!(byte, 1..=0x7f);
    match body {
        [a, 0, b, 0, ..] if is_ascii(a) && is_ascii(b) => Some(UTF_16LE),
        [0, a, 0, b, ..] if is_ascii(a) && is_ascii(b) => Some(UTF_16BE),
        _ => None,
    }
}

/// The encoding in `application/json; charset="GBK"`.
fn charset(content_type: &str) -> Option<&'static Encoding> {
    let value = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })?;
    Encoding::for_label(value.as_bytes())
}

fn with<'a>(encoding: &'static Encoding, body: &'a [u8]) -> Decoded<'a> {
    match encoding.decode_without_bom_handling_and_without_replacement(body) {
        Some(text) => Decoded { text, doubtful: false },
        None => Decoded { text: Cow::Owned(marked(encoding, body)), doubtful: true },
    }
}

/// What cannot be read becomes U+FFFD and the hex digits of its bytes.
fn marked(encoding: &'static Encoding, mut body: &[u8]) -> String {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(body.len() + body.len() / 2 + 16);
    let mut before: Vec<u8> = Vec::new();
    loop {
        let (result, read) = decoder.decode_to_string_without_replacement(body, &mut text, true);
        before.extend(&body[read.saturating_sub(8)..read]);
        body = &body[read..];
        match result {
            DecoderResult::InputEmpty => return text,
            DecoderResult::OutputFull => text.reserve(body.len() + 64),
            DecoderResult::Malformed(length, after) => {
                let end = before.len().saturating_sub(usize::from(after));
                let start = end.saturating_sub(usize::from(length));
                text.reserve(32);
                text.push('\u{fffd}');
                before[start..end].iter().for_each(|b| text.push_str(&format!("{b:02X}")));
            }
        }
        before.drain(..before.len().saturating_sub(8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8], content_type: Option<&str>) -> (String, bool) {
        let decoded = to_utf8(body, content_type);
        (decoded.text.into_owned(), decoded.doubtful)
    }

    #[test]
    fn the_charset_is_honoured_and_else_the_bytes_tell() {
        let gbk = |text: &str| GB18030.encode(text).0.into_owned();
        let clear = |text: &str| (text.to_owned(), false);
        for kind in [None, Some("application/json"), Some("application/json; charset=gbk"), Some("application/json;Charset=\"GB2312\"; x=y")] {
            assert_eq!(read(&gbk("磁盘已满"), kind), clear("磁盘已满"), "{kind:?}");
            assert_eq!(read("磁盘已满".as_bytes(), kind), clear("磁盘已满"), "UTF-8 is UTF-8");
        }
        assert_eq!(read(&gbk("磁盘"), Some("text/plain; charset=utf-8")), clear("磁盘"), "a sender that names the wrong one");
        assert_eq!(read(&gbk("磁盘"), Some("text/plain; charset=unknown")), clear("磁盘"));
        let big5 = encoding_rs::BIG5.encode("磁碟已滿").0.into_owned();
        assert_eq!(read(&big5, Some("application/json; charset=big5")), clear("磁碟已滿"));
        assert_eq!(read(b"caf\xe9", Some("application/json; charset=ISO-8859-1")), clear("café"));
        assert_eq!(read("{\"a\"".as_bytes(), Some("application/json; charset=latin1")), clear("{\"a\""));
        let utf16: Vec<u8> = "告a".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&utf16, Some("application/json; charset=utf-16le")), clear("告a"));
        assert_eq!(read(&[b"\xff\xfe", utf16.as_slice()].concat(), None), clear("告a"));
        let json = r#"{"severity":"critical","text":"磁盘已满"}"#;
        let (little, big): (Vec<u8>, Vec<u8>) =
            (json.encode_utf16().flat_map(u16::to_le_bytes).collect(), json.encode_utf16().flat_map(u16::to_be_bytes).collect());
        for kind in [None, Some("application/json"), Some("application/json; charset=utf-8")] {
            assert_eq!((read(&little, kind), read(&big, kind)), (clear(json), clear(json)), "{kind:?}");
        }
        assert_eq!(read(b"{\0\"a\"", None), clear("{\0\"a\""), "one U+0000 makes no UTF-16");
        assert_eq!(read(b"\xef\xbb\xbfx", None), clear("x"));
        assert_eq!(read(b"", None), clear(""));
    }

    #[test]
    fn what_cannot_be_told_is_said_and_stays_distinct() {
        assert_eq!(read(b"caf\xe9 ol\xe9", None), ("café olé".to_owned(), true));
        let cut = &"磁盘已满".as_bytes()[..11];
        assert_eq!(read(cut, None), ("磁盘已\u{fffd}E6BB".to_owned(), true), "UTF-8 that was cut is no Chinese in another encoding");
        let broken = [GB18030.encode("磁盘").0.as_ref(), b"\xff!"].concat();
        assert_eq!(read(&broken, Some("x/y; charset=gbk")), ("磁盘\u{fffd}FF!".to_owned(), true));
        let mut seen = std::collections::HashSet::new();
        for last in 0x80..=0xffu8 {
            for lead in [&b"caf"[..], "磁盘已".as_bytes()] {
                assert!(seen.insert(read(&[lead, &[last], b" x"].concat(), None).0), "{last:x}");
            }
        }
        let long = [b"a".repeat(100_000).as_slice(), "磁盘".as_bytes(), b"\xff", &"满".repeat(50_000).into_bytes()].concat();
        let (text, doubtful) = read(&long, None);
        assert!(doubtful && text.contains("磁盘\u{fffd}FF满"));
    }
}
