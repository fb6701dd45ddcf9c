//! What a failure at a stage of an SMTP session means for the next try, and how to say it. Pure; the table is the contract with the queue.
//!
//! Reply codes: RFC 5321, section 4.2; enhanced codes: RFC 3463; authentication codes: RFC 4954, section 6.

use crate::model::{ErrorKind, Secret, SendError, scrub};

/// How far a session had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Waiting for one of the outlet's connections.
    Wait,
    /// Resolving the name and connecting.
    Connect,
    /// TLS handshake.
    Tls,
    /// The server's first line.
    Banner,
    /// EHLO.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA and the content, up to the final dot.
    Data,
    /// After the final dot: the server may have taken the mail.
    End,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// A negative (or unexpected) reply.
    Reply(u16, String),
    /// No answer by the deadline.
    Timeout,
    /// The connection was closed or reset.
    Closed,
    /// Another network error.
    Network(String),
    /// The name did not resolve.
    Resolve(String),
    /// Something that is not SMTP.
    Garbage(String),
    /// The server's certificate was not accepted.
    Certificate(String),
    /// The server does not speak TLS on this port.
    NotTls,
    /// Another failure of the handshake; `true` when it cannot succeed by itself.
    Handshake(String, bool),
    /// STARTTLS is not offered.
    NoStartTls,
    /// Unencrypted bytes followed the answer to STARTTLS.
    Injected,
    /// None of our mechanisms is offered.
    NoMechanism,
    /// A password may not travel unencrypted.
    Plaintext,
    /// An address needs SMTPUTF8, which the server does not have.
    NoUtf8,
}

/// A failure at a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Where.
    pub stage: Stage,
    /// What.
    pub cause: Cause,
}

impl Failure {
    pub(super) fn new(stage: Stage, cause: Cause) -> Self {
        Self { stage, cause }
    }

    /// What it means for the next try.
    pub(super) fn kind(&self) -> ErrorKind {
        match &self.cause {
            Cause::Reply(code, text) => reply_kind(self.stage, *code, enhanced(text)),
            Cause::Timeout | Cause::Closed | Cause::Network(_) if self.stage == Stage::End => ErrorKind::Ambiguous,
            Cause::Garbage(_) if self.stage == Stage::End => ErrorKind::Ambiguous,
            Cause::Garbage(_) if self.stage == Stage::Banner => ErrorKind::Misconfigured,
            Cause::Timeout | Cause::Closed | Cause::Network(_) | Cause::Resolve(_) | Cause::Garbage(_) => ErrorKind::Transient,
            Cause::Handshake(_, false) => ErrorKind::Transient,
            Cause::Handshake(_, true) | Cause::Certificate(_) | Cause::NotTls => ErrorKind::Misconfigured,
            Cause::NoStartTls | Cause::Injected | Cause::NoMechanism | Cause::Plaintext => ErrorKind::Misconfigured,
            Cause::NoUtf8 => ErrorKind::Rejected,
        }
    }

    /// Whether it would hit every recipient of the attempt alike: the way to the server, or the outlet's configuration.
    pub(super) fn concerns_all(&self) -> bool {
        self.stage <= Stage::Auth || self.kind() == ErrorKind::Misconfigured
    }

    /// Whether the session can go on with another mail: the server answered, and did not say good-bye.
    pub(super) fn keeps_session(&self) -> bool {
        matches!(self.cause, Cause::Reply(code, _) if (400..600).contains(&code) && code != 421) || self.cause == Cause::NoUtf8
    }

    /// Whether it is what a connection says that has been idle too long: gone, or 421, before anything of this mail was taken.
    pub(super) fn is_stale(&self) -> bool {
        self.stage == Stage::Mail && matches!(self.cause, Cause::Closed | Cause::Network(_) | Cause::Reply(421, _))
    }

