//! The byte stream below a session: plain or TLS, lines out, replies in. Knows lines and reply codes, nothing of mail.
//!
//! Replies are bytes: servers answer in GBK, in Latin-1, with bare line feeds, with a code and nothing else, or with lines between the first and the
//! last that bear no code (RFC 959, section 4.2). The code decides; the text is for people.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::classify::Cause;
use super::tls;
use crate::model::decode_guess;

/// The longest reply that is read; a long EHLO has some 1 KB.
const MAX_REPLY: usize = 64 * 1024;

#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A stream and the bytes that were read from it but not consumed.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    unread: Vec<u8>,
}

/// One reply: its code, and its lines without the code, readable and without control characters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub code: u16,
    pub lines: Vec<String>,
}

impl Reply {
    /// Its lines as one, each enhanced status code once: servers repeat it on every line.
    pub(super) fn text(&self) -> String {
        let code = self.lines.first().and_then(|line| super::stage::enhanced(line)).unwrap_or_default();
        let rest = |line: &str| line.strip_prefix(code).unwrap_or(line).trim_start().to_owned();
        let lines = self.lines.iter().enumerate().map(|(i, line)| if i == 0 { line.clone() } else { rest(line) });
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// Whether everything from here on is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// The plain connection below, for the handshake; `None` when it is encrypted already, or when bytes have come that nobody asked for.
    pub(super) fn into_plain(self) -> Option<TcpStream> {
        match self.stream {
            Stream::Plain(tcp) if self.unread.is_empty() => Some(tcp),
            _ => None,
        }
    }

    /// Sends bytes.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        let written = async {
            match &mut self.stream {
                Stream::Plain(tcp) => tcp.write_all(bytes).await,
                Stream::Tls(tls) => {
                    tls.write_all(bytes).await?;
                    tls.flush().await
                }
            }
        };
        written.await.map_err(|e| tls::cause(&e))
    }

    /// Sends one line and reads the reply to it.
    pub(super) async fn ask(&mut self, line: &str) -> Result<Reply, Cause> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.reply().await
    }

    /// Reads one whole reply.
    pub(super) async fn reply(&mut self) -> Result<Reply, Cause> {
        loop {
            if let Some((reply, length)) = parse(&self.unread)? {
                self.unread.drain(..length);
                return Ok(reply);
            }
            if self.unread.len() > MAX_REPLY {
                return Err(Cause::Garbage("a reply without an end".into()));
            }
            let mut chunk = [0; 1024];
            let got = match &mut self.stream {
                Stream::Plain(tcp) => tcp.read(&mut chunk).await,
                Stream::Tls(tls) => tls.read(&mut chunk).await,
            };
            match got.map_err(|e| tls::cause(&e))? {
                0 => return Err(Cause::Closed),
                n => self.unread.extend_from_slice(&chunk[..n]),
            }
        }
    }
}

/// The reply at the start of `bytes` and its length, once it is complete. The first line must bear a code; of the following ones only a line with
/// the same code and no hyphen ends it, whatever else they hold (as in Go's `net/textproto`, which many senders use).
fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Cause> {
    let garbage = |line: &[u8]| Cause::Garbage(readable(&line[..line.len().min(200)]).join(" "));
    let (mut text, mut end, mut code) = (Vec::new(), 0, None);
    while let Some(len) = bytes[end..].iter().position(|b| *b == b'\n') {
        let line = bytes[end..end + len].trim_ascii_end();
        end += len + 1;
        let (number, last, rest) = match (code_line(line), code) {
            (Some(found), None) => found,
            (Some(found), Some(code)) if found.0 == code => found,
            (_, Some(code)) => (code, false, line),
            (None, None) if line.is_empty() => continue,
            (None, None) => return Err(garbage(line)),
        };
        code = Some(number);
        text.extend_from_slice(rest);
        text.push(b'\n');
        if last {
            text.pop();
            return Ok(Some((Reply { code: number, lines: readable(&text) }, end)));
        }
    }
    // What cannot become a reply fails at once: a web server on this port would never end it.
    match bytes.get(end..end + 3) {
        Some(start) if code.is_none() && !start.iter().all(u8::is_ascii_digit) => Err(garbage(&bytes[end..])),
        _ => Ok(None),
    }
}

