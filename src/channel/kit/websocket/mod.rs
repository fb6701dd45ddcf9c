//! WebSockets (RFC 6455), opened by the channel's own HTTP client: proxy, certificate authority and address guard hold for them, too.
//!
//! ```text
//! let upgrade = http.websocket(url).secret(&ticket).upgrade(deadline).await?;
//! let mut socket = upgrade.socket(now)?;                                       // or look at the `Refused` answer first
//! loop {
//!     match socket.next().await? {                                             // cancelled by being dropped; nothing is lost
//!         Frame::Text(text) => socket.send(Frame::Text(answer(text))).await?,
//!         Frame::Binary(bytes) => { .. }
//!         Frame::Closed { code, reason } => return ListenEnd::Closed,
//!     }
//! }
//! ```
//!
//! Pings of the peer are answered while [`Socket::next`] is waited for, and own ones are sent: a connection whose peer vanished without a word (behind
//! NAT, usually) is noticed.

#[cfg(test)]
mod tests;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use reqwest::{StatusCode, Upgraded};
use sha1::{Digest, Sha1};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::call::{Call, Http};
use super::clients::Line;
use super::reply::{MAX_EXCERPT, Reply, classify_status};
use super::transport::{Progress, failed};
use crate::model::{ErrorKind, Secret, SendError, scrub};

/// Bytes of a message at most; platforms' are a few kilobytes. A longer one ends the connection.
pub const MAX_FRAME: usize = 1024 * 1024;

/// A peer that says nothing is asked for a sign this often.
const PING_EVERY: Duration = Duration::from_secs(25);

/// A connection without any frame for this long is dead: three pings were not answered.
const SILENCE: Duration = Duration::from_secs(80);

/// A frame that cannot be written for this long never will be.
const WRITE: Duration = Duration::from_secs(10);

/// What the accept key is made of (RFC 6455 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A message of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
    /// The end, said by the peer.
    Closed {
        /// Its code (RFC 6455 7.4).
        code: Option<u16>,
        /// Its reason, scrubbed and capped; may be empty.
        reason: String,
    },
}

/// The answer to a request for a socket.
pub enum Upgrade {
    /// It is open.
    Open(Box<Socket>),
    /// An HTTP answer came instead.
    Refused(Reply),
}

impl Upgrade {
    /// The socket, or what the refusal means by its status. Platforms that explain it in the answer's headers or body look there first.
    pub fn socket(self, now: Timestamp) -> Result<Socket, SendError> {
        let reply = match self {
            Upgrade::Open(socket) => return Ok(*socket),
            Upgrade::Refused(reply) => reply,
        };
        let help = "a proxy on the way must let WebSockets through";
        Err(match classify_status(&reply, now) {
            Some(error) => SendError { summary: format!("no WebSocket was opened: {}; {help}", error.summary), ..error },
            None => {
                let summary = format!("no WebSocket was opened: HTTP {} came instead of 101; {help}", reply.status());
                reply.error(ErrorKind::Transient, format!("HTTP {}", reply.status()), summary)
            }
        })
    }
}

impl Http {
    /// A request for a WebSocket at a `wss://` or `ws://` address; [`Call::upgrade`] makes it. Whatever is secret in the address is named by
    /// [`Call::secret`].
    pub fn websocket(&self, url: impl Into<String>) -> Call {
        let url = url.into();
        let url = match url.split_once("://") {
            Some(("wss", rest)) => format!("https://{rest}"),
            Some(("ws", rest)) => format!("http://{rest}"),
            _ => url,
        };
        self.get(url).header("connection", "Upgrade").header("upgrade", "websocket").header("sec-websocket-version", "13")
    }
}

impl Call {
    /// Opens the socket by `deadline`. Errors are those of [`Call::send`], and `Transient` when what answered is no WebSocket server.
    pub async fn upgrade(self, deadline: Instant) -> Result<Upgrade, SendError> {
        let key = STANDARD.encode(uuid::Uuid::new_v4().as_bytes());
        let answered = self.header("sec-websocket-key", &key).execute(Line::http1, deadline).await?;
        if answered.response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Upgrade::Refused(answered.read(deadline).await?));
        }
        let accept = accept_key(&key);
        let host = answered.host;
        if answered.response.headers().get("sec-websocket-accept").is_none_or(|given| given.as_bytes() != accept.as_bytes()) {
            let summary = format!("{host} accepted a WebSocket that was not asked for; is a proxy answering in its place?");
            return Err(SendError::new(ErrorKind::Transient, summary).code("accept"));
        }
        let secrets = answered.secrets;
        let opened = timeout_at(deadline, answered.response.upgrade()).await;
        let upgraded = opened
            .map_err(|_| super::transport::timed_out(&host, Progress::NoEffect))?
            .map_err(|error| failed(error, &host, Progress::NoEffect, &secrets))?;
        Ok(Upgrade::Open(Box::new(Socket::new(upgraded, host, secrets).await)))
    }
}