    /// The error as the house knows it. `server` is `host:port`; `secrets` are blanked out of what the server said.
    pub(super) fn into_error(self, server: &str, secrets: &[&Secret]) -> SendError {
        let error = SendError::new(self.kind(), self.summary(server));
        match &self.cause {
            Cause::Reply(code, text) => {
                let error = error.code(match enhanced(text) {
                    Some(enhanced) => format!("{code} {enhanced}"),
                    None => code.to_string(),
                });
                if text.is_empty() { error } else { error.detail(scrub(text, secrets, 1024)) }
            }
            Cause::Network(text) | Cause::Resolve(text) | Cause::Garbage(text) | Cause::Certificate(text) | Cause::Handshake(text, _) => {
                error.detail(scrub(text, secrets, 1024))
            }
            _ => error,
        }
    }

    fn summary(&self, server: &str) -> String {
        let doing = self.stage.doing();
        match &self.cause {
            Cause::Reply(code, text) => {
                let (verb, hint) = (if *code < 500 { "put off" } else { "refused" }, reply_hint(self.stage, *code, text));
                format!("{server} {verb} {}{}{hint}", self.stage.object(), if hint.is_empty() { "" } else { ": " })
            }
            Cause::Timeout if self.stage == Stage::Wait => format!("all connections to {server} were busy until the deadline; raise `connections`"),
            Cause::Timeout if self.stage == Stage::End => {
                format!("{server} did not confirm the mail by the deadline; it may have been delivered")
            }
            Cause::Timeout if self.stage == Stage::Banner => format!(
                "{server} accepted the connection but said nothing by the deadline; if the port wants TLS from the first byte (465), set `tls: implicit`"
            ),
            Cause::Timeout => {
                format!("no answer from {server} by the deadline while {doing}; check `server`, the firewall and the channel's `timeout`")
            }
            Cause::Closed if self.stage == Stage::End => {
                format!("{server} closed the connection before it confirmed the mail; it may have been delivered")
            }
            Cause::Closed => format!("{server} closed the connection while {doing}"),
            Cause::Network(text) => format!("the connection to {server} failed while {doing}: {text}"),
            Cause::Resolve(text) => {
                let text = text.rsplit(": ").next().unwrap_or_default();
                format!("the name in {server} cannot be looked up ({text}); check `server` and this machine's DNS")
            }
            Cause::Garbage(_) => format!("{server} does not speak SMTP (while {doing}); check the port in `server`"),
            Cause::Certificate(why) => {
                format!(
                    "the certificate of {server} is not accepted: {why}; correct the name in `server`, or name the authority's certificate in `ca_file`"
                )
            }
            Cause::NotTls => format!("{server} does not speak TLS on this port; set `tls: starttls`, or use the port for implicit TLS (465)"),
            Cause::Handshake(why, _) => format!("the TLS handshake with {server} failed: {why}"),
            Cause::NoStartTls => format!(
                "{server} does not offer STARTTLS, so nothing was sent; set `tls: implicit` (465), or `tls: none` if mail may travel unencrypted there"
            ),
            Cause::Injected => {
                format!("{server} sent unencrypted data after STARTTLS; somebody may be tampering with the connection, nothing was sent")
            }
            Cause::NoMechanism => format!(
                "{server} offers no way to log in that we know (PLAIN, LOGIN; XOAUTH2 by `auth: xoauth2`); remove `username`, or check port and `tls`"
            ),
            Cause::Plaintext => {
                format!("{server} offers no TLS, and the password is not sent unencrypted; set `tls: none` if that is really wanted")
            }
            Cause::NoUtf8 => {
                format!(
                    "{server} does not support international addresses (SMTPUTF8), which this mail's sender or recipient needs; use an ASCII address"
                )
            }
        }
    }
}

impl Stage {
    fn doing(self) -> &'static str {
        match self {
            Stage::Wait => "waiting for a free connection",
            Stage::Connect => "connecting",
            Stage::Tls => "shaking hands over TLS",
            Stage::Banner => "waiting for its greeting",
            Stage::Ehlo => "greeting it (EHLO)",
            Stage::StartTls => "asking for STARTTLS",
            Stage::Auth => "logging in (AUTH)",
            Stage::Mail => "naming the sender (MAIL FROM)",
            Stage::Rcpt => "naming the recipient (RCPT TO)",
            Stage::Data => "sending the mail (DATA)",
            Stage::End => "waiting for the confirmation (end of DATA)",
        }
    }

    fn object(self) -> &'static str {
        match self {
            Stage::Wait | Stage::Connect | Stage::Tls | Stage::Banner => "the connection",
            Stage::Ehlo => "our greeting (EHLO)",
            Stage::StartTls => "STARTTLS",
            Stage::Auth => "the login (AUTH)",
            Stage::Mail => "the sender (MAIL FROM)",
            Stage::Rcpt => "the recipient (RCPT TO)",
            Stage::Data => "the mail (DATA)",
            Stage::End => "the mail (end of DATA)",
        }
    }
}

