//! Credentials that admit callers.

use std::collections::BTreeSet;

use super::Validator;
use crate::config::codes;
use crate::config::file::{Auth, Basic, Credential, Hmac, Proxy, Scope};
use crate::config::password::PasswordHash;
use crate::config::settings::{Admission, CredentialKind, CredentialSettings, Password};
use crate::config::source::Anchor;
use crate::model::yaml::Path;
use crate::model::{Finding, Secret};

/// What Grafana signs with: <https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/>.
const GRAFANA_HEADER: &str = "X-Grafana-Alerting-Signature";
/// What oauth2-proxy sends (<https://oauth2-proxy.github.io/oauth2-proxy/configuration/overview>, `pass_user_headers`).
const PROXY_HEADER: &str = "X-Forwarded-User";
/// Shorter ones can be guessed by trying.
const MIN_LENGTH: usize = 12;

/// Validates `server.auth`.
pub fn admission(validator: &mut Validator<'_, '_>) -> Admission {
    let path = Path::of("server").key("auth");
    let entries = match &validator.file.server.auth {
        None => return Admission::Unsaid,
        Some(Auth::None(_)) => return Admission::Open,
        Some(Auth::Credentials(entries)) => entries,
    };
    if entries.is_empty() {
        let label = "add a credential; `auth: none` lets everybody in on purpose";
        validator.report.error(codes::BAD_AUTH, &path, Anchor::Key, "an empty list of credentials lets nobody in", label);
    }
    let mut admitted: Vec<CredentialSettings> = Vec::new();
    for (ix, entry) in entries.iter().enumerate() {
        let path = path.item(ix);
        if validator.report.is_blamed(&path) {
            continue;
        }
        let Some((kind, default_name)) = kind(validator, entry, &path, ix) else { continue };
        let name = entry.name.clone().unwrap_or(default_name);
        if entry.name.is_some() {
            validator.name(&name, &path.key("name"), Anchor::Value, "credential");
        }
        if admitted.iter().any(|other| *other.name == *name) {
            let at = if entry.name.is_some() { path.key("name") } else { path.clone() };
            validator.report.error(
                codes::TAKEN_NAME,
                &at,
                Anchor::Value,
                format!("two credentials are called `{name}`"),
                "give each a `name` of its own",
            );
        }
        let scopes = scopes(validator, entry, &path);
        let channels = entry.channels.as_ref().map(|channels| {
            if channels.is_empty() {
                let label = "name channels, or remove the key";
                validator.report.error(codes::BAD_AUTH, &path.key("channels"), Anchor::Value, "a credential for no channel reaches nothing", label);
            }
            for (ix, channel) in channels.iter().enumerate() {
                validator.channel(channel, &path.key("channels").item(ix), "a credential names");
            }
            channels.iter().cloned().collect()
        });
        admitted.push(CredentialSettings { name: name.into(), kind, scopes, channels });
    }
    Admission::Credentials(admitted)
}

/// What a credential opens.
fn scopes(validator: &mut Validator<'_, '_>, entry: &Credential, path: &Path) -> BTreeSet<Scope> {
    let limited = entry.channels.is_some();
    let default = || if limited { Scope::LIMITED.into() } else { Scope::ALL.into() };
    let scopes: BTreeSet<Scope> = entry.scopes.as_ref().map_or_else(default, |scopes| scopes.iter().copied().collect());
    let mut blame = |message: &str, label: &str| {
        validator.report.error(codes::BAD_AUTH, &path.key("scopes"), Anchor::Value, message, label);
    };
    if limited && scopes.contains(&Scope::Admin) {
        blame("`admin` reaches every channel, so `channels` cannot limit it", "remove `admin`, or `channels`");
    }
    if scopes.is_empty() {
        blame("a credential without scopes admits to nothing", "name scopes, or remove the key");
    }
    scopes
}

/// What is compared, and a name for it; `None` when that cannot be said.
fn kind(validator: &mut Validator<'_, '_>, entry: &Credential, path: &Path, ix: usize) -> Option<(CredentialKind, String)> {
    let present: Vec<&str> =
        [("bearer", entry.bearer.is_some()), ("basic", entry.basic.is_some()), ("hmac", entry.hmac.is_some()), ("proxy", entry.proxy.is_some())]
            .into_iter()
            .filter_map(|(name, there)| there.then_some(name))
            .collect();
    if present.len() != 1 {
        if !validator.report.is_blamed_inside(path) {
            let message = if present.is_empty() { "a credential of no kind".to_owned() } else { format!("a credential of {} kinds", present.len()) };
            validator.report.error(codes::BAD_AUTH, path, Anchor::Value, message, "write exactly one of `bearer`, `basic`, `hmac` and `proxy`");
        }
        return None;
    }
    if let Some(source) = &entry.bearer {
        let secret = validator.secret(source)?;
        weak(validator, &secret, &path.key("bearer"));
        return Some((CredentialKind::Bearer(secret), format!("bearer-{}", ix + 1)));
    }
    if let Some(basic) = &entry.basic {
        return by_password(validator, basic, &path.key("basic"));
    }
    if let Some(proxy) = &entry.proxy {
        return Some((by_proxy(validator, proxy, &path.key("proxy")), format!("proxy-{}", ix + 1)));
    }
    let hmac = entry.hmac.as_ref()?;
    Some((by_signature(validator, hmac, &path.key("hmac")), format!("hmac-{}", ix + 1)))
}

