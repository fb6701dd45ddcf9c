//! Who may call: bearer tokens, basic credentials, and HMAC-signed bodies; compared in constant time, over the raw bytes.

mod check;
mod hashed;
mod session;
mod signature;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use subtle::ConstantTimeEq;

use self::check::{Checked, WRONG_PASSWORD, check};
use self::signature::{Signatures, Signing};
use crate::config::{Admission, CredentialKind, ServerSettings};
use crate::store::Author;

pub use crate::config::Scope;

/// One credential.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its name: part of `source`, shown in logs.
    pub name: String,
    /// What it is.
    pub kind: CredentialKind,
    /// What it opens; empty: everything.
    pub scopes: Vec<Scope>,
    /// The only channels that it may name, see and touch; empty: all.
    pub channels: Vec<String>,
}

impl Credential {
    /// Whether it opens what needs `scope`.
    pub fn opens(&self, scope: Scope) -> bool {
        opens(&self.scopes, scope)
    }
}

/// None: everything.
fn opens(scopes: &[Scope], scope: Scope) -> bool {
    scopes.is_empty() || scopes.contains(&scope) || scopes.contains(&Scope::Admin)
}

/// Who may call.
#[derive(Debug, Clone, Default)]
pub struct Auth {
    /// Any one admits; empty: everybody is admitted.
    pub credentials: Vec<Credential>,
    /// Without credentials, only the webhook is open.
    pub trial: bool,
    /// Direct paths need no credential.
    pub legacy_open: bool,
    /// Direct paths are used from these networks only (address, prefix length), with or without a credential; empty: from anywhere.
    pub legacy_allow: Vec<ipnet::IpNet>,
    /// What is known of hashed passwords.
    pub hashed: Arc<hashed::Hashed>,
}

/// Why a caller is not admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It did not show who it is; the reason.
    Credentials(&'static str),
    /// It may not do this.
    NotFor {
        /// The name of the credential that it showed; empty without one.
        who: String,
        /// The reason.
        why: String,
    },
    /// It may be shown by the body's signature, and the body was not read yet.
    Unread,
    /// Too many passwords wait to be checked.
    Busy,
}

impl Refusal {
    /// Somebody may not do this; `who` is the credential's name.
    pub(super) fn not_for(who: &str, why: impl Into<String>) -> Self {
        Self::NotFor { who: who.to_owned(), why: why.into() }
    }

    /// A credential is right and does not open what needs `scope`.
    fn lacks(credential: &Credential, scope: Scope) -> Self {
        let has: Vec<&str> = credential.scopes.iter().map(|scope| scope.as_str()).collect();
        let (name, needs) = (&credential.name, scope.as_str());
        let why = format!(
            "this needs the scope `{needs}`, and the credential `{name}` has {}; add it to its `scopes` in server.auth, or use another credential",
            has.join(", ")
        );
        Self::not_for(name, why)
    }
}

/// A caller that was admitted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The credential's name; empty without authentication.
    pub name: String,
    /// The only channels it may name, see and touch; empty: all.
    pub channels: Vec<String>,
    /// What it may do; empty: everything.
    pub scopes: Vec<Scope>,
    /// Whether it showed who it is by signing the body: then only the body is known to be its own.
    pub signed: bool,
    /// Its address and how it calls, for the audit.
    pub author: Author,
}

impl Caller {
    /// Who calls with a credential.
    pub fn of(credential: &Credential) -> Self {
        let (name, channels, scopes) = (credential.name.clone(), credential.channels.clone(), credential.scopes.clone());
        Self { name, channels, scopes, ..Self::default() }
    }

    /// Whether it may do what needs `scope` on all channels: who may not learns no secret by which anybody can.
    pub fn may_everywhere(&self, scope: Scope) -> bool {
        opens(&self.scopes, scope) && !self.is_limited()
    }

    /// Whether some channels are not for it.
    pub fn is_limited(&self) -> bool {
        !self.channels.is_empty()
    }

    /// Whether it may name, see and touch the channel.
    pub fn may_use(&self, channel: &str) -> bool {
        self.channels.is_empty() || self.channels.iter().any(|c| c == channel)
    }
}

