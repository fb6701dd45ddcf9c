//! The span of time of a list as people write it, and the links from one page of it to the next.

use std::fmt::Display;

use jiff::civil::DateTime;
use maud::{Markup, html};

use super::failure::Failure;
use super::form::Fields;
use super::manner::Manner;
use super::parts::{icon, say};
use crate::http::search::{Next, Span};
use crate::model::{Language, UnixMs};

/// The end of the year 9999, in Unix milliseconds.
const LATEST: i64 = 253_402_300_799_999;

impl Span {
    /// The fields `since` and `until`.
    pub(super) fn read(manner: &Manner, fields: &Fields) -> Result<Self, Failure> {
        let span = Self { since: time(manner, "since", fields.get("since"))?, until: time(manner, "until", fields.get("until"))? };
        if span.since.zip(span.until).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::bad("`since` is not before `until`: nothing can be between them"));
        }
        Ok(span)
    }
}

/// A time: RFC 3339, Unix milliseconds, a day or a time in the zone of the page, or how long ago it is.
fn time(manner: &Manner, name: &str, text: &str) -> Result<Option<UnixMs>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    // In an address that was typed, `+08:00` reads as a blank.
    let asked = UnixMs::asked(&text.replacen(' ', "+", usize::from(text.contains('T'))), manner.now.into());
    let local = || {
        let there: DateTime = text.parse().ok()?;
        manner.zone.to_ambiguous_timestamp(there).compatible().ok().map(UnixMs::from)
    };
    let found = asked.or_else(local).filter(|at| (0..=LATEST).contains(&at.0));
    let text: String = text.chars().take(60).collect();
    let help = "a time as 2026-11-28T03:12:00Z or 2026-11-28T03:12, Unix milliseconds, or how long ago it is, as 2h";
    found.map(Some).ok_or_else(|| Failure::bad(format!("`{name}` takes {help}, not `{text}`")))
}

/// The links to the newest page, when this is another, and to the next one. A search says how far back it went.
pub(super) fn pager<I: Display>(
    language: Language,
    next: &Next<I>,
    newest: Option<&str>,
    to: impl Fn(&I) -> String,
    searches: bool,
    searched: impl Fn(&I) -> Markup,
) -> Markup {
    html! {
        nav.pager aria-label=(say(language, "Pages", "翻页")) {
            @if searches {
                span.dim {
                    @match next {
                        Next::Older(id) | Next::Further(id) => { (say(language, "Searched back to ", "已搜索至 ")) (searched(id)) }
                        Next::End => { (say(language, "Searched to the end", "已全部搜索")) }
                    }
                }
            }
            @if let Some(newest) = newest { a.b href=(newest) { (say(language, "Newest", "最新")) } }
            @match next {
                Next::Older(id) => { a.b href=(to(id)) rel="next" { (say(language, "Older", "更早")) (icon("right")) } }
                Next::Further(id) => { a.b href=(to(id)) rel="next" { (say(language, "Go on searching", "继续搜索")) (icon("right")) } }
                Next::End => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_says_how_far_back_it_went() {
        let page = |next: Next<usize>| pager(Language::En, &next, None, |id| format!("/x?cursor={id}"), true, |id| html! { "#" (id) }).into_string();
        let further = page(Next::Further(9));
        assert!(further.contains("Searched back to #9") && further.contains("/x?cursor=9") && further.contains("Go on searching"), "{further}");
        let end = page(Next::End);
        assert!(end.contains("Searched to the end") && !end.contains("href"), "{end}");
    }
}
