//! What ties a login to the secret that made it.

use std::net::IpAddr;

use axum::http::HeaderMap;
use sha2::{Digest, Sha256};

use super::{Auth, Credential};
use crate::config::{CredentialKind, Password};

/// The longest name of a person, in characters.
const MAX_NAME: usize = 60;

impl Auth {
    /// The credential of this name.
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.iter().find(|credential| credential.name == name)
    }

    /// Whom a reverse proxy names, with the credential that trusts it. `direct` is who the connection is from, whatever any header says.
    pub fn by_proxy(&self, headers: &HeaderMap, direct: Option<IpAddr>) -> Option<(String, &Credential)> {
        let direct = direct?.to_canonical();
        self.credentials.iter().find_map(|credential| {
            let CredentialKind::Proxy { header, from } = &credential.kind else { return None };
            // Of two headers one is not the proxy's.
            let mut values = headers.get_all(header.as_str()).iter();
            let (Some(value), None) = (values.next(), values.next()) else { return None };
            let name: String = value.to_str().ok()?.trim().chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
            (!name.is_empty() && from.iter().any(|network| network.contains(&direct))).then_some((name, credential))
        })
    }
}

impl Credential {
    /// SHA-256 of a login's id and this credential's secret: another secret ends the login. `None` for what signs bodies and for proxies, which have none.
    pub fn seal(&self, id: &[u8; 32]) -> Option<[u8; 32]> {
        let seal = Sha256::new().chain_update(id);
        let sealed = match &self.kind {
            CredentialKind::Bearer(token) => seal.chain_update([0]).chain_update(token.expose()),
            CredentialKind::Basic { username, password } => {
                let seal = seal.chain_update([1]).chain_update(username).chain_update([0]);
                match password {
                    Password::Plain(secret) => seal.chain_update([0]).chain_update(secret.expose()),
                    Password::Hashed(hash) => seal.chain_update([1]).chain_update(hash.tag(id, "")),
                }
            }
            CredentialKind::Hmac { .. } | CredentialKind::Proxy { .. } => return None,
        };
        Some(sealed.finalize().into())
    }
}
