//! What is left of a body when its request is answered. A connection that is closed while its caller still sends is reset, and the caller may never see
//! the answer (RFC 9112, section 9.6); so the rest is read and thrown away, within bounds, while the answer is on its way.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

/// How long the rest is read.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of it that are read: eight bodies of the usual largest size. They take no memory.
const MAX_LINGER_BYTES: usize = 64 << 20;

/// A body whose rest is read when nobody wants it any more.
struct Lingering {
    inner: Body,
    /// Whether more of it may come by itself: a client that waits for `100 Continue` sends nothing until it is asked to.
    comes: bool,
    ended: bool,
}

/// The request with a body whose rest is read when it is dropped.
pub(super) fn lingering(request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let comes = !request.headers().contains_key(header::EXPECT);
    request.map(|inner| Body::new(Lingering { inner, comes, ended: false }))
}

impl http_body::Body for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.comes = true;
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        self.ended |= matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if self.ended || !self.comes || self.inner.is_end_stream() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let rest = std::mem::take(&mut self.inner);
            runtime.spawn(tokio::time::timeout(LINGER_TIMEOUT, drain(rest)));
        }
    }
}

async fn drain(mut rest: Body) {
    let mut read = 0;
    while let Some(Ok(frame)) = rest.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MAX_LINGER_BYTES {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::post;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A server that refuses everything unread, or after a piece of it.
    async fn refusing() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let begun = |mut body: Body| async move {
            let _ = body.frame().await;
            StatusCode::PAYLOAD_TOO_LARGE
        };
        let router = Router::new().route("/", post(|| async { StatusCode::FORBIDDEN })).route("/begun", post(begun));
        let router = router.layer(axum::middleware::map_request(|request: Request| async { lingering(request) }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    async fn head(stream: &mut TcpStream) -> String {
        let mut said = vec![0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut said)).await.unwrap().unwrap();
        String::from_utf8_lossy(&said[..read]).into_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_refusal_reaches_who_sends_all_before_reading() {
        let address = refusing().await;
        let body = vec![b'x'; 4 << 20];
        for (path, status) in [("/", "403"), ("/begun", "413")] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Twice on one connection, which is as good as new when the rest was read.
            for _ in 0..2 {
                let begin = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(begin.as_bytes()).await.unwrap();
                stream.write_all(&body).await.unwrap();
                let said = head(&mut stream).await;
                assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
            }
            let begin = format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
            stream.write_all(begin.as_bytes()).await.unwrap();
            for _ in 0..64 {
                stream.write_all(b"10000\r\n").await.unwrap();
                stream.write_all(&body[..1 << 16]).await.unwrap();
                stream.write_all(b"\r\n").await.unwrap();
            }
            stream.write_all(b"0\r\n\r\n").await.unwrap();
            let said = head(&mut stream).await;
            assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{said}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_waits_to_be_asked_is_refused_without_being_asked() {
        let mut stream = TcpStream::connect(refusing().await).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
        let mut said = Vec::new();
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut said)).await.unwrap().unwrap();
        assert!(said.starts_with(b"HTTP/1.1 403"), "{}", String::from_utf8_lossy(&said));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_rest_of_an_endless_body_is_not_read_for_ever() {
        let mut stream = TcpStream::connect(refusing().await).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000000\r\n\r\n").await.unwrap();
        let piece = vec![b'x'; 1 << 20];
        let mut sent = 0;
        while stream.write_all(&piece).await.is_ok() {
            sent += piece.len();
            assert!(sent < 4 * MAX_LINGER_BYTES, "it reads on and on");
        }
    }
}
