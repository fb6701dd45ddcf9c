//! Buttons of a message: what a person can do about its incident, and how a pressed button says so.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest value of a button: Telegram's `callback_data`, in bytes (<https://core.telegram.org/bots/api#inlinekeyboardbutton>).
pub const MAX_BUTTON_VALUE: usize = 64;

/// What a person can do about an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Somebody is on it.
    Ack,
    /// Nobody is on it any more.
    Unack,
    /// Somebody is on it, and wants to be reminded at a time.
    Snooze,
    /// It ends here, whatever its sender says; what fires again opens it again.
    Close,
    /// Its sender is to be silent about it until a time, and it is snoozed until then.
    Silence,
    /// Its sender is not to be silent about it any more.
    Unsilence,
    /// What its labels match is held back until a time; nobody is on it.
    Mute,
    /// What its labels match is not held back any more.
    Unmute,
    /// The next step of its escalation comes at once.
    Escalate,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Verb; 9] =
        [Verb::Ack, Verb::Unack, Verb::Snooze, Verb::Close, Verb::Silence, Verb::Unsilence, Verb::Mute, Verb::Unmute, Verb::Escalate];

    /// The name in SQL, metrics, links and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Ack => "ack",
            Verb::Unack => "unack",
            Verb::Snooze => "snooze",
            Verb::Close => "close",
            Verb::Silence => "silence",
            Verb::Unsilence => "unsilence",
            Verb::Mute => "mute",
            Verb::Unmute => "unmute",
            Verb::Escalate => "escalate",
        }
    }

    /// The verb of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == name)
    }
}

/// A button of a message. Drivers show it where a press reaches this server; its label is already in the message's language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What it does.
    pub verb: Verb,
    /// Its text.
    pub label: String,
    /// What the platform returns when it is pressed; at most [`MAX_BUTTON_VALUE`] ASCII letters, digits and dots ([`ButtonValue`]).
    pub value: String,
}

/// What a button's value says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ButtonValue {
    /// What is to be done.
    pub verb: Verb,
    /// The signed code of the message that the button is part of.
    pub code: String,
    /// The incident's version that the message showed; 0 in a digest, which shows several incidents.
    pub version: i64,
    /// For how long, in minutes; 0 where the verb needs no time.
    pub minutes: u32,
    /// The number of the message's only incident: by it a message is known that is not stored, because a crash cut off its answer. 0 where it has several.
    pub incident: i64,
    /// What proves code and incident, [`ButtonValue::MAC`] letters and digits; empty without an incident, and in messages that earlier versions sent.
    pub mac: String,
}

impl ButtonValue {
    /// The length of `mac`.
    pub const MAC: usize = 8;

    /// For how long a button snoozes, silences and mutes.
    pub const MINUTES: u32 = 120;

    /// For how long: no longer than our buttons say, for a client may report other data than the button's
    /// (<https://core.telegram.org/bots/api#callbackquery>).
    pub fn span(&self) -> Duration {
        Duration::from_secs(u64::from(self.minutes.min(Self::MINUTES)) * 60)
    }

    /// As a button carries it: `ack.0W1x2y3z4A5b6C.17`, `snooze.0W1x2y3z4A5b6C.17.120`, and `ack.0W1x2y3z4A5b6C.17.0.1842.a1B2c3D4` with an incident, where
    /// there is room for it.
    pub fn encode(&self) -> String {
        let value = format!("{}.{}.{}", self.verb.as_str(), self.code, self.version);
        let mac = if self.mac.is_empty() { String::new() } else { format!(".{}", self.mac) };
        let with_incident = format!("{value}.{}.{}{mac}", self.minutes, self.incident);
        match self.minutes {
            _ if self.incident > 0 && with_incident.len() <= MAX_BUTTON_VALUE => with_incident,
            0 => value,
            minutes => format!("{value}.{minutes}"),
        }
    }

