//! A person or room on a platform; shown masked unless asked for on purpose.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An address, number, user or room on a platform. `Display` and `Debug` mask it, so that logging one is safe.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recipient(String);

impl Recipient {
    /// Bytes that an address has at most: a mail address has no more than 254 (<https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.3>), and a name
    /// may precede it. PostgreSQL takes 2704 bytes in an index, whose other columns count, too
    /// (<https://github.com/postgres/postgres/blob/master/src/include/access/nbtree.h>, `BTMaxItemSize`).
    pub const MAX_BYTES: usize = 512;

    /// A recipient as the platform addresses it.
    pub fn new(address: impl Into<String>) -> Self {
        Self(address.into())
    }

    /// Whether it can be an address: it has at most [`Recipient::MAX_BYTES`] and no U+0000, so that every store takes it.
    pub fn is_sound(&self) -> bool {
        self.0.len() <= Self::MAX_BYTES && !self.0.contains('\0')
    }

    /// The full address: for drivers and stores only (`tests/architecture/` checks it).
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The same for the same address, and says nothing of it.
    pub fn digest(&self) -> String {
        super::hash_hex(&[&self.0])
    }

    /// Whether it is this address, which may be written in other cases.
    pub fn is(&self, address: &str) -> bool {
        self.0.eq_ignore_ascii_case(address)
    }

    /// Whether the address ends with this, as one does that is written without its country.
    pub fn ends_with(&self, end: &str) -> bool {
        self.0.ends_with(end)
    }

    /// `o***@e***.com`, `138****0000`, `zh***`: enough to recognise, not enough to reach.
    pub fn masked(&self) -> String {
        if self.0.starts_with('#') || self.0.starts_with('@') {
            return self.0.clone();
        }
        if let Some((local, domain)) = self.0.split_once('@') {
            let tld = domain.rsplit_once('.').map_or("", |(_, tld)| tld);
            return format!("{}***@{}***.{tld}", first(local, 1), first(domain, 1));
        }
        let digits = self.0.chars().filter(char::is_ascii_digit).count();
        if digits >= 7 && digits + 1 >= self.0.chars().count() {
            let tail: String = self.0.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
            return format!("{}****{tail}", first(&self.0, 3));
        }
        format!("{}***", first(&self.0, 2))
    }
}

fn first(text: &str, n: usize) -> String {
    text.chars().take(n).collect()
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_addresses_numbers_and_users_but_not_public_rooms() {
        assert_eq!(["1".repeat(512), "1".repeat(513), "1\0".into()].map(|to| Recipient::new(to).is_sound()), [true, false, false]);
        assert_eq!(Recipient::new("ops@example.com").to_string(), "o***@e***.com");
        assert_eq!(Recipient::new("13800000000").to_string(), "138****0000");
        assert_eq!(Recipient::new("+8613800000000").to_string(), "+86****0000");
        assert_eq!(Recipient::new("zhangsan").to_string(), "zh***");
        assert_eq!(Recipient::new("#ops").to_string(), "#ops");
        assert_eq!(Recipient::new("@all").to_string(), "@all");
        assert_eq!(format!("{:?}", Recipient::new("ops@example.com")), "Recipient(o***@e***.com)");
    }
}
