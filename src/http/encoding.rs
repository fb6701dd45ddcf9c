//! How a body says that it is compressed, and what becomes of one that says so and is not, or is and does not say so.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_http::decompression::RequestDecompressionLayer;

use super::body::{self, BodySource, BufferedBody};
use super::{App, HttpError};

/// How long the first piece of a body is waited for: nobody knows its caller yet. What comes later is read as its header says, within the body's own time.
const FIRST_PIECE: Duration = Duration::from_secs(2);

/// Codings of content (<https://www.iana.org/assignments/http-parameters/http-parameters.xhtml#content-coding>),
/// and what senders call by a name of their own.
const CODINGS: [&str; 18] = [
    "gzip",
    "x-gzip",
    "deflate",
    "identity",
    "br",
    "zstd",
    "compress",
    "x-compress",
    "dcb",
    "dcz",
    "aes128gcm",
    "exi",
    "pack200-gzip",
    "snappy",
    "zlib",
    "lz4",
    "xz",
    "bzip2",
];

/// Names of encodings are read as RFC 9110 8.4.1 has them: in any case, and `x-gzip` is `gzip`. A sender that is refused for one drops its alerts. What is
/// no coding, as the charset that some write there, does not count.
pub(super) fn tidy(headers: &mut HeaderMap) {
    let Some(Ok(named)) = headers.get(header::CONTENT_ENCODING).map(HeaderValue::to_str) else { return };
    let name = named.trim().to_ascii_lowercase();
    let name = if name == "x-gzip" { "gzip" } else { &name };
    if !name.split(',').any(|part| CODINGS.contains(&part.trim())) {
        headers.remove(header::CONTENT_ENCODING);
        return;
    }
    if let Ok(name) = HeaderValue::from_str(name) {
        headers.insert(header::CONTENT_ENCODING, name);
    }
}

/// Leaves the encoding out where a body that is called compressed begins as JSON: a proxy inflated it, or its sender compresses nothing. It is read as it is.
pub(super) async fn believed(request: Request) -> Result<Request, HttpError> {
    let (mut parts, mut body) = request.into_parts();
    let is_called = parts.headers.get(header::CONTENT_ENCODING).is_some_and(|name| name != "identity");
    // Nothing under `/-/` takes alerts.
    if !is_called || parts.uri.path().starts_with("/-/") {
        return Ok(Request::from_parts(parts, body));
    }
    let Ok(first) = tokio::time::timeout(FIRST_PIECE, body.frame()).await else {
        return Ok(Request::from_parts(parts, body));
    };
    let first = first.transpose().map_err(|error| HttpError::bad_request(format!("the body could not be read: {error}")))?;
    if first.as_ref().and_then(Frame::data_ref).is_some_and(|piece| is_json(piece)) {
        let encoding = parts.headers.remove(header::CONTENT_ENCODING);
        let encoding = encoding.as_ref().and_then(|name| name.to_str().ok()).unwrap_or_default();
        tracing::warn!(encoding, path = parts.uri.path(), "a body is not compressed as its Content-Encoding says; it is read as it is");
    }
    Ok(Request::from_parts(parts, Body::new(Rejoined { first, rest: body })))
}

