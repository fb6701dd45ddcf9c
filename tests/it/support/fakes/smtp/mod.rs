//! An SMTP submission server that speaks the real protocol: STARTTLS or implicit TLS, AUTH PLAIN and LOGIN,
//! SIZE, 8BITMIME, PIPELINING, per-stage and per-recipient scripted replies, captured mails.
//!
//! A mail is in the recorder as a call of method `SMTP`: body = the raw mail (dots unstuffed), headers = its
//! headers, `param("mail_from")`, `param("user")`, `param("tls")`, `to` = the envelope's recipients, text = subject and texts.

pub mod mime;
mod session;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::recorder::{Record, Recorder};
use super::server::{Wire, bind};
use super::tls::TestTls;
use mime::Mail;

/// How connections are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// No TLS; `STARTTLS` is not offered.
    Plain,
    /// `STARTTLS` is offered and required before MAIL and AUTH.
    StartTls,
    /// TLS from the first byte.
    Implicit,
}

/// The server's configuration.
#[derive(Debug, Clone)]
pub struct SmtpOptions {
    /// How connections are protected.
    pub security: Security,
    /// User names and passwords; AUTH is offered and required when there are any.
    pub users: HashMap<String, String>,
    /// The mechanisms that are offered.
    pub mechanisms: &'static str,
    /// The largest mail in bytes.
    pub max_size: usize,
    /// The most recipients of one mail.
    pub max_recipients: usize,
    /// The most connections at once; one more gets 421.
    pub max_connections: usize,
    /// The mailboxes that exist; `None`: all do.
    pub mailboxes: Option<HashSet<String>>,
    /// The senders that the account may use; `None`: all.
    pub senders: Option<HashSet<String>>,
    /// Whether non-ASCII addresses are understood.
    pub smtputf8: bool,
    /// The names in the certificate.
    pub names: &'static [&'static str],
}

impl Default for SmtpOptions {
    fn default() -> Self {
        Self {
            security: Security::StartTls,
            users: HashMap::new(),
            mechanisms: "PLAIN LOGIN",
            max_size: 10 << 20,
            max_recipients: 100,
            max_connections: 1000,
            mailboxes: None,
            senders: None,
            smtputf8: true,
            names: &["localhost", "127.0.0.1"],
        }
    }
}

impl SmtpOptions {
    /// Adds an account.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.insert(name.to_owned(), password.to_owned());
        self
    }

    /// Sets the protection.
    pub fn security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }
}

/// Where in the dialogue something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Instead of the greeting.
    Connect,
    /// At EHLO or HELO.
    Ehlo,
    /// At STARTTLS.
    StartTls,
    /// At the end of AUTH.
    Auth,
    /// At MAIL FROM; the rule's address is the sender.
    Mail,
    /// At RCPT TO; the rule's address is the recipient.
    Rcpt,
    /// At DATA, before the mail.
    Data,
    /// After the mail's last dot; the rule's address is any recipient.
    Body,
    /// At NOOP (a pool's check before reuse).
    Noop,
}

/// What happens there.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// This reply: a code from 421 on, and its text.
    Reply(u16, &'static str),
    /// The connection ends without a reply.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing is ever said again.
    Hang,
    /// The proper reply comes late.
    Delay(Duration),
    /// At `Body`: the mail is taken, and the connection ends without a reply (unknown outcome).
    TakeThenClose,
    /// At `Body`: the mail is taken, and no reply ever comes.
    TakeThenHang,
}

/// One scripted event.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Where.
    pub stage: Stage,
    /// Only for this address, if given.
    pub address: Option<String>,
    /// What.
    pub act: Act,
    /// How often; `None`: always.
    pub times: Option<u32>,
}

/// A running server. Clones are views onto one.
#[derive(Clone)]
pub struct Smtp {
    pub(super) inner: Arc<Inner>,
    /// The mails, and the refused attempts.
    pub rec: Recorder,
    /// Its clock.
    pub clock: Clock,
    /// The authority and certificate.
    pub tls: TestTls,
}

pub(super) struct Inner {
    addr: SocketAddr,
    options: Mutex<SmtpOptions>,
    rules: Mutex<Vec<Rule>>,
    life: Mutex<Option<CancellationToken>>,
    connections: AtomicU64,
    open: AtomicUsize,
    queued: AtomicU64,
    dialogue: Mutex<Vec<String>>,
}

