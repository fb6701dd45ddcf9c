//! A certificate authority of the test's own, and server certificates from it.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server's side of TLS, with the authority that clients must trust.
#[derive(Clone)]
pub struct TestTls {
    /// The authority's certificate, for clients.
    pub ca_pem: String,
    /// Accepts TLS connections.
    pub acceptor: TlsAcceptor,
    file: Arc<tempfile::NamedTempFile>,
}

impl TestTls {
    /// An authority and a certificate for these host names or addresses.
    pub fn for_names(names: &[&str]) -> Self {
        let ca_key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        ca.distinguished_name.push(DnType::CommonName, "Test authority");
        let ca_cert = ca.self_signed(&ca_key).expect("a self-signed certificate");
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().expect("a key");
        let mut leaf = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).expect("valid names");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        leaf.distinguished_name.push(DnType::CommonName, "Test server");
        let cert = leaf.signed_by(&key, &issuer).expect("a signed certificate");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
            .expect("certificate and key fit");
        let file = tempfile::Builder::new().prefix("test-ca-").suffix(".pem").tempfile().expect("a temporary file");
        std::fs::write(file.path(), ca_cert.pem()).expect("a writable temporary file");
        Self { ca_pem: ca_cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)), file: Arc::new(file) }
    }

    /// The authority's certificate as a PEM file; it lives as long as this value.
    pub fn ca_file(&self) -> &Path {
        self.file.path()
    }
}
