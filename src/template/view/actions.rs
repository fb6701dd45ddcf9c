//! The links and the picture of a whole message.

use crate::model::{Link, LinkKind};

use super::super::words;
use super::links::{new_silence, web};
use super::{EntryStatus, Scene};

/// The links of a message in the order of their use: the runbook, the dashboard or the panel, a silence while anything fires, and the page with everything.
/// The rule behind an alert is on that page; without one it comes last.
pub fn message_links(input: &Scene<'_>) -> Vec<Link> {
    let event = input.event;
    let mut found = match (input.all, input.group()) {
        // What is over needs nothing but what it was.
        ([only], _) if input.is_single() && only.status != EntryStatus::Firing => Vec::new(),
        ([_], _) if input.is_single() => {
            let own = input.addresses(0);
            let panel = own.panel();
            let dashboard = if panel.is_empty() { (LinkKind::Dashboard, "dashboard", own.dashboard()) } else { (LinkKind::Panel, "panel", panel) };
            let source = if input.details_url.is_empty() { own.source() } else { "" };
            let all = [(LinkKind::Runbook, "runbook", own.runbook()), dashboard, (LinkKind::Silence, "silence", own.silence())];
            all.into_iter().chain([(LinkKind::Source, "source", source)]).map(|(kind, key, url)| (kind, key, url.to_owned())).collect()
        }
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
    let details = if input.incident.is_some_and(|incident| incident.acts) { "details_ack" } else { "details" };
    found.insert(last, (LinkKind::Details, details, web(input.details_url)));
    found.retain(|(_, _, url)| !url.is_empty());
    found.into_iter().map(|(kind, key, url)| Link { kind, label: words::own(input.language, key).to_owned(), url }).collect()
}

/// The picture of what fires: the first there is.
pub fn image_of(input: &Scene<'_>) -> String {
    let mut firing = input.places().filter(|place| input.all[*place].status == EntryStatus::Firing);
    firing.find_map(|place| Some(input.addresses(place).image()).filter(|url| !url.is_empty())).unwrap_or_default().to_owned()
}
