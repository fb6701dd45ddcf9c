//! Reading JSON leniently and in one pass: any value can be read as text, duplicate keys are no error, and an error knows its path.
//!
//! Values are taken as slices of the body (`RawValue`) and only then turned into text, so that numbers keep their digits and deep
//! nesting costs neither stack nor memory. Knows nothing about alerts.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::error::{IngestError, Source, echo_up_to};
use super::value::{is_null, text};
use crate::model::Labels;

/// Labels, annotations and values of one body together. Bounds the memory that a small body can claim; 8 MiB of real alerts stay below it.
pub(super) const MAX_ENTRIES: usize = 250_000;

/// One step from a value to one of its members.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Key(&'static str),
    Index(usize),
}

/// What is noted while reading: the path of an error (filled while it unwinds, so that success pays nothing), our own words for it, and
/// how many entries have been taken.
#[derive(Debug, Default)]
pub(super) struct Trail {
    path: RefCell<Vec<Step>>,
    problem: RefCell<Option<String>>,
    entries: Cell<usize>,
}

impl Trail {
    /// Adds a step to the path if `result` is an error.
    pub(super) fn step<T, E>(&self, step: Step, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            self.path.borrow_mut().push(step);
        }
        result
    }

    /// An error in our own words.
    pub(super) fn refuse<E: de::Error>(&self, problem: impl Into<String>) -> E {
        *self.problem.borrow_mut() = Some(problem.into());
        E::custom("refused")
    }

    /// Counts one label, annotation or value.
    pub(super) fn count<E: de::Error>(&self) -> Result<(), E> {
        self.entries.set(self.entries.get() + 1);
        if self.entries.get() > MAX_ENTRIES {
            return Err(self.refuse(format!("more than {MAX_ENTRIES} labels and annotations in one body; let the sender group or cap its alerts")));
        }
        Ok(())
    }

    fn explain(&self, source: &Source<'_>, part: &str, prefix: &str, error: &serde_json::Error) -> IngestError {
        let mut path = prefix.to_owned();
        for step in self.path.borrow().iter().rev() {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.extend([".", key]),
                Step::Index(i) => path.push_str(&format!("[{i}]")),
            }
        }
        let at = byte_index(part, error.line(), error.column());
        let base = source.offset_of(part);
        match self.problem.borrow_mut().take() {
            Some(problem) => source.error(base + start_of_value(part, at), path, problem),
            None => {
                // Of a control character serde_json names the place before it.
                let at = if part.as_bytes().get(at + 1).is_some_and(|b| *b < b' ') && error.to_string().starts_with("control") { at + 1 } else { at };
                source.error(base + at, path, syntax_words(part, at, error))
            }
        }
    }
}

/// Reads `part` (a slice of the source, or all of it) with `seed`; `prefix` is the path of `part`.
pub(super) fn read<'a, S: DeserializeSeed<'a>>(
    source: &Source<'a>,
    part: &'a str,
    prefix: &str,
    trail: &Trail,
    seed: S,
) -> Result<S::Value, IngestError> {
    let mut reader = serde_json::Deserializer::from_str(part);
    let result = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    result.map_err(|error| trail.explain(source, part, prefix, &error))
}

/// serde_json counts lines from 1 and columns in bytes, the byte it stopped at included.
fn byte_index(part: &str, line: usize, column: usize) -> usize {
    let start = match line {
        0 | 1 => 0,
        _ => part.bytes().enumerate().filter(|(_, b)| *b == b'\n').nth(line - 2).map_or(part.len(), |(i, _)| i + 1),
    };
    (start + column.saturating_sub(1)).min(part.len())
}

