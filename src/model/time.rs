//! Points in time as they are stored.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 UTC. Arithmetic saturates: no stored number and no setting can make it overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// 1970; where a column cannot be empty, it means never.
    pub const EPOCH: Self = Self(0);
    /// Later than everything.
    pub const MAX: Self = Self(i64::MAX);

    /// The time that has passed since `earlier`; zero when that lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self - earlier).unwrap_or(0))
    }

    /// The same as a timestamp; what it cannot express becomes the epoch.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

impl From<Timestamp> for UnixMs {
    fn from(at: Timestamp) -> Self {
        Self(at.as_millisecond())
    }
}

impl From<UnixMs> for SystemTime {
    fn from(at: UnixMs) -> Self {
        UNIX_EPOCH + at.since(UnixMs::EPOCH)
    }
}

/// RFC 3339 in UTC.
impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for UnixMs {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self + milliseconds(duration)
    }
}

impl Sub<Duration> for UnixMs {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        self - milliseconds(duration)
    }
}

/// By milliseconds.
impl Add<i64> for UnixMs {
    type Output = Self;

    fn add(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// By milliseconds.
impl Sub<i64> for UnixMs {
    type Output = Self;

    fn sub(self, ms: i64) -> Self {
        Self(self.0.saturating_sub(ms))
    }
}

/// By milliseconds.
impl AddAssign<i64> for UnixMs {
    fn add_assign(&mut self, ms: i64) {
        *self = *self + ms;
    }
}

/// The milliseconds between two times; negative when the second is the later one.
impl Sub for UnixMs {
    type Output = i64;

    fn sub(self, other: Self) -> i64 {
        self.0.saturating_sub(other.0)
    }
}

impl schemars::JsonSchema for UnixMs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UnixMs".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        i64::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overflows() {
        assert_eq!(UnixMs::MAX + Duration::MAX, UnixMs::MAX);
        assert_eq!(UnixMs(i64::MIN) - Duration::MAX, UnixMs(i64::MIN));
        assert_eq!(UnixMs::MAX - UnixMs(i64::MIN), i64::MAX);
        assert_eq!(UnixMs::MAX.since(UnixMs(i64::MIN)), Duration::from_millis(i64::MAX as u64));
        assert_eq!(UnixMs(5).since(UnixMs(9)), Duration::ZERO);
        assert_eq!(UnixMs::MAX.timestamp(), Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn it_is_a_number_in_json_and_rfc_3339_in_text() {
        let at = UnixMs(1_795_489_200_250);
        assert_eq!(serde_json::to_string(&at).unwrap(), "1795489200250");
        assert_eq!(serde_json::from_str::<UnixMs>("1795489200250").unwrap(), at);
        assert_eq!(at.to_string(), "2026-11-24T03:00:00.25Z");
        assert_eq!((UnixMs::from(at.timestamp()), at.seconds()), (at, 1_795_489_200));
    }
}
