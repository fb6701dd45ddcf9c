//! The database's URL: what of it the driver reads, and what is read here (`sslmode`, `sslrootcert`).
//!
//! Opens no connection. Errors never repeat the URL: it holds a password.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};

use super::tls::Trust;
use crate::model::Secret;
use crate::store::StoreError;

/// Where the database is, and how one gets there.
pub(super) struct Address {
    pub(super) config: Config,
    /// `None`: without encryption.
    pub(super) trust: Option<Trust>,
}

fn invalid(why: &str) -> StoreError {
    StoreError::Invalid(format!(
        "the database URL cannot be used: {why}; it should look like `postgres://user:password@host:5432/name?sslmode=require`"
    ))
}

/// Reads the URL. The driver knows fewer modes than libpq: what it does not know is taken out of the URL before it reads it.
pub(super) fn read(url: &Secret, connect_timeout: Duration) -> Result<Address, StoreError> {
    let url = url.expose();
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(invalid("it does not begin with `postgres://`"));
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    if query.contains('@') {
        // The question mark belongs to the password, so what follows must not be reported as the name of an option.
        return Err(invalid("a `?` in a user or password must be written `%3F`, and a `@` behind the `?` must be written `%40`"));
    }
    let mut kept: Vec<&str> = Vec::new();
    let (mut mode, mut roots) = ("prefer".to_owned(), None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8().map_err(|_| invalid("a value in it is not UTF-8"))?;
        match key {
            "sslmode" => mode = value.into_owned(),
            "sslrootcert" if !value.is_empty() => roots = Some(value.into_owned()),
            "sslrootcert" => {}
            _ => kept.push(pair),
        }
    }
    let plain = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    let mut config: Config = plain.parse().map_err(|error: tokio_postgres::Error| {
        // The cause names the option, not its value.
        invalid(&std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
    })?;
    let (ssl, mut trust) = match mode.as_str() {
        "disable" => (SslMode::Disable, None),
        "allow" | "prefer" => (SslMode::Prefer, Some(Trust::Anyone)),
        "require" | "verify-ca" | "verify-full" => (SslMode::Require, Some(Trust::System)),
        _ => return Err(invalid("its `sslmode` is none of disable, prefer, require, verify-ca, verify-full")),
    };
    if let (Some(path), SslMode::Require) = (roots, ssl) {
        let pem = std::fs::read(&path).map_err(|error| invalid(&format!("its `sslrootcert` file `{path}` cannot be read: {error}")))?;
        trust = Some(Trust::Pem(pem));
    }
    config.ssl_mode(ssl);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(connect_timeout);
    }
    if config.get_tcp_user_timeout().is_none() {
        // A connection whose other end vanished is given up after this, instead of the kernel's quarter of an hour.
        config.tcp_user_timeout(Duration::from_secs(15));
    }
    config.keepalives_idle(Duration::from_secs(30));
    if config.get_application_name().is_none() {
        config.application_name("watchfire");
    }
    if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(invalid("it names no host"));
    }
    Ok(Address { config, trust })
}
