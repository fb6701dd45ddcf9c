//! The long connection: presses over a connection that this server opens, so that no public address is needed.
//! <https://open.feishu.cn/document/server-docs/event-subscription-guide/event-subscription-configure-/request-url-configuration-case>; the frames as
//! in the vendor's SDKs (<https://github.com/larksuite/oapi-sdk-python/blob/v2_main/lark_oapi/ws/client.py>).

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::answer::{self, Endpoint};
use super::frame::{CONTROL, DATA, Frame};
use super::press;
use crate::channel::kit::{self, Frame as Message, Socket, Upgrade};
use crate::channel::{ListenContext, ListenEnd, Listener};
use crate::model::{ErrorKind, Secret, SendError};

/// How long a connection may take from the question for its address to the first frame.
const OPEN: Duration = Duration::from_secs(20);

/// Pings are wanted every two minutes, or as the platform says; more often does no harm, and shows sooner that a connection is dead.
const PING: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// How long the parts of an event are kept, as in the SDK, how many events are in parts at a time, and how many parts an event has at most.
const KEEP_PARTS: Duration = Duration::from_secs(5);
const MAX_IN_PARTS: usize = 16;
const MAX_PARTS: usize = 64;
/// Bytes of an event in parts.
const MAX_EVENT: usize = 1024 * 1024;

/// How long a press may take to be stored once the connection is lost.
const LAST_PRESS: Duration = Duration::from_secs(3);

/// An application whose buttons are pressed, for all channels with its secret.
pub(super) struct App {
    pub base: String,
    pub id: String,
    pub secret: Secret,
    pub http: kit::Http,
}

/// An open connection.
struct Connection {
    socket: Socket,
    /// What the frames of this connection carry.
    service: i32,
    ping_every: Duration,
    ping_at: Instant,
    /// Events of which parts are missing, by the id of their frames.
    parts: HashMap<String, Parts>,
}

/// The parts of an event that are there.
struct Parts {
    since: Instant,
    payloads: Vec<Option<Vec<u8>>>,
}

impl Connection {
    /// The next frame; pings go out meanwhile.
    async fn next(&mut self) -> Result<Option<Frame>, ListenEnd> {
        loop {
            let message = match timeout_at(self.ping_at, self.socket.next()).await {
                Ok(message) => message.map_err(ListenEnd::Lost)?,
                Err(_) => {
                    self.ping_at = kit::within(self.ping_every);
                    self.send(&Frame::ping(self.service)).await?;
                    continue;
                }
            };
            match message {
                Message::Binary(bytes) => return Ok(Frame::decode(&bytes)),
                Message::Text(_) => {}
                Message::Closed { .. } => return Err(ListenEnd::Closed),
            }
        }
    }

    async fn send(&mut self, frame: &Frame) -> Result<(), ListenEnd> {
        self.socket.send(Message::Binary(frame.encode().into())).await.map_err(ListenEnd::Lost)
    }

    /// Follows the settings that an answer to a ping brings.
    fn control(&mut self, frame: &Frame) {
        let settings: Option<Value> = frame.payload.as_ref().and_then(|payload| serde_json::from_slice(payload).ok());
        if let Some(seconds) = settings.and_then(|settings| settings["PingInterval"].as_u64()) {
            self.ping_every = ping_every(seconds);
            self.ping_at = self.ping_at.min(kit::within(self.ping_every));
        }
    }

    /// The whole payload of an event, when its last part is there.
    fn whole(&mut self, frame: &mut Frame) -> Option<Vec<u8>> {
        let payload = frame.payload.take().unwrap_or_default();
        let count = frame.header("sum").parse().unwrap_or(1_usize);
        if count <= 1 {
            return Some(payload);
        }
        let id = frame.header("message_id").to_owned();
        let place: usize = frame.header("seq").parse().ok()?;
        let now = kit::within(Duration::ZERO);
        self.parts.retain(|_, parts| now.duration_since(parts.since) < KEEP_PARTS);
        if count > MAX_PARTS || self.parts.len() >= MAX_IN_PARTS && !self.parts.contains_key(&id) {
            return None;
        }
        let parts = &mut self.parts.entry(id.clone()).or_insert_with(|| Parts { since: now, payloads: vec![None; count] }).payloads;
        if parts.iter().flatten().map(Vec::len).sum::<usize>() + payload.len() > MAX_EVENT {
            return None;
        }
        *parts.get_mut(place)? = Some(payload);
        if parts.iter().any(Option::is_none) {
            return None;
        }
        self.parts.remove(&id).map(|parts| parts.payloads.into_iter().flatten().flatten().collect())
    }
}

