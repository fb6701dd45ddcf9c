//! One connection of a robot: frames of JSON, each with an id, answered under the same one.
//! <https://developer.work.weixin.qq.com/document/path/101463>, frames as in the vendor's SDK (`@wecom/aibot-node-sdk` of npm).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::answer;
use super::robot::{Incoming, Robot, request_id, unanswered};
use crate::channel::kit::{self, Frame, Socket, Upgrade};
use crate::model::{ErrorKind, SendError};

/// Opening and subscribing take this long at most.
pub(super) const OPENED_WITHIN: Duration = Duration::from_secs(15);

/// An open connection, whose robot is known to the server.
pub(super) struct Connection {
    socket: Socket,
}

impl Connection {
    /// Opens one, which ends any other of the robot. `now` is for a wait that the server asks for, where it is known.
    pub async fn open(robot: &Robot, now: Option<Timestamp>, deadline: Instant) -> Result<Self, SendError> {
        let upgrade = robot.http.websocket(robot.base.clone()).upgrade(deadline).await?;
        let date = if let Upgrade::Refused(reply) = &upgrade { reply.date() } else { None };
        let mut connection = Self { socket: upgrade.socket(now.or(date).unwrap_or_default())? };
        let secret = json!({ "bot_id": robot.id, "secret": robot.secret.expose() });
        let silent =
            |_| SendError::new(ErrorKind::Transient, "WeCom opened a connection and did not answer the robot's id and secret").code("no answer");
        let answered = connection.ask("aibot_subscribe", &secret, deadline).await.map_err(silent)?;
        answer::subscribed(&answered, robot)?;
        Ok(connection)
    }

    /// The next frame; `None`: the server ended the connection.
    pub async fn next(&mut self) -> Result<Option<Incoming>, SendError> {
        loop {
            match self.socket.next().await? {
                Frame::Text(text) => match serde_json::from_str(&text) {
                    Ok(frame) => return Ok(Some(frame)),
                    Err(_) => tracing::debug!("a frame of WeCom's robot was not understood"),
                },
                Frame::Binary(_) => {}
                Frame::Closed { .. } => return Ok(None),
            }
        }
    }

    /// Writes a frame under this id.
    pub async fn write(&mut self, cmd: &str, id: &str, body: Option<&Value>) -> Result<(), SendError> {
        let mut frame = json!({ "cmd": cmd, "headers": { "req_id": id } });
        if let Some(body) = body {
            frame["body"] = body.clone();
        }
        self.socket.send(Frame::Text(frame.to_string())).await
    }

    /// Writes a frame and waits for its answer; other frames are left out, for nobody listens. An answer that does not come is `Ambiguous`.
    pub async fn ask(&mut self, cmd: &str, body: &Value, deadline: Instant) -> Result<Incoming, SendError> {
        let id = request_id(cmd);
        self.write(cmd, &id, Some(body)).await?;
        loop {
            match timeout_at(deadline, self.next()).await {
                Ok(Ok(Some(frame))) if frame.headers.req_id == id => return Ok(frame),
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) => return Err(unanswered("WeCom closed the connection before it answered")),
                Ok(Err(error)) => return Err(unanswered(&error.summary)),
                Err(_) => return Err(unanswered("WeCom did not answer in time")),
            }
        }
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.socket.close().await;
    }
}

/// How often a robot is asked for a sign (the SDK: every 30 s). With two that are missed, a connection that is half open is known within 90 s.
const PING_EVERY: Duration = Duration::from_secs(25);
/// Pings without an answer after which a connection is dead.
pub(super) const MISSED_PINGS: u32 = 2;

/// When the next ping is due.
pub(super) fn next_ping() -> Instant {
    kit::within(PING_EVERY)
}
