//! What the route tester shows as an expectation for `tests:`, to copy.

use maud::{Markup, html};

use crate::delivery::Plan;
use crate::delivery::mutes::Mutes;
use crate::http::console::parts::{icon, plain, say, shown};
use crate::model::{Labels, Language, UnixMs};
use crate::route::Explanation;

/// The section. `at` is the time as it was asked for.
pub(super) fn section(language: Language, routed: (&Plan, &Explanation), labels: &Labels, at: &str) -> Markup {
    let text = lines(routed, labels, at);
    html! {
        section.sec {
            h2 { (say(language, "As a test for routes.yaml", "作为 routes.yaml 的测试")) button.b.g.sm.end type="button" data-copy=(plain(&text)) { (icon("copy")) (say(language, "Copy", "复制")) } }
            pre.code { (shown(&text)) }
        }
    }
}

/// The lines. What is muted at the time is not sent then: that is expected of this time only, for a test without one has no mutes and no time intervals.
fn lines((plan, explanation): (&Plan, &Explanation), labels: &Labels, at: &str) -> String {
    let mutes = Mutes::of(&plan.tree);
    let mutes = mutes.at(explanation.at.into());
    let sent = explanation.targets.iter().filter(|t| t.target.muted.is_none() && mutes.of_alert(&t.target.channel, labels).is_none());
    let channels: Vec<String> = sent.map(|t| quoted(&t.target.channel)).collect();
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value))).collect();
    let name = labels.get("alertname").map_or_else(|| "these labels are routed".to_owned(), |name| format!("{name} is routed"));
    let mut text = format!("tests:\n  - name: {}\n    labels: {{ {} }}\n", quoted(&name), pairs.join(", "));
    match at {
        "" | "now" if channels.len() < explanation.targets.len() => text.push_str(&format!("    at: {}\n", UnixMs::from(explanation.at))),
        "" | "now" => {}
        at => text.push_str(&format!("    at: {at}\n")),
    }
    text.push_str(&format!("    expect: [{}]\n", channels.join(", ")));
    text
}

/// A YAML scalar in one line: JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_ ".contains(c))
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, from_text};

    #[test]
    fn what_is_muted_now_is_expected_of_this_time_only() {
        let text = "channels: { ops: { log: {} }, pager: { log: {} } }\n\
            mutes: [{ name: upgrade, matchers: 'team=\"web\"', until: 2099-01-01T00:00:00Z, reason: upgrade }]\n\
            time_intervals: [{ name: november, time_intervals: [{ months: [november] }] }]\n\
            route: { to: [ops], routes: [{ matchers: ['team=\"db\"'], to: [pager], mute_time_intervals: [november] }] }\n";
        let load = |text: &str| from_text(std::path::Path::new("routes.yaml"), text, &LoadOptions::without_secrets());
        let plan = load(text).unwrap().plan;
        let at: jiff::Timestamp = "2026-11-28T03:12:00Z".parse().unwrap();
        let of = |team: &str| {
            let labels = Labels::from([("team".to_owned(), team.to_owned())]);
            let lines = lines((&plan, &plan.tree.explain(&labels, at)), &labels, "now");
            assert!(load(&format!("{text}{lines}")).is_ok(), "a test that is copied holds: {lines}");
            lines
        };
        for team in ["db", "web"] {
            let lines = of(team);
            assert!(lines.ends_with("    at: 2026-11-28T03:12:00Z\n    expect: []\n"), "{lines}");
        }
        let lines = of("net");
        assert!(lines.ends_with("    expect: [ops]\n") && !lines.contains("at: "), "{lines}");
    }

    #[test]
    fn what_is_copied_is_yaml() {
        for text in ["db", "node down", "no", "Yes", "1", "a: b", "#x", "a ", "{", "\"", "数据库", "a\nb", ""] {
            let yaml = format!("[{}]", quoted(text));
            let read: Vec<String> = serde_yaml::from_str(&yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
            assert_eq!(read, [text], "{yaml}");
        }
    }
}