/// The code of a line, whether it is the last of its reply, and its text.
fn code_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let number = digits.iter().try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + u16::from(d - b'0')))?;
    match rest.first() {
        _ if !(200..600).contains(&number) => None,
        Some(b'-') => Some((number, false, &rest[1..])),
        Some(digit) if digit.is_ascii_digit() => None,
        Some(b' ' | b'\t') => Some((number, true, &rest[1..])),
        _ => Some((number, true, rest)),
    }
}

/// Lines of text for people. They are decoded together, for one line may be too short to tell its encoding.
fn readable(bytes: &[u8]) -> Vec<String> {
    let clean = |line: &str| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned();
    decode_guess(bytes).split('\n').map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (u16, Vec<String>) {
        let (reply, _) = parse(bytes).unwrap().unwrap();
        (reply.code, reply.lines)
    }

    #[test]
    fn replies_are_read_whole_and_no_further() {
        let multi = b"250-mx.example.com\r\n250-STARTTLS\r\n250 SIZE 1\r\n220 next";
        let (reply, length) = parse(multi).unwrap().unwrap();
        assert_eq!((reply.code, reply.lines), (250, vec!["mx.example.com".into(), "STARTTLS".into(), "SIZE 1".into()]));
        assert_eq!(length, multi.len() - b"220 next".len());
        for open in [&b"220 mx"[..], b"220-mx\r\n", b"220-mx\r\nwelcome\r\n", b"220-a\r\n250 b\r\n", b"2", b"", b"\r\n"] {
            assert_eq!(parse(open).unwrap(), None, "{open:?}");
        }
    }

    #[test]
    fn replies_are_bytes() {
        for (bytes, code, text) in [
            (&b"220\r\n"[..], 220, ""),
            (b"250\n", 250, ""),
            (b"250 ok\n", 250, "ok"),
            (b"\r\n250 ok\r\n", 250, "ok"),
            (b"250OK queued\r\n", 250, "OK queued"),
            (b"250\tok\r\n", 250, "ok"),
            (b"250 2.0.0 Gr\xf6\xdfe ok\r\n", 250, "2.0.0 Größe ok"),
            (b"550 \xd3\xca\xcf\xe4\xb2\xbb\xb4\xe6\xd4\xda\r\n", 550, "邮箱不存在"),
            (b"550-5.1.1 no\r\n550 5.1.1 user\r\n", 550, "5.1.1 no user"),
            (b"250-first\r\n  in between\r\n250 last\r\n", 250, "first in between last"),
            (b"250-first\r\n200 users\r\n250 last\r\n", 250, "first 200 users last"),
            (b"250 a\x00b\x1b[1m\r\n", 250, "a b [1m"),
        ] {
            let (reply, length) = parse(bytes).unwrap().unwrap();
            assert_eq!((reply.code, reply.text().as_str(), length), (code, text, bytes.len()), "{bytes:?}");
        }
        assert_eq!(read(b"250-x\r\n250-\r\n250 y\r\n").1, ["x", "", "y"]);
    }

    #[test]
    fn what_is_not_smtp_is_told_at_once() {
        for bytes in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"HTT", b"22\r\n", b"999 x\r\n", b"2500 x\r\n", b"\xff\xfe\xfd"] {
            assert!(matches!(parse(bytes), Err(Cause::Garbage(_))), "{bytes:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic_and_a_reply_is_a_prefix(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            if let Ok(Some((reply, length))) = parse(&bytes) {
                proptest::prop_assert!(length <= bytes.len() && (200..600).contains(&reply.code));
                proptest::prop_assert!(!reply.text().contains(char::is_control));
            }
        }
    }
}
