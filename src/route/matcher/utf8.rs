//! The UTF-8 matcher grammar: names and values bare or double-quoted, any characters; optional braces; commas.
//! Knows nothing of the classic grammar.

use super::quote::unquote;
use super::{Matcher, MatcherError, Op, Raw};

/// Whether a character ends a bare name or value: white space, and what the grammar itself uses.
pub(super) fn is_reserved(c: char) -> bool {
    c.is_whitespace() || matches!(c, '{' | '}' | '!' | '=' | '~' | ',' | '\\' | '"' | '\'' | '`')
}

enum Token {
    Open,
    Close,
    Comma,
    Operator(Op),
    Text(Vec<(char, usize)>),
    End,
}

/// A token and the places of its first character and of the one after it.
struct Spanned {
    token: Token,
    start: usize,
    end: usize,
}

struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
}

const VALUE_HELP: &str = "put the value in double quotes, like `team=\"ops\"`";

impl Lexer<'_> {
    fn next(&mut self) -> Result<Spanned, MatcherError> {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        let start = self.at;
        let second = self.chars.get(start + 1);
        let (token, length) = match self.chars.get(start) {
            None => (Token::End, 0),
            Some('{') => (Token::Open, 1),
            Some('}') => (Token::Close, 1),
            Some(',') => (Token::Comma, 1),
            Some('=') if second == Some(&'~') => (Token::Operator(Op::Regex), 2),
            Some('=') => (Token::Operator(Op::Equal), 1),
            Some('!') if second == Some(&'=') => (Token::Operator(Op::NotEqual), 2),
            Some('!') if second == Some(&'~') => (Token::Operator(Op::NotRegex), 2),
            Some('!') => return Err(MatcherError::new(start, "`!` is not an operator", "the operators are `=`, `!=`, `=~` and `!~`")),
            Some('"') => self.quoted(start)?,
            Some(c) if is_reserved(*c) => {
                let help =
                    if matches!(c, '\'' | '`') { "use double quotes" } else { "put names and values with special characters in double quotes" };
                return Err(MatcherError::new(start, format!("`{c}` cannot be here unquoted"), help));
            }
            Some(_) => {
                let length = self.chars[start..].iter().take_while(|c| !is_reserved(**c)).count();
                (Token::Text(self.chars[start..start + length].iter().copied().zip(start..).collect()), length)
            }
        };
        self.at = start + length;
        Ok(Spanned { token, start, end: self.at })
    }

    fn quoted(&self, start: usize) -> Result<(Token, usize), MatcherError> {
        let mut escaped = false;
        for (i, c) in self.chars.iter().enumerate().skip(start + 1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return Ok((Token::Text(unquote(self.chars, start + 1, i)?), i + 1 - start)),
                _ => {}
            }
        }
        Err(MatcherError::new(start, "a double quote is not closed", "close it, or write `\\\"` for a quote inside quotes"))
    }
}

/// Reads a list of matchers.
pub(super) fn parse(chars: &[char]) -> Result<Vec<Matcher>, MatcherError> {
    let mut lexer = Lexer { chars, at: 0 };
    let mut matchers = Vec::new();
    let mut token = lexer.next()?;
    let braces = matches!(token.token, Token::Open);
    if braces {
        token = lexer.next()?;
    } else if matches!(token.token, Token::End) {
        return Ok(matchers);
    }
    if !matches!(token.token, Token::Close | Token::End) {
        loop {
            matchers.push(matcher(&mut lexer, token)?.compile()?);
            token = lexer.next()?;
            match token.token {
                Token::Comma => token = lexer.next()?,
                Token::Close | Token::End => break,
                _ => {
                    return Err(MatcherError::new(
                        token.start,
                        "a comma must be between matchers",
                        "add one, or put the whole value in double quotes",
                    ));
                }
            }
            match token.token {
                Token::Close | Token::End => break,
                _ => {}
            }
        }
    }
    match (braces, &token.token) {
        (true, Token::Close) => match lexer.next()? {
            Spanned { token: Token::End, .. } => Ok(matchers),
            extra => Err(MatcherError::new(extra.start, "something follows the closing brace", "one pair of braces may surround the whole list")),
        },
        (true, _) => Err(MatcherError::new(token.start, "`{` has no closing `}`", "close it, or leave the braces out")),
        (false, Token::Close) => Err(MatcherError::new(token.start, "`}` has no opening `{`", "leave it out, or put the value in double quotes")),
        (false, _) => Ok(matchers),
    }
}

fn matcher(lexer: &mut Lexer<'_>, name: Spanned) -> Result<Raw, MatcherError> {
    let Token::Text(characters) = name.token else {
        return Err(MatcherError::new(name.start, "a label name must be here", "write a matcher such as `team=\"ops\"`"));
    };
    let operator = lexer.next()?;
    let Token::Operator(op) = operator.token else {
        return Err(MatcherError::new(operator.start, "an operator must follow the label name", "the operators are `=`, `!=`, `=~` and `!~`"));
    };
    let value = lexer.next()?;
    let Token::Text(text) = value.token else {
        return Err(MatcherError::new(value.start, "a value must follow the operator", VALUE_HELP));
    };
    Ok(Raw { name: characters.into_iter().map(|(c, _)| c).collect(), op, value: text, value_at: (value.start, value.end) })
}
