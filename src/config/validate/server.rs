//! The server block: address, links, limits, TLS, and whether strangers could get in.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Validator;
use super::auth::admission;
use super::extras::bytes;
use crate::config::codes;
use crate::config::file::{LegacyAuth, TlsFiles};
use crate::config::net::listen_address;
use crate::config::settings::{Admission, ServerSettings, TlsSettings};
use crate::config::source::Anchor;
use crate::model::yaml::Path;
use crate::model::{Finding, Secret, SecretSource};

const SECOND: Duration = Duration::from_secs(1);

/// Validates the server block; also returns this server's address as readers of messages reach it.
pub fn server(validator: &mut Validator<'_, '_>) -> (ServerSettings, String) {
    let block = &validator.file.server;
    let path = Path::of("server");
    let listen = listen(validator);
    let auth = admission(validator);
    let limits = &block.limits;
    let positive = |validator: &mut Validator<'_, '_>, number: Option<u32>, key: &str| {
        if number == Some(0) {
            validator.report.error(
                codes::OUT_OF_RANGE,
                &path.key("limits").key(key),
                Anchor::Value,
                "with 0 every request would be refused",
                "write at least 1",
            );
        }
        number.filter(|number| *number > 0)
    };
    let concurrent = positive(validator, limits.concurrent, "concurrent").unwrap_or(512) as usize;
    let per_second = positive(validator, limits.per_second, "per_second");
    let per_sender = positive(validator, limits.per_sender, "per_sender");
    let settings = ServerSettings {
        listen,
        auth,
        max_body: block.max_body.as_deref().map_or(8 << 20, |text| bytes(validator, text, &path.key("max_body"), 1024)).min(1 << 30) as usize,
        tls: block.tls.as_ref().and_then(|files| tls(validator, files)),
        trusted_proxies: validator.networks(&block.trusted_proxies, &path.key("trusted_proxies")),
        concurrent,
        per_second,
        per_sender,
        // A direct call may take its ten seconds.
        timeout: validator.duration(limits.timeout.as_deref(), &path.key("limits").key("timeout"), 30 * SECOND, 11 * SECOND, 600 * SECOND),
        legacy_open: validator.file.legacy.auth == LegacyAuth::None,
        legacy_allow: validator.networks(&validator.file.legacy.allow_ips, &Path::of("legacy").key("allow_ips")),
    };
    if let Some(ix) = block.trusted_proxies.iter().position(|text| text.ends_with("/0")) {
        let finding = Finding::warning(codes::DOUBTFUL_SERVER, "every caller's `X-Forwarded-For` is believed: its address is what it says")
            .label("name the addresses of the proxies");
        validator.report.add(finding, &path.key("trusted_proxies").item(ix), Anchor::Value);
    }
    exposure(validator, &settings);
    let external_url = external_url(validator);
    (settings, external_url)
}

/// A key that can be guessed would let anybody make links.
pub fn link_key(validator: &mut Validator<'_, '_>, key: &Secret) {
    if validator.secrets.real() && !key.is_empty() && key.expose().len() < 16 {
        let label = "use at least 16 characters, or remove the key: the server makes one of its own";
        validator.report.error(
            codes::OUT_OF_RANGE,
            &Path::of("server").key("link_key"),
            Anchor::Value,
            "`server.link_key` is short enough to be guessed",
            label,
        );
    }
}

fn listen(validator: &mut Validator<'_, '_>) -> SocketAddr {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 9091));
    let written = validator.file.server.listen.as_deref();
    if let Some(text) = validator.listen {
        return listen_address(text).unwrap_or_else(|why| {
            validator
                .report
                .findings
                .push(Finding::error(codes::BAD_ADDRESS, format!("`{text}`, given by --listen or WATCHFIRE_LISTEN, is no address")).label(why));
            default
        });
    }
    let Some(text) = written else { return default };
    listen_address(text).unwrap_or_else(|why| {
        validator.report.error(
            codes::BAD_ADDRESS,
            &Path::of("server").key("listen"),
            Anchor::Value,
            format!("`{text}` is no address to listen on"),
            why,
        );
        default
    })
}

