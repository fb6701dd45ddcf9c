//! Passwords that stand hashed in the configuration: `pbkdf2-sha256:ROUNDS:SALT:HASH`, salt and hash in base64 (RFC 8018, section 5.2),
//! or `sha256:HEX`, which is quick to check and therefore only for long random passwords.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const PBKDF2: &str = "pbkdf2-sha256:";
const SHA256: &str = "sha256:";
/// Rounds that new hashes get, as OWASP advises for PBKDF2-HMAC-SHA256: <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>.
pub const ROUNDS: u32 = 600_000;
/// Beyond this a single check would keep a processor busy for seconds.
const MAX_ROUNDS: u32 = 10_000_000;

/// A hashed password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Pbkdf2 { rounds: u32, salt: Vec<u8>, hash: [u8; 32] },
    Sha256([u8; 32]),
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

impl PasswordHash {
    /// Whether a text is meant as a hash.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(PBKDF2) || text.starts_with(SHA256)
    }

    /// Reads a hash; the error says what is wrong without repeating it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(hex) = text.strip_prefix(SHA256) {
            let mut hash = [0; 32];
            if hex.len() != 64 || !hex.is_ascii() {
                return Err("its hash has not 64 hexadecimal digits");
            }
            for (ix, byte) in hash.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&hex[2 * ix..2 * ix + 2], 16).map_err(|_| "its hash has not 64 hexadecimal digits")?;
            }
            return Ok(Self(Form::Sha256(hash)));
        }
        let rest = text.strip_prefix(PBKDF2).ok_or("it begins neither with `pbkdf2-sha256:` nor with `sha256:`")?;
        let mut parts = rest.splitn(3, ':');
        let (Some(rounds), Some(salt), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("it has fewer than four parts");
        };
        let rounds =
            rounds.parse().ok().filter(|rounds| (1000..=MAX_ROUNDS).contains(rounds)).ok_or("its rounds are not a number from 1000 to 10000000")?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| salt.len() >= 8).ok_or("its salt is not base64 of at least 8 bytes")?;
        let hash = STANDARD.decode(hash).ok().and_then(|hash| hash.try_into().ok()).ok_or("its hash is not base64 of 32 bytes")?;
        Ok(Self(Form::Pbkdf2 { rounds, salt, hash }))
    }

    /// Hashes a password for the configuration: the text that [`Self::parse`] reads. `salt`: at least 8 random bytes; `rounds`: [`ROUNDS`].
    pub fn create(password: &str, salt: &[u8], rounds: u32) -> String {
        format!("{PBKDF2}{rounds}:{}:{}", STANDARD.encode(salt), STANDARD.encode(derive(password.as_bytes(), salt, rounds)))
    }

    /// A keyed hash of this hash and a password, quick to make: by it a right password is remembered without being kept.
    pub fn tag(&self, key: &[u8], password: &str) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            return [0; 32];
        };
        match &self.0 {
            Form::Pbkdf2 { rounds, salt, hash } => {
                mac.update(&rounds.to_be_bytes());
                mac.update(&(salt.len() as u64).to_be_bytes());
                mac.update(salt);
                mac.update(hash);
            }
            Form::Sha256(hash) => mac.update(hash),
        }
        mac.update(password.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whether a password is the one that was hashed; takes the same time either way. Costs as much as its rounds: remember the answer.
    pub fn verify(&self, password: &str) -> bool {
        match &self.0 {
            Form::Pbkdf2 { rounds, salt, hash } => derive(password.as_bytes(), salt, *rounds).ct_eq(hash).into(),
            Form::Sha256(hash) => <[u8; 32]>::from(Sha256::digest(password.as_bytes())).ct_eq(hash).into(),
        }
    }
}

/// The first block of PBKDF2 with HMAC-SHA-256, which is all of a 32-byte key.
fn derive(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let Ok(keyed) = Hmac::<Sha256>::new_from_slice(password) else {
        return [0; 32];
    };
    let mut first = keyed.clone();
    first.update(salt);
    first.update(&1u32.to_be_bytes());
    let mut last: [u8; 32] = first.finalize().into_bytes().into();
    let mut key = last;
    for _ in 1..rounds {
        let mut next = keyed.clone();
        next.update(&last);
        last = next.finalize().into_bytes().into();
        key.iter_mut().zip(last).for_each(|(k, l)| *k ^= l);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn published_vectors() {
        // RFC 7914, section 11, first 32 of 64 bytes.
        assert_eq!(hex(&derive(b"passwd", b"salt", 1)), "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
        assert_eq!(hex(&derive(b"Password", b"NaCl", 80_000)), "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
    }

    #[test]
    fn a_hash_is_written_read_and_verified() {
        let text = PasswordHash::create("hunter2", b"saltsalt", 1000);
        let sha = "sha256:f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7";
        for text in [text.as_str(), sha] {
            let hash = PasswordHash::parse(text).unwrap();
            assert!(PasswordHash::is_one(text) && hash.verify("hunter2") && !hash.verify("hunter3"));
            assert_eq!(format!("{hash:?}"), "<secret>");
        }
        assert!(!PasswordHash::is_one("hunter2"));
        for bad in [
            "plain",
            "pbkdf2-sha256:",
            "pbkdf2-sha256:1:a:b",
            "pbkdf2-sha256:1000:c2FsdHNhbHQ=:AAAA",
            "pbkdf2-sha256:99999999999:x:y",
            "sha256:12",
            "sha256:é",
        ] {
            assert!(PasswordHash::parse(bad).is_err(), "{bad}");
        }
    }
}
