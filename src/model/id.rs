//! Identities: UUIDv7 for things that arrive in time order, a hash for outlets.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{NoContext, Timestamp, Uuid};

use super::UnixMs;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identity; later ones sort after earlier ones (UUIDv7).
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "format": "uuid" })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(s).map(Self)
            }
        }
    };
}

uuid_id!(
    /// Identity of an event.
    EventId
);
uuid_id!(
    /// Identity of a delivery.
    DeliveryId
);
uuid_id!(
    /// Identity of a message.
    MessageId
);
uuid_id!(
    /// Identity of an attempt.
    AttemptId
);

impl MessageId {
    /// A message that is formed now: what its links and buttons say of its time is the engine's time.
    pub fn formed(now: UnixMs) -> Self {
        let ms = u64::try_from(now.0).unwrap_or(0);
        Self(Uuid::new_v7(Timestamp::from_unix(NoContext, ms / 1000, (ms % 1000) as u32 * 1_000_000)))
    }
}

/// Row of a lane in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LaneId(pub i64);

/// Number of an incident, as people say it: #1842. Its store counts them and never uses one twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct IncidentId(pub i64);

/// The bare number.
impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for IncidentId {
    type Err = std::num::ParseIntError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}

/// Platform + hash of the credential that the platform's limit counts, as `dingtalk:1f2e3d4c5b6a7988`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutletKey(std::sync::Arc<str>);

impl OutletKey {
    /// The outlet of `platform` behind `credential` (any text that identifies what the limit counts; it is hashed).
    pub fn new(platform: &str, credential: &str) -> Self {
        Self(format!("{platform}:{}", hash_hex(&[platform, credential])).into())
    }

    /// An outlet key read back from a store.
    pub fn from_stored(key: &str) -> Self {
        Self(key.into())
    }

    /// The key as stored and shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OutletKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first 16 hex digits of SHA-256 over the parts, each preceded by its length so that parts cannot run together.
pub fn hash_hex(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize()[..8].iter().map(|b| format!("{b:02x}")).collect()
}
