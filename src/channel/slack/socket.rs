//! Socket Mode: presses over a connection that this server opens, so that no public address is needed.
//! <https://docs.slack.dev/apis/events-api/using-socket-mode>, <https://docs.slack.dev/reference/methods/apps.connections.open>

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::answer;
use super::press::{self, Payload};
use crate::channel::kit::{self, Frame, Socket};
use crate::channel::{ListenContext, ListenEnd, Listener, PressAnswer};
use crate::model::{ErrorKind, Secret, SendError};

/// How long a connection may take from the question for its address to the first frame.
const OPEN: Duration = Duration::from_secs(20);

/// The old connection is closed by Slack soon after its warning; it is not kept longer than this beside the new one.
const BESIDE: Duration = Duration::from_secs(60);

/// Ten connections of an app are the most; each node has one, two for a moment.
const TOO_MANY: Duration = Duration::from_secs(60);

/// How long a press may take to be stored once the connection is lost.
const LAST_PRESS: Duration = Duration::from_secs(3);

/// An app whose buttons are pressed, for all channels with its token.
pub(super) struct App {
    pub base: String,
    pub token: Secret,
    pub http: kit::Http,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    envelope_id: String,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    reason: String,
}

/// What goes on beside reading.
enum Done {
    /// A press is stored: its envelope, on the connection of that number, and what the person is shown.
    Pressed { connection: u64, envelope: String, url: Option<Secret>, answer: PressAnswer },
    /// The connection that takes the old one's place.
    Opened(Box<Result<Socket, SendError>>),
}

/// The connections of one `listen`: the newest, and for a moment the one before.
struct Connections {
    newest: Option<(u64, Socket)>,
    before: Option<(u64, Socket, Instant)>,
    counter: u64,
    opening: bool,
    /// Why the newest ended.
    lost: Option<SendError>,
}

/// What happened on a connection.
enum Event {
    Frame(u64, Result<Frame, SendError>),
    /// The old one had its time.
    Over,
}

impl Connections {
    fn new(socket: Socket) -> Self {
        Self { newest: Some((0, socket)), before: None, counter: 0, opening: false, lost: None }
    }

