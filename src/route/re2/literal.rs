//! Finds out whether a pattern matches a small, finite set of texts, and which.
//! Knows the parsed form of `regex-syntax` only.

use regex_syntax::hir::{Class, Hir, HirKind};

/// The most texts that are listed.
const MAX_TEXTS: usize = 10_000;

/// The most bytes of listed texts.
const MAX_BYTES: usize = 512 * 1024;

/// The largest character class that is spelled out; larger ones are the engine's work.
const MAX_CLASS: usize = 16;

/// Every text that the pattern matches as a whole, sorted and without repeats; `None` when there are too many, or when it looks around.
pub(super) fn all_texts(hir: &Hir) -> Option<Vec<Box<str>>> {
    let mut texts: Vec<Box<str>> = expand(hir)?.into_iter().map(String::into_boxed_str).collect();
    texts.sort_unstable();
    texts.dedup();
    Some(texts)
}

fn expand(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![std::str::from_utf8(&literal.0).ok()?.to_owned()]),
        HirKind::Class(Class::Unicode(class)) => {
            let count: u64 = class.ranges().iter().map(|r| u64::from(u32::from(r.end()) - u32::from(r.start())) + 1).sum();
            if count > MAX_CLASS as u64 {
                return None;
            }
            Some(class.ranges().iter().flat_map(|r| r.start()..=r.end()).map(String::from).collect())
        }
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) => None,
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
            (0, Some(0)) => Some(vec![String::new()]),
            (1, Some(1)) => expand(&repetition.sub),
            (0, Some(1)) => {
                let mut texts = expand(&repetition.sub)?;
                texts.push(String::new());
                Some(texts)
            }
            _ => None,
        },
        HirKind::Capture(capture) => expand(&capture.sub),
        HirKind::Concat(parts) => parts.iter().try_fold(vec![String::new()], |heads, part| {
            let tails = expand(part)?;
            let bytes = size(&heads).checked_mul(tails.len())?.checked_add(size(&tails).checked_mul(heads.len())?)?;
            if heads.len().checked_mul(tails.len())? > MAX_TEXTS || bytes > MAX_BYTES {
                return None;
            }
            Some(heads.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect())
        }),
        HirKind::Alternation(parts) => {
            let mut texts = Vec::new();
            let mut bytes = 0;
            for part in parts {
                let more = expand(part)?;
                bytes += size(&more);
                texts.extend(more);
                if texts.len() > MAX_TEXTS || bytes > MAX_BYTES {
                    return None;
                }
            }
            Some(texts)
        }
    }
}

fn size(texts: &[String]) -> usize {
    texts.iter().map(String::len).sum()
}
