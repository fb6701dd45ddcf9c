//! One pass over a Go pattern that writes the same pattern for the `regex` crate, or says where Go would refuse it.
//! Captures become plain groups and laziness is dropped: only whether the whole text matches is ever asked.

use super::class::{self, NOTHING};
use super::escape;
use super::{MAX_LENGTH, PatternError};

/// How deep groups and repetitions may nest. Go stops at 1000; this many are safe on a small stack.
const MAX_DEPTH: u32 = 150;

/// What the `regex` crate must allow for [`MAX_DEPTH`]: each level may be a repetition of a group with alternatives of sequences.
pub(super) const NEST_LIMIT: u32 = MAX_DEPTH * 5;

/// The most that one repetition, or nested ones multiplied, may ask for; Go's own limit.
const MAX_REPEAT: u32 = 1000;

#[derive(Clone, Copy, Default)]
struct Flags {
    fold: bool,
    multi_line: bool,
    dot_all: bool,
}

/// What a repetition operator would apply to.
#[derive(Clone, Copy)]
struct Atom {
    start: usize,
    repeated: bool,
    /// Product of the nested repetition counts, largest path.
    weight: u32,
    depth: u32,
}

/// An open group, or the whole pattern.
struct Group {
    /// Where it opens in the pattern.
    open: usize,
    /// Where it starts in the output.
    start: usize,
    /// The flags outside.
    outside: Flags,
    atom: Option<Atom>,
    weight: u32,
    depth: u32,
}

struct Translator<'a> {
    chars: &'a [char],
    at: usize,
    out: String,
    flags: Flags,
    groups: Vec<Group>,
    current: Group,
}

