//! The classic matcher grammar: ASCII names, values bare or double-quoted with three escapes, and tolerant of nearly everything else.
//! Knows nothing of the UTF-8 grammar.

use super::{Matcher, MatcherError, Op, Raw};

type Placed = (char, usize);

/// Reads a list of matchers.
pub(super) fn parse(chars: &[char]) -> Result<Vec<Matcher>, MatcherError> {
    let mut placed: Vec<Placed> = chars.iter().copied().zip(0..).collect();
    if placed.last().is_some_and(|(c, _)| *c == '}') {
        placed.pop();
    }
    let placed = match placed.split_first() {
        Some((('{', _), rest)) => rest,
        _ => &placed[..],
    };
    split(placed).into_iter().map(|(item, end)| matcher(item, end)?.compile()).collect()
}

/// Splits at commas outside quotes; each item comes with the place that ends it.
/// The last item is dropped when it is blank; a blank one elsewhere is an error later.
fn split(placed: &[Placed]) -> Vec<(&[Placed], usize)> {
    let mut items = Vec::new();
    let mut start = 0;
    let (mut quoted, mut escaped) = (false, false);
    for (i, (c, at)) in placed.iter().enumerate() {
        match c {
            // A comma leaves a pending escape pending; odd, and what Alertmanager does.
            ',' => {
                if !quoted {
                    items.push((&placed[start..i], *at));
                    start = i + 1;
                }
            }
            '"' if escaped => escaped = false,
            '"' => quoted = !quoted,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    let last = trim(&placed[start..], char::is_whitespace);
    if let Some((_, at)) = last.last() {
        items.push((last, at + 1));
    }
    items
}

fn trim(mut item: &[Placed], blank: impl Fn(char) -> bool) -> &[Placed] {
    while let [(c, _), rest @ ..] = item
        && blank(*c)
    {
        item = rest;
    }
    while let [rest @ .., (c, _)] = item
        && blank(*c)
    {
        item = rest;
    }
    item
}

/// White space as `\s` knows it in Go.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0C' | '\r')
}

fn matcher(item: &[Placed], end: usize) -> Result<Raw, MatcherError> {
    let body = trim(item, is_blank);
    let at = body.first().map_or(end, |(_, at)| *at);
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let name_length = body.iter().take_while(|(c, _)| starts(*c) || c.is_ascii_digit()).count();
    if name_length == 0 || !starts(body[0].0) {
        return Err(MatcherError::new(at, "a label name must be here", "write a matcher such as `team=\"ops\"`"));
    }
    let name = body[..name_length].iter().map(|(c, _)| c).collect();
    let rest = trim(&body[name_length..], is_blank);
    let (op, length) = match rest {
        [('=', _), ('~', _), ..] => (Op::Regex, 2),
        [('=', _), ..] => (Op::Equal, 1),
        [('!', _), ('=', _), ..] => (Op::NotEqual, 2),
        [('!', _), ('~', _), ..] => (Op::NotRegex, 2),
        _ => {
            let at = rest.first().map_or_else(|| body[name_length - 1].1 + 1, |(_, at)| *at);
            return Err(MatcherError::new(at, "an operator must follow the label name", "the operators are `=`, `!=`, `=~` and `!~`"));
        }
    };
    let raw = trim(&rest[length..], is_blank);
    let after = rest[length - 1].1 + 1;
    let value_at = (raw.first().map_or(after, |(_, at)| *at), raw.last().map_or(after, |(_, at)| *at + 1));
    Ok(Raw { name, op, value: value(raw)?, value_at })
}

fn value(raw: &[Placed]) -> Result<Vec<Placed>, MatcherError> {
    let quote_error = |at: usize| {
        MatcherError::new(
            at,
            "a double quote is unescaped inside the value, or is not closed",
            "close it, or write `\\\"` for a quote inside the value",
        )
    };
    let (mut open, inside) = match raw {
        [('"', at), rest @ ..] => (Some(*at), rest),
        _ => (None, raw),
    };
    let mut value = Vec::with_capacity(inside.len());
    let mut i = 0;
    while i < inside.len() {
        let (c, at) = inside[i];
        let last = i + 1 == inside.len();
        match c {
            '\\' if !last => {
                i += 1;
                match inside[i].0 {
                    'n' => value.push(('\n', at)),
                    c @ ('"' | '\\') => value.push((c, at)),
                    // A backslash before anything else is literal.
                    c => value.extend([('\\', at), (c, inside[i].1)]),
                }
            }
            '"' if open.is_some() && last => open = None,
            '"' => return Err(quote_error(at)),
            c => value.push((c, at)),
        }
        i += 1;
    }
    match open {
        Some(at) => Err(quote_error(at)),
        None => Ok(value),
    }
}
