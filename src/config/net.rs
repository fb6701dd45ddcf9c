//! Networks and sizes as the file writes them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

/// Reads a network: `10.0.0.0/8`, `2001:db8::/32`, or a single address. The error is one sentence.
pub fn network(text: &str) -> Result<IpNet, String> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().map_err(|_| "write an IP address or a network such as `10.0.0.0/8`".to_owned())?;
    let Some(bits) = bits else { return Ok(address.into()) };
    let network = bits.parse().ok().and_then(|bits| IpNet::new(address, bits).ok());
    let network = network.ok_or_else(|| format!("the number after `/` goes from 0 to {}", IpNet::from(address).max_prefix_len()))?;
    if network.trunc() != network {
        return Err(format!("it has digits beyond its {} bits; write `{}`", network.prefix_len(), network.trunc()));
    }
    Ok(network)
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
    fn networks_are_read_and_mistakes_named() {
        for (text, network) in
            [("10.0.0.0/8", "10.0.0.0/8"), ("0.0.0.0/0", "0.0.0.0/0"), ("2001:db8::/32", "2001:db8::/32"), ("192.0.2.1", "192.0.2.1/32")]
        {
            assert_eq!(super::network(text).unwrap().to_string(), network);
        }
        assert_eq!(network("10.1.0.0/8").unwrap_err(), "it has digits beyond its 8 bits; write `10.0.0.0/8`");
        assert_eq!(network("10.0.0.0/33").unwrap_err(), "the number after `/` goes from 0 to 32");
        for bad in ["x", "", "10.0.0.0/-1", "10/8"] {
            assert!(network(bad).is_err(), "{bad}");
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
