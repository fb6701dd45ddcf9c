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

use crate::config::{Admission, CredentialKind, Password, PasswordHash, ServerSettings};
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
    /// The only channels that it may name, see and touch; empty: all.
    pub channels: Vec<String>,
}

impl Credential {
    /// Whether it opens what needs `scope`.
    pub fn opens(&self, scope: Scope) -> bool {
        self.scopes.is_empty() || self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
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
    /// It did, and may not do this; the reason.
    NotFor(String),
    /// It may be shown by the body's signature, and the body was not read yet.
    Unread,
    /// Too many passwords wait to be checked.
    Busy,
}

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

/// A caller that was admitted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The credential's name; empty without authentication.
    pub name: String,
    /// The only channels it may name, see and touch; empty: all.
    pub channels: Vec<String>,
    /// Whether it showed who it is by signing the body: then only the body is known to be its own.
    pub signed: bool,
}

impl Caller {
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
            // A first try in a container: what its channels write is for the terminal only, and stays there.
            trial: matches!(server.auth, Admission::Unsaid) && !server.listen.ip().is_loopback(),
            legacy_open: server.legacy_open,
            legacy_allow: server.legacy_allow.clone(),
            hashed: Arc::default(),
        }
    }

    /// Begins to compute what signatures over this request's body must be, one for each secret that may have made the one it brings.
    pub fn signed(&self, headers: &HeaderMap) -> Signing {
        let mut macs = Vec::new();
        for credential in &self.credentials {
            let Kind::Hmac { secrets, header, timestamp_header } = &credential.kind else { continue };
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
                return Err(Refusal::NotFor(OUTSIDE.into()));
            }
            if self.legacy_open {
                return Ok(Caller::default());
            }
        }
        if self.trial && scope != Scope::Webhook {
            return Err(Refusal::NotFor(format!(
                "others can reach this server and it has no credentials, so only the webhook is open; add a credential with the scope `{}` under \
                 server.auth, or listen on 127.0.0.1",
                scope.as_str()
            )));
        }
        if self.credentials.is_empty() {
            return Ok(Caller::default());
        }
        let (mut known, mut elsewhere, mut unread) = (None, false, false);
        let signed = self.credentials.iter().all(|c| matches!(c.kind, Kind::Hmac { .. }));
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
                Checked::Right if matches!(credential.kind, Kind::Hmac { .. }) && scope != Scope::Webhook => elsewhere = true,
                Checked::Right if credential.opens(scope) => {
                    let signed = matches!(credential.kind, Kind::Hmac { .. });
                    return Ok(Caller { name: credential.name.clone(), channels: credential.channels.clone(), signed });
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
            return Err(Refusal::NotFor(
                "a signature covers the body and not the path, so it opens the webhooks only; use a bearer token here".into(),
            ));
        }
        if let Some(credential) = known {
            let has: Vec<&str> = credential.scopes.iter().map(|scope| scope.as_str()).collect();
            let (name, needs) = (&credential.name, scope.as_str());
            return Err(Refusal::NotFor(format!(
                "this needs the scope `{needs}`, and the credential `{name}` has {}; add it to its `scopes` in server.auth, or use another credential",
                has.join(", ")
            )));
        }
        Err(Refusal::Credentials(why))
    }
}

/// Why a caller from another network may not use the direct paths.
pub(super) const OUTSIDE: &str = "this address is not in legacy.allow_ips";
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
    /// It is right if the body's signature is.
    Unread,
    /// It is right if this is the hash of that password.
    Hashed(&'a PasswordHash, String),
}

