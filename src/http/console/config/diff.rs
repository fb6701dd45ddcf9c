//! What two texts differ in, line by line. Pure.

/// Lines that differ at most, of the one times of the other, among which the longest common part is sought; beyond, all of them are shown as changed.
const MOST: usize = 1_000_000;

/// A line of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// In both.
    Both(&'a str),
    /// Only in the old text.
    Old(&'a str),
    /// Only in the new one.
    New(&'a str),
    /// So many lines that are in both are left out.
    Gap(usize),
}

/// The difference, with so many lines in common around each change; empty when there is none.
pub(super) fn diff<'a>(old: &'a [String], new: &'a [String], around: usize) -> Vec<Line<'a>> {
    let before = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let after = old[before..].iter().rev().zip(new[before..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (from, to) = (&old[before..old.len() - after], &new[before..new.len() - after]);
    if from.is_empty() && to.is_empty() {
        return Vec::new();
    }
    let both = |lines: &'a [String]| lines.iter().map(|line| Line::Both(line));
    let mut all: Vec<Line<'a>> = both(&old[..before]).collect();
    all.extend(changed(from, to));
    all.extend(both(&old[old.len() - after..]));
    without_common(&all, around)
}

fn changed<'a>(old: &'a [String], new: &'a [String]) -> Vec<Line<'a>> {
    if old.len().saturating_mul(new.len()) > MOST {
        return old.iter().map(|line| Line::Old(line)).chain(new.iter().map(|line| Line::New(line))).collect();
    }
    // How long the longest common part is of what begins at a line of the old and at one of the new text.
    let width = new.len() + 1;
    let mut longest = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i * width + j] =
                if old[i] == new[j] { longest[(i + 1) * width + j + 1] + 1 } else { longest[(i + 1) * width + j].max(longest[i * width + j + 1]) };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            out.push(Line::Both(&old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1]) {
            out.push(Line::Old(&old[i]));
            i += 1;
        } else {
            out.push(Line::New(&new[j]));
            j += 1;
        }
    }
    out
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
            [Line::Gap(2), Line::Both("c"), Line::Old("d"), Line::New("D"), Line::Both("e"), Line::Gap(2), Line::Both("h"), Line::New("i")];
        assert_eq!(diff(&old, &new, 1), expected);
        assert_eq!(diff(&old, &old, 3), []);
        assert_eq!(diff(&[], &lines("x"), 3), [Line::New("x")]);
        assert_eq!(diff(&lines("x x"), &lines("x"), 0).len(), 2);
    }

    #[test]
    fn very_long_ones_are_replaced_as_a_whole() {
        let (old, new): (Vec<String>, Vec<String>) = ((0..2000).map(|n| format!("a{n}")).collect(), (0..2000).map(|n| format!("b{n}")).collect());
        let found = diff(&old, &new, 3);
        assert_eq!((found.len(), found[0], found[3999]), (4000, Line::Old("a0"), Line::New("b1999")));
    }
}
