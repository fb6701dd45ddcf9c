//! From a server's address to an open, encrypted, logged-in session. Knows no mail and no pool.
//!
//! The greeting and STARTTLS are read here, before the mail library takes over: it would keep bytes that came unencrypted after the answer to
//! STARTTLS and read them as the encrypted server's word (the response injection of CVE-2021-38371 and its kin).

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::auth::{Login, log_in};
use super::classify::{Cause, Failure, Stage};
use super::config::TlsMode;
use super::smtp::{Session, cause_of};
use super::tls;
use super::wire::{Stream, Wire};

/// Where and how to connect.
#[derive(Debug)]
pub(super) struct Server {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// When TLS begins.
    pub mode: TlsMode,
    /// Whom to believe; `None` only with [`TlsMode::None`].
    pub tls: Option<Arc<ClientConfig>>,
    /// What to call ourselves; else the host's full name, else our address.
    pub hello: Option<String>,
    /// Whom to log in as.
    pub login: Option<Login>,
}

/// Runs one step; silence until the deadline is a failure of that stage.
pub(super) async fn step<T>(deadline: Instant, stage: Stage, work: impl Future<Output = Result<T, Cause>>) -> Result<T, Failure> {
    match timeout_at(deadline, work).await {
        Ok(result) => result.map_err(|cause| Failure::new(stage, cause)),
        Err(_) => Err(Failure::new(stage, Cause::Timeout)),
    }
}

impl Server {
    /// `host:port`, for messages.
    pub(super) fn place(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }

    /// Opens a session.
    pub(super) async fn dial(&self, deadline: Instant) -> Result<Session, Failure> {
        let tcp = self.connect(deadline).await?;
        // Without it every mail waits for a delayed ACK: its last line is a write of its own.
        let local =
            step(deadline, Stage::Connect, async { tcp.set_nodelay(true).and_then(|()| tcp.local_addr()).map_err(|e| tls::cause(&e)) }).await?;
        let mut wire = match self.mode {
            TlsMode::Implicit => self.encrypt(tcp, deadline).await?,
            _ => Wire::new(Stream::Plain(tcp)),
        };
        let greeting = step(deadline, Stage::Banner, wire.reply()).await?;
        if greeting.code != 220 {
            return Err(Failure::new(Stage::Banner, Cause::Reply(greeting.code, greeting.lines.join(" "))));
        }
        let hello = client_id(self.hello.as_deref(), local);
        if matches!(self.mode, TlsMode::Starttls | TlsMode::Opportunistic) {
            wire = self.upgrade(wire, &hello, deadline).await?;
        }
        let encrypted = wire.is_encrypted();
        // The library begins with a greeting; it has been read already.
        wire.unread(b"220 -\r\n".to_vec());
        let connect = async { AsyncSmtpConnection::connect_with_transport(Box::new(wire), &hello).await.map_err(|e| cause_of(&e)) };
        let mut conn = step(deadline, Stage::Ehlo, connect).await?;
        if let Some(login) = &self.login {
            if !encrypted && self.mode != TlsMode::None {
                return Err(Failure::new(Stage::Auth, Cause::Plaintext));
            }
            step(deadline, Stage::Auth, log_in(&mut conn, login)).await?;
        }
        Ok(Session::new(conn))
    }

