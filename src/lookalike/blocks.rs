//! Lines of text to blocks: headings, quotations, lists, code and paragraphs, by a platform's dialect.

use super::Reader;
use super::card::{Block, Line, Span};
use super::inline::{Dialect, inline};

/// Quotations within quotations that are read as such.
const MAX_DEPTH: usize = 4;

/// A text's blocks.
pub fn blocks(text: &str, dialect: &Dialect, reader: &Reader) -> Vec<Block> {
    read(text, dialect, reader, 0)
}

fn read(text: &str, dialect: &Dialect, reader: &Reader, depth: usize) -> Vec<Block> {
    let mut out = Out { blocks: Vec::new(), paragraph: String::new(), dialect, reader };
    let mut lines = text.trim_end().lines().peekable();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            out.end();
            if !matches!(out.blocks.last(), None | Some(Block::Gap)) {
                out.blocks.push(Block::Gap);
            }
        } else if dialect.code && trimmed.starts_with("```") {
            out.end();
            let code: Vec<&str> = lines.by_ref().take_while(|line| !line.trim().starts_with("```")).collect();
            let first = trimmed.trim_matches('`').trim();
            out.blocks.push(Block::Code(if first.is_empty() { code.join("\n") } else { format!("{first}\n{}", code.join("\n")) }));
        } else if let Some((level, words)) = dialect.headings.then(|| heading(line)).flatten() {
            out.end();
            out.blocks.push(Block::Heading(level, inline(words, dialect, reader)));
        } else if let Some(words) = line.strip_prefix("-# ").filter(|_| dialect.subtext) {
            out.end();
            out.blocks.push(Block::Small(inline(words, dialect, reader)));
        } else if dialect.headings && trimmed.len() >= 3 && (trimmed.chars().all(|c| c == '-') || trimmed.chars().all(|c| c == '*')) {
            out.end();
            out.blocks.push(Block::Rule);
        } else if let Some(first) = dialect.quotes.then(|| quoted(line)).flatten() {
            out.end();
            let mut quote = vec![first];
            while let Some(next) = lines.peek().copied().and_then(quoted) {
                quote.push(next);
                lines.next();
            }
            let inner = quote.join("\n");
            out.blocks.push(Block::Quote(match depth < MAX_DEPTH {
                true => read(&inner, dialect, reader, depth + 1),
                false => Block::text(&inner).into_iter().collect(),
            }));
        } else if let Some((number, words)) = dialect.lists.then(|| item(line)).flatten() {
            out.end();
            let item = (number, inline(words, dialect, reader));
            match out.blocks.last_mut() {
                Some(Block::List(items)) => items.push(item),
                _ => out.blocks.push(Block::List(vec![item])),
            }
        } else {
            out.add(line);
        }
    }
    out.end();
    while matches!(out.blocks.last(), Some(Block::Gap)) {
        out.blocks.pop();
    }
    out.blocks
}

struct Out<'d> {
    blocks: Vec<Block>,
    paragraph: String,
    dialect: &'d Dialect,
    reader: &'d Reader,
}

impl Out<'_> {
    fn add(&mut self, line: &str) {
        if !self.paragraph.is_empty() {
            let broken = self.dialect.breaks || self.paragraph.ends_with("  ");
            let kept = self.paragraph.trim_end().len();
            self.paragraph.truncate(kept);
            self.paragraph.push(if broken { '\n' } else { ' ' });
        }
        self.paragraph.push_str(if self.dialect.breaks { line } else { line.trim_start() });
    }

    fn end(&mut self) {
        let text = std::mem::take(&mut self.paragraph);
        if !text.is_empty() {
            self.blocks.push(Block::Text(inline(text.trim_end(), self.dialect, self.reader)));
        }
    }
}

fn heading(line: &str) -> Option<(u8, &str)> {
    let level = line.trim_start().bytes().take_while(|byte| *byte == b'#').count();
    let words = line.trim_start()[level..].strip_prefix(' ')?;
    (1..=6).contains(&level).then(|| (u8::try_from(level).unwrap_or(6), words.trim()))
}

fn quoted(line: &str) -> Option<&str> {
    // Slack reads the escaped sign, too.
    let inner = line.trim_start();
    inner.strip_prefix('>').or_else(|| inner.strip_prefix("&gt;")).map(|inner| inner.strip_prefix(' ').unwrap_or(inner))
}

fn item(line: &str) -> Option<(Option<String>, &str)> {
    let line = line.trim();
    if let Some(words) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        return Some((None, words));
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let words = line[digits..].strip_prefix(". ").filter(|_| (1..=3).contains(&digits))?;
    Some((Some(line[..digits].to_owned()), words))
}

/// Plain text.
pub fn plain(text: &str) -> Line {
    vec![Span::plain(text.trim())]
}
