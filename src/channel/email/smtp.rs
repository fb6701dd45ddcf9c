//! One open session, and one mail over it: MAIL, RCPT, DATA, with the stage known at every step. Knows no pool and no configuration.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::classify::{Cause, Failure, Stage};
use super::message::Mail;
use super::wire::{Reply, Wire};

/// How long a good-bye or a check of an idle session may take.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a refusal is waited for that a server wrote before it closed the connection in the middle of a mail.
const FINAL_REPLY_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the steps of an attempt may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// To connect and to shake hands over TLS: the channel's `timeout`.
    pub connect: Duration,
    /// Others wait for this session: an answer before the content is waited for no longer than this.
    pub hurry: Option<Duration>,
    /// The end of the attempt.
    pub limit: Instant,
}

impl Times {
    /// Until when a step that begins now is waited for. Servers are given what RFC 5321, section 4.5.3.2, grants them at the least: a greeting may be
    /// late on purpose, and the answer to the final dot comes when every filter has read the mail. Waiting no longer would repeat what was delivered.
    fn end(&self, stage: Stage) -> Instant {
        const MINUTE: Duration = Duration::from_secs(60);
        let own = match stage {
            Stage::Wait => return self.limit,
            Stage::Connect | Stage::Tls => self.connect,
            Stage::Banner | Stage::Ehlo | Stage::StartTls | Stage::Auth => 5 * MINUTE,
            Stage::Mail | Stage::Rcpt => self.hurry.unwrap_or(5 * MINUTE),
            Stage::Data => self.hurry.unwrap_or(2 * MINUTE),
            Stage::Content => 5 * MINUTE,
            Stage::End => 10 * MINUTE,
        };
        (Instant::now() + own).min(self.limit)
    }

    /// Runs one step; silence until its end is a failure of that stage.
    pub(super) async fn step<T>(&self, stage: Stage, work: impl Future<Output = Result<T, Cause>>) -> Result<T, Failure> {
        match timeout_at(self.end(stage), work).await {
            Ok(result) => result.map_err(|cause| Failure::new(stage, cause)),
            Err(_) => Err(Failure::new(stage, Cause::Timeout)),
        }
    }
}

/// What a server said it can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Features {
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// SMTPUTF8 (RFC 6531).
    pub utf8: bool,
    /// Mechanisms to log in with, in capitals (RFC 4954).
    pub auth: Vec<String>,
}

impl Features {
    /// Reads the answer to EHLO.
    pub(super) fn of(reply: &Reply) -> Self {
        let mut features = Self::default();
        for line in reply.lines.iter().skip(1) {
            // `AUTH=LOGIN` is how servers wrote it for old clients.
            let mut words = line.split(|c: char| c.is_whitespace() || c == '=').map(str::to_ascii_uppercase);
            match words.next().as_deref() {
                Some("STARTTLS") => features.starttls = true,
                Some("SMTPUTF8") => features.utf8 = true,
                Some("AUTH") => features.auth.extend(words.filter(|word| !word.is_empty())),
                _ => {}
            }
        }
        features
    }
}

/// An open, logged-in session.
pub(super) struct Session {
    wire: Wire,
    features: Features,
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
    pub(super) fn new(wire: Wire, features: Features) -> Self {
        let now = Instant::now();
        Self { wire, features, born: now, used: now, mails: 0 }
    }

    /// Sends one mail to its one recipient. The session is good for another mail if the failure [keeps](Failure::keeps_session) it.
    pub(super) async fn transmit(&mut self, mail: &Mail, times: &Times) -> Result<Accepted, Failure> {
        self.mails = self.mails.saturating_add(1);
        let result = self.transaction(mail, times).await;
        self.used = Instant::now();
        match result {
            // The transaction is still open: end it, or the next MAIL FROM is refused as a nested one.
            Err(failure) if failure.keeps_session() && matches!(failure.stage, Stage::Rcpt | Stage::Data) => {
                if times.step(failure.stage, expect(&mut self.wire, "RSET", 200..300)).await.is_err() {
                    self.retire();
                }
                Err(failure)
            }
            result => result,
        }
    }

