//! "Did you mean": the known word nearest to a mistyped one.

/// The nearest of the known words, when one is near enough to be meant: a slip or few away, mostly the same from the beginning, or the same but for a
/// word before or behind.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let lower = candidate.to_lowercase();
        let slips = strsim::damerau_levenshtein(&word, &lower);
        let beginning = word.chars().zip(lower.chars()).take_while(|(a, b)| a == b).count();
        let mostly = beginning >= 4 && 2 * beginning >= length.max(lower.chars().count());
        let near = slips <= (length / 3).max(usize::from(length > 1)) || mostly || is_part(&word, &lower) || is_part(&lower, &word);
        let likeness = strsim::jaro_winkler(&word, &lower);
        if near && best.is_none_or(|(so_far, _)| likeness > so_far) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Whether a word is the first or the last of those that make a longer one: `zone` of `time_zone`, `ops` of `ops-mail`.
fn is_part(word: &str, whole: &str) -> bool {
    let ends = whole.strip_suffix(word).is_some_and(|before| before.ends_with(['_', '-']));
    let begins = whole.strip_prefix(word).is_some_and(|behind| behind.starts_with(['_', '-']));
    word.chars().count() >= 3 && (ends || begins)
}

/// "; did you mean `x`?" or nothing.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or(String::new(), |near| format!("; did you mean `{near}`?"))
}

/// A list of words for a note, cut after twenty.
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    let shown = words.iter().take(20).copied().collect::<Vec<_>>().join(", ");
    match words.len() {
        0 => "none".into(),
        1..=20 => shown,
        more => format!("{shown} and {} more", more - 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        assert_eq!(nearest("ops-wx", ["ops-mail", "ops-wecom"]), Some("ops-wecom"));
        assert_eq!(nearest("wxx", ["ops", "wx"]), Some("wx"));
        assert_eq!(nearest("dingding", ["slack", "dingtalk"]), Some("dingtalk"));
        assert_eq!(nearest("tow", ["one", "two"]), Some("two"));
        assert_eq!(nearest("zebra", ["slack", "email"]), None);
        assert_eq!(nearest("f", ["a", "b"]), None);
        assert_eq!(nearest("time_zone", ["timeout", "template"]), None, "the same beginning is little of them");
        assert_eq!(nearest("ops-slack", ["ops-mail"]), None, "another place of the same team");
        assert_eq!(nearest("time_zone", ["name", "zone"]), Some("zone"));
        assert_eq!(nearest("ops", ["db-mail", "ops-mail"]), Some("ops-mail"));
        assert_eq!(nearest("escalate", ["escalation", "to"]), Some("escalation"));
        assert_eq!(listed(std::iter::empty()), "none");
    }
}