    /// The same back; `None` for what no button of ours carries.
    pub fn decode(value: &str) -> Option<Self> {
        if value.len() > MAX_BUTTON_VALUE {
            return None;
        }
        let mut parts = value.split('.');
        let verb = Verb::parse(parts.next()?)?;
        let code = parts.next().filter(|code| !code.is_empty() && code.bytes().all(|b| b.is_ascii_alphanumeric()))?.to_owned();
        let version = parts.next()?.parse().ok().filter(|version| *version >= 0)?;
        let minutes = parts.next().map_or(Some(0), |minutes| minutes.parse().ok())?;
        let incident = parts.next().map_or(Some(0), |incident| incident.parse().ok()).filter(|incident| *incident >= 0)?;
        let is_mac = |mac: &&str| incident > 0 && mac.len() == Self::MAC && mac.bytes().all(|b| b.is_ascii_alphanumeric());
        let mac = parts.next().map_or(Some(""), |mac| Some(mac).filter(is_mac))?.to_owned();
        parts.next().is_none().then_some(Self { verb, code, version, minutes, incident, mac })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_written_and_fits_every_platform() {
        for verb in Verb::ALL {
            assert_eq!(Verb::parse(verb.as_str()), Some(verb));
            let value = ButtonValue { verb, code: "z".repeat(14), version: i64::MAX, minutes: u32::MAX, incident: 0, mac: String::new() };
            assert!(value.encode().len() <= MAX_BUTTON_VALUE);
            assert_eq!(ButtonValue::decode(&value.encode()), Some(value.clone()));
            let plain = ButtonValue { minutes: 0, ..value };
            assert_eq!(ButtonValue::decode(&plain.encode()), Some(plain));
            let mac = "z".repeat(ButtonValue::MAC);
            let of = ButtonValue { verb, code: "z".repeat(14), version: 999_999, minutes: 43_200, incident: 999_999_999, mac };
            assert!(of.encode().len() <= MAX_BUTTON_VALUE);
            assert_eq!(ButtonValue::decode(&of.encode()), Some(of.clone()));
            let plain = ButtonValue { minutes: 0, ..of };
            assert_eq!(ButtonValue::decode(&plain.encode()), Some(plain.clone()));
            let earlier = ButtonValue { mac: String::new(), ..plain.clone() };
            assert_eq!(ButtonValue::decode(&earlier.encode()), Some(earlier));
            // Without the number it is a button still.
            let huge = ButtonValue { version: i64::MAX, minutes: u32::MAX, incident: i64::MAX, ..plain };
            assert_eq!(ButtonValue::decode(&huge.encode()), Some(ButtonValue { incident: 0, mac: String::new(), ..huge }));
        }
        for none in [
            "",
            "ack",
            "ack.",
            "ack..1",
            "ack.abc",
            "ack.abc.-1",
            "ack.abc.x",
            "ack.abc.1.",
            "ack.abc.1.2.3.4",
            "ack.abc.1.2.3.",
            "ack.abc.1.2.0.a1B2c3D4",
            "ack.abc.1.2.3.a1B2c-D4",
            "ack.abc.1.2.3.a1B2c3D4.5",
            "ack.abc.1.2.x",
            "ack.abc.1.2.-3",
            "nack.abc.1",
            "ack.a-b.1",
        ] {
            assert_eq!(ButtonValue::decode(none), None, "{none}");
        }
        assert_eq!(ButtonValue::decode(&format!("ack.{}.1", "a".repeat(99))), None);
    }

    #[test]
    fn no_press_lasts_longer_than_the_buttons_say() {
        let minutes = |value: &str| ButtonValue::decode(value).unwrap().span().as_secs() / 60;
        assert_eq!(["ack.abc.1", "snooze.abc.1.30", "snooze.abc.1.120", "snooze.abc.1.43200"].map(minutes), [0, 30, 120, 120]);
    }
}