impl Smtp {
    /// Starts on a free port.
    pub async fn start(options: SmtpOptions) -> Self {
        Self::start_on(options, 0).await.expect("a free port on 127.0.0.1")
    }

    /// Starts on this port (0: any).
    pub async fn start_on(options: SmtpOptions, port: u16) -> io::Result<Self> {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        let tls = TestTls::for_names(options.names);
        let inner = Arc::new(Inner {
            addr: listener.local_addr()?,
            options: Mutex::new(options),
            rules: Mutex::default(),
            life: Mutex::default(),
            connections: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            queued: AtomicU64::new(0),
            dialogue: Mutex::default(),
        });
        let server = Self { inner, rec: Recorder::default(), clock: Clock::system(), tls };
        server.serve(listener);
        Ok(server)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.inner.addr
    }

    /// Looks at or changes the configuration.
    pub fn with<R>(&self, f: impl FnOnce(&mut SmtpOptions) -> R) -> R {
        f(&mut lock(&self.inner.options))
    }

    /// Scripts what happens at `stage`, for the next `times` (`None`: always), for one address or for all.
    pub fn script(&self, stage: Stage, address: Option<&str>, act: Act, times: Option<u32>) {
        lock(&self.inner.rules).push(Rule { stage, address: address.map(str::to_owned), act, times });
    }

    /// Scripts the next event at `stage`.
    pub fn once(&self, stage: Stage, act: Act) {
        self.script(stage, None, act, Some(1));
    }

    /// Forgets the script.
    pub fn clear_script(&self) {
        lock(&self.inner.rules).clear();
    }

    /// The mails that were taken, parsed.
    pub fn mails(&self) -> Vec<Mail> {
        self.rec.accepted().iter().map(|r: &Record| Mail::parse(&r.call.body)).collect()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> u64 {
        self.inner.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub fn open(&self) -> usize {
        self.inner.open.load(Ordering::SeqCst)
    }

    /// The last 2000 commands of all connections (`3: MAIL FROM:<...>`), without credentials.
    pub fn dialogue(&self) -> Vec<String> {
        lock(&self.inner.dialogue).clone()
    }

    /// Closes the listener and all connections.
    pub fn down(&self) {
        if let Some(life) = lock(&self.inner.life).take() {
            life.cancel();
        }
    }

    /// Listens again on the same port.
    pub async fn up(&self) -> io::Result<()> {
        if lock(&self.inner.life).is_some() {
            return Ok(());
        }
        for _ in 0..200 {
            if let Ok(listener) = bind(self.inner.addr).await {
                self.serve(listener);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "the port did not become free"))
    }

    fn serve(&self, listener: TcpListener) {
        let life = CancellationToken::new();
        *lock(&self.inner.life) = Some(life.clone());
        let server = self.clone();
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    a = listener.accept() => a,
                    () = life.cancelled() => return,
                };
                let Ok((stream, peer)) = accepted else { continue };
                let number = server.inner.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let reset = Arc::new(AtomicBool::new(false));
                let wire = Wire::new(stream, &life, reset.clone());
                let server = server.clone();
                tokio::spawn(async move {
                    server.inner.open.fetch_add(1, Ordering::SeqCst);
                    // An error here is a connection that ended; what mattered has been recorded.
                    let _ = session::run(&server, number, peer, wire, reset).await;
                    server.inner.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    }

    /// The scripted act for this moment, if any.
    pub(super) fn act(&self, stage: Stage, addresses: &[String]) -> Option<Act> {
        let mut rules = lock(&self.inner.rules);
        let fits = |r: &Rule| r.stage == stage && r.address.as_ref().is_none_or(|a| addresses.iter().any(|b| a.eq_ignore_ascii_case(b)));
        let at = rules.iter().position(fits)?;
        let act = rules[at].act.clone();
        if let Some(times) = &mut rules[at].times {
            *times -= 1;
            if *times == 0 {
                rules.remove(at);
            }
        }
        Some(act)
    }

    pub(super) fn log(&self, number: u64, line: &str) {
        let mut dialogue = lock(&self.inner.dialogue);
        if dialogue.len() >= 2000 {
            dialogue.remove(0);
        }
        dialogue.push(format!("{number}: {line}"));
    }

    pub(super) fn queue_id(&self) -> String {
        format!("{:08X}", 0x4F00_0000 + self.inner.queued.fetch_add(1, Ordering::SeqCst))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
