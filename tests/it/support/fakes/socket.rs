//! WebSockets of a fake platform: opened on its own port, spoken by the platform, cut, closed or fallen silent by a test.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use base64::Engine as _;
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::call::{Answer, Call, Verdict};
use super::fault::Fault;
use super::server::{Conn, Fake, Platform, play, respond};

/// What a fake does to one of its sockets.
#[derive(Debug)]
enum Act {
    Say(Message),
    Silence,
    Cut,
}

/// One open socket, as its platform keeps it.
#[derive(Clone)]
pub struct Line {
    /// The number of the request that opened it.
    pub id: u64,
    acts: UnboundedSender<Act>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({})", self.id)
    }
}

impl Line {
    /// Sends a text.
    pub fn say(&self, text: impl Into<String>) {
        let _ = self.acts.send(Act::Say(Message::Text(text.into().into())));
    }

    /// Sends bytes.
    pub fn say_bytes(&self, bytes: Vec<u8>) {
        let _ = self.acts.send(Act::Say(Message::Binary(bytes.into())));
    }

    /// Says that it ends.
    pub fn close(&self, code: u16, reason: &str) {
        let _ = self.acts.send(Act::Say(Message::Close(Some(CloseFrame { code: code.into(), reason: reason.to_owned().into() }))));
    }

    /// Neither reads nor writes any more, and stays open: as behind a NAT that forgot it.
    pub fn fall_silent(&self) {
        let _ = self.acts.send(Act::Silence);
    }

    /// Ends without a word.
    pub fn cut(&self) {
        let _ = self.acts.send(Act::Cut);
    }

    /// Whether it is still open.
    pub fn is_open(&self) -> bool {
        !self.acts.is_closed()
    }
}

/// What a client wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// The end, said or not.
    End,
}

/// Whether a request asks for a WebSocket.
pub fn is_wanted(call: &Call) -> bool {
    call.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Opens a WebSocket, unless a fault or the platform refuses it.
pub(super) async fn open<P: Platform>(fake: &Fake<P>, conn: &Conn, call: &Call, req: Request) -> Response<Body> {
    let fault = fake.faults.next(&call.path).filter(|fault| *fault != Fault::Pass);
    if let Some(fault) = fault.filter(|fault| !fake.with(|platform| platform.meets(call.number, fault))) {
        let answer = fault.answer().verdict(Verdict::Faulted);
        let status = if fault.answers() { answer.status } else { 0 };
        fake.rec.push(call, &answer, status, Some(format!("{fault:?}")));
        return play(fake, conn, &fault, answer).await;
    }
    let (line, acts) = line(call.number);
    match fake.with(|platform| platform.open(call, line)) {
        Ok(()) => {
            fake.rec.push(call, &Answer::text(101, ""), 101, None);
            accept(fake, call, req, call.number, acts)
        }
        Err(answer) => {
            fake.rec.push(call, &answer, answer.status, None);
            respond(&answer)
        }
    }
}

/// A line to a socket that is about to open.
fn line(id: u64) -> (Line, Acts) {
    let (acts, received) = unbounded_channel();
    (Line { id, acts }, Acts(received))
}

/// The other end of a line.
struct Acts(UnboundedReceiver<Act>);

/// Answers 101, and lets the platform hear what comes.
fn accept<P: Platform>(fake: &Fake<P>, call: &Call, mut req: Request, id: u64, acts: Acts) -> Response<Body> {
    let key = call.header("sec-websocket-key").unwrap_or_default();
    let accept = base64::engine::general_purpose::STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    let upgrade = hyper::upgrade::on(&mut req);
    let (fake, call) = (fake.clone(), call.clone());
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            speak(&fake, socket, &call, acts).await;
        }
        fake.with(|platform| platform.heard(id, &Heard::End));
    });
    let response = Response::builder().status(101).header("connection", "Upgrade").header("upgrade", "websocket");
    response.header("sec-websocket-accept", accept).body(Body::empty()).expect("a response")
}

async fn speak<P: Platform>(fake: &Fake<P>, mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>, call: &Call, Acts(mut acts): Acts) {
    let id = call.number;
    loop {
        let heard = tokio::select! {
            act = acts.recv() => match act {
                Some(Act::Say(message)) => {
                    let ends = message.is_close();
                    if socket.send(message).await.is_err() {
                        return;
                    }
                    // The client answers the close, or is gone.
                    if ends {
                        let _ = tokio::time::timeout(Duration::from_secs(1), socket.next()).await;
                        return;
                    }
                    continue;
                }
                Some(Act::Silence) => {
                    while !matches!(acts.recv().await, Some(Act::Cut) | None) {}
                    return;
                }
                Some(Act::Cut) | None => return,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => Heard::Text(text.as_str().to_owned()),
                Some(Ok(Message::Binary(bytes))) => Heard::Bytes(bytes.to_vec()),
                // Pings are answered by the next read or write.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        };
        fake.with(|platform| platform.heard(id, &heard));
        let Some((body, answer)) = fake.with(|platform| platform.taken(id)) else { continue };
        let message = Call { method: "WS".to_owned(), path: "/message".to_owned(), body: body.into(), ..call.clone() };
        fake.rec.push(&message, &answer, answer.status, None);
    }
}
