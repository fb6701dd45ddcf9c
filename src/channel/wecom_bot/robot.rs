//! A robot, and the frames that its server sends. Pure.

use serde::Deserialize;
use serde_json::Value;

use crate::channel::kit;
use crate::model::{ErrorKind, Secret, SendError};

/// A robot, and the way to it.
pub(super) struct Robot {
    pub base: String,
    pub http: kit::Http,
    pub id: String,
    pub secret: Secret,
}

/// A frame of the server.
#[derive(Debug, Deserialize)]
pub(super) struct Incoming {
    /// What it is; answers have none.
    #[serde(default)]
    pub cmd: String,
    #[serde(default)]
    pub headers: Headers,
    #[serde(default)]
    pub body: Value,
    #[serde(default)]
    pub errcode: i64,
    #[serde(default)]
    pub errmsg: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Headers {
    #[serde(default)]
    pub req_id: String,
}

/// An id of a frame of ours, as the SDK makes them.
pub(super) fn request_id(cmd: &str) -> String {
    format!("{cmd}_{}", uuid::Uuid::new_v4().simple())
}

/// It was written, and nobody knows what became of it.
pub(super) fn unanswered(why: &str) -> SendError {
    SendError::new(ErrorKind::Ambiguous, format!("{why}; the message may have been sent")).code("no answer")
}
