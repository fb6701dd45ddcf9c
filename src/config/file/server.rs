//! `server:` as the file writes it: address, credentials, TLS, limits.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::SecretSource;

/// Where the server listens, who is let in, and its limits.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerBlock {
    /// Address to listen on: `127.0.0.1:9091`, `0.0.0.0:80`, `[::]:9091`, `localhost:9091`. Default `127.0.0.1:9091`.
    pub listen: Option<String>,
    /// This server's address as readers of messages reach it, for links in messages. Default: no links to this server.
    pub external_url: Option<String>,
    /// Credentials, any one of which admits; or `none`. Needed when others can reach `listen`.
    pub auth: Option<Auth>,
    /// Largest body that is read: bytes, or with a unit (`8MiB`). Default `8MiB`.
    pub max_body: Option<String>,
    /// Serve HTTPS with this certificate. Both files are read again when they change.
    pub tls: Option<TlsFiles>,
    /// Networks whose `X-Forwarded-For` is believed (`10.0.0.0/8`). Default: none.
    pub trusted_proxies: Vec<String>,
    /// How much is taken at once; beyond it the answer is 503 and the sender tries again.
    pub limits: Limits,
    /// Key of the signatures in links to this server. Default: made at first start and kept in the store.
    pub link_key: Option<SecretSource>,
}

/// `none`, or a list of credentials.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Auth {
    /// Everybody is let in, on purpose.
    None(NoneWord),
    /// Any one of these admits.
    Credentials(Vec<Credential>),
}

/// The word `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoneWord {
    /// Everybody is let in, on purpose.
    None,
}

/// One credential: exactly one of `bearer`, `basic`, `hmac` and `proxy`, and what it may be used for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Credential {
    /// `Authorization: Bearer ...`.
    pub bearer: Option<SecretSource>,
    /// `Authorization: Basic ...`.
    pub basic: Option<Basic>,
    /// A signature over the body, as Grafana makes it.
    pub hmac: Option<Hmac>,
    /// Who a reverse proxy says it is, for the console: oauth2-proxy, Authelia.
    pub proxy: Option<Proxy>,
    /// Name of its holder, for logs, lanes and dedup. Default: the user name, else `bearer-1`, `hmac-2`...
    pub name: Option<String>,
    /// What it may be used for: `webhook`, `legacy` (the direct paths), `metrics`, `read` (look things up), `operate` (retry, drop, move, mute, send,
    /// test), `admin` (reload, backup, and all the others). Default: all; with `channels`, all but `admin`.
    pub scopes: Option<Vec<Scope>>,
    /// The only channels that it names with `?to=` and by the direct paths, and that it sees and touches by the API. Default: all.
    pub channels: Option<Vec<String>>,
}

/// What a credential may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// `/webhook` and its kin.
    Webhook,
    /// The direct paths of older clients.
    Legacy,
    /// `/metrics`.
    Metrics,
    /// What `/api/v1` shows.
    Read,
    /// What `/api/v1` does to deliveries and channels: retry, drop, move, mute, send, test.
    Operate,
    /// Reload, backup, and whatever the others open.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Scope; 6] = [Scope::Webhook, Scope::Legacy, Scope::Metrics, Scope::Read, Scope::Operate, Scope::Admin];
    /// All that a list of channels can limit.
    pub const LIMITED: [Scope; 5] = [Scope::Webhook, Scope::Legacy, Scope::Metrics, Scope::Read, Scope::Operate];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Webhook => "webhook",
            Scope::Legacy => "legacy",
            Scope::Metrics => "metrics",
            Scope::Read => "read",
            Scope::Operate => "operate",
            Scope::Admin => "admin",
        }
    }
}

/// A reverse proxy that logs people in, and the header in which it says who they are. It opens the console only.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// The header with the person's name. The proxy must remove it from what clients send. Default `X-Forwarded-User`.
    pub header: Option<String>,
    /// Networks in which the proxy is (`10.0.0.7`, `10.0.0.0/8`): from elsewhere the header counts for nothing.
    pub from: Vec<String>,
}

/// A user name and its password.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// User name.
    pub username: String,
    /// Password: plain, or an Argon2id hash as `watchfire hash-password` prints it (`$argon2id$v=19$..`).
    pub password: SecretSource,
}

/// HMAC-SHA256 over the body, in hexadecimal digits; with `timestamp_header`, over the timestamp, a colon and the body.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hmac {
    /// The shared secret.
    pub secret: Option<SecretSource>,
    /// Several secrets, for changing one without a gap.
    pub secrets: Vec<SecretSource>,
    /// Header with the signature. Default `X-Grafana-Alerting-Signature`.
    pub header: Option<String>,
    /// Header with the time of signing in Unix seconds; requests older or newer than five minutes are refused. Default: none is asked for.
    pub timestamp_header: Option<String>,
}

/// Certificate and key of the server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM file with the certificate chain, the server's own first.
    pub cert: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// How much is taken at once.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in flight at once, of which one sender may have all but an eighth. Default 512.
    pub concurrent: Option<u32>,
    /// Requests a second over all senders. Default: not limited.
    pub per_second: Option<u32>,
    /// Requests a minute of one sender to the webhooks and the direct paths: of one credential, or of one address where none is asked for. Default: not
    /// limited, because Grafana does not repeat what is refused.
    pub per_sender: Option<u32>,
    /// Longest time one request may take. Default `30s`.
    pub timeout: Option<String>,
}
