//! A digest: many lanes in one message.

use std::ops::Range;

use crate::delivery::excerpt::{Excerpt, MAX_ROWS};
use crate::delivery::fold::fold;
use crate::delivery::intake::instance_label;
use crate::delivery::notified::Notified;
use crate::delivery::plan::Plan;
use crate::model::{Coverage, Event, Severity};
use crate::store::{PendingDelivery, Summary};
use crate::template::{Brief, Entry, EntryStatus, MessageKind};

use super::coverage::{count_rest_on_last_page, cover};
use super::draft::{Composed, Draft, lanes_of};
use super::render::Renderer;
use super::totals::Totals;

/// Alerts of a digest that are shown in detail.
const DIGEST_DETAILS: usize = 3;

/// One line of a digest.
struct DigestRow<'a> {
    member: usize,
    lane: Range<usize>,
    brief: Brief,
    entry: Option<Entry<'a>>,
    index: u32,
}

impl Draft<'_> {
    /// A digest: the most severe alerts in detail, every critical and error alert named, the rest one line per delivery or counted.
    pub(super) fn compose_digest(&self) -> Composed {
        let template = self.channel.content.template.clone();
        let mut suppressed = Vec::new();
        let mut rows: Vec<DigestRow<'_>> = Vec::new();
        for range in lanes_of(self.members) {
            let members = &self.members[range.clone()];
            if members.iter().any(|m| m.event.is_some()) {
                let none = Notified::default();
                let folded = fold(members, &self.plan.scale, self.notified(members, &none));
                suppressed.extend(folded.suppressed.iter().map(|(m, why)| (range.start + m, *why)));
                for (i, entry) in folded.entries.iter().enumerate() {
                    rows.push(DigestRow {
                        member: range.start + folded.member[i],
                        lane: range.clone(),
                        brief: brief(entry, self.plan),
                        entry: Some(*entry),
                        index: folded.alert_index[i],
                    });
                }
            }
            for (i, member) in members.iter().enumerate().filter(|(_, m)| m.event.is_none()) {
                rows.push(DigestRow { member: range.start + i, lane: range.clone(), brief: column_brief(member), entry: None, index: 0 });
            }
        }
        if rows.is_empty() {
            return Composed { suppressed, ..Composed::default() };
        }
        rows.sort_by_key(|l| (l.brief.status, l.brief.severity.unwrap_or_default()));
        let is_severe = |brief: &Brief| brief.status == EntryStatus::Firing && brief.severity.unwrap_or_default() <= Severity::Error;
        let must_name = rows.iter().take_while(|l| is_severe(&l.brief) && l.entry.is_some()).count();
        let totals = Totals::of_briefs(rows.iter().map(|row| &row.brief), self.newest_events());
        let details: Vec<Entry<'_>> = rows.iter().take(DIGEST_DETAILS).map_while(|l| l.entry).collect();
        let excerpt = Excerpt::of(&details);
        let (details, shortened) = (excerpt.entries(), excerpt.shortened);
        let briefs: Vec<Brief> = rows.iter().take(MAX_ROWS).skip(details.len()).map(|l| l.brief.clone()).collect();
        let unseen = |shown: usize| rows[shown..].iter().map(|l| l.brief.count).sum();
        let empty = Event::default();
        let event = details.first().map_or(&empty, |e| e.event);
        let renderer = Renderer {
            draft: self,
            kind: MessageKind::Digest,
            template: &template,
            totals: &totals,
            entries: &details,
            briefs: &briefs,
            event,
            unseen: &unseen,
            shortened,
        };
        let (mut pages, fallbacks) = renderer.pages(rows.len().min(MAX_ROWS), usize::MAX);
        let shown = pages.iter().map(|(_, r)| r.end).max().unwrap_or(0);
        if shown < must_name && self.members.len() > 1 && !self.is_repeat() {
            // What must be named does not fit: keep the lanes whose lines fit, leave the others to the next message.
            let left = &rows[shown..must_name];
            let first_lane = left.iter().map(|l| l.lane.start).min().unwrap_or(self.members.len());
            let keep =
                if first_lane > 0 { first_lane } else { left.iter().filter(|l| l.lane.start == 0).map(|l| l.member).min().unwrap_or(0).max(1) };
            if keep < self.members.len() {
                let smaller = Draft { members: &self.members[..keep], ..*self }.compose_pages();
                return Composed { deferred_members: smaller.first_deferred(keep)..self.members.len(), ..smaller };
            }
        }
        for (page, range) in &mut pages {
            page.coverage = digest_coverage(self.members, &rows, range.clone());
        }
        let pages = count_rest_on_last_page(pages, |covers| {
            rows.iter().skip(shown).for_each(|line| cover(covers, self.members, line.member, None, line.brief.count as u32));
        });
        Composed { pages, template, suppressed, deferred_members: 0..0, fallbacks }
    }
}

fn brief(entry: &Entry<'_>, plan: &Plan) -> Brief {
    let where_ = instance_label(entry.alert);
    let name = entry.alert.name();
    let title = match (name.is_empty(), where_.is_empty()) {
        (false, false) => format!("{name} {where_}"),
        (true, false) => where_.to_owned(),
        (_, true) => {
            if name.is_empty() {
                "alert".to_owned()
            } else {
                name.to_owned()
            }
        }
    };
    Brief {
        severity: plan.scale.known(entry.alert),
        status: entry.status,
        title: title.chars().filter(|c| !c.is_control()).take(120).collect(),
        count: 1,
        since: entry.alert.starts_at,
    }
}

fn column_brief(member: &PendingDelivery) -> Brief {
    let Summary { title, firing, resolved } = &member.summary;
    let status = if *firing > 0 { EntryStatus::Firing } else { EntryStatus::Resolved };
    let count = if *firing > 0 { *firing } else { *resolved } as usize;
    // The rank of what claims no severity is a warning's.
    let severity = Some(Severity::from_rank(member.rank)).filter(|severity| *severity != Severity::default());
    Brief { severity, status, title: title.chars().take(120).collect(), count: count.max(1), since: None }
}

fn digest_coverage(members: &[PendingDelivery], rows: &[DigestRow<'_>], range: Range<usize>) -> Vec<Coverage> {
    let mut covers: Vec<Coverage> = Vec::new();
    for line in &rows[range] {
        let named = line.entry.is_some().then_some(line.index);
        cover(&mut covers, members, line.member, named, if named.is_some() { 0 } else { line.brief.count as u32 });
    }
    covers
}
