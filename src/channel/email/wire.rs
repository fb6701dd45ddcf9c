//! The byte stream below a session: plain or TLS, with room to put bytes back, so that the greeting can be read (and STARTTLS be done) before the
//! mail library takes over. Knows lines and reply codes, nothing of mail.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::classify::Cause;
use super::tls;

/// The longest reply that is read before the library takes over; a greeting is a line or two.
const MAX_REPLY: usize = 16 * 1024;

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

/// One reply: its code, its lines without the code, and its bytes as they came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawReply {
    pub code: u16,
    pub lines: Vec<String>,
    pub bytes: Vec<u8>,
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

    /// Puts bytes back in front: whoever reads next reads them first.
    pub(super) fn unread(&mut self, bytes: Vec<u8>) {
        self.unread.splice(0..0, bytes);
    }

    /// Sends one line.
    pub(super) async fn line(&mut self, text: &str) -> Result<(), Cause> {
        let line = format!("{text}\r\n");
        self.write_all(line.as_bytes()).await.map_err(|e| tls::cause(&e))?;
        self.flush().await.map_err(|e| tls::cause(&e))
    }

    /// Reads one whole reply.
    pub(super) async fn reply(&mut self) -> Result<RawReply, Cause> {
        loop {
            if let Some(reply) = parse(&self.unread)? {
                self.unread.drain(..reply.bytes.len());
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

/// The reply at the start of `bytes`, once it is complete.
fn parse(bytes: &[u8]) -> Result<Option<RawReply>, Cause> {
    let garbage = |line: &[u8]| Cause::Garbage(String::from_utf8_lossy(&line[..line.len().min(200)]).trim().to_owned());
    let (mut lines, mut end) = (Vec::new(), 0);
    let mut code = None;
    while let Some(len) = bytes[end..].iter().position(|b| *b == b'\n') {
        let line = &bytes[end..end + len];
        end += len + 1;
        let digits = line.get(..3).filter(|d| d.iter().all(u8::is_ascii_digit)).ok_or_else(|| garbage(line))?;
        let number = digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'));
        let rest = &line[3..];
        if code.is_some_and(|c| c != number) || !(200..600).contains(&number) {
            return Err(garbage(line));
        }
        code = Some(number);
        lines.push(String::from_utf8_lossy(rest.get(1..).unwrap_or_default()).trim().to_owned());
        match rest.first() {
            Some(b'-') => {}
            None | Some(b' ' | b'\r') => return Ok(Some(RawReply { code: number, lines, bytes: bytes[..end].to_vec() })),
            Some(_) => return Err(garbage(line)),
        }
    }
    // What cannot become a reply is told at once, or a web server on this port would be waited for.
    match bytes.get(end..end + 3) {
        Some(start) if !start.iter().all(u8::is_ascii_digit) => Err(garbage(&bytes[end..])),
        _ => Ok(None),
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.stream {
            Stream::Plain(tcp) => tcp.peer_addr(),
            Stream::Tls(tls) => tls.get_ref().0.peer_addr(),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let n = self.unread.len().min(buf.remaining());
            buf.put_slice(&self.unread[..n]);
            self.unread.drain(..n);
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_whole_and_no_further() {
        let multi = b"250-mx.example.com\r\n250-STARTTLS\r\n250 SIZE 1\r\n220 next";
        let reply = parse(multi).unwrap().unwrap();
        assert_eq!((reply.code, reply.lines), (250, vec!["mx.example.com".into(), "STARTTLS".into(), "SIZE 1".into()]));
        assert_eq!(reply.bytes.len(), multi.len() - b"220 next".len());
        assert_eq!(parse(b"220 mx").unwrap(), None);
        assert_eq!(parse(b"220-mx\r\n").unwrap(), None);
        assert_eq!(parse(b"2").unwrap(), None);
        assert_eq!(parse(b"220\r\n").unwrap().unwrap().code, 220);
    }

    #[test]
    fn what_is_not_smtp_is_told_at_once() {
        for bytes in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"HTT", b"220-a\r\n250 b\r\n", b"22\r\n", b"999 x\r\n", b"220_x\r\n", b"\xff\xfe\xfd"] {
            assert!(matches!(parse(bytes), Err(Cause::Garbage(_))), "{bytes:?}");
        }
    }
}