/// Translates a pattern; the result is not anchored.
pub(super) fn translate(pattern: &str) -> Result<String, PatternError> {
    let chars: Vec<char> = pattern.chars().take(MAX_LENGTH + 1).collect();
    if chars.len() > MAX_LENGTH {
        return Err(PatternError::new(MAX_LENGTH, "the regular expression is too long", format!("use at most {MAX_LENGTH} characters")));
    }
    let current = Group { open: 0, start: 0, outside: Flags::default(), atom: None, weight: 1, depth: 0 };
    let mut translator =
        Translator { chars: &chars, at: 0, out: String::with_capacity(pattern.len() + 16), flags: Flags::default(), groups: Vec::new(), current };
    translator.run()?;
    Ok(translator.out)
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), PatternError> {
        let mut after_repeat = false;
        while let Some(&c) = self.chars.get(self.at) {
            let mut is_repeat = false;
            match c {
                '(' => self.open_group()?,
                ')' => self.close_group()?,
                '|' => {
                    self.settle();
                    self.out.push('|');
                    self.at += 1;
                }
                '^' => self.assertion(if self.flags.multi_line { "(?m:^)" } else { r"\A" }, 1),
                '$' => self.assertion(if self.flags.multi_line { "(?m:$)" } else { r"\z" }, 1),
                '.' => self.assertion(if self.flags.dot_all { "(?s:.)" } else { r"[^\n]" }, 1),
                '[' => {
                    let (class, next) = class::bracketed(self.chars, self.at)?;
                    self.class(&class);
                    self.at = next;
                }
                '*' | '+' | '?' => {
                    self.repeat(&c.to_string(), 1, self.at + 1, after_repeat)?;
                    is_repeat = true;
                }
                '{' => match self.counts()? {
                    None => {
                        self.literal('{');
                        self.at += 1;
                    }
                    Some((operator, weight, next)) => {
                        self.repeat(&operator, weight, next, after_repeat)?;
                        is_repeat = true;
                    }
                },
                '\\' => self.escape()?,
                _ => {
                    self.literal(c);
                    self.at += 1;
                }
            }
            after_repeat = is_repeat;
        }
        if !self.groups.is_empty() {
            return Err(PatternError::new(self.current.open, "`(` has no closing `)`", "close it, or write `\\(` for the character"));
        }
        Ok(())
    }

    /// Ends the atom before the cursor: nothing can repeat it any more.
    fn settle(&mut self) {
        if let Some(atom) = self.current.atom.take() {
            self.current.weight = self.current.weight.max(atom.weight);
            self.current.depth = self.current.depth.max(atom.depth);
        }
    }

    fn begin(&mut self) {
        self.settle();
        self.current.atom = Some(Atom { start: self.out.len(), repeated: false, weight: 1, depth: 0 });
    }

    fn assertion(&mut self, text: &str, length: usize) {
        self.begin();
        self.out.push_str(text);
        self.at += length;
    }

    fn class(&mut self, class: &str) {
        self.begin();
        self.folded(|out| out.push_str(class));
    }

    fn literal(&mut self, c: char) {
        self.begin();
        let folds = self.flags.fold && (c.is_alphabetic() || !c.is_ascii());
        let write = |out: &mut String| {
            if c.is_ascii_alphanumeric() || !c.is_ascii() { out.push(c) } else { out.push_str(&format!(r"\x{:02X}", u32::from(c))) }
        };
        if folds { self.folded(write) } else { write(&mut self.out) }
    }

    fn folded(&mut self, write: impl FnOnce(&mut String)) {
        if self.flags.fold {
            self.out.push_str("(?i:");
        }
        write(&mut self.out);
        if self.flags.fold {
            self.out.push(')');
        }
    }

    fn open_group(&mut self) -> Result<(), PatternError> {
        let open = self.at;
        let outside = self.flags;
        let mut next = open + 1;
        if self.chars.get(next) == Some(&'?') {
            let rest = &self.chars[open + 2..];
            let name_at = match rest {
                ['P', '<', ..] => Some(open + 4),
                ['<', ..] => Some(open + 3),
                _ => None,
            };
            if let Some(name_at) = name_at {
                next = self.group_name(open, name_at)?;
            } else {
                let (flags, end, opens) = self.group_flags(open)?;
                self.flags = flags;
                if !opens {
                    self.at = end;
                    return Ok(());
                }
                next = end;
            }
        }
        if self.groups.len() as u32 >= MAX_DEPTH {
            return Err(self.too_deep(open));
        }
        self.settle();
        let group = Group { open, start: self.out.len(), outside, atom: None, weight: 1, depth: 0 };
        self.out.push_str("(?:");
        self.groups.push(std::mem::replace(&mut self.current, group));
        self.at = next;
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), PatternError> {
        self.settle();
        let Some(parent) = self.groups.pop() else {
            return Err(PatternError::new(
                self.at,
                "`)` closes nothing",
                "put the whole alternative in one pair, like `(a|b)`, or write `\\)`; Alertmanager takes `a)|(b` only by accident of how it anchors",
            ));
        };
        let group = std::mem::replace(&mut self.current, parent);
        self.out.push(')');
        self.flags = group.outside;
        self.current.atom = Some(Atom { start: group.start, repeated: false, weight: group.weight, depth: group.depth + 1 });
        self.at += 1;
        Ok(())
    }

    /// Reads the name of `(?P<name>` or `(?<name>`; returns the offset after the `>`.
    fn group_name(&self, open: usize, start: usize) -> Result<usize, PatternError> {
        let length = self.chars[start..].iter().position(|c| *c == '>').unwrap_or(0);
        if length == 0 || !self.chars[start..start + length].iter().all(|c| c.is_ascii_alphanumeric() || *c == '_') {
            return Err(PatternError::new(
                open,
                "this group has no proper name",
                "write it like `(?P<name>...)` with letters, digits and `_`; looking behind (`(?<=`, `(?<!`) does not exist in Go's expressions",
            ));
        }
        Ok(start + length + 1)
    }

    /// Reads `(?flags)` or `(?flags:`; returns the flags, the offset after it, and whether a group opens.
    fn group_flags(&self, open: usize) -> Result<(Flags, usize, bool), PatternError> {
        let mut flags = self.flags;
        let (mut on, mut seen) = (true, false);
        let mut at = open + 2;
        loop {
            match self.chars.get(at) {
                Some('i') => flags.fold = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_all = on,
                // Turns laziness round, which does not change what matches as a whole.
                Some('U') => {}
                Some('-') if on => {
                    on = false;
                    seen = false;
                    at += 1;
                    continue;
                }
                Some(c @ (':' | ')')) if on || seen => return Ok((flags, at + 1, *c == ':')),
                _ => {
                    return Err(PatternError::new(
                        open,
                        "Go's expressions have no such `(?...`",
                        "`(?i)`, `(?s)`, `(?m)`, `(?U)`, `(?:...)` and `(?P<name>...)` exist; looking ahead or behind does not",
                    ));
                }
            }
            seen = true;
            at += 1;
        }
    }

    /// Reads `{n}`, `{n,}` or `{n,m}` at the cursor: the operator to write, the count that nesting multiplies, the offset after it.
    /// `None` when the brace is literal.
    fn counts(&self) -> Result<Option<(String, u32, usize)>, PatternError> {
        let Some((min, mut at)) = self.number(self.at + 1) else { return Ok(None) };
        let mut max = Some(min);
        if self.chars.get(at) == Some(&',') {
            at += 1;
            if self.chars.get(at) == Some(&'}') {
                max = None;
            } else {
                let Some((number, next)) = self.number(at) else { return Ok(None) };
                max = Some(number);
                at = next;
            }
        }
        if self.chars.get(at) != Some(&'}') {
            return Ok(None);
        }
        if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || max < min) {
            return Err(PatternError::new(
                self.at,
                "this repetition count is out of range",
                format!("counts go up to {MAX_REPEAT}, the smaller one first"),
            ));
        }
        let operator = match max {
            None => format!("{{{min},}}"),
            Some(max) => format!("{{{min},{max}}}"),
        };
        Ok(Some((operator, max.unwrap_or(min).max(1), at + 1)))
    }

    /// Reads a decimal number without leading zeros; numbers beyond any limit are cut to a large one.
    fn number(&self, start: usize) -> Option<(u32, usize)> {
        let digit = |i: usize| self.chars.get(i).and_then(|c| c.to_digit(10));
        let mut value = digit(start)?;
        let mut at = start + 1;
        if value == 0 && digit(at).is_some() {
            return None;
        }
        while let Some(d) = digit(at) {
            value = (value * 10 + d).min(1_000_000);
            at += 1;
        }
        Some((value, at))
    }

    fn repeat(&mut self, operator: &str, weight: u32, mut next: usize, after_repeat: bool) -> Result<(), PatternError> {
        let start = self.at;
        if self.chars.get(next) == Some(&'?') {
            next += 1;
        }
        if after_repeat {
            return Err(PatternError::new(start, "a repetition follows a repetition", "put the first one in a group, like `(?:a*)*`"));
        }
        let Some(mut atom) = self.current.atom else {
            return Err(PatternError::new(
                start,
                "there is nothing here to repeat",
                "put a character before it, or write it as `\\*`, `\\+`, `\\?`, `\\{`",
            ));
        };
        atom.weight = atom.weight.saturating_mul(weight);
        if weight >= 2 && atom.weight > MAX_REPEAT {
            return Err(PatternError::new(
                start,
                "nested repetitions multiply to more than Go allows",
                format!("keep the product of their counts within {MAX_REPEAT}"),
            ));
        }
        if atom.repeated {
            self.out.insert_str(atom.start, "(?:");
            self.out.push(')');
        }
        atom.depth += 1;
        if atom.depth > MAX_DEPTH {
            return Err(self.too_deep(start));
        }
        self.out.push_str(operator);
        atom.repeated = true;
        self.current.atom = Some(atom);
        self.at = next;
        Ok(())
    }

    fn too_deep(&self, at: usize) -> PatternError {
        PatternError::new(at, format!("groups and repetitions nest more than {MAX_DEPTH} deep"), "write it flatter")
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        match self.chars.get(self.at + 1) {
            Some('A') => self.assertion(r"\A", 2),
            Some('z') => self.assertion(r"\z", 2),
            Some('b') => self.assertion(r"(?-u:\b)", 2),
            Some('B') => self.assertion(r"(?-u:\B)", 2),
            Some('C') => {
                return Err(PatternError::new(self.at, "`\\C` (any byte) does not exist in Go's expressions", "use `(?s:.)` for any character"));
            }
            Some('Q') => self.quoted()?,
            _ => {
                if let Some((class, next)) = class::group(self.chars, self.at)? {
                    self.class(&class);
                    self.at = next;
                } else {
                    let (code, next) = escape::single(self.chars, self.at)?;
                    match char::from_u32(code) {
                        Some(c) => self.literal(c),
                        // A surrogate: no text holds one.
                        None => self.class(NOTHING),
                    }
                    self.at = next;
                }
            }
        }
        Ok(())
    }

    /// `\Q...\E`: everything between is literal.
    fn quoted(&mut self) -> Result<(), PatternError> {
        let start = self.at + 2;
        let Some(length) = self.chars[start..].windows(2).position(|pair| pair == ['\\', 'E']) else {
            return Err(PatternError::new(
                self.at,
                "`\\Q` has no closing `\\E`",
                "close it: Alertmanager adds its own anchor after the expression, which the quote would swallow",
            ));
        };
        for i in start..start + length {
            self.literal(self.chars[i]);
        }
        self.at = start + length + 2;
        Ok(())
    }
}
