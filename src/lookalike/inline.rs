//! Text with marks, links and tags to styled spans, by a platform's dialect. What a dialect does not know is shown as it is, as clients do.

use super::Reader;
use super::card::{Line, Span, Style};

/// Nesting beyond which marks are shown as characters.
const MAX_DEPTH: usize = 8;

/// Places at which the end of a mark is looked for: a text of marks without ends takes no longer than others.
const MAX_TRIES: usize = 50;

/// Bytes of a link's label; a longer one is shown as characters.
const MAX_LABEL: usize = 1000;

/// What a mark does to the text between two of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Bold.
    Bold,
    /// Italic.
    Italic,
    /// Underlined.
    Underline,
    /// Struck through.
    Strike,
}

/// What begins with `<`.
pub enum Tag<'t> {
    /// Text in between, read on in a further style.
    Around(Style, &'t str),
    /// A piece of its own.
    Piece(Span),
}

/// How a platform reads text.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// Marks around text, longer ones first.
    pub marks: &'static [(&'static str, Mark)],
    /// Whether a mark counts only between spaces and punctuation.
    pub words: bool,
    /// Back quotes make code.
    pub code: bool,
    /// `[label](url)` makes a link, `![text](url)` a picture's name.
    pub links: bool,
    /// A backslash takes the meaning from the character after it.
    pub backslash: bool,
    /// `&lt;` and its like are characters.
    pub entities: bool,
    /// Reads what begins with `<`: how many bytes of the text it is, and what it means.
    pub tag: for<'t> fn(&'t str, &Reader) -> Option<(usize, Tag<'t>)>,
    /// Lines of `#`, `>`, `-` and `---`.
    pub headings: bool,
    /// Lines that begin with `-# ` are small print.
    pub subtext: bool,
    /// Lines that begin with `>` are a quotation.
    pub quotes: bool,
    /// Lines that begin with `-` or a number are a list.
    pub lists: bool,
    /// A line break is one; otherwise it is a space unless two spaces are before it.
    pub breaks: bool,
}

impl Dialect {
    /// Text in which nothing has a meaning.
    pub const PLAIN: Dialect = Dialect {
        marks: &[],
        words: false,
        code: false,
        links: false,
        backslash: false,
        entities: false,
        tag: |_, _| None,
        headings: false,
        subtext: false,
        quotes: false,
        lists: false,
        breaks: true,
    };
}

/// One paragraph's text as spans.
pub fn inline(text: &str, dialect: &Dialect, reader: &Reader) -> Line {
    let mut scan = Scan { dialect, reader, out: Vec::new() };
    scan.run(text, &Style::default(), 0);
    scan.out
}

struct Scan<'d> {
    dialect: &'d Dialect,
    reader: &'d Reader,
    out: Line,
}