/// Whether a body begins as JSON. Neither gzip (RFC 1952 2.3.1: 0x1f) nor zlib (RFC 1950 2.2: the lower half of the first byte is 8) begins so.
fn is_json(piece: &[u8]) -> bool {
    matches!(piece.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Refuses a body whose encoding is still there: nothing has inflated it. Its caller was admitted, so that the log says whose alerts these may be.
pub(super) fn known(app: &App, headers: &HeaderMap, sender: &str) -> Result<(), HttpError> {
    let Some(name) = headers.get(header::CONTENT_ENCODING).filter(|name| **name != *"identity") else { return Ok(()) };
    let encoding: String = String::from_utf8_lossy(name.as_bytes()).chars().take(40).collect();
    app.engine.metrics().received("any", "malformed");
    tracing::warn!(
        encoding,
        sender,
        "a body was refused: nothing here reads its Content-Encoding; its sender must send it as it is, or with gzip or deflate"
    );
    let text = format!("the content encoding `{encoding}` is not known; send the body as it is, or with gzip or deflate");
    Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
}

/// How gzip begins, with the only method that there is (RFC 1952 2.3.1). No text in UTF-8 begins so.
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// A body that begins as gzip though no header says so, inflated within the bounds of every body; what turns out to be no gzip stays as it is. Its caller
/// was admitted: a signature is that of the bytes as they came. Of a larger one room is held, and who holds some must not wait for more.
pub(super) async fn inflated(app: &App, held: BufferedBody, max: usize) -> Result<BufferedBody, HttpError> {
    if !held.bytes.starts_with(&GZIP) || held.bytes.len() > body::UNCOUNTED_BYTES {
        return Ok(held);
    }
    let mut request = Request::new(Body::from(held.bytes.clone()));
    request.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let inflating: Router = Router::new().fallback(|request: Request| async move { request.into_body() }).layer(RequestDecompressionLayer::new());
    let body = match inflating.oneshot(request).await {
        Ok(response) => response.into_body(),
        Err(never) => match never {},
    };
    match body::read(app, body, max, BodySource::Authenticated, |_| {}).await {
        Err(error) if error.status() == StatusCode::BAD_REQUEST => Ok(held),
        read => read,
    }
}

/// A body whose first piece was read.
struct Rejoined {
    first: Option<Frame<Bytes>>,
    rest: Body,
}

impl http_body::Body for Rejoined {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.first.as_ref().and_then(Frame::data_ref).map_or(0, |piece| piece.len() as u64);
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + read);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + read);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_encodings_are_read_in_any_case() {
        for (named, read) in
            [("GZIP", "gzip"), (" x-gzip ", "gzip"), ("Deflate", "deflate"), ("br", "br"), ("identity", "identity"), ("gzip, br", "gzip, br")]
        {
            let mut headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_str(named).unwrap())]);
            tidy(&mut headers);
            assert_eq!(headers[header::CONTENT_ENCODING], read, "{named:?}");
        }
    }

    #[tokio::test]
    async fn what_is_called_compressed_and_begins_as_json_is_read_as_it_is() {
        for (encoding, body, is_left) in [
            ("gzip", &b" {\"alerts\":[]}"[..], false),
            ("deflate", b"[1]", false),
            ("gzip", b"\x1f\x8b\x08\x00", true),
            ("deflate", b"\x78\x9c\x03\x00", true),
            ("gzip", b"alert=disk", true),
            ("gzip", b"", true),
            ("br", b"{}", false),
            ("br", b"\x1b\x00", true),
            ("identity", b"{}", true),
        ] {
            let request = Request::builder().header(header::CONTENT_ENCODING, encoding).body(Body::from(body)).unwrap();
            let (parts, read) = believed(request).await.ok().unwrap().into_parts();
            assert_eq!(parts.headers.contains_key(header::CONTENT_ENCODING), is_left, "{encoding} {body:?}");
            assert_eq!(http_body::Body::size_hint(&read).exact(), Some(body.len() as u64), "{encoding} {body:?}");
            assert_eq!(read.collect().await.unwrap().to_bytes(), body, "nothing of it is lost");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_begin_is_waited_for_for_two_seconds_and_under_operations_not_at_all() {
        for (path, wait) in [("/webhook", 2001), ("/-/ready", 1)] {
            let body = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
            let request = Request::builder().uri(path).header(header::CONTENT_ENCODING, "gzip").body(body).unwrap();
            let read = tokio::time::timeout(Duration::from_millis(wait), believed(request)).await;
            let read = read.unwrap_or_else(|_| panic!("{path} waits longer")).ok().unwrap();
            assert_eq!(read.headers()[header::CONTENT_ENCODING], "gzip", "it is read as it says");
        }
    }
}
