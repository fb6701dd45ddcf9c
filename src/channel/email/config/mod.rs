//! The `email:` block of routes.yaml: its shape, everything that can be wrong with it, and the driver built from it. Knows no wire.

use std::path::PathBuf;

use lettre::message::Mailbox;
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::{self, Flaw};
use super::auth::{Login, Mechanism};
use super::dial::{Server, is_host_name};
use super::dkim::Signer;
use super::driver::Driver;
use super::message::Sender;
use super::pool::Pool;
use super::tls;
use super::types::DEFAULT_CONNECTIONS;
pub use super::types::{ThreadBy, TlsMode};
use crate::channel::{BuildContext, Built, PlatformConfig, Problem, SecretReader};
use crate::model::{OutletKey, Recipient, Secret, SecretSource, hash_hex};

/// The most connections an outlet may be given.
const MAX_CONNECTIONS: usize = 50;

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// PLAIN, else LOGIN, else CRAM-MD5, as the server offers.
    #[default]
    Auto,
    /// PLAIN.
    Plain,
    /// LOGIN.
    Login,
    /// CRAM-MD5: the password itself is not sent.
    #[serde(rename = "cram-md5")]
    CramMd5,
    /// XOAUTH2; the password is the access token.
    Xoauth2,
}

/// Signs mails with DKIM.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dkim {
    /// The selector: the public key is at `<selector>._domainkey.<domain>`.
    pub selector: String,
    /// The domain that signs.
    pub domain: String,
    /// The private key: RSA or Ed25519 in PEM, or a base64 Ed25519 seed.
    pub key: SecretSource,
}

/// The `email:` block.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `host:port` of the server to hand mails to: 587 for STARTTLS, 465 for implicit TLS.
    pub server: String,
    /// When TLS begins. Default: `implicit` on port 465, else `starttls`.
    #[serde(default)]
    pub tls: Option<TlsMode>,
    /// PEM file with the only authorities to believe, instead of the system's. Relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Account to log in as. Default: no login.
    #[serde(default)]
    pub username: Option<String>,
    /// Its password; with many providers an authorisation code (app password).
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// How to log in. Default `auto`.
    #[serde(default)]
    pub auth: AuthMode,
    /// Sender: `w@example.com` or `Watchfire <w@example.com>`.
    pub from: String,
    /// Where answers go. Default: the sender.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// Recipients. Each gets a mail of its own and sees only itself in `To`.
    pub to: Vec<String>,
    /// Further recipients, whom everybody sees in `Cc`.
    #[serde(default)]
    pub cc: Vec<String>,
    /// What this host calls itself to the server. Default: its full name, else its address.
    #[serde(default)]
    pub hello: Option<String>,
    /// The most connections at once. Default 4.
    #[serde(default)]
    pub connections: Option<usize>,
    /// Which mails make one conversation: those of an incident (`group`), those of an incident and a day (`day`), or none (`off`, where `living` cannot be
    /// `reply`). Default `group`.
    #[serde(default)]
    pub thread: ThreadBy,
    /// Signs mails with DKIM. Default: the server does it, or nobody.
    #[serde(default)]
    pub dkim: Option<Dkim>,
}

impl Config {
    fn mode(&self, port: u16) -> TlsMode {
        self.tls.unwrap_or(if port == 465 { TlsMode::Implicit } else { TlsMode::Starttls })
    }