impl Auth {
    /// Who may call, as the configuration says.
    pub fn new(server: &ServerSettings) -> Self {
        let credentials = match &server.auth {
            Admission::Open | Admission::Unsaid => Vec::new(),
            Admission::Credentials(list) => list
                .iter()
                .map(|c| Credential {
                    name: c.name.to_string(),
                    kind: c.kind.clone(),
                    scopes: c.scopes.iter().copied().collect(),
                    channels: c.channels.iter().flatten().cloned().collect(),
                })
                .collect(),
        };
        Self {
            credentials,
            // A first try in a container: what its channels write is for the terminal only, and stays there.
            trial: matches!(server.auth, Admission::Unsaid) && !server.listen.ip().is_loopback(),
            legacy_open: server.legacy_open,
            legacy_allow: server.legacy_allow.clone(),
            hashed: Arc::default(),
        }
    }

    /// Begins to compute what signatures over this request's body must be, one for each secret that may have made the one it brings.
    pub fn signed(&self, headers: &HeaderMap) -> Signing {
        signature::begin(&self.credentials, headers)
    }

    /// Admits a caller or says why not. `signatures` are those of the raw body as it was sent ([`Auth::signed`]); without them, a caller that only
    /// a signature could admit is [`Refusal::Unread`]. `now` is in Unix seconds.
    pub async fn admit(
        &self,
        scope: Scope,
        headers: &HeaderMap,
        signatures: Option<&Signatures>,
        peer: Option<IpAddr>,
        now: i64,
    ) -> Result<Caller, Refusal> {
        if scope == Scope::Legacy {
            let inside = |ip: IpAddr| self.legacy_allow.is_empty() || self.legacy_allow.iter().any(|net| net.contains(&ip.to_canonical()));
            if !peer.is_none_or(inside) {
                return Err(Refusal::not_for("", OUTSIDE));
            }
            if self.legacy_open {
                return Ok(Caller::default());
            }
        }
        if self.trial && scope != Scope::Webhook {
            let why = format!(
                "others can reach this server and it has no credentials, so only the webhook is open; add a credential with the scope `{}` under \
                 server.auth, or listen on 127.0.0.1",
                scope.as_str()
            );
            return Err(Refusal::not_for("", why));
        }
        if self.credentials.is_empty() {
            return Ok(Caller::default());
        }
        let (mut known, mut elsewhere, mut unread) = (None, false, false);
        let signed = self.credentials.iter().all(|c| matches!(c.kind, CredentialKind::Hmac { .. }));
        let mut why = if signed { NO_SIGNATURE } else { "credentials are missing: send `Authorization: Bearer <token>` or basic credentials" };
        for credential in &self.credentials {
            let verdict = match check(credential, headers, signatures, now) {
                Checked::Hashed(hash, password) => match self.hashed.verify(hash, &password).await {
                    Some(true) => Checked::Right,
                    Some(false) => Checked::Wrong(WRONG_PASSWORD),
                    None => return Err(Refusal::Busy),
                },
                checked => checked,
            };
            match verdict {
                // A signature covers the body alone: anybody who has seen one could replay it to another path.
                Checked::Right if matches!(credential.kind, CredentialKind::Hmac { .. }) && scope != Scope::Webhook => elsewhere = true,
                Checked::Right if credential.opens(scope) => {
                    let signed = matches!(credential.kind, CredentialKind::Hmac { .. });
                    return Ok(Caller { signed, ..Caller::of(credential) });
                }
                Checked::Right => known = Some(credential),
                Checked::Wrong(reason) => why = reason,
                Checked::Unread => unread = true,
                Checked::Absent | Checked::Hashed(..) => {}
            }
        }
        if unread {
            return Err(Refusal::Unread);
        }
        if elsewhere {
            let why = "a signature covers the body and not the path, so it opens the webhooks only; use a bearer token here";
            return Err(Refusal::not_for("", why));
        }
        if let Some(credential) = known {
            return Err(Refusal::lacks(credential, scope));
        }
        Err(Refusal::Credentials(why))
    }
}

/// Why a caller from another network may not use the direct paths.
pub(super) const OUTSIDE: &str = "this address is not in legacy.allow_ips";
const NO_SIGNATURE: &str = "the signature is missing: set the sender's HMAC secret, and the header that `hmac.header` in routes.yaml names";

/// Compares in constant time.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
