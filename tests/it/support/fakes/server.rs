//! The server around a fake platform: an axum server on 127.0.0.1 whose connections can be closed, reset or
//! starved at will, and whose listener can go away and come back on the same port.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use axum::serve::{IncomingStream, Listener};
use futures_util::stream::{self, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::call::{Answer, Call, Verdict, form_pairs};
use super::clock::Clock;
use super::fault::{Fault, Faults};
use super::rate::{Limiter, Pace};
use super::recorder::Recorder;
use super::socket::{self, Heard, Line};
use super::transcript::Transcript;

const MAX_BODY: usize = 64 << 20;

/// A platform's behaviour: one request in, one answer out. No socket, no clock but `call.now`.
pub trait Platform: Send + 'static {
    /// The platform's name in `/_recorded`.
    fn name(&self) -> &'static str;
    /// Answers one request.
    fn answer(&mut self, call: &Call) -> Answer;
    /// A WebSocket is asked for: `Err` refuses it; else the platform keeps the line, over which it speaks.
    fn open(&mut self, _call: &Call, _line: Line) -> Result<(), Box<Answer>> {
        Err(Answer::text(404, "no WebSocket is served here").into())
    }
    /// Something came over the line with this number, or it ended.
    fn heard(&mut self, _line: u64, _heard: &Heard) {}
    /// Whether a fault that a request for a WebSocket meets is to happen to the first message over it, which has this number.
    fn meets(&mut self, _line: u64, _fault: &Fault) -> bool {
        false
    }
    /// The body of a message that came over the line and was accepted, with what is recorded of it.
    fn taken(&mut self, _line: u64) -> Option<(String, Answer)> {
        None
    }
    /// Everything that limits the pace, to scale it or turn it off at once.
    fn limiters(&mut self) -> Vec<&mut Limiter> {
        Vec::new()
    }
    /// What people see of its messages, where they can be edited or answered.
    fn transcript(&mut self) -> Option<&mut Transcript> {
        None
    }
}

/// Bounds what a platform remembers of its messages: a test of millions must not fill the memory.
pub fn forget_when_full<K, V>(memory: &mut HashMap<K, V>) {
    if memory.len() >= 200_000 {
        memory.clear();
    }
}

/// A fake platform that listens. Clones are views onto one.
pub struct Fake<P> {
    inner: Arc<Inner<P>>,
    /// What arrived.
    pub rec: Recorder,
    /// What goes wrong.
    pub faults: Faults,
    /// Its clock.
    pub clock: Clock,
}

impl<P> Clone for Fake<P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), rec: self.rec.clone(), faults: self.faults.clone(), clock: self.clock.clone() }
    }
}

struct Inner<P> {
    addr: SocketAddr,
    platform: Mutex<P>,
    calls: AtomicU64,
    life: Mutex<Option<CancellationToken>>,
}

impl<P: Platform> Fake<P> {
    /// Starts on a free port.
    pub async fn start(platform: P) -> Self {
        Self::start_on(platform, 0).await.expect("a free port on 127.0.0.1")
    }

