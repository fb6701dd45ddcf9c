//! A line: a short text that rings, beside the card of its incident.

use crate::delivery::fold::fold;
use crate::delivery::notified::Notified;
use crate::ingest::short_fingerprint;
use crate::model::{Coverage, Form, LinkKind, Page};
use crate::template::{self, Entry, EntryStatus, LineKind, MessageKind};

use super::coverage::cover;
use super::draft::{Composed, Draft};
use super::render::Renderer;
use super::totals::Totals;

impl Draft<'_> {
    /// What is new, that it goes on, or that it is over; the card says the rest. It is one page and names what fits.
    pub(super) fn compose_line(&self) -> Composed {
        let none = Notified::default();
        let folded = fold(self.members, &self.plan.scale, self.notified(self.members, &none));
        let kind = match self.notification.form {
            Form::News => LineKind::News,
            Form::Over => LineKind::Over,
            _ => LineKind::Again,
        };
        let is_news = |entry: &Entry<'_>| self.notification.news.contains(&short_fingerprint(&entry.alert.fingerprint));
        let told = |entry: &Entry<'_>| kind != LineKind::News || (entry.status == EntryStatus::Firing && is_news(entry));
        // What is new first: the line names it, and counts all.
        let (mut entries, others): (Vec<Entry<'_>>, Vec<Entry<'_>>) = folded.entries.iter().partition(|entry| told(entry));
        let named = entries.len();
        entries.extend(others);
        let Some(first) = entries.first() else { return Composed { suppressed: folded.suppressed, ..Composed::default() } };
        let totals = Totals::of(&folded, self.context.unresolved, self.plan);
        let unseen = |_: usize| 0;
        let renderer = Renderer {
            draft: self,
            kind: if self.members.len() > 1 { MessageKind::Fold } else { MessageKind::Single },
            template: "",
            totals: &totals,
            entries: &entries,
            briefs: &[],
            event: first.event,
            unseen: &unseen,
            shortened: false,
        };
        let mut page = renderer.line(kind, named);
        let mut coverage: Vec<Coverage> = Vec::new();
        for (place, entry) in folded.entries.iter().enumerate() {
            let named = told(entry).then_some(folded.alert_index[place]);
            cover(&mut coverage, self.members, folded.member[place], named, u32::from(named.is_none()));
        }
        page.coverage = coverage;
        Composed { pages: vec![page], template: String::new(), suppressed: folded.suppressed, ..Composed::default() }
    }
}

impl Renderer<'_> {
    /// The page of a line that names so many of the alerts.
    fn line(&self, kind: LineKind, named: usize) -> Page {
        let part = template::Part { page: 1, pages: 1, range: 0..named, more: 0, max_value: usize::MAX, plain: true };
        let (platform, notification) = (self.draft.channel.platform, self.draft.notification);
        let notes = self.unreached(&self.mentions(self.fires()));
        self.with_input(&part, &notes, |input| {
            let fields = template::line_fields(platform.fields, input, kind);
            let mut facts = self.facts(input, true);
            facts.pairs.clear();
            facts.image.clear();
            // What answers the card has its links above it.
            facts.links.retain(|link| notification.answers.is_empty() && link.kind == LinkKind::Details);
            Page { quiet: self.is_quiet(), missed: self.missed(), ..Page::of_text(fields, facts) }
        })
    }
}
