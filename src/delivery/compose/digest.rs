//! A digest: many lanes in one message.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use crate::delivery::excerpt::{Excerpt, MAX_ROWS};
use crate::delivery::fold::fold;
use crate::delivery::notified::Notified;
use crate::delivery::plan::Plan;
use crate::ingest::short_fingerprint;
use crate::model::{Coverage, Event, Language, Severity, instance_label};
use crate::store::{PendingDelivery, Summary};
use crate::template::{self, Brief, Entry, EntryStatus, MessageKind};

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
    /// The members of the acked alerts that it counts, one for each.
    acked: Vec<usize>,
}

impl Draft<'_> {
    /// A digest: the most severe alerts in detail, every critical and error alert named, the rest one line per delivery or counted.
    pub(super) fn compose_digest(&self) -> Composed {
        let template = self.channel.content.template.clone();
        let (rows, suppressed) = self.digest_rows();
        if rows.is_empty() {
            return Composed { suppressed, ..Composed::default() };
        }
        let mut rows = count_acked(rows, &self.notification.acked(), self.channel.content.language);
        rows.sort_by_key(|l| (l.brief.status, !l.acked.is_empty(), l.brief.severity.unwrap_or_default()));
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
            let keep = self.members_that_fit(&rows[shown..must_name]);
            if keep < self.members.len() {
                let smaller = Draft { members: &self.members[..keep], ..*self }.compose_pages();
                return Composed { deferred_members: smaller.first_deferred(keep)..self.members.len(), ..smaller };
            }
        }
        for (page, range) in &mut pages {
            page.coverage = digest_coverage(self.members, &rows, range.clone());
        }
        let pages = count_rest_on_last_page(pages, |covers| {
            rows.iter().skip(shown).for_each(|line| cover_row(covers, self.members, line, None));
        });
        Composed { pages, template, suppressed, deferred_members: 0..0, fallbacks }
    }

    /// A line for each alert of each lane, or for each delivery whose event is not in memory; and the members of which nothing is shown.
    fn digest_rows(&self) -> (Vec<DigestRow<'_>>, Vec<(usize, &'static str)>) {
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
                        acked: Vec::new(),
                    });
                }
            }
            for (i, member) in members.iter().enumerate().filter(|(_, m)| m.event.is_none()) {
                rows.push(DigestRow {
                    member: range.start + i,
                    lane: range.clone(),
                    brief: column_brief(member),
                    entry: None,
                    index: 0,
                    acked: Vec::new(),
                });
            }
        }
        (rows, suppressed)
    }

    /// What must be named does not all fit: how many members stay. The lanes whose lines fit do, the others are left to the next message.
    fn members_that_fit(&self, left: &[DigestRow<'_>]) -> usize {
        match left.iter().map(|l| l.lane.start).min().unwrap_or(self.members.len()) {
            0 => left.iter().filter(|l| l.lane.start == 0).map(|l| l.member).min().unwrap_or(0).max(1),
            first_lane => first_lane,
        }
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
        cover_row(&mut covers, members, line, line.entry.is_some().then_some(line.index));
    }
    covers
}

/// Adds the alerts of a row: the one that it names, else all are counted.
fn cover_row(covers: &mut Vec<Coverage>, members: &[PendingDelivery], row: &DigestRow<'_>, named: Option<u32>) {
    if row.acked.is_empty() {
        cover(covers, members, row.member, named, if named.is_some() { 0 } else { row.brief.count as u32 });
    }
    row.acked.iter().for_each(|member| cover(covers, members, *member, None, 1));
}

/// What fires and somebody is on is a number for each severity: a digest is read for what needs somebody.
fn count_acked<'a>(rows: Vec<DigestRow<'a>>, acked: &HashSet<u64>, language: Language) -> Vec<DigestRow<'a>> {
    let is_acked = |row: &DigestRow<'_>| {
        let firing = row.entry.filter(|entry| entry.status == EntryStatus::Firing);
        firing.is_some_and(|entry| acked.contains(&short_fingerprint(&entry.alert.fingerprint)))
    };
    let (acked, mut rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_acked);
    let mut counted: BTreeMap<Option<Severity>, DigestRow<'a>> = BTreeMap::new();
    for row in acked {
        let member = row.member;
        let number = counted.entry(row.brief.severity).or_insert_with(|| {
            let title = template::word(language, "acked").unwrap_or("acked").to_owned();
            DigestRow { brief: Brief { title, count: 0, since: None, ..row.brief }, entry: None, acked: Vec::new(), ..row }
        });
        number.brief.count += 1;
        number.acked.push(member);
    }
    rows.extend(counted.into_values());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::testing::{alert, waiting};
    use crate::model::Status;

    #[test]
    fn what_somebody_is_on_is_a_number_of_a_digest_and_is_covered() {
        let alerts = |n: std::ops::Range<usize>, severity: &str| n.map(|n| alert(&format!("a{n}"), severity, Status::Firing)).collect::<Vec<_>>();
        let members = [waiting(1, alerts(0..3, "critical")), waiting(2, alerts(3..5, "warning"))];
        let mut rows = Vec::new();
        for (member, delivery) in members.iter().enumerate() {
            let event = delivery.event.as_deref().unwrap();
            for (index, alert) in event.alerts.iter().enumerate() {
                let severity = Some(if member == 0 { Severity::Critical } else { Severity::Warning });
                let brief = Brief { severity, status: EntryStatus::Firing, title: alert.name().to_owned(), count: 1, since: alert.starts_at };
                let entry = Some(Entry { alert, event, status: EntryStatus::Firing });
                rows.push(DigestRow { member, lane: member..member + 1, brief, entry, index: index as u32, acked: Vec::new() });
            }
        }
        let acked: HashSet<u64> = ["a1", "a2", "a4", "elsewhere"].map(short_fingerprint).into();
        let rows = count_acked(rows, &acked, Language::Zh);
        let said: Vec<(&str, usize, bool)> = rows.iter().map(|row| (row.brief.title.as_str(), row.brief.count, row.entry.is_some())).collect();
        assert_eq!(said, [("a0", 1, true), ("a3", 1, true), ("已认领", 2, false), ("已认领", 1, false)]);
        let covers: Vec<(Vec<u32>, u32)> = digest_coverage(&members, &rows, 0..rows.len()).into_iter().map(|one| (one.named, one.counted)).collect();
        assert_eq!(covers, [(vec![0], 2), (vec![0], 1)], "each alert of each delivery, once");
    }
}
