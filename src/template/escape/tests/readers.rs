//! Readers of dialects, as suspicious as the strictest client: they say what in a text would be markup or a mention.

use crate::model::Escape;

/// Whether the dialect shows entities as characters.
pub fn has_entities(dialect: Escape) -> bool {
    !matches!(dialect, Escape::None | Escape::WeComText | Escape::DiscordMarkdown)
}

pub fn without_entities(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = rest.find(';').map(|end| &rest[1..end]);
        let read = entity.and_then(|name| match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            name => name.strip_prefix('#').and_then(|number| number.parse().ok()).and_then(char::from_u32),
        });
        match (read, entity) {
            (Some(c), Some(name)) => {
                out.push(c);
                rest = &rest[name.len() + 2..];
            }
            _ => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// A backslash before ASCII punctuation is not shown.
pub fn without_backslashes(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek().is_some_and(char::is_ascii_punctuation) => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// The text with every backslash-escaped character replaced by a letter: what is left has its meaning.
fn live(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek().is_some_and(char::is_ascii_punctuation) => {
                chars.next();
                // It is a punctuation character without meaning.
                out.push('…');
            }
            c => out.push(c),
        }
    }
    out
}

/// The text with what is inside its URLs replaced by a letter, as far as clients that link them read no markup there.
fn outside_urls(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["http://", "https://"].iter().filter_map(|scheme| rest.find(scheme)).min() {
        let (before, url) = rest.split_at(at);
        let end = url.find(|c: char| !c.is_ascii_graphic() || "<>[]()|`*\"\\".contains(c)).unwrap_or(url.len());
        out.push_str(before);
        out.extend(url[..end].chars().map(|c| if "_~".contains(c) { 'u' } else { c }));
        rest = &url[end..];
    }
    out + rest
}

/// Whether the text from an `@` on, which follows a letter or digit, is the end of a mail address.
fn ends_address(after: &str) -> bool {
    let host: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).collect();
    host.starts_with(|c: char| c.is_ascii_alphabetic()) && host.trim_end_matches('.').contains('.')
}

fn pairs(text: &str) -> Vec<(Option<char>, char, Option<char>)> {
    let chars: Vec<char> = text.chars().collect();
    (0..chars.len()).map(|i| (i.checked_sub(1).map(|i| chars[i]), chars[i], chars.get(i + 1).copied())).collect()
}

fn mention(text: &str, words_only: bool) -> Option<String> {
    let rest = |place: usize| text.chars().skip(place + 1).collect::<String>();
    pairs(text)
        .into_iter()
        .enumerate()
        .find(|(place, (before, c, after))| {
            let in_word = before.is_some_and(|c| c.is_ascii_alphanumeric());
            let named = || in_word && ends_address(&rest(*place)) && !rest(*place).starts_with("everyone");
            *c == '@' && after.is_some_and(|c| c.is_alphanumeric() || c == '_') && !(words_only && in_word) && !named()
        })
        .map(|found| format!("mention {found:?}"))
}

fn tag(text: &str) -> Option<String> {
    pairs(text)
        .into_iter()
        .find(|(_, c, after)| *c == '<' && after.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '@' | '#' | '?' | ':')))
        .map(|found| format!("tag {found:?}"))
}

/// Whether a line is the target of a link by name, whose name has no bracket in it (<https://spec.commonmark.org/0.31.2/#link-label>).
fn defines(line: &str) -> bool {
    line.trim_start().strip_prefix('[').and_then(|name| name.split_once("]:")).is_some_and(|(name, _)| !name.contains('['))
}

fn linked(text: &str) -> Option<String> {
    (text.contains("](") || text.contains("]["))
        .then(|| "link".to_owned())
        .or_else(|| text.lines().find(|line| defines(line)).map(|line| format!("reference {line:?}")))
}

fn entity(text: &str) -> Option<String> {
    let found = text.match_indices('&').find(|(at, _)| {
        let rest = &text[at + 1..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '#').unwrap_or(rest.len());
        end > 0 && rest[end..].starts_with(';')
    });
    found.map(|(at, _)| format!("entity {:?}", &text[at..]))
}

/// A run of these characters that could open or close emphasis by CommonMark's flanking rules; `_` inside a word cannot.
fn emphasis(text: &str, markers: &[char], min_run: usize) -> Option<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if !markers.contains(&c) {
            i += 1;
            continue;
        }
        let run = chars[i..].iter().take_while(|next| **next == c).count();
        let before = i.checked_sub(1).map(|i| chars[i]);
        let after = chars.get(i + run).copied();
        let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let in_word = c == '_' && [before, after].iter().all(|c| c.is_some_and(char::is_alphanumeric));
        if run >= min_run && !in_word && !(blank(before) && blank(after)) {
            return Some(format!("emphasis {:?}", chars[i.saturating_sub(2)..(i + run + 2).min(chars.len())].iter().collect::<String>()));
        }
        i += run;
    }
    None
}

