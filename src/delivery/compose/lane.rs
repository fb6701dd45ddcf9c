//! A message of one lane: one delivery, or several folded into one.

use std::ops::Range;

use crate::delivery::excerpt::Excerpt;
use crate::delivery::fold::fold;
use crate::delivery::notified::Notified;
use crate::model::{Page, Severity};
use crate::template::{EntryStatus, MessageKind, lines};

use super::coverage::{count_rest_on_last_page, cover, coverage};
use super::draft::{Composed, Draft};
use super::render::Renderer;
use super::totals::Totals;

/// Characters of a value where the message would not name every alert otherwise, tried in this order.
const SHORTER: [usize; 2] = [400, 120];

impl Draft<'_> {
    /// Every alert of the lane's deliveries by its latest status; the most severe ones are named.
    pub(super) fn compose_lane(&self) -> Composed {
        let none = Notified::default();
        let mut folded = fold(self.members, &self.plan.scale, self.notified(self.members, &none));
        folded.correct(&self.notification.resolved, &self.notification.unreported, &self.plan.scale);
        if folded.entries.is_empty() {
            return Composed { suppressed: folded.suppressed, ..Composed::default() };
        }
        let template = self.template();
        let kind = if self.members.len() > 1 { MessageKind::Fold } else { MessageKind::Single };
        let mut totals = Totals::of(&folded, self.context.unresolved, self.plan);
        totals.goes_on(self.notification.goes_on);
        let excerpt = Excerpt::of(&folded.entries);
        let (entries, shortened) = (excerpt.entries(), excerpt.shortened);
        let unseen = |shown: usize| folded.entries.len() - shown;
        let event = entries[0].event;
        let renderer =
            Renderer { draft: self, kind, template: &template, totals: &totals, entries: &entries, briefs: &[], event, unseen: &unseen, shortened };
        // What a message only counts is on its page. Without one the message is all that its readers have.
        let names_all = self.plan.external_url.is_empty() && !self.channel.is_brief() && !self.notification.is_edit;
        let rows = if names_all || self.channel.lists_all() { entries.len() } else { lines(&entries, &self.plan.scale) };
        let named = |pages: &[(Page, Range<usize>)]| pages.iter().map(|(_, range)| range.end).max().unwrap_or(0);
        let (mut pages, mut fallbacks) = renderer.pages(rows, usize::MAX);
        // A name says more than the end of a long text.
        for max_value in SHORTER {
            if names_all && named(&pages) < rows {
                (pages, fallbacks) = renderer.pages(rows, max_value);
            }
        }
        let shown = named(&pages);
        let severe = folded.entries.iter().take_while(|e| e.status == EntryStatus::Firing && self.plan.scale.of(e.alert) <= Severity::Error).count();
        // An incident holds all of its group, whatever its one page names.
        let splits = !self.is_repeat() && !self.notification.edited && !self.channel.driver.keeps_incidents();
        if shown < severe && self.members.len() > 1 && splits {
            // What must be named does not fit beside what came before it: the deliveries from there on make the next message.
            let keep = folded.member[shown..severe].iter().min().map_or(1, |m| (*m).max(1));
            let smaller = Draft { members: &self.members[..keep], ..*self }.compose_pages();
            return Composed { deferred_members: smaller.first_deferred(keep)..self.members.len(), ..smaller };
        }
        for (page, range) in &mut pages {
            page.coverage = coverage(self.members, &folded, range.clone());
        }
        let pages = count_rest_on_last_page(pages, |covers| {
            folded.member.iter().skip(shown).for_each(|member| cover(covers, self.members, *member, None, 1));
        });
        Composed { pages, template, suppressed: folded.suppressed, deferred_members: 0..0, fallbacks }
    }
}
