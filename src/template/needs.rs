//! Which fields of a view a template can read, found when it is checked: only those are built for it.

use std::collections::HashSet;

/// What the functions themselves read at the top of a page.
const OF_FUNCTIONS: [&str; 3] = ["language", "time_zone", "now"];

/// Names of fields that are read somewhere. A name counts wherever it stands: one read of an alert's `title` makes every `title`.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    whole: bool,
    names: HashSet<String>,
}

impl Needs {
    /// Every field.
    pub fn everything() -> Self {
        Self { whole: true, names: HashSet::new() }
    }

    /// Whether the field is to be built.
    pub fn has(&self, name: &str) -> bool {
        self.whole || self.names.contains(name) || OF_FUNCTIONS.contains(&name)
    }

    /// Whether one of the fields is to be built.
    pub fn any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// A name is read.
    pub(super) fn reads(&mut self, name: &str) {
        if !self.names.contains(name) {
            self.names.insert(name.to_owned());
        }
    }

    /// An object goes somewhere whole, so that any of its fields may be read there.
    pub(super) fn hands_on(&mut self) {
        self.whole = true;
    }

    /// What either reads.
    pub(super) fn join(&mut self, other: &Self) {
        self.whole |= other.whole;
        other.names.iter().for_each(|name| self.reads(name));
    }
}
