//! "Did you mean": the known word nearest to a mistyped one.

/// The nearest of the known words, when one is near enough to be meant: alike on the whole, one slip away, or with the same beginning.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let lower = candidate.to_lowercase();
        let slips = strsim::damerau_levenshtein(&word, &lower);
        let beginning = word.chars().zip(lower.chars()).take_while(|(a, b)| a == b).count();
        let likeness = strsim::jaro_winkler(&word, &lower);
        let near = likeness >= 0.8 || slips <= (word.chars().count() / 3).max(usize::from(word.len() > 1)) || beginning >= 4;
        if near && best.is_none_or(|(so_far, _)| likeness > so_far) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
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
        assert_eq!(listed(std::iter::empty()), "none");
    }
}
