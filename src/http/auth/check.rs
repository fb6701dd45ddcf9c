//! What a request says about one credential, compared in constant time.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::signature::{Signatures, may_be_signed};
use super::{Credential, same};
use crate::config::{CredentialKind, Password, PasswordHash};

/// The reason of a refusal that does not say which of the two is wrong.
pub const WRONG_PASSWORD: &str = "the user name or password is wrong; compare them with server.auth in routes.yaml";

/// What a request says about one credential.
pub enum Checked<'a> {
    /// Nothing.
    Absent,
    /// It is right.
    Right,
    /// It is wrong, and why.
    Wrong(&'static str),
    /// It is right if the body's signature is.
    Unread,
    /// It is right if this is the hash of that password.
    Hashed(&'a PasswordHash, String),
}

/// Compares a request with one credential.
pub fn check<'a>(credential: &'a Credential, headers: &HeaderMap, signatures: Option<&Signatures>, now: i64) -> Checked<'a> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    match &credential.kind {
        CredentialKind::Bearer(token) => match authorization.and_then(|v| strip_scheme(v, "bearer")) {
            Some(given) if same(given.as_bytes(), token.expose().as_bytes()) => Checked::Right,
            Some(_) => Checked::Wrong("the bearer token is not known here; compare it with server.auth in routes.yaml"),
            None => Checked::Absent,
        },
        CredentialKind::Basic { username, password } => match authorization.and_then(|v| strip_scheme(v, "basic")) {
            Some(given) => basic(given, username, password).unwrap_or_else(Checked::Wrong),
            None => Checked::Absent,
        },
        // What a proxy says of its clients counts on pages, where they are; programs have credentials of their own.
        CredentialKind::Proxy { .. } => Checked::Absent,
        CredentialKind::Hmac { header, timestamp_header, .. } => match headers.get(header.as_str()).and_then(|v| v.to_str().ok()) {
            Some(given) => match may_be_signed(given, timestamp_header.as_deref(), headers, now) {
                Err(why) => Checked::Wrong(why),
                Ok(()) => match signatures {
                    None => Checked::Unread,
                    Some(signatures) if signatures.verify(&credential.name, given) => Checked::Right,
                    Some(_) => Checked::Wrong("the body's signature does not match"),
                },
            },
            None => Checked::Absent,
        },
    }
}

fn basic<'a>(given: &str, username: &str, password: &'a Password) -> Result<Checked<'a>, &'static str> {
    let decoded = STANDARD.decode(given).map_err(|_| "the basic credentials are not base64")?;
    let text = String::from_utf8(decoded).map_err(|_| "the basic credentials are not UTF-8")?;
    let (user, pass) = text.split_once(':').ok_or("the basic credentials lack a colon")?;
    let known = same(user.as_bytes(), username.as_bytes());
    match password {
        Password::Plain(secret) if known & same(pass.as_bytes(), secret.expose().as_bytes()) => Ok(Checked::Right),
        // A user that does not exist costs no check: names are no secret here, and the checks are what somebody who guesses would use up.
        Password::Hashed(hash) if known => Ok(Checked::Hashed(hash, pass.to_owned())),
        Password::Plain(_) | Password::Hashed(_) => Err(WRONG_PASSWORD),
    }
}

fn strip_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, rest) = value.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}
