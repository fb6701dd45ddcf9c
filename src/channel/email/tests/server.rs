//! A scripted SMTP server: it behaves unless the script says what to do at a turn, and it remembers everything.

use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// When the server does TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Never,
    Starttls,
    Implicit,
}

/// What to do instead of the usual.
pub enum Act {
    /// Answer this.
    Say(&'static str),
    /// Answer these bytes and nothing more, line end and all.
    Bytes(&'static [u8]),
    /// Answer as usual, after this long.
    Late(std::time::Duration),
    /// Close the connection.
    Drop,
    /// Say nothing any more.
    Stall,
}

/// A point in a session: `banner ehlo helo starttls auth mail rcpt data dot noop rset`, the command's argument, and counters from 1.
pub struct Turn<'a> {
    pub stage: &'a str,
    pub arg: &'a str,
    pub connection: usize,
    pub mail: usize,
}

/// One mail as it came.
#[derive(Clone, Debug)]
pub struct Got {
    pub from: String,
    pub to: String,
    pub data: String,
    pub tls: bool,
    pub user: String,
}

#[derive(Default)]
pub struct Log {
    pub connections: usize,
    pub open: usize,
    pub max_open: usize,
    pub quits: usize,
    pub mails: Vec<Got>,
    pub commands: Vec<String>,
}

type Script = Arc<dyn Fn(&Turn<'_>) -> Option<Act> + Send + Sync>;

pub struct Fake {
    pub port: u16,
    pub stalled: Arc<Notify>,
    log: Arc<Mutex<Log>>,
}

/// The authority's certificate in PEM, and a server configuration for `localhost` signed by it.
pub fn authority() -> &'static (String, Arc<ServerConfig>) {
    static ONCE: OnceLock<(String, Arc<ServerConfig>)> = OnceLock::new();
    ONCE.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "Test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        (ca.pem(), Arc::new(config))
    })
}

impl Fake {
    pub async fn start(tls: Tls, script: impl Fn(&Turn<'_>) -> Option<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Log::default()));
        let stalled = Arc::new(Notify::new());
        let fake = Self { port, stalled: stalled.clone(), log: log.clone() };
        let script: Script = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tcp.set_nodelay(true).unwrap();
                let number = {
                    let mut log = log.lock().unwrap();
                    log.connections += 1;
                    log.open += 1;
                    log.max_open = log.max_open.max(log.open);
                    log.connections
                };
                let peer =
                    Peer { log: log.clone(), stalled: stalled.clone(), script: script.clone(), number, mail: 0, user: String::new(), left: false };
                tokio::spawn(peer.serve(tcp, tls));
            }
        });
        fake
    }

    /// A server that always behaves.
    pub async fn kind(tls: Tls) -> Self {
        Self::start(tls, |_| None).await
    }

    pub fn log<T>(&self, read: impl FnOnce(&Log) -> T) -> T {
        read(&self.log.lock().unwrap())
    }

    pub fn mails(&self) -> Vec<Got> {
        self.log(|log| log.mails.clone())
    }
}

