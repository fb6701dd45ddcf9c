//! Who may call: bearer tokens, basic credentials, and HMAC-signed bodies; compared in constant time, over the raw bytes.

mod hashed;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::config::{Admission, CredentialKind, Network, Password, PasswordHash, ServerSettings};
use crate::model::Secret;

/// How far a signed timestamp may be off, in seconds.
const SIGNATURE_WINDOW: u64 = 300;

pub use crate::config::Scope;

/// A kind of credential.
#[derive(Debug, Clone)]
pub enum Kind {
    /// `Authorization: Bearer <token>`.
    Bearer(Secret),
    /// `Authorization: Basic`; the password in plain or hashed.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Password,
    },
    /// Grafana's signature: lower-case hex of HMAC-SHA256 over the body, or over `<unix seconds>:<body>` when a timestamp header is named.
    Hmac {
        /// Any of these verifies (rotation).
        secrets: Vec<Secret>,
        /// Header that holds the signature.
        header: String,
        /// Header that holds the timestamp.
        timestamp_header: Option<String>,
    },
}

/// One credential.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its name: part of `source`, shown in logs.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What it opens; empty: everything.
    pub scopes: Vec<Scope>,
    /// Channels it may name with `?to=` and direct calls; empty: all.
    pub channels: Vec<String>,
}

/// Who may call.
#[derive(Debug, Clone, Default)]
pub struct Auth {
    /// Any one admits; empty: everybody is admitted.
    pub credentials: Vec<Credential>,
    /// Direct paths need no credential.
    pub legacy_open: bool,
    /// With `legacy_open`: only from these networks (address, prefix length); empty: from anywhere.
    pub legacy_allow: Vec<(IpAddr, u8)>,
    /// What is known of hashed passwords.
    pub hashed: Arc<hashed::Hashed>,
}

/// Why a caller is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It did not show who it is; the reason.
    Credentials(&'static str),
    /// It did, and may not do this; the reason.
    NotFor(&'static str),
    /// Too many passwords wait to be checked.
    Busy,
}

/// A caller that was admitted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The credential's name; empty without authentication.
    pub name: String,
    /// Channels it may name; empty: all.
    pub channels: Vec<String>,
}

impl Caller {
    /// Whether it may send to the channel by name.
    pub fn may_use(&self, channel: &str) -> bool {
        self.channels.is_empty() || self.channels.iter().any(|c| c == channel)
    }
}

impl Auth {
    /// Who may call, as the configuration says.
    pub fn new(server: &ServerSettings) -> Self {
        let credentials = match &server.auth {
            Admission::Open => Vec::new(),
            Admission::Credentials(list) => list
                .iter()
                .map(|c| Credential {
                    name: c.name.to_string(),
                    kind: match &c.kind {
                        CredentialKind::Bearer(token) => Kind::Bearer(token.clone()),
                        CredentialKind::Basic { username, password } => Kind::Basic { username: username.clone(), password: password.clone() },
                        CredentialKind::Hmac { secrets, header, timestamp_header } => {
                            Kind::Hmac { secrets: secrets.clone(), header: header.clone(), timestamp_header: timestamp_header.clone() }
                        }
                    },
                    scopes: c.scopes.iter().copied().collect(),
                    channels: c.channels.iter().flatten().cloned().collect(),
                })
                .collect(),
        };
        Self {
            credentials,
            legacy_open: server.legacy_open,
            legacy_allow: server.legacy_allow.iter().map(Network::parts).collect(),
            hashed: Arc::default(),
        }
    }

    /// Whether the body must be read before this caller is known: it brings a signature.
    pub fn needs_body(&self, headers: &HeaderMap) -> bool {
        self.credentials.iter().any(|c| matches!(&c.kind, Kind::Hmac { header, .. } if headers.contains_key(header.as_str())))
    }

