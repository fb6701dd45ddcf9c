//! Points in time as they are stored.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::parse_duration;

/// Bits of the time in a UUIDv7, its first ones.
const ID_BITS: u32 = 48;

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

    /// A time as people ask for it: a Prometheus duration (`1h`) is that long before `now`; RFC 3339; Unix milliseconds. `None`: it is none of these.
    pub fn asked(text: &str, now: Self) -> Option<Self> {
        if let Ok(ms) = text.parse() {
            return Some(Self(ms));
        }
        if let Ok(span) = parse_duration(text) {
            return Some(now - span);
        }
        text.parse::<Timestamp>().ok().map(Self::from)
    }

    /// The smallest UUIDv7 of this time; what no id can express becomes the nearest that one can.
    pub fn first_id(self) -> Uuid {
        let ms = u64::try_from(self.0).unwrap_or(0).min((1 << ID_BITS) - 1);
        Uuid::from_u128(u128::from(ms) << (128 - ID_BITS))
    }

    /// The time of a UUIDv7.
    pub fn of_id(id: Uuid) -> Self {
        Self(i64::try_from(id.as_u128() >> (128 - ID_BITS)).unwrap_or(i64::MAX))
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
    fn a_time_is_asked_for_as_a_span_a_date_or_a_number() {
        let now = UnixMs(1_795_489_200_250);
        let asked = |text: &str| UnixMs::asked(text, now);
        assert_eq!(asked("1h30m"), Some(now - 5_400_000));
        assert_eq!(asked("2026-11-24T11:00:00.25+08:00"), Some(now));
        assert_eq!((asked("1795489200250"), asked("0")), (Some(now), Some(UnixMs::EPOCH)));
        assert_eq!(asked("292y"), Some(now - 292 * 365 * 86_400_000));
        for bad in ["", "yesterday", "1.5h", "2026-11-24", "-1h", "99999999999999999999"] {
            assert_eq!(asked(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_id_knows_its_time() {
        let at = UnixMs(1_764_000_000_123);
        assert_eq!(UnixMs::of_id(at.first_id()), at);
        assert!((at + 1).first_id() > at.first_id() && Uuid::now_v7() > at.first_id());
        let formed = crate::model::MessageId::formed(at).0;
        assert!(UnixMs::of_id(formed) == at && formed.get_version_num() == 7 && formed != crate::model::MessageId::formed(at).0);
        assert_eq!(UnixMs(-1).first_id(), Uuid::nil());
        assert!(UnixMs::MAX.first_id() > Uuid::now_v7(), "no bits are lost");
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
