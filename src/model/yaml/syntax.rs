//! The parser's complaints about broken YAML, in words a person can act on.

use crate::model::Span;

/// Message and advice for a parser's complaint. `line` is the source line it points at, to recognise the usual causes.
pub fn explain(info: &str, line: &str) -> (String, String) {
    // First, for `unprintable` has a `tab` in it.
    let (message, advice): (&str, &str) = if info.contains("unprintable") || info.contains("byte order mark") {
        ("an invisible control character", "remove it; a file full of them is UTF-16: save it as UTF-8")
    } else if info.contains("tab") {
        ("a tab where YAML wants spaces", "indent with spaces; YAML does not allow tabs here")
    } else if info.contains("mapping values are not allowed") || info.contains("illegal placement of ':'") {
        ("a `:` where no key can be", "quote the value if it contains `: `, or check the indentation of this line")
    } else if info.contains("unexpected end of stream") || info.contains("unexpected eof") {
        ("a quote is opened and never closed", "close the quote")
    } else if info.contains("flow sequence") {
        ("a `[` list is not closed properly", "separate its items with `,` and close it with `]`")
    } else if info.contains("flow mapping") {
        ("a `{` mapping is not closed properly", "separate its entries with `,` and close it with `}`")
    } else if info.contains("invalid indentation") || info.contains("wrongly indented") {
        ("the indentation does not fit", "line this up with its neighbours")
    } else if info.contains("simple key") {
        ("a key without a `:`", "write `key: value`; also check the indentation of this line")
    } else if info.contains("did not find expected key") || info.contains("'-' indicator") || info.contains("expected <document start>") {
        ("this line does not belong to the lines above it", "check its indentation, and that the lines above are complete")
    } else if info.contains("unknown anchor") {
        ("`*name` refers to an anchor that does not exist", "define `&name` above it, or quote the value if the star is meant as a character")
    } else if info.contains("anchor or alias") {
        ("`*` and `&` have a meaning of their own in YAML", "quote the value: \"*...\"")
    } else if info.contains("unknown escape") {
        ("an unknown escape in a double-quoted text", "write the text in single quotes: they have no escapes")
    } else if info.contains("hexadecimal") || info.contains("Unicode character escape") {
        ("a broken escape in a double-quoted text", "write the text in single quotes: they have no escapes")
    } else if info.contains("trailing content after double-quoted") || info.contains("invalid trailing content") {
        ("something follows a closing quote", "quote the whole value, or double the quote inside it")
    } else if info.contains("unexpected character") && line.trim_start().starts_with('@') || info.contains("unexpected character: `@'") {
        ("a value cannot begin with `@`", "quote it: \"@all\"")
    } else if info.contains("unexpected character: `%'") {
        ("a value cannot begin with `%`", "quote it")
    } else if info.contains("unexpected character: ``'") {
        ("a value cannot begin with a back quote", "quote it with ' or \"")
    } else if info.contains("block sequence entries are not allowed") || info.contains("only valid inside a block") {
        ("a `-` where no list can be", "put the list on lines of its own, indented below its key")
    } else if info.contains("directive") {
        ("a YAML directive (`%...`) that cannot be understood", "remove it, or quote the value if the `%` is meant as a character")
    } else if info.contains("recursion limit") {
        ("mappings and lists are nested too deeply", "nest less")
    } else if info.contains("block scalar") {
        ("the block text after `|` or `>` is not laid out properly", "indent all its lines alike, with spaces, below its key")
    } else {
        return ("this is not valid YAML".into(), info.to_owned());
    };
    (message.to_owned(), advice.to_owned())
}

/// The cause on a line above the parser's complaint at `line`, from 1: a `#` without quotes within `{ ... }` or `[ ... ]`, which makes a comment of the
/// rest of its line. What is lost may be a secret, so it is not quoted.
pub fn cut_off(lines: &[&str], line: usize) -> Option<(Span, (String, String))> {
    let suspects = [Some(line - 1), says_something_above(lines, line)].into_iter().flatten();
    suspects.filter_map(|at| Some((at, comment_in_flow(lines.get(at)?)?))).next().map(|(at, (column, open, width))| {
        let message = format!("YAML takes what begins with this `#` for a comment, so the `{open}` before it is never closed");
        (Span { line: at + 1, column: column + 1, width }, (message, "quote the value: \"#...\"".to_owned()))
    })
}

/// The cause on the line above the parser's complaint at `line`, from 1: a bracket that is left open, although the next key begins there or the text ends.
/// A line that ends with a comma or a bracket goes on where another one follows, and a `}` or `]` closes what several lines hold.
pub fn left_open(lines: &[&str], line: usize) -> Option<(Span, (String, String))> {
    let above = says_something_above(lines, line)?;
    let opener = *lines.get(above)?;
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let goes_on = opener.trim_end().ends_with([',', '{', '[']);
    let is_left = lines.get(line - 1).is_none_or(|next| !goes_on && indent(next) <= indent(opener) && !next.trim_start().starts_with(['}', ']']));
    let (column, open) = open_brackets(&structure(opener)?).pop().filter(|_| is_left)?;
    let span = Span { line: above + 1, column: column + 1, width: 1 };
    Some((span, (format!("this `{open}` is never closed"), format!("close it with `{}`", closing(open)))))
}

