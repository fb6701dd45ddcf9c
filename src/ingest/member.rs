//! A member of an entry that is no field of an alert: whether it is a label of one, or a text about it.

use super::json::is_name;
use super::time;
use super::unread::{MAX_RAW_TEXT, cut};
use super::value::{kind_of, text};

/// A member of an entry that is no field of an alert.
pub(super) struct Member {
    /// Its name, cut.
    pub(super) name: String,
    /// Its value as text, cut.
    pub(super) text: String,
    /// Whether it is a text, a number or a boolean.
    pub(super) is_plain: bool,
}

impl Member {
    /// A member that is not null.
    pub(super) fn new(name: &str, raw: &str) -> Self {
        let is_plain = !matches!(kind_of(raw), "an object" | "an array");
        Self { name: cut(name, 100), text: cut(&text(raw), MAX_RAW_TEXT), is_plain }
    }

    /// Its name in lower case and without what separates words: senders write `alertname`, `alertName` and `alert_name`.
    pub(super) fn word(&self) -> String {
        self.name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
    }

    pub(super) fn is_one_of(&self, names: &[&str]) -> bool {
        names.contains(&self.word().as_str())
    }

    /// Whether it distinguishes one alert from another, and is the same from its beginning to its end.
    pub(super) fn is_label(&self) -> bool {
        let (word, value) = (self.word(), self.text.trim());
        let changes = word.contains("value") || ["time", "timestamp", "duration"].iter().any(|end| word.ends_with(end));
        self.is_plain
            && !changes
            && !NO_LABELS.iter().chain(&NO_TEXTS).chain(&SUMMARIES).chain(&DESCRIPTIONS).any(|name| *name == word)
            && is_name(&self.name)
            && is_label_value(value)
    }
}

/// A short word or number; no time, no measurement, no address of a page, and no yes or no.
fn is_label_value(value: &str) -> bool {
    let is_number = match value.bytes().all(|b| b.is_ascii_digit()) {
        // Unix time, in whatever unit; an account may be as long, and two must not be one.
        true => matches!(value.len(), 10 | 13 | 16 | 19) && value.starts_with('1'),
        false => value.trim_end_matches('%').trim_end().parse::<f64>().is_ok(),
    };
    let is_time = || value.bytes().any(|b| b == b'-' || b == b':') && time::parse(value).is_some();
    !value.is_empty()
        && value.len() <= MAX_LABEL
        && !value.contains('\n')
        && !matches!(value, "true" | "false")
        && !value.starts_with("http://")
        && !value.starts_with("https://")
        && !is_number
        && !is_time()
}

/// Bytes of a label.
pub(super) const MAX_LABEL: usize = 120;
/// Members that say in one line what is wrong.
pub(super) const SUMMARIES: [&str; 3] = ["summary", "title", "subject"];
/// Members that say more of it.
pub(super) const DESCRIPTIONS: [&str; 8] = ["description", "message", "msg", "text", "content", "details", "detail", "body"];
/// Members that say nothing of the alert to a reader: its state, and what belongs to the body.
pub(super) const NO_TEXTS: [&str; 9] =
    ["state", "receiver", "groupkey", "version", "externalurl", "orgid", "truncatedalerts", "notificationreason", "appversion"];
/// Members that are no labels, for they change while an alert lasts.
const NO_LABELS: [&str; 20] = [
    "current",
    "count",
    "total",
    "tries",
    "attempt",
    "attempts",
    "retries",
    "elapsed",
    "age",
    "date",
    "ts",
    "numfiring",
    "numresolved",
    "firing",
    "resolved",
    "percent",
    "usage",
    "note",
    "reason",
    "comment",
];
