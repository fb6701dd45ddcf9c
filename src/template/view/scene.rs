//! A page's input with what is read of it more than once.

use std::cell::OnceCell;
use std::ops::Deref;

use super::describe::{Described, describe};
use super::group::Group;
use super::headline::{headline_of, subject_of};
use super::links::Addresses;
use super::{Times, ViewInput};

/// A page's input; what several fields, templates or facts are made of is read when it is first asked for, and once.
pub struct Scene<'a> {
    input: ViewInput<'a>,
    described: Vec<OnceCell<Described<'a>>>,
    addresses: Vec<Addresses<'a>>,
    group: OnceCell<Option<Group>>,
    subject: OnceCell<String>,
    headline: OnceCell<String>,
    times: Times<'a>,
}

impl<'a> Scene<'a> {
    /// Nothing is read yet.
    pub fn new(input: ViewInput<'a>) -> Self {
        let cells = input.all.len();
        Self {
            described: vec![OnceCell::new(); cells],
            addresses: input.all.iter().map(|entry| Addresses::of(entry, input.max_value)).collect(),
            group: OnceCell::new(),
            subject: OnceCell::new(),
            headline: OnceCell::new(),
            times: Times::new(input.now, input.time_zone, input.language),
            input,
        }
    }

    /// What names an alert, by its place in `all`.
    pub fn described(&self, place: usize) -> &Described<'a> {
        self.described[place].get_or_init(|| describe(self.input.all[place].alert, self.input.language))
    }

    /// The links of an alert, by its place in `all`.
    pub fn addresses(&self, place: usize) -> &Addresses<'a> {
        &self.addresses[place]
    }

    /// What the alerts share; `None` for one alert, and for a digest.
    pub fn group(&self) -> Option<&Group> {
        self.group.get_or_init(|| Group::of(self)).as_ref()
    }

    /// What the message is about, without status and severity.
    pub fn subject(&self) -> &str {
        self.subject.get_or_init(|| subject_of(self))
    }

    /// The line that is seen first.
    pub fn headline(&self) -> &str {
        self.headline.get_or_init(|| headline_of(self))
    }

    /// How its times read.
    pub fn times(&self) -> &Times<'a> {
        &self.times
    }

    /// The places in `all` of the alerts in detail on this page.
    pub fn places(&self) -> std::ops::Range<usize> {
        let all = self.input.all.len();
        // As `entries`: a range that reaches beyond the alerts shows none.
        if self.input.range.end <= all && self.input.range.start <= self.input.range.end { self.input.range.clone() } else { 0..0 }
    }
}

impl<'a> Deref for Scene<'a> {
    type Target = ViewInput<'a>;

    fn deref(&self) -> &ViewInput<'a> {
        &self.input
    }
}

impl std::fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.input.fmt(f)
    }
}