/// Whether others than this machine could send alerts without credentials.
fn exposure(validator: &mut Validator<'_, '_>, settings: &ServerSettings) {
    let only_log = !validator.names.is_empty() && validator.names.values().all(|platform| platform.is_some_and(|platform| platform.name == "log"));
    if settings.listen.ip().is_loopback() || only_log {
        return;
    }
    let server = Path::of("server");
    let listen = server.key("listen");
    // Pointing at the credentials that could not be read says more than this would.
    if validator.file.server.auth.is_none() && !validator.report.is_blamed_inside(&server.key("auth")) {
        let message = format!("everybody who reaches {} could send alerts", settings.listen);
        let finding = Finding::error(codes::OPEN_LISTENER, message)
            .label("add `server.auth`, or listen on 127.0.0.1")
            .note("`auth: none` lets everybody in on purpose")
            .note("in `server:` write `auth: [ { bearer: { env: WATCHFIRE_TOKEN } } ]`");
        validator.report.add(finding, &listen, Anchor::Value);
    }
    let closed_otherwise = matches!(settings.auth, Admission::Credentials(_));
    if settings.legacy_open && closed_otherwise && settings.legacy_allow.is_empty() {
        let legacy = Path::of("legacy");
        let message = format!("everybody who reaches {} could use the direct paths", settings.listen);
        if !validator.report.is_blamed_inside(&legacy.key("allow_ips")) {
            let finding = Finding::error(codes::OPEN_LEGACY, message)
                .label("add `allow_ips` with the networks of the old clients")
                .note("for example `allow_ips: [10.0.0.0/8]`");
            validator.report.add(finding, &legacy.key("auth"), Anchor::Value);
        }
    }
}

/// Without a slash at its end; empty when there is none.
fn external_url(validator: &mut Validator<'_, '_>) -> String {
    let Some(text) = validator.file.server.external_url.as_deref() else { return String::new() };
    let fault = match reqwest::Url::parse(text) {
        Err(_) => Some("write it in full: `https://watchfire.example.com`"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => Some("it must begin with https:// or http://"),
        Ok(url) if url.query().is_some() || url.fragment().is_some() => Some("write it without `?` and `#`"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => Some("write it without a user name and password"),
        Ok(_) => None,
    };
    if let Some(label) = fault {
        validator.report.error(
            codes::BAD_ADDRESS,
            &Path::of("server").key("external_url"),
            Anchor::Value,
            "`external_url` is not an address for links",
            label,
        );
        return String::new();
    }
    let sends = validator.names.values().any(|platform| platform.is_none_or(|platform| platform.name != "log"));
    if sends && reqwest::Url::parse(text).is_ok_and(|url| is_this_machine(&url)) {
        let finding = Finding::warning(codes::DOUBTFUL_SERVER, "`external_url` is this machine: nobody elsewhere can follow the links of messages")
            .label("write the address at which readers reach this server, or remove it: then messages have no links, and leave nothing out");
        validator.report.add(finding, &Path::of("server").key("external_url"), Anchor::Value);
    }
    text.trim_end_matches('/').to_owned()
}

/// Whether an address is only reached from the machine on which it is opened.
fn is_this_machine(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

/// The files, read once to know that they will do. Without secrets they are taken on trust.
fn tls(validator: &mut Validator<'_, '_>, files: &TlsFiles) -> Option<TlsSettings> {
    let path = Path::of("server").key("tls");
    let settings = TlsSettings { cert: validator.folder.join(&files.cert), key: validator.folder.join(&files.key), config: None };
    if !validator.secrets.real() {
        return Some(settings);
    }
    let text =
        |validator: &mut Validator<'_, '_>, file: &std::path::Path, key: &str| match validator.secrets.read(&SecretSource::File(file.to_owned())) {
            Ok(text) => Some(text),
            Err(why) => {
                validator.report.error(codes::BAD_TLS, &path.key(key), Anchor::Value, why, "name a PEM file that this user may read");
                None
            }
        };
    let chain = text(validator, &files.cert, "cert")
        .map(|pem| CertificateDer::pem_slice_iter(pem.expose().as_bytes()).filter_map(Result::ok).collect::<Vec<_>>());
    if chain.as_ref().is_some_and(Vec::is_empty) {
        let label = "name a file with `-----BEGIN CERTIFICATE-----` in it";
        validator.report.error(codes::BAD_TLS, &path.key("cert"), Anchor::Value, "the file holds no certificate", label);
    }
    let key = text(validator, &files.key, "key").map(|pem| PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()));
    if let Some(Err(_)) = key {
        let label = "name a file with `-----BEGIN PRIVATE KEY-----` in it";
        validator.report.error(codes::BAD_TLS, &path.key("key"), Anchor::Value, "the file holds no private key", label);
    }
    let (chain, key) = (chain.filter(|chain| !chain.is_empty())?, key?.ok()?);
    let built = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    match built {
        Ok(mut config) => {
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Some(TlsSettings { config: Some(Arc::new(config)), ..settings })
        }
        Err(error) => {
            validator.report.error(
                codes::BAD_TLS,
                &path.key("key"),
                Anchor::Value,
                "the certificate and the key cannot be used together",
                error.to_string(),
            );
            None
        }
    }
}