    fn mechanisms(&self) -> &'static [Mechanism] {
        match self.auth {
            AuthMode::Auto => &[Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5],
            AuthMode::Plain => &[Mechanism::Plain],
            AuthMode::Login => &[Mechanism::Login],
            AuthMode::CramMd5 => &[Mechanism::CramMd5],
            AuthMode::Xoauth2 => &[Mechanism::Xoauth2],
        }
    }

    /// What can be wrong with one secret before it is read.
    fn secret_problem(path: &str, source: &SecretSource) -> Option<Problem> {
        match source {
            SecretSource::Invalid(why) => Some(Problem::new(path, *why, "write a text, `{ env: NAME }` or `{ file: PATH }`")),
            SecretSource::Literal(secret) if secret.is_empty() => Some(Problem::new(path, "it is empty", "write it, or remove the key")),
            _ => None,
        }
    }

    fn server_problems(&self, found: &mut Vec<Problem>) {
        let port = match split_server(&self.server) {
            Err(flaw) => return found.push(Problem::new("email.server", flaw.0, flaw.1)),
            Ok((_, port)) => port,
        };
        match (self.tls, port) {
            (Some(TlsMode::Starttls | TlsMode::Opportunistic | TlsMode::None), 465) => found.push(Problem::new(
                "email.tls",
                "port 465 speaks TLS from the first byte; with this mode both sides would wait for each other",
                "set `tls: implicit`, or use port 587",
            )),
            (Some(TlsMode::Implicit), 25 | 587) => found.push(Problem::new(
                "email.tls",
                format!("port {port} does not speak TLS from the first byte"),
                "set `tls: starttls`, or use port 465",
            )),
            _ => {}
        }
        if self.ca_file.is_some() && self.tls == Some(TlsMode::None) {
            found.push(Problem::new("email.ca_file", "it has no effect with `tls: none`", "remove one of the two"));
        }
    }

    fn login_problems(&self, found: &mut Vec<Problem>) {
        match (&self.username, &self.password) {
            (Some(_), None) => found.push(Problem::new("email.username", "there is no `password` for it", "add `password`, or remove `username`")),
            (None, Some(_)) => found.push(Problem::new("email.password", "there is no `username` for it", "add `username`, or remove `password`")),
            (None, None) if self.auth != AuthMode::Auto => {
                found.push(Problem::new("email.auth", "there is no `username` to log in as", "add `username` and `password`, or remove `auth`"));
            }
            _ => {}
        }
        if self.username.as_deref().is_some_and(|name| name.is_empty() || name.contains(char::is_control)) {
            found.push(Problem::new("email.username", "it is empty or holds a control character", "write the account's name"));
        }
        found.extend(self.password.as_ref().and_then(|p| Self::secret_problem("email.password", p)));
    }

    fn address_problems(&self, found: &mut Vec<Problem>) {
        let mut read = |path: String, text: &str| {
            if let Err(Flaw { what, help }) = address::mailbox(text) {
                found.push(Problem::new(path, what, help));
            }
        };
        read("email.from".into(), &self.from);
        if let Some(text) = &self.reply_to {
            read("email.reply_to".into(), text);
        }
        for (key, list) in [("to", &self.to), ("cc", &self.cc)] {
            for (i, text) in list.iter().enumerate() {
                read(format!("email.{key}[{i}]"), text);
            }
        }
        if self.to.is_empty() {
            found.push(Problem::new("email.to", "nobody would get the mail", "name at least one address"));
        }
    }

    /// Reads what was configured; entries that cannot be read are left to [`PlatformConfig::check`].
    fn read(list: &[String]) -> Vec<Mailbox> {
        list.iter().filter_map(|text| address::mailbox(text).ok()).collect()
    }

    /// Builds the driver. Apart from [`PlatformConfig::build`] because it needs no HTTP.
    pub(super) fn driver(&self, secrets: &dyn SecretReader, proxy: bool) -> Result<(Driver, OutletKey), Vec<Problem>> {
        let mut found = self.check();
        if proxy {
            found.push(Problem::new(
                "proxy",
                "mail does not go through an HTTP or SOCKS proxy",
                "remove `proxy` from this channel, or name a mail relay in `server`",
            ));
        }
        let mut read = |path: &str, source: &SecretSource, what: &str| match secrets.read(source) {
            Ok(secret) => Some(secret),
            // An invalid source has been reported by `check`, with what to write instead.
            Err(_) if matches!(source, SecretSource::Invalid(_)) => None,
            Err(why) => {
                found.push(Problem::new(path, why, format!("the channel needs {what}")));
                None
            }
        };
        let password = self.password.as_ref().and_then(|source| read("email.password", source, "it to log in"));
        // Read like a secret, because only the reader knows the configuration file's folder.
        let ca = self.ca_file.as_ref().and_then(|path| read("email.ca_file", &SecretSource::File(path.clone()), "it to know whom to believe"));
        let key = self.dkim.as_ref().and_then(|dkim| read("email.dkim.key", &dkim.key, "it to sign"));
        let (host, port) = split_server(&self.server).unwrap_or_default();
        let mode = self.mode(port);
        let real = secrets.real();
        let tls = if mode == TlsMode::None {
            None
        } else {
            tls::client_config(ca.as_ref().filter(|_| real).map(Secret::expose))
                .map_err(|why| found.push(Problem::new("email.ca_file", why, "name a file with the authority's certificate")))
                .ok()
        };
        let signer = self.dkim.as_ref().zip(key.filter(|_| real)).and_then(|(dkim, key)| {
            Signer::new(&dkim.selector, &dkim.domain, &key)
                .map_err(|why| {
                    found.push(Problem::new("email.dkim.key", why, "make one with `openssl genrsa 2048`, and publish its public half in DNS"))
                })
                .ok()
        });
        let from = address::mailbox(&self.from).map_err(|_| std::mem::take(&mut found))?;
        if !found.is_empty() {
            return Err(found);
        }
        let connections = self.connections.unwrap_or(DEFAULT_CONNECTIONS);
        let login = self.username.clone().zip(password).map(|(username, password)| Login { username, password, mechanisms: self.mechanisms() });
        let outlet = OutletKey::new("email", &format!("{host}:{port} {}", self.username.as_deref().unwrap_or(from.email.as_ref())));
        let interchangeable = hash_hex(&[
            &format!("{host}:{port} {mode:?} {:?} {connections} {}", self.auth, self.hello.as_deref().unwrap_or_default()),
            ca.as_ref().map_or("", Secret::expose),
            login.as_ref().map_or("", |l| &l.username),
            login.as_ref().map_or("", |l| l.password.expose()),
        ]);
        let server = Server { host, port, mode, tls, hello: self.hello.clone(), login };
        let sender = Sender {
            from,
            reply_to: self.reply_to.as_deref().and_then(|text| address::mailbox(text).ok()),
            to: Self::read(&self.to),
            cc: Self::read(&self.cc),
            thread: self.thread,
            signer,
        };
        Ok((Driver::new(Pool::shared(&interchangeable, server, connections), sender, connections), outlet))
    }
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        self.server_problems(&mut found);
        self.login_problems(&mut found);
        self.address_problems(&mut found);
        if let Some(hello) = &self.hello {
            let literal = hello
                .strip_prefix('[')
                .and_then(|h| h.strip_suffix(']'))
                .is_some_and(|ip| ip.trim_start_matches("IPv6:").parse::<std::net::IpAddr>().is_ok());
            if !literal && !is_host_name(hello) {
                found.push(Problem::new(
                    "email.hello",
                    "it is neither a host name nor an address like `[192.0.2.1]`",
                    "write this host's full name, or remove the key",
                ));
            }
        }
        if self.connections.is_some_and(|n| n == 0 || n > MAX_CONNECTIONS) {
            found.push(Problem::new(
                "email.connections",
                format!("it must be 1 to {MAX_CONNECTIONS}"),
                format!("remove it for the default of {DEFAULT_CONNECTIONS}"),
            ));
        }
        if let Some(dkim) = &self.dkim {
            if !is_host_name(&dkim.selector) {
                found.push(Problem::new("email.dkim.selector", "it is not a DNS name", "write the name below `_domainkey`"));
            }
            if !is_host_name(&dkim.domain) {
                found.push(Problem::new("email.dkim.domain", "it is not a domain name", "write the domain of `from`"));
            }
            found.extend(Self::secret_problem("email.dkim.key", &dkim.key));
        }
        found
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn recipients(&self) -> Vec<Recipient> {
        let mut seen: Vec<Recipient> = Vec::new();
        for mailbox in Self::read(&self.to).into_iter().chain(Self::read(&self.cc)) {
            let recipient = Recipient::new(mailbox.email.to_string());
            if !seen.iter().any(|known| known.expose().eq_ignore_ascii_case(recipient.expose())) {
                seen.push(recipient);
            }
        }
        seen
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let (driver, outlet) = self.driver(cx.secrets, cx.proxy.is_some())?;
        Ok(Built { descriptor: None, channel: std::sync::Arc::new(driver), outlet })
    }
}

