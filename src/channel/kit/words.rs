//! Reading what a platform says in words, where its code alone does not tell.

/// Whether `text` says one of `words`. A word or phrase of ASCII counts only as a whole and in any case (`ip` does not stand in `description`);
/// anything else, such as Chinese, which has no spaces between words, counts wherever it stands.
pub fn says(text: &str, words: &[&str]) -> bool {
    let spaced = spaced(text);
    words.iter().any(|word| if word.is_ascii() { spaced.contains(&self::spaced(word)) } else { text.contains(word) })
}

/// The ASCII words of a text in lower case, each between spaces.
fn spaced(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(String::from(" "), |all, word| all + &word.to_ascii_lowercase() + " ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn english_is_read_by_whole_words_and_chinese_anywhere() {
        assert!(says("ip 1.2.3.4 not in whitelist", &["ip"]));
        assert!(says("description:IP不在白名单中", &["ip"]));
        assert!(!says("description:关键词不匹配", &["ip"]));
        assert!(!says("assigned", &["sign"]));
        assert!(says("机器人发送签名不匹配", &["签名"]));
        assert!(says("Sign_Not-Match.", &["sign not match"]));
        assert!(!says("sign does not match", &["sign not match"]));
        assert!(!says("", &["ip", "签名"]));
    }

    proptest! {
        /// A word within a longer one is never read.
        #[test]
        fn no_word_is_found_inside_another(before in "[a-z]{1,8}", word in "[a-z]{2,6}", after in "[a-z]{1,8}") {
            let longer = format!("{before}{word}{after}");
            prop_assert!(!says(&longer, &[&word]));
            let (spaced, chinese) = (format!("{before} {word}: {after}"), format!("签名{word}不"));
            prop_assert!(says(&spaced, &[&word]) && says(&chinese, &[&word]));
        }
    }
}
