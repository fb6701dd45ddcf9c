//! Reading what a platform says in words, where its code alone does not tell.

use std::borrow::Cow;

use crate::model::ErrorKind;

/// Whether `text` says one of `words`. A word or phrase of ASCII counts only as a whole and in any case (`ip` is not a word of `description`);
/// anything else, such as Chinese, which has no spaces between words, counts anywhere.
pub fn says(text: &str, words: &[&str]) -> bool {
    let spaced = spaced(text);
    words.iter().any(|word| if word.is_ascii() { spaced.contains(&self::spaced(word)) } else { text.contains(word) })
}

/// Words for a limit of the rate, in the languages that platforms answer in.
const LIMIT_WORDS: &[&str] = &[
    "too fast",
    "too frequent",
    "too frequently",
    "too many request",
    "too many requests",
    "toomanyrequest",
    "toomanyrequests",
    "frequency limit",
    "frequency limited",
    "freq out of limit",
    "rate limit",
    "rate limited",
    "qps limit",
    "频率",
    "频繁",
    "限流",
    "流控",
    "频控",
    "太快",
    "过快",
];

/// Words for trouble of the platform's own, in the languages that platforms answer in.
const BUSY_WORDS: &[&str] = &[
    "system busy",
    "system is busy",
    "server busy",
    "server is busy",
    "service busy",
    "service unavailable",
    "temporarily unavailable",
    "system error",
    "server error",
    "internal error",
    "internal server error",
    "request timeout",
    "request timed out",
    "try again later",
    "retry later",
    "系统繁忙",
    "服务繁忙",
    "服务器繁忙",
    "系统忙",
    "系统异常",
    "系统错误",
    "服务异常",
    "服务器异常",
    "服务器错误",
    "服务调用异常",
    "内部错误",
    "请求超时",
    "稍后再试",
    "稍后重试",
];

/// What a platform's own words say that its code, which nobody knows, does not: that too much came too fast. Only for words that are the platform's
/// alone: what repeats a message could hold anything.
pub fn limit_by_words(words: &str) -> Option<(ErrorKind, &'static str)> {
    says(words, LIMIT_WORDS).then_some((ErrorKind::RateLimited { retry_after: None }, "too many messages came too fast"))
}

/// The same, or that the platform has trouble of its own. For what may be sent again: after such trouble a call may have been made.
pub fn passing_by_words(words: &str) -> Option<(ErrorKind, &'static str)> {
    limit_by_words(words).or_else(|| says(words, BUSY_WORDS).then_some((ErrorKind::Transient, "it is busy; it is tried again")))
}

/// The ASCII words of a text in lower case, each between spaces.
fn spaced(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(String::from(" "), |all, word| all + &word.to_ascii_lowercase() + " ")
}

/// A JSON text in which `\uXXXX` is the character it means, where that is not ASCII: people read 找不到, not `\u627e\u4e0d\u5230`. It is
/// still the same JSON; what is no such escape stays as it is.
pub fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let units: Vec<u16> = [0, 6].into_iter().map_while(|from| unit(rest.get(from..)?)).collect();
        let read = char::decode_utf16(units.iter().copied()).next().and_then(Result::ok).filter(|c| !c.is_ascii() && !c.is_control());
        let taken = match read {
            Some(c) => {
                out.push(c);
                6 * c.len_utf16()
            }
            // A backslash and what it escapes: the second of two backslashes begins nothing.
            None => {
                let taken = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&rest[..taken]);
                taken
            }
        };
        rest = &rest[taken..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The UTF-16 unit of a `\uXXXX` at the beginning of a text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
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

    #[test]
    fn passing_trouble_is_read_in_either_language_and_a_limit_before_it() {
        let kind = |words| passing_by_words(words).map(|(kind, _)| kind);
        for limit in ["请求过于频繁，请稍后再试", "Too many requests, please try again later.", "TooManyRequest", "触发频控", "too_many_requests"]
        {
            assert_eq!(kind(limit), Some(ErrorKind::RateLimited { retry_after: None }), "{limit}");
        }
        for busy in ["对不起，系统繁忙，请稍后再试", "server error", "Request timed out, please try again later", "远程服务调用异常", "System Error"]
        {
            assert_eq!(kind(busy), Some(ErrorKind::Transient), "{busy}");
        }
        for other in ["", "不合法的参数", "invalid parameter", "sensitive words", "systems errored"] {
            assert_eq!(kind(other), None, "{other}");
        }
        assert_eq!(limit_by_words("系统繁忙，请稍后再试"), None);
    }

    #[test]
    fn escapes_are_written_out_and_the_json_stays_the_same() {
        assert_eq!(unescaped(r#"{"msg":"\u627e\u4e0d\u5230 \ud83d\ude00"}"#), r#"{"msg":"找不到 😀"}"#);
        for same in [r"\u0022 \n \u000a", r"\\u627e", r"\ud83d", r"\u62", r"\", "no escapes 找"] {
            assert_eq!(unescaped(same), same);
        }
        assert_eq!(unescaped(r"\\\u627e"), r"\\找");
    }

    proptest! {
        /// Any JSON text means the same before and after.
        #[test]
        fn what_is_written_out_parses_to_the_same(text in "[\\PC\\n\"\\\\]{0,40}") {
            let escaped: String = serde_json::to_string(&text).unwrap().chars().flat_map(|c| match c.is_ascii() {
                true => vec![c.to_string()],
                false => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            }).collect();
            prop_assert_eq!(serde_json::from_str::<String>(&unescaped(&escaped)).unwrap(), text);
        }

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