    /// Starts on this port (0: any).
    pub async fn start_on(platform: P, port: u16) -> io::Result<Self> {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        let addr = listener.local_addr()?;
        let inner = Arc::new(Inner { addr, platform: Mutex::new(platform), calls: AtomicU64::new(0), life: Mutex::new(None) });
        let fake = Self { inner, rec: Recorder::default(), faults: Faults::default(), clock: Clock::system() };
        fake.serve(listener);
        Ok(fake)
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.inner.addr)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.inner.addr
    }

    /// Looks at or changes the platform.
    pub fn with<R>(&self, f: impl FnOnce(&mut P) -> R) -> R {
        f(&mut self.inner.platform.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Turns off all pace.
    pub fn unpaced(&self) {
        self.with(|p| p.limiters().into_iter().for_each(|l| l.set(Pace::Off)));
    }

    /// Makes all pace `factor` times faster: counts stay, windows and penalties shrink.
    pub fn pace_faster(&self, factor: f64) {
        self.with(|p| p.limiters().into_iter().for_each(|l| l.set(l.pace().faster(factor))));
    }

    /// Closes the listener and every connection: connecting is refused.
    pub fn down(&self) {
        if let Some(life) = self.inner.life.lock().unwrap_or_else(PoisonError::into_inner).take() {
            life.cancel();
        }
    }

    /// Listens again on the same port; nothing happens when it is up.
    pub async fn up(&self) -> io::Result<()> {
        if self.inner.life.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        // The old listener is dropped by its own task a moment after `down`.
        for _ in 0..200 {
            if let Ok(listener) = bind(self.inner.addr).await {
                self.serve(listener);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{} did not become free", self.inner.addr)))
    }

    fn serve(&self, listener: TcpListener) {
        let life = CancellationToken::new();
        *self.inner.life.lock().unwrap_or_else(PoisonError::into_inner) = Some(life.clone());
        let app = Router::new().fallback(handle::<P>).with_state(self.clone());
        let app = app.into_make_service_with_connect_info::<Conn>();
        let ears = Ears { listener, life: life.clone() };
        tokio::spawn(async move {
            tokio::select! {
                _ = axum::serve(ears, app) => {}
                () = life.cancelled() => {}
            }
        });
    }
}

/// A listening socket whose port can be taken again at once.
pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(1024)
}

async fn handle<P: Platform>(State(fake): State<Fake<P>>, ConnectInfo(conn): ConnectInfo<Conn>, req: Request) -> Response<Body> {
    let now = fake.clock.now();
    let mut under_way = fake.rec.enter();
    let (parts, body) = req.into_parts();
    let kept = parts.clone();
    let body = axum::body::to_bytes(body, MAX_BODY).await;
    let raw_query = parts.uri.query().unwrap_or("").to_owned();
    let mut call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: form_pairs(&raw_query),
        raw_query,
        headers: parts.headers.iter().map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect(),
        body: Bytes::new(),
        peer: conn.peer.ip(),
        now,
        number: fake.inner.calls.fetch_add(1, Ordering::SeqCst),
    };
    match body {
        Ok(bytes) => call.body = bytes,
        Err(_) => {
            let answer = Answer::text(400, "the request was cut short").refused("incomplete");
            fake.rec.push(&call, &answer, 400, None);
            return respond(&answer);
        }
    }
    if socket::is_wanted(&call) {
        return socket::open(&fake, &conn, &call, Request::from_parts(kept, Body::empty())).await;
    }
    // From here to the record nothing is awaited, except where an answer is held: a client that leaves cannot make an accepted message go unrecorded.
    let fault = fake.faults.next(&call.path).filter(|f| *f != Fault::Pass);
    let answer = match &fault {
        Some(f) if !f.handles() => f.answer().verdict(Verdict::Faulted),
        _ => loop {
            let answer = fake.with(|p| p.answer(&call));
            if !answer.held {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            call.now = fake.clock.now();
        },
    };
    let status = if fault.as_ref().is_none_or(Fault::answers) { answer.status } else { 0 };
    fake.rec.push(&call, &answer, status, fault.as_ref().map(|f| format!("{f:?}")));
    under_way.took(&answer);
    under_way.answered(match fault {
        Some(fault) => play(&fake, &conn, &fault, answer).await,
        None => respond(&answer),
    })
}

pub(super) async fn play<P: Platform>(fake: &Fake<P>, conn: &Conn, fault: &Fault, mut answer: Answer) -> Response<Body> {
    match fault {
        Fault::Delay(time) => tokio::time::sleep(*time).await,
        Fault::CloseBefore | Fault::CloseAfter => return conn.end(false).await,
        Fault::Reset | Fault::ResetAfter => return conn.end(true).await,
        Fault::Hang | Fault::HangAfter => return std::future::pending().await,
        Fault::Down(time) => {
            fake.down();
            let (fake, time) = (fake.clone(), *time);
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                fake.up().await
            });
            return std::future::pending().await;
        }
        Fault::Drip(every) => {
            let (every, bytes) = (*every, std::mem::take(&mut answer.body));
            let drip = stream::iter(bytes).then(move |b| async move {
                tokio::time::sleep(every).await;
                Ok::<_, io::Error>(Bytes::from(vec![b]))
            });
            return respond(&answer).map(|_| Body::from_stream(drip));
        }
        Fault::Truncate => answer.body.truncate(answer.body.len() / 2),
        Fault::Cut => {
            let whole = answer.body.len();
            answer.body.truncate(whole / 2);
            let half = Bytes::from(std::mem::take(&mut answer.body));
            // The pause lets the first half leave before the error tears the connection down.
            let end = stream::once(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(io::Error::other("cut"))
            });
            let parts = stream::once(async move { Ok(half) }).chain(end);
            let mut response = respond(&answer).map(|_| Body::from_stream(parts));
            response.headers_mut().insert("content-length", HeaderValue::from(whole));
            return response;
        }
        Fault::Huge(bytes) => {
            let head = Bytes::from(std::mem::take(&mut answer.body));
            let chunk = Bytes::from(vec![b' '; 65_536]);
            let padding = stream::repeat(chunk).take(bytes.div_ceil(65_536));
            let all = stream::once(async move { head }).chain(padding).map(Ok::<_, io::Error>);
            return respond(&answer).map(|_| Body::from_stream(all));
        }
        Fault::WrongType => "application/octet-stream".clone_into(&mut answer.content_type),
        Fault::Pass | Fault::Html(_) | Fault::Status(..) | Fault::Reply(..) | Fault::Headed(..) => {}
    }
    respond(&answer)
}