    /// Admits a caller or says why not; `body` are the raw bytes as they were sent, `now` Unix seconds.
    pub async fn admit(&self, scope: Scope, headers: &HeaderMap, body: &[u8], peer: Option<IpAddr>, now: i64) -> Result<Caller, Refusal> {
        if scope == Scope::Legacy && self.legacy_open {
            let inside = |ip: IpAddr| self.legacy_allow.is_empty() || self.legacy_allow.iter().any(|net| contains(*net, ip));
            if peer.is_none_or(inside) {
                return Ok(Caller::default());
            }
            if self.credentials.is_empty() {
                return Err(Refusal::NotFor("this address is not in legacy.allow_ips"));
            }
        }
        if self.credentials.is_empty() {
            return Ok(Caller::default());
        }
        let mut known = false;
        let signed = self.credentials.iter().all(|c| matches!(c.kind, Kind::Hmac { .. }));
        let mut why = if signed { NO_SIGNATURE } else { "credentials are missing: send `Authorization: Bearer <token>` or basic credentials" };
        for credential in &self.credentials {
            let verdict = match check(&credential.kind, headers, body, now) {
                Checked::Hashed(hash, password) => match self.hashed.verify(hash, &password).await {
                    Some(true) => Checked::Right,
                    Some(false) => Checked::Wrong(WRONG_PASSWORD),
                    None => return Err(Refusal::Busy),
                },
                checked => checked,
            };
            match verdict {
                Checked::Right if credential.scopes.is_empty() || credential.scopes.contains(&scope) => {
                    return Ok(Caller { name: credential.name.clone(), channels: credential.channels.clone() });
                }
                Checked::Right => known = true,
                Checked::Wrong(reason) => why = reason,
                Checked::Absent | Checked::Hashed(..) => {}
            }
        }
        if known {
            return Err(Refusal::NotFor("these credentials are not for this path (see `scopes` of the credential)"));
        }
        Err(Refusal::Credentials(why))
    }
}

const NO_SIGNATURE: &str = "the signature is missing: set the sender's HMAC secret, and the header that `hmac.header` in routes.yaml names";
const WRONG_PASSWORD: &str = "the user name or password is wrong; compare them with server.auth in routes.yaml";

/// What a request says about one credential.
enum Checked<'a> {
    /// Nothing.
    Absent,
    /// It is right.
    Right,
    /// It is wrong, and why.
    Wrong(&'static str),
    /// It is right if this is the hash of that password.
    Hashed(&'a PasswordHash, String),
}

fn check<'a>(kind: &'a Kind, headers: &HeaderMap, body: &[u8], now: i64) -> Checked<'a> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    match kind {
        Kind::Bearer(token) => match authorization.and_then(|v| strip_scheme(v, "bearer")) {
            Some(given) if same(given.as_bytes(), token.expose().as_bytes()) => Checked::Right,
            Some(_) => Checked::Wrong("the bearer token is not known here; compare it with server.auth in routes.yaml"),
            None => Checked::Absent,
        },
        Kind::Basic { username, password } => match authorization.and_then(|v| strip_scheme(v, "basic")) {
            Some(given) => basic(given, username, password).unwrap_or_else(Checked::Wrong),
            None => Checked::Absent,
        },
        Kind::Hmac { secrets, header, timestamp_header } => match headers.get(header.as_str()).and_then(|v| v.to_str().ok()) {
            Some(given) => signed(given, secrets, timestamp_header.as_deref(), headers, body, now).map_or_else(Checked::Wrong, |()| Checked::Right),
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

fn signed(given: &str, secrets: &[Secret], timestamp_header: Option<&str>, headers: &HeaderMap, body: &[u8], now: i64) -> Result<(), &'static str> {
    let prefix = match timestamp_header {
        Some(name) => {
            let stamp = headers.get(name).and_then(|v| v.to_str().ok()).ok_or("the signature's timestamp header is missing")?;
            let seconds: i64 = stamp.parse().map_err(|_| "the signature's timestamp is not a Unix time in seconds")?;
            if now.abs_diff(seconds) > SIGNATURE_WINDOW {
                return Err("the signature's timestamp is more than 5 minutes off; compare the clocks");
            }
            format!("{stamp}:")
        }
        None => String::new(),
    };
    let mut ok = false;
    for secret in secrets {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { continue };
        mac.update(prefix.as_bytes());
        mac.update(body);
        ok |= same(hex(&mac.finalize().into_bytes()).as_bytes(), given.as_bytes());
    }
    if ok { Ok(()) } else { Err("the body's signature does not match") }
}

