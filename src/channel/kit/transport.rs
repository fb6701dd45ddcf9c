//! Requests that got no HTTP answer: what happened, in one sentence without the address's secrets, and what it means for the next try.

use std::error::Error;

use crate::model::{ErrorKind, Secret, SendError, scrub};

use super::guard::REFUSED;
use super::reply::MAX_EXCERPT;

/// How far a request got when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// No byte of it was written, or writing it twice does no harm: the platform has done nothing that matters.
    NoEffect,
    /// It was handed to a connection; the platform may have acted on it.
    Written,
}

impl Progress {
    fn kind(self) -> ErrorKind {
        match self {
            Progress::NoEffect => ErrorKind::Transient,
            Progress::Written => ErrorKind::Ambiguous,
        }
    }
}

/// No answer within the attempt's time.
pub(super) fn timed_out(host: &str, progress: Progress) -> SendError {
    let summary = match progress {
        Progress::NoEffect => format!("no answer from {host} in time, and nothing was sent"),
        Progress::Written => format!("{host} took the request and did not answer in time; it may have been delivered"),
    };
    SendError::new(progress.kind(), summary).code("timeout")
}

/// The transport failed before, during or after the request.
pub(super) fn failed(error: reqwest::Error, host: &str, progress: Progress, secrets: &[Secret]) -> SendError {
    let error = error.without_url();
    let connecting = error.is_connect();
    let progress = if connecting { Progress::NoEffect } else { progress };
    let cause = deepest(&error);
    let (kind, code, summary) = if error.is_builder() {
        (
            ErrorKind::Misconfigured,
            "request",
            format!("the request cannot be built: {cause}; check the address and the token for unwanted characters"),
        )
    } else if let Some(reason) = bad_certificate(&error) {
        let help = "if the server's authority is your own, name it in `ca_file`";
        (ErrorKind::Misconfigured, "tls", format!("the certificate of {host} is not accepted: {reason}; {help}"))
    } else if cause.contains("proxy authorization required") {
        (ErrorKind::Misconfigured, "proxy", "the proxy wants other credentials; check `proxy`".to_owned())
    } else if error.is_dns() {
        // Resolvers say the same twice: "failed to lookup address information: Name or service not known".
        let cause = cause.trim_start_matches("failed to lookup address information: ");
        let help = "check this machine's DNS, or set `proxy` on the channel if the way out leads through one";
        match cause.strip_prefix(REFUSED) {
            Some(why) => (ErrorKind::Misconfigured, "address", format!("{host} is not called: {why}")),
            None => (progress.kind(), "dns", format!("the name {host} cannot be looked up ({cause}); {help}")),
        }
    } else if connecting {
        (progress.kind(), "connect", format!("cannot connect to {host}: {cause}"))
    } else if progress == Progress::NoEffect {
        (progress.kind(), "io", format!("the connection to {host} failed: {cause}"))
    } else {
        (progress.kind(), "io", format!("the connection to {host} broke after the request was written: {cause}; it may have been delivered"))
    };
    SendError::new(kind, scrub(&summary, &secrets.iter().collect::<Vec<_>>(), MAX_EXCERPT)).code(code)
}

/// Walks an error and its sources, including errors that an I/O error wraps (its `source` skips them).
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    fn next<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    }
    std::iter::successors(Some(error), next)
}

/// What the innermost error says, without the system's number: the outer ones only repeat "error sending request".
fn deepest(error: &reqwest::Error) -> String {
    let text = chain(error).last().map_or_else(String::new, ToString::to_string);
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn bad_certificate(error: &reqwest::Error) -> Option<String> {
    chain(error).find_map(|error| match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(reason) => Some(reason.to_string()),
        _ => None,
    })
}
