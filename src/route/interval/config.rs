//! Time intervals as they are in the file: texts and numbers in Alertmanager's own shape.
//! Knows nothing of time; `read` turns these into intervals.

use serde::Deserialize;

/// `time_intervals:` item: a name, and rules of which any may hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeIntervalConfig {
    /// The name that routes refer to.
    pub name: String,
    /// The interval holds while any of these does.
    pub time_intervals: Vec<TimeRuleConfig>,
}

/// One rule: it holds while every part that is given holds. A part left out always holds.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeRuleConfig {
    /// Times of day.
    pub times: Option<Vec<TimeRangeConfig>>,
    /// `monday`, `monday:friday`; weeks start on Sunday, ranges include both ends.
    pub weekdays: Option<Vec<Scalar>>,
    /// `1`, `1:7`, `-1` (the last), `-7:-1`; ranges include both ends.
    pub days_of_month: Option<Vec<Scalar>>,
    /// `january`, `1`, `may:august`; ranges include both ends.
    pub months: Option<Vec<Scalar>>,
    /// `2026`, `2026:2028`; ranges include both ends.
    pub years: Option<Vec<Scalar>>,
    /// IANA time zone, `Asia/Shanghai`; UTC when left out.
    pub location: Option<String>,
}

/// Times of day from `start_time` up to, and not including, `end_time`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeRangeConfig {
    /// `HH:MM`, 24 hours.
    pub start_time: String,
    /// `HH:MM`; `24:00` is the end of the day. A range cannot pass midnight: write two.
    pub end_time: String,
}

/// A text, or a whole number in place of its text: `years: [2026]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

impl Scalar {
    /// As it would be written.
    pub fn text(&self) -> String {
        match self {
            Scalar::Number(number) => number.to_string(),
            Scalar::Text(text) => text.clone(),
        }
    }
}