/// What a server proves with that it understood the request.
fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

/// An open WebSocket. Dropped, it is gone without a word; [`Socket::close`] says goodbye.
pub struct Socket {
    stream: WebSocketStream<Upgraded>,
    host: String,
    secrets: Vec<Secret>,
    /// When the peer is asked for a sign.
    ping_at: Instant,
    /// When it is given up without one.
    dead_at: Instant,
}

impl Socket {
    async fn new(upgraded: Upgraded, host: String, secrets: Vec<Secret>) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_FRAME))
            .max_frame_size(Some(MAX_FRAME))
            .read_buffer_size(8 * 1024)
            .write_buffer_size(0)
            .max_write_buffer_size(2 * MAX_FRAME);
        let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
        let now = Instant::now();
        Self { stream, host, secrets, ping_at: now + PING_EVERY, dead_at: now + SILENCE }
    }

    /// The next message. Errors are `Transient`: the connection broke, was silent for too long, or carried what is no WebSocket. After an error or
    /// [`Frame::Closed`] the socket is of no more use.
    pub async fn next(&mut self) -> Result<Frame, SendError> {
        loop {
            let message = match timeout_at(self.ping_at.min(self.dead_at), self.stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return Err(self.broke(&error)),
                Ok(None) => return Err(self.broke(&Error::ConnectionClosed)),
                Err(_) if Instant::now() >= self.dead_at => {
                    let summary = format!("{} said nothing for {} s, not even to a ping: the connection is dead", self.host, SILENCE.as_secs());
                    return Err(SendError::new(ErrorKind::Transient, summary).code("silent"));
                }
                Err(_) => {
                    self.ping_at = Instant::now() + PING_EVERY;
                    self.write(Message::Ping(Bytes::new())).await?;
                    continue;
                }
            };
            let now = Instant::now();
            (self.ping_at, self.dead_at) = (now + PING_EVERY, now + SILENCE);
            match message {
                Message::Text(text) => return Ok(Frame::Text(text.as_str().to_owned())),
                Message::Binary(bytes) => return Ok(Frame::Binary(bytes)),
                Message::Close(frame) => {
                    let code = frame.as_ref().map(|frame| frame.code.into());
                    let reason = frame.map_or_else(String::new, |CloseFrame { reason, .. }| self.scrub(reason.as_str()));
                    return Ok(Frame::Closed { code, reason });
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Writes a message, within ten seconds.
    pub async fn send(&mut self, frame: Frame) -> Result<(), SendError> {
        self.write(match frame {
            Frame::Text(text) => Message::Text(text.into()),
            Frame::Binary(bytes) => Message::Binary(bytes),
            Frame::Closed { .. } => Message::Close(None),
        })
        .await
    }

    /// Says goodbye, and does not wait for the answer.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.stream.send(Message::Close(None))).await;
    }

    async fn write(&mut self, message: Message) -> Result<(), SendError> {
        match timeout(WRITE, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.broke(&error)),
            Err(_) => {
                let summary = format!("{} took nothing for {} s: the connection is dead", self.host, WRITE.as_secs());
                Err(SendError::new(ErrorKind::Transient, summary).code("silent"))
            }
        }
    }

    fn broke(&self, error: &Error) -> SendError {
        let host = &self.host;
        let (code, summary) = match error {
            Error::ConnectionClosed | Error::AlreadyClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                ("io", format!("{host} closed the connection without a word"))
            }
            Error::Io(error) => {
                ("io", format!("the connection to {host} broke: {}", error.to_string().split(" (os error").next().unwrap_or_default()))
            }
            Error::Capacity(_) => ("frame", format!("{host} sent a message of more than {} KiB", MAX_FRAME / 1024)),
            other => ("frame", format!("what {host} sent is no WebSocket message: {other}")),
        };
        SendError::new(ErrorKind::Transient, self.scrub(&summary)).code(code)
    }

    fn scrub(&self, text: &str) -> String {
        scrub(text, &self.secrets.iter().collect::<Vec<_>>(), MAX_EXCERPT)
    }
}