/// A user name with a password, which may be hashed; `None` when the password cannot be read.
fn by_password(validator: &mut Validator<'_, '_>, basic: &Basic, path: &Path) -> Option<(CredentialKind, String)> {
    if basic.username.is_empty() || basic.username.contains(|c: char| c == ':' || c.is_control()) {
        let label = "user names are not empty and have no `:`";
        validator.report.error(codes::BAD_AUTH, &path.key("username"), Anchor::Value, "no client can send this user name", label);
    }
    let secret = validator.secret(&basic.password)?;
    let password = if PasswordHash::is_one(secret.expose()) {
        match PasswordHash::parse(secret.expose()) {
            Ok(hash) => Password::Hashed(hash),
            Err(why) => {
                let label = "write what `watchfire hash-password` prints, or the plain password";
                let message = format!("the hashed password cannot be read: {why}");
                validator.report.error(codes::BAD_AUTH, &path.key("password"), Anchor::Value, message, label);
                return None;
            }
        }
    } else {
        weak(validator, &secret, &path.key("password"));
        Password::Plain(secret)
    };
    Some((CredentialKind::Basic { username: basic.username.clone(), password }, basic.username.clone()))
}

/// Secrets that bodies are signed with, and the headers that hold signature and time.
fn by_signature(validator: &mut Validator<'_, '_>, hmac: &Hmac, path: &Path) -> CredentialKind {
    let mut secrets = Vec::new();
    for (source, at) in
        hmac.secret.iter().map(|s| (s, path.key("secret"))).chain(hmac.secrets.iter().enumerate().map(|(i, s)| (s, path.key("secrets").item(i))))
    {
        if let Some(secret) = validator.secret(source) {
            weak(validator, &secret, &at);
            secrets.push(secret);
        }
    }
    if hmac.secret.is_none() && hmac.secrets.is_empty() {
        validator.report.error(
            codes::BAD_AUTH,
            path,
            Anchor::Value,
            "`hmac` has no secret to check signatures with",
            "add `secret`, or `secrets` for several",
        );
    }
    let mut header = |name: Option<&str>, key: &str| header_name(validator, name?, &path.key(key));
    let timestamp_header = header(hmac.timestamp_header.as_deref(), "timestamp_header");
    let header = header(hmac.header.as_deref(), "header").unwrap_or_else(|| GRAFANA_HEADER.to_owned());
    CredentialKind::Hmac { secrets, header, timestamp_header }
}

/// A header's name; one that is none is reported.
fn header_name(validator: &mut Validator<'_, '_>, name: &str, path: &Path) -> Option<String> {
    if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
        let message = format!("`{name}` is not the name of a header");
        validator.report.error(codes::BAD_AUTH, path, Anchor::Value, message, "write letters, digits and `-`");
    }
    Some(name.to_owned())
}

fn by_proxy(validator: &mut Validator<'_, '_>, proxy: &Proxy, path: &Path) -> CredentialKind {
    let given = proxy.header.as_deref().and_then(|name| header_name(validator, name, &path.key("header")));
    let from = validator.networks(&proxy.from, &path.key("from"));
    if proxy.from.is_empty() {
        let label = "name the proxy's address: anybody else could write the header";
        validator.report.error(codes::BAD_AUTH, path, Anchor::Key, "`proxy` does not say where the proxy is", label);
    }
    if let Some(ix) = proxy.from.iter().position(|text| text.ends_with("/0")) {
        let label = "name the proxy's own address: any caller from there is believed to be anybody";
        validator.report.error(codes::BAD_AUTH, &path.key("from").item(ix), Anchor::Value, "everybody could write the header", label);
    }
    CredentialKind::Proxy { header: given.unwrap_or_else(|| PROXY_HEADER.to_owned()), from }
}

fn weak(validator: &mut Validator<'_, '_>, secret: &Secret, path: &Path) {
    if validator.secrets.real() && secret.expose().chars().count() < MIN_LENGTH {
        let finding = Finding::warning(codes::DOUBTFUL_SERVER, format!("`{path}` is short enough to be guessed"))
            .label(format!("use at least {MIN_LENGTH} characters: `openssl rand -hex 24` makes a good one"));
        validator.report.add(finding, path, Anchor::Value);
    }
}