/// A wrong type is noticed when the value has been read; the reader looks for its beginning.
fn start_of_value(part: &str, at: usize) -> usize {
    let bytes = part.as_bytes();
    let before_space = |mut i: usize| {
        while i > 0 && bytes.get(i).is_some_and(u8::is_ascii_whitespace) {
            i -= 1;
        }
        i
    };
    let i = before_space(at.min(bytes.len().saturating_sub(1)));
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    match bytes.get(i) {
        Some(b'"') => {
            let escaped = |quote: usize| bytes[..quote].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1;
            (0..i).rev().find(|q| bytes[*q] == b'"' && !escaped(*q)).unwrap_or(i)
        }
        // Of arrays and objects only an empty one is read to its end before it is refused.
        Some(b']' | b'}') if i > 0 => before_space(i - 1),
        Some(b) if word(*b) => i - bytes[..i].iter().rev().take_while(|b| word(**b)).count(),
        _ => i,
    }
}

fn syntax_words(part: &str, at: usize, error: &serde_json::Error) -> String {
    let words = error.to_string();
    let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
    if error.classify() == Category::Eof {
        let inside = words.strip_prefix("EOF while parsing ").unwrap_or("a value");
        return format!("not valid JSON: the body ends inside {inside}; it was cut off, or never finished");
    }
    match words {
        "trailing characters" => "not valid JSON: more text follows after the end of the value".into(),
        "expected value" => {
            let found: String = part.get(at..).unwrap_or_default().chars().take(1).collect();
            format!("not valid JSON: expected a value, found `{}`", echo_up_to(&found, 1))
        }
        w if w.starts_with("control character") => {
            "not valid JSON: a line break or another control character stands inside a string; write it as `\\n` or `\\u00XX`".into()
        }
        "recursion limit exceeded" => "nested more than 128 levels deep".into(),
        other => format!("not valid JSON: {other}"),
    }
}

/// An object's key, borrowed where it has no escapes.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.replace('\0', "\u{fffd}"))))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The raw text of the member whose key was just read; `key` is for the path of an error.
pub(super) fn raw<'de, A: MapAccess<'de>>(map: &mut A, trail: &Trail, key: &'static str) -> Result<&'de str, A::Error> {
    trail.step(Step::Key(key), map.next_value::<&'de RawValue>()).map(RawValue::get)
}

/// Skips the member whose key was just read.
pub(super) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// Visitor methods that refuse every value but the ones the visitor takes itself.
macro_rules! refuse_other_types {
    ($expected:literal: $($method:ident $type:ty => $found:literal),+ $(,)?) => {
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str($expected)
        }
        $(fn $method<E: serde::de::Error>(self, _: $type) -> Result<Self::Value, E> {
            Err(self.trail.refuse(concat!("expected ", $expected, ", found ", $found)))
        })+
    };
    ($expected:literal) => {
        $crate::ingest::json::refuse_other_types! { $expected: visit_bool bool => "a boolean", visit_i64 i64 => "a number", visit_u64 u64 => "a number",
            visit_f64 f64 => "a number", visit_str &str => "a string" }
    };
}
pub(super) use refuse_other_types;

struct NoElement<'t> {
    trail: &'t Trail,
}

impl<'de> DeserializeSeed<'de> for NoElement<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        Err(self.trail.refuse("expected an object, found an array"))
    }
}

/// Reads a label or annotation set; `None` for null. Values may be of any type, null ones are left out, of a duplicate name the last counts.
/// An empty array is an empty set: that is how PHP writes one.
#[derive(Clone, Copy)]
pub(super) struct LabelsSeed<'t> {
    pub(super) trail: &'t Trail,
}

impl<'de> DeserializeSeed<'de> for LabelsSeed<'_> {
    type Value = Option<Labels>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LabelsSeed<'_> {
    type Value = Option<Labels>;
    refuse_other_types!("an object");

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        // Refusing the first element before it is read keeps the error's place at the array's beginning.
        seq.next_element_seed(NoElement { trail: self.trail }).map(|_| Some(Labels::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = Labels::new();
        while let Some(Key(name)) = map.next_key()? {
            let value = map.next_value::<&RawValue>()?.get();
            if !is_null(value) {
                self.trail.count()?;
                labels.insert(name.into_owned(), text(value).into_owned());
            }
        }
        Ok(Some(labels))
    }
}
