//! Texts that a pattern matches: for comparisons that need values of an open set.

use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind};

use super::{Pattern, structure, translate};

/// Texts of a pattern at most.
const MAX_TEXTS: usize = 16;
/// Bytes of a text at most.
const LONGEST: usize = 4096;
/// A repetition's largest count is tried when it is at most this.
const SMALL: u32 = 8;

/// Short texts that the whole pattern matches: of every branch, each repetition as often as it must be and once more, 16 at most. Empty when none
/// is found simply. The pattern is one that compiles.
pub fn example(pattern: &str) -> Vec<String> {
    let Some(hir) = translate::translate(pattern).ok().and_then(|translated| structure::parse(&translated).ok()) else { return Vec::new() };
    let Ok(compiled) = Pattern::new(pattern) else { return Vec::new() };
    let mut found = texts(&hir);
    found.retain(|text| compiled.matches(text));
    found
}

/// The first is the shortest that is found simply; none repeats.
fn texts(hir: &Hir) -> Vec<String> {
    let found = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).map(str::to_owned).into_iter().collect(),
        HirKind::Class(Class::Unicode(class)) => characters(class),
        HirKind::Class(Class::Bytes(_)) => Vec::new(),
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Repetition(repetition) => {
            let (min, max) = (repetition.min, repetition.max);
            let more = Some(min.saturating_add(1)).filter(|count| max.is_none_or(|max| *count <= max));
            let counts = [Some(min), more, max.filter(|max| *max <= SMALL)];
            let sub = texts(&repetition.sub);
            let mut found = Vec::new();
            for count in counts.into_iter().flatten() {
                let short = sub.iter().filter(|text| text.len().saturating_mul(count as usize) <= LONGEST);
                found.extend(short.map(|text| text.repeat(count as usize)));
            }
            found
        }
        HirKind::Concat(parts) => sequence(&parts.iter().map(texts).collect::<Vec<_>>()),
        HirKind::Alternation(parts) => in_turn(&parts.iter().map(texts).collect::<Vec<_>>()),
    };
    distinct(found)
}

/// Letters, digits and signs of a class, from both ends of its ranges; whatever else it has where there are none.
fn characters(class: &ClassUnicode) -> Vec<String> {
    let plain = |c: &char| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(c));
    let mut found: Vec<char> = ('a'..='z').find(plain).into_iter().chain(('0'..='9').find(plain)).collect();
    let ends = class.ranges().iter().flat_map(|range| [range.start(), range.end()]);
    found.extend(ends.filter(|c| c.is_ascii_graphic() || c.is_alphanumeric()).take(MAX_TEXTS));
    if found.is_empty() {
        found.extend(class.ranges().first().map(|range| range.start()));
    }
    found.into_iter().map(String::from).collect()
}

/// The first text of every part, then each further text of a part with the first ones of the others.
fn sequence(parts: &[Vec<String>]) -> Vec<String> {
    let Some(first) = parts.iter().map(|part| part.first().map(String::as_str)).collect::<Option<Vec<&str>>>() else { return Vec::new() };
    let mut varied = vec![vec![first.concat()]];
    for (at, part) in parts.iter().enumerate() {
        let with = |text: &String| format!("{}{text}{}", first[..at].concat(), first[at + 1..].concat());
        varied.push(part.iter().skip(1).map(with).collect());
    }
    let mut found = varied.remove(0);
    found.extend(in_turn(&varied));
    found.retain(|text| text.len() <= LONGEST);
    found
}

/// The first of each, then the second of each, and so on: so that the bound leaves something of each.
fn in_turn(lists: &[Vec<String>]) -> Vec<String> {
    (0..MAX_TEXTS).flat_map(|at| lists.iter().filter_map(move |list| list.get(at).cloned())).take(MAX_TEXTS).collect()
}

fn distinct(found: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for text in found {
        if kept.len() < MAX_TEXTS && !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{MAX_TEXTS, example};

    #[test]
    fn the_first_example_is_short_and_all_match() {
        for (pattern, text) in [
            ("db-.*", Some("db-")),
            (".+", Some("a")),
            ("(?i:web)[0-9]{2}", Some("web00")),
            ("^node-\\d+$", Some("node-0")),
            ("x|y.*", Some("x")),
            ("[^a-z0-9]", None),
            ("a\\bb", None),
        ] {
            let found = example(pattern);
            match text {
                Some(text) => assert_eq!(found.first().map(|found| found.to_lowercase()).as_deref(), Some(text), "{pattern}"),
                None => assert!(found.iter().all(|found| !found.is_empty()), "{pattern}"),
            }
            let compiled = crate::route::re2::Pattern::new(pattern).unwrap();
            assert!(found.len() <= MAX_TEXTS && found.iter().all(|text| compiled.matches(text)), "{pattern}: {found:?}");
        }
    }

    #[test]
    fn every_branch_and_the_ends_of_repetitions_are_among_them() {
        for (pattern, wanted) in [
            ("(db|web)-.*", ["db-", "web-", "db-a"]),
            ("x.*|y.*|z.*", ["x", "y", "z"]),
            ("a[0-9]{1,3}", ["a0", "a00", "a000"]),
            ("n-[a-m]+", ["n-a", "n-m", "n-aa"]),
        ] {
            let found = example(pattern);
            wanted.iter().for_each(|text| assert!(found.iter().any(|found| found == text), "{pattern}: `{text}` is not in {found:?}"));
        }
    }
}