/// `host:port`, `[v6]:port`; the error is what is wrong and what to do.
fn split_server(text: &str) -> Result<(String, u16), (String, String)> {
    const SHAPE: &str = "write it like `smtp.example.com:587`";
    let fail = |what: &str, help: &str| Err((what.to_owned(), help.to_owned()));
    if text.trim().is_empty() {
        return fail("it is empty", SHAPE);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let tls = if scheme == "smtps" { " with `tls: implicit`" } else { "" };
        return fail("it is a URL", &format!("write `{}`{tls}", rest.trim_end_matches('/')));
    }
    let bare_v6 = text.parse::<std::net::Ipv6Addr>().is_ok();
    let Some((host, port)) = text.rsplit_once(':').filter(|_| !bare_v6 && !text.ends_with(']')) else {
        let host = if bare_v6 { format!("[{text}]") } else { text.to_owned() };
        return fail("the port is missing", &format!("did you mean `{host}:587`?"));
    };
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) if v6.parse::<std::net::Ipv6Addr>().is_ok() => v6,
        Some(_) => return fail("the address in brackets is not an IPv6 address", SHAPE),
        None if is_host_name(host) => host,
        None => return fail("the host before the port is not a valid name", SHAPE),
    };
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok((host.to_owned(), port)),
        _ => fail("the part after the last colon is not a port", SHAPE),
    }
}

#[cfg(test)]
mod tests;
