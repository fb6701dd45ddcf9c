//! Commands in text messages: `ok`, `1842 ok`, `收到`, `next`. Pure.

use crate::model::Verb;

/// A longer text is no command: it may be the answer of a machine, which must not be answered.
const MAX_COMMAND: usize = 30;

const ACK: [&str; 9] = ["ok", "a", "ack", "yes", "收到", "认领", "好", "好的", "确认"];
const UNACK: [&str; 3] = ["unack", "取消", "取消认领"];
const ESCALATE: [&str; 5] = ["e", "next", "escalate", "转交", "下一位"];

/// What a text asks for, and the number of the incident that it names; `None`: nothing, which is what most texts mean.
pub fn command(text: &str) -> Option<(Verb, Option<i64>)> {
    if text.chars().count() > MAX_COMMAND {
        return None;
    }
    let lower = text.to_lowercase();
    // `收到1842` has no blank.
    let digits = |c: char| c.is_ascii_digit();
    let number = lower.split(|c| !digits(c)).find(|run| !run.is_empty());
    let rest = number.map_or_else(|| lower.clone(), |number| lower.replacen(number, " ", 1));
    let is_sign = |c: char| c.is_whitespace() || matches!(c, '#' | '.' | '!' | ',' | '。' | '！' | '，' | '"' | '\'' | '“' | '”');
    let mut words = rest.split(is_sign).filter(|word| !word.is_empty());
    let word = words.next().filter(|_| words.next().is_none())?;
    let verb = match word {
        word if ACK.contains(&word) => Verb::Ack,
        word if UNACK.contains(&word) => Verb::Unack,
        word if ESCALATE.contains(&word) => Verb::Escalate,
        _ => return None,
    };
    Some((verb, number.map(str::parse).transpose().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_what_they_mean_in_few_words() {
        for (text, meant) in [
            ("ok", Some((Verb::Ack, None))),
            (" OK! ", Some((Verb::Ack, None))),
            ("1842 ok", Some((Verb::Ack, Some(1842)))),
            ("Ack #1842.", Some((Verb::Ack, Some(1842)))),
            ("“Ok”", Some((Verb::Ack, None))),
            ("收到", Some((Verb::Ack, None))),
            ("收到。", Some((Verb::Ack, None))),
            ("1842认领", Some((Verb::Ack, Some(1842)))),
            ("认领 1842", Some((Verb::Ack, Some(1842)))),
            ("unack 7", Some((Verb::Unack, Some(7)))),
            ("取消认领", Some((Verb::Unack, None))),
            ("a", Some((Verb::Ack, None))),
            ("12a", Some((Verb::Ack, Some(12)))),
            ("12e", Some((Verb::Escalate, Some(12)))),
            ("Next!", Some((Verb::Escalate, None))),
            ("escalate 7", Some((Verb::Escalate, Some(7)))),
            ("转交1842", Some((Verb::Escalate, Some(1842)))),
            ("下一位", Some((Verb::Escalate, None))),
            ("e mail", None),
            ("", None),
            ("1842", None),
            ("ok 1842 1843", None),
            ("ok then", None),
            ("not ok", None),
            ("收到了吗", None),
            ("ok 99999999999999999999", None),
            ("Sorry, I am driving and cannot read this. ok", None),
        ] {
            assert_eq!(command(text), meant, "{text}");
        }
    }
}