fn strip_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, rest) = value.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether an address lies in a network.
pub fn contains((net, prefix): (IpAddr, u8), ip: IpAddr) -> bool {
    match (net, ip.to_canonical()) {
        (IpAddr::V4(net), IpAddr::V4(ip)) => {
            let shift = 32 - u32::from(prefix.min(32));
            shift == 32 || u32::from(net) >> shift == u32::from(ip) >> shift
        }
        (IpAddr::V6(net), IpAddr::V6(ip)) => {
            let shift = 128 - u32::from(prefix.min(128));
            shift == 128 || u128::from(net) >> shift == u128::from(ip) >> shift
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn auth(kind: Kind) -> Auth {
        Auth { credentials: vec![Credential { name: "one".into(), kind, scopes: vec![], channels: vec![] }], ..Auth::default() }
    }

    fn header(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[tokio::test]
    async fn bearer_and_basic() {
        let bearer = auth(Kind::Bearer(Secret::new("t0ken")));
        assert_eq!(bearer.admit(Scope::Webhook, &header("authorization", "bearer t0ken"), b"", None, 0).await.unwrap().name, "one");
        assert!(bearer.admit(Scope::Webhook, &header("authorization", "Bearer t0keN"), b"", None, 0).await.is_err());
        assert!(bearer.admit(Scope::Webhook, &HeaderMap::new(), b"", None, 0).await.is_err());
        let hash = PasswordHash::create("pw", b"salt-salt", 1000);
        for password in [Password::Plain(Secret::new("pw")), Password::Hashed(PasswordHash::parse(&hash).unwrap())] {
            let basic = auth(Kind::Basic { username: "grafana".into(), password });
            let given = |text: &str| header("authorization", &format!("Basic {}", STANDARD.encode(text)));
            assert!(basic.admit(Scope::Webhook, &given("grafana:pw"), b"", None, 0).await.is_ok());
            assert!(basic.admit(Scope::Webhook, &given("grafana:no"), b"", None, 0).await.is_err());
            assert!(basic.admit(Scope::Webhook, &given("nobody:pw"), b"", None, 0).await.is_err());
        }
    }

    #[tokio::test]
    async fn grafana_signatures_with_rotation_and_a_window() {
        let secrets = vec![Secret::new("old"), Secret::new("new")];
        let kind = |stamp: Option<&str>| Kind::Hmac {
            secrets: secrets.clone(),
            header: "x-grafana-alerting-signature".into(),
            timestamp_header: stamp.map(Into::into),
        };
        let sign = |text: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"new").unwrap();
            mac.update(text.as_bytes());
            hex(&mac.finalize().into_bytes())
        };
        let plain = auth(kind(None));
        let headers = header("x-grafana-alerting-signature", &sign("{}"));
        assert!(plain.needs_body(&headers) && !plain.needs_body(&HeaderMap::new()), "who brings no signature is refused before a body is read");
        assert!(plain.admit(Scope::Webhook, &headers, b"{}", None, 0).await.is_ok());
        assert!(plain.admit(Scope::Webhook, &headers, b"{ }", None, 0).await.is_err());
        let stamped = auth(kind(Some("x-stamp")));
        let mut headers = header("x-grafana-alerting-signature", &sign("1000:{}"));
        headers.insert("x-stamp", HeaderValue::from_static("1000"));
        assert!(stamped.admit(Scope::Webhook, &headers, b"{}", None, 1299).await.is_ok());
        assert!(stamped.admit(Scope::Webhook, &headers, b"{}", None, 1301).await.is_err());
        headers.remove("x-stamp");
        assert!(stamped.admit(Scope::Webhook, &headers, b"{}", None, 1000).await.is_err());
    }

    #[tokio::test]
    async fn scopes_and_open_legacy_paths() {
        let mut auth = auth(Kind::Bearer(Secret::new("t0ken")));
        auth.credentials[0].scopes = vec![Scope::Webhook];
        let given = header("authorization", "Bearer t0ken");
        assert!(matches!(auth.admit(Scope::Api, &given, b"", None, 0).await, Err(Refusal::NotFor(_))));
        auth.legacy_open = true;
        auth.legacy_allow = vec![("10.0.0.0".parse().unwrap(), 8)];
        assert!(auth.admit(Scope::Legacy, &HeaderMap::new(), b"", "10.1.2.3".parse().ok(), 0).await.is_ok());
        assert!(auth.admit(Scope::Legacy, &HeaderMap::new(), b"", "11.1.2.3".parse().ok(), 0).await.is_err());
        assert!(auth.admit(Scope::Legacy, &HeaderMap::new(), b"", "::ffff:10.1.2.3".parse().ok(), 0).await.is_ok());
    }
}