impl Scan<'_> {
    fn push(&mut self, text: &str, style: &Style) {
        match self.out.last_mut().filter(|last| last.style == *style) {
            Some(last) => last.text.push_str(text),
            None => self.out.push(Span { text: text.to_owned(), style: style.clone() }),
        }
    }

    fn run(&mut self, text: &str, style: &Style, depth: usize) {
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let before = text[..at].chars().next_back();
            at += match depth < MAX_DEPTH {
                true => self.piece(rest, before, style, depth),
                false => None,
            }
            .unwrap_or_else(|| {
                let c = rest.chars().next().unwrap_or_default();
                self.push(c.encode_utf8(&mut [0; 4]), style);
                c.len_utf8()
            });
        }
    }

    /// What has a meaning at the beginning of `rest`; its length.
    fn piece(&mut self, rest: &str, before: Option<char>, style: &Style, depth: usize) -> Option<usize> {
        let dialect = self.dialect;
        match rest.as_bytes()[0] {
            b'\\' if dialect.backslash => {
                let next = rest[1..].chars().next().filter(char::is_ascii_punctuation)?;
                self.push(next.encode_utf8(&mut [0; 4]), style);
                return Some(2);
            }
            b'&' if dialect.entities => {
                let (len, c) = entity(rest)?;
                self.push(c.encode_utf8(&mut [0; 4]), style);
                return Some(len);
            }
            b'`' if dialect.code => {
                let end = rest[1..].find('`').filter(|end| *end > 0 && !rest[1..=*end].contains('\n'))?;
                let code = if dialect.entities { decode(&rest[1..=end]) } else { rest[1..=end].to_owned() };
                self.push(&code, &Style { code: true, ..style.clone() });
                return Some(end + 2);
            }
            b'<' => {
                let (len, tag) = (dialect.tag)(rest, self.reader)?;
                match tag {
                    Tag::Around(more, inner) => self.run(inner, &joined(style, more), depth + 1),
                    Tag::Piece(piece) => self.push(&piece.text, &joined(style, piece.style)),
                }
                return Some(len);
            }
            b'!' | b'[' if dialect.links => return self.link(rest, style, depth),
            _ => {}
        }
        let (mark, meaning) = dialect.marks.iter().find(|(mark, _)| rest.starts_with(mark))?;
        let inner = between(rest, mark, before, dialect.words || mark.starts_with('_'))?;
        let mut more = style.clone();
        match meaning {
            Mark::Bold => more.bold = true,
            Mark::Italic => more.italic = true,
            Mark::Underline => more.underline = true,
            Mark::Strike => more.strike = true,
        }
        self.run(inner, &more, depth + 1);
        Some(inner.len() + 2 * mark.len())
    }

    fn link(&mut self, rest: &str, style: &Style, depth: usize) -> Option<usize> {
        let picture = usize::from(rest.starts_with('!'));
        let open = rest[picture..].strip_prefix('[')?;
        let middle = beginning(open).find("](").filter(|end| !open[..*end].contains('\n'))?;
        let address = &open[middle + 2..];
        let end = address.find(')').filter(|end| !address[..*end].contains(char::is_whitespace))?;
        if picture == 1 {
            self.push(&format!("🖼 {}", &open[..middle]), style);
        } else {
            let url = if self.dialect.entities { decode(&address[..end]) } else { address[..end].to_owned() };
            self.run(&open[..middle], &Style { link: Some(url), ..style.clone() }, depth + 1);
        }
        Some(picture + 1 + middle + 2 + end + 1)
    }
}

fn joined(style: &Style, more: Style) -> Style {
    Style {
        bold: style.bold || more.bold,
        italic: style.italic || more.italic,
        underline: style.underline || more.underline,
        strike: style.strike || more.strike,
        code: style.code || more.code,
        mention: style.mention || more.mention,
        tint: more.tint.or(style.tint),
        link: more.link.or_else(|| style.link.clone()),
    }
}

/// As much of a text as a link's label may have.
fn beginning(text: &str) -> &str {
    let end = (0..=MAX_LABEL.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// The text between a mark at the beginning and the next one of its kind, where both are at the edge of it.
fn between<'t>(rest: &'t str, mark: &str, before: Option<char>, words: bool) -> Option<&'t str> {
    if words && before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let open = &rest[mark.len()..];
    if open.starts_with(char::is_whitespace) || open.starts_with(mark) {
        return None;
    }
    let line = &open[..open.find('\n').unwrap_or(open.len())];
    let closes = |end: &usize| {
        let after = line[end + mark.len()..].chars().next();
        let edge = !line[..*end].ends_with(|c: char| c.is_whitespace() || c == '\\');
        edge && *end > 0 && !(words && after.is_some_and(char::is_alphanumeric))
    };
    line.match_indices(mark).map(|(end, _)| end).take(MAX_TRIES).find(closes).map(|end| &line[..end])
}

/// The character that an entity at the beginning means, and the entity's length.
fn entity(text: &str) -> Option<(usize, char)> {
    let end = text.as_bytes().iter().take(10).position(|byte| *byte == b';')?;
    let c = match &text[1..end] {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "sim" => '∼',
        name => {
            let number = name.strip_prefix('#')?;
            let code = number.strip_prefix(['x', 'X']).map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())?;
            char::from_u32(code)?
        }
    };
    Some((end + 1, c))
}

/// A text with its entities as characters.
pub fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (len, c) = entity(&rest[at..]).unwrap_or((1, '&'));
        out.push(c);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    out
}
