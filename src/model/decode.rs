//! Text whose encoding nobody named: mail servers' replies, platforms' answers, bodies of old senders. Pure.

use std::borrow::Cow;

use encoding_rs::{GB18030, WINDOWS_1252};

/// Reads bytes as UTF-8, else as GB18030 (which holds GBK and GB2312), else as Windows-1252 (which holds Latin-1). Never fails and loses no byte
/// that is text in one of the three; of broken UTF-8 ([`is_mostly_utf8`]) what is broken becomes U+FFFD. What is no UTF-8 is Chinese when every pair of its bytes is a character there and at least half of them are
/// of the common ones, else Western: `Größe` in Latin-1 is valid GB18030, too, but a rare character, while Chinese text is made of common ones.
///
/// Time and memory: linear in the input.
pub fn decode_guess(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    if is_mostly_utf8(bytes) {
        return String::from_utf8_lossy(bytes);
    }
    if is_common_chinese(bytes)
        && let Some(text) = GB18030.decode_without_bom_handling_and_without_replacement(bytes)
    {
        return text;
    }
    WINDOWS_1252.decode_without_bom_handling(bytes).0
}

/// Whether bytes are UTF-8 but for some that are broken: three bytes in a row that are UTF-8 are that on purpose, in other encodings they are rare.
pub fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let (mut wide, mut broken) = (0usize, 0usize);
    for chunk in bytes.utf8_chunks() {
        wide += chunk.valid().chars().filter(|c| *c >= '\u{800}').count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    wide > broken
}

/// Whether at least half of the pairs of bytes are among the symbols (rows 1 to 9) and the 3,755 common characters (rows 16 to 55) of GB 2312.
fn is_common_chinese(bytes: &[u8]) -> bool {
    let (mut common, mut rare, mut at) = (0usize, 0usize, 0);
    while at < bytes.len() {
        if bytes[at].is_ascii() {
            at += 1;
            continue;
        }
        match bytes.get(at + 1) {
            Some(0xa1..=0xfe) if matches!(bytes[at], 0xa1..=0xa9 | 0xb0..=0xd7) => common += 1,
            _ => rare += 1,
        }
        at += 2;
    }
    common > 0 && common >= rare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_is_recognised() {
        for (bytes, text) in [
            (&b"250 2.0.0 ok"[..], "250 2.0.0 ok"),
            ("邮箱不存在 ok".as_bytes(), "邮箱不存在 ok"),
            (b"550 \xd3\xca\xcf\xe4\xb2\xbb\xb4\xe6\xd4\xda", "550 邮箱不存在"),
            (b"\xb7\xa2\xcb\xcd\xc6\xb5\xc2\xca\xb3\xac\xcf\xde\xa3\xac\xc7\xeb\xc9\xd4\xba\xf3", "发送频率超限，请稍后"),
            (b"Gr\xf6\xdfe ok", "Größe ok"),
            (b"Bo\xeete pleine, r\xe9essayez", "Boîte pleine, réessayez"),
            (b"f\xfcr \xfcber", "für über"),
            (b"\xc9chec", "Échec"),
            (b"50 \x80", "50 €"),
            (b"caf\xe9", "café"),
            (&"磁盘已满".as_bytes()[..11], "磁盘已\u{fffd}"),
        ] {
            assert_eq!(decode_guess(bytes), text);
        }
    }

    #[test]
    fn no_bytes_panic_and_ascii_stays() {
        for pair in 0..=u16::MAX {
            let bytes = [b'a', (pair >> 8) as u8, (pair & 0xff) as u8, b'z'];
            assert!(decode_guess(&bytes).starts_with('a'), "{bytes:?}");
        }
        assert_eq!(decode_guess(b""), "");
    }
}
