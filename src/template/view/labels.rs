//! The labels and annotations that a message lists beside what it says elsewhere, in the order they are read.

use crate::model::{Alert, Labels, NameRules};

use super::{ViewInput, describe, repeats, shorten};

/// How many labels are listed when values are being shortened.
fn limit(max_value: usize) -> usize {
    match max_value {
        0..=80 => 5,
        81..=200 => 10,
        201..=500 => 20,
        _ => usize::MAX,
    }
}

fn listed(all: &Labels, rules: &NameRules, said: impl Fn(&str, &str) -> bool, max_value: usize) -> Vec<(String, String)> {
    let mut kept: Vec<(&String, &String)> =
        all.iter().filter(|(name, value)| !value.trim().is_empty() && (rules.shows(name) || !(rules.hides(name) || said(name, value)))).collect();
    kept.sort_by_key(|(name, _)| rules.rank(name));
    let short = |text: &str| shorten(text.trim(), max_value).into_owned();
    kept.into_iter().take(limit(max_value)).map(|(name, value)| (short(name), short(value))).collect()
}

/// The labels of an alert without the hidden ones, the severity and those in `said`, which the message says elsewhere. A severity that the scale does not
/// know is a word of the headline of one alert, and of several it is only counted.
pub fn labels(alert: &Alert, said: &[&str], input: &ViewInput<'_>) -> Vec<(String, String)> {
    let says_severity = input.is_single() || input.scale.known(alert).is_some();
    let says = |name: &str, _: &str| (name == input.scale.label && says_severity) || said.contains(&name);
    listed(&alert.labels, &input.shown.labels, says, input.max_value)
}

/// The annotations of an alert without the hidden ones and without what the message says elsewhere.
pub fn annotations(alert: &Alert, input: &ViewInput<'_>) -> Vec<(String, String)> {
    let says = |key: &str, value: &str| repeats(input, value) || (key == "title" && value.trim() == describe(alert, input.language).name);
    listed(&alert.annotations, &input.shown.annotations, says, input.max_value)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::super::{Entry, EntryStatus, Now};
    use super::*;
    use crate::model::{Event, Language, SeverityScale, Shown};

    /// The labels of the first of these alerts.
    fn listed_of(all: &[&Alert]) -> Vec<(String, String)> {
        let (event, scale, shown) = (Event::default(), SeverityScale::default(), Shown::default());
        let entries: Vec<Entry<'_>> = all.iter().map(|alert| Entry { alert, event: &event, status: EntryStatus::Firing }).collect();
        let now = Now { at: Timestamp::UNIX_EPOCH, zone: &TimeZone::UTC };
        labels(all[0], &[], &ViewInput::of(&entries, &event, Language::En, now, &scale, &shown))
    }

    #[test]
    fn a_severity_that_is_not_known_is_listed_where_it_is_only_counted() {
        let of = |severity: &str| Alert { labels: Labels::from([("severity".to_owned(), severity.to_owned())]), ..Alert::default() };
        let (own, known) = (of("urgent-ish"), of("critical"));
        assert_eq!(listed_of(&[&own, &known]), [("severity".to_owned(), "urgent-ish".to_owned())]);
        assert!(listed_of(&[&own]).is_empty() && listed_of(&[&known, &own]).is_empty(), "the headline says it");
    }
}
