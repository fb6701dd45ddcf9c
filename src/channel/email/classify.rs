//! What a failure at a stage of an SMTP session means for the next try, and how to say it. Pure. What a negative reply means is [`verdict`]'s part.

pub(super) use super::stage::Stage;
use super::stage::enhanced;
use super::verdict::{Verdict, verdict};
use crate::model::{ErrorKind, Secret, SendError, scrub};

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
            Cause::Reply(code, text) => verdict(self.stage, *code, text).kind,
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

    /// Whether it would hit every recipient of the attempt alike: the way to the server, the outlet's configuration, or a limit on what it sends.
    pub(super) fn concerns_all(&self) -> bool {
        self.stage <= Stage::Auth || matches!(self.kind(), ErrorKind::Misconfigured | ErrorKind::RateLimited { .. })
    }

    /// Whether the server names addresses that nobody verified, and of the two only the recipient's: Amazon's sandbox writes to verified ones alone
    /// (<https://docs.aws.amazon.com/ses/latest/dg/request-production-access.html>).
    pub(super) fn is_of_recipient(&self, to: &str, from: &str) -> bool {
        let Cause::Reply(500.., text) = &self.cause else { return false };
        let text = text.to_lowercase();
        let named = text.split_once("identities failed").map_or("", |(_, named)| named);
        named.contains(&to.to_lowercase()) && !named.contains(&from.to_lowercase())
    }

    /// Whether the server let this recipient wait too long before it took any content: others may be served first.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self.stage, Stage::Mail | Stage::Rcpt | Stage::Data) && self.cause == Cause::Timeout
    }

    /// Whether the session can go on with another mail: the server answered, and did not say good-bye.
    pub(super) fn keeps_session(&self) -> bool {
        match self.cause {
            Cause::Reply(code, _) => (400..600).contains(&code) && code != 421 && self.stage != Stage::Content,
            _ => self.cause == Cause::NoUtf8,
        }
    }

    /// Whether it is what a connection says that has been idle too long: gone, or 421, before anything of this mail was taken.
    pub(super) fn is_stale(&self) -> bool {
        self.stage == Stage::Mail && matches!(self.cause, Cause::Closed | Cause::Network(_) | Cause::Reply(421, _))
    }

    /// The error in Watchfire's terms. `server` is `host:port`; `secrets` are blanked out of what the server said.
    pub(super) fn into_error(self, server: &str, secrets: &[&Secret]) -> SendError {
        let said = |text: &str| scrub(text, secrets, 1024);
        match &self.cause {
            Cause::Reply(code, text) => {
                let Verdict { kind, recipient, hint } = verdict(self.stage, *code, text);
                let verb = match kind {
                    ErrorKind::RateLimited { .. } => "limits",
                    _ if *code < 500 => "put off",
                    _ => "refused",
                };
                let object = self.stage.object();
                let mut summary = format!("{server} {verb} {object}");
                if !hint.is_empty() {
                    summary = format!("{summary}: {hint}");
                }
                let mut error = SendError::new(kind, summary).code(match enhanced(text) {
                    Some(enhanced) => format!("{code} {enhanced}"),
                    None => code.to_string(),
                });
                if !text.is_empty() {
                    let words = said(text);
                    error.summary = format!("{}; it says: {}", error.summary, shortened(&words));
                    error = error.detail(words);
                }
                error.recipient = recipient;
                error
            }
            // The server's own words; what a library says of the connection is in the summary.
            Cause::Garbage(text) => SendError::new(self.kind(), self.summary(server)).code(self.code()).detail(said(text)),
            _ => SendError::new(self.kind(), said(&self.summary(server))).code(self.code()),
        }
    }

    /// What happened where no reply came, in a word.
    fn code(&self) -> &'static str {
        match self.cause {
            Cause::Timeout if self.stage == Stage::Wait => "busy",
            Cause::Timeout => "timeout",
            Cause::Closed => "closed",
            Cause::Network(_) if self.stage <= Stage::Connect => "connect",
            Cause::Network(_) => "io",
            Cause::Resolve(_) => "dns",
            Cause::Reply(..) | Cause::Garbage(_) => "protocol",
            Cause::Certificate(_) | Cause::Handshake(..) | Cause::NotTls | Cause::NoStartTls | Cause::Injected => "tls",
            Cause::NoMechanism | Cause::Plaintext => "login",
            Cause::NoUtf8 => "smtputf8",
        }
    }

    fn summary(&self, server: &str) -> String {
        let doing = self.stage.doing();
        match &self.cause {
            Cause::Reply(code, _) => format!("{server} answered {code} while {doing}"),
            Cause::Timeout if self.stage == Stage::Wait => {
                format!("all connections to {server} were busy until the attempt's time was over; raise `connections`")
            }
            Cause::Timeout if self.stage == Stage::End => {
                format!("{server} did not confirm the mail in time; it may have been delivered")
            }
            Cause::Timeout if self.stage == Stage::Banner => format!(
                "{server} accepted the connection but did not greet in time; if the port wants TLS from the first byte (465), set `tls: implicit`"
            ),
            Cause::Timeout => {
                format!("no answer from {server} in time while {doing}; check `server`, the firewall and the channel's `timeout`")
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
                "{server} offers no way to log in that we know (PLAIN, LOGIN, CRAM-MD5; XOAUTH2 by `auth: xoauth2`); remove `username`, or check port and `tls`"
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

/// The first 200 characters of what a server said, for a sentence.
fn shortened(words: &str) -> String {
    match words.char_indices().nth(200) {
        Some((cut, _)) => format!("{}…", &words[..cut]),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind::{Ambiguous, Transient};

    #[test]
    fn only_silence_after_the_dot_is_ambiguous() {
        for cause in [Cause::Timeout, Cause::Closed, Cause::Network("reset".into())] {
            for stage in [Stage::Wait, Stage::Connect, Stage::Tls, Stage::Banner, Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Content]
            {
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