/// The enhanced status code at the start of a reply's text.
fn enhanced(text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?;
    let mut parts = word.split('.');
    let class = matches!(parts.next(), Some("2" | "4" | "5"));
    let number = |part: Option<&str>| part.is_some_and(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()));
    (class && number(parts.next()) && number(parts.next()) && parts.next().is_none()).then_some(word)
}

fn reply_kind(stage: Stage, code: u16, enhanced: Option<&str>) -> ErrorKind {
    let policy = enhanced.is_some_and(|e| e.starts_with("5.7."));
    match code {
        // A positive code where another was due (250 to DATA): the two sides are out of step. After the dot it is a yes, and never comes here.
        0..500 => ErrorKind::Transient,
        // Log in first, encrypt first, mechanism too weak, credentials, encryption required for the mechanism.
        530 | 534 | 535 | 538 => ErrorKind::Misconfigured,
        _ => match stage {
            // Who is refused before he names a mail is refused for what he is.
            Stage::Wait | Stage::Connect | Stage::Tls | Stage::Banner | Stage::Ehlo | Stage::StartTls | Stage::Auth => ErrorKind::Misconfigured,
            // Too large, or spam: this mail. Any other refusal of the sender will meet every mail of this outlet.
            Stage::Mail if matches!(code, 552 | 554) && !policy => ErrorKind::Rejected,
            Stage::Mail => ErrorKind::Misconfigured,
            Stage::Rcpt | Stage::Data | Stage::End => ErrorKind::Rejected,
        },
    }
}

