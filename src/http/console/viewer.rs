//! Who looks at the console and what they may do: by a login, or anybody where no credential is asked for.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::counts::Counts;
use super::failure::Failure;
use super::manner::{Manner, cookie};
use crate::http::admission::peer;
use crate::http::auth::Credential;
use crate::http::origin::{host, names_this_server};
use crate::http::{App, Caller, Scope};
use crate::store::Author;

/// The cookie of a login on https; the prefix binds it to this host.
pub(super) const SECURE_COOKIE: &str = "__Host-wf";
/// The same on plain http.
pub(super) const PLAIN_COOKIE: &str = "wf";
/// A login in use is marked as such no more often than this.
const TOUCH_AFTER_MS: i64 = 5 * 60_000;

/// Who looks, and how they want pages.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) manner: Manner,
    /// The credential, the channels it is limited to, and how it comes.
    pub(super) caller: Caller,
    /// Whether it may act.
    pub(super) operates: bool,
    /// Whether it may do everything.
    pub(super) administers: bool,
    /// The key of the login; `None` where nobody has to log in.
    pub(super) login: Option<[u8; 32]>,
    /// What the navigation counts.
    pub(super) counts: Counts,
}

impl Viewer {
    fn new(app: &App, manner: Manner, caller: Caller, credential: &Credential, login: Option<[u8; 32]>) -> Self {
        let counts = Counts::of(app, &caller);
        Self { manner, caller, operates: credential.opens(Scope::Operate), administers: credential.opens(Scope::Admin), login, counts }
    }

    /// Refuses who may not act.
    pub(super) fn may_operate(&self) -> Result<(), Failure> {
        self.has(self.operates, "operate")
    }

    /// Refuses who may not do everything.
    pub(super) fn may_administer(&self) -> Result<(), Failure> {
        self.has(self.administers, "admin")
    }

    fn has(&self, may: bool, scope: &str) -> Result<(), Failure> {
        if may {
            return Ok(());
        }
        let why =
            format!("this needs the scope `{scope}`, which the credential `{}` has not; add it to its `scopes` in server.auth", self.caller.name);
        Err(Failure::new(StatusCode::FORBIDDEN, why))
    }

    /// Refuses who sees some channels only: what is asked for shows all of them.
    pub(super) fn sees_all(&self) -> Result<(), Failure> {
        if !self.caller.is_limited() {
            return Ok(());
        }
        let why =
            format!("this shows alerts of all channels, and the credential `{}` is limited to {}", self.caller.name, self.caller.channels.join(", "));
        Err(Failure::new(StatusCode::FORBIDDEN, why))
    }
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let manner = Manner::of_parts(app, parts);
        let settings = app.settings.load_full();
        let auth = &settings.auth;
        let mut author = origin(app, parts);
        if auth.trial {
            let why = "others can reach this server and it has no credentials, so the console is closed; add a credential with the scope `read` under \
                       server.auth, or listen on 127.0.0.1";
            return Err(Failure::new(StatusCode::FORBIDDEN, why));
        }
        if auth.credentials.is_empty() {
            of_this_server(app, parts)?;
            let caller = Caller { author, ..Caller::default() };
            let counts = Counts::of(app, &caller);
            return Ok(Self { manner, caller, operates: true, administers: true, login: None, counts });
        }
        let direct = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|connection| connection.0.ip());
        if let Some((name, credential)) = auth.by_proxy(&parts.headers, direct) {
            if !credential.opens(Scope::Read) {
                return Err(Failure::new(StatusCode::FORBIDDEN, format!("the credential `{}` has not the scope `read`", credential.name)));
            }
            author.name.clone_from(&name);
            return Ok(Self::new(app, manner, Caller { name, author, ..Caller::of(credential) }, credential, None));
        }
        let id = session_id(&parts.headers, &parts.uri).ok_or(Failure::Login)?;
        let key = key(&id);
        let now = app.engine.clock().wall();
        let session = app.engine.sessions().session(key).await?.filter(|session| session.is_alive(now)).ok_or(Failure::Login)?;
        // The secret that logged in is still the credential's, and still opens this.
        let holds = |credential: &&Credential| {
            credential.seal(&id).is_some_and(|seal| bool::from(seal.ct_eq(&session.seal))) && credential.opens(Scope::Read)
        };
        let credential = auth.credential(&session.credential).filter(holds).ok_or(Failure::Login)?;
        if now - session.seen_at > TOUCH_AFTER_MS {
            // A full disk must not close the console: then its pages are needed most.
            if let Err(error) = app.engine.sessions().touch_session(key, now).await {
                tracing::debug!(%error, "the use of a login is not recorded");
            }
        }
        author.name.clone_from(&credential.name);
        let caller = Caller { author, ..Caller::of(credential) };
        Ok(Self::new(app, manner, caller, credential, Some(key)))
    }
}

