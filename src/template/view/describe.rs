//! What names an alert, from its labels and annotations.

use crate::model::{Alert, Language};

use super::super::words;
use super::place::{Place, place};
use super::shorten;
use super::value::value;

/// Between the name and the place of a title.
const SEPARATOR: &str = " · ";

/// What names an alert: its name, where it happens, its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described<'a> {
    /// Its name; the first line of what it says, or a built-in word when it has none.
    pub name: String,
    /// Where it happens.
    pub place: Place<'a>,
    /// Its current value as text; empty when unknown.
    pub value: String,
    /// Labels that the name says.
    pub named_by: &'static [&'static str],
}

impl Described<'_> {
    /// Name and place in one line. The part of a machine is left to a summary that names it.
    pub fn title(&self, summary: &str) -> String {
        self.title_within(summary, usize::MAX)
    }

    /// The same for a line of `max` characters: a long name is shortened as far as its place needs the room, of which it leaves half to the name.
    pub fn title_within(&self, summary: &str, max: usize) -> String {
        let place = if summary.contains(&self.place.part) && !self.place.short.is_empty() { self.place.short.clone() } else { self.place.whole() };
        if place.is_empty() {
            return self.name.clone();
        }
        let room = max.saturating_sub(SEPARATOR.chars().count() + place.chars().count()).max(max / 2);
        format!("{}{SEPARATOR}{place}", shorten(&self.name, room))
    }
}

/// Whether a title says a value in words of its own: the `5` of a shard is not in `HTTP5xx`.
pub fn says(title: &str, value: &str) -> bool {
    let joined = |c: char| c.is_alphanumeric();
    let whole = |at: usize| !title[..at].ends_with(joined) && !title[at + value.len()..].starts_with(joined);
    value.is_empty() || title.match_indices(value).any(|(at, _)| whole(at))
}

/// Longest name that is taken from a text, in characters.
const MAX_NAME: usize = 120;

/// Reads what names an alert.
pub fn describe(alert: &Alert, language: Language) -> Described<'_> {
    let (name, named_by) = name(alert, language);
    Described { name, place: place(alert), value: value(alert), named_by }
}

/// What the name of an alarm of Grafana's own about a rule means; `None` for any other name.
pub fn trouble(name: &str, language: Language) -> Option<&'static str> {
    match name {
        "DatasourceNoData" => Some(words::own(language, "no_data")),
        "DatasourceError" => Some(words::own(language, "data_error")),
        _ => None,
    }
}

/// Grafana's own alarms about a rule are named by the rule.
fn name(alert: &Alert, language: Language) -> (String, &'static [&'static str]) {
    let rule = alert.label("rulename").trim();
    if let Some(trouble) = trouble(alert.name(), language).filter(|_| !rule.is_empty()) {
        return (format!("{trouble} · {rule}"), &["rulename"]);
    }
    let texts: [(&str, &'static [&'static str]); 5] = [
        (alert.name(), &[]),
        (alert.label("title"), &["title"]),
        (alert.annotation("title"), &[]),
        (alert.annotation("summary"), &[]),
        (alert.annotation("message"), &[]),
    ];
    let Some((text, named_by)) = texts.iter().map(|(text, by)| (text.trim(), *by)).find(|(text, _)| !text.is_empty()) else {
        return (words::own(language, "no_name").to_owned(), &[]);
    };
    let name = shorten(text.lines().next().unwrap_or_default(), MAX_NAME).into_owned();
    // What the name leaves out is listed.
    let named_by: &'static [&'static str] = if name == text { named_by } else { &[] };
    (name, named_by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(labels: &[(&str, &str)]) -> Alert {
        Alert { labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(), ..Alert::default() }
    }

    #[test]
    fn a_title_is_name_and_place() {
        let disk = alert(&[("alertname", "DiskFull"), ("instance", "db-1.example.com:9100"), ("mountpoint", "/var")]);
        let described = describe(&disk, Language::En);
        assert_eq!(described.title("/var on db-1 is full"), "DiskFull · db-1");
        assert_eq!(described.title("disk is full"), "DiskFull · db-1 · /var");
        assert_eq!(describe(&alert(&[]), Language::En).title(""), "Unnamed alert");
        assert_eq!(describe(&alert(&[("title", "Free disk space")]), Language::En).title(""), "Free disk space");
        let named_by = |title: &str| describe(&alert(&[("title", title)]), Language::En).named_by;
        assert_eq!(
            [named_by("Free disk space"), named_by("Free disk space\non C:")],
            [&["title"][..], &[]],
            "a label that the name says is not listed"
        );
    }

    #[test]
    fn a_long_name_leaves_room_for_the_place() {
        let of = |name: &str, max| {
            let alert = alert(&[("alertname", name), ("service", "ledger"), ("namespace", "finance")]);
            describe(&alert, Language::En).title_within("", max)
        };
        assert_eq!(of("LedgerReconciliationFailed", 43), "LedgerReconciliationFailed · finance/ledger");
        assert_eq!(of("LedgerReconciliationFailed", 40), "LedgerReconciliationFa… · finance/ledger");
        assert_eq!(of("LedgerReconciliationFailed", 20), "LedgerRec… · finance/ledger", "half of the room is the name's");
        assert_eq!(of("Down", 10), "Down · finance/ledger");
    }

    #[test]
    fn a_title_says_a_value_only_as_a_word() {
        for (title, value) in [("redis_down · 1", "redis"), ("redis_down · 1", "1"), ("API latency p99", "API latency"), ("x", "")] {
            assert!(says(title, value), "{title}: {value}");
        }
        for (title, value) in
            [("HTTP5xxRatioHigh", "5"), ("Watchdog", "a"), ("NodeDown · eu-west-1", "eu-west-11"), ("payments-and-se…", "payments-and-settlement")]
        {
            assert!(!says(title, value), "{title}: {value}");
        }
    }

    #[test]
    fn grafanas_alarm_about_a_rule_is_named_by_the_rule() {
        let no_data = alert(&[("alertname", "DatasourceNoData"), ("rulename", "API latency p99")]);
        assert_eq!(describe(&no_data, Language::En).name, "No data · API latency p99");
        assert_eq!(describe(&no_data, Language::Zh).name, "无数据 · API latency p99");
    }

    #[test]
    fn shortening_keeps_whole_characters() {
        assert_eq!(shorten("告警告警", 4), "告警告警");
        assert_eq!(shorten("告警告警", 3), "告警…");
        assert_eq!(shorten("abc", 0), "…");
        assert_eq!(shorten("", 0), "");
        assert_eq!([shorten("DiskFull · db-1", 11), shorten("DiskFull · db-1", 14)], ["DiskFull…", "DiskFull · db…"]);
    }
}
