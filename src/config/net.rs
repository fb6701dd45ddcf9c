//! Networks and sizes as the file writes them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A network: `10.0.0.0/8`, `2001:db8::/32`, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads a network; the error is one sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| "write an IP address or a network such as `10.0.0.0/8`".to_owned())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or(format!("the number after `/` goes from 0 to {most}"))?,
        };
        let network = Self { address, bits };
        if network.first() != address {
            return Err(format!("it has digits beyond its {bits} bits; write `{}/{bits}`", network.first()));
        }
        Ok(network)
    }

    /// Its first address and the number of bits that all its addresses share.
    pub fn parts(&self) -> (IpAddr, u8) {
        (self.address, self.bits)
    }

    /// Whether an address is in it. IPv4 addresses in IPv6 form count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && Self { address, bits: self.bits }.first() == self.address
    }

    /// The address with all bits beyond the network's cleared.
    fn first(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from(u32::from(v4) & (u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0)))),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & (u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0)))),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Reads an address to listen on: `127.0.0.1:9091`, `[::1]:9091`, `localhost:9091`, `:9091` (all IPv4 addresses). The error is one sentence.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let full = match text.rsplit_once(':') {
        Some(("", port)) => format!("0.0.0.0:{port}"),
        Some(("localhost", port)) => format!("127.0.0.1:{port}"),
        Some(("*", port)) => format!("0.0.0.0:{port}"),
        _ => text.to_owned(),
    };
    full.parse().map_err(|_| {
        if text.parse::<IpAddr>().is_ok() {
            format!("the port is missing; write `{}`", SocketAddr::new(text.parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), 9091))
        } else {
            "write an IP address and a port, such as `127.0.0.1:9091` or `0.0.0.0:80`".to_owned()
        }
    })
}

/// Reads a size: bytes, or a number with `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024) or `kB`, `MB`, `GB`, `TB` (powers of 1000). The error is one sentence.
pub fn size(text: &str) -> Result<u64, String> {
    let help = || "write bytes, or a unit: `512KiB`, `8MiB`, `2GiB`".to_owned();
    let text = text.trim();
    let (digits, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let number: u64 = digits.parse().map_err(|_| help())?;
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" | "ki" => 1 << 10,
        "mib" | "m" | "mi" => 1 << 20,
        "gib" | "g" | "gi" => 1 << 30,
        "tib" | "t" | "ti" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(help()),
    };
    number.checked_mul(factor).ok_or_else(|| "the number is too large".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let ten = Network::parse("10.0.0.0/8").unwrap();
        assert!(ten.contains("10.200.3.4".parse().unwrap()) && !ten.contains("11.0.0.1".parse().unwrap()));
        assert!(ten.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(Network::parse("0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
        assert!(Network::parse("2001:db8::/32").unwrap().contains("2001:db8:1::1".parse().unwrap()));
        assert!(!Network::parse("192.0.2.1").unwrap().contains("192.0.2.2".parse().unwrap()));
        assert_eq!(Network::parse("10.1.0.0/8").unwrap_err(), "it has digits beyond its 8 bits; write `10.0.0.0/8`");
        for bad in ["10.0.0.0/33", "x", "", "10.0.0.0/-1", "10/8"] {
            assert!(Network::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn listen_addresses() {
        for (text, full) in [(":80", "0.0.0.0:80"), ("localhost:1", "127.0.0.1:1"), ("[::]:9", "[::]:9"), ("0.0.0.0:80", "0.0.0.0:80")] {
            assert_eq!(listen_address(text).unwrap(), full.parse().unwrap());
        }
        assert_eq!(listen_address("127.0.0.1").unwrap_err(), "the port is missing; write `127.0.0.1:9091`");
        for bad in ["", "80", "host:80", "127.0.0.1:99999", "::1:80x"] {
            assert!(listen_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_with_and_without_units() {
        for (text, bytes) in [("1024", 1024), ("8MiB", 8 << 20), ("2 GiB", 2 << 30), ("10MB", 10_000_000), ("1k", 1024)] {
            assert_eq!(size(text).unwrap(), bytes);
        }
        for bad in ["", "MiB", "1.5MiB", "8 megs", "99999999999999TiB", "-1"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