/// A line that begins a heading, quote, list, rule, fence or table.
fn block(text: &str, signs: &[char], lists: bool) -> Option<String> {
    text.lines()
        .find(|line| {
            let line = line.trim_start_matches([' ', '\t']);
            let digits = line.bytes().take_while(u8::is_ascii_digit).count();
            let tail = &line[digits..];
            let after_sign = |sign: char| line.strip_prefix(sign).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', sign]));
            line.starts_with(signs)
                || (lists && (after_sign('-') || after_sign('+') || after_sign('*')))
                || (lists && digits > 0 && tail.strip_prefix(['.', ')']).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
        })
        .map(|line| format!("block {line:?}"))
}

fn first(findings: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    findings.into_iter().flatten().next()
}

/// The first markup or mention that a client of this dialect would see.
pub fn markup(dialect: Escape, text: &str) -> Option<String> {
    let text = &outside_urls(text);
    match dialect {
        Escape::None => None,
        Escape::Html | Escape::Xml => {
            let rest = text.replace("<br>", "");
            let bare = rest.contains(['<', '>', '"', '\''])
                || rest.match_indices('&').any(|(at, _)| !rest[at..].chars().take(7).collect::<String>().contains(';'));
            bare.then(|| "tag, quote or entity".to_owned())
        }
        Escape::TelegramHtml => first([text.contains(['<', '>', '"']).then(|| "tag".to_owned()), mention(text, true)]),
        Escape::SlackMrkdwn => {
            let shown = without_entities(text);
            let bare = text.contains(['<', '>']).then(|| "control sequence".to_owned());
            // A marker formats only at a word's edge; white space beside it keeps it from that.
            let edges: String = {
                let chars: Vec<char> = text.chars().collect();
                (0..chars.len())
                    .map(|i| {
                        let inside = i > 0 && chars[i - 1].is_ascii_alphanumeric() && chars.get(i + 1).is_some_and(char::is_ascii_alphanumeric);
                        if inside && matches!(chars[i], '*' | '_' | '~') { 'x' } else { chars[i] }
                    })
                    .collect()
            };
            first([
                bare,
                emphasis(&edges, &['*', '_', '~'], 1),
                mention(text, true),
                block(&shown, &['>'], false),
                text.contains('`').then(|| "code".to_owned()),
            ])
        }
        Escape::ZulipMarkdown => first([
            markup(Escape::DingTalkMarkdown, text),
            text.contains("$$").then(|| "formula".to_owned()),
            text.contains("!avatar(").then(|| "avatar".to_owned()),
        ]),
        Escape::DingTalkMarkdown => first([
            tag(text),
            entity(text),
            mention(text, false),
            linked(text),
            emphasis(text, &['*', '_'], 1),
            emphasis(text, &['~'], 2),
            block(text, &['#', '>', '=', '|'], true),
            text.contains('`').then(|| "code".to_owned()),
            text.contains("**").then(|| "bold".to_owned()),
        ]),
        Escape::WeComMarkdown => first([
            tag(text),
            entity(text),
            mention(text, false),
            text.contains("](").then(|| "link".to_owned()),
            text.contains("**").then(|| "bold".to_owned()),
            text.contains('`').then(|| "code".to_owned()),
            block(text, &['#', '>'], false),
        ]),
        Escape::WeComText => tag(text),
        Escape::LarkMarkdown => {
            let special = text.find(['<', '>', '*', '_', '`', '~']).map(|at| format!("special {:?}", &text[at..]));
            first([special, linked(text), block(text, &['#', '|'], true)])
        }
        Escape::DiscordMarkdown | Escape::Markdown | Escape::TeamsMarkdown => {
            let text = live(text);
            let mentions = if dialect == Escape::TeamsMarkdown { None } else { mention(&text, false) };
            let entities = if dialect == Escape::DiscordMarkdown { None } else { entity(&text) };
            first([
                tag(&text),
                mentions,
                entities,
                linked(&text),
                emphasis(&text, &['*', '_', '~'], 1),
                block(&text, &['#', '>', '=', '|'], true),
                text.contains('`').then(|| "code".to_owned()),
                (dialect != Escape::TeamsMarkdown && text.contains("||")).then(|| "spoiler".to_owned()),
            ])
        }
    }
}
