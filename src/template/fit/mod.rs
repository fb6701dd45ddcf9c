//! Fitting a message into pages by rendering, not by cutting.
//!
//! Whole entries go on a page as long as it is within the platform's limit; what one page cannot hold goes on the next, up to `max_pages`, and what
//! those cannot hold is counted on the last one. Knows neither templates nor platforms: both are functions of the caller. Markup is never cut
//! in half: only the built-in plain text is ever cut, between characters.

mod shrink;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::model::{Page, Size};

use super::RenderError;

/// What the caller is to render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The entries on the page.
    pub range: Range<usize>,
    /// The page's number, from 1.
    pub page: usize,
    /// How many pages there will be.
    pub pages: usize,
    /// Entries that no page shows; the last page counts them.
    pub more: usize,
    /// Values longer than this many characters are to be shortened; `usize::MAX` normally.
    pub max_value: usize,
    /// Whether to use the built-in plain text instead of the templates.
    pub plain: bool,
}

/// A page that is within the limit.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedPage {
    /// The page.
    pub page: Page,
    /// The entries it shows.
    pub range: Range<usize>,
    /// The entries it only counts: they follow `range`. 0 on all pages but the last.
    pub more: usize,
    /// Whether its values were shortened, or its text was replaced by the plain one or cut.
    pub shortened: bool,
}

/// Renders and measures for the caller.
struct Press<'a> {
    render: &'a mut dyn FnMut(&Part) -> Result<Page, RenderError>,
    measure: &'a dyn Fn(&Page) -> Size,
}

impl Press<'_> {
    fn print(&mut self, part: &Part) -> Result<(Page, Size), RenderError> {
        let mut page = (self.render)(part)?;
        page.number = u16::try_from(part.page).unwrap_or(u16::MAX);
        page.total = u16::try_from(part.pages).unwrap_or(u16::MAX);
        page.plain |= part.plain;
        let size = (self.measure)(&page);
        Ok((page, size))
    }
}

/// Fits `entries` entries into at most `max_pages` pages (at least one). Every page returned is within the limit of `measure`; every entry
/// is in exactly one page's range, in order, or counted by the last page. When everything fits on one page there is exactly one render;
/// else O(pages * log entries). An error is the caller's own, or that not even an empty page is within the limit.
pub fn fit(
    entries: usize,
    max_pages: usize,
    render: &mut dyn FnMut(&Part) -> Result<Page, RenderError>,
    measure: &dyn Fn(&Page) -> Size,
) -> Result<Vec<FittedPage>, RenderError> {
    let mut press = Press { render, measure };
    let whole = Part { range: 0..entries, page: 1, pages: 1, more: 0, max_value: usize::MAX, plain: false };
    let (page, size) = press.print(&whole)?;
    if size.fits() {
        return Ok(vec![FittedPage { page, range: whole.range, more: 0, shortened: false }]);
    }
    if entries <= 1 {
        return Ok(vec![shrink::shrink(&mut press, &whole)?]);
    }
    let max_pages = max_pages.max(1);
    let mut fitted: Vec<FittedPage> = Vec::with_capacity(max_pages);
    let mut start = 0;
    let mut guess = guess(entries, size);
    for number in 1..=max_pages {
        let rest = entries - start;
        let part = |count: usize| Part {
            range: start..start + count,
            page: number,
            pages: max_pages,
            more: if number == max_pages { rest - count } else { 0 },
            ..whole.clone()
        };
        // The whole is known not to fit on one page.
        let most = if start == 0 { rest - 1 } else { rest };
        let page = match longest(&mut press, &part, most, guess)? {
            Some(page) => page,
            None => shrink::shrink(&mut press, &part(1))?,
        };
        start = page.range.end;
        guess = page.range.len();
        fitted.push(page);
        if start == entries {
            break;
        }
    }
    renumber(&mut press, fitted, max_pages)
}

/// How many entries probably fit, when `entries` of them took `size`.
fn guess(entries: usize, size: Size) -> usize {
    (entries as u128 * size.max as u128 / size.used.max(1) as u128).try_into().unwrap_or(usize::MAX)
}

/// The longest part of at most `most` entries that fits; `None` when not even one does.
fn longest(press: &mut Press<'_>, part: &dyn Fn(usize) -> Part, most: usize, first: usize) -> Result<Option<FittedPage>, RenderError> {
    let (mut fits, mut too_many) = (0, most + 1);
    let mut found = None;
    let mut probe = first.clamp(1, most.max(1));
    let mut guesses = 0;
    while too_many - fits > 1 {
        let wanted = part(probe);
        let (page, size) = press.print(&wanted)?;
        if size.fits() {
            fits = probe;
            found = Some(FittedPage { page, range: wanted.range, more: wanted.more, shortened: false });
        } else {
            too_many = probe;
        }
        guesses += 1;
        // Entries are much alike: two guesses from what was measured usually land next to the answer; then halving, which always does.
        let guessed = guess(probe, size).max(if size.fits() { probe + 1 } else { 0 });
        probe = if guesses <= 3 { guessed.clamp(fits + 1, (too_many - 1).max(fits + 1)) } else { fits + (too_many - fits) / 2 };
    }
    Ok(found)
}

/// Sets the number of pages on each, now that it is known.
fn renumber(press: &mut Press<'_>, fitted: Vec<FittedPage>, assumed: usize) -> Result<Vec<FittedPage>, RenderError> {
    let pages = fitted.len();
    if pages == assumed {
        return Ok(fitted);
    }
    let mut out = Vec::with_capacity(pages);
    for (i, known) in fitted.into_iter().enumerate() {
        let part = Part { range: known.range.clone(), page: i + 1, pages, more: known.more, max_value: usize::MAX, plain: false };
        if known.shortened {
            out.push(shrink::shrink(press, &part)?);
            continue;
        }
        let (page, size) = press.print(&part)?;
        // A template may well print more on the second of two pages than on the second of three.
        out.push(if size.fits() { FittedPage { page, ..known } } else { shrink::shrink(press, &part)? });
    }
    Ok(out)
}