    /// Marks it as used up, so that it is not used again.
    fn retire(&mut self) {
        self.mails = u32::MAX;
    }

    async fn transaction(&mut self, mail: &Mail, times: &Times) -> Result<Accepted, Failure> {
        let wire = &mut self.wire;
        if mail.utf8 && !self.features.utf8 {
            return Err(Failure::new(Stage::Mail, Cause::NoUtf8));
        }
        // RFC 6531, section 3.1: a server with SMTPUTF8 has 8BITMIME.
        let parameters = if mail.utf8 { " SMTPUTF8 BODY=8BITMIME" } else { "" };
        times.step(Stage::Mail, expect(wire, &format!("MAIL FROM:<{}>{parameters}", mail.from), 200..300)).await?;
        times.step(Stage::Rcpt, expect(wire, &format!("RCPT TO:<{}>", mail.to), 200..300)).await?;
        times.step(Stage::Data, expect(wire, "DATA", 300..400)).await?;
        let content = stuffed(&mail.bytes);
        if let Err(failure) = times.step(Stage::Content, wire.write(&content)).await {
            return Err(match timeout(FINAL_REPLY_TIMEOUT, wire.reply()).await {
                Ok(Ok(reply)) if reply.code >= 400 => Failure::new(Stage::Content, Cause::Reply(reply.code, reply.text())),
                _ => failure,
            });
        }
        // Without its final dot a mail is nothing; with it, the server may have taken it whatever happens then.
        let last = async {
            wire.write(b".\r\n").await?;
            wire.reply().await
        };
        let reply = times.step(Stage::End, last).await?;
        let (code, text) = (reply.code, reply.text());
        if (200..300).contains(&code) { Ok(Accepted { code, text }) } else { Err(Failure::new(Stage::End, Cause::Reply(code, text))) }
    }

    /// Whether the server still answers.
    pub(super) async fn is_alive(&mut self) -> bool {
        matches!(timeout(QUIT_TIMEOUT, expect(&mut self.wire, "NOOP", 200..300)).await, Ok(Ok(_)))
    }

    /// Says good-bye and closes.
    pub(super) async fn quit(mut self) {
        // Whatever it answers, or if it does not: the connection is closed.
        let _ = timeout(QUIT_TIMEOUT, self.wire.ask("QUIT")).await;
    }
}

/// A mail as DATA wants it: a dot before every dot that begins a line, and a line end at its end (RFC 5321, section 4.5.2).
fn stuffed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 64 + 2);
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Says a line; a reply whose code is not among those expected is a failure.
pub(super) async fn expect(wire: &mut Wire, line: &str, codes: std::ops::Range<u16>) -> Result<Reply, Cause> {
    let reply = wire.ask(line).await?;
    if codes.contains(&reply.code) { Ok(reply) } else { Err(Cause::Reply(reply.code, reply.text())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_stuffed_and_the_last_line_ends() {
        for (bytes, out) in [
            ("a\r\n.b\r\n..\r\n", "a\r\n..b\r\n...\r\n"),
            (".", "..\r\n"),
            ("a.b", "a.b\r\n"),
            ("", "\r\n"),
            ("x\r\n\r\n.\r\ny", "x\r\n\r\n..\r\ny\r\n"),
        ] {
            assert_eq!(stuffed(bytes.as_bytes()), out.as_bytes(), "{bytes:?}");
        }
    }

    #[test]
    fn features_in_every_spelling() {
        let of = |lines: &[&str]| Features::of(&Reply { code: 250, lines: lines.iter().map(|l| (*l).to_owned()).collect() });
        assert_eq!(of(&["mx STARTTLS"]), Features::default(), "the first line is the server's name");
        let all = of(&["mx", "starttls", "AUTH=LOGIN", "auth PLAIN  cram-md5", "SmtpUtf8", "", "SIZE 1"]);
        assert_eq!(all, Features { starttls: true, utf8: true, auth: vec!["LOGIN".into(), "PLAIN".into(), "CRAM-MD5".into()] });
    }
}
