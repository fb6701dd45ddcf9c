//! The socket against real servers: opened through proxies and TLS, refused, silent, broken.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::channel::kit::test_server::{Answer, ScriptedServer, context};
use crate::channel::kit::tests::{client, client_with, soon};
use crate::channel::kit::{SsrfGuard, install_crypto};

const TICKET: &str = "ticket-S3CRET";

/// Reads the head of a request.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(stream.read_u8().await.expect("a whole head"));
    }
    String::from_utf8(seen).unwrap()
}

fn value(head: &str, name: &str) -> String {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {head}")).split_once(':').unwrap().1.trim().to_owned()
}

/// The example of RFC 6455 1.3.
#[test]
fn the_accept_key_is_the_standards() {
    assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/// Answers an upgrade as RFC 6455 says.
async fn accept<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> (WebSocketStream<S>, String) {
    let head = head(&mut stream).await;
    assert_eq!((value(&head, "upgrade"), value(&head, "sec-websocket-version")), ("websocket".into(), "13".into()));
    let accept = accept_key(&value(&head, "sec-websocket-key"));
    let answer = format!("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    (WebSocketStream::from_raw_socket(stream, Role::Server, None).await, head)
}

async fn listening() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/link?ticket={TICKET}", listener.local_addr().unwrap());
    (listener, url)
}

async fn open(http: &Http, url: &str) -> Result<Socket, SendError> {
    http.websocket(url).secret(&Secret::new(TICKET)).upgrade(soon()).await?.socket(context().now)
}

/// A socket, and the server's side of it.
async fn pair() -> (Socket, WebSocketStream<TcpStream>) {
    let (listener, url) = listening().await;
    let http = client();
    let server = async { accept(listener.accept().await.unwrap().0).await.0 };
    let (socket, server) = tokio::join!(open(&http, &url), server);
    (socket.unwrap(), server)
}

/// Sends to and fro what a platform would.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut server: WebSocketStream<S>) {
    while let Some(Ok(message)) = server.next().await {
        if message.is_text() || message.is_binary() {
            server.send(message).await.unwrap();
        }
    }
}

async fn echoes(mut socket: Socket) {
    for frame in [Frame::Text("磁盘".into()), Frame::Binary(Bytes::from_static(b"\0\xff"))] {
        socket.send(frame.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap(), frame);
    }
    socket.close().await;
}

#[tokio::test]
async fn text_and_bytes_go_both_ways_and_pings_are_answered() {
    let (mut socket, mut server) = pair().await;
    server.send(Message::Ping(Bytes::from_static(b"7"))).await.unwrap();
    server.send(Message::Text("hello".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap(), Frame::Text("hello".into()));
    socket.send(Frame::Text("ack".into())).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"7")));
    assert_eq!(server.next().await.unwrap().unwrap(), Message::Text("ack".into()));
    server.send(Message::Close(Some(CloseFrame { code: 4001.into(), reason: format!("go, {TICKET}").into() }))).await.unwrap();
    assert_eq!(socket.next().await.unwrap(), Frame::Closed { code: Some(4001), reason: "go, <secret>".into() });
    let (socket, server) = pair().await;
    tokio::join!(echoes(socket), echo(server));
}

#[tokio::test]
async fn a_refused_upgrade_says_what_came_instead_and_no_secret() {
    let body = format!("{{\"error\":\"no such ticket {TICKET}\"}}");
    let rows = [(403, ErrorKind::Misconfigured), (200, ErrorKind::Transient), (503, ErrorKind::Transient), (426, ErrorKind::Rejected)];
    let server = ScriptedServer::start(rows.map(|(status, _)| Answer::new(status, body.clone()).header("handshake-msg", "why"))).await;
    let url = format!("{}/link?ticket={TICKET}", server.base.replace("http", "ws"));
    for (status, kind) in rows {
        let error = open(&client(), &url).await.map(|_| ()).unwrap_err();
        assert_eq!((error.kind, error.code.as_deref()), (kind, Some(format!("HTTP {status}").as_str())), "{error}");
        assert!(error.detail.as_ref().unwrap().contains("no such ticket <secret>"), "{error:?}");
        assert!(error.summary.contains("WebSocket") && !format!("{error:?}").contains(TICKET), "{error:?}");
    }
    let server = ScriptedServer::start([Answer::new(401, "").header("handshake-msg", "why")]).await;
    let Upgrade::Refused(reply) = client().websocket(&server.base).upgrade(soon()).await.unwrap() else { panic!("a socket from a plain server") };
    assert_eq!((reply.status(), reply.header("handshake-msg")), (401, Some("why")));
}

#[tokio::test]
async fn an_accept_key_that_is_not_ours_opens_nothing() {
    for accept in ["", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"] {
        let (listener, url) = listening().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            let answer = format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n{accept}\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        });
        let error = open(&client(), &url).await.map(|_| ()).unwrap_err();
        assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Transient, Some("accept")), "{error}");
    }
}

