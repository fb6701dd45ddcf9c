//! Reading bodies within bounds: of one, of all that are being read, and of those whose callers nobody knows yet.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{App, HttpError};

/// How long the body of a caller that is known may take to arrive, and how long one waits for room.
const KNOWN_TIME: Duration = Duration::from_secs(30);
/// The same before its caller is known.
const UNKNOWN_TIME: Duration = Duration::from_secs(10);
/// Bytes of each body that need no room: every sender's ordinary bodies come in, however many large ones are read.
const FREE: usize = 64 << 10;
/// Bytes of all bodies being read or worked on, without the free ones of each: a body of the usual largest size fits eight times.
const KNOWN: usize = 64 << 20;
/// The same of callers that are not known yet.
const UNKNOWN: usize = 16 << 20;
/// Room is taken in steps of this size.
const STEP: usize = 64 << 10;

/// Room for the bodies that are being read.
#[derive(Debug)]
pub(super) struct Rooms {
    known: Arc<Semaphore>,
    unknown: Arc<Semaphore>,
}

impl Default for Rooms {
    fn default() -> Self {
        let room = |bytes: usize| Arc::new(Semaphore::new(bytes / STEP));
        Self { known: room(KNOWN), unknown: room(UNKNOWN) }
    }
}

/// Whose body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// A caller that was admitted.
    Known,
    /// One whose signature is checked when all of it is there.
    Unknown,
}

/// A body, and the room that it takes.
#[derive(Debug)]
pub(crate) struct Held {
    /// What was sent.
    pub(super) bytes: Bytes,
    room: Option<OwnedSemaphorePermit>,
}

/// The room of a body whose bytes went elsewhere, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Room(#[allow(dead_code)] Option<OwnedSemaphorePermit>);

impl Held {
    pub(super) fn into_parts(self) -> (Bytes, Room) {
        (self.bytes, Room(self.room))
    }
}

/// Refuses a body that says itself that it is too large. One that is compressed says so only when it is read.
pub(super) fn check_length(app: &App, headers: &HeaderMap, max: usize) -> Result<(), HttpError> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse::<u64>().ok());
    match length {
        Some(length) if length > max as u64 => Err(too_large(app, max)),
        _ => Ok(()),
    }
}

fn too_large(app: &App, max: usize) -> HttpError {
    app.engine.shared.metrics.received("any", "too_large");
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {max} bytes (server.max_body)"))
}

/// Reads a body of at most `max` bytes; `each` sees its pieces as they come.
pub(super) async fn read(app: &App, body: Body, max: usize, whose: Whose, each: impl FnMut(&[u8])) -> Result<Held, HttpError> {
    let time = if whose == Whose::Known { KNOWN_TIME } else { UNKNOWN_TIME };
    match tokio::time::timeout(time, take(app, body, max, whose, each)).await {
        Ok(read) => read,
        Err(_) => Err(HttpError::new(StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {} s", time.as_secs()))),
    }
}

async fn take(app: &App, mut body: Body, max: usize, whose: Whose, mut each: impl FnMut(&[u8])) -> Result<Held, HttpError> {
    let mut first: Option<Bytes> = None;
    let mut all: Vec<u8> = Vec::new();
    let mut room: Option<OwnedSemaphorePermit> = None;
    let mut taken = FREE;
    // All of the room at once, where it is told: two bodies that each hold half of it would wait for each other.
    if whose == Whose::Known
        && let Some(exact) = body.size_hint().exact()
    {
        if exact > max as u64 {
            return Err(too_large(app, max));
        }
        let steps = usize::try_from(exact).unwrap_or(max).saturating_sub(FREE).div_ceil(STEP);
        if steps > 0 {
            room = Some(make_room(app, whose, steps).await?);
            taken += steps * STEP;
        }
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreadable(&error))?;
        let Ok(piece) = frame.into_data() else { continue };
        let length = first.as_ref().map_or(all.len(), Bytes::len) + piece.len();
        if length > max {
            return Err(too_large(app, max));
        }
        if length > taken {
            let steps = (length - taken).div_ceil(STEP);
            let more = make_room(app, whose, steps).await?;
            taken += steps * STEP;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
        }
        each(&piece);
        // Most bodies come in one piece.
        match first.take() {
            None if all.is_empty() => first = Some(piece),
            None => all.extend_from_slice(&piece),
            Some(before) => {
                all.reserve(before.len() + piece.len());
                all.extend_from_slice(&before);
                all.extend_from_slice(&piece);
            }
        }
    }
    Ok(Held { bytes: first.unwrap_or_else(|| Bytes::from(all)), room })
}

/// Room for more of a body. Who is known waits for it, as long as a body may take; who is not is told to come again.
async fn make_room(app: &App, whose: Whose, steps: usize) -> Result<OwnedSemaphorePermit, HttpError> {
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    let full = || {
        app.engine.shared.metrics.received("any", "unavailable");
        HttpError::unavailable("too many large bodies are being read; try again")
    };
    match whose {
        Whose::Known => {
            // A body larger than all the room there is takes all of it.
            let most = u32::try_from(KNOWN / STEP).unwrap_or(u32::MAX);
            app.rooms.known.clone().acquire_many_owned(steps.min(most)).await.map_err(|_| full())
        }
        Whose::Unknown => app.rooms.unknown.clone().try_acquire_many_owned(steps).map_err(|_| full()),
    }
}

fn unreadable(error: &axum::Error) -> HttpError {
    HttpError::bad_request(format!("the body could not be read: {error}"))
}