fn ping_every(seconds: u64) -> Duration {
    Duration::from_secs(seconds).clamp(PING.0, PING.1)
}

#[async_trait]
impl Listener for App {
    async fn listen(&self, cx: &ListenContext) -> ListenEnd {
        let (mut connection, mut first) = match self.open().await {
            Ok((connection, first)) => (connection, Some(first)),
            Err(end) => return end,
        };
        cx.connected.send_replace(true);
        let mut pressing: FuturesUnordered<BoxFuture<'_, Frame>> = FuturesUnordered::new();
        let end = loop {
            let came = match first.take() {
                Some(frame) => Ok(Some(frame)),
                None => tokio::select! {
                    came = connection.next() => came,
                    Some(answer) = pressing.next(), if !pressing.is_empty() => {
                        match connection.send(&answer).await {
                            Ok(()) => continue,
                            Err(end) => Err(end),
                        }
                    }
                },
            };
            match came {
                Ok(Some(frame)) if frame.method == CONTROL => connection.control(&frame),
                Ok(Some(mut frame)) if frame.method == DATA => {
                    if let Some(payload) = connection.whole(&mut frame) {
                        pressing.push(answered(frame, payload, cx).boxed());
                    }
                }
                Ok(_) => {}
                Err(end) => break end,
            }
        };
        cx.connected.send_replace(false);
        // What was pressed before the end is stored, though nobody can be shown that any more.
        let _ = timeout_at(kit::within(LAST_PRESS), async { while pressing.next().await.is_some() {} }).await;
        end
    }
}

/// The answer to an event: the same frame, with the toast of a press, once it is stored.
async fn answered(mut frame: Frame, payload: Vec<u8>, cx: &ListenContext) -> Frame {
    let begun = kit::within(Duration::ZERO);
    let answer = match serde_json::from_slice::<Value>(&payload) {
        Err(_) => json!({ "code": 500, "headers": {} }),
        Ok(event) => match press::press(event) {
            None => json!({ "code": 200, "headers": {} }),
            Some(press) => {
                let toast = press::toast(&cx.presses.press(press).await);
                json!({ "code": 200, "headers": {}, "data": STANDARD.encode(toast.to_string()) })
            }
        },
    };
    frame.headers.push(("biz_rt".into(), begun.elapsed().as_millis().to_string()));
    frame.payload = Some(answer.to_string().into_bytes());
    frame
}

impl App {
    /// The address of one connection.
    pub(super) async fn endpoint(&self, deadline: Instant) -> Result<Endpoint, SendError> {
        let ask = json!({ "AppID": self.id, "AppSecret": self.secret.expose() });
        let call = self.http.post_json(kit::join(&self.base, "/callback/ws/endpoint"), &ask).idempotent().header("locale", "zh").secret(&self.secret);
        let reply = call.send(deadline).await?;
        answer::endpoint(&reply, reply.date().unwrap_or_default())
    }

    /// A connection over which a frame came: the platform greets nobody, but answers a ping.
    async fn open(&self) -> Result<(Connection, Frame), ListenEnd> {
        let deadline = kit::within(OPEN);
        let endpoint = self.endpoint(deadline).await.map_err(ListenEnd::Lost)?;
        let mut call = self.http.websocket(endpoint.url.expose());
        for secret in kit::address_secrets(&endpoint.url) {
            call = call.secret(&secret);
        }
        let socket = match call.upgrade(deadline).await.map_err(ListenEnd::Lost)? {
            Upgrade::Refused(reply) => match answer::handshake(&reply) {
                Some(error) => return Err(ListenEnd::Lost(error)),
                None => Upgrade::Refused(reply).socket(Default::default()),
            },
            open => open.socket(Default::default()),
        };
        let socket = socket.map_err(ListenEnd::Lost)?;
        let ping_every = ping_every(endpoint.ping_every);
        let mut connection =
            Connection { socket, service: endpoint.service, ping_every, ping_at: kit::within(Duration::ZERO), parts: HashMap::new() };
        loop {
            let came = timeout_at(deadline, connection.next()).await.map_err(|_| {
                let summary = "Feishu opened the connection and answered no ping";
                ListenEnd::Lost(SendError::new(ErrorKind::Transient, summary).code("silent"))
            })?;
            if let Some(frame) = came? {
                return Ok((connection, frame));
            }
        }
    }
}
