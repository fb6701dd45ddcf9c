//! The last step of a field: blank lines tidied, and line breaks written as the field's dialect wants them.

use crate::model::{Escape, FieldSpec};

/// Tidies a rendered field: no blank lines at its ends, never two in a row, no blanks at line ends; one line where the field is one line.
/// In Markdown dialects where a line break alone is none, every line break of the template or of a value becomes one:
/// DingTalk wants two spaces on each side of it, CommonMark two before it, Teams a paragraph.
pub fn finish(spec: &FieldSpec, text: &str) -> String {
    if spec.single_line {
        return text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut before: Option<&str> = None;
    let mut blank = false;
    for line in text.lines().map(trim_line_end) {
        if line.trim().is_empty() {
            blank = true;
            continue;
        }
        if let Some(before) = before {
            out.push_str(if blank { "\n\n" } else { line_break(spec.escape, before, line) });
        }
        out.push_str(line);
        before = Some(line);
        blank = false;
    }
    out
}

/// Hair spaces stay: they belong to an escaped marker.
fn trim_line_end(line: &str) -> &str {
    line.trim_end_matches([' ', '\t', '\r'])
}

fn line_break(dialect: Escape, before: &str, after: &str) -> &'static str {
    match dialect {
        // Two blanks before a heading, a quote or a list item would indent it.
        Escape::DingTalkMarkdown if is_block(after) => "  \n",
        Escape::DingTalkMarkdown => "  \n  ",
        Escape::Markdown => "  \n",
        Escape::TeamsMarkdown if [before, after].into_iter().all(|line| is_block(line) && !is_text(line)) => "\n",
        Escape::TeamsMarkdown => "\n\n",
        _ => "\n",
    }
}

fn is_block(line: &str) -> bool {
    line.starts_with('#') || line.starts_with('>') || line.starts_with("- ") || line.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether a line that begins with a number is no item of a list: `10.0.0.1 is down`, `1、登录`. Teams would join it with the line before.
fn is_text(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < line.len() && !rest.starts_with(". ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(escape: Escape, single_line: bool) -> FieldSpec {
        FieldSpec { name: "text", escape, required: true, single_line, template: "" }
    }

    #[test]
    fn one_line_is_one_line() {
        assert_eq!(finish(&field(Escape::None, true), "\n a\n  b\t c \n"), "a b c");
    }

    #[test]
    fn line_breaks_are_the_dialects() {
        let text = "\n\n### T  \n\n\n\na\nb\n- c\n- d\n\n> q\n\n";
        assert_eq!(finish(&field(Escape::WeComMarkdown, false), text), "### T\n\na\nb\n- c\n- d\n\n> q");
        assert_eq!(finish(&field(Escape::DingTalkMarkdown, false), text), "### T\n\na  \n  b  \n- c  \n- d\n\n> q");
        assert_eq!(finish(&field(Escape::Markdown, false), text), "### T\n\na  \nb  \n- c  \n- d\n\n> q");
        assert_eq!(finish(&field(Escape::TeamsMarkdown, false), text), "### T\n\na\n\nb\n\n- c\n- d\n\n> q");
        let numbers = finish(&field(Escape::TeamsMarkdown, false), "1. a\n2. b\n10.0.0.1 is down\n10.0.0.2 is down\n1、登录\n2、执行");
        assert_eq!(numbers, "1. a\n2. b\n\n10.0.0.1 is down\n\n10.0.0.2 is down\n\n1、登录\n\n2、执行");
    }
}
