//! A first reading of a template before Handlebars sees it: finds the usual mistakes and says them in plain words at their exact place, and
//! refuses nesting that would overflow the parser's stack (which aborts the process and cannot be caught).

/// Longest template text in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// How deep blocks may nest; every `else if` of a chain counts.
pub const MAX_DEPTH: usize = 64;
/// How deep parentheses and brackets may nest inside one tag.
const MAX_BRACKETS: usize = 32;

/// How many blocks and how many unbalanced brackets a whole template may have. A second fence that does not depend on reading the tags as
/// Handlebars does: its parser needs more than a thousand levels to overflow a 2 MiB stack.
const MAX_BLOCKS: usize = 250;

/// What is wrong, at a byte offset.
#[derive(Debug, PartialEq, Eq)]
pub struct Flaw {
    pub at: usize,
    pub width: usize,
    pub message: String,
    pub label: String,
    pub notes: Vec<String>,
}

impl Flaw {
    fn new(at: usize, width: usize, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { at, width: width.max(1), message: message.into(), label: label.into(), notes: Vec::new() }
    }

    fn note(mut self, note: &str) -> Self {
        self.notes.push(note.to_owned());
        self
    }
}

struct Open<'a> {
    name: &'a str,
    at: usize,
    width: usize,
    levels: usize,
}

/// Reads a template's tags.
pub fn scan(source: &str) -> Result<(), Flaw> {
    if source.len() > MAX_BYTES {
        return Err(Flaw::new(0, 1, "the template is too long", format!("it has {} bytes; at most {MAX_BYTES} are read", source.len())));
    }
    check_nesting(source)?;
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut at = 0;
    while let Some(found) = source[at..].find("{{") {
        let start = at + found;
        let slashes = source[..start].bytes().rev().take_while(|b| *b == b'\\').count();
        if slashes == 1 {
            // `\{{` is the text `{{`.
            at = start + if source[start..].starts_with("{{{{") { 4 } else { 2 };
            continue;
        }
        let tail = &source[start..];
        if let Some(comment) = tail.strip_prefix("{{!") {
            let end = if comment.starts_with("--") { comment.find("--}}").map(|i| i + 4) } else { None };
            let end = end.or_else(|| comment.find("}}").map(|i| i + 2));
            at = start + 3 + end.ok_or_else(|| Flaw::new(start, 3, "a comment is never closed", "it begins here; end it with `}}`"))?;
        } else if tail.starts_with("{{{{") {
            at = start + raw_block(tail).ok_or_else(|| Flaw::new(start, 4, "a raw block is never closed", "it begins here"))?;
        } else {
            let (inner, end) = tag(tail).map_err(|flaw| Flaw { at: flaw.at + start, ..flaw })?;
            check_tag(inner, start, &source[start..start + end], &mut open)?;
            at = start + end;
        }
    }
    match open.pop() {
        Some(block) => Err(Flaw::new(
            block.at,
            block.width,
            format!("the block `{}` is never closed", block.name),
            format!("it begins here; close it with `{{{{/{}}}}}`", block.name),
        )),
        None => Ok(()),
    }
}

/// Counts what could nest, anywhere.
fn check_nesting(source: &str) -> Result<(), Flaw> {
    let blocks = ["{{#", "{{~#", "{{{{"].iter().map(|sign| source.matches(sign).count()).sum::<usize>();
    if blocks > MAX_BLOCKS {
        return Err(Flaw::new(0, 1, "the template has too many blocks", format!("it has {blocks}; at most {MAX_BLOCKS} are read")));
    }
    for (opening, closing) in [('(', ')'), ('[', ']'), ('{', '}')] {
        let mut depth = 0usize;
        for (at, c) in source.char_indices() {
            if c == opening {
                depth += 1;
            } else if c == closing {
                depth = depth.saturating_sub(1);
            }
            if depth > MAX_BLOCKS {
                return Err(Flaw::new(at, 1, "brackets are nested too deep", format!("more than {MAX_BLOCKS} `{opening}` are open here")));
            }
        }
    }
    Ok(())
}