struct Peer {
    log: Arc<Mutex<Log>>,
    stalled: Arc<Notify>,
    script: Script,
    number: usize,
    mail: usize,
    user: String,
    left: bool,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Peer {
    fn leave(&mut self) {
        if !std::mem::replace(&mut self.left, true) {
            self.log.lock().unwrap().open -= 1;
        }
    }

    async fn serve(mut self, tcp: TcpStream, tls: Tls) {
        let acceptor = TlsAcceptor::from(authority().1.clone());
        if tls == Tls::Implicit {
            if let Ok(stream) = acceptor.accept(tcp).await {
                self.session(&mut BufReader::new(stream), false, true, true).await;
            }
            return;
        }
        let mut plain = BufReader::new(tcp);
        if self.session(&mut plain, tls == Tls::Starttls, false, true).await == Some(())
            && let Ok(stream) = acceptor.accept(plain.into_inner()).await
        {
            self.session(&mut BufReader::new(stream), false, true, false).await;
        }
    }

    /// Speaks until the end; `Some` when the client asked for TLS.
    async fn session<S: AsyncRead + AsyncWrite + Unpin>(&mut self, io: &mut BufReader<S>, starttls: bool, tls: bool, greet: bool) -> Option<()> {
        if greet {
            self.say(io, "banner", "", "220 fake.example ESMTP").await?;
        }
        let (mut from, mut to) = (String::new(), String::new());
        loop {
            let line = read(io).await?;
            self.log.lock().unwrap().commands.push(line.clone());
            let (verb, arg) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    let offer = if starttls {
                        "250-fake.example\r\n250-STARTTLS\r\n250 8BITMIME"
                    } else {
                        "250-fake.example\r\n250-AUTH LOGIN PLAIN\r\n250 8BITMIME"
                    };
                    self.say(io, "ehlo", arg, offer).await?;
                }
                "HELO" => drop(self.say(io, "helo", arg, "250 fake.example").await?),
                "STARTTLS" => {
                    if self.say(io, "starttls", "", "220 go ahead").await?.starts_with("220") {
                        return Some(());
                    }
                }
                "AUTH" => self.auth(io, arg).await?,
                "MAIL" => {
                    self.mail += 1;
                    arg.clone_into(&mut from);
                    self.say(io, "mail", arg, "250 2.1.0 Ok").await?;
                }
                "RCPT" => {
                    arg.clone_into(&mut to);
                    self.say(io, "rcpt", arg, "250 2.1.5 Ok").await?;
                }
                "DATA" => {
                    if !self.say(io, "data", "", "354 End data with <CR><LF>.<CR><LF>").await?.starts_with('3') {
                        continue;
                    }
                    let mut data = String::new();
                    loop {
                        let line = read(io).await?;
                        match line.strip_prefix('.') {
                            Some("") => break,
                            Some(stuffed) => data.push_str(stuffed),
                            None => data.push_str(&line),
                        }
                        data.push_str("\r\n");
                    }
                    if self.say(io, "dot", "", "250 2.0.0 Ok: queued as 4XYZ").await?.starts_with("250") {
                        let got = Got { from: from.clone(), to: to.clone(), data, tls, user: self.user.clone() };
                        self.log.lock().unwrap().mails.push(got);
                    }
                }
                "NOOP" => drop(self.say(io, "noop", "", "250 2.0.0 Ok").await?),
                "RSET" => drop(self.say(io, "rset", "", "250 2.0.0 Ok").await?),
                "QUIT" => {
                    self.log.lock().unwrap().quits += 1;
                    self.leave();
                    let _ = io.write_all(b"221 2.0.0 Bye\r\n").await;
                    let _ = io.flush().await;
                    return None;
                }
                _ => drop(self.say(io, "other", arg, "500 5.5.2 unknown command").await?),
            }
        }
    }

    async fn auth<S: AsyncRead + AsyncWrite + Unpin>(&mut self, io: &mut BufReader<S>, arg: &str) -> Option<()> {
        let words: Vec<&str> = arg.split(' ').collect();
        match words[..] {
            ["PLAIN", initial] => self.user = decode(initial),
            ["PLAIN"] => {
                ask(io, "334 ").await?;
                self.user = decode(&read(io).await?);
            }
            ["LOGIN"] => {
                ask(io, "334 VXNlcm5hbWU6").await?;
                let user = decode(&read(io).await?);
                ask(io, "334 UGFzc3dvcmQ6").await?;
                self.user = format!("\0{user}\0{}", decode(&read(io).await?));
            }
            ["CRAM-MD5"] => {
                ask(io, "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+").await?;
                self.user = decode(&read(io).await?);
            }
            ["XOAUTH2", initial] => {
                self.user = decode(initial);
                ask(io, "334 eyJzdGF0dXMiOiI0MDEifQ==").await?;
                assert_eq!(read(io).await?, "");
            }
            _ => {}
        }
        self.say(io, "auth", arg, "235 2.7.0 Ok").await.map(drop)
    }

    /// Answers as the script says, else as usual; `None` ends the session.
    async fn say<S: AsyncRead + AsyncWrite + Unpin>(&mut self, io: &mut BufReader<S>, stage: &str, arg: &str, usual: &str) -> Option<String> {
        let answer = match (self.script)(&Turn { stage, arg, connection: self.number, mail: self.mail }) {
            None => usual.to_owned(),
            Some(Act::Say(text)) => text.to_owned(),
            Some(Act::Bytes(bytes)) => {
                io.write_all(bytes).await.ok()?;
                io.flush().await.ok()?;
                return Some(String::from_utf8_lossy(bytes).into_owned());
            }
            Some(Act::Late(time)) => {
                self.stalled.notify_one();
                tokio::time::sleep(time).await;
                usual.to_owned()
            }
            Some(Act::Drop) => return None,
            Some(Act::Stall) => {
                self.stalled.notify_one();
                return std::future::pending().await;
            }
        };
        io.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        io.flush().await.ok()?;
        Some(answer)
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(io: &mut BufReader<S>, line: &str) -> Option<()> {
    io.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
    io.flush().await.ok()
}

async fn read<S: AsyncRead + Unpin>(io: &mut BufReader<S>) -> Option<String> {
    let mut line = Vec::new();
    if io.read_until(b'\n', &mut line).await.ok()? == 0 {
        return None;
    }
    let line = String::from_utf8(line).expect("the wire carries UTF-8 only");
    Some(line.strip_suffix("\r\n").expect("every line ends in CRLF").to_owned())
}

fn decode(text: &str) -> String {
    String::from_utf8(STANDARD.decode(text).unwrap_or_default()).unwrap_or_default()
}
