//! Long texts for small screens: hard-wrapped lines joined, and the rest folded away where a page shows it.

/// Lines and characters of a text that a message shows where a page shows the whole: about six lines of a phone.
const MAX_LINES: usize = 6;
const MAX_CHARACTERS: usize = 400;
/// Characters of a line that was wrapped by hand or by an editor.
const WRAPPED: std::ops::RangeInclusive<usize> = 60..=100;

/// The text with the lines of each hard-wrapped paragraph joined: on a phone they would break in the middle. Lists, tables, headings and indented lines
/// keep their lines.
pub fn reflow(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = "";
    for line in text.trim().lines() {
        let line = line.trim_end();
        let wrapped = WRAPPED.contains(&before.chars().count()) && !before.ends_with(':') && !is_block(before);
        if !out.is_empty() {
            out.push(if wrapped && !line.is_empty() && !is_block(line) { ' ' } else { '\n' });
        }
        out.push_str(line);
        before = line;
    }
    out
}

/// Whether a line begins something that is no running text.
fn is_block(line: &str) -> bool {
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with([' ', '\t', '-', '*', '•', '+', '>', '#', '|', '`']) || (number.len() < line.len() && number.starts_with(['.', ')', ':']))
}

/// The beginning of a text that is too long for a phone's screen; `None` when it is short enough.
pub fn fold(text: &str) -> Option<String> {
    let end_of_lines = text.match_indices('\n').nth(MAX_LINES - 1).map_or(text.len(), |(at, _)| at);
    let end_of_characters = text.char_indices().nth(MAX_CHARACTERS).map_or(text.len(), |(at, _)| at);
    let end = end_of_lines.min(end_of_characters);
    if end == text.len() {
        return None;
    }
    // Between words, where there are any.
    let whole_words = if end == end_of_lines { end } else { text[..end].rfind(char::is_whitespace).filter(|at| at * 2 > end).unwrap_or(end) };
    Some(format!("{} …", text[..whole_words].trim_end()))
}

/// The text, folded where there is a page that shows the whole.
pub fn folded(text: String, details_url: &str) -> String {
    if details_url.is_empty() { text } else { fold(&text).unwrap_or(text) }
}

/// A text with a full stop at its end, unless it ends with a sign of its own.
pub fn sentence(text: &str, stop: char) -> String {
    let text = text.trim();
    let ended = text.is_empty() || text.ends_with(['.', '!', '?', '…', '。', '！', '？', ':', ';', '；', '：']);
    if ended { text.to_owned() } else { format!("{text}{stop}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_paragraphs_are_joined_and_lists_are_not() {
        let watchdog = "This is an alert meant to ensure that the entire alerting pipeline is functional.\nThis alert is always firing, therefore it should always be firing in Alertmanager\nand always fire against a receiver.\n\nSecond.";
        let joined = reflow(watchdog);
        assert_eq!(joined.lines().count(), 3, "{joined}");
        assert!(joined.contains("functional. This alert") && joined.contains("Alertmanager and always"), "{joined}");
        let list = "What happened in the ledger over the night, step by step and in order:\n- one\n- two\n1. three\nshort\nlines";
        assert_eq!(reflow(list), list);
        assert_eq!(reflow("  \n数据库\n磁盘 \n"), "数据库\n磁盘");
    }

    #[test]
    fn long_texts_are_folded_between_words() {
        assert_eq!(fold("short\ntext"), None);
        assert_eq!(fold("a\n".repeat(6).trim_end()), None);
        assert_eq!(fold(&"a\n".repeat(9)), Some("a\na\na\na\na\na …".into()));
        let long = fold(&"word ".repeat(200)).unwrap();
        assert!(long.ends_with("word …") && long.chars().count() <= MAX_CHARACTERS + 2, "{long}");
        assert_eq!(fold(&"长".repeat(500)).unwrap().chars().count(), MAX_CHARACTERS + 2);
    }

    #[test]
    fn a_sentence_ends_once() {
        assert_eq!(sentence("Pod is crash looping.", '.'), "Pod is crash looping.");
        assert_eq!(sentence(" disk is full ", '.'), "disk is full.");
        assert_eq!(sentence("磁盘已满", '。'), "磁盘已满。");
        assert_eq!(sentence("", '.'), "");
    }
}
