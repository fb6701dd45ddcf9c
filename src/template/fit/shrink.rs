//! One page that is too long by itself: its values are shortened, then it becomes plain text, then that is cut between two characters.

use crate::model::Page;
use crate::template::RenderError;

use super::{FittedPage, Part, Press};

/// Lengths that values are shortened to, in characters, one after the other.
const VALUE_LENGTHS: [usize; 6] = [500, 200, 120, 80, 60, 40];

/// Makes a part fit that does not as it is.
pub(super) fn shrink(press: &mut Press<'_>, part: &Part) -> Result<FittedPage, RenderError> {
    let mut last = None;
    for (plain, max_value) in [false, true].into_iter().flat_map(|plain| VALUE_LENGTHS.map(|step| (plain, step))) {
        let (page, size) = press.print(&Part { max_value, plain, ..part.clone() })?;
        if size.fits() {
            return Ok(FittedPage { page, range: part.range.clone(), more: part.more, shortened: true });
        }
        last = Some(page);
    }
    let page = last.and_then(|page| cut(press, page)).ok_or_else(|| RenderError {
        file: "<built-in> plain text".to_owned(),
        line: 0,
        column: 0,
        reason: "not even an empty page is within the platform's limit".to_owned(),
    })?;
    Ok(FittedPage { page, range: part.range.clone(), more: part.more, shortened: true })
}

/// Cuts plain text until the page fits: the longest field first, then without the facts that take room, then the other fields.
fn cut(press: &Press<'_>, mut page: Page) -> Option<Page> {
    let fits = |page: &Page| (press.measure)(page).fits();
    let mut names: Vec<String> = page.fields.keys().cloned().collect();
    names.sort_by_key(|name| std::cmp::Reverse(page.field(name).len()));
    let text = page.field(names.first()?).to_owned();
    if cut_field(&fits, &mut page, &names[0], &text) {
        return Some(page);
    }
    page.facts.pairs.clear();
    page.facts.links.clear();
    page.facts.payload = None;
    page.facts.title = page.facts.title.chars().take(80).collect();
    for name in &names {
        let text = if *name == names[0] { text.clone() } else { page.field(name).to_owned() };
        if cut_field(&fits, &mut page, name, &text) {
            return Some(page);
        }
    }
    page.facts.title.clear();
    fits(&page).then_some(page)
}

/// Shortens a field to the longest start that fits, with `…` behind it. When nothing of it fits, it is left empty.
fn cut_field(fits: &dyn Fn(&Page) -> bool, page: &mut Page, name: &str, text: &str) -> bool {
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let mut set = |count: usize| {
        let value = match ends.get(count) {
            None => text.to_owned(),
            Some(0) => String::new(),
            Some(end) => format!("{}…", text[..*end].trim_end()),
        };
        page.fields.insert(name.to_owned(), value);
        fits(page)
    };
    let (mut kept, mut too_many) = (0, ends.len() + 1);
    while too_many - kept > 1 {
        let middle = kept + (too_many - kept) / 2;
        if set(middle) {
            kept = middle;
        } else {
            too_many = middle;
        }
    }
    set(kept) && kept > 0
}
