//! Which servers are believed: the system's authorities and Mozilla's, or only those of a file. Knows no SMTP.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::classify::Cause;

/// TLS 1.2 and later with the ring provider. With `ca_pem`, only its certificates are believed; without, those of the system and Mozilla's list
/// (an image without a certificate bundle still works). The error is one sentence.
pub(super) fn client_config(ca_pem: Option<&str>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    let config = match ca_pem {
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|e| format!("its PEM text cannot be read: {e}"))?;
                roots.add(certificate).map_err(|e| format!("a certificate in it cannot be used as an authority: {e}"))?;
            }
            if roots.is_empty() {
                return Err("it holds no certificate in PEM form (`BEGIN CERTIFICATE`)".into());
            }
            builder.with_root_certificates(roots)
        }
        None => {
            let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
            let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(mozilla, provider).map_err(|e| e.to_string())?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    Ok(Arc::new(config.with_no_client_auth()))
}

/// The name a server must prove: a DNS name or an IP address.
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).ok()
}

/// Shakes hands; the error says whether the certificate, the port or the peer is to blame.
pub(super) async fn handshake(config: &Arc<ClientConfig>, name: ServerName<'static>, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Cause> {
    TlsConnector::from(config.clone()).connect(name, tcp).await.map_err(|error| cause(&error))
}

/// A network or TLS error as a cause.
pub(super) fn cause(error: &io::Error) -> Cause {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return match tls {
            rustls::Error::InvalidCertificate(why) => Cause::Certificate(certificate_words(why)),
            rustls::Error::InvalidMessage(_) => Cause::NotTls,
            rustls::Error::PeerIncompatible(why) => Cause::Handshake(format!("no common protocol version or cipher ({why:?})"), true),
            other => Cause::Handshake(other.to_string(), false),
        };
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => Cause::Closed,
        io::ErrorKind::TimedOut => Cause::Timeout,
        // The system's number explains nothing.
        _ => Cause::Network(error.to_string().split(" (os error").next().unwrap_or_default().to_owned()),
    }
}

fn certificate_words(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet (is this machine's clock right?)".into(),
        CertificateError::UnknownIssuer => "its authority is not known here".into(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "it is for another name".into(),
        CertificateError::Revoked => "it is revoked".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_must_hold_a_certificate() {
        assert!(client_config(None).is_ok());
        assert!(client_config(Some("")).unwrap_err().contains("BEGIN CERTIFICATE"));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(client_config(Some(broken)).unwrap_err().contains("authority"));
        let own = rcgen::generate_simple_self_signed(vec!["mx.example.com".into()]).unwrap();
        assert!(client_config(Some(&own.cert.pem())).is_ok());
    }

    #[test]
    fn errors_of_the_network_and_of_tls_are_told_apart() {
        let tls = |e: rustls::Error| cause(&io::Error::other(e));
        assert_eq!(tls(CertificateError::NotValidForName.into()), Cause::Certificate("it is for another name".into()));
        assert_eq!(tls(rustls::InvalidMessage::InvalidContentType.into()), Cause::NotTls);
        assert_eq!(cause(&io::ErrorKind::ConnectionReset.into()), Cause::Closed);
        assert!(matches!(cause(&io::ErrorKind::ConnectionRefused.into()), Cause::Network(_)));
    }
}
