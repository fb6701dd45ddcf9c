//! Which alerts of which deliveries a page names, and which it only counts.

use std::ops::Range;

use crate::delivery::fold::Folded;
use crate::model::{Coverage, Page};
use crate::store::PendingDelivery;

/// Pages without their ranges; what no page names is counted on the last one.
pub(super) fn count_rest_on_last_page(pages: Vec<(Page, Range<usize>)>, rest: impl FnOnce(&mut Vec<Coverage>)) -> Vec<Page> {
    let mut pages: Vec<Page> = pages.into_iter().map(|(page, _)| page).collect();
    if let Some(last) = pages.last_mut() {
        rest(&mut last.coverage);
    }
    pages
}

/// What the pages name of a lane's message.
pub(super) fn coverage(members: &[PendingDelivery], folded: &Folded<'_>, range: Range<usize>) -> Vec<Coverage> {
    let mut covers: Vec<Coverage> = Vec::new();
    for i in range {
        cover(&mut covers, members, folded.member[i], Some(folded.alert_index[i]), 0);
    }
    covers
}

/// Adds an alert of a member: named by its index, or counted.
pub(super) fn cover(covers: &mut Vec<Coverage>, members: &[PendingDelivery], member: usize, named: Option<u32>, counted: u32) {
    let Some(delivery) = members.get(member).map(|m| m.id) else { return };
    let at = covers.iter().position(|c| c.delivery == delivery).unwrap_or_else(|| {
        covers.push(Coverage { delivery, named: Vec::new(), counted: 0 });
        covers.len() - 1
    });
    covers[at].named.extend(named);
    covers[at].counted += counted;
}
