//! Keeps requests to addresses that a user of the configuration may not have meant (server-side request forgery): loopback, private, link-local
//! and metadata addresses are refused unless they are allowed by name or network. Checked on the address that is connected to, so that a name
//! which changes its mind between look-up and connection gains nothing. Through a proxy the names are the proxy's to look up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What is allowed besides public addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SsrfGuard {
    networks: Vec<IpNet>,
    hosts: Vec<String>,
}

/// How the error of a name that was refused begins, to distinguish it from one that was not found.
pub(super) const REFUSED: &str = "refused: ";

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The address.
    pub ip: IpAddr,
    /// What it is: `a loopback address`.
    pub what: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, which is {}; if that is meant, allow it: `allow_networks: [{}]`", self.ip, self.what, self.ip)
    }
}

impl std::error::Error for Refused {}

impl SsrfGuard {
    /// A guard that lets `allow` through: networks (`10.0.0.0/8`), addresses, or host names. Errors name the entry.
    pub fn new(allow: &[String]) -> Result<Self, String> {
        let mut guard = Self::default();
        for entry in allow.iter().map(|entry| entry.trim()) {
            if entry.is_empty() {
                return Err("an entry is empty".into());
            }
            if entry.contains('/') {
                guard.networks.push(entry.parse().map_err(|_| format!("`{entry}` is not a network"))?);
            } else if let Ok(ip) = entry.parse::<IpAddr>() {
                guard.networks.push(ip.into());
            } else {
                guard.hosts.push(entry.trim_end_matches('.').to_ascii_lowercase());
            }
        }
        Ok(guard)
    }

    /// Whether a host is allowed by its name, whatever it resolves to.
    pub fn knows(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.hosts.contains(&host)
    }

    /// Whether an address may be connected to.
    pub fn check(&self, ip: IpAddr) -> Result<(), Refused> {
        if self.networks.iter().any(|network| network.contains(&ip)) {
            return Ok(());
        }
        match classify_address(ip) {
            Some(what) => Err(Refused { ip, what }),
            None => Ok(()),
        }
    }
}

/// What an address is when it is not a public one. Registries:
/// <https://www.iana.org/assignments/iana-ipv4-special-registry>, <https://www.iana.org/assignments/iana-ipv6-special-registry>
fn classify_address(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(v4) => classify_ipv4(v4),
        IpAddr::V6(v6) => what_v6(v6),
    }
}

fn classify_ipv4(ip: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = ip.octets();
    match (a, b, c) {
        (127, ..) => Some("a loopback address"),
        (169, 254, _) => Some("a link-local or metadata address"),
        (10, ..) | (192, 168, _) => Some("a private address"),
        (172, 16..=31, _) => Some("a private address"),
        (100, 64..=127, _) => Some("a carrier's shared address"),
        (0, ..) => Some("an address of this network"),
        (192, 0, 0) | (192, 0, 2) | (198, 51, 100) | (203, 0, 113) | (198, 18..=19, _) => Some("a reserved address"),
        (224..=255, ..) => Some("a multicast, broadcast or reserved address"),
        _ => None,
    }
}

fn what_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if ip.is_loopback() {
        return Some("a loopback address");
    }
    if ip.is_unspecified() {
        return Some("an address of this host");
    }
    let s = ip.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match s {
        // IPv4 in another form is checked as IPv4: mapped, compatible, translated (NAT64), 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] => classify_ipv4(embedded(high, low)).or(Some("an IPv4 address written as IPv6")),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => classify_ipv4(embedded(high, low)),
        [0x64, 0xff9b, 1, ..] => Some("a local translation address"),
        [0x2002, high, low, ..] => classify_ipv4(embedded(high, low)),
        [0xfc00..=0xfdff, ..] => Some("a private address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xfec0..=0xfeff, ..] => Some("a site-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        [0x2001, 0xdb8, ..] | [0x2001, 0, ..] | [0x100, 0, 0, 0, ..] => Some("a reserved address"),
        _ => None,
    }
}

impl Resolve for SsrfGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            if guard.knows(&host) {
                return Ok(Box::new(found.into_iter()) as Addrs);
            }
            let mut refused = None;
            let mut good = Vec::with_capacity(found.len());
            for address in found {
                match guard.check(address.ip()) {
                    Ok(()) => good.push(address),
                    Err(why) => refused = Some(why),
                }
            }
            match refused {
                // One bad address among good ones is no accident: nothing of such a name is connected to.
                Some(why) => Err(format!("{REFUSED}{host} leads to {why}").into()),
                None => Ok(Box::new(good.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuses(ip: &str) -> bool {
        SsrfGuard::default().check(ip.parse().unwrap()).is_err()
    }

    #[test]
    fn only_public_addresses_pass() {
        for ip in [
            "127.0.0.1",
            "127.8.8.8",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:db8::1",
        ] {
            assert!(refuses(ip), "{ip}");
        }
        for ip in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8"] {
            assert!(!refuses(ip), "{ip}");
        }
    }

    #[test]
    fn what_is_allowed_passes_and_nothing_beside_it() {
        let guard = SsrfGuard::new(&["10.1.0.0/16".into(), "127.0.0.1".into(), "Hooks.Internal.".into(), "fd00::/8".into()]).unwrap();
        assert!(guard.check("10.1.255.1".parse().unwrap()).is_ok() && guard.check("10.2.0.1".parse().unwrap()).is_err());
        assert!(guard.check("127.0.0.1".parse().unwrap()).is_ok() && guard.check("127.0.0.2".parse().unwrap()).is_err());
        assert!(guard.check("fd12::1".parse().unwrap()).is_ok() && guard.check("fe80::1".parse().unwrap()).is_err());
        assert!(guard.knows("hooks.internal") && !guard.knows("xhooks.internal"));
        for bad in ["10.0.0.0/33", "x/8", ""] {
            assert!(SsrfGuard::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_refused_when_it_is_looked_up() {
        let look = async |guard: SsrfGuard| guard.resolve("localhost".parse().unwrap()).await.map(|found| found.count());
        let error = look(SsrfGuard::default()).await.unwrap_err().to_string();
        assert!(error.contains("loopback") && error.contains("allow_networks:"), "{error}");
        assert!(look(SsrfGuard::new(&["localhost".into()]).unwrap()).await.unwrap() > 0);
    }
}
