//! TCP/TLS listener with certificate reload and hand-over of a systemd socket.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// How long a caller may take for its part of the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(8);
/// Connections that are accepted before anybody asks for them. What is not accepted waits in the system's queue, where it takes none of our files.
const READY: usize = 1;

/// How HTTP/2 begins, and nothing else; clients send it at once.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0";

/// The TLS configuration for new connections; empty: plain TCP. Swapped on reload; open connections keep theirs.
pub type Certificates = Arc<ArcSwapOption<ServerConfig>>;

/// A listener that can stop accepting without closing the socket, so that waiting connections reach the next process.
pub struct TlsListener {
    ready: mpsc::Receiver<(Stream, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    /// Takes connections from `listener` until `closed`. One handshake more than `handshakes` aborts the oldest.
    pub fn new(listener: TcpListener, certificates: Certificates, closed: CancellationToken, handshakes: usize) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (ready, taken) = mpsc::channel(READY);
        tokio::spawn(accept_loop(listener, certificates, closed, ready, handshakes));
        Ok(Self { ready: taken, address })
    }
}

async fn accept_loop(
    mut listener: TcpListener,
    certificates: Certificates,
    closed: CancellationToken,
    ready: mpsc::Sender<(Stream, SocketAddr)>,
    max_handshakes: usize,
) {
    let mut handshakes: VecDeque<CancellationToken> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = closed.cancelled() => break,
            () = ready.closed() => return,
            // Errors of accepting (too many files open) are waited out in there.
            accepted = axum::serve::Listener::accept(&mut listener) => accepted,
        };
        let (stream, peer) = accepted;
        let _ = stream.set_nodelay(true);
        let Some(config) = certificates.load_full() else {
            if ready.send((Stream::Plain(stream), peer)).await.is_err() {
                return;
            }
            continue;
        };
        // Those that have ended say so by themselves.
        handshakes.retain(|one| !one.is_cancelled());
        if handshakes.len() >= max_handshakes
            && let Some(oldest) = handshakes.pop_front()
        {
            oldest.cancel();
        }
        let abandoned = CancellationToken::new();
        handshakes.push_back(abandoned.clone());
        let ready = ready.clone();
        tokio::spawn(async move {
            let _ended = abandoned.clone().drop_guard();
            let handshake = tokio::select! {
                handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(config).accept(stream)) => handshake,
                () = abandoned.cancelled() => return,
            };
            match handshake {
                // One that waits for a place holds a file as well, so it is aborted in its turn, too.
                Ok(Ok(stream)) => tokio::select! {
                    _ = ready.send((Stream::Tls(Box::new(stream)), peer)) => (),
                    () = abandoned.cancelled() => (),
                },
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "a TLS handshake took longer than 8 s"),
            }
        });
    }
    // The listening socket stays open, so that nobody is refused before the next process takes over.
    ready.closed().await;
}

impl axum::serve::Listener for TlsListener {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        match self.ready.recv().await {
            Some(taken) => taken,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// A connection.
pub enum Stream {
    /// As it is.
    Plain(TcpStream),
    /// Secured.
    Tls(Box<TlsStream<TcpStream>>),
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

impl Stream {
    /// What the caller speaks: as agreed on in the handshake, else as its first bytes say. Waits for them and takes none.
    pub async fn protocol(&self) -> io::Result<Protocol> {
        match self {
            Stream::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => Ok(Protocol::Two),
            Stream::Tls(_) => Ok(Protocol::One),
            Stream::Plain(stream) => {
                let mut first = [0; HTTP2_PREFACE.len()];
                match stream.peek(&mut first).await? {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => Ok(if first == *HTTP2_PREFACE { Protocol::Two } else { Protocol::One }),
                }
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
