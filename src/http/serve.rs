//! Serves connections within limits. A client that sends nothing, or a byte at a time, is closed; the number of connections is bounded, so that files and
//! sockets remain for deliveries. At the bound the connection that has been idle longest is closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::add_extension::AddExtension;

use super::connections::{ConnectionLimiter, ConnectionPermit};
use super::tls_listener::{Protocol, Stream, TlsListener};

/// How long a client may take to send its first byte.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(8);
/// How long a client may take to send a request head, and how long a connection may be idle between requests. Senders reconnect when an idle
/// connection is closed.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(60);
/// An HTTP/2 connection that is silent for this long is pinged, and closed without an answer after as long again.
const HTTP2_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Of four connections one address has at most three: all senders may be behind one proxy, but nobody keeps all others out.
const SHARE_PER_ADDRESS: (usize, usize) = (3, 4);
/// Of so many connections that may be open, one more may wait for its place.
const CONNECTIONS_PER_WAITING: usize = 4;
/// Maximum number of connections that wait for a place.
const MAX_WAITING: usize = 256;

/// Serves until `stopped`, then accepts nothing more and finishes requests in flight. When dropped, open connections are closed after their current
/// request. At most `connections` are open at a time.
pub async fn serve(listener: &mut TlsListener, router: Router, stopped: CancellationToken, connections: usize) {
    serve_within(listener, router, stopped, HEADER_READ_TIMEOUT, connections).await;
}

async fn serve_within(listener: &mut TlsListener, router: Router, stopped: CancellationToken, head: Duration, most: usize) {
    let in_flight = GracefulShutdown::new();
    let waiting = Arc::new(Semaphore::new((most / CONNECTIONS_PER_WAITING).clamp(1, MAX_WAITING)));
    let limiter = ConnectionLimiter::new(most, (most * SHARE_PER_ADDRESS.0 / SHARE_PER_ADDRESS.1).max(1));
    loop {
        // A place to wait in is taken before a connection is accepted: the others wait in the system's queue, where they take no file of ours.
        let next = async {
            let place = waiting.clone().acquire_owned().await;
            (listener.accept().await, place)
        };
        let ((stream, peer), place) = tokio::select! {
            biased;
            () = stopped.cancelled() => break,
            next = next => next,
        };
        let (limiter, router, watcher, stopped) = (limiter.clone(), router.clone(), in_flight.watcher(), stopped.clone());
        tokio::spawn(async move {
            let permit = tokio::select! {
                () = stopped.cancelled() => return,
                permit = limiter.acquire(peer.ip().to_canonical()) => permit,
            };
            drop(place);
            match permit {
                Some(permit) => one(stream, peer, router, head, watcher, stopped, permit).await,
                None => tracing::debug!(%peer, "a connection was refused: its address has three quarters of all, and each of them is at a request"),
            }
        });
    }
    in_flight.shutdown().await;
}

async fn one(
    stream: Stream,
    peer: SocketAddr,
    router: Router,
    head: Duration,
    watcher: Watcher,
    stopped: CancellationToken,
    permit: ConnectionPermit,
) {
    let evicted = permit.connection.evicted.clone();
    let spoken = tokio::select! {
        () = stopped.cancelled() => return,
        () = evicted.cancelled() => return,
        spoken = tokio::time::timeout(head.min(FIRST_BYTE_TIMEOUT), stream.protocol()) => spoken,
    };
    let Ok(Ok(protocol)) = spoken else {
        tracing::debug!(%peer, "a connection was closed before a request came");
        return;
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(head);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HTTP2_KEEP_ALIVE).keep_alive_timeout(HTTP2_KEEP_ALIVE);
    let builder = match protocol {
        Protocol::One => builder.http1_only(),
        Protocol::Two => builder.http2_only(),
    };
    let service = AddExtension::new(AddExtension::new(router, ConnectInfo(peer)), permit.connection.clone());
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let served = tokio::select! {
        served = watcher.watch(connection.into_owned()) => served,
        () = evicted.cancelled() => {
            tracing::debug!(%peer, "an idle connection was closed for another");
            return;
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn open(head: Duration, most: usize) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = CancellationToken::new();
        let stop = stopped.clone();
        let whoami = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
        let slow = |axum::Extension(connection): axum::Extension<Arc<super::super::connections::Connection>>| async move {
            let _busy = connection.begin_request();
            tokio::time::sleep(Duration::from_secs(2)).await;
            "slow"
        };
        let router = Router::new().route("/", get(whoami)).route("/slow", get(slow));
        let server = tokio::spawn(async move {
            let mut tls = TlsListener::new(listener, Arc::default(), CancellationToken::new(), most).unwrap();
            serve_within(&mut tls, router, stop, head, most).await;
        });
        (address, stopped, server)
    }

    async fn say(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn heard(stream: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    const REQUEST: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    #[tokio::test]
    async fn who_says_nothing_or_not_enough_is_let_go_of() {
        let (address, _stopped, _server) = open(Duration::from_millis(300), 10).await;
        let begun = tokio::time::Instant::now();
        for words in ["", "P", "PRI * HTT", "POST / HTTP/1.1\r\nhost: x\r\n"] {
            let mut stream = say(address, words).await;
            let said = tokio::time::timeout(Duration::from_secs(5), heard(&mut stream)).await;
            assert!(said.as_ref().is_ok_and(|said| !said.contains(" 200 ")), "{words:?}: {said:?}");
        }
        // One that asked, and then idles; and one that sends a byte at a time.
        let mut stream = say(address, REQUEST).await;
        let said = heard(&mut stream).await;
        assert!(said.contains(" 200 ") && said.contains(&stream.local_addr().unwrap().to_string()), "{said}");
        let mut slow = say(address, "POST ").await;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if slow.write_all(b"x").await.is_err() {
                break;
            }
        }
        assert!(!heard(&mut slow).await.contains(" 200 "));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    const SLOW: &str = "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";

    #[tokio::test]
    async fn whoever_is_idle_longest_leaves_for_who_asks() {
        let (address, stopped, server) = open(Duration::from_secs(60), 4).await;
        let mut stands = say(address, "").await;
        let mut idle = Vec::new();
        for _ in 0..40 {
            idle.push(say(address, "").await);
        }
        let mut asks = say(address, REQUEST).await;
        let mut byte = [0];
        assert_eq!(tokio::time::timeout(Duration::from_secs(5), asks.read(&mut byte)).await.unwrap().unwrap(), 1, "it is served at once");
        let answer = tokio::time::timeout(Duration::from_secs(5), heard(&mut stands)).await;
        assert_eq!(answer.unwrap(), "", "the oldest left");
        stopped.cancel();
        tokio::time::timeout(Duration::from_secs(5), server).await.expect("those that idle are closed").unwrap();
    }

    #[tokio::test]
    async fn who_is_at_a_request_is_not_let_go_of() {
        let (address, _stopped, _server) = open(Duration::from_secs(60), 4).await;
        let mut slow = say(address, SLOW).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut others = Vec::new();
        for _ in 0..20 {
            others.push(say(address, "").await);
        }
        let mut text = [0; 15];
        tokio::time::timeout(Duration::from_secs(10), slow.read_exact(&mut text)).await.unwrap().unwrap();
        assert_eq!(&text, b"HTTP/1.1 200 OK");
    }
}
