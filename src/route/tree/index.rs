//! Finds the few children that can match an alert among many: by one label value each, where a child asks for certain values.
//! Only narrows the search: every candidate's matchers are still tried, so an index entry can be too generous but never wrong.

use std::collections::HashMap;

use crate::model::Labels;
use crate::route::matcher::Matcher;

/// Up to this many children are simply tried one by one, which is faster than looking anything up.
const MAX_LINEAR: usize = 8;

/// A child that asks for more values than this is tried always, so that one long list does not bloat the index.
const MAX_VALUES: usize = 1024;

/// Children by a label value that they need.
#[derive(Debug, Default)]
pub(super) struct ChildIndex {
    len: usize,
    /// Label name, then value, then positions in order. Each child is under one label, or in `rest`.
    by_label: HashMap<String, HashMap<String, Vec<u32>>>,
    /// Labels of which some child needs the empty value, that is, their absence.
    absent: Vec<String>,
    /// Children that need no certain value.
    rest: Vec<u32>,
}

impl ChildIndex {
    /// Indexes children by their matchers, in order.
    pub(super) fn new<'m>(children: impl ExactSizeIterator<Item = &'m [Matcher]> + Clone) -> Self {
        let mut index = Self { len: children.len(), ..Self::default() };
        if index.len <= MAX_LINEAR {
            return index;
        }
        // How many children ask for each value, so that each child is filed under the rarest of its own.
        let mut shared: HashMap<(&str, &str), usize> = HashMap::new();
        for (name, values) in children.clone().flatten().filter_map(wanted) {
            for value in values {
                *shared.entry((name, value)).or_default() += 1;
            }
        }
        for (position, matchers) in children.enumerate() {
            let position = position as u32;
            let crowd = |(name, values): &(&str, Vec<&str>)| values.iter().map(|value| shared[&(*name, *value)]).max().unwrap_or(0);
            match matchers.iter().filter_map(wanted).min_by_key(crowd) {
                None => index.rest.push(position),
                Some((name, values)) => {
                    let by_value = index.by_label.entry(name.to_owned()).or_default();
                    for value in values {
                        by_value.entry(value.to_owned()).or_default().push(position);
                    }
                }
            }
        }
        index.absent = index.by_label.iter().filter(|(_, by_value)| by_value.contains_key("")).map(|(name, _)| name.clone()).collect();
        index
    }

    /// Positions of all children that may match, in order.
    pub(super) fn candidates<'i>(&'i self, labels: &Labels) -> Candidates<'i> {
        if self.len <= MAX_LINEAR {
            return Candidates::All(0..self.len);
        }
        let mut lists: Vec<&[u32]> = Vec::with_capacity(4);
        if !self.rest.is_empty() {
            lists.push(&self.rest);
        }
        for (name, value) in labels {
            // The empty value is the same as none, below.
            if !value.is_empty()
                && let Some(positions) = self.by_label.get(name).and_then(|by_value| by_value.get(value))
            {
                lists.push(positions);
            }
        }
        for name in &self.absent {
            if labels.get(name).is_none_or(String::is_empty)
                && let Some(positions) = self.by_label.get(name).and_then(|by_value| by_value.get(""))
            {
                lists.push(positions);
            }
        }
        Candidates::Merged(lists)
    }
}

/// The label and the values that a matcher asks for, when they can be listed.
fn wanted(matcher: &Matcher) -> Option<(&str, Vec<&str>)> {
    let values = matcher.values().filter(|values| values.len() <= MAX_VALUES)?;
    Some((matcher.name(), values))
}

/// Positions in order, each once.
pub(super) enum Candidates<'i> {
    /// Every child.
    All(std::ops::Range<usize>),
    /// Sorted lists that share no position; merged as they are asked for.
    Merged(Vec<&'i [u32]>),
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        match self {
            Candidates::All(range) => range.next(),
            Candidates::Merged(lists) => {
                let (_, at) = lists.iter().enumerate().filter_map(|(at, list)| Some((*list.first()?, at))).min()?;
                let (first, rest) = lists[at].split_first()?;
                lists[at] = rest;
                Some(*first as usize)
            }
        }
    }
}
