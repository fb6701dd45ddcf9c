//! From a server's address to an open, encrypted, logged-in session. Knows no mail and no pool.
//!
//! Bytes that came unencrypted after the answer to STARTTLS are never read as the encrypted server's word (the response injection of
//! CVE-2021-38371 and its kin).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::auth::{Login, log_in};
use super::classify::{Cause, Failure, Stage};
use super::smtp::{Features, Session, Times};
use super::tls;
use super::types::TlsMode;
use super::wire::{Reply, Stream, Wire};

/// After this long without a byte the other side's system is asked whether it is there, this often, and so many times: a server that thinks for
/// minutes answers that, a host that is gone does not, and is found out in less than a minute.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMES: u32 = 3;

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

impl Server {
    /// `host:port`, for messages.
    pub(super) fn place(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }

    /// Opens a session.
    pub(super) async fn dial(&self, times: &Times) -> Result<Session, Failure> {
        let tcp = self.connect(times).await?;
        let local = tcp.local_addr().map_err(|e| Failure::new(Stage::Connect, tls::cause(&e)))?;
        let mut wire = match self.mode {
            TlsMode::Implicit => self.encrypt(tcp, times).await?,
            _ => Wire::new(Stream::Plain(tcp)),
        };
        let greeting = times.step(Stage::Banner, wire.reply()).await?;
        if greeting.code != 220 {
            return Err(refused(Stage::Banner, &greeting));
        }
        let hello = client_id(self.hello.as_deref(), local);
        let mut features = greet(&mut wire, &hello, times).await?;
        match self.mode {
            TlsMode::Starttls if !features.starttls => return Err(Failure::new(Stage::StartTls, Cause::NoStartTls)),
            TlsMode::Starttls | TlsMode::Opportunistic if features.starttls => {
                wire = self.upgrade(wire, times).await?;
                features = greet(&mut wire, &hello, times).await?;
            }
            _ => {}
        }
        // A server that offers no login at all, as relays in a house do, is sent to without one: whether that is enough is its word.
        if let Some(login) = self.login.as_ref().filter(|_| !features.auth.is_empty()) {
            if !wire.is_encrypted() && self.mode != TlsMode::None {
                return Err(Failure::new(Stage::Auth, Cause::Plaintext));
            }
            times.step(Stage::Auth, log_in(&mut wire, &features.auth, login)).await?;
        }
        Ok(Session::new(wire, features))
    }

    /// Tries the name's addresses in turn; each gets an equal share of the time that is left, so that a dead first one does not use it up.
    async fn connect(&self, times: &Times) -> Result<TcpStream, Failure> {
        let end = (Instant::now() + times.connect).min(times.limit);
        let lookup = async { tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(|e| Cause::Resolve(e.to_string())) };
        let addresses: Vec<SocketAddr> = times.step(Stage::Connect, lookup).await?.collect();
        let mut last = Failure::new(Stage::Connect, Cause::Resolve("it has no address".into()));
        for (i, address) in addresses.iter().enumerate() {
            let share = end.saturating_duration_since(Instant::now()) / (addresses.len() - i) as u32;
            let connected = async {
                let tcp = TcpStream::connect(address).await?;
                // Without it every mail waits for a delayed ACK: its last line is a write of its own.
                tcp.set_nodelay(true)?;
                let alive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_EVERY).with_retries(KEEPALIVE_TIMES);
                SockRef::from(&tcp).set_tcp_keepalive(&alive)?;
                Ok(tcp)
            };
            let times = Times { connect: share, ..*times };
            match times.step(Stage::Connect, async { connected.await.map_err(|e: std::io::Error| tls::cause(&e)) }).await {
                Ok(tcp) => return Ok(tcp),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn encrypt(&self, tcp: TcpStream, times: &Times) -> Result<Wire, Failure> {
        let broken = |why: &str| Failure::new(Stage::Tls, Cause::Handshake(why.into(), true));
        let config = self.tls.as_ref().ok_or_else(|| broken("TLS is not set up"))?;
        let name = tls::server_name(&self.host).ok_or_else(|| broken("the host in `server` is not a name that a certificate can have"))?;
        let stream = times.step(Stage::Tls, tls::handshake(config, name, tcp)).await?;
        Ok(Wire::new(Stream::Tls(Box::new(stream))))
    }

    /// STARTTLS (RFC 3207).
    async fn upgrade(&self, mut wire: Wire, times: &Times) -> Result<Wire, Failure> {
        let go = times.step(Stage::StartTls, wire.ask("STARTTLS")).await?;
        if go.code != 220 {
            return Err(refused(Stage::StartTls, &go));
        }
        let tcp = wire.into_plain().ok_or_else(|| Failure::new(Stage::StartTls, Cause::Injected))?;
        self.encrypt(tcp, times).await
    }
}

fn refused(stage: Stage, reply: &Reply) -> Failure {
    Failure::new(stage, Cause::Reply(reply.code, reply.text()))
}

/// EHLO, or HELO where it is refused (RFC 5321, section 3.2): old servers and some proxies know only that.
async fn greet(wire: &mut Wire, hello: &str, times: &Times) -> Result<Features, Failure> {
    let reply = times.step(Stage::Ehlo, wire.ask(&format!("EHLO {hello}"))).await?;
    match reply.code {
        250 => return Ok(Features::of(&reply)),
        500..600 => {}
        _ => return Err(refused(Stage::Ehlo, &reply)),
    }
    match times.step(Stage::Ehlo, wire.ask(&format!("HELO {hello}"))).await {
        Ok(old) if old.code == 250 => Ok(Features::default()),
        // Who does not know EHLO says no more with its refusal than that.
        Ok(old) if matches!(reply.code, 500..=504) => Err(refused(Stage::Ehlo, &old)),
        _ => Err(refused(Stage::Ehlo, &reply)),
    }
}

/// Who we say we are: what is configured, else the host's full name, else the address literal of our end (RFC 5321, section 4.1.4).
fn client_id(hello: Option<&str>, local: SocketAddr) -> String {
    let full = |name: &String| name.contains('.') && is_host_name(name);
    let literal = || match local.ip().to_canonical() {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    };
    match hello {
        Some(name) => name.to_owned(),
        None => hostname::get().ok().and_then(|name| name.into_string().ok()).filter(full).unwrap_or_else(literal),
    }
}

/// Letters, digits, dots and hyphens: a name that a command may hold.
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
        assert_eq!(client_id(Some("mon.example.com"), v4), "mon.example.com");
        assert_eq!(client_id(Some("[192.0.2.1]"), v4), "[192.0.2.1]");
        assert_eq!(client_id(Some("[IPv6:2001:db8::1]"), v4), "[IPv6:2001:db8::1]");
        let own = client_id(None, v4);
        assert!(own == "[10.0.0.5]" || own.contains('.') && is_host_name(&own), "{own}");
    }

    #[test]
    fn host_names() {
        for (name, good) in [("a.b-c.de", true), ("localhost", true), ("", false), ("a..b", false), ("-a", false), ("a_b", false), ("a b", false)] {
            assert_eq!(is_host_name(name), good, "{name}");
        }
    }
}
