//! Reading JSON leniently and in one pass: any value can be read as text, duplicate keys are no error, and an error knows its path.
//!
//! Values are taken as slices of the body (`RawValue`) and only then turned into text, so that numbers keep their digits and deep
//! nesting costs neither stack nor memory. Knows nothing about alerts.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::error::{IngestError, Source, echo_up_to};
pub(super) use super::value::Key;
use super::value::{MAX_ENTRIES, Trees, is_null, kind_of, members, text};
use crate::model::{Extra, Labels};

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
    extra: Cell<usize>,
    left_out: Cell<bool>,
}

/// Bytes that are kept of a body's members that have no field of their own, as they were written.
pub(super) const MAX_EXTRA: usize = 64 << 10;

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

    /// Counts one label, annotation or value; `false` when there is no room for it.
    pub(super) fn count(&self) -> bool {
        let room = !self.is_full();
        self.entries.set(self.entries.get() + usize::from(room));
        room
    }

    /// Whether there is no room for more labels, annotations and values.
    pub(super) fn is_full(&self) -> bool {
        self.entries.get() >= MAX_ENTRIES
    }

    /// Keeps a member that has no field of its own, while there is room for such.
    pub(super) fn keep(&self, extra: &mut Extra, name: &str, raw: &str) {
        let bytes = self.extra.get() + name.len() + raw.len();
        if is_null(raw) {
            return;
        }
        if bytes > MAX_EXTRA {
            return self.leave_out();
        }
        self.extra.set(bytes);
        extra.insert(name.to_owned(), Trees::default().tree(raw));
    }

    /// Remembers that such a member was not kept.
    pub(super) fn leave_out(&self) {
        self.left_out.set(true);
    }

    /// Whether one was not kept.
    pub(super) fn left_out(&self) -> bool {
        self.left_out.get()
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
            "not valid JSON: a line break or another control character is inside a string; write it as `\\n` or `\\u00XX`".into()
        }
        "recursion limit exceeded" => "nested more than 128 levels deep".into(),
        other => format!("not valid JSON: {other}"),
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

/// A label or annotation set that was read.
#[derive(Debug, Default)]
pub(super) struct Set {
    pub(super) labels: Labels,
    /// What stood there in place of an object, as far as it is no names and values.
    pub(super) rest: String,
    /// Whether it was no object.
    pub(super) odd: bool,
}

impl Set {
    /// Names and values in a text, `{a="b", c="d"}` or `a=b, c=d`; a text that is anything else is kept whole.
    fn of_text(trail: &Trail, whole: &str) -> Self {
        let inner = whole.trim();
        let inner = inner.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(inner);
        let mut set = Set { odd: !whole.trim().is_empty(), ..Set::default() };
        for part in inner.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=').filter(|(name, value)| is_name(name.trim()) && !value.starts_with('=')) {
                Some((name, value)) if trail.count() => drop(set.labels.insert(name.trim().to_owned(), value.trim().trim_matches('"').to_owned())),
                Some(_) => {}
                None => return Set { rest: whole.to_owned(), odd: true, ..Set::default() },
            }
        }
        set
    }

    fn of_elements(trail: &Trail, elements: &[&str]) -> Self {
        let mut set = Set { odd: !elements.is_empty(), ..Set::default() };
        for element in elements.iter().filter(|element| !is_null(element)) {
            let pairs = match kind_of(element) {
                "an object" => pairs(element),
                "a string" => {
                    let one = Set::of_text(trail, &text(element));
                    if one.rest.is_empty() {
                        set.labels.extend(one.labels);
                        continue;
                    }
                    Vec::new()
                }
                _ => Vec::new(),
            };
            if pairs.is_empty() {
                if !set.rest.is_empty() {
                    set.rest.push('\n');
                }
                set.rest.push_str(&text(element));
            }
            for (name, value) in pairs {
                if trail.count() {
                    set.labels.insert(name, value);
                }
            }
        }
        set
    }
}

/// A name as labels have them in the classic form; a sentence with an equals sign in it is none.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ':' | '/'))
}

/// The names and values of an entry in a list of them: `{"name": "a", "value": "b"}`, in whatever case, or `{"a": "b"}`.
fn pairs(entry: &str) -> Vec<(String, String)> {
    let members = members(entry);
    let one =
        |names: [&str; 3]| members.iter().find(|(key, _)| names.iter().any(|name| key.eq_ignore_ascii_case(name))).map(|(_, value)| text(value));
    if members.len() >= 2
        && let (Some(name), Some(value)) = (one(["name", "key", "label"]), one(["value", "val", "text"]))
        && !name.is_empty()
    {
        return vec![(name.into_owned(), value.into_owned())];
    }
    members.into_iter().filter(|(_, value)| !is_null(value)).map(|(name, value)| (name.into_owned(), text(value).into_owned())).collect()
}

/// Reads a label or annotation set; `None` for null. Values may be of any type, null ones are left out, of a duplicate name the last counts.
/// An empty array is an empty set: that is how PHP writes one. A list of names and values, or a text of them, is read as far as it can be.
#[derive(Clone, Copy)]
pub(super) struct LabelsSeed<'t> {
    pub(super) trail: &'t Trail,
}

impl<'de> DeserializeSeed<'de> for LabelsSeed<'_> {
    type Value = Option<Set>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LabelsSeed<'_> {
    type Value = Option<Set>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(Set::of_text(self.trail, &value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(Set::of_text(self.trail, &value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(Set::of_text(self.trail, &value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(Set::of_text(self.trail, &value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Some(Set::of_text(self.trail, &value.replace('\0', "\u{fffd}"))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<&RawValue>()? {
            if elements.len() < MAX_ENTRIES {
                elements.push(element.get());
            }
        }
        Ok(Some(Set::of_elements(self.trail, &elements)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut labels = Labels::new();
        while let Some(Key(name)) = map.next_key()? {
            let value = map.next_value::<&RawValue>()?.get();
            if !is_null(value) && self.trail.count() {
                labels.insert(name.into_owned(), text(value).into_owned());
            }
        }
        Ok(Some(Set { labels, ..Set::default() }))
    }
}
