//! What the server needs to know besides the plan: address, credentials, limits, store; validated and resolved.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::file::Scope;
use super::password::PasswordHash;
use crate::model::Secret;

/// How the server listens and whom it lets in.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Who is let in.
    pub auth: Admission,
    /// Largest body that is read, in bytes, before and after decompression.
    pub max_body: usize,
    /// Serve HTTPS with these files.
    pub tls: Option<TlsSettings>,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Requests in flight at once.
    pub concurrent: usize,
    /// Requests a second; `None`: not limited.
    pub per_second: Option<u32>,
    /// Requests of one sender a minute; `None`: not limited.
    pub per_sender: Option<u32>,
    /// Longest time one request may take.
    pub timeout: Duration,
    /// Whether the direct paths are open to callers without credentials.
    pub legacy_open: bool,
    /// The only networks that may use the direct paths; empty: all.
    pub legacy_allow: Vec<ipnet::IpNet>,
}

/// Who is let in.
#[derive(Debug, Clone)]
pub enum Admission {
    /// Everybody, to everything.
    Open,
    /// It was not said: everybody to everything where only this machine can reach it, else everybody to the webhook and nobody to anything else.
    Unsaid,
    /// Any caller with one of these.
    Credentials(Vec<CredentialSettings>),
}

/// One credential, ready to compare.
#[derive(Debug, Clone)]
pub struct CredentialSettings {
    /// Its holder's name; unique.
    pub name: Arc<str>,
    /// What is compared.
    pub kind: CredentialKind,
    /// What it may be used for.
    pub scopes: BTreeSet<Scope>,
    /// The only channels it may name, see and touch; `None`: all.
    pub channels: Option<BTreeSet<String>>,
}

/// What is compared.
#[derive(Debug, Clone)]
pub enum CredentialKind {
    /// `Authorization: Bearer <token>`.
    Bearer(Secret),
    /// `Authorization: Basic`.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: Password,
    },
    /// A header of a reverse proxy that logs people in; for the console only.
    Proxy {
        /// The header with the person's name.
        header: String,
        /// Where the proxy is.
        from: Vec<ipnet::IpNet>,
    },
    /// HMAC-SHA256 over the body, in hexadecimal digits as Grafana signs; with a timestamp header over timestamp, colon, body.
    Hmac {
        /// Any of these verifies (rotation).
        secrets: Vec<Secret>,
        /// Header with the signature.
        header: String,
        /// Header with the time of signing, Unix seconds.
        timestamp_header: Option<String>,
    },
}

/// A password to compare with.
#[derive(Debug, Clone)]
pub enum Password {
    /// As it is.
    Plain(Secret),
    /// Hashed.
    Hashed(PasswordHash),
}

/// Certificate and key of the server; absolute paths or relative to the working directory.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
    /// The certificate and key in use: TLS 1.2 and 1.3; `None` when loaded without secrets.
    pub config: Option<Arc<rustls::ServerConfig>>,
}

/// Where events and deliveries are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSettings {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL; several nodes may share it.
    Postgres(Secret),
}
