//! Presses over Stream mode: a WebSocket for which the application asks, so that no public address is needed. Several connections of an application
//! share its presses. <https://open.dingtalk.com/document/orgapp/stream>, frames as in <https://github.com/open-dingtalk/dingtalk-stream-sdk-go>

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::body;
use crate::channel::dingtalk_app::{self, App};
use crate::channel::kit::{self, Frame, Socket};
use crate::channel::{ListenContext, ListenEnd, Listener, Press, PressAnswer, Presser};
use crate::model::{ErrorKind, PlatformIds, Secret, SendError};

/// What presses are subscribed to as.
const TOPIC: &str = "/v1.0/card/instances/callback";
/// Opening takes this long at most.
const OPENED_WITHIN: Duration = Duration::from_secs(10);

/// An application whose buttons are pressed, for all its channels.
#[derive(Default)]
pub(super) struct Stream {
    pub members: kit::Members<Member>,
}

/// A channel, and to whose organisation it belongs.
pub(super) struct Member {
    pub app: App,
    pub corp_id: String,
}

/// Where the socket is.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Ticket {
    endpoint: String,
    ticket: String,
}

/// A frame of the server.
#[derive(Deserialize)]
struct Incoming {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    headers: Headers,
    /// JSON in a string.
    #[serde(default)]
    data: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Headers {
    topic: String,
    message_id: String,
}

/// What a press says. <https://open.dingtalk.com/document/orgapp/event-callback-card>
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Pressed {
    corp_id: String,
    user_id: String,
    out_track_id: Option<String>,
    /// JSON in a string.
    content: String,
}

/// What is to be done about a frame.
enum Does {
    /// This answer, and nothing else.
    Answer(Value),
    /// This answer, then the end.
    Leave(Value),
    /// A press, which the message with this id reports.
    Press(String, Press),
}

/// Asks for a ticket; with the server's time.
pub(super) async fn ticket(app: &App, deadline: Instant) -> Result<(Ticket, Timestamp), SendError> {
    let ask = json!({
        "clientId": app.key,
        "clientSecret": app.secret.expose(),
        "subscriptions": [{ "type": "CALLBACK", "topic": TOPIC }],
        "ua": concat!("watchfire/", env!("CARGO_PKG_VERSION")),
    });
    let call = app.http.post(app.url("/v1.0/gateway/connections/open")).body("application/json", ask.to_string()).idempotent();
    let reply = call.header("accept", "application/json").send(deadline).await?;
    let now = reply.date().unwrap_or_default();
    let opened: Ticket = kit::parse(&reply, now)?;
    if !reply.is_success() {
        return Err(dingtalk_app::refusal(&[], &reply.json().unwrap_or_default(), &reply, now));
    }
    if opened.endpoint.is_empty() || opened.ticket.is_empty() {
        return Err(kit::unclear(&reply));
    }
    if app.base.starts_with("https://") && !opened.endpoint.starts_with("wss://") {
        return Err(SendError::new(ErrorKind::Transient, "the endpoint of the stream is not encrypted").code("endpoint"));
    }
    Ok((opened, now))
}

impl Stream {
    /// A new socket: a ticket opens one.
    async fn open(&self, app: &App) -> Result<Socket, SendError> {
        let deadline = kit::within(OPENED_WITHIN);
        let (opened, now) = ticket(app, deadline).await?;
        app.http.websocket(opened.endpoint).query_secret("ticket", &Secret::new(opened.ticket)).upgrade(deadline).await?.socket(now)
    }

    async fn read(&self, socket: &mut Socket, cx: &ListenContext) -> Result<(), SendError> {
        loop {
            let text = match socket.next().await? {
                Frame::Text(text) => text,
                Frame::Binary(_) => continue,
                Frame::Closed { .. } => return Ok(()),
            };
            match self.meaning(&text) {
                Some(Does::Answer(answer)) => socket.send(Frame::Text(answer.to_string())).await?,
                // Closing first would make the server say it again, to the next socket.
                Some(Does::Leave(answer)) => return socket.send(Frame::Text(answer.to_string())).await,
                Some(Does::Press(id, press)) => {
                    // It is stored before it is answered; what is not answered comes again.
                    let user = press.by.id.clone();
                    let answer = cx.presses.press(press).await;
                    socket.send(Frame::Text(answered(&id, 200, &shown(&user, &answer)).to_string())).await?;
                }
                None => tracing::debug!("a frame of DingTalk's stream was not understood"),
            }
        }
    }

    fn meaning(&self, text: &str) -> Option<Does> {
        let Incoming { kind, headers, data } = serde_json::from_str(text).ok()?;
        let same = |code| answered_with(&headers.message_id, code, &data);
        match (kind.as_str(), headers.topic.as_str()) {
            ("SYSTEM", "disconnect") => Some(Does::Leave(same(200))),
            ("SYSTEM", _) => Some(Does::Answer(same(200))),
            ("CALLBACK", TOPIC) => match self.press(&headers.message_id, &data) {
                Some(press) => Some(Does::Press(headers.message_id, press)),
                // Asked again it would be no better.
                None => Some(Does::Answer(answered(&headers.message_id, 200, &json!({ "response": {} })))),
            },
            _ => Some(Does::Answer(answered(&headers.message_id, 404, &json!({})))),
        }
    }

    fn press(&self, id: &str, data: &str) -> Option<Press> {
        let pressed: Pressed = serde_json::from_str(data).ok()?;
        let content: Value = serde_json::from_str(&pressed.content).ok()?;
        let value = body::value(content.pointer("/cardPrivateData/actionIds/0")?.as_str()?).to_owned();
        // Who has no id there is no member.
        let foreign = pressed.user_id.is_empty() || !self.members.any(|member| member.corp_id == pressed.corp_id);
        // Its name is in the organisation's directory only.
        let by = Presser { id: pressed.user_id, name: String::new(), foreign };
        (!id.is_empty()).then(|| Press { event_id: id.to_owned(), value, message: PlatformIds::one(body::ID, pressed.out_track_id), by })
    }
}

#[async_trait]
impl Listener for Stream {
    async fn listen(&self, cx: &ListenContext) -> ListenEnd {
        let Some(member) = self.members.last() else { return ListenEnd::Closed };
        let opened = self.open(&member.app).await;
        // Who listens keeps no channel that a reload removed.
        drop(member);
        let mut socket = match opened {
            Ok(socket) => socket,
            Err(error) => return ListenEnd::Lost(error),
        };
        // The gateway took the ticket, which opens one socket.
        cx.connected.send_replace(true);
        let end = self.read(&mut socket, cx).await;
        cx.connected.send_replace(false);
        match end {
            Ok(()) => {
                socket.close().await;
                ListenEnd::Closed
            }
            Err(error) => ListenEnd::Lost(error),
        }
    }
}

/// What the card says below its text, to everybody who sees it, until its next edit: a card has nothing that only one person sees.
fn shown(user: &str, answer: &PressAnswer) -> Value {
    let options = json!({ "updateCardDataByKey": true });
    json!({ "response": { "cardUpdateOptions": options, "cardData": { "cardParamMap": body::tips(&format!("{user}: {}", answer.text)) } } })
}

fn answered(id: &str, code: u16, data: &Value) -> Value {
    answered_with(id, code, &data.to_string())
}

/// A frame that answers the one with this id. Its data are JSON in a string.
fn answered_with(id: &str, code: u16, data: &str) -> Value {
    let message = if code == 200 { "OK" } else { "not implemented" };
    json!({ "code": code, "headers": { "contentType": "application/json", "messageId": id }, "message": message, "data": data })
}
