//! Reading bodies within bounds: of one, of all that are being read, and of those whose callers nobody knows yet.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{App, HttpError};

/// How long the body of a caller that is known may take to arrive, and how long one waits for room.
const AUTHENTICATED_TIMEOUT: Duration = Duration::from_secs(30);
/// The same before its caller is known.
const UNAUTHENTICATED_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of each body that need no room: every sender's ordinary bodies come in, however many large ones are read.
pub(super) const UNCOUNTED_BYTES: usize = 64 << 10;
/// Bytes of all bodies being read or worked on, without the free ones of each: a body of the usual largest size fits eight times.
const AUTHENTICATED_BYTES: usize = 64 << 20;
/// The same of callers that are not known yet.
const UNAUTHENTICATED_BYTES: usize = 16 << 20;
/// Room is reserved in steps of this size.
const PERMIT_BYTES: usize = 64 << 10;

/// Room for the bodies that are being read.
#[derive(Debug)]
pub(super) struct BodyBudget {
    known: Arc<Semaphore>,
    unknown: Arc<Semaphore>,
}

impl Default for BodyBudget {
    fn default() -> Self {
        let room = |bytes: usize| Arc::new(Semaphore::new(bytes / PERMIT_BYTES));
        Self { known: room(AUTHENTICATED_BYTES), unknown: room(UNAUTHENTICATED_BYTES) }
    }
}

/// Whose body it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodySource {
    /// A caller that was admitted.
    Authenticated,
    /// One whose signature is checked when all of it is there.
    Unauthenticated,
}

/// A body, and the room that it takes.
#[derive(Debug)]
pub(crate) struct BufferedBody {
    /// What was sent.
    pub(super) bytes: Bytes,
    room: Option<OwnedSemaphorePermit>,
}

/// The room of a body whose bytes went elsewhere, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct BodyPermit(#[allow(dead_code)] Option<OwnedSemaphorePermit>);

impl BufferedBody {
    pub(super) fn into_parts(self) -> (Bytes, BodyPermit) {
        (self.bytes, BodyPermit(self.room))
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
    app.engine.metrics().received("any", "too_large");
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {max} bytes (server.max_body)"))
}

/// Reads a body of at most `max` bytes; `each` sees its pieces as they come.
pub(super) async fn read(app: &App, body: Body, max: usize, source: BodySource, each: impl FnMut(&[u8])) -> Result<BufferedBody, HttpError> {
    let time = if source == BodySource::Authenticated { AUTHENTICATED_TIMEOUT } else { UNAUTHENTICATED_TIMEOUT };
    match tokio::time::timeout(time, read_frames(app, body, max, source, each)).await {
        Ok(read) => read,
        Err(_) => Err(HttpError::new(StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {} s", time.as_secs()))),
    }
}

async fn read_frames(app: &App, mut body: Body, max: usize, source: BodySource, mut each: impl FnMut(&[u8])) -> Result<BufferedBody, HttpError> {
    let mut first: Option<Bytes> = None;
    let mut all: Vec<u8> = Vec::new();
    let mut room: Option<OwnedSemaphorePermit> = None;
    let mut taken = UNCOUNTED_BYTES;
    // All of the room at once, where the length is known: two bodies that each hold half of it would wait for each other.
    if source == BodySource::Authenticated
        && let Some(exact) = body.size_hint().exact()
    {
        if exact > max as u64 {
            return Err(too_large(app, max));
        }
        let steps = usize::try_from(exact).unwrap_or(max).saturating_sub(UNCOUNTED_BYTES).div_ceil(PERMIT_BYTES);
        if steps > 0 {
            room = Some(reserve(app, source, steps).await?);
            taken += steps * PERMIT_BYTES;
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
            let steps = (length - taken).div_ceil(PERMIT_BYTES);
            let more = reserve(app, source, steps).await?;
            taken += steps * PERMIT_BYTES;
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
    Ok(BufferedBody { bytes: first.unwrap_or_else(|| Bytes::from(all)), room })
}

/// Room for more of a body. An authenticated caller waits for it, as long as a body may take; any other is asked to come again.
async fn reserve(app: &App, source: BodySource, steps: usize) -> Result<OwnedSemaphorePermit, HttpError> {
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    let full = || {
        app.engine.metrics().received("any", "unavailable");
        HttpError::unavailable("too many large bodies are being read; try again")
    };
    match source {
        BodySource::Authenticated => {
            // A body larger than all the room there is takes all of it.
            let most = u32::try_from(AUTHENTICATED_BYTES / PERMIT_BYTES).unwrap_or(u32::MAX);
            app.body_budget.known.clone().acquire_many_owned(steps.min(most)).await.map_err(|_| full())
        }
        BodySource::Unauthenticated => app.body_budget.unknown.clone().try_acquire_many_owned(steps).map_err(|_| full()),
    }
}

fn unreadable(error: &axum::Error) -> HttpError {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    // What inflates a body says so by these; a connection that breaks has others.
    let is_garbled = |kind| matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput);
    let is_not_inflated = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|cause| is_garbled(cause.kind()));
    let help = if is_not_inflated { "; it is not compressed as its Content-Encoding says: compress it so, or leave the header out" } else { "" };
    HttpError::bad_request(format!("the body could not be read: {error}{help}"))
}
