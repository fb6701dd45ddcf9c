//! A text that a pattern matches: for comparisons that need a value of an open set.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::{Pattern, structure, translate};

/// A short text that the whole pattern matches; `None` when none is found simply. The pattern is one that compiles.
pub fn example(pattern: &str) -> Option<String> {
    let hir = structure::parse(&translate::translate(pattern).ok()?).ok()?;
    let mut text = String::new();
    write(&hir, &mut text)?;
    Pattern::new(pattern).ok()?.matches(&text).then_some(text)
}

fn write(hir: &Hir, text: &mut String) -> Option<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(Class::Unicode(class)) => {
            let plain = |c: &char| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(c));
            text.push(('a'..='z').chain('0'..='9').find(plain).or_else(|| class.ranges().first().map(|range| range.start()))?);
        }
        HirKind::Class(Class::Bytes(_)) => return None,
        HirKind::Repetition(repetition) => {
            for _ in 0..repetition.min {
                write(&repetition.sub, text)?;
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, text)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, text))?,
        HirKind::Alternation(parts) => write(parts.first()?, text)?,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::example;

    #[test]
    fn an_example_is_short_and_matches() {
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
                Some(text) => assert_eq!(found.as_deref().map(str::to_lowercase).as_deref(), Some(text), "{pattern}"),
                None => assert!(found.is_none_or(|found| !found.is_empty()), "{pattern}"),
            }
        }
    }
}