/// Length of a raw block `{{{{raw}}}} ... {{{{/raw}}}}`.
fn raw_block(text: &str) -> Option<usize> {
    let head = text.find("}}}}")? + 4;
    let tail = head + text[head..].find("{{{{/")?;
    Some(tail + text[tail..].find("}}}}")? + 4)
}

/// The inside of a tag and its whole length.
fn tag(text: &str) -> Result<(&str, usize), Flaw> {
    let triple = text.starts_with("{{{");
    let (opening, closing) = if triple { ("{{{", "}}}") } else { ("{{", "}}") };
    let mut quote: Option<(char, usize)> = None;
    let mut depth = 0usize;
    let mut before = ' ';
    let mut chars = text[opening.len()..].char_indices();
    while let Some((i, c)) = chars.next() {
        let i = i + opening.len();
        let rest = &text[i..];
        match (quote, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some((mark, _)), c) if c == mark => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some((c, i)),
            // The odd name of `labels.[it's]` ends at its bracket, whatever is inside.
            (None, '[') if matches!(before, '.' | '/') => {
                let close = rest.find(']').ok_or_else(|| Flaw::new(i, 1, "a bracket is never closed", "close it with `]`"))?;
                while chars.as_str().len() > text.len() - i - close - 1 {
                    chars.next();
                }
            }
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            (None, '}') if rest.starts_with(closing) => return Ok((&text[opening.len()..i], i + closing.len())),
            (None, '}') if triple && rest.starts_with("}}") => {
                return Err(Flaw::new(0, 3, "a `{{{` is closed by `}}`", "close it with `}}}`, or open it with `{{`"));
            }
            (None, '{') if rest.starts_with("{{") => break,
            _ => {}
        }
        if depth > MAX_BRACKETS {
            return Err(Flaw::new(i, 1, "parentheses are nested too deep", format!("at most {MAX_BRACKETS} levels are read")));
        }
        before = c;
    }
    match quote {
        Some((mark, i)) => Err(Flaw::new(i, 1, "a quoted text is never closed", format!("it begins here; close it with `{mark}`"))),
        None => Err(Flaw::new(0, opening.len(), "a tag is never closed", format!("it begins here; close it with `{closing}`"))),
    }
}

