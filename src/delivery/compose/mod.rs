//! Composing: members to pages. Folds or digests them, renders the platform's fields, and fits them within its limits.

mod coverage;
mod digest;
mod draft;
mod lane;
mod line;
mod notes;
mod render;
mod totals;

use crate::channel::descriptor::Ping;
use crate::model::{Facts, Page};
use crate::template::MessageKind;

pub use draft::{Composed, Draft, Wording};

impl Draft<'_> {
    /// Composes the message.
    pub fn compose(&self) -> Composed {
        // A direct send brings its page with it.
        if let [only] = self.members
            && let Some(page) = &only.target.page
        {
            return Composed { pages: vec![(**page).clone()], ..Composed::default() };
        }
        let mut composed = self.compose_pages();
        let ping = self.ping(composed.pages.first_mut());
        composed.pages.extend(ping);
        composed
    }

    fn compose_pages(&self) -> Composed {
        match self.kind {
            _ if self.notification.form.is_line() && self.members.iter().any(|m| m.event.is_some()) => self.compose_line(),
            // A delivery whose event is not in memory is named by its title, as in a digest.
            MessageKind::Single | MessageKind::Fold if self.members.iter().all(|m| m.event.is_some()) => self.compose_lane(),
            _ => self.compose_digest(),
        }
    }

    /// The short text message that pings those whom the formatted first page cannot; they are taken out of that page.
    fn ping(&self, first: Option<&mut Page>) -> Option<Page> {
        let first = first.filter(|page| !page.plain)?;
        let pings = self.channel.platform.pings;
        let beside = pings.pick(&first.facts.mentions, &[Ping::Beside]);
        if beside.is_empty() {
            return None;
        }
        first.facts.mentions = pings.pick(&first.facts.mentions, &[Ping::Inside]);
        let fields = [("text".to_owned(), first.facts.title.clone())].into();
        let facts = Facts { mentions: beside, pairs: Vec::new(), links: Vec::new(), payload: None, ..first.facts.clone() };
        let number = first.total + 1;
        Some(Page { fields, facts, number, total: number, plain: true, quiet: first.quiet, coverage: Vec::new(), missed: Vec::new() })
    }
}
