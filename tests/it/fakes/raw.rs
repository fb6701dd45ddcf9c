//! The smallest HTTP/1.1 client: one connection, one request, everything until the end. It shows what a
//! real client would only report as an error: resets, cut bodies, no answer.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One answer as it came.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The head, lower case.
    pub head: String,
    /// The body as bytes after the head (chunk framing included, if any).
    pub body: String,
}

/// Sends one request and reads to the end of the connection.
pub async fn http(addr: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(addr).await?;
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: fake\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no answer"))?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| io::Error::other("no status"))?;
    Ok(Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// Posts JSON.
pub async fn post(addr: SocketAddr, target: &str, body: &str) -> io::Result<Reply> {
    http(addr, "POST", target, &[("content-type", "application/json")], body).await
}
