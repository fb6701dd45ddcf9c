//! What ties a login to the secret that made it.

use sha2::{Digest, Sha256};

use super::{Auth, Credential, Kind};
use crate::config::Password;

impl Auth {
    /// The credential of this name.
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.name == name)
    }
}

impl Credential {
    /// SHA-256 of a login's id and this credential's secret: it ends the login that the secret changes. `None` for what signs bodies, which logs nobody in.
    pub fn seal(&self, id: &[u8; 32]) -> Option<[u8; 32]> {
        let seal = Sha256::new().chain_update(id);
        let sealed = match &self.kind {
            Kind::Bearer(token) => seal.chain_update([0]).chain_update(token.expose()),
            Kind::Basic { username, password } => {
                let seal = seal.chain_update([1]).chain_update(username).chain_update([0]);
                match password {
                    Password::Plain(secret) => seal.chain_update([0]).chain_update(secret.expose()),
                    Password::Hashed(hash) => seal.chain_update([1]).chain_update(hash.tag(id, "")),
                }
            }
            Kind::Hmac { .. } => return None,
        };
        Some(sealed.finalize().into())
    }
}
