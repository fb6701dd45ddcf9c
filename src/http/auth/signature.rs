//! Signatures of bodies: HMAC-SHA256 over the raw bytes, computed while they are read.

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Credential, same};
use crate::config::CredentialKind;

/// How far a signed timestamp may be off, in seconds.
const SIGNATURE_WINDOW: u64 = 300;

/// Signatures of a body that is being read.
pub struct Signing(Vec<(String, Hmac<Sha256>)>);

impl Signing {
    /// Takes the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        for (_, mac) in &mut self.0 {
            mac.update(piece);
        }
    }

    /// The body is complete.
    pub fn end(self) -> Signatures {
        Signatures(self.0.into_iter().map(|(credential, mac)| (credential, hex(&mac.finalize().into_bytes()))).collect())
    }
}

/// What a body's signature would be, by credential.
pub struct Signatures(Vec<(String, String)>);

impl Signatures {
    /// Whether the signature that a request brings is one of this credential's, in constant time.
    pub fn verify(&self, credential: &str, given: &str) -> bool {
        let own = self.0.iter().filter(|(name, _)| name == credential);
        own.fold(false, |ok, (_, right)| ok | same(right.as_bytes(), given.as_bytes()))
    }
}

/// Begins to compute what signatures over this request's body must be, one for each secret that may have made the one it brings.
pub fn begin(credentials: &[Credential], headers: &HeaderMap) -> Signing {
    let mut macs = Vec::new();
    for credential in credentials {
        let CredentialKind::Hmac { secrets, header, timestamp_header } = &credential.kind else { continue };
        let stamp = timestamp_header.as_ref().map(|name| headers.get(name.as_str()).and_then(|stamp| stamp.to_str().ok()));
        for secret in secrets.iter().filter(|_| headers.contains_key(header.as_str())) {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { continue };
            if let Some(stamp) = stamp {
                mac.update(stamp.unwrap_or_default().as_bytes());
                mac.update(b":");
            }
            macs.push((credential.name.clone(), mac));
        }
    }
    Signing(macs)
}

/// What can be said of a signature before the body is read: whether it has the form of one, and its time.
pub fn may_be_signed(given: &str, timestamp_header: Option<&str>, headers: &HeaderMap, now: i64) -> Result<(), &'static str> {
    if given.len() != 64 || !given.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("the signature is not one: 64 hexadecimal digits of HMAC-SHA256 over the body are expected");
    }
    if let Some(name) = timestamp_header {
        let stamp = headers.get(name).and_then(|v| v.to_str().ok()).ok_or("the signature's timestamp header is missing")?;
        let seconds: i64 = stamp.parse().map_err(|_| "the signature's timestamp is not a Unix time in seconds")?;
        if now.abs_diff(seconds) > SIGNATURE_WINDOW {
            return Err("the signature's timestamp is more than 5 minutes off; compare the clocks");
        }
    }
    Ok(())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
