//! The documents as a book: every page is listed, and every link leads to a page and a heading that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the crate.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every page of the book and the two READMEs.
pub fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("README.zh-CN.md")];
    let mut open = vec![root().join("docs")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// The lines outside fenced blocks, without what is in backticks.
fn prose(page: &str) -> String {
    let (mut out, mut fenced) = (String::new(), false);
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            out.extend(line.split('`').step_by(2));
            out.push('\n');
        }
    }
    out
}

/// The name of a heading in an address, as Git hosts and books make it.
fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The names of a page's headings in addresses.
pub fn anchors(page: &str) -> BTreeSet<String> {
    let (mut out, mut fenced) = (BTreeSet::new(), false);
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            out.insert(slug(line.trim_start_matches('#')));
        }
    }
    out
}

fn links(page: &str) -> Vec<String> {
    prose(page).split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut followed = 0;
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        for link in links(&page).into_iter().filter(|link| !link.starts_with("http://") && !link.starts_with("https://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            // Pictures are no text.
            let fine = match fs::read(&target) {
                Ok(bytes) => anchor.is_empty() || anchors(&String::from_utf8_lossy(&bytes)).contains(anchor),
                Err(_) => target.is_dir() && anchor.is_empty() && !file.is_empty(),
            };
            // The book holds the pages below docs/ and nothing else.
            let fine = fine
                && !(path.starts_with(root().join("docs"))
                    && file.starts_with("../")
                    && !target.canonicalize().unwrap().starts_with(root().join("docs").canonicalize().unwrap()));
            followed += 1;
            if !fine || link.is_empty() {
                broken.push(format!("{}: ({link})", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(followed > 50, "only {followed} links were found");
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let listed: BTreeSet<String> = links(&summary).into_iter().collect();
    let docs = root().join("docs");
    for path in pages().iter().filter_map(|path| path.strip_prefix(&docs).ok()) {
        let name = path.to_str().unwrap();
        assert!(name == "SUMMARY.md" || listed.contains(name), "docs/SUMMARY.md does not list {name}");
    }
}

#[test]
fn the_book_is_built_outside_the_sources() {
    let text = fs::read_to_string(root().join("docs/book.toml")).unwrap();
    let value = |key: &str| {
        let line = text.lines().find(|line| line.split('=').next().is_some_and(|name| name.trim() == key)).unwrap_or_else(|| panic!("no {key}"));
        line.split_once('=').unwrap().1.trim().trim_matches('"').to_owned()
    };
    assert_eq!(value("src"), ".");
    assert!(Path::new(&value("build-dir")).starts_with(".."), "what is built must not land among the pages");
}

#[test]
fn names_of_headings_in_links() {
    assert_eq!(slug(" What happens when X fails? "), "what-happens-when-x-fails");
    assert_eq!(slug("两分钟：第一条 `告警`"), "两分钟第一条-告警");
    assert_eq!(links("a [b](c#d) `[x](y)`\n```\n[e](f)\n```\n[g](h)"), ["c#d", "h"]);
}