/// The line before `line` (from 1) that is no comment and not empty, from 0.
fn says_something_above(lines: &[&str], line: usize) -> Option<usize> {
    lines.iter().take(line - 1).rposition(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

/// A `#` that YAML takes for a comment while a bracket of its line is open, and that was not meant as one: no blank follows it, and brackets end the
/// line. Its column from 0, the bracket, and how many characters are lost.
fn comment_in_flow(line: &str) -> Option<(usize, char, usize)> {
    let found = structure(line)?;
    let (column, at, _) = *found.last().filter(|(_, _, c)| *c == '#')?;
    let lost = line[at..].trim_end();
    let meant = !lost[1..].starts_with(char::is_whitespace) && lost.ends_with(['}', ']']);
    open_brackets(&found).pop().filter(|_| meant).map(|(_, bracket)| (column, bracket, lost.chars().count()))
}

/// The brackets of a line outside its quotes, and the `#` that makes a comment of the rest: column from 0, place in the text, character. `None` when a
/// quote goes on in the next line.
fn structure(line: &str) -> Option<Vec<(usize, usize, char)>> {
    let (mut out, mut quote, mut last, mut after_blank) = (Vec::new(), None, ' ', true);
    for (column, (at, c)) in line.char_indices().enumerate() {
        // Elsewhere a quote or an opening bracket is a character like any other.
        let value_begins = " {[,:-".contains(last);
        match (quote, c) {
            (Some(end), _) => quote = Some(end).filter(|end| *end != c),
            (None, '"' | '\'') if value_begins => quote = Some(c),
            (None, '{' | '[') if value_begins => out.push((column, at, c)),
            (None, '}' | ']') => out.push((column, at, c)),
            (None, '#') if after_blank => {
                out.push((column, at, c));
                return Some(out);
            }
            (None, _) => {}
        }
        after_blank = c.is_whitespace();
        if !after_blank {
            last = c;
        }
    }
    quote.is_none().then_some(out)
}

/// The brackets that are still open at the end of a line, the innermost last: column from 0, character.
fn open_brackets(found: &[(usize, usize, char)]) -> Vec<(usize, char)> {
    let mut open: Vec<(usize, char)> = Vec::new();
    for (column, _, c) in found {
        match c {
            '{' | '[' => open.push((*column, *c)),
            '}' | ']' => drop(open.pop_if(|(_, bracket)| closing(*bracket) == *c)),
            _ => {}
        }
    }
    open
}

fn closing(bracket: char) -> char {
    if bracket == '{' { '}' } else { ']' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_quote_is_found_above_the_complaint() {
        let found = |text: &str, line| {
            let lines: Vec<&str> = text.lines().collect();
            cut_off(&lines, line).map(|(span, (message, _))| (span.line, span.column, span.width, message.contains("`{`")))
        };
        assert_eq!(found("a:\n  s: { t: x, c: #ops }\n\n# more\nroute: {}", 5), Some((2, 17, 6, true)));
        assert_eq!(found("a: { to: [#ops, 磁盘] }\nb: 1", 2), None, "a `#` behind a bracket begins no comment");
        assert_eq!(found("a: { to: [ #ops ] }\nb: 1", 2), Some((1, 12, 8, false)));
        for sound in ["a: { b: \"x #y }\", c: '#z }' }", "a: { b: 1, # of c }", "a: it's #ops }", "a: { b: 1 } #ops }", "a: { b: 1, #c"] {
            assert_eq!(found(&format!("{sound}\nb: 1"), 2), None, "{sound}");
        }
    }

    #[test]
    fn a_bracket_that_is_left_open_is_found_above_the_complaint() {
        let found = |text: &str, line| {
            let lines: Vec<&str> = text.lines().collect();
            left_open(&lines, line).map(|(span, (message, advice))| (span.line, span.column, message, advice))
        };
        let this = |line, column, open: char, close: char| {
            Some((line, column, format!("this `{open}` is never closed"), format!("close it with `{close}`")))
        };
        assert_eq!(found("a: {log: {}\n\n# more\nroute: {}", 4), this(1, 4, '{', '}'));
        assert_eq!(found("r:\n  to: [a\n  routes:\n", 3), this(2, 7, '[', ']'));
        assert_eq!(found("a: { b: [1, \"]\" }\n", 2), this(1, 9, '[', ']'));
        assert_eq!(found("a: { b: [1, \"]\"\n", 2), this(1, 9, '[', ']'), "the text ends");
        assert_eq!(found("a: 1\nb: [\n", 3), this(2, 4, '[', ']'), "nothing follows");
        for (sound, line) in [
            ("a: {\n  b: c: d }", 2),
            ("a: [x,\ny: z]", 2),
            ("a: { b: 1\n}x", 2),
            ("a: { b: 1\n  c: 2 }", 2),
            ("a: { b: \"open }\nb: 1", 2),
            ("a: http://x/{y\nb: c: d", 2),
            ("a: 1 # {\nb: c: d", 2),
        ] {
            assert_eq!(found(sound, line), None, "{sound}");
        }
    }
}
