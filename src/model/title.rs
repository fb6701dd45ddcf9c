//! What alerts are called in one line.

use std::collections::HashSet;

use super::alert::Alert;

/// One line that names alerts in lists and digests: `HighLoad db-1, db-2 (+3)`; at most 160 characters.
pub fn title(alerts: &[&Alert]) -> String {
    let Some(first) = alerts.first() else { return String::new() };
    let mut names: Vec<&str> = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for alert in alerts {
        if seen.insert(alert.name()) && names.len() < 3 {
            names.push(alert.name());
        }
    }
    let mut title = match seen.len() {
        1 => {
            let name = if first.name().is_empty() { "alert" } else { first.name() };
            let mut places: Vec<&str> = alerts.iter().map(|a| instance_label(a)).filter(|p| !p.is_empty()).collect();
            places.dedup();
            let more = alerts.len().saturating_sub(places.len().min(3));
            let shown = places.iter().take(3).copied().collect::<Vec<_>>().join(", ");
            match (shown.is_empty(), more) {
                (true, _) if alerts.len() > 1 => format!("{name} (x{})", alerts.len()),
                (true, _) => name.to_owned(),
                (false, 0) => format!("{name} {shown}"),
                (false, more) => format!("{name} {shown} (+{more})"),
            }
        }
        n => format!("{}{}", names.join(", "), if n > 3 { format!(" (+{})", n - 3) } else { String::new() }),
    };
    title.retain(|c| !c.is_control());
    if title.chars().count() > 160 {
        title = title.chars().take(159).chain(['…']).collect();
    }
    title
}

/// What distinguishes alerts of one name: the first of the labels that people use for that.
pub fn instance_label(alert: &Alert) -> &str {
    ["instance", "host", "node", "pod", "device", "service", "job", "namespace", "cluster", "grafana_folder"]
        .iter()
        .map(|name| alert.label(name))
        .find(|value| !value.is_empty())
        .unwrap_or("")
}
