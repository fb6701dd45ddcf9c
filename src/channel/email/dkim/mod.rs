//! DKIM signing keys as people keep them (PKCS#1, PKCS#8, a bare Ed25519 seed), and the signature over a finished mail. Knows no configuration.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::HeaderName;
use lettre::message::{DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm, DkimSigningKey, Message};

use crate::model::Secret;

/// What is signed. Neither `Content-Type` (the library keeps it with the body and would sign an absent one) nor trace headers.
const SIGNED: [&str; 9] = ["From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References"];

/// Headers longer than this are signed on a deep stack: the library walks them one call per character.
const SHALLOW: usize = 4096;

/// Signs mails for one domain and selector; its `Debug` shows no key.
pub(super) struct Signer {
    config: DkimConfig,
    domain: String,
    selector: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("domain", &self.domain).field("selector", &self.selector).finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer for `selector._domainkey.domain`. The error is one sentence that never repeats the key.
    pub(super) fn new(selector: &str, domain: &str, key: &Secret) -> Result<Self, &'static str> {
        let relaxed = DkimCanonicalization { header: DkimCanonicalizationType::Relaxed, body: DkimCanonicalizationType::Relaxed };
        let headers = SIGNED.iter().map(|name| HeaderName::new_from_ascii_str(name)).collect();
        let config = DkimConfig::new(selector.to_owned(), domain.to_owned(), signing_key(key.expose())?, headers, relaxed);
        Ok(Self { config, domain: domain.to_owned(), selector: selector.to_owned() })
    }

    /// Adds the `DKIM-Signature` header. Its `t=` tag is the library's own clock.
    pub(super) fn sign(&self, message: &mut Message) {
        if message.headers().to_string().len() <= SHALLOW {
            message.sign(&self.config);
            return;
        }
        std::thread::scope(|scope| {
            let deep = std::thread::Builder::new().stack_size(64 << 20).spawn_scoped(scope, || message.sign(&self.config));
            if let Err(error) = deep {
                tracing::warn!(%error, domain = %self.domain, "a mail goes out without its DKIM signature: no thread to sign it on");
            }
        });
    }
}

/// The first bytes of an Ed25519 key in PKCS#8 (RFC 8410, section 7); 32 bytes of seed follow.
const ED25519_PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// `1.2.840.113549.1.1.1`, rsaEncryption.
const RSA_OID: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

fn signing_key(text: &str) -> Result<DkimSigningKey, &'static str> {
    const UNREADABLE: &str = "it is not a private key in PEM form (`BEGIN RSA PRIVATE KEY`, `BEGIN PRIVATE KEY`) nor a base64 Ed25519 seed";
    let text = text.trim();
    let rsa = |pem: &str| DkimSigningKey::new(pem, DkimSigningAlgorithm::Rsa).map_err(|_| "its RSA private key cannot be read");
    let ed25519 = |seed: &[u8]| DkimSigningKey::new(&STANDARD.encode(seed), DkimSigningAlgorithm::Ed25519).map_err(|_| UNREADABLE);
    if text.contains("ENCRYPTED") {
        return Err("it is encrypted with a passphrase; store it without one");
    }
    if text.starts_with("-----BEGIN RSA PRIVATE KEY-----") {
        return rsa(text);
    }
    if let Some(body) = text.strip_prefix("-----BEGIN PRIVATE KEY-----").and_then(|t| t.split("-----END").next()) {
        let body: String = body.split_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| UNREADABLE)?;
        if let Some(seed) = der.strip_prefix(&ED25519_PREFIX) {
            return ed25519(seed.get(..32).ok_or(UNREADABLE)?);
        }
        let inner = rsa_inside_pkcs8(&der).ok_or("it is neither an RSA nor an Ed25519 key, the two kinds that DKIM knows")?;
        return rsa(&pem("RSA PRIVATE KEY", inner));
    }
    match STANDARD.decode(text) {
        Ok(seed) if seed.len() == 32 => ed25519(&seed),
        _ => Err(UNREADABLE),
    }
}

/// PKCS#8 is `SEQUENCE { version, SEQUENCE { oid, NULL }, OCTET STRING { PKCS#1 } }`: the PKCS#1 key within (RFC 5958, section 2).
fn rsa_inside_pkcs8(der: &[u8]) -> Option<&[u8]> {
    let (body, _) = element(der, 0x30)?;
    let (_, rest) = element(body, 0x02)?;
    let (algorithm, rest) = element(rest, 0x30)?;
    let (oid, _) = element(algorithm, 0x06)?;
    let (key, _) = element(rest, 0x04)?;
    (oid == RSA_OID).then_some(key)
}

/// One DER element of that tag: its content, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |len, d| len << 8 | usize::from(*d)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(len))?
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut out = format!("-----BEGIN {label}-----\n");
    let encoded = STANDARD.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests;
