//! Passwords that are hashed in the configuration: PHC strings of Argon2id, `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`
//! (<https://www.rfc-editor.org/rfc/rfc9106>, <https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md>).

use std::sync::Arc;

use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Memory (KiB) that one check may take.
const MAX_MEMORY: u32 = 64 * 1024;
/// Memory (KiB) times passes that one check may cost: about half a second.
const MAX_WORK: u64 = 256 * 1024;

/// A hashed password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Arc<argon2::PasswordHash>);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

impl PasswordHash {
    /// Whether a text is meant as a hash, of whatever algorithm.
    pub fn is_one(text: &str) -> bool {
        text.starts_with('$') && text.matches('$').count() >= 3
    }

    /// Reads a hash; the error says what is wrong without repeating it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.starts_with("$argon2id$") {
            return Err("it is not an Argon2id hash");
        }
        let hash = argon2::PasswordHash::new(text).map_err(|_| "it is not a complete PHC string")?;
        let params = Params::try_from(&hash).map_err(|_| "its parameters are not valid")?;
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err("it has no salt or no hash");
        }
        if params.m_cost() > MAX_MEMORY || u64::from(params.m_cost()) * u64::from(params.t_cost()) > MAX_WORK {
            return Err("each check would cost more than 64 MiB of memory, or m times t more than 262144");
        }
        Ok(Self(Arc::new(hash)))
    }

    /// Hashes a password for the configuration: the text that [`Self::parse`] reads. `salt` is random; `params` are [`Params::DEFAULT`], which OWASP
    /// recommends: <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>.
    pub fn create(password: &str, salt: &[u8; 16], params: Params) -> Result<String, argon2::password_hash::Error> {
        Ok(Argon2::from(params).hash_password_with_salt(password.as_bytes(), salt)?.to_string())
    }

    /// A keyed hash of this hash and a password, quick to compute: a correct password is remembered by it without being kept.
    pub fn tag(&self, key: &[u8], password: &str) -> [u8; 32] {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            return [0; 32];
        };
        let hash = self.0.to_string();
        mac.update(&(hash.len() as u64).to_be_bytes());
        mac.update(hash.as_bytes());
        mac.update(password.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whether a password is the one that was hashed; takes the same time either way. Costs what its parameters say: remember the answer.
    pub fn verify(&self, password: &str) -> bool {
        Argon2::default().verify_password(password.as_bytes(), &*self.0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_hash_is_verified() {
        // Made by the reference implementation: `echo -n password | argon2 somesalt -id -t 2 -k 256 -p 1 -e`, its test vector.
        let hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let hash = PasswordHash::parse(hash).unwrap();
        assert!(hash.verify("password") && !hash.verify("Password"));
    }

    #[test]
    fn a_hash_is_written_read_and_verified() {
        let text = PasswordHash::create("hunter2", b"salt of the test", Params::new(8, 1, 1, None).unwrap()).unwrap();
        let hash = PasswordHash::parse(&text).unwrap();
        assert!(PasswordHash::is_one(&text) && hash.verify("hunter2") && !hash.verify("hunter3"));
        assert_eq!(format!("{hash:?}"), "<secret>");
        assert_ne!(hash.tag(b"key", "hunter2"), hash.tag(b"key", "hunter3"));
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_is_refused() {
        assert!(!PasswordHash::is_one("hunter2") && !PasswordHash::is_one("$money$"));
        let tail = "$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        for bad in [
            "plain".to_owned(),
            "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW".into(),
            format!("$argon2i$v=19$m=256,t=2,p=1{tail}"),
            "$argon2id$v=19$m=256,t=2,p=1".into(),
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ".into(),
            format!("$argon2id$v=19$m=1,t=2,p=1{tail}"),
            format!("$argon2id$v=19$m=65537,t=1,p=1{tail}"),
            format!("$argon2id$v=19$m=65536,t=5,p=1{tail}"),
        ] {
            assert!(PasswordHash::parse(&bad).is_err(), "{bad}");
        }
        assert!(PasswordHash::parse(&format!("$argon2id$v=19$m=65536,t=4,p=1{tail}")).is_ok());
    }
}
