//! What two texts differ in, line by line.

use std::time::Duration;

use similar::{DiffTag, TextDiff};

/// How long the smallest set of changed lines is looked for; after that more lines than needed may be shown as changed.
const TIMEOUT: Duration = Duration::from_millis(100);

/// A line of a difference; numbers begin at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// In both.
    Both(&'a str),
    /// Only in the old text, with its number there.
    Old(usize, &'a str),
    /// Only in the new one, with its number there.
    New(usize, &'a str),
    /// So many lines that are in both are left out.
    Gap(usize),
}

/// The difference, with so many lines in common around each change; empty when there is none.
pub(super) fn diff<'a>(old: &'a [String], new: &'a [String], around: usize) -> Vec<Line<'a>> {
    let [before, after] = [old, new].map(|lines| lines.iter().map(String::as_str).collect::<Vec<&str>>());
    let mut all = Vec::new();
    for operation in TextDiff::configure().timeout(TIMEOUT).diff_slices(&before, &after).ops() {
        let (tag, before, after) = operation.as_tag_tuple();
        if tag == DiffTag::Equal {
            all.extend(old[before].iter().map(|line| Line::Both(line)));
        } else {
            all.extend(before.map(|at| Line::Old(at + 1, &old[at])));
            all.extend(after.map(|at| Line::New(at + 1, &new[at])));
        }
    }
    if all.iter().all(|line| matches!(line, Line::Both(_))) { Vec::new() } else { without_common(&all, around) }
}

/// Leaves out what is in both and far from every change.
fn without_common<'a>(all: &[Line<'a>], around: usize) -> Vec<Line<'a>> {
    let mut near = vec![false; all.len()];
    for at in (0..all.len()).filter(|at| !matches!(all[*at], Line::Both(_))) {
        let end = (at + around + 1).min(all.len());
        near[at.saturating_sub(around)..end].fill(true);
    }
    let mut out = Vec::new();
    for (line, near) in all.iter().zip(near) {
        match (near, out.last_mut()) {
            (true, _) => out.push(*line),
            (false, Some(Line::Gap(n))) => *n += 1,
            (false, _) => out.push(Line::Gap(1)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split(' ').filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn a_difference_is_what_changed_with_what_is_around_it() {
        let (old, new) = (lines("a b c d e f g h"), lines("a b c D e f g h i"));
        let expected =
            [Line::Gap(2), Line::Both("c"), Line::Old(4, "d"), Line::New(4, "D"), Line::Both("e"), Line::Gap(2), Line::Both("h"), Line::New(9, "i")];
        assert_eq!(diff(&old, &new, 1), expected);
        assert_eq!(diff(&old, &old, 3), []);
        assert_eq!(diff(&[], &lines("x"), 3), [Line::New(1, "x")]);
        assert_eq!(diff(&lines("x x"), &lines("x"), 0).len(), 2);
    }

    #[test]
    fn very_long_ones_are_replaced_as_a_whole() {
        let (old, new): (Vec<String>, Vec<String>) = ((0..2000).map(|n| format!("a{n}")).collect(), (0..2000).map(|n| format!("b{n}")).collect());
        let found = diff(&old, &new, 3);
        assert_eq!((found.len(), found[0], found[3999]), (4000, Line::Old(1, "a0"), Line::New(2000, "b1999")));
    }
}
