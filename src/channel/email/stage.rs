//! How far an SMTP session has come, and the enhanced status code of a reply.

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
    /// DATA.
    Data,
    /// The content, before its final dot.
    Content,
    /// After the final dot: the server may have taken the mail.
    End,
}

impl Stage {
    /// What was being done, for a sentence.
    pub(super) fn doing(self) -> &'static str {
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
            Stage::Data | Stage::Content => "sending the mail (DATA)",
            Stage::End => "waiting for the confirmation (end of DATA)",
        }
    }

    /// What the server refused, for a sentence.
    pub(super) fn object(self) -> &'static str {
        match self {
            Stage::Wait | Stage::Connect | Stage::Tls | Stage::Banner => "the connection",
            Stage::Ehlo => "our greeting (EHLO)",
            Stage::StartTls => "STARTTLS",
            Stage::Auth => "the login (AUTH)",
            Stage::Mail => "the sender (MAIL FROM)",
            Stage::Rcpt => "the recipient (RCPT TO)",
            Stage::Data | Stage::Content => "the mail (DATA)",
            Stage::End => "the mail (end of DATA)",
        }
    }
}

/// The enhanced status code at the start of a reply's text (RFC 2034).
pub(super) fn enhanced(text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?;
    let mut parts = word.split('.');
    let class = matches!(parts.next(), Some("2" | "4" | "5"));
    let number = |part: Option<&str>| part.is_some_and(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()));
    (class && number(parts.next()) && number(parts.next()) && parts.next().is_none()).then_some(word)
}