fn reply_hint(stage: Stage, code: u16, text: &str) -> &'static str {
    let text = text.to_ascii_lowercase();
    match (stage, code) {
        (_, 530) if text.contains("tls") => "it wants encryption first; set `tls: starttls` or `tls: implicit`",
        (_, 530) => "it wants a login first; set `username` and `password`",
        (_, 534 | 538) => "it does not allow this way to log in; providers such as Gmail want an app password or `auth: xoauth2`",
        (_, 535) => {
            "user name or password is wrong; QQ, 163, Gmail and others want an authorisation code (app password) instead of the account's password"
        }
        (Stage::Auth, 500..) => "check `username`, `password` and `auth`",
        (Stage::Banner | Stage::Ehlo, 500..) => "this host may be blocked there, or `hello` is not acceptable",
        (Stage::StartTls, 500..) => "try `tls: implicit` with port 465",
        (Stage::Mail | Stage::Data | Stage::End, 552) => "the mail is larger than it takes",
        (Stage::Mail, 554) => "it takes the mail for spam or against its policy",
        (Stage::Mail, 500..) => "the login may not send as `from`; many providers want `from` to be the account's own address",
        (Stage::Rcpt, 500..) if text.contains("relay") => "it does not relay to other domains for us; log in, or let this host relay there",
        (Stage::Rcpt, 552) => "the mailbox is full",
        (Stage::Rcpt, 500..) => "the address does not exist there or takes no mail from us",
        (Stage::Data | Stage::End, 500..) => "it takes the mail for spam or against its policy",
        (_, 421) => "it is closing connections for now",
        (_, 450) => "busy mailbox or greylisting; it is tried again",
        (_, 452) => "it is short of storage or has too many recipients; it is tried again",
        (_, 454) => "TLS or login is not available there for now",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind::{Ambiguous, Misconfigured, Rejected, Transient};

    #[test]
    fn replies_by_stage() {
        use Stage::{Auth, Banner, Data, Ehlo, End, Mail, Rcpt, StartTls};
        for (stage, code, text, kind) in [
            (Banner, 421, "busy", Transient),
            (Banner, 554, "no service for you", Misconfigured),
            (Ehlo, 421, "4.7.0 later", Transient),
            (Ehlo, 501, "bad name", Misconfigured),
            (StartTls, 454, "4.7.0 TLS not available", Transient),
            (StartTls, 502, "", Misconfigured),
            (Auth, 454, "4.7.0 Temporary authentication failure", Transient),
            (Auth, 432, "", Transient),
            (Auth, 534, "5.7.9", Misconfigured),
            (Auth, 535, "5.7.8 bad credentials", Misconfigured),
            (Auth, 538, "", Misconfigured),
            (Auth, 504, "", Misconfigured),
            (Mail, 421, "", Transient),
            (Mail, 451, "4.3.0", Transient),
            (Mail, 452, "4.3.1", Transient),
            (Mail, 530, "5.7.0 Must issue a STARTTLS command first", Misconfigured),
            (Mail, 501, "mail from address must be same as authorization user", Misconfigured),
            (Mail, 550, "5.7.60 not allowed to send as this sender", Misconfigured),
            (Mail, 553, "Mail from must equal authorized user", Misconfigured),
            (Mail, 554, "5.7.1 client host rejected", Misconfigured),
            (Mail, 552, "5.3.4 too big", Rejected),
            (Mail, 554, "5.6.0 no", Rejected),
            (Rcpt, 450, "4.2.1 greylisted", Transient),
            (Rcpt, 452, "4.5.3 too many recipients", Transient),
            (Rcpt, 550, "5.1.1 no such user", Rejected),
            (Rcpt, 551, "", Rejected),
            (Rcpt, 553, "5.1.3", Rejected),
            (Rcpt, 550, "5.7.1 relaying denied", Rejected),
            (Rcpt, 552, "5.2.2 mailbox full", Rejected),
            (Rcpt, 530, "5.7.0 authentication required", Misconfigured),
            (Data, 354, "", Transient),
            (Data, 451, "", Transient),
            (Data, 554, "no valid recipients", Rejected),
            (End, 421, "", Transient),
            (End, 451, "4.3.0", Transient),
            (End, 447, "", Transient),
            (End, 552, "5.3.4", Rejected),
            (End, 552, "5.2.2", Rejected),
            (End, 554, "5.7.1 spam", Rejected),
            (End, 550, "5.7.1 DMARC", Rejected),
        ] {
            assert_eq!(Failure::new(stage, Cause::Reply(code, text.into())).kind(), kind, "{stage:?} {code} {text}");
        }
    }

    #[test]
    fn only_silence_after_the_dot_is_ambiguous() {
        for cause in [Cause::Timeout, Cause::Closed, Cause::Network("reset".into())] {
            for stage in [Stage::Wait, Stage::Connect, Stage::Tls, Stage::Banner, Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data] {
                assert_eq!(Failure::new(stage, cause.clone()).kind(), Transient, "{stage:?} {cause:?}");
            }
            assert_eq!(Failure::new(Stage::End, cause).kind(), Ambiguous);
        }
    }

    #[test]
    fn tells_stage_server_code_and_what_to_do_and_no_secret() {
        let password = Secret::new("hunter22");
        let error = Failure::new(Stage::Auth, Cause::Reply(535, "5.7.8 no: hunter22".into())).into_error("mx.example.com:587", &[&password]);
        assert_eq!(error.code.as_deref(), Some("535 5.7.8"));
        assert_eq!(error.detail.as_deref(), Some("5.7.8 no: <secret>"));
        assert!(error.summary.starts_with("mx.example.com:587 refused the login (AUTH): user name or password is wrong"), "{}", error.summary);
        assert!(error.summary.contains("authorisation code"));
        let bare = Failure::new(Stage::Rcpt, Cause::Reply(550, "No such user 5.1.1".into())).into_error("mx:25", &[]);
        assert_eq!(bare.code.as_deref(), Some("550"));
    }

    #[test]
    fn what_looks_like_an_enhanced_code() {
        for (text, code) in
            [("5.7.1 no", Some("5.7.1")), ("4.4.2", Some("4.4.2")), ("5.7.1234 x", None), ("10.0.0.1 x", None), ("5.7 x", None), ("", None)]
        {
            assert_eq!(enhanced(text), code, "{text}");
        }
    }
}