#[tokio::test]
async fn a_peer_that_vanished_is_noticed_and_one_that_answers_pings_is_not_given_up() {
    let (mut socket, server) = pair().await;
    tokio::time::pause();
    let begun = Instant::now();
    let error = socket.next().await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Transient, Some("silent")), "{error}");
    assert!((Duration::from_secs(75)..Duration::from_secs(90)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    drop(server);
    tokio::time::resume();

    let (mut socket, mut server) = pair().await;
    // What waits for a frame is answered each time by the pong of the other side, which reads.
    for _ in 0..5 {
        socket.ping_at = Instant::now();
        let (waited, seen) = tokio::join!(timeout(Duration::from_millis(300), socket.next()), timeout(Duration::from_millis(300), server.next()));
        assert!(waited.is_err() && matches!(seen, Ok(Some(Ok(Message::Ping(_))))), "{waited:?} {seen:?}");
        let _ = timeout(Duration::from_millis(50), server.next()).await;
        let before = socket.dead_at;
        let _ = timeout(Duration::from_millis(300), socket.next()).await;
        assert!(socket.dead_at > before, "a pong is a sign of life");
    }
}

#[tokio::test]
async fn a_broken_connection_and_a_huge_message_are_lost_connections() {
    let (mut socket, server) = pair().await;
    drop(server);
    let error = socket.next().await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Transient, Some("io")), "{error}");

    let (mut socket, mut server) = pair().await;
    let sent = tokio::spawn(async move {
        server.send(Message::Text("x".repeat(MAX_FRAME).into())).await.unwrap();
        let _ = server.send(Message::Text("x".repeat(MAX_FRAME + 1).into())).await;
        server
    });
    assert!(matches!(socket.next().await, Ok(Frame::Text(text)) if text.len() == MAX_FRAME));
    let error = socket.next().await.unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Transient, Some("frame")), "{error}");
    sent.abort();

    let (mut socket, mut server) = pair().await;
    server.get_mut().write_all(b"\xff\x05not a frame at all").await.unwrap();
    assert_eq!(socket.next().await.unwrap_err().code.as_deref(), Some("frame"));
}

#[tokio::test]
async fn a_closed_port_is_transient_and_the_ticket_does_not_show() {
    let (listener, url) = listening().await;
    drop(listener);
    let error = open(&client(), &url).await.map(|_| ()).unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Transient, Some("connect")));
    assert!(!format!("{error:?}").contains(TICKET), "{error:?}");
}

#[tokio::test]
async fn the_address_guard_holds_for_sockets() {
    let (_listener, url) = listening().await;
    let clients = crate::channel::kit::HttpClients::default();
    let guarded = |allow: &[String]| {
        let cx = crate::channel::BuildContext {
            channel: "c",
            timeout: Duration::from_secs(10),
            proxy: None,
            secrets: &crate::channel::kit::test_server::Literals,
            http: &clients,
            presets: &Default::default(),
        };
        crate::channel::kit::guarded(&cx, "x", None, Some(&SsrfGuard::new(allow).unwrap())).unwrap()
    };
    let error = open(&guarded(&[]), &url.replace("127.0.0.1", "localhost")).await.map(|_| ()).unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Misconfigured, Some("address")), "{error}");
}

/// A proxy that notes what it is asked for and connects it to a server, whatever the name.
async fn proxy(to: std::net::SocketAddr, asked: Arc<Mutex<Vec<String>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://me:Pr0xyPass@{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let head = head(&mut client).await;
            asked.lock().unwrap().push(head.lines().next().unwrap().to_owned());
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    address
}

#[tokio::test]
async fn a_socket_goes_through_the_channels_proxy_and_trusts_its_authority_and_never_speaks_http2() {
    let made = rcgen::generate_simple_self_signed(["wss.slack.test".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    install_crypto();
    let mut config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            assert_ne!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "HTTP/2 has no such upgrade");
            let (server, head) = accept(stream).await;
            assert_eq!(value(&head, "authorization"), "Bearer xapp-1");
            tokio::spawn(echo(server));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, made.cert.pem()).unwrap();
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let proxy = proxy(address, asked.clone()).await;
    let url = format!("wss://wss.slack.test/link?ticket={TICKET}");
    let call = |http: &Http| http.websocket(&url).bearer(&Secret::new("xapp-1")).secret(&Secret::new(TICKET)).upgrade(soon());

    let trusting = client_with(Some(&proxy), Some(&ca_file)).unwrap();
    echoes(call(&trusting).await.unwrap().socket(context().now).unwrap()).await;
    let error = call(&client_with(Some(&proxy), None).unwrap()).await.map(|_| ()).unwrap_err();
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Misconfigured, Some("tls")), "{error}");
    assert_eq!(*asked.lock().unwrap(), ["CONNECT wss.slack.test:443 HTTP/1.1"; 2]);
}