/// Checks one tag and keeps the stack of open blocks.
fn check_tag<'a>(inner: &'a str, at: usize, whole: &str, open: &mut Vec<Open<'a>>) -> Result<(), Flaw> {
    let width = whole.chars().count();
    let text = inner.trim_matches('~').trim();
    let word = |text: &'a str| text.trim_start_matches(['*', '>']).split_whitespace().next().unwrap_or("");
    if text.is_empty() {
        return Err(Flaw::new(at, width, "an empty tag", "write the field or helper that should be here"));
    }
    let go_words = ["end", "range", "define", "template", "block"];
    let first = word(text);
    let go_field = text.starts_with('.') && text[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == ' ');
    if go_field
        || text.starts_with('$')
        || text.contains(":=")
        || go_words.contains(&first)
        || (matches!(first, "if" | "with" | "each") && text.len() > first.len())
    {
        let flaw = Flaw::new(at, width, "this is not Handlebars", "it reads like a Go template or lacks a `#`");
        return Err(flaw.note("fields: `{{labels.job}}`; blocks: `{{#if firing}}...{{else}}...{{/if}}`, `{{#each alerts}}...{{/each}}`"));
    }
    if let Some(name) = text.strip_prefix('#') {
        let name = word(name.trim_start());
        open.push(Open { name, at, width, levels: 1 });
    } else if let Some(name) = text.strip_prefix('/') {
        let name = name.trim();
        match open.pop() {
            None => return Err(Flaw::new(at, width, format!("`{{{{/{name}}}}}` closes nothing"), "no block is open here")),
            Some(block) if block.name != name && !name.is_empty() => {
                return Err(Flaw::new(
                    at,
                    width,
                    format!("`{{{{/{name}}}}}` closes the block `{}`", block.name),
                    "close the blocks in the order they were opened",
                ));
            }
            Some(_) => {}
        }
    } else if first == "else" || text.starts_with('^') {
        let Some(block) = open.last_mut() else {
            return Err(Flaw::new(at, width, "`{{else}}` is outside of any block", "it belongs between `{{#if ...}}` and `{{/if}}`"));
        };
        if text != "else" && text != "^" {
            block.levels += 1;
        }
    }
    let depth: usize = open.iter().map(|block| block.levels).sum();
    if depth > MAX_DEPTH {
        return Err(Flaw::new(at, width, "blocks are nested too deep", format!("at most {MAX_DEPTH} levels, each `else if` counted")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(source: &str) -> (usize, String) {
        let flaw = scan(source).expect_err(source);
        (flaw.at, flaw.message)
    }

    #[test]
    fn sound_templates_pass() {
        for source in [
            "",
            "plain }} text { {",
            "{{a}} {{{b}}} {{& c}} {{~a~}}",
            r"\{{not a tag {{a}}",
            "{{!-- {{#if}} --}}{{! x }}",
            "{{{{raw}}}} {{#if}} {{{{/raw}}}}",
            "{{#if (eq a \"}}\")}}x{{else if b}}y{{else}}z{{/if}}",
            "{{#each labels as |v k|}}{{k}}{{^}}none{{/each}}",
            "{{labels.[it's]}} {{lookup labels 'a\\'b'}}",
            "{{#*inline \"x\"}}a{{/inline}}{{#> x}}b{{/x}}",
        ] {
            assert_eq!(scan(source), Ok(()), "{source}");
        }
    }

    #[test]
    fn the_usual_mistakes_are_named_where_they_stand() {
        assert_eq!(flaw("ab {{#if x}}y"), (3, "the block `if` is never closed".into()));
        assert_eq!(flaw("{{#if x}}y{{/each}}"), (10, "`{{/each}}` closes the block `if`".into()));
        assert_eq!(flaw("y{{/if}}"), (1, "`{{/if}}` closes nothing".into()));
        assert_eq!(flaw("{{else}}"), (0, "`{{else}}` is outside of any block".into()));
        assert_eq!(flaw("告 {{a"), (4, "a tag is never closed".into()));
        assert_eq!(flaw("{{a {{b}}"), (0, "a tag is never closed".into()));
        assert_eq!(flaw("{{ }}"), (0, "an empty tag".into()));
        assert_eq!(flaw("{{{a}}"), (0, "a `{{{` is closed by `}}`".into()));
        assert_eq!(flaw("{{t \"since}}"), (4, "a quoted text is never closed".into()));
        assert_eq!(flaw("{{!-- x"), (0, "a comment is never closed".into()));
        for go in ["{{ .Labels.job }}", "{{ range .Alerts }}", "{{ end }}", "{{ $x }}", "{{if firing}}", "{{ $v := 1 }}"] {
            assert_eq!(flaw(go).1, "this is not Handlebars", "{go}");
        }
    }

    #[test]
    fn nothing_too_deep_reaches_the_parser() {
        let nested = |n: usize| format!("{}x{}", "{{#if a}}".repeat(n), "{{/if}}".repeat(n));
        assert_eq!(scan(&nested(MAX_DEPTH)), Ok(()));
        assert_eq!(flaw(&nested(MAX_DEPTH + 1)).1, "blocks are nested too deep");
        assert_eq!(flaw(&nested(MAX_BLOCKS + 1)).1, "the template has too many blocks");
        let chain = format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(2000));
        assert_eq!(flaw(&chain).1, "blocks are nested too deep");
        let parentheses = format!("{{{{#if {}a{}}}}}{{{{/if}}}}", "(not ".repeat(5000), ")".repeat(5000));
        assert_eq!(flaw(&parentheses).1, "brackets are nested too deep");
        let parentheses = format!("{{{{#if {}a{}}}}}{{{{/if}}}}", "(not ".repeat(40), ")".repeat(40));
        assert_eq!(flaw(&parentheses).1, "parentheses are nested too deep");
        // An odd name hides a quote from this reading but not from Handlebars.
        assert_eq!(flaw(&format!("{{{{[it's]}}}}{}{{{{a 'x}}}}", nested(2000))).1, "the template has too many blocks");
        assert_eq!(flaw(&"x".repeat(MAX_BYTES + 1)).1, "the template is too long");
    }
}