fn check<'a>(credential: &'a Credential, headers: &HeaderMap, signatures: Option<&Signatures>, now: i64) -> Checked<'a> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    match &credential.kind {
        Kind::Bearer(token) => match authorization.and_then(|v| strip_scheme(v, "bearer")) {
            Some(given) if same(given.as_bytes(), token.expose().as_bytes()) => Checked::Right,
            Some(_) => Checked::Wrong("the bearer token is not known here; compare it with server.auth in routes.yaml"),
            None => Checked::Absent,
        },
        Kind::Basic { username, password } => match authorization.and_then(|v| strip_scheme(v, "basic")) {
            Some(given) => basic(given, username, password).unwrap_or_else(Checked::Wrong),
            None => Checked::Absent,
        },
        Kind::Hmac { header, timestamp_header, .. } => match headers.get(header.as_str()).and_then(|v| v.to_str().ok()) {
            Some(given) => match may_be_signed(given, timestamp_header.as_deref(), headers, now) {
                Err(why) => Checked::Wrong(why),
                Ok(()) => signatures.map_or(Checked::Unread, |signatures| {
                    let mut ok = false;
                    for (_, right) in signatures.0.iter().filter(|(name, _)| *name == credential.name) {
                        ok |= same(right.as_bytes(), given.as_bytes());
                    }
                    if ok { Checked::Right } else { Checked::Wrong("the body's signature does not match") }
                }),
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

/// What can be said of a signature before the body is read: whether it has the form of one, and its time.
fn may_be_signed(given: &str, timestamp_header: Option<&str>, headers: &HeaderMap, now: i64) -> Result<(), &'static str> {
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn auth(kind: Kind) -> Auth {
        Auth { credentials: vec![Credential { name: "one".into(), kind, scopes: vec![], channels: vec![] }], ..Auth::default() }
    }

    /// The signatures of a body, as they are when all of it was read.
    fn of(auth: &Auth, headers: &HeaderMap, body: &[u8]) -> Signatures {
        let mut signing = auth.signed(headers);
        body.chunks(1).for_each(|piece| signing.update(piece));
        signing.end()
    }

    fn header(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[tokio::test]
    async fn bearer_and_basic() {
        let bearer = auth(Kind::Bearer(Secret::new("t0ken")));
        assert_eq!(bearer.admit(Scope::Webhook, &header("authorization", "bearer t0ken"), None, None, 0).await.unwrap().name, "one");
        assert!(bearer.admit(Scope::Webhook, &header("authorization", "Bearer t0keN"), None, None, 0).await.is_err());
        assert!(bearer.admit(Scope::Webhook, &HeaderMap::new(), None, None, 0).await.is_err());
        let hash = PasswordHash::create("pw", b"salt of the test", argon2::Params::new(8, 1, 1, None).unwrap()).unwrap();
        for password in [Password::Plain(Secret::new("pw")), Password::Hashed(PasswordHash::parse(&hash).unwrap())] {
            let basic = auth(Kind::Basic { username: "grafana".into(), password });
            let given = |text: &str| header("authorization", &format!("Basic {}", STANDARD.encode(text)));
            assert!(basic.admit(Scope::Webhook, &given("grafana:pw"), None, None, 0).await.is_ok());
            assert!(basic.admit(Scope::Webhook, &given("grafana:no"), None, None, 0).await.is_err());
            assert!(basic.admit(Scope::Webhook, &given("nobody:pw"), None, None, 0).await.is_err());
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
        assert_eq!(plain.admit(Scope::Webhook, &headers, None, None, 0).await, Err(Refusal::Unread), "it takes the body to tell");
        for hopeless in [HeaderMap::new(), header("x-grafana-alerting-signature", "00"), header("x-grafana-alerting-signature", &"z".repeat(64))] {
            let told = plain.admit(Scope::Webhook, &hopeless, None, None, 0).await;
            assert!(matches!(told, Err(Refusal::Credentials(_))), "refused before a body is read: {told:?}");
        }
        assert!(plain.admit(Scope::Webhook, &headers, Some(&of(&plain, &headers, b"{}")), None, 0).await.is_ok());
        assert!(plain.admit(Scope::Webhook, &headers, Some(&of(&plain, &headers, b"{ }")), None, 0).await.is_err());
        let signed = Some(of(&plain, &headers, b"{}"));
        assert!(plain.admit(Scope::Webhook, &headers, signed.as_ref(), None, 0).await.unwrap().signed);
        let elsewhere = plain.admit(Scope::Read, &headers, signed.as_ref(), None, 0).await;
        assert!(matches!(&elsewhere, Err(Refusal::NotFor(why)) if why.contains("not the path")), "{elsewhere:?}");
        let stamped = auth(kind(Some("x-stamp")));
        let mut headers = header("x-grafana-alerting-signature", &sign("1000:{}"));
        headers.insert("x-stamp", HeaderValue::from_static("1000"));
        assert!(stamped.admit(Scope::Webhook, &headers, Some(&of(&stamped, &headers, b"{}")), None, 1299).await.is_ok());
        assert!(stamped.admit(Scope::Webhook, &headers, Some(&of(&stamped, &headers, b"{}")), None, 1301).await.is_err());
        assert_eq!(stamped.admit(Scope::Webhook, &headers, None, None, 1299).await, Err(Refusal::Unread));
        assert!(matches!(stamped.admit(Scope::Webhook, &headers, None, None, 1301).await, Err(Refusal::Credentials(_))), "a stale one costs no body");
        headers.remove("x-stamp");
        assert!(stamped.admit(Scope::Webhook, &headers, Some(&of(&stamped, &headers, b"{}")), None, 1000).await.is_err());
    }

    #[tokio::test]
    async fn scopes_and_open_legacy_paths() {
        let mut auth = auth(Kind::Bearer(Secret::new("t0ken")));
        auth.credentials[0].scopes = vec![Scope::Webhook];
        let given = header("authorization", "Bearer t0ken");
        assert!(matches!(auth.admit(Scope::Read, &given, None, None, 0).await, Err(Refusal::NotFor(_))));
        auth.legacy_open = true;
        auth.legacy_allow = vec!["10.0.0.0/8".parse().unwrap()];
        assert!(auth.admit(Scope::Legacy, &HeaderMap::new(), None, "10.1.2.3".parse().ok(), 0).await.is_ok());
        assert!(auth.admit(Scope::Legacy, &HeaderMap::new(), None, "11.1.2.3".parse().ok(), 0).await.is_err());
        assert!(auth.admit(Scope::Legacy, &HeaderMap::new(), None, "::ffff:10.1.2.3".parse().ok(), 0).await.is_ok());
        // The networks hold for who shows a credential, too.
        (auth.legacy_open, auth.credentials[0].scopes) = (false, vec![]);
        assert!(auth.admit(Scope::Legacy, &given, None, "10.1.2.3".parse().ok(), 0).await.is_ok());
        assert_eq!(auth.admit(Scope::Legacy, &given, None, "11.1.2.3".parse().ok(), 0).await, Err(Refusal::NotFor(OUTSIDE.into())));
        assert!(auth.admit(Scope::Legacy, &HeaderMap::new(), None, "10.1.2.3".parse().ok(), 0).await.is_err());
        assert!(auth.admit(Scope::Webhook, &given, None, "11.1.2.3".parse().ok(), 0).await.is_ok());
    }
}
