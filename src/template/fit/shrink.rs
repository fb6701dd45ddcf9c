//! One page that is too long by itself: its values are shortened, then it becomes plain text, then that is cut between two characters.

use crate::model::{LinkKind, Page};
use crate::template::RenderError;

use super::{FittedPage, Part, Press};

/// Lengths that values are shortened to, in characters, one after the other.
const VALUE_LENGTHS: [usize; 6] = [500, 200, 120, 80, 60, 40];
/// Lengths that come before plain text: a text message that has the link to the whole is better than the beginning of a longer one.
const LAST_LENGTHS: [usize; 2] = [25, 15];
/// Characters that must be left of a text beside the link to the whole.
const MIN_TEXT: usize = 40;

/// Makes a part fit that does not as it is.
pub(super) fn shrink(press: &mut Press<'_>, part: &Part) -> Result<FittedPage, RenderError> {
    let mut last = None;
    let as_wanted = VALUE_LENGTHS.into_iter().chain(LAST_LENGTHS).map(|step| (false, step));
    for (plain, max_value) in as_wanted.chain(VALUE_LENGTHS.map(|step| (true, step))) {
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

/// Cuts plain text until the page fits: the longest field first, before the link to the whole message where it has that, else at its end; then without
/// the facts that take room, then the other fields.
fn cut(press: &Press<'_>, mut page: Page) -> Option<Page> {
    let fits = |page: &Page| (press.measure)(page).fits();
    let mut names: Vec<String> = page.fields.keys().cloned().collect();
    names.sort_by_key(|name| std::cmp::Reverse(page.field(name).len()));
    let text = page.field(names.first()?).to_owned();
    let details = page.facts.links.iter().find(|link| link.kind == LinkKind::Details).map(|link| link.url.clone());
    if let Some((head, url)) = details.as_deref().and_then(|url| Some((before_line_with(&text, url)?, url)))
        && cut_field(&fits, &mut page, &names[0], head, &format!("\n{url}")) >= MIN_TEXT
    {
        return Some(page);
    }
    if cut_field(&fits, &mut page, &names[0], &text, "") > 0 {
        return Some(page);
    }
    page.facts.pairs.clear();
    page.facts.links.clear();
    page.facts.payload = None;
    page.facts.title = page.facts.title.chars().take(80).collect();
    for name in &names {
        let text = if *name == names[0] { text.clone() } else { page.field(name).to_owned() };
        if cut_field(&fits, &mut page, name, &text, "") > 0 {
            return Some(page);
        }
    }
    page.facts.title.clear();
    fits(&page).then_some(page)
}

/// The lines above the one that holds an address.
fn before_line_with<'t>(text: &'t str, url: &str) -> Option<&'t str> {
    let at = text.find(url)?;
    Some(&text[..text[..at].rfind('\n')?])
}

/// The start of a text without the stump of an address at its end.
fn whole_addresses(text: &str, end: usize) -> &str {
    let word = text[..end].rfind(char::is_whitespace).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    let word_end = text[word..].find(char::is_whitespace).map_or(text.len(), |length| word + length);
    let scheme = text[word..word_end].find("://").map(|at| text[..word + at].trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    match scheme {
        Some(scheme) if scheme > 0 && scheme < end && end < word_end => &text[..scheme],
        _ => &text[..end],
    }
}

/// Shortens a field to the longest start that fits, with `…` and `tail` behind it. When nothing of it fits, it is left empty. Returns how many characters
/// were kept, or 0 when it does not fit even so.
fn cut_field(fits: &dyn Fn(&Page) -> bool, page: &mut Page, name: &str, text: &str, tail: &str) -> usize {
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let mut set = |count: usize| {
        let value = match ends.get(count) {
            None if tail.is_empty() => text.to_owned(),
            None => format!("{}…{tail}", text.trim_end()),
            Some(0) => String::new(),
            Some(end) => format!("{}…{tail}", whole_addresses(text, *end).trim_end()),
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
    if set(kept) { kept } else { 0 }
}