    /// Tries the name's addresses in turn; each gets an equal share of the time that is left, so that a dead first one does not use it up.
    async fn connect(&self, deadline: Instant) -> Result<TcpStream, Failure> {
        let lookup = async { tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(|e| Cause::Resolve(e.to_string())) };
        let addresses: Vec<SocketAddr> = step(deadline, Stage::Connect, lookup).await?.collect();
        let mut last = Failure::new(Stage::Connect, Cause::Resolve("it has no address".into()));
        for (i, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = Instant::now() + left / (addresses.len() - i) as u32;
            match step(share, Stage::Connect, async { TcpStream::connect(address).await.map_err(|e| tls::cause(&e)) }).await {
                Ok(tcp) => return Ok(tcp),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn encrypt(&self, tcp: TcpStream, deadline: Instant) -> Result<Wire, Failure> {
        let broken = |why: &str| Failure::new(Stage::Tls, Cause::Handshake(why.into(), true));
        let config = self.tls.as_ref().ok_or_else(|| broken("TLS is not set up"))?;
        let name = tls::server_name(&self.host).ok_or_else(|| broken("the host in `server` is not a name that a certificate can have"))?;
        let stream = step(deadline, Stage::Tls, tls::handshake(config, name, tcp)).await?;
        Ok(Wire::new(Stream::Tls(Box::new(stream))))
    }

    /// STARTTLS (RFC 3207). Without the offer, `starttls` fails and `opportunistic` goes on unencrypted.
    async fn upgrade(&self, mut wire: Wire, hello: &ClientId, deadline: Instant) -> Result<Wire, Failure> {
        let features = step(deadline, Stage::Ehlo, async {
            wire.line(&format!("EHLO {hello}")).await?;
            wire.reply().await
        })
        .await?;
        if features.code != 250 {
            return Err(Failure::new(Stage::Ehlo, Cause::Reply(features.code, features.lines.join(" "))));
        }
        if !features.lines.iter().skip(1).any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
            return match self.mode {
                TlsMode::Opportunistic => Ok(wire),
                _ => Err(Failure::new(Stage::StartTls, Cause::NoStartTls)),
            };
        }
        let go = step(deadline, Stage::StartTls, async {
            wire.line("STARTTLS").await?;
            wire.reply().await
        })
        .await?;
        if go.code != 220 {
            return Err(Failure::new(Stage::StartTls, Cause::Reply(go.code, go.lines.join(" "))));
        }
        let tcp = wire.into_plain().ok_or_else(|| Failure::new(Stage::StartTls, Cause::Injected))?;
        self.encrypt(tcp, deadline).await
    }
}

/// Who we say we are: what is configured, else the host's full name, else the address literal of our end (RFC 5321, section 4.1.4).
fn client_id(hello: Option<&str>, local: SocketAddr) -> ClientId {
    let literal = |ip: std::net::IpAddr| match ip {
        std::net::IpAddr::V4(ip) => ClientId::Ipv4(ip),
        std::net::IpAddr::V6(ip) => ClientId::Ipv6(ip),
    };
    match hello {
        Some(name) => match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).and_then(|ip| ip.trim_start_matches("IPv6:").parse().ok()) {
            Some(ip) => literal(ip),
            None => ClientId::Domain(name.to_owned()),
        },
        None => match ClientId::default() {
            ClientId::Domain(name) if name.contains('.') && is_host_name(&name) => ClientId::Domain(name),
            _ => literal(local.ip()),
        },
    }
}

/// Letters, digits, dots and hyphens: a name that may stand in a command.
pub(super) fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !label.starts_with('-') && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_call_ourselves_by_name_or_by_address() {
        let v4: SocketAddr = "10.0.0.5:1".parse().unwrap();
        assert_eq!(client_id(Some("mon.example.com"), v4).to_string(), "mon.example.com");
        assert_eq!(client_id(Some("[192.0.2.1]"), v4).to_string(), "[192.0.2.1]");
        assert_eq!(client_id(Some("[IPv6:2001:db8::1]"), v4).to_string(), "[IPv6:2001:db8::1]");
        let own = client_id(None, v4).to_string();
        assert!(own == "[10.0.0.5]" || own.contains('.') && is_host_name(&own), "{own}");
    }

    #[test]
    fn host_names() {
        for (name, good) in [("a.b-c.de", true), ("localhost", true), ("", false), ("a..b", false), ("-a", false), ("a_b", false), ("a b", false)] {
            assert_eq!(is_host_name(name), good, "{name}");
        }
    }
}
