//! One open session, and one mail over it: MAIL, RCPT, DATA, with the stage known at every step. Knows no pool and no configuration.

use std::error::Error as _;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Noop, Quit, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailBodyParameter, MailParameter};
use lettre::transport::smtp::response::Response;
use tokio::time::{Instant, timeout};

use super::classify::{Cause, Failure, Stage};
use super::dial::step;
use super::message::Mail;
use super::tls;

/// How long a good-bye or a check of an idle session may take.
const COURTESY: Duration = Duration::from_secs(2);

/// An open, logged-in session.
pub(super) struct Session {
    conn: AsyncSmtpConnection,
    /// When it was opened.
    pub born: Instant,
    /// When it was last used.
    pub used: Instant,
    /// How many mails it was tried with.
    pub mails: u32,
}

/// The server's yes to a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    /// The reply code, 250.
    pub code: u16,
    /// What the server said with it.
    pub text: String,
}

impl Session {
    pub(super) fn new(conn: AsyncSmtpConnection) -> Self {
        let now = Instant::now();
        Self { conn, born: now, used: now, mails: 0 }
    }

    /// Sends one mail to its one recipient. `patience` holds until the server is ready for the content, `deadline` from there on: a recipient that
    /// makes the server stall can be passed over, an answer to a mail that was sent is worth waiting for. The session is good for another mail if the failure [keeps](Failure::keeps_session) it.
    pub(super) async fn transmit(&mut self, mail: &Mail, patience: Instant, deadline: Instant) -> Result<Accepted, Failure> {
        self.mails = self.mails.saturating_add(1);
        let result = self.transaction(mail, patience, deadline).await;
        self.used = Instant::now();
        match result {
            // The transaction is still open: end it, or the next MAIL FROM is refused as a nested one.
            Err(failure) if failure.keeps_session() && matches!(failure.stage, Stage::Rcpt | Stage::Data) => {
                match step(deadline, failure.stage, run(&mut self.conn, Rset)).await {
                    Ok(_) => Err(failure),
                    Err(_) => {
                        self.retire();
                        Err(failure)
                    }
                }
            }
            result => result,
        }
    }

    /// Marks it as used up, so that it is not used again.
    fn retire(&mut self) {
        self.mails = u32::MAX;
    }

    async fn transaction(&mut self, mail: &Mail, patience: Instant, deadline: Instant) -> Result<Accepted, Failure> {
        let conn = &mut self.conn;
        let mut parameters = Vec::new();
        if mail.utf8 {
            if !conn.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Failure::new(Stage::Mail, Cause::NoUtf8));
            }
            // RFC 6531, section 3.1: whoever has SMTPUTF8 has 8BITMIME.
            parameters.extend([MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)]);
        }
        let sender = MailFrom::new(Some(mail.from.clone()), parameters);
        step(patience, Stage::Mail, expect(conn, sender, 200..300)).await?;
        step(patience, Stage::Rcpt, expect(conn, Rcpt::new(mail.to.clone(), Vec::new()), 200..300)).await?;
        step(patience, Stage::Data, expect(conn, Data, 300..400)).await?;
        let dotted = AtomicBool::new(false);
        let content = Content { bytes: Some(&mail.bytes), dotted: &dotted };
        let sent = step(deadline, Stage::Data, async { conn.message_iter(content).await.map_err(|e| cause_of(&e)) }).await;
        // Without its final dot a mail is nothing; with it, the server may have taken it whatever happened then.
        let reply = sent.map_err(|f| Failure { stage: if dotted.load(Ordering::Relaxed) { Stage::End } else { Stage::Data }, ..f })?;
        let code = u16::from(reply.code());
        let text = reply.message().collect::<Vec<_>>().join(" ");
        if (200..300).contains(&code) { Ok(Accepted { code, text }) } else { Err(Failure::new(Stage::End, Cause::Reply(code, text))) }
    }

    /// Whether the server still answers.
    pub(super) async fn is_alive(&mut self, deadline: Instant) -> bool {
        let deadline = deadline.min(Instant::now() + COURTESY);
        step(deadline, Stage::Wait, run(&mut self.conn, Noop)).await.is_ok()
    }

    /// Says good-bye and closes.
    pub(super) async fn quit(mut self) {
        // Whatever it answers, or if it does not: the connection is closed.
        let _ = timeout(COURTESY, run(&mut self.conn, Quit)).await;
    }
}

/// The bytes of a mail as the library takes them; notes when it has taken all, which is just before it writes the final dot.
struct Content<'a> {
    bytes: Option<&'a [u8]>,
    dotted: &'a AtomicBool,
}

impl<'a> Iterator for Content<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let next = self.bytes.take();
        if next.is_none() {
            self.dotted.store(true, Ordering::Relaxed);
        }
        next
    }
}

async fn run(conn: &mut AsyncSmtpConnection, command: impl std::fmt::Display) -> Result<Response, Cause> {
    conn.command(command).await.map_err(|e| cause_of(&e))
}

async fn expect(conn: &mut AsyncSmtpConnection, command: impl std::fmt::Display, codes: std::ops::Range<u16>) -> Result<Response, Cause> {
    let reply = run(conn, command).await?;
    let code = u16::from(reply.code());
    if codes.contains(&code) { Ok(reply) } else { Err(Cause::Reply(code, reply.message().collect::<Vec<_>>().join(" "))) }
}

/// The mail library's error as a cause.
pub(super) fn cause_of(error: &lettre::transport::smtp::Error) -> Cause {
    if let Some(code) = error.status() {
        return Cause::Reply(code.into(), error.source().map(ToString::to_string).unwrap_or_default());
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return tls::cause(io);
        }
        source = inner.source();
    }
    match error.source().map(ToString::to_string) {
        // What the library says when the stream ends within (or before) a reply.
        Some(text) if text == "incomplete response" => Cause::Closed,
        Some(text) => Cause::Garbage(text),
        None => Cause::Garbage(error.to_string()),
    }
}
