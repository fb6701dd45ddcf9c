//! Tables of platforms' error codes and words.

use super::says;
use crate::model::ErrorKind;

/// A row of a platform's table: its codes, their class, and what to do.
pub type CodeRule = (&'static [&'static str], ErrorKind, &'static str);

/// The class of a code, and what to do; `None` for one that no row names.
pub fn classify(rows: &[CodeRule], code: &str) -> Option<(ErrorKind, &'static str)> {
    rows.iter().find(|(codes, ..)| codes.contains(&code)).map(|(_, kind, advice)| (*kind, *advice))
}

/// The first row one of whose words the platform says, for platforms that tell their errors apart in words only.
pub fn classify_words(rows: &[CodeRule], text: &str) -> Option<(ErrorKind, &'static str)> {
    rows.iter().find(|(words, ..)| says(text, words)).map(|(_, kind, advice)| (*kind, *advice))
}
