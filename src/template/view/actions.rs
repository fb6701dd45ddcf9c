//! The links and the picture of a whole message.

use crate::model::{Link, LinkKind};

use super::super::words;
use super::group::Group;
use super::links::{Addresses, new_silence, web};
use super::{Entry, EntryStatus, ViewInput};

/// The links of a message in the order of their use: the runbook, the dashboard or the panel, a silence while anything fires, and the page with everything.
/// The rule behind an alert is on that page; without one it comes last.
pub fn message_links(input: &ViewInput<'_>, group: Option<&Group>) -> Vec<Link> {
    let event = input.event;
    let of_one = |entry: &Entry<'_>| {
        let own = Addresses::of(entry.alert, event, input.max_value);
        let dashboard = if own.panel.is_empty() { (LinkKind::Dashboard, "dashboard", own.dashboard) } else { (LinkKind::Panel, "panel", own.panel) };
        // What is over needs nothing but what it was.
        let wanted = |url: String| if entry.status == EntryStatus::Firing { url } else { String::new() };
        let source = if input.details_url.is_empty() { own.source } else { String::new() };
        [
            (LinkKind::Runbook, "runbook", wanted(own.runbook)),
            (dashboard.0, dashboard.1, wanted(dashboard.2)),
            (LinkKind::Silence, "silence", wanted(own.silence)),
            (LinkKind::Source, "source", wanted(source)),
        ]
    };
    let mut found = match (input.all, group) {
        ([only], _) if input.is_single() => of_one(only).to_vec(),
        (_, Some(group)) if input.fires() => {
            let silence = if event.group_labels.is_empty() { String::new() } else { new_silence(event, &event.group_labels) };
            vec![
                (LinkKind::Runbook, "runbook", group.runbook.clone()),
                (LinkKind::Dashboard, "dashboard", group.dashboard.clone()),
                (LinkKind::Silence, "silence", silence),
            ]
        }
        _ => Vec::new(),
    };
    let last = found.iter().position(|(kind, ..)| *kind == LinkKind::Source).unwrap_or(found.len());
    found.insert(last, (LinkKind::Details, "details", web(input.details_url)));
    found.retain(|(_, _, url)| !url.is_empty());
    found.into_iter().map(|(kind, key, url)| Link { kind, label: words::own(input.language, key).to_owned(), url }).collect()
}

/// The picture of what fires: the first there is.
pub fn image_of(input: &ViewInput<'_>) -> String {
    let firing = input.entries().iter().filter(|entry| entry.status == EntryStatus::Firing);
    firing.map(|entry| Addresses::of(entry.alert, entry.event, input.max_value).image).find(|url| !url.is_empty()).unwrap_or_default()
}