    async fn next(&mut self) -> Event {
        let newest = async {
            match &mut self.newest {
                Some((number, socket)) => Event::Frame(*number, socket.next().await),
                None => std::future::pending().await,
            }
        };
        let before = async {
            match &mut self.before {
                Some((number, socket, until)) => match timeout_at(*until, socket.next()).await {
                    Ok(frame) => Event::Frame(*number, frame),
                    Err(_) => Event::Over,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = newest => event,
            event = before => event,
        }
    }

    /// The new connection takes over; the one before still delivers until Slack closes it.
    fn replace(&mut self, socket: Socket) {
        self.counter += 1;
        let old = self.newest.replace((self.counter, socket));
        self.before = old.map(|(number, socket)| (number, socket, kit::within(BESIDE)));
        self.opening = false;
    }

    fn end(&mut self, number: u64, error: Option<SendError>) {
        if self.newest.as_ref().is_some_and(|(newest, _)| *newest == number) {
            self.newest = None;
            self.lost = error;
        } else {
            self.before = None;
        }
    }

    /// Writes on the connection that the envelope came over; on another it means nothing.
    async fn send(&mut self, number: u64, text: Value) {
        let newest = self.newest.as_mut().map(|(n, socket)| (*n, socket));
        let before = self.before.as_mut().map(|(n, socket, _)| (*n, socket));
        let Some((_, socket)) = [newest, before].into_iter().flatten().find(|(n, _)| *n == number) else { return };
        if let Err(error) = socket.send(Frame::Text(text.to_string())).await {
            self.end(number, Some(error));
        }
    }
}

#[async_trait]
impl Listener for App {
    async fn listen(&self, cx: &ListenContext) -> ListenEnd {
        let mut connections = match self.open().await {
            Ok(socket) => Connections::new(socket),
            Err(error) => return ListenEnd::Lost(error),
        };
        cx.connected.send_replace(true);
        let mut work: FuturesUnordered<BoxFuture<'_, Done>> = FuturesUnordered::new();
        let end = loop {
            if connections.newest.is_none() && !connections.opening {
                break connections.lost.take().map_or(ListenEnd::Closed, ListenEnd::Lost);
            }
            tokio::select! {
                event = connections.next() => match event {
                    Event::Frame(number, Ok(Frame::Text(text))) => {
                        let Ok(message) = serde_json::from_str::<Message>(&text) else { continue };
                        match message.kind.as_str() {
                            "disconnect" => match message.reason.as_str() {
                                "link_disabled" | "too_many_websockets" => break ListenEnd::Lost(disconnected(&message.reason)),
                                // Soon closed: a new connection first, and the old one delivers until then.
                                _ if connections.opening || number < connections.counter => {}
                                _ => {
                                    connections.opening = true;
                                    work.push(self.open().map(|opened| Done::Opened(Box::new(opened))).boxed());
                                }
                            },
                            _ if message.envelope_id.is_empty() => {}
                            _ => match self.press(message, number, cx) {
                                Ok(pressing) => work.push(pressing),
                                Err(envelope) => connections.send(number, acknowledged(&envelope)).await,
                            },
                        }
                    }
                    Event::Frame(_, Ok(Frame::Binary(_))) => {}
                    Event::Frame(number, Ok(Frame::Closed { .. })) => connections.end(number, None),
                    Event::Frame(number, Err(error)) => connections.end(number, Some(error)),
                    Event::Over => connections.before = None,
                },
                Some(done) = work.next(), if !work.is_empty() => self.finish(done, &mut connections, cx).await,
            }
            if connections.newest.is_none() {
                cx.connected.send_replace(false);
            }
        };
        cx.connected.send_replace(false);
        // What was pressed before the end is stored, though Slack does not learn of it any more.
        let rest = async {
            while let Some(done) = work.next().await {
                if let Done::Pressed { url: Some(url), answer, .. } = done {
                    self.show(url, answer);
                }
            }
        };
        let _ = timeout_at(kit::within(LAST_PRESS), rest).await;
        end
    }
}

fn acknowledged(envelope: &str) -> Value {
    json!({ "envelope_id": envelope })
}

impl App {
    /// Takes over a new connection, or answers a press that is stored.
    async fn finish(&self, done: Done, connections: &mut Connections, cx: &ListenContext) {
        match done {
            Done::Opened(opened) => match *opened {
                Ok(socket) => {
                    connections.replace(socket);
                    cx.connected.send_replace(true);
                }
                // The connection that is there is used to its end; then the caller opens the next.
                Err(error) => {
                    connections.opening = false;
                    connections.lost = Some(error);
                }
            },
            Done::Pressed { connection, envelope, url, answer } => {
                connections.send(connection, acknowledged(&envelope)).await;
                if let Some(url) = url {
                    self.show(url, answer);
                }
            }
        }
    }

    fn show(&self, url: Secret, answer: PressAnswer) {
        tokio::spawn(press::show(self.http.clone(), self.base.clone(), url, answer));
    }

    /// The address of one connection; it is good once, and for a short time.
    pub(super) async fn address(&self) -> Result<Secret, SendError> {
        let call = self.http.post(kit::join(&self.base, "/api/apps.connections.open")).idempotent().bearer(&self.token);
        let reply = call.send(kit::within(OPEN)).await?;
        answer::of_connection(&reply, reply.date().unwrap_or_default())
    }

    /// A connection that Slack has said hello on.
    async fn open(&self) -> Result<Socket, SendError> {
        let deadline = kit::within(OPEN);
        let address = self.address().await?;
        let mut call = self.http.websocket(address.expose());
        for secret in kit::address_secrets(&address) {
            call = call.secret(&secret);
        }
        let mut socket = call.upgrade(deadline).await?.socket(Default::default())?;
        let silent = || SendError::new(ErrorKind::Transient, "Slack opened the connection and did not say hello").code("hello");
        loop {
            match timeout_at(deadline, socket.next()).await.map_err(|_| silent())?? {
                Frame::Text(text) => match serde_json::from_str::<Message>(&text) {
                    Ok(message) if message.kind == "hello" => return Ok(socket),
                    Ok(message) if message.kind == "disconnect" => return Err(disconnected(&message.reason)),
                    _ => return Err(silent()),
                },
                Frame::Binary(_) => {}
                Frame::Closed { .. } => return Err(silent()),
            }
        }
    }

    /// Stores a press, beside reading; the envelope of anything else is returned, for it is only acknowledged.
    fn press<'a>(&'a self, message: Message, connection: u64, cx: &'a ListenContext) -> Result<BoxFuture<'a, Done>, String> {
        let envelope = message.envelope_id;
        let payload = serde_json::from_value::<Payload>(message.payload).ok().filter(|_| message.kind == "interactive");
        let Some((press, url)) = payload.and_then(|payload| payload.press(Some(envelope.clone()))) else { return Err(envelope) };
        Ok(async move { Done::Pressed { connection, envelope, url, answer: cx.presses.press(press).await } }.boxed())
    }
}

fn disconnected(reason: &str) -> SendError {
    match reason {
        "link_disabled" => {
            SendError::new(ErrorKind::Misconfigured, "Socket Mode was turned off for this app; turn it on under *Socket Mode*").code(reason)
        }
        "too_many_websockets" => {
            let summary = "the app has ten connections already, more Slack does not allow; does something else use its app token?";
            SendError::new(ErrorKind::RateLimited { retry_after: Some(TOO_MANY) }, summary).code(reason)
        }
        _ => SendError::new(ErrorKind::Transient, "Slack closed the connection before it said hello").code("hello"),
    }
}
