//! What SMS and voice vendors have in common: numbers and template parameters. Pure.

pub use super::number::{Use, check_numbers, dialled, e164, is_of, mainland_mobile, pinged, reachable, refusal};

use std::collections::{BTreeMap, HashSet};

use crate::model::{Page, Receipt, Recipient, SendError, Verb};

use super::{cut_units, units};

/// Text without what vendors refuse in template variables and no voice can read: addresses, control characters, emoji; blanks are folded.
pub fn bare(text: &str) -> String {
    let readable = |c: &char| !c.is_control() && !matches!(u32::from(*c), 0x200B..=0x200F | 0x2600..=0x27BF | 0xFE00..=0xFE0F | 0x1F000..=0x1FAFF);
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let word: String = without_address(word).chars().filter(readable).collect();
        // The full stop behind an address ends the sentence before it.
        let is_stop = word.chars().all(|c| matches!(c, '.' | '!' | '?'));
        if word.is_empty() || (is_stop && !out.ends_with(|c: char| c.is_alphanumeric() || matches!(c, ')' | '%'))) {
            continue;
        }
        if !out.is_empty() && !is_stop {
            out.push(' ');
        }
        out.push_str(&word);
    }
    out
}

/// A word without the address in it; what ends a sentence behind that stays.
fn without_address(word: &str) -> String {
    let begins = |at: usize| word[..at].trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
    let Some(begin) = word.find("://").map(begins).or_else(|| word.starts_with("www.").then_some(0)) else { return word.to_owned() };
    let (before, rest) = word.split_at(begin);
    let (address, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_graphic()).unwrap_or(rest.len()));
    let stop = address.chars().next_back().filter(|c| matches!(c, '.' | '!' | '?')).map(String::from).unwrap_or_default();
    format!("{}{stop}{}", before.trim_end_matches(['(', '<', '[', '"', '\'', '=']), without_address(after))
}

/// The key that acks, in the calls of all vendors.
pub const ACK_KEY: &str = "1";
/// The key that hands on to the next step of the escalation.
pub const HAND_ON_KEY: &str = "9";

/// What a key asks for; `None`: nothing of ours.
pub fn verb_of_key(key: &str) -> Option<Verb> {
    match key {
        ACK_KEY => Some(Verb::Ack),
        HAND_ON_KEY => Some(Verb::Escalate),
        _ => None,
    }
}

/// Whether a call offers to hand on: a step of the escalation follows.
pub fn hands_on(page: &Page) -> bool {
    page.facts.incident.buttons.iter().any(|button| button.verb == Verb::Escalate)
}

/// One recipient per number, however often and in whatever ways it is written.
pub fn recipients(numbers: &[String]) -> Vec<Recipient> {
    let mut seen = HashSet::new();
    numbers.iter().map(|number| e164(number).unwrap_or_default()).filter(|number| seen.insert(number.clone())).map(Recipient::new).collect()
}

/// Makes parameters fit: each at most `each` characters, and all of them together at most `all` as `size` counts them, which the longest give.
/// What is cut ends in `…`. Returns by how many characters they shrank.
pub fn fit<'a>(params: impl Iterator<Item = &'a mut String>, each: usize, all: usize, size: impl Fn(&str) -> usize) -> usize {
    let mut params: Vec<&mut String> = params.collect();
    let characters = |params: &[&mut String]| params.iter().map(|param| param.chars().count()).sum::<usize>();
    let before = characters(&params);
    for param in params.iter_mut().filter(|param| param.chars().count() > each) {
        **param = cut_units(param, each);
    }
    while let over @ 1.. = params.iter().map(|param| size(param)).sum::<usize>().saturating_sub(all) {
        let Some(longest) = params.iter_mut().max_by_key(|param| param.chars().count()).filter(|param| !param.is_empty()) else { break };
        let now = units(longest);
        // At least one character goes each time, so that this ends.
        **longest = cut_units(longest, now.saturating_sub(over).min(now - 1));
    }
    before - characters(&params)
}

const CUT: &str = " characters were cut; ";

/// A result whose receipt says how much [`fit`] left out.
pub fn told(result: Result<Receipt, SendError>, cut: usize) -> Result<Receipt, SendError> {
    result.map(|receipt| if cut == 0 { receipt } else { Receipt { answer: format!("{cut}{CUT}{}", receipt.answer), ..receipt } })
}

/// How many characters [`told`] says were cut.
pub fn cut(receipt: &Receipt) -> Option<usize> {
    receipt.answer.split_once(CUT)?.0.parse().ok()
}

/// Parameters that a direct call brought with it.
pub fn given(page: &Page) -> BTreeMap<String, String> {
    serde_json::from_str(page.field("params")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_texted_twice_for_two_ways_to_write_a_number() {
        let numbers = ["13800000000", "+8613800000000", "139 0000 0000", "138-0000-0000"].map(str::to_owned);
        assert_eq!(recipients(&numbers), ["+8613800000000", "+8613900000000"].map(Recipient::new));
    }

    #[test]
    fn parameters_fit_each_and_together() {
        let fitted = |texts: &[&str], each, all| {
            let mut params: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let cut = fit(params.iter_mut(), each, all, |text| text.chars().count());
            (params, cut)
        };
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(fitted(&["abcdef", "gh"], 6, 8), (own(&["abcdef", "gh"]), 0));
        assert_eq!(fitted(&["abcdef", "gh"], 4, 8), (own(&["abc…", "gh"]), 2));
        assert_eq!(fitted(&["abcdef", "gh"], 9, 6), (own(&["abc…", "gh"]), 2), "the longest is cut");
        assert_eq!(fitted(&["🔴🔴🔴", ""], 9, 1).0, own(&["…", ""]));
        assert_eq!(fitted(&["ab", "cd"], 9, 0).0, own(&["", ""]));
    }
}