/// Where a request comes from, for the audit.
pub(super) fn origin(app: &App, parts: &Parts) -> Author {
    let direct = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|connection| connection.0.ip());
    let from = peer(&app.settings.load(), &parts.headers, direct).map(|ip| ip.to_string()).unwrap_or_default();
    Author { name: String::new(), via: "console".into(), from }
}

/// Where nobody logs in, a name that resolves to this machine must not make any site's pages ours (DNS rebinding).
fn of_this_server(app: &App, parts: &Parts) -> Result<(), Failure> {
    names_this_server(&parts.headers, &parts.uri, &app.engine.plan().external_url).map_err(|why| Failure::new(StatusCode::FORBIDDEN, why))
}

/// The id of the login that a browser shows. On https only the cookie that is bound to this host counts: browsers say where a request comes from
/// on https and to this machine only.
pub(super) fn session_id(headers: &HeaderMap, uri: &Uri) -> Option<[u8; 32]> {
    let local = host(headers, uri).is_some_and(|host| host.starts_with("localhost") || host.starts_with("127.") || host.starts_with("[::1]"));
    let secure = headers.contains_key("sec-fetch-site") && !local;
    let plain = || if secure { None } else { cookie(headers, PLAIN_COOKIE) };
    let text = cookie(headers, SECURE_COOKIE).or_else(plain)?;
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// What of a login's id is stored.
pub(super) fn key(id: &[u8; 32]) -> [u8; 32] {
    Sha256::digest(id).into()
}

/// A new id: random, of 256 bits.
pub(super) fn new_id() -> [u8; 32] {
    let random = (0..3).fold(Sha256::new(), |hash, _| hash.chain_update(uuid::Uuid::new_v4().as_bytes()));
    random.finalize().into()
}

/// Whether the page of a form was served over https, as its browser says.
pub(super) fn is_https(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn on_https_only_the_cookie_of_this_host_counts() {
        let id = new_id();
        let text = URL_SAFE_NO_PAD.encode(id);
        let uri = Uri::from_static("/x");
        let found = |pairs: &[(&'static str, &str)]| session_id(&headers(pairs), &uri);
        assert_eq!(found(&[("host", "w"), ("cookie", &format!("a=b; __Host-wf={text}")), ("sec-fetch-site", "none")]), Some(id));
        assert_eq!(found(&[("host", "w"), ("cookie", &format!("wf={text}")), ("sec-fetch-site", "none")]), None);
        assert_eq!(found(&[("host", "w"), ("cookie", &format!("wf={text}"))]), Some(id), "plain http to another machine");
        assert_eq!(found(&[("host", "127.0.0.1:9"), ("cookie", &format!("wf={text}")), ("sec-fetch-site", "none")]), Some(id));
        assert_eq!((found(&[("cookie", "wf=abc")]), found(&[])), (None, None));
        assert_ne!(key(&id), id);
        assert_ne!(new_id(), id);
    }
}