pub(super) fn respond(answer: &Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body.clone()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&answer.content_type) {
        headers.insert("content-type", value);
    }
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    response
}

/// A handle onto one connection.
#[derive(Debug, Clone)]
pub struct Conn {
    peer: SocketAddr,
    reset: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Conn {
    /// Ends the connection; the request's future is dropped with it.
    async fn end(&self, reset: bool) -> Response<Body> {
        self.reset.store(reset, Ordering::SeqCst);
        self.token.cancel();
        std::future::pending().await
    }
}

impl Connected<IncomingStream<'_, Ears>> for Conn {
    fn connect_info(stream: IncomingStream<'_, Ears>) -> Self {
        stream.remote_addr().clone()
    }
}

struct Ears {
    listener: TcpListener,
    life: CancellationToken,
}

impl Ears {
    fn conn(&self, peer: SocketAddr) -> Conn {
        Conn { peer, reset: Arc::new(AtomicBool::new(false)), token: self.life.child_token() }
    }
}

impl Listener for Ears {
    type Io = Wire;
    type Addr = Conn;

    async fn accept(&mut self) -> (Wire, Conn) {
        loop {
            if let Ok((stream, peer)) = self.listener.accept().await {
                let conn = self.conn(peer);
                return (Wire::new(stream, &conn.token, conn.reset.clone()), conn);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn local_addr(&self) -> io::Result<Conn> {
        Ok(self.conn(self.listener.local_addr()?))
    }
}

/// A TCP stream that can be ended from outside.
pub struct Wire {
    stream: TcpStream,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    reset: Arc<AtomicBool>,
}

impl Wire {
    /// Wraps a connection: it ends when `token` is cancelled, with a TCP reset if `reset` is set by then.
    pub fn new(stream: TcpStream, token: &CancellationToken, reset: Arc<AtomicBool>) -> Self {
        let _ = stream.set_nodelay(true);
        Self { stream, ended: Box::pin(token.clone().cancelled_owned()), reset }
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.ended.as_mut().poll(cx).is_ready() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.reset.load(Ordering::SeqCst) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_ended(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_ended(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
