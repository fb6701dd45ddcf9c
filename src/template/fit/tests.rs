use std::cell::Cell;

use proptest::prelude::*;

use super::*;

/// Renders entries of the given lengths; the limit is in characters.
fn page_of(lengths: &[usize], part: &Part) -> Page {
    let mut text = String::new();
    for (i, length) in lengths[part.range.clone()].iter().enumerate() {
        let value: String = std::iter::repeat_n('告', (*length).min(part.max_value)).collect();
        text.push_str(&format!("[{}:{value}]", part.range.start + i));
    }
    if part.more > 0 {
        text.push_str(&format!("+{}", part.more));
    }
    if part.pages > 1 {
        text.push_str(&format!("({}/{})", part.page, part.pages));
    }
    Page { fields: [("text".to_owned(), text)].into(), ..Page::default() }
}

fn measure(max: usize) -> impl Fn(&Page) -> Size {
    move |page| Size::characters(page.field("text").chars().count(), max)
}

fn run(lengths: &[usize], max_pages: usize, max: usize) -> (Vec<FittedPage>, usize) {
    let renders = Cell::new(0);
    let mut render = |part: &Part| {
        renders.set(renders.get() + 1);
        Ok(page_of(lengths, part))
    };
    let pages = fit(lengths.len(), max_pages, &mut render, &measure(max)).unwrap();
    (pages, renders.get())
}

#[test]
fn what_fits_is_rendered_once() {
    let (pages, renders) = run(&[5, 5, 5], 3, 100);
    assert_eq!((pages.len(), renders), (1, 1));
    assert_eq!((pages[0].range.clone(), pages[0].page.number, pages[0].page.total, pages[0].shortened), (0..3, 1, 1, false));
}

#[test]
fn pages_are_numbered_by_how_many_there_are() {
    let (pages, _) = run(&[10; 8], 5, 60);
    let texts: Vec<&str> = pages.iter().map(|page| page.page.field("text")).collect();
    assert_eq!(pages.len(), 3, "{texts:?}");
    for (i, page) in pages.iter().enumerate() {
        assert!(texts[i].ends_with(&format!("({}/3)", i + 1)), "{}", texts[i]);
        assert_eq!((page.page.number as usize, page.page.total), (i + 1, 3));
    }
}

#[test]
fn the_last_page_counts_what_no_page_shows() {
    let (pages, renders) = run(&[10; 100], 3, 100);
    let last = pages.last().unwrap();
    assert_eq!(pages.len(), 3);
    assert_eq!(last.range.end + last.more, 100);
    assert!(last.page.field("text").contains(&format!("+{}", last.more)));
    assert!(renders <= 20, "{renders} renders");
}

#[test]
fn a_huge_entry_is_shortened_then_cut() {
    let (pages, _) = run(&[3000], 3, 250);
    assert_eq!(pages[0].page.field("text").chars().count(), 204);
    assert!(pages[0].shortened && !pages[0].page.plain);
    let (pages, _) = run(&[3000], 3, 30);
    assert_eq!((pages[0].page.plain, pages[0].page.field("text").chars().count()), (false, 29));
    let (pages, _) = run(&[3000], 3, 15);
    assert!(pages[0].page.plain);
    assert_eq!(pages[0].page.field("text").chars().count(), 15);
    assert!(pages[0].page.field("text").ends_with('…'));
    let (pages, _) = run(&[5, 3000, 5], 3, 30);
    assert_eq!(pages.iter().map(|page| page.range.clone()).collect::<Vec<_>>(), [0..1, 1..2, 2..3]);
}

#[test]
fn the_callers_error_and_an_impossible_limit_are_told() {
    let failed = |_: &Part| Err(RenderError { file: "t".into(), line: 1, column: 2, reason: "no".into() });
    assert_eq!(fit(3, 3, &mut { failed }, &measure(10)).unwrap_err().to_string(), "t:1:2: no");
    let mut render = |part: &Part| Ok(page_of(&[9], part));
    let error = fit(1, 3, &mut render, &|_: &Page| Size::bytes(2, 1)).unwrap_err();
    assert!(error.reason.contains("not even an empty page"));
}

#[test]
fn facts_give_way_before_the_page_fails() {
    let mut render = |part: &Part| {
        let mut page = page_of(&[900], part);
        page.facts.pairs = vec![("a".into(), "b".repeat(500))];
        Ok(page)
    };
    let measure = |page: &Page| {
        let facts: usize = page.facts.pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        Size::characters(page.field("text").chars().count() + facts, 100)
    };
    let pages = fit(1, 1, &mut render, &measure).unwrap();
    assert_eq!(pages[0].page.field("text").chars().count(), 44, "whole, with its value shortened to 40");
    assert!(pages[0].page.facts.pairs.is_empty());
}

#[test]
fn a_cut_keeps_the_link_to_the_whole_and_never_goes_through_an_address() {
    let url = "https://w.example.com/m/7Kq2xV9bTz3mAc";
    let text = format!("Disk of the payments database is nearly full, see https://wiki.example.com/disk and more words\nDetails: {url}\n(late)");
    let cut = |max: usize, details: &str| {
        let mut render = |_: &Part| {
            let mut page = Page { fields: [("text".to_owned(), text.clone())].into(), ..Page::default() };
            page.facts.links = vec![crate::model::Link { kind: crate::model::LinkKind::Details, label: "Details".into(), url: details.to_owned() }];
            Ok(page)
        };
        fit(1, 1, &mut render, &measure(max)).unwrap()[0].page.field("text").to_owned()
    };
    assert_eq!(cut(100, url), format!("Disk of the payments database is nearly full, see…\n{url}"));
    assert_eq!(cut(120, url), format!("Disk of the payments database is nearly full, see https://wiki.example.com/disk…\n{url}"));
    assert_eq!(cut(70, url), "Disk of the payments database is nearly full, see…", "there is no room for both");
    assert_eq!(cut(140, "https://elsewhere.example"), format!("{}…", text.split("\nDetails").next().unwrap().to_owned() + "\nDetails:"));
}

proptest! {
    #[test]
    fn never_over_the_limit_and_every_entry_shown_or_counted(
        lengths in proptest::collection::vec(0usize..400, 0..120),
        max_pages in 0usize..12,
        max in 3usize..900,
    ) {
        let (pages, renders) = run(&lengths, max_pages, max);
        prop_assert!(!pages.is_empty() && pages.len() <= max_pages.max(1));
        let mut next = 0;
        for (i, page) in pages.iter().enumerate() {
            prop_assert!(measure(max)(&page.page).fits());
            prop_assert_eq!(page.range.start, next);
            next = page.range.end;
            prop_assert_eq!(usize::from(page.page.number), i + 1);
            prop_assert_eq!(usize::from(page.page.total), pages.len());
            if i + 1 < pages.len() {
                prop_assert_eq!(page.more, 0);
            }
            if !page.shortened {
                let text = page.page.field("text");
                for entry in page.range.clone() {
                    let whole = format!("[{entry}:{}]", "告".repeat(lengths[entry]));
                    prop_assert!(text.contains(&whole), "{} lacks {}", text, whole);
                }
            }
        }
        prop_assert_eq!(next + pages.last().unwrap().more, lengths.len());
        // Each page: three guesses and a bisection, a squeeze of fourteen, the final numbering and its squeeze.
        let log = usize::BITS - lengths.len().leading_zeros();
        prop_assert!(renders <= 1 + max_pages.max(1) * (3 + log as usize + 14 + 15), "{} renders", renders);
    }
}
